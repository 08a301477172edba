//! What `show stat`, `show info` and `show servers state` answer, in HAProxy's format.
//!
//! Columns and fields are those of HAProxy 3.2, all of them but QUIC's and in its order, which begins with that
//! of 2.6; what is not counted here (HTTP, compression, HTTP/2) is 0 where HAProxy prints 0 for a
//! proxy in `mode tcp`.

mod clear;
mod columns;
mod format;
mod info;
mod listeners;
mod rows;
mod servers;
#[cfg(test)]
mod tests;

pub(crate) use clear::clear;
pub(crate) use format::{Format, schema};
pub(crate) use info::{VERSION, show_info, show_info_as};
pub(crate) use rows::{Filter, show_stat, show_stat_as};
pub(crate) use servers::show_servers_state;

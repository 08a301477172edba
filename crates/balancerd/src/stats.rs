//! What `show stat`, `show info` and `show servers state` answer, in HAProxy's format.
//!
//! Columns and fields are those of HAProxy 2.6, all of them and in its order; what is not counted
//! here (HTTP, compression, HTTP/2) is 0 where HAProxy prints 0 for a proxy in `mode tcp`.

mod columns;
mod info;
mod rows;
mod servers;
#[cfg(test)]
mod tests;

pub(crate) use info::{VERSION, show_info};
pub(crate) use rows::{Filter, show_stat};
pub(crate) use servers::show_servers_state;

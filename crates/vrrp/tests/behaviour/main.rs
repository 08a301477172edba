//! What keepalived does beyond the RFC, and what only we do.

#[path = "../common/mod.rs"]
mod common;

mod announcements;
mod giving_way;
mod groups;
mod holding;
mod lateness;
mod lease;
mod log;
mod owners;
mod packets;
mod reload;
mod resume;
mod signed;
mod taking_over;
mod tracking;

//! Sockets awaited by tokio for what comes alone, and nothing that is sent wakes a thread.

#![allow(unsafe_code, reason = "tokio asks for a promise about the descriptor")]

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::pidfd::ChildFd;
use crate::raw::VrrpSocket;
use crate::route::RouteSocket;
use crate::spawn::Child;

/// A socket that owns its descriptor and never changes it.
pub trait Owner: AsRawFd + sealed::Owner {}

impl Owner for Child {}
impl Owner for ChildFd {}
impl Owner for RouteSocket {}
impl Owner for UdpSocket {}
impl Owner for VrrpSocket {}

mod sealed {
    /// Keeps the promise of [`watch`](super::watch) within this crate.
    pub trait Owner {}
    impl Owner for crate::pidfd::ChildFd {}
    impl Owner for crate::raw::VrrpSocket {}
    impl Owner for crate::route::RouteSocket {}
    impl Owner for crate::spawn::Child {}
    impl Owner for std::net::UdpSocket {}
}

/// Lets the runtime watch `socket` for something to read. Must be called within a runtime.
///
/// # Errors
///
/// When epoll(7) has no room for it.
///
/// # Panics
///
/// Outside a tokio runtime with its I/O driver enabled.
pub fn watch<T: Owner>(socket: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: an `Owner` holds its descriptor open until it is dropped and always returns the
    // same one; the trait is sealed, and none of its types can be taken apart or reopened.
    let watched = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
    Ok(watched?)
}

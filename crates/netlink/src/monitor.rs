//! Being told by the kernel.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;

use linux::ready::watch;
use linux::route::RouteSocket;
use netlink_packet_core::NetlinkPayload;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

use crate::kernel::{Kernel, messages};
use crate::message::{Address, Link, Notice};
use crate::route::{RTM_DELROUTE, RTM_DELRULE, RouteKey, gone};

// linux/rtnetlink.h
const RTMGRP_LINK: u32 = 1;
const RTMGRP_IPV4_IFADDR: u32 = 0x10;
const RTMGRP_IPV6_IFADDR: u32 = 0x100;
/// IPv4 routes and rules, IPv6 routes, and IPv6 rules.
const ROUTES_AND_RULES: u32 = 0x40 | 0x80 | 0x400 | 0x4_0000;
const RTM_NEWADDR: u16 = 20;

/// Bytes the kernel may queue for us before notices are lost and everything is asked again.
const QUEUE: usize = 256 * 1024;

/// All links and addresses at one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Snapshot {
    /// By [`Link::index`].
    pub links: BTreeMap<u32, Link>,
    /// On any link, each once, in the kernel's order: of one link and family, the first is what it
    /// picks as source address.
    pub addresses: Vec<Address>,
}

impl Snapshot {
    /// The link called `name`.
    #[must_use]
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|link| link.name == name)
    }
}

/// A change of a link or an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NetEvent {
    /// A link appeared or changed its name, hardware address, or whether it is up.
    Link(Link),
    /// A link is no more, or goes by another name from now on.
    LinkGone(Link),
    /// An address appeared.
    Address(Address),
    /// An address is no more.
    AddressGone(Address),
    /// A route or a rule is no more; only after [`follow_routes`](Monitor::follow_routes).
    RouteGone(RouteKey),
    /// Notices of routes and rules were lost.
    RoutesOverrun,
    /// Notices were lost: take a [snapshot](crate::Kernel::snapshot) and
    /// [compare](Monitor::compare) it.
    Overrun,
}

/// Follows links and addresses.
///
/// Open it before taking the first snapshot, so that nothing happens unseen in between. What is
/// already known is not reported again.
#[derive(Debug)]
pub struct Monitor {
    socket: AsyncFd<RouteSocket>,
    routes: Option<AsyncFd<RouteSocket>>,
    known: Snapshot,
    events: VecDeque<NetEvent>,
    buffer: Vec<u8>,
}

impl Monitor {
    /// Starts listening; must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When there is no descriptor left.
    pub fn open() -> io::Result<Self> {
        let groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
        let socket = watch(RouteSocket::open(groups, QUEUE)?)?;
        let known = Snapshot::default();
        Ok(Self { socket, routes: None, known, events: VecDeque::new(), buffer: Vec::new() })
    }

    /// Reports routes and rules too, when they go. On a router there may be many, so they have a
    /// queue of their own.
    ///
    /// # Errors
    ///
    /// When there is no descriptor left.
    pub fn follow_routes(&mut self) -> io::Result<()> {
        if self.routes.is_none() {
            let socket = RouteSocket::open(ROUTES_AND_RULES, QUEUE)?;
            socket.keep_types(&[RTM_DELROUTE, RTM_DELRULE])?;
            self.routes = Some(watch(socket)?);
        }
        Ok(())
    }

    /// Leaves out what `renewals` adds: for addresses that are known to be there, and whose
    /// lifetimes alone are changed. The kernel tells it of IPv4 only.
    ///
    /// # Errors
    ///
    /// What the kernel says, which has no reason to refuse.
    pub fn ignore_renewals(&self, renewals: &Kernel) -> io::Result<()> {
        self.socket.get_ref().drop_echoes(RTM_NEWADDR, renewals.port()?)
    }

    /// What is there, as far as reported.
    #[must_use]
    pub fn known(&self) -> &Snapshot {
        &self.known
    }

    /// The next change. Cancelling loses nothing.
    ///
    /// # Errors
    ///
    /// When the socket fails, which it does not.
    pub async fn next(&mut self) -> io::Result<NetEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let Self { socket, routes, known, events, buffer } = self;
            tokio::select! {
                ready = socket.readable() => {
                    let read = ready?.try_io(|socket| socket.get_ref().receive(buffer));
                    match read {
                        Ok(Ok(length)) => messages(&buffer[..length], |_, payload| {
                            if let NetlinkPayload::InnerMessage(notice) = payload {
                                known.apply(notice, events);
                            }
                        }),
                        // netlink(7): the receive queue overflowed.
                        Ok(Err(error)) if error.raw_os_error() == Some(ENOBUFS) => {
                            return Ok(NetEvent::Overrun);
                        }
                        Ok(Err(error)) => return Err(error),
                        Err(_would_block) => {}
                    }
                }
                ready = readable(routes.as_ref()) => {
                    let read = ready?.try_io(|socket| socket.get_ref().receive(buffer));
                    match read {
                        Ok(Ok(length)) => {
                            events.extend(gone(&buffer[..length]).map(NetEvent::RouteGone));
                        }
                        Ok(Err(error)) if error.raw_os_error() == Some(ENOBUFS) => {
                            return Ok(NetEvent::RoutesOverrun);
                        }
                        Ok(Err(error)) => return Err(error),
                        Err(_would_block) => {}
                    }
                }
            }
        }
    }

    /// Makes up for lost notices: what differs between `now` and what is known is reported by the
    /// next calls of [`next`](Self::next). Also how the monitor learns what there is at first.
    pub fn compare(&mut self, now: Snapshot) {
        self.events.extend(self.known.changes_to(&now));
        self.known = now;
    }
}

/// Waits for ever if there is none.
async fn readable(
    socket: Option<&AsyncFd<RouteSocket>>,
) -> io::Result<AsyncFdReadyGuard<'_, RouteSocket>> {
    match socket {
        Some(socket) => socket.readable().await,
        None => std::future::pending().await,
    }
}

impl Snapshot {
    /// Takes a notice in, and adds what it changes to `events`.
    fn apply(&mut self, notice: Notice, events: &mut VecDeque<NetEvent>) {
        match notice {
            Notice::Link(link) => {
                let before = self.links.insert(link.index, link.clone());
                if before.as_ref() != Some(&link) {
                    let renamed = before.filter(|before| before.name != link.name);
                    events.extend(renamed.map(NetEvent::LinkGone));
                    events.push_back(NetEvent::Link(link));
                }
            }
            Notice::LinkGone(index) => {
                self.addresses.retain(|address| address.link != index);
                events.extend(self.links.remove(&index).map(NetEvent::LinkGone));
            }
            Notice::Address(address, _) => {
                if !self.addresses.contains(&address) {
                    self.addresses.push(address);
                    events.push_back(NetEvent::Address(address));
                }
            }
            Notice::AddressGone(address) => {
                if let Some(at) = self.addresses.iter().position(|known| *known == address) {
                    self.addresses.remove(at);
                }
                // Also if it was renewed into being again, of which nothing was told.
                events.push_back(NetEvent::AddressGone(address));
            }
            Notice::Other => {}
        }
    }

    /// The events that lead from here to `now`: what went, then what came or changed.
    fn changes_to(&self, now: &Self) -> Vec<NetEvent> {
        let set = |addresses: &[Address]| addresses.iter().copied().collect::<BTreeSet<_>>();
        let (before, after) = (set(&self.addresses), set(&now.addresses));
        let gone = self.addresses.iter().filter(|address| !after.contains(address));
        let gone = gone.copied().map(NetEvent::AddressGone);
        let stays = |link: &Link| now.links.get(&link.index).is_some_and(|l| l.name == link.name);
        let lost = self.links.values().filter(|link| !stays(link));
        let lost = lost.cloned().map(NetEvent::LinkGone);
        let changed = now.links.values().filter(|link| self.links.get(&link.index) != Some(link));
        let changed = changed.cloned().map(NetEvent::Link);
        let came = now.addresses.iter().filter(|address| !before.contains(address));
        let came = came.copied().map(NetEvent::Address);
        gone.chain(lost).chain(changed).chain(came).collect()
    }
}

/// asm-generic/errno.h
const ENOBUFS: i32 = 105;

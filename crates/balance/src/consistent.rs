//! HAProxy's `hash-type consistent`: servers have many places on a circle, and a key goes to the
//! nearest.

use alloc::vec::Vec;

use core::net::{IpAddr, SocketAddr};

use xxhash_rust::xxh32::xxh32;

use crate::config::{HashKey, ServerConfig};
use crate::hash::avalanche;
use crate::round_robin::MAX_WEIGHT;

/// From where on a server's places are counted: `hash-key`.
///
/// An IPv4 address is a number whose lowest byte is the first on the wire.
pub(crate) fn beginning(server: &ServerConfig) -> u32 {
    let of_address = |address: SocketAddr, port: u32| match address.ip() {
        IpAddr::V4(ip) => avalanche(u32::from_le_bytes(ip.octets()).wrapping_add(port)),
        IpAddr::V6(ip) => xxh32(&ip.octets(), port),
    };
    match (server.hash_key, server.address) {
        (HashKey::Addr, Some(address)) => of_address(address, 0),
        (HashKey::AddrPort, Some(address)) => {
            of_address(address, avalanche(u32::from(address.port())))
        }
        (HashKey::Id, _) | (_, None) => server.id.wrapping_mul(MAX_WEIGHT),
    }
}

/// The places of both groups.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    /// By place; a group holds its usable servers.
    groups: [Vec<(u32, u32)>; 2],
    /// Where the last turn of those without a key was, by group.
    turns: [Option<usize>; 2],
}

impl Ring {
    /// Lays the servers out anew: group, [`beginning`], position and weight in sixteenths of each
    /// that is usable. A server has as many places as its weight has sixteenths.
    pub(crate) fn lay_out(&mut self, servers: impl Iterator<Item = (usize, u32, u32, u32)>) {
        for group in &mut self.groups {
            group.clear();
        }
        for (group, begin, position, weight) in servers {
            let places = (0..weight).map(|place| (avalanche(begin.wrapping_add(place)), position));
            self.groups[group].extend(places);
        }
        for (group, turn) in self.groups.iter_mut().zip(&mut self.turns) {
            group.sort_by_key(|&(place, _)| place);
            *turn = turn.filter(|&turn| turn < group.len());
        }
    }

    /// The server nearest to a hash for which `eligible` holds and which is not to be avoided; if
    /// there is none, that of the last place, as HAProxy ends its search.
    pub(crate) fn nearest(
        &self,
        group: usize,
        hash: u32,
        avoid: Option<u32>,
        eligible: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let places = &self.groups[group];
        if places.is_empty() {
            return None;
        }
        let next = places.partition_point(|&(place, _)| place < hash) % places.len();
        let previous = next.checked_sub(1).unwrap_or(places.len() - 1);
        // Distances on the circle: both wrap.
        let before = hash.wrapping_sub(places[previous].0);
        let after = places[next].0.wrapping_sub(hash);
        let first = if before <= after { previous } else { next };
        let wanted = |server: u32| avoid != Some(server) && eligible(server);
        let mut walk = (0..places.len()).map(|step| places[(first + step) % places.len()].1);
        walk.find(|&server| wanted(server)).or_else(|| places.last().map(|&(_, server)| server))
    }

    /// The server whose turn it is: the next place for which `free` holds, that of `avoid` only if
    /// there is no other.
    pub(crate) fn next(
        &mut self,
        group: usize,
        avoid: Option<u32>,
        free: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let (places, turn) = (&self.groups[group], &mut self.turns[group]);
        let mut avoided = None;
        for _ in 0..places.len() {
            let at = turn.map_or(0, |turn| (turn + 1) % places.len());
            *turn = Some(at);
            let server = places[at].1;
            if free(server) {
                if avoid != Some(server) {
                    return Some(server);
                }
                avoided = Some(server);
            }
        }
        avoided
    }
}

/// What `hash-balance-factor` looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Connections of the whole pool.
    pub(crate) served: u32,
    /// Per cent of the mean load.
    pub(crate) factor: u32,
    /// The weight of all usable servers of the group.
    pub(crate) total: u32,
}

impl Load {
    /// Whether a server may take one more connection: its share of the slots there are for this
    /// many connections, rounded so that all shares together are all slots, and at least one.
    ///
    /// `before` is the weight of the servers before this one.
    pub(crate) fn allows(self, served: u32, weight: u32, before: u32) -> bool {
        let total = u64::from(self.total.max(1));
        let slots = ((u64::from(self.served) + 1) * u64::from(self.factor)).div_ceil(100);
        let (whole, rest) = (slots / total, slots % total);
        let (weight, before) = (u64::from(weight), u64::from(before));
        let share = weight * whole + (before + weight) * rest / total - before * rest / total;
        u64::from(served) < share.max(1)
    }
}

//! How long two kernels have one address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// The longest time without a break for which an address was on two hosts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Overlaps {
    /// Both processes ran, and nothing between them was lost.
    pub talking: Duration,
    /// The same process, or both, was dead or frozen: its kernel had the address on a lease.
    pub leased: Duration,
}

/// Why two hosts have the same address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cause {
    Talking,
    /// The process of the first is dead or frozen, or of the second.
    Leased(bool, bool),
    /// They cannot hear each other: both have to have it.
    Parted,
}

/// Keeps the time.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    now: BTreeMap<(IpAddr, usize, usize), (Cause, Duration)>,
    pub(crate) worst: Overlaps,
}

impl Watch {
    /// Time passes while these pairs share these addresses, and no others do.
    pub(crate) fn pass(&mut self, time: Duration, pairs: &[(IpAddr, usize, usize, Cause)]) {
        self.now.retain(|key, (cause, _)| pairs.contains(&(key.0, key.1, key.2, *cause)));
        for (address, a, b, cause) in pairs {
            let (_, spent) = self.now.entry((*address, *a, *b)).or_insert((*cause, Duration::ZERO));
            *spent += time;
            match cause {
                Cause::Talking => self.worst.talking = self.worst.talking.max(*spent),
                Cause::Leased(..) => self.worst.leased = self.worst.leased.max(*spent),
                Cause::Parted => {}
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.now.is_empty()
    }
}

//! The pace of announcements on an interface, whichever instances they are of (`vrrp_garp_interval`,
//! `vrrp_gna_interval`, `garp_group`).

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use machine::Instant;
use vrrp::State;
use vrrp::config::GarpGroup;

use super::Role;

/// Announcements that wait for their turn. Beyond this many per lane the oldest are given up: a
/// master repeats itself.
const LONGEST: usize = 4096;

/// What shares a pace: an interface or a group of them, and a family.
type Lane = (String, bool);

/// When the next announcements may go.
#[derive(Debug, Default)]
pub(super) struct Pace {
    lanes: HashMap<Lane, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// No earlier than this.
    next: Instant,
    interval: Duration,
    /// Address and interface.
    queue: VecDeque<(IpAddr, String)>,
}

impl Pace {
    /// Whether an announcement of `address` on `interface` may go at once; else it is kept.
    fn may_go(
        &mut self,
        now: Instant,
        lane: Lane,
        interval: Duration,
        address: IpAddr,
        interface: &str,
    ) -> bool {
        let queue = VecDeque::new();
        let waiting = self.lanes.entry(lane).or_insert(Waiting { next: now, interval, queue });
        waiting.interval = interval;
        if waiting.queue.is_empty() && waiting.next <= now {
            waiting.next = now + interval;
            return true;
        }
        if waiting.queue.len() == LONGEST {
            waiting.queue.pop_front();
        }
        waiting.queue.push_back((address, interface.to_owned()));
        false
    }

    /// Takes out what may go now.
    fn due(&mut self, now: Instant) -> Vec<(IpAddr, String)> {
        let mut due = Vec::new();
        for waiting in self.lanes.values_mut() {
            if waiting.next <= now
                && let Some(first) = waiting.queue.pop_front()
            {
                waiting.next = now + waiting.interval;
                due.push(first);
            }
        }
        due
    }

    /// When something may go.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waiting = self.lanes.values().filter(|waiting| !waiting.queue.is_empty());
        waiting.map(|waiting| waiting.next).min()
    }
}

/// The lane and the interval of an announcement on `interface`, `default` being that of interfaces
/// in no group.
fn lane(groups: &[GarpGroup], interface: &str, ipv6: bool, default: Duration) -> (Lane, Duration) {
    let is_in = |group: &&GarpGroup| group.interfaces.iter().any(|name| name == interface);
    let group = groups.iter().find(is_in);
    let own = group.and_then(|g| if ipv6 { g.gna_interval } else { g.garp_interval });
    // A group is known by its first interface, which is in no other.
    let name = match (group, own) {
        (Some(group), Some(_)) => group.interfaces.first().map_or(interface, String::as_str),
        _ => interface,
    };
    ((name.to_owned(), ipv6), own.unwrap_or(default))
}

impl Role {
    /// Announces an address of the member at `index`, now or when its turn comes.
    pub(super) fn pace(&mut self, index: usize, address: IpAddr, interface: &str) {
        let garp = &self.members[index].config().garp;
        let ipv6 = address.is_ipv6();
        let default = if ipv6 { garp.gna_interval } else { garp.interval };
        let (lane, interval) = lane(&self.config.garp_groups, interface, ipv6, default);
        let now = self.clock.now();
        if interval.is_zero() || self.pace.may_go(now, lane, interval, address, interface) {
            self.announce(address, interface);
        }
    }

    /// Announces what has waited long enough, and is still held.
    pub(super) fn announce_waiting(&mut self) {
        for (address, interface) in self.pace.due(self.clock.now()) {
            if self.is_master_of(address) {
                self.announce(address, &interface);
            }
        }
    }

    fn is_master_of(&self, address: IpAddr) -> bool {
        let mut holders = self.facts.holders(address).iter();
        holders.any(|&index| {
            self.members.get(index).is_some_and(|m| m.instance.state() == State::Master)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn instances_on_one_interface_share_its_pace() {
        let mut pace = Pace::default();
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        let (eth0, interval) = lane(&[], "eth0", false, Duration::from_millis(10));
        assert!(pace.may_go(at(0), eth0.clone(), interval, address(1), "eth0"));
        assert!(!pace.may_go(at(1), eth0.clone(), interval, address(2), "eth0"));
        assert!(!pace.may_go(at(9), eth0, interval, address(3), "eth0"));
        assert_eq!(pace.deadline(), Some(at(10)));
        assert_eq!(pace.due(at(9)), []);
        assert_eq!(pace.due(at(10)), [(address(2), "eth0".to_owned())]);
        assert_eq!(pace.due(at(10)), []);
        let (eth1, interval) = lane(&[], "eth1", false, Duration::from_millis(10));
        assert!(pace.may_go(at(10), eth1, interval, address(4), "eth1"));
        assert_eq!(pace.due(at(20)), [(address(3), "eth0".to_owned())]);
        assert_eq!(pace.deadline(), None);
    }

    #[test]
    fn interfaces_of_a_group_share_one_pace_per_family() {
        let group = GarpGroup {
            interfaces: vec!["eth0".into(), "eth1".into()],
            garp_interval: Some(Duration::from_millis(5)),
            gna_interval: None,
        };
        let default = Duration::from_millis(1);
        let of = |interface, ipv6| lane(std::slice::from_ref(&group), interface, ipv6, default);
        assert_eq!(of("eth0", false), of("eth1", false));
        assert_eq!(of("eth1", false), (("eth0".to_owned(), false), Duration::from_millis(5)));
        assert_eq!(of("eth1", true), (("eth1".to_owned(), true), default));
        assert_eq!(of("eth2", false), (("eth2".to_owned(), false), default));
    }
}

//! When a master announces its addresses by gratuitous ARP.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use machine::Instant;

use crate::action::Action;
use crate::config::InstanceConfig;
use crate::log::{LogLine, Message};

/// The announcements a master still owes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Announcer {
    /// The second block after becoming master.
    after_master: Option<Instant>,
    /// The second block after an advert of lower priority.
    after_lower: Option<Instant>,
    refresh: Option<Instant>,
    /// The next announcements on other interfaces than the instance's.
    extra: Option<Instant>,
    /// What the shortest time between two announcements holds back.
    queue: VecDeque<(IpAddr, String)>,
    /// When the next gratuitous ARP may go.
    next_arp: Instant,
    /// When the next neighbour advertisement may.
    next_advertisement: Instant,
}

impl Announcer {
    /// The blocks of one who just became master.
    pub(crate) fn became_master(&mut self, now: Instant, to: &mut To<'_>) {
        let garp = to.config.garp;
        self.block(now, garp.master_repeat.max(1), to);
        self.after_master = after(now, garp.master_delay);
        self.refresh = after(now, garp.refresh);
        self.extra = after(now, garp.extra_interfaces).filter(|_| elsewhere(to.config).count() > 0);
    }

    /// The blocks of a master who heard a lower priority.
    pub(crate) fn heard_lower(&mut self, now: Instant, to: &mut To<'_>) {
        let garp = to.config.garp;
        if garp.lower_prio_repeat > 0 {
            self.block(now, garp.lower_prio_repeat, to);
            self.after_lower = after(now, garp.lower_prio_delay);
        }
    }

    /// One block, for addresses that are new.
    pub(crate) fn addresses_changed(&mut self, now: Instant, to: &mut To<'_>) {
        self.block(now, to.config.garp.master_repeat.max(1), to);
    }

    /// Whatever is due.
    pub(crate) fn tick(&mut self, now: Instant, to: &mut To<'_>) {
        let garp = to.config.garp;
        if self.after_master.take_if(|due| *due <= now).is_some() {
            self.block(now, garp.master_repeat.max(1), to);
        }
        if self.after_lower.take_if(|due| *due <= now).is_some() {
            self.block(now, garp.lower_prio_repeat, to);
        }
        if self.refresh.take_if(|due| *due <= now).is_some() {
            self.block(now, garp.refresh_repeat.max(1), to);
            self.refresh = after(now, garp.refresh);
        }
        if self.extra.take_if(|due| *due <= now).is_some() {
            let extra = elsewhere(to.config).map(|(address, name)| (address, name.into()));
            self.queue.extend(extra);
            self.extra = after(now, garp.extra_interfaces);
        }
        self.send(now, to);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let queued = self.queue.front().map(|(address, _)| self.next(*address));
        let blocks = [self.after_master, self.after_lower, self.refresh, self.extra];
        blocks.into_iter().chain([queued]).flatten().min()
    }

    /// When one of this address may go.
    fn next(&self, address: IpAddr) -> Instant {
        if address.is_ipv4() { self.next_arp } else { self.next_advertisement }
    }

    /// Every address once, then every address again, `repeat` times over.
    fn block(&mut self, now: Instant, repeat: u32, to: &mut To<'_>) {
        // What is still held back from an earlier block says nothing this one does not say.
        self.queue.clear();
        for round in 0..repeat {
            for held in to.config.held() {
                let (address, interface) = (held.address, to.config.interface_of(held));
                if round == 0 {
                    to.log(Message::Announcing { address, interface: interface.into() });
                }
                self.queue.push_back((address, interface.into()));
                self.send(now, to);
            }
        }
    }

    fn send(&mut self, now: Instant, to: &mut To<'_>) {
        while let Some((address, _)) = self.queue.front()
            && self.next(*address) <= now
            && let Some((address, interface)) = self.queue.pop_front()
        {
            if address.is_ipv4() {
                self.next_arp = now + to.config.garp.interval;
            } else {
                self.next_advertisement = now + to.config.garp.gna_interval;
            }
            to.log(Message::Announced { address, interface: interface.clone() });
            to.actions.push(Action::Announce { address, interface });
        }
    }
}

/// Where announcements go.
pub(crate) struct To<'a> {
    pub(crate) name: &'a Arc<str>,
    pub(crate) config: &'a InstanceConfig,
    pub(crate) actions: &'a mut Vec<Action>,
}

impl To<'_> {
    fn log(&mut self, message: Message) {
        self.actions.push(Action::Log(LogLine::new(self.name, message)));
    }
}

/// The addresses on other interfaces than the instance's own, and those.
fn elsewhere(config: &InstanceConfig) -> impl Iterator<Item = (IpAddr, &str)> {
    let held = config.held().map(|held| (held.address, config.interface_of(held)));
    held.filter(|(_, interface)| *interface != config.interface)
}

fn after(now: Instant, delay: Duration) -> Option<Instant> {
    (!delay.is_zero()).then_some(now + delay)
}

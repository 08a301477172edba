//! Interfaces with virtual MAC addresses, and the packet filter that goes with them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use daemon::log::{Log, Severity};
use netlink::{Kernel, Ruleset};
use vrrp::config::VirtualAddress;

use super::Role;
use crate::sysctl::{self, Changed};
use crate::vmac::{self, Made, Wish};
use crate::worker::Work;

/// The interfaces there are to be.
#[derive(Debug, Default)]
pub(super) struct Vmacs {
    wishes: Vec<Wish>,
    /// Names of those being made.
    making: BTreeSet<String>,
    /// To be taken away as soon as nothing waits to be sent from them.
    leaving: Vec<Wish>,
    /// Settings of other interfaces, as they were.
    changed: Vec<Changed>,
    /// The packet filter has been told something.
    filtering: bool,
}

impl Vmacs {
    /// Makes all of `wishes` that can be made before anything else starts.
    pub(super) fn make(wishes: Vec<Wish>, kernel: &mut Kernel, log: &Log) -> Self {
        let mut vmacs = Self::default();
        for wish in &wishes {
            let made = vmac::make(kernel, wish);
            vmacs.made(wish, made, log);
        }
        vmacs.wishes = wishes;
        vmacs
    }

    fn made(&mut self, wish: &Wish, made: io::Result<Made>, log: &Log) {
        let Wish { instance, name, .. } = wish;
        self.making.remove(name);
        match made {
            Ok(made) => {
                self.changed.extend(made.changed);
                if made.created {
                    log.info(format_args!("({instance}): Success creating VMAC interface {name}"));
                }
            }
            // It is made when the interface below comes.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let line =
                    format_args!("({instance}): Error creating VMAC interface {name}: {error}");
                log.write(Severity::Error, line);
            }
        }
    }

    /// The interface below the one called `name`, if that is one of them.
    pub(super) fn below(&self, name: &str) -> Option<&str> {
        let wish = self.wishes.iter().find(|wish| wish.name == name)?;
        Some(&wish.parent)
    }

    /// Whether `name` is one of them.
    pub(super) fn has(&self, name: &str) -> bool {
        self.below(name).is_some()
    }

    /// What is to be done with one that goes by the name `renamed` now.
    fn without(&self, name: &str, renamed: &str) -> Option<Work> {
        let wish = self.wishes.iter().find(|wish| wish.name == name)?;
        Some(Work::Unmake(Wish { name: renamed.to_owned(), ..wish.clone() }))
    }
}

/// Says that an interface was taken away, or could not be.
pub(super) fn unmade(log: &Log, wish: &Wish, removed: io::Result<bool>) {
    let Wish { instance, name, .. } = wish;
    match removed {
        Ok(false) => {}
        Ok(true) => {
            log.info(format_args!("({instance}) Success removing VMAC interface {name}"));
        }
        Err(error) => {
            let line = format_args!("({instance}) Error removing VMAC interface {name}: {error}");
            log.write(Severity::Error, line);
        }
    }
}

impl Role {
    /// At the start: what the role before us changed is set back by us.
    pub(super) fn inherit_settings(&mut self) {
        let earlier = self.ledger.settings();
        let earlier = earlier.map(|(path, before)| Changed::earlier(path.to_owned(), before));
        self.vmacs.changed.splice(0..0, earlier);
    }

    /// Leaves to the role after us what is to be set back.
    pub(super) fn note_settings(&mut self) {
        // Of several changes of one, the first tells what it was.
        for changed in self.vmacs.changed.iter().rev() {
            if let (path, Some(before)) = changed.before() {
                self.ledger.write_setting(path, before);
            }
        }
    }

    /// Takes one away that somebody renamed: there can be no second one of its address.
    pub(super) fn vmac_renamed(&self, name: &str, renamed: &str) {
        if let Some(work) = self.vmacs.without(name, renamed) {
            self.worker.queue(work);
        }
    }

    /// Sets what `promote_secondaries` asks for.
    pub(super) fn promote_secondaries(&mut self) {
        for member in &self.members {
            let config = member.config();
            if !config.promote_secondaries {
                continue;
            }
            match sysctl::set("ipv4", &config.interface, "promote_secondaries", "1") {
                Ok(changed) => self.vmacs.changed.extend(changed),
                Err(error) => {
                    let (name, interface) = (&config.name, &config.interface);
                    self.complain(format_args!(
                        "({name}) cannot set promote_secondaries of {interface}: {error}"
                    ));
                }
            }
        }
        self.note_settings();
    }

    /// Has those made that are missing and can be; all, or those that the link called `on` is or is
    /// below.
    pub(super) fn make_vmacs(&mut self, on: Option<&str>) {
        let known = self.monitor.known();
        let concerned = |wish: &&Wish| on.is_none_or(|on| wish.name == on || wish.parent == on);
        for wish in self.vmacs.wishes.iter().filter(concerned) {
            let possible = known.link(&wish.parent).is_some() && known.link(&wish.name).is_none();
            if possible && self.vmacs.making.insert(wish.name.clone()) {
                self.worker.queue(Work::Make(wish.clone()));
            }
        }
    }

    /// From the interfaces of one configuration to those of the next.
    pub(super) fn change_vmacs(&mut self, wishes: Vec<Wish>) {
        let before = std::mem::replace(&mut self.vmacs.wishes, wishes);
        let wishes = &self.vmacs.wishes;
        let gone = before.into_iter().filter(|old| wishes.iter().all(|new| new.name != old.name));
        self.vmacs.leaving.extend(gone);
        self.make_vmacs(None);
        self.leave_vmacs();
    }

    /// Takes those away that are no longer needed, once the last adverts have left them.
    pub(super) fn leave_vmacs(&mut self) {
        if self.partings.is_empty() && !self.vmacs.leaving.is_empty() {
            for wish in self.vmacs.leaving.drain(..) {
                self.worker.queue(Work::Unmake(wish));
            }
        }
    }

    /// Takes everything away: the daemon stops.
    pub(super) fn end_vmacs(&mut self) {
        if self.stopping_with_addresses() {
            return;
        }
        self.vmacs.leaving.append(&mut self.vmacs.wishes);
        self.leave_vmacs();
        if self.vmacs.filtering {
            let ruleset = Ruleset { table: self.filter_table(), ..Ruleset::default() };
            self.worker.queue(Work::Filter(ruleset));
        }
        for changed in self.vmacs.changed.drain(..).rev() {
            changed.restore();
        }
    }

    /// Takes in that an interface was made.
    pub(super) fn vmac_made(&mut self, wish: &Wish, made: io::Result<Made>) {
        self.vmacs.made(wish, made, &self.log);
        self.note_settings();
    }

    /// Blocks these addresses of the member at `index`, and no others of it any more.
    pub(super) fn block(&mut self, index: usize, addresses: Vec<VirtualAddress>) {
        self.members[index].blocked = addresses;
        self.filter();
    }

    /// Tells the packet filter what is to be blocked, and whose membership reports to reroute.
    pub(super) fn filter(&mut self) {
        let links = self.monitor.known().links.values();
        let links: BTreeMap<_, _> = links.map(|link| (link.name.as_str(), link.index)).collect();
        let index = |name: &str| links.get(name).copied();
        let vmacs = self.vmacs.wishes.iter();
        let vmacs =
            vmacs.filter_map(|wish| Some((index(&wish.name)?, index(&wish.parent)?, wish.ipv6)));
        let mut blocked = BTreeSet::new();
        for member in &self.members {
            for address in &member.blocked {
                let link = index(member.config().interface_of(address)).unwrap_or(0);
                blocked.insert((address.address, link));
            }
        }
        let settings = &self.config.globals.nftables;
        let ruleset = Ruleset {
            table: self.filter_table(),
            priority: settings.priority.unwrap_or(-1),
            counters: settings.counters,
            vmacs: vmacs.collect(),
            blocked,
        };
        let nothing = ruleset.vmacs.is_empty() && ruleset.blocked.is_empty();
        if nothing && !self.vmacs.filtering {
            return;
        }
        self.vmacs.filtering = true;
        self.worker.queue(Work::Filter(ruleset));
    }

    fn filter_table(&self) -> String {
        self.config.globals.nftables.table.clone().unwrap_or_else(|| "keepalived".to_owned())
    }

    /// At the start: what an earlier process may have left in the packet filter's tables goes, if
    /// this one needs them.
    pub(super) fn begin_filter(&mut self) {
        let blocks = self.config.instances.iter().any(|config| !config.accept);
        if blocks || !self.vmacs.wishes.is_empty() {
            if self.config.globals.nftables.table.is_none() {
                self.log.info(
                    "use_vmac or no_accept/strict specified, but no firewall configured - using \
                     nftables",
                );
            }
            self.vmacs.filtering = true;
            self.filter();
        }
    }
}

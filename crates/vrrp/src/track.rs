//! What an instance follows: interfaces, its source address, scripts, files, processes, its group.

mod view;

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::config::{
    Config, InstanceConfig, OWNER, ScriptConfig, TrackFileConfig, TrackProcessConfig,
};
use crate::group::Fitness;
use crate::log::Fault;

pub use self::view::{TrackerKind, TrackerView};

/// Everything a configuration declares that can be tracked, with the weights it has where an
/// instance names none of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trackables<'a> {
    /// `vrrp_script`
    pub scripts: &'a [ScriptConfig],
    /// `track_file`
    pub files: &'a [TrackFileConfig],
    /// `vrrp_track_process`
    pub processes: &'a [TrackProcessConfig],
}

impl<'a> From<&'a Config> for Trackables<'a> {
    fn from(config: &'a Config) -> Self {
        Self {
            scripts: &config.scripts,
            files: &config.track_files,
            processes: &config.track_processes,
        }
    }
}

impl<'a> From<&'a [ScriptConfig]> for Trackables<'a> {
    fn from(scripts: &'a [ScriptConfig]) -> Self {
        Self { scripts, ..Self::default() }
    }
}

impl<'a> From<&'a Vec<ScriptConfig>> for Trackables<'a> {
    fn from(scripts: &'a Vec<ScriptConfig>) -> Self {
        Self { scripts, ..Self::default() }
    }
}

impl<'a, const N: usize> From<&'a [ScriptConfig; N]> for Trackables<'a> {
    fn from(scripts: &'a [ScriptConfig; N]) -> Self {
        Self { scripts, ..Self::default() }
    }
}

/// Everything outside that decides whether an instance takes part, and how strongly.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracked {
    /// Interfaces, scripts and processes: all that is either good or bad.
    trackers: Vec<Tracker>,
    files: Vec<File>,
    /// As last told.
    source: Option<IpAddr>,
    /// The last there was: an advert of priority 0 still goes out from it.
    last_source: Option<IpAddr>,
    configured_source: Option<IpAddr>,
    source_required: bool,
    /// Its sockets cannot be bound, as keepalived does for unicast, before its source was there.
    source_awaited: bool,
    ipv4: bool,
    /// It may not speak to a group, and has nobody else to speak to.
    peerless: bool,
    /// Of the other members of its sync group.
    peers: Fitness,
}

#[derive(Clone, Debug)]
struct Tracker {
    kind: TrackerKind,
    name: String,
    weight: i32,
    reverse: bool,
    /// None while nobody told, which decides nothing.
    good: Option<bool>,
    /// Its state changes nothing: our own interface, under `dont_track_primary`.
    ignored: bool,
}

impl Tracker {
    fn faulty(&self) -> bool {
        self.weight == 0 && !self.ignored && self.good == Some(self.reverse)
    }

    /// A positive weight counts while all is well, a negative one while it is not.
    fn contribution(&self) -> i32 {
        match self.good {
            Some(good) if (self.weight > 0) == good => signed(self.weight, self.reverse),
            Some(_) | None => 0,
        }
    }
}

#[derive(Clone, Debug)]
struct File {
    name: String,
    weight: i32,
    reverse: bool,
    /// None while nobody told, which decides nothing.
    value: Option<i64>,
}

/// As low as a file can push, which takes the instance out of the race.
const FILE_FAULT: i64 = -254;
/// And as high.
const FILE_MOST: i64 = 253;

impl File {
    /// Its number times its weight; without a weight, any number but zero is a fault.
    fn product(&self) -> i64 {
        let Some(value) = self.value else { return 0 };
        if self.weight == 0 {
            return if (value != 0) != self.reverse { FILE_FAULT } else { 0 };
        }
        let weight = i64::from(signed(self.weight, self.reverse));
        value.saturating_mul(weight).clamp(FILE_FAULT, FILE_MOST)
    }

    fn faulty(&self) -> bool {
        self.product() <= FILE_FAULT
    }

    fn contribution(&self) -> i32 {
        if self.faulty() { 0 } else { i32::try_from(self.product()).unwrap_or(0) }
    }
}

fn signed(weight: i32, reverse: bool) -> i32 {
    if reverse { -weight } else { weight }
}

/// The weight and the direction: an instance's own, else the declared ones.
fn weigh(
    own: (Option<i16>, Option<bool>),
    declared: Option<(i16, bool)>,
    default: i16,
) -> (i32, bool) {
    let weight = own.0.or(declared.map(|(weight, _)| weight)).unwrap_or(default);
    let reverse = own.1.or(declared.map(|(_, reverse)| reverse)).unwrap_or(false);
    (weight.into(), reverse)
}

impl Tracked {
    /// What `config` follows, keeping what `before` knew.
    pub(crate) fn new(config: &InstanceConfig, declared: Trackables<'_>, before: &Self) -> Self {
        let mut trackers = interfaces(config, before);
        let known = |kind, name: &str| {
            let known = before.trackers.iter().find(|t| t.kind == kind && t.name == name);
            known.and_then(|tracker| tracker.good)
        };
        for tracked in &config.track_scripts {
            let (kind, name) = (TrackerKind::Script, tracked.script.clone());
            let script = declared.scripts.iter().find(|script| script.name == name);
            let assumed = script.is_some_and(|script| script.init_fail).then_some(false);
            let own = (tracked.weight, tracked.reverse);
            let (weight, reverse) = weigh(own, script.map(|s| (s.weight, s.reverse)), 0);
            let good = known(kind, &name).or(assumed);
            trackers.push(Tracker { kind, name, weight, reverse, good, ignored: false });
        }
        for tracked in &config.track_processes {
            let (kind, name) = (TrackerKind::Process, tracked.process.clone());
            let process = declared.processes.iter().find(|process| process.name == name);
            let own = (tracked.weight, tracked.reverse);
            let (weight, reverse) = weigh(own, process.map(|p| (p.weight, p.reverse)), 0);
            let good = known(kind, &name);
            trackers.push(Tracker { kind, name, weight, reverse, good, ignored: false });
        }
        let file = |tracked: &crate::config::TrackedFile| {
            let file = declared.files.iter().find(|file| file.name == tracked.file);
            let own = (tracked.weight, tracked.reverse);
            let (weight, reverse) = weigh(own, file.map(|f| (f.weight, f.reverse)), 1);
            let known = before.files.iter().find(|known| known.name == tracked.file);
            let value = known.and_then(|known| known.value);
            File { name: tracked.file.clone(), weight, reverse, value }
        };
        let was_there = before.configured_source == config.source && before.last_source.is_some();
        let source_awaited = before.source_awaited || !was_there;
        let is_there = before.source.is_some() && before.source == config.source;
        Self {
            trackers,
            files: config.track_files.iter().map(file).collect(),
            source: before.source,
            last_source: before.last_source,
            configured_source: config.source,
            source_required: config.source.is_none() || config.track_source,
            source_awaited: source_awaited && !is_there && !config.unicast_peers.is_empty(),
            ipv4: config.is_ipv4(),
            peerless: config.unicast_fault_no_peer && config.unicast_peers.is_empty(),
            peers: before.peers,
        }
    }

    pub(crate) fn interfaces(&self) -> impl Iterator<Item = &str> {
        let interfaces = self.trackers.iter().filter(|t| t.kind == TrackerKind::Interface);
        interfaces.map(|interface| interface.name.as_str())
    }

    /// Takes in that something is good or bad.
    pub(crate) fn set(&mut self, kind: TrackerKind, name: &str, good: bool) {
        for tracker in self.trackers.iter_mut().filter(|t| t.kind == kind && t.name == name) {
            tracker.good = Some(good);
        }
    }

    /// Takes in the number of a file. Whether that made a fault, or ended one.
    pub(crate) fn set_file(&mut self, name: &str, value: i64) -> Option<bool> {
        let mut changed = None;
        for file in self.files.iter_mut().filter(|file| file.name == name) {
            let before = file.faulty();
            file.value = Some(value);
            changed = (file.faulty() != before).then_some(!before).or(changed);
        }
        changed
    }

    /// Counts interfaces nobody told of as down: at the start all that is known has been told.
    pub(crate) fn settle(&mut self) {
        for tracker in self.trackers.iter_mut().filter(|t| t.kind == TrackerKind::Interface) {
            tracker.good.get_or_insert(false);
        }
    }

    pub(crate) fn set_source(&mut self, source: Option<IpAddr>) {
        self.source = source;
        self.last_source = source.or(self.last_source);
        self.source_awaited &= source.is_none();
    }

    pub(crate) fn set_peers(&mut self, peers: Fitness) {
        self.peers = peers;
    }

    pub(crate) fn peers(&self) -> Fitness {
        self.peers
    }

    /// The source address of our adverts: the configured one, or what the interface has, or had.
    pub(crate) fn source(&self) -> Option<IpAddr> {
        self.configured_source.or(self.last_source)
    }

    /// The first thing that keeps the instance out of the race.
    pub(crate) fn fault(&self) -> Option<Fault> {
        let group = || (self.peers == Fitness::Faulty).then_some(Fault::Group);
        self.own_fault().or_else(group)
    }

    /// The first such thing that is not another's.
    pub(crate) fn own_fault(&self) -> Option<Fault> {
        let tracker = |kind| {
            let mut of_kind = self.trackers.iter().filter(move |tracker| tracker.kind == kind);
            let tracker = of_kind.find(|tracker| tracker.faulty())?;
            let name = tracker.name.clone();
            Some(match (kind, tracker.reverse) {
                (TrackerKind::Interface, false) => Fault::InterfaceDown(name),
                (TrackerKind::Interface, true) => Fault::InterfaceUp(name),
                (TrackerKind::Script, _) => Fault::Script(name),
                (TrackerKind::File, _) => Fault::File(name),
                (TrackerKind::Process, _) => Fault::Process(name),
            })
        };
        let source = || {
            let required = self.source_required || self.source_awaited;
            let missing = required && self.source.is_none();
            let configured = self.configured_source.is_some();
            missing.then_some(Fault::NoSource { ipv4: self.ipv4, configured })
        };
        let file = || {
            let file = self.files.iter().find(|file| file.faulty())?;
            Some(Fault::File(file.name.clone()))
        };
        (self.peerless.then_some(Fault::NoPeer))
            .or_else(|| tracker(TrackerKind::Interface))
            .or_else(source)
            .or_else(|| tracker(TrackerKind::Script))
            .or_else(file)
            .or_else(|| tracker(TrackerKind::Process))
    }

    /// Whether a script without weight has yet to give its first result, of ours or of another
    /// member of the group.
    pub(crate) fn is_pending(&self) -> bool {
        self.own_pending() || self.peers == Fitness::Pending
    }

    pub(crate) fn own_pending(&self) -> bool {
        let scripts = self.trackers.iter().filter(|t| t.kind == TrackerKind::Script);
        scripts.into_iter().any(|script| script.weight == 0 && script.good.is_none())
    }

    /// `base`, moved by what has a weight; the owner's never moves.
    pub(crate) fn priority(&self, base: u8) -> u8 {
        if base == OWNER {
            return OWNER;
        }
        let trackers = self.trackers.iter().map(Tracker::contribution);
        let files = self.files.iter().map(File::contribution);
        let total = i32::from(base) + trackers.chain(files).sum::<i32>();
        u8::try_from(total.clamp(1, 254)).unwrap_or(1)
    }
}

/// The tracked interfaces, then our own and the one with the virtual MAC address, then those of
/// addresses, routes and rules.
fn interfaces(config: &InstanceConfig, before: &Tracked) -> Vec<Tracker> {
    let mut interfaces: Vec<Tracker> = Vec::new();
    let kind = TrackerKind::Interface;
    let mut add = |name: &str, weight: i16, reverse: bool, ignored: bool| {
        if interfaces.iter().any(|known| known.name == name) {
            return;
        }
        let known = before.trackers.iter().find(|t| t.kind == kind && t.name == name);
        let good = known.and_then(|known| known.good);
        let weight = i32::from(weight);
        interfaces.push(Tracker { kind, name: name.into(), weight, reverse, good, ignored });
    };
    for tracked in &config.track_interfaces {
        add(&tracked.interface, tracked.weight, tracked.reverse, false);
    }
    add(&config.interface, 0, false, config.dont_track_primary);
    // While it is down, neither adverts nor answers for the addresses leave it.
    add(config.address_interface(), 0, false, config.dont_track_primary);
    for address in config.held().filter(|address| !address.no_track) {
        if let Some(interface) = &address.interface {
            add(interface, 0, false, false);
        }
    }
    // As keepalived: those a route or a rule names, but not those of several ways.
    let routes = config.routes.iter().filter(|route| !route.no_track);
    let rules = config.rules.iter().filter(|rule| !rule.no_track);
    let names = routes.filter_map(|route| route.interface.as_deref());
    for name in names
        .chain(rules.flat_map(|rule| [&rule.input, &rule.output]).flatten().map(|n| n.as_str()))
    {
        add(name, 0, false, false);
    }
    interfaces
}

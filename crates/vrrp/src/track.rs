//! What an instance follows: interfaces, its source address, scripts.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::config::{InstanceConfig, OWNER, ScriptConfig};
use crate::log::Fault;

/// Everything outside that decides whether an instance takes part, and how strongly.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracked {
    interfaces: Vec<Interface>,
    scripts: Vec<Script>,
    /// As last told.
    source: Option<IpAddr>,
    /// The last there was: an advert of priority 0 still goes out from it.
    last_source: Option<IpAddr>,
    configured_source: Option<IpAddr>,
    source_required: bool,
    ipv4: bool,
}

#[derive(Clone, Debug)]
struct Interface {
    name: String,
    weight: i32,
    reverse: bool,
    /// None while nobody told, which decides nothing.
    up: Option<bool>,
    /// Its state changes nothing: our own, under `dont_track_primary`.
    ignored: bool,
}

#[derive(Clone, Debug)]
struct Script {
    name: String,
    weight: i32,
    reverse: bool,
    good: Option<bool>,
}

impl Tracked {
    /// What `config` follows, keeping what `before` knew.
    pub(crate) fn new(config: &InstanceConfig, scripts: &[ScriptConfig], before: &Self) -> Self {
        let mut interfaces: Vec<Interface> = Vec::new();
        let mut add = |name: &str, weight: i16, reverse: bool, ignored: bool| {
            if interfaces.iter().any(|known| known.name == name) {
                return;
            }
            let known = before.interfaces.iter().find(|known| known.name == name);
            let up = known.and_then(|known| known.up);
            let weight = i32::from(weight);
            interfaces.push(Interface { name: name.into(), weight, reverse, up, ignored });
        };
        for tracked in &config.track_interfaces {
            add(&tracked.interface, tracked.weight, tracked.reverse, false);
        }
        add(&config.interface, 0, false, config.dont_track_primary);
        for address in config.held().filter(|address| !address.no_track) {
            if let Some(interface) = &address.interface {
                add(interface, 0, false, false);
            }
        }
        let script = |tracked: &crate::config::TrackedScript| {
            let declared = scripts.iter().find(|script| script.name == tracked.script);
            let known = before.scripts.iter().find(|script| script.name == tracked.script);
            let assumed = declared.is_some_and(|script| script.init_fail).then_some(false);
            Script {
                name: tracked.script.clone(),
                weight: tracked.weight.or(declared.map(|script| script.weight)).unwrap_or(0).into(),
                reverse: tracked.reverse.or(declared.map(|s| s.reverse)).unwrap_or(false),
                good: known.and_then(|script| script.good).or(assumed),
            }
        };
        Self {
            interfaces,
            scripts: config.track_scripts.iter().map(script).collect(),
            source: before.source,
            last_source: before.last_source,
            configured_source: config.source,
            source_required: config.source.is_none() || config.track_source,
            ipv4: config.is_ipv4(),
        }
    }

    pub(crate) fn interfaces(&self) -> impl Iterator<Item = &str> {
        self.interfaces.iter().map(|interface| interface.name.as_str())
    }

    pub(crate) fn set_link(&mut self, name: &str, up: bool) {
        for interface in self.interfaces.iter_mut().filter(|interface| interface.name == name) {
            interface.up = Some(up);
        }
    }

    /// Counts interfaces nobody told of as down: at the start all that is known has been told.
    pub(crate) fn settle(&mut self) {
        for interface in &mut self.interfaces {
            interface.up.get_or_insert(false);
        }
    }

    pub(crate) fn set_script(&mut self, name: &str, good: bool) {
        for script in self.scripts.iter_mut().filter(|script| script.name == name) {
            script.good = Some(good);
        }
    }

    pub(crate) fn set_source(&mut self, source: Option<IpAddr>) {
        self.source = source;
        self.last_source = source.or(self.last_source);
    }

    /// The source address of our adverts: the configured one, or what the interface has, or had.
    pub(crate) fn source(&self) -> Option<IpAddr> {
        self.configured_source.or(self.last_source)
    }

    /// The first thing that keeps the instance out of the race.
    pub(crate) fn fault(&self) -> Option<Fault> {
        let interface = self.interfaces.iter().find_map(|interface| {
            let fault = interface.weight == 0
                && !interface.ignored
                && interface.up == Some(interface.reverse);
            let name = interface.name.clone();
            fault.then_some(if interface.reverse {
                Fault::InterfaceUp(name)
            } else {
                Fault::InterfaceDown(name)
            })
        });
        let source = || {
            let missing = self.source_required && self.source.is_none();
            let configured = self.configured_source.is_some();
            missing.then_some(Fault::NoSource { ipv4: self.ipv4, configured })
        };
        let script = || {
            let failing = |script: &&Script| {
                script.weight == 0 && script.good.is_some_and(|good| good == script.reverse)
            };
            self.scripts.iter().find(failing).map(|script| Fault::Script(script.name.clone()))
        };
        interface.or_else(source).or_else(script)
    }

    /// Whether a script without weight has yet to give its first result.
    pub(crate) fn is_pending(&self) -> bool {
        self.scripts.iter().any(|script| script.weight == 0 && script.good.is_none())
    }

    /// `base`, moved by what has a weight; the owner's never moves.
    pub(crate) fn priority(&self, base: u8) -> u8 {
        if base == OWNER {
            return OWNER;
        }
        let interfaces = self.interfaces.iter().filter_map(|interface| {
            interface.up.map(|up| shift(interface.weight, interface.reverse, up))
        });
        let scripts = self.scripts.iter().filter_map(|script| {
            script.good.map(|good| shift(script.weight, script.reverse, good))
        });
        let total = i32::from(base) + interfaces.chain(scripts).sum::<i32>();
        u8::try_from(total.clamp(1, 254)).unwrap_or(1)
    }
}

/// A positive weight counts while all is well, a negative one while it is not.
fn shift(weight: i32, reverse: bool, good: bool) -> i32 {
    let counts = (weight > 0) == good;
    match (counts, reverse) {
        (false, _) => 0,
        (true, false) => weight,
        (true, true) => -weight,
    }
}

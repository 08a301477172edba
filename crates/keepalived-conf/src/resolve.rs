//! Blocks → model: inheritance, names, keepalived's fix-ups and checks of the whole.

mod groups;
mod instance;
mod interval;
mod lvs;
mod network;
mod scripts;
mod told;

use std::net::IpAddr;
use std::time::Duration;

use conf::{Binder, FileId, Problem, Span};
use vrrp::config::{Config, GarpConfig, Inherited, InstanceConfig, UnicastPeer, VirtualAddress};

use crate::draft::{AddressDraft, Draft, GlobalDraft, InstanceDraft};
use crate::names::Names;
use crate::system::System;
use crate::wording::{AFTER, CHILD};

/// What came of a draft.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    /// Nothing where keepalived would not run either.
    pub(crate) config: Option<Config>,
    /// Whether scripts run that nobody protects.
    pub(crate) insecure: bool,
}

struct Resolver<'a> {
    draft: &'a Draft,
    system: &'a dyn System,
    b: &'a mut Binder,
    names: Names<'a>,
    /// Who runs scripts that name nobody, if there is such a user.
    script_user: Option<String>,
    user_complained: bool,
    /// The preferences rules without one get, of IPv4 and IPv6.
    next_rule: [u32; 2],
    /// A route or a rule names an interface that is not there.
    missing_in_lines: bool,
    fatal: bool,
    /// keepalived would have ended by now.
    ended: bool,
    insecure: bool,
}

/// The first preference a rule without one gets.
const FIRST_RULE: u32 = 16_384;

/// Looks at everything together.
pub(crate) fn resolve(draft: &Draft, system: &dyn System, b: &mut Binder) -> Resolved {
    let (usr, etc) = &draft.globals.iproute_dirs;
    let mut r = Resolver {
        draft,
        system,
        b,
        names: Names::new(system, usr.as_deref(), etc.as_deref()),
        script_user: None,
        user_complained: false,
        next_rule: [FIRST_RULE; 2],
        missing_in_lines: false,
        fatal: false,
        ended: false,
        insecure: false,
    };
    let mut config = Config { globals: draft.globals.globals.clone(), ..Config::default() };
    r.script_user(&mut config);
    r.script_user = config.globals.script_user.clone();
    config.scripts = draft.scripts.iter().filter_map(|s| r.script(s)).collect();
    r.undefined_scripts(&config);
    r.track_files(&mut config);
    r.track_processes(&mut config);
    r.undefined_trackers(&config);
    r.static_network(&mut config);
    let networks = r.virtual_networks();
    r.ends_of_blocks();
    r.lvs();
    r.interface_delays(&mut config);
    let mut missing = r.missing_interfaces();
    missing |= r.garp_groups(&mut config);
    missing |= r.missing_in_lines;
    if missing && !draft.globals.globals.dynamic_interfaces {
        r.after("Non-existent interface specified in configuration");
        return Resolved { config: None, insecure: r.insecure };
    }
    r.told(&mut config);
    r.check_scripts(&mut config);
    let instances = draft.instances.iter().zip(networks);
    config.instances = instances.map(|(i, n)| r.instance(i, n, &config)).collect();
    r.duplicate_routers(&config.instances);
    config.sync_groups = r.sync_groups(&config);
    r.interfaces_both_ways(&config);
    r.weights_in_groups(&mut config);
    r.weights_of_owners(&mut config);
    r.both_ways(&mut config);
    r.unused_scripts(&mut config);
    config.globals.inherited = inherited(&draft.globals);
    let Resolver { fatal, insecure, .. } = r;
    Resolved { config: (!fatal).then_some(config), insecure }
}

impl Resolver<'_> {
    fn say(&mut self, context: &str, span: Span, said: impl Into<String>) {
        self.b.error(span, Problem::Other(said.into())).context.push_str(context);
    }

    /// Something keepalived only logs, and its `-t` does not count.
    fn note(&mut self, span: Span, said: impl Into<String>) {
        self.b.notice(span, Problem::Other(said.into())).context.push_str(CHILD);
    }

    /// Something no line is to blame for.
    fn after(&mut self, said: impl Into<String>) {
        let at = Span { file: FileId::MAX, ..Span::default() };
        self.late(at, said.into());
    }

    /// Something found when everything has been read. keepalived ends at the first instance it
    /// cannot run; what is wrong beyond it is worth a notice.
    fn late(&mut self, at: Span, said: String) {
        if self.ended {
            self.b.notice(at, Problem::Other(said)).context.push_str(AFTER);
        } else {
            self.say(AFTER, at, said);
        }
    }

    /// Something about one instance that no line is to blame for.
    fn about(&mut self, instance: &InstanceDraft, said: impl AsRef<str>) {
        let said = format!("({}) {}", instance.name, said.as_ref());
        self.late(instance.span, said);
    }

    fn fatal(&mut self, instance: &InstanceDraft, said: &str) {
        self.about(instance, said);
        self.fatal = true;
        self.ended = true;
    }

    /// Whether there is an interface of this name, or may be one later.
    fn may_have(&self, name: &str) -> bool {
        self.draft.globals.globals.dynamic_interfaces || self.system.has_interface(name)
    }

    fn duplicate_routers(&mut self, instances: &[InstanceConfig]) {
        for (index, one) in instances.iter().enumerate() {
            for other in &instances[index + 1..] {
                let same = one.vrid == other.vrid
                    && one.interface == other.interface
                    && !one.interface.is_empty()
                    && one.is_ipv4() == other.is_ipv4();
                let apart = if one.unicast_peers.is_empty() && other.unicast_peers.is_empty() {
                    one.multicast_group != other.multicast_group
                } else {
                    let shared = |p: &UnicastPeer| {
                        other.unicast_peers.iter().any(|theirs| theirs.address == p.address)
                    };
                    !one.unicast_peers.iter().any(shared)
                };
                let set = |name: &str| {
                    self.draft.instances.iter().any(|i| i.name == name && i.vrid.is_some())
                };
                if same && !apart && set(&one.name) && set(&other.name) {
                    let (a, b, vrid, interface) =
                        (&one.name, &other.name, one.vrid, &one.interface);
                    let family = if one.is_ipv4() { "IPv4" } else { "IPv6" };
                    let said = format!(
                        "{a} and {b} both use VRID {vrid} with {family} on interface {interface}"
                    );
                    self.after(said);
                    self.fatal = true;
                }
            }
        }
    }
}

/// What instances inherit, as dumps show it.
fn inherited(globals: &GlobalDraft) -> Inherited {
    let (common, default) = (&globals.common, Inherited::default());
    let repeat = |own: Option<u32>, few: u32| own.unwrap_or(if globals.min_garp { 1 } else { few });
    let delay = |own: Option<Duration>, usual: Duration| {
        own.unwrap_or(if globals.min_garp { Duration::ZERO } else { usual })
    };
    let master_delay = delay(common.garp_master_delay, default.garp.master_delay);
    let master_repeat = repeat(common.garp_master_repeat, default.garp.master_repeat);
    Inherited {
        version: common.version.unwrap_or(default.version),
        multicast_v4: match globals.multicast_group {
            Some(IpAddr::V4(group)) => group,
            _ => default.multicast_v4,
        },
        multicast_v6: match globals.multicast_group6 {
            Some(IpAddr::V6(group)) => group,
            _ => default.multicast_v6,
        },
        garp: GarpConfig {
            master_delay,
            master_repeat,
            refresh: common.garp_refresh.unwrap_or(default.garp.refresh),
            refresh_repeat: common.garp_refresh_repeat.unwrap_or(default.garp.refresh_repeat),
            lower_prio_delay: common.garp_lower_prio_delay.unwrap_or(master_delay),
            lower_prio_repeat: common.garp_lower_prio_repeat.unwrap_or(master_repeat),
            interval: globals.garp_interval.unwrap_or_default(),
            gna_interval: globals.gna_interval.unwrap_or_default(),
            extra_interfaces: common.garp_extra_if.unwrap_or_default(),
        },
        down_timer_adverts: common.down_timer_adverts.unwrap_or(default.down_timer_adverts),
        lower_prio_no_advert: common.lower_prio_no_advert.unwrap_or(false),
        higher_prio_send_advert: common.higher_prio_send_advert.unwrap_or(false),
        check_unicast_source: common.check_unicast_source.unwrap_or(false),
        skip_check_adv_addr: common.skip_check_adv_addr.unwrap_or(false),
        strict: common.strict.unwrap_or(false),
        priority_changes: globals.priority_changes,
        smtp_alert: globals.smtp_alert,
        smtp_alert_vrrp: globals.smtp_alert_vrrp,
    }
}

/// The addresses of a block, each once.
fn unique(drafts: &[AddressDraft]) -> Vec<VirtualAddress> {
    let mut addresses: Vec<VirtualAddress> = Vec::new();
    for draft in drafts {
        let same = |a: &VirtualAddress| {
            a.address == draft.config.address && a.interface == draft.config.interface
        };
        if !addresses.iter().any(same) {
            addresses.push(draft.config.clone());
        }
    }
    addresses
}

/// As keepalived prints an address: without a mask if it is alone on it and IPv4.
fn shown(address: &VirtualAddress) -> String {
    match address.address {
        IpAddr::V4(ip) if address.prefix_len == 32 => ip.to_string(),
        ip => format!("{ip}/{}", address.prefix_len),
    }
}

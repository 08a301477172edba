//! Blocks → model: inheritance, names, keepalived's fix-ups and checks of the whole.

mod scripts;

use std::net::IpAddr;
use std::time::Duration;

use conf::{Binder, FileId, Problem, Span};
use vrrp::config::{
    Auth, Config, GarpConfig, Initial, InstanceConfig, LeasePolicy, OWNER, ScriptConfig,
    SyncGroupConfig, UnicastPeer, Version, VirtualAddress, Vrid,
};

use crate::draft::{AddressDraft, AuthType, Draft, InstanceDraft};
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
    /// Who runs scripts that name nobody, if there is such a user.
    script_user: Option<String>,
    user_complained: bool,
    fatal: bool,
    insecure: bool,
}

/// Looks at everything together.
pub(crate) fn resolve(draft: &Draft, system: &dyn System, b: &mut Binder) -> Resolved {
    let mut r = Resolver {
        draft,
        system,
        b,
        script_user: None,
        user_complained: false,
        fatal: false,
        insecure: false,
    };
    let mut config = Config { globals: draft.globals.globals.clone(), ..Config::default() };
    r.script_user(&mut config);
    r.script_user = config.globals.script_user.clone();
    config.scripts = draft.scripts.iter().filter_map(|s| r.script(s)).collect();
    r.undefined_scripts(&config);
    let missing = r.missing_interfaces();
    if missing && !draft.globals.globals.dynamic_interfaces {
        r.after("Non-existent interface specified in configuration");
        return Resolved { config: None, insecure: r.insecure };
    }
    r.check_scripts(&mut config);
    // Who holds an address that moves is decided by the election alone.
    let moves = |a: &&AddressDraft| {
        let same = |v: &AddressDraft| v.config.address == a.config.address;
        draft.instances.iter().any(|i| i.addresses.iter().chain(&i.excluded).any(same))
    };
    let fixed = draft.static_addresses.iter().filter(|a| !moves(a));
    config.static_addresses = fixed.map(|a| a.config.clone()).collect();
    let default_interface = draft.globals.globals.default_interface.clone();
    for address in &mut config.static_addresses {
        let interface = address.interface.take().or_else(|| default_interface.clone());
        address.interface = interface.or_else(|| Some("eth0".to_owned()));
    }
    config.instances = draft.instances.iter().map(|i| r.instance(i, &config.scripts)).collect();
    r.duplicate_routers(&config.instances);
    config.sync_groups = r.sync_groups();
    r.weights_in_groups(&mut config);
    let Resolver { fatal, insecure, .. } = r;
    Resolved { config: (!fatal).then_some(config), insecure }
}

impl Resolver<'_> {
    fn say(&mut self, context: &str, span: Span, said: impl Into<String>) {
        self.b.error(span, Problem::Other(said.into())).context.push_str(context);
    }

    /// Something no line is to blame for.
    fn after(&mut self, said: impl Into<String>) {
        self.say(AFTER, Span { file: FileId::MAX, ..Span::default() }, said);
    }

    /// Something about one instance that no line is to blame for.
    fn about(&mut self, instance: &InstanceDraft, said: impl AsRef<str>) {
        let said = format!("({}) {}", instance.name, said.as_ref());
        self.say(AFTER, instance.span, said);
    }

    fn fatal(&mut self, instance: &InstanceDraft, said: &str) {
        self.about(instance, said);
        self.fatal = true;
    }

    fn missing_interfaces(&mut self) -> bool {
        let mut found: Vec<(Span, String)> = Vec::new();
        let default = self.draft.globals.globals.default_interface.as_deref().unwrap_or("eth0");
        let named = |a: &AddressDraft| a.config.interface.clone();
        let missing = |name: &str| !self.system.has_interface(name);
        let of_address = |a: &AddressDraft, interface: String| {
            let shown = shown(&a.config);
            (
                a.span,
                format!("WARNING - interface {interface} for ip address {shown} doesn't exist"),
            )
        };
        for address in &self.draft.static_addresses {
            let interface = named(address).unwrap_or_else(|| default.to_owned());
            if missing(&interface) {
                found.push(of_address(address, interface));
            }
        }
        for instance in &self.draft.instances {
            let name = &instance.name;
            if let Some(interface) = instance.interface.as_ref().filter(|i| missing(&i.text)) {
                let interface_name = &interface.text;
                let said = format!(
                    "WARNING - interface {interface_name} for vrrp_instance {name} doesn't exist"
                );
                found.push((interface.span, said));
            }
            for address in instance.addresses.iter().chain(&instance.excluded) {
                if let Some(interface) = named(address).filter(|i| missing(i)) {
                    found.push(of_address(address, interface));
                }
            }
            for (tracked, span) in &instance.track_interfaces {
                if missing(&tracked.interface) {
                    let interface = &tracked.interface;
                    found.push((
                        *span,
                        format!("({name}) tracked interface {interface} doesn't exist"),
                    ));
                }
            }
        }
        // With dynamic_interfaces they may come later, and nothing is said.
        let any = !found.is_empty();
        if !self.draft.globals.globals.dynamic_interfaces {
            for (span, said) in found {
                self.say(CHILD, span, said);
            }
        }
        any
    }

    fn instance(&mut self, draft: &InstanceDraft, scripts: &[ScriptConfig]) -> InstanceConfig {
        let default = InstanceConfig::default();
        let (own, global) = (&draft.common, &self.draft.globals.common);
        let strict = own.strict.or(global.strict).unwrap_or(false);
        let version = own.version.or(global.version).unwrap_or_default();
        let owned_by_state = draft.initial == Some(Initial::Master) && draft.priority.is_none();
        let priority =
            draft.priority.unwrap_or(if owned_by_state { OWNER } else { default.priority });
        let from_priority = if priority == OWNER { Initial::Master } else { Initial::Backup };
        let addresses: Vec<VirtualAddress> = unique(&draft.addresses);
        let source_addresses = addresses.iter().map(|a| a.address);
        let family = source_addresses.chain(draft.source).chain(draft.peers.iter().copied()).next();
        let mut config = InstanceConfig {
            name: draft.name.clone(),
            interface: draft.interface.as_ref().map(|w| w.owned()).unwrap_or_default(),
            vrid: Vrid(draft.vrid.unwrap_or(1)),
            priority,
            initial: draft.initial.unwrap_or(from_priority),
            version,
            advert_interval: draft.advert_interval.unwrap_or(default.advert_interval),
            preempt: !draft.nopreempt,
            preempt_delay: draft.preempt_delay,
            excluded: unique(&draft.excluded),
            addresses,
            source: draft.source,
            track_source: draft.track_source,
            unicast_peers: draft.peers.iter().map(|&peer| peer.into()).collect(),
            unicast_ttl: draft.unicast_ttl,
            check_unicast_source: own
                .check_unicast_source
                .or(global.check_unicast_source)
                .unwrap_or(false),
            multicast_group: draft
                .multicast_group
                .or(self.draft.globals.multicast_group)
                .unwrap_or(default.multicast_group),
            garp: self.garp(draft, strict),
            down_timer_adverts: own
                .down_timer_adverts
                .or(global.down_timer_adverts)
                .unwrap_or(default.down_timer_adverts),
            lower_prio_no_advert: own
                .lower_prio_no_advert
                .or(global.lower_prio_no_advert)
                .unwrap_or(strict),
            higher_prio_send_advert: own
                .higher_prio_send_advert
                .or(global.higher_prio_send_advert)
                .unwrap_or(false),
            skip_check_adv_addr: own
                .skip_check_adv_addr
                .or(global.skip_check_adv_addr)
                .unwrap_or(false),
            v3_checksum_as_v2: own.v3_checksum_as_v2.or(global.v3_checksum_as_v2).unwrap_or(false),
            strict,
            // No packet filter is set up, whatever `no_accept` and strict mode ask for.
            accept: true,
            auth: None,
            track_scripts: draft.track_scripts.iter().map(|(t, _)| t.clone()).collect(),
            track_interfaces: draft.track_interfaces.iter().map(|(t, _)| t.clone()).collect(),
            dont_track_primary: draft.dont_track_primary,
            lease: own.lease.or(global.lease).unwrap_or(LeasePolicy::Auto),
            no_addresses: draft.no_addresses,
            ..default
        };
        config.track_scripts.retain(|t| scripts.iter().any(|s| s.name == t.script));
        self.required(draft, &config);
        if family.is_some_and(|f| f.is_ipv6()) {
            let span = draft.addresses.first().map_or(draft.span, |a| a.span);
            self.planned(span, "VRRP over IPv6");
        } else if let Some(a) = draft.excluded.iter().find(|a| a.config.address.is_ipv6()) {
            self.planned(a.span, "an IPv6 address in virtual_ipaddress_excluded");
        }
        self.authentication(draft, &mut config);
        self.preemption(draft, &mut config);
        self.interval(draft, &mut config);
        self.unicast(draft, &mut config);
        self.own_interface(draft, &mut config);
        config
    }

    fn planned(&mut self, span: Span, what: &str) {
        self.b.error(span, Problem::Planned { keyword: what.to_owned() }).context.push_str(CHILD);
        self.fatal = true;
    }

    fn garp(&self, draft: &InstanceDraft, strict: bool) -> GarpConfig {
        let (own, globals) = (&draft.common, &self.draft.globals);
        let global = &globals.common;
        let default = GarpConfig::default();
        let few = globals.min_garp;
        let delay = if few { Duration::ZERO } else { default.master_delay };
        let repeat = if few { 1 } else { default.master_repeat };
        let master_delay = own.garp_master_delay.or(global.garp_master_delay).unwrap_or(delay);
        let master_repeat = own.garp_master_repeat.or(global.garp_master_repeat).unwrap_or(repeat);
        let lower_delay = own.garp_lower_prio_delay.or(global.garp_lower_prio_delay);
        let lower_repeat = own.garp_lower_prio_repeat.or(global.garp_lower_prio_repeat);
        GarpConfig {
            master_delay,
            master_repeat,
            refresh: own.garp_refresh.or(global.garp_refresh).unwrap_or(default.refresh),
            refresh_repeat: own
                .garp_refresh_repeat
                .or(global.garp_refresh_repeat)
                .unwrap_or(default.refresh_repeat),
            lower_prio_delay: lower_delay.unwrap_or(if strict {
                Duration::ZERO
            } else {
                master_delay
            }),
            lower_prio_repeat: lower_repeat.unwrap_or(if strict { 0 } else { master_repeat }),
            interval: globals.garp_interval.unwrap_or_default(),
            ..default
        }
    }

    /// What an instance cannot do without.
    fn required(&mut self, draft: &InstanceDraft, config: &InstanceConfig) {
        if draft.interface.is_none() {
            self.fatal(draft, "Unknown interface!");
        } else if draft.vrid.is_none() {
            self.fatal(draft, "the virtual router id must be set");
        } else if config.addresses.is_empty() && !draft.no_addresses {
            if config.version == Version::V3 || config.strict {
                self.fatal(draft, "No VIP specified; at least one is required");
            } else {
                self.about(draft, "No VIP specified; at least one is sensible");
            }
        }
        if let Some(command) = draft.notify.first()
            && config.addresses.is_empty()
            && config.excluded.is_empty()
        {
            // Then the script is what moves the address.
            self.planned(command.span, "notify scripts of an instance without addresses");
        }
    }

    fn authentication(&mut self, draft: &InstanceDraft, config: &mut InstanceConfig) {
        if draft.auth_type != AuthType::Pass {
            return;
        }
        let refused = if config.version == Version::V3 {
            Some("VRRP version 3 does not support authentication. Ignoring.")
        } else if config.strict {
            Some("Strict mode does not support authentication. Ignoring.")
        } else if draft.auth_pass.is_none() {
            Some("Authentication specified but no password given. Ignoring")
        } else {
            None
        };
        match (refused, &draft.auth_pass) {
            (Some(said), _) => self.about(draft, said),
            (None, password) => config.auth = password.as_deref().map(Auth::pass),
        }
    }

    fn preemption(&mut self, draft: &InstanceDraft, config: &mut InstanceConfig) {
        let master = config.initial == Initial::Master;
        if draft.nopreempt && config.priority == OWNER {
            self.about(draft, "nopreempt is incompatible with priority 255. resetting nopreempt");
            config.preempt = true;
        } else if draft.nopreempt && master {
            self.about(
                draft,
                "Warning - nopreempt will not work with initial state MASTER - clearing",
            );
            config.preempt = true;
        }
        if config.preempt_delay.is_zero() {
            return;
        }
        if master {
            self.about(
                draft,
                "Warning - preempt delay will not work with initial state MASTER - clearing",
            );
            config.preempt_delay = Duration::ZERO;
        } else if !config.preempt {
            self.about(draft, "preempt_delay is incompatible with nopreempt mode - resetting");
            config.preempt_delay = Duration::ZERO;
        }
    }

    fn interval(&mut self, draft: &InstanceDraft, config: &mut InstanceConfig) {
        let time = config.advert_interval;
        let micros = time.as_micros() as u64;
        let shown = format!("{}.{:06}s", micros / 1_000_000, micros % 1_000_000);
        match config.version {
            Version::V2 if !micros.is_multiple_of(1_000_000) => {
                let said =
                    format!("VRRPv2 advertisement interval {shown} must be an integer. rounding");
                self.about(draft, said);
                let seconds = ((micros + 500_000) / 1_000_000).max(1);
                config.advert_interval = Duration::from_secs(seconds);
            }
            Version::V3 if micros > 40_950_000 => {
                let said = format!(
                    "VRRPv3 advertisement interval {:.2}s is out of range. Must be less than 40.96s. Setting to 40.95s",
                    time.as_secs_f64()
                );
                self.about(draft, said);
                config.advert_interval = Duration::from_millis(40_950);
            }
            Version::V3 if !micros.is_multiple_of(10_000) => {
                let said = format!(
                    "VRRPv3 advertisement interval {shown} must be in units of 10ms - rounding"
                );
                self.about(draft, said);
                let centis = ((micros + 5_000) / 10_000).max(1);
                config.advert_interval = Duration::from_millis(centis * 10);
            }
            Version::V2 | Version::V3 => {}
        }
    }

    fn unicast(&mut self, draft: &InstanceDraft, config: &mut InstanceConfig) {
        if config.unicast_peers.is_empty() {
            if draft.unicast {
                self.about(draft, "A unicast keyword has been specified without any unicast peers. Defaulting to multicast. This usage is deprecated - please update your configuration.");
            }
            if config.unicast_ttl.take().is_some() {
                let name = &draft.name;
                let said =
                    format!("({name}): Cannot use unicast_ttl without unicast peers - resetting");
                self.say(CHILD, draft.end, said);
            }
        } else {
            if draft.multicast_group.is_some() {
                self.about(draft, "multicast destination specified with unicast - ignoring");
            }
            config.multicast_group = InstanceConfig::default().multicast_group;
        }
    }

    /// The own interface is followed anyhow.
    fn own_interface(&mut self, draft: &InstanceDraft, config: &mut InstanceConfig) {
        let own = config.interface.clone();
        let tracked = |t: &vrrp::config::TrackedInterface| t.interface == own;
        if !config.dont_track_primary && config.track_interfaces.iter().any(tracked) {
            self.about(draft, format!("Ignoring track_interface {own} since own interface"));
            config.track_interfaces.retain(|t| !tracked(t));
        }
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

    fn sync_groups(&mut self) -> Vec<SyncGroupConfig> {
        let mut groups: Vec<SyncGroupConfig> = Vec::new();
        for draft in &self.draft.groups {
            let name = &draft.name;
            if draft.members.is_empty() {
                self.after(format!("Sync group {name} has no virtual router(s). removing"));
                continue;
            }
            let mut group = SyncGroupConfig { name: name.clone(), ..SyncGroupConfig::default() };
            for member in &draft.members {
                let text = &member.text;
                if !self.draft.instances.iter().any(|i| i.name == *text) {
                    self.after(format!(
                        "Virtual router {text} specified in sync group {name} doesn't exist - ignoring"
                    ));
                } else if groups.iter().any(|g| g.instances.contains(text)) {
                    self.after(format!(
                        "Virtual router {text} cannot exist in more than one sync group; ignoring {name}"
                    ));
                } else {
                    group.instances.push(text.clone());
                }
            }
            match group.instances.len() {
                0 => {
                    self.after(format!(
                        "Sync group {name}, no matching virtual router found in group declaration - removing"
                    ));
                    continue;
                }
                1 => self.after(format!(
                    "Sync group {name} has only 1 virtual router(s) - this probably isn't what you want"
                )),
                _ => {}
            }
            groups.push(group);
        }
        groups
    }

    /// Members of a group move together, so that weights of one would tear them apart.
    fn weights_in_groups(&mut self, config: &mut Config) {
        let mut said = Vec::new();
        for group in &config.sync_groups {
            let weighs = |g: &crate::draft::GroupDraft| g.name == group.name && g.tracking_weight;
            if self.draft.groups.iter().any(weighs) {
                continue;
            }
            let scripts = &config.scripts;
            for instance in
                config.instances.iter_mut().filter(|i| group.instances.contains(&i.name))
            {
                let name = &instance.name;
                instance.track_interfaces.retain(|t| {
                    let keep = t.weight == 0;
                    if !keep {
                        let interface = &t.interface;
                        said.push(format!(
                            "({name}) ignoring {interface} tracked interface weight due to SYNC group"
                        ));
                    }
                    keep
                });
                instance.track_scripts.retain(|t| {
                    let own = scripts.iter().find(|s| s.name == t.script).map_or(0, |s| s.weight);
                    let keep = t.weight.unwrap_or(own) == 0;
                    if !keep {
                        said.push(format!(
                            "({name}) ignoring {} tracked script with weights due to SYNC group",
                            t.script
                        ));
                    }
                    keep
                });
            }
        }
        for line in said {
            self.after(line);
        }
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

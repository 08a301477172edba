//! Blocks → model: inheritance, names, keepalived's fix-ups and checks of the whole.

use std::net::IpAddr;
use std::time::Duration;

use conf::{Binder, Problem, Span};
use vrrp::config::{
    Auth, Config, GarpConfig, Initial, InstanceConfig, LeasePolicy, OWNER, ScriptConfig,
    SyncGroupConfig, Version, VirtualAddress, Vrid,
};

use crate::draft::{AddressDraft, AuthType, Draft, InstanceDraft, ScriptDraft};
use crate::lex::shell_words;
use crate::system::{Program, System};
use crate::wording::{AFTER, CHILD, PARENT};

/// What came of a draft.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    /// Nothing where keepalived would not run either.
    pub(crate) config: Option<Config>,
    /// Whether scripts run that nobody protects.
    pub(crate) insecure: bool,
}

/// The user scripts run as if the configuration names nobody.
const SCRIPT_USER: &str = "keepalived_script";

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

    fn after(&mut self, said: impl Into<String>) {
        self.say(AFTER, Span::default(), said);
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

    fn script_user(&mut self, config: &mut Config) {
        let globals = &self.draft.globals;
        let Some(user) = &globals.script_user else {
            let known = self.system.user(SCRIPT_USER).is_some();
            config.globals.script_user = known.then(|| SCRIPT_USER.to_owned());
            return;
        };
        let group = globals.script_group.as_ref();
        let unknown_group = group.is_some_and(|g| self.system.group(&g.text).is_none());
        if self.system.user(&user.text).is_none() || unknown_group {
            self.say(PARENT, user.span, "Error setting global script uid/gid");
            return;
        }
        config.globals.script_user = Some(user.owned());
        config.globals.script_group = group.map(|g| g.owned());
    }

    /// A script that can be run, or the reason why not.
    fn script(&mut self, draft: &ScriptDraft) -> Option<ScriptConfig> {
        let name = &draft.config.name;
        let Some(word) = draft.command.as_ref() else {
            self.say(CHILD, draft.end, format!("No script set for vrrp_script {name} - removing"));
            return None;
        };
        let text = &word.text;
        // `</dev/tcp/…` is for a shell.
        let command = if text.starts_with('<') {
            Ok(vec!["/bin/sh".to_owned(), "-c".to_owned(), text.clone()])
        } else {
            shell_words(text)
        };
        let command = match command {
            Ok(command) if !command.is_empty() => command,
            Ok(_) => {
                self.say(
                    CHILD,
                    draft.end,
                    format!("No script set for vrrp_script {name} - removing"),
                );
                return None;
            }
            Err(quote) => {
                let said = format!(
                    "String '{text}': missing terminating {quote}\nNo script set for vrrp_script {name} - removing"
                );
                self.say(CHILD, word.span, said);
                return None;
            }
        };
        if let Some(user) = &draft.user {
            let no_group =
                draft.group.as_ref().is_some_and(|g| self.system.group(&g.text).is_none());
            if self.system.user(&user.text).is_none() || no_group {
                self.say(CHILD, user.span, format!("Unable to set uid/gid for script '{text}'"));
                return None;
            }
        } else if self.draft.globals.script_user.is_some() {
            if self.script_user.is_none() {
                let said = format!("Unable to set default user for vrrp script {name} - removing");
                self.say(CHILD, draft.end, said);
                return None;
            }
        } else if self.draft.globals.globals.script_security && self.script_user.is_none() {
            let mut said = format!("Unable to set default user for vrrp script {name} - removing");
            if !std::mem::replace(&mut self.user_complained, true) {
                said = format!("Unable to set default user {SCRIPT_USER} for script\n{said}");
            }
            self.say(CHILD, draft.end, said);
            return None;
        }
        let mut config = draft.config.clone();
        config.timeout = draft.timeout.unwrap_or(config.interval);
        config.user = draft.user.as_ref().map(|w| w.owned());
        config.group = draft.group.as_ref().map(|w| w.owned());
        config.command = command;
        Some(config)
    }

    /// keepalived knows a script from its block on.
    fn undefined_scripts(&mut self, config: &Config) {
        for instance in &self.draft.instances {
            for (tracked, span) in &instance.track_scripts {
                if defined_before(self.draft, config, &tracked.script, *span) {
                    continue;
                }
                let (name, script) = (&instance.name, &tracked.script);
                self.say(
                    CHILD,
                    *span,
                    format!("({name}) track script {script} not found, ignoring..."),
                );
                if config.scripts.iter().any(|s| s.name == *script)
                    && let Some(last) = self.b.problems.last_mut()
                {
                    last.help =
                        Some(format!("move vrrp_script {script} before vrrp_instance {name}"));
                }
            }
        }
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

    /// Drops scripts that cannot run, and says whether those that can are anybody's.
    fn check_scripts(&mut self, config: &mut Config) {
        let security = config.globals.script_security;
        let mut disabled: Vec<(String, &str)> = Vec::new();
        let (mut runs, mut unsafe_one) = (false, false);
        let own = self.system.own_user();
        let uid_of = |user: Option<&String>| match user {
            Some(user) => self.system.user(user).map_or(own, |(uid, _)| uid),
            None => own,
        };
        let default_uid = uid_of(config.globals.script_user.as_ref());
        for script in &config.scripts {
            let for_a_shell = script.command.get(2).is_some_and(|c| c.starts_with('<'));
            if for_a_shell || self.draft.instances.is_empty() {
                continue;
            }
            let uid = script.user.as_ref().map_or(default_uid, |user| uid_of(Some(user)));
            match self.system.program(&script.command[0]) {
                Program::Missing => disabled.push((script.name.clone(), "not found/accessible")),
                Program::Found { insecure, .. } if uid == 0 && insecure && security => {
                    disabled.push((script.name.clone(), "insecure"));
                }
                Program::Found { insecure, .. } => {
                    runs = true;
                    unsafe_one |= insecure && uid == 0;
                }
            }
        }
        for command in self.draft.instances.iter().flat_map(|i| &i.notify) {
            let program = shell_words(&command.text).unwrap_or_default().into_iter().next();
            if let Some(Program::Found { insecure, .. }) = program.map(|p| self.system.program(&p))
            {
                runs = true;
                unsafe_one |= insecure && default_uid == 0;
            }
        }
        for (name, why) in &disabled {
            let due = if *why == "insecure" { "due to" } else { "since" };
            self.after(format!("Disabling track script {name} {due} {why}"));
        }
        config.scripts.retain(|s| !disabled.iter().any(|(name, _)| *name == s.name));
        if runs && !security {
            let more = if unsafe_one { " There are insecure scripts." } else { "" };
            self.after(format!(
                "SECURITY VIOLATION - scripts are being executed but script_security not enabled.{more}"
            ));
            self.insecure = true;
        }
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
            unicast_peers: draft.peers.clone(),
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
            accept: draft.accept.unwrap_or(!strict || priority == OWNER),
            auth: None,
            track_scripts: draft.track_scripts.iter().map(|(t, _)| t.clone()).collect(),
            track_interfaces: draft.track_interfaces.iter().map(|(t, _)| t.clone()).collect(),
            dont_track_primary: draft.dont_track_primary,
            lease: own.lease.or(global.lease).unwrap_or(LeasePolicy::Auto),
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
                    let shared = |p: &IpAddr| other.unicast_peers.contains(p);
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

/// Whether a script's block stands before the line that names it, as keepalived wants it.
fn defined_before(draft: &Draft, config: &Config, name: &str, at: Span) -> bool {
    let usable = config.scripts.iter().any(|s| s.name == name);
    let before = |s: &ScriptDraft| {
        s.config.name == name && (s.span.file != at.file || s.span.start < at.start)
    };
    usable && draft.scripts.iter().any(before)
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

//! One `vrrp_instance`.

use std::net::IpAddr;
use std::time::Duration;

use vrrp::config::{
    Auth, Config, Initial, InstanceConfig, LeasePolicy, MULTICAST_GROUP_V4, MULTICAST_GROUP_V6,
    OWNER, RouteConfig, RuleConfig, Version, VirtualAddress, VmacKind, Vrid,
};

use super::{Resolver, shown, unique};
use crate::draft::{AuthType, InstanceDraft};
use crate::wording::CHILD;

/// The routes and rules of an instance.
pub(super) type Network = (Vec<RouteConfig>, Vec<RuleConfig>);

impl Resolver<'_> {
    pub(super) fn instance(
        &mut self,
        draft: &InstanceDraft,
        (routes, rules): Network,
        known: &Config,
    ) -> InstanceConfig {
        let default = InstanceConfig::default();
        let (own, global) = (&draft.common, &self.draft.globals.common);
        let strict = own.strict.or(global.strict).unwrap_or(false);
        let ipv6 = draft.family().map_or(draft.native_ipv6, |f| f.is_ipv6());
        let asked = own.version.or(global.version);
        let version = match (ipv6, asked) {
            (true, _) => Version::V3,
            (false, asked) => asked.unwrap_or_default(),
        };
        if ipv6 && own.version == Some(Version::V2) {
            let name = &draft.name;
            let said = format!("({name}) cannot use IPv6 with VRRP version 2; setting version 3");
            self.note(draft.span, said);
        }
        let owned_by_state = draft.initial == Some(Initial::Master) && draft.priority.is_none();
        let priority =
            draft.priority.unwrap_or(if owned_by_state { OWNER } else { default.priority });
        let from_priority = if priority == OWNER { Initial::Master } else { Initial::Backup };
        let group = if ipv6 {
            self.draft.globals.multicast_group6.unwrap_or(IpAddr::V6(MULTICAST_GROUP_V6))
        } else {
            self.draft.globals.multicast_group.unwrap_or(IpAddr::V4(MULTICAST_GROUP_V4))
        };
        let addresses: Vec<VirtualAddress> = unique(&draft.addresses);
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
            auth: None,
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
            multicast_group: draft.multicast_group.unwrap_or(group),
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
            accept: draft.accept.unwrap_or(!strict),
            track_scripts: draft.track_scripts.iter().map(|(t, _)| t.clone()).collect(),
            track_interfaces: draft.track_interfaces.iter().map(|(t, _)| t.clone()).collect(),
            dont_track_primary: draft.dont_track_primary,
            lease: own.lease.or(global.lease).unwrap_or(LeasePolicy::Auto),
            hmac: None,
            owner_ignore_adverts: own
                .owner_ignore_adverts
                .or(global.owner_ignore_adverts)
                .unwrap_or(false),
            unicast_fault_no_peer: draft.fault_no_peer,
            timer_expired_backup: draft.timer_expired_backup,
            old_unicast_checksum: draft.old_checksum,
            no_addresses: draft.no_addresses,
            vmac: draft.vmac.clone(),
            vmac_addresses: draft.vmac_addresses,
            routes,
            rules,
            promote_secondaries: draft.promote_secondaries,
            track_files: draft.track_files.iter().map(|(t, _)| t.clone()).collect(),
            track_processes: draft.track_processes.iter().map(|(t, _)| t.clone()).collect(),
            notify: self.notify(&draft.notify),
        };
        config.track_scripts.retain(|t| known.scripts.iter().any(|s| s.name == t.script));
        config.track_files.retain(|t| known.track_files.iter().any(|f| f.name == t.file));
        config
            .track_processes
            .retain(|t| known.track_processes.iter().any(|p| p.name == t.process));
        self.required(draft, &config);
        self.authentication(draft, &mut config);
        self.strictness(draft, &mut config);
        self.preemption(draft, &mut config);
        self.interval(draft, &mut config);
        self.hmac(draft, &mut config);
        self.unicast(draft, &mut config);
        self.vmac(draft, &mut config);
        self.own_interface(draft, &mut config);
        config
    }

    /// What keepalived looks at when a block ends.
    pub(super) fn ends_of_blocks(&mut self) {
        let draft = self.draft;
        for instance in &draft.instances {
            let name = &instance.name;
            let unicast = !instance.peers.is_empty();
            let interface = instance.interface.as_ref().filter(|i| self.may_have(&i.text));
            if instance.unicast_ttl.is_some() && !unicast {
                let said =
                    format!("({name}): Cannot use unicast_ttl without unicast peers - resetting");
                self.say(CHILD, instance.end, said);
            }
            if instance.vmac.is_some() && interface.is_none() && unicast {
                let said = format!(
                    "({name}): Cannot use VMAC/ipvlan with unicast and no interface - clearing use_vmac"
                );
                self.say(CHILD, instance.end, said);
            } else if instance.vmac.is_some() && unicast && !instance.xmit_base {
                let said =
                    format!("({name}) unicast with use_vmac requires vmac_xmit_base - setting");
                self.say(CHILD, instance.end, said);
            }
        }
    }

    fn hmac(&mut self, draft: &InstanceDraft, config: &mut InstanceConfig) {
        let Some(hmac) = &draft.hmac else { return };
        let mut wanted = hmac.config.clone();
        let named = |id: u8| wanted.keys.iter().any(|(known, _)| *known == id);
        let first = wanted.keys.first().map(|(id, _)| *id);
        let name = &draft.name;
        let Some(active) = hmac.active.filter(|id| named(*id)).or(first) else {
            // Without a key nothing could be signed, and adverts would be anybody's.
            self.say(CHILD, hmac.span, format!("({name}) auth_hmac has no key"));
            self.fatal = true;
            return;
        };
        if let Some(id) = hmac.active.filter(|id| !named(*id)) {
            self.say(
                CHILD,
                hmac.span,
                format!("({name}) auth_hmac has no key {id}, its active_key"),
            );
            self.fatal = true;
        }
        wanted.active = active;
        wanted.window = hmac.window.unwrap_or((config.advert_interval * 3).max(wanted.window));
        config.hmac = Some(wanted);
    }

    /// What strict mode does not allow.
    fn strictness(&mut self, draft: &InstanceDraft, config: &mut InstanceConfig) {
        if !config.strict {
            return;
        }
        if draft.accept == Some(true) && config.version == Version::V2 {
            self.about(
                draft,
                "warning - accept mode for VRRP version 2 does not comply with RFC3768 - resetting",
            );
            config.accept = false;
        }
        let owner = config.priority == OWNER;
        if (config.initial == Initial::Master) != owner {
            self.about(draft, "State MASTER must match being address owner");
            config.initial = if owner { Initial::Master } else { Initial::Backup };
        }
        if !config.lower_prio_no_advert {
            self.about(draft, "Strict mode requires no lower priority advert. resetting");
            config.lower_prio_no_advert = true;
        }
        if config.higher_prio_send_advert {
            self.about(
                draft,
                "strict mode requires higher_prio_send_advert to be clear. resetting",
            );
            config.higher_prio_send_advert = false;
        }
        if !config.preempt_delay.is_zero() {
            self.about(draft, "preempt_delay is incompatible with strict mode - resetting");
            config.preempt_delay = Duration::ZERO;
        }
        let first = config.addresses.first().map(|a| a.address);
        if let Some(IpAddr::V6(first)) = first
            && first.segments()[0] & 0xffc0 != 0xfe80
        {
            self.fatal(draft, "the first IPv6 VIP address must be link local");
        }
    }

    /// An interface of its own, and what does not go with it.
    fn vmac(&mut self, draft: &InstanceDraft, config: &mut InstanceConfig) {
        let vmac = config.vmac.as_ref().is_some_and(|v| matches!(v.kind, VmacKind::Macvlan(_)));
        let unicast = !config.unicast_peers.is_empty();
        let mut xmit_base = draft.xmit_base;
        if config.vmac.is_some() && draft.interface.is_none() && unicast {
            config.vmac = None;
        } else if config.vmac.is_some() && unicast && !xmit_base {
            xmit_base = true;
        } else if xmit_base && !vmac {
            self.about(draft, "vmac_xmit_base is only valid with a vmac");
        }
        if config.vmac.is_some() && config.promote_secondaries {
            self.about(draft, "promote_secondaries is automatically set for vmacs - ignoring");
            config.promote_secondaries = false;
        }
        let mut twice = Vec::new();
        for address in config.addresses.iter_mut().chain(&mut config.excluded) {
            let own = address.interface.as_ref().is_none_or(|i| *i == config.interface);
            if address.vmac && config.vmac.is_some() && own {
                twice.push(format!(
                    "use_vmac specified for VIP/eVIP {} and vrrp instance",
                    shown(address)
                ));
                address.vmac = false;
            }
        }
        for said in twice {
            self.about(draft, said);
        }
        if let Some(vmac) = &mut config.vmac {
            vmac.xmit_base = xmit_base;
        }
        let wants =
            |v: &vrrp::config::VmacConfig| matches!(v.kind, VmacKind::Ipvlan { address: None, .. });
        if config.is_ipv4() && config.source.is_none() && config.vmac.as_ref().is_some_and(wants) {
            self.about(draft, "IPv4 ipvlan requires a source ip address to be configured. setting instance to fault state");
        }
    }

    /// What an instance cannot do without.
    fn required(&mut self, draft: &InstanceDraft, config: &InstanceConfig) {
        if draft.vrid.is_none() {
            self.fatal(draft, "the virtual router id must be set");
        } else if draft.interface.is_none() {
            self.fatal(draft, "Unknown interface!");
        } else if config.addresses.is_empty() && !draft.no_addresses {
            if config.version == Version::V3 || config.strict {
                self.fatal(draft, "No VIP specified; at least one is required");
            } else {
                self.about(draft, "No VIP specified; at least one is sensible");
            }
        }
    }

    fn authentication(&mut self, draft: &InstanceDraft, config: &mut InstanceConfig) {
        if draft.auth_type == AuthType::None {
            return;
        }
        let ah = draft.auth_type == AuthType::Ah;
        let refused = if ah && !config.is_ipv4() {
            Some("Cannot use AH authentication with IPv6. ignoring")
        } else if config.version == Version::V3 {
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
            (None, Some(password)) => {
                if ah && config.initial == Initial::Master {
                    self.about(
                        draft,
                        "Initial state master is incompatible with AH authentication - clearing",
                    );
                    config.initial = Initial::Backup;
                }
                config.auth = Some(match Auth::pass(password) {
                    Auth::Pass(key) if ah => Auth::Ah(key),
                    auth => auth,
                });
            }
            (None, None) => {}
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

    fn unicast(&mut self, draft: &InstanceDraft, config: &mut InstanceConfig) {
        if config.unicast_peers.is_empty() {
            if draft.unicast && !draft.fault_no_peer {
                self.about(draft, "A unicast keyword has been specified without any unicast peers. Defaulting to multicast. This usage is deprecated - please update your configuration.");
            }
            config.unicast_ttl = None;
        } else {
            if draft.multicast_group.is_some() {
                self.about(draft, "multicast destination specified with unicast - ignoring");
            }
            config.multicast_group = if config.is_ipv4() {
                IpAddr::V4(MULTICAST_GROUP_V4)
            } else {
                IpAddr::V6(MULTICAST_GROUP_V6)
            };
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
}

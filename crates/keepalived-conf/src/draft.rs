//! What the blocks say, before they are looked at together.

use std::net::IpAddr;
use std::time::Duration;

use conf::{Span, Word};
use vrrp::config::{
    Globals, Initial, LeasePolicy, ScriptConfig, TrackedInterface, TrackedScript, Version,
    VirtualAddress,
};

/// Everything the files say.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) globals: GlobalDraft,
    pub(crate) scripts: Vec<ScriptDraft>,
    pub(crate) static_addresses: Vec<AddressDraft>,
    pub(crate) instances: Vec<InstanceDraft>,
    pub(crate) groups: Vec<GroupDraft>,
}

/// `global_defs`: what instances inherit, beside the settings of no single block.
#[derive(Debug, Default)]
pub(crate) struct GlobalDraft {
    pub(crate) globals: Globals,
    pub(crate) script_user: Option<Word>,
    pub(crate) script_group: Option<Word>,
    pub(crate) multicast_group: Option<IpAddr>,
    /// What instances take over where they say nothing themselves.
    pub(crate) common: Common,
    pub(crate) garp_interval: Option<Duration>,
    pub(crate) min_garp: bool,
}

/// What can be said in `global_defs` and in an instance alike.
#[derive(Clone, Debug, Default)]
pub(crate) struct Common {
    pub(crate) version: Option<Version>,
    pub(crate) strict: Option<bool>,
    pub(crate) skip_check_adv_addr: Option<bool>,
    pub(crate) check_unicast_source: Option<bool>,
    pub(crate) lower_prio_no_advert: Option<bool>,
    pub(crate) higher_prio_send_advert: Option<bool>,
    pub(crate) v3_checksum_as_v2: Option<bool>,
    pub(crate) down_timer_adverts: Option<u8>,
    pub(crate) lease: Option<LeasePolicy>,
    pub(crate) garp_master_delay: Option<Duration>,
    pub(crate) garp_master_repeat: Option<u32>,
    pub(crate) garp_refresh: Option<Duration>,
    pub(crate) garp_refresh_repeat: Option<u32>,
    pub(crate) garp_lower_prio_delay: Option<Duration>,
    pub(crate) garp_lower_prio_repeat: Option<u32>,
}

/// `vrrp_script`.
#[derive(Debug, Default)]
pub(crate) struct ScriptDraft {
    pub(crate) span: Span,
    pub(crate) end: Span,
    pub(crate) config: ScriptConfig,
    pub(crate) timeout: Option<Duration>,
    pub(crate) command: Option<Word>,
    /// Words behind the command, which are not part of it.
    pub(crate) surplus: Option<Span>,
    pub(crate) user: Option<Word>,
    pub(crate) group: Option<Word>,
}

/// A line of an address block.
#[derive(Debug)]
pub(crate) struct AddressDraft {
    pub(crate) span: Span,
    pub(crate) config: VirtualAddress,
}

/// The kinds of authentication of version 2.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum AuthType {
    #[default]
    None,
    Pass,
    Ah,
}

/// `vrrp_instance`.
#[derive(Debug, Default)]
pub(crate) struct InstanceDraft {
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) end: Span,
    pub(crate) interface: Option<Word>,
    pub(crate) vrid: Option<u8>,
    pub(crate) priority: Option<u8>,
    pub(crate) initial: Option<Initial>,
    pub(crate) advert_interval: Option<Duration>,
    pub(crate) nopreempt: bool,
    pub(crate) preempt_delay: Duration,
    pub(crate) auth_type: AuthType,
    pub(crate) auth_span: Span,
    pub(crate) auth_pass: Option<String>,
    pub(crate) addresses: Vec<AddressDraft>,
    pub(crate) excluded: Vec<AddressDraft>,
    pub(crate) no_addresses: bool,
    pub(crate) source: Option<IpAddr>,
    pub(crate) track_source: bool,
    /// Whether a keyword about unicast is used.
    pub(crate) unicast: bool,
    pub(crate) peers: Vec<IpAddr>,
    pub(crate) unicast_ttl: Option<u8>,
    pub(crate) multicast_group: Option<IpAddr>,
    pub(crate) common: Common,
    pub(crate) track_scripts: Vec<(TrackedScript, Span)>,
    pub(crate) track_interfaces: Vec<(TrackedInterface, Span)>,
    pub(crate) dont_track_primary: bool,
    /// The commands of notify scripts.
    pub(crate) notify: Vec<Word>,
}

/// `vrrp_sync_group`.
#[derive(Debug, Default)]
pub(crate) struct GroupDraft {
    pub(crate) name: String,
    pub(crate) members: Vec<Word>,
    pub(crate) tracking_weight: bool,
}

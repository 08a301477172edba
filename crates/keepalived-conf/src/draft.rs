//! What the blocks say, before they are looked at together.

use std::net::IpAddr;
use std::time::Duration;

use conf::{Span, Stmt, Word};
use vrrp::config::{
    GarpGroup, Globals, HmacConfig, Initial, InterfaceDelays, LeasePolicy, OldChecksum,
    ScriptConfig, TrackFileConfig, TrackGroup, TrackProcessConfig, TrackedFile, TrackedInterface,
    TrackedProcess, TrackedScript, UnicastPeer, Version, VirtualAddress, VmacConfig,
};

/// Everything the files say.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) globals: GlobalDraft,
    pub(crate) scripts: Vec<ScriptDraft>,
    pub(crate) track_files: Vec<TrackFileDraft>,
    pub(crate) track_processes: Vec<TrackProcessDraft>,
    pub(crate) static_addresses: Vec<AddressDraft>,
    pub(crate) static_routes: Vec<Stmt>,
    pub(crate) static_rules: Vec<Stmt>,
    pub(crate) track_groups: Vec<(TrackGroup, Span)>,
    pub(crate) interface_delays: Vec<(InterfaceDelays, Span)>,
    pub(crate) garp_groups: Vec<GarpGroupDraft>,
    /// The interfaces of `linkbeat_interfaces`.
    pub(crate) polled: Vec<Word>,
    /// Names of `bfd_instance` blocks.
    pub(crate) bfd: Vec<String>,
    pub(crate) instances: Vec<InstanceDraft>,
    pub(crate) groups: Vec<GroupDraft>,
    /// `virtual_server` and `virtual_server_group` blocks.
    pub(crate) lvs: Vec<Stmt>,
}

/// `global_defs`: what instances inherit, beside the settings of no single block.
#[derive(Debug, Default)]
pub(crate) struct GlobalDraft {
    pub(crate) globals: Globals,
    pub(crate) script_user: Option<Word>,
    pub(crate) script_group: Option<Word>,
    pub(crate) multicast_group: Option<IpAddr>,
    pub(crate) multicast_group6: Option<IpAddr>,
    /// `startup_script`, `shutdown_script`: the statement and the timeout.
    pub(crate) startup: LifeDraft,
    pub(crate) shutdown: LifeDraft,
    pub(crate) fifo: FifoDraft,
    pub(crate) vrrp_fifo: FifoDraft,
    pub(crate) smtp_alert: Option<bool>,
    pub(crate) smtp_alert_vrrp: Option<bool>,
    pub(crate) priority_changes: bool,
    /// Where iproute2 keeps its names (`iproute_usr_dir`, `iproute_etc_dir`).
    pub(crate) iproute_dirs: (Option<String>, Option<String>),
    /// What instances take over where they say nothing themselves.
    pub(crate) common: Common,
    pub(crate) garp_interval: Option<Duration>,
    pub(crate) gna_interval: Option<Duration>,
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
    pub(crate) owner_ignore_adverts: Option<bool>,
    pub(crate) garp_extra_if: Option<Duration>,
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
    /// The length of its prefix was written.
    pub(crate) has_len: bool,
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
    pub(crate) peers: Vec<UnicastPeer>,
    pub(crate) fault_no_peer: bool,
    pub(crate) old_checksum: OldChecksum,
    pub(crate) unicast_ttl: Option<u8>,
    pub(crate) multicast_group: Option<IpAddr>,
    pub(crate) common: Common,
    pub(crate) track_scripts: Vec<(TrackedScript, Span)>,
    pub(crate) track_interfaces: Vec<(TrackedInterface, Span)>,
    pub(crate) track_files: Vec<(TrackedFile, Span)>,
    pub(crate) track_processes: Vec<(TrackedProcess, Span)>,
    pub(crate) track_bfd: Vec<(String, Span)>,
    pub(crate) dont_track_primary: bool,
    pub(crate) notify: NotifyDraft,
    pub(crate) vmac: Option<VmacConfig>,
    pub(crate) xmit_base: bool,
    pub(crate) vmac_addresses: bool,
    pub(crate) accept: Option<bool>,
    pub(crate) native_ipv6: bool,
    pub(crate) routes: Vec<Stmt>,
    pub(crate) rules: Vec<Stmt>,
    pub(crate) promote_secondaries: bool,
    pub(crate) timer_expired_backup: Option<u8>,
    pub(crate) hmac: Option<HmacDraft>,
    pub(crate) vrf: Option<Word>,
}

impl InstanceDraft {
    /// An address that tells the family, if anything has told it yet.
    pub(crate) fn family(&self) -> Option<IpAddr> {
        let first = self.addresses.first().map(|a| a.config.address);
        first.or(self.source).or_else(|| self.peers.first().map(|p| p.address))
    }

    /// Whether it speaks IPv6, if anything has told it yet.
    pub(crate) fn ipv6(&self) -> Option<bool> {
        let told = self.family().or(self.multicast_group).map(|address| address.is_ipv6());
        told.or(self.native_ipv6.then_some(true))
    }
}

/// `auth_hmac`.
#[derive(Debug)]
pub(crate) struct HmacDraft {
    pub(crate) span: Span,
    pub(crate) config: HmacConfig,
    pub(crate) active: Option<u8>,
    pub(crate) window: Option<Duration>,
}

/// What is told of an instance's or a group's transitions.
#[derive(Debug, Default)]
pub(crate) struct NotifyDraft {
    pub(crate) scripts: Vec<CommandDraft>,
    pub(crate) deleted_is_told: bool,
    pub(crate) priority_changes: Option<bool>,
    pub(crate) smtp_alert: Option<bool>,
}

/// A command, and who runs it.
#[derive(Clone, Debug)]
pub(crate) struct CommandDraft {
    pub(crate) keyword: String,
    pub(crate) command: Word,
    pub(crate) user: Option<Word>,
    pub(crate) group: Option<Word>,
}

/// `startup_script`, `shutdown_script`.
#[derive(Debug, Default)]
pub(crate) struct LifeDraft {
    pub(crate) command: Option<CommandDraft>,
    pub(crate) timeout: Option<Duration>,
}

/// A FIFO and who reads it.
#[derive(Debug, Default)]
pub(crate) struct FifoDraft {
    pub(crate) path: Option<Word>,
    pub(crate) user: Option<Word>,
    pub(crate) group: Option<Word>,
    pub(crate) reader: Option<CommandDraft>,
}

/// `track_file`.
#[derive(Debug, Default)]
pub(crate) struct TrackFileDraft {
    pub(crate) span: Span,
    pub(crate) end: Span,
    pub(crate) config: TrackFileConfig,
    pub(crate) weight: Option<i16>,
}

/// `vrrp_track_process`.
#[derive(Debug, Default)]
pub(crate) struct TrackProcessDraft {
    pub(crate) span: Span,
    pub(crate) end: Span,
    pub(crate) config: TrackProcessConfig,
    pub(crate) weight: Option<i16>,
}

/// `garp_group`.
#[derive(Debug, Default)]
pub(crate) struct GarpGroupDraft {
    pub(crate) end: Span,
    pub(crate) config: GarpGroup,
    /// Where each of its interfaces is named.
    pub(crate) at: Vec<Span>,
}

/// `vrrp_sync_group`.
#[derive(Debug, Default)]
pub(crate) struct GroupDraft {
    pub(crate) name: String,
    pub(crate) members: Vec<Word>,
    /// There is a `group` block, possibly empty.
    pub(crate) listed: bool,
    pub(crate) tracking_weight: bool,
    pub(crate) track_scripts: Vec<(TrackedScript, Span)>,
    pub(crate) track_interfaces: Vec<(TrackedInterface, Span)>,
    pub(crate) track_files: Vec<(TrackedFile, Span)>,
    pub(crate) track_processes: Vec<(TrackedProcess, Span)>,
    pub(crate) track_bfd: Vec<(String, Span)>,
    pub(crate) notify: NotifyDraft,
}

//! What a configuration says, whatever dialect it was written in.
//!
//! Every default is keepalived's. A dialect resolves inheritance (an instance's value, else the
//! global one, else the default) before it fills a field: nothing here refers to another block, but
//! by name.

mod address;
mod inherited;
mod instance;
mod notify;
mod process;
mod route;
mod track;
mod vmac;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::time::Duration;

pub use self::address::{Broadcast, VirtualAddress};
pub use self::inherited::Inherited;
pub use self::instance::{
    Auth, GarpConfig, HmacConfig, HmacMode, HmacReplay, Initial, InstanceConfig, LeasePolicy,
    OldChecksum, UnicastPeer,
};
pub use self::notify::{Command, FifoConfig, LifeScript, MailConfig, NotifyConfig};
pub use self::process::{ProcessConfig, SnmpConfig};
pub use self::route::{NextHop, Prefix, RouteConfig, RouteMode, RuleConfig};
pub use self::track::{
    GarpGroup, InterfaceDelays, ParamMatch, ScriptConfig, TrackFileConfig, TrackGroup,
    TrackProcessConfig, TrackedFile, TrackedInterface, TrackedProcess, TrackedScript,
};
pub use self::vmac::{IpvlanMode, VmacConfig, VmacKind};
pub use wire::vrrp::Version;

/// The priority of the router that owns the addresses (RFC 9568 §5.2.4).
pub const OWNER: u8 = 255;
/// The priority a master sends when it stops taking part (RFC 9568 §5.2.4).
pub const RESIGN: u8 = 0;
/// Where adverts go over IPv4 (RFC 9568 §5.1.1.2).
pub const MULTICAST_GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// Where adverts go over IPv6 (RFC 9568 §5.1.2.2).
pub const MULTICAST_GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

/// Everything one `failoverd` is told.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Config {
    /// Settings of no single block.
    pub globals: Globals,
    /// What can be tracked by running it. Names are unique.
    pub scripts: Vec<ScriptConfig>,
    /// Files that hold a number to be tracked. Names are unique.
    pub track_files: Vec<TrackFileConfig>,
    /// Processes to be tracked. Names are unique.
    pub track_processes: Vec<TrackProcessConfig>,
    /// Addresses held always, whoever is master. Address and interface are unique together.
    pub static_addresses: Vec<VirtualAddress>,
    /// Routes that are there always.
    pub static_routes: Vec<RouteConfig>,
    /// Rules that are there always.
    pub static_rules: Vec<RuleConfig>,
    /// Instances that depend on static addresses, routes and rules. Names are unique.
    pub track_groups: Vec<TrackGroup>,
    /// Interfaces whose changes count only after a while.
    pub interface_delays: Vec<InterfaceDelays>,
    /// Interfaces that share the pace of their announcements.
    pub garp_groups: Vec<GarpGroup>,
    /// The virtual routers. Interface, VRID and address family are unique together.
    pub instances: Vec<InstanceConfig>,
    /// Virtual routers that move together. Names are unique.
    pub sync_groups: Vec<SyncGroupConfig>,
}

/// Settings of no single block (`global_defs`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Globals {
    /// The name in mails and dumps; the short host name if none.
    pub router_id: Option<String>,
    /// Who runs the scripts that name no user.
    pub script_user: Option<String>,
    /// The group of those scripts; the user's own if none.
    pub script_group: Option<String>,
    /// Refuse scripts run by root which somebody else could change.
    pub script_security: bool,
    /// Nothing is sent before this has passed since the start.
    pub startup_delay: Duration,
    /// Interface of static addresses that name none; `eth0` if none.
    pub default_interface: Option<String>,
    /// Interfaces may be missing at the start, and come and go.
    pub dynamic_interfaces: bool,
    /// Adverts of virtual routers nobody configured are logged.
    pub log_unknown_vrids: bool,
    /// With [`dynamic_interfaces`](Self::dynamic_interfaces): an interface may come back as another
    /// kind.
    pub allow_interface_changes: bool,
    /// Nothing is sent before the machine has been up this long.
    pub delay_after_boot: Duration,
    /// Who gets mail, and through whom.
    pub mail: MailConfig,
    /// Told of every transition (`notify_fifo`, `notify_fifo_script`).
    pub fifo: Option<FifoConfig>,
    /// Told too (`vrrp_notify_fifo`, `vrrp_notify_fifo_script`).
    pub vrrp_fifo: Option<FifoConfig>,
    /// The FIFOs are told all states after a reload.
    pub fifo_states_on_reload: bool,
    /// Run once before anything else.
    pub startup_script: Option<LifeScript>,
    /// Run once after everything else.
    pub shutdown_script: Option<LifeScript>,
    /// How the daemon runs.
    pub process: ProcessConfig,
    /// The beginning of the names of the interfaces made for `use_vmac`; `vrrp` if none.
    pub vmac_prefix: Option<String>,
    /// The packet filter's table for `no_accept` and virtual MACs.
    pub nftables: NftablesConfig,
    /// What an SNMP agent is told.
    pub snmp: SnmpConfig,
    /// 2 names the parts of the JSON dump, 1 is an array.
    pub json_version: Option<u8>,
    /// Where state is served by itself (our own `status_socket`); the default of the daemon if none.
    pub status_socket: Option<String>,
    /// Where metrics are served to Prometheus (our own `metrics_listen`), an address and a port.
    pub metrics_listen: Option<core::net::SocketAddr>,
    /// What instances inherit, for dumps.
    pub inherited: Inherited,
}

/// The table of the packet filter.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NftablesConfig {
    /// Its name; `keepalived` if none.
    pub table: Option<String>,
    /// The priority of its chains; -1 if none.
    pub priority: Option<i32>,
    /// Its rules count packets.
    pub counters: bool,
    /// Rules name interfaces by number.
    pub by_index: bool,
}

/// The number of a virtual router on its link, 1 to 255 (RFC 9568 §5.2.3).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Vrid(pub u8);

impl Default for Vrid {
    fn default() -> Self {
        Self(1)
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Config {
    /// Has every member of a sync group follow what its group follows, unless it does so already.
    pub fn share_group_trackers(&mut self) {
        for group in &self.sync_groups {
            let is_member = |instance: &&mut InstanceConfig| group.has(&instance.name);
            for instance in self.instances.iter_mut().filter(is_member) {
                share(&mut instance.track_scripts, &group.track_scripts, |t| &t.script);
                share(&mut instance.track_interfaces, &group.track_interfaces, |t| &t.interface);
                share(&mut instance.track_files, &group.track_files, |t| &t.file);
                share(&mut instance.track_processes, &group.track_processes, |t| &t.process);
            }
        }
    }
}

fn share<T: Clone>(member: &mut Vec<T>, group: &[T], name: fn(&T) -> &String) {
    for tracked in group {
        if member.iter().all(|own| name(own) != name(tracked)) {
            member.push(tracked.clone());
        }
    }
}

/// Virtual routers that move together (`vrrp_sync_group`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SyncGroupConfig {
    /// The name in logs.
    pub name: String,
    /// Names of its instances.
    pub instances: Vec<String>,
    /// Members keep the weights of what they track.
    pub tracking_weight: bool,
    /// Scripts every member follows.
    pub track_scripts: Vec<TrackedScript>,
    /// Interfaces every member follows.
    pub track_interfaces: Vec<TrackedInterface>,
    /// Files every member follows.
    pub track_files: Vec<TrackedFile>,
    /// Processes every member follows.
    pub track_processes: Vec<TrackedProcess>,
    /// What is run and told at its transitions.
    pub notify: NotifyConfig,
}

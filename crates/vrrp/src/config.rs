//! What a configuration says, whatever dialect it was written in.
//!
//! Every default is keepalived's. A dialect resolves inheritance (an instance's value, else the
//! global one, else the default) before it fills a field: nothing here refers to another block, but
//! by name.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

pub use wire::vrrp::Version;

/// The priority of the router that owns the addresses (RFC 9568 §5.2.4).
pub const OWNER: u8 = 255;
/// The priority a master sends when it stops taking part (RFC 9568 §5.2.4).
pub const RESIGN: u8 = 0;
/// Where adverts go over IPv4 (RFC 9568 §5.1.1.2).
pub const MULTICAST_GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

/// Everything one `failoverd` is told.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Config {
    /// Settings of no single block.
    pub globals: Globals,
    /// What can be tracked by running it. Names are unique.
    pub scripts: Vec<ScriptConfig>,
    /// Addresses held always, whoever is master. Address and interface are unique together.
    pub static_addresses: Vec<VirtualAddress>,
    /// The virtual routers. Interface, VRID and address family are unique together.
    pub instances: Vec<InstanceConfig>,
    /// Virtual routers that move together. Names are unique.
    pub sync_groups: Vec<SyncGroupConfig>,
}

/// Settings of no single block (`global_defs`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
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
}

/// The number of a virtual router on its link, 1 to 255 (RFC 9568 §5.2.3).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
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

/// Which state an instance wishes to start in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Initial {
    /// `state MASTER`: decides only for the owner ([`OWNER`]), who starts as master at once.
    Master,
    /// `state BACKUP`.
    #[default]
    Backup,
}

impl Initial {
    /// In the order of [`NAMES`](Self::NAMES).
    pub const ALL: [Self; 2] = [Self::Master, Self::Backup];
    /// As a configuration writes them.
    pub const NAMES: [&'static str; 2] = ["MASTER", "BACKUP"];
}

/// Authentication of version 2 (RFC 2338 §5.3.6).
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Auth {
    /// A clear text password, padded with zeros.
    Pass([u8; 8]),
}

impl Auth {
    /// The first eight bytes of `password`.
    #[must_use]
    pub fn pass(password: &str) -> Self {
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(password.bytes()) {
            *to = from;
        }
        Self::Pass(bytes)
    }
}

/// Never shows the password.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pass(..)")
    }
}

/// One virtual router (`vrrp_instance`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InstanceConfig {
    /// The name in logs and notifications.
    pub name: String,
    /// Where adverts are sent and heard.
    pub interface: String,
    /// Its number on the link.
    pub vrid: Vrid,
    /// 1 to 255, before tracking; the highest wins.
    pub priority: u8,
    /// The state it wishes to start in.
    pub initial: Initial,
    /// The protocol it speaks.
    pub version: Version,
    /// Between two adverts of a master: 10 ms to 255 s; whole seconds for version 2, and at most
    /// 40.95 s in steps of 10 ms for version 3.
    pub advert_interval: Duration,
    /// Take over from a master of lower priority.
    pub preempt: bool,
    /// How long to let a master of lower priority be before taking over; 0 to 1000 s.
    pub preempt_delay: Duration,
    /// Authentication, of version 2 only.
    pub auth: Option<Auth>,
    /// The addresses the master holds and its adverts list.
    pub addresses: Vec<VirtualAddress>,
    /// The addresses the master holds too, of any family, listed in no advert.
    pub excluded: Vec<VirtualAddress>,
    /// The source of our adverts; the interface's first address if none.
    pub source: Option<IpAddr>,
    /// Leave the race while the interface lacks [`source`](Self::source) (`track_src_ip`).
    pub track_source: bool,
    /// Who hears our adverts, instead of the multicast group, if any.
    pub unicast_peers: Vec<IpAddr>,
    /// Hop limit of unicast adverts; 255 if none.
    pub unicast_ttl: Option<u8>,
    /// Unicast adverts of others than [`unicast_peers`](Self::unicast_peers) are dropped.
    pub check_unicast_source: bool,
    /// Where adverts go if there are no [`unicast_peers`](Self::unicast_peers).
    pub multicast_group: IpAddr,
    /// When to announce the addresses.
    pub garp: GarpConfig,
    /// How many adverts a master may miss; 1 to 100.
    pub down_timer_adverts: u8,
    /// A master does not answer an advert of lower priority.
    pub lower_prio_no_advert: bool,
    /// A master sends one last advert before it yields to a higher priority.
    pub higher_prio_send_advert: bool,
    /// Don't compare the addresses of an advert of the master we already know.
    pub skip_check_adv_addr: bool,
    /// The checksum of version 3 over IPv4 leaves out the pseudo header (RFC 9568 §5.2.8 as Cisco
    /// and Juniper read it).
    pub v3_checksum_as_v2: bool,
    /// Follow the RFC to the letter (`vrrp_strict`, `strict_mode`).
    pub strict: bool,
    /// Accept packets for the virtual addresses when not their owner.
    pub accept: bool,
    /// The scripts that decide whether and how strongly we take part.
    pub track_scripts: Vec<TrackedScript>,
    /// The interfaces that decide so.
    pub track_interfaces: Vec<TrackedInterface>,
    /// Stay in the race while [`interface`](Self::interface) is down.
    pub dont_track_primary: bool,
    /// Whether the addresses expire by themselves when the daemon no longer renews them.
    pub lease: LeasePolicy,
}

impl InstanceConfig {
    /// Whether it speaks IPv4: decided by its first address, else by its source and its peers.
    #[must_use]
    pub fn is_ipv4(&self) -> bool {
        let first = self.addresses.first().map(|a| a.address);
        let any = first.or(self.source).or_else(|| self.unicast_peers.first().copied());
        any.is_none_or(|address| address.is_ipv4())
    }

    /// The interface `address` goes on.
    #[must_use]
    pub fn interface_of<'a>(&'a self, address: &'a VirtualAddress) -> &'a str {
        address.interface.as_deref().unwrap_or(&self.interface)
    }

    /// All it holds as master: [`addresses`](Self::addresses), then [`excluded`](Self::excluded).
    pub fn held(&self) -> impl Iterator<Item = &VirtualAddress> {
        self.addresses.iter().chain(&self.excluded)
    }

    /// Where the adverts go: the peers, or else the group.
    #[must_use]
    pub fn destinations(&self) -> &[IpAddr] {
        if self.unicast_peers.is_empty() {
            core::slice::from_ref(&self.multicast_group)
        } else {
            &self.unicast_peers
        }
    }
}

impl Default for InstanceConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            interface: String::new(),
            vrid: Vrid::default(),
            priority: 100,
            initial: Initial::Backup,
            version: Version::V2,
            advert_interval: Duration::from_secs(1),
            preempt: true,
            preempt_delay: Duration::ZERO,
            auth: None,
            addresses: Vec::new(),
            excluded: Vec::new(),
            source: None,
            track_source: false,
            unicast_peers: Vec::new(),
            unicast_ttl: None,
            check_unicast_source: false,
            multicast_group: IpAddr::V4(MULTICAST_GROUP_V4),
            garp: GarpConfig::default(),
            down_timer_adverts: 3,
            lower_prio_no_advert: false,
            higher_prio_send_advert: false,
            skip_check_adv_addr: false,
            v3_checksum_as_v2: false,
            strict: false,
            accept: true,
            track_scripts: Vec::new(),
            track_interfaces: Vec::new(),
            dont_track_primary: false,
            lease: LeasePolicy::Auto,
        }
    }
}

/// When a master announces its addresses by gratuitous ARP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GarpConfig {
    /// From becoming master to the second block of announcements; zero for none.
    pub master_delay: Duration,
    /// Announcements per address and block; at least 1.
    pub master_repeat: u32,
    /// Between periodic announcements of a master; zero for none.
    pub refresh: Duration,
    /// Announcements per address each time; at least 1.
    pub refresh_repeat: u32,
    /// From an advert of lower priority to the second block; zero for none.
    pub lower_prio_delay: Duration,
    /// Announcements per address in each of those blocks; zero for none.
    pub lower_prio_repeat: u32,
    /// The shortest time between two announcements on an interface.
    pub interval: Duration,
}

impl Default for GarpConfig {
    fn default() -> Self {
        Self {
            master_delay: Duration::from_secs(5),
            master_repeat: 5,
            refresh: Duration::ZERO,
            refresh_repeat: 1,
            lower_prio_delay: Duration::from_secs(5),
            lower_prio_repeat: 5,
            interval: Duration::ZERO,
        }
    }
}

/// Whether virtual addresses expire by themselves when nobody renews them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LeasePolicy {
    /// Wherever the advert interval leaves room for it: a dead or frozen daemon then loses its
    /// addresses before a backup takes them.
    #[default]
    Auto,
    /// The addresses stay until they are removed, as keepalived's do.
    Off,
}

/// A script whose result an instance follows.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TrackedScript {
    /// The name of a [`ScriptConfig`].
    pub script: String,
    /// -253 to 253, instead of the script's own.
    pub weight: Option<i16>,
    /// Instead of the script's own [`reverse`](ScriptConfig::reverse).
    pub reverse: Option<bool>,
}

/// An interface an instance follows.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TrackedInterface {
    /// Its name.
    pub interface: String,
    /// -253 to 253. Positive, it is added to the priority while the interface is up; negative, it is
    /// taken off while it is down; at zero, the instance leaves the race while it is down.
    pub weight: i16,
    /// The weight acts in the other direction; at zero, the instance leaves the race while it is up.
    pub reverse: bool,
}

/// A command run every so often (`vrrp_script`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScriptConfig {
    /// The name instances refer to.
    pub name: String,
    /// The program and its arguments, quotes resolved. Never empty.
    pub command: Vec<String>,
    /// From one start to the next.
    pub interval: Duration,
    /// How long it may run; as long as `interval` if none is configured.
    pub timeout: Duration,
    /// -253 to 253. Positive, it is added to the priority while the script succeeds; negative, it is
    /// taken off while it fails; at zero, its failure takes the instance out of the race.
    pub weight: i16,
    /// The weight acts in the other direction; at zero, success takes the instance out of the race.
    pub reverse: bool,
    /// Successes in a row that make it good; at least 1.
    pub rise: u32,
    /// Failures in a row that make it bad; at least 1.
    pub fall: u32,
    /// Who runs it; [`Globals::script_user`] if none.
    pub user: Option<String>,
    /// Its group; the user's own if none.
    pub group: Option<String>,
    /// Counts as failed until it first succeeds.
    pub init_fail: bool,
}

impl Default for ScriptConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            command: Vec::new(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            weight: 0,
            reverse: false,
            rise: 1,
            fall: 1,
            user: None,
            group: None,
            init_fail: false,
        }
    }
}

/// An address that is put on an interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VirtualAddress {
    /// The address.
    pub address: IpAddr,
    /// Length of its prefix, 0 to 32 or 0 to 128.
    pub prefix_len: u8,
    /// Where it goes; the instance's interface if none.
    pub interface: Option<String>,
    /// Label of an IPv4 address, as `ip address` shows it.
    pub label: Option<String>,
    /// The kernel's number of its scope: 0 global, 200 site, 253 link, 254 host, 255 nowhere.
    pub scope: Option<u8>,
    /// The broadcast address set with it.
    pub broadcast: Option<Broadcast>,
    /// Its interface is not tracked.
    pub no_track: bool,
}

impl VirtualAddress {
    /// `address` alone on its prefix, without any option: `/32` or `/128`.
    #[must_use]
    pub const fn host(address: IpAddr) -> Self {
        let prefix_len = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        Self {
            address,
            prefix_len,
            interface: None,
            label: None,
            scope: None,
            broadcast: None,
            no_track: false,
        }
    }
}

/// `address/prefix`.
impl fmt::Display for VirtualAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

/// The broadcast address of a [`VirtualAddress`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Broadcast {
    /// This one.
    Address(Ipv4Addr),
    /// `+`: the prefix with all host bits set.
    HostBitsSet,
    /// `-`: the prefix with all host bits clear.
    HostBitsClear,
}

/// Virtual routers that move together (`vrrp_sync_group`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SyncGroupConfig {
    /// The name in logs.
    pub name: String,
    /// Names of its instances.
    pub instances: Vec<String>,
}

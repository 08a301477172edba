//! One virtual router.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use super::{
    MULTICAST_GROUP_V4, NotifyConfig, RouteConfig, RuleConfig, TrackedFile, TrackedInterface,
    TrackedProcess, TrackedScript, Version, VirtualAddress, VmacConfig, Vrid,
};

/// Which state an instance wishes to start in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Initial {
    /// `state MASTER`: decides only for the owner ([`OWNER`](super::OWNER)), who starts as master at once.
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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Auth {
    /// A clear text password, padded with zeros.
    Pass([u8; 8]),
    /// An IP authentication header (RFC 2402) with HMAC-MD5-96, its key padded with zeros.
    Ah([u8; 8]),
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
        f.write_str(match self {
            Self::Pass(_) => "Pass(..)",
            Self::Ah(_) => "Ah(..)",
        })
    }
}

/// One virtual router (`vrrp_instance`).
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
    pub unicast_peers: Vec<UnicastPeer>,
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
    /// Adverts signed by a key (keepalived 2.4's `auth_hmac`).
    pub hmac: Option<HmacConfig>,
    /// The owner ([`OWNER`](super::OWNER)) drops the adverts of others.
    pub owner_ignore_adverts: bool,
    /// An empty list of peers takes the instance out of the race, instead of meaning multicast.
    pub unicast_fault_no_peer: bool,
    /// A master that overslept yields, and takes this priority meanwhile.
    pub timer_expired_backup: Option<u8>,
    /// Checksums of version 3 to unicast peers as keepalived before 1.3.6 computed them.
    pub old_unicast_checksum: OldChecksum,
    /// Never holds an address, and says so.
    pub no_addresses: bool,
    /// The interface of its own that its addresses live on.
    pub vmac: Option<VmacConfig>,
    /// Addresses on other interfaces live on such interfaces too (`use_vmac_addr`).
    pub vmac_addresses: bool,
    /// The master's routes.
    pub routes: Vec<RouteConfig>,
    /// The master's rules.
    pub rules: Vec<RuleConfig>,
    /// Sets the interface's `promote_secondaries`.
    pub promote_secondaries: bool,
    /// The files that decide whether and how strongly it takes part.
    pub track_files: Vec<TrackedFile>,
    /// The processes that decide so.
    pub track_processes: Vec<TrackedProcess>,
    /// What is run and told at its transitions.
    pub notify: NotifyConfig,
}

impl InstanceConfig {
    /// Whether it speaks IPv4: decided by its first address, else by its source and its peers.
    #[must_use]
    pub fn is_ipv4(&self) -> bool {
        let first = self.addresses.first().map(|a| a.address);
        let any = first.or(self.source).or_else(|| self.unicast_peers.first().map(|p| p.address));
        any.is_none_or(|address| address.is_ipv4())
    }

    /// The interface `address` goes on: its own, or the one with the virtual MAC address, or the
    /// instance's.
    #[must_use]
    pub fn interface_of<'a>(&'a self, address: &'a VirtualAddress) -> &'a str {
        address.interface.as_deref().unwrap_or_else(|| self.address_interface())
    }

    /// The interface addresses go on that name none.
    #[must_use]
    pub fn address_interface(&self) -> &str {
        let vmac = self.vmac.as_ref().and_then(|vmac| vmac.name.as_deref());
        vmac.unwrap_or(&self.interface)
    }

    /// The interface adverts are sent and received on.
    #[must_use]
    pub fn advert_interface(&self) -> &str {
        match &self.vmac {
            Some(vmac) if vmac.xmit_base => &self.interface,
            Some(_) | None => self.address_interface(),
        }
    }

    /// All it holds as master: [`addresses`](Self::addresses), then [`excluded`](Self::excluded).
    pub fn held(&self) -> impl Iterator<Item = &VirtualAddress> {
        self.addresses.iter().chain(&self.excluded)
    }

    /// Where the adverts go: the peers, or else the group.
    pub fn destinations(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let group = self.unicast_peers.is_empty().then_some(self.multicast_group);
        self.unicast_peers.iter().map(|peer| peer.address).chain(group)
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
            hmac: None,
            owner_ignore_adverts: false,
            unicast_fault_no_peer: false,
            timer_expired_backup: None,
            old_unicast_checksum: OldChecksum::Detect,
            no_addresses: false,
            vmac: None,
            vmac_addresses: false,
            routes: Vec::new(),
            rules: Vec::new(),
            promote_secondaries: false,
            track_files: Vec::new(),
            track_processes: Vec::new(),
            notify: NotifyConfig::default(),
        }
    }
}

/// A router that is told by unicast.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct UnicastPeer {
    /// Its address.
    pub address: IpAddr,
    /// Adverts from it that arrive with fewer hops left are dropped.
    pub min_ttl: Option<u8>,
    /// Adverts from it that arrive with more hops left are dropped.
    pub max_ttl: Option<u8>,
}

impl From<IpAddr> for UnicastPeer {
    /// Whatever hops its adverts have left.
    fn from(address: IpAddr) -> Self {
        Self { address, min_ttl: None, max_ttl: None }
    }
}

/// Whether the checksum of keepalived before 1.3.6 is used between unicast peers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum OldChecksum {
    /// When a peer is heard to use it.
    #[default]
    Detect,
    /// From the start (`old_unicast_checksum`).
    Always,
    /// Never (`old_unicast_checksum never`).
    Never,
}

/// The 28 bytes keepalived 2.4 appends to signed adverts, and who may leave them out.
#[derive(Clone, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct HmacConfig {
    /// Number and key, 32 to 64 bytes each.
    pub keys: Vec<(u8, Vec<u8>)>,
    /// The number of the key that signs.
    pub active: u8,
    /// What tells an old advert.
    pub replay: HmacReplay,
    /// How far clocks may be apart: 1 to 300 s.
    pub window: Duration,
    /// What is required of others.
    pub mode: HmacMode,
}

/// Never shows the keys.
impl fmt::Debug for HmacConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HmacConfig")
            .field("active", &self.active)
            .field("replay", &self.replay)
            .field("window", &self.window)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// What tells an old advert from a new one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum HmacReplay {
    /// The time of day.
    #[default]
    Time,
    /// A number that only grows.
    Monotonic,
}

/// What is required of others' adverts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum HmacMode {
    /// A valid signature.
    #[default]
    Enforce,
    /// A valid signature or none.
    Permissive,
    /// Nothing; ours are not signed either.
    ReceiveOnly,
}

/// When a master announces its addresses by gratuitous ARP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
    /// The same between two unsolicited neighbour advertisements.
    pub gna_interval: Duration,
    /// Between periodic announcements on the addresses' other interfaces; zero for none.
    pub extra_interfaces: Duration,
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
            gna_interval: Duration::ZERO,
            extra_interfaces: Duration::ZERO,
        }
    }
}

/// Whether virtual addresses expire by themselves when nobody renews them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum LeasePolicy {
    /// Wherever the advert interval leaves room for it: a dead or frozen daemon then loses its
    /// addresses before a backup takes them.
    #[default]
    Auto,
    /// The addresses stay until they are removed, as keepalived's do.
    Off,
}

//! What instances inherit, as it is shown in dumps: the instances themselves have it already.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::{GarpConfig, MULTICAST_GROUP_V4, MULTICAST_GROUP_V6, Version};

/// What `global_defs` says for instances that say nothing themselves.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Inherited {
    /// Over IPv4; over IPv6 it is always 3.
    pub version: Version,
    /// Where adverts go over IPv4.
    pub multicast_v4: Ipv4Addr,
    /// Where they go over IPv6.
    pub multicast_v6: Ipv6Addr,
    /// When addresses are announced.
    pub garp: GarpConfig,
    /// How many adverts a master may miss; 1 to 100.
    pub down_timer_adverts: u8,
    /// A master does not answer an advert of lower priority.
    pub lower_prio_no_advert: bool,
    /// A master sends one last advert before it yields.
    pub higher_prio_send_advert: bool,
    /// Unicast adverts of others than the peers are dropped.
    pub check_unicast_source: bool,
    /// The addresses of a known master's adverts are not compared.
    pub skip_check_adv_addr: bool,
    /// To the letter of the RFC.
    pub strict: bool,
    /// The FIFO is told of every change of the priority.
    pub priority_changes: bool,
    /// Mail is sent, unless the next says otherwise.
    pub smtp_alert: Option<bool>,
    /// Mail is sent of instances.
    pub smtp_alert_vrrp: Option<bool>,
}

impl Default for Inherited {
    fn default() -> Self {
        Self {
            version: Version::V2,
            multicast_v4: MULTICAST_GROUP_V4,
            multicast_v6: MULTICAST_GROUP_V6,
            garp: GarpConfig::default(),
            down_timer_adverts: 3,
            lower_prio_no_advert: false,
            higher_prio_send_advert: false,
            check_unicast_source: false,
            skip_check_adv_addr: false,
            strict: false,
            priority_changes: false,
            smtp_alert: None,
            smtp_alert_vrrp: None,
        }
    }
}

//! What a virtual router asks its driver to do.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use crate::config::{RouteConfig, RuleConfig, VirtualAddress};
use crate::log::LogLine;

/// What an [`Instance`](crate::Instance) asks its driver to do, in this order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Send an advert to each of the
    /// [destinations](crate::config::InstanceConfig::destinations), as
    /// [`packet`](crate::Instance::packet) writes it.
    SendAdvert {
        /// Ours at this moment, or [`RESIGN`](crate::config::RESIGN).
        priority: u8,
    },
    /// Put these on their interfaces, or change them if they are there already.
    AddAddresses {
        /// Which.
        addresses: Vec<VirtualAddress>,
        /// For how long, in whole seconds; until removed if none.
        lifetime: Option<Duration>,
    },
    /// Take these off their interfaces; those that are not there are no error.
    RemoveAddresses {
        /// Which.
        addresses: Vec<VirtualAddress>,
    },
    /// Start the lifetime of all addresses [held](crate::config::InstanceConfig::held) afresh,
    /// adding those that are gone.
    RenewLease {
        /// For how long, in whole seconds.
        lifetime: Duration,
    },
    /// Put these in the kernel's tables; those that are there already are no error.
    AddRoutes {
        /// Routes, first.
        routes: Vec<RouteConfig>,
        /// Rules.
        rules: Vec<RuleConfig>,
    },
    /// Take these out of the kernel's tables; those that are not there are no error.
    RemoveRoutes {
        /// Rules, first.
        rules: Vec<RuleConfig>,
        /// Routes.
        routes: Vec<RouteConfig>,
    },
    /// Have the packet filter drop packets for these addresses, but neighbour discovery, until
    /// told otherwise (RFC 9568 §6.1, Accept_Mode).
    Block {
        /// Those that are dropped from now on; none takes the filter away.
        addresses: Vec<VirtualAddress>,
    },
    /// A master heard an advert of lower priority: for notify scripts.
    HeardLowerPriority,
    /// The priority changed, without a change of state: for the FIFO.
    PriorityChanged {
        /// What it is now.
        priority: u8,
    },
    /// Send one gratuitous ARP, or one unsolicited neighbour advertisement.
    Announce {
        /// Whose.
        address: IpAddr,
        /// Where.
        interface: String,
    },
    /// The state changed: for notify scripts, dumps and mails.
    Entered(State),
    /// Tell the operator.
    Log(LogLine),
}

/// The state of a virtual router, in an operator's words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Not started, stopped, or waiting for the first result of a script.
    Init,
    /// Ready to take over.
    Backup,
    /// Holding the addresses ("Active" in RFC 9568).
    Master,
    /// Not fit to hold them.
    Fault,
}

impl State {
    /// As logs and notify scripts write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::Backup => "BACKUP",
            Self::Master => "MASTER",
            Self::Fault => "FAULT",
        }
    }
}

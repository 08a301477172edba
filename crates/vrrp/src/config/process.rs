//! How the daemon runs.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// The daemon's place among other processes and in the file system.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ProcessConfig {
    /// The network namespace it works in; its own if none. Not changed by a reload.
    pub net_namespace: Option<String>,
    /// Part of the names of pid files. Not changed by a reload.
    pub instance_name: Option<String>,
    /// Pid files are in a directory of their own.
    pub use_pid_dir: bool,
    /// How long the supervisor waits for its roles at the end.
    pub child_wait: Duration,
    /// Of the VRRP role, -20 to 19.
    pub niceness: Option<i8>,
    /// `SCHED_RR` of the VRRP role, 1 to 99.
    pub realtime: Option<u8>,
    /// The VRRP role's memory stays in memory.
    pub no_swap: bool,
    /// On which processors it runs; all if empty.
    pub cpu_affinity: Vec<u32>,
    /// How long it may run without a system call at a realtime priority (`RLIMIT_RTTIME`).
    pub realtime_limit: Option<Duration>,
    /// The highest `SCHED_RR` priority it may give itself when it finds its timers late.
    pub max_auto_priority: Option<u8>,
    /// How late a timer is then.
    pub min_auto_priority_delay: Duration,
    /// Of all processes; `keepalived` if none.
    pub process_name: Option<String>,
    /// Of the VRRP role.
    pub vrrp_process_name: Option<String>,
    /// Of files it creates; 0177 if none.
    pub umask: Option<u32>,
}

impl Default for ProcessConfig {
    fn default() -> Self {
        Self {
            net_namespace: None,
            instance_name: None,
            use_pid_dir: false,
            child_wait: Duration::from_secs(5),
            niceness: None,
            realtime: None,
            no_swap: false,
            cpu_affinity: Vec::new(),
            realtime_limit: None,
            max_auto_priority: None,
            min_auto_priority_delay: Duration::from_secs(1),
            process_name: None,
            vrrp_process_name: None,
            umask: None,
        }
    }
}

/// What an SNMP master agent is told, by AgentX (RFC 2741).
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SnmpConfig {
    /// Where it listens, as net-snmp writes it: `unix:/var/agentx/master` if none, or
    /// `tcp:localhost:705`.
    pub socket: Option<String>,
    /// `KEEPALIVED-MIB`, its part about VRRP.
    pub keepalived: bool,
    /// `VRRP-MIB` (RFC 2787).
    pub rfc_v2: bool,
    /// `VRRPV3-MIB` (RFC 6527).
    pub rfc_v3: bool,
    /// Notifications of transitions are sent too.
    pub traps: bool,
}

impl SnmpConfig {
    /// Whether anything is told at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.keepalived || self.rfc_v2 || self.rfc_v3
    }
}

//! Every line an operator reads, in keepalived's words where it has any.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use crate::accept::Reject;
use crate::action::State;
use crate::config::{VirtualAddress, Vrid};

/// A line for the log, without time and process.
///
/// ```
/// use vrrp::{LogLine, Message, State};
///
/// let line = LogLine::new(&"VI_1".into(), Message::Entering(State::Master));
/// assert_eq!(line.to_string(), "(VI_1) Entering MASTER STATE");
/// assert!(!line.is_detail());
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogLine {
    /// The instance or the script it is about.
    pub subject: Arc<str>,
    /// What it says.
    pub message: Message,
}

impl LogLine {
    /// `message` about `subject`.
    #[must_use]
    pub fn new(subject: &Arc<str>, message: Message) -> Self {
        Self { subject: Arc::clone(subject), message }
    }

    /// Whether it is shown with `--log-detail` (`-D`) only.
    #[must_use]
    pub const fn is_detail(&self) -> bool {
        use Message as M;

        matches!(
            self.message,
            M::Vips { .. }
                | M::Routes { .. }
                | M::Rules { .. }
                | M::Firewall { .. }
                | M::ReceiveTimeout
                | M::SentZeroPriority
                | M::BackupReceivedZero
                | M::MasterReceivedZero
                | M::MasterSet { .. }
                | M::MasterChanged { .. }
                | M::PreemptDelayStarted { .. }
                | M::PreemptDelayStopped
                | M::IntervalUpdated { .. }
                | M::IntervalRestored { .. }
                | M::Announcing { .. }
                | M::Announced { .. }
                | M::AddressLost { .. }
        )
    }
}

/// What a [`LogLine`] says.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the line each stands for is in `Display`, below")]
pub enum Message {
    /// The first state after the start.
    EnteringBackupAtInit,
    Entering(State),
    /// Why it is not fit, said at the start only.
    FaultAtStart(Fault),
    EnteringFaultAtStart,
    /// "setting VIPs.", "removing E-VIPs."
    Vips {
        adding: bool,
        excluded: bool,
    },
    /// "setting Virtual Routes"
    Routes {
        adding: bool,
    },
    /// "setting Virtual Rules"
    Rules {
        adding: bool,
    },
    /// "setting firewall drop rule"
    Firewall {
        adding: bool,
    },
    /// The number of a tracked file now makes a fault, or no longer does.
    TrackedFile {
        name: String,
        fault: bool,
    },
    /// Checksums are written as a peer writes them, a keepalived of before 1.3.6.
    OldChecksum,
    /// Somebody else claims to own the addresses too.
    OtherOwner {
        from: IpAddr,
    },
    /// And goes on after it could have heard us.
    OtherOwnerStays {
        from: IpAddr,
    },
    OwnerAgain {
        priority: u8,
    },
    /// Of a sync group.
    GroupSyncing(State),
    /// An address left the configuration.
    AddressGone {
        address: VirtualAddress,
        interface: String,
    },
    ReceiveTimeout,
    SentZeroPriority,
    BackupReceivedZero,
    MasterReceivedZero,
    LowerPriorityDiscarded {
        priority: u8,
        from: IpAddr,
    },
    HigherPriority {
        from: IpAddr,
        theirs: u8,
        ours: u8,
    },
    /// Ours alone: a master that fell silent is heard again, while we are master.
    Returned {
        from: IpAddr,
    },
    /// Ours alone: there was another master, of lower priority, out of our reach.
    Split {
        from: IpAddr,
        theirs: u8,
    },
    SamePriorityHigherAddress {
        from: IpAddr,
        priority: u8,
    },
    LowerPriority {
        from: IpAddr,
        theirs: u8,
        ours: u8,
        electing: bool,
    },
    OurAddressElsewhere,
    MasterSet {
        to: IpAddr,
    },
    MasterChanged {
        from: IpAddr,
        to: IpAddr,
    },
    EffectivePriority {
        from: u8,
        to: u8,
    },
    PreemptDelayStarted {
        delay: Duration,
    },
    PreemptDelayStopped,
    IntervalUpdated {
        from: Duration,
        to: Duration,
    },
    IntervalRestored {
        from: Duration,
        to: Duration,
    },
    Announcing {
        address: IpAddr,
        interface: String,
    },
    Announced {
        address: IpAddr,
        interface: String,
    },
    AddressLost {
        address: IpAddr,
        interface: String,
    },
    Rejected(Reject),
    AddressCount {
        received: usize,
        expected: usize,
    },
    AddressMissing {
        vrid: Vrid,
        address: IpAddr,
    },
    IntervalDiffers {
        mine: Duration,
        theirs: Duration,
    },
    TimerExpired {
        late: Duration,
    },
    /// Ours: the silence was so long that somebody else may hold the addresses.
    Overslept {
        silence: Duration,
    },
    /// Ours: another process was master before, and this one goes on.
    Resumed {
        silent: Duration,
    },
    /// Ours: adverts are too frequent for kernel lifetimes, which are whole seconds.
    ShortLease {
        interval: Duration,
    },
    ScriptSucceeded,
    ScriptExited {
        status: i32,
    },
    ScriptSignalled {
        signal: i32,
    },
    ScriptTimedOut,
    ScriptFailedToRun {
        reason: String,
    },
    ScriptNowReturning {
        status: i32,
    },
    ScriptSkipped {
        killing: bool,
    },
    ScriptNotTerminated {
        pid: u32,
    },
}

/// What keeps an instance out of the race.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fault {
    /// An interface is down.
    InterfaceDown(String),
    /// An interface that should be down is up.
    InterfaceUp(String),
    /// The interface has no address of the family, or not the configured one.
    NoSource {
        /// Which family.
        ipv4: bool,
        /// A source is configured.
        configured: bool,
    },
    /// A script without weight failed, or succeeded in reverse.
    Script(String),
    /// The number in a tracked file.
    File(String),
    /// Too few of a tracked process without weight, or too many.
    Process(String),
    /// It has no unicast peer, and must not speak to the group.
    NoPeer,
    /// Another member of the sync group.
    Group,
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Message as M;

        let name = &self.subject;
        match &self.message {
            M::Announced { address, interface } if address.is_ipv4() => {
                write!(f, "Sending gratuitous ARP on {interface} for {address}")
            }
            M::Announced { address, interface } => {
                write!(f, "Sending unsolicited Neighbour Advert on {interface} for {address}")
            }
            M::AddressLost { address, interface } => {
                write!(f, "Netlink reflector reports IP {address} removed from {interface}")
            }
            M::TimerExpired { late } => write!(
                f,
                "A thread timer expired {}.{:06} seconds ago",
                late.as_secs(),
                late.subsec_micros()
            ),
            M::FaultAtStart(
                fault @ (Fault::InterfaceDown(_) | Fault::InterfaceUp(_) | Fault::File(_)),
            ) => write!(f, "({name}): entering FAULT state ({fault})"),
            M::TrackedFile { name: file, fault } => {
                let what = if *fault { "now" } else { "leaving" };
                write!(f, "({name}): tracked file {file} {what} FAULT state")
            }
            M::GroupSyncing(state) => {
                write!(f, "VRRP_Group({name}) Syncing instances to {} state", state.name())
            }
            M::ScriptSucceeded => write!(f, "VRRP_Script({name}) succeeded"),
            M::ScriptExited { status } => {
                write!(f, "VRRP_Script({name}) failed (exited with status {status})")
            }
            M::ScriptSignalled { signal } => {
                write!(f, "VRRP_Script({name}) failed (due to signal {signal})")
            }
            M::ScriptTimedOut => write!(f, "VRRP_Script({name}) timed_out"),
            M::ScriptFailedToRun { reason } => {
                write!(f, "VRRP_Script({name}) failed (could not be run: {reason})")
            }
            M::ScriptNowReturning { status } => {
                write!(f, "Script `{name}` now returning {status}")
            }
            M::ScriptSkipped { killing } => {
                let doing = if *killing { "being timed out" } else { "already running" };
                write!(f, "Track script {name} is {doing}, expect idle - skipping run")
            }
            M::ScriptNotTerminated { pid } => {
                write!(f, "Script {name} child (PID {pid}) failed to terminate after kill")
            }
            message => {
                write!(f, "({name}) ")?;
                message.about_instance(f)
            }
        }
    }
}

impl Message {
    /// The lines that start with the instance in parentheses.
    fn about_instance(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EnteringBackupAtInit => f.write_str("Entering BACKUP STATE (init)"),
            Self::Entering(state) => write!(f, "Entering {} STATE", state.name()),
            Self::FaultAtStart(Fault::NoPeer) => fmt::Display::fmt(&Fault::NoPeer, f),
            Self::FaultAtStart(fault) => write!(f, "entering FAULT state ({fault})"),
            Self::EnteringFaultAtStart => f.write_str("entering FAULT state"),
            Self::Vips { adding, excluded } => {
                write!(f, "{} {}VIPs.", verb(*adding), if *excluded { "E-" } else { "" })
            }
            Self::Routes { adding } => write!(f, "{} Virtual Routes", verb(*adding)),
            Self::Rules { adding } => write!(f, "{} Virtual Rules", verb(*adding)),
            Self::Firewall { adding } => write!(f, "{} firewall drop rule", verb(*adding)),
            Self::AddressGone { address, interface } => {
                write!(f, "ip address {address} dev {interface}, no longer exist")
            }
            Self::ReceiveTimeout => f.write_str("Receive advertisement timeout"),
            Self::SentZeroPriority => f.write_str("sent 0 priority"),
            Self::BackupReceivedZero => f.write_str("Backup received priority 0 advertisement"),
            Self::MasterReceivedZero => f.write_str("Master received priority 0 message"),
            Self::LowerPriorityDiscarded { priority, from } => {
                write!(f, "received lower priority ({priority}) advert from {from} - discarding")
            }
            Self::HigherPriority { from, theirs, ours } => write!(
                f,
                "Master received advert from {from} with higher priority {theirs}, ours {ours}"
            ),
            Self::Returned { from } => write!(
                f,
                "{from}, which fell silent, is master, again or all along - it is told, so that it \
                 announces the addresses"
            ),
            Self::Split { from, theirs } => write!(
                f,
                "split: {from} has been master too, with priority {theirs} - both may have held the \
                 addresses"
            ),
            Self::SamePriorityHigherAddress { from, priority } => write!(
                f,
                "Master received advert from {from} with same priority {priority} but higher IP \
                 address than ours"
            ),
            Self::LowerPriority { from, theirs, ours, electing } => {
                let electing = if *electing { ", forcing new election" } else { "" };
                write!(
                    f,
                    "Received advert from {from} with lower priority {theirs}, ours {ours}{electing}"
                )
            }
            Self::OurAddressElsewhere => f.write_str(
                "WARNING - equal priority advert received from remote host with our IP address.",
            ),
            Self::MasterSet { to } => write!(f, "master set to {to}"),
            Self::MasterChanged { from, to } => write!(f, "master changed from {from} to {to}"),
            Self::EffectivePriority { from, to } => {
                write!(f, "Changing effective priority from {from} to {to}")
            }
            Self::PreemptDelayStarted { delay } => {
                write!(f, "start preempt delay ({}.{:06})", delay.as_secs(), delay.subsec_micros())
            }
            Self::PreemptDelayStopped => f.write_str("stop preempt delay"),
            Self::IntervalUpdated { from, to } => write!(
                f,
                "advertisement interval updated from {}ms to {}ms by master",
                from.as_millis(),
                to.as_millis()
            ),
            Self::IntervalRestored { from, to } => write!(
                f,
                "changing advert interval from {}ms to locally configured {}ms",
                from.as_millis(),
                to.as_millis()
            ),
            Self::Announcing { address, interface } => {
                let what = match address {
                    IpAddr::V4(_) => "gratuitous ARPs",
                    IpAddr::V6(_) => "Unsolicited Neighbour Adverts",
                };
                write!(f, "Sending/queueing {what} on {interface} for {address}")
            }
            Self::Rejected(reject) => fmt::Display::fmt(reject, f),
            Self::AddressCount { received, expected } => {
                write!(f, "received an unexpected ip number count {received}, expected {expected}!")
            }
            Self::AddressMissing { vrid, address } => write!(
                f,
                "ip address associated with VRID {vrid} not present in MASTER advert: {address}"
            ),
            Self::IntervalDiffers { mine, theirs } => write!(
                f,
                "advertisement interval mismatch mine={}ms rcv'd={}ms",
                mine.as_millis(),
                theirs.as_millis()
            ),
            Self::Overslept { silence } => write!(
                f,
                "silent for {:.3} sec - leaving MASTER, since a backup may have taken over",
                silence.as_secs_f64()
            ),
            Self::OldChecksum => f.write_str("Setting unicast VRRPv3 checksum to old version"),
            Self::OtherOwner { from } => write!(
                f,
                "CONFIGURATION ERROR: local instance and {from} are both configured as address \
                 owner, please resolve"
            ),
            Self::OtherOwnerStays { from } => write!(
                f,
                "{from} is still advertising as address owner, please resolve - reducing our \
                 priority"
            ),
            Self::OwnerAgain { priority } => write!(
                f,
                "Restoring our priority to {priority} since other address owner has disappeared"
            ),
            Self::Resumed { silent } => write!(
                f,
                "still MASTER after this process was restarted, silent for {:.3} sec at most",
                silent.as_secs_f64()
            ),
            Self::ShortLease { interval } => write!(
                f,
                "advert_int {} sec is too short for an address lease that ends before a backup takes \
                 over - if this process dies, both hold the addresses for a second",
                interval.as_secs_f64()
            ),
            // Written by `LogLine`: these lines do not start with an instance.
            Self::Announced { .. }
            | Self::AddressLost { .. }
            | Self::TimerExpired { .. }
            | Self::TrackedFile { .. }
            | Self::GroupSyncing(_)
            | Self::ScriptSucceeded
            | Self::ScriptExited { .. }
            | Self::ScriptSignalled { .. }
            | Self::ScriptTimedOut
            | Self::ScriptFailedToRun { .. }
            | Self::ScriptNowReturning { .. }
            | Self::ScriptSkipped { .. }
            | Self::ScriptNotTerminated { .. } => Ok(()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InterfaceDown(name) => write!(f, "interface {name} down"),
            Self::InterfaceUp(name) => write!(f, "interface {name} up"),
            Self::NoSource { configured: true, .. } => f.write_str("src address not configured"),
            Self::NoSource { ipv4, .. } => {
                write!(f, "no IPv{} address for interface", if *ipv4 { 4 } else { 6 })
            }
            Self::Script(name) => write!(f, "script {name}"),
            Self::File(name) => write!(f, "tracked file {name} has status -254"),
            Self::Process(name) => write!(f, "tracked process {name} quorum not achieved"),
            Self::NoPeer => {
                f.write_str("Cannot use unicast without any peers - going to fault state")
            }
            Self::Group => f.write_str("another instance of its group"),
        }
    }
}

const fn verb(adding: bool) -> &'static str {
    if adding { "setting" } else { "removing" }
}

#[cfg(test)]
mod tests;

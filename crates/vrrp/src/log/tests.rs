use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use core::net::Ipv4Addr;

use super::*;
use crate::config::Version;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 12));
const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 100));

fn line(message: Message) -> (alloc::string::String, bool) {
    let line = LogLine::new(&"VI_1".into(), message);
    (line.to_string(), line.is_detail())
}

/// Each as keepalived 2.2.7 or 2.4.3 was seen to write it, and whether that takes `-D`.
#[test]
fn lines_are_worded_as_keepalived_words_them() {
    use Message as M;

    let eth0 = || "eth0".into();
    let second = Duration::from_secs(1);
    let rows = vec![
        (M::EnteringBackupAtInit, false, "(VI_1) Entering BACKUP STATE (init)"),
        (M::Entering(State::Master), false, "(VI_1) Entering MASTER STATE"),
        (M::Entering(State::Backup), false, "(VI_1) Entering BACKUP STATE"),
        (M::Entering(State::Fault), false, "(VI_1) Entering FAULT STATE"),
        (
            M::FaultAtStart(Fault::InterfaceDown(eth0())),
            false,
            "(VI_1): entering FAULT state (interface eth0 down)",
        ),
        (
            M::FaultAtStart(Fault::InterfaceUp(eth0())),
            false,
            "(VI_1): entering FAULT state (interface eth0 up)",
        ),
        (
            M::FaultAtStart(Fault::NoSource { ipv4: true, configured: false }),
            false,
            "(VI_1) entering FAULT state (no IPv4 address for interface)",
        ),
        (
            M::FaultAtStart(Fault::NoSource { ipv4: false, configured: false }),
            false,
            "(VI_1) entering FAULT state (no IPv6 address for interface)",
        ),
        (
            M::FaultAtStart(Fault::NoSource { ipv4: true, configured: true }),
            false,
            "(VI_1) entering FAULT state (src address not configured)",
        ),
        (M::EnteringFaultAtStart, false, "(VI_1) entering FAULT state"),
        (M::Vips { adding: true, excluded: false }, true, "(VI_1) setting VIPs."),
        (M::Vips { adding: false, excluded: true }, true, "(VI_1) removing E-VIPs."),
        (
            M::AddressGone { address: VirtualAddress::host(VIP), interface: eth0() },
            false,
            "(VI_1) ip address 10.9.0.100/32 dev eth0, no longer exist",
        ),
        (M::ReceiveTimeout, true, "(VI_1) Receive advertisement timeout"),
        (M::SentZeroPriority, true, "(VI_1) sent 0 priority"),
        (M::BackupReceivedZero, true, "(VI_1) Backup received priority 0 advertisement"),
        (M::MasterReceivedZero, true, "(VI_1) Master received priority 0 message"),
        (
            M::LowerPriorityDiscarded { priority: 99, from: PEER },
            false,
            "(VI_1) received lower priority (99) advert from 10.9.0.12 - discarding",
        ),
        (
            M::HigherPriority { from: PEER, theirs: 150, ours: 100 },
            false,
            "(VI_1) Master received advert from 10.9.0.12 with higher priority 150, ours 100",
        ),
        (
            M::Returned { from: PEER },
            false,
            "(VI_1) 10.9.0.12, which fell silent, is master, again or all along - it is told, so \
             that it announces the addresses",
        ),
        (
            M::Split { from: PEER, theirs: 100 },
            false,
            "(VI_1) split: 10.9.0.12 has been master too, with priority 100 - both may have held \
             the addresses",
        ),
        (
            M::SamePriorityHigherAddress { from: PEER, priority: 100 },
            false,
            "(VI_1) Master received advert from 10.9.0.12 with same priority 100 but higher IP \
             address than ours",
        ),
        (
            M::LowerPriority { from: PEER, theirs: 100, ours: 150, electing: true },
            false,
            "(VI_1) Received advert from 10.9.0.12 with lower priority 100, ours 150, forcing new \
             election",
        ),
        (
            M::OurAddressElsewhere,
            false,
            "(VI_1) WARNING - equal priority advert received from remote host with our IP address.",
        ),
        (M::MasterSet { to: PEER }, true, "(VI_1) master set to 10.9.0.12"),
        (
            M::MasterChanged { from: VIP, to: PEER },
            true,
            "(VI_1) master changed from 10.9.0.100 to 10.9.0.12",
        ),
        (
            M::EffectivePriority { from: 150, to: 130 },
            false,
            "(VI_1) Changing effective priority from 150 to 130",
        ),
        (
            M::PreemptDelayStarted { delay: Duration::from_secs(3) },
            true,
            "(VI_1) start preempt delay (3.000000)",
        ),
        (M::PreemptDelayStopped, true, "(VI_1) stop preempt delay"),
        (
            M::IntervalUpdated { from: 2 * second, to: second },
            true,
            "(VI_1) advertisement interval updated from 2000ms to 1000ms by master",
        ),
        (
            M::IntervalRestored { from: second, to: 2 * second },
            true,
            "(VI_1) changing advert interval from 1000ms to locally configured 2000ms",
        ),
        (
            M::Announcing { address: VIP, interface: eth0() },
            true,
            "(VI_1) Sending/queueing gratuitous ARPs on eth0 for 10.9.0.100",
        ),
        (
            M::Announcing { address: core::net::Ipv6Addr::LOCALHOST.into(), interface: eth0() },
            true,
            "(VI_1) Sending/queueing Unsolicited Neighbour Adverts on eth0 for ::1",
        ),
        (
            M::Announced { address: VIP, interface: eth0() },
            true,
            "Sending gratuitous ARP on eth0 for 10.9.0.100",
        ),
        (
            M::Announced { address: core::net::Ipv6Addr::LOCALHOST.into(), interface: eth0() },
            true,
            "Sending unsolicited Neighbour Advert on eth0 for ::1",
        ),
        (
            M::AddressLost { address: VIP, interface: eth0() },
            true,
            "Netlink reflector reports IP 10.9.0.100 removed from eth0",
        ),
        (M::Routes { adding: true }, true, "(VI_1) setting Virtual Routes"),
        (M::Rules { adding: false }, true, "(VI_1) removing Virtual Rules"),
        (M::Firewall { adding: true }, true, "(VI_1) setting firewall drop rule"),
        (
            M::TrackedFile { name: "tf".into(), fault: true },
            false,
            "(VI_1): tracked file tf now FAULT state",
        ),
        (M::GroupSyncing(State::Fault), false, "VRRP_Group(VI_1) Syncing instances to FAULT state"),
        (
            M::FaultAtStart(Fault::File("tz".into())),
            false,
            "(VI_1): entering FAULT state (tracked file tz has status -254)",
        ),
        (
            M::FaultAtStart(Fault::Process("pr".into())),
            false,
            "(VI_1) entering FAULT state (tracked process pr quorum not achieved)",
        ),
        (M::Rejected(Reject::Checksum(Version::V2)), false, "(VI_1) Invalid VRRPv2 checksum"),
        (
            M::TimerExpired { late: Duration::from_micros(5_473_355) },
            false,
            "A thread timer expired 5.473355 seconds ago",
        ),
    ];
    for (message, detail, expected) in rows {
        assert_eq!(line(message), (expected.to_string(), detail));
    }
}

#[test]
fn states_are_named_as_notify_scripts_expect() {
    let states = [State::Init, State::Backup, State::Master, State::Fault];
    assert_eq!(states.map(State::name), ["INIT", "BACKUP", "MASTER", "FAULT"]);
}

#[test]
fn a_password_is_never_shown() {
    assert_eq!(format!("{:?}", crate::config::Auth::pass("secret")), "Pass(..)");
}

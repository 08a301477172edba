//! RFC 9568 with its errata, VRRP version 3: every sentence that binds, who keeps it, and what shows
//! it.

mod common;
#[path = "common/rows.rs"]
mod rows;

use std::net::IpAddr;

use common::*;
use rows::{AsKeepalived, Elsewhere, Here, Row, row};
use vrrp::State::{Backup, Init, Master};
use vrrp::config::{Initial, InstanceConfig, MULTICAST_GROUP_V6, Version, VirtualAddress};
use vrrp::{Action, Datagram, Event, Reject};
use wire::vrrp::{Advert, AuthData, Message, PseudoHeader};

const TABLE: &[Row] = &[
    row(
        1,
        "5.1.1.2",
        "what goes to 224.0.0.18 is never forwarded",
        Elsewhere("the kernel: it is of the link"),
    ),
    row(2, "5.1.1.3", "adverts leave with a TTL of 255", Here(|| assert_eq!(sent()[8], 255))),
    row(
        3,
        "5.1.1.3",
        "with another TTL they are discarded",
        Here(|| refused(&v3(), 254, &good(), Reject::Ttl(254))),
    ),
    row(
        4,
        "5.1.2.2",
        "what goes to ff02::12 is never forwarded",
        Elsewhere("the kernel: it is of the link"),
    ),
    row(
        5,
        "5.1.2.3",
        "over IPv6 they leave with a hop limit of 255",
        Elsewhere("the socket: crate linux, whose tests show it"),
    ),
    row(
        6,
        "5.1.2.3",
        "with another hop limit they are discarded",
        Here(|| {
            let payload = good6();
            let datagram = |hops| Datagram::new(LL, MULTICAST_GROUP_V6.into(), hops, &payload);
            assert_eq!(accept6(datagram(255)), Ok(()));
            assert_eq!(accept6(datagram(254)), Err(Reject::Ttl(254)));
        }),
    ),
    row(
        7,
        "5.2.2",
        "unknown types are discarded",
        Here(|| refused(&v3(), 255, &changed(0, 0x32), Reject::PacketType(2))),
    ),
    row(
        8,
        "5.2.4",
        "the owner's priority is 255",
        Here(|| {
            let mut bench = Bench::master(owner());
            bench.expire();
            assert_eq!(bench.done()[0], send(255));
        }),
    ),
    row(
        9,
        "5.2.4",
        "a backup's is 1 to 254",
        Here(|| assert!((1..=254).contains(&Bench::started(v3()).instance.priority()))),
    ),
    row(
        10,
        "5.2.5",
        "without addresses it is ignored",
        AsKeepalived(|| {
            let none = advert_of(&[], secs(1));
            assert_eq!(judge(&v3(), 255, &none), Ok(()), "keepalived 2.4 only says so");
            refused(&strict(), 255, &none, Reject::NoAddresses);
        }),
    ),
    row(
        11,
        "5.2.6",
        "reserved bits are zero, and ignored",
        Here(|| {
            assert_eq!(sent()[24] & 0xf0, 0);
            let mut reserved = good();
            reserved[4] |= 0xf0;
            // One's complement: what was added there is taken away here.
            let sum = u16::from_be_bytes([reserved[6], reserved[7]]);
            let (less, borrow) = sum.overflowing_sub(0xf000);
            reserved[6..8].copy_from_slice(&(less - u16::from(borrow)).to_be_bytes());
            assert_eq!(judge(&v3(), 255, &reserved), Ok(()));
        }),
    ),
    row(
        12,
        "5.2.8",
        "the checksum counts a pseudo header over IPv6, none over IPv4",
        AsKeepalived(|| {
            let ends = PseudoHeader { source: US, destination: GROUP };
            let is = |config: &InstanceConfig, ends| {
                let packet = sent_by(config);
                Message::parse(&packet[20..]).expect("an advert").checksum_is_valid(ends)
            };
            assert!(is(&v3(), Some(ends)), "keepalived counts it, as RFC 5798 has it");
            assert!(is(&InstanceConfig { v3_checksum_as_v2: true, ..v3() }, None));
            let without = Advert { version: Version::V3, ..base(&[VIP]) }.to_bytes(None);
            assert_eq!(judge(&v3(), 255, &without), Ok(()), "either is accepted");
            let mut other = without;
            other[7] ^= 1;
            refused(&v3(), 255, &other, Reject::Checksum(Version::V3));
        }),
    ),
    row(
        13,
        "5.2.9",
        "the first address over IPv6 is link-local",
        Elsewhere("what is configured; strict mode insists: crate keepalived-conf"),
    ),
    row(
        14,
        "5.2.9",
        "addresses are of one family, the header's",
        Here(|| {
            let message = good6();
            let message = Message::parse_v6(&message).expect("an advert");
            assert!(message.addresses().all(|address| address.is_ipv6()));
        }),
    ),
    row(
        15,
        "6.1",
        "neighbour discovery is never dropped",
        Elsewhere("the packet filter: `Action::Block` asks for it"),
    ),
    row(16, "6.4.2", "a backup answers no ARP for the addresses", Here(a_backup_has_no_address)),
    row(17, "6.4.2", "nor neighbour solicitations", Here(a_backup_has_no_address)),
    row(
        18,
        "6.4.2",
        "nor sends router advertisements for the virtual router",
        Elsewhere("there is no sender of those"),
    ),
    row(19, "6.4.2", "it discards frames to the virtual MAC", Elsewhere(VMAC)),
    row(20, "6.4.2", "it accepts no packets for the addresses", Here(a_backup_has_no_address)),
    row(
        21,
        "6.4.2",
        "told to shut down, it forgets its timer and is in Initialize",
        Here(|| {
            let mut bench = Bench::started(v3());
            bench.tell(Event::Shutdown);
            assert_eq!((bench.done(), bench.instance.state()), (vec![Action::Entered(Init)], Init));
            assert_eq!(bench.wait(), secs(0));
        }),
    ),
    row(
        22,
        "6.4.2",
        "its timer fires: an advert, announcements, and it is active",
        Here(|| {
            let mut bench = Bench::started(v3());
            bench.expire();
            assert_eq!((bench.done(), bench.instance.state()), (vec![send(100)], Master));
            bench.take_addresses();
            assert_eq!(bench.done()[0], add());
            assert_eq!(announcements(&bench.actions), 5);
        }),
    ),
    row(
        23,
        "6.4.2",
        "priority 0 heard: its timer is the skew",
        Here(|| {
            let mut bench = Bench::started(v3());
            bench.hear(LOW, 0);
            assert_eq!(bench.wait(), micros(609_375));
        }),
    ),
    row(
        24,
        "6.4.2",
        "at least its own priority heard, or it does not preempt: interval, skew and timer are the sender's",
        Here(|| {
            for (priority, preempt) in [(100, true), (101, true), (1, false)] {
                let mut bench = Bench::started(InstanceConfig { preempt, ..v3() });
                bench.hear_every(LOW, priority, ms(500));
                assert_eq!(bench.wait(), micros(3_609_375) / 2);
            }
        }),
    ),
    row(
        25,
        "6.4.2",
        "else the advert is discarded",
        Here(|| {
            let mut bench = Bench::started(v3());
            bench.pass(secs(1));
            bench.hear_every(LOW, 99, secs(2));
            assert_eq!((bench.done(), bench.wait()), (vec![], micros(2_609_375)));
        }),
    ),
    row(
        26,
        "6.4.3, 8.1.2",
        "the active one answers ARP for the addresses",
        Here(the_master_has_the_addresses),
    ),
    row(
        27,
        "6.4.3",
        "it is member of the solicited-node group",
        Elsewhere("the kernel, when the address is added"),
    ),
    row(
        28,
        "6.4.3, 8.2.2",
        "it answers solicitations, as a router",
        Elsewhere("the kernel, when the address is added"),
    ),
    row(
        29,
        "6.4.3",
        "it sends router advertisements for the virtual router",
        Elsewhere("no daemon for those is part of this, nor of keepalived"),
    ),
    row(30, "6.4.3", "it forwards frames to the virtual MAC", Elsewhere(VMAC)),
    row(
        31,
        "6.4.3",
        "it accepts packets for the addresses if it owns them or is to accept",
        Here(|| {
            assert!(!blocks(&v3()));
            assert!(!blocks(&InstanceConfig { accept: false, ..owner() }));
        }),
    ),
    row(
        32,
        "6.4.3",
        "else it does not",
        Here(|| assert!(blocks(&InstanceConfig { accept: false, ..v3() }))),
    ),
    row(
        33,
        "6.4.3",
        "told to shut down, it sends priority 0 and is in Initialize",
        Here(|| {
            let mut bench = Bench::settled(v3());
            bench.tell(Event::Shutdown);
            assert_eq!(bench.done(), [remove(), send(0), Action::Entered(Init)]);
        }),
    ),
    row(
        34,
        "6.4.3",
        "its timer fires: an advert, and the timer starts anew",
        Here(|| {
            let mut bench = Bench::settled(v3());
            bench.expire();
            assert_eq!((bench.done()[0].clone(), bench.wait()), (send(100), secs(1)));
        }),
    ),
    row(
        35,
        "6.4.3",
        "priority 0 heard: an advert, and the timer starts anew",
        Here(|| {
            let mut bench = Bench::settled(v3());
            bench.pass(ms(400));
            bench.hear(LOW, 0);
            assert_eq!((bench.done()[0].clone(), bench.wait()), (send(100), secs(1)));
        }),
    ),
    row(
        36,
        "6.4.3",
        "a better one heard: its interval is adopted, and it is backup; a worse one is answered at once",
        Here(|| {
            for (from, priority) in [(LOW, 101), (HIGH, 100)] {
                let mut bench = Bench::settled(v3());
                bench.hear_every(from, priority, ms(500));
                assert_eq!(bench.done(), [remove(), Action::Entered(Backup)]);
                assert_eq!(bench.wait(), micros(3_609_375) / 2);
            }
            for (from, priority) in [(HIGH, 99), (LOW, 100)] {
                let mut bench = Bench::settled(v3());
                bench.hear(from, priority);
                assert_eq!(bench.done()[0], send(100));
            }
        }),
    ),
    row(
        37,
        "7.1",
        "the version is 3",
        Here(|| {
            refused(
                &v3(),
                255,
                &advert(&config(), LOW, 200, secs(1)),
                Reject::Version { received: 2, expected: Version::V3 },
            );
            refused(
                &v3(),
                255,
                &changed(0, 0x41),
                Reject::Version { received: 4, expected: Version::V3 },
            );
        }),
    ),
    row(
        38,
        "7.1",
        "the type is 1",
        Here(|| refused(&v3(), 255, &changed(0, 0x30), Reject::PacketType(0))),
    ),
    row(
        39,
        "7.1",
        "the packet is whole",
        Here(|| {
            for end in 0..good().len() {
                let verdict = judge(&v3(), 255, &good()[..end]);
                assert!(matches!(verdict, Err(Reject::Length { .. })), "{end} {verdict:?}");
            }
        }),
    ),
    row(
        40,
        "7.1",
        "the checksum is right",
        Here(|| {
            for config in [v3(), InstanceConfig { v3_checksum_as_v2: true, ..v3() }] {
                refused(&config, 255, &changed(2, 101), Reject::Checksum(Version::V3));
            }
        }),
    ),
    row(
        41,
        "7.1",
        "the virtual router is of this interface; that we own it should be noticed",
        Here(|| {
            refused(&v3(), 255, &changed(1, 52), Reject::Vrid(52));
            let mut bench = Bench::settled(owner());
            bench.hear(LOW, 255);
            assert!(bench.said()[0].contains("CONFIGURATION ERROR"), "{:?}", bench.said());
            refused(&InstanceConfig { strict: true, ..owner() }, 255, &good(), Reject::Owner(LOW));
        }),
    ),
    row(
        42,
        "7.1",
        "the interval is not zero",
        Here(|| {
            refused(&v3(), 255, &advert_of(&[VIP], secs(0)), Reject::ZeroInterval);
        }),
    ),
    row(
        43,
        "7.1",
        "what fails is discarded",
        Here(|| {
            let mut bench = Bench::started(v3());
            let before = bench.wait();
            bench.tell(Event::Received(Datagram::new(LOW, GROUP, 1, &good())));
            assert_eq!((bench.done(), bench.wait()), (vec![], before));
        }),
    ),
    row(
        44,
        "7.2",
        "fields are filled in, and the checksum",
        Here(|| {
            let packet = sent();
            let message = Message::parse(&packet[20..]).expect("an advert");
            assert_eq!((message.vrid, message.priority, message.interval), (51, 100, secs(1)));
            assert!(message.addresses().eq([VIP]));
            assert!(
                message.checksum_is_valid(Some(PseudoHeader { source: US, destination: GROUP }))
            );
        }),
    ),
    row(45, "7.2", "the source MAC is the virtual one", Elsewhere(VMAC)),
    row(
        46,
        "7.2",
        "the source is the primary address, over IPv6 the link-local one",
        Here(|| {
            assert_eq!(sent()[12..16], [192, 0, 2, 5]);
        }),
    ),
    row(
        47,
        "7.2",
        "it is protocol 112, to the group",
        Here(|| {
            assert_eq!((sent()[9], &sent()[16..20]), (112, &[224, 0, 0, 18][..]));
        }),
    ),
    row(48, "7.3", "the virtual MAC is 00-00-5E-00-01 or 02 and the VRID", Elsewhere(VMAC)),
    row(49, "7.4", "no interface identifier is derived from it", Elsewhere(VMAC)),
    row(50, "8.1.2", "ARP is not answered with the physical MAC", Elsewhere(VMAC)),
    row(
        51,
        "8.1.2",
        "nothing is announced before the address is there",
        Here(|| {
            let bench = Bench::master(v3());
            let place = |is: fn(&Action) -> bool| bench.actions.iter().position(is);
            let added = place(|action| matches!(action, Action::AddAddresses { .. }));
            assert!(added < place(|action| matches!(action, Action::Announce { .. })));
        }),
    ),
    row(52, "8.1.3", "proxy ARP uses the virtual MAC", Elsewhere(VMAC)),
    row(53, "8.2.2", "solicitations are not answered with the physical MAC", Elsewhere(VMAC)),
    row(54, "8.2.2", "those it sends have the virtual MAC", Elsewhere(VMAC)),
    row(55, "8.2.2", "and never the physical one", Elsewhere(VMAC)),
    row(
        56,
        "8.2.2",
        "nothing is advertised at the start before the address is there",
        Here(|| {
            let bench = Bench::started(v3());
            assert_eq!(announcements(&bench.actions), 0);
        }),
    ),
    row(
        57,
        "8.2.3",
        "backups send the same router advertisements",
        Elsewhere("no daemon for those is part of this, nor of keepalived"),
    ),
    row(
        58,
        "8.4.2",
        "with both versions, an active one sends both",
        Elsewhere("one instance speaks one version, as keepalived's does; two instances can"),
    ),
    row(
        59,
        "8.4.2",
        "with both versions, a backup goes by the sender's rate",
        Elsewhere("one instance speaks one version, as keepalived's does"),
    ),
    row(
        60,
        "8.4.2",
        "seconds are translated to hundredths",
        Elsewhere("one instance speaks one version, as keepalived's does"),
    ),
    row(
        61,
        "6.4.1",
        "at the start the owner sends an advert and is active, others wait as backups",
        Here(|| {
            let bench = Bench::started(owner());
            assert_eq!((bench.done(), bench.instance.state()), (vec![remove(), send(255)], Master));
            let bench = Bench::started(v3());
            assert_eq!((bench.instance.state(), bench.wait()), (Backup, micros(3_609_375)));
        }),
    ),
];

/// Why a row is kept elsewhere.
const VMAC: &str = "the interface of `use_vmac`; without it the addresses have the interface's MAC";

#[test]
fn every_sentence_of_version_3_is_kept() {
    rows::check(TABLE, 61);
}

/// A link-local address of somebody else.
const LL: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));

fn v3() -> InstanceConfig {
    InstanceConfig { version: Version::V3, ..config() }
}

fn strict() -> InstanceConfig {
    InstanceConfig { strict: true, ..v3() }
}

fn owner() -> InstanceConfig {
    InstanceConfig { priority: 255, initial: Initial::Master, ..v3() }
}

fn base(addresses: &[IpAddr]) -> Advert<'_> {
    let (version, auth) = (Version::V3, AuthData::None);
    Advert { version, vrid: 51, priority: 200, interval: secs(1), auth, addresses }
}

fn advert_of(addresses: &[IpAddr], interval: std::time::Duration) -> Vec<u8> {
    let ends = PseudoHeader { source: LOW, destination: GROUP };
    Advert { interval, ..base(addresses) }.to_bytes(Some(ends))
}

fn good() -> Vec<u8> {
    advert_of(&[VIP], secs(1))
}

fn changed(at: usize, byte: u8) -> Vec<u8> {
    let mut payload = good();
    payload[at] = byte;
    payload
}

fn good6() -> Vec<u8> {
    let ends = PseudoHeader { source: LL, destination: MULTICAST_GROUP_V6.into() };
    base(&[IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 0x51])]).to_bytes(Some(ends))
}

fn accept6(datagram: Datagram<'_>) -> Result<(), Reject> {
    let address = VirtualAddress::host(IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 0x51]));
    let config = InstanceConfig { addresses: vec![address], ..v3() };
    vrrp::accept::accept(&config, &datagram).map(|_| ())
}

fn judge(config: &InstanceConfig, ttl: u8, payload: &[u8]) -> Result<(), Reject> {
    vrrp::accept::accept(config, &Datagram::new(LOW, GROUP, ttl, payload)).map(|_| ())
}

fn refused(config: &InstanceConfig, ttl: u8, payload: &[u8], why: Reject) {
    assert_eq!(judge(config, ttl, payload), Err(why));
}

/// An advert as it leaves, header and all.
fn sent() -> Vec<u8> {
    sent_by(&v3())
}

fn sent_by(config: &InstanceConfig) -> Vec<u8> {
    let mut packet = vec![];
    assert!(Bench::master(config.clone()).instance.packet(100, GROUP, &mut packet));
    packet
}

/// Whether a master of it has packets for its addresses dropped.
fn blocks(config: &InstanceConfig) -> bool {
    let blocked = vec![VirtualAddress::host(VIP)];
    Bench::master(config.clone()).done().contains(&Action::Block { addresses: blocked })
}

fn a_backup_has_no_address() {
    assert_eq!(Bench::started(v3()).done(), [remove(), Action::Entered(Backup)]);
}

fn the_master_has_the_addresses() {
    assert_eq!(Bench::master(v3()).done()[0], add());
}

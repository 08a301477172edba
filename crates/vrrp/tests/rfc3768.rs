//! RFC 3768, VRRP version 2: every sentence that binds, who keeps it, and what shows it.

mod common;
#[path = "common/rows.rs"]
mod rows;

use std::net::IpAddr;

use common::*;
use rows::{AsKeepalived, Elsewhere, Here, Row, row};
use vrrp::State::{Backup, Init, Master};
use vrrp::config::{Auth, Initial, InstanceConfig, VirtualAddress};
use vrrp::{Action, Datagram, Event, Reject};
use wire::vrrp::{Advert, AuthData, Message, Version};

const TABLE: &[Row] = &[
    row(
        1,
        "5.2.2",
        "what goes to the group is never forwarded",
        Elsewhere("the kernel: 224.0.0.18 is of the link"),
    ),
    row(2, "5.2.3", "adverts leave with a TTL of 255", Here(|| assert_eq!(sent()[8], 255))),
    row(
        3,
        "5.2.3",
        "with another TTL they are discarded",
        Here(|| {
            refused(&config(), 254, &good(), Reject::Ttl(254));
        }),
    ),
    row(
        4,
        "5.3.2",
        "unknown types are discarded",
        Here(|| {
            refused(&config(), 255, &changed(0, 0x22), Reject::PacketType(2));
        }),
    ),
    row(
        5,
        "5.3.4",
        "the owner's priority is 255",
        Here(|| {
            let mut bench = Bench::master(owner());
            bench.expire();
            assert_eq!(bench.done()[0], send(255));
        }),
    ),
    row(
        6,
        "5.3.4",
        "a backup's is 1 to 254",
        Here(|| {
            let mut bench = Bench::started(config());
            assert!((1..=254).contains(&bench.instance.priority()));
            bench.instance.reconfigure(
                InstanceConfig { priority: 1, ..config() },
                &[],
                bench.now,
                &mut vec![],
            );
            assert_eq!(bench.instance.priority(), 1);
        }),
    ),
    row(
        7,
        "5.3.6, 7.1",
        "other authentication than ours is discarded",
        Here(|| {
            for kind in [1, 2, 3, 255] {
                refused(
                    &config(),
                    255,
                    &changed(4, kind),
                    Reject::AuthType { received: kind, expected: 0 },
                );
            }
        }),
    ),
    row(8, "6.4.2", "a backup answers no ARP for the addresses", Here(a_backup_has_no_address)),
    row(9, "6.4.2", "it discards frames to the virtual MAC", Elsewhere(VMAC)),
    row(10, "6.4.2", "it accepts no packets for the addresses", Here(a_backup_has_no_address)),
    row(
        11,
        "6.4.2",
        "told to shut down, it forgets its timer and is in Initialize",
        Here(|| {
            let mut bench = Bench::started(config());
            bench.tell(Event::Shutdown);
            assert_eq!((bench.done(), bench.instance.state()), (vec![Action::Entered(Init)], Init));
            assert_eq!(bench.wait(), secs(0));
        }),
    ),
    row(
        12,
        "6.4.2",
        "its timer fires: an advert, gratuitous ARP for each address, and it is master",
        Here(|| {
            let mut bench = Bench::started(config());
            bench.expire();
            assert_eq!((bench.done(), bench.instance.state()), (vec![send(100)], Master));
            bench.take_addresses();
            assert_eq!(bench.done()[0], add());
            assert_eq!(announcements(&bench.actions), 5);
        }),
    ),
    row(
        13,
        "6.4.2",
        "priority 0 heard: its timer is the skew",
        Here(|| {
            let mut bench = Bench::started(config());
            bench.hear(LOW, 0);
            assert_eq!(bench.wait(), bench.instance.skew());
            assert_eq!(bench.wait(), micros(609_375));
        }),
    ),
    row(
        14,
        "6.4.2",
        "at least its own priority heard, or it does not preempt: the timer starts anew",
        Here(|| {
            for (priority, preempt) in [(100, true), (101, true), (1, false)] {
                let mut bench = Bench::started(InstanceConfig { preempt, ..config() });
                bench.pass(secs(2));
                bench.hear(LOW, priority);
                assert_eq!(bench.wait(), micros(3_609_375));
            }
        }),
    ),
    row(
        15,
        "6.4.2",
        "else the advert is discarded",
        Here(|| {
            let mut bench = Bench::started(config());
            bench.pass(secs(1));
            bench.hear(LOW, 99);
            assert_eq!((bench.done(), bench.wait()), (vec![], micros(2_609_375)));
        }),
    ),
    row(
        16,
        "6.4.3, 8.2",
        "the master answers ARP for the addresses",
        Here(the_master_has_the_addresses),
    ),
    row(17, "6.4.3", "it forwards frames to the virtual MAC", Elsewhere(VMAC)),
    row(
        18,
        "6.4.3",
        "it accepts no packets for the addresses unless it owns them",
        AsKeepalived(|| {
            assert!(!blocks(&config()), "keepalived accepts, unless `no_accept` or strict mode");
            assert!(blocks(&InstanceConfig { accept: false, ..config() }));
        }),
    ),
    row(
        19,
        "6.4.3",
        "the owner accepts them",
        Here(|| {
            assert!(!blocks(&InstanceConfig { accept: false, ..owner() }));
        }),
    ),
    row(
        20,
        "6.4.3",
        "told to shut down, it sends priority 0 and is in Initialize",
        Here(|| {
            let mut bench = Bench::settled(config());
            bench.tell(Event::Shutdown);
            assert_eq!(bench.done(), [remove(), send(0), Action::Entered(Init)]);
        }),
    ),
    row(
        21,
        "6.4.3",
        "its timer fires: an advert, and the timer starts anew",
        Here(|| {
            let mut bench = Bench::settled(config());
            bench.expire();
            assert_eq!((bench.done()[0].clone(), bench.wait()), (send(100), secs(1)));
        }),
    ),
    row(
        22,
        "6.4.3",
        "priority 0 heard: an advert, and the timer starts anew",
        Here(|| {
            let mut bench = Bench::settled(config());
            bench.pass(ms(400));
            bench.hear(LOW, 0);
            assert_eq!((bench.done()[0].clone(), bench.wait()), (send(100), secs(1)));
        }),
    ),
    row(
        23,
        "6.4.3",
        "a higher priority, or the same from a higher address, heard: it is backup",
        Here(|| {
            for (from, priority) in [(LOW, 101), (HIGH, 100)] {
                let mut bench = Bench::settled(config());
                bench.hear(from, priority);
                assert_eq!(bench.done(), [remove(), Action::Entered(Backup)]);
                assert_eq!(bench.wait(), micros(3_609_375));
            }
        }),
    ),
    row(
        24,
        "6.4.3",
        "else the advert is discarded",
        AsKeepalived(|| {
            let mut bench = Bench::settled(config());
            bench.hear(HIGH, 99);
            assert_eq!(bench.done()[0], send(100), "it is answered, as RFC 9568 has it");
            let silent = InstanceConfig { lower_prio_no_advert: true, ..config() };
            let mut bench = Bench::settled(silent);
            bench.hear(HIGH, 99);
            assert!(!bench.done().contains(&send(100)));
            assert_eq!(bench.instance.state(), Master);
        }),
    ),
    row(
        25,
        "7.1",
        "the version is 2",
        Here(|| {
            refused(
                &config(),
                255,
                &changed(0, 0x31),
                Reject::Version { received: 3, expected: Version::V2 },
            );
        }),
    ),
    row(
        26,
        "7.1",
        "the packet is whole: fixed part, addresses, authentication data",
        Here(|| {
            for end in 0..good().len() {
                let verdict = judge(&config(), 255, &good()[..end]);
                assert!(matches!(verdict, Err(Reject::Length { .. })), "{end} {verdict:?}");
            }
        }),
    ),
    row(
        27,
        "7.1",
        "the checksum is right",
        Here(|| {
            refused(&config(), 255, &changed(2, 101), Reject::Checksum(Version::V2));
        }),
    ),
    row(
        28,
        "7.1",
        "the virtual router is of this interface, and not its owner's",
        AsKeepalived(|| {
            refused(&config(), 255, &changed(1, 52), Reject::Vrid(52));
            assert_eq!(judge(&owner(), 255, &good()), Ok(()), "keepalived listens all the same");
            let strict = InstanceConfig { strict: true, ..owner() };
            refused(&strict, 255, &good(), Reject::Owner(LOW));
        }),
    ),
    row(
        29,
        "7.1",
        "the authentication is of the configured kind, and right",
        Here(|| {
            let pass = InstanceConfig { auth: Some(Auth::pass("secret")), ..config() };
            refused(&pass, 255, &good(), Reject::AuthType { received: 0, expected: 1 });
            refused(&pass, 255, &simple("secreT"), Reject::Password);
            assert_eq!(judge(&pass, 255, &simple("secret")), Ok(()));
        }),
    ),
    row(
        30,
        "7.1",
        "what fails is discarded, and should be logged",
        Here(|| {
            let mut bench = Bench::started(config());
            let before = bench.wait();
            bench.tell(Event::Received(Datagram::new(LOW, GROUP, 1, &good())));
            assert_eq!(bench.said(), ["(VI_1) invalid TTL/HL. Received 1 and expect 255"]);
            assert_eq!((bench.done(), bench.wait()), (vec![], before));
        }),
    ),
    row(
        31,
        "7.1",
        "other addresses than ours are discarded, unless from their owner",
        AsKeepalived(|| {
            let other = |priority| advert_of(priority, &[HIGH]);
            assert_eq!(judge(&config(), 255, &other(200)), Ok(()), "keepalived 2.4 only says so");
            let strict = InstanceConfig { strict: true, ..config() };
            refused(&strict, 255, &other(200), Reject::OtherAddresses);
            assert_eq!(judge(&strict, 255, &other(255)), Ok(()));
        }),
    ),
    row(
        32,
        "7.1",
        "another interval than ours is discarded",
        Here(|| {
            let (mine, theirs) = (secs(1), secs(2));
            let slow = advert(&config(), LOW, 200, theirs);
            refused(&config(), 255, &slow, Reject::Interval { mine, theirs });
        }),
    ),
    row(
        33,
        "7.2",
        "fields are filled in, the checksum is of the message alone",
        Here(|| {
            let packet = sent();
            let message = Message::parse(&packet[20..]).expect("an advert");
            assert!(message.checksum_is_valid(None));
            assert_eq!((message.vrid, message.priority, message.interval), (51, 100, secs(1)));
            assert!(message.addresses().eq([VIP]));
        }),
    ),
    row(34, "7.2", "the source MAC is the virtual one", Elsewhere(VMAC)),
    row(
        35,
        "7.2",
        "the source is the interface's primary address",
        Here(|| assert_eq!(sent()[12..16], [192, 0, 2, 5])),
    ),
    row(
        36,
        "7.2",
        "it is protocol 112, to 224.0.0.18",
        Here(|| {
            assert_eq!((sent()[9], &sent()[16..20]), (112, &[224, 0, 0, 18][..]));
        }),
    ),
    row(
        37,
        "8.1",
        "redirects come from the router whose MAC was used",
        Elsewhere("the kernel, with a virtual MAC"),
    ),
    row(38, "8.2", "ARP is not answered with the physical MAC", Elsewhere(VMAC)),
    row(39, "8.3", "proxy ARP uses the virtual MAC", Elsewhere(VMAC)),
    row(40, "9.2", "token ring has a functional address", Elsewhere("Linux has no token ring")),
];

/// Why a row is kept elsewhere.
const VMAC: &str = "the interface of `use_vmac`; without it the addresses have the interface's MAC";

#[test]
fn every_sentence_of_version_2_is_kept() {
    rows::check(TABLE, 40);
}

fn owner() -> InstanceConfig {
    InstanceConfig { priority: 255, initial: Initial::Master, ..config() }
}

/// A proper advert of LOW.
fn good() -> Vec<u8> {
    advert(&config(), LOW, 200, secs(1))
}

fn changed(at: usize, byte: u8) -> Vec<u8> {
    let mut payload = good();
    payload[at] = byte;
    payload
}

fn simple(password: &str) -> Vec<u8> {
    let auth = Some(Auth::pass(password));
    advert(&InstanceConfig { auth, ..config() }, LOW, 200, secs(1))
}

fn advert_of(priority: u8, addresses: &[IpAddr]) -> Vec<u8> {
    let (version, auth) = (Version::V2, AuthData::None);
    Advert { version, vrid: 51, priority, interval: secs(1), auth, addresses }.to_bytes(None)
}

fn judge(config: &InstanceConfig, ttl: u8, payload: &[u8]) -> Result<(), Reject> {
    vrrp::accept::accept(config, &Datagram::new(LOW, GROUP, ttl, payload)).map(|_| ())
}

fn refused(config: &InstanceConfig, ttl: u8, payload: &[u8], why: Reject) {
    assert_eq!(judge(config, ttl, payload), Err(why));
}

/// An advert as it leaves, header and all.
fn sent() -> Vec<u8> {
    let mut packet = vec![];
    assert!(Bench::master(config()).instance.packet(100, GROUP, &mut packet));
    packet
}

/// Whether a master of it has packets for its addresses dropped.
fn blocks(config: &InstanceConfig) -> bool {
    let blocked = vec![VirtualAddress::host(VIP)];
    Bench::master(config.clone()).done().contains(&Action::Block { addresses: blocked })
}

fn a_backup_has_no_address() {
    let bench = Bench::started(config());
    assert_eq!(bench.done(), [remove(), Action::Entered(Backup)]);
}

fn the_master_has_the_addresses() {
    assert_eq!(Bench::master(config()).done()[0], add());
}

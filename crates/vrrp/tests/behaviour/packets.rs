//! What is read from adverts, and how they are written.

use crate::common::*;
use vrrp::config::{Auth, InstanceConfig, Version, VirtualAddress};
use vrrp::{Event, Instance};

#[test]
fn other_addresses_in_an_advert_are_said_once_and_accepted() {
    let mut theirs = config();
    theirs.addresses = vec![VirtualAddress::host(HIGH)];
    let payload = crate::common::advert(&theirs, LOW, 200, secs(1));
    let datagram = vrrp::Datagram::new(LOW, GROUP, 255, &payload);
    let mut bench = Bench::started(config());
    bench.tell(Event::Received(datagram));
    let line =
        "(VI_1) ip address associated with VRID 51 not present in MASTER advert: 192.0.2.100";
    assert_eq!(bench.said(), [line, "(VI_1) master set to 192.0.2.1"]);
    bench.tell(Event::Received(datagram));
    assert_eq!(bench.said(), [""; 0]);
    assert_eq!(bench.instance.counters().address_mismatches, 2);

    theirs.addresses.push(VirtualAddress::host(VIP));
    let payload = crate::common::advert(&theirs, LOW, 200, secs(1));
    let datagram = vrrp::Datagram { payload: &payload, ..datagram };
    let skip = InstanceConfig { skip_check_adv_addr: true, ..config() };
    let mut bench = Bench::started(skip);
    bench.tell(Event::Received(datagram));
    assert_eq!(bench.said()[0], "(VI_1) received an unexpected ip number count 2, expected 1!");
    bench.tell(Event::Received(datagram));
    assert_eq!(bench.instance.counters().address_mismatches, 1, "the same master is trusted");
}

#[test]
fn a_rejected_packet_is_counted_always_and_said_once_per_state() {
    let mut bench = Bench::started(config());
    let payload = crate::common::advert(&config(), LOW, 200, secs(1));
    let datagram = vrrp::Datagram::new(LOW, GROUP, 64, &payload);
    let line = "(VI_1) invalid TTL/HL. Received 64 and expect 255";
    bench.tell(Event::Received(datagram));
    assert_eq!(bench.said(), [line]);
    bench.tell(Event::Received(datagram));
    assert_eq!(bench.said(), [""; 0]);
    bench.expire();
    bench.tell(Event::Received(datagram));
    assert_eq!(bench.said(), [line], "the state changed");
    assert_eq!(bench.instance.counters().rejected_in_all(), 3);
    assert_eq!(bench.instance.counters().adverts_received, 0);
}

#[test]
fn another_interval_in_version_3_is_said_by_a_master() {
    let mut bench = Bench::master(InstanceConfig { version: Version::V3, ..config() });
    for expected in [2, 1] {
        bench.hear_every(LOW, 50, secs(2));
        assert_eq!(bench.said().iter().filter(|l| !l.contains("Sending")).count(), expected);
    }
    let mut bench = Bench::master(InstanceConfig { version: Version::V3, ..config() });
    bench.hear(LOW, 50);
    assert_eq!(bench.said().iter().filter(|l| !l.contains("Sending")).count(), 1, "no other");
}

#[test]
fn packets_are_written_as_configured() {
    let config = InstanceConfig {
        auth: Some(Auth::pass("1234567890")),
        unicast_peers: vec![LOW.into()],
        unicast_ttl: Some(7),
        ..config()
    };
    let mut bench = Bench::started(config);
    assert_eq!(bench.instance.source(), Some(US));
    let mut out = vec![];
    assert!(bench.instance.packet(100, LOW, &mut out));
    let packet = wire::ipv4::Packet::parse(&out).unwrap();
    assert_eq!((packet.header.ttl, packet.header.id), (7, 1));
    let message = wire::vrrp::Message::parse(packet.payload).unwrap();
    assert_eq!((message.auth_kind, &message.auth), (1, b"12345678"));
    let mut out = vec![];
    assert!(bench.instance.packet(100, GROUP, &mut out));
    let packet = wire::ipv4::Packet::parse(&out).unwrap();
    assert_eq!((packet.header.ttl, packet.header.id), (255, 2));
    let v6 = std::net::Ipv6Addr::LOCALHOST.into();
    assert!(!bench.instance.packet(100, v6, &mut out), "another family");
    let mut unsourced = Instance::new(crate::common::config(), &[]);
    assert!(!unsourced.packet(100, GROUP, &mut out));
}

/// RFC 9568 §5.2.8; over IPv6 nothing of it can be left out.
#[test]
fn the_checksum_of_version_3_covers_the_addresses_of_the_packet_unless_told_otherwise() {
    for v3_checksum_as_v2 in [false, true] {
        let version_3 = InstanceConfig { version: Version::V3, v3_checksum_as_v2, ..config() };
        let mut bench = Bench::started(version_3.clone());
        let mut out = vec![];
        assert!(bench.instance.packet(100, GROUP, &mut out));
        let packet = wire::ipv4::Packet::parse(&out).unwrap();
        let message = wire::vrrp::Message::parse(packet.payload).unwrap();
        let ends = wire::vrrp::PseudoHeader { source: US, destination: GROUP };
        assert_eq!(message.checksum_is_valid(Some(ends)), !v3_checksum_as_v2);
        assert_eq!(message.checksum_is_valid(None), v3_checksum_as_v2);

        let source = "fe80::5".parse().unwrap();
        let destination = "ff02::12".parse().unwrap();
        let addresses = vec![VirtualAddress::host("fe80::100".parse().unwrap())];
        let mut bench = Bench::new(InstanceConfig { addresses, ..version_3 });
        bench.tell(Event::Source(Some(source)));
        let mut out = vec![];
        assert!(bench.instance.packet(100, destination, &mut out));
        let message = wire::vrrp::Message::parse_v6(&out).unwrap();
        let ends = wire::vrrp::PseudoHeader { source, destination };
        assert!(message.checksum_is_valid(Some(ends)));
        assert_eq!(message.addresses().next(), Some("fe80::100".parse().unwrap()));
    }
}

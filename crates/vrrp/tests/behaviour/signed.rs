//! Adverts behind an authentication header, and checksums of old.

use crate::common::*;
use std::net::IpAddr;
use vrrp::State::{Backup, Master};
use vrrp::config::{Auth, InstanceConfig, OldChecksum, Version};
use vrrp::{Datagram, Event, Instance};
use wire::vrrp::{Message, PseudoHeader};

fn signed() -> InstanceConfig {
    InstanceConfig { auth: Some(Auth::Ah(*b"1234\0\0\0\0")), ..config() }
}

/// Another router, that sends.
fn other(config: InstanceConfig, address: IpAddr) -> Instance {
    let mut other = Bench::new(config);
    other.tell(Event::Source(Some(address)));
    other.instance
}

fn hear_packet(bench: &mut Bench, packet: &[u8]) {
    let datagram = Datagram::from_ipv4(packet).expect("a whole packet");
    bench.tell(Event::Received(datagram));
}

#[test]
fn numbers_are_believed_once_and_a_new_master_goes_on_behind_the_old() {
    let mut master = other(InstanceConfig { priority: 200, ..signed() }, LOW);
    let mut bench = Bench::started(signed());
    let mut packets = vec![vec![]; 3];
    for packet in &mut packets {
        assert!(master.packet(200, GROUP, packet));
    }
    for packet in &packets {
        bench.pass(secs(1));
        hear_packet(&mut bench, packet);
        assert_eq!(bench.wait(), micros(3_609_375));
    }
    bench.pass(secs(1));
    hear_packet(&mut bench, &packets[1]);
    let line = "(VI_1) IPSEC-AH : sequence number 2 already processed. Packet dropped. Local(3)";
    assert_eq!(bench.said(), [line]);
    assert_eq!(bench.wait(), micros(2_609_375), "a replay keeps nobody waiting");
    bench.expire();
    assert_eq!(bench.instance.state(), Master);
    let mut packet = vec![];
    assert!(bench.instance.packet(100, GROUP, &mut packet));
    assert_eq!(Datagram::from_ipv4(&packet).unwrap().ah.unwrap().sequence, 4);
    assert_eq!(Datagram::from_ipv4(&packet).unwrap().vrid(), Some(vrrp::config::Vrid(51)));
}

#[test]
fn numbers_begin_at_1_and_pass_over_0_when_they_have_run_out() {
    let mut instance = other(signed(), US);
    let sequence = |instance: &mut Instance| {
        let mut packet = vec![];
        assert!(instance.packet(100, GROUP, &mut packet));
        Datagram::from_ipv4(&packet).unwrap().ah.unwrap().sequence
    };
    assert_eq!(sequence(&mut instance), 1);
    let counters = vrrp::Counters { ah_sequence: u32::MAX - 16, ..Default::default() };
    instance.set_counters(counters);
    assert_eq!(sequence(&mut instance), 1, "another process may have sent 16 more");
}

#[test]
fn a_changed_packet_is_dropped_before_its_number_counts() {
    let mut master = other(InstanceConfig { priority: 200, ..signed() }, LOW);
    let mut bench = Bench::started(signed());
    let mut packet = vec![];
    assert!(master.packet(200, GROUP, &mut packet));
    let mut changed = packet.clone();
    changed[30] = 0xff;
    hear_packet(&mut bench, &changed);
    assert_eq!((bench.instance.state(), bench.instance.master()), (Backup, None));
    hear_packet(&mut bench, &packet);
    assert_eq!(bench.instance.master(), Some(LOW));
}

#[test]
fn a_peer_with_checksums_of_old_is_answered_in_kind() {
    let unicast = |old_unicast_checksum| InstanceConfig {
        version: Version::V3,
        unicast_peers: vec![LOW.into()],
        old_unicast_checksum,
        ..config()
    };
    let checksum = |instance: &mut Instance| {
        let mut packet = vec![];
        assert!(instance.packet(100, LOW, &mut packet));
        let old = PseudoHeader { source: US, destination: IpAddr::from([224, 0, 0, 18]) };
        let new = PseudoHeader { source: US, destination: LOW };
        let message = Message::parse(&packet[20..]).unwrap();
        (message.checksum_is_valid(Some(old)), message.checksum_is_valid(Some(new)))
    };
    let mut bench = Bench::started(unicast(OldChecksum::Detect));
    assert_eq!(checksum(&mut bench.instance), (false, true));
    let config = bench.instance.config().clone();
    let payload = advert(&config, LOW, 200, secs(1));
    bench.tell(Event::Received(Datagram::new(LOW, US, 255, &payload)));
    assert!(bench.said().contains(&"(VI_1) Setting unicast VRRPv3 checksum to old version".into()));
    assert_eq!(checksum(&mut bench.instance), (true, false));
    let mut always = Bench::started(unicast(OldChecksum::Always));
    assert_eq!(checksum(&mut always.instance), (true, false));
    let mut never = Bench::started(unicast(OldChecksum::Never));
    never.tell(Event::Received(Datagram::new(LOW, US, 255, &payload)));
    assert_eq!(never.instance.master(), None);
}

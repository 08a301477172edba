use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use wire::vrrp::{Advert, AuthData};

use super::*;
use crate::config::{UnicastPeer, VirtualAddress, Vrid};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const US: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 5));
const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));
const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 100));

fn config(version: Version) -> InstanceConfig {
    InstanceConfig {
        vrid: Vrid(51),
        version,
        addresses: vec![VirtualAddress::host(VIP)],
        ..InstanceConfig::default()
    }
}

fn with_password(password: &str) -> InstanceConfig {
    InstanceConfig { auth: Some(Auth::pass(password)), ..config(Version::V2) }
}

fn advert(version: Version) -> Advert<'static> {
    Advert {
        version,
        vrid: 51,
        priority: 100,
        interval: Duration::from_secs(1),
        auth: AuthData::None,
        addresses: &[VIP],
    }
}

fn to(destination: IpAddr, advert: &Advert<'_>) -> Vec<u8> {
    advert.to_bytes(Some(PseudoHeader { source: PEER, destination }))
}

fn judge(
    config: &InstanceConfig,
    destination: IpAddr,
    ttl: u8,
    payload: &[u8],
) -> Result<(), Reject> {
    accept(config, &Datagram::new(PEER, destination, ttl, payload)).map(|_| ())
}

#[test]
fn proper_adverts_are_accepted() {
    for version in [Version::V2, Version::V3] {
        let payload = to(GROUP, &advert(version));
        assert_eq!(judge(&config(version), GROUP, 255, &payload), Ok(()));
        let unicast = InstanceConfig { unicast_peers: vec![PEER.into()], ..config(version) };
        let payload = to(US, &advert(version));
        assert_eq!(judge(&unicast, US, 3, &payload), Ok(()), "unicast may be routed");
    }
    let auth = AuthData::Simple(*b"secret\0\0");
    let payload = to(GROUP, &Advert { auth, ..advert(Version::V2) });
    assert_eq!(judge(&with_password("secret"), GROUP, 255, &payload), Ok(()));
    // A version 3 backup takes whatever interval its master has.
    let interval = Duration::from_secs(2);
    let payload = to(GROUP, &Advert { interval, ..advert(Version::V3) });
    assert_eq!(judge(&config(Version::V3), GROUP, 255, &payload), Ok(()));
}

#[test]
fn each_cause_is_told_apart_and_worded() {
    let (v2, v3) = (config(Version::V2), config(Version::V3));
    let good = to(GROUP, &advert(Version::V2));
    let changed = |at: usize, byte: u8| {
        let mut payload = good.clone();
        payload[at] = byte;
        payload
    };
    let mut long = good.clone();
    long.push(0);
    let mut kind = advert(Version::V2).to_bytes(None);
    kind[0] = 0x22;
    let simple = |password: [u8; 8]| {
        let auth = AuthData::Simple(password);
        to(GROUP, &Advert { auth, ..advert(Version::V2) })
    };
    let slow = Advert { interval: Duration::from_secs(2), ..advert(Version::V2) };
    let unicast = InstanceConfig { unicast_peers: vec![US.into()], ..v2.clone() };
    let checked = InstanceConfig { check_unicast_source: true, ..unicast.clone() };
    let v3_for_us = to(US, &advert(Version::V3));
    let zero = Advert { interval: Duration::ZERO, ..advert(Version::V3) };
    let strict = InstanceConfig { strict: true, ..v2.clone() };
    let strict_v3 = InstanceConfig { strict: true, ..v3.clone() };
    let owner = InstanceConfig { priority: 255, owner_ignore_adverts: true, ..v2.clone() };
    let none = Advert { addresses: &[], ..advert(Version::V3) };
    let other = Advert { addresses: &[US], ..advert(Version::V2) };
    let rows: [(&InstanceConfig, IpAddr, u8, Vec<u8>, &str); 21] = [
        (&v3, GROUP, 255, to(GROUP, &zero), "received an advertisement interval of 0"),
        (
            &owner,
            GROUP,
            255,
            good.clone(),
            "Dropping packet(s) from 192.0.2.1 since we are address owner",
        ),
        (&strict_v3, GROUP, 255, to(GROUP, &none), "received an advert without addresses"),
        (&strict, GROUP, 255, to(GROUP, &other), "received an advert of other addresses"),
        (&v2, GROUP, 255, vec![], "vrrp packet too short, length 0 and expect 8"),
        (&v2, GROUP, 255, good[..7].to_vec(), "vrrp packet too short, length 7 and expect 8"),
        (&v2, GROUP, 255, good[..19].to_vec(), "vrrp packet too short, length 19 and expect 20"),
        (&v2, GROUP, 254, good.clone(), "invalid TTL/HL. Received 254 and expect 255"),
        (&v3, GROUP, 255, good.clone(), "wrong version. Received 2 and expect 3"),
        (&v2, GROUP, 255, changed(0, 0x41), "wrong version. Received 4 and expect 2"),
        (&v2, GROUP, 255, changed(1, 52), "received an advert of VRID 52"),
        (&v2, GROUP, 255, simple([0; 8]), "received a 1 auth, expecting 0!"),
        (&with_password("a"), GROUP, 255, good.clone(), "received a 0 auth, expecting 1!"),
        (
            &with_password("a"),
            GROUP,
            255,
            simple(*b"b\0\0\0\0\0\0\0"),
            "received an invalid passwd!",
        ),
        (
            &v2,
            GROUP,
            255,
            to(GROUP, &slow),
            "advertisement interval mismatch mine=1 sec rcv'd=2 sec",
        ),
        (&v2, GROUP, 255, kind, "Invalid packet type. 2 and expect 1"),
        (&v2, GROUP, 255, long, "ip_tot_len mismatch against received length. 20 and received 21"),
        (&v2, GROUP, 255, changed(2, 101), "Invalid VRRPv2 checksum"),
        (&v3, GROUP, 255, v3_for_us, "Invalid VRRPv3 checksum"),
        (
            &unicast,
            GROUP,
            255,
            good.clone(),
            "Expected unicast packet but received multicast packet",
        ),
        (&checked, US, 255, good.clone(), "unicast source address 192.0.2.1 not a unicast peer"),
    ];
    let mut causes = [false; Reject::CAUSES];
    for (config, destination, ttl, payload, expected) in rows {
        let reject = judge(config, destination, ttl, &payload).unwrap_err();
        assert_eq!(reject.to_string(), expected);
        causes[reject.cause()] = true;
    }
    // These have tests of their own.
    causes[13..=16].fill(true);
    assert_eq!(causes, [true; Reject::CAUSES], "every cause has its row");
    assert_eq!(judge(&v3, GROUP, 255, &to(GROUP, &none)), Ok(()), "as keepalived 2.4");
    assert_eq!(judge(&v2, GROUP, 255, &to(GROUP, &other)), Ok(()), "as keepalived 2.4");
    let owners = to(GROUP, &Advert { priority: 255, ..other });
    assert_eq!(judge(&strict, GROUP, 255, &owners), Ok(()), "RFC 3768 §7.1");
    assert_eq!(
        judge(&v2, US, 255, &good).unwrap_err().to_string(),
        "Expected multicast packet but received unicast packet"
    );
    assert_eq!(judge(&unicast, US, 255, &good), Ok(()), "strangers pass unless that is checked");
}

#[test]
fn a_password_is_compared_to_its_last_byte() {
    for at in 0..8 {
        let mut password = *b"12345678";
        password[at] ^= 1;
        let auth = AuthData::Simple(password);
        let payload = to(GROUP, &Advert { auth, ..advert(Version::V2) });
        let verdict = judge(&with_password("12345678"), GROUP, 255, &payload);
        assert_eq!(verdict, Err(Reject::Password), "byte {at}");
    }
}

#[test]
fn differences_in_a_password_do_not_make_up_for_one_another() {
    for theirs in [*b"21345678", *b"03345678", *b"87654321"] {
        let payload = to(GROUP, &Advert { auth: AuthData::Simple(theirs), ..advert(Version::V2) });
        let verdict = judge(&with_password("12345678"), GROUP, 255, &payload);
        assert_eq!(verdict, Err(Reject::Password), "{theirs:?}");
    }
}

#[test]
fn a_checksum_of_version_3_passes_with_and_without_pseudo_header_but_never_unverified() {
    for v3_checksum_as_v2 in [false, true] {
        let config = InstanceConfig { v3_checksum_as_v2, ..config(Version::V3) };
        for payload in [advert(Version::V3).to_bytes(None), to(GROUP, &advert(Version::V3))] {
            assert_eq!(judge(&config, GROUP, 255, &payload), Ok(()));
            let mut damaged = payload;
            damaged[2] ^= 1;
            assert_eq!(judge(&config, GROUP, 255, &damaged), Err(Reject::Checksum(Version::V3)));
        }
    }
}

#[test]
fn a_peers_old_checksum_passes_unless_that_is_ruled_out() {
    let unicast = InstanceConfig { unicast_peers: vec![PEER.into()], ..config(Version::V3) };
    let payload = to(GROUP, &advert(Version::V3));
    let never = InstanceConfig { old_unicast_checksum: OldChecksum::Never, ..unicast.clone() };
    assert_eq!(judge(&unicast, US, 255, &payload), Ok(()));
    assert_eq!(judge(&never, US, 255, &payload), Err(Reject::Checksum(Version::V3)));
}

#[test]
fn over_ipv6_the_checksum_counts_the_pseudo_header() {
    let (source, destination) = ("fe80::1".parse().unwrap(), "ff02::12".parse().unwrap());
    let addresses: [IpAddr; 1] = ["fe80::64".parse().unwrap()];
    let advert = Advert { addresses: &addresses, ..advert(Version::V3) };
    let ends = PseudoHeader { source, destination };
    let payload = advert.to_bytes(Some(ends));
    let datagram = Datagram::new(source, destination, 255, &payload);
    let message = accept(&config(Version::V3), &datagram).unwrap();
    assert!(message.addresses().eq(addresses));
    let payload = advert.to_bytes(None);
    let datagram = Datagram::new(source, destination, 255, &payload);
    let verdict = accept(&config(Version::V3), &datagram);
    assert_eq!(verdict, Err(Reject::Checksum(Version::V3)));
}

/// keepalived 2.4.3, captured: `advert_int 1`, fe80::51 and fd09::100 of VRID 51.
#[test]
fn an_advert_over_ipv6_is_keepalived_s_byte_for_byte() {
    let bytes = [
        0x31, 0x33, 0x96, 2, 0, 0x64, 0x15, 0x5d, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0x51, 0xfd, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0,
    ];
    let source: IpAddr = "fe80::9058:6eff:feaf:29f7".parse().unwrap();
    let addresses = ["fe80::51", "fd09::100"].map(|text| text.parse().unwrap());
    let config = InstanceConfig {
        addresses: addresses.map(VirtualAddress::host).to_vec(),
        multicast_group: crate::config::MULTICAST_GROUP_V6.into(),
        source: Some(source),
        priority: 150,
        ..config(Version::V3)
    };
    let group = config.multicast_group;
    accept(&config, &Datagram::new(source, group, 255, &bytes)).unwrap();
    let mut written = vec![];
    assert!(crate::Instance::new(config, &[]).packet(150, group, &mut written));
    assert_eq!(written, bytes);
}

#[test]
fn the_hops_of_a_peer_are_limited_as_configured() {
    let peer = |min_ttl, max_ttl| InstanceConfig {
        unicast_peers: vec![UnicastPeer { address: PEER, min_ttl, max_ttl }],
        ..config(Version::V2)
    };
    let payload = to(US, &advert(Version::V2));
    for (config, ttl, expected) in [
        (peer(Some(254), None), 254, None),
        (peer(Some(254), None), 253, Some("TTL/HL 253 not in range 254 - 255")),
        (peer(None, Some(64)), 64, None),
        (peer(Some(3), Some(64)), 65, Some("TTL/HL 65 not in range 3 - 64")),
    ] {
        let reject = judge(&config, US, ttl, &payload).err().map(|reject| reject.to_string());
        assert_eq!(reject.as_deref(), expected);
    }
}

#[test]
fn an_authentication_header_is_checked_and_expected_or_not() {
    let with_ah = InstanceConfig { auth: Some(Auth::Ah(*b"1234\0\0\0\0")), ..config(Version::V2) };
    let payload = to(GROUP, &Advert { auth: AuthData::Header, ..advert(Version::V2) });
    let source = Ipv4Addr::new(192, 0, 2, 1);
    let packet = |key: &[u8], spi_of: Ipv4Addr| {
        let header = wire::ipv4::Header::control(source, Ipv4Addr::new(224, 0, 0, 18), 1);
        let mut packet = vec![];
        let ah = wire::ipv4::Header { source: spi_of, ..header };
        wire::ah::encode(&ah, 1, key, &payload, &mut packet);
        packet[12..16].copy_from_slice(&source.octets());
        packet
    };
    let judge = |config: &InstanceConfig, packet: &[u8]| {
        let datagram = Datagram::from_ipv4(packet).unwrap();
        accept(config, &datagram).map(|_| ()).map_err(|reject| reject.to_string())
    };
    assert_eq!(judge(&with_ah, &packet(b"1234", source)), Ok(()));
    let wrong = judge(&with_ah, &packet(b"1235", source)).unwrap_err();
    assert!(wrong.starts_with("IPSEC-AH : invalid IPSEC HMAC-MD5 value."), "{wrong}");
    let other = judge(&with_ah, &packet(b"1234", Ipv4Addr::new(192, 0, 2, 2))).unwrap_err();
    assert_eq!(other, "IPSEC AH : invalid IPSEC SPI value. 3221225986 and expect 3221225985");
    let none = judge(&config(Version::V2), &packet(b"1234", source)).unwrap_err();
    assert_eq!(none, "received a 2 auth, expecting 0!");
    let bare = accept(&with_ah, &Datagram::new(PEER, GROUP, 255, &payload));
    assert_eq!(bare.unwrap_err(), Reject::AuthType { received: 0, expected: 2 });
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        payload in prop::collection::vec(any::<u8>(), 0..60), ttl: u8, v3: bool, unicast: bool,
    ) {
        let version = if v3 { Version::V3 } else { Version::V2 };
        let _ = judge(&config(version), if unicast { US } else { GROUP }, ttl, &payload);
    }
}

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use wire::vrrp::{Advert, AuthData};

use super::*;
use crate::config::{VirtualAddress, Vrid};

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
    accept(config, &Datagram { source: PEER, destination, ttl, payload }).map(|_| ())
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
    let rows: [(&InstanceConfig, IpAddr, u8, Vec<u8>, &str); 17] = [
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
    assert_eq!(causes, [true; Reject::CAUSES], "every cause has its row");
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
fn a_checksum_without_pseudo_header_passes_only_where_configured() {
    let payload = advert(Version::V3).to_bytes(None);
    let strict = config(Version::V3);
    assert_eq!(judge(&strict, GROUP, 255, &payload), Err(Reject::Checksum(Version::V3)));
    let lenient = InstanceConfig { v3_checksum_as_v2: true, ..strict };
    assert_eq!(judge(&lenient, GROUP, 255, &payload), Ok(()));
    let payload = to(GROUP, &advert(Version::V3));
    assert_eq!(judge(&lenient, GROUP, 255, &payload), Ok(()));
    let mut damaged = payload;
    damaged[2] ^= 1;
    assert_eq!(judge(&lenient, GROUP, 255, &damaged), Err(Reject::Checksum(Version::V3)));
}

#[test]
fn over_ipv6_the_kernel_has_verified_the_checksum() {
    let (source, destination) = ("fe80::1".parse().unwrap(), "ff02::12".parse().unwrap());
    let addresses: [IpAddr; 1] = ["fe80::64".parse().unwrap()];
    let mut payload = Advert { addresses: &addresses, ..advert(Version::V3) }.to_bytes(None);
    payload[6] ^= 1;
    let datagram = Datagram { source, destination, ttl: 255, payload: &payload };
    let message = accept(&config(Version::V3), &datagram).unwrap();
    assert!(message.addresses().eq(addresses));
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

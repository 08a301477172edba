//! Frames of keepalived 2.4.3, as tcpdump wrote them.

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
    hex.as_bytes().chunks(2).map(|two| digit(two[0]) << 4 | digit(two[1])).collect()
}

fn advert(hex: &str) -> Advert {
    match Sent::of(&bytes(hex)) {
        Sent::Advert(advert) => *advert,
        other => panic!("no advert: {other:?}"),
    }
}

#[test]
fn a_multicast_advert_of_version_2() {
    let advert = advert(
        "01005e00001292586eaf29f7080045c0002c00010000ff70d07a0a09000be000001221339602000133ee0a090064\
         0a0900650000000000000000",
    );
    assert_eq!(advert.hardware.0, [1, 0, 0x5e, 0, 0, 0x12]);
    assert_eq!(advert.to, IpAddr::from([224, 0, 0, 18]));
    assert_eq!((advert.class, advert.ttl, advert.id_and_flags), (0xc0, 255, Some((1, 0))));
    assert!(advert.header_sum);
    assert_eq!((advert.version, advert.kind, advert.vrid, advert.priority), (2, 1, 51, 150));
    assert_eq!((advert.auth_type, advert.interval, advert.sum), (0, 1, Sum::Plain));
    let addresses = [[10, 9, 0, 100], [10, 9, 0, 101]].map(IpAddr::from);
    assert_eq!((&advert.addresses[..], &advert.rest[..]), (&addresses[..], &[0; 8][..]));
}

#[test]
fn an_authentication_header_is_read() {
    let advert = advert(
        "01005e00001292586eaf29f7080045c0004000010000ff33d0a30a09000be0000012700400000a09000b00000001\
         a2a4066e7ce695547758abac2133960102013c5d0a0900640000000000000000",
    );
    let (spi, sequence, check) = advert.ah.unwrap();
    assert_eq!((spi, sequence, check[0], check[11]), (0x0a09_000b, 1, 0xa2, 0xac));
    assert_eq!((advert.auth_type, advert.sum), (2, Sum::Plain));
}

#[test]
fn what_a_checksum_of_version_3_covers_is_told() {
    let with = "01005e00001292586eaf29f7080045c0002000010000ff70d0860a09000be0000012313396010032";
    let advert = |sum: &str| advert(&format!("{with}{sum}0a090064"));
    assert_eq!(advert("4389").sum, Sum::Pseudo);
    assert_eq!(advert("2e2c").sum, Sum::Plain);
    assert_eq!(advert("2e2d").sum, Sum::Wrong);
    assert_eq!(advert("4389").interval, 50);
}

#[test]
fn ipv6_and_its_announcement_are_read() {
    let advert = advert(
        "33330000001292586eaf29f786dd6c072ba9002870fffe8000000000000090586efffeaf29f7ff02000000000000\
         0000000000000012313396020064155dfe800000000000000000000000000051fd09000000000000000000000000\
         0100",
    );
    assert_eq!((advert.class, advert.ttl, advert.sum), (0xc0, 255, Sum::Pseudo));
    assert_eq!(advert.addresses[1], "fd09::100".parse::<IpAddr>().unwrap());
    let neighbour = "33330000000192586eaf29f786dd6000000000203afffe800000000000000000000000000051ff02\
                     000000000000000000000000000188002dfd20000000fe80000000000000000000000000005102\
                     0192586eaf29f7";
    assert_eq!(Sent::of(&bytes(neighbour)), Sent::Neighbour("fe80::51".parse().unwrap()));
}

#[test]
fn a_gratuitous_request_is_told_from_a_question() {
    let arp = "ffffffffffff92586eaf29f70806000108000604000192586eaf29f70a090064ffffffffffff0a0900";
    let of = |last: &str| Sent::of(&bytes(&format!("{arp}{last}")));
    assert_eq!(of("64"), Sent::Gratuitous([10, 9, 0, 100].into()));
    assert_eq!(of("65"), Sent::Other);
}

#[test]
fn a_frame_cut_anywhere_is_no_advert_and_no_panic() {
    let whole = bytes(
        "01005e00001292586eaf29f7080045c0002c00010000ff70d07a0a09000be000001221339602000133ee0a090064\
         0a0900650000000000000000",
    );
    for length in 0..whole.len() {
        assert_eq!(Sent::of(&whole[..length]), Sent::Other);
    }
}

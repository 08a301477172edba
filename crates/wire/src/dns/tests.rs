use alloc::vec;

use proptest::prelude::*;

use super::*;

/// An answer to `example.org A`: the question, then these records with a reference to its name.
fn message(flags: u16, records: &[(u16, u32, &[u8])]) -> Vec<u8> {
    let mut bytes = query(7, "example.org", Kind::A).expect("a name");
    bytes[2..4].copy_from_slice(&flags.to_be_bytes());
    bytes[7] = records.len() as u8;
    for (kind, ttl, data) in records {
        bytes.extend_from_slice(&[0xc0, 12]);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&[0, 1]);
        bytes.extend_from_slice(&ttl.to_be_bytes());
        bytes.extend_from_slice(&(data.len() as u16).to_be_bytes());
        bytes.extend_from_slice(data);
    }
    bytes
}

#[test]
fn a_question_is_asked_in_labels() {
    let bytes = query(0x0102, "a.example", Kind::Aaaa).expect("a name");
    assert_eq!(bytes, b"\x01\x02\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x1c\0\x01");
    let long = "a".repeat(64);
    for wrong in ["", ".", "a..b", long.as_str()] {
        assert_eq!(query(1, wrong, Kind::A), None, "{wrong}");
    }
    assert!(query(1, "example.org.", Kind::A).is_some(), "a dot at the end is allowed");
}

#[test]
fn addresses_of_both_families_are_found_with_the_shortest_time() {
    let v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
    let bytes = message(0x8180, &[(1, 300, &[192, 0, 2, 1]), (28, 60, &v6), (16, 5, b"text")]);
    let found = answer(&bytes, 7).expect("an answer");
    assert_eq!(found.ttl, 60);
    let shown: Vec<_> = found.addresses.iter().map(alloc::string::ToString::to_string).collect();
    assert_eq!(shown, ["192.0.2.1", "2001:db8::7"]);
}

#[test]
fn an_alias_without_addresses_is_to_be_asked_for() {
    let found = answer(&message(0x8180, &[(5, 9, b"\x03www\xc0\x0c")]), 7).expect("an answer");
    assert_eq!((found.alias.as_deref(), found.ttl), (Some("www.example.org"), 9));
    let records: [(u16, u32, &[u8]); 2] = [(5, 9, b"\x03www\xc0\x0c"), (1, 8, &[192, 0, 2, 1])];
    let found = answer(&message(0x8180, &records), 7).expect("an answer");
    assert_eq!((found.alias, found.addresses.len()), (None, 1));
}

#[test]
fn what_is_wrong_with_an_answer_is_told() {
    assert_eq!(answer(&message(0x8183, &[]), 7), Err(Error::Code(3)));
    assert_eq!(answer(&message(0x8182, &[]), 7), Err(Error::Code(2)));
    assert_eq!(answer(&message(0x8380, &[]), 7), Err(Error::Truncated));
    assert_eq!(answer(&message(0x8180, &[]), 8), Err(Error::NotAnAnswer));
    assert_eq!(answer(&message(0x8180, &[]), 7), Ok(Answer::default()), "nothing there");
    assert_eq!(answer(&message(0x8180, &[(1, 1, &[1, 2, 3])]), 7), Err(Error::Malformed));
    // A name that refers to itself.
    let round = message(0x8180, &[(5, 9, &[0xc0, 41])]);
    let at = round.len() - 2;
    let mut round = round;
    round[at + 1] = at as u8;
    assert_eq!(answer(&round, 7), Err(Error::Malformed));
}

#[test]
fn an_answer_that_breaks_off_anywhere_is_none() {
    let whole = message(0x8180, &[(1, 300, &[192, 0, 2, 1])]);
    for cut in 0..whole.len() {
        assert!(answer(&whole[..cut], 7).is_err(), "cut at {cut}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut all = vec![0, 7, 0x81, 0x80, 0, 1];
        all.extend_from_slice(&bytes);
        let _ = answer(&all, 7);
    }
}

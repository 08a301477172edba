use alloc::string::ToString as _;
use alloc::vec;

use proptest::prelude::*;

use super::*;

fn asked(kind: Kind) -> Question<'static> {
    Question { id: 7, name: "Example.org", kind, payload: None }
}

/// The answer to a question: these records, each of the name that was asked for.
fn message(question: Question<'_>, flags: u16, records: &[(u16, u32, &[u8])]) -> Vec<u8> {
    let mut bytes = question.encode().expect("a name");
    bytes[2..4].copy_from_slice(&flags.to_be_bytes());
    bytes[7] = records.len() as u8;
    for (kind, ttl, data) in records {
        add(&mut bytes, &[0xc0, 12], *kind, *ttl, data);
    }
    bytes
}

fn add(bytes: &mut Vec<u8>, owner: &[u8], kind: u16, ttl: u32, data: &[u8]) {
    bytes.extend_from_slice(owner);
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    bytes.extend_from_slice(&ttl.to_be_bytes());
    bytes.extend_from_slice(&(data.len() as u16).to_be_bytes());
    bytes.extend_from_slice(data);
}

#[test]
fn a_question_is_asked_in_labels() {
    let of = |name, payload| Question { id: 0x0102, name, kind: Kind::Aaaa, payload }.encode();
    let bytes = of("a.example", None).expect("a name");
    assert_eq!(bytes, b"\x01\x02\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x1c\0\x01");
    let long = "a".repeat(64);
    for wrong in ["", ".", "a..b", long.as_str()] {
        assert_eq!(of(wrong, None), None, "{wrong}");
    }
    assert_eq!(of("a.example.", None), Some(bytes), "a dot at the end changes nothing");
    let sized = of("a.example", Some(1232)).expect("a name");
    assert_eq!(sized[11], 1, "one additional record");
    assert!(sized.ends_with(b"\0\0\x29\x04\xd0\0\0\0\0\0\0"));
}

#[test]
fn addresses_are_found_with_the_shortest_time() {
    let v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
    let records: [(u16, u32, &[u8]); 4] =
        [(1, 300, &[192, 0, 2, 1]), (1, 60, &[192, 0, 2, 2]), (28, 20, &v6), (16, 5, b"text")];
    let of = |kind| {
        let found = asked(kind).answer(&message(asked(kind), 0x8180, &records));
        let found = found.expect("an answer");
        let shown: Vec<_> = found.addresses.iter().map(|ip| ip.to_string()).collect();
        (shown.join(" "), found.ttl)
    };
    assert_eq!(of(Kind::A), ("192.0.2.1 192.0.2.2".into(), 60));
    assert_eq!(of(Kind::Aaaa), ("2001:db8::7".into(), 20));
    let forever = message(asked(Kind::A), 0x8180, &[(1, 1 << 31, &[192, 0, 2, 1])]);
    assert_eq!(asked(Kind::A).answer(&forever).expect("an answer").ttl, 0);
}

#[test]
fn the_places_of_a_service_are_found() {
    let record = b"\0\x0a\0\x05\x17\x70\x03One\xc0\x0c";
    let bytes = message(asked(Kind::Srv), 0x8180, &[(33, 30, record)]);
    let found = asked(Kind::Srv).answer(&bytes).expect("an answer");
    let service = Service { priority: 10, weight: 5, port: 6000, target: "one.example.org".into() };
    assert_eq!((found.services, found.ttl), (vec![service], 30));
    let longer = b"\0\x0a\0\x05\x17\x70\x03one\xc0\x0c!";
    let bytes = message(asked(Kind::Srv), 0x8180, &[(33, 30, longer)]);
    assert_eq!(asked(Kind::Srv).answer(&bytes), Err(Error::Malformed));
}

#[test]
fn aliases_are_followed_in_any_order_and_to_the_end() {
    let question = asked(Kind::A);
    let found = question.answer(&message(question, 0x8180, &[(5, 9, b"\x03www\xc0\x0c")]));
    let found = found.expect("an answer");
    assert_eq!((found.alias.as_deref(), found.ttl), (Some("www.example.org"), 9));
    // The address stands before the alias that leads to it.
    let mut bytes = message(question, 0x8180, &[]);
    bytes[7] = 2;
    add(&mut bytes, b"\x03www\xc0\x0c", 1, 8, &[192, 0, 2, 1]);
    add(&mut bytes, &[0xc0, 12], 5, 9, b"\x03WWW\xc0\x0c");
    let found = question.answer(&bytes).expect("an answer");
    assert_eq!((found.alias, found.addresses.len(), found.ttl), (None, 1, 8));
}

#[test]
fn aliases_that_come_back_are_a_loop() {
    let question = asked(Kind::A);
    let itself = message(question, 0x8180, &[(5, 9, &[0xc0, 12])]);
    assert_eq!(question.answer(&itself), Err(Error::Loop));
    let mut round = message(question, 0x8180, &[(5, 9, b"\x03www\xc0\x0c")]);
    round[7] = 2;
    add(&mut round, b"\x03www\xc0\x0c", 5, 9, &[0xc0, 12]);
    assert_eq!(question.answer(&round), Err(Error::Loop));
}

#[test]
fn addresses_of_other_names_are_not_taken() {
    let question = asked(Kind::A);
    let mut bytes = message(question, 0x8180, &[(1, 60, &[192, 0, 2, 1])]);
    bytes[7] = 2;
    add(&mut bytes, b"\x04evil\xc0\x0c", 1, 60, &[203, 0, 113, 66]);
    let found = question.answer(&bytes).expect("an answer");
    assert_eq!(found.addresses, [IpAddr::from([192, 0, 2, 1])]);
}

#[test]
fn what_answers_another_question_is_no_answer() {
    let question = asked(Kind::A);
    let answer =
        |other: Question<'_>| question.answer(&message(other, 0x8180, &[(1, 60, &[192, 0, 2, 1])]));
    assert!(answer(question).is_ok());
    for other in [
        Question { id: 8, ..question },
        Question { name: "example.net", ..question },
        Question { kind: Kind::Aaaa, ..question },
    ] {
        assert_eq!(answer(other), Err(Error::NotAnAnswer), "{other:?}");
    }
    let mut none = message(question, 0x8180, &[]);
    none[5] = 0;
    assert_eq!(question.answer(&none), Err(Error::NotAnAnswer), "no question at all");
}

#[test]
fn what_is_wrong_with_an_answer_is_told() {
    let question = asked(Kind::A);
    let answer =
        |flags, records: &[(u16, u32, &[u8])]| question.answer(&message(question, flags, records));
    assert_eq!(answer(0x8183, &[]), Err(Error::Code { code: 3, ttl: None }));
    assert_eq!(answer(0x8182, &[]), Err(Error::Code { code: 2, ttl: None }));
    assert_eq!(answer(0x8380, &[]), Err(Error::Truncated));
    assert_eq!(answer(0x8180, &[]), Ok(Answer::default()), "nothing there");
    assert_eq!(answer(0x8180, &[(1, 1, &[1, 2, 3])]), Err(Error::Malformed));
    // A name that refers to itself.
    let mut round = message(question, 0x8180, &[(5, 9, &[0xc0, 41])]);
    let at = round.len() - 2;
    round[at + 1] = at as u8;
    assert_eq!(question.answer(&round), Err(Error::Malformed));
}

#[test]
fn that_there_is_nothing_holds_as_long_as_the_zone_says() {
    let question = asked(Kind::A);
    let soa = b"\x02ns\xc0\x0c\x04mail\xc0\x0c\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x1e";
    for (flags, ttl) in [(0x8183, 60), (0x8180, 60), (0x8183, 10)] {
        let mut bytes = message(question, flags, &[]);
        bytes[9] = 1;
        add(&mut bytes, &[0xc0, 12], 6, ttl, soa);
        let holds = match question.answer(&bytes) {
            Err(Error::Code { code: 3, ttl }) => ttl,
            Ok(answer) if answer.is_empty() => Some(answer.ttl),
            other => panic!("{other:?}"),
        };
        assert_eq!(holds, Some(ttl.min(30)));
    }
}

#[test]
fn an_answer_that_breaks_off_anywhere_is_none() {
    for (kind, data) in
        [(Kind::A, &[192, 0, 2, 1][..]), (Kind::Srv, b"\0\x0a\0\x05\x17\x70\x03one\xc0\x0c")]
    {
        let whole = message(asked(kind), 0x8180, &[(kind.number(), 300, data)]);
        assert!(asked(kind).answer(&whole).is_ok());
        for cut in 0..whole.len() {
            assert!(asked(kind).answer(&whole[..cut]).is_err(), "cut at {cut}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_or_an_error(
        counts in any::<[u8; 3]>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        kind in prop_oneof![Just(Kind::A), Just(Kind::Aaaa), Just(Kind::Srv)],
    ) {
        let question = asked(kind);
        let mut all = message(question, 0x8180, &[]);
        (all[7], all[9], all[11]) = (counts[0] % 8, counts[1] % 8, counts[2] % 8);
        all.extend_from_slice(&bytes);
        let _ = question.answer(&all);
    }
}

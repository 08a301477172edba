use alloc::vec;

use proptest::prelude::*;

use super::*;

/// What HAProxy 2.6.12 sent of a table `type ip expire 30s store server_id,gpt0,gpc0,gpc0_rate(3s),
/// bytes_in_cnt`, of one with arrays in a `peers` section, and of entries.
const DEFINITION: &[u8] = b"\x0a\x82\x0f\x02\x01f\x04\x04\xff\xf1\x02\xf0\xc4\x0d\x03\xf8\xac\x00";
const ARRAYS: &[u8] = b"\x0a\x82\x1a\x01\x03/tt\x06\x0b\xf0\xf4\xfe\x5e\xf0\xd9\xdc\x0c\x05\xf0\
    \xe2\x03\x17\x02\x18\x02\xf8\xa9\x01";
const ENTRY: &[u8] = b"\x0a\x80\x15\x00\x00\x00\x01\x01\x02\x03\x04\x00\x00\xfc\x03\x01\x05\x00\
    \xf0\x91\xbd\x80\x94\x00";
const NAMED: &[u8] = b"\x0a\x80\x0f\x00\x00\x00\x01\x00\x00\xac\x02\x07\x00\x04\x01\x02s1";

fn one(bytes: &[u8]) -> Message<'_> {
    let (frame, length) = frame(bytes).unwrap().unwrap();
    assert_eq!(length, bytes.len());
    message(&frame).unwrap()
}

fn definition(bytes: &[u8]) -> Definition {
    match one(bytes) {
        Message::Define(definition) => definition,
        other => panic!("{other:?}"),
    }
}

#[test]
fn haproxys_definition_of_a_table_is_read_and_written() {
    let table = definition(DEFINITION);
    assert_eq!((table.id, table.name.as_slice(), table.key_type), (2, &b"f"[..], KEY_IPV4));
    assert_eq!((table.key_length, table.data, table.expire), (4, 0x200f, 30_000));
    assert_eq!(table.parameters, [Parameter { data: 3, count: 1, period: 3_000 }]);
    let arrays = definition(ARRAYS);
    assert_eq!((arrays.name.as_slice(), arrays.key_type), (&b"/tt"[..], KEY_TEXT));
    assert_eq!((arrays.key_length, arrays.data, arrays.expire), (11, 0x180_0030, 3_600_000));
    let expected = [
        Parameter { data: 5, count: 1, period: 10_000 },
        Parameter { data: 23, count: 2, period: 0 },
        Parameter { data: 24, count: 2, period: 5_000 },
    ];
    assert_eq!(arrays.parameters, expected);
    for (bytes, table) in [(DEFINITION, table), (ARRAYS, arrays)] {
        let mut out = vec![];
        push(&mut out, &Message::Define(table));
        assert_eq!(out, bytes);
    }
}

#[test]
fn haproxys_entries_are_read_and_written() {
    let table = definition(DEFINITION);
    let Message::Update(changed) = one(ENTRY) else { panic!() };
    let read = update(&changed, &table).unwrap();
    assert_eq!((read.number, read.left, read.key), (Some(1), None, &[1, 2, 3, 4][..]));
    let expected = [
        (0, 0, Value::Number(0)),
        (1, 0, Value::Number(0)),
        (2, 0, Value::Number(300)),
        (3, 0, Value::Rate { elapsed: 1, current: 5, previous: 0 }),
        (13, 0, Value::Number(5_000_000_000)),
    ];
    assert_eq!(read.values, expected);
    let mut out = vec![];
    push_update(&mut out, &read, table.key_type);
    assert_eq!(out, ENTRY);

    let table = Definition { key_type: KEY_NUMBER, data: 1 | 1 << 6 | 1 << 19, ..table };
    let Message::Update(changed) = one(NAMED) else { panic!() };
    let read = update(&changed, &table).unwrap();
    assert_eq!(read.values[0], (0, 0, Value::Number(7)));
    assert_eq!(read.values[2], (19, 0, Value::Name(Named::New(1, b"s1"))));
    let mut out = vec![];
    push_update(&mut out, &read, table.key_type);
    assert_eq!(out, NAMED);
}

#[test]
fn messages_without_a_body_are_two_bytes() {
    for (bytes, expected) in [
        (&[0, 0], Message::ResyncRequest),
        (&[0, 1], Message::ResyncFinished),
        (&[0, 2], Message::ResyncPartial),
        (&[0, 3], Message::ResyncConfirmed),
        (&[0, 4], Message::Heartbeat),
        (&[1, 0], Message::ProtocolError),
        (&[1, 1], Message::SizeError),
    ] {
        assert_eq!(one(bytes), expected);
        let mut out = vec![];
        push(&mut out, &expected);
        assert_eq!(out, bytes);
    }
    assert_eq!(one(&[10, 132, 5, 2, 0, 0, 0, 9]), Message::Ack { table: 2, update: 9 });
    assert_eq!(one(&[0, 99]), Message::Unknown, "of a later version");
    assert_eq!(message(&Frame { class: 99, kind: 0, body: &[] }), Err(Wrong::Malformed));
}

#[test]
fn a_message_that_is_cut_waits_or_is_wrong_but_is_never_read() {
    for whole in [DEFINITION, ARRAYS, ENTRY, NAMED] {
        for end in 0..whole.len() {
            assert_eq!(frame(&whole[..end]), Ok(None));
        }
    }
    let table = definition(DEFINITION);
    for end in 3..ENTRY.len() {
        let body = &ENTRY[3..end];
        let cut = Changed { next: false, timed: false, body };
        assert_eq!(update(&cut, &table), Err(Wrong::Malformed));
    }
    assert_eq!(frame(b"\x0a\x80\xff\xff\xff\xff\x00"), Err(Wrong::TooLong));
    assert_eq!(number(&[0xff; 20]), Err(Wrong::Malformed));
}

proptest! {
    #[test]
    fn a_number_comes_back(value: u64) {
        let mut out = vec![];
        push_number(&mut out, value);
        prop_assert_eq!(number(&out), Ok(Some((value, out.len()))));
        prop_assert_eq!(number(&out[..out.len() - 1]), Ok(None));
    }

    #[test]
    fn whatever_comes_is_read_to_an_end(bytes: Vec<u8>) {
        fuzz(&bytes);
        let mut behind = DEFINITION.to_vec();
        behind.extend_from_slice(&bytes);
        fuzz(&behind);
        let mut entry = DEFINITION.to_vec();
        entry.extend_from_slice(&[10, 128]);
        push_number(&mut entry, bytes.len() as u64);
        entry.extend_from_slice(&bytes);
        fuzz(&entry);
    }
}

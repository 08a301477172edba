extern crate std;

use alloc::vec;

use proptest::prelude::*;

use super::*;

const BASE: [u32; 6] = [1, 3, 6, 1, 4, 1];

fn oid(last: u32) -> Oid {
    Oid::from(BASE).child([last, 0])
}

fn tree() -> &'static Tree {
    static TREE: std::sync::OnceLock<Tree> = std::sync::OnceLock::new();
    TREE.get_or_init(|| {
        let mut tree = Tree::default();
        tree.set(oid(1), Value::from("one"));
        tree.set(oid(2), Value::Counter64(2));
        tree.set(oid(3), Value::Address([192, 0, 2, 1].into()));
        tree
    })
}

/// A master agent's packet, of session 7.
fn packet(kind: u8, write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new(kind, 7, 11, 13);
    write(&mut writer);
    writer.finish()
}

fn confirmation(error: u16) -> Vec<u8> {
    packet(kind::RESPONSE, |w| {
        w.number(0);
        w.short(error);
        w.short(0);
    })
}

fn ready() -> Session {
    let mut session = Session::new("test", vec![Oid::from(BASE)]);
    session.receive(&confirmation(0), tree).expect("opened");
    session.receive(&confirmation(0), tree).expect("registered");
    assert!(session.is_ready());
    session.take_output();
    session
}

fn ask(kind: u8, write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut session = ready();
    session.receive(&packet(kind, write), tree).expect("a question");
    session.take_output()
}

/// The bindings of an answer without error: where, and the type of what is there.
fn bindings(answer: &[u8]) -> Vec<(Oid, u16)> {
    let header = Header::parse(answer).expect("a header").expect("a whole one");
    assert_eq!((header.kind, header.session, header.packet), (kind::RESPONSE, 7, 13));
    let mut reader = header.reader(&answer[HEADER..]).expect("a payload");
    assert_eq!(reader.number(), Ok(0));
    assert_eq!((reader.short(), reader.short()), (Ok(0), Ok(0)));
    let mut found = vec![];
    while !reader.is_empty() {
        let kind = reader.short().expect("a type");
        reader.short().expect("reserved");
        let (oid, _) = reader.oid().expect("a name");
        match kind {
            2 | 65..=67 => drop(reader.number()),
            4 | 64 => drop(reader.octets()),
            70 => drop((reader.number(), reader.number())),
            _ => {}
        }
        found.push((oid, kind));
    }
    found
}

fn range(w: &mut Writer, start: &Oid, end: &Oid) {
    w.oid(start);
    w.oid(end);
}

#[test]
fn it_opens_then_registers_then_is_ready() {
    let mut session = Session::new("test", vec![oid(1), oid(2)]);
    assert_eq!(session.take_output()[1], kind::OPEN);
    session.receive(&confirmation(0), tree).expect("opened");
    let registrations = session.take_output();
    assert_eq!(registrations[1], kind::REGISTER);
    assert_eq!(registrations[4..8], [0, 0, 0, 7], "the session's number");
    session.receive(&confirmation(0), tree).expect("one");
    assert!(!session.is_ready());
    session.receive(&confirmation(0), tree).expect("two");
    assert!(session.is_ready());
}

#[test]
fn a_refusal_ends_it() {
    let mut session = Session::new("test", vec![oid(1)]);
    assert_eq!(session.receive(&confirmation(256), tree), Err(Broken::Refused(256)));
}

#[test]
fn a_get_tells_values_from_missing_instances_and_objects() {
    let answer = ask(kind::GET, |w| {
        range(w, &oid(1), &Oid::default());
        range(w, &Oid::from(BASE).child([1, 9]), &Oid::default());
        range(w, &Oid::from([1, 2]), &Oid::default());
    });
    let kinds: Vec<u16> = bindings(&answer).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, [4, 129, 128]);
}

#[test]
fn a_walk_ends_where_the_range_does() {
    let answer = ask(kind::GET_NEXT, |w| {
        range(w, &oid(1), &Oid::default());
        range(w, &oid(1), &oid(2));
        range(w, &oid(3), &Oid::default());
    });
    assert_eq!(bindings(&answer), [(oid(2), 70), (oid(1), 130), (oid(3), 130)]);
}

#[test]
fn a_bulk_answer_has_single_values_then_rows() {
    let answer = ask(kind::GET_BULK, |w| {
        w.short(1);
        w.short(9);
        range(w, &Oid::from(BASE), &Oid::default());
        range(w, &oid(1), &Oid::default());
    });
    let expected = [(oid(1), 4), (oid(2), 70), (oid(3), 64), (oid(3), 130)];
    assert_eq!(bindings(&answer), expected);
}

#[test]
fn nothing_can_be_set() {
    let answer = ask(kind::TEST_SET, |_| {});
    assert_eq!(answer[HEADER + 4..HEADER + 8], [0, 17, 0, 1]);
    assert!(ask(11, |_| {}).is_empty(), "CleanupSet has no answer");
}

#[test]
fn a_notification_waits_for_the_session() {
    let mut session = Session::new("test", vec![oid(1)]);
    session.take_output();
    session.notify(oid(9), vec![(oid(1), Value::Gauge(1))]);
    assert!(session.take_output().is_empty());
    session.receive(&confirmation(0), tree).expect("opened");
    session.take_output();
    session.receive(&confirmation(0), tree).expect("registered");
    let sent = session.take_output();
    assert_eq!(sent[1], kind::NOTIFY);
    let first = Oid::from(SNMP_TRAP_OID);
    let header = Header::parse(&sent).expect("a header").expect("a whole one");
    let mut reader = header.reader(&sent[HEADER..]).expect("a payload");
    assert_eq!((reader.short(), reader.short()), (Ok(6), Ok(0)));
    assert_eq!(reader.oid(), Ok((first, false)));
}

#[test]
fn both_byte_orders_are_understood() {
    let mut little = vec![1, kind::GET, 0, 0];
    for number in [7_u32, 11, 13, 4 + 4 + 8] {
        little.extend(number.to_le_bytes());
    }
    little.extend([3, 4, 0, 0]);
    for number in [1_u32, 1, 0] {
        little.extend(number.to_le_bytes());
    }
    let mut session = ready();
    // The end of the range is missing, which is found out: so the numbers were read.
    assert_eq!(session.receive(&little, tree), Err(Broken::Malformed(kind::GET)));
    let length = little.len() - HEADER + 4;
    little[16..20].copy_from_slice(&u32::try_from(length).expect("short").to_le_bytes());
    little.extend([0; 4]);
    let mut session = ready();
    session.receive(&little, tree).expect("a question");
    assert_eq!(bindings(&session.take_output()), [(oid(1), 4)]);
}

#[test]
fn a_packet_may_come_octet_by_octet() {
    let whole = packet(kind::GET, |w| range(w, &oid(2), &Oid::default()));
    let mut session = ready();
    for octet in &whole {
        session.receive(&[*octet], tree).expect("part of a question");
    }
    assert_eq!(bindings(&session.take_output()), [(oid(2), 70)]);
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0_u8..20) {
        let mut session = ready();
        let _ = session.receive(&bytes, tree);
        let mut framed = packet(kind, |w| w.0.extend(&bytes));
        let mut session = ready();
        let _ = session.receive(&framed, tree);
        framed.truncate(framed.len() / 2);
        let _ = ready().receive(&framed, tree);
    }
}

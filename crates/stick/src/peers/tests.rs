use alloc::vec;
use core::cell::RefCell;

use super::*;
use crate::Stored;

/// One process with its tables.
struct Side(Vec<(String, Config, RefCell<Table>)>);

impl Side {
    fn new(expire: Option<u64>) -> Self {
        let mut ip = Config { expire, ..Config::new(KeyType::Ip, 100) };
        for data in [Data::ServerId, Data::ConnCur, Data::ConnCnt, Data::ServerKey] {
            ip.store(Stored::plain(data));
        }
        ip.store(Stored::rate(Data::ConnRate, 10_000));
        let mut text = Config::new(KeyType::String(10), 100);
        text.store(Stored { count: 2, ..Stored::plain(Data::Gpc) });
        let number = Config::new(KeyType::Integer, 100);
        let make = |(name, config): (&str, Config)| {
            let mut table = Table::new(config.clone());
            table.share();
            (name.into(), config, RefCell::new(table))
        };
        Self([("ip", ip), ("/text", text), ("number", number)].map(make).into())
    }

    fn touch(&self, table: usize, key: &[u8], act: impl FnOnce(&mut Table, EntryId)) {
        let mut table = self.0[table].2.borrow_mut();
        let entry = table.create(0, key).unwrap();
        act(&mut table, entry);
        table.touch(0, entry);
    }

    fn keys(&self, table: usize) -> Vec<Vec<u8>> {
        let table = self.0[table].2.borrow();
        table.iter(0).map(|entry| table.key(entry).to_vec()).collect()
    }
}

impl Store for Side {
    fn count(&self) -> usize {
        self.0.len()
    }
    fn name(&self, table: usize) -> &str {
        &self.0[table].0
    }
    fn config(&self, table: usize) -> &Config {
        &self.0[table].1
    }
    fn with(&self, table: usize, act: &mut dyn FnMut(&mut Table)) {
        act(&mut self.0[table].2.borrow_mut());
    }
}

/// Lets both talk until neither has anything to say; what each heard.
fn talk(
    now: Millis,
    a: (&mut Session, &Side),
    b: (&mut Session, &Side),
) -> (Vec<Heard>, Vec<Heard>) {
    for _ in 0..1_000 {
        let (mut to_b, mut to_a) = (vec![], vec![]);
        a.0.send(now, true, a.1, &mut to_b);
        b.0.send(now, false, b.1, &mut to_a);
        if to_a.is_empty() && to_b.is_empty() {
            return (a.0.heard(), b.0.heard());
        }
        // Cut anywhere, it is the same.
        for piece in to_b.chunks(7) {
            b.0.receive(now, piece, b.1).unwrap();
        }
        a.0.receive(now, &to_a, a.1).unwrap();
    }
    panic!("they never stop");
}

#[test]
fn what_changes_on_one_side_is_known_on_the_other() {
    let (ours, theirs) = (Side::new(Some(60_000)), Side::new(Some(60_000)));
    let (mut a, mut b) = (Session::new(0, &[], 3, false), Session::new(0, &[], 3, false));
    ours.touch(0, &[192, 0, 2, 1], |table, entry| {
        table.set(0, entry, Data::ServerId, 0, 7);
        table.set(0, entry, Data::ConnCur, 0, 5);
        table.add(0, entry, Data::ConnRate, 0, 3);
        let name = table.intern("s1");
        table.set_slot(entry, Data::ServerKey, 0, Slot::Name(Some(name)));
    });
    theirs.touch(1, b"hello", |table, entry| {
        table.add(0, entry, Data::Gpc, 1, 300);
    });
    ours.touch(2, &5_u32.to_le_bytes(), |_, _| ());
    assert_eq!(talk(0, (&mut a, &ours), (&mut b, &theirs)), (vec![], vec![]));
    for table in 0..3 {
        assert_eq!(ours.keys(table), theirs.keys(table), "table {table}");
    }
    assert!(!a.has_more(&ours) && !b.has_more(&theirs));
    let table = theirs.0[0].2.borrow();
    let entry = table.lookup(0, &[192, 0, 2, 1]).unwrap();
    assert_eq!(table.number(0, entry, Data::ServerId, 0), Some(7));
    assert_eq!(table.number(0, entry, Data::ConnRate, 0), Some(3));
    assert_eq!(table.number(0, entry, Data::ConnCur, 0), Some(0), "not its connections");
    assert!(
        matches!(table.slot(entry, Data::ServerKey, 0), Some(Slot::Name(Some(n))) if **n == "s1")
    );
    assert_eq!(ours.0[1].2.borrow().last_update(), 0, "what was heard is not told back");
    assert_eq!(a.acknowledged(), [1, 0, 1]);
}

#[test]
fn who_asks_is_told_all_and_the_names_once() {
    let (ours, theirs) = (Side::new(None), Side::new(None));
    for number in 0..90_u8 {
        ours.touch(0, &[10, 0, 0, number], |table, entry| {
            let name = table.intern("web1");
            table.set_slot(entry, Data::ServerKey, 0, Slot::Name(Some(name)));
        });
    }
    // The other has had all that, and has lost it.
    let had = ours.0[0].2.borrow().last_update();
    let (mut a, mut b) = (Session::new(0, &[had], 3, false), Session::new(0, &[], 3, true));
    let heard = talk(0, (&mut a, &ours), (&mut b, &theirs));
    assert_eq!(heard, (vec![Heard::Confirmed], vec![Heard::Taught]));
    assert_eq!(theirs.keys(0).len(), 90);
    assert_eq!(a.names_out.len(), 1);
    let table = theirs.0[0].2.borrow();
    let last = table.lookup(0, &[10, 0, 0, 89]).unwrap();
    assert!(
        matches!(table.slot(last, Data::ServerKey, 0), Some(Slot::Name(Some(n))) if **n == "web1")
    );
}

#[test]
fn a_table_that_means_something_else_is_left_alone() {
    let ours = Side::new(None);
    let mut theirs = Side::new(None);
    let mut other = Config::new(KeyType::Ip, 100);
    other.store(Stored::rate(Data::ConnRate, 5_000));
    theirs.0[0] = ("ip".into(), other.clone(), RefCell::new(Table::new(other)));
    let (mut a, mut b) = (Session::new(0, &[], 3, false), Session::new(0, &[], 3, false));
    ours.touch(0, &[1, 2, 3, 4], |_, _| ());
    ours.touch(1, b"x", |_, _| ());
    talk(0, (&mut a, &ours), (&mut b, &theirs));
    assert_eq!(theirs.keys(0), Vec::<Vec<u8>>::new());
    assert_eq!(theirs.keys(1), [b"x".to_vec()]);
}

#[test]
fn silence_is_answered_by_a_sign_of_life_and_then_by_the_end() {
    let ours = Side::new(None);
    let mut a = Session::new(0, &[], 3, false);
    let mut out = vec![];
    a.send(2_999, true, &ours, &mut out);
    assert!(out.is_empty() && a.deadline() == 3_000);
    a.send(3_000, true, &ours, &mut out);
    assert_eq!(out, [0, 4]);
    assert!(!a.is_dead(4_999) && a.is_dead(5_000));
}

#[test]
fn an_entry_that_has_little_time_left_says_so() {
    let (ours, theirs) = (Side::new(Some(60_000)), Side::new(Some(60_000)));
    ours.touch(0, &[1, 2, 3, 4], |_, _| ());
    let (mut a, mut b) = (Session::new(50_000, &[], 3, false), Session::new(50_000, &[], 3, false));
    talk(50_000, (&mut a, &ours), (&mut b, &theirs));
    let table = theirs.0[0].2.borrow();
    let entry = table.lookup(50_000, &[1, 2, 3, 4]).unwrap();
    assert_eq!(table.left(50_000, entry), 10_000);
}

#[test]
fn nonsense_ends_a_session_with_a_word_about_it() {
    let ours = Side::new(None);
    let mut a = Session::new(0, &[], 3, false);
    assert!(a.receive(0, &[99, 0], &ours).is_err());
    let mut out = vec![];
    a.send(0, true, &ours, &mut out);
    assert_eq!(out, [1, 0]);
    let mut a = Session::new(0, &[], 3, false);
    assert!(a.receive(0, &[10, 128, 1, 0], &ours).is_err(), "a change of no table");
}

#[test]
fn greetings_are_those_of_haproxy() {
    let hello = Hello { to: "B".into(), from: "A".into() };
    let text = hello.text(25_971);
    assert_eq!(text, "HAProxyS 2.1\nB\nA 25971 1\n");
    assert_eq!(Hello::parse(text.as_bytes()), Ok(Some((hello, text.len()))));
    for end in 0..text.len() {
        assert_eq!(Hello::parse(&text.as_bytes()[..end]), Ok(None));
    }
    assert_eq!(Hello::parse(b"GET / HTTP/1.0\r\n"), Err(Status::NotUnderstood));
    assert_eq!(Hello::parse(b"GET /"), Err(Status::NotUnderstood));
    assert_eq!(Hello::parse(b"HAProxyS 3.0\n"), Err(Status::OtherVersion));
    assert_eq!(Hello::parse(b"HAProxyS 2.1\nB\n\n"), Err(Status::NotUnderstood));
    assert_eq!(Status::parse(b"200\n\0\0"), Some((Status::Welcome, 4)));
    assert_eq!(Status::parse(b"20"), None);
    assert_eq!(Status::parse(b"zork\n"), Some((Status::NotUnderstood, 5)));
}

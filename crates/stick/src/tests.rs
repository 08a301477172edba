use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

fn table(size: usize, expire: Option<u64>) -> Table {
    let mut config = Config { expire, ..Config::new(KeyType::Integer, size) };
    config.store(Stored::rate(Data::ConnRate, 1_000));
    config.store(Stored::plain(Data::ConnCnt));
    config.store(Stored { count: 3, ..Stored::plain(Data::Gpc) });
    Table::new(config)
}

fn key(number: u32) -> [u8; 4] {
    number.to_le_bytes()
}

#[test]
fn data_has_the_numbers_of_the_wire_and_names_that_lead_back() {
    for (at, data) in Data::ALL.into_iter().enumerate() {
        assert_eq!(data as usize, at);
        assert_eq!(Data::named(data.name()), Some(data));
    }
    assert_eq!(Data::ServerKey as usize, 19);
    assert_eq!(Data::GpcRate as usize, 24);
    assert_eq!(Data::named("zork"), None);
}

#[test]
fn what_is_stored_is_kept_in_its_order_and_once() {
    let mut config = Config::new(KeyType::Ip, 1);
    for data in [Data::ConnCnt, Data::ServerId, Data::ConnCnt] {
        config.store(Stored::plain(data));
    }
    assert_eq!(config.data, [Stored::plain(Data::ServerId), Stored::plain(Data::ConnCnt)]);
}

#[test]
fn keys_are_cut_padded_or_refused() {
    let of = |kind| Config::new(kind, 1);
    assert_eq!(of(KeyType::String(3)).key(b"hello"), Some(b"hel".to_vec()));
    assert_eq!(of(KeyType::String(9)).key(b"he\0lo"), Some(b"he".to_vec()));
    assert_eq!(of(KeyType::Binary(4)).key(b"ab"), Some(b"ab\0\0".to_vec()));
    assert_eq!(of(KeyType::Binary(1)).key(b"ab"), Some(b"a".to_vec()));
    assert_eq!(of(KeyType::Ip).key(b"ab"), None);
    assert_eq!(of(KeyType::Ipv6).key(&[7; 16]), Some(vec![7; 16]));
}

#[test]
fn an_entry_lives_from_its_last_touch_on() {
    let mut table = table(10, Some(100));
    let id = table.create(0, &key(1)).unwrap();
    assert!(table.lookup(99, &key(1)).is_some());
    table.touch(99, id);
    assert_eq!((table.left(150, id), table.idle(150, id)), (49, 51));
    assert!(table.lookup(198, &key(1)).is_some());
    assert!(table.lookup(199, &key(1)).is_none());
    // Making it anew forgets what it was.
    table.add(150, id, Data::ConnCnt, 0, 5);
    let again = table.create(300, &key(1)).unwrap();
    assert_eq!(table.number(300, again, Data::ConnCnt, 0), Some(0));
    assert_eq!(table.len(), 1);
}

#[test]
fn what_is_held_neither_expires_nor_makes_room() {
    let mut table = table(1, Some(100));
    let id = table.create(0, &key(1)).unwrap();
    table.hold(id);
    assert_eq!(table.create(1_000, &key(2)), None);
    assert!(!table.remove(id));
    assert_eq!(table.lookup(1_000, &key(1)), Some(id));
    table.release(id);
    table.touch(1_000, id);
    assert_eq!(table.lookup(1_050, &key(1)), Some(id));
    assert!(table.create(1_050, &key(2)).is_some(), "the older one makes room");
    assert_eq!(table.lookup(1_050, &key(1)), None);
}

#[test]
fn a_full_table_drops_what_was_touched_least_recently_unless_it_may_not() {
    let mut old = table(3, None);
    for (at, number) in [1, 2, 3].into_iter().enumerate() {
        old.create(at as u64, &key(number)).unwrap();
    }
    let first = old.lookup(3, &key(1)).unwrap();
    old.touch(3, first);
    assert!(old.create(4, &key(4)).is_some());
    let left: Vec<_> = old.iter(4).map(|id| old.key(id)[0]).collect();
    assert_eq!(left, [1, 3, 4]);

    let mut table = table(1, None);
    table.config_mut().nopurge = true;
    assert!(table.create(0, &key(1)).is_some());
    assert_eq!(table.create(0, &key(2)), None);
}

#[test]
fn arrays_stand_in_for_the_first_counters_of_their_kind() {
    let mut table = table(1, None);
    let id = table.create(0, &key(1)).unwrap();
    assert_eq!(table.add(0, id, Data::Gpc1, 0, 7), Some(7));
    assert_eq!(table.number(0, id, Data::Gpc, 1), Some(7));
    assert_eq!(table.number(0, id, Data::Gpc, 3), None, "there are three");
    assert!(!table.stores(Data::Gpt0, 0));
}

#[test]
fn counters_stop_at_their_ends() {
    let mut table = table(1, None);
    let id = table.create(0, &key(1)).unwrap();
    assert_eq!(table.add(0, id, Data::ConnCnt, 0, u64::MAX), Some(u32::MAX.into()));
    table.subtract(id, Data::ConnCnt, u64::MAX);
    assert_eq!(table.number(0, id, Data::ConnCnt, 0), Some(0));
}

#[test]
fn a_rate_is_what_haproxy_shows() {
    let mut rate = Rate::default();
    rate.add(5_000, 1_000, 1);
    rate.add(5_100, 1_000, 3);
    assert_eq!(rate.per(5_100, 1_000), 4);
    assert_eq!(rate.per(6_000, 1_000), 4);
    assert_eq!(rate.per(6_500, 1_000), 2);
    assert_eq!(rate.per(7_001, 1_000), 0);
    rate.add(6_500, 1_000, 1);
    assert_eq!(rate, Rate { since: 6_000, current: 1, previous: 4 });
    assert_eq!(rate.per(6_500, 1_000), 3);
    let single = Rate::of(0, 1);
    assert_eq!(single.per(1_999, 1_000), 1, "one event does not fade");
    assert_eq!(single.per(2_001, 1_000), 0);
}

#[test]
fn changes_are_told_in_their_order_and_each_entry_once() {
    let mut table = table(9, None);
    table.share();
    let ids: Vec<_> = (0..3).map(|n| table.create(0, &key(n)).unwrap()).collect();
    for id in [0, 1, 2, 0] {
        table.touch(0, ids[id]);
    }
    let mut told = vec![];
    let mut after = 0;
    while let Some((update, id)) = table.next_update(after) {
        told.push(id);
        after = update;
    }
    assert_eq!(told, [ids[1], ids[2], ids[0]]);
    table.remove(ids[1]);
    assert_eq!(table.next_update(0).map(|(_, id)| id), Some(ids[2]));
    assert_eq!(table.walk(0, 0).map(|(id, _)| id), Some(ids[0]));
}

#[test]
fn another_may_tell_of_less_time_but_not_of_more() {
    let mut table = table(9, Some(100));
    let id = table.create(0, &key(1)).unwrap();
    table.touch_remote(0, id, Some(10));
    assert_eq!(table.left(0, id), 10);
    assert_eq!(table.expire(10, 9), 1);
    let id = table.create(0, &key(1)).unwrap();
    table.touch_remote(0, id, Some(1_000));
    assert_eq!(table.left(0, id), 100);
}

#[test]
fn names_are_shared_and_forgotten_when_nobody_has_them() {
    let mut table = table(1, None);
    let one = table.intern("s1");
    assert!(alloc::sync::Arc::ptr_eq(&one, &table.intern("s1")));
    for number in 0..10_000 {
        table.intern(&alloc::format!("{number}"));
    }
    assert!(table.names_kept() <= 300);
    assert!(alloc::sync::Arc::ptr_eq(&one, &table.intern("s1")));
}

#[test]
fn the_one_that_nobody_holds_makes_room_although_all_end_at_the_same_time() {
    let mut table = table(4, Some(100));
    for (now, number) in [(52, 1), (76, 0), (100, 2)] {
        let id = table.create(now, &key(number)).unwrap();
        table.hold(id);
    }
    table.create(100, &key(3)).unwrap();
    assert!(table.create(100, &key(4)).is_some());
    assert_eq!(table.lookup(100, &key(3)), None);
}

proptest! {
    /// Whatever is done, the table agrees with a plain list about who is there.
    #[test]
    fn it_agrees_with_a_list(steps in proptest::collection::vec((0_u8..6, 0_u32..6, 0_u64..60), 0..200)) {
        let mut table = table(4, Some(100));
        let mut held: Vec<(u32, EntryId)> = vec![];
        // Key and deadline.
        let mut model: Vec<(u32, u64)> = vec![];
        let mut now = 0;
        for (step, number, time) in steps {
            now += time;
            let is_held = |key: u32, held: &[(u32, EntryId)]| held.iter().any(|(k, _)| *k == key);
            model.retain(|(k, until)| *until > now || is_held(*k, &held));
            match step {
                0 | 1 => {
                    let known = model.iter().any(|(k, _)| *k == number);
                    let made = table.create(now, &key(number));
                    if known {
                        prop_assert!(made.is_some());
                    } else if let Some(id) = made {
                        // Somebody may have had to go.
                        let there = |k: u32| table.lookup(now, &key(k)).is_some();
                        model.retain(|(k, _)| there(*k));
                        model.push((number, now + 100));
                        if step == 1 {
                            table.hold(id);
                            held.push((number, id));
                        }
                    } else {
                        prop_assert!(model.len() >= 4 && model.iter().all(|(k, _)| is_held(*k, &held)));
                    }
                }
                2 => {
                    if let Some(id) = table.lookup(now, &key(number)) {
                        table.touch(now, id);
                        for entry in model.iter_mut().filter(|(k, _)| *k == number) {
                            entry.1 = now + 100;
                        }
                    }
                }
                3 => {
                    if let Some((k, id)) = held.pop() {
                        table.release(id);
                        table.touch(now, id);
                        for entry in model.iter_mut().filter(|(known, _)| *known == k) {
                            entry.1 = now + 100;
                        }
                    }
                }
                4 => {
                    if let Some(id) = table.lookup(now, &key(number)) {
                        let gone = table.remove(id);
                        prop_assert_eq!(gone, !is_held(number, &held));
                        if gone {
                            model.retain(|(k, _)| *k != number);
                        }
                    }
                }
                _ => { table.expire(now, 2); }
            }
            prop_assert!(table.len() <= 4);
            let mut expected: Vec<u32> = model.iter().map(|(k, _)| *k).collect();
            expected.sort_unstable();
            let found: Vec<u32> = table.iter(now).map(|id| u32::from(table.key(id)[0])).collect();
            prop_assert_eq!(found, expected);
        }
    }

    /// A rate never says more than what happened, and nothing once two periods have passed.
    #[test]
    fn a_rate_says_no_more_than_happened(events in proptest::collection::vec((0_u64..3_000, 1_u32..50), 1..50)) {
        let (mut rate, mut now, mut total) = (Rate::default(), 10_000_u64, 0_u64);
        for (time, count) in events {
            now += time;
            rate.add(now, 1_000, count);
            total += u64::from(count);
            prop_assert!(u64::from(rate.per(now, 1_000)) <= total);
            prop_assert!(rate.per(now, 1_000) >= count.min(1));
        }
        prop_assert_eq!(rate.per(now + 2_001, 1_000), 0);
    }
}

#[test]
fn a_table_of_another_size_keeps_its_entries_and_drops_the_oldest_where_there_are_too_many() {
    let mut table = table(8, Some(1_000));
    for number in 0..8 {
        let entry = table.create(u64::from(number), &key(number)).expect("room");
        table.add(10, entry, Data::ConnCnt, 0, 7);
    }
    let held = table.lookup(10, &key(0)).expect("there");
    table.hold(held);
    let config = Config { size: 3, ..table.config().clone() };
    table.resize(10, &config);
    assert!(table.len() <= 3, "{}", table.len());
    assert_eq!(table.lookup(10, &key(0)), Some(held), "somebody holds it");
    let newest = table.lookup(10, &key(7)).expect("the newest");
    assert_eq!(table.number(10, newest, Data::ConnCnt, 0), Some(7));
    assert_eq!(table.lookup(10, &key(1)), None, "it was the oldest");
    table.resize(10, &Config { size: 100, ..config });
    for number in 100..190 {
        assert!(table.create(10, &key(number)).is_some(), "{number}");
    }
}

#[test]
fn entries_live_for_another_time_from_when_they_were_last_touched() {
    for (before, after, over) in [
        (Some(1_000), Some(200), Some(300)),
        (Some(200), Some(1_000), Some(1_100)),
        (None, Some(500), Some(600)),
        (Some(500), None, None),
    ] {
        let mut table = table(8, before);
        table.create(100, &key(1)).expect("room");
        let config = Config { expire: after, ..table.config().clone() };
        table.resize(150, &config);
        match over {
            Some(over) => {
                assert!(table.lookup(over - 1, &key(1)).is_some(), "{before:?} {after:?}");
                assert!(table.lookup(over, &key(1)).is_none(), "{before:?} {after:?}");
                assert_eq!(table.expire(over, 8), 1, "{before:?} {after:?}");
            }
            None => assert!(table.lookup(1 << 40, &key(1)).is_some()),
        }
    }
}

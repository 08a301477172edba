//! Lists of patterns that change under the rules that use them.

use std::sync::Arc;

use crate::list::{List, Refused, Use, Which};
use crate::pattern::{Flags, Match, Set};
use crate::{Live, Map, Patterns, Type, Value};

const TEXT: &str = "a 1\nb 2\n# no\na 3\n";

fn map(text: &str) -> Map {
    Map::read("m", text, Match::Str, Type::Int, Flags::default()).expect("a map")
}

fn list() -> (List, Arc<Live<Map>>) {
    let list = List::of_file("m", TEXT, Use::Map);
    list.used_by(Use::Map, "h.cfg", 3);
    let live = list.map(map(TEXT));
    (list, live)
}

fn value(live: &Live<Map>, key: &'static str) -> Option<Value<'static>> {
    live.with(|map| map.look_up(Value::text(key)))
}

#[test]
fn what_is_changed_is_found_at_once() {
    let (list, live) = list();
    assert_eq!(value(&live, "a"), Some(Value::Int(1)));
    assert_eq!(list.add(None, "c", Some("4")), Ok(()));
    assert_eq!(value(&live, "c"), Some(Value::Int(4)));
    assert_eq!(list.set_value(Which::Key("a"), "9"), Ok(()));
    assert_eq!(value(&live, "a"), Some(Value::Int(9)));
    assert_eq!(list.remove(Which::Number(1)), Ok(()));
    assert_eq!(list.set_value(Which::Number(3), "7"), Ok(()));
    assert_eq!(value(&live, "a"), Some(Value::Int(7)), "the other one");
    assert_eq!(list.remove(Which::Key("a")), Ok(()));
    assert_eq!(value(&live, "a"), None);
    list.clear(None);
    assert_eq!(value(&live, "b"), None);
}

#[test]
fn what_is_wrong_changes_nothing() {
    let (list, live) = list();
    let wrong = Refused::Invalid("unable to parse 'x'".into());
    assert_eq!(list.add(None, "c", Some("x")), Err(wrong.clone()));
    assert_eq!(list.set_value(Which::Key("a"), "x"), Err(wrong));
    assert_eq!(list.remove(Which::Key("c")), Err(Refused::NotFound));
    assert_eq!(list.set_value(Which::Number(9), "1"), Err(Refused::NotFound));
    assert_eq!(list.entries(None).len(), 3);
    assert_eq!(value(&live, "a"), Some(Value::Int(1)));
    assert!(!list.is_changed());
}

#[test]
fn a_version_counts_once_it_is_in_force() {
    let (list, live) = list();
    assert_eq!(list.add(Some(1), "a", Some("5")), Err(Refused::Future));
    assert_eq!((list.prepare(), list.prepare(), list.prepare()), (1, 2, 3));
    assert_eq!(list.add(Some(1), "a", Some("5")), Ok(()));
    assert_eq!(list.add(Some(2), "a", Some("6")), Ok(()));
    assert_eq!(list.add(Some(3), "a", Some("8")), Ok(()));
    assert_eq!(value(&live, "a"), Some(Value::Int(1)));
    for outside in [0, 4, u32::MAX] {
        assert_eq!(list.commit(outside), Err(Refused::OutOfRange), "{outside}");
    }
    assert_eq!(list.commit(2), Ok(()));
    assert_eq!((value(&live, "a"), value(&live, "b")), (Some(Value::Int(6)), None));
    assert!(list.entries(Some(1)).is_empty(), "older ones are gone");
    assert_eq!(list.entries(Some(3)).len(), 1, "newer ones are not");
}

#[test]
fn one_file_used_in_two_ways_changes_in_both() {
    let list = List::of_file("f", "foo\n", Use::Acl);
    let set = |method, ignore_case| {
        let mut set = Set::new(method, Flags { ignore_case, no_dns: false });
        set.add("foo").expect("a pattern");
        set
    };
    let exact = Patterns::new(Match::Str, vec![list.set(set(Match::Str, false))]);
    let end = Patterns::new(Match::End, vec![list.set(set(Match::End, true))]);
    let again = Patterns::new(Match::Str, vec![list.set(set(Match::Str, false))]);
    list.add(None, "bar", None).expect("a pattern");
    assert!(exact.matches(Value::text("bar")) && again.matches(Value::text("bar")));
    assert!(end.matches(Value::text("xBAR")) && !exact.matches(Value::text("xBAR")));
    assert!(list.described().ends_with("entry_cnt=4"), "{}", list.described());
}

#[test]
fn the_lists_of_the_next_configuration_begin_as_it_says_and_lead_those_still_in_use() {
    let (before, old) = list();
    before.add(None, "c", Some("4")).expect("a key");
    let (after, new) = list();
    let after = [Arc::new(after)];
    List::succeed(&[Arc::new(before)], &after);
    assert_eq!((value(&old, "c"), value(&old, "b")), (None, Some(Value::Int(2))));
    assert!(!after[0].is_changed());
    after[0].add(None, "d", Some("5")).expect("a key");
    for live in [&old, &new] {
        assert_eq!(value(live, "d"), Some(Value::Int(5)));
    }
    assert!(after[0].described().ends_with("entry_cnt=4"), "they are not counted twice");
}

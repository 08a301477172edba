use proptest::prelude::*;

use crate::pattern::{Flags, Match, Operator, Set};
use crate::{Map, Regex, Type, Value};

fn ip(text: &str) -> Value<'static> {
    Value::Ip(text.parse().expect("an address"))
}

fn matches(value: Value<'_>, method: Match, patterns: &[&str]) -> bool {
    let mut set = Set::new(method, Flags::default());
    for pattern in patterns {
        match Operator::named(pattern) {
            Some(operator) => set.operator(operator),
            None => set.add(pattern).expect("a pattern"),
        }
    }
    set.matches(value)
}

#[test]
fn values_match_where_haproxy_matches_them() {
    use Match::{
        Begin, Bin, Bool, Dir, Domain, End, Found, Int, Ip, Len, Regex, Str, Sub, Version,
    };
    let cases: Vec<(Value<'_>, Match, &[&str], bool)> = vec![
        (ip("10.1.2.3"), Ip, &["10.0.0.0/8"], true),
        // As inet_aton(3) has it.
        (ip("10.1.2.3"), Ip, &["10/8"], false),
        (ip("0.1.2.3"), Ip, &["10/8"], true),
        (ip("10.1.2.3"), Ip, &["10.1.0.0/255.255.0.0"], true),
        (ip("10.1.2.3"), Ip, &["10.0.2.0/255.0.255.0"], true),
        (ip("10.1.3.3"), Ip, &["10.0.2.0/255.0.255.0"], false),
        (ip("10.1.2.3"), Ip, &["::ffff:10.1.2.3"], true),
        (ip("::ffff:10.1.2.3"), Ip, &["10.1.2.3"], true),
        (ip("2002:a01:203::1"), Ip, &["10.1.2.3"], true),
        (ip("2001:db8::1"), Ip, &["2001:db8::/32"], true),
        (ip("2001:db9::1"), Ip, &["2001:db8::/32", "0.0.0.0/0"], false),
        (Value::text("10.1.2.3"), Ip, &["10.0.0.0/8"], true),
        (Value::text("abc"), Begin, &["ab"], true),
        (Value::text("abc"), End, &["bc"], true),
        (Value::text("abc"), Sub, &["b"], true),
        (Value::text("/a/b/c"), Dir, &["b"], true),
        (Value::text("/a/b/c"), Dir, &["/b/"], true),
        (Value::text("/a/bb/c"), Dir, &["b"], false),
        (Value::text("www.abc.org"), Domain, &["abc"], true),
        (Value::text("www.abc.org"), Domain, &["abc.org"], true),
        (Value::text("www.abc.org"), Domain, &["bc"], false),
        (Value::text("abc"), Len, &["3"], true),
        (Value::text("abc"), Len, &["gt", "3"], false),
        (Value::text("abc"), Str, &["abc", "def"], true),
        (Value::text("ABC"), Str, &["abc"], false),
        (Value::text("foo"), Regex, &["(foo|bar)(?=$)"], true),
        (Value::text("5x"), Int, &["5"], true),
        (Value::Int(5), Int, &["4:6"], true),
        (Value::Int(5), Int, &[":4"], false),
        (Value::Int(5), Int, &["gt", "4"], true),
        (Value::Int(5), Int, &["ge", "80", "lt", "6"], true),
        (Value::Int(-5), Int, &["lt", "0"], true),
        (Value::Int(5), Bool, &[], true),
        (Value::Int(0), Bool, &[], false),
        (Value::Int(3 << 16 | 1), Version, &["3.0-3.2"], true),
        (Value::Int(3 << 16 | 3), Version, &["3.0:3.2"], false),
        (Value::Bin(b"\x01\x02"[..].into()), Bin, &["0102"], true),
        (Value::text(""), Found, &[], true),
    ];
    for (value, method, patterns, expected) in cases {
        let shown = format!("{value:?} {method:?} {patterns:?}");
        assert_eq!(matches(value, method, patterns), expected, "{shown}");
    }
}

#[test]
fn case_is_ignored_where_it_is_asked_for() {
    let flags = Flags { ignore_case: true, no_dns: false };
    for (method, pattern) in [(Match::Str, "ABC"), (Match::Begin, "aB"), (Match::Regex, "^A.c$")] {
        let mut set = Set::new(method, flags);
        set.add(pattern).expect("a pattern");
        assert!(set.matches(Value::text("Abc")), "{method:?}");
    }
}

#[test]
fn what_is_no_pattern_is_refused_in_haproxy_s_words() {
    let cases = [
        (Match::Ip, "1.1.1.x", "'1.1.1.x' is not a valid IPv4 or IPv6 address"),
        (Match::Ip, "1.1.1.1/33", "'1.1.1.1/33' is not a valid IPv4 or IPv6 address"),
        (Match::Ip, "::/129", "'::/129' is not a valid IPv4 or IPv6 address"),
        (Match::Int, "foo", "'foo' is not a number"),
        (Match::Int, "80:70", "'80:70' is not a valid number range"),
        (Match::Version, "70000.1", "'70000.1' is not a dotted number"),
        (Match::Bin, "012", "an even number of hex digit is expected"),
        (Match::Bin, "01x2", "an hex digit is expected (found 'x')"),
    ];
    for (method, pattern, said) in cases {
        let error = Set::new(method, Flags::default()).add(pattern).expect_err("no pattern");
        assert_eq!(error, said);
    }
}

#[test]
fn a_file_has_a_pattern_a_line_and_a_mistake_has_its_number() {
    let mut set = Set::new(Match::Ip, Flags::default());
    assert_eq!(set.read("f", "10.0.0.0/8\n# a comment\n\n  1.1.1.1\n"), Ok(()));
    assert_eq!(set.len(), 2);
    let error = set.read("f.lst", "1.1.1.1\n1.1.1.1 \n").expect_err("a blank too many");
    assert_eq!(error, "'1.1.1.1 ' is not a valid IPv4 or IPv6 address at line 2 of file 'f.lst'");
}

#[test]
fn a_map_gives_the_value_of_the_key_that_matches_best() {
    let text = "a.example  be1  two words\n.example\tany\n# no\n";
    let map = Map::read("m", text, Match::End, Type::Str, Flags::default()).expect("a map");
    let look = |key: &'static str| map.look_up(Value::text(key));
    assert_eq!(look("a.example"), Some(Value::text("be1  two words")));
    assert_eq!(look("x.example"), Some(Value::text("any")));
    assert_eq!(look("x.org"), None);
    let error =
        Map::read("m", text, Match::Str, Type::Int, Flags::default()).expect_err("no number");
    assert_eq!(error, "unable to parse 'be1  two words' at line 1 of file 'm'");
    let groups = Map::read("m", "^(.*)\\.x$ be_\\1\n", Match::Regex, Type::Str, Flags::default());
    assert_eq!(groups.expect("a map").expand(b"one.x"), Some(Value::text("be_one")));
}

#[test]
fn an_expression_that_is_none_is_refused_in_the_words_of_pcre2() {
    for (source, said) in [
        ("*bad", "quantifier does not follow a repeatable item, erroffset=0"),
        ("(a", "missing closing parenthesis, erroffset=2"),
        ("[a", "missing terminating ] for character class, erroffset=2"),
        ("a)", "unmatched closing parenthesis, erroffset=1"),
    ] {
        let error = Regex::new(source, false).expect_err("no expression");
        assert_eq!(error, format!("regex '{source}' is invalid (error={said})"));
    }
}

#[test]
fn an_expression_that_goes_astray_is_given_up() {
    let regex = Regex::new("^(a|aa)+(?!b)$", false).expect("it is one");
    let started = std::time::Instant::now();
    assert!(!regex.is_match(&[&[b'a'; 60][..], b"c"].concat()));
    assert!(started.elapsed().as_secs() < 5);
}

#[test]
fn a_byte_is_a_character_of_an_expression() {
    let regex = Regex::new("^.$", false).expect("it is one");
    assert!(regex.is_match(b"\xff"));
    assert!(!regex.is_match("é".as_bytes()));
}

proptest! {
    #[test]
    fn networks_hold_what_their_mask_says(address: u32, network: u32, length in 0_u8..=32) {
        let mut set = Set::new(Match::Ip, Flags::default());
        let pattern = format!("{}/{length}", std::net::Ipv4Addr::from(network));
        set.add(&pattern).expect("a network");
        let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
        let inside = address & mask == network & mask;
        let value = Value::Ip(std::net::Ipv4Addr::from(address).into());
        prop_assert_eq!(set.matches(value), inside);
    }

    #[test]
    fn any_text_is_a_pattern_or_refused(text: String, value: String) {
        for (_, method) in Match::NAMES {
            let mut set = Set::new(method, Flags::default());
            if set.add(&text).is_ok() {
                let _ = set.matches(Value::text(value.clone()));
            }
        }
    }
}

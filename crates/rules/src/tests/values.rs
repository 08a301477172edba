use super::{converted, expr, text};
use crate::record::{Record, Variable};
use crate::scope::Scope;
use crate::{Arg, Type, Value, convert};

fn int(number: i64) -> Arg {
    Arg::Int(number)
}

#[test]
fn text_becomes_what_haproxy_makes_of_it() {
    let cases: &[(&str, &str, Vec<Arg>, Option<&str>)] = &[
        ("Abc", "upper", vec![], Some("ABC")),
        ("aGk", "lower", vec![], Some("agk")),
        ("a.b.c", "field", vec![int(2), text(".")], Some("b")),
        ("a.b.c", "field", vec![int(-1), text(".")], Some("c")),
        ("a..c", "field", vec![int(2), text(".")], Some("")),
        ("a..c", "word", vec![int(2), text(".")], Some("c")),
        ("a.b.c.d", "field", vec![int(2), text("."), int(2)], Some("b.c")),
        ("a.b.c.d", "field", vec![int(-2), text("."), int(2)], Some("b.c")),
        ("a.b.c.d", "word", vec![int(-1), text("."), int(3)], Some("b.c.d")),
        ("a.b.c.d", "field", vec![int(3), text("."), int(0)], Some("c.d")),
        ("a.b", "field", vec![int(9), text(".")], None),
        ("a.b", "word", vec![int(9), text(".")], Some("")),
        ("hello", "bytes", vec![int(1), int(2)], Some("el")),
        ("hello", "bytes", vec![int(3)], Some("lo")),
        ("hello", "bytes", vec![int(9)], Some("")),
        ("hello", "hex", vec![], Some("68656C6C6F")),
        ("hello", "base64", vec![], Some("aGVsbG8=")),
        ("aGVsbG8=", "b64dec", vec![], Some("hello")),
        ("aGVsbG8", "b64dec", vec![], None),
        ("a", "ub64enc", vec![], Some("YQ")),
        ("4fb", "hex2i", vec![], Some("1275")),
        ("a%20b+c?d+e", "url_dec", vec![], Some("a b+c?d e")),
        ("a%20b+c?d+e", "url_dec", vec![int(1)], Some("a b c?d e")),
        ("a%2", "url_dec", vec![], None),
        ("a/b c", "url_enc", vec![], Some("a%2Fb%20c")),
        ("xxabcxx", "ltrim", vec![text("x")], Some("abcxx")),
        ("xxabcxx", "rtrim", vec![text("x")], Some("xxabc")),
        ("abcabc", "regsub", vec![text("b"), text("X")], Some("aXcabc")),
        ("abcabc", "regsub", vec![text("b"), text("X"), text("g")], Some("aXcaXc")),
        ("abcabc", "regsub", vec![text("^"), text("X")], Some("Xabcabc")),
        ("abc", "regsub", vec![text("(.)b"), text("\\1-")], Some("a-c")),
        ("abc", "regsub", vec![text("x*"), text("-"), text("g")], Some("-a-b-c-")),
        ("abc", "length", vec![], Some("3")),
        ("h:80", "host_only", vec![], Some("h")),
        ("h:80", "port_only", vec![], Some("80")),
        ("[::1]:80", "host_only", vec![], Some("[::1]")),
        ("a\r\nb", "cut_crlf", vec![], Some("a")),
        ("hello", "crc32", vec![], Some("907060870")),
        ("hello", "djb2", vec![], Some("261238937")),
        ("hello", "sdbm", vec![], Some("684824882")),
        ("hello", "wt6", vec![], Some("3538347703")),
        ("hello", "crc32c", vec![], Some("2591144780")),
        ("hello", "sdbm", vec![int(1)], Some("2061535398")),
        ("abc", "xxh32", vec![], Some("852579327")),
        ("abc", "xxh32", vec![int(7)], Some("1473238068")),
        ("abc", "xxh64", vec![], Some("4952883123889572249")),
        ("abc", "xxh3", vec![], Some("8696274497037089104")),
        ("abc", "xxh3", vec![int(9)], Some("1778861875469414733")),
        ("1700000000", "http_date", vec![], Some("Tue, 14 Nov 2023 22:13:20 GMT")),
        ("1700000000", "http_date", vec![int(5)], Some("Tue, 14 Nov 2023 22:13:25 GMT")),
        (
            "1700000000123",
            "http_date",
            vec![int(0), text("ms")],
            Some("Tue, 14 Nov 2023 22:13:20.123 GMT"),
        ),
        (
            "1700000000123456",
            "http_date",
            vec![int(3), text("us")],
            Some("Tue, 14 Nov 2023 22:13:20.123459 GMT"),
        ),
        (
            "1700000000",
            "utime",
            vec![text("%Y-%m-%d %H:%M:%S %Z %z %a %A %b %B %j %e %I %p %y %D %T %F %R %%")],
            Some(
                "2023-11-14 22:13:20 GMT +0000 Tue Tuesday Nov November 318 14 10 PM 23 11/14/23 22:13:20 2023-11-14 22:13 %",
            ),
        ),
        (
            "1700000000",
            "utime",
            vec![text("%c|%x|%X|%h|%C|%d|%g|%G|%k|%l|%r|%u|%U|%V|%w|%W|%M|%q")],
            Some(
                "Tue Nov 14 22:13:20 2023|11/14/23|22:13:20|Nov|20|14|23|2023|22|10|10:13:20 PM|2|46|46|2|46|13|%q",
            ),
        ),
        ("1700000000", "utime", vec![text("%Y-%H"), int(3600)], Some("2023-23")),
        (
            "1700000000",
            "ltime",
            vec![text("%H:%M:%S %Z %z %s")],
            Some("23:13:20 CET +0100 1700000000"),
        ),
        ("1700000000", "utime", vec![text("%s")], Some("1699996400")),
        ("a", "add_item", vec![text(","), text(""), text("x")], Some("a,x")),
        ("", "add_item", vec![text(","), text(""), text("x")], Some("x")),
        ("a", "add_item", vec![text(","), text("txn.no"), text("y")], Some("a,y")),
        ("he \"hi\"\\/", "json", vec![], Some("he \\\"hi\\\"\\\\\\/")),
        ("é", "json", vec![], Some("\\u00c3\\u00a9")),
        ("é", "json", vec![text("utf8")], Some("\\u00e9")),
        (r#"{"a":{"b":[1,2,{"c":"x"}]}}"#, "json_query", vec![text("$.a.b[2].c")], Some("x")),
        (r#"{"a":{"b":[1,2]}}"#, "json_query", vec![text("$.a.b")], None),
        (r#"{"a":true}"#, "json_query", vec![text("$.a")], Some("1")),
        (r#"{"a":false}"#, "json_query", vec![text("$.a")], Some("0")),
        (r#"{"a":null}"#, "json_query", vec![text("$.a")], None),
        (r#"{"a":1.5}"#, "json_query", vec![text("$.a")], Some("1.5")),
        (r#"{"a":1.5}"#, "json_query", vec![text("$.a"), text("int")], Some("1")),
        (r#"{"a":"12x"}"#, "json_query", vec![text("$.a"), text("int")], Some("12x")),
        ("[1,2]", "json_query", vec![text("$[1]")], Some("2")),
        (r#"{"a b":3}"#, "json_query", vec![text("$.a b")], Some("3")),
        ("abcdef", "be2hex", vec![], Some("616263646566")),
        ("abcdef", "be2hex", vec![text(":"), int(2)], Some("6162:6364:6566")),
        ("abcde", "be2hex", vec![text("-"), int(2), int(1)], Some("6162-6364")),
        ("abcde", "be2hex", vec![text("-"), int(2)], Some("6162-6364-65")),
        ("abcdef", "be2dec", vec![text(":"), int(2)], Some("24930:25444:25958")),
        ("abcde", "be2dec", vec![text(":"), int(2)], Some("24930:25444:101")),
        ("abcde", "be2dec", vec![text(":"), int(2), int(1)], Some("24930:25444")),
        ("ab", "le2dec", vec![text(":"), int(2)], Some("25185")),
        ("a=1&b=2", "param", vec![text("b")], Some("2")),
        ("a.b.c", "reverse_dom", vec![], Some("c.b.a")),
        ("be", "nbsrv", vec![], Some("3")),
        ("nope", "nbsrv", vec![], None),
    ];
    for (from, name, args, expected) in cases {
        let out = converted(from, name, args.clone());
        assert_eq!(out.as_deref(), *expected, "{from},{name}{args:?}");
    }
}

#[test]
fn numbers_are_reckoned_as_haproxy_reckons() {
    let cases: &[(i64, &str, &str, i64)] = &[
        (-7, "div", "2", -3),
        (-7, "mod", "3", -1),
        (5, "div", "0", i64::MAX),
        (-5, "div", "0", i64::MIN),
        (12, "and", "10", 8),
        (12, "xor", "10", 6),
        (i64::MAX, "add", "1", i64::MAX),
        (i64::MIN, "sub", "1", i64::MIN),
        (8, "mul", "3", 24),
    ];
    let environment = super::Known::default();
    for (from, name, by, expected) in cases {
        let converter = convert::named(name).expect("a converter");
        let mut args = vec![text(by)];
        (converter.check)(&mut args).expect("a number");
        let mut chain = expr("int", vec![int(*from)]);
        chain.then(converter, args).expect("it takes a number");
        let found = chain.eval(&Scope::new(&environment), &mut Record::default());
        assert_eq!(found.value(), Some(Value::Int(*expected)), "{from} {name} {by}");
    }
}

#[test]
fn a_variable_is_kept_and_used_and_forgotten() {
    let environment = super::Known::default();
    let scope = Scope::new(&environment);
    let mut record = Record::default();
    let variable = Variable::parse("txn.kept").expect("a name");
    let mut keep = expr("int", vec![int(4)]);
    let set = convert::named("set-var").expect("a converter");
    let mut args = vec![text("txn.kept")];
    (set.check)(&mut args).expect("a name");
    keep.then(set, args).expect("it takes anything");
    assert_eq!(keep.eval(&scope, &mut record).value(), Some(Value::Int(4)));
    let read = expr("var", vec![Arg::Variable(variable.clone())]);
    assert_eq!(read.eval(&scope, &mut record).value(), Some(Value::Int(4)));
    record.forget(variable.scope);
    assert_eq!(read.eval(&scope, &mut record).value(), None);
    let default = expr("var", vec![Arg::Variable(variable), text("none")]);
    assert_eq!(default.eval(&scope, &mut record).value(), Some(Value::text("none")));
}

#[test]
fn a_variable_of_the_process_is_there_for_every_connection() {
    let environment = super::Known::default();
    let scope = Scope::new(&environment);
    let variable = Variable::parse("proc.n").expect("a name");
    let process = &environment.0;
    Record::default().set(&variable, Some(Value::Int(1)), process);
    let read = expr("var", vec![Arg::Variable(variable)]);
    assert_eq!(read.eval(&scope, &mut Record::default()).value(), Some(Value::Int(1)));
}

#[test]
fn names_of_variables_are_refused_in_haproxy_s_words() {
    for (name, said) in [
        ("", "Empty variable name cannot be accepted"),
        ("foo", "invalid variable name 'foo'."),
        ("txn.a-b", "invalid syntax at char '-'"),
    ] {
        let error = Variable::parse(name).expect_err("no name");
        assert!(error.starts_with(said), "{error}");
    }
}

#[test]
fn bytes_are_text_up_to_the_first_that_is_0() {
    let bytes = Value::Bin(b"ab\0c".to_vec().into());
    assert_eq!(bytes.clone().into_text(), &b"ab"[..]);
    assert_eq!(bytes.cast(Type::Int), None);
    assert!(!Type::Bin.casts_to(Type::Int) && !Type::Bool.casts_to(Type::Addr));
    assert_eq!(Value::text("17 apples").cast(Type::Int), Some(Value::Int(17)));
    assert_eq!(Value::text("10.0.0.1").cast(Type::Addr), Value::Ip([10, 0, 0, 1].into()).into());
}

#[test]
fn digests_are_haproxys() {
    let cases: &[(&str, Vec<Arg>, &str)] = &[
        ("sha1", vec![], "A9993E364706816ABA3E25717850C26C9CD0D89D"),
        ("sha2", vec![], "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"),
        ("sha2", vec![int(224)], "23097D223405D8228642A477BDA255B32AADBCE4BDA0B3F7E36C9DA7"),
        ("digest", vec![text("md5")], "900150983CD24FB0D6963F7D28E17F72"),
        (
            "digest",
            vec![text("SHA-256")],
            "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
        ),
        (
            "hmac",
            vec![text("sha256"), text("a2V5")],
            "9C196E32DC0175F86F4B1CB89289D6619DE6BEE699E4C378E68309ED97A1A6AB",
        ),
    ];
    for (name, args, expected) in cases {
        let converter = convert::named(name).expect("a converter");
        let mut args = args.clone();
        (converter.check)(&mut args).expect("good arguments");
        let mut expr = expr("str", vec![text("abc")]);
        expr.then(converter, args).expect("it takes text");
        expr.then(convert::named("hex").expect("a converter"), vec![]).expect("it takes bytes");
        let environment = super::Known::default();
        let found = expr.eval(&Scope::new(&environment), &mut Record::default());
        assert_eq!(found.value(), Some(Value::text(*expected)), "{name}");
    }
}

#[test]
fn arguments_haproxy_refuses_are_refused_in_its_words() {
    let cases: &[(&str, Vec<Arg>, &str)] = &[
        ("sha2", vec![int(1)], "Unsupported number of bits: '1'"),
        ("digest", vec![text("nope")], "algorithm must be a valid OpenSSL message digest name."),
        ("be2hex", vec![text(":"), int(0)], "chunk_size needs to be positive (0)"),
        ("be2hex", vec![text(":"), int(2), int(-1)], "Unsupported truncate value (-1)"),
        ("be2dec", vec![text(":"), int(9)], "chunk_size out of [1..8] range (9)"),
        ("http_date", vec![int(1), text("x")], "expects 's', 'ms' or 'us', got 'x'"),
        ("json_query", vec![text("")], "json_path must not be empty"),
        (
            "json_query",
            vec![text("a"), text("foo")],
            "output_type only supports \"int\" as argument",
        ),
    ];
    for (name, args, expected) in cases {
        let converter = convert::named(name).expect("a converter");
        assert_eq!((converter.check)(&mut args.clone()), Err((*expected).to_owned()), "{name}");
    }
}

#[test]
fn what_grows_without_end_or_has_a_number_without_end_is_cut_or_nothing() {
    let long = "y".repeat(200);
    let mut value = converted("xxxx", "regsub", vec![text("."), text(&long), text("g")]);
    for _ in 0..6 {
        let grown = value.as_deref().expect("text");
        assert!(grown.len() <= 16_384, "{}", grown.len());
        value = converted(grown, "regsub", vec![text("."), text(&long), text("g")]);
    }
    for json in ["{\"a\":1e999999999999}", "{\"a\":1e-999999999999}", &"[".repeat(100_000)] {
        let begun = std::time::Instant::now();
        let _ = converted(json, "json_query", vec![text("$.a"), text("int")]);
        assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{}", &json[..20]);
    }
}

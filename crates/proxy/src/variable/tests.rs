use super::*;

struct Client(&'static str, &'static str);

impl Facts for Client {
    fn value(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        match variable {
            Variable::RemoteAddr => out.extend_from_slice(self.0.as_bytes()),
            Variable::PrereadServerName => out.extend_from_slice(self.1.as_bytes()),
            _ => return false,
        }
        true
    }

    fn client(&self) -> Option<IpAddr> {
        self.0.parse().ok()
    }
}

fn template(text: &str, names: &[&str]) -> Template {
    Template::parse(text, |name| names.iter().position(|known| *known == name)).expect("variables")
}

fn definition(name: &str, source: Source) -> Definition {
    Definition { name: name.to_owned(), source }
}

fn ask(definitions: &[Definition], text: &str, client: &Client) -> String {
    let names: Vec<&str> = definitions.iter().map(|d| d.name.as_str()).collect();
    let program = Program::new(definitions).expect("patterns");
    let value = program.text(&template(text, &names), client, &mut Values::default());
    String::from_utf8(value).expect("text")
}

#[test]
fn a_name_ends_where_no_letter_follows_and_a_capture_after_one_digit() {
    let parsed = template("a$remote_addr:${remote_port}b$12", &[]);
    assert_eq!(
        parsed.pieces,
        [
            Piece::Text("a".into()),
            Piece::Variable(Variable::RemoteAddr),
            Piece::Text(":".into()),
            Piece::Variable(Variable::RemotePort),
            Piece::Text("b".into()),
            Piece::Variable(Variable::Capture(1)),
            Piece::Text("2".into()),
        ]
    );
    let complaint = |text| Template::parse(text, |_| None).expect_err("a mistake");
    assert_eq!(complaint("$"), "invalid variable name");
    assert_eq!(complaint("${x"), "the closing bracket in \"x\" variable is missing");
    assert_eq!(complaint("$nonesuch"), "unknown \"nonesuch\" variable");
}

fn map(entries: &[(MapKey, &str)]) -> Definition {
    let entries = entries.iter().map(|(key, value)| (key.clone(), template(value, &["m", "x"])));
    definition(
        "m",
        Source::Map(Map {
            key: template("$ssl_preread_server_name", &[]),
            hostnames: true,
            volatile: false,
            entries: entries.collect(),
            default: Template::plain("other"),
        }),
    )
}

#[test]
fn a_map_prefers_exact_then_the_longest_end_then_the_longest_start_then_patterns() {
    let pattern =
        |text: &str, caseless| MapKey::Pattern(Pattern { text: text.to_owned(), caseless });
    let definitions = [
        map(&[
            (pattern("^.*$", false), "any:$1"),
            (MapKey::Exact("www.example.org".into()), "exact"),
            (MapKey::End(".example.org".into()), "end"),
            (MapKey::End(".b.example.org".into()), "longer end"),
            (MapKey::Start("www.".into()), "start"),
        ]),
        definition("x", Source::Group),
    ];
    let cases = [
        ("WWW.example.ORG", "exact"),
        ("www.example.org.", "exact"),
        ("a.example.org", "end"),
        ("a.b.example.org", "longer end"),
        ("www.example.net", "start"),
        ("example.net", "any:"),
    ];
    for (name, value) in cases {
        assert_eq!(ask(&definitions, "$m", &Client("192.0.2.1", name)), value, "{name}");
    }
}

#[test]
fn patterns_are_pcre_s_with_groups_by_number_and_name_and_looking_around() {
    let pattern =
        |text: &str, caseless| MapKey::Pattern(Pattern { text: text.to_owned(), caseless });
    let definitions = [
        map(&[
            (pattern("^(?!admin)(?<X>[a-z]+)\\.(\\w+)$", true), "$x/$2"),
            (pattern("^(.)\\1", false), "twice $1"),
        ]),
        definition("x", Source::Group),
    ];
    assert_eq!(ask(&definitions, "$m $x", &Client("", "Web.example")), "Web/example Web");
    assert_eq!(ask(&definitions, "$m", &Client("", "admin.example")), "other");
    assert_eq!(ask(&definitions, "$m $1", &Client("", "xx")), "twice x x");
    let broken = Pattern { text: "(".into(), caseless: false };
    assert!(broken.groups().is_err());
}

#[test]
fn a_pattern_that_would_take_for_ever_does_not_match() {
    let pattern = Pattern { text: "^(?=(a+)+$)(a+)+\\1x$".into(), caseless: false };
    let definitions = [map(&[(MapKey::Pattern(pattern), "hit")]), definition("x", Source::Group)];
    let begun = std::time::Instant::now();
    let name = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!";
    assert_eq!(ask(&definitions, "$m", &Client("", name)), "other");
    assert!(begun.elapsed() < std::time::Duration::from_secs(5));
}

#[test]
fn variables_that_go_round_in_circles_have_an_end() {
    let round = Map { key: template("$m", &["m"]), ..Map::default() };
    let definitions = [definition("m", Source::Map(round))];
    assert_eq!(ask(&definitions, "[$m]", &Client("", "")), "[]");
}

#[test]
fn geo_takes_the_longest_network_and_ranges_of_ipv4() {
    let network = |text: &str| Network::parse(text).expect("a network").0;
    let geo = Geo {
        networks: vec![
            (network("10.0.0.0/8"), "ten".into()),
            (network("10.1.0.0/16"), "ten one".into()),
            (network("2001:db8::/32"), "six".into()),
        ],
        default: "none".into(),
        ..Geo::default()
    };
    let definitions = [definition("g", Source::Geo(geo))];
    let cases = [
        ("10.2.3.4", "ten"),
        ("10.1.3.4", "ten one"),
        ("::ffff:10.1.3.4", "ten one"),
        ("2001:db8::7", "six"),
        ("192.0.2.1", "none"),
        ("", "none"),
    ];
    for (client, value) in cases {
        assert_eq!(ask(&definitions, "$g", &Client(client, "")), value, "{client}");
    }
    let ranges = Geo {
        address: Some(template("$ssl_preread_server_name", &[])),
        ranges: vec![(0x0a00_0001, 0x0a00_0009, "few".into())],
        default: "none".into(),
        ..Geo::default()
    };
    let definitions = [definition("g", Source::Geo(ranges))];
    assert_eq!(ask(&definitions, "$g", &Client("", "10.0.0.9")), "few");
    assert_eq!(ask(&definitions, "$g", &Client("", "10.0.0.10")), "none");
}

#[test]
fn split_clients_gives_each_share_its_part() {
    let shares = vec![(Some(1_000), "a".into()), (Some(3_333), "b".into()), (None, "c".into())];
    let split = Split { key: template("$ssl_preread_server_name", &[]), shares };
    let definitions = [definition("s", Source::Split(split))];
    // Measured with nginx.
    assert_eq!(ask(&definitions, "$s", &Client("", "27000")), "a");
    assert_eq!(ask(&definitions, "$s", &Client("", "27199")), "b");
}

#[test]
fn a_value_is_looked_up_once_unless_it_is_volatile() {
    let names = ["m", "x"];
    let mut definitions = [
        map(&[(MapKey::Exact("one".into()), "1"), (MapKey::Exact("two".into()), "2")]),
        definition("x", Source::Group),
    ];
    for volatile in [false, true] {
        if let Source::Map(map) = &mut definitions[0].source {
            map.volatile = volatile;
        }
        let program = Program::new(&definitions).expect("patterns");
        let mut values = Values::default();
        let mut text = |name| program.text(&template("$m", &names), &Client("", name), &mut values);
        assert_eq!(text("one"), b"1");
        assert_eq!(text("two"), if volatile { b"2" } else { b"1" });
    }
}

#[test]
fn a_log_line_is_escaped_as_it_says() {
    let program = Program::new(&[]).expect("nothing");
    let format = template("\"$ssl_preread_server_name\" $status", &[]);
    let client = Client("", "a\"b\\\n\u{1}é");
    let line = |escape| {
        let line = program.log(&format, escape, &client, &mut Values::default());
        String::from_utf8(line).expect("text")
    };
    assert_eq!(line(Escape::Default), "\"a\\x22b\\x5C\\x0A\\x01\\xC3\\xA9\" -");
    assert_eq!(line(Escape::Json), "\"a\\\"b\\\\\\n\\u0001é\" ");
    assert_eq!(line(Escape::None), "\"a\"b\\\n\u{1}é\" ");
}

#[test]
fn a_network_is_read_and_holds_its_addresses() {
    let (network, loose) = Network::parse("192.0.2.9/24").expect("a network");
    assert!(loose, "bits that do not count were set");
    assert!(network.contains([192, 0, 2, 200].into()) && !network.contains([192, 0, 3, 1].into()));
    let everything = Network::parse("0.0.0.0/0").expect("a network").0;
    assert!(everything.contains([1, 2, 3, 4].into()));
    assert!(!everything.contains("::1".parse().expect("an address")));
    for text in ["", "1.2.3", "1.2.3.4/33", "::/129", "1.2.3.4/-1", "1.2.3.4/"] {
        assert_eq!(Network::parse(text), None, "{text}");
    }
}

use std::collections::BTreeMap;
use std::time::Duration;

use balance::Algorithm;
use check::{Action, Match, Probe, Verify};
use conf::{Form, Place, Status, Stmt, Table, Word};
use proptest::prelude::*;
use proxy::{BindAddress, LogFormat, Mode, OnMarkedDown, ServerAddress};

use super::*;

const DEFAULTS: &str =
    "defaults\n mode tcp\n timeout client 5s\n timeout server 5s\n timeout connect 5s\n";

fn read(text: &str) -> Loaded {
    load_texts(&[("c.cfg", text)], &Options::sealed())
}

fn config(text: &str) -> Config {
    let loaded = read(text);
    let said = said(&loaded);
    loaded.config.unwrap_or_else(|| panic!("refused: {said}"))
}

fn said(loaded: &Loaded) -> String {
    let manner = Manner {
        pid: 1,
        executable: "haproxy",
        quiet: false,
        check: true,
        zero_warning: false,
        explain: false,
    };
    loaded.report(&manner).stderr
}

fn listen(lines: &str) -> String {
    format!("{DEFAULTS}listen l\n bind 127.0.0.1:1\n{lines}")
}

#[test]
fn a_server_line_becomes_a_server_with_what_default_server_says() {
    let config = config(&listen(
        " default-server inter 3s fall 4 maxconn 20\n option httpchk GET /healthz\n http-check connect ssl\n http-check expect status 200-299\n server a 192.0.2.1:80 check weight 7 verify none on-marked-down shutdown-sessions\n server b 192.0.2.2:80 backup no-check verify none\n",
    ));
    let backend = &config.backends[0];
    let a = &backend.servers[0];
    assert_eq!((a.id, a.weight, a.maxconn), (1, 7, Some(20)));
    assert_eq!(a.on_marked_down, OnMarkedDown::ShutdownSessions);
    let check = a.check.as_ref().expect("it says check");
    assert_eq!((check.inter, check.fall, check.rise), (Duration::from_secs(3), 4, 2));
    assert_eq!(check.timeout_connect, Some(Duration::from_secs(5)));
    assert_eq!(check.verify, Verify::None);
    let Probe::Http { steps, .. } = &check.probe else { panic!("{:?}", check.probe) };
    assert!(matches!(&steps[0].action, Action::Connect(connect) if connect.tls));
    // The request of `option httpchk` stands behind the connect.
    let Action::SendHttp(request) = &steps[1].action else { panic!("{steps:?}") };
    assert_eq!((request.method.as_str(), &request.uri), ("GET", &"/healthz".into()));
    assert!(
        matches!(&steps[2].action, Action::Expect(e) if e.matching == Match::Status(vec![200..=299]))
    );
    let b = &backend.servers[1];
    assert!(b.backup && b.check.is_none());
    assert_eq!((b.id, b.maxconn), (2, Some(20)));
}

#[test]
fn http_check_send_adds_to_what_option_httpchk_says() {
    let config = config(&listen(
        " option httpchk HEAD /live HTTP/1.1\n http-check send hdr Host example.org\n server a 192.0.2.1:80 check\n",
    ));
    let check = config.backends[0].servers[0].check.as_ref().expect("it says check");
    let Probe::Http { steps, .. } = &check.probe else { panic!("{:?}", check.probe) };
    let Action::SendHttp(request) = &steps[0].action else { panic!("{steps:?}") };
    assert_eq!((request.method.as_str(), request.version.as_str()), ("HEAD", "HTTP/1.1"));
    assert_eq!(request.headers, [("Host".to_owned(), "example.org".into())]);
}

#[test]
fn escapes_of_a_tcp_check_are_the_bytes_they_name() {
    let config = config(&listen(
        " option tcp-check\n tcp-check send a\\r\\n\\x00\\xffé\n tcp-check send-binary 00ff\n server a 192.0.2.1:80 check\n",
    ));
    let check = config.backends[0].servers[0].check.as_ref().expect("it says check");
    let Probe::Tcp { steps } = &check.probe else { panic!("{:?}", check.probe) };
    assert_eq!(steps[0].action, Action::Send(b"a\r\n\x00\xff\xc3\xa9".to_vec()));
    assert_eq!(steps[1].action, Action::Send(vec![0, 255]));
}

#[test]
fn a_proxy_takes_the_defaults_above_it_or_those_it_names() {
    let text = "defaults one\n retries 1\n balance leastconn\ndefaults two from one\n retries 2\nbackend b\nbackend c from one\nlisten l from two\n bind 127.0.0.1:1\n";
    let config = config(text);
    let retries: Vec<_> = config.backends.iter().map(|b| (b.name.as_str(), b.retries)).collect();
    assert_eq!(retries, [("b", 2), ("c", 1), ("l", 2)]);
    assert!(config.backends.iter().all(|b| b.algorithm == Algorithm::LeastConn));
}

#[test]
fn ids_are_given_in_the_order_of_the_file_and_forced_ones_are_left_out() {
    // The first one is taken by the runtime API, where there is one.
    let config = config(&format!(
        "global\n stats socket /run/h.sock\n{DEFAULTS}frontend f\n bind 127.0.0.1:1\n default_backend b\nlisten l\n bind 127.0.0.1:2\n id 3\nbackend b\n server x 192.0.2.1:1 id 1\n server y 192.0.2.1:2\n"
    ));
    let fronts: Vec<_> = config.frontends.iter().map(|f| f.id).collect();
    let backs: Vec<_> = config.backends.iter().map(|b| b.id).collect();
    assert_eq!((fronts, backs), (vec![2, 3], vec![3, 4]));
    let without = self::config(&format!("{DEFAULTS}frontend f\n bind 127.0.0.1:1\n"));
    assert_eq!(without.frontends[0].id, 1);
    let servers: Vec<_> = config.backends[1].servers.iter().map(|s| s.id).collect();
    assert_eq!(servers, [1, 2]);
    let target = config.backend_of(&config.frontends[0]).expect("there is one");
    assert_eq!(target.name, "b");
}

#[test]
fn an_http_frontend_of_a_tcp_backend_becomes_tcp_with_a_warning() {
    let loaded = read(
        "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\nfrontend f\n bind 127.0.0.1:1\n default_backend b\nbackend b\n mode tcp\n server s 192.0.2.1:1\n",
    );
    let text = said(&loaded);
    assert!(text.contains("[WARNING]  (1) : config : http frontend 'f' (c.cfg:6) becomes tcp"));
    let config = loaded.config.expect("accepted");
    assert_eq!(config.frontends[0].mode, Mode::Tcp);
}

#[test]
fn what_a_proxy_of_mode_http_does_not_do_is_refused_by_name_and_line() {
    let listen = "listen stats\n bind :1\n mode http\n stats enable\n";
    let loaded = read(&format!("{DEFAULTS}{listen}"));
    let config = loaded.config.expect("accepted");
    assert!(config.frontends[0].http.as_ref().is_some_and(|http| http.stats.is_some()));
    let loaded = read(&format!("{DEFAULTS}{listen} compression algo gzip\n"));
    assert!(loaded.config.is_none());
    let text = said(&loaded);
    let refused = "parsing [c.cfg:10] : not supported yet: compression algo (in mode http)";
    assert!(text.contains(refused), "{text}");
    // Of a tcp proxy it is nothing, as in HAProxy.
    let tcp = read(&format!("{DEFAULTS}listen l\n bind :1\n compression algo gzip\n"));
    assert!(tcp.config.is_some());
}

#[test]
fn what_is_not_built_hides_no_other_mistake() {
    let text =
        said(&read(&listen(" filter-sequence a\n use_backend x if TRUE\n default_backend nope\n")));
    assert!(text.contains("not supported yet: filter-sequence"));
    assert!(text.contains("unable to find required use_backend: 'x'"));
    assert!(text.contains("unable to find required default_backend: 'nope'"));
}

#[test]
fn frontend_and_backend_may_share_a_name_with_a_warning() {
    let loaded = read(&format!(
        "{DEFAULTS}frontend k\n bind 127.0.0.1:1\n default_backend k\nbackend k\n server s 192.0.2.1:1\n"
    ));
    assert!(
        said(&loaded).contains("Parsing [c.cfg:9]: backend 'k' has the same name as frontend 'k'")
    );
    assert!(loaded.config.is_some());
}

#[test]
fn a_stray_semicolon_behind_a_port_is_passed_over_with_a_warning() {
    let loaded = read(&format!("{DEFAULTS}listen l\n bind :::6443;\n"));
    assert!(said(&loaded).contains("';' after the port in ':::6443;' is ignored"));
    let config = loaded.config.expect("accepted");
    assert_eq!(config.frontends[0].binds[0].address, BindAddress::any_v6(6443));
}

#[test]
fn placeholders_are_named_with_what_to_put_there() {
    let text = said(&read(&listen(
        " bind <haproxy address>:6443\n server s <ip>:80\n server t ${A}:${B}\n",
    )));
    assert!(text.contains("'<haproxy address>' is a placeholder"), "{text}");
    assert!(text.contains("'<ip>' is a placeholder"), "{text}");
    assert!(text.contains("the environment variable 'A' is not set"), "{text}");
}

#[test]
fn addresses_are_read_as_haproxy_reads_them() {
    let text = " bind *:80\n bind :81\n bind :::82\n bind [::1]:83\n bind 192.0.2.1:84-86\n bind 192.0.2.1:87,192.0.2.2:88\n bind /run/x.sock\n bind abns@y\n bind fd@7\n bind ipv6@:89\n";
    let config = config(&listen(text));
    let shown: Vec<_> = config.frontends[0].binds.iter().map(|b| b.address.to_string()).collect();
    let expected = [
        "127.0.0.1:1",
        "0.0.0.0:80",
        "0.0.0.0:81",
        "[::]:82",
        "[::1]:83",
        "192.0.2.1:84",
        "192.0.2.1:85",
        "192.0.2.1:86",
        "192.0.2.1:87",
        "192.0.2.2:88",
        "/run/x.sock",
        "abns@y",
        "fd@7",
        "[::]:89",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn the_environment_fills_weak_quotes_and_addresses() {
    let env: BTreeMap<_, _> =
        [("PORT", "6443"), ("NAMES", "a b")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let options = Options { env, ..Options::sealed() };
    let text = format!(
        "global\n setenv HOST 192.0.2.9\n{DEFAULTS}listen l\n bind \"127.0.0.1:${{PORT}}\"\n description \"${{NAMES[*]}}\" '$PORT' \"${{X-none}}\"\n server s $HOST:$PORT\n"
    );
    let loaded = load_texts(&[("c.cfg", &text)], &options);
    let config = loaded.config.expect("accepted");
    assert_eq!(config.frontends[0].description.as_deref(), Some("a b $PORT none"));
    let server = &config.backends[0].servers[0];
    assert_eq!(server.address, ServerAddress::Socket("192.0.2.9:6443".parse().expect("valid")));
}

#[test]
fn log_global_stands_for_the_targets_of_global() {
    let config = config(&format!(
        "global\n log 127.0.0.1 local0\n log /dev/log local1 notice\n{DEFAULTS} log global\n option httplog\nlisten l\n bind 127.0.0.1:1\n log stdout format raw daemon info err\n"
    ));
    assert_eq!(config.frontends[0].log.targets.len(), 3);
    assert_eq!(config.frontends[0].log.format, LogFormat::Tcp);
    assert_eq!(config.backends[0].log.len(), 3);
}

#[test]
fn options_are_switched_off_by_no() {
    let on = " option dontlognull\n option redispatch\n option clitcpka\n";
    let all = config(&listen(on));
    assert!(all.frontends[0].log.dontlognull && all.frontends[0].keepalive.is_some());
    assert_eq!(all.backends[0].redispatch, Some(-1));
    let off = format!("{on} no option dontlognull\n no option redispatch\n no option clitcpka\n");
    let none = config(&listen(&off));
    assert!(!none.frontends[0].log.dontlognull && none.frontends[0].keepalive.is_none());
    assert_eq!(none.backends[0].redispatch, None);
}

#[test]
fn a_mistake_is_explained_with_its_line_a_caret_and_what_to_do() {
    let loaded = read(&listen(" timeout client 5x\n"));
    let manner = Manner {
        pid: 1,
        executable: "haproxy",
        quiet: false,
        check: true,
        zero_warning: false,
        explain: true,
    };
    let shown = loaded.report(&manner).stderr;
    assert!(shown.contains("--> c.cfg:8:17"), "{shown}");
    assert!(shown.contains("8 |  timeout client 5x"), "{shown}");
    assert!(shown.contains("help: write a whole number and one of the units"), "{shown}");
}

#[test]
fn a_server_that_may_start_without_an_address_waits_in_maintenance() {
    let config = config(&listen(
        " server a nosuch.invalid:80 init-addr none\n server b nosuch.invalid:80 init-addr last,192.0.2.7\n",
    ));
    let [a, b] = &config.backends[0].servers[..] else { panic!("two servers") };
    assert!(a.disabled && !b.disabled);
    assert_eq!(b.address.socket(), Some("192.0.2.7:80".parse().expect("valid")));
}

#[test]
fn times_have_units_and_a_limit() {
    use crate::number::{NotTime, time};
    use conf::Unit;
    assert_eq!(time("5", Unit::Millis), Ok((Duration::from_millis(5), None)));
    assert_eq!(time("5us", Unit::Millis), Ok((Duration::from_millis(1), None)));
    assert_eq!(time("2d", Unit::Millis), Ok((Duration::from_secs(172_800), None)));
    assert_eq!(time("5ss", Unit::Millis), Ok((Duration::from_secs(5), Some('s'))));
    assert_eq!(time("7", Unit::Seconds), Ok((Duration::from_secs(7), None)));
    assert_eq!(time("-5", Unit::Millis), Err(NotTime::Unexpected('-')));
    assert_eq!(time("25d", Unit::Millis), Err(NotTime::Overflow));
    assert_eq!(time(&"9".repeat(50), Unit::Millis), Err(NotTime::Overflow));
}

#[test]
fn conditions_join_predicates_as_haproxy_does() {
    let options = Options::sealed();
    for (text, value) in [
        ("", false),
        ("1", true),
        ("!0", true),
        ("feature(THREAD)", true),
        ("feature(LUA)", false),
        ("version_atleast(2.4)", true),
        ("version_atleast(v3.5-dev4)", false),
        ("version_before(99)", true),
        ("streq(a,a) && !strneq(a,a)", true),
        ("0 || (1 && !0)", true),
        ("defined(NOPE)", false),
        ("strstr(abc,b)", true),
    ] {
        assert_eq!(condition(text, &options), Ok(value), "{text}");
    }
    assert!(condition("foo(", &options).is_err());
    assert!(condition(&"(".repeat(100_000), &options).is_err());
}

/// Binds each row's default and expects it to change nothing.
fn defaults_hold<T: std::fmt::Debug>(
    tables: &[&[conf::Keyword<T>]],
    fresh: impl Fn() -> T,
) -> usize {
    let mut checked = 0;
    for row in tables.iter().flat_map(|table| table.iter()) {
        let Some(default) = row.default else { continue };
        if matches!(row.form, Form::Known(_)) || row.status == Status::Planned {
            continue;
        }
        // The tag is the program's own name unless it is set.
        if ["log-tag", "stats timeout", "stats maxconn"].contains(&row.name) {
            continue;
        }
        let words = format!("{} {default}", row.name);
        let words = words.split(' ').map(|w| Word { text: w.to_owned(), ..Word::default() });
        let stmt = Stmt { words: words.collect(), ..Stmt::default() };
        let mut binder = conf::Binder::default();
        let mut model = fresh();
        let table = tables.iter().find(|t| t.iter().any(|r| r.name == row.name)).expect("its own");
        binder.bind_one(table, Place::new(row.within, "x"), &stmt, &mut model);
        assert_eq!(binder.problems, [], "{}", row.name);
        let strip = |model: &T| {
            // Where a mode was written is no part of what it means.
            format!("{model:?}")
                .replace("mode_at: Some(Span { file: 0, start: 0, end: 0 })", "mode_at: None")
        };
        assert_eq!(strip(&model), strip(&fresh()), "{} {default}", row.name);
        checked += 1;
    }
    checked
}

#[test]
fn every_default_of_a_table_changes_nothing() {
    use crate::draft::{Draft, Global, ServerDraft};
    use crate::table::{PROXY_TABLES, global, server};
    assert!(defaults_hold(&PROXY_TABLES, Draft::default) >= 3);
    assert!(defaults_hold(&[server::TABLE], ServerDraft::default) >= 7);
    assert!(defaults_hold(&[global::TABLE], Global::default) >= 2);
}

#[test]
fn no_keyword_stands_in_a_table_twice() {
    for (title, rows) in tables() {
        let mut names: Vec<_> = rows.iter().map(|row| row.name).collect();
        names.sort_unstable();
        let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(twice.is_empty(), "{title}: {twice:?}");
    }
}

#[test]
fn every_table_has_rows_and_most_keywords_are_known() {
    let all = tables();
    assert!(all.iter().all(|(_, rows)| !rows.is_empty()));
    assert!(all.iter().map(|(_, rows)| rows.len()).sum::<usize>() > 800);
    assert!(crate::table::bind::TABLE.rows().iter().any(|row| row.name == "accept-proxy"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        fuzz(&bytes);
    }

    #[test]
    fn any_words_in_any_section_are_read_without_a_panic(
        section in "(global|defaults|frontend f|backend b|listen l|resolvers r)",
        lines in proptest::collection::vec(
            "(no |default )?(bind|server|log|option|timeout|balance|tcp-check|http-check|stats|acl|maxconn|mode|source|stick|default-server|setenv|\\.if|\\.elif|\\.else|\\.endif|listen|from)( [a-z0-9:@.,*/$\\{\\}\"'\\\\<>!()-]{0,12}){0,5}",
            0..8,
        ),
    ) {
        fuzz(format!("{section}\n{}\n", lines.join("\n")).as_bytes());
    }
}

#[test]
fn a_file_with_a_nul_is_read_up_to_it() {
    let text = format!("{}foo\0bar\nqux\n", listen(""));
    let said = said(&read(&text));
    assert!(said.contains("parsing [c.cfg:8] : unknown keyword 'foo' in 'listen' section"));
    assert!(said.contains("parsing [c.cfg:8]: Stray NUL character at position 4."), "{said}");
    assert!(!said.contains("qux"), "{said}");
}

#[test]
fn a_file_is_given_up_after_fifty_wrong_lines() {
    let wrong = |lines: usize| said(&read(&format!("listen l\n{}", " foo\n".repeat(lines))));
    assert!(!wrong(50).contains("too many"));
    let said = wrong(100_000);
    assert_eq!(said.matches("unknown keyword 'foo'").count(), 50);
    let line = "parsing [c.cfg:52]: too many fatal errors (50), stopping now.";
    assert!(said.contains(line), "{said}");
}

#[test]
fn a_line_of_too_many_words_is_one_mistake_however_long_it_is() {
    let said = said(&read(&format!("{}\n", "a ".repeat(5 << 20))));
    let line = "parsing [c.cfg:1]: too many words, truncating after word 64, position 127: <a>.";
    assert!(said.contains(line), "{said}");
    assert!(!said.contains("unknown keyword"), "{said}");
}

#[test]
fn conditions_nest_99_deep() {
    let nested = |depth: usize| {
        let text = ".if 1\n".repeat(depth) + &".endif\n".repeat(depth);
        said(&load_texts(&[("c.cfg", &text)], &Options::sealed()))
    };
    assert_eq!(nested(99), "");
    assert!(nested(100).contains("parsing [c.cfg:100]: too many nested '.if', max is 100."));
}

#[test]
fn what_may_stand_once_is_an_alert_the_second_time_and_the_first_one_counts() {
    let text = "global\n chroot /a\n chroot /b\n maxconn 5\n maxconn 6\n uid 1\n uid 2\n gid 1\n group g\n";
    let loaded = read(&format!("{text}{}", listen("")));
    let said = said(&loaded);
    for (line, what) in [
        (3, "'chroot' already specified. Continuing."),
        (5, "'maxconn' already specified. Continuing."),
        (7, "user/uid already specified. Continuing."),
        (9, "gid/group was already specified. Continuing."),
    ] {
        let line = format!("[ALERT]    (1) : config : parsing [c.cfg:{line}] : {what}\n");
        assert!(said.contains(&line), "{line}: {said}");
    }
    let manner = Manner {
        pid: 1,
        executable: "haproxy",
        quiet: false,
        check: true,
        zero_warning: true,
        explain: false,
    };
    let report = loaded.report(&manner);
    assert_eq!((report.code, report.stdout.as_str()), (0, "Configuration file is valid\n"));
    let config = loaded.config.expect("it runs");
    assert_eq!(config.process.maxconn, Some(5));
}

#[test]
fn a_bind_that_is_ignored_in_a_backend_counts_as_a_listener() {
    let loaded = read(&format!("{DEFAULTS}backend b\n bind 127.0.0.1:1\n"));
    assert!(loaded.listens);
    assert!(!read(&format!("{DEFAULTS}backend b\n")).listens);
}

#[test]
fn a_configuration_with_nothing_but_a_stats_socket_listens() {
    let debian = "global\n stats socket /run/haproxy/admin.sock\n";
    assert!(read(&format!("{debian}{DEFAULTS}")).listens);
    assert!(!read(DEFAULTS).listens);
}

#[test]
fn a_missing_ca_file_is_a_mistake_of_its_file() {
    let text = listen(
        " server s 127.0.0.1:1 check check-ssl ca-file /none/a.pem\n server t 127.0.0.1:1 check check-ssl ca-file /none/b.pem\n",
    );
    let options = Options { reach_out: true, ..Options::sealed() };
    let said = said(&load_texts(&[("c.cfg", &text)], &options));
    let tail = "config : 'ca-file' : unable to load /none/b.pem.\n\
        [ALERT]    (1) : config : Error(s) found in configuration file : c.cfg\n\
        [ALERT]    (1) : config : Fatal errors found in configuration.\n";
    assert!(said.ends_with(tail), "{said}");
    assert_eq!(said.matches("Error(s) found").count(), 1);
}

#[test]
fn buffers_of_the_global_section_reach_every_line_that_has_none_of_its_own() {
    let text = "global\n tune.rcvbuf.client 4k\n tune.sndbuf.server 8k\n tune.notsent-lowat.client 16384\n tune.notsent-lowat.server 1\ndefaults\n mode tcp\n timeout connect 1s\n timeout client 1s\n timeout server 1s\nlisten l\n bind 127.0.0.1:1\n server a 127.0.0.1:2\n server b 127.0.0.1:3 source 127.0.0.9\n";
    let config = config(text);
    let bind = &config.frontends[0].binds[0];
    assert_eq!((bind.receive_buffer, bind.send_buffer), (Some(4_096), None));
    assert_eq!(bind.inbound.as_ref().and_then(|more| more.unsent), Some(16_384));
    let backend = &config.backends[0];
    for outbound in [&backend.outbound, &backend.servers[1].outbound] {
        let outbound = outbound.as_ref().expect("it has buffers");
        assert_eq!((outbound.receive_buffer, outbound.send_buffer), (None, Some(8_192)));
        assert_eq!(outbound.unsent, Some(1));
    }
    assert!(backend.servers[0].outbound.is_none());
}

//! Maps and ACLs over the runtime API beside HAProxy's own: the same commands, the same answers.

mod original;
mod program;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use program::{DEFAULTS, LIMIT, echo, free_port, is_newer, ours, start, theirs};

const PATTERNS: &str = "
global
    stats socket DIR/admin.sock level admin
defaults
    mode tcp
    timeout connect 2s
    timeout client 30s
    timeout server 30s
frontend fe
    bind unix@DIR/fe.sock
    acl one src 127.0.0.1 10.0.0.0/8
    acl two src -f DIR/n.acl
    acl three req.ssl_sni -i -f DIR/l.acl more
    acl three req.ssl_sni -m end -f DIR/l.acl
    acl four src_port 1:1024
    acl five dst_port gt 7
    acl five dst_port le 9
    acl six req.ssl_sni -m reg ^a b$
    acl seven req.len -m len 3
    acl eight req.ssl_sni -m found
    acl nine src -f DIR/n.acl
    acl late req.ssl_sni -f DIR/l.acl -i X
    tcp-request inspect-delay 1s
    tcp-request content reject if { req.ssl_sni -m sub evil } or one two three four five six seven eight nine late
    tcp-request content reject if { req.ssl_sni,map(DIR/m.map) x } { req.ssl_sni,map_beg(DIR/m.map) -m found }
    tcp-request content reject if { src,map_ip(DIR/ip.map,x) y }
    tcp-request content reject if { req.ssl_sni,map_regm(DIR/r.map,x) y }
    tcp-request content reject if { dst_port,map_int(DIR/i.map,x) y }
    tcp-request content reject if { req.ssl_sni,map_str_int(DIR/int.map,9) 3 }
    default_backend be
backend be
    server a 127.0.0.1:1
";

const PATTERN_FILES: &[(&str, &str)] = &[
    ("m.map", "# one\na.example be1 x\nb.example  be2\n\nc.example\na.example dup\n"),
    ("ip.map", "10.0.0.0/8 ten\n10.1.0.0/16 tenone\n"),
    ("l.acl", "foo\n# no\n bar baz\n"),
    ("n.acl", "127.0.0.1\n10.0.0.0/8\n"),
    ("r.map", "^a(.)b r\\1\n"),
    ("i.map", "1 one\n2:5 some\n"),
    ("int.map", "a 1\nb 2\n"),
];

/// Said in this order, to both. What HAProxy counts wrongly once something was refused or removed
/// is not asked for.
const PATTERN_COMMANDS: &[&str] = &[
    "show map",
    "show acl",
    "show map #99",
    "show map nope",
    "show acl #-1",
    "show map DIR/m.map",
    "show map DIR/ip.map",
    "show acl DIR/l.acl",
    "show acl #0",
    "show acl #2",
    "show acl #4",
    "show acl #7",
    "show acl #8",
    "show map #0",
    "show map @0 #1",
    "show map @1 DIR/m.map",
    "show map @x DIR/m.map",
    "show map @",
    "get map",
    "get map DIR/m.map",
    "get map DIR/m.map a.example",
    "get map DIR/m.map a.examplex",
    "get map DIR/m.map zz",
    "get map DIR/ip.map 10.1.2.3",
    "get map DIR/ip.map zz",
    "get map DIR/r.map axb",
    "get map DIR/i.map 3",
    "get map DIR/i.map x",
    "get map DIR/int.map b",
    "get acl DIR/l.acl FOO",
    "get acl DIR/l.acl xfoo",
    "get acl DIR/n.acl 10.2.2.2",
    "get acl #0 x",
    "get acl #10 x",
    "get acl #12 abc",
    "get acl nope x",
    "prepare map DIR/m.map",
    "show map",
    "add map",
    "add map DIR/m.map",
    "add map DIR/m.map k",
    "add map DIR/m.map k v w",
    "show map DIR/m.map",
    "add map nope k v",
    "add map DIR/ip.map zz v",
    "add map DIR/ip.map 1.2.3.4/33 v",
    "add map DIR/int.map q notnum",
    "add map DIR/i.map xx notnum",
    "add map DIR/r.map ( notnum",
    "add map DIR/m.map <<\nx1 y1\nx2 y2 z\n",
    "add map DIR/m.map <<\nx3\n",
    "add map DIR/m.map <<\n  x5   y5  \n",
    "add map DIR/m.map <<\n",
    "add map DIR/ip.map <<\n1.2.3.4 a\nzz b\n5.6.7.8 c\n",
    "add map nope <<\nk1 v1\n",
    "add map DIR/m.map k <<\nk1 v1\n",
    "add map @2 DIR/m.map <<\nk1 v1\n",
    "add acl DIR/l.acl <<\np1\n",
    "show map DIR/m.map",
    "show map DIR/ip.map",
    "set map",
    "set map DIR/m.map k",
    "set map nope k v",
    "set map DIR/m.map k nv",
    "set map DIR/m.map a.example both more",
    "set map DIR/m.map nokey v",
    "set map DIR/m.map #0x1 v",
    "set map DIR/m.map #zz v",
    "get map DIR/m.map a.example",
    "del map",
    "del map DIR/m.map",
    "del map nope k",
    "del map DIR/m.map nokey",
    "del map DIR/m.map #0x1",
    "del map DIR/m.map #zz",
    "del map DIR/m.map a.example",
    "get map DIR/m.map a.example",
    "prepare map",
    "prepare map nope",
    "prepare map DIR/m.map",
    "add map @1 DIR/m.map n1 v1",
    "add map @2 DIR/m.map n2 v2",
    "add map @3 DIR/m.map n3 v3",
    "add map @x DIR/m.map n3 v3",
    "add map @1 DIR/m.map b.example gen1",
    "add map @1",
    "show map DIR/m.map",
    "show map @0 DIR/m.map",
    "show map @1 DIR/m.map",
    "show map @2 DIR/m.map",
    "set map @1 DIR/m.map n1 v11",
    "show map @1 DIR/m.map",
    "del map @1 DIR/m.map n1",
    "show map @1 DIR/m.map",
    "show map DIR/m.map",
    "get map @1 DIR/m.map n1",
    "get map DIR/m.map n1",
    "commit map",
    "commit map DIR/m.map",
    "commit map @3 DIR/m.map",
    "commit map @0 DIR/m.map",
    "commit map @1 nope",
    "commit map @1 DIR/m.map",
    "show map DIR/m.map",
    "get map DIR/m.map n1",
    "show map @2 DIR/m.map",
    "commit map @1 DIR/m.map",
    "commit map @2 DIR/m.map",
    "show map DIR/m.map",
    "clear map",
    "clear map nope",
    "prepare map DIR/m.map",
    "add map @3 DIR/m.map g3 v",
    "clear map @3 DIR/m.map",
    "show map @3 DIR/m.map",
    "clear map @9 DIR/m.map",
    "commit map @3 DIR/m.map",
    "clear map DIR/m.map",
    "show map DIR/m.map",
    "add acl",
    "add acl DIR/l.acl",
    "add acl DIR/l.acl new",
    "add acl DIR/l.acl two words",
    "add acl #0 1.1.1.1",
    "add acl #0 zz",
    "add acl #6 4000",
    "add acl #6 gt 4000",
    "add acl #9 (",
    "add acl #99 a",
    "show acl #0",
    "show acl #6",
    "show acl DIR/l.acl",
    "del acl #0 127.0.0.1",
    "del acl #0 127.0.0.9",
    "del acl",
    "del acl #0",
    "get acl #0 127.0.0.1",
    "get acl",
    "prepare acl #0",
    "prepare acl",
    "add acl @1 #0 9.9.9.9",
    "add acl @2 #0 9.9.9.9",
    "get acl #0 9.9.9.9",
    "commit acl @1 #0",
    "commit acl @2 #0",
    "commit acl",
    "get acl #0 9.9.9.9",
    "clear acl #0",
    "clear acl",
    "show acl #0",
];

/// A key is looked for in the version in force only; 2.6 changes it in all.
const NEWER_PATTERNS: &[&str] = &[
    "add map DIR/m.map n1 v0",
    "prepare map DIR/m.map",
    "add map @4 DIR/m.map n1 v4",
    "add map @4 DIR/m.map n2 v4",
    "set map DIR/m.map n1 v1",
    "set map DIR/m.map n2 v1",
    "show map DIR/m.map",
    "show map @4 DIR/m.map",
    "del map DIR/m.map n1",
    "del map DIR/m.map n2",
    "show map DIR/m.map",
    "show map @4 DIR/m.map",
    "commit map @4 DIR/m.map",
    "show map DIR/m.map",
];

#[test]
fn patterns_are_shown_looked_up_and_changed_as_with_haproxy() {
    let Some(theirs) = theirs() else { return };
    let directories = [tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made")];
    for (directory, (name, text)) in
        directories.iter().flat_map(|at| PATTERN_FILES.iter().map(move |file| (at, file)))
    {
        std::fs::write(directory.path().join(name), text).expect("written");
    }
    let both = [
        start(theirs, directories[0].path(), PATTERNS, &[]),
        start(ours(), directories[1].path(), PATTERNS, &[]),
    ];
    let newer = is_newer();
    for command in PATTERN_COMMANDS.iter().chain(if newer { NEWER_PATTERNS } else { &[] }) {
        let [expected, answer] = [0, 1].map(|at| {
            let own = directories[at].path().display().to_string();
            let answer = both[at].ask(&command.replace("DIR", &own)).replace(&own, "DIR");
            // Its own client has ACLs, too; references of entries are addresses.
            let internal = ["'httpclient'", "'internal-stats-auth-compat'"];
            let lines =
                answer.lines().filter(|line| !internal.iter().any(|one| line.contains(one)));
            let lines = lines.map(|line| match line.split_once(' ') {
                Some((reference, entry)) if reference.starts_with("0x") => format!("REF {entry}"),
                _ => line.to_owned(),
            });
            lines.collect::<Vec<_>>().join("\n")
        });
        assert_eq!(answer, expected, "{command}");
    }
}

#[test]
fn rules_follow_patterns_that_are_changed_by_hand() {
    for program in [Some(ours()), theirs()].into_iter().flatten() {
        let directory = tempfile::tempdir().expect("made");
        std::fs::write(directory.path().join("deny.acl"), "10.0.0.0/8\n").expect("written");
        let (port, back) = (free_port(), echo());
        let text = format!(
            "global\n stats socket DIR/admin.sock level admin\n{DEFAULTS}frontend fe\n \
             bind 127.0.0.1:{port}\n tcp-request connection reject if {{ src -f DIR/deny.acl }}\n \
             default_backend be\nbackend be\n server a 127.0.0.1:{back}\n"
        );
        let running = start(program, directory.path(), &text, &[]);
        let goes_through = || {
            let Ok(mut client) = TcpStream::connect(("127.0.0.1", port)) else { return false };
            client.set_read_timeout(Some(LIMIT)).expect("a time");
            client.write_all(b"x").and_then(|()| client.read_exact(&mut [0])).is_ok()
        };
        assert!(goes_through());
        running.ask("add acl #0 127.0.0.0/8");
        assert!(!goes_through(), "added");
        let entries = running.ask("show acl #0");
        let reference = entries.lines().nth(1).and_then(|line| line.split(' ').next());
        running.ask(&format!("del acl #0 #{}", reference.expect("an entry")));
        assert!(goes_through(), "removed");
        running.ask("prepare acl #0");
        running.ask("add acl @1 #0 127.0.0.1");
        assert!(goes_through(), "only prepared");
        running.ask("commit acl @1 #0");
        assert!(!goes_through(), "in force");
        running.ask("clear acl #0");
        assert!(goes_through(), "empty");
    }
}

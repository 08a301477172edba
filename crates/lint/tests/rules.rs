//! Each rule finds its mistake, and nothing where there is none; the guides' own files.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use lint::{Elsewhere, Finding, Machine, Node, Severity, examine};

/// A router of a cluster; `more` goes into its block.
fn router(priority: u8, more: &str) -> String {
    format!(
        "vrrp_instance VI_1 {{\n  interface eth0\n  virtual_router_id 7\n  priority {priority}\n{more}\n  virtual_ipaddress {{\n    192.0.2.1\n  }}\n}}\n"
    )
}

fn script(weight: i32) -> String {
    format!(
        "vrrp_script chk {{\n  script \"/bin/true\"\n  user nobody\n  interval 2\n  timeout 1\n  fall 2\n  weight {weight}\n}}\n"
    )
}

fn names(findings: &[Finding]) -> Vec<&'static str> {
    let own = |f: &&Finding| !["keepalived", "haproxy", "nginx"].contains(&f.rule);
    findings.iter().filter(own).map(|finding| finding.rule).collect()
}

fn alone(text: &str) -> Vec<&'static str> {
    names(&examine(&[Node::of_keepalived("a", text)], &Elsewhere).findings)
}

fn together(a: &str, b: &str) -> Vec<&'static str> {
    let nodes = [Node::of_keepalived("a", a), Node::of_keepalived("b", b)];
    names(&examine(&nodes, &Elsewhere).findings)
}

fn haproxy(text: &str) -> Vec<&'static str> {
    let node = Node::default().with_haproxy("haproxy.cfg", text);
    names(&examine(&[node], &Elsewhere).findings)
}

fn nginx(text: &str) -> Vec<&'static str> {
    let node = Node::default().with_nginx("nginx.conf", text);
    names(&examine(&[node], &Elsewhere).findings)
}

#[test]
fn a_pair_that_is_right_is_left_alone() {
    let track = "  track_script {\n    chk\n  }";
    let (a, b) = (script(-20) + &router(101, track), script(-20) + &router(100, track));
    assert_eq!(together(&a, &b), [""; 0]);
}

#[test]
fn what_one_router_does_wrong_is_found() {
    let track = "  track_script {\n    chk\n  }";
    let cases = [
        ("script-as-root", script(0).replace("  user nobody\n", "") + &router(100, track)),
        ("slow-timeout", script(0).replace("timeout 1", "timeout 5") + &router(100, track)),
        (
            "clear-text-password",
            router(100, "  authentication {\n auth_type PASS\n auth_pass secret\n }"),
        ),
        ("common-router-id", router(100, "").replace("_id 7", "_id 51")),
        ("sub-second-version-2", router(100, "  advert_int 0.5")),
        (
            "peer-is-self",
            router(100, "  unicast_src_ip 192.0.2.9\n  unicast_peer {\n 192.0.2.9\n }"),
        ),
        ("no-source", router(100, "  unicast_peer {\n 192.0.2.9\n }")),
        ("preempt-without-effect", router(100, "  state BACKUP\n  nopreempt\n  preempt_delay 5")),
    ];
    for (rule, text) in cases {
        assert_eq!(alone(&text), [rule], "{text}");
    }
}

#[test]
fn what_two_nodes_do_to_each_other_is_found() {
    let track = "  track_script {\n    chk\n  }";
    let tracked = |weight, priority| script(weight) + &router(priority, track);
    let pass = |word: &str| {
        router(100, &format!("  authentication {{\n auth_type AH\n auth_pass {word}\n }}"))
    };
    let unicast = |source: &str, peer: &str, priority| {
        router(priority, &format!("  unicast_src_ip {source}\n  unicast_peer {{\n {peer}\n }}"))
    };
    let cases: [(&str, String, String); 12] = [
        ("equal-priorities", router(100, ""), router(100, "")),
        ("weight-too-small", tracked(-2, 110), tracked(-2, 100)),
        ("weight-too-small", tracked(5, 110), tracked(5, 100)),
        ("weight-makes-equal", tracked(-10, 110), tracked(-10, 100)),
        ("check-on-one-node", tracked(-20, 110), router(100, "")),
        ("advert-interval-differs", router(110, "  advert_int 2"), router(100, "")),
        ("authentication-differs", pass("one").replace("priority 100", "priority 99"), pass("two")),
        ("version-differs", router(110, "  version 3"), router(100, "")),
        (
            "addresses-differ",
            router(110, "").replace("192.0.2.1\n", "192.0.2.1\n192.0.2.2\n"),
            router(100, ""),
        ),
        ("number-shared", router(110, "").replace("192.0.2.1\n", "192.0.2.2\n"), router(100, "")),
        (
            "peers-differ",
            unicast("192.0.2.8", "192.0.2.7", 110),
            unicast("192.0.2.9", "192.0.2.8", 100),
        ),
        ("both-say-master", router(110, "  state MASTER"), router(100, "  state MASTER")),
    ];
    for (rule, a, b) in cases {
        assert_eq!(together(&a, &b), [rule], "{a}\n{b}");
    }
}

#[test]
fn what_one_haproxy_cfg_does_wrong_is_found() {
    let cfg = |client: &str, more: &str, servers: &str| {
        format!(
            "defaults\n mode tcp\n timeout connect 5s\n timeout client {client}\n timeout server {client}\n{more}listen l\n bind 127.0.0.1:9000\n{servers}"
        )
    };
    let two = " server a 192.0.2.1:6443 check\n server b 192.0.2.2:6443 check\n";
    let cases = [
        (&[][..], cfg("1h", "", two)),
        (&["cut-watches"], cfg("35s", "", two)),
        (&[], cfg("35s", " timeout tunnel 1h\n", two)),
        (&[], cfg("35s", "", &two.replace("6443", "5432"))),
        (&["few-connections"], cfg("1h", " default-server maxconn 20\n", two)),
        (&["nobody-checks"], cfg("1h", "", &two.replace(" check", ""))),
        (
            &["check-in-the-clear"],
            cfg("1h", " option httpchk\n http-check expect status 200\n", two),
        ),
        (
            &["any-answer-will-do"],
            cfg(
                "1h",
                " option httpchk\n http-check connect ssl\n",
                &two.replace("check", "check verify none"),
            ),
        ),
        (&["odd-port"], cfg("1h", "", &(two.to_owned() + " server c 192.0.2.3:6444 check\n"))),
        (&["loop"], cfg("1h", "", " server a 127.0.0.1:9000 check\n")),
    ];
    for (rules, text) in cases {
        assert_eq!(haproxy(&text), rules, "{text}");
    }
}

#[test]
fn what_one_nginx_conf_does_wrong_is_found() {
    let conf = |timeout: &str, servers: &str| {
        format!(
            "events {{}}\nstream {{\n upstream u {{\n{servers} }}\n server {{\n listen 127.0.0.1:9000;\n proxy_timeout {timeout};\n proxy_pass u;\n }}\n}}\n"
        )
    };
    let one = "  server 192.0.2.1:6443;\n";
    assert_eq!(nginx(&conf("1h", one)), [""; 0]);
    assert_eq!(nginx(&conf("3s", one)), ["cut-watches"]);
    let two = one.to_owned() + "  server 192.0.2.2:6443;\n";
    assert_eq!(nginx(&conf("1h", &two)), ["found-by-clients"]);
    let node = Node::default().with_nginx("nginx.conf", &conf("3s", one));
    let report = examine(&[node], &Elsewhere);
    assert_eq!(report.findings[0].place.line, 8, "{report}");
}

/// A machine as a test wants it.
#[derive(Default)]
struct Made {
    addresses: Vec<(IpAddr, u8)>,
    nonlocal: bool,
    firewall: String,
    files: Vec<(String, String)>,
}

impl Machine for Made {
    fn addresses(&self) -> Option<Vec<(IpAddr, u8)>> {
        Some(self.addresses.clone())
    }

    fn nonlocal_bind(&self, _: bool) -> Option<bool> {
        Some(self.nonlocal)
    }

    fn firewall(&self) -> Option<String> {
        Some(self.firewall.clone())
    }

    fn script(&self, path: &str) -> Option<String> {
        (path == "/bin/check").then(|| "curl -sf https://192.0.2.5:6443/healthz\n".into())
    }

    fn files_below(&self, _: &str) -> Vec<(String, String)> {
        self.files.clone()
    }
}

fn on(machine: &Made, node: Node) -> Vec<&'static str> {
    names(&examine(&[node], machine).findings)
}

#[test]
fn what_a_machine_does_to_its_files_is_found() {
    let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
    let plain = || Node::of_keepalived("a", &router(100, ""));
    let machine = || Made { addresses: vec![(ip("192.0.2.9"), 24)], ..Made::default() };
    assert_eq!(on(&machine(), plain()), [""; 0]);

    let own = Made { addresses: vec![(ip("192.0.2.1"), 24)], ..Made::default() };
    assert_eq!(on(&own, plain()), ["own-address"]);
    let wide = router(100, "").replace("192.0.2.1\n", "192.0.2.1/24\n");
    assert_eq!(on(&machine(), Node::of_keepalived("a", &wide)), ["interface-prefix"]);

    let drops = "table inet filter {\n chain input {\n type filter hook input priority 0; policy drop;\n tcp dport 22 accept\n }\n}\n";
    let firewall = |rules: &str| Made { firewall: rules.into(), ..machine() };
    assert_eq!(on(&firewall(drops), plain()), ["firewall-drops-vrrp"]);
    let knows = drops.replace("tcp dport 22", "ip protocol vrrp");
    assert_eq!(on(&firewall(&knows), plain()), [""; 0]);

    let listen = |bind: &str, server: &str| {
        format!(
            "listen l\n mode tcp\n timeout connect 1s\n timeout client 1h\n timeout server 1h\n bind {bind}\n server s {server} check\n"
        )
    };
    let with =
        |bind: &str, server: &str| plain().with_haproxy("haproxy.cfg", &listen(bind, server));
    assert_eq!(on(&machine(), with("192.0.2.1:443", "192.0.2.3:443")), ["address-not-here"]);
    let allowed = Made { nonlocal: true, ..machine() };
    assert_eq!(on(&allowed, with("192.0.2.1:443", "192.0.2.3:443")), [""; 0]);
    assert_eq!(on(&machine(), with("192.0.2.9:443", "192.0.2.3:443")), ["nobody-listens"]);
    assert_eq!(on(&machine(), with("*:443", "192.0.2.1:80")), ["loop"]);
    assert_eq!(on(&machine(), with("*:6443", "192.0.2.9:6443")), ["port-taken"]);
    let both = with("*:443", "192.0.2.3:443").with_nginx(
        "nginx.conf",
        "events {}\nstream {\n server {\n listen 443;\n proxy_pass 192.0.2.3:443;\n }\n}\n",
    );
    assert_eq!(on(&machine(), both), ["claimed-twice"]);
    let elsewhere = examine(&[with("192.0.2.1:443", "192.0.2.3:443")], &Elsewhere);
    assert_eq!(names(&elsewhere.findings), ["needs-nonlocal-bind"]);

    let script =
        "vrrp_script chk {\n script \"/bin/check\"\n user nobody\n interval 2\n timeout 1\n}\n";
    let asks = script.to_owned() + &router(100, " track_script {\n chk\n }");
    let cfg = listen("*:443", "192.0.2.5:6443");
    let node = Node::of_keepalived("a", &asks).with_haproxy("haproxy.cfg", &cfg);
    assert_eq!(on(&machine(), node), ["one-check-for-all"]);
}

#[test]
fn a_stream_file_nobody_includes_is_found() {
    let files = vec![("/etc/nginx/k8s.stream".to_owned(), "# ours\nstream{\n}\n".to_owned())];
    let machine = Made { files, ..Made::default() };
    let node = Node::default().with_nginx("/etc/nginx/nginx.conf", "events {}\n");
    let report = examine(&[node], &machine);
    let finding = report.findings.iter().find(|f| f.rule == "not-included").expect("found");
    assert_eq!(finding.place.to_string(), "/etc/nginx/k8s.stream:2");
}

fn guide(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../compat-tests/guides").join(name)
}

fn of_files(files: &[&str]) -> lint::Report {
    let files: Vec<PathBuf> = files.iter().map(|name| guide(name)).collect();
    examine(&lint::read(&files).expect("they are there"), &Elsewhere)
}

fn has(report: &lint::Report, rule: &str) -> bool {
    report.findings.iter().any(|finding| finding.rule == rule)
}

#[test]
fn the_mistakes_of_the_guides_are_found_and_their_files_run() {
    let report = of_files(&["000-keepalived-master.conf", "000-keepalived-backup.conf"]);
    assert!(has(&report, "equal-priorities"), "{report}");
    let report = of_files(&["002-keepalived-lb1-filled.conf", "002-haproxy-appended.cfg"]);
    assert!(has(&report, "few-connections") && has(&report, "cut-watches"), "{report}");
    let kubeadm = of_files(&[
        "003-kubeadm-keepalived-master-filled.conf",
        "003-kubeadm-haproxy-filled.cfg",
        "003-kubeadm-keepalived-backup-filled.conf",
    ]);
    assert!(has(&kubeadm, "cut-watches"), "{kubeadm}");
    assert!(!has(&kubeadm, "weight-too-small"), "−2 is enough for a difference of 1: {kubeadm}");
    assert!(kubeadm.verdicts.iter().all(|verdict| verdict.runs), "{kubeadm}");
    let reckoned = kubeadm.arithmetic.join("\n");
    assert!(reckoned.contains("10 × 3 s + 3 s = 33 s"), "{reckoned}");
    assert!(reckoned.contains("3 × 1 s + (256 − 100)/256 × 1 s = 3.609 s"), "{reckoned}");
}

#[test]
fn files_are_told_apart_and_belong_to_nodes() {
    let names = |files: &[&str]| {
        let report = of_files(files);
        report.verdicts.iter().map(|verdict| verdict.program).collect::<Vec<_>>()
    };
    assert_eq!(
        names(&["001-keepalived-node1.conf", "001-haproxy-fragment.cfg"]),
        ["keepalived", "haproxy"]
    );
    assert_eq!(names(&["004-nginx-stream.conf"]), ["nginx"]);
    let missing = lint::read(&[PathBuf::from("/nowhere")]).expect_err("nothing is there");
    assert_eq!(
        missing[0].to_string(),
        "/nowhere: no keepalived.conf, haproxy.cfg or nginx.conf is there"
    );
    let directory = tempfile::tempdir().expect("a directory");
    let etc = directory.path().join("node2/etc");
    for (place, from) in [
        ("keepalived/keepalived.conf", "001-keepalived-node1.conf"),
        ("haproxy/haproxy.cfg", "001-haproxy-appended.cfg"),
    ] {
        let file = etc.join(place);
        std::fs::create_dir_all(file.parent().expect("a directory")).expect("made");
        std::fs::copy(guide(from), file).expect("copied");
    }
    for operand in [&etc, &directory.path().join("node2"), &etc.join("keepalived")] {
        let nodes = lint::read(std::slice::from_ref(operand)).expect("they are there");
        assert!(nodes[0].keepalived.is_some(), "{}", operand.display());
    }
}

#[test]
fn every_rule_is_found_by_a_test_and_the_code_follows_the_worst() {
    let source = include_str!("rules.rs");
    for rule in lint::RULES {
        let named = source.contains(&format!("\"{}\"", rule.name));
        assert!(named || rule.name == "any-checksum", "no test for {}", rule.name);
    }
    let with = |severity| {
        let finding = Finding {
            rule: "loop",
            severity,
            place: lint::Location::default(),
            what: String::new(),
            instead: String::new(),
            excerpt: None,
        };
        lint::Report { findings: vec![finding], ..lint::Report::default() }.exit_code()
    };
    assert_eq!([with(Severity::Notice), with(Severity::Warning), with(Severity::Error)], [0, 0, 3]);
}

//! `ring` sections and `log … sample`: what HAProxy 2.6 says of them, and what they mean.

use haproxy_cfg::{Loaded, Manner, Options, load_texts};
use proxy::{LogAddress, LogFraming};

fn load(text: &str) -> Loaded {
    load_texts(&[("e.cfg", text)], &Options::sealed())
}

/// The first thing that is said of a text.
fn said(text: &str) -> String {
    let manner = Manner {
        pid: 1,
        executable: "/usr/sbin/haproxy",
        quiet: false,
        check: true,
        zero_warning: false,
        explain: false,
    };
    let report = load(text).report(&manner);
    let first = report.stderr.lines().find(|line| !line.contains("NOTICE"));
    first.map_or(String::new(), |line| {
        line.split_once("config : ").map_or("", |(_, text)| text).to_owned()
    })
}

#[test]
fn mistakes_are_said_in_haproxys_words() {
    let log = |words: &str| format!("global\n log 127.0.0.1 {words} local0\n");
    let cases = [
        (log("sample 1"), "parsing [e.cfg:2] : log : Missing sample size"),
        (log("sample 0:10"), "parsing [e.cfg:2] : log : wrong sample range '0'"),
        (
            log("sample 11:10"),
            "parsing [e.cfg:2] : log : sample size 10 should be greater or equal to 11 the maximum of the high ranges limits",
        ),
        (log("sample 5-3:10"), "parsing [e.cfg:2] : log : wrong sample range '5-3'"),
        (log("sample 1-3,2-4:10"), "parsing [e.cfg:2] : log : ranges are overlapping"),
        (log("sample 1:x"), "parsing [e.cfg:2] : log : wrong sample size 'x' for sample range '1'"),
        (
            "ring r\n size 100\n".into(),
            "parsing [e.cfg:2] : ignoring new size '100' that is smaller than current size '16384' for ring 'r'.",
        ),
        ("ring r\n format foo\n".into(), "parsing [e.cfg:2] : unknown format 'foo'."),
        ("ring r\n maxlen x\n".into(), "parsing [e.cfg:2] : invalid size 'x' for new sink buffer."),
        (
            "ring r\n maxlen 100000\n".into(),
            "ring 'r' event max length '100000' exceeds size, forced to size '16384'.",
        ),
        (
            "ring r\n timeout connect\n".into(),
            "parsing [e.cfg:2] : 'timeout connect' expects <time> as argument.",
        ),
        (
            "ring r\n server a 127.0.0.1:1 log-proto foo\n".into(),
            "[e.cfg:2] : 'server r/a' : 'log-proto' expects one of 'legacy' or 'octet-count' but got 'foo'.",
        ),
        ("ring r\nring r\n".into(), "parsing [e.cfg:2] : sink named 'r' already exists."),
        ("ring r\n description\n".into(), "parsing [e.cfg:2] : missing ring description text."),
    ];
    for (text, expected) in cases {
        assert_eq!(said(&text), expected, "{text}");
    }
}

#[test]
fn a_ring_and_a_sample_are_what_they_say() {
    let text = "
global
    log ring@mem sample 1-2,5:10 local0
ring mem
    size 32k
    format iso
    server s1 192.0.2.1:514 log-proto octet-count
frontend f
    bind 127.0.0.1:1
    timeout client 1s
";
    let config = load(text).config.expect("it is right");
    let target = &config.process.log[0];
    assert_eq!(target.address, LogAddress::Ring("mem".into()));
    let sample = target.sample.as_ref().expect("a sample");
    let taken: Vec<u64> = (0..20).filter(|number| sample.takes(*number)).collect();
    assert_eq!(taken, [0, 1, 4, 10, 11, 14]);
    let ring = &config.process.rings[0];
    assert_eq!((ring.size, ring.framing), (32_768, LogFraming::Iso));
    assert!(ring.servers[0].octet_count);
}

//! `resolvers`, `server … resolvers` and `server-template`: what HAProxy 2.6 says of them, and what
//! they mean.

use std::time::Duration;

use haproxy_cfg::{Loaded, Manner, Options, load_texts};
use proxy::ServerAddress;

fn load(text: &str) -> Loaded {
    load_texts(&[("e.cfg", text)], &Options::sealed())
}

/// What is said of a text, without what is said of every file with a mistake.
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
    let worth = |line: &&str| {
        !line.contains("NOTICE")
            && !line.contains("Error(s) found")
            && !line.contains("Fatal errors")
            && !line.starts_with("   |")
            && !line.contains("missing timeouts")
            && !line.is_empty()
    };
    report.stderr.lines().filter(worth).collect::<Vec<_>>().join("\n")
}

#[test]
fn mistakes_are_said_in_haproxys_words() {
    let cases = [
        (
            "resolvers\n",
            "[ALERT]    (1) : config : parsing [e.cfg:1] : missing name for resolvers section.",
        ),
        (
            "resolvers r\n nameserver\n",
            "[ALERT]    (1) : config : parsing [e.cfg:2] : 'nameserver' expects <name> and <addr>[:<port>] as arguments.",
        ),
        (
            "resolvers r\n nameserver a 192.0.2.1:53\n nameserver a 192.0.2.2:53\n",
            "[ALERT]    (1) : config : Parsing [e.cfg:3]: nameserver 'a' has same name as another nameserver (declared at e.cfg:2).",
        ),
        (
            "resolvers r\n nameserver a 192.0.2.1\n",
            "[ALERT]    (1) : config : parsing [e.cfg:2] : 'nameserver a' : missing port specification in '192.0.2.1'",
        ),
        (
            "resolvers r\n hold\n",
            "[ALERT]    (1) : config : parsing [e.cfg:2] : 'hold' expects an <event> and a <time> as arguments.",
        ),
        (
            "resolvers r\n hold foo 1s\n",
            "[ALERT]    (1) : config : parsing [e.cfg:2] : 'hold' unknown <event>: 'foo', expects either 'nx', 'timeout', 'valid', 'obsolete' or 'other'.",
        ),
        (
            "resolvers r\n hold valid x\n",
            "[ALERT]    (1) : config : parsing [e.cfg:2]: unexpected character 'x' in argument to <hold>.",
        ),
        (
            "resolvers r\n accepted_payload_size 70000\n",
            "[ALERT]    (1) : config : parsing [e.cfg:2] : 'accepted_payload_size' must be between 12 and 65535 inclusive (was 70000).",
        ),
        (
            "resolvers r\n resolve_retries\n",
            "[ALERT]    (1) : config : parsing [e.cfg:2] : 'resolve_retries' expects <nb> as argument.",
        ),
        (
            "resolvers r\n resolve_retries x\n",
            "[WARNING]  (1) : config : resolvers 'r' [e.cfg:1] has no nameservers configured!",
        ),
        (
            "resolvers r\n timeout\n",
            "[ALERT]    (1) : config : parsing [e.cfg:2] : 'timeout' expects 'retry' or 'resolve' and <time> as arguments.",
        ),
        (
            "resolvers r\n timeout foo 1s\n",
            "[ALERT]    (1) : config : parsing [e.cfg:2] : 'timeout' expects 'retry' or 'resolve' and <time> as arguments got 'foo'.",
        ),
        (
            "resolvers r\n timeout retry\n",
            "[ALERT]    (1) : config : parsing [e.cfg:2] : 'timeout retry' expects <time> as argument.",
        ),
        (
            "resolvers r\n foo\n",
            "[ALERT]    (1) : config : parsing [e.cfg:2] : unknown keyword 'foo' in 'resolvers' section",
        ),
        (
            "backend b\n server s a.test:1 resolvers nope init-addr none\n",
            "[ALERT]    (1) : config : backend 'b', server 's': unable to find required resolvers 'nope'",
        ),
        (
            "backend b\n server-template s 3\n",
            "[ALERT]    (1) : config : [e.cfg:2] : 'server-template' expects <prefix> <nb | range> <addr>[:<port>] as arguments.",
        ),
        (
            "backend b\n server-template s 3-1 a.test:1\n",
            "[ALERT]    (1) : config : [e.cfg:2] : Wrong server-template number or range arg '3-1'.",
        ),
        (
            "backend b\n server s _a._tcp.test:80\n",
            "[ALERT]    (1) : config : [e.cfg:2] : 'server b/s' : no method found to resolve address '_a._tcp.test'.\n[ALERT]    (1) : config : Failed to initialize server(s) addr.",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(said(text), expected, "{text}");
    }
}

#[test]
fn a_template_is_so_many_servers_and_each_knows_whom_to_ask() {
    let text = "
resolvers r
    nameserver ns1 192.0.2.53:53
    nameserver ns2 udp@192.0.2.54:53
    hold valid 5s
    hold obsolete 1m
    timeout retry 300ms
    resolve_retries 2
    accepted_payload_size 4096
backend b
    timeout connect 1s
    timeout server 1s
    server-template web 2-4 www.example.com:8080 resolvers r init-addr none resolve-prefer ipv4 resolve-opts allow-dup-ip resolve-net 192.0.2.0/24
    server-template srv 2 _http._tcp.example.com resolvers r resolve-opts ignore-weight
frontend f
    bind 127.0.0.1:1
    timeout client 1s
    default_backend b
";
    let loaded = load(text);
    let config = loaded.config.expect("it is right");
    let resolvers = &config.process.resolvers[0];
    let addresses: Vec<_> =
        resolvers.nameservers.iter().map(|one| one.address.to_string()).collect();
    assert_eq!(addresses, ["192.0.2.53:53", "192.0.2.54:53"]);
    assert_eq!((resolvers.retries, resolvers.payload), (2, 4096));
    assert_eq!(resolvers.hold.obsolete, Duration::from_secs(60));
    assert_eq!(resolvers.retry, Duration::from_millis(300));
    let servers = &config.backends[0].servers;
    let names: Vec<_> = servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["web2", "web3", "web4", "srv1", "srv2"]);
    let web = servers[0].resolve.as_ref().expect("it asks");
    assert_eq!((web.name.as_str(), web.port, web.service), ("www.example.com", 8080, false));
    assert!(web.prefer_v4 && web.allow_duplicates && web.unresolved);
    assert_eq!(web.networks.len(), 1);
    let service = servers[4].resolve.as_ref().expect("it asks");
    assert!(service.service && service.unresolved && service.ignore_weight);
    assert!(matches!(servers[4].address, ServerAddress::Host { .. }));
    assert!(!servers[0].disabled);
}

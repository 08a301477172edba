//! Everything that reads what others wrote: the entry points of every fuzzer.
//!
//! `cargo xtask fuzz` mutates its own seeds on stable Rust; the programs in `fuzz_targets/` hand the
//! same functions to libFuzzer. None of them may panic, or take long, whatever the bytes.

/// One entry point.
pub(crate) struct Target {
    /// Its name: also that of the program in `fuzz_targets/`.
    pub(crate) name: &'static str,
    /// What is called.
    pub(crate) run: fn(&[u8]),
    /// Inputs to begin with.
    pub(crate) seeds: &'static [&'static [u8]],
    /// Parts of names of files in the repository that are inputs, too.
    pub(crate) files: &'static [&'static str],
    /// Words an input may need, which chance would not find.
    pub(crate) words: &'static [&'static str],
}

/// Hands bytes to the target of that name.
#[allow(dead_code, reason = "only the programs in fuzz_targets call it")]
pub(crate) fn run(name: &str, bytes: &[u8]) {
    for target in TARGETS.iter().filter(|target| target.name == name) {
        (target.run)(bytes);
    }
}

/// All of them.
pub(crate) const TARGETS: &[Target] = &[
    Target {
        name: "keepalived_conf",
        run: keepalived_conf,
        seeds: &[
            b"vrrp_instance VI_1 {\n state MASTER\n interface eth0\n virtual_router_id 51\n \
              virtual_ipaddress {\n 192.0.2.10/24 dev eth0 label eth0:1\n }\n}\n",
            b"$A=1\n~SEQ(x, 1, 3) $x\n@id include /x\nglobal_defs {\n}\n! note\n",
        ],
        files: &["keepalived"],
        words: &[
            "{", "}", "\n", "$A", "~SEQ(", "~LST(", "@", "!", "#", "\"", "include", "vrrp_script",
            "track_script", "virtual_ipaddress", "authentication", "auth_pass", "notify", "BLOB",
        ],
    },
    Target {
        name: "haproxy_cfg",
        run: haproxy_cfg,
        seeds: &[
            b"global\n maxconn 10\ndefaults\n mode tcp\n timeout connect 5s\nlisten l\n bind :1\n \
              server s 127.0.0.1:2 check inter 2s\n",
            b"frontend f\n bind :1\n acl a src,ipmask(24) -m ip 10.0.0.0/8 { }\n \
              tcp-request content set-var(txn.x) req.payload(0,3),lower if a !{ req.len gt 3 } || \
              TRUE\n use_backend %[var(txn.x),map(f,d)] unless a\n \
              log-format \"%ci %{+Q}[src,field(1,.)] %%\"\n",
            b".if defined(X)\n global\n.elif 1\n.else\n.endif\nfrontend f\n bind *:1 name \"${Y-z}\"\n",
        ],
        files: &["haproxy"],
        words: &[
            "\n", "\\", "\"", "'", "${", "}", ".if", ".endif", "global", "defaults", "frontend",
            "backend", "listen", "server", "bind", "timeout", "no ", "option", "http-check", "expect",
            "acl ", "tcp-request ", "content ", "use_backend ", " if ", "{ ", " }", "%[", "]", "(", ")",
            ",", "req.payload(", "src,", "-m reg ", "log-format ", "set-var(txn.",
        ],
    },
    Target {
        name: "nginx_conf",
        run: nginx_conf::fuzz,
        seeds: &[
            b"events {}\nstream {\n upstream k { least_conn; server 192.0.2.1:6443 weight=5; }\n \
              server { listen [::1]:1-3 so_keepalive=1::2; proxy_pass k; proxy_timeout \"1m 30s\"; }\n}\n",
            b"http { server { listen 80; location / { return 200 '${x}'; } } } # c\nuser a\\ b;",
        ],
        files: &["nginx"],
        words: &[
            "{", "}", ";", "#", "\"", "'", "\\", "$", "${", "include", "stream", "events", "http",
            "server", "upstream", "listen", "proxy_pass", "error_log", "unix:", "log_format", "4294967296",
        ],
    },
    Target { name: "vrrp_message", run: vrrp_message, seeds: VRRP, files: &[], words: &[] },
    Target { name: "vrrp_advert", run: vrrp_advert, seeds: ADVERTS, files: &[], words: &[] },
    Target { name: "ah_packet", run: ah_packet, seeds: AH, files: &[], words: &[] },
    Target { name: "ipv4_packet", run: ipv4_packet, seeds: IPV4, files: &[], words: &[] },
    Target { name: "arp_frame", run: arp_frame, seeds: &[&[0; 42]], files: &[], words: &[] },
    Target {
        name: "peers_message",
        run: wire::peers::fuzz,
        seeds: &[
            b"\x0a\x82\x0f\x02\x01f\x04\x04\xff\xf1\x02\xf0\xc4\x0d\x03\xf8\xac\x00\x0a\x80\x15\x00\x00\
              \x00\x01\x01\x02\x03\x04\x00\x00\xfc\x03\x01\x05\x00\xf0\x91\xbd\x80\x94\x00",
            b"\x0a\x82\x1a\x01\x03/tt\x06\x0b\xf0\xf4\xfe\x5e\xf0\xd9\xdc\x0c\x05\xf0\xe2\x03\x17\x02\
              \x18\x02\xf8\xa9\x01",
            b"\x00\x00\x00\x01\x00\x02\x00\x03\x00\x04\x0a\x84\x05\x02\x00\x00\x00\x09\x0a\x83\x01\x02",
        ],
        files: &[],
        words: &["\x0a\u{80}", "/t"],
    },
    Target {
        name: "http_message",
        run: http_message,
        seeds: &[
            b"POST /a?b=c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n",
            b"GET http://h/ HTTP/1.0\r\nHost: h\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        ],
        files: &[],
        words: &[
            "GET ", " HTTP/1.1\r\n", "\r\n\r\n", "Host: ", "Content-Length: ",
            "Transfer-Encoding: chunked\r\n", "0\r\n", "ffff", ";", ":", "\n", "\r",
        ],
    },
    Target {
        name: "runtime_api",
        run: runtime_api,
        seeds: &[
            b"show info;show stat -1 4 -1\n@1 get weight be\\/a\r\n",
            b"add map #1 <<EOF\nkey value\n\nEOF\nprompt\nquit\n",
            b"set server be/a state drain <<\npayload\n\n;;\\;\n",
        ],
        files: &[],
        words: &["\n", ";", "\\", " <<", "<<EOF", "@!", "show ", "\r\n", "\t"],
    },
    Target {
        name: "proxy_header",
        run: proxy_header,
        seeds: &[
            b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\nhello",
            b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x11\xc0\0\x02\x07\xc6\x33\x64\x01\0\x01\0\x02\x01\0\x02h2",
        ],
        files: &[],
        words: &["PROXY ", "TCP4", "UNKNOWN", "\r\n", "65535"],
    },
    Target {
        name: "dns_answer",
        run: dns_answer,
        seeds: &[
            b"\x00\x00\x07\x81\x80\0\x01\0\x01\0\0\0\0\x01a\x04test\0\0\x01\0\x01\
              \xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01",
            b"\x02\x00\x07\x81\x80\0\x01\0\x01\0\0\0\0\x01a\x04test\0\0\x21\0\x01\
              \xc0\x0c\0\x21\0\x01\0\0\0\x3c\0\x0a\0\x01\0\x02\x1f\x90\x01b\xc0\x0e",
        ],
        files: &[],
        words: &["\u{c}", "\0\u{5}\0\u{1}", "\u{1}a\u{4}test\0"],
    },
    Target {
        name: "client_hello",
        run: client_hello,
        seeds: &[
            b"\x16\x03\x01\x00\x44\x01\x00\x00\x40\x03\x0301234567890123456789012345678901\x00\
              \x00\x02\x13\x01\x01\x00\x00\x15\x00\x00\x00\x06\x00\x04\x00\x00\x01a\
              \x00\x10\x00\x05\x00\x03\x02h2\x00\x23\x00\x00",
            b"\x80\x2e\x01\x03\x01",
        ],
        files: &[],
        words: &["\x16\x03\x01\x00\x01", "\x00\x00\x00\x06\x00\x04\x00\x00\x01", "\x00\x10\x00\x05"],
    },
    Target {
        name: "check_answer",
        run: check_answer,
        seeds: &[
            b"\x00HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            b"\x01HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            b"\x02+PONG\r\n",
            b"\x05220 a\r\n250 b\r\n221 c\r\n",
            b"\x06R\0\0\0\x08\0\0\0\0",
            b"\x08\x05\0\0\0\x0a5.7\0\x01\0\0\x02\0",
            b"\x09\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0",
        ],
        files: &[],
        words: &["HTTP/1.1 ", "\r\n", "\r\n\r\n", "Content-Length: ", "chunked", "ffffffffffffffff"],
    },
    Target {
        name: "agent_answer",
        run: agent_answer,
        seeds: &[b"ready 75% up #all is well\n", b"maxconn:10, drain\tdown # x\r\n"],
        files: &[],
        words: &["up", "down", "fail", "stopped", "ready", "drain", "maint", "maxconn:", "%", "#"],
    },
    Target {
        name: "smtp_reply",
        run: smtp_reply,
        seeds: &[b"220 a\r\n250 b\r\n250 c\r\n250 d\r\n250 e\r\n354 f\r\n250 g\r\n221 h\r\n", b"250-a\r\n250 b\n"],
        files: &[],
        words: &["250 ", "250-", "354 ", "421 ", "\r\n"],
    },
];

/// A version 2 advert with a password, and a version 3 one.
const VRRP: &[&[u8]] = &[
    &[0x21, 51, 100, 1, 1, 1, 0, 0, 192, 0, 2, 10, b'1', b'2', b'3', b'4', 0, 0, 0, 0],
    &[0x31, 51, 100, 1, 0, 100, 0, 0, 192, 0, 2, 10],
];

/// How it is configured, and then adverts as above, one over IPv6, and one behind an authentication
/// header.
const ADVERTS: &[&[u8]] = &[
    &[0x80, 0x21, 51, 100, 1, 0, 1, 0, 0, 192, 0, 2, 10, 0, 0, 0, 0, 0, 0, 0, 0],
    &[0x82, 0x31, 51, 100, 1, 0, 100, 0, 0, 192, 0, 2, 10],
    &[0x96, 0x31, 51, 255, 2, 0x0f, 0xff, 0, 0, 192, 0, 2, 10, 192, 0, 2, 11],
    &[0x83, 0x31, 51, 0, 1, 0, 100, 0, 0, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10],
    &[
        0x20, 0x45, 0xc0, 0, 0x40, 0, 1, 0, 0, 0xff, 0x33, 0xd0, 0xa3, 10, 9, 0, 11, 224, 0, 0, 18,
        0x70, 4, 0, 0, 10, 9, 0, 11, 0, 0, 0, 1, 0xa2, 0xa4, 0x06, 0x6e, 0x7c, 0xe6, 0x95, 0x54,
        0x77, 0x58, 0xab, 0xac, 0x21, 0x33, 0x96, 1, 2, 1, 0x3c, 0x5d, 10, 9, 0, 100, 0, 0, 0, 0,
        0, 0, 0, 0,
    ],
];

/// A packet with an authentication header, of the key `1234`.
const AH: &[&[u8]] = &[&[
    0x45, 0xc0, 0, 0x40, 0, 1, 0, 0, 0xff, 0x33, 0xd0, 0xa3, 10, 9, 0, 11, 224, 0, 0, 18, 0x70, 4,
    0, 0, 10, 9, 0, 11, 0, 0, 0, 1, 0xa2, 0xa4, 0x06, 0x6e, 0x7c, 0xe6, 0x95, 0x54, 0x77, 0x58,
    0xab, 0xac, 0x21, 0x33, 0x96, 1, 2, 1, 0x3c, 0x5d, 10, 9, 0, 100, 0, 0, 0, 0, 0, 0, 0, 0,
]];

const IPV4: &[&[u8]] = &[&[
    0x45, 0xc0, 0, 32, 0, 0, 0, 0, 255, 112, 0, 0, 192, 0, 2, 1, 224, 0, 0, 18, 0x31, 51, 100, 1,
    0, 100, 0, 0, 192, 0, 2, 10,
]];

fn keepalived_conf(bytes: &[u8]) {
    keepalived_conf::fuzz(bytes);
}

fn haproxy_cfg(bytes: &[u8]) {
    haproxy_cfg::fuzz(bytes);
}

fn vrrp_message(bytes: &[u8]) {
    // What was understood can be shown, and what was not can be said.
    match wire::vrrp::Message::parse(bytes) {
        Ok(message) => drop(format!("{message:?}")),
        Err(error) => drop(error.to_string()),
    }
    match wire::vrrp::Message::parse_v6(bytes) {
        Ok(message) => drop(format!("{message:?}")),
        Err(error) => drop(error.to_string()),
    }
}

/// What a virtual router does with a payload, or a whole packet, in whichever state and however
/// configured the first byte says.
fn vrrp_advert(bytes: &[u8]) {
    use std::net::IpAddr;
    use std::time::Duration;

    use machine::{Instant, Machine as _};
    use vrrp::config::{Auth, Initial, InstanceConfig, Version, VirtualAddress, Vrid};
    use vrrp::{Datagram, Event, Instance};
    use wire::vrrp::PseudoHeader;

    let Some((flags, packet)) = bytes.split_first() else { return };
    let flag = |bit: u8| flags & (1 << bit) != 0;
    let ipv6 = flag(0);
    let ip = |v4: [u8; 4], v6: u16| -> IpAddr {
        if ipv6 { IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, v6]) } else { v4.into() }
    };
    let (us, them) = (ip([192, 0, 2, 1], 1), ip([192, 0, 2, 2], 2));
    let group = if ipv6 { [0xff02, 0, 0, 0, 0, 0, 0, 0x12].into() } else { [224, 0, 0, 18].into() };
    let version = if flag(1) || ipv6 { Version::V3 } else { Version::V2 };
    let unicast = flag(2);
    let config = InstanceConfig {
        name: "VI".into(),
        interface: "eth0".into(),
        vrid: Vrid(51),
        version,
        priority: if flag(3) { 255 } else { 100 },
        initial: if flag(3) { Initial::Master } else { Initial::Backup },
        strict: flag(4),
        auth: (flag(5) && version == Version::V2).then_some(Auth::Ah(*b"1234\0\0\0\0")),
        addresses: vec![VirtualAddress::host(ip([192, 0, 2, 10], 10))],
        unicast_peers: if unicast { vec![them.into()] } else { vec![] },
        multicast_group: group,
        ..InstanceConfig::default()
    };
    let mut instance = Instance::new(config, &[]);
    let (mut now, mut actions) = (Instant::ZERO, vec![]);
    instance.handle(now, Event::Link { interface: "eth0", up: true }, &mut actions);
    instance.handle(now, Event::Source(Some(us)), &mut actions);
    instance.handle(now, Event::Start, &mut actions);
    if flag(6) {
        now += Duration::from_millis(500);
        instance.handle(now, Event::Tick, &mut actions);
    }
    let destination = if unicast { us } else { group };
    let mut fixed = packet.to_vec();
    let datagram = if flag(5) && !ipv6 {
        match Datagram::from_ipv4(packet) {
            Ok(datagram) => datagram,
            Err(_) => return,
        }
    } else {
        if flag(7) && fixed.len() >= 8 {
            // A right checksum, or nothing would come past it.
            let ends = PseudoHeader { source: them, destination };
            fixed[6..8].fill(0);
            let sum = wire::vrrp::checksum(&fixed, (version == Version::V3).then_some(ends));
            fixed[6..8].copy_from_slice(&sum.to_be_bytes());
        }
        Datagram::new(them, destination, 255, &fixed)
    };
    let before = (instance.state(), instance.deadline(), instance.master());
    actions.clear();
    instance.handle(now, Event::Received(datagram), &mut actions);
    actions.iter().for_each(|action| drop(format!("{action:?}")));
    if instance.counters().rejected_in_all() > 0 {
        let after = (instance.state(), instance.deadline(), instance.master());
        assert_eq!(before, after, "what is dropped changes nothing");
    }
    if let Some(due) = instance.deadline() {
        instance.handle(due, Event::Tick, &mut actions);
    }
}

fn ah_packet(bytes: &[u8]) {
    for header in [20, 24, 60] {
        match wire::ah::Packet::parse(bytes, header) {
            Ok(packet) => drop((packet.is_authentic(b"1234"), format!("{packet:?}"))),
            Err(error) => drop(error.to_string()),
        }
    }
}

fn ipv4_packet(bytes: &[u8]) {
    match wire::ipv4::Packet::parse(bytes) {
        Ok(packet) => drop(format!("{packet:?}")),
        Err(error) => drop(error.to_string()),
    }
}

fn arp_frame(bytes: &[u8]) {
    if let Ok(frame) = wire::arp::Frame::parse(bytes) {
        let again = wire::arp::Frame::parse(&frame.to_bytes());
        assert_eq!(again.ok(), Some(frame), "what was read is written as it was");
    }
}

/// A PROXY header, whole and cut in half.
fn http_message(bytes: &[u8]) {
    use http::{Body, Decoder, Request, Response};

    let request = Request::parse(bytes);
    if let Ok(Some((request, length))) = &request {
        assert!(*length <= bytes.len(), "longer than what there is");
        // What is written is read as the same.
        let mut written = Vec::new();
        request.write(&mut written);
        if let Ok(Some((again, _))) = Request::parse(&written) {
            assert_eq!(&again, request);
        }
        let body = request.framing().unwrap_or(Body::Empty);
        let (mut decoder, mut data) = (Decoder::new(body), Vec::new());
        let used = decoder.decode(&bytes[*length..], &mut data);
        assert!(used.is_err() || data.len() <= bytes.len() - length);
    }
    if let Ok(Some((response, length))) = Response::parse(bytes) {
        assert!(length <= bytes.len() && response.framing("GET").is_ok());
    }
}

/// However the bytes come, the same commands are found, and no more is kept than one of them needs.
fn runtime_api(bytes: &[u8]) {
    use haproxy_cfg::cli::{Decoder, Input, MAX_LENGTH};

    let inputs = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut decoder = Decoder::default();
        let mut found = Vec::new();
        for piece in pieces {
            decoder.feed(piece);
            found.extend(std::iter::from_fn(|| decoder.next()));
        }
        found
    };
    let whole = inputs(&mut std::iter::once(bytes));
    for input in &whole {
        if let Input::Command(command) = input {
            assert!(command.words.iter().map(String::len).sum::<usize>() <= 3 * bytes.len());
        }
    }
    // A line that is too long is found to be so at another byte where it comes in pieces.
    if bytes.len() < MAX_LENGTH {
        assert_eq!(whole, inputs(&mut bytes.chunks(1)), "byte by byte");
    }
}

fn proxy_header(bytes: &[u8]) {
    use wire::proxy_protocol::{Error, Header};

    let whole = Header::parse(bytes);
    if let Ok(header) = &whole {
        assert!(header.length <= bytes.len(), "longer than what there is");
        header.tlvs().count();
    }
    // What is cut off may be more, and is never something else.
    match Header::parse(&bytes[..bytes.len() / 2]) {
        Err(Error::Broken) => assert_eq!(whole, Err(Error::Broken), "bytes made it a header"),
        Ok(header) => assert_eq!(whole, Ok(header), "bytes behind it changed it"),
        Err(Error::Incomplete) => {}
    }
}

/// An answer of a name server; the first byte chooses what was asked for.
fn dns_answer(bytes: &[u8]) {
    use wire::dns::{Kind, Question};

    let Some((choice, message)) = bytes.split_first() else { return };
    let kind = [Kind::A, Kind::Aaaa, Kind::Srv][usize::from(choice % 3)];
    let question = Question { id: 7, name: "a.test", kind, payload: None };
    if let Ok(answer) = question.answer(message) {
        assert!(kind == Kind::Srv || answer.services.is_empty(), "nobody asked for services");
        assert!(kind != Kind::Srv || answer.addresses.is_empty(), "nobody asked for addresses");
        assert!(answer.addresses.len() <= message.len() / 16, "each takes its bytes");
    }
}

fn client_hello(bytes: &[u8]) {
    use wire::client_hello::{ClientHello, Error, message_type, version};

    let whole = ClientHello::parse(bytes);
    if let Ok(hello) = &whole {
        assert_eq!((message_type(bytes), version(bytes)), (Ok(1), Ok(hello.version())));
        let _ = (hello.server_name(), hello.alpn().count(), hello.session_ticket());
        let _ = (hello.ciphers(), hello.extensions().count());
    }
    // What is cut off may be more, and is never something else.
    let cut = &bytes[..bytes.len() / 2];
    match ClientHello::parse(cut) {
        Err(Error::Other) => assert_eq!(whole, Err(Error::Other), "bytes made it a hello"),
        Ok(hello) => assert_eq!(whole.as_ref(), Ok(&hello), "bytes behind it changed it"),
        Err(Error::Incomplete) => {}
    }
}

/// A server's answer, in pieces, to the check the first byte chooses.
fn agent_answer(bytes: &[u8]) {
    let advice = check::agent::read(bytes);
    let _ = advice.verdict(None).info.len();
    let whole = check::agent::is_line(bytes);
    assert!(whole || !bytes.contains(&b'\n'));
}

fn smtp_reply(bytes: &[u8]) {
    use wire::smtp::{Delivery, Letter, Step};

    let letter = Letter {
        helo: "me".into(),
        from: "a@x".into(),
        to: vec!["b@x".into(), "c@x".into()],
        text: ".\r\n".into(),
    };
    let mut delivery = Delivery::new(&letter);
    for piece in bytes.chunks(1 + bytes.len() % 7) {
        if matches!(delivery.hear(piece), Step::Done | Step::Nonsense | Step::Refused { .. }) {
            return;
        }
    }
}

fn check_answer(bytes: &[u8]) {
    use check::{Action, Config, Conversation, Expect, Match, Probe, Step, Turn};

    let Some((choice, answer)) = bytes.split_first() else { return };
    let expect = |matching: Match| vec![Step::from(Action::Expect(Expect::from(matching)))];
    let user = || check::MysqlUser { name: "u".into(), pre_41: false };
    let probe = match choice % 11 {
        0 => Probe::http(vec![]),
        1 => Probe::http(expect(Match::String(b"ok".to_vec()))),
        2 => Probe::Tcp { steps: expect(Match::String(b"+PONG".to_vec())) },
        3 => Probe::Known(check::Known::Redis),
        4 => Probe::Known(check::Known::SslHello),
        5 => Probe::Known(check::Known::Smtp { hello: "HELO x".into() }),
        6 => Probe::Known(check::Known::Postgres { user: "u".into() }),
        7 => Probe::Known(check::Known::Mysql(None)),
        8 => Probe::Known(check::Known::Mysql(Some(user()))),
        9 => Probe::Known(check::Known::Ldap),
        _ => Probe::Tcp { steps: vec![] },
    };
    let config = Config { probe, ..Config::default() };
    let mut conversation = Conversation::new(&config);
    let mut turn = conversation.start();
    let mut pieces = answer.chunks(1 + usize::from(choice / 11));
    // Every turn takes a piece or ends the conversation.
    for _ in 0..answer.len() + 16 {
        turn = match turn {
            Turn::Connect(_) => conversation.connected(),
            Turn::Send(_) => conversation.sent(),
            Turn::Expect => match pieces.next() {
                Some(piece) => conversation.on_bytes(piece),
                None => conversation.on_end(),
            },
            Turn::Verdict(_) => return,
        };
    }
}

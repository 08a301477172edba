//! HAProxy's rules at work: ours and the original with the same files and the same clients.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use lab::{Proc, Subject};

use crate::Tests;
use crate::proxy::{Bench, Program, Server, mark_of, say_mark, until_closed};

pub(crate) fn register(tests: &mut Tests<'_>) {
    tests.each("a_client_hello_leads_to_the_server_of_its_name", sni);
    tests.each("who_says_nothing_is_decided_about_once_the_delay_is_over", silent);
    tests.each("who_is_slower_than_timeout_client_is_blamed_for_it", slower_than_its_timeout);
    tests.each("who_leaves_during_the_delay_is_logged_as_one_who_left", leaves);
    tests.each("a_connection_is_rejected_without_a_line_and_a_content_with_pr", rejected);
    tests.each("a_backend_may_be_named_by_what_the_client_says", named);
    tests.each("a_server_is_used_that_a_rule_names", use_server);
    tests.each("what_the_server_says_first_may_end_the_session_with_pd", response);
    tests.each("a_line_says_what_its_format_says", format);
}

/// Servers end before the network they are in does.
struct Stage {
    _daemon: Proc,
    _servers: Vec<Server>,
    bench: Bench,
}

/// Backends `one`, `two` and `three`, whose servers say their number.
fn stage(subject: &Subject, frontend: &str) -> Result<Stage> {
    staged(subject, frontend, say_mark)
}

fn staged(subject: &Subject, frontend: &str, serve: fn(TcpStream, usize)) -> Result<Stage> {
    let bench = Bench::new(subject)?;
    let mut servers = vec![];
    let mut text = format!(
        "global\n    log /dev/log local0\n    maxconn 1000\ndefaults\n    mode tcp\n    \
         log global\n    option tcplog\n    timeout connect 2s\n    timeout client 3s\n    \
         timeout server 3s\nfrontend fe\n    bind *:6443\n{frontend}\n"
    );
    for (at, name) in (1..).zip(["one", "two", "three"]) {
        let server = Server::start(bench.ours, serve, at)?;
        let address = server.address;
        text += &format!("backend {name}\n    server s{at} {address}\n");
        servers.push(server);
    }
    let daemon = bench.start(Program::Haproxy, &text)?;
    Ok(Stage { bench, _servers: servers, _daemon: daemon })
}

/// A ClientHello that asks for a host.
fn hello(name: &str) -> Vec<u8> {
    let n = name.len() as u8;
    let list = [&[0, n + 5, 0, n + 3, 0, 0, n][..], name.as_bytes()].concat();
    let extension = [&[0, 0][..], &list].concat();
    let body =
        [&[3, 3][..], &[b'r'; 32], &[0, 0, 2, 0x13, 1, 1, 0, 0, extension.len() as u8], &extension]
            .concat();
    let message = [&[1, 0, 0, body.len() as u8][..], &body].concat();
    [&[22, 3, 1, 0, message.len() as u8][..], &message].concat()
}

/// The number of the server that answers.
fn answer(stream: &mut TcpStream) -> Result<usize> {
    let mut byte = [0];
    stream.read_exact(&mut byte).context("no server answered")?;
    Ok(usize::from(byte[0] - b'0'))
}

const SNI: &str = "    tcp-request inspect-delay 1s\n    \
    tcp-request content accept if { req.ssl_hello_type 1 }\n    \
    use_backend one if { req.ssl_sni -i a.EXAMPLE }\n    \
    use_backend two if { req.ssl_sni -m end .example }\n    default_backend three\n";

fn sni(subject: &Subject) -> Result<()> {
    let stage = stage(subject, SNI)?;
    for (name, expected) in [("a.example", 1), ("b.example", 2), ("example.org", 3)] {
        let mut client = stage.bench.connect()?;
        client.write_all(&hello(name))?;
        ensure!(answer(&mut client)? == expected, "{name}");
    }
    // In pieces, with time between them.
    let mut client = stage.bench.connect()?;
    client.set_nodelay(true)?;
    for part in hello("a.example").chunks(16) {
        client.write_all(part)?;
        // As long as it takes to arrive by itself.
        std::thread::sleep(Duration::from_millis(30));
    }
    ensure!(answer(&mut client)? == 1, "in pieces");
    // Another protocol is known at its first bytes; without a rule for it, the delay passes.
    let mut client = stage.bench.connect()?;
    client.write_all(b"SSH-2.0-x\r\n")?;
    ensure!(answer(&mut client)? == 3, "no TLS");
    Ok(())
}

fn silent(subject: &Subject) -> Result<()> {
    let rules = format!("{SNI}    tcp-request content reject\n");
    let stage = stage(subject, &rules)?;
    let from = Instant::now();
    let mut client = stage.bench.connect()?;
    client.write_all(&hello("a.example")[..20])?;
    until_closed(&mut client)?;
    let took = from.elapsed();
    ensure!((900..2_500).contains(&took.as_millis()), "{took:?}");
    stage.bench.logged(&[" fe fe/<NOSRV> -1/-1/", " PR "])?;
    Ok(())
}

fn slower_than_its_timeout(subject: &Subject) -> Result<()> {
    let stage = stage(subject, &SNI.replace("1s", "20s"))?;
    let mut client = stage.bench.connect()?;
    let took = until_closed(&mut client)?;
    ensure!((2_500..6_000).contains(&took.as_millis()), "{took:?}");
    stage.bench.logged(&[" fe three/<NOSRV> -1/-1/", " cR "])?;
    Ok(())
}

fn leaves(subject: &Subject) -> Result<()> {
    let stage = stage(subject, &SNI.replace("1s", "20s"))?;
    let client = stage.bench.connect()?;
    // Long enough for the balancer to have accepted it.
    std::thread::sleep(Duration::from_millis(200));
    let socket = nix_linger(&client);
    drop(client);
    socket?;
    stage.bench.logged(&[" fe three/<NOSRV> -1/-1/", " CR "])?;
    Ok(())
}

/// The end of the stream will be a reset.
fn nix_linger(stream: &TcpStream) -> Result<()> {
    use nix::libc::linger;
    use nix::sys::socket::{setsockopt, sockopt::Linger};
    Ok(setsockopt(stream, Linger, &linger { l_onoff: 1, l_linger: 0 })?)
}

fn rejected(subject: &Subject) -> Result<()> {
    let rule = |kind: &str| format!("    tcp-request {kind} reject\n    default_backend one\n");
    for kind in ["connection", "session"] {
        let stage = stage(subject, &rule(kind))?;
        // The reset may be there before the client looks whether it is connected.
        let mut byte = [0];
        let read = match stage.bench.connect() {
            Ok(mut client) => client.read(&mut byte),
            Err(why) => Err(why.downcast::<std::io::Error>()?),
        };
        match (kind, read) {
            ("connection", Err(why)) if why.kind() == std::io::ErrorKind::ConnectionReset => {}
            ("session", Ok(0)) => {}
            (_, other) => bail!("{kind}: {other:?}"),
        }
        ensure!(stage.bench.logged(&[" fe "]).is_err(), "{kind}: a line");
    }
    let stage = stage(subject, &rule("content"))?;
    until_closed(&mut stage.bench.connect()?)?;
    stage.bench.logged(&[" fe fe/<NOSRV> -1/-1/", " 0 PR "])?;
    Ok(())
}

fn named(subject: &Subject) -> Result<()> {
    let rules = "    tcp-request inspect-delay 1s\n    \
        tcp-request content accept if { req.len ge 3 }\n    \
        use_backend %[req.payload(0,3),lower] unless { req.payload(0,1) -m bin 2d }\n    \
        default_backend three\n";
    let stage = stage(subject, rules)?;
    for (said, expected) in [("one", 1), ("TWO", 2), ("six", 3), ("-on", 3)] {
        let mut client = stage.bench.connect()?;
        client.write_all(said.as_bytes())?;
        ensure!(answer(&mut client)? == expected, "{said}");
    }
    Ok(())
}

fn use_server(subject: &Subject) -> Result<()> {
    let bench = Bench::new(subject)?;
    let (a, b) = (Server::start(bench.ours, say_mark, 1)?, Server::start(bench.ours, say_mark, 2)?);
    let text = format!(
        "defaults\n    mode tcp\n    timeout connect 2s\n    timeout client 3s\n    \
         timeout server 3s\nlisten l\n    bind *:6443\n    tcp-request inspect-delay 1s\n    \
         tcp-request content accept if {{ req.len gt 0 }}\n    \
         use-server b if {{ req.payload(0,1) -m bin 62 }}\n    \
         use-server gone if {{ req.payload(0,1) -m bin 67 }}\n    server a {}\n    \
         server b {} weight 0\n    server gone {} disabled\n",
        a.address, b.address, b.address
    );
    let _daemon = bench.start(Program::Haproxy, &text)?;
    for (said, expected) in [("b", 2), ("a", 1), ("b", 2), ("g", 1)] {
        let mut client = bench.connect()?;
        client.write_all(said.as_bytes())?;
        ensure!(answer(&mut client)? == expected, "{said}");
    }
    Ok(())
}

/// Says something before it is spoken to.
fn greet(mut stream: TcpStream, _: usize) {
    stream.write_all(b"SSH-2.0-server\r\n").ok();
    let mut bytes = [0; 64];
    while stream.read(&mut bytes).is_ok_and(|read| read > 0) {}
}

fn response(subject: &Subject) -> Result<()> {
    let backend = |rule: &str| {
        format!("    default_backend r\nbackend r\n    tcp-response inspect-delay 1s\n    {rule}\n")
    };
    for (rule, passes) in [
        ("tcp-response content reject if { res.payload(0,3) -m str SSH }", false),
        ("tcp-response content reject if { res.payload(0,3) -m str FTP }", true),
    ] {
        // The server of a backend of its own.
        let bench = Bench::new(subject)?;
        let server = Server::start(bench.ours, greet, 0)?;
        let text = format!(
            "global\n    log /dev/log local0\ndefaults\n    mode tcp\n    log global\n    \
             option tcplog\n    timeout connect 2s\n    timeout client 3s\n    timeout server 3s\n\
             frontend fe\n    bind *:6443\n{}    server s {}\n",
            backend(rule),
            server.address
        );
        let _daemon = bench.start(Program::Haproxy, &text)?;
        let mut client = bench.connect()?;
        let mut bytes = [0; 64];
        let read = client.read(&mut bytes)?;
        ensure!((read == 16) == passes, "{rule}: {read} bytes");
        if !passes {
            bench.logged(&[" fe r/s ", " 16 PD "])?;
        }
    }
    Ok(())
}

fn format(subject: &Subject) -> Result<()> {
    let rules = "    tcp-request inspect-delay 1s\n    \
        tcp-request content set-var(txn.said) req.payload(0,3) if { req.len ge 3 }\n    \
        tcp-request content set-var-fmt(sess.both) \"%[var(txn.said)]-%[src]\"\n    \
        tcp-request content accept if { req.len ge 3 }\n    \
        log-format \"%[var(txn.said),upper] %[var(sess.both)] %{+Q}b %s %ts %U/%B   \
        %[var(txn.none)] %fp %[nbsrv(one)] %[fe_name]\"\n    default_backend two\n";
    let stage = stage(subject, rules)?;
    let mut client = stage.bench.connect()?;
    client.write_all(b"abc")?;
    let mut said = [0; 3];
    client.read_exact(&mut said)?;
    ensure!(mark_of(&mut client)? == 2);
    let peer = client.local_addr()?.ip();
    drop(client);
    let line = format!("ABC abc-{peer} \"two\" s2 -- 4/4 - 6443 1 fe");
    stage.bench.logged(&[&line])?;
    Ok(())
}

//! The same configuration given to the installed nginx and to ours: the same answers, the same
//! lines in the access log.

use std::io::Read as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[path = "beside/harness.rs"]
mod harness;

use harness::*;

#[test]
fn variables_maps_access_and_limits_are_nginx_s() {
    let servers = [('X', speaker("x")), ('Y', speaker("y"))];
    let stream = "
        log_format m '$remote_addr $protocol $status $bytes_sent $bytes_received $upstream_addr '
            '$upstream_bytes_sent/$upstream_bytes_received $limit_conn_status $server_addr:$server_port '
            '\"$v\" $g $s $hostname-$set';
        map $remote_addr $v { hostnames; default other; 127.0.0.1 one; ~^127\\.0\\.0\\.(?<last>[2-4])$ last-$last; }
        map $remote_addr $to { 127.0.0.2 second; 127.0.0.3 127.0.0.1:@Y@; 127.0.0.4 a.invalid:1;
            127.0.0.5 noport; default first; }
        geo $g { default none; 127.0.0.0/30 low; 127.0.0.2 two; }
        split_clients $remote_addr $s { 30% a; * b; }
        limit_conn_zone $binary_remote_addr zone=z:1m;
        access_log a.log m;
        upstream first { server 127.0.0.1:@X@; }
        upstream second { hash $remote_addr; server 127.0.0.1:@Y@; server 127.0.0.1:@X@; }
        upstream dead { server 127.0.0.1:1; server 127.0.0.1:2; }
        server { listen 127.0.0.1:@A@; set $set 'put-$v'; allow 127.0.0.1; deny 127.0.0.2/31; allow all; proxy_pass first; }
        server { listen 127.0.0.1:@B@; return 'hello $remote_addr $v\\n'; }
        server { listen 127.0.0.1:@C@; proxy_pass $to; }
        server { listen 127.0.0.1:@D@; proxy_pass dead; }
        server { listen 127.0.0.1:@E@; limit_conn z 1; proxy_pass first; }
    ";
    same(stream, "ABCDE", &servers, |it| {
        let mut found = Vec::new();
        let mut sessions = 0;
        let mut one = |name, from, lines| {
            found.push(it.ask(name, from, b"", lines));
            sessions += 1;
            it.lines("a.log", sessions);
        };
        for (name, from) in [('A', 1), ('A', 2), ('A', 4), ('B', 1), ('B', 3), ('D', 1)] {
            one(name, from, 1);
        }
        for from in 1..=6 {
            one('C', from, 1);
        }
        let mut held = TcpStream::connect(it.at('E')).expect("a place");
        held.read_exact(&mut [0; 2]).expect("a word");
        one('E', 1, 1);
        drop(held);
        found.extend(it.lines("a.log", sessions + 1));
        found.extend(it.said("error"));
        found.extend(it.said("warn"));
        found
    });
}

#[test]
fn proxy_headers_are_taken_and_given_as_by_nginx() {
    let servers = [('X', speaker("x"))];
    let stream = "
        log_format m '$remote_addr $realip_remote_addr $status $upstream_bytes_sent '
            '$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port';
        access_log a.log m;
        server { listen 127.0.0.1:@A@ proxy_protocol; proxy_pass 127.0.0.1:@X@; }
        server { listen 127.0.0.1:@B@ proxy_protocol; set_real_ip_from 127.0.0.1; deny 192.0.2.66; allow all;
            proxy_protocol on; proxy_pass 127.0.0.1:@X@; }
    ";
    same(stream, "AB", &servers, |it| {
        let mut found = Vec::new();
        let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x09\xc0\0\x02\x01\0\x07\0\x08hi";
        let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0hi";
        let headers: [&[u8]; 6] = [
            b"PROXY TCP4 192.0.2.7 198.51.100.1 111 222\r\nhi",
            b"PROXY TCP4 192.0.2.66 198.51.100.1 111 222\r\nhi",
            b"PROXY FOO\r\nhi",
            b"GET / HTTP/1.0\r\n\r\n",
            v2,
            local,
        ];
        let mut sessions = 0;
        for name in ['A', 'B'] {
            for (at, header) in headers.iter().enumerate() {
                // Where nobody knows the client, the header names its port.
                if name == 'B' && at == 5 {
                    continue;
                }
                let refused = [2, 3].contains(&at) || name == 'B' && at == 1;
                let answer = it.ask(name, 1, header, if refused { 1 } else { 2 });
                // The header and what follows it may come in one piece or in two.
                found.extend(answer.lines().take(2).map(str::to_owned));
                sessions += 1;
                it.lines("a.log", sessions);
            }
        }
        found.extend(it.lines("a.log", sessions));
        found
    });
}

#[test]
fn a_hello_is_read_ahead_and_left_for_the_server() {
    // A ClientHello for `api.example` that offers h2 and http/1.1 in TLS 1.3.
    let mut extensions = vec![0, 0, 0, 16, 0, 14, 0, 0, 11];
    extensions.extend_from_slice(b"api.example");
    extensions.extend_from_slice(&[0, 16, 0, 14, 0, 12, 2, b'h', b'2', 8]);
    extensions.extend_from_slice(b"http/1.1");
    extensions.extend_from_slice(&[0, 43, 0, 3, 2, 3, 4]);
    let mut hello = vec![3, 3];
    hello.extend_from_slice(&[7; 32]);
    hello.extend_from_slice(&[0, 0, 2, 0x13, 1, 1, 0]);
    hello.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
    hello.extend_from_slice(&extensions);
    let mut message = vec![1, 0, 0, hello.len() as u8];
    message.extend_from_slice(&hello);
    let mut record = vec![22, 3, 1, 0, message.len() as u8];
    record.extend_from_slice(&message);

    let servers = [('X', speaker("x")), ('Y', speaker("y"))];
    let stream = "
        log_format m '$status $ssl_preread_server_name $ssl_preread_protocol $ssl_preread_alpn_protocols $upstream_addr';
        access_log a.log m;
        map $ssl_preread_server_name $to { hostnames; *.example x; default y; }
        upstream x { server 127.0.0.1:@X@; }
        upstream y { server 127.0.0.1:@Y@; }
        server { listen 127.0.0.1:@A@; ssl_preread on; proxy_pass $to; }
        server { listen 127.0.0.1:@B@; ssl_preread on; preread_buffer_size 32; proxy_pass $to; }
    ";
    same(stream, "AB", &servers, |it| {
        let answer = it.ask('A', 1, &record, 1);
        let mut found = vec![answer.lines().next().unwrap_or("").to_owned()];
        it.lines("a.log", 1);
        let answer = it.ask('A', 1, b"GET / HTTP/1.0\r\n", 1);
        found.push(answer.lines().next().unwrap_or("").to_owned());
        it.lines("a.log", 2);
        it.ask('B', 1, &record, 1);
        found.extend(it.lines("a.log", 3));
        found
    });
}

#[test]
fn sessions_of_datagrams_are_nginx_s() {
    let servers = [('X', echo("x")), ('Y', echo("y"))];
    let stream = "
        log_format m '$remote_addr $protocol $status $bytes_sent $bytes_received $upstream_addr '
            '$upstream_bytes_sent/$upstream_bytes_received $server_addr';
        access_log a.log m;
        upstream u { server 127.0.0.1:@X@; server 127.0.0.1:@Y@; }
        server { listen 127.0.0.1:@A@ udp; proxy_timeout 300ms; proxy_pass u; }
        server { listen 127.0.0.1:@B@ udp; proxy_responses 1; proxy_pass u; }
        server { listen 0.0.0.0:@C@ udp; proxy_requests 2; proxy_responses 1; proxy_pass 127.0.0.1:@X@; }
        server { listen 127.0.0.1:@D@ udp; return 'hi $remote_addr'; }
        server { listen 127.0.0.1:@E@ udp; proxy_responses 1; proxy_timeout 200ms; proxy_pass 127.0.0.1:@Y@; }
    ";
    same(stream, "ABCDE", &servers, |it| {
        let mut found = it.datagrams('A', 1, &[b"a", b"", b"b"]);
        let long = vec![b'l'; 60_000];
        found.extend(it.datagrams('A', 1, &[&long]));
        found.extend(it.lines("a.log", 2));
        found.extend(it.datagrams('B', 1, &[b"c"]));
        it.lines("a.log", 3);
        found.extend(it.datagrams('C', 9, &[b"d", b"e", b"f", b"g"]));
        it.lines("a.log", 5);
        found.extend(it.datagrams('D', 1, &[b"h"]));
        it.lines("a.log", 6);
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.send_to(b"mute", it.at('E')).expect("sent");
        found.extend(it.lines("a.log", 7).split_off(2));
        found.extend(it.said("error"));
        found
    });
}

#[test]
fn http_that_only_answers_is_answered_as_by_nginx() {
    let servers = [('X', speaker("x"))];
    let stream = "server { listen 127.0.0.1:@B@; proxy_pass 127.0.0.1:@X@; }";
    let http = "http { access_log off; keepalive_timeout 5; server { listen 127.0.0.1:@A@;
        location /healthz { access_log off; return 200; } location /text { default_type text/html; return 200 hello; }
        location /away { return 301 http://a/; } location /busy { return 503 'busy\\n'; } location = /x { return 404; }
        location /none { return 204; } location /no { stub_status; deny all; } } }";
    same_with(stream, http, "AB", &servers, |it| {
        let mut found = Vec::new();
        for path in ["/healthz", "/text", "/away", "/busy", "/x", "/x/y", "/none", "/no", "/"] {
            for method in ["GET", "HEAD"] {
                let text =
                    format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
                let answer = it.ask('A', 1, text.as_bytes(), usize::MAX);
                let lines = answer.lines().filter(|line| !line.starts_with("Date: "));
                found.push(lines.collect::<Vec<_>>().join("\n"));
            }
        }
        let two = b"POST /text HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /busy HTTP/1.0\r\n\r\n";
        let answer = it.ask('A', 1, two, usize::MAX);
        found.push(answer.lines().filter(|line| !line.starts_with("Date: ")).collect());
        found
    });
}

/// Clients that come one after the other until told to stop, and at least twenty; how many were
/// served, and what went wrong.
fn clients(to: SocketAddr) -> (Arc<AtomicBool>, std::thread::JoinHandle<(usize, Vec<String>)>) {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        let (mut served, mut wrong) = (0, Vec::new());
        while !told.load(Ordering::Relaxed) || served + wrong.len() <= 20 {
            let asked = TcpStream::connect(to).and_then(|mut client| {
                client.set_read_timeout(Some(PATIENCE))?;
                let mut word = [0; 2];
                client.read_exact(&mut word)?;
                Ok(word)
            });
            match asked {
                Ok(word) if &word == b"x\n" => served += 1,
                other => wrong.push(format!("{other:?}")),
            }
        }
        (served, wrong)
    });
    (stop, thread)
}

#[test]
fn a_running_nginx_hands_over_to_ours_and_ours_to_nginx_under_load() {
    if !installed() {
        return;
    }
    let server = speaker("x");
    let ports = Ports::free("AB");
    let (original, load) = (peer().0, load_module());
    let original = original.to_str().expect("a name");
    let directory = tempfile::tempdir().expect("a directory");
    let d = directory.path();
    let text = format!(
        "{load} pid n.pid; error_log error.log info; events {{}}\n\
         stream {{ server {{ listen 127.0.0.1:@A@; proxy_pass 127.0.0.1:{server}; }}\n\
         server {{ listen 127.0.0.1:@B@ udp; return yes; }} }}"
    );
    std::fs::write(d.join("n.conf"), ports.put_into(&text)).expect("written");
    let program = d.join("nginx");
    let install = |path: &str| {
        let next = d.join("next");
        std::os::unix::fs::symlink(path, &next).expect("a link");
        std::fs::rename(&next, &program).expect("a link");
    };
    let pid = |name: &str| {
        std::fs::read_to_string(d.join(name)).ok()?.trim().parse().ok().map(Pid::from_raw)
    };
    let answers = |port: u16| {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
        socket.send_to(b"?", ("127.0.0.1", port)).expect("sent");
        let mut bytes = [0; 8];
        socket.recv(&mut bytes).ok().map(|length| bytes[..length].to_vec())
    };
    install(original);
    let mut command = Command::new(&program);
    command.args(["-c", "n.conf", "-p"]).arg(d);
    // What is left behind by a failure is not to hold on to this test's output.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // In the background: nginx ignores the signal while whoever started it is there.
    assert!(command.status().expect("it runs").success());
    let mut serving: Pid = until("a start", || pid("n.pid"));
    let to = SocketAddr::from(([127, 0, 0, 1], ports.0[&'A']));
    // Not before it serves: a signal that comes earlier is lost.
    until("a server", || TcpStream::connect(to).ok()?.read_exact(&mut [0; 2]).ok());
    let (stop, load) = clients(to);
    for next in [env!("CARGO_BIN_EXE_balancerd"), env!("CARGO_BIN_EXE_balancerd"), original] {
        install(next);
        kill(serving, Signal::SIGUSR2).expect("it runs");
        let new = until("a new master", || pid("n.pid").filter(|new| *new != serving));
        assert_eq!(pid("n.pid.oldbin"), Some(serving));
        let workers = format!("/proc/{new}/task/{new}/children");
        until("its workers", || {
            let children = std::fs::read_to_string(&workers).ok()?;
            (!children.trim().is_empty()).then_some(())
        });
        until("datagrams that are answered", || answers(ports.0[&'B']));
        kill(serving, Signal::SIGQUIT).expect("it runs");
        until("the end of the old one", || pid("n.pid.oldbin").is_none().then_some(()));
        serving = new;
    }
    stop.store(true, Ordering::Relaxed);
    let (served, wrong) = load.join().expect("no panic");
    let log = std::fs::read_to_string(d.join("error.log")).unwrap_or_default();
    kill(serving, Signal::SIGTERM).expect("it runs");
    assert_eq!(wrong, Vec::<String>::new(), "{served} were served\n{log}");
    assert!(served > 20, "only {served} clients came");
    assert!(!log.contains("[emerg]") && !log.contains("[alert]"), "{log}");
}

#[test]
fn a_flood_of_clients_ends_the_sessions_that_were_silent_longest() {
    // Twenty connections are ten sessions.
    let server = echo("x");
    let ports = Ports::free("A");
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "daemon off; pid n.pid; error_log error.log warn; events {{ worker_connections 20; }}\n\
         stream {{ log_format m '$bytes_sent'; access_log a.log m;\n\
         server {{ listen 127.0.0.1:@A@ udp; proxy_pass 127.0.0.1:{server}; }} }}"
    );
    std::fs::write(directory.path().join("n.conf"), ports.put_into(&text)).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_balancerd"));
    command.arg0("nginx").args(["-c", "n.conf", "-p"]).arg(directory.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().expect("it runs");
    let running = Running { child, directory, ports };
    let to = running.at('A');
    let ask = |socket: &UdpSocket, text: &[u8]| {
        socket.send_to(text, to).expect("sent");
        let mut bytes = [0; 16];
        let length = socket.recv(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
    };
    let client = || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
        socket
    };
    let first = client();
    until("a server", || ask(&first, b"0"));
    first.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let others: Vec<UdpSocket> = (0..40).map(|_| client()).collect();
    for (at, other) in others.iter().enumerate() {
        other.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        assert_eq!(ask(other, b"n").as_deref(), Some("x:n"), "client {at}");
        // Who keeps talking keeps its session.
        assert_eq!(ask(&first, b"f").as_deref(), Some("x:f"), "beside client {at}");
    }
    let lines = running.lines("a.log", 31);
    assert!(lines.iter().all(|line| line == "3"), "only silent ones ended: {lines:?}");
    assert!(!running.said("warn").is_empty());
}

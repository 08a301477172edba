//! Reloads that change the worker that serves, as `haproxy` and as `nginx`; and clients that say half of
//! what they should.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

mod master;

use master::{BOTH, Flavour, LIMIT, Master, connect, echo, file, free, server, try_once};

#[test]
fn a_reload_keeps_the_process_and_its_sessions_and_says_what_it_changed() {
    for flavour in BOTH {
        let (a, b, own) = (server(b'a'), server(b'b'), free());
        let mut master = Master::start(flavour, &file(flavour, &[own], &[a], 0), &[]);
        let (mut old, name) = connect(own);
        assert_eq!(name, b'a');
        let workers = master.workers();
        assert_eq!(workers.len(), 1);
        let said = master.reload(&file(flavour, &[own], &[b], 0));
        let expected = match flavour {
            Flavour::HaProxy => format!(
                "Changed in place: backend b: server s{} added, server s{} removed",
                b.port(),
                a.port()
            ),
            Flavour::Nginx => {
                format!("changed in place: backend u: server {b} added, server {a} removed")
            }
        };
        assert!(said.ends_with(&expected), "{said}");
        assert_eq!(connect(own).1, b'b');
        echo(&mut old).expect("its session goes on");
        assert_eq!(master.workers(), workers, "no other process");
        let said = master.reload(&file(flavour, &[own], &[b], 0));
        assert!(said.ends_with("hanged in place: nothing changed"), "{said}");
    }
}

#[test]
fn a_reload_reads_patterns_anew_and_rules_that_are_kept_follow_them() {
    let (server, own) = (server(b'a'), free());
    let text = |retries| {
        let text = file(Flavour::HaProxy, &[own], &[server], retries);
        let text = text.replace("global\n", "global\n stats socket unix@./s.sock level admin\n");
        let rule = " tcp-request connection reject if { src 10.0.0.0/8 }\n default_backend";
        text.replace(" default_backend", rule)
    };
    let mut master = Master::start(Flavour::HaProxy, &text(0), &[]);
    let ask = |master: &Master, line: &str| {
        let mut socket = UnixStream::connect(master.path("s.sock")).expect("it listens");
        socket.set_read_timeout(Some(LIMIT)).expect("settable");
        writeln!(socket, "{line}").expect("it reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("text");
        answer
    };
    for retries in [1, 1, 2] {
        connect(own);
        assert_eq!(ask(&master, "add acl #0 127.0.0.0/8"), "\n");
        assert!(try_once(own).is_err(), "added by hand");
        let said = master.reload(&text(retries));
        assert!(said.contains("hanged in place"), "{said}");
        connect(own);
        assert_eq!(ask(&master, "show acl #0").lines().count(), 2, "one entry, and a blank line");
    }
}

#[test]
fn addresses_come_and_go_and_one_in_use_changes_nothing() {
    for flavour in BOTH {
        let (a, first, second) = (server(b'a'), free(), free());
        let mut master = Master::start(flavour, &file(flavour, &[first], &[a], 0), &[]);
        let workers = master.workers();
        let (mut old, _) = connect(first);
        master.reload(&file(flavour, &[first, second], &[a], 0));
        assert_eq!(connect(second).1, b'a');
        master.reload(&file(flavour, &[second], &[a], 0));
        assert_eq!(connect(second).1, b'a');
        assert!(TcpStream::connect(first).is_err(), "nobody listens");
        echo(&mut old).expect("its session goes on");
        if flavour == Flavour::HaProxy {
            // nginx tries again for seconds.
            let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
            let taken = (taken.local_addr().expect("bound"), taken);
            master.write(&file(flavour, &[second, taken.0], &[a], 1));
            master.hup();
            master.until("Loading failure!");
        }
        master.write("nonsense {");
        master.hup();
        master.until(if flavour == Flavour::HaProxy { "Loading failure!" } else { "[emerg]" });
        assert_eq!(connect(second).1, b'a');
        assert_eq!(master.workers(), workers, "no other process");
    }
}

#[test]
fn what_cannot_be_changed_in_place_gets_a_new_worker() {
    for flavour in BOTH {
        let (a, own) = (server(b'a'), free());
        let text = file(flavour, &[own], &[a], 0);
        let mut master = Master::start(flavour, &text, &[]);
        let (mut old, _) = connect(own);
        let before = master.workers();
        let other = match flavour {
            Flavour::HaProxy => text.replace("nbthread 2", "nbthread 1"),
            Flavour::Nginx => text.replace("worker_processes 2", "worker_processes 1"),
        };
        let said = master.reload(&other);
        let why = "ot changed in place: what concerns the process itself changed";
        assert!(said.ends_with(why), "{said}");
        master.until(if flavour == Flavour::HaProxy {
            "New worker"
        } else {
            "start worker process"
        });
        let begun = Instant::now();
        while master.workers().len() < 2 && begun.elapsed() < LIMIT {}
        assert_ne!(master.workers(), before);
        assert_eq!(connect(own).1, b'a');
        echo(&mut old).expect("its session goes on");
    }
}

#[test]
fn a_storm_of_reloads_ends_with_the_last_file_in_one_process() {
    for flavour in BOTH {
        let (a, b, own) = (server(b'a'), server(b'b'), free());
        let mut master = Master::start(flavour, &file(flavour, &[own], &[a], 0), &[]);
        let workers = master.workers();
        for turn in 0..100 {
            master.write(&file(flavour, &[own], &[if turn % 2 == 0 { b } else { a }], turn));
            master.hup();
            thread::sleep(Duration::from_millis(2));
        }
        master.write(&file(flavour, &[own], &[b], 3));
        master.hup();
        let begun = Instant::now();
        while connect(own).1 != b'b' || !master.log().contains("hanged in place") {
            assert!(begun.elapsed() < LIMIT, "{}", master.log());
        }
        let said = master.reload(&file(flavour, &[own], &[b], 3));
        assert!(!said.contains("ot changed"), "{said}");
        // What was said may have been of one before the last.
        let begun = Instant::now();
        while connect(own).1 != b'b' {
            assert!(begun.elapsed() < LIMIT, "{}", master.log());
        }
        assert_eq!(master.workers(), workers, "no other process");
    }
}

#[test]
fn two_hundred_reloads_of_both_kinds_refuse_reset_and_lose_nothing() {
    let kinds: [&[(&str, &str)]; 2] = [&[], &[("EVERGATE_RELOAD", "new-worker")]];
    for (flavour, environment) in BOTH.into_iter().flat_map(|one| kinds.map(|kind| (one, kind))) {
        let in_place = environment.is_empty();
        // A process is started for each of the other kind: fewer are enough here.
        let reloads = if in_place { 200 } else { 20 };
        let (a, b, own) = (server(b'a'), server(b'b'), free());
        let mut master = Master::start(flavour, &file(flavour, &[own], &[a, b], 0), environment);
        let workers = master.workers();
        let (mut long, _) = connect(own);
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let stop = Arc::clone(&stop);
                thread::spawn(move || {
                    let mut served = 0_u32;
                    while !stop.load(Relaxed) {
                        if let Err(error) = try_once(own) {
                            panic!("{flavour:?}, in place: {in_place}, {served} served: {error}");
                        }
                        served += 1;
                    }
                    served
                })
            })
            .collect();
        for turn in 1..=reloads {
            let servers = [vec![a, b], vec![a], vec![b]][turn % 3].clone();
            master.write(&file(flavour, &[own], &servers, turn));
            master.hup();
            match (in_place, flavour) {
                (true, _) => drop(master.until("hanged in place")),
                (false, Flavour::HaProxy) => drop(master.until("Loading success.")),
                (false, Flavour::Nginx) => drop(master.until("start worker process ")),
            }
            echo(&mut long).expect("the long one goes on");
        }
        stop.store(true, Relaxed);
        let served: u32 = clients.into_iter().map(|client| client.join().expect("no error")).sum();
        assert!(served > 100, "{served} connections");
        if in_place {
            assert_eq!(master.workers(), workers, "one process all along");
        }
        assert!(!master.log().contains("[alert]") && !master.log().contains("[ALERT]"));
    }
}

#[test]
fn a_worker_that_is_killed_while_it_goes_over_is_replaced() {
    let flavour = Flavour::Nginx;
    let (a, own) = (server(b'a'), free());
    let mut master = Master::start(flavour, &file(flavour, &[own], &[a], 0), &[]);
    connect(own);
    let [worker] = master.workers()[..] else { panic!("one worker") };
    let worker = Pid::from_raw(worker);
    kill(worker, Signal::SIGSTOP).expect("it runs");
    master.write(&file(flavour, &[own], &[a], 1));
    master.hup();
    master.until("reconfiguring");
    kill(worker, Signal::SIGKILL).expect("it is there");
    // Whether it was asked before it died or not: there is another one.
    master.until("start worker process ");
    assert_eq!(connect(own).1, b'a');
}

#[test]
fn a_haproxy_worker_that_is_killed_while_it_goes_over_is_replaced_too() {
    let flavour = Flavour::HaProxy;
    let (a, own) = (server(b'a'), free());
    let mut master = Master::start(flavour, &file(flavour, &[own], &[a], 0), &[]);
    connect(own);
    let [worker] = master.workers()[..] else { panic!("one worker") };
    let worker = Pid::from_raw(worker);
    kill(worker, Signal::SIGSTOP).expect("it runs");
    master.write(&file(flavour, &[own], &[a], 1));
    master.hup();
    master.until("Reloading HAProxy");
    kill(worker, Signal::SIGKILL).expect("it is there");
    // It may be gone before it is asked: then the master ends, as HAProxy's does.
    master.until("exited with code 137");
    if master.log().contains("the worker is gone") {
        assert_eq!(connect(own).1, b'a');
    }
}

/// A ClientHello with nothing in it but the name of a server (RFC 8446, 4.1.2; RFC 6066, 3).
fn hello(name: &str) -> Vec<u8> {
    let length = |bytes: usize| u16::try_from(bytes).expect("short").to_be_bytes();
    let n = name.len();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body.extend(length(n + 9));
    body.extend([0, 0]);
    body.extend([length(n + 5), length(n + 3)].concat());
    body.push(0);
    body.extend(length(n));
    body.extend(name.as_bytes());
    let mut record = vec![0x16, 3, 1];
    record.extend(length(body.len() + 4));
    record.extend([1, 0]);
    record.extend(length(body.len()));
    record.extend(body);
    record
}

/// A name server: every name is this machine's.
fn names() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("bound");
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let mut answer = buffer[..length].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            // The name that was asked for, A, IN, a second, and the address.
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1]);
            let _ = socket.send_to(&answer, from);
        }
    });
    address
}

/// Says hello to a name; the server that answered, once it has repeated the hello.
fn ask_for(to: SocketAddr, name: &str) -> std::io::Result<u8> {
    let mut client = TcpStream::connect(to)?;
    client.set_read_timeout(Some(LIMIT))?;
    let hello = hello(name);
    client.write_all(&hello)?;
    let mut answer = vec![0; hello.len() + 1];
    client.read_exact(&mut answer)?;
    assert_eq!(answer[1..], hello);
    Ok(answer[0])
}

#[test]
fn names_that_are_read_ahead_mapped_and_resolved_lead_to_their_servers_through_every_reload() {
    for resolved in [false, true] {
        let (a, b, own, names) = (server(b'a'), server(b'b'), free(), names());
        let file = |change: usize| {
            let first = if resolved {
                format!("zone z 64k; server first.test:{} resolve;", a.port())
            } else {
                format!("server {a};")
            };
            format!(
                "daemon off; pid n.pid; error_log log notice; worker_processes 2;\nevents {{}}\n\
                 stream {{ map $ssl_preread_server_name $to {{ ~^a\\. first; *.b.test second;\n\
                 turn{change}.test second; default second; }}\n\
                 resolver {names} ipv6=off; upstream first {{ {first} }}\n\
                 upstream second {{ server {b}; }}\n\
                 server {{ listen {own} reuseport; ssl_preread on; proxy_pass $to; \
                 proxy_timeout {}s; }} }}\n",
                60 + change % 7
            )
        };
        let mut master = Master::start(Flavour::Nginx, &file(0), &[]);
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = [("a.test", b'a'), ("x.b.test", b'b'), ("other", b'b')]
            .map(|(name, expected)| {
                let stop = Arc::clone(&stop);
                thread::spawn(move || {
                    let mut served = 0_u32;
                    while !stop.load(Relaxed) {
                        let answered = ask_for(own, name);
                        let answered = answered.unwrap_or_else(|e| panic!("{served} served: {e}"));
                        assert_eq!(answered, expected, "{name}");
                        served += 1;
                    }
                    served
                })
            })
            .into();
        for turn in 1..=200 {
            let said = master.reload(&file(turn));
            // What configurations before left behind ends with their process.
            let may = said.contains("often enough") || !said.contains("ot changed");
            assert!(may, "{said}");
        }
        stop.store(true, Relaxed);
        let served: u32 = clients.into_iter().map(|client| client.join().expect("no error")).sum();
        assert!(served > 50, "{served} connections");
        assert!(!master.log().contains("[alert]"), "{}", master.log());
    }
}

/// What a client is told that says `bytes` and no more.
fn heard(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut client = TcpStream::connect(to).expect("it listens");
    client.set_read_timeout(Some(LIMIT)).expect("settable");
    client.write_all(bytes).expect("it listens");
    // Where what came is wrong by now, it may be closed already.
    let _ = client.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    match client.read_to_end(&mut answer) {
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => panic!("{error}"),
        _ => answer,
    }
}

#[test]
fn headers_cut_at_any_byte_and_broken_ones_reach_no_server_and_the_next_client_is_served() {
    let (a, own) = (server(b'a'), free());
    let file = format!(
        "daemon off; pid n.pid; error_log log info; worker_processes 1;\nevents {{}}\n\
         stream {{ server {{ listen {own} proxy_protocol; proxy_pass {a}; }} }}\n"
    );
    let master = Master::start(Flavour::Nginx, &file, &[]);
    let v1 = b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 2000\r\n".to_vec();
    let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    v2.extend([192, 0, 2, 1, 192, 0, 2, 2, 3, 232, 7, 208]);
    let cut = [&v1, &v2].into_iter().flat_map(|whole| (0..whole.len()).map(|end| &whole[..end]));
    let mut cases: Vec<Vec<u8>> = cut.map(<[u8]>::to_vec).collect();
    cases.push([b"PROXY TCP4 ".as_slice(), &[b'1'; 200], b"\r\n"].concat());
    cases.push(b"PROXY TCP9 192.0.2.1 192.0.2.2 1000 2000\r\n".to_vec());
    cases.push(b"PROXY TCP4 2001:db8::1 192.0.2.2 1000 2000\r\n".to_vec());
    for case in &cases {
        assert_eq!(heard(own, case), b"", "{case:?}");
    }
    for whole in [v1, v2] {
        let mut client = TcpStream::connect(own).expect("it listens");
        client.set_read_timeout(Some(LIMIT)).expect("settable");
        client.set_nodelay(true).expect("settable");
        // Whole at last, byte by byte.
        for byte in whole {
            client.write_all(&[byte]).expect("it is open");
        }
        client.read_exact(&mut [0]).expect("the server's name");
        echo(&mut client).expect("it is served");
    }
    assert!(!master.log().contains("[alert]"), "{}", master.log());
}

#[test]
fn a_hello_cut_at_any_byte_ends_and_one_that_comes_byte_by_byte_is_read() {
    let (a, b, own) = (server(b'a'), server(b'b'), free());
    let file = format!(
        "daemon off; pid n.pid; error_log log info; worker_processes 1;\nevents {{}}\n\
         stream {{ map $ssl_preread_server_name $to {{ a.test {a}; default {b}; }}\n\
         server {{ listen {own}; ssl_preread on; proxy_pass $to; }} }}\n"
    );
    let master = Master::start(Flavour::Nginx, &file, &[]);
    let whole = hello("a.test");
    for end in 0..whole.len() {
        let answer = heard(own, &whole[..end]);
        assert_ne!(answer.first(), Some(&b'a'), "cut at {end}: its name is not known");
    }
    let mut client = TcpStream::connect(own).expect("it listens");
    client.set_read_timeout(Some(LIMIT)).expect("settable");
    client.set_nodelay(true).expect("settable");
    for byte in &whole {
        client.write_all(&[*byte]).expect("it is open");
    }
    let mut answer = vec![0; whole.len() + 1];
    client.read_exact(&mut answer).expect("an answer");
    assert_eq!((answer[0], &answer[1..]), (b'a', whole.as_slice()));
    assert!(!master.log().contains("[alert]"), "{}", master.log());
}

/// A server that says so many bytes and then does this.
fn faulty(bytes: usize, then: fn(TcpStream)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.write_all(&vec![7; bytes]);
            then(client);
        }
    });
    address
}

#[test]
fn a_server_that_resets_stalls_or_half_closes_at_any_point_ends_its_session_and_no_other() {
    let reset = |client: TcpStream| {
        let _ = socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO));
    };
    let stall = |client: TcpStream| std::mem::forget(client);
    let half = |client: TcpStream| {
        let _ = client.shutdown(std::net::Shutdown::Write);
        std::mem::forget(client);
    };
    let faults: [(fn(TcpStream), bool); 3] = [(reset, false), (stall, true), (half, true)];
    let good = server(b'a');
    for bytes in [0, 1, 100_000] {
        for (then, whole) in faults {
            let (bad, own, other) = (faulty(bytes, then), free(), free());
            let file = format!(
                "daemon off; pid n.pid; error_log log info; worker_processes 1;\nevents {{}}\n\
                 stream {{ server {{ listen {own}; proxy_pass {bad}; proxy_timeout 200ms; }}\n\
                 server {{ listen {other}; proxy_pass {good}; }} }}\n"
            );
            let master = Master::start(Flavour::Nginx, &file, &[]);
            let mut client = TcpStream::connect(own).expect("it listens");
            client.set_read_timeout(Some(LIMIT)).expect("settable");
            let mut answer = Vec::new();
            // Its end: an error is one too, but for patience that ran out.
            if let Err(error) = client.read_to_end(&mut answer) {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
            }
            assert!(answer.len() == bytes || !whole && answer.len() < bytes, "{}", answer.len());
            try_once(other).expect("another session goes on");
            assert!(!master.log().contains("[alert]"), "{}", master.log());
        }
    }
}

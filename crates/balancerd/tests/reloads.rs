//! Hundreds of reloads of a file that has everything in it: nobody is lost, and nothing is left behind.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::thread;
use std::time::Instant;

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

mod master;

use master::{BOTH, Flavour, LIMIT, Master, connect, echo, file, free, server, try_once};

/// A name server: every name is this machine's.
fn names() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("bound");
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            // Without what the question may hold behind its name (EDNS).
            let name = 12 + buffer[12..length].iter().position(|byte| *byte == 0).unwrap_or(0);
            let mut answer = buffer[..(name + 5).min(length)].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1]);
            let _ = socket.send_to(&answer, from);
        }
    });
    address
}

/// Everything a reload has to do with: a table that peers share, names, checks, a map, a socket.
fn everything(
    own: SocketAddr,
    servers: [SocketAddr; 2],
    names: SocketAddr,
    peers: [SocketAddr; 2],
    change: usize,
) -> String {
    let [a, b] = servers;
    format!(
        "global\n nbthread 2\n stats socket unix@socket level admin expose-fd listeners\n\
         defaults\n mode tcp\n timeout connect 5s\n timeout client {}s\n timeout server 60s\n\
         resolvers r\n nameserver n {names}\n timeout resolve 100ms\n hold valid 1s\n\
         peers p\n peer me {}\n peer other {}\n\
         frontend fe\n bind {own}\n tcp-request connection track-sc0 src table t\n \
         use_backend %[src,map_ip(map,be)]\n default_backend be\n\
         backend t\n stick-table type ip size 1k expire 1h store conn_cnt peers p\n\
         backend be\n stick-table type ip size {}k expire 1h\n stick on src\n \
         server a {a} check inter 50ms\n \
         server b b.test:{} check inter 50ms resolvers r resolve-prefer ipv4 init-addr 127.0.0.1\n",
        60 + change % 7,
        peers[0],
        peers[1],
        1 + change % 3,
        b.port(),
    )
}

/// Descriptors that are open, and kB of memory that are its own share.
fn cost(pid: i32) -> (usize, u64) {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    (files, kilobytes.unwrap_or(0))
}

/// Clients that come again and again until told to stop; how many were served.
fn load(own: SocketAddr, stop: &Arc<AtomicBool>) -> Vec<thread::JoinHandle<u32>> {
    let client = |_| {
        let stop = Arc::clone(stop);
        thread::spawn(move || {
            let mut served = 0;
            while !stop.load(Relaxed) {
                try_once(own).unwrap_or_else(|error| panic!("after {served}: {error}"));
                served += 1;
            }
            served
        })
    };
    (0..3).map(client).collect()
}

#[test]
fn two_hundred_reloads_of_everything_lose_nobody_and_leave_nothing_behind() {
    for new_worker in [false, true] {
        let (servers, own, names) = ([server(b'a'), server(b'b')], free(), names());
        let peers = [free(), free()];
        let text = |change| everything(own, servers, names, peers, change);
        let manner = if new_worker { "new-worker" } else { "" };
        let environment = [("EVERGATE_RELOAD", manner), ("HAPROXY_LOCALPEER", "me")];
        let mut master = Master::start_with(Flavour::HaProxy, &text(0), &environment, |own| {
            std::fs::write(own.join("map"), "10.0.0.0/8 t\n").expect("writable");
        });
        let id = i32::try_from(master.child.id()).expect("small");
        let (mut long, _) = connect(own);
        let stop = Arc::new(AtomicBool::new(false));
        let clients = load(own, &stop);
        let mut before = ((0, 0), (0, 0));
        for turn in 1..=200 {
            std::fs::write(master.path("map"), format!("10.0.0.0/8 t\n10.{turn}.0.0/16 be\n"))
                .expect("writable");
            master.write(&text(turn));
            master.hup();
            if new_worker {
                master.until("Loading success.");
            } else {
                let said = master.until("hanged in place");
                assert!(!said.contains("ot changed"), "{said}");
            }
            if turn == 40 {
                before = (cost(id), cost(master.workers()[0]));
            }
        }
        stop.store(true, Relaxed);
        let served: u32 = clients.into_iter().map(|one| one.join().expect("no error")).sum();
        assert!(served > 100, "{served} connections");
        echo(&mut long).expect("the first session goes on");
        let after = (cost(id), cost(*master.workers().last().expect("one")));
        // Clients and checks come and go; what is kept of a configuration is its part that changed.
        for (what, before, after, more) in
            [("master", before.0, after.0, 4_096), ("worker", before.1, after.1, 12_288)]
        {
            assert!(after.0 <= before.0 + 8, "{what}: {} files, then {}", before.0, after.0);
            assert!(after.1 <= before.1 + more, "{what}: {} kB, then {}", before.1, after.1);
        }
    }
}

#[test]
fn a_reload_without_a_file_changes_nothing_and_the_next_one_is_heard() {
    for flavour in BOTH {
        let (a, b, own) = (server(b'a'), server(b'b'), free());
        let mut master = Master::start(flavour, &file(flavour, &[own], &[a], 0), &[]);
        let workers = master.workers();
        let (mut long, _) = connect(own);
        std::fs::remove_file(master.path("file")).expect("it is there");
        master.hup();
        master.until(match flavour {
            Flavour::HaProxy => "Loading failure!",
            Flavour::Nginx => "failed (2: No such file or directory)",
        });
        assert_eq!(connect(own).1, b'a');
        assert_eq!(master.workers(), workers);
        let said = master.reload(&file(flavour, &[own], &[b], 0));
        assert!(!said.contains("ot changed"), "{said}");
        assert_eq!(connect(own).1, b'b');
        echo(&mut long).expect("its session goes on");
    }
}

#[test]
fn a_reload_without_descriptors_changes_nothing_and_the_next_one_is_heard() {
    for flavour in BOTH {
        let (a, b, own) = (server(b'a'), server(b'b'), free());
        let mut master = Master::start(flavour, &file(flavour, &[own], &[a], 0), &[]);
        let id = i32::try_from(master.child.id()).expect("small");
        let workers = master.workers();
        let limit = |soft: u64| {
            let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("readable");
            let arguments = [format!("--pid={id}"), format!("--nofile={soft}:{hard}")];
            let done = std::process::Command::new("prlimit").args(arguments).status();
            assert!(done.expect("it is part of util-linux").success());
        };
        limit(3);
        master.write(&file(flavour, &[own], &[b], 0));
        master.hup();
        master.until("Too many open files");
        assert_eq!(connect(own).1, b'a');
        limit(1_024);
        let said = master.reload(&file(flavour, &[own], &[b], 0));
        assert!(!said.contains("ot changed"), "{said}");
        assert_eq!(connect(own).1, b'b');
        assert_eq!(master.workers(), workers);
    }
}

#[test]
fn a_worker_that_is_stopped_is_replaced_and_drains_once_it_goes_on() {
    // A master waits for ten seconds: for both at the same time.
    let story = |flavour| {
        let (a, b, own) = (server(b'a'), server(b'b'), free());
        let mut master = Master::start(flavour, &file(flavour, &[own], &[a], 0), &[]);
        let (mut long, _) = connect(own);
        let old = Pid::from_raw(master.workers()[0]);
        kill(old, Signal::SIGSTOP).expect("ours");
        let said = master.reload(&file(flavour, &[own], &[b], 0));
        assert!(said.contains("the worker does not answer"), "{said}");
        let begun = Instant::now();
        while master.workers().len() < 2 && begun.elapsed() < LIMIT {
            thread::yield_now();
        }
        kill(old, Signal::SIGCONT).expect("ours");
        echo(&mut long).expect("its session goes on");
        drop(long);
        while master.workers().contains(&old.as_raw()) {
            assert!(begun.elapsed() < LIMIT, "the old worker stays");
            thread::yield_now();
        }
        assert_eq!(connect(own).1, b'b');
    };
    thread::scope(|scope| BOTH.iter().for_each(|flavour| drop(scope.spawn(|| story(*flavour)))));
}

#[test]
fn what_a_name_had_is_held_through_a_reload_while_name_servers_are_silent() {
    let (silent, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let (front, own, b) = (UdpSocket::bind("127.0.0.1:0").expect("a port"), free(), server(b'b'));
    let at = front.local_addr().expect("bound");
    let (hush, count) = (Arc::clone(&silent), Arc::clone(&asked));
    let behind = UdpSocket::bind("127.0.0.1:0").expect("a port");
    behind.connect(names()).expect("it is there");
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = front.recv_from(&mut buffer) {
            count.fetch_add(1, Relaxed);
            if !hush.load(Relaxed) && behind.send(&buffer[..length]).is_ok() {
                let length = behind.recv(&mut buffer).expect("it answers");
                let _ = front.send_to(&buffer[..length], from);
            }
        }
    });
    let file = |change: u32| {
        format!(
            "defaults\n mode tcp\n timeout connect 5s\n timeout client {}s\n timeout server 60s\n\
             resolvers r\n nameserver n {at}\n timeout resolve 20ms\n timeout retry 20ms\n \
             hold timeout 1h\n\
             listen l\n bind {own}\n \
             server b b.test:{} resolvers r resolve-prefer ipv4 init-addr none\n",
            60 + change,
            b.port()
        )
    };
    let mut master = Master::start(Flavour::HaProxy, &file(0), &[]);
    let begun = Instant::now();
    while try_once(own).is_err() {
        assert!(begun.elapsed() < LIMIT, "{}", master.log());
    }
    silent.store(true, Relaxed);
    for change in 1..4 {
        let said = master.reload(&file(change));
        assert!(!said.contains("ot changed"), "{said}");
        let before = asked.load(Relaxed);
        while asked.load(Relaxed) < before + 10 {
            assert!(begun.elapsed() < LIMIT, "nobody asks");
            thread::yield_now();
        }
        try_once(own).expect("the server is there");
    }
}

#[test]
fn what_a_check_found_stays_through_a_reload_until_nobody_checks_any_more() {
    let (b, own) = (server(b'b'), free());
    let file = |check: &str| {
        format!(
            "daemon off; pid n.pid; error_log log notice; worker_processes 1;\nevents {{}}\n\
             stream {{ match m {{ send x; expect never; }} upstream u {{ zone u 64k; server {b}; }}\n\
             server {{ listen {own}; proxy_pass u; {check} }} }}\n"
        )
    };
    let check = |fails: u32| file(&format!("health_check match=m interval=30ms fails={fails};"));
    let mut master = Master::start(Flavour::Nginx, &check(1), &[]);
    master.until("unhealthy");
    assert!(try_once(own).is_err());
    for fails in 2..6 {
        let said = master.reload(&check(fails));
        assert!(!said.contains("ot changed"), "{said}");
        assert!(try_once(own).is_err(), "it is unhealthy still");
    }
    let said = master.reload(&file(""));
    assert!(!said.contains("ot changed"), "{said}");
    let begun = Instant::now();
    while try_once(own).is_err() {
        assert!(begun.elapsed() < LIMIT, "{}", master.log());
    }
}

/// Whoever scrapes the worker learns that the master has refused a file.
#[test]
fn metrics_say_how_the_last_reload_ended() {
    for flavour in BOTH {
        let (listen, page, server) = (free(), free(), server(b'a'));
        let text = |wrong: &str| {
            let served = file(flavour, &[listen], &[server], 0);
            match flavour {
                Flavour::HaProxy => format!(
                    "{served}frontend m\n mode http\n bind {page}\n http-request use-service prometheus-exporter\n{wrong}"
                ),
                Flavour::Nginx => format!(
                    "{served}http {{ server {{ listen {page}; location / {{ prometheus; }} }} }}\n{wrong}"
                ),
            }
        };
        let mut master = Master::start(flavour, &text(""), &[]);
        let scrape = || {
            let mut socket = std::net::TcpStream::connect(page).expect("it listens");
            socket.set_read_timeout(Some(LIMIT)).expect("settable");
            let ask = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            socket.write_all(ask.as_bytes()).expect("open");
            let mut answer = String::new();
            socket.read_to_string(&mut answer).expect("text");
            let of = |name: &str| {
                let line = answer.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|value| value.trim().parse::<u64>().ok()).expect(name)
            };
            (
                of("balancerd_config_last_reload_successful "),
                of("balancerd_config_last_reload_success_timestamp_seconds "),
            )
        };
        let until = |wanted: u64| {
            let begun = Instant::now();
            loop {
                match scrape() {
                    (success, at) if success == wanted => return at,
                    _ => assert!(begun.elapsed() < LIMIT, "{flavour:?}: never {wanted}"),
                }
                thread::sleep(std::time::Duration::from_millis(5));
            }
        };
        connect(listen);
        let first = until(1);
        assert!(first > 1_700_000_000, "{first}");
        master.write(&text("nonsense\n"));
        master.hup();
        assert_eq!(until(0), first, "the last one that succeeded");
        master.reload(&text(""));
        assert!(until(1) >= first);
    }
}

//! Going over in place, with real sockets.

use balance::{ServerId, State};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc as std_mpsc;
use std::thread;
use std::time::Duration;

use proxy::{
    Backend, BackendIndex, Bind, BindAddress, Flavour, Frontend, Server, ServerAddress, Threads,
};
use tokio::task::LocalSet;

use super::super::runtime;
use super::*;

const LONG: Duration = Duration::from_secs(20);

/// A server that says its name and then what it hears.
fn server(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            thread::spawn(move || {
                let _ = client.write_all(name.as_bytes());
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = client.read(&mut buffer) {
                    if client.write_all(&buffer[..length]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// A configuration with a frontend for each address, that sends to a backend of these servers.
fn config(binds: &[SocketAddr], servers: &[(&str, SocketAddr)]) -> Config {
    let mut config = Config::new(Flavour::HaProxy);
    config.process.threads = Threads::Count(2);
    config.process.maxconn = Some(1_000);
    let mut frontend = Frontend::new(2, "fe");
    frontend.binds = binds.iter().map(|at| Bind::new(BindAddress::Inet(*at))).collect();
    frontend.default_backend = Some(BackendIndex(0));
    config.frontends.push(frontend);
    let mut backend = Backend::new(3, "be");
    for (index, (name, address)) in servers.iter().enumerate() {
        let id = index as u32 + 1;
        backend.servers.push(Server::new(id, *name, ServerAddress::Socket(*address)));
    }
    config.backends.push(backend);
    config
}

/// Gives `fresh` lines addresses nobody else listens on; their sockets.
fn bound(config: &mut Config, fresh: &[usize]) -> Vec<Bound> {
    let mut sockets = Vec::new();
    for &at in fresh {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        config.frontends[0].binds[at].address = BindAddress::Inet(address);
        sockets.push(Bound { frontend: 0, bind: at, fd: listener.into() });
    }
    sockets
}

type Answer = Result<String, String>;

/// A worker on threads of its own.
struct Running {
    shared: &'static Shared,
    orders: mpsc::UnboundedSender<Order>,
    stop: mpsc::UnboundedSender<()>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Running {
    fn start(config: Config, sockets: Vec<Bound>) -> Self {
        let (orders, mut given) = mpsc::unbounded_channel::<Order>();
        let (stop, mut stopped) = mpsc::unbounded_channel();
        let (tell, told) = std_mpsc::channel();
        let thread = thread::spawn(move || {
            runtime().unwrap().block_on(LocalSet::new().run_until(async move {
                let shared: &'static Shared =
                    Box::leak(Box::new(Shared::new(config).expect("addresses")));
                let board: &'static Board =
                    Box::leak(Box::new(Board::new(&shared.config).expect("no files")));
                let mut worker = Worker::start(shared, board, sockets).unwrap();
                tokio::task::spawn_local(health::run(shared, board, false));
                // Servers stand as configured before anybody changes that.
                tokio::task::yield_now().await;
                tell.send(shared).unwrap();
                loop {
                    tokio::select! {
                        _ = stopped.recv() => break,
                        Some(order) = given.recv() => worker.follow(order, false).await,
                    }
                }
                worker.end();
            }));
        });
        Self { shared: told.recv().unwrap(), orders, stop, thread: Some(thread) }
    }

    fn go_over(&self, config: Config, sockets: Vec<Bound>) -> Answer {
        let (answer, answered) = std_mpsc::channel();
        let answer = Box::new(move |outcome| answer.send(outcome).unwrap());
        assert!(self.orders.send(Order { config, sockets, answer }).is_ok());
        answered.recv_timeout(LONG).expect("an answer")
    }

    fn newest(&self) -> &'static Shared {
        let board = Box::leak(Box::new(Board::new(&self.shared.config).unwrap()));
        self.shared.newest(board).0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn connect(to: SocketAddr) -> (TcpStream, String) {
    let mut client = TcpStream::connect(to).expect("it listens");
    client.set_read_timeout(Some(LONG)).unwrap();
    let mut name = [0; 2];
    client.read_exact(&mut name).expect("a name");
    (client, String::from_utf8_lossy(&name).into_owned())
}

fn echo(client: &mut TcpStream) {
    client.write_all(b"ping").unwrap();
    let mut answer = [0; 4];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"ping");
}

fn address(config: &Config, bind: usize) -> SocketAddr {
    match config.frontends[0].binds[bind].address {
        BindAddress::Inet(address) => address,
        _ => panic!("an address"),
    }
}

const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

#[test]
fn sessions_counters_and_the_socket_stay_and_new_sessions_see_the_new_servers() {
    let (s1, s2) = (server("s1"), server("s2"));
    let mut first = config(&[NOWHERE], &[("s1", s1)]);
    let sockets = bound(&mut first, &[0]);
    let to = address(&first, 0);
    let running = Running::start(first.clone(), sockets);
    let (mut old, name) = connect(to);
    assert_eq!(name, "s1");
    let mut second = first;
    second.backends[0] = config(&[NOWHERE], &[("s2", s2)]).backends.remove(0);
    let told = running.go_over(second, vec![]).unwrap();
    assert_eq!(told, "backend be: server s2 added, server s1 removed");
    assert_eq!(connect(to).1, "s2");
    echo(&mut old);
    let now = running.newest();
    assert_eq!(now.frontends[0].traffic.total.load(Relaxed), 2, "one number over both");
    assert_eq!(now.backends[0].traffic.total.load(Relaxed), 2);
    assert_eq!(running.shared.frontends[0].gate.current(), now.frontends[0].gate.current());
    drop(old);
    let ended = || running.newest().frontends[0].gate.current() == 0;
    assert!(until(ended), "sessions of both have ended");
}

fn until(mut done: impl FnMut() -> bool) -> bool {
    let start = std::time::Instant::now();
    while !done() {
        if start.elapsed() > LONG {
            return false;
        }
        thread::sleep(Duration::from_millis(2));
    }
    true
}

#[test]
fn an_address_that_is_new_is_served_and_one_that_is_gone_refuses() {
    let s1 = server("s1");
    let mut first = config(&[NOWHERE], &[("s1", s1)]);
    let sockets = bound(&mut first, &[0]);
    let gone = address(&first, 0);
    let running = Running::start(first.clone(), sockets);
    let (mut session, _) = connect(gone);
    let mut second = first.clone();
    second.frontends[0].binds.push(Bind::new(BindAddress::Inet(NOWHERE)));
    let sockets = bound(&mut second, &[1]);
    running.go_over(second.clone(), sockets).unwrap();
    let new = address(&second, 1);
    assert_eq!(connect(new).1, "s1");
    second.frontends[0].binds.remove(0);
    running.go_over(second, vec![]).unwrap();
    assert_eq!(connect(new).1, "s1");
    assert!(TcpStream::connect(gone).is_err(), "nobody listens");
    echo(&mut session);
}

#[test]
fn what_cannot_be_done_in_place_changes_nothing() {
    let s1 = server("s1");
    let mut first = config(&[NOWHERE], &[("s1", s1)]);
    let sockets = bound(&mut first, &[0]);
    let running = Running::start(first.clone(), sockets);
    let mut second = first.clone();
    second.process.user = Some("nobody".into());
    assert!(running.go_over(second, vec![]).is_err());
    let mut third = first.clone();
    third.backends[0].servers[0].address =
        ServerAddress::Host { name: "no.such.invalid".into(), port: 1, resolved: None };
    assert!(running.go_over(third, vec![]).is_err());
    let told = running.go_over(first.clone(), vec![]).unwrap();
    assert_eq!(told, "nothing changed");
    assert!(std::ptr::eq(running.newest(), running.shared), "the first one is served");
    assert_eq!(connect(address(&first, 0)).1, "s1");
}

#[test]
fn who_waits_for_a_slot_gets_one_of_the_new_configuration() {
    let (s1, s2) = (server("s1"), server("s2"));
    let mut first = config(&[NOWHERE], &[("s1", s1)]);
    first.backends[0].servers[0].maxconn = Some(1);
    let sockets = bound(&mut first, &[0]);
    let to = address(&first, 0);
    let running = Running::start(first.clone(), sockets);
    let (mut holder, _) = connect(to);
    let queued = |shared: &Shared| shared.backends[0].balancer.look(|pool| pool.view().waiting);
    // One after the other, so that the first is also first in the queue.
    let mut waiting = Vec::new();
    for count in 1..=2 {
        waiting.push(TcpStream::connect(to).unwrap());
        assert!(until(|| queued(running.shared) == count));
    }
    // Another server, and a place more for the first one: one of those that wait gets it.
    let mut second = first;
    second.backends[0].servers[0].maxconn = Some(2);
    second.backends[0].servers.push(Server::new(2, "s2", ServerAddress::Socket(s2)));
    second.backends[0].servers[1].maxconn = Some(1);
    running.go_over(second, vec![]).unwrap();
    let mut names = Vec::new();
    for mut client in waiting {
        client.set_read_timeout(Some(LONG)).unwrap();
        let mut name = [0; 2];
        // Whoever still waits is served when the holder goes.
        if names.len() == 1 {
            echo(&mut holder);
            holder.shutdown(std::net::Shutdown::Both).unwrap();
        }
        client.read_exact(&mut name).expect("it is served");
        names.push(String::from_utf8_lossy(&name).into_owned());
    }
    assert!(names.iter().all(|name| name == "s1" || name == "s2"), "{names:?}");
    let now = running.newest();
    assert!(until(|| queued(now) == 0 && now.frontends[0].gate.current() == 0));
    let served = now.backends[0].balancer.look(|pool| pool.view().served);
    assert!(until(|| now.backends[0].balancer.look(|pool| pool.view().served) == 0), "{served}");
}

#[test]
fn two_hundred_times_under_load_nobody_is_refused_reset_or_lost() {
    let servers = [("s1", server("s1")), ("s2", server("s2")), ("s3", server("s3"))];
    let mut first = config(&[NOWHERE], &servers);
    let sockets = bound(&mut first, &[0]);
    let to = address(&first, 0);
    let running = Running::start(first.clone(), sockets);
    let (mut long, _) = connect(to);
    let stop: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(move || {
                let mut served = 0;
                // A busy machine has few turns for each.
                while !stop.load(Relaxed) || served <= 50 {
                    let (mut client, _) = connect(to);
                    echo(&mut client);
                    served += 1;
                }
                served
            })
        })
        .collect();
    for turn in 0..200_usize {
        let mut next = first.clone();
        let kept: Vec<_> = (0..3).filter(|at| turn % 3 != *at).map(|at| servers[at]).collect();
        next.backends[0] = config(&[NOWHERE], &kept).backends.remove(0);
        next.backends[0].retries = turn as u32 % 5;
        running.go_over(next, vec![]).expect("in place");
        echo(&mut long);
    }
    stop.store(true, Relaxed);
    let served: u64 = clients.into_iter().map(|client| client.join().expect("no error")).sum();
    assert!(served > 200, "{served} while it went over");
    let now = running.newest();
    assert!(now.generations() > 200);
    assert!(until(|| now.frontends[0].gate.current() == 1), "only the long one is left");
    assert_eq!(now.frontends[0].traffic.total.load(Relaxed), served + 1);
    assert_eq!(now.backends[0].traffic.connect_errors.load(Relaxed), 0);
    drop(long);
    assert!(until(|| now.process.current() == 0));
    assert!(until(|| now.backends[0].balancer.look(|pool| pool.view().served) == 0));
}

#[test]
fn what_is_held_down_or_weighed_by_hand_stays_so() {
    let servers = [("s1", server("s1")), ("s2", server("s2"))];
    let mut first = config(&[NOWHERE], &servers);
    let sockets = bound(&mut first, &[0]);
    let to = address(&first, 0);
    let running = Running::start(first.clone(), sockets);
    running.shared.set_server_state(0, 0, State::Down);
    let now = running.shared.clock.now();
    running.shared.backends[0]
        .balancer
        .change(|pool, wakes| pool.set_weight(now, ServerId(1), 7, wakes));
    let mut second = first;
    second.backends[0].servers.insert(0, Server::new(9, "s0", ServerAddress::Socket(servers[1].1)));
    second.backends[0].servers[0].weight = 0;
    running.go_over(second, vec![]).unwrap();
    let newest = running.newest();
    let view = |at| newest.backends[0].balancer.look(|pool| pool.server(ServerId(at)));
    assert_eq!((view(1).state, view(2).weight), (State::Down, 7));
    assert!((0..4).all(|_| connect(to).1 == "s2"));
}

#[test]
fn checks_go_on_with_what_they_know_and_servers_that_are_new_are_checked() {
    let s1 = server("s1");
    // Nobody listens there any more.
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let quick = check::Config {
        inter: Duration::from_millis(5),
        rise: 1,
        fall: 2,
        ..check::Config::default()
    };
    let mut first = config(&[NOWHERE], &[("s1", s1), ("s2", dead)]);
    for server in &mut first.backends[0].servers {
        server.check = Some(quick.clone());
    }
    let sockets = bound(&mut first, &[0]);
    let to = address(&first, 0);
    let running = Running::start(first.clone(), sockets);
    let state = |shared: &Shared, at| {
        shared.backends[0].balancer.look(|pool| pool.server(ServerId(at)).state)
    };
    assert!(until(|| state(running.shared, 1) == State::Down), "a check found it down");
    let mut second = first;
    // Another one that is down, in front of the others; and s1 is gone.
    let mut fresh = second.backends[0].servers[1].clone();
    fresh.name = "s3".into();
    second.backends[0].servers[0] = fresh;
    second.backends[0]
        .servers
        .push(Server { check: Some(quick), ..Server::new(4, "s4", ServerAddress::Socket(s1)) });
    running.go_over(second.clone(), vec![]).unwrap();
    let newest = running.newest();
    assert_eq!(state(newest, 1), State::Down, "what was known stays known");
    assert!(until(|| state(newest, 0) == State::Down), "the new one is checked");
    assert!((0..4).all(|_| connect(to).1 == "s1"));
    // It is watched still, where it stands now: when somebody listens it comes up.
    let Ok(_listener) = TcpListener::bind(dead) else { return };
    assert!(until(|| state(newest, 1) == State::Up), "its checks went on");
    for turn in 0..50 {
        second.backends[0].retries = turn % 3;
        running.go_over(second.clone(), vec![]).unwrap();
    }
    let newest = running.newest();
    drop(_listener);
    assert!(until(|| state(newest, 1) == State::Down), "after a storm, too");
}

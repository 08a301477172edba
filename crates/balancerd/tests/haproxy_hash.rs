//! `balance hash` and `hash-type`: the same clients go to the same servers as with the installed
//! HAProxy, and `hash-balance-factor` bounds what a server gets.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

mod original;

const PATIENCE: Duration = Duration::from_secs(20);

/// Expression, method, function and modifier.
const CASES: &[(&str, &str)] = &[
    ("hash src", "map-based sdbm"),
    ("hash src", "map-based djb2 avalanche"),
    ("hash src", "consistent"),
    ("hash src,ipmask(28)", "consistent wt6"),
    ("hash src", "consistent crc32 avalanche"),
    ("source", "consistent"),
    ("source", "map-based sdbm avalanche"),
];

/// A server that says one letter and keeps the connection.
fn server(letter: u8) -> u16 {
    server_at("127.0.0.1", letter).port()
}

fn server_at(ip: &str, letter: u8) -> SocketAddr {
    let ip: std::net::IpAddr = ip.parse().expect("an address");
    let listener = TcpListener::bind((ip, 0)).expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for mut client in listener.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut client, &[letter]);
            kept.push(client);
        }
    });
    address
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(original: bool, directory: &Path, text: &str, ports: &[u16]) -> Running {
    let file = directory.join(if original { "theirs.cfg" } else { "ours.cfg" });
    std::fs::write(&file, text).expect("written");
    let ours = Path::new(env!("CARGO_BIN_EXE_balancerd"));
    let program = if original { original::path().expect("there is one") } else { ours };
    let mut command = Command::new(program);
    command.arg0("haproxy").args(["-db", "-f"]).arg(&file);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Running(command.spawn().expect("it runs"));
    let begun = Instant::now();
    for port in ports {
        while TcpStream::connect(("127.0.0.1", *port)).is_err() {
            assert!(running.0.try_wait().expect("ours").is_none(), "it ended: {text}");
            assert!(begun.elapsed() < PATIENCE, "it does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    running
}

fn free(count: usize) -> Vec<u16> {
    let held: Vec<_> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    held.iter().map(|one| one.local_addr().expect("bound").port()).collect()
}

/// Connects from an address; who answers, and the connection.
fn ask(port: u16, from: [u8; 4]) -> (char, TcpStream) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((from, 0)).into()).expect("loopback");
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("it listens");
    let mut client = TcpStream::from(socket);
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut letter = [0];
    client.read_exact(&mut letter).expect("a letter");
    (char::from(letter[0]), client)
}

const HEAD: &str =
    "defaults\n mode tcp\n timeout client 20s\n timeout server 20s\n timeout connect 5s\n";

#[test]
fn the_same_clients_go_to_the_same_servers_as_with_haproxy() {
    if original::original().is_none() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let servers = [server(b'a'), server(b'b'), server(b'c')];
    let [theirs, ours] = [true, false].map(|original| {
        let ports = free(CASES.len());
        let mut text = HEAD.to_owned();
        for (at, ((balance, kind), port)) in CASES.iter().zip(&ports).enumerate() {
            text += &format!(
                "listen l{at}\n bind 127.0.0.1:{port}\n balance {balance}\n hash-type {kind}\n"
            );
            for (server, weight) in servers.iter().zip([3, 2, 1]) {
                text += &format!(" server s{weight} 127.0.0.1:{server} weight {weight}\n");
            }
        }
        let _running = start(original, directory.path(), &text, &ports);
        let of_case = |port: &u16| -> String {
            (1..=30_u8).map(|n| ask(*port, [127, 0, n % 5, n]).0).collect()
        };
        ports.iter().map(of_case).collect::<Vec<_>>()
    });
    assert_eq!(ours, theirs);
    let different: std::collections::BTreeSet<&String> = ours.iter().collect();
    assert!(different.len() >= 5, "the cases hardly differ: {ours:?}");
}

/// `hash-preserve-affinity` and the parameters of all servers.
const SINCE_3_2: &[(&str, &str)] = &[
    ("always", "hash-key id"),
    ("always", "hash-key addr"),
    ("always", "hash-key addr-port"),
    ("maxconn", "maxconn 2"),
];

#[test]
fn servers_are_found_by_their_address_and_full_ones_passed_over_as_with_haproxy() {
    let Some(original) = original::original() else { return };
    if !original.since(3, 2) {
        println!("SKIPPED: HAProxy has hash-key and hash-preserve-affinity since 3.2");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let mut servers = vec![
        server_at("127.0.0.1", b'a'),
        server_at("127.0.0.2", b'b'),
        server_at("127.3.0.1", b'c'),
    ];
    match TcpListener::bind("[::1]:0") {
        Ok(_) => servers.push(server_at("::1", b'd')),
        Err(_) => println!("SKIPPED: servers over IPv6: there is none here"),
    }
    let [theirs, ours] = [true, false].map(|original| {
        let ports = free(SINCE_3_2.len());
        let mut text = HEAD.to_owned();
        for (at, ((affinity, params), port)) in SINCE_3_2.iter().zip(&ports).enumerate() {
            text += &format!(
                "listen l{at}\n bind 127.0.0.1:{port}\n balance source\n hash-type consistent\n hash-preserve-affinity {affinity}\n"
            );
            for (at, server) in servers.iter().enumerate() {
                text += &format!(" server s{at} {server} {params}\n");
            }
        }
        // Who asks whether it listens has a slot, too: servers keep all connections.
        let _running = start(original, directory.path(), &text, &ports);
        let mut held = Vec::new();
        let mut of_case = |(port, (affinity, _)): (&u16, &(&str, &str))| -> String {
            // As many as find room without waiting.
            let count = if *affinity == "maxconn" { 4 } else { 60 };
            let asked = (1..=count).map(|n| {
                let (letter, stream) = ask(*port, [127, 0, n % 5, n]);
                held.push(stream);
                if *affinity != "maxconn" {
                    held.clear();
                }
                letter
            });
            asked.collect()
        };
        ports.iter().zip(SINCE_3_2).map(&mut of_case).collect::<Vec<_>>()
    });
    assert_eq!(ours, theirs);
    let different: std::collections::BTreeSet<&String> = ours.iter().take(3).collect();
    assert_eq!(different.len(), 3, "the keys hardly differ: {ours:?}");
}

#[test]
fn a_popular_client_does_not_fill_one_server_where_a_factor_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let servers = [server(b'a'), server(b'b'), server(b'c')];
    let ports = free(1);
    let mut text = HEAD.to_owned();
    text += &format!(
        "listen l\n bind 127.0.0.1:{}\n balance source\n hash-type consistent\n hash-balance-factor 150\n",
        ports[0]
    );
    for (at, server) in servers.iter().enumerate() {
        text += &format!(" server s{at} 127.0.0.1:{server}\n");
    }
    let _running = start(false, directory.path(), &text, &ports);
    let held: Vec<_> = (0..30).map(|_| ask(ports[0], [127, 0, 0, 1])).collect();
    for letter in ['a', 'b', 'c'] {
        let count = held.iter().filter(|(one, _)| *one == letter).count();
        assert!(count <= 16, "{letter} has {count} of 30");
    }
}

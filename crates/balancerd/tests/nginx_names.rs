//! Servers of an upstream that come and go with the answers of a name server.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The longest anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Addresses of loopback that answers name; `None` is that there is no such name.
type Zone = Arc<Mutex<Option<Vec<u8>>>>;

/// A name server with one name of type A, and SRV records of everything else.
fn name_server(port: u16) -> (SocketAddr, Zone) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = socket.local_addr().expect("bound");
    let zone = Zone::default();
    let known = Arc::clone(&zone);
    std::thread::spawn(move || {
        let mut bytes = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            let question = &bytes[..length];
            let srv = question[length - 3] == 33;
            let mut answer = question.to_vec();
            let here = known.lock().expect("whole").clone();
            (answer[2], answer[3]) = (0x81, if here.is_none() { 0x83 } else { 0x80 });
            let records = here.unwrap_or_default();
            answer[7] = u8::try_from(records.len()).expect("few");
            for last in records {
                // A time of one second, so that it is asked for again soon.
                answer.extend_from_slice(&[0xc0, 12, 0, question[length - 3], 0, 1, 0, 0, 0, 1]);
                if srv {
                    // Priority, weight, port, and a host of which the last letter is the address.
                    let [high, low] = port.to_be_bytes();
                    answer.extend_from_slice(&[0, 9, 0, last, 0, 1, high, low, 1, b'a' + last, 0]);
                } else {
                    let host = question[13].wrapping_sub(b'a');
                    let last = if question[12] == 1 { host } else { last };
                    answer.extend_from_slice(&[0, 4, 127, 0, 0, last]);
                }
            }
            if !srv && question[12] == 1 {
                // One host has one address.
                answer[7] = 1;
                answer.truncate(length + 16);
            }
            let _ = socket.send_to(&answer, from);
        }
    });
    (address, zone)
}

/// Servers on one port of several loopback addresses; each says which it is.
fn servers() -> u16 {
    let first = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = first.local_addr().expect("bound").port();
    let others =
        (2..=3).map(|last| TcpListener::bind(("127.0.0.".to_owned() + &last.to_string(), port)));
    let all = std::iter::once(first).chain(others.map(|one| one.expect("the same port")));
    for (at, listener) in all.enumerate() {
        std::thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let _ = client.write_all((at + 1).to_string().as_bytes());
            }
        });
    }
    port
}

struct Running {
    child: Child,
    directory: tempfile::TempDir,
    port: u16,
}

impl Running {
    fn start(resolver: SocketAddr, upstream: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("bound").port();
        drop(free);
        let directory = tempfile::tempdir().expect("a directory");
        let text = format!(
            "daemon off; pid n.pid; error_log error.log notice; events {{}}
             stream {{ resolver {resolver} ipv6=off; resolver_timeout 1s;
             upstream u {{ zone u 64k; {upstream} }}
             server {{ listen 127.0.0.1:{port}; proxy_pass u; proxy_connect_timeout 5s; }} }}"
        );
        std::fs::write(directory.path().join("n.conf"), text).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_balancerd"));
        command.arg0("nginx").args(["-c", "n.conf", "-p"]).arg(directory.path());
        let child = command.stdin(Stdio::null()).spawn().expect("it starts");
        until("the start", || std::fs::read(directory.path().join("n.pid")).ok());
        Self { child, directory, port }
    }

    /// Who answered; nobody if the connection was closed.
    fn ask(&self) -> String {
        let mut client = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        client.set_read_timeout(Some(PATIENCE)).expect("set");
        let mut answer = String::new();
        let _ = client.read_to_string(&mut answer);
        answer
    }

    /// Everybody who answers several times in a row.
    fn all(&self) -> String {
        let mut seen: Vec<String> = (0..8).map(|_| self.ask()).collect();
        seen.sort_unstable();
        seen.dedup();
        seen.concat()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A master that is killed outright leaves its workers behind.
        let id = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        let _ = nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

#[test]
fn servers_come_and_go_with_the_answers_of_a_name_server() {
    let port = servers();
    let (resolver, zone) = name_server(port);
    *zone.lock().expect("whole") = Some(vec![1, 2]);
    let nginx = Running::start(resolver, &format!("server some.test:{port} resolve;"));
    // Whoever comes before the first answer waits for it.
    assert_eq!(nginx.all(), "12");
    *zone.lock().expect("whole") = Some(vec![2, 3]);
    until("another answer", || (nginx.all() == "23").then_some(()));
    *zone.lock().expect("whole") = None;
    until("no such name", || nginx.all().is_empty().then_some(()));
    // Lines are written by a thread of their own.
    until("the log says why", || {
        let log = std::fs::read_to_string(nginx.directory.path().join("error.log")).ok()?;
        let all = [
            "[error]",
            "some.test could not be resolved (3: Host not found)",
            "no live upstreams while connecting to upstream",
        ];
        all.iter().all(|part| log.contains(part)).then_some(())
    });
    *zone.lock().expect("whole") = Some(vec![1]);
    until("the name is back", || (nginx.all() == "1").then_some(()));
}

#[test]
fn the_best_places_of_a_service_are_servers_and_the_others_backups() {
    let port = servers();
    let (resolver, zone) = name_server(port);
    // The last number is the priority of a record, and its host.
    *zone.lock().expect("whole") = Some(vec![2, 3]);
    let nginx = Running::start(resolver, "server some.test service=http resolve;");
    assert_eq!(nginx.all(), "2");
    *zone.lock().expect("whole") = Some(vec![3]);
    until("the best is gone", || (nginx.all() == "3").then_some(()));
}

#[test]
fn reloads_lose_nobody_while_names_are_followed_and_servers_checked() {
    let port = servers();
    let (resolver, zone) = name_server(port);
    *zone.lock().expect("whole") = Some(vec![1, 2, 3]);
    let upstream = format!("server some.test:{port} resolve;");
    let nginx = Running::start(resolver, &upstream);
    // With a check of the servers as well.
    let file = nginx.directory.path().join("n.conf");
    let text = std::fs::read_to_string(&file).expect("it is there");
    let text = text.replace("proxy_pass u;", "proxy_pass u; health_check interval=50ms;");
    std::fs::write(&file, &text).expect("written");
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let to = nginx.port;
    let load = std::thread::spawn(move || {
        let mut served = (0, Vec::new());
        while !told.load(std::sync::atomic::Ordering::Relaxed) {
            let asked = TcpStream::connect(("127.0.0.1", to)).and_then(|mut client| {
                client.set_read_timeout(Some(PATIENCE))?;
                let mut answer = String::new();
                client.read_to_string(&mut answer).map(|_| answer)
            });
            match asked {
                Ok(answer) if ["1", "2", "3"].contains(&answer.as_str()) => served.0 += 1,
                other => served.1.push(format!("{other:?}")),
            }
        }
        served
    });
    let id = nix::unistd::Pid::from_raw(nginx.child.id().cast_signed());
    let said = |what: &str| {
        let log = std::fs::read_to_string(nginx.directory.path().join("error.log"));
        log.unwrap_or_default().matches(what).count()
    };
    for turn in 0..10 {
        let before = said("hanged in place");
        let next = text.replace("=50ms", &format!("={}ms", 50 + turn));
        // A server of the same upstream that nobody has to ask for comes and goes.
        let next = match turn % 2 {
            0 => next.replace("resolve;", &format!("resolve; server 127.0.0.1:{port} backup;")),
            _ => next,
        };
        std::fs::write(&file, next).expect("written");
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGHUP).expect("ours");
        until("it has reloaded", || (said("hanged in place") > before).then_some(()));
    }
    assert_eq!(said("start worker process "), 1, "no other process");
    // The load takes turns as well.
    until("all of them", || (nginx.all() == "123").then_some(()));
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let (served, wrong) = load.join().expect("no panic");
    assert_eq!(wrong, Vec::<String>::new(), "{served} were served");
    assert!(served > 0);
}

//! Servers that follow HAProxy's `resolvers`, ours and the original's by the same story.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

mod original;

/// The longest anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a name has: last bytes of 127.0.0.x, and hosts of a service with port and weight. Names that
/// are not there do not exist.
#[derive(Clone, Default)]
struct Name {
    addresses: Vec<u8>,
    places: Vec<(u16, u16, &'static str)>,
    silent: bool,
}

type Zone = Arc<Mutex<HashMap<&'static str, Name>>>;

fn hosts(addresses: &[u8]) -> Name {
    Name { addresses: addresses.to_vec(), ..Name::default() }
}

/// A name server that knows a zone.
fn name_server() -> (SocketAddr, Zone) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = socket.local_addr().expect("bound");
    let zone = Zone::default();
    let known = Arc::clone(&zone);
    std::thread::spawn(move || {
        let mut bytes = [0; 1024];
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            if let Some(answer) = answer(&bytes[..length], &known.lock().expect("whole")) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    (address, zone)
}

fn answer(question: &[u8], zone: &HashMap<&'static str, Name>) -> Option<Vec<u8>> {
    let (mut at, mut labels) = (12, Vec::new());
    while question[at] != 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..end]).to_lowercase());
        at = end;
    }
    let kind = question[at + 2];
    let mut out = question[..at + 5].to_vec();
    // Whatever else the question holds (EDNS) is not repeated.
    out[6..12].fill(0);
    let name = zone.get(labels.join(".").as_str());
    (out[2], out[3]) = (0x81, if name.is_none() { 0x83 } else { 0x80 });
    let Some(name) = name else { return Some(out) };
    if name.silent {
        return None;
    }
    let mut record = |data: &[u8]| {
        out[7] += 1;
        out.extend_from_slice(&[0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 1, 0]);
        out.push(u8::try_from(data.len()).expect("short"));
        out.extend_from_slice(data);
    };
    match kind {
        1 => name.addresses.iter().for_each(|last| record(&[127, 0, 0, *last])),
        33 => {
            for (port, weight, host) in &name.places {
                let mut data = vec![0, 1];
                data.extend_from_slice(&weight.to_be_bytes());
                data.extend_from_slice(&port.to_be_bytes());
                for label in host.split('.') {
                    data.push(u8::try_from(label.len()).expect("short"));
                    data.extend_from_slice(label.as_bytes());
                }
                data.push(0);
                record(&data);
            }
        }
        _ => {}
    }
    Some(out)
}

struct Subject {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
    _directory: tempfile::TempDir,
}

impl Subject {
    fn start(original: bool, name_server: SocketAddr) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (socket, log) = (directory.path().join("s"), directory.path().join("log"));
        let text = format!(
            "global
 log stdout format raw local0
 stats socket {} level admin
defaults
 mode tcp
 log global
 timeout connect 1s
 timeout client 5s
 timeout server 5s
resolvers r
 nameserver ns1 {name_server}
 resolve_retries 2
 timeout resolve 200ms
 timeout retry 150ms
 hold nx 400ms
 hold timeout 400ms
backend b
 server s1 one.test:8000 resolvers r init-addr none resolve-prefer ipv4
 server s2 one.test:8000 resolvers r init-addr none resolve-prefer ipv4
backend t
 server-template w 3 many.test:8000 resolvers r init-addr none resolve-prefer ipv4
backend v
 server-template x 2 _svc._tcp.test resolvers r init-addr none resolve-prefer ipv4
frontend f
 bind abns@{}
 default_backend b
",
            socket.display(),
            socket.display(),
        );
        let path = directory.path().join("h.cfg");
        std::fs::write(&path, text).expect("writable");
        let ours = Path::new(env!("CARGO_BIN_EXE_balancerd"));
        let program = if original { original::path().expect("there is one") } else { ours };
        let out = std::fs::File::create(&log).expect("writable");
        let mut command = Command::new(program);
        command.arg0("haproxy").args(["-db", "-f"]).arg(&path);
        let child = command.stdout(out).stderr(Stdio::null()).spawn().expect("it runs");
        let subject = Self { child, socket, log, _directory: directory };
        until("it listens", || UnixStream::connect(&subject.socket).is_ok().then_some(()));
        subject
    }

    fn ask(&self, command: &str) -> String {
        let mut stream = UnixStream::connect(&self.socket).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("settable");
        stream.write_all(format!("{command}\n").as_bytes()).expect("open");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        answer
    }

    /// Name, address, whether it runs, host, port and weight of each server of a backend.
    fn servers(&self, backend: &str) -> Vec<String> {
        let state = self.ask(&format!("show servers state {backend}"));
        let line = |line: &str| {
            let all: Vec<&str> = line.split(' ').collect();
            let wanted = [3, 4, 5, 17, 18, 7];
            (all.len() > 18 && !line.starts_with('#')).then(|| wanted.map(|at| all[at]).join(" "))
        };
        state.lines().filter_map(line).collect()
    }

    /// Waits until the servers of a backend are these.
    fn becomes(&self, backend: &str, expected: &[&str]) {
        let begun = Instant::now();
        loop {
            let now = self.servers(backend);
            if now == expected {
                return;
            }
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "{now:#?} and not {expected:#?}\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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

/// Addresses without the order in which an answer has them: HAProxy's is its own.
fn story(original: bool) -> String {
    let (address, zone) = name_server();
    let set = |names: &[(&'static str, Name)]| {
        *zone.lock().expect("whole") = names.iter().cloned().collect();
    };
    let service = |hosts: &[&'static str]| Name {
        places: hosts.iter().map(|host| (8000, 300, *host)).collect(),
        ..Name::default()
    };
    let (a, c) = (("a.test", hosts(&[5])), ("c.test", hosts(&[6])));
    let first = [
        ("one.test", hosts(&[1])),
        ("many.test", hosts(&[2])),
        ("_svc._tcp.test", service(&["a.test"])),
        a.clone(),
        c.clone(),
    ];
    set(&first);
    let subject = Subject::start(original, address);
    subject.becomes("b", &["s1 127.0.0.1 2 one.test 8000 1", "s2 - 0 one.test 8000 1"]);
    subject.becomes(
        "t",
        &["w1 127.0.0.2 2 many.test 8000 1", "w2 - 0 many.test 8000 1", "w3 - 0 many.test 8000 1"],
    );
    subject.becomes("v", &["x1 127.0.0.5 2 a.test 8000 2", "x2 - 0 - 0 1"]);

    // The one that is still there keeps its server; the new one fills a free one.
    set(&[
        ("one.test", hosts(&[1, 3])),
        ("many.test", hosts(&[4])),
        ("_svc._tcp.test", service(&["c.test"])),
        a,
        c,
    ]);
    subject.becomes("b", &["s1 127.0.0.1 2 one.test 8000 1", "s2 127.0.0.3 2 one.test 8000 1"]);
    subject.becomes(
        "t",
        &["w1 127.0.0.4 2 many.test 8000 1", "w2 - 0 many.test 8000 1", "w3 - 0 many.test 8000 1"],
    );
    let service_now = until("the other host is there", || {
        let now = subject.servers("v");
        now.iter().any(|line| line.contains(" 127.0.0.6 2 c.test 8000 2")).then_some(now)
    });
    assert!(!service_now.iter().any(|line| line.contains("a.test")), "{service_now:?}");

    // No such name, and silence: the addresses go once what is held is over.
    let silent = Name { silent: true, ..Name::default() };
    set(&[("many.test", silent)]);
    subject.becomes("b", &["s1 - 0 one.test 8000 1", "s2 - 0 one.test 8000 1"]);
    until("silence counts", || subject.servers("t")[0].starts_with("w1 - 0").then_some(()));

    set(&first);
    subject.becomes("b", &["s1 127.0.0.1 2 one.test 8000 1", "s2 - 0 one.test 8000 1"]);
    until("they are back", || subject.servers("t")[0].starts_with("w1 127.0.0.2").then_some(()));
    assert!(subject.ask("show resolvers r").starts_with("Resolvers section r\n nameserver ns1:\n"));
    let missing = subject.ask("show resolvers nope");
    let status = subject.ask("show stat b 4 -1");
    assert!(status.contains("MAINT (resolution)"), "{status}");
    let log = std::fs::read_to_string(&subject.log).expect("readable");
    let of_b = log.lines().filter(|line| line.contains("b/s1") || line.contains("backend b"));
    format!("{}\n{missing}", of_b.collect::<Vec<_>>().join("\n"))
}

#[test]
fn servers_follow_their_names_and_say_so_as_haproxy_does() {
    let expected = "\
b/s1: IP changed from '(none)' to '127.0.0.1' by 'r/ns1'.
Server b/s1 ('one.test') is UP/READY (resolves again).
Server b/s1 administratively READY thanks to valid DNS answer.
Server b/s1 is going DOWN for maintenance (DNS NX status). 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.
backend b has no server available!
b/s1: IP changed from '(none)' to '127.0.0.1' by 'r/ns1'.
Server b/s1 ('one.test') is UP/READY (resolves again).
Server b/s1 administratively READY thanks to valid DNS answer.
Can't find that resolvers section\n\n";
    assert_eq!(story(false).trim_end(), expected.trim_end());
    let Some(original) = original::original() else { return };
    let theirs = story(true);
    if original.since(3, 2) {
        assert_eq!(theirs.trim_end(), expected.trim_end());
    } else {
        let first = "b/s1 changed its IP from (none) to 127.0.0.1 by r/ns1.";
        assert_eq!(theirs.lines().next(), Some(first));
        assert!(theirs.contains("(DNS NX status)"), "{theirs}");
    }
}

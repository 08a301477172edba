//! `do-resolve`: a session waits for the address of a name, and goes there; beside HAProxy.

use std::io::Read as _;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

mod original;

/// The longest anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A name server: `good.test` and `once.test` are 127.0.0.7, `six.test` is ::1, `silent.test` gets no answer, and no
/// other name is there.
fn name_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = socket.local_addr().expect("bound");
    std::thread::spawn(move || {
        let mut bytes = [0; 1024];
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            if let Some(answer) = answer(&bytes[..length]) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    address
}

fn answer(question: &[u8]) -> Option<Vec<u8>> {
    let (mut at, mut name) = (12, String::new());
    while question[at] != 0 {
        let end = at + 1 + usize::from(question[at]);
        name = format!("{name}{}.", String::from_utf8_lossy(&question[at + 1..end]).to_lowercase());
        at = end;
    }
    let kind = question[at + 2];
    let mut out = question[..at + 5].to_vec();
    out[6..12].fill(0);
    (out[2], out[3]) = (0x81, 0x80);
    let data: &[u8] = match (name.as_str(), kind) {
        ("silent.test.", _) => return None,
        ("good.test." | "once.test.", 1) => &[127, 0, 0, 7],
        ("six.test.", 28) => &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        ("good.test." | "six.test.", _) => return Some(out),
        _ => {
            out[3] = 0x83;
            return Some(out);
        }
    };
    out[7] = 1;
    out.extend_from_slice(&[0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 1, 0]);
    out.push(u8::try_from(data.len()).expect("short"));
    out.extend_from_slice(data);
    Some(out)
}

struct Subject(Child);

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
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

fn program(original: bool) -> PathBuf {
    match original {
        true => original::path().expect("there is one").to_owned(),
        false => env!("CARGO_BIN_EXE_balancerd").into(),
    }
}

fn command(original: bool, file: &Path) -> Command {
    let mut command = Command::new(program(original));
    command.arg0("haproxy").arg("-f").arg(file);
    command
}

/// What is asked: the inspect-delay, the arguments behind the variable, the name.
const CASES: &[(&str, &str, &str)] = &[
    ("5s", "r,ipv4", "str(good.test)"),
    ("5s", "r", "str(Good.Test.)"),
    ("5s", "r,ipv4", "str(six.test)"),
    ("5s", "r,ipv6", "str(six.test)"),
    ("5s", "r", "str(nobody.test)"),
    ("5s", "r", "str(silent.test)"),
    ("100ms", "slow", "str(silent.test)"),
    ("0", "r,ipv4", "str(once.test)"),
    ("5s", "r,ipv4", "var(txn.nothing)"),
];

/// What became of each: the address, where the session went, how often the rule before it ran and
/// the one behind it, and how it ended.
fn lines(original: bool) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    let (name_server, log) = (name_server(), at("log"));
    let mut text = format!(
        "global
 log {} len 1024 format raw local0
 nbthread 1
resolvers r
 nameserver a {name_server}
 resolve_retries 1
 timeout resolve 200ms
 timeout retry 300ms
resolvers slow
 nameserver a {name_server}
 timeout retry 9s
defaults
 mode tcp
 log global
 timeout client 9s
 timeout server 9s
 timeout connect 9s
 retries 0
backend count
 stick-table type string size 10 store gpc0
",
        log.display()
    );
    for (number, (delay, arguments, expr)) in CASES.iter().enumerate() {
        let delay = match *delay {
            "0" => String::new(),
            delay => format!(" tcp-request inspect-delay {delay}\n"),
        };
        text += &format!(
            "listen l{number}
 bind unix@{}
{delay} log-format \"%[var(txn.ip)] %[dst] %[sc0_get_gpc0] %[var(sess.behind)] %ts\"
 tcp-request content track-sc0 str({number}) table count
 tcp-request content sc-inc-gpc0(0)
 tcp-request content do-resolve(txn.ip,{arguments}) {expr}
 tcp-request content set-var(sess.behind) int(1)
 tcp-request content set-dst var(txn.ip)
 server s 0.0.0.0:1
",
            at(&format!("l{number}")).display()
        );
    }
    let path = at("h.cfg");
    std::fs::write(&path, text).expect("writable");
    let lines = UnixDatagram::bind(&log).expect("a socket");
    lines.set_read_timeout(Some(PATIENCE)).expect("settable");
    let mut command = command(original, &path);
    command.arg("-db").stdout(Stdio::null()).stderr(Stdio::null());
    let _subject = Subject(command.spawn().expect("it runs"));
    let ask = |number: usize| {
        let place = at(&format!("l{number}"));
        let mut client = until("it listens", || UnixStream::connect(&place).ok());
        client.set_read_timeout(Some(PATIENCE)).expect("settable");
        let _ = client.read(&mut [0; 8]);
        let listener = format!("{number} ");
        // Lines about its start come first.
        until("a line", || {
            let mut bytes = [0; 1024];
            let length = lines.recv(&mut bytes).expect("a line");
            let line = String::from_utf8_lossy(&bytes[..length]).trim().to_owned();
            line.ends_with(" SC").then(|| listener.clone() + &line)
        })
    };
    (0..CASES.len()).map(ask).collect()
}

#[test]
fn a_session_waits_for_the_address_of_a_name_and_goes_there() {
    let expected = [
        "0 127.0.0.7 127.0.0.7 1 1 SC",
        "1 127.0.0.7 127.0.0.7 1 1 SC",
        "2 ::1 ::1 1 1 SC",
        "3 ::1 ::1 1 1 SC",
        "4 - - 1 1 SC",
        "5 - - 1 1 SC",
        "6 - - 1 1 SC",
        "7 - - 1 1 SC",
        "8 - - 1 1 SC",
    ];
    assert_eq!(lines(false), expected);
    if original::original().is_some() {
        assert_eq!(lines(true), expected);
    }
}

#[test]
fn a_lookup_that_is_written_wrong_is_refused_in_the_same_words() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("h.cfg");
    let said = |original: bool, action: &str| {
        let text = format!(
            "resolvers r\n nameserver a 127.0.0.1:53\ndefaults\n mode tcp\n timeout client 1s\n \
             timeout server 1s\n timeout connect 1s\nlisten l\n bind unix@{}/l\n \
             tcp-request inspect-delay 1s\n tcp-request content {action}\n server s 127.0.0.1:1\n",
            directory.path().display()
        );
        std::fs::write(&path, text).expect("writable");
        let Output { stderr, status, .. } =
            command(original, &path).arg("-c").output().expect("it runs");
        let said = String::from_utf8_lossy(&stderr).into_owned();
        let first = said.lines().find(|line| line.starts_with("[ALERT]")).unwrap_or_default();
        let words = first.split_once(" : ").map_or("", |(_, words)| words);
        let words = words.trim_start_matches("config : ").to_owned();
        (status.success(), words)
    };
    let usage = |word: &str| {
        format!(
            "parsing [{}:11] : Can't parse '{word}'. Expects 'do-resolve(<varname>,<resolvers>\
             [,<options>]) <expr>'. Available options are 'ipv4' and 'ipv6'",
            path.display()
        )
    };
    let missing = |name: &str| {
        format!("Proxy 'l': Can't find resolvers section '{name}' for do-resolve action.")
    };
    let rows = [
        ("do-resolve", usage("do-resolve")),
        ("do-resolve(txn.ip)", usage("do-resolve(txn.ip)")),
        ("do-resolve(txn.ip,r,ipv7) src", usage("do-resolve(txn.ip,r,ipv7)")),
        ("do-resolve(txn.ip,r,ipv4,x) src", usage("do-resolve(txn.ip,r,ipv4,x)")),
        ("do-resolve(txn.ip,r,ipv4", usage("do-resolve(txn.ip,r,ipv4")),
        ("do-resolve(txn.ip,r)", usage("")),
        ("do-resolve(txn.ip,r) nothing", usage("nothing")),
        ("do-resolve(txn.ip,nope) src", missing("nope")),
        ("do-resolve(txn.ip,,ipv4) src", missing("")),
        ("do-resolve(bad.ip,r) src", String::new()),
        ("do-resolve(,r) src", String::new()),
    ];
    let original = original::original();
    for (action, expected) in rows {
        let (valid, ours) = said(false, action);
        assert_eq!((valid, &ours), (expected.is_empty(), &expected), "{action}");
        let Some(original) = original else { continue };
        let (_, theirs) = said(true, action);
        // Since 3.2 it also says what is wrong with the expression.
        let reason = theirs.find("': ").filter(|_| original.since(3, 2));
        let theirs = match reason.zip(theirs.find(". Expects")) {
            Some((from, to)) => format!("{}{}", &theirs[..=from], &theirs[to..]),
            None => theirs,
        };
        assert_eq!(theirs, expected, "{action}, of the original");
    }
}

//! What clients, servers and log servers do wrong, and what becomes of it: ours beside HAProxy where
//! there is one.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

mod original;

/// Nothing here takes longer; a test that waits so long has failed.
const LIMIT: Duration = Duration::from_secs(20);
const DEFAULTS: &str = "defaults\n mode tcp\n timeout client 9s\n timeout server 9s\n \
                        timeout connect 9s\n";

/// A program with sockets it inherits, `fd@${f0}` and so on, and an admin socket.
struct Running {
    child: Child,
    fronts: Vec<TcpListener>,
    directory: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = kill(self.pid(), Signal::SIGCONT);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts ours or the original with a file's text, in which `DIR` is its directory.
    fn start(original: bool, fronts: usize, text: &str, files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let place = directory.path().display().to_string();
        for (name, content) in files {
            std::fs::write(directory.path().join(name), content).expect("written");
        }
        let file = directory.path().join("h.cfg");
        let text = format!("global\n stats socket DIR/s level admin\n nbthread 2\n{text}");
        std::fs::write(&file, text.replace("DIR", &place)).expect("written");
        let ours = Path::new(env!("CARGO_BIN_EXE_balancerd"));
        let program = if original { original::path().expect("there is one") } else { ours };
        let mut command = Command::new(program);
        command.arg0("haproxy").args(["-db", "-f"]).arg(file);
        let out = std::fs::File::create(directory.path().join("log")).expect("written");
        command.stdin(Stdio::null()).stdout(out).stderr(Stdio::null());
        let fronts: Vec<_> = (0..fronts).map(|_| listen()).collect();
        for (at, front) in fronts.iter().enumerate() {
            fcntl(front, FcntlArg::F_SETFD(FdFlag::empty())).expect("open");
            command.env(format!("f{at}"), front.as_raw_fd().to_string());
        }
        let child = command.spawn().expect("it runs");
        for front in &fronts {
            fcntl(front, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).expect("open");
        }
        let running = Self { child, fronts, directory };
        until("it answers", || UnixStream::connect(running.path("s")).is_ok());
        running.ask("show version");
        running
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn ask(&self, line: &str) -> String {
        let mut socket = UnixStream::connect(self.path("s")).expect("it listens");
        socket.set_read_timeout(Some(LIMIT)).expect("a time");
        socket.write_all(format!("{line}\n").as_bytes()).expect("it reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("text");
        answer
    }

    fn address(&self, front: usize) -> SocketAddr {
        self.fronts[front].local_addr().expect("bound")
    }

    fn client(&self, front: usize) -> TcpStream {
        let client = TcpStream::connect(self.address(front)).expect("it listens");
        client.set_read_timeout(Some(LIMIT)).expect("a time");
        client.set_nodelay(true).expect("a socket");
        client
    }

    /// What a client is told that says so much and no more: one letter, or nothing.
    fn told(&self, front: usize, bytes: &[u8]) -> Option<char> {
        let mut client = self.client(front);
        let _ = client.write_all(bytes);
        let _ = client.shutdown(Shutdown::Write);
        letter(&mut client)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// How many descriptors it has open.
    fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(path).map_or(0, Iterator::count)
    }
}

fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("loopback")
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < LIMIT, "waited for ever: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn letter(client: &mut TcpStream) -> Option<char> {
    let mut byte = [0];
    matches!(client.read(&mut byte), Ok(1)).then_some(char::from(byte[0]))
}

/// A server that says its letter and waits for the client to end.
fn server(letter: u8) -> SocketAddr {
    let listener = listen();
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let _ = client.write_all(&[letter]);
                let _ = client.read_to_end(&mut Vec::new());
            });
        }
    });
    address
}

/// Ours, and the original's where there is one.
fn programs() -> impl Iterator<Item = bool> {
    [Some(false), original::original().map(|_| true)].into_iter().flatten()
}

/// The same of both, or only ours.
fn both<T: PartialEq + std::fmt::Debug>(act: impl Fn(bool) -> T) -> T {
    let mut all: Vec<T> = programs().map(act).collect();
    let ours = all.remove(0);
    for theirs in all {
        assert_eq!(ours, theirs);
    }
    ours
}

fn header_cases() -> Vec<Vec<u8>> {
    let v1 = b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 2000\r\n".to_vec();
    let v2 = |version: u8, family: u8, length: u16, rest: &[u8]| {
        let head = [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[version, family]].concat();
        [&head[..], &length.to_be_bytes(), rest].concat()
    };
    let addresses = [192, 0, 2, 1, 192, 0, 2, 2, 3, 232, 7, 208];
    let tlvs = |rest: &[u8]| {
        let body = [&addresses[..], rest].concat();
        v2(0x21, 0x11, u16::try_from(body.len()).expect("short"), &body)
    };
    let good = v2(0x21, 0x11, 12, &addresses);
    let mut cases = Vec::new();
    for whole in [&v1, &good] {
        cases.extend((0..=whole.len()).map(|end| whole[..end].to_vec()));
    }
    // As long as may be, and longer.
    for length in [106, 107, 108, 300] {
        let mut line = b"PROXY UNKNOWN ".to_vec();
        line.resize(length - 2, b'x');
        cases.push([&line[..], b"\r\n"].concat());
    }
    for line in [
        "PROXY TCP9 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 2001:db8::1 192.0.2.2 1 2\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
        "PROXY TCP4 192.0.2.1\r\n",
        "PROXY\r\n",
        "PROXY \r\n",
        "PROXY UNKNOWN\r\n",
        "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 x 2\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "\r\n\r\n",
    ] {
        cases.push(line.into());
    }
    cases.extend([
        // Says more than follows, less than it needs, or what is no version, command or family.
        v2(0x21, 0x11, 65_535, &addresses),
        v2(0x21, 0x11, 11, &addresses),
        v2(0x21, 0x21, 12, &addresses),
        v2(0x31, 0x11, 12, &addresses),
        v2(0x11, 0x11, 12, &addresses),
        v2(0x22, 0x11, 12, &addresses),
        v2(0x2f, 0x11, 12, &addresses),
        v2(0x20, 0x00, 0, &[]),
        v2(0x21, 0x00, 0, &[]),
        v2(0x21, 0x00, 5, b"abcde"),
        v2(0x21, 0x12, 12, &addresses),
        // TLVs that go beyond the end, are cut, or have a checksum that is wrong.
        tlvs(&[1, 0, 5, b'a', b'b']),
        tlvs(&[1]),
        tlvs(&[1, 0]),
        tlvs(&[3, 0, 4, 1, 2, 3, 4]),
        tlvs(&[3, 0, 3, 1, 2, 3]),
        tlvs(&[4, 0, 0]),
        tlvs(&[0x20, 0, 5, 0, 0, 0, 0, 0]),
        tlvs(&[0xff, 0, 1, 0]),
    ]);
    cases
}

/// What the specification takes and HAProxy does not: words behind `UNKNOWN`, no family at all, and
/// that of datagrams.
fn is_stricter(case: &[u8]) -> bool {
    case.starts_with(b"PROXY UNKNOWN ") && case.len() <= 107
        || case.starts_with(b"\r\n\r\n\0\r\nQUIT\n\x21\x00\0\0")
        || case.starts_with(b"\r\n\r\n\0\r\nQUIT\n\x21\x12")
}

#[test]
fn headers_that_are_cut_too_long_or_lie_are_taken_or_refused_as_by_haproxy() {
    let cases = header_cases();
    let run = |original: bool| {
        let to = server(b's');
        let text = format!(
            "{DEFAULTS} timeout client 700ms\nlisten l\n bind \"fd@${{f0}}\" accept-proxy\n server s \
             {to}\n"
        );
        let running = Running::start(original, 1, &text, &[]);
        // All at once: who says too little waits until its time is over.
        let mut clients: Vec<_> = cases.iter().map(|case| (case, running.client(0))).collect();
        for (case, client) in &mut clients {
            let _ = client.write_all(case);
        }
        let told = |(case, client): &mut (&Vec<u8>, TcpStream)| {
            (case.escape_ascii().to_string(), letter(client))
        };
        let all: Vec<_> = clients.iter_mut().map(told).collect();
        assert_eq!(running.told(0, b"PROXY UNKNOWN\r\nx"), Some('s'), "who comes next is served");
        all
    };
    let ours = run(false);
    let good = ours.iter().filter(|(_, letter)| letter.is_some()).count();
    assert!((5..cases.len() / 2).contains(&good), "{good} of {}", cases.len());
    let Some(_) = original::original() else { return };
    for ((case, ours), theirs) in cases.iter().zip(ours).zip(run(true)) {
        if is_stricter(case) {
            assert_eq!((ours.1, theirs.1), (Some('s'), None), "{}", ours.0);
        } else {
            assert_eq!(ours, theirs);
        }
    }
}

/// A `ClientHello` that asks for a name.
fn hello(name: &str) -> Vec<u8> {
    let sized = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).expect("short").to_be_bytes();
        [&length[..], bytes].concat()
    };
    let name = sized(&[&[0_u8][..], &sized(name.as_bytes())].concat());
    let extensions = sized(&[&[0, 0][..], &sized(&name)].concat());
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body.extend(extensions);
    let message = [&[1, 0][..], &sized(&body)].concat();
    [&[22, 3, 1][..], &sized(&message)].concat()
}

/// Servers of a name and of everybody else, behind a front that reads so long.
fn by_name(original: bool, delay: &str) -> Running {
    let (a, b) = (server(b'a'), server(b'b'));
    let text = format!(
        "{DEFAULTS}frontend f\n bind \"fd@${{f0}}\"\n tcp-request inspect-delay {delay}\n \
         tcp-request content accept if {{ req.ssl_hello_type 1 }}\n use_backend a if {{ \
         req.ssl_sni -i a.test }}\n default_backend b\nbackend a\n server a {a}\nbackend b\n \
         server b {b}\n"
    );
    Running::start(original, 1, &text, &[])
}

#[test]
fn a_hello_that_is_cut_at_any_byte_leads_where_haproxys_leads() {
    let whole = hello("a.test");
    let letters = both(|original| {
        let running = by_name(original, "15s");
        let cut = (0..=whole.len()).map(|end| running.told(0, &whole[..end]));
        let letters: Vec<_> = cut.collect();
        // Byte by byte it is whole at last.
        let mut slow = running.client(0);
        for byte in &whole {
            slow.write_all(&[*byte]).expect("it is open");
        }
        assert_eq!(letter(&mut slow), Some('a'));
        letters
    });
    assert_eq!(letters[whole.len()], Some('a'));
    assert!(!letters[..whole.len()].contains(&Some('a')), "its name is not known: {letters:?}");
}

#[test]
fn who_says_half_a_hello_and_waits_is_served_when_the_inspect_delay_is_over() {
    let whole = hello("a.test");
    let letters = both(|original| {
        let running = by_name(original, "400ms");
        let mut all: Vec<_> =
            (0..whole.len()).step_by(5).map(|end| (end, running.client(0))).collect();
        for (end, client) in &mut all {
            client.write_all(&whole[..*end]).expect("it is open");
        }
        let mut quick = running.client(0);
        quick.write_all(&whole).expect("it is open");
        let started = Instant::now();
        assert_eq!(letter(&mut quick), Some('a'), "nobody waits for others");
        assert!(started.elapsed() < LIMIT / 2);
        all.iter_mut().map(|(_, client)| letter(client)).collect::<Vec<_>>()
    });
    assert!(letters.iter().all(|letter| *letter == Some('b')), "{letters:?}");
}

/// Bytes that mean nothing, the same in every run.
struct Noise(u64);

impl Noise {
    fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.number() % 700;
        (0..length).map(|_| self.number() as u8).collect()
    }
}

#[test]
fn noise_on_every_listener_ends_nothing_and_leaves_nothing_open() {
    let to = server(b's');
    let text = format!(
        " localpeer A\n stats socket \"fd@${{f5}}\" level admin\n{DEFAULTS} timeout client 1s\npeers \
         p\n bind \"fd@${{f4}}\"\n server A\n server B 127.0.0.1:1\nbackend t\n stick-table type ip \
         size 10 peers p\nlisten plain\n bind \"fd@${{f0}}\"\n server s {to}\nlisten proxy\n bind \
         \"fd@${{f1}}\" accept-proxy\n server s {to} send-proxy-v2\nlisten names\n bind \
         \"fd@${{f2}}\"\n tcp-request inspect-delay 100ms\n tcp-request content accept if {{ \
         req.ssl_hello_type 1 }}\n tcp-request content reject if {{ req.payload_lv(0,2) -m found }} {{ \
         rdp_cookie(x) -m found }}\n server s {to}\nlisten web\n mode http\n bind \
         \"fd@${{f3}}\"\n stats enable\n stats uri /\n"
    );
    let running = Running::start(false, 6, &text, &[]);
    assert_eq!(running.told(0, b""), Some('s'));
    let before = running.descriptors();
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let beginnings: [&[u8]; 8] = [
        b"",
        b"PROXY TCP4 ",
        b"\r\n\r\n\0\r\nQUIT\n\x21",
        b"\x16\x03\x01\x00\xff\x01",
        b"HAProxyS 2.1\nA\nB 1 1\n",
        b"GET / HTTP/1.1\r\n",
        b"show table t;set table t key ",
        b"@1 <<\n",
    ];
    for round in 0..40 {
        for front in 0..6 {
            let mut client = running.client(front);
            let start = beginnings[(round + front) % beginnings.len()];
            let _ = client.write_all(&[start, &noise.bytes()].concat());
            match round % 3 {
                0 => drop(client),
                1 => drop(client.shutdown(Shutdown::Write)),
                _ => drop(client.shutdown(Shutdown::Both)),
            }
        }
    }
    assert_eq!(running.told(0, b""), Some('s'));
    assert_eq!(running.told(1, b"PROXY UNKNOWN\r\nx"), Some('s'));
    assert!(running.ask("show info").contains("Name: HAProxy"));
    until("what was open is closed", || running.descriptors() <= before + 2);
}

#[test]
fn a_server_that_never_answers_ends_by_its_timeout_and_costs_others_nothing() {
    let ends = both(|original| {
        let (silent, to) = (listen(), server(b's'));
        let mute = silent.local_addr().expect("bound");
        let text = format!(
            " log stdout format raw local0\n{DEFAULTS} log global\n log-format \"%f %s %ts\"\n \
             timeout server 400ms\nlisten mute\n bind \"fd@${{f0}}\"\n server m {mute}\nlisten \
             good\n bind \"fd@${{f1}}\"\n server s {to}\n"
        );
        let running = Running::start(original, 2, &text, &[]);
        let mut waiting: Vec<_> = (0..20).map(|_| running.client(0)).collect();
        for client in &mut waiting {
            client.write_all(b"hello").expect("it is open");
        }
        assert_eq!(running.told(1, b""), Some('s'));
        let told: Vec<_> = waiting.iter_mut().map(letter).collect();
        assert!(told.iter().all(Option::is_none), "{told:?}");
        // HAProxy waits for them, too.
        drop(waiting);
        let of_mute = || running.log().lines().filter(|line| line.starts_with("mute")).count();
        until("all have a line", || of_mute() == 20);
        let log = running.log();
        let mut lines: Vec<_> = log.lines().filter(|line| line.starts_with("mute")).collect();
        lines.dedup();
        lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>()
    });
    assert_eq!(ends, ["mute m sD"]);
}

#[test]
fn log_servers_that_vanish_block_or_die_cost_lines_and_nothing_else() {
    let (to, dead) = (server(b's'), listen());
    let ring = dead.local_addr().expect("bound");
    let text = format!(
        " log DIR/log.sock local0\n log DIR/never.sock local0\n log ring@r local0\n log \
         127.0.0.1:9 local0\nring r\n size 32768\n format rfc5424\n maxlen 1200\n timeout connect \
         5s\n timeout server 1s\n server r {ring}\n{DEFAULTS} log global\n option tcplog\nlisten l\n \
         bind \"fd@${{f0}}\"\n server s {to}\n"
    );
    let running = Running::start(false, 1, &text, &[]);
    let socket = running.path("log.sock");
    let bound = UnixDatagram::bind(&socket).expect("bound");
    bound.set_read_timeout(Some(LIMIT)).expect("a time");
    assert_eq!(running.told(0, b""), Some('s'));
    let mut line = [0; 2048];
    assert!(bound.recv(&mut line).expect("a line") > 20);
    // Nobody reads it: it fills. Then it is gone, and so is the server of the ring.
    let many = |count: usize| (0..count).all(|_| running.told(0, b"") == Some('s'));
    assert!(many(400), "with a log that is full");
    drop((bound, dead));
    std::fs::remove_file(&socket).expect("it is there");
    assert!(many(400), "with logs that are gone");
    // One that is there again has lines again.
    let again = UnixDatagram::bind(&socket).expect("bound");
    again.set_nonblocking(true).expect("a socket");
    until("lines come again", || {
        running.told(0, b"");
        again.recv(&mut line).is_ok()
    });
    assert!(running.ask("show info").contains("Name: HAProxy"));
}

#[test]
fn two_hundred_thousand_lines_of_a_map_are_read_and_found_and_one_bad_line_is_named() {
    let lines = |count: u32, bad: Option<u32>| {
        let mut text = String::new();
        for at in 0..count {
            if bad == Some(at) {
                text += "10.0.0.300 bad\n";
                continue;
            }
            text += &std::net::Ipv4Addr::from(0x0a00_0000 + at).to_string();
            text += if at == 177_777 { " found\n" } else { " other\n" };
        }
        text
    };
    let config = "defaults\n mode tcp\n timeout client 9s\n timeout server 9s\n timeout connect \
                  9s\nlisten l\n bind \"fd@${f0}\"\n tcp-request connection reject if { \
                  src,map_ip(DIR/m.map) -m str x }\n server s 127.0.0.1:1\n";
    let running = Running::start(false, 1, config, &[("m.map", &lines(200_000, None))]);
    let map = running.path("m.map").display().to_string();
    let answer = running.ask(&format!("get map {map} 10.2.182.113"));
    assert!(answer.contains("found=yes") && answer.contains("value=\"found\""), "{answer}");
    drop(running);
    // What is no address stands in line 601.
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("m.map"), lines(1_000, Some(600))).expect("written");
    let text = config.replace("fd@${f0}", ":1").replace("DIR/", "");
    std::fs::write(directory.path().join("h.cfg"), text).expect("written");
    let said = both(|original| {
        let ours = Path::new(env!("CARGO_BIN_EXE_balancerd"));
        let program = if original { original::path().expect("there is one") } else { ours };
        let mut command = Command::new(program);
        command.arg0("haproxy").args(["-c", "-f", "h.cfg"]).current_dir(directory.path());
        let done = command.output().expect("it runs");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        let line = said.lines().find(|line| line.contains("m.map")).unwrap_or_default();
        let line = line.split_once(") : ").map_or(line, |(_, said)| said);
        (done.status.code(), line.replace("config : ", ""))
    });
    assert_eq!(said.0, Some(1));
    assert!(said.1.contains("10.0.0.300"), "{said:?}");
}

#[test]
fn who_comes_while_the_process_is_stopped_is_served_when_it_goes_on() {
    let to = server(b's');
    let text = format!("{DEFAULTS}listen l\n bind \"fd@${{f0}}\"\n server s {to}\n");
    let running = Running::start(false, 1, &text, &[]);
    let mut before = running.client(0);
    assert_eq!(letter(&mut before), Some('s'));
    kill(running.pid(), Signal::SIGSTOP).expect("it runs");
    let tasks = format!("/proc/{}/task", running.pid());
    until("all its threads stand still", || {
        let mut all = std::fs::read_dir(&tasks).expect("it is there").flatten();
        all.all(|task| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.contains(") T ")
        })
    });
    let mut waiting: Vec<_> = (0..50).map(|_| running.client(0)).collect();
    waiting[0].set_read_timeout(Some(Duration::from_millis(300))).expect("a time");
    assert_eq!(letter(&mut waiting[0]), None, "it stands still");
    waiting[0].set_read_timeout(Some(LIMIT)).expect("a time");
    kill(running.pid(), Signal::SIGCONT).expect("it is there");
    for client in &mut waiting {
        assert_eq!(letter(client), Some('s'));
    }
    before.shutdown(Shutdown::Write).expect("it is open");
    assert_eq!(before.read(&mut [0]).expect("an end"), 0);
}

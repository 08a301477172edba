//! What servers are sent first and what is done when something runs out, beside HAProxy where that
//! is installed.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

mod original;

const DEFAULTS: &str =
    "defaults\n mode tcp\n timeout client 9s\n timeout server 9s\n timeout connect 9s\n";
/// Nothing here takes longer; a test that waits so long has failed.
const LIMIT: Duration = Duration::from_secs(20);

/// A program that serves a file, until it is dropped.
struct Running {
    child: Child,
    _directory: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ours() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_balancerd"));
    command.arg0("haproxy");
    command
}

/// Starts a program on sockets it inherits, which the file names `fd@${f0}`, `fd@${f1}` …
fn start(mut command: Command, text: &str, fronts: &[TcpListener]) -> Running {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("h.cfg");
    std::fs::write(&path, text).expect("writable");
    for (at, front) in fronts.iter().enumerate() {
        fcntl(front, FcntlArg::F_SETFD(FdFlag::empty())).expect("open");
        command.env(format!("f{at}"), front.as_raw_fd().to_string());
    }
    let child = command.args(["-db", "-f"]).arg(path).stderr(Stdio::null()).spawn();
    for front in fronts {
        fcntl(front, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).expect("open");
    }
    Running { child: child.expect("it runs"), _directory: directory }
}

fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("loopback")
}

fn address(of: &TcpListener) -> SocketAddr {
    of.local_addr().expect("bound")
}

/// A PROXY header of version 2 from 127.0.0.9:1234 to 127.0.0.8:80, with TLVs.
fn header(tlvs: &[u8]) -> Vec<u8> {
    let mut body = vec![127, 0, 0, 9, 127, 0, 0, 8, 0x04, 0xd2, 0, 80];
    body.extend_from_slice(tlvs);
    let length = u16::try_from(body.len()).expect("short").to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x11", &length[..], &body].concat()
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("short").to_be_bytes();
    [&[kind], &length[..], value].concat()
}

/// A port that is none: HAProxy takes its last sixteen bits, which the specification forbids.
const NO_PORT: &str = "weight 2";
/// A TLV of four thousand bytes, which HAProxy takes until 2.8; since then it keeps TLVs, and 1,024
/// bytes of each at most.
const LONG: &str = "id 7";
/// What no header follows from by itself, for which 2.6 sends one of version 1.
const ALONE: [&str; 2] =
    ["proxy-v2-options crc32c", "send-proxy-v2 proxy-v2-options crc32c no-send-proxy-v2"];

/// What is said of the server, what is said of its section, and what the client sends.
type Case = (&'static str, &'static str, Vec<u8>);

fn cases() -> Vec<Case> {
    let names =
        [tlv(2, b"example.org"), tlv(5, b"abc-1"), tlv(1, b"h2"), tlv(0xe1, b"xx")].concat();
    let plain = || [header(&[]), b"hello".to_vec()].concat();
    let named = || [header(&names), b"hello".to_vec()].concat();
    let lying = |tlvs: &[u8]| [header(tlvs), b"hello".to_vec()].concat();
    vec![
        ("send-proxy", "", plain()),
        ("send-proxy-v2", "", plain()),
        ("send-proxy-v2 proxy-v2-options crc32c", "", plain()),
        ("send-proxy-v2 proxy-v2-options unique-id", "", plain()),
        ("send-proxy-v2 proxy-v2-options unique-id", "unique-id-format %ci:%cp", plain()),
        ("send-proxy-v2 proxy-v2-options ssl", "", plain()),
        ("send-proxy-v2-ssl", "", plain()),
        ("send-proxy-v2-ssl-cn", "", plain()),
        ("send-proxy-v2 proxy-v2-options cert-cn,ssl-cipher,cert-sig,cert-key", "", plain()),
        ("send-proxy-v2 proxy-v2-options authority", "", plain()),
        ("send-proxy-v2 proxy-v2-options authority", "", named()),
        (
            "send-proxy-v2 proxy-v2-options ssl,unique-id,authority,crc32c",
            "unique-id-format x",
            named(),
        ),
        (
            "send-proxy-v2 proxy-v2-options unique-id",
            "unique-id-format %[fc_pp_unique_id],%[fc_pp_authority],%[fc_rcvd_proxy]",
            named(),
        ),
        (
            "send-proxy-v2 proxy-v2-options unique-id",
            "unique-id-format [%[fc_pp_unique_id],%[fc_pp_authority]]",
            plain(),
        ),
        // What no header follows from by itself.
        (ALONE[0], "", plain()),
        (ALONE[1], "", plain()),
        ("send-proxy-v2-ssl no-send-proxy-v2-ssl", "", plain()),
        // Headers that lie: the server hears nothing.
        ("", "", lying(&tlv(3, &[1, 2, 3, 4]))),
        ("", "", lying(b"\x02\xff\xff")),
        ("", "", lying(b"\x02\x00")),
        ("", "", lying(&tlv(2, &[b'a'; 256]))),
        ("", "", lying(&tlv(5, &[b'a'; 129]))),
        ("", "", lying(&tlv(2, &[b'a'; 255]))),
        ("", "", lying(&tlv(5, &[b'a'; 128]))),
        // A header of the longest there are, one that says it is longer than it is, and none.
        (LONG, "", lying(&tlv(0xe0, &[0; 4_000]))),
        ("", "", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".to_vec()),
        ("", "", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x04abcdhello".to_vec()),
        ("", "", b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0chello".to_vec()),
        (NO_PORT, "", b"PROXY TCP4 127.0.0.9 127.0.0.8 70000 80\r\nhello".to_vec()),
        ("", "", b"PROXY UNKNOWN\r\nhello".to_vec()),
        ("", "", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
    ]
}

/// What the server of each case is sent until the client ends.
fn heard(command: Command, cases: &[Case]) -> Vec<Vec<u8>> {
    let fronts: Vec<_> = cases.iter().map(|_| listen()).collect();
    let backs: Vec<_> = cases.iter().map(|_| listen()).collect();
    let mut text = DEFAULTS.to_owned();
    for (at, ((server, section, _), back)) in cases.iter().zip(&backs).enumerate() {
        text += &format!(
            "listen l{at}\n bind \"fd@${{f{at}}}\" accept-proxy\n {section}\n server s {} {server}\n",
            address(back)
        );
    }
    let _running = start(command, &text, &fronts);
    let readers: Vec<_> = backs
        .into_iter()
        .map(|back| {
            thread::spawn(move || {
                let (mut socket, _) = back.accept().expect("a connection");
                let mut bytes = Vec::new();
                socket.read_to_end(&mut bytes).expect("an end");
                bytes
            })
        })
        .collect();
    let mut all = Vec::new();
    for ((front, (_, _, sent)), reader) in fronts.iter().zip(cases).zip(readers) {
        let mut client = TcpStream::connect(address(front)).expect("it listens");
        client.set_read_timeout(Some(LIMIT)).expect("a timeout");
        client.write_all(sent).expect("room");
        // A header that is none may have been answered by a reset already.
        let _ = client.shutdown(Shutdown::Write);
        // The end, or a reset: then its server was not even connected to.
        let mut rest = Vec::new();
        let ended = client.read_to_end(&mut rest);
        if ended.is_ok() && !reader.is_finished() {
            // It was passed on, and the server has seen the client's end.
            let started = Instant::now();
            while !reader.is_finished() && started.elapsed() < Duration::from_millis(300) {
                thread::sleep(Duration::from_millis(5));
            }
        }
        all.push(if reader.is_finished() { reader.join().expect("no panic") } else { vec![] });
    }
    all
}

#[test]
fn servers_are_sent_the_headers_haproxy_sends_and_lies_are_not_passed_on() {
    let cases = cases();
    let ours = heard(ours(), &cases);
    // Whatever is beside it: one that is right, one that is not.
    assert!(ours[1].ends_with(b"hello") && ours[1].len() == 16 + 12 + 5, "{:?}", ours[1]);
    assert_eq!(ours[17], b"");
    let Some(original) = original::original() else { return };
    let theirs = heard(original.command(), &cases);
    for ((case, ours), theirs) in cases.iter().zip(ours).zip(theirs) {
        if case.0 == NO_PORT {
            assert_eq!((&ours[..], &theirs[..]), (&b""[..], &b"hello"[..]));
            continue;
        }
        if case.0 == LONG && original.since(3, 2) {
            assert_eq!((&ours[..], &theirs[..]), (&b"hello"[..], &b""[..]));
            continue;
        }
        if ALONE.contains(&case.0) && !original.since(3, 2) {
            assert_eq!(ours, b"hello");
            continue;
        }
        let show = |bytes: &[u8]| bytes.escape_ascii().to_string();
        assert_eq!(show(&ours), show(&theirs), "{} | {} | {}", case.0, case.1, show(&case.2));
    }
}

/// Echoes what each of its connections says.
fn echo() -> SocketAddr {
    let back = listen();
    let address = address(&back);
    thread::spawn(move || {
        for mut client in back.incoming().flatten() {
            thread::spawn(move || {
                let mut bytes = [0; 64];
                while let Ok(length @ 1..) = client.read(&mut bytes) {
                    if client.write_all(&bytes[..length]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// Waits for one byte that comes back, so long.
fn answered(client: &mut TcpStream, within: Duration) -> bool {
    client.set_read_timeout(Some(within)).expect("a timeout");
    match client.read(&mut [0]) {
        Ok(1) => true,
        Ok(_) => panic!("it was closed"),
        // A debugger or a stopped machine: the wait begins anew.
        Err(error) if error.kind() == ErrorKind::Interrupted => answered(client, within),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => false,
        Err(error) => panic!("it was lost: {error}"),
    }
}

#[test]
fn descriptors_that_run_out_stop_accepting_and_nothing_is_lost() {
    const CLIENTS: usize = 40;
    let (front, log) = ([listen()], UdpSocket::bind("127.0.0.1:0").expect("loopback"));
    let text = format!(
        "global\n no strict-limits\n nbthread 1\n maxconn 1000\n log {} local0\n{DEFAULTS} log global\n\
         listen l\n bind \"fd@${{f0}}\"\n server s {}\n",
        log.local_addr().expect("bound"),
        echo()
    );
    let mut command = Command::new("sh");
    let script = "ulimit -n 48 && exec setpriv --bounding-set -sys_resource --inh-caps -sys_resource \
                  \"$0\" \"$@\"";
    let directory = tempfile::tempdir().expect("a temporary directory");
    let link = directory.path().join("haproxy");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_balancerd"), &link).expect("writable");
    command.args(["-c", script]).arg(link);
    let _running = start(command, &text, &front);
    let mut waiting: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut client = TcpStream::connect(address(&front[0])).expect("it listens");
            client.write_all(b"x").expect("room");
            client
        })
        .collect();
    // The first are served, the last cannot be; as some end, others have their turn, and nobody who
    // waited is turned away.
    assert!(answered(&mut waiting[0], LIMIT));
    assert!(!answered(&mut waiting[CLIENTS - 1], Duration::from_millis(200)), "48 are too many");
    let mut served = 0;
    while let Some(mut client) = (!waiting.is_empty()).then(|| waiting.remove(0)) {
        if served == 0 || answered(&mut client, LIMIT) {
            served += 1;
        }
    }
    assert_eq!(served, CLIENTS);
    log.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    let mut said = 0;
    let mut bytes = [0; 2_048];
    while let Ok(length) = log.recv(&mut bytes) {
        let line = String::from_utf8_lossy(&bytes[..length]).into_owned();
        said += usize::from(line.contains("reached process FD limit"));
    }
    assert!((1..=3).contains(&said), "once for each time it happened: {said}");
}

#[test]
fn silent_and_slow_clients_cost_others_nothing_and_end_when_their_time_is_over() {
    const SILENT: usize = 200;
    let front = [listen()];
    let text = format!(
        "{DEFAULTS} timeout client 700ms\nlisten l\n bind \"fd@${{f0}}\"\n \
         tcp-request inspect-delay 400ms\n tcp-request content accept if {{ req.len ge 2 }}\n \
         tcp-request content reject if {{ req.len eq 1 }} WAIT_END\n server s {}\n",
        echo()
    );
    let _running = start(ours(), &text, &front);
    let connect = || TcpStream::connect(address(&front[0])).expect("it listens");
    let silent: Vec<_> = (0..SILENT).map(|_| connect()).collect();
    // Says too little for as long as is waited.
    let mut slow = connect();
    slow.write_all(b"a").expect("room");
    let mut quick = connect();
    let started = Instant::now();
    quick.write_all(b"ab").expect("room");
    assert!(answered(&mut quick, LIMIT));
    assert!(started.elapsed() < Duration::from_millis(350), "{:?}", started.elapsed());
    slow.set_read_timeout(Some(LIMIT)).expect("a timeout");
    assert!(!matches!(slow.read(&mut [0]), Ok(1)), "it is turned away");
    for mut client in silent {
        client.set_read_timeout(Some(LIMIT)).expect("a timeout");
        assert!(!matches!(client.read(&mut [0]), Ok(1)), "nobody answers who was not asked");
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn with_all_servers_down_a_client_that_has_spoken_gets_an_end_and_no_reset() {
    let front = [listen()];
    let text = format!(
        "{DEFAULTS}listen l\n bind \"fd@${{f0}}\"\n tcp-request inspect-delay 5s\n \
         tcp-request content accept if {{ req.len gt 0 }}\n server s {} disabled\n",
        echo()
    );
    let _running = start(ours(), &text, &front);
    for _ in 0..20 {
        let mut client = TcpStream::connect(address(&front[0])).expect("it listens");
        client.set_read_timeout(Some(LIMIT)).expect("a timeout");
        client.write_all(b"hello").expect("room");
        assert_eq!(client.read(&mut [0]).expect("an end, not a reset"), 0);
    }
}

#[test]
fn servers_are_found_by_offset_by_the_clients_address_and_in_the_abstract_namespace() {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr as Local, UnixListener};
    let echo = echo();
    let fronts = [listen(), listen(), listen()];
    let name = format!("evergate-{}", std::process::id());
    let offset = i32::from(echo.port()) - i32::from(address(&fronts[0]).port());
    let text = format!(
        "{DEFAULTS}listen l0\n bind \"fd@${{f0}}\"\n server s 127.0.0.1:{offset:+}\n\
         listen l1\n bind \"fd@${{f1}}\"\n server s *:{}\n\
         listen l2\n bind \"fd@${{f2}}\"\n server s abns@{name}\n",
        echo.port()
    );
    // HAProxy's names are as long as there is room.
    let mut filled = name.into_bytes();
    filled.resize(107, 0);
    let at = Local::from_abstract_name(&filled).expect("a name");
    let local = UnixListener::bind_addr(&at).expect("nobody has it");
    thread::spawn(move || {
        for mut client in local.incoming().flatten() {
            let mut byte = [0];
            if client.read_exact(&mut byte).is_ok() {
                let _ = client.write_all(&byte);
            }
        }
    });
    let _running = start(ours(), &text, &fronts);
    for (at, front) in fronts.iter().enumerate() {
        let mut client = TcpStream::connect(address(front)).expect("it listens");
        client.write_all(b"x").expect("room");
        assert!(answered(&mut client, LIMIT), "l{at}");
    }
}

/// Three network namespaces: a client's, the balancer's between, and a server's, whose answers to
/// anybody come back to the balancer itself.
struct Between {
    names: [String; 3],
}

impl Between {
    /// `None` where none can be made.
    fn new() -> Option<Self> {
        let id = std::process::id();
        let between = Self { names: ["c", "l", "s"].map(|place| format!("evergate-{id}-{place}")) };
        let [c, l, s] = &between.names;
        let lines = [
            format!("netns add {c}"),
            format!("netns add {l}"),
            format!("netns add {s}"),
            format!("link add c0 netns {c} type veth peer name l0 netns {l}"),
            format!("link add s0 netns {s} type veth peer name l1 netns {l}"),
            format!("-n {c} addr add 10.77.1.2/24 dev c0"),
            format!("-n {l} addr add 10.77.1.1/24 dev l0"),
            format!("-n {l} addr add 10.77.2.1/24 dev l1"),
            format!("-n {s} addr add 10.77.2.2/24 dev s0"),
            format!("-n {c} link set c0 up"),
            format!("-n {l} link set l0 up"),
            format!("-n {l} link set l1 up"),
            format!("-n {l} link set lo up"),
            format!("-n {s} link set s0 up"),
            format!("-n {s} route add default via 10.77.2.1"),
            format!("-n {l} rule add iif l1 lookup 100"),
            format!("-n {l} route add local default dev lo table 100"),
        ];
        lines.iter().all(|line| ip(line)).then_some(between)
    }

    fn within<T>(&self, place: usize, what: impl FnOnce() -> T) -> T {
        let network = linux::namespace::Network::open(&self.names[place]).expect("it is there");
        network.within(what).expect("it may be entered")
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        for name in &self.names {
            ip(&format!("netns delete {name}"));
        }
    }
}

fn ip(line: &str) -> bool {
    Command::new("ip").args(line.split(' ')).output().is_ok_and(|done| done.status.success())
}

/// What a server says of who has connected, behind each program and with each `usesrc`.
#[test]
fn a_server_sees_the_client_where_a_source_says_so() {
    let Some(between) = Between::new() else {
        println!("SKIPPED: no network namespaces can be made");
        return;
    };
    let back = between.within(2, || TcpListener::bind("10.77.2.2:8000").expect("an address"));
    thread::spawn(move || {
        while let Ok((mut client, from)) = back.accept() {
            let _ = client.write_all(from.to_string().as_bytes());
        }
    });
    let link = tempfile::tempdir().expect("a temporary directory");
    let ours = link.path().join("haproxy");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_balancerd"), &ours).expect("writable");
    for program in [Some(ours.as_path()), original::path()].into_iter().flatten() {
        // A listening socket of the balancer's network that another process inherits.
        let fronts: Vec<_> = (0..3)
            .map(|_| between.within(1, || TcpListener::bind("10.77.1.1:0").expect("an address")))
            .collect();
        let mut text = DEFAULTS.to_owned();
        for (at, wanted) in ["clientip", "client", "10.88.8.8"].into_iter().enumerate() {
            text += &format!(
                "listen l{at}\n bind \"fd@${{f{at}}}\"\n source 0.0.0.0 usesrc {wanted}\n \
                 server s 10.77.2.2:8000\n"
            );
        }
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &between.names[1]]).arg(program);
        let _running = start(command, &text, &fronts);
        let seen: Vec<_> = fronts
            .iter()
            .map(|front| {
                let mut client = between.within(0, || TcpStream::connect(address(front)));
                let client = client.as_mut().expect("it listens");
                client.set_read_timeout(Some(LIMIT)).expect("a timeout");
                let mut said = String::new();
                client.read_to_string(&mut said).expect("an answer");
                let own = client.local_addr().expect("connected");
                (said.parse::<SocketAddr>().expect("an address"), own)
            })
            .collect();
        let name = program.display();
        assert_eq!(seen[0].0.ip(), seen[0].1.ip(), "{name}");
        assert_eq!(seen[1].0, seen[1].1, "{name}");
        assert_eq!(seen[2].0.ip().to_string(), "10.88.8.8", "{name}");
    }
}

//! TLS to servers and from clients, with HAProxy as the other side where that is installed.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

mod master;
mod original;

const DEFAULTS: &str =
    "defaults\n mode tcp\n timeout client 9s\n timeout server 9s\n timeout connect 9s\n";
/// Nothing here takes longer; a test that waits so long has failed.
const LIMIT: Duration = Duration::from_secs(20);

/// A program that serves a file, until it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ours() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_balancerd"));
    command.arg0("haproxy");
    command
}

/// Starts a program on sockets it inherits, which the file names `fd@${f0}`, `fd@${f1}` …
fn start(mut command: Command, directory: &Path, text: &str, fronts: &[&TcpListener]) -> Running {
    let path = directory.join(format!("{}.cfg", address(fronts[0]).port()));
    std::fs::write(&path, text).expect("writable");
    for (at, front) in fronts.iter().enumerate() {
        fcntl(*front, FcntlArg::F_SETFD(FdFlag::empty())).expect("open");
        command.env(format!("f{at}"), front.as_raw_fd().to_string());
    }
    let child = command.args(["-db", "-f"]).arg(path).stderr(Stdio::null()).spawn();
    for front in fronts {
        fcntl(*front, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).expect("open");
    }
    Running(child.expect("it runs"))
}

fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("loopback")
}

fn address(of: &TcpListener) -> SocketAddr {
    of.local_addr().expect("bound")
}

/// `pair.pem` with a certificate for `name` and its key, and `root.pem` that it leads to.
fn certify(directory: &Path, name: &str) {
    let key = rcgen::KeyPair::generate().expect("randomness");
    let params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a key");
    std::fs::write(directory.join("root.pem"), certificate.pem()).expect("writable");
    let pair = certificate.pem() + &key.serialize_pem();
    std::fs::write(directory.join("pair.pem"), pair).expect("writable");
}

/// Answers each connection with what it said, once it has ended.
fn echo() -> SocketAddr {
    let listener = listen();
    let at = address(&listener);
    thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(mut socket) = socket else { return };
            thread::spawn(move || {
                let mut bytes = Vec::new();
                if socket.read_to_end(&mut bytes).is_ok() {
                    let _ = socket.write_all(&bytes);
                }
            });
        }
    });
    at
}

/// What comes back of some bytes and an end.
fn exchange(to: SocketAddr, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect(to)?;
    socket.set_read_timeout(Some(LIMIT))?;
    let mut writer = socket.try_clone()?;
    let bytes = bytes.to_vec();
    let sends = thread::spawn(move || {
        let _ = writer.write_all(&bytes);
        let _ = writer.shutdown(Shutdown::Write);
    });
    let mut got = Vec::new();
    let read = socket.read_to_end(&mut got);
    sends.join().expect("no panic");
    read.map(|_| got)
}

/// What may stand on the other side.
fn others() -> Vec<&'static str> {
    match original::original() {
        Some(_) => vec!["ourselves", "HAProxy"],
        None => {
            println!("SKIPPED: HAProxy as the other side of TLS: it is not installed");
            vec!["ourselves"]
        }
    }
}

fn other(name: &str) -> Command {
    match original::original().filter(|_| name == "HAProxy") {
        Some(original) => original.command(),
        None => ours(),
    }
}

#[test]
fn a_lot_of_bytes_and_both_ends_come_through_tls_whoever_is_on_the_other_side() {
    let bytes: Vec<u8> =
        (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for name in others() {
        for reversed in [false, true] {
            let directory = tempfile::tempdir().expect("a temporary directory");
            certify(directory.path(), "a.example");
            let shown = directory.path().display();
            let (plain, secure) = (listen(), listen());
            let behind = echo();
            let near = format!(
                "{DEFAULTS}listen near\n bind fd@${{f0}}\n server s {} ssl verify required ca-file {shown}/root.pem sni str(a.example)\n",
                address(&secure)
            );
            let far = format!(
                "{DEFAULTS}listen far\n bind fd@${{f0}} ssl crt {shown}/pair.pem\n server s {behind}\n"
            );
            let (one, two) = if reversed { (other(name), ours()) } else { (ours(), other(name)) };
            let _near = start(one, directory.path(), &near, &[&plain]);
            let _far = start(two, directory.path(), &far, &[&secure]);
            let got = exchange(address(&plain), &bytes).expect("an answer");
            assert!(got == bytes, "{name}, reversed {reversed}: {} bytes", got.len());
        }
    }
}

#[test]
fn a_server_of_another_name_or_root_is_no_server() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    certify(directory.path(), "a.example");
    let shown = directory.path().display();
    let strange = tempfile::tempdir().expect("a temporary directory");
    certify(strange.path(), "a.example");
    let other = strange.path().display();
    let fronts = [listen(), listen(), listen(), listen()];
    let secure = listen();
    let to = address(&secure);
    let line = |at: usize, params: &str| {
        format!(
            "listen l{at}\n bind fd@${{f{at}}}\n retries 0\n server s {to} ssl verify required {params}\n"
        )
    };
    let near = DEFAULTS.to_owned()
        + &line(0, &format!("ca-file {shown}/root.pem verifyhost a.example"))
        + &line(1, &format!("ca-file {shown}/root.pem verifyhost b.example"))
        + &line(2, &format!("ca-file {shown}/root.pem sni str(b.example)"))
        + &line(3, &format!("ca-file {other}/root.pem"));
    let far = format!(
        "{DEFAULTS}listen far\n bind fd@${{f0}} ssl crt {shown}/pair.pem\n server s {}\n",
        echo()
    );
    let _far = start(ours(), directory.path(), &far, &[&secure]);
    let all: Vec<&TcpListener> = fronts.iter().collect();
    let _near = start(ours(), directory.path(), &near, &all);
    assert_eq!(exchange(address(&fronts[0]), b"hello").expect("an answer"), b"hello");
    for (at, front) in fronts.iter().enumerate().skip(1) {
        // Some say it by a reset.
        let got = exchange(address(front), b"hello").unwrap_or_default();
        assert_eq!(got, b"", "{at}");
    }
}

#[test]
fn rules_know_what_was_agreed_on_and_a_client_without_tls_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    certify(directory.path(), "a.example");
    let shown = directory.path().display();
    let (plain, secure) = (listen(), listen());
    // Only whoever speaks as it should is let through.
    let far = format!(
        "{DEFAULTS}listen far\n bind fd@${{f0}} ssl crt {shown}/pair.pem alpn a,b ssl-min-ver TLSv1.3\n \
         tcp-request content reject unless {{ ssl_fc }} {{ ssl_fc_sni a.example }} {{ ssl_fc_alpn b }} \
         {{ ssl_fc_protocol TLSv1.3 }} {{ ssl_fc_has_sni }} !{{ ssl_c_used }} {{ ssl_fc_alg_keysize gt 100 }}\n server s {}\n",
        echo()
    );
    let near = format!(
        "{DEFAULTS}listen near\n bind fd@${{f0}}\n server s {} ssl verify none sni str(a.example) alpn b\n",
        address(&secure)
    );
    let _far = start(ours(), directory.path(), &far, &[&secure]);
    let _near = start(ours(), directory.path(), &near, &[&plain]);
    assert_eq!(exchange(address(&plain), b"hello").expect("an answer"), b"hello");
    let mut bare = TcpStream::connect(address(&secure)).expect("it listens");
    bare.set_read_timeout(Some(LIMIT)).expect("a timeout");
    bare.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("room");
    let mut got = Vec::new();
    let _ = bare.read_to_end(&mut got);
    // An alert, and nothing of the server's.
    assert!(got.is_empty() || got[0] == 21, "{got:?}");
}

#[test]
fn a_client_that_does_not_go_on_with_its_handshake_is_cut_off_in_time() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    certify(directory.path(), "a.example");
    let secure = listen();
    let text = format!(
        "{DEFAULTS} timeout client 300ms\nlisten far\n bind fd@${{f0}} ssl crt {}/pair.pem\n server s {}\n",
        directory.path().display(),
        echo()
    );
    let _far = start(ours(), directory.path(), &text, &[&secure]);
    let begun = Instant::now();
    for hello in [&b""[..], &[0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3]] {
        let mut slow = TcpStream::connect(address(&secure)).expect("it listens");
        slow.set_read_timeout(Some(LIMIT)).expect("a timeout");
        slow.write_all(hello).expect("room");
        let mut got = Vec::new();
        let _ = slow.read_to_end(&mut got);
    }
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
}

#[test]
fn a_reload_in_place_shows_a_changed_certificate_and_cuts_nobody() {
    let (behind, front) = (echo(), master::free());
    let roots = tempfile::tempdir().expect("a temporary directory");
    let root = |name: &str| roots.path().join(name).display().to_string();
    let change = |directory: &Path, name: &str| {
        certify(directory, "a.example");
        std::fs::copy(directory.join("root.pem"), root(name)).expect("writable");
    };
    let text = format!("{DEFAULTS}listen l\n bind {front} ssl crt pair.pem\n server s {behind}\n");
    let mut far = master::Master::start_with(master::Flavour::HaProxy, &text, &[], |directory| {
        change(directory, "first");
    });
    change(roots.path(), "second");
    // Who trusts the first certificate only, and who trusts the second only.
    let trusting = |name: &str| {
        let listener = listen();
        let text = format!(
            "{DEFAULTS}listen l\n retries 0\n bind fd@${{f0}}\n server s {front} ssl verify required ca-file {} sni str(a.example)\n",
            root(name)
        );
        let near = start(ours(), roots.path(), &text, &[&listener]);
        (near, address(&listener))
    };
    let ((_first, by_first), (_second, by_second)) = (trusting("first"), trusting("second"));
    let answered = |to| exchange(to, b"hello").is_ok_and(|bytes| bytes == b"hello");
    assert!(answered(by_first) && !answered(by_second));
    let mut held = TcpStream::connect(by_first).expect("it listens");
    held.set_read_timeout(Some(LIMIT)).expect("an option");
    held.write_all(b"he").expect("open");
    // The handshake is over before the file changes, so that the connection is one of before.
    assert!(answered(by_first));
    std::fs::copy(roots.path().join("pair.pem"), far.path("pair.pem")).expect("writable");
    let said = far.reload(&text);
    assert!(said.contains("Changed in place"), "{said}");
    let begun = Instant::now();
    while !answered(by_second) {
        assert!(begun.elapsed() < LIMIT, "{}", far.log());
    }
    assert!(!answered(by_first), "the first is shown no more");
    held.write_all(b"ld").expect("open");
    held.shutdown(Shutdown::Write).expect("open");
    let mut rest = Vec::new();
    held.read_to_end(&mut rest).expect("it goes on");
    assert_eq!(rest, b"held");
}

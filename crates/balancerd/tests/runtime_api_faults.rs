//! What clients of the runtime API do wrong, and that nobody else notices.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Nothing here takes longer; a test that waits so long has failed.
const LIMIT: Duration = Duration::from_secs(20);

/// A process with a socket for many clients, and a frontend whose server says `s`.
struct Running {
    child: Child,
    directory: tempfile::TempDir,
    port: u16,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("made");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("bound").port();
        drop(free);
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = server.local_addr().expect("bound");
        std::thread::spawn(move || {
            server.incoming().flatten().for_each(|mut client| drop(client.write_all(b"s")));
        });
        let text = format!(
            "global\n stats socket {}/s level admin\n stats maxconn 2000\n stats timeout 60s\ndefaults\n mode tcp\n timeout client 9s\n timeout server 9s\n timeout connect 9s\nlisten l\n bind 127.0.0.1:{port}\n server s {at}\n",
            directory.path().display()
        );
        std::fs::write(directory.path().join("file"), text).expect("written");
        let child = Command::new(env!("CARGO_BIN_EXE_balancerd"))
            .arg0("haproxy")
            .args(["-db", "-f", "file"])
            .current_dir(&directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let running = Self { child, directory, port };
        running.serves();
        running
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("s")
    }

    /// A client; waits until it listens.
    fn client(&self) -> UnixStream {
        let begun = Instant::now();
        loop {
            match UnixStream::connect(self.socket()) {
                Ok(client) => {
                    client.set_read_timeout(Some(LIMIT)).expect("a time");
                    client.set_write_timeout(Some(LIMIT)).expect("a time");
                    return client;
                }
                Err(error) => assert!(begun.elapsed() < LIMIT, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What is answered to bytes that are followed by an end.
    fn answer(&self, bytes: &[u8]) -> Vec<u8> {
        let mut client = self.client();
        let _ = client.write_all(bytes);
        let _ = client.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        answer
    }

    /// It answers here, and relays there.
    fn serves(&self) {
        let answer = String::from_utf8_lossy(&self.answer(b"show version\n")).into_owned();
        assert!(answer.starts_with(char::is_numeric), "{answer}");
        self.relays();
    }

    fn relays(&self) {
        let mut client = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        client.set_read_timeout(Some(LIMIT)).expect("a time");
        let mut heard = [0];
        client.read_exact(&mut heard).expect("the server");
        assert_eq!(heard, *b"s");
    }

    /// Its memory, in kilobytes.
    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it lives");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
    }
}

#[test]
fn ten_megabytes_without_an_end_of_line_are_not_kept() {
    let running = Running::start();
    let before = running.resident();
    for begin in ["", "add map m <<\n", "show version; "] {
        let mut client = running.client();
        let chunk = vec![b'x'; 1 << 20];
        let _ = client.write_all(begin.as_bytes());
        // It hangs up at its longest line, and the rest has nowhere to go.
        let refused = (0..10).any(|_| client.write_all(&chunk).is_err());
        assert!(refused, "{begin:?}");
    }
    running.serves();
    let grown = running.resident().saturating_sub(before);
    assert!(grown < 8 << 10, "{grown} kB");
}

#[test]
fn a_thousand_clients_that_say_nothing_keep_nobody_from_an_answer() {
    let running = Running::start();
    let silent: Vec<UnixStream> = (0..400).map(|_| running.client()).collect();
    let half: Vec<UnixStream> = (0..600)
        .map(|_| {
            let mut client = running.client();
            client.write_all(b"show sta").expect("open");
            client
        })
        .collect();
    running.serves();
    drop((silent, half));
    running.serves();
}

#[test]
fn every_command_of_a_long_line_is_answered() {
    let running = Running::start();
    let line = "show version;".repeat(1_200) + "show version\n";
    let answer = String::from_utf8_lossy(&running.answer(line.as_bytes())).into_owned();
    let lines = answer.lines().filter(|line| line.starts_with(char::is_numeric)).count();
    assert_eq!(lines, 1_201);
    // Nothing between them is no command either.
    running.answer(&[b";".repeat(16_000), b"\n".to_vec()].concat());
    running.serves();
}

#[test]
fn noise_is_answered_or_dropped() {
    let running = Running::start();
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    for round in 0..200 {
        let mut noise = Vec::new();
        while noise.len() < 300 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            noise.extend_from_slice(&state.to_le_bytes());
        }
        // Half of the rounds begin like a command.
        if round % 2 == 0 {
            let starts: [&[u8]; 5] =
                [b"show ", b"set server l/s ", b"add map #0 ", b"show table ", b"@1 prompt;"];
            noise.splice(0..0, starts[round / 2 % starts.len()].iter().copied());
        }
        noise.push(b'\n');
        running.answer(&noise);
    }
    running.serves();
}

#[test]
fn a_socket_whose_file_is_gone_disturbs_nobody() {
    let running = Running::start();
    let mut client = running.client();
    client.write_all(b"prompt\n").expect("open");
    client.read_exact(&mut [0; 3]).expect("a prompt");
    std::fs::remove_file(running.socket()).expect("it was there");
    client.write_all(b"show version\n").expect("open");
    client.read_exact(&mut [0; 5]).expect("who is there already is answered");
    running.relays();
}

//! The runtime API as an operator uses it: limits that hold, servers that come and go.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Nothing here takes longer; a test that waits so long has failed.
const LIMIT: Duration = Duration::from_secs(20);

/// A program in a directory of its own, ended with the test.
struct Running {
    child: Child,
    directory: tempfile::TempDir,
    /// Where `fe` listens.
    port: u16,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// With `global` lines and what else is in the file besides the frontend `fe`.
    fn start(global: &str, rest: &str) -> Self {
        Self::start_with(global, rest, &["-db"])
    }

    /// The same with these options, where `DIR` is its directory.
    fn start_with(global: &str, rest: &str, options: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("made");
        let port = free_port();
        let text = format!(
            "global\n stats socket DIR/admin.sock level admin\n{global}\ndefaults\n \
             timeout client 9s\n timeout server 9s\n timeout connect 9s\nfrontend fe\n \
             bind 127.0.0.1:{port}\n default_backend be\n{rest}\n"
        );
        let path = directory.path().display().to_string();
        let file = directory.path().join("h.cfg");
        std::fs::write(&file, text.replace("DIR", &path)).expect("written");
        let child = Command::new(env!("CARGO_BIN_EXE_balancerd"))
            .arg0("haproxy")
            .args(options.iter().map(|option| option.replace("DIR", &path)))
            .arg("-f")
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let running = Self { child, directory, port };
        running.ask("show version");
        running
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("admin.sock")
    }

    /// The answer to one line, without the empty line behind it.
    fn ask(&self, line: &str) -> String {
        self.ask_at("admin.sock", line)
    }

    /// The answer of one of its sockets.
    fn ask_at(&self, socket: &str, line: &str) -> String {
        let mut socket = connect(&self.socket().with_file_name(socket));
        writeln!(socket, "{line}").expect("it reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("text");
        answer.trim_end().to_owned()
    }

    /// What answers a client of `fe` first; empty if nobody does.
    fn greeting(&self) -> String {
        let mut client = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        client.set_read_timeout(Some(LIMIT)).expect("a time");
        let mut bytes = [0; 1];
        match client.read(&mut bytes) {
            Ok(count) => String::from_utf8_lossy(&bytes[..count]).into_owned(),
            Err(_) => String::new(),
        }
    }
}

/// Waits until somebody answers there.
fn connect(path: &Path) -> UnixStream {
    let deadline = Instant::now() + LIMIT;
    let socket = loop {
        match UnixStream::connect(path) {
            Ok(socket) => break socket,
            Err(error) if Instant::now() > deadline => panic!("{}: {error}", path.display()),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    socket.set_read_timeout(Some(LIMIT)).expect("a time");
    socket
}

/// A port nobody has right now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}

/// A server that says one letter to everybody, and stays until they go.
fn server(letter: u8) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let _ = client.write_all(&[letter]).and_then(|()| client.read(&mut [0]));
            });
        }
    });
    port
}

/// How long fifteen clients take, one after the other.
fn fifteen(running: &Running) -> Duration {
    let begin = Instant::now();
    (0..15).for_each(|_| assert_eq!(running.greeting(), "a"));
    begin.elapsed()
}

/// Ten a second: fifteen need at least so long, whenever they begin.
const LEAST: Duration = Duration::from_millis(300);

fn limited_by(global: &str, backend: &str) {
    let running = Running::start(global, backend);
    assert!(fifteen(&running) >= LEAST, "{global}");
    running.ask("set rate-limit connections global 0;set rate-limit sessions global 0");
    let info = running.ask("show info");
    assert!(info.contains("\nConnRateLimit: 0\n") && info.contains("\nSessRateLimit: 0\n"));
    let freed = Instant::now();
    (0..60).for_each(|_| assert_eq!(running.greeting(), "a"));
    // At the former pace these would have taken 6 seconds.
    assert!(freed.elapsed() < Duration::from_secs(5), "{global}: {:?}", freed.elapsed());
}

/// Two servers that say who they are, and their backend.
fn pair() -> (u16, u16, String) {
    let (a, b) = (server(b'a'), server(b'b'));
    (a, b, format!("backend be\n balance roundrobin\n server a 127.0.0.1:{a}"))
}

#[test]
fn a_server_that_is_added_serves_once_it_is_enabled_and_is_gone_when_it_is_deleted() {
    let (_, b, backend) = pair();
    let running = Running::start("", &backend);
    assert_eq!(running.greeting(), "a");
    assert_eq!(running.ask(&format!("add server be/b 127.0.0.1:{b}")), "New server registered.");
    assert_eq!((0..4).map(|_| running.greeting()).collect::<String>(), "aaaa");
    assert_eq!(running.ask("enable server be/b"), "");
    let both: String = (0..4).map(|_| running.greeting()).collect();
    assert_eq!((both.matches('a').count(), both.matches('b').count()), (2, 2), "{both}");
    // Who is served by it keeps it.
    let open = || TcpStream::connect(("127.0.0.1", running.port)).expect("it listens");
    let mut kept = [open(), open()];
    for client in &mut kept {
        client.read_exact(&mut [0]).expect("greeted");
    }
    assert_eq!(running.ask("del server be/b"), "Only servers in maintenance mode can be deleted.");
    assert_eq!(running.ask("set server be/b state maint"), "");
    let attached = "Server still has connections attached to it, cannot remove it.";
    assert_eq!(running.ask("del server be/b"), attached);
    assert_eq!(running.ask("wait 20ms srv-removable be/b"), "Wait delay expired.");
    assert_eq!(running.ask("shutdown sessions server be/b"), "");
    assert_eq!(running.ask("wait 20s srv-removable be/b"), "Done.");
    assert_eq!(running.ask("del server be/b"), "Server deleted.");
    assert!(!running.ask("show stat").contains("\nbe,b,"));
    assert_eq!((0..3).map(|_| running.greeting()).collect::<String>(), "aaa");
    // The last one may go, too, and come again.
    running.ask("set server be/a state maint;shutdown sessions server be/a");
    assert_eq!(running.ask("wait 20s srv-removable be/a"), "Done.");
    assert_eq!(running.ask("del server be/a"), "Server deleted.");
    assert_eq!(running.greeting(), "");
    running.ask(&format!("add server be/c 127.0.0.1:{b};enable server be/c"));
    assert_eq!(running.greeting(), "b");
    drop(kept);
}

#[test]
fn the_checks_of_a_server_that_is_added_begin_when_they_are_enabled() {
    let (_, b, backend) = pair();
    let running = Running::start("", &backend);
    let dead = free_port();
    for line in [
        format!("add server be/b 127.0.0.1:{b} check inter 20ms"),
        format!("add server be/dead 127.0.0.1:{dead} check inter 20ms fall 1"),
    ] {
        assert_eq!(running.ask(&line), "New server registered.", "{line}");
    }
    let status = |name: &str| {
        let stat = running.ask("show stat");
        let row = stat.lines().find(|line| line.starts_with(&format!("be,{name},")));
        row.and_then(|row| row.split(',').nth(17)).unwrap_or_default().to_owned()
    };
    assert_eq!((status("b").as_str(), status("dead").as_str()), ("MAINT", "MAINT"));
    running.ask("enable server be/b;enable server be/dead");
    assert_eq!(status("dead"), "no check");
    running.ask("enable health be/b;enable health be/dead");
    let deadline = Instant::now() + LIMIT;
    while (status("b").as_str(), status("dead").as_str()) != ("UP", "DOWN") {
        assert!(Instant::now() < deadline, "b {}, dead {}", status("b"), status("dead"));
        std::thread::sleep(Duration::from_millis(5));
    }
    let both: String = (0..4).map(|_| running.greeting()).collect();
    assert_eq!((both.matches('a').count(), both.matches('b').count()), (2, 2), "{both}");
}

#[test]
fn what_rules_name_or_others_track_is_not_deleted() {
    let backend = "backend be\n server a 127.0.0.1:1 check inter 1h\n server b 127.0.0.1:2\n \
                   server c 127.0.0.1:3\n use-server b if { src 192.0.2.1 }";
    let running = Running::start("", backend);
    running.ask("set server be/a state maint;set server be/b state maint");
    running.ask("set server be/c state maint");
    let named = "This server cannot be removed at runtime due to other configuration elements \
                 pointing to it.";
    assert_eq!(running.ask("del server be/b"), named);
    assert_eq!(running.ask("wait 10s srv-removable be/b"), "Failed.");
    assert_eq!(running.ask("del server be/c"), "Server deleted.");
    assert_eq!(running.ask("add server be/c 127.0.0.1:3 check"), "New server registered.");
    assert_eq!(running.ask("add server be/d 127.0.0.1:3 track be/c"), "New server registered.");
    assert_eq!(running.ask("del server be/c"), named);
}

#[test]
fn a_reload_in_place_says_which_servers_the_file_does_not_have() {
    let (a, b, backend) = pair();
    let options = ["-W", "-S", "DIR/master.sock,level,admin"];
    let running = Running::start_with("", &backend, &options);
    running.ask(&format!("add server be/b 127.0.0.1:{b};enable server be/b"));
    running.ask("set maxconn frontend fe 7;set weight be/a 9;set maxconn server be/a 5");
    let told = running.ask_at("master.sock", "reload");
    assert!(told.contains("backend be: server b removed"), "{told}");
    assert!(!running.ask("show stat").contains("\nbe,b,"));
    assert_eq!((0..3).map(|_| running.greeting()).collect::<String>(), "aaa");
    // What an operator said of the others holds on.
    assert_eq!(running.ask("get weight be/a"), "9 (initial 1)");
    let stat = running.ask("show stat");
    let limit = |row: &str| {
        stat.lines()
            .find(|line| line.starts_with(row))
            .map(|line| line.split(',').nth(6).unwrap_or_default().to_owned())
    };
    assert_eq!((limit("fe,FRONTEND"), limit("be,a")), (Some("7".into()), Some("5".into())));
    // Written into the file it stays.
    running.ask("set weight be/a 100%");
    running.ask(&format!("add server be/b 127.0.0.1:{b};enable server be/b"));
    let file = running.directory.path().join("h.cfg");
    let text = std::fs::read_to_string(&file).expect("there");
    let line = format!(" server a 127.0.0.1:{a}");
    std::fs::write(&file, text.replace(&line, &format!("{line}\n server b 127.0.0.1:{b}")))
        .expect("written");
    let told = running.ask_at("master.sock", "reload");
    assert!(told.starts_with("Success=1"), "{told}");
    let both: String = (0..4).map(|_| running.greeting()).collect();
    assert!(both.contains('b'), "{both}");
}

#[test]
fn servers_come_and_go_while_clients_are_served() {
    let (_, b, backend) = pair();
    let running = Running::start("", &backend);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let load = || {
            let mut served = 0;
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                let greeting = running.greeting();
                assert!(["a", "b"].contains(&greeting.as_str()), "{greeting:?} after {served}");
                served += 1;
            }
            served
        };
        let clients: Vec<_> = (0..2).map(|_| scope.spawn(load)).collect();
        for round in 0..6 {
            let added = running.ask(&format!("add server be/b 127.0.0.1:{b};enable server be/b"));
            assert!(added.starts_with("New server registered."), "{round}: {added}");
            // Who is served by it goes soon.
            running.ask("set server be/b state maint");
            assert_eq!(running.ask("wait 20s srv-removable be/b"), "Done.", "{round}");
            assert_eq!(running.ask("del server be/b"), "Server deleted.", "{round}");
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        let served: u32 = clients.into_iter().map(|one| one.join().expect("no panic")).sum();
        assert!(served > 6, "{served}");
    });
}

#[test]
fn limits_of_connections_and_sessions_a_second_hold_and_can_be_taken_away() {
    let backend = format!("backend be\n server a 127.0.0.1:{}", server(b'a'));
    std::thread::scope(|scope| {
        scope.spawn(|| limited_by(" maxconnrate 10", &backend));
        scope.spawn(|| limited_by(" maxsessrate 10", &backend));
        scope.spawn(|| {
            let running = Running::start("", &backend);
            running.ask("set rate-limit sessions global 10");
            assert!(running.ask("show info").contains("\nSessRateLimit: 10\n"));
            assert!(fifteen(&running) >= LEAST, "by hand");
        });
        let running = Running::start("", &format!(" rate-limit sessions 10\n{backend}"));
        assert!(fifteen(&running) >= LEAST, "of one frontend");
        let stat = running.ask("show stat fe 1 -1");
        let cells = |line: usize| stat.lines().nth(line).unwrap_or_default().split(',');
        let at = cells(0).position(|name| name == "rate_lim").expect("a column");
        assert_eq!(cells(1).nth(at), Some("10"), "{stat}");
    });
}

/// A server that answers every request after a while.
fn http_server(wait: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while matches!(client.read(&mut bytes), Ok(1..)) {
                    std::thread::sleep(wait);
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx";
                    if client.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[test]
fn sessions_of_http_are_shown_and_ended_and_their_answers_timed() {
    let back = http_server(Duration::from_millis(30));
    let backend = format!(" mode http\nbackend be\n mode http\n server a 127.0.0.1:{back}");
    let running = Running::start("", &backend);
    let mut client = TcpStream::connect(("127.0.0.1", running.port)).expect("it listens");
    client.set_read_timeout(Some(LIMIT)).expect("a time");
    let mut answer = [0; 1024];
    for _ in 0..3 {
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").expect("it reads");
        let count = client.read(&mut answer).expect("answered");
        assert!(answer[..count].starts_with(b"HTTP/1.1 200"), "{:?}", &answer[..count]);
    }
    let own = client.local_addr().expect("connected").to_string();
    let deadline = Instant::now() + LIMIT;
    let shown = loop {
        let shown = running.ask("show sess");
        if shown.contains(" be=<NONE> ") {
            break shown;
        }
        assert!(Instant::now() < deadline, "{shown}");
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(shown.contains(&format!("src={own} fe=fe ")), "{shown}");
    let stat = running.ask("show stat");
    let mut lines = stat.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let names = lines.next().expect("a head");
    let row = lines.find(|row| row[0] == "be" && row[1] == "a").expect("its row");
    let cell = |name: &str| {
        let at = names.iter().position(|known| *known == name).expect("a column");
        row[at].parse::<u32>().expect("a number")
    };
    assert!(cell("rtime") >= 30 && cell("rtime_max") >= cell("rtime"), "{stat}");
    // A client that only waits is ended, too.
    let id = shown.split(':').next().expect("an id").to_owned();
    assert_eq!(running.ask(&format!("shutdown session {id}")), "");
    assert!(matches!(client.read(&mut answer), Ok(0) | Err(_)));
}

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;

use super::*;
use crate::view::{ScriptView, Totals};

/// Serves a view of nothing much until dropped.
struct Served {
    directory: tempfile::TempDir,
    looked: Arc<std::sync::atomic::AtomicUsize>,
    _stop: oneshot::Sender<()>,
}

impl Served {
    fn start(metrics: Option<SocketAddr>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let places = Places { socket: Some(directory.path().join("s.sock")), metrics };
        let looked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = Arc::clone(&looked);
        let (stop, mut stopped) = oneshot::channel();
        let (ready, begun) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(async {
                let mut status = Status::default();
                status.serve(places, &Log::new("test"));
                ready.send(()).expect("somebody waits");
                loop {
                    tokio::select! {
                        _ = &mut stopped => return,
                        look = status.looked() => {
                            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                            drop(look.send(Arc::new(view())));
                        }
                    }
                }
            });
        });
        begun.recv().expect("it serves");
        Self { directory, looked, _stop: stop }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("s.sock")
    }
}

fn view() -> View {
    let script = ScriptView { name: "a \"b\"".into(), good: Some(true), ..ScriptView::default() };
    let totals = Totals { resyncs: 3, ..Totals::default() };
    View { scripts: vec![script], totals, ..View::default() }
}

fn ask(path: &Path) -> String {
    let mut text = String::new();
    let mut stream = UnixStream::connect(path).expect("it listens");
    stream.read_to_string(&mut text).expect("it answers");
    text
}

#[test]
fn the_socket_is_its_owners_alone_and_says_how_things_stand() {
    let served = Served::start(None);
    let mode = fs::metadata(served.path()).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let status: serde_json::Value = serde_json::from_str(&ask(&served.path())).expect("JSON");
    assert_eq!(status["schema"], 1);
    assert_eq!(status["netlink_resyncs"], 3);
    assert_eq!(status["scripts"][0]["name"], "a \"b\"");
}

#[test]
fn clients_that_never_read_or_flood_leave_room_and_the_event_loop_alone() {
    let served = Served::start(None);
    // They hold connections, fewer than there are places, and read nothing.
    let idle: Vec<_> = (0..PLACES - 1).map(|_| UnixStream::connect(served.path())).collect();
    let begin = Instant::now();
    let asked = 300;
    for _ in 0..asked {
        assert!(ask(&served.path()).contains("\"schema\":1"));
    }
    let most = 2 + begin.elapsed().as_millis() / FRESH.as_millis();
    let looked = served.looked.load(std::sync::atomic::Ordering::Relaxed) as u128;
    assert!(looked <= most, "{looked} views for {asked} questions, more than {most}");
    drop(idle);
}

#[test]
fn metrics_are_served_and_a_client_that_drips_waits_alone() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let served = Served::start(Some(free));
    let mut slow = TcpStream::connect(free).expect("it listens");
    slow.write_all(b"GET /met").expect("room");
    let mut client = TcpStream::connect(free).expect("it listens");
    client.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").expect("room");
    let mut text = String::new();
    client.read_to_string(&mut text).expect("an answer");
    assert!(text.contains("failoverd_netlink_resyncs_total 3\n"), "{text}");
    assert!(text.contains("failoverd_script_good{script=\"a \\\"b\\\"\"} 1\n"), "{text}");
    // The one that never ends its sentence is let go without an answer.
    let mut rest = Vec::new();
    let begin = Instant::now();
    assert_eq!(slow.read_to_end(&mut rest).expect("an end"), 0);
    assert!(begin.elapsed() < PATIENCE * 2);
    drop(served);
}

#[test]
fn a_socket_left_behind_is_taken_over_and_one_in_use_is_not() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("s.sock");
    let first = listen(&path).expect("a new one");
    let error = listen(&path).expect_err("it is served");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    drop(first);
    let second = listen(&path).expect("nobody serves it");
    drop(second);
    fs::remove_file(&path).expect("there");
    fs::write(&path, "precious").expect("writable");
    assert!(listen(&path).is_err());
    assert_eq!(fs::read_to_string(&path).expect("there"), "precious");
}

#[test]
fn a_socket_whose_process_is_frozen_holds_nobody_up() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("s.sock");
    let _frozen = listen(&path).expect("a new one");
    // Nobody takes them in: as many as there is room for.
    let address = socket2::SockAddr::unix(&path).expect("short enough");
    let mut waiting = Vec::new();
    loop {
        let client = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None);
        let client = client.expect("a socket");
        client.set_nonblocking(true).expect("a socket");
        if client.connect(&address).is_err() {
            break;
        }
        waiting.push(client);
    }
    let error = listen(&path).expect_err("it is somebody's");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn the_socket_is_beside_the_pid_file() {
    for (pid_file, socket) in [
        ("/run/keepalived.pid", "/run/failoverd.sock"),
        ("/run/keepalived/keepalived_x.pid", "/run/keepalived/failoverd_x.sock"),
        ("/tmp/a/pid", "/tmp/a/pid.sock"),
    ] {
        assert_eq!(socket_beside(Path::new(pid_file)), Path::new(socket));
    }
}

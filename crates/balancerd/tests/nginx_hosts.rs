//! Servers of one address told apart by the name a client asks for, connections handed from listener
//! to listener, and servers that are asked how they are.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The longest anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn free() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    free.local_addr().expect("bound").port()
}

struct Running {
    child: Child,
    directory: tempfile::TempDir,
}

impl Running {
    fn start(stream: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let text = format!(
            "daemon off; pid n.pid; error_log error.log info; events {{}} stream {{ {stream} }}"
        );
        std::fs::write(directory.path().join("n.conf"), text).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_balancerd"));
        command.arg0("nginx").args(["-c", "n.conf", "-p"]).arg(directory.path());
        let child = command.stdin(Stdio::null()).spawn().expect("it starts");
        let begun = Instant::now();
        while !directory.path().join("n.pid").exists() {
            assert!(begun.elapsed() < PATIENCE, "it did not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { child, directory }
    }

    /// Waits until a log says this: lines are written by a thread of their own.
    fn says(&self, name: &str, text: &str) {
        let begun = std::time::Instant::now();
        while !self.log(name).contains(text) {
            assert!(begun.elapsed().as_secs() < 20, "{text}: {}", self.log(name));
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let id = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        let _ = nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// A ClientHello that asks for a name, RFC 8446 §4.1.2 and RFC 6066 §3.
fn hello(name: &str) -> Vec<u8> {
    let sized = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).expect("short").to_be_bytes();
        [&length[..], bytes].concat()
    };
    let list = sized(&[&[0][..], &sized(name.as_bytes())].concat());
    let extensions = sized(&[&[0, 0][..], &sized(&list)].concat());
    let body = [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0x13, 1], &[1, 0], &extensions].concat();
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    let message = [&[1][..], &length[1..], &body].concat();
    [&[22, 3, 1][..], &sized(&message)].concat()
}

/// What comes back until the end.
fn say(port: u16, bytes: &[u8]) -> String {
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    client.set_read_timeout(Some(PATIENCE)).expect("set");
    client.write_all(bytes).expect("sent");
    let mut answer = String::new();
    match client.read_to_string(&mut answer) {
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => {
            panic!("after '{answer}': {error}")
        }
        _ => answer,
    }
}

#[test]
fn a_server_is_found_by_the_name_a_client_asks_for() {
    let (port, other) = (free(), free());
    let nginx = Running::start(&format!(
        r"log_format f '$server_name $ssl_preread_server_name $who $status';
          access_log access.log f;
          server {{ listen 127.0.0.1:{port}; listen 127.0.0.1:{other}; return 'first'; server_name one.test;
                    ssl_preread on; }}
          server {{ listen 127.0.0.1:{port} default_server; ssl_preread on; return 'default';
                    server_name default.test *.test; }}
          server {{ listen 127.0.0.1:{port}; server_name .two.test mail.*; return 'two'; }}
          server {{ listen 127.0.0.1:{port}; server_name '~^(?<who>\w+)\.three\.org$'; return 'three $who $1'; }}
          server {{ listen 127.0.0.1:{port}; server_name two.test; return 'never'; }}"
    ));
    for (name, expected) in [
        ("one.test", "first"),
        ("ONE.test", "first"),
        ("two.test", "two"),
        ("a.b.two.test", "two"),
        ("mail.anything", "two"),
        ("other.test", "default"),
        ("nobody.example", "default"),
        ("", "default"),
        ("me.three.org", "three me me"),
    ] {
        assert_eq!(say(port, &hello(name)), expected, "{name}");
    }
    assert_eq!(say(port, b"GET / HTTP/1.0\r\n\r\n"), "default", "no TLS at all");
    // On the other address there is one server, whoever is asked for.
    assert_eq!(say(other, &hello("two.test")), "first");
    let begun = Instant::now();
    while nginx.log("access.log").lines().count() < 11 && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    let log = nginx.log("access.log");
    assert!(log.lines().any(|line| line == ".two.test a.b.two.test - 200"), "{log}");
    assert!(log.lines().any(|line| line.ends_with(" me.three.org me 200")), "{log}");
}

#[test]
fn a_connection_is_handed_to_another_listener() {
    let (port, named, text, health) = (free(), free(), free(), free());
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("s");
    let config = format!(
        "map $ssl_preread_server_name $to {{ health.test 127.0.0.1:{health}; unix.test unix:{}; lost.test 127.0.0.1:9;
                                            round.test 127.0.0.1:{port}; default {text}; }}
         server {{ listen 127.0.0.1:{port}; ssl_preread on; pass $to; }}
         server {{ listen 127.0.0.1:{named}; pass 127.0.0.1:{text}; }}
         server {{ listen {text}; return 'text'; }}
         server {{ listen unix:{}; return 'unix'; }}
         }} http {{ server {{ listen 127.0.0.1:{health}; location / {{ return 200 fine; }} }}",
        socket.display(),
        socket.display()
    );
    let nginx = Running::start(&config);
    assert_eq!(say(named, b""), "text");
    assert_eq!(say(port, &hello("any.test")), "text");
    assert_eq!(say(port, &hello("unix.test")), "unix");
    let request = b"GET / HTTP/1.0\r\n\r\n";
    // What was read ahead is the request of the next listener.
    assert!(say(port, &[&hello("health.test")[..], request].concat()).contains("400 Bad Request"));
    assert_eq!(say(port, &hello("lost.test")), "");
    nginx.says("error.log", "port not found for \"127.0.0.1:9\"");
    assert_eq!(say(port, &hello("round.test")), "");
    nginx.says("error.log", "pass goes round in circles");
}

/// A server that answers whatever it is asked, while it is said to.
fn answering(answer: &'static str) -> (u16, std::sync::Arc<std::sync::atomic::AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let well = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let told = std::sync::Arc::clone(&well);
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.set_read_timeout(Some(Duration::from_millis(50)));
            let _ = client.read(&mut [0; 1024]);
            let well = told.load(std::sync::atomic::Ordering::Relaxed);
            let _ = client
                .write_all(if well { answer } else { "HTTP/1.0 503 No\r\n\r\n-ERR" }.as_bytes());
        }
    });
    (port, well)
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn who_does_not_answer_as_expected_is_left_out_until_he_does() {
    for (check, answer) in [
        ("match=pong", "+PONG"),
        ("match=pattern", "+PONG"),
        ("type=http uri=/ready", "HTTP/1.0 204 Yes\r\n\r\n"),
        ("type=http match=status", "HTTP/1.0 200 Yes\r\n\r\n"),
    ] {
        let (port, (one, well), (two, _)) = (free(), answering(answer), answering(answer));
        let nginx = Running::start(&format!(
            "match pong {{ send 'PING\\x0d\\x0a'; expect '+PONG'; }} match pattern {{ send x; expect ~* '^.po(?=ng)'; }}
             match status {{ status 200 300-399; }}
             log_format a '$upstream_addr'; health_check_timeout 2s;
             upstream u {{ server 127.0.0.1:{one} max_fails=0; server 127.0.0.1:{two} max_fails=0; }}
             server {{ listen 127.0.0.1:{port}; proxy_pass u; access_log access.log a;
                       health_check interval=20ms fails=2 passes=2 {check}; }}"
        ));
        well.store(false, std::sync::atomic::Ordering::Relaxed);
        let peer = format!("of peer 127.0.0.1:{one} in upstream \"u\"");
        until("it is found unhealthy", || {
            nginx.log("error.log").lines().any(|line| {
                line.contains("[warn]")
                    && line.contains("peer is unhealthy")
                    && line.contains(&peer)
            })
        });
        for _ in 0..6 {
            say(port, b"x");
        }
        until("six lines", || nginx.log("access.log").lines().count() >= 6);
        assert!(!nginx.log("access.log").contains(&one.to_string()), "{check}");
        well.store(true, std::sync::atomic::Ordering::Relaxed);
        until("it is healthy", || {
            let log = nginx.log("error.log");
            log.lines().any(|line| line.contains("[notice]") && line.contains(&peer))
        });
        until("it is used again", || {
            say(port, b"x");
            nginx.log("access.log").contains(&one.to_string())
        });
    }
}

#[test]
fn a_mandatory_check_comes_before_the_first_connection_and_datagrams_are_checked() {
    let (port, udp) = (free(), free());
    let listens = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let (there, gone) = (listens.local_addr().expect("bound").port(), free());
    let nginx = Running::start(&format!(
        "upstream t {{ server 127.0.0.1:{gone}; }} upstream d {{ server 127.0.0.1:{there}; server 127.0.0.1:{gone}; }}
         server {{ listen 127.0.0.1:{port}; proxy_pass t; health_check mandatory interval=20ms; }}
         server {{ listen 127.0.0.1:{udp} udp; proxy_pass d; health_check udp interval=20ms; health_check_timeout 50ms; }}"
    ));
    until("nobody is live", || {
        say(port, b"");
        nginx.log("error.log").contains("no live upstreams while connecting to upstream")
    });
    until("nobody listens for datagrams", || {
        nginx.log("error.log").contains(&format!("unhealthy: recv failed (Connection refused), health check \"\" of peer 127.0.0.1:{gone} in upstream \"d\""))
    });
    assert!(!nginx.log("error.log").contains(&format!("127.0.0.1:{there} in upstream")));
}

/// The body of an answer to GET.
fn get(port: u16, path: &str) -> String {
    let answer = say(port, format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    if head.starts_with("HTTP/1.1 200 ") { body.to_owned() } else { head[9..12].to_owned() }
}

#[test]
fn what_there_is_is_told_as_json_to_collectors_and_to_people() {
    let (port, denied, http, (server, _), gone) =
        (free(), free(), free(), answering("answer"), free());
    let (limited, dry) = (free(), free());
    let _nginx = Running::start(&format!(
        "upstream u {{ server 127.0.0.1:{server} weight=3 max_conns=9; server 127.0.0.1:{gone} backup down; }}
         server {{ listen 127.0.0.1:{port}; proxy_pass u; status_zone main; }}
         server {{ listen 127.0.0.1:{denied}; proxy_pass u; deny all; }}
         limit_conn_zone $protocol zone=few:1m; limit_conn_zone $server_port zone=unused:1m;
         server {{ listen 127.0.0.1:{limited}; proxy_pass u; limit_conn few 1; }}
         server {{ listen 127.0.0.1:{dry}; return yes; limit_conn few 1; limit_conn_dry_run on; }}
         }} http {{ server {{ listen 127.0.0.1:{http}; location /api/ {{ api; allow 127.0.0.1; deny all; }}
           location = /metrics {{ prometheus; }} location /status {{ status_page; }} location /no {{ api; deny all; }} }}"
    ));
    assert_eq!((say(port, b"hello").as_str(), say(denied, b"").as_str()), ("answer", ""));
    until("the sessions are over", || {
        get(http, "/api/9/stream/server_zones/main/sessions/total") == "1"
    });
    assert_eq!(get(http, "/api/"), "[1,2,3,4,5,6,7,8,9]");
    assert_eq!(get(http, "/api/9/stream"), "[\"server_zones\",\"limit_conns\",\"upstreams\"]");
    assert_eq!(
        get(http, "/api/9/stream/server_zones/main"),
        "{\"processing\":0,\"connections\":1,\"sessions\":{\"2xx\":1,\"4xx\":0,\"5xx\":0,\"total\":1},\
         \"discarded\":0,\"received\":5,\"sent\":6}"
    );
    let sessions = get(http, &format!("/api/9/stream/server_zones/127.0.0.1:{denied}/sessions"));
    assert_eq!(sessions, "{\"2xx\":0,\"4xx\":1,\"5xx\":0,\"total\":1}");
    assert_eq!(
        get(http, "/api/9/stream/upstreams/u/peers/0"),
        format!(
            "{{\"id\":0,\"server\":\"127.0.0.1:{server}\",\"name\":\"127.0.0.1:{server}\",\"backup\":false,\
             \"weight\":3,\"state\":\"up\",\"active\":0,\"connections\":1,\"sent\":5,\"received\":6,\"fails\":0,\
             \"max_conns\":9}}"
        )
    );
    assert_eq!(get(http, "/api/9/stream/upstreams/u/peers/1/state"), "\"down\"");
    // One that stays, one that is one too many, and one that would have been.
    let held = TcpStream::connect(("127.0.0.1", limited)).expect("it listens");
    let counts = |zone: &str| get(http, &format!("/api/9/stream/limit_conns/{zone}"));
    until("it is counted", || counts("few").starts_with("{\"passed\":1,"));
    assert_eq!((say(limited, b"").as_str(), say(dry, b"").as_str()), ("", "yes"));
    assert_eq!(counts("few"), "{\"passed\":1,\"rejected\":1,\"rejected_dry_run\":1}");
    assert_eq!(counts("unused"), "{\"passed\":0,\"rejected\":0,\"rejected_dry_run\":0}");
    drop(held);
    for missing in ["/api/10/nginx", "/api/9/stream/upstreams/x", "/api/x"] {
        assert_eq!(get(http, missing), "404", "{missing}");
    }
    assert_eq!(get(http, "/no"), "403");
    assert!(say(http, b"POST /api/9/nginx HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 405 "));
    let metrics = get(http, "/metrics");
    for line in [
        "nginx_up 1",
        "# TYPE nginxplus_stream_server_zone_connections counter",
        "nginxplus_stream_server_zone_connections{server_zone=\"main\"} 1",
        "nginxplus_stream_server_zone_sessions{code=\"2xx\",server_zone=\"main\"} 1",
        &format!(
            "nginxplus_stream_upstream_server_state{{server=\"127.0.0.1:{gone}\",upstream=\"u\"}} 3"
        ),
        &format!(
            "nginxplus_stream_upstream_server_sent{{server=\"127.0.0.1:{server}\",upstream=\"u\"}} 5"
        ),
    ] {
        assert!(metrics.lines().any(|one| one == line), "{line} is not in\n{metrics}");
    }
    let page = get(http, "/status");
    assert!(page.contains("<h2>u</h2>") && page.ends_with("</body></html>\n"), "{page}");
}

#[test]
fn the_local_address_and_the_rates_may_have_variables() {
    let (port, other) = (free(), free());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let server = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let from = client.peer_addr().expect("connected").ip().to_string();
            let _ = client.write_all(format!("{from} {}", "x".repeat(40_000)).as_bytes());
        }
    });
    let nginx = Running::start(&format!(
        "map $server_port $rate {{ {port} 20k; default fast; }} map $server_port $from {{ {port} 127.0.0.9; default here; }}
         server {{ listen 127.0.0.1:{port}; listen 127.0.0.1:{other}; proxy_pass 127.0.0.1:{server};
                   proxy_bind $from; proxy_download_rate $rate; }}"
    ));
    let begun = Instant::now();
    let answer = say(port, b"");
    assert!(answer.starts_with("127.0.0.9 ") && answer.len() == 40_010, "{}", answer.len());
    assert!(
        begun.elapsed() > Duration::from_millis(900),
        "20 KB in the first second: {:?}",
        begun.elapsed()
    );
    assert!(say(other, b"").starts_with("127.0.0.1 "));
    nginx.says("error.log", "invalid local address \"here\"");
    nginx.says("error.log", "invalid size \"fast\"");
}

#[test]
fn a_server_may_see_the_client_s_address_and_a_worker_be_nice() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("SKIPPED: another's address takes the rights of root");
        return;
    }
    let port = free();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let server = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let from = client.peer_addr().expect("connected").ip().to_string();
            let _ = client.write_all(from.as_bytes());
        }
    });
    // The worker is another user, who keeps the right to do this.
    let nginx = Running::start(&format!(
        "server {{ listen {port}; proxy_pass 127.0.0.1:{server}; proxy_bind $remote_addr transparent; }} }}
         worker_priority 3; http {{"
    ));
    let socket =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let own: std::net::SocketAddr = "127.0.0.77:0".parse().expect("an address");
    socket.bind(&own.into()).expect("loopback is ours");
    socket.connect(&std::net::SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("it listens");
    let mut client = TcpStream::from(socket);
    client.set_read_timeout(Some(PATIENCE)).expect("set");
    let mut answer = String::new();
    let _ = client.read_to_string(&mut answer);
    assert_eq!(answer, "127.0.0.77", "{}", nginx.log("error.log"));
    let master = nginx.child.id();
    let children = format!("/proc/{master}/task/{master}/children");
    let worker = std::fs::read_to_string(children).expect("a list");
    let worker = worker.split_whitespace().next().expect("a worker").to_owned();
    let status = std::fs::read_to_string(format!("/proc/{worker}/status")).expect("it lives");
    let kept = |line: &&str| line.starts_with("CapEff:") && line.ends_with("2000");
    assert!(status.lines().any(|line| kept(&line)), "{status}");
    let stat = std::fs::read_to_string(format!("/proc/{worker}/stat")).expect("it lives");
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    assert_eq!(fields.split(' ').nth(16), Some("3"), "{stat}");
}

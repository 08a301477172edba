//! Whole exchanges over loopback, from a configuration's text to bytes and log lines.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use tokio::sync::watch;

use crate::bind::Listeners;
use crate::health::Board;
use crate::state::Shared;
use crate::worker::Worker;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

/// A server that answers each connection's requests by what they say.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for (number, socket) in (1..).zip(listener.incoming().map_while(Result::ok)) {
            thread::spawn(move || speak(socket, number));
        }
    });
    address
}

/// Answers requests of one connection; their path says how.
fn speak(mut socket: TcpStream, number: u32) {
    let (mut held, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let end = loop {
            if let Some(at) = held.windows(4).position(|part| part == b"\r\n\r\n") {
                break at + 4;
            }
            match socket.read(&mut buffer) {
                Ok(read @ 1..) => held.extend_from_slice(&buffer[..read]),
                _ => return,
            }
        };
        let head = String::from_utf8_lossy(&held[..end]).into_owned();
        held.drain(..end);
        let path = head.split(' ').nth(1).unwrap_or("").to_owned();
        let chunked = head.contains("transfer-encoding: chunked");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.and_then(|text| text.parse().ok()).unwrap_or(0);
        let whole =
            |held: &[u8]| if chunked { held.ends_with(b"0\r\n\r\n") } else { held.len() >= length };
        while !whole(&held) {
            match socket.read(&mut buffer) {
                Ok(read @ 1..) => held.extend_from_slice(&buffer[..read]),
                _ => return,
            }
        }
        let body = String::from_utf8_lossy(&held).into_owned();
        held.clear();
        let said = format!("{number}|{head}|{body}");
        let plain = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{said}", said.len());
        let (answer, close) = match path.as_str() {
            "/chunks" => (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"
                    .to_owned(),
                false,
            ),
            "/endless" => ("HTTP/1.1 200 OK\r\n\r\nuntil the end".to_owned(), true),
            "/broken" => ("SMTP ready\r\n\r\n".to_owned(), true),
            "/cut" => ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_owned(), true),
            "/nothing" => (String::new(), true),
            "/once" => (plain, true),
            "/silent" => {
                thread::sleep(LONG);
                return;
            }
            "/early" => (format!("HTTP/1.1 100 Continue\r\n\r\n{plain}"), false),
            "/switch" => {
                let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n";
                let _ = socket.write_all(head.as_bytes());
                while let Ok(read @ 1..) = socket.read(&mut buffer) {
                    let _ = socket.write_all(&buffer[..read]);
                }
                return;
            }
            _ => (plain, false),
        };
        if socket.write_all(answer.as_bytes()).is_err() || close {
            return;
        }
    }
}

struct Running {
    address: SocketAddr,
    shared: &'static Shared,
    log: UdpSocket,
    stop: watch::Sender<bool>,
}

/// Runs a configuration whose first `bind` is where clients go.
fn run(text: &str) -> Running {
    let log = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    log.set_read_timeout(Some(LONG)).expect("a timeout");
    let to = log.local_addr().expect("bound");
    let whole = format!(
        "global\n log {to} format raw local0\n nbthread 1\n maxconn 100\ndefaults\n mode http\n log global\n option httplog\n timeout client 20s\n timeout server 20s\n timeout connect 20s\n{text}"
    );
    let loaded = haproxy_cfg::load_texts(&[("c.cfg", &whole)], &haproxy_cfg::Options::sealed());
    let said: Vec<_> = loaded.diagnostics.iter().map(|d| format!("{:?}", d.problem)).collect();
    let mut config = loaded.config.unwrap_or_else(|| panic!("refused: {said:?}"));
    // Any port will do, which a file cannot say.
    config.frontends[0].binds[0].address =
        proxy::BindAddress::Inet(SocketAddr::from(([127, 0, 0, 1], 0)));
    let (listeners, problems) = Listeners::bind(&config, Vec::new()).expect("an ephemeral port");
    assert!(problems.is_empty());
    let sockets = listeners.sockets;
    let address = socket2::SockRef::from(&sockets[0].fd).local_addr().expect("bound");
    let address = address.as_socket().expect("an address");
    let shared: &'static Shared =
        Box::leak(Box::new(Shared::new(config).expect("addresses and no names")));
    let board: &'static Board =
        Box::leak(Box::new(Board::new(&shared.config).expect("no certificates")));
    super::know(shared, board);
    let (stop, mut stopped) = watch::channel(false);
    thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut worker = Worker::start(shared, board, sockets).expect("threads");
            let _ = stopped.wait_for(|stop| *stop).await;
            worker.drain(false).await
        })
    });
    Running { address, shared, log, stop }
}

impl Running {
    fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).expect("it listens");
        socket.set_read_timeout(Some(LONG)).expect("a timeout");
        socket
    }

    /// Everything that is answered to these bytes until the end.
    fn all(&self, bytes: &str) -> String {
        let mut socket = self.connect();
        socket.write_all(bytes.as_bytes()).expect("sent");
        let mut out = Vec::new();
        let _ = socket.read_to_end(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// What is answered to `GET path` of a connection of its own.
    fn get(&self, path: &str) -> String {
        self.all(&format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"))
    }

    fn line(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.log.recv(&mut buffer).expect("a line in time");
        String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned()
    }

    /// The backend, the server, the status, the letters and the request of the next line.
    fn end_of_line(&self) -> String {
        let line = self.line();
        let words: Vec<&str> = line.split(' ').collect();
        let request = line.split_once('"').map_or("", |(_, rest)| rest.trim_end_matches('"'));
        // addr [date] frontend backend/server times status bytes CC CS ts …
        format!("{} {} {} {request}", words[3], words[5], words[9])
    }
}

/// One answer of a connection that goes on, its length known.
fn one(socket: &mut TcpStream) -> String {
    let (mut held, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Ok(Some((head, length))) = http::Response::parse(&held) {
            let body = head
                .headers
                .get("content-length")
                .map_or(0, |text| String::from_utf8_lossy(text).parse().expect("a length"));
            if held.len() >= length + body {
                return String::from_utf8_lossy(&held).into_owned();
            }
        }
        let read = socket.read(&mut buffer).expect("an answer in time");
        assert_ne!(read, 0, "the connection ended: {}", String::from_utf8_lossy(&held));
        held.extend_from_slice(&buffer[..read]);
    }
}

/// A frontend with rules and a backend of one server.
fn usual() -> &'static Running {
    static RUNNING: OnceLock<Running> = OnceLock::new();
    RUNNING.get_or_init(|| {
        run(&format!(
            "userlist u
 user bob insecure-password secret
frontend f
 bind 127.0.0.1:9
 monitor-uri /monitor
 monitor fail if {{ nbsrv(none) eq 0 }} {{ hdr(x-fail) yes }}
 option forwardfor except 10.0.0.0/8
 capture request header X-Kept len 4
 http-request return status 200 content-type text/plain lf-string \"%[path] %HM %[req.hdr(a)]\" hdr x-one 1 if {{ path_beg /return }}
 http-request deny deny_status 429 if {{ path /deny }}
 http-request deny if {{ hdr(x-list) -i evil }}
 http-request redirect prefix https://h code 301 if {{ path_beg /redirect }}
 http-request redirect scheme https if {{ path /scheme }}
 http-request auth realm Inner if {{ path /auth }} !{{ http_auth(u) }}
 http-request use-service prometheus-exporter if {{ path /metrics }}
 http-request set-path /new%[path] if {{ path /old }}
 http-request replace-path /swap/(.*)/(.*) /\\2/\\1
 http-request set-header X-Src %[src]
 http-request add-header X-Add one
 http-request del-header X-Del
 http-request set-var(txn.mark) path
 http-response set-header X-Mark %[var(txn.mark)]
 http-response del-header content-type
 http-response set-status 203 reason Changed if {{ var(txn.mark) -m str /status }}
 http-after-response set-header X-After yes
 use_backend none if {{ path /none }}
 default_backend b
backend none
backend b
 http-request set-header X-Back yes
 server s {}
",
            server()
        ))
    })
}

#[test]
fn a_request_goes_to_a_server_and_its_answer_comes_back() {
    let answer = usual().get("/x?q=1");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\ncontent-length: "), "{answer}");
    for part in [
        "x-mark: /x\r\n",
        "x-after: yes\r\n",
        "connection: close\r\n",
        "|GET /x?q=1 HTTP/1.1\r\nhost: h\r\n",
        "x-src: 127.0.0.1\r\n",
        "x-add: one\r\n",
        "x-back: yes\r\n",
        "x-forwarded-for: 127.0.0.1\r\n",
    ] {
        assert!(answer.contains(part), "{part:?} in {answer}");
    }
}

#[test]
fn rules_answer_by_themselves() {
    let running = usual();
    let answer = running.get("/return/1");
    assert_eq!(
        answer,
        "HTTP/1.1 200 OK\r\ncontent-length: 14\r\ncontent-type: text/plain\r\nx-one: 1\r\nx-after: yes\r\nconnection: close\r\n\r\n/return/1 GET "
    );
    assert!(running.get("/deny").starts_with("HTTP/1.1 429 Too Many Requests\r\n"));
    let answer = running.get("/redirect?a=b");
    assert!(answer.starts_with("HTTP/1.1 301 Moved Permanently\r\n"), "{answer}");
    assert!(answer.contains("location: https://h/redirect?a=b\r\n"), "{answer}");
    assert!(!answer.contains("cache-control"), "{answer}");
    let answer = running.get("/scheme");
    assert!(
        answer.contains("location: https://h/scheme\r\ncache-control: no-cache\r\n"),
        "{answer}"
    );
    let listed = running.all("GET / HTTP/1.1\r\nX-List: good, Evil\r\nConnection: close\r\n\r\n");
    assert!(listed.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{listed}");
    let answer = running.get("/auth");
    assert!(answer.contains("www-authenticate: Basic realm=\"Inner\"\r\n"), "{answer}");
    // bob:secret
    let answer = running.all(
        "GET /auth HTTP/1.1\r\nAuthorization: Basic Ym9iOnNlY3JldA==\r\nConnection: close\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let wrong = running.all(
        "GET /auth HTTP/1.1\r\nAuthorization: Basic Ym9iOndyb25n\r\nConnection: close\r\n\r\n",
    );
    assert!(wrong.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{wrong}");
}

#[test]
fn requests_and_answers_are_rewritten() {
    let running = usual();
    assert!(running.get("/old").contains("|GET /new/old HTTP/1.1\r\n"));
    assert!(running.get("/swap/a/b").contains("|GET /b/a HTTP/1.1\r\n"));
    let answer =
        running.all("GET /x HTTP/1.1\r\nX-Del: 1\r\nX-Keep: 2\r\nConnection: close\r\n\r\n");
    assert!(answer.contains("x-keep: 2\r\n") && !answer.contains("x-del"), "{answer}");
}

#[test]
fn the_monitors_address_is_answered_here() {
    let running = usual();
    let answer = running.get("/monitor");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\ncontent-length: 58\r\ncache-control: no-cache\r\ncontent-type: text/html\r\n"), "{answer}");
    let fails = "GET /monitor HTTP/1.1\r\nX-Fail: yes\r\nConnection: close\r\n\r\n";
    assert!(running.all(fails).starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
}

#[test]
fn a_connection_carries_many_requests_and_keeps_its_server() {
    let running = usual();
    let mut socket = running.connect();
    let mut servers = Vec::new();
    for n in 0..3 {
        let body = "x".repeat(n);
        let request = format!("POST /{n} HTTP/1.1\r\nHost: h\r\nContent-Length: {n}\r\n\r\n{body}");
        socket.write_all(request.as_bytes()).expect("sent");
        let answer = one(&mut socket);
        assert!(answer.contains(&format!("|POST /{n} ")) && answer.ends_with(&body), "{answer}");
        assert!(!answer.contains("connection:"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        servers.push(body.split('|').next().expect("a number").to_owned());
    }
    assert_eq!(servers[0], servers[1]);
    assert_eq!(servers[1], servers[2]);
    // A server that has closed meanwhile is asked on another connection.
    for path in ["/once", "/after"] {
        socket
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes())
            .expect("sent");
        assert!(one(&mut socket).contains(&format!("|GET {path} ")));
    }
}

#[test]
fn requests_sent_ahead_are_answered_in_their_order() {
    let both =
        "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let answer = usual().all(both);
    let (first, second) = (answer.find("|GET /1 "), answer.find("|GET /2 "));
    assert!(first.is_some() && first < second, "{answer}");
}

#[test]
fn chunks_pass_both_ways_and_an_old_client_gets_none() {
    let running = usual();
    let request = "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nab\r\n3;e=1\r\ncde\r\n0\r\n\r\n";
    let answer = running.all(request);
    assert!(answer.contains("transfer-encoding: chunked\r\n"), "{answer}");
    assert!(answer.ends_with("0\r\n\r\n") && answer.contains("ab"), "{answer}");
    assert!(!answer.contains("e=1"), "extensions are left out: {answer}");
    let answer = running.get("/chunks");
    assert!(answer.contains("transfer-encoding: chunked\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n"), "{answer}");
    let old = running.all("GET /chunks HTTP/1.0\r\n\r\n");
    assert!(!old.contains("transfer-encoding") && old.ends_with("\r\n\r\nabc"), "{old}");
    assert!(running.get("/endless").ends_with("\r\n\r\nuntil the end"));
    let early = running.all("GET /early HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(early.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{early}");
}

#[test]
fn an_upgraded_connection_is_passed_on_as_it_is() {
    let mut socket = usual().connect();
    let request = "GET /switch HTTP/1.1\r\nHost: h\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n";
    socket.write_all(request.as_bytes()).expect("sent");
    let head = one(&mut socket);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("connection: upgrade\r\n") && head.contains("upgrade: echo\r\n"));
    socket.write_all(b"ping\0pong").expect("sent");
    let mut echo = [0; 9];
    socket.read_exact(&mut echo).expect("an echo");
    assert_eq!(&echo, b"ping\0pong");
}

#[test]
fn what_is_no_request_is_answered_and_the_connection_closed() {
    let running = usual();
    for bad in [
        "BAD\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nX : y\r\n\r\n",
    ] {
        let answer = running.all(&format!("{bad}GET /smuggled HTTP/1.1\r\n\r\n"));
        assert!(
            answer.starts_with("HTTP/1.1 400 Bad request\r\nContent-length: 90\r\n"),
            "{answer}"
        );
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "nothing follows: {answer}");
    }
}

#[test]
fn log_lines_are_those_of_httplog() {
    let running = run(&format!(
        "frontend f
 bind 127.0.0.1:9
 capture request header X-Kept len 4
 timeout http-request 200ms
 http-request return status 200 if {{ path /return }}
 http-request deny if {{ path /deny }}
 http-request tarpit if {{ path /tarpit }}
 timeout tarpit 50ms
 default_backend b
backend b
 timeout server 300ms
 server s {}
backend gone
 server s 127.0.0.1:1
",
        server()
    ));
    let cases = [
        ("/x", "200", "b/s 200 ---- GET /x HTTP/1.1"),
        ("/return", "200", "f/<NOSRV> 200 LR-- GET /return HTTP/1.1"),
        ("/deny", "403", "f/<NOSRV> 403 PR-- GET /deny HTTP/1.1"),
        ("/tarpit", "500", "f/<NOSRV> 500 PT-- GET /tarpit HTTP/1.1"),
        ("/broken", "502", "b/s 502 PH-- GET /broken HTTP/1.1"),
        ("/nothing", "502", "b/s 502 SH-- GET /nothing HTTP/1.1"),
        ("/cut", "200", "b/s 200 SD-- GET /cut HTTP/1.1"),
        ("/silent", "504", "b/s 504 sH-- GET /silent HTTP/1.1"),
    ];
    for (path, status, line) in cases {
        let answer = running.get(path);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        assert_eq!(running.end_of_line(), line, "{path}");
    }
    assert!(running.all("BAD\r\n\r\n").starts_with("HTTP/1.1 400 "));
    assert_eq!(running.end_of_line(), "f/<NOSRV> 400 PR-- <BADREQ>");
    assert!(running.all("GET /slow HTTP/1.1\r\n").starts_with("HTTP/1.1 408 "));
    assert_eq!(running.end_of_line(), "f/<NOSRV> 408 cR-- <BADREQ>");
    running.all("GET /kept HTTP/1.1\r\nX-Kept: abcdef\r\nConnection: close\r\n\r\n");
    let line = running.line();
    assert!(line.contains(" {abcd} \"GET /kept HTTP/1.1\""), "{line}");
    let traffic = &running.shared.frontends[0].traffic.http;
    assert_eq!(traffic.requests.get(), 9);
    assert_eq!((traffic.answers[2].get(), traffic.answers[5].get()), (4, 4));
    assert_eq!(traffic.denied_requests.get(), 2);
}

#[test]
fn a_backend_without_a_usable_server_is_503() {
    let running = run("listen l\n bind 127.0.0.1:9\n retries 0\n server s 127.0.0.1:1\n");
    let answer = running.get("/");
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
    assert_eq!(running.end_of_line(), "l/s 503 SC-- GET / HTTP/1.1");
}

#[test]
fn a_tcp_frontend_may_lead_to_a_backend_that_speaks_http() {
    let running = run(&format!(
        "frontend f\n mode tcp\n option tcplog\n bind 127.0.0.1:9\n default_backend b\nbackend b\n http-request set-header X-Back yes\n server s {}\n",
        server()
    ));
    let answer = running.get("/up");
    assert!(answer.contains("|GET /up HTTP/1.1\r\n") && answer.contains("x-back: yes"), "{answer}");
}

#[test]
fn a_process_that_drains_lets_idle_clients_go() {
    let running = run(&format!("listen l\n bind 127.0.0.1:9\n server s {}\n", server()));
    let mut socket = running.connect();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").expect("sent");
    one(&mut socket);
    running.stop.send_replace(true);
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).expect("an end in time");
    assert!(rest.is_empty());
}

#[test]
fn the_statistics_page_is_shown_changes_servers_and_asks_for_a_password() {
    let running = run(&format!(
        "listen l
 bind 127.0.0.1:9
 stats uri /s
 stats auth a:b
 stats refresh 7s
 stats admin if TRUE
 server one {}
 server two 127.0.0.1:1
",
        server()
    ));
    assert!(running.get("/s").starts_with("HTTP/1.1 401 Unauthorized\r\n"));
    let with = |method: &str, path: &str, more: &str, body: &str| {
        running.all(&format!(
            "{method} {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Basic YTpi\r\nContent-Length: {}\r\nConnection: close\r\n{more}\r\n{body}",
            body.len()
        ))
    };
    let page = with("GET", "/s", "", "");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("refresh: 7\r\n"), "{page}");
    assert!(page.contains("<!doctype html>") && page.contains("value=\"two\""), "{page}");
    let csv = with("GET", "/s;csv;norefresh", "", "");
    assert!(csv.contains("\r\n\r\n# pxname,svname,") && csv.contains("\nl,two,"), "{csv}");
    let id = running.shared.config.backends[0].id;
    let form = format!("s=two&action=maint&b=%23{id}");
    let evil = with("POST", "/s", "Origin: http://evil\r\n", &form);
    assert!(evil.contains("location: /s;st=DENY\r\n"), "{evil}");
    let none = with("POST", "/s", "", &format!("action=maint&b=%23{id}"));
    assert!(none.contains("location: /s;st=NONE\r\n"), "{none}");
    let bad = with("POST", "/s", "", "s=two&action=nonsense&b=%23999");
    assert!(bad.contains("location: /s;st=ERRP\r\n"), "{bad}");
}

#[test]
fn counters_for_prometheus_have_haproxys_names_and_histograms_of_our_own() {
    let running = usual();
    let text = running.get("/metrics");
    for part in [
        "content-type: text/plain; version=0.0.4\r\n",
        "# TYPE haproxy_process_nbthread gauge\nhaproxy_process_nbthread 1\n",
        "haproxy_frontend_status{proxy=\"f\",state=\"UP\"} 1\n",
        "haproxy_server_status{proxy=\"b\",server=\"s\",state=\"UP\"} 1\n",
        "haproxy_backend_http_responses_total{proxy=\"b\",code=\"2xx\"} ",
        "haproxy_backend_connect_time_seconds_bucket{proxy=\"b\",le=\"0.001\"} ",
        "haproxy_backend_session_time_seconds_count{proxy=\"b\"} ",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    let one = running.get("/metrics?scope=frontend&metrics=haproxy_frontend_status");
    assert_eq!(one.lines().filter(|line| line.starts_with("# TYPE")).count(), 1, "{one}");
    assert!(running.get("/metrics?scope=nonsense").starts_with("HTTP/1.1 400 "));
}

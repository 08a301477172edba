//! What expressions are worth, and what is known of a session: beside HAProxy. `HAPROXY` names the
//! program to compare with; otherwise the installed one is asked what it knows.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const INSTALLED: &str = "/usr/sbin/haproxy";
/// Nothing here takes longer; a test that waits so long has failed.
const LIMIT: Duration = Duration::from_secs(20);

/// HAProxy, and whether it is known to be of version 3.2 or later.
fn original() -> Option<(PathBuf, bool)> {
    if let Some(program) = std::env::var_os("HAPROXY") {
        println!("beside {}", program.display());
        return Some((program.into(), true));
    }
    if Path::new(INSTALLED).exists() {
        println!("beside {INSTALLED}");
        return Some((INSTALLED.into(), false));
    }
    println!("SKIPPED: {INSTALLED} is not installed");
    None
}

/// A running program.
struct Subject {
    child: Child,
    directory: tempfile::TempDir,
}

impl Subject {
    /// Starts a program with a file; `DIR` in the text is a directory of its own.
    fn start(program: &Path, text: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let place = directory.path().display().to_string();
        let text = format!("global\n stats socket DIR/s level admin\n{text}");
        let path = directory.path().join("h.cfg");
        std::fs::write(&path, text.replace("DIR", &place)).expect("writable");
        let mut command = Command::new(program);
        command.arg0("haproxy").arg("-db").arg("-f").arg(&path).current_dir(directory.path());
        let child = command.stdout(Stdio::null()).spawn().expect("it runs");
        let subject = Self { child, directory };
        until("it listens", || UnixStream::connect(subject.path("s")).is_ok());
        subject.ask("show version");
        subject
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The answer to a command.
    fn ask(&self, command: &str) -> String {
        let mut stream = UnixStream::connect(self.path("s")).expect("it listens");
        stream.set_read_timeout(Some(LIMIT)).expect("settable");
        stream.write_all(format!("{command}\n").as_bytes()).expect("open");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ours() -> PathBuf {
    env!("CARGO_BIN_EXE_balancerd").into()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < LIMIT, "waited for ever: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What expressions are worth, in their order: as `get var` shows them.
fn values(program: &Path, expressions: &[&str]) -> Vec<String> {
    let numbered = expressions.iter().enumerate();
    let lines: String =
        numbered.map(|(at, expression)| format!(" set-var proc.v{at} {expression}\n")).collect();
    let rest = "defaults\n mode tcp\n timeout client 9s\n timeout server 9s\n timeout connect 9s\n\
                listen l\n bind unix@DIR/l\n server s 127.0.0.1:1\n";
    let subject = Subject::start(program, &(lines + rest));
    let value = |at: usize| match subject.ask(&format!("get var proc.v{at}")).split_once(": type=")
    {
        Some((_, value)) => value.trim().to_owned(),
        None => String::new(),
    };
    (0..expressions.len()).map(value).collect()
}

#[test]
fn expressions_are_worth_what_they_are_in_haproxy() {
    let table = include_str!("data/values.txt");
    let rows: Vec<(&str, &str)> = table.lines().filter_map(|row| row.split_once(" | ")).collect();
    let expressions: Vec<&str> = rows.iter().map(|(expression, _)| *expression).collect();
    let found = values(&ours(), &expressions);
    let differ = |((expression, expected), found): (&(&str, &str), &String)| {
        (found != expected).then(|| format!("{expression}: {found} instead of {expected}"))
    };
    let wrong: Vec<_> = rows.iter().zip(&found).filter_map(differ).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let Some((program, newer)) = original() else { return };
    // Version 2.6 does not read all weights of languages.
    let only_newer = ["rfc7239", "x509", "when(", ",date", "q=0.001"];
    let known = |row: &&(&str, &str)| newer || !only_newer.iter().any(|name| row.0.contains(name));
    let known: Vec<_> = rows.iter().filter(known).collect();
    let expressions: Vec<&str> = known.iter().map(|(expression, _)| *expression).collect();
    for ((expression, expected), found) in known.iter().zip(values(&program, &expressions)) {
        assert_eq!(found, *expected, "{expression}, of the original");
    }
}

/// A server that answers what it is told, and ends when its client does.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut bytes = [0; 64];
                while let Ok(count @ 1..) = client.read(&mut bytes) {
                    let _ = client.write_all(&bytes[..count]);
                }
            });
        }
    });
    port
}

/// What is known of two sessions: one that is served, and one whose server refuses. `*` is a
/// number, `?` is not compared; the last column says since when HAProxy knows it.
const FACTS: &[(&str, &str, &str, bool)] = &[
    ("fc_http_major", "-", "-", false),
    ("bc_http_major", "-", "-", false),
    ("so_id", "7", "8", true),
    ("so_name", "hello", "bad", false),
    ("stopping", "0", "0", false),
    ("thread", "0", "0", false),
    ("bc.timer.connect", "*", "-1", true),
    ("bc_be_queue", "0", "0", true),
    ("bc_srv_queue", "0", "0", true),
    ("bc_err", "0", "-", false),
    ("bc_err_name", "-", "-", true),
    ("bc_err_str", "Success", "-", false),
    ("bc_rttvar(us)", "*", "?", true),
    ("bc_nb_streams", "1", "1", true),
    ("bc_reused", "0", "0", true),
    ("bc_settings_streams_limit", "1", "1", true),
    ("dst_conn", "1", "1", false),
    ("fc.timer.handshake", "0", "0", true),
    ("fc.timer.total", "*", "*", true),
    ("fc_err", "0", "0", false),
    ("fc_err_name", "-", "-", true),
    ("fc_err_str", "Success", "Success", false),
    ("fc_nb_streams", "1", "1", true),
    ("fc_settings_streams_limit", "1", "1", true),
    ("fe_req_rate", "0", "0", false),
    ("last_rule_file", "DIR/h.cfg", "DIR/h.cfg", false),
    ("last_rule_line", "21", "21", false),
    ("last_entity", "DIR/h.cfg:21", "DIR/h.cfg:21", true),
    ("prio_class", "0", "0", false),
    ("prio_offset", "0", "0", false),
    ("req.timer.queue", "*", "*", true),
    ("res.timer.data", "-1", "-1", true),
    ("txn.timer.total", "*", "*", true),
    ("txn.timer.user", "*", "*", true),
    ("txn.id32", "*", "*", true),
    ("txn.sess_term_state", "--", "SC", true),
    ("request_date", "*", "*", true),
    ("nbproc", "1", "1", false),
    ("fs.id", "0", "0", true),
    ("bs.id", "0", "0", true),
    ("fs.rst_code", "-", "-", true),
    ("bs.rst_code", "-", "-", true),
    ("acl(there)", "1", "1", true),
    ("acl(!there)", "0", "0", true),
    ("str(a),when(acl,there)", "a", "a", true),
    ("str(a),when(!acl,there)", "-", "-", true),
    ("str(a),when(normal)", "a", "-", true),
    ("str(a),when(error)", "-", "a", true),
    ("str(a),when(forwarded)", "a", "a", true),
    ("str(a),when(toapplet)", "-", "-", true),
    ("str(a),when(processed)", "a", "a", true),
    ("str(a),when(!stopping)", "a", "a", true),
];

/// The facts of both sessions, as a program logs them.
fn facts(program: &Path, names: &[&str]) -> [Vec<String>; 2] {
    let served = server();
    let refused = TcpListener::bind("127.0.0.1:0").expect("a port");
    let refused_port = refused.local_addr().expect("bound").port();
    drop(refused);
    let fields: Vec<_> = names.iter().map(|name| format!("%[{name}]")).collect();
    let format = fields.join("@");
    let text = format!(
        " log DIR/l len 8192 format raw local0\n nbthread 1\n\
         defaults\n mode tcp\n log global\n timeout client 9s\n timeout server 8s\n \
         timeout connect 7s\n timeout queue 6s\n retries 2\n\
         frontend fe\n bind unix@DIR/one name hello id 7\n bind unix@DIR/two name bad\n \
         acl there always_true\n acl spoken req.len gt 0\n \
         tcp-request inspect-delay 5s\n tcp-request content set-var(sess.x) int(1)\n\
         # the rule that decides stands in line 21\n tcp-request content accept if spoken\n \
         use_backend refused if {{ so_name bad }}\n default_backend served\n \
         log-format \"{format}\"\n\
         backend served\n server s 127.0.0.1:{served}\n\
         backend refused\n retries 0\n server s 127.0.0.1:{refused_port}\n"
    );
    let subject = Subject::start(program, &text);
    // Without a listener lines are lost: nothing is logged before there is a session.
    let log = UnixDatagram::bind(subject.path("l")).expect("a socket");
    log.set_read_timeout(Some(LIMIT)).expect("settable");
    let place = subject.directory.path().display().to_string();
    ["one", "two"].map(|name| {
        let mut client = UnixStream::connect(subject.path(name)).expect("it listens");
        client.set_read_timeout(Some(LIMIT)).expect("settable");
        client.write_all(b"hi").expect("open");
        let _ = client.read(&mut [0; 2]);
        drop(client);
        let mut line = [0; 16 * 1024];
        loop {
            let count = log.recv(&mut line).expect("a line");
            let text = String::from_utf8_lossy(&line[..count]);
            let values: Vec<_> =
                text.trim_end().split('@').map(|one| one.replace(&place, "DIR")).collect();
            if values.len() == names.len() {
                break values;
            }
        }
    })
}

#[test]
fn what_is_known_of_a_session_is_what_haproxy_knows() {
    let check = |program: &Path, rows: &[&(&str, &str, &str, bool)]| {
        let names: Vec<&str> = rows.iter().map(|row| row.0).collect();
        let [served, refused] = facts(program, &names);
        for (at, (name, good, bad, _)) in rows.iter().enumerate() {
            for (expected, found) in [(good, &served[at]), (bad, &refused[at])] {
                let fits = match *expected {
                    "*" => found.parse::<u64>().is_ok(),
                    "?" => true,
                    text => found == text,
                };
                assert!(fits, "{}: {name} is {found}, not {expected}", program.display());
            }
        }
    };
    let all: Vec<_> = FACTS.iter().collect();
    check(&ours(), &all);
    let Some((program, newer)) = original() else { return };
    let known: Vec<_> = FACTS.iter().filter(|row| newer || !row.3).collect();
    check(&program, &known);
}

/// A socket that log lines are sent to.
fn log_of(subject: &Subject) -> UnixDatagram {
    let log = UnixDatagram::bind(subject.path("l")).expect("a socket");
    log.set_read_timeout(Some(LIMIT)).expect("settable");
    log
}

/// The next line that begins with a word.
fn line(log: &UnixDatagram, begins: &str) -> String {
    let mut bytes = [0; 16 * 1024];
    loop {
        let count = log.recv(&mut bytes).expect("a line");
        let text = String::from_utf8_lossy(&bytes[..count]);
        if text.starts_with(begins) {
            return text.trim_end().to_owned();
        }
    }
}

/// The same case in ours and in the original, if that knows it.
fn beside(newer_only: bool, case: impl Fn(&Path)) {
    case(&ours());
    if let Some((program, newer)) = original()
        && (newer || !newer_only)
    {
        case(&program);
    }
}

const TCP: &str = "defaults\n mode tcp\n log global\n timeout client 9s\n timeout server 9s\n \
                   timeout connect 9s\n";

/// What a connection begins with, and what is said of it: number and words.
fn first_bytes() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let v4 = [0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 9, 198, 51, 100, 1];
    let segment = [0x0f, 0xa0, 1, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0, 0, 0, 0, 0, 0, 0];
    let head = |magic: u32| [magic.to_be_bytes(), 40_u32.to_be_bytes()].concat();
    let no_ip = [&head(1234)[..], &[0x55], &v4[1..], &segment].concat();
    vec![
        ("p", vec![], "11|Connection closed while waiting for PROXY protocol header|PR"),
        (
            "p",
            b"GET / HTTP/1.0\r\n\r\n".to_vec(),
            "15|Received something which does not look like a PROXY protocol header|PR",
        ),
        ("p", b"PROXY TCP4 1.2".to_vec(), "14|Truncated PROXY protocol header received|PR"),
        (
            "p",
            b"PROXY TCP4 1.2.3.4 x\r\n".to_vec(),
            "16|Received an invalid PROXY protocol header|PR",
        ),
        (
            "p",
            b"PROXY TCP9 1.2.3.4 1.2.3.4 1 2\r\n".to_vec(),
            "17|Received an unhandled protocol in the PROXY protocol header|PR",
        ),
        ("n", vec![], "18|Connection closed while waiting for NetScaler Client IP header|PR"),
        (
            "n",
            [&head(7)[..], &v4, &segment].concat(),
            "22|Received an invalid NetScaler Client IP magic number|PR",
        ),
        (
            "n",
            [&head(1234)[..], &v4].concat(),
            "21|Truncated NetScaler Client IP header received|PR",
        ),
        ("n", no_ip, "23|Received an unhandled protocol in the NetScaler Client IP header|PR"),
        ("n", [&head(1234)[..], &v4, &segment, b"hi"].concat(), "192.0.2.9:4000 198.51.100.1:443"),
    ]
}

#[test]
fn who_becomes_no_session_is_logged_by_error_log_format() {
    let text = format!(
        " log DIR/l len 4096 format raw local0\n{TCP}listen fe\n \
         bind unix@DIR/p accept-proxy\n bind unix@DIR/n accept-netscaler-cip 1234\n \
         error-log-format \"E %[fc_err]|%[fc_err_str]|%ts\"\n \
         log-format \"E %[src]:%[src_port] %[dst]:%[dst_port]\"\n server s 127.0.0.1:{}\n",
        server()
    );
    beside(false, |program| {
        let subject = Subject::start(program, &text);
        let log = log_of(&subject);
        for (socket, bytes, said) in first_bytes() {
            let mut client = UnixStream::connect(subject.path(socket)).expect("it listens");
            client.write_all(&bytes).expect("open");
            client.shutdown(std::net::Shutdown::Write).expect("open");
            let expected = format!("E {said}");
            assert_eq!(line(&log, "E "), expected, "{}: {bytes:?}", program.display());
        }
    });
}

#[test]
fn structured_data_stands_in_lines_of_rfc_5424() {
    let text = format!(
        " log DIR/l format rfc5424 local0\n{TCP}listen fe\n bind unix@DIR/a\n \
         log-format-sd \"[x@1 who=\\\"%[str(a),upper]\\\" n=\\\"%B\\\"]\"\n \
         log-format \"L %ts\"\n server s 127.0.0.1:{}\n",
        server()
    );
    beside(false, |program| {
        let subject = Subject::start(program, &text);
        let log = log_of(&subject);
        let mut client = UnixStream::connect(subject.path("a")).expect("it listens");
        client.write_all(b"hi").expect("open");
        client.read_exact(&mut [0; 2]).expect("an echo");
        drop(client);
        let line = line(&log, "<134>1 ");
        let rest = line.split_once(" - [").map(|(_, rest)| rest);
        assert_eq!(rest, Some("x@1 who=\"A\" n=\"2\"] L --"), "{}: {line}", program.display());
    });
}

#[test]
fn variables_are_set_if_their_conditions_hold() {
    let rules = [
        ("txn.a,ifset", "int(1)", "-"),
        ("txn.a,ifnotset", "int(5)", "5"),
        ("txn.a,ifnotset", "int(6)", "5"),
        ("txn.a,ifgt", "int(7)", "5"),
        ("txn.a,ifgt", "int(4)", "4"),
        ("txn.a,iflt", "int(3)", "4"),
        ("txn.a,iflt,ifset", "int(9)", "9"),
        ("txn.a,ifempty", "str()", ""),
        ("txn.a,ifnotempty", "str()", ""),
        ("txn.a,ifnotempty", "str(x)", "x"),
        ("txn.a,iflt", "int(2)", "2"),
    ];
    let mut lines = String::new();
    for (at, (condition, value, _)) in rules.iter().enumerate() {
        lines += &format!(
            " tcp-request content set-var({condition}) {value}\n \
             tcp-request content set-var(txn.r{at}) var(txn.a)\n"
        );
    }
    let shown: Vec<_> = (0..rules.len()).map(|at| format!("%[var(txn.r{at})]")).collect();
    let text = format!(
        " log DIR/l format raw local0\n{TCP}listen fe\n bind unix@DIR/a\n{lines} \
         log-format \"V {}\"\n server s 127.0.0.1:{}\n",
        shown.join("/"),
        server()
    );
    let expected: Vec<_> =
        rules.iter().map(|(.., now)| if now.is_empty() { "-" } else { *now }).collect();
    beside(false, |program| {
        let subject = Subject::start(program, &text);
        let log = log_of(&subject);
        let mut client = UnixStream::connect(subject.path("a")).expect("it listens");
        client.write_all(b"hi").expect("open");
        client.read_exact(&mut [0; 2]).expect("an echo");
        drop(client);
        let expected = format!("V {}", expected.join("/"));
        assert_eq!(line(&log, "V "), expected, "{}", program.display());
    });
}

#[test]
fn who_waits_is_served_by_class_and_then_by_offset() {
    let text = format!(
        " log DIR/l format raw local0\n{TCP} timeout queue 9s\nlisten fe\n bind unix@DIR/a\n \
         tcp-request inspect-delay 9s\n tcp-request content reject if !{{ req.len ge 2 }}\n \
         tcp-request content set-priority-class req.payload(0,1),hex,sub(35)\n \
         tcp-request content set-priority-offset req.payload(1,1),hex,sub(35),mul(100000)\n \
         log-format \"P %[prio_class]/%[prio_offset]\"\n server s 127.0.0.1:{} maxconn 1\n",
        server()
    );
    beside(false, |program| {
        let subject = Subject::start(program, &text);
        let log = log_of(&subject);
        let visit = |bytes: &[u8]| {
            let mut client = UnixStream::connect(subject.path("a")).expect("it listens");
            client.set_read_timeout(Some(LIMIT)).expect("settable");
            client.write_all(bytes).expect("open");
            client
        };
        let mut first = visit(b"55");
        first.read_exact(&mut [0; 2]).expect("an echo");
        let waiting: Vec<_> = [b"65", b"56", b"55", b"45", b"54"]
            .iter()
            .enumerate()
            .map(|(at, bytes)| {
                let client = visit(*bytes);
                let queued = format!("{}", at + 1);
                until("it waits", || {
                    let stat = subject.ask("show stat fe 2 -1");
                    let backend = stat.lines().find(|line| line.starts_with("fe,BACKEND,"));
                    backend.and_then(|line| line.split(',').nth(2)) == Some(queued.as_str())
                });
                client
            })
            .collect();
        drop(first);
        line(&log, "P 0/0");
        let mut waiting: Vec<_> = waiting.into_iter().map(Some).collect();
        for (at, expected) in
            [(3, "P -1/0"), (4, "P 0/-100000"), (2, "P 0/0"), (1, "P 0/100000"), (0, "P 1/0")]
        {
            let mut client = waiting[at].take().expect("still there");
            client.read_exact(&mut [0; 2]).expect("it is its turn");
            drop(client);
            assert_eq!(line(&log, "P "), expected, "{}", program.display());
        }
    });
}

#[test]
fn retries_are_what_a_rule_says() {
    let refused = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = refused.local_addr().expect("bound").port();
    drop(refused);
    let text = format!(
        " log DIR/l format raw local0\n{TCP} timeout connect 10ms\n retries 0\n\
         listen fe\n bind unix@DIR/a\n tcp-request content set-retries 2\n \
         log-format \"R %rc %ts\"\n server s 127.0.0.1:{port}\n"
    );
    beside(true, |program| {
        let subject = Subject::start(program, &text);
        let log = log_of(&subject);
        let mut client = UnixStream::connect(subject.path("a")).expect("it listens");
        client.write_all(b"hi").expect("open");
        assert_eq!(line(&log, "R "), "R 2 SC", "{}", program.display());
    });
}

#[test]
fn rules_change_the_lists_of_maps_and_acls() {
    let text = " log DIR/l format raw local0\ndefaults\n mode http\n log global\n \
                timeout client 9s\n timeout server 9s\n timeout connect 9s\n\
                frontend fe\n bind unix@DIR/a\n \
                http-request set-map(DIR/m) %[url_param(k)] %[url_param(v)] if { path /set }\n \
                http-request del-map(DIR/m) %[url_param(k)] if { path /del }\n \
                http-request add-acl(DIR/x) %[url_param(k)] if { path /add }\n \
                http-request del-acl(DIR/x) %[url_param(k)] if { path /rem }\n \
                http-request set-var(txn.a) url_param(k),map(DIR/m,none)\n \
                acl there url_param(k) -f DIR/x\n \
                http-request return status 200 content-type text/plain lf-string \
                \"%[var(txn.a)]/%[url_param(k),map_str(DIR/m,none)]\" if { path_beg / }\n";
    let steps = [
        ("/set?k=one&v=1", "1/1"),
        ("/set?k=one&v=2", "2/2"),
        ("/set?k=two&v=7", "7/7"),
        ("/see?k=old", "o/o"),
        ("/del?k=one", "none/none"),
        ("/del?k=one", "none/none"),
        ("/add?k=two", "7/7"),
        ("/add?k=two", "7/7"),
        ("/rem?k=first", "none/none"),
    ];
    beside(false, |program| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let place = directory.path().display().to_string();
        std::fs::write(directory.path().join("m"), "old o\n").expect("writable");
        std::fs::write(directory.path().join("x"), "first\n").expect("writable");
        let text =
            text.replace("DIR/m", &format!("{place}/m")).replace("DIR/x", &format!("{place}/x"));
        let subject = Subject::start(program, &text);
        for (path, expected) in steps {
            let mut client = UnixStream::connect(subject.path("a")).expect("it listens");
            client.set_read_timeout(Some(LIMIT)).expect("settable");
            let request = format!("GET {path} HTTP/1.0\r\n\r\n");
            client.write_all(request.as_bytes()).expect("open");
            let mut answer = String::new();
            client.read_to_string(&mut answer).expect("text");
            let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
            assert_eq!(body, Some(expected), "{}: {path}", program.display());
        }
        let keys = |list: &str| {
            let shown = subject.ask(&format!("show {list}"));
            let words = shown.lines().filter_map(|line| line.split_once(' ').map(|(_, rest)| rest));
            words.map(str::to_owned).collect::<Vec<_>>().join(",")
        };
        assert_eq!(keys(&format!("map {place}/m")), "old o,two 7", "{}", program.display());
        assert_eq!(keys(&format!("acl {place}/x")), "two", "{}", program.display());
    });
}

#[test]
fn timeouts_are_what_a_rule_says() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("bound").port();
    let text = format!(
        " log DIR/l format raw local0\ndefaults\n mode http\n log global\n timeout client 9s\n \
         timeout server 9s\n timeout connect 9s\nlisten fe\n bind unix@DIR/a\n \
         http-request set-timeout server 60ms\n \
         log-format \"T %[cur_server_timeout] %ST %ts\"\n server s 127.0.0.1:{port}\n"
    );
    beside(false, |program| {
        let subject = Subject::start(program, &text);
        let log = log_of(&subject);
        let mut client = UnixStream::connect(subject.path("a")).expect("it listens");
        client.set_read_timeout(Some(LIMIT)).expect("settable");
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("open");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("text");
        assert_eq!(line(&log, "T "), "T 60 504 sH", "{}", program.display());
    });
}

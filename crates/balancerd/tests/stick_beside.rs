//! Stick tables and peers, beside HAProxy where it is installed.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

mod original;

/// Nothing here takes longer; a test that waits so long has failed.
const LIMIT: Duration = Duration::from_secs(20);
const DEFAULTS: &str = "defaults\n mode tcp\n timeout client 9s\n timeout server 9s\n \
                        timeout connect 9s\n retries 1\n option redispatch\n";

/// An address of this machine that no other test has.
fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = std::process::id() * 32 + NEXT.fetch_add(1, Ordering::Relaxed);
    Ipv4Addr::from(0x7f00_0000 | (number & 0x00ff_ffff))
}

/// A server that says its letter and closes.
fn server(letter: u8) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.write_all(&[letter]);
        }
    });
    address
}

/// A running program.
struct Subject {
    child: Child,
    socket: PathBuf,
    _directory: tempfile::TempDir,
}

impl Subject {
    /// Starts ours (`false`) or the original; `SOCKET` in the text is that of its runtime API.
    fn start(original: bool, text: &str, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let socket = directory.path().join("s");
        let text = format!("global\n stats socket {} level admin\n{text}", socket.display());
        let path = directory.path().join("h.cfg");
        std::fs::write(&path, text).expect("writable");
        let ours = Path::new(env!("CARGO_BIN_EXE_balancerd"));
        let program = if original { original::path().expect("there is one") } else { ours };
        let mut command = Command::new(program);
        command.arg0("haproxy").args(["-db", "-f"]).arg(&path).args(arguments);
        let child = command.stderr(Stdio::inherit()).spawn().expect("it runs");
        let subject = Self { child, socket, _directory: directory };
        until("it listens", || UnixStream::connect(&subject.socket).is_ok());
        // Once it answers, it has bound all that it binds.
        subject.ask("show version");
        subject
    }

    /// The answer to a command.
    fn ask(&self, command: &str) -> String {
        let mut stream = UnixStream::connect(&self.socket).expect("it listens");
        stream.set_read_timeout(Some(LIMIT)).expect("settable");
        stream.write_all(format!("{command}\n").as_bytes()).expect("open");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        answer
    }

    /// As [`ask`](Self::ask), without what differs from one run to the next.
    fn table(&self, command: &str) -> String {
        plain(&self.ask(command))
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Without addresses in memory and the shards 2.6 does not have, and with times of life in thirds
/// of a minute.
fn plain(answer: &str) -> String {
    let word = |word: &str| {
        if word.starts_with("0x") {
            return "0x:".to_owned();
        }
        match word.strip_prefix("exp=").and_then(|n| n.parse::<u64>().ok()) {
            // A moment more or less makes no difference: HAProxy's clock may be late by one.
            Some(millis) => format!("exp={}", (millis + 5_000) / 20_000),
            None => word.to_owned(),
        }
    };
    let line = |line: &str| {
        let words = line.split(' ').filter(|word| *word != "shard=0");
        words.map(word).collect::<Vec<_>>().join(" ")
    };
    let mut lines: Vec<String> = answer.lines().map(line).collect();
    // Entries stand in the order of their keys, or of hashes of them.
    let entry = |line: &String| line.starts_with("0x: key=");
    lines.chunk_by_mut(|one, next| entry(one) && entry(next)).for_each(<[_]>::sort);
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < LIMIT, "waited for ever: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn has_original() -> bool {
    original::original().is_some()
}

/// What a connection is answered with; nothing if it is refused or broken off.
fn visit(to: SocketAddr) -> Option<u8> {
    let mut stream = TcpStream::connect_timeout(&to, LIMIT).ok()?;
    stream.set_read_timeout(Some(LIMIT)).expect("settable");
    let mut byte = [0];
    matches!(stream.read(&mut byte), Ok(1)).then_some(byte[0])
}

#[test]
fn tables_are_shown_set_and_cleared_as_by_haproxy() {
    if !has_original() {
        return;
    }
    let text = format!(
        "{DEFAULTS}backend ip\n stick-table type ip size 4 expire 1m store \
         conn_cnt,conn_cur,conn_rate(60s),sess_cnt,bytes_in_cnt,gpc0,gpt0,server_id,server_key,\
         gpc1_rate(5s)\nbackend text\n stick-table type string len 10 size 1m expire 1h store \
         gpc(3),gpt(2),gpc_rate(2,10s),conn_cnt\nbackend number\n stick-table type integer size \
         100 nopurge\nbackend bytes\n stick-table type binary len 8 size 100 store server_id\n\
         backend six\n stick-table type ipv6 size 1k expire 1d\n"
    );
    // What 2.6 says otherwise, or does not know.
    let newer = [
        "show table ip zork",
        "set table number key zork",
        "set table number key -1",
        "set table number key 7x",
        "set table number key 4294967296",
        "show table number",
        "set table",
        "set table ip zork",
        "set table ip key zork",
        "set table ip key 192.0.2.3 data.conn_cnt 1",
        "show table ip key zork",
        "clear table",
        "clear table ip zork",
        "clear table ip key zork",
        "set table six key 192.0.2.1",
        "show table six",
        "clear table ip",
        "set table ip key ::ffff:192.0.2.9",
        "set table ip key 2002:c000:0201::",
        "set table ip key 2001:db8::1",
        "show table ip",
        "show table ip ptr",
        "show table ip ptr zork",
        "show table ip ptr 0x1",
        "set table ip ptr 0x1 data.gpc0 1",
        "clear table ip ptr 0x1",
        "set table text key x data.gpc[1] 3",
        "set table text key x data.gpc[3] 3",
        "set table text key x data.conn_cnt[0] 3",
        "show table text data.gpc[1] gt 0",
        "show table text data.gpc[1] gt 3",
    ];
    let commands = [
        "show table",
        "show table ip",
        "show table zork",
        "show table ip key",
        "set table ip key 192.0.2.1 data.conn_cnt 3 data.conn_rate 9 data.conn_cur 2",
        "set table ip key 192.0.2.2 data.gpc0 300 data.bytes_in_cnt 5000000000",
        "set table ip key 192.0.2.2 data.gpc0 -1",
        "set table ip key 192.0.2.2 data.zork 1",
        "set table ip key 192.0.2.2 data.gpc0",
        "set table ip key 192.0.2.2 data.gpc0 1x",
        "set table ip key 192.0.2.2 data.server_key s1",
        "set table ip key 192.0.2.2 zork 1",
        "set table ip key 192.0.2.2 data.sess_rate 1",
        "show table ip",
        "show table ip key 192.0.2.1",
        "show table ip key 192.0.2.9",
        "show table ip data.conn_cnt gt 2",
        "show table ip data.conn_cnt gt 2 data.conn_rate le 9",
        "show table ip data.conn_cnt gt 2 data.conn_rate lt 9",
        "show table ip data.conn_cnt gt",
        "show table ip data.conn_cnt",
        "show table ip data.conn_cnt zz 1",
        "show table ip data.zork eq 1",
        "show table ip data.sess_rate eq 1",
        "clear table ip data.conn_cnt eq 3",
        "show table ip",
        "clear table ip key 192.0.2.2",
        "clear table ip key 192.0.2.2",
        "show table ip",
        "set table text key hello data.gpc 1 data.conn_cnt 2",
        "set table text key much-too-long data.gpt 1",
        "set table text key a\\ b=c",
        "set table text key a\\\\b",
        "set table text key é\"",
        "set table text key x data.gpc0 1",
        "show table text",
        "show table text data.gpc gt 0",
        "set table number key 5",
        "set table number key 256",
        "set table number key 1 data.gpc0 4",
        "show table number",
        "set table bytes key abc",
        "show table bytes key abc",
        "clear table bytes key abc",
        // 3.2 has refused the key and made an entry of it all the same.
        "clear table bytes",
        "show table bytes",
        "set table six key ::1",
        "set table six key 2001:db8::1",
        "show table six",
        "set table zork",
        "set table ip",
        "set table ip key",
        "set table ip data.gpc0 1",
        "clear table zork",
        "clear table text",
        "show table",
    ];
    let (ours, theirs) = (Subject::start(false, &text, &[]), Subject::start(true, &text, &[]));
    let newer = newer.iter().filter(|_| original::original().is_some_and(|it| it.since(3, 2)));
    for command in commands.iter().chain(newer) {
        assert_eq!(ours.table(command), theirs.table(command), "{command}");
    }
}

#[test]
fn an_entry_is_found_by_what_stands_before_its_colon() {
    let text = "backend t\n stick-table type ip size 9 store gpc0\n";
    let newer = original::original().filter(|it| it.since(3, 2)).is_some();
    for original in [Some(false), newer.then_some(true)].into_iter().flatten() {
        let subject = Subject::start(original, text, &[]);
        for last in 1..=3 {
            subject.ask(&format!("set table t key 192.0.2.{last}"));
        }
        let shown = subject.ask("show table t key 192.0.2.2");
        let line = shown.lines().nth(1).expect("an entry");
        let pointer = line.split(':').next().expect("an address");
        assert_eq!(subject.ask(&format!("set table t ptr {pointer} data.gpc0 7")), "\n");
        let shown = subject.ask(&format!("show table t ptr {pointer}"));
        assert!(shown.contains(" key=192.0.2.2 ") && shown.contains(" gpc0=7"), "{shown}");
        assert_eq!(subject.ask(&format!("clear table t ptr {pointer}")), "\n");
        let left = subject.ask("show table t");
        assert!(left.contains("used:2") && !left.contains("192.0.2.2 "), "{left}");
    }
}

#[test]
fn connections_count_and_stick_as_in_haproxy() {
    let run = |original: bool| {
        let (a, b, front) = (server(b'a'), server(b'b'), SocketAddr::from((own_address(), 8_000)));
        let text = format!(
            "{DEFAULTS}frontend f\n bind {front}\n stick-table type ip size 9 expire 1m store \
             conn_cnt,conn_cur,conn_rate(60s),sess_cnt,sess_rate(60s),bytes_in_cnt,bytes_out_cnt,\
             gpc0,gpc0_rate(60s),gpt0\n tcp-request connection reject if {{ src_conn_cnt(f) ge 5 }}\n \
             tcp-request connection track-sc0 src\n tcp-request connection sc-set-gpt0(0) 7\n \
             tcp-request session sc-inc-gpc0(0)\n tcp-request content track-sc1 dst_port table port\n \
             tcp-request content reject if {{ sc0_conn_cnt ge 4 }} {{ sc0_inc_gpc0 gt 0 }}\n \
             default_backend b\nbackend port\n stick-table type integer size 9 store \
             conn_cnt,sess_cnt,conn_cur\nbackend b\n stick-table type ip size 9 expire 1m\n \
             stick on src\n server a {a}\n server b {b}\n"
        );
        let subject = Subject::start(original, &text, &[]);
        let answers: Vec<_> = (0..6).map(|_| visit(front)).collect();
        let idle = |table| subject.ask(&format!("show table {table}")).contains(" use=0 ");
        until("all have ended", || idle("f") && idle("port"));
        let tables: Vec<_> =
            ["f", "port", "b"].iter().map(|t| subject.table(&format!("show table {t}"))).collect();
        (answers, tables.join(""))
    };
    let (answers, ours) = run(false);
    assert_eq!(answers, [Some(b'a'), Some(b'a'), Some(b'a'), None, None, None]);
    for part in [
        "key=127.0.0.1 use=0 exp=3 gpt0=7 gpc0=5 gpc0_rate(60000)=5 conn_cnt=5 conn_rate(60000)=5",
        " conn_cur=0 sess_cnt=5 sess_rate(60000)=5 bytes_in_cnt=0 bytes_out_cnt=3",
        "key=8000 use=0 exp=0 conn_cnt=5 conn_cur=0 sess_cnt=0",
        "server_id=1 server_key=a",
    ] {
        assert!(ours.contains(part) || has_original(), "{part} in\n{ours}");
    }
    if has_original() {
        assert_eq!(run(true), (answers, ours));
    }
}

/// Expressions whose numbers are written into tags of the first counter's entry.
const EXPRESSIONS: [&str; 50] = [
    "sc_conn_cnt(0)",
    "sc0_conn_cnt",
    "sc_conn_cur(0)",
    "sc0_conn_rate",
    "sc_sess_cnt(0)",
    "sc_sess_rate(0)",
    "sc_bytes_in_rate(0)",
    "sc_kbytes_out(0)",
    "sc_get_gpc0(0)",
    "sc_inc_gpc0(0)",
    "sc0_inc_gpc0",
    "sc_gpc0_rate(0)",
    "sc_clr_gpc0(0)",
    "sc_get_gpc0(0)",
    "sc_tracked(0)",
    "sc_tracked(2)",
    "sc_trackers(0)",
    "sc_trackers(2)",
    "sc_conn_cnt(2)",
    "sc_conn_cnt(7)",
    "sc_http_req_cnt(0)",
    "sc0_conn_cnt(other)",
    "sc_conn_cnt(0,other)",
    "src_conn_cnt(other)",
    "src_inc_gpc0(other)",
    "src_inc_gpc0(other)",
    "src_get_gpc0(other)",
    "src_gpc0_rate(other)",
    "src_clr_gpc0(other)",
    "src_get_gpt0(other)",
    "src_updt_conn_cnt(other)",
    "src_conn_cnt(other)",
    "src_conn_cnt(empty)",
    "src_sess_cnt(empty)",
    "table_cnt(other)",
    "table_avl(other)",
    "src,in_table(other)",
    "src,in_table(empty)",
    "src,table_conn_cnt(other)",
    "src,table_conn_cnt(empty)",
    "src,table_gpc0(other)",
    "src,table_gpt(1,f)",
    "src,table_expire(empty,7)",
    "src,table_idle(empty,9)",
    "src,table_trackers(f)",
    "src,table_server_id(other)",
    "dst_port,in_table(many)",
    "sc_inc_gpc(1,1)",
    "sc_get_gpc(1,1)",
    "sc_clr_gpc(1,1)",
];

#[test]
fn fetches_and_converters_of_tables_find_what_haproxys_find() {
    let run = |original: bool| {
        let (a, front) = (server(b'a'), SocketAddr::from((own_address(), 8_000)));
        let rules = EXPRESSIONS.iter().enumerate().map(|(at, expression)| {
            format!(" tcp-request content sc-set-gpt({at},0) {expression}\n")
        });
        let rules: String = rules.collect();
        let text = format!(
            "{DEFAULTS}frontend f\n bind {front}\n stick-table type ip size 9 expire 1m store \
             conn_cnt,conn_cur,conn_rate(60s),sess_cnt,sess_rate(60s),bytes_in_rate(60s),\
             bytes_out_cnt,gpc0,gpc0_rate(60s),gpt(60)\n tcp-request connection track-sc0 src\n \
             tcp-request content track-sc1 dst_port table many\n{rules} default_backend b\n\
             backend other\n stick-table type ip size 5 expire 1m store \
             conn_cnt,gpc0,gpc0_rate(60s),gpt0\nbackend empty\n stick-table type ip size 5 store \
             conn_cnt\nbackend many\n stick-table type integer size 5 store gpc(3),\
             gpc_rate(2,60s)\nbackend b\n server a {a}\n"
        );
        let subject = Subject::start(original, &text, &[]);
        let mut tables = String::new();
        for _ in 0..2 {
            assert_eq!(visit(front), Some(b'a'));
            let idle = || subject.ask("show table f").contains(" use=0 ");
            until("it has ended", idle);
            for table in ["f", "other", "empty", "many"] {
                tables += &subject.table(&format!("show table {table}"));
            }
        }
        // A line each, to be read when they differ.
        tables.replace(' ', "\n")
    };
    let ours = run(false);
    assert!(ours.contains("gpt9=1\n") && ours.contains("gpt30=1\n"), "{ours}");
    if let Some(original) = original::original() {
        let mut theirs = run(true);
        if !original.since(3, 2) {
            // It held the entry while it looked, and counted itself.
            let at = EXPRESSIONS.iter().position(|one| one.contains("table_trackers"));
            let cell = at.expect("there");
            theirs = theirs.replace(&format!("gpt{cell}=2\n"), &format!("gpt{cell}=1\n"));
        }
        let differ = |(ours, theirs): &(&str, &str)| ours != theirs;
        let all: Vec<_> = ours.lines().zip(theirs.lines()).filter(differ).collect();
        assert_eq!(all, [], "{ours}");
        assert_eq!(ours, theirs);
    }
}

#[test]
fn a_client_goes_elsewhere_when_its_server_is_gone_and_stays_there() {
    let run = |original: bool, extra: &str| {
        let (b, front) = (server(b'b'), SocketAddr::from((own_address(), 8_000)));
        // Nobody listens there.
        let gone = SocketAddr::from((own_address(), 9));
        let text = format!(
            "{DEFAULTS}listen l\n bind {front}\n stick-table type ip size 9 expire 1m\n stick on \
             src\n {extra}\n server gone {gone}\n server b {b}\n"
        );
        let subject = Subject::start(original, &text, &[]);
        let answers = [visit(front), visit(front)];
        (answers, subject.table("show table l"))
    };
    let original = has_original();
    for extra in ["", "option persist", "force-persist if TRUE", "balance first"] {
        let (answers, table) = run(false, extra);
        // Who insists on a server gets no other one.
        let first = Some(b'b').filter(|_| !extra.starts_with("force"));
        assert_eq!(answers, [first, Some(b'b')], "{extra}");
        assert!(table.contains("server_id=2 server_key=b"), "{extra}: {table}");
        if original {
            assert_eq!(run(true, extra), (answers, table), "{extra}");
        }
    }
}

#[test]
fn requests_of_http_count_as_in_haproxy() {
    let run = |original: bool| {
        let front = SocketAddr::from((own_address(), 8_000));
        let text = format!(
            "defaults\n mode http\n timeout client 9s\n timeout server 9s\n timeout connect 9s\n\
             frontend f\n bind {front}\n stick-table type ip size 9 expire 1m store \
             conn_cnt,conn_cur,sess_cnt,http_req_cnt,http_req_rate(60s),http_err_cnt,gpc0\n \
             tcp-request connection track-sc0 src\n http-request track-sc1 path table paths\n \
             http-request sc-inc-gpc0(0) if {{ path /a }}\n \
             http-request deny if {{ sc_http_req_cnt(0) gt 3 }}\n http-request return status 200\n\
             backend paths\n stick-table type string len 20 size 9 store \
             conn_cnt,conn_cur,http_req_cnt,http_err_cnt\n"
        );
        let subject = Subject::start(original, &text, &[]);
        let mut stream = TcpStream::connect(front).expect("it listens");
        stream.set_read_timeout(Some(LIMIT)).expect("settable");
        let mut statuses = Vec::new();
        for path in ["/a", "/b", "/a", "/c"] {
            let close = if path == "/c" { "Connection: close\r\n" } else { "" };
            let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n{close}\r\n");
            stream.write_all(request.as_bytes()).expect("open");
            let mut status = [0; 12];
            stream.read_exact(&mut status).expect("an answer");
            statuses.push(String::from_utf8_lossy(&status[9..]).into_owned());
            if status[9] == b'2' {
                let mut rest = Vec::new();
                while !rest.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).expect("the head");
                    rest.push(byte[0]);
                }
            }
        }
        drop(stream);
        let idle = |table| subject.ask(&format!("show table {table}")).contains(" use=1 ");
        until("all have ended", || !idle("f") && !idle("paths"));
        (statuses, subject.table("show table f") + &subject.table("show table paths"))
    };
    let (statuses, ours) = run(false);
    assert_eq!(statuses, ["200", "200", "200", "403"], "{ours}");
    assert!(ours.contains("http_req_cnt=4 http_req_rate(60000)=4"), "{ours}");
    if has_original() {
        assert_eq!(run(true), (statuses, ours));
    }
}

/// Two peers with a table each of several kinds; `own` is who the file is for.
fn peers(a: SocketAddr, b: SocketAddr, own: &str) -> String {
    format!(
        " localpeer {own}\n{DEFAULTS}peers mp\n peer A {a}\n peer B {b}\n table text type string \
         len 10 size 100 expire 1h store conn_cnt,conn_rate(60s),gpc(2),gpc_rate(2,60s)\nbackend \
         ip\n stick-table type ip size 100 expire 1m peers mp store \
         server_id,gpc0,gpt0,gpc0_rate(60s),bytes_in_cnt\nbackend number\n stick-table type \
         integer size 100 peers mp store conn_cur\nbackend six\n stick-table type ipv6 size 9 \
         peers mp store server_key\nbackend bytes\n stick-table type binary len 3 size 9 peers mp\n"
    )
}

/// Whether the tables of both hold the same, but for what is only of one process.
fn same(one: &Subject, other: &Subject) -> bool {
    let tables = |subject: &Subject| {
        ["mp/text", "ip", "number", "six"].map(|t| subject.table(&format!("show table {t}")))
    };
    tables(one) == tables(other)
}

fn exchange(first_original: bool, second_original: bool) {
    let address = own_address();
    let (a, b) = (SocketAddr::from((address, 8_001)), SocketAddr::from((address, 8_002)));
    let start_a = || Subject::start(first_original, &peers(a, b, "A"), &[]);
    let start_b = || Subject::start(second_original, &peers(a, b, "B"), &[]);
    let one = start_a();
    // Known before they meet.
    one.ask(
        "set table ip key 192.0.2.1 data.gpc0 300 data.gpc0_rate 5 data.bytes_in_cnt 5000000000",
    );
    let mut two = start_b();
    until("they meet", || same(&one, &two));
    // What is learned on one is known to the other, both ways.
    two.ask("set table mp/text key hello data.conn_cnt 9 data.conn_rate 4 data.gpc 1");
    one.ask("set table number key 258");
    two.ask("set table six key 2001:db8::1");
    let learned = |subject: &Subject| {
        let text = subject.ask("show table mp/text") + &subject.ask("show table number");
        text.contains("key=hello") && text.contains("key=258 ")
    };
    until("both have learned", || learned(&one) && learned(&two) && same(&one, &two));
    assert!(
        one.ask("show table ip").contains("gpc0=300 gpc0_rate(60000)=5 bytes_in_cnt=5000000000")
    );
    assert!(two.ask("show peers").contains("id=A(remote,active)"));
    // One that comes back is told all, and what was said meanwhile.
    drop(two);
    one.ask("set table ip key 192.0.2.77");
    two = start_b();
    until("it knows all again", || {
        two.ask("show table ip").contains("key=192.0.2.77 ") && learned(&two) && same(&one, &two)
    });
}

#[test]
fn peers_share_their_tables() {
    exchange(false, false);
}

#[test]
fn peers_share_their_tables_with_haproxy_first() {
    if has_original() {
        exchange(true, false);
    }
}

#[test]
fn peers_share_their_tables_with_haproxy_second() {
    if has_original() {
        exchange(false, true);
    }
}

#[test]
fn the_next_process_knows_the_tables() {
    let address = SocketAddr::from((own_address(), 8_001));
    let text = peers(address, SocketAddr::from((own_address(), 8_002)), "A");
    let old = Subject::start(false, &text, &[]);
    old.ask("set table ip key 192.0.2.1 data.gpc0 300");
    old.ask("set table mp/text key hello data.conn_cnt 9");
    let next = Subject::start(false, &text, &["-sf", &old.child.id().to_string()]);
    until("it was told", || {
        next.ask("show table ip").contains("gpc0=300")
            && next.ask("show table mp/text").contains("conn_cnt=9")
    });
}

#[test]
fn who_is_no_peer_is_told_so() {
    let address = own_address();
    let (a, b) = (SocketAddr::from((address, 8_001)), SocketAddr::from((address, 8_002)));
    let cases: [(&[u8], &str); 5] = [
        (b"HAProxyS 2.1\nA\nB 1 1\n", "200\n"),
        (b"HAProxyS 2.1\nA\nzork 1 1\n", "504\n"),
        (b"HAProxyS 2.1\nzork\nB 1 1\n", "503\n"),
        (b"HAProxyS 9.1\nA\nB 1 1\n", "502\n"),
        (b"GET / HTTP/1.0\r\n\r\n", "501\n"),
    ];
    let run = |original| {
        let _subject = Subject::start(original, &peers(a, b, "A"), &[]);
        cases.map(|(greeting, _)| {
            let mut stream = TcpStream::connect(a).expect("it listens");
            stream.set_read_timeout(Some(LIMIT)).expect("settable");
            stream.write_all(greeting).expect("open");
            let mut status = [0; 4];
            stream.read_exact(&mut status).expect("an answer");
            String::from_utf8_lossy(&status).into_owned()
        })
    };
    let ours = run(false);
    assert_eq!(ours, cases.map(|(_, status)| status));
    if has_original() {
        assert_eq!(run(true), ours);
    }
}

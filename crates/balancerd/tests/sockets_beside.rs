//! `option socket-stats`: a row for every address, beside HAProxy's own.

mod original;
mod program;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use program::{LIMIT, ask, free_port, ours};

/// Columns that both have and that do not depend on the moment.
const COLUMNS: &[&str] = &[
    "# pxname", "svname", "smax", "slim", "stot", "bin", "bout", "status", "iid", "sid", "type",
    "mode", "dreq", "dresp", "ereq", "dcon", "dses", "wrew", "eint", "ssl_sess", "rate", "qcur",
];

/// A server that sends back what it has heard, once it has heard all.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut heard = Vec::new();
            let _ = client.read_to_end(&mut heard);
            let _ = client.write_all(&heard);
        }
    });
    address
}

/// The rows of addresses: the columns by name.
fn rows(answer: &str) -> Vec<BTreeMap<String, String>> {
    let mut lines = answer.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let row = |line: &str| {
        let cells = names.iter().zip(line.split(',')).filter(|(name, _)| COLUMNS.contains(name));
        cells.map(|(name, cell)| ((*name).to_owned(), cell.to_owned())).collect()
    };
    let rows: Vec<BTreeMap<_, _>> = lines.filter(|line| !line.is_empty()).map(row).collect();
    rows.into_iter().filter(|row| row["type"] == "3").collect()
}

/// What a program shows once three clients have come by the second address.
fn story(mut command: Command) -> Vec<Vec<BTreeMap<String, String>>> {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let (first, second, third) = (at(free_port()), at(free_port()), at(free_port()));
    let text = format!(
        "global\n stats socket {0}/s level admin\ndefaults\n mode tcp\n timeout connect 9s\n timeout client 9s\n timeout server 9s\nfrontend f\n option socket-stats\n bind {first}\n bind {second} name web id 77 maxconn 5\n bind {0}/u\n default_backend b\nlisten l\n bind {third}\n server s {1}\nbackend b\n server s {1}\n",
        directory.path().display(),
        server()
    );
    let file = directory.path().join("file");
    std::fs::write(&file, text).expect("writable");
    command.arg("-db").arg("-f").arg(file).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("it runs");
    let socket = directory.path().join("s");
    let before = ask(&socket, "show stat");
    for _ in 0..3 {
        let mut client = TcpStream::connect(second).expect("it listens");
        client.write_all(b"hello").expect("open");
        client.shutdown(Shutdown::Write).expect("open");
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).expect("an answer");
        assert_eq!(heard, b"hello");
    }
    // A session is counted whole a moment after its client has seen the end.
    let begun = Instant::now();
    let after = loop {
        let after = ask(&socket, "show stat");
        let whole = |row: &BTreeMap<String, String>| row["bout"] == "15" && row["bin"] == "15";
        if rows(&after).iter().any(whole) {
            break after;
        }
        assert!(begun.elapsed() < LIMIT, "{after}");
        std::thread::sleep(Duration::from_millis(5));
    };
    let some = ["show stat f 8 -1", "show stat f 8 77", "show stat l 8 -1", "show stat f 7 -1"];
    let some = some.map(|line| ask(&socket, line));
    let _ = child.kill();
    let _ = child.wait();
    [before, after].iter().chain(&some).map(|answer| rows(answer)).collect()
}

#[test]
fn every_address_has_a_row_with_what_came_by_it() {
    let ours = story(ours());
    let names: Vec<_> = ours[0].iter().map(|row| row["svname"].as_str()).collect();
    assert_eq!(names, ["sock-1", "web", "sock-78"]);
    assert_eq!(ours[1].iter().map(|row| row["stot"].as_str()).collect::<Vec<_>>(), ["0", "3", "0"]);
    assert_eq!(ours[2..].iter().map(Vec::len).collect::<Vec<_>>(), [3, 1, 0, 0]);
    let Some(original) = original::original() else { return };
    let mut theirs = story(original.command());
    if !original.since(3, 2) {
        // It counted on from the lines before, not from the number one of them has.
        for row in theirs.iter_mut().flatten().filter(|row| row["svname"] == "sock-3") {
            row.insert("svname".to_owned(), "sock-78".to_owned());
            row.insert("sid".to_owned(), "78".to_owned());
        }
    }
    for (ours, mut theirs) in ours.into_iter().zip(theirs) {
        for (ours, theirs) in ours.iter().zip(&mut theirs) {
            // The most at a time: one client comes before the other is gone, or not.
            theirs.insert("smax".to_owned(), ours["smax"].clone());
        }
        assert_eq!(ours, theirs);
    }
}

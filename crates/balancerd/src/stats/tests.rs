use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::health::Board;
use crate::state::Shared;

/// A configuration with a bit of everything that has a line of its own in `show stat`. `DIR` is
/// replaced by a directory of the test's own.
const CONFIG: &str = "
global
    stats socket DIR/admin.sock level admin
    maxconn 2000
defaults
    mode tcp
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    default-server maxqueue 256 weight 100
frontend fe
    bind unix@DIR/fe.sock
    default_backend be
backend be
    balance leastconn
    server a 127.0.0.1:1 maxconn 30
    server b 127.0.0.1:2 backup weight 7
    server c 127.0.0.1:3 disabled
    server d 127.0.0.1:4 check inter 1h disabled
backend empty
listen web
    bind unix@DIR/web.sock
    server w 127.0.0.1:5
";

/// What differs from one process to the next, or is not counted here.
const OTHERWISE: [&str; 2] = ["lastchg", "downtime"];

struct Ours {
    shared: Shared,
    board: Board,
}

fn ours(directory: &Path) -> Ours {
    let text = CONFIG.replace("DIR", &directory.display().to_string());
    let loaded = haproxy_cfg::load_texts(&[("t.cfg", &text)], &haproxy_cfg::Options::sealed());
    let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    let shared = Shared::new(config).unwrap();
    let board = Board::new(&shared.config).unwrap();
    Ours { shared, board }
}

/// HAProxy itself, if it is installed.
struct HaProxy(Child);

impl HaProxy {
    fn start(directory: &Path) -> Option<Self> {
        let file = directory.join("haproxy.cfg");
        std::fs::write(&file, CONFIG.replace("DIR", &directory.display().to_string())).unwrap();
        let started = Command::new("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        started.ok().map(Self)
    }

    fn ask(directory: &Path, command: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut socket = loop {
            match UnixStream::connect(directory.join("admin.sock")) {
                Ok(socket) => break socket,
                Err(error) if Instant::now() > deadline => panic!("{error}"),
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        writeln!(socket, "{command}").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer.trim_end_matches('\n').to_owned() + "\n"
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn stat_info_and_state_have_haproxys_shape_and_values() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let Some(_haproxy) = HaProxy::start(directory) else {
        eprintln!("SKIPPED: HAProxy is not installed");
        return;
    };
    let version = HaProxy::ask(directory, "show version");
    if !version.starts_with("2.6.") {
        eprintln!("SKIPPED: this HAProxy is {version}");
        return;
    }
    let ours = ours(directory);

    let theirs = HaProxy::ask(directory, "show stat");
    let stat = show_stat(&ours.shared, &ours.board, Filter::default());
    let header = |text: &str| -> Vec<String> {
        text.lines().next().unwrap().split(',').map(str::to_owned).collect()
    };
    let (ours_has, theirs_has) = (header(&stat), header(&theirs));
    let own = theirs_has.iter().position(|name| name == "-").unwrap();
    assert_eq!(ours_has[..own], theirs_has[..own], "2.6's own columns come first");
    assert_eq!(stat.lines().count(), theirs.lines().count(), "{stat}\n{theirs}");
    for (our_row, their_row) in stat.lines().zip(theirs.lines()).skip(1) {
        let our_row: Vec<&str> = our_row.split(',').collect();
        for (name, their_cell) in theirs_has.iter().zip(their_row.split(',')) {
            let at = ours_has.iter().position(|known| known == name);
            let our_cell = our_row[at.unwrap_or_else(|| panic!("no column {name}"))];
            let name = name.as_str();
            if OTHERWISE.contains(&name) {
                assert_eq!(our_cell.is_empty(), their_cell.is_empty(), "{name} of {their_row}");
            } else {
                assert_eq!(our_cell, their_cell, "{name} of {their_row}");
            }
        }
    }

    let fields = |info: &str| -> Vec<String> {
        info.lines().map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect()
    };
    let own = fields(&show_info(&ours.shared));
    let theirs = fields(&HaProxy::ask(directory, "show info"));
    // 3.x spells one of them otherwise.
    let theirs: Vec<String> =
        theirs.into_iter().map(|name| name.replace("SplicdedBytes", "SplicedBytes")).collect();
    assert_eq!(own[..theirs.len()], theirs, "the fields of show info");

    let theirs = HaProxy::ask(directory, "show servers state");
    let state = show_servers_state(&ours.shared, &ours.board, None).unwrap();
    let without_age = |text: &str| -> Vec<Vec<String>> {
        let row = |line: &str| {
            let words = line.split(' ').map(str::to_owned).enumerate();
            words
                .filter(|(at, _)| *at != 9 || line.starts_with('#'))
                .map(|(_, word)| word)
                .collect()
        };
        text.lines().map(row).collect()
    };
    assert_eq!(without_age(&state), without_age(&theirs));
}

#[test]
fn counters_find_their_columns() {
    use std::sync::atomic::Ordering::Relaxed;
    let directory = tempfile::tempdir().unwrap();
    let ours = ours(directory.path());
    let traffic = &ours.shared.backends[0].servers[0].traffic;
    traffic.begin(crate::state::unix_seconds());
    traffic.bytes(10, 20);
    traffic.connect_errors.store(3, Relaxed);
    traffic.retries.store(4, Relaxed);
    traffic.redispatches.store(5, Relaxed);
    traffic.picked.store(6, Relaxed);
    let stat = show_stat(&ours.shared, &ours.board, Filter { kinds: 4, ..Filter::default() });
    let mut lines = stat.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row: Vec<&str> = lines.next().unwrap().split(',').collect();
    let cell = |name: &str| row[names.iter().position(|known| *known == name).unwrap()];
    let expected = [
        ("svname", "a"),
        ("scur", "1"),
        ("smax", "1"),
        ("stot", "1"),
        ("bin", "10"),
        ("bout", "20"),
        ("econ", "3"),
        ("wretr", "4"),
        ("wredis", "5"),
        ("lbtot", "6"),
        ("slim", "30"),
        ("lastsess", "0"),
        ("status", "no check"),
    ];
    for (name, value) in expected {
        assert_eq!(cell(name), value, "{name}");
    }
}

#[test]
fn a_cell_with_a_comma_or_a_quote_is_quoted() {
    let mut row = columns::Row::new(columns::Kind::Server, 1, 1);
    row.set("last_chk", "no, \"really\"");
    assert!(row.to_string().contains(",\"no, \"\"really\"\"\","), "{row}");
}

#[test]
fn every_form_shows_the_same_values() {
    let directory = tempfile::tempdir().unwrap();
    let ours = ours(directory.path());
    let show = |words: &[&str]| {
        show_stat_as(&ours.shared, &ours.board, Filter::default(), Format::of(words))
    };
    let (plain, typed, json) = (show(&[]), show(&["typed"]), show(&["json"]));
    let mut rows = plain.lines();
    let names: Vec<&str> = rows.next().unwrap().trim_start_matches("# ").split(',').collect();
    let mut count = 0;
    for row in rows {
        let cells: Vec<&str> = row.split(',').collect();
        let cell = |name: &str| cells[names.iter().position(|known| *known == name).unwrap()];
        let letter = ["F", "B", "S"][cell("type").parse::<usize>().unwrap()];
        let start = format!("{letter}.{}.{}.", cell("iid"), cell("sid"));
        for (position, name) in names.iter().filter(|name| **name != "-").enumerate() {
            let prefix = format!("{start}{position}.{name}.1:");
            match typed.lines().find(|line| line.starts_with(&prefix)) {
                Some(line) => {
                    assert_eq!(line.rsplit(':').next().unwrap_or_default(), {
                        cell(name).rsplit(':').next().unwrap_or_default()
                    });
                    count += 1;
                }
                None => assert_eq!(cell(name), "", "{name} of {row}"),
            }
        }
    }
    assert_eq!(count, typed.lines().filter(|line| !line.is_empty()).count());
    assert_eq!(json.matches("\"objType\"").count(), count);
    assert!(
        json.starts_with("[[{\"objType\":\"Frontend\",\"proxyId\":") && json.ends_with("}]]\n")
    );
    assert!(json.contains("\"value\":{\"type\":\"str\",\"value\":\"OPEN\"}"), "{json}");
    assert!(
        typed.contains(".status.1:SGP:str:MAINT\n") && typed.contains(".act.1:MGP:u32:"),
        "{typed}"
    );
}

#[test]
fn info_is_shown_in_every_form() {
    let directory = tempfile::tempdir().unwrap();
    let ours = ours(directory.path());
    let show = |words: &[&str]| show_info_as(&ours.shared, Format::of(words));
    assert!(show(&[]).starts_with("Name: HAProxy\nVersion: "));
    assert!(show(&["typed"]).contains("\n15.Maxconn.1:CLP:u32:2000\n"));
    assert!(show(&["typed", "desc"]).contains("15.Maxconn.1:CLP:u32:2000:\""));
    assert!(show(&["json"]).starts_with("[{\"field\":{\"pos\":0,\"name\":\"Name\"}"));
    assert!(show(&["float"]).contains("Uptime_sec: 0."));
}

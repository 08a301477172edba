//! How sessions end, and who waits how long: the same file, the same clients and the same commands
//! for HAProxy and ours at the same time; their log lines and counters are compared.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};

use pair::{Running, both, letter, listen, reset, server, until};
use socket2::{Domain, Socket, Type};

mod original;
mod pair;

/// A way sessions end.
struct Ending {
    /// The name of the proxy.
    name: &'static str,
    /// Its lines; `ACTOR` is a server that does as it is told, `DEAD` one that is not there, `HOLE` one
    /// that does not answer.
    text: &'static str,
    /// How many lines are logged.
    lines: usize,
    /// What the last timer and the first are at least, in milliseconds.
    least: [i64; 2],
    act: fn(&Running, usize, &str),
}

/// A server that does what the first byte says: `e`nds with its client, `c`loses, `r`esets, answers
/// and resets (`x`), stays `m`ute, `h`olds on for ever. All but `r` and `m` say `ok` before.
fn actor() -> u16 {
    let listener = listen();
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let Some(what) = letter(&mut client) else { return };
                if !"rm".contains(what) {
                    let _ = client.write_all(b"ok");
                }
                match what {
                    'r' => reset(&client),
                    'x' => {
                        // Once the answer has come through.
                        let _ = letter(&mut client);
                        reset(&client);
                    }
                    'c' => {}
                    'h' => std::mem::forget(client),
                    _ => while matches!(client.read(&mut [0; 64]), Ok(1..)) {},
                }
            });
        }
    });
    port
}

/// Says a byte and hears `ok`.
fn say(running: &Running, front: usize, what: char) -> TcpStream {
    let mut client = running.client(front);
    client.write_all(&[what as u8]).expect("open");
    client
        .read_exact(&mut [0; 2])
        .unwrap_or_else(|failure| panic!("{front}, original: {}: {failure}", running.original));
    client
}

/// Says what is to be said and hears until the end.
fn hear(running: &Running, front: usize, said: &[u8]) {
    let mut client = running.client(front);
    let _ = client.write_all(said);
    to_end(client);
}

fn to_end(mut client: TcpStream) {
    let mut rest = Vec::new();
    if let Err(failure) = client.read_to_end(&mut rest) {
        assert_eq!(failure.kind(), std::io::ErrorKind::ConnectionReset);
    }
}

fn half(client: TcpStream) {
    client.shutdown(Shutdown::Write).expect("open");
    to_end(client);
}

/// One has the only slot; another waits for it.
fn queued(running: &Running, front: usize, name: &str) -> [TcpStream; 2] {
    let first = say(running, front, 'e');
    let mut second = running.client(front);
    second.write_all(b"e").expect("open");
    running.await_figure(name, "BACKEND", "scur", "2");
    [first, second]
}

const ENDINGS: &[Ending] = &[
    Ending {
        name: "client",
        text: "server s ACTOR",
        lines: 1,
        least: [0; 2],
        act: |r, f, _| half(say(r, f, 'e')),
    },
    Ending {
        name: "server",
        text: "server s ACTOR",
        lines: 1,
        least: [0; 2],
        act: |r, f, _| hear(r, f, b"c"),
    },
    Ending {
        name: "null",
        text: "server s ACTOR",
        lines: 1,
        least: [0; 2],
        act: |r, f, _| drop(r.client(f)),
    },
    Ending {
        name: "nonull",
        text: "option dontlognull\n server s ACTOR",
        lines: 0,
        least: [0; 2],
        act: |r, f, _| drop(r.client(f)),
    },
    Ending {
        name: "nonormal",
        text: "option dontlog-normal\n server s ACTOR",
        lines: 1,
        least: [0; 2],
        act: |r, f, _| {
            half(say(r, f, 'e'));
            hear(r, f, b"r");
        },
    },
    Ending {
        name: "creset",
        text: "server s ACTOR",
        lines: 1,
        least: [0; 2],
        act: |r, f, _| reset(&say(r, f, 'e')),
    },
    Ending {
        name: "sreset",
        text: "server s ACTOR",
        lines: 1,
        least: [0; 2],
        act: |r, f, _| hear(r, f, b"r"),
    },
    Ending {
        name: "slate",
        text: "server s ACTOR",
        lines: 1,
        least: [0; 2],
        act: |r, f, _| {
            let mut c = say(r, f, 'x');
            c.write_all(b"!").expect("open");
            to_end(c);
        },
    },
    Ending {
        name: "idle",
        text: "timeout client 400\n timeout server 400\n server s ACTOR",
        lines: 1,
        least: [400, 0],
        act: |r, f, _| to_end(say(r, f, 'e')),
    },
    Ending {
        name: "cidle",
        text: "timeout client 400\n server s ACTOR",
        lines: 1,
        least: [400, 0],
        act: |r, f, _| to_end(say(r, f, 'e')),
    },
    Ending {
        name: "sidle",
        text: "timeout server 400\n server s ACTOR",
        lines: 1,
        least: [400, 0],
        act: |r, f, _| to_end(say(r, f, 'e')),
    },
    Ending {
        name: "mute",
        text: "timeout server 400\n server s ACTOR",
        lines: 1,
        least: [400, 0],
        act: |r, f, _| hear(r, f, b"m"),
    },
    Ending {
        name: "silent",
        text: "timeout client 400\n server s ACTOR",
        lines: 1,
        least: [400, 0],
        act: |r, f, _| hear(r, f, b""),
    },
    Ending {
        name: "tunnel",
        text: "timeout tunnel 400\n server s ACTOR",
        lines: 1,
        least: [400, 0],
        act: |r, f, _| to_end(say(r, f, 'e')),
    },
    Ending {
        name: "cfin",
        text: "timeout client-fin 300\n timeout server-fin 300\n server s ACTOR",
        lines: 1,
        least: [300, 0],
        act: |r, f, _| half(say(r, f, 'h')),
    },
    Ending {
        name: "refused",
        text: "retries 0\n server s DEAD",
        lines: 1,
        least: [0; 2],
        act: |r, f, _| hear(r, f, b"e"),
    },
    Ending {
        name: "retried",
        text: "retries 2\n timeout connect 400\n server s DEAD",
        lines: 1,
        least: [800, 0],
        act: |r, f, _| hear(r, f, b"e"),
    },
    Ending {
        name: "redisp",
        text: "option redispatch\n balance static-rr\n server d DEAD\n server s ACTOR",
        lines: 2,
        least: [0; 2],
        act: |r, f, _| {
            half(say(r, f, 'e'));
            half(say(r, f, 'e'));
        },
    },
    Ending {
        name: "redisp1",
        text: "timeout connect 400\n retries 3\n option redispatch 1\n balance static-rr\n server d DEAD\n server e DEAD\n server g DEAD",
        lines: 1,
        least: [0; 2],
        act: |r, f, _| hear(r, f, b"e"),
    },
    Ending {
        name: "last",
        text: "timeout connect 400\n retries 1\n option redispatch -1\n balance static-rr\n server d DEAD\n server s ACTOR",
        lines: 1,
        least: [0; 2],
        act: |r, f, _| half(say(r, f, 'e')),
    },
    Ending {
        name: "hole",
        text: "retries 1\n timeout connect 300\n server s HOLE",
        lines: 1,
        least: [600, 0],
        act: |r, f, _| hear(r, f, b"e"),
    },
    Ending {
        name: "gone",
        text: "retries 1\n timeout connect 2s\n option abortonclose\n server s HOLE",
        lines: 1,
        least: [0; 2],
        act: |r, f, n| {
            let c = r.client(f);
            r.await_figure(n, "s", "scur", "1");
            drop(c);
        },
    },
    Ending {
        name: "nosrv",
        text: "server s ACTOR disabled",
        lines: 1,
        least: [0; 2],
        act: |r, f, _| hear(r, f, b"e"),
    },
    Ending {
        name: "rejc",
        text: "tcp-request connection reject\n server s ACTOR",
        lines: 0,
        least: [0; 2],
        act: |r, f, _| hear(r, f, b""),
    },
    Ending {
        name: "rejs",
        text: "tcp-request session reject\n server s ACTOR",
        lines: 0,
        least: [0; 2],
        act: |r, f, _| hear(r, f, b""),
    },
    Ending {
        name: "rejt",
        text: "tcp-request content reject\n server s ACTOR",
        lines: 1,
        least: [0; 2],
        act: |r, f, _| hear(r, f, b""),
    },
    Ending {
        name: "rejr",
        text: "tcp-response content reject\n server s ACTOR",
        lines: 1,
        least: [0; 2],
        act: |r, f, _| hear(r, f, b"e"),
    },
    Ending {
        name: "inspect",
        text: "tcp-request inspect-delay 400\n tcp-request content accept if { req.ssl_hello_type 1 }\n tcp-request content reject\n server s ACTOR",
        lines: 2,
        least: [0; 2],
        act: |r, f, _| {
            hear(r, f, b"");
            hear(r, f, b"nothing of that");
        },
    },
    Ending {
        name: "asap",
        text: "option logasap\n server s ACTOR",
        lines: 1,
        least: [0; 2],
        act: |r, f, _| half(say(r, f, 'e')),
    },
    Ending {
        name: "queue",
        text: "timeout queue 400\n server s ACTOR maxconn 1",
        lines: 2,
        least: [400, 0],
        act: |r, f, _| {
            let one = say(r, f, 'e');
            hear(r, f, b"e");
            half(one);
        },
    },
    Ending {
        name: "leave",
        text: "option abortonclose\n server s ACTOR maxconn 1",
        lines: 2,
        least: [0; 2],
        act: |r, f, n| {
            let [one, two] = queued(r, f, n);
            drop(two);
            r.await_figure(n, "BACKEND", "scur", "1");
            half(one);
        },
    },
    Ending {
        name: "turn",
        text: "server s ACTOR maxconn 1",
        lines: 2,
        least: [0; 2],
        act: |r, f, n| {
            let [one, two] = queued(r, f, n);
            half(one);
            half(two);
        },
    },
    Ending {
        name: "maxq",
        text: "timeout queue 700\n server s ACTOR maxconn 1 maxqueue 1",
        lines: 3,
        least: [0; 2],
        act: |r, f, _| {
            let one = say(r, f, 'e');
            let two = r.client(f);
            hear(r, f, b"e");
            to_end(two);
            half(one);
        },
    },
    Ending {
        name: "killed",
        text: "server s ACTOR",
        lines: 1,
        least: [0; 2],
        act: |r, f, _| {
            let c = say(r, f, 'e');
            r.ask("shutdown sessions server killed/s");
            to_end(c);
        },
    },
    Ending {
        name: "marked",
        text: "server s ACTOR on-marked-down shutdown-sessions",
        lines: 1,
        least: [0; 2],
        act: |r, f, _| {
            let c = say(r, f, 'e');
            r.ask("set server marked/s health down");
            to_end(c);
        },
    },
    Ending {
        name: "spare",
        text: "server s ACTOR on-marked-up shutdown-backup-sessions\n server z ACTOR backup",
        lines: 1,
        least: [0; 2],
        act: |r, f, _| {
            r.ask("set server spare/s health down");
            let c = say(r, f, 'e');
            r.ask("set server spare/s health up");
            to_end(c);
        },
    },
    Ending {
        name: "kept",
        text: "stick-table type ip size 10\n stick on src\n option persist\n retries 0\n server a ACTOR\n server b ACTOR",
        lines: 2,
        least: [0; 2],
        act: |r, f, _| {
            half(say(r, f, 'e'));
            r.ask("set server kept/a health down");
            half(say(r, f, 'e'));
        },
    },
    Ending {
        name: "unkept",
        text: "stick-table type ip size 10\n stick on src\n no option persist\n server a ACTOR\n server b ACTOR",
        lines: 2,
        least: [0; 2],
        act: |r, f, _| {
            half(say(r, f, 'e'));
            r.ask("set server unkept/a health down");
            half(say(r, f, 'e'));
        },
    },
    Ending {
        name: "watched",
        text: "retries 0\n server s DEAD check inter 1h port ALIVE observe layer4 error-limit 2 on-error mark-down\n server z ACTOR backup",
        lines: 3,
        least: [0; 2],
        act: |r, f, n| {
            r.await_figure(n, "s", "check_status", "L4OK");
            hear(r, f, b"e");
            hear(r, f, b"e");
            r.await_figure(n, "s", "status", "DOWN");
            half(say(r, f, 'e'));
        },
    },
    Ending {
        name: "spares",
        text: "server s ACTOR disabled\n server y ACTOR backup\n server z ACTOR backup",
        lines: 3,
        least: [0; 2],
        act: |r, f, _| (0..3).for_each(|_| half(say(r, f, 'e'))),
    },
    Ending {
        name: "allspares",
        text: "option allbackups\n server s ACTOR disabled\n server y ACTOR backup\n server z ACTOR backup",
        lines: 3,
        least: [0; 2],
        act: |r, f, _| (0..3).for_each(|_| half(say(r, f, 'e'))),
    },
];

/// A listener whose queue is full: nobody is answered.
fn hole() -> (u16, Vec<Socket>) {
    let new = || Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let listener = new();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("loopback");
    listener.listen(0).expect("bound");
    let address = listener.local_addr().expect("bound");
    let mut held = vec![listener];
    for _ in 0..4 {
        let client = new();
        client.set_nonblocking(true).expect("a mode");
        let _ = client.connect(&address);
        held.push(client);
    }
    (address.as_socket().expect("of IP").port(), held)
}

/// What can be compared of the lines of a proxy: without when and from where, and how many sessions
/// other proxies had. Its timers are at least so long.
fn logged(running: &Running, case: &Ending) -> Vec<String> {
    let mark = format!(" {0} {0}/", case.name);
    let text = || -> Vec<String> {
        running.log().lines().filter(|line| line.contains(&mark)).map(str::to_owned).collect()
    };
    let who = if running.original { "the original" } else { "ours" };
    until(&format!("{} lines of {} by {who}", case.lines, case.name), || {
        text().len() >= case.lines
    });
    let mut longest = 0;
    let mut lines: Vec<_> = text()
        .iter()
        .map(|line| {
            let (_, rest) = line.split_once("] ").expect("a time");
            let words: Vec<_> = rest.split(' ').collect();
            let timer = |timer: &str| {
                longest = longest.max(timer.parse::<i64>().unwrap_or(0));
                if timer.starts_with(['-', '+']) { timer[..1].to_owned() } else { "n".to_owned() }
            };
            let timers: Vec<_> = words[2].split('/').map(timer).collect();
            let counts = words[5].split_once('/').expect("counts").1;
            // Whom the proxy ends it ends while connecting: 3.2, and here.
            let flags = match words[4] {
                "K-" | "D-" | "U-" if !running.is_newer() => words[4].replace('-', "C"),
                flags => flags.to_owned(),
            };
            let [timers, rest] = [timers.join("/"), format!("{} {flags}", words[3])];
            format!("{} {timers} {rest} {counts} {}", words[1], words[6])
        })
        .collect();
    if !lines.is_empty() {
        assert!(longest >= case.least[0], "{}: {longest} ms by {who}", case.name);
    }
    lines.sort();
    lines
}

/// Who has no server yet is not read from here: what it said is not counted as it is there. Nor is
/// an answer that is not passed on.
const UNREAD: &[&str] = &[
    "refused", "retried", "redisp1", "hole", "nosrv", "rejr", "inspect", "queue", "leave", "maxq",
    "watched",
];
/// Who is turned away at once is no session there; here it was one.
const TURNED_AWAY: &[&str] = &["rejc", "rejs"];

const COUNTED: &[&str] = &[
    "qcur", "qmax", "scur", "smax", "stot", "bin", "bout", "dreq", "dresp", "ereq", "econ",
    "eresp", "wretr", "wredis", "status", "lbtot", "cli_abrt", "srv_abrt", "conn_tot",
];

#[test]
fn sessions_end_with_the_same_flags_and_counters_whatever_ends_them() {
    let [actor, dead, alive] = [actor(), 1, server(b'!')];
    let (hole, _held) = hole();
    let mut text = String::new();
    for (at, case) in ENDINGS.iter().enumerate() {
        let _ = write!(text, "listen {}\n bind FRONT{at} \n {}\n", case.name, case.text);
    }
    for (name, port) in [("ACTOR", actor), ("DEAD", dead), ("HOLE", hole)] {
        text = text.replace(name, &format!("127.0.0.1:{port}"));
    }
    let text = text.replace("ALIVE", &alive.to_string());
    let found = both(&text, |running| {
        std::thread::scope(|scope| {
            let of_case = |(at, case): (usize, &'static Ending)| {
                scope.spawn(move || {
                    (case.act)(running, at, case.name);
                    let mut all = logged(running, case);
                    running.await_figure(case.name, "BACKEND", "scur", "0");
                    for line in running.ask("show stat").lines() {
                        let Some((proxy, rest)) = line.split_once(',') else { continue };
                        if proxy != case.name {
                            continue;
                        }
                        let name = rest.split(',').next().expect("a name");
                        let figures = running.figures(proxy, name, COUNTED);
                        let named = COUNTED.iter().zip(figures);
                        let named = named.filter(|(_, figure)| !figure.is_empty() && figure != "0");
                        let named = named.filter(|(column, _)| match **column {
                            "bin" => !UNREAD.contains(&case.name),
                            "stot" => !TURNED_AWAY.contains(&case.name),
                            _ => true,
                        });
                        let named: Vec<_> =
                            named.map(|(column, figure)| format!("{column}={figure}")).collect();
                        all.push(format!("{name}: {}", named.join(" ")));
                    }
                    all
                })
            };
            let all: Vec<_> = ENDINGS.iter().enumerate().map(of_case).collect();
            all.into_iter().map(|one| one.join().expect("it did not fail")).collect::<Vec<_>>()
        })
    });
    let Some([theirs, ours]) = found else { return };
    let mut wrong = String::new();
    for ((case, theirs), ours) in ENDINGS.iter().zip(&theirs).zip(&ours) {
        if theirs != ours {
            let _ = writeln!(wrong, "{}: {}", case.name, case.text);
            for (theirs, ours) in theirs.iter().zip(ours).filter(|(theirs, ours)| theirs != ours) {
                let _ = writeln!(wrong, "  theirs {theirs}\n  ours   {ours}");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

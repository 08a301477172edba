//! What nginx's own tests of its stream part look at, one scenario each: the same configuration and
//! the same clients for nginx and for ours.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

#[path = "beside/harness.rs"]
mod harness;

use harness::*;

/// Who answers so many connections, one after the other; each is at its end before the next begins.
fn turns(it: &Running, name: char, count: usize) -> String {
    (0..count).map(|_| it.ask(name, 1, b"", 1).trim_end().to_owned() + " ").collect()
}

/// What is sent to a server is sent back, until the client's end, which is answered by `end`.
fn echo_until_end() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut all = Vec::new();
                let _ = client.read_to_end(&mut all);
                all.extend_from_slice(b" end\n");
                let _ = client.write_all(&all);
            });
        }
    });
    port
}

#[test]
fn servers_are_chosen_by_turns_weights_hashes_and_connections() {
    let names = ["x", "y", "z"];
    let servers: Vec<(char, u16)> = ('X'..).zip(names.map(speaker)).collect();
    let all = "server 127.0.0.1:@X@; server 127.0.0.1:@Y@; server 127.0.0.1:@Z@;";
    let stream = format!(
        "upstream rr {{ {all} }}
         upstream w {{ server 127.0.0.1:@X@ weight=3; server 127.0.0.1:@Y@; server 127.0.0.1:@Z@ down; }}
         upstream h {{ hash $remote_addr; {all} }}
         upstream c {{ hash $remote_addr consistent; {all} }}
         upstream l {{ least_conn; {all} }}
         upstream b {{ server 127.0.0.1:1; server 127.0.0.1:@Y@ backup; }}
         upstream m {{ zone m 64k; server 127.0.0.1:@X@ max_conns=1; server 127.0.0.1:@Y@ max_conns=1; }}
         upstream f {{ server 127.0.0.1:1 max_fails=2 fail_timeout=30s; server 127.0.0.1:@X@; }}
         server {{ listen 127.0.0.1:@A@; proxy_pass rr; }} server {{ listen 127.0.0.1:@B@; proxy_pass w; }}
         server {{ listen 127.0.0.1:@C@; proxy_pass h; }} server {{ listen 127.0.0.1:@D@; proxy_pass c; }}
         server {{ listen 127.0.0.1:@E@; proxy_pass l; }} server {{ listen 127.0.0.1:@F@; proxy_pass b; }}
         server {{ listen 127.0.0.1:@G@; proxy_pass m; }} server {{ listen 127.0.0.1:@H@; proxy_pass f; }}
         server {{ listen 127.0.0.1:@I@; proxy_pass b; proxy_next_upstream off; }}
         server {{ listen 127.0.0.1:@J@; proxy_pass f; proxy_next_upstream_tries 1; }}"
    );
    same(&stream, "ABCDEFGHIJ", &servers, |it| {
        let mut found: Vec<String> = ['A', 'B', 'F', 'H', 'J', 'I', 'I']
            .map(|name| format!("{name} {}", turns(it, name, 8)))
            .into();
        for name in ['C', 'D'] {
            // The names of the servers have ports in them, and so differ between the two of a pair.
            let by_client =
                (1..=6).map(|from| it.ask(name, from, b"", 1)).all(|said| said.len() == 2);
            let stays =
                (0..4).map(|_| it.ask(name, 9, b"", 1)).collect::<std::collections::BTreeSet<_>>();
            found.push(format!("{name} {by_client} {}", stays.len()));
        }
        // Connections that stay: to whom there are fewest, and not beyond the limit.
        for (name, count) in [('E', 6), ('G', 3)] {
            let mut held = Vec::new();
            let mut said = String::new();
            for _ in 0..count {
                let mut client = TcpStream::connect(it.at(name)).expect("it listens");
                client.set_read_timeout(Some(PATIENCE)).expect("set");
                let mut word = [0; 2];
                said += if client.read_exact(&mut word).is_ok() {
                    std::str::from_utf8(&word).expect("a name")
                } else {
                    "-"
                };
                held.push(client);
            }
            found.push(format!("{name} {said}"));
        }
        let said = until("the last line", || {
            let said = it.said("error");
            said.iter().any(|line| line.starts_with("no live upstreams")).then_some(said)
        });
        found.extend(said);
        found.extend(it.said("warn"));
        found
    });
}

#[test]
fn variables_of_every_kind_are_written_as_by_nginx_in_every_escaping() {
    let servers = [('X', speaker("x"))];
    let stream = r#"
        log_format plain '$remote_addr $status $protocol [$set] $upstream_addr $upstream_bytes_sent '
            '$bytes_sent $bytes_received $nginx_version_absent';
        log_format json escape=json '{"a":"$set","b":"$m","c":"$g"}';
        log_format none escape=none '$set|$m|$g';
        log_format default '$set|$m|$g';
        map $remote_addr $nginx_version_absent { default ''; }
        map $set $m { default "quote \" back \\ tab"; volatile; ~^(?<what>a.*)b$ "<$what>"; "" empty; }
        geo $remote_addr $g { ranges; default other; 127.0.0.1-127.0.0.2 few; 127.0.0.9-127.0.0.9 'nine"9'; }
        access_log plain.log plain; access_log json.log json; access_log none.log none; access_log default.log default;
        access_log some.log plain if=$some; access_log "by-$set.log" none;
        map $remote_addr $some { default 1; 127.0.0.2 0; 127.0.0.3 ''; }
        server { listen 127.0.0.1:@A@; set $set "a b\"\\c"; return "$set $m\n"; }
        server { listen 127.0.0.1:@B@; set $set axxb; return "$m $what $g\n"; }
        server { listen 127.0.0.1:@C@; set $set $remote_addr$server_port; set $set z$protocol; return "$set $m\n"; }
        server { listen 127.0.0.1:@D@; set $set "\t\n\r"; proxy_pass 127.0.0.1:@X@; }
    "#;
    same(stream, "ABCD", &servers, |it| {
        let mut found = Vec::new();
        let mut count = 0;
        for from in [1, 2, 3, 9] {
            for name in ['A', 'B', 'C', 'D'] {
                found.push(it.ask(name, from, b"", 1));
                count += 1;
                it.lines("plain.log", count);
            }
        }
        for log in ["plain.log", "json.log", "none.log", "default.log"] {
            found.extend(it.lines(log, count));
        }
        found.extend(it.lines("some.log", count / 2));
        found.extend(it.lines("by-axxb.log", 4));
        found
    });
}

#[test]
fn one_side_s_end_does_to_the_other_what_nginx_has_it_do() {
    let servers = [('X', echo_until_end()), ('Y', speaker("y"))];
    let stream = "
        log_format f '$status $bytes_received $bytes_sent'; access_log a.log f;
        server { listen 127.0.0.1:@A@; proxy_pass 127.0.0.1:@X@; proxy_half_close on; }
        server { listen 127.0.0.1:@B@; proxy_pass 127.0.0.1:@Y@; proxy_timeout 300ms; }
        server { listen 127.0.0.1:@C@; proxy_pass 127.0.0.1:@X@; proxy_timeout 300ms; proxy_half_close on; }
    ";
    same(stream, "ABC", &servers, |it| {
        let mut found = Vec::new();
        for (count, (name, ends)) in
            [('A', true), ('B', false), ('C', false)].into_iter().enumerate()
        {
            let mut client = TcpStream::connect(it.at(name)).expect("it listens");
            client.set_read_timeout(Some(PATIENCE)).expect("set");
            client.write_all(b"hello").expect("sent");
            if ends {
                client.shutdown(Shutdown::Write).expect("it is open");
            }
            let mut text = String::new();
            let _ = client.read_to_string(&mut text);
            found.push(text);
            found.extend(it.lines("a.log", count + 1).pop());
        }
        found
    });
}

#[test]
fn rates_are_kept_in_both_directions() {
    let servers = [('X', echo_until_end())];
    let stream = "
        server { listen 127.0.0.1:@A@; proxy_pass 127.0.0.1:@X@; proxy_half_close on; proxy_download_rate 20k; }
        server { listen 127.0.0.1:@B@; proxy_pass 127.0.0.1:@X@; proxy_half_close on; proxy_upload_rate 20k; }
        server { listen 127.0.0.1:@C@; proxy_pass 127.0.0.1:@X@; proxy_half_close on; }
    ";
    same(stream, "ABC", &servers, |it| {
        let mut found = Vec::new();
        for name in ['A', 'B', 'C'] {
            let begun = Instant::now();
            let mut client = TcpStream::connect(it.at(name)).expect("it listens");
            client.set_read_timeout(Some(PATIENCE)).expect("set");
            client.write_all(&[b'x'; 50_000]).expect("sent");
            client.shutdown(Shutdown::Write).expect("it is open");
            let mut all = Vec::new();
            let _ = client.read_to_end(&mut all);
            // 50 kB at 20 kB/s: a first portion at once, the rest takes a second and more.
            let slow = begun.elapsed() >= Duration::from_millis(1_000);
            found.push(format!(
                "{name} {} {}",
                all.len(),
                if name == 'C' || slow { "in time" } else { "too fast" }
            ));
        }
        found
    });
}

#[test]
fn unix_sockets_are_listened_on_and_connected_to() {
    if !installed() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("server");
    let listener = UnixListener::bind(&path).expect("a socket");
    // Workers have fewer rights.
    for path in [directory.path(), &path] {
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(path, open).expect("ours");
    }
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.write_all(b"unix\n");
        }
    });
    let here = directory.path().display().to_string();
    let stream = format!(
        "log_format f '$remote_addr $server_addr $upstream_addr $status $proxy_protocol_addr'; access_log a.log f;
         upstream u {{ server unix:{here}/none; server unix:{here}/server; }}
         server {{ listen 127.0.0.1:@A@; proxy_pass unix:{here}/server; }}
         server {{ listen 127.0.0.1:@B@; proxy_pass unix:{here}/door; }}
         server {{ listen 127.0.0.1:@C@; proxy_pass unix:{here}/closed; }}
         server {{ listen 127.0.0.1:@D@; proxy_pass u; }}
         server {{ listen unix:{here}/door; return 'by the door $remote_addr\\n'; }}
         server {{ listen unix:{here}/closed; deny unix:; return never; }}"
    );
    same(&stream, "ABCD", &[], |it| {
        let mut found = Vec::new();
        found.extend(['A', 'B', 'C', 'D'].map(|name| it.ask(name, 1, b"", 1)));
        let mut lines = it.lines("a.log", 6);
        lines.sort_unstable();
        found.extend(lines);
        let mut said = it.said("error");
        said.extend(it.said("crit"));
        said.sort_unstable();
        found.extend(said);
        found
    });
}

#[test]
fn logs_have_their_levels_and_places_and_syslog_gets_the_same() {
    if !installed() {
        return;
    }
    let lines = [true, false].map(|original| {
        let syslog = UdpSocket::bind("127.0.0.1:0").expect("a port");
        syslog.set_read_timeout(Some(Duration::from_millis(700))).expect("set");
        let to = syslog.local_addr().expect("bound");
        let stream = format!(
            "log_format f '$status $remote_addr';
             server {{ listen 127.0.0.1:@A@; proxy_pass 127.0.0.1:1; error_log own.log; error_log syslog:server={to} info;
                access_log syslog:server={to},tag=seen,severity=debug,facility=local3,nohostname f; }}
             server {{ listen 127.0.0.1:@B@; proxy_pass 127.0.0.1:1; error_log crit.log crit; access_log off; }}"
        );
        let it = Running::start(original, &stream, "", "AB", &[]);
        it.ask('A', 1, b"", 1);
        it.ask('B', 1, b"", 1);
        it.lines("own.log", 1);
        let mut datagrams = Vec::new();
        let mut bytes = [0; 2048];
        while let Ok(length) = syslog.recv(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            let (priority, rest) = text.split_once('>').unwrap_or(("", &text));
            // Without dates, processes and numbers.
            let from = ["connect()", "client ", "502 "].iter().find_map(|word| rest.find(word));
            let said = from.map_or("", |from| &rest[from..]).to_owned();
            let tag = if rest.contains("seen: ") { "seen" } else if rest.contains("nginx: ") { "nginx" } else { "?" };
            let said = it.ports.hide(&said);
            // Ports of clients are others each time.
            let said = said.split(" 127.0.0.1:").next().unwrap_or("").to_owned();
            datagrams.push(format!("{priority}> {tag} {said}"));
        }
        let own = std::fs::read_to_string(it.path("own.log")).unwrap_or_default();
        let crit = std::fs::read_to_string(it.path("crit.log")).unwrap_or_default();
        (datagrams, own.lines().count(), own.matches("[error]").count(), crit.lines().count())
    });
    assert_eq!(lines[1], lines[0]);
}

//! What becomes of servers: agents, tracking, programs, errors of sessions, mail.

use std::os::unix::fs::PermissionsExt as _;

use check::{Agent, OnError};
use proxy::{BackendIndex, CheckAct, EmailAlert, Tracked};
use rules::record::Variable;
use tokio::net::TcpListener as Listener;

use super::*;

fn logged(probe: Probe) -> Config {
    Config { log: true, fall: 1, rise: 1, ..quick(probe) }
}

/// Lines until one holds this; it.
async fn until(lines: &Lines, text: &str) -> String {
    loop {
        let line = lines.next().await;
        if line.contains(text) {
            return line;
        }
    }
}

#[test]
fn an_agents_words_become_haproxys_lines() {
    let (_alive, address) = listener();
    let agent = TcpListener::bind(loopback()).unwrap();
    agent.set_nonblocking(true).unwrap();
    let asked = Agent {
        inter: Duration::from_millis(10),
        addr: None,
        port: agent.local_addr().unwrap().port(),
        send: b"how is it\n".to_vec(),
        timeout_connect: None,
        timeout_check: Some(LONG),
    };
    let server = Server {
        agent: Some(asked),
        weight: 100,
        ..checked(address, Config { log: true, inter: LONG, ..quick(Probe::Connect) })
    };
    watching(backend(vec![server]), |lines, shared| async move {
        let agent = Listener::from_std(agent).unwrap();
        let answer = async |text: &str| {
            let (mut stream, _) = agent.accept().await.unwrap();
            let mut question = [0; 64];
            let length = stream.read(&mut question).await.unwrap();
            assert_eq!(&question[..length], b"how is it\n");
            stream.write_all(text.as_bytes()).await.unwrap();
        };
        // In the order HAProxy 2.6.12 was told, and what it logged.
        let online = |n| {
            format!(
                "{n} active and 0 backup servers online. 0 sessions requeued, 0 total in queue."
            )
        };
        let left = "0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.";
        let nobody = "<128>backend be has no server available!".to_owned();
        let cases: [(&str, Vec<String>); 6] = [
            ("drain\n", vec![format!("<133>Server be/s enters drain state. {}", online(0)), nobody.clone()]),
            ("ready\n", vec!["<133>Server be/s is UP (leaving forced drain).".into()]),
            ("maint\n", vec![format!("<129>Server be/s is going DOWN for maintenance. {left}"), nobody.clone()]),
            ("ready 50%\n", vec!["<133>Server be/s is UP/READY (leaving forced maintenance).".into()]),
            ("down #soon\n", vec![
                "<133>Agent check for server be/s failed, reason: Layer7 wrong status, code: 0, info: \"via agent : down (soon)\", check duration: Nms, status: 0/1 DOWN.".into(),
                format!("<129>Server be/s is DOWN. {left}"),
                nobody,
            ]),
            ("up\n", vec![
                "<133>Agent check for server be/s succeeded, reason: Layer7 check passed, code: 0, info: \"via agent : up\", check duration: Nms, status: 1/1 UP.".into(),
                format!("<133>Server be/s is UP. {}", online(1)),
            ]),
        ];
        let first = lines.next().await;
        assert!(first.contains("Health check for server be/s succeeded"), "{first}");
        for (said, expected) in cases {
            answer(said).await;
            for line in expected {
                let mut next = lines.next().await;
                // Back from maintenance the check starts at once.
                while next.contains("Health check for") {
                    next = lines.next().await;
                }
                assert_eq!(next, line, "after {said:?}");
            }
        }
        let weight = shared.backends[0].balancer.look(|pool| pool.server(ServerId(0)).weight);
        assert_eq!(weight, 50);
    });
}

#[test]
fn who_tracks_a_server_goes_where_it_goes() {
    let (listener, address) = listener();
    let tracked = Tracked { backend: BackendIndex(0), server: 0 };
    let follower = Server {
        id: 2,
        name: "t".into(),
        check: None,
        track: Some(tracked),
        ..checked(address, logged(Probe::Connect))
    };
    let chained = Server {
        id: 3,
        name: "u".into(),
        track: Some(Tracked { server: 1, ..tracked }),
        ..follower.clone()
    };
    let servers = vec![checked(address, logged(Probe::Connect)), follower, chained];
    watching(backend(servers), |lines, _| async move {
        drop(listener);
        until(&lines, "Server be/s is DOWN").await;
        let left = "backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.";
        let line = lines.next().await;
        assert_eq!(line, format!("<129>Server be/t is DOWN via be/s. 1 active and 0 {left}"));
        let line = lines.next().await;
        assert_eq!(line, format!("<129>Server be/u is DOWN via be/t. 0 active and 0 {left}"));
        assert_eq!(lines.next().await, "<128>backend be has no server available!");
        let _listener = TcpListener::bind(address).unwrap();
        let online = "backup servers online. 0 sessions requeued, 0 total in queue.";
        let line = until(&lines, "Server be/t is UP").await;
        assert_eq!(line, format!("<133>Server be/t is UP via be/s. 2 active and 0 {online}"));
    });
}

/// A program in a directory of its own.
fn program(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("check");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let command = path.to_str().unwrap().to_owned();
    (folder, command)
}

#[test]
fn a_programs_end_is_the_verdict() {
    let out = tempfile::NamedTempFile::new().unwrap();
    let told = format!(
        "#!/bin/sh\necho \"$@ $HAPROXY_SERVER_NAME $HAPROXY_PROXY_NAME $HAPROXY_SERVER_MAXCONN\" > {}\nexit 3\n",
        out.path().display()
    );
    let (_one, failing) = program(&told);
    // What it starts is ended with it.
    let (_two, endless) = program("#!/bin/sh\nsleep 600 &\nsleep 600\n");
    let path = Some("/usr/bin:/bin".to_owned());
    let external = |command: String| Probe::External { command, path: path.clone() };
    let (_listener, address) = listener();
    let timeout_check = Some(Duration::from_millis(100));
    let named = |name: &str, id, command| Server {
        id,
        name: name.into(),
        maxconn: Some(5),
        ..checked(address, Config { timeout_check, inter: LONG, ..logged(external(command)) })
    };
    let servers = vec![
        Server {
            check: Some(Config {
                timeout_check: Some(LONG),
                inter: LONG,
                ..logged(external(failing))
            }),
            ..named("s", 1, String::new())
        },
        named("t", 2, endless),
        named("u", 3, "/nonexistent/program".into()),
    ];
    // All at once, and not spread over the interval.
    let spread = |config: &mut proxy::Config| {
        config.process.max_spread_checks = Some(Duration::from_millis(1));
    };
    watching_with(backend(servers), spread, |lines, _| async move {
        let mut said = Vec::new();
        while said.len() < 3 {
            said.push(until(&lines, "Health check for").await);
        }
        said.sort();
        assert_eq!(
            said,
            [
                "<133>Health check for server be/s failed, reason: External check error, code: 3, check duration: Nms, status: 0/1 DOWN.",
                "<133>Health check for server be/t failed, reason: External check timeout, code: 0, check duration: Nms, status: 0/1 DOWN.",
                "<133>Health check for server be/u failed, reason: External check error, code: 255, check duration: Nms, status: 0/1 DOWN.",
            ]
        );
    });
    let told = std::fs::read_to_string(out.path()).unwrap();
    let (ip, port) = (address.ip(), address.port());
    assert_eq!(told.trim(), format!("NOT_USED NOT_USED {ip} {port} s be 5"));
}

#[test]
fn sessions_that_find_no_connection_take_a_server_out() {
    let (_listener, address) = listener();
    let server = Server {
        observe: Some((2, OnError::MarkDown)),
        ..checked(address, Config { log: true, ..quick(Probe::Connect) })
    };
    let config = server.check.clone().unwrap();
    let slow = Config { inter: LONG, rise: 2, fall: 3, fastinter: None, ..config };
    watching(backend(vec![Server { check: Some(slow), ..server }]), |lines, shared| async move {
        until(&lines, "succeeded").await;
        let observer = shared.backends[0].servers[0].observer.get().unwrap();
        observer.note(false);
        observer.note(true);
        observer.note(false);
        observer.note(false);
        let line = lines.next().await;
        assert_eq!(
            line,
            "<133>Health check for server be/s failed, reason: Health analyze, info: \"Detected 2 \
             consecutive errors, last one was: L4 unsuccessful connection\", check duration: Nms, \
             status: 0/2 DOWN."
        );
        until(&lines, "Server be/s is DOWN. 0 active").await;
    });
}

#[test]
fn steps_set_variables_and_say_what_formats_make_of_them() {
    let server = TcpListener::bind(loopback()).unwrap();
    server.set_nonblocking(true).unwrap();
    let address = server.local_addr().unwrap();
    let text = |text: &str| rules::Format {
        parts: vec![rules::format::Part::Text(text.into())],
        merge_blanks: false,
    };
    let mut backend = backend(vec![]);
    backend.check_words.regexes.push(rules::Regex::new("^\\+P[OA]NG", false).unwrap());
    backend.check_words.formats.push(text("PING\r\n"));
    backend.check_words.formats.push(text("it lives"));
    let variable = Variable::parse("check.x").unwrap();
    backend.check_words.acts.push(CheckAct::Format(variable, text("y")));
    let expect =
        Expect { on_success: Some(check::Saying::Format(1)), ..Expect::from(Match::Regex(0)) };
    let steps = vec![
        Action::Act(0).into(),
        Action::Connect(Connect::default()).into(),
        Action::SendFormat(0).into(),
        Action::Expect(expect).into(),
    ];
    backend.servers.push(checked(address, logged(Probe::Tcp { steps })));
    watching(backend, |lines, _| async move {
        let server = Listener::from_std(server).unwrap();
        let (mut stream, _) = server.accept().await.unwrap();
        let mut heard = [0; 64];
        let length = stream.read(&mut heard).await.unwrap();
        assert_eq!(&heard[..length], b"PING\r\n");
        stream.write_all(b"+PANG\r\n").await.unwrap();
        let line = until(&lines, "Health check").await;
        assert!(line.contains("code: 0, info: \"it lives\""), "{line}");
    });
}

#[test]
fn who_is_to_be_told_by_mail_is_told_as_by_haproxy() {
    let (dying, address) = listener();
    let relay = TcpListener::bind(loopback()).unwrap();
    relay.set_nonblocking(true).unwrap();
    let alert = EmailAlert {
        mailers: vec![relay.local_addr().unwrap()],
        timeout: LONG,
        from: "lb@x".into(),
        to: "ops@x".into(),
        level: proxy::Severity::Alert,
        host: Some("me.x".into()),
    };
    let mut backend = backend(vec![checked(address, logged(Probe::Connect))]);
    backend.email_alert = Some(Box::new(alert));
    watching(backend, |lines, _| async move {
        drop(dying);
        until(&lines, "is DOWN").await;
        let relay = Listener::from_std(relay).unwrap();
        let (mut stream, _) = relay.accept().await.unwrap();
        let mut heard = String::new();
        for reply in ["220 x", "250 x", "250 x", "250 x", "354 x", "250 x", "221 x"] {
            stream.write_all(format!("{reply}\r\n").as_bytes()).await.unwrap();
            let mut piece = [0; 4096];
            let length = stream.read(&mut piece).await.unwrap();
            heard.push_str(&String::from_utf8_lossy(&piece[..length]));
        }
        let (head, rest) = heard.split_once("Date: ").unwrap();
        assert_eq!(
            head,
            "HELO me.x\r\nMAIL FROM:<lb@x>\r\nRCPT TO:<ops@x>\r\nDATA\r\nFrom: lb@x\r\nTo: ops@x\r\n"
        );
        let text = "Server be/s is DOWN. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue";
        let (_, rest) = rest.split_once("\r\n").unwrap();
        assert_eq!(
            rest,
            format!("Subject: [HAProxy Alert] {text}\r\n\r\n{text}\r\n\r\n.\r\nQUIT\r\n")
        );
    });
}

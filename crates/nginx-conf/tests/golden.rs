//! What files mean and what is said about them.

use std::path::PathBuf;
use std::time::Duration;

use conf::{Severity, Wording as _};
use nginx_conf::{Loaded, Lookups, Options, Wording, load, load_text};
use proxy::{Algorithm, BindAddress, Config, HalfClose, KeepAlive, Threads};

fn offline(text: &str) -> Loaded {
    load_text("n.conf", text, &Options::offline())
}

fn said(loaded: &Loaded) -> Vec<String> {
    loaded.diagnostics.iter().map(|d| Wording.line(&loaded.sources, d)).collect()
}

fn config(text: &str) -> Config {
    let loaded = offline(text);
    assert!(loaded.is_ok(), "{:?}", said(&loaded));
    loaded.config
}

fn guide(name: &str) -> String {
    let guides = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../compat-tests/guides");
    std::fs::read_to_string(guides.join(name)).expect("the guides are part of the project")
}

#[test]
fn guide_000_balances_two_upstreams_by_connections() {
    let config = config(&format!("events {{}}\n{}", guide("000-nginx-stream.conf")));
    assert_eq!(config.frontends.len(), 2);
    let names: Vec<&str> = config.frontends.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["0.0.0.0:4001", "0.0.0.0:6443"]);
    for frontend in &config.frontends {
        let backend = config.backend_of(frontend).expect("proxy_pass");
        assert_eq!(backend.algorithm, Algorithm::SmoothLeastConn);
        assert_eq!(backend.servers.len(), 2);
        assert_eq!(backend.connect_timeout, Some(Duration::from_secs(60)));
        assert_eq!(backend.idle_timeout, Some(Duration::from_secs(600)));
        assert_eq!(backend.half_close, HalfClose::CloseBoth);
        for server in &backend.servers {
            let passive = server.passive.expect("nginx learns from failures");
            assert_eq!((passive.max_fails, passive.fail_timeout), (3, Duration::from_secs(5)));
        }
    }
}

#[test]
fn guide_004_has_weights_and_short_timeouts() {
    let config = config(&format!("events {{}}\n{}", guide("004-nginx-stream.conf")));
    let backend = config.backend_of(&config.frontends[0]).expect("proxy_pass");
    assert_eq!(backend.name, "kubernetes-api");
    assert_eq!(backend.algorithm, Algorithm::SmoothRoundRobin);
    assert_eq!(backend.connect_timeout, Some(Duration::from_secs(1)));
    assert_eq!(backend.idle_timeout, Some(Duration::from_secs(3)));
    let servers: Vec<_> =
        backend.servers.iter().map(|s| (s.address.to_string(), s.weight)).collect();
    assert_eq!(servers, [("192.168.2.1:6443".to_owned(), 5), ("192.168.2.2:6443".to_owned(), 5)]);
}

#[test]
fn every_mistake_is_reported_in_the_order_nginx_would_meet_them() {
    let loaded = offline(
        "user;\nfoo bar;\nevents { worker_connections many; }\nstream {\n  upstream k {\n    \
         server 192.0.2.1:1 weight=0 bckup;\n    server 192.0.2.1;\n  }\n  upstream e {\n  }\n  \
         server {\n    lsten 1;\n    proxy_timeout 1q;\n    tcp_nodelay maybe;\n    proxy_pass x\n  }\n  \
         map $a $b { c d; }\n}\n}\n",
    );
    assert_eq!(
        said(&loaded),
        [
            "nginx: [emerg] invalid number of arguments in \"user\" directive in n.conf:1",
            "nginx: [emerg] unknown directive \"foo\" in n.conf:2",
            "nginx: [emerg] invalid number \"many\" in n.conf:3",
            "nginx: [emerg] invalid parameter \"weight=0\" in n.conf:6",
            "nginx: [emerg] invalid parameter \"bckup\" in n.conf:6",
            "nginx: [emerg] no port in upstream \"192.0.2.1\" in n.conf:7",
            "nginx: [emerg] no servers are inside upstream in n.conf:10",
            "nginx: [emerg] unknown directive \"lsten\" in n.conf:12",
            "nginx: [emerg] \"proxy_timeout\" directive invalid value in n.conf:13",
            "nginx: [emerg] invalid value \"maybe\" in \"tcp_nodelay\" directive, it must be \"on\" or \"off\" in n.conf:14",
            "nginx: [emerg] unexpected \"}\" in n.conf:16",
            "nginx: [emerg] no \"listen\" is defined for server in n.conf:16",
            "nginx: [emerg] unexpected \"}\" in n.conf:19",
        ]
    );
    let shown = conf::pretty(&Wording, &loaded.sources, &loaded.diagnostics[7]);
    assert!(
        shown.contains("    lsten 1;\n   |     ^^^^^") && shown.contains("did you mean 'listen'?"),
        "{shown}"
    );
}

#[test]
fn the_levels_of_a_server_are_merged_and_an_upstream_is_shared() {
    let config = config(
        "worker_processes 3; worker_rlimit_nofile 4000; worker_shutdown_timeout 10s; daemon off;\n\
         pid n.pid; error_log /e.log warn;\n\
         events { worker_connections 100; }\n\
         stream {\n\
           proxy_timeout 1m30s; proxy_next_upstream_tries 2; tcp_nodelay OFF;\n\
           error_log s.log;\n\
           upstream K { server 192.0.2.1:1 max_conns=7 down; server unix:/u backup; }\n\
           server { listen 127.0.0.1:1-3 so_keepalive=10s::4 backlog=9; proxy_pass k; }\n\
           server { listen [::1]:1 ipv6only=off; listen unix:/l; proxy_pass K; proxy_timeout 5; proxy_half_close on;\n\
                    error_log stderr info; proxy_socket_keepalive on; proxy_bind 192.0.2.9;\n\
                    proxy_socket_rcvbuf 64k; proxy_socket_sndbuf 1m; }\n\
           server { listen localhost:5; proxy_pass localhost:6; }\n\
         }",
    );
    let process = &config.process;
    assert_eq!(process.threads, Threads::Count(3));
    assert_eq!((process.maxconn, process.nofile), (Some(138), Some(4000)));
    assert_eq!(process.hard_stop_after, Some(Duration::from_secs(10)));
    assert_eq!((process.daemon, process.master_worker), (false, true));
    assert_eq!(process.pidfile, Some("/n.pid".into()));
    let [first, second, third] = config.frontends.as_slice() else { panic!("three servers") };
    assert_eq!(first.binds.len(), 3);
    assert_eq!(
        first.binds[2].address,
        BindAddress::Inet("127.0.0.1:3".parse().expect("an address"))
    );
    assert_eq!(first.binds[0].backlog, Some(9));
    let keepalive =
        KeepAlive { idle: Some(Duration::from_secs(10)), interval: None, count: Some(4) };
    assert_eq!(first.keepalive, Some(keepalive));
    assert_eq!(second.binds[0].v6only, Some(false));
    assert_eq!(second.binds[1].address, BindAddress::Unix("/l".into()));
    assert_eq!((first.nodelay, first.error_log.len()), (false, 1));
    let backends: Vec<_> =
        [first, second, third].map(|f| config.backend_of(f).expect("proxy_pass")).into();
    assert_eq!(backends[0].idle_timeout, Some(Duration::from_secs(90)));
    assert_eq!(backends[1].idle_timeout, Some(Duration::from_secs(5)));
    assert_eq!(backends[1].half_close, HalfClose::Forward);
    assert_eq!(backends[1].source, Some("192.0.2.9:0".parse().expect("an address")));
    let buffers = backends[1].outbound.as_deref().map(|out| (out.receive_buffer, out.send_buffer));
    assert_eq!(buffers, Some((Some(65_536), Some(1_048_576))));
    assert_eq!(backends[0].outbound, None);
    assert_eq!(backends[1].next_upstream.expect("nginx").tries, 2);
    assert_eq!(backends[0].shares_servers_with, None);
    assert_eq!(backends[1].shares_servers_with, first.default_backend);
    assert_eq!(backends[2].shares_servers_with, None);
    assert_eq!(backends[0].servers[0].maxconn, Some(7));
    assert!(backends[0].servers[0].disabled && backends[0].servers[1].backup);
    assert_eq!(backends[2].name, "localhost:6");
}

#[test]
fn a_wildcard_and_one_address_share_a_port_through_the_kernel() {
    let config = config(
        "events {} stream {\n server { listen 16443; proxy_pass 192.0.2.1:1; }\n\
         server { listen 127.0.0.1:16443; proxy_pass 192.0.2.1:1; }\n\
         server { listen 7; proxy_pass 192.0.2.1:1; } }",
    );
    let shared: Vec<bool> = config.frontends.iter().map(|f| f.binds[0].reuseport).collect();
    assert_eq!(shared, [true, true, false]);
}

#[test]
fn a_directive_of_the_command_line_counts_as_one_of_the_file() {
    let options = |globals: &str| Options { globals: Some(globals.into()), ..Options::offline() };
    let loaded =
        load_text("n.conf", "daemon off; events {}", &options("daemon on; master_process on;"));
    assert_eq!(said(&loaded), ["nginx: [emerg] \"daemon\" directive is duplicate in n.conf:1"]);
    let loaded = load_text("n.conf", "events {}", &options("daemon off"));
    assert_eq!(
        said(&loaded)[0],
        "nginx: [emerg] unexpected end of parameter, expecting \";\" in command line"
    );
    let loaded = load_text("n.conf", "events {}", &options("daemon maybe;"));
    assert!(said(&loaded)[0].ends_with("it must be \"on\" or \"off\" in command line"));
}

#[test]
fn an_http_block_is_skipped_only_where_nothing_is_lost() {
    let debian = "server { listen 80 default_server; listen [::]:80 default_server;\n\
        root /var/www/html; index index.html index.htm index.nginx-debian.html; server_name _;\n\
        location / { try_files $uri $uri/ =404; } }";
    for (http, first, runs) in [
        ("types { a b; } sendfile on; gzip on;", "[notice] \"http\" has no server", true),
        (debian, "[notice] \"http\" holds only Debian's default page", true),
        (
            "server { listen 80; root /srv; }",
            "[emerg] not supported yet: \"http\" with sites",
            false,
        ),
        (&debian.replace("/var/www/html", "/srv"), "[emerg] not supported yet", false),
        ("stream {}", "[emerg] \"stream\" directive is not allowed here", false),
        ("sendfil on;", "[emerg] unknown directive \"sendfil\"", false),
        (
            "server { location / { proxy_psas x; } }",
            "[emerg] unknown directive \"proxy_psas\"",
            false,
        ),
    ] {
        let loaded = offline(&format!("events {{}} http {{ {http} }}"));
        assert_eq!(loaded.is_ok(), runs, "{http}");
        assert!(said(&loaded)[0].starts_with(&format!("nginx: {first}")), "{:?}", said(&loaded));
    }
    let loaded = offline("ignore_http on; events {} http { server { listen 80; root /srv; } }");
    assert!(loaded.is_ok());
    assert_eq!(
        said(&loaded),
        ["nginx: [warn] \"http\" is ignored: its sites are not served in n.conf:1"]
    );
}

#[test]
fn what_debian_installs_runs_with_the_guides_appended() {
    if !std::path::Path::new("/etc/nginx/nginx.conf").exists() {
        eprintln!("SKIPPED: nginx is not installed");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("nginx.conf");
    let stock = std::fs::read_to_string("/etc/nginx/nginx.conf").expect("readable");
    std::fs::write(&file, stock + &guide("004-nginx-stream.conf")).expect("written");
    let lookups = Lookups { superuser: true, ..Lookups::default() };
    let loaded = load(&file, &Options { lookups, ..Options::default() });
    assert!(loaded.is_ok(), "{:?}", said(&loaded));
    assert_eq!(loaded.config.process.user.as_deref(), Some("www-data"));
    assert_eq!(loaded.config.frontends.len(), 1);
    assert!(loaded.files().count() > 2, "its includes are read");
}

#[test]
fn includes_are_found_bounded_and_never_endless() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(at(name), text).expect("written");
    let run = |text: &str| {
        write("n.conf", text);
        let loaded = load(&at("n.conf"), &Options::default());
        let prefix = format!("{}/", directory.path().display());
        said(&loaded).into_iter().map(|line| line.replace(&prefix, "")).collect::<Vec<_>>()
    };
    write("a.inc", "daemon off;\n");
    write("b.inc", "events {}\n");
    assert_eq!(run("include *.inc;\ninclude none*.inc;\n"), Vec::<String>::new());
    assert_eq!(
        run("events {}\ninclude none.inc;\n"),
        ["nginx: [emerg] open() \"none.inc\" failed (2: No such file or directory) in n.conf:2"]
    );
    write("loop.inc", "include loop.inc;\n");
    assert_eq!(
        run("events {}\ninclude loop.inc;\n"),
        ["nginx: [emerg] \"loop.inc\" includes itself in loop.inc:1"]
    );
    // Forty files, each of which includes all that come after it.
    for n in 0..40 {
        write(&format!("c{n}.x"), &format!("include c*.x;\ninclude c{}.x;\n", n + 1));
    }
    let begun = std::time::Instant::now();
    assert!(!run("events {}\ninclude c0.x;\n").is_empty());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    write("deep.conf", "x");
    assert_eq!(
        said(&load(directory.path(), &Options::default()))[0],
        format!(
            "nginx: [crit] pread() \"{}\" failed (21: Is a directory)",
            directory.path().display()
        )
    );
}

#[test]
fn the_corpus_runs_or_says_what_is_missing() {
    let shared = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let Ok(verdicts) = std::fs::read_to_string(shared.join("verdicts.tsv")) else {
        eprintln!("SKIPPED: the corpus is not here");
        return;
    };
    let (mut runs, mut planned, mut refused) = (0, 0, 0);
    for line in verdicts.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let (file, verdict) = (columns[0], columns.get(6).copied().unwrap_or(""));
        let Some(_) = file.strip_prefix("nginx-stream/") else { continue };
        let mut text = std::fs::read_to_string(shared.join(file)).expect("readable");
        if line.contains("wrapped-in-stream") {
            text = format!("stream {{\n{text}\n}}");
        }
        if !text.contains("events") {
            text = format!("events {{}}\n{text}");
        }
        let mut options = Options::offline();
        options.lookups.resolve = |_| vec![std::net::Ipv4Addr::LOCALHOST.into()];
        options.lookups.user = |_| true;
        options.lookups.group = |_| true;
        options.lookups.superuser = true;
        let loaded = load_text(file, &text, &options);
        let errors: Vec<String> = loaded
            .diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .map(|d| Wording.message(&loaded.sources, d))
            .collect();
        if errors.is_empty() {
            // What the original has in its commercial edition only runs here.
            let more = text.contains("health_check");
            assert!(verdict != "refuse" || more, "{file} runs, and nginx refuses it");
            runs += 1;
        } else if verdict == "refuse" {
            refused += 1;
        } else {
            for error in &errors {
                assert!(error.starts_with("not supported yet: "), "{file}: {error}");
            }
            eprintln!("{file}: {}", errors.join("; "));
            planned += 1;
        }
    }
    eprintln!(
        "corpus: {runs} run, {planned} need what is planned, {refused} are refused like nginx does"
    );
    assert!(runs >= 4, "only {runs} run");
}

#[test]
fn servers_of_one_address_are_told_apart_by_name() {
    let listen = |first: &str, second: &str| {
        let text = format!(
            "events {{}} stream {{ server {{ listen 1.2.3.4:5 {first}; return a; server_name a; }}
             server {{ listen 1.2.3.4:5 {second}; return b; server_name A b; }} }}"
        );
        let loaded = offline(&text);
        (said(&loaded), loaded)
    };
    let (said, loaded) = listen("", "default_server");
    assert_eq!(said, ["nginx: [warn] conflicting server name \"a\" on 1.2.3.4:5, ignored"]);
    let frontends = &loaded.config.frontends;
    assert_eq!(frontends.iter().map(|one| one.binds.len()).collect::<Vec<_>>(), [0, 1]);
    assert!(frontends[1].nginx.as_ref().is_some_and(|nginx| nginx.by_name.is_some()));
    let (said, _) = listen("default_server", "default_server");
    assert_eq!(said[0], "nginx: [emerg] a duplicate default server for 1.2.3.4:5 in n.conf:2");
    let (said, _) = listen("backlog=3", "backlog=4");
    assert_eq!(said[0], "nginx: [emerg] duplicate listen options for 1.2.3.4:5 in n.conf:2");
}

#[test]
fn names_that_are_asked_for_need_a_resolver_and_a_zone() {
    let upstream = |stream: &str, inner: &str| {
        let text = format!("events {{}}\nstream {{ {stream}\nupstream u {{ {inner} }} }}");
        said(&offline(&text)).join("\n")
    };
    for (stream, inner, expected) in [
        ("resolver 127.0.0.1;", "zone z 64k; server a.test:1 resolve;", ""),
        ("", "resolver 127.0.0.1; zone z 64k; server a.test service=x resolve;", ""),
        ("", "zone z 64k; server 192.0.2.1:1 resolve;", ""),
        (
            "",
            "server a.test service=x;",
            "nginx: [emerg] service upstream \"a.test\" requires \"resolve\" parameter in n.conf:3",
        ),
        (
            "",
            "server a.test:1 service=x resolve;",
            "nginx: [emerg] service upstream \"a.test:1\" may not have port in n.conf:3",
        ),
        ("", "server a.test resolve;", "nginx: [emerg] no port in upstream \"a.test\" in n.conf:3"),
    ] {
        assert_eq!(upstream(stream, inner), expected, "{inner}");
    }
}

#[test]
fn a_health_check_belongs_to_the_upstream_and_says_what_is_wrong_with_it() {
    let check = |check: &str| {
        let text = format!(
            "events {{}} stream {{ match m {{ send a\\x00; expect ~ b; }} upstream u {{ server 192.0.2.1:1; }}
             server {{ listen 1; proxy_pass u; }} server {{ listen 2; proxy_pass u; {check} }} }}"
        );
        offline(&text)
    };
    let loaded = check(
        "health_check interval=1s jitter=100ms fails=3 passes=2 port=9 match=m; health_check_timeout 2s;",
    );
    assert_eq!(said(&loaded), Vec::<String>::new());
    let backends = &loaded.config.backends;
    assert!(backends[1].active_check.is_none(), "once for an upstream");
    let found = backends[0].active_check.as_ref().expect("a check");
    assert_eq!((found.fails, found.passes, found.port), (3, 2, Some(9)));
    assert_eq!((found.interval, found.timeout), (Duration::from_secs(1), Duration::from_secs(2)));
    assert_eq!(found.matching.as_ref().expect("a match").send, b"a\0");
    for (wrong, message) in [
        ("health_check fails=0;", "invalid parameter \"fails=0\""),
        ("health_check interval=0;", "invalid parameter \"interval=0\""),
        ("health_check foo;", "invalid parameter \"foo\""),
        ("health_check persistent;", "\"persistent\" of \"health_check\" needs \"mandatory\""),
        ("health_check uri=/;", "\"uri\" of \"health_check\" needs \"type=http\""),
        ("health_check match=x;", "match \"x\" is not found"),
    ] {
        let loaded = check(wrong);
        assert!(said(&loaded)[0].contains(message), "{wrong}: {:?}", said(&loaded));
    }
}

//! The same files given to the installed nginx: its first complaint is ours.

use std::process::Command;

use conf::Wording as _;
use nginx_conf::{Lookups, Options, Wording, load};

const MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// What stands inside of `stream {}`.
const STREAMS: &[&str] = &[
    "server { listen 16443; proxy_pass 127.0.0.1:1; }",
    "server {\n listen 16443\n;\n proxy_pass 127.0.0.1:1;\n proxy_foo\n on; }",
    "upstream k { server unix:/a weight=2; server 127.0.0.1:1 weight=0; }",
    "upstream k { server 127.0.0.1:1 down=1; }",
    "upstream k { server 127.0.0.1:1 fail_timeout=1ms; }",
    "upstream k { server 127.0.0.1:1; } upstream K { server 127.0.0.1:1; }",
    "upstream k { least_conn; least_conn; server localhost:1; }",
    "upstream k { server :1; }",
    "upstream k { zone a 64k 3; server 127.0.0.1:1; }",
    "upstream k { zone a 1x; server 127.0.0.1:1; }",
    "upstream k { zone a 8k; server 127.0.0.1:1; }",
    "upstream {}",
    "server x {}",
    "server { listen 99999; }",
    "server { listen 0; }",
    "server { listen [::1:80; }",
    "server { listen :1234; proxy_pass 127.0.0.1:1; }",
    "server { listen *:; proxy_pass :1; }",
    "server { listen \"\"; proxy_pass :1; }",
    "server { listen 127.0.0.1:x; proxy_pass :1; }",
    "server { listen unix:; proxy_pass 127.0.0.1:1; }",
    "server { listen 20-10; proxy_pass 127.0.0.1:1; }",
    "server { listen 127.0.0.1:1234 fastopen=x; proxy_pass 127.0.0.1:1; }",
    "server { listen 127.0.0.1:1234 backlog=0; proxy_pass 127.0.0.1:1; }",
    "server { listen 127.0.0.1:1234 rcvbuf=1q; proxy_pass 127.0.0.1:1; }",
    "server { listen 127.0.0.1:1234 so_keepalive=a:b:c; proxy_pass 127.0.0.1:1; }",
    "server { listen 127.0.0.1:1234 so_keepalive=1:2; proxy_pass 127.0.0.1:1; }",
    "server { listen 1234; proxy_pass [::1]; }",
    "server { listen 1234; proxy_pass [::1]:x; }",
    "server { listen 1234; proxy_pass [::1]80; }",
    "server { listen 1234; proxy_pass [zz]:80; }",
    "server { listen 1234; proxy_pass localhost:80-90; }",
    "server { listen 1234; proxy_pass unix:/a:/b; }",
    "server { listen 1234; proxy_pass http://127.0.0.1:1; }",
    "server { listen 1234; proxy_pass a b; }",
    "server { listen 1234; proxy_bind foo; }",
    "server { listen 1234; proxy_bind 127.0.0.1 foo; }",
    "server { listen 1234; proxy_timeout; }",
    "server { listen 1234; proxy_timeout 3y; }",
    "server { listen 1234; proxy_timeout 1m1m; }",
    "server { listen 1234; proxy_timeout '1m 5'; proxy_pass 127.0.0.1:1; }",
    "server { listen 1234; proxy_timeout 5ms1; proxy_pass 127.0.0.1:1; }",
    "server { listen 1234; proxy_next_upstream_tries -1; }",
    "server { listen 1234; access_log off a; proxy_pass 127.0.0.1:1; }",
    "server { listen 1234; tcp_nodelay on; tcp_nodelay off; }",
    "server { listen 1234; error_log; }",
    "server { listen 1234; error_log stderr warn error; }",
    "server { listen 1234; error_log syslog:server=127.0.0.1,foo=bar; }",
    "server { listen 1234; location / {} }",
    "log_format a '$remote_addr $nonesuch';",
    "log_format a '${remote_addr';",
];

/// The same, about variables, access, limits, logs and balancing.
const SESSIONS: &[&str] = &[
    "map $remote_addr $b { a; }",
    "map $remote_addr $b { a b c; }",
    "map $remote_addr $b { default 1; default 2; }",
    "map $remote_addr $b { hostnames; *.x.* 1; }",
    "map $remote_addr $b { hostnames; .example.com 1; example.com 2; }",
    "map $remote_addr $b { hostnames; *.example.com 1; .example.com 2; }",
    "map $remote_addr $b { hostnames; *..com 1; }",
    "map $remote_addr $b { ~( 1; }",
    "map $remote_addr $b { ~[a 1; }",
    r"map $remote_addr $b { ~^(?<n>a)$ $n; \~a 1; \default 3; }",
    "map $remote_addr $b { a $nosuch; }",
    "map $remote_addr $b { a x$; }",
    "map $remote_addr $b { a { b c; } }",
    "map $remote_addr $b { volatile; hostnames; a 1; }",
    "map $remote_addr $remote_port { a 1; }",
    "map $remote_addr $b { a 1; A 2; }",
    r#"map $remote_addr $b { "" 1; default 2; }"#,
    "map $remote_addr { a 1; }",
    "map $remote_addr $b { include nosuch.map; }",
    "geo $b { default; }",
    "geo $b { 1.2.3.4/8 1; }",
    "geo $b { 1.2.3.4/33 1; }",
    "geo $b { foo 1; }",
    "geo $b { 10.0.0.0/8 1; 10.0.0.0/8 2; }",
    "geo $b { default 1; default 2; }",
    "geo $b { 10.0.0.0/8 1; ranges; }",
    "geo $b { ranges; 10.0.0.1-10.0.0.5 1; default 0; }",
    "geo $b { ranges; 10.0.0.5-10.0.0.1 1; }",
    "geo $b { ranges; 10.0.0.1-10.0.0.5 1; 10.0.0.2-10.0.0.3 2; 10.0.0.2-10.0.0.3 4; }",
    "geo $b { ranges; 10.0.0.0/8 1; }",
    "geo $b { delete 10.0.0.0/8; }",
    "geo $b { 10.0.0.0/8 1; delete 10.0.0.0/8; }",
    "geo $b { volatile 1 2; }",
    "geo b { }",
    "geo $remote_addr $b { ::/0 1; 2001:db8::1/32 2; }",
    "split_clients $remote_addr $b { 10 a; }",
    "split_clients $remote_addr $b { 10.555% a; }",
    "split_clients $remote_addr $b { * a; 10% b; }",
    "split_clients $remote_addr $b { 10% a b; }",
    "split_clients $remote_addr $b { 0% a; }",
    "server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; set x 1; }",
    "server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; set $x 1; set $x $nosuch; }",
    "server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; set $remote_addr 1; }",
    "server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; return a; return b; }",
    "server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; allow 1.2.3.4/33; }",
    "server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; allow unix:; deny ::1/64; }",
    "server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; limit_conn z; }",
    "limit_conn_zone $remote_addr zone=z:1k; server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; limit_conn z 10; }",
    "limit_conn_zone $remote_addr zone=z:1m; server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; limit_conn z 0; }",
    "limit_conn_zone $remote_addr zone=z:1m; server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; limit_conn z 70000; }",
    "limit_conn_zone $remote_addr zone=z:1m; server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; limit_conn z 1; limit_conn z 2; }",
    "limit_conn_zone $remote_addr zone=z:1m; limit_conn_zone $remote_addr zone=z:1m;",
    "limit_conn_zone $remote_addr zone=z;",
    "limit_conn_zone $remote_addr foo=z:1m;",
    "limit_conn_zone $remote_addr;",
    "server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; limit_conn_log_level foo; }",
    "log_format a b; server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; access_log a.log a foo; }",
    "log_format a b; server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; access_log a.log a buffer=x; }",
    "log_format a b; server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; access_log a.log a flush=1s; }",
    "log_format a b; server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; access_log a.log a gzip=99; }",
    "log_format a b; server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; access_log /dev/null a if=$x; }",
    "log_format a b; server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; access_log $pid.log a buffer=1k; }",
    "log_format a b; server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; access_log syslog:server=127.0.0.1 a buffer=1k; }",
    "log_format a b; server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; access_log a.log a buffer=32k; access_log a.log a buffer=16k; }",
    "log_format a $a$;",
    "log_format a;",
    "upstream k { hash; server 127.0.0.1:1; }",
    "upstream k { hash a foo; server 127.0.0.1:1; }",
    "upstream k { hash $nosuch; server 127.0.0.1:1; }",
    "upstream k { random foo; server 127.0.0.1:1; }",
    "upstream k { random two foo; server 127.0.0.1:1; }",
    "upstream k { random two least_conn; server 127.0.0.1:1 backup; }",
    "upstream k { random; server 127.0.0.1:1 max_conns=1; server 127.0.0.1:2 backup; }",
    "server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; proxy_upload_rate x; }",
    "server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; set_real_ip_from foo.invalid; }",
    "server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; set_real_ip_from 1.2.3.4/33; }",
    "server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; proxy_responses x; }",
    "server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; preread_buffer_size x; }",
    "server { listen 127.0.0.1:16443; proxy_pass $nosuch; }",
    "server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:$server_port; }",
    "server { listen 127.0.0.1:16443; proxy_pass k$server_port; }",
    "server { listen 127.0.0.1:16443; return; }",
    "resolver foo.invalid;",
    "resolver 127.0.0.1 valid=x;",
    "resolver 127.0.0.1 ipv6=maybe;",
    "resolver ipv6=off;",
    "server { listen 127.0.0.1:16443 udp reuseport; proxy_pass 127.0.0.1:1; proxy_protocol on; }",
    "server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; ssl_preread maybe; }",
    "server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; open_log_file_cache max=5 inactive=20s valid=1m min_uses=2; }",
    "server { listen 127.0.0.1:16443; proxy_pass 127.0.0.1:1; open_log_file_cache foo; }",
];

/// What stands around an empty `stream {}`.
const MAINS: &[&str] = &[
    "worker_processes auto auto;",
    "worker_processes many;",
    "daemon maybe;",
    "worker_rlimit_nofile x;",
    "worker_shutdown_timeout 1M;",
    "user nosuchuser;",
    "foo bar;",
    "pid a b;",
    "proxy_pass x;",
    "a 'b'c;",
    "a \"b",
    ";",
    "}",
    "worker_processes 1; worker_processes 1;",
];

fn first(text: &str) -> String {
    let line = text.lines().find(|line| !line.contains("syntax is ok")).unwrap_or("");
    // "DATE TIME [emerg] PID#TID: TEXT" or "nginx: [emerg] TEXT".
    let from = line.find('[').unwrap_or(line.len());
    let mut words = line[from..].splitn(3, ' ');
    let (level, second, rest) =
        (words.next().unwrap_or(""), words.next().unwrap_or(""), words.next().unwrap_or(""));
    if second.contains('#') && second.ends_with(':') {
        format!("{level} {rest}")
    } else {
        line[from..].to_owned()
    }
}

#[test]
fn the_installed_nginx_says_the_same() {
    if Command::new("nginx").arg("-v").output().is_err() || !std::path::Path::new(MODULE).exists() {
        eprintln!("SKIPPED: nginx with its stream module is not installed");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let d = directory.path();
    let file = d.join("n.conf");
    let mut differ = Vec::new();
    let streams = STREAMS.iter().chain(SESSIONS).map(|text| format!("stream {{\n{text}\n}}\n"));
    let texts: Vec<String> = streams.chain(MAINS.iter().map(|text| format!("{text}\n"))).collect();
    for text in &texts {
        let head = format!("load_module {MODULE};\nerror_log stderr;\nevents {{}}\n");
        let pid =
            if text.contains("pid") { String::new() } else { format!("pid {}/p;\n", d.display()) };
        std::fs::write(&file, format!("{head}{pid}{text}")).expect("written");
        let run = Command::new("nginx").args(["-t", "-c"]).arg(&file).arg("-p").arg(d).output();
        let run = run.expect("nginx runs");
        let theirs = String::from_utf8_lossy(&run.stderr).into_owned();
        let lookups = Lookups { superuser: true, ..Lookups::default() };
        let options = Options { prefix: d.to_owned(), lookups, ..Options::default() };
        let loaded = load(&file, &options);
        let ours: String =
            loaded.diagnostics.iter().map(|x| Wording.line(&loaded.sources, x) + "\n").collect();
        let theirs = if run.status.success() && !theirs.contains("[warn]") {
            String::new()
        } else {
            first(&theirs)
        };
        // Newer versions say it the other way round.
        if first(&ours) != theirs || loaded.is_ok() != run.status.success() {
            differ.push(format!("{text}    nginx: {theirs}\n    ours:  {}", first(&ours)));
        }
    }
    eprintln!("{} of {} equal to the installed nginx", texts.len() - differ.len(), texts.len());
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

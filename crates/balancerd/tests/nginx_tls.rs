//! `proxy_ssl`: TLS towards servers, the same as by the installed nginx.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use rcgen::{CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};

#[path = "beside/harness.rs"]
mod harness;

use harness::*;

type Root = CertifiedIssuer<'static, KeyPair>;

/// Certificates in a directory, and servers that show them.
struct Far {
    directory: tempfile::TempDir,
    root: Root,
    fronts: Vec<(char, TcpListener)>,
    text: String,
}

fn root(name: &str) -> Root {
    let mut params = CertificateParams::new(vec![]).expect("no names");
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a root")
}

/// A certificate and its key, of serial number 7.
fn leaf(root: &Root, name: &str, over: bool) -> (String, String) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(rcgen::SerialNumber::from(vec![7]));
    if over {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    }
    let key = KeyPair::generate().expect("a key");
    (params.signed_by(&key, root).expect("a certificate").pem(), key.serialize_pem())
}

impl Far {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let root = root("root");
        let far = Self { directory, root, fronts: vec![], text: String::new() };
        far.write("ca.pem", &far.root.pem());
        far
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("writable");
    }

    /// A list of what was revoked: these serial numbers.
    fn revoke(&self, name: &str, serials: &[u64]) {
        let revoked = |serial: &u64| rcgen::RevokedCertParams {
            serial_number: rcgen::SerialNumber::from(*serial),
            revocation_time: rcgen::date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2024, 1, 1),
            next_update: rcgen::date_time_ymd(2099, 1, 1),
            crl_number: rcgen::SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        self.write(name, &list.signed_by(&self.root).expect("a list").pem().expect("PEM"));
    }

    /// A server that shows a certificate, and what else its line says, before a plain one.
    fn shows(&mut self, name: char, pair: (String, String), more: &str, behind: u16) {
        self.write(&format!("{name}.pem"), &(pair.0 + &pair.1));
        let front = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (at, shown) = (self.fronts.len(), self.path(&format!("{name}.pem")));
        self.text += &format!(
            "listen l{at}\n bind fd@${{f{at}}} ssl crt {} {more}\n server s 127.0.0.1:{behind}\n",
            shown.display()
        );
        self.fronts.push((name, front));
    }

    /// Serves, until the child is killed.
    fn serve(&self) -> Served {
        let text =
            "defaults\n mode tcp\n timeout client 9s\n timeout server 9s\n timeout connect 9s\n";
        self.write("far.cfg", &(text.to_owned() + &self.text));
        let mut command = Command::new(env!("CARGO_BIN_EXE_balancerd"));
        command.arg0("haproxy").args(["-db", "-f"]).arg(self.path("far.cfg")).stderr(Stdio::null());
        for (at, (_, front)) in self.fronts.iter().enumerate() {
            fcntl(front, FcntlArg::F_SETFD(FdFlag::empty())).expect("open");
            command.env(format!("f{at}"), front.as_raw_fd().to_string());
        }
        let child = command.spawn().expect("it runs");
        for (_, front) in &self.fronts {
            fcntl(front, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).expect("open");
        }
        Served(child)
    }

    fn servers(&self) -> Vec<(char, u16)> {
        let port = |front: &TcpListener| front.local_addr().expect("bound").port();
        self.fronts.iter().map(|(name, front)| (*name, port(front))).collect()
    }
}

struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn names_roots_times_and_revocations_are_judged_as_by_nginx() {
    let mut far = Far::new();
    let behind = speaker("x");
    let good = leaf(&far.root, "backend", false);
    let late = leaf(&far.root, "backend", true);
    let strange = leaf(&root("another"), "backend", false);
    far.shows('g', good.clone(), "", behind);
    far.shows('l', late, "", behind);
    far.shows('s', strange, "", behind);
    far.shows('n', good.clone(), "strict-sni", behind);
    far.shows('h', good, "accept-proxy", behind);
    far.revoke("none.crl", &[9]);
    far.revoke("seven.crl", &[7]);
    let _served = far.serve();
    let mut servers = far.servers();
    servers.push(('p', behind));
    servers.push(('u', echo("u")));
    let stream = "
        log_format m '$remote_addr $status $bytes_sent $bytes_received $upstream_addr';
        access_log a.log m;
        map $remote_addr $n { 127.0.0.1 backend; default wrong.example; }
        upstream backend { server 127.0.0.1:@g@; }
        upstream other { server 127.0.0.1:@g@; }
        upstream two { server 127.0.0.1:@l@; server 127.0.0.1:@g@; }
        proxy_ssl on; proxy_ssl_verify on; proxy_ssl_trusted_certificate @DIR@/ca.pem;
        server { listen 127.0.0.1:@A@; proxy_pass backend; }
        server { listen 127.0.0.1:@B@; proxy_pass other; }
        server { listen 127.0.0.1:@C@; proxy_pass other; proxy_ssl_name $n; }
        server { listen 127.0.0.1:@D@; proxy_pass 127.0.0.1:@g@; }
        server { listen 127.0.0.1:@E@; proxy_pass 127.0.0.1:@l@; proxy_ssl_name backend; }
        server { listen 127.0.0.1:@F@; proxy_pass 127.0.0.1:@g@; proxy_ssl_name backend; proxy_ssl_session_reuse off;
            proxy_ssl_crl @DIR@/seven.crl; }
        server { listen 127.0.0.1:@G@; proxy_pass backend; proxy_ssl_crl @DIR@/none.crl; }
        server { listen 127.0.0.1:@H@; proxy_pass 127.0.0.1:@s@; proxy_ssl_name backend; proxy_ssl_verify_depth 3; }
        server { listen 127.0.0.1:@I@; proxy_pass 127.0.0.1:@s@; proxy_ssl_verify off; }
        server { listen 127.0.0.1:@J@; proxy_pass 127.0.0.1:@p@; proxy_ssl off; }
        server { listen 127.0.0.1:@K@; proxy_pass two; proxy_ssl_name backend; }
        server { listen 127.0.0.1:@L@; proxy_pass 127.0.0.1:@n@; proxy_ssl_name backend:443; proxy_ssl_server_name on; }
        server { listen 127.0.0.1:@M@; proxy_pass 127.0.0.1:@h@; proxy_ssl_name backend; proxy_protocol on; }
        server { listen 127.0.0.1:@N@; proxy_pass backend; proxy_ssl_name backend; proxy_ssl_session_reuse off; proxy_ssl_protocols TLSv1.2; }
        server { listen 127.0.0.1:@O@ udp; proxy_pass 127.0.0.1:@u@; }
    ";
    let stream = stream.replace("@DIR@", &far.directory.path().display().to_string());
    same(&stream, "ABCDEFGHIJKLMNO", &servers, |it| {
        let mut found = Vec::new();
        let mut sessions = 0;
        // The second and third time, a session that another name began is at hand.
        let asked = "ABCDEFGHIJKLMN".chars().map(|name| (name, 1));
        for (name, from) in asked.chain([('C', 2), ('C', 1), ('C', 2)]) {
            // A reset or an end: that depends on whether the hello was read before.
            let got = it.ask(name, from, b"hello\n", 2);
            let got = if got == "reset" { String::new() } else { got };
            found.push(format!("{name}{from} {got}"));
            sessions += 1;
            it.lines("a.log", sessions);
        }
        found.extend(it.datagrams('O', 1, &[b"one"]));
        found.extend(it.lines("a.log", sessions));
        found.extend(it.said("error"));
        found.extend(it.said("crit"));
        // What must never be, whatever nginx does.
        let answered =
            |name: &str| found.iter().any(|one| one.starts_with(name) && one.contains("heard"));
        for refused in ["B1", "C2", "D1", "E1", "F1", "H1"] {
            assert!(!answered(refused), "{refused}: {found:#?}");
        }
        for served in ["A1", "C1", "G1", "I1", "J1", "K1", "L1", "M1", "N1"] {
            assert!(answered(served), "{served}: {found:#?}");
        }
        found
    });
}

/// What `-t` of one of the two says of a `server`.
fn check(original: bool, directory: &Path, server: &str) -> Vec<String> {
    let load = if original { load_module() } else { String::new() };
    let text = format!(
        "{load}\nevents {{}}\nerror_log stderr;\npid {}/n.pid;\nstream {{\nserver {{ listen 127.0.0.1:1; proxy_pass 127.0.0.1:9; {server} }}\n}}\n",
        directory.display()
    );
    let path = directory.join("t.conf");
    std::fs::write(&path, text).expect("writable");
    let program = peer().0;
    let ours = Path::new(env!("CARGO_BIN_EXE_balancerd"));
    let mut command = Command::new(if original { &program } else { ours });
    let output = command.arg0("nginx").args(["-t", "-q", "-c"]).arg(&path);
    let output = output.stdin(Stdio::null()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines = said.lines().filter(|line| line.contains("[emerg]") || line.contains("[warn]"));
    let bare = |line: &str| {
        let at = line.find('[').unwrap_or(0);
        let line = &line[at..];
        match line.split_once("#") {
            Some((level, rest)) if original => {
                let level = level.split(' ').next().unwrap_or("");
                format!("{level} {}", rest.split_once(": ").map_or("", |(_, rest)| rest))
            }
            _ => line.to_owned(),
        }
    };
    lines.map(bare).filter(|line| !line.contains("could not open error log")).collect()
}

#[test]
fn files_and_values_that_cannot_be_used_are_refused_in_nginx_s_words() {
    let far = Far::new();
    let (certificate, key) = leaf(&far.root, "a.example", false);
    far.write("s.crt", &certificate);
    far.write("s.key", &key);
    far.write("o.key", &leaf(&far.root, "a.example", false).1);
    far.write("junk", "junk\n");
    let pair = "proxy_ssl_certificate s.crt; proxy_ssl_certificate_key";
    let trusted = "proxy_ssl_verify on; proxy_ssl_trusted_certificate";
    let with = [
        String::new(),
        "proxy_ssl_verify on;".into(),
        format!("{trusted} missing.pem;"),
        format!("{trusted} junk;"),
        format!("{trusted} ca.pem;"),
        format!("{trusted} ca.pem; proxy_ssl_crl missing.crl;"),
        format!("{trusted} ca.pem; proxy_ssl_crl junk;"),
        "proxy_ssl_crl junk; proxy_ssl_trusted_certificate junk;".into(),
        "proxy_ssl_certificate s.crt;".into(),
        "proxy_ssl_certificate_key missing.key;".into(),
        format!("{pair} s.key;"),
        format!("{pair} missing.key;"),
        format!("{pair} junk;"),
        format!("{pair} o.key;"),
        "proxy_ssl_certificate missing.crt; proxy_ssl_certificate_key s.key;".into(),
        "proxy_ssl_certificate junk; proxy_ssl_certificate_key s.key;".into(),
        "proxy_ssl_password_file missing.pw;".into(),
        "proxy_ssl_ciphers NOSUCH;".into(),
        "proxy_ssl_ciphers HIGH:!aNULL:!MD5;".into(),
        "proxy_ssl_protocols TLSv1.9;".into(),
        "proxy_ssl_protocols TLSv1.2 TLSv1.2;".into(),
        "proxy_ssl_conf_command Nope x;".into(),
        "proxy_ssl_conf_command Nope;".into(),
        "proxy_ssl_conf_command Ciphersuites nope;".into(),
        "proxy_ssl_conf_command MinProtocol nope;".into(),
        "proxy_ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;".into(),
        "proxy_ssl_verify_depth x;".into(),
        "proxy_ssl_name $nope;".into(),
        "proxy_ssl_name $;".into(),
        "proxy_ssl_session_reuse maybe;".into(),
    ];
    for text in with {
        for on in ["on", "off"] {
            let server = format!("proxy_ssl {on}; {text}");
            let ours = check(false, far.directory.path(), &server);
            if installed() {
                assert_eq!(ours, check(true, far.directory.path(), &server), "{server}");
            }
        }
    }
}

#[test]
fn what_is_not_spoken_is_refused_by_name() {
    let far = Far::new();
    far.write(
        "e.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    far.write("s.crt", &leaf(&far.root, "a.example", false).0);
    let all = [
        ("proxy_ssl_protocols TLSv1 TLSv1.1;", "\"proxy_ssl_protocols TLSv1 TLSv1.1\""),
        ("proxy_ssl_protocols TLSv1.1 TLSv1.2;", "[warn] \"TLSv1.1\" is not spoken any more"),
        ("proxy_ssl_conf_command Options -SessionTicket;", "proxy_ssl_conf_command Options"),
        ("proxy_ssl_conf_command MaxProtocol TLSv1.1;", "proxy_ssl_conf_command MaxProtocol"),
        ("proxy_ssl_ciphers AES128-SHA;", "SSL_CTX_set_cipher_list(\"AES128-SHA\") failed"),
        ("proxy_ssl_certificate s.crt; proxy_ssl_certificate_key e.key;", "is encrypted"),
        ("proxy_ssl_certificate s.crt; proxy_ssl_certificate_key engine:a:b;", "engine:"),
        ("proxy_ssl_certificate $remote_addr; proxy_ssl_certificate_key x;", "with variables"),
    ];
    for (text, said) in all {
        let ours = check(false, far.directory.path(), &format!("proxy_ssl on; {text}"));
        assert!(ours.len() == 1 && ours[0].contains(said), "{text}: {ours:?}");
    }
}

#[test]
fn an_end_of_either_side_goes_through_tls_and_nothing_is_lost() {
    let mut far = Far::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let behind = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                if socket.read_to_end(&mut bytes).is_ok() {
                    let _ = socket.write_all(&bytes);
                }
            });
        }
    });
    far.shows('g', leaf(&far.root, "backend", false), "", behind);
    let _served = far.serve();
    let ca = far.path("ca.pem");
    let stream = format!(
        "upstream backend {{ server 127.0.0.1:@g@; }} server {{ listen 127.0.0.1:@A@; proxy_pass backend; \
         proxy_ssl on; proxy_ssl_verify on; proxy_ssl_trusted_certificate {}; proxy_half_close on; }}",
        ca.display()
    );
    let ours = Running::start(false, &stream, "", "A", &far.servers());
    let bytes: Vec<u8> =
        (0..1_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let to: SocketAddr = ours.at('A');
    let mut socket = TcpStream::connect(to).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.write_all(&bytes).expect("room");
    socket.shutdown(std::net::Shutdown::Write).expect("open");
    let mut got = Vec::new();
    socket.read_to_end(&mut got).expect("an answer");
    assert!(got == bytes, "{} bytes", got.len());
}

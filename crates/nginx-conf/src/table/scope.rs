//! What may stand in `stream {}` and in its `server {}` alike.

use conf::Form::Words;
use conf::Status::{Accepted, Deprecated};
use conf::{Binder, Keyword, Problem, Status, Within, Word};

use super::main::error_log;
use super::session::{
    access, access_log, bytes, limit_conn, limit_level, log_cache, rate, resolver, send_proxy,
    trusted,
};
use super::{IN_SERVER, IN_STREAM};
use proxy::Foreign;

use crate::address::{self, Host, Use};
use crate::draft::{LocalAddress, Scope};
use crate::value::{
    check_flag, check_millis, check_number, check_seconds, check_size, flag, millis, number,
};

type Row = Keyword<Scope>;

const BOTH: Within = IN_STREAM.or(IN_SERVER);
const NO_TLS: Status = Accepted("takes effect with `listen … ssl` only, which is refused");

/// The directives.
pub(crate) const SCOPE: &[Row] = &[
    Row::new("access_log", Words("<path> <format> [<parameter> …]", 1..=usize::MAX, access_log))
        .within(BOTH)
        .doc(
            "A line for each session: `buffer=`, `flush=`, `gzip[=level]`, `if=`; a path with variables \
             or `syslog:server=…`.",
        ),
    Row::new("access_log off", Words("", 0..=0, |s, _, _| s.access_logs = Some(vec![])))
        .within(BOTH)
        .doc("No line for a session: the default."),
    Row::new("allow", Words("<address>|<network>|unix:|all", 1..=1, |s, w, b| {
        access(s, true, w, b);
    }))
    .within(BOTH)
    .doc("Who may connect; the first rule that fits counts."),
    Row::new("deny", Words("<address>|<network>|unix:|all", 1..=1, |s, w, b| {
        access(s, false, w, b);
    }))
    .within(BOTH)
    .doc("Who may not connect; the first rule that fits counts."),
    Row::new(
        "error_log",
        Words("<file>|stderr|syslog:<…> [<level>]", 1..=usize::MAX, |s, w, b| {
            error_log(&mut s.error_log, w, b);
        }),
    )
    .within(BOTH)
    .doc("Where messages of these sessions go, instead of the outer level's place."),
    Row::new(
        "health_check_timeout",
        Words("<time>", 1..=1, |s, w, b| {
            millis(&mut s.check_timeout, w, b);
        }),
    )
    .default("5s")
    .within(BOTH)
    .spec("extension")
    .doc("How long one check of `health_check` may take. The directive of nginx's commercial version."),
    Row::new("limit_conn", Words("<zone> <number>", 2..=2, limit_conn))
        .within(BOTH)
        .doc("Connections of one key at a time."),
    Row::new(
        "limit_conn_dry_run",
        Words("on|off", 1..=1, |s, w, b| {
            flag(&mut s.limit_dry_run, w, b);
        }),
    )
    .default("off")
    .within(BOTH)
    .doc("Only log what would be refused."),
    Row::new("limit_conn_log_level", Words("info|notice|warn|error", 1..=1, limit_level))
        .default("error")
        .within(BOTH)
        .doc("The level of a refusal."),
    Row::new(
        "open_log_file_cache",
        Words("max=<n> [<parameter> …]", 1..=usize::MAX, |s: &mut Scope, w, b| {
            s.log_cache = log_cache(w, b).map(Some);
        }),
    )
    .within(BOTH)
    .doc(
        "Keeps access logs with variables in their names open: at most `max` of them, while each is \
         used `min_uses=1` times in `inactive=10s`; after `valid=60s` it is looked whether the name \
         still is this file's.",
    ),
    Row::new("open_log_file_cache off", Words("", 0..=0, |s: &mut Scope, _, _| s.log_cache = Some(None)))
        .within(BOTH)
        .doc("The default."),
    Row::new(
        "preread_buffer_size",
        Words("<size>", 1..=1, |s, w, b| {
            bytes(&mut s.preread_size, w, b);
        }),
    )
    .default("16k")
    .within(BOTH)
    .doc("How much is read ahead; a hello that is longer ends the session with status 400."),
    Row::new(
        "preread_timeout",
        Words("<time>", 1..=1, |s, w, b| {
            millis(&mut s.preread_timeout, w, b);
        }),
    )
    .default("30s")
    .within(BOTH)
    .doc("How long reading ahead may take."),
    Row::new("proxy_bind", Words("<address> [transparent]", 1..=2, proxy_bind))
        .within(BOTH)
        .doc("The local address of connections to servers; with variables, too. `transparent` takes an address \
             that is another's: a fixed one, `$remote_addr` or `$remote_addr:$remote_port`; workers keep \
             CAP_NET_RAW for it. Not for datagrams."),
    Row::new("proxy_bind off", Words("", 0..=0, |s, _, _| s.bind = Some(None)))
        .within(BOTH)
        .doc("No local address, whatever the outer level says."),
    Row::new("proxy_buffer_size", Words("<size>", 1..=1, |_, w, b| check_size(w, b)))
        .default("16k")
        .within(BOTH)
        .status(Accepted("bytes go through pipes of the kernel"))
        .doc("The buffer of each direction."),
    Row::new(
        "proxy_connect_timeout",
        Words("<time>", 1..=1, |s, w, b| {
            millis(&mut s.connect_timeout, w, b);
        }),
    )
    .default("60s")
    .within(BOTH)
    .doc("How long a server may take to accept."),
    Row::new("proxy_downstream_buffer", Words("<size>", 1..=1, |_, w, b| check_size(w, b)))
        .within(BOTH)
        .status(Deprecated { instead: "proxy_buffer_size" })
        .doc("The buffer of each direction."),
    Row::new("proxy_download_rate", Words("<rate>", 1..=1, |s, w, b| {
        rate(&mut s.download_rate, w, b);
    }))
    .default("0")
    .within(BOTH)
    .doc("Bytes a second to a client; 0 is no limit; with variables, too. Datagrams are not limited."),
    Row::new("proxy_half_close", Words("on|off", 1..=1, |s, w, b| flag(&mut s.half_close, w, b)))
        .default("off")
        .within(BOTH)
        .doc("Whether each direction closes on its own."),
    Row::new(
        "proxy_next_upstream",
        Words("on|off", 1..=1, |s, w, b| {
            flag(&mut s.next_upstream, w, b);
        }),
    )
    .default("on")
    .within(BOTH)
    .doc("Whether another server is tried when one cannot be connected."),
    Row::new(
        "proxy_next_upstream_timeout",
        Words("<time>", 1..=1, |s, w, b| {
            millis(&mut s.next_upstream_timeout, w, b);
        }),
    )
    .default("0")
    .within(BOTH)
    .doc("For how long servers are tried; 0 is no limit."),
    Row::new(
        "proxy_next_upstream_tries",
        Words("<number>", 1..=1, |s, w, b| {
            number(&mut s.next_upstream_tries, w, b);
        }),
    )
    .default("0")
    .within(BOTH)
    .doc("How many servers are tried; 0 is no limit."),
    Row::new("proxy_protocol", Words("on|off|v2", 1..=1, send_proxy))
        .default("off")
        .within(BOTH)
        .doc("Sends servers a PROXY header, of version 1 or 2."),
    Row::new(
        "proxy_protocol_timeout",
        Words("<time>", 1..=1, |s, w, b| {
            millis(&mut s.header_timeout, w, b);
        }),
    )
    .default("30s")
    .within(BOTH)
    .doc("How long a client's PROXY header may take."),
    Row::new("proxy_requests", Words("<number>", 1..=1, |s, w, b| number(&mut s.requests, w, b)))
        .default("0")
        .within(BOTH)
        .doc("Datagrams of a client after which a new session begins; 0 never."),
    Row::new("proxy_responses", Words("<number>", 1..=1, |s, w, b| number(&mut s.responses, w, b)))
        .within(BOTH)
        .doc("Answers to each datagram that end a session."),
    Row::new(
        "proxy_socket_keepalive",
        Words("on|off", 1..=1, |s, w, b| {
            flag(&mut s.socket_keepalive, w, b);
        }),
    )
    .default("off")
    .within(BOTH)
    .doc("SO_KEEPALIVE towards servers."),
    Row::new(
        "proxy_socket_rcvbuf",
        Words("<size>", 1..=1, |s, w, b| {
            bytes(&mut s.socket_receive_buffer, w, b);
        }),
    )
    .within(BOTH)
    .doc("SO_RCVBUF towards servers; the system's without it."),
    Row::new(
        "proxy_socket_sndbuf",
        Words("<size>", 1..=1, |s, w, b| {
            bytes(&mut s.socket_send_buffer, w, b);
        }),
    )
    .within(BOTH)
    .doc("SO_SNDBUF towards servers; the system's without it."),
    Row::new("proxy_timeout", Words("<time>", 1..=1, |s, w, b| millis(&mut s.timeout, w, b)))
        .default("10m")
        .within(BOTH)
        .doc("How long a session may be silent in both directions."),
    Row::new("proxy_upload_rate", Words("<rate>", 1..=1, |s, w, b| {
        rate(&mut s.upload_rate, w, b);
    }))
    .default("0")
    .within(BOTH)
    .doc("Bytes a second from a client; 0 is no limit; with variables, too. Datagrams are not limited."),
    Row::new("proxy_upstream_buffer", Words("<size>", 1..=1, |_, w, b| check_size(w, b)))
        .within(BOTH)
        .status(Deprecated { instead: "proxy_buffer_size" })
        .doc("The buffer of each direction."),
    Row::new(
        "resolver",
        Words(
            "<address> … [valid=<time>] [ipv4=on|off] [ipv6=on|off] [status_zone=<zone>]",
            1..=usize::MAX,
            |s: &mut Scope, w, b| resolver(&mut s.resolver, w, b),
        ),
    )
        .within(BOTH)
        .doc("Name servers for names that are known only when a client comes."),
    Row::new("resolver_timeout", Words("<time>", 1..=1, |s, w, b| {
        millis(&mut s.resolver_timeout, w, b);
    }))
    .default("30s")
    .within(BOTH)
    .doc("How long a name server may take."),
    Row::new("set_real_ip_from", Words("<address>|<network>|<name>|unix:", 1..=1, trusted))
        .within(BOTH)
        .doc("Whose PROXY header tells the client's address."),
    tls("ssl_alpn", "<protocol> …", NO_TLS).doc("The protocols accepted."),
    file("ssl_certificate", NO_TLS).doc("The certificate."),
    tls("ssl_certificate_cache", "off|max=<n> …", NO_TLS).doc("Kept certificates."),
    on_off("ssl_certificate_compression", NO_TLS).doc("Compressed certificates."),
    file("ssl_certificate_key", NO_TLS).doc("The key."),
    file("ssl_ciphers", NO_TLS).doc("The ciphers accepted."),
    file("ssl_client_certificate", NO_TLS).doc("Who may sign clients' certificates."),
    tls("ssl_conf_command", "<name> <value>", NO_TLS).doc("A setting of OpenSSL."),
    file("ssl_crl", NO_TLS).doc("Revoked certificates."),
    file("ssl_dhparam", NO_TLS).doc("Parameters of Diffie-Hellman."),
    file("ssl_ecdh_curve", NO_TLS).doc("The curves accepted."),
    file("ssl_ech_file", NO_TLS).doc("Keys of the encrypted hello."),
    Row::new("ssl_handshake_timeout", Words("<time>", 1..=1, |_, w, b| check_millis(w, b)))
        .default("60s")
        .within(BOTH)
        .status(NO_TLS)
        .doc("How long a handshake may take."),
    tls("ssl_ocsp", "on|off|leaf", NO_TLS).doc("Whether clients' certificates are asked about."),
    tls("ssl_ocsp_cache", "off|shared:<name>:<size>", NO_TLS).doc("Kept answers."),
    tls("ssl_ocsp_responder", "<url>", NO_TLS).doc("Who is asked."),
    file("ssl_password_file", NO_TLS).doc("Passwords of keys."),
    on_off("ssl_prefer_server_ciphers", NO_TLS).doc("Whose order of ciphers counts."),
    Row::new("ssl_preread", Words("on|off", 1..=1, |s, w, b| flag(&mut s.preread, w, b)))
        .default("off")
        .within(BOTH)
        .doc("Reads the name, the protocols and the versions a client asks for, and leaves them there."),
    tls("ssl_protocols", "<protocol> …", NO_TLS).doc("The versions of TLS accepted."),
    on_off("ssl_reject_handshake", NO_TLS).doc("Whether handshakes are refused."),
    tls("ssl_session_cache", "off|none|[builtin[:<size>]] [shared:<name>:<size>]", NO_TLS)
        .doc("Where sessions are kept."),
    file("ssl_session_ticket_key", NO_TLS).doc("Keys of session tickets."),
    on_off("ssl_session_tickets", NO_TLS).doc("Whether tickets are given out."),
    Row::new("ssl_session_timeout", Words("<time>", 1..=1, |_, w, b| check_seconds(w, b)))
        .default("5m")
        .within(BOTH)
        .status(NO_TLS)
        .doc("How long a session may be resumed."),
    on_off("ssl_stapling", NO_TLS).doc("Whether revocation is answered for."),
    file("ssl_stapling_file", NO_TLS).doc("The answer."),
    tls("ssl_stapling_responder", "<url>", NO_TLS).doc("Who is asked."),
    on_off("ssl_stapling_verify", NO_TLS).doc("Whether answers are verified."),
    file("ssl_trusted_certificate", NO_TLS).doc("Who may sign."),
    tls("ssl_verify_client", "on|off|optional|optional_no_ca", NO_TLS)
        .doc("Whether clients need a certificate."),
    Row::new("ssl_verify_depth", Words("<number>", 1..=1, |_, w, b| check_number(w, b)))
        .default("1")
        .within(BOTH)
        .status(NO_TLS)
        .doc("The longest chain."),
    Row::new("tcp_nodelay", Words("on|off", 1..=1, |s, w, b| flag(&mut s.nodelay, w, b)))
        .default("on")
        .within(BOTH)
        .doc("TCP_NODELAY towards clients and servers."),
];

/// A directive of TLS with a file or another single word.
const fn file(name: &'static str, why: Status) -> Row {
    Row::new(name, Words("<value>", 1..=1, |_, _, _| {})).within(BOTH).status(why)
}

/// A flag of TLS.
const fn on_off(name: &'static str, why: Status) -> Row {
    Row::new(name, Words("on|off", 1..=1, |_, w, b| check_flag(w, b))).within(BOTH).status(why)
}

/// A directive of TLS with several words.
const fn tls(name: &'static str, usage: &'static str, why: Status) -> Row {
    Row::new(name, Words(usage, 1..=usize::MAX, |_, _, _| {})).within(BOTH).status(why)
}

fn proxy_bind(scope: &mut Scope, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    let transparent = match words.get(1) {
        Some(second) if second.text == "transparent" => true,
        Some(second) => {
            let message = format!("invalid parameter \"{}\"", second.text);
            b.error(second.span, Problem::Other(message));
            return;
        }
        None => false,
    };
    if transparent && word.text.contains('$') {
        let foreign = match word.text.as_str() {
            "$remote_addr" | "${remote_addr}" => Foreign::ClientIp,
            "$remote_addr:$remote_port" => Foreign::Client,
            _ => {
                let keyword = format!("proxy_bind {} transparent", word.text);
                b.error(word.span, Problem::Planned { keyword });
                return;
            }
        };
        scope.bind = Some(Some(LocalAddress::Foreign(foreign)));
        return;
    }
    if word.text.contains('$') {
        if crate::variable::check(word, b) {
            scope.bind = Some(Some(LocalAddress::Text(word.owned())));
        }
        return;
    }
    let bare = word.text.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    let address = match (bare, address::parse(&word.text, Use::Connect)) {
        (Ok(ip), _) => Some((ip, 0).into()),
        (_, Ok(address)) => match (address.host, address.ports) {
            (Host::Ip(ip), ports) => Some((ip, ports.map_or(0, |p| *p.start())).into()),
            _ => None,
        },
        _ => None,
    };
    match address {
        Some(address) if transparent => {
            scope.bind = Some(Some(LocalAddress::Foreign(Foreign::Address(address))));
        }
        Some(address) => scope.bind = Some(Some(LocalAddress::Fixed(address))),
        None => {
            let message = format!("invalid address \"{}\"", word.text);
            b.error(word.span, Problem::Other(message));
        }
    }
}

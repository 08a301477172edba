//! `stream {}` and its `server {}`.

use conf::Form::{Block, Words};
use conf::Status::Accepted;
use conf::{Binder, Keyword, Problem, Word};
use proxy::{Bind, BindAddress, KeepAlive};

use super::{IN_SERVER, IN_STREAM, UPSTREAM};
use crate::address::{self, Host, Use};
use crate::draft::{Listen, Server, Stream};
use crate::value::{Resolution, check_size, digits, size, time};
use crate::variable;

/// The directives of `stream {}` that no server may have.
pub(crate) const STREAM: &[Keyword<Stream>] = &[
    Keyword::planned("geo", "[<address>] <variable> { … }")
        .within(IN_STREAM)
        .doc("A variable from an address."),
    Keyword::planned("geoip_city", "<file>").within(IN_STREAM).doc("Variables from a database."),
    Keyword::planned("geoip_country", "<file>").within(IN_STREAM).doc("Variables from a database."),
    Keyword::planned("geoip_org", "<file>").within(IN_STREAM).doc("Variables from a database."),
    Keyword::planned("limit_conn_zone", "<key> zone=<name>:<size>")
        .within(IN_STREAM)
        .doc("What connections are counted by."),
    Keyword::new("log_format", Words("<name> [escape=…] <text> …", 2..=usize::MAX, log_format))
        .within(IN_STREAM)
        .status(Accepted("used by `access_log` only, which is refused"))
        .doc("What a line of an access log says."),
    Keyword::planned("map", "<text> <variable> { … }")
        .within(IN_STREAM)
        .doc("A variable from another."),
    Keyword::new("map_hash_bucket_size", Words("<size>", 1..=1, |_, w, b| check_size(w, b)))
        .within(IN_STREAM)
        .status(Accepted("tables size themselves"))
        .doc("The size of a hash table."),
    Keyword::new("map_hash_max_size", Words("<size>", 1..=1, |_, w, b| check_size(w, b)))
        .within(IN_STREAM)
        .status(Accepted("tables size themselves"))
        .doc("The size of a hash table."),
    Keyword::new("server", Block(&SERVER, |_, _, _| {}))
        .within(IN_STREAM)
        .doc("Where connections arrive and where they go."),
    Keyword::new(
        "server_names_hash_bucket_size",
        Words("<size>", 1..=1, |_, w, b| check_size(w, b)),
    )
    .within(IN_STREAM)
    .status(Accepted("tables size themselves"))
    .doc("The size of a hash table."),
    Keyword::new("server_names_hash_max_size", Words("<size>", 1..=1, |_, w, b| check_size(w, b)))
        .within(IN_STREAM)
        .status(Accepted("tables size themselves"))
        .doc("The size of a hash table."),
    Keyword::planned("split_clients", "<text> <variable> { … }")
        .within(IN_STREAM)
        .doc("A variable from a share of the clients."),
    Keyword::new("upstream", Block(&UPSTREAM, |_, _, _| {}))
        .within(IN_STREAM)
        .doc("A group of servers; its name is compared without case."),
    Keyword::new("variables_hash_bucket_size", Words("<size>", 1..=1, |_, w, b| check_size(w, b)))
        .within(IN_STREAM)
        .status(Accepted("tables size themselves"))
        .doc("The size of a hash table."),
    Keyword::new("variables_hash_max_size", Words("<size>", 1..=1, |_, w, b| check_size(w, b)))
        .within(IN_STREAM)
        .status(Accepted("tables size themselves"))
        .doc("The size of a hash table."),
];

/// The directives that only a `server {}` may have.
pub(crate) const SERVER: &[Keyword<Server>] = &[
    Keyword::new("listen", Words("<address> [<parameter> …]", 1..=usize::MAX, listen))
        .within(IN_SERVER)
        .doc(
            "Where to listen: a port, `address:port`, `[v6]:port`, `name:port`, `*:port`, `unix:path`, \
             ports `a-b`; `backlog=511` `rcvbuf=` `sndbuf=` `fastopen=` `deferred` `bind` \
             `reuseport` `ipv6only=on` `so_keepalive=` `default_server`. `udp`, `ssl` and \
             `proxy_protocol` are not supported yet.",
        ),
    Keyword::planned("pass", "<address>")
        .within(IN_SERVER)
        .doc("Hands a connection to another listener."),
    Keyword::new("proxy_pass", Words("<address>", 1..=1, proxy_pass))
        .within(IN_SERVER)
        .doc("Where connections go: an upstream, `host:port` or `unix:path`."),
    Keyword::planned("return", "<text>").within(IN_SERVER).doc("Sends a text and closes."),
    Keyword::new("server_name", Words("<name> …", 1..=usize::MAX, |_, _, _| {}))
        .default("\"\"")
        .within(IN_SERVER)
        .status(Accepted("only TLS tells servers of one address apart, which is refused"))
        .doc("The names a client may ask for."),
    Keyword::planned("set", "<variable> <value>").within(IN_SERVER).doc("Sets a variable."),
];

fn log_format(stream: &mut Stream, words: &[Word], b: &mut Binder) {
    let Some((name, rest)) = words.split_first() else { return };
    if stream.formats.contains(&name.text) {
        let message = format!("duplicate \"log_format\" name \"{}\"", name.text);
        b.error(name.span, Problem::Other(message));
        return;
    }
    stream.formats.push(name.owned());
    let mut texts = rest;
    if let Some(escape) = rest[0].text.strip_prefix("escape=") {
        if !["default", "json", "none"].contains(&escape) {
            let message = format!("unknown log format escaping \"{escape}\"");
            b.error(rest[0].span, Problem::Other(message));
        }
        texts = &rest[1..];
    }
    for word in texts {
        match variable::names(&word.text) {
            Ok(names) => stream.variables.extend(names),
            Err(message) => {
                b.error(word.span, Problem::Other(message));
            }
        }
    }
}

fn proxy_pass(server: &mut Server, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    if variable::any(&word.text) {
        if variable::check(word, b) {
            let keyword = format!("proxy_pass {}", word.text);
            b.error(word.span, Problem::Planned { keyword });
        }
    } else {
        match address::parse(&word.text, Use::Connect) {
            Ok(_) => server.pass = Some(word.clone()),
            Err(error) => {
                let message = format!("{error} in upstream \"{}\"", word.text);
                b.error(word.span, Problem::Other(message));
            }
        }
    }
}

fn listen(server: &mut Server, words: &[Word], b: &mut Binder) {
    let Some((place, parameters)) = words.split_first() else { return };
    let text = &place.text;
    let addresses = match bind_addresses(server, text) {
        Ok(addresses) => addresses,
        Err(error) => {
            let message = format!("{error} in \"{text}\" of the \"listen\" directive");
            b.error(place.span, Problem::Other(message));
            vec![]
        }
    };
    let mut template = Bind::new(BindAddress::any_v4(0));
    template.reuseport = false;
    template.backlog = Some(511);
    let mut socket =
        Socket { bind: template, keepalive: None, udp: false, ssl: false, proxy: false };
    // What is a mistake together with "udp".
    let mut stream_only = Vec::new();
    for word in parameters {
        let name = word.text.split('=').next().unwrap_or("");
        if ["backlog", "fastopen", "so_keepalive", "deferred", "ssl", "proxy_protocol"]
            .contains(&name)
        {
            stream_only.push((name.to_owned(), word.span));
        }
        if let Err(problem) = parameter(&mut socket, &word.text) {
            b.error(word.span, problem);
        }
    }
    if socket.udp {
        for (name, span) in stream_only {
            let message =
                format!("\"listen\" directive \"{name}\" parameter is incompatible with \"udp\"");
            b.error(span, Problem::Other(message));
        }
    }
    for (asked, name) in
        [(socket.udp, "udp"), (socket.ssl, "ssl"), (socket.proxy, "proxy_protocol")]
    {
        if let Some(word) = parameters.iter().find(|w| asked && w.text == name) {
            b.error(word.span, Problem::Planned { keyword: format!("listen … {name}") });
        }
    }
    let v6only = socket.bind.v6only.unwrap_or(true);
    let mut binds = Vec::new();
    for address in addresses {
        if !server.addresses.insert(address.clone()) {
            let message = format!("a duplicate listen {}", shown(&address));
            b.error(place.span, Problem::Other(message));
            continue;
        }
        let v6 = matches!(&address, BindAddress::Inet(a) if a.is_ipv6());
        let v6only = v6.then_some(v6only);
        let mode = matches!(address, BindAddress::Unix(_)).then_some(0o666);
        binds.push(Bind { address, v6only, mode, ..socket.bind.clone() });
    }
    server.listens.push(Listen { binds, keepalive: socket.keepalive, span: place.span });
}

/// A bind address as nginx's messages print it.
pub(crate) fn shown(address: &BindAddress) -> String {
    match address {
        BindAddress::Unix(path) => format!("unix:{}", path.display()),
        other => other.to_string(),
    }
}

struct Socket {
    bind: Bind,
    keepalive: Option<KeepAlive>,
    udp: bool,
    ssl: bool,
    proxy: bool,
}

fn bind_addresses(server: &Server, text: &str) -> Result<Vec<BindAddress>, &'static str> {
    let address = address::parse(text, Use::Listen)?;
    let ips = match address.host {
        Host::Unix(path) => return Ok(vec![BindAddress::Unix(path)]),
        Host::Any => vec![std::net::Ipv4Addr::UNSPECIFIED.into()],
        Host::Ip(ip) => vec![ip],
        Host::Name(name) => {
            let ips = (server.lookups.resolve)(&name);
            if ips.is_empty() {
                return Err("host not found");
            }
            ips
        }
    };
    let ports = address.ports.ok_or("no port")?;
    let both = ips.iter().flat_map(|ip| ports.clone().map(|port| (*ip, port).into()));
    Ok(both.map(BindAddress::Inet).collect())
}

fn parameter(socket: &mut Socket, text: &str) -> Result<(), Problem> {
    let invalid = |what: &str| Problem::Other(format!("invalid {what} \"{text}\""));
    let positive = |n: &str| digits(n).filter(|n| *n > 0);
    let buffer = |n: &str| size(n).and_then(|n| u32::try_from(n).ok());
    let bind = &mut socket.bind;
    match text.split_once('=') {
        None => match text {
            "default_server" | "bind" | "multipath" => {}
            "ssl" => socket.ssl = true,
            "udp" => socket.udp = true,
            "proxy_protocol" => socket.proxy = true,
            "deferred" => bind.defer_accept = true,
            "reuseport" => bind.reuseport = true,
            _ => return Err(invalid("parameter")),
        },
        Some(("fastopen", n)) => {
            bind.fastopen = Some(digits(n).ok_or_else(|| invalid("fastopen"))?);
        }
        Some(("backlog", n)) => {
            bind.backlog = Some(positive(n).ok_or_else(|| invalid("backlog"))?);
        }
        Some(("rcvbuf", n)) => {
            bind.receive_buffer = Some(buffer(n).ok_or_else(|| invalid("rcvbuf"))?);
        }
        Some(("sndbuf", n)) => {
            bind.send_buffer = Some(buffer(n).ok_or_else(|| invalid("sndbuf"))?);
        }
        Some(("ipv6only", "on")) => bind.v6only = Some(true),
        Some(("ipv6only", "off")) => bind.v6only = Some(false),
        Some(("so_keepalive", value)) => {
            let wrong = || Problem::Other(format!("invalid so_keepalive value: \"{value}\""));
            socket.keepalive = keepalive(value).ok_or_else(wrong)?;
        }
        _ => return Err(invalid("parameter")),
    }
    Ok(())
}

/// `on`, `off` or `[idle]:[interval]:[count]`.
fn keepalive(value: &str) -> Option<Option<KeepAlive>> {
    match value {
        "on" => return Some(Some(KeepAlive::default())),
        "off" => return Some(None),
        _ => {}
    }
    let mut parts = value.split(':');
    let (idle, interval, count) = (parts.next()?, parts.next()?, parts.next().unwrap_or(""));
    if parts.next().is_some() || [idle, interval, count].iter().all(|p| p.is_empty()) {
        return None;
    }
    let seconds = |text: &str| match text {
        "" => Some(None),
        text => time(text, Resolution::Seconds).map(Some),
    };
    let count = match count {
        "" => None,
        count => Some(digits(count).filter(|n| *n > 0)?),
    };
    Some(Some(KeepAlive { idle: seconds(idle)?, interval: seconds(interval)?, count }))
}

//! `stream {}` and its `server {}`.

use conf::Form::{Block, Whole, Words};
use conf::Status::Accepted;
use conf::{Binder, Keyword, Problem, Word};
use proxy::variable::Escape;
use proxy::{Bind, BindAddress, KeepAlive};

use super::{IN_SERVER, IN_STREAM, UPSTREAM};
use crate::address::{self, Host, Use};
use crate::draft::{Format, Listen, Server, Stream};
use crate::value::{Resolution, check_size, digits, size, time};
use crate::variable;

/// The directives of `stream {}` that no server may have.
pub(crate) const STREAM: &[Keyword<Stream>] = &[
    Keyword::new("geo", Whole("[$<address>] $<variable> { … }", |_, _, _| {}))
        .within(IN_STREAM)
        .doc(
            "A variable from an address: `default`, networks, `delete`, `include`, and with `ranges` \
             first and last addresses.",
        ),
    Keyword::planned("geoip_city", "<file>").within(IN_STREAM).doc("Variables from a database."),
    Keyword::planned("geoip_country", "<file>").within(IN_STREAM).doc("Variables from a database."),
    Keyword::planned("geoip_org", "<file>").within(IN_STREAM).doc("Variables from a database."),
    Keyword::new("limit_conn_zone", Words("<key> zone=<name>:<size>", 2..=2, limit_conn_zone))
        .within(IN_STREAM)
        .doc("What connections are counted by; the size says how many keys there may be at a time."),
    Keyword::new(
        "log_format",
        Words("<name> [escape=default|json|none] <text> …", 2..=usize::MAX, log_format),
    )
    .within(IN_STREAM)
    .doc("What a line of an access log says."),
    Keyword::new("match", Whole("<name> { … }", |_, _, _| {}))
        .within(IN_STREAM)
        .spec("extension")
        .doc(
            "What `health_check` says and waits for: `send <text>`, `expect [~|~*] <text>`, with HTTP \
             `status <code>[-<code>] …`; `\\xHH` is a byte. Of nginx's commercial version.",
        ),
    Keyword::new("map", Whole("<text> $<variable> { … }", |_, _, _| {}))
        .within(IN_STREAM)
        .doc(
            "A variable from a text: `default`, `hostnames`, `volatile`, `include`; texts, with \
             `hostnames` also `*.end` and `start.*`, `~pattern`, `~*pattern`.",
        ),
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
    Keyword::new("split_clients", Whole("<text> $<variable> { … }", |_, _, _| {}))
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
    Keyword::new("health_check", Words("[<parameter> …]", 0..=usize::MAX, super::active::health_check))
        .within(IN_SERVER)
        .spec("extension")
        .doc(
            "Asks every server of the upstream again and again: `interval=5s` `jitter=0` `fails=1` \
             `passes=1` `mandatory` `persistent` `port=` `udp` `match=<name>`, as in nginx's commercial \
             version, and `type=tcp|http` `uri=/`. Of several for one upstream the first counts. Needs no \
             `zone`.",
        ),
    Keyword::new("listen", Words("<address> [<parameter> …]", 1..=usize::MAX, listen))
        .within(IN_SERVER)
        .doc(
            "Where to listen: a port, `address:port`, `[v6]:port`, `name:port`, `*:port`, `unix:path`, \
             ports `a-b`; `backlog=511` `rcvbuf=` `sndbuf=` `fastopen=` `deferred` `bind` \
             `reuseport` `ipv6only=on` `so_keepalive=` `default_server` `udp` `proxy_protocol`. `ssl` \
             is not supported yet.",
        ),
    Keyword::new("pass", Words("<address>", 1..=1, hand_over))
        .within(IN_SERVER)
        .doc(
            "Hands a connection to another listener of this process, as if the client had connected \
             there; variables are allowed. Not for datagrams.",
        ),
    Keyword::new("proxy_pass", Words("<address>", 1..=1, proxy_pass))
        .within(IN_SERVER)
        .doc("Where connections go: an upstream, `host:port` or `unix:path`; with variables, too."),
    Keyword::new("return", Words("<text>", 1..=1, answer))
        .within(IN_SERVER)
        .doc("Sends a text and closes."),
    Keyword::new("server_name", Words("<name> …", 1..=usize::MAX, |s: &mut Server, w, _| {
        s.names.extend(w.iter().cloned());
    }))
    .default("\"\"")
    .within(IN_SERVER)
    .doc(
        "The names clients ask for in their ClientHello, by which `ssl_preread` tells servers of one \
         address apart: `name`, `*.end`, `.end`, `start.*`, `~pattern` with captures. What comes before \
         reading ahead (`set`, `limit_conn`, `allow`, `deny`) is the default server's, as in nginx.",
    ),
    Keyword::new("status_zone", Words("<zone>", 1..=1, |s: &mut Server, w, _| {
        s.zone = w.first().map(Word::owned);
    }))
    .within(IN_SERVER)
    .spec("extension")
    .doc(
        "The name the server is shown by in what `api`, `prometheus` and `status_page` answer, which are \
         directives of a `location` of `http {}`. Of nginx's commercial version.",
    ),
    Keyword::new("set", Words("$<variable> <value>", 2..=2, set))
        .within(IN_SERVER)
        .doc("Sets a variable."),
];

fn log_format(stream: &mut Stream, words: &[Word], b: &mut Binder) {
    let Some((name, rest)) = words.split_first() else { return };
    if stream.formats.iter().any(|format| format.name == name.text) {
        let message = format!("duplicate \"log_format\" name \"{}\"", name.text);
        b.error(name.span, Problem::Other(message));
        return;
    }
    let mut texts = rest;
    let mut escape = Escape::Default;
    if let Some(name) = rest[0].text.strip_prefix("escape=") {
        match name {
            "default" => {}
            "json" => escape = Escape::Json,
            "none" => escape = Escape::None,
            _ => {
                let message = format!("unknown log format escaping \"{name}\"");
                b.error(rest[0].span, Problem::Other(message));
            }
        }
        texts = &rest[1..];
    }
    for word in texts {
        if let Err(message) = variable::names(&word.text) {
            let message = match message.as_str() {
                "invalid variable name" => "invalid parameter \"$\"".to_owned(),
                _ => message,
            };
            b.error(word.span, Problem::Other(message));
        }
    }
    let text = texts.iter().map(|word| word.text.as_str()).collect();
    stream.formats.push(Format { name: name.owned(), escape, text });
}

fn limit_conn_zone(stream: &mut Stream, words: &[Word], b: &mut Binder) {
    let [key, zone] = words else { return };
    let mut complain = |message: String| {
        b.error(zone.span, Problem::Other(message));
    };
    let Some(named) = zone.text.strip_prefix("zone=") else {
        return complain(format!("invalid parameter \"{}\"", zone.text));
    };
    let parts = named.split_once(':').and_then(|(name, bytes)| Some((name, size(bytes)?)));
    let Some((name, bytes)) = parts else {
        return complain(format!("invalid zone size \"{}\"", zone.text));
    };
    // Eight pages.
    if bytes < 8 * 4096 {
        return complain(format!("zone \"{}\" is too small", zone.text));
    }
    if let Some((_, known, _)) = stream.zones.iter().find(|(known, ..)| known == name) {
        return complain(format!("limit_conn_zone \"{name}\" is already bound to key \"{known}\""));
    }
    stream.zones.push((name.to_owned(), key.owned(), bytes));
}

fn set(server: &mut Server, words: &[Word], b: &mut Binder) {
    let [name, value] = words else { return };
    if let Some(name) = variable::defined(name, b) {
        variable::check(value, b);
        server.sets.push((name, value.owned()));
    }
}

fn answer(server: &mut Server, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    if variable::check(word, b) {
        server.answer = Some(word.owned());
        // The last of them has the sessions.
        server.pass = None;
        server.hand_over = None;
    }
}

fn proxy_pass(server: &mut Server, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    if variable::any(&word.text) {
        if variable::check(word, b) {
            pass(server, word);
        }
        return;
    }
    match address::parse(&word.text, Use::Connect) {
        Ok(_) => pass(server, word),
        Err(error) => {
            let message = format!("{error} in upstream \"{}\"", word.text);
            b.error(word.span, Problem::Other(message));
        }
    }
}

fn pass(server: &mut Server, to: &Word) {
    server.pass = Some(to.clone());
    server.answer = None;
    server.hand_over = None;
}

fn hand_over(server: &mut Server, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    if variable::any(&word.text) {
        if !variable::check(word, b) {
            return;
        }
    } else {
        let problem = match address::parse(&word.text, Use::Listen) {
            Ok(address) if address.ports.is_none() && !matches!(address.host, Host::Unix(_)) => {
                Some("no port")
            }
            Ok(_) => None,
            Err(error) => Some(error),
        };
        if let Some(error) = problem {
            let message = format!("{error} in \"{}\" of the \"pass\" directive", word.text);
            b.error(word.span, Problem::Other(message));
            return;
        }
    }
    server.hand_over = Some(word.owned());
    server.pass = None;
    server.answer = None;
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
    let mut socket = Socket {
        bind: template,
        keepalive: None,
        udp: false,
        ssl: false,
        proxy: false,
        default: false,
    };
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
    if let Some(word) = parameters.iter().find(|w| socket.ssl && w.text == "ssl") {
        b.error(word.span, Problem::Planned { keyword: "listen … ssl".to_owned() });
    }
    (socket.bind.udp, socket.bind.proxy_protocol) = (socket.udp, socket.proxy);
    let v6only = socket.bind.v6only.unwrap_or(true);
    let mut binds = Vec::new();
    for address in addresses {
        if !server.addresses.insert((address.clone(), socket.udp)) {
            let message = format!("a duplicate listen {}", shown(&address));
            b.error(place.span, Problem::Other(message));
            continue;
        }
        let v6 = matches!(&address, BindAddress::Inet(a) if a.is_ipv6());
        let v6only = v6.then_some(v6only);
        let mode = matches!(address, BindAddress::Unix(_)).then_some(0o666);
        binds.push(Bind { address, v6only, mode, ..socket.bind.clone() });
    }
    let plain = ["default_server", "udp", "ssl", "proxy_protocol"];
    let set = parameters.iter().any(|word| !plain.contains(&word.text.as_str()));
    let (keepalive, default) = (socket.keepalive, socket.default);
    server.listens.push(Listen { binds, keepalive, default, set, span: place.span });
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
    default: bool,
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
            "default_server" => socket.default = true,
            "bind" | "multipath" => {}
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

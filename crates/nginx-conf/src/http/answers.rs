//! Servers of `http {}` that need no file and no other server: `return` and `stub_status`.

use std::net::Ipv4Addr;
use std::time::Duration;

use proxy::variable::Network;
use proxy::{Bind, BindAddress, HttpAnswer, HttpLocation, HttpServer, Peers};

use super::Item;
use crate::address::{self, Host, Use};
use crate::value::{Resolution, time};

/// A server, and where it listens.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Site {
    pub(crate) binds: Vec<Bind>,
    pub(crate) server: HttpServer,
}

/// What an outer level says.
#[derive(Clone)]
struct Outer {
    mime: String,
    keepalive: Duration,
    tokens: bool,
    access: Vec<(bool, Peers)>,
}

/// Directives that change nothing about such answers.
const HARMLESS: &[&str] = &[
    "absolute_redirect",
    "access_log",
    "aio",
    "aio_write",
    "autoindex",
    "charset",
    "client_body_buffer_size",
    "client_body_timeout",
    "client_header_buffer_size",
    "client_header_timeout",
    "client_max_body_size",
    "error_log",
    "etag",
    "gzip",
    "gzip_comp_level",
    "gzip_disable",
    "gzip_http_version",
    "gzip_min_length",
    "gzip_proxied",
    "gzip_types",
    "gzip_vary",
    "gzip_buffers",
    "index",
    "keepalive_requests",
    "large_client_header_buffers",
    "log_format",
    "log_not_found",
    "map_hash_bucket_size",
    "map_hash_max_size",
    "reset_timedout_connection",
    "root",
    "send_timeout",
    "sendfile",
    "server_name",
    "server_names_hash_bucket_size",
    "server_names_hash_max_size",
    "ssl_ciphers",
    "ssl_prefer_server_ciphers",
    "ssl_protocols",
    "ssl_session_cache",
    "ssl_session_timeout",
    "tcp_nodelay",
    "tcp_nopush",
    "types",
    "types_hash_bucket_size",
    "types_hash_max_size",
    "variables_hash_bucket_size",
    "variables_hash_max_size",
];

/// Directives that answer; those after `stub_status` are extensions.
const ANSWERS: &[&str] = &["return", "stub_status", "api", "prometheus", "status_page"];

/// The servers, if all of them only answer by themselves.
pub(super) fn of(items: &[Item]) -> Option<Vec<Site>> {
    let mut outer = Outer {
        mime: "text/plain".into(),
        keepalive: Duration::from_secs(75),
        tokens: true,
        access: vec![],
    };
    for item in items.iter().filter(|item| item.words[0] != "server") {
        outer.take(item)?;
    }
    let mut taken: Vec<BindAddress> = Vec::new();
    let mut sites = Vec::new();
    for item in items.iter().filter(|item| item.words[0] == "server") {
        let site = server(item, &outer)?;
        for bind in &site.binds {
            // Two of one address are told apart by names.
            if taken.contains(&bind.address) {
                return None;
            }
            taken.push(bind.address.clone());
        }
        sites.push(site);
    }
    Some(sites)
}

impl Outer {
    /// A directive that may stand on several levels; `None` if it asks for more than an answer.
    fn take(&mut self, item: &Item) -> Option<()> {
        let words: Vec<&str> = item.words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["default_type", mime] => self.mime = (*mime).to_owned(),
            ["server_tokens", on] => self.tokens = !on.eq_ignore_ascii_case("off"),
            ["keepalive_timeout", wait, ..] => {
                self.keepalive = time(wait, Resolution::Millis)?;
            }
            ["allow", peers] => self.access.push((true, parse_peers(peers)?)),
            ["deny", peers] => self.access.push((false, parse_peers(peers)?)),
            [name, ..] if HARMLESS.contains(name) => {}
            _ => return None,
        }
        Some(())
    }
}

fn parse_peers(text: &str) -> Option<Peers> {
    match text {
        "all" => Some(Peers::All),
        "unix:" => Some(Peers::Unix),
        _ => Some(Peers::Network(Network::parse(text)?.0)),
    }
}

fn server(item: &Item, outer: &Outer) -> Option<Site> {
    let mut level = Outer { access: vec![], ..outer.clone() };
    let mut binds = Vec::new();
    let mut found = HttpServer::default();
    let mut own = None;
    for item in &item.body {
        match item.words[0].as_str() {
            "listen" => binds.extend(listen(&item.words[1..])?),
            "location" => {}
            name if ANSWERS.contains(&name) => {}
            _ => level.take(item)?,
        }
    }
    if level.access.is_empty() {
        level.access.clone_from(&outer.access);
    }
    for item in &item.body {
        match item.words[0].as_str() {
            name if ANSWERS.contains(&name) => {
                own.get_or_insert(answer(item, &level.mime)?);
            }
            "location" => found.locations.push(location(item, &level)?),
            _ => {}
        }
    }
    // What no location fits is a file.
    let everything = |one: &HttpLocation| !one.exact && one.path == "/" && one.answer.is_some();
    if own.is_none() && found.locations.is_empty()
        || item.body.iter().any(|item| item.words[0] == "root")
            && own.is_none()
            && !found.locations.iter().any(everything)
    {
        return None;
    }
    if binds.is_empty() {
        binds.push(bind(BindAddress::any_v4(80)));
    }
    found.answer = own;
    found.keepalive = level.keepalive;
    found.tokens = level.tokens;
    Some(Site { binds, server: found })
}

fn location(item: &Item, outer: &Outer) -> Option<HttpLocation> {
    let (exact, path) = match &item.words[1..] {
        [path] => match path.strip_prefix('=') {
            Some(path) => (true, path),
            None if path.starts_with(['~', '^', '@']) => return None,
            None => (false, path.as_str()),
        },
        [modifier, path] if modifier == "=" => (true, path.as_str()),
        [modifier, path] if modifier == "^~" => (false, path.as_str()),
        _ => return None,
    };
    let mut level = Outer { access: vec![], ..outer.clone() };
    let answers = |item: &&Item| ANSWERS.contains(&item.words[0].as_str());
    for item in item.body.iter().filter(|item| !answers(item)) {
        level.take(item)?;
    }
    if level.access.is_empty() {
        level.access.clone_from(&outer.access);
    }
    let first = item.body.iter().find(answers);
    let answer = Some(answer(first?, &level.mime)?);
    Some(HttpLocation { exact, path: path.to_owned(), access: level.access, answer })
}

fn answer(item: &Item, mime: &str) -> Option<HttpAnswer> {
    let words: Vec<&str> = item.words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["stub_status", rest @ ..] => {
            return (rest != ["off"]).then_some(HttpAnswer::Status);
        }
        // Nothing can be changed by it.
        ["api"] | ["api", "write=off"] => return Some(HttpAnswer::Api),
        ["prometheus"] => return Some(HttpAnswer::Prometheus),
        ["status_page"] => return Some(HttpAnswer::StatusPage),
        ["return", ..] => {}
        _ => return None,
    }
    let (code, text) = match &item.words[1..] {
        [code] => match code.parse() {
            Ok(code @ 200..=999) => (code, ""),
            Ok(_) => return None,
            Err(_) => (302, code.as_str()),
        },
        [code, text] => {
            (code.parse().ok().filter(|code| (200..=999).contains(code))?, text.as_str())
        }
        _ => return None,
    };
    if text.contains('$') {
        return None;
    }
    Some(HttpAnswer::Return { code, text: text.to_owned(), mime: mime.to_owned() })
}

fn listen(words: &[String]) -> Option<Vec<Bind>> {
    let (place, parameters) = words.split_first()?;
    let harmless = |word: &String| {
        let name = word.split('=').next().unwrap_or("");
        ["default_server", "default", "reuseport", "backlog", "deferred", "ipv6only", "bind"]
            .contains(&name)
    };
    if !parameters.iter().all(harmless) {
        return None;
    }
    let parsed = address::parse(place, Use::Listen).ok()?;
    if let Host::Unix(path) = parsed.host {
        let mut bind = bind(BindAddress::Unix(path));
        bind.mode = Some(0o666);
        return Some(vec![bind]);
    }
    let ip = match parsed.host {
        Host::Any => Ipv4Addr::UNSPECIFIED.into(),
        Host::Ip(ip) => ip,
        Host::Name(_) | Host::Unix(_) => return None,
    };
    let ports = parsed.ports.unwrap_or(80..=80);
    let v6only = !parameters.iter().any(|word| word == "ipv6only=off");
    Some(
        ports
            .map(|port| {
                let mut bind = bind(BindAddress::Inet((ip, port).into()));
                bind.v6only = ip.is_ipv6().then_some(v6only);
                bind.reuseport = parameters.iter().any(|word| word == "reuseport");
                bind
            })
            .collect(),
    )
}

fn bind(address: BindAddress) -> Bind {
    let mut bind = Bind::new(address);
    bind.reuseport = false;
    bind.backlog = Some(511);
    bind
}

//! `upstream NAME {}`.

use std::net::IpAddr;
use std::time::Duration;

use balance::{Algorithm, Measure};
use conf::Form::{Whole, Words};
use conf::Status::Accepted;
use conf::{Binder, Keyword, Problem, Span, Word};
use proxy::ServerAddress;

use super::IN_UPSTREAM;
use super::session::resolver;
use crate::address::{self, Host, Use};
use crate::draft::{Asked, Peer, Upstream, addresses};
use crate::value::{Resolution, digits, millis, size, time};

type Row = Keyword<Upstream>;

/// The directives.
pub(crate) const UPSTREAM: &[Row] = &[
    Row::new("hash", Words("<key> [consistent]", 1..=2, hash)).within(IN_UPSTREAM).doc(
        "The same key goes to the same server; `consistent` moves few keys when servers change.",
    ),
    Row::new("least_conn", Whole("", |u, s, b| method(u, s.at(), Algorithm::SmoothLeastConn, b)))
        .within(IN_UPSTREAM)
        .doc("The server with the fewest connections for its weight."),
    Row::new("least_time", Words("connect|first_byte|last_byte [inflight]", 1..=2, least_time))
        .within(IN_UPSTREAM)
        .spec("nginx 1.31.0")
        .doc(
            "The server with the shortest average time, in steps of 20 ms up to 5 s, for the connections \
             it has and for its weight: until a connection stands, until the first byte comes, or until the end; with \
             `inflight` those whose time is not known yet count as long as they last. Who was \
             slow once is asked again after a while.",
        ),
    Row::new("queue", Words("<number> [timeout=<time>]", 1..=2, queue))
        .within(IN_UPSTREAM)
        .spec("extension")
        .doc(
            "Who finds no server waits until one can be used, for 60 s if nothing else is said; so many at \
             a time, 1 and more, and who comes then is closed. Of nginx's commercial version, which has it \
             in `http {}`.",
        ),
    Row::new("random", Words("[two [least_conn]]", 0..=2, random))
        .within(IN_UPSTREAM)
        .doc("A server at random, or the better of two."),
    Row::new(
        "resolver",
        Words(
            "<address> … [valid=<time>] [ipv4=on|off] [ipv6=on|off] [status_zone=<zone>]",
            1..=usize::MAX,
            |u: &mut Upstream, w, b| resolver(&mut u.resolver, w, b),
        ),
    )
    .within(IN_UPSTREAM)
    .doc("Name servers for `resolve`, instead of those of the outer level."),
    Row::new("resolver_timeout", Words("<time>", 1..=1, |u: &mut Upstream, w, b| {
        millis(&mut u.resolver_timeout, w, b);
    }))
    .default("30s")
    .within(IN_UPSTREAM)
    .doc("How long a name server may take."),
    Row::new("server", Words("<address> [<parameter> …]", 1..=usize::MAX, server))
        .within(IN_UPSTREAM)
        .doc(
            "A server: `weight=1` `max_conns=0` `max_fails=1` `fail_timeout=10s` `backup` `down`, \
             and, which nginx's free version refuses, `slow_start=0` (how long the weight of a server \
             that came back grows; not with `hash` and `random`) and `drain` (no new connections). \
             A name is resolved at start; each of its addresses is a server. With `resolve` a name \
             server is asked while the process runs, for SRV records with `service=<name>`; servers \
             come and go with its answers, at most 128 of a line.",
        ),
    Row::new("zone", Words("<name> [<size>]", 1..=2, zone))
        .within(IN_UPSTREAM)
        .status(Accepted("state is shared without it"))
        .doc("Shared memory for the state of the servers."),
];

fn hash(upstream: &mut Upstream, words: &[Word], b: &mut Binder) {
    let Some(key) = words.first() else { return };
    let consistent = match words.get(1) {
        None => false,
        Some(word) if word.text == "consistent" => true,
        Some(word) => {
            b.error(word.span, Problem::Other(format!("invalid parameter \"{}\"", word.text)));
            return;
        }
    };
    method(upstream, key.span, Algorithm::SmoothHash { consistent }, b);
    upstream.key = Some(key.owned());
}

fn random(upstream: &mut Upstream, words: &[Word], b: &mut Binder) {
    let at = words.first().map_or_else(Span::default, |word| word.span);
    for (word, expected) in words.iter().zip(["two", "least_conn"]) {
        if word.text != expected {
            b.error(word.span, Problem::Other(format!("invalid parameter \"{}\"", word.text)));
            return;
        }
    }
    method(upstream, at, Algorithm::SmoothRandom { two: !words.is_empty() }, b);
}

fn least_time(upstream: &mut Upstream, words: &[Word], b: &mut Binder) {
    let Some(first) = words.first() else { return };
    let mut wrong = |word: &Word| {
        b.error(word.span, Problem::Other(format!("invalid parameter \"{}\"", word.text)));
    };
    let measure = match first.text.as_str() {
        "connect" => Measure::Connect,
        "first_byte" => Measure::FirstByte,
        "last_byte" => Measure::LastByte,
        _ => return wrong(first),
    };
    let inflight = match words.get(1) {
        None => false,
        Some(word) if word.text == "inflight" => true,
        Some(word) => return wrong(word),
    };
    method(upstream, first.span, Algorithm::SmoothLeastTime { measure, inflight }, b);
}

fn queue(upstream: &mut Upstream, words: &[Word], b: &mut Binder) {
    let Some(number) = words.first() else { return };
    let Some(most) = digits(&number.text).filter(|most| *most > 0) else {
        b.error(number.span, Problem::Other(format!("invalid value \"{}\"", number.text)));
        return;
    };
    let mut patience = Duration::from_secs(60);
    if let Some(word) = words.get(1) {
        let named = word.text.strip_prefix("timeout=");
        match named.and_then(|text| time(text, Resolution::Millis)) {
            Some(time) => patience = time,
            None => {
                let message = format!("invalid parameter \"{}\"", word.text);
                b.error(word.span, Problem::Other(message));
                return;
            }
        }
    }
    extension("queue", number.span, b);
    upstream.queue = Some((most, patience));
}

/// Says once that nginx knows this with a subscription only.
fn extension(what: &str, at: Span, b: &mut Binder) {
    let message = format!("\"{what}\" has an effect here, nginx without a subscription refuses it");
    let said = |problem: &Problem| matches!(problem, Problem::Other(said) if *said == message);
    if !b.problems.iter().any(|diagnostic| said(&diagnostic.problem)) {
        b.notice(at, Problem::Other(message));
    }
}

fn method(upstream: &mut Upstream, at: Span, algorithm: Algorithm, b: &mut Binder) {
    if upstream.method.is_some() {
        b.warning(at, Problem::Other("load balancing method redefined".into()));
    }
    upstream.method = Some(algorithm);
}

fn server(upstream: &mut Upstream, words: &[Word], b: &mut Binder) {
    let Some((place, parameters)) = words.split_first() else { return };
    let mut peer = Peer {
        name: place.owned(),
        addresses: vec![],
        weight: 1,
        max_conns: 0,
        max_fails: 1,
        fail_timeout: Duration::from_secs(10),
        backup: false,
        down: false,
        drain: false,
        slow_start: Duration::ZERO,
        asked: None,
        span: place.span,
    };
    let mut sound = true;
    let mut dynamic = Dynamic::default();
    let hashes = matches!(
        upstream.method,
        Some(Algorithm::SmoothHash { .. } | Algorithm::SmoothRandom { .. })
    );
    for word in parameters {
        if hashes && word.text == "backup" {
            let message = "balancing method does not support parameter \"backup\"".to_owned();
            b.error(word.span, Problem::Other(message));
            sound = false;
            continue;
        }
        let unknown = word.text == "drain" || word.text.starts_with("slow_start=");
        if hashes && word.text.starts_with("slow_start=") {
            let message = format!("balancing method does not support parameter \"{}\"", word.text);
            b.error(word.span, Problem::Other(message));
            sound = false;
            continue;
        }
        if unknown {
            extension(word.text.split('=').next().unwrap_or_default(), word.span, b);
        }
        if parameter(&mut peer, &mut dynamic, &word.text).is_none() {
            let message = format!("invalid parameter \"{}\"", word.text);
            b.error(word.span, Problem::Other(message));
            sound = false;
        }
    }
    let found = match dynamic.asked(&place.text) {
        Ok(Some(asked)) => {
            peer.asked = Some(asked);
            Ok(vec![])
        }
        Ok(None) => resolve(&place.text, upstream.lookups.resolve),
        Err(message) => Err(message),
    };
    match found {
        Ok(addresses) => peer.addresses = addresses,
        Err(message) => {
            b.error(place.span, Problem::Other(message));
            sound = false;
        }
    }
    // A server with a mistake is still a server: its upstream is not empty.
    if !sound && peer.addresses.is_empty() {
        peer.addresses.push(ServerAddress::Unix("/".into()));
    }
    upstream.peers.push(peer);
}

/// `resolve` and `service=`.
#[derive(Debug, Default)]
struct Dynamic {
    resolve: bool,
    service: Option<String>,
}

impl Dynamic {
    /// What is to be asked for while the process runs, if anything; the error is nginx's complaint.
    fn asked(self, text: &str) -> Result<Option<Asked>, String> {
        let complain = |what: &str| Err(format!("{what} in upstream \"{text}\""));
        if let Some(service) = &self.service {
            if service.is_empty() {
                return complain("empty service name");
            }
            if !self.resolve {
                return Err(format!("service upstream \"{text}\" requires \"resolve\" parameter"));
            }
        }
        if !self.resolve {
            return Ok(None);
        }
        let address = match address::parse(text, Use::Connect) {
            Ok(address) => address,
            Err(error) => return complain(error),
        };
        // What is an address already is not asked for.
        let Host::Name(host) = address.host else { return Ok(None) };
        let port = address.ports.map(|ports| *ports.start());
        match (self.service, port) {
            (Some(_), Some(_)) => Err(format!("service upstream \"{text}\" may not have port")),
            (Some(service), None) => {
                // A name without dots is the service alone, RFC 2782.
                let name = match service.contains('.') {
                    true => format!("{service}.{host}"),
                    false => format!("_{service}._tcp.{host}"),
                };
                Ok(Some(Asked { name, service: true, port: 0 }))
            }
            (None, None) => complain("no port"),
            (None, Some(port)) => Ok(Some(Asked { name: host, service: false, port })),
        }
    }
}

/// `None` for what is no parameter.
fn parameter(peer: &mut Peer, dynamic: &mut Dynamic, text: &str) -> Option<()> {
    match text.split_once('=') {
        Some(("weight", n)) => peer.weight = digits(n).filter(|weight| *weight > 0)?,
        Some(("max_conns", n)) => peer.max_conns = digits(n)?,
        Some(("max_fails", n)) => peer.max_fails = digits(n)?,
        Some(("fail_timeout", t)) => peer.fail_timeout = time(t, Resolution::Seconds)?,
        Some(("slow_start", t)) => peer.slow_start = time(t, Resolution::Seconds)?,
        Some(("service", name)) => dynamic.service = Some(name.to_owned()),
        None if text == "resolve" => dynamic.resolve = true,
        None if text == "down" => peer.down = true,
        None if text == "drain" => peer.drain = true,
        None if text == "backup" => peer.backup = true,
        _ => return None,
    }
    Some(())
}

/// The addresses behind `host:port`, or nginx's complaint.
fn resolve(text: &str, lookup: fn(&str) -> Vec<IpAddr>) -> Result<Vec<ServerAddress>, String> {
    let address = address::parse(text, Use::Connect)
        .map_err(|error| format!("{error} in upstream \"{text}\""))?;
    let port = match (&address.host, address.ports) {
        (Host::Unix(path), _) => return Ok(vec![ServerAddress::Unix(path.clone())]),
        (_, Some(ports)) => *ports.start(),
        (_, None) => return Err(format!("no port in upstream \"{text}\"")),
    };
    match address.host {
        Host::Ip(ip) => Ok(vec![ServerAddress::Socket((ip, port).into())]),
        Host::Name(name) => {
            let ips = lookup(&name);
            if ips.is_empty() {
                return Err(format!("host not found in upstream \"{text}\""));
            }
            Ok(addresses(&name, &ips, port))
        }
        Host::Any | Host::Unix(_) => Err(format!("no host in upstream \"{text}\"")),
    }
}

fn zone(upstream: &mut Upstream, words: &[Word], b: &mut Binder) {
    let Some(name) = words.first() else { return };
    if name.text.is_empty() {
        b.error(name.span, Problem::Other("invalid zone name \"\"".into()));
        return;
    }
    upstream.zone = true;
    let Some(word) = words.get(1) else { return };
    match size(&word.text) {
        None | Some(0) => {
            b.error(word.span, Problem::Other(format!("invalid zone size \"{}\"", word.text)));
        }
        // Eight pages.
        Some(bytes) if bytes < 8 * 4096 => {
            b.error(word.span, Problem::Other(format!("zone \"{}\" is too small", name.text)));
        }
        Some(_) => {}
    }
}

//! `upstream NAME {}`.

use std::net::IpAddr;
use std::time::Duration;

use balance::Algorithm;
use conf::Form::{Whole, Words};
use conf::Status::Accepted;
use conf::{Binder, Keyword, Problem, Span, Word};
use proxy::ServerAddress;

use super::IN_UPSTREAM;
use crate::address::{self, Host, Use};
use crate::draft::{Peer, Upstream, addresses};
use crate::value::{Resolution, check_millis, digits, size, time};

type Row = Keyword<Upstream>;

/// The directives.
pub(crate) const UPSTREAM: &[Row] = &[
    Row::new("hash", Words("<key> [consistent]", 1..=2, hash)).within(IN_UPSTREAM).doc(
        "The same key goes to the same server; `consistent` moves few keys when servers change.",
    ),
    Row::new("least_conn", Whole("", |u, s, b| method(u, s.at(), Algorithm::SmoothLeastConn, b)))
        .within(IN_UPSTREAM)
        .doc("The server with the fewest connections for its weight."),
    Row::planned("least_time", "connect|first_byte|last_byte [inflight]")
        .within(IN_UPSTREAM)
        .doc("The server with the shortest answer time."),
    Row::new("random", Words("[two [least_conn]]", 0..=2, random))
        .within(IN_UPSTREAM)
        .doc("A server at random, or the better of two."),
    Row::new("resolver", Words("<address> …", 1..=usize::MAX, |_, _, _| {}))
        .within(IN_UPSTREAM)
        .status(Accepted("used by `resolve` only, which is refused"))
        .doc("Name servers."),
    Row::new("resolver_timeout", Words("<time>", 1..=1, |_, w, b| check_millis(w, b)))
        .default("30s")
        .within(IN_UPSTREAM)
        .status(Accepted("used by `resolve` only, which is refused"))
        .doc("How long a name server may take."),
    Row::new("server", Words("<address> [<parameter> …]", 1..=usize::MAX, server))
        .within(IN_UPSTREAM)
        .doc(
            "A server: `weight=1` `max_conns=0` `max_fails=1` `fail_timeout=10s` `backup` `down`. \
             A name is resolved at start; each of its addresses is a server.",
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
        span: place.span,
    };
    let mut sound = true;
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
        let problem = match parameter(&mut peer, &word.text) {
            Ok(()) => continue,
            Err(Refusal::Invalid) => Problem::Other(format!("invalid parameter \"{}\"", word.text)),
            Err(Refusal::Planned) => {
                Problem::Planned { keyword: format!("server … {}", word.text) }
            }
        };
        b.error(word.span, problem);
        sound = false;
    }
    match resolve(&place.text, upstream.lookups.resolve) {
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

enum Refusal {
    Invalid,
    Planned,
}

fn parameter(peer: &mut Peer, text: &str) -> Result<(), Refusal> {
    let number = |value| digits(value).ok_or(Refusal::Invalid);
    match text.split_once('=') {
        Some(("weight", n)) => {
            peer.weight = number(n)?;
            if peer.weight == 0 {
                return Err(Refusal::Invalid);
            }
        }
        Some(("max_conns", n)) => peer.max_conns = number(n)?,
        Some(("max_fails", n)) => peer.max_fails = number(n)?,
        Some(("fail_timeout", t)) => {
            peer.fail_timeout = time(t, Resolution::Seconds).ok_or(Refusal::Invalid)?;
        }
        Some(("service", _)) => return Err(Refusal::Planned),
        None if text == "resolve" => return Err(Refusal::Planned),
        None if text == "down" => peer.down = true,
        None if text == "backup" => peer.backup = true,
        _ => return Err(Refusal::Invalid),
    }
    Ok(())
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

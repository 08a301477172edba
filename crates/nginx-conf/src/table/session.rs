//! Directives about what happens to a session: who may connect, how many, what is logged.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use conf::{Binder, Problem, Word};
use proxy::variable::Network;
use proxy::{LogCache, Peers, ProxyHeader, Resolver, Severity};

use super::main::syslog;
use crate::draft::{AccessLog, AccessTarget, Rate, Scope};
use crate::value::{Resolution, digits, size, time};
use crate::{Lookups, variable};

fn invalid(word: &Word) -> Problem {
    Problem::Other(format!("invalid parameter \"{}\"", word.text))
}

/// A network in nginx's words, with its warning about bits that do not count.
fn network(word: &Word, b: &mut Binder) -> Option<Network> {
    let (network, loose) = Network::parse(&word.text)?;
    if loose {
        let message = format!("low address bits of {} are meaningless", word.text);
        b.warning(word.span, Problem::Other(message));
    }
    Some(network)
}

/// `allow`, `deny`.
pub(super) fn access(scope: &mut Scope, allow: bool, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    let peers = match word.text.as_str() {
        "all" => Peers::All,
        "unix:" => Peers::Unix,
        _ => match network(word, b) {
            Some(network) => Peers::Network(network),
            None => {
                b.error(word.span, invalid(word));
                return;
            }
        },
    };
    scope.access.push((allow, peers));
}

/// `set_real_ip_from`: a name stands for all its addresses.
pub(super) fn trusted(scope: &mut Scope, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    if word.text == "unix:" {
        scope.trusted.push(Peers::Unix);
        return;
    }
    if let Some(network) = network(word, b) {
        scope.trusted.push(Peers::Network(network));
        return;
    }
    let ips = match word.text.contains('/') {
        true => vec![],
        false => (Lookups::default().resolve)(&word.text),
    };
    if ips.is_empty() {
        let message = format!("host not found in set_real_ip_from \"{}\"", word.text);
        b.error(word.span, Problem::Other(message));
    }
    let single = |ip: IpAddr| Peers::Network(Network::new(ip, u8::MAX));
    scope.trusted.extend(ips.into_iter().map(single));
}

/// `limit_conn ZONE NUMBER`.
pub(super) fn limit_conn(scope: &mut Scope, words: &[Word], b: &mut Binder) {
    let [zone, number] = words else { return };
    if scope.limits.iter().any(|(known, _)| *known == zone.text) {
        let message = "\"limit_conn\" directive is duplicate".to_owned();
        b.error(zone.span, Problem::Other(message));
        return;
    }
    match digits(&number.text) {
        None | Some(0) => {
            let message = format!("invalid number of connections \"{}\"", number.text);
            b.error(number.span, Problem::Other(message));
        }
        Some(65_536..) => {
            let message = "connection limit must be less 65536".to_owned();
            b.error(number.span, Problem::Other(message));
        }
        Some(most) => scope.limits.push((zone.owned(), most)),
    }
}

/// `limit_conn_log_level`.
pub(super) fn limit_level(scope: &mut Scope, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    let level = match word.text.to_ascii_lowercase().as_str() {
        "info" => Severity::Info,
        "notice" => Severity::Notice,
        "warn" => Severity::Warning,
        "error" => Severity::Error,
        _ => {
            b.error(word.span, Problem::Other(format!("invalid value \"{}\"", word.text)));
            return;
        }
    };
    scope.limit_level = Some(level);
}

/// `proxy_protocol on|off|v2`.
pub(super) fn send_proxy(scope: &mut Scope, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    scope.send_proxy = Some(match word.text.to_ascii_lowercase().as_str() {
        "on" => Some(ProxyHeader::V1),
        "v2" => Some(ProxyHeader::V2),
        "off" => None,
        _ => {
            b.error(word.span, Problem::Other(format!("invalid value \"{}\"", word.text)));
            return;
        }
    });
}

/// A size in bytes.
pub(super) fn bytes(slot: &mut Option<u64>, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    match size(&word.text) {
        Some(bytes) => *slot = Some(bytes),
        None => {
            b.error(word.span, Problem::NotATime { keyword: "", word: word.text.clone() });
        }
    }
}

/// A rate in bytes a second, perhaps with variables.
pub(super) fn rate(slot: &mut Option<Rate>, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    if variable::any(&word.text) {
        if variable::check(word, b) {
            *slot = Some(Rate::Text(word.owned()));
        }
        return;
    }
    let mut fixed = None;
    bytes(&mut fixed, words, b);
    *slot = fixed.map(Rate::Fixed);
}

/// `resolver`.
pub(super) fn resolver(slot: &mut Option<Resolver>, words: &[Word], b: &mut Binder) {
    let mut resolver = Resolver::new(vec![]);
    for word in words {
        let wrong = || Problem::Other(format!("invalid parameter: {}", word.text));
        let flag = |value: &str| match value {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        };
        let sound = match word.text.split_once('=') {
            Some(("valid", value)) => {
                resolver.valid = time(value, Resolution::Seconds);
                resolver.valid.is_some()
            }
            Some(("ipv4", value)) => flag(value).map(|on| resolver.v4 = on).is_some(),
            Some(("ipv6", value)) => flag(value).map(|on| resolver.v6 = on).is_some(),
            Some(("status_zone", zone)) => {
                resolver.status_zone = Some(zone.to_owned());
                true
            }
            _ => match servers(&word.text) {
                servers if servers.is_empty() => {
                    let message = format!("host not found in resolver \"{}\"", word.text);
                    b.error(word.span, Problem::Other(message));
                    return;
                }
                servers => {
                    resolver.servers.extend(servers);
                    true
                }
            },
        };
        if !sound {
            b.error(word.span, wrong());
            return;
        }
    }
    if resolver.servers.is_empty() {
        let at = words.first().map_or_else(Default::default, |word| word.span);
        b.error(at, Problem::Other("no name servers defined".into()));
        return;
    }
    if !resolver.v4 && !resolver.v6 {
        let at = words.first().map_or_else(Default::default, |word| word.span);
        b.error(at, Problem::Other("\"ipv4\" and \"ipv6\" cannot both be \"off\"".into()));
        return;
    }
    *slot = Some(resolver);
}

/// The addresses of a name server, port 53 unless it says otherwise.
fn servers(text: &str) -> Vec<SocketAddr> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return vec![address];
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return vec![(ip, 53).into()];
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (text, Some(53)),
    };
    let Some(port) = port else { return vec![] };
    (Lookups::default().resolve)(host).into_iter().map(|ip| (ip, port).into()).collect()
}

/// `access_log PATH FORMAT …`. Whether there is such a format is the walk's to say.
pub(super) fn access_log(scope: &mut Scope, words: &[Word], b: &mut Binder) {
    let [place, rest @ ..] = words else { return };
    let mut severity = Severity::Info;
    let target = match place.text.strip_prefix("syslog:") {
        Some(parameters) => match syslog(parameters, &mut severity) {
            Ok(target) => AccessTarget::Syslog(target, severity),
            Err(message) => {
                b.error(place.span, Problem::Other(message));
                return;
            }
        },
        None => {
            if !variable::check(place, b) {
                return;
            }
            AccessTarget::File(place.owned())
        }
    };
    let [format, parameters @ ..] = rest else {
        b.error(place.span, Problem::Other("log format is not specified".into()));
        return;
    };
    let mut log = AccessLog {
        target,
        format: format.owned(),
        condition: None,
        buffer: 0,
        flush: Duration::ZERO,
        gzip: None,
    };
    for word in parameters {
        if let Err(problem) = log_parameter(&mut log, word) {
            b.error(word.span, problem);
            return;
        }
    }
    let message = match &log.target {
        _ if !log.flush.is_zero() && log.buffer == 0 => {
            Some(format!("no buffer is defined for access_log \"{}\"", place.text))
        }
        AccessTarget::Syslog(..) if log.buffer > 0 => {
            Some("logs to syslog cannot be buffered".to_owned())
        }
        AccessTarget::File(path) if log.buffer > 0 && variable::any(path) => {
            Some("buffered logs cannot have variables in name".to_owned())
        }
        _ => None,
    };
    if let Some(message) = message {
        b.error(place.span, Problem::Other(message));
        return;
    }
    let logs = scope.access_logs.get_or_insert_default();
    let buffered = |log: &AccessLog| (log.buffer, log.flush, log.gzip);
    let same = logs.iter().find(|known| known.target == log.target);
    if same.is_some_and(|known| known.buffer > 0 && buffered(known) != buffered(&log)) {
        let message =
            format!("access_log \"{}\" already defined with conflicting parameters", place.text);
        b.error(place.span, Problem::Other(message));
        return;
    }
    logs.push(log);
}

/// What `gzip` alone collects.
const GZIP_BUFFER: usize = 64 * 1024;

fn log_parameter(log: &mut AccessLog, word: &Word) -> Result<(), Problem> {
    let other = |message: String| Err(Problem::Other(message));
    match word.text.split_once('=') {
        Some(("buffer", value)) => match size(value).and_then(|n| usize::try_from(n).ok()) {
            Some(bytes @ 1..) => log.buffer = bytes,
            _ => return other(format!("invalid buffer size \"{value}\"")),
        },
        Some(("flush", value)) => match time(value, Resolution::Millis) {
            Some(time) if !time.is_zero() => log.flush = time,
            _ => return other(format!("invalid flush time \"{value}\"")),
        },
        Some(("gzip", value)) => match digits(value) {
            Some(level @ 1..=9) => log.gzip = u8::try_from(level).ok(),
            _ => return other(format!("invalid compression level \"{value}\"")),
        },
        None if word.text == "gzip" => log.gzip = Some(1),
        Some(("if", value)) => {
            variable::names(value).map_err(Problem::Other)?;
            log.condition = Some(value.to_owned());
        }
        _ => return Err(invalid(word)),
    }
    if log.gzip.is_some() && log.buffer == 0 {
        log.buffer = GZIP_BUFFER;
    }
    Ok(())
}

/// `open_log_file_cache`; `None` follows a complaint.
pub(super) fn log_cache(words: &[Word], b: &mut Binder) -> Option<LogCache> {
    let mut max = None;
    let mut cache = LogCache {
        max: 0,
        inactive: Duration::from_secs(10),
        min_uses: 1,
        valid: Duration::from_secs(60),
    };
    let mut sound = true;
    for word in words {
        let positive = |number: &str| digits(number).filter(|n| *n > 0);
        let seconds = |text: &str| time(text, Resolution::Seconds);
        let set = match word.text.split_once('=') {
            Some(("max", n)) => positive(n).map(|n| max = Some(n)),
            Some(("min_uses", n)) => positive(n).map(|n| cache.min_uses = n),
            Some(("inactive", text)) => seconds(text).map(|time| cache.inactive = time),
            Some(("valid", text)) => seconds(text).map(|time| cache.valid = time),
            _ => None,
        };
        if set.is_none() {
            let text = &word.text;
            let message = format!("invalid \"open_log_file_cache\" parameter \"{text}\"");
            b.error(word.span, Problem::Other(message));
            sound = false;
        }
    }
    if !words.iter().any(|word| word.text.starts_with("max=")) {
        let at = words.first().map_or_else(Default::default, |word| word.span);
        let message = "\"open_log_file_cache\" must have \"max\" parameter".to_owned();
        b.error(at, Problem::Other(message));
    }
    max.filter(|_| sound).map(|max| LogCache { max, ..cache })
}

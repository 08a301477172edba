//! `server`, `default-server` and their parameters.

use std::time::Duration;

use conf::Form::{Flag, Words};
use conf::{Binder, Keyword, Place, Problem, Severity, Status, Unit, Word};
use proxy::{OnMarkedDown, ServerAddress};

use super::bind::{placeholder, unset};
use super::{PROXY, SERVERS, parameters, server_transport, text};
use crate::address::{Address, Host, Ports, is_placeholder, parse, plain_ip};
use crate::draft::{Draft, InitAddr, ServerDraft, VerifyWord};
use crate::number::{NotTime, integer, leading, limit, time};
use crate::say::{BARE, Complain};

type S = Keyword<ServerDraft>;

/// The parameters that do something.
pub(crate) const TABLE: &[S] = &[
    S::new("addr", Words("<ip>", 0..=1, |s, w, b| match w.first() {
        None => refuse(b, w, "'addr' expects <ipv4|ipv6> as argument.."),
        Some(word) => match plain_ip(&s.context.clone(), &word.text) {
            Ok(ip) => s.check.addr = Some(ip),
            Err(error) => refuse(b, w, &format!("'addr' : {error}.")),
        },
    }))
    .doc("Address that is checked instead of the server's."),
    S::new("backup", Flag(|s| s.server.backup = true)).doc("Used when no other server can be."),
    S::new("no-backup", Flag(|s| s.server.backup = false)),
    S::new("ca-file", Words("<file>", 0..=1, |s, w, b| match w.first() {
        None => refuse(b, w, "'ca-file' : missing CAfile path."),
        Some(word) => s.ca_file = Some(word.text.clone().into()),
    }))
    .doc("Certificates that servers' certificates must lead to."),
    S::new("check", Flag(|s| s.checked = true)).doc("Check the server's health."),
    S::new("no-check", Flag(|s| s.checked = false)),
    S::new("check-alpn", Words("<protocols>", 0..=1, |s, w, b| match w.first() {
        None => refuse(b, w, "'check-alpn' : missing the comma-delimited ALPN protocol suite."),
        Some(word) => s.check.alpn = word.text.split(',').map(str::to_owned).collect(),
    }))
    .doc("Protocols a TLS check offers."),
    S::new("check-sni", Words("<name>", 0..=1, |s, w, b| match w.first() {
        None => refuse(b, w, "'check-sni' : missing SNI."),
        Some(word) => s.check.sni = Some(word.owned()),
    }))
    .doc("Server name a TLS check sends."),
    S::new("check-ssl", Flag(|s| s.check_ssl = true)).doc("Checks speak TLS."),
    S::new("no-check-ssl", Flag(|s| s.check_ssl = false)),
    S::new("cookie", Words("<value>", 0..=1, |s, w, b| {
        if w.is_empty() {
            refuse(b, w, "'cookie' expects <value> as argument..");
        }
        s.cookie = true;
    }))
    .status(Status::Accepted("cookies need `mode http`; a warning says so")),
    S::new("disabled", Flag(|s| s.server.disabled = true)).doc("Starts in maintenance."),
    S::new("enabled", Flag(|s| s.server.disabled = false))
        .doc("Undoes `disabled` of a `default-server`."),
    S::new("downinter", Words("<time>", 0..=1, |s, w, b| {
        if let Some(time) = delay(s, b, "downinter", w) {
            s.check.downinter = Some(time);
        }
    }))
    .doc("Time between checks while the server is down."),
    S::new("fastinter", Words("<time>", 0..=1, |s, w, b| {
        if let Some(time) = delay(s, b, "fastinter", w) {
            s.check.fastinter = Some(time);
        }
    }))
    .doc("Time between checks while the state changes."),
    S::new("inter", Words("<time>", 0..=1, |s, w, b| {
        if let Some(time) = delay(s, b, "inter", w) {
            s.check.inter = time;
        }
    }))
    .default("2s")
    .doc("Time between checks."),
    S::new("fall", Words("<count>", 0..=1, |s, w, b| {
        if let Some(n) = count(b, "fall", w) {
            s.check.fall = n;
        }
    }))
    .default("3")
    .doc("Failed checks until the server is down."),
    S::new("rise", Words("<count>", 0..=1, |s, w, b| {
        if let Some(n) = count(b, "rise", w) {
            s.check.rise = n;
        }
    }))
    .default("2")
    .doc("Good checks until the server is up."),
    S::new("id", Words("<number>", 0..=1, |s, w, b| match leading(text(w, 0)).0 {
        n @ 1.. => s.forced_id = u32::try_from(n).ok(),
        _ => refuse(b, w, "'id' : custom id has to be > 0."),
    }))
    .doc("Number of the server in statistics, and its order for `balance first`."),
    S::new("init-addr", Words("{last|libc|none|<ip>},…", 0..=1, init_addr))
        .default("last,libc")
        .doc("How a name gets its first address."),
    S::new("maxconn", Words("<number>", 0..=1, |s, w, b| s.server.maxconn = limited(b, "maxconn", w)))
        .doc("Connections at once; more wait."),
    S::new("maxqueue", Words("<number>", 0..=1, |s, w, b| {
        s.server.maxqueue = limited(b, "maxqueue", w);
    }))
    .doc("Connections that may wait for this server."),
    S::new("minconn", Words("<number>", 0..=1, |s, w, b| s.server.minconn = limited(b, "minconn", w)))
        .doc("`maxconn` while the backend is idle."),
    S::new("on-marked-down", Words("shutdown-sessions", 0..=1, |s, w, b| match text(w, 0) {
        "shutdown-sessions" => s.server.on_marked_down = OnMarkedDown::ShutdownSessions,
        got => refuse(b, w, &format!("'on-marked-down' expects 'shutdown-sessions' but got '{got}'.")),
    }))
    .doc("What happens to the sessions of a server that goes down."),
    S::new("on-marked-up", Words("shutdown-backup-sessions", 0..=1, |s, w, b| match text(w, 0) {
        "shutdown-backup-sessions" => s.server.shutdown_backup_sessions_when_up = true,
        got => refuse(b, w, &format!("'on-marked-up' expects 'shutdown-backup-sessions' but got '{got}'.")),
    }))
    .doc("What happens to the sessions of backups when it comes up."),
    S::new("port", Words("<port>", 0..=1, |s, w, b| {
        let n = w.first().map_or(0, |word| integer(b, "port", word));
        s.check.port = u16::try_from(n).ok().filter(|port| *port > 0);
    }))
    .doc("Port that is checked instead of the server's."),
    S::new("resolvers", Words("<section>", 0..=1, |s, w, _| {
        s.resolvers = Some(text(w, 0).to_owned());
    }))
    .doc("The name servers that tell its address while the process runs."),
    S::new("resolve-net", Words("<network>[,<network>…]", 0..=1, resolve_net))
        .doc("Addresses in these networks are taken before others."),
    S::new("resolve-opts", Words("allow-dup-ip|ignore-weight|prevent-dup-ip[,…]", 0..=1, resolve_opts))
        .doc("Whether two servers may have one address; whether the weight of SRV records counts."),
    S::new("resolve-prefer", Words("ipv4|ipv6", 0..=1, |s, w, b| match text(w, 0) {
        "ipv4" => s.prefer_v4 = true,
        "ipv6" => s.prefer_v4 = false,
        _ => refuse(b, w, "'resolve-prefer' expects either ipv4 or ipv6 as argument.."),
    }))
    .default("ipv6")
    .doc("Family taken when a name has both."),
    S::new("check-send-proxy", Flag(|s| s.check_send_proxy = true))
        .doc("Checks send the header even where `port` or `addr` sends them elsewhere."),
    S::new("no-check-send-proxy", Flag(|s| s.check_send_proxy = false)),
    S::new("slowstart", Words("<time>", 0..=1, |s, w, b| {
        if let Some(time) = any_delay(s, b, "slowstart", "slowstart", w) {
            s.server.slowstart = time;
        }
    }))
    .default("0")
    .doc("How long the weight grows after the server came up."),
    S::new("verify", Words("none|required", 0..=1, |s, w, b| match text(w, 0) {
        "none" => s.verify = Some(VerifyWord::None),
        "required" => s.verify = Some(VerifyWord::Required),
        "" => refuse(b, w, "'verify' : missing verify method."),
        got => refuse(b, w, &format!("'verify' : unknown verify method '{got}', only 'none' and 'required' are supported.")),
    }))
    .doc("Whether the server's certificate is verified."),
    S::new("verifyhost", Words("<name>", 0..=1, |s, w, b| match w.first() {
        None => refuse(b, w, "'verifyhost' : missing hostname to verify against."),
        Some(word) => s.verify_host = Some(word.owned()),
    }))
    .doc("Name the certificate must have."),
    S::new("no-verifyhost", Flag(|s| s.verify_host = None)),
    S::new("weight", Words("<0..256>", 0..=1, |s, w, b| {
        match w.first().map_or(0, |word| integer(b, "weight", word)) {
            n @ 0..=256 => s.server.weight = n as u32,
            n => {
                let name = s.name.clone();
                refuse(b, w, &format!("weight of server {name} is not within 0 and 256 ({n}).."));
            }
        }
    }))
    .default("1")
    .doc("Share of the load."),
];

pub(super) fn refuse(b: &mut Binder, words: &[Word], text: &str) {
    b.refuse(words.first().map_or_else(conf::Span::default, |w| w.span), text);
}

fn limited(b: &mut Binder, keyword: &str, words: &[Word]) -> Option<u32> {
    words.first().and_then(|word| limit(b, keyword, word))
}

fn count(b: &mut Binder, keyword: &str, words: &[Word]) -> Option<u32> {
    let Some(word) = words.first() else {
        refuse(b, words, &format!("'{keyword}' expects an integer argument.."));
        return None;
    };
    let n = u32::try_from(leading(&word.text).0).ok().filter(|n| *n > 0);
    if n.is_none() {
        refuse(b, words, &format!("'{keyword}' has to be > 0.."));
    }
    n
}

/// A time above 0. HAProxy names 'agent-inter' for all of them.
pub(super) fn delay(
    s: &ServerDraft,
    b: &mut Binder,
    keyword: &str,
    words: &[Word],
) -> Option<Duration> {
    let time = any_delay(s, b, keyword, "agent-inter", words)?;
    if time.is_zero() {
        let name = shown(s);
        refuse(b, words, &format!("invalid value 0 for argument '{keyword}' of server {name}.."));
        return None;
    }
    Some(time)
}

fn shown(s: &ServerDraft) -> &str {
    if s.name.is_empty() { "default-server" } else { &s.name }
}

fn any_delay(
    s: &ServerDraft,
    b: &mut Binder,
    keyword: &str,
    said: &str,
    words: &[Word],
) -> Option<Duration> {
    let name = shown(s);
    let Some(word) = words.first() else {
        refuse(b, words, &format!("'{keyword}' expects a delay as argument.."));
        return None;
    };
    match time(&word.text, Unit::Millis) {
        Ok((time, trailing)) => {
            if let Some(c) = trailing {
                b.warn(word.span, format!("unexpected character '{c}' after the timer value '{}', only (us=microseconds,ms=milliseconds,s=seconds,m=minutes,h=hours,d=days) are supported. This will be reported as an error in next versions.", word.text));
            }
            Some(time)
        }
        Err(NotTime::Unexpected(c)) => {
            refuse(
                b,
                words,
                &format!("unexpected character '{c}' in '{said}' argument of server {name}.."),
            );
            None
        }
        Err(NotTime::Overflow) => {
            refuse(
                b,
                words,
                &format!(
                    "timer overflow in argument <{}> to <{said}> of server {name}, maximum value is 2147483647 ms (~24.8 days)..",
                    word.text
                ),
            );
            None
        }
    }
}

fn init_addr(s: &mut ServerDraft, words: &[Word], b: &mut Binder) {
    s.init_addr.clear();
    for method in text(words, 0).split(',').filter(|method| !method.is_empty()) {
        s.init_addr.push(match method {
            "last" => InitAddr::Last,
            "libc" => InitAddr::Libc,
            "none" => InitAddr::None,
            other => match other.parse() {
                Ok(ip) => InitAddr::Ip(ip),
                Err(_) => {
                    return refuse(b, words, &format!("'init-addr' : unknown init-addr method '{other}', supported methods are 'libc', 'last', 'none'.."));
                }
            },
        });
    }
}

fn resolve_net(s: &mut ServerDraft, words: &[Word], b: &mut Binder) {
    let list = text(words, 0);
    if list.is_empty() {
        return refuse(b, words, "'resolve-net' expects a list of networks..");
    }
    for network in list.split(',') {
        let (ip, length) = network.split_once('/').unwrap_or((network, ""));
        let ip: Option<std::net::IpAddr> = ip.parse().ok();
        let most = if ip.is_some_and(|ip| ip.is_ipv6()) { 128 } else { 32 };
        let length = if length.is_empty() { Some(most) } else { length.parse().ok() };
        match (ip, length) {
            (Some(ip), Some(length)) if length <= most => s.networks.push((ip, length)),
            _ => {
                let text = format!("'resolve-net' invalid network '{network}'..");
                return refuse(b, words, &text);
            }
        }
    }
}

fn resolve_opts(s: &mut ServerDraft, words: &[Word], b: &mut Binder) {
    for option in text(words, 0).split(',').filter(|option| !option.is_empty()) {
        match option {
            "allow-dup-ip" => s.allow_duplicates = true,
            "prevent-dup-ip" => s.allow_duplicates = false,
            "ignore-weight" => s.ignore_weight = true,
            _ => {
                let text = format!(
                    "'resolve-opts' : unknown resolve-opts option '{option}', supported methods are 'allow-dup-ip', 'ignore-weight', and 'prevent-dup-ip'.."
                );
                return refuse(b, words, &text);
            }
        }
    }
}

/// `server-template <prefix> <count>|<from>-<to> <address> [param…]`.
pub(crate) fn template(draft: &mut Draft, words: &[Word], b: &mut Binder) {
    let span = words.first().map_or_else(conf::Span::default, |w| w.span);
    let [prefix, range, address, rest @ ..] = words else {
        let text = "'server-template' expects <prefix> <nb | range> <addr>[:<port>] as arguments.";
        b.complain(Severity::Error, BARE, span, text);
        return;
    };
    let number = |text: &str| text.parse::<u32>().ok();
    let bounds = match range.text.split_once('-') {
        Some((from, to)) => number(from).zip(number(to)),
        None => number(&range.text).filter(|count| *count > 0).map(|count| (1, count)),
    };
    // So many servers are nobody's intention.
    let bounds = bounds.filter(|(from, to)| from <= to && to - from < 65_536);
    let Some((from, to)) = bounds else {
        let text = format!("Wrong server-template number or range arg '{}'.", range.text);
        b.complain(Severity::Error, BARE, range.span, text);
        return;
    };
    let before = draft.servers.len();
    let mut first = vec![Word { text: format!("{}{from}", prefix.text), span: prefix.span }];
    first.push(address.clone());
    first.extend_from_slice(rest);
    server(draft, &first, b);
    let Some(one) = draft.servers.get(before).cloned() else { return };
    for number in from + 1..=to {
        let mut next = one.clone();
        next.name = format!("{}{number}", prefix.text);
        next.server.name.clone_from(&next.name);
        // A forced number is that of the first.
        next.forced_id = one.forced_id.map(|id| id.saturating_add(number - from));
        draft.servers.push(next);
    }
}

/// `default-server [param…]`.
pub(crate) fn default_server(draft: &mut Draft, words: &[Word], b: &mut Binder) {
    draft.default_server.context = draft.context.clone();
    let place = Place::new(PROXY, "default-server").context("default-server");
    parameters(b, &SERVERS, place, words, &mut draft.default_server);
}

/// `server <name> <address> [param…]`.
pub(crate) fn server(draft: &mut Draft, words: &[Word], b: &mut Binder) {
    let [name, address, rest @ ..] = words else {
        let span = words.first().map_or_else(conf::Span::default, |w| w.span);
        let text = "'server' expects <name> and <addr>[:<port>] as arguments.";
        b.complain(Severity::Error, BARE, span, text);
        return;
    };
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    if let Some(bad) = name.text.chars().find(|c| !valid(*c)) {
        let text = format!("character '{bad}' is not permitted in server name '{}'.", name.text);
        b.complain(Severity::Error, BARE, name.span, text).help = Some(if bad == '$' {
            "this looks like a placeholder: put a name for the server there".into()
        } else {
            "use letters, digits, '-', '_', '.' and ':'".into()
        });
        return;
    }
    let context = draft.context.clone();
    let line_name = format!("server {}/{}", draft.name, name.text);
    if is_placeholder(&address.text) {
        return placeholder(b, &line_name, "connect to, such as 192.0.2.11:6443,", &words[1..]);
    }
    let before = b.problems.len();
    let where_ = server_address(&context, b, address);
    let named = |b: &mut Binder, from: usize| {
        let new = b.problems[from..].iter_mut().filter(|p| p.context.is_empty());
        new.for_each(|p| line_name.clone_into(&mut p.context));
    };
    named(b, before);
    let Some((where_, offset)) = where_ else { return };
    let mut server = ServerDraft { context: context.clone(), ..draft.default_server.clone() };
    server.name = name.owned();
    server.at = name.span;
    server.server.name = name.owned();
    server.server.address = where_;
    server.server.origin = context.origin();
    server.forced_id = None;
    server.line = server.server.origin.line as usize;
    if offset != 0 {
        server.server.outbound.get_or_insert_default().offset = offset;
    }
    let rest = server_transport::take_tlvs(rest, &mut server.tlvs, b);
    let place = Place::new(PROXY, "server").context(&line_name);
    parameters(b, &SERVERS, place, &rest, &mut server);
    if let Some(id) = server.forced_id {
        let clash = draft.servers.iter().find(|other| other.forced_id == Some(id));
        if let Some(other) = clash {
            let text = format!(
                "'id' : custom id {id} already used at {} ('server {}').",
                other.server.origin, other.name
            );
            b.refuse(name.span, text);
            named(b, before);
        }
    }
    let wrong = b.problems.len();
    if server.track.is_some() && (server.checked || server.agent_checked) {
        b.refuse(name.span, "unable to enable checks and tracking at the same time!");
    }
    if server.agent_checked && server.agent.port == 0 && wrong == before {
        let text = format!(
            "server {} does not have agent port. Agent check has been disabled.",
            name.text
        );
        b.refuse(name.span, text);
    }
    named(b, wrong);
    draft.servers.push(server);
}

/// Where a server is, and how far its port is from the client's; names are kept for later.
fn server_address(
    context: &crate::context::Context,
    b: &mut Binder,
    word: &Word,
) -> Option<(ServerAddress, i32)> {
    let (expanded, missing) = context.expand(&word.text);
    if let Some(name) = missing.first() {
        if expanded.chars().all(|c| c == ':') {
            let text = format!(
                "'{}' is a placeholder: the environment variable '{name}' is not set. Put the server's address there.",
                word.text
            );
            b.refuse(word.span, text).help = Some(format!("set '{name}', or write the address"));
            return None;
        }
        unset(b, word, name, &word.text, &expanded);
    }
    let planned = |b: &mut Binder, what: &str| {
        b.error(word.span, Problem::Planned { keyword: format!("server {what}") });
        None
    };
    let (host, ports) = match parse(context, &word.text) {
        Err(error) => {
            b.refuse(word.span, error);
            return None;
        }
        Ok(Address::Unix(path)) => return Some((ServerAddress::Unix(path), 0)),
        Ok(Address::Abstract(name)) => {
            return Some((ServerAddress::Unix(format!("\0{name}").into()), 0));
        }
        Ok(Address::Fd(_)) => {
            let text = format!("a file descriptor is not acceptable here in '{}'", word.text);
            b.refuse(word.span, text);
            return None;
        }
        Ok(Address::Inet { multipath: true, .. }) => return planned(b, "mptcp@"),
        Ok(Address::Planned(kind)) => return planned(b, kind),
        Ok(Address::Inet { datagram: true, .. }) => {
            b.refuse(word.span, format!("dgram-type address not acceptable in '{}'", word.text));
            return None;
        }
        Ok(Address::Inet { host, ports, .. }) => (host, ports),
    };
    let mut offset = 0;
    let port = match ports {
        Ports::Missing => 0,
        Ports::Relative(by) => {
            offset = by;
            0
        }
        Ports::Range(from, to, _) if from != to => {
            b.refuse(word.span, format!("port range not permitted here in '{}'", word.text));
            return None;
        }
        Ports::Range(port, _, junk) => {
            if !junk.is_empty() {
                let text = format!("'{junk}' after the port in '{}' is ignored.", word.text);
                b.warn(word.span, text);
            }
            port as u16
        }
    };
    let where_ = match host {
        // The address the client connected to: transparent proxying.
        Host::Any => ServerAddress::Socket((std::net::Ipv4Addr::UNSPECIFIED, port).into()),
        Host::Ip(ip) => ServerAddress::Socket((ip, port).into()),
        Host::Name(name) => ServerAddress::Host { name, port, resolved: None },
    };
    Some((where_, offset))
}

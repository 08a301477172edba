//! `bind` lines and `stats socket` lines: addresses and their parameters.

use conf::Form::{Flag, Words};
use conf::{Binder, Keyword, Place, Problem, Status, Word};
use proxy::{Bind, BindAddress, Level, StatsSocket};

use super::{BINDS, PROXY, parameters, text};
use crate::address::{Address, Host, Ports, is_placeholder, parse};
use crate::context::Context;
use crate::draft::{Draft, Global};
use crate::number::limit;
use crate::say::Complain;

type K = Keyword<Line>;

/// The parameters of a `bind` or `stats socket` line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) bind: Bind,
    pub(crate) level: Level,
    pub(crate) expose: bool,
    /// `proto`, unless it is `none`.
    pub(crate) multiplexer: Option<&'static str>,
    pub(crate) tls: super::tls::TlsDraft,
}

const QUIC: &str = "QUIC is not spoken";

/// `bind` parameters.
pub(crate) const TABLE: &[K] = &[
    K::new("accept-proxy", Flag(|l| l.bind.proxy_protocol = true))
        .doc("A connection begins with a PROXY header, of version 1 or 2."),
    K::new(
        "accept-netscaler-cip",
        Words("<magic>", 0..=1, |l, w, b| match text(w, 0) {
            "" => refuse(b, w, "'accept-netscaler-cip' : missing value".to_owned()),
            number => {
                // As strtol(3) reads it: what follows the digits does not count.
                let digits = number.chars().take_while(char::is_ascii_digit).collect::<String>();
                match digits.parse() {
                    Ok(0) | Err(_) => {
                        refuse(
                            b,
                            w,
                            "'accept-netscaler-cip' : invalid value 0, must be >= 0".to_owned(),
                        );
                    }
                    Ok(magic) => inbound(l).netscaler = Some(magic),
                }
            }
        }),
    )
    .doc("A connection begins with a NetScaler's word of its client, and this number in front."),
    K::new("backlog", Words("<number>", 0..=1, |l, w, b| l.bind.backlog = value(b, "backlog", w)))
        .doc("Length of the kernel's queue."),
    K::new("defer-accept", Flag(|l| l.bind.defer_accept = true))
        .doc("Accept once data arrived (TCP_DEFER_ACCEPT)."),
    K::new(
        "expose-fd",
        Words("listeners", 0..=1, |l, w, b| {
            if text(w, 0) == "listeners" {
                l.expose = true;
            } else {
                let got = text(w, 0).to_owned();
                refuse(b, w, format!("'expose-fd' only supports 'listeners' (got '{got}')"));
            }
        }),
    )
    .doc("Let a new process fetch the listening sockets here."),
    K::new("gid", Words("<number>", 0..=1, |l, w, b| l.bind.group = word(b, "gid", "value", w)))
        .doc("Group of a UNIX socket, as a number."),
    K::new(
        "group",
        Words("<name>", 0..=1, |l, w, b| {
            l.bind.group = word(b, "group", "group name", w);
        }),
    )
    .doc("Group of a UNIX socket."),
    K::new(
        "id",
        Words("<number>", 0..=1, |l, w, b| match text(w, 0).parse() {
            Ok(0) => refuse(b, w, "'id' : custom id has to be > 0".to_owned()),
            Ok(id) => l.bind.id = id,
            Err(_) => {
                let got = text(w, 0);
                refuse(b, w, format!("'id' : expects an integer argument, found '{got}'"));
            }
        }),
    )
    .doc("The number of the listening socket, for `so_id`: 1 and more."),
    K::new(
        "interface",
        Words("<name>", 0..=1, |l, w, b| {
            l.bind.interface = word(b, "interface", "interface name", w);
        }),
    )
    .doc("Only connections of this interface (SO_BINDTODEVICE)."),
    K::new(
        "level",
        Words("user|operator|admin", 0..=1, |l, w, b| match text(w, 0) {
            "user" => l.level = Level::User,
            "operator" => l.level = Level::Operator,
            "admin" => l.level = Level::Admin,
            got => {
                let text =
                    format!("'level' only supports 'user', 'operator', and 'admin' (got '{got}')");
                refuse(b, w, text);
            }
        }),
    )
    .default("operator")
    .doc("What clients of a `stats socket` may do."),
    K::new("maxconn", Words("<number>", 0..=1, |l, w, b| l.bind.maxconn = value(b, "maxconn", w)))
        .doc("Connections accepted at once on this line."),
    K::new(
        "mode",
        Words("<octal>", 0..=1, |l, w, b| match u32::from_str_radix(text(w, 0), 8) {
            Ok(mode) => l.bind.mode = Some(mode),
            Err(_) => {
                let got = text(w, 0).to_owned();
                refuse(
                    b,
                    w,
                    format!("'mode' : missing or invalid mode '{got}' (octal integer expected)"),
                );
            }
        }),
    )
    .doc("Permission bits of a UNIX socket."),
    K::new(
        "mss",
        Words("<n>", 0..=1, |l, w, b| {
            if w.is_empty() {
                return refuse(b, w, "'mss' : missing MSS value".to_owned());
            }
            match text(w, 0).parse::<i32>() {
                Ok(n @ (1..=65_535 | -65_535..=-1)) => inbound(l).segment = Some(n),
                _ => {
                    let text = "'mss' : expects an MSS with and absolute value between 1 and 65535";
                    refuse(b, w, text.to_owned());
                }
            }
        }),
    )
    .doc("The longest segment (TCP_MAXSEG); below zero it is that much less than usual."),
    K::new("name", Words("<name>", 0..=1, |l, w, b| l.bind.name = word(b, "name", "name", w)))
        .doc("A name for the address, for statistics."),
    K::new(
        "namespace",
        Words("<name>", 0..=1, |l, w, b| {
            if w.is_empty() {
                return refuse(b, w, "'namespace' : missing namespace id".to_owned());
            }
            inbound(l).namespace = Some(text(w, 0).to_owned());
        }),
    )
    .doc("The network namespace that is listened in."),
    K::new(
        "nice",
        Words("<n>", 0..=1, |_, w, b| {
            let n = crate::number::leading(text(w, 0)).0;
            if w.is_empty() {
                refuse(b, w, "'nice' : missing value".to_owned());
            } else if !(-1024..=1024).contains(&n) {
                refuse(b, w, format!("'nice' : invalid value {n}, allowed range is -1024..1024"));
            }
        }),
    )
    .status(Status::Accepted("all connections have one priority")),
    K::accepted("process", "<set>", "every core serves every address"),
    K::accepted("thread", "<set>", "every core serves every address"),
    K::new(
        "shards",
        Words("<n>|by-thread|by-group", 0..=1, |_, w, b| {
            if w.is_empty() {
                return refuse(b, w, "'shards' : missing value".to_owned());
            }
            let n = crate::number::leading(text(w, 0)).0;
            if !matches!(text(w, 0), "by-thread" | "by-group") && !(1..=1024).contains(&n) {
                let text = format!(
                    "'shards' : invalid value {n}, allowed range is 1..1024 or 'by-thread'"
                );
                refuse(b, w, text);
            }
        }),
    )
    .status(Status::Accepted("every core has a socket of its own")),
    K::new(
        "severity-output",
        Words("none|number|string", 0..=1, |_, w, b| match text(w, 0) {
            "none" | "number" | "string" => {}
            "" => refuse(b, w, "'severity-output' : missing severity format".to_owned()),
            got => {
                let text = format!(
                    "'severity-output' only supports 'none', 'number', and 'string' (got '{got}')"
                );
                refuse(b, w, text);
            }
        }),
    )
    .status(Status::Accepted("answers carry no severity")),
    K::new("proto", Words("none|h1|h2|fcgi", 0..=1, |l, w, b| {
        if let Some(proto) = multiplexer(b, w, "") {
            l.multiplexer = proto;
        }
    }))
    .doc("What a connection carries beside bytes: `none` for a tcp proxy."),
    K::new(
        "tcp-ut",
        Words("<time>", 0..=1, |l, w, b| {
            let Some(word) = w.first() else {
                return refuse(b, w, "'tcp-ut' : missing TCP User Timeout value".to_owned());
            };
            match crate::number::time(&word.text, conf::Unit::Millis) {
                Ok((wait, None)) => inbound(l).user_timeout = Some(wait),
                _ => refuse(b, w, "'tcp-ut' : expects a positive delay in milliseconds".to_owned()),
            }
        }),
    )
    .doc("How long bytes sent to a client may stay unacknowledged (TCP_USER_TIMEOUT)."),
    K::new("tfo", Flag(|l| l.bind.fastopen = Some(0))).doc("Accept data in SYN (TCP_FASTOPEN)."),
    K::new("transparent", Flag(|l| l.bind.transparent = true))
        .doc("Addresses that are not local (IP_TRANSPARENT)."),
    K::new("uid", Words("<number>", 0..=1, |l, w, b| l.bind.user = word(b, "uid", "value", w)))
        .doc("Owner of a UNIX socket, as a number."),
    K::new(
        "user",
        Words("<name>", 0..=1, |l, w, b| {
            l.bind.user = word(b, "user", "user name", w);
        }),
    )
    .doc("Owner of a UNIX socket."),
    K::new("v4v6", Flag(|l| l.bind.v6only = Some(false))).doc("Both families on an IPv6 address."),
    K::new("v6only", Flag(|l| l.bind.v6only = Some(true))).doc("IPv6 only."),
    K::new(
        "cc",
        Words("<algorithm>", 0..=1, |l, w, b| {
            if w.is_empty() {
                return refuse(b, w, "'cc' : missing TCP congestion control algorithm".to_owned());
            }
            inbound(l).congestion = Some(text(w, 0).to_owned());
        }),
    )
    .doc("How connections of clients avoid congestion (TCP_CONGESTION)."),
    K::accepted("guid-prefix", "<name>", "statistics have no guids"),
    K::accepted("label", "<name>", "statistics have no labels"),
    K::new("nbconn", Words("<n>", 0..=1, |_, w, b| {
        refuse(b, w, "'nbconn' is experimental, must be allowed via a global 'expose-experimental-directives'".to_owned());
    }))
    .doc("Refused, as HAProxy does without `expose-experimental-directives`: of `rhttp@`, which is not built."),
    K::planned("tcp-md5sig", "<password>"),
    K::planned("tcp-ss", "<n>"),
    K::new("idle-ping", Words("<time>", 0..=1, |_, w, b| match w.first() {
        None => refuse(b, w, "'idle-ping' expects an argument.".to_owned()),
        Some(word) => {
            if let Err(crate::number::NotTime::Unexpected(c)) = crate::number::time(&word.text, conf::Unit::Millis) {
                refuse(b, w, format!("unexpected character '{c}' in 'idle-ping' argument on bind line."));
            }
        }
    }))
    .status(Status::Accepted("HTTP/2 is not spoken")),
    K::accepted("quic-cc-algo", "<algorithm>", QUIC),
    K::accepted("quic-force-retry", "", QUIC),
    K::new("quic-socket", Words("connection|listener", 0..=1, |_, w, b| {
        if !matches!(text(w, 0), "connection" | "listener") {
            refuse(b, w, "'quic-socket' : unknown argument, use either connection or listener.".to_owned());
        }
    }))
    .status(Status::Accepted(QUIC)),
];

/// `proto <name>`: `Some(None)` for none, nothing where it is refused; `end` ends complaints.
pub(crate) fn multiplexer(
    b: &mut Binder,
    words: &[Word],
    end: &str,
) -> Option<Option<&'static str>> {
    const KNOWN: [&str; 5] = ["h1", "h2", "fcgi", "quic", "spop"];
    let Some(word) = words.first() else {
        refuse(b, words, format!("'proto' : missing value{end}"));
        return None;
    };
    if word.text == "none" {
        return Some(None);
    }
    let known = KNOWN.iter().find(|known| **known == word.text);
    if known.is_none() {
        refuse(b, words, format!("'proto' :  unknown MUX protocol '{}'{end}", word.text));
    }
    known.map(|known| Some(*known))
}

fn is_multipath(context: &Context, text: &str) -> bool {
    text.split(',')
        .any(|part| matches!(parse(context, part), Ok(Address::Inet { multipath: true, .. })))
}

fn inbound(line: &mut Line) -> &mut proxy::Inbound {
    line.bind.inbound.get_or_insert_default()
}

fn refuse(b: &mut Binder, words: &[Word], text: String) {
    b.refuse(words.first().map_or_else(conf::Span::default, |w| w.span), text);
}

/// One word, or `'name' : missing name`.
fn word(b: &mut Binder, keyword: &str, what: &str, words: &[Word]) -> Option<String> {
    if words.is_empty() {
        refuse(b, words, format!("'{keyword}' : missing {what}"));
    }
    words.first().map(Word::owned)
}

/// One number above 0.
fn value(b: &mut Binder, keyword: &str, words: &[Word]) -> Option<u32> {
    if words.is_empty() {
        refuse(b, words, format!("'{keyword}' : missing value"));
        return None;
    }
    limit(b, keyword, &words[0])
}

/// `bind <address>[,…] [param…]`.
pub(crate) fn bind(draft: &mut Draft, words: &[Word], b: &mut Binder) {
    let Some(first) = words.first() else {
        b.refuse(
            conf::Span::default(),
            "'bind' expects {<path>|[addr1]:port1[-end1]}{,[addr]:port[-end]}... as arguments.",
        );
        return;
    };
    let context = draft.context.clone();
    if is_placeholder(&first.text) {
        return placeholder(b, "bind", "listen on, such as 192.0.2.1:6443 or *:6443", words);
    }
    let Some(addresses) = addresses(&context, b, first, "'bind' : ") else { return };
    let mut line = line(&context);
    {
        // Of these lines alone: a `stats socket` has nothing of it.
        let defaults = context.unix_bind.borrow();
        line.bind.mode = defaults.mode;
        (line.bind.user, line.bind.group) = (defaults.user.clone(), defaults.group.clone());
    }
    // Of all of its addresses or of none: a line has one kind of socket.
    if first.text.contains("mptcp") && is_multipath(&context, &first.text) {
        inbound(&mut line).multipath = true;
    }
    let name = format!("bind {}' in section '{}", first.text, draft.kind.keyword());
    let place = Place::new(PROXY, "bind").context(&name);
    parameters(b, &BINDS, place, &words[1..], &mut line);
    if let Some(proto) = line.multiplexer {
        let text = format!(
            "MUX protocol '{proto}' is not usable for 'bind {}' at [{}].",
            first.text, line.bind.origin
        );
        draft.misfits.push((first.span, text));
    }
    let tls = line.tls.on.map(|_| {
        std::rc::Rc::new(crate::draft::BindTls {
            at: first.span,
            address: first.owned(),
            context: name,
            tls: line.tls.clone(),
        })
    });
    for address in addresses {
        let address = match address {
            BindAddress::Unix(path) => BindAddress::Unix(context.unix_bind.borrow().path(path)),
            other => other,
        };
        draft.binds.push(Bind { address, ..line.bind.clone() });
        draft.bind_tls.push(tls.clone());
    }
}

/// Names a guide's placeholder and what to put there.
pub(crate) fn placeholder(b: &mut Binder, keyword: &str, what: &str, words: &[Word]) {
    let end = words.iter().position(|w| w.text.contains('>')).unwrap_or(0);
    let shown: Vec<&str> = words[..=end].iter().map(|w| w.text.as_str()).collect();
    let shown = shown.join(" ");
    let name = shown.split_inclusive('>').next().unwrap_or(&shown).to_owned();
    let span = words[0].span.to(words[end].span);
    b.refuse(span, format!("'{keyword}' : '{name}' is a placeholder, not an address: put the address to {what} there."))
        .help = Some(format!("replace '{name}' by the address"));
}

/// A line that says nothing.
pub(crate) fn line(context: &Context) -> Line {
    let mut bind = Bind::new(BindAddress::Fd(-1));
    bind.origin = context.origin();
    let tls = super::tls::TlsDraft::default();
    Line { bind, level: Level::default(), expose: false, multiplexer: None, tls }
}

/// The addresses of one word: a comma list, each perhaps with a range of ports.
fn addresses(
    context: &Context,
    b: &mut Binder,
    word: &Word,
    prefix: &str,
) -> Option<Vec<BindAddress>> {
    let mut out = vec![];
    for part in word.text.split(',') {
        let (expanded, missing) = context.expand(part);
        match one(context, b, word, part) {
            Ok(mut found) => {
                if let Some(name) = missing.first() {
                    unset(b, word, name, part, &expanded);
                }
                out.append(&mut found);
            }
            Err(text) => {
                let diagnostic = b.refuse(word.span, format!("{prefix}{text}"));
                if let Some(name) = missing.first() {
                    diagnostic.help = Some(format!(
                        "set the environment variable '{name}', or write the address"
                    ));
                }
                return None;
            }
        }
    }
    Some(out)
}

/// Says that a variable is not set, where HAProxy silently takes nothing.
pub(crate) fn unset(b: &mut Binder, word: &Word, name: &str, text: &str, became: &str) {
    b.warn(
        word.span,
        format!("environment variable '{name}' is not set: '{text}' is read as '{became}'."),
    )
    .help = Some(format!("set '{name}' before the start, or write its value"));
}

fn one(
    context: &Context,
    b: &mut Binder,
    word: &Word,
    part: &str,
) -> Result<Vec<BindAddress>, String> {
    let (host, ports, family) = match parse(context, part)? {
        Address::Unix(path) => return Ok(vec![BindAddress::Unix(path)]),
        Address::Abstract(name) => return Ok(vec![BindAddress::Abstract(name)]),
        Address::Fd(fd) => return Ok(vec![BindAddress::Fd(fd)]),
        Address::Planned(kind) => {
            b.error(word.span, Problem::Planned { keyword: format!("bind {kind}") });
            return Ok(vec![]);
        }
        Address::Inet { datagram: true, .. } => {
            return Err(format!("dgram-type address not acceptable in '{part}'"));
        }
        Address::Inet { host, ports, family, .. } => (host, ports, family),
    };
    let (from, to) = match ports {
        Ports::Missing => return Err(format!("missing port specification in '{part}'")),
        Ports::Relative(_) => return Err(format!("port offset not permitted here in '{part}'")),
        Ports::Range(0, ..) => return Err("invalid port '0'".to_owned()),
        Ports::Range(from, to, junk) => {
            if !junk.is_empty() {
                b.warn(
                    word.span,
                    format!("'bind' : '{junk}' after the port in '{part}' is ignored."),
                )
                .help = Some(format!("remove '{junk}': HAProxy 3.5 refuses it"));
            }
            (from, to)
        }
    };
    let Some(ip) = host.resolve(context, family).first().copied() else {
        let (expanded, _) = context.expand(part);
        let Host::Name(name) = host else { return Err(format!("invalid address in '{part}'")) };
        return Err(format!("invalid address: '{name}' in '{expanded}'"));
    };
    Ok((from..=to).map(|port| BindAddress::Inet((ip, port as u16).into())).collect())
}

/// `stats socket <address> [param…]` of `global`.
pub(crate) fn stats_socket(global: &mut Global, words: &[Word], b: &mut Binder) {
    let Some(first) = words.first() else {
        b.refuse(
            conf::Span::default(),
            "'stats socket' in global section expects an address or a path to a UNIX socket",
        );
        return;
    };
    let context = global.context.clone();
    let origin = context.origin();
    let prefix = format!("parsing [{origin}] : 'stats socket' : ");
    let Some(addresses) = addresses(&context, b, first, &prefix) else { return };
    let mut line = line(&context);
    let place = Place::new(PROXY, "stats socket").context("stats socket");
    parameters(b, &BINDS, place, &words[1..], &mut line);
    for address in addresses {
        global.process.stats_sockets.push(StatsSocket {
            address,
            mode: line.bind.mode,
            user: line.bind.user.clone(),
            group: line.bind.group.clone(),
            level: line.level,
            expose_listeners: line.expose,
            origin: origin.clone(),
        });
    }
}

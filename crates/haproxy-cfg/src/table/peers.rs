//! `peers`: who shares stick tables.

use conf::Form::Words;
use conf::{Binder, Keyword, Problem, Severity, Span, Within, Word};
use proxy::Origin;

use super::stick::{TableDraft, table};
use super::{server, text};
use crate::draft::{Draft, Kind};
use crate::say::Complain;

/// A `peers` section as it is being read.
#[derive(Clone, Debug)]
pub(crate) struct PeersDraft {
    pub(crate) name: String,
    pub(crate) origin: Origin,
    /// What its lines are read into: peers are servers of it.
    pub(crate) proxy: Draft,
    /// The name of this process.
    pub(crate) own: String,
    /// Names of peers, in their order, and the position among the servers of those with an address.
    pub(crate) peers: Vec<(String, Option<usize>)>,
    /// Where the local peer's line stands.
    pub(crate) own_at: Option<Origin>,
    pub(crate) tables: Vec<(String, TableDraft)>,
    pub(crate) disabled: bool,
    /// It says who or where.
    pub(crate) used: bool,
    bind_at: Option<Origin>,
}

impl PeersDraft {
    pub(crate) fn new(name: &str, own: &str, proxy: Draft) -> Self {
        let origin = proxy.context.origin();
        let mut proxy = Draft { kind: Kind::Backend, name: own.to_owned(), ..proxy };
        proxy.origin = origin.clone();
        Self {
            name: name.to_owned(),
            origin,
            proxy,
            own: own.to_owned(),
            peers: vec![],
            own_at: None,
            tables: vec![],
            disabled: false,
            used: false,
            bind_at: None,
        }
    }
}

type P = Keyword<PeersDraft>;

const ALL: usize = usize::MAX;

/// The keywords of a `peers` section.
pub(crate) const TABLE: &[P] = &[
    row("bind", "[<address>] [param*]", |p, words, b| {
        if let Some(known) = &p.bind_at {
            let text = format!(
                "One listener per \"peers\" section is authorized but another is already configured at [{known}]."
            );
            b.refuse(Span::default(), text);
            return;
        }
        p.bind_at = Some(p.proxy.context.origin());
        p.used = true;
        if !words.is_empty() {
            super::bind::bind(&mut p.proxy, words, b);
            if p.proxy.bind_tls.iter().any(Option::is_some) {
                b.error(words[0].span, Problem::Planned { keyword: "bind … ssl".into() });
            }
        }
    })
    .doc("Where this process waits for its peers."),
    P::planned("default-bind", "[param*]").within(Within(u32::MAX)),
    row("default-server", "[param*]", |p, words, b| server::default_server(&mut p.proxy, words, b))
        .doc("Parameters of all peers that follow."),
    row("disabled", "", |p, _, _| p.disabled = true).doc("The section does nothing."),
    row("enabled", "", |p, _, _| p.disabled = false).doc("The section works: the default."),
    P {
        within: Within(u32::MAX),
        ..P::accepted("log", "global | <target> [param*]", "connections of peers are not logged")
    },
    row("peer", "<name> [<address>:<port>] [param*]", |p, words, b| peer(p, "peer", words, b))
        .doc("A process that shares the tables; one of them is this one."),
    row("server", "<name> [<address>:<port>] [param*]", |p, words, b| peer(p, "server", words, b))
        .doc("As `peer`; the local one has the address of `bind`."),
    P::planned("shards", "<number>").within(Within(u32::MAX)),
    row("table", "<name> type <type> size <size> [param*]", |p, words, b| {
        let at = words.first().map_or_else(Span::default, |word| word.span);
        let name = text(words, 0).to_owned();
        let origin = p.proxy.context.origin();
        if let Some(read) = table("table", at, origin, words.get(1..).unwrap_or_default(), b) {
            p.tables.push((name, read));
        }
    })
    .doc("A stick table that belongs to no proxy; rules call it `peers/name`."),
];

const fn row(
    name: &'static str,
    usage: &'static str,
    bind: fn(&mut PeersDraft, &[Word], &mut Binder),
) -> P {
    P::new(name, Words(usage, 0..=ALL, bind)).within(Within(u32::MAX))
}

fn peer(p: &mut PeersDraft, keyword: &str, words: &[Word], b: &mut Binder) {
    let at = words.first().map_or_else(Span::default, |word| word.span);
    let name = text(words, 0).to_owned();
    if name.is_empty() {
        p.used = true;
        return;
    }
    if keyword == "peer" && p.bind_at.is_some() {
        b.refuse(at, "mixing \"peer\" and \"bind\" line is forbidden");
        return;
    }
    p.used = true;
    let local = name == p.own;
    if local {
        if let Some(known) = &p.own_at {
            let text = format!(
                "'{keyword} {name}' : local peer name already referenced at {known}. {name}"
            );
            b.refuse(at, text);
            return;
        }
        p.own_at = Some(p.proxy.context.origin());
    }
    if words.len() < 2 {
        p.peers.push((name, None));
        return;
    }
    if local && keyword == "server" {
        let text = format!(
            "'server {name}/{name}' : unknown keyword '{}'. Hint: no address was expected for this server.",
            words[1].text
        );
        b.complain(Severity::Error, crate::say::BARE, words[1].span, text);
        return;
    }
    let before = p.proxy.servers.len();
    let mut words = words.to_vec();
    // Everywhere: that is where this process listens.
    if let Some(port) = words[1].text.strip_prefix("*:").map(|port| format!("0.0.0.0:{port}")) {
        words[1].text = port;
    }
    server::server(&mut p.proxy, &words, b);
    let Some(read) = p.proxy.servers.get(before) else { return };
    if read.tls.on.is_some() {
        b.error(at, Problem::Planned { keyword: format!("{keyword} … ssl") });
        return;
    }
    match &read.server.address {
        proxy::ServerAddress::Unix(_) => {
            b.error(at, Problem::Planned { keyword: format!("{keyword} … unix@") });
            return;
        }
        address if address.socket().is_some_and(|socket| socket.port() == 0) => {
            let text =
                format!("'{keyword} {name}' : missing port specification in '{}'", words[1].text);
            b.refuse(at, text);
            return;
        }
        _ => {}
    }
    p.peers.push((name, Some(before)));
}

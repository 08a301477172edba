//! The tables: a keyword is a row, and everything else follows from it.

use std::collections::HashMap;
use std::sync::LazyLock;

use conf::{Binder, Form, Keyword, Place, Row, Severity, Stmt, Table, Within, Word};

use crate::context::is_planned;
use crate::draft::{Draft, Global, Kind, ServerDraft};

mod actions;
pub(crate) mod bind;
pub(crate) mod bind_tls;
pub(crate) mod check;
pub(crate) mod check_expect;
pub(crate) mod check_option;
pub(crate) mod check_words;
pub(crate) mod cpus;
pub(crate) mod global;
pub(crate) mod global_names;
pub(crate) mod global_var;
pub(crate) mod http;
pub(crate) mod http_rules;
pub(crate) mod log;
pub(crate) mod option;
pub(crate) mod peers;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod proxy_names;
pub(crate) mod rules;
pub(crate) mod section;
pub(crate) mod server;
pub(crate) mod server_names;
pub(crate) mod server_tls;
pub(crate) mod server_transport;
pub(crate) mod shape;
pub(crate) mod stats;
pub(crate) mod stick;
pub(crate) mod tcp_rules;
pub(crate) mod timeout;
pub(crate) mod tls;
pub(crate) mod tuning;

/// `defaults`.
const D: Within = Within(1);
/// `frontend`.
const F: Within = Within(2);
/// `listen`.
const L: Within = Within(4);
/// `backend`.
const B: Within = Within(8);
/// Sections that accept connections, and `defaults`.
pub(crate) const CLIENT: Within = D.or(F).or(L);
/// Sections that have servers, and `defaults`.
pub(crate) const SERVER: Within = D.or(L).or(B);
/// Sections that accept connections.
pub(crate) const CLIENT_ONLY: Within = F.or(L);
/// Sections that have servers.
pub(crate) const SERVER_ONLY: Within = L.or(B);
/// `frontend`, `listen` and `backend`.
pub(crate) const NAMED: Within = F.or(L).or(B);
/// All four.
pub(crate) const PROXY: Within = D.or(F).or(L).or(B);

/// The bit of a kind of section.
pub(crate) fn bit(kind: Kind) -> Within {
    match kind {
        Kind::Defaults => D,
        Kind::Frontend => F,
        Kind::Listen => L,
        Kind::Backend => B,
    }
}

/// Every table with its title, for the reference and the compatibility matrix.
pub fn tables() -> Vec<(&'static str, Vec<Row>)> {
    let join = |tables: &[&'static dyn Table]| tables.iter().flat_map(|t| t.rows()).collect();
    let mut all: Vec<(&'static str, Vec<Row>)> = vec![
        (
            "global",
            join(&[
                &global::TABLE,
                &process::TABLE,
                &global_names::TABLE,
                &global_var::TABLE,
                &tuning::TABLE,
            ]),
        ),
        (
            "defaults, frontend, listen, backend",
            join(&[&proxy::TABLE, &proxy_names::TABLE, &log::TABLE]),
        ),
        ("option", join(&[&option::TABLE, &check_option::TABLE])),
        ("timeout", timeout::TABLE.rows()),
        ("tcp-check and http-check", check::TABLE.rows()),
        ("stats", stats::TABLE.rows()),
        ("HTTP", http::TABLE.rows()),
        ("rules, ACLs and stickiness", rules::TABLE.rows()),
        ("bind", join(&[&bind::TABLE, &bind_tls::TABLE, &tls::Rows::<bind::Line>::TABLE])),
        (
            "server and default-server",
            join(&[
                &server::TABLE,
                &server_transport::TABLE,
                &server_tls::TABLE,
                &tls::Rows::<crate::draft::ServerDraft>::TABLE,
                &check_option::SERVERS,
                &server_names::TABLE,
            ]),
        ),
        ("actions of rules", rules::ACTIONS.rows()),
    ];
    all.push(("fetches", fetches()));
    all.push(("converters", converters()));
    all.push(("variables of log-format", variables()));
    all.push(("peers", peers::TABLE.rows()));
    let others = section::SECTIONS.iter().filter(|section| section.name != "peers");
    all.extend(others.map(|s| (s.name, s.table.rows())));
    all
}

/// A row of the rule engine.
fn built(name: &'static str, usage: String, doc: &'static str) -> Row {
    Row {
        name,
        usage,
        default: None,
        within: conf::ANYWHERE,
        status: conf::Status::Done,
        spec: "",
        doc,
        nested: vec![],
    }
}

fn unbuilt(name: &'static str) -> Row {
    Row { status: conf::Status::Planned, ..built(name, String::new(), "") }
}

fn usage(args: ::rules::Args) -> String {
    let kinds = args.kinds.iter().enumerate().map(|(at, kind)| match at < args.least {
        true => format!("<{}>", kind.name()),
        false => format!("[<{}>]", kind.name()),
    });
    let kinds: Vec<_> = kinds.collect();
    if kinds.is_empty() { String::new() } else { format!("({})", kinds.join(", ")) }
}

fn fetches() -> Vec<Row> {
    let rows = ::rules::fetch::all().map(|row| built(row.name, usage(row.args), row.doc));
    let all: Vec<_> = rows.collect();
    let own = ::rules::fetch::keywords().filter(|k| all.iter().all(|row| row.name != k.name));
    let own = own.map(|keyword| built(keyword.name, String::new(), "A name of ACLs for a fetch."));
    let own: Vec<_> = own.collect();
    let planned = ::rules::fetch::PLANNED.iter().map(|name| unbuilt(name));
    all.into_iter().chain(own).chain(planned).collect()
}

fn converters() -> Vec<Row> {
    let rows = ::rules::convert::all().map(|row| built(row.name, usage(row.args), row.doc));
    let family = "(<file>[, <default>])".to_owned();
    let family = built("map_", family, "What `map_str`, `map_ip_int` and their kin begin with.");
    let planned = ::rules::convert::PLANNED.iter().map(|name| unbuilt(name));
    rows.chain([family]).chain(planned).collect()
}

fn variables() -> Vec<Row> {
    let rows = ::rules::format::VARIABLES.iter().chain(::rules::format::HTTP_VARIABLES);
    let rows = rows.map(|(name, _, doc)| built(name, String::new(), doc));
    rows.chain(crate::format::unbuilt().map(unbuilt)).collect()
}

/// The keywords of `global`.
pub(crate) static GLOBAL: LazyLock<Index<Global>> = LazyLock::new(|| {
    Index::new(&[
        global::TABLE,
        process::TABLE,
        global_names::TABLE,
        global_var::TABLE,
        tuning::TABLE,
    ])
});

/// The tables of a proxy section.
pub(crate) const PROXY_TABLES: [&[Keyword<Draft>]; 10] = [
    proxy::TABLE,
    proxy_names::TABLE,
    log::TABLE,
    option::TABLE,
    check_option::TABLE,
    timeout::TABLE,
    check::TABLE,
    stats::TABLE,
    http::TABLE,
    rules::TABLE,
];

/// The keywords of a proxy section.
pub(crate) static PROXIES: LazyLock<Index<Draft>> = LazyLock::new(|| Index::new(&PROXY_TABLES));

/// The parameters of `server` and `default-server`.
pub(crate) static SERVERS: LazyLock<Index<ServerDraft>> = LazyLock::new(|| {
    Index::new(&[
        server::TABLE,
        server_transport::TABLE,
        server_tls::TABLE,
        tls::Rows::<ServerDraft>::TABLE,
        check_option::SERVERS,
        server_names::TABLE,
    ])
});

/// The parameters of `bind` and `stats socket`.
pub(crate) static BINDS: LazyLock<Index<bind::Line>> =
    LazyLock::new(|| Index::new(&[bind::TABLE, bind_tls::TABLE, tls::Rows::<bind::Line>::TABLE]));

/// Tables by the first words of their rows: files of ten thousand lines are read with them.
pub(crate) struct Index<T: 'static> {
    rows: Vec<&'static Keyword<T>>,
    by_first: HashMap<&'static str, Vec<usize>>,
}

impl<T> Index<T> {
    /// Of the rows of these tables, in their order.
    pub(crate) fn new(tables: &[&'static [Keyword<T>]]) -> Self {
        let rows: Vec<_> = tables.iter().flat_map(|table| table.iter()).collect();
        let mut by_first: HashMap<_, Vec<_>> = HashMap::new();
        for (at, row) in rows.iter().enumerate() {
            let first = row.name.split(' ').next().unwrap_or(row.name);
            by_first.entry(first).or_default().push(at);
        }
        Self { rows, by_first }
    }

    /// The row of a statement; the longest name wins, then the one allowed here.
    pub(crate) fn find(&self, within: Within, words: &[Word]) -> Option<&'static Keyword<T>> {
        let candidates = self.by_first.get(words.first()?.text.as_str())?;
        let rows = candidates.iter().map(|at| self.rows[*at]);
        rows.filter(|row| row.matches(words) > 0)
            .max_by_key(|row| (row.matches(words), row.within.includes(within)))
    }

    /// The names of all rows that are allowed somewhere of `within`.
    pub(crate) fn names(&self, within: Within) -> Vec<&'static str> {
        let rows = self.rows.iter().filter(|row| row.within.includes(within));
        rows.map(|row| row.name).collect()
    }
}

/// How many words after its name a row takes on a `bind` or `server` line.
pub(crate) fn arguments<T>(row: &Keyword<T>) -> usize {
    match &row.form {
        Form::Flag(_) | Form::Switch(_) => 0,
        Form::Words(_, count, _) => *count.end(),
        Form::Known(usage) => usage.split_whitespace().count(),
        _ => 1,
    }
}

/// Applies the parameters of a `bind`, `server` or `stats socket` line, up to the first mistake.
pub(crate) fn parameters<T>(
    b: &mut Binder,
    index: &Index<T>,
    place: Place<'_>,
    mut words: &[Word],
    model: &mut T,
) {
    while let Some(first) = words.first() {
        let Some(row) = index.find(place.within, words) else {
            let nearest = conf::nearest(&first.text, index.names(place.within).into_iter());
            let problem = conf::Problem::UnknownKeyword {
                word: first.text.clone(),
                section: place.section.to_owned(),
                nearest: nearest.map(str::to_owned),
            };
            place.context.clone_into(&mut b.error(first.span, problem).context);
            return;
        };
        let taken = words.len().min(1 + arguments(row));
        let span = first.span.to(words[taken - 1].span);
        let stmt = Stmt { words: words[..taken].to_vec(), block: None, span };
        let before = b.problems.len();
        b.bind_row(row, place, &stmt, model);
        let failed = |d: &conf::Diagnostic| d.severity == Severity::Error && !is_planned(d);
        if b.problems[before..].iter().any(failed) {
            return;
        }
        words = &words[taken..];
    }
}

/// The text of a word, or nothing.
pub(crate) fn text(words: &[Word], at: usize) -> &str {
    words.get(at).map_or("", |word| &word.text)
}

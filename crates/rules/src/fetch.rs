//! Fetches: where values come from, a row each.

use std::borrow::Cow;

use crate::arg::{Arg, Args};
use crate::pattern::Match;
use crate::record::Record;
use crate::scope::{Found, Scope};
use crate::source::Source;
use crate::value::Type;

mod client;
mod content;
mod hello;
mod http;
mod internal;
mod planned;
mod session;
pub(crate) mod tables;
mod tls;

pub use planned::PLANNED;

/// A fetch: a row of [`all`].
pub struct Fetch {
    /// Its name.
    pub name: &'static str,
    /// Its arguments.
    pub args: Args,
    /// The type of what it finds.
    pub out: Type,
    /// Where it finds it.
    pub source: Source,
    /// One sentence of what it is.
    pub doc: &'static str,
    /// What the kinds of arguments do not say of them.
    pub check: Check,
    /// Whether an ACL asks it for one value after the other.
    pub each: bool,
    find: Find,
}

type Find = for<'a, 'c> fn(&mut Call<'a, 'c>) -> Found<'a>;
/// Looks at arguments before they are used, and says what is wrong with them in HAProxy's words.
pub type Check = fn(&mut Vec<Arg>) -> Result<(), String>;

/// What a fetch is called with.
#[derive(Debug)]
pub struct Call<'a, 'c> {
    /// What can be seen.
    pub scope: &'c Scope<'a>,
    /// The arguments.
    pub args: &'a [Arg],
    /// What the connection's rules wrote down.
    pub record: &'c mut Record,
}

impl<'a> Call<'a, '_> {
    fn int(&self, at: usize) -> Option<i64> {
        self.args.get(at)?.int()
    }

    fn text(&self, at: usize) -> Option<&'a [u8]> {
        self.args.get(at)?.text()
    }

    fn word(&self, at: usize) -> &'a str {
        self.text(at).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or("")
    }
}

impl Fetch {
    const fn new(name: &'static str, args: Args, out: Type, source: Source, find: Find) -> Self {
        Self { name, args, out, source, doc: "", check: |_| Ok(()), each: false, find }
    }

    const fn doc(self, doc: &'static str) -> Self {
        Self { doc, ..self }
    }

    const fn check(self, check: Check) -> Self {
        Self { check, ..self }
    }

    const fn each(self) -> Self {
        Self { each: true, ..self }
    }

    /// Finds the value.
    pub fn find<'a>(&self, call: &mut Call<'a, '_>) -> Found<'a> {
        (self.find)(call)
    }
}

impl std::fmt::Debug for Fetch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Fetch {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Fetch {}

/// All fetches that are built.
pub fn all() -> impl Iterator<Item = &'static Fetch> {
    [
        client::TABLE,
        internal::TABLE,
        session::TABLE,
        content::TABLE,
        hello::TABLE,
        http::TABLE,
        tls::TABLE,
    ]
    .into_iter()
    .flatten()
    .chain(tables::TABLE.iter().copied().flatten())
}

/// The fetch of this name.
pub fn named(name: &str) -> Option<&'static Fetch> {
    all().find(|fetch| fetch.name == name)
}

/// Names an ACL may begin with besides those of fetches: each is a fetch and how it is matched.
#[derive(Clone, Copy, Debug)]
pub struct Keyword {
    /// Its name.
    pub name: &'static str,
    /// The fetch it stands for.
    pub fetch: &'static str,
    /// How values are matched unless `-m` says otherwise.
    pub matched: Match,
}

/// Those names.
pub const KEYWORDS: &[Keyword] = &[
    Keyword { name: "req.ssl_ver", fetch: "req.ssl_ver", matched: Match::Version },
    Keyword { name: "req_ssl_ver", fetch: "req.ssl_ver", matched: Match::Version },
    Keyword { name: "req_ssl_sni", fetch: "req.ssl_sni", matched: Match::Str },
    Keyword { name: "req_rdp_cookie", fetch: "req.rdp_cookie", matched: Match::Str },
    Keyword { name: "req_rdp_cookie_cnt", fetch: "req.rdp_cookie_cnt", matched: Match::Int },
    Keyword { name: "payload", fetch: "payload", matched: Match::Bin },
    Keyword { name: "payload_lv", fetch: "payload_lv", matched: Match::Bin },
];

/// All of those names.
pub fn keywords() -> impl Iterator<Item = &'static Keyword> {
    KEYWORDS.iter().chain(http::KEYWORDS)
}

/// What an ACL of this name looks at, and how it is matched by default.
pub fn keyword(name: &str) -> Option<(&'static Fetch, Option<Match>)> {
    if let Some(keyword) = keywords().find(|keyword| keyword.name == name) {
        return Some((named(keyword.fetch)?, Some(keyword.matched)));
    }
    named(name).map(|fetch| (fetch, None))
}

fn cow(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

//! ACLs and conditions: `src 10.0.0.0/8`, `if a !b || { … }`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use conf::{Binder, Severity, Span, Word};
use rules::list::Use;
use rules::pattern::{Flags, Match, Operator, Set};
use rules::{Expr, Live, Place, Test, Type};

use crate::context::Context;
use crate::expr::{Manner, Wrong, read, read_file, texts};
use crate::say::{Complain, NOWHERE};

/// A named ACL that is being read.
#[derive(Clone, Debug)]
pub(crate) struct AclDraft {
    pub(crate) name: String,
    pub(crate) tests: Vec<TestDraft>,
}

/// The named ACLs of a section, in the order of their first lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acls {
    all: Vec<AclDraft>,
    places: HashMap<String, usize>,
}

impl Acls {
    /// Adds a test to the ACL of this name.
    pub(crate) fn add(&mut self, name: &str, test: TestDraft) {
        match self.places.get(name) {
            Some(at) => self.all[*at].tests.push(test),
            None => {
                self.places.insert(name.to_owned(), self.all.len());
                self.all.push(AclDraft { name: name.to_owned(), tests: vec![test] });
            }
        }
    }

    /// All of them; [`AclRef::Named`] counts in this order.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, AclDraft> {
        self.all.iter()
    }
}

/// A test, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct TestDraft {
    pub(crate) at: Span,
    /// Its name as written: that of the fetch, or one only ACLs have.
    pub(crate) keyword: String,
    /// `None` where it is known and not built.
    pub(crate) test: Option<Test>,
}

/// An ACL in a condition.
#[derive(Clone, Debug)]
pub(crate) enum AclRef {
    /// The position of a named one.
    Named(usize),
    /// One between braces, or one that is built in.
    Own(AclDraft),
}

/// `if …`, `unless …`.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConditionDraft {
    pub(crate) unless: bool,
    pub(crate) any: Vec<Vec<(bool, AclRef)>>,
}

/// ACLs that need not be declared: HAProxy's manual, section 7.4.
const BUILT_IN: &[(&str, &[&str])] = &[
    ("TRUE", &["always_true"]),
    ("FALSE", &["always_false"]),
    ("LOCALHOST", &["src", "127.0.0.1/8"]),
    ("HTTP", &["req_proto_http"]),
    ("HTTP_1.0", &["req_ver", "1.0"]),
    ("HTTP_1.1", &["req_ver", "1.1"]),
    ("HTTP_2.0", &["req_ver", "2.0"]),
    ("METH_CONNECT", &["method", "CONNECT"]),
    ("METH_DELETE", &["method", "DELETE"]),
    ("METH_GET", &["method", "GET", "HEAD"]),
    ("METH_HEAD", &["method", "HEAD"]),
    ("METH_OPTIONS", &["method", "OPTIONS"]),
    ("METH_POST", &["method", "POST"]),
    ("METH_PUT", &["method", "PUT"]),
    ("METH_TRACE", &["method", "TRACE"]),
    ("HTTP_URL_ABS", &["url_reg", "^[^/:]*://"]),
    ("HTTP_URL_SLASH", &["url_beg", "/"]),
    ("HTTP_URL_STAR", &["url", "*"]),
    ("HTTP_CONTENT", &["req.hdr_val(content-length)", "gt", "0"]),
    ("RDP_COOKIE", &["req_rdp_cookie_cnt", "gt", "0"]),
    ("REQ_CONTENT", &["req_len", "gt", "0"]),
    ("WAIT_END", &["wait_end"]),
];

/// Reads what follows the name of an ACL, or stands between braces. What is only not built becomes
/// a test without a value, and is told in `planned`.
pub(crate) fn test(
    context: &Context,
    b: &mut Binder,
    at: Span,
    words: &[&str],
    planned: &mut Vec<String>,
) -> Result<TestDraft, String> {
    let first = words.first().copied().unwrap_or("");
    let keyword: String = first.chars().take_while(|c| !matches!(c, '(' | ',')).collect();
    let unbuilt = |keyword: &str| TestDraft { at, keyword: keyword.to_owned(), test: None };
    let read = match read(context, words, Manner::Acl) {
        Ok(read) => read,
        Err(Wrong::Said(text)) => return Err(format!("{text} in ACL expression '{first}'.")),
        Err(Wrong::Planned(what)) => {
            planned.push(what);
            return Ok(unbuilt(&keyword));
        }
    };
    let patterns = Patterns::new(context, &read.expr, read.matched, &keyword);
    match patterns.read(b, at, &words[1..]) {
        Ok(patterns) => {
            let test = Some(Test { expr: read.expr, patterns });
            Ok(TestDraft { at, keyword, test })
        }
        Err(Wrong::Said(text)) => Err(format!("{text}.")),
        Err(Wrong::Planned(what)) => {
            planned.push(what);
            Ok(unbuilt(&keyword))
        }
    }
}

/// The flags and patterns of an ACL.
struct Patterns<'c> {
    context: &'c Context,
    keyword: &'c str,
    out: Type,
    method: Option<Match>,
    flags: Flags,
    /// Those of files.
    sets: Vec<Arc<Live<Set>>>,
}

impl<'c> Patterns<'c> {
    fn new(context: &'c Context, expr: &Expr, matched: Option<Match>, keyword: &'c str) -> Self {
        let out = expr.out();
        // A converter behind an ACL's own name changes the type, and with it the method.
        let method = matched.filter(|m| out.casts_to(m.wants())).or(Match::default_for(out));
        let (flags, sets) = (Flags::default(), vec![]);
        Self { context, keyword, out, method, flags, sets }
    }

    fn unspecified(&self) -> Wrong {
        Wrong::Said(format!(
            "matching method must be specified first (using '-m') when using a sample fetch of this type ('{}')",
            self.keyword
        ))
    }

    fn read(mut self, b: &mut Binder, at: Span, words: &[&str]) -> Result<rules::Patterns, Wrong> {
        let mut rest = words;
        let (mut ended, mut keyed) = (false, false);
        while let Some((word, behind)) = rest.split_first()
            && word.starts_with('-')
        {
            rest = behind;
            let argument = behind.first().copied().unwrap_or("");
            match *word {
                "-i" => self.flags.ignore_case = true,
                "-n" => self.flags.no_dns = true,
                // The first word of each line is the pattern.
                "-M" => keyed = true,
                "-u" => {
                    if argument.is_empty() || !argument.bytes().all(|b| b.is_ascii_digit()) {
                        return Err("the argument of -u must be an integer".to_owned().into());
                    }
                    rest = &behind[1..];
                }
                "-f" => {
                    if self.method.is_none() {
                        return Err(self.unspecified());
                    }
                    let text = if self.context.reach_out.get() || argument.is_empty() {
                        read_file(self.context, argument)?
                    } else {
                        String::new()
                    };
                    let columns = if keyed { Use::Map } else { Use::Acl };
                    let mut set = self.set()?;
                    match columns {
                        Use::Map => set.read(argument, &keys(&text))?,
                        Use::Acl => set.read(argument, &text)?,
                    }
                    let list = self.context.file(argument, &text, columns, Use::Acl);
                    self.sets.push(list.set(set));
                    rest = behind.get(1..).unwrap_or_default();
                }
                "-m" => {
                    if !self.sets.is_empty() {
                        let text = "'-m' must only be specified before patterns and files in parsing ACL expression";
                        return Err(text.to_owned().into());
                    }
                    let found = Match::NAMES.iter().find(|(name, _)| *name == argument);
                    let Some((_, method)) = found else {
                        return Err(Wrong::Said(format!(
                            "unknown matching method '{argument}' when parsing ACL expression"
                        )));
                    };
                    if !self.out.casts_to(method.wants()) {
                        return Err(Wrong::Said(format!(
                            "matching method '{argument}' cannot be used with fetch keyword '{}'",
                            self.keyword
                        )));
                    }
                    self.method = Some(*method);
                    rest = &behind[1..];
                }
                "--" => {
                    ended = true;
                    break;
                }
                other => {
                    return Err(Wrong::Said(format!(
                        "'{other}' is not a valid ACL option. Please use '--' before any pattern beginning with a '-'"
                    )));
                }
            }
        }
        let mut set = self.set()?;
        let method = set.method();
        if rest.is_empty() && !ended && self.sets.is_empty() && !method.needs_no_pattern() {
            let keyword = self.keyword;
            let text = format!(
                "parsing acl keyword '{keyword}' :\n  no pattern to match against were provided, so this ACL will never match.\n  If this is what you intended, please add '--' to get rid of this warning.\n  If you intended to match only for existence, please use '-m found'.\n  If you wanted to force an int to match as a bool, please use '-m bool'.\n"
            );
            b.complain(Severity::Warning, NOWHERE, at, text);
        }
        let list = self.context.words(self.keyword);
        let (mut compared, mut keys) = (false, vec![]);
        for word in rest {
            let numbers = matches!(method, Match::Int | Match::Version | Match::Len);
            if let Some(operator) = Operator::named(word).filter(|_| numbers) {
                set.operator(operator);
                compared = true;
                continue;
            }
            if let Err(text) = set.add(word) {
                if let Some(ip) = self.resolves(method, word) {
                    set.add_address(ip);
                    keys.push(ip.to_string());
                    continue;
                }
                return Err(Wrong::Said(if compared && text.ends_with("is not a number") {
                    format!("'{word}' is neither a number nor a supported operator")
                } else {
                    text
                }));
            }
            keys.push(set.spelled(word));
        }
        self.sets.insert(0, list.follow_set(set, keys));
        Ok(rules::Patterns::new(method, self.sets))
    }

    /// A set without patterns.
    fn set(&self) -> Result<Set, Wrong> {
        let Some(method) = self.method else { return Err(self.unspecified()) };
        Ok(Set::new(method, self.flags))
    }

    /// The address of a host.
    fn resolves(&self, method: Match, word: &str) -> Option<IpAddr> {
        if method != Match::Ip || self.flags.no_dns || word.contains('/') {
            return None;
        }
        self.context.resolve(word).first().copied()
    }
}

/// The first word of each line.
fn keys(text: &str) -> String {
    let key = |line: &str| {
        let line = line.trim_start_matches([' ', '\t']);
        line.split([' ', '\t']).next().unwrap_or("").to_owned() + "\n"
    };
    text.lines().map(key).collect()
}

/// Reads a condition: the words behind `if` or `unless`.
pub(crate) fn condition(
    context: &Context,
    b: &mut Binder,
    known: &Acls,
    unless: bool,
    words: &[Word],
    planned: &mut Vec<String>,
) -> Result<ConditionDraft, String> {
    let mut condition = ConditionDraft { unless, any: vec![] };
    let (mut group, mut negated, mut open) = (vec![], false, false);
    let mut rest = words;
    while let Some((word, behind)) = rest.split_first() {
        rest = behind;
        let mut text = word.text.as_str();
        if matches!(text, "or" | "OR" | "||") {
            if open {
                condition.any.push(std::mem::take(&mut group));
            }
            (negated, open) = (false, false);
            continue;
        }
        while let Some(after) = text.strip_prefix('!') {
            (negated, text) = (!negated, after);
        }
        let acl = match text {
            "" => continue,
            "{" => {
                let Some(end) = rest.iter().position(|word| word.text == "}") else {
                    return Err("missing closing '}' in condition.".to_owned());
                };
                let own = test(context, b, word.span, &texts(&rest[..end]), planned)?;
                rest = &rest[end + 1..];
                AclRef::Own(AclDraft { name: String::new(), tests: vec![own] })
            }
            name => match known.places.get(name) {
                Some(at) => AclRef::Named(*at),
                None => {
                    let built_in = BUILT_IN.iter().find(|(known, _)| *known == name);
                    let Some((_, words)) = built_in else {
                        return Err(format!("no such ACL : '{name}'."));
                    };
                    let own = test(context, b, word.span, words, planned)?;
                    AclRef::Own(AclDraft { name: name.to_owned(), tests: vec![own] })
                }
            },
        };
        group.push((negated, acl));
        (negated, open) = (false, true);
    }
    if open {
        condition.any.push(group);
    }
    Ok(condition)
}

/// What is said of ACLs in a condition whose fetches find nothing where it stands; `of` names the
/// rule.
pub(crate) fn conflicts(
    known: &Acls,
    condition: &ConditionDraft,
    places: &[Place],
    of: &str,
) -> Vec<String> {
    let offered = |test: &Test| places.iter().any(|place| place.offers(test.expr.source()));
    let place = places.first().map_or("", |place| place.name());
    let mut said = vec![];
    for (_, acl) in condition.any.iter().flatten() {
        let acl = match acl {
            AclRef::Named(at) => &known.all[*at],
            AclRef::Own(acl) => acl,
        };
        let tests = || acl.tests.iter().filter_map(|test| Some((test, test.test.as_ref()?)));
        let Some((first, _)) = tests().find(|(_, test)| !offered(test)) else { continue };
        let (name, keyword) = (&acl.name, &first.keyword);
        said.push(if name.is_empty() {
            format!("anonymous acl will never match{of} because it uses keyword '{keyword}' which is incompatible with '{place}'")
        } else if tests().any(|(_, test)| offered(test)) {
            format!("acl '{name}' involves keyword '{keyword}' which is incompatible with '{place}'")
        } else {
            format!("acl '{name}' will never match{of} because it only involves keywords that are incompatible with '{place}'")
        });
        // HAProxy stops at the first.
        break;
    }
    said
}

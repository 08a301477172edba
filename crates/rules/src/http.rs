//! `http-request`, `http-response` and `http-after-response`: what is done to messages, and what is
//! answered instead of passing them on.

use http::{Headers, Request, Response};

use crate::Expr;
use crate::acl::{Condition, Truth};
use crate::action::{Action, note};
use crate::format::Format;
use crate::record::{Record, Written};
use crate::regex::Regex;
use crate::scope::{Environment, Exchange, Scope};

/// What a rule of HTTP does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HttpAction {
    /// What rules of TCP do as well: `set-var`, `silent-drop`, `capture`, ….
    Plain(Action),
    /// `allow`: no more rules of this place.
    Allow,
    /// `deny`: an error is answered.
    Deny(Reply),
    /// `tarpit`: the same, later.
    Tarpit(Reply),
    /// `return`: an answer.
    Return(Reply),
    /// `redirect`.
    Redirect(Redirect),
    /// `auth`: 401, unless the condition in front of it is that credentials are right.
    Auth {
        /// What is asked for, as browsers show it.
        realm: Format,
    },
    /// `set-header`, `add-header`.
    Header {
        /// The name.
        name: Format,
        /// The value.
        value: Format,
        /// `add-header`: others of this name stay.
        add: bool,
    },
    /// `del-header`.
    RemoveHeader(Name),
    /// `replace-header`, `replace-value`.
    Replace {
        /// The field's name.
        name: Box<str>,
        /// What is replaced.
        regex: Regex,
        /// By what.
        by: Format,
        /// `replace-value`: each element of a list by itself.
        each: bool,
    },
    /// `set-method`, `set-path`, `set-pathq`, `set-query`, `set-uri`.
    SetPart(Part, Format),
    /// `replace-path`, `replace-pathq`, `replace-uri`.
    ReplacePart(Part, Regex, Format),
    /// `set-status`: it, and the words behind it.
    SetStatus(u16, Option<Box<str>>),
    /// `use-service prometheus-exporter`.
    Metrics,
}

/// The part of a request's line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// The method.
    Method,
    /// The path.
    Path,
    /// The path and the query.
    PathAndQuery,
    /// What stands behind `?`.
    Query,
    /// The whole target.
    Uri,
}

/// Which fields are meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Name {
    /// Of this name.
    Is(Box<str>),
    /// `-m beg`.
    Begins(Box<str>),
    /// `-m end`.
    Ends(Box<str>),
    /// `-m sub`.
    Holds(Box<str>),
    /// `-m reg`.
    Matches(Regex),
}

impl Name {
    fn means(&self, name: &str) -> bool {
        match self {
            Self::Is(wanted) => name.eq_ignore_ascii_case(wanted),
            Self::Begins(start) => name.starts_with(&start.to_ascii_lowercase()),
            Self::Ends(end) => name.ends_with(&end.to_ascii_lowercase()),
            Self::Holds(part) => name.contains(&part.to_ascii_lowercase()),
            Self::Matches(regex) => regex.is_match(name.as_bytes()),
        }
    }
}

/// What `return`, `deny` and `tarpit` answer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reply {
    /// The status; `None`: the action's own.
    pub status: Option<u16>,
    /// `content-type`.
    pub content_type: Option<Box<str>>,
    /// The body.
    pub content: Content,
    /// `hdr`.
    pub headers: Vec<(Box<str>, Format)>,
}

/// The body of an answer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Content {
    /// Of `return`: none. Of an error: the proxy's page for its status.
    #[default]
    Default,
    /// `string`, `file`.
    Text(Box<[u8]>),
    /// `lf-string`, `lf-file`.
    Format(Format),
    /// `errorfile`: a whole message, its head included.
    Message(Box<[u8]>),
}

/// Where `redirect` sends a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Redirect {
    /// How `to` is meant.
    pub kind: RedirectKind,
    /// A whole location, what stands before the path, or a scheme.
    pub to: Format,
    /// 301, 302, 303, 307 or 308.
    pub code: u16,
    /// `drop-query`.
    pub drop_query: bool,
    /// `append-slash`.
    pub append_slash: bool,
    /// `ignore-empty`: nothing is done if `to` comes to nothing.
    pub ignore_empty: bool,
    /// `set-cookie`, `clear-cookie`: the value of `set-cookie`.
    pub cookie: Option<Box<str>>,
}

/// How a redirection is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RedirectKind {
    /// To this location.
    Location,
    /// To the same path behind this prefix.
    Prefix,
    /// To the same place by another scheme.
    Scheme,
}

/// An action and when it is done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpRule {
    /// What is done.
    pub action: HttpAction,
    /// When; `None`: always.
    pub condition: Option<Condition>,
    /// Where it stands.
    pub at: Written,
}

/// An answer of our own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Its fields, the body's length not among them.
    pub headers: Headers,
    /// The body.
    pub body: Body,
}

/// The body of an [`Answer`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Body {
    /// The proxy's page for the status.
    Page,
    /// These bytes.
    Bytes(Vec<u8>),
    /// A whole message, its head included.
    Message(Vec<u8>),
}

/// Why an answer of our own is given: HAProxy counts and logs them differently.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// `deny`.
    Denied,
    /// `tarpit`.
    Tarpit,
    /// `return`, `redirect`, `auth`.
    Served,
}

/// What rules decide of an exchange.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HttpVerdict {
    /// It goes on.
    Go,
    /// It goes on, and no later rule of this message is asked.
    Allow,
    /// This is answered.
    Answer(Why, Answer),
    /// Counters are answered, in the format of Prometheus.
    Metrics,
    /// The connection is closed.
    Reject,
    /// It is forgotten, without a word to the client.
    SilentDrop,
}

/// The messages rules look at and change.
#[derive(Debug)]
pub struct Messages<'m> {
    /// The request's head.
    pub request: &'m mut Request,
    /// The answer's head, once there is one: then it is what rules change.
    pub response: Option<&'m mut Response>,
}

impl Messages<'_> {
    fn exchange(&self) -> Exchange<'_> {
        Exchange { request: Some(&*self.request), response: self.response.as_deref() }
    }

    fn headers(&mut self) -> &mut Headers {
        match &mut self.response {
            Some(response) => &mut response.headers,
            None => &mut self.request.headers,
        }
    }
}

/// Runs rules in their order until one decides.
pub fn run(
    rules: &[HttpRule],
    environment: &dyn Environment,
    record: &mut Record,
    messages: &mut Messages<'_>,
) -> HttpVerdict {
    for rule in rules {
        let scope = Scope { http: Some(messages.exchange()), ..Scope::new(environment) };
        if let Some(condition) = &rule.condition
            && condition.eval(&scope, record) != Truth::Yes
        {
            continue;
        }
        match step(&rule.action, &scope, record) {
            Step::Next => {}
            Step::Decided(verdict) => {
                record.decided = Some(rule.at.clone());
                return verdict;
            }
            Step::Change(change) => change(messages),
        }
    }
    HttpVerdict::Go
}

enum Step<'r> {
    Next,
    Decided(HttpVerdict),
    Change(Box<dyn FnOnce(&mut Messages<'_>) + 'r>),
}

fn bytes<'a>(format: &'a Format, scope: &Scope<'a>, record: &mut Record) -> Vec<u8> {
    let mut out = Vec::new();
    format.write(scope, record, &mut out);
    out
}

fn step<'r>(action: &'r HttpAction, scope: &Scope<'_>, record: &mut Record) -> Step<'r> {
    let answer = |why, answer| Step::Decided(HttpVerdict::Answer(why, answer));
    match action {
        HttpAction::Plain(Action::SilentDrop) => Step::Decided(HttpVerdict::SilentDrop),
        HttpAction::Plain(Action::DropWithReset(hops)) => {
            record.reset_hops = Some(*hops);
            Step::Decided(HttpVerdict::SilentDrop)
        }
        HttpAction::Plain(Action::Reject | Action::Close) => Step::Decided(HttpVerdict::Reject),
        HttpAction::Plain(Action::Accept) | HttpAction::Allow => Step::Decided(HttpVerdict::Allow),
        HttpAction::Plain(Action::Capture { expr, slot, length }) => {
            capture(expr, *slot, *length, scope, record);
            Step::Next
        }
        HttpAction::Plain(plain) => {
            note(plain, scope, record);
            Step::Next
        }
        HttpAction::Deny(reply) => answer(Why::Denied, self::answer(reply, 403, scope, record)),
        HttpAction::Tarpit(reply) => answer(Why::Tarpit, self::answer(reply, 500, scope, record)),
        HttpAction::Return(reply) => {
            let mut given = self::answer(reply, 200, scope, record);
            if reply.content == Content::Default {
                given.body = Body::Bytes(Vec::new());
            }
            answer(Why::Served, given)
        }
        HttpAction::Redirect(redirect) => match redirect.answer(scope, record) {
            Some(redirected) => answer(Why::Served, redirected),
            None => Step::Next,
        },
        HttpAction::Auth { realm } => {
            let realm = bytes(realm, scope, record);
            answer(Why::Served, unauthorized(&realm))
        }
        HttpAction::Metrics => Step::Decided(HttpVerdict::Metrics),
        HttpAction::Header { name, value, add } => {
            let (name, value) = (bytes(name, scope, record), bytes(value, scope, record));
            let Ok(name) = String::from_utf8(name) else { return Step::Next };
            if !is_token(&name) {
                return Step::Next;
            }
            let add = *add;
            Step::Change(Box::new(move |messages| match add {
                true => messages.headers().add(&name, &value),
                false => messages.headers().set(&name, &value),
            }))
        }
        HttpAction::RemoveHeader(name) => Step::Change(Box::new(move |messages| {
            messages.headers().remove_if(|known| name.means(known));
        })),
        HttpAction::Replace { name, regex, by, each } => {
            let by = bytes(by, scope, record);
            Step::Change(Box::new(move |messages| {
                messages.headers().edit(name, |value| match each {
                    false => regex.expand(value, &by),
                    true => {
                        let mut changed = false;
                        let mut parts = Vec::new();
                        for part in http::elements(value) {
                            let new = regex.expand(part, &by);
                            changed |= new.is_some();
                            parts.push(new.unwrap_or_else(|| part.to_vec()));
                        }
                        changed.then(|| parts.join(&b", "[..]))
                    }
                });
            }))
        }
        HttpAction::SetPart(part, format) => {
            let (part, text) = (*part, bytes(format, scope, record));
            Step::Change(Box::new(move |messages| set(messages.request, part, &text)))
        }
        HttpAction::ReplacePart(part, regex, by) => {
            let (part, by) = (*part, bytes(by, scope, record));
            Step::Change(Box::new(move |messages| {
                let request = &mut *messages.request;
                let old = match part {
                    Part::Path => request.path(),
                    Part::PathAndQuery => request.path_and_query(),
                    _ => Some(&request.target[..]),
                };
                if let Some(new) = old.and_then(|old| regex.expand(old, &by)) {
                    set(request, part, &new);
                }
            }))
        }
        HttpAction::SetStatus(status, reason) => Step::Change(Box::new(move |messages| {
            if let Some(response) = &mut messages.response {
                response.status = *status;
                response.reason = reason
                    .as_deref()
                    .map_or_else(|| http::reason(*status).to_owned(), str::to_owned);
            }
        })),
    }
}

fn set(request: &mut Request, part: Part, text: &[u8]) {
    match part {
        Part::Method => {
            if let Ok(method) = std::str::from_utf8(text)
                && is_token(method)
            {
                method.clone_into(&mut request.method);
            }
        }
        // What is no target any longer would be another request.
        _ if text.is_empty() && part != Part::Query => {}
        Part::Path => request.set_path(text),
        Part::PathAndQuery => request.set_path_and_query(text),
        Part::Query => request.set_query(text),
        Part::Uri => request.set_uri(text),
    }
}

/// RFC 9110 §5.6.2.
pub fn is_token(text: &str) -> bool {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(token)
}

fn capture(expr: &Expr, slot: usize, length: usize, scope: &Scope<'_>, record: &mut Record) {
    let kept = expr.eval(scope, record).value().map(|value| {
        let text = value.into_text();
        Box::from(&text[..text.len().min(length)])
    });
    let answers = scope.http.is_some_and(|exchange| exchange.response.is_some());
    let slots = if answers { &mut record.response_captures } else { &mut record.captures };
    if slots.len() <= slot {
        slots.resize(slot + 1, None);
    }
    slots[slot] = kept;
}

fn answer(reply: &Reply, usual: u16, scope: &Scope<'_>, record: &mut Record) -> Answer {
    let mut headers = Headers::new();
    let body = match &reply.content {
        Content::Default => Body::Page,
        Content::Text(text) => Body::Bytes(text.to_vec()),
        Content::Format(format) => Body::Bytes(bytes(format, scope, record)),
        Content::Message(message) => Body::Message(message.to_vec()),
    };
    if let (Some(kind), Body::Bytes(_)) = (&reply.content_type, &body) {
        headers.add("content-type", kind.as_bytes());
    }
    for (name, value) in &reply.headers {
        let value = bytes(value, scope, record);
        headers.add(name, &value);
    }
    Answer { status: reply.status.unwrap_or(usual), headers, body }
}

/// 401 with HAProxy's page.
pub fn unauthorized(realm: &[u8]) -> Answer {
    let mut headers = Headers::new();
    let quoted: Vec<u8> = realm.iter().copied().filter(|b| !matches!(b, b'"' | b'\\')).collect();
    headers.add("www-authenticate", &[b"Basic realm=\"", &quoted[..], b"\""].concat());
    Answer { status: 401, headers, body: Body::Page }
}

impl Redirect {
    fn answer(&self, scope: &Scope<'_>, record: &mut Record) -> Option<Answer> {
        let request = scope.http?.request?;
        let to = bytes(&self.to, scope, record);
        if self.ignore_empty && to.is_empty() {
            return None;
        }
        let path = match self.drop_query {
            true => request.path(),
            false => request.path_and_query(),
        };
        let mut path = path.unwrap_or(b"/").to_vec();
        if self.append_slash && self.drop_query && !path.ends_with(b"/") {
            path.push(b'/');
        }
        let location = match self.kind {
            RedirectKind::Location => to,
            // A prefix of `/` is none.
            RedirectKind::Prefix if to == b"/" => path,
            RedirectKind::Prefix => [to, path].concat(),
            RedirectKind::Scheme => {
                let host = request.headers.get("host").or_else(|| request.authority());
                [&to, &b"://"[..], host.unwrap_or_default(), &path].concat()
            }
        };
        let mut headers = Headers::new();
        headers.add("location", &location);
        if let Some(cookie) = &self.cookie {
            headers.add("set-cookie", cookie.as_bytes());
        }
        Some(Answer { status: self.code, headers, body: Body::Bytes(Vec::new()) })
    }
}

impl HttpAction {
    /// The expressions in it.
    pub fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        match self {
            Self::Plain(action) => action.exprs_mut(),
            Self::Deny(reply) | Self::Tarpit(reply) | Self::Return(reply) => reply.exprs_mut(),
            Self::Redirect(redirect) => redirect.to.exprs_mut(),
            Self::Header { name, value, .. } => {
                let mut all = name.exprs_mut();
                all.extend(value.exprs_mut());
                all
            }
            Self::Auth { realm: format }
            | Self::Replace { by: format, .. }
            | Self::SetPart(_, format)
            | Self::ReplacePart(_, _, format) => format.exprs_mut(),
            Self::Allow | Self::RemoveHeader(_) | Self::SetStatus(..) | Self::Metrics => Vec::new(),
        }
    }
}

impl Reply {
    fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        let mut all: Vec<&mut Expr> =
            self.headers.iter_mut().flat_map(|(_, value)| value.exprs_mut()).collect();
        if let Content::Format(format) = &mut self.content {
            all.extend(format.exprs_mut());
        }
        all
    }
}

//! `tcp-request` and `tcp-response`: an action, and when it is done.

use conf::{Binder, Problem, Severity, Span, Word};
use rules::record::{SILENT, Variable};
use rules::{Action, Expr, Place};

use super::text;
use crate::acl::{ConditionDraft, condition, conflicts};
use crate::draft::{Draft, Kind, RuleDraft};
use crate::expr::{Manner, Wrong, read, texts};
use crate::format::{self, Purpose};
use crate::say::{Complain, NOWHERE};

/// Where a rule stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Family {
    Connection,
    Session,
    Content,
    Response,
    /// `http-request`.
    Request,
    /// `http-response`.
    Answer,
    /// `http-after-response`.
    AfterAnswer,
}

impl Family {
    /// Whether it is one of HTTP.
    pub(super) const fn is_http(self) -> bool {
        matches!(self, Self::Request | Self::Answer | Self::AfterAnswer)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Connection => "tcp-request connection",
            Self::Session => "tcp-request session",
            Self::Content => "tcp-request content",
            Self::Response => "tcp-response content",
            Self::Request => "http-request",
            Self::Answer => "http-response",
            Self::AfterAnswer => "http-after-response",
        }
    }

    /// The places its rules stand in; the first one is named in complaints.
    pub(super) const fn places(self, kind: Kind) -> &'static [Place] {
        match (self, kind) {
            (Self::Connection, _) => &[Place::Connection],
            (Self::Session, _) => &[Place::Session],
            (Self::Content, Kind::Frontend) => &[Place::FrontendContent],
            (Self::Content, Kind::Backend) => &[Place::BackendContent],
            (Self::Content, _) => &[Place::FrontendContent, Place::BackendContent],
            (Self::Response, _) => &[Place::Response],
            (Self::Request, Kind::Frontend) => &[Place::FrontendRequest],
            (Self::Request, Kind::Backend) => &[Place::BackendRequest],
            (Self::Request, _) => &[Place::FrontendRequest, Place::BackendRequest],
            (Self::Answer | Self::AfterAnswer, Kind::Frontend) => &[Place::FrontendAnswer],
            (Self::Answer | Self::AfterAnswer, Kind::Backend) => &[Place::BackendAnswer],
            (Self::Answer | Self::AfterAnswer, _) => &[Place::FrontendAnswer, Place::BackendAnswer],
        }
    }

    /// The actions, as HAProxy lists them.
    const fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Connection | Self::Session => CONNECTION_ACTIONS,
            Self::Content => CONTENT_ACTIONS,
            // Those of HTTP have a list of their own.
            _ => RESPONSE_ACTIONS,
        }
    }
}

const CONNECTION_ACTIONS: &[&str] = &[
    "accept",
    "reject",
    "capture",
    "expect-proxy",
    "expect-netscaler-cip",
    "track-sc",
    "sc-inc-gpc(*)",
    "sc-inc-gpc0(*)",
    "sc-inc-gpc1(*)",
    "sc-set-gpt(*)",
    "sc-set-gpt0(*)",
    "set-var-fmt(*)",
    "set-var(*)",
    "unset-var(*)",
    "set-dst",
    "set-dst-port",
    "set-mark",
    "set-src",
    "set-src-port",
    "set-tos",
    "silent-drop",
];
const CONTENT_ACTIONS: &[&str] = &[
    "accept",
    "reject",
    "capture",
    "expect-proxy",
    "expect-netscaler-cip",
    "track-sc",
    "ot-group",
    "set-log-level",
    "set-nice",
    "switch-mode",
    "use-service",
    "sc-inc-gpc(*)",
    "sc-inc-gpc0(*)",
    "sc-inc-gpc1(*)",
    "sc-set-gpt(*)",
    "sc-set-gpt0(*)",
    "send-spoe-group",
    "do-resolve(*)",
    "set-var-fmt(*)",
    "set-var(*)",
    "unset-var(*)",
    "set-src",
    "set-src-port",
    "set-dst",
    "set-dst-port",
    "set-mark",
    "set-tos",
    "silent-drop",
    "set-priority-class",
    "set-priority-offset",
];
const RESPONSE_ACTIONS: &[&str] = &[
    "accept",
    "close",
    "reject",
    "ot-group",
    "set-log-level",
    "set-nice",
    "sc-inc-gpc(*)",
    "sc-inc-gpc0(*)",
    "sc-inc-gpc1(*)",
    "sc-set-gpt(*)",
    "sc-set-gpt0(*)",
    "send-spoe-group",
    "set-var-fmt(*)",
    "set-var(*)",
    "unset-var(*)",
    "set-mark",
    "set-tos",
    "silent-drop",
];

/// Reads a rule: the words behind `tcp-request content`.
pub(super) fn rule(p: &mut Draft, family: Family, words: &[Word], b: &mut Binder) {
    let at = words.first().map_or_else(Span::default, |word| word.span);
    if family == Family::Connection || family == Family::Session {
        let name = &p.name;
        if p.kind == Kind::Backend {
            let text = format!(
                "{} is not allowed because backend {name} is not a frontend",
                family.name()
            );
            b.refuse(at, text);
            return;
        }
    }
    if family != Family::Response && !p.rules.switching.is_empty() && p.kind != Kind::Defaults {
        b.warn(
            at,
            format!(
                "a '{}' rule placed after a 'use_backend' rule will still be processed before.",
                family.name()
            ),
        );
    }
    let (action, rest) = match action(p, family, words) {
        Ok(read) => read,
        Err(Wrong::Said(text)) => {
            b.refuse(at, text);
            return;
        }
        Err(Wrong::Planned(keyword)) => {
            b.error(at, Problem::Planned { keyword });
            return;
        }
    };
    let label = format!("{} {}", family.name(), text(words, 0));
    let Some(condition) = when(p, &label, family.places(p.kind), rest, b) else { return };
    let rule = RuleDraft { at, family: family.name(), action, condition };
    match family {
        Family::Connection => p.rules.connection.push(rule),
        Family::Session => p.rules.session.push(rule),
        Family::Content => p.rules.content.push(rule),
        Family::Response => p.rules.response.push(rule),
        Family::Request | Family::Answer | Family::AfterAnswer => {}
    }
}

/// The condition of a rule; `None` if it is refused.
fn when(
    p: &Draft,
    label: &str,
    places: &[Place],
    words: &[Word],
    b: &mut Binder,
) -> Option<Option<ConditionDraft>> {
    let Some(first) = words.first() else { return Some(None) };
    let (at, name) = (first.span, &p.name);
    let unless = match first.text.as_str() {
        "if" => false,
        "unless" => true,
        other => {
            let whose = whose(p);
            b.refuse(
                at,
                format!("'{label}' only accepts 'if' or 'unless', in {whose} (got '{other}')"),
            );
            return None;
        }
    };
    let mut planned = vec![];
    match condition(&p.context, b, &p.acls, unless, &words[1..], &mut planned) {
        Ok(condition) => {
            refuse_planned(b, at, planned);
            let family = label.rsplit_once(' ').map_or(label, |(family, _)| family);
            for text in conflicts(&p.acls, &condition, places, &format!(" in '{family}'")) {
                b.warn(at, text);
            }
            Some(Some(condition))
        }
        Err(text) => {
            let text = text.trim_end_matches('.');
            let word = &first.text;
            let noun = p.kind.noun();
            b.refuse(at, format!("'{label}' : error detected in {noun} '{name}' while parsing '{word}' condition : {text}"));
            None
        }
    }
}

/// Names what is known and not built.
pub(super) fn refuse_planned(b: &mut Binder, at: Span, planned: Vec<String>) {
    for keyword in planned {
        b.error(at, Problem::Planned { keyword });
    }
}

/// The section, as HAProxy's complaints about rules name it.
fn whose(p: &Draft) -> String {
    match p.kind {
        Kind::Defaults => "'defaults' section".to_owned(),
        _ => format!("{} '{}'", p.kind.noun(), p.name),
    }
}

type Read<'w> = (Action, &'w [Word]);

/// The number of `set-mark` and `set-tos`, as strtoul(3) reads it.
fn socket_number(words: &[Word]) -> Result<u32, Wrong> {
    let Some(word) = words.first() else {
        return Err("expects exactly 1 argument (integer/hex value)".to_owned().into());
    };
    let text = word.text.as_str();
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    u32::from_str_radix(digits, radix).map_err(|_| {
        let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(0);
        let rest = &digits[end..];
        format!("invalid character starting at '{rest}' (integer/hex value expected)").into()
    })
}

fn action<'w>(p: &mut Draft, family: Family, words: &'w [Word]) -> Result<Read<'w>, Wrong> {
    let word = text(words, 0);
    let rest = words.get(1..).unwrap_or_default();
    let request = family != Family::Response;
    let planned = |what: &str| Err(Wrong::Planned(format!("{} {what}", family.name())));
    let (name, argument) = match word.split_once('(') {
        Some((name, argument)) => (name, argument.split_once(')').map(|(inside, _)| inside)),
        None => (word, None),
    };
    if let Some(read) = super::actions::read(p, family, name, argument, words) {
        return read;
    }
    match name {
        "accept" => Ok((Action::Accept, rest)),
        "reject" => Ok((Action::Reject, rest)),
        "close" if !request => Ok((Action::Close, rest)),
        "silent-drop" => Ok((Action::SilentDrop, rest)),
        "set-var" | "set-var-fmt" | "unset-var" => {
            let Some(argument) = argument else {
                return Err(format!(
                    "invalid or incomplete action '{name}'. Expects 'set-var(<var-name>)', 'set-var-fmt(<var-name>)' or 'unset-var(<var-name>)'"
                )
                .into());
            };
            variable(p, family, name, argument, words)
        }
        "set-src" | "set-src-port" | "set-dst" | "set-dst-port" if request => {
            let (expr, rest) = expression(p, family, None, rest)?;
            let action = match name {
                "set-src" => Action::SetSource,
                "set-src-port" => Action::SetSourcePort,
                "set-dst" => Action::SetDestination,
                _ => Action::SetDestinationPort,
            };
            Ok((action(expr), rest))
        }
        "capture" if family == Family::Content => capture(p, family, rest),
        "set-log-level" if matches!(family, Family::Content | Family::Response) => {
            let wanted = text(rest, 0);
            let level = match wanted {
                "silent" => Some(SILENT),
                _ => proxy::Severity::NAMES.iter().position(|n| *n == wanted).map(|at| at as u8),
            };
            let Some(level) = level else {
                let text = "expects exactly 1 argument (log level name or 'silent')";
                return Err(text.to_owned().into());
            };
            Ok((Action::SetLogLevel(level), &rest[1..]))
        }
        "set-nice" if matches!(family, Family::Content | Family::Response) => {
            if rest.is_empty() {
                return Err("expects exactly 1 argument (integer value)".to_owned().into());
            }
            // No connection here has a priority over another: the scheduler is fair.
            Ok((Action::Nothing, &rest[1..]))
        }
        "set-mark" | "set-fc-mark" => Ok((Action::SetMark(socket_number(rest)?), &rest[1..])),
        "set-tos" | "set-fc-tos" => {
            // The field has eight bits; the kernel takes no more of what it is given.
            Ok((Action::SetTos(socket_number(rest)? as u8), &rest[1..]))
        }
        "expect-netscaler-cip" if request => {
            let (label, whose) = (family.name(), &p.name);
            if text(rest, 0) != "layer4" {
                let got = text(rest, 0);
                return Err(format!("'{label} expect-netscaler-cip' only supports 'layer4' in proxy '{whose}' (got '{got}')").into());
            }
            if family != Family::Connection {
                return Err(format!("'expect-netscaler-cip layer4' is not allowed in '{label}' rules in proxy '{whose}'").into());
            }
            Ok((Action::ExpectNetscaler, &rest[1..]))
        }
        "expect-proxy" if request => {
            if text(rest, 0) != "layer4" {
                let (label, got) = (family.name(), text(rest, 0));
                let whose = whose(p);
                return Err(format!(
                    "'{label} expect-proxy' only supports 'layer4' in {whose} (got '{got}')"
                )
                .into());
            }
            if family != Family::Connection {
                let (label, whose) = (family.name(), whose(p));
                return Err(format!(
                    "'expect-proxy layer4' is not allowed in '{label}' rules in {whose}"
                )
                .into());
            }
            Ok((Action::ExpectProxy, &rest[1..]))
        }
        _ if name.starts_with("track-sc") && request => {
            let label = format!("{} {name}", family.name());
            let content = family == Family::Content;
            let read = |words| expression(p, family, None, words);
            super::stick::track(&p.context, &p.name, content, &label, words, &read)
        }
        _ if name.starts_with("sc-")
            && let Some(read) =
                super::stick::act(&p.context, name, argument, words, &|words| {
                    expression(p, family, None, words)
                }) =>
        {
            read
        }
        _ => {
            let known = family.actions();
            let bare = |action: &str| action.trim_end_matches("(*)") == name;
            // Newer versions have some at more places.
            let anywhere = || {
                use conf::Table;
                super::rules::ACTIONS.rows().iter().any(|row| row.name == name)
            };
            if known.iter().any(|action| bare(action)) || anywhere() && !name.is_empty() {
                return planned(name);
            }
            let near = conf::nearest(name, known.iter().map(|a| a.trim_end_matches("(*)")));
            let listed: Vec<String> = known
                .iter()
                .map(|action| match *action {
                    "track-sc" => "'track-sc0' ... 'track-sc2'".to_owned(),
                    other => format!("'{other}'"),
                })
                .collect();
            let hint = near
                .map_or_else(|| ".".to_owned(), |near| format!(". Did you mean '{near}' maybe ?"));
            let end = if request { "\n" } else { "" };
            let (label, whose, listed) = (family.name(), whose(p), listed.join(", "));
            Err(format!("'{label}' expects {listed} in {whose} (got '{word}'){hint}{end}").into())
        }
    }
}

/// `set-var(name) expr`, `set-var-fmt(name) format`, `unset-var(name)`.
pub(super) fn variable<'w>(
    p: &Draft,
    family: Family,
    name: &str,
    argument: &str,
    words: &'w [Word],
) -> Result<Read<'w>, Wrong> {
    let rest = &words[1..];
    let (variable, conditions) = match argument.split_once(',') {
        Some((variable, conditions)) => (variable, Some(conditions)),
        None => (argument, None),
    };
    let variable = Variable::parse(variable)?;
    if name == "unset-var" {
        return Ok((Action::UnsetVar(variable), rest));
    }
    if name == "set-var" {
        let (expr, rest) = expression(p, family, Some(text(words, 0)), rest)?;
        if let Some(conditions) = conditions {
            let to = rules::Input::Expr(expr);
            return Ok((super::actions::conditional(variable, conditions, to)?, rest));
        }
        return Ok((Action::SetVar(variable, expr), rest));
    }
    let Some(format) = rest.first() else {
        return Ok((Action::SetVarFormat(variable, rules::Format::default()), rest));
    };
    let purpose = Purpose { places: family.places(p.kind), http: family.is_http(), log: false };
    let format = format::parse(&p.context, &format.text, purpose)?;
    if let Some(conditions) = conditions {
        let to = rules::Input::Format(format);
        return Ok((super::actions::conditional(variable, conditions, to)?, &rest[1..]));
    }
    Ok((Action::SetVarFormat(variable, format), &rest[1..]))
}

/// An expression whose fetch finds something here; `said` is what complaints call it.
pub(super) fn expression<'w>(
    p: &Draft,
    family: Family,
    said: Option<&str>,
    words: &'w [Word],
) -> Result<(Expr, &'w [Word]), Wrong> {
    let all = texts(words);
    // Converters may be words of their own, up to the condition.
    let end = all.iter().position(|word| matches!(*word, "if" | "unless")).unwrap_or(all.len());
    let read = read(&p.context, &all[..end], Manner::Rule)?;
    let source = read.expr.source();
    if !family.places(p.kind).iter().any(|place| place.offers(source)) {
        let method = said.unwrap_or_else(|| read.expr.fetch_name());
        return Err(format!(
            "fetch method '{method}' extracts information from '{}', none of which is available here",
            source.names()
        )
        .into());
    }
    Ok((read.expr, &words[read.words..]))
}

/// `capture expr len n`.
pub(super) fn capture<'w>(
    p: &mut Draft,
    family: Family,
    words: &'w [Word],
) -> Result<Read<'w>, Wrong> {
    let label = format!("{} capture", family.name());
    let (expr, rest) = expression(p, family, None, words)
        .map_err(|wrong| wrong.map(|text| format!("'{label}' : {text}")))?;
    if text(rest, 0) != "len" {
        return Err(format!("'{label}' : a positive 'len' argument is mandatory").into());
    }
    let length = text(rest, 1).parse().unwrap_or(0);
    if length == 0 {
        return Err(format!("'{label}' : length must be > 0").into());
    }
    let slot = p.rules.captures;
    p.rules.captures += 1;
    Ok((Action::Capture { expr, slot, length }, &rest[2..]))
}

/// Once all is read: rules that look at bytes nobody waits for.
pub(crate) fn without_delay(b: &mut Binder, p: &Draft) {
    if p.rules.inspect_delay.is_some() {
        return;
    }
    let waits = |rule: &&RuleDraft| match &rule.action {
        Action::Capture { expr, .. } => expr.reads_request(),
        _ => false,
    };
    if p.rules.content.iter().any(|rule| waits(&rule)) {
        let (noun, name) = (p.kind.noun(), &p.name);
        let text = format!(
            "{noun} '{name}' : a 'tcp-request capture' rule explicitly depending on request contents without any 'tcp-request inspect-delay' setting. This means that this rule will randomly find its contents. This can be fixed by setting the tcp-request inspect-delay."
        );
        b.complain(Severity::Warning, NOWHERE, p.at, text);
    }
}

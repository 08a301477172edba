//! `http-request`, `http-response`, `http-after-response` and `redirect`: an action, and when it is
//! done.

use conf::{Binder, Severity, Span, Word};
use rules::http::{Content, HttpAction, Name, Part, Redirect, RedirectKind, Reply, is_token};
use rules::record::SILENT;
use rules::{Action, Format, Place, Regex};

use super::tcp_rules::{Family, capture, expression, refuse_planned, variable};
use super::text;
use crate::acl::{ConditionDraft, condition, conflicts};
use crate::draft::{Draft, HttpRuleDraft};
use crate::expr::Wrong;
use crate::format::{self, Purpose};
use crate::say::{Complain, TIGHT};

/// The actions, as HAProxy lists them.
const fn actions(family: Family) -> &'static str {
    match family {
        Family::Request => {
            "'wait-for-handshake', 'ot-group', 'set-log-level', 'set-nice', 'use-service', 'sc-inc-gpc(*)', 'sc-inc-gpc0(*)', 'sc-inc-gpc1(*)', 'sc-set-gpt(*)', 'sc-set-gpt0(*)', 'send-spoe-group', 'do-resolve(*)', 'cache-use', 'add-acl(*)', 'add-header', 'allow', 'auth', 'capture', 'del-acl(*)', 'del-header', 'del-map(*)', 'deny', 'disable-l7-retry', 'early-hint', 'normalize-uri', 'redirect', 'reject', 'replace-header', 'replace-path', 'replace-pathq', 'replace-uri', 'replace-value', 'return', 'set-header', 'set-map(*)', 'set-method', 'set-path', 'set-pathq', 'set-query', 'set-uri', 'strict-mode', 'tarpit', 'track-sc(*)', 'set-timeout', 'wait-for-body', 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)', 'set-dst', 'set-dst-port', 'set-mark', 'set-src', 'set-src-port', 'set-tos', 'silent-drop', 'set-priority-class', 'set-priority-offset'"
        }
        Family::Answer => {
            "'ot-group', 'set-log-level', 'set-nice', 'sc-inc-gpc(*)', 'sc-inc-gpc0(*)', 'sc-inc-gpc1(*)', 'sc-set-gpt(*)', 'sc-set-gpt0(*)', 'send-spoe-group', 'cache-store', 'add-acl(*)', 'add-header', 'allow', 'capture', 'del-acl(*)', 'del-header', 'del-map(*)', 'deny', 'redirect', 'replace-header', 'replace-value', 'return', 'set-header', 'set-map(*)', 'set-status', 'strict-mode', 'track-sc(*)', 'wait-for-body', 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)', 'set-mark', 'set-tos', 'silent-drop'"
        }
        _ => {
            "'ot-group', 'add-header', 'allow', 'capture', 'del-header', 'replace-header', 'replace-value', 'set-header', 'set-status', 'strict-mode', 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)'"
        }
    }
}

/// Reads a rule: the words behind `http-request`. `None` if it is refused.
pub(super) fn rule(
    p: &mut Draft,
    family: Family,
    words: &[Word],
    b: &mut Binder,
) -> Option<HttpRuleDraft> {
    let at = words.first().map_or_else(Span::default, |word| word.span);
    let whole = text(words, 0).to_owned();
    let name = whole.split_once('(').map_or(whole.as_str(), |(name, _)| name).to_owned();
    let label = format!("{} {whole}", family.name());
    let listed = actions(family);
    let known = |name: &str| {
        listed.contains(&format!("'{name}'")) || listed.contains(&format!("'{name}(*)'"))
    };
    let lua = name.starts_with("lua.");
    let known = lua || known(&name) || name.starts_with("track-sc") && known("track-sc");
    let nowhere = matches!(name.as_str(), "accept" | "close" | "");
    // Newer versions have some at more places.
    let anywhere = || {
        use conf::Table;
        super::rules::ACTIONS.rows().iter().any(|row| row.name == name)
    };
    if !known && (nowhere || !anywhere()) {
        let near = conf::nearest(&name, listed.split(", ").map(|action| action.trim_matches('\'')));
        let help = near.map(|near| format!("did you mean '{near}'?"));
        let missing = if whole.is_empty() { " (missing argument)" } else { "" };
        let got = format!(", but got '{whole}'{missing}");
        let text = format!("'{}' expects {listed}{got}.", family.name());
        b.complain(Severity::Error, TIGHT, at, text).help = help;
        return None;
    }
    let mut draft =
        HttpRuleDraft { at, family: family.name(), action: None, planned: vec![], condition: None };
    let rest = match action(p, family, &name, words) {
        Ok((action, rest)) => {
            draft.action = Some(action);
            rest
        }
        Err(Wrong::Planned(keyword)) => {
            // Only a proxy that speaks HTTP is refused for it: see where rules are lowered.
            draft.planned.push(keyword);
            return Some(draft);
        }
        Err(Wrong::Said(text)) => {
            let text = format!(
                "error detected in proxy '{}' while parsing '{label}' rule : {text}.",
                p.name
            );
            b.refuse(at, text);
            return None;
        }
    };
    draft.condition = when(p, &label, family.places(p.kind), rest, b)?;
    Some(draft)
}

/// The condition of a rule of HTTP; `None` if it is refused.
pub(super) fn when(
    p: &Draft,
    label: &str,
    places: &[Place],
    words: &[Word],
    b: &mut Binder,
) -> Option<Option<ConditionDraft>> {
    let Some(first) = words.first() else { return Some(None) };
    let unless = match first.text.as_str() {
        "if" => false,
        "unless" => true,
        other => {
            let text = format!(
                "'{label}' expects either 'if' or 'unless' followed by a condition but found '{other}'."
            );
            b.complain(Severity::Error, TIGHT, first.span, text);
            return None;
        }
    };
    let mut planned = vec![];
    match condition(&p.context, b, &p.acls, unless, &words[1..], &mut planned) {
        Ok(read) => {
            refuse_planned(b, first.span, planned);
            for text in conflicts(&p.acls, &read, places, "") {
                b.warn(first.span, text);
            }
            Some(Some(read))
        }
        Err(text) => {
            let text = format!(
                "error detected while parsing an '{label}' condition : {}.",
                text.trim_end_matches('.')
            );
            b.refuse(first.span, text);
            None
        }
    }
}

type Read<'w> = (HttpAction, &'w [Word]);

fn action<'w>(
    p: &mut Draft,
    family: Family,
    name: &str,
    words: &'w [Word],
) -> Result<Read<'w>, Wrong> {
    let rest = words.get(1..).unwrap_or_default();
    let request = family == Family::Request;
    let plain = |read: (Action, &'w [Word])| (HttpAction::Plain(read.0), read.1);
    if let Some(read) = super::actions::read(p, family, name, argument(text(words, 0)), words) {
        return read.map(plain);
    }
    match name {
        "allow" => Ok((HttpAction::Allow, rest)),
        "deny" | "tarpit" if family != Family::AfterAnswer => {
            let (reply, rest) = reply(p, family, rest, false)?;
            Ok(match name {
                "deny" => (HttpAction::Deny(reply), rest),
                _ => (HttpAction::Tarpit(reply), rest),
            })
        }
        "return" if family != Family::AfterAnswer => {
            let (reply, rest) = reply(p, family, rest, true)?;
            Ok((HttpAction::Return(reply), rest))
        }
        "redirect" if family != Family::AfterAnswer => {
            let (redirect, rest) = redirect(p, family, rest)?;
            Ok((HttpAction::Redirect(redirect), rest))
        }
        "auth" if request => {
            let (realm, rest) = match text(rest, 0) {
                "realm" if rest.len() < 2 => {
                    return Err("missing realm value.\n".to_owned().into());
                }
                "realm" => (rest[1].text.as_str(), &rest[2..]),
                _ => ("", rest),
            };
            let format = self::format(p, family, realm)?;
            Ok((HttpAction::Auth { realm: format }, rest))
        }
        "set-header" | "add-header" => {
            let [field, value, rest @ ..] = rest else {
                return Err("expects exactly 2 arguments".to_owned().into());
            };
            let (name_format, value) =
                (self::format(p, family, &field.text)?, self::format(p, family, &value.text)?);
            if name_format.constant().is_some_and(|name| !is_token(name)) {
                return Err(format!("'{}' is no name of a header", field.text).into());
            }
            Ok((HttpAction::Header { name: name_format, value, add: name == "add-header" }, rest))
        }
        "del-header" => remove(rest),
        "replace-header" | "replace-value" => {
            let [field, regex, by, rest @ ..] = rest else {
                return Err("expects exactly 3 arguments".to_owned().into());
            };
            let (regex, by) = (Regex::new(&regex.text, false)?, self::format(p, family, &by.text)?);
            let name_text = field.text.as_str().into();
            let each = name == "replace-value";
            Ok((HttpAction::Replace { name: name_text, regex, by, each }, rest))
        }
        "set-method" | "set-path" | "set-pathq" | "set-query" | "set-uri" if request => {
            let [value, rest @ ..] = rest else {
                return Err("expects exactly 1 argument <format>".to_owned().into());
            };
            let part = match name {
                "set-method" => Part::Method,
                "set-path" => Part::Path,
                "set-pathq" => Part::PathAndQuery,
                "set-query" => Part::Query,
                _ => Part::Uri,
            };
            Ok((HttpAction::SetPart(part, self::format(p, family, &value.text)?), rest))
        }
        "replace-path" | "replace-pathq" | "replace-uri" if request => {
            let [regex, by, rest @ ..] = rest else {
                let text = "expects exactly 2 arguments <match-regex> and <replace-format>";
                return Err(text.to_owned().into());
            };
            let part = match name {
                "replace-path" => Part::Path,
                "replace-pathq" => Part::PathAndQuery,
                _ => Part::Uri,
            };
            let (regex, by) = (Regex::new(&regex.text, false)?, self::format(p, family, &by.text)?);
            Ok((HttpAction::ReplacePart(part, regex, by), rest))
        }
        "set-status" if !request => {
            let [status, rest @ ..] = rest else {
                let text = "expects 1 argument: <status>; or 3 arguments: <status> reason <fmt>";
                return Err(text.to_owned().into());
            };
            let Some(status) = status.text.parse().ok().filter(|code| (100..1000).contains(code))
            else {
                let text = "expects an integer status code between 100 and 999";
                return Err(text.to_owned().into());
            };
            match rest {
                [reason, words, rest @ ..] if reason.text == "reason" => {
                    Ok((HttpAction::SetStatus(status, Some(words.text.as_str().into())), rest))
                }
                _ => Ok((HttpAction::SetStatus(status, None), rest)),
            }
        }
        "use-service" if request => match text(rest, 0) {
            "" => Err("missing service name.".to_owned().into()),
            "prometheus-exporter" => Ok((HttpAction::Metrics, &rest[1..])),
            service if service.starts_with("lua.") => {
                Err(Wrong::Planned(format!("use-service {service}")))
            }
            other => Err(format!("'{other}' unknown service name.").into()),
        },
        "reject" if request => Ok((HttpAction::Plain(Action::Reject), rest)),
        "silent-drop" => Ok((HttpAction::Plain(Action::SilentDrop), rest)),
        "set-var" | "set-var-fmt" | "unset-var" => {
            let argument = text(words, 0)
                .split_once('(')
                .and_then(|(_, argument)| argument.split_once(')'))
                .map(|(inside, _)| inside);
            let Some(argument) = argument else {
                return Err(format!(
                    "invalid or incomplete action '{name}'. Expects 'set-var(<var-name>)', 'set-var-fmt(<var-name>)' or 'unset-var(<var-name>)'"
                )
                .into());
            };
            variable(p, family, name, argument, words).map(plain)
        }
        "set-src" | "set-src-port" | "set-dst" | "set-dst-port" if request => {
            let (expr, rest) = expression(p, family, None, rest)?;
            let action = match name {
                "set-src" => Action::SetSource,
                "set-src-port" => Action::SetSourcePort,
                "set-dst" => Action::SetDestination,
                _ => Action::SetDestinationPort,
            };
            Ok((HttpAction::Plain(action(expr)), rest))
        }
        "capture" => {
            let read = capture(p, family, rest)?;
            Ok(plain(read))
        }
        "set-log-level" => {
            let wanted = text(rest, 0);
            let level = match wanted {
                "silent" => Some(SILENT),
                _ => proxy::Severity::NAMES.iter().position(|n| *n == wanted).map(|at| at as u8),
            };
            let Some(level) = level else {
                let text = "expects exactly 1 argument (log level name or 'silent')";
                return Err(text.to_owned().into());
            };
            Ok((HttpAction::Plain(Action::SetLogLevel(level)), &rest[1..]))
        }
        "set-nice" => {
            if rest.is_empty() {
                return Err("expects exactly 1 argument (integer value)".to_owned().into());
            }
            Ok((HttpAction::Plain(Action::Nothing), &rest[1..]))
        }
        // Every rewriting here succeeds or leaves its message as it was.
        "strict-mode" => match text(rest, 0) {
            "on" | "off" => Ok((HttpAction::Plain(Action::Nothing), &rest[1..])),
            _ => Err("Unexpected value. Only 'on' and 'off' are supported".to_owned().into()),
        },
        _ if name.starts_with("track-sc") && family != Family::AfterAnswer => {
            if rest.is_empty() {
                return Err("missing fetch method".to_owned().into());
            }
            let label = format!("{} {name}", family.name());
            let read = |words| expression(p, family, None, words);
            super::stick::track(&p.context, &p.name, true, &label, words, &read).map(plain)
        }
        _ if name.starts_with("sc-")
            && let Some(read) = super::stick::act(
                &p.context,
                name,
                argument(text(words, 0)),
                words,
                &|words| expression(p, family, None, words),
            ) =>
        {
            read.map(plain)
        }
        _ => Err(Wrong::Planned(format!("{} {name}", family.name()))),
    }
}

/// What stands in the parentheses of an action.
fn argument(word: &str) -> Option<&str> {
    Some(word.split_once('(')?.1.split_once(')')?.0)
}

/// A format in a rule of HTTP.
pub(super) fn format(p: &Draft, family: Family, words: &str) -> Result<Format, Wrong> {
    let purpose = Purpose { places: family.places(p.kind), http: true, log: false };
    format::parse(&p.context, words, purpose)
}

/// `del-header <name> [-m <method>]`.
fn remove(words: &[Word]) -> Result<Read<'_>, Wrong> {
    let [name, rest @ ..] = words else {
        return Err("expects at least 1 argument".to_owned().into());
    };
    let name = name.text.as_str();
    if text(rest, 0) != "-m" {
        return Ok((HttpAction::RemoveHeader(Name::Is(name.into())), rest));
    }
    let meant = match text(rest, 1) {
        "str" => Name::Is(name.into()),
        "beg" => Name::Begins(name.into()),
        "end" => Name::Ends(name.into()),
        "sub" => Name::Holds(name.into()),
        "reg" => Name::Matches(Regex::new(name, true)?),
        other => {
            return Err(format!(
                "-m flag expects a matching method 'str', 'beg', 'end', 'sub' or 'reg' (got '{other}')"
            )
            .into());
        }
    };
    Ok((HttpAction::RemoveHeader(meant), &rest[2..]))
}

/// Statuses `deny` may answer: those HAProxy has a page for.
pub(super) const PAGES: &[u16] = &[
    200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 421, 422, 425, 429, 500, 501, 502, 503, 504,
];

/// `[status <code>] [content-type <type>] [{default-errorfiles|errorfile|file|lf-file|string|lf-string} …]
/// [hdr <name> <format>]…`.
fn reply<'w>(
    p: &Draft,
    family: Family,
    words: &'w [Word],
    any_status: bool,
) -> Result<(Reply, &'w [Word]), Wrong> {
    let (mut reply, mut rest) = (Reply::default(), words);
    let read = |file: &str| -> Result<Vec<u8>, Wrong> {
        if !p.context.reach_out.get() {
            return Ok(vec![]);
        }
        p.context.read(file).map_err(|_| format!("error opening file '{file}'.").into())
    };
    while let [keyword, behind @ ..] = rest {
        let value = behind.first().map(|word| word.text.as_str());
        let needs = |what: &str| -> Result<&'w str, Wrong> {
            value.ok_or_else(|| format!("'{}' expects {what} as argument", keyword.text).into())
        };
        match keyword.text.as_str() {
            "status" | "deny_status" => {
                let word = needs("<status_code>")?;
                let status = word.parse().unwrap_or(0);
                let good =
                    if any_status { (200..600).contains(&status) } else { PAGES.contains(&status) };
                if !good {
                    return Err(format!("Unexpected status code '{status}'").into());
                }
                reply.status = Some(status);
            }
            "content-type" => reply.content_type = Some(needs("<ctype>")?.into()),
            "default-errorfiles" => {
                reply.content = Content::Default;
                rest = behind;
                continue;
            }
            "errorfiles" => return Err(Wrong::Planned(format!("{} errorfiles", family.name()))),
            "errorfile" => {
                reply.content = Content::Message(read(needs("<file>")?)?.into());
            }
            "file" => reply.content = Content::Text(read(needs("<file>")?)?.into()),
            "string" => {
                let text = crate::lexer::bytes_of(needs("<str>")?);
                reply.content = Content::Text(text.into());
            }
            "lf-string" => reply.content = Content::Format(format(p, family, needs("<fmt>")?)?),
            "lf-file" => {
                let text = read(needs("<file>")?)?;
                let text = String::from_utf8_lossy(&text);
                reply.content = Content::Format(format(p, family, &text)?);
            }
            "hdr" => {
                let [name, value, ..] = behind else {
                    let text = "'hdr' expects <name> and <value> as arguments";
                    return Err(text.to_owned().into());
                };
                if !is_token(&name.text) {
                    return Err(format!("'{}' is no name of a header", name.text).into());
                }
                let value = format(p, family, &value.text)?;
                reply.headers.push((name.text.as_str().into(), value));
                rest = &behind[2..];
                continue;
            }
            _ => break,
        }
        rest = &behind[1..];
    }
    let payload = match &reply.content {
        Content::Text(text) => !text.is_empty(),
        Content::Format(_) => true,
        _ => false,
    };
    if payload && reply.content_type.is_none() {
        let text = "a content type must be defined when non-empty payload is configured";
        return Err(text.to_owned().into());
    }
    Ok((reply, rest))
}

/// `{location|prefix|scheme} <to> [code <code>] [<option>…]`.
pub(super) fn redirect<'w>(
    p: &Draft,
    family: Family,
    words: &'w [Word],
) -> Result<(Redirect, &'w [Word]), Wrong> {
    let (mut kind, mut to, mut code, mut rest) = (None, "", 302, words);
    let (mut drop_query, mut append_slash, mut ignore_empty) = (false, false, false);
    let mut cookie = None;
    while let [keyword, behind @ ..] = rest {
        let name = keyword.text.as_str();
        if matches!(name, "if" | "unless") {
            break;
        }
        rest = behind;
        match name {
            "drop-query" => drop_query = true,
            "append-slash" => append_slash = true,
            "ignore-empty" => ignore_empty = true,
            "location" | "prefix" | "scheme" | "code" | "set-cookie" | "clear-cookie" => {
                let Some(value) = behind.first().map(|word| word.text.as_str()) else {
                    return Err(format!("missing argument for '{name}'").into());
                };
                rest = &behind[1..];
                match name {
                    "location" => (kind, to) = (Some(RedirectKind::Location), value),
                    "prefix" => (kind, to) = (Some(RedirectKind::Prefix), value),
                    "scheme" => (kind, to) = (Some(RedirectKind::Scheme), value),
                    "set-cookie" => cookie = Some(format!("{value}; path=/;")),
                    "clear-cookie" => cookie = Some(format!("{value}; path=/; Max-Age=0;")),
                    _ => {
                        code = value.parse().unwrap_or(0);
                        if !matches!(code, 301 | 302 | 303 | 307 | 308) {
                            return Err(format!(
                                "'code': unsupported HTTP code '{value}' (must be one of 301, 302, 303, 307 or 308)"
                            )
                            .into());
                        }
                    }
                }
            }
            other => {
                return Err(format!(
                    "expects 'code', 'prefix', 'location', 'scheme', 'set-cookie', 'clear-cookie', 'drop-query', 'ignore-empty' or 'append-slash' (was '{other}')"
                )
                .into());
            }
        }
    }
    let Some(kind) = kind else {
        let text = "redirection type expected ('prefix', 'location', or 'scheme')";
        return Err(text.to_owned().into());
    };
    let cookie = cookie.map(String::into_boxed_str);
    let to = format(p, family, to)?;
    let redirect = Redirect { kind, to, code, drop_query, append_slash, ignore_empty, cookie };
    Ok((redirect, rest))
}

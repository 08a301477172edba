//! Log formats.

use conf::{Problem, Severity};
use proxy::LogFormat;

use crate::draft::Draft;
use crate::load::Loader;
use crate::say::{CAPITAL, Complain, NOWHERE};

/// The variables a TCP session has. HAProxy's manual, section 8.2.6.
const VARIABLES: &[&str] = &[
    "B", "Bi", "Bp", "Fi", "Fp", "H", "ID", "Ms", "T", "Tc", "Td", "Th", "Tl", "Ts", "Tt", "Tu",
    "Tw", "U", "ac", "b", "bc", "bi", "bp", "bq", "ci", "cp", "f", "fc", "fi", "fp", "ft", "lc",
    "ms", "pid", "rc", "rt", "s", "sc", "si", "sp", "sq", "t", "ts",
];
/// Variables of HTTP and TLS: known, without a value here.
const PLANNED: &[&str] = &[
    "CC", "CS", "HM", "HP", "HPO", "HQ", "HU", "HV", "OG", "ST", "TR", "Ta", "Ti", "Tq", "Tr",
    "Trg", "Trl", "hr", "hrl", "hs", "hsl", "o", "r", "sslc", "sslv", "tr", "trg", "trl", "tsc",
];

/// The format a frontend logs with.
pub(super) fn format(draft: &Draft) -> LogFormat {
    draft.log_format.clone()
}

/// Complains about formats without a target, and about variables nobody knows.
pub(super) fn check(loader: &mut Loader, draft: &Draft) {
    if !draft.kind.is_client_side() || draft.log_format == LogFormat::Connect {
        return;
    }
    let at = draft.log_at.unwrap_or(draft.at);
    if super::targets(loader, draft).is_empty() {
        let text = format!(
            "log format ignored for {} '{}' since it has no log address.",
            draft.kind.noun(),
            draft.name
        );
        loader.binder.complain(Severity::Warning, NOWHERE, draft.at, text).help =
            Some("write 'log global' here and 'log …' into 'global'".into());
    }
    let LogFormat::Custom(format) = &draft.log_format else { return };
    for variable in variables(format) {
        match variable {
            Variable::Expression => {
                loader.binder.error(at, Problem::Planned { keyword: "log-format %[…]".into() });
                return;
            }
            Variable::Named(name) if VARIABLES.contains(&name) => {}
            Variable::Named(name) if PLANNED.contains(&name) => {
                let keyword = format!("log-format %{name}");
                loader.binder.error(at, Problem::Planned { keyword });
            }
            Variable::Named(name) => {
                let text = format!(
                    "failed to parse log-format : no such format variable '{name}'. If you wanted to emit the '%' character verbatim, you need to use '%%'."
                );
                loader.binder.complain(Severity::Error, CAPITAL, at, text);
                return;
            }
        }
    }
}

enum Variable<'a> {
    Named(&'a str),
    Expression,
}

/// `%name`, `%{+Q}name`, `%[…]`; `%%` and a `%` before anything else stand for themselves.
fn variables(format: &str) -> Vec<Variable<'_>> {
    let mut out = vec![];
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            rest = after;
            continue;
        }
        if let Some((_, after)) = rest.strip_prefix('{').and_then(|flags| flags.split_once('}')) {
            rest = after;
        }
        if rest.starts_with('[') {
            out.push(Variable::Expression);
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        if end > 0 {
            out.push(Variable::Named(&rest[..end]));
        }
        rest = &rest[end..];
    }
    out
}

//! Log formats.

use conf::{Problem, Severity};
use proxy::{LogFormat, Mode};
use rules::Place;

use crate::draft::Draft;
use crate::expr::Wrong;
use crate::format::{Purpose, parse};
use crate::load::Loader;
use crate::say::{CAPITAL, Complain, NOWHERE};

/// `option httplog`.
const HTTP: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r";
/// `option httplog clf`.
const HTTP_CLF: &str = "%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \"\" \"\" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl";

/// The format a frontend logs with, and whether there is anything of it; complains about one that
/// is none.
pub(super) fn format(loader: &mut Loader, draft: &Draft) -> (LogFormat, bool) {
    if draft.log_format == LogFormat::Connect {
        return (LogFormat::Connect, false);
    }
    let at = draft.log_at.unwrap_or(draft.at);
    loader.returns_to(at);
    let mut format = draft.log_format.clone();
    let mut nothing = false;
    if draft.mode == Mode::Http && format == LogFormat::Tcp && draft.http.httplog.is_some() {
        let purpose = Purpose { places: &[Place::Log], http: true, log: true };
        let text = if draft.http.clf { HTTP_CLF } else { HTTP };
        if let Ok(read) = parse(&draft.context, text, purpose) {
            format = LogFormat::Custom(read);
        }
        return (format, true);
    }
    if let LogFormat::Custom(parsed) = &mut format {
        let purpose = Purpose { places: &[Place::Log], http: draft.mode == Mode::Http, log: true };
        match parse(&draft.context, &draft.log_text, purpose) {
            Ok(read) => *parsed = read,
            Err(Wrong::Planned(keyword)) => {
                loader.binder.error(at, Problem::Planned { keyword });
            }
            Err(Wrong::Said(why)) => {
                // What was read before the mistake counts as a format.
                nothing = draft.log_text.starts_with('%')
                    && !why.contains("']' after '")
                    && !(why.starts_with("truncated line after '%'") && draft.log_text.len() > 1);
                let text = format!("failed to parse log-format : {why}.");
                loader.binder.complain(Severity::Error, CAPITAL, at, text);
            }
        }
    }
    (format, !nothing)
}

/// Complains about a format without a target.
pub(super) fn target(loader: &mut Loader, draft: &Draft) {
    let at = draft.log_at.unwrap_or(draft.at);
    if super::targets(loader, draft).is_empty() {
        let text = format!(
            "log format ignored for {} '{}' since it has no log address.",
            draft.kind.noun(),
            draft.name
        );
        loader.binder.complain(Severity::Warning, NOWHERE, at, text).help =
            Some("write 'log global' here and 'log …' into 'global'".into());
    }
}

//! Rules of HTTP, the statistics page, and what else a proxy does with messages.

use std::sync::Arc;

use conf::Problem;
use proxy::{Http, Mode};
use rules::http::{HttpAction, HttpRule};

use super::rules::{Lowering, Names};
use crate::draft::{Draft, HttpRuleDraft};
use crate::load::Loader;

/// Lowers what a proxy does with messages; `None` for a tcp proxy, whose rules are only checked.
pub(super) fn lower(loader: &mut Loader, draft: &Draft, names: &Names) -> Option<Box<Http>> {
    let http = &draft.http;
    let mut lowering = Lowering::new(loader, draft, names);
    let mut request = rules(&mut lowering, &http.request_rules);
    request.extend(rules(&mut lowering, &http.redirect_rules));
    let response = rules(&mut lowering, &http.response_rules);
    let after_response = rules(&mut lowering, &http.after_response_rules);
    let monitor_fail = http.monitor_fail.iter().map(|draft| lowering.condition(draft)).collect();
    let stats = http.stats.as_ref().map(|stats| {
        let mut model = stats.model.clone();
        model.admin = stats.admin.iter().map(|draft| lowering.condition(draft)).collect();
        model.rules = rules(&mut lowering, &stats.rules);
        Arc::new(model)
    });
    if draft.mode != Mode::Http {
        return None;
    }
    for (at, keyword) in &http.unserved {
        let keyword = format!("{keyword} (in mode http)");
        lowering.loader.binder.error(*at, Problem::Planned { keyword });
    }
    if http.layer7_balance && draft.kind.is_server_side() {
        let keyword = "balance uri, url_param, hdr (in mode http)".to_owned();
        lowering.loader.binder.error(draft.at, Problem::Planned { keyword });
    }
    let captures = draft.rules.captures;
    Some(Box::new(Http {
        request,
        response,
        after_response,
        monitor_fail,
        stats,
        captures,
        ..http.model.clone()
    }))
}

fn rules(lowering: &mut Lowering<'_>, drafts: &[HttpRuleDraft]) -> Vec<HttpRule> {
    let mut rules = vec![];
    let speaks_http = lowering.draft.mode == Mode::Http;
    for draft in drafts {
        if speaks_http {
            for keyword in &draft.planned {
                let keyword = keyword.clone();
                lowering.loader.binder.error(draft.at, Problem::Planned { keyword });
            }
        }
        let Some(mut action) = draft.action.clone() else { continue };
        if let HttpAction::Plain(plain) = &mut action {
            lowering.track(plain, draft.at);
        }
        let place = format!("{} expression", draft.family);
        for expr in action.exprs_mut() {
            lowering.sample(expr, draft.at, &place);
        }
        let condition = draft.condition.as_ref().map(|draft| lowering.condition(draft));
        rules.push(HttpRule { action, condition, at: lowering.loader.written(draft.at) });
    }
    rules
}

//! Rules of HTTP on a session.

use http::Response;
use relay::Stream;
use rules::http::{HttpRule, HttpVerdict, Messages, run};
use rules::{Condition, Scope, Truth};

use crate::session::Session;

impl Session {
    /// Runs rules on the request, or on an answer to it.
    pub(super) fn http_rules(
        &mut self,
        client: &Stream,
        rules: &[HttpRule],
        answer: Option<&mut Response>,
    ) -> HttpVerdict {
        if rules.is_empty() {
            return HttpVerdict::Go;
        }
        let Some(mut request) = self.notes().request.take() else { return HttpVerdict::Go };
        let verdict = self.judge(Some(client), |view, _, record| {
            let mut messages = Messages { request: &mut request, response: answer };
            run(rules, view, record, &mut messages)
        });
        self.notes().request = Some(request);
        self.readdress(false);
        verdict
    }

    /// Whether one of these conditions holds.
    pub(super) fn any_holds(&mut self, client: &Stream, conditions: &[Condition]) -> bool {
        if conditions.is_empty() {
            return false;
        }
        self.judge(Some(client), |view, _, record| {
            let scope = Scope { http: view.exchange(), ..Scope::new(view) };
            conditions.iter().any(|condition| condition.eval(&scope, record) == Truth::Yes)
        })
    }

    /// The exchange that is under way.
    pub(super) fn notes(&mut self) -> &mut super::Notes {
        let extra = self.extra.get_or_insert_default();
        extra.http.get_or_insert_with(|| Box::new(super::Notes::new(0, 0, 0)))
    }
}

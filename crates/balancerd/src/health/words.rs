//! What steps of checks need besides bytes: HAProxy's rule engine, looking at a check.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

use check::{Heard, Words};
use proxy::CheckAct;
use relay::Target;
use rules::format::Variable as LogVariable;
use rules::record::{Process, Record};
use rules::scope::{BackendNumber, End, Environment, FrontendNumber, Name, Number, ServerNumber};
use rules::scope::{Exchange, Waiting};
use rules::{Scope, Type, Value};

use super::ward::Ward;

/// The words of one check.
pub(super) struct CheckWords<'a> {
    facts: Facts<'a>,
    record: Record,
}

/// What rules can know of a check.
struct Facts<'a> {
    ward: Ward<'a>,
    target: Target,
}

impl<'a> CheckWords<'a> {
    pub(super) fn new(ward: Ward<'a>, target: Target) -> Self {
        Self { facts: Facts { ward, target }, record: Record::default() }
    }

    fn words(&self) -> &'a proxy::CheckWords {
        &self.facts.ward.backend_config().check_words
    }
}

impl Words for CheckWords<'_> {
    fn matches(&self, regex: usize, bytes: &[u8]) -> bool {
        self.words().regexes.get(regex).is_some_and(|regex| regex.is_match(bytes))
    }

    fn format(&mut self, format: usize, heard: Heard<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(format) = self.words().formats.get(format) {
            let Self { facts, record } = self;
            seen(facts, heard, |scope| format.write(&scope, record, &mut out));
        }
        out
    }

    fn number(&mut self, expression: usize, heard: Heard<'_>) -> Option<i64> {
        let expression = self.words().numbers.get(expression)?;
        let Self { facts, record } = self;
        seen(facts, heard, |scope| {
            let text = expression.eval(&scope, record).value()?.cast(Type::Str)?.into_text();
            let text = String::from_utf8_lossy(&text).into_owned();
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            text[..digits].parse().ok()
        })
    }

    fn act(&mut self, rule: usize, heard: Heard<'_>) {
        let Some(act) = self.words().acts.get(rule) else { return };
        let Self { facts, record } = self;
        let process = facts.process();
        seen(facts, heard, |scope| match act {
            CheckAct::Unset(variable) => record.set(variable, None, process),
            CheckAct::Set(variable, expr) => {
                let value = expr.eval(&scope, record).value().map(Value::into_owned);
                record.set(variable, value, process);
            }
            CheckAct::Format(variable, format) => {
                let mut text = Vec::new();
                format.write(&scope, record, &mut text);
                record.set(variable, Some(Value::Str(text.into())), process);
            }
        });
    }

    fn state(&mut self) -> String {
        self.facts.ward.reported_state(&self.facts.target)
    }
}

/// Looks at an answer as rules do.
fn seen<T>(facts: &Facts<'_>, heard: Heard<'_>, look: impl FnOnce(Scope<'_>) -> T) -> T {
    let answer = Waiting { bytes: heard.bytes, complete: true };
    let head = (heard.status > 0).then(|| response(heard));
    let http = Exchange { request: None, response: head.as_ref() };
    look(Scope { response: Some(answer), http: Some(http), ..Scope::new(facts) })
}

/// The head of an answer.
fn response(heard: Heard<'_>) -> http::Response {
    let mut headers = http::Headers::default();
    for (name, value) in heard.headers {
        headers.add(&String::from_utf8_lossy(name), value);
    }
    http::Response {
        version: http::Version::Http11,
        status: heard.status,
        reason: String::new(),
        headers,
    }
}

impl Environment for Facts<'_> {
    fn address(&self, which: End) -> Option<SocketAddr> {
        match (which, &self.target) {
            (End::ServerDestination, Target::Inet(address)) => Some(*address),
            _ => None,
        }
    }

    fn is_local(&self, _: IpAddr) -> Option<bool> {
        None
    }

    fn number(&self, what: Number) -> Option<i64> {
        match what {
            Number::BackendId => Some(self.ward.backend_config().id.into()),
            Number::ServerId => Some(self.ward.config().id.into()),
            Number::Pid => Some(std::process::id().into()),
            Number::Uptime => {
                let started = self.ward.shared().started;
                let age = SystemTime::now().duration_since(started).unwrap_or_default();
                i64::try_from(age.as_secs()).ok()
            }
            Number::Connections => Some(self.ward.shared().process.current().into()),
            _ => None,
        }
    }

    fn name(&self, what: Name) -> Option<Cow<'_, str>> {
        match what {
            Name::Backend => Some(self.ward.backend_config().name.as_str().into()),
            Name::Server => Some(self.ward.config().name.as_str().into()),
            _ => None,
        }
    }

    fn frontend(&self, frontend: usize, what: FrontendNumber) -> Option<i64> {
        let state = self.ward.shared().frontends.get(frontend)?;
        Some(match what {
            FrontendNumber::Connections => state.gate.current().into(),
            FrontendNumber::SessionRate => state.traffic.rate.now().into(),
            FrontendNumber::RequestRate => state.traffic.http.request_rate.now().into(),
        })
    }

    fn backend(&self, backend: usize, what: BackendNumber) -> Option<i64> {
        let state = self.ward.shared().backends.get(backend)?;
        let view = state.balancer.look(|pool| pool.view());
        match what {
            BackendNumber::Connections => Some(state.traffic.current.load(Relaxed).into()),
            BackendNumber::SessionRate => Some(state.traffic.rate.now().into()),
            BackendNumber::UsableServers => Some((view.active + view.backup).into()),
            BackendNumber::Queue => Some(view.waiting.into()),
            _ => None,
        }
    }

    fn server(&self, backend: usize, server: usize, what: ServerNumber) -> Option<i64> {
        let state = self.ward.shared().backends.get(backend)?;
        let traffic = &state.servers.get(server)?.traffic;
        match what {
            ServerNumber::Connections => Some(traffic.current.load(Relaxed).into()),
            ServerNumber::SessionRate => Some(traffic.rate.now().into()),
            _ => None,
        }
    }

    fn backend_named(&self, name: &str) -> Option<usize> {
        self.ward.shared().config.backends.iter().position(|backend| backend.name == name)
    }

    fn server_named(&self, backend: usize, name: &str) -> Option<usize> {
        let servers = &self.ward.shared().config.backends.get(backend)?.servers;
        servers.iter().position(|server| server.name == name)
    }

    fn random(&self, below: u64) -> u64 {
        fastrand::u64(..below.max(1))
    }

    fn process(&self) -> &Process {
        &self.ward.shared().variables
    }

    fn log_variable(&self, _: LogVariable, _: &mut Vec<u8>) -> bool {
        false
    }
}

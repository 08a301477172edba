//! Rules: what is done if a condition holds.

use crate::acl::{Condition, Truth};
use crate::expr::Expr;
use crate::format::Format;
use crate::record::{Record, Variable};
use crate::scope::{Found, Scope};
use crate::value::Value;

/// What a rule does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// `accept`: no more rules of this place.
    Accept,
    /// `reject`: the connection is closed.
    Reject,
    /// `close`: the connection to the server is.
    Close,
    /// `silent-drop`: the client is not told.
    SilentDrop,
    /// `set-var(name) expr`.
    SetVar(Variable, Expr),
    /// `set-var-fmt(name) format`.
    SetVarFormat(Variable, Format),
    /// `unset-var(name)`.
    UnsetVar(Variable),
    /// `set-src expr`.
    SetSource(Expr),
    /// `set-src-port expr`.
    SetSourcePort(Expr),
    /// `set-dst expr`.
    SetDestination(Expr),
    /// `set-dst-port expr`.
    SetDestinationPort(Expr),
    /// `set-log-level`: the severity's number, [`SILENT`](crate::record::SILENT) for none.
    SetLogLevel(u8),
    /// `capture expr len n`: kept in a slot, so many bytes of it.
    Capture {
        /// What.
        expr: Expr,
        /// The slot.
        slot: usize,
        /// So many bytes.
        length: usize,
    },
    /// It only sets what nothing here depends on.
    Nothing,
}

/// An action and when it is done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// What is done.
    pub action: Action,
    /// When; `None`: always.
    pub condition: Option<Condition>,
}

/// What rules decide of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It goes on.
    Accept,
    /// It is closed.
    Reject,
    /// The connection to the server is closed.
    Close,
    /// It is forgotten, without a word to the client.
    SilentDrop,
    /// More bytes, or the end of the delay, will tell.
    Wait,
}

/// Runs rules in their order until one decides.
pub fn run<'a>(rules: &'a [Rule], scope: &Scope<'a>, record: &mut Record) -> Verdict {
    for rule in rules {
        if let Some(condition) = &rule.condition {
            match condition.eval(scope, record) {
                Truth::Yes => {}
                Truth::No => continue,
                Truth::Unknown => return Verdict::Wait,
            }
        }
        match &rule.action {
            Action::Accept => return Verdict::Accept,
            Action::Reject => return Verdict::Reject,
            Action::Close => return Verdict::Close,
            Action::SilentDrop => return Verdict::SilentDrop,
            Action::Capture { expr, slot, length } => match expr.eval(scope, record) {
                Found::NotYet | Found::Tentative(_) if !scope.last => return Verdict::Wait,
                found => {
                    let text = found.value().map(|value| {
                        let text = value.into_text();
                        text[..text.len().min(*length)].into()
                    });
                    if record.captures.len() <= *slot {
                        record.captures.resize(slot + 1, None);
                    }
                    record.captures[*slot] = text;
                }
            },
            action => note(action, scope, record),
        }
    }
    Verdict::Accept
}

/// Actions that only write something down.
fn note<'a>(action: &'a Action, scope: &Scope<'a>, record: &mut Record) {
    let process = scope.environment.process();
    // What is not there when the rule runs is not waited for.
    let value = |expr: &'a Expr, record: &mut Record| -> Option<Value<'a>> {
        expr.eval(&Scope { last: true, ..*scope }, record).value()
    };
    match action {
        Action::SetVar(variable, expr) => {
            if let Some(value) = value(expr, record) {
                record.set(variable, Some(value.into_owned()), process);
            }
        }
        Action::SetVarFormat(variable, format) => {
            let mut text = Vec::new();
            format.write(scope, record, &mut text);
            record.set(variable, Some(Value::Str(text.into())), process);
        }
        Action::UnsetVar(variable) => record.set(variable, None, process),
        Action::SetSource(expr) => {
            record.source = value(expr, record).and_then(|v| v.address()).or(record.source);
        }
        Action::SetDestination(expr) => {
            let ip = value(expr, record).and_then(|v| v.address());
            record.destination = ip.or(record.destination);
        }
        Action::SetSourcePort(expr) => {
            let port = value(expr, record).and_then(|v| v.number()).map(|port| port as u16);
            record.source_port = port.or(record.source_port);
        }
        Action::SetDestinationPort(expr) => {
            let port = value(expr, record).and_then(|v| v.number()).map(|port| port as u16);
            record.destination_port = port.or(record.destination_port);
        }
        Action::SetLogLevel(level) => record.log_level = Some(*level),
        Action::Accept
        | Action::Reject
        | Action::Close
        | Action::SilentDrop
        | Action::Capture { .. }
        | Action::Nothing => {}
    }
}

impl Action {
    /// The expressions in it.
    pub fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        match self {
            Self::SetVar(_, expr)
            | Self::SetSource(expr)
            | Self::SetSourcePort(expr)
            | Self::SetDestination(expr)
            | Self::SetDestinationPort(expr)
            | Self::Capture { expr, .. } => vec![expr],
            Self::SetVarFormat(_, format) => format.exprs_mut(),
            _ => Vec::new(),
        }
    }

    /// Whether it looks at bytes of the client.
    pub fn reads_request(&self) -> bool {
        match self {
            Self::SetVar(_, expr)
            | Self::SetSource(expr)
            | Self::SetSourcePort(expr)
            | Self::SetDestination(expr)
            | Self::SetDestinationPort(expr)
            | Self::Capture { expr, .. } => expr.reads_request(),
            Self::SetVarFormat(_, format) => format.reads_request(),
            _ => false,
        }
    }
}

impl Rule {
    /// Whether it looks at bytes of the client.
    pub fn reads_request(&self) -> bool {
        self.action.reads_request() || self.condition.as_ref().is_some_and(Condition::reads_request)
    }
}

//! Rules: what is done if a condition holds.

use crate::acl::{Condition, Truth};
use crate::arg::Arg;
use crate::expr::Expr;
use crate::format::Format;
use crate::record::{Record, Variable, Written};
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
    /// `track-sc<n> expr`: the entry of a key counts this connection.
    Track {
        /// Which of the connection's counters.
        counter: usize,
        /// The key.
        expr: Expr,
        /// The table: a name, and once all is read its position.
        table: Arg,
        /// Among the rules that look at bytes.
        content: bool,
    },
    /// `sc-inc-gpc(index,counter)` and its kin, `sc-add-gpc(index,counter) by`.
    AddGpc {
        /// What it is called: the first, the second, or one of the array.
        data: stick::Data,
        /// Of the array.
        index: usize,
        /// Which of the connection's counters.
        counter: usize,
        /// How much is added.
        by: Operand,
    },
    /// `sc-set-gpt(index,counter) to`.
    SetGpt {
        /// The only one, or one of the array.
        data: stick::Data,
        /// Of the array.
        index: usize,
        /// Which of the connection's counters.
        counter: usize,
        /// What it is then.
        to: Operand,
    },
    /// `expect-proxy layer4`: the connection begins with a PROXY header.
    ExpectProxy,
    /// `set-mark`: SO_MARK of the client's connection.
    SetMark(u32),
    /// `set-tos`: the type of service of the client's connection.
    SetTos(u8),
    /// It only sets what nothing here depends on.
    Nothing,
}

/// A number, or what an expression finds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Operand {
    /// This number.
    Number(u32),
    /// The number an expression finds.
    Expr(Expr),
}

impl Operand {
    fn number<'a>(&'a self, scope: &Scope<'a>, record: &mut Record) -> Option<u64> {
        match self {
            Self::Number(number) => Some((*number).into()),
            Self::Expr(expr) => {
                let value = expr.eval(&Scope { last: true, ..*scope }, record).value()?;
                u64::try_from(value.number()?).ok()
            }
        }
    }

    fn expr_mut(&mut self) -> Option<&mut Expr> {
        match self {
            Self::Number(_) => None,
            Self::Expr(expr) => Some(expr),
        }
    }
}

/// An action and when it is done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// What is done.
    pub action: Action,
    /// When; `None`: always.
    pub condition: Option<Condition>,
    /// Where it stands.
    pub at: Written,
}

impl Rule {
    /// A rule that is written nowhere.
    pub fn new(action: Action, condition: Option<Condition>) -> Self {
        Self { action, condition, at: Written::default() }
    }
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
        let mut decide = |verdict| {
            record.decided = Some(rule.at.clone());
            verdict
        };
        match &rule.action {
            Action::Accept => return decide(Verdict::Accept),
            Action::Reject => return decide(Verdict::Reject),
            Action::Close => return decide(Verdict::Close),
            Action::SilentDrop => return decide(Verdict::SilentDrop),
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
            Action::Track { counter, expr, table, content } => {
                if !record.counters.has(*counter, *content)
                    && !track(*counter, expr, table, *content, scope, record)
                {
                    return Verdict::Wait;
                }
            }
            action => note(action, scope, record),
        }
    }
    Verdict::Accept
}

/// Tracks the entry of a key, if there is a key. Whether it need not wait for more bytes.
fn track<'a>(
    counter: usize,
    expr: &'a Expr,
    table: &Arg,
    content: bool,
    scope: &Scope<'a>,
    record: &mut Record,
) -> bool {
    let value = match expr.eval(scope, record) {
        Found::NotYet | Found::Tentative(_) if !scope.last => return false,
        found => found.value(),
    };
    let Arg::Table(table) = table else { return true };
    let Some(table) = scope.environment.table(*table) else { return true };
    let key = value.and_then(|value| table.key(value)).filter(|key| !key.is_empty());
    if let Some(tracked) = key.and_then(|key| table.track(counter, content, &key)) {
        record.counters.push(tracked);
    }
    true
}

/// Actions that only write something down.
pub(crate) fn note<'a>(action: &'a Action, scope: &Scope<'a>, record: &mut Record) {
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
        // Among the rules of HTTP: the whole head is there, and it is a request.
        Action::Track { counter, expr, table, content } => {
            if !record.counters.has(*counter, *content) {
                let scope = Scope { last: true, ..*scope };
                track(*counter, expr, table, *content, &scope, record);
                if let Some(tracked) = record.counters.get(*counter).filter(|t| t.content()) {
                    tracked.count_request();
                }
            }
        }
        Action::ExpectProxy => record.expect_proxy = true,
        Action::SetMark(mark) => record.mark = Some(*mark),
        Action::SetTos(tos) => record.tos = Some(*tos),
        Action::AddGpc { data, index, counter, by } => {
            if let Some(by) = by.number(scope, record)
                && let Some(tracked) = record.counters.get(*counter)
            {
                crate::fetch::tables::increment(
                    tracked.table(),
                    tracked.entry(),
                    *data,
                    *index,
                    by,
                );
            }
        }
        Action::SetGpt { data, index, counter, to } => {
            if let Some(to) = to.number(scope, record)
                && let Some(tracked) = record.counters.get(*counter)
            {
                tracked.table().change(tracked.entry(), |table, now| {
                    table.set(now, tracked.entry(), *data, *index, to)
                });
            }
        }
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
            | Self::Track { expr, .. }
            | Self::Capture { expr, .. } => vec![expr],
            Self::AddGpc { by: operand, .. } | Self::SetGpt { to: operand, .. } => {
                operand.expr_mut().into_iter().collect()
            }
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
            | Self::Track { expr, .. }
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

//! Rules: what is done if a condition holds.

use crate::acl::{Condition, Truth};
use crate::arg::Arg;
use crate::expr::Expr;
use crate::format::Format;
use crate::later::Lookup;
use crate::list::{Refused, Use, Which};
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
    /// `set-var(name,conditions) expr`, `set-var-fmt(name,conditions) format`: if all hold.
    SetVarIf(Box<Conditional>),
    /// `set-map`, `del-map`, `add-acl`, `del-acl`.
    ChangeList(Box<ListChange>),
    /// `do-resolve(variable,resolvers) expr`: what is behind it waits for the answer.
    Resolve(Box<Lookup>),
    /// `set-priority-class expr`: -2047 to 2047, what is beyond is cut.
    SetPriorityClass(Expr),
    /// `set-priority-offset expr`: -524287 to 524287 milliseconds, what is beyond is cut.
    SetPriorityOffset(Expr),
    /// `set-timeout which to`, in milliseconds.
    SetTimeout(Timeout, Operand),
    /// `set-retries n`.
    SetRetries(Operand),
    /// `set-bc-mark n`: SO_MARK of the connection to the server.
    SetServerMark(Operand),
    /// `set-bc-tos n`: the type of service of the connection to the server.
    SetServerTos(Operand),
    /// `silent-drop rst-ttl n`: a reset is sent that gets so many routers far.
    DropWithReset(u8),
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
    /// `expect-netscaler-cip layer4`: the connection begins with a NetScaler's word of its client.
    ExpectNetscaler,
    /// `set-mark`: SO_MARK of the client's connection.
    SetMark(u32),
    /// `set-tos`: the type of service of the client's connection.
    SetTos(u8),
    /// It only sets what nothing here depends on.
    Nothing,
}

/// A [`SetVarIf`](Action::SetVarIf).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conditional {
    /// What is set.
    pub variable: Variable,
    /// To what.
    pub to: Input,
    /// All of them have to hold.
    pub conditions: Vec<VarCondition>,
}

/// What a variable is set to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Input {
    /// What an expression finds.
    Expr(Expr),
    /// What a format stands for.
    Format(Format),
}

/// When a variable is set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VarCondition {
    /// `ifset`, `ifexists`: it has a value.
    Set,
    /// `ifnotset`, `ifnotexists`: it has none.
    NotSet,
    /// `ifempty`: what it is set to is text or bytes, and there are none.
    Empty,
    /// `ifnotempty`.
    NotEmpty,
    /// `ifgt`: it is greater than what it is set to, if both are numbers.
    Greater,
    /// `iflt`: it is less than what it is set to, if both are numbers.
    Less,
}

impl VarCondition {
    /// HAProxy's names. A variable of the process always exists.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("ifexists", Self::Set),
        ("ifnotexists", Self::NotSet),
        ("ifset", Self::Set),
        ("ifnotset", Self::NotSet),
        ("ifempty", Self::Empty),
        ("ifnotempty", Self::NotEmpty),
        ("ifgt", Self::Greater),
        ("iflt", Self::Less),
    ];

    fn holds(self, now: Option<&Value<'_>>, new: &Value<'_>) -> bool {
        let empty = match new {
            Value::Str(text) | Value::Bin(text) => text.is_empty(),
            _ => false,
        };
        let order = match (now, new) {
            (Some(Value::Int(now)), Value::Int(new)) => Some(now.cmp(new)),
            _ => None,
        };
        match self {
            Self::Set => now.is_some(),
            Self::NotSet => now.is_none(),
            Self::Empty => empty,
            Self::NotEmpty => !empty,
            Self::Greater => order.is_none_or(std::cmp::Ordering::is_gt),
            Self::Less => order.is_none_or(std::cmp::Ordering::is_lt),
        }
    }
}

/// A [`ChangeList`](Action::ChangeList).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListChange {
    /// The file of the list: a list nobody uses is not there to be changed.
    pub file: Box<str>,
    /// Whose it is: of a map, or of ACLs.
    pub list: Use,
    /// The pattern.
    pub key: Format,
    /// `set-map`: the value it gets. It is added if it is not there.
    pub value: Option<Format>,
    /// It is removed.
    pub remove: bool,
}

impl ListChange {
    fn make<'a>(&'a self, scope: &Scope<'a>, record: &mut Record) {
        let mut text = |format: &'a Format| {
            let mut out = Vec::new();
            format.write(scope, record, &mut out);
            String::from_utf8_lossy(&out).into_owned()
        };
        let key = text(&self.key);
        let value = self.value.as_ref().map(text);
        let lists = scope.environment.patterns();
        let Some(list) = lists.iter().find(|list| list.is_of(&self.file, self.list)) else {
            return;
        };
        // What is no pattern or no value of this list leaves it as it is.
        let _ = match (&value, self.remove) {
            (_, true) => list.remove(Which::Key(&key)),
            (Some(value), _) => match list.set_value(Which::Key(&key), value) {
                Err(Refused::NotFound) => list.add(None, &key, Some(value)),
                done => done,
            },
            (None, _) => {
                if list.entries(None).iter().any(|entry| *entry.key == *key) {
                    return;
                }
                list.add(None, &key, None)
            }
        };
    }
}

/// Which of a session's [`Timeouts`](crate::record::Timeouts).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Timeout {
    /// For how long the client may be silent.
    Client,
    /// For how long a connect may take.
    Connect,
    /// For how long it may wait in a queue.
    Queue,
    /// For how long the server may be silent.
    Server,
    /// For how long a tarpit holds it.
    Tarpit,
    /// For how long both may be silent.
    Tunnel,
}

impl Timeout {
    /// HAProxy's names.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("client", Self::Client),
        ("connect", Self::Connect),
        ("queue", Self::Queue),
        ("server", Self::Server),
        ("tarpit", Self::Tarpit),
        ("tunnel", Self::Tunnel),
    ];

    fn set(self, record: &mut Record, millis: u32) {
        let timeouts = record.timeouts.get_or_insert_default();
        let place = match self {
            Self::Client => &mut timeouts.client,
            Self::Connect => &mut timeouts.connect,
            Self::Queue => &mut timeouts.queue,
            Self::Server => &mut timeouts.server,
            Self::Tarpit => &mut timeouts.tarpit,
            Self::Tunnel => &mut timeouts.tunnel,
        };
        *place = Some(millis);
    }
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

/// Runs rules in their order until one decides. One that has a [`Question`](crate::Question) leaves
/// it in [`Record::question`] and waits; the next run goes on behind it.
pub fn run<'a>(rules: &'a [Rule], scope: &Scope<'a>, record: &mut Record) -> Verdict {
    let from = std::mem::take(&mut record.resume);
    for (at, rule) in rules.iter().enumerate().skip(from) {
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
            Action::DropWithReset(hops) => {
                let verdict = decide(Verdict::SilentDrop);
                record.reset_hops = Some(*hops);
                return verdict;
            }
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
            Action::Resolve(lookup) => {
                if let Some(question) = lookup.question(scope, record) {
                    (record.question, record.resume) = (Some(Box::new(question)), at + 1);
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

const MOST_CLASS: i64 = 2_047;
const MOST_OFFSET: i64 = 524_287;

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
        Action::SetVarIf(set) => {
            let new = match &set.to {
                Input::Expr(expr) => value(expr, record),
                Input::Format(format) => {
                    let mut text = Vec::new();
                    format.write(scope, record, &mut text);
                    Some(Value::Str(text.into()))
                }
            };
            let Some(new) = new else { return };
            let now = record.get(&set.variable, process);
            if set.conditions.iter().all(|condition| condition.holds(now.as_ref(), &new)) {
                record.set(&set.variable, Some(new.into_owned()), process);
            }
        }
        Action::ChangeList(change) => change.make(scope, record),
        Action::SetPriorityClass(expr) => {
            if let Some(class) = value(expr, record).and_then(|v| v.number()) {
                record.priority.0 = class.clamp(-MOST_CLASS, MOST_CLASS) as i16;
            }
        }
        Action::SetPriorityOffset(expr) => {
            if let Some(offset) = value(expr, record).and_then(|v| v.number()) {
                record.priority.1 = offset.clamp(-MOST_OFFSET, MOST_OFFSET) as i32;
            }
        }
        Action::SetTimeout(which, to) => {
            if let Some(millis) = to.number(scope, record) {
                which.set(record, u32::try_from(millis).unwrap_or(u32::MAX));
            }
        }
        Action::SetRetries(to) => {
            // As in HAProxy: no more than a hundred.
            if let Some(retries) = to.number(scope, record).filter(|n| (1..=100).contains(n)) {
                record.retries = Some(retries as u32);
            }
        }
        Action::SetServerMark(to) => {
            record.server_mark = to.number(scope, record).map(|n| n as u32).or(record.server_mark);
        }
        Action::SetServerTos(to) => {
            record.server_tos = to.number(scope, record).map(|n| n as u8).or(record.server_tos);
        }
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
        Action::ExpectNetscaler => record.expect_netscaler = true,
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
        | Action::DropWithReset(_)
        | Action::Capture { .. }
        | Action::Resolve(_)
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
            Self::SetPriorityClass(expr) | Self::SetPriorityOffset(expr) => vec![expr],
            Self::AddGpc { by: operand, .. }
            | Self::SetGpt { to: operand, .. }
            | Self::SetTimeout(_, operand)
            | Self::SetRetries(operand)
            | Self::SetServerMark(operand)
            | Self::SetServerTos(operand) => operand.expr_mut().into_iter().collect(),
            Self::SetVarFormat(_, format) => format.exprs_mut(),
            Self::SetVarIf(set) => match &mut set.to {
                Input::Expr(expr) => vec![expr],
                Input::Format(format) => format.exprs_mut(),
            },
            Self::Resolve(lookup) => vec![&mut lookup.expr],
            Self::ChangeList(change) => {
                let mut exprs = change.key.exprs_mut();
                exprs.extend(change.value.iter_mut().flat_map(Format::exprs_mut));
                exprs
            }
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
            Self::SetPriorityClass(expr) | Self::SetPriorityOffset(expr) => expr.reads_request(),
            Self::Resolve(lookup) => lookup.expr.reads_request(),
            Self::SetVarFormat(_, format) => format.reads_request(),
            Self::SetVarIf(set) => match &set.to {
                Input::Expr(expr) => expr.reads_request(),
                Input::Format(format) => format.reads_request(),
            },
            Self::SetTimeout(_, Operand::Expr(expr))
            | Self::SetRetries(Operand::Expr(expr))
            | Self::SetServerMark(Operand::Expr(expr))
            | Self::SetServerTos(Operand::Expr(expr)) => expr.reads_request(),
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

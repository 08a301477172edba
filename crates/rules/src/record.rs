//! What rules write down: variables, and what they changed of a connection.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use crate::value::Value;

/// For how long a variable lives.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Scope {
    /// `proc`: as long as the process.
    Process,
    /// `sess`: as long as the client's connection.
    Session,
    /// `txn`: from the request to the end of the answer; of a TCP connection, its whole life.
    Transaction,
    /// `req`: while the request is looked at.
    Request,
    /// `res`: while the answer is looked at.
    Response,
    /// `check`: in a health check.
    Check,
}

impl Scope {
    /// The names in front of a variable's.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("proc", Self::Process),
        ("sess", Self::Session),
        ("txn", Self::Transaction),
        ("req", Self::Request),
        ("res", Self::Response),
        ("check", Self::Check),
    ];
}

/// The name of a variable.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Variable {
    /// For how long it lives.
    pub scope: Scope,
    /// What comes after the dot.
    pub name: Box<str>,
}

impl Variable {
    /// Reads `scope.name`.
    ///
    /// # Errors
    ///
    /// What HAProxy says of a name that is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("Empty variable name cannot be accepted".to_owned());
        }
        let known = Scope::NAMES
            .iter()
            .find_map(|(name, scope)| Some((scope, text.strip_prefix(name)?.strip_prefix('.')?)));
        let Some((scope, name)) = known else {
            return Err(format!(
                "invalid variable name '{text}'. A variable name must start with its scope. The \
                 scope can be 'proc', '(p)sess', '(p)txn', '(p)req', '(p)res' or 'check'"
            ));
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        if let Some(wrong) = name.chars().find(|c| !allowed(*c)) {
            return Err(format!("invalid syntax at char '{wrong}'"));
        }
        Ok(Self { scope: *scope, name: name.into() })
    }
}

type Values = Vec<(Variable, Value<'static>)>;

fn set(values: &mut Values, variable: &Variable, value: Option<Value<'static>>) {
    let at = values.iter().position(|(known, _)| known == variable);
    match (at, value) {
        (Some(at), Some(value)) => values[at].1 = value,
        (None, Some(value)) => values.push((variable.clone(), value)),
        (Some(at), None) => drop(values.swap_remove(at)),
        (None, None) => {}
    }
}

fn get<'v>(values: &'v Values, variable: &Variable) -> Option<&'v Value<'static>> {
    values.iter().find(|(known, _)| known == variable).map(|(_, value)| value)
}

/// Variables of the process. A `proc` variable that no configuration names is not created.
#[derive(Debug, Default)]
pub struct Process {
    values: RwLock<Values>,
}

impl Process {
    /// The value of a variable.
    pub fn get(&self, variable: &Variable) -> Option<Value<'static>> {
        get(&self.values.read().unwrap_or_else(PoisonError::into_inner), variable).cloned()
    }

    /// Sets a variable, or with `None` removes it.
    pub fn set(&self, variable: &Variable, value: Option<Value<'static>>) {
        set(&mut self.values.write().unwrap_or_else(PoisonError::into_inner), variable, value);
    }
}

/// Timeouts that rules set, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Timeouts {
    /// For how long the client may be silent.
    pub client: Option<u32>,
    /// For how long a connect may take.
    pub connect: Option<u32>,
    /// For how long it may wait in a queue.
    pub queue: Option<u32>,
    /// For how long the server may be silent.
    pub server: Option<u32>,
    /// For how long a tarpit holds it.
    pub tarpit: Option<u32>,
    /// For how long both may be silent.
    pub tunnel: Option<u32>,
}

/// Where a rule is written. It says nothing of what the rule does: all are equal.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// The file.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
}

impl PartialEq for Written {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Written {}

/// What the rules of one connection wrote down.
#[derive(Debug, Default)]
pub struct Record {
    values: Values,
    /// `track-sc`: what is tracked.
    pub counters: crate::tables::Counters,
    /// `set-src`.
    pub source: Option<IpAddr>,
    /// `set-src-port`.
    pub source_port: Option<u16>,
    /// `set-dst`.
    pub destination: Option<IpAddr>,
    /// `set-dst-port`.
    pub destination_port: Option<u16>,
    /// `set-log-level`: the severity's number; 8 is `silent`.
    pub log_level: Option<u8>,
    /// `expect-proxy layer4`: a PROXY header is to come.
    pub expect_proxy: bool,
    /// `expect-netscaler-cip layer4`: a NetScaler's word of the client is to come.
    pub expect_netscaler: bool,
    /// `set-mark`, until it is done.
    pub mark: Option<u32>,
    /// `set-tos`, until it is done.
    pub tos: Option<u8>,
    /// `set-timeout`.
    pub timeouts: Option<Box<Timeouts>>,
    /// `set-retries`.
    pub retries: Option<u32>,
    /// `set-priority-class` (-2047 to 2047) and `set-priority-offset` (-524287 to 524287, in
    /// milliseconds).
    pub priority: (i16, i32),
    /// `set-bc-mark`.
    pub server_mark: Option<u32>,
    /// `set-bc-tos`.
    pub server_tos: Option<u8>,
    /// `silent-drop rst-ttl`.
    pub reset_hops: Option<u8>,
    /// What has to be found out before its rules go on.
    pub question: Option<Box<crate::later::Question>>,
    /// The rule at which they go on.
    pub resume: usize,
    /// The last rule that ended the rules of its place.
    pub decided: Option<Written>,
    /// `capture`: what was kept, by slot.
    pub captures: Vec<Option<Box<[u8]>>>,
    /// What is kept of the answer, by slot.
    pub response_captures: Vec<Option<Box<[u8]>>>,
}

/// The highest [`Record::log_level`]: nothing is logged.
pub const SILENT: u8 = 8;

impl Record {
    /// The value of a variable.
    pub fn get(&self, variable: &Variable, process: &Process) -> Option<Value<'static>> {
        match variable.scope {
            Scope::Process => process.get(variable),
            _ => get(&self.values, variable).cloned(),
        }
    }

    /// Sets a variable, or with `None` removes it.
    pub fn set(&mut self, variable: &Variable, value: Option<Value<'static>>, process: &Process) {
        match variable.scope {
            Scope::Process => process.set(variable, value),
            _ => set(&mut self.values, variable, value),
        }
    }

    /// Forgets the variables of a scope that has ended.
    pub fn forget(&mut self, scope: Scope) {
        if scope == Scope::Transaction {
            self.counters.forget_content();
        }
        self.values.retain(|(variable, _)| variable.scope != scope);
    }
}

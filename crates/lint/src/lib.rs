//! What is in `/etc/keepalived`, `/etc/haproxy` and `/etc/nginx`: whether it runs here, what would
//! change, and which well-known mistakes it holds.
//!
//! ```text
//!   operands ──► node::read ──► nodes ──┬► router   one keepalived.conf
//!   /etc, node2/, a file                ├► proxies  one haproxy.cfg or nginx.conf
//!                                       ├► nearby   a node's files beside each other, and the machine
//!                                       └► across   the same cluster's nodes beside each other
//!                                                        │
//!                                             Report: verdicts, findings, arithmetic
//! ```
//!
//! A [`Finding`] never changes what a daemon does. It says file and line, what will happen, and what to
//! write instead. Which mistakes are looked for, and where they were seen, is [`RULES`].
//!
//! ```
//! use lint::{Elsewhere, Node, examine};
//!
//! let router = |priority: u8| {
//!     format!("vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 7\n priority {priority}\n virtual_ipaddress {{\n 192.0.2.1\n }}\n}}\n")
//! };
//! let nodes = [Node::of_keepalived("a", &router(100)), Node::of_keepalived("b", &router(100))];
//! let report = examine(&nodes, &Elsewhere);
//! let equal = report.findings.iter().find(|finding| finding.rule == "equal-priorities").unwrap();
//! assert_eq!(equal.to_string().lines().next().unwrap(),
//!     "b:4: error: node a has priority 100 too: which of them is master is decided by their addresses [equal-priorities]");
//! ```

#![forbid(unsafe_code)]

mod across;
mod detection;
mod machine;
mod nearby;
mod node;
mod proxies;
mod router;
mod rule;
mod show;

use std::fmt;

pub use conf::Severity;
pub use machine::{Elsewhere, Machine, This};
pub use node::{Keepalived, Node, NothingThere, Proxy, read};
pub use rule::{RULES, Rule};

/// One thing worth knowing about a configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The name of its rule in [`RULES`], or of the program whose own complaint it is.
    pub rule: &'static str,
    /// Error: it will not do what its author thinks. Warning: suspicious. Notice: good to know.
    pub severity: Severity,
    /// Where it stands.
    pub place: Location,
    /// What will happen.
    pub what: String,
    /// What to write instead; empty where nothing has to be.
    pub instead: String,
    /// The line with a caret, where a program's own parser found it.
    pub excerpt: Option<String>,
}

/// A line of a file.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Location {
    /// The file, as it was named.
    pub file: String,
    /// From 1; 0 is the file as a whole.
    pub line: usize,
}

impl Location {
    pub(crate) fn new(file: impl Into<String>, line: usize) -> Self {
        Self { file: file.into(), line }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// `FILE:LINE: error: what will happen [rule]`, and below it what to write instead; or the excerpt.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(excerpt) = &self.excerpt {
            return f.write_str(excerpt.trim_end());
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Notice => "note",
        };
        write!(f, "{}: {severity}: {} [{}]", self.place, self.what, self.rule)?;
        if !self.instead.is_empty() {
            write!(f, "\n    {}", self.instead)?;
        }
        Ok(())
    }
}

/// What became of one configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// The node it is of.
    pub node: String,
    /// The program it is written for: `keepalived`, `haproxy` or `nginx`.
    pub program: &'static str,
    /// Its file.
    pub file: String,
    /// Whether it runs here.
    pub runs: bool,
    /// What it amounts to: `2 virtual routers, 3 addresses`.
    pub amounts_to: String,
    /// Keywords that are read and have no effect here, each once.
    pub without_effect: Vec<String>,
}

/// Everything there is to say.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One for each configuration, in the order they were given.
    pub verdicts: Vec<Verdict>,
    /// By file and line, without repetitions.
    pub findings: Vec<Finding>,
    /// How long failures go unnoticed at worst, reckoned: a line each.
    pub arithmetic: Vec<String>,
}

impl Report {
    /// 0: all runs, and nothing is an error. 1: something does not run. 3: all runs, with errors.
    pub fn exit_code(&self) -> u8 {
        if self.verdicts.iter().any(|verdict| !verdict.runs) {
            1
        } else if self.findings.iter().any(|finding| finding.severity == Severity::Error) {
            3
        } else {
            0
        }
    }
}

/// Looks at the nodes of one cluster, of which the machine `here` is the first one.
pub fn examine(nodes: &[Node], here: &dyn Machine) -> Report {
    let mut report = Report::default();
    for (index, node) in nodes.iter().enumerate() {
        report.verdicts.extend(node.verdicts());
        let mut note = Note { findings: &mut report.findings };
        note.findings.extend(node.complaints());
        let machine = if index == 0 { here } else { &Elsewhere };
        if let Some(keepalived) = &node.keepalived {
            router::look(keepalived, &mut note);
        }
        for proxy in &node.proxies {
            proxies::look(proxy, &mut note);
        }
        nearby::look(node, machine, &mut note);
    }
    across::look(nodes, &mut Note { findings: &mut report.findings });
    report.arithmetic = detection::reckon(nodes);
    let mut known = std::collections::HashSet::new();
    report.findings.retain(|f| known.insert((f.place.clone(), f.rule, f.what.clone())));
    let order: Vec<String> = report.verdicts.iter().map(|verdict| verdict.file.clone()).collect();
    let rank = |file: &str| order.iter().position(|known| known == file).unwrap_or(order.len());
    report.findings.sort_by(|a, b| {
        let key = |f: &Finding| (rank(&f.place.file), f.place.clone());
        key(a).cmp(&key(b)).then(b.severity.cmp(&a.severity))
    });
    report
}

/// What `failoverd check` and `balancerd check` say about operands, and their exit code:
/// [`Report::exit_code`], or 2 where an operand has no configuration.
pub fn answer(operands: &[std::path::PathBuf]) -> (String, u8) {
    match read(operands) {
        Ok(nodes) => {
            let report = examine(&nodes, &This);
            (report.to_string(), report.exit_code())
        }
        Err(missing) => (missing.iter().map(|one| format!("{one}\n")).collect(), 2),
    }
}

/// Where rules put what they find.
pub(crate) struct Note<'a> {
    findings: &'a mut Vec<Finding>,
}

impl Note<'_> {
    pub(crate) fn add(
        &mut self,
        rule: &'static str,
        place: Location,
        what: impl Into<String>,
        instead: impl Into<String>,
    ) {
        let severity = rule::severity(rule);
        let (what, instead) = (what.into(), instead.into());
        self.findings.push(Finding { rule, severity, place, what, instead, excerpt: None });
    }
}

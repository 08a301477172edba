//! The daemons at work: real processes and real packets, in the nodes of crate `lab`.
//!
//! ```text
//!   failover  a master that resigns, dies, freezes, loses its cable
//!   reload    a master that is told to read its file again
//!   mixed     ours and the original in one group
//!   balance   which server a connection goes to, and what a check may touch
//!   rules     what HAProxy decides of a connection and its first bytes
//!   stream    half-close, time-outs, how the log names an end
//!   manners   what scripts and operators find: processes, sockets
//!   kernel    addresses, routes, rules, interfaces and the packet filter of a master
//!   bad_input what is refused, with which code, and that nothing is left
//!   snmp      what an SNMP agent is told
//!   observe   what people look at: dumps, status, metrics
//!   weak_points  where keepalived is weak, and ours beside it
//! ```

mod bad_input;
mod balance;
mod failover;
mod groups;
mod kernel;
mod manners;
mod mixed;
mod observe;
mod pair;
mod proxy;
mod reload;
mod rules;
mod snmp;
mod stream;
mod told;
mod weak_points;

use std::process::ExitCode;

use compat_tests::Subjects;
use lab::Subject;
use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let subjects = match compat_tests::begin() {
        Ok(subjects) => subjects,
        Err(why) => {
            eprintln!("{why:#}");
            return ExitCode::FAILURE;
        }
    };
    let mut arguments = Arguments::from_args();
    // Most tests wait for a protocol's clock; a few of them at a time leave each its share of a
    // small machine.
    arguments.test_threads.get_or_insert(4);
    println!("{}", subjects.said);
    let mut tests = Tests { subjects: &subjects, trials: Vec::new() };
    failover::register(&mut tests);
    reload::register(&mut tests);
    mixed::register(&mut tests);
    groups::register(&mut tests);
    balance::register(&mut tests);
    stream::register(&mut tests);
    manners::register(&mut tests);
    rules::register(&mut tests);
    bad_input::register(&mut tests);
    kernel::register(&mut tests);
    told::register(&mut tests);
    observe::register(&mut tests);
    snmp::register(&mut tests);
    weak_points::register(&mut tests);
    compat_tests::conclude(&arguments, tests.trials)
}

/// What the modules add their tests to.
struct Tests<'a> {
    subjects: &'a Subjects,
    trials: Vec<Trial>,
}

impl Tests<'_> {
    /// A test that holds for every subject.
    fn each(&mut self, name: &str, test: fn(&Subject) -> anyhow::Result<()>) {
        for subject in self.subjects.all().cloned().collect::<Vec<_>>() {
            self.add(format!("{}::{name}", subject.name()), move || test(&subject));
        }
    }

    /// A test of what only ours do.
    fn ours(&mut self, name: &str, test: fn(&Subject) -> anyhow::Result<()>) {
        if let Some(subject) = self.subjects.ours.clone() {
            self.add(format!("ours::{name}"), move || test(&subject));
        }
    }

    /// A test of ours beside the originals.
    fn both(&mut self, name: &str, test: fn(&Subject, &Subject) -> anyhow::Result<()>) {
        if let (Some(ours), Some(upstream)) =
            (self.subjects.ours.clone(), self.subjects.upstream.clone())
        {
            self.add(format!("both::{name}"), move || test(&ours, &upstream));
        }
    }

    fn add(&mut self, name: String, test: impl FnOnce() -> anyhow::Result<()> + Send + 'static) {
        self.trials
            .push(Trial::test(name, move || test().map_err(|why| format!("{why:#}").into())));
    }
}

//! Black-box tests: the daemons are run, their own code is not linked.
//!
//! ```text
//!            COMPAT_SUBJECT = upstream | ours | both
//!                 │
//!   config/  ─────┤  the check modes' verdicts, file by file, against golden text
//!   netns/   ─────┘  real packets between real processes, in the nodes of crate `lab`
//! ```
//!
//! A test is written once and run against every [`Subject`] it applies to. Both targets have a
//! `main` of their own, because a program must enter its namespaces before it starts threads:
//!
//! ```no_run
//! let subjects = compat_tests::begin()?;
//! println!("{}", subjects.said);
//! # anyhow::Ok(())
//! ```

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use lab::Subject;
use libtest_mimic::{Arguments, Conclusion, Trial};

/// Whose programs are to be tested here.
pub struct Subjects {
    /// Failoverd and balancerd, unless only the originals were asked for.
    pub ours: Option<Subject>,
    /// The originals, unless only ours were asked for or they are not installed.
    pub upstream: Option<Subject>,
    /// What is tested and what is not, in a sentence.
    pub said: String,
}

impl Subjects {
    /// Those that are tested, ours first.
    pub fn all(&self) -> impl Iterator<Item = &Subject> {
        self.ours.iter().chain(&self.upstream)
    }
}

/// Finds what is to be tested and enters the lab's ground. Call it first in `main`.
///
/// # Errors
///
/// When `COMPAT_SUBJECT` is none of the three words, ours do not build, the originals were asked
/// for and are not installed, or this machine permits no namespaces.
pub fn begin() -> Result<Subjects> {
    lab::init();
    let wanted = std::env::var("COMPAT_SUBJECT").unwrap_or_default();
    let (ours, upstream, must) = match wanted.as_str() {
        "" => (true, true, false),
        "both" => (true, true, true),
        "ours" => (true, false, false),
        "upstream" => (false, true, true),
        other => bail!("COMPAT_SUBJECT is upstream, ours or both, not '{other}'"),
    };
    let ours = if ours { Some(Subject::ours()?) } else { None };
    let found = if upstream { Subject::upstream() } else { None };
    if must && found.is_none() {
        bail!("keepalived, haproxy and nginx are not all installed here");
    }
    let said = match (&ours, &found, upstream) {
        (Some(_), Some(_), _) => "subjects: ours and the originals",
        (Some(_), None, true) => "subjects: ours; SKIPPED: the originals, not installed here",
        (Some(_), None, false) => "subjects: ours, as asked",
        _ => "subjects: the originals, as asked",
    };
    lab::ground::enter()?;
    Ok(Subjects { ours, upstream: found, said: said.to_owned() })
}

/// Runs the trials and says how it went, as an exit code.
pub fn conclude(arguments: &Arguments, trials: Vec<Trial>) -> ExitCode {
    let conclusion: Conclusion = libtest_mimic::run(arguments, trials);
    conclusion.exit_code()
}

/// The top of the checkout.
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

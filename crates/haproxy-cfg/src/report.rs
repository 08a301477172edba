//! What `haproxy` prints about a configuration, and how it exits.

use conf::{Diagnostic, Severity, Wording};

use crate::say::{LOUD, SUMMARY};
use crate::wording::HaProxy;
use crate::{Loaded, VERSION_LINE};

/// How much is said, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Manner<'a> {
    /// The process id shown in each line.
    pub pid: u32,
    /// The path of the executable.
    pub executable: &'a str,
    /// `-q`: nothing.
    pub quiet: bool,
    /// `-c`: say that all is well.
    pub check: bool,
    /// `-dW` or `zero-warning`: a warning is as bad as an error.
    pub zero_warning: bool,
    /// `--explain`: excerpts with carets instead of HAProxy's lines.
    pub explain: bool,
}

/// What to print and how to exit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// For the standard output.
    pub stdout: String,
    /// For the standard error.
    pub stderr: String,
    /// 0: it may run. 1: it may not. 2: nothing is wrong, and nothing would listen.
    pub code: u8,
}

/// `[WARNING]  (pid) : `, as wide for all severities.
pub fn prefix(severity: Severity, pid: u32) -> String {
    let label = match severity {
        Severity::Notice => "[NOTICE]  ",
        Severity::Warning => "[WARNING] ",
        Severity::Error => "[ALERT]   ",
    };
    format!("{label} ({pid}) : ")
}

/// The two notices that stand before the first warning or alert.
pub fn preamble(pid: u32, executable: &str) -> String {
    let notice = prefix(Severity::Notice, pid);
    format!(
        "{notice}haproxy version is {VERSION_LINE}\n{notice}path to executable is {executable}\n"
    )
}

impl Loaded {
    /// The report of a load.
    pub fn report(&self, manner: &Manner<'_>) -> Report {
        let mut stderr = String::new();
        let mut introduced = false;
        let warning = |d: &Diagnostic| d.severity == Severity::Warning && d.context != LOUD;
        let warned = self.diagnostics.iter().any(warning);
        let refused = self.config.is_none();
        for diagnostic in &self.diagnostics {
            if manner.explain {
                if diagnostic.context != SUMMARY {
                    stderr.push_str(&conf::pretty(&HaProxy, &self.sources, diagnostic));
                    stderr.push_str("\n\n");
                }
                continue;
            }
            if diagnostic.severity > Severity::Notice && !introduced {
                stderr.push_str(&preamble(manner.pid, manner.executable));
                introduced = true;
            }
            let line = HaProxy.line(&self.sources, diagnostic);
            let severity = match diagnostic.context.as_str() {
                LOUD => Severity::Error,
                _ => diagnostic.severity,
            };
            stderr.push_str(&format!("{}{line}\n", prefix(severity, manner.pid)));
        }
        let zero_warning = (manner.zero_warning || self.zero_warning) && warned;
        let mut stdout = String::new();
        let code = if refused {
            1
        } else if zero_warning {
            let alert = prefix(Severity::Error, manner.pid);
            stderr.push_str(&format!(
                "{alert}config : Some warnings were found and 'zero-warning' is set. Aborting.\n"
            ));
            1
        } else {
            if manner.check && warned {
                stdout.push_str("Warnings were found.\n");
            }
            if !self.listens {
                stdout.push_str("Configuration file has no error but will not start (no listener) => exit(2).\n");
                2
            } else {
                if manner.check {
                    stdout.push_str("Configuration file is valid\n");
                }
                0
            }
        };
        if manner.quiet || self.quiet {
            return Report { code, ..Report::default() };
        }
        Report { stdout, stderr, code }
    }
}

//! The report as text.

use std::fmt;

use conf::Severity;

use crate::Report;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for verdict in &self.verdicts {
            let answer = if verdict.runs { "runs here" } else { "does NOT run here" };
            writeln!(
                f,
                "{} ({}): {answer}: {}",
                verdict.file, verdict.program, verdict.amounts_to
            )?;
            if !verdict.without_effect.is_empty() {
                writeln!(
                    f,
                    "    read and without an effect: {}",
                    verdict.without_effect.join(", ")
                )?;
            }
        }
        for finding in &self.findings {
            writeln!(f, "\n{finding}")?;
        }
        if !self.arithmetic.is_empty() {
            writeln!(f, "\nAt worst:")?;
        }
        for line in &self.arithmetic {
            writeln!(f, "  {line}")?;
        }
        let count = |severity| self.findings.iter().filter(|one| one.severity == severity).count();
        writeln!(
            f,
            "\n{} errors, {} warnings, {} notes",
            count(Severity::Error),
            count(Severity::Warning),
            count(Severity::Notice)
        )
    }
}

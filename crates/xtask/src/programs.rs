//! Builds the daemons and says where they are.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use lab::stage::Subject;
use serde_json::Value;

/// Builds failoverd and balancerd as they are shipped, or finds them built.
///
/// # Errors
///
/// When they do not build; cargo has then said why.
pub(crate) fn ours() -> Result<Subject> {
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--package", "failoverd", "--package", "balancerd"])
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be started")?;
    if !built.status.success() {
        bail!("failoverd and balancerd do not build");
    }
    let find = |name: &str| -> Result<PathBuf> {
        let found = String::from_utf8_lossy(&built.stdout).lines().find_map(|line| {
            let message: Value = serde_json::from_str(line).ok()?;
            (message["target"]["name"] == name).then_some(())?;
            message["executable"].as_str().map(PathBuf::from)
        });
        found.with_context(|| format!("cargo built no {name}"))
    };
    Ok(Subject::Ours { failoverd: find("failoverd")?, balancerd: find("balancerd")? })
}

//! Whose programs stand on the stage.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::host::NodePlan;

/// Whose programs answer to the names keepalived, haproxy and nginx.
#[derive(Clone, Debug)]
pub enum Subject {
    /// Ours: where failoverd and balancerd are.
    Ours {
        /// failoverd's file.
        failoverd: PathBuf,
        /// balancerd's file.
        balancerd: PathBuf,
    },
    /// The host's own.
    Upstream,
}

impl Subject {
    /// Builds failoverd and balancerd as they are shipped, or takes those that the variables
    /// `FAILOVERD` and `BALANCERD` name. Do this before [`enter`](crate::ground::enter)ing the
    /// ground, which has no network to fetch a dependency from.
    ///
    /// # Errors
    ///
    /// When they do not build; cargo has then said why.
    pub fn ours() -> Result<Self> {
        let given = |name| std::env::var_os(name).map(PathBuf::from);
        if let (Some(failoverd), Some(balancerd)) = (given("FAILOVERD"), given("BALANCERD")) {
            return Ok(Self::Ours { failoverd, balancerd });
        }
        let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--release", "--package", "failoverd", "--package", "balancerd"])
            .args(["--message-format", "json-render-diagnostics"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
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
        Ok(Self::Ours { failoverd: find("failoverd")?, balancerd: find("balancerd")? })
    }

    /// Adds the programs to a node.
    pub fn install(&self, plan: NodePlan) -> NodePlan {
        match self {
            Self::Upstream => plan,
            Self::Ours { failoverd, balancerd } => plan
                .program(&failoverd.to_string_lossy(), &["failoverd", "keepalived"])
                .program(&balancerd.to_string_lossy(), &["balancerd", "haproxy", "nginx"]),
        }
    }

    /// The originals, if the host has all three.
    pub fn upstream() -> Option<Self> {
        let has = |name: &str| {
            ["/usr/sbin", "/sbin", "/usr/local/sbin"]
                .iter()
                .any(|dir| Path::new(dir).join(name).exists())
        };
        ["keepalived", "haproxy", "nginx"].into_iter().all(has).then_some(Self::Upstream)
    }

    /// What it is called on a command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ours { .. } => "ours",
            Self::Upstream => "upstream",
        }
    }
}

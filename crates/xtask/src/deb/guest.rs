//! TEMP
use std::path::Path;
use std::process::ExitCode;
pub(super) fn run(_: &Path, _: &Path, _: &Path, _: &[String]) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not yet")
}

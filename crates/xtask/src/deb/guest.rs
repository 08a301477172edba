//! `cargo xtask deb --test`: the packages in a Debian with systemd of its own, where the originals are
//! installed, ours are put over them, and everything is swapped back, under traffic.
//!
//! ```text
//!   image.sh SUITE      mmdebstrap: a small Debian, the originals in its package cache   (once)
//!   guest.sh            boots it in a container of this machine's kernel, network of its own
//!     run.sh, steps.sh  a scenario: one line for each step in out/table
//! ```
//!
//! Suites are tried side by side. Needs root, `mmdebstrap` and `systemd-container`. The results go to
//! `docs/packages.md`, between two marks, if all scenarios ran.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};

use super::binaries::Arch;
use super::must;
use super::package;

/// What is tried, each in a guest of its own.
const SCENARIOS: [&str; 5] = ["swap", "guide002", "guide003", "nginx", "fresh"];
/// What a scenario may take, from boot to end.
const PATIENCE: &str = "420";
/// Between these, the page has the results of the last run.
const MARKS: [&str; 2] = ["<!-- results -->", "<!-- end of results -->"];

/// Tries `packages`, which were made of `binaries`. Results and images are kept in `guests`.
pub(super) fn run(
    root: &Path,
    binaries: &Path,
    packages: &[PathBuf],
    guests: &Path,
    suites: &[String],
) -> anyhow::Result<ExitCode> {
    if !nix::unistd::geteuid().is_root() {
        bail!("a container of its own needs root");
    }
    let arch = Arch::host()?;
    let debs = guests.join("debs");
    for stale in [&debs, &guests.join("newer")] {
        if stale.exists() {
            fs::remove_dir_all(stale)?;
        }
        package::make_directory(stale)?;
    }
    must(Command::new("cp").arg("--").args(packages).arg(&debs))?;
    let version = packages[0].file_name().and_then(|name| name.to_str()?.split('_').nth(1));
    let newer = format!("{}+1", version.context("a package without a version")?);
    package::all(root, arch, binaries, Some(&newer), &guests.join("newer"))?;
    let only = std::env::var("SCENARIO").ok();
    let results: Vec<anyhow::Result<Results>> = std::thread::scope(|scope| {
        let only = only.as_deref();
        let mut running = Vec::new();
        for suite in suites {
            running.push(scope.spawn(move || try_suite(root, guests, suite, only)));
        }
        let failed = |_| Err(anyhow::anyhow!("a suite's thread panicked"));
        running.into_iter().map(|one| one.join().unwrap_or_else(failed)).collect()
    });
    let results = results.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    if only.is_none() {
        let text: String = results.iter().map(|suite| suite.text.as_str()).collect();
        keep(&root.join("docs/packages.md"), &text)?;
    }
    let well = results.iter().all(|suite| suite.well);
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was seen in a suite.
struct Results {
    /// For the page.
    text: String,
    /// Whether all of it is as it should be.
    well: bool,
}

/// Runs the scenarios one after the other, or the one called `only`.
fn try_suite(
    root: &Path,
    guests: &Path,
    suite: &str,
    only: Option<&str>,
) -> anyhow::Result<Results> {
    let image = guests.join(suite);
    if !image.is_dir() {
        println!("building a Debian: {suite}");
        let script = root.join("packaging/deb/test/image.sh");
        must(Command::new("bash").arg(script).arg(suite).arg(&image))?;
    }
    let mut text = format!("\n### {suite}\n\n| step | result | seen |\n|---|---|---|\n");
    let mut well = true;
    for scenario in SCENARIOS {
        if only.is_some_and(|only| only != scenario) {
            continue;
        }
        let table = try_one(root, guests, &image, scenario)
            .with_context(|| format!("{scenario} in {suite}"))?;
        let mut said = format!("{suite}: {scenario}\n");
        for line in table.lines() {
            let [what, result, seen] = line.splitn(3, '\t').collect::<Vec<_>>()[..] else {
                continue;
            };
            well &= result == "ok";
            said.push_str(&format!("  {result:<6} {what}: {seen}\n"));
            let seen = seen.replace('|', "\\|");
            text.push_str(&format!("| {what} | {result} | {seen} |\n"));
        }
        print!("{said}");
        // A scenario whose shell died has fewer lines, and says so at its end.
        well &= table.lines().last() == Some("end");
    }
    Ok(Results { text, well })
}

/// Runs a scenario, and returns its table.
fn try_one(root: &Path, guests: &Path, image: &Path, scenario: &str) -> anyhow::Result<String> {
    let suite = image.file_name().context("an image has a name")?.to_string_lossy().into_owned();
    let work = guests.join(format!("run-{suite}-{scenario}"));
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    let inside = work.join("upper/evergate");
    package::make_directory(&inside)?;
    let own = root.join("packaging/deb/test");
    let copies: [(PathBuf, &str); 4] = [
        (own, "."),
        (guests.join("debs"), "debs"),
        (guests.join("newer"), "newer"),
        (root.join("compat-tests/guides"), "guides"),
    ];
    for (from, to) in copies {
        package::make_directory(&inside.join(to))?;
        must(Command::new("cp").args(["-r", "--"]).arg(from.join(".")).arg(inside.join(to)))?;
    }
    package::write(&inside.join("scenario"), &format!("{scenario}\n"), 0o644)?;
    must(Command::new("chown").args(["-R", "0:0"]).arg(work.join("upper")))?;
    let guest = root.join("packaging/deb/test/guest.sh");
    must(Command::new("bash").arg(guest).arg(image).arg(&work).arg(PATIENCE))?;
    let out = work.join("out");
    let table = fs::read_to_string(out.join("table"))
        .with_context(|| format!("nothing was tried; see {}", out.display()))?;
    let log = fs::read_to_string(out.join("log.txt")).unwrap_or_default();
    let ended = log.lines().any(|line| line == "scenario ended with 0");
    for large in ["upper", "work", "merged"] {
        // The last is empty: its mounts went with their namespace.
        let _ = fs::remove_dir_all(work.join(large));
    }
    Ok(if ended { table + "end\n" } else { table + "the scenario\tFAILED\tit did not end\n" })
}

/// Puts the results into the page.
fn keep(page: &Path, results: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(page)?;
    let (Some(begin), Some(end)) = (text.find(MARKS[0]), text.find(MARKS[1])) else {
        bail!("{} has no marks for results", page.display());
    };
    let begin = begin + MARKS[0].len();
    let text = format!("{}\n{results}\n{}", &text[..begin], &text[end..]);
    Ok(fs::write(page, text)?)
}

//! `cargo xtask test`: everything that must hold before a change lands.
//!
//! Where it may (root, apt) it first installs the originals, for the tests that run beside them.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::originals;

/// One thing that must hold: what it is called, and the command that shows it.
struct Step {
    name: &'static str,
    argv: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
}

const fn cargo(name: &'static str, argv: &'static [&'static str]) -> Step {
    Step { name, argv, env: &[] }
}

/// In the order in which a mistake is cheapest to find.
const STEPS: &[Step] = &[
    cargo("format", &["fmt", "--all", "--check"]),
    cargo(
        "lints",
        &["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"],
    ),
    cargo("tidy", &["xtask", "tidy"]),
    cargo("pages", &["xtask", "gen", "--check"]),
    // What a passing test wrote is shown, so that a skipped one is counted as such.
    cargo(
        "tests",
        &[
            "test",
            "--workspace",
            "--exclude",
            "compat-tests",
            "--no-fail-fast",
            "--",
            "--show-output",
        ],
    ),
    cargo("fuzz", &["xtask", "fuzz", "--seconds", "2"]),
    cargo("config", &["test", "--package", "compat-tests", "--test", "config"]),
    cargo("netns", &["test", "--package", "compat-tests", "--lib", "--test", "netns"]),
    cargo("interop", &["test", "--package", "compat-tests", "--test", "interop"]),
    Step {
        name: "docs",
        argv: &["doc", "--workspace", "--no-deps", "--quiet"],
        env: &[("RUSTDOCFLAGS", "--deny warnings")],
    },
];

/// What a step came to.
#[derive(Default)]
struct Count {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// Runs the steps named in `args`, or all; the last line is `N passed, N failed, N skipped`.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    if let Some(unknown) = args.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        bail!("there is no step '{unknown}', but {}", names.join(", "));
    }
    originals::install();
    let mut sum = Count::default();
    for step in STEPS {
        if args.is_empty() || args.iter().any(|name| name == step.name) {
            let count = step.run().with_context(|| format!("step {}", step.name))?;
            sum.passed += count.passed;
            sum.failed += count.failed;
            sum.skipped += count.skipped;
        }
    }
    println!();
    println!("{} passed, {} failed, {} skipped", sum.passed, sum.failed, sum.skipped);
    Ok(if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Step {
    /// Runs the command; what it wrote is shown if it failed, and what it skipped always.
    fn run(&self) -> Result<Count> {
        let from = Instant::now();
        let mut child = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(self.argv)
            .envs(self.env.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cargo cannot be started")?;
        let errors = child.stderr.take().context("no standard error")?;
        let errors = thread::spawn(move || lines(errors));
        let out = lines(child.stdout.take().context("no standard output")?);
        let status = child.wait()?;
        let errors = errors.join().unwrap_or_default();

        let mut count = Count::default();
        for line in &out {
            count.add(line);
            if let Some((_, what)) = line.split_once("SKIPPED: ") {
                println!("  {:<8} skipped: {what}", self.name);
                count.skipped += 1;
            }
        }
        // A step without tests of its own is one test; so is one that failed outside of them.
        if !status.success() && count.failed == 0 {
            count.failed = 1;
        } else if count.passed + count.failed == 0 {
            count.passed = 1;
        }
        let took = from.elapsed().as_secs();
        let verdict = if status.success() { "ok" } else { "FAILED" };
        println!("  {:<8} {verdict}, {} passed, {took} s", self.name, count.passed);
        if !status.success() {
            for line in errors.iter().chain(&out).filter(|line| !line.ends_with("... ok")) {
                println!("    {line}");
            }
        }
        Ok(count)
    }
}

impl Count {
    /// Adds what a line `test result: ok. 3 passed; 0 failed; 1 ignored; …` says.
    fn add(&mut self, line: &str) {
        let Some((_, rest)) = line.split_once("test result: ") else { return };
        let numbers = rest.split([';', '.']).map(|part| part.trim().split_once(' '));
        for (number, what) in numbers.flatten() {
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }
}

fn lines(from: impl Read) -> Vec<String> {
    let lines = BufReader::new(from).split(b'\n').map_while(std::io::Result::ok);
    lines.map(|line| String::from_utf8_lossy(&line).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn a_result_line_is_counted() {
        let mut count = Count::default();
        count.add("test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 7 filtered out");
        count.add("test something ... ok");
        count.add("test result: ok. 10 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        assert_eq!((count.passed, count.failed, count.skipped), (13, 2, 1));
    }
}

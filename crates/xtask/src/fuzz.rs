//! `cargo xtask fuzz`: mutated inputs for every parser and codec, bounded and seeded.
//!
//! Each target runs in a process of its own, so that one that overflows its stack or never comes
//! back is found like one that panics. What it was working on stands in a file the whole time.

#[path = "../../../fuzz/targets.rs"]
mod targets;

mod mutate;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use mutate::Mutator;
use targets::{TARGETS, Target};

/// The longest input, in bytes.
const MAX_INPUT: usize = 16 << 10;

/// The longest one input may take. Debug builds on a busy machine stay far below.
const MAX_TIME: Duration = Duration::from_secs(5);

/// How many inputs a target is given at least, however slow the machine is.
const LEAST: u64 = 200;

struct Plan {
    seconds: u64,
    seed: u64,
    only: Vec<&'static Target>,
    /// In the process of one target: where to note what it works on.
    notes: Option<PathBuf>,
}

/// Runs every target, or those named.
pub(crate) fn run(args: &[String]) -> anyhow::Result<ExitCode> {
    let plan = parse(args)?;
    if let (Some(notes), [target]) = (&plan.notes, plan.only.as_slice()) {
        let runs = work(target, &plan, notes)?;
        println!("{runs}");
        return Ok(ExitCode::SUCCESS);
    }
    let directory = std::env::temp_dir().join(format!("fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let mut failed = 0;
    for target in &plan.only {
        match supervise(target, &plan, &directory)? {
            Ok(runs) => println!("{:16} {runs:>9} executions, seed {}", target.name, plan.seed),
            Err(report) => {
                failed += 1;
                eprintln!("{report}");
            }
        }
    }
    std::fs::remove_dir_all(&directory)?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn parse(args: &[String]) -> anyhow::Result<Plan> {
    let mut plan = Plan { seconds: 10, seed: 1, only: Vec::new(), notes: None };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--seconds" => plan.seconds = value()?.parse().context("--seconds N")?,
            "--seed" => plan.seed = value()?.parse().context("--seed N")?,
            "--notes" => plan.notes = Some(value()?.into()),
            name => match TARGETS.iter().find(|target| target.name == name) {
                Some(target) => plan.only.push(target),
                None => {
                    let known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
                    bail!(
                        "no target {name:?}; usage: cargo xtask fuzz [--seconds N] [--seed N] [TARGET…]\n\
                         targets: {}",
                        known.join(", ")
                    );
                }
            },
        }
    }
    if plan.only.is_empty() {
        plan.only = TARGETS.iter().collect();
    }
    Ok(plan)
}

/// Runs one target in a process of its own: how many inputs it took, or what went wrong.
fn supervise(
    target: &Target,
    plan: &Plan,
    directory: &Path,
) -> anyhow::Result<Result<u64, String>> {
    let notes = directory.join(target.name);
    let output = Command::new(std::env::current_exe()?)
        .args(["fuzz", target.name, "--notes"])
        .arg(&notes)
        .args(["--seed", &plan.seed.to_string(), "--seconds", &plan.seconds.to_string()])
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success()
        && let Some(runs) = said.lines().last().and_then(|line| line.trim().parse().ok())
    {
        return Ok(Ok(runs));
    }
    let input = last_input(&notes);
    let errors = String::from_utf8_lossy(&output.stderr);
    Ok(Err(format!(
        "{}: {} on this input ({} bytes, seed {}):\n{}\n{}",
        target.name,
        output.status,
        input.len(),
        plan.seed,
        shown(&input),
        errors.trim_end()
    )))
}

/// In the process of a target: feeds it until the time is over.
fn work(target: &Target, plan: &Plan, notes: &Path) -> anyhow::Result<u64> {
    let seeds = seeds(target);
    let mut mutator = Mutator::new(plan.seed, target.words, MAX_INPUT);
    let notes = File::options().write(true).create(true).truncate(true).open(notes)?;
    let end = Instant::now() + Duration::from_secs(plan.seconds);
    let mut runs = 0;
    while runs < LEAST || Instant::now() < end {
        // The seeds themselves come first.
        let input = match seeds.get(runs as usize) {
            Some(seed) => seed.clone(),
            None => mutator.next(&seeds),
        };
        note(&notes, &input)?;
        let begun = Instant::now();
        if catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err() {
            bail!("it panicked");
        }
        let taken = begun.elapsed();
        if taken > MAX_TIME {
            bail!("it took {taken:.1?}");
        }
        runs += 1;
    }
    Ok(runs)
}

/// Length first, so that the end of a longer input before is not read.
fn note(notes: &File, input: &[u8]) -> anyhow::Result<()> {
    let mut record = (input.len() as u64).to_le_bytes().to_vec();
    record.extend_from_slice(input);
    notes.write_all_at(&record, 0)?;
    Ok(())
}

fn last_input(notes: &Path) -> Vec<u8> {
    let record = std::fs::read(notes).unwrap_or_default();
    let Some((length, rest)) = record.split_first_chunk() else { return Vec::new() };
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    rest[..rest.len().min(length)].to_vec()
}

/// The input as a Rust byte string, so that it can become a test.
fn shown(input: &[u8]) -> String {
    const MOST: usize = 4096;
    let cut = if input.len() > MOST { " …" } else { "" };
    format!("b\"{}\"{cut}", input[..input.len().min(MOST)].escape_ascii())
}

/// The inputs of a target: its own, and files of the repository.
fn seeds(target: &Target) -> Vec<Vec<u8>> {
    fn collect(directory: &Path, names: &[&str], seeds: &mut Vec<Vec<u8>>) {
        let Ok(entries) = std::fs::read_dir(directory) else { return };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        // The order of a directory is nobody's promise, and a seed must mean the same everywhere.
        paths.sort();
        for path in paths {
            if path.is_dir() {
                collect(&path, names, seeds);
            } else if path.extension().is_some_and(|e| e == "conf" || e == "cfg")
                && names.iter().any(|name| path.to_string_lossy().contains(name))
                && let Ok(bytes) = std::fs::read(&path)
                && bytes.len() <= MAX_INPUT
            {
                seeds.push(bytes);
            }
        }
    }
    let mut seeds: Vec<Vec<u8>> = target.seeds.iter().map(|seed| seed.to_vec()).collect();
    if !target.files.is_empty() {
        for directory in ["compat-tests", "crates", "packaging"] {
            collect(&crate::generate::root().join(directory), target.files, &mut seeds);
        }
    }
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_stands_its_seeds_and_some_mutations() {
        for target in TARGETS {
            let seeds = seeds(target);
            assert!(!seeds.is_empty(), "{} has no seeds", target.name);
            let mut mutator = Mutator::new(7, target.words, MAX_INPUT);
            for seed in &seeds {
                (target.run)(seed);
            }
            for _ in 0..50 {
                (target.run)(&mutator.next(&seeds));
            }
        }
    }

    #[test]
    fn every_target_has_a_program_for_libfuzzer() {
        let fuzz = crate::generate::root().join("fuzz");
        let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).expect("there");
        for target in TARGETS {
            let file = format!("fuzz_targets/{}.rs", target.name);
            assert!(fuzz.join(&file).is_file() && manifest.contains(&file), "{file}");
        }
    }

    #[test]
    fn a_panic_is_found_with_its_input() {
        fn fragile(bytes: &[u8]) {
            assert!(!bytes.windows(3).any(|w| w == b"bad"), "found");
        }
        let target =
            Target { name: "x", run: fragile, seeds: &[b"good"], files: &[], words: &["bad"] };
        let directory = tempfile::tempdir().expect("a directory");
        let notes = directory.path().join("x");
        let plan = Plan { seconds: 5, seed: 3, only: vec![], notes: None };
        let failed = work(&target, &plan, &notes).expect_err("it is found");
        assert_eq!(failed.to_string(), "it panicked");
        assert!(last_input(&notes).windows(3).any(|w| w == b"bad"));
    }

    #[test]
    fn one_seed_is_one_run() {
        let seeds = vec![b"one two three".to_vec(), b"4".to_vec()];
        let inputs = |seed| {
            let mut mutator = Mutator::new(seed, &["word"], 1000);
            (0..100).map(|_| mutator.next(&seeds)).collect::<Vec<_>>()
        };
        assert_eq!(inputs(5), inputs(5));
        assert_ne!(inputs(5), inputs(6));
        assert!(inputs(5).iter().all(|input| input.len() <= 1000));
    }
}

//! What the check modes say to every file: the guides', and the corpus beside the checkout.
//!
//! ```text
//!   file ──► node with the interfaces, users and scripts it names ──► `-t` / `-c`
//!                                                                      │ exit code, messages
//!             golden/SET/FILE.txt ◄── compared ────────────────────────┤
//!             verdicts.md         ◄── a row each, beside the originals'┘
//! ```
//!
//! `BLESS=1 cargo test -p compat-tests --test config` writes both anew.

mod case;
mod surroundings;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail};
use lab::Subject;
use libtest_mimic::{Arguments, Failed, Trial};

use crate::case::{Case, Verdict};

fn main() -> ExitCode {
    let subjects = match compat_tests::begin() {
        Ok(subjects) => subjects,
        Err(why) => {
            eprintln!("{why:#}");
            return ExitCode::FAILURE;
        }
    };
    let arguments = Arguments::from_args();
    println!("{}", subjects.said);
    match trials(&subjects) {
        Err(why) => {
            eprintln!("{why:#}");
            ExitCode::FAILURE
        }
        Ok((trials, seen)) => {
            let code = compat_tests::conclude(&arguments, trials);
            table::summarise(&seen.lock().unwrap_or_else(|e| e.into_inner()));
            code
        }
    }
}

/// What ours said, for the table.
type Seen = Arc<Mutex<Vec<(Case, Verdict)>>>;

fn trials(subjects: &compat_tests::Subjects) -> Result<(Vec<Trial>, Seen)> {
    let top = compat_tests::top();
    let mut cases = case::guides(&top.join("compat-tests/guides"))?;
    let guides = cases.len();
    let corpus = top.join("../shared/corpus");
    if corpus.is_dir() {
        cases.extend(case::corpus(&corpus)?);
        println!("files: {guides} of the guides, {} of the corpus", cases.len() - guides);
    } else {
        println!(
            "files: {guides} of the guides; SKIPPED: the corpus, {} is not there",
            corpus.display()
        );
    }
    let seen: Seen = Arc::default();
    let mut trials = Vec::new();
    for case in cases {
        if let Some(ours) = &subjects.ours {
            let (case, ours, seen) = (case.clone(), ours.clone(), Arc::clone(&seen));
            trials.push(Trial::test(format!("golden::{}", case.name()), move || {
                golden(&case, &ours, &seen).map_err(failed)
            }));
        }
        if let (Some(upstream), Some(expected), false) =
            (&subjects.upstream, case.on_this_debian(), case.lacks)
        {
            let (case, upstream) = (case.clone(), upstream.clone());
            trials.push(Trial::test(format!("upstream::{}", case.name()), move || {
                let verdict = case.check(&upstream).map_err(failed)?;
                if verdict.runs() != expected {
                    return Err(format!("runs: {}\n{}", verdict.runs(), verdict.text()).into());
                }
                Ok(())
            }));
        }
        if let (Some(ours), Some(upstream), case::Product::Keepalived) =
            (&subjects.ours, &subjects.upstream, case.product)
        {
            let (case, ours, upstream) = (case.clone(), ours.clone(), upstream.clone());
            trials.push(Trial::test(format!("same_code::{}", case.name()), move || {
                let theirs = case.check(&upstream).map_err(failed)?;
                let here = case.check(&ours).map_err(failed)?;
                // The original dies of two of the files; and what is not built yet is complained of.
                let comparable = theirs.code < 128 && !here.says_planned();
                if comparable && theirs.code != here.code {
                    let (theirs, here) = (theirs.text(), here.text());
                    return Err(format!("the original:\n{theirs}\nours:\n{here}").into());
                }
                Ok(())
            }));
        }
    }
    Ok((trials, seen))
}

/// Compares the verdict with the golden text, or writes it.
fn golden(case: &Case, ours: &Subject, seen: &Seen) -> Result<()> {
    let verdict = case.check(ours)?;
    seen.lock().unwrap_or_else(|e| e.into_inner()).push((case.clone(), verdict.clone()));
    let path = golden_path(case);
    let text = format!("{}{}", case.upstream_text(), verdict.text());
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        return Ok(fs::write(&path, text)?);
    }
    let expected = fs::read_to_string(&path)
        .with_context(|| format!("{} is not there; BLESS=1 writes it", path.display()))?;
    if expected != text {
        bail!("not as in {}:\n{}", path.display(), difference(&expected, &text));
    }
    if case.set == "guides" && case.must_run && !verdict.runs() {
        bail!("a guide's file must run:\n{}", verdict.text());
    }
    Ok(())
}

fn golden_path(case: &Case) -> PathBuf {
    compat_tests::top().join("compat-tests/config/golden").join(case.name() + ".txt")
}

/// The lines only one side has.
fn difference(expected: &str, found: &str) -> String {
    let only = |mark: char, these: &str, those: &str| -> String {
        let missing = these.lines().filter(|line| !those.lines().any(|other| other == *line));
        missing.map(|line| format!("{mark} {line}\n")).collect()
    };
    only('-', expected, found) + &only('+', found, expected)
}

fn failed(why: anyhow::Error) -> Failed {
    format!("{why:#}").into()
}

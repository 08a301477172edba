//! The files of cases: texts between lines of `%%`, each read by the original and by us.
//!
//! `%I` on a line of its own stands for the beginning of an instance. A case whose first line is
//! `%differs WHY` is one where we say or do something else on purpose: it has to differ.

use std::collections::BTreeSet;
use std::path::Path;

use keepalived_conf::{Options, load};

use crate::original::{Node, can_ask, original_of_many, shown};

const INSTANCE: &str = "vrrp_instance V {\n interface eth0\n virtual_router_id 5\n virtual_ipaddress {\n 192.0.2.1\n }";

struct Case {
    name: String,
    text: String,
    differs: Option<String>,
}

fn cases_of(file: &Path) -> Vec<Case> {
    let all = std::fs::read(file).expect("a file of cases can be read");
    let all = String::from_utf8_lossy(&all).into_owned();
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let texts = all.split("\n%%\n").enumerate();
    let case = |(number, text): (usize, &str)| {
        let text = text.trim_start_matches('\n');
        let (differs, text) = match text.strip_prefix("%differs ") {
            Some(rest) => rest.split_once('\n').map_or((Some(rest), ""), |(why, t)| (Some(why), t)),
            None => (None, text),
        };
        let lines: Vec<&str> =
            text.split('\n').map(|l| if l == "%I" { INSTANCE } else { l }).collect();
        Case {
            name: format!("{stem} {}", number + 1),
            text: lines.join("\n") + "\n",
            differs: differs.map(str::to_owned),
        }
    };
    texts.map(case).collect()
}

/// Where the cases are.
fn files() -> Vec<std::path::PathBuf> {
    let directory = std::env::var_os("KEEPALIVED_CASES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases"),
        std::path::PathBuf::from,
    );
    let entries = std::fs::read_dir(&directory).expect("the cases are there");
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}

#[test]
fn every_difference_is_one_that_is_listed() {
    let listed = keepalived_conf::differences();
    let cases: Vec<Case> = files().iter().flat_map(|file| cases_of(file)).collect();
    for why in cases.iter().filter_map(|case| case.differs.as_deref()) {
        assert!(listed.iter().any(|(what, _)| *what == why), "{why}");
    }
}

#[test]
fn every_case_is_said_in_the_originals_words_with_its_exit_code() {
    if !can_ask() {
        return;
    }
    let cases: Vec<Case> = files().iter().flat_map(|file| cases_of(file)).collect();
    let place = tempfile::tempdir().expect("a directory for the test");
    for (number, case) in cases.iter().enumerate() {
        let own = place.path().join(number.to_string());
        std::fs::create_dir(&own).expect("a directory for a case");
        std::fs::write(own.join("t.conf"), &case.text).expect("a file for a case");
    }
    let theirs = original_of_many(place.path(), cases.len()).expect("keepalived answered before");
    let mut wrong = String::new();
    for (number, (case, (code, lines))) in cases.iter().zip(theirs).enumerate() {
        let file = place.path().join(number.to_string()).join("t.conf");
        let ours = load(&file, &Options::new(&Node));
        let theirs: BTreeSet<&String> = lines.iter().collect();
        let said = shown(&ours);
        // Said of every virtual server, and of no weight.
        let refused = |line: &&String| line.contains("not supported yet: virtual_server");
        let said: BTreeSet<&String> = said.iter().filter(|line| !refused(line)).collect();
        let same = i32::from(ours.exit_code_test()) == code && said == theirs;
        if same != case.differs.is_none() {
            let name = &case.name;
            let only = |these: &BTreeSet<&String>, those: &BTreeSet<&String>, mark: &str| {
                let lines = these.difference(those).map(|line| format!("  {mark} {line}\n"));
                lines.collect::<String>()
            };
            wrong += &format!(
                "--- {name}: original {code}, ours {}\n{}{}",
                ours.exit_code_test(),
                only(&theirs, &said, "original:"),
                only(&said, &theirs, "ours:    "),
            );
            if let Some(why) = &case.differs {
                wrong += &format!("  should differ: {why}\n");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

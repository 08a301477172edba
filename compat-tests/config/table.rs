//! `docs/compat/verdicts.md`: our verdicts beside the originals', counted.

use std::fmt::Write;
use std::fs;

use crate::case::{Case, Verdict};

/// Says what disagrees, and with `BLESS` set writes the page.
pub(crate) fn summarise(seen: &[(Case, Verdict)]) {
    if seen.is_empty() {
        return;
    }
    let mut seen: Vec<&(Case, Verdict)> = seen.iter().collect();
    seen.sort_by_key(|(case, _)| (case.set != "guides", case.name()));
    let text = page(&seen);
    let path = compat_tests::top().join("docs/compat/verdicts.md");
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap_or(&path)).ok();
        if let Err(why) = fs::write(&path, &text) {
            eprintln!("{}: {why}", path.display());
        }
    }
    for line in
        text.lines().skip_while(|line| !line.starts_with("| set")).take_while(|l| !l.is_empty())
    {
        println!("{line}");
    }
}

fn page(seen: &[&(Case, Verdict)]) -> String {
    let mut text = String::from(
        "# What the check modes say, beside the originals\n\n\
         Written by `BLESS=1 cargo test -p compat-tests --test config`. Every file is checked in a \
         node that has the interfaces, scripts and host names the file speaks of. `runs` means exit \
         code 0, for keepalived also 5 and 6 (complaints). The messages are in \
         `compat-tests/config/golden/`. The corpus is a folder beside the checkout and no part of \
         the project.\n\n\
         | set | files | same as an original | of these run, less what is not supported yet | runs \
         here alone | refused here: not supported yet | refused here: other |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
    );
    let mut sets: Vec<&str> = seen.iter().map(|(case, _)| case.set.as_str()).collect();
    sets.dedup();
    for set in sets {
        let of: Vec<&&(Case, Verdict)> = seen.iter().filter(|(case, _)| case.set == set).collect();
        let count =
            |is: fn(&Case, &Verdict) -> bool| of.iter().filter(|one| is(&one.0, &one.1)).count();
        let _ = writeln!(
            text,
            "| {set} | {} | {} | {} | {} | {} | {} |",
            of.len(),
            count(|case, verdict| case.runs_somewhere() == Some(verdict.runs())),
            count(|case, verdict| {
                case.runs_somewhere() == Some(true) && verdict.runs() && verdict.says_planned()
            }),
            count(|case, verdict| case.runs_somewhere() == Some(false) && verdict.runs()),
            count(|case, verdict| case.runs_somewhere() == Some(true) && verdict.planned()),
            count(|case, verdict| {
                case.runs_somewhere() == Some(true) && !verdict.runs() && !verdict.planned()
            }),
        );
    }
    let with_code = || seen.iter().filter(|(case, _)| case.code_on_this_debian().is_some());
    let same = with_code().filter(|(case, v)| case.code_on_this_debian() == Some(v.code)).count();
    let _ = writeln!(
        text,
        "\nOf the {} files for which keepalived 2.2.7's exit code is known (0, 5 or 6), {same} have \
         the same here.",
        with_code().count()
    );
    text.push_str("\n## Where they differ\n\n| file | originals | here |\n|---|---|---|\n");
    for (case, verdict) in seen.iter().filter(|(case, v)| case.runs_somewhere() != Some(v.runs())) {
        let originals: Vec<String> =
            case.upstream.iter().map(|(name, said)| format!("{name}: {said}")).collect();
        let here = match verdict.runs() {
            true => "runs".to_owned(),
            false => format!("exit {}: {}", verdict.code, reason(verdict)),
        };
        let _ = writeln!(text, "| {} | {} | {here} |", case.name(), originals.join("; "));
    }
    text
}

/// The first line that says why, short enough for a table.
fn reason(verdict: &Verdict) -> String {
    let lines = || verdict.messages.lines().map(str::trim).filter(|line| !line.is_empty());
    let telling = lines().find(|line| line.contains("not supported yet"));
    let line = telling
        .or_else(|| lines().find(|line| line.contains("[ALERT]") || line.contains("[emerg]")));
    let line = line.or_else(|| lines().next()).unwrap_or("nothing said");
    let short: String = line.chars().take(140).collect();
    short.replace('|', "\\|")
}

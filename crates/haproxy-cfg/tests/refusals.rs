//! Keywords that few files have, right and wrong: what is said of each is what HAProxy 3.2 says.
//!
//! A case of `refusals.txt` is `=== place: line => exit code` and the complaints. With the program
//! `HAPROXY` names, if it is 3.2 or later, that program is asked again.

use std::process::Command;

use haproxy_cfg::{Manner, Options, load_texts};

/// A file with the line at its place; `\n` in it begins another one.
fn text(place: &str, line: &str) -> String {
    let line = line.replace("\\n", "\n");
    let at = |wanted: &str, before: &str, after: &str| match place == wanted {
        true => format!("{before}{line}{after}"),
        false => String::new(),
    };
    [
        "global\n",
        &at("global", "", "\n"),
        "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n",
        &at("defaults", "", "\n"),
        &at("section", "", "\n"),
        "listen l\n bind 127.0.0.1:5000",
        &at("bind", " ", ""),
        "\n server s 127.0.0.1:1",
        &at("server", " ", ""),
        "\n",
        &at("listen", "", "\n"),
        &at("frontend", "frontend x\n bind 127.0.0.1:5001\n", "\n"),
        &at("backend", "backend x\n", "\n"),
    ]
    .concat()
}

/// The complaints alone: not how many there were, nor who says it, nor what a build has or has not.
fn complaints(said: &str) -> Vec<String> {
    let rest = [
        "[NOTICE]",
        "Fatal errors",
        "Error(s) found",
        "is valid",
        "Warnings were found",
        "[  OT] opentracing",
    ];
    let lines = said.lines().filter(|line| !line.is_empty());
    let lines = lines.filter(|line| !rest.iter().any(|part| line.contains(part)));
    let plain = |line: &str| match line.strip_prefix('[').and_then(|line| line.split_once(']')) {
        Some((level @ ("ALERT" | "WARNING"), rest)) => {
            let text = rest.split_once(" : ").map_or(rest, |(_, text)| text);
            format!("[{level}] {text}").replace("config : ", "")
        }
        _ => line.to_owned(),
    };
    lines.map(plain).collect()
}

fn ours(text: &str) -> (u8, Vec<String>) {
    let options = Options { reach_out: true, ..Options::default() };
    let report = load_texts(&[("c.cfg", text)], &options).report(&Manner {
        pid: 1,
        executable: "haproxy",
        quiet: false,
        check: true,
        zero_warning: false,
        explain: false,
    });
    (report.code, complaints(&(report.stderr + &report.stdout)))
}

fn theirs(program: &str, directory: &std::path::Path, text: &str) -> (u8, Vec<String>) {
    std::fs::write(directory.join("c.cfg"), text).expect("writable");
    let mut command = Command::new(program);
    let out = command.args(["-c", "-f", "c.cfg"]).current_dir(directory).output().expect("runs");
    let said = [out.stderr, out.stdout].concat();
    let code = out.status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX);
    let said = String::from_utf8_lossy(&said).into_owned();
    (code, complaints(&said.replace(&format!("{}/", directory.display()), "")))
}

/// The program `HAPROXY` names, if it is new enough.
fn newer() -> Option<String> {
    let program = std::env::var("HAPROXY").ok()?;
    let out = Command::new(&program).arg("-v").output().ok()?;
    let version = String::from_utf8_lossy(&out.stdout).into_owned();
    let version = version.split("version ").nth(1)?;
    let mut numbers = version.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    (numbers.next()?, numbers.next()?).ge(&(3, 2)).then_some(program)
}

#[test]
fn what_haproxy_says_of_keywords_that_few_files_have_is_said_here() {
    let program = newer();
    if program.is_none() {
        println!("SKIPPED: asking HAProxy itself: HAPROXY names none of 3.2 or later");
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut wrong = String::new();
    let mut seen = 0;
    for block in include_str!("refusals.txt").split("=== ").skip(1) {
        seen += 1;
        let (head, said) = block.split_once('\n').expect("a case");
        let (case, code) = head.rsplit_once(" => ").expect("an exit code");
        let (place, line) = case.split_once(": ").expect("a place");
        let text = text(place, line);
        let expected: (u8, Vec<String>) =
            (code.parse().expect("a number"), said.lines().map(str::to_owned).collect());
        let told = ours(&text);
        if told != expected {
            wrong.push_str(&format!("{case}\n  HAProxy {expected:#?}\n  here {told:#?}\n"));
        }
        if let Some(program) = &program {
            let now = theirs(program, directory.path(), &text);
            if now != expected {
                wrong.push_str(&format!("{case}\n  HAProxy {expected:#?}\n  and now {now:#?}\n"));
            }
        }
    }
    assert!(seen > 100);
    assert!(wrong.is_empty(), "{wrong}");
}

//! Mistakes, and what HAProxy 3.5 and 2.6 say of each: the same is said here as by one of them.
//!
//! A case of `observed.txt` is `==== name`, the text (a last line ending in `\e` has no line feed),
//! and `---- version exit-code` with the two streams, for both versions.

use haproxy_cfg::{Manner, Options, load_texts};

/// Where something else is said, and why.
const OTHERWISE: &[(&str, &str)] = &[
    ("duplicate backend", "3.3 refuses what 3.2 warns of, and this, too"),
    ("duplicate frontend/listen name", "3.3 refuses what 3.2 warns of, and this, too"),
    ("env undefined unquoted", "a variable that is not set is worth a warning"),
];

/// The complaints alone: not how many there were, nor who says it.
fn complaints(said: &str) -> Vec<String> {
    let rest = ["[NOTICE]", "Fatal errors", "Error(s) found", "is valid", "Warnings were found"];
    let lines = said.lines().filter(|line| !line.is_empty());
    let lines = lines.filter(|line| !rest.iter().any(|part| line.contains(part)));
    lines.map(|line| line.replace("(PID)", "(1)").replace("config : ", "")).collect()
}

#[test]
fn each_of_seventy_mistakes_is_told_as_one_of_two_versions_tells_it() {
    let file = include_str!("observed.txt");
    let mut seen = 0;
    for block in file.split("==== ").skip(1) {
        seen += 1;
        let (name, rest) = block.split_once('\n').expect("a name");
        let mut parts = rest.split("---- ");
        let text = parts.next().expect("a text");
        let text = text.strip_suffix("\\e\n").unwrap_or(text);
        let versions: Vec<(u8, Vec<String>)> = parts
            .map(|part| {
                let (head, said) = part.split_once('\n').expect("an exit code");
                let code = head.split(' ').nth(1).expect("an exit code");
                (code.parse().expect("a number"), complaints(said))
            })
            .collect();
        let env = [("HOME".to_owned(), "/root".to_owned())].into();
        let options = Options { env, reach_out: true, ..Options::default() };
        let loaded = load_texts(&[("c.cfg", text)], &options);
        let report = loaded.report(&Manner {
            pid: 1,
            executable: "haproxy",
            quiet: false,
            check: true,
            zero_warning: false,
            explain: false,
        });
        let codes: Vec<u8> = versions.iter().map(|(code, _)| *code).collect();
        assert!(codes.contains(&report.code), "{name}: {} is not of {codes:?}", report.code);
        let said = complaints(&(report.stderr.clone() + &report.stdout));
        let same = versions.iter().any(|(_, theirs)| *theirs == said);
        let otherwise = OTHERWISE.iter().any(|(known, _)| *known == name);
        assert!(same != otherwise, "{name}: {said:#?} and {versions:#?}");
    }
    assert_eq!(seen, 70);
}

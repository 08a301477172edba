//! What HAProxy 2.6.12 says about each text of `golden.txt`, `rules.txt`, `http.txt`, `checks.txt`,
//! `transport.txt` and `tuning.txt`, what 3.2 says otherwise (`newer.txt`), and that the newer is said
//! here.
//!
//! A case is `==== name`, the text (`\t`, `\r` and `\\` escaped; a last line ending in `\e` has no
//! line feed), `---- exit code`, and the two streams without the preamble and with `PID` for the
//! process id. Where HAProxy 2.6 is installed, or `HAPROXY` names 3.2, it is asked, too: the files say
//! what it says. `newer.txt` has no texts, and neither the part of the program that speaks
//! (`config : `) nor that the file is valid: 3.x says the one less often, and the other only with `-V`,
//! which is said here all the same, for scripts that look for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use haproxy_cfg::{Manner, Options, load_texts};

struct Case {
    name: String,
    text: String,
    code: u8,
    said: String,
}

fn cases() -> Vec<Case> {
    let file = concat!(
        include_str!("golden.txt"),
        include_str!("rules.txt"),
        include_str!("http.txt"),
        include_str!("checks.txt"),
        include_str!("transport.txt"),
        include_str!("tuning.txt")
    );
    let case = |block: &str| {
        let (name, rest) = block.split_once('\n').expect("a name");
        let (text, rest) = rest.split_once("---- ").expect("a text");
        let (code, said) = rest.split_once('\n').expect("an exit code");
        let text = text.strip_suffix("\\e\n").unwrap_or(text);
        Case {
            name: name.to_owned(),
            text: unescape(text),
            code: code.parse().expect("a number"),
            said: said.to_owned(),
        }
    };
    file.split("==== ").skip(1).map(case).collect()
}

/// Where 3.2 says what is said neither here nor by 2.6, or where 2.6 is right; and why.
const OTHERWISE: &[(&str, &str)] = &[
    ("option httpchk GET / HTTP/1.1\\r\\nHost:\\ x", "old files hide headers there, and run here"),
    ("global chroot", "an empty line more"),
    ("global nbthread 65", "a warning about the number of its processors"),
    ("backend b", "refuses options of frontends in backends, which old files have; ignored here"),
    (".if", "reads the whole file before it understands a line"),
    ("rules: acl a req.ssl_sni -m reg *bad", "where a newer PCRE sees the mistake"),
    ("rules: tcp-request connection", "names of actions"),
    ("rules: tcp-request connection rejec", "names of actions"),
    ("rules: tcp-request content foo", "names of actions"),
    ("rules: tcp-request session foo", "names of actions"),
    ("rules: tcp-response content foo", "names of actions"),
    ("http-request foo", "names of actions"),
    ("http-request", "names of actions"),
    ("http-response foo", "names of actions"),
    ("http-after-response foo", "names of actions"),
    ("stats http-request foo", "names of actions"),
    ("http-request redirect foo /", "names of options"),
    ("redirect foo", "names of options"),
    ("check: tcp-check expect string \"\"", "a warning about empty words"),
    (
        "check: email-alert mailers m /  email-alert from a /  email-alert to b",
        "its mailers will end; these will not",
    ),
    ("transport: tcp-request content set-mark", "expressions"),
    ("transport: tcp-request content set-mark x", "expressions"),
    ("transport: tcp-request content set-tos", "expressions"),
    ("transport: tcp-request content set-tos x", "expressions"),
];

/// Exit codes and words of 3.2, by the names of the cases it has others for.
fn newer() -> BTreeMap<String, (u8, String)> {
    let case = |block: &str| {
        let (name, rest) = block.split_once("\n---- ").expect("a name");
        let (code, said) = rest.split_once('\n').expect("an exit code");
        (name.to_owned(), (code.parse().expect("a number"), said.to_owned()))
    };
    let blocks: Vec<_> = include_str!("newer.txt").split("==== ").skip(1).collect();
    let all: BTreeMap<_, _> = blocks.iter().map(|block| case(block)).collect();
    assert_eq!(all.len(), blocks.len(), "names are unique");
    all
}

/// As 3.2 says it.
fn terse(said: &str) -> String {
    said.replace(" : config : ", " : ").replace("Configuration file is valid\n", "")
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            c => out.push(c),
        }
    }
    out
}

/// Without the preamble, and with `PID` for the number.
fn normalise(stderr: &str, stdout: &str) -> String {
    let lines = stderr.split_inclusive('\n').filter(|line| {
        !line.contains(" : haproxy version is ") && !line.contains(" : path to executable is ")
    });
    let number = |line: &str| {
        let Some((head, rest)) = line.split_once('(') else { return line.to_owned() };
        let Some((digits, tail)) = rest.split_once(')') else { return line.to_owned() };
        let is_number = head.starts_with('[') && digits.bytes().all(|b| b.is_ascii_digit());
        if is_number { format!("{head}(PID){tail}") } else { line.to_owned() }
    };
    lines.map(number).collect::<String>() + stdout
}

#[test]
fn the_same_is_said_as_the_newer_haproxy_says() {
    let env: BTreeMap<_, _> = [("HOME".to_owned(), "/home/x".to_owned())].into();
    let options = Options { env, reach_out: true, ..Options::default() };
    let cases = cases();
    assert!(cases.len() > 500);
    let newer = newer();
    for name in newer.keys() {
        assert_eq!(cases.iter().filter(|case| case.name == *name).count(), 1, "{name}");
    }
    let mut wrong = String::new();
    for case in cases {
        let loaded = load_texts(&[("c.cfg", &case.text)], &options);
        let report = loaded.report(&Manner {
            pid: 1,
            executable: "haproxy",
            quiet: false,
            check: true,
            zero_warning: false,
            explain: false,
        });
        let said = normalise(&report.stderr, &report.stdout);
        let (mut said, mut expected) = (said, (case.code, case.said));
        if let Some(other) = newer.get(&case.name) {
            (said, expected) = (terse(&said), other.clone());
        }
        if (report.code, &said) != (expected.0, &expected.1) {
            let (name, (code, expected)) = (case.name, expected);
            wrong += &format!("==== {name}\n-{code}\n{expected}+{}\n{said}", report.code);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn haproxy_says_what_the_files_say() {
    let named = std::env::var_os("HAPROXY").unwrap_or_else(|| "haproxy".into());
    let version = Command::new(&named).arg("-v").output();
    let version = version.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    let version = version.unwrap_or_default();
    let is_newer = version.starts_with("HAProxy version 3.2.");
    if !is_newer && !version.starts_with("HAProxy version 2.6.") {
        println!("SKIPPED: neither HAProxy 2.6 nor 3.2 is there");
        return;
    }
    println!("beside {}", version.lines().next().unwrap_or_default());
    let newer = newer();
    let directory = tempfile::tempdir().expect("a temporary directory");
    for case in cases() {
        std::fs::write(directory.path().join("c.cfg"), &case.text).expect("writable");
        let out = Command::new(&named)
            .args(["-c", "-f", "c.cfg"])
            .current_dir(directory.path())
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .env("HOME", "/home/x")
            .output()
            .expect("it runs");
        let (stderr, stdout) =
            (String::from_utf8_lossy(&out.stderr), String::from_utf8_lossy(&out.stdout));
        let code = out.status.code().and_then(|code| u8::try_from(code).ok());
        let said = normalise(&stderr, &stdout);
        if !is_newer {
            assert_eq!((code, said), (Some(case.code), case.said), "{}", case.name);
            continue;
        }
        let older = || (case.code, terse(&case.said));
        let expected = newer.get(&case.name).cloned().unwrap_or_else(older);
        let said = (code.unwrap_or_default(), terse(&said));
        let otherwise = OTHERWISE.iter().any(|(name, _)| *name == case.name);
        assert!((said == expected) != otherwise, "{}: {said:#?} and {expected:#?}", case.name);
    }
}

/// The folder of configurations beside the project, if it is there.
fn shared(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(folder);
    let Ok(listing) = std::fs::read_dir(&root) else {
        eprintln!("SKIPPED: {} is not there", root.display());
        return vec![];
    };
    let mut files: Vec<_> = listing
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "cfg"))
        .collect();
    files.sort();
    files
}

/// What is wrong with a file beside what is not built: nothing else is looked up.
fn mistakes(path: &Path) -> (bool, Vec<String>) {
    let text = String::from_utf8_lossy(&std::fs::read(path).expect("readable")).into_owned();
    let loaded = load_texts(&[("c.cfg", &text)], &Options::sealed());
    let errors = loaded.diagnostics.iter().filter(|d| d.severity == conf::Severity::Error);
    let wrong = errors
        .filter(|d| !matches!(d.problem, conf::Problem::Planned { .. }))
        .map(|d| conf::Wording::line(&haproxy_cfg::HaProxy, &loaded.sources, d))
        .filter(|line| !line.contains("Error(s) found") && !line.contains("Fatal errors found"))
        .collect();
    (loaded.config.is_some(), wrong)
}

#[test]
fn every_file_of_the_guides_runs_once_its_placeholders_are_filled() {
    for path in shared("guides") {
        let name = path.file_name().expect("it has one").to_string_lossy().into_owned();
        let (runs, wrong) = mistakes(&path);
        match name.as_str() {
            // As printed, with placeholders: each is named.
            "003-kubeadm-haproxy.cfg" => assert_eq!(wrong.len(), 2, "{wrong:?}"),
            "004-haproxy.cfg" => assert!(wrong[0].contains("is a placeholder"), "{wrong:?}"),
            _ => assert!(runs, "{name}: {wrong:?}"),
        }
    }
}

#[test]
fn what_haproxy_runs_is_refused_only_for_what_is_not_built() {
    let verdicts =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/verdicts.tsv");
    let verdicts = std::fs::read_to_string(verdicts).unwrap_or_default();
    let accepted = |name: &str| {
        let file = format!("haproxy/{name}\t");
        verdicts.lines().filter(|line| line.starts_with(&file)).any(|line| {
            line.split('\t').nth(6).is_some_and(|verdict| verdict.starts_with("accept"))
        })
    };
    for path in shared("corpus/haproxy").into_iter().chain(shared("reference/haproxy-samples")) {
        let name = path.file_name().expect("it has one").to_string_lossy().into_owned();
        let (_, wrong) = mistakes(&path);
        if accepted(&name) || path.parent().is_some_and(|p| p.ends_with("haproxy-samples")) {
            assert_eq!(wrong, Vec::<String>::new(), "{name}");
        }
    }
}

#[test]
fn every_keyword_of_haproxy_s_is_a_row() {
    let list = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/reference/haproxy-keywords.tsv");
    let Ok(list) = std::fs::read_to_string(&list) else {
        eprintln!("SKIPPED: {} is not there", list.display());
        return;
    };
    let tables = haproxy_cfg::tables();
    let rows = |titles: &[&str]| -> Vec<&str> {
        let wanted = tables.iter().filter(|(title, _)| titles.contains(title));
        wanted.flat_map(|(_, rows)| rows.iter().map(|row| row.name)).collect()
    };
    let proxy = [
        "defaults, frontend, listen, backend",
        "option",
        "timeout",
        "tcp-check and http-check",
        "stats",
        "HTTP",
        "rules, ACLs and stickiness",
    ];
    let mut missing = vec![];
    for line in list.lines().skip(1) {
        let mut fields = line.split('\t');
        let (Some(group), Some(name)) = (fields.next(), fields.next()) else { continue };
        // `http-check set-var(<name>)` is the row `http-check set-var`; a section is no keyword.
        let name = name.split('(').next().unwrap_or(name);
        let known = match group {
            "global" => rows(&["global"]),
            "proxy" => rows(&proxy),
            "bind" => rows(&["bind"]),
            "server" => rows(&["server and default-server"]),
            "action" => rows(&["actions of rules"]),
            "converter" => rows(&["converters"]),
            "acl" => rows(&["fetches"]),
            fetch if fetch.starts_with("fetch-l") || fetch == "fetch-internal" => {
                rows(&["fetches"])
            }
            section if tables.iter().any(|(title, _)| *title == section) => rows(&[section]),
            _ => continue,
        };
        let is_section = name == group || name == "default-server" || name == "log global";
        if !known.contains(&name) && !is_section && !name.contains('"') {
            missing.push(format!("{group}: {name}"));
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

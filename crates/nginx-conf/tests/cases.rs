//! nginx's own verdicts: 128 configurations with the first message and the exit code of `nginx -t`
//! of 1.31.5, measured. The list stands beside the project and is not part of it; without it this
//! test says so and passes.

use std::path::PathBuf;

use conf::Severity;
use nginx_conf::{Lookups, Options, Wording, load};

fn list() -> Option<String> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/reference/nginx-conf-cases.tsv");
    std::fs::read_to_string(beside).ok()
}

/// Where our first line is another one, and why.
const OTHERWISE: &[(&str, &str)] = &[
    ("cannot bind", "sockets are opened by the program, whose own tests show it"),
    ("health_check (Plus)", "it works here"),
    ("match (Plus)", "it works here"),
    ("slow_start", "it works here"),
    ("status_zone (Plus)", "it works here"),
    ("zone zero size", "shared memory is not needed, nor is its size"),
];

#[test]
fn the_first_complaint_is_the_one_nginx_prints() {
    let Some(list) = list() else {
        eprintln!("SKIPPED: the list of measured configurations is not here");
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let d = directory.path().canonicalize().expect("its path");
    std::fs::write(d.join("inc.inc"), "proxy_timeout 1s;\n").expect("written");
    let (mut equal, mut planned, mut wrong) = (0, Vec::new(), Vec::new());
    let mut total = 0;
    for line in list.lines() {
        let mut columns = line.split('\t');
        let (Some(name), Some(code), Some(message), Some(text)) =
            (columns.next(), columns.next(), columns.next(), columns.next())
        else {
            continue;
        };
        total += 1;
        let here = |text: &str| text.replace("@D@", &d.display().to_string());
        let text = here(text).replace("\\n", "\n").replace("aaa~", &"a".repeat(5000));
        let file = d.join("n.conf");
        std::fs::write(&file, text).expect("written");
        let lookups = Lookups { superuser: true, ..Lookups::default() };
        let options = Options { prefix: d.clone(), lookups, ..Options::default() };
        let loaded = load(&file, &options);
        let first = loaded.diagnostics.first();
        let ours = first
            .map_or("-".to_owned(), |first| conf::Wording::line(&Wording, &loaded.sources, first));
        let our_code = if loaded.is_ok() { "0" } else { "1" };
        if ours == here(message) && our_code == code {
            equal += 1;
        } else if ours.contains("not supported yet") {
            assert_eq!(first.map(|d| d.severity), Some(Severity::Error), "{name}");
            planned.push(name.to_owned());
        } else if !OTHERWISE.iter().any(|(known, _)| *known == name) {
            wrong.push(format!("{name}: {code} {message}\n    ours: {our_code} {ours}"));
        }
    }
    eprintln!(
        "{equal} of {total} equal to nginx, {} refused as not supported yet: {}",
        planned.len(),
        planned.join(", ")
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(equal >= 120, "only {equal} are equal");
}

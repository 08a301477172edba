//! Files of the field, where they are at hand beside the project: every one gets a verdict.

use std::path::{Path, PathBuf};

use conf::Problem;
use keepalived_conf::{Elsewhere, Loaded, Options, load};

/// The keepalived files below a directory beside the project.
fn files(directory: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(directory);
    let entries = std::fs::read_dir(&root).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|p| p.extension().is_some_and(|e| e == "conf"))
        .filter(|p| {
            let name = p.file_name().unwrap_or_default().to_string_lossy();
            directory.ends_with("keepalived") || name.contains("keepalived")
        })
        .collect();
    found.sort();
    if found.is_empty() {
        eprintln!("SKIPPED: there are no files in ../shared/{directory}");
    }
    found
}

fn read(file: &Path) -> Loaded {
    load(file, &Options::new(&Elsewhere))
}

fn guide(name: &str) -> Option<Loaded> {
    files("guides").into_iter().find(|f| f.ends_with(name)).map(|f| read(&f))
}

#[test]
fn the_guides_files_run() {
    for file in files("guides") {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let not_meant_to = ["000-keepalived-backup-literal.conf", "003-kubeadm-keepalived.conf"];
        let loaded = read(&file);
        assert_eq!(loaded.fatal(), not_meant_to.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn a_guides_password_is_cut_to_eight_characters() {
    let Some(loaded) = guide("001-keepalived-node1.conf") else { return };
    assert_eq!(loaded.exit_code_test(), 5);
    let lines = loaded.upstream_lines();
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0]
            .ends_with("001-keepalived-node1.conf: Line 12) Truncating auth_pass to 8 characters")
    );
}

#[test]
fn a_guides_placeholders_are_all_named() {
    let Some(loaded) = guide("003-kubeadm-keepalived.conf") else { return };
    assert_eq!(loaded.upstream_lines().len(), 6);
    assert!(loaded.explain().contains("= help: put MASTER on the preferred node"));
}

#[test]
fn a_guides_slow_check_is_calculated() {
    let Some(loaded) = guide("003-kubeadm-keepalived-master-filled.conf") else { return };
    let said = loaded.notices().collect::<Vec<_>>().join("\n");
    assert!(said.contains("interval 3 s × fall 10"), "{said}");
}

/// Keywords that are in these files and that no keepalived knows where they stand.
const UNKNOWN: [&str; 7] = [
    "...",
    "alternatives",
    "enable_filesystem",
    "garp_master_delay",
    "lvs_sync_daemon_inteface",
    "VI_2",
    "VI_3",
];

#[test]
fn every_file_of_the_field_gets_a_verdict_and_nothing_known_is_unknown() {
    for file in files("guides").into_iter().chain(files("corpus/keepalived")) {
        let loaded = read(&file);
        for diagnostic in &loaded.diagnostics {
            if let Problem::UnknownKeyword { word, .. } = &diagnostic.problem {
                assert!(UNKNOWN.contains(&word.as_str()), "{}: {word}", file.display());
            }
        }
        let refused = loaded.upstream_lines().iter().any(|l| !l.is_empty());
        assert!(!loaded.fatal() || refused, "{} is refused without a word", file.display());
        loaded.explain();
    }
}

use super::source::without_text;
use super::*;

/// A workspace with one file more than nothing, and what tidy says about it.
fn seeded(files: &[(&str, &str)]) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    for (file, text) in files {
        let path = directory.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    let report = check(directory.path()).expect("readable");
    report.complaints.iter().map(ToString::to_string).collect()
}

fn manifest(dependencies: &str) -> String {
    format!("[package]\n[lints]\nworkspace = true\n\n[dependencies]\n{dependencies}\n")
}

#[test]
fn the_workspace_itself_is_tidy() {
    let report = check(&crate::generate::root()).expect("readable");
    assert!(report.files > 50, "only {} files were found", report.files);
    let said: Vec<String> = report.complaints.iter().map(ToString::to_string).collect();
    assert_eq!(said, Vec::<String>::new());
}

#[test]
fn an_arrow_that_points_up_is_complained_about() {
    let said = seeded(&[("crates/machine/Cargo.toml", &manifest("vrrp.workspace = true"))]);
    assert_eq!(
        said,
        ["crates/machine/Cargo.toml:6: `machine` may not depend on `vrrp`: arrows point down, to \
             nothing of ours"]
    );
    let said = seeded(&[("crates/linux/Cargo.toml", &manifest("conf = { path = \"../conf\" }"))]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        seeded(&[("crates/wire/Cargo.toml", &manifest("machine.workspace = true"))]).is_empty()
    );
}

#[test]
fn a_crate_without_a_place_is_complained_about() {
    let said = seeded(&[("crates/new/Cargo.toml", &manifest(""))]);
    assert!(said[0].contains("`new` has no place in the layers"), "{said:?}");
}

#[test]
fn tokio_nix_and_libc_are_for_the_shells() {
    for (crate_name, dependency) in [
        ("vrrp", "tokio"),
        ("proxy", "nix"),
        ("balance", "socket2"),
        ("conf", "tokio"),
        ("daemon", "libc"),
        ("failoverd", "libc"),
    ] {
        let file = format!("crates/{crate_name}/Cargo.toml");
        let said = seeded(&[(&file, &manifest(&format!("{dependency}.workspace = true")))]);
        let expected = format!("`{crate_name}` may not name `{dependency}`");
        assert!(said.len() == 1 && said[0].contains(&expected), "{said:?}");
    }
    assert!(seeded(&[("crates/linux/Cargo.toml", &manifest("libc.workspace = true"))]).is_empty());
    // Tests may use what they like.
    let text = "[lints]\nworkspace = true\n[dev-dependencies]\ntokio.workspace = true\n";
    assert!(seeded(&[("crates/vrrp/Cargo.toml", text)]).is_empty());
}

#[test]
fn nom_rtnetlink_and_rustls_have_one_home_each() {
    for (crate_name, dependency) in [
        ("vrrp", "nom"),
        ("failoverd", "rtnetlink"),
        ("balancerd", "rustls"),
        ("relay", "tokio-rustls"),
    ] {
        let file = format!("crates/{crate_name}/Cargo.toml");
        let text = manifest(&format!("{dependency} = {{ workspace = true }}"));
        let said = seeded(&[(&file, &text)]);
        assert!(said.len() == 1 && said[0].contains(dependency), "{said:?}");
    }
}

#[test]
fn the_black_box_links_none_of_our_crates_even_in_tests() {
    let text = "[lints]\nworkspace = true\n[dev-dependencies]\nvrrp.workspace = true\n";
    let said = seeded(&[("compat-tests/Cargo.toml", text)]);
    assert!(said[0].contains("may not depend on `vrrp`"), "{said:?}");
}

#[test]
fn a_crate_without_the_workspaces_lints_is_complained_about() {
    let said = seeded(&[("crates/conf/Cargo.toml", "[package]\n")]);
    assert!(said[0].contains("lints"), "{said:?}");
}

#[test]
fn a_pure_crate_says_no_std_and_means_it() {
    let said = seeded(&[("crates/vrrp/src/lib.rs", "//! Elections.\n")]);
    assert!(said[0].contains("must say `#![no_std]`"), "{said:?}");
    let text = "//! Elections.\n#![no_std]\nextern crate std;\n";
    let said = seeded(&[("crates/vrrp/src/lib.rs", text)]);
    assert!(said.len() == 1 && said[0].starts_with("crates/vrrp/src/lib.rs:3:"), "{said:?}");
    let text = "//! Elections.\n#![no_std]\n#[cfg(test)]\nextern crate std;\n";
    assert!(seeded(&[("crates/vrrp/src/lib.rs", text)]).is_empty());
}

#[test]
fn unsafe_lives_in_one_crate_and_is_explained() {
    let block = "//! X.\nfn f() {\n    unsafe { g() }\n}\n";
    let said = seeded(&[("crates/daemon/src/lib.rs", block)]);
    assert!(said[0].contains("`unsafe` outside of `linux`"), "{said:?}");
    let said = seeded(&[("crates/linux/src/lib.rs", block)]);
    assert!(said[0].contains("without a `// SAFETY:` comment"), "{said:?}");
    let explained =
        "//! X.\nfn f() {\n    // SAFETY: g(2) asks for nothing.\n    unsafe { g() }\n}\n";
    assert!(seeded(&[("crates/linux/src/lib.rs", explained)]).is_empty());
    // Text is not code, and a lint's name is another word.
    let text = "//! X, unsafe.\n#![forbid(unsafe_code)]\nconst S: &str = \"unsafe\"; // unsafe\n";
    assert!(seeded(&[("crates/daemon/src/lib.rs", text)]).is_empty());
}

#[test]
fn an_ignored_test_has_a_reason() {
    let said = seeded(&[("crates/conf/src/tests.rs", "#[ignore]\nfn f() {}\n")]);
    assert!(said[0].contains("without a reason"), "{said:?}");
    assert!(
        seeded(&[("crates/conf/src/tests.rs", "#[ignore = \"slow\"]\nfn f() {}\n")]).is_empty()
    );
}

#[test]
fn a_place_on_somebodys_machine_is_complained_about() {
    let text = format!("see {}here\n", concat!("/wo", "rk/"));
    let said = seeded(&[("docs/X.md", &text)]);
    assert!(said[0].starts_with("docs/X.md:1:"), "{said:?}");
}

#[test]
fn long_files_are_listed_and_longer_ones_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("a.rs"), "\n".repeat(601)).expect("written");
    std::fs::write(directory.path().join("b.rs"), "\n".repeat(901)).expect("written");
    std::fs::write(directory.path().join("c.rs"), "\n".repeat(600)).expect("written");
    let report = check(directory.path()).expect("readable");
    assert_eq!(report.long, [(PathBuf::from("a.rs"), 601)]);
    assert_eq!(report.complaints.len(), 1);
    assert!(report.complaints[0].to_string().starts_with("b.rs: 901 lines"));
}

#[test]
fn comments_and_literals_are_blanked_out() {
    let text = "a /* b\n c */ d // e\n\"f\\\"g\" h r#\"i\" j\"# k 'l' 'm n '\\'' o";
    let code = without_text(text);
    assert_eq!(code.lines().count(), text.lines().count());
    let words: Vec<&str> = code.split_whitespace().collect();
    assert_eq!(words, ["a", "d", "h", "k", "'m", "n", "o"]);
}

//! Checks a keepalived.conf: `cargo run -p keepalived-conf --example check_keepalived -- [--explain] FILE`.
//!
//! Prints what `keepalived -t -f FILE` prints and ends with its exit code; with `--explain`, shows
//! every mistake and advice with its line.

use std::path::Path;
use std::process::ExitCode;

use keepalived_conf::{Host, Options, load};

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let explain = arguments.first().is_some_and(|a| a == "--explain");
    if explain {
        arguments.remove(0);
    }
    let Some(file) = arguments.first() else {
        eprintln!("usage: check [--explain] FILE");
        return ExitCode::from(1);
    };
    let loaded = load(Path::new(file), &Options::new(&Host));
    if explain {
        eprintln!("{}", loaded.explain());
    } else {
        for line in loaded.upstream_lines() {
            eprintln!("{line}");
        }
    }
    ExitCode::from(loaded.exit_code_test())
}

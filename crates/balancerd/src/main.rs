//! balancerd: as `haproxy`, as `nginx`, and under its own name.

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    if words.first().is_some_and(|name| balancerd::cli_nginx::is_called(name)) {
        return balancerd::cli_nginx::main(&words);
    }
    eprintln!("balancerd: start it through a link called nginx");
    ExitCode::from(2)
}

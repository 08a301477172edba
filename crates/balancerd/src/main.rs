//! balancerd: as `haproxy`, as `nginx`, and under its own name.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use balancerd::{cli_haproxy, cli_nginx};

fn main() -> ExitCode {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    if words.first().is_some_and(|name| cli_nginx::is_called(name)) {
        return cli_nginx::main(&words);
    }
    if words.first().is_some_and(|name| cli_haproxy::is_called(name)) {
        let program = words.remove(0);
        return cli_haproxy::main(&program, words);
    }
    match words.get(1).and_then(|word| word.to_str()) {
        Some("haproxy") => cli_haproxy::main(OsStr::new("haproxy"), words.split_off(2)),
        Some("nginx") => cli_nginx::main(&words[1..]),
        Some("check") if words.len() > 2 => check(&words[2..]),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// `balancerd check FILE…`: mistakes with their line, a caret and what to do.
fn check(files: &[OsString]) -> ExitCode {
    if let [file] = files
        && is_nginx(file)
    {
        let file = std::path::absolute(file).map_or_else(|_| file.clone(), Into::into);
        return cli_nginx::main(
            &["nginx", "--explain", "-t", "-c"]
                .map(Into::into)
                .into_iter()
                .chain([file])
                .collect::<Vec<_>>(),
        );
    }
    let mut words: Vec<OsString> = ["--explain", "-c", "--"].map(Into::into).into();
    words.extend_from_slice(files);
    cli_haproxy::main(OsStr::new("haproxy"), words)
}

/// Whether a file is nginx's: only its language opens blocks with a brace at the end of a line.
fn is_nginx(file: &OsStr) -> bool {
    let text = std::fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().any(|line| {
        let line = line.split('#').next().unwrap_or("").trim();
        line.ends_with('{') && !line.contains("%{") && !line.starts_with("http-")
    })
}

const USAGE: &str = "\
balancerd: a layer 4 load balancer that reads haproxy.cfg and nginx's stream {}

  balancerd check FILE…       what is wrong with a configuration, and what to do about it
  balancerd haproxy [OPTION]… as haproxy; or start it through a link called haproxy
  balancerd nginx [OPTION]…   as nginx; or start it through a link called nginx";

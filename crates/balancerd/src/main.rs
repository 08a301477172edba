//! balancerd: as `haproxy`, as `nginx`, and under its own name.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use balancerd::{cli_haproxy, cli_nginx, takeover};
use clap::{Parser, Subcommand};

/// A layer 4 load balancer that reads haproxy.cfg and nginx's stream {}
#[derive(Debug, Parser)]
#[command(name = "balancerd", version)]
struct Own {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Says whether configurations run here, what they hold of the well-known mistakes, and what to
    /// write instead; exits with 1 if one does not run, 3 if one will not do what it seems to
    Check {
        /// Files, or directories such as /etc or a copy of another node's
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Starts HAProxy in place of the one left in the same systemd service; nobody is refused
    #[command(override_usage = "balancerd take-over COMMAND [ARGUMENT]...")]
    TakeOver {
        /// What starts it: /usr/sbin/haproxy -Ws -f …
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// As haproxy; or start it through a link called haproxy
    #[command(disable_help_flag = true)]
    Haproxy {
        /// As haproxy takes them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<OsString>,
    },
    /// As nginx; or start it through a link called nginx
    #[command(disable_help_flag = true)]
    Nginx {
        /// As nginx takes them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    if words.first().is_some_and(|name| cli_nginx::is_called(name)) {
        return cli_nginx::main(&words);
    }
    if words.first().is_some_and(|name| cli_haproxy::is_called(name)) {
        let program = words.remove(0);
        return cli_haproxy::main(&program, words);
    }
    // What follows these is an original's, to the letter: clap would take two dashes out of it.
    match words.get(1).and_then(|word| word.to_str()) {
        Some("haproxy") => return cli_haproxy::main(OsStr::new("haproxy"), words.split_off(2)),
        Some("nginx") => return cli_nginx::main(&words[1..]),
        _ => {}
    }
    match Own::try_parse_from(&words) {
        Ok(Own { what: What::Check { files } }) => check(&files),
        Ok(Own { what: What::TakeOver { command } }) => takeover::main(&command),
        Ok(Own { what: What::Haproxy { options } }) => {
            cli_haproxy::main(OsStr::new("haproxy"), options)
        }
        Ok(Own { what: What::Nginx { options } }) => {
            words = vec![OsString::from("nginx")];
            words.extend(options);
            cli_nginx::main(&words)
        }
        Err(error) => {
            // Nobody may be listening, as with `| head`.
            let _ = error.print();
            u8::try_from(error.exit_code()).unwrap_or(1).into()
        }
    }
}

/// `balancerd check PATH…`: mistakes with their line, a caret and what to do.
fn check(files: &[PathBuf]) -> ExitCode {
    let (text, code) = lint::answer(files);
    // Nobody may be listening, as with `| head`.
    let _ = std::io::stdout().write_all(text.as_bytes());
    code.into()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn clap_finds_nothing_wrong_with_it() {
        Own::command().debug_assert();
    }

    #[test]
    fn the_first_word_decides_and_a_check_needs_a_file() {
        let read = |line: &str| Own::try_parse_from(line.split(' '));
        assert!(matches!(read("balancerd check a b").expect("understood").what,
            What::Check { files } if files == [PathBuf::from("a"), PathBuf::from("b")]));
        for line in ["balancerd", "balancerd check", "balancerd chekc a", "balancerd -f a"] {
            assert_eq!(read(line).expect_err(line).exit_code(), 2, "{line}");
        }
    }
}

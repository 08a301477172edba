//! `cargo xtask`: what one does with the project beside building it.
//!
//! ```text
//! cargo xtask demo [000 … 004]     the guides' own files on a small network, live
//! cargo xtask test                 everything that must hold before a change lands
//! ```

mod demo;
mod programs;
mod test;

use std::process::ExitCode;

fn main() -> ExitCode {
    lab::init();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, args) = match args.split_first() {
        Some((command, args)) => (command.as_str(), args),
        None => ("", &[][..]),
    };
    let done = match command {
        "demo" => demo::run(args),
        "test" => test::run(args),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    done.unwrap_or_else(|why| {
        eprintln!("xtask {command}: {why:#}");
        ExitCode::FAILURE
    })
}

const USAGE: &str = "usage: cargo xtask COMMAND

  demo [NAME…] [--subject ours|upstream]   run the guides on a small network and watch
  test [NAME…]                             format, lints, tests, documentation";

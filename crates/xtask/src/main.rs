//! `cargo xtask`: what one does with the project beside building it.
//!
//! ```text
//! cargo xtask demo [000 … 004]     the guides' own files on a small network, live
//! cargo xtask test                 everything that must hold before a change lands
//! cargo xtask fuzz                 mutated inputs for every parser and codec
//! cargo xtask gen                  the pages made from the keyword tables
//! cargo xtask bench                what a connection costs, here and in the originals
//! cargo xtask tidy                 the rules of the layers and of the house
//! ```

mod bench;
mod demo;
mod fuzz;
mod generate;
mod originals;
mod test;
mod tidy;

use std::process::ExitCode;

fn main() -> ExitCode {
    lab::init();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, args) = match args.split_first() {
        Some((command, args)) => (command.as_str(), args),
        None => ("", &[][..]),
    };
    let done = match command {
        "bench" => bench::run(args),
        "demo" => demo::run(args),
        "test" => test::run(args),
        "fuzz" => fuzz::run(args),
        "gen" => generate::run(args),
        "tidy" => tidy::run(args),
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
  test [NAME…]                             format, lints, tests, documentation
  fuzz [--seconds N] [--seed N] [NAME…]    mutated inputs for every parser and codec
  gen [--check]                            the pages made from the keyword tables
  bench [--quick] [--write]                what a connection costs, here and in the originals
  bench failover|scale|scripts             what failoverd does and costs, beside keepalived
  tidy                                     the rules of the layers and of the house";

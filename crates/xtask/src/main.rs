//! `cargo xtask`: what one does with the project beside building it.
//!
//! ```text
//! cargo xtask demo [000 … 004]     the guides' own files on a small network, live
//! cargo xtask test                 everything that must hold before a change lands
//! cargo xtask fuzz                 mutated inputs for every parser and codec
//! cargo xtask gen                  the pages made from the keyword tables
//! cargo xtask deb | tarball | oci   packages for Debian, archives, container images
//! cargo xtask bench                what a connection costs, here and in the originals
//! cargo xtask peers                the newest HAProxy and nginx, for `bench`
//! cargo xtask migrate-check /etc   whether configurations run here, and what is wrong with them
//! cargo xtask tidy                 the rules of the layers and of the house
//! ```

mod bench;
mod deb;
mod demo;
mod fuzz;
mod generate;
mod originals;
mod peers;
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
        "deb" => deb::run(args),
        "demo" => demo::run(args),
        "oci" => deb::oci(args),
        "peers" => peers::run(args),
        "tarball" => deb::tarball(args),
        "test" => test::run(args),
        "fuzz" => fuzz::run(args),
        "gen" => generate::run(args),
        "migrate-check" => migrate_check(args),
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

/// What the installed `failoverd check` and `balancerd check` say, too.
fn migrate_check(args: &[String]) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(!args.is_empty(), "usage: cargo xtask migrate-check PATH…, such as /etc");
    let operands: Vec<_> = args.iter().map(std::path::PathBuf::from).collect();
    let (text, code) = lint::answer(&operands);
    print!("{text}");
    Ok(code.into())
}

const USAGE: &str = "usage: cargo xtask COMMAND

  demo [NAME…] [--subject ours|upstream]   run the guides on a small network and watch
  test [NAME…]                             format, lints, tests, documentation
  fuzz [--seconds N] [--seed N] [NAME…]    mutated inputs for every parser and codec
  gen [--check]                            the pages made from the keyword tables
  deb [--arch ARCH] [--test [SUITE]]       packages for Debian; --test tries them in a Debian of their own
  tarball | oci [--arch ARCH]              archives and container images of static binaries
  bench [--quick] [--write]                what a connection costs, here and in the originals
  peers [SUITE]                            the newest HAProxy and nginx Debian has, for `bench` to run beside
  bench failover|scale|scripts             what failoverd does and costs, beside keepalived
  migrate-check PATH…                      whether what is in /etc runs here, and its mistakes
  tidy                                     the rules of the layers and of the house";

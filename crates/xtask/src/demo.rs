//! `cargo xtask demo`: the guides' own files on a small network, live.
//!
//! ```text
//!   Stage (crate lab)                 the nodes, the servers, the client
//!     ▲
//!   play   one guide, act by act: what is done, how long it may take, what is wrong
//!     │
//!   screen  the timeline: a row a second, and everything that happened between
//! ```

mod play;
mod screen;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lab::Subject;
use lab::guide::{self, Guide};

/// Runs the guides named in `args`, or all.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let (guides, upstream) = understand(args)?;
    let subject = if upstream {
        Subject::upstream().context("keepalived, haproxy and nginx are not all installed here")?
    } else {
        Subject::ours()?
    };
    lab::ground::enter()?;
    screen::headline(&format!("{} guides, the programs are {}", guides.len(), subject.name()));
    let mut tables = Vec::new();
    for guide in guides {
        let name = guide.name;
        tables.push(play::play(guide, &subject).with_context(|| format!("guide {name}"))?);
    }
    screen::headline("what was seen");
    let mut wrong = 0;
    for table in &tables {
        table.print();
        wrong += table.wrong();
    }
    println!("{}", play::WHAT_IS_BOUNDED);
    if wrong == 0 {
        screen::headline("nothing was wrong");
        return Ok(ExitCode::SUCCESS);
    }
    screen::headline(&format!("wrong: {wrong}"));
    Ok(ExitCode::FAILURE)
}

fn understand(args: &[String]) -> Result<(Vec<Guide>, bool)> {
    let (mut guides, mut upstream) = (Vec::new(), false);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--subject" => match args.next().map(String::as_str) {
                Some("ours") => upstream = false,
                Some("upstream") => upstream = true,
                _ => bail!("--subject is ours or upstream"),
            },
            name => {
                let found = guide::named(name);
                if found.is_empty() {
                    let known: Vec<&str> = guide::all().iter().map(|guide| guide.name).collect();
                    bail!("there is no guide '{name}', but {}", known.join(", "));
                }
                guides.extend(found);
            }
        }
    }
    if guides.is_empty() {
        guides = guide::all();
    }
    Ok((guides, upstream))
}

//! Prints an election between two routers, a failure, and the return of the better one.
//!
//! `cargo run -p sim --example two_routers`

use std::time::Duration;

use sim::{Lan, Traced, router};
use vrrp::Action;

fn main() {
    let mut lan = Lan::new(1);
    let backup = lan.add(router(100));
    let master = lan.add(router(150));
    let mut shown = 0;
    lan.start(backup);
    lan.start(master);
    tell(&mut lan, &mut shown, "two routers start", 5);
    lan.kill(master);
    tell(&mut lan, &mut shown, "n1, the master, is killed", 5);
    lan.start(master);
    tell(&mut lan, &mut shown, "n1 is back", 5);
    lan.freeze(master);
    tell(&mut lan, &mut shown, "n1 is frozen for 5 seconds", 5);
    lan.resume(master);
    tell(&mut lan, &mut shown, "n1 runs again", 5);
    lan.terminate(master);
    tell(&mut lan, &mut shown, "n1 is told to end", 2);
    println!("moments with two holders: {}", lan.violations().len());
}

fn tell(lan: &mut Lan, shown: &mut usize, what: &str, seconds: u64) {
    println!("--- {what}");
    lan.run(Duration::from_secs(seconds));
    for (at, i, what) in &lan.trace()[*shown..] {
        let at = format!("{:7.3}", at.since_zero().as_secs_f64());
        match what {
            Traced::Action(Action::Log(line)) if !line.is_detail() => {
                println!("{at}  n{i}  {line}")
            }
            Traced::Action(Action::AddAddresses { .. }) => {
                println!("{at}  n{i}  + {}", sim::VIRTUAL)
            }
            Traced::Action(Action::RemoveAddresses { .. }) => {
                println!("{at}  n{i}  - {}", sim::VIRTUAL);
            }
            Traced::Expired(address) => println!("{at}  n{i}  - {address}, its lease is over"),
            Traced::Action(_) | Traced::Fault(_) => {}
        }
    }
    *shown = lan.trace().len();
}

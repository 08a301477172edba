//! One guide, act by act, and what must hold in each.

use std::time::Duration;

use anyhow::{Result, bail};
use lab::account::{self, Both};
use lab::guide::Guide;
use lab::stage::{EVERY, PATIENCE, Stage};
use lab::{Moment, Subject};
use nix::sys::signal::Signal;

use super::screen::{self, Screen, paint};

/// What one act showed.
struct Row {
    what: String,
    /// The longest time without an answer, and what it may be.
    silence: Duration,
    bound: Option<Duration>,
    wrong: Vec<String>,
}

/// What one guide showed.
pub(crate) struct Table {
    title: String,
    rows: Vec<Row>,
    /// Sentences about the whole of it, and what is wrong with it.
    sums: Vec<String>,
    wrong: Vec<String>,
}

pub(crate) const WHAT_IS_BOUNDED: &str = "\
  \"without an answer\" is the longest time between the ends of two answered requests. It may be as
  long as the backup must wait by its priority (a resigned master: the skew time, 0.61 s at priority
  100; a silent one: three adverts and the skew time, 3.61 s), and 40 ms for the client: one interval
  of its own on each side, and what a request takes on a busy machine.";

/// What the client's own rhythm adds to any measure.
const CLIENT: Duration = Duration::from_millis(40);

/// How long nodes may take to agree in the beginning.
const SETTLE: Duration = Duration::from_secs(15);

/// Runs a guide from its first packet to its closing account.
pub(crate) fn play(guide: Guide, subject: &Subject) -> Result<Table> {
    screen::headline(&format!("guide {}: {}", guide.name, guide.title));
    let mut play = Play::begin(guide, subject)?;
    play.quiet();
    play.server_dies_and_returns()?;
    if play.stage.guide.floating.is_some() {
        play.fault("the master's daemon gets SIGTERM", Fault::Kill(Signal::SIGTERM))?;
        play.fault("the master's daemon gets SIGKILL", Fault::Kill(Signal::SIGKILL))?;
        play.fault("the master's daemon is frozen (SIGSTOP)", Fault::Freeze)?;
        play.fault("the master's cable is pulled", Fault::Cable)?;
        if let Some(watched) = play.stage.guide.watched {
            play.fault("the master's balancer gets SIGKILL", Fault::Balancer(watched))?;
        }
    }
    play.end()
}

/// What is done to the master.
#[derive(Clone, Copy)]
enum Fault {
    Kill(Signal),
    Freeze,
    Cable,
    /// The balancer dies and the check script notices within that time.
    Balancer(Duration),
}

struct Play {
    stage: Stage,
    screen: Screen,
    rows: Vec<Row>,
    /// When requests may fail, and when the address may be nowhere.
    excused: Vec<(Moment, Moment)>,
    client_from: Moment,
}

impl Play {
    fn begin(guide: Guide, subject: &Subject) -> Result<Self> {
        let mut stage = Stage::new(guide, subject)?;
        let screen = Screen::new(&stage);
        screen.note("the balancers start");
        stage.start_balancers()?;
        if stage.guide.floating.is_some() {
            let settled = stage.until(SETTLE, |stage| {
                let holders = stage.holders();
                let first = stage.guide.balancers[0].name;
                // Where priorities are equal either may begin.
                let returns = stage.guide.floating.is_some_and(|floating| floating.returns);
                holders.len() == 1 && (!returns || &*holders[0] == first)
            });
            if !settled {
                let holders = stage.holders();
                screen.verdict(false, &format!("the address is on {holders:?} after {SETTLE:?}"));
            }
        }
        stage.start_client()?;
        let client_from = Moment::now();
        if !stage.until(SETTLE, |stage| stage.answered_after(client_from).is_some()) {
            drop(screen);
            bail!("nothing answers at {}", stage.guide.target);
        }
        // Servers that are not yet checked count as up; requests that fail now are wrong.
        Ok(Self { stage, screen, rows: Vec::new(), excused: Vec::new(), client_from })
    }

    /// Nothing is done: each server gets its share and nothing fails.
    fn quiet(&mut self) {
        let from = Moment::now();
        self.stage.watch(Duration::from_secs(3));
        let mut wrong = Vec::new();
        let (answered, failed) = self.stage.tally(from);
        if failed > 0 {
            wrong.push(format!("{failed} requests failed while nothing was done"));
        }
        for (name, _) in &self.stage.guide.servers {
            if !answered.contains_key(*name) {
                wrong.push(format!("{name} got no request"));
            }
        }
        self.row("nothing is done", from, None, wrong);
    }

    fn server_dies_and_returns(&mut self) -> Result<()> {
        let guide = self.stage.guide.clone();
        let last = guide.servers.len() - 1;
        let (name, _) = guide.servers[last];
        let from = Moment::now();
        self.screen.note(&format!("{name} dies (SIGKILL)"));
        self.stage.servers[last].signal("apiserver", Signal::SIGKILL)?;
        // Over when nothing failed for a second: requests that fail are known after PATIENCE.
        let calm = Duration::from_secs(1);
        let over = self.stage.until(guide.notice + PATIENCE + calm * 2, |stage| {
            let now = Moment::now();
            let known = Moment(now.0 - (PATIENCE + calm).as_nanos() as u64);
            known > from
                && stage.tally(known).1 == 0
                && stage.tally(known).0.values().sum::<u64>() > 50
        });
        self.excused.push((from, from.after(guide.notice.max(EVERY * 5))));
        let mut wrong = Vec::new();
        if !over {
            wrong.push(format!("requests still fail {:?} after {name} died", guide.notice));
        }
        self.row(&format!("{name} dies"), from, Some(Duration::from_secs(1)), wrong);

        let from = Moment::now();
        self.screen.note(&format!("{name} returns"));
        self.stage.start_server(last)?;
        let back = self.stage.until(guide.welcome, |stage| stage.tally(from).0.contains_key(name));
        self.stage.watch(Duration::from_secs(1));
        let wrong = (!back).then(|| format!("{name} got no request within {:?}", guide.welcome));
        self.row(
            &format!("{name} returns"),
            from,
            Some(Duration::from_secs(1)),
            Vec::from_iter(wrong),
        );
        Ok(())
    }

    /// Does something to the master, waits for the other to take over, and mends it.
    fn fault(&mut self, what: &str, fault: Fault) -> Result<()> {
        let Some(floating) = self.stage.guide.floating else { return Ok(()) };
        let Some(master) = self.master() else {
            self.row(what, Moment::now(), None, vec!["nobody is master".into()]);
            return Ok(());
        };
        let name = self.stage.guide.balancers[master].name;
        let bound = CLIENT
            + match fault {
                Fault::Kill(Signal::SIGTERM) => floating.skew(),
                // A run of the script, and the connections refused meanwhile.
                Fault::Balancer(watched) => watched + floating.skew() + Duration::from_millis(500),
                _ => floating.master_down(),
            };
        self.screen.note(&format!("{what} ({name})"));
        let from = Moment::now();
        self.hurt(master, fault)?;
        let taken = self.stage.until(bound + Duration::from_secs(5), |stage| {
            stage.holds().iter().any(|hold| {
                &*hold.node != name
                    && !hold.ended
                    && stage.answered_after(hold.first.max(from)).is_some()
            })
        });
        // A second of calm shows that it lasts.
        self.stage.watch(Duration::from_secs(1));
        self.excused.push((from, from.after(bound)));
        let wrong = (!taken).then(|| "no other node took over".to_owned());
        self.row(what, from, Some(bound), Vec::from_iter(wrong));

        let from = Moment::now();
        self.screen.note(&format!("{name} is mended"));
        self.mend(master, fault)?;
        let mut wrong = Vec::new();
        if floating.returns {
            // By its own priority, then the checks' rise.
            let limit = floating.master_down() + Duration::from_secs(10);
            if !self.stage.until_master(name, limit) {
                wrong.push(format!("{name} is not master again after {limit:?}"));
            }
            // Connections of the moment break when the address moves.
            let taken = Moment::now();
            let before = Moment(taken.0.saturating_sub(Duration::from_secs(1).as_nanos() as u64));
            self.excused.push((before.max(from), taken.after(Duration::from_secs(1))));
            self.stage.watch(Duration::from_secs(1));
        } else {
            self.stage.watch(floating.master_down() + Duration::from_secs(1));
        }
        self.row("  and returns", from, Some(floating.skew() + CLIENT), wrong);
        Ok(())
    }

    fn hurt(&self, master: usize, fault: Fault) -> Result<()> {
        let node = &self.stage.balancers[master];
        let balancer = &self.stage.guide.balancers[master];
        let reached = match fault {
            Fault::Kill(Signal::SIGTERM) => {
                // The main process alone, as systemd does; it is the oldest.
                let out = node.run(&["sh", "-c", "kill $(pgrep -o keepalived)"], PROMPT)?;
                u64::from(out.code == 0)
            }
            Fault::Kill(signal) => node.signal("keepalived", signal)?,
            Fault::Freeze => node.signal("keepalived", Signal::SIGSTOP)?,
            Fault::Cable => {
                node.cable(balancer.interface, false)?;
                1
            }
            Fault::Balancer(_) => node.signal(balancer.daemons[0].argv[0], Signal::SIGKILL)?,
        };
        if reached == 0 { bail!("nothing to hurt on {}", balancer.name) } else { Ok(()) }
    }

    fn mend(&self, master: usize, fault: Fault) -> Result<()> {
        let node = &self.stage.balancers[master];
        let balancer = self.stage.guide.balancers[master].clone();
        match fault {
            Fault::Freeze => {
                node.signal("keepalived", Signal::SIGCONT)?;
            }
            Fault::Cable => node.cable(balancer.interface, true)?,
            Fault::Kill(_) | Fault::Balancer(_) => {
                for daemon in &balancer.daemons {
                    let found = node.run(&["pgrep", daemon.argv[0]], PROMPT)?;
                    if found.code != 0 {
                        self.stage.start_daemon(master, daemon)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn master(&self) -> Option<usize> {
        let holders = self.stage.holders();
        let name = holders.first()?;
        self.stage.guide.balancers.iter().position(|one| *one.name == **name)
    }

    /// Closes an act: what it showed, and whether the address was ever on two nodes in it.
    fn row(&mut self, what: &str, from: Moment, bound: Option<Duration>, mut wrong: Vec<String>) {
        let to = Moment::now();
        // The newest requests are still open.
        let known = Moment(to.0 - PATIENCE.as_nanos() as u64).max(from);
        let silence = account::silence(&self.stage.requests(), from, known);
        if bound.is_some_and(|bound| silence > bound) {
            wrong.push(format!("{:.2} s without an answer", silence.as_secs_f64()));
        }
        for Both { nodes: (one, other), lasted, .. } in self.overlaps_since(from) {
            wrong.push(format!("{one} and {other} both had the address for {lasted:?}"));
        }
        let text = if wrong.is_empty() {
            format!("{}: {:.3} s without an answer", what.trim(), silence.as_secs_f64())
        } else {
            format!("{}: {}", what.trim(), wrong.join("; "))
        };
        self.screen.verdict(wrong.is_empty(), &text);
        self.rows.push(Row { what: what.into(), silence, bound, wrong });
    }

    fn overlaps_since(&self, from: Moment) -> Vec<Both> {
        if self.stage.guide.floating.is_none() {
            return Vec::new();
        }
        let mut found = account::overlaps(&self.stage.holds());
        found.retain(|both| both.from >= from);
        found
    }

    /// Stops the client and closes the books.
    fn end(mut self) -> Result<Table> {
        self.stage.stop_client()?;
        let to = Moment::now();
        let entries = self.stage.lab.journal().since(0);
        let books = account::books(&entries);
        let mut wrong = books.wrong;
        let unexcused = account::requests(&entries)
            .into_iter()
            .filter(|one| one.answer.is_err())
            .filter(|one| !self.excused.iter().any(|(a, b)| one.start < *b && one.end > *a))
            .count();
        if unexcused > 0 {
            wrong.push(format!("{unexcused} requests failed that no fault explains"));
        }
        let answered: u64 = books.answered.values().sum();
        let failed: u64 = books.failed.values().sum();
        let by: Vec<String> =
            books.answered.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let mut sums = vec![format!(
            "{} requests: {answered} answered ({}), {failed} failed while a fault lasted",
            answered + failed,
            by.join(", ")
        )];
        if self.stage.guide.floating.is_some() {
            let address = self.stage.guide.target.ip();
            let holds = account::holds(&entries, address);
            let both = account::overlaps(&holds);
            let nowhere = account::unheld(&holds, self.client_from, to).into_iter().filter(|gap| {
                let end = gap.0.after(gap.1);
                // A sample's width of doubt at each end.
                let slack = Duration::from_millis(50);
                !self.excused.iter().any(|(a, b)| gap.0.after(slack) >= *a && end <= b.after(slack))
            });
            let nowhere: Vec<Duration> =
                nowhere.map(|gap| gap.1).filter(|long| *long > 3 * EVERY).collect();
            if !nowhere.is_empty() {
                wrong.push(format!("the address was nowhere for {nowhere:?}, outside a fail-over"));
            }
            sums.push(format!(
                "{} samples of who has {address}: on two nodes {} times",
                account::samples(&entries, address),
                both.len()
            ));
        }
        let title = format!("guide {}: {}", self.stage.guide.name, self.stage.guide.title);
        Ok(Table { title, rows: self.rows, sums, wrong })
    }
}

impl Table {
    /// How many things were wrong.
    pub(crate) fn wrong(&self) -> usize {
        self.wrong.len() + self.rows.iter().map(|row| row.wrong.len()).sum::<usize>()
    }

    pub(crate) fn print(&self) {
        println!("  {}", self.title);
        println!("  {:<44} {:>18}  {:>10}", "", "without an answer", "allowed");
        for row in &self.rows {
            let bound =
                row.bound.map_or(String::new(), |bound| format!("{:.3} s", bound.as_secs_f64()));
            let verdict = if row.wrong.is_empty() {
                paint(screen::GREEN, "✔")
            } else {
                paint(screen::RED, &format!("✘ {}", row.wrong.join("; ")))
            };
            let silence = format!("{:.3} s", row.silence.as_secs_f64());
            println!("  {:<44} {silence:>18}  {bound:>10}  {verdict}", row.what);
        }
        for text in &self.sums {
            println!("  {text}");
        }
        for text in &self.wrong {
            println!("  {}", paint(screen::RED, &format!("✘ {text}")));
        }
        println!();
    }
}

/// For a command that answers at once on any machine.
const PROMPT: Duration = Duration::from_secs(10);

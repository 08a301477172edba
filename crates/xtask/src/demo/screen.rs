//! The timeline a person watches.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lab::stage::{PATIENCE, Stage};
use lab::{Entry, Event, Journal, Moment, account};

/// Prints the rows of one guide while it runs.
pub(crate) struct Screen {
    shared: Arc<Shared>,
    printer: Option<JoinHandle<()>>,
}

struct Shared {
    journal: Arc<Journal>,
    start: Moment,
    address: IpAddr,
    /// Names of servers, whose place is the digit they are shown as.
    servers: Vec<String>,
    balancers: Vec<String>,
    notes: Mutex<Vec<(Moment, String)>>,
    over: AtomicBool,
}

impl Screen {
    pub(crate) fn new(stage: &Stage) -> Self {
        let shared = Arc::new(Shared {
            journal: Arc::clone(stage.lab.journal()),
            start: stage.start,
            address: stage.guide.target.ip(),
            servers: stage.guide.servers.iter().map(|(name, _)| (*name).to_owned()).collect(),
            balancers: stage.guide.balancers.iter().map(|one| one.name.to_owned()).collect(),
            notes: Mutex::new(Vec::new()),
            over: AtomicBool::new(false),
        });
        println!("{}", shared.legend(stage));
        let printer = Arc::clone(&shared);
        Self { shared, printer: Some(thread::spawn(move || printer.print())) }
    }

    /// Says what the demo does.
    pub(crate) fn note(&self, text: &str) {
        self.shared.notes().push((Moment::now(), format!("▶ {}", paint(BOLD, text))));
    }

    /// Says how it came out.
    pub(crate) fn verdict(&self, good: bool, text: &str) {
        let (colour, mark) = if good { (GREEN, "✔") } else { (RED, "✘") };
        self.shared.notes().push((Moment::now(), paint(colour, &format!("{mark} {text}"))));
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        if let Some(printer) = self.printer.take() {
            printer.join().ok();
        }
    }
}

impl Shared {
    fn notes(&self) -> std::sync::MutexGuard<'_, Vec<(Moment, String)>> {
        self.notes.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn legend(&self, stage: &Stage) -> String {
        let servers = self.servers.iter().enumerate();
        let servers: Vec<String> = servers
            .map(|(place, name)| paint(COLOURS[place % 3], &format!("{} = {name}", place + 1)))
            .collect();
        format!(
            "  the client asks {} every 10 ms; every second request is shown: the server that \
             answered, or ×\n  {}\n",
            stage.guide.target,
            servers.join("   ")
        )
    }

    /// Prints what happened, a second at a time, as soon as its requests are over.
    fn print(&self) {
        let mut next = 0;
        let mut seen = 0;
        let mut waiting: Vec<Entry> = Vec::new();
        let mut holders: BTreeMap<Arc<str>, bool> = BTreeMap::new();
        loop {
            let over = self.over.load(Ordering::Acquire);
            let fresh = self.journal.since(seen);
            seen += fresh.len();
            waiting.extend(fresh);
            let end = self.start.after(ROW * (next + 1));
            if Moment::now() < end.after(PATIENCE + Duration::from_millis(100)) && !over {
                thread::sleep(Duration::from_millis(50));
                continue;
            }
            let (row, later) = waiting.into_iter().partition(|entry| begun(entry) < end);
            waiting = later;
            self.second(next, row, end, &mut holders);
            next += 1;
            if over && waiting.is_empty() && self.notes().is_empty() {
                return;
            }
        }
    }

    fn second(
        &self,
        number: u32,
        row: Vec<Entry>,
        end: Moment,
        holders: &mut BTreeMap<Arc<str>, bool>,
    ) {
        let begin = self.start.after(ROW * number);
        let mut cells = [None::<(Moment, char)>; CELLS];
        let (mut asked, mut answered) = (0, 0);
        let mut lines: Vec<(Moment, String)> = Vec::new();
        for entry in &row {
            if let Some(request) = account::request(entry) {
                asked += 1;
                answered += u32::from(request.answer.is_ok());
                let place = request.start.since(begin).as_nanos() * CELLS as u128;
                let cell = &mut cells[((place / ROW.as_nanos()) as usize).min(CELLS - 1)];
                let server = request.answer.as_ref().ok();
                let digit = server.and_then(|name| self.servers.iter().position(|one| one == name));
                let mark = digit.map_or('×', |place| char::from(b'1' + place as u8));
                // Of the two requests of a cell the first is shown.
                if cell.is_none_or(|(start, _)| request.start < start) {
                    *cell = Some((request.start, mark));
                }
            }
            lines.extend(self.happened(entry, holders).map(|text| (entry.at, text)));
        }
        {
            let mut notes = self.notes();
            let (now, later) = notes.drain(..).partition(|(at, _)| *at < end);
            *notes = later;
            lines.extend::<Vec<_>>(now);
        }
        lines.sort_by_key(|(at, _)| *at);
        let mut out = std::io::stdout().lock();
        for (at, text) in lines {
            writeln!(out, "{:>9.3} s  {text}", at.since(self.start).as_secs_f64()).ok();
        }
        if asked > 0 {
            let with: Vec<&str> =
                holders.iter().filter(|(_, held)| **held).map(|(node, _)| &**node).collect();
            let with = if with.is_empty() { "nobody".to_owned() } else { with.join("+") };
            let with = if self.balancers.len() > 1 { with } else { self.balancers[0].clone() };
            let strip: String =
                cells.iter().map(|cell| colour_of(cell.map_or(' ', |(_, mark)| mark))).collect();
            let number = number + 1;
            let count = format!("{answered} of {asked}");
            let count = if answered == asked { count } else { paint(RED, &count) };
            writeln!(out, "{number:>5} s      {with:<12} │{strip}│ {count}").ok();
        }
        out.flush().ok();
    }

    /// What an entry is worth saying, if anything.
    fn happened(&self, entry: &Entry, holders: &mut BTreeMap<Arc<str>, bool>) -> Option<String> {
        let node = &entry.node;
        match &entry.event {
            Event::Held { held, .. } => {
                let before = holders.insert(Arc::clone(node), *held).unwrap_or(false);
                let verb = if *held { "has" } else { "no longer has" };
                let text = format!("  {node} {verb} {}", self.address);
                (before != *held).then(|| paint(if *held { CYAN } else { YELLOW }, &text))
            }
            Event::Line { text, .. } if self.balancers.iter().any(|one| **one == **node) => {
                let telling = TELLING.iter().any(|words| text.contains(words));
                let short: String = without_date(text).chars().take(LONGEST).collect();
                telling.then(|| paint(DIM, &format!("  {node}: {short}")))
            }
            _ => None,
        }
    }
}

/// When what an entry tells began: a request belongs where it was asked.
fn begun(entry: &Entry) -> Moment {
    account::request(entry).map_or(entry.at, |request| request.start)
}

/// keepalived's console lines begin with a date that says less than the row's time.
fn without_date(text: &str) -> &str {
    match text.split_once(": ") {
        Some((date, rest)) if date.ends_with(|c: char| c.is_ascii_digit()) => rest,
        _ => text,
    }
}

fn colour_of(cell: char) -> String {
    match cell {
        '1'..='9' => paint(COLOURS[(cell as usize - '1' as usize) % 3], &cell.to_string()),
        '×' => paint(RED, "×"),
        other => other.to_string(),
    }
}

/// A line that begins something new.
pub(crate) fn headline(text: &str) {
    println!("\n{}\n", paint(BOLD, &format!("━━ {text} ━━")));
}

/// The text in that colour, on a terminal that has colours.
pub(crate) fn paint(colour: &str, text: &str) -> String {
    let plain = !std::io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some();
    if plain { text.to_owned() } else { format!("\x1b[{colour}m{text}\x1b[0m") }
}

pub(crate) const GREEN: &str = "32";
pub(crate) const RED: &str = "1;31";
const BOLD: &str = "1";
const CYAN: &str = "1;36";
const DIM: &str = "2";
const YELLOW: &str = "33";
const COLOURS: [&str; 3] = ["32", "34", "35"];

const ROW: Duration = Duration::from_secs(1);
const CELLS: usize = 50;
/// How much of a daemon's line is shown.
const LONGEST: usize = 90;

/// Words of the daemons' lines that are part of the story.
const TELLING: [&str; 7] =
    ["STATE", "is DOWN", "is UP", "Script", "lease", "[WARNING]", "higher priority"];

//! What the events of a lab amount to: who held the address when, and what became of requests.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::journal::Entry;
use crate::order::{Event, Moment};
use crate::probe::{Request, Sum};

/// A stretch of time in which every sample found the address on a node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hold {
    /// The node.
    pub node: Arc<str>,
    /// The end of the first sample that found it.
    pub first: Moment,
    /// The beginning of the last sample that found it.
    pub last: Moment,
    /// Whether the stretch ended; an open one goes on, as far as is known.
    pub ended: bool,
}

/// The stretches in which nodes held `address`, by their beginning.
pub fn holds(entries: &[Entry], address: IpAddr) -> Vec<Hold> {
    let mut done = Vec::new();
    let mut open: HashMap<Arc<str>, Hold> = HashMap::new();
    for entry in entries {
        let Event::Held { address: of, held, before, .. } = entry.event else { continue };
        if of != address {
            continue;
        }
        let node = Arc::clone(&entry.node);
        if held {
            open.entry(Arc::clone(&node))
                .or_insert(Hold { node, first: entry.at, last: before, ended: false })
                .last = entry.at;
        } else if let Some(mut hold) = open.remove(&node) {
            // `before` is when the last sample began that still found it.
            hold.last = before.max(hold.first);
            hold.ended = true;
            done.push(hold);
        }
    }
    done.extend(open.into_values());
    done.sort_by_key(|hold| hold.first);
    done
}

/// Two nodes that held the address at the same time, for certain and for at least how long.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Both {
    /// The node that had it first, and the other.
    pub nodes: (Arc<str>, Arc<str>),
    /// When the second one was first seen with it.
    pub from: Moment,
    /// How long both had it, by the samples; a lower bound.
    pub lasted: Duration,
}

/// Every pair of `holds` that overlap.
///
/// Samples of two nodes are not taken at the same instant, so an overlap counts when the samples
/// prove it: one node had the address before *and* after the other was seen with it.
pub fn overlaps(holds: &[Hold]) -> Vec<Both> {
    let mut found = Vec::new();
    for (place, first) in holds.iter().enumerate() {
        for second in &holds[place + 1..] {
            let until = first.last.min(second.last);
            if first.node != second.node && second.first <= until {
                found.push(Both {
                    nodes: (Arc::clone(&first.node), Arc::clone(&second.node)),
                    from: second.first,
                    lasted: until.since(second.first),
                });
            }
        }
    }
    found
}

/// The stretches between `from` and `to` in which no sample found the address anywhere.
pub fn unheld(holds: &[Hold], from: Moment, to: Moment) -> Vec<(Moment, Duration)> {
    let mut gaps = Vec::new();
    let mut covered = from;
    for hold in holds.iter().filter(|hold| hold.last >= from && hold.first <= to) {
        if hold.first > covered {
            gaps.push((covered, hold.first.since(covered)));
        }
        covered = covered.max(if hold.ended { hold.last } else { to });
    }
    if covered < to {
        gaps.push((covered, to.since(covered)));
    }
    gaps
}

/// How often the nodes looked for `address`, all together.
pub fn samples(entries: &[Entry], address: IpAddr) -> u64 {
    let mut last = HashMap::new();
    for entry in entries {
        if let Event::Held { address: of, samples, .. } = entry.event
            && of == address
        {
            last.insert(Arc::clone(&entry.node), samples);
        }
    }
    last.values().sum()
}

/// The requests whose end the client reported, by their number.
pub fn requests(entries: &[Entry]) -> Vec<Request> {
    let mut found: Vec<Request> = entries.iter().filter_map(request).cloned().collect();
    found.sort_by_key(|request| request.number);
    found
}

/// The request whose end an entry reports.
pub fn request(entry: &Entry) -> Option<&Request> {
    if let Event::Asked(request) = &entry.event { Some(request) } else { None }
}

/// The longest time without an answer that ended after `from`: between the ends of two answered
/// requests that follow each other, or from `from` to the first.
pub fn silence(requests: &[Request], from: Moment, to: Moment) -> Duration {
    let mut ends: Vec<Moment> =
        requests.iter().filter(|one| one.answer.is_ok()).map(|one| one.end).collect();
    ends.sort_unstable();
    let mut last = ends.iter().copied().filter(|end| *end <= from).max().unwrap_or(from);
    let mut longest = Duration::ZERO;
    for end in ends.into_iter().filter(|end| (from..to).contains(end)) {
        longest = longest.max(end.since(last));
        last = end;
    }
    longest.max(to.since(last))
}

/// What became of all requests, and whether both sides tell the same story.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// Answered requests, by the server whose name was in the answer.
    pub answered: BTreeMap<String, u64>,
    /// Requests that failed, by the reason.
    pub failed: BTreeMap<String, u64>,
    /// What does not add up, a sentence each; empty when every request is accounted for.
    pub wrong: Vec<String>,
}

/// Holds the client's account against the servers' ledgers.
///
/// Every request the client started must have ended; every answer it got must stand in the ledger
/// of the server that signed it, once.
pub fn books(entries: &[Entry]) -> Books {
    let mut books = Books::default();
    let mut ledger: HashMap<(Arc<str>, u64), u64> = HashMap::new();
    let mut started = 0;
    for entry in entries {
        let Event::Line { text, .. } = &entry.event else { continue };
        if let Some(number) = text.strip_prefix("GET /").and_then(|path| path.parse().ok()) {
            *ledger.entry((Arc::clone(&entry.node), number)).or_default() += 1;
        } else if text.starts_with("{\"started\":")
            && let Ok(sum) = serde_json::from_str::<Sum>(text)
        {
            started += sum.started;
        }
    }
    let requests = requests(entries);
    let numbers: HashSet<u64> = requests.iter().map(|one| one.number).collect();
    if numbers.len() != requests.len() {
        books.wrong.push("the client reported a request twice".into());
    }
    if started != requests.len() as u64 {
        let ended = requests.len();
        books.wrong.push(format!("the client started {started} requests, and {ended} ended"));
    }
    for request in requests {
        match request.answer {
            Err(why) => *books.failed.entry(why).or_default() += 1,
            Ok(server) => {
                let served = ledger.get(&(server.as_str().into(), request.number)).copied();
                if served != Some(1) {
                    let number = request.number;
                    let times = served.unwrap_or(0);
                    books.wrong.push(format!(
                        "request {number} was answered by {server}, which served it {times} times"
                    ));
                }
                *books.answered.entry(server).or_default() += 1;
            }
        }
    }
    books
}

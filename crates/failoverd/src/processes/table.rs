//! Which processes count, and whether they are as many as should be.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::{Duration, Instant};

use vrrp::config::{ParamMatch, TrackProcessConfig};

/// The kernel keeps so many bytes of a process's name (`TASK_COMM_LEN` less its zero).
const NAME: usize = 15;

/// All processes that count.
#[derive(Debug)]
pub(super) struct Table {
    tracked: Vec<Tracked>,
    /// Of which of `tracked` a process is one.
    counted: HashMap<u32, Vec<usize>>,
}

#[derive(Debug)]
struct Tracked {
    config: TrackProcessConfig,
    count: u32,
    /// As last told.
    told: Option<bool>,
    /// When it is told that it is otherwise now.
    change: Option<Instant>,
}

impl Tracked {
    fn good(&self) -> bool {
        let most = self.config.quorum_max;
        // A most of zero means that none may run, whatever the quorum.
        let least = most.map_or(self.config.quorum, |most| most.min(self.config.quorum));
        self.count >= least && most.is_none_or(|most| self.count <= most)
    }

    /// It comes by a start and goes by an end, but where too many run.
    fn delay(&self, good: bool) -> Duration {
        let too_many = self.config.quorum_max.is_some_and(|most| self.count > most);
        if good || too_many { self.config.fork_delay } else { self.config.terminate_delay }
    }
}

impl Table {
    pub(super) fn new(configs: Vec<TrackProcessConfig>) -> Self {
        let tracked = |config| Tracked { config, count: 0, told: None, change: None };
        Self { tracked: configs.into_iter().map(tracked).collect(), counted: HashMap::new() }
    }

    /// The processes that count.
    pub(super) fn counted(&self) -> Vec<u32> {
        self.counted.keys().copied().collect()
    }

    /// Looks at everything that runs.
    pub(super) fn scan(&mut self) {
        let Ok(entries) = fs::read_dir("/proc") else { return };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let pids: HashSet<u32> = pids.collect();
        let gone: Vec<u32> =
            self.counted.keys().copied().filter(|pid| !pids.contains(pid)).collect();
        for pid in gone {
            self.ended(pid);
        }
        for pid in pids {
            self.look_at(pid);
        }
    }

    /// Looks at a process, which may have become another or none.
    pub(super) fn look_at(&mut self, pid: u32) {
        let Some(name) = name_of(pid) else { return self.ended(pid) };
        let mut line = None;
        let mut matching = Vec::new();
        for (index, tracked) in self.tracked.iter().enumerate() {
            let config = &tracked.config;
            let matches = match wanted(config) {
                Wanted::Name => name == config.process.as_bytes(),
                Wanted::LongName => {
                    name == config.process.as_bytes()[..NAME] && {
                        let words = line.get_or_insert_with(|| command_line(pid));
                        words
                            .first()
                            .is_some_and(|word| file_name(word) == config.process.as_bytes())
                    }
                }
                Wanted::Line => line_matches(line.get_or_insert_with(|| command_line(pid)), config),
            };
            if matches {
                matching.push(index);
            }
        }
        self.put(pid, matching);
    }

    /// Forgets a process.
    pub(super) fn ended(&mut self, pid: u32) {
        self.put(pid, Vec::new());
    }

    fn put(&mut self, pid: u32, matching: Vec<usize>) {
        for &index in &matching {
            self.tracked[index].count += 1;
        }
        let before = if matching.is_empty() {
            self.counted.remove(&pid)
        } else {
            self.counted.insert(pid, matching)
        };
        for index in before.into_iter().flatten() {
            self.tracked[index].count -= 1;
        }
    }

    /// When [`settle`](Self::settle) has something to tell.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.tracked.iter().filter_map(|tracked| tracked.change).min()
    }

    /// Which quorums came or went, and have been so for their delay; all of them at `first`.
    pub(super) fn settle(&mut self, now: Instant, first: bool) -> Vec<(String, bool)> {
        let mut news = Vec::new();
        for tracked in &mut self.tracked {
            let good = tracked.good();
            if tracked.told == Some(good) {
                tracked.change = None;
                continue;
            }
            let due = if first { now } else { now + tracked.delay(good) };
            if *tracked.change.get_or_insert(due) <= now {
                tracked.change = None;
                tracked.told = Some(good);
                news.push((tracked.config.name.clone(), good));
            }
        }
        news
    }
}

/// What of a process is compared.
enum Wanted {
    /// What the kernel calls it.
    Name,
    /// The same, and the rest of it, which the kernel does not keep.
    LongName,
    /// What it was called with.
    Line,
}

fn wanted(config: &TrackProcessConfig) -> Wanted {
    let whole = config.full_command
        || !config.arguments.is_empty()
        || config.param_match != ParamMatch::Exact;
    match config.process.len() {
        _ if whole => Wanted::Line,
        ..=NAME => Wanted::Name,
        _ => Wanted::LongName,
    }
}

/// As keepalived: the program as it was called, and its arguments if any are configured.
fn line_matches(words: &[Vec<u8>], config: &TrackProcessConfig) -> bool {
    let Some((program, given)) = words.split_first() else { return false };
    if program != config.process.as_bytes() {
        return false;
    }
    let wanted = &config.arguments;
    let Some((last, before)) = wanted.split_last() else { return true };
    let Some(given_last) = given.get(before.len()) else { return false };
    let begins = before.iter().zip(given).all(|(wanted, given)| wanted.as_bytes() == given);
    let last = last.as_bytes();
    begins
        && match config.param_match {
            ParamMatch::Exact => given.len() == wanted.len() && given_last == last,
            ParamMatch::Initial => given_last == last,
            ParamMatch::Partial => given_last.starts_with(last),
        }
}

fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

/// What the kernel calls a process that runs; one that has ended and nobody waited for does not.
fn name_of(pid: u32) -> Option<Vec<u8>> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let (name, state) = stat_fields(&stat)?;
    (!matches!(state, b'Z' | b'X' | b'x')).then(|| name.to_vec())
}

/// The name and the state in proc_pid_stat(5). A name may hold anything, parentheses too.
fn stat_fields(stat: &[u8]) -> Option<(&[u8], u8)> {
    let open = stat.iter().position(|&byte| byte == b'(')?;
    let close = stat.iter().rposition(|&byte| byte == b')')?;
    Some((stat.get(open + 1..close)?, *stat.get(close + 2)?))
}

fn command_line(pid: u32) -> Vec<Vec<u8>> {
    let text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = text.strip_suffix(b"\0").unwrap_or(&text);
    if text.is_empty() {
        return Vec::new();
    }
    text.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> Vec<Vec<u8>> {
        words.iter().map(|word| word.as_bytes().to_vec()).collect()
    }

    fn config(process: &str, arguments: &[&str], param_match: ParamMatch) -> TrackProcessConfig {
        let arguments = arguments.iter().map(|&a| a.to_owned()).collect();
        TrackProcessConfig {
            process: process.into(),
            arguments,
            param_match,
            ..TrackProcessConfig::default()
        }
    }

    #[test]
    fn arguments_are_compared_as_asked() {
        use ParamMatch::{Exact, Initial, Partial};
        let cases: [(&[&str], &[&str], [bool; 3]); 9] = [
            (&["./d"], &[], [true; 3]),
            (&["./d", "77"], &[], [true; 3]),
            (&["d", "77"], &[], [false; 3]),
            (&["./d", "77"], &["77"], [true, true, true]),
            (&["./d", "77", "1"], &["77"], [false, true, true]),
            (&["./d", "778"], &["77"], [false, false, true]),
            (&["./d"], &["77"], [false; 3]),
            (&["./d", "a", "77"], &["b", "77"], [false; 3]),
            (&[], &[], [false; 3]),
        ];
        for (given, wanted, expected) in cases {
            let matches = [Exact, Initial, Partial]
                .map(|how| line_matches(&line(given), &config("./d", wanted, how)));
            assert_eq!(matches, expected, "{given:?} for {wanted:?}");
        }
    }

    #[test]
    fn a_name_with_parentheses_is_taken_whole() {
        assert_eq!(stat_fields(b"12 (a) (b)) S 1 2"), Some((b"a) (b)".as_slice(), b'S')));
        assert_eq!(stat_fields(b"12 (a"), None);
        assert_eq!(stat_fields(b"12 (a)"), None);
    }

    fn table(config: TrackProcessConfig) -> Table {
        Table::new(vec![TrackProcessConfig { name: "p".into(), ..config }])
    }

    fn news(good: bool) -> Vec<(String, bool)> {
        vec![("p".to_owned(), good)]
    }

    #[test]
    fn a_quorum_is_told_when_it_comes_and_goes_and_not_between() {
        let now = Instant::now();
        let mut table = table(TrackProcessConfig {
            quorum: 2,
            quorum_max: Some(3),
            ..TrackProcessConfig::default()
        });
        assert_eq!(table.settle(now, true), news(false));
        for (pid, expected) in
            [(1, vec![]), (2, news(true)), (3, vec![]), (4, news(false)), (5, vec![])]
        {
            table.put(pid, vec![0]);
            assert_eq!(table.settle(now, false), expected, "{pid}");
        }
        for (pid, expected) in
            [(5, vec![]), (4, news(true)), (4, vec![]), (3, vec![]), (2, news(false))]
        {
            table.ended(pid);
            assert_eq!(table.settle(now, false), expected, "{pid}");
        }
    }

    #[test]
    fn with_a_most_of_zero_none_may_run() {
        let now = Instant::now();
        let mut table =
            table(TrackProcessConfig { quorum_max: Some(0), ..TrackProcessConfig::default() });
        assert_eq!(table.settle(now, true), news(true));
        table.put(1, vec![0]);
        assert_eq!(table.settle(now, false), news(false));
    }

    #[test]
    fn a_delay_must_pass_without_a_change() {
        let second = Duration::from_secs(1);
        let now = Instant::now();
        let mut table = table(TrackProcessConfig {
            fork_delay: second * 2,
            terminate_delay: second * 5,
            ..TrackProcessConfig::default()
        });
        assert_eq!(table.settle(now, true), news(false), "the first is told at once");
        table.put(1, vec![0]);
        assert_eq!(table.settle(now, false), []);
        assert_eq!(table.deadline(), Some(now + second * 2));
        table.ended(1);
        assert_eq!(table.settle(now + second, false), []);
        assert_eq!(table.deadline(), None);
        table.put(2, vec![0]);
        assert_eq!(table.settle(now + second * 2, false), []);
        assert_eq!(table.settle(now + second * 4, false), news(true));
        table.ended(2);
        assert_eq!(table.settle(now + second * 4, false), []);
        assert_eq!(table.deadline(), Some(now + second * 9));
        assert_eq!(table.settle(now + second * 9, false), news(false));
    }
}

//! In which order notify scripts run: one line for each instance and each group.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use machine::Instant;

/// How long the next program of a line waits for the one before it. That one is then left alone, not
/// ended: what it does may take as long as it likes, but nobody's turn.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// The same, once the daemon is told to stop.
pub(super) const LAST_PATIENCE: Duration = Duration::from_secs(1);
/// How many programs may wait in a line; beyond that, the oldest are left out.
const ROOM: usize = 64;

/// The lines, each of programs that run one after another.
///
/// Lines do not wait for each other, but where they are told to: see [`push`](Self::push).
#[derive(Debug)]
pub(super) struct Queue<L, P> {
    lines: BTreeMap<L, Line<L, P>>,
    patience: Duration,
    next: u64,
    left_out: u64,
}

#[derive(Debug)]
struct Line<L, P> {
    waiting: VecDeque<Job<L, P>>,
    running: Option<Running>,
    /// The number of the last program that is over or has lost its turn.
    over: u64,
}

impl<L, P> Default for Line<L, P> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), running: None, over: 0 }
    }
}

#[derive(Debug)]
struct Job<L, P> {
    number: u64,
    program: P,
    /// Programs of other lines that go first.
    after: Vec<(L, u64)>,
    /// It is about the end.
    last: bool,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    number: u64,
    since: Instant,
}

impl<L: Clone + Ord, P> Queue<L, P> {
    pub(super) fn new() -> Self {
        Self { lines: BTreeMap::new(), patience: PATIENCE, next: 0, left_out: 0 }
    }

    /// Puts a program at the end of a line, and behind all that is in the lines of `after` now.
    pub(super) fn push(&mut self, line: L, program: P, after: impl IntoIterator<Item = L>) {
        self.add(line, program, after, false);
    }

    /// The same, of a program about the end: what has not been started by now is left out.
    pub(super) fn push_last(&mut self, line: L, program: P, after: impl IntoIterator<Item = L>) {
        if let Some(line) = self.lines.get_mut(&line) {
            line.waiting.retain(|job| job.last);
        }
        self.add(line, program, after, true);
    }

    fn add(&mut self, line: L, program: P, after: impl IntoIterator<Item = L>, end: bool) {
        let last = |other: L| {
            let known = self.lines.get(&other)?;
            let running = known.running.map(|running| running.number);
            let last = known.waiting.back().map(|job| job.number).or(running)?;
            Some((other, last))
        };
        let after = after.into_iter().filter_map(last).collect();
        self.next += 1;
        let job = Job { number: self.next, program, after, last: end };
        let line = self.lines.entry(line).or_default();
        line.waiting.push_back(job);
        if line.waiting.len() > ROOM {
            line.waiting.pop_front();
            self.left_out += 1;
        }
    }

    /// What is to be started now, and by which number its end is known.
    pub(super) fn start(&mut self, now: Instant) -> Option<(L, u64, P)> {
        let ready = self.lines.iter().find(|(_, line)| {
            let first = line.waiting.front();
            line.running.is_none() && first.is_some_and(|job| self.is_free(job))
        });
        let name = ready?.0.clone();
        let line = self.lines.get_mut(&name)?;
        let Job { number, program, .. } = line.waiting.pop_front()?;
        line.running = Some(Running { number, since: now });
        Some((name, number, program))
    }

    /// Whether all are over that go before a program.
    fn is_free(&self, job: &Job<L, P>) -> bool {
        job.after.iter().all(|(other, number)| match self.lines.get(other) {
            None => true,
            Some(line) => {
                let running = line.running.is_some_and(|running| running.number <= *number);
                let waiting = line.waiting.front().is_some_and(|first| first.number <= *number);
                line.over >= *number || !(running || waiting)
            }
        })
    }

    /// Takes note of the end of a program.
    pub(super) fn end(&mut self, line: &L, number: u64) {
        if let Some(known) = self.lines.get_mut(line)
            && known.running.is_some_and(|running| running.number == number)
        {
            known.running = None;
            known.over = number;
        }
        self.forget_idle();
    }

    /// Lets others have their turn where somebody has taken too long. Returns the lines.
    pub(super) fn lose_patience(&mut self, now: Instant) -> Vec<L> {
        let mut late = Vec::new();
        for (name, line) in &mut self.lines {
            if let Some(running) = line.running.take_if(|r| now >= r.since + self.patience) {
                line.over = running.number;
                late.push(name.clone());
            }
        }
        self.forget_idle();
        late
    }

    fn forget_idle(&mut self) {
        self.lines.retain(|_, line| line.running.is_some() || !line.waiting.is_empty());
    }

    /// When [`lose_patience`](Self::lose_patience) has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let running = self.lines.values().filter_map(|line| line.running);
        running.map(|running| running.since + self.patience).min()
    }

    /// Waits no longer than a moment for anybody from now on.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.patience = LAST_PATIENCE;
        for running in self.lines.values_mut().filter_map(|line| line.running.as_mut()) {
            running.since = now;
        }
    }

    /// Whether nothing runs whose end matters, and nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many programs found no room since the last call.
    pub(super) fn take_left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn started(queue: &mut Queue<&'static str, &'static str>, now: Instant) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.start(now)).map(|(_, _, program)| program).collect()
    }

    #[test]
    fn the_next_of_a_line_starts_when_the_one_before_has_ended() {
        let mut queue = Queue::new();
        queue.push("VI_1", "master", []);
        queue.push("VI_1", "backup", []);
        queue.push("VI_2", "master of VI_2", []);
        let (line, number, program) = queue.start(at(1)).expect("one is ready");
        assert_eq!((line, program), ("VI_1", "master"));
        assert_eq!(started(&mut queue, at(1)), ["master of VI_2"]);
        queue.end(&"VI_1", number + 5);
        assert_eq!(started(&mut queue, at(1)), [""; 0], "that was not its end");
        queue.end(&"VI_1", number);
        assert_eq!(started(&mut queue, at(1)), ["backup"]);
    }

    #[test]
    fn one_that_takes_too_long_loses_its_turn_and_is_left_alone() {
        let mut queue = Queue::new();
        queue.push("VI_1", "hangs", []);
        queue.push("VI_1", "next", []);
        let (_, number, _) = queue.start(at(1)).expect("one is ready");
        assert_eq!(queue.deadline(), Some(at(1) + PATIENCE));
        assert_eq!(queue.lose_patience(at(2)), [""; 0]);
        assert_eq!(queue.lose_patience(at(1) + PATIENCE), ["VI_1"]);
        assert_eq!(started(&mut queue, at(12)), ["next"]);
        // Its end much later is not that of the next.
        queue.end(&"VI_1", number);
        assert!(!queue.is_empty());
    }

    #[test]
    fn a_group_comes_behind_what_its_members_were_told_before() {
        let mut queue = Queue::new();
        queue.push("VI_1", "1 master", []);
        queue.push("VI_2", "2 master", []);
        queue.push("G", "G master", ["VI_1", "VI_2"]);
        queue.push("VI_1", "1 backup", ["G"]);
        let (_, first, _) = queue.start(at(1)).expect("one is ready");
        let (_, second, _) = queue.start(at(1)).expect("two are");
        assert_eq!(started(&mut queue, at(1)), [""; 0]);
        queue.end(&"VI_1", first);
        assert_eq!(started(&mut queue, at(1)), [""; 0], "the group goes first");
        queue.end(&"VI_2", second);
        let (line, third, _) = queue.start(at(1)).expect("now the group");
        assert_eq!(line, "G");
        queue.end(&"G", third);
        assert_eq!(started(&mut queue, at(1)), ["1 backup"]);
    }

    #[test]
    fn a_line_has_room_for_so_many_and_the_oldest_are_left_out() {
        let mut queue = Queue::new();
        queue.push("VI_1", 0, []);
        assert!(queue.start(at(1)).is_some());
        for number in 0..ROOM + 3 {
            queue.push("VI_1", number, []);
        }
        assert_eq!(queue.take_left_out(), 3);
        assert_eq!(queue.take_left_out(), 0);
        queue.lose_patience(at(100));
        assert_eq!(queue.start(at(100)).map(|(_, _, number)| number), Some(3));
    }

    #[test]
    fn at_the_end_nobody_is_waited_for_longer_than_a_second() {
        let mut queue = Queue::new();
        queue.push("VI_1", "master", []);
        queue.push("VI_1", "stop", []);
        assert!(queue.start(at(1)).is_some());
        queue.hurry(at(5));
        assert_eq!(queue.deadline(), Some(at(5) + LAST_PATIENCE));
        queue.lose_patience(at(6));
        assert_eq!(started(&mut queue, at(6)), ["stop"]);
        queue.lose_patience(at(7));
        assert!(queue.is_empty());
    }

    #[test]
    fn the_end_comes_next_whatever_waits() {
        let mut queue = Queue::new();
        queue.push("VI_1", "runs", []);
        assert!(queue.start(at(1)).is_some());
        queue.push("VI_1", "waits", []);
        queue.push("G", "group waits", ["VI_1"]);
        queue.push_last("VI_1", "stop", ["G"]);
        queue.push_last("VI_1", "any", ["G"]);
        queue.push_last("G", "group stops", ["VI_1"]);
        queue.hurry(at(5));
        let mut order = Vec::new();
        for second in 6..12 {
            queue.lose_patience(at(second));
            order.extend(started(&mut queue, at(second)));
        }
        assert_eq!(order, ["stop", "any", "group stops"]);
    }

    #[test]
    fn what_was_left_out_keeps_nobody_waiting() {
        let mut queue = Queue::new();
        queue.push("VI_1", "runs", []);
        assert!(queue.start(at(1)).is_some());
        queue.push("VI_1", "left out", []);
        queue.push("G", "group", ["VI_1"]);
        for _ in 0..ROOM {
            queue.push("VI_1", "more", []);
        }
        queue.lose_patience(at(100));
        let names = started(&mut queue, at(100));
        assert!(names.contains(&"group"), "{names:?}");
    }
}

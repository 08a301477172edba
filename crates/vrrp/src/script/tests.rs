use alloc::string::ToString;
use alloc::vec;

use super::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

struct Bench {
    script: Script,
    now: Instant,
    actions: Vec<ScriptAction>,
}

impl Bench {
    fn new(config: ScriptConfig) -> Self {
        let config = ScriptConfig { name: "chk".into(), ..config };
        Self { script: Script::new(config), now: Instant::ZERO, actions: vec![] }
    }

    fn tell(&mut self, event: ScriptEvent) {
        self.actions.clear();
        self.script.handle(self.now, event, &mut self.actions);
    }

    fn expire(&mut self) {
        self.now = self.script.deadline().unwrap();
        self.tell(ScriptEvent::Tick);
    }

    /// Runs it once, to this status. What it said and whether it told a verdict.
    fn run(&mut self, status: i32) -> (Vec<String>, Option<bool>) {
        self.expire();
        assert_eq!(self.actions, [ScriptAction::Run]);
        self.now += ms(10);
        self.tell(ScriptEvent::Exited { status });
        self.outcome()
    }

    fn outcome(&self) -> (Vec<String>, Option<bool>) {
        let said = self.actions.iter().filter_map(|action| match action {
            ScriptAction::Log(line) => Some(line.to_string()),
            _ => None,
        });
        let verdict = self.actions.iter().find_map(|action| match action {
            ScriptAction::Verdict { good } => Some(*good),
            _ => None,
        });
        (said.collect(), verdict)
    }
}

fn said(lines: &[&str], verdict: Option<bool>) -> (Vec<String>, Option<bool>) {
    (lines.iter().map(|line| (*line).to_string()).collect(), verdict)
}

/// The lines keepalived 2.2.7 logs for these results, with `fall 2` and `rise 2`.
#[test]
fn results_are_said_and_counted_as_keepalived_does() {
    let mut bench = Bench::new(ScriptConfig { rise: 2, fall: 2, ..ScriptConfig::default() });
    assert_eq!(bench.script.is_good(), None);
    assert_eq!(bench.run(0), said(&["VRRP_Script(chk) succeeded"], Some(true)));
    assert_eq!(bench.run(0), said(&[], None));
    assert_eq!(bench.run(4), said(&["Script `chk` now returning 4"], None));
    let failed = "VRRP_Script(chk) failed (exited with status 4)";
    assert_eq!(bench.run(4), said(&[failed], Some(false)));
    assert_eq!(bench.run(4), said(&[], None));
    assert_eq!(bench.run(0), said(&["Script `chk` now returning 0"], None));
    assert_eq!(bench.run(0), said(&["VRRP_Script(chk) succeeded"], Some(true)));
    assert_eq!(bench.script.is_good(), Some(true));
}

#[test]
fn the_first_failure_decides_at_once() {
    let mut bench = Bench::new(ScriptConfig { fall: 5, ..ScriptConfig::default() });
    let lines = ["Script `chk` now returning 1", "VRRP_Script(chk) failed (exited with status 1)"];
    assert_eq!(bench.run(1), said(&lines, Some(false)));
}

#[test]
fn rise_and_fall_count_results_in_a_row() {
    let mut bench = Bench::new(ScriptConfig { rise: 3, fall: 3, ..ScriptConfig::default() });
    let mut verdicts = vec![];
    for status in [0, 1, 1, 0, 1, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 1] {
        verdicts.push(bench.run(status).1);
    }
    let mut expected = vec![None; 16];
    expected[0] = Some(true);
    expected[6] = Some(false);
    expected[12] = Some(true);
    expected[15] = Some(false);
    assert_eq!(verdicts, expected);
}

#[test]
fn a_script_assumed_to_fail_has_to_rise() {
    let config = ScriptConfig { init_fail: true, rise: 2, ..ScriptConfig::default() };
    let mut bench = Bench::new(config);
    assert_eq!(bench.script.is_good(), Some(false));
    assert_eq!(bench.run(0).1, None);
    assert_eq!(bench.run(0).1, Some(true));
}

#[test]
fn it_runs_every_interval_from_start_to_start() {
    let mut bench = Bench::new(ScriptConfig { interval: ms(2_000), ..ScriptConfig::default() });
    let mut starts = vec![];
    for _ in 0..3 {
        bench.run(0);
        starts.push((bench.now - Instant::ZERO - ms(10)).as_millis());
    }
    assert_eq!(starts, [0, 2_000, 4_000]);
    // Ten seconds late: once, and none is made up for.
    bench.now += ms(10_000);
    bench.tell(ScriptEvent::Tick);
    assert_eq!(bench.actions, [ScriptAction::Run]);
    assert_eq!(bench.script.deadline(), Some(bench.now + ms(1_000)), "its timeout");
}

#[test]
fn one_that_takes_too_long_is_ended_then_killed_and_counts_as_failed() {
    let config = ScriptConfig { timeout: ms(500), interval: ms(3_000), ..ScriptConfig::default() };
    let mut bench = Bench::new(config);
    bench.run(0);
    bench.expire();
    assert_eq!(bench.actions, [ScriptAction::Run]);
    let started = bench.now;
    bench.expire();
    assert_eq!((bench.now - started, &bench.actions), (ms(500), &vec![ScriptAction::Terminate]));
    bench.expire();
    assert_eq!((bench.now - started, &bench.actions), (ms(2_500), &vec![ScriptAction::Kill]));
    bench.expire();
    assert_eq!(bench.now - started, ms(3_000));
    assert!(bench.actions.is_empty(), "{:?}", bench.actions);
    bench.tell(ScriptEvent::Signalled { signal: 9 });
    assert_eq!(bench.outcome(), said(&["VRRP_Script(chk) timed_out"], Some(false)));
}

#[test]
fn runs_are_only_said_to_be_skipped_before_the_first_result() {
    let config = ScriptConfig { timeout: ms(1_500), ..ScriptConfig::default() };
    let mut bench = Bench::new(config);
    let running = "Track script chk is already running, expect idle - skipping run";
    let ending = "Track script chk is being timed out, expect idle - skipping run";
    bench.expire();
    bench.expire();
    assert_eq!(bench.outcome(), said(&[running], None));
    bench.expire();
    assert_eq!(bench.actions, [ScriptAction::Terminate]);
    bench.expire();
    assert_eq!(bench.outcome(), said(&[ending], None));
    bench.tell(ScriptEvent::Signalled { signal: 15 });
    bench.expire();
    assert_eq!(bench.actions, [ScriptAction::Run]);
    bench.expire();
    assert!(bench.actions.is_empty(), "{:?}", bench.actions);
    // A reload is a beginning, too.
    bench.script.reconfigure(bench.script.config().clone());
    bench.expire();
    bench.expire();
    assert_eq!(bench.outcome(), said(&[ending], None));
}

#[test]
fn one_still_running_is_not_run_again() {
    let config = ScriptConfig { timeout: ms(5_000), ..ScriptConfig::default() };
    let mut bench = Bench::new(config);
    bench.expire();
    bench.expire();
    let skipped = "Track script chk is already running, expect idle - skipping run";
    assert_eq!(bench.outcome(), said(&[skipped], None));
    bench.tell(ScriptEvent::Exited { status: 0 });
    assert_eq!(bench.outcome().1, Some(true));
}

#[test]
fn other_ends_are_failures_too() {
    let mut bench = Bench::new(ScriptConfig::default());
    bench.expire();
    bench.tell(ScriptEvent::Signalled { signal: 9 });
    let line = "VRRP_Script(chk) failed (due to signal 9)";
    assert_eq!(bench.outcome(), said(&[line], Some(false)));
    let mut bench = Bench::new(ScriptConfig::default());
    bench.expire();
    bench.tell(ScriptEvent::FailedToRun { reason: "no such file".into() });
    let line = "VRRP_Script(chk) failed (could not be run: no such file)";
    assert_eq!(bench.outcome(), said(&[line], Some(false)));
    // Nothing runs: an end nobody waits for says nothing.
    bench.tell(ScriptEvent::Exited { status: 0 });
    assert_eq!(bench.actions, []);
}

#[test]
fn a_reload_keeps_what_it_counts_as() {
    let mut bench = Bench::new(ScriptConfig::default());
    bench.run(0);
    let config = ScriptConfig { rise: 4, fall: 2, ..bench.script.config().clone() };
    bench.script.reconfigure(config.clone());
    assert_eq!(bench.script.is_good(), Some(true));
    assert_eq!(bench.run(1).1, None);
    assert_eq!(bench.run(1).1, Some(false));
    bench.script.reconfigure(ScriptConfig { rise: 2, ..config });
    assert_eq!(bench.script.is_good(), Some(false));
    let mut fresh = Bench::new(ScriptConfig::default());
    fresh.script.reconfigure(bench.script.config().clone());
    assert_eq!(fresh.script.is_good(), None);
}

#[test]
fn an_interval_of_nothing_is_not_a_busy_loop() {
    let zero = Duration::ZERO;
    let config = ScriptConfig { interval: zero, timeout: zero, ..ScriptConfig::default() };
    let mut bench = Bench::new(config);
    bench.run(0);
    let before = bench.now;
    bench.expire();
    bench.tell(ScriptEvent::Exited { status: 0 });
    assert!(bench.script.deadline().unwrap() > before);
}

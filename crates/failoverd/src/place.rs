//! The process's place among others: priority, processors, memory, name, the mode of its files.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use daemon::log::{Log, Severity};
use linux::{process, sched};
use nix::sys::stat::{Mode, umask};
use vrrp::config::ProcessConfig;

/// Unless told otherwise. An election is lost by milliseconds, and takes next to none of a processor.
const NICENESS: i8 = -20;
/// Of files we, and the scripts we start, create, unless told otherwise.
const UMASK: u32 = 0o177;

/// The place the VRRP process has taken.
#[derive(Debug)]
pub(crate) struct Place {
    log: Rc<Log>,
    config: ProcessConfig,
    /// `--umask`, which goes before the configuration's.
    umask: Option<u32>,
    /// `SCHED_RR`, configured or taken because timers were late; 0 for none.
    realtime: u8,
}

impl Place {
    /// Takes the place a configuration names. Threads started from now on are there too, scripts are
    /// not.
    pub(crate) fn take(config: &ProcessConfig, umask: Option<u32>, log: Rc<Log>) -> Self {
        let mut place = Self { log, config: ProcessConfig::default(), umask, realtime: 0 };
        place.set(config, true);
        place
    }

    /// Takes another after a reload. Threads that run stay where they are.
    pub(crate) fn change(&mut self, config: &ProcessConfig) {
        if self.config != *config {
            self.set(config, false);
        }
    }

    fn set(&mut self, config: &ProcessConfig, first: bool) {
        let before = std::mem::replace(&mut self.config, config.clone());
        let mode = Mode::from_bits_truncate(self.umask.or(config.umask).unwrap_or(UMASK));
        umask(mode);
        let name = config.vrrp_process_name.as_ref().or(config.process_name.as_ref());
        if let Some(name) = name {
            process::set_name(name.as_ref());
        }
        // Where it is not allowed and nobody asked for it, we are like everybody else.
        let niceness = process::set_niceness(config.niceness.unwrap_or(NICENESS).into());
        if config.niceness.is_some() {
            self.check("process priority", niceness);
        }
        if let Some(limit) = config.realtime_limit {
            self.check("limit of realtime", sched::limit_realtime(limit));
        }
        if config.realtime != before.realtime || first && config.realtime.is_some() {
            self.realtime = config.realtime.unwrap_or(0);
            self.check("realtime priority", sched::set_realtime(config.realtime));
        }
        if config.cpu_affinity != before.cpu_affinity {
            self.check("cpu affinity", sched::pin(&config.cpu_affinity));
        }
        if config.no_swap != before.no_swap {
            self.check("lock on memory", sched::lock_memory(config.no_swap));
        }
    }

    /// Takes note that a timer was this late. Where that is allowed, the next will not be.
    pub(crate) fn late(&mut self, by: Duration) {
        let most = self.config.max_auto_priority.unwrap_or(0);
        if by < self.config.min_auto_priority_delay || self.realtime >= most {
            return;
        }
        self.realtime += 1;
        let (seconds, micros, priority) = (by.as_secs(), by.subsec_micros(), self.realtime);
        self.log.info(format_args!(
            "A thread timer expired {seconds}.{micros:06} seconds ago: realtime priority is {priority} now"
        ));
        self.check("realtime priority", sched::set_realtime(Some(priority)));
    }

    fn check(&self, what: impl fmt::Display, result: std::io::Result<()>) {
        if let Err(error) = result {
            let line = format_args!("unable to set {what} of vrrp process: {error}");
            self.log.write(Severity::Warning, line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str) -> String {
        let text = std::fs::read_to_string("/proc/thread-self/status").expect("readable");
        let line = text.lines().find(|line| line.starts_with(name)).expect("there");
        line[name.len()..].trim().to_owned()
    }

    /// Of this thread, in proc_pid_stat(5).
    fn stat(field: usize) -> String {
        let text = std::fs::read_to_string("/proc/thread-self/stat").expect("readable");
        let (_, rest) = text.rsplit_once(')').expect("a name");
        rest.split_whitespace().nth(field - 3).expect("there").to_owned()
    }

    fn in_a_thread(body: impl FnOnce() + Send + 'static) {
        std::thread::spawn(body).join().expect("its assertions hold");
    }

    #[test]
    fn a_place_is_taken_and_given_up() {
        in_a_thread(|| {
            let config = ProcessConfig {
                niceness: Some(3),
                cpu_affinity: vec![0],
                vrrp_process_name: Some("evergate_vrrp".into()),
                umask: Some(0o022),
                ..ProcessConfig::default()
            };
            let all = field("Cpus_allowed_list:");
            let mut place = Place::take(&config, None, Rc::new(Log::new("test")));
            assert_eq!(stat(19), "3");
            assert_eq!(field("Cpus_allowed_list:"), "0");
            assert_eq!(field("Name:"), "evergate_vrrp");
            assert_eq!(field("Umask:"), "0022");
            place.change(&ProcessConfig { umask: Some(0o022), ..ProcessConfig::default() });
            assert_eq!(field("Cpus_allowed_list:"), all);
        });
    }

    #[test]
    fn a_late_timer_raises_the_priority_as_far_as_allowed() {
        in_a_thread(|| {
            if let Err(error) = sched::set_realtime(Some(1)) {
                return eprintln!("SKIPPED: {error}");
            }
            sched::set_realtime(None).expect("always allowed");
            let config = ProcessConfig {
                max_auto_priority: Some(2),
                min_auto_priority_delay: Duration::from_millis(100),
                umask: Some(0o022),
                ..ProcessConfig::default()
            };
            let mut place = Place::take(&config, None, Rc::new(Log::new("test")));
            for (late, expected) in [(50, "0"), (100, "1"), (5000, "2"), (5000, "2")] {
                place.late(Duration::from_millis(late));
                assert_eq!(stat(40), expected, "{late} ms");
            }
        });
    }
}

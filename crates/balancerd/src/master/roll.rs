//! `show proc`: the processes there are.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::stats::VERSION;

/// A process, since when it runs, and at which reload it began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) pid: u32,
    pub(super) since: Instant,
    pub(super) reloads: u32,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Roll<'a> {
    pub(super) started: Instant,
    pub(super) reloads: u32,
    pub(super) failed: u32,
    pub(super) current: Option<Member>,
    pub(super) former: &'a [Member],
}

/// `0d00h01m02s`.
fn uptime(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    format!("{days}d{hours:02}h{minutes:02}m{:02}s", seconds % 60)
}

impl Roll<'_> {
    /// As HAProxy's columns. There is no `# programs`: since 3.1 it is only there where one is.
    pub(super) fn show(&self, now: Instant) -> String {
        let mut out = format!(
            "{:<15} {:<15} {:<15} {:<15} {:<15}\n",
            "#<PID>", "<type>", "<reloads>", "<uptime>", "<version>"
        );
        let mut row = |pid: u32, kind: &str, reloads: &str, since: Instant| {
            let up = uptime(now.saturating_duration_since(since));
            // Writing to a string does not fail.
            let _ = writeln!(out, "{pid:<15} {kind:<15} {reloads:<15} {up:<15} {VERSION}");
        };
        let reloads = format!("{} [failed: {}]", self.reloads, self.failed);
        row(std::process::id(), "master", &reloads, self.started);
        let mut worker = |member: &Member| {
            let reloads = self.reloads.saturating_sub(member.reloads).to_string();
            let up = uptime(now.saturating_duration_since(member.since));
            let (pid, kind) = (member.pid, "worker");
            format!("{pid:<15} {kind:<15} {reloads:<15} {up:<15} {VERSION}\n")
        };
        let current: String = self.current.iter().map(&mut worker).collect();
        let former: String = self.former.iter().map(&mut worker).collect();
        out.push_str("# workers\n");
        out.push_str(&current);
        if !former.is_empty() {
            out.push_str("# old workers\n");
            out.push_str(&former);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_shown_in_haproxys_columns() {
        let now = Instant::now();
        let member = |pid, reloads| Member { pid, since: now, reloads };
        let former = [member(8, 0)];
        let mut roll = Roll { started: now, reloads: 2, failed: 1, current: None, former: &former };
        roll.current = Some(member(9, 2));
        let shown = roll.show(now + Duration::from_secs(90_061));
        let lines: Vec<&str> = shown.lines().collect();
        let head =
            "#<PID>          <type>          <reloads>       <uptime>        <version>      ";
        assert_eq!(lines[0], head);
        assert!(lines[1].contains(" master          2 [failed: 1]   1d01h01m01s     "), "{shown}");
        assert_eq!(lines[2], "# workers");
        assert!(lines[3].starts_with("9               worker          0               1d01h"));
        assert_eq!(lines[4], "# old workers");
        assert!(lines[5].starts_with("8               worker          2               1d01h"));
        assert_eq!(lines[6..], [""; 0]);
    }
}

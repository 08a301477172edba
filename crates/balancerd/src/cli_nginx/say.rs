//! Messages before there is an error log of the configuration's own.

use std::fs::File;
use std::io::Write as _;
use std::ops::Range;

use linux::clock::LocalTime;
use nginx_conf::{Loaded, Options, Wording};
use proxy::Severity;

use super::argv::Args;

/// The terminal and, with `-e FILE`, a file beside it.
#[derive(Debug)]
pub(super) struct Console {
    file: Option<File>,
    /// `-e stderr`: what would go to the file is what the terminal shows.
    as_log: bool,
    explain: bool,
    /// Notices about the configuration are not shown.
    quiet: bool,
}

impl Console {
    /// For a command line: what merely might interest somebody is kept from those who asked for
    /// complaints only (`-q`), or who only have something passed on (`-s`).
    pub(super) fn new(options: &Options, args: &Args) -> Self {
        let quiet = args.quiet || args.order.is_some();
        let mut console = Self { file: None, as_log: false, explain: args.explain, quiet };
        match options.error_log.as_deref() {
            None => {}
            Some("stderr") => console.as_log = true,
            Some(path) => {
                let path = options.prefix.join(path);
                match File::options().append(true).create(true).open(&path) {
                    Ok(file) => console.file = Some(file),
                    Err(error) => {
                        let why = nginx_conf::errno(&error);
                        let path = path.display();
                        console.say(
                            Severity::Alert,
                            &format!(
                                "could not open error log file: open() \"{path}\" failed ({why})"
                            ),
                        );
                    }
                }
            }
        }
        console
    }

    /// Prints `nginx: [emerg] …`, and writes it to the file.
    pub(super) fn say(&self, severity: Severity, text: &str) {
        let level = Severity::NGINX_NAMES[severity as usize];
        self.put(severity, text, &format!("nginx: [{level}] {text}"));
    }

    /// Prints complaints.
    pub(super) fn complain(&self, loaded: &Loaded, which: Range<usize>) {
        let mut last = String::new();
        for diagnostic in loaded.diagnostics.get(which).unwrap_or_default() {
            let message = Wording.message(&loaded.sources, diagnostic);
            let level = Wording.level(diagnostic);
            if self.quiet && level >= Severity::Notice {
                continue;
            }
            // A line full of the same mistake is one complaint.
            if message == last {
                continue;
            }
            last.clone_from(&message);
            let console = super::shown(loaded, diagnostic, self.explain);
            self.put(level, &message, &console);
        }
    }

    fn put(&self, severity: Severity, text: &str, console: &str) {
        let line = log_line(severity, text);
        if self.as_log && !self.explain {
            self::line(&line);
        } else {
            self::line(console);
        }
        if let Some(mut file) = self.file.as_ref() {
            // One call, so that lines of two processes do not mix. A full disk loses lines.
            let _ = file.write_all(format!("{line}\n").as_bytes());
        }
    }
}

/// Prints a line on the standard error output, which may be closed.
pub(super) fn line(text: &str) {
    crate::terminal::err(&format!("{text}\n"));
}

/// `2026/11/21 03:12:01 [emerg] 7#7: …`
fn log_line(severity: Severity, text: &str) -> String {
    let LocalTime { year, month, day, hour, minute, second, .. } = LocalTime::now();
    let (level, pid) = (Severity::NGINX_NAMES[severity as usize], std::process::id());
    format!(
        "{year:04}/{month:02}/{day:02} {hour:02}:{minute:02}:{second:02} [{level}] {pid}#{pid}: {text}"
    )
}

/// What nginx says at its start of the system and of its limits.
pub(super) fn surroundings() -> impl Iterator<Item = String> {
    use nix::sys::resource::{Resource, getrlimit};
    let kernel = |name: &str| std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok();
    let system = kernel("ostype").zip(kernel("osrelease"));
    let system = system.map(|(name, release)| format!("OS: {} {}", name.trim(), release.trim()));
    let files = getrlimit(Resource::RLIMIT_NOFILE).ok();
    let files = files.map(|(soft, hard)| format!("getrlimit(RLIMIT_NOFILE): {soft}:{hard}"));
    system.into_iter().chain(files)
}

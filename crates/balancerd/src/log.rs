//! Log lines: framed as their target wants them and handed over without waiting.
//!
//! ```text
//!   session, check, runtime API ─► Logger::send(route, severity, text)
//!                                        │ framing: <134>Nov 21 03:39:08 haproxy[7]: text
//!                      ┌─────────────────┴─────────────────┐
//!              datagram socket                     a thread per descriptor or file
//!         non-blocking, dropped if full          behind a bounded queue, dropped if full
//! ```

mod frame;
mod ring;
mod sink;

use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use proxy::{
    AccessLog, AccessTarget, Backend, Config, ErrorLog, ErrorLogTarget, Facility, Flavour,
    Frontend, LogAddress, LogFraming, LogTarget, Process, Running, Severity,
};

use frame::{Frame, Framing};
pub(crate) use frame::{MONTHS, accept_date};
use sink::{Buffering, Place, Sink};

/// Every place log lines go to.
#[derive(Debug)]
pub struct Logger {
    sinks: Vec<(Place, Arc<Sink>)>,
    tag: String,
    hostname: Option<String>,
    own_host: String,
    rings: Vec<proxy::Ring>,
}

/// Where the lines of one proxy go, resolved once.
#[derive(Clone, Debug, Default)]
pub struct Route {
    to: Vec<Leg>,
    /// The least severe level any target takes; `None` if there is no target.
    least: Option<Severity>,
}

/// Where the lines of one `access_log` go.
#[derive(Clone, Debug)]
pub struct AccessRoute {
    leg: Leg,
    severity: Severity,
}

#[derive(Clone, Debug)]
struct Leg {
    sink: usize,
    framing: Framing,
    facility: Facility,
    length: usize,
    max_level: Severity,
    min_level: Severity,
    tag: Option<String>,
    host: Option<String>,
    /// Which lines are taken, and how many there were.
    sample: Option<(proxy::Sample, Arc<std::sync::atomic::AtomicU64>)>,
}

impl Route {
    /// Whether a line of this severity is worth being written.
    pub fn takes(&self, severity: Severity) -> bool {
        self.least.is_some_and(|least| severity <= least)
    }

    fn new(to: Vec<Leg>) -> Self {
        let least = to.iter().map(|leg| leg.max_level).max();
        Self { to, least }
    }
}

/// No structured data.
const NO_DATA: &str = "-";

impl Logger {
    /// Opens what the configuration names. Sockets are opened but not connected: the daemon
    /// behind them may come and go. A file that cannot be opened is reported by
    /// [`problems`](Self::problems).
    pub fn new(config: &Config) -> Self {
        let places = places(&config.process, &config.frontends, &config.backends);
        let open = |place: Place| {
            let sink = Sink::open(&place, &config.process.rings);
            (place, Arc::new(sink))
        };
        let sinks = places.into_iter().map(open).collect();
        Self::with(config.flavour, &config.process, sinks)
    }

    /// The one for the configuration that follows in the same process: what is open stays so.
    ///
    /// # Errors
    ///
    /// A file that would have to be opened: the process may have given up the right to.
    pub(crate) fn after(before: &Arc<Self>, config: &Running) -> Result<Arc<Self>, PathBuf> {
        let mut sinks = Vec::new();
        for place in places(&config.process, &config.frontends, &config.backends) {
            let known = before.sinks.iter().find(|(known, _)| *known == place);
            let sink = match (known, &place) {
                (Some((_, sink)), _) => Arc::clone(sink),
                (None, Place::File(path) | Place::Access(path, _)) => return Err(path.clone()),
                (None, _) => Arc::new(Sink::open(&place, &config.process.rings)),
            };
            sinks.push((place, sink));
        }
        let next = Self::with(config.flavour, &config.process, sinks);
        let same = next.tag == before.tag
            && next.rings == before.rings
            && next.hostname == before.hostname
            && next
                .sinks
                .iter()
                .map(|(place, _)| place)
                .eq(before.sinks.iter().map(|(place, _)| place));
        Ok(if same { Arc::clone(before) } else { Arc::new(next) })
    }

    fn with(flavour: Flavour, process: &Process, sinks: Vec<(Place, Arc<Sink>)>) -> Self {
        let own_host = nix::unistd::gethostname()
            .map_or_else(|_| "localhost".to_owned(), |name| name.to_string_lossy().into_owned());
        let default_tag = match flavour {
            Flavour::HaProxy => "haproxy",
            Flavour::Nginx => "nginx",
        };
        Self {
            sinks,
            tag: process.log_tag.clone().unwrap_or_else(|| default_tag.to_owned()),
            hostname: process.log_hostname.clone(),
            own_host,
            rings: process.rings.clone(),
        }
    }

    /// Files that could not be opened, and why.
    pub fn problems(&self) -> impl Iterator<Item = (&std::path::Path, &std::io::Error)> {
        self.sinks.iter().filter_map(|(place, sink)| match (place, &**sink) {
            (Place::File(path) | Place::Access(path, _), Sink::Broken(error)) => {
                Some((path.as_path(), error))
            }
            _ => None,
        })
    }

    /// Where lines for these targets go; `tag` replaces the process's.
    pub fn route(&self, targets: &[LogTarget], tag: Option<&str>) -> Route {
        let legs = targets.iter().filter_map(|target| {
            let place = Place::from(&target.address);
            let ring = match &target.address {
                LogAddress::Ring(name) => self.rings.iter().find(|ring| ring.name == *name),
                _ => None,
            };
            let framing = Framing::HaProxy(match target.framing {
                LogFraming::Default => ring.map_or(LogFraming::Local, |ring| ring.framing),
                given => given,
            });
            let with_host = matches!(target.framing, LogFraming::Rfc3164 | LogFraming::Rfc5424);
            let host = self.hostname.clone().or_else(|| {
                (with_host && target.framing == LogFraming::Rfc3164).then(|| self.own_host.clone())
            });
            Some(Leg {
                sink: self.sinks.iter().position(|(known, _)| *known == place)?,
                framing,
                facility: target.facility,
                length: target.length,
                max_level: target.max_level,
                min_level: target.min_level,
                tag: tag.map(str::to_owned),
                host: host.map(|host| if host.is_empty() { self.own_host.clone() } else { host }),
                sample: target.sample.clone().map(|sample| (sample, Arc::default())),
            })
        });
        Route::new(legs.collect())
    }

    /// Where the lines of these `error_log` directives go.
    pub fn error_route(&self, logs: &[ErrorLog]) -> Route {
        let legs = logs.iter().filter_map(|log| {
            let place = Place::from(&log.target);
            let (framing, facility, tag, host) = match &log.target {
                ErrorLogTarget::Syslog { facility, tag, hostname, .. } => {
                    let host = hostname.then(|| self.own_host.clone());
                    (Framing::NginxSyslog, *facility, Some(tag.clone()), host)
                }
                ErrorLogTarget::File(_) | ErrorLogTarget::Stderr => {
                    (Framing::Nginx, Facility(0), None, None)
                }
            };
            Some(Leg {
                sink: self.sinks.iter().position(|(known, _)| *known == place)?,
                framing,
                facility,
                // NGX_MAX_ERROR_STR.
                length: 2_048,
                max_level: log.level,
                min_level: Severity::Emerg,
                tag,
                host,
                sample: None,
            })
        });
        Route::new(legs.collect())
    }

    /// Where the lines of this `access_log` go.
    pub fn access_route(&self, log: &AccessLog) -> AccessRoute {
        let place = Place::from(log);
        let sink = self.sinks.iter().position(|(known, _)| *known == place);
        let (facility, severity, tag, host) = match &log.target {
            AccessTarget::Syslog { facility, severity, tag, hostname, .. } => {
                let host = hostname.then(|| self.own_host.clone());
                (*facility, *severity, Some(tag.clone()), host)
            }
            AccessTarget::File(_) | AccessTarget::Files { .. } => {
                (Facility(0), Severity::Info, None, None)
            }
        };
        let leg = Leg {
            sink: sink.unwrap_or(usize::MAX),
            framing: Framing::NginxSyslog,
            facility,
            length: usize::MAX,
            max_level: Severity::Debug,
            min_level: Severity::Emerg,
            tag,
            host,
            sample: None,
        };
        AccessRoute { leg, severity }
    }

    /// Sends a line of an `access_log` to a syslog daemon.
    pub(crate) fn send_access(&self, route: &AccessRoute, line: &[u8]) {
        let leg = &route.leg;
        let Some((_, sink)) = self.sinks.get(leg.sink) else { return };
        frame::with_line(|head| {
            head.clear();
            let frame = Frame {
                now: SystemTime::now(),
                facility: leg.facility,
                severity: route.severity,
                tag: leg.tag.as_deref().unwrap_or(&self.tag),
                host: leg.host.as_deref(),
                structured: NO_DATA,
            };
            // Writing to a string does not fail.
            let _ = leg.framing.head(&frame, head);
            let mut bytes = head.as_bytes().to_vec();
            bytes.extend_from_slice(line);
            sink.write(&bytes);
        });
    }

    /// Appends bytes to the file of an `access_log`.
    pub(crate) fn append(&self, route: &AccessRoute, bytes: &[u8]) {
        if let Some((_, sink)) = self.sinks.get(route.leg.sink) {
            sink.write(bytes);
        }
    }

    /// Appends bytes to a file whose name was made for them.
    pub(crate) fn append_to(&self, route: &AccessRoute, path: std::path::PathBuf, bytes: &[u8]) {
        if let Some((_, sink)) = self.sinks.get(route.leg.sink) {
            sink.write_to(path, bytes);
        }
    }

    /// The machine's name.
    pub(crate) fn own_host(&self) -> &str {
        &self.own_host
    }

    /// Sends a line, without a line feed at its end, to every target of `route` that takes this
    /// severity. Never waits; a line for which there is no room is lost and counted.
    pub fn send(&self, route: &Route, severity: Severity, text: impl fmt::Display) {
        self.send_with(route, severity, NO_DATA, text);
    }

    /// As [`send`](Self::send), with structured data for lines in the framing of RFC 5424 (§6.3).
    pub fn send_with(
        &self,
        route: &Route,
        severity: Severity,
        structured: &str,
        text: impl fmt::Display,
    ) {
        if !route.takes(severity) {
            return;
        }
        frame::with_line(|line| {
            let now = SystemTime::now();
            for leg in route.to.iter().filter(|leg| severity <= leg.max_level) {
                if let Some((sample, count)) = &leg.sample
                    && !sample.takes(count.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    continue;
                }
                line.clear();
                let frame = Frame {
                    now,
                    facility: leg.facility,
                    // HAProxy: "err" as the second level sends nothing worse than err.
                    severity: severity.max(leg.min_level),
                    tag: leg.tag.as_deref().unwrap_or(&self.tag),
                    host: leg.host.as_deref(),
                    structured,
                };
                // Writing to a string does not fail.
                let _ = leg.framing.head(&frame, line);
                let _ = write!(line, "{text}");
                cut(line, leg.length.saturating_sub(1));
                line.push('\n');
                if let Some((_, sink)) = self.sinks.get(leg.sink) {
                    sink.write(line.as_bytes());
                }
            }
        });
    }

    /// What is kept in each ring that is written to: its name, lines for which there was no room, and
    /// all lines.
    pub(crate) fn rings(&self) -> impl Iterator<Item = (&proxy::Ring, u64, String)> {
        self.sinks.iter().filter_map(|(place, sink)| {
            let Place::Ring(name) = place else { return None };
            let ring = self.rings.iter().find(|ring| ring.name == *name)?;
            Some((ring, sink.dropped(), sink.show()?))
        })
    }

    /// Lines that were lost because nobody took them in time.
    pub fn dropped(&self) -> u64 {
        self.sinks.iter().map(|(_, sink)| sink.dropped()).sum()
    }

    /// Opens files anew after they were renamed (nginx's USR1).
    pub fn reopen(&self) {
        for (_, sink) in &self.sinks {
            sink.reopen();
        }
    }

    /// Waits until what was sent is written, a second at most: for the end of the process.
    pub fn flush(&self) {
        for (_, sink) in &self.sinks {
            sink.flush();
        }
    }
}

/// Every place a configuration names, once.
fn places<F, B>(process: &Process, frontends: &[F], backends: &[B]) -> Vec<Place>
where
    F: AsRef<Frontend>,
    B: AsRef<Backend>,
{
    let (frontends, backends) =
        (|| frontends.iter().map(AsRef::as_ref), || backends.iter().map(AsRef::as_ref));
    let mut places: Vec<Place> = Vec::new();
    let mut add = |place: Place| {
        if !places.contains(&place) {
            places.push(place);
        }
    };
    let targets = process.log.iter();
    let targets = targets.chain(frontends().flat_map(|one| &one.log.targets));
    for target in targets.chain(backends().flat_map(|one| &one.log)) {
        add(Place::from(&target.address));
    }
    let errors = process.error_log.iter();
    for log in errors.chain(frontends().flat_map(|one| &one.error_log)) {
        add(Place::from(&log.target));
    }
    let servers = frontends().filter_map(|one| one.nginx.as_deref());
    for log in servers.flat_map(|nginx| &nginx.access_logs) {
        add(Place::from(log));
    }
    places
}

impl From<&LogAddress> for Place {
    fn from(address: &LogAddress) -> Self {
        match address {
            LogAddress::Unix(path) => Self::Unix(path.clone()),
            LogAddress::Udp(address) => Self::Udp(*address),
            LogAddress::Stdout => Self::Fd(1),
            LogAddress::Stderr => Self::Fd(2),
            LogAddress::Fd(fd) => Self::Fd(*fd),
            LogAddress::Ring(name) => Self::Ring(name.clone()),
        }
    }
}

impl From<&AccessLog> for Place {
    fn from(log: &AccessLog) -> Self {
        let buffering = Buffering { bytes: log.buffer, flush: log.flush, gzip: log.gzip };
        match &log.target {
            AccessTarget::File(path) => Self::Access(path.clone(), buffering),
            AccessTarget::Files { cache, .. } => Self::Files(*cache),
            AccessTarget::Syslog { server, .. } => Self::from(server),
        }
    }
}

impl From<&ErrorLogTarget> for Place {
    fn from(target: &ErrorLogTarget) -> Self {
        match target {
            ErrorLogTarget::File(path) => Self::File(path.clone()),
            ErrorLogTarget::Stderr => Self::Fd(2),
            ErrorLogTarget::Syslog { server, .. } => Self::from(server),
        }
    }
}

/// Cuts a line at a character boundary.
fn cut(line: &mut String, most: usize) {
    if line.len() > most {
        let end = (0..=most).rev().find(|&end| line.is_char_boundary(end)).unwrap_or(0);
        line.truncate(end);
    }
}

#[cfg(test)]
mod tests;

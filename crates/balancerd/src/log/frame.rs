//! What stands before the text of a line.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::process;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use linux::clock::LocalTime;
use proxy::{Facility, LogFraming, Severity};

pub(crate) const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// How a line begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Framing {
    HaProxy(LogFraming),
    Nginx,
    NginxSyslog,
}

/// What a beginning is made of.
pub(crate) struct Frame<'a> {
    pub(crate) now: SystemTime,
    pub(crate) facility: Facility,
    pub(crate) severity: Severity,
    pub(crate) tag: &'a str,
    pub(crate) host: Option<&'a str>,
    /// Structured data, RFC 5424 §6.3; `-` is none.
    pub(crate) structured: &'a str,
}

impl Framing {
    /// Writes all up to the text.
    pub(crate) fn head(self, frame: &Frame<'_>, out: &mut String) -> fmt::Result {
        let &Frame { now, facility, severity, tag, host, structured } = frame;
        let priority = u16::from(facility.0) * 8 + severity as u16;
        let pid = process::id();
        match self {
            Self::HaProxy(LogFraming::Raw) => Ok(()),
            Self::HaProxy(LogFraming::Short) => write!(out, "<{}>", severity as u8),
            Self::HaProxy(LogFraming::Priority) => write!(out, "<{priority}>"),
            Self::HaProxy(LogFraming::Timed) => {
                write!(out, "<{}>", severity as u8)?;
                iso(now, out)?;
                out.write_char(' ')
            }
            Self::HaProxy(LogFraming::Iso) => {
                iso(now, out)?;
                out.write_char(' ')
            }
            Self::HaProxy(LogFraming::Rfc5424) => {
                write!(out, "<{priority}>1 ")?;
                iso(now, out)?;
                write!(out, " {} {tag} {pid} - {structured} ", host.unwrap_or("-"))
            }
            Self::HaProxy(LogFraming::Default | LogFraming::Local | LogFraming::Rfc3164) => {
                write!(out, "<{priority}>")?;
                in_second(now, |_, local| write!(out, "{} ", local.rfc3164()))?;
                if let Some(host) = host {
                    write!(out, "{host} ")?;
                }
                write!(out, "{tag}[{pid}]: ")
            }
            Self::Nginx => in_second(now, |_, local| {
                let LocalTime { year, month, day, hour, minute, second, .. } = *local;
                let level = Severity::NGINX_NAMES[severity as usize];
                write!(
                    out,
                    "{year:04}/{month:02}/{day:02} {hour:02}:{minute:02}:{second:02} \
                     [{level}] {pid}#{pid}: "
                )
            }),
            Self::NginxSyslog => {
                write!(out, "<{priority}>")?;
                in_second(now, |_, local| write!(out, "{} ", local.rfc3164()))?;
                if let Some(host) = host {
                    write!(out, "{host} ")?;
                }
                write!(out, "{tag}: ")
            }
        }
    }
}

/// `2026-11-21T03:39:08.783910+00:00`.
fn iso(now: SystemTime, out: &mut String) -> fmt::Result {
    in_second(now, |since, local| {
        let LocalTime { year, month, day, hour, minute, second, offset, .. } = *local;
        let sign = if offset < 0 { '-' } else { '+' };
        let (hours, minutes) = (offset.unsigned_abs() / 3_600, offset.unsigned_abs() / 60 % 60);
        write!(
            out,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}{sign}{hours:02}:{minutes:02}",
            since.subsec_micros()
        )
    })
}

/// `21/Nov/2026:03:22:07.962`, HAProxy's `%t`.
pub(crate) fn accept_date(at: Duration, out: &mut dyn fmt::Write) -> fmt::Result {
    in_second(UNIX_EPOCH + at, |since, local| {
        let LocalTime { year, month, day, hour, minute, second, .. } = *local;
        let month = MONTHS.get(usize::from(month) - 1).copied().unwrap_or("?");
        write!(
            out,
            "{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02}.{:03}",
            since.subsec_millis()
        )
    })
}

thread_local! {
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
    /// The last second that was broken down: the next line is mostly in it too.
    static SECOND: RefCell<Option<(u64, LocalTime)>> = const { RefCell::new(None) };
}

/// Lends the buffer in which this thread makes its lines.
pub(crate) fn with_line(make: impl FnOnce(&mut String)) {
    LINE.with_borrow_mut(make);
}

fn in_second<T>(time: SystemTime, then: impl FnOnce(Duration, &LocalTime) -> T) -> T {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    SECOND.with_borrow_mut(|known| {
        let second = since.as_secs();
        let fresh = known.is_none_or(|(at, _)| at != second);
        let (_, local) = match known {
            Some(known) if !fresh => known,
            _ => known.insert((second, LocalTime::from(time))),
        };
        then(since, local)
    })
}

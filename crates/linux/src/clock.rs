//! Wall-clock time as log lines write it.

#![allow(unsafe_code, reason = "localtime_r(3) has no safe wrapper")]

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// A moment in the local time zone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LocalTime {
    /// Year of the Gregorian calendar.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 (Sunday) to 6.
    pub weekday: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
    /// Microseconds, 0 to 999 999.
    pub micros: u32,
    /// Seconds east of Greenwich.
    pub offset: i32,
}

impl LocalTime {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// `Nov 21 03:03:11`: how RFC 3164 §4.1.2 dates a message.
    pub fn rfc3164(&self) -> impl fmt::Display {
        let Self { month, day, hour, minute, second, .. } = *self;
        fmt::from_fn(move |f| {
            write!(f, "{} {day:2} {hour:02}:{minute:02}:{second:02}", name(&MONTHS, month - 1))
        })
    }

    /// `Sat Nov 21 03:03:11 2026`: `strftime`'s `%c` in the C locale.
    pub fn c_locale(&self) -> impl fmt::Display {
        let (weekday, year, rest) = (self.weekday, self.year, self.rfc3164());
        fmt::from_fn(move |f| write!(f, "{} {rest} {year}", name(&DAYS, weekday)))
    }

    /// `Sat, 21 Nov 2026 03:03:11 +0100`: how a mail is dated (RFC 5322 §3.3).
    pub fn rfc5322(&self) -> impl fmt::Display {
        let Self { year, month, day, weekday, hour, minute, second, offset, .. } = *self;
        let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs() / 60);
        let (weekday, month) = (name(&DAYS, weekday), name(&MONTHS, month - 1));
        fmt::from_fn(move |f| {
            write!(f, "{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} ")?;
            write!(f, "{sign}{:02}{:02}", minutes / 60, minutes % 60)
        })
    }
}

fn name(names: &[&'static str], index: u8) -> &'static str {
    names.get(usize::from(index)).copied().unwrap_or("?")
}

/// The local time zone at a moment, in seconds since 1970: seconds east of Greenwich, and its name.
#[must_use]
pub fn zone(seconds: i64) -> (i32, String) {
    let tm = broken_down(seconds);
    if tm.tm_zone.is_null() {
        return (0, "GMT".to_owned());
    }
    // SAFETY: localtime_r(3) has `tm_zone` point to one of the C library's names of zones, which end
    // with a zero byte and stay until tzset(3) reads another zone; nobody in this process calls it.
    let name = unsafe { std::ffi::CStr::from_ptr(tm.tm_zone) };
    (i32::try_from(tm.tm_gmtoff).unwrap_or(0), name.to_string_lossy().into_owned())
}

fn broken_down(seconds: libc::time_t) -> libc::tm {
    // SAFETY: `tm` is plain integers and a pointer, for which all zeroes is a value.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: localtime_r(3) reads `seconds` and writes `tm`, both ours; it fails only for a year that
    // does not fit, and then leaves `tm` as it was.
    unsafe { libc::localtime_r(&raw const seconds, &raw mut tm) };
    tm
}

impl From<SystemTime> for LocalTime {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs().try_into().unwrap_or_default();
        let tm = broken_down(seconds);
        let small = |field: libc::c_int| u8::try_from(field).unwrap_or(0);
        Self {
            year: tm.tm_year + 1900,
            month: small(tm.tm_mon) + 1,
            day: small(tm.tm_mday),
            weekday: small(tm.tm_wday),
            hour: small(tm.tm_hour),
            minute: small(tm.tm_min),
            second: small(tm.tm_sec),
            micros: since.subsec_micros(),
            offset: i32::try_from(tm.tm_gmtoff).unwrap_or(0),
        }
    }
}

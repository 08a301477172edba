//! Times as text.

use std::fmt::Write as _;

use super::{Converter, Step};
use crate::arg::{Arg, Args, Kind};
use crate::scope::Zone;
use crate::value::Type::{Int, Str};
use crate::value::Value;

const FORMAT: Args = Args::some(1, &[Kind::Str, Kind::Int]);

pub(super) const TABLE: &[Converter] = &[
    Converter::new("http_date", Args::some(0, &[Kind::Int, Kind::Str]), Int, Str, |v, step| {
        let unit = Unit::named(step.text(1)).unwrap_or(Unit::Seconds);
        let (seconds, fraction) = unit.split(v.number()?.checked_add(step.int(0).unwrap_or(0))?);
        let date = Date::of(seconds);
        let mut out = String::new();
        date.write("%a, %d %b %Y %H:%M:%S", &Zone::GMT, &mut out)?;
        match unit {
            Unit::Seconds => {}
            // Writing to a String cannot fail.
            Unit::Millis => drop(write!(out, ".{fraction:03}")),
            Unit::Micros => drop(write!(out, ".{fraction:06}")),
        }
        out.push_str(" GMT");
        Some(Value::text(out))
    })
    .check(|args| match args.get(1).and_then(Arg::text) {
        Some(unit) if Unit::named(unit).is_none() => {
            Err(format!("expects 's', 'ms' or 'us', got '{}'", String::from_utf8_lossy(unit)))
        }
        _ => Ok(()),
    })
    .doc("A date as HTTP writes it (RFC 9110 §5.6.7), with an offset; of seconds, `ms` or `us`."),
    Converter::new("ltime", FORMAT, Int, Str, |v, s| format(v, s, Unit::Seconds, true)).doc(
        "A date by a format of strftime(3), in the local time zone, with an offset in seconds.",
    ),
    Converter::new("utime", FORMAT, Int, Str, |v, s| format(v, s, Unit::Seconds, false))
        .doc("A date by a format of strftime(3), in UTC, with an offset in seconds."),
    Converter::new("ms_ltime", FORMAT, Int, Str, |v, s| format(v, s, Unit::Millis, true))
        .doc("As `ltime`, of milliseconds; `%N` is the fraction."),
    Converter::new("ms_utime", FORMAT, Int, Str, |v, s| format(v, s, Unit::Millis, false))
        .doc("As `utime`, of milliseconds; `%N` is the fraction."),
    Converter::new("us_ltime", FORMAT, Int, Str, |v, s| format(v, s, Unit::Micros, true))
        .doc("As `ltime`, of microseconds; `%N` is the fraction."),
    Converter::new("us_utime", FORMAT, Int, Str, |v, s| format(v, s, Unit::Micros, false))
        .doc("As `utime`, of microseconds; `%N` is the fraction."),
];

/// What a number counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Unit {
    Seconds,
    Millis,
    Micros,
}

impl Unit {
    fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"s" | b"" => Self::Seconds,
            b"ms" => Self::Millis,
            b"us" => Self::Micros,
            _ => return None,
        })
    }

    /// Whole seconds, and what is left.
    const fn split(self, number: i64) -> (i64, i64) {
        let each = match self {
            Self::Seconds => 1,
            Self::Millis => 1_000,
            Self::Micros => 1_000_000,
        };
        (number.div_euclid(each), number.rem_euclid(each))
    }
}

fn format<'a>(value: Value<'a>, step: &Step<'a, '_>, unit: Unit, local: bool) -> Option<Value<'a>> {
    let (seconds, fraction) = unit.split(value.number()?);
    let seconds = seconds.checked_add(step.int(1).unwrap_or(0))?;
    let here = step.scope.environment.zone(seconds);
    let zone = if local { here.clone() } else { Zone::GMT };
    let format = String::from_utf8_lossy(step.text(0));
    let format = match unit {
        Unit::Seconds => format,
        Unit::Millis => format.replace("%N", &format!("{fraction:03}")).into(),
        Unit::Micros => format.replace("%N", &format!("{fraction:06}")).into(),
    };
    let mut date = Date::of(seconds.checked_add(zone.offset.into())?);
    // strftime(3) takes every date for one of the local time zone.
    date.seconds = date.seconds.checked_sub(here.offset.into())?;
    let mut out = String::new();
    date.write(&format, &zone, &mut out)?;
    Some(Value::text(out))
}

const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A moment of the Gregorian calendar.
#[derive(Clone, Copy, Debug)]
struct Date {
    /// Since 1970, for `%s`.
    seconds: i64,
    year: i64,
    /// 0 to 11.
    month: usize,
    /// 1 to 31.
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    /// 0 is Sunday.
    weekday: i64,
    /// 0 is the first of January.
    yearday: i64,
}

impl Date {
    fn of(seconds: i64) -> Self {
        let (days, clock) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Years that begin in March have their leap day at the end.
        let from_0000 = days + 719_468;
        let era = from_0000.div_euclid(146_097);
        let of_era = from_0000.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 2 } else { shifted - 10 };
        let year = year_of_era + era * 400 + i64::from(month < 2);
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let before: i64 = [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30]
            .iter()
            .take(month as usize)
            .sum();
        Self {
            seconds,
            year,
            month: month as usize,
            day,
            hour: clock / 3600,
            minute: clock / 60 % 60,
            second: clock % 60,
            weekday: (days + 4).rem_euclid(7),
            yearday: before + day - 1,
        }
    }

    /// The week of ISO 8601 and its year.
    fn week(&self) -> (i64, i64) {
        let monday = (self.weekday + 6) % 7;
        let week = (self.yearday - monday + 10) / 7;
        let weeks = |year: i64| {
            let p = |y: i64| (y + y / 4 - y / 100 + y / 400) % 7;
            52 + i64::from(p(year) == 4 || p(year - 1) == 3)
        };
        match week {
            0 => (self.year - 1, weeks(self.year - 1)),
            53 if weeks(self.year) < 53 => (self.year + 1, 1),
            week => (self.year, week),
        }
    }

    /// By the conversions of strftime(3) in the C locale; unknown ones stay as they are.
    fn write(&self, format: &str, zone: &Zone, out: &mut String) -> Option<()> {
        let half = match self.hour % 12 {
            0 => 12,
            hour => hour,
        };
        let (day, month) = (DAYS.get(self.weekday as usize)?, MONTHS.get(self.month)?);
        let mut rest = format.chars();
        while let Some(c) = rest.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let Some(what) = rest.next() else {
                out.push('%');
                break;
            };
            let nested = match what {
                'c' => "%a %b %e %H:%M:%S %Y",
                'D' | 'x' => "%m/%d/%y",
                'F' => "%Y-%m-%d",
                'T' | 'X' => "%H:%M:%S",
                'R' => "%H:%M",
                'r' => "%I:%M:%S %p",
                _ => "",
            };
            if !nested.is_empty() {
                self.write(nested, zone, out)?;
                continue;
            }
            // Writing to a String cannot fail.
            let _ = match what {
                'a' => write!(out, "{}", &day[..3]),
                'A' => write!(out, "{day}"),
                'b' | 'h' => write!(out, "{}", &month[..3]),
                'B' => write!(out, "{month}"),
                'C' => write!(out, "{:02}", self.year.div_euclid(100)),
                'd' => write!(out, "{:02}", self.day),
                'e' => write!(out, "{:2}", self.day),
                'g' => write!(out, "{:02}", self.week().0.rem_euclid(100)),
                'G' => write!(out, "{}", self.week().0),
                'H' => write!(out, "{:02}", self.hour),
                'I' => write!(out, "{half:02}"),
                'j' => write!(out, "{:03}", self.yearday + 1),
                'k' => write!(out, "{:2}", self.hour),
                'l' => write!(out, "{half:2}"),
                'm' => write!(out, "{:02}", self.month + 1),
                'M' => write!(out, "{:02}", self.minute),
                'n' => writeln!(out),
                'p' => write!(out, "{}", if self.hour < 12 { "AM" } else { "PM" }),
                'P' => write!(out, "{}", if self.hour < 12 { "am" } else { "pm" }),
                's' => write!(out, "{}", self.seconds),
                'S' => write!(out, "{:02}", self.second),
                't' => write!(out, "\t"),
                'u' => write!(out, "{}", (self.weekday + 6) % 7 + 1),
                'U' => write!(out, "{:02}", (self.yearday + 7 - self.weekday) / 7),
                'V' => write!(out, "{:02}", self.week().1),
                'w' => write!(out, "{}", self.weekday),
                'W' => write!(out, "{:02}", (self.yearday + 7 - (self.weekday + 6) % 7) / 7),
                'y' => write!(out, "{:02}", self.year.rem_euclid(100)),
                'Y' => write!(out, "{}", self.year),
                'z' => {
                    let minutes = zone.offset.unsigned_abs() / 60;
                    let sign = if zone.offset < 0 { '-' } else { '+' };
                    write!(out, "{sign}{:02}{:02}", minutes / 60, minutes % 60)
                }
                'Z' => write!(out, "{}", zone.name),
                '%' => write!(out, "%"),
                other => write!(out, "%{other}"),
            };
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_around_the_ends_of_years_and_ages_are_right() {
        let write = |seconds| {
            let mut out = String::new();
            Date::of(seconds).write("%F %T %a %j %G-W%V %U %W", &Zone::GMT, &mut out);
            out
        };
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00 Thu 001 1970-W01 00 00"),
            (-1, "1969-12-31 23:59:59 Wed 365 1970-W01 52 52"),
            (951_782_399, "2000-02-28 23:59:59 Mon 059 2000-W09 09 09"),
            (951_868_800, "2000-03-01 00:00:00 Wed 061 2000-W09 09 09"),
            (1_609_459_199, "2020-12-31 23:59:59 Thu 366 2020-W53 52 52"),
            (1_609_459_200, "2021-01-01 00:00:00 Fri 001 2020-W53 00 00"),
            (1_230_768_000 - 86_400 * 3, "2008-12-29 00:00:00 Mon 364 2009-W01 52 52"),
        ] {
            assert_eq!(write(seconds), expected);
        }
    }
}

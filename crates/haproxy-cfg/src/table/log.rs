//! `log`, `log-format`, `log-tag`.

use conf::Form::Words;
use conf::{Binder, Keyword, Problem, Word};
use proxy::{Facility, LogAddress, LogFormat, LogFraming, LogTarget, Sample, Severity};

use super::{CLIENT, PROXY, text};
use crate::address::{Address, Ports, parse};
use crate::context::Context;
use crate::draft::{Draft, LogLine};
use crate::number::{leading, surplus};
use crate::say::Complain;

type P = Keyword<Draft>;

const ALL: usize = usize::MAX;
/// The names of framings.
pub(crate) const FRAMINGS: [(&str, LogFraming); 8] = [
    ("local", LogFraming::Local),
    ("rfc3164", LogFraming::Rfc3164),
    ("rfc5424", LogFraming::Rfc5424),
    ("priority", LogFraming::Priority),
    ("short", LogFraming::Short),
    ("timed", LogFraming::Timed),
    ("iso", LogFraming::Iso),
    ("raw", LogFraming::Raw),
];

/// Logging of a proxy.
pub(crate) const TABLE: &[P] = &[
    P::new(
        "log",
        Words(
            "global | <target> [len <n>] [format <f>] [sample <ranges>:<size>] <facility> [<level> [<minlevel>]]",
            0..=ALL,
            |p, w, b| {
                let context = p.context.clone();
                match line(&context, b, w, false) {
                    Some(Line::Global) => p.logs.push(LogLine::Global),
                    Some(Line::Target(target)) => p.logs.push(LogLine::Target(target)),
                    None => {}
                }
            },
        ),
    )
    .within(PROXY)
    .doc("Where sessions and changes of servers are logged."),
    P::new(
        "log-format",
        Words("<format>", 0..=ALL, |p, w, b| {
            if w.is_empty() {
                b.refuse(conf::Span::default(), "log-format expects an argument.");
            } else if !surplus(b, "log-format", w, 1) {
                p.log_format = LogFormat::Custom(rules::Format::default());
                p.log_text = w[0].owned();
                p.http.httplog = None;
                p.log_at = Some(w[0].span);
            }
        }),
    )
    .within(CLIENT)
    .doc("What a session's line says."),
    P::new(
        "log-format-sd",
        Words("<format>", 0..=ALL, |p, w, b| {
            p.structured_format = one(b, "log-format-sd", w).or(p.structured_format.take());
        }),
    )
    .within(CLIENT)
    .spec("RFC 5424 §6.3")
    .doc("The structured data of lines in the format `rfc5424`."),
    P::new(
        "error-log-format",
        Words("<format>", 0..=ALL, |p, w, b| {
            p.error_format = one(b, "error-log-format", w).or(p.error_format.take());
        }),
    )
    .within(CLIENT)
    .doc("What is logged of a connection whose first bytes are wrong, so that it becomes no session."),
    P::new(
        "log-tag",
        Words("<tag>", 0..=ALL, |p, w, b| match w.first() {
            Some(tag) if !surplus(b, "log-tag", w, 1) => p.front.log.tag = Some(tag.owned()),
            Some(_) => {}
            None => {
                b.refuse(conf::Span::default(), "'log-tag' expects a tag for use in syslog.");
            }
        }),
    )
    .within(PROXY)
    .doc("The program's name in log lines of this proxy."),
    P::planned("log-steps", "<steps>").within(CLIENT),
];

/// The only argument of a keyword.
fn one(b: &mut Binder, keyword: &str, words: &[Word]) -> Option<Word> {
    match words {
        [] => {
            b.refuse(conf::Span::default(), format!("{keyword} expects an argument."));
            None
        }
        [word] => Some(word.clone()),
        [first, ..] => {
            let text =
                format!("{keyword} expects only one argument, don't forget to escape spaces!");
            b.refuse(first.span, text);
            None
        }
    }
}

/// A `log` line.
pub(crate) enum Line {
    /// `log global`.
    Global,
    /// A target.
    Target(LogTarget),
}

/// Reads a `log` line of `global` or of a proxy.
pub(crate) fn line(
    context: &Context,
    b: &mut Binder,
    words: &[Word],
    global: bool,
) -> Option<Line> {
    let span = words.first().map_or_else(conf::Span::default, |w| w.span);
    let mut refuse = |text: String| {
        b.refuse(span, format!("log : {text}"));
        None
    };
    if text(words, 0) == "global" && words.len() == 1 {
        if global {
            return refuse("'global' is not supported for a global syslog server".into());
        }
        return Some(Line::Global);
    }
    if words.len() < 2 {
        return refuse("expects <address> and <facility> ".to_owned() + " as arguments");
    }
    let mut target = LogTarget::new(LogAddress::Stdout, Facility(0));
    let mut rest = &words[1..];
    loop {
        match (text(rest, 0), text(rest, 1)) {
            ("len", length) => {
                let (n, whole) = leading(length);
                if !whole || !(80..=65_535).contains(&n) {
                    return refuse(format!(
                        "invalid log length '{length}', must be between 80 and 65535"
                    ));
                }
                target.length = n as usize;
            }
            ("format", name) => match FRAMINGS.iter().find(|(known, _)| *known == name) {
                Some((_, framing)) => target.framing = *framing,
                None => return refuse(format!("unknown log format '{name}'")),
            },
            ("sample", text) => match sample(text) {
                Ok(sample) => target.sample = Some(sample),
                Err(why) => return refuse(why),
            },
            ("profile", _) => {
                let keyword = "log … profile".to_owned();
                b.error(rest[0].span, Problem::Planned { keyword });
                return None;
            }
            _ => break,
        }
        rest = rest.get(2..).unwrap_or(&[]);
    }
    let Some(facility) = Facility::named(text(rest, 0)) else {
        return refuse(match rest.first() {
            Some(word) => format!("unknown log facility '{}'", word.text),
            None => "expects <address> and <facility>  as arguments".into(),
        });
    };
    target.facility = facility;
    let level = |name: &str| {
        let at = Severity::NAMES.iter().position(|known| *known == name);
        at.map(|at| Severity::ALL[at])
    };
    if let Some(word) = rest.get(1) {
        let Some(max) = level(&word.text) else {
            return refuse(format!("unknown optional log level '{}'", word.text));
        };
        target.max_level = max;
    }
    if let Some(word) = rest.get(2) {
        let Some(min) = level(&word.text) else {
            return refuse(format!("unknown optional minimum log level '{}'", word.text));
        };
        target.min_level = min;
    }
    if let Some(word) = rest.get(3) {
        return refuse(format!("cannot handle unexpected argument '{}'", word.text));
    }
    target.address = address(context, b, &words[0])?;
    Some(Line::Target(target))
}

/// `1-3,5:10`: of ten lines the first three and the fifth.
fn sample(text: &str) -> Result<Sample, String> {
    let Some((ranges, size)) = text.rsplit_once(':') else {
        return Err("Missing sample size".into());
    };
    let mut all: Vec<(u32, u32)> = Vec::new();
    for range in ranges.split(',') {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let bounds = from.parse().ok().zip(to.parse().ok());
        match bounds.filter(|(from, to)| *from >= 1_u32 && from <= to) {
            Some(bounds) => all.push(bounds),
            None => return Err(format!("wrong sample range '{range}'")),
        }
    }
    all.sort_unstable();
    if all.windows(2).any(|pair| pair[0].1 >= pair[1].0) {
        return Err("ranges are overlapping".into());
    }
    let Some(size) = size.parse().ok().filter(|size| *size > 0) else {
        return Err(format!("wrong sample size '{size}' for sample range '{ranges}'"));
    };
    let most = all.last().map_or(0, |(_, to)| *to);
    if size < most {
        return Err(format!(
            "sample size {size} should be greater or equal to {most} the maximum of the high ranges limits"
        ));
    }
    Ok(Sample { ranges: all, size })
}

fn address(context: &Context, b: &mut Binder, word: &Word) -> Option<LogAddress> {
    match word.text.as_str() {
        "stdout" => return Some(LogAddress::Stdout),
        "stderr" => return Some(LogAddress::Stderr),
        _ => {}
    }
    let planned = |b: &mut Binder, what: String| {
        b.error(word.span, Problem::Planned { keyword: what });
        None
    };
    if let Some(name) = word.text.strip_prefix("ring@") {
        return Some(LogAddress::Ring(name.to_owned()));
    }
    if let Some((kind @ ("backend" | "tcp" | "tcp4" | "tcp6"), _)) = word.text.split_once('@') {
        return planned(b, format!("log {kind}@"));
    }
    match parse(context, &word.text) {
        Ok(Address::Unix(path)) => Some(LogAddress::Unix(path)),
        Ok(Address::Fd(fd)) => Some(LogAddress::Fd(fd)),
        Ok(Address::Inet { host, ports, family, .. }) => {
            let port = match ports {
                Ports::Range(port, ..) => port as u16,
                Ports::Missing | Ports::Relative(_) => 514,
            };
            let ip = host.resolve(context, family).first().copied();
            if ip.is_none() {
                let host = word.text.rsplit_once(':').map_or(word.text.as_str(), |(h, _)| h);
                b.refuse(word.span, format!("log : invalid address: '{host}' in '{}'", word.text));
            }
            Some(LogAddress::Udp((ip?, port).into()))
        }
        Ok(Address::Abstract(_)) => planned(b, "log abns@".into()),
        Ok(Address::Planned(kind)) => planned(b, format!("log {kind}")),
        Err(error) => {
            b.refuse(word.span, format!("log : {error}\n"));
            None
        }
    }
}

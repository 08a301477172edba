//! Whether an answer is what was expected.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::known::{self, first_digits, line};
use super::place::shown;
use super::search::Search;
use super::{Conversation, Turn, from_hex, http};
use crate::config::{Code, Compare, Expect, Header, Match, Pattern, Probe, Saying};
use crate::status::{Status, Verdict};

/// What an expectation says of an answer.
enum Judged {
    /// More may come.
    Wait,
    /// It is met; an HTTP status, and what is to be said of it.
    Met(i32, String),
    /// It is not; what follows says so as the step wishes, or, with words, as they do.
    Unmet(Unmet),
    /// It is over.
    Over(Verdict),
}

/// How an expectation was not met.
struct Unmet {
    status: Status,
    code: i32,
    /// What is said whatever the step says.
    info: String,
    /// What is said if the step says nothing.
    default: String,
}

impl Unmet {
    const fn new(status: Status) -> Self {
        Self { status, code: 0, info: String::new(), default: String::new() }
    }
}

impl Conversation<'_> {
    pub(super) fn judge(&mut self, ended: bool) -> Turn {
        let Some(at) = self.at else { return Turn::Expect };
        let step = self.lines[at].clone();
        let crate::Action::Expect(expect) = &step.action else { return Turn::Expect };
        let judged = match self.config.probe {
            Probe::Http { .. } => self.judge_http(expect, ended),
            _ => self.judge_tcp(expect, ended),
        };
        let (said, code) = match &judged {
            Judged::Wait => return Turn::Expect,
            Judged::Over(verdict) => return Turn::Verdict(verdict.clone()),
            Judged::Met(code, _) => {
                (self.said(expect.on_success.as_ref()), self.code(expect, *code))
            }
            Judged::Unmet(unmet) => {
                (self.said(expect.on_error.as_ref()), self.code(expect, unmet.code))
            }
        };
        match judged {
            Judged::Met(_, info) => {
                let status = expect.ok_status.unwrap_or(Status::L7Ok);
                let generic = matches!(self.config.probe, Probe::Tcp { .. });
                let info = match said {
                    _ if !info.is_empty() => info,
                    Some(said) => said,
                    None if generic => "(tcp-check)".into(),
                    None => String::new(),
                };
                self.good = Verdict { status, code, info };
                self.next()
            }
            Judged::Unmet(unmet) => {
                let mut info = match said {
                    _ if !unmet.info.is_empty() => unmet.info,
                    Some(said) => said,
                    None => unmet.default,
                };
                if let Some(comment) = &step.comment {
                    info.push_str(&format!(" comment: {comment}"));
                }
                Turn::Verdict(Verdict { status: unmet.status, code, info })
            }
            Judged::Wait | Judged::Over(_) => Turn::Expect,
        }
    }

    fn said(&mut self, saying: Option<&Saying>) -> Option<String> {
        Some(match *saying? {
            Saying::Words(words) => words.into(),
            Saying::Line(from) => line(&self.answer, from),
            Saying::Format(format) => String::from_utf8_lossy(&self.format(format)).into_owned(),
        })
    }

    fn code(&mut self, expect: &Expect, status: i32) -> i32 {
        match expect.code {
            None => status,
            Some(Code::FirstDigits) => first_digits(&self.answer),
            Some(Code::Number(number)) => {
                self.number(number).and_then(|code| i32::try_from(code).ok()).unwrap_or(0)
            }
        }
    }

    /// Looks for bytes in the answer, or in its body; `None` if there is nothing to look for.
    fn search(&mut self, wanted: impl FnOnce(&mut Self) -> Option<Vec<u8>>) -> Option<bool> {
        let (pattern, mut search) = match self.search.take() {
            Some(running) => running,
            None => {
                let pattern = wanted(self)?;
                let search = Search::new(&pattern);
                (pattern, search)
            }
        };
        let found = match self.config.probe {
            Probe::Http { .. } => search.finds(&pattern, self.reader.body()),
            _ => search.finds(&pattern, &self.answer),
        };
        self.search = Some((pattern, search));
        Some(found)
    }

    /// Bytes as a step has them, or its format makes them.
    fn pattern(&mut self, matching: &Match) -> Option<Vec<u8>> {
        match matching {
            Match::String(bytes) | Match::Binary(bytes) => Some(bytes.clone()),
            Match::StringFormat(format) => Some(self.format(*format)),
            Match::BinaryFormat(format) => from_hex(&self.format(*format)),
            _ => None,
        }
        .filter(|pattern| !pattern.is_empty())
    }

    fn judge_tcp(&mut self, expect: &Expect, ended: bool) -> Judged {
        let step = self.at.map_or(0, |at| at + 1);
        let generic = matches!(self.config.probe, Probe::Tcp { .. });
        let mut unmet = Unmet::new(expect.error_status.unwrap_or(Status::L7Response));
        if ended && self.answer.is_empty() {
            unmet.info = format!("TCPCHK got an empty response at step {step}");
            return Judged::Unmet(unmet);
        }
        if !ended && expect.min_recv.is_some_and(|least| self.answer.len() < least) {
            return Judged::Wait;
        }
        let (found, what) = match &expect.matching {
            Match::Known(awaited) => match known::judge(*awaited, &self.answer) {
                known::Judged::Match => (true, String::new()),
                known::Judged::NoMatch => (false, String::new()),
                known::Judged::Wait if ended => return Judged::Unmet(unmet),
                known::Judged::Wait => return Judged::Wait,
                known::Judged::Verdict(verdict) => return Judged::Over(verdict),
                known::Judged::Says(info) => return Judged::Met(0, info),
            },
            Match::Regex(regex) => (self.finds(*regex, &self.answer), " (regex)".into()),
            Match::BinaryRegex(regex) => {
                let digits = to_hex(&self.answer);
                (self.finds(*regex, &digits), " (binary regex)".into())
            }
            matching @ (Match::String(_)
            | Match::Binary(_)
            | Match::StringFormat(_)
            | Match::BinaryFormat(_)) => {
                let Some(found) = self.search(|talk| talk.pattern(matching)) else {
                    unmet.info = "log-format string evaluated to an empty string".into();
                    return Judged::Unmet(unmet);
                };
                let what = match matching {
                    Match::String(text) => format!(" '{}'", shown(text)),
                    Match::Binary(_) => " (binary)".into(),
                    Match::StringFormat(_) => " (log-format string)".into(),
                    _ => " (log-format binary)".into(),
                };
                (found, what)
            }
            // A status of something that is not HTTP is never right.
            Match::Status(_) | Match::StatusRegex(_) | Match::Http2xx3xx | Match::Header(_) => {
                return Judged::Unmet(unmet);
            }
        };
        // More may come, unless it was said how much is enough.
        if !found && !ended && expect.min_recv.is_none() {
            return Judged::Wait;
        }
        if found != expect.negated {
            return Judged::Met(0, String::new());
        }
        if generic {
            let verb = if found { "matched unwanted content" } else { "did not match content" };
            unmet.default = format!("TCPCHK {verb}{what} at step {step}");
        }
        Judged::Unmet(unmet)
    }

    fn judge_http(&mut self, expect: &Expect, ended: bool) -> Judged {
        let invalid = Unmet::new(Status::L7Response);
        let (status, reason, complete) = match self.reader.read(&self.answer) {
            Ok(Some(answer)) => {
                (answer.status, String::from_utf8_lossy(answer.reason), answer.complete)
            }
            Ok(None) if !ended => return Judged::Wait,
            Ok(None) | Err(http::NotHttp) => return Judged::Unmet(invalid),
        };
        let reason = reason.into_owned();
        let code = i32::from(status);
        if let Probe::Http { disable_on_404: true, .. } = self.config.probe
            && status == 404
        {
            return Judged::Over(Verdict {
                status: Status::L7Conditional,
                code,
                info: String::new(),
            });
        }
        let by_head = match &expect.matching {
            Match::Http2xx3xx => Some((200..400).contains(&status)),
            Match::Status(ranges) => Some(ranges.iter().any(|range| range.contains(&status))),
            Match::StatusRegex(regex) => Some(self.finds(*regex, format!("{status}").as_bytes())),
            Match::Header(header) => Some(self.has(header)),
            _ => None,
        };
        if let Some(matches) = by_head {
            if matches != expect.negated {
                return Judged::Met(code, String::new());
            }
            let status = expect.error_status.unwrap_or(Status::L7Status);
            return Judged::Unmet(Unmet { status, code, info: String::new(), default: reason });
        }
        let invalid =
            Unmet { status: expect.error_status.unwrap_or(invalid.status), code, ..invalid };
        if self.reader.body().is_empty() {
            if !complete && !ended {
                return Judged::Wait;
            }
            let info = "HTTP content check could not find a response body".into();
            return Judged::Unmet(Unmet { info, ..invalid });
        }
        let found = match &expect.matching {
            Match::Regex(regex) => Some(self.finds(*regex, self.reader.body())),
            matching => self.search(|talk| talk.pattern(matching)),
        };
        let Some(found) = found else {
            let info = "log-format string evaluated to an empty string".into();
            return Judged::Unmet(Unmet { info, ..invalid });
        };
        if !found && !complete && !ended && expect.min_recv.is_none() {
            return Judged::Wait;
        }
        if found != expect.negated {
            return Judged::Met(code, String::new());
        }
        let default = if found {
            "HTTP check matched unwanted content"
        } else {
            "HTTP content check did not match"
        };
        Judged::Unmet(Unmet { default: default.into(), ..invalid })
    }

    /// Whether the answer has such a header.
    fn has(&mut self, header: &Header) -> bool {
        let name = self.comparison(&header.name);
        let value = header.value.as_ref().map(|value| self.comparison(value));
        let headers = self.reader.heard(&self.answer).headers;
        headers.iter().filter(|(known, _)| self.is_like(&name, known)).any(|(_, line)| {
            let Some(value) = &value else { return true };
            if header.full {
                return self.is_like(value, line);
            }
            line.split(|&byte| byte == b',').any(|part| self.is_like(value, part.trim_ascii()))
        })
    }

    fn comparison(&mut self, pattern: &Pattern) -> (Compare, Vec<u8>) {
        (pattern.compare, self.text(&pattern.text))
    }

    fn is_like(&self, (compare, text): &(Compare, Vec<u8>), bytes: &[u8]) -> bool {
        match compare {
            Compare::Exact => bytes == text,
            Compare::Begins => bytes.starts_with(text),
            Compare::Ends => bytes.ends_with(text),
            Compare::Contains => {
                text.is_empty() || bytes.windows(text.len()).any(|window| window == text)
            }
            Compare::Regex(regex) => self.finds(*regex, bytes),
        }
    }
}

fn to_hex(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| format!("{byte:02X}").into_bytes()).collect()
}

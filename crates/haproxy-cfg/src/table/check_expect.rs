//! `tcp-check expect …` and `http-check expect …`.

use check::{Action, Code, Compare, Expect, Header, Match, Pattern, Saying, Status, Step, Text};
use conf::{Binder, Span, Word};

use super::check_words::{format, named_format, number, regex};
use crate::draft::Draft;
use crate::lexer::bytes_of;
use crate::number::leading;
use crate::say::Complain;

const OK: &[Status] = &[Status::L4Ok, Status::L6Ok, Status::L7Ok, Status::L7Conditional];
const ERROR: &[Status] =
    &[Status::L4Connection, Status::L6Response, Status::L7Response, Status::L7Status];
const TIMEOUT: &[Status] = &[Status::L4Timeout, Status::L6Timeout, Status::L7Timeout];

/// What an `expect` is being read from.
struct Reader<'a> {
    p: &'a mut Draft,
    b: &'a mut Binder,
    http: bool,
    /// `'tcp-check expect'`.
    name: String,
}

/// The step; `None` is a complaint.
pub(super) fn expect(p: &mut Draft, kind: &str, words: &[Word], b: &mut Binder) -> Option<Step> {
    let name = format!("'{kind} expect'");
    let mut reader = Reader { p, b, http: kind == "http-check", name };
    let mut step = Step::from(Action::Comment);
    // What is expected is filled in last; until then it is anything.
    let mut expect = Expect::new(Match::Http2xx3xx);
    let mut matching = None;
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        rest = reader.word(&mut step, &mut expect, &mut matching, word, after)?;
    }
    expect.matching = match matching {
        Some(matching) => matching,
        None => return reader.refuse(words, "expects at least a matching pattern as arguments."),
    };
    step.action = Action::Expect(expect);
    Some(step)
}

impl Reader<'_> {
    fn refuse<T>(&mut self, words: &[Word], text: &str) -> Option<T> {
        let at = words.first().map_or_else(Span::default, |word| word.span);
        self.b.refuse(at, format!("{} : {text}", self.name));
        None
    }

    /// One word and its arguments; what is left.
    fn word<'w>(
        &mut self,
        step: &mut Step,
        expect: &mut Expect,
        matching: &mut Option<Match>,
        word: &'w Word,
        after: &'w [Word],
    ) -> Option<&'w [Word]> {
        let mut keyword = word.text.as_str();
        let here = std::slice::from_ref(word);
        if let Some(negation) = keyword.strip_prefix('!') {
            expect.negated = true;
            if negation.is_empty() {
                return Some(after);
            }
            keyword = negation;
        }
        let value = after.first().filter(|value| !value.text.is_empty());
        let name = self.name.clone();
        match (keyword, value) {
            ("min-recv", None) => {
                return self.refuse(here, "'min-recv' expects a integer as argument.");
            }
            ("min-recv", Some(value)) => match leading(&value.text).0 {
                -1 => expect.min_recv = None,
                n @ 0.. => expect.min_recv = usize::try_from(n).ok(),
                _ => {
                    let text = "'min-recv' expects -1 or an integer from 0 to INT_MAX.";
                    return self.refuse(after, text);
                }
            },
            ("status-code", None) => {
                return self.refuse(here, "'status-code' expects an expression as argument.");
            }
            ("status-code", Some(value)) => {
                let number = number(self.p, &name, "status-code", value, self.b)?;
                expect.code = Some(Code::Number(number));
            }
            (
                "comment" | "ok-status" | "error-status" | "tout-status" | "on-success"
                | "on-error",
                None,
            ) => {
                return self.refuse(here, &format!("'{keyword}' expects a string as argument."));
            }
            ("comment", Some(value)) => step.comment = Some(value.owned()),
            ("ok-status", Some(value)) => {
                let names = "'L4OK', 'L6OK', 'L7OK' or 'L7OKC'";
                expect.ok_status = Some(self.status(keyword, OK, names, value)?);
            }
            ("error-status", Some(value)) => {
                let names = "'L4CON', 'L6RSP', 'L7RSP' or 'L7STS'";
                expect.error_status = Some(self.status(keyword, ERROR, names, value)?);
            }
            ("tout-status", Some(value)) => {
                let names = "'L4TOUT', 'L6TOUT' or 'L7TOUT'";
                expect.timeout_status = Some(self.status(keyword, TIMEOUT, names, value)?);
            }
            ("on-success", Some(value)) => {
                expect.on_success = Some(Saying::Format(format(self.p, &name, value, self.b)?));
            }
            ("on-error", Some(value)) => {
                expect.on_error = Some(Saying::Format(format(self.p, &name, value, self.b)?));
            }
            _ => return self.matching(matching, word, keyword, after),
        }
        after.get(1..)
    }

    fn status(
        &mut self,
        keyword: &str,
        allowed: &[Status],
        names: &str,
        value: &Word,
    ) -> Option<Status> {
        let known = allowed.iter().find(|status| status.name().eq_ignore_ascii_case(&value.text));
        if known.is_none() {
            let got = &value.text;
            let text = format!("'{keyword}' only supports {names} status (got '{got}')..");
            self.refuse::<()>(std::slice::from_ref(value), &text);
        }
        known.copied()
    }

    /// The pattern and its arguments; what is left.
    fn matching<'w>(
        &mut self,
        matching: &mut Option<Match>,
        word: &'w Word,
        keyword: &str,
        after: &'w [Word],
    ) -> Option<&'w [Word]> {
        let here = std::slice::from_ref(word);
        let known = match keyword {
            "string" | "rstring" | "string-lf" => true,
            "binary" | "rbinary" | "binary-lf" => !self.http,
            "status" | "rstatus" | "hdr" | "fhdr" => self.http,
            _ => false,
        };
        if !known {
            let supported = if self.http {
                "'only supports min-recv, [!]string', '[!]rstring', '[!]string-lf', '[!]status', '[!]rstatus', [!]hdr, [!]fhdr or comment"
            } else {
                "'only supports min-recv, '[!]binary', '[!]string', '[!]rstring', '[!]string-lf''[!]rbinary', '[!]binary-lf' or comment"
            };
            let got = &word.text;
            return self.refuse(here, &format!("{supported} but got '{got}' as argument.."));
        }
        if matching.is_some() {
            return self.refuse(here, "only one pattern expected.");
        }
        if matches!(keyword, "hdr" | "fhdr") {
            let (header, rest) = self.header(keyword, word, after)?;
            *matching = Some(Match::Header(header));
            return Some(rest);
        }
        let Some(value) = after.first().filter(|value| !value.text.is_empty()) else {
            return self.refuse(here, &format!("'{keyword}' expects a <pattern> as argument."));
        };
        let name = self.name.clone();
        *matching = Some(match keyword {
            "string" => Match::String(bytes_of(&value.text)),
            "rstring" => Match::Regex(regex(self.p, &name, value, self.b)?),
            "rbinary" => Match::BinaryRegex(regex(self.p, &name, value, self.b)?),
            "rstatus" => Match::StatusRegex(regex(self.p, &name, value, self.b)?),
            "string-lf" => Match::StringFormat(format(self.p, &name, value, self.b)?),
            "binary-lf" => Match::BinaryFormat(format(self.p, &name, value, self.b)?),
            "binary" => match super::check::hex(&value.text) {
                Some(bytes) => Match::Binary(bytes),
                None => {
                    let bad = value.text.chars().find(|c| !c.is_ascii_hexdigit());
                    let reason = bad.map_or_else(
                        || "an even number of hex digit is expected".to_owned(),
                        |c| format!("an hex digit is expected (found '{c}')"),
                    );
                    return self.refuse(after, &format!("invalid binary string ({reason})."));
                }
            },
            _ => match status_ranges(&value.text) {
                Ok(ranges) => Match::Status(ranges),
                Err(error) => return self.refuse(after, &format!("{error}.")),
            },
        });
        after.get(1..)
    }

    /// `hdr name [-m <how>] <pattern> [value [-m <how>] <pattern>]`, with `name-lf` and `value-lf`.
    fn header<'w>(
        &mut self,
        keyword: &str,
        word: &'w Word,
        words: &'w [Word],
    ) -> Option<(Header, &'w [Word])> {
        let is_name = |word: &&Word| matches!(word.text.as_str(), "name" | "name-lf");
        let (Some(first), true) = (words.first().filter(is_name), words.len() > 1) else {
            let text = format!(
                "'{keyword}' expects at the name keyword as first argument followed by a pattern."
            );
            return self.refuse(std::slice::from_ref(word), &text);
        };
        let (mut name, mut rest) = self.pattern(keyword, first.text == "name-lf", &words[1..])?;
        if let Text::Plain(bytes) = &mut name.text {
            bytes.make_ascii_lowercase();
        }
        let mut value = None;
        let is_value = |word: &&Word| matches!(word.text.as_str(), "value" | "value-lf");
        if let Some(word) = rest.first().filter(is_value) {
            let none = rest.get(1).is_none_or(|word| word.text == "-m" && rest.len() < 4);
            if none {
                let text = format!("'{keyword}' expect a pattern with the value keyword.");
                return self.refuse(rest, &text);
            }
            let (pattern, after) = self.pattern(keyword, word.text == "value-lf", &rest[1..])?;
            (value, rest) = (Some(pattern), after);
        }
        Some((Header { name, value, full: keyword == "fhdr" }, rest))
    }

    /// `[-m <how>] <pattern>`.
    fn pattern<'w>(
        &mut self,
        keyword: &str,
        is_format: bool,
        words: &'w [Word],
    ) -> Option<(Pattern, &'w [Word])> {
        let mut rest = words;
        let mut compare = Compare::Exact;
        let mut is_regex = false;
        if let [flag, how, after @ ..] = words
            && flag.text == "-m"
        {
            match how.text.as_str() {
                "str" => {}
                "beg" => compare = Compare::Begins,
                "end" => compare = Compare::Ends,
                "sub" => compare = Compare::Contains,
                "reg" => is_regex = true,
                got => {
                    let text = format!(
                        "'{keyword}' : '-m' only supports 'str', 'beg', 'end', 'sub' or 'reg' (got '{got}')."
                    );
                    return self.refuse(words, &text);
                }
            }
            rest = after;
        }
        let Some((word, after)) = rest.split_first() else {
            let text = format!(
                "'{keyword}' expects at the name keyword as first argument followed by a pattern."
            );
            return self.refuse(words, &text);
        };
        let name = self.name.clone();
        let text = if is_regex {
            compare = Compare::Regex(regex(self.p, &name, word, self.b)?);
            Text::default()
        } else if is_format {
            Text::Format(named_format(self.p, &name, &word.text, word, self.b)?)
        } else {
            Text::Plain(bytes_of(&word.text))
        };
        Some((Pattern { compare, text }, after))
    }
}

/// `200,300-310`.
fn status_ranges(text: &str) -> Result<Vec<std::ops::RangeInclusive<u16>>, String> {
    if let Some(bad) = text.chars().find(|c| !c.is_ascii_digit() && !matches!(c, '-' | ',')) {
        return Err(format!("invalid character '{bad}' in the list of status codes"));
    }
    let range = |part: &str| {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let (Ok(low), Ok(high)) = (low.parse::<u16>(), high.parse::<u16>()) else {
            return Err(format!("invalid range of status codes '{part}'"));
        };
        if low > high {
            return Err(format!("invalid range of status codes '{part}'"));
        }
        Ok(low..=high)
    };
    text.split(',').map(range).collect()
}

//! Regular expressions over bytes, with PCRE's syntax.

use std::fmt;

use fancy_regex::BytesMode;

/// Steps a match may take back before it is given up as one that does not match.
const BACKTRACK_LIMIT: usize = 100_000;

/// A compiled expression. Two are equal if they were written alike.
#[derive(Clone)]
pub struct Regex {
    compiled: fancy_regex::Regex,
    source: Box<str>,
    ignore_case: bool,
}

impl Regex {
    /// Compiles `source`. A byte is a character, and classes are those of ASCII, as for PCRE
    /// without UTF.
    ///
    /// # Errors
    ///
    /// Why it is none, in the words of PCRE2 where they are known, and the offset.
    pub fn new(source: &str, ignore_case: bool) -> Result<Self, String> {
        let built = fancy_regex::RegexBuilder::new(source)
            .case_insensitive(ignore_case)
            .bytes_mode(BytesMode::Ascii)
            .backtrack_limit(BACKTRACK_LIMIT)
            .build();
        match built {
            Ok(compiled) => Ok(Self { compiled, source: source.into(), ignore_case }),
            Err(error) => {
                let (why, offset) = words(source, &error);
                Err(format!("regex '{source}' is invalid (error={why}, erroffset={offset})"))
            }
        }
    }

    /// Whether it matches somewhere.
    pub fn is_match(&self, bytes: &[u8]) -> bool {
        self.compiled.is_match(bytes).unwrap_or(false)
    }

    /// `template` with `\0` … `\9` replaced by what was matched; `None` if nothing was.
    pub fn expand(&self, bytes: &[u8], template: &[u8]) -> Option<Vec<u8>> {
        let captures = self.compiled.captures(bytes).ok()??;
        let mut out = Vec::new();
        fill(&captures, template, &mut out);
        Some(out)
    }

    /// `bytes` with the first match, or all of them, replaced by `template`.
    pub fn replace(&self, bytes: &[u8], template: &[u8], all: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let (mut at, mut copied) = (0, 0);
        while at <= bytes.len()
            && let Ok(Some(captures)) = self.compiled.captures_from_pos(bytes, at)
            && let Some(whole) = captures.get(0)
        {
            out.extend_from_slice(&bytes[copied..whole.start()]);
            fill(&captures, template, &mut out);
            copied = whole.end();
            // An empty match is stepped over.
            at = whole.end().max(whole.start() + 1);
            if !all {
                break;
            }
        }
        out.extend_from_slice(&bytes[copied..]);
        out
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/{}", self.source, if self.ignore_case { "i" } else { "" })
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.ignore_case == other.ignore_case
    }
}

impl Eq for Regex {}

fn fill(captures: &fancy_regex::Captures<'_, [u8]>, template: &[u8], out: &mut Vec<u8>) {
    let mut rest = template;
    while let Some((&byte, left)) = rest.split_first() {
        rest = left;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match rest.split_first() {
            Some((digit @ b'0'..=b'9', left)) => {
                rest = left;
                if let Some(group) = captures.get(usize::from(digit - b'0')) {
                    out.extend_from_slice(group.as_bytes());
                }
            }
            Some((b'x', [high, low, left @ ..]))
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                let digit = |d: u8| char::from(d).to_digit(16).unwrap_or(0) as u8;
                out.push(digit(*high) << 4 | digit(*low));
                rest = left;
            }
            Some((&other, left)) => {
                out.push(other);
                rest = left;
            }
            None => {}
        }
    }
}

/// PCRE2's words for the mistakes people make, and where.
fn words(source: &str, error: &fancy_regex::Error) -> (String, usize) {
    let bytes = source.as_bytes();
    let repeats = |b: u8| matches!(b, b'*' | b'+' | b'?');
    let dangling = (0..bytes.len()).find(|&at| {
        repeats(bytes[at]) && (at == 0 || matches!(bytes[at - 1], b'(' | b'|')) && {
            // `(?` is not a repetition.
            !(bytes[at] == b'?' && at > 0 && bytes[at - 1] == b'(')
        }
    });
    if let Some(at) = dangling {
        return ("quantifier does not follow a repeatable item".to_owned(), at);
    }
    let end = source.len();
    let (mut open, mut class, mut escaped) = (0_i32, false, false);
    for (at, byte) in source.bytes().enumerate() {
        match byte {
            _ if escaped => {
                escaped = false;
                continue;
            }
            b'\\' => escaped = true,
            b'[' if !class => class = true,
            b']' => class = false,
            b'(' if !class => open += 1,
            b')' if !class => open -= 1,
            _ => {}
        }
        if open < 0 {
            return ("unmatched closing parenthesis".to_owned(), at);
        }
    }
    if escaped {
        return ("\\ at end of pattern".to_owned(), end);
    }
    if class {
        return ("missing terminating ] for character class".to_owned(), end);
    }
    if open > 0 {
        return ("missing closing parenthesis".to_owned(), end);
    }
    (error.to_string().lines().last().unwrap_or_default().trim().to_owned(), 0)
}

//! A line → words, as section 2.2 of HAProxy's configuration manual ("Quoting and escaping") has it.
//!
//! Blanks separate, `#` starts a comment, `\` escapes one character, `'…'` keeps everything, and
//! `"…"` keeps blanks and expands `$NAME`, `${NAME}`, `${NAME-default}` and `${NAME[*]}`.

use conf::{Span, Word};
use nom::branch::alt;
use nom::bytes::complete::{tag, take_till, take_while, take_while_m_n, take_while1};
use nom::character::complete::{anychar, char, one_of};
use nom::combinator::{map, map_opt, map_res, opt, value, verify};
use nom::multi::many0;
use nom::sequence::{delimited, pair, preceded, terminated};
use nom::{IResult, Parser};

use crate::context::Env;

/// Words of a line beyond this many are refused (HAProxy's MAX_LINE_ARGS).
pub(crate) const MAX_WORDS: usize = 64;

/// Bytes an escape `\x80`…`\xff` stands for are carried as U+F780…U+F7FF, so that a word stays text.
const RAW_BYTE: u32 = 0xf700;

/// Why a line is not a list of words; the offset is in bytes of the line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Flaw {
    /// A quote is opened and not closed.
    Quote(usize),
    /// `${` without `}`.
    Brace(usize),
    /// `$` in weak quotes is not followed by a name.
    Name(usize),
    /// `\x` without two hexadecimal digits.
    Hex(usize),
}

impl Flaw {
    /// What HAProxy says, and where.
    pub(crate) fn say(&self) -> (&'static str, usize) {
        match *self {
            Self::Quote(at) => ("unmatched quote", at),
            Self::Brace(at) => ("unmatched brace in environment variable name", at),
            Self::Name(at) => ("forbidden first char in environment variable name", at),
            Self::Hex(at) => ("truncated or invalid hexadecimal sequence", at),
        }
    }
}

/// A piece of a word.
#[derive(Clone)]
enum Piece<'a> {
    Text(&'a str),
    Char(char),
    Variable { name: &'a str, default: Option<&'a str>, words: bool },
}

/// The bytes a word stands for, with `\xNN` escapes as the bytes they name.
pub(crate) fn bytes_of(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u32::from(c).checked_sub(RAW_BYTE) {
            Some(byte @ 0x80..=0xff) => out.push(byte as u8),
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}

/// The words of a line that starts at byte `offset` of its file. `pseudo` knows `.LINE` and its kin.
pub(crate) fn words(
    line: &str,
    at: Span,
    env: &Env,
    pseudo: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<Word>, Flaw> {
    let span = |from: &str, to: &str| Span {
        file: at.file,
        start: at.start + (line.len() - from.len()) as u32,
        end: at.start + (line.len() - to.len()) as u32,
    };
    let mut words = Vec::new();
    let mut rest = skip_blanks(line);
    // One more than there may be says that there are too many, however long the line is.
    while !rest.is_empty() && !rest.starts_with('#') && words.len() <= MAX_WORDS {
        let start = rest;
        let mut texts = vec![String::new()];
        let mut given = false;
        while !rest.is_empty() && !rest.starts_with([' ', '\t', '#']) {
            let (left, pieces) = piece(rest).map_err(|_| flaw(rest, line.len() - rest.len()))?;
            given |= rest.starts_with(['"', '\'']) || !pieces.is_empty();
            rest = left;
            for piece in pieces {
                let last = texts.last_mut().expect("there is always one");
                match piece {
                    Piece::Text(text) => last.push_str(text),
                    Piece::Char(c) => last.push(c),
                    Piece::Variable { name, default, words } => {
                        let value = pseudo(name)
                            .or_else(|| env.get(name).cloned())
                            .or_else(|| default.map(str::to_owned))
                            .unwrap_or_default();
                        if words {
                            let mut parts = value.split(' ').filter(|part| !part.is_empty());
                            last.push_str(parts.next().unwrap_or(""));
                            texts.extend(parts.map(str::to_owned));
                        } else {
                            last.push_str(&value);
                        }
                    }
                }
            }
        }
        if given {
            let span = span(start, rest);
            words.extend(texts.into_iter().map(|text| Word { text, span }));
        }
        rest = skip_blanks(rest);
    }
    Ok(words)
}

fn skip_blanks(i: &str) -> &str {
    i.trim_start_matches([' ', '\t'])
}

/// The next piece of a word: one run of plain characters, one escape, or one quoted string.
fn piece(i: &str) -> IResult<&str, Vec<Piece<'_>>> {
    let plain = take_while1(|c| !matches!(c, ' ' | '\t' | '#' | '\\' | '"' | '\''));
    let strong = delimited(char('\''), take_till(|c| c == '\''), char('\''));
    alt((
        map(plain, |text| vec![Piece::Text(text)]),
        map(escape, |c| vec![Piece::Char(c)]),
        map(strong, |text| vec![Piece::Text(text)]),
        delimited(char('"'), many0(weak), char('"')),
    ))
    .parse(i)
}

/// A piece of a string in weak quotes.
fn weak(i: &str) -> IResult<&str, Piece<'_>> {
    alt((
        map(take_while1(|c| !matches!(c, '"' | '\\' | '$')), Piece::Text),
        value(Piece::Char('$'), tag("\\$")),
        map(escape, Piece::Char),
        variable,
    ))
    .parse(i)
}

/// `\` and what it escapes; alone, or before anything else, it stands for itself.
fn escape(i: &str) -> IResult<&str, char> {
    let digits = take_while_m_n(2, 2, |c: char| c.is_ascii_hexdigit());
    let byte = map_res(digits, |digits| u8::from_str_radix(digits, 16));
    let byte = map_opt(byte, |b| {
        char::from_u32(if b < 0x80 { u32::from(b) } else { RAW_BYTE + u32::from(b) })
    });
    let (rest, _) = char('\\').parse(i)?;
    if rest.starts_with('x') {
        return preceded(char('x'), byte).parse(rest);
    }
    let known: IResult<&str, char> = alt((
        one_of(" \\#'\""),
        value('\n', char('n')),
        value('\r', char('r')),
        value('\t', char('t')),
    ))
    .parse(rest);
    known.or(Ok((rest, '\\')))
}

/// `$NAME`, `${NAME}`, `${NAME-default}`, `${NAME[*]}`.
fn variable(i: &str) -> IResult<&str, Piece<'_>> {
    let default = preceded(char('-'), take_while(|c| c != '}' && c != '"'));
    let braced = terminated((variable_name, opt(tag("[*]")), opt(default)), char('}'));
    alt((
        map(preceded(pair(char('$'), char('{')), braced), |(name, words, default)| {
            Piece::Variable { name, default, words: words.is_some() }
        }),
        map(preceded(char('$'), variable_name), |name| Piece::Variable {
            name,
            default: None,
            words: false,
        }),
    ))
    .parse(i)
}

/// The name of a variable; a digit does not begin one.
fn variable_name(i: &str) -> IResult<&str, &str> {
    let name = take_while1(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    verify(name, |name: &str| !name.starts_with(|c: char| c.is_ascii_digit())).parse(i)
}

/// What is wrong with text that [`piece`] does not accept.
fn flaw(i: &str, at: usize) -> Flaw {
    if !i.starts_with('"') {
        return if i.starts_with('\'') { Flaw::Quote(at) } else { Flaw::Hex(at) };
    }
    let mut rest = &i[1..];
    while let Ok((left, _)) = weak(rest) {
        rest = left;
    }
    let here = at + (i.len() - rest.len());
    match anychar::<_, nom::error::Error<&str>>(rest) {
        Ok((after, '$')) if after.starts_with('{') => {
            let named = after[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if named { Flaw::Brace(here + 1) } else { Flaw::Name(here + 2) }
        }
        Ok((_, '$')) => Flaw::Name(here + 1),
        Ok((_, '\\')) => Flaw::Hex(here),
        _ => Flaw::Quote(at),
    }
}

//! One line → words and braces.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{anychar, char, one_of, space1};
use nom::combinator::{map, opt, recognize, rest, value, verify};
use nom::multi::{fold_many1, many1_count};
use nom::sequence::{delimited, pair, preceded};
use nom::{IResult, Offset, Parser};

use conf::{FileId, Span, Word};

/// What a line is made of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Token {
    /// A word, quotes and escapes resolved.
    Word(Word),
    /// `{`
    Open(Span),
    /// `}`
    Close(Span),
}

/// The tokens of one line, and where a quote is left open.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pub(crate) tokens: Vec<Token>,
    pub(crate) open_quote: bool,
    /// The quote of a command that is not closed.
    pub(crate) open_command: Option<char>,
}

#[derive(Clone, Eq, PartialEq)]
enum Raw<'a> {
    Quoted(&'a str),
    Unterminated(&'a str),
    Open,
    Close,
    Bare(&'a str),
    Command(String),
}

/// The keywords whose argument is a command, with the quotes of a shell.
const COMMANDS: &[&str] = &[
    "lvs_notify_fifo_script",
    "misc_path",
    "notify",
    "notify_backup",
    "notify_deleted",
    "notify_down",
    "notify_fault",
    "notify_fifo_script",
    "notify_master",
    "notify_master_rx_lower_pri",
    "notify_stop",
    "notify_up",
    "quorum_down",
    "quorum_up",
    "script",
    "shutdown_script",
    "startup_script",
    "vrrp_notify_fifo_script",
];

/// Whether a statement that starts with `word` has a command for an argument.
pub(crate) fn is_command(word: &str) -> bool {
    COMMANDS.contains(&word)
}

/// Splits the bytes `start..end` of `text`, which hold no line end.
///
/// Words end at blanks, braces and quotes; `"…"` is a word of its own, `\#` and `\!` are the
/// characters themselves, any other `#` or `!` starts a comment. `${NAME}` is part of a word, so
/// that a placeholder nobody filled in stays one word. Behind a keyword that takes a command, words
/// are those of [`shell_words`].
pub(crate) fn line(file: FileId, text: &str, start: usize, end: usize) -> Line {
    let mut out = Line::default();
    let whole = &text[start..end];
    let mut rest = whole;
    let (mut first, mut command) = (true, false);
    loop {
        rest = rest.trim_start();
        if rest.is_empty() || rest.starts_with(['#', '!']) {
            return out;
        }
        let found = if command { command_token(rest) } else { token(rest) };
        let Ok((after, raw)) = found else { return out };
        let at = |i: &str| (start + whole.offset(i)) as u32;
        let span = Span { file, start: at(rest), end: at(after) };
        let text = match raw {
            Raw::Open | Raw::Close => {
                let brace = if raw == Raw::Open { Token::Open } else { Token::Close };
                out.tokens.push(brace(span));
                (first, command, rest) = (true, false, after);
                continue;
            }
            Raw::Quoted(inner) => inner.to_owned(),
            Raw::Unterminated(inner) => {
                if command {
                    out.open_command = rest.chars().next();
                } else {
                    out.open_quote = true;
                }
                inner.to_owned()
            }
            Raw::Bare(raw) => unescape(raw),
            Raw::Command(text) => text,
        };
        command |= first && is_command(&text);
        first = false;
        out.tokens.push(Token::Word(Word { text, span }));
        rest = after;
    }
}

/// Whether there is an odd number of `"`, counting all of them and counting those without a
/// backslash before them.
pub(crate) fn odd_quotes(line: &str) -> (bool, bool) {
    let (mut all, mut bare, mut escaped) = (false, false, false);
    for c in line.chars() {
        all ^= c == '"';
        bare ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
    }
    (all, bare)
}

/// What stands before the comment in `line`.
pub(crate) fn before_comment(line: &str) -> &str {
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() || rest.starts_with(['#', '!']) {
            return &line[..line.len() - rest.len()];
        }
        rest = match token(rest) {
            Ok((after, _)) if after.len() < rest.len() => after,
            _ => return line,
        };
    }
}

/// Braces, or a word with the quotes of a shell.
fn command_token(i: &str) -> IResult<&str, Raw<'_>> {
    let quoted = fold_many1(
        |i| shell_piece("{}#!", i),
        String::new,
        |mut all, piece: String| {
            all.push_str(&piece);
            all
        },
    );
    alt((
        value(Raw::Open, char('{')),
        value(Raw::Close, char('}')),
        map(quoted, Raw::Command),
        map(preceded(one_of("'\""), rest), Raw::Unterminated),
    ))
    .parse(i)
}

fn token(i: &str) -> IResult<&str, Raw<'_>> {
    let inside = |i| take_while(|c| c != '"')(i);
    alt((
        value(Raw::Open, char('{')),
        value(Raw::Close, char('}')),
        map(delimited(char('"'), inside, char('"')), Raw::Quoted),
        map(preceded(char('"'), inside), Raw::Unterminated),
        map(recognize(many1_count(piece)), Raw::Bare),
    ))
    .parse(i)
}

/// A run of an unquoted word.
fn piece(i: &str) -> IResult<&str, &str> {
    let plain = take_while1(|c: char| !c.is_whitespace() && !"\"{}#!\\$".contains(c));
    let escape = recognize(pair(char('\\'), opt(verify(anychar, |c| "#!\\\"".contains(*c)))));
    alt((plain, reference, escape, tag("$"))).parse(i)
}

/// `${NAME}` or `${_BUILTIN argument}`.
pub(crate) fn reference(i: &str) -> IResult<&str, &str> {
    let name = take_while1(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let argument = opt(pair(space1, take_while(|c: char| !"{}\"#".contains(c))));
    recognize((tag("${"), name, argument, char('}'))).parse(i)
}

/// `\#` and `\!` are the characters; a backslash before anything else stays.
fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some('#' | '!') if c == '\\' => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    out
}

/// The words of a command, as keepalived's script keywords split them: `'…'` and `"…"` keep
/// blanks, adjacent pieces are one word, and outside of single quotes `\a \b \e \f \n \r \t \v`,
/// `\nnn`, `\xHH` and `\cX` are characters, `\` before anything else is left out.
///
/// `Err` holds the quote that is not closed.
pub(crate) fn shell_words(text: &str) -> Result<Vec<String>, char> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let mut word = String::new();
        while !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
            let (after, piece) =
                shell_piece("", rest).map_err(|_| rest.chars().next().unwrap_or('"'))?;
            word.push_str(&piece);
            rest = after;
        }
        words.push(word);
        rest = rest.trim_start();
    }
    Ok(words)
}

/// A piece of a word: plain up to one of `stop`, quoted, or an escape.
fn shell_piece<'a>(stop: &str, i: &'a str) -> IResult<&'a str, String> {
    let ends = |c: char| c.is_whitespace() || "'\"\\".contains(c) || stop.contains(c);
    let plain = take_while1(|c: char| !ends(c));
    let single = delimited(char('\''), take_while(|c| c != '\''), char('\''));
    alt((
        map(plain, str::to_owned),
        map(single, str::to_owned),
        delimited(char('"'), double, char('"')),
        map(escaped, String::from),
        // A backslash at the very end.
        map(char('\\'), String::from),
    ))
    .parse(i)
}

fn double(i: &str) -> IResult<&str, String> {
    let mut rest = i;
    let mut out = String::new();
    loop {
        let run: IResult<&str, &str> = take_while(|c| c != '"' && c != '\\')(rest);
        let (after, run) = run?;
        out.push_str(run);
        rest = after;
        match escaped(rest) {
            Ok((after, c)) => {
                out.push(c);
                rest = after;
            }
            Err(_) => return Ok((rest, out)),
        }
    }
}

fn escaped(i: &str) -> IResult<&str, char> {
    let (i, _) = char('\\').parse(i)?;
    let digits = |radix: u32, most: usize, i: &str| {
        let len = i.chars().take(most).take_while(|c| c.is_digit(radix)).count();
        let number = u32::from_str_radix(&i[..len], radix).ok()?;
        Some((len, char::from_u32(number & 0xff)?))
    };
    let (rest, c) = anychar(i)?;
    let octal = digits(8, 3, i);
    Ok(match c {
        'a' => (rest, '\x07'),
        'b' => (rest, '\x08'),
        'e' | 'E' => (rest, '\x1b'),
        'f' => (rest, '\x0c'),
        'n' => (rest, '\n'),
        'r' => (rest, '\r'),
        't' => (rest, '\t'),
        'v' => (rest, '\x0b'),
        'x' => match digits(16, 2, rest) {
            Some((len, c)) => (&rest[len..], c),
            None => (rest, 'x'),
        },
        'c' => match anychar::<_, nom::error::Error<&str>>(rest) {
            Ok((after, c)) if c.is_ascii() => (after, char::from(c as u8 & 0x1f)),
            _ => (rest, 'c'),
        },
        _ => match octal {
            Some((len, c)) => (&i[len..], c),
            None => (rest, c),
        },
    })
}

//! Command lines as `getopt_long(3)` reads them, which is what the originals use.
//!
//! Short options may be joined (`-nlD`), their values glued (`-tFILE`) or, where one is needed,
//! the next word; long options may be cut short as long as they stay unambiguous, and operands may
//! stand anywhere. One table says what is accepted, what it is for, and is what `--help` prints.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// Whether an option takes a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Takes {
    /// No.
    Nothing,
    /// Always, called this in the help.
    Value(&'static str),
    /// If it is glued: `-tFILE`, `--config-test=FILE`.
    Maybe(&'static str),
}

/// One option of a program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Opt {
    /// Its letter, if it has one.
    pub short: Option<char>,
    /// Its long name, without dashes.
    pub long: &'static str,
    /// Whether it takes a value.
    pub takes: Takes,
    /// What it does, for the help.
    pub help: &'static str,
}

impl Opt {
    /// An option with a letter and a long name.
    #[must_use]
    pub const fn new(short: char, long: &'static str, takes: Takes, help: &'static str) -> Self {
        Self { short: Some(short), long, takes, help }
    }

    /// An option with a long name alone.
    #[must_use]
    pub const fn long(long: &'static str, takes: Takes, help: &'static str) -> Self {
        Self { short: None, long, takes, help }
    }
}

/// `  -t, --config-test[=FILE]     Check the configuration`
impl fmt::Display for Opt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = match self.takes {
            Takes::Nothing => String::new(),
            Takes::Value(name) => format!("={name}"),
            Takes::Maybe(name) => format!("[={name}]"),
        };
        match self.short {
            Some(letter) => write!(f, "  -{letter}, ")?,
            None => write!(f, "      ")?,
        }
        let name = format!("--{}{value}", self.long);
        write!(f, "{name:<24} {}", self.help)
    }
}

/// An option that was given.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GivenOption {
    /// Which one.
    pub opt: &'static Opt,
    /// Its value, if it has one.
    pub value: Option<OsString>,
}

/// What a command line says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Given {
    /// The options, in order.
    pub options: Vec<GivenOption>,
    /// Everything else, in order.
    pub operands: Vec<OsString>,
}

/// Why a command line cannot be read. Each names the option as it was written.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ArgvError {
    /// There is no such option, or the beginning of a name fits several.
    #[error("Unknown option {0}")]
    Unknown(String),
    /// The option needs a value and none follows.
    #[error("Missing parameter for option {0}")]
    MissingValue(String),
    /// `--name=value` for an option that takes none.
    #[error("Option {0} takes no argument")]
    UnexpectedValue(String),
}

/// Reads `arguments`, which leave out the program's name, by `table`.
///
/// # Errors
///
/// At the first option that cannot be read.
pub fn parse(
    table: &'static [Opt],
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Given, ArgvError> {
    let mut given = Given::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let bytes = argument.as_bytes();
        if bytes == b"--" {
            given.operands.extend(arguments);
            break;
        } else if let Some(long) = bytes.strip_prefix(b"--") {
            given.options.push(long_option(table, long, &mut arguments)?);
        } else if bytes.len() > 1 && bytes[0] == b'-' {
            short_options(table, &bytes[1..], &mut arguments, &mut given.options)?;
        } else {
            given.operands.push(argument);
        }
    }
    Ok(given)
}

fn long_option(
    table: &'static [Opt],
    written: &[u8],
    rest: &mut impl Iterator<Item = OsString>,
) -> Result<GivenOption, ArgvError> {
    let (name, glued) = match written.iter().position(|&b| b == b'=') {
        Some(at) => (&written[..at], Some(os_string(&written[at + 1..]))),
        None => (written, None),
    };
    let shown = || format!("--{}", String::from_utf8_lossy(name));
    let exact = table.iter().find(|opt| opt.long.as_bytes() == name);
    let opt = exact
        .or_else(|| {
            let mut fitting = table.iter().filter(|opt| opt.long.as_bytes().starts_with(name));
            fitting.next().filter(|_| fitting.next().is_none())
        })
        .ok_or_else(|| ArgvError::Unknown(shown()))?;
    let value = match (opt.takes, glued) {
        (Takes::Nothing, Some(_)) => return Err(ArgvError::UnexpectedValue(shown())),
        (Takes::Nothing, None) => None,
        (Takes::Value(_), None) => {
            Some(rest.next().ok_or_else(|| ArgvError::MissingValue(shown()))?)
        }
        (Takes::Value(_) | Takes::Maybe(_), glued) => glued,
    };
    Ok(GivenOption { opt, value })
}

fn short_options(
    table: &'static [Opt],
    mut letters: &[u8],
    rest: &mut impl Iterator<Item = OsString>,
    options: &mut Vec<GivenOption>,
) -> Result<(), ArgvError> {
    while let Some((&letter, glued)) = letters.split_first() {
        let shown = || format!("-{}", letter.escape_ascii());
        let opt = table
            .iter()
            .find(|opt| opt.short == Some(char::from(letter)))
            .ok_or_else(|| ArgvError::Unknown(shown()))?;
        let value = match opt.takes {
            Takes::Nothing => {
                options.push(GivenOption { opt, value: None });
                letters = glued;
                continue;
            }
            Takes::Maybe(_) if glued.is_empty() => None,
            Takes::Value(_) if glued.is_empty() => {
                Some(rest.next().ok_or_else(|| ArgvError::MissingValue(shown()))?)
            }
            Takes::Maybe(_) | Takes::Value(_) => Some(os_string(glued)),
        };
        options.push(GivenOption { opt, value });
        return Ok(());
    }
    Ok(())
}

fn os_string(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

/// The name a program was started by: `keepalived` for `/usr/sbin/keepalived`.
#[must_use]
pub fn program_name(argv0: &OsStr) -> &OsStr {
    let name = argv0.as_bytes().rsplit(|&b| b == b'/').next().unwrap_or_default();
    OsStr::from_bytes(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Opt] = &[
        Opt::new('f', "use-file", Takes::Value("FILE"), "Use this file"),
        Opt::new('n', "dont-fork", Takes::Nothing, "Stay in the foreground"),
        Opt::new('R', "dont-respawn", Takes::Nothing, "Don't respawn"),
        Opt::new('D', "log-detail", Takes::Nothing, "More"),
        Opt::new('t', "config-test", Takes::Maybe("FILE"), "Check"),
        Opt::long("signum", Takes::Value("SIGFUNC"), "Print a number"),
    ];

    fn read(line: &str) -> Result<(Vec<String>, Vec<String>), ArgvError> {
        let given = parse(TABLE, line.split_whitespace().map(Into::into))?;
        let option = |o: &GivenOption| match &o.value {
            Some(value) => format!("{}={}", o.opt.long, value.display()),
            None => o.opt.long.to_owned(),
        };
        let operands = given.operands.iter().map(|o| o.display().to_string()).collect();
        Ok((given.options.iter().map(option).collect(), operands))
    }

    fn options(line: &str) -> Vec<String> {
        read(line).expect("readable").0
    }

    #[test]
    fn letters_are_joined_and_repeated() {
        assert_eq!(options("-nDD -n"), ["dont-fork", "log-detail", "log-detail", "dont-fork"]);
    }

    #[test]
    fn a_value_is_glued_or_the_next_word() {
        let expected = ["use-file=a.conf"];
        for line in
            ["-f a.conf", "-fa.conf", "--use-file a.conf", "--use-file=a.conf", "--use a.conf"]
        {
            assert_eq!(options(line), expected, "{line}");
        }
    }

    #[test]
    fn an_optional_value_is_only_ever_glued() {
        assert_eq!(options("-t -f x"), ["config-test", "use-file=x"]);
        assert_eq!(options("-nt/tmp/log"), ["dont-fork", "config-test=/tmp/log"]);
        assert_eq!(options("--config-test=/tmp/log"), ["config-test=/tmp/log"]);
        // As getopt does: the equals sign belongs to the value of a short option.
        assert_eq!(options("-t=/tmp/log"), ["config-test==/tmp/log"]);
        assert_eq!(read("-t x").expect("readable").1, ["x"]);
    }

    #[test]
    fn a_name_may_be_cut_short_while_it_fits_one_option_only() {
        assert_eq!(options("--dont-f --log"), ["dont-fork", "log-detail"]);
        assert_eq!(read("--dont"), Err(ArgvError::Unknown("--dont".into())));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        assert_eq!(read("-nZ").expect_err("unknown").to_string(), "Unknown option -Z");
        assert_eq!(read("--foo=1").expect_err("unknown").to_string(), "Unknown option --foo");
        assert_eq!(read("-n -f"), Err(ArgvError::MissingValue("-f".into())));
        assert_eq!(read("--signum"), Err(ArgvError::MissingValue("--signum".into())));
        assert_eq!(read("--dont-fork=1"), Err(ArgvError::UnexpectedValue("--dont-fork".into())));
    }

    #[test]
    fn operands_stand_anywhere_and_two_dashes_end_the_options() {
        let (options, operands) = read("a -n - -- -D").expect("readable");
        assert_eq!(options, ["dont-fork"]);
        assert_eq!(operands, ["a", "-", "-D"]);
    }

    #[test]
    fn the_program_is_called_what_it_was_started_as() {
        for argv0 in ["keepalived", "/usr/sbin/keepalived", "./keepalived"] {
            assert_eq!(program_name(argv0.as_ref()), "keepalived");
        }
    }

    #[test]
    fn the_help_shows_how_a_value_is_given() {
        assert_eq!(TABLE[4].to_string(), "  -t, --config-test[=FILE]     Check");
        assert_eq!(TABLE[5].to_string(), "      --signum=SIGFUNC         Print a number");
    }
}

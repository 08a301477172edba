//! nginx's command line.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// What `-s` sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Order {
    Stop,
    Quit,
    Reload,
    Reopen,
}

/// What was asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Args {
    pub(super) help: bool,
    pub(super) version: bool,
    pub(super) configure: bool,
    pub(super) test: bool,
    pub(super) dump: bool,
    pub(super) quiet: bool,
    pub(super) explain: bool,
    pub(super) order: Option<Order>,
    pub(super) prefix: Option<PathBuf>,
    pub(super) error_log: Option<String>,
    pub(super) file: Option<PathBuf>,
    pub(super) globals: Option<String>,
}

/// Reads the words after the program's name. The error is nginx's, without `nginx: `.
pub(super) fn parse(words: &[OsString]) -> Result<Args, String> {
    let mut args = Args::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let shown = word.to_string_lossy();
        if shown == "--explain" {
            args.explain = true;
            continue;
        }
        let Some(letters) = word.as_bytes().strip_prefix(b"-") else {
            return Err(format!("invalid option: \"{shown}\""));
        };
        for (at, letter) in letters.iter().enumerate() {
            let glued = OsStr::from_bytes(&letters[at + 1..]);
            let mut value = |wanted: &str| -> Result<OsString, String> {
                let value =
                    if glued.is_empty() { words.next().cloned() } else { Some(glued.into()) };
                value
                    .filter(|value| !value.is_empty())
                    .ok_or_else(|| format!("option \"-{}\" requires {wanted}", *letter as char))
            };
            match letter {
                b'?' | b'h' => {
                    args.help = true;
                    args.version = true;
                }
                b'v' => args.version = true,
                b'V' => {
                    args.version = true;
                    args.configure = true;
                }
                b't' => args.test = true,
                b'T' => {
                    args.test = true;
                    args.dump = true;
                }
                b'q' => args.quiet = true,
                b'p' => args.prefix = Some(value("directory name")?.into()),
                b'e' => {
                    args.error_log = Some(value("file name")?.to_string_lossy().into_owned());
                }
                b'c' => args.file = Some(value("file name")?.into()),
                b'g' => args.globals = Some(value("parameter")?.to_string_lossy().into_owned()),
                b's' => {
                    let name = value("parameter")?;
                    args.order = Some(match name.to_str() {
                        Some("stop") => Order::Stop,
                        Some("quit") => Order::Quit,
                        Some("reload") => Order::Reload,
                        Some("reopen") => Order::Reopen,
                        _ => return Err(format!("invalid option: \"-s {}\"", name.display())),
                    });
                }
                other => return Err(format!("invalid option: \"{}\"", *other as char)),
            }
            if b"pecgs".contains(letter) {
                break;
            }
        }
    }
    Ok(args)
}

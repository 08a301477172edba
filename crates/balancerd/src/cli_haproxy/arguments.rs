//! What a command line says. HAProxy reads its own by hand, and so does this: `-db` is one option,
//! not two, and `-sf` takes all numbers that follow.

use std::ffi::OsString;
use std::path::PathBuf;

/// What is to be done.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// Serve.
    #[default]
    Run,
    /// `-c`.
    Check,
    /// `-cc CONDITION`.
    Condition(String),
    /// `-v`.
    Version,
    /// `-vv`.
    Build,
}

/// A command line.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Arguments {
    /// What is to be done.
    pub mode: Mode,
    /// `-f`, and everything behind `--`, in order.
    pub files: Vec<PathBuf>,
    /// `-C`.
    pub directory: Option<PathBuf>,
    /// `-D`.
    pub daemon: bool,
    /// `-db` or `-d`: stay in the foreground whatever the file says.
    pub foreground: bool,
    /// `-W` or `-Ws`.
    pub master: bool,
    /// `-Ws`: tell the service manager.
    pub notify: bool,
    /// `-p`.
    pub pidfile: Option<String>,
    /// `-q`.
    pub quiet: bool,
    /// `-V`.
    pub verbose: bool,
    /// `-dW`.
    pub zero_warning: bool,
    /// `-n`, in place of the file's `maxconn`.
    pub maxconn: Option<u32>,
    /// `-sf`: processes to drain once this one serves.
    pub finish: Vec<i32>,
    /// `-st`: processes to terminate once this one serves.
    pub terminate: Vec<i32>,
    /// `-L`: what this process is called among its peers.
    pub peer: Option<String>,
    /// `--explain`: excerpts with carets.
    pub explain: bool,
    /// `-S`: where the master answers operators.
    pub sockets: Vec<proxy::StatsSocket>,
    /// `-x`: the stats socket of a process whose listening sockets are taken over.
    pub fetch: Option<PathBuf>,
    /// Options that are known and have no effect yet.
    pub not_built: Vec<String>,
}

/// Why a command line cannot be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wrong {
    /// An unknown option or a stray word: the usage is shown.
    Usage,
    /// An option without the value it needs.
    MissingValue,
    /// `-S` with something that is no address; why.
    Socket(String),
    /// An option that asks for what is not built.
    Unbuilt(String),
}

impl Arguments {
    /// Reads the words behind the program's name.
    ///
    /// # Errors
    /// At the first word that cannot be read.
    pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Self, Wrong> {
        let mut out = Self::default();
        let mut words = words.into_iter().peekable();
        while let Some(word) = words.next() {
            let text = word.to_string_lossy().into_owned();
            if text == "--" {
                out.files.extend(words.map(PathBuf::from));
                break;
            }
            let Some(flag) = text.strip_prefix('-').filter(|flag| !flag.is_empty()) else {
                return Err(Wrong::Usage);
            };
            let mut value = || words.next().ok_or(Wrong::MissingValue);
            let mut string = || value().map(|value| value.to_string_lossy().into_owned());
            match flag {
                "-explain" => out.explain = true,
                "c" => out.mode = Mode::Check,
                "cc" => out.mode = Mode::Condition(string()?),
                "C" => out.directory = Some(value()?.into()),
                "D" => out.daemon = true,
                "f" => out.files.push(value()?.into()),
                "L" => out.peer = Some(string()?),
                "m" => out.not_built.push(format!("-m {}", string()?)),
                "N" => out.not_built.push(format!("-N {}", string()?)),
                "n" => out.maxconn = string()?.parse().ok().filter(|n| *n > 0),
                "p" => out.pidfile = Some(string()?),
                "q" => out.quiet = true,
                "S" => {
                    let socket = crate::master::parse_socket(&string()?);
                    out.sockets.push(socket.map_err(Wrong::Socket)?);
                }
                "V" => out.verbose = true,
                "W" => out.master = true,
                "Ws" => (out.master, out.notify) = (true, true),
                "x" => out.fetch = Some(value()?.into()),
                "sf" | "st" => {
                    let pids = if flag == "sf" { &mut out.finish } else { &mut out.terminate };
                    let number = |word: &OsString| word.to_str()?.parse::<i32>().ok();
                    while let Some(pid) = words.peek().and_then(number) {
                        words.next();
                        // Never a group, never everybody.
                        if pid > 1 {
                            pids.push(pid);
                        }
                    }
                }
                "vv" => {
                    out.mode = Mode::Build;
                    return Ok(out);
                }
                _ if flag.starts_with('v') => {
                    out.mode = Mode::Version;
                    return Ok(out);
                }
                "d" | "db" => out.foreground = true,
                "dW" => out.zero_warning = true,
                // Who asks for a listing does not mean to serve.
                _ if flag.starts_with("dC") => return Err(Wrong::Unbuilt(text)),
                _ if flag.starts_with("dK") || flag == "dL" => out.not_built.push(text),
                // -dM and its kin concern HAProxy's own memory, pollers and limits.
                _ if flag.starts_with('d') => {}
                _ => return Err(Wrong::Usage),
            }
        }
        Ok(out)
    }
}

//! Outside of every block.

use std::net::IpAddr;
use std::path::Path;

use conf::Form::{Block, Words};
use conf::Status::Accepted;
use conf::{Binder, Form, Keyword, Problem, Word};
use proxy::{ErrorLog, ErrorLogTarget, Facility, LogAddress, Severity, Threads};

use super::{EVENTS, IN_MAIN, STREAM};
use crate::draft::Main;
use crate::value::{check_flag, check_millis, digits, flag, millis, number};

type Row = Keyword<Main>;

/// The directives.
pub(crate) const MAIN: &[Row] = &[
    Row::new("daemon", Words("on|off", 1..=1, |m, w, b| flag(&mut m.daemon, w, b)))
        .default("on")
        .within(IN_MAIN)
        .doc("Whether the process leaves the terminal."),
    Row::new("debug_points", Words("stop|abort", 1..=1, debug_points))
        .within(IN_MAIN)
        .status(Accepted("there are no debug points"))
        .doc("What a debug point does."),
    Row::new("env", Words("<name>[=<value>]", 1..=1, |_, _, _| {}))
        .within(IN_MAIN)
        .status(Accepted("workers keep the whole environment and read none of it"))
        .doc("A variable of the workers' environment."),
    Row::new(
        "error_log",
        Words("<file>|stderr|syslog:<…> [<level>]", 1..=usize::MAX, |m, w, b| {
            error_log(&mut m.error_log, w, b);
        }),
    )
    .within(IN_MAIN)
    .doc("Where messages go and from which level on; several may be given. Default: `error`."),
    Row::new("events", Block(&EVENTS, |_, _, _| {}))
        .within(IN_MAIN)
        .doc("How connections are handled. Required."),
    Row::new("http", Form::Whole("{ … }", |_, _, _| {}))
        .within(IN_MAIN)
        .status(Accepted(
            "skipped without sites, or with Debian's untouched default page; refused with sites, \
             unless `ignore_http on`",
        ))
        .doc("The web server."),
    Row::new("ignore_http", Words("on|off", 1..=1, |m, w, b| flag(&mut m.ignore_http, w, b)))
        .default("off")
        .within(IN_MAIN)
        .spec("extension")
        .doc("Run although the sites of an `http {}` after it are not served."),
    Row::new("include", Words("<file>|<mask>", 1..=1, |_, _, _| {}))
        .doc("Reads other files, relative to the directory of the configuration file."),
    Row::new("load_module", Words("<file>", 1..=1, load_module))
        .within(IN_MAIN)
        .doc("The modules of nginx that matter are built in; others are named in a warning."),
    Row::new("lock_file", Words("<file>", 1..=1, |_, _, _| {}))
        .within(IN_MAIN)
        .status(Accepted("there is no accept mutex to lock"))
        .doc("The file behind the accept mutex."),
    Row::planned("mail", "{ … }").within(IN_MAIN).doc("The mail proxy."),
    Row::new("master_process", Words("on|off", 1..=1, |m, w, b| flag(&mut m.master_process, w, b)))
        .default("on")
        .within(IN_MAIN)
        .doc("Whether a master process runs the workers."),
    Row::new("pcre_jit", Words("on|off", 1..=1, |_, w, b| check_flag(w, b)))
        .default("off")
        .within(IN_MAIN)
        .status(Accepted("nothing supported uses regular expressions"))
        .doc("Just-in-time compilation of regular expressions."),
    Row::new("pid", Words("<file>", 1..=1, |m, w, _| m.pid = Some(w[0].owned())))
        .default("/run/nginx.pid")
        .within(IN_MAIN)
        .doc("Where the master's process id is written."),
    Row::new(
        "ssl_engine",
        Words("<device>", 1..=1, |_, w: &[Word], b: &mut Binder| {
            let at = w.first().map_or_else(Default::default, |word| word.span);
            b.error(at, Problem::Other("\"ssl_engine\" directive is not supported".to_owned()));
        }),
    )
    .within(IN_MAIN)
    .doc("An engine of OpenSSL: refused as nginx refuses it where OpenSSL has none."),
    Row::new("ssl_object_cache_inheritable", Words("on|off", 1..=1, |_, w, b| check_flag(w, b)))
        .default("on")
        .within(IN_MAIN)
        .status(Accepted("nothing supported loads certificates"))
        .doc("Keep loaded certificates over a reload."),
    Row::new("stream", Block(&STREAM, |_, _, _| {})).within(IN_MAIN).doc("What is balanced."),
    Row::new("thread_pool", Words("<name> threads=<n> [max_queue=<n>]", 2..=3, |_, _, _| {}))
        .within(IN_MAIN)
        .status(Accepted("a stream reads no files"))
        .doc("Threads for reading files."),
    Row::new("timer_resolution", Words("<time>", 1..=1, |_, w, b| check_millis(w, b)))
        .within(IN_MAIN)
        .status(Accepted("reading the clock costs next to nothing"))
        .doc("How seldom the clock is read."),
    Row::new("user", Words("<user> [<group>]", 1..=2, user))
        .default("nobody")
        .within(IN_MAIN)
        .doc("Whose rights the workers have; without root's rights it is ignored."),
    Row::new("worker_cpu_affinity", Words("<mask> …|auto [<mask>]", 1..=usize::MAX, cpu_affinity))
        .within(IN_MAIN)
        .status(Accepted("the kernel places the threads"))
        .doc("On which CPUs the workers run."),
    Row::new("worker_priority", Words("<number>", 1..=1, worker_priority))
        .within(IN_MAIN)
        .doc("The nice value of the workers."),
    Row::new("worker_processes", Words("<number>|auto", 1..=1, worker_processes))
        .default("1")
        .within(IN_MAIN)
        .doc("How many cores serve; one worker process has as many threads."),
    Row::new("worker_rlimit_core", Words("<size>", 1..=1, core_limit))
        .within(IN_MAIN)
        .doc("The largest core file of a worker, in bytes or with `k`, `m`, `g`."),
    Row::new(
        "worker_rlimit_nofile",
        Words("<number>", 1..=1, |m, w, b| number(&mut m.nofile, w, b)),
    )
    .within(IN_MAIN)
    .doc("How many files a worker may have open."),
    Row::new(
        "worker_shutdown_timeout",
        Words("<time>", 1..=1, |m, w, b| millis(&mut m.shutdown_timeout, w, b)),
    )
    .within(IN_MAIN)
    .doc("How long draining may last; without it, as long as there are sessions."),
    Row::new(
        "working_directory",
        Words("<directory>", 1..=1, |m, w, _| m.working_directory = Some(w[0].owned())),
    )
    .within(IN_MAIN)
    .doc("Where workers leave core files."),
];

/// `error_log`, in any context. File names are left as written.
pub(crate) fn error_log(logs: &mut Vec<ErrorLog>, words: &[Word], b: &mut Binder) {
    let Some((place, levels)) = words.split_first() else { return };
    let target = if place.text == "stderr" {
        ErrorLogTarget::Stderr
    } else if let Some(parameters) = place.text.strip_prefix("syslog:") {
        // The severity of error_log's lines is their own level.
        match syslog(parameters, &mut Severity::Info) {
            Ok(target) => target,
            Err(message) => {
                b.error(place.span, Problem::Other(message));
                return;
            }
        }
    } else if place.text.starts_with("memory:") {
        let keyword = "error_log memory:".to_owned();
        b.error(place.span, Problem::Planned { keyword });
        return;
    } else {
        ErrorLogTarget::File(place.text.clone().into())
    };
    let mut level = None;
    for word in levels {
        // "debug_core" and its like are masks within debug.
        let name = if word.text.starts_with("debug_") { "debug" } else { &word.text };
        match Severity::NGINX_NAMES.iter().position(|known| *known == name) {
            Some(_) if level.is_some() => {
                let message = format!("duplicate log level \"{}\"", word.text);
                b.error(word.span, Problem::Other(message));
                return;
            }
            Some(at) => level = Some(Severity::ALL[at]),
            None => {
                let message = format!("invalid log level \"{}\"", word.text);
                b.error(word.span, Problem::Other(message));
                return;
            }
        }
    }
    logs.push(ErrorLog { target, level: level.unwrap_or(Severity::Error) });
}

/// `server=ADDRESS,facility=…,tag=…,severity=…,nohostname`.
pub(super) fn syslog(parameters: &str, severity: &mut Severity) -> Result<ErrorLogTarget, String> {
    let mut server = None;
    let mut facility = Facility::named("local7").unwrap_or(Facility(23));
    let mut tag = "nginx".to_owned();
    let mut hostname = true;
    for parameter in parameters.split(',') {
        match parameter.split_once('=') {
            Some(("server", address)) => {
                server = Some(if let Some(path) = address.strip_prefix("unix:") {
                    LogAddress::Unix(path.into())
                } else {
                    let with_port = address.parse().ok();
                    let bare = || address.trim_matches(['[', ']']).parse::<IpAddr>().ok();
                    let socket = with_port.or_else(|| Some((bare()?, 514).into()));
                    let unknown = || format!("invalid host in syslog server \"{address}\"");
                    LogAddress::Udp(socket.ok_or_else(unknown)?)
                });
            }
            Some(("facility", name)) => {
                facility = Facility::named(&name.to_ascii_lowercase())
                    .ok_or_else(|| format!("unknown syslog facility \"{name}\""))?;
            }
            Some(("severity", name)) => {
                let known = Severity::NGINX_NAMES.iter().position(|known| *known == name);
                let at = known.ok_or_else(|| format!("unknown syslog severity \"{name}\""))?;
                *severity = Severity::ALL[at];
            }
            Some(("tag", name)) => {
                if name.len() > 32 {
                    return Err("syslog tag length exceeds 32".into());
                }
                if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                    return Err(
                        "syslog \"tag\" only allows alphanumeric characters and underscore".into(),
                    );
                }
                name.clone_into(&mut tag);
            }
            None if parameter == "nohostname" => hostname = false,
            _ => return Err(format!("unknown syslog parameter \"{parameter}\"")),
        }
    }
    let server = server.ok_or("no syslog server specified")?;
    Ok(ErrorLogTarget::Syslog { server, facility, tag, hostname })
}

fn debug_points(_: &mut Main, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    if !["stop", "abort"].contains(&word.text.to_ascii_lowercase().as_str()) {
        b.error(word.span, Problem::Other(format!("invalid value \"{}\"", word.text)));
    }
}

fn cpu_affinity(_: &mut Main, words: &[Word], b: &mut Binder) {
    let masks = if words.first().is_some_and(|w| w.text == "auto") { &words[1..] } else { words };
    for word in masks {
        if let Some(wrong) = word.text.chars().find(|c| !matches!(c, '0' | '1' | ' ')) {
            let message = format!("invalid character \"{wrong}\" in \"worker_cpu_affinity\"");
            b.error(word.span, Problem::Other(message));
        }
    }
}

fn load_module(main: &mut Main, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    let base = Path::new(&word.text).file_name().and_then(|n| n.to_str()).unwrap_or("");
    let name = base.strip_suffix(".so").unwrap_or(base);
    let name = name.strip_suffix("-debug").unwrap_or(name);
    let missing = ["ngx_stream_js_module", "ngx_stream_geoip_module"].contains(&name);
    let known = ["ngx_stream_", "ngx_http_", "ngx_mail_"].iter().any(|p| name.starts_with(p));
    if !missing && known {
        return;
    }
    if missing {
        let message = format!("module \"{name}\" is not built in: its directives are unknown");
        b.warning(word.span, Problem::Other(message));
    } else if main.blocks {
        let message = "\"load_module\" directive is specified too late".to_owned();
        b.error(word.span, Problem::Other(message));
    } else {
        let path = main.prefix.join(&word.text);
        if (main.lookups.exists)(&path) {
            let message = format!("module \"{name}\" is unknown: its directives are unknown too");
            b.warning(word.span, Problem::Other(message));
        } else {
            let path = path.display();
            let message = format!(
                "dlopen() \"{path}\" failed ({path}: cannot open shared object file: No such file \
                 or directory)"
            );
            b.error(word.span, Problem::Other(message));
        }
    }
}

fn user(main: &mut Main, words: &[Word], b: &mut Binder) {
    let Some(name) = words.first() else { return };
    if !main.lookups.superuser {
        let message = "the \"user\" directive makes sense only if the master process runs with \
                       super-user privileges, ignored";
        b.warning(name.span, Problem::Other(message.into()));
        return;
    }
    if !(main.lookups.user)(&name.text) {
        b.error(name.span, Problem::Other(format!("getpwnam(\"{}\") failed", name.text)));
        return;
    }
    let group = words.get(1).unwrap_or(name);
    if !(main.lookups.group)(&group.text) {
        b.error(group.span, Problem::Other(format!("getgrnam(\"{}\") failed", group.text)));
        return;
    }
    main.user = Some((name.owned(), Some(group.owned())));
}

fn worker_processes(main: &mut Main, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    if word.text == "auto" {
        main.workers = Some(Threads::Auto);
        return;
    }
    match digits(&word.text) {
        // nginx serves nothing with 0 workers, in silence.
        Some(0) => {
            main.workers = Some(Threads::Count(1));
            let message = "0 worker processes serve nothing, 1 is used";
            b.warning(word.span, Problem::Other(message.into()));
        }
        Some(n) => main.workers = Some(Threads::Count(u16::try_from(n).unwrap_or(u16::MAX))),
        None => {
            let (keyword, text) = ("worker_processes", word.text.clone());
            b.error(word.span, Problem::NotATime { keyword, word: text });
        }
    }
}

/// -20 to 20, with a sign or without.
fn core_limit(main: &mut Main, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    match conf::size(&word.text) {
        Some(bytes) if word.text.starts_with(|c: char| c.is_ascii_digit()) => {
            main.core = Some(bytes);
        }
        _ => {
            let message = "\"worker_rlimit_core\" directive invalid value".to_owned();
            b.error(word.span, Problem::Other(message));
        }
    }
}

fn worker_priority(main: &mut Main, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    let digits = word.text.trim_start_matches(['-', '+']);
    let nice = crate::value::digits(digits).and_then(|nice| i32::try_from(nice).ok());
    let sound = word.text.len() <= digits.len() + 1;
    match nice.filter(|_| sound) {
        Some(nice) => main.niceness = Some(if word.text.starts_with('-') { -nice } else { nice }),
        None => {
            b.error(word.span, Problem::Other("invalid number".to_owned()));
        }
    }
}

//! `-v`, `-vv` and the usage.

use std::ffi::OsStr;
use std::fmt::Write as _;

use haproxy_cfg::{FEATURES, VERSION_LINE};

/// `-v`. Field 3 of the first line is the version scripts read.
pub(super) fn short() -> String {
    format!(
        "HAProxy version {VERSION_LINE} - served by balancerd {} of Evergate\nStatus: speaks haproxy.cfg, layer 4 and HTTP/1.1\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// `-vv`.
pub(super) fn long() -> String {
    let mut out = short();
    let mut features: Vec<String> = FEATURES.iter().map(|name| format!("+{name}")).collect();
    features.extend(["-LUA", "-OPENSSL", "-PCRE", "-QUIC", "-ZLIB"].map(str::to_owned));
    features.sort_by(|a, b| a[1..].cmp(&b[1..]));
    let os = if cfg!(target_env = "musl") { "linux-musl" } else { "linux-glibc" };
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "Build options :\n  TARGET  = {os}\n  CPU     = {}\n\nFeature list : {}\n\nDefault settings :\n  bufsize = 16384, maxrewrite = 1024, maxpollevents = 200\n\nAvailable polling systems :\n      epoll : pref=300,  test result OK\nTotal: 1 (1 usable), will use epoll.\n\nAvailable multiplexer protocols :\n         h1 : mode=HTTP  side=FE|BE  mux=H1    flags=\n  <default> : mode=TCP   side=FE|BE  mux=PASS  flags=\n",
        std::env::consts::ARCH,
        features.join(" ")
    );
    out
}

/// What is shown for a command line that cannot be read.
pub(super) fn usage(program: &OsStr) -> String {
    format!(
        "Usage : {} [-f <cfgfile|cfgdir>]* [ -vdVD ] [ -n <maxconn> ]\n        [ -p <pidfile> ] [ -C <dir> ] [-- <cfgfile>*]\n{OPTIONS}",
        program.display()
    )
}

const OPTIONS: &str = "\
        -v the version ; -vv what was built.
        -f a file, or a directory whose *.cfg are read ; may be repeated.
        -c check the files and exit ; -cc evaluate a condition and exit.
        --explain show mistakes with their line, a caret and what to do.
        -C change to this directory first.
        -D go to the background ; -db and -d stay in the foreground.
        -W a master that reloads, and a worker ; -Ws tells systemd, too.
        -p write the process id to this file.
        -q print nothing ; -V print more.
        -dW refuse to start with warnings.
        -n connections of the whole process.
        -sf/-st [pid ]* drain/terminate these processes once started.
        -dM -dI -dr -dS and other -d options are accepted.
";

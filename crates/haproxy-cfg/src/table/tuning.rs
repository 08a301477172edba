//! `global`: what tunes the process, sockets and memory. Every word is checked, also where it has no
//! effect here.

use conf::Form::Words;
use conf::Keyword;
use conf::Status::Accepted;

use super::global_names::{HTTP, TLS, TUNING};
use super::{cpus, shape};
use crate::draft::Global;
use crate::say::Complain;

type G = Keyword<Global>;

/// As many words as a line can have.
const ALL: usize = usize::MAX;

const QUIC: &str = "sockets of QUIC and of datagram servers";

/// The rows.
#[rustfmt::skip]
pub(crate) const TABLE: &[G] = &[
    G::new("busy-polling", Words("", 0..=ALL, |_, w, b| {
        shape::flag(b, "busy-polling", w);
    }))
    .status(Accepted(TUNING)),
    G::new("expose-experimental-directives", Words("", 0..=ALL, |_, w, b| {
        shape::flag(b, "expose-experimental-directives", w);
    }))
    .status(Accepted(TUNING)),
    G::new("fd-hard-limit", Words("<number>", 0..=ALL, |g, w, b| {
        if let Some(n) = shape::number(b, "fd-hard-limit", w) { if g.again("fd-hard-limit") { super::global::again(b, w, "'fd-hard-limit' already specified. Continuing."); } else { g.process.tuning.most_files = u64::try_from(n).ok().filter(|n| *n > 0); } }
    }))
    .doc("The most descriptors that `maxconn` is reckoned from, whatever the system allows."),
    G::new("insecure-setuid-wanted", Words("", 0..=ALL, |_, w, b| {
        shape::flag(b, "insecure-setuid-wanted", w);
    }))
    .status(Accepted(TUNING)),
    G::new("maxpipes", Words("<number>", 0..=ALL, |g, w, b| {
        if let Some(n) = shape::number(b, "maxpipes", w) { g.process.tuning.pipes = usize::try_from(n).ok().filter(|n| *n > 0); }
    }))
    .doc("How many pipes may be in use for spliced data; when they all are, data is copied."),
    G::new("maxsslconn", Words("<number>", 0..=ALL, |_, w, b| {
        shape::natural(b, "maxsslconn", w, "expects a positive numeric value.");
    }))
    .status(Accepted(TLS)),
    G::new("mworker-max-reloads", Words("<number>", 0..=ALL, |g, w, b| {
        g.process.tuning.most_reloads = shape::natural(b, "mworker-max-reloads", w, "expects a positive value or zero.");
    }))
    .doc("A worker that has outlived this many reloads is told to end (SIGTERM)."),
    G::new("noepoll", Words("", 0..=ALL, |_, w, b| {
        shape::flag(b, "noepoll", w);
    }))
    .status(Accepted(TUNING)),
    G::new("nogetaddrinfo", Words("", 0..=ALL, |_, w, b| {
        shape::flag(b, "nogetaddrinfo", w);
    }))
    .status(Accepted(TUNING)),
    G::new("nopoll", Words("", 0..=ALL, |_, w, b| {
        shape::flag(b, "nopoll", w);
    }))
    .status(Accepted(TUNING)),
    G::new("nosplice", Words("", 0..=ALL, |g, w, b| {
        if shape::flag(b, "nosplice", w) { g.process.tuning.no_splice = true; }
    }))
    .doc("Bulk data is copied through memory instead of spliced in the kernel."),
    G::new("thread-groups", Words("<number>", 0..=ALL, |_, w, b| {
        shape::threads(b, "thread-groups", w, 32);
    }))
    .status(Accepted(TUNING)),
    G::new("tune.bufsize", Words("<size>", 0..=ALL, |_, w, b| {
        shape::size(b, "tune.bufsize", w, "expects an integer argument");
    }))
    .status(Accepted(TUNING)),
    G::new("tune.http.logurilen", Words("<number>", 0..=ALL, |_, w, b| {
        shape::number(b, "tune.http.logurilen", w);
    }))
    .status(Accepted(HTTP)),
    G::new("tune.idle-pool.shared", Words("on|off", 0..=ALL, |_, w, b| {
        shape::choice(b, "tune.idle-pool.shared", w, &["on", "off"], "expects either 'on' or 'off' but got '{}'.");
    }))
    .status(Accepted(TUNING)),
    G::new("tune.maxrewrite", Words("<number>", 0..=ALL, |_, w, b| {
        shape::natural(b, "tune.maxrewrite", w, "expects a positive integer argument.");
    }))
    .status(Accepted(TUNING)),
    G::new("tune.rcvbuf.client", Words("<size>", 0..=ALL, |g, w, b| {
        g.process.tuning.client.receive = shape::size(b, "tune.rcvbuf.client", w, "expects an integer argument.");
    }))
    .doc("SO_RCVBUF of the addresses clients connect to, in bytes; an address inherits it unless it has its own."),
    G::new("tune.rcvbuf.server", Words("<size>", 0..=ALL, |g, w, b| {
        g.process.tuning.server.receive = shape::size(b, "tune.rcvbuf.server", w, "expects an integer argument.");
    }))
    .doc("SO_RCVBUF of connections to servers, in bytes."),
    G::new("tune.sndbuf.client", Words("<size>", 0..=ALL, |g, w, b| {
        g.process.tuning.client.send = shape::size(b, "tune.sndbuf.client", w, "expects an integer argument.");
    }))
    .doc("SO_SNDBUF of the addresses clients connect to, in bytes."),
    G::new("tune.sndbuf.server", Words("<size>", 0..=ALL, |g, w, b| {
        g.process.tuning.server.send = shape::size(b, "tune.sndbuf.server", w, "expects an integer argument.");
    }))
    .doc("SO_SNDBUF of connections to servers, in bytes."),
    G::new("tune.ssl.cachesize", Words("<number>", 0..=ALL, |g, w, b| {
        let most = shape::natural(b, "tune.ssl.cachesize", w, "expects a positive numeric value.");
        g.tls_sessions = most.map(|most| most as usize);
    }))
    .doc("Sessions of each `bind` line that are remembered for clients without tickets; 20000."),
    G::new("expose-deprecated-directives", Words("", 0..=ALL, |_, w, b| {
        shape::flag(b, "expose-deprecated-directives", w);
    }))
    .status(Accepted(TUNING)),
    G::new("maxcompcpuusage", Words("<number>", 0..=ALL, |_, w, b| {
        shape::within(b, "maxcompcpuusage", w, (0, 100), "expects an integer argument between 0 and 100.");
    }))
    .status(Accepted(HTTP)),
    G::new("maxzlibmem", Words("<number>", 0..=ALL, |_, w, b| {
        shape::number(b, "maxzlibmem", w);
    }))
    .status(Accepted(HTTP)),
    G::new("no-memory-trimming", Words("", 0..=ALL, |_, w, b| {
        shape::flag(b, "no-memory-trimming", w);
    }))
    .status(Accepted(TUNING)),
    G::new("pp2-never-send-local", Words("", 0..=ALL, |_, w, b| {
        shape::flag(b, "pp2-never-send-local", w);
    }))
    .status(Accepted(TUNING)),
    G::new("prealloc-fd", Words("", 0..=ALL, |_, w, b| {
        shape::flag(b, "prealloc-fd", w);
    }))
    .status(Accepted(TUNING)),
    G::new("profiling.tasks", Words("on|auto|off", 0..=ALL, |_, w, b| {
        shape::choice(b, "profiling.tasks", w, &["on", "auto", "off"], "expects either 'on', 'auto', or 'off' but got '{}'.");
    }))
    .status(Accepted(TUNING)),
    G::new("thread-hard-limit", Words("<number>", 0..=ALL, |g, w, b| {
        g.process.tuning.most_threads = shape::threads(b, "thread-hard-limit", w, i64::MAX);
    }))
    .doc("The most cores that serve connections."),
    G::new("tune.comp.maxlevel", Words("<number>", 0..=ALL, |_, w, b| {
        shape::within(b, "tune.comp.maxlevel", w, (1, 9), "expects a numeric value between 1 and 9");
    }))
    .status(Accepted(HTTP)),
    G::new("tune.disable-zero-copy-forwarding", Words("", 0..=ALL, |_, w, b| {
        shape::flag(b, "tune.disable-zero-copy-forwarding", w);
    }))
    .status(Accepted(TUNING)),
    G::new("tune.h2.header-table-size", Words("<number>", 0..=ALL, |_, w, b| {
        shape::within(b, "tune.h2.header-table-size", w, (4096, 65536), "expects a numeric value between 4096 and 65536.");
    }))
    .status(Accepted(HTTP)),
    G::new("tune.h2.max-frame-size", Words("<number>", 0..=ALL, |_, w, b| {
        shape::within(b, "tune.h2.max-frame-size", w, (16384, 16777215), "expects a numeric value between 16384 and 16777215.");
    }))
    .status(Accepted(HTTP)),
    G::new("tune.http.cookielen", Words("<number>", 0..=ALL, |_, w, b| {
        shape::number(b, "tune.http.cookielen", w);
    }))
    .status(Accepted(HTTP)),
    G::new("tune.idletimer", Words("<number>", 0..=ALL, |_, w, b| {
        shape::within(b, "tune.idletimer", w, (0, 65535), "expects a timer value between 0 and 65535 ms.");
    }))
    .status(Accepted(TUNING)),
    G::new("tune.listener.default-shards", Words("by-process|by-group|by-thread", 0..=ALL, |_, w, b| {
        shape::choice(b, "tune.listener.default-shards", w, &["by-process", "by-group", "by-thread"], "expects either 'by-process', 'by-group', or 'by-thread' but got '{}'.");
    }))
    .status(Accepted(TUNING)),
    G::new("tune.listener.multi-queue", Words("on|fair|off", 0..=ALL, |_, w, b| {
        shape::choice(b, "tune.listener.multi-queue", w, &["on", "fair", "off"], "expects either 'on', 'fair', or 'off' but got '{}'.");
    }))
    .status(Accepted(TUNING)),
    G::new("tune.maxpollevents", Words("<number>", 0..=ALL, |_, w, b| {
        shape::number(b, "tune.maxpollevents", w);
    }))
    .status(Accepted(TUNING)),
    G::new("tune.pipesize", Words("<size>", 0..=ALL, |g, w, b| {
        if let Some(n) = shape::size(b, "tune.pipesize", w, "expects an integer argument.") { g.process.tuning.pipe_size = Some(n); }
    }))
    .doc("The size of each pipe in bytes."),
    G::new("tune.pool-high-fd-ratio", Words("<number>", 0..=ALL, |_, w, b| {
        shape::within(b, "tune.pool-high-fd-ratio", w, (0, 100), "expects an integer argument between 0 and 100.");
    }))
    .status(Accepted(TUNING)),
    G::new("tune.pool-low-fd-ratio", Words("<number>", 0..=ALL, |_, w, b| {
        shape::within(b, "tune.pool-low-fd-ratio", w, (0, 100), "expects an integer argument between 0 and 100.");
    }))
    .status(Accepted(TUNING)),
    G::new("tune.recv_enough", Words("<size>", 0..=ALL, |_, w, b| {
        shape::size(b, "tune.recv_enough", w, "expects an integer argument.");
    }))
    .status(Accepted(TUNING)),
    G::new("tune.runqueue-depth", Words("<number>", 0..=ALL, |_, w, b| {
        shape::number(b, "tune.runqueue-depth", w);
    }))
    .status(Accepted(TUNING)),
    G::new("tune.sched.low-latency", Words("on|off", 0..=ALL, |_, w, b| {
        shape::choice(b, "tune.sched.low-latency", w, &["on", "off"], "expects either 'on' or 'off' but got '{}'.");
    }))
    .status(Accepted(TUNING)),
    G::new("tune.ssl.keylog", Words("on|off", 0..=ALL, |_, w, b| {
        shape::choice(b, "tune.ssl.keylog", w, &["on", "off"], "expects either 'on' or 'off' but got '{}'.");
    }))
    .status(Accepted(TLS)),
    G::new("tune.ssl.maxrecord", Words("<number>", 0..=ALL, |_, w, b| {
        shape::natural(b, "tune.ssl.maxrecord", w, "expects a positive numeric value.");
    }))
    .status(Accepted(TLS)),
    G::new("tune.vars.global-max-size", Words("[<size>]", 0..=ALL, |_, w, b| {
        shape::room(b, "tune.vars.global-max-size", w);
    }))
    .status(Accepted(TUNING)),
    G::new("tune.vars.proc-max-size", Words("[<size>]", 0..=ALL, |_, w, b| {
        shape::room(b, "tune.vars.proc-max-size", w);
    }))
    .status(Accepted(TUNING)),
    G::new("tune.vars.reqres-max-size", Words("[<size>]", 0..=ALL, |_, w, b| {
        shape::room(b, "tune.vars.reqres-max-size", w);
    }))
    .status(Accepted(TUNING)),
    G::new("tune.vars.sess-max-size", Words("[<size>]", 0..=ALL, |_, w, b| {
        shape::room(b, "tune.vars.sess-max-size", w);
    }))
    .status(Accepted(TUNING)),
    G::new("tune.vars.txn-max-size", Words("[<size>]", 0..=ALL, |_, w, b| {
        shape::room(b, "tune.vars.txn-max-size", w);
    }))
    .status(Accepted(TUNING)),
    G::new("h1-accept-payload-with-any-method", Words("", 0..=ALL, |_, w, b| {
        shape::flag(b, "h1-accept-payload-with-any-method", w);
    }))
    .status(Accepted(HTTP)),
    G::new("h1-do-not-close-on-insecure-transfer-encoding", Words("", 0..=ALL, |_, w, b| {
        shape::flag(b, "h1-do-not-close-on-insecure-transfer-encoding", w);
    }))
    .status(Accepted(HTTP)),
    G::new("h2-workaround-bogus-websocket-clients", Words("", 0..=ALL, |_, w, b| {
        shape::flag(b, "h2-workaround-bogus-websocket-clients", w);
    }))
    .status(Accepted(HTTP)),
    G::new("httpclient.resolvers.disabled", Words("on|off", 0..=ALL, |_, w, b| {
        shape::choice(b, "httpclient.resolvers.disabled", w, &["on", "off"], "expects either 'on' or 'off' but got '{}'.");
    }))
    .status(Accepted(HTTP)),
    G::new("limited-quic", Words("", 0..=ALL, |_, w, b| {
        shape::flag(b, "limited-quic", w);
    }))
    .status(Accepted(TLS)),
    G::new("noevports", Words("", 0..=ALL, |_, w, b| {
        shape::flag(b, "noevports", w);
    }))
    .status(Accepted(TUNING)),
    G::new("nokqueue", Words("", 0..=ALL, |_, w, b| {
        shape::flag(b, "nokqueue", w);
    }))
    .status(Accepted(TUNING)),
    G::new("ocsp-update.mindelay", Words("<number>", 0..=ALL, |_, w, b| {
        shape::natural(b, "ocsp-update.mindelay", w, "expects a positive numeric value.");
    }))
    .status(Accepted(TLS)),
    G::new("stress-level", Words("<number>", 0..=ALL, |_, w, b| {
        shape::within(b, "stress-level", w, (0, 9), "level must be between 0 and 9 inclusive.");
    }))
    .status(Accepted(TUNING)),
    G::new("tune.applet.zero-copy-forwarding", Words("on|off", 0..=ALL, |_, w, b| {
        shape::choice(b, "tune.applet.zero-copy-forwarding", w, &["on", "off"], "expects 'on' or 'off'.");
    }))
    .status(Accepted(TUNING)),
    G::new("tune.bufsize.small", Words("<size>", 0..=ALL, |_, w, b| {
        shape::size(b, "tune.bufsize.small", w, "expects an integer argument.");
    }))
    .status(Accepted(TUNING)),
    G::new("tune.events.max-events-at-once", Words("<number>", 0..=ALL, |_, w, b| {
        shape::within(b, "tune.events.max-events-at-once", w, (1, 10000), "expects an integer argument between 1 and 10000.");
    }))
    .status(Accepted(TUNING)),
    G::new("tune.glitches.kill.cpu-usage", Words("<number>", 0..=ALL, |_, w, b| {
        shape::within(b, "tune.glitches.kill.cpu-usage", w, (0, 100), "expects a numeric value between 0 and 100");
    }))
    .status(Accepted(TUNING)),
    G::new("tune.h1.zero-copy-fwd-recv", Words("on|off", 0..=ALL, |_, w, b| {
        shape::choice(b, "tune.h1.zero-copy-fwd-recv", w, &["on", "off"], "expects 'on' or 'off'.");
    }))
    .status(Accepted(HTTP)),
    G::new("tune.h1.zero-copy-fwd-send", Words("on|off", 0..=ALL, |_, w, b| {
        shape::choice(b, "tune.h1.zero-copy-fwd-send", w, &["on", "off"], "expects 'on' or 'off'.");
    }))
    .status(Accepted(HTTP)),
    G::new("tune.h2.log-errors", Words("none|connection|stream", 0..=ALL, |_, w, b| {
        shape::choice(b, "tune.h2.log-errors", w, &["none", "connection", "stream"], "expects 'none', 'connection', or 'stream'");
    }))
    .status(Accepted(HTTP)),
    G::new("tune.h2.zero-copy-fwd-send", Words("on|off", 0..=ALL, |_, w, b| {
        shape::choice(b, "tune.h2.zero-copy-fwd-send", w, &["on", "off"], "expects 'on' or 'off'.");
    }))
    .status(Accepted(HTTP)),
    G::new("tune.lua.bool-sample-conversion", Words("normal|pre-3.1-bug", 0..=ALL, |_, w, b| {
        shape::choice(b, "tune.lua.bool-sample-conversion", w, &["normal", "pre-3.1-bug"], "expects either 'normal' or 'pre-3.1-bug' but got '{}'.");
    }))
    .status(Accepted(TUNING)),
    G::new("tune.lua.log.loggers", Words("on|off", 0..=ALL, |_, w, b| {
        shape::choice(b, "tune.lua.log.loggers", w, &["on", "off"], "expects either 'on' or 'off' but got '{}'.");
    }))
    .status(Accepted(TUNING)),
    G::new("tune.lua.log.stderr", Words("on|auto|off", 0..=ALL, |_, w, b| {
        shape::choice(b, "tune.lua.log.stderr", w, &["on", "auto", "off"], "expects either 'on', 'auto', or 'off' but got '{}'.");
    }))
    .status(Accepted(TUNING)),
    G::new("tune.memory.hot-size", Words("<number>", 0..=ALL, |_, w, b| {
        shape::within(b, "tune.memory.hot-size", w, (1, 2147483647), "expects a strictly positive value.");
    }))
    .status(Accepted(TUNING)),
    G::new("tune.notsent-lowat.client", Words("<size>", 0..=ALL, |g, w, b| {
        g.process.tuning.client.unsent = shape::size(b, "tune.notsent-lowat.client", w, "expects an integer argument.");
    }))
    .doc("TCP_NOTSENT_LOWAT of the addresses clients connect to, in bytes: how much the kernel holds that is not sent yet."),
    G::new("tune.notsent-lowat.server", Words("<size>", 0..=ALL, |g, w, b| {
        g.process.tuning.server.unsent = shape::size(b, "tune.notsent-lowat.server", w, "expects an integer argument.");
    }))
    .doc("TCP_NOTSENT_LOWAT of connections to servers, in bytes."),
    G::new("tune.peers.max-updates-at-once", Words("<number>", 0..=ALL, |_, w, b| {
        shape::within(b, "tune.peers.max-updates-at-once", w, (1, 2147483647), "expects an integer argument greater than 0.");
    }))
    .status(Accepted(TUNING)),
    G::new("tune.pt.zero-copy-forwarding", Words("on|off", 0..=ALL, |_, w, b| {
        shape::choice(b, "tune.pt.zero-copy-forwarding", w, &["on", "off"], "expects 'on' or 'off'.");
    }))
    .status(Accepted(TUNING)),
    G::new("tune.quic.zero-copy-fwd-send", Words("on|off", 0..=ALL, |_, w, b| {
        shape::choice(b, "tune.quic.zero-copy-fwd-send", w, &["on", "off"], "expects 'on' or 'off'.");
    }))
    .status(Accepted(TLS)),
    G::new("tune.ssl.capture-buffer-size", Words("<number>", 0..=ALL, |_, w, b| {
        shape::natural(b, "tune.ssl.capture-buffer-size", w, "expects a positive numeric value.");
    }))
    .status(Accepted(TLS)),
    G::new("tune.ssl.certificate-compression", Words("auto|off", 0..=ALL, |_, w, b| {
        shape::choice(b, "tune.ssl.certificate-compression", w, &["auto", "off"], "expects either 'auto' or 'off' but got '{}'.");
    }))
    .status(Accepted(TLS)),
    G::new("tune.ssl.force-private-cache", Words("", 0..=ALL, |_, w, b| {
        shape::flag(b, "tune.ssl.force-private-cache", w);
    }))
    .status(Accepted(TLS)),
    G::new("tune.ssl.hard-maxrecord", Words("<number>", 0..=ALL, |_, w, b| {
        shape::natural(b, "tune.ssl.hard-maxrecord", w, "expects a positive numeric value.");
    }))
    .status(Accepted(TLS)),
    G::new("tune.ssl.ocsp-update.mindelay", Words("<number>", 0..=ALL, |_, w, b| {
        shape::natural(b, "tune.ssl.ocsp-update.mindelay", w, "expects a positive numeric value.");
    }))
    .status(Accepted(TLS)),
    G::new("tune.ssl.ssl-ctx-cache-size", Words("<number>", 0..=ALL, |_, w, b| {
        shape::natural(b, "tune.ssl.ssl-ctx-cache-size", w, "expects a positive numeric value.");
    }))
    .status(Accepted(TLS)),
    G::new("tune.vars.check-max-size", Words("[<size>]", 0..=ALL, |_, w, b| {
        shape::room(b, "tune.vars.check-max-size", w);
    }))
    .status(Accepted(TUNING)),
    G::new("set-dumpable", Words("[on|off|libs]", 0..=ALL, |g, w, b| {
        let wants = "only supports 'on' and 'off' as an argument, found '{}'.";
        let said = w.is_empty().then_some(0);
        let said = said.or_else(|| shape::choice(b, "set-dumpable", w, &["on", "off", "libs"], wants));
        if let Some(said) = said { g.process.tuning.dumpable = said != 1; }
    }))
    .doc("The process may leave a core file although it changed its user."),
    G::new("tune.renice.runtime", Words("[<-20..19>]", 0..=ALL, |g, w, b| {
        g.process.niceness = nice(b, "tune.renice.runtime", w).or(g.process.niceness);
    }))
    .doc("The nice value of the process while it serves."),
    G::new("tune.renice.startup", Words("[<-20..19>]", 0..=ALL, |_, w, b| {
        nice(b, "tune.renice.startup", w);
    }))
    .status(Accepted("a start is over in milliseconds")),
    G::new("cpu-map", Words("[auto:]<threads> <cpus>…", 0..=ALL, cpus::map))
        .doc("Which processors the cores that serve connections run on."),
    G::new("tune.rcvbuf.backend", Words("<size>", 0..=ALL, |_, w, b| {
        shape::size(b, "tune.rcvbuf.backend", w, "expects an integer argument.");
    }))
    .status(Accepted(QUIC)),
    G::new("tune.rcvbuf.frontend", Words("<size>", 0..=ALL, |_, w, b| {
        shape::size(b, "tune.rcvbuf.frontend", w, "expects an integer argument.");
    }))
    .status(Accepted(QUIC)),
    G::new("tune.sndbuf.backend", Words("<size>", 0..=ALL, |_, w, b| {
        shape::size(b, "tune.sndbuf.backend", w, "expects an integer argument.");
    }))
    .status(Accepted(QUIC)),
    G::new("tune.sndbuf.frontend", Words("<size>", 0..=ALL, |_, w, b| {
        shape::size(b, "tune.sndbuf.frontend", w, "expects an integer argument.");
    }))
    .status(Accepted(QUIC)),
    G::new("tune.h2.max-concurrent-streams", Words("<number>", 0..=ALL, |_, w, b| {
        shape::optional(b, "tune.h2.max-concurrent-streams", w);
    }))
    .status(Accepted(HTTP)),
    G::new("tune.h2.initial-window-size", Words("<number>", 0..=ALL, |_, w, b| {
        shape::optional(b, "tune.h2.initial-window-size", w);
    }))
    .status(Accepted(HTTP)),
    G::new("tune.h2.be.glitches-threshold", Words("<number>", 0..=ALL, |_, w, b| {
        shape::optional(b, "tune.h2.be.glitches-threshold", w);
    }))
    .status(Accepted(HTTP)),
    G::new("tune.h2.be.initial-window-size", Words("<number>", 0..=ALL, |_, w, b| {
        shape::optional(b, "tune.h2.be.initial-window-size", w);
    }))
    .status(Accepted(HTTP)),
    G::new("tune.h2.be.max-concurrent-streams", Words("<number>", 0..=ALL, |_, w, b| {
        shape::optional(b, "tune.h2.be.max-concurrent-streams", w);
    }))
    .status(Accepted(HTTP)),
    G::new("tune.h2.fe.glitches-threshold", Words("<number>", 0..=ALL, |_, w, b| {
        shape::optional(b, "tune.h2.fe.glitches-threshold", w);
    }))
    .status(Accepted(HTTP)),
    G::new("tune.h2.fe.initial-window-size", Words("<number>", 0..=ALL, |_, w, b| {
        shape::optional(b, "tune.h2.fe.initial-window-size", w);
    }))
    .status(Accepted(HTTP)),
    G::new("tune.h2.fe.max-concurrent-streams", Words("<number>", 0..=ALL, |_, w, b| {
        shape::optional(b, "tune.h2.fe.max-concurrent-streams", w);
    }))
    .status(Accepted(HTTP)),
    G::new("tune.h2.fe.max-total-streams", Words("<number>", 0..=ALL, |_, w, b| {
        shape::optional(b, "tune.h2.fe.max-total-streams", w);
    }))
    .status(Accepted(HTTP)),
];

/// A nice value; nothing without a word.
fn nice(b: &mut conf::Binder, keyword: &str, words: &[conf::Word]) -> Option<i32> {
    if crate::number::surplus(b, keyword, words, 1) {
        return None;
    }
    let word = words.first()?;
    let (number, whole) = crate::number::leading(&word.text);
    match i32::try_from(number).ok().filter(|n| whole && (-20..=19).contains(n)) {
        Some(nice) => Some(nice),
        None => {
            b.refuse(
                word.span,
                format!(
                    "'{keyword}' only supports values between -20 and 19 inclusive (was given {})",
                    word.text
                ),
            );
            None
        }
    }
}

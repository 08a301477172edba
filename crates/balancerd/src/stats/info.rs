//! `show info`.

use std::collections::HashMap;
use std::fmt::{Display, Write as _};
use std::sync::atomic::Ordering::Relaxed;
use std::time::UNIX_EPOCH;

use super::format::{self, Form, Format, Tags, Type};
use crate::privilege;
use crate::state::Shared;

/// What `show version` and `show info` say: the HAProxy whose interface this is, and our own.
pub(crate) const VERSION: &str = haproxy_cfg::VERSION_LINE;

/// One field.
struct Field {
    /// Its number in the `typed` form: HAProxy leaves out what it was built without.
    position: usize,
    name: &'static str,
    tags: Tags,
    kind: Type,
    about: &'static str,
}

const fn field(
    position: usize,
    name: &'static str,
    tags: &'static str,
    kind: Type,
    about: &'static str,
) -> Field {
    Field { position, name, tags: Tags(tags), kind, about }
}

/// HAProxy 3.2's, in its order.
const FIELDS: &[Field] = &[
    field(0, "Name", "POS", Type::Str, "the product"),
    field(1, "Version", "POS", Type::Str, "its version"),
    field(2, "Release_date", "POS", Type::Str, "when that was made"),
    field(3, "Nbthread", "CGS", Type::U32, "threads that serve connections"),
    field(4, "Nbproc", "CGS", Type::U32, "processes that serve, always 1"),
    field(5, "Process_num", "KGP", Type::U32, "the number of this one, always 1"),
    field(6, "Pid", "SGP", Type::U32, "its process id"),
    field(7, "Uptime", "MDP", Type::Str, "time since its start"),
    field(8, "Uptime_sec", "MDP", Type::U32, "seconds since its start"),
    field(9, "Memmax_MB", "CLP", Type::U32, "limit of memory in MB, 0 for none"),
    field(10, "PoolAlloc_MB", "MGP", Type::U32, "memory of pools in MB"),
    field(11, "PoolUsed_MB", "MGP", Type::U32, "the part of it that is used"),
    field(12, "PoolFailed", "MCP", Type::U32, "times there was no memory"),
    field(13, "Ulimit-n", "CLP", Type::U32, "limit of open files"),
    field(14, "Maxsock", "CLP", Type::U32, "limit of sockets"),
    field(15, "Maxconn", "CLP", Type::U32, "limit of connections"),
    field(16, "Hard_maxconn", "CLP", Type::U32, "the highest limit that can be set"),
    field(17, "CurrConns", "MGP", Type::U32, "connections now"),
    field(18, "CumConns", "MCP", Type::U32, "connections since the start"),
    field(19, "CumReq", "MCP", Type::U32, "sessions or requests since the start"),
    field(20, "MaxSslConns", "MMP", Type::U32, "limit of TLS connections, 0 for none"),
    field(21, "CurrSslConns", "MGP", Type::U32, "TLS connections now"),
    field(22, "CumSslConns", "MCP", Type::U32, "TLS connections since the start"),
    field(23, "Maxpipes", "CLP", Type::U32, "limit of pipes, 0 for none"),
    field(24, "PipesUsed", "MGP", Type::U32, "pipes in use"),
    field(25, "PipesFree", "MGP", Type::U32, "pipes kept for use"),
    field(26, "ConnRate", "MRP", Type::U32, "connections in the last second"),
    field(27, "ConnRateLimit", "CLP", Type::U32, "limit of that, 0 for none"),
    field(28, "MaxConnRate", "MMP", Type::U32, "the most there were"),
    field(29, "SessRate", "MRP", Type::U32, "sessions in the last second"),
    field(30, "SessRateLimit", "CLP", Type::U32, "limit of that, 0 for none"),
    field(31, "MaxSessRate", "MRP", Type::U32, "the most there were"),
    field(32, "SslRate", "MRP", Type::U32, "TLS connections in the last second"),
    field(33, "SslRateLimit", "CLP", Type::U32, "limit of that, 0 for none"),
    field(34, "MaxSslRate", "MMP", Type::U32, "the most there were"),
    field(35, "SslFrontendKeyRate", "MGP", Type::U32, "not counted here"),
    field(36, "SslFrontendMaxKeyRate", "MMP", Type::U32, "not counted here"),
    field(37, "SslFrontendSessionReuse_pct", "MGP", Type::U32, "not counted here"),
    field(38, "SslBackendKeyRate", "MRP", Type::U32, "not counted here"),
    field(39, "SslBackendMaxKeyRate", "MMP", Type::U32, "not counted here"),
    field(40, "SslCacheLookups", "MCP", Type::U32, "not counted here"),
    field(41, "SslCacheMisses", "MCP", Type::U32, "not counted here"),
    field(42, "CompressBpsIn", "MRP", Type::U32, "not counted here"),
    field(43, "CompressBpsOut", "MRP", Type::U32, "not counted here"),
    field(44, "CompressBpsRateLim", "CLP", Type::U32, "not counted here"),
    field(47, "Tasks", "MGP", Type::U32, "tasks there are"),
    field(48, "Run_queue", "MGP", Type::U32, "not counted here"),
    field(49, "Idle_pct", "MaP", Type::U32, "share of the time with nothing to do, in per cent"),
    field(50, "node", "COS", Type::Str, "name of this node"),
    field(51, "description", "COS", Type::Str, "description of this node"),
    field(52, "Stopping", "MGP", Type::U32, "1 while it drains"),
    field(53, "Jobs", "MGP", Type::U32, "connections and listeners"),
    field(54, "Unstoppable Jobs", "MGP", Type::U32, "those that do not hold up its end"),
    field(55, "Listeners", "MGP", Type::U32, "listening sockets"),
    field(56, "ActivePeers", "MGP", Type::U32, "peers that are in touch"),
    field(57, "ConnectedPeers", "MGP", Type::U32, "peers that are connected"),
    field(58, "DroppedLogs", "MGP", Type::U32, "log lines nobody took"),
    field(59, "BusyPolling", "MGP", Type::U32, "not counted here"),
    field(60, "FailedResolutions", "MGP", Type::U32, "names that could not be resolved"),
    field(61, "TotalBytesOut", "MGP", Type::U64, "bytes sent to clients since the start"),
    field(62, "TotalSplicedBytesOut", "MGP", Type::U64, "those that went through pipes"),
    field(63, "BytesOutRate", "MRP", Type::U64, "bytes sent in the last second"),
    field(64, "DebugCommandsIssued", "MGP", Type::U32, "not counted here"),
    field(65, "CumRecvLogs", "MCP", Type::U32, "not counted here"),
    field(66, "Build info", "POS", Type::Str, "its version"),
    field(67, "Memmax_bytes", "CLP", Type::U32, "not counted here"),
    field(68, "PoolAlloc_bytes", "MGP", Type::U64, "not counted here"),
    field(69, "PoolUsed_bytes", "MGP", Type::U64, "not counted here"),
    field(70, "Start_time_sec", "MDP", Type::U32, "when it started, in seconds since 1970"),
    field(71, "Tainted", "SGP", Type::Str, "what was done that may do harm"),
    field(72, "TotalWarnings", "MCP", Type::U32, "warnings since the start"),
    field(73, "MaxconnReached", "MCP", Type::U32, "times the limit of connections was reached"),
    field(74, "BootTime_ms", "MDP", Type::U32, "time it took to start, in ms"),
    field(75, "Niced_tasks", "MGP", Type::U32, "not counted here"),
    field(76, "CurrStreams", "MGP", Type::U64, "streams now"),
    field(77, "CumStreams", "MGP", Type::U64, "streams since the start"),
    field(78, "BlockedTrafficWarnings", "MGP", Type::U32, "not counted here"),
];

/// The answer to `show info` without a form.
pub(crate) fn show_info(shared: &Shared) -> String {
    show_info_as(shared, Format::default())
}

/// The answer to `show info`. What has no meaning here is 0, as there.
pub(crate) fn show_info_as(shared: &Shared, format: Format) -> String {
    let values = values(shared, format.float);
    let mut out = String::new();
    for Field { position, name, tags, kind, about } in FIELDS {
        let value = match values.get(name) {
            Some(value) => value.as_str(),
            // Shown only if there is one.
            None if *name == "description" => continue,
            None => "0",
        };
        // Writing to a string does not fail.
        let _ = match format.form {
            Form::Plain => write!(out, "{name}: {value}"),
            Form::Typed => {
                write!(out, "{position}.{name}.1:{}:{}:{value}", tags.0, kind.name())
            }
            Form::Json => {
                out.push_str(if out.is_empty() { "[{" } else { ",{" });
                format::json(&mut out, *position, name, *tags, *kind, value);
                out.push('}');
                continue;
            }
        };
        let _ = match format.described {
            true => writeln!(out, ":\"{about}\""),
            false => writeln!(out),
        };
    }
    if format.form == Form::Json {
        out.push_str("]\n");
    }
    out
}

/// Those that are not always 0.
fn values(shared: &Shared, float: bool) -> HashMap<&'static str, String> {
    let process = &shared.config.process;
    let running = shared.clock.now().since_zero();
    let up = running.as_secs();
    let (days, hours, minutes) = (up / 86_400, up / 3_600 % 24, up / 60 % 60);
    let files = privilege::open_files_limit();
    let sessions = shared.sessions.load(Relaxed);
    let connections = shared.process.current();
    let listeners: usize =
        shared.config.frontends.iter().map(|frontend| frontend.binds.len()).sum();
    let bytes_out: u64 =
        shared.frontends.iter().map(|frontend| frontend.traffic.bytes_out.load(Relaxed)).sum();
    let node = process.node.clone().unwrap_or_else(|| {
        nix::unistd::gethostname()
            .map_or_else(|_| String::new(), |name| name.to_string_lossy().into_owned())
    });
    let started = shared.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();

    let mut values = HashMap::new();
    let mut set = |name: &'static str, value: &dyn Display| {
        values.insert(name, value.to_string());
    };
    set("Name", &"HAProxy");
    for name in ["Version", "Build info"] {
        set(name, &VERSION);
    }
    set("Release_date", &"2026/11/21");
    set("Nbthread", &shared.threads.len());
    for name in ["Nbproc", "Process_num"] {
        set(name, &1);
    }
    set("Pid", &std::process::id());
    set("Uptime", &format_args!("{days}d {hours}h{minutes:02}m{:02}s", up % 60));
    match float {
        true => set("Uptime_sec", &format_args!("{:.6}", running.as_secs_f64())),
        false => set("Uptime_sec", &up),
    }
    for name in ["Ulimit-n", "Maxsock"] {
        set(name, &files);
    }
    set("Maxconn", &shared.process.limit());
    set("Hard_maxconn", &shared.process.highest());
    for name in ["CurrConns", "CurrStreams"] {
        set(name, &connections);
    }
    for name in ["CumConns", "CumReq", "CumStreams"] {
        set(name, &sessions);
    }
    for name in ["ConnRate", "SessRate"] {
        set(name, &shared.rate.now());
    }
    for name in ["MaxConnRate", "MaxSessRate"] {
        set(name, &shared.rate.most());
    }
    for (name, pace) in [
        ("ConnRateLimit", &shared.paces.connections),
        ("SessRateLimit", &shared.paces.sessions),
        ("SslRateLimit", &shared.paces.tls),
    ] {
        set(name, &pace.limit());
    }
    set("Idle_pct", &100);
    set("node", &node);
    if let Some(description) = &process.description {
        set("description", description);
    }
    set("Stopping", &u8::from(shared.draining.load(Relaxed)));
    set("Jobs", &(listeners + connections as usize));
    set("Listeners", &(listeners + process.stats_sockets.len()));
    set("DroppedLogs", &shared.log.dropped());
    set("TotalBytesOut", &bytes_out);
    set("Start_time_sec", &started);
    values
}

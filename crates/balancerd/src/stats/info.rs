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

/// HAProxy 3's, in its order.
const FIELDS: &[Field] = &[
    field(0, "Name", "POSV", Type::Str, "the product"),
    field(1, "Version", "POSV", Type::Str, "its version"),
    field(2, "Release_date", "POSV", Type::Str, "when that was made"),
    field(3, "Nbthread", "CGSV", Type::U32, "threads that serve connections"),
    field(4, "Nbproc", "CGSV", Type::U32, "processes that serve, always 1"),
    field(5, "Process_num", "KGPV", Type::U32, "the number of this one, always 1"),
    field(6, "Pid", "SGPV", Type::U32, "its process id"),
    field(7, "Uptime", "MDPV", Type::Str, "time since its start"),
    field(8, "Uptime_sec", "MDPV", Type::U32, "seconds since its start"),
    field(9, "Memmax_MB", "CLPV", Type::U32, "limit of memory in MB, 0 for none"),
    field(10, "PoolAlloc_MB", "MGPV", Type::U32, "memory of pools in MB"),
    field(11, "PoolUsed_MB", "MGPV", Type::U32, "the part of it that is used"),
    field(12, "PoolFailed", "MCPV", Type::U32, "times there was no memory"),
    field(13, "Ulimit-n", "CLPV", Type::U32, "limit of open files"),
    field(14, "Maxsock", "CLPV", Type::U32, "limit of sockets"),
    field(15, "Maxconn", "CLPV", Type::U32, "limit of connections"),
    field(16, "Hard_maxconn", "CLPV", Type::U32, "the highest limit that can be set"),
    field(17, "CurrConns", "MGPV", Type::U32, "connections now"),
    field(18, "CumConns", "MCPV", Type::U32, "connections since the start"),
    field(19, "CumReq", "MCPV", Type::U32, "sessions or requests since the start"),
    field(20, "MaxSslConns", "MMPV", Type::U32, "limit of TLS connections, 0 for none"),
    field(21, "CurrSslConns", "MGPV", Type::U32, "TLS connections now"),
    field(22, "CumSslConns", "MCPV", Type::U32, "TLS connections since the start"),
    field(23, "Maxpipes", "CLPV", Type::U32, "limit of pipes, 0 for none"),
    field(24, "PipesUsed", "MGPV", Type::U32, "pipes in use"),
    field(25, "PipesFree", "MGPV", Type::U32, "pipes kept for use"),
    field(26, "ConnRate", "MRPV", Type::U32, "connections in the last second"),
    field(27, "ConnRateLimit", "CLPV", Type::U32, "limit of that, 0 for none"),
    field(28, "MaxConnRate", "MMPV", Type::U32, "the most there were"),
    field(29, "SessRate", "MRPV", Type::U32, "sessions in the last second"),
    field(30, "SessRateLimit", "CLPV", Type::U32, "limit of that, 0 for none"),
    field(31, "MaxSessRate", "MRPV", Type::U32, "the most there were"),
    field(32, "SslRate", "MRPV", Type::U32, "TLS connections in the last second"),
    field(33, "SslRateLimit", "CLPV", Type::U32, "limit of that, 0 for none"),
    field(34, "MaxSslRate", "MMPV", Type::U32, "the most there were"),
    field(35, "SslFrontendKeyRate", "MGPV", Type::U32, "not counted here"),
    field(36, "SslFrontendMaxKeyRate", "MMPV", Type::U32, "not counted here"),
    field(37, "SslFrontendSessionReuse_pct", "MGPV", Type::U32, "not counted here"),
    field(38, "SslBackendKeyRate", "MRPV", Type::U32, "not counted here"),
    field(39, "SslBackendMaxKeyRate", "MMPV", Type::U32, "not counted here"),
    field(40, "SslCacheLookups", "MCPV", Type::U32, "not counted here"),
    field(41, "SslCacheMisses", "MCPV", Type::U32, "not counted here"),
    field(42, "CompressBpsIn", "MRPV", Type::U32, "not counted here"),
    field(43, "CompressBpsOut", "MRPV", Type::U32, "not counted here"),
    field(44, "CompressBpsRateLim", "CLPV", Type::U32, "not counted here"),
    field(47, "Tasks", "MGPV", Type::U32, "tasks there are"),
    field(48, "Run_queue", "MGPV", Type::U32, "not counted here"),
    field(49, "Idle_pct", "MaPV", Type::U32, "share of the time with nothing to do, in per cent"),
    field(50, "node", "COSV", Type::Str, "name of this node"),
    field(51, "description", "COSV", Type::Str, "description of this node"),
    field(52, "Stopping", "MGPV", Type::U32, "1 while it drains"),
    field(53, "Jobs", "MGPV", Type::U32, "connections and listeners"),
    field(54, "Unstoppable Jobs", "MGPV", Type::U32, "those that do not hold up its end"),
    field(55, "Listeners", "MGPV", Type::U32, "listening sockets"),
    field(56, "ActivePeers", "MGPV", Type::U32, "peers that are in touch"),
    field(57, "ConnectedPeers", "MGPV", Type::U32, "peers that are connected"),
    field(58, "DroppedLogs", "MGPV", Type::U32, "log lines nobody took"),
    field(59, "BusyPolling", "MGPV", Type::U32, "not counted here"),
    field(60, "FailedResolutions", "MGPV", Type::U32, "names that could not be resolved"),
    field(61, "TotalBytesOut", "MGPV", Type::U64, "bytes sent to clients since the start"),
    field(62, "TotalSplicedBytesOut", "MGPV", Type::U64, "those that went through pipes"),
    field(63, "BytesOutRate", "MRPV", Type::U64, "bytes sent in the last second"),
    field(64, "DebugCommandsIssued", "MGPV", Type::U32, "not counted here"),
    field(65, "CumRecvLogs", "MCPV", Type::U32, "not counted here"),
    field(66, "Build info", "POSV", Type::Str, "its version"),
    field(67, "Memmax_bytes", "CLPV", Type::U32, "not counted here"),
    field(68, "PoolAlloc_bytes", "MGPV", Type::U64, "not counted here"),
    field(69, "PoolUsed_bytes", "MGPV", Type::U64, "not counted here"),
    field(70, "Start_time_sec", "MDPV", Type::U32, "when it started, in seconds since 1970"),
    field(71, "Tainted", "SGPV", Type::Str, "what was done that may do harm"),
    field(72, "TotalWarnings", "MCPV", Type::U32, "warnings since the start"),
    field(73, "MaxconnReached", "MCPV", Type::U32, "times the limit of connections was reached"),
    field(74, "BootTime_ms", "MDPV", Type::U32, "time it took to start, in ms"),
    field(75, "Niced_tasks", "MGPV", Type::U32, "not counted here"),
    field(76, "CurrStreams", "MGPV", Type::U64, "streams now"),
    field(77, "CumStreams", "MGPV", Type::U64, "streams since the start"),
    field(78, "BlockedTrafficWarnings", "MGPV", Type::U32, "not counted here"),
    field(79, "PatternsAdded", "MGPV", Type::U64, "not counted here"),
    field(80, "PatternsFreed", "MGPV", Type::U64, "not counted here"),
    field(81, "NbThreadGroups", "CGSV", Type::U32, "groups of threads, always 1"),
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
    for name in ["Nbproc", "Process_num", "NbThreadGroups"] {
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

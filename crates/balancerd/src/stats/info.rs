//! `show info`.

use std::fmt::{Display, Write as _};
use std::sync::atomic::Ordering::Relaxed;
use std::time::UNIX_EPOCH;

use crate::privilege;
use crate::state::Shared;

/// What `show version` and `show info` say: the HAProxy whose interface this is, and our own.
pub(crate) const VERSION: &str = haproxy_cfg::VERSION_LINE;

/// The answer to `show info`: the fields of HAProxy 2.6 in its order. What has no meaning here is
/// 0, as there.
pub(crate) fn show_info(shared: &Shared) -> String {
    let mut out = String::new();
    let mut field = |name: &str, value: &dyn Display| {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{name}: {value}");
    };
    let process = &shared.config.process;
    let up = shared.clock.now().since_zero().as_secs();
    let (days, hours, minutes) = (up / 86_400, up / 3_600 % 24, up / 60 % 60);
    let files = privilege::open_files_limit();
    let limit = shared.process.limit();
    let connections = shared.process.current();
    let sessions = shared.sessions.load(Relaxed);
    let rate = (shared.rate.now(), shared.rate.most());
    let listeners: usize =
        shared.config.frontends.iter().map(|frontend| frontend.binds.len()).sum();
    let bytes_out: u64 =
        shared.frontends.iter().map(|frontend| frontend.traffic.bytes_out.load(Relaxed)).sum();
    let node = process.node.clone().unwrap_or_else(|| {
        nix::unistd::gethostname()
            .map_or_else(|_| String::new(), |name| name.to_string_lossy().into_owned())
    });
    let started = shared.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();

    field("Name", &"HAProxy");
    field("Version", &VERSION);
    field("Release_date", &"2026/11/21");
    field("Nbthread", &shared.threads.len());
    field("Nbproc", &1);
    field("Process_num", &1);
    field("Pid", &std::process::id());
    field("Uptime", &format_args!("{days}d {hours}h{minutes:02}m{:02}s", up % 60));
    field("Uptime_sec", &up);
    for name in ["Memmax_MB", "PoolAlloc_MB", "PoolUsed_MB", "PoolFailed"] {
        field(name, &0);
    }
    field("Ulimit-n", &files);
    field("Maxsock", &files);
    field("Maxconn", &limit);
    field("Hard_maxconn", &limit);
    field("CurrConns", &connections);
    field("CumConns", &sessions);
    field("CumReq", &sessions);
    for name in ["MaxSslConns", "CurrSslConns", "CumSslConns", "Maxpipes", "PipesUsed", "PipesFree"]
    {
        field(name, &0);
    }
    for name in ["Conn", "Sess"] {
        field(&format!("{name}Rate"), &rate.0);
        field(&format!("{name}RateLimit"), &0);
        field(&format!("Max{name}Rate"), &rate.1);
    }
    for name in [
        "SslRate",
        "SslRateLimit",
        "MaxSslRate",
        "SslFrontendKeyRate",
        "SslFrontendMaxKeyRate",
        "SslFrontendSessionReuse_pct",
        "SslBackendKeyRate",
        "SslBackendMaxKeyRate",
        "SslCacheLookups",
        "SslCacheMisses",
        "CompressBpsIn",
        "CompressBpsOut",
        "CompressBpsRateLim",
        "Tasks",
        "Run_queue",
    ] {
        field(name, &0);
    }
    field("Idle_pct", &100);
    field("node", &node);
    if let Some(description) = &process.description {
        field("description", description);
    }
    field("Stopping", &0);
    field("Jobs", &(listeners + connections as usize));
    field("Unstoppable Jobs", &0);
    field("Listeners", &(listeners + process.stats_sockets.len()));
    field("ActivePeers", &0);
    field("ConnectedPeers", &0);
    field("DroppedLogs", &shared.log.dropped());
    field("BusyPolling", &0);
    field("FailedResolutions", &0);
    field("TotalBytesOut", &bytes_out);
    field("TotalSplicdedBytesOut", &0);
    field("BytesOutRate", &0);
    field("DebugCommandsIssued", &0);
    field("CumRecvLogs", &0);
    field("Build info", &VERSION);
    for name in ["Memmax_bytes", "PoolAlloc_bytes", "PoolUsed_bytes"] {
        field(name, &0);
    }
    field("Start_time_sec", &started);
    field("Tainted", &0);
    out
}

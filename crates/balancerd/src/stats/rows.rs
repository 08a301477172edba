//! `show stat`.

use std::fmt::Write as _;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use balance::{ServerId, State};
use check::Status;
use proxy::{Backend, Frontend, FrontendKind, Mode};
use relay::Target;

use super::columns::{BACKEND_ZEROS, COLUMNS, FRONTEND_ZEROS, HTTP_ZEROS, Kind, Row, SERVER_ZEROS};
use super::format::{Form, Format};
use crate::health::{Board, CheckView, ServerRecord, Ward};
use crate::state::{Door, Shared, Traffic, unix_seconds};

/// `show stat <iid> <type> <sid>`, `up`, `no-maint`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter {
    /// Only this proxy.
    pub(crate) proxy: Option<u32>,
    /// 1 frontends, 2 backends, 4 servers, added.
    pub(crate) kinds: u32,
    /// Only this server.
    pub(crate) server: Option<u32>,
    /// `up`: only what is up.
    pub(crate) up: bool,
    /// `no-maint`: not what is in maintenance.
    pub(crate) no_maintenance: bool,
}

impl Default for Filter {
    fn default() -> Self {
        Self { proxy: None, kinds: u32::MAX, server: None, up: false, no_maintenance: false }
    }
}

/// One proxy of the file: a `listen` has both halves.
#[derive(Clone, Copy)]
struct Halves {
    id: u32,
    frontend: Option<usize>,
    backend: Option<usize>,
}

/// The answer to `show stat`, as CSV.
pub(crate) fn show_stat(shared: &Shared, board: &Board, filter: Filter) -> String {
    show_stat_as(shared, board, filter, Format::default())
}

/// The answer to `show stat`.
pub(crate) fn show_stat_as(
    shared: &Shared,
    board: &Board,
    filter: Filter,
    format: Format,
) -> String {
    let mut out = match format.form {
        Form::Plain => {
            let names = COLUMNS.iter().map(|column| format!("{},", column.name));
            format!("# {}\n", names.collect::<String>())
        }
        Form::Typed => String::new(),
        Form::Json => String::from("["),
    };
    let mut add = |row: Row| match format.form {
        Form::Plain => {
            // Writing to a string does not fail.
            let _ = writeln!(out, "{row}");
        }
        Form::Typed => row.typed(&mut out, format.described),
        Form::Json => {
            if out.len() > 1 {
                out.push(',');
            }
            row.json(&mut out);
        }
    };
    for halves in proxies(shared) {
        if filter.proxy.is_some_and(|id| id != halves.id) {
            continue;
        }
        if let Some(index) = halves.frontend
            && filter.kinds & 1 != 0
            && filter.server.is_none_or(|id| id == 0)
        {
            add(frontend(shared, index));
        }
        if let Some(index) = halves.frontend
            && filter.kinds & 8 != 0
        {
            for row in super::listeners::rows(shared, index, filter) {
                add(row);
            }
        }
        let Some(index) = halves.backend else { continue };
        if filter.kinds & 4 != 0 {
            for server in 0..shared.config.backends[index].servers.len() {
                if let Some(row) = self::server(shared, board, index, server, filter) {
                    add(row);
                }
            }
        }
        if filter.kinds & 2 != 0
            && filter.server.is_none_or(|id| id == 0)
            && (!filter.up || board.backends[index].history.is_up())
        {
            add(backend(shared, board, index));
        }
    }
    if format.form == Form::Json {
        out.push_str("]\n");
    }
    out
}

fn proxies(shared: &Shared) -> Vec<Halves> {
    let config = &shared.config;
    let mut proxies: Vec<Halves> = Vec::new();
    for (index, frontend) in config.frontends.iter().enumerate() {
        proxies.push(Halves { id: frontend.id, frontend: Some(index), backend: None });
    }
    for (index, backend) in config.backends.iter().enumerate() {
        let other = proxies.iter_mut().find(|halves| {
            halves.id == backend.id
                && halves.backend.is_none()
                && halves
                    .frontend
                    .is_some_and(|front| config.frontends[front].kind == FrontendKind::Listen)
        });
        match other {
            Some(halves) => halves.backend = Some(index),
            None => proxies.push(Halves { id: backend.id, frontend: None, backend: Some(index) }),
        }
    }
    proxies.sort_by_key(|halves| halves.id);
    proxies
}

fn frontend(shared: &Shared, index: usize) -> Row {
    let config: &Frontend = &shared.config.frontends[index];
    let state = &shared.frontends[index];
    let traffic = &state.traffic;
    let mut row = Row::new(Kind::Frontend, config.id, 0);
    row.zeros(FRONTEND_ZEROS);
    row.set("sess_other", traffic.total.load(Relaxed));
    row.module_zeros();
    row.set("pxname", &config.name);
    row.set("svname", "FRONTEND");
    row.set("slim", state.gate.limit());
    row.set("rate_lim", state.pace.limit());
    let status = match state.gate.door() {
        Door::Shut => "STOP",
        _ if config.disabled => "STOP",
        Door::Paused => "PAUSED",
        Door::Open => "OPEN",
    };
    row.set("status", status);
    sessions(&mut row, traffic);
    row.set("mode", mode(config.mode));
    row.set("conn_rate", traffic.rate.now());
    row.set("conn_rate_max", traffic.rate.most());
    row.set("conn_tot", traffic.total.load(Relaxed));
    row.set("dreq", traffic.http.denied_requests.get());
    row.set("dresp", traffic.http.denied_answers.get());
    if config.mode == Mode::Http {
        row.zeros(HTTP_ZEROS);
        row.zeros(&["cache_lookups", "cache_hits"]);
        http(&mut row, traffic);
        row.set("req_rate", traffic.http.request_rate.now());
        row.set("req_rate_max", traffic.http.request_rate.most());
        row.set("ereq", traffic.http.bad_requests.get());
        row.set("intercepted", traffic.http.intercepted.get());
    }
    row
}

fn backend(shared: &Shared, board: &Board, index: usize) -> Row {
    let config: &Backend = &shared.config.backends[index];
    let state = &shared.backends[index];
    let (traffic, record) = (&state.traffic, &board.backends[index]);
    let now = shared.clock.now();
    let view = state.balancer.look(balance::Pool::view);
    let weights = config
        .servers
        .iter()
        .enumerate()
        .map(|(server, _)| state.balancer.look(|pool| pool.server(ServerId(server))));
    let in_use = weights.filter(|server| server.usable && server.backup == (view.active == 0));
    let mut row = Row::new(Kind::Backend, config.id, 0);
    row.zeros(BACKEND_ZEROS);
    row.module_zeros();
    row.set("pxname", &config.name);
    row.set("svname", "BACKEND");
    row.set("qcur", view.queued);
    row.set("qmax", view.max_queued);
    row.set("slim", state.fullconn);
    let up = view.active + view.backup > 0 || config.servers.is_empty();
    row.set("status", if up { "UP" } else { "DOWN" });
    row.set("weight", view.weight);
    row.set("act", view.active);
    row.set("bck", view.backup);
    row.set("uweight", in_use.map(|server| server.weight).sum::<u32>());
    row.set("chkdown", record.history.downs());
    row.set("lastchg", record.history.unchanged_for(now).as_secs());
    if !config.servers.is_empty() {
        row.set("downtime", record.history.down_for(now).as_secs());
    }
    sessions(&mut row, traffic);
    server_side(&mut row, traffic);
    row.set("mode", mode(config.mode));
    row.set("algo", config.algorithm.name());
    if config.mode == Mode::Http {
        row.zeros(HTTP_ZEROS);
        row.zeros(&["cache_lookups", "cache_hits"]);
        http(&mut row, traffic);
    }
    row
}

/// What proxies and servers count that speak HTTP.
fn http(row: &mut Row, traffic: &Traffic) {
    let count = &traffic.http;
    row.set("req_tot", count.requests.get());
    let classes = ["hrsp_other", "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx"];
    for (class, answers) in classes.iter().zip(&count.answers) {
        row.set(class, answers.get());
    }
}

fn server(
    shared: &Shared,
    board: &Board,
    backend: usize,
    index: usize,
    filter: Filter,
) -> Option<Row> {
    let proxy: &Backend = &shared.config.backends[backend];
    let config = &proxy.servers[index];
    let view = shared.backends[backend].balancer.look(|pool| pool.server(ServerId(index)));
    let state = &shared.backends[backend].servers[index];
    let record = &board.backends[backend].servers[index];
    let (traffic, now) = (&state.traffic, shared.clock.now());
    if filter.server.is_some_and(|id| id != config.id)
        || (filter.no_maintenance && record.standing().admin().is_maint())
        || (filter.up && view.state == State::Down)
    {
        return None;
    }
    let mut row = Row::new(Kind::Server, proxy.id, config.id);
    row.zeros(SERVER_ZEROS);
    row.set("pxname", &proxy.name);
    row.set("svname", &config.name);
    row.set("qcur", view.queued);
    row.set("qmax", view.max_queued);
    row.set("status", Ward::new(shared, board, backend, index).status());
    row.set("weight", view.current_weight);
    row.set("uweight", view.weight);
    if let Some(tracked) = config.track {
        let other = &shared.config.backends[tracked.backend.0];
        row.set("tracked", format_args!("{}/{}", other.name, other.servers[tracked.server].name));
    }
    row.set("act", u8::from(!config.backup));
    row.set("bck", u8::from(config.backup));
    if view.maxconn > 0 {
        row.set("slim", view.maxconn);
    }
    if let Some(limit) = config.maxqueue.filter(|&limit| limit > 0) {
        row.set("qlimit", limit);
    }
    if let Some(throttle) = view.throttle {
        row.set("throttle", throttle);
    }
    row.set("lastchg", record.history.unchanged_for(now).as_secs());
    sessions(&mut row, traffic);
    server_side(&mut row, traffic);
    row.set("used_conn_cur", 0);
    // HAProxy's estimate counts connections of checks as well.
    let checked = record.check().is_some_and(|check| check.last.status != Status::Initializing);
    row.set("need_conn_est", traffic.peak.load(Relaxed).max(u32::from(checked)));
    row.set("mode", mode(proxy.mode));
    match state.target() {
        Target::Inet(address) => row.set("addr", address),
        Target::Unix(_) => row.set("addr", "unix"),
    }
    if proxy.mode == Mode::Http {
        row.zeros(HTTP_ZEROS);
        http(&mut row, traffic);
    }
    if record.standing().check().is_some_and(|watch| watch.enabled) {
        row.set("chkfail", record.failed_checks());
        row.set("chkdown", record.history.downs());
        row.set("downtime", record.history.down_for(now).as_secs());
    }
    checks(&mut row, record);
    Some(row)
}

fn checks(row: &mut Row, record: &ServerRecord) {
    if let (Some(check), Some((rise, fall))) = (record.check(), record.limits()) {
        let words = ["check_status", "check_code", "check_duration", "check_desc", "last_chk"];
        found(row, &check, words);
        row.set("check_rise", rise);
        row.set("check_fall", fall);
        row.set("check_health", check.health.value());
    }
    if let Some(agent) = record.agent() {
        let words = ["agent_status", "agent_code", "agent_duration", "agent_desc", "last_agt"];
        found(row, &agent, words);
        row.set("agent_rise", 1);
        row.set("agent_fall", 1);
        row.set("agent_health", agent.health.value());
    }
}

/// What a check or an agent found, into the columns of these names.
fn found(
    row: &mut Row,
    check: &CheckView,
    [status, code, duration, words, last]: [&'static str; 5],
) {
    let found = &check.last;
    let running = if check.running { "* " } else { "" };
    row.set(status, format_args!("{running}{}", found.status.name()));
    if found.status.has_code() {
        row.set(code, found.code);
    }
    if found.status != Status::Initializing {
        row.set(duration, check.duration.as_millis());
    }
    row.set(words, found.status.description());
    // While one runs, the words of the one before are gone.
    row.set(last, if check.running { "" } else { &found.info });
}

/// What all three kinds count.
fn sessions(row: &mut Row, traffic: &Traffic) {
    row.set("scur", traffic.current.load(Relaxed));
    row.set("smax", traffic.peak.load(Relaxed));
    row.set("stot", traffic.total.load(Relaxed));
    row.set("bin", traffic.bytes_in.load(Relaxed));
    row.set("bout", traffic.bytes_out.load(Relaxed));
    row.set("rate", traffic.rate.now());
    row.set("rate_max", traffic.rate.most());
}

/// What servers and backends count.
fn server_side(row: &mut Row, traffic: &Traffic) {
    row.set("econ", traffic.connect_errors.load(Relaxed));
    row.set("eresp", traffic.server_aborts.load(Relaxed));
    row.set("dresp", traffic.http.denied_answers.get());
    row.set("wretr", traffic.retries.load(Relaxed));
    row.set("wredis", traffic.redispatches.load(Relaxed));
    row.set("cli_abrt", traffic.client_aborts.load(Relaxed));
    let silent = traffic.server_timeouts.load(Relaxed);
    row.set("srv_abrt", traffic.server_aborts.load(Relaxed) + silent);
    row.set("lbtot", traffic.picked.load(Relaxed));
    row.set("connect", traffic.total.load(Relaxed));
    let last = traffic.last.load(Relaxed);
    let ago = i64::try_from(unix_seconds().saturating_sub(last)).unwrap_or(i64::MAX);
    row.set("lastsess", if last == 0 { -1 } else { ago });
    let sessions = traffic.total.load(Relaxed).max(1);
    let average = |sum: &AtomicU64| sum.load(Relaxed) / sessions;
    row.set("qtime", average(&traffic.queue_time));
    row.set("ctime", average(&traffic.connect_time));
    row.set("ttime", average(&traffic.total_time));
    let (average, longest) = traffic.http.response_times();
    row.set("rtime", average);
    row.set("rtime_max", longest);
    row.set("qtime_max", traffic.longest_queue.load(Relaxed));
    row.set("ctime_max", traffic.longest_connect.load(Relaxed));
    row.set("ttime_max", traffic.longest_total.load(Relaxed));
}

pub(super) const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Tcp => "tcp",
        Mode::Http => "http",
    }
}

//! The columns of `show stat`.

use std::fmt;

/// All of HAProxy 2.6's, in its order; `-` stands between its own and those of its modules.
pub(super) const NAMES: &[&str] = &[
    "pxname",
    "svname",
    "qcur",
    "qmax",
    "scur",
    "smax",
    "slim",
    "stot",
    "bin",
    "bout",
    "dreq",
    "dresp",
    "ereq",
    "econ",
    "eresp",
    "wretr",
    "wredis",
    "status",
    "weight",
    "act",
    "bck",
    "chkfail",
    "chkdown",
    "lastchg",
    "downtime",
    "qlimit",
    "pid",
    "iid",
    "sid",
    "throttle",
    "lbtot",
    "tracked",
    "type",
    "rate",
    "rate_lim",
    "rate_max",
    "check_status",
    "check_code",
    "check_duration",
    "hrsp_1xx",
    "hrsp_2xx",
    "hrsp_3xx",
    "hrsp_4xx",
    "hrsp_5xx",
    "hrsp_other",
    "hanafail",
    "req_rate",
    "req_rate_max",
    "req_tot",
    "cli_abrt",
    "srv_abrt",
    "comp_in",
    "comp_out",
    "comp_byp",
    "comp_rsp",
    "lastsess",
    "last_chk",
    "last_agt",
    "qtime",
    "ctime",
    "rtime",
    "ttime",
    "agent_status",
    "agent_code",
    "agent_duration",
    "check_desc",
    "agent_desc",
    "check_rise",
    "check_fall",
    "check_health",
    "agent_rise",
    "agent_fall",
    "agent_health",
    "addr",
    "cookie",
    "mode",
    "algo",
    "conn_rate",
    "conn_rate_max",
    "conn_tot",
    "intercepted",
    "dcon",
    "dses",
    "wrew",
    "connect",
    "reuse",
    "cache_lookups",
    "cache_hits",
    "srv_icur",
    "src_ilim",
    "qtime_max",
    "ctime_max",
    "rtime_max",
    "ttime_max",
    "eint",
    "idle_conn_cur",
    "safe_conn_cur",
    "used_conn_cur",
    "need_conn_est",
    "uweight",
    "agg_server_status",
    "agg_server_check_status",
    "agg_check_status",
    "-",
    "ssl_sess",
    "ssl_reused_sess",
    "ssl_failed_handshake",
    "h2_headers_rcvd",
    "h2_data_rcvd",
    "h2_settings_rcvd",
    "h2_rst_stream_rcvd",
    "h2_goaway_rcvd",
    "h2_detected_conn_protocol_errors",
    "h2_detected_strm_protocol_errors",
    "h2_rst_stream_resp",
    "h2_goaway_resp",
    "h2_open_connections",
    "h2_backend_open_streams",
    "h2_total_connections",
    "h2_backend_total_streams",
    "h1_open_connections",
    "h1_open_streams",
    "h1_total_connections",
    "h1_total_streams",
    "h1_bytes_in",
    "h1_bytes_out",
    "h1_spliced_bytes_in",
    "h1_spliced_bytes_out",
];

/// Columns that hold 0 for a frontend, a server and a backend, whatever happens here.
pub(super) const FRONTEND_ZEROS: &[&str] = &[
    "dreq",
    "dresp",
    "ereq",
    "rate_lim",
    "req_rate",
    "req_rate_max",
    "req_tot",
    "comp_in",
    "comp_out",
    "comp_byp",
    "comp_rsp",
    "dcon",
    "dses",
    "wrew",
    "eint",
];

/// See [`FRONTEND_ZEROS`].
pub(super) const SERVER_ZEROS: &[&str] = &[
    "dresp",
    "rtime",
    "wrew",
    "reuse",
    "srv_icur",
    "rtime_max",
    "eint",
    "idle_conn_cur",
    "safe_conn_cur",
    "ssl_sess",
    "ssl_reused_sess",
    "ssl_failed_handshake",
];

/// See [`FRONTEND_ZEROS`].
pub(super) const BACKEND_ZEROS: &[&str] = &[
    "dreq",
    "dresp",
    "comp_in",
    "comp_out",
    "comp_byp",
    "comp_rsp",
    "rtime",
    "wrew",
    "reuse",
    "rtime_max",
    "eint",
    "agg_server_status",
    "agg_server_check_status",
    "agg_check_status",
];

/// Columns that hold 0 in addition for a proxy in `mode http`.
pub(super) const HTTP_ZEROS: &[&str] =
    &["hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other", "req_tot"];

/// One line of `show stat`.
#[derive(Debug)]
pub(super) struct Row {
    cells: Vec<String>,
}

impl Row {
    pub(super) fn new() -> Self {
        let mut row = Self { cells: vec![String::new(); NAMES.len()] };
        row.set("-", "-");
        row
    }

    /// Fills a column. A column that does not exist is a mistake of ours, which a test finds.
    pub(super) fn set(&mut self, column: &str, value: impl fmt::Display) {
        let index = NAMES.iter().position(|&name| name == column);
        debug_assert!(index.is_some(), "no column {column}");
        if let Some(index) = index {
            self.cells[index] = quoted(value.to_string());
        }
    }

    pub(super) fn zeros(&mut self, columns: &[&str]) {
        for column in columns {
            self.set(column, 0);
        }
    }

    /// All columns of modules: frontends and backends have them, servers a few.
    pub(super) fn module_zeros(&mut self) {
        if let Some(separator) = NAMES.iter().position(|&name| name == "-") {
            self.zeros(&NAMES[separator + 1..]);
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for cell in &self.cells {
            write!(f, "{cell},")?;
        }
        Ok(())
    }
}

/// RFC 4180, as HAProxy does: quotes around what holds a comma, a quote or a line break.
fn quoted(text: String) -> String {
    if text.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

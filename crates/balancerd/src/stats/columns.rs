//! The columns of `show stat`.

use std::fmt::{self, Write as _};

use super::format::{self, Tags, Type, quoted};

/// One column.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    /// See [`Tags`](super::format::Tags).
    pub(super) tags: &'static str,
    pub(super) kind: Type,
}

const fn column(name: &'static str, tags: &'static str, kind: Type) -> Column {
    Column { name, tags, kind }
}

/// Stands between HAProxy's own columns and those of its modules; nothing is in it.
pub(super) const SEPARATOR: &str = "-";

/// All of HAProxy 3's, in its order.
pub(super) const COLUMNS: &[Column] = &[
    column("pxname", "KNSV", Type::Str),
    column("svname", "KNSV", Type::Str),
    column("qcur", "MGPV", Type::U32),
    column("qmax", "MMPV", Type::U32),
    column("scur", "MGPV", Type::U32),
    column("smax", "MMPV", Type::U32),
    column("slim", "CLPV", Type::U32),
    column("stot", "MCPP", Type::U64),
    column("bin", "MCPP", Type::U64),
    column("bout", "MCPP", Type::U64),
    column("dreq", "MCPP", Type::U64),
    column("dresp", "MCPP", Type::U64),
    column("ereq", "MCPP", Type::U64),
    column("econ", "MCPP", Type::U64),
    column("eresp", "MCPP", Type::U64),
    column("wretr", "MCPP", Type::U64),
    column("wredis", "MCPP", Type::U64),
    column("status", "SGPV", Type::Str),
    column("weight", "MaPV", Type::U32),
    column("act", "SGPV", Type::U32),
    column("bck", "SGPV", Type::U32),
    column("chkfail", "MCPP", Type::U64),
    column("chkdown", "MCPP", Type::U64),
    column("lastchg", "MAPP", Type::U32),
    column("downtime", "MCPV", Type::U32),
    column("qlimit", "CGSV", Type::U32),
    column("pid", "KGPV", Type::U32),
    column("iid", "KGSV", Type::U32),
    column("sid", "KGSV", Type::U32),
    column("throttle", "MaPV", Type::U32),
    column("lbtot", "MCPP", Type::U64),
    column("tracked", "CNSV", Type::Str),
    column("type", "CGSV", Type::U32),
    column("rate", "MRPP", Type::U32),
    column("rate_lim", "CLPV", Type::U32),
    column("rate_max", "MMPV", Type::U32),
    column("check_status", "MOPV", Type::Str),
    column("check_code", "MOPV", Type::U32),
    column("check_duration", "MDPV", Type::U64),
    column("hrsp_1xx", "MCPP", Type::U64),
    column("hrsp_2xx", "MCPP", Type::U64),
    column("hrsp_3xx", "MCPP", Type::U64),
    column("hrsp_4xx", "MCPP", Type::U64),
    column("hrsp_5xx", "MCPP", Type::U64),
    column("hrsp_other", "MCPP", Type::U64),
    column("hanafail", "MCPP", Type::U64),
    column("req_rate", "MRPP", Type::U32),
    column("req_rate_max", "MMPV", Type::U32),
    column("req_tot", "MCPP", Type::U64),
    column("cli_abrt", "MCPP", Type::U64),
    column("srv_abrt", "MCPP", Type::U64),
    column("comp_in", "MCPP", Type::U64),
    column("comp_out", "MCPP", Type::U64),
    column("comp_byp", "MCPP", Type::U64),
    column("comp_rsp", "MCPP", Type::U64),
    column("lastsess", "MAPP", Type::S32),
    column("last_chk", "MOPV", Type::Str),
    column("last_agt", "MOPV", Type::Str),
    column("qtime", "MaPV", Type::U32),
    column("ctime", "MaPV", Type::U32),
    column("rtime", "MaPV", Type::U32),
    column("ttime", "MaPV", Type::U32),
    column("agent_status", "MOPV", Type::Str),
    column("agent_code", "MOPV", Type::U32),
    column("agent_duration", "MDPV", Type::U64),
    column("check_desc", "MOPV", Type::Str),
    column("agent_desc", "MOPV", Type::Str),
    column("check_rise", "CGSV", Type::U32),
    column("check_fall", "CGSV", Type::U32),
    column("check_health", "CGSV", Type::U32),
    column("agent_rise", "CGSV", Type::U32),
    column("agent_fall", "CGSV", Type::U32),
    column("agent_health", "CGSV", Type::U32),
    column("addr", "CGSV", Type::Str),
    column("cookie", "CNSV", Type::Str),
    column("mode", "CGSV", Type::Str),
    column("algo", "CGSV", Type::Str),
    column("conn_rate", "MRPP", Type::U32),
    column("conn_rate_max", "MMPV", Type::U32),
    column("conn_tot", "MCPP", Type::U64),
    column("intercepted", "MCPP", Type::U64),
    column("dcon", "MCPP", Type::U64),
    column("dses", "MCPP", Type::U64),
    column("wrew", "MCPP", Type::U64),
    column("connect", "MCPP", Type::U64),
    column("reuse", "MCPP", Type::U64),
    column("cache_lookups", "MCPP", Type::U64),
    column("cache_hits", "MCPP", Type::U64),
    column("srv_icur", "MGPV", Type::U32),
    column("src_ilim", "CLPV", Type::U32),
    column("qtime_max", "MMPV", Type::U32),
    column("ctime_max", "MMPV", Type::U32),
    column("rtime_max", "MMPV", Type::U32),
    column("ttime_max", "MMPV", Type::U32),
    column("eint", "MCPP", Type::U64),
    column("idle_conn_cur", "MGPV", Type::U32),
    column("safe_conn_cur", "MGPV", Type::U32),
    column("used_conn_cur", "MGPV", Type::U32),
    column("need_conn_est", "MGPV", Type::U32),
    column("uweight", "MaPV", Type::U32),
    column("agg_server_status", "MGPV", Type::U32),
    column("agg_server_check_status", "MGPV", Type::U32),
    column("agg_check_status", "MGPV", Type::U32),
    column("srid", "MCPV", Type::U32),
    column("sess_other", "MCPV", Type::U64),
    column("h1sess", "MCPP", Type::U64),
    column("h2sess", "MCPP", Type::U64),
    column("h3sess", "MCPP", Type::U64),
    column("req_other", "MCPP", Type::U64),
    column("h1req", "MCPP", Type::U64),
    column("h2req", "MCPP", Type::U64),
    column("h3req", "MCPP", Type::U64),
    column("proto", "SOPV", Type::Str),
    column("priv_idle_cur", "MGPV", Type::U32),
    column("reqbin", "MCPP", Type::U64),
    column("reqbout", "MCPP", Type::U64),
    column("resbin", "MCPP", Type::U64),
    column("resbout", "MCPP", Type::U64),
    column("cache_hint_hits", "MCPP", Type::U64),
    column("-", "", Type::Str),
    column("h2_headers_rcvd", "MCPV", Type::U64),
    column("h2_data_rcvd", "MCPV", Type::U64),
    column("h2_settings_rcvd", "MCPV", Type::U64),
    column("h2_rst_stream_rcvd", "MCPV", Type::U64),
    column("h2_goaway_rcvd", "MCPV", Type::U64),
    column("h2_detected_conn_protocol_errors", "MCPV", Type::U64),
    column("h2_detected_strm_protocol_errors", "MCPV", Type::U64),
    column("h2_rst_stream_resp", "MCPV", Type::U64),
    column("h2_goaway_resp", "MCPV", Type::U64),
    column("h2_open_connections", "MGPV", Type::U64),
    column("h2_backend_open_streams", "MGPV", Type::U64),
    column("h2_total_connections", "MCPV", Type::U64),
    column("h2_backend_total_streams", "MCPV", Type::U64),
    column("ssl_sess", "MCPV", Type::U64),
    column("ssl_reused_sess", "MCPV", Type::U64),
    column("ssl_failed_handshake", "MCPV", Type::U64),
    column("ssl_ocsp_staple", "MCPV", Type::U64),
    column("ssl_failed_ocsp_staple", "MCPV", Type::U64),
    column("h1_open_connections", "MGPV", Type::U64),
    column("h1_open_streams", "MGPV", Type::U64),
    column("h1_total_connections", "MCPV", Type::U64),
    column("h1_total_streams", "MCPV", Type::U64),
    column("h1_bytes_in", "MCPV", Type::U64),
    column("h1_bytes_out", "MCPV", Type::U64),
    column("h1_spliced_bytes_in", "MCPV", Type::U64),
    column("h1_spliced_bytes_out", "MCPV", Type::U64),
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
    "h1sess",
    "h2sess",
    "h3sess",
    "req_other",
    "h1req",
    "h2req",
    "h3req",
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
    "ssl_ocsp_staple",
    "ssl_failed_ocsp_staple",
    "srid",
    "priv_idle_cur",
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
    kind: Kind,
    proxy: u32,
    id: u32,
    cells: Vec<Option<String>>,
}

/// Whose line it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Frontend,
    Server,
    Backend,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Frontend => "Frontend",
            Self::Server => "Server",
            Self::Backend => "Backend",
        }
    }

    /// Where the tags of a column are not the same for all.
    fn tags(self, column: &Column) -> Tags {
        Tags(match (self, column.name) {
            (Self::Backend, "act" | "bck" | "rate_max") => "MGPV",
            _ => column.tags,
        })
    }
}

impl Row {
    pub(super) fn new(kind: Kind, proxy: u32, id: u32) -> Self {
        let mut row = Self { kind, proxy, id, cells: vec![None; COLUMNS.len()] };
        row.set("pid", 1);
        row.set("iid", proxy);
        row.set("sid", id);
        row.set(
            "type",
            match kind {
                Kind::Frontend => 0,
                Kind::Backend => 1,
                Kind::Server => 2,
            },
        );
        row
    }

    /// Fills a column. A column that does not exist is a mistake of ours, which a test finds.
    pub(super) fn set(&mut self, column: &str, value: impl fmt::Display) {
        let index = COLUMNS.iter().position(|known| known.name == column);
        debug_assert!(index.is_some(), "no column {column}");
        if let Some(index) = index {
            self.cells[index] = Some(value.to_string());
        }
    }

    pub(super) fn zeros(&mut self, columns: &[&str]) {
        for column in columns {
            self.set(column, 0);
        }
    }

    /// All columns of modules: frontends and backends have them, servers a few.
    pub(super) fn module_zeros(&mut self) {
        let after = COLUMNS.iter().skip_while(|column| column.name != SEPARATOR).skip(1);
        for column in after {
            self.set(column.name, 0);
        }
    }

    /// Columns that hold something, with their position: the separator has none.
    fn filled(&self) -> impl Iterator<Item = (usize, &'static Column, &str)> {
        let columns = COLUMNS.iter().zip(&self.cells);
        let columns = columns.filter(|(column, _)| column.name != SEPARATOR).enumerate();
        columns.filter_map(|(at, (column, cell))| Some((at, column, cell.as_deref()?)))
    }

    /// `F.2.0.4.scur.1:MGPV:u32:0`, a line each.
    pub(super) fn typed(&self, out: &mut String, described: bool) {
        for (at, column, value) in self.filled() {
            let Column { name, kind, .. } = column;
            let (letter, tags) = (&self.kind.name()[..1], self.kind.tags(column).0);
            let (proxy, id, kind) = (self.proxy, self.id, kind.name());
            // Writing to a string does not fail.
            let _ = write!(out, "{letter}.{proxy}.{id}.{at}.{name}.1:{tags}:{kind}:{value}");
            let _ = match described {
                true => writeln!(out, ":\"{name}\""),
                false => writeln!(out),
            };
        }
    }

    /// An array of all values.
    pub(super) fn json(&self, out: &mut String) {
        for (count, (at, column, value)) in self.filled().enumerate() {
            let start = if count == 0 { '[' } else { ',' };
            let (object, proxy, id) = (self.kind.name(), self.proxy, self.id);
            // Writing to a string does not fail.
            let _ =
                write!(out, "{start}{{\"objType\":\"{object}\",\"proxyId\":{proxy},\"id\":{id},");
            format::json(out, at, column.name, self.kind.tags(column), column.kind, value);
            out.push('}');
        }
        out.push(']');
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (column, cell) in COLUMNS.iter().zip(&self.cells) {
            match cell {
                Some(cell) => write!(f, "{},", quoted(cell))?,
                None if column.name == SEPARATOR => f.write_str("-,")?,
                None => f.write_str(",")?,
            }
        }
        Ok(())
    }
}

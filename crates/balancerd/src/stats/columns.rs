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

/// Those of HAProxy 3.2 without QUIC, in its order.
pub(super) const COLUMNS: &[Column] = &[
    column("pxname", "KNS", Type::Str),
    column("svname", "KNS", Type::Str),
    column("qcur", "MGP", Type::U32),
    column("qmax", "MMP", Type::U32),
    column("scur", "MGP", Type::U32),
    column("smax", "MMP", Type::U32),
    column("slim", "CLP", Type::U32),
    column("stot", "MCP", Type::U64),
    column("bin", "MCP", Type::U64),
    column("bout", "MCP", Type::U64),
    column("dreq", "MCP", Type::U64),
    column("dresp", "MCP", Type::U64),
    column("ereq", "MCP", Type::U64),
    column("econ", "MCP", Type::U64),
    column("eresp", "MCP", Type::U64),
    column("wretr", "MCP", Type::U64),
    column("wredis", "MCP", Type::U64),
    column("status", "SGP", Type::Str),
    column("weight", "MaP", Type::U32),
    column("act", "SGP", Type::U32),
    column("bck", "SGP", Type::U32),
    column("chkfail", "MCP", Type::U64),
    column("chkdown", "MCP", Type::U64),
    column("lastchg", "MAP", Type::U32),
    column("downtime", "MCP", Type::U32),
    column("qlimit", "CGS", Type::U32),
    column("pid", "KGP", Type::U32),
    column("iid", "KGS", Type::U32),
    column("sid", "KGS", Type::U32),
    column("throttle", "MaP", Type::U32),
    column("lbtot", "MCP", Type::U64),
    column("tracked", "CNS", Type::Str),
    column("type", "CGS", Type::U32),
    column("rate", "MRP", Type::U32),
    column("rate_lim", "CLP", Type::U32),
    column("rate_max", "MMP", Type::U32),
    column("check_status", "MOP", Type::Str),
    column("check_code", "MOP", Type::U32),
    column("check_duration", "MDP", Type::U64),
    column("hrsp_1xx", "MCP", Type::U64),
    column("hrsp_2xx", "MCP", Type::U64),
    column("hrsp_3xx", "MCP", Type::U64),
    column("hrsp_4xx", "MCP", Type::U64),
    column("hrsp_5xx", "MCP", Type::U64),
    column("hrsp_other", "MCP", Type::U64),
    column("hanafail", "MCP", Type::U64),
    column("req_rate", "MRP", Type::U32),
    column("req_rate_max", "MMP", Type::U32),
    column("req_tot", "MCP", Type::U64),
    column("cli_abrt", "MCP", Type::U64),
    column("srv_abrt", "MCP", Type::U64),
    column("comp_in", "MCP", Type::U64),
    column("comp_out", "MCP", Type::U64),
    column("comp_byp", "MCP", Type::U64),
    column("comp_rsp", "MCP", Type::U64),
    column("lastsess", "MAP", Type::S32),
    column("last_chk", "MOP", Type::Str),
    column("last_agt", "MOP", Type::Str),
    column("qtime", "MaP", Type::U32),
    column("ctime", "MaP", Type::U32),
    column("rtime", "MaP", Type::U32),
    column("ttime", "MaP", Type::U32),
    column("agent_status", "MOP", Type::Str),
    column("agent_code", "MOP", Type::U32),
    column("agent_duration", "MDP", Type::U64),
    column("check_desc", "MOP", Type::Str),
    column("agent_desc", "MOP", Type::Str),
    column("check_rise", "CGS", Type::U32),
    column("check_fall", "CGS", Type::U32),
    column("check_health", "CGS", Type::U32),
    column("agent_rise", "CGS", Type::U32),
    column("agent_fall", "CGS", Type::U32),
    column("agent_health", "CGS", Type::U32),
    column("addr", "CGS", Type::Str),
    column("cookie", "CNS", Type::Str),
    column("mode", "CGS", Type::Str),
    column("algo", "CGS", Type::Str),
    column("conn_rate", "MRP", Type::U32),
    column("conn_rate_max", "MMP", Type::U32),
    column("conn_tot", "MCP", Type::U64),
    column("intercepted", "MCP", Type::U64),
    column("dcon", "MCP", Type::U64),
    column("dses", "MCP", Type::U64),
    column("wrew", "MCP", Type::U64),
    column("connect", "MCP", Type::U64),
    column("reuse", "MCP", Type::U64),
    column("cache_lookups", "MCP", Type::U64),
    column("cache_hits", "MCP", Type::U64),
    column("srv_icur", "MGP", Type::U32),
    column("src_ilim", "CLP", Type::U32),
    column("qtime_max", "MMP", Type::U32),
    column("ctime_max", "MMP", Type::U32),
    column("rtime_max", "MMP", Type::U32),
    column("ttime_max", "MMP", Type::U32),
    column("eint", "MCP", Type::U64),
    column("idle_conn_cur", "MGP", Type::U32),
    column("safe_conn_cur", "MGP", Type::U32),
    column("used_conn_cur", "MGP", Type::U32),
    column("need_conn_est", "MGP", Type::U32),
    column("uweight", "MaP", Type::U32),
    column("agg_server_status", "MGP", Type::U32),
    column("agg_server_check_status", "MGP", Type::U32),
    column("agg_check_status", "MGP", Type::U32),
    column("srid", "MCP", Type::U32),
    column("sess_other", "MCP", Type::U64),
    column("h1sess", "MCP", Type::U64),
    column("h2sess", "MCP", Type::U64),
    column("h3sess", "MCP", Type::U64),
    column("req_other", "MCP", Type::U64),
    column("h1req", "MCP", Type::U64),
    column("h2req", "MCP", Type::U64),
    column("h3req", "MCP", Type::U64),
    column("proto", "SOP", Type::Str),
    column("-", "", Type::Str),
    column("ssl_sess", "MCP", Type::U64),
    column("ssl_reused_sess", "MCP", Type::U64),
    column("ssl_failed_handshake", "MCP", Type::U64),
    column("ssl_ocsp_staple", "MCP", Type::U64),
    column("ssl_failed_ocsp_staple", "MCP", Type::U64),
    column("h2_headers_rcvd", "MCP", Type::U64),
    column("h2_data_rcvd", "MCP", Type::U64),
    column("h2_settings_rcvd", "MCP", Type::U64),
    column("h2_rst_stream_rcvd", "MCP", Type::U64),
    column("h2_goaway_rcvd", "MCP", Type::U64),
    column("h2_detected_conn_protocol_errors", "MCP", Type::U64),
    column("h2_detected_strm_protocol_errors", "MCP", Type::U64),
    column("h2_rst_stream_resp", "MCP", Type::U64),
    column("h2_goaway_resp", "MCP", Type::U64),
    column("h2_open_connections", "MGP", Type::U64),
    column("h2_backend_open_streams", "MGP", Type::U64),
    column("h2_total_connections", "MCP", Type::U64),
    column("h2_backend_total_streams", "MCP", Type::U64),
    column("h1_open_connections", "MGP", Type::U64),
    column("h1_open_streams", "MGP", Type::U64),
    column("h1_total_connections", "MCP", Type::U64),
    column("h1_total_streams", "MCP", Type::U64),
    column("h1_bytes_in", "MCP", Type::U64),
    column("h1_bytes_out", "MCP", Type::U64),
    column("h1_spliced_bytes_in", "MCP", Type::U64),
    column("h1_spliced_bytes_out", "MCP", Type::U64),
];

/// Columns that hold 0 for a frontend, a server and a backend, whatever happens here.
pub(super) const FRONTEND_ZEROS: &[&str] = &[
    "dreq",
    "dresp",
    "ereq",
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
    "wrew",
    "reuse",
    "srv_icur",
    "eint",
    "idle_conn_cur",
    "safe_conn_cur",
    "ssl_sess",
    "ssl_reused_sess",
    "ssl_failed_handshake",
    "ssl_ocsp_staple",
    "ssl_failed_ocsp_staple",
    "srid",
];

/// See [`FRONTEND_ZEROS`].
pub(super) const BACKEND_ZEROS: &[&str] = &[
    "dreq",
    "dresp",
    "comp_in",
    "comp_out",
    "comp_byp",
    "comp_rsp",
    "wrew",
    "reuse",
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
    Listener,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Frontend => "Frontend",
            Self::Server => "Server",
            Self::Backend => "Backend",
            Self::Listener => "Listener",
        }
    }

    /// Where the tags of a column are not the same for all.
    fn tags(self, column: &Column) -> Tags {
        Tags(match (self, column.name) {
            (Self::Backend, "act" | "bck" | "rate_max") => "MGP",
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
                Kind::Listener => 3,
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

    /// `F.2.0.4.scur.1:MGP:u32:0`, a line each.
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

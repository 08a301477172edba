//! The directives of each context, one row each.

pub(crate) mod active;
mod events;
mod main;
mod scope;
mod session;
mod stream;
mod tls;
mod upstream;

use conf::{Form, Keyword, Within};

pub(crate) use events::EVENTS;
pub(crate) use main::MAIN;
pub(crate) use scope::SCOPE;
pub(crate) use stream::{SERVER, STREAM, shown};
pub(crate) use tls::TLS;
pub(crate) use upstream::UPSTREAM;

/// Outside of every block.
pub(crate) const IN_MAIN: Within = Within(1);
/// `events {}`.
pub(crate) const IN_EVENTS: Within = Within(2);
/// `stream {}`.
pub(crate) const IN_STREAM: Within = Within(4);
/// `server {}` of `stream {}`.
pub(crate) const IN_SERVER: Within = Within(8);
/// `upstream {}` of `stream {}`.
pub(crate) const IN_UPSTREAM: Within = Within(16);

/// What the walk needs of a row, whatever it fills in.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) within: Within,
    pub(crate) block: bool,
    /// How many words of the statement name it.
    pub(crate) named: usize,
    /// Least and most arguments, where the row says.
    pub(crate) arity: Option<(usize, usize)>,
}

/// Every row whose name begins with `name`, in every table.
pub(crate) fn shapes(name: &str) -> Vec<(Shape, &'static str)> {
    let mut found = Vec::new();
    collect(MAIN, name, &mut found);
    collect(EVENTS, name, &mut found);
    collect(STREAM, name, &mut found);
    collect(SCOPE, name, &mut found);
    collect(TLS, name, &mut found);
    collect(SERVER, name, &mut found);
    collect(UPSTREAM, name, &mut found);
    found
}

/// The names of a context, for "did you mean".
pub(crate) fn names(within: Within) -> Vec<&'static str> {
    fn of<T>(table: &[Keyword<T>], within: Within, found: &mut Vec<&'static str>) {
        found.extend(table.iter().filter(|k| k.within.includes(within)).map(|k| k.name));
    }
    let mut found = Vec::new();
    of(MAIN, within, &mut found);
    of(EVENTS, within, &mut found);
    of(STREAM, within, &mut found);
    of(SCOPE, within, &mut found);
    of(TLS, within, &mut found);
    of(SERVER, within, &mut found);
    of(UPSTREAM, within, &mut found);
    found
}

fn collect<T>(table: &[Keyword<T>], name: &str, found: &mut Vec<(Shape, &'static str)>) {
    for row in table.iter().filter(|k| k.name.split(' ').next() == Some(name)) {
        let (block, arity) = match &row.form {
            Form::Flag(_) => (false, Some((0, 0))),
            Form::Words(_, arity, _) => (false, Some((*arity.start(), *arity.end()))),
            Form::Whole("", _) => (false, Some((0, 0))),
            Form::Whole(usage, _) | Form::Known(usage) => (usage.contains('{'), None),
            Form::Block(..) | Form::Lines(..) => (true, None),
            _ => (false, Some((1, 1))),
        };
        let named = row.name.split(' ').count();
        found.push((Shape { within: row.within, block, named, arity }, row.name));
    }
}

/// Directives that may be given more than once in one context. All others are "duplicate".
pub(crate) fn repeats(name: &str) -> bool {
    const REPEATS: &[&str] = &[
        "access_log",
        "allow",
        "debug_connection",
        "deny",
        "env",
        "error_log",
        "geo",
        "hash",
        "include",
        "least_conn",
        "least_time",
        "limit_conn",
        "limit_conn_zone",
        "listen",
        "load_module",
        "log_format",
        "map",
        "match",
        "proxy_ssl_conf_command",
        "random",
        "server",
        "server_name",
        "set",
        "set_real_ip_from",
        "split_clients",
        "ssl_certificate",
        "ssl_certificate_key",
        "ssl_conf_command",
        "thread_pool",
        "upstream",
        "worker_cpu_affinity",
        "zone",
    ];
    REPEATS.contains(&name)
}

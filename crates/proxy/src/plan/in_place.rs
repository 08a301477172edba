//! What a process can go over to while it runs.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::config::{
    Backend, Bind, BindAddress, Config, Frontend, Inbound, Process, Running, StickTable,
};

/// A `bind` line: the position of its frontend, and its own.
pub type BindPlace = (usize, usize);

/// Why a process that serves one configuration cannot go over to another, in the words of its log;
/// `None` if nothing in the configurations stands in the way.
///
/// Frontends, backends, servers and addresses may come, go and change. What a process does once,
/// before it gives up its rights, it cannot do again.
#[must_use]
pub fn obstacle(old: &Running, new: &Config) -> Option<&'static str> {
    if old.flavour != new.flavour {
        return Some("another program's manners");
    }
    let mut same: Process = (*old.process).clone();
    let process = new.process.clone();
    same.hard_stop_after = process.hard_stop_after;
    same.stats_timeout = process.stats_timeout;
    same.connection_rate = process.connection_rate;
    same.session_rate = process.session_rate;
    same.tls_rate = process.tls_rate;
    same.node = process.node.clone();
    same.description = process.description.clone();
    same.spread_checks = process.spread_checks;
    same.max_spread_checks = process.max_spread_checks;
    same.server_verify_none = process.server_verify_none;
    same.ca_base = process.ca_base.clone();
    same.quiet = process.quiet;
    same.pidfile = process.pidfile.clone();
    // Log files that are not open yet are looked for when they are needed.
    same.log = process.log.clone();
    same.log_tag = process.log_tag.clone();
    same.log_hostname = process.log_hostname.clone();
    same.error_log = process.error_log.clone();
    same.variables = process.variables.clone();
    same.set_variables = process.set_variables.clone();
    same.limit_zones = process.limit_zones.clone();
    // Capabilities are given up once.
    let capabilities = std::mem::take(&mut same.global.capabilities);
    same.global = process.global.clone();
    same.global.capabilities = capabilities;
    same.maxconn = process.maxconn;
    // Names that were asked for are asked for anew.
    same.resolvers = process.resolvers.clone();
    same.tables = process.tables.clone();
    if same != process {
        return Some("what concerns the process itself changed");
    }
    if !told_to_peers(&old.process.tables).eq(told_to_peers(&process.tables)) {
        return Some("peers have to be told of other tables");
    }
    let moved = moves(&old.frontends, &new.frontends);
    for ((frontend, bind), (to, at)) in &moved {
        let (old, new) = (&old.frontends[*frontend].binds[*bind], &new.frontends[*to].binds[*at]);
        if !same_socket(old, new) {
            return Some("an address is listened on in another way");
        }
    }
    let kept: Vec<_> = moved.values().collect();
    for (frontend, line) in new.frontends.iter().enumerate().filter(|(_, one)| !one.disabled) {
        for (bind, line) in line.binds.iter().enumerate() {
            if matches!(line.address, BindAddress::Fd(_)) && !kept.contains(&&(frontend, bind)) {
                return Some("a socket is inherited that was not before");
            }
        }
    }
    None
}

/// What peers know of tables: those that are shared, but for their size.
fn told_to_peers(tables: &[StickTable]) -> impl Iterator<Item = StickTable> {
    tables.iter().filter(|table| table.peers.is_some()).map(|table| {
        let mut table = table.clone();
        (table.config.size, table.config.nopurge) = (0, false);
        table
    })
}

/// Whether a socket of one line does for the other.
fn same_socket(old: &Bind, new: &Bind) -> bool {
    let comparable = |bind: &Bind| Bind {
        name: None,
        id: 0,
        maxconn: None,
        backlog: None,
        proxy_protocol: false,
        // What TLS is spoken with is no part of a socket.
        inbound: bind.inbound.clone().map(|inbound| Box::new(Inbound { tls: None, ..*inbound })),
        ..bind.clone()
    };
    comparable(old) == comparable(new)
}

/// Where the `bind` lines of the old frontends stand among the new ones: those that listen keep
/// their sockets, known by their addresses.
#[must_use]
pub fn moves<A, B>(old: &[A], new: &[B]) -> HashMap<BindPlace, BindPlace>
where
    A: AsRef<Frontend>,
    B: AsRef<Frontend>,
{
    let mut places: HashMap<(&BindAddress, bool), Vec<BindPlace>> = HashMap::new();
    for (at, bind) in listening(new) {
        places.entry((&bind.address, bind.udp)).or_default().push(at);
    }
    // The first of those that are alike comes first again.
    places.values_mut().for_each(|places| places.reverse());
    listening(old)
        .filter_map(|(at, bind)| Some((at, places.get_mut(&(&bind.address, bind.udp))?.pop()?)))
        .collect()
}

fn listening<F: AsRef<Frontend>>(frontends: &[F]) -> impl Iterator<Item = (BindPlace, &Bind)> {
    let open = frontends.iter().enumerate().filter(|(_, frontend)| !frontend.as_ref().disabled);
    open.flat_map(|(at, frontend)| {
        frontend.as_ref().binds.iter().enumerate().map(move |(bind, line)| ((at, bind), line))
    })
}

impl AsRef<Self> for Frontend {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl AsRef<Self> for Backend {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// What is different in the second one, for people: `backend be: server s3 added; frontend fe
/// changed`. `nothing changed` if that is so.
#[must_use]
pub fn told(old: &Running, new: &Running) -> String {
    let mut out = String::new();
    let mut say = |text: std::fmt::Arguments<'_>| {
        if !out.is_empty() {
            out.push_str("; ");
        }
        // Writing to a string does not fail.
        let _ = out.write_fmt(text);
    };
    for part in of_process(&old.process, &new.process) {
        say(format_args!("{part}"));
    }
    let old_frontends: Vec<_> = old.frontends.iter().map(|one| one.name.as_str()).collect();
    let new_frontends: Vec<_> = new.frontends.iter().map(|one| one.name.as_str()).collect();
    for (name, change) in changes(&old_frontends, &new_frontends) {
        match change {
            Change::Added => say(format_args!("frontend {name} added")),
            Change::Removed => say(format_args!("frontend {name} removed")),
            Change::Kept(was, at) => {
                // A backend that moved in the file is no change of who sends there.
                let mut was = (*old.frontends[was]).clone();
                let now = &new.frontends[at];
                if backend_name(old, &was) == backend_name(new, now) {
                    was.default_backend = now.default_backend;
                }
                if was != **now {
                    say(format_args!("frontend {name} changed"));
                }
            }
        }
    }
    let old_backends: Vec<_> = old.backends.iter().map(|one| one.name.as_str()).collect();
    let new_backends: Vec<_> = new.backends.iter().map(|one| one.name.as_str()).collect();
    for (name, change) in changes(&old_backends, &new_backends) {
        match change {
            Change::Added => say(format_args!("backend {name} added")),
            Change::Removed => say(format_args!("backend {name} removed")),
            Change::Kept(was, at) => {
                let (old, new) = (&old.backends[was], &new.backends[at]);
                if old != new {
                    say(format_args!("backend {name}: {}", inside(old, new)));
                }
            }
        }
    }
    if out.is_empty() { "nothing changed".to_owned() } else { out }
}

/// What is different in what concerns the whole process.
fn of_process(old: &Process, new: &Process) -> Vec<String> {
    let mut said = Vec::new();
    let mut rest = old.clone();
    (rest.maxconn, rest.tables) = (new.maxconn, new.tables.clone());
    rest.resolvers = new.resolvers.clone();
    if rest != *new {
        said.push("global changed".to_owned());
    }
    if let (true, Some(most)) = (old.maxconn != new.maxconn, new.maxconn) {
        said.push(format!("maxconn {most}"));
    } else if old.maxconn != new.maxconn {
        said.push("maxconn from the limit of open files".to_owned());
    }
    let known = |kept: &StickTable, now: &StickTable| match kept.config.fits(&now.config) {
        true => "changed",
        false => "changed, and begun anew",
    };
    said.extend(
        sections(&old.tables, &new.tables, |table| &table.name, known)
            .map(|text| format!("table {text}")),
    );
    said.extend(
        sections(&old.resolvers, &new.resolvers, |one| &one.name, |_, _| "changed")
            .map(|text| format!("resolvers {text}")),
    );
    said
}

/// Names, and what became of them.
fn sections<'a, T: PartialEq>(
    old: &'a [T],
    new: &'a [T],
    name: impl Fn(&'a T) -> &'a str,
    changed: impl Fn(&T, &T) -> &'static str,
) -> impl Iterator<Item = String> {
    let old_names: Vec<&str> = old.iter().map(&name).collect();
    let new_names: Vec<&str> = new.iter().map(&name).collect();
    let all = changes(&old_names, &new_names);
    all.into_iter().filter_map(move |(name, change)| match change {
        Change::Added => Some(format!("{name} added")),
        Change::Removed => Some(format!("{name} removed")),
        Change::Kept(was, at) if old[was] != new[at] => {
            Some(format!("{name} {}", changed(&old[was], &new[at])))
        }
        Change::Kept(..) => None,
    })
}

fn backend_name<'a>(config: &'a Running, frontend: &Frontend) -> Option<&'a str> {
    config.backend_of(frontend).map(|backend| backend.name.as_str())
}

/// What is different in a backend.
fn inside(old: &Backend, new: &Backend) -> String {
    /// More than so many are counted.
    const NAMED: usize = 8;
    let old_names: Vec<_> = old.servers.iter().map(|one| one.name.as_str()).collect();
    let new_names: Vec<_> = new.servers.iter().map(|one| one.name.as_str()).collect();
    let mut lists: [(&str, Vec<&str>); 3] =
        [("added", vec![]), ("removed", vec![]), ("changed", vec![])];
    for (name, change) in changes(&old_names, &new_names) {
        let list = match change {
            Change::Added => 0,
            Change::Removed => 1,
            Change::Kept(was, at) if old.servers[was] != new.servers[at] => 2,
            Change::Kept(..) => continue,
        };
        lists[list].1.push(name);
    }
    let mut parts: Vec<String> = lists
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| match names.as_slice() {
            [one] => format!("server {one} {what}"),
            many if many.len() <= NAMED => format!("servers {} {what}", many.join(" ")),
            many => format!("{} servers {what}", many.len()),
        })
        .collect();
    let without = |backend: &Backend| Backend { servers: vec![], ..backend.clone() };
    if without(old) != without(new) {
        parts.insert(0, "changed".to_owned());
    }
    if parts.is_empty() { "servers in another order".to_owned() } else { parts.join(", ") }
}

enum Change {
    Added,
    Removed,
    Kept(usize, usize),
}

/// Those of the new in their order, then those that are gone.
fn changes<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(&'a str, Change)> {
    let mut known: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, name) in old.iter().enumerate().rev() {
        known.entry(name).or_default().push(at);
    }
    let mut found = Vec::with_capacity(new.len());
    for (at, name) in new.iter().enumerate() {
        let was = known.get_mut(name).and_then(Vec::pop);
        found.push((*name, was.map_or(Change::Added, |was| Change::Kept(was, at))));
    }
    let mut gone: Vec<_> = known.into_values().flatten().collect();
    gone.sort_unstable();
    found.extend(gone.into_iter().map(|at| (old[at], Change::Removed)));
    found
}

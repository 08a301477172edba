//! Drafts → the proxy model: levels merged, names resolved, addresses compared.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use balance::{Algorithm, Passive};
use conf::{Binder, Problem, Sources, Word};
use proxy::{
    Backend, BackendIndex, Bind, BindAddress, Config, Discovery, ErrorLog, ErrorLogTarget, Flavour,
    Frontend, FrontendKind, HalfClose, KeepAlive, NextUpstream, Origin, Outbound, Server,
    ServerAddress, Threads,
};

use crate::address::{self, Host, Use};
use crate::draft::{self, Events, LocalAddress, Main, Peer, Rate, Scope, Upstream, addresses};
use crate::http::Site;
use crate::table::shown;
use crate::wording::NOWHERE;
use crate::{Options, lex};

mod names;
mod session;
mod tls;
mod variables;

pub(crate) use variables::Names;

/// What nginx is compiled with on Debian.
const PID: &str = "/run/nginx.pid";
const USER: &str = "nobody";

/// The addresses one line with `resolve` may have at a time.
const SLOTS: usize = 128;

/// The group of that user: Debian's name of it, and that of others.
const GROUPS: [&str; 2] = ["nogroup", "nobody"];

/// What every level starts from.
pub(crate) fn process(
    main: &Main,
    events: Option<&Events>,
    options: &Options,
    config: &mut Config,
) {
    let process = &mut config.process;
    process.daemon = main.daemon.unwrap_or(true);
    process.master_worker = main.master_process.unwrap_or(true);
    process.pidfile = Some(options.prefix.join(main.pid.as_deref().unwrap_or(PID)));
    if options.lookups.superuser {
        let group = || GROUPS.iter().find(|group| (options.lookups.group)(group));
        let default = || (USER.to_owned(), group().map(|group| (*group).to_owned()));
        let (user, group) = main.user.clone().unwrap_or_else(default);
        process.user = Some(user);
        process.group = group;
    }
    process.threads = main.workers.unwrap_or(Threads::Count(1));
    process.nofile = main.nofile.map(u64::from);
    process.core_limit = main.core;
    process.niceness = main.niceness;
    process.hard_stop_after = main.shutdown_timeout;
    process.working_directory =
        main.working_directory.as_ref().map(|directory| options.prefix.join(directory));
    process.error_log = absolute(&main.error_log, &options.prefix);
    if process.error_log.is_empty() {
        let target = match options.error_log.as_deref() {
            None | Some("stderr") => ErrorLogTarget::Stderr,
            Some(path) => ErrorLogTarget::File(options.prefix.join(path)),
        };
        process.error_log.push(ErrorLog { target, level: proxy::Severity::Error });
    }
    if let Some(connections) = events.and_then(|events| events.connections) {
        let workers = match process.threads {
            Threads::Count(workers) => u32::from(workers),
            Threads::Auto => std::thread::available_parallelism()
                .map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
        };
        // In each worker of nginx a listening socket takes one, as does the line to the master.
        let listening: usize = config.frontends.iter().map(|f| f.binds.len()).sum();
        let own = listening + usize::from(process.master_worker);
        let free = connections.saturating_sub(u32::try_from(own).unwrap_or(u32::MAX));
        process.worker_connections = Some(connections);
        process.maxconn = Some((free / 2).saturating_mul(workers).max(1));
    }
}

fn absolute(logs: &[ErrorLog], prefix: &Path) -> Vec<ErrorLog> {
    let mut logs = logs.to_vec();
    for log in &mut logs {
        if let ErrorLogTarget::File(path) = &mut log.target {
            *path = prefix.join(&*path);
        }
    }
    logs
}

/// The servers of `stream {}`.
pub(crate) fn stream(
    stream: &draft::Stream,
    names: &Names<'_>,
    sources: &Sources,
    options: &Options,
    directory: &Path,
    binder: &mut Binder,
) -> Config {
    let mut lower = Lower {
        stream,
        sources,
        options,
        directory,
        binder,
        config: Config::new(Flavour::Nginx),
        first_use: HashMap::new(),
        defined: variables::defined(stream, names),
    };
    lower.variables();
    lower.servers();
    for upstream in &stream.upstreams {
        lower.peers_of(upstream);
    }
    lower.unknown_variables(names);
    lower.unknown_zones();
    share_ports(&mut lower.config);
    lower.config
}

/// The servers a session may go to, and who is next.
struct Group {
    name: String,
    servers: Vec<Server>,
    algorithm: Option<Algorithm>,
    key: Option<proxy::variable::Template>,
    queue: Option<(u32, Duration)>,
    discoveries: Vec<Discovery>,
}

struct Lower<'a> {
    stream: &'a draft::Stream,
    sources: &'a Sources,
    options: &'a Options,
    /// Where the configuration file is.
    directory: &'a Path,
    binder: &'a mut Binder,
    config: Config,
    /// The first backend of each upstream, by its name in lower case.
    first_use: HashMap<String, BackendIndex>,
    /// The variables the configuration defines, in lower case.
    defined: Vec<String>,
}

impl<'a> Lower<'a> {
    fn error(&mut self, at: conf::Span, message: String) {
        self.binder.error(at, Problem::Other(message));
    }

    fn origin(&self, span: conf::Span) -> Origin {
        let line = lex::line_of_terminator(self.sources, span);
        let file = self.sources.name(span.file).to_owned();
        Origin { file, line: u32::try_from(line).unwrap_or(0) }
    }

    /// The frontend of a `server` with some of its addresses, or with none: then others send it
    /// sessions by name.
    fn server(&mut self, server: &draft::Server, binds: Vec<Bind>) {
        let scope = server.scope.or(&self.stream.scope);
        let (backend, content) = self.content(server, &scope);
        if let (Some((check, name)), Some(backend)) = (&server.check, backend) {
            self.active_check(check, name.as_ref(), backend, &scope);
        }
        let id = self.config.frontends.len() as u32 + 1;
        let first = server.listens.iter().flat_map(|listen| &listen.binds).next();
        let Some(first) = binds.first().or(first) else { return };
        let mut frontend = Frontend::new(id, shown(&first.address));
        frontend.kind = FrontendKind::NginxServer;
        frontend.binds = binds;
        frontend.default_backend = backend;
        frontend.backlog = Some(511);
        frontend.error_log = absolute(&scope.error_log, &self.options.prefix);
        frontend.keepalive = server.listens.iter().find_map(|listen| listen.keepalive);
        frontend.nodelay = scope.nodelay.unwrap_or(true);
        frontend.nginx = self.session(server, &scope, content, &frontend.binds);
        self.config.frontends.push(frontend);
    }

    /// `health_check` belongs to the upstream, whichever `server` has it.
    fn active_check(
        &mut self,
        check: &proxy::ActiveCheck,
        name: Option<&Word>,
        backend: BackendIndex,
        scope: &Scope,
    ) {
        let named = |name: &Word| self.stream.matches.iter().find(|one| one.name == name.text);
        let matching = name.and_then(named).cloned();
        if let (Some(name), None) = (name, &matching) {
            self.error(name.span, format!("match \"{}\" is not found", name.text));
        }
        let BackendIndex(index) =
            self.config.backends[backend.0].shares_servers_with.unwrap_or(backend);
        let timeout = scope.check_timeout.unwrap_or(check.timeout);
        let check = proxy::ActiveCheck { timeout, matching, ..check.clone() };
        self.config.backends[index].active_check.get_or_insert(Box::new(check));
    }

    /// The backend of one `server`: its upstream's servers with the server's own timeouts.
    fn backend(&mut self, pass: &Word, scope: &Scope) -> Option<BackendIndex> {
        let to = match self.upstream(pass)? {
            Some(upstream) => self.group(upstream)?,
            None => Group {
                name: pass.text.clone(),
                servers: self.literal(pass)?,
                algorithm: None,
                key: None,
                queue: None,
                discoveries: vec![],
            },
        };
        Some(self.backend_to(to, scope))
    }

    /// What an upstream is made of, or a complaint about it.
    fn group(&mut self, upstream: &Upstream) -> Option<Group> {
        let servers = self.peers_of(upstream)?;
        let key = upstream.key.as_ref().map(|key| self.template(key));
        let discoveries = self.discoveries(upstream)?;
        let name = upstream.name.clone();
        let (algorithm, queue) = (upstream.method, upstream.queue);
        Some(Group { name, servers, algorithm, key, queue, discoveries })
    }

    fn backend_to(&mut self, to: Group, scope: &Scope) -> BackendIndex {
        let index = BackendIndex(self.config.backends.len());
        let key = to.name.to_ascii_lowercase();
        let tls = self.tls(&to.name, &scope.tls);
        let mut backend = Backend::new(index.0 as u32 + 1, to.name);
        backend.servers = to.servers;
        backend.discoveries = to.discoveries;
        for server in &mut backend.servers {
            server.send_proxy = scope.send_proxy.flatten();
        }
        backend.algorithm = to.algorithm.unwrap_or(Algorithm::SmoothRoundRobin);
        backend.hash_key = to.key;
        if let Some((queue, timeout)) = to.queue {
            (backend.queue, backend.queue_timeout) = (queue, Some(timeout));
        }
        backend.shares_servers_with = self.first_use.get(&key).copied();
        backend.send_proxy = scope.send_proxy.flatten();
        let rates = [&scope.upload_rate, &scope.download_rate].map(|rate| match rate {
            None => (0, None),
            Some(Rate::Fixed(rate)) => (*rate, None),
            Some(Rate::Text(text)) => (0, Some(self.template(text))),
        });
        let [(upload, upload_text), (download, download_text)] = rates;
        (backend.upload_rate, backend.download_rate) = (upload, download);
        backend.rate_texts = [upload_text, download_text];
        backend.requests = scope.requests.unwrap_or(0);
        backend.responses = scope.responses;
        backend.resolver = scope.resolver.clone();
        if let (Some(resolver), Some(timeout)) = (&mut backend.resolver, scope.resolver_timeout) {
            resolver.timeout = timeout;
        }
        backend.retries = 0;
        backend.connect_timeout = Some(scope.connect_timeout.unwrap_or(Duration::from_secs(60)));
        backend.idle_timeout = Some(scope.timeout.unwrap_or(Duration::from_secs(600)));
        backend.half_close = match scope.half_close {
            Some(true) => HalfClose::Forward,
            _ => HalfClose::CloseBoth,
        };
        backend.next_upstream = Some(NextUpstream {
            enabled: scope.next_upstream.unwrap_or(true),
            tries: scope.next_upstream_tries.unwrap_or(0),
            timeout: scope.next_upstream_timeout.unwrap_or_default(),
        });
        backend.keepalive = (scope.socket_keepalive == Some(true)).then(KeepAlive::default);
        backend.nodelay = scope.nodelay.unwrap_or(true);
        match scope.bind.clone().flatten() {
            None => {}
            Some(LocalAddress::Fixed(address)) => backend.source = Some(address),
            Some(LocalAddress::Foreign(foreign)) => {
                let foreign = Some(foreign);
                backend.outbound = Some(Box::new(Outbound { foreign, ..Outbound::default() }));
            }
            Some(LocalAddress::Text(text)) => backend.source_text = Some(self.template(&text)),
        }
        let buffers = [scope.socket_receive_buffer, scope.socket_send_buffer];
        let [receive_buffer, send_buffer] =
            buffers.map(|bytes| bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)));
        if receive_buffer.is_some() || send_buffer.is_some() {
            let outbound = backend.outbound.get_or_insert_default();
            (outbound.receive_buffer, outbound.send_buffer) = (receive_buffer, send_buffer);
        }
        if let Some(tls) = tls {
            backend.outbound.get_or_insert_default().tls = Some(tls);
        }
        self.first_use.entry(key).or_insert(index);
        self.config.backends.push(backend);
        index
    }

    /// The upstream `proxy_pass` names, if it names one; the outer `None` follows a complaint.
    fn upstream(&mut self, pass: &Word) -> Option<Option<&'a Upstream>> {
        let named =
            |name: &str| self.stream.upstreams.iter().find(|u| u.name.eq_ignore_ascii_case(name));
        if let Some(upstream) = named(&pass.text) {
            return Some(Some(upstream));
        }
        if let Some((host, port)) = pass.text.rsplit_once(':')
            && let Some(upstream) = named(host)
        {
            let message = format!("upstream \"{}\" may not have port {port}", upstream.name);
            self.error(pass.span, message);
            return None;
        }
        Some(None)
    }

    /// The servers of an upstream, or a complaint about it.
    fn peers_of(&mut self, upstream: &Upstream) -> Option<Vec<Server>> {
        if !upstream.peers.is_empty() && upstream.peers.iter().all(|peer| peer.backup) {
            let message = format!("no servers in upstream \"{}\"", upstream.name);
            if !self.binder.problems.iter().any(|d| d.span == upstream.span) {
                self.error(upstream.span, message);
            }
            return None;
        }
        let mut servers: Vec<Server> = Vec::new();
        for peer in &upstream.peers {
            for address in &peer.addresses {
                servers.push(self.peer(servers.len() as u32 + 1, peer, address));
            }
            if peer.asked.is_some() {
                // Empty until an answer fills them.
                let nowhere = ServerAddress::Socket(([0, 0, 0, 0], 0).into());
                for _ in 0..SLOTS {
                    let slot = self.peer(servers.len() as u32 + 1, peer, &nowhere);
                    servers.push(Server { weight: 0, ..slot });
                }
            }
        }
        Some(servers)
    }

    /// The lines of an upstream whose servers a name server tells, or a complaint. `scope` is the
    /// level its resolver is taken from unless it has its own: that of `stream {}`.
    fn discoveries(&mut self, upstream: &Upstream) -> Option<Vec<Discovery>> {
        let mut first = 0;
        let mut found = Vec::new();
        for peer in &upstream.peers {
            let Some(asked) = &peer.asked else {
                first += peer.addresses.len();
                continue;
            };
            let at = |lower: &Self| {
                let file = lower.sources.name(upstream.span.file);
                let line = lex::line_of_terminator(lower.sources, upstream.span);
                format!("upstream \"{}\" in {file}:{line}", upstream.name)
            };
            if !upstream.zone {
                let place = at(self);
                let message =
                    format!("resolving names at run time requires {place} to be in shared memory");
                self.error(NOWHERE, message);
                return None;
            }
            let outer = &self.stream.scope;
            let resolver = upstream.resolver.as_ref().or(outer.resolver.as_ref()).cloned();
            let Some(mut resolver) = resolver else {
                let place = at(self);
                let message =
                    format!("no resolver defined to resolve names at run time in {place}");
                self.error(NOWHERE, message);
                return None;
            };
            if let Some(timeout) = upstream.resolver_timeout.or(outer.resolver_timeout) {
                resolver.timeout = timeout;
            }
            found.push(Discovery {
                resolver,
                name: asked.name.clone(),
                service: asked.service,
                port: asked.port,
                first,
                slots: SLOTS,
                weight: peer.weight,
                backup: peer.backup,
            });
            first += SLOTS;
        }
        Some(found)
    }

    fn peer(&self, id: u32, peer: &Peer, address: &ServerAddress) -> Server {
        let mut server = Server::new(id, peer.name.clone(), address.clone());
        server.weight = peer.weight;
        server.backup = peer.backup;
        server.disabled = peer.down;
        server.draining = peer.drain;
        server.slowstart = peer.slow_start;
        server.maxconn = (peer.max_conns > 0).then_some(peer.max_conns);
        server.passive =
            Some(Passive { max_fails: peer.max_fails, fail_timeout: peer.fail_timeout });
        server.origin = self.origin(peer.span);
        server
    }

    /// The servers behind an address in `proxy_pass`, or a complaint about it.
    fn literal(&mut self, pass: &Word) -> Option<Vec<Server>> {
        let text = &pass.text;
        // The directive has checked the shape.
        let address = address::parse(text, Use::Connect).ok()?;
        let port = address.ports.map(|ports| *ports.start());
        let addresses = match (address.host, port) {
            (Host::Unix(path), _) => vec![ServerAddress::Unix(path)],
            (_, None) => {
                self.error(pass.span, format!("no port in upstream \"{text}\""));
                return None;
            }
            (Host::Ip(ip), Some(port)) => vec![ServerAddress::Socket((ip, port).into())],
            (Host::Name(name), Some(port)) => {
                let ips = (self.options.lookups.resolve)(&name);
                if ips.is_empty() {
                    self.error(pass.span, format!("host not found in upstream \"{name}\""));
                    return None;
                }
                addresses(&name, &ips, port)
            }
            (Host::Any, Some(_)) => return None,
        };
        let origin = self.origin(pass.span);
        let server = |(at, address): (usize, &ServerAddress)| {
            let mut server = Server::new(at as u32 + 1, text.clone(), address.clone());
            server.passive = Some(Passive::default());
            server.origin = origin.clone();
            server
        };
        Some(addresses.iter().enumerate().map(server).collect())
    }
}

/// The servers of `http {}`: frontends that answer by themselves.
pub(crate) fn sites(sites: Vec<Site>, config: &mut Config) {
    for site in sites {
        let Some(first) = site.binds.first() else { continue };
        let id = config.frontends.len() as u32 + 1;
        let mut frontend = Frontend::new(id, shown(&first.address));
        frontend.kind = FrontendKind::NginxServer;
        frontend.binds = site.binds;
        frontend.backlog = Some(511);
        let content = proxy::Content::Http(site.server);
        frontend.nginx = Some(Box::new(proxy::NginxServer { content, ..Default::default() }));
        config.frontends.push(frontend);
    }
}

/// One port on every address and on a single one: nginx listens once and looks at the address a
/// connection came to; here the kernel does, when both sockets say that they share the port.
fn share_ports(config: &mut Config) {
    let of = |address: &BindAddress| match address {
        BindAddress::Inet(address) => Some(*address),
        _ => None,
    };
    // Which ports of a family have an address of each kind.
    let mut kinds: HashMap<(u16, bool), [bool; 2]> = HashMap::new();
    for address in
        config.frontends.iter().flat_map(|f| &f.binds).filter_map(|bind| of(&bind.address))
    {
        let kinds = kinds.entry((address.port(), address.is_ipv4())).or_default();
        kinds[usize::from(address.ip().is_unspecified())] = true;
    }
    for bind in config.frontends.iter_mut().flat_map(|f| &mut f.binds) {
        let Some(own) = of(&bind.address) else { continue };
        if kinds.get(&(own.port(), own.is_ipv4())) == Some(&[true, true]) {
            bind.reuseport = true;
        }
    }
}

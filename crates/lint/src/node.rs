//! The nodes: which files there are, and what they say.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use conf::{Diagnostic, Problem, Severity, Sources, Span, Wording};

use crate::{Finding, Location, Verdict};

/// One machine's configurations.
#[derive(Debug, Default)]
pub struct Node {
    /// What it is called in findings: the directory or file it was given as.
    pub name: String,
    /// Its keepalived.conf.
    pub keepalived: Option<Keepalived>,
    /// Its haproxy.cfg and nginx.conf.
    pub proxies: Vec<Proxy>,
}

/// A keepalived.conf that was read.
#[derive(Debug)]
pub struct Keepalived {
    file: String,
    loaded: keepalived_conf::Loaded,
}

/// A haproxy.cfg or nginx.conf that was read.
#[derive(Debug)]
pub struct Proxy {
    /// `haproxy` or `nginx`.
    pub program: &'static str,
    file: String,
    /// What it means; `None` if it does not run.
    pub config: Option<proxy::Config>,
    sources: Sources,
    complaints: Vec<Finding>,
    without_effect: Vec<String>,
}

/// An operand without a configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NothingThere(pub String);

impl fmt::Display for NothingThere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: no keepalived.conf, haproxy.cfg or nginx.conf is there", self.0)
    }
}

impl std::error::Error for NothingThere {}

/// What a file is written for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Keepalived,
    HaProxy,
    Nginx,
}

/// A node's files, before they are read.
#[derive(Debug, Default)]
struct Files {
    name: String,
    keepalived: Option<PathBuf>,
    haproxy: Vec<PathBuf>,
    nginx: Option<PathBuf>,
}

impl Files {
    fn add(&mut self, kind: Kind, file: PathBuf) {
        match kind {
            Kind::Keepalived => self.keepalived = Some(file),
            Kind::HaProxy => self.haproxy.push(file),
            Kind::Nginx => self.nginx = Some(file),
        }
    }

    fn read(self, here: bool) -> Node {
        let Self { name, keepalived, haproxy, nginx } = self;
        let keepalived = keepalived.map(|file| Keepalived::read(&file, here));
        let mut proxies = Vec::new();
        if !haproxy.is_empty() {
            proxies.push(Proxy::read_haproxy(&haproxy, here));
        }
        proxies.extend(nginx.map(|file| Proxy::read_nginx(&file, here)));
        Node { name, keepalived, proxies }
    }
}

/// Reads operands: directories (`/etc`, or a copy of another node's), and files.
///
/// A directory is a node. Of files given by name each keepalived.conf begins one, and a proxy's belongs to
/// the node before it; several haproxy.cfg are read in order, as `haproxy -f A -f B` does. Names are looked
/// up (hosts, users, interfaces, scripts) for the first node only: the others are copies from elsewhere.
///
/// # Errors
///
/// The operands with nothing to read.
pub fn read(operands: &[PathBuf]) -> Result<Vec<Node>, Vec<NothingThere>> {
    let mut nodes: Vec<Files> = Vec::new();
    let mut missing = Vec::new();
    let mut open = false;
    for operand in operands {
        let name = operand.display().to_string();
        if operand.is_dir() {
            let found = files_of(operand);
            if found.is_empty() {
                missing.push(NothingThere(name));
                continue;
            }
            let mut node = Files { name, ..Files::default() };
            found.into_iter().for_each(|(kind, file)| node.add(kind, file));
            nodes.push(node);
            open = false;
            continue;
        }
        let Ok(bytes) = std::fs::read(operand) else {
            missing.push(NothingThere(name));
            continue;
        };
        let kind = kind_of(&String::from_utf8_lossy(&bytes));
        let begins = kind == Kind::Keepalived
            || kind == Kind::Nginx && nodes.last().is_some_and(|node| node.nginx.is_some());
        if begins || !open {
            nodes.push(Files { name, ..Files::default() });
        }
        if let Some(node) = nodes.last_mut() {
            node.add(kind, operand.clone());
        }
        open = true;
    }
    if !missing.is_empty() {
        return Err(missing);
    }
    Ok(nodes.into_iter().enumerate().map(|(index, files)| files.read(index == 0)).collect())
}

/// The configurations in a directory: `/etc` itself, one of its three, or a copy of either.
fn files_of(directory: &Path) -> Vec<(Kind, PathBuf)> {
    let places = [
        (Kind::Keepalived, "keepalived/keepalived.conf"),
        (Kind::HaProxy, "haproxy/haproxy.cfg"),
        (Kind::Nginx, "nginx/nginx.conf"),
    ];
    let found = |(kind, place): &(Kind, &str)| {
        let name = place.rsplit('/').next().unwrap_or(place);
        let below =
            [directory.join(place), directory.join("etc").join(place), directory.join(name)];
        Some((*kind, below.into_iter().find(|file| file.is_file())?))
    };
    places.iter().filter_map(found).collect()
}

fn kind_of(text: &str) -> Kind {
    let first = |line: &str| {
        let word = line.split(['#', '!']).next().unwrap_or("").split_whitespace().next();
        word.unwrap_or("").trim_end_matches('{').to_owned()
    };
    let has = |words: &[&str]| text.lines().any(|line| words.contains(&first(line).as_str()));
    if has(&["vrrp_instance", "vrrp_script", "global_defs", "vrrp_sync_group", "virtual_server"]) {
        Kind::Keepalived
    } else if has(&["frontend", "backend", "listen", "defaults"])
        && !has(&["stream", "http", "events"])
    {
        Kind::HaProxy
    } else {
        Kind::Nginx
    }
}

impl Node {
    /// A node with a keepalived.conf of this text, on another machine.
    pub fn of_keepalived(name: &str, text: &str) -> Self {
        let options = keepalived_conf::Options::new(&keepalived_conf::Elsewhere);
        let loaded = keepalived_conf::load_text(name, text, &options);
        let keepalived = Some(Keepalived { file: name.to_owned(), loaded });
        Self { name: name.to_owned(), keepalived, proxies: Vec::new() }
    }

    /// It has this haproxy.cfg too.
    #[must_use]
    pub fn with_haproxy(mut self, name: &str, text: &str) -> Self {
        let options =
            haproxy_cfg::Options { tell_accepted: true, ..haproxy_cfg::Options::sealed() };
        let loaded = haproxy_cfg::load_texts(&[(name, text)], &options);
        self.proxies.push(Proxy::of_haproxy(name.to_owned(), loaded));
        self
    }

    /// It has this nginx.conf too.
    #[must_use]
    pub fn with_nginx(mut self, name: &str, text: &str) -> Self {
        let loaded = nginx_conf::load_text(name, text, &nginx_conf::Options::offline());
        self.proxies.push(Proxy::of_nginx(name.to_owned(), loaded));
        self
    }

    /// What it has, and whether that runs.
    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        let router = self.keepalived.iter().map(|keepalived| keepalived.verdict(&self.name));
        router.chain(self.proxies.iter().map(|proxy| proxy.verdict(&self.name))).collect()
    }

    /// What the programs themselves say of the files.
    pub(crate) fn complaints(&self) -> Vec<Finding> {
        let router = self.keepalived.iter().flat_map(|keepalived| {
            let Keepalived { loaded, file } = keepalived;
            let say =
                |d| finding("keepalived", &keepalived_conf::Keepalived, &loaded.sources, d, file);
            loaded.diagnostics.iter().map(say).collect::<Vec<_>>()
        });
        router.chain(self.proxies.iter().flat_map(|proxy| proxy.complaints.clone())).collect()
    }
}

impl Keepalived {
    fn read(file: &Path, here: bool) -> Self {
        let system: &dyn keepalived_conf::System =
            if here { &keepalived_conf::Host } else { &keepalived_conf::Elsewhere };
        let loaded = keepalived_conf::load(file, &keepalived_conf::Options::new(system));
        Self { file: file.display().to_string(), loaded }
    }

    /// What runs; nothing where nothing may.
    pub(crate) fn config(&self) -> Option<&vrrp::config::Config> {
        self.loaded.config.as_ref()
    }

    /// Its virtual routers.
    pub(crate) fn instances(&self) -> &[vrrp::config::InstanceConfig] {
        self.config().map_or(&[], |config| &config.instances)
    }

    /// Where a keyword of a block stands, or the block if it has no such keyword.
    pub(crate) fn at(&self, kind: &str, name: &str, keyword: &str) -> Location {
        let block =
            self.loaded.stmts.iter().find(|stmt| stmt.word(0) == kind && stmt.word(1) == name);
        let Some(block) = block else { return Location::new(self.file.clone(), 0) };
        let inner = block.body().iter().find(|stmt| stmt.word(0) == keyword);
        self.location(inner.unwrap_or(block).at())
    }

    /// Where a word stands in a list of a block, such as an address in `virtual_ipaddress`.
    pub(crate) fn in_list(&self, kind: &str, name: &str, list: &str, word: &str) -> Location {
        let block =
            self.loaded.stmts.iter().find(|stmt| stmt.word(0) == kind && stmt.word(1) == name);
        let mut lists =
            block.into_iter().flat_map(|block| block.body()).filter(|s| s.word(0) == list);
        let is = |text: &str| text == word || text.split('/').next() == Some(word);
        let found = lists.find_map(|list| list.body().iter().find(|entry| is(entry.word(0))));
        found.map_or_else(|| self.at(kind, name, list), |entry| self.location(entry.at()))
    }

    /// The text a keyword of an instance was given.
    pub(crate) fn written(&self, instance: &str, keyword: &str) -> Option<&str> {
        self.says("vrrp_instance", instance, keyword)
    }

    /// The text a keyword of a block was given.
    pub(crate) fn says(&self, kind: &str, name: &str, keyword: &str) -> Option<&str> {
        let is = |stmt: &&conf::Stmt| stmt.word(0) == kind && stmt.word(1) == name;
        let block = self.loaded.stmts.iter().find(is)?;
        Some(block.body().iter().find(|stmt| stmt.word(0) == keyword)?.word(1))
    }

    fn location(&self, span: Span) -> Location {
        let sources = &self.loaded.sources;
        Location::new(sources.name(span.file), sources.line(span))
    }

    fn verdict(&self, node: &str) -> Verdict {
        let config = self.config();
        let instances = self.instances();
        let addresses: usize = instances.iter().map(|instance| instance.held().count()).sum();
        Verdict {
            node: node.to_owned(),
            program: "keepalived",
            file: self.file.clone(),
            runs: config.is_some() && !self.loaded.fatal(),
            amounts_to: format!(
                "{}, {}",
                count(instances.len(), "virtual router"),
                count(addresses, "address")
            ),
            without_effect: without_effect(&self.loaded.diagnostics),
        }
    }
}

impl Proxy {
    fn read_haproxy(files: &[PathBuf], here: bool) -> Self {
        let system = haproxy_cfg::Options::system();
        let options = haproxy_cfg::Options { reach_out: here, tell_accepted: true, ..system };
        let name = files.first().map(|file| file.display().to_string()).unwrap_or_default();
        Self::of_haproxy(name, haproxy_cfg::load(files, &options))
    }

    fn read_nginx(file: &Path, here: bool) -> Self {
        let mut options = nginx_conf::Options::default();
        if !here {
            options.lookups = nginx_conf::Lookups::offline();
        }
        let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let mut loaded = nginx_conf::load(&absolute, &options);
        // A file to be included has no events block of its own.
        if loaded.diagnostics.iter().all(|d| d.severity < Severity::Error || lacks_events(d))
            && !loaded.is_ok()
        {
            options.globals = Some("events {}".into());
            loaded = nginx_conf::load(&absolute, &options);
        }
        Self::of_nginx(file.display().to_string(), loaded)
    }

    fn of_haproxy(file: String, loaded: haproxy_cfg::Loaded) -> Self {
        let haproxy_cfg::Loaded { sources, diagnostics, config, .. } = loaded;
        let say = |d| finding("haproxy", &haproxy_cfg::HaProxy, &sources, d, &file);
        let complaints = diagnostics.iter().map(say).collect();
        let without_effect = without_effect(&diagnostics);
        Self { program: "haproxy", complaints, without_effect, file, config, sources }
    }

    fn of_nginx(file: String, loaded: nginx_conf::Loaded) -> Self {
        let config = loaded.is_ok().then_some(loaded.config);
        let (sources, diagnostics) = (loaded.sources, loaded.diagnostics);
        let say = |d| finding("nginx", &nginx_conf::Wording, &sources, d, &file);
        let complaints = diagnostics.iter().map(say).collect();
        let without_effect = without_effect(&diagnostics);
        Self { program: "nginx", complaints, without_effect, file, config, sources }
    }

    /// The file it begins with.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// Whether a file was read for it.
    pub(crate) fn has_read(&self, name: &str) -> bool {
        let files = 0..u16::try_from(self.sources.len()).unwrap_or(u16::MAX);
        files.into_iter().any(|file| self.sources.name(file) == name)
    }

    /// The last line before `origin` that begins with `word`, or `origin` itself: where a section's
    /// setting stands that a server or an address shows the consequence of.
    pub(crate) fn near(&self, origin: &proxy::Origin, word: &str) -> Location {
        let line = origin.line as usize;
        let files = 0..u16::try_from(self.sources.len()).unwrap_or(u16::MAX);
        let file = files.into_iter().find(|file| self.sources.name(*file) == origin.file);
        let begins = |(_, text): &(usize, &str)| {
            let mut words = text.split_whitespace();
            word.split(' ').all(|part| words.next() == Some(part))
        };
        let lines = || file.map(|file| self.sources.text(file).lines().enumerate());
        // nginx writes a server's settings behind its address; sections begin before what they hold.
        let after = || lines()?.skip(line).take(40).find(begins);
        let before = || lines()?.take(line).filter(begins).last();
        let found = if self.program == "nginx" && word != "upstream" {
            after().or_else(before)
        } else {
            before()
        };
        Location::new(origin.file.clone(), found.map_or(line, |(at, _)| at + 1))
    }

    fn verdict(&self, node: &str) -> Verdict {
        let (mut listening, mut servers) = (0, 0);
        if let Some(config) = &self.config {
            listening = config.frontends.iter().map(|frontend| frontend.binds.len()).sum();
            servers = config.backends.iter().map(|backend| backend.servers.len()).sum();
        }
        Verdict {
            node: node.to_owned(),
            program: self.program,
            file: self.file.clone(),
            runs: self.config.is_some(),
            amounts_to: format!(
                "{}, {}",
                count(listening, "address to listen on"),
                count(servers, "server")
            ),
            without_effect: self.without_effect.clone(),
        }
    }
}

fn lacks_events(diagnostic: &Diagnostic) -> bool {
    matches!(&diagnostic.problem, Problem::Other(said) if said.starts_with("no \"events\" section"))
}

fn count(number: usize, what: &str) -> String {
    match (number, what.split_once(' ')) {
        (1, _) => format!("1 {what}"),
        (_, Some(("address", rest))) => format!("{number} addresses {rest}"),
        _ if what.ends_with('s') => format!("{number} {what}es"),
        _ => format!("{number} {what}s"),
    }
}

fn finding(
    program: &'static str,
    wording: &dyn Wording,
    sources: &Sources,
    diagnostic: &Diagnostic,
    file: &str,
) -> Finding {
    let span = diagnostic.span;
    let known = usize::from(span.file) < sources.len();
    let place = match known {
        true => Location::new(sources.name(span.file), sources.line(span)),
        false => Location::new(file, 0),
    };
    Finding {
        rule: program,
        severity: diagnostic.severity,
        place,
        what: wording.say(diagnostic).replace('\n', "; "),
        instead: wording.help(diagnostic).unwrap_or_default(),
        excerpt: known.then(|| conf::pretty(wording, sources, diagnostic)),
    }
}

/// Each keyword once that is read and does nothing.
fn without_effect(diagnostics: &[Diagnostic]) -> Vec<String> {
    let mut keywords: BTreeMap<String, ()> = BTreeMap::new();
    for diagnostic in diagnostics.iter().filter(|d| d.severity == Severity::Notice) {
        if let Problem::NoEffect { keyword, .. } = &diagnostic.problem {
            keywords.insert((*keyword).to_string(), ());
        }
    }
    keywords.into_keys().collect()
}

//! What every setter may look at: the environment, the line, and how far it may reach out.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use conf::{Diagnostic, Severity};
use proxy::Origin;
use rules::list::{List, Use};

/// Variables of the environment.
pub(crate) type Env = BTreeMap<String, String>;

/// Shared by all sections of one load.
#[derive(Debug, Default)]
pub(crate) struct Context {
    /// The environment, as `setenv` and its kin change it.
    pub(crate) env: RefCell<Env>,
    /// The line being read.
    pub(crate) here: RefCell<Origin>,
    /// `tune.stick-counters`, if it was said.
    pub(crate) counters: Cell<Option<usize>>,
    /// The patterns of ACLs and maps, in the order they are read.
    pub(crate) lists: RefCell<Vec<Arc<List>>>,
    /// Whether names are resolved, files looked at and users looked up.
    pub(crate) reach_out: Cell<bool>,
    /// `unix-bind`.
    pub(crate) unix_bind: RefCell<UnixBind>,
    /// `default-path`.
    pub(crate) base: RefCell<Base>,
    /// `dns-accept-family`.
    pub(crate) families: Cell<proxy::Families>,
}

/// What UNIX sockets have whose lines do not say otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnixBind {
    /// What paths of `bind` lines begin with.
    pub(crate) prefix: String,
    pub(crate) mode: Option<u32>,
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
}

/// Where files are that are named without a directory.
#[derive(Clone, Debug, Default)]
pub(crate) enum Base {
    /// Where the process began.
    #[default]
    Current,
    /// Beside the file that names them.
    Config,
    /// In the directory above that.
    Parent,
    /// In this directory.
    Origin(PathBuf),
}

/// A shared [`Context`].
pub(crate) type Shared = Rc<Context>;

impl Context {
    /// The line being read.
    pub(crate) fn origin(&self) -> Origin {
        self.here.borrow().clone()
    }

    /// Notes that the line being read uses a file of patterns; `columns` of [`Use::Map`] has values
    /// behind them.
    pub(crate) fn file(&self, file: &str, text: &str, columns: Use, by: Use) -> Arc<List> {
        let mut lists = self.lists.borrow_mut();
        let known = lists.iter().find(|list| list.is_of(file, columns)).cloned();
        let list = known.unwrap_or_else(|| {
            let list = Arc::new(List::of_file(file, text, columns));
            lists.push(Arc::clone(&list));
            list
        });
        let Origin { file, line } = &*self.here.borrow();
        list.used_by(by, file, *line);
        list
    }

    /// A list for the words of an ACL in the line being read.
    pub(crate) fn words(&self, keyword: &str) -> Arc<List> {
        let Origin { file, line } = &*self.here.borrow();
        let list = Arc::new(List::of_acl(keyword, file, *line));
        self.lists.borrow_mut().push(Arc::clone(&list));
        list
    }

    /// How many counters a connection tracks at most.
    pub(crate) fn stick_counters(&self) -> usize {
        self.counters.get().unwrap_or(3)
    }

    /// What this process is called among its peers.
    pub(crate) fn local_peer(&self) -> String {
        if let Some(name) = self.env.borrow().get("HAPROXY_LOCALPEER") {
            return name.clone();
        }
        const HOSTNAME: &str = "/proc/sys/kernel/hostname";
        let ask = || conf::outside::ask("read", HOSTNAME, || std::fs::read(HOSTNAME));
        match self.reach_out.get().then(ask) {
            Some(Ok(name)) => String::from_utf8_lossy(&name).trim().to_owned(),
            _ => "localhost".to_owned(),
        }
    }

    /// The addresses of a name, in the resolver's order. A literal address needs no resolver.
    pub(crate) fn resolve(&self, name: &str) -> Vec<IpAddr> {
        if let Ok(ip) = name.parse() {
            return vec![ip];
        }
        if !self.reach_out.get() && name == "localhost" {
            return vec![IpAddr::from([127, 0, 0, 1])];
        }
        // Names that no resolver can know: do not wait for one to say so.
        let plausible = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if !self.reach_out.get() || name.is_empty() || !name.chars().all(plausible) {
            return vec![];
        }
        let found = conf::outside::ask("host", name, || {
            let all = (name, 0).to_socket_addrs()?;
            Ok(all.map(|found| format!("{}\n", found.ip())).collect::<String>().into_bytes())
        });
        let found = found.unwrap_or_default();
        let families = self.families.get();
        let text = String::from_utf8_lossy(&found);
        let all = text.lines().filter_map(|line| line.parse().ok());
        all.filter(|ip| families.takes(*ip)).collect()
    }

    /// The file a name in the present line means.
    pub(crate) fn locate(&self, name: &Path) -> PathBuf {
        let here = self.here.borrow();
        let beside = || Path::new(&here.file).parent().unwrap_or(Path::new(""));
        match &*self.base.borrow() {
            Base::Current => name.to_owned(),
            Base::Config => beside().join(name),
            Base::Parent => beside().join("..").join(name),
            Base::Origin(directory) => directory.join(name),
        }
    }

    /// Reads a file that the present line names.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>, std::io::Error> {
        let path = self.locate(Path::new(name));
        conf::outside::ask("read", &path.to_string_lossy(), || std::fs::read(&path))
    }

    /// Whether a file can be opened; the reason if not.
    pub(crate) fn can_read(&self, path: &Path) -> Result<(), std::io::Error> {
        if !self.reach_out.get() {
            return Ok(());
        }
        let open = || std::fs::File::open(path).map(|_| Vec::new());
        conf::outside::ask("open", &path.to_string_lossy(), open).map(drop)
    }

    /// Whether `/etc/passwd` or `/etc/group` has the name in its first field, or cannot be asked.
    pub(crate) fn has_account(&self, database: &str, name: &str) -> bool {
        if !self.reach_out.get() {
            return true;
        }
        let Ok(text) = conf::outside::ask("read", database, || std::fs::read(database)) else {
            return true;
        };
        let text = String::from_utf8_lossy(&text);
        text.lines().any(|line| line.split(':').next() == Some(name)) && !name.is_empty()
    }

    /// Expands `$NAME` and `${NAME}` in an unquoted address; undefined names become nothing and are
    /// returned.
    pub(crate) fn expand(&self, text: &str) -> (String, Vec<String>) {
        let env = self.env.borrow();
        let (mut out, mut missing) = (String::new(), vec![]);
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let (name, left) = match after.strip_prefix('{') {
                Some(braced) => match braced.split_once('}') {
                    Some(parts) => parts,
                    None => ("", after),
                },
                None => {
                    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                    after.split_at(end.unwrap_or(after.len()))
                }
            };
            if name.is_empty() {
                out.push('$');
                rest = after;
                continue;
            }
            match env.get(name) {
                Some(value) => out.push_str(value),
                None => missing.push(name.to_owned()),
            }
            rest = left;
        }
        out.push_str(rest);
        (out, missing)
    }
}

/// Whether a complaint only says that something is not built.
pub(crate) fn is_planned(diagnostic: &Diagnostic) -> bool {
    diagnostic.severity == Severity::Error
        && matches!(diagnostic.problem, conf::Problem::Planned { .. })
}

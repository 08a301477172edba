//! `crt-store`: certificates by name.

use std::path::PathBuf;

use conf::{Problem, Stmt};

use super::Loader;
use crate::say::Complain;

/// A certificate that `bind` lines may name.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// `@store/alias`, or what stands behind `crt`; without a store's name it has no `@`.
    pub(crate) name: String,
    pub(crate) chain: PathBuf,
    pub(crate) key: Option<PathBuf>,
}

/// The store that is being read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    name: String,
    crt_base: Option<PathBuf>,
    key_base: Option<PathBuf>,
}

impl Loader {
    pub(super) fn store_section(&mut self, stmt: &Stmt) {
        self.store = Store { name: stmt.word(1).to_owned(), ..Store::default() };
    }

    pub(super) fn store_keyword(&mut self, stmt: &Stmt) {
        let at = stmt.at();
        match stmt.word(0) {
            keyword @ ("crt-base" | "key-base") => {
                if stmt.words.len() < 2 {
                    let text = format!("'{keyword}' requires a <path> argument.");
                    self.binder.refuse(at, text);
                    return;
                }
                let base = Some(PathBuf::from(stmt.word(1)));
                match keyword {
                    "crt-base" => self.store.crt_base = base,
                    _ => self.store.key_base = base,
                }
            }
            _ => self.store_load(stmt),
        }
    }

    /// `load crt <file> [key <file>] [alias <name>] …`.
    fn store_load(&mut self, stmt: &Stmt) {
        let at = stmt.at();
        let (mut chain, mut key, mut alias) = (None, None, None);
        for pair in stmt.words[1..].chunks(2) {
            let [what, value] = pair else {
                let text = format!("'load' : '{}' requires an argument.", pair[0].text);
                self.binder.refuse(at, text);
                return;
            };
            let value = &value.text;
            match what.text.as_str() {
                "crt" => chain = Some(value.clone()),
                "key" => key = Some(value.clone()),
                "alias" => alias = Some(value.clone()),
                // What is stapled or sent along is optional, and none of it is.
                known @ ("ocsp" | "issuer" | "sctl" | "ocsp-update" | "acme" | "domains") => {
                    let keyword = format!("crt-store load {known}");
                    self.binder.error(at, Problem::Planned { keyword });
                }
                other => {
                    let text = format!("'load' : unknown keyword '{other}'.");
                    self.binder.refuse(at, text);
                }
            }
        }
        let Some(chain) = chain else {
            self.binder.refuse(at, "'load' requires a 'crt' argument.");
            return;
        };
        let within = |base: &Option<PathBuf>, global: &Option<PathBuf>, file: &str| {
            let path = PathBuf::from(file);
            match base.as_ref().or(global.as_ref()) {
                Some(base) if !path.is_absolute() => base.join(path),
                _ => path,
            }
        };
        let store = &self.store;
        let name = alias.unwrap_or_else(|| chain.clone());
        let name = match store.name.as_str() {
            "" => name,
            store => format!("@{store}/{name}"),
        };
        let chain = within(&store.crt_base, &self.global.crt_base, &chain);
        let key = key.map(|key| within(&store.key_base, &self.global.key_base, &key));
        // A key beside its certificate may be named without a directory of its own.
        let key = key.map(|key| match (&store.key_base, &store.crt_base, key.is_absolute()) {
            (None, Some(base), false) => base.join(key),
            _ => key,
        });
        self.stored.push(Stored { name, chain, key });
    }
}

//! Lists of patterns that can be changed while rules use them: `add map`, `clear acl` and their kin.
//!
//! ```text
//!   a file, or the words of an ACL ─► List: entries, each of one version
//!                                       │ those of the current version
//!                       ┌───────────────┼──────────────┐
//!                   Live<Set>       Live<Set>      Live<Map>      one for each way to match
//!                       └── Patterns of a Test ──┘     └── a `map` converter
//! ```

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::live::Live;
use crate::map::Map;
use crate::pattern::{Match, Set};
use crate::value::{Type, Value};

/// Who uses a list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Use {
    /// ACLs: there are patterns only.
    Acl,
    /// Maps: each key has a value.
    Map,
}

impl Use {
    const fn name(self) -> &'static str {
        match self {
            Self::Acl => "acl",
            Self::Map => "map",
        }
    }
}

/// One pattern.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Tells it from all others of its list, also from those that were removed.
    pub number: u64,
    /// It matches while this is the current version.
    pub version: u32,
    /// As it was written.
    pub key: Box<str>,
    /// What stands behind it: nothing in ACLs.
    pub value: Option<Box<str>>,
}

/// Why a list was not changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// In HAProxy's words.
    #[error("{0}")]
    Invalid(String),
    /// Nobody prepared this version.
    #[error("version number in the future")]
    Future,
    /// It is not between the current version and the last one that was prepared.
    #[error("version number out of range")]
    OutOfRange,
    /// There is no such entry.
    #[error("entry not found")]
    NotFound,
}

/// Which entries are meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Which<'a> {
    /// All of the current version that are written like this.
    Key(&'a str),
    /// The one of this [`number`](Entry::number).
    Number(u64),
}

/// What a value matches in one way of matching.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// How it was compared.
    pub method: Match,
    /// Whether upper and lower case were the same.
    pub ignores_case: bool,
    /// Whether what matched replaces `\1` in its value: `regm`.
    pub expands: bool,
    /// Whether a pattern like the one that matched is found without a look at the others.
    pub is_indexed: bool,
    /// What matched.
    pub found: Option<Hit>,
}

/// A pattern that matched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hit {
    /// As it was written.
    pub key: Box<str>,
    /// Its value in a map, and what that is.
    pub value: Option<(Box<str>, Type)>,
}

/// A list of patterns. Two of them are equal if they have the same name: what they hold is
/// compared where it is used.
#[derive(Debug)]
pub struct List {
    file: Option<Box<str>>,
    columns: Use,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    in_acls: bool,
    in_maps: bool,
    description: String,
    entries: Vec<Entry>,
    current: u32,
    next: u32,
    count: u64,
    changed: bool,
    views: Vec<View>,
    /// Those of the lists before that rules still use.
    former: Vec<View>,
}

/// The current version, made for one way to match.
#[derive(Clone, Debug, Eq, PartialEq)]
enum View {
    Acl(Arc<Live<Set>>),
    Map(Arc<Live<Map>>),
}

impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        self.file == other.file
    }
}

impl Eq for List {}

impl List {
    /// The patterns of a file, or its keys and values: for `columns` of [`Use::Map`].
    pub fn of_file(file: &str, text: &str, columns: Use) -> Self {
        let mut state = State::default();
        for line in text.lines() {
            let trimmed = match columns {
                Use::Acl => line.trim_start_matches([' ', '\t']),
                Use::Map => line.trim_matches([' ', '\t', '\r']),
            };
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            let (key, value) = match columns {
                Use::Acl => (trimmed, None),
                Use::Map => {
                    let (key, value) = trimmed.split_once([' ', '\t']).unwrap_or((trimmed, ""));
                    (key, Some(value.trim_start_matches([' ', '\t'])))
                }
            };
            state.push(0, key, value);
        }
        state.description = format!("pattern loaded from file '{file}'");
        Self { file: Some(file.into()), columns, state: Mutex::new(state) }
    }

    /// The words of an ACL that uses the fetch `keyword`.
    pub fn of_acl(keyword: &str, file: &str, line: u32) -> Self {
        let description = format!("acl '{keyword}' file '{file}' line {line}");
        let state = State { in_acls: true, description, ..State::default() };
        Self { file: None, columns: Use::Acl, state: Mutex::new(state) }
    }

    /// The file it was read from.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Whether it was read from this file in this way.
    pub fn is_of(&self, file: &str, columns: Use) -> bool {
        self.columns == columns && self.file.as_deref() == Some(file)
    }

    /// Notes that a line uses this file.
    pub fn used_by(&self, kind: Use, file: &str, line: u32) {
        let mut state = self.state();
        let lead = if state.in_acls || state.in_maps { ", by" } else { " used by" };
        match kind {
            Use::Acl => state.in_acls = true,
            Use::Map => state.in_maps = true,
        }
        // Writing to a string does not fail.
        let _ = write!(state.description, "{lead} {} at file '{file}' line {line}", kind.name());
    }

    /// Gives the list what a set was made of, and makes the set follow the list.
    pub fn follow_set(&self, set: Set, keys: Vec<String>) -> Arc<Live<Set>> {
        let mut state = self.state();
        for key in keys {
            state.push(0, &key, None);
        }
        state.view_of(set)
    }

    /// A set that follows this list. Sets of one method and the same flags are one.
    pub fn set(&self, set: Set) -> Arc<Live<Set>> {
        self.state().view_of(set)
    }

    /// A map that follows this list.
    pub fn map(&self, map: Map) -> Arc<Live<Map>> {
        let mut state = self.state();
        let known = state.views.iter().find_map(|view| match view {
            View::Map(live) if live.with(|known| *known == map) => Some(Arc::clone(live)),
            _ => None,
        });
        known.unwrap_or_else(|| {
            let live = Arc::new(Live::new(map));
            state.views.push(View::Map(Arc::clone(&live)));
            live
        })
    }

    /// Whether rules use it like this.
    pub fn is_for(&self, kind: Use) -> bool {
        let state = self.state();
        match kind {
            Use::Acl => state.in_acls,
            Use::Map => state.in_maps,
        }
    }

    /// What `show map` and `show acl` say of it behind its number and file.
    pub fn described(&self) -> String {
        let State { description, current, next, entries, views, .. } = &*self.state();
        let count = entries.len() * views.len();
        format!("{description}. curr_ver={current} next_ver={next} entry_cnt={count}")
    }

    /// The entries of one version, of the current one if none is given.
    pub fn entries(&self, version: Option<u32>) -> Vec<Entry> {
        let state = self.state();
        let version = version.unwrap_or(state.current);
        state.entries.iter().filter(|entry| entry.version == version).cloned().collect()
    }

    /// Adds an entry to a version, to the current one if none is given.
    ///
    /// # Errors
    ///
    /// The version was not prepared, or what is wrong with the pattern or the value.
    pub fn add(&self, version: Option<u32>, key: &str, value: Option<&str>) -> Result<(), Refused> {
        let mut state = self.state();
        let version = version.unwrap_or(state.current);
        if version.wrapping_sub(state.next).cast_signed() > 0 {
            return Err(Refused::Future);
        }
        for view in state.all() {
            view.check(key, value).map_err(Refused::Invalid)?;
        }
        state.changed = true;
        if version == state.current {
            state.all().for_each(|view| view.add(key, value));
        }
        state.push(version, key, value);
        Ok(())
    }

    /// Gives entries another value.
    ///
    /// # Errors
    ///
    /// There are none, or the value is of the wrong kind.
    pub fn set_value(&self, which: Which<'_>, value: &str) -> Result<(), Refused> {
        let mut state = self.state();
        let meant: Vec<usize> = state.meant(which).collect();
        let Some(first) = meant.first() else { return Err(Refused::NotFound) };
        let key = &state.entries[*first].key;
        for view in state.all() {
            view.check(key, Some(value)).map_err(Refused::Invalid)?;
        }
        for at in meant {
            state.entries[at].value = Some(value.into());
        }
        state.renew();
        Ok(())
    }

    /// Removes entries.
    ///
    /// # Errors
    ///
    /// There are none.
    pub fn remove(&self, which: Which<'_>) -> Result<(), Refused> {
        let mut state = self.state();
        if state.meant(which).next().is_none() {
            return Err(Refused::NotFound);
        }
        let current = state.current;
        state.entries.retain(|entry| !which.means(entry, current));
        state.renew();
        Ok(())
    }

    /// Removes all entries of a version, of the current one if none is given.
    pub fn clear(&self, version: Option<u32>) {
        let mut state = self.state();
        let version = version.unwrap_or(state.current);
        state.entries.retain(|entry| entry.version != version);
        state.renew();
    }

    /// The number of a new version, which can be filled before it is used.
    pub fn prepare(&self) -> u32 {
        let mut state = self.state();
        state.changed = true;
        state.next = state.next.wrapping_add(1);
        state.next
    }

    /// From now on a prepared version is the current one. The versions before it are gone.
    ///
    /// # Errors
    ///
    /// It was not prepared, or is not newer than the current one.
    pub fn commit(&self, version: u32) -> Result<(), Refused> {
        let mut state = self.state();
        let ahead = version.wrapping_sub(state.current).cast_signed();
        if ahead <= 0 || version.wrapping_sub(state.next).cast_signed() > 0 {
            return Err(Refused::OutOfRange);
        }
        state.current = version;
        state.entries.retain(|entry| entry.version.wrapping_sub(version).cast_signed() >= 0);
        state.renew();
        Ok(())
    }

    /// What a text matches, for each way to match.
    pub fn find(&self, kind: Use, text: &str) -> Vec<Answer> {
        let state = self.state();
        let current = state.entries.iter().filter(|entry| entry.version == state.current);
        let current: Vec<&Entry> = current.collect();
        let views = state.views.iter().filter(|view| view.kind() == kind);
        views.map(|view| view.answer(&current, text)).collect()
    }

    /// The lists of a configuration after another one in the same process. They begin with what the
    /// configuration says, as a new process would, and rules of the former that are still in use
    /// follow them.
    pub fn succeed(former: &[Arc<Self>], lists: &[Arc<Self>]) {
        let mut former: Vec<&Arc<Self>> = former.iter().collect();
        for list in lists {
            let is_before = |one: &&Arc<Self>| {
                one.file == list.file
                    && (one.file.is_some() || {
                        let (one, list) = (one.state().views.clone(), list.state().views.clone());
                        one == list
                    })
            };
            let Some(at) = former.iter().position(is_before) else { continue };
            let before = former.remove(at);
            let (views, changed) = {
                let mut state = before.state();
                let mut views = std::mem::take(&mut state.views);
                views.append(&mut state.former);
                (views, state.changed)
            };
            let mut state = list.state();
            state.former.extend(views.into_iter().filter(View::is_in_use));
            if changed {
                state.renew();
                state.changed = false;
            }
        }
    }

    /// Whether it was changed since the configuration was read.
    pub fn is_changed(&self) -> bool {
        self.state().changed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Which<'_> {
    fn means(self, entry: &Entry, current: u32) -> bool {
        match self {
            Self::Key(key) => entry.version == current && *entry.key == *key,
            Self::Number(number) => entry.number == number,
        }
    }
}

impl State {
    fn push(&mut self, version: u32, key: &str, value: Option<&str>) {
        self.count += 1;
        self.entries.push(Entry {
            number: self.count,
            version,
            key: key.into(),
            value: value.map(Into::into),
        });
    }

    fn all(&self) -> impl Iterator<Item = &View> {
        self.views.iter().chain(&self.former)
    }

    fn meant(&self, which: Which<'_>) -> impl Iterator<Item = usize> {
        let (entries, current) = (self.entries.iter().enumerate(), self.current);
        entries.filter(move |(_, entry)| which.means(entry, current)).map(|(at, _)| at)
    }

    fn view_of(&mut self, set: Set) -> Arc<Live<Set>> {
        let known = self.views.iter().find_map(|view| match view {
            View::Acl(live) if live.with(|known| *known == set) => Some(Arc::clone(live)),
            _ => None,
        });
        known.unwrap_or_else(|| {
            let live = Arc::new(Live::new(set));
            self.views.push(View::Acl(Arc::clone(&live)));
            live
        })
    }

    /// Makes all views anew.
    fn renew(&mut self) {
        self.changed = true;
        let version = self.current;
        for view in self.all() {
            view.renew(self.entries.iter().filter(|entry| entry.version == version));
        }
    }
}

impl View {
    const fn kind(&self) -> Use {
        match self {
            Self::Acl(_) => Use::Acl,
            Self::Map(_) => Use::Map,
        }
    }

    fn is_in_use(&self) -> bool {
        match self {
            Self::Acl(live) => Arc::strong_count(live) > 1,
            Self::Map(live) => Arc::strong_count(live) > 1,
        }
    }

    fn check(&self, key: &str, value: Option<&str>) -> Result<(), String> {
        match self {
            Self::Acl(live) => live.with(Set::emptied).add(key),
            Self::Map(live) => live.with(Map::emptied).add(key, value.unwrap_or_default()),
        }
    }

    /// Adds what was [checked](Self::check).
    fn add(&self, key: &str, value: Option<&str>) {
        match self {
            Self::Acl(live) => live.edit(|set| drop(set.add(key))),
            Self::Map(live) => live.edit(|map| drop(map.add(key, value.unwrap_or_default()))),
        }
    }

    fn renew<'e>(&self, entries: impl Iterator<Item = &'e Entry>) {
        match self {
            Self::Acl(live) => {
                let mut set = live.with(Set::emptied);
                entries.for_each(|entry| drop(set.add(&entry.key)));
                live.replace(set);
            }
            Self::Map(live) => {
                let mut map = live.with(Map::emptied);
                entries.for_each(|entry| {
                    drop(map.add(&entry.key, entry.value.as_deref().unwrap_or_default()))
                });
                live.replace(map);
            }
        }
    }

    fn answer(&self, entries: &[&Entry], text: &str) -> Answer {
        let asked = Value::text(text);
        let describe = |set: &Set, at: Option<usize>| Answer {
            method: set.method(),
            ignores_case: set.flags().ignore_case,
            expands: false,
            is_indexed: set.is_indexed(),
            found: at
                .and_then(|at| entries.get(at))
                .map(|entry| Hit { key: entry.key.clone(), value: None }),
        };
        match self {
            Self::Acl(live) => live.with(|set| describe(set, set.find(asked))),
            Self::Map(live) => live.with(|map| {
                let at = map.keys.find(asked);
                let mut answer = describe(&map.keys, at);
                answer.expands = map.expands;
                let value = match map.keyed {
                    // Its values are its keys.
                    true => at.and_then(|at| entries.get(at)?.value.as_ref()),
                    false => at.and_then(|at| map.values.get(at)),
                };
                if let (Some(hit), Some(value)) = (&mut answer.found, value) {
                    let kind = map.value(value).map_or(map.out, |value| value.kind());
                    hit.value = Some((value.clone(), kind));
                }
                answer
            }),
        }
    }
}

/// What a value of an ACL is compared with: its words, and the files it names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Patterns {
    method: Match,
    sets: Vec<Arc<Live<Set>>>,
}

impl Patterns {
    /// Those of some lists, compared in one way.
    pub const fn new(method: Match, sets: Vec<Arc<Live<Set>>>) -> Self {
        Self { method, sets }
    }

    /// How values are compared.
    pub const fn method(&self) -> Match {
        self.method
    }

    /// Whether a value matches.
    pub fn matches(&self, value: Value<'_>) -> bool {
        match (self.method, &self.sets[..]) {
            (Match::Found, _) => true,
            (Match::Bool, _) => value.truth().unwrap_or(false),
            (_, [set]) => set.with(|set| set.matches(value)),
            (_, sets) => {
                sets.iter().any(|set| set.with(|set| !set.is_empty() && set.matches(value.clone())))
            }
        }
    }
}

impl From<Set> for Patterns {
    /// Patterns no list knows of.
    fn from(set: Set) -> Self {
        Self { method: set.method(), sets: vec![Arc::new(Live::new(set))] }
    }
}

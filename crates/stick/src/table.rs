//! The table: keys, what is stored with them, and what is to be told to others.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::data::{Config, Data, Kind, Stored};
use crate::{Millis, Rate};

/// An entry of a table. It is that entry for as long as it is held, or nothing else happens to the
/// table.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EntryId(u32);

impl EntryId {
    /// A number no other entry of its table has at the same time.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// The number of a change; 0 is none.
pub type Update = u64;

/// A stored value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Slot {
    /// Of [`Kind::Number`] and [`Kind::Long`].
    Number(u64),
    /// Of [`Kind::Rate`].
    Rate(Rate),
    /// Of [`Kind::Name`].
    Name(Option<Arc<String>>),
}

#[derive(Debug)]
struct Entry {
    key: Box<[u8]>,
    /// Who holds it.
    uses: u32,
    /// When it is over, if nobody holds it then.
    expires: Millis,
    /// The deadline it stands in the queue with: an earlier one than `expires`, or the same.
    queued: Millis,
    update: Update,
    slots: Box<[Slot]>,
}

/// Keys and what is stored with them.
#[derive(Debug)]
pub struct Table {
    config: Config,
    /// Where the slots of each kind of data begin.
    offsets: [u16; Data::ALL.len()],
    slots: usize,
    keys: BTreeMap<Box<[u8]>, u32>,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// By the time they are to be looked at: the least recently touched first.
    queue: BTreeSet<(Millis, u32)>,
    /// Changes made here, the latest last; kept once somebody is to be told.
    updates: BTreeMap<Update, u32>,
    update: Update,
    shared: bool,
    /// Names that entries share.
    names: BTreeSet<Arc<String>>,
}

const NOWHERE: u16 = u16::MAX;
/// Names that no entry has are forgotten beyond so many.
const MOST_NAMES: usize = 256;

impl Table {
    /// An empty one.
    pub fn new(config: Config) -> Self {
        let mut offsets = [NOWHERE; Data::ALL.len()];
        let mut slots = 0;
        for stored in &config.data {
            offsets[stored.data as usize] = u16::try_from(slots).unwrap_or(NOWHERE);
            slots += stored.count;
        }
        Self {
            config,
            offsets,
            slots,
            keys: BTreeMap::new(),
            entries: Vec::new(),
            free: Vec::new(),
            queue: BTreeSet::new(),
            updates: BTreeMap::new(),
            update: 0,
            shared: false,
            names: BTreeSet::new(),
        }
    }

    /// What it is.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// From now on it holds so many entries, for so long, and refuses new ones when it is full or does
    /// not: everything else of `config` has to be as it is. Entries stay, and live from when they were
    /// last touched; where there are too many, those that were touched least recently go.
    pub fn resize(&mut self, now: Millis, config: &Config) {
        let (before, after) = (self.config.expire.unwrap_or(0), config.expire.unwrap_or(0));
        self.config.size = config.size;
        self.config.expire = config.expire;
        self.config.nopurge = config.nopurge;
        if before != after {
            for at in 0..self.entries.len() {
                let Some(entry) = self.entries[at].as_mut() else { continue };
                entry.expires = entry.expires.saturating_add(after).saturating_sub(before);
                let expires = entry.expires;
                if expires < entry.queued {
                    self.requeue(u32::try_from(at).unwrap_or(u32::MAX), expires);
                }
            }
        }
        while self.keys.len() > self.config.size && self.purge(now) {}
    }

    /// How many entries it has, those included whose time is over and whose place was not needed.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    fn entry(&self, EntryId(at): EntryId) -> Option<&Entry> {
        self.entries.get(at as usize)?.as_ref()
    }

    fn entry_mut(&mut self, EntryId(at): EntryId) -> Option<&mut Entry> {
        self.entries.get_mut(at as usize)?.as_mut()
    }

    /// The entry of a key. Looking does not keep it alive.
    pub fn lookup(&self, now: Millis, key: &[u8]) -> Option<EntryId> {
        let id = EntryId(*self.keys.get(key)?);
        let entry = self.entry(id)?;
        (!self.is_over(entry, now)).then_some(id)
    }

    fn is_over(&self, entry: &Entry, now: Millis) -> bool {
        self.config.expire.is_some() && entry.uses == 0 && entry.expires <= now
    }

    /// The entry of a key, made if there is none; `None` if there is no room. It is touched only if
    /// it is new.
    pub fn create(&mut self, now: Millis, key: &[u8]) -> Option<EntryId> {
        if let Some(known) = self.lookup(now, key) {
            return Some(known);
        }
        if let Some(at) = self.keys.get(key) {
            self.remove(EntryId(*at));
        }
        // What is over makes room first, a few at a time.
        self.expire(now, 4);
        if self.keys.len() >= self.config.size && (self.config.nopurge || !self.purge(now)) {
            return None;
        }
        let slots = self.config.data.iter().flat_map(|stored| {
            core::iter::repeat_n(
                match stored.data.kind() {
                    Kind::Number | Kind::Long => Slot::Number(0),
                    Kind::Rate => Slot::Rate(Rate::default()),
                    Kind::Name => Slot::Name(None),
                },
                stored.count,
            )
        });
        let mut all = Vec::with_capacity(self.slots);
        all.extend(slots);
        let at = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
        });
        let expires = self.deadline(now);
        self.entries[at as usize] = Some(Entry {
            key: key.into(),
            uses: 0,
            expires,
            queued: expires,
            update: 0,
            slots: all.into(),
        });
        self.keys.insert(key.into(), at);
        self.queue.insert((expires, at));
        Some(EntryId(at))
    }

    fn deadline(&self, now: Millis) -> Millis {
        now.saturating_add(self.config.expire.unwrap_or(0))
    }

    /// Drops entries whose time is over, at most so many. Returns how many.
    pub fn expire(&mut self, now: Millis, most: usize) -> usize {
        if self.config.expire.is_none() {
            return 0;
        }
        let mut dropped = 0;
        while dropped < most {
            let Some((queued, at)) = self.queue.first().copied() else { break };
            if queued > now {
                break;
            }
            let Some(entry) = self.entry(EntryId(at)) else {
                self.queue.pop_first();
                continue;
            };
            if self.is_over(entry, now) {
                self.remove(EntryId(at));
                dropped += 1;
            } else {
                // It was touched since, or it is held.
                let next = entry.expires.max(now.saturating_add(1));
                self.requeue(at, next);
            }
        }
        dropped
    }

    fn requeue(&mut self, at: u32, to: Millis) {
        let Some(entry) = self.entries[at as usize].as_mut() else { return };
        let from = core::mem::replace(&mut entry.queued, to);
        self.queue.remove(&(from, at));
        self.queue.insert((to, at));
    }

    /// Drops some of the entries that were touched least recently and that nobody holds.
    fn purge(&mut self, now: Millis) -> bool {
        let (mut wanted, mut looked) = (self.config.size / 256 + 1, 0);
        let mut any = false;
        // What is held is passed over twice at most: to the time of what was touched just now, and
        // behind it.
        while wanted > 0 && looked <= 2 * self.entries.len() {
            looked += 1;
            let Some((queued, at)) = self.queue.first().copied() else { break };
            let Some(entry) = self.entry(EntryId(at)) else { break };
            if entry.uses > 0 {
                let next = entry.expires.max(self.deadline(now)).max(queued.saturating_add(1));
                self.requeue(at, next);
            } else if entry.expires > queued {
                let next = entry.expires;
                self.requeue(at, next);
            } else {
                self.remove(EntryId(at));
                (wanted, any) = (wanted - 1, true);
            }
        }
        any
    }

    /// It was used here: it lives for the whole time again, and others are to be told.
    pub fn touch(&mut self, now: Millis, id: EntryId) {
        let expires = self.deadline(now);
        let (shared, next) = (self.shared, self.update + 1);
        let Some(entry) = self.entry_mut(id) else { return };
        entry.expires = expires;
        if shared {
            let before = core::mem::replace(&mut entry.update, next);
            self.updates.remove(&before);
            self.updates.insert(next, id.0);
            self.update = next;
        }
    }

    /// Another told of it: it lives for so many milliseconds, or for the whole time.
    pub fn touch_remote(&mut self, now: Millis, id: EntryId, left: Option<u64>) {
        let whole = self.deadline(now);
        let at = left.map_or(whole, |left| now.saturating_add(left)).min(whole);
        let Some(entry) = self.entry_mut(id) else { return };
        entry.expires = at;
        if at < entry.queued {
            self.requeue(id.0, at);
        }
    }

    /// Holds an entry: it stays while it is held.
    pub fn hold(&mut self, id: EntryId) {
        if let Some(entry) = self.entry_mut(id) {
            entry.uses += 1;
        }
    }

    /// Gives a hold back.
    pub fn release(&mut self, id: EntryId) {
        if let Some(entry) = self.entry_mut(id) {
            entry.uses = entry.uses.saturating_sub(1);
        }
    }

    /// Drops an entry; one that is held stays. Returns whether it is gone.
    pub fn remove(&mut self, id: EntryId) -> bool {
        let Some(place) = self.entries.get_mut(id.0 as usize) else { return true };
        if place.as_ref().is_some_and(|entry| entry.uses > 0) {
            return false;
        }
        if let Some(entry) = place.take() {
            self.keys.remove(&entry.key);
            self.queue.remove(&(entry.queued, id.0));
            self.updates.remove(&entry.update);
            self.free.push(id.0);
        }
        true
    }

    /// All entries that are not over, in the order of their keys.
    pub fn iter(&self, now: Millis) -> impl Iterator<Item = EntryId> {
        self.keys
            .values()
            .map(|at| EntryId(*at))
            .filter(move |id| self.entry(*id).is_some_and(|entry| !self.is_over(entry, now)))
    }

    /// The key of an entry.
    pub fn key(&self, id: EntryId) -> &[u8] {
        self.entry(id).map_or(&[], |entry| &entry.key)
    }

    /// How many hold an entry.
    pub fn uses(&self, id: EntryId) -> u32 {
        self.entry(id).map_or(0, |entry| entry.uses)
    }

    /// For how many milliseconds an entry lives if nothing touches it; 0 where it has no end.
    pub fn left(&self, now: Millis, id: EntryId) -> u64 {
        let entry = self.entry(id).filter(|_| self.config.expire.is_some());
        entry.map_or(0, |entry| entry.expires.saturating_sub(now))
    }

    /// For how many milliseconds nothing has touched an entry.
    pub fn idle(&self, now: Millis, id: EntryId) -> u64 {
        self.config.expire.map_or(0, |whole| whole.saturating_sub(self.left(now, id)))
    }

    /// Where something is stored: the first slot, and how.
    fn place(&self, data: Data, index: usize) -> Option<(usize, &Stored)> {
        let offset = self.offsets[data as usize];
        if offset == NOWHERE {
            let (array, at) = data.instead()?;
            return if index == 0 { self.place(array, at) } else { None };
        }
        let stored = self.config.stored(data)?;
        (index < stored.count).then_some((usize::from(offset) + index, stored))
    }

    /// Whether something is stored, at this index.
    pub fn stores(&self, data: Data, index: usize) -> bool {
        self.place(data, index).is_some()
    }

    /// A value.
    pub fn slot(&self, id: EntryId, data: Data, index: usize) -> Option<&Slot> {
        let (at, _) = self.place(data, index)?;
        self.entry(id)?.slots.get(at)
    }

    /// A value as a number: of a rate the events per period; `None` where it is not stored.
    pub fn number(&self, now: Millis, id: EntryId, data: Data, index: usize) -> Option<u64> {
        let (at, stored) = self.place(data, index)?;
        Some(match self.entry(id)?.slots.get(at)? {
            Slot::Number(number) => *number,
            Slot::Rate(rate) => rate.per(now, stored.period).into(),
            Slot::Name(_) => return None,
        })
    }

    /// Adds to a counter, or events to a rate. Returns what it is then; `None` where it is not
    /// stored.
    pub fn add(
        &mut self,
        now: Millis,
        id: EntryId,
        data: Data,
        index: usize,
        by: u64,
    ) -> Option<u64> {
        let (at, stored) = self.place(data, index)?;
        let (period, most) = (stored.period, most(stored.data));
        Some(match self.entry_mut(id)?.slots.get_mut(at)? {
            Slot::Number(number) => {
                *number = number.saturating_add(by).min(most);
                *number
            }
            Slot::Rate(rate) => {
                rate.add(now, period, u32::try_from(by).unwrap_or(u32::MAX));
                rate.per(now, period).into()
            }
            Slot::Name(_) => return None,
        })
    }

    /// Takes from a counter; 0 is the least.
    pub fn subtract(&mut self, id: EntryId, data: Data, by: u64) {
        let Some((at, _)) = self.place(data, 0) else { return };
        if let Some(Slot::Number(number)) =
            self.entry_mut(id).and_then(|entry| entry.slots.get_mut(at))
        {
            *number = number.saturating_sub(by);
        }
    }

    /// Sets a number, or the events a rate has just seen. Whether it is stored.
    pub fn set(&mut self, now: Millis, id: EntryId, data: Data, index: usize, to: u64) -> bool {
        let Some((at, stored)) = self.place(data, index) else { return false };
        let most = most(stored.data);
        match self.entry_mut(id).and_then(|entry| entry.slots.get_mut(at)) {
            Some(Slot::Number(number)) => *number = to.min(most),
            Some(Slot::Rate(rate)) => *rate = Rate::of(now, u32::try_from(to).unwrap_or(u32::MAX)),
            Some(Slot::Name(_)) | None => return false,
        }
        true
    }

    /// Sets a value as it is kept. Whether it is stored, and of that kind.
    pub fn set_slot(&mut self, id: EntryId, data: Data, index: usize, to: Slot) -> bool {
        let Some((at, _)) = self.place(data, index) else { return false };
        let Some(slot) = self.entry_mut(id).and_then(|entry| entry.slots.get_mut(at)) else {
            return false;
        };
        let same = core::mem::discriminant(slot) == core::mem::discriminant(&to);
        if same {
            *slot = to;
        }
        same
    }

    /// A name as entries share it.
    pub fn intern(&mut self, name: &str) -> Arc<String> {
        let name = String::from(name);
        if let Some(known) = self.names.get(&name) {
            return Arc::clone(known);
        }
        if self.names.len() >= MOST_NAMES {
            self.names.retain(|name| Arc::strong_count(name) > 1);
        }
        let name = Arc::new(name);
        self.names.insert(Arc::clone(&name));
        name
    }

    #[cfg(test)]
    pub(crate) const fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    #[cfg(test)]
    pub(crate) fn names_kept(&self) -> usize {
        self.names.len()
    }

    /// From now on changes are numbered, because others are to be told of them.
    pub const fn share(&mut self) {
        self.shared = true;
    }

    /// The number of the last change.
    pub const fn last_update(&self) -> Update {
        self.update
    }

    /// The first entry that was changed after the change of this number, and its own number.
    pub fn next_update(&self, after: Update) -> Option<(Update, EntryId)> {
        let (update, at) = self.updates.range(after.saturating_add(1)..).next()?;
        Some((*update, EntryId(*at)))
    }

    /// The first entry at or behind a place, and the place behind it: a walk over all of them that
    /// may pause.
    pub fn walk(&self, now: Millis, from: u32) -> Option<(EntryId, u32)> {
        let behind = self.entries.get(from as usize..)?;
        let found = |entry: &Option<Entry>| entry.as_ref().is_some_and(|e| !self.is_over(e, now));
        let at = from + u32::try_from(behind.iter().position(found)?).unwrap_or(u32::MAX);
        Some((EntryId(at), at + 1))
    }
}

const fn most(data: Data) -> u64 {
    match data.kind() {
        Kind::Long => u64::MAX,
        _ => u32::MAX as u64,
    }
}

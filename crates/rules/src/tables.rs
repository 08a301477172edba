//! Stick tables as rules use them: shared by threads, and entries a connection tracks.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use stick::{Config, Data, EntryId, KeyType, Millis, Table};

use crate::value::{Type, Value};

/// A stick table that all connections of a process share.
pub struct SharedTable {
    name: Box<str>,
    config: Config,
    now: fn() -> Millis,
    table: Mutex<Table>,
    /// Somebody is told of changes.
    shared: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl SharedTable {
    /// An empty table; `now` is the clock it goes by.
    pub fn new(name: &str, config: Config, now: fn() -> Millis) -> Self {
        Self {
            name: name.into(),
            config: config.clone(),
            now,
            table: Mutex::new(Table::new(config)),
            shared: AtomicBool::new(false),
            waiting: Mutex::default(),
        }
    }

    /// Its name: of its proxy, or `peers/name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes it one of another size, and of entries that live for another time: see
    /// [`Table::resize`]. False, and nothing happens, where its entries would not fit.
    pub fn resize(&self, config: &Config) -> bool {
        let fits = self.config.fits(config);
        if fits {
            self.with(|table, now| {
                if table.config() != config {
                    table.resize(now, config);
                }
            });
        }
        fits
    }

    /// What it was made as: its size and the time entries live may have
    /// [changed](Self::resize) since.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Does something with it, at the time it is handed.
    pub fn with<T>(&self, act: impl FnOnce(&mut Table, Millis) -> T) -> T {
        act(&mut self.lock(), (self.now)())
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key a value is; `None` if it is none.
    pub fn key(&self, value: Value<'_>) -> Option<Vec<u8>> {
        let bytes: Cow<'_, [u8]> = match self.config.key {
            KeyType::Ip => value.cast(Type::V4)?.into_bytes()?,
            KeyType::Ipv6 => value.cast(Type::V6)?.into_bytes()?,
            KeyType::Integer => (value.number()? as u32).to_le_bytes().to_vec().into(),
            KeyType::String(_) => value.into_text(),
            KeyType::Binary(_) => value.into_bytes()?,
        };
        self.config.key(&bytes)
    }

    /// A key as a value.
    pub fn value(&self, key: &[u8]) -> Value<'static> {
        match self.config.key {
            KeyType::Ip => <[u8; 4]>::try_from(key)
                .map_or(Value::Int(0), |octets| Value::Ip(IpAddr::V4(Ipv4Addr::from(octets)))),
            KeyType::Ipv6 => <[u8; 16]>::try_from(key)
                .map_or(Value::Int(0), |octets| Value::Ip(IpAddr::V6(Ipv6Addr::from(octets)))),
            KeyType::Integer => {
                let number = <[u8; 4]>::try_from(key).map_or(0, u32::from_le_bytes);
                Value::Int(number.into())
            }
            KeyType::String(_) => Value::Str(key.to_vec().into()),
            KeyType::Binary(_) => Value::Bin(key.to_vec().into()),
        }
    }

    /// From now on others are told of changes.
    pub fn share(&self) {
        self.shared.store(true, Ordering::Relaxed);
        self.lock().share();
    }

    /// Wakes a task at the next change.
    pub fn wake_at_change(&self, waker: &Waker) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }

    /// Wakes those who wait for a change: to be called when entries were touched.
    pub fn changed(&self) {
        if !self.shared.load(Ordering::Relaxed) {
            return;
        }
        let waiting =
            std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        for waker in waiting {
            waker.wake();
        }
    }

    /// Changes an entry and touches it.
    pub fn change<T>(&self, entry: EntryId, act: impl FnOnce(&mut Table, Millis) -> T) -> T {
        let done = self.with(|table, now| {
            let done = act(table, now);
            table.touch(now, entry);
            done
        });
        self.changed();
        done
    }

    /// Begins to track an entry: a connection counts. `None` if the table is full.
    pub fn track(self: &Arc<Self>, number: usize, content: bool, key: &[u8]) -> Option<Tracked> {
        let entry = self.with(|table, now| {
            let entry = table.create(now, key)?;
            table.hold(entry);
            table.add(now, entry, Data::ConnCur, 0, 1);
            table.add(now, entry, Data::ConnCnt, 0, 1);
            table.add(now, entry, Data::ConnRate, 0, 1);
            table.touch(now, entry);
            Some(entry)
        })?;
        self.changed();
        Some(Tracked { table: Arc::clone(self), entry, number, content })
    }
}

impl fmt::Debug for SharedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedTable").field("name", &self.name).finish_non_exhaustive()
    }
}

/// An entry a connection tracks. Dropped, the connection no longer counts.
pub struct Tracked {
    table: Arc<SharedTable>,
    entry: EntryId,
    number: usize,
    content: bool,
}

impl Tracked {
    /// The table.
    pub const fn table(&self) -> &Arc<SharedTable> {
        &self.table
    }

    /// The entry.
    pub const fn entry(&self) -> EntryId {
        self.entry
    }

    /// Which of the connection's counters it is.
    pub const fn number(&self) -> usize {
        self.number
    }

    /// Whether it began while bytes of the client were looked at, and not before.
    pub const fn content(&self) -> bool {
        self.content
    }

    /// A request of HTTP came.
    pub fn count_request(&self) {
        self.table.with(|table, now| {
            table.add(now, self.entry, Data::HttpReqCnt, 0, 1);
            table.add(now, self.entry, Data::HttpReqRate, 0, 1);
        });
    }

    /// Its key.
    pub fn key(&self) -> Vec<u8> {
        self.table.with(|table, _| table.key(self.entry).to_vec())
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.table.change(self.entry, |table, _| {
            table.subtract(self.entry, Data::ConnCur, 1);
            table.release(self.entry);
        });
    }
}

impl fmt::Debug for Tracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sc{} of {}", self.number, self.table.name)
    }
}

/// What a connection tracks.
#[derive(Debug, Default)]
pub struct Counters(Vec<Tracked>);

impl Counters {
    /// The counter of a number: what content rules track hides what earlier ones do.
    pub fn get(&self, number: usize) -> Option<&Tracked> {
        let own = || self.0.iter().filter(|tracked| tracked.number == number);
        own().find(|tracked| tracked.content).or_else(|| own().next())
    }

    /// Whether a rule of this place has tracked something under a number.
    pub fn has(&self, number: usize, content: bool) -> bool {
        self.0.iter().any(|tracked| tracked.number == number && tracked.content == content)
    }

    /// Tracks one more.
    pub fn push(&mut self, tracked: Tracked) {
        self.0.push(tracked);
    }

    /// The connection was accepted by the rules before its bytes: it is a session.
    pub fn count_session(&self) {
        for Tracked { table, entry, .. } in &self.0 {
            table.with(|table, now| {
                table.add(now, *entry, Data::SessCnt, 0, 1);
                table.add(now, *entry, Data::SessRate, 0, 1);
            });
        }
    }

    /// Bytes came from the client, and from the server.
    pub fn count_bytes(&self, up: u64, down: u64) {
        for Tracked { table, entry, .. } in &self.0 {
            table.with(|table, now| {
                table.add(now, *entry, Data::BytesInCnt, 0, up);
                table.add(now, *entry, Data::BytesOutCnt, 0, down);
                if up > 0 {
                    table.add(now, *entry, Data::BytesInRate, 0, up);
                }
                if down > 0 {
                    table.add(now, *entry, Data::BytesOutRate, 0, down);
                }
            });
        }
    }

    /// A request is over: what its rules tracked is tracked no more.
    pub fn forget_content(&mut self) {
        self.0.retain(|tracked| !tracked.content);
    }

    /// Adds to something of all of them: what an HTTP engine counts.
    pub fn count(&self, data: Data) {
        for Tracked { table, entry, .. } in &self.0 {
            table.with(|table, now| table.add(now, *entry, data, 0, 1));
        }
    }
}

//! Names asked for while the process runs: nginx's `resolver`, and whoever else follows a name.
//!
//! ```text
//!   session, follow ─► Cache: what holds ─► lookup: both families ─► alias by alias
//!                        ▲   one asks, others                          │
//!                        │   of the name wait                          ▼
//!                        └── Found, Failure ◄──── exchange: UDP, again elsewhere, TCP if cut off
//! ```
//!
//! [`Caches::addresses`] and [`Caches::services`] are what others call. What a failure means (keep
//! the servers there are, or not) is theirs to say: a [`Failure`] tells who said what.

mod exchange;
pub(crate) mod follow;
pub(crate) mod named;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proxy::Resolver;
use relay::timer::{self, Millis};
use tokio::sync::Semaphore;
use wire::dns::{Answer, Kind};

use crate::facts::millis;
use crate::state::lock;

/// Aliases of aliases are followed so far, from question to question.
const MAX_ALIASES: usize = 8;
/// Names that are remembered for one resolver.
const MAX_NAMES: usize = 10_000;
/// Questions under way at a time: who comes later waits.
const MAX_QUESTIONS: usize = 512;
/// The longest time for which it is remembered that there is no such name.
const MAX_NEGATIVE: Duration = Duration::from_secs(5);
/// Places of a service whose addresses are asked for.
const MAX_PLACES: usize = 256;

/// Why a name gave nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Failure {
    /// A name server's code: 1 format, 2 failure, 3 no such name, 4 not implemented, 5 refused.
    Code(u8),
    /// The name is there and has nothing of the kind that was asked for.
    Nothing,
    /// Its aliases lead back to one of them, or are too many.
    Loop,
    /// It can be no name.
    NoName,
    /// No name server answered in time.
    TimedOut,
}

impl Failure {
    /// Whether a name server said, with authority, that nothing is there: servers that came from
    /// this name are gone. Anything else says nothing about them.
    pub(crate) const fn is_final(self) -> bool {
        matches!(self, Self::Code(3) | Self::Nothing | Self::NoName)
    }
}

/// nginx's words, behind `NAME could not be resolved`.
impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Code(1) => "(1: Format error)",
            Self::Code(2) => "(2: Server failure)",
            Self::Code(3) | Self::Nothing | Self::Loop | Self::NoName => "(3: Host not found)",
            Self::Code(4) => "(4: Unimplemented)",
            Self::Code(5) => "(5: Operation refused)",
            Self::Code(other) => return write!(f, "({other}: Unknown error)"),
            Self::TimedOut => "(110: Operation timed out)",
        })
    }
}

/// What a name stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Found<T> {
    /// What it is, in the order of the answers.
    pub(crate) all: Vec<T>,
    /// For how long.
    pub(crate) holds: Duration,
}

/// One place of a service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    /// Where it is.
    pub(crate) address: SocketAddr,
    /// The lowest is tried first.
    pub(crate) priority: u16,
    /// Its share among those of the same priority.
    pub(crate) weight: u16,
}

/// What is known, by resolver.
#[derive(Debug, Default)]
pub(crate) struct Caches {
    caches: Mutex<Vec<(Resolver, Arc<Cache>)>>,
    /// What was asked for HAProxy's `resolvers`.
    pub(crate) sections: named::Sections,
    /// How far the questions for it have come.
    pub(crate) courses: named::Courses,
}

impl Caches {
    /// What is known from this resolver.
    pub(crate) fn of(&self, resolver: &Resolver) -> Arc<Cache> {
        let mut caches = lock(&self.caches);
        if let Some((_, cache)) = caches.iter().find(|(known, _)| known == resolver) {
            return Arc::clone(cache);
        }
        let cache = Arc::new(Cache::default());
        caches.push((resolver.clone(), Arc::clone(&cache)));
        cache
    }

    /// Every resolver that was asked, for whoever shows them.
    pub(crate) fn all(&self) -> Vec<(Resolver, Arc<Cache>)> {
        lock(&self.caches).clone()
    }

    /// The addresses of a name, from memory while they hold.
    ///
    /// # Errors
    ///
    /// Why there are none.
    pub(crate) async fn addresses(
        &self,
        resolver: &Resolver,
        name: &str,
    ) -> Result<Found<IpAddr>, Failure> {
        let cache = self.of(resolver);
        let key = name.trim_end_matches('.').to_ascii_lowercase();
        let Some(entry) = cache.entry(&key) else {
            return cache
                .both(resolver, &key)
                .await
                .map(|(found, _)| found)
                .map_err(|(why, _)| why);
        };
        let asked = async {
            // Who comes first asks; the others find what it found.
            let mut entry = entry.lock().await;
            if let Some((known, until)) = &*entry
                && timer::now() < *until
            {
                return known.clone();
            }
            let (found, holds) = match cache.both(resolver, &key).await {
                Ok((found, holds)) => (Ok(found), holds),
                Err((why, holds)) => (Err(why), holds.min(MAX_NEGATIVE)),
            };
            *entry = Some((found.clone(), timer::now() + millis(holds)));
            found
        };
        match tokio::time::timeout(resolver.timeout, asked).await {
            Ok(found) => found,
            Err(_) => {
                cache.counts.timed_out.fetch_add(1, Relaxed);
                Err(Failure::TimedOut)
            }
        }
    }

    /// As [`addresses`](Self::addresses), but always asked for.
    ///
    /// # Errors
    ///
    /// Why there are none.
    pub(crate) async fn fresh_addresses(
        &self,
        resolver: &Resolver,
        name: &str,
    ) -> Result<Found<IpAddr>, Failure> {
        let cache = self.of(resolver);
        let key = name.trim_end_matches('.').to_ascii_lowercase();
        match tokio::time::timeout(resolver.timeout, cache.both(resolver, &key)).await {
            Ok(found) => found.map(|(found, _)| found).map_err(|(why, _)| why),
            Err(_) => {
                cache.counts.timed_out.fetch_add(1, Relaxed);
                Err(Failure::TimedOut)
            }
        }
    }

    /// The places of a service: of each host in its SRV records, every address.
    ///
    /// # Errors
    ///
    /// Why there are none. A host without addresses is left out unless all are.
    pub(crate) async fn services(
        &self,
        resolver: &Resolver,
        name: &str,
    ) -> Result<Found<Place>, Failure> {
        let cache = self.of(resolver);
        let key = name.trim_end_matches('.').to_ascii_lowercase();
        let question = cache.follow(resolver, &key, Kind::Srv);
        let answer = match tokio::time::timeout(resolver.timeout, question).await {
            Ok(answer) => answer.map_err(|(why, _)| why)?,
            Err(_) => {
                cache.counts.timed_out.fetch_add(1, Relaxed);
                return Err(Failure::TimedOut);
            }
        };
        let mut holds = resolver.valid.unwrap_or(Duration::from_secs(answer.ttl.into()));
        let mut all = Vec::new();
        let mut failure = Failure::Nothing;
        // RFC 2782: "A Target of "." means that the service is decidedly not available".
        let services = answer.services.iter().filter(|service| !service.target.is_empty());
        for service in services.take(MAX_PLACES) {
            match self.addresses(resolver, &service.target).await {
                Ok(found) => {
                    holds = holds.min(found.holds);
                    all.extend(found.all.into_iter().map(|ip| Place {
                        address: SocketAddr::new(ip, service.port),
                        priority: service.priority,
                        weight: service.weight,
                    }));
                }
                Err(why) => failure = why,
            }
        }
        if all.is_empty() { Err(failure) } else { Ok(Found { all, holds }) }
    }
}

/// A remembered name: what came of it, until when. Locked while somebody asks.
type Entry = Arc<tokio::sync::Mutex<Option<(Result<Found<IpAddr>, Failure>, Millis)>>>;

/// What is known from one resolver.
#[derive(Debug)]
pub(crate) struct Cache {
    names: Mutex<HashMap<String, Entry>>,
    /// Room for questions.
    room: Semaphore,
    /// What was asked and answered.
    pub(crate) counts: Counts,
}

impl Default for Cache {
    fn default() -> Self {
        let (names, counts) = (Mutex::default(), Counts::default());
        Self { names, room: Semaphore::new(MAX_QUESTIONS), counts }
    }
}

/// Questions and answers since the start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Questions for addresses.
    pub(crate) names: AtomicU64,
    /// Questions for services.
    pub(crate) services: AtomicU64,
    /// Answers by code: 0 is a good one; the last holds all codes from 6 on.
    pub(crate) codes: [AtomicU64; 7],
    /// Lookups that came to nothing in time.
    pub(crate) timed_out: AtomicU64,
    /// Messages that were no answers to what was asked.
    pub(crate) noise: AtomicU64,
}

/// Why there is nothing, and for how long that holds.
type Missing = (Failure, Duration);

impl Cache {
    /// The entry of a name; `None` if there is no room for another one.
    fn entry(&self, key: &str) -> Option<Entry> {
        let mut names = lock(&self.names);
        if let Some(entry) = names.get(key) {
            return Some(Arc::clone(entry));
        }
        if names.len() >= MAX_NAMES {
            let now = timer::now();
            names.retain(|_, entry| match entry.try_lock() {
                Ok(entry) => entry.as_ref().is_some_and(|(_, until)| now < *until),
                Err(_) => true,
            });
        }
        if names.len() >= MAX_NAMES {
            return None;
        }
        let entry = Entry::default();
        names.insert(key.to_owned(), Arc::clone(&entry));
        Some(entry)
    }

    /// Asks for every family that is wanted; one of them is enough. With it, how long it holds.
    async fn both(
        &self,
        resolver: &Resolver,
        name: &str,
    ) -> Result<(Found<IpAddr>, Duration), Missing> {
        let one = async |wanted: bool, kind| {
            if wanted { Some(self.follow(resolver, name, kind).await) } else { None }
        };
        let (v4, v6) = tokio::join!(one(resolver.v4, Kind::A), one(resolver.v6, Kind::Aaaa));
        let mut all = Vec::new();
        let mut ttl = u32::MAX;
        let mut missing: Option<Missing> = None;
        for answer in [v4, v6].into_iter().flatten() {
            match answer {
                Ok(answer) => {
                    ttl = ttl.min(answer.ttl);
                    all.extend(answer.addresses);
                }
                // That nothing is there counts only if all say so.
                Err((why, holds)) => {
                    let weaker = missing.is_none_or(|(known, _)| known.is_final());
                    if weaker {
                        missing = Some((why, holds));
                    }
                }
            }
        }
        if all.is_empty() {
            return Err(missing.unwrap_or((Failure::Nothing, Duration::ZERO)));
        }
        let holds = resolver.valid.unwrap_or(Duration::from_secs(ttl.into()));
        Ok((Found { all, holds }, holds))
    }

    /// Follows aliases from question to question.
    async fn follow(&self, resolver: &Resolver, name: &str, kind: Kind) -> Result<Answer, Missing> {
        let mut name = name.to_owned();
        let mut seen = Vec::new();
        let mut ttl = u32::MAX;
        while seen.len() < MAX_ALIASES && !seen.contains(&name) {
            // Only its owner closes it, and there is none before the process ends.
            let _room = self.room.acquire().await;
            let mut answer = exchange::ask(self, resolver, &name, kind).await?;
            ttl = ttl.min(answer.ttl);
            let Some(alias) = answer.alias.take() else {
                if answer.is_empty() {
                    return Err((Failure::Nothing, Duration::from_secs(answer.ttl.into())));
                }
                return Ok(Answer { ttl, ..answer });
            };
            seen.push(std::mem::replace(&mut name, alias));
        }
        Err((Failure::Loop, Duration::ZERO))
    }
}

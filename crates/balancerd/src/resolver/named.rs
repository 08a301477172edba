//! HAProxy's `resolvers`: names that are asked for at a steady pace, and what answers do to servers.
//!
//! ```text
//!   section ─► all name servers at once ─► the first good answer ─┐
//!     ▲  family after family, again after `timeout retry`          │
//!     │                                                            ▼
//!     └── `timeout resolve` ◄── servers: keep, move, fill, into maintenance (MAINT (resolution))
//! ```
//!
//! An answer of another kind changes nothing before `hold` has passed since the last good one. What is
//! in a server is read from the server itself: whoever asks after a reload goes on from there.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use balance::ServerId;
use check::Event;
use proxy::{Resolve, Resolvers};
use relay::Target;
use tokio::task::JoinSet;
use wire::dns::{Answer, Kind};

use super::{Cache, Failure, exchange};
use crate::health::{Board, Ward};
use crate::state::{Shared, lock};

/// Answers are not asked for more often than this, whatever a section says.
const SOONEST: Duration = Duration::from_millis(10);

/// What became of the questions to one name server: the lines of `show resolvers`.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) sent: AtomicU64,
    pub(crate) send_errors: AtomicU64,
    pub(crate) valid: AtomicU64,
    pub(crate) updates: AtomicU64,
    pub(crate) cnames: AtomicU64,
    pub(crate) any_error: AtomicU64,
    pub(crate) no_such_name: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) other: AtomicU64,
    pub(crate) invalid: AtomicU64,
}

/// Counters of every name server of a section, in the order of the file.
pub(crate) type SectionCounts = Vec<Arc<Counts>>;

/// The counters of all sections, by name: they outlive a configuration.
#[derive(Debug, Default)]
pub(crate) struct Sections(Mutex<HashMap<String, (Vec<String>, SectionCounts)>>);

impl Sections {
    /// The counters of a section, begun anew where its name servers are others.
    pub(crate) fn of(&self, section: &Resolvers) -> SectionCounts {
        let names: Vec<String> = section.nameservers.iter().map(|one| one.name.clone()).collect();
        let mut all = lock(&self.0);
        let (known, counts) = all.entry(section.name.clone()).or_default();
        if *known != names {
            *counts = names.iter().map(|_| Arc::default()).collect();
            *known = names;
        }
        counts.clone()
    }
}

/// How far a question has come: whoever asks it after a reload goes on from there.
#[derive(Clone, Debug)]
struct Course {
    section: Resolvers,
    /// The servers that wait, by [`ServerState::id`](crate::state::ServerState::id).
    seats: Vec<u32>,
    last_good: Option<Instant>,
    /// The addresses there were, and when.
    seen: HashMap<IpAddr, Instant>,
    due: Instant,
}

/// What tells one question from another: the section, the name, and whether IPv4 is preferred.
type Key = (String, String, bool);

/// The courses of all questions: they outlive a configuration.
#[derive(Debug, Default)]
pub(crate) struct Courses(Mutex<HashMap<Key, Course>>);

impl Courses {
    fn of(&self, key: &Key) -> Option<Course> {
        lock(&self.0).get(key).cloned()
    }

    fn note(&self, key: &Key, course: &Course) {
        lock(&self.0).insert(key.clone(), course.clone());
    }

    fn forget_all_but(&self, asked: &[Key]) {
        lock(&self.0).retain(|key, _| asked.contains(key));
    }
}

/// Why there is no answer, as HAProxy says it of a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Nothing {
    NoSuchName,
    Refused,
    TimedOut,
    Other,
}

impl Nothing {
    const fn said(self) -> &'static str {
        match self {
            Self::NoSuchName => "DNS NX status",
            Self::Refused => "DNS refused status",
            Self::TimedOut => "DNS timeout status",
            Self::Other => "unspecified DNS error",
        }
    }

    const fn hold(self, section: &Resolvers) -> Duration {
        match self {
            Self::NoSuchName => section.hold.nx,
            Self::Refused => section.hold.refused,
            Self::TimedOut => section.hold.timeout,
            Self::Other => section.hold.other,
        }
    }
}

/// A server that waits for an answer.
#[derive(Clone, Copy)]
struct Seat {
    backend: usize,
    server: usize,
}

/// A name, and whom it concerns.
struct Question {
    resolve: &'static Resolve,
    seats: Vec<Seat>,
}

/// Asks for every name, until it is dropped.
pub(crate) async fn run(shared: &'static Shared, board: &'static Board) {
    let mut questions: Vec<Question> = Vec::new();
    for (backend, configured) in shared.config.backends.iter().enumerate() {
        for (server, one) in configured.servers.iter().enumerate() {
            let Some(resolve) = one.resolve.as_deref() else { continue };
            let seat = Seat { backend, server };
            let key = |r: &Resolve| (r.resolvers, r.name.clone(), r.prefer_v4);
            match questions.iter_mut().find(|known| key(known.resolve) == key(resolve)) {
                Some(known) => known.seats.push(seat),
                None => questions.push(Question { resolve, seats: vec![seat] }),
            }
        }
    }
    let mut tasks = JoinSet::new();
    let mut asked = Vec::new();
    for question in questions {
        let Some(section) = shared.config.process.resolvers.get(question.resolve.resolvers) else {
            continue;
        };
        asked.push(question.key(section));
        let counts = shared.known.sections.of(section);
        let asker = Asker { shared, board, names: Names { section, counts } };
        tasks.spawn_local(asker.follow(question));
    }
    shared.known.courses.forget_all_but(&asked);
    while tasks.join_next().await.is_some() {}
}

impl Question {
    fn key(&self, section: &Resolvers) -> Key {
        (section.name.clone(), self.resolve.name.clone(), self.resolve.prefer_v4)
    }
}

struct Asker {
    shared: &'static Shared,
    board: &'static Board,
    names: Names,
}

/// Who is asked for names.
struct Names {
    section: &'static Resolvers,
    counts: SectionCounts,
}

/// The address of a name, of one who asks for it once: `do-resolve`. `None` if there is none, or no
/// answer within `resolve_retries` times `timeout retry`.
pub(crate) async fn address_of(shared: &'static Shared, asked: &rules::Question) -> Option<IpAddr> {
    let mut sections = shared.config.process.resolvers.iter();
    let section = sections.find(|section| *section.name == *asked.resolvers)?;
    let names = Names { section, counts: shared.known.sections.of(section) };
    let name = asked.name.trim_end_matches('.').to_ascii_lowercase();
    // Its questions are tasks of this thread.
    let found = tokio::task::LocalSet::new();
    let (found, _) = found.run_until(names.addresses(&name, asked.prefer_v4)).await.ok()?;
    found.first().copied()
}

/// What a name has: addresses, or the places of a service with theirs.
enum Got {
    Addresses(Vec<IpAddr>),
    Places(Vec<Place>),
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Place {
    host: String,
    port: u16,
    weight: u32,
    ip: Option<IpAddr>,
}

impl Names {
    /// The preferred family first, and the other if there is none of it.
    async fn addresses(&self, name: &str, v4: bool) -> Result<(Vec<IpAddr>, String), Nothing> {
        let kinds = if v4 { [Kind::A, Kind::Aaaa] } else { [Kind::Aaaa, Kind::A] };
        let mut why = Nothing::Other;
        for kind in kinds {
            match self.question(name, kind).await {
                Ok((answer, by)) if !answer.addresses.is_empty() => {
                    return Ok((answer.addresses, by));
                }
                Ok(_) => {}
                // Nobody answers for the other family either.
                Err(Nothing::TimedOut) => return Err(Nothing::TimedOut),
                Err(other) => why = other,
            }
        }
        Err(why)
    }

    /// One question to all name servers; again where none of them says anything.
    async fn question(&self, name: &str, kind: Kind) -> Result<(Answer, String), Nothing> {
        for _ in 0..self.section.retries.max(1) {
            let mut asked = JoinSet::new();
            for (at, server) in self.section.nameservers.iter().enumerate() {
                let Some(counts) = self.counts.get(at).map(Arc::clone) else { continue };
                let (address, payload) = (server.address, self.section.payload);
                let (name, by) = (name.to_owned(), server.name.clone());
                asked.spawn_local(async move {
                    (one(address, &name, kind, payload, &counts).await, by)
                });
            }
            let mut why = None;
            let answers = async {
                while let Some(Ok((said, by))) = asked.join_next().await {
                    match said {
                        Ok(answer) => return Some((answer, by)),
                        Err(nothing) => why = nothing.or(why),
                    }
                }
                None
            };
            match tokio::time::timeout(self.section.retry.max(SOONEST), answers).await {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {
                    if let Some(why) = why {
                        return Err(why);
                    }
                    // Nobody could be reached: not at once again.
                    tokio::time::sleep(self.section.retry.max(SOONEST)).await;
                }
                Err(_) => {
                    for counts in &self.counts {
                        counts.timeouts.fetch_add(1, Relaxed);
                    }
                }
            }
        }
        Err(Nothing::TimedOut)
    }
}

impl Asker {
    async fn follow(self, question: Question) {
        let (key, courses) = (question.key(self.names.section), &self.shared.known.courses);
        let id = |seat: &Seat| self.shared.backends[seat.backend].servers[seat.server].id;
        let seats: Vec<u32> = question.seats.iter().map(id).collect();
        let known = courses.of(&key);
        let same =
            known.as_ref().filter(|one| one.section == *self.names.section && one.seats == seats);
        if let Some(same) = same {
            tokio::time::sleep_until(same.due.into()).await;
        }
        let (last_good, seen) = known.map(|one| (one.last_good, one.seen)).unwrap_or_default();
        let (section, due) = (self.names.section.clone(), Instant::now());
        let mut course = Course { section, seats, last_good, seen, due };
        loop {
            let began = Instant::now();
            match self.ask(question.resolve).await {
                Ok((got, by)) => {
                    course.last_good = Some(Instant::now());
                    let changed = match got {
                        Got::Addresses(all) => {
                            let all = self.with_obsolete(all, &mut course.seen);
                            self.hosts(&question, &all, &by)
                        }
                        Got::Places(places) => self.service(&question, &places, &by),
                    };
                    if changed && let Some(counts) = self.counts_of(&by) {
                        counts.updates.fetch_add(1, Relaxed);
                    }
                }
                Err(why) => {
                    let good = course.last_good;
                    let held = good.is_some_and(|at| at.elapsed() < why.hold(self.names.section));
                    if !held && !question.resolve.service {
                        for seat in &question.seats {
                            self.withdraw(*seat, why.said());
                        }
                    } else if !held {
                        self.service(&question, &[], "");
                    }
                }
            }
            course.due = began + self.names.section.resolve.max(SOONEST);
            courses.note(&key, &course);
            tokio::time::sleep_until(course.due.into()).await;
        }
    }

    fn counts_of(&self, name: &str) -> Option<&Arc<Counts>> {
        let at = self.names.section.nameservers.iter().position(|one| one.name == name)?;
        self.names.counts.get(at)
    }

    /// The answer's addresses, and those it had until `hold obsolete` ago.
    fn with_obsolete(&self, all: Vec<IpAddr>, seen: &mut HashMap<IpAddr, Instant>) -> Vec<IpAddr> {
        let now = Instant::now();
        for ip in &all {
            seen.insert(*ip, now);
        }
        seen.retain(|_, at| now.duration_since(*at) <= self.names.section.hold.obsolete);
        let mut kept = all;
        let missing: Vec<IpAddr> = seen.keys().filter(|ip| !kept.contains(ip)).copied().collect();
        kept.extend(missing);
        kept
    }

    /// Asks; the answer, and the name of who gave it.
    async fn ask(&self, resolve: &Resolve) -> Result<(Got, String), Nothing> {
        if !resolve.service {
            let (ips, by) = self.names.addresses(&resolve.name, resolve.prefer_v4).await?;
            return Ok((Got::Addresses(ips), by));
        }
        let (answer, by) = self.names.question(&resolve.name, Kind::Srv).await?;
        let mut places = Vec::new();
        for service in answer.services.into_iter().filter(|service| !service.target.is_empty()) {
            let found = self.names.addresses(&service.target, resolve.prefer_v4).await;
            places.push(Place {
                ip: found.ok().and_then(|(ips, _)| ips.first().copied()),
                port: service.port,
                weight: u32::from(service.weight).div_ceil(256),
                host: service.target,
            });
        }
        Ok((Got::Places(places), by))
    }

    fn ward(&self, seat: Seat) -> Ward<'static> {
        Ward::new(self.shared, self.board, seat.backend, seat.server)
    }

    /// Its address, unless it has none.
    fn address(&self, seat: Seat) -> Option<SocketAddr> {
        if self.ward(seat).admin().has(check::Admin::RESOLUTION) {
            return None;
        }
        match self.shared.backends[seat.backend].servers[seat.server].target() {
            Target::Inet(address) => Some(address),
            Target::Unix(_) => None,
        }
    }

    fn withdraw(&self, seat: Seat, why: &str) {
        if self.address(seat).is_some() {
            self.ward(seat).named(Event::Resolved(false), why);
        }
    }

    /// Gives a server an address; whether that changed anything.
    fn place(&self, seat: Seat, address: SocketAddr, host: &str, by: &str) -> bool {
        let before = self.address(seat);
        if before == Some(address) {
            return false;
        }
        let configured = &self.shared.config.backends[seat.backend];
        let (backend, server) = (&configured.name, &configured.servers[seat.server].name);
        let state = &self.shared.backends[seat.backend];
        state.servers[seat.server].move_to(Target::Inet(address));
        state.balancer.change(|pool, _| pool.set_address(ServerId(seat.server), Some(address)));
        let ward = self.ward(seat);
        let old = before.map_or_else(|| "(none)".to_owned(), |old| old.ip().to_string());
        if before.map(|old| old.ip()) != Some(address.ip()) {
            let ip = address.ip();
            ward.tell(format_args!(
                "{backend}/{server}: IP changed from '{old}' to '{ip}' by '{by}'."
            ));
        }
        if before.is_none() {
            ward.named(Event::Resolved(true), host);
            ward.tell(format_args!(
                "Server {backend}/{server} administratively READY thanks to valid DNS answer."
            ));
        }
        true
    }

    /// An answer about a host: every server keeps its address if it is still one, and else gets one that
    /// no other server of its backend has.
    fn hosts(&self, question: &Question, all: &[IpAddr], by: &str) -> bool {
        let mut changed = false;
        let mut by = format!("{}/{by}", self.names.section.name);
        let mut backends: Vec<usize> = question.seats.iter().map(|seat| seat.backend).collect();
        backends.dedup();
        for backend in backends {
            let seats = || question.seats.iter().filter(|seat| seat.backend == backend);
            for seat in seats() {
                let Some(resolve) = self.resolve(*seat) else { continue };
                let current = self.address(*seat).map(|address| address.ip());
                if current.is_some_and(|ip| all.contains(&ip)) {
                    continue;
                }
                let used: Vec<IpAddr> = seats()
                    .filter(|other| other.server != seat.server)
                    .filter_map(|other| Some(self.address(*other)?.ip()))
                    .collect();
                let free = all.iter().filter(|ip| resolve.allow_duplicates || !used.contains(ip));
                match free.min_by_key(|ip| rank(resolve, **ip)) {
                    Some(ip) => {
                        let address = SocketAddr::new(*ip, resolve.port);
                        changed |= self.place(*seat, address, &resolve.name, &by);
                        "DNS cache".clone_into(&mut by);
                    }
                    None => self.withdraw(*seat, "No IP for server "),
                }
            }
        }
        changed
    }

    fn resolve(&self, seat: Seat) -> Option<&'static Resolve> {
        self.shared.config.backends[seat.backend].servers[seat.server].resolve.as_deref()
    }

    /// An answer about a service: servers keep their place while it is there; free ones get new ones.
    fn service(&self, question: &Question, places: &[Place], by: &str) -> bool {
        let mut changed = false;
        let by = format!("{}/{by}", self.names.section.name);
        let mut backends: Vec<usize> = question.seats.iter().map(|seat| seat.backend).collect();
        backends.dedup();
        for backend in backends {
            let seats: Vec<Seat> =
                question.seats.iter().filter(|seat| seat.backend == backend).copied().collect();
            let state = &self.shared.backends[backend];
            let place_of = |seat: Seat| lock(&state.servers[seat.server].service).clone();
            let mut missing: Vec<&Place> = places.iter().collect();
            for seat in &seats {
                let Some((host, port)) = place_of(*seat) else { continue };
                match missing.iter().position(|one| one.host == host && one.port == port) {
                    Some(at) => changed |= self.fill(*seat, missing.swap_remove(at), &by),
                    None => {
                        self.withdraw(*seat, "entry removed from SRV record");
                        *lock(&state.servers[seat.server].service) = None;
                        changed = true;
                    }
                }
            }
            // In the order of the answer.
            let in_order = places.iter().filter(|place| missing.contains(place));
            let free = seats.iter().filter(|seat| place_of(**seat).is_none());
            for (seat, place) in free.copied().collect::<Vec<_>>().into_iter().zip(in_order) {
                let key = (place.host.clone(), place.port);
                *lock(&state.servers[seat.server].service) = Some(key);
                let configured = &self.shared.config.backends[backend];
                let server = &configured.servers[seat.server].name;
                self.ward(seat).note(format_args!(
                    "{}/{server} changed its FQDN from (null) to {} by 'SRV record'",
                    configured.name, place.host
                ));
                self.fill(seat, place, &by);
                changed = true;
            }
        }
        changed
    }

    /// Gives a server the address and weight of its place.
    fn fill(&self, seat: Seat, place: &Place, by: &str) -> bool {
        let balancer = &self.shared.backends[seat.backend].balancer;
        let now = self.shared.clock.now();
        let id = ServerId(seat.server);
        let ignores = self.resolve(seat).is_some_and(|resolve| resolve.ignore_weight);
        if !ignores && balancer.look(|pool| pool.server(id).weight) != place.weight {
            balancer.change(|pool, wakes| pool.set_weight(now, id, place.weight, wakes));
        }
        match place.ip {
            Some(ip) => self.place(seat, SocketAddr::new(ip, place.port), &place.host, by),
            // Its host has no address just now; what it had is kept.
            None => false,
        }
    }
}

/// The lower, the better: in a preferred network, of the preferred family.
fn rank(resolve: &Resolve, ip: IpAddr) -> (bool, bool) {
    let inside = resolve.networks.iter().any(|network| contains(*network, ip));
    (!inside && !resolve.networks.is_empty(), ip.is_ipv4() != resolve.prefer_v4)
}

fn contains((network, length): (IpAddr, u8), ip: IpAddr) -> bool {
    ipnet::IpNet::new(network, length).is_ok_and(|network| network.contains(&ip))
}

/// Asks one name server. `Err(None)`: it could not be asked.
async fn one(
    server: SocketAddr,
    name: &str,
    kind: Kind,
    payload: u16,
    counts: &Counts,
) -> Result<Answer, Option<Nothing>> {
    counts.sent.fetch_add(1, Relaxed);
    let noise = Cache::default();
    let said = exchange::one(&noise, server, name, kind, Some(payload)).await;
    counts.invalid.fetch_add(noise.counts.noise.load(Relaxed), Relaxed);
    let why = match said {
        Err(_) => {
            counts.send_errors.fetch_add(1, Relaxed);
            return Err(None);
        }
        Ok(Ok(answer)) if !answer.is_empty() => {
            counts.valid.fetch_add(1, Relaxed);
            if answer.alias.is_some() {
                counts.cnames.fetch_add(1, Relaxed);
            }
            return Ok(answer);
        }
        Ok(Ok(_)) => Nothing::Other,
        Ok(Err((Failure::Code(3), _))) => Nothing::NoSuchName,
        Ok(Err((Failure::Code(5), _))) => Nothing::Refused,
        Ok(Err(_)) => Nothing::Other,
    };
    counts.any_error.fetch_add(1, Relaxed);
    match why {
        Nothing::NoSuchName => &counts.no_such_name,
        Nothing::Refused => &counts.refused,
        Nothing::TimedOut => &counts.timeouts,
        Nothing::Other => &counts.other,
    }
    .fetch_add(1, Relaxed);
    Err(Some(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_hold_what_begins_like_them() {
        assert!(contains((ip("192.0.2.0"), 24), ip("192.0.2.200")));
        assert!(!contains((ip("192.0.2.0"), 25), ip("192.0.2.200")));
        assert!(contains((ip("0.0.0.0"), 0), ip("192.0.2.200")));
        assert!(contains((ip("2001:db8::"), 32), ip("2001:db8:1::1")));
        assert!(!contains((ip("::"), 0), ip("192.0.2.1")));
    }
}

//! Upstreams whose servers a name server tells: filled, emptied and refilled while the process
//! runs.
//!
//! ```text
//!   Discovery ─► ask ─► who should be there ─┐
//!                 ▲                          ├─ compared ─► slots filled and emptied
//!                 │     who is in its slots ─┘
//!                 └──── when the answer no longer holds, or `resolver_timeout` after a failure
//! ```
//!
//! What is in the slots is read from the pool each time: whoever follows the name after a reload
//! goes on from there.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::time::Duration;

use balance::{Pool, ServerId};
use proxy::{Discovery, Severity};
use relay::Target;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{Failure, Found, Place};
use crate::state::{BackendState, Shared};

/// An answer that holds for no time is asked for again after this one.
const SOONEST: Duration = Duration::from_secs(1);

/// Whether the names of a backend have been answered for once: before that, who finds no server
/// waits.
#[derive(Debug, Default)]
pub(crate) struct Awaited {
    pending: AtomicBool,
    came: Notify,
}

impl Awaited {
    /// Whether there is anything to wait for.
    pub(crate) fn new(pending: bool) -> Self {
        Self { pending: AtomicBool::new(pending), came: Notify::new() }
    }

    /// Returns when the pool has servers, or all answers came, or after `limit`: at once where
    /// nobody is awaited.
    pub(crate) async fn wait(&self, state: &BackendState, limit: Option<Duration>) {
        let waiting = || self.pending.load(Acquire) && state.balancer.look(Pool::present) == 0;
        if !waiting() {
            return;
        }
        let came = async {
            loop {
                let came = self.came.notified();
                // It may have come before anybody listened.
                if !waiting() {
                    return;
                }
                came.await;
            }
        };
        let _ = tokio::time::timeout(limit.unwrap_or(Duration::from_secs(60)), came).await;
    }

    fn end(&self) {
        self.pending.swap(false, AcqRel);
        self.came.notify_waiters();
    }
}

/// A server as an answer has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Wanted {
    pub(super) address: SocketAddr,
    pub(super) weight: u32,
    pub(super) backup: bool,
}

/// Follows the names of every backend, until it is dropped.
pub(crate) async fn run(shared: &'static Shared) {
    let mut tasks = JoinSet::new();
    for (index, backend) in shared.config.backends.iter().enumerate() {
        if backend.shares_servers_with.is_some() || backend.discoveries.is_empty() {
            continue;
        }
        let state = &shared.backends[index];
        tasks.spawn(async move {
            let mut lines = JoinSet::new();
            let (told, mut first) = tokio::sync::mpsc::channel(1);
            for discovery in &backend.discoveries {
                let told = told.clone();
                lines.spawn(follow(shared, state, discovery, told));
            }
            drop(told);
            // Every line lets go of its end once it was answered.
            let _ = first.recv().await;
            state.awaited.end();
            while lines.join_next().await.is_some() {}
        });
    }
    while tasks.join_next().await.is_some() {}
}

/// Follows one name.
async fn follow(
    shared: &'static Shared,
    state: &'static BackendState,
    discovery: &'static Discovery,
    told: tokio::sync::mpsc::Sender<()>,
) {
    let errors = shared.log.error_route(&shared.config.process.error_log);
    let mut told = Some(told);
    let mut excess = false;
    loop {
        let answer = ask(shared, discovery).await;
        let pause = match answer {
            Ok(found) => {
                let all = wanted(discovery, &found.all);
                let many = all.len() > discovery.slots;
                if many && !excess {
                    let (name, all, most) = (&discovery.name, all.len(), discovery.slots);
                    let line = format_args!("{name} has {all} addresses, {most} of them are used");
                    shared.log.send(&errors, Severity::Warning, line);
                }
                excess = many;
                apply(shared, state, discovery, &all);
                found.holds.max(SOONEST)
            }
            Err(why) => {
                let line = format_args!("{} could not be resolved {why}", discovery.name);
                shared.log.send(&errors, Severity::Error, line);
                if why.is_final() {
                    apply(shared, state, discovery, &[]);
                }
                discovery.resolver.timeout.max(SOONEST)
            }
        };
        drop(told.take());
        tokio::time::sleep(pause).await;
    }
}

async fn ask(shared: &Shared, discovery: &Discovery) -> Result<Found<Place>, Failure> {
    let Discovery { resolver, name, port, .. } = discovery;
    if discovery.service {
        return shared.known.services(resolver, name).await;
    }
    let found = shared.known.fresh_addresses(resolver, name).await?;
    let place = |ip| Place { address: SocketAddr::new(ip, *port), priority: 0, weight: 1 };
    Ok(Found { all: found.all.into_iter().map(place).collect(), holds: found.holds })
}

/// Who should be there: each address once; of a service the places of the lowest number are
/// servers and the others backups, unless the line itself is for backups.
pub(super) fn wanted(discovery: &Discovery, places: &[Place]) -> Vec<Wanted> {
    let best = places.iter().map(|place| place.priority).min();
    let mut all: Vec<Wanted> = Vec::new();
    for place in places {
        let first = Some(place.priority) == best;
        if discovery.backup && !first || all.iter().any(|one| one.address == place.address) {
            continue;
        }
        let weight = match discovery.service && discovery.weight == 1 {
            true => u32::from(place.weight).max(1),
            false => discovery.weight,
        };
        all.push(Wanted { address: place.address, weight, backup: discovery.backup || !first });
    }
    all
}

/// Empties the slots of who is gone, and fills free ones with who is new.
fn apply(shared: &Shared, state: &BackendState, discovery: &Discovery, wanted: &[Wanted]) {
    let wanted = &wanted[..wanted.len().min(discovery.slots)];
    let slots = discovery.first..discovery.first + discovery.slots;
    let now = shared.clock.now();
    let address = |slot: usize| match state.servers[slot].target() {
        Target::Inet(address) => address,
        Target::Unix(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
    };
    state.balancer.with(|pool| {
        let mut missing: Vec<Wanted> = wanted.to_vec();
        let mut free = Vec::new();
        for slot in slots {
            let view = pool.server(ServerId(slot));
            let full = view.weight > 0;
            let found = missing.iter().position(|one| full && one.address == address(slot));
            match found {
                Some(at) => {
                    let one = missing.swap_remove(at);
                    if (view.weight, view.backup) != (one.weight, one.backup) {
                        pool.fill(now, ServerId(slot), one.weight, one.backup);
                    }
                }
                None => {
                    if full {
                        pool.fill(now, ServerId(slot), 0, false);
                    }
                    free.push((view.served, slot));
                }
            }
        }
        // A slot whose last connection is gone is better than one that still has some.
        free.sort_unstable();
        // In the order of the answer, where it matters to nobody else.
        missing.sort_by_key(|one| wanted.iter().position(|other| other == one));
        for (one, (_, slot)) in missing.into_iter().zip(free) {
            state.servers[slot].move_to(Target::Inet(one.address));
            pool.set_address(ServerId(slot), Some(one.address));
            pool.fill(now, ServerId(slot), one.weight, one.backup);
        }
    });
}

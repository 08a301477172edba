//! Stickiness: a key of the client leads to the server it had before.

use std::sync::Arc;

use balance::ServerId;
use proxy::{Process, ServerAddress};
use relay::{Target, timer};
use rules::tables::SharedTable;
use rules::{Scope, Truth, Waiting};
use stick::{Data, EntryId, ServerKey, Slot, Table};

use crate::backend::Connecting;
use crate::session::Session;
use crate::state::Shared;

/// HAProxy remembers no more keys of one connection.
const MOST_STORES: usize = 8;

/// The tables of a process: those of an earlier one that are the same are kept with all they hold.
pub(crate) fn tables(process: &Process, before: &[Arc<SharedTable>]) -> Vec<Arc<SharedTable>> {
    let table = |table: &proxy::StickTable| {
        let same = |known: &&Arc<SharedTable>| known.name() == table.name;
        match before.iter().find(same).filter(|known| known.resize(&table.config)) {
            Some(known) => Arc::clone(known),
            None => Arc::new(SharedTable::new(&table.name, table.config.clone(), timer::now)),
        }
    };
    process.tables.iter().map(table).collect()
}

/// The server a client sticks to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stuck {
    pub(crate) server: ServerId,
    /// Even if it is down.
    pub(crate) forced: bool,
}

impl Connecting {
    /// Runs the `stick` rules of the backend: which server they lead to, and which keys are to be
    /// remembered. Where the server is known already, they only touch what they find.
    pub(crate) fn stuck_to(&mut self, known: bool) -> Option<Stuck> {
        let rules = self.session.backend_rules()?;
        let sticking = &rules.stick;
        if sticking.rules.is_empty() && sticking.exceptions.is_empty() {
            return None;
        }
        let backend = self.session.backend()?;
        let shared = self.session.shared;
        let (stuck, stores, insists) =
            self.session.judge(Some(&self.client), |view, first, record| {
                let request = Some(Waiting { bytes: first, complete: true });
                let scope = Scope { request, ..view.scope() };
                let (mut stuck, mut stores) = (None, Vec::<(usize, Vec<u8>)>::new());
                let exception = sticking.exceptions.iter().find_map(|(force, condition)| {
                    (condition.eval(&scope, record) == Truth::Yes).then_some(*force)
                });
                let insists = exception == Some(true);
                let forced = sticking.persist || insists;
                for rule in &sticking.rules {
                    // Only the first rule that remembers something in a table does so.
                    if rule.stores && stores.iter().any(|(table, _)| *table == rule.table) {
                        continue;
                    }
                    let holds = rule
                        .condition
                        .as_ref()
                        .is_none_or(|condition| condition.eval(&scope, record) == Truth::Yes);
                    let Some(table) = shared.tables.get(rule.table).filter(|_| holds) else {
                        continue;
                    };
                    let value = rule.expr.eval(&scope, record).value();
                    let Some(key) = value.and_then(|value| table.key(value)) else { continue };
                    if key.is_empty() {
                        continue;
                    }
                    if rule.matches
                        && let Some(entry) = table.with(|entries, now| entries.lookup(now, &key))
                    {
                        if !known && stuck.is_none() {
                            stuck = target(shared, table, entry, backend, forced);
                        }
                        table.change(entry, |_, _| ());
                    }
                    if rule.stores && stores.len() < MOST_STORES {
                        stores.push((rule.table, key));
                    }
                }
                (stuck, stores, insists)
            });
        if insists {
            self.noted().insists = true;
        }
        if !stores.is_empty() {
            self.noted().stores = stores;
        }
        stuck
    }
}

impl Connecting {
    /// Whether `force-persist` holds: no other server is tried.
    pub(crate) fn insists(&self) -> bool {
        self.session.extra.as_ref().is_some_and(|extra| extra.rules.insists)
    }
}

/// The server an entry remembers, if it may be used.
fn target(
    shared: &Shared,
    table: &SharedTable,
    entry: EntryId,
    backend: usize,
    forced: bool,
) -> Option<Stuck> {
    let servers = &shared.config.backends[backend].servers;
    let (key, id) = table.with(|entries, now| {
        let key = match entries.slot(entry, Data::ServerKey, 0) {
            Some(Slot::Name(key)) => key.clone(),
            _ => None,
        };
        (key, entries.number(now, entry, Data::ServerId, 0))
    });
    let by_key = key.and_then(|key| {
        servers
            .iter()
            .position(|server| match table.config().server_key {
                ServerKey::Name => server.name == *key,
                ServerKey::Address => false,
            })
            .or_else(|| {
                let states = &shared.backends[backend].servers;
                let same = |target: &Target| address(target) == *key;
                let wanted = table.config().server_key == ServerKey::Address;
                states.iter().position(|state| same(&state.target())).filter(|_| wanted)
            })
    });
    let at = by_key.or_else(|| {
        let id = id.filter(|id| *id > 0)?;
        servers.iter().position(|server| u64::from(server.id) == id)
    })?;
    let server = ServerId(at);
    let down = || {
        let state = shared.backends[backend].balancer.look(|pool| pool.server(server).state);
        state == balance::State::Down
    };
    (forced || !down()).then_some(Stuck { server, forced })
}

/// What `srvkey addr` calls a server.
fn address(target: &Target) -> String {
    crate::backend::upstream(target)
}

impl Session {
    /// A server has accepted the connection: it is what the keys lead to from now on.
    pub(crate) fn remember(&mut self, backend: u32, server: u32) {
        if let Some(extra) = &mut self.extra {
            let stores = std::mem::take(&mut extra.rules.stores);
            for (table, key) in stores {
                store(self.shared, table, &key, backend as usize, server as usize);
            }
        }
        let inspected = self.backend_rules().is_some_and(|rules| !rules.response.is_empty());
        if !inspected {
            self.remember_answer(&[], backend as usize, server as usize);
        }
    }

    /// `stick store-response`: keys of what the server said.
    pub(crate) fn remember_answer(&mut self, bytes: &[u8], backend: usize, server: usize) {
        let Some(rules) = self.backend_rules().filter(|rules| !rules.stick.answers.is_empty())
        else {
            return;
        };
        let shared = self.shared;
        let stores = self.judge(None, |view, _, record| {
            let response = Some(Waiting { bytes, complete: true });
            let scope = Scope { response, ..view.scope() };
            let mut stores = Vec::new();
            for rule in &rules.stick.answers {
                let holds = rule
                    .condition
                    .as_ref()
                    .is_none_or(|condition| condition.eval(&scope, record) == Truth::Yes);
                let Some(table) = shared.tables.get(rule.table).filter(|_| holds) else { continue };
                let value = rule.expr.eval(&scope, record).value();
                if let Some(key) = value.and_then(|value| table.key(value)) {
                    stores.push((rule.table, key));
                }
            }
            stores
        });
        for (table, key) in stores.into_iter().filter(|(_, key)| !key.is_empty()) {
            store(shared, table, &key, backend, server);
        }
    }
}

fn store(shared: &Shared, table: usize, key: &[u8], backend: usize, server: usize) {
    let Some(table) = shared.tables.get(table) else { return };
    let Some(config) = shared.config.backends[backend].servers.get(server) else { return };
    if config.non_stick {
        return;
    }
    let name = match (table.config().server_key, &config.address) {
        (ServerKey::Name, _) => config.name.clone(),
        (ServerKey::Address, ServerAddress::Unix(path)) => format!("unix:{}", path.display()),
        (ServerKey::Address, _) => address(&shared.backends[backend].servers[server].target()),
    };
    let remember = |entries: &mut Table, now| {
        let entry = entries.create(now, key)?;
        entries.set(now, entry, Data::ServerId, 0, config.id.into());
        let name = entries.intern(&name);
        entries.set_slot(entry, Data::ServerKey, 0, Slot::Name(Some(name)));
        entries.touch(now, entry);
        Some(())
    };
    if table.with(remember).is_some() {
        table.changed();
    }
}

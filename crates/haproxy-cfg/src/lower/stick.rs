//! Stick tables and those who share them: names become positions.

use conf::{Severity, Span};
use proxy::{Peer, PeersSection, StickRule, StickTable, Stickiness};
use rules::Type;
use stick::{Data, KeyType, Stored};

use super::rules::Lowering;
use crate::load::Loader;
use crate::say::{Complain, NOWHERE};
use crate::table::stick::StickRuleDraft;

/// The type a key is made of.
pub(super) const fn type_of(key: KeyType) -> Type {
    match key {
        KeyType::Ip => Type::V4,
        KeyType::Ipv6 => Type::V6,
        KeyType::Integer => Type::Int,
        KeyType::String(_) => Type::Str,
        KeyType::Binary(_) => Type::Bin,
    }
}

/// All tables in the order of the file, and the `peers` sections that are complete.
pub(super) fn tables(loader: &mut Loader) -> (Vec<StickTable>, Vec<PeersSection>) {
    let sections = peers(loader);
    let mut found: Vec<(Span, StickTable)> = vec![];
    for section in &loader.peers {
        for (name, table) in &section.tables {
            let peers = sections.iter().position(|known| known.name == section.name);
            let table = StickTable {
                name: format!("{}/{name}", section.name),
                // HAProxy tells it with the slash.
                shared_name: format!("/{name}"),
                config: table.config.clone(),
                peers,
            };
            found.push((section.proxy.at, table));
        }
    }
    let mut said = vec![];
    for draft in &loader.proxies {
        let Some(table) = &draft.stick.table else { continue };
        let mut peers = None;
        if let Some(wanted) = &table.peers {
            if !loader.peers.iter().any(|section| section.name == *wanted) {
                let text = format!("Proxy '{}': unable to find sync peers '{wanted}'.", draft.name);
                said.push((table.at, text));
            }
            if let Some(empty) =
                loader.peers.iter().find(|section| section.name == *wanted && !section.used)
            {
                let (name, own) = (&draft.name, &empty.own);
                let text = format!(
                    "Proxy '{name}': unable to find local peer '{own}' in peers section '{wanted}'."
                );
                said.push((table.at, text));
            }
            peers = sections.iter().position(|section| section.name == *wanted);
        }
        let name = draft.name.clone();
        let config = table.config.clone();
        found.push((draft.at, StickTable { shared_name: name.clone(), name, config, peers }));
    }
    for (at, text) in said {
        loader.binder.complain(Severity::Error, NOWHERE, at, text);
    }
    found.sort_by_key(|(at, _)| (at.file, at.start));
    (found.into_iter().map(|(_, table)| table).collect(), sections)
}

fn peers(loader: &mut Loader) -> Vec<PeersSection> {
    let mut sections = vec![];
    for at in 0..loader.peers.len() {
        let section = loader.peers[at].clone();
        if section.disabled {
            continue;
        }
        let local = section.peers.iter().position(|(name, _)| *name == section.own);
        let Some(local) = local else {
            let (name, own) = (&section.name, &section.own);
            let text =
                format!("Removing incomplete section 'peers {name}' (no peer named '{own}').");
            loader.binder.complain(Severity::Warning, NOWHERE, section.proxy.at, text).help =
                Some("name this process with -L, or with 'localpeer' in global".into());
            continue;
        };
        let mut lines = section.proxy.servers.clone();
        let peers = section.peers.iter().map(|(name, line)| {
            let address = line.and_then(|line| {
                let line = lines.get_mut(line)?;
                if line.server.address.socket().is_none() {
                    let mut server = line.server.clone();
                    super::server::resolve(loader, &section.own, line, &mut server);
                    line.server = server;
                }
                line.server.address.socket()
            });
            Peer { name: name.clone(), address }
        });
        let peers: Vec<_> = peers.collect();
        sections.push(PeersSection {
            name: section.name.clone(),
            disabled: false,
            peers,
            local,
            bind: section.proxy.binds.first().cloned(),
            origin: section.origin.clone(),
        });
    }
    sections
}

/// Tables that `stick` rules go by remember servers.
pub(super) fn remember_servers(tables: &mut [StickTable], sticking: &Stickiness) {
    for rule in sticking.rules.iter().chain(&sticking.answers) {
        if let Some(table) = tables.get_mut(rule.table) {
            table.config.store(Stored::plain(Data::ServerId));
            table.config.store(Stored::plain(Data::ServerKey));
        }
    }
}

impl Lowering<'_> {
    /// The `stick` rules of the section, and what goes with them.
    pub(super) fn stickiness(&mut self) -> Stickiness {
        let draft = self.draft;
        let mut lowered = Stickiness { persist: draft.stick.persist, ..Stickiness::default() };
        for rule in &draft.stick.rules {
            let Some(read) = self.stick_rule(rule) else { continue };
            let rules = if rule.answer { &mut lowered.answers } else { &mut lowered.rules };
            rules.push(read);
        }
        for (force, condition) in &draft.stick.exceptions {
            lowered.exceptions.push((*force, self.condition(condition)));
        }
        lowered
    }

    fn stick_rule(&mut self, rule: &StickRuleDraft) -> Option<StickRule> {
        let own = &self.draft.name;
        let name = rule.table.as_ref().unwrap_or(own);
        let table = self.names.tables.iter().position(|(known, _)| known == name);
        let Some(table) = table else {
            let what = if rule.matches || !rule.answer { "stick-table" } else { "store table" };
            let text = format!("Proxy '{own}': unable to find {what} '{name}'.");
            self.loader.binder.complain(Severity::Error, NOWHERE, rule.at, text);
            return None;
        };
        if !rule.expr.out().casts_to(type_of(self.names.tables[table].1)) {
            let text = format!(
                "Proxy '{own}': type of fetch not usable with type of stick-table '{name}'."
            );
            self.loader.binder.complain(Severity::Error, NOWHERE, rule.at, text);
            return None;
        }
        let mut expr = rule.expr.clone();
        self.sample(&mut expr, rule.at, "stick rule");
        let condition = rule.condition.as_ref().map(|draft| self.condition(draft));
        let StickRuleDraft { matches, stores, .. } = *rule;
        Some(StickRule { table, expr, matches, stores, condition })
    }

    /// The table of a `track-sc` rule.
    pub(super) fn track(&mut self, action: &mut rules::Action, at: Span) {
        let rules::Action::Track { counter, expr, table, .. } = action else { return };
        let rules::Arg::Name(_, name) = &*table else { return };
        let own = &self.draft.name;
        let found = self.names.tables.iter().position(|(known, _)| **known == **name);
        let text = match found {
            Some(found) => {
                if expr.out().casts_to(type_of(self.names.tables[found].1)) {
                    *table = rules::Arg::Table(found);
                    return;
                }
                format!(
                    "Proxy '{own}': stick-table '{name}' uses a type incompatible with the 'track-sc{counter}' rule."
                )
            }
            None => {
                format!(
                    "Proxy '{own}': unable to find table '{name}' referenced by track-sc{counter}."
                )
            }
        };
        self.loader.binder.complain(Severity::Error, NOWHERE, at, text);
    }
}

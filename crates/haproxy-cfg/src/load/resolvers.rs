//! `resolvers`: name servers that are asked while the process runs.

use std::net::SocketAddr;

use conf::{Problem, Severity, Span, Stmt, Unit};
use proxy::{NameServer, Origin, Resolvers};

use super::Loader;
use crate::address::{Address, Ports, parse};
use crate::number::{NotTime, leading, time};
use crate::say::{CAPITAL, Complain, TIGHT};

/// A section, with the places of what may stand once.
#[derive(Clone, Debug)]
pub(crate) struct ResolversDraft {
    pub(crate) resolvers: Resolvers,
    pub(crate) origin: Origin,
    pub(crate) at: Span,
    servers: Vec<(String, Origin)>,
    /// `parse-resolv-conf`.
    system: bool,
}

impl Loader {
    pub(super) fn resolvers_section(&mut self, stmt: &Stmt) {
        let name = stmt.word(1);
        if let Some(known) = self.resolvers.iter().find(|one| one.resolvers.name == name) {
            let text = format!(
                "resolvers '{name}' has same name as another resolvers (declared at {}).",
                known.origin
            );
            self.binder.complain(Severity::Error, CAPITAL, stmt.at(), text);
        }
        self.resolvers.push(ResolversDraft {
            resolvers: Resolvers::new(name),
            origin: self.context.origin(),
            at: stmt.at(),
            servers: vec![],
            system: false,
        });
    }

    pub(super) fn resolvers_keyword(&mut self, stmt: &Stmt) {
        let Some(mut draft) = self.resolvers.pop() else { return };
        match stmt.word(0) {
            "nameserver" => self.nameserver(stmt, &mut draft),
            "parse-resolv-conf" => self.system_nameservers(&mut draft),
            "hold" => self.hold(stmt, &mut draft.resolvers),
            "timeout" => self.resolvers_timeout(stmt, &mut draft.resolvers),
            keyword => self.resolvers_number(keyword, stmt, &mut draft.resolvers),
        }
        self.resolvers.push(draft);
    }

    /// `accepted_payload_size`, `resolve_retries`.
    fn resolvers_number(&mut self, keyword: &str, stmt: &Stmt, resolvers: &mut Resolvers) {
        let word = stmt.word(1);
        if word.is_empty() {
            self.binder.refuse(stmt.at(), format!("'{keyword}' expects <nb> as argument."));
            return;
        }
        // What does not begin with a digit is 0.
        let (number, _) = leading(word);
        if keyword == "resolve_retries" {
            resolvers.retries = u32::try_from(number).unwrap_or(0);
        } else if (12..=65_535).contains(&number) {
            resolvers.payload = number as u16;
        } else {
            let text = format!(
                "'accepted_payload_size' must be between 12 and 65535 inclusive (was {number})."
            );
            self.binder.refuse(stmt.at(), text);
        }
    }

    fn nameserver(&mut self, stmt: &Stmt, draft: &mut ResolversDraft) {
        let (name, word, at) = (stmt.word(1), stmt.word(2), stmt.at());
        if word.is_empty() {
            let text = "'nameserver' expects <name> and <addr>[:<port>] as arguments.";
            self.binder.refuse(at, text);
            return;
        }
        if let Some((_, origin)) = draft.servers.iter().find(|(known, _)| known == name) {
            let text = format!(
                "nameserver '{name}' has same name as another nameserver (declared at {origin})."
            );
            self.binder.complain(Severity::Error, CAPITAL, at, text);
            return;
        }
        draft.servers.push((name.to_owned(), self.context.origin()));
        if word.starts_with("tcp@") || word.starts_with("tcp4@") || word.starts_with("tcp6@") {
            // Over TCP from the first byte; ours asks by UDP and goes on by TCP where it must.
            let keyword = "nameserver tcp@".to_owned();
            self.binder.error(at, Problem::Planned { keyword });
            return;
        }
        let plain = word.strip_prefix("udp@").or_else(|| word.strip_prefix("dgram+ipv4@"));
        let found = match parse(&self.context, plain.unwrap_or(word)) {
            Err(error) => Err(error),
            Ok(Address::Inet { host, ports: Ports::Range(port, ..), family, .. }) => {
                let host = host.resolve(&self.context, family);
                let ip = host.first().copied();
                let shown = word.rsplit_once(':').map_or(word, |(host, _)| host);
                ip.map(|ip| SocketAddr::new(ip, port as u16))
                    .ok_or_else(|| format!("invalid address: '{shown}' in '{word}'\n"))
            }
            Ok(_) => Err(format!("missing port specification in '{word}'")),
        };
        match found {
            Ok(address) => {
                draft.resolvers.nameservers.push(NameServer { name: name.to_owned(), address });
            }
            Err(error) => {
                self.binder.refuse(at, format!("'nameserver {name}' : {error}"));
            }
        }
    }

    /// The name servers of `/etc/resolv.conf`, each called by its address.
    fn system_nameservers(&mut self, draft: &mut ResolversDraft) {
        if draft.system || !self.context.reach_out.get() {
            return;
        }
        draft.system = true;
        draft.resolvers.nameservers.extend(system_nameservers());
    }

    fn hold(&mut self, stmt: &Stmt, resolvers: &mut Resolvers) {
        let (event, word, at) = (stmt.word(1), stmt.word(2), stmt.at());
        if word.is_empty() {
            self.binder.refuse(at, "'hold' expects an <event> and a <time> as arguments.").help =
                Some(
                    "<event> can be either 'valid', 'nx', 'refused', 'timeout', or 'other'".into(),
                );
            return;
        }
        let Some(time) = self.resolvers_time(word, at, "hold") else { return };
        let hold = &mut resolvers.hold;
        let place = match event {
            "nx" => &mut hold.nx,
            "other" => &mut hold.other,
            "refused" => &mut hold.refused,
            "timeout" => &mut hold.timeout,
            "valid" => &mut hold.valid,
            "obsolete" => &mut hold.obsolete,
            _ => {
                let text = format!(
                    "'hold' unknown <event>: '{event}', expects either 'nx', 'timeout', 'valid', 'obsolete' or 'other'."
                );
                self.binder.refuse(at, text);
                return;
            }
        };
        *place = time;
    }

    fn resolvers_timeout(&mut self, stmt: &Stmt, resolvers: &mut Resolvers) {
        let (event, word, at) = (stmt.word(1), stmt.word(2), stmt.at());
        let place = match event {
            "retry" => &mut resolvers.retry,
            "resolve" => &mut resolvers.resolve,
            "" => {
                let text = "'timeout' expects 'retry' or 'resolve' and <time> as arguments.";
                self.binder.refuse(at, text);
                return;
            }
            _ => {
                let text = format!(
                    "'timeout' expects 'retry' or 'resolve' and <time> as arguments got '{event}'."
                );
                self.binder.refuse(at, text);
                return;
            }
        };
        if word.is_empty() {
            let text = format!("'timeout {event}' expects <time> as argument.");
            self.binder.refuse(at, text);
        } else if let Some(time) = self.resolvers_time(word, at, event) {
            *place = time;
        }
    }

    fn resolvers_time(
        &mut self,
        word: &str,
        at: Span,
        argument: &str,
    ) -> Option<std::time::Duration> {
        let text = match time(word, Unit::Millis) {
            Ok((time, _)) => return Some(time),
            Err(NotTime::Unexpected(c)) => {
                format!("unexpected character '{c}' in argument to <{argument}>.")
            }
            Err(NotTime::Overflow) => format!(
                "timer overflow in argument '{word}' to <{argument}> (maximum value is 2147483647 ms or ~24.8 days)."
            ),
        };
        self.binder.complain(Severity::Error, TIGHT, at, text);
        None
    }

    /// The position of a section; `default` is there without being written, and asks whom the
    /// machine asks.
    pub(crate) fn resolvers_named(&mut self, name: &str) -> Option<usize> {
        let found = self.resolvers.iter().position(|one| one.resolvers.name == name);
        if found.is_some() || name != "default" || !self.context.reach_out.get() {
            return found;
        }
        let nameservers = system_nameservers();
        if nameservers.is_empty() {
            return None;
        }
        let resolvers = Resolvers { nameservers, ..Resolvers::new(name) };
        let (origin, at) = (Origin::default(), Span::default());
        self.resolvers.push(ResolversDraft {
            resolvers,
            origin,
            at,
            servers: vec![],
            system: true,
        });
        Some(self.resolvers.len() - 1)
    }

    /// Warns of sections that ask nobody.
    pub(crate) fn check_resolvers(&mut self) {
        for draft in &self.resolvers {
            if draft.servers.is_empty() && !draft.system {
                let (name, origin) = (&draft.resolvers.name, &draft.origin);
                let text = format!("resolvers '{name}' [{origin}] has no nameservers configured!");
                let at = draft.at;
                self.binder.complain(Severity::Warning, crate::say::NOWHERE, at, text).help =
                    Some("add 'nameserver NAME ADDRESS:53', or 'parse-resolv-conf'".into());
            }
        }
    }
}

/// The name servers of this machine.
pub(crate) fn system_nameservers() -> Vec<NameServer> {
    let text = conf::outside::ask("read", "/etc/resolv.conf", || std::fs::read("/etc/resolv.conf"));
    let text = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let ip = (words.next() == Some("nameserver")).then(|| words.next())??;
            let address = SocketAddr::new(ip.parse().ok()?, 53);
            Some(NameServer { name: ip.to_owned(), address })
        })
        .collect()
}

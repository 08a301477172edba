//! `mailers`: relays that are handed mail about servers.

use std::net::SocketAddr;
use std::time::Duration;

use conf::Stmt;

use super::Loader;
use crate::address::{Address, Host, Ports, parse};
use crate::number::time;
use crate::say::Complain;

/// `timeout mail` when there is none.
const PATIENCE: Duration = Duration::from_secs(10);

/// A `mailers` section.
#[derive(Clone, Debug)]
pub(crate) struct Mailers {
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) at: conf::Span,
    pub(crate) relays: Vec<SocketAddr>,
    pub(crate) timeout: Duration,
}

impl Loader {
    pub(super) fn mailers_section(&mut self, name: &str, at: conf::Span) {
        self.mailers.push(Mailers { name: name.to_owned(), at, relays: vec![], timeout: PATIENCE });
    }

    /// `mailer <name> <address>:<port>`, `timeout mail <time>`.
    pub(super) fn mailers_keyword(&mut self, stmt: &Stmt) {
        let at = stmt.at();
        let b = &mut self.binder;
        match (stmt.word(0), stmt.word(1)) {
            ("timeout", "mail") => match time(stmt.word(2), conf::Unit::Millis) {
                Ok((time, _)) if !time.is_zero() => {
                    if let Some(mailers) = self.mailers.last_mut() {
                        mailers.timeout = time;
                    }
                }
                _ => {
                    b.refuse(at, "'timeout mail' expects <time> as argument.");
                }
            },
            ("timeout", got) => {
                b.refuse(at, format!("'timeout' expects 'mail' but got '{got}'."));
            }
            _ if stmt.words.len() < 3 => {
                b.refuse(at, "'mailer' expects <name> and <addr>[:<port>] as arguments.");
            }
            _ => {
                let word = stmt.word(2);
                let found = match parse(&self.context, word) {
                    Err(error) => Err(error),
                    Ok(Address::Inet { host, ports: Ports::Range(port, ..), .. }) if port > 0 => {
                        let ip = match host {
                            Host::Ip(ip) => Some(ip),
                            Host::Name(name) => self.context.resolve(&name).first().copied(),
                            Host::Any => None,
                        };
                        let port = u16::try_from(port).unwrap_or(0);
                        let error = format!("could not resolve address '{word}'.");
                        ip.map(|ip| SocketAddr::new(ip, port)).ok_or(error)
                    }
                    Ok(_) => Err(format!("missing port number in '{word}'")),
                };
                match found {
                    Ok(address) => {
                        if let Some(mailers) = self.mailers.last_mut() {
                            mailers.relays.push(address);
                        }
                    }
                    Err(error) => {
                        self.binder.refuse(at, format!("'mailer {}' : {error}", stmt.word(1)));
                    }
                }
            }
        }
    }
}

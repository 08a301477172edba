//! `ring`: log lines in memory.

use std::path::Path;

use conf::{Problem, Severity, Stmt, Unit};
use proxy::{Ring, RingServer};

use super::Loader;
use crate::address::{Address, Ports, parse};
use crate::number::time;
use crate::say::{BARE, Complain, NOWHERE};
use crate::table::log::FRAMINGS;

impl Loader {
    pub(super) fn ring_section(&mut self, stmt: &Stmt) {
        let name = stmt.word(1);
        if self.rings.iter().any(|ring| ring.name == name) {
            self.binder.refuse(stmt.at(), format!("sink named '{name}' already exists."));
        }
        self.rings.push(Ring::new(name));
    }

    pub(super) fn ring_keyword(&mut self, stmt: &Stmt) {
        let Some(mut ring) = self.rings.pop() else { return };
        let (word, at) = (stmt.word(1), stmt.at());
        match stmt.word(0) {
            "description" if word.is_empty() => {
                self.binder.refuse(at, "missing ring description text.");
            }
            "description" => word.clone_into(&mut ring.description),
            "format" => match FRAMINGS.iter().find(|(known, _)| *known == word) {
                Some((_, framing)) => ring.framing = *framing,
                None => {
                    self.binder.refuse(at, format!("unknown format '{word}'."));
                }
            },
            keyword @ ("size" | "maxlen") => match conf::size(word).filter(|size| *size > 0) {
                None => {
                    let text = format!("invalid size '{word}' for new sink buffer.");
                    self.binder.refuse(at, text);
                }
                Some(size) => {
                    let size = usize::try_from(size).unwrap_or(usize::MAX).min(1 << 30);
                    if keyword == "maxlen" {
                        ring.maxlen = size;
                    } else if size < ring.size {
                        let text = format!(
                            "ignoring new size '{size}' that is smaller than current size '{}' for ring '{}'.",
                            ring.size, ring.name
                        );
                        self.binder.warn(at, text);
                    } else {
                        ring.size = size;
                    }
                }
            },
            "timeout" => match (word, time(stmt.word(2), Unit::Millis)) {
                ("connect", Ok((limit, _))) if stmt.words.len() > 2 => ring.connect = Some(limit),
                ("server", Ok(_)) if stmt.words.len() > 2 => {}
                ("connect" | "server", _) => {
                    let text = format!("'timeout {word}' expects <time> as argument.");
                    self.binder.refuse(at, text);
                }
                _ => {}
            },
            "server" => self.ring_server(stmt, &mut ring),
            _ => {
                let backing = Path::new(word);
                if word.is_empty() || !self.context.reach_out.get() || backing.parent().is_some() {
                    let keyword = "backing-file".to_owned();
                    self.binder.error(at, Problem::Planned { keyword });
                }
            }
        }
        self.rings.push(ring);
    }

    /// `server <name> <address>:<port> [log-proto legacy|octet-count]`.
    fn ring_server(&mut self, stmt: &Stmt, ring: &mut Ring) {
        let (name, word, at) = (stmt.word(1), stmt.word(2), stmt.at());
        if word.is_empty() {
            let text = "'server' expects <name> and <addr>[:<port>] as arguments.";
            self.binder.complain(Severity::Error, BARE, at, text);
            return;
        }
        let context = format!("server {}/{name}", ring.name);
        let mut octet_count = false;
        let mut rest = stmt.words.get(3..).unwrap_or(&[]).iter();
        while let Some(parameter) = rest.next() {
            match parameter.text.as_str() {
                "log-proto" => match rest.next().map_or("", |word| word.text.as_str()) {
                    "octet-count" => octet_count = true,
                    "legacy" => octet_count = false,
                    got => {
                        let text = format!(
                            "'log-proto' expects one of 'legacy' or 'octet-count' but got '{got}'."
                        );
                        self.binder.refuse(parameter.span, text).context = context;
                        return;
                    }
                },
                // Nothing else has been built for servers of rings.
                other => {
                    let keyword = format!("server {other} (in a ring)");
                    self.binder.error(parameter.span, Problem::Planned { keyword });
                    return;
                }
            }
        }
        let found = match parse(&self.context, word) {
            Err(error) => Err(error),
            Ok(Address::Inet { host, ports: Ports::Range(port, ..), family, .. }) => {
                let ip = host.resolve(&self.context, family).first().copied();
                ip.map(|ip| (ip, port as u16).into())
                    .ok_or_else(|| format!("could not resolve address '{word}'."))
            }
            Ok(_) => Err(format!("missing port specification in '{word}'")),
        };
        match found {
            Ok(address) => {
                ring.servers.push(RingServer { name: name.to_owned(), address, octet_count });
            }
            Err(error) => self.binder.refuse(at, error).context = context,
        }
    }

    /// Lines longer than the ring they go to do not fit in.
    pub(crate) fn check_rings(&mut self) {
        for ring in &mut self.rings {
            if ring.maxlen > ring.size {
                let text = format!(
                    "ring '{}' event max length '{}' exceeds size, forced to size '{}'.",
                    ring.name, ring.maxlen, ring.size
                );
                let at = conf::Span::default();
                self.binder.complain(Severity::Warning, NOWHERE, at, text);
                ring.maxlen = ring.size;
            }
        }
    }
}

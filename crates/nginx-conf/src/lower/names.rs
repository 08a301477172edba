//! Servers that share an address: who is the default, and who is found by name.

use std::collections::{HashMap, HashSet};

use conf::Word;
use proxy::variable::{Definition, Map, MapKey, Pattern, Source, Template};
use proxy::{Bind, BindAddress};

use super::Lower;
use crate::blocks::wildcard;
use crate::draft;
use crate::table::shown;
use crate::wording::NOWHERE;

/// An address somebody listens on.
struct Place {
    /// The `listen` that says most about the socket.
    bind: Bind,
    set: bool,
    /// Positions of the servers, in the order of the file.
    servers: Vec<usize>,
    /// The one that has who asks for no name it knows.
    default: Option<usize>,
    /// Names that are taken.
    names: HashSet<String>,
}

impl Lower<'_> {
    /// Every `server` becomes a frontend for each set of servers it shares addresses with.
    pub(super) fn servers(&mut self) {
        let places = self.places();
        let stream = self.stream;
        // Where the sessions of each server go that are sent to it by name.
        let mut first = vec![None; stream.servers.len()];
        let mut shared = Vec::new();
        let mut own = vec![Vec::new(); stream.servers.len()];
        for (at, place) in places.iter().enumerate() {
            own[place.default.unwrap_or(place.servers[0])].push(at);
        }
        for (index, server) in stream.servers.iter().enumerate() {
            let mut groups: Vec<(&[usize], Vec<Bind>)> = Vec::new();
            for &at in &own[index] {
                let place = &places[at];
                let bind = place.bind.clone();
                match groups.iter_mut().find(|(with, _)| *with == place.servers) {
                    Some((_, binds)) => binds.push(bind),
                    None => groups.push((&place.servers, vec![bind])),
                }
            }
            if groups.is_empty() {
                groups.push((&[], vec![]));
            }
            for (with, binds) in groups {
                let at = self.config.frontends.len();
                self.server(server, binds);
                if self.config.frontends.len() > at {
                    first[index].get_or_insert(at);
                    if with.len() > 1 {
                        shared.push((at, with.to_vec()));
                    }
                }
            }
        }
        for (at, with) in shared {
            self.tell_apart(at, &with, &first);
        }
    }

    /// The addresses, and the complaints about who wants the same.
    fn places(&mut self) -> Vec<Place> {
        let mut places: Vec<Place> = Vec::new();
        let mut known: HashMap<(BindAddress, bool), usize> = HashMap::new();
        for (index, server) in self.stream.servers.iter().enumerate() {
            for listen in &server.listens {
                let origin = self.origin(listen.span);
                for bind in &listen.binds {
                    let bind = Bind { origin: origin.clone(), ..bind.clone() };
                    let at = shown(&bind.address);
                    let key = (bind.address.clone(), bind.udp);
                    let position = *known.entry(key).or_insert_with(|| {
                        places.push(Place {
                            bind: bind.clone(),
                            set: listen.set,
                            servers: vec![],
                            default: None,
                            names: HashSet::new(),
                        });
                        places.len() - 1
                    });
                    let place = &mut places[position];
                    let mut wrong = None;
                    if !place.servers.is_empty() && listen.set {
                        if place.set {
                            wrong = Some(format!("duplicate listen options for {at}"));
                        }
                        (place.bind, place.set) = (bind.clone(), true);
                    }
                    place.bind.proxy_protocol |= bind.proxy_protocol;
                    place.servers.push(index);
                    if listen.default {
                        if place.default.is_some() {
                            wrong = Some(format!("a duplicate default server for {at}"));
                        }
                        place.default = Some(index);
                    }
                    let nameless = [Word { text: String::new(), span: listen.span }];
                    let names = if server.names.is_empty() { &nameless[..] } else { &server.names };
                    let mut taken = Vec::new();
                    for name in names {
                        let name = name.text.to_ascii_lowercase();
                        if !place.names.insert(name.clone()) {
                            taken.push(name);
                        }
                    }
                    if let Some(message) = wrong {
                        self.error(listen.span, message);
                    }
                    for name in taken {
                        let message =
                            format!("conflicting server name \"{name}\" on {at}, ignored");
                        self.binder.warning(NOWHERE, conf::Problem::Other(message));
                    }
                }
            }
        }
        places
    }

    /// A frontend whose sessions may be another server's, by the name the client asks for: a map
    /// whose values are positions of frontends.
    fn tell_apart(&mut self, at: usize, with: &[usize], first: &[Option<usize>]) {
        let mut seen = HashSet::new();
        let mut map = Map { hostnames: true, ..Map::default() };
        map.key = Template::parse("$ssl_preread_server_name", |_| None).unwrap_or_default();
        for &index in with {
            let server: &draft::Server = &self.stream.servers[index];
            // Its own frontend, and not another one of the same server.
            let own = self.config.frontends[at].nginx.is_some()
                && first[index].is_some_and(|first| self.same_server(first, at));
            let target = if own { Some(at) } else { first[index] };
            let Some(target) = target else { continue };
            let value = Template::plain(target.to_string());
            for name in &server.names {
                let Some(keys) = keys(name) else {
                    let place = self.config.frontends[at].name.clone();
                    let message =
                        format!("invalid server name or wildcard \"{}\" on {place}", name.text);
                    self.error(NOWHERE, message);
                    continue;
                };
                for key in keys {
                    // The first of a name has it.
                    if seen.insert(format!("{key:?}")) {
                        map.entries.push((key, value.clone()));
                    }
                }
            }
        }
        let variables = &mut self.config.process.variables;
        let position = variables.len();
        // A name nobody can write.
        let name = format!(" server of {at}");
        variables.push(Definition { name, source: Source::Map(map) });
        let nginx = self.config.frontends[at].nginx.get_or_insert_default();
        nginx.by_name = Some(position);
    }

    /// Whether two frontends come from one `server`.
    fn same_server(&self, one: usize, other: usize) -> bool {
        let content = |at: usize| {
            let frontend = &self.config.frontends[at];
            (frontend.nginx.as_ref().map(|nginx| &nginx.name), frontend.default_backend)
        };
        one == other || content(one) == content(other)
    }
}

/// What a name is compared with; `None` for what is no name.
fn keys(name: &Word) -> Option<Vec<MapKey>> {
    if let Some(text) = name.text.strip_prefix('~') {
        let pattern = Pattern { text: text.to_owned(), caseless: true };
        return Some(vec![MapKey::Pattern(pattern)]);
    }
    let lower = name.text.to_ascii_lowercase();
    if lower.starts_with(['*', '.']) || lower.ends_with(".*") {
        return wildcard(&lower);
    }
    (!lower.contains('*')).then(|| vec![MapKey::Exact(lower)])
}

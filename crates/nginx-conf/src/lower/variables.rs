//! Variables: names → positions, texts → templates.

use conf::Problem;
use proxy::variable::{Definition, Geo, Map, Source, Split, Template};

use super::Lower;
use crate::draft;
use crate::variable;
use crate::wording::NOWHERE;

/// The variables a text uses, and the named groups of its patterns, in lower case.
pub(crate) struct Names<'a> {
    pub(crate) used: &'a [String],
    pub(crate) groups: &'a [String],
}

/// Every variable the configuration defines, each once.
pub(super) fn defined(stream: &draft::Stream, names: &Names<'_>) -> Vec<String> {
    let blocks = stream.definitions.iter().map(|definition| &definition.name);
    let sets = stream.servers.iter().flat_map(|server| &server.sets).map(|(name, _)| name);
    let mut all: Vec<String> = Vec::new();
    for name in blocks.chain(sets).chain(names.groups) {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    all
}

impl Lower<'_> {
    /// A text as a template. What is wrong with it is complained about elsewhere, once.
    pub(super) fn template(&self, text: &str) -> Template {
        Template::parse(text, |name| self.position(name)).unwrap_or_default()
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.defined.iter().position(|known| known == name)
    }

    /// The definitions, in the order of [`Lower::defined`]; of two of one name the last counts.
    pub(super) fn variables(&mut self) {
        let definition = |name: &String| {
            let found = self.stream.definitions.iter().rev().find(|d| d.name == *name);
            let set =
                || self.stream.servers.iter().flat_map(|s| &s.sets).any(|(set, _)| set == name);
            let source = match found {
                Some(found) => self.source(&found.source),
                None if set() => Source::Set,
                None => Source::Group,
            };
            Definition { name: name.clone(), source }
        };
        self.config.process.variables = self.defined.iter().map(definition).collect();
        let zone = |(name, key, size): &(String, String, u64)| proxy::LimitZone {
            name: name.clone(),
            key: self.template(key),
            size: *size,
        };
        self.config.process.limit_zones = self.stream.zones.iter().map(zone).collect();
    }

    fn source(&self, source: &draft::Source) -> Source {
        match source {
            draft::Source::Map(map) => Source::Map(Map {
                key: self.template(&map.key),
                hostnames: map.hostnames,
                volatile: map.volatile,
                entries: map
                    .entries
                    .iter()
                    .map(|(key, value)| (key.clone(), self.template(value)))
                    .collect(),
                default: self.template(map.default.as_deref().unwrap_or("")),
            }),
            draft::Source::Geo(geo) => Source::Geo(Geo {
                address: geo.address.as_ref().map(|text| self.template(text)),
                volatile: geo.volatile,
                networks: geo.networks.clone(),
                ranges: geo.ranges.clone(),
                default: geo.default.clone().unwrap_or_default(),
            }),
            draft::Source::Split { key, shares } => {
                Source::Split(Split { key: self.template(key), shares: shares.clone() })
            }
        }
    }

    /// nginx looks for the first variable that nobody defines once all is read.
    pub(super) fn unknown_variables(&mut self, names: &Names<'_>) {
        if self.binder.problems.iter().any(|d| d.severity == conf::Severity::Error) {
            return;
        }
        let known = |name: &String| variable::is_known(name) || self.defined.contains(name);
        if let Some(name) = names.used.iter().find(|name| !known(name)) {
            self.error(NOWHERE, format!("unknown \"{name}\" variable"));
        }
    }

    /// A zone that is used and never given a size.
    pub(super) fn unknown_zones(&mut self) {
        let levels = std::iter::once(&self.stream.scope)
            .chain(self.stream.servers.iter().map(|server| &server.scope));
        let unknown = levels
            .flat_map(|scope| &scope.limits)
            .find(|(name, _)| !self.stream.zones.iter().any(|(zone, ..)| zone == name));
        if let Some((name, _)) = unknown {
            let message = format!("zero size shared memory zone \"{name}\"");
            self.binder.error(NOWHERE, Problem::Other(message));
        }
    }
}

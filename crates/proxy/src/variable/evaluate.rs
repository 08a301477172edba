//! Templates → bytes.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use balance::hash::murmur2;
use fancy_regex::Regex;

use super::{Definition, Geo, Map, MapKey, Network, Piece, Source, Split, Template, Variable};

/// How deep variables may refer to each other; beyond that they have no value.
const DEPTH: usize = 32;

/// The definitions of a configuration, ready to be asked.
#[derive(Debug, Default)]
pub struct Program {
    definitions: Vec<(Source, Lookup)>,
}

/// What finds an entry of a `map` or a `geo`.
#[derive(Debug, Default)]
struct Lookup {
    exact: HashMap<Vec<u8>, usize>,
    ends: Vec<(Vec<u8>, usize)>,
    starts: Vec<(Vec<u8>, usize)>,
    patterns: Vec<Matcher>,
    networks: HashMap<Network, usize>,
    /// The lengths there are, longest first.
    prefixes: Vec<u8>,
}

/// A pattern of a `map`.
#[derive(Debug)]
struct Matcher {
    regex: Regex,
    /// Its named groups, and which variables they are.
    names: Vec<(usize, usize)>,
    /// Its entry.
    at: usize,
}

/// What a session knows of itself.
pub trait Facts {
    /// Appends the value of a variable; false if it has none. Not asked for
    /// [`Variable::Defined`] and [`Variable::Capture`].
    fn value(&self, variable: &Variable, out: &mut Vec<u8>) -> bool;

    /// The client's address.
    fn client(&self) -> Option<IpAddr>;
}

/// What a session has found out: values that are looked up once.
#[derive(Clone, Debug, Default)]
pub struct Values {
    defined: Vec<Option<Option<Box<[u8]>>>>,
    /// The groups of the pattern that matched last, from `$1` on.
    captures: Vec<Option<Box<[u8]>>>,
}

impl Values {
    /// Gives a defined variable its value: `set`.
    pub fn assign(&mut self, index: usize, value: Vec<u8>) {
        self.keep(index, Some(value.into()));
    }

    fn keep(&mut self, index: usize, value: Option<Box<[u8]>>) {
        if self.defined.len() <= index {
            self.defined.resize(index + 1, None);
        }
        self.defined[index] = Some(value);
    }
}

/// Who asks: a session's facts and what it has found out so far.
pub struct Context<'a> {
    facts: &'a dyn Facts,
    values: &'a mut Values,
}

/// What is done to values in a line of a log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Escape {
    /// `"`, `\` and what is not printable ASCII become `\xHH`; what has no value is `-`.
    #[default]
    Default,
    /// As in a string of JSON; what has no value is empty.
    Json,
    /// Nothing; what has no value is empty.
    None,
}

impl Program {
    /// Prepares the definitions.
    ///
    /// # Errors
    ///
    /// A pattern that is none. The dialect has looked at them, so this does not happen.
    pub fn new(definitions: &[Definition]) -> Result<Self, String> {
        let position =
            |name: &str| definitions.iter().position(|definition| definition.name == name);
        let mut ready = Vec::new();
        for definition in definitions {
            let lookup = match &definition.source {
                Source::Map(map) => Lookup::of_map(map, position)?,
                Source::Geo(geo) => Lookup::of_geo(geo),
                Source::Set | Source::Group | Source::Split(_) => Lookup::default(),
            };
            ready.push((definition.source.clone(), lookup));
        }
        Ok(Self { definitions: ready })
    }

    /// The text of a template; what has no value is empty.
    pub fn text(&self, template: &Template, facts: &dyn Facts, values: &mut Values) -> Vec<u8> {
        let mut out = Vec::new();
        self.append(template, &mut Context { facts, values }, 0, &mut out);
        out
    }

    /// The text of a template for a log.
    pub fn log(
        &self,
        template: &Template,
        escape: Escape,
        facts: &dyn Facts,
        values: &mut Values,
    ) -> Vec<u8> {
        let mut context = Context { facts, values };
        let (mut out, mut value) = (Vec::new(), Vec::new());
        for piece in &template.pieces {
            let variable = match piece {
                Piece::Text(text) => {
                    out.extend_from_slice(text.as_bytes());
                    continue;
                }
                Piece::Variable(variable) => variable,
            };
            value.clear();
            if self.value(variable, &mut context, 0, &mut value) {
                escape.append(&value, &mut out);
            } else if escape == Escape::Default {
                out.push(b'-');
            }
        }
        out
    }

    fn append(
        &self,
        template: &Template,
        context: &mut Context<'_>,
        depth: usize,
        out: &mut Vec<u8>,
    ) {
        for piece in &template.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Variable(variable) => {
                    self.value(variable, context, depth, out);
                }
            }
        }
    }

    /// Appends a value; false if there is none.
    fn value(
        &self,
        variable: &Variable,
        context: &mut Context<'_>,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> bool {
        let known = match variable {
            Variable::Defined(index) => {
                return self.defined(*index, context, depth, out);
            }
            Variable::Capture(number) => {
                context.values.captures.get(usize::from(*number) - 1).cloned().flatten()
            }
            other => return context.facts.value(other, out),
        };
        match known {
            Some(value) => {
                out.extend_from_slice(&value);
                true
            }
            None => false,
        }
    }

    fn defined(
        &self,
        index: usize,
        context: &mut Context<'_>,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some((source, lookup)) = self.definitions.get(index) else { return false };
        if let Some(Some(known)) = context.values.defined.get(index) {
            if let Some(value) = known {
                out.extend_from_slice(value);
            }
            return known.is_some();
        }
        if depth >= DEPTH {
            return false;
        }
        let from = out.len();
        let volatile = match source {
            Source::Set => return true,
            Source::Group => return false,
            Source::Map(map) => {
                self.map(map, lookup, context, depth + 1, out);
                map.volatile
            }
            Source::Geo(geo) => {
                out.extend_from_slice(self.geo(geo, lookup, context, depth + 1).as_bytes());
                geo.volatile
            }
            Source::Split(split) => {
                out.extend_from_slice(self.split(split, context, depth + 1).as_bytes());
                false
            }
        };
        if !volatile {
            context.values.keep(index, Some(out[from..].into()));
        }
        true
    }

    fn map(
        &self,
        map: &Map,
        lookup: &Lookup,
        context: &mut Context<'_>,
        depth: usize,
        out: &mut Vec<u8>,
    ) {
        let mut key = Vec::new();
        self.append(&map.key, context, depth, &mut key);
        if map.hostnames && key.last() == Some(&b'.') {
            key.pop();
        }
        let found = lookup.entry(&key, context.values);
        let value = found.and_then(|at| map.entries.get(at)).map_or(&map.default, |(_, v)| v);
        self.append(value, context, depth, out);
    }

    fn geo<'g>(
        &self,
        geo: &'g Geo,
        lookup: &Lookup,
        context: &mut Context<'_>,
        depth: usize,
    ) -> &'g str {
        let address = match &geo.address {
            None => context.facts.client(),
            Some(template) => {
                let mut text = Vec::new();
                self.append(template, context, depth, &mut text);
                String::from_utf8_lossy(&text).parse().ok()
            }
        };
        // What is no address is this one for nginx.
        let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::BROADCAST)).to_canonical();
        if let IpAddr::V4(v4) = address {
            let bits = v4.to_bits();
            let hit = geo.ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&bits));
            if let Some((_, _, value)) = hit {
                return value;
            }
        }
        let most = if address.is_ipv4() { 32 } else { 128 };
        for prefix in lookup.prefixes.iter().filter(|prefix| **prefix <= most) {
            if let Some(&at) = lookup.networks.get(&Network::new(address, *prefix)) {
                return geo.networks.get(at).map_or(&geo.default, |(_, value)| value);
            }
        }
        &geo.default
    }

    fn split<'s>(&self, split: &'s Split, context: &mut Context<'_>, depth: usize) -> &'s str {
        let mut key = Vec::new();
        self.append(&split.key, context, depth, &mut key);
        let hash = u64::from(murmur2(&key));
        let mut sum = 0_u64;
        for (share, value) in &split.shares {
            let Some(share) = share else { return value };
            sum += u64::from(*share);
            if hash < sum * u64::from(u32::MAX) / 10_000 {
                return value;
            }
        }
        ""
    }
}

impl Lookup {
    fn of_map(map: &Map, position: impl Fn(&str) -> Option<usize>) -> Result<Self, String> {
        let mut lookup = Self::default();
        for (at, (key, _)) in map.entries.iter().enumerate() {
            match key {
                MapKey::Exact(text) => {
                    lookup.exact.entry(text.as_bytes().into()).or_insert(at);
                }
                MapKey::End(text) => lookup.ends.push((text.as_bytes().into(), at)),
                MapKey::Start(text) => lookup.starts.push((text.as_bytes().into(), at)),
                MapKey::Pattern(pattern) => {
                    let regex = pattern.compile()?;
                    let names = regex.capture_names().enumerate().filter_map(|(group, name)| {
                        Some((group, position(&name?.to_ascii_lowercase())?))
                    });
                    let names = names.collect();
                    lookup.patterns.push(Matcher { regex, names, at });
                }
            }
        }
        let longest_first = |a: &(Vec<u8>, usize), b: &(Vec<u8>, usize)| b.0.len().cmp(&a.0.len());
        lookup.ends.sort_by(longest_first);
        lookup.starts.sort_by(longest_first);
        Ok(lookup)
    }

    fn of_geo(geo: &Geo) -> Self {
        let mut lookup = Self::default();
        for (at, (network, _)) in geo.networks.iter().enumerate() {
            lookup.networks.insert(*network, at);
            lookup.prefixes.push(network.prefix);
        }
        lookup.prefixes.sort_unstable_by(|a, b| b.cmp(a));
        lookup.prefixes.dedup();
        lookup
    }

    fn entry(&self, key: &[u8], values: &mut Values) -> Option<usize> {
        let lower = key.to_ascii_lowercase();
        if let Some(&at) = self.exact.get(&lower) {
            return Some(at);
        }
        // At least a letter stands for the star.
        let end = |(text, _): &&(Vec<u8>, usize)| lower.len() > text.len() && lower.ends_with(text);
        if let Some((_, at)) = self.ends.iter().find(end) {
            return Some(*at);
        }
        let start =
            |(text, _): &&(Vec<u8>, usize)| lower.len() > text.len() && lower.starts_with(text);
        if let Some((_, at)) = self.starts.iter().find(start) {
            return Some(*at);
        }
        if self.patterns.is_empty() {
            return None;
        }
        let text = String::from_utf8_lossy(key);
        let text: &str = &text;
        for Matcher { regex, names, at } in &self.patterns {
            // One that takes too long does not match.
            let Ok(Some(groups)) = regex.captures(text) else { continue };
            let bytes = |group| groups.get(group).map(|hit| hit.as_str().as_bytes().into());
            values.captures = (1..groups.len()).map(bytes).collect();
            for &(group, index) in names {
                values.keep(index, bytes(group));
            }
            return Some(*at);
        }
        None
    }
}

impl Escape {
    fn append(self, value: &[u8], out: &mut Vec<u8>) {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        for &byte in value {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            match (self, byte) {
                (Self::Default, b'"' | b'\\' | ..32 | 127..) => {
                    out.extend_from_slice(&[b'\\', b'x', high, low]);
                }
                (Self::Json, b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
                (Self::Json, b'\n') => out.extend_from_slice(b"\\n"),
                (Self::Json, b'\r') => out.extend_from_slice(b"\\r"),
                (Self::Json, b'\t') => out.extend_from_slice(b"\\t"),
                (Self::Json, 8) => out.extend_from_slice(b"\\b"),
                (Self::Json, 12) => out.extend_from_slice(b"\\f"),
                (Self::Json, ..32) => {
                    out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
                }
                _ => out.push(byte),
            }
        }
    }
}

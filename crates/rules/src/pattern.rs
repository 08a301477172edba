//! Patterns, and the ways a value can match one.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::regex::Regex;
use crate::value::{Type, Value, v4_of};

mod parse;

use parse::{Network, Range, network, range};
pub use parse::{Operator, mask4};

/// How values are compared with patterns: `-m`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Match {
    /// A value is there.
    Found,
    /// It is true.
    Bool,
    /// A number in a range.
    Int,
    /// A number in a range, patterns written as versions: `3.1` is 3 × 65536 + 1.
    Version,
    /// An address in a network.
    Ip,
    /// The same bytes, patterns written in hexadecimal.
    Bin,
    /// The length of a text in a range.
    Len,
    /// The same text.
    Str,
    /// It begins with the pattern.
    Begin,
    /// It ends with it.
    End,
    /// It holds it.
    Sub,
    /// It holds it as a whole part between slashes.
    Dir,
    /// It holds it as a whole part between dots, slashes, `?` and `:`.
    Domain,
    /// A regular expression.
    Regex,
}

impl Match {
    /// The methods by name.
    pub const NAMES: [(&'static str, Self); 13] = [
        ("found", Self::Found),
        ("bool", Self::Bool),
        ("int", Self::Int),
        ("ip", Self::Ip),
        ("bin", Self::Bin),
        ("len", Self::Len),
        ("str", Self::Str),
        ("beg", Self::Begin),
        ("sub", Self::Sub),
        ("dir", Self::Dir),
        ("dom", Self::Domain),
        ("end", Self::End),
        ("reg", Self::Regex),
    ];

    /// The type a value is made before it is compared.
    pub const fn wants(self) -> Type {
        match self {
            Self::Found => Type::Any,
            Self::Bool | Self::Int | Self::Version => Type::Int,
            Self::Ip => Type::Addr,
            Self::Bin => Type::Bin,
            _ => Type::Str,
        }
    }

    /// What is used where no `-m` says otherwise; a type without one needs it.
    pub const fn default_for(kind: Type) -> Option<Self> {
        match kind {
            Type::Bool => Some(Self::Bool),
            Type::Int => Some(Self::Int),
            Type::Addr | Type::V4 | Type::V6 => Some(Self::Ip),
            Type::Str => Some(Self::Str),
            Type::Any | Type::Bin => None,
        }
    }

    /// Whether it needs no pattern.
    pub const fn needs_no_pattern(self) -> bool {
        matches!(self, Self::Found | Self::Bool)
    }
}

/// What changes how patterns are read and compared.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Flags {
    /// `-i`: upper and lower case are the same.
    pub ignore_case: bool,
    /// `-n`: names of hosts are not resolved.
    pub no_dns: bool,
}

/// Patterns of one method. A value matches the set if it matches one of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Set {
    method: Match,
    flags: Flags,
    count: usize,
    ranges: Vec<(usize, Range)>,
    /// The operator numbers are compared with, until another one is given.
    operator: Operator,
    v4: Networks<u32>,
    v6: Networks<u128>,
    /// IPv4 networks whose mask has holes.
    masked: Vec<(usize, u32, u32)>,
    exact: HashMap<Box<[u8]>, usize>,
    parts: Vec<(usize, Box<[u8]>)>,
    regexes: Vec<(usize, Regex)>,
}

impl Set {
    /// A set nothing matches.
    pub fn new(method: Match, flags: Flags) -> Self {
        Self {
            method,
            flags,
            count: 0,
            ranges: Vec::new(),
            operator: Operator::Equal,
            v4: Networks::default(),
            v6: Networks::default(),
            masked: Vec::new(),
            exact: HashMap::new(),
            parts: Vec::new(),
            regexes: Vec::new(),
        }
    }

    /// The method.
    pub const fn method(&self) -> Match {
        self.method
    }

    /// What changes how patterns are read and compared.
    pub const fn flags(&self) -> Flags {
        self.flags
    }

    /// One of the same kind without patterns.
    pub fn emptied(&self) -> Self {
        Self::new(self.method, self.flags)
    }

    /// Whether HAProxy finds patterns of this method in a tree.
    pub const fn is_indexed(&self) -> bool {
        match self.method {
            Match::Ip => true,
            Match::Str | Match::Begin => !self.flags.ignore_case,
            _ => false,
        }
    }

    /// A pattern as it reads without the operator in force.
    pub fn spelled(&self, pattern: &str) -> String {
        let number = match self.method {
            Match::Int | Match::Len => parse::integer,
            _ => return pattern.to_owned(),
        };
        match (self.operator, range(pattern, self.operator, number)) {
            (Operator::Equal, _) | (_, Err(_)) => pattern.to_owned(),
            (_, Ok(range)) => range.to_string(),
        }
    }

    /// How many patterns there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// From here on numbers are compared in this way.
    pub fn operator(&mut self, operator: Operator) {
        self.operator = operator;
    }

    /// Adds a pattern; the first one has the position 0.
    ///
    /// # Errors
    ///
    /// What HAProxy says of a pattern that is none.
    pub fn add(&mut self, pattern: &str) -> Result<(), String> {
        let at = self.count;
        match self.method {
            Match::Found | Match::Bool => {}
            Match::Int | Match::Len => {
                self.ranges.push((at, range(pattern, self.operator, parse::integer)?));
            }
            Match::Version => {
                self.ranges.push((at, range(pattern, self.operator, parse::version)?));
            }
            Match::Ip => match network(pattern, !self.flags.no_dns)? {
                Network::V4(ip, mask) if mask.leading_ones() == mask.count_ones() => {
                    self.v4.add(ip, mask.count_ones() as u8, at);
                }
                Network::V4(ip, mask) => self.masked.push((at, ip & mask, mask)),
                Network::V6(ip, length) => self.v6.add(ip, length, at),
            },
            Match::Bin => {
                self.exact.entry(parse::bytes(pattern)?.into()).or_insert(at);
            }
            Match::Str => {
                self.exact.entry(self.folded(pattern.as_bytes()).into()).or_insert(at);
            }
            Match::Begin | Match::End | Match::Sub | Match::Dir | Match::Domain => {
                self.parts.push((at, self.folded(pattern.as_bytes()).into()));
            }
            Match::Regex => {
                self.regexes.push((at, Regex::new(pattern, self.flags.ignore_case)?));
            }
        }
        self.count += 1;
        Ok(())
    }

    /// Adds the lines of a file; empty ones and those that begin with `#` are passed over.
    ///
    /// # Errors
    ///
    /// What HAProxy says of the first line that is no pattern.
    pub fn read(&mut self, file: &str, text: &str) -> Result<(), String> {
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_start_matches([' ', '\t']);
            if !line.is_empty() && !line.starts_with('#') {
                self.add(line).map_err(|why| format!("{why} at line {number} of file '{file}'"))?;
            }
        }
        Ok(())
    }

    /// Adds a network: for a name that was resolved.
    pub fn add_address(&mut self, ip: IpAddr) {
        match ip {
            IpAddr::V4(ip) => self.v4.add(ip.into(), 32, self.count),
            IpAddr::V6(ip) => self.v6.add(ip.into(), 128, self.count),
        }
        self.count += 1;
    }

    /// Whether a value matches.
    pub fn matches(&self, value: Value<'_>) -> bool {
        match self.method {
            Match::Found => true,
            Match::Bool => value.truth().unwrap_or(false),
            _ => self.find(value).is_some(),
        }
    }

    /// The position of the first pattern that matches, of the most specific one for addresses and
    /// for the beginnings and ends of text.
    pub fn find(&self, value: Value<'_>) -> Option<usize> {
        if self.count == 0 {
            return None;
        }
        let value = value.cast(self.method.wants())?;
        match self.method {
            Match::Found => Some(0),
            Match::Bool => value.truth().filter(|on| *on).map(|_| 0),
            Match::Int | Match::Version => self.in_range(value.number()?),
            Match::Ip => self.find_address(value.address()?),
            Match::Bin => self.exact.get(&*value.into_bytes()?).copied(),
            Match::Len => self.in_range(i64::try_from(value.into_text().len()).ok()?),
            Match::Str => self.exact.get(&*self.folded(&value.into_text())).copied(),
            Match::Begin | Match::End => {
                let text = value.into_text();
                let text = self.folded(&text);
                let fits = |part: &[u8]| match self.method {
                    Match::Begin => text.starts_with(part),
                    _ => text.ends_with(part),
                };
                let fitting = self.parts.iter().filter(|(_, part)| fits(part));
                fitting.max_by_key(|(at, part)| (part.len(), usize::MAX - at)).map(|(at, _)| *at)
            }
            Match::Sub | Match::Dir | Match::Domain => {
                let text = value.into_text();
                let text = self.folded(&text);
                let delimits = match self.method {
                    Match::Sub => None,
                    Match::Dir => Some(&b"/?"[..]),
                    _ => Some(&b"/?.:"[..]),
                };
                let fits = |part: &[u8]| holds(&text, part, delimits);
                self.parts.iter().find(|(_, part)| fits(part)).map(|(at, _)| *at)
            }
            Match::Regex => self.find_regex(&value.into_text()).map(|(at, _)| at),
        }
    }

    /// The first expression that matches.
    pub(crate) fn find_regex(&self, text: &[u8]) -> Option<(usize, &Regex)> {
        let found = self.regexes.iter().find(|(_, regex)| regex.is_match(text));
        found.map(|(at, regex)| (*at, regex))
    }

    fn in_range(&self, number: i64) -> Option<usize> {
        self.ranges.iter().find(|(_, range)| range.holds(number)).map(|(at, _)| *at)
    }

    /// An IPv4 address also matches IPv6 networks by its mapped form, and an IPv6 address that
    /// holds an IPv4 one matches IPv4 networks by that.
    fn find_address(&self, ip: IpAddr) -> Option<usize> {
        match ip {
            IpAddr::V4(ip) => {
                self.find_v4(ip).or_else(|| self.v6.find(u128::from(ip.to_ipv6_mapped())))
            }
            IpAddr::V6(ip) => self
                .v6
                .find(Ipv6Addr::into(ip))
                .or_else(|| v4_of(ip).and_then(|ip| self.find_v4(ip))),
        }
    }

    fn find_v4(&self, ip: Ipv4Addr) -> Option<usize> {
        let ip = u32::from(ip);
        let fits = |(_, network, mask): &&(usize, u32, u32)| ip & mask == *network;
        self.v4.find(ip).or_else(|| self.masked.iter().find(fits).map(|(at, ..)| *at))
    }

    fn folded<'t>(&self, text: &'t [u8]) -> std::borrow::Cow<'t, [u8]> {
        if self.flags.ignore_case && text.iter().any(u8::is_ascii_uppercase) {
            return text.to_ascii_lowercase().into();
        }
        text.into()
    }
}

/// Whether `part` occurs in `text`, between two of `delimits` or the ends if they are given.
/// Delimiters around the part itself do not count.
fn holds(text: &[u8], part: &[u8], delimits: Option<&[u8]>) -> bool {
    let Some(delimits) = delimits else {
        return part.is_empty() || text.windows(part.len()).any(|window| window == part);
    };
    let is_delimiter = |byte: &u8| delimits.contains(byte);
    let start = part.iter().position(|byte| !is_delimiter(byte)).unwrap_or(part.len());
    let end = part.iter().rposition(|byte| !is_delimiter(byte)).map_or(start, |at| at + 1);
    let part = &part[start..end];
    if part.is_empty() || text.len() < part.len() {
        return false;
    }
    (0..=text.len() - part.len()).any(|at| {
        text[at..].starts_with(part)
            && (at == 0 || is_delimiter(&text[at - 1]))
            && text.get(at + part.len()).is_none_or(is_delimiter)
    })
}

/// Networks of one family: the longest that holds an address is found.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Networks<T: Eq + std::hash::Hash> {
    known: HashMap<(u8, T), usize>,
    lengths: Vec<u8>,
    seen: HashSet<u8>,
}

impl<T: Eq + std::hash::Hash> Default for Networks<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), lengths: Vec::new(), seen: HashSet::new() }
    }
}

/// An address as bits.
trait Bits: Copy + Eq + std::hash::Hash {
    /// The first `length` bits, the others 0.
    fn cut(self, length: u8) -> Self;
}

impl Bits for u32 {
    fn cut(self, length: u8) -> Self {
        self & Self::MAX.checked_shl(32 - Self::from(length.min(32))).unwrap_or(0)
    }
}

impl Bits for u128 {
    fn cut(self, length: u8) -> Self {
        self & Self::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0)
    }
}

impl<T: Bits> Networks<T> {
    fn add(&mut self, address: T, length: u8, at: usize) {
        self.known.entry((length, address.cut(length))).or_insert(at);
        if self.seen.insert(length) {
            self.lengths.push(length);
            self.lengths.sort_unstable_by(|a, b| b.cmp(a));
        }
    }

    fn find(&self, address: T) -> Option<usize> {
        let mut lengths = self.lengths.iter();
        lengths.find_map(|&length| self.known.get(&(length, address.cut(length))).copied())
    }
}

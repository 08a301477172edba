//! nginx's variables: texts that are put together for each session.
//!
//! ```text
//!   "$remote_addr:$backend"  ─► Template ─┐
//!   map, geo, split_clients, set ─► Definition ─► Program ─ text(template, Facts, Values) ─► bytes
//!                                                      │ what a session knows ┘      └ what it has found out
//! ```
//!
//! ```
//! use proxy::variable::{Context, Escape, Facts, Program, Template, Values, Variable};
//!
//! struct Client;
//! impl Facts for Client {
//!     fn value(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
//!         let known = *variable == Variable::RemoteAddr;
//!         out.extend_from_slice(if known { b"192.0.2.7" } else { b"" });
//!         known
//!     }
//!     fn client(&self) -> Option<std::net::IpAddr> {
//!         Some([192, 0, 2, 7].into())
//!     }
//! }
//!
//! let (program, mut values) = (Program::new(&[])?, Values::default());
//! let format = Template::parse("$remote_addr \"$ssl_preread_server_name\"", |_| None)?;
//! let line = program.log(&format, Escape::Default, &Client, &mut values);
//! assert_eq!(line, b"192.0.2.7 \"-\"");
//! # Ok::<(), String>(())
//! ```

mod evaluate;
mod names;
mod pattern;

use std::net::IpAddr;

pub use evaluate::{Context, Escape, Facts, Program, Values};
pub use names::{ProxyTlv, Variable};
pub use pattern::{Finder, Pattern};

/// A text with variables in it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Template {
    /// What it is made of, in order.
    pub pieces: Vec<Piece>,
}

/// A part of a [`Template`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Piece {
    /// Itself.
    Text(String),
    /// What the session has there.
    Variable(Variable),
}

impl Template {
    /// A text without variables.
    pub fn plain(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { pieces: if text.is_empty() { vec![] } else { vec![Piece::Text(text)] } }
    }

    /// Whether there is no variable in it.
    pub fn is_plain(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// Takes `$name` and `${name}` for variables; `defined` gives the position of those a
    /// configuration defines, by their names in lower case.
    ///
    /// # Errors
    ///
    /// nginx's complaint: a name that is missing, not closed or unknown.
    pub fn parse(
        text: &str,
        mut defined: impl FnMut(&str) -> Option<usize>,
    ) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let (name, left) = Self::name(after)?;
            let name = name.to_ascii_lowercase();
            let variable = match defined(&name) {
                Some(index) => Variable::Defined(index),
                None => {
                    Variable::named(&name).ok_or_else(|| format!("unknown \"{name}\" variable"))?
                }
            };
            pieces.push(Piece::Variable(variable));
            rest = left;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self { pieces })
    }

    /// The name at the beginning of what follows a `$`, and what comes after it.
    ///
    /// # Errors
    ///
    /// nginx's complaint.
    pub fn name(text: &str) -> Result<(&str, &str), String> {
        // A capture is one digit.
        if let Some(rest) = text.strip_prefix(|c: char| ('1'..='9').contains(&c)) {
            return Ok(text.split_at(text.len() - rest.len()));
        }
        let braced = text.strip_prefix('{');
        let start = braced.unwrap_or(text);
        let end =
            start.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(start.len());
        let (name, mut rest) = start.split_at(end);
        if braced.is_some() {
            rest = rest
                .strip_prefix('}')
                .ok_or_else(|| format!("the closing bracket in \"{name}\" variable is missing"))?;
        }
        if name.is_empty() {
            return Err("invalid variable name".into());
        }
        Ok((name, rest))
    }
}

/// A variable that a configuration defines.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Definition {
    /// Its name in lower case, without `$`.
    pub name: String,
    /// Where its value comes from.
    pub source: Source,
}

/// Where the value of a defined variable comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// `set`: empty until it was.
    Set,
    /// A named group of a pattern: not found until one matched.
    Group,
    /// `map`.
    Map(Map),
    /// `geo`.
    Geo(Geo),
    /// `split_clients`.
    Split(Split),
}

/// `map KEY $variable { … }`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Map {
    /// What is looked up, without regard to case.
    pub key: Template,
    /// `hostnames`: a dot at the key's end does not count, and `*.x` and `x.*` are wildcards.
    pub hostnames: bool,
    /// `volatile`: looked up each time and not once for a session.
    pub volatile: bool,
    /// What is compared, and the value: exact ones first, then the longest wildcard at the
    /// beginning, the longest at the end, then patterns in order.
    pub entries: Vec<(MapKey, Template)>,
    /// `default`; nothing is the empty text.
    pub default: Template,
}

/// What a key of a `map` is compared with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MapKey {
    /// This text, in lower case.
    Exact(String),
    /// `*.example.org`: any text with this end, here `.example.org`.
    End(String),
    /// `www.example.*`: any text that begins so, here `www.example.`.
    Start(String),
    /// `~pattern`, `~*pattern`.
    Pattern(Pattern),
}

/// `geo [$address] $variable { … }`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Geo {
    /// Whose address; `None` is the client's.
    pub address: Option<Template>,
    /// `volatile`: looked up each time and not once for a session.
    pub volatile: bool,
    /// Networks and their values; the longest that holds the address counts.
    pub networks: Vec<(Network, String)>,
    /// With `ranges`: first and last IPv4 address of each, without overlaps.
    pub ranges: Vec<(u32, u32, String)>,
    /// `default`.
    pub default: String,
}

/// `split_clients KEY $variable { … }`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Split {
    /// What is hashed.
    pub key: Template,
    /// Shares in hundredths of a per cent, and their values; `None` is what is left (`*`).
    pub shares: Vec<(Option<u32>, String)>,
}

/// An address and how many of its bits count.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Network {
    /// With all bits zero that do not count.
    pub address: IpAddr,
    /// 0 to 32, or 128.
    pub prefix: u8,
}

impl Network {
    /// A network of this address; a prefix that is too long is the address alone.
    pub fn new(address: IpAddr, prefix: u8) -> Self {
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.min(most);
        let address = match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(u32::from(32 - prefix)).unwrap_or(0);
                IpAddr::V4((v4.to_bits() & mask).into())
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(u32::from(128 - prefix)).unwrap_or(0);
                IpAddr::V6((v6.to_bits() & mask).into())
            }
        };
        Self { address, prefix }
    }

    /// Reads `address` or `address/prefix`; true beside it says that bits were set which do not
    /// count. `None` is no network.
    pub fn parse(text: &str) -> Option<(Self, bool)> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= most)?
            }
            Some(_) => return None,
        };
        let network = Self::new(address, prefix);
        Some((network, network.address != address))
    }

    /// Whether an address is in it. IPv4 in IPv6 is IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4()
            && Self::new(address, self.prefix).address == self.address
    }
}

#[cfg(test)]
mod tests;

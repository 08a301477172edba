//! Arguments of fetches and converters.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use crate::acl::Acl;
use crate::live::Live;
use crate::map::Map;
use crate::record::Variable;
use crate::regex::Regex;
use crate::users::Users;

/// What an argument has to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A number with a sign.
    Int,
    /// Text.
    Str,
    /// An IPv4 address.
    V4,
    /// An IPv6 address.
    V6,
    /// An IPv4 mask: dotted or a number of bits.
    Mask4,
    /// An IPv6 mask: an address or a number of bits.
    Mask6,
    /// A time.
    Time,
    /// The name of a frontend.
    Frontend,
    /// The name of a backend.
    Backend,
    /// The name of a server, with or without its backend.
    Server,
    /// The name of a proxy with a stick table.
    Table,
    /// A regular expression.
    Regex,
    /// The file of a map.
    Map,
    /// The name of a variable with its scope.
    Variable,
    /// The name of a `userlist`.
    Users,
    /// The name of an ACL of the section, with or without `!` in front.
    Acl,
    /// The number of a field of Protocol Buffers: `1.3` is field 3 of field 1.
    Field,
}

impl Kind {
    /// HAProxy's name, as messages have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Int => "integer",
            Self::Str | Self::Map | Self::Variable => "string",
            Self::V4 => "IPv4 address",
            Self::V6 => "IPv6 address",
            Self::Mask4 => "IPv4 mask",
            Self::Mask6 => "IPv6 mask",
            Self::Time => "delay",
            Self::Frontend => "frontend",
            Self::Backend => "backend",
            Self::Server => "server",
            Self::Table => "table",
            Self::Regex => "regex",
            Self::Users => "userlist",
            Self::Acl => "string",
            Self::Field => "Protocol buffers field number",
        }
    }

    /// Whether it names something that is only known once all sections are read.
    pub const fn is_reference(self) -> bool {
        matches!(
            self,
            Self::Frontend | Self::Backend | Self::Server | Self::Table | Self::Users | Self::Acl
        )
    }
}

/// Which arguments a row takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Args {
    /// How many it must have.
    pub least: usize,
    /// What they are; so many it may have.
    pub kinds: &'static [Kind],
}

impl Args {
    /// None.
    pub const NONE: Self = Self { least: 0, kinds: &[] };

    /// All of these.
    pub const fn all(kinds: &'static [Kind]) -> Self {
        Self { least: kinds.len(), kinds }
    }

    /// The first `least`, and the others if they are there.
    pub const fn some(least: usize, kinds: &'static [Kind]) -> Self {
        Self { least, kinds }
    }
}

/// An argument.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Arg {
    /// A number.
    Int(i64),
    /// Text.
    Str(Box<[u8]>),
    /// An address.
    V4(Ipv4Addr),
    /// An address.
    V6(Ipv6Addr),
    /// A mask.
    Mask4(u32),
    /// A mask.
    Mask6(u128),
    /// A time.
    Time(Duration),
    /// A name; it is not known what it means.
    Name(Kind, Box<str>),
    /// A position in the list of frontends.
    Frontend(usize),
    /// A position in the list of backends.
    Backend(usize),
    /// A backend and the position of a server in it.
    Server(usize, usize),
    /// A position in the list of stick tables.
    Table(usize),
    /// A variable.
    Variable(Variable),
    /// A regular expression.
    Regex(Regex),
    /// A map.
    Map(Arc<Live<Map>>),
    /// Users and groups.
    Users(Arc<Users>),
    /// An ACL, and whether it is not to hold.
    Acl(Arc<Acl>, bool),
    /// The numbers of fields, the outer one first.
    Field(Box<[u32]>),
}

impl Arg {
    /// The number it is.
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The text it is.
    pub fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }
}

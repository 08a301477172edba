//! Converters: what becomes of a value, a row each.

use std::borrow::Cow;

use crate::arg::{Arg, Args};
use crate::fetch::Check;
use crate::record::{Record, Variable};
use crate::scope::Scope;
use crate::value::{Type, Value};

mod digest;
mod encode;
mod forwarded;
mod hash;
mod json;
mod names;
mod number;
mod planned;
mod protobuf;
mod tables;
mod text;
mod through;
mod time;

pub use planned::PLANNED;
pub use through::{MapKind, map_named};

/// A converter: a row of [`all`].
pub struct Converter {
    /// Its name.
    pub name: &'static str,
    /// Its arguments.
    pub args: Args,
    /// The type it takes.
    pub input: Type,
    /// The type it makes; [`Type::Any`] is the one it was given.
    pub out: Type,
    /// One sentence of what it does.
    pub doc: &'static str,
    /// What the kinds of arguments do not say of them.
    pub check: Check,
    convert: Convert,
}

type Convert = for<'a, 'c> fn(Value<'a>, &mut Step<'a, 'c>) -> Option<Value<'a>>;

/// What a converter is called with besides the value.
#[derive(Debug)]
pub struct Step<'a, 'c> {
    /// What can be seen.
    pub scope: &'c Scope<'a>,
    /// The arguments.
    pub args: &'a [Arg],
    /// What the connection's rules wrote down.
    pub record: &'c mut Record,
}

impl<'a> Step<'a, '_> {
    fn int(&self, at: usize) -> Option<i64> {
        self.args.get(at)?.int()
    }

    fn text(&self, at: usize) -> &'a [u8] {
        self.args.get(at).and_then(Arg::text).unwrap_or_default()
    }

    fn get(&self, variable: &Variable) -> Option<Value<'static>> {
        self.record.get(variable, self.scope.environment.process())
    }

    /// A number, or a variable that holds one.
    fn operand(&self, at: usize) -> Option<i64> {
        match self.args.get(at)? {
            Arg::Int(number) => Some(*number),
            Arg::Variable(variable) => self.get(variable)?.number(),
            _ => None,
        }
    }
}

impl Converter {
    const fn new(name: &'static str, args: Args, input: Type, out: Type, convert: Convert) -> Self {
        Self { name, args, input, out, doc: "", check: |_| Ok(()), convert }
    }

    const fn doc(self, doc: &'static str) -> Self {
        Self { doc, ..self }
    }

    const fn check(self, check: Check) -> Self {
        Self { check, ..self }
    }

    /// The value it makes of one; `None` ends the chain.
    pub fn convert<'a>(&self, value: Value<'a>, step: &mut Step<'a, '_>) -> Option<Value<'a>> {
        (self.convert)(value.cast(self.input)?, step)
    }
}

impl std::fmt::Debug for Converter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Converter {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Converter {}

/// All converters that are built.
pub fn all() -> impl Iterator<Item = &'static Converter> {
    [
        number::TABLE,
        text::TABLE,
        encode::TABLE,
        hash::TABLE,
        digest::TABLE,
        time::TABLE,
        json::TABLE,
        through::TABLE,
        tables::TABLE,
        names::TABLE,
        forwarded::TABLE,
        protobuf::TABLE,
    ]
    .into_iter()
    .flatten()
}

/// The converter of this name.
pub fn named(name: &str) -> Option<&'static Converter> {
    all().find(|converter| converter.name == name)
}

pub(crate) use encode::base64;

/// The bytes of a value that is text or bytes.
fn bytes(value: Value<'_>) -> Cow<'_, [u8]> {
    value.into_bytes().unwrap_or_default()
}

/// The same kind of value with other bytes, a part of the old ones.
fn part(value: Value<'_>, from: usize, to: usize) -> Value<'_> {
    let cut = |all: Cow<'_, [u8]>| -> Vec<u8> { all[from..to].to_vec() };
    match value {
        Value::Str(Cow::Borrowed(all)) => Value::Str(all[from..to].into()),
        Value::Bin(Cow::Borrowed(all)) => Value::Bin(all[from..to].into()),
        Value::Bin(all) => Value::Bin(cut(all).into()),
        other => Value::Str(cut(bytes(other)).into()),
    }
}

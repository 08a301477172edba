//! A fetch and the converters behind it: `src,ipmask(24)`.

use crate::arg::{Arg, Kind};
use crate::convert::{Converter, Step};
use crate::fetch::{Call, Fetch};
use crate::record::Record;
use crate::scope::{Found, Scope};
use crate::source::Source;
use crate::value::Type;

/// A compiled expression.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expr {
    fetch: &'static Fetch,
    args: Vec<Arg>,
    converters: Vec<(&'static Converter, Vec<Arg>)>,
}

/// Why a converter cannot follow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mismatch;

/// An argument that is a name, and where it stands.
#[derive(Debug)]
pub struct Reference<'e> {
    /// The fetch.
    pub fetch: &'static str,
    /// The converter it is an argument of, if it is not one of the fetch.
    pub converter: Option<&'static str>,
    /// Its position, from 1.
    pub position: usize,
    /// What it names.
    pub kind: Kind,
    /// The argument, to be replaced by what it means.
    pub arg: &'e mut Arg,
}

impl Expr {
    /// A fetch with its arguments.
    pub fn new(fetch: &'static Fetch, args: Vec<Arg>) -> Self {
        Self { fetch, args, converters: Vec::new() }
    }

    /// Appends a converter.
    ///
    /// # Errors
    ///
    /// When it does not take what comes out of the last one.
    pub fn then(&mut self, converter: &'static Converter, args: Vec<Arg>) -> Result<(), Mismatch> {
        if !self.out().casts_to(converter.input) {
            return Err(Mismatch);
        }
        self.converters.push((converter, args));
        Ok(())
    }

    /// The name of the fetch.
    pub const fn fetch_name(&self) -> &'static str {
        self.fetch.name
    }

    /// Where it finds its value.
    pub const fn source(&self) -> Source {
        self.fetch.source
    }

    /// The type of what comes out.
    pub fn out(&self) -> Type {
        let mut out = self.fetch.out;
        for (converter, _) in &self.converters {
            if converter.out != Type::Any {
                out = converter.out;
            }
        }
        out
    }

    /// Whether it looks at bytes of the client.
    pub const fn reads_request(&self) -> bool {
        self.source().meets(Source::BYTES)
    }

    /// Whether it may have several values, one for each [`Scope::nth`].
    pub const fn has_several(&self) -> bool {
        self.fetch.each
    }

    /// Calls `resolve` for every argument that is a name.
    pub fn references(&mut self, resolve: &mut dyn FnMut(Reference<'_>)) {
        let fetch = self.fetch.name;
        let mut look = |args: &mut [Arg], converter| {
            for (position, arg) in (1..).zip(args) {
                if let Arg::Name(kind, _) = *arg {
                    resolve(Reference { fetch, converter, position, kind, arg });
                }
            }
        };
        look(&mut self.args, None);
        for (converter, args) in &mut self.converters {
            look(args, Some(converter.name));
        }
    }

    /// The value.
    pub fn eval<'a>(&'a self, scope: &Scope<'a>, record: &mut Record) -> Found<'a> {
        let mut call = Call { scope, args: &self.args, record: &mut *record };
        let (mut value, tentative) = match self.fetch.find(&mut call) {
            Found::Value(value) => (value, false),
            Found::Tentative(value) => (value, !scope.last),
            Found::NotYet if !scope.last => return Found::NotYet,
            Found::NotYet | Found::Nothing => return Found::Nothing,
        };
        for (converter, args) in &self.converters {
            let mut step = Step { scope, args, record };
            let Some(converted) = converter.convert(value, &mut step) else {
                return if tentative { Found::NotYet } else { Found::Nothing };
            };
            value = converted;
        }
        if tentative { Found::Tentative(value) } else { Found::Value(value) }
    }
}

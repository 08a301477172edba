//! Configuration keywords, declared once.
//!
//! A table is a `const` slice of [`Keyword`] rows. The same rows drive parsing, range and arity
//! checks, "did you mean", the generated reference and the compatibility matrix.
//! No macro: "go to definition" on a row shows the row.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::bind::Binder;
use crate::word::{Stmt, Word};

/// One keyword of one table; `T` is what a statement using it fills in.
pub struct Keyword<T: 'static> {
    /// As written by the operator; several words where the dialect has them ("timeout client").
    pub name: &'static str,
    /// The shape of its arguments, and what to do with them.
    pub form: Form<T>,
    /// One sentence of what it does.
    pub doc: &'static str,
    /// As the manual writes it. A dialect's tests apply it to `T::default()` and expect no change.
    pub default: Option<&'static str>,
    /// Which sections accept it; [`ANYWHERE`] where the table belongs to a single section.
    pub within: Within,
    /// Whether it works.
    pub status: Status,
    /// What defines the behaviour, e.g. "RFC 9568 §5.2.4".
    pub spec: &'static str,
}

/// The shape of the arguments together with what to do with them, so the two cannot disagree.
pub enum Form<T: 'static> {
    /// No argument.
    Flag(fn(&mut T)),
    /// Nothing, or `on|off|true|false|yes|no`; with [`Manners::negation`](crate::Manners) also `no …`.
    Switch(fn(&mut T, bool)),
    /// A number; the range has the type of the field, so a setter never casts.
    U8(RangeInclusive<u8>, fn(&mut T, u8)),
    /// A number.
    U16(RangeInclusive<u16>, fn(&mut T, u16)),
    /// A number.
    U32(RangeInclusive<u32>, fn(&mut T, u32)),
    /// A time.
    Time(Unit, fn(&mut T, Duration)),
    /// A size in bytes, with `k`, `m` or `g`.
    Size(fn(&mut T, u64)),
    /// One of a few words; the setter gets its index.
    Choice(&'static [&'static str], fn(&mut T, usize)),
    /// One word; the string is the usage, as the manual writes it.
    Text(&'static str, fn(&mut T, &Word)),
    /// Anything the shapes above do not cover: so many words, and the usage.
    Words(&'static str, RangeInclusive<usize>, fn(&mut T, &[Word], &mut Binder)),
    /// The whole statement, where the raw line or the block matters.
    Whole(&'static str, fn(&mut T, &Stmt, &mut Binder)),
    /// A braced list whose lines are values, not keywords (`virtual_ipaddress { … }`).
    Lines(&'static str, fn(&mut T, &Stmt, &mut Binder)),
    /// A braced block with a table of its own.
    Block(&'static dyn Table, fn(&mut T, &Stmt, &mut Binder)),
    /// Known by name only: rows that are [`Status::Planned`] or [`Status::Accepted`] as a whole.
    Known(&'static str),
}

/// Whether a keyword works.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// Behaves as upstream does; a test says so.
    Done,
    /// Parsed and checked, without an effect; the reason is shown in the matrix.
    Accepted(&'static str),
    /// Known, refused with "not supported yet".
    Planned,
    /// Works, and has a successor.
    Deprecated {
        /// The successor.
        instead: &'static str,
    },
}

/// The unit a bare number has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unit {
    /// Seconds with a decimal fraction and no suffix, as keepalived writes them.
    Decimal,
    /// Milliseconds; suffixes `us ms s m h d` (HAProxy's default).
    Millis,
    /// Seconds; the same suffixes.
    Seconds,
}

impl Unit {
    /// One of it, in nanoseconds.
    pub const fn nanos(self) -> u64 {
        match self {
            Self::Decimal | Self::Seconds => 1_000_000_000,
            Self::Millis => 1_000_000,
        }
    }
}

/// A set of sections; each dialect gives the bits their meaning.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Within(pub u32);

/// Every section.
pub const ANYWHERE: Within = Within(u32::MAX);

impl Within {
    /// Both sets.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the sets have a section in common.
    pub const fn includes(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl<T> Keyword<T> {
    /// A row that is done, accepted anywhere, and has no default.
    pub const fn new(name: &'static str, form: Form<T>) -> Self {
        Self {
            name,
            form,
            doc: "",
            default: None,
            within: ANYWHERE,
            status: Status::Done,
            spec: "",
        }
    }

    /// A row known by name only, refused with "not supported yet".
    pub const fn planned(name: &'static str, usage: &'static str) -> Self {
        Self::new(name, Form::Known(usage)).status(Status::Planned)
    }

    /// A row whose arguments are taken as they come and have no effect, for the reason given.
    pub const fn accepted(name: &'static str, usage: &'static str, why: &'static str) -> Self {
        Self::new(name, Form::Known(usage)).status(Status::Accepted(why))
    }

    /// Sets the sentence.
    pub const fn doc(self, doc: &'static str) -> Self {
        Self { doc, ..self }
    }

    /// Sets the default.
    pub const fn default(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    /// Sets the sections.
    pub const fn within(self, within: Within) -> Self {
        Self { within, ..self }
    }

    /// Sets the status.
    pub const fn status(self, status: Status) -> Self {
        Self { status, ..self }
    }

    /// Sets the source of the behaviour.
    pub const fn spec(self, spec: &'static str) -> Self {
        Self { spec, ..self }
    }

    /// How many leading words of a statement name this keyword: 0 where it is another one.
    pub fn matches(&self, words: &[Word]) -> usize {
        // Nearly all rows differ in their first word, and that is cheaply seen.
        let Some(first) = words.first() else { return 0 };
        match self.name.strip_prefix(first.text.as_str()) {
            Some("") => return 1,
            Some(rest) if rest.starts_with(' ') => {}
            _ => return 0,
        }
        let parts = || self.name.split(' ');
        let hit = words.len() >= parts().count() && parts().zip(words).all(|(n, w)| n == w.text);
        if hit { parts().count() } else { 0 }
    }

    /// The arguments, as the manual writes them.
    pub fn usage(&self) -> String {
        match &self.form {
            Form::Flag(_) => String::new(),
            Form::Switch(_) => "[on|off]".into(),
            Form::U8(range, _) => format!("<{}..{}>", range.start(), range.end()),
            Form::U16(range, _) => format!("<{}..{}>", range.start(), range.end()),
            Form::U32(range, _) if *range.end() == u32::MAX => "<number>".into(),
            Form::U32(range, _) => format!("<{}..{}>", range.start(), range.end()),
            Form::Time(Unit::Decimal, _) => "<seconds>".into(),
            Form::Time(Unit::Millis, _) => "<time>".into(),
            Form::Time(Unit::Seconds, _) => "<time>".into(),
            Form::Size(_) => "<size>".into(),
            Form::Choice(of, _) => of.join("|"),
            Form::Text(usage, _)
            | Form::Words(usage, ..)
            | Form::Whole(usage, _)
            | Form::Known(usage) => (*usage).into(),
            Form::Lines(usage, _) => format!("{{ {usage} … }}"),
            Form::Block(..) => "{ … }".into(),
        }
    }
}

/// What the reference and the matrix need to know of a row, without its target type.
#[derive(Clone, Debug)]
pub struct Row {
    /// The keyword.
    pub name: &'static str,
    /// Its arguments.
    pub usage: String,
    /// Its default.
    pub default: Option<&'static str>,
    /// Its sections.
    pub within: Within,
    /// Whether it works.
    pub status: Status,
    /// The source of the behaviour.
    pub spec: &'static str,
    /// One sentence of what it does.
    pub doc: &'static str,
    /// The rows of its block.
    pub nested: Vec<Self>,
}

/// A keyword table with its target type erased.
pub trait Table: Sync {
    /// The rows, with those of their blocks.
    fn rows(&self) -> Vec<Row>;
}

impl<T: 'static> Table for [Keyword<T>] {
    fn rows(&self) -> Vec<Row> {
        let row = |k: &Keyword<T>| Row {
            name: k.name,
            usage: k.usage(),
            default: k.default,
            within: k.within,
            status: k.status,
            spec: k.spec,
            doc: k.doc,
            nested: match &k.form {
                Form::Block(table, _) => table.rows(),
                _ => vec![],
            },
        };
        self.iter().map(row).collect()
    }
}

impl<T: 'static> Table for &'static [Keyword<T>] {
    fn rows(&self) -> Vec<Row> {
        (**self).rows()
    }
}

impl<T: 'static, const N: usize> Table for [Keyword<T>; N] {
    fn rows(&self) -> Vec<Row> {
        self.as_slice().rows()
    }
}

//! Hashes.

use balance::HashFunction;
use balance::hash::avalanche;

use super::{Convert, Converter, Step, bytes};
use crate::arg::{Args, Kind};
use crate::value::Type::{Bin, Int};
use crate::value::Value;

pub(super) const TABLE: &[Converter] = &[
    row("crc32", |v, s| of(HashFunction::Crc32, v, s)).doc("The checksum of Ethernet."),
    row("djb2", |v, s| of(HashFunction::Djb2, v, s)).doc("Dan Bernstein's hash."),
    row("sdbm", |v, s| of(HashFunction::Sdbm, v, s)).doc("The hash of a database library."),
    row("wt6", |v, s| of(HashFunction::Wt6, v, s)).doc("A hash for short keys."),
    row("crc32c", |v, s| {
        let crc = bytes(v).iter().fold(!0_u32, |mut state, byte| {
            state ^= u32::from(*byte);
            for _ in 0..8 {
                state = if state & 1 == 1 { state >> 1 ^ 0x82f6_3b78 } else { state >> 1 };
            }
            state
        });
        finish(!crc, s)
    })
    .doc("The checksum of SCTP and PROXY headers."),
];

const fn row(name: &'static str, convert: Convert) -> Converter {
    Converter::new(name, Args::some(0, &[Kind::Int]), Bin, Int, convert)
}

fn of<'a>(function: HashFunction, value: Value<'a>, step: &Step<'a, '_>) -> Option<Value<'a>> {
    finish(function.of(&bytes(value)), step)
}

/// An argument other than 0 asks for avalanche.
fn finish<'a>(hash: u32, step: &Step<'a, '_>) -> Option<Value<'a>> {
    let hash = if step.int(0).unwrap_or(0) == 0 { hash } else { avalanche(hash) };
    Some(Value::Int(i64::from(hash)))
}

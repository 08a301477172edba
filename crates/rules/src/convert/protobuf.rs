//! Protocol Buffers: the first field of a number, whose messages may be nested.

use std::borrow::Cow;

use super::{Converter, Step, bytes};
use crate::arg::{Arg, Args, Kind};
use crate::value::Type::Bin;
use crate::value::Value;

const FIELD: Args = Args::some(1, &[Kind::Field, Kind::Str]);
/// The head of a message of gRPC: whether it is compressed, and its length.
const GRPC_HEAD: usize = 5;

pub(super) const TABLE: &[Converter] = &[
    Converter::new("protobuf", FIELD, Bin, Bin, |v, step| look_up(&bytes(v), step))
        .check(kind)
        .doc(
            "A field of a message of Protocol Buffers, by its number (`1.3`: field 3 of field 1); \
              a number if its type is given, bytes otherwise.",
        ),
    Converter::new("ungrpc", FIELD, Bin, Bin, |v, step| {
        let all = bytes(v);
        let length: [u8; 4] = all.get(1..GRPC_HEAD)?.try_into().ok()?;
        let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
        look_up(all.get(GRPC_HEAD..)?.get(..length)?, step)
    })
    .check(kind)
    .doc("As `protobuf`, of the first message of a body of gRPC."),
];

/// Types, and how they are encoded.
const TYPES: &[(&[u8], Shape)] = &[
    (b"int32", Shape::Varint),
    (b"uint32", Shape::Varint),
    (b"sint32", Shape::Zigzag),
    (b"int64", Shape::Varint),
    (b"uint64", Shape::Varint),
    (b"sint64", Shape::Zigzag),
    (b"bool", Shape::Varint),
    (b"enum", Shape::Varint),
    (b"fixed32", Shape::Fixed32),
    (b"sfixed32", Shape::Signed32),
    (b"float", Shape::Float),
    (b"fixed64", Shape::Fixed64),
    (b"sfixed64", Shape::Fixed64),
    (b"double", Shape::Double),
];

/// How a value is encoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shape {
    Varint,
    Zigzag,
    Fixed32,
    Signed32,
    Float,
    Fixed64,
    Double,
}

fn shape(name: &[u8]) -> Option<Shape> {
    TYPES.iter().find(|(known, _)| *known == name).map(|(_, shape)| *shape)
}

#[expect(clippy::ptr_arg, reason = "the type of a row's check")]
fn kind(args: &mut Vec<Arg>) -> Result<(), String> {
    match args.get(1).and_then(Arg::text) {
        Some(name) if shape(name).is_none() => {
            Err(format!("Wrong protocol buffer type '{}'", String::from_utf8_lossy(name)))
        }
        _ => Ok(()),
    }
}

fn look_up(message: &[u8], step: &Step<'_, '_>) -> Option<Value<'static>> {
    let Some(Arg::Field(path)) = step.args.first() else { return None };
    let found = find(message, path)?;
    let Some(Arg::Str(name)) = step.args.get(1) else {
        let raw = match found {
            Field::Varint(raw, _) => raw,
            Field::Four(raw) => raw,
            Field::Eight(raw) => raw,
            Field::Bytes(raw) => raw,
        };
        return Some(Value::Bin(Cow::Owned(raw.to_vec())));
    };
    let number = match (shape(name)?, found) {
        (Shape::Varint, Field::Varint(_, number)) => number.cast_signed(),
        (Shape::Zigzag, Field::Varint(_, number)) => {
            (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
        }
        (Shape::Fixed32, Field::Four(raw)) => u32::from_le_bytes(*raw).into(),
        (Shape::Signed32, Field::Four(raw)) => i32::from_le_bytes(*raw).into(),
        // HAProxy has no fractions: it takes the whole part, in 32 bits without a sign.
        (Shape::Float, Field::Four(raw)) => {
            i64::from((f32::from_le_bytes(*raw) as i32).cast_unsigned())
        }
        (Shape::Fixed64, Field::Eight(raw)) => i64::from_le_bytes(*raw),
        (Shape::Double, Field::Eight(raw)) => f64::from_le_bytes(*raw) as i64,
        _ => return None,
    };
    Some(Value::Int(number))
}

/// A field's value.
#[derive(Clone, Copy, Debug)]
enum Field<'m> {
    /// The bytes, and the number they are.
    Varint(&'m [u8], u64),
    Four(&'m [u8; 4]),
    Eight(&'m [u8; 8]),
    Bytes(&'m [u8]),
}

/// The first field of this number; of several numbers, inside of the message the one before is.
fn find<'m>(mut message: &'m [u8], path: &[u32]) -> Option<Field<'m>> {
    let (wanted, deeper) = path.split_first()?;
    while !message.is_empty() {
        let (_, key, rest) = varint(message)?;
        let (field, rest) = match key & 7 {
            0 => {
                let (raw, number, rest) = varint(rest)?;
                (Field::Varint(raw, number), rest)
            }
            1 => {
                let (raw, rest) = rest.split_first_chunk()?;
                (Field::Eight(raw), rest)
            }
            2 => {
                let (_, length, rest) = varint(rest)?;
                let length = usize::try_from(length).ok()?;
                (Field::Bytes(rest.get(..length)?), &rest[length..])
            }
            5 => {
                let (raw, rest) = rest.split_first_chunk()?;
                (Field::Four(raw), rest)
            }
            _ => return None,
        };
        if key >> 3 == u64::from(*wanted) {
            return match (deeper, field) {
                ([], field) => Some(field),
                (deeper, Field::Bytes(inner)) => find(inner, deeper),
                _ => None,
            };
        }
        message = rest;
    }
    None
}

/// Seven bits a byte, the lowest first: its bytes, the number, and what follows.
fn varint(bytes: &[u8]) -> Option<(&[u8], u64, &[u8])> {
    let length = bytes.iter().take(10).position(|byte| byte & 0x80 == 0)? + 1;
    let mut number = 0;
    for (at, byte) in bytes[..length].iter().enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * at);
    }
    Some((&bytes[..length], number, &bytes[length..]))
}

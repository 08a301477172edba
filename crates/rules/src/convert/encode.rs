//! Encodings.

#![expect(clippy::ptr_arg, reason = "the type of a row's check")]

use super::{Converter, Step, bytes};
use crate::arg::{Arg, Args, Kind};
use crate::value::Type::{Bin, Bool, Int, Str};
use crate::value::{Value, hex};

const NONE: Args = Args::NONE;
const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub(super) const TABLE: &[Converter] = &[
    Converter::new("hex", NONE, Bin, Str, |v, _| Some(Value::Str(hex(&bytes(v)).into())))
        .doc("Two hexadecimal digits a byte."),
    Converter::new("hex2i", NONE, Str, Int, |v, _| {
        let text = bytes(v);
        let digits = text.iter().take_while(|b| b.is_ascii_hexdigit());
        Some(Value::Int(digits.fold(0, |sum: i64, b| {
            sum.wrapping_shl(4) | i64::from(char::from(*b).to_digit(16).unwrap_or(0))
        })))
    })
    .doc("The number hexadecimal digits stand for."),
    Converter::new("base64", NONE, Bin, Str, |v, _| {
        Some(Value::Str(encode(&bytes(v), STANDARD, true).into()))
    })
    .doc("Base64."),
    Converter::new("ub64enc", NONE, Bin, Str, |v, _| {
        Some(Value::Str(encode(&bytes(v), URL, false).into()))
    })
    .doc("Base64 for URLs, without padding."),
    Converter::new("b64dec", NONE, Str, Bin, |v, _| {
        let text = bytes(v);
        text.len()
            .is_multiple_of(4)
            .then(|| decode(&text, STANDARD))
            .flatten()
            .map(|b| Value::Bin(b.into()))
    })
    .doc("What Base64 stands for."),
    Converter::new("ub64dec", NONE, Str, Bin, |v, _| {
        decode(&bytes(v), URL).map(|b| Value::Bin(b.into()))
    })
    .doc("What Base64 for URLs stands for."),
    Converter::new("url_dec", Args::some(0, &[Kind::Int]), Str, Str, |v, step| {
        let in_form = step.int(0).unwrap_or(0) != 0;
        let text = bytes(v);
        let (mut out, mut rest) = (Vec::with_capacity(text.len()), &*text);
        let (mut query, digit) = (in_form, |b: u8| char::from(b).to_digit(16));
        while let Some((&byte, left)) = rest.split_first() {
            rest = left;
            match byte {
                b'%' => {
                    let [high, low, left @ ..] = rest else { return None };
                    out.push((digit(*high)? << 4 | digit(*low)?) as u8);
                    rest = left;
                }
                b'+' if query => out.push(b' '),
                other => {
                    query |= other == b'?';
                    out.push(other);
                }
            }
        }
        Some(Value::Str(out.into()))
    })
    .doc("With `%xx` replaced by the bytes, and `+` by blanks behind a `?`."),
    Converter::new("url_enc", Args::some(0, &[Kind::Str]), Str, Str, |v, _| {
        let mut out = Vec::new();
        for &byte in &*bytes(v) {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                out.push(byte);
            } else {
                out.push(b'%');
                out.extend_from_slice(&hex(&[byte]));
            }
        }
        Some(Value::Str(out.into()))
    })
    .check(|args| match args.first().and_then(Arg::text) {
        None | Some(b"" | b"query") => Ok(()),
        Some(_) => Err("Unexpected encode type. Allowed value is 'query'".to_owned()),
    })
    .doc("With bytes that may not stand in a URL as `%xx`."),
    Converter::new("be2hex", CHUNKS, Bin, Str, |v, step| {
        let all = bytes(v);
        let size = usize::try_from(step.int(1).unwrap_or(0)).ok().filter(|size| *size > 0);
        let parts = chunks(&all, size.unwrap_or(all.len()), step.int(2)).map(hex);
        Some(Value::Str(parts.collect::<Vec<_>>().join(step.text(0)).into()))
    })
    .check(|args| {
        match args.get(1).and_then(Arg::int) {
            Some(size) if size < 1 => {
                return Err(format!("chunk_size needs to be positive ({size})"));
            }
            _ => {}
        }
        truncate(args)
    })
    .doc("Hexadecimal digits, so many bytes at a time with a separator between them."),
    Converter::new("be2dec", NUMBERS, Bin, Str, |v, step| numbers(v, step, false))
        .check(number_size)
        .doc("Decimal numbers of so many bytes, the highest first, with a separator between them."),
    Converter::new("le2dec", NUMBERS, Bin, Str, |v, step| numbers(v, step, true))
        .check(number_size)
        .doc("Decimal numbers of so many bytes, the lowest first, with a separator between them."),
    Converter::new("base2", NONE, Bin, Str, |v, _| {
        let digits = bytes(v).iter().map(|byte| format!("{byte:08b}")).collect::<String>();
        Some(Value::text(digits))
    })
    .doc("Eight binary digits a byte."),
    Converter::new("has_ctl", Args::some(0, &[Kind::Int]), Str, Bool, |v, step| {
        let mask = step.int(0).unwrap_or(0xffff_ffff);
        let named = |byte: &u8| *byte < 32 && mask >> byte & 1 == 1;
        Some(Value::Bool(bytes(v).iter().any(named)))
    })
    .doc("Whether there is a control character; a mask says which of the first 32 count."),
];

const CHUNKS: Args = Args::some(0, &[Kind::Str, Kind::Int, Kind::Int]);
const NUMBERS: Args = Args::some(2, &[Kind::Str, Kind::Int, Kind::Int]);

/// Parts of `size` bytes; without a last one that is shorter if `whole` is 1.
fn chunks(all: &[u8], size: usize, whole: Option<i64>) -> impl Iterator<Item = &[u8]> {
    let whole = whole == Some(1);
    all.chunks(size.max(1)).filter(move |chunk| !whole || chunk.len() == size)
}

fn numbers<'a>(value: Value<'a>, step: &Step<'a, '_>, low_first: bool) -> Option<Value<'a>> {
    let all = bytes(value);
    let size = usize::try_from(step.int(1)?).ok()?;
    let number = |chunk: &[u8]| {
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        let sum = match low_first {
            true => chunk.iter().rev().fold(0, add),
            false => chunk.iter().fold(0, add),
        };
        sum.to_string().into_bytes()
    };
    let parts: Vec<_> = chunks(&all, size, step.int(2)).map(number).collect();
    Some(Value::Str(parts.join(step.text(0)).into()))
}

fn number_size(args: &mut Vec<Arg>) -> Result<(), String> {
    match args.get(1).and_then(Arg::int) {
        Some(size) if !(1..=8).contains(&size) => {
            Err(format!("chunk_size out of [1..8] range ({size})"))
        }
        _ => truncate(args),
    }
}

fn truncate(args: &[Arg]) -> Result<(), String> {
    match args.get(2).and_then(Arg::int) {
        Some(whole) if !(0..=1).contains(&whole) => {
            Err(format!("Unsupported truncate value ({whole})"))
        }
        _ => Ok(()),
    }
}

fn encode(bytes: &[u8], alphabet: &[u8; 64], pad: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            if place <= chunk.len() {
                out.push(alphabet[(bits >> (18 - 6 * place) & 63) as usize]);
            } else if pad {
                out.push(b'=');
            }
        }
    }
    out
}

/// What Base64 of the usual alphabet stands for.
pub(crate) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    decode(text, STANDARD)
}

fn decode(text: &[u8], alphabet: &[u8; 64]) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|b| *b != b'=').map_or(0, |at| at + 1);
    if text.len() - end > 2 || end % 4 == 1 {
        return None;
    }
    let mut out = Vec::with_capacity(end * 3 / 4);
    for chunk in text[..end].chunks(4) {
        let mut bits = 0;
        for place in 0..4 {
            let digit = match chunk.get(place) {
                Some(letter) => alphabet.iter().position(|known| known == letter)? as u32,
                None => 0,
            };
            bits = bits << 6 | digit;
        }
        out.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
    }
    Some(out)
}

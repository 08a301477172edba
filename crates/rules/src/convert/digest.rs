//! Message digests and xxHash.

#![expect(clippy::ptr_arg, reason = "the type of a row's check")]

use std::borrow::Cow;

use hmac::digest::Digest;
use hmac::{Hmac, KeyInit as _, Mac as _};
use xxhash_rust::{xxh3::xxh3_64_with_seed, xxh32::xxh32, xxh64::xxh64};

use super::base64;
use super::{Convert, Converter, bytes};
use crate::arg::{Arg, Args, Kind};
use crate::value::Type::{Bin, Int};
use crate::value::Value;

pub(super) const TABLE: &[Converter] = &[
    Converter::new("sha1", Args::NONE, Bin, Bin, |v, _| Algorithm::Sha1.digest(&bytes(v)))
        .doc("SHA-1, as bytes."),
    Converter::new("sha2", Args::some(0, &[Kind::Int]), Bin, Bin, |v, step| {
        bits(step.int(0).unwrap_or(256))?.digest(&bytes(v))
    })
    .check(|args| match args.first().map_or(Some(256), Arg::int) {
        Some(number) if bits(number).is_none() => {
            Err(format!("Unsupported number of bits: '{number}'"))
        }
        _ => Ok(()),
    })
    .doc("SHA-2 with 224, 256, 384 or 512 bits, as bytes."),
    Converter::new("digest", Args::all(&[Kind::Str]), Bin, Bin, |v, step| {
        Algorithm::named(step.text(0))?.digest(&bytes(v))
    })
    .check(algorithm)
    .doc("The digest of an algorithm: MD5, SHA-1 or one of SHA-2's, as bytes."),
    Converter::new("hmac", Args::all(&[Kind::Str, Kind::Str]), Bin, Bin, |v, step| {
        let key: Cow<'_, [u8]> = match step.args.get(1)? {
            Arg::Variable(variable) => {
                base64(&step.get(variable)?.into_text())?.into()
            }
            _ => step.text(1).into(),
        };
        Algorithm::named(step.text(0))?.hmac(&key, &bytes(v))
    })
    .check(hmac_arguments)
    .doc("The keyed digest of an algorithm (RFC 2104); the key is Base64, or a variable that holds it."),
    row("xxh32", |v, step| {
        Some(Value::Int(xxh32(&bytes(v), step.int(0).unwrap_or(0) as u32).into()))
    })
    .doc("XXH32, with a seed."),
    row("xxh64", |v, step| {
        Some(Value::Int(xxh64(&bytes(v), step.int(0).unwrap_or(0) as u64) as i64))
    })
    .doc("XXH64 as a number with a sign, with a seed."),
    row("xxh3", |v, step| {
        Some(Value::Int(xxh3_64_with_seed(&bytes(v), step.int(0).unwrap_or(0) as u64) as i64))
    })
    .doc("XXH3 of 64 bits as a number with a sign, with a seed."),
];

const fn row(name: &'static str, convert: Convert) -> Converter {
    Converter::new(name, Args::some(0, &[Kind::Int]), Bin, Int, convert)
}

/// The digests there are.
#[derive(Clone, Copy, Debug)]
enum Algorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// By OpenSSL's names, in any case.
const NAMES: [(&str, Algorithm); 11] = [
    ("md5", Algorithm::Md5),
    ("sha1", Algorithm::Sha1),
    ("sha-1", Algorithm::Sha1),
    ("sha224", Algorithm::Sha224),
    ("sha-224", Algorithm::Sha224),
    ("sha256", Algorithm::Sha256),
    ("sha-256", Algorithm::Sha256),
    ("sha384", Algorithm::Sha384),
    ("sha-384", Algorithm::Sha384),
    ("sha512", Algorithm::Sha512),
    ("sha-512", Algorithm::Sha512),
];

impl Algorithm {
    fn named(name: &[u8]) -> Option<Self> {
        let found = NAMES.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
        found.map(|(_, algorithm)| *algorithm)
    }

    fn digest(self, bytes: &[u8]) -> Option<Value<'static>> {
        fn of<D: Digest>(bytes: &[u8]) -> Vec<u8> {
            D::digest(bytes).to_vec()
        }
        let digest = match self {
            Self::Md5 => of::<md5::Md5>(bytes),
            Self::Sha1 => of::<sha1::Sha1>(bytes),
            Self::Sha224 => of::<sha2::Sha224>(bytes),
            Self::Sha256 => of::<sha2::Sha256>(bytes),
            Self::Sha384 => of::<sha2::Sha384>(bytes),
            Self::Sha512 => of::<sha2::Sha512>(bytes),
        };
        Some(Value::Bin(digest.into()))
    }

    fn hmac(self, key: &[u8], bytes: &[u8]) -> Option<Value<'static>> {
        macro_rules! of {
            ($digest:ty) => {{
                // Any length of key will do.
                let mut mac = Hmac::<$digest>::new_from_slice(key).ok()?;
                mac.update(bytes);
                mac.finalize().into_bytes().to_vec()
            }};
        }
        let code = match self {
            Self::Md5 => of!(md5::Md5),
            Self::Sha1 => of!(sha1::Sha1),
            Self::Sha224 => of!(sha2::Sha224),
            Self::Sha256 => of!(sha2::Sha256),
            Self::Sha384 => of!(sha2::Sha384),
            Self::Sha512 => of!(sha2::Sha512),
        };
        Some(Value::Bin(code.into()))
    }
}

fn bits(number: i64) -> Option<Algorithm> {
    Some(match number {
        224 => Algorithm::Sha224,
        256 => Algorithm::Sha256,
        384 => Algorithm::Sha384,
        512 => Algorithm::Sha512,
        _ => return None,
    })
}

fn algorithm(args: &mut Vec<Arg>) -> Result<(), String> {
    let name = args.first().and_then(Arg::text).unwrap_or_default();
    let known = Algorithm::named(name).map(|_| ());
    known.ok_or_else(|| "algorithm must be a valid OpenSSL message digest name.".into())
}

fn hmac_arguments(args: &mut Vec<Arg>) -> Result<(), String> {
    algorithm(args)?;
    let key = args.get(1).and_then(Arg::text).unwrap_or_default();
    if let Ok(variable) = super::text::registered(key) {
        args[1] = Arg::Variable(variable);
        return Ok(());
    }
    let key = base64(key).ok_or(
        "failed to parse key : argument needs to be base64 encoded, and can either be a string or a variable",
    )?;
    args[1] = Arg::Str(key.into());
    Ok(())
}

//! Hash functions, bit for bit those of HAProxy and nginx: sessions keep their servers over an
//! exchange of the program.
//!
//! ```
//! use balance::hash::{HashFunction, avalanche, crc32};
//!
//! assert_eq!(crc32(&[b"123456789"]), 0xcbf4_3926);
//! assert_eq!(HashFunction::Sdbm.of(b"a"), 97);
//! assert_ne!(avalanche(1), avalanche(2));
//! ```

/// The function of `hash-type`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HashFunction {
    /// `sdbm`: that of a database library of this name.
    #[default]
    Sdbm,
    /// `djb2`: Dan Bernstein's.
    Djb2,
    /// `wt6`: made for short keys; spreads decimal numbers evenly.
    Wt6,
    /// `crc32`: the checksum of IEEE 802.3.
    Crc32,
    /// `none`: the key is a decimal number, which is the hash.
    None,
}

impl HashFunction {
    /// Their names in haproxy.cfg.
    pub const NAMES: [&'static str; 5] = ["sdbm", "djb2", "wt6", "crc32", "none"];

    /// All, in the order of the names.
    pub const ALL: [Self; 5] = [Self::Sdbm, Self::Djb2, Self::Wt6, Self::Crc32, Self::None];

    /// The hash of a key.
    #[must_use]
    pub fn of(self, key: &[u8]) -> u32 {
        match self {
            Self::Sdbm => key.iter().fold(0, |hash: u32, &byte| {
                hash.wrapping_mul(65_599).wrapping_add(u32::from(byte))
            }),
            Self::Djb2 => key.iter().fold(5_381, |hash: u32, &byte| {
                hash.wrapping_mul(33).wrapping_add(u32::from(byte))
            }),
            Self::Wt6 => wt6(key),
            Self::Crc32 => crc32(&[key]),
            Self::None => number(key),
        }
    }
}

/// Two words that are rotated by amounts which depend on each other.
fn wt6(key: &[u8]) -> u32 {
    let (mut a, mut b) = (0xa53c_965a_u32, 0x5ca6_953a_u32);
    let (mut turn_b, mut turn_a) = (6, 18);
    for &byte in key {
        a = !(a ^ u32::from(byte));
        b = !b.wrapping_add(u32::from(byte));
        (a, b) = (b.rotate_left(turn_b), a.rotate_left(turn_a));
        let mixed = (a >> 16 ^ b) & 0xffff;
        (turn_b, turn_a) = (mixed & 0x1f, mixed >> 11);
    }
    a ^ b
}

/// A decimal number with a sign, up to the first byte that is no digit; its low 32 bits.
fn number(key: &[u8]) -> u32 {
    let (negative, digits) = match key {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    };
    let value = digits.iter().take_while(|byte| byte.is_ascii_digit()).fold(0_i64, |sum, byte| {
        let digit = i64::from(byte - b'0');
        let (times, add) = if negative { (10, -digit) } else { (10, digit) };
        sum.saturating_mul(times).saturating_add(add)
    });
    value as u32
}

/// The checksum of IEEE 802.3 (reflected 0x04C11DB7) over several pieces in a row.
#[must_use]
pub fn crc32(pieces: &[&[u8]]) -> u32 {
    !crc32_more(!0, pieces)
}

/// Goes on with a checksum whose final inversion is still to come.
pub(crate) fn crc32_more(state: u32, pieces: &[&[u8]]) -> u32 {
    pieces
        .iter()
        .copied()
        .flatten()
        .fold(state, |state, &byte| CRC_TABLE[usize::from((state as u8) ^ byte)] ^ state >> 8)
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

/// `avalanche`: Bob Jenkins' integer hash with full avalanche, and then a product with a prime near
/// three quarters of 2³², which spreads the places of `consistent` over the whole circle.
#[must_use]
pub const fn avalanche(hash: u32) -> u32 {
    let mut a = hash;
    a = a.wrapping_add(0x7ed5_5d16).wrapping_add(a << 12);
    a = (a ^ 0xc761_c23c) ^ (a >> 19);
    a = a.wrapping_add(0x1656_67b1).wrapping_add(a << 5);
    a = a.wrapping_add(0xd3a2_646c) ^ (a << 9);
    a = a.wrapping_add(0xfd70_46c5).wrapping_add(a << 3);
    a = (a ^ 0xb55a_4f09) ^ (a >> 16);
    a.wrapping_mul(3_221_225_473)
}

/// MurmurHash2 of 32 bits with seed 0: nginx's `split_clients`.
#[must_use]
pub fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = key.len() as u32;
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k = (k ^ k >> 24).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |sum: u32, &byte| sum << 8 | u32::from(byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(M);
    hash ^ hash >> 15
}

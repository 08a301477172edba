//! nginx's `hash` and `hash … consistent`.

use alloc::vec::Vec;

use crate::candidates::Search;
use crate::config::ServerConfig;
use crate::hash::{crc32, crc32_more};
use crate::smooth::{self, Peer};

/// Servers that cannot be used until nginx takes them in turn.
const MISSES: u32 = 20;

/// Places per unit of weight.
const PLACES: u32 = 160;

/// The server a key names, or the one it names after those that cannot be used; `None` when it is
/// time to take them in turn.
///
/// As Cache::Memcached: the sum of `(crc32([n] key) >> 16) & 0x7fff` over the tries so far, n being
/// left out at the first, goes along the weights of all servers, usable or not.
pub(crate) fn named(
    key: &[u8],
    search: &mut Search,
    peers: &[Peer],
    members: &[u32],
    usable: impl Fn(usize, &Peer) -> bool,
) -> Option<usize> {
    let total: u64 = members.iter().map(|&index| peers[index as usize].share() as u64).sum();
    if total == 0 {
        return None;
    }
    while search.misses <= MISSES {
        let mut digits = [0; 10];
        let again = decimal(search.rehash, &mut digits);
        let again = if search.rehash > 0 { again } else { &[] };
        search.at = search.at.wrapping_add(crc32(&[again, key]) >> 16 & 0x7fff);
        search.rehash += 1;
        let mut point = u64::from(search.at) % total;
        let found = members.iter().map(|&index| index as usize).find(|&index| {
            let weight = peers[index].share() as u64;
            let here = point < weight;
            point = point.wrapping_sub(weight);
            here
        })?;
        if usable(found, &peers[found]) {
            return Some(found);
        }
        search.misses += 1;
    }
    None
}

fn decimal(mut number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 || at == 0 {
            return &digits[at..];
        }
    }
}

/// The places of `hash … consistent`.
#[derive(Debug)]
pub(crate) struct Circle {
    /// By place; which text has it.
    places: Vec<(u32, u32)>,
    /// The text of each server, as a number.
    texts: Vec<u32>,
}

impl Circle {
    /// Lays out the servers that are no backups. Servers of one text (a name with several
    /// addresses) share their places.
    pub(crate) fn new(servers: &[&ServerConfig]) -> Self {
        let mut texts = Vec::new();
        for server in servers {
            let first = servers.iter().position(|other| other.text == server.text);
            texts.push(first.unwrap_or(0) as u32);
        }
        let mut places = Vec::new();
        for (index, server) in servers.iter().enumerate().filter(|(_, server)| !server.backup) {
            let (host, port) = host_and_port(&server.text);
            let base = crc32_more(!0, &[host, &[0], port]);
            let mut place = 0_u32;
            for _ in 0..server.weight.saturating_mul(PLACES) {
                // As Cache::Memcached::Fast: each place depends on the one before.
                place = !crc32_more(base, &[&place.to_le_bytes()]);
                places.push((place, texts[index]));
            }
        }
        places.sort_by_key(|&(place, _)| place);
        places.dedup_by_key(|&mut (place, _)| place);
        Self { places, texts }
    }

    /// The server at the key's place or after it; among those of one text, whose turn it is.
    pub(crate) fn named(
        &self,
        key: &[u8],
        search: &mut Search,
        peers: &mut [Peer],
        usable: impl Fn(usize, &Peer) -> bool,
    ) -> Option<usize> {
        if self.places.is_empty() {
            return None;
        }
        if !search.begun {
            search.begun = true;
            let hash = crc32(&[key]);
            search.at = self.places.partition_point(|&(place, _)| place < hash) as u32;
        }
        while search.misses <= MISSES {
            let (_, text) = self.places[search.at as usize % self.places.len()];
            let found = smooth::round_robin(peers, |index, peer| {
                self.texts[index] == text && usable(index, peer)
            });
            if found.is_some() {
                return found;
            }
            search.at = search.at.wrapping_add(1);
            search.misses += 1;
        }
        None
    }
}

/// The text of a `server` at its last colon, if only digits follow; a path has no port.
fn host_and_port(text: &str) -> (&[u8], &[u8]) {
    let bytes = text.as_bytes();
    if bytes.len() >= 5 && bytes[..5].eq_ignore_ascii_case(b"unix:") {
        return (&bytes[5..], b"");
    }
    match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (host.as_bytes(), port.as_bytes())
        }
        _ => (bytes, b""),
    }
}

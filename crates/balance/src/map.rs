//! The fixed map behind `static-rr` and map-based hashing.

use alloc::vec::Vec;
use core::net::IpAddr;

/// As many entries as the usable servers have weight, each naming a server.
#[derive(Debug, Default)]
pub(crate) struct Map {
    entries: Vec<u32>,
    next: usize,
}

impl Map {
    /// Lays the servers out; `weights` holds those that are usable, already without their common
    /// divisor.
    ///
    /// Every entry adds each server's weight to its credit; the first server with the most whole
    /// rounds of credit is taken and pays one round. Counting whole rounds only, and not the credit
    /// itself as nginx does, is what makes 5,3,1 come out as `112121213`.
    pub(crate) fn lay_out(&mut self, weights: &[(u32, u32)]) {
        let total: i64 = weights.iter().map(|&(_, weight)| i64::from(weight)).sum();
        let mut credit: Vec<i64> = weights.iter().map(|_| 0).collect();
        self.entries.clear();
        for _ in 0..total {
            let mut best: Option<(usize, i64)> = None;
            for (index, &(_, weight)) in weights.iter().enumerate() {
                credit[index] += i64::from(weight);
                let rounds = (credit[index] + total) / total;
                if best.is_none_or(|(_, most)| rounds > most) {
                    best = Some((index, rounds));
                }
            }
            if let Some((index, _)) = best {
                credit[index] -= total;
                self.entries.push(weights[index].0);
            }
        }
    }

    /// The next entry for which `usable` holds, `avoid` only if there is no other.
    pub(crate) fn next(
        &mut self,
        avoid: Option<u32>,
        mut usable: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let size = self.entries.len();
        let mut avoided = None;
        for step in 0..size {
            let index = (self.next + step) % size;
            let server = self.entries[index];
            if !usable(server) {
                continue;
            }
            if avoid == Some(server) {
                avoided.get_or_insert((server, index));
                continue;
            }
            self.next = index + 1;
            return Some(server);
        }
        let (server, index) = avoided?;
        self.next = index + 1;
        Some(server)
    }

    /// The entry a hash falls on.
    pub(crate) fn at(&self, hash: u32) -> Option<u32> {
        if self.entries.is_empty() {
            return None;
        }
        Some(self.entries[hash as usize % self.entries.len()])
    }
}

/// What `balance source` makes of an address: its 32-bit words, exclusive or.
pub(crate) fn hash_address(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(v4) => v4.to_bits(),
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            (bits >> 96) as u32 ^ (bits >> 64) as u32 ^ (bits >> 32) as u32 ^ bits as u32
        }
    }
}

/// The greatest common divisor of all weights that are not 0; 1 if there are none.
pub(crate) fn common_divisor(weights: impl Iterator<Item = u32>) -> u32 {
    let divisor = weights.filter(|&weight| weight > 0).fold(0, |mut a, mut b| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    });
    divisor.max(1)
}

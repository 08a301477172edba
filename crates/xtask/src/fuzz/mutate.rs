//! Inputs from inputs.

use fastrand::Rng;

/// Changes seeds at random, the same way for the same number.
pub(crate) struct Mutator {
    rng: Rng,
    words: &'static [&'static str],
    longest: usize,
}

impl Mutator {
    pub(crate) fn new(seed: u64, words: &'static [&'static str], longest: usize) -> Self {
        Self { rng: Rng::with_seed(seed), words, longest }
    }

    /// One of the seeds with a few changes.
    pub(crate) fn next(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.rng.choice(seeds).cloned().unwrap_or_default();
        for _ in 0..self.rng.usize(1..8) {
            self.change(&mut input, seeds);
        }
        input.truncate(self.longest);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        const EDGES: [u8; 12] =
            [0, 1, 0x7f, 0x80, 0xff, b'\n', b' ', b'"', b'\\', b'{', b'0', b'-'];
        let rng = &mut self.rng;
        let at = rng.usize(..=input.len());
        match rng.u8(..10) {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << rng.u8(..8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = EDGES[rng.usize(..EDGES.len())];
                }
            }
            2 => input.insert(at, rng.u8(..)),
            3 => {
                let end = rng.usize(at..=input.len());
                input.drain(at..end);
            }
            4 => {
                // A piece once more, sometimes very often: nesting and long lines.
                let end = (at + rng.usize(..64)).min(input.len());
                let piece = input[at..end].to_vec();
                let times = if rng.u8(..16) == 0 { 1000 } else { rng.usize(1..4) };
                if piece.len() * times <= self.longest {
                    input.splice(at..at, piece.repeat(times));
                }
            }
            5..8 => {
                if let Some(word) = rng.choice(self.words) {
                    input.splice(at..at, word.bytes());
                }
            }
            8 => {
                // The end of another seed.
                if let Some(other) = rng.choice(seeds) {
                    let from = rng.usize(..=other.len());
                    input.truncate(at);
                    input.extend_from_slice(&other[from..]);
                }
            }
            _ => {
                // A number near an edge.
                let number: u64 = 1 << rng.u32(..64);
                let number = number.wrapping_sub(rng.u64(..3));
                input.splice(at..at, number.to_string().into_bytes());
            }
        }
    }
}

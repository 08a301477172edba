//! `${_RANDOM [<min> [<max>]]}`

use std::time::{SystemTime, UNIX_EPOCH};

/// The largest number, unless one is set.
const MOST: u64 = 0x7fff_ffff;

/// Numbers nobody can foresee, or those of a seed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Random(Option<u64>);

impl Random {
    /// The numbers of a seed (`random_seed`).
    pub(super) fn new(seed: u32) -> Self {
        Self(Some(u64::from(seed) ^ SCRAMBLE))
    }

    /// A number from `[<min> [<max>]]`; nothing if these are no numbers.
    pub(super) fn number(&mut self, argument: &str) -> Option<String> {
        let mut bounds = argument.split_whitespace().map(|w| w.parse::<u32>().map(u64::from));
        let least = bounds.next().unwrap_or(Ok(0)).ok()?;
        let most = bounds.next().unwrap_or(Ok(MOST)).ok()?.max(least);
        Some((least + self.next() % (most - least + 1)).to_string())
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        let state = self.0.get_or_insert_with(now);
        *state = state.wrapping_add(SCRAMBLE);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The golden ratio's fraction, as SplitMix64 has it.
const SCRAMBLE: u64 = 0x9e37_79b9_7f4a_7c15;

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() ^ u64::from(since.subsec_nanos()).rotate_left(32)
}

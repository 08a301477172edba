//! Looking for bytes in an answer that arrives in pieces.

use alloc::vec;
use alloc::vec::Vec;

/// A search that goes on where it stopped: each byte of the answer is looked at once (Knuth,
/// Morris and Pratt).
#[derive(Debug)]
pub(super) struct Search {
    /// For each length of a match, the length of the longest shorter one that ends with it.
    shorter: Vec<usize>,
    /// How much of the pattern matches now.
    matched: usize,
    /// How much of the answer has been looked at.
    looked: usize,
    /// How many bytes were compared.
    #[cfg(test)]
    pub(super) work: usize,
}

impl Search {
    /// For `pattern`.
    pub(super) fn new(pattern: &[u8]) -> Self {
        let mut search = Self {
            shorter: vec![0; pattern.len()],
            matched: 0,
            looked: 0,
            #[cfg(test)]
            work: 0,
        };
        // The pattern is searched in itself; what is needed of the table is there in time.
        for at in 1..pattern.len() {
            search.step(pattern, pattern[at]);
            search.shorter[at] = search.matched;
        }
        search.matched = 0;
        search
    }

    /// Whether `pattern`, the one it was made for, is in `answer`, which is what it was the last
    /// time or longer.
    pub(super) fn finds(&mut self, pattern: &[u8], answer: &[u8]) -> bool {
        while self.matched < pattern.len() {
            let Some(&byte) = answer.get(self.looked) else { return false };
            self.looked += 1;
            self.step(pattern, byte);
        }
        true
    }

    fn step(&mut self, pattern: &[u8], byte: u8) {
        loop {
            #[cfg(test)]
            {
                self.work += 1;
            }
            if pattern[self.matched] == byte {
                self.matched += 1;
                return;
            }
            if self.matched == 0 {
                return;
            }
            self.matched = self.shorter[self.matched - 1];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(answer: &[u8], pattern: &[u8]) -> bool {
        pattern.is_empty() || answer.windows(pattern.len()).any(|window| window == pattern)
    }

    #[test]
    fn it_finds_what_is_there_however_it_arrives() {
        // All answers of two letters up to nine long, and all patterns up to four long.
        let words = |longest: u32| {
            (0..=longest).flat_map(|length| {
                (0..1_u32 << length).map(move |bits| -> Vec<u8> {
                    (0..length).map(|at| b'a' + (bits >> at & 1) as u8).collect()
                })
            })
        };
        for pattern in words(4) {
            for answer in words(9) {
                let expected = contains(&answer, &pattern);
                assert_eq!(Search::new(&pattern).finds(&pattern, &answer), expected);
                let mut search = Search::new(&pattern);
                for end in 0..=answer.len() {
                    let part = &answer[..end];
                    let found = search.finds(&pattern, part);
                    assert_eq!(found, contains(part, &pattern), "{pattern:?} in {part:?}");
                }
            }
        }
    }

    #[test]
    fn the_worst_pattern_costs_two_comparisons_a_byte() {
        let answer = vec![b'a'; 16_384];
        let mut pattern = vec![b'a'; 8_191];
        pattern.push(b'b');
        let mut search = Search::new(&pattern);
        for end in 0..=answer.len() {
            assert!(!search.finds(&pattern, &answer[..end]));
        }
        assert!(search.work <= 2 * (answer.len() + pattern.len()), "{}", search.work);
    }
}

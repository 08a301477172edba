//! The Internet checksum (RFC 1071).

/// A running sum of 16-bit words, in one's complement.
///
/// ```
/// use wire::checksum::Checksum;
///
/// let checksum = Checksum::new().over(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]).finish();
/// assert_eq!(checksum, !0xddf2);
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct Checksum(u64);

impl Checksum {
    /// Of nothing.
    pub const fn new() -> Self {
        Self(0)
    }

    /// Adds `bytes`; an odd one at the end counts as if a zero followed it.
    pub fn over(self, bytes: &[u8]) -> Self {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let whole: u64 = pairs.iter().map(|pair| u64::from(u16::from_be_bytes(*pair))).sum();
        let odd = rest.first().map_or(0, |last| u64::from(*last) << 8);
        Self(self.0 + whole + odd)
    }

    /// The checksum; zero if what was added contains its own, right one.
    #[must_use]
    pub fn finish(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        #[expect(clippy::cast_possible_truncation, reason = "the loop above leaves 16 bits")]
        let folded = sum as u16;
        !folded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071_adds_up() {
        // RFC 1071 §3: the sum is ddf2.
        let sum = Checksum::new().over(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]).finish();
        assert_eq!(sum, !0xddf2);
    }

    #[test]
    fn an_odd_byte_is_the_upper_half_of_a_word() {
        assert_eq!(Checksum::new().over(&[0x12]).finish(), !0x1200);
        assert_eq!(Checksum::new().over(&[]).finish(), 0xffff);
    }

    #[test]
    fn carries_are_folded_until_none_is_left() {
        assert_eq!(Checksum::new().over(&[0xff; 8]).over(&[0x00, 0x01]).finish(), !1);
    }
}

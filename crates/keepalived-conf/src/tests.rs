use std::time::Duration;

use super::*;

#[test]
fn decimals_are_read_to_the_microsecond() {
    let read = |word| number::decimal(word, 10_000..=255_000_000).0;
    assert_eq!(read("0.4"), Some(Duration::from_millis(400)));
    assert_eq!(read("1"), Some(Duration::from_secs(1)));
    assert_eq!(read("+1.5"), Some(Duration::from_millis(1500)));
    assert_eq!(read(".25"), Some(Duration::from_millis(250)));
    assert_eq!(read("1.0000005"), Some(Duration::from_micros(1_000_001)));
    assert_eq!(read("0.009"), None);
    assert_eq!(read("."), None);
    assert_eq!(read("1s"), None);
    assert_eq!(read("99999999999999999999"), None);
}

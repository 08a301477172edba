//! A table of what a standard requires, sentence by sentence.

/// Who sees to it.
pub(crate) enum Kept {
    /// We do, and this shows it.
    Here(fn()),
    /// Somebody else does, or nobody can: why.
    Elsewhere(&'static str),
    /// keepalived does otherwise, and so do we by default; this shows both.
    AsKeepalived(fn()),
}

pub(crate) use Kept::{AsKeepalived, Elsewhere, Here};

/// One sentence.
pub(crate) struct Row {
    pub(crate) number: u32,
    pub(crate) section: &'static str,
    pub(crate) says: &'static str,
    pub(crate) kept: Kept,
}

pub(crate) const fn row(number: u32, section: &'static str, says: &'static str, kept: Kept) -> Row {
    Row { number, section, says, kept }
}

/// Checks every row, and that none of `count` is missing. Which one fails is in the output.
pub(crate) fn check(rows: &[Row], count: u32) {
    assert!(rows.iter().map(|row| row.number).eq(1..=count), "every sentence has its row");
    for Row { number, section, says, kept } in rows {
        println!("{number} §{section}: {says}");
        match kept {
            Here(check) | AsKeepalived(check) => check(),
            Elsewhere(why) => assert!(!why.is_empty()),
        }
    }
}

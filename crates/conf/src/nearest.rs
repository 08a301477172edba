//! "Did you mean".

/// The longest word a suggestion is sought for, in bytes: beyond it nobody meant a keyword.
const MAX_WORD: usize = 64;

/// The closest known name, where one is close enough to be what was meant.
///
/// One mistake (a swapped pair counts as one) is allowed, and one more for every four letters.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > MAX_WORD {
        return None;
    }
    known
        .filter(|k| k.len().abs_diff(word.len()) <= 1 + k.len() / 4)
        .map(|k| (strsim::damerau_levenshtein(word, k), k))
        .filter(|(distance, k)| *distance <= 1 + k.len() / 4 && *distance < k.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

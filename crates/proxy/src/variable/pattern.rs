//! Patterns with PCRE's syntax.

use fancy_regex::{Regex, RegexBuilder};

/// A pattern as written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern {
    /// What comes after `~` or `~*`.
    pub text: String,
    /// `~*`: letters are compared without regard to case.
    pub caseless: bool,
}

impl Pattern {
    /// The names of its groups, in lower case, in order.
    ///
    /// # Errors
    ///
    /// Why it is none, in the words of the library that reads it.
    pub fn groups(&self) -> Result<Vec<String>, String> {
        let regex = self.compile()?;
        Ok(regex.capture_names().flatten().map(str::to_ascii_lowercase).collect())
    }

    pub(super) fn compile(&self) -> Result<Regex, String> {
        // Look-around and references back are tried one after the other: there has to be an end.
        RegexBuilder::new(&self.text)
            .case_insensitive(self.caseless)
            .backtrack_limit(100_000)
            .build()
            .map_err(|error| error.to_string())
    }
}

/// A pattern, ready to be looked for.
#[derive(Clone, Debug)]
pub struct Finder(Regex);

impl Finder {
    /// Prepares a pattern.
    ///
    /// # Errors
    ///
    /// Why it is none, in the words of the library that reads it.
    pub fn new(pattern: &Pattern) -> Result<Self, String> {
        pattern.compile().map(Self)
    }

    /// Whether it finds something; bytes that are no text are the sign of
    /// what could not be read (U+FFFD).
    pub fn finds(&self, bytes: &[u8]) -> bool {
        self.0.is_match(&*String::from_utf8_lossy(bytes)).unwrap_or(false)
    }
}

//! What a conversation cannot work out by itself: regular expressions, formats, variables.

use alloc::string::String;
use alloc::vec::Vec;

/// The answer as far as it has arrived.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Heard<'a> {
    /// All of it.
    pub bytes: &'a [u8],
    /// The HTTP status; 0 where there is none.
    pub status: u16,
    /// The HTTP headers, names in lower case.
    pub headers: &'a [(Vec<u8>, Vec<u8>)],
    /// The HTTP body.
    pub body: &'a [u8],
}

/// Whoever drives a conversation lends it these; the numbers are those of its configuration.
pub trait Words: Send {
    /// Whether a regular expression finds something.
    fn matches(&self, regex: usize, bytes: &[u8]) -> bool;
    /// What a format says.
    fn format(&mut self, format: usize, heard: Heard<'_>) -> Vec<u8>;
    /// What an expression says, if it is a number.
    fn number(&mut self, expression: usize, heard: Heard<'_>) -> Option<i64>;
    /// Carries out `set-var`, `set-var-fmt` or `unset-var`.
    fn act(&mut self, rule: usize, heard: Heard<'_>);
    /// The value of `X-Haproxy-Server-State`.
    fn state(&mut self) -> String;
}

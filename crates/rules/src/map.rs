//! Maps: a key of a request → a value from a file.

use crate::pattern::{Flags, Match, Set};
use crate::value::{Type, Value, leading_number};

/// A map, read from a file when the configuration is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Map {
    /// The file, as the configuration names it.
    pub file: Box<str>,
    /// The keys; each one's position is its value's.
    pub keys: Set,
    /// The values, in the order of the file.
    pub values: Vec<Box<str>>,
    /// What a value is: text, a number or an address.
    pub out: Type,
    /// `map_regm`: values are templates for what the expression matched.
    pub expands: bool,
    /// `map_str_key` and its kin: what is looked up is the key that matches, as it is written.
    pub keyed: bool,
}

impl Map {
    /// Reads the lines of a file: a key, blanks, and a value that goes to the end of the line. Empty
    /// lines and those that begin with `#` are passed over.
    ///
    /// # Errors
    ///
    /// What HAProxy says of the first line that is wrong, with its number.
    pub fn read(
        file: &str,
        text: &str,
        method: Match,
        out: Type,
        flags: Flags,
    ) -> Result<Self, String> {
        Self {
            file: file.into(),
            keys: Set::new(method, flags),
            values: Vec::new(),
            out,
            expands: false,
            keyed: false,
        }
        .with_lines(text)
    }

    /// The same with what the lines of a file add, as [`read`](Self::read).
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn with_lines(self, text: &str) -> Result<Self, String> {
        let mut map = self;
        let file = map.file.clone();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_matches([' ', '\t', '\r']);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) = line.split_once([' ', '\t']).unwrap_or((line, ""));
            let wrong = |why: String| format!("{why} at line {number} of file '{file}'");
            let value = value.trim_start_matches([' ', '\t']);
            map.add(key, value).map_err(wrong)?;
        }
        Ok(map)
    }

    /// Adds a key with its value.
    ///
    /// # Errors
    ///
    /// What HAProxy says of a key or a value that is none; nothing is added then.
    pub fn add(&mut self, key: &str, value: &str) -> Result<(), String> {
        if self.value(value).is_none() {
            // The key is looked at first.
            self.keys.emptied().add(key)?;
            return Err(format!("unable to parse '{value}'"));
        }
        self.keys.add(key)?;
        self.values.push(if self.keyed { key } else { value }.into());
        Ok(())
    }

    /// One of the same kind without keys.
    pub fn emptied(&self) -> Self {
        Self { keys: self.keys.emptied(), file: self.file.clone(), values: Vec::new(), ..*self }
    }

    /// The value of the first key that matches.
    pub fn look_up(&self, key: Value<'_>) -> Option<Value<'static>> {
        let at = self.keys.find(key)?;
        self.value(self.values.get(at)?)
    }

    /// The value of the key whose expression matches, with `\1` … replaced by its groups.
    pub fn expand(&self, key: &[u8]) -> Option<Value<'static>> {
        let (at, regex) = self.keys.find_regex(key)?;
        let template = self.values.get(at)?.as_bytes();
        regex.expand(key, template).map(|out| Value::Str(out.into()))
    }

    /// The key that matches, as it is written, of a map that is [`keyed`](Self::keyed).
    pub(crate) fn key(&self, key: Value<'_>) -> Option<&str> {
        self.values.get(self.keys.find(key)?).map(|key| &**key)
    }

    /// What is said where no key matches.
    pub fn default_value(&self, text: &[u8]) -> Option<Value<'static>> {
        self.value(std::str::from_utf8(text).ok()?)
    }

    /// A value as the type it has to be.
    pub(crate) fn value(&self, text: &str) -> Option<Value<'static>> {
        match self.out {
            Type::Int => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                is_number.then(|| Value::Int(leading_number(text.as_bytes())))
            }
            Type::Addr | Type::V4 | Type::V6 => text.parse().ok().map(Value::Ip),
            _ => Some(Value::text(text.to_owned())),
        }
    }
}

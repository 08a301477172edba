//! Header fields, in their order.

/// The fields of a message. Names are in lower case, as HAProxy sends them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Headers {
    fields: Vec<(Box<str>, Vec<u8>)>,
}

impl Headers {
    /// None.
    pub const fn new() -> Self {
        Self { fields: Vec::new() }
    }

    /// All of them: name and value.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|(name, value)| (&**name, &value[..]))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The values of the fields of a name.
    pub fn all<'h>(&'h self, name: &'h str) -> impl DoubleEndedIterator<Item = &'h [u8]> {
        self.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }

    /// The value of the first field of a name.
    pub fn get<'h>(&'h self, name: &'h str) -> Option<&'h [u8]> {
        self.all(name).next()
    }

    /// The elements of the fields of a name: values are split at commas outside of quotes, and
    /// blanks around them are left out (RFC 9110 §5.6.1).
    pub fn elements<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        self.all(name).flat_map(elements)
    }

    /// Whether a list has this element, in any case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.elements(name).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Appends a field. What would end a line in its value becomes a blank.
    pub fn add(&mut self, name: &str, value: &[u8]) {
        self.fields.push((name.to_ascii_lowercase().into(), clean(value)));
    }

    /// Removes the fields of a name; whether there were any.
    pub fn remove(&mut self, name: &str) -> bool {
        self.remove_if(|known| known.eq_ignore_ascii_case(name))
    }

    /// Removes the fields whose name, in lower case, is meant; whether there were any.
    pub fn remove_if(&mut self, meant: impl Fn(&str) -> bool) -> bool {
        let before = self.fields.len();
        self.fields.retain(|(known, _)| !meant(known));
        self.fields.len() < before
    }

    /// Replaces all fields of a name by one.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        self.remove(name);
        self.add(name, value);
    }

    /// Changes the value of every field of a name; `None` keeps it.
    pub fn edit(&mut self, name: &str, mut edit: impl FnMut(&[u8]) -> Option<Vec<u8>>) {
        for (known, value) in &mut self.fields {
            if known.eq_ignore_ascii_case(name)
                && let Some(new) = edit(value)
            {
                *value = clean(&new);
            }
        }
    }

    /// Appends the fields as they are sent, without the empty line behind them.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (name, value) in self.iter() {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// A value without what would end its line.
fn clean(value: &[u8]) -> Vec<u8> {
    let clean = |byte: &u8| if matches!(byte, b'\r' | b'\n' | 0) { b' ' } else { *byte };
    value.iter().map(clean).collect()
}

/// The elements of one value: see [`Headers::elements`].
pub fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    let split = value.split(move |byte| {
        if escaped {
            escaped = false;
            return false;
        }
        match byte {
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' => return !quoted,
            _ => {}
        }
        false
    });
    split.map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

//! HAProxy's protocol between peers that share stick tables, version 2.1.
//!
//! ```text
//!    hello                                   status
//!   ┌───────────────────────────────────┐   ┌───────┐
//!   │ HAProxyS 2.1\n                    │   │ 200\n │   then messages, both ways:
//!   │ name of the other\n               │   └───────┘
//!   │ own name ␠ process id ␠ number\n  │
//!   └───────────────────────────────────┘
//!    0       1       2
//!   ┌───────┬───────┬───────────┬────────────────────────────┐
//!   │ class │ type  │ length …  │ body of that many bytes    │   length and body only if
//!   └───────┴───────┴───────────┴────────────────────────────┘   type is 128 or more
//! ```
//!
//! Numbers in bodies are of [variable length](push_number), except where a width is given.

use alloc::vec::Vec;

use thiserror::Error;

/// What a hello begins with.
pub const HELLO: &str = "HAProxyS 2.1";
/// Longest message: more than HAProxy ever sends.
pub const LONGEST: usize = 16 * 1024;

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Wrong {
    /// They break the protocol.
    #[error("not a message of the peers protocol")]
    Malformed,
    /// It is longer than [`LONGEST`].
    #[error("a message that is too long")]
    TooLong,
}

/// A message whose length is known and whose body was not looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Frame<'a> {
    /// 0 control, 1 error, 10 stick tables.
    pub class: u8,
    /// The type in its class.
    pub kind: u8,
    /// What follows the length.
    pub body: &'a [u8],
}

/// A message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message<'a> {
    /// Tell me all.
    ResyncRequest,
    /// I have told all, and I knew all.
    ResyncFinished,
    /// I have told all I know, and may not know all.
    ResyncPartial,
    /// I have heard that you have told all.
    ResyncConfirmed,
    /// I am here.
    Heartbeat,
    /// You broke the protocol.
    ProtocolError,
    /// You sent too much.
    SizeError,
    /// What follows is about this table.
    Define(Definition),
    /// What follows is about the table that was defined under this number.
    Switch(u64),
    /// I have that change of that table of yours.
    Ack {
        /// The number you gave the table.
        table: u64,
        /// The number you gave the change.
        update: u32,
    },
    /// A change: see [`update`].
    Update(Changed<'a>),
    /// A message of a later version: to be passed over.
    Unknown,
}

/// A change whose values only the table's definition tells apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Changed<'a> {
    /// It has no number of its own: it is one more than the last.
    pub next: bool,
    /// It says for how long the entry lives.
    pub timed: bool,
    /// The rest.
    pub body: &'a [u8],
}

/// A table, as its owner describes it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Definition {
    /// The owner's number for it.
    pub id: u64,
    /// Its name.
    pub name: Vec<u8>,
    /// What keys are: [`KEY_NUMBER`] and others.
    pub key_type: u64,
    /// The length of keys; of text the most, and one more.
    pub key_length: u64,
    /// A bit for each kind of data that is stored.
    pub data: u64,
    /// Milliseconds an entry lives.
    pub expire: u64,
    /// Lengths of arrays and periods of rates, by the kind of data.
    pub parameters: Vec<Parameter>,
}

/// What a definition says of one kind of data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Parameter {
    /// Which kind.
    pub data: u8,
    /// How many; 1 for what is no array.
    pub count: u64,
    /// Of a rate: milliseconds.
    pub period: u64,
}

/// Keys are numbers of 32 bits.
pub const KEY_NUMBER: u64 = 2;
/// Keys are IPv4 addresses.
pub const KEY_IPV4: u64 = 4;
/// Keys are IPv6 addresses.
pub const KEY_IPV6: u64 = 5;
/// Keys are text.
pub const KEY_TEXT: u64 = 6;
/// Keys are bytes.
pub const KEY_BYTES: u64 = 7;

/// How a kind of data travels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    /// A number.
    Number,
    /// Milliseconds since a period began, events in it, events in the one before.
    Rate,
    /// A name, or the number of one that was told before.
    Name,
}

/// How the kind of data with this number travels; `None` for later ones.
pub const fn shape(data: u8) -> Option<(Shape, bool)> {
    Some(match data {
        3 | 5 | 8 | 10 | 12 | 14 | 16 | 18 | 21 | 26 => (Shape::Rate, false),
        24 => (Shape::Rate, true),
        22 | 23 => (Shape::Number, true),
        19 => (Shape::Name, false),
        0..=25 => (Shape::Number, false),
        _ => return None,
    })
}

/// A change of an entry.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Update<'a> {
    /// Its number; `None`: one more than the last.
    pub number: Option<u32>,
    /// Milliseconds the entry lives on; `None`: the whole time.
    pub left: Option<u32>,
    /// The key.
    pub key: &'a [u8],
    /// What is stored, by kind and index.
    pub values: Vec<(u8, usize, Value<'a>)>,
}

/// A stored value as it travels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Value<'a> {
    /// A number.
    Number(u64),
    /// A rate.
    Rate {
        /// Milliseconds since its period began.
        elapsed: u64,
        /// Events in that period.
        current: u64,
        /// Events in the one before.
        previous: u64,
    },
    /// A name.
    Name(Named<'a>),
}

/// A name as it travels: each is told once, and then called by a number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Named<'a> {
    /// None.
    Nothing,
    /// The one of this number.
    Known(u64),
    /// From now on this number stands for it.
    New(u64, &'a [u8]),
}

/// Bytes of which less and less is left.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Wrong> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Wrong::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u64, Wrong> {
        match number(self.0)? {
            Some((number, length)) => {
                self.0 = &self.0[length..];
                Ok(number)
            }
            None => Err(Wrong::Malformed),
        }
    }

    fn long(&mut self) -> Result<u32, Wrong> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn counted(&mut self) -> Result<&'a [u8], Wrong> {
        let length = usize::try_from(self.number()?).map_err(|_| Wrong::Malformed)?;
        self.take(length)
    }
}

/// Appends a number: one byte below 240, else four bits in the first and seven in each other one.
pub fn push_number(out: &mut Vec<u8>, mut number: u64) {
    if number < 0xf0 {
        out.push(number as u8);
        return;
    }
    out.push(number as u8 | 0xf0);
    number = (number - 0xf0) >> 4;
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number = (number - 0x80) >> 7;
    }
    out.push(number as u8);
}

/// A number at the beginning of `bytes` and its length; `None` if more bytes are needed.
///
/// # Errors
///
/// When it does not fit 64 bits.
pub fn number(bytes: &[u8]) -> Result<Option<(u64, usize)>, Wrong> {
    let Some(first) = bytes.first() else { return Ok(None) };
    let mut number = u64::from(*first);
    if number < 0xf0 {
        return Ok(Some((number, 1)));
    }
    for (at, byte) in bytes.iter().enumerate().skip(1) {
        let shift = 4 + 7 * (at as u32 - 1);
        let part = u64::from(*byte);
        if shift >= 64 || part > u64::MAX >> shift {
            return Err(Wrong::Malformed);
        }
        number = number.checked_add(part << shift).ok_or(Wrong::Malformed)?;
        if *byte < 0x80 {
            return Ok(Some((number, at + 1)));
        }
    }
    Ok(None)
}

/// The message at the beginning of `bytes` and its length; `None` if more bytes are needed.
///
/// # Errors
///
/// When there can be no message, whatever follows.
pub fn frame(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Wrong> {
    let [class, kind, rest @ ..] = bytes else { return Ok(None) };
    let (class, kind) = (*class, *kind);
    if kind < 128 {
        return Ok(Some((Frame { class, kind, body: &[] }, 2)));
    }
    let Some((length, taken)) = number(rest)? else { return Ok(None) };
    let length = usize::try_from(length).map_err(|_| Wrong::TooLong)?;
    if length > LONGEST {
        return Err(Wrong::TooLong);
    }
    let Some(body) = rest.get(taken..taken + length) else { return Ok(None) };
    Ok(Some((Frame { class, kind, body }, 2 + taken + length)))
}

/// What a frame says.
///
/// # Errors
///
/// When its body is not what its type says.
pub fn message<'a>(frame: &Frame<'a>) -> Result<Message<'a>, Wrong> {
    let mut rest = Rest(frame.body);
    let changed = |next, timed| Message::Update(Changed { next, timed, body: frame.body });
    Ok(match (frame.class, frame.kind) {
        (0, 0) => Message::ResyncRequest,
        (0, 1) => Message::ResyncFinished,
        (0, 2) => Message::ResyncPartial,
        (0, 3) => Message::ResyncConfirmed,
        (0, 4) => Message::Heartbeat,
        (1, 0) => Message::ProtocolError,
        (1, 1) => Message::SizeError,
        (10, 128) => changed(false, false),
        (10, 129) => changed(true, false),
        (10, 130) => Message::Define(definition(&mut rest)?),
        (10, 131) => Message::Switch(rest.number()?),
        (10, 132) => Message::Ack { table: rest.number()?, update: rest.long()? },
        (10, 133) => changed(false, true),
        (10, 134) => changed(true, true),
        (0 | 1 | 10, _) => Message::Unknown,
        _ => return Err(Wrong::Malformed),
    })
}

fn definition(rest: &mut Rest<'_>) -> Result<Definition, Wrong> {
    let mut definition = Definition {
        id: rest.number()?,
        name: rest.counted()?.to_vec(),
        key_type: rest.number()?,
        key_length: rest.number()?,
        data: rest.number()?,
        expire: rest.number()?,
        parameters: Vec::new(),
    };
    while !rest.0.is_empty() {
        let data = u8::try_from(rest.number()?).map_err(|_| Wrong::Malformed)?;
        // A later kind of data: nobody knows how many numbers it has.
        let Some((shape, array)) = shape(data) else { break };
        let count = if array { rest.number()? } else { 1 };
        if count > 100 {
            return Err(Wrong::Malformed);
        }
        let period = if shape == Shape::Rate { rest.number()? } else { 0 };
        definition.parameters.push(Parameter { data, count, period });
    }
    Ok(definition)
}

impl Definition {
    /// The kinds of data that are stored and known, in their order, and how many of each.
    pub fn stored(&self) -> impl Iterator<Item = (u8, Shape, usize)> {
        (0..64_u8).filter(|data| self.data & 1 << data != 0).filter_map(|data| {
            let (shape, _) = shape(data)?;
            let parameter = self.parameters.iter().find(|known| known.data == data);
            let count = parameter.map_or(1, |known| known.count);
            Some((data, shape, usize::try_from(count).unwrap_or(0)))
        })
    }
}

/// The change of an entry of a table.
///
/// # Errors
///
/// When it is not what the table's definition says.
pub fn update<'a>(changed: &Changed<'a>, table: &Definition) -> Result<Update<'a>, Wrong> {
    let mut rest = Rest(changed.body);
    let number = if changed.next { None } else { Some(rest.long()?) };
    let left = if changed.timed { Some(rest.long()?) } else { None };
    let key = match table.key_type {
        KEY_TEXT => rest.counted()?,
        KEY_NUMBER => rest.take(4)?,
        _ => rest.take(usize::try_from(table.key_length).map_err(|_| Wrong::Malformed)?)?,
    };
    let mut values = Vec::new();
    for (data, shape, count) in table.stored() {
        for index in 0..count {
            let value = match shape {
                Shape::Number => Value::Number(rest.number()?),
                Shape::Rate => Value::Rate {
                    elapsed: rest.number()?,
                    current: rest.number()?,
                    previous: rest.number()?,
                },
                Shape::Name => Value::Name(name(&mut rest)?),
            };
            values.push((data, index, value));
        }
    }
    Ok(Update { number, left, key, values })
}

fn name<'a>(rest: &mut Rest<'a>) -> Result<Named<'a>, Wrong> {
    let mut rest = Rest(rest.counted()?);
    if rest.0.is_empty() {
        return Ok(Named::Nothing);
    }
    let id = rest.number()?;
    Ok(if rest.0.is_empty() { Named::Known(id) } else { Named::New(id, rest.counted()?) })
}

/// Appends a message without a body, or an acknowledgement, a switch, a definition.
///
/// An [`Update`](Message::Update) is appended by [`push_update`], and an unknown one not at all.
pub fn push(out: &mut Vec<u8>, message: &Message<'_>) {
    let (class, kind) = match message {
        Message::ResyncRequest => (0, 0),
        Message::ResyncFinished => (0, 1),
        Message::ResyncPartial => (0, 2),
        Message::ResyncConfirmed => (0, 3),
        Message::Heartbeat => (0, 4),
        Message::ProtocolError => (1, 0),
        Message::SizeError => (1, 1),
        Message::Define(definition) => {
            let mut body = Vec::new();
            push_number(&mut body, definition.id);
            push_counted(&mut body, &definition.name);
            for number in
                [definition.key_type, definition.key_length, definition.data, definition.expire]
            {
                push_number(&mut body, number);
            }
            for Parameter { data, count, period } in &definition.parameters {
                push_number(&mut body, (*data).into());
                let Some((shape, array)) = shape(*data) else { continue };
                if array {
                    push_number(&mut body, *count);
                }
                if shape == Shape::Rate {
                    push_number(&mut body, *period);
                }
            }
            return push_frame(out, 130, &body);
        }
        Message::Switch(table) => {
            let mut body = Vec::new();
            push_number(&mut body, *table);
            return push_frame(out, 131, &body);
        }
        Message::Ack { table, update } => {
            let mut body = Vec::new();
            push_number(&mut body, *table);
            body.extend_from_slice(&update.to_be_bytes());
            return push_frame(out, 132, &body);
        }
        Message::Update(_) | Message::Unknown => return,
    };
    out.extend_from_slice(&[class, kind]);
}

fn push_counted(out: &mut Vec<u8>, bytes: &[u8]) {
    push_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn push_frame(out: &mut Vec<u8>, kind: u8, body: &[u8]) {
    out.extend_from_slice(&[10, kind]);
    push_counted(out, body);
}

/// Appends a change of an entry of a table with keys of this type.
pub fn push_update(out: &mut Vec<u8>, update: &Update<'_>, key_type: u64) {
    let mut body = Vec::new();
    if let Some(number) = update.number {
        body.extend_from_slice(&number.to_be_bytes());
    }
    if let Some(left) = update.left {
        body.extend_from_slice(&left.to_be_bytes());
    }
    if key_type == KEY_TEXT {
        push_counted(&mut body, update.key);
    } else {
        body.extend_from_slice(update.key);
    }
    for (_, _, value) in &update.values {
        match value {
            Value::Number(number) => push_number(&mut body, *number),
            Value::Rate { elapsed, current, previous } => {
                for number in [*elapsed, *current, *previous] {
                    push_number(&mut body, number);
                }
            }
            Value::Name(Named::Nothing) => push_number(&mut body, 0),
            Value::Name(Named::Known(id)) => {
                let mut inside = Vec::new();
                push_number(&mut inside, *id);
                push_counted(&mut body, &inside);
            }
            Value::Name(Named::New(id, name)) => {
                let mut inside = Vec::new();
                push_number(&mut inside, *id);
                push_counted(&mut inside, name);
                push_counted(&mut body, &inside);
            }
        }
    }
    let kind = match (update.number.is_some(), update.left.is_some()) {
        (true, false) => 128,
        (false, false) => 129,
        (true, true) => 133,
        (false, true) => 134,
    };
    push_frame(out, kind, &body);
}

/// Reads whatever bytes say, as a peer would: for fuzzing.
pub fn fuzz(bytes: &[u8]) {
    let mut rest = bytes;
    let mut table = Definition::default();
    while let Ok(Some((frame, length))) = frame(rest) {
        match message(&frame) {
            Ok(Message::Define(definition)) => table = definition,
            Ok(Message::Update(changed)) => {
                if let Ok(update) = update(&changed, &table) {
                    push_update(&mut Vec::new(), &update, table.key_type);
                }
            }
            Ok(other) => push(&mut Vec::new(), &other),
            Err(_) => return,
        }
        rest = &rest[length..];
    }
}

#[cfg(test)]
mod tests;

//! Two processes that share tables: what they tell each other once they are connected.
//!
//! ```text
//!   bytes ─► Session::receive ─► tables          tables ─► Session::send ─► bytes
//!             definitions, changes, acks                    acks, changes, all of it when asked
//! ```
//!
//! A [`Session`] is pure: the tables are lent to it, the time is handed in, and the driver moves the
//! bytes. It ends with its connection; what the other has acknowledged ([`Session::acknowledged`])
//! is handed to the next one.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use wire::peers::{self, Definition, Message, Named, Parameter, Value, Wrong};

use crate::data::{Config, Data, KeyType, Kind};
use crate::table::{EntryId, Slot, Table, Update};
use crate::{Millis, Rate};

/// Silence after which a session says that it is there.
const HEARTBEAT: Millis = 3_000;
/// Silence after which the other is taken for gone.
const SILENCE: Millis = 5_000;
/// Names a session remembers for the other: HAProxy's number.
const NAMES: usize = 128;
/// Bytes that are prepared at a time.
const PORTION: usize = 16 * 1024;

/// The tables that are shared, in their order.
pub trait Store {
    /// How many there are.
    fn count(&self) -> usize;
    /// What peers call one.
    fn name(&self, table: usize) -> &str;
    /// What one is.
    fn config(&self, table: usize) -> &Config;
    /// Lends one.
    fn with(&self, table: usize, act: &mut dyn FnMut(&mut Table));
}

/// What a driver learns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Heard {
    /// The other has told all there is.
    Taught,
    /// The other has told all it knows, and does not know all.
    TaughtPartly,
    /// The other has heard all from us.
    Confirmed,
}

/// What is known of one table in a session.
#[derive(Debug, Default)]
struct Link {
    /// The other's description of it, if it has one that goes with ours.
    theirs: Option<Definition>,
    /// Our last change that was sent, and that was acknowledged.
    pushed: Update,
    acknowledged: Update,
    /// The last change number of the other, and whether it knows that we have it.
    got: u32,
    owed: bool,
    /// How far all of it has been told, if the other asked.
    teaching: Option<u32>,
}

/// A connection between two peers, after the handshake.
#[derive(Debug)]
pub struct Session {
    incoming: Vec<u8>,
    links: Vec<Link>,
    /// The table the other's changes are about, by our position.
    theirs: Option<usize>,
    /// Its definition, even if we have no such table: changes are to be skipped.
    defined: Option<Definition>,
    /// All definitions of the other, with our position, by its number.
    known: Vec<(u64, Option<usize>, Definition)>,
    /// The table our changes are about, and the number of the last one sent.
    ours: Option<(usize, u32)>,
    names_out: Vec<Arc<String>>,
    next_name: usize,
    names_in: Vec<Option<Arc<String>>>,
    /// Messages to be sent as they are.
    replies: Vec<u8>,
    /// All is being told; what is said at the end.
    teaching: bool,
    last_sent: Millis,
    last_received: Millis,
    heard: Vec<Heard>,
}

impl Session {
    /// A session that begins now. `acknowledged` is what the other had of each table when the last
    /// session ended; with `ask` it is asked for all it has.
    pub fn new(now: Millis, acknowledged: &[Update], tables: usize, ask: bool) -> Self {
        let link = |at: usize| {
            let had = acknowledged.get(at).copied().unwrap_or(0);
            Link { pushed: had, acknowledged: had, ..Link::default() }
        };
        let mut replies = Vec::new();
        if ask {
            peers::push(&mut replies, &Message::ResyncRequest);
        }
        Self {
            incoming: Vec::new(),
            links: (0..tables).map(link).collect(),
            theirs: None,
            defined: None,
            known: Vec::new(),
            ours: None,
            names_out: Vec::new(),
            next_name: 0,
            names_in: Vec::new(),
            replies,
            teaching: false,
            last_sent: now,
            last_received: now,
            heard: Vec::new(),
        }
    }

    /// The last change of each table the other is known to have.
    pub fn acknowledged(&self) -> Vec<Update> {
        self.links.iter().map(|link| link.acknowledged).collect()
    }

    /// What was heard since the last call.
    pub fn heard(&mut self) -> Vec<Heard> {
        core::mem::take(&mut self.heard)
    }

    /// When [`send`](Self::send) is due even if nothing changes.
    pub fn deadline(&self) -> Millis {
        (self.last_sent + HEARTBEAT).min(self.last_received + SILENCE)
    }

    /// Whether the other has been silent for too long.
    pub fn is_dead(&self, now: Millis) -> bool {
        now >= self.last_received + SILENCE
    }

    /// What a table was told and heard: our last change sent and acknowledged, the other's last.
    pub fn progress(&self, table: usize) -> Option<(Update, Update, u32)> {
        let link = self.links.get(table)?;
        Some((link.pushed, link.acknowledged, link.got))
    }

    /// Takes bytes of the other.
    ///
    /// # Errors
    ///
    /// When it breaks the protocol: what [`send`](Self::send) has left says so.
    pub fn receive(&mut self, now: Millis, bytes: &[u8], store: &dyn Store) -> Result<(), Wrong> {
        self.last_received = now;
        self.incoming.extend_from_slice(bytes);
        let incoming = core::mem::take(&mut self.incoming);
        let mut rest = incoming.as_slice();
        let done = loop {
            match peers::frame(rest) {
                Ok(None) => break Ok(()),
                Ok(Some((frame, length))) => {
                    if let Err(wrong) = self.take(now, &frame, store) {
                        break Err(wrong);
                    }
                    rest = &rest[length..];
                }
                Err(wrong) => break Err(wrong),
            }
        };
        self.incoming = rest.to_vec();
        if let Err(wrong) = done {
            let said = match wrong {
                Wrong::Malformed => Message::ProtocolError,
                Wrong::TooLong => Message::SizeError,
            };
            peers::push(&mut self.replies, &said);
        }
        done
    }

    fn take(
        &mut self,
        now: Millis,
        frame: &peers::Frame<'_>,
        store: &dyn Store,
    ) -> Result<(), Wrong> {
        match peers::message(frame)? {
            Message::ResyncRequest => {
                for link in &mut self.links {
                    link.teaching = Some(0);
                }
                self.teaching = true;
            }
            Message::ResyncFinished => {
                self.heard.push(Heard::Taught);
                peers::push(&mut self.replies, &Message::ResyncConfirmed);
            }
            Message::ResyncPartial => {
                self.heard.push(Heard::TaughtPartly);
                peers::push(&mut self.replies, &Message::ResyncConfirmed);
            }
            Message::ResyncConfirmed => self.heard.push(Heard::Confirmed),
            Message::Heartbeat | Message::Unknown => {}
            Message::ProtocolError | Message::SizeError => return Err(Wrong::Malformed),
            Message::Define(definition) => self.define(definition, store),
            Message::Switch(id) => {
                let known = self.known.iter().find(|(known, ..)| *known == id);
                let Some((_, at, definition)) = known else { return Err(Wrong::Malformed) };
                (self.theirs, self.defined) = (*at, Some(definition.clone()));
            }
            Message::Ack { table, update } => {
                let at = usize::try_from(table).ok().and_then(|id| id.checked_sub(1));
                if let Some(link) = at.and_then(|at| self.links.get_mut(at)) {
                    // Its low half is told; it is the last one sent or one shortly before.
                    let behind = (link.pushed as u32).wrapping_sub(update);
                    let acknowledged = link.pushed.saturating_sub(behind.into());
                    link.acknowledged = link.acknowledged.max(acknowledged);
                }
            }
            Message::Update(changed) => {
                let Some(definition) = &self.defined else { return Err(Wrong::Malformed) };
                let update = peers::update(&changed, definition)?;
                let names = named(&mut self.names_in, &update)?;
                if let Some(at) = self.theirs
                    && let Some(link) = self.links.get_mut(at)
                {
                    link.got = update.number.unwrap_or_else(|| link.got.wrapping_add(1));
                    link.owed = true;
                    learn(now, at, &update, names, store);
                }
            }
        }
        Ok(())
    }

    fn define(&mut self, definition: Definition, store: &dyn Store) {
        let same = |at: &usize| {
            store.name(*at).as_bytes() == definition.name
                && goes_with(&definition, store.config(*at))
        };
        let at = (0..store.count()).find(same);
        self.known.retain(|(id, ..)| *id != definition.id);
        // More tables than anybody has are not remembered.
        if self.known.len() < 4_096 {
            self.known.push((definition.id, at, definition.clone()));
        }
        if let Some(link) = at.and_then(|at| self.links.get_mut(at)) {
            link.theirs = Some(definition.clone());
        }
        (self.theirs, self.defined) = (at, Some(definition));
    }

    /// Appends what is to be said now, a portion of it. `complete` says whether we know all there
    /// is.
    pub fn send(&mut self, now: Millis, complete: bool, store: &dyn Store, out: &mut Vec<u8>) {
        let before = out.len();
        out.append(&mut self.replies);
        for link in &mut self.links {
            if let (true, Some(theirs)) = (link.owed, &link.theirs) {
                link.owed = false;
                peers::push(out, &Message::Ack { table: theirs.id, update: link.got });
            }
        }
        for at in 0..self.links.len().min(store.count()) {
            self.tell(now, at, store, out, before + PORTION);
        }
        let told = self.links.iter().all(|link| link.teaching.is_none());
        if self.teaching && told && out.len() < before + PORTION {
            self.teaching = false;
            let end = if complete { Message::ResyncFinished } else { Message::ResyncPartial };
            peers::push(out, &end);
        }
        if out.len() > before {
            self.last_sent = now;
        } else if now >= self.last_sent + HEARTBEAT {
            self.last_sent = now;
            peers::push(out, &Message::Heartbeat);
        }
    }

    /// Tells of one table: all of it if the other asked, then what changed.
    fn tell(&mut self, now: Millis, at: usize, store: &dyn Store, out: &mut Vec<u8>, most: usize) {
        let Self { links, ours, names_out, next_name, .. } = self;
        let Some(link) = links.get_mut(at) else { return };
        store.with(at, &mut |table| {
            while let Some(from) = link.teaching {
                if out.len() >= most {
                    return;
                }
                let Some((entry, next)) = table.walk(now, from) else {
                    link.teaching = None;
                    break;
                };
                link.teaching = Some(next);
                // What is no change has the number of the last one.
                let number = link.pushed;
                say(now, (at, number, entry), table, store, ours, (names_out, next_name), out);
            }
            while out.len() < most {
                let Some((number, entry)) = table.next_update(link.pushed) else { break };
                link.pushed = number;
                say(now, (at, number, entry), table, store, ours, (names_out, next_name), out);
            }
        });
    }

    /// Whether there is more to say than the last portion.
    pub fn has_more(&self, store: &dyn Store) -> bool {
        let mut more = self.teaching || !self.replies.is_empty();
        for (at, link) in self.links.iter().enumerate().take(store.count()) {
            store.with(at, &mut |table| more |= table.next_update(link.pushed).is_some());
        }
        more
    }
}

type NamesOut<'n> = (&'n mut Vec<Arc<String>>, &'n mut usize);

/// Appends a change, with the table's definition before it if the last one was about another.
fn say(
    now: Millis,
    (at, number, entry): (usize, Update, EntryId),
    table: &Table,
    store: &dyn Store,
    ours: &mut Option<(usize, u32)>,
    names: NamesOut<'_>,
    out: &mut Vec<u8>,
) {
    let definition = definition(at, store.name(at), store.config(at));
    let number = number as u32;
    let mut next = Some(number);
    match ours {
        Some((known, last)) if *known == at => {
            if last.wrapping_add(1) == number {
                next = None;
            }
        }
        _ => peers::push(out, &Message::Define(definition.clone())),
    }
    *ours = Some((at, number));
    let key = match table.config().key {
        // On the wire the high byte comes first.
        KeyType::Integer => table.key(entry).iter().rev().copied().collect::<Vec<_>>(),
        _ => table.key(entry).to_vec(),
    };
    let (names, next_name) = names;
    let mut shared = Vec::new();
    for stored in &table.config().data {
        for index in 0..stored.count {
            if let Some(Slot::Name(Some(name))) = table.slot(entry, stored.data, index) {
                shared.push(Arc::clone(name));
            }
        }
    }
    let mut values = Vec::new();
    let mut told = shared.iter();
    for stored in &table.config().data {
        for index in 0..stored.count {
            let value = match table.slot(entry, stored.data, index) {
                Some(Slot::Number(number)) => Value::Number(*number),
                Some(Slot::Rate(rate)) => Value::Rate {
                    elapsed: u64::from((now as u32).wrapping_sub(rate.since)),
                    current: rate.current.into(),
                    previous: rate.previous.into(),
                },
                Some(Slot::Name(Some(_))) => match told.next() {
                    Some(name) => Value::Name(name_of(name, names, next_name)),
                    None => Value::Name(Named::Nothing),
                },
                Some(Slot::Name(None)) | None => Value::Name(Named::Nothing),
            };
            values.push((stored.data as u8, index, value));
        }
    }
    let expire = table.config().expire;
    let left = table.left(now, entry);
    // An entry that was just touched lives for the whole time, and need not say so.
    let left = expire.filter(|whole| left + 1_000 < *whole).map(|_| left);
    let left = left.map(|left| u32::try_from(left).unwrap_or(u32::MAX));
    let update = peers::Update { number: next, left, key: &key, values };
    peers::push_update(out, &update, definition.key_type);
}

fn name_of<'n>(name: &'n Arc<String>, names: &mut Vec<Arc<String>>, next: &mut usize) -> Named<'n> {
    if let Some(at) = names.iter().position(|known| known == name) {
        return Named::Known(at as u64 + 1);
    }
    let at = *next % NAMES;
    *next = (at + 1) % NAMES;
    if names.len() <= at {
        names.push(Arc::clone(name));
    } else {
        names[at] = Arc::clone(name);
    }
    Named::New(at as u64 + 1, name.as_bytes())
}

/// The names in a change, in their order.
fn named(
    known: &mut Vec<Option<Arc<String>>>,
    update: &peers::Update<'_>,
) -> Result<Vec<Option<Arc<String>>>, Wrong> {
    let mut names = Vec::new();
    for (_, _, value) in &update.values {
        let Value::Name(name) = value else { continue };
        let place = |id: &u64| {
            let at = usize::try_from(*id).ok().and_then(|id| id.checked_sub(1));
            at.filter(|at| *at < NAMES).ok_or(Wrong::Malformed)
        };
        names.push(match name {
            Named::Nothing => None,
            Named::Known(id) => known.get(place(id)?).cloned().flatten(),
            Named::New(id, text) => {
                let at = place(id)?;
                if known.len() <= at {
                    known.resize(at + 1, None);
                }
                known[at] = Some(Arc::new(String::from_utf8_lossy(text).into_owned()));
                known[at].clone()
            }
        });
    }
    Ok(names)
}

/// Writes a change of the other into a table.
fn learn(
    now: Millis,
    at: usize,
    update: &peers::Update<'_>,
    names: Vec<Option<Arc<String>>>,
    store: &dyn Store,
) {
    let config = store.config(at);
    let mut bytes = update.key.to_vec();
    if config.key == KeyType::Integer {
        bytes.reverse();
    }
    let Some(key) = config.key(&bytes) else { return };
    let mut names = names.into_iter();
    store.with(at, &mut |table| {
        let Some(entry) = table.create(now, &key) else { return };
        for (data, index, value) in &update.values {
            let Some(data) = Data::ALL.get(usize::from(*data)).copied() else { continue };
            let name = if let Value::Name(_) = value { names.next().flatten() } else { None };
            // Connections of another process are not ours.
            if data == Data::ConnCur {
                continue;
            }
            let slot = match value {
                Value::Number(number) if data.kind() == Kind::Number => {
                    Slot::Number((*number as u32).into())
                }
                Value::Number(number) => Slot::Number(*number),
                Value::Rate { elapsed, current, previous } => Slot::Rate(Rate {
                    since: (now as u32).wrapping_sub(*elapsed as u32),
                    current: *current as u32,
                    previous: *previous as u32,
                }),
                Value::Name(_) => Slot::Name(name.map(|name| table.intern(&name))),
            };
            table.set_slot(entry, data, *index, slot);
        }
        table.touch_remote(now, entry, update.left.map(u64::from));
    });
}

/// A table as peers are told of it.
pub fn definition(at: usize, name: &str, config: &Config) -> Definition {
    let (key_type, key_length) = match config.key {
        KeyType::Ip => (peers::KEY_IPV4, 4),
        KeyType::Ipv6 => (peers::KEY_IPV6, 16),
        KeyType::Integer => (peers::KEY_NUMBER, 4),
        // HAProxy counts the byte that ends it.
        KeyType::String(most) => (peers::KEY_TEXT, most + 1),
        KeyType::Binary(length) => (peers::KEY_BYTES, length),
    };
    let mut definition = Definition {
        id: at as u64 + 1,
        name: name.as_bytes().to_vec(),
        key_type,
        key_length: key_length as u64,
        expire: config.expire.unwrap_or(0),
        ..Definition::default()
    };
    for stored in &config.data {
        definition.data |= 1 << (stored.data as u8);
        if stored.data.is_array() || stored.data.kind() == Kind::Rate {
            definition.parameters.push(Parameter {
                data: stored.data as u8,
                count: stored.count as u64,
                period: stored.period.into(),
            });
        }
    }
    definition
}

/// Whether changes of a table of the other can be written into ours: the same keys, and the same
/// meaning of what both store.
fn goes_with(theirs: &Definition, config: &Config) -> bool {
    let ours = definition(0, "", config);
    let same_parameters = theirs.parameters.iter().all(|theirs| {
        let own = ours.parameters.iter().find(|own| own.data == theirs.data);
        own.is_none_or(|own| own.count == theirs.count && own.period == theirs.period)
    });
    ours.key_type == theirs.key_type && ours.key_length == theirs.key_length && same_parameters
}

/// A greeting: who is called, and who calls.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hello {
    /// The name of the one that is called.
    pub to: String,
    /// The name of the caller.
    pub from: String,
}

/// The answer to a greeting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// 200: it is one of us.
    Welcome,
    /// 300: not now.
    Later,
    /// 501: that was no greeting.
    NotUnderstood,
    /// 502: another version.
    OtherVersion,
    /// 503: that is not our name.
    NotMe,
    /// 504: we do not know that name.
    NotKnown,
}

impl Status {
    const ALL: [Self; 6] = [
        Self::Welcome,
        Self::Later,
        Self::NotUnderstood,
        Self::OtherVersion,
        Self::NotMe,
        Self::NotKnown,
    ];

    /// Its number.
    pub const fn code(self) -> u16 {
        match self {
            Self::Welcome => 200,
            Self::Later => 300,
            Self::NotUnderstood => 501,
            Self::OtherVersion => 502,
            Self::NotMe => 503,
            Self::NotKnown => 504,
        }
    }

    /// The status at the beginning of `bytes` and its length; `None` if more bytes are needed. A
    /// number nobody knows is [`NotUnderstood`](Self::NotUnderstood).
    pub fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let end = bytes.iter().take(16).position(|byte| *byte == b'\n');
        let Some(end) = end else {
            return (bytes.len() >= 16).then_some((Self::NotUnderstood, 16));
        };
        let text = core::str::from_utf8(&bytes[..end]).unwrap_or("");
        let code = text.trim_end_matches('\r').parse().unwrap_or(0_u16);
        let known = Self::ALL.into_iter().find(|status| status.code() == code);
        Some((known.unwrap_or(Self::NotUnderstood), end + 1))
    }
}

impl Hello {
    /// The greeting as it is sent.
    pub fn text(&self, pid: u32) -> String {
        format!("{}\n{}\n{} {pid} 1\n", peers::HELLO, self.to, self.from)
    }

    /// The greeting at the beginning of `bytes` and its length; `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// What is to be answered to something else.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Status> {
        const LONGEST: usize = 1_024;
        let mut lines = [""; 3];
        let mut rest = bytes;
        for (at, line) in lines.iter_mut().enumerate() {
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                let wrong = bytes.len() > LONGEST
                    || at == 0 && !peers::HELLO.as_bytes().starts_with(&rest[..rest.len().min(8)]);
                return if wrong { Err(Status::NotUnderstood) } else { Ok(None) };
            };
            let text = core::str::from_utf8(&rest[..end]).map_err(|_| Status::NotUnderstood)?;
            *line = text.trim_end_matches('\r');
            rest = &rest[end + 1..];
            if at == 0 {
                let (protocol, version) = line.split_once(' ').ok_or(Status::NotUnderstood)?;
                if protocol != "HAProxyS" {
                    return Err(Status::NotUnderstood);
                }
                if !version.starts_with("2.") {
                    return Err(Status::OtherVersion);
                }
            }
        }
        let from = lines[2].split(' ').next().unwrap_or("");
        if from.is_empty() || lines[2].split(' ').count() < 3 {
            return Err(Status::NotUnderstood);
        }
        let hello = Self { to: lines[1].into(), from: from.into() };
        Ok(Some((hello, bytes.len() - rest.len())))
    }
}

#[cfg(test)]
mod tests;

//! One conversation with a master agent.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use crate::pdu::{Broken, Found, HEADER, Header, Reader, Writer, kind};
use crate::tree::Tree;
use crate::value::{Oid, Value};

/// Seconds the master agent waits for an answer; RFC 2741 §6.2.1: its own default.
const DEFAULT_TIMEOUT: u8 = 0;
/// RFC 2741 §6.2.3's default priority of a registration.
const PRIORITY: u8 = 127;
/// The most octets of an answer to a GetBulk; a walk asks again where one ends.
const LONGEST_ANSWER: usize = 32 << 10;
/// Notifications kept until the session is open.
const MOST_WAITING: usize = 64;

const SYS_UP_TIME: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 3, 0];
const SNMP_TRAP_OID: [u32; 11] = [1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0];

/// Errors of an answer (RFC 2741 §6.2.16).
const NOT_WRITABLE: u16 = 17;

#[derive(Clone, Debug, Eq, PartialEq)]
enum Stage {
    Opening,
    /// How many registrations are yet to be confirmed.
    Registering(usize),
    Ready,
}

/// A notification: its own object identifier, and what it tells.
type Notification = (Oid, Vec<(Oid, Value)>);

/// A subagent's session: opened and registered by itself, then asked.
///
/// Send what [`take_output`](Self::take_output) gives whenever there is any, first right after
/// connecting.
#[derive(Clone, Debug)]
pub struct Session {
    stage: Stage,
    /// Given by the master agent.
    id: u32,
    packet: u32,
    subtrees: Vec<Oid>,
    input: Vec<u8>,
    output: Vec<u8>,
    waiting: VecDeque<Notification>,
}

impl Session {
    /// A session that will answer for `subtrees`, under the name `description`.
    #[must_use]
    pub fn new(description: &str, subtrees: Vec<Oid>) -> Self {
        let mut session = Self {
            stage: Stage::Opening,
            id: 0,
            packet: 0,
            subtrees,
            input: Vec::new(),
            output: Vec::new(),
            waiting: VecDeque::new(),
        };
        let mut open = session.request(kind::OPEN);
        open.raw([DEFAULT_TIMEOUT, 0, 0, 0]);
        open.oid(&Oid::default());
        open.octets(String::from(description).as_bytes());
        session.output.extend(open.finish());
        session
    }

    /// What is to be sent, once.
    pub fn take_output(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.output)
    }

    /// Whether the master agent has accepted everything.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.stage == Stage::Ready
    }

    /// Takes in bytes of the stream, and answers what they ask from what `tree` makes at this
    /// moment. It is asked for only if something is asked.
    ///
    /// # Errors
    /// Whatever ends the session; the connection is then to be closed.
    pub fn receive<'t>(
        &mut self,
        bytes: &[u8],
        tree: impl FnOnce() -> &'t Tree,
    ) -> Result<(), Broken> {
        self.input.extend(bytes);
        let mut tree = Lazy::Not(tree);
        loop {
            let Some(header) = Header::parse(&self.input)? else { return Ok(()) };
            if self.input.len() < HEADER + header.length {
                return Ok(());
            }
            let packet: Vec<u8> = self.input.drain(..HEADER + header.length).collect();
            let mut payload = header.reader(&packet[HEADER..])?;
            match header.kind {
                kind::RESPONSE => self.confirmed(header, &mut payload)?,
                kind::CLOSE => return Err(Broken::Closed),
                kind::GET | kind::GET_NEXT | kind::GET_BULK => {
                    let answer = answer(header, &mut payload, tree.get())?;
                    self.output.extend(answer);
                }
                // Nothing can be set (RFC 2741 §7.2.4.1).
                kind::TEST_SET => self.output.extend(refusal(header)),
                // CleanupSet has no answer (§7.2.4.4), and what a subagent is never sent asks for
                // none.
                _ => {}
            }
        }
    }

    /// Tells the master agent that something happened: `what`, with values (RFC 2741 §6.2.10).
    /// Before the session is open it waits, the oldest giving way when too many do.
    pub fn notify(&mut self, what: Oid, values: Vec<(Oid, Value)>) {
        if self.is_ready() {
            self.send_notification(&what, &values);
        } else {
            if self.waiting.len() == MOST_WAITING {
                self.waiting.pop_front();
            }
            self.waiting.push_back((what, values));
        }
    }

    fn send_notification(&mut self, what: &Oid, values: &[(Oid, Value)]) {
        let mut notify = self.request(kind::NOTIFY);
        let what = Value::Oid(what.clone());
        notify.binding(&Oid::from(SNMP_TRAP_OID), &Found::Value(&what));
        for (oid, value) in values.iter().filter(|(oid, _)| oid.numbers() != SYS_UP_TIME) {
            notify.binding(oid, &Found::Value(value));
        }
        self.output.extend(notify.finish());
    }

    fn request(&mut self, kind: u8) -> Writer {
        self.packet = self.packet.wrapping_add(1);
        Writer::new(kind, self.id, 0, self.packet)
    }

    /// An answer to one of our own requests.
    fn confirmed(&mut self, header: Header, payload: &mut Reader<'_>) -> Result<(), Broken> {
        let _up_time = payload.number()?;
        let error = payload.short()?;
        match self.stage {
            // A notification that was refused is lost, and nothing else.
            Stage::Ready => return Ok(()),
            Stage::Opening | Stage::Registering(_) if error != 0 => {
                return Err(Broken::Refused(error));
            }
            Stage::Opening => {
                self.id = header.session;
                self.stage = Stage::Registering(self.subtrees.len());
                for subtree in self.subtrees.clone() {
                    let mut register = self.request(kind::REGISTER);
                    register.raw([DEFAULT_TIMEOUT, PRIORITY, 0, 0]);
                    register.oid(&subtree);
                    self.output.extend(register.finish());
                }
            }
            Stage::Registering(left) => self.stage = Stage::Registering(left.saturating_sub(1)),
        }
        if self.stage == Stage::Registering(0) {
            self.stage = Stage::Ready;
            while let Some((what, values)) = self.waiting.pop_front() {
                self.send_notification(&what, &values);
            }
        }
        Ok(())
    }
}

/// A tree that is asked for when it is first looked at.
enum Lazy<'t, F> {
    Not(F),
    There(&'t Tree),
    Gone,
}

impl<'t, F: FnOnce() -> &'t Tree> Lazy<'t, F> {
    fn get(&mut self) -> &'t Tree {
        let tree = match core::mem::replace(self, Self::Gone) {
            Self::Not(ask) => ask(),
            Self::There(tree) => tree,
            Self::Gone => &EMPTY,
        };
        *self = Self::There(tree);
        tree
    }
}

static EMPTY: Tree = Tree::empty();

fn answer(header: Header, payload: &mut Reader<'_>, tree: &Tree) -> Result<Vec<u8>, Broken> {
    let mut answer = respond(header, 0);
    match header.kind {
        kind::GET => {
            for (oid, ..) in payload.ranges()? {
                let found = match tree.get(&oid) {
                    Some(value) => Found::Value(value),
                    None if tree.has_sibling(&oid) => Found::NoSuchInstance,
                    None => Found::NoSuchObject,
                };
                answer.binding(&oid, &found);
            }
        }
        kind::GET_NEXT => {
            for (start, include, end) in payload.ranges()? {
                next(tree, &start, include, &end, &mut answer);
            }
        }
        _ => {
            let (single, repetitions) = (payload.short()?, payload.short()?);
            let ranges = payload.ranges()?;
            let (single, repeated) = ranges.split_at(usize::from(single).min(ranges.len()));
            for (start, include, end) in single {
                next(tree, start, *include, end, &mut answer);
            }
            // RFC 2741 §7.2.3.3: row by row, as far as there is room and something left.
            let mut at = repeated.to_vec();
            for _ in 0..repetitions {
                let mut any = false;
                for (start, include, end) in &mut at {
                    if let Some(found) = next(tree, start, *include, end, &mut answer) {
                        (*start, *include, any) = (found, false, true);
                    }
                }
                if !any || answer.len() > LONGEST_ANSWER {
                    break;
                }
            }
        }
    }
    Ok(answer.finish())
}

/// Appends what is behind `start`, and returns where that was.
fn next(tree: &Tree, start: &Oid, include: bool, end: &Oid, answer: &mut Writer) -> Option<Oid> {
    let found = tree.next(start, include, end);
    match found {
        Some((oid, value)) => answer.binding(oid, &Found::Value(value)),
        None => answer.binding(start, &Found::EndOfMibView),
    }
    found.map(|(oid, _)| oid.clone())
}

fn refusal(header: Header) -> Vec<u8> {
    respond(header, NOT_WRITABLE).finish()
}

fn respond(header: Header, error: u16) -> Writer {
    let mut answer = Writer::new(kind::RESPONSE, header.session, header.transaction, header.packet);
    // The master agent's own up time counts (RFC 2741 §6.2.16).
    answer.number(0);
    answer.short(error);
    answer.short(u16::from(error != 0));
    answer
}

#[cfg(test)]
mod tests;

//! One connection over TLS, driven by whoever owns its socket.
//!
//! Nothing here waits: each method goes on as far as the socket lets it and says
//! [`WouldBlock`](io::ErrorKind::WouldBlock) where that is. Records are read through a buffer of the
//! thread, so that a silent connection keeps only what it agreed on.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::server::Acceptor;
use rustls::{Connection, HandshakeKind, ProtocolVersion};

use crate::certificate::Certificate;
use crate::failure::Trouble;
use crate::server::Choice;

/// What is read of a socket at a time: a record of the largest size, and its head.
const CHUNK: usize = 18 * 1024;
/// Decrypted bytes that may wait until they are asked for; more records wait undecrypted.
const HELD: usize = 16 * 1024;
/// What one call encrypts: a record.
const RECORD: usize = 16 * 1024;
/// How large a ClientHello may be.
const LARGEST_HELLO: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into_boxed_slice());
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Waits {
    /// Nothing: its handshake is over.
    Done,
    /// Bytes of the peer.
    Read,
    /// Room for bytes to the peer.
    Write,
}

/// A connection, of either side.
pub struct Session {
    state: State,
    /// Records that were read and are still to be decrypted.
    rest: Vec<u8>,
    /// Plaintext that is encrypted, and whose records are not all with the socket.
    owed: usize,
    /// Decrypted bytes that wait to be read.
    plain: usize,
    /// We have said that nothing more comes; so has the peer.
    ended: bool,
    closed: bool,
    /// The name a client asked for, or a server was asked for.
    name: Option<Box<str>>,
    /// The certificate that was shown to a client.
    shown: Option<Arc<[u8]>>,
    trouble: Option<Trouble>,
}

enum State {
    /// A server that does not know yet whom it is to be.
    Listening {
        acceptor: Box<Acceptor>,
        choice: Arc<dyn Choice>,
        read: usize,
    },
    Open(Box<Connection>),
    /// It could not be: nothing but this is known of it.
    Broken,
}

impl Session {
    pub(crate) fn client(connection: rustls::ClientConnection, name: Option<&str>) -> Self {
        let state = State::Open(Box::new(connection.into()));
        Self { name: name.map(Into::into), ..Self::new(state) }
    }

    pub(crate) fn server(choice: Arc<dyn Choice>) -> Self {
        Self::new(State::Listening { acceptor: Box::default(), choice, read: 0 })
    }

    fn new(state: State) -> Self {
        Self {
            state,
            rest: Vec::new(),
            owed: 0,
            plain: 0,
            ended: false,
            closed: false,
            name: None,
            shown: None,
            trouble: None,
        }
    }

    /// Bytes of the peer that were read before.
    pub fn begin_with(&mut self, bytes: Vec<u8>) {
        self.rest = bytes;
    }

    /// Goes on with the handshake.
    ///
    /// # Errors
    ///
    /// Why there is none; [`trouble`](Self::trouble) says more.
    pub fn shake_hands(&mut self, mut io: impl Read + Write) -> io::Result<Waits> {
        loop {
            let mut waits = Waits::Read;
            match &mut self.state {
                State::Open(connection) => {
                    if connection.wants_write() {
                        match flush(connection, &mut io) {
                            Ok(()) => {}
                            // Both sides may wait for room, unless one of them reads.
                            Err(error) if is_blocked(&error) => waits = Waits::Write,
                            Err(error) => return Err(error),
                        }
                    }
                    if !connection.is_handshaking() {
                        return Ok(if waits == Waits::Write { waits } else { Waits::Done });
                    }
                }
                State::Listening { .. } => {}
                State::Broken => return Err(io::ErrorKind::NotConnected.into()),
            }
            match self.feed(&mut io) {
                Ok(true) => {}
                Ok(false) => {
                    self.trouble.get_or_insert(Trouble::Closed);
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Err(error) if is_blocked(&error) => return Ok(waits),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads plaintext; 0 once the peer has said that nothing more comes.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) where the connection ended and the peer did
    /// not say so: it may have been cut. [`InvalidData`](io::ErrorKind::InvalidData) for what is no
    /// record of this connection.
    pub fn read(&mut self, mut io: impl Read + Write, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let State::Open(connection) = &mut self.state else {
                return Err(io::ErrorKind::NotConnected.into());
            };
            match connection.reader().read(buffer) {
                Err(error) if is_blocked(&error) => {}
                read => {
                    self.plain = self.plain.saturating_sub(read.as_ref().map_or(0, |read| *read));
                    return read;
                }
            }
            self.feed(&mut io)?;
        }
    }

    /// Writes plaintext: a part of it, once its records are with the socket. After
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) it has to be called again with bytes that begin
    /// with the same.
    ///
    /// # Errors
    ///
    /// What the socket gives.
    pub fn write(&mut self, mut io: impl Read + Write, bytes: &[u8]) -> io::Result<usize> {
        let State::Open(connection) = &mut self.state else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        flush(connection, &mut io)?;
        if self.owed == 0 {
            let record = &bytes[..bytes.len().min(RECORD)];
            self.owed = connection.writer().write(record)?;
            flush(connection, &mut io)?;
        }
        Ok(std::mem::take(&mut self.owed))
    }

    /// Says that nothing more will be written.
    ///
    /// # Errors
    ///
    /// What the socket gives.
    pub fn end(&mut self, mut io: impl Read + Write) -> io::Result<()> {
        let State::Open(connection) = &mut self.state else { return Ok(()) };
        if !std::mem::replace(&mut self.ended, true) && self.trouble.is_none() {
            connection.send_close_notify();
        }
        flush(connection, &mut io)
    }

    /// Whether plaintext, or what it can be had from, waits to be read.
    pub fn holds(&self) -> bool {
        self.plain > 0 || self.closed || !self.rest.is_empty()
    }

    /// Reads records and decrypts them; false at the end of the connection.
    fn feed(&mut self, io: &mut (impl Read + Write)) -> io::Result<bool> {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            return self.take_in(&rest, io).map(|()| true);
        }
        BUFFER.with_borrow_mut(|buffer| {
            let read = io.read(buffer)?;
            if read == 0 {
                if let State::Open(connection) = &mut self.state {
                    // It remembers the end.
                    connection.read_tls(&mut io::empty())?;
                }
                return Ok(false);
            }
            self.take_in(&buffer[..read], io).map(|()| true)
        })
    }

    /// Hands records to the connection, as far as it has room for what is in them.
    fn take_in(&mut self, mut records: &[u8], io: &mut (impl Read + Write)) -> io::Result<()> {
        while !records.is_empty() {
            match &mut self.state {
                State::Open(connection) => {
                    if connection.read_tls(&mut records)? == 0 {
                        // Nothing counts that comes after the peer's last word.
                        break;
                    }
                    let now = match connection.process_new_packets() {
                        Ok(now) => now,
                        Err(error) => return Err(self.broke(&error, io)),
                    };
                    self.plain = now.plaintext_bytes_to_read();
                    self.closed |= now.peer_has_closed();
                    if self.plain >= HELD && !records.is_empty() {
                        self.rest = records.to_vec();
                        break;
                    }
                }
                State::Listening { acceptor, read, .. } => {
                    *read += acceptor.read_tls(&mut records)?;
                    if *read > LARGEST_HELLO {
                        self.trouble = Some(Trouble::NotTls);
                        self.state = State::Broken;
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                    self.accept(io)?;
                }
                State::Broken => return Err(io::ErrorKind::NotConnected.into()),
            }
        }
        if let State::Open(connection) = &mut self.state
            && !connection.is_handshaking()
            && connection.wants_write()
        {
            // The answer to new keys; one that has no room goes with the next record.
            let _ = flush(connection, io);
        }
        Ok(())
    }

    /// Becomes the server a client asks for, once it has.
    fn accept(&mut self, io: &mut impl Write) -> io::Result<()> {
        let State::Listening { acceptor, choice, .. } = &mut self.state else { return Ok(()) };
        let accepted = match acceptor.accept() {
            Ok(None) => return Ok(()),
            Ok(Some(accepted)) => accepted,
            Err((error, mut alert)) => {
                let _ = alert.write_all(io);
                return Err(self.broke(&error, io));
            }
        };
        let hello = accepted.client_hello();
        self.name = hello.server_name().map(Into::into);
        let Some(chosen) = choice.choose(&hello) else {
            // RFC 6066 §3: unrecognized_name, and fatal.
            let _ = io.write(&[21, 3, 3, 0, 2, 2, 112]);
            self.trouble = Some(Trouble::UnknownName);
            self.state = State::Broken;
            return Err(io::ErrorKind::InvalidData.into());
        };
        self.shown = Some(chosen.certificate);
        match accepted.into_connection(chosen.config) {
            Ok(connection) => self.state = State::Open(Box::new(connection.into())),
            Err((error, mut alert)) => {
                let _ = alert.write_all(io);
                return Err(self.broke(&error, io));
            }
        }
        Ok(())
    }

    /// The peer did what it must not: it is told, and that is the end.
    fn broke(&mut self, error: &rustls::Error, io: &mut impl Write) -> io::Error {
        if let State::Open(connection) = &mut self.state {
            let _ = flush(connection, io);
        }
        let trouble = Trouble::from(error);
        let text = trouble.to_string();
        self.trouble.get_or_insert(trouble);
        self.state = State::Broken;
        io::Error::new(io::ErrorKind::InvalidData, text)
    }

    /// Why it could not go on, if it could not.
    pub const fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// The name the client asked for.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What both sides agreed on; nothing before the handshake is over.
    pub fn facts(&self) -> Option<Facts> {
        let State::Open(connection) = &self.state else { return None };
        if connection.is_handshaking() {
            return None;
        }
        let suite = connection.negotiated_cipher_suite()?;
        let peer = connection.peer_certificates().and_then(|chain| chain.first());
        Some(Facts {
            version: match connection.protocol_version()? {
                ProtocolVersion::TLSv1_2 => "TLSv1.2",
                _ => "TLSv1.3",
            },
            suite: crate::suites::name_of(suite.suite()),
            bits: crate::suites::bits_of(suite.suite()),
            alpn: connection.alpn_protocol().map(Into::into),
            name: self.name.clone(),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            peer: peer.map(|der| Certificate::new(der.as_ref().to_vec())),
            own: self.shown.as_deref().map(|der| Certificate::new(der.to_vec())),
        })
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("name", &self.name)
            .field("trouble", &self.trouble)
            .finish_non_exhaustive()
    }
}

/// What the two sides of a connection agreed on.
#[derive(Clone, Debug)]
pub struct Facts {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite, as OpenSSL calls it.
    pub suite: &'static str,
    /// How long its symmetric key is.
    pub bits: u16,
    /// The protocol that was agreed on.
    pub alpn: Option<Box<[u8]>>,
    /// The name the client asked for.
    pub name: Option<Box<str>>,
    /// The keys follow from those of an earlier connection.
    pub resumed: bool,
    /// The certificate the peer showed.
    pub peer: Option<Certificate>,
    /// The certificate a server showed.
    pub own: Option<Certificate>,
}

fn flush(connection: &mut Connection, io: &mut impl Write) -> io::Result<()> {
    while connection.wants_write() {
        if connection.write_tls(io)? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    Ok(())
}

fn is_blocked(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

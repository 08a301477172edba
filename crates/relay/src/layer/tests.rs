use std::future::poll_fn;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream as Std};
use std::thread;
use std::time::Duration;

use super::*;
use crate::pump::{Ended, Limits, Relay};

/// Turns every byte around, gives at most five at a time, and ends with a `~`.
#[derive(Debug, Default)]
struct Turned {
    held: Vec<u8>,
    greeted: bool,
    ended: bool,
    owed: Vec<u8>,
    promised: usize,
}

impl Turned {
    fn flush(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        while !self.owed.is_empty() {
            let sent = wire.write(&self.owed)?;
            self.owed.drain(..sent);
        }
        Ok(())
    }
}

impl Layer for Turned {
    fn shake_hands(&mut self, wire: &mut dyn Wire) -> io::Result<Ready> {
        let mut byte = [0];
        while !self.greeted {
            match wire.read(&mut byte) {
                Ok(1) if byte == *b"!" => self.greeted = true,
                Ok(_) => return Err(io::ErrorKind::InvalidData.into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Ready::READABLE);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Ready::NOTHING)
    }

    fn read(&mut self, wire: &mut dyn Wire, buffer: &mut [u8]) -> io::Result<usize> {
        if self.held.is_empty() {
            let mut bytes = [0; 4_096];
            let read = wire.read(&mut bytes)?;
            self.held.extend(bytes[..read].iter().map(|byte| !byte));
        }
        if self.held.first() == Some(&b'~') {
            return Ok(0);
        }
        let end = self.held.iter().position(|byte| *byte == b'~').unwrap_or(self.held.len());
        let most = end.min(5).min(buffer.len());
        buffer[..most].copy_from_slice(&self.held[..most]);
        self.held.drain(..most);
        Ok(most)
    }

    fn write(&mut self, wire: &mut dyn Wire, bytes: &[u8]) -> io::Result<usize> {
        if self.promised == 0 {
            self.promised = bytes.len();
            self.owed.extend(bytes.iter().map(|byte| !byte));
        }
        self.flush(wire)?;
        Ok(std::mem::take(&mut self.promised))
    }

    fn end(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        if !std::mem::replace(&mut self.ended, true) {
            self.owed.push(!b'~');
        }
        self.flush(wire)
    }

    fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn pair() -> (Std, Std) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let far = Std::connect(listener.local_addr().unwrap()).unwrap();
    let (near, _) = listener.accept().unwrap();
    far.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    near.set_nonblocking(true).unwrap();
    (far, near)
}

fn turned(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| !byte).collect()
}

/// How a relay ended, its bytes, and whether its client had greeted.
type Came = (Ended, u64, u64, bool);

/// A relay whose client's side has a layer; its far ends, and how it ended.
fn relay() -> (Std, Std, thread::JoinHandle<Came>) {
    let ((client, near_client), (server, near_server)) = (pair(), pair());
    let relay = thread::spawn(move || {
        crate::block_on(async {
            let client = Stream::new(near_client).unwrap();
            client.put_on(Box::new(Turned::default()));
            poll_fn(|cx| client.poll_hands(cx)).await.unwrap();
            let greeted = client.layer(|layer: &Turned| layer.greeted).unwrap();
            let mut relay = Relay::new(client, Stream::new(near_server).unwrap());
            let ended = poll_fn(|cx| relay.poll(cx, &Limits::default())).await;
            let result = (ended, relay.from_client(), relay.from_server(), greeted);
            drop(relay);
            assert_eq!(LAYERS.with_borrow(BTreeMap::len), 0, "layers go with their streams");
            result
        })
        .unwrap()
    });
    (client, server, relay)
}

#[test]
fn a_relay_sees_what_is_meant_and_each_end_in_the_words_of_the_layer() {
    let (mut client, mut server, relay) = relay();
    client.write_all(b"!").unwrap();
    client.write_all(&turned(b"a question of many bytes")).unwrap();
    let mut got = [0; 24];
    server.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"a question of many bytes");
    // The layer's end, and not the socket's.
    client.write_all(&turned(b"~")).unwrap();
    assert_eq!(server.read(&mut [0]).unwrap(), 0);
    server.write_all(b"an answer").unwrap();
    server.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert_eq!(turned(&answer), b"an answer~");
    assert_eq!(relay.join().unwrap(), (Ended::Finished, 24, 9, true));
}

#[test]
fn a_lot_of_bytes_arrive_both_ways_while_the_receivers_are_slow() {
    let (mut client, mut server, relay) = relay();
    client.write_all(b"!").unwrap();
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n >> 7) as u8 & 0x5f).collect();
    let (up, down) = (turned(&bytes), bytes.clone());
    let mut writer = client.try_clone().unwrap();
    let sends = thread::spawn(move || {
        writer.write_all(&up).unwrap();
        writer.write_all(&turned(b"~")).unwrap();
    });
    let mut other = server.try_clone().unwrap();
    let answers = thread::spawn(move || {
        other.write_all(&down).unwrap();
        other.shutdown(Shutdown::Write).unwrap();
    });
    let mut got = Vec::new();
    server.read_to_end(&mut got).unwrap();
    assert!(got == bytes);
    got.clear();
    client.read_to_end(&mut got).unwrap();
    assert_eq!(got.pop(), Some(!b'~'));
    assert!(turned(&got) == bytes);
    sends.join().unwrap();
    answers.join().unwrap();
    assert_eq!(relay.join().unwrap(), (Ended::Finished, 300_000, 300_000, true));
}

#[test]
fn a_handshake_that_fails_says_so() {
    let (mut far, near) = pair();
    far.write_all(b"?").unwrap();
    crate::block_on(async {
        let stream = Stream::new(near).unwrap();
        stream.put_on(Box::new(Turned::default()));
        let error = poll_fn(|cx| stream.poll_hands(cx)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    })
    .unwrap();
    let mut rest = Vec::new();
    far.read_to_end(&mut rest).unwrap();
}

#[test]
fn a_stream_is_no_larger_for_the_layer_it_may_have() {
    assert_eq!(size_of::<Stream>(), 12);
}

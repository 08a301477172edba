//! Clients and the server they ask, as cheap as they come: blocking sockets.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::ensure;

/// A question, and its answer: the same bytes.
const MESSAGE: [u8; 64] = [7; 64];
/// Asks for a gigabyte instead.
const DOWNLOAD: &[u8] = b"G";
const GIGABYTE: usize = 1 << 30;
/// Connections that talk at the same time.
const TALKERS: usize = 50;

/// Starts the server: it repeats what it is told, or sends a gigabyte.
pub(super) fn serve() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            // One that cannot be started closes its connection, and the client says so.
            let _ = thread::Builder::new().stack_size(64 * 1024).spawn(move || answer(socket));
        }
    });
    Ok(address)
}

fn answer(mut socket: TcpStream) {
    let _ = socket.set_nodelay(true);
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = socket.read(&mut buffer) {
        if &buffer[..length] == DOWNLOAD {
            let block = vec![1; 1 << 18];
            let mut left = GIGABYTE;
            while left > 0 {
                let Ok(sent) = socket.write(&block[..left.min(block.len())]) else { return };
                left -= sent;
            }
            return;
        }
        if socket.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

/// Connects, asks, is answered and ends, `count` times.
pub(super) fn ask(proxy: SocketAddr, count: usize) -> anyhow::Result<()> {
    let mut answer = MESSAGE;
    for _ in 0..count {
        let mut socket = TcpStream::connect(proxy)?;
        socket.write_all(&MESSAGE)?;
        socket.read_exact(&mut answer)?;
    }
    Ok(())
}

/// As many connections that were used once and are idle now.
pub(super) fn wait(proxy: SocketAddr, count: usize) -> anyhow::Result<Vec<TcpStream>> {
    let mut answer = MESSAGE;
    let mut waiting = Vec::with_capacity(count);
    for _ in 0..count {
        let mut socket = TcpStream::connect(proxy)?;
        socket.write_all(&MESSAGE)?;
        socket.read_exact(&mut answer)?;
        waiting.push(socket);
    }
    Ok(waiting)
}

/// Connections that ask again and again.
pub(super) struct Talk(Vec<TcpStream>);

impl Talk {
    pub(super) fn new(proxy: SocketAddr) -> anyhow::Result<Self> {
        let sockets = wait(proxy, TALKERS)?;
        for socket in &sockets {
            socket.set_nodelay(true)?;
        }
        Ok(Self(sockets))
    }

    /// Asks `count` times in all.
    pub(super) fn run(&mut self, count: usize) -> anyhow::Result<()> {
        let mut answer = MESSAGE;
        for _ in 0..count / TALKERS {
            for socket in &mut self.0 {
                socket.write_all(&MESSAGE)?;
            }
            for socket in &mut self.0 {
                socket.read_exact(&mut answer)?;
            }
        }
        Ok(())
    }
}

/// Fetches gigabytes, one after the other.
pub(super) fn download(proxy: SocketAddr, count: usize) -> anyhow::Result<()> {
    let mut buffer = vec![0; 1 << 18];
    for _ in 0..count {
        let mut socket = TcpStream::connect(proxy)?;
        socket.write_all(DOWNLOAD)?;
        let mut received = 0;
        while let length @ 1.. = socket.read(&mut buffer)? {
            received += length;
        }
        ensure!(received == GIGABYTE, "{received} bytes of a gigabyte arrived");
    }
    Ok(())
}

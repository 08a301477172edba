//! A mail relay that takes everything and prints it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result};

/// Serves for ever. Prints each line it hears, between quotes and escaped, behind the number of its
/// connection.
pub(crate) fn serve(address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address).with_context(|| format!("bind {address}"))?;
    println!("listening");
    for (number, stream) in listener.incoming().enumerate() {
        let stream = stream.context("accept")?;
        // A client that hangs up in the middle is not worth a word.
        thread::spawn(move || talk(&stream, number));
    }
    Ok(())
}

/// RFC 5321 §4.3: a greeting in two lines, then an answer to each command.
fn talk(mut stream: &TcpStream, number: usize) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream);
    stream.write_all(b"220-mailsink\r\n220 takes everything\r\n")?;
    let mut in_text = false;
    loop {
        let mut line = Vec::new();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        println!("{number} \"{}\"", line.escape_ascii());
        let answer: &[u8] = match line.as_slice() {
            b".\r\n" if in_text => {
                in_text = false;
                b"250 taken\r\n"
            }
            _ if in_text => continue,
            b"DATA\r\n" => {
                in_text = true;
                b"354 go on\r\n"
            }
            b"QUIT\r\n" => return stream.write_all(b"221 goodbye\r\n"),
            _ => b"250-yes\r\n250 indeed\r\n",
        };
        stream.write_all(answer)?;
    }
}

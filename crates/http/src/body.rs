//! Bodies: where they end, and chunks (RFC 9112 §6 and §7).

use crate::headers::Headers;

/// What tells the end of a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Body {
    /// There is none.
    Empty,
    /// So many bytes.
    Length(u64),
    /// A chunk of no bytes, and trailers.
    Chunked,
    /// The end of the connection. Only answers end so.
    UntilClose,
}

/// Why bytes are no body.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadBody {
    /// RFC 9112 §7.1: no size, one that is too large, or no line end where one has to be.
    #[error("not a chunk")]
    Chunk,
    /// Trailers that are no fields, are too long, or say what only a head may say.
    #[error("not a trailer")]
    Trailer,
}

/// The longest line of a chunk's size, extensions included.
const MAX_LINE: usize = 1_024;
/// The longest trailers.
const MAX_TRAILERS: usize = 8 * 1_024;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Data(u64),
    /// Everything until the end of the connection.
    Open,
    /// The line of a chunk's size.
    Size,
    /// So much of a chunk.
    Chunk(u64),
    /// The line end behind a chunk.
    AfterChunk,
    Trailers,
    Done,
}

/// Takes a body apart as its bytes come.
#[derive(Clone, Debug)]
pub struct Decoder {
    state: State,
    trailers: Headers,
}

impl Decoder {
    /// For a body that ends as `body` says.
    pub const fn new(body: Body) -> Self {
        let state = match body {
            Body::Empty | Body::Length(0) => State::Done,
            Body::Length(length) => State::Data(length),
            Body::Chunked => State::Size,
            Body::UntilClose => State::Open,
        };
        Self { state, trailers: Headers::new() }
    }

    /// Whether the whole body was there.
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Whether the end of the connection is the end of the body.
    pub const fn ends_with_connection(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// The fields behind the last chunk, once it is done.
    pub const fn trailers(&self) -> &Headers {
        &self.trailers
    }

    /// Takes bytes from the beginning of `bytes`: how many were used, and the data among them is
    /// appended to `data`. What is not used is asked for again with more behind it; once it
    /// [is done](Self::is_done), what is left belongs to the next message.
    ///
    /// # Errors
    ///
    /// When this is no body: the connection cannot be used any longer.
    pub fn decode(&mut self, bytes: &[u8], data: &mut Vec<u8>) -> Result<usize, BadBody> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            match self.state {
                State::Done => return Ok(used),
                _ if rest.is_empty() => return Ok(used),
                State::Open => {
                    data.extend_from_slice(rest);
                    return Ok(bytes.len());
                }
                State::Data(left) => {
                    let take = take(left, rest);
                    data.extend_from_slice(take);
                    used += take.len();
                    let left = left - take.len() as u64;
                    self.state = if left == 0 { State::Done } else { State::Data(left) };
                }
                State::Chunk(left) => {
                    let take = take(left, rest);
                    data.extend_from_slice(take);
                    used += take.len();
                    let left = left - take.len() as u64;
                    self.state = if left == 0 { State::AfterChunk } else { State::Chunk(left) };
                }
                State::AfterChunk => match rest {
                    [b'\r', b'\n', ..] => {
                        used += 2;
                        self.state = State::Size;
                    }
                    [b'\r'] => return Ok(used),
                    _ => return Err(BadBody::Chunk),
                },
                State::Size => {
                    let Some(line) = line(rest, MAX_LINE).map_err(|()| BadBody::Chunk)? else {
                        return Ok(used);
                    };
                    let size = size(line)?;
                    used += line.len() + 2;
                    self.state = if size == 0 { State::Trailers } else { State::Chunk(size) };
                }
                State::Trailers => {
                    let Some(line) = line(rest, MAX_TRAILERS).map_err(|()| BadBody::Trailer)?
                    else {
                        return Ok(used);
                    };
                    used += line.len() + 2;
                    if line.is_empty() {
                        self.state = State::Done;
                        continue;
                    }
                    self.trailer(line)?;
                }
            }
        }
    }

    fn trailer(&mut self, line: &[u8]) -> Result<(), BadBody> {
        let colon = line.iter().position(|byte| *byte == b':').ok_or(BadBody::Trailer)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let name = std::str::from_utf8(name).map_err(|_| BadBody::Trailer)?;
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let control = |byte: &u8| *byte < b' ' && *byte != b'\t' || *byte == 0x7f;
        // RFC 9110 §6.5.1: not what frames or routes a message.
        const NEVER: [&str; 5] =
            ["content-length", "transfer-encoding", "host", "connection", "trailer"];
        let never = NEVER.iter().any(|never| name.eq_ignore_ascii_case(never));
        let many = self.trailers.len() >= crate::MAX_HEADERS;
        if name.is_empty() || !name.chars().all(token) || value.iter().any(control) || never || many
        {
            return Err(BadBody::Trailer);
        }
        self.trailers.add(name, value);
        Ok(())
    }
}

fn take(left: u64, bytes: &[u8]) -> &[u8] {
    let left = usize::try_from(left).unwrap_or(usize::MAX);
    &bytes[..bytes.len().min(left)]
}

/// The first line, without its end; `None` while it is not whole.
fn line(bytes: &[u8], most: usize) -> Result<Option<&[u8]>, ()> {
    let Some(end) = bytes.iter().take(most).position(|byte| *byte == b'\n') else {
        return if bytes.len() >= most { Err(()) } else { Ok(None) };
    };
    // RFC 9112 §2.2: lines end with CRLF; whoever takes a bare LF here is who smuggling is for.
    let line = bytes[..end].strip_suffix(b"\r").ok_or(())?;
    if line.contains(&b'\r') { Err(()) } else { Ok(Some(line)) }
}

/// A chunk's size in front of its extensions, which are left out.
fn size(line: &[u8]) -> Result<u64, BadBody> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, extensions) = line.split_at(digits);
    let behind = extensions.trim_ascii_start();
    let good = behind.is_empty() && extensions.is_empty()
        || behind.starts_with(b";")
            && !behind.iter().any(|byte| *byte < b' ' && *byte != b'\t' || *byte == 0x7f);
    // Sixteen digits are 64 bits; leading zeros are no size either.
    if digits.is_empty() || digits.len() > 16 || !good {
        return Err(BadBody::Chunk);
    }
    let text = std::str::from_utf8(digits).map_err(|_| BadBody::Chunk)?;
    let size = u64::from_str_radix(text, 16).map_err(|_| BadBody::Chunk)?;
    // Room for whoever adds to it.
    if size > u64::MAX / 4 { Err(BadBody::Chunk) } else { Ok(size) }
}

/// Appends data as one chunk. None would be the last one, and is left out.
pub fn chunk(data: &[u8], out: &mut Vec<u8>) {
    if data.is_empty() {
        return;
    }
    out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// Appends the last chunk and trailers.
pub fn last_chunk(trailers: &Headers, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    trailers.write(out);
    out.extend_from_slice(b"\r\n");
}

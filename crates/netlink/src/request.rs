//! Writing requests: a header, a fixed part, attributes (netlink(7)).

/// linux/netlink.h: the length of `struct nlmsghdr`.
const HEADER: usize = 16;
/// linux/netlink.h
pub(crate) const NLM_F_REQUEST: u16 = 1;
pub(crate) const NLM_F_REPLACE: u16 = 0x100;
pub(crate) const NLM_F_EXCL: u16 = 0x200;
pub(crate) const NLM_F_CREATE: u16 = 0x400;
pub(crate) const NLM_F_APPEND: u16 = 0x800;
const NLA_F_NESTED: u16 = 0x8000;

/// One request to the kernel, ready to be [applied](crate::Kernel::apply).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// A request of type `kind` with its fixed part.
    pub(crate) fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend([0; 4]);
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((NLM_F_REQUEST | flags).to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(fixed);
        Self { bytes }.padded()
    }

    fn padded(mut self) -> Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    /// Adds an attribute.
    pub(crate) fn with(self, kind: u16, value: &[u8]) -> Self {
        self.with_all(kind, &[value])
    }

    /// Adds an attribute whose value is in pieces.
    pub(crate) fn with_all(mut self, kind: u16, values: &[&[u8]]) -> Self {
        let length = 4 + values.iter().map(|value| value.len()).sum::<usize>();
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        for value in values {
            self.bytes.extend(*value);
        }
        self.padded()
    }

    /// Adds an attribute, if there is a value for it.
    pub(crate) fn with_some<const N: usize>(self, kind: u16, value: Option<[u8; N]>) -> Self {
        match value {
            Some(value) => self.with(kind, &value),
            None => self,
        }
    }

    /// Adds a name, ended by a zero.
    pub(crate) fn with_name(self, kind: u16, name: &str) -> Self {
        self.with_all(kind, &[name.as_bytes(), &[0]])
    }

    /// Adds an attribute that consists of those `inner` adds.
    pub(crate) fn nested(mut self, kind: u16, inner: impl FnOnce(Self) -> Self) -> Self {
        let start = self.bytes.len();
        self.bytes.extend([0, 0]);
        self.bytes.extend((kind | NLA_F_NESTED).to_ne_bytes());
        let mut all = inner(self);
        let length = u16::try_from(all.bytes.len() - start).unwrap_or(u16::MAX);
        all.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        all
    }

    /// Adds something that begins with its own length, as next hops do: `inner` adds its attributes.
    pub(crate) fn counted(mut self, fixed: &[u8], inner: impl FnOnce(Self) -> Self) -> Self {
        let start = self.bytes.len();
        self.bytes.extend(fixed);
        let mut all = inner(self);
        let length = u16::try_from(all.bytes.len() - start).unwrap_or(u16::MAX);
        all.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        all
    }

    /// Appends the request to `out` under this sequence number.
    pub(crate) fn write(&self, sequence: u32, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend(&self.bytes);
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        out[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        out[start + 8..start + 12].copy_from_slice(&sequence.to_ne_bytes());
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// A netlink message as it was received.
pub(crate) struct Answer<'a> {
    pub(crate) kind: u16,
    pub(crate) sequence: u32,
    pub(crate) payload: &'a [u8],
}

/// The messages of a datagram.
pub(crate) fn answers(mut datagram: &[u8]) -> impl Iterator<Item = Answer<'_>> {
    std::iter::from_fn(move || {
        let length = datagram.first_chunk::<4>().map(|length| u32::from_ne_bytes(*length))?;
        let length = usize::try_from(length).ok()?;
        let message = datagram.get(..length).filter(|_| length >= HEADER)?;
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        let half = |at: usize| u16::from_ne_bytes([message[at], message[at + 1]]);
        let word = message[8..].first_chunk::<4>().copied().map_or(0, u32::from_ne_bytes);
        Some(Answer { kind: half(4), sequence: word, payload: &message[HEADER..] })
    })
}

/// The attributes behind a fixed part.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(*bytes.first_chunk::<2>()?));
        let kind = u16::from_ne_bytes(*bytes.get(2..)?.first_chunk::<2>()?);
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind & !NLA_F_NESTED, value))
    })
}

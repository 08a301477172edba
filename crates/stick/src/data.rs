//! What a table is: its keys, its size, and what is stored with each key.

use alloc::vec::Vec;

/// What keys are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyType {
    /// IPv4 addresses: 4 bytes.
    Ip,
    /// IPv6 addresses: 16 bytes.
    Ipv6,
    /// Numbers of 32 bits, kept with the low byte first: that is HAProxy's order of them.
    Integer,
    /// Text of at most so many bytes.
    String(usize),
    /// Exactly so many bytes.
    Binary(usize),
}

impl KeyType {
    /// Its name in a configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ipv6 => "ipv6",
            Self::Integer => "integer",
            Self::String(_) => "string",
            Self::Binary(_) => "binary",
        }
    }
}

/// How a value is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A number of 32 bits; with a sign for [`Data::ServerId`].
    Number,
    /// A number of 64 bits.
    Long,
    /// A [`Rate`](crate::Rate).
    Rate,
    /// Text that many entries share.
    Name,
}

/// What can be stored with a key. The order is that of `show table` and of peers: the position is
/// the number on the wire.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(missing_docs, reason = "each is what `Data::name` says")]
pub enum Data {
    ServerId,
    Gpt0,
    Gpc0,
    Gpc0Rate,
    ConnCnt,
    ConnRate,
    ConnCur,
    SessCnt,
    SessRate,
    HttpReqCnt,
    HttpReqRate,
    HttpErrCnt,
    HttpErrRate,
    BytesInCnt,
    BytesInRate,
    BytesOutCnt,
    BytesOutRate,
    Gpc1,
    Gpc1Rate,
    ServerKey,
    HttpFailCnt,
    HttpFailRate,
    Gpt,
    Gpc,
    GpcRate,
    GlitchCnt,
    GlitchRate,
}

impl Data {
    /// All, in their order.
    pub const ALL: [Self; 27] = [
        Self::ServerId,
        Self::Gpt0,
        Self::Gpc0,
        Self::Gpc0Rate,
        Self::ConnCnt,
        Self::ConnRate,
        Self::ConnCur,
        Self::SessCnt,
        Self::SessRate,
        Self::HttpReqCnt,
        Self::HttpReqRate,
        Self::HttpErrCnt,
        Self::HttpErrRate,
        Self::BytesInCnt,
        Self::BytesInRate,
        Self::BytesOutCnt,
        Self::BytesOutRate,
        Self::Gpc1,
        Self::Gpc1Rate,
        Self::ServerKey,
        Self::HttpFailCnt,
        Self::HttpFailRate,
        Self::Gpt,
        Self::Gpc,
        Self::GpcRate,
        Self::GlitchCnt,
        Self::GlitchRate,
    ];

    /// Its name in a configuration and in `show table`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ServerId => "server_id",
            Self::Gpt0 => "gpt0",
            Self::Gpc0 => "gpc0",
            Self::Gpc0Rate => "gpc0_rate",
            Self::ConnCnt => "conn_cnt",
            Self::ConnRate => "conn_rate",
            Self::ConnCur => "conn_cur",
            Self::SessCnt => "sess_cnt",
            Self::SessRate => "sess_rate",
            Self::HttpReqCnt => "http_req_cnt",
            Self::HttpReqRate => "http_req_rate",
            Self::HttpErrCnt => "http_err_cnt",
            Self::HttpErrRate => "http_err_rate",
            Self::BytesInCnt => "bytes_in_cnt",
            Self::BytesInRate => "bytes_in_rate",
            Self::BytesOutCnt => "bytes_out_cnt",
            Self::BytesOutRate => "bytes_out_rate",
            Self::Gpc1 => "gpc1",
            Self::Gpc1Rate => "gpc1_rate",
            Self::ServerKey => "server_key",
            Self::HttpFailCnt => "http_fail_cnt",
            Self::HttpFailRate => "http_fail_rate",
            Self::Gpt => "gpt",
            Self::Gpc => "gpc",
            Self::GpcRate => "gpc_rate",
            Self::GlitchCnt => "glitch_cnt",
            Self::GlitchRate => "glitch_rate",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|data| data.name() == name)
    }

    /// How it is kept.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Gpc0Rate
            | Self::ConnRate
            | Self::SessRate
            | Self::HttpReqRate
            | Self::HttpErrRate
            | Self::BytesInRate
            | Self::BytesOutRate
            | Self::Gpc1Rate
            | Self::HttpFailRate
            | Self::GpcRate
            | Self::GlitchRate => Kind::Rate,
            Self::BytesInCnt | Self::BytesOutCnt => Kind::Long,
            Self::ServerKey => Kind::Name,
            _ => Kind::Number,
        }
    }

    /// Whether there are several of it, by index.
    pub const fn is_array(self) -> bool {
        matches!(self, Self::Gpt | Self::Gpc | Self::GpcRate)
    }

    /// The array, and the index in it, that stands in for it where it is not stored itself.
    pub(crate) const fn instead(self) -> Option<(Self, usize)> {
        match self {
            Self::Gpt0 => Some((Self::Gpt, 0)),
            Self::Gpc0 => Some((Self::Gpc, 0)),
            Self::Gpc1 => Some((Self::Gpc, 1)),
            Self::Gpc0Rate => Some((Self::GpcRate, 0)),
            Self::Gpc1Rate => Some((Self::GpcRate, 1)),
            _ => None,
        }
    }
}

/// One thing that is stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stored {
    /// What.
    pub data: Data,
    /// How many: 1, or the length of an array.
    pub count: usize,
    /// Of a rate: over so many milliseconds.
    pub period: u32,
}

impl Stored {
    /// A number.
    pub const fn plain(data: Data) -> Self {
        Self { data, count: 1, period: 0 }
    }

    /// A rate over `period` milliseconds.
    pub const fn rate(data: Data, period: u32) -> Self {
        Self { data, count: 1, period }
    }
}

/// What identifies a server among peers: `srvkey`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ServerKey {
    /// Its name.
    #[default]
    Name,
    /// Its address and port.
    Address,
}

/// A table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// What its keys are.
    pub key: KeyType,
    /// Entries it holds at most.
    pub size: usize,
    /// Milliseconds an entry lives after it was last touched; `None`: until its place is needed.
    pub expire: Option<u64>,
    /// It refuses new entries when it is full, instead of dropping old ones.
    pub nopurge: bool,
    /// What identifies servers.
    pub server_key: ServerKey,
    /// What is stored, in the order of [`Data`], each once.
    pub data: Vec<Stored>,
}

impl Config {
    /// A table that only knows whether it has a key.
    pub const fn new(key: KeyType, size: usize) -> Self {
        Self {
            key,
            size,
            expire: None,
            nopurge: false,
            server_key: ServerKey::Name,
            data: Vec::new(),
        }
    }

    /// Whether entries of a table of this kind are entries of the other: only how many there may be,
    /// for how long, and what happens to a full table may differ.
    pub fn fits(&self, other: &Self) -> bool {
        self.key == other.key && self.server_key == other.server_key && self.data == other.data
    }

    /// How something is stored, if it is.
    pub fn stored(&self, data: Data) -> Option<&Stored> {
        self.data.iter().find(|stored| stored.data == data)
    }

    /// Stores one thing more, in its place; what is stored already is left.
    pub fn store(&mut self, stored: Stored) {
        if let Err(at) = self.data.binary_search_by_key(&stored.data, |known| known.data) {
            self.data.insert(at, stored);
        }
    }

    /// The key of some bytes: cut, padded or refused.
    pub fn key(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let exact = |length: usize| (bytes.len() == length).then(|| bytes.to_vec());
        match self.key {
            KeyType::Ip | KeyType::Integer => exact(4),
            KeyType::Ipv6 => exact(16),
            KeyType::String(most) => {
                // As a C string: up to the first byte that is 0.
                let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                Some(bytes[..end.min(most)].to_vec())
            }
            KeyType::Binary(length) => {
                let mut key = bytes[..bytes.len().min(length)].to_vec();
                key.resize(length, 0);
                Some(key)
            }
        }
    }
}

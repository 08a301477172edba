//! How connections with servers are made, beyond their addresses.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use rules::format::Format;

/// What a `server`, or a `source` line, says of the sockets towards a server. Most say nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outbound {
    /// `<address>:+<n>`, `:-<n>`: how far its port is from the one the client connected to, where the
    /// address has the port 0.
    pub offset: i32,
    /// `source … :<low>-<high>`: the local ports that are tried.
    pub ports: Option<RangeInclusive<u16>>,
    /// `usesrc`: an address that is not this machine's.
    pub foreign: Option<Foreign>,
    /// `interface`: SO_BINDTODEVICE.
    pub interface: Option<String>,
    /// `namespace`: where the socket is made.
    pub namespace: Option<String>,
    /// `tfo`: the first bytes go with the SYN (TCP_FASTOPEN_CONNECT).
    pub fast_open: bool,
    /// `tcp-ut`: TCP_USER_TIMEOUT.
    pub user_timeout: Option<Duration>,
    /// `cc`: TCP_CONGESTION.
    pub congestion: Option<String>,
    /// `proxy_socket_rcvbuf`: SO_RCVBUF in bytes.
    pub receive_buffer: Option<usize>,
    /// `proxy_socket_sndbuf`: SO_SNDBUF in bytes.
    pub send_buffer: Option<usize>,
    /// `tune.notsent-lowat.server`: TCP_NOTSENT_LOWAT in bytes.
    pub unsent: Option<u32>,
    /// `tcp-md5sig`: the password of RFC 2385.
    pub md5: Option<String>,
    /// `socks4`: the proxy the server is reached through.
    pub socks4: Option<SocketAddr>,
    /// `check-via-socks4`: checks go that way as well.
    pub checks_via_socks4: bool,
    /// What a PROXY header of version 2 says besides addresses.
    pub header: HeaderOptions,
    /// `ssl`, `proxy_ssl on`: TLS is spoken.
    pub tls: Option<Box<super::ClientTls>>,
}

/// What a `bind` line says of its sockets beyond what [`Bind`](super::Bind) has; clients' connections
/// inherit it. Most lines say nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Inbound {
    /// `tcp-ut`: TCP_USER_TIMEOUT.
    pub user_timeout: Option<Duration>,
    /// `mss`: TCP_MAXSEG; below zero it is that much less than what the kernel takes by itself.
    pub segment: Option<i32>,
    /// `namespace`: where the socket is made.
    pub namespace: Option<String>,
    /// `cc`: TCP_CONGESTION.
    pub congestion: Option<String>,
    /// `tcp-md5sig`: the password of RFC 2385.
    pub md5: Option<String>,
    /// `tune.notsent-lowat.client`: TCP_NOTSENT_LOWAT in bytes.
    pub unsent: Option<u32>,
    /// `accept-netscaler-cip`: the magic number a connection begins with, before a NetScaler's word
    /// of its client.
    pub netscaler: Option<u32>,
    /// `mptcp@`: MPTCP where the kernel has it (RFC 8684).
    pub multipath: bool,
    /// `ssl`: TLS is spoken.
    pub tls: Option<Box<super::ServerTls>>,
}

/// `usesrc`: the address a server sees (IP_TRANSPARENT).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Foreign {
    /// `client`: the client's address and port.
    Client,
    /// `clientip`: the client's address.
    ClientIp,
    /// An address; port 0 is any.
    Address(SocketAddr),
}

/// `proxy-v2-options` and `set-proxy-v2-tlv-fmt`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HeaderOptions {
    /// `ssl` and all that need it: PP2_TYPE_SSL.
    pub ssl: bool,
    /// `cert-cn`: PP2_SUBTYPE_SSL_CN, the common name of the client's certificate.
    pub cert_cn: bool,
    /// `cert-key`: PP2_SUBTYPE_SSL_KEY_ALG, the kind of our certificate's key.
    pub cert_key: bool,
    /// `cert-sig`: PP2_SUBTYPE_SSL_SIG_ALG, how our certificate is signed.
    pub cert_sig: bool,
    /// `ssl-cipher`: PP2_SUBTYPE_SSL_CIPHER.
    pub ssl_cipher: bool,
    /// `crc32c`: PP2_TYPE_CRC32C.
    pub crc32c: bool,
    /// `unique-id`: PP2_TYPE_UNIQUE_ID.
    pub unique_id: bool,
    /// `authority`: PP2_TYPE_AUTHORITY, as the client's own header had it.
    pub authority: bool,
    /// Others, by number.
    pub tlvs: Vec<(u8, Format)>,
}

impl HeaderOptions {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

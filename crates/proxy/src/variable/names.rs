//! The variables a session has by itself.

/// A variable, by what it means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Variable {
    /// One the configuration defines, by its position among them.
    Defined(usize),
    /// `$1` to `$9`: a group of the pattern that matched last.
    Capture(u8),
    /// A TLV of the client's PROXY header.
    ProxyTlv(ProxyTlv),
    /// `$binary_remote_addr`: 4 or 16 bytes.
    BinaryRemoteAddr,
    /// `$bytes_received`: from the client.
    BytesReceived,
    /// `$bytes_sent`: to the client.
    BytesSent,
    /// `$connection`: the session's number.
    Connection,
    /// `$hostname`.
    Hostname,
    /// `$limit_conn_status`.
    LimitConnStatus,
    /// `$msec`: seconds since 1970, three places.
    Msec,
    /// `$nginx_version`.
    NginxVersion,
    /// `$pid`: of the process that serves.
    Pid,
    /// `$protocol`: `TCP` or `UDP`.
    Protocol,
    /// `$proxy_protocol_addr`.
    ProxyProtocolAddr,
    /// `$proxy_protocol_port`.
    ProxyProtocolPort,
    /// `$proxy_protocol_server_addr`.
    ProxyProtocolServerAddr,
    /// `$proxy_protocol_server_port`.
    ProxyProtocolServerPort,
    /// `$realip_remote_addr`: who connected, whatever a PROXY header says.
    RealipRemoteAddr,
    /// `$realip_remote_port`.
    RealipRemotePort,
    /// `$remote_addr`.
    RemoteAddr,
    /// `$remote_port`.
    RemotePort,
    /// `$server_addr`: the address the client came to.
    ServerAddr,
    /// `$server_name`: the first name of the server.
    ServerName,
    /// `$server_port`.
    ServerPort,
    /// `$session_time`: seconds, three places.
    SessionTime,
    /// `$ssl_preread_alpn_protocols`: joined by commas.
    PrereadAlpn,
    /// `$ssl_preread_protocol`: the highest version offered.
    PrereadProtocol,
    /// `$ssl_preread_server_name`.
    PrereadServerName,
    /// `$status`: 200, 400, 403, 500, 502, 503.
    Status,
    /// `$time_iso8601`.
    TimeIso8601,
    /// `$time_local`.
    TimeLocal,
    /// `$upstream_addr`: of each try.
    UpstreamAddr,
    /// `$upstream_bytes_received`.
    UpstreamBytesReceived,
    /// `$upstream_bytes_sent`.
    UpstreamBytesSent,
    /// `$upstream_connect_time`.
    UpstreamConnectTime,
    /// `$upstream_first_byte_time`.
    UpstreamFirstByteTime,
    /// `$upstream_session_time`.
    UpstreamSessionTime,
    /// One of a module that takes part in no session here: TLS that ends at the proxy, databases
    /// of places. It is never found.
    Absent,
}

/// A TLV of a PROXY header of version 2, by type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProxyTlv {
    /// One of the header itself.
    Plain(u8),
    /// One inside of `ssl` (0x20).
    Ssl(u8),
    /// `ssl_verify`: the number that stands before those of `ssl`.
    SslVerify,
}

impl Variable {
    /// The variable of this name in lower case.
    pub fn named(name: &str) -> Option<Self> {
        if let [digit @ b'1'..=b'9'] = name.as_bytes() {
            return Some(Self::Capture(digit - b'0'));
        }
        if let Some(tlv) = name.strip_prefix("proxy_protocol_tlv_") {
            return ProxyTlv::named(tlv).map(Self::ProxyTlv).or(Some(Self::Absent));
        }
        Some(match name {
            "binary_remote_addr" => Self::BinaryRemoteAddr,
            "bytes_received" => Self::BytesReceived,
            "bytes_sent" => Self::BytesSent,
            "connection" => Self::Connection,
            "hostname" => Self::Hostname,
            "limit_conn_status" => Self::LimitConnStatus,
            "msec" => Self::Msec,
            "nginx_version" => Self::NginxVersion,
            "pid" => Self::Pid,
            "protocol" => Self::Protocol,
            "proxy_protocol_addr" => Self::ProxyProtocolAddr,
            "proxy_protocol_port" => Self::ProxyProtocolPort,
            "proxy_protocol_server_addr" => Self::ProxyProtocolServerAddr,
            "proxy_protocol_server_port" => Self::ProxyProtocolServerPort,
            "realip_remote_addr" => Self::RealipRemoteAddr,
            "realip_remote_port" => Self::RealipRemotePort,
            "remote_addr" => Self::RemoteAddr,
            "remote_port" => Self::RemotePort,
            "server_addr" => Self::ServerAddr,
            "server_name" => Self::ServerName,
            "server_port" => Self::ServerPort,
            "session_time" => Self::SessionTime,
            "ssl_preread_alpn_protocols" => Self::PrereadAlpn,
            "ssl_preread_protocol" => Self::PrereadProtocol,
            "ssl_preread_server_name" => Self::PrereadServerName,
            "status" => Self::Status,
            "time_iso8601" => Self::TimeIso8601,
            "time_local" => Self::TimeLocal,
            "upstream_addr" => Self::UpstreamAddr,
            "upstream_bytes_received" => Self::UpstreamBytesReceived,
            "upstream_bytes_sent" => Self::UpstreamBytesSent,
            "upstream_connect_time" => Self::UpstreamConnectTime,
            "upstream_first_byte_time" => Self::UpstreamFirstByteTime,
            "upstream_session_time" => Self::UpstreamSessionTime,
            other if ABSENT.contains(&other) => Self::Absent,
            _ => return None,
        })
    }
}

impl ProxyTlv {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "alpn" => Self::Plain(0x01),
            "authority" => Self::Plain(0x02),
            "unique_id" => Self::Plain(0x05),
            "ssl" => Self::Plain(0x20),
            "netns" => Self::Plain(0x30),
            "ssl_version" => Self::Ssl(0x21),
            "ssl_cn" => Self::Ssl(0x22),
            "ssl_cipher" => Self::Ssl(0x23),
            "ssl_sig_alg" => Self::Ssl(0x24),
            "ssl_key_alg" => Self::Ssl(0x25),
            "ssl_verify" => Self::SslVerify,
            number => {
                let digits = number.strip_prefix("0x")?;
                Self::Plain(u8::from_str_radix(digits, 16).ok()?)
            }
        })
    }
}

/// Known names without a value here.
const ABSENT: &[&str] = &[
    "geoip_area_code",
    "geoip_city",
    "geoip_city_continent_code",
    "geoip_city_country_code",
    "geoip_city_country_code3",
    "geoip_city_country_name",
    "geoip_country_code",
    "geoip_country_code3",
    "geoip_country_name",
    "geoip_dma_code",
    "geoip_latitude",
    "geoip_longitude",
    "geoip_org",
    "geoip_postal_code",
    "geoip_region",
    "geoip_region_name",
    "ssl_alpn_protocol",
    "ssl_cipher",
    "ssl_ciphers",
    "ssl_client_cert",
    "ssl_client_escaped_cert",
    "ssl_client_fingerprint",
    "ssl_client_i_dn",
    "ssl_client_raw_cert",
    "ssl_client_s_dn",
    "ssl_client_serial",
    "ssl_client_sigalg",
    "ssl_client_v_end",
    "ssl_client_v_remain",
    "ssl_client_v_start",
    "ssl_client_verify",
    "ssl_curve",
    "ssl_curves",
    "ssl_ech_outer_server_name",
    "ssl_ech_status",
    "ssl_protocol",
    "ssl_server_name",
    "ssl_session_id",
    "ssl_session_reused",
    "ssl_sigalg",
    "ssl_sigalgs",
];

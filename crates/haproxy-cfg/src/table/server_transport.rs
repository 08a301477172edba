//! `server` and `default-server`: how connections are made, and what they begin with.

use std::net::SocketAddr;
use std::time::Duration;

use conf::Form::{Flag, Words};
use conf::{Binder, Keyword, Unit, Word};
use proxy::{Foreign, Outbound, ProxyHeader};

use super::text;
use crate::address::{Address, Ports, parse, plain_ip};
use crate::context::Context;
use crate::draft::ServerDraft;
use crate::number::time;
use crate::say::Complain;

type S = Keyword<ServerDraft>;

/// What `set-proxy-v2-tlv-fmt(<id>)` begins with.
const TLV: &str = "set-proxy-v2-tlv-fmt(";

/// The parameters.
pub(crate) const TABLE: &[S] = &[
    S::new("send-proxy", Flag(|s| s.header.v1 = true))
        .doc("The server is sent a PROXY header of version 1 first."),
    S::new("no-send-proxy", Flag(|s| s.header.v1 = false)),
    S::new("send-proxy-v2", Flag(|s| s.header.v2 = true))
        .doc("The server is sent a PROXY header of version 2 first."),
    S::new("no-send-proxy-v2", Flag(|s| s.header.v2 = false)),
    S::new("send-proxy-v2-ssl", Flag(|s| {
        s.header.v2 = true;
        outbound(s).header.ssl = true;
    }))
    .doc("`send-proxy-v2` with the TLV of TLS: whether and how the client speaks it."),
    S::new("no-send-proxy-v2-ssl", Flag(|s| {
        s.header.v2 = false;
        outbound(s).header.ssl = false;
    })),
    S::new("send-proxy-v2-ssl-cn", Flag(|s| {
        s.header.v2 = true;
        let header = &mut outbound(s).header;
        (header.ssl, header.cert_cn) = (true, true);
    }))
    .doc("The same, with the common name of the client's certificate."),
    S::new("no-send-proxy-v2-ssl-cn", Flag(|s| {
        s.header.v2 = false;
        outbound(s).header.ssl = false;
    })),
    S::new("proxy-v2-options", Words("<option>,…", 0..=1, options))
        .doc("What a header of version 2 says besides: `authority`, `crc32c`, `unique-id`, and of TLS \
              `ssl`, `cert-cn`, `cert-key`, `cert-sig`, `ssl-cipher`."),
    S::new("set-proxy-v2-tlv-fmt", Words("(<id>) <format>", 0..=1, |_, w, b| {
        refuse(b, w, "'set-proxy-v2-tlv-fmt' : expects an id in brackets right behind it.");
    }))
    .doc("A TLV of a header of version 2, by its number."),
    S::new("source", Words("<addr>[:<port>[-<port>]]", 0..=1, |s, w, b| {
        let Some(word) = w.first() else {
            return refuse(b, w, "'source' expects <addr>[:<port>[-<port>]], and optionally 'usesrc' <addr>, and 'interface' <name> as argument..");
        };
        match source(&s.context.clone(), &word.text) {
            Ok((address, ports)) => {
                s.server.source = Some(address);
                if ports.is_some() || s.server.outbound.is_some() {
                    let outbound = outbound(s);
                    (outbound.ports, outbound.foreign, outbound.interface) = (ports, None, None);
                }
            }
            Err(error) => refuse(b, w, &format!("'source {}' : {error}.", word.text)),
        }
    }))
    .doc("Local address of connections to the server, and its ports; `usesrc` and `interface` may follow."),
    S::new("usesrc", Words("client|clientip|<addr>[:<port>]", 0..=1, |s, w, b| {
        if s.server.source.is_none() {
            return refuse(b, w, "'usesrc' only allowed after a 'source' statement..");
        }
        match foreign(&s.context.clone(), w) {
            Ok(foreign) => outbound(s).foreign = Some(foreign),
            Err(Wrong::Says(text)) => refuse(b, w, &text),
            Err(Wrong::Planned(keyword)) => planned(b, w, keyword),
        }
    }))
    .doc("The address the server sees (IP_TRANSPARENT)."),
    S::new("interface", Words("<name>", 0..=1, |s, w, b| {
        if s.server.source.is_none() {
            return refuse(b, w, "unknown keyword 'interface'; did you mean 'inter' maybe ?");
        }
        if w.is_empty() {
            return refuse(b, w, "'server' : missing interface name.");
        }
        outbound(s).interface = Some(text(w, 0).to_owned());
    }))
    .doc("The interface connections to the server leave by (SO_BINDTODEVICE)."),
    S::new("namespace", Words("<name>", 0..=1, |s, w, b| match text(w, 0) {
        "" => refuse(b, w, "'namespace' : expects <name> as argument."),
        "*" => planned(b, w, "namespace *".to_owned()),
        name => outbound(s).namespace = Some(name.to_owned()),
    }))
    .doc("The network namespace connections to the server are made in."),
    S::new("tfo", Flag(|s| outbound(s).fast_open = true))
        .doc("The first bytes go with the SYN where the server has allowed it (TCP_FASTOPEN_CONNECT)."),
    S::new("no-tfo", Flag(|s| outbound(s).fast_open = false)),
    S::new("tcp-ut", Words("<time>", 0..=1, |s, w, b| {
        if let Some(wait) = user_timeout(b, w) {
            outbound(s).user_timeout = Some(wait);
        }
    }))
    .doc("How long sent bytes may stay unacknowledged (TCP_USER_TIMEOUT)."),
    S::new("cc", Words("<algorithm>", 0..=1, |s, w, b| match text(w, 0) {
        "" => refuse(b, w, "'cc' : missing TCP congestion control algorithm."),
        name => outbound(s).congestion = Some(name.to_owned()),
    }))
    .doc("How connections to the server avoid congestion (TCP_CONGESTION)."),
    S::new("socks4", Words("<address>:<port>", 0..=1, socks4))
        .doc("The server is reached through a SOCKS4 proxy at this address; over IPv4 alone.")
        .spec("SOCKS 4"),
    S::planned("tcp-md5sig", "<password>"),
];

/// Which PROXY headers a line asks for; what is sent follows from all of it together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Header {
    v1: bool,
    v2: bool,
}

impl Header {
    /// The header that is sent.
    pub(crate) const fn version(self) -> Option<ProxyHeader> {
        match self {
            Self { v2: true, .. } => Some(ProxyHeader::V2),
            Self { v1: true, .. } => Some(ProxyHeader::V1),
            _ => None,
        }
    }
}

fn outbound(s: &mut ServerDraft) -> &mut Outbound {
    s.server.outbound.get_or_insert_default()
}

/// `socks4 <address>:<port>`.
fn socks4(s: &mut ServerDraft, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else {
        return refuse(b, words, "'socks4' expects <addr>:<port> as argument..");
    };
    let context = s.context.clone();
    let found = match parse(&context, &word.text) {
        Ok(Address::Inet { ports: Ports::Missing, .. }) => {
            Err(format!("missing port specification in '{}'", word.text))
        }
        Ok(Address::Inet { host, ports: Ports::Range(from, to, _), family, .. }) if from == to => {
            let ip = host.resolve(&context, family).first().copied();
            ip.map(|ip| SocketAddr::new(ip, from as u16))
                .ok_or_else(|| format!("invalid address: '{}' in '{0}'", word.text))
        }
        Ok(Address::Inet { ports: Ports::Range(..), .. }) => {
            Err(format!("port range not permitted here in '{}'", word.text))
        }
        Ok(_) => Err(format!("invalid address: '{}' in '{0}'", word.text)),
        Err(error) => Err(error),
    };
    match found {
        Ok(address) => outbound(s).socks4 = Some(address),
        Err(error) => refuse(b, words, &format!("'socks4 {}' : {error}.", word.text)),
    }
}

fn refuse(b: &mut Binder, words: &[Word], text: &str) {
    b.refuse(words.first().map_or_else(conf::Span::default, |w| w.span), text);
}

fn planned(b: &mut Binder, words: &[Word], keyword: String) {
    let span = words.first().map_or_else(conf::Span::default, |w| w.span);
    b.error(span, conf::Problem::Planned { keyword });
}

fn options(s: &mut ServerDraft, words: &[Word], b: &mut Binder) {
    for option in text(words, 0).split(',') {
        let header = &mut outbound(s).header;
        match option {
            "ssl" => header.ssl = true,
            "cert-cn" => (header.ssl, header.cert_cn) = (true, true),
            "cert-key" => (header.ssl, header.cert_key) = (true, true),
            "cert-sig" => (header.ssl, header.cert_sig) = (true, true),
            "ssl-cipher" => (header.ssl, header.ssl_cipher) = (true, true),
            "authority" => header.authority = true,
            "crc32c" => header.crc32c = true,
            "unique-id" => header.unique_id = true,
            other => {
                let text = format!("'{other}' : proxy v2 option not implemented.");
                return refuse(b, words, &text);
            }
        }
    }
}

/// Takes the `set-proxy-v2-tlv-fmt(<id>) <format>` of a line out of its words: the id is a part of
/// the keyword, which no row can say.
pub(crate) fn take_tlvs(words: &[Word], tlvs: &mut Vec<(u8, Word)>, b: &mut Binder) -> Vec<Word> {
    let mut rest = Vec::with_capacity(words.len());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(id) = word.text.strip_prefix(TLV) else {
            rest.push(word.clone());
            continue;
        };
        let id = id.strip_suffix(')').unwrap_or(id);
        let number = match id.strip_prefix("0x").or_else(|| id.strip_prefix("0X")) {
            Some(hex) => u8::from_str_radix(hex, 16).ok(),
            None => id.parse().ok(),
        };
        let (Some(number), Some(format)) = (number, words.next()) else {
            let text = format!("'{}' : expects an id from 0 to 255 and a format.", word.text);
            b.refuse(word.span, text);
            continue;
        };
        tlvs.push((number, format.clone()));
    }
    rest
}

/// A local address, and the ports that may be taken of it.
pub(crate) type Source = (std::net::SocketAddr, Option<std::ops::RangeInclusive<u16>>);

/// The local address a `source` names; port 0 is any.
pub(crate) fn source(context: &Context, text: &str) -> Result<Source, String> {
    let (port, ports) = match parse(context, text)? {
        Address::Inet { ports: Ports::Range(from, to, _), .. } if from != to => {
            (0, Some(from as u16..=to as u16))
        }
        Address::Inet { ports: Ports::Range(from, ..), .. } => (from as u16, None),
        _ => (0, None),
    };
    plain_ip(context, text).map(|ip| ((ip, port).into(), ports))
}

/// Why a word is no address to use.
pub(crate) enum Wrong {
    /// What HAProxy says.
    Says(String),
    /// It is known and not built.
    Planned(String),
}

/// What `usesrc` names.
pub(crate) fn foreign(context: &Context, words: &[Word]) -> Result<Foreign, Wrong> {
    match text(words, 0) {
        "" => Err(Wrong::Says(
            "'usesrc' expects <addr>[:<port>], 'client', 'clientip', or 'hdr_ip(name,#)' as argument.."
                .to_owned(),
        )),
        "client" => Ok(Foreign::Client),
        "clientip" => Ok(Foreign::ClientIp),
        header if header.starts_with("hdr_ip(") => Err(Wrong::Planned(format!("usesrc {header}"))),
        address => match source(context, address) {
            Ok((address, None)) => Ok(Foreign::Address(address)),
            Ok((_, Some(_))) => Err(Wrong::Says(format!(
                "'usesrc' : port range not permitted here in '{address}'."
            ))),
            Err(error) => Err(Wrong::Says(format!("'usesrc {address}' : {error}."))),
        },
    }
}

/// The time of `tcp-ut`.
pub(crate) fn user_timeout(b: &mut Binder, words: &[Word]) -> Option<Duration> {
    let Some(word) = words.first() else {
        refuse(b, words, "'tcp-ut' : missing TCP User Timeout value.");
        return None;
    };
    match time(&word.text, Unit::Millis) {
        Ok((time, None)) => Some(time),
        _ => {
            refuse(b, words, "'tcp-ut' : expects a positive delay in milliseconds.");
            None
        }
    }
}

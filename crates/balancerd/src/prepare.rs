//! What happens to a session before it looks for a server: the PROXY header of both originals, and
//! nginx's phases.
//!
//! ```text
//!   PROXY header ─► set_real_ip_from ─► set ─► limit_conn ─► allow, deny ─► ssl_preread ─► content
//!    400 broken                                  503            403          400 too long    return, a backend,
//!    200 too late                                                            200 too late    an address
//! ```

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use proxy::variable::{Piece, Template, Variable};
use proxy::{
    BackendIndex, BindAddress, Cause, Content, NginxServer, Peers, Phase, Preread, Severity,
    Termination,
};
use relay::timer::{self, Millis, Timer};
use relay::{Ready, Target};
use wire::client_hello::{self, ClientHello};
use wire::proxy_protocol::{Error, Header, MAX_V2};

use crate::backend::Connecting;
use crate::facts::{Hello, millis};
use crate::handshake::{self, Failed};
use crate::limits::Counted;
use crate::session::Session;

/// nginx has no letters for it; nobody reads them there.
const OVER: Termination = Termination::new(Cause::Proxy, Phase::Request);

/// Listeners a session may be handed to.
const MAX_PASSES: usize = 8;

/// What reading ahead came to.
pub(crate) enum Ahead {
    /// Bytes came.
    Bytes,
    /// The client has ended.
    Ended,
    /// It broke off.
    Broke,
    /// It took too long.
    Late,
}

impl Connecting {
    /// Takes the session to where it may look for a server. An error ends it.
    pub(crate) async fn prepare(&mut self) -> Result<(), Termination> {
        self.at_accept()?;
        if self.has_header {
            if self.session.shared.is_nginx() {
                self.nginx_header().await?;
            } else {
                self.haproxy_header().await?;
            }
        }
        if self.front.is_some() {
            Box::pin(self.secure_client()).await?;
        }
        if !self.session.shared.is_nginx() {
            self.netscaler().await?;
            return self.rules().await;
        }
        // A session may be handed from listener to listener, and not for ever.
        for _ in 0..MAX_PASSES {
            if !self.phases().await? {
                return Ok(());
            }
            if self.has_header {
                self.nginx_header().await?;
            }
        }
        self.session
            .error_line(Severity::Error, None, |f| f.write_str("pass goes round in circles"));
        Err(self.session.refuse(500))
    }

    /// nginx's phases; true if another listener has the session now.
    async fn phases(&mut self) -> Result<bool, Termination> {
        let Some(nginx) = self.session.config().nginx.as_deref() else { return Ok(false) };
        if let Some(extra) = &mut self.session.extra {
            extra.local = extra.local.or_else(|| self.client.local_addr().ok());
        }
        self.session.admit(nginx)?;
        if let Some(preread) = nginx.preread {
            self.preread(preread).await?;
        }
        let nginx = match nginx.by_name {
            Some(variable) => self.session.by_name(variable),
            None => Some(nginx),
        };
        let Some(nginx) = nginx else { return Ok(false) };
        match &nginx.content {
            Content::Pass(to) => {
                let to = self.session.text(to);
                self.hand_over(&String::from_utf8_lossy(&to))?;
                Ok(true)
            }
            Content::Proxy if self.session.backend().is_some() => Ok(false),
            Content::Proxy => {
                self.session
                    .error_line(Severity::Error, None, |f| f.write_str("no handler for server"));
                Err(self.session.refuse(500))
            }
            Content::Return(text) => {
                let text = self.session.text(text);
                self.say(&text).await;
                Err(self.session.refuse(200))
            }
            Content::Http(server) => {
                self.answer(server).await;
                Err(self.session.refuse(200))
            }
            Content::Dynamic { to, upstreams, other } => {
                let to = self.session.text(to);
                let to = String::from_utf8_lossy(&to).into_owned();
                self.session.direct(&to, upstreams, *other).await.map(|()| false)
            }
        }
    }

    /// `pass`: the frontend that listens on an address has the session from here on.
    fn hand_over(&mut self, to: &str) -> Result<(), Termination> {
        let shared = self.session.shared;
        let wanted = listener(to);
        let found = wanted.and_then(|wanted| {
            let all = shared.config.frontends.iter().enumerate();
            let binds = all.flat_map(|(at, one)| one.binds.iter().map(move |bind| (at, bind)));
            let tcp: Vec<_> = binds.filter(|(_, bind)| !bind.udp).collect();
            let exact = tcp.iter().find(|(_, bind)| bind.address == wanted);
            let any = || tcp.iter().find(|(_, bind)| holds(&bind.address, &wanted));
            exact.or_else(any).map(|(at, bind)| (*at, bind.proxy_protocol))
        });
        let Some((at, header)) = found else {
            self.session.error_line(Severity::Error, None, |f| {
                write!(f, "port not found for \"{to}\" while passing connection")
            });
            return Err(self.session.refuse(500));
        };
        self.session.switch(at);
        self.has_header = header;
        Ok(())
    }

    /// Sends the client a text.
    async fn say(&mut self, text: &[u8]) {
        let mut rest = text;
        while !rest.is_empty() {
            if self.client.writable().await.is_err() {
                return;
            }
            match self.client.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
        self.session.report(0, text.len() as u64);
    }

    /// Waits until the client can be read, and appends at most `most` bytes to what it sent.
    pub(crate) async fn ahead(&self, bytes: &mut Vec<u8>, most: usize, until: Millis) -> Ahead {
        let mut buffer = vec![0; most.min(16 * 1024)];
        loop {
            let mut timer = Timer::new();
            let mut ready = std::pin::pin!(self.client.ready(Ready::READABLE));
            let ready = std::future::poll_fn(|cx| {
                if let std::task::Poll::Ready(ready) = ready.as_mut().poll(cx) {
                    return std::task::Poll::Ready(Some(ready));
                }
                if timer::now() >= until {
                    return std::task::Poll::Ready(None);
                }
                timer.arm(until, cx);
                std::task::Poll::Pending
            })
            .await;
            match ready {
                None => return Ahead::Late,
                Some(Err(_)) => return Ahead::Broke,
                Some(Ok(_)) => {}
            }
            match self.client.try_read(&mut buffer) {
                Ok(0) => return Ahead::Ended,
                Ok(read) => {
                    bytes.extend_from_slice(&buffer[..read]);
                    return Ahead::Bytes;
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return Ahead::Broke,
            }
        }
    }

    /// Reads a PROXY header; what follows it stays with the session.
    async fn header(&mut self, until: Millis) -> Result<(), NoHeader> {
        // What was read ahead for another listener.
        let mut bytes = match &mut self.session.extra {
            Some(extra) => std::mem::take(&mut extra.first),
            None => Vec::new(),
        };
        loop {
            match Header::parse(&bytes) {
                // nginx does not look at what it does not use.
                Ok(header) if !self.session.shared.is_nginx() && !header.is_sound(&bytes) => {
                    return Err(NoHeader::Broken(bytes));
                }
                Ok(header) => {
                    let (addresses, tlvs) = (header.addresses, header.tlv_bytes().into());
                    let rest = bytes[header.length..].to_vec();
                    let extra = self.session.extra.get_or_insert_default();
                    extra.header = Some((addresses, tlvs));
                    extra.first = rest;
                    return Ok(());
                }
                Err(Error::Broken) => return Err(NoHeader::Broken(bytes)),
                Err(Error::Incomplete) => {}
            }
            match self.ahead(&mut bytes, MAX_V2, until).await {
                Ahead::Bytes => {}
                Ahead::Ended if bytes.is_empty() => return Err(NoHeader::Empty),
                Ahead::Ended => return Err(NoHeader::Cut(bytes)),
                Ahead::Broke => return Err(NoHeader::Broke),
                Ahead::Late => return Err(NoHeader::Late),
            }
        }
    }

    async fn nginx_header(&mut self) -> Result<(), Termination> {
        let nginx = self.session.config().nginx.as_deref();
        let patience = nginx.map_or(Duration::from_secs(30), |nginx| nginx.header_timeout);
        let until = timer::now() + millis(patience);
        match self.header(until).await {
            Ok(()) => {}
            Err(NoHeader::Late) => {
                self.session.error_line(Severity::Info, None, |f| {
                    f.write_str(
                        "client timed out (110: Connection timed out) while reading PROXY protocol",
                    )
                });
                return Err(self.session.refuse(200));
            }
            Err(NoHeader::Broke) => return Err(self.session.refuse(400)),
            Err(NoHeader::Empty) => return Err(self.broken_header(&[])),
            Err(NoHeader::Broken(bytes) | NoHeader::Cut(bytes)) => {
                return Err(self.broken_header(&bytes));
            }
        }
        let session_peer = self.session.peer;
        let trusted = nginx.is_some_and(|n| n.trusted.iter().any(|t| t.holds(session_peer)));
        let Some(extra) = &mut self.session.extra else { return Ok(()) };
        if let (true, Some((Some(addresses), _))) = (trusted, &extra.header) {
            extra.connected = self.session.peer;
            self.session.peer = Some(addresses.source);
        }
        Ok(())
    }

    fn broken_header(&mut self, bytes: &[u8]) -> Termination {
        // One line of it, as nginx shows it.
        let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or(&[]);
        let line = String::from_utf8_lossy(line).into_owned();
        self.session.error_line(Severity::Error, None, |f| {
            write!(f, "broken header: \"{line}\" while reading PROXY protocol")
        });
        // nginx leaves it unread, so its close is a reset.
        let _ = socket2::SockRef::from(&self.client).set_linger(Some(Duration::ZERO));
        self.session.refuse(400)
    }

    async fn haproxy_header(&mut self) -> Result<(), Termination> {
        let until = self.session.client_deadline().unwrap_or(Millis::MAX / 2);
        let said = match self.header(until).await {
            Ok(()) => {
                let Some(extra) = &mut self.session.extra else { return Ok(()) };
                if let Some((Some(addresses), _)) = &extra.header {
                    extra.connected = self.session.peer;
                    extra.local = Some(addresses.destination);
                    self.session.peer = Some(addresses.source);
                }
                return Ok(());
            }
            Err(NoHeader::Empty) => handshake::PROXY_EMPTY,
            Err(NoHeader::Cut(_)) => handshake::PROXY_TRUNCATED,
            Err(NoHeader::Broke) => handshake::PROXY_ABORT,
            Err(NoHeader::Late) => handshake::PROXY_TIMEOUT,
            Err(NoHeader::Broken(bytes)) => why_broken(&bytes),
        };
        Err(self.no_session(said))
    }

    /// Reads the client's hello and leaves it for the server.
    async fn preread(&mut self, preread: Preread) -> Result<(), Termination> {
        let until = timer::now() + millis(preread.timeout);
        let mut bytes = match &mut self.session.extra {
            Some(extra) => std::mem::take(&mut extra.first),
            None => Vec::new(),
        };
        let (status, ended) = loop {
            let hello = match ClientHello::parse(&bytes) {
                Ok(hello) => Hello::of(&hello),
                Err(client_hello::Error::Other) => break (200, false),
                Err(client_hello::Error::Incomplete) => {
                    if bytes.len() >= preread.size {
                        self.session.error_line(Severity::Error, None, |f| {
                            f.write_str("preread buffer full while prereading client data")
                        });
                        self.session.began();
                        break (400, true);
                    }
                    let room = preread.size - bytes.len();
                    match self.ahead(&mut bytes, room, until).await {
                        Ahead::Bytes => continue,
                        Ahead::Late | Ahead::Ended => {
                            if !bytes.is_empty() {
                                self.session.began();
                            }
                            break (200, true);
                        }
                        Ahead::Broke => break (400, true),
                    }
                }
            };
            if let Some(extra) = &mut self.session.extra {
                extra.hello = Some(hello);
            }
            break (200, false);
        };
        let count = bytes.len() as u64;
        if let Some(extra) = &mut self.session.extra {
            extra.first = bytes;
        }
        if ended {
            self.session.report(count, 0);
            return Err(self.session.refuse(status));
        }
        Ok(())
    }
}

/// Why there is no PROXY header.
enum NoHeader {
    Empty,
    Cut(Vec<u8>),
    Broken(Vec<u8>),
    Broke,
    Late,
}

/// HAProxy's words for bytes that are no header.
fn why_broken(bytes: &[u8]) -> Failed {
    if bytes.starts_with(b"\r\n\r\n\0") {
        return handshake::PROXY_BAD;
    }
    let Some(rest) = bytes.strip_prefix(b"PROXY ") else {
        return handshake::PROXY_NO_HEADER;
    };
    let known = [&b"TCP4"[..], b"TCP6", b"UNKNOWN"].iter().any(|name| rest.starts_with(name));
    match known {
        true => handshake::PROXY_BAD,
        false => handshake::PROXY_PROTOCOL,
    }
}

impl Hello {
    fn of(hello: &ClientHello<'_>) -> Self {
        let mut alpn = Vec::new();
        for protocol in hello.alpn() {
            if !alpn.is_empty() {
                alpn.push(b',');
            }
            alpn.extend_from_slice(protocol);
        }
        // supported_versions, RFC 8446 §4.2.1, or the version of the message.
        let offered = hello.extension(43).and_then(|list| list.split_first()).map(|(_, list)| list);
        let offered = offered.unwrap_or_default().chunks_exact(2);
        let offered = offered.filter(|version| version[0] == 3).map(|version| version[1]);
        let (major, minor) = hello.version();
        // A newer one is not said there.
        let own = if major == 3 && minor <= 3 { Some(minor) } else { None };
        let protocol = match offered.chain(own).max() {
            Some(0) => "SSLv3",
            Some(1) => "TLSv1",
            Some(2) => "TLSv1.1",
            Some(3) => "TLSv1.2",
            Some(4) => "TLSv1.3",
            _ => "",
        };
        let name = hello.server_name().unwrap_or_default();
        Self { server_name: name.into(), alpn: alpn.into(), protocol }
    }
}

/// Whether some peers include this one.
pub(crate) trait Holds {
    /// Whether a client, without an address one of a UNIX socket, is meant.
    fn holds(&self, client: Option<SocketAddr>) -> bool;
}

impl Holds for Peers {
    fn holds(&self, client: Option<SocketAddr>) -> bool {
        match (self, client) {
            (Self::All, _) | (Self::Unix, None) => true,
            (Self::Network(network), Some(client)) => network.contains(client.ip()),
            _ => false,
        }
    }
}

impl Session {
    /// The server of the name the client asks for has the session from here on; its phases.
    fn by_name(&mut self, variable: usize) -> Option<&'static NginxServer> {
        let prereads = self.extra.as_deref().is_some_and(|extra| extra.hello.is_some());
        if prereads {
            let template = Template { pieces: vec![Piece::Variable(Variable::Defined(variable))] };
            let at = self.text(&template);
            let at = std::str::from_utf8(&at).ok().and_then(|at| at.parse().ok());
            self.switch(at.unwrap_or(self.frontend as usize));
        } else {
            self.switch(self.frontend as usize);
        }
        self.config().nginx.as_deref()
    }

    /// Bytes a second the client and its server are read at; 0 is no limit. nginx takes what is no
    /// size for none.
    pub(crate) fn rates(&mut self, backend: &'static proxy::Backend) -> [u64; 2] {
        let [up, down] = &backend.rate_texts;
        let mut rate = |text: &Option<Template>, fixed: u64| {
            let Some(template) = text else { return fixed };
            let text = self.text(template);
            let text = String::from_utf8_lossy(&text).into_owned();
            size(&text).unwrap_or_else(|| {
                self.error_line(Severity::Error, Some(""), |f| {
                    write!(f, "invalid size \"{text}\" while proxying connection")
                });
                0
            })
        };
        [rate(up, backend.upload_rate), rate(down, backend.download_rate)]
    }

    /// The local address of connections to servers, if there is to be a certain one.
    pub(crate) fn local_address(&mut self, backend: &'static proxy::Backend) -> Option<SocketAddr> {
        let Some(template) = &backend.source_text else { return backend.source };
        let text = self.text(template);
        if text.is_empty() {
            return None;
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        let ip = || text.trim_matches(['[', ']']).parse().ok();
        let address = text.parse().ok().or_else(|| Some(SocketAddr::new(ip()?, 0)));
        if address.is_none() {
            self.error_line(Severity::Error, Some(""), |f| {
                write!(f, "invalid local address \"{text}\" while connecting to upstream")
            });
        }
        address
    }

    /// Notes the status a session ends with.
    pub(crate) fn refuse(&mut self, status: u16) -> Termination {
        if let Some(extra) = &mut self.extra {
            extra.status = status;
        }
        OVER
    }

    /// A hello has begun, and is all there will be.
    fn began(&mut self) {
        if let Some(extra) = &mut self.extra {
            extra.hello = Some(Hello::default());
        }
    }

    /// `set`, `limit_conn`, `allow` and `deny`.
    pub(crate) fn admit(&mut self, nginx: &NginxServer) -> Result<(), Termination> {
        for (index, value) in &nginx.sets {
            let value = self.text(value);
            if let Some(extra) = &mut self.extra {
                extra.values.assign(*index, value);
            }
        }
        self.limit(nginx)?;
        let peer = self.peer;
        let rule = nginx.access.iter().find(|(_, peers)| peers.holds(peer));
        if let Some((false, _)) = rule {
            self.error_line(Severity::Error, None, |f| {
                f.write_str("access forbidden by rule while initializing session")
            });
            return Err(self.refuse(403));
        }
        Ok(())
    }

    fn limit(&mut self, nginx: &NginxServer) -> Result<(), Termination> {
        for limit in &nginx.limits {
            let Some(zone) = self.shared.config.process.limit_zones.get(limit.zone) else {
                continue;
            };
            let key = self.text(&zone.key);
            if key.is_empty() {
                continue;
            }
            if key.len() > 255 {
                self.error_line(Severity::Error, None, |f| {
                    let key = String::from_utf8_lossy(&key);
                    write!(
                        f,
                        "the value of the \"{}\" key is more than 255 bytes: \"{key}\"",
                        zone.name
                    )
                });
                continue;
            }
            let counted = Counted::enter(self.shared, limit.zone, &key, limit.most);
            if let Some(zone) = self.shared.limits.get(limit.zone) {
                zone.count(counted.is_some(), nginx.limit_dry_run);
            }
            let Some(extra) = &mut self.extra else { continue };
            if let Some(counted) = counted {
                extra.counted.push(counted);
                extra.limit_status = Some("PASSED");
                continue;
            }
            let dry = nginx.limit_dry_run;
            extra.limit_status = Some(if dry { "REJECTED_DRY_RUN" } else { "REJECTED" });
            let level = nginx.limit_level.unwrap_or(Severity::Error);
            self.error_line(level, None, |f| {
                let dry = if dry { ", dry run," } else { "" };
                write!(
                    f,
                    "limiting connections{dry} by zone \"{}\" while initializing session",
                    zone.name
                )
            });
            if dry {
                return Ok(());
            }
            if let Some(extra) = &mut self.extra {
                extra.counted.clear();
            }
            return Err(self.refuse(503));
        }
        Ok(())
    }

    /// `proxy_pass` with variables: an upstream, or an address.
    pub(crate) async fn direct(
        &mut self,
        to: &str,
        upstreams: &[(String, BackendIndex)],
        other: BackendIndex,
    ) -> Result<(), Termination> {
        if let Some((_, index)) = upstreams.iter().find(|(name, _)| to.eq_ignore_ascii_case(name)) {
            self.set_backend(*index);
            return Ok(());
        }
        self.set_backend(other);
        let found = match address(to) {
            Err(why) => Err(format!("{why} in upstream \"{to}\"")),
            Ok(Where::Target(target)) => Ok(target),
            Ok(Where::Name(name, port)) => self.resolve(&name, port, other).await,
        };
        match found {
            Ok(target) => {
                if let Some(extra) = &mut self.extra {
                    extra.target = Some(target);
                }
                Ok(())
            }
            Err(why) => {
                self.error_line(Severity::Error, Some(""), |f| f.write_str(&why));
                Err(self.refuse(500))
            }
        }
    }

    async fn resolve(&self, name: &str, port: u16, of: BackendIndex) -> Result<Target, String> {
        let BackendIndex(index) = of;
        let Some(resolver) = &self.shared.config.backends[index].resolver else {
            return Err(format!("no resolver defined to resolve {name}"));
        };
        let failed = |why| format!("{name} could not be resolved {why}");
        let found = self.shared.known.addresses(resolver, name).await.map_err(failed)?;
        // A different one each time.
        let at = fastrand::usize(..found.all.len().max(1));
        let ip = found.all.get(at).ok_or_else(|| format!("{name} could not be resolved"))?;
        Ok(Target::Inet(SocketAddr::new(*ip, port)))
    }
}

/// nginx's size: digits, and `k` or `m`.
fn size(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 1 << 10),
        b'm' | b'M' => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    let sound = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|_| sound)?.checked_mul(unit)
}

/// Where `pass` goes: `unix:path`, `address:port`, or a port of any address.
fn listener(text: &str) -> Option<BindAddress> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Some(BindAddress::Unix(path.into()));
    }
    let port = || text.trim_start_matches("*:").parse().ok();
    let address = text.parse().ok();
    address
        .or_else(|| Some(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port()?)))
        .map(BindAddress::Inet)
}

/// Whether who listens on `bound` gets what goes to `wanted`.
fn holds(bound: &BindAddress, wanted: &BindAddress) -> bool {
    match (bound, wanted) {
        (BindAddress::Inet(bound), BindAddress::Inet(wanted)) => {
            bound.port() == wanted.port()
                && bound.ip().is_unspecified()
                && bound.is_ipv4() == wanted.is_ipv4()
        }
        _ => false,
    }
}

enum Where {
    Target(Target),
    Name(String, u16),
}

/// Reads `host:port` or `unix:path`; the error is nginx's.
fn address(text: &str) -> Result<Where, &'static str> {
    if let Some(path) = text.strip_prefix("unix:") {
        return match path {
            "" => Err("no path in the unix domain socket"),
            path => Ok(Where::Target(Target::Unix(path.into()))),
        };
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return match address.port() {
            0 => Err("invalid port"),
            _ => Ok(Where::Target(Target::Inet(address))),
        };
    }
    if text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return Err("no port");
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(if text.is_empty() { "no host" } else { "no port" });
    };
    match port.parse() {
        Ok(port @ 1..) if !host.is_empty() => Ok(Where::Name(host.to_owned(), port)),
        Ok(1u16..) => Err("no host"),
        _ => Err("invalid port"),
    }
}

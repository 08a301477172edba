//! Sockets towards servers, and the header they begin with, where a file says more of them than
//! where they go.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::OnceLock;

use linux::namespace::Network;
use proxy::{Foreign, HeaderOptions, Outbound, ProxyHeader, Running};
use relay::{Dial, Stream, Target};
use socket2::{Socket, Type};
use wire::proxy_protocol::{self, Addresses, tlv};

use crate::backend::Connecting;

/// The namespaces a configuration names, opened while their directory can be seen.
static NETWORKS: OnceLock<BTreeMap<String, Network>> = OnceLock::new();

/// Opens the namespaces that servers are reached in.
///
/// # Errors
///
/// The name of one that is not there, and why.
pub(crate) fn open_networks(config: &Running) -> Result<(), (String, io::Error)> {
    let lines = config.backends.iter().flat_map(|backend| &backend.servers);
    let names = lines.filter_map(|server| server.outbound.as_ref()?.namespace.as_ref());
    let mut networks = BTreeMap::new();
    for name in names {
        if !networks.contains_key(name) {
            let network = Network::open(name).map_err(|error| (name.clone(), error))?;
            networks.insert(name.clone(), network);
        }
    }
    // A configuration that comes later finds those of the first.
    let _ = NETWORKS.set(networks);
    Ok(())
}

/// What a server's line and its backend's `source` say, as far as they say anything.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ways {
    /// Of the server's line.
    server: Option<&'static Outbound>,
    /// Of the `source` that counts: the line's own, or its backend's.
    source: Option<&'static Outbound>,
}

impl Ways {
    /// Of a server, and of its backend where the line has no `source` of its own.
    pub(crate) fn of(server: &'static proxy::Server, backend: &'static proxy::Backend) -> Self {
        let own = server.outbound.as_deref();
        let inherited = backend.outbound.as_deref();
        Self { server: own, source: if server.source.is_some() { own } else { inherited } }
    }

    /// Of a backend alone: an address that is no server of it.
    pub(crate) fn of_backend(backend: &'static proxy::Backend) -> Self {
        Self { server: None, source: backend.outbound.as_deref() }
    }

    /// How far the server's port is from the client's.
    pub(crate) fn offset(self) -> i32 {
        self.server.map_or(0, |line| line.offset)
    }

    /// The SOCKS4 proxy the server is behind.
    pub(crate) fn socks4(self) -> Option<SocketAddr> {
        self.server.and_then(|line| line.socks4)
    }

    const fn are_plain(self) -> bool {
        self.server.is_none() && self.source.is_none()
    }

    /// How TLS is spoken with it, if it is.
    pub(crate) fn tls(self) -> Option<&'static proxy::ClientTls> {
        let own = self.server.and_then(|line| line.tls.as_deref());
        own.or_else(|| self.source.and_then(|source| source.tls.as_deref()))
    }

    /// What a header of version 2 says besides addresses.
    pub(crate) fn header(self) -> Option<&'static HeaderOptions> {
        self.server.map(|line| &line.header).filter(|header| !header.is_empty())
    }

    /// Gives a socket the buffers the file wants.
    pub(crate) fn buffers(self, socket: &Socket) -> io::Result<()> {
        let Some(source) = self.source else { return Ok(()) };
        // The kernel takes no more than the system allows, and says nothing of it.
        let most = i32::MAX as usize;
        if let Some(bytes) = source.receive_buffer {
            socket.set_recv_buffer_size(bytes.min(most))?;
        }
        // Of streams only: a datagram is sent, or lost.
        if let (Some(bytes), Ok(Type::STREAM)) = (source.unsent, socket.r#type()) {
            socket.set_tcp_notsent_lowat(bytes)?;
        }
        match source.send_buffer {
            Some(bytes) => socket.set_send_buffer_size(bytes.min(most)),
            None => Ok(()),
        }
    }

    /// Starts to connect, for a client, with what its rules say of packets to the server.
    pub(crate) fn start(
        self,
        mut dial: Dial,
        client: Option<SocketAddr>,
        marks: Marks,
    ) -> io::Result<Stream> {
        if let Some(proxy) = self.socks4() {
            dial.to = Target::Inet(proxy);
        }
        if self.are_plain() && marks == Marks::default() || matches!(dial.to, Target::Unix(_)) {
            return dial.start();
        }
        let source = self.source.map_or_else(Parts::default, Parts::of);
        if let Some(foreign) = source.foreign {
            let wanted = match foreign {
                Foreign::Client => client,
                Foreign::ClientIp => client.map(|client| SocketAddr::new(client.ip(), 0)),
                Foreign::Address(address) => Some(*address),
            };
            let v4 = matches!(dial.to, Target::Inet(to) if to.is_ipv4());
            // A family that does not fit is left alone, as an address nobody knows.
            dial.source = wanted
                .map(|wanted| SocketAddr::new(wanted.ip().to_canonical(), wanted.port()))
                .filter(|wanted| wanted.is_ipv4() == v4)
                .or(dial.source);
        }
        let network = self.server.and_then(|line| line.namespace.as_ref());
        let network = network.and_then(|name| NETWORKS.get()?.get(name));
        let bound = dial.source;
        let mut ports = None;
        if let (Some(range), Some(from)) = (source.ports, bound)
            && source.foreign.is_none()
        {
            ports = Some((from, range.clone()));
            dial.source = None;
        }
        dial.start_with(
            |domain, kind, protocol| match network {
                Some(network) => network.within(|| Socket::new_raw(domain, kind, protocol))?,
                None => Socket::new_raw(domain, kind, protocol),
            },
            |socket| {
                if let Some(line) = self.server {
                    prepare(socket, line)?;
                }
                self.buffers(socket)?;
                marks.put(socket);
                if let Some(name) = source.interface {
                    socket.bind_device(Some(name.as_bytes()))?;
                }
                if source.foreign.is_some() {
                    transparent(socket, bound)?;
                }
                if let (Some(from), None) = (bound, &ports)
                    && from.port() == 0
                {
                    // Which port is decided once the server is known: more connections fit.
                    linux::tcp::bind_without_port(socket)?;
                }
                match &ports {
                    Some((from, range)) => bind_within(socket, *from, range.clone()),
                    None => Ok(()),
                }
            },
        )
    }
}

/// `set-bc-mark` and `set-bc-tos`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Marks {
    pub(crate) mark: Option<u32>,
    pub(crate) tos: Option<u8>,
}

impl Marks {
    /// Without the right to, packets go as they are: HAProxy says nothing either.
    fn put(self, socket: &Socket) {
        if let Some(mark) = self.mark {
            let _ = socket.set_mark(mark);
        }
        if let Some(tos) = self.tos {
            let is_v6 = socket.domain().is_ok_and(|domain| domain == socket2::Domain::IPV6);
            let _ = match is_v6 {
                true => socket.set_tclass_v6(tos.into()),
                false => socket.set_tos_v4(tos.into()),
            };
        }
    }
}

/// The parts of `source`.
#[derive(Default)]
struct Parts {
    ports: Option<&'static std::ops::RangeInclusive<u16>>,
    foreign: Option<&'static Foreign>,
    interface: Option<&'static str>,
}

impl Parts {
    fn of(outbound: &'static Outbound) -> Self {
        Self {
            ports: outbound.ports.as_ref(),
            foreign: outbound.foreign.as_ref(),
            interface: outbound.interface.as_deref(),
        }
    }
}

fn prepare(socket: &Socket, line: &Outbound) -> io::Result<()> {
    if let Some(wait) = line.user_timeout {
        socket.set_tcp_user_timeout(Some(wait))?;
    }
    if let Some(name) = &line.congestion {
        socket.set_tcp_congestion(name.as_bytes())?;
    }
    if line.fast_open {
        linux::tcp::fast_open_connect(socket)?;
    }
    Ok(())
}

fn transparent(socket: &Socket, bound: Option<SocketAddr>) -> io::Result<()> {
    match bound {
        Some(SocketAddr::V6(_)) => socket.set_ip_transparent_v6(true),
        _ => socket.set_ip_transparent_v4(true),
    }
}

/// Binds to a port of a range that is free, begun anywhere in it.
fn bind_within(
    socket: &Socket,
    from: SocketAddr,
    range: std::ops::RangeInclusive<u16>,
) -> io::Result<()> {
    socket.set_reuse_address(true)?;
    let begin = fastrand::u16(range.clone());
    let mut last = io::ErrorKind::AddrNotAvailable.into();
    for port in (begin..=*range.end()).chain(*range.start()..begin) {
        match socket.bind(&SocketAddr::new(from.ip(), port).into()) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

impl Connecting {
    /// The header that tells a server who its client is.
    pub(crate) fn header_for(
        &mut self,
        version: ProxyHeader,
        options: Option<&'static HeaderOptions>,
    ) -> Vec<u8> {
        let extra = self.session.extra.as_deref();
        let local = extra.and_then(|extra| extra.local).or_else(|| self.client.local_addr().ok());
        let addresses = self.session.peer.zip(local);
        let addresses = addresses.map(|(source, destination)| Addresses { source, destination });
        match (version, options) {
            (ProxyHeader::V1, _) => proxy_protocol::encode_v1(addresses),
            (ProxyHeader::V2, None) => proxy_protocol::encode_v2(addresses, &[]),
            (ProxyHeader::V2, Some(options)) => self.sealed_header(addresses, options),
        }
    }

    /// A header with TLVs, in HAProxy's order.
    fn sealed_header(
        &mut self,
        addresses: Option<Addresses>,
        options: &'static HeaderOptions,
    ) -> Vec<u8> {
        let mut list: Vec<(u8, Vec<u8>)> = Vec::new();
        for (kind, format) in &options.tlvs {
            list.push((*kind, self.session.written(Some(&self.client), format)));
        }
        if options.crc32c {
            list.push((tlv::CRC32C, vec![0; 4]));
        }
        if options.authority
            && let Some(authority) = self.session.header_tlv(tlv::AUTHORITY)
        {
            list.push((tlv::AUTHORITY, authority.to_vec()));
        }
        if options.unique_id {
            self.session.identify(Some(&self.client));
            let id = self.session.extra.as_ref().and_then(|extra| extra.unique_id.as_deref());
            list.push((tlv::UNIQUE_ID, id.unwrap_or_default().to_vec()));
        }
        if options.ssl {
            let extra = self.session.extra.as_deref();
            list.push((tlv::SSL, crate::transport::proxy_tlv(extra, options)));
        }
        let list: Vec<(u8, &[u8])> = list.iter().map(|(kind, value)| (*kind, &value[..])).collect();
        let mut header = proxy_protocol::encode_v2(addresses, &list);
        proxy_protocol::seal(&mut header);
        header
    }
}

#[cfg(test)]
mod tests;

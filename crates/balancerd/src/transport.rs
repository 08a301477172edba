//! TLS on both sides of a session.
//!
//! ```text
//!   accept ─► tcp-request connection ─► PROXY header ─► handshake ─► tcp-request session ─► …
//!   … connected ─► PROXY header ─► handshake ─► relay
//! ```
//!
//! After a handshake everything else sees plain bytes: the stream has a layer, and nobody asks.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use proxy::{
    Cause, ClientTls, Config, HeaderOptions, KeyPair, Phase, Running, ServerTls, Severity,
    Termination, TlsCertificate, TlsManner, TlsName, TlsSpoken, TlsTrust, TlsVerify,
};
use relay::timer::Millis;
use relay::{Layer, Ready, Stream, Target, Wire};
use rules::Value;
use tls::{
    Ask, Facts, Front, FrontSettings, NoSuite, OriginSettings, Overlooked, Shown, Spoken, Trouble,
};

use crate::backend::{Attempt, Connecting, Waited};
use crate::handshake;
use crate::session::Session;

/// What a configuration needs to speak TLS, made once for it.
#[derive(Debug, Default)]
pub(crate) struct Transport {
    /// By backend and server; a server that is none of them is [`usize::MAX`].
    origins: HashMap<(usize, usize), tls::Origin>,
    /// By frontend and line.
    fronts: BTreeMap<(usize, usize), Front>,
}

impl Transport {
    /// What `config` needs. Parts that are as in `before` are taken from there, with the sessions
    /// that may be resumed.
    pub(crate) fn new(config: &Running, before: Option<(&Running, &Self)>) -> Self {
        let mut made = Self::default();
        for (at, backend) in config.backends.iter().enumerate() {
            let old = before.and_then(|(old, known)| {
                let place = old.backends.iter().position(|one| Arc::ptr_eq(one, backend))?;
                Some((place, known))
            });
            let mut add = |server: usize, tls: &ClientTls| {
                let kept = old.and_then(|(place, known)| known.origins.get(&(place, server)));
                // What is wrong with it was said before this configuration was served.
                if let Some(origin) = kept.cloned().or_else(|| origin(tls).ok()) {
                    made.origins.insert((at, server), origin);
                }
            };
            if let Some(tls) = backend.outbound.as_ref().and_then(|out| out.tls.as_deref()) {
                add(usize::MAX, tls);
            }
            for (server, line) in backend.servers.iter().enumerate() {
                if let Some(tls) = line.outbound.as_ref().and_then(|out| out.tls.as_deref()) {
                    add(server, tls);
                }
            }
        }
        for (at, frontend) in config.frontends.iter().enumerate() {
            let old = before.and_then(|(old, known)| {
                let place = old.frontends.iter().position(|one| Arc::ptr_eq(one, frontend))?;
                Some((place, known))
            });
            for (line, bind) in frontend.binds.iter().enumerate() {
                let Some(tls) = bind.inbound.as_ref().and_then(|inb| inb.tls.as_deref()) else {
                    continue;
                };
                let kept = old.and_then(|(place, known)| known.fronts.get(&(place, line)));
                if let Some(front) = kept.cloned().or_else(|| front(tls).ok()) {
                    made.fronts.insert((at, line), front);
                }
            }
        }
        made
    }

    /// How clients of a `bind` line are spoken with, if over TLS.
    pub(crate) fn front(&self, place: (usize, usize)) -> Option<&Front> {
        self.fronts.get(&place)
    }

    fn origin(&self, backend: usize, server: usize) -> Option<&tls::Origin> {
        let own = self.origins.get(&(backend, server));
        own.or_else(|| self.origins.get(&(backend, usize::MAX)))
    }
}

/// What stands in the way of speaking TLS as `config` says: lines in HAProxy's manner.
pub(crate) fn flaws(config: &Config) -> Vec<String> {
    let mut flaws = Vec::new();
    for backend in &config.backends {
        for server in &backend.servers {
            if let Some(tls) = server.outbound.as_ref().and_then(|out| out.tls.as_deref())
                && let Err(why) = origin(tls)
            {
                let path = tls.certificate.as_ref().map(|pair| &pair.chain.path);
                let said = flaw(&why, &tls.spoken, path);
                let (name, server, at) = (&backend.name, &server.name, &server.origin);
                flaws.push(format!("[{at}] : 'server {name}/{server}' : {said}."));
            }
        }
        if let Some(tls) = backend.outbound.as_ref().and_then(|out| out.tls.as_deref())
            && let Err(why) = origin(tls)
        {
            let path = tls.certificate.as_ref().map(|pair| &pair.chain.path);
            flaws.push(flaw(&why, &tls.spoken, path));
        }
    }
    for frontend in &config.frontends {
        for bind in &frontend.binds {
            let Some(tls) = bind.inbound.as_ref().and_then(|inb| inb.tls.as_deref()) else {
                continue;
            };
            if let Err((at, why)) = front(tls) {
                let path = tls.certificates.get(at).map(|one| &one.pair.chain.path);
                let said = flaw(&why, &tls.manner.spoken, path);
                let (name, address, at) = (&frontend.name, &bind.address, &bind.origin);
                flaws.push(format!("Proxy '{name}': {said} for bind '{address}' at [{at}]."));
            }
        }
    }
    flaws
}

/// What nginx says while it reads a configuration with such flaws.
pub(crate) fn nginx_flaws(config: &Config) -> Vec<String> {
    let all = config.backends.iter().filter_map(|one| one.outbound.as_ref()?.tls.as_deref());
    let mut flaws: Vec<String> = Vec::new();
    for tls in all {
        let Err(why) = origin(tls) else { continue };
        let said = nginx_flaw(&why, tls);
        if !flaws.contains(&said) {
            flaws.push(said);
        }
    }
    flaws
}

fn nginx_flaw(why: &tls::Problem, tls: &ClientTls) -> String {
    let shown = |text: &Option<String>| text.clone().unwrap_or_default();
    let path = |pem: Option<&proxy::Pem>| pem.map(|pem| pem.path.display().to_string());
    let pair = tls.certificate.as_ref();
    let chain = path(pair.map(|pair| &pair.chain)).unwrap_or_default();
    let key = path(pair.and_then(|pair| pair.key.as_ref())).unwrap_or_default();
    let trusted = path(tls.trust.as_ref().map(|trust| &trust.roots)).unwrap_or_default();
    match why {
        tls::Problem::Suites(NoSuite::Ciphers) => format!(
            "SSL_CTX_set_cipher_list(\"{}\") failed (SSL: error:0A0000B9:SSL routines::no cipher match)",
            shown(&tls.spoken.ciphers)
        ),
        tls::Problem::Suites(NoSuite::Suites) => {
            let value = shown(&tls.spoken.suites);
            format!(
                "SSL_CONF_cmd(\"Ciphersuites\", \"{value}\") failed (SSL: error:0A0000B9:SSL \
                 routines::no cipher match error:0A000180:SSL routines::bad \
                 value:cmd=Ciphersuites, value={value})"
            )
        }
        tls::Problem::Suites(NoSuite::Curves) => {
            let value = shown(&tls.spoken.curves);
            format!(
                "SSL_CONF_cmd(\"Groups\", \"{value}\") failed (SSL: error:0A000180:SSL \
                 routines::bad value:cmd=Groups, value={value})"
            )
        }
        tls::Problem::Mismatch => format!(
            "SSL_CTX_use_PrivateKey(\"{key}\") failed (SSL: error:05800074:x509 certificate \
             routines::key values mismatch)"
        ),
        tls::Problem::NoKey | tls::Problem::Key(_) | tls::Problem::Encrypted => {
            format!("cannot load certificate key \"{key}\": {why}")
        }
        tls::Problem::Certificate(_) => format!("cannot load certificate \"{chain}\": {why}"),
        tls::Problem::Roots(_) | tls::Problem::NoCertificate if !trusted.is_empty() => {
            format!("SSL_CTX_load_verify_locations(\"{trusted}\") failed ({why})")
        }
        tls::Problem::NoCertificate => format!("cannot load certificate \"{chain}\": {why}"),
        why => format!("TLS towards servers cannot be spoken as it is said: {why}"),
    }
}

fn flaw(why: &tls::Problem, spoken: &TlsSpoken, path: Option<&PathBuf>) -> String {
    let shown = |text: &Option<String>| text.clone().unwrap_or_default();
    match (why, path) {
        (tls::Problem::Suites(NoSuite::Ciphers), _) => {
            format!("unable to set SSL cipher list to '{}'", shown(&spoken.ciphers))
        }
        (tls::Problem::Suites(NoSuite::Suites), _) => {
            format!("unable to set TLS 1.3 cipher suites to '{}'", shown(&spoken.suites))
        }
        (tls::Problem::Suites(NoSuite::Curves), _) => {
            format!("unable to set SSL curves list to '{}'", shown(&spoken.curves))
        }
        (tls::Problem::Mismatch, Some(path)) => format!(
            "inconsistencies between private key and certificate loaded '{}'",
            path.display()
        ),
        (why, Some(path)) => {
            format!("unable to load certificate from file '{}': {why}", path.display())
        }
        (why, None) => why.to_string(),
    }
}

fn spoken(spoken: &TlsSpoken) -> Spoken {
    let TlsSpoken { least, most, ciphers, suites, curves } = spoken.clone();
    Spoken { least, most, ciphers, suites, curves }
}

fn trust(trust: &TlsTrust) -> tls::Trust<'_> {
    tls::Trust {
        roots: &trust.roots.text,
        revoked: trust.revoked.as_ref().map(|pem| &*pem.text),
        depth: trust.depth,
    }
}

fn pair(pair: &KeyPair) -> (&[u8], Option<&[u8]>) {
    (&pair.chain.text, pair.key.as_ref().map(|pem| &*pem.text))
}

fn alpn(names: &[String]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.clone().into_bytes()).collect()
}

fn origin(tls: &ClientTls) -> Result<tls::Origin, tls::Problem> {
    tls::Origin::new(&OriginSettings {
        spoken: spoken(&tls.spoken),
        trust: tls.trust.as_ref().map(trust),
        host: tls.host.as_deref(),
        // nginx looks at the name when hands are shaken: a session that is resumed is looked at too.
        named: tls.sends_name && !tls.checks_name,
        alpn: alpn(&tls.alpn),
        certificate: tls.certificate.as_ref().map(pair),
        reuse: tls.reuse,
    })
}

fn manner(manner: &TlsManner) -> FrontSettings<'_> {
    let ask = manner.trust.as_ref().filter(|_| manner.verify != TlsVerify::None);
    FrontSettings {
        spoken: spoken(&manner.spoken),
        alpn: alpn(&manner.alpn),
        ask: ask.map(|asked| Ask {
            trust: trust(asked),
            required: manner.verify == TlsVerify::Required,
            overlooked: Overlooked {
                all: manner.overlooked.is_none(),
                codes: manner.overlooked.clone().unwrap_or_default(),
            },
        }),
        tickets: manner.tickets,
        remembered: manner.remembered,
    }
}

fn front(tls: &ServerTls) -> Result<Front, (usize, tls::Problem)> {
    let shown = tls.certificates.iter().map(|one| {
        let TlsCertificate { pair: files, names, manner: own } = one;
        let (chain, key) = pair(files);
        Shown { chain, key, names, own: own.as_ref().map(manner) }
    });
    let shown: Vec<_> = shown.collect();
    Front::new(&manner(&tls.manner), &shown, tls.strict)
}

/// TLS between a stream and its socket.
#[derive(Debug)]
pub(crate) struct Secured(tls::Session);

impl Layer for Secured {
    fn shake_hands(&mut self, wire: &mut dyn Wire) -> io::Result<Ready> {
        self.0.shake_hands(wire).map(|waits| match waits {
            tls::Waits::Done => Ready::NOTHING,
            tls::Waits::Read => Ready::READABLE,
            tls::Waits::Write => Ready::WRITABLE,
        })
    }

    fn read(&mut self, wire: &mut dyn Wire, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(wire, buffer)
    }

    fn write(&mut self, wire: &mut dyn Wire, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(wire, bytes)
    }

    fn end(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        self.0.end(wire)
    }

    fn holds(&self) -> bool {
        self.0.holds()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What a stream's two sides agreed on.
pub(crate) fn facts(stream: &Stream) -> Option<Facts> {
    stream.layer(|secured: &Secured| secured.0.facts())?
}

/// A name without its port, as nginx cuts it off.
fn portless(mut name: String) -> String {
    let after = if name.starts_with('[') { name.find(']').unwrap_or(0) } else { 0 };
    if let Some(colon) = name[after..].find(':') {
        name.truncate(after + colon);
    }
    name
}

/// Whether the certificate a server has shown is for this name of a host.
fn is_for(stream: &Stream, host: &str) -> bool {
    let peer = facts(stream).and_then(|facts| facts.peer);
    !host.is_empty() && peer.is_some_and(|peer| peer.is_for_name(host))
}

fn trouble(stream: &Stream) -> Option<Trouble> {
    stream.layer(|secured: &Secured| secured.0.trouble().cloned())?
}

/// Waits until both sides have shaken hands.
async fn hands(stream: &Stream) -> io::Result<()> {
    poll_fn(|cx| stream.poll_hands(cx)).await
}

impl Connecting {
    /// TLS with the client, if its line says so. An error ends the session.
    pub(crate) async fn secure_client(&mut self) -> Result<(), Termination> {
        let Some(front) = self.front.take() else { return Ok(()) };
        let first = self.session.extra.as_mut().map(|extra| std::mem::take(&mut extra.first));
        let mut session = front.accept();
        session.begin_with(first.unwrap_or_default());
        self.client.put_on(Box::new(Secured(session)));
        let until = self.session.client_deadline().unwrap_or(Millis::MAX / 2);
        let shaken = within(until, hands(&self.client)).await;
        let said = match shaken {
            Some(Ok(())) => {
                let facts = facts(&self.client);
                let code = facts.as_ref().and_then(|facts| {
                    Some(front.overlooked(facts.own.as_ref()?, facts.peer.as_ref()?))
                });
                let extra = self.session.extra.get_or_insert_default();
                extra.tls = facts.map(|facts| Box::new((facts, code.unwrap_or(0))));
                return Ok(());
            }
            None => handshake::TLS_TIMEOUT,
            Some(Err(error)) => match (error.kind(), trouble(&self.client)) {
                (_, Some(Trouble::Closed)) => handshake::TLS_EMPTY,
                (io::ErrorKind::InvalidData, _) => handshake::TLS_FAILED,
                _ => handshake::TLS_ABORT,
            },
        };
        self.session.embryonic(said);
        Err(Termination::new(Cause::Proxy, Phase::Request))
    }

    /// Begins TLS with a server that has just been connected, and says by which name; `None` if
    /// what that needs cannot be had.
    fn begin_tls(
        &mut self,
        stream: &Stream,
        to: &Target,
        tls: &'static ClientTls,
        server: usize,
    ) -> Option<String> {
        let name = match &tls.name {
            None => None,
            Some(TlsName::Fixed(name)) => Some(name.clone()),
            Some(TlsName::Expr(expr)) => String::from_utf8(self.hash_key(expr)).ok(),
            Some(TlsName::Template(template)) => {
                String::from_utf8(self.session.text(template)).ok()
            }
        };
        let name = match &tls.name {
            Some(TlsName::Template(_)) => name.map(portless),
            _ => name,
        };
        let asked = name.clone().unwrap_or_default();
        let name = name.filter(|name| !name.is_empty() && tls.sends_name);
        // An address is never sent as a name.
        let name = name.filter(|name| name.parse::<IpAddr>().is_err() && !name.starts_with('['));
        let shared = self.session.shared;
        let backend = self.session.backend().unwrap_or(usize::MAX);
        let origin = shared.transport.origin(backend, server)?;
        let ip = match to {
            Target::Inet(address) => address.ip(),
            Target::Unix(_) => Ipv4Addr::UNSPECIFIED.into(),
        };
        let Ok(session) = origin.open(name.as_deref(), ip) else {
            if shared.is_nginx() {
                let upstream = crate::backend::upstream(to);
                self.session.error_line(Severity::Error, Some(&upstream), |f| {
                    write!(f, "SSL_set_tlsext_host_name(\"{asked}\") failed")?;
                    f.write_str(" while SSL handshaking to upstream")
                });
            }
            return None;
        };
        stream.put_on(Box::new(Secured(session)));
        Some(asked)
    }

    /// The handshake of TLS with a server.
    pub(crate) async fn shake(
        &mut self,
        stream: &Stream,
        to: &Target,
        tls: &'static proxy::ClientTls,
        server: usize,
        until: Option<Millis>,
    ) -> Result<(), Attempt> {
        // nginx's patience begins anew.
        let until = match self.session.shared.is_nginx() {
            true => self.session.backend().and_then(|at| {
                let limit = self.session.shared.config.backends[at].connect_timeout?;
                Some(relay::timer::now() + crate::facts::millis(limit))
            }),
            false => until,
        };
        let Some(origin) = self.begin_tls(stream, to, tls, server) else {
            return Err(Attempt::Over(Termination::new(Cause::Internal, Phase::Connect)));
        };
        match self.wait(hands(stream), until, false).await {
            Waited::Done(Ok(())) if tls.checks_name && !is_for(stream, &origin) => {
                self.session.error_line(
                    Severity::Error,
                    Some(&crate::backend::upstream(to)),
                    |f| {
                        write!(f, "upstream SSL certificate does not match \"{origin}\"")?;
                        f.write_str(" while SSL handshaking to upstream")
                    },
                );
                Err(Attempt::Failed { timed_out: false })
            }
            Waited::Done(Ok(())) => {
                self.session.note_server_tls(stream);
                Ok(())
            }
            Waited::Done(Err(error)) => {
                self.distrust(stream, to, &origin, &error);
                Err(Attempt::Failed { timed_out: false })
            }
            waited => Err(self.not_in_time(&waited, to, "SSL handshaking")),
        }
    }

    /// nginx's line for a handshake that failed.
    fn distrust(&self, stream: &Stream, to: &Target, name: &str, error: &io::Error) {
        if !self.session.shared.is_nginx() {
            return;
        }
        let upstream = crate::backend::upstream(to);
        let trouble = trouble(stream);
        let severity = match trouble {
            Some(Trouble::Certificate(_) | Trouble::Closed) | None => Severity::Error,
            _ => Severity::Crit,
        };
        self.session.error_line(severity, Some(&upstream), |f| {
            match &trouble {
                Some(Trouble::Certificate(why)) if *why == tls::Distrust::NAME => {
                    write!(f, "upstream SSL certificate does not match \"{name}\"")?;
                }
                Some(Trouble::Certificate(why)) => {
                    // OpenSSL goes on after it has found no issuer, and nginx says what it found last.
                    let (code, text) = match *why == tls::Distrust::UNKNOWN_ISSUER {
                        true => (21, "unable to verify the first certificate"),
                        false => (why.code, why.text),
                    };
                    write!(f, "upstream SSL certificate verify error: ({code}:{text})")?;
                }
                Some(Trouble::Closed) => f.write_str("peer closed connection in SSL handshake")?,
                Some(why) => write!(f, "SSL_do_handshake() failed (SSL: {why})")?,
                None => {
                    let number = error.raw_os_error().unwrap_or(0);
                    let why = crate::bind::reason(error);
                    write!(f, "SSL_do_handshake() failed ({number}: {why})")?;
                }
            }
            f.write_str(" while SSL handshaking to upstream")
        });
    }
}

impl Session {
    /// Notes what was agreed on with its server, for those who may ask.
    pub(crate) fn note_server_tls(&mut self, stream: &Stream) {
        if let Some(extra) = &mut self.extra {
            extra.server_tls = facts(stream).map(Box::new);
        }
    }
}

/// Waits for something until a moment; `None` is the moment.
async fn within<T>(until: Millis, what: impl Future<Output = T>) -> Option<T> {
    let mut what = std::pin::pin!(what);
    let mut timer = relay::timer::Timer::new();
    poll_fn(|cx| {
        if let std::task::Poll::Ready(done) = what.as_mut().poll(cx) {
            return std::task::Poll::Ready(Some(done));
        }
        if relay::timer::now() >= until {
            return std::task::Poll::Ready(None);
        }
        timer.arm(until, cx);
        std::task::Poll::Pending
    })
    .await
}

/// What rules and log lines may know of TLS.
pub(crate) fn said(extra: &crate::facts::Extra, what: rules::scope::Tls) -> Option<Value<'_>> {
    use rules::scope::Tls as Asked;
    let text = |text: &'static str| Value::Str(text.as_bytes().into());
    let client = extra.tls.as_deref();
    let server = || extra.server_tls.as_deref();
    Some(match what {
        Asked::Server => Value::Bool(server().is_some()),
        Asked::ServerVersion => text(server()?.version),
        Asked::ServerCipher => text(server()?.suite),
        Asked::ServerAlpn => Value::Str(server()?.alpn.as_deref()?.into()),
        Asked::ServerIsResumed => Value::Bool(server().is_some_and(|facts| facts.resumed)),
        Asked::HasName => Value::Bool(client.is_some_and(|(facts, _)| facts.name.is_some())),
        Asked::IsResumed => Value::Bool(client.is_some_and(|(facts, _)| facts.resumed)),
        Asked::HasCertificate => Value::Bool(client.is_some_and(|(facts, _)| facts.peer.is_some())),
        Asked::Name => Value::Str(client?.0.name.as_deref()?.as_bytes().into()),
        Asked::Version => text(client?.0.version),
        Asked::Cipher => text(client?.0.suite),
        Asked::KeySize => Value::Int(client?.0.bits.into()),
        Asked::Alpn => Value::Str(client?.0.alpn.as_deref()?.into()),
        Asked::Verified => Value::Int(client?.1.into()),
    })
}

/// The TLV of TLS in a PROXY header of version 2 (PP2_TYPE_SSL).
pub(crate) fn proxy_tlv(extra: Option<&crate::facts::Extra>, wanted: &HeaderOptions) -> Vec<u8> {
    const SPOKEN: u8 = 1;
    const SHOWN: u8 = 2;
    const SHOWN_IN_SESSION: u8 = 4;
    let Some((facts, code)) = extra.and_then(|extra| extra.tls.as_deref()) else {
        // The client does not speak TLS, and so nothing was verified.
        return vec![0; 5];
    };
    let mut flags = SPOKEN;
    if facts.peer.is_some() {
        flags |= SHOWN_IN_SESSION | if facts.resumed { 0 } else { SHOWN };
    }
    let mut tlv = vec![flags];
    tlv.extend(code.to_be_bytes());
    let own = facts.own.as_ref();
    let name = || facts.peer.as_ref()?.common_name();
    let parts = [
        (0x21, Some(facts.version.to_owned())),
        (0x22, name().filter(|_| wanted.cert_cn)),
        (0x25, own.and_then(|own| own.key_name()).filter(|_| wanted.cert_key)),
        (
            0x24,
            own.and_then(|own| own.signature_algorithm().map(str::to_owned))
                .filter(|_| wanted.cert_sig),
        ),
        (0x23, wanted.ssl_cipher.then(|| facts.suite.to_owned())),
    ];
    for (kind, text) in parts {
        let Some(text) = text else { continue };
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        tlv.push(kind);
        tlv.extend(length.to_be_bytes());
        tlv.extend(&text.as_bytes()[..usize::from(length)]);
    }
    tlv
}

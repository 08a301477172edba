//! Both sides, with nothing between them but memory.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::*;
use crate::failure::{Distrust, Trouble};
use crate::judge::Overlooked;
use crate::server::{Ask, Front, FrontSettings, Shown};
use crate::session::Waits;

/// One direction: bytes on their way, how many are read and taken at a time, and whether its
/// sender is gone.
#[derive(Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    portion: usize,
    room: usize,
    closed: bool,
}

struct End<'p> {
    from: &'p mut Pipe,
    to: &'p mut Pipe,
}

impl Read for End<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.from.bytes.is_empty() {
            let blocked = io::ErrorKind::WouldBlock.into();
            return if self.from.closed { Ok(0) } else { Err(blocked) };
        }
        let most = buffer.len().min(self.from.portion).min(self.from.bytes.len());
        for (place, byte) in buffer.iter_mut().zip(self.from.bytes.drain(..most)) {
            *place = byte;
        }
        Ok(most)
    }
}

impl Write for End<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let most = bytes.len().min(self.to.room.saturating_sub(self.to.bytes.len()));
        if most == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.to.bytes.extend(&bytes[..most]);
        Ok(most)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A client and a server, and what is between them.
struct Two {
    client: Session,
    server: Session,
    up: Pipe,
    down: Pipe,
}

impl Two {
    fn new(client: Session, server: Session, portion: usize, room: usize) -> Self {
        let pipe = || Pipe { portion, room, ..Pipe::default() };
        Self { client, server, up: pipe(), down: pipe() }
    }

    fn client(&mut self) -> (&mut Session, End<'_>) {
        (&mut self.client, End { from: &mut self.down, to: &mut self.up })
    }

    fn server(&mut self) -> (&mut Session, End<'_>) {
        (&mut self.server, End { from: &mut self.up, to: &mut self.down })
    }

    /// Until both are done, or one fails: its error.
    fn shake(&mut self) -> Result<(), io::Error> {
        for _ in 0..100_000 {
            let (session, end) = self.client();
            let one = session.shake_hands(end)?;
            let (session, end) = self.server();
            let other = session.shake_hands(end)?;
            if (one, other) == (Waits::Done, Waits::Done) {
                return Ok(());
            }
            if one == Waits::Done {
                // Tickets need room.
                let (session, end) = self.client();
                let read = session.read(end, &mut [0; 8]).map_err(|error| error.kind());
                assert_eq!(read, Err(io::ErrorKind::WouldBlock));
            }
        }
        panic!("the handshake goes on for ever");
    }
}

/// A root, and a certificate of it with its key, for a name.
fn issued(name: &str) -> (String, String) {
    let root = root();
    let pair = leaf(&root, name);
    (root.pem(), pair)
}

fn root() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    // No two of a name.
    let name = format!("root {:?}", &key.public_key_raw()[1..9]);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, key).unwrap()
}

fn leaf(root: &CertifiedIssuer<'static, KeyPair>, name: &str) -> String {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, root).unwrap();
    format!("{}{}", certificate.pem(), key.serialize_pem())
}

fn front(pairs: &[&str], settings: &FrontSettings<'_>, strict: bool) -> Front {
    let shown: Vec<_> = pairs
        .iter()
        .map(|pair| Shown { chain: pair.as_bytes(), key: None, names: &[], own: None })
        .collect();
    Front::new(settings, &shown, strict).unwrap()
}

fn usual() -> FrontSettings<'static> {
    FrontSettings { tickets: true, remembered: 16, ..FrontSettings::default() }
}

fn origin(settings: &OriginSettings<'_>, name: Option<&str>) -> Session {
    Origin::new(settings).unwrap().open(name, [127, 0, 0, 1].into()).unwrap()
}

/// Sends bytes from the client to the server, and what the server read.
fn carry(two: &mut Two, bytes: &[u8]) -> Vec<u8> {
    let (mut sent, mut got, mut ended) = (0, Vec::new(), false);
    let mut buffer = vec![0; 5_000];
    loop {
        let (session, mut end) = two.client();
        if sent < bytes.len() {
            match session.write(&mut end, &bytes[sent..]) {
                Ok(more) => sent += more,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        } else if !ended {
            ended = session.end(&mut end).is_ok();
        }
        let (session, mut end) = two.server();
        match session.read(&mut end, &mut buffer) {
            Ok(0) => return got,
            Ok(read) => got.extend_from_slice(&buffer[..read]),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}"),
        }
    }
}

#[test]
fn bytes_arrive_as_they_were_however_small_the_portions_and_the_room_are() {
    let (_, pair) = issued("a.example");
    let bytes: Vec<u8> =
        (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for (portion, room, length) in
        [(1, 3, 3_000), (7, 1_000, 50_000), (100_000, 20_000, 200_000), (16_384, 1 << 20, 200_000)]
    {
        let front = front(&[&pair], &usual(), false);
        let client = origin(&OriginSettings::default(), Some("a.example"));
        let mut two = Two::new(client, front.accept(), portion, room);
        two.shake().unwrap();
        assert_eq!(two.server.facts().unwrap().name.as_deref(), Some("a.example"));
        assert_eq!(two.server.facts().unwrap().version, "TLSv1.3");
        assert!(carry(&mut two, &bytes[..length]) == bytes[..length], "{portion} {room}");
    }
}

#[test]
fn a_connection_that_is_cut_is_not_one_that_ended() {
    let (_, pair) = issued("a.example");
    let front = front(&[&pair], &usual(), false);
    let mut two =
        Two::new(origin(&OriginSettings::default(), None), front.accept(), 4_096, 1 << 20);
    two.shake().unwrap();
    let (session, mut end) = two.client();
    assert_eq!(session.write(&mut end, b"half of it").unwrap(), 10);
    two.up.closed = true;
    let (session, mut end) = two.server();
    let mut buffer = [0; 64];
    assert_eq!(session.read(&mut end, &mut buffer).unwrap(), 10);
    let cut = session.read(&mut end, &mut buffer).unwrap_err();
    assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_record_that_was_changed_ends_the_connection() {
    let (_, pair) = issued("a.example");
    let front = front(&[&pair], &usual(), false);
    let mut two =
        Two::new(origin(&OriginSettings::default(), None), front.accept(), 4_096, 1 << 20);
    two.shake().unwrap();
    let (session, mut end) = two.client();
    session.write(&mut end, b"true").unwrap();
    *two.up.bytes.back_mut().unwrap() ^= 1;
    let (session, mut end) = two.server();
    let error = session.read(&mut end, &mut [0; 64]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(session.read(&mut end, &mut [0; 64]).is_err(), "and stays so");
}

#[test]
fn servers_are_judged_by_their_chain_and_by_one_name() {
    let (root, pair) = issued("a.example");
    let (other_root, _) = issued("a.example");
    let front = front(&[&pair], &usual(), false);
    let try_one = |roots: &str, host: Option<&str>, named: bool, name: Option<&str>| {
        let settings = OriginSettings {
            trust: Some(Trust { roots: roots.as_bytes(), revoked: None, depth: None }),
            host,
            named,
            ..OriginSettings::default()
        };
        let mut two = Two::new(origin(&settings, name), front.accept(), 4_096, 1 << 20);
        let result = two.shake();
        result.map_err(|_| two.client.trouble().cloned())
    };
    assert_eq!(try_one(&root, None, true, Some("a.example")), Ok(()));
    assert_eq!(try_one(&root, None, true, None), Ok(()), "any name");
    assert_eq!(try_one(&root, Some("a.example"), true, Some("else.example")), Ok(()));
    let name = Some(Trouble::Certificate(Distrust::NAME));
    assert_eq!(try_one(&root, None, true, Some("b.example")), Err(name.clone()));
    assert_eq!(try_one(&root, Some("b.example"), true, Some("a.example")), Err(name));
    let issuer = Some(Trouble::Certificate(Distrust::UNKNOWN_ISSUER));
    assert_eq!(try_one(&other_root, None, false, Some("a.example")), Err(issuer));
}

#[test]
fn a_root_may_show_itself_as_openssl_lets_it() {
    let mut params = CertificateParams::new(vec!["a.example".into()]).unwrap();
    // `openssl req -x509` makes such.
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let own = params.self_signed(&key).unwrap().pem();
    let pair = format!("{own}{}", key.serialize_pem());
    let front = front(&[&pair], &usual(), false);
    let settings = OriginSettings {
        trust: Some(Trust { roots: own.as_bytes(), revoked: None, depth: None }),
        named: true,
        ..OriginSettings::default()
    };
    let client = origin(&settings, Some("a.example"));
    Two::new(client, front.accept(), 4_096, 1 << 20).shake().unwrap();
}

#[test]
fn clients_are_asked_for_a_certificate_that_leads_to_a_root() {
    let (root, server) = issued("a.example");
    let (client_root, client) = issued("client.example");
    let (_, stranger) = issued("client.example");
    let ask = |required, codes: Vec<u32>| Ask {
        trust: Trust { roots: client_root.as_bytes(), revoked: None, depth: None },
        required,
        overlooked: Overlooked { all: false, codes },
    };
    let try_one = |ask: Ask<'_>, shown: Option<&str>| {
        let front = front(&[&server], &FrontSettings { ask: Some(ask), ..usual() }, false);
        let settings = OriginSettings {
            trust: Some(Trust { roots: root.as_bytes(), revoked: None, depth: None }),
            certificate: shown.map(|pair| (pair.as_bytes(), None)),
            ..OriginSettings::default()
        };
        let mut two = Two::new(origin(&settings, None), front.accept(), 4_096, 1 << 20);
        match two.shake() {
            Ok(()) => {
                let facts = two.server.facts().unwrap();
                let code = facts
                    .peer
                    .as_ref()
                    .map(|peer| front.overlooked(facts.own.as_ref().unwrap(), peer));
                Ok((facts.peer.and_then(|peer| peer.common_name()), code))
            }
            Err(_) => Err(two.server.trouble().cloned().unwrap()),
        }
    };
    let known = (Some("client.example".to_owned()), Some(0));
    assert_eq!(try_one(ask(true, vec![]), Some(&client)), Ok(known));
    assert_eq!(try_one(ask(true, vec![]), None), Err(Trouble::NoCertificate));
    assert_eq!(try_one(ask(false, vec![]), None), Ok((None, None)));
    let distrust = Trouble::Certificate(Distrust::UNKNOWN_ISSUER);
    assert_eq!(try_one(ask(false, vec![]), Some(&stranger)), Err(distrust));
    let overlooked = (Some("client.example".to_owned()), Some(20));
    assert_eq!(try_one(ask(true, vec![20]), Some(&stranger)), Ok(overlooked));
}

#[test]
fn a_client_is_shown_the_certificate_of_the_name_it_asks_for() {
    let root = root();
    let pairs = ["first.example", "second.example", "*.wild.example"].map(|name| leaf(&root, name));
    let pairs: Vec<&str> = pairs.iter().map(String::as_str).collect();
    let shown = |strict: bool, name: Option<&str>| {
        let front = front(&pairs, &usual(), strict);
        let client = origin(&OriginSettings::default(), name);
        let mut two = Two::new(client, front.accept(), 4_096, 1 << 20);
        match two.shake() {
            Ok(()) => Ok(two.client.facts().unwrap().peer.unwrap().common_name().unwrap()),
            Err(_) => Err(two.client.trouble().cloned()),
        }
    };
    for (name, wanted) in [
        (Some("second.example"), "second.example"),
        (Some("SECOND.example"), "second.example"),
        (Some("x.wild.example"), "*.wild.example"),
        (Some("x.y.wild.example"), "first.example"),
        (Some("unknown.example"), "first.example"),
        (None, "first.example"),
    ] {
        assert_eq!(shown(false, name), Ok(wanted.to_owned()), "{name:?}");
    }
    assert_eq!(shown(true, Some("second.example")), Ok("second.example".into()));
    for name in [Some("unknown.example"), None] {
        assert!(shown(true, name).is_err(), "{name:?}");
    }
}

#[test]
fn the_filters_of_a_list_take_the_place_of_a_certificates_names() {
    let root = root();
    let (one, other) = (leaf(&root, "one.example"), leaf(&root, "other.example"));
    let names = ["*.list.example".to_owned(), "!not.list.example".to_owned()];
    let shown = [
        Shown { chain: one.as_bytes(), key: None, names: &[], own: None },
        Shown { chain: other.as_bytes(), key: None, names: &names, own: None },
    ];
    let front = Front::new(&usual(), &shown, false).unwrap();
    for (name, wanted) in [
        ("a.list.example", "other.example"),
        ("not.list.example", "one.example"),
        ("other.example", "one.example"),
    ] {
        let client = origin(&OriginSettings::default(), Some(name));
        let mut two = Two::new(client, front.accept(), 4_096, 1 << 20);
        two.shake().unwrap();
        let got = two.client.facts().unwrap().peer.unwrap().common_name();
        assert_eq!(got.as_deref(), Some(wanted), "{name}");
    }
}

#[test]
fn a_session_is_resumed_unless_one_side_does_not_want_to() {
    let (_, pair) = issued("a.example");
    for (least, most) in [(2, 2), (3, 3)] {
        for (tickets, remembered, reuse, expected) in [
            (true, 0, true, true),
            (true, 16, false, false),
            (false, 16, true, most == 2),
            (false, 0, true, false),
        ] {
            let settings = FrontSettings { tickets, remembered, ..FrontSettings::default() };
            let front = front(&[&pair], &settings, false);
            let spoken = Spoken { least, most, ..Spoken::default() };
            let settings = OriginSettings { spoken, reuse, ..OriginSettings::default() };
            let origin = Origin::new(&settings).unwrap();
            let mut resumed = Vec::new();
            for _ in 0..2 {
                let client = origin.open(Some("a.example"), [127, 0, 0, 1].into()).unwrap();
                let mut two = Two::new(client, front.accept(), 4_096, 1 << 20);
                two.shake().unwrap();
                // A ticket of 1.3 comes with what the server sends after.
                let (session, mut end) = two.server();
                session.write(&mut end, b"x").unwrap();
                let (session, mut end) = two.client();
                session.read(&mut end, &mut [0; 8]).unwrap();
                resumed.push(two.server.facts().unwrap().resumed);
            }
            assert_eq!(resumed, [false, expected], "1.{most} {tickets} {remembered} {reuse}");
        }
    }
}

#[test]
fn what_is_no_tls_is_said_to_be_none() {
    let (_, pair) = issued("a.example");
    for (bytes, wanted) in [
        (&b"GET / HTTP/1.0\r\n\r\n"[..], Trouble::NotTls),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Trouble::NotTls),
        (b"", Trouble::Closed),
        (&[0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3], Trouble::Closed),
    ] {
        let mut session = front(&[&pair], &usual(), false).accept();
        let mut up = Pipe { portion: 4_096, closed: true, ..Pipe::default() };
        up.bytes.extend(bytes);
        let mut down = Pipe { room: 1 << 20, ..Pipe::default() };
        let error = session.shake_hands(End { from: &mut up, to: &mut down }).unwrap_err();
        assert_eq!(session.trouble(), Some(&wanted), "{error}");
    }
}

#[test]
fn versions_and_ciphers_both_sides_do_not_share_are_told_apart() {
    let (_, pair) = issued("a.example");
    let try_one = |server: Spoken, client: Spoken| {
        let settings = FrontSettings { spoken: server, ..usual() };
        let front = front(&[&pair], &settings, false);
        let settings = OriginSettings { spoken: client, ..OriginSettings::default() };
        let mut two = Two::new(origin(&settings, None), front.accept(), 4_096, 1 << 20);
        two.shake().map_err(|_| two.server.trouble().cloned().unwrap())
    };
    let only = |least, most| Spoken { least, most, ..Spoken::default() };
    assert_eq!(try_one(only(3, 3), only(2, 2)), Err(Trouble::Version));
    assert_eq!(try_one(only(2, 2), only(3, 3)), Err(Trouble::Version));
    let suites = |names: &str| Spoken { suites: Some(names.into()), ..only(3, 3) };
    let one = suites("TLS_AES_128_GCM_SHA256");
    assert_eq!(try_one(one.clone(), suites("TLS_AES_256_GCM_SHA384")), Err(Trouble::Cipher));
    assert_eq!(try_one(one.clone(), one), Ok(()));
}

#[test]
fn a_key_that_does_not_fit_is_refused_by_name() {
    let (_, pair) = issued("a.example");
    let (_, other) = issued("a.example");
    let key = |text: &str| text[text.find("-----BEGIN PRIVATE").unwrap()..].to_owned();
    let chain = pair[..pair.find("-----BEGIN PRIVATE").unwrap()].to_owned();
    let made = |chain: &str, key: Option<&str>| {
        let key = key.map(str::as_bytes);
        let shown = [Shown { chain: chain.as_bytes(), key, names: &[], own: None }];
        Front::new(&usual(), &shown, false).map(drop)
    };
    assert_eq!(made(&chain, Some(&key(&pair))), Ok(()));
    assert_eq!(made(&chain, Some(&key(&other))), Err((0, Problem::Mismatch)));
    assert_eq!(made(&chain, None), Err((0, Problem::NoKey)));
    assert_eq!(made(&key(&pair), None), Err((0, Problem::NoCertificate)));
    let locked =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert_eq!(made(&chain, Some(locked)), Err((0, Problem::Encrypted)));
}

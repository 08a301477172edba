//! The resolver against a name server that does what a test says.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicUsize;

use proxy::Discovery;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

use super::follow::{Wanted, wanted};
use super::*;

/// What is asked of the server: the message, the name in lower case, and the type.
struct Asked<'m> {
    message: &'m [u8],
    name: String,
    kind: u16,
    tcp: bool,
}

impl Asked<'_> {
    /// An answer with these flags and records of the name that was asked for.
    fn reply(&self, flags: u16, records: &[(u16, u32, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = self.message.to_vec();
        bytes[2..4].copy_from_slice(&flags.to_be_bytes());
        bytes[7] = u8::try_from(records.len()).unwrap();
        for (kind, ttl, data) in records {
            bytes.extend_from_slice(&[0xc0, 12]);
            bytes.extend_from_slice(&kind.to_be_bytes());
            bytes.extend_from_slice(&[0, 1]);
            bytes.extend_from_slice(&ttl.to_be_bytes());
            bytes.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(data);
        }
        bytes
    }

    fn address(&self, last: u8) -> Vec<u8> {
        match self.kind {
            1 => self.reply(0x8180, &[(1, 60, vec![192, 0, 2, last])]),
            _ => self.reply(0x8180, &[]),
        }
    }
}

fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn read(message: &[u8], tcp: bool) -> Asked<'_> {
    let (mut at, mut name) = (12, String::new());
    while message[at] != 0 {
        let label = &message[at + 1..][..usize::from(message[at])];
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&String::from_utf8_lossy(label).to_lowercase());
        at += 1 + label.len();
    }
    let kind = u16::from_be_bytes([message[at + 1], message[at + 2]]);
    Asked { message, name, kind, tcp }
}

type Answers = fn(&Asked<'_>) -> Vec<Vec<u8>>;

/// A name server on both protocols; every answer is a message.
struct Server {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Server {
    async fn start(answers: Answers) -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut bytes = [0; 1024];
            loop {
                let (length, from) = udp.recv_from(&mut bytes).await.unwrap();
                counter.fetch_add(1, Relaxed);
                for answer in answers(&read(&bytes[..length], false)) {
                    udp.send_to(&answer, from).await.unwrap();
                }
            }
        });
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                let mut bytes = vec![0; usize::from(stream.read_u16().await.unwrap())];
                stream.read_exact(&mut bytes).await.unwrap();
                for answer in answers(&read(&bytes, true)) {
                    stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
                    stream.write_all(&answer).await.unwrap();
                }
            }
        });
        Self { address, asked }
    }

    fn resolver(&self) -> Resolver {
        let timeout = Duration::from_secs(20);
        Resolver { v6: false, timeout, ..Resolver::new(vec![self.address]) }
    }

    fn asked(&self) -> usize {
        self.asked.load(Relaxed)
    }
}

fn shown<T: std::fmt::Debug>(found: Result<Found<T>, Failure>) -> String {
    match found {
        Ok(found) => format!("{:?} for {:?}", found.all, found.holds),
        Err(why) => why.to_string(),
    }
}

async fn once(answers: Answers) -> String {
    let server = Server::start(answers).await;
    shown(Caches::default().addresses(&server.resolver(), "a.test").await)
}

const GOOD: &str = "[192.0.2.1] for 60s";

#[tokio::test]
async fn an_answer_is_remembered_while_it_holds_and_one_question_serves_all() {
    let server = Server::start(|asked| vec![asked.address(1)]).await;
    let (caches, resolver) = (Caches::default(), server.resolver());
    let many = (0..50).map(|_| caches.addresses(&resolver, "A.test."));
    let mut all = Vec::new();
    // All of them are begun before the first is answered.
    let mut many: Vec<_> = many.map(Box::pin).collect();
    std::future::poll_fn(|cx| {
        many.retain_mut(|one| match one.as_mut().poll(cx) {
            std::task::Poll::Ready(found) => {
                all.push(shown(found));
                false
            }
            std::task::Poll::Pending => true,
        });
        if many.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    assert!(all.len() == 50 && all.iter().all(|one| one == GOOD), "{all:?}");
    assert_eq!(shown(caches.addresses(&resolver, "a.test").await), GOOD);
    assert_eq!(server.asked(), 1);
    // `valid=` counts, and not what the answer says.
    let brief = Resolver { valid: Some(Duration::ZERO), ..resolver.clone() };
    for _ in 0..2 {
        assert_eq!(shown(caches.addresses(&brief, "a.test").await), "[192.0.2.1] for 0ns");
    }
    assert_eq!(server.asked(), 3);
}

#[tokio::test]
async fn noise_before_the_answer_is_not_taken_for_it() {
    // Another number, another question, nothing, and the answer cut at every byte.
    let answers: Answers = |asked| {
        let right = asked.address(1);
        let mut lies = asked.address(66);
        lies[0] ^= 1;
        let mut other = asked.address(66);
        other[13] ^= 1;
        let mut all = vec![lies, other, vec![]];
        all.extend((0..right.len()).map(|cut| right[..cut].to_vec()));
        all.push(right);
        all
    };
    assert_eq!(once(answers).await, GOOD);
}

#[tokio::test]
async fn what_a_name_server_says_is_told_in_nginxs_words() {
    assert_eq!(once(|a| vec![a.reply(0x8183, &[])]).await, "(3: Host not found)");
    assert_eq!(once(|a| vec![a.reply(0x8182, &[])]).await, "(2: Server failure)");
    assert_eq!(once(|a| vec![a.reply(0x8185, &[])]).await, "(5: Operation refused)");
    assert_eq!(once(|a| vec![a.reply(0x8180, &[])]).await, "(3: Host not found)");
    let itself: Answers = |asked| vec![asked.reply(0x8180, &[(5, 9, vec![0xc0, 12])])];
    assert_eq!(once(itself).await, "(3: Host not found)");
}

#[tokio::test]
async fn aliases_are_asked_for_until_they_come_back() {
    let chain: Answers = |asked| match asked.name.as_str() {
        "a.test" => vec![asked.reply(0x8180, &[(5, 9, labels("b.test"))])],
        _ => vec![asked.address(1)],
    };
    assert_eq!(once(chain).await, "[192.0.2.1] for 9s");
    let server = Server::start(|asked| {
        let next = if asked.name == "a.test" { "b.test" } else { "a.test" };
        vec![asked.reply(0x8180, &[(5, 9, labels(next))])]
    })
    .await;
    let found = Caches::default().addresses(&server.resolver(), "a.test").await;
    assert_eq!(found, Err(Failure::Loop));
    assert_eq!(server.asked(), 2, "it is not asked for ever");
}

#[tokio::test]
async fn what_is_too_long_for_a_datagram_is_asked_for_over_tcp() {
    let answers: Answers = |asked| {
        if !asked.tcp {
            return vec![asked.reply(0x8380, &[])];
        }
        let address = |last: u8| (1, 60, vec![192, 0, 2, last]);
        vec![asked.reply(0x8180, &(0..200).map(address).collect::<Vec<_>>())]
    };
    let server = Server::start(answers).await;
    let found = Caches::default().addresses(&server.resolver(), "a.test").await.unwrap();
    assert_eq!(found.all.len(), 200);
}

#[tokio::test]
async fn a_server_that_is_silent_or_in_trouble_is_followed_by_the_next() {
    let silent = Server::start(|_| vec![]).await;
    let troubled = Server::start(|asked| vec![asked.reply(0x8182, &[])]).await;
    let good = Server::start(|asked| vec![asked.address(1)]).await;
    let servers = vec![silent.address, troubled.address, good.address];
    for _ in 0..6 {
        let resend = Duration::from_millis(20);
        let resolver = Resolver { servers: servers.clone(), resend, ..good.resolver() };
        assert_eq!(shown(Caches::default().addresses(&resolver, "a.test").await), GOOD);
    }
}

#[tokio::test]
async fn nobody_waits_longer_than_the_timeout_or_asks_more_than_the_tries() {
    let silent = Server::start(|_| vec![]).await;
    let caches = Caches::default();
    let timeout = Duration::from_millis(50);
    let resolver = Resolver { timeout, ..silent.resolver() };
    assert_eq!(caches.addresses(&resolver, "a.test").await, Err(Failure::TimedOut));
    assert_eq!(caches.of(&resolver).counts.timed_out.load(Relaxed), 1);
    let before = silent.asked();
    let resend = Duration::from_millis(10);
    let resolver = Resolver { resend, tries: Some(3), ..silent.resolver() };
    assert_eq!(caches.addresses(&resolver, "a.test").await, Err(Failure::TimedOut));
    assert_eq!(silent.asked() - before, 3);
}

#[tokio::test]
async fn that_a_name_is_not_there_is_remembered_as_the_zone_says() {
    let with_soa: Answers = |asked| {
        let mut bytes = asked.reply(0x8183, &[]);
        bytes[9] = 1;
        bytes.extend_from_slice(b"\xc0\x0c\0\x06\0\x01\0\0\0\x3c\0\x18\xc0\x0c\xc0\x0c");
        bytes.extend_from_slice(&[0; 16]);
        bytes.extend_from_slice(&60_u32.to_be_bytes());
        vec![bytes]
    };
    for (answers, questions) in
        [(with_soa, 1), (|asked| vec![asked.reply(0x8183, &[])], 2)] as [(Answers, usize); 2]
    {
        let server = Server::start(answers).await;
        let (caches, resolver) = (Caches::default(), server.resolver());
        for _ in 0..2 {
            let found = caches.addresses(&resolver, "a.test").await;
            assert_eq!(found, Err(Failure::Code(3)));
        }
        assert_eq!(server.asked(), questions);
    }
}

#[tokio::test]
async fn a_service_is_its_hosts_with_their_ports_and_shares() {
    let answers: Answers = |asked| match (asked.kind, asked.name.as_str()) {
        (33, _) => {
            let record = |priority: u8, weight: u8, port: u8, host: &str| {
                let mut data = vec![0, priority, 0, weight, 0x1f, port];
                data.extend(labels(host));
                (33, 30, data)
            };
            vec![asked.reply(
                0x8180,
                &[record(1, 5, 1, "a.test"), record(2, 0, 2, "b.test"), record(1, 9, 3, "no.test")],
            )]
        }
        (_, "no.test") => vec![asked.reply(0x8183, &[])],
        (_, "a.test") => vec![asked.address(1)],
        _ => vec![asked.address(2)],
    };
    let server = Server::start(answers).await;
    let resolver = server.resolver();
    let found = Caches::default().services(&resolver, "_http._tcp.test").await.unwrap();
    assert_eq!(found.holds, Duration::from_secs(30));
    let of = |weight, backup| Discovery {
        resolver: resolver.clone(),
        name: "_http._tcp.test".into(),
        service: true,
        port: 0,
        first: 0,
        slots: 4,
        weight,
        backup,
    };
    let at = |last, port| SocketAddr::from((Ipv4Addr::new(192, 0, 2, last), port));
    let (one, two) = (at(1, 0x1f01), at(2, 0x1f02));
    let is = |address, weight, backup| Wanted { address, weight, backup };
    let both = [is(one, 5, false), is(two, 1, true)];
    assert_eq!(wanted(&of(1, false), &found.all), both);
    let weighed = [is(one, 3, false), is(two, 3, true)];
    assert_eq!(wanted(&of(3, false), &found.all), weighed, "the line's own weight counts");
    assert_eq!(wanted(&of(1, true), &found.all), [is(one, 5, true)], "backups are the best alone");
}

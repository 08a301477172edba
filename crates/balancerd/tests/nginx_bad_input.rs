//! Headers, hellos and answers of name servers that are cut, wrong or late: each is given to nginx
//! and to ours, and what came of it is compared.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::time::Duration;

#[path = "beside/harness.rs"]
mod harness;

use harness::*;

/// Sends all, says that this was all, and takes what comes.
fn say(it: &Running, name: char, bytes: &[u8]) -> String {
    let mut client = TcpStream::connect(it.at(name)).expect("it listens");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let _ = client.write_all(bytes);
    let _ = client.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// What is answered to each, and the last lines of the access log, in the same order.
fn each(it: &Running, name: char, all: &[Vec<u8>], before: usize) -> Vec<(usize, String, String)> {
    let mut found = Vec::new();
    for (at, bytes) in all.iter().enumerate() {
        let answer = say(it, name, bytes);
        let line = it.lines("a.log", before + at + 1).pop().unwrap_or_default();
        found.push((at, answer, line));
    }
    found
}

#[test]
fn proxy_headers_cut_anywhere_too_long_or_of_another_family_are_taken_as_by_nginx() {
    let v1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 111 222\r\n".to_vec();
    let v6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 111 222\r\n".to_vec();
    let v2 = |command: u8, family: u8, body: &[u8]| {
        let length = u16::try_from(body.len()).expect("short").to_be_bytes();
        [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[command, family], &length, body].concat()
    };
    let v4 = [192, 0, 2, 9, 192, 0, 2, 1, 0, 7, 0, 8];
    let with_tlv = [&v4[..], &[0xe0, 0, 2, b'a', b'b']].concat();
    let whole = v2(0x21, 0x11, &with_tlv);
    let mut all: Vec<Vec<u8>> = Vec::new();
    for header in [&v1, &v6, &whole] {
        all.extend((0..=header.len()).map(|cut| header[..cut].to_vec()));
    }
    let long = |length: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(length)).into_bytes();
    all.extend([80, 90, 91].map(long));
    all.extend(
        [
            "PROXY TCP4 192.0.2.7 198.51.100.1 111\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 111 222 333\r\n",
            "PROXY TCP4 192.0.2.7  198.51.100.1 111 222\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 65536 222\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 111 0\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 -1 222\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 111 222\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 111 222\r",
            "PROXY TCP5 192.0.2.7 198.51.100.1 111 222\r\n",
            "PROXY UNKNOWN\r\n",
            "proxy TCP4 192.0.2.7 198.51.100.1 111 222\r\n",
            "PROXY\r\n",
        ]
        .map(|text| text.as_bytes().to_vec()),
    );
    // Not here: addresses of the other family and unknown commands, which nginx lets through and the
    // specification does not, and headers of more than 107 bytes, which its versions judge differently.
    all.extend([
        v2(0x20, 0x00, &[]),
        v2(0x20, 0x11, &v4),
        v2(0x21, 0x00, &[]),
        v2(0x21, 0x12, &v4),
        v2(0x21, 0x21, &v4),
        v2(0x21, 0x41, &v4),
        v2(0x31, 0x11, &v4),
        v2(0x11, 0x11, &v4),
        v2(0x21, 0x11, &v4[..11]),
        v2(0x21, 0x11, &[&v4[..], &[0xe0, 0, 9, 1]].concat()),
        v2(0x21, 0x11, &[&v4[..], &[0xe0]].concat()),
    ]);
    let stream = "
        log_format f '$status'; access_log a.log f;
        server { listen 127.0.0.1:@A@ proxy_protocol;
            return '$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $remote_addr'; }
    ";
    same(stream, "A", &[], |it| {
        let found = each(it, 'A', &all, 0);
        let shown = found.into_iter().map(|(at, answer, line)| {
            let bytes = String::from_utf8_lossy(&all[at]);
            format!("{:.60} → {answer} {line}", format!("{bytes:?}"))
        });
        shown.collect()
    });
}

/// A ClientHello for `name` that offers h2, TLS 1.3, without its records.
fn hello(name: &str) -> Vec<u8> {
    let sized = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).expect("short").to_be_bytes();
        [&length[..], bytes].concat()
    };
    let list = sized(&[&[0][..], &sized(name.as_bytes())].concat());
    let alpn = sized(&[&[2][..], b"h2"].concat());
    let extensions = sized(
        &[&[0, 0][..], &sized(&list), &[0, 16], &sized(&alpn), &[0, 43], &sized(&[2, 3, 4])]
            .concat(),
    );
    let body = [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0x13, 1], &[1, 0], &extensions].concat();
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    [&[1][..], &length[1..], &body].concat()
}

/// The records of a message, each of so many bytes.
fn records(message: &[u8], each: usize) -> Vec<u8> {
    let record = |part: &[u8]| {
        let length = u16::try_from(part.len()).expect("short").to_be_bytes();
        [&[22, 3, 1][..], &length, part].concat()
    };
    message.chunks(each).flat_map(record).collect()
}

#[test]
fn hellos_cut_anywhere_or_split_over_records_are_read_as_by_nginx() {
    let message = hello("api.example");
    let whole = records(&message, 16_384);
    let mut all: Vec<Vec<u8>> = (0..=whole.len()).map(|cut| whole[..cut].to_vec()).collect();
    all.extend((1..=message.len()).map(|each| records(&message, each)));
    // Other versions, of the message and of the record, and other types.
    for at in [0, 4, 5] {
        for wrong in [0, 1, 2, 4, 0x7f, 0xff] {
            let mut changed = message.clone();
            changed[at] = wrong;
            all.push(records(&changed, 16_384));
        }
    }
    for (at, wrong) in [(0, 21), (0, 23), (0, b'G'), (1, 0), (1, 2), (2, 0), (2, 3), (2, 0xff)] {
        let mut changed = whole.clone();
        changed[at] = wrong;
        all.push(changed);
    }
    // What stands behind a hello is the server's.
    all.push([whole.clone(), vec![20, 3, 3, 0, 1, 1]].concat());
    let stream = "
        log_format f '$status $ssl_preread_server_name'; access_log a.log f; preread_timeout 300ms;
        server { listen 127.0.0.1:@A@; ssl_preread on;
            return '$ssl_preread_server_name $ssl_preread_protocol $ssl_preread_alpn_protocols'; }
    ";
    same(stream, "A", &[], |it| {
        let found = each(it, 'A', &all, 0);
        found.into_iter().map(|(at, answer, line)| format!("{at}: {answer:?} {line:?}")).collect()
    });
}

/// A name server that behaves as the first label says.
fn name_server() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = socket.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        let other = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let mut bytes = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            let query = &bytes[..length];
            let mut end = 12;
            while query.get(end).is_some_and(|label| *label > 0) {
                end += 1 + usize::from(query[end]);
            }
            let question = &query[12..end + 5];
            let is_v4 = query[end + 2] == 1;
            let label =
                String::from_utf8_lossy(&query[13..13 + usize::from(query[12])]).into_owned();
            // id, flags and counts, RFC 1035 §4.1.1.
            let head = |id: [u8; 2], flags: [u8; 2], answers: u8| {
                [&id[..], &flags, &[0, 1, 0, answers, 0, 0, 0, 0], question].concat()
            };
            let id = [query[0], query[1]];
            let good = [0x81, 0x80];
            let address = [&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4][..], &[127, 0, 0, 1]].concat();
            let whole = [head(id, good, 1), address.clone()].concat();
            let alias = |to: &str| {
                let name: Vec<u8> = to
                    .split('.')
                    .flat_map(|part| [&[part.len() as u8][..], part.as_bytes()].concat())
                    .chain([0])
                    .collect();
                let length = (name.len() as u16).to_be_bytes();
                [&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 1][..], &length, &name].concat()
            };
            let answer = match label.as_str() {
                _ if !is_v4 && !label.starts_with("loop") && label != "alias" => head(id, good, 0),
                "good" => whole,
                "servfail" => head(id, [0x81, 0x82], 0),
                "nothing" => head(id, good, 0),
                "nobody" => head(id, [0x81, 0x83], 0),
                "refused" => head(id, [0x81, 0x85], 0),
                "notimp" => head(id, [0x81, 0x84], 0),
                "formerr" => head(id, [0x81, 0x81], 0),
                "short" => id.to_vec(),
                "cut" => whole[..whole.len() - 2].to_vec(),
                "many" => [head(id, good, 9), address].concat(),
                "query" => [head(id, [0x01, 0x00], 1), address].concat(),
                "truncated" => [head(id, [0x83, 0x80], 1), address].concat(),
                "otherid" => [head([id[0], id[1] ^ 1], good, 1), address].concat(),
                "elsewhere" => {
                    let _ = other.send_to(&whole, from);
                    continue;
                }
                "silent" => continue,
                "alias" => [head(id, good, 1), alias("good.test")].concat(),
                "loopa" => [head(id, good, 1), alias("loopb.test")].concat(),
                "loopb" => [head(id, good, 1), alias("loopa.test")].concat(),
                "loopself" => [head(id, good, 1), alias("loopself.test")].concat(),
                "garbage" => [&id[..], &[0xff; 40]].concat(),
                "pointer" => {
                    // A name that points to itself, RFC 1035 §4.1.4.
                    let mut answer = head(id, good, 1);
                    let at = (answer.len() as u16 | 0xc000).to_be_bytes();
                    answer.extend_from_slice(&at);
                    answer.extend_from_slice(&[0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1]);
                    answer
                }
                _ => head(id, [0x81, 0x83], 0),
            };
            let _ = socket.send_to(&answer, from);
        }
    });
    port
}

#[test]
fn answers_of_name_servers_are_believed_as_far_as_nginx_does() {
    // Not here: what nginx asks for again until the time is over and what it does not look at (a
    // `FORMERR`, a name that points to itself).
    const NAMES: [&str; 17] = [
        "good",
        "servfail",
        "nothing",
        "nobody",
        "refused",
        "notimp",
        "short",
        "cut",
        "many",
        "query",
        "otherid",
        "elsewhere",
        "silent",
        "alias",
        "loopa",
        "loopself",
        "garbage",
    ];
    let servers = [('X', speaker("x")), ('N', name_server())];
    let ports: String = ('a'..).take(NAMES.len()).collect();
    let mut stream = "log_format f '$status $name'; access_log a.log f;
        resolver 127.0.0.1:@N@; resolver_timeout 900ms;"
        .to_owned();
    for (port, name) in ports.chars().zip(NAMES) {
        stream += &format!(
            "server {{ listen 127.0.0.1:@{port}@; set $name {name}; proxy_pass $name.test:@X@; }}"
        );
    }
    same(&stream, &ports, &servers, |it| {
        // All at once: some take as long as they may.
        let clients: Vec<TcpStream> = ports
            .chars()
            .map(|port| TcpStream::connect(it.at(port)).expect("it listens"))
            .collect();
        let answers = clients.into_iter().zip(NAMES).map(|(mut client, name)| {
            client.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
            let mut word = [0; 2];
            let answered = client.read_exact(&mut word).is_ok();
            format!("{name}: {}", if answered { "answered" } else { "closed" })
        });
        let mut found: Vec<String> = answers.collect();
        let mut lines = it.lines("a.log", NAMES.len());
        lines.sort_unstable();
        found.extend(lines);
        let mut said: Vec<String> = it
            .said("error")
            .into_iter()
            .filter(|said| said.contains("could not be resolved"))
            .collect();
        said.sort_unstable();
        found.extend(said);
        found
    });
}

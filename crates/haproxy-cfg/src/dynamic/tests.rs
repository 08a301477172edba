use super::*;
use crate::table::{check_option, server_names, server_transport};
use crate::{Options, load_texts};

/// The backend of a file.
fn backend(lines: &str) -> Backend {
    let text = format!(
        "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 700ms\nbackend be\n{lines}\n"
    );
    let loaded = load_texts(&[("t.cfg", &text)], &Options::sealed());
    let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    config.backends.into_iter().next().expect("there is one")
}

fn words(text: &str) -> Vec<&str> {
    text.split_ascii_whitespace().collect()
}

#[test]
fn what_is_wrong_is_said_in_haproxys_words() {
    let backend = backend(" server a 127.0.0.1:1");
    for (line, expected) in [
        ("", "'server' expects <name> and <addr>[:<port>] as arguments."),
        ("x", "'server' expects <name> and <addr>[:<port>] as arguments."),
        ("x! 127.0.0.1:80", "character '!' is not permitted in server name 'x!'."),
        ("x 127.0.0.1:80 foo", "unknown keyword 'foo'."),
        ("x 127.0.0.1:80 weight 300", "weight of server x is not within 0 and 256 (300).."),
        ("x 127.0.0.1:80 id 1", "'id' : custom id 1 already used at t.cfg:6 ('server a')."),
        (
            "x 127.0.0.1:80 weight 3 resolvers r",
            "'resolvers' option is not accepted for dynamic server",
        ),
        ("x 127.0.0.1:80 enabled", "'enabled' option is not accepted for dynamic server"),
        (
            "x 127.0.0.1:80 check track be/a",
            "unable to enable checks and tracking at the same time!",
        ),
    ] {
        let said = server(&backend, false, &words(line)).map(|added| added.server);
        assert_eq!(said.err().as_deref(), Some(expected), "{line}");
    }
}

#[test]
fn it_is_checked_as_the_others_of_its_backend() {
    let lines = " option httpchk GET /up\n default-server inter 9s\n server a 127.0.0.1:1 check";
    let backend = backend(lines);
    let added = server(&backend, false, &words("b 127.0.0.1:2 check rise 7")).expect("right");
    let (own, first) = (added.server.check.expect("checked"), backend.servers[0].check.clone());
    let first = first.expect("checked");
    assert_eq!((own.probe, own.timeout_connect), (first.probe, first.timeout_connect));
    // `default-server` is not for it.
    assert_eq!((own.rise, own.inter), (7, check::Config::default().inter));
}

#[test]
fn it_has_the_first_number_that_is_free() {
    let backend =
        backend(" server a 127.0.0.1:1\n server c 127.0.0.1:1 id 3\n server b 127.0.0.1:1");
    let number = |line: &str| {
        let added = server(&backend, false, &words(line)).expect("right").server;
        (added.id, added.forced_id)
    };
    assert_eq!(number("x 127.0.0.1:2"), (4, false));
    assert_eq!(number("x 127.0.0.1:2 id 9"), (9, true));
}

#[test]
fn any_words_are_answered() {
    let backend = backend(" server a 127.0.0.1:1");
    let rows = [server::TABLE, server_transport::TABLE, check_option::SERVERS, server_names::TABLE];
    for row in rows.into_iter().flatten() {
        for rest in [vec![], vec!["1"], vec!["x"], vec!["127.0.0.1"]] {
            let mut line = vec!["x", "127.0.0.1:80", row.name];
            line.extend(rest);
            if let Ok(added) = server(&backend, true, &line) {
                assert!(added.server.added && added.server.resolve.is_none(), "{line:?}");
            }
        }
    }
}

#[test]
fn positions_that_rules_name_are_noted() {
    let named = |lines: &str| backend(lines).servers_named;
    let two = " server a 127.0.0.1:1 check\n server b 127.0.0.1:2";
    assert_eq!(named(two), None);
    assert_eq!(named(&format!("{two}\n use-server b if TRUE")), Some(1));
    assert_eq!(named(&format!("{two} track be/a")), Some(0));
    assert_eq!(named(&format!("{two}\n use-server a if {{ srv_is_up(be/b) }}")), Some(1));
}

//! Whatever a file holds, reading it ends, and soon.

use std::time::{Duration, Instant};

use proptest::prelude::*;

fn soon(text: &[u8]) {
    let begun = Instant::now();
    nginx_conf::fuzz(text);
    let taken = begun.elapsed();
    eprintln!(
        "{} bytes of {:?}… took {taken:?}",
        text.len(),
        &String::from_utf8_lossy(&text[..20])
    );
    assert!(taken < Duration::from_secs(30), "{} bytes took {taken:?}", text.len());
}

#[test]
fn huge_and_deep_texts_are_read_in_time() {
    soon("x".repeat(10 << 20).as_bytes());
    soon(format!("events {{}} # {}", "x".repeat(10 << 20)).as_bytes());
    soon(format!("a '{}", "x".repeat(10 << 20)).as_bytes());
    soon("stream {\n".repeat(1000).as_bytes());
    soon(format!("{}{}", "stream {".repeat(1000), "}".repeat(1000)).as_bytes());
    soon("}".repeat(1 << 20).as_bytes());
    soon(";".repeat(1 << 20).as_bytes());
    soon("a;".repeat(1 << 19).as_bytes());
    soon("\\".repeat(1 << 20).as_bytes());
    soon("$".repeat(1 << 20).as_bytes());
    soon(format!("stream {{ {} }}", "server { listen 1-65535; }".repeat(3)).as_bytes());
}

/// Words that make a text worth reading, in any order.
fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "events",
        "stream",
        "server",
        "upstream",
        "k",
        "{",
        "}",
        ";",
        " ",
        "\n",
        "listen",
        "80",
        "[::]:1",
        "unix:/a",
        "proxy_pass",
        "$x",
        "${y}",
        "\"",
        "'",
        "\\",
        "#",
        "http",
        "location",
        "error_log",
        "syslog:server=1.2.3.4,tag=",
        "user",
        "weight=2",
        "backup",
        "log_format",
        "1m30s",
        "proxy_timeout",
        "off",
        "include",
        "*.conf",
        "least_conn",
        "zone",
        "64k",
        "é",
        "map",
    ]);
    prop::collection::vec(word, 0..60).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        nginx_conf::fuzz(&bytes);
    }

    #[test]
    fn any_words_are_read_without_a_panic(text in words()) {
        nginx_conf::fuzz(text.as_bytes());
    }

    #[test]
    fn a_word_survives_quoting(word in "[^\\\\\"\\p{Cc}]{1,40}") {
        let text = format!("events {{}} pid \"{word}\";");
        let loaded = nginx_conf::load_text("t", &text, &nginx_conf::Options::offline());
        prop_assert!(loaded.is_ok());
        let expected = std::path::Path::new("/").join(&word);
        prop_assert_eq!(loaded.config.process.pidfile, Some(expected));
    }
}

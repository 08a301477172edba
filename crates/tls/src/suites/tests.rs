use super::*;

fn names(string: &str) -> Vec<&'static str> {
    choose(string).map(|suites| suites.into_iter().map(name_of).collect()).unwrap_or_default()
}

#[test]
fn cipher_strings_choose_as_openssl_does_among_what_is_spoken() {
    // `openssl ciphers -tls1_2 <string>`, without suites that are not spoken.
    let all = [
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
    ];
    assert_eq!(names("DEFAULT"), all);
    assert_eq!(names("HIGH:!aNULL:!MD5"), all);
    assert_eq!(names("ALL:@SECLEVEL=2"), all);
    assert_eq!(
        names("ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:AES256-SHA"),
        ["ECDHE-RSA-AES128-GCM-SHA256"]
    );
    assert_eq!(
        names("ECDHE+aRSA+AESGCM"),
        ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"]
    );
    assert_eq!(names("HIGH:!AES:!aRSA"), ["ECDHE-ECDSA-CHACHA20-POLY1305"]);
    let moved = names("HIGH:+CHACHA20:-AES128");
    assert_eq!(moved.last(), Some(&"ECDHE-RSA-CHACHA20-POLY1305"));
    assert_eq!(moved.len(), 4);
}

#[test]
fn what_was_killed_does_not_come_back_and_what_was_removed_does() {
    assert!(names("!CHACHA20:HIGH").iter().all(|name| !name.contains("CHACHA20")));
    assert_eq!(names("AESGCM:-AESGCM:AESGCM").len(), 4);
}

#[test]
fn a_string_that_leaves_nothing_is_refused() {
    for string in ["", "foo", "RC4-SHA:DES-CBC3-SHA", "HIGH:!ECDHE", "kRSA"] {
        assert_eq!(choose(string), Err(NoSuite::Ciphers), "{string}");
    }
    let spoken = Spoken { suites: Some("TLS_FOO".into()), ..Spoken::default() };
    assert_eq!(spoken.provider().map(drop), Err(NoSuite::Suites));
    let spoken = Spoken { curves: Some("P-521:brainpoolP256r1".into()), ..Spoken::default() };
    assert_eq!(spoken.provider().map(drop), Err(NoSuite::Curves));
    let spoken = Spoken { least: 3, most: 2, ..Spoken::default() };
    assert_eq!(spoken.provider().map(drop), Err(NoSuite::Versions));
}

#[test]
fn a_version_that_is_not_spoken_has_no_suites() {
    for (least, most, count) in [(2, 2, 6), (3, 3, 3), (2, 3, 9)] {
        let spoken = Spoken { least, most, ..Spoken::default() };
        let (provider, versions) = spoken.provider().unwrap();
        assert_eq!(provider.cipher_suites.len(), count);
        assert_eq!(versions.len(), usize::from(most - least + 1));
    }
    // A cipher string is for 1.2 alone.
    let spoken = Spoken { least: 3, ciphers: Some("nonsense".into()), ..Spoken::default() };
    assert!(spoken.provider().is_ok());
}

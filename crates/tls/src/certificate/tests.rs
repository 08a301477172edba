use super::*;

fn made(names: &[&str], common: Option<&str>) -> Certificate {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CountryName, "NL");
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "Evergate");
    if let Some(common) = common {
        params.distinguished_name.push(rcgen::DnType::CommonName, common);
    }
    params.serial_number = Some(rcgen::SerialNumber::from(vec![0x12, 0x34, 0x56]));
    params.not_before = rcgen::date_time_ymd(2024, 2, 29);
    params.not_after = rcgen::date_time_ymd(2051, 1, 2);
    let key = rcgen::KeyPair::generate().unwrap();
    Certificate::new(params.self_signed(&key).unwrap().der().to_vec())
}

#[test]
fn a_certificate_says_what_was_written_into_it() {
    let certificate = made(&["a.example", "*.b.example"], Some("common.example"));
    assert_eq!(certificate.version(), Some(3));
    assert_eq!(certificate.serial(), Some(&[0x12, 0x34, 0x56][..]));
    let subject: Vec<_> = certificate.subject().unwrap();
    let shown: Vec<_> = subject
        .iter()
        .map(|(kind, value)| format!("{kind}={}", String::from_utf8_lossy(value)))
        .collect();
    assert_eq!(shown, ["C=NL", "O=Evergate", "CN=common.example"]);
    assert_eq!(certificate.issuer(), certificate.subject());
    assert!(certificate.is_self_issued());
    assert_eq!(certificate.host_names(), ["a.example", "*.b.example"]);
    assert_eq!(certificate.common_name().as_deref(), Some("common.example"));
    // The one as UTCTime, the other, after 2049, as GeneralizedTime.
    let (before, after) = certificate.validity().unwrap();
    assert_eq!((before, after), (&b"240229000000Z"[..], &b"20510102000000Z"[..]));
    let (from, to) = certificate.times().unwrap();
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert_eq!((seconds(from), seconds(to)), (1_709_164_800, 2_556_230_400));
    assert_eq!(certificate.key_algorithm(), Some("id-ecPublicKey"));
    assert_eq!(certificate.key_name().as_deref(), Some("EC256"));
    assert_eq!(certificate.signature_algorithm(), Some("ecdsa-with-SHA256"));
}

#[test]
fn names_are_compared_label_by_label() {
    let certificate = made(&["a.example", "*.b.example"], Some("common.example"));
    for good in ["a.example", "A.Example", "a.example.", "x.b.example"] {
        assert!(certificate.is_for(good), "{good}");
    }
    // The common name counts only where there is no other.
    for bad in ["b.example", "x.y.b.example", ".b.example", "common.example", "127.0.0.1", ""] {
        assert!(!certificate.is_for(bad), "{bad}");
    }
    assert!(made(&[], Some("common.example")).is_for("common.example"));
    let addressed = made(&["192.0.2.1", "2001:db8::1"], None);
    assert!(addressed.is_for("192.0.2.1") && addressed.is_for("2001:db8::1"));
    assert!(!addressed.is_for("192.0.2.2"));
}

#[test]
fn bytes_that_are_no_certificate_say_nothing_wherever_they_are_cut_or_changed() {
    let whole = made(&["a.example"], Some("a.example")).der().to_vec();
    let ask = |bytes: Vec<u8>| {
        let certificate = Certificate::new(bytes);
        let _ = (certificate.subject(), certificate.times(), certificate.key_name());
        let _ = (certificate.is_for("a.example"), certificate.signature_algorithm());
    };
    for end in 0..whole.len() {
        assert_eq!(Certificate::new(whole[..end].to_vec()).version(), None, "{end}");
        ask(whole[..end].to_vec());
    }
    for at in 0..whole.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[at] ^= change;
            ask(changed);
        }
    }
}

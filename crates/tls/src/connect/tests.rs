use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// A server with a certificate of its own for `name`; its PEM.
fn server(name: &str) -> (tokio_rustls::TlsAcceptor, String) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (Arc::new(config).into(), made.cert.pem())
}

/// Connects and has a word with the server; the name the server was called by.
async fn talk(
    acceptor: tokio_rustls::TlsAcceptor,
    connector: Connector,
    sni: Option<&str>,
) -> Result<Option<String>, Failure> {
    let (ours, theirs) = tokio::io::duplex(1 << 14);
    let served = async {
        let mut stream = acceptor.accept(theirs).await.ok()?;
        let name = stream.get_ref().1.server_name().map(str::to_owned);
        stream.write_all(b"hi").await.ok()?;
        stream.shutdown().await.ok()?;
        name
    };
    let called = async {
        let mut stream = connector.connect(sni, ours).await?;
        let mut word = [0; 2];
        stream.read_exact(&mut word).await?;
        assert_eq!(&word, b"hi");
        Ok::<_, Failure>(())
    };
    let (name, result) = tokio::join!(served, called);
    result.map(|()| name)
}

fn pem_file(pem: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pem).unwrap();
    file
}

#[tokio::test]
async fn verify_none_takes_any_certificate_and_sends_a_name_only_if_there_is_one() {
    let (acceptor, _) = server("kube.example");
    let connector = Connector::new(&Verify::None, &[]).unwrap();
    let named = talk(acceptor.clone(), connector.clone(), Some("other.example")).await;
    assert_eq!(named.unwrap().as_deref(), Some("other.example"));
    let nameless = talk(acceptor, connector, None).await;
    assert_eq!(nameless.unwrap(), None);
}

#[tokio::test]
async fn verify_required_wants_a_known_root_and_the_name_that_was_sent() {
    let (acceptor, pem) = server("kube.example");
    let file = pem_file(&pem);
    let connector = Connector::new(&Verify::roots(file.path(), None), &[]).unwrap();
    assert!(talk(acceptor.clone(), connector.clone(), Some("kube.example")).await.is_ok());
    assert!(talk(acceptor.clone(), connector.clone(), None).await.is_ok(), "any name");
    let other = talk(acceptor, connector.clone(), Some("other.example")).await;
    assert!(matches!(other, Err(Failure::NotSentName)), "{other:?}");
    let (stranger, _) = server("kube.example");
    let strange = talk(stranger, connector, Some("kube.example")).await;
    assert!(matches!(strange, Err(Failure::Handshake(_))), "{strange:?}");
}

#[tokio::test]
async fn verifyhost_replaces_the_name_that_was_sent() {
    let (acceptor, pem) = server("kube.example");
    let file = pem_file(&pem);
    for host in ["kube.example", "other.example"] {
        let verify = Verify::roots(file.path(), Some(host.to_owned()));
        let connector = Connector::new(&verify, &[]).unwrap();
        let result = talk(acceptor.clone(), connector, Some("sent.example")).await;
        match host {
            "kube.example" => assert!(result.is_ok(), "{result:?}"),
            _ => assert!(matches!(result, Err(Failure::NotConfiguredName)), "{result:?}"),
        }
    }
}

#[tokio::test]
async fn something_that_is_not_tls_is_an_error_and_not_a_wait() {
    let (ours, mut theirs) = tokio::io::duplex(1 << 14);
    let connector = Connector::new(&Verify::None, &[]).unwrap();
    theirs.write_all(b"HTTP/1.0 400 Bad request\r\n\r\n").await.unwrap();
    let error = connector.connect(None, ours).await.unwrap_err();
    assert!(matches!(error, Failure::Handshake(_)), "{error:?}");
}

#[test]
fn a_file_without_certificates_is_named() {
    let file = pem_file("nothing\n");
    let error = Connector::new(&Verify::roots(file.path(), None), &[]).unwrap_err();
    assert!(error.to_string().contains(file.path().to_str().unwrap()), "{error}");
}

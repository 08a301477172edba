//! Servers that misbehave while they are checked.

use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A check of a server that does this with its connection.
async fn against<F: Future<Output = ()>>(
    config: &Config,
    serve: impl FnOnce(TcpStream) -> F,
) -> check::Verdict {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = async {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream).await;
    };
    let (reason, ()) = tokio::join!(probe(config, address), served);
    reason.verdict
}

fn expecting(text: &str) -> Config {
    let expected = Match::String(text.as_bytes().to_vec());
    let steps = vec![Action::Expect(Expect::from(expected)).into()];
    Config { inter: LONG, ..quick(Probe::Tcp { steps }) }
}

fn impatient(config: Config) -> Config {
    let short = Some(Duration::from_millis(80));
    Config { inter: Duration::from_millis(80), timeout_check: short, ..config }
}

#[tokio::test]
async fn one_that_answers_byte_by_byte_is_heard_out() {
    let verdict = against(&expecting("+PONG"), |mut stream| async move {
        for byte in b"hello\r\n+PONG\r\n" {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(verdict.status, Status::L7Ok);
}

#[tokio::test]
async fn one_that_says_a_megabyte_is_not_kept_in_memory() {
    let verdict = against(&expecting("bar"), |mut stream| async move {
        // It is hung up on before all of it is said.
        let _ = stream.write_all(&vec![b'x'; 1 << 20]).await;
    })
    .await;
    assert_eq!(verdict.status, Status::L7Response);
    assert_eq!(verdict.info, "TCPCHK did not match content 'bar' at step 1");
}

#[tokio::test]
async fn one_that_resets_before_it_answers_is_a_socket_error() {
    let steps = vec![
        Action::Send(b"hello".to_vec()).into(),
        Action::Expect(Expect::from(Match::String(b"bar".to_vec()))).into(),
    ];
    let config = Config { inter: LONG, ..quick(Probe::Tcp { steps }) };
    let verdict = against(&config, |mut stream| async move {
        // Only once it is spoken to: before, the connect itself would fail.
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).await.unwrap();
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    })
    .await;
    assert_eq!(verdict.status, Status::SocketError);
    assert_eq!(
        verdict.info,
        "Connection reset by peer at step 2 of tcp-check (expect string 'bar')"
    );
}

#[tokio::test]
async fn one_that_closes_before_it_answers_said_nothing() {
    let verdict = against(&expecting("bar"), |stream| async move { drop(stream) }).await;
    assert_eq!(verdict.info, "TCPCHK got an empty response at step 1");
}

#[tokio::test]
async fn one_that_drips_for_ever_is_left_when_the_time_is_over() {
    let started = std::time::Instant::now();
    let verdict = against(&impatient(expecting("bar")), |mut stream| async move {
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(verdict.status, Status::L7Timeout);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn what_we_lack_ourselves_says_nothing_of_a_server() {
    use super::super::probe::Broken;
    let broken = |number| Broken::from(std::io::Error::from_raw_os_error(number));
    // EMFILE and ECONNREFUSED.
    assert!(matches!(broken(24), Broken::Exhausted(_)));
    assert!(matches!(broken(111), Broken::Connect(_)));
    assert_eq!(Status::Unknown.outcome(), check::Outcome::Neutral);
}

//! What a master and the worker it started say to each other once that one serves.
//!
//! ```text
//!   master ── "GO", a file in memory, sockets ──► worker: goes over to what the file holds
//!          ◄── yes or no, and in words ──
//! ```
//!
//! The worker may neither open files nor bind addresses any more: it gets the answers the master
//! got when it read the configuration ([`conf::outside`]), and the sockets that are new.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;

use conf::outside::Answers;
use linux::rights;
use proxy::Config;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;

use crate::bind::{Bound, Listeners};
use crate::worker::Order;

/// Set to `new-worker`, every reload starts a new worker.
const MANNER: &str = "EVERGATE_RELOAD";

/// The longest answer of a worker, in bytes.
const LONGEST: usize = 1 << 20;

/// What a worker made of an order: what has changed, or why it is for a new worker.
pub(crate) type Answer = Result<String, String>;

/// Whether a reload may change the worker that serves.
pub(crate) fn in_place_is_wanted() -> bool {
    std::env::var_os(MANNER).is_none_or(|manner| manner != "new-worker")
}

/// Tells a worker to go over to the configuration that was read with these answers; `sockets` are
/// those it does not have.
///
/// # Errors
///
/// When it cannot be told: it is gone, stopped with a full line, or no descriptor is left.
pub(crate) fn send(line: &UnixStream, answers: &Answers, sockets: &[&Bound]) -> io::Result<()> {
    let mut text = format!("{}\n", sockets.len());
    for Bound { frontend, bind, .. } in sockets {
        text.push_str(&format!("{frontend} {bind}\n"));
    }
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(&answers.to_bytes());
    let memory = linux::file::memory_file("reload", &bytes)?;
    let files: Vec<BorrowedFd<'_>> =
        std::iter::once(memory.as_fd()).chain(sockets.iter().map(|one| one.fd.as_fd())).collect();
    let mut parts = files.chunks(rights::MOST).peekable();
    while let Some(part) = parts.next() {
        let more = if parts.peek().is_some() { b"+" } else { b"." };
        rights::send(line, more, part)?;
    }
    Ok(())
}

/// Waits for the next order; `None` when the master is gone.
fn receive(line: impl AsFd) -> io::Result<Option<(Answers, Vec<Bound>)>> {
    let mut files: Vec<OwnedFd> = Vec::new();
    loop {
        let mut more = [0];
        let (length, part) = match rights::receive(&line, &mut more) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            received => received?,
        };
        if length == 0 {
            return Ok(None);
        }
        files.extend(part);
        if more == *b"." {
            break;
        }
    }
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    let mut files = files.into_iter();
    let mut memory = File::from(files.next().ok_or_else(broken)?);
    let mut bytes = Vec::new();
    memory.rewind()?;
    memory.read_to_end(&mut bytes)?;
    let mut rest = bytes.as_slice();
    let mut line = || {
        let end = rest.iter().position(|&byte| byte == b'\n')?;
        let (line, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        std::str::from_utf8(line).ok()
    };
    let count: usize = line().and_then(|line| line.parse().ok()).ok_or_else(broken)?;
    let mut sockets = Vec::new();
    for _ in 0..count {
        let place = line().and_then(|line| line.split_once(' ')).ok_or_else(broken)?;
        let (Ok(frontend), Ok(bind)) = (place.0.parse(), place.1.parse()) else {
            return Err(broken());
        };
        let fd = files.next().ok_or_else(broken)?;
        sockets.push(Bound { frontend, bind, fd });
    }
    Ok(Some((Answers::parse(rest).ok_or_else(broken)?, sockets)))
}

/// A worker's side: passes orders on until the master is gone, on a thread of its own. `read` makes
/// a configuration of the answers, or says why not; `gone` is called at the end.
pub(crate) fn listen(
    line: impl AsFd,
    read: impl Fn() -> Result<Config, String> + Send + 'static,
    gone: impl FnOnce() + Send + 'static,
) -> io::Result<mpsc::UnboundedReceiver<Order>> {
    let line = UnixStream::from(line.as_fd().try_clone_to_owned()?);
    let (orders, given) = mpsc::unbounded_channel();
    let listen = move || {
        loop {
            let (answers, sockets) = match receive(&line) {
                Ok(Some(order)) => order,
                // Not all of it arrived: no descriptor was left, as a rule. Sessions go on.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    let why = "the worker could not take what it was sent";
                    if say(&line, &Err(why.to_owned())).is_err() {
                        break;
                    }
                    continue;
                }
                Ok(None) | Err(_) => break,
            };
            // A master that is gone waits for nothing.
            let config = match conf::outside::told(answers, &read) {
                Ok(config) => config,
                Err(why) => {
                    let _ = say(&line, &Err(why));
                    continue;
                }
            };
            let answers = line.try_clone();
            let answer = Box::new(move |answer: Answer| {
                let _ = answers.and_then(|line| say(&line, &answer));
            });
            if orders.send(Order { config, sockets, answer }).is_err() {
                let _ = say(&line, &Err("the worker is leaving".to_owned()));
            }
        }
        gone();
    };
    let thread = thread::Builder::new().name("master".into()).stack_size(2 << 20);
    thread.spawn(listen)?;
    Ok(given)
}

fn say(mut line: &UnixStream, answer: &Answer) -> io::Result<()> {
    let (yes, text) = match answer {
        Ok(text) => (b'y', text),
        Err(text) => (b'n', text),
    };
    let text = &text.as_bytes()[..text.len().min(LONGEST)];
    let mut bytes = vec![yes];
    bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(0).to_le_bytes());
    bytes.extend_from_slice(text);
    line.write_all(&bytes)
}

/// Waits for what a worker answers.
///
/// # Errors
///
/// When it is gone, or says what no worker says.
pub(crate) async fn answer(line: &mut (impl AsyncRead + Unpin)) -> io::Result<Answer> {
    let yes = line.read_u8().await?;
    let length = line.read_u32_le().await? as usize;
    if length > LONGEST || !matches!(yes, b'y' | b'n') {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut text = vec![0; length];
    line.read_exact(&mut text).await?;
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(if yes == b'y' { Ok(text) } else { Err(text) })
}

/// Those of `now` that are not among `before`, known by what they are and not by their numbers.
///
/// # Errors
///
/// When the worker cannot be told of what is new: a `stats socket` was made anew.
pub(crate) fn fresh<'a>(now: &'a Listeners, before: &Listeners) -> io::Result<Vec<&'a Bound>> {
    let identity = |fd: BorrowedFd<'_>| {
        let status = nix::sys::stat::fstat(fd)?;
        Ok::<_, io::Error>((status.st_dev, status.st_ino))
    };
    let known = before.fds().map(identity).collect::<io::Result<HashSet<_>>>()?;
    for (_, stats) in &now.stats {
        if !known.contains(&identity(stats.as_fd())?) {
            return Err(io::ErrorKind::Unsupported.into());
        }
    }
    let mut fresh = Vec::new();
    for bound in &now.sockets {
        if !known.contains(&identity(bound.fd.as_fd())?) {
            fresh.push(bound);
        }
    }
    Ok(fresh)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn socket(frontend: usize, bind: usize) -> Bound {
        let fd = TcpListener::bind("127.0.0.1:0").unwrap().into();
        Bound { frontend, bind, fd }
    }

    #[test]
    fn an_order_arrives_with_its_answers_and_all_its_sockets() {
        let (here, there) = UnixStream::pair().unwrap();
        let ask = || conf::outside::ask("read", "f", || Ok(b"global\n".to_vec())).unwrap();
        let (_, answers) = conf::outside::recorded(ask);
        let sockets: Vec<_> = (0..300).map(|at| socket(at, at % 7)).collect();
        let borrowed: Vec<_> = sockets.iter().collect();
        let sender = thread::spawn({
            let (answers, here) = (answers.clone(), here.try_clone().unwrap());
            let sockets: Vec<Bound> = borrowed
                .iter()
                .map(|one| Bound {
                    fd: one.fd.try_clone().unwrap(),
                    ..socket(one.frontend, one.bind)
                })
                .collect();
            move || send(&here, &answers, &sockets.iter().collect::<Vec<_>>()).unwrap()
        });
        let (told, arrived) = receive(&there).unwrap().unwrap();
        sender.join().unwrap();
        assert_eq!(told, answers);
        assert_eq!(arrived.len(), 300);
        assert!(
            arrived.iter().zip(&sockets).all(|(a, b)| (a.frontend, a.bind) == (b.frontend, b.bind))
        );
        let (arrived, sockets) = (listeners(arrived), listeners(sockets));
        assert!(fresh(&arrived, &sockets).unwrap().is_empty(), "the same sockets");
        drop(here);
        assert!(receive(&there).unwrap().is_none(), "the master is gone");
    }

    #[test]
    fn nonsense_is_no_order() {
        for bytes in [&b"x"[..], b"2\n0 0\n", b"1\nx y\n", b"0\n9 9 9"] {
            let (here, there) = UnixStream::pair().unwrap();
            let memory = linux::file::memory_file("t", bytes).unwrap();
            rights::send(&here, b".", &[memory.as_fd()]).unwrap();
            assert!(receive(&there).is_err(), "{bytes:?}");
            rights::send(&here, b".", &[]).unwrap();
            assert!(receive(&there).is_err(), "no file came along");
        }
    }

    #[test]
    fn what_did_not_arrive_is_answered_and_the_line_goes_on() {
        let (here, there) = UnixStream::pair().unwrap();
        let (gone, is_gone) = std::sync::mpsc::channel();
        let read = || Err("nothing to read".to_owned());
        let mut orders = listen(&there, read, move || gone.send(()).unwrap()).unwrap();
        drop(there);
        let heard = |text: &str| {
            let mut head = [0; 5];
            (&here).read_exact(&mut head).unwrap();
            let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
            let mut words = vec![0; length as usize];
            (&here).read_exact(&mut words).unwrap();
            assert_eq!((head[0], String::from_utf8(words).unwrap().as_str()), (b'n', text));
        };
        rights::send(&here, b".", &[]).unwrap();
        heard("the worker could not take what it was sent");
        send(&here, &Answers::default(), &[]).unwrap();
        heard("nothing to read");
        drop(here);
        is_gone.recv().unwrap();
        assert!(orders.blocking_recv().is_none());
    }

    #[test]
    fn a_worker_answers_in_words_and_its_end_is_told_as_one() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for told in [Ok("backend be: server s3 added".to_owned()), Err(String::new())] {
            let (here, there) = UnixStream::pair().unwrap();
            say(&there, &told).unwrap();
            drop(there);
            runtime.block_on(async {
                here.set_nonblocking(true).unwrap();
                let mut here = tokio::net::UnixStream::from_std(here).unwrap();
                assert_eq!(answer(&mut here).await.unwrap(), told);
                assert!(answer(&mut here).await.is_err());
            });
        }
    }

    fn listeners(sockets: Vec<Bound>) -> Listeners {
        Listeners { sockets, stats: vec![] }
    }

    #[test]
    fn only_sockets_that_were_not_there_are_fresh() {
        let before = listeners(vec![socket(0, 0)]);
        let kept = before.sockets[0].fd.try_clone().unwrap();
        let kept = Bound { frontend: 3, bind: 1, fd: kept };
        let mut now = listeners(vec![kept, socket(0, 0)]);
        assert!(matches!(fresh(&now, &before).unwrap()[..], [one] if one.frontend == 0));
        now.stats.push((0, socket(0, 0).fd));
        assert!(fresh(&now, &before).is_err(), "nobody would accept there");
    }
}

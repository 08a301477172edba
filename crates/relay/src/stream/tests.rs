use std::io::{self, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;

use super::*;

/// A connection on loopback: the far end, and the near one for a [`Stream`].
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let far = TcpStream::connect(listener.local_addr().expect("bound")).expect("room");
    let (near, _) = listener.accept().expect("a client");
    near.set_nonblocking(true).expect("a mode");
    (far, near)
}

/// Reads to the end; what each read gave.
async fn read_all(stream: &Stream) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let mut buffer = [0; 64];
        match read_some(stream, &mut buffer).await {
            0 => return all,
            length => all.push(buffer[..length].to_vec()),
        }
    }
}

/// Reads once; whoever waits longer than 20 s waits in vain.
async fn read_some(stream: &Stream, buffer: &mut [u8]) -> usize {
    let mut timer = crate::timer::Timer::new();
    let late = crate::timer::now() + 20_000;
    let read = std::future::poll_fn(|cx| {
        timer.arm(late, cx);
        assert!(crate::timer::now() < late, "nothing more is told");
        stream.poll_recv(cx, buffer)
    });
    read.await.expect("a connection")
}

fn is_open(number: i32) -> bool {
    Path::new(&format!("/proc/self/fd/{number}")).exists()
}

#[test]
fn an_end_that_came_with_the_last_bytes_is_known_after_them() {
    let (mut far, near) = pair();
    far.write_all(b"all there is").expect("room");
    far.shutdown(Shutdown::Write).expect("connected");
    crate::block_on(async {
        let stream = Stream::new(near).expect("an epoll set");
        while !stream.ready(Ready::READABLE).await.expect("always").is_read_closed() {
            executor::clear(stream.key, Ready::READABLE);
        }
        let mut buffer = [0; 64];
        assert_eq!(stream.try_read(&mut buffer).expect("bytes"), 12);
        assert!(executor::ready(stream.key).has(Ready::AT_END), "the end is not asked for");
        assert_eq!(stream.try_read(&mut buffer).expect("the end"), 0);
    })
    .expect("an epoll set");
}

#[test]
fn a_full_buffer_is_not_taken_for_the_end() {
    let (mut far, near) = pair();
    far.write_all(&[7; 130]).expect("room");
    drop(far);
    crate::block_on(async {
        let stream = Stream::new(near).expect("an epoll set");
        let lengths: Vec<_> = read_all(&stream).await.iter().map(Vec::len).collect();
        assert_eq!(lengths, [64, 64, 2]);
    })
    .expect("an epoll set");
}

#[test]
fn urgent_data_in_the_middle_hides_nothing_that_follows() {
    // Linux keeps the urgent byte apart: a read ends where it was, however much follows.
    for ends in [false, true] {
        let (mut far, near) = pair();
        far.write_all(b"before").expect("room");
        socket2::SockRef::from(&far).send_out_of_band(b"!").expect("room");
        far.write_all(b"after").expect("room");
        if ends {
            far.shutdown(Shutdown::Write).expect("connected");
        }
        crate::block_on(async {
            let stream = Stream::new(near).expect("an epoll set");
            let mut buffer = [0; 64];
            let mut heard = Vec::new();
            while heard.len() < 11 {
                let length = read_some(&stream, &mut buffer).await;
                assert_ne!(length, 0, "{:?} is not all", String::from_utf8_lossy(&heard));
                heard.extend_from_slice(&buffer[..length]);
            }
            assert_eq!(heard, b"beforeafter");
            if ends {
                assert!(read_all(&stream).await.is_empty());
            }
        })
        .expect("an epoll set");
    }
}

#[test]
fn streams_that_are_over_are_closed_before_the_thread_waits() {
    let ((far, near), (_other, second)) = (pair(), pair());
    let (first_fd, second_fd) = (near.as_raw_fd(), second.as_raw_fd());
    crate::block_on(async {
        let stream = Stream::new(near).expect("an epoll set");
        let second = Stream::new(second).expect("an epoll set");
        drop((stream, second));
        assert!(is_open(first_fd) && is_open(second_fd), "they are closed together, later");
        let far = Stream::new(far).expect("an epoll set");
        assert!(read_all(&far).await.is_empty(), "the other end is told");
    })
    .expect("an epoll set");
}

#[test]
fn outside_of_a_running_thread_a_stream_is_closed_at_once() {
    let (mut far, near) = pair();
    let stream = Stream::new(near).expect("an epoll set");
    drop(stream);
    far.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("a mode");
    assert_eq!(io::Read::read(&mut far, &mut [0]).expect("the end"), 0);
}

#[test]
fn whoever_finds_no_descriptor_gets_one_of_those_that_are_over() {
    let (_far, near) = pair();
    crate::block_on(async {
        let stream = Stream::new(near).expect("an epoll set");
        let none = || Err::<(), _>(io::Error::from(Errno::EMFILE));
        assert!(executor::with_descriptor(none).is_err(), "there is nothing to close");
        drop(stream);
        let mut tries = 0;
        let taken = executor::with_descriptor(|| {
            tries += 1;
            if tries == 1 { Err(io::Error::from(Errno::ENFILE)) } else { Ok(tries) }
        });
        assert_eq!(taken.expect("the second time"), 2);
        let other = || Err::<(), _>(io::Error::from(Errno::ECONNABORTED));
        assert!(executor::with_descriptor(other).is_err());
    })
    .expect("an epoll set");
}

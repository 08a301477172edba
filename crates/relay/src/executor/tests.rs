use std::cell::RefCell;
use std::future::poll_fn;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use super::*;
use crate::{Listener, Stream};

/// Gives the other tasks a turn.
async fn turn() {
    let mut first = true;
    poll_fn(|cx| {
        if std::mem::take(&mut first) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}

#[test]
fn tasks_take_turns_and_are_dropped_with_the_root() {
    struct Dropped(Rc<RefCell<Vec<u32>>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.borrow_mut().push(99);
        }
    }
    let said = Rc::new(RefCell::new(Vec::new()));
    let mark = |number| {
        let said = Rc::clone(&said);
        async move {
            said.borrow_mut().push(number);
            turn().await;
            said.borrow_mut().push(number + 10);
        }
    };
    block_on(async {
        spawn(mark(1));
        spawn(mark(2));
        let held = Dropped(Rc::clone(&said));
        spawn(async move {
            let _held = held;
            std::future::pending().await
        });
        for _ in 0..4 {
            turn().await;
        }
    })
    .expect("an epoll set");
    assert_eq!(*said.borrow(), [1, 2, 11, 12, 99]);
}

#[test]
fn a_task_that_panics_takes_no_other_with_it() {
    let reached = Rc::new(Cell::new(false));
    block_on(async {
        spawn(async { panic!("as it is meant to") });
        let reached = Rc::clone(&reached);
        spawn(async move { reached.set(true) });
        turn().await;
        turn().await;
    })
    .expect("an epoll set");
    assert!(reached.get());
}

#[test]
fn a_cancelled_task_drops_what_it_held_at_once() {
    let held = Rc::new(());
    block_on(async {
        let inside = Rc::clone(&held);
        let task = spawn(async move {
            let _inside = inside;
            std::future::pending().await
        });
        turn().await;
        assert_eq!(Rc::strong_count(&held), 2);
        task.cancel();
        assert_eq!(Rc::strong_count(&held), 1);
    })
    .expect("an epoll set");
}

#[test]
fn another_thread_wakes_a_thread_that_waits() {
    let (tell, told) = tokio::sync::oneshot::channel();
    let other = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        tell.send(7).expect("somebody waits");
    });
    assert_eq!(block_on(told).expect("an epoll set"), Ok(7));
    other.join().expect("no panic");
}

#[test]
fn timers_wake_a_thread_that_waits() {
    let start = timer::now();
    block_on(timer::until(start + 30)).expect("an epoll set");
    let took = timer::now() - start;
    assert!((30..1_000).contains(&took), "{took} ms");
}

#[test]
fn a_storm_is_accepted_whole_and_a_pause_loses_nobody() {
    const CLIENTS: usize = 200;
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound");
    // std's queue is as long as the system allows.
    let clients: Vec<_> =
        (0..CLIENTS / 2).map(|_| TcpStream::connect(address).expect("room")).collect();
    let more = thread::spawn(move || -> Vec<TcpStream> {
        (0..CLIENTS / 2).map(|_| TcpStream::connect(address).expect("room")).collect()
    });
    block_on(async {
        let listener = Listener::new(listener.into()).expect("an epoll set");
        let mut accepted = Vec::new();
        for at in 0..CLIENTS {
            let (stream, peer) = listener.accept().await.expect("a client");
            assert!(peer.is_some());
            accepted.push(stream);
            if at % 50 == 7 {
                // Nobody accepts meanwhile, and nothing spins: the socket is told of once.
                let before = super::turn();
                timer::until(timer::now() + 20).await;
                assert!(super::turn() - before < 10);
            }
        }
        for stream in &accepted {
            stream.ready(Ready::WRITABLE).await.expect("always");
        }
    })
    .expect("an epoll set");
    drop((clients, more.join().expect("no panic")));
}

#[test]
fn events_of_a_socket_that_is_gone_reach_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound");
    let pair = || {
        let far = TcpStream::connect(address).expect("room");
        let (near, _) = listener.accept().expect("a client");
        near.set_nonblocking(true).expect("a mode");
        (far, near)
    };
    let (mut first_far, first) = pair();
    let (mut second_far, second) = pair();
    let kept = first.try_clone().expect("a descriptor");
    block_on(async {
        let stream = Stream::new(first).expect("an epoll set");
        // It stays open elsewhere, so it stays in the set: its place is the next one's.
        drop(stream);
        let stream = Stream::new(second).expect("an epoll set");
        first_far.write_all(b"to nobody").expect("room");
        timer::until(timer::now() + 5).await;
        let ready = executor_ready(&stream);
        assert!(!ready.is_readable(), "{ready:?}");
        second_far.write_all(b"hello").expect("room");
        stream.readable().await.expect("always");
        let mut buffer = [0; 16];
        assert_eq!(stream.try_read(&mut buffer).expect("bytes"), 5);
        let again = stream.try_read(&mut buffer).expect_err("nothing is left");
        assert_eq!(again.kind(), io::ErrorKind::WouldBlock);
    })
    .expect("an epoll set");
    drop(kept);
}

fn executor_ready(stream: &Stream) -> Ready {
    let context = Context::from_waker(Waker::noop());
    match stream.poll_ready(&context, Ready::READABLE) {
        Poll::Ready(ready) => ready,
        Poll::Pending => Ready::NOTHING,
    }
}

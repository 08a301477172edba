use std::cell::Cell;
use std::rc::Rc;

use super::*;

fn on_a_thread(test: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        tokio::spawn(drive());
        test.await;
    });
}

#[test]
fn timers_fire_in_order_and_not_early() {
    on_a_thread(async {
        let start = now();
        until(start + 30).await;
        let middle = now();
        assert!(middle >= start + 30);
        until(start + 10).await;
        assert!(now() - middle < 20, "a moment that has passed does not wait");
    });
}

#[test]
fn an_earlier_timer_wakes_the_sleeper() {
    let order = Rc::new(Cell::new(0));
    on_a_thread(async {
        let start = now();
        let long = async {
            until(start + 60).await;
            order.set(order.get() * 10 + 2);
        };
        let short = async {
            until(start + 20).await;
            order.set(order.get() * 10 + 1);
        };
        tokio::join!(long, short);
    });
    assert_eq!(order.get(), 12);
}

#[test]
fn a_dropped_timer_leaves_nothing_behind() {
    on_a_thread(async {
        let mut timers: Vec<_> = (0..10).map(|_| Timer::new()).collect();
        poll_fn(|cx| {
            for (timer, at) in timers.iter_mut().zip(now() + 1_000..) {
                timer.arm(at, cx);
                timer.arm_by(at + 5, now(), cx);
                assert_eq!(timer.deadline(), Some(at), "an early wake-up is left where it is");
            }
            Poll::Ready(())
        })
        .await;
        let count = || WHEEL.with_borrow(|wheel| (wheel.due.len(), wheel.wakers.len()));
        assert_eq!(count(), (10, 10));
        drop(timers);
        assert_eq!(count(), (0, 0));
    });
}

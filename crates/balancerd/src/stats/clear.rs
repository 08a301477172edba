//! `clear counters`.

use std::sync::atomic::Ordering::Relaxed;

use crate::health::Board;
use crate::state::{Shared, Traffic};

/// Forgets the highest values there were; with `all` also everything that is counted of proxies and
/// servers. What is there now stays.
pub(crate) fn clear(shared: &Shared, board: &Board, all: bool) {
    let _ = board;
    shared.rate.forget_most();
    for frontend in &shared.frontends {
        traffic(&frontend.traffic, all);
    }
    for backend in &shared.backends {
        traffic(&backend.traffic, all);
        backend.balancer.with(balance::Pool::forget_peaks);
        for server in &*backend.servers {
            traffic(&server.traffic, all);
        }
    }
}

fn traffic(traffic: &Traffic, all: bool) {
    traffic.peak.store(traffic.current.load(Relaxed), Relaxed);
    traffic.rate.forget_most();
    for most in [
        &traffic.longest_queue,
        &traffic.longest_connect,
        &traffic.longest_total,
        &traffic.http.longest_response,
    ] {
        most.store(0, Relaxed);
    }
    if !all {
        return;
    }
    let counters = [
        &traffic.total,
        &traffic.bytes_in,
        &traffic.bytes_out,
        &traffic.connect_errors,
        &traffic.server_aborts,
        &traffic.server_timeouts,
        &traffic.client_aborts,
        &traffic.retries,
        &traffic.redispatches,
        &traffic.picked,
        &traffic.queue_time,
        &traffic.connect_time,
        &traffic.total_time,
        &traffic.http.response_time,
    ];
    counters.into_iter().for_each(|counter| counter.store(0, Relaxed));
}

//! How late answers are at half the rate that is the most for the slowest program.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use super::load;

/// Clients at the same time.
const CLIENTS: usize = 16;

/// Connections a second that ask once and end, as many as go through.
pub(super) fn saturate(listen: SocketAddr) -> anyhow::Result<f64> {
    const SECONDS: f64 = 1.5;
    let until = Instant::now() + Duration::from_secs_f64(SECONDS);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            thread::spawn(move || -> anyhow::Result<usize> {
                let mut count = 0;
                while Instant::now() < until {
                    load::ask(listen, 1)?;
                    count += 1;
                }
                Ok(count)
            })
        })
        .collect();
    let mut total = 0;
    for client in clients {
        total += client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
    }
    Ok(total as f64 / SECONDS)
}

/// Microseconds until the answer, from the moment a connection was due, for the slowest of a hundred
/// connections at a steady rate.
pub(super) fn slowest_of_a_hundred(
    listen: SocketAddr,
    rate: f64,
    seconds: u64,
) -> anyhow::Result<f64> {
    let count = (rate * seconds as f64) as usize;
    let begin = Instant::now() + Duration::from_millis(20);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|first| {
            thread::spawn(move || -> anyhow::Result<Vec<f64>> {
                let mut took = Vec::new();
                for at in (first..count).step_by(CLIENTS) {
                    let due = begin + Duration::from_secs_f64(at as f64 / rate);
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    load::ask(listen, 1)?;
                    took.push(due.elapsed().as_secs_f64() * 1e6);
                }
                Ok(took)
            })
        })
        .collect();
    let mut all = Vec::new();
    for client in clients {
        all.extend(client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??);
    }
    all.sort_by(f64::total_cmp);
    Ok(all.get(all.len() * 99 / 100).copied().unwrap_or(f64::NAN))
}

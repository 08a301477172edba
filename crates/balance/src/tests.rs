use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use machine::Instant;

use crate::*;

mod follow;
mod haproxy;
mod hash;
mod laws;
mod nginx;
mod queue;

/// A pool of servers with these weights, and its clock.
struct Bench {
    pool: Pool,
    now: Instant,
    wakes: Vec<Wake>,
}

impl Bench {
    fn new(algorithm: Algorithm, weights: &[u32]) -> Self {
        Self::with(algorithm, weights.iter().map(|&weight| ServerConfig { weight, ..server() }))
    }

    fn with(algorithm: Algorithm, servers: impl IntoIterator<Item = ServerConfig>) -> Self {
        let config = PoolConfig { algorithm, seed: 1, ..PoolConfig::default() };
        let servers = servers
            .into_iter()
            .enumerate()
            .map(|(index, server)| ServerConfig { id: index as u32 + 1, ..server });
        Self { pool: Pool::new(config, servers), now: Instant::ZERO, wakes: vec![] }
    }

    fn pick(&mut self) -> Choice {
        self.pool.pick(self.now, &mut Candidates::new(None))
    }

    /// Opens a connection and keeps it; the server's number from 1, 0 for nothing.
    fn open(&mut self) -> usize {
        match self.pick() {
            Choice::Server(ServerId(index)) => index + 1,
            Choice::Wait(_) | Choice::Full(_) | Choice::Nothing => 0,
        }
    }

    fn close(&mut self, server: usize) {
        self.pool.release(self.now, ServerId(server - 1), &mut self.wakes);
    }

    /// One connection after another: the servers' numbers.
    fn turns(&mut self, count: usize) -> String {
        let mut turns = String::new();
        for _ in 0..count {
            let server = self.open();
            turns.push_str(&alloc::format!("{server}"));
            if server > 0 {
                self.close(server);
            }
        }
        turns
    }

    /// Connections that stay open.
    fn open_many(&mut self, count: usize) -> String {
        (0..count).map(|_| alloc::format!("{}", self.open())).collect()
    }

    fn set(&mut self, server: usize, state: State) {
        self.pool.set_state(self.now, ServerId(server - 1), state, &mut self.wakes);
    }

    fn weigh(&mut self, server: usize, weight: u32) {
        self.pool.set_weight(self.now, ServerId(server - 1), weight, &mut self.wakes);
    }

    fn wait(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }
}

fn server() -> ServerConfig {
    ServerConfig::default()
}

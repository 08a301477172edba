//! A pool that takes the place of another one.

use alloc::vec::Vec;

use machine::Instant;

use super::{Picker, Pool, ServerId, State, Wake};
use crate::config::{PoolConfig, ServerConfig};

impl Pool {
    /// The pool that `before` becomes with another configuration. `kept` names, for each of
    /// `servers`, the one it was there.
    ///
    /// A server that was there before keeps its state, its connections, its failures and, if the
    /// configured one is the same, the weight and the limit it was given. Those connections are counted here from
    /// now on: they are to be [released](Self::release) here. Who waited for any server or for one
    /// that stays has the same ticket and place here; who waited for another picks again.
    pub fn following(
        config: PoolConfig,
        servers: impl IntoIterator<Item = ServerConfig>,
        before: &mut Self,
        kept: &[Option<ServerId>],
        now: Instant,
        wakes: &mut Vec<Wake>,
    ) -> Self {
        let mut pool = Self::build(config, servers);
        // Whoever still waits there, or will, has none of the numbers that are given here.
        pool.tickets = before.tickets + (1 << 32);
        for (index, was) in kept.iter().enumerate().take(pool.servers.len()) {
            let Some(was) = was.filter(|was| was.0 < before.servers.len()) else { continue };
            pool.keep(ServerId(index), before, was, now);
        }
        pool.queue = core::mem::take(&mut before.queue);
        pool.waiting += pool.queue.len();
        before.waiting = 0;
        for server in &mut before.servers {
            while let Some((ticket, _)) = server.queue.pop() {
                wakes.push(Wake::PickAgain { ticket });
            }
        }
        pool.start();
        pool.after_change(now, wakes);
        pool
    }

    fn keep(&mut self, id: ServerId, before: &mut Self, was: ServerId, now: Instant) {
        let fixed = self.config.is_static();
        let slow = !fixed && !self.config.algorithm.is_smooth();
        let old = &mut before.servers[was.0];
        let server = &mut self.servers[id.0];
        if server.config.disabled == old.config.disabled {
            (server.state, server.step) = match old.state {
                State::Starting { .. } if !slow || server.config.slowstart.is_zero() => {
                    (State::Up, None)
                }
                state => (state, old.step),
            };
        }
        if server.config.weight == old.config.weight && !fixed {
            server.weight = old.weight;
        }
        if server.limits == old.limits {
            (server.config.minconn, server.config.maxconn) =
                (old.config.minconn, old.config.maxconn);
        }
        if server.configured == old.configured {
            server.config.address = old.config.address;
        }
        server.effective = server.weight * server.share(now);
        server.served = core::mem::take(&mut old.served);
        server.max_served = old.max_served;
        server.queue = core::mem::take(&mut old.queue);
        self.connections[id.0] = server.served;
        before.connections[was.0] = 0;
        self.served += server.served;
        self.waiting += server.queue.len();
        before.served -= server.served;
        if let (Picker::Smooth(smooth), Picker::Smooth(known)) = (&mut self.picker, &before.picker)
        {
            let weight = server.weight;
            if weight != server.config.weight {
                smooth.set_weight(id, weight);
            }
            smooth.follow(id, known, was);
        }
    }
}

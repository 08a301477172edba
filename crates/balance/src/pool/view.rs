//! What a pool shows of itself.

use super::{Pool, SCALE, Server, ServerId, State};

impl Pool {
    /// What holds for a server right now.
    #[must_use]
    pub fn server(&self, id: ServerId) -> ServerView {
        let server = &self.servers[id.0];
        ServerView {
            state: server.state,
            weight: server.weight,
            current_weight: server.effective.div_ceil(SCALE),
            throttle: match server.state {
                State::Starting { .. } if server.weight > 0 => {
                    Some(server.effective * 100 / (server.weight * SCALE))
                }
                _ => None,
            },
            maxconn: server.config.maxconn,
            served: server.served,
            max_served: server.max_served,
            queued: server.queue.len(),
            max_queued: server.queue.max,
            usable: server.usable(),
            backup: server.config.backup,
        }
    }

    /// What holds for the pool right now.
    #[must_use]
    pub fn view(&self) -> PoolView {
        let count = |backup| {
            let usable = |server: &&Server| server.usable() && server.config.backup == backup;
            self.servers.iter().filter(usable).count() as u32
        };
        let group = self.group();
        let weight = self
            .servers
            .iter()
            .filter(|s| s.usable() && Some(usize::from(s.config.backup)) == group)
            .map(|server| server.effective)
            .sum::<u32>();
        PoolView {
            active: count(false),
            backup: count(true),
            weight: weight.div_ceil(SCALE),
            served: self.served,
            queued: self.queue.len(),
            max_queued: self.queue.max,
            waiting: self.waiting,
        }
    }
}

/// One server of a pool, as [`Pool::server`] shows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ServerView {
    /// Whether it takes connections.
    pub state: State,
    /// Its weight without slow start.
    pub weight: u32,
    /// Its weight in force, rounded up.
    pub current_weight: u32,
    /// Slow start: per cent of its weight that is in force.
    pub throttle: Option<u32>,
    /// The most it may have; 0 is no limit.
    pub maxconn: u32,
    /// Connections it has.
    pub served: u32,
    /// The most it ever had at a time.
    pub max_served: u32,
    /// Connections that wait for it.
    pub queued: u32,
    /// The most that ever waited for it.
    pub max_queued: u32,
    /// Whether it can be picked: its state allows it and its weight is not 0.
    pub usable: bool,
    /// Whether it is a backup.
    pub backup: bool,
}

/// A whole pool, as [`Pool::view`] shows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PoolView {
    /// Servers that can be picked, without backups.
    pub active: u32,
    /// Backups that can be picked.
    pub backup: u32,
    /// Total weight of the servers in use.
    pub weight: u32,
    /// Connections that have a server.
    pub served: u32,
    /// Connections that wait for any server.
    pub queued: u32,
    /// The most that ever waited for any server.
    pub max_queued: u32,
    /// All connections that wait, those for a certain server included.
    pub waiting: u32,
}

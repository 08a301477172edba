//! Virtual routers that move together (`vrrp_sync_group`).
//!
//! ```text
//!   Instance ── Standing ──┐               ┌─► Order::Tell(i, Sync) ──► Instance i, and look again
//!   Instance ── Standing ──┼─► Group::look ┼─► Order::Entered ──► notify scripts
//!   Instance ── Standing ──┘               └─► Order::Log
//! ```
//!
//! A member is master only with all others. One that could take over waits until the others could
//! too; then all do at once. One that gives way or fails takes the others along.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::action::State;
use crate::log::{LogLine, Message};

/// Whether a member can take part, whatever the others do.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Fitness {
    /// It can.
    #[default]
    Fit,
    /// A script has yet to give its first result.
    Pending,
    /// Something is wrong.
    Faulty,
}

/// What a sync group tells one of its members.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sync {
    /// The worst of the other members.
    Peers(Fitness),
    /// All could take over: do.
    Master,
    /// Another member is master no more: nor are you.
    Backup {
        /// It resigned with an advert of priority 0, instead of giving way to somebody better.
        resign: bool,
    },
}

/// How a member stands, as a [`Group`] needs to know it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Standing {
    /// Its state.
    pub state: State,
    /// It was started, and not shut down.
    pub started: bool,
    /// A backup that would be master now, but for the others.
    pub ready: bool,
    /// It has the addresses.
    pub holds: bool,
    /// It was master last, and sent an advert of priority 0 at the end.
    pub resigned: bool,
    /// Whether it can take part, but for the others.
    pub fitness: Fitness,
    /// What it was told of the others.
    pub peers: Fitness,
}

/// What a group wants done, in this order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Order {
    /// Hand [`Event::Group`](crate::Event::Group) to the member at this place.
    Tell(usize, Sync),
    /// The state of the group changed: for notify scripts and mails.
    Entered(State),
    /// Tell the operator.
    Log(LogLine),
}

/// A sync group.
///
/// After anything happened to a member, let it [look](Self::look) at all of them and carry out its
/// orders; and look again until there are none. It needs no clock.
///
/// ```
/// use vrrp::{Fitness, Group, Order, Standing, State, Sync};
///
/// let backup = Standing {
///     state: State::Backup,
///     started: true,
///     ready: false,
///     holds: false,
///     resigned: false,
///     fitness: Fitness::Fit,
///     peers: Fitness::Fit,
/// };
/// let ready = Standing { ready: true, ..backup };
/// let mut group = Group::new("G");
/// assert_eq!(group.look(0, &[backup, backup]), [Order::Entered(State::Backup)]);
/// assert_eq!(group.look(0, &[ready, backup]), [], "the other hears a better master");
/// let orders = group.look(1, &[ready, ready]);
/// assert_eq!(orders[0], Order::Tell(1, Sync::Master));
/// assert_eq!(orders[2], Order::Tell(0, Sync::Master));
/// ```
#[derive(Clone, Debug)]
pub struct Group {
    name: Arc<str>,
    /// As last entered.
    state: State,
    /// All were told to be master, which was not entered yet.
    promoted: bool,
}

impl Group {
    /// A group whose members are not started yet.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), state: State::Init, promoted: false }
    }

    /// A group whose members go on as masters after their process was restarted.
    #[must_use]
    pub fn resumed(name: &str) -> Self {
        Self { state: State::Master, ..Self::new(name) }
    }

    /// Its name in the logs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What all its members are, as last entered.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// What is to be done, after something happened to the member at `cause`; nothing if all is well.
    ///
    /// # Panics
    /// If there is no member at `cause`.
    #[must_use]
    pub fn look(&mut self, cause: usize, members: &[Standing]) -> Vec<Order> {
        if members.iter().any(|member| !member.started) {
            return self.stopping(members);
        }
        let orders = self.fitness(cause, members);
        if !orders.is_empty() {
            return orders;
        }
        let count = |is: fn(&Standing) -> bool| members.iter().filter(|m| is(m)).count();
        let masters = count(|member| member.state == State::Master);
        let could = count(|member| member.state == State::Master || member.ready);
        if masters == members.len() {
            let held = members.iter().all(|member| member.holds);
            return if held { self.enter(State::Master) } else { Vec::new() };
        }
        if could == members.len() && masters == 0 {
            self.promoted = true;
            return self.all(cause, members, Sync::Master, State::Master);
        }
        if masters > 0 {
            let left = members.iter().find(|member| member.state != State::Master);
            let resign = left.is_some_and(|member| member.resigned);
            return self.all(cause, members, Sync::Backup { resign }, State::Backup);
        }
        let all = |state| members.iter().all(|member| member.state == state);
        match members.first().map(|member| member.state) {
            Some(state) if all(state) => self.enter(state),
            Some(_) | None => Vec::new(),
        }
    }

    /// When all its members have been shut down.
    fn stopping(&mut self, members: &[Standing]) -> Vec<Order> {
        if members.iter().all(|member| member.state == State::Init) {
            self.enter(State::Init)
        } else {
            Vec::new()
        }
    }

    /// Tells each member of the worst of the others.
    fn fitness(&self, cause: usize, members: &[Standing]) -> Vec<Order> {
        let mut orders = Vec::new();
        let mut told = None;
        for (i, member) in members.iter().enumerate() {
            let others = members.iter().enumerate().filter(|(other, _)| *other != i);
            let worst = others.map(|(_, other)| other.fitness).max().unwrap_or_default();
            if worst != member.peers {
                told = told.max(Some((worst, member.peers)));
                orders.push(Order::Tell(i, Sync::Peers(worst)));
            }
        }
        let own = members[cause].state;
        let line = match told {
            Some((Fitness::Faulty, _)) if own == State::Fault => Some(State::Fault),
            Some((Fitness::Fit, Fitness::Faulty)) if own == State::Backup => Some(State::Backup),
            Some(_) | None => None,
        };
        if let Some(state) = line.filter(|to| members.iter().any(|member| member.state != *to)) {
            orders.insert(0, self.syncing(state));
        }
        orders
    }

    /// Moves everybody, the one that made it possible first.
    fn all(&self, cause: usize, members: &[Standing], to: Sync, state: State) -> Vec<Order> {
        let moves = |i: &usize| (members[*i].state == State::Master) != (to == Sync::Master);
        let mut orders = Vec::new();
        if moves(&cause) {
            orders.push(Order::Tell(cause, to));
        }
        orders.push(self.syncing(state));
        let others = (0..members.len()).filter(|i| *i != cause).filter(moves);
        orders.extend(others.map(|i| Order::Tell(i, to)));
        orders
    }

    fn enter(&mut self, state: State) -> Vec<Order> {
        let promoted = core::mem::take(&mut self.promoted);
        if self.state == state {
            // It was master, if only until somebody better was heard.
            if promoted && state != State::Master {
                return alloc::vec![Order::Entered(State::Master), Order::Entered(state)];
            }
            return Vec::new();
        }
        self.state = state;
        alloc::vec![Order::Entered(state)]
    }

    fn syncing(&self, state: State) -> Order {
        Order::Log(LogLine::new(&self.name, Message::GroupSyncing(state)))
    }
}

impl crate::config::SyncGroupConfig {
    /// Whether `instance` is a member.
    #[must_use]
    pub fn has(&self, instance: &String) -> bool {
        self.instances.contains(instance)
    }
}

//! Virtual routers that move together: a `vrrp::Group` looks after the members.
//!
//! ```text
//!   feed(member) ──► its standing changed? ──► Group::look ──► tell others, and look again
//! ```

use vrrp::config::SyncGroupConfig;
use vrrp::{Event, Fitness, Group, Order, Standing, State, Sync};

use super::Role;
use crate::notify::Told;

/// The sync groups, and who is in which.
#[derive(Debug, Default)]
pub(super) struct Groups {
    teams: Vec<Team>,
    /// For each virtual router that has one: its group and its place there.
    places: Vec<Option<(usize, usize)>>,
}

#[derive(Debug)]
struct Team {
    group: Group,
    /// Places among the role's members.
    members: Vec<usize>,
    /// As last looked at.
    standings: Vec<Standing>,
}

impl Groups {
    /// Lets everybody be, until [`Role::regroup`], since places change.
    pub(super) fn suspend(&mut self) {
        self.places.clear();
    }
}

impl Role {
    /// Finds the members of each group anew, after they were made or a configuration changed.
    pub(super) fn regroup(&mut self) {
        let mut before = std::mem::take(&mut self.groups).teams;
        let mut places = vec![None; self.members.len()];
        for config in &self.config.sync_groups {
            let names = |index: &usize| config.has(&self.members[*index].config().name);
            let members: Vec<usize> = (0..self.members.len()).filter(names).collect();
            let known = before.iter().position(|team| team.group.name() == config.name);
            let group = match known {
                Some(at) => before.swap_remove(at).group,
                None if self.was_master(&members) => Group::resumed(&config.name),
                None => Group::new(&config.name),
            };
            for (place, member) in members.iter().enumerate() {
                places[*member] = Some((self.groups.teams.len(), place));
            }
            self.groups.teams.push(Team { group, members, standings: Vec::new() });
        }
        for (index, place) in places.iter().enumerate() {
            let grouped = place.is_some();
            self.members[index].instance.set_grouped(grouped);
            if !grouped {
                self.feed(index, Event::Group(Sync::Peers(Fitness::Fit)));
            }
        }
        self.groups.places = places;
        for team in 0..self.groups.teams.len() {
            if let Some(&first) = self.groups.teams[team].members.first() {
                self.look_after(first);
            }
        }
    }

    /// Whether all of them were masters in a role that died.
    fn was_master(&self, members: &[usize]) -> bool {
        !members.is_empty() && members.iter().all(|&index| self.inherits_master(index))
    }

    /// Lets the group of a member that was told something look at all its members.
    pub(super) fn look_after(&mut self, index: usize) {
        let Some(&Some((at, place))) = self.groups.places.get(index) else { return };
        let standing = self.members[index].instance.standing();
        if self.groups.teams[at].standings.get(place) == Some(&standing) {
            return;
        }
        loop {
            let team = &mut self.groups.teams[at];
            let of = |&member: &usize| self.members[member].instance.standing();
            team.standings = team.members.iter().map(of).collect();
            let orders = team.group.look(place, &team.standings);
            if orders.is_empty() {
                return;
            }
            for order in orders {
                match order {
                    Order::Tell(place, sync) => {
                        let member = self.groups.teams[at].members[place];
                        self.hand(member, Event::Group(sync));
                    }
                    Order::Entered(state) => self.group_entered(at, state),
                    Order::Log(line) => self.say(&line),
                }
            }
        }
    }

    /// All members of a group entered a state. Its end is told with those of all groups.
    fn group_entered(&mut self, at: usize, state: State) {
        let name = self.groups.teams[at].group.name();
        let config = self.config.sync_groups.iter().find(|group| group.name == name).cloned();
        if let (Some(config), Some(told)) = (config, Told::entered(state)) {
            self.tell_group(&config, told);
            self.trap_group(&config.name, state);
        }
    }

    /// The groups that are configured, and what all their members are.
    pub(super) fn group_states(&self) -> impl Iterator<Item = (&SyncGroupConfig, State)> {
        let state = |config: &SyncGroupConfig| {
            let mut teams = self.groups.teams.iter();
            let team = teams.find(|team| team.group.name() == config.name);
            team.map_or(State::Init, |team| team.group.state())
        };
        self.config.sync_groups.iter().map(move |config| (config, state(config)))
    }
}

//! What the MIBs are made of.

use std::time::Duration;

use vrrp::config::Config;
use vrrp::{Instance, State};

/// Everything there is to tell at one moment.
#[derive(Debug)]
pub(crate) struct View<'a> {
    /// What the daemon runs by.
    pub(crate) config: &'a Config,
    /// Its first log line's name and version.
    pub(crate) version: String,
    /// The name in mails.
    pub(crate) router_id: String,
    /// The sender in mails.
    pub(crate) mail_from: String,
    /// The instances, in the configuration's order.
    pub(crate) instances: Vec<InstanceView<'a>>,
    /// The sync groups, in the configuration's order.
    pub(crate) groups: Vec<GroupView<'a>>,
    /// The results of the configuration's scripts, in its order.
    pub(crate) scripts: Vec<ScriptState>,
    /// The numbers in the configuration's tracked files, in its order.
    pub(crate) files: Vec<i64>,
}

/// One virtual router.
#[derive(Debug)]
pub(crate) struct InstanceView<'a> {
    pub(crate) instance: &'a Instance,
    /// How long it has been in its state.
    pub(crate) in_state: Duration,
    /// The number of its interface, 0 if that is missing.
    pub(crate) link: u32,
    /// The hardware address its adverts leave from.
    pub(crate) hardware: Option<[u8; 6]>,
}

/// One sync group.
#[derive(Debug)]
pub(crate) struct GroupView<'a> {
    pub(crate) name: &'a str,
    pub(crate) state: State,
}

/// What is known of a script.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ScriptState {
    /// It has given no result.
    Unknown,
    Bad,
    Good,
}

impl View<'_> {
    /// The name of the group an instance is in, if any.
    pub(crate) fn group_of(&self, instance: &str) -> Option<&str> {
        let group = self
            .config
            .sync_groups
            .iter()
            .find(|group| group.instances.iter().any(|member| member == instance));
        group.map(|group| group.name.as_str())
    }
}

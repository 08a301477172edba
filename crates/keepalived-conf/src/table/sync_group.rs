//! `vrrp_sync_group NAME { … }`

use conf::{Form, Keyword, Status, Word};

use super::{NO_MAIL, NO_NOTIFY};
use crate::draft::GroupDraft;

type Group = Keyword<GroupDraft>;

/// Whether groups work.
pub(super) const STATUS: Status = Status::Planned;

pub(crate) const VRRP_SYNC_GROUP: &[Group] = &[
    Group::new(
        "group",
        Form::Lines("<instance>", |g, stmt, _| {
            let names = stmt.body().iter().flat_map(|line: &conf::Stmt| line.words.iter());
            g.members.extend(names.cloned().collect::<Vec<Word>>());
        }),
    )
    .status(STATUS)
    .doc("The instances that change state together."),
    Group::new("sync_group_tracking_weight", Form::Flag(|g| g.tracking_weight = true))
        .status(STATUS)
        .doc("Members keep the weights of what they track."),
    Group::planned("track_interface", "{ <ifname> [weight <-253..253>] … }")
        .doc("Interfaces every member follows."),
    Group::planned("track_script", "{ <name> [weight <-253..253>] … }")
        .doc("Scripts every member follows."),
    Group::planned("track_file", "{ <name> … }").doc("Files every member follows."),
    Group::planned("track_process", "{ <name> … }").doc("Processes every member follows."),
    Group::planned("track_bfd", "{ <name> … }").doc("BFD sessions every member follows."),
    Group::planned("global_tracking", "").doc("Deprecated: members follow what any of them does."),
    Group::accepted("notify", "<command>", NO_NOTIFY)
        .doc("A command run at every change of state."),
    Group::accepted("notify_master", "<command>", NO_NOTIFY)
        .doc("A command run on becoming master."),
    Group::accepted("notify_backup", "<command>", NO_NOTIFY)
        .doc("A command run on becoming backup."),
    Group::accepted("notify_fault", "<command>", NO_NOTIFY)
        .doc("A command run on leaving the race."),
    Group::accepted("notify_stop", "<command>", NO_NOTIFY).doc("A command run at the end."),
    Group::accepted("notify_priority_changes", "[on|off]", NO_NOTIFY)
        .doc("Tells the FIFO about priorities."),
    Group::accepted("smtp_alert", "[on|off]", NO_MAIL).doc("Mail at every change of state."),
];

//! `vrrp_sync_group NAME { … }`

use conf::{Binder, Form, Keyword, Stmt};

use super::track::{track_bfd, track_file, track_interface, track_process, track_script};
use super::{closing, complain, notify};
use crate::draft::GroupDraft;

type Group = Keyword<GroupDraft>;

const SOME: std::ops::RangeInclusive<usize> = 0..=usize::MAX;

pub(crate) const VRRP_SYNC_GROUP: &[Group] = &[
    Group::new("group", Form::Lines("<instance>", group))
        .doc("The instances that change state together."),
    Group::new("sync_group_tracking_weight", Form::Flag(|g| g.tracking_weight = true))
        .doc("Members keep the weights of what they track."),
    Group::new(
        "track_interface",
        Form::Lines("<ifname> [weight <-253..253> [reverse|noreverse]]", track_interface),
    )
    .doc("Interfaces every member follows."),
    Group::new(
        "track_script",
        Form::Lines("<name> [weight <-253..253> [reverse|noreverse]]", track_script),
    )
    .doc("Scripts every member follows."),
    Group::new(
        "track_file",
        Form::Lines("<name> [weight <-254..254> [reverse|noreverse]]", track_file),
    )
    .doc("Files every member follows."),
    Group::new(
        "track_process",
        Form::Lines("<name> [weight <-254..254> [reverse|noreverse]]", track_process),
    )
    .doc("Processes every member follows."),
    Group::new(
        "track_bfd",
        Form::Lines("<name> [weight <-253..253> [reverse|noreverse]]", track_bfd),
    )
    .status(conf::Status::Planned)
    .doc("BFD sessions every member follows."),
    Group::new("global_tracking", Form::Whole("", global_tracking))
        .doc("The old name of `sync_group_tracking_weight`, with a complaint."),
    Group::new("notify", Form::Whole("<command> [<user> [<group>]]", notify::script))
        .doc("A command run at every change of state, with GROUP, the name, the state and 0."),
    Group::new("notify_master", Form::Whole("<command> [<user> [<group>]]", notify::script))
        .doc("A command run on becoming master."),
    Group::new("notify_backup", Form::Whole("<command> [<user> [<group>]]", notify::script))
        .doc("A command run on becoming backup."),
    Group::new("notify_fault", Form::Whole("<command> [<user> [<group>]]", notify::script))
        .doc("A command run on leaving the race."),
    Group::new("notify_stop", Form::Whole("<command> [<user> [<group>]]", notify::script))
        .doc("A command run at the end."),
    Group::new("notify_priority_changes", Form::Words("[on|off]", SOME, notify::priority_changes))
        .doc("Tells the FIFO about priorities."),
    Group::new("smtp_alert", Form::Words("[on|off]", SOME, notify::smtp_alert)).doc(
        "Mail at every change of state; `smtp_alert_vrrp` or the global `smtp_alert` unless set.",
    ),
];

fn group(group: &mut GroupDraft, stmt: &Stmt, b: &mut Binder) {
    let name = &group.name;
    if group.listed {
        complain(b, stmt.at(), format!("Group list already specified for sync group {name}"));
        return;
    }
    group.listed = true;
    let members = stmt.body().iter().flat_map(|line| line.words.iter().cloned());
    group.members.extend(members);
    if group.members.is_empty() {
        complain(b, closing(stmt), format!("Warning - sync group {name} has empty group block"));
    }
}

fn global_tracking(group: &mut GroupDraft, stmt: &Stmt, b: &mut Binder) {
    group.tracking_weight = true;
    let said = format!(
        "({}) global_tracking is deprecated. Use track_interface/script/file on the sync group",
        group.name
    );
    complain(b, stmt.at(), said);
}

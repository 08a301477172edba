//! The keywords outside of any block.

use conf::{ANYWHERE, Binder, Form, Keyword, Place, Problem, Status, Stmt, Table};

use super::address;
use crate::draft::{Draft, GroupDraft};
use crate::wording::CHILD;

type Root = Keyword<Draft>;

/// Why the checked forms of `include` count as accepted only.
const AS_INCLUDE: &str = "read like include; its stricter checks are not made";

/// Blocks and single settings of a keepalived.conf.
pub(crate) const ROOT: &[Root] = &[
    Root::new("global_defs", Form::Block(&super::global_defs::GLOBAL_DEFS, global_defs))
        .doc("Settings of the whole daemon."),
    Root::new("vrrp_instance", Form::Block(&super::vrrp_instance::VRRP_INSTANCE, vrrp_instance))
        .spec("RFC 9568 §6")
        .doc("One virtual router on one interface."),
    Root::new("vrrp_script", Form::Block(&super::vrrp_script::VRRP_SCRIPT, vrrp_script))
        .doc("A command that is run every so often, for instances to follow."),
    Root::new("static_ipaddress", Form::Lines("<addr>[/<len>] [dev <ifname>]", static_ipaddress))
        .doc("Addresses this node holds whatever its state."),
    Root::new("vrrp_sync_group", Form::Block(&super::sync_group::VRRP_SYNC_GROUP, sync_group))
        .status(super::sync_group::STATUS)
        .doc("Instances that change state together."),
    Root::new("include", Form::Known("<pattern>"))
        .doc("Reads the files a pattern names as if they stood here."),
    Root::accepted("includer", "<pattern>", AS_INCLUDE).doc("`include`, an error if unreadable."),
    Root::accepted("includem", "<pattern>", AS_INCLUDE)
        .doc("`include`, an error if a plain name does not exist."),
    Root::accepted("includew", "<pattern>", AS_INCLUDE)
        .doc("`include`, an error if nothing matches."),
    Root::accepted("includeb", "<pattern>", AS_INCLUDE)
        .doc("`include`, an error if a part in braces matches nothing."),
    Root::accepted("includea", "<pattern>", AS_INCLUDE).doc("All of the above."),
    Root::new("$NAME=", Form::Known("<text>"))
        .doc("Defines text that `$NAME` and `${NAME}` stand for; `\\` at the end continues it."),
    Root::new("${_ENV", Form::Known("<variable>}")).doc("The value of an environment variable."),
    Root::new("${_PWD}", Form::Known("")).doc("The directory of the file."),
    Root::new("${_INSTANCE}", Form::Known("")).doc("What `-i` set, or the short host name."),
    Root::new("${_HASH}", Form::Known("")).doc("A `#` that starts no comment."),
    Root::new("${_BANG}", Form::Known("")).doc("A `!` that starts no comment."),
    Root::planned("${_RANDOM}", "[<min> [<max>]]").doc("A random number."),
    Root::new("@id", Form::Known("<line>"))
        .doc("A line for the node whose `-i` or short host name it is; `@^id` for all others."),
    Root::planned("~SEQ", "(<var>, <start>[, <step>], <end>) <line>")
        .doc("Repeats a line for a sequence of numbers."),
    Root::planned("~SEQx", "(<var>, <start>[, <step>], <end>) <line>")
        .doc("The same with hexadecimal numbers."),
    Root::planned("~LST", "(<var>, <value>…) <line>").doc("Repeats a line for a list of values."),
    planned("virtual_server", &super::virtual_server::VIRTUAL_SERVER)
        .doc("A service the kernel balances over real servers (IPVS)."),
    Root::planned("virtual_server_group", "{ … }").doc("Addresses a virtual server is reached at."),
    planned("track_file", &super::track_file::TRACK_FILE)
        .doc("A file with a number that weighs on priorities."),
    planned("vrrp_track_file", &super::track_file::TRACK_FILE).doc("The old name of `track_file`."),
    planned("vrrp_track_process", &super::track_process::VRRP_TRACK_PROCESS)
        .doc("A process whose presence weighs on priorities."),
    planned("bfd_instance", &super::bfd_instance::BFD_INSTANCE)
        .spec("RFC 5880")
        .doc("A BFD session whose state weighs on priorities."),
    planned("static_routes", &super::static_blocks::ROUTES).doc("Routes this node always has."),
    planned("static_rules", &super::static_blocks::RULES)
        .doc("Routing rules this node always has."),
    Root::planned("track_group", "{ … }")
        .doc("Instances that leave the race when a static object vanishes."),
    Root::new("garp_group", Form::Block(&super::garp_group::GARP_GROUP, |_, _, _| {}))
        .status(Status::Accepted("announcements are spaced per interface, not per group"))
        .doc("Interfaces that share the pace of announcements."),
    Root::planned("interface_up_down_delays", "{ … }").doc("How long a link change is waited out."),
    Root::planned("linkbeat_interfaces", "{ … }")
        .doc("Interfaces whose link is polled instead of followed."),
    Root::planned("linkbeat_use_polling", "").doc("Polls the link of every interface."),
    Root::new("SSL", Form::Block(&super::checkers::SSL, |_, _, _| {}))
        .status(Status::Accepted(super::NO_IPVS))
        .doc("What SSL_GET checkers use."),
    Root::planned("net_namespace", "<name>").doc("Runs in a network namespace."),
    Root::accepted("net_namespace_ipvs", "<name>", super::NO_IPVS).doc("Where IPVS is configured."),
    Root::accepted("namespace_with_ipsets", "", super::NO_FILTER)
        .doc("Uses ipsets in a namespace on old kernels."),
    Root::accepted("instance", "<name>", "process id files keep their usual names; use -p and -r")
        .doc("Names this daemon among several."),
    Root::accepted("use_pid_dir", "", "process id files keep their usual names; use -p and -r")
        .doc("Process id files in a directory of their own."),
    Root::accepted("child_wait_time", "<seconds>", super::NO_TUNING)
        .default("5")
        .doc("How long the parent waits for its children to stop."),
];

/// A block that is refused as a whole: its inner keywords are documented, not looked at.
const fn planned(name: &'static str, table: &'static dyn Table) -> Root {
    Root::new(name, Form::Block(table, |_, _, _| {})).status(Status::Planned)
}

fn place(section: &'static str) -> Place<'static> {
    Place::new(ANYWHERE, section).context(CHILD)
}

fn global_defs(draft: &mut Draft, stmt: &Stmt, b: &mut Binder) {
    let place = Place::new(ANYWHERE, "global_defs").context(crate::wording::PARENT);
    b.bind(super::global_defs::GLOBAL_DEFS, place, stmt.body(), &mut draft.globals);
}

fn vrrp_instance(draft: &mut Draft, stmt: &Stmt, b: &mut Binder) {
    let Some(name) = stmt.words.get(1) else {
        b.error(stmt.at(), Problem::Other("vrrp_instance must have a name".into()))
            .context
            .push_str(CHILD);
        return;
    };
    if draft.instances.iter().any(|i| i.name == name.text) {
        let said = format!("vrrp instance {} already defined", name.text);
        b.error(name.span, Problem::Other(said)).context.push_str(CHILD);
        return;
    }
    draft.instances.push(super::vrrp_instance::read(stmt, name, place("vrrp_instance"), b));
}

fn vrrp_script(draft: &mut Draft, stmt: &Stmt, b: &mut Binder) {
    let Some(name) = stmt.words.get(1) else {
        let problem = Problem::MissingArgument {
            keyword: "vrrp_script".into(),
            position: 1,
            usage: "<name> { … }".into(),
        };
        b.error(stmt.at(), problem).context.push_str(CHILD);
        return;
    };
    if draft.scripts.iter().any(|s| s.config.name == name.text) {
        let said = format!("Script {} already defined", name.text);
        b.error(name.span, Problem::Other(said)).context.push_str(CHILD);
        return;
    }
    draft.scripts.push(super::vrrp_script::read(stmt, name, place("vrrp_script"), b));
}

fn sync_group(draft: &mut Draft, stmt: &Stmt, b: &mut Binder) {
    let Some(name) = stmt.words.get(1) else {
        b.error(stmt.at(), Problem::Other("vrrp_sync_group must have a name".into()))
            .context
            .push_str(CHILD);
        return;
    };
    if draft.groups.iter().any(|g| g.name == name.text) {
        let said = format!("vrrp sync group {} already defined", name.text);
        b.error(name.span, Problem::Other(said)).context.push_str(CHILD);
        return;
    }
    let mut group = GroupDraft { name: name.owned(), ..GroupDraft::default() };
    let table = super::sync_group::VRRP_SYNC_GROUP;
    let first_new = b.problems.len();
    b.bind(table, place("vrrp_sync_group"), stmt.body(), &mut group);
    if super::sync_group::STATUS == Status::Planned {
        // The block has been refused as a whole.
        let inner = b.problems.split_off(first_new);
        let planned = |d: &conf::Diagnostic| matches!(d.problem, Problem::Planned { .. });
        b.problems.extend(inner.into_iter().filter(|d| !planned(d)));
    }
    draft.groups.push(group);
}

fn static_ipaddress(draft: &mut Draft, stmt: &Stmt, b: &mut Binder) {
    let first_new = b.problems.len();
    for line in stmt.body() {
        if let Some(address) = address::read(line, b) {
            draft.static_addresses.push(address);
        }
    }
    for problem in &mut b.problems[first_new..] {
        CHILD.clone_into(&mut problem.context);
    }
}

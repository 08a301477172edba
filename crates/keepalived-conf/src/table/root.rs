//! The keywords outside of any block.

mod links;

use conf::{ANYWHERE, Binder, Form, Keyword, Place, Problem, Status, Stmt};

use vrrp::config::TrackGroup;

use super::address;
use crate::draft::{Draft, GroupDraft};
use crate::wording::CHILD;

type Root = Keyword<Draft>;

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
        .doc("Instances that change state together."),
    Root::new("include", Form::Known("<pattern>"))
        .doc("Reads the files a pattern names as if they stood here."),
    Root::new("includer", Form::Known("<pattern>")).doc("`include`, an error if unreadable."),
    Root::new("includem", Form::Known("<pattern>"))
        .doc("`include`, an error if a plain name does not exist."),
    Root::new("includew", Form::Known("<pattern>"))
        .doc("`include`, an error if nothing matches."),
    Root::new("includeb", Form::Known("<pattern>"))
        .doc("`include`, an error if a part in braces matches nothing."),
    Root::new("includea", Form::Known("<pattern>")).doc("All of the above."),
    Root::new("$NAME=", Form::Known("<text>"))
        .doc("Defines text that `$NAME` and `${NAME}` stand for; `\\` at the end continues it."),
    Root::new("${_ENV", Form::Known("<variable>}")).doc("The value of an environment variable."),
    Root::new("${_PWD}", Form::Known("")).doc("The directory of the file."),
    Root::new("${_INSTANCE}", Form::Known("")).doc("What `-i` set, or the short host name."),
    Root::new("${_HASH}", Form::Known("")).doc("A `#` that starts no comment."),
    Root::new("${_BANG}", Form::Known("")).doc("A `!` that starts no comment."),
    Root::new("${_RANDOM}", Form::Known("[<min> [<max>]]")).doc("A random number, from 0 to 2147483647 unless told."),
    Root::new("@id", Form::Known("<line>"))
        .doc("A line for the node whose `-i` or short host name it is; `@^id` for all others."),
    Root::new("~SEQ", Form::Known("(<var>, <start>[, <step>], <end>) <line>"))
        .doc("Repeats a line for a sequence of numbers."),
    Root::new("~SEQx", Form::Known("(<var>, <start>[, <step>], <end>) <line>"))
        .doc("The same with hexadecimal numbers."),
    Root::new("~LST", Form::Known("(<var>, <value>…) <line>")).doc("Repeats a line for a list of values."),
    Root::new("virtual_server", Form::Block(&super::virtual_server::VIRTUAL_SERVER, lvs))
        .status(Status::Planned)
        .doc("A service the kernel balances over real servers (IPVS)."),
    Root::new("virtual_server_group", Form::Whole("<name> { … }", lvs))
        .status(Status::Planned).doc("Addresses a virtual server is reached at."),
    Root::new("track_file", Form::Block(&super::track_file::TRACK_FILE, track_file))
        .doc("A file with a number that weighs on priorities."),
    Root::new("vrrp_track_file", Form::Block(&super::track_file::TRACK_FILE, track_file))
        .doc("The old name of `track_file`."),
    Root::new("vrrp_track_process", Form::Block(&super::track_process::VRRP_TRACK_PROCESS, track_process))
        .doc("A process whose presence weighs on priorities."),
    Root::new("bfd_instance", Form::Block(&super::bfd_instance::BFD_INSTANCE, bfd_instance))
        .status(Status::Accepted("there is no BFD yet; an instance that follows a session is refused"))
        .spec("RFC 5880")
        .doc("A BFD session whose state weighs on priorities."),
    Root::new("static_routes", Form::Lines("<route>", |d, stmt, _| d.static_routes.extend(stmt.body().iter().cloned())))
        .doc("Routes this node always has, in the words of ip-route(8)."),
    Root::new("static_rules", Form::Lines("<rule>", |d, stmt, _| d.static_rules.extend(stmt.body().iter().cloned())))
        .doc("Routing rules this node always has, in the words of ip-rule(8)."),
    Root::new("track_group", Form::Whole("<name> { group { <instance> … } }", track_group))
        .doc("Instances that leave the race when a static address, route or rule of that group vanishes."),
    Root::new("garp_group", Form::Block(&super::garp_group::GARP_GROUP, garp_group))
        .doc("Interfaces that share the pace of announcements."),
    Root::new("interface_up_down_delays", Form::Lines("<ifname> <down> [<up>]", links::delays))
        .doc("How long a change of an interface's link is waited out, 0 to 255 seconds; `up` is as `down` unless set."),
    Root::new("linkbeat_interfaces", Form::Lines("<ifname> [MII|ETHTOOL|IOCTL]", links::linkbeat))
        .status(Status::Accepted(super::NO_POLLING))
        .doc("Interfaces whose link is polled instead of followed."),
    Root::accepted("linkbeat_use_polling", "", super::NO_POLLING).doc("Polls the link of every interface."),
    Root::new("SSL", Form::Block(&super::checkers::SSL, |_, _, _| {}))
        .status(Status::Accepted(super::NO_IPVS))
        .doc("What SSL_GET checkers use."),
    Root::new("net_namespace", Form::Whole("<name>", links::net_namespace))
        .doc("Runs in a network namespace."),
    Root::accepted("net_namespace_ipvs", "<name>", super::NO_IPVS).doc("Where IPVS is configured."),
    Root::accepted("namespace_with_ipsets", "", super::NO_IPTABLES)
        .doc("Uses ipsets in a namespace on old kernels."),
    Root::new("instance", Form::Whole("<name>", links::instance))
        .doc("Names this daemon among several: in its process id files and log lines."),
    Root::new("use_pid_dir", Form::Flag(|d| d.globals.globals.process.use_pid_dir = true))
        .doc("Process id files in a directory of their own, /run/keepalived."),
    Root::new("child_wait_time", Form::Words("<seconds>", 1..=usize::MAX, links::child_wait_time))
        .default("5")
        .doc("How long the parent waits for its children to stop."),
];

/// A block about virtual servers: refused by its status, and checked.
fn lvs(draft: &mut Draft, stmt: &Stmt, _: &mut Binder) {
    draft.lvs.push(stmt.clone());
}

fn place(section: &'static str) -> Place<'static> {
    Place::new(ANYWHERE, section).context(CHILD)
}

fn global_defs(draft: &mut Draft, stmt: &Stmt, b: &mut Binder) {
    let place = Place::new(ANYWHERE, "global_defs").context(crate::wording::PARENT);
    b.bind(super::global_defs::GLOBAL_DEFS, place, stmt.body(), &mut draft.globals);
}

fn vrrp_instance(draft: &mut Draft, stmt: &Stmt, b: &mut Binder) {
    let Some(name) = stmt.words.get(1).filter(|_| stmt.words.len() == 2) else {
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
        let said = "vrrp_sync_group must have a name - skipping".to_owned();
        b.error(stmt.at(), Problem::Other(said)).context.push_str(CHILD);
        return;
    };
    if draft.groups.iter().any(|g| g.name == name.text) {
        let said = format!("vrrp sync group {} already defined", name.text);
        b.error(name.span, Problem::Other(said)).context.push_str(CHILD);
        return;
    }
    let mut group = GroupDraft { name: name.owned(), ..GroupDraft::default() };
    let table = super::sync_group::VRRP_SYNC_GROUP;
    b.bind(table, place("vrrp_sync_group"), stmt.body(), &mut group);
    draft.groups.push(group);
}

/// The name of a block that cannot do without.
fn named<'a>(stmt: &'a Stmt, b: &mut Binder) -> Option<&'a conf::Word> {
    if stmt.words.len() < 2 {
        super::notify::missing(stmt, "<name> { … }", b);
        CHILD.clone_into(&mut b.problems.last_mut()?.context);
    }
    stmt.words.get(1)
}

fn track_file(draft: &mut Draft, stmt: &Stmt, b: &mut Binder) {
    let Some(name) = named(stmt, b) else { return };
    draft.track_files.push(super::track_file::read(stmt, name, place("track_file"), b));
}

fn track_process(draft: &mut Draft, stmt: &Stmt, b: &mut Binder) {
    let Some(name) = named(stmt, b) else { return };
    let place = place("vrrp_track_process");
    draft.track_processes.push(super::track_process::read(stmt, name, place, b));
}

fn garp_group(draft: &mut Draft, stmt: &Stmt, b: &mut Binder) {
    draft.garp_groups.push(super::garp_group::read(stmt, place("garp_group"), b));
}

fn bfd_instance(draft: &mut Draft, stmt: &Stmt, b: &mut Binder) {
    let Some(name) = named(stmt, b) else { return };
    draft.bfd.push(name.owned());
    let neighbour = |line: &Stmt| ["neighbor_ip", "neighbour_ip"].contains(&line.word(0));
    if !stmt.body().iter().any(neighbour) {
        let said = format!(
            "Configuration error: BFD instance {} has no neighbor address set, disabling instance",
            name.text
        );
        b.error(super::closing(stmt), Problem::Other(said)).context.push_str(CHILD);
    }
    b.bind(super::bfd_instance::BFD_INSTANCE, place("bfd_instance"), stmt.body(), &mut ());
}

fn track_group(draft: &mut Draft, stmt: &Stmt, b: &mut Binder) {
    let mut say = |at, said: String| {
        b.error(at, Problem::Other(said)).context.push_str(CHILD);
    };
    let Some(name) = stmt.words.get(1) else {
        return say(stmt.at(), "track_group must have a name - skipping".to_owned());
    };
    let text = &name.text;
    if draft.track_groups.iter().any(|(g, _)| g.name == *text) {
        return say(stmt.at(), format!("track_group {text} already defined"));
    }
    let mut group = TrackGroup { name: name.owned(), ..TrackGroup::default() };
    for line in stmt.body() {
        if line.word(0) != "group" {
            say(line.at(), format!("Unknown keyword '{}'", line.word(0)));
            continue;
        }
        let members = line.body().iter().flat_map(|line| line.words.iter().map(conf::Word::owned));
        group.instances.extend(members);
        if line.body().is_empty() {
            say(
                super::closing(line),
                format!("Warning - track group {text} has empty group block"),
            );
        }
    }
    draft.track_groups.push((group, name.span));
}

fn static_ipaddress(draft: &mut Draft, stmt: &Stmt, b: &mut Binder) {
    let first_new = b.problems.len();
    for line in stmt.body() {
        let groups: Vec<String> = draft.track_groups.iter().map(|(g, _)| g.name.clone()).collect();
        if let Some(address) = address::read(line, Some(&groups), b) {
            draft.static_addresses.push(address);
        }
    }
    for problem in &mut b.problems[first_new..] {
        CHILD.clone_into(&mut problem.context);
    }
}

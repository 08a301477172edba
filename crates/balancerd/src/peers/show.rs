//! `show peers`.

use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

use stick::peers::{Store as _, definition};

use super::{Peers, Remote, Section, lock};

/// What is answered to `show peers [<section>]`.
pub(crate) fn show(peers: &Peers, arguments: &[&str]) -> String {
    let wanted = arguments.iter().find(|word| !matches!(**word, "dict" | "-"));
    let mut out = String::new();
    let mut any = false;
    for section in &peers.sections {
        if wanted.is_none_or(|wanted| *wanted == section.name) {
            any = true;
            section_lines(section, &mut out);
        }
    }
    if wanted.is_some() && !any {
        return "No such peers\n".into();
    }
    out
}

fn address<T>(of: &T) -> String {
    format!("{:#x}", std::ptr::from_ref(of).addr())
}

fn since(at: Option<SystemTime>) -> String {
    match at.and_then(|at| at.elapsed().ok()) {
        Some(age) => format!("{}s", age.as_secs()),
        None => "<NEVER>".into(),
    }
}

fn section_lines(section: &Section, out: &mut String) {
    let mut date = String::new();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // Writing to a string does not fail.
    let _ = crate::log::accept_date(now, &mut date);
    let date = date.split('.').next().unwrap_or_default();
    let timeout = if section.complete.load(Relaxed) { "<PAST>" } else { "5s" };
    let _ = writeln!(
        out,
        "{}: [{date}] id={} disabled=0 flags=0x0 resync_timeout={timeout} task_calls=0",
        address(section),
        section.name
    );
    for remote in section.remotes.iter().rev() {
        remote_lines(section, remote, out);
    }
}

fn remote_lines(section: &Section, remote: &Remote, out: &mut String) {
    let seen = lock(&remote.seen).clone();
    let open = remote.open.load(Relaxed) > 0;
    let place = remote.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
    let never = "<NEVER>";
    let _ = writeln!(
        out,
        "  {}: id={}({},{}) addr={place} last_status={} last_hdshk={}",
        address(remote),
        remote.name,
        if remote.local { "local" } else { "remote" },
        if open { "active" } else { "inactive" },
        seen.status,
        since(seen.greeted),
    );
    let _ = writeln!(
        out,
        "        reconnect={never} heartbeat={never} confirm=0 tx_hbt=0 rx_hbt=0 no_hbt=0 new_conn={} proto_err={} coll=0",
        seen.connects, seen.errors
    );
    let _ = writeln!(out, "        flags=0x0");
    let _ = writeln!(out, "        shared tables:");
    // The last one first, as HAProxy keeps them.
    for at in (0..section.group.count()).rev() {
        let (pushed, acknowledged, got) = seen.progress.get(at).copied().unwrap_or_default();
        let (name, table) = &section.group.0[at];
        let data = definition(at, name, table.config()).data;
        let last = table.with(|entries, _| entries.last_update());
        let id = at + 1;
        let _ = writeln!(
            out,
            "          {} local_id={id} remote_id={id} flags=0x0 remote_data={data:#x}",
            address(name)
        );
        let _ = writeln!(
            out,
            "              last_acked={got} last_pushed={pushed} last_get={got} teaching_origin=0 update={acknowledged}"
        );
        let _ = writeln!(
            out,
            "              table:{} id={} update={last} localupdate={last} commitupdate={acknowledged} refcnt=1",
            address(&**table),
            table.name()
        );
        let _ = writeln!(out, "        Dictionary cache not dumped (use \"show peers dict\")");
    }
}

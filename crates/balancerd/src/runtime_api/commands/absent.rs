//! Commands about what there is none of here: they answer as HAProxy does that holds none of it.

use super::{Call, Command, Outcome, Reply};

pub(super) const COMMANDS: &[Command] = &[
    Command::new("acme status", |_| {
        let head = "# certificate\tsection\tstate\texpiration date (UTC)\texpires in\tscheduled \
                    date (UTC)\tscheduled in\n";
        text(head)
    }),
    Command::new("debug counters", |_| text("")),
    Command::new("debug dev hash", |call| Ok(Reply::info_line(call.word(0)))),
    Command::new("disable dynamic-cookie backend", |call| cookies(call, false)),
    Command::new("enable dynamic-cookie backend", |call| cookies(call, true)),
    Command::new("set anon off", |_| Ok(Reply::DONE)),
    Command::new("set anon on", |_| Err(Reply::error_line("not supported yet: set anon on"))),
    Command::new("show anon", |_| text("Anonymized mode disabled\n")),
    Command::new("show cache", |_| text("")),
    Command::new("show dev", show_dev),
    Command::new("show quic", |_| {
        let head = "# conn/frontend                     state   in_flight infl_p lost_p         \
                    Local Address           Foreign Address      local & remote CIDs\n";
        text(head)
    }),
    Command::new("show trace", |_| {
        text("Supported trace sources and states (.=stopped, w=waiting, R=running) :\n")
    }),
    Command::new("trace", |call| match call.word(0) {
        "" => text("Supported trace sources and states (.=stopped, w=waiting, R=running) :\n"),
        "0" => Ok(Reply::info_line("All traces now stopped")),
        source => Err(Reply::error_line(format_args!("No such trace source '{source}'"))),
    }),
];

fn text(text: &str) -> Outcome {
    Ok(Reply::Text(text.to_owned()))
}

fn cookies(call: &mut Call<'_>, on: bool) -> Outcome {
    let wanted = call.word(0);
    if !call.shared.config.backends.iter().any(|backend| backend.name == wanted) {
        return Err(Reply::error_line("No such backend."));
    }
    match on {
        true => Err(Reply::error_line("not supported yet: enable dynamic-cookie backend")),
        false => Ok(Reply::DONE),
    }
}

/// What those who look for a mistake ask first.
fn show_dev(call: &mut Call<'_>) -> Outcome {
    let line = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let status = line("/proc/self/status");
    let of = |name: &str| {
        let found = status.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap_or_default().trim_matches([':', '\t', ' ']).to_owned()
    };
    let words: Vec<String> = std::env::args().collect();
    Ok(Reply::Text(format!(
        "HAProxy version {}\nPlatform info\n  OS release: {}\n  OS architecture: {}\n\
         Process info\n  pid: {}\n  cmdline: {}\n  uid: {}\n  gid: {}\n  capabilities: {}\n  \
         threads: {}\n  fd limit: {}\n  memory: {}\n  configurations served: {}, {} bytes kept of \
         former ones\n",
        crate::stats::VERSION,
        line("/proc/sys/kernel/osrelease"),
        std::env::consts::ARCH,
        std::process::id(),
        words.join(" "),
        of("Uid"),
        of("Gid"),
        of("CapEff"),
        of("Threads"),
        crate::privilege::open_files_limit(),
        of("VmRSS"),
        call.shared.generations(),
        call.shared.kept_bytes(),
    )))
}

//! What developers of HAProxy look at; here what there is of it.

use std::fmt::Write as _;

use super::{Call, Command, Outcome, Reply};

pub(super) const COMMANDS: &[Command] = &[
    Command::new("set profiling", set_profiling),
    Command::new("show activity", show_activity),
    Command::new("show events", show_events),
    Command::new("show fd", show_fd),
    Command::new("show libs", show_libs),
    Command::new("show pools", |_| {
        Ok(Reply::Text("Total: 0 pools, 0 bytes allocated, 0 used (~0 by thread caches).\n".into()))
    }),
    Command::new("show profiling", |_| {
        let text = "Per-task CPU profiling              : off\n\
                    Memory usage profiling              : off\n";
        Ok(Reply::Text(text.into()))
    }),
    Command::new("show tasks", show_tasks),
    Command::new("show threads", show_threads),
];

fn set_profiling(call: &mut Call<'_>) -> Outcome {
    match (call.word(0), call.word(1)) {
        ("memory", _) => Err(Reply::error_line("Memory profiling not compiled in.")),
        ("tasks", "off") => Ok(Reply::DONE),
        ("tasks", "on" | "auto") => {
            Err(Reply::error_line("Profiling is not supported by this program."))
        }
        ("tasks", _) => Err(Reply::error_line("Expects 'on', 'auto', or 'off'.")),
        _ => Err(Reply::error_line("Expects either 'tasks' or 'memory'.")),
    }
}

/// A line `name: total [ thread0 thread1 … ]`.
fn by_thread(out: &mut String, name: &str, values: &[usize]) {
    let total: usize = values.iter().sum();
    // Writing to a string does not fail.
    let _ = write!(out, "{name}: {total} [");
    for value in values {
        let _ = write!(out, " {value}");
    }
    out.push_str(" ]\n");
}

fn show_activity(call: &mut Call<'_>) -> Outcome {
    let threads = &call.shared.threads;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64();
    let up = call.shared.clock.now().since_zero().as_secs_f64();
    let mut out =
        format!("thread_id: 1 (1..{})\ndate_now: {now:.6}\nuptime_now: {up:.6}\n", threads.len());
    let sessions: Vec<usize> = threads.iter().map(crate::state::Registry::len).collect();
    by_thread(&mut out, "curr_sessions", &sessions);
    Ok(Reply::Text(out))
}

fn show_tasks(call: &mut Call<'_>) -> Outcome {
    let threads = &call.shared.threads;
    let sessions: Vec<usize> = threads.iter().map(crate::state::Registry::len).collect();
    let mut out =
        format!("Running tasks: {} ({} threads)\n", sessions.iter().sum::<usize>(), threads.len());
    by_thread(&mut out, "sessions", &sessions);
    Ok(Reply::Text(out))
}

/// The threads of this process, by what the kernel knows of them.
fn show_threads(_: &mut Call<'_>) -> Outcome {
    let mut out = String::new();
    let tasks = std::fs::read_dir("/proc/self/task").map_err(Reply::error_line)?;
    for task in tasks.filter_map(Result::ok) {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        // Writing to a string does not fail.
        let _ = writeln!(out, "  Thread {} : {}", task.file_name().display(), name.trim_end());
    }
    Ok(Reply::Text(out))
}

/// The open files of this process, by what the kernel knows of them.
fn show_fd(call: &mut Call<'_>) -> Outcome {
    let only = match call.arguments.first().map(|word| word.parse::<u32>()) {
        None => None,
        Some(Ok(number)) => Some(number),
        Some(Err(_)) => return Err(Reply::error_line("Invalid FD type")),
    };
    let open = std::fs::read_dir("/proc/self/fd").map_err(Reply::error_line)?;
    let mut files: Vec<(u32, String)> = open
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            let target = std::fs::read_link(entry.path()).ok()?;
            Some((number, target.display().to_string()))
        })
        .filter(|(number, _)| only.is_none_or(|only| only == *number))
        .collect();
    files.sort_unstable();
    let mut out = String::new();
    for (number, target) in files {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{number:>7} : {target}");
    }
    Ok(Reply::Text(out))
}

fn show_libs(_: &mut Call<'_>) -> Outcome {
    let maps = std::fs::read_to_string("/proc/self/maps").map_err(Reply::error_line)?;
    let mut libraries: Vec<&str> = maps
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().nth(5))
        .filter(|path| path.contains(".so"))
        .collect();
    libraries.dedup();
    Ok(Reply::Text(libraries.iter().map(|path| format!("{path}\n")).collect()))
}

fn show_events(call: &mut Call<'_>) -> Outcome {
    let wanted = call.word(0);
    let mut rings = call.shared.log.rings();
    if !wanted.is_empty() {
        let found = rings.find(|(ring, _, _)| ring.name == wanted);
        let (_, _, lines) = found.ok_or_else(|| Reply::error_line("No such event sink"))?;
        return Ok(Reply::Text(lines));
    }
    let mut out = String::from(
        "Supported events sinks are listed below. Add -0(zero), -w(wait), -n(new). Any key to \
         stop.\n",
    );
    for (ring, dropped, _) in rings {
        let (name, description) = (&ring.name, &ring.description);
        // Writing to a string does not fail.
        let _ = writeln!(out, "    {name:<10} : type=buffer, {dropped} dropped, {description}");
    }
    Ok(Reply::Text(out))
}

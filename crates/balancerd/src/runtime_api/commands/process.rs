//! Commands about the process and about the client itself.

use std::fmt::Write as _;

use proxy::Level;

use super::servers::leading_number;
use super::{Call, Command, Outcome, Reply};
use crate::runtime_api::client::{Labels, Prompt};
use crate::runtime_api::level_name;
use crate::stats;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("clear counters all", clear_all),
    Command::new("clear counters", clear_highest),
    Command::new("echo", |call| Ok(Reply::info_line(call.arguments.join(" ")))),
    Command::new("experimental-mode", |call| {
        let mode = &mut call.session.experimental;
        switch(call.arguments, mode, "experimental-mode")
    }),
    Command::new("expert-mode", |call| {
        switch(call.arguments, &mut call.session.expert, "expert-mode")
    }),
    Command::new("operator", |call| lower(call, Level::Operator)),
    Command::new("set maxconn global", set_maxconn),
    Command::new("set severity-output", set_labels),
    Command::new("set timeout", set_timeout),
    Command::new("show cli level", |call| Ok(Reply::info_line(level_name(call.session.level)))),
    Command::new("show cli sockets", show_sockets),
    Command::new("show env", show_env),
    Command::new("show info", |call| {
        let format = stats::Format::of(call.arguments);
        Ok(Reply::Text(stats::show_info_as(call.shared, format)))
    }),
    Command::new("show startup-logs", |_| Ok(Reply::info(crate::terminal::startup_log()))),
    Command::new("show version", |_| Ok(Reply::info_line(stats::VERSION))),
    Command::new("user", |call| lower(call, Level::User)),
    Command::new("help", super::help),
    Command::new("prompt", prompt),
    Command::new("quit", |_| Ok(Reply::Quit)),
];

fn lower(call: &mut Call<'_>, level: Level) -> Outcome {
    call.session.level = call.session.level.min(level);
    Ok(Reply::DONE)
}

fn switch(arguments: &[&str], mode: &mut bool, name: &str) -> Outcome {
    match arguments.first() {
        None => {
            let state = if *mode { "ON" } else { "OFF" };
            return Ok(Reply::info_line(format_args!("{name} is {state}")));
        }
        Some(&"on") => *mode = true,
        Some(_) => *mode = false,
    }
    Ok(Reply::DONE)
}

fn prompt(call: &mut Call<'_>) -> Outcome {
    let now = call.session.prompt;
    call.session.prompt = match call.word(0) {
        "n" => Prompt::Never,
        "i" => Prompt::Silent,
        "p" => Prompt::Shown,
        // `timed` shows the time in HAProxy's prompt, which nothing reads.
        "" | "timed" if now == Prompt::Shown => Prompt::Never,
        "" | "timed" => Prompt::Shown,
        _ => {
            let text = "Unknown prompt mode: n (none), i (interactive) or p (prompt) expected.";
            return Err(Reply::error_line(text));
        }
    };
    Ok(Reply::DONE)
}

fn set_labels(call: &mut Call<'_>) -> Outcome {
    call.session.labels = match call.word(0) {
        "none" => Labels::None,
        "number" => Labels::Numbers,
        "string" => Labels::Names,
        _ => {
            let text = "one of 'none', 'number', 'string' is a required argument";
            return Err(Reply::error_line(text));
        }
    };
    Ok(Reply::DONE)
}

/// `10` is seconds; `500ms`, `2m` … are what they say.
fn set_timeout(call: &mut Call<'_>) -> Outcome {
    if call.word(0) != "cli" {
        return Err(Reply::error_line("'set timeout' only supports 'cli'."));
    }
    if call.word(1).is_empty() {
        return Err(Reply::error_line("Expects an integer value."));
    }
    match haproxy_cfg::cli::time(call.word(1), conf::Unit::Seconds) {
        Some(time) if !time.is_zero() => call.session.timeout = time,
        _ => return Err(Reply::error_line("Invalid timeout value.")),
    }
    Ok(Reply::DONE)
}

fn set_maxconn(call: &mut Call<'_>) -> Outcome {
    if call.word(0).is_empty() {
        return Err(Reply::error_line("Expects an integer value."));
    }
    let gate = &call.shared.process;
    let number = leading_number(call.word(0)).0.unwrap_or(0);
    match u32::try_from(number) {
        Ok(limit) if limit <= gate.highest() => {
            gate.set_limit(if limit == 0 { gate.highest() } else { limit });
            Ok(Reply::DONE)
        }
        _ => Err(Reply::error_line("Value out of range.")),
    }
}

fn clear_all(call: &mut Call<'_>) -> Outcome {
    stats::clear(call.shared, call.board, true);
    Ok(Reply::DONE)
}

fn clear_highest(call: &mut Call<'_>) -> Outcome {
    stats::clear(call.shared, call.board, false);
    Ok(Reply::DONE)
}

fn show_env(call: &mut Call<'_>) -> Outcome {
    let mut out = String::new();
    if let Some(name) = call.arguments.first() {
        let Some(value) = std::env::var_os(name) else {
            return Err(Reply::error_line("Variable not found"));
        };
        return Ok(Reply::Text(format!("{name}={}\n", value.to_string_lossy())));
    }
    for (name, value) in std::env::vars_os() {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{}={}", name.to_string_lossy(), value.to_string_lossy());
    }
    Ok(Reply::Text(out))
}

fn show_sockets(call: &mut Call<'_>) -> Outcome {
    let mut out = String::from("# socket lvl processes\n");
    for socket in &call.shared.config.process.stats_sockets {
        let address = crate::runtime_api::address(socket);
        // Writing to a string does not fail.
        let _ = writeln!(out, "{address} {} all", level_name(socket.level));
    }
    Ok(Reply::Text(out))
}

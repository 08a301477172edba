//! The commands: those that are answered, and those that are only known.

use std::fmt::Write as _;

use balance::ServerId;
use proxy::Level;

use super::table;
use crate::health::Board;
use crate::state::Shared;
use crate::stats::{self, Filter};

/// What a command leads to.
#[derive(Debug, PartialEq)]
pub(super) enum Reply {
    /// This is said; an empty line follows.
    Text(String),
    /// From now on the client may do no more than this.
    Lower(Level),
    /// `prompt`.
    TogglePrompt,
    /// `quit`.
    Quit,
}

struct Command {
    /// The words it begins with.
    words: &'static str,
    /// What follows them.
    arguments: &'static str,
    help: &'static str,
    run: fn(&Call<'_>) -> Reply,
}

/// What a command gets.
struct Call<'a> {
    shared: &'a Shared,
    board: &'a Board,
    level: Level,
    /// What follows its own words.
    arguments: &'a [&'a str],
}

const COMMANDS: &[Command] = &[
    Command {
        words: "get weight",
        arguments: "<bk>/<srv>",
        help: "the weight of a server, now and at the start",
        run: get_weight,
    },
    Command {
        words: "operator",
        arguments: "",
        help: "may do what an operator may from now on",
        run: |_| Reply::Lower(Level::Operator),
    },
    Command {
        words: "show backend",
        arguments: "",
        help: "the names of all backends",
        run: show_backend,
    },
    Command {
        words: "show cli level",
        arguments: "",
        help: "what this client may do",
        run: |call| {
            let level = match call.level {
                Level::User => "user",
                Level::Operator => "operator",
                Level::Admin => "admin",
            };
            Reply::Text(format!("{level}\n"))
        },
    },
    Command { words: "show info", arguments: "", help: "counters of the process", run: show_info },
    Command {
        words: "show servers state",
        arguments: "[<backend>]",
        help: "the state of servers, to be read by programs",
        run: show_servers_state,
    },
    Command {
        words: "show stat",
        arguments: "[up|no-maint]* [<iid> <type> <sid>]",
        help: "counters of all proxies and servers, as CSV",
        run: show_stat,
    },
    Command {
        words: "show table",
        arguments: "[<table> [<filter>]*]",
        help: "stick tables, or what one of them holds (filter: data/key)",
        run: |call| operate(call, table::show),
    },
    Command {
        words: "set table",
        arguments: "<table> key <k> [data.* <v>]*",
        help: "sets what a stick table stores with a key",
        run: |call| operate(call, table::set),
    },
    Command {
        words: "clear table",
        arguments: "<table> [<filter>]*",
        help: "removes entries of a stick table (filter: data/key)",
        run: |call| operate(call, table::clear),
    },
    Command {
        words: "show version",
        arguments: "",
        help: "the version of this process",
        run: |_| Reply::Text(format!("{}\n", stats::VERSION)),
    },
    Command {
        words: "user",
        arguments: "",
        help: "may only read from now on",
        run: |_| Reply::Lower(Level::User),
    },
    Command {
        words: "help",
        arguments: "[<command>]",
        help: "what can be said here",
        run: |call| Reply::Text(help(call.arguments)),
    },
    Command {
        words: "prompt",
        arguments: "",
        help: "ask for one command after another, or stop asking",
        run: |_| Reply::TogglePrompt,
    },
    Command { words: "quit", arguments: "", help: "close the connection", run: |_| Reply::Quit },
];

/// Those HAProxy 2.6 answers and we do not yet, by the level they need.
const PLANNED: &[(Level, &[&str])] = &[
    (
        Level::Admin,
        &[
            "abort ssl ca-file",
            "abort ssl cert",
            "abort ssl crl-file",
            "add acl",
            "add map",
            "add server",
            "add ssl crt-list",
            "clear acl",
            "clear counters",
            "clear map",
            "commit acl",
            "commit map",
            "commit ssl ca-file",
            "commit ssl cert",
            "commit ssl crl-file",
            "del acl",
            "del map",
            "del server",
            "del ssl ca-file",
            "del ssl cert",
            "del ssl crl-file",
            "del ssl crt-list",
            "disable agent",
            "disable dynamic-cookie backend",
            "disable frontend",
            "disable health",
            "disable server",
            "enable agent",
            "enable dynamic-cookie backend",
            "enable frontend",
            "enable health",
            "enable server",
            "new ssl ca-file",
            "new ssl cert",
            "new ssl crlfile",
            "prepare acl",
            "prepare map",
            "set dynamic-cookie-key backend",
            "set map",
            "set maxconn frontend",
            "set maxconn global",
            "set maxconn server",
            "set profiling",
            "set rate-limit",
            "set server",
            "set ssl ca-file",
            "set ssl cert",
            "set ssl crl-file",
            "set ssl ocsp-response",
            "set ssl tls-key",
            "set weight",
            "show cli sockets",
            "shutdown frontend",
            "shutdown session",
            "shutdown sessions server",
            "trace",
        ],
    ),
    (
        Level::Operator,
        &["show env", "show errors", "show sess"],
    ),
    (
        Level::User,
        &[
            "get acl",
            "get map",
            "get var",
            "set severity-output",
            "set timeout",
            "show acl",
            "show activity",
            "show cache",
            "show events",
            "show fd",
            "show libs",
            "show map",
            "show peers",
            "show pools",
            "show profiling",
            "show resolvers",
            "show schema json",
            "show servers conn",
            "show ssl ca-file",
            "show ssl cert",
            "show ssl crl-file",
            "show ssl crt-list",
            "show ssl ocsp-response",
            "show ssl providers",
            "show startup-logs",
            "show tasks",
            "show threads",
            "show tls-keys",
            "show trace",
        ],
    ),
];

/// What an operator may do.
fn operate(call: &Call<'_>, run: fn(&Shared, &[&str]) -> String) -> Reply {
    Reply::Text(match call.level {
        Level::User => "Permission denied\n".into(),
        Level::Operator | Level::Admin => run(call.shared, call.arguments),
    })
}

/// Carries one command out.
pub(super) fn run(shared: &Shared, board: &Board, level: Level, words: &[&str]) -> Reply {
    if let Some(command) = COMMANDS.iter().find(|command| begins(words, command.words)) {
        let own = command.words.split(' ').count();
        return (command.run)(&Call { shared, board, level, arguments: &words[own..] });
    }
    for (needed, commands) in PLANNED {
        if let Some(command) = commands.iter().find(|command| begins(words, command)) {
            return Reply::Text(if level < *needed {
                "Permission denied\n".into()
            } else {
                not_yet(command)
            });
        }
    }
    Reply::Text(unknown(words))
}

fn begins(words: &[&str], command: &str) -> bool {
    let mut rest = words.iter();
    command.split(' ').all(|word| rest.next() == Some(&word))
}

fn not_yet(command: &str) -> String {
    format!("not supported yet: {command}\n")
}

fn unknown(words: &[&str]) -> String {
    let alike: Vec<&Command> = match words {
        [] => Vec::new(),
        [first, ..] => {
            let likely = |command: &&Command| {
                let own = command.words.split(' ').next().unwrap_or_default();
                own.eq_ignore_ascii_case(first) || conf::nearest(first, [own].into_iter()).is_some()
            };
            COMMANDS.iter().filter(likely).collect()
        }
    };
    if alike.is_empty() {
        let head = "Unknown command. Please enter one of the following commands only:\n";
        return listed(head, &COMMANDS.iter().collect::<Vec<_>>());
    }
    let last =
        COMMANDS.iter().filter(|command| ["help", "prompt", "quit"].contains(&command.words));
    let mut shown = alike;
    for command in last {
        if !shown.iter().any(|one| one.words == command.words) {
            shown.push(command);
        }
    }
    let head = "Unknown command, but maybe one of the following ones is a better match:\n";
    listed(head, &shown)
}

fn help(arguments: &[&str]) -> String {
    let matching: Vec<&Command> = COMMANDS
        .iter()
        .filter(|command| {
            let mut words = command.words.split(' ');
            arguments.iter().all(|argument| words.next() == Some(argument))
        })
        .collect();
    listed("The following commands are valid at this level:\n", &matching)
}

fn listed(head: &str, commands: &[&Command]) -> String {
    let mut out = head.to_owned();
    for Command { words, arguments, help, .. } in commands {
        let usage = format!("{words} {arguments}");
        // Writing to a string does not fail.
        let _ = writeln!(out, "  {:<39} : {help}", usage.trim_end());
    }
    out
}

fn show_info(call: &Call<'_>) -> Reply {
    let formats = ["typed", "json", "desc", "float"];
    Reply::Text(match call.arguments.iter().find(|argument| formats.contains(argument)) {
        Some(format) => not_yet(&format!("show info {format}")),
        None => stats::show_info(call.shared),
    })
}

fn show_stat(call: &Call<'_>) -> Reply {
    let mut filter = Filter::default();
    let mut rest = call.arguments;
    if let [proxy, kinds, server, after @ ..] = rest
        && let (Ok(kinds), Ok(server)) = (kinds.parse::<i32>(), server.parse::<i64>())
    {
        filter.proxy = match proxy.parse::<i64>() {
            Ok(id) => u32::try_from(id).ok(),
            Err(_) => match id_of(call.shared, proxy) {
                Some(id) => Some(id),
                None => return Reply::Text("No such proxy.\n".into()),
            },
        };
        filter.kinds = u32::from_ne_bytes(kinds.to_ne_bytes());
        filter.server = u32::try_from(server).ok();
        rest = after;
    }
    for &word in rest {
        match word {
            "up" => filter.up = true,
            "no-maint" => filter.no_maintenance = true,
            "typed" | "json" | "desc" => {
                return Reply::Text(not_yet(&format!("show stat {word}")));
            }
            _ => {}
        }
    }
    Reply::Text(stats::show_stat(call.shared, call.board, filter))
}

fn id_of(shared: &Shared, name: &str) -> Option<u32> {
    let backends = shared.config.backends.iter().map(|backend| (&backend.name, backend.id));
    let frontends = shared.config.frontends.iter().map(|frontend| (&frontend.name, frontend.id));
    backends.chain(frontends).find(|(known, _)| *known == name).map(|(_, id)| id)
}

fn show_servers_state(call: &Call<'_>) -> Reply {
    let only = call.arguments.first().copied();
    let state = stats::show_servers_state(call.shared, call.board, only);
    Reply::Text(state.unwrap_or_else(|| "Can't find backend.\n".into()))
}

fn show_backend(call: &Call<'_>) -> Reply {
    let mut out = String::from("# name\n");
    for backend in &call.shared.config.backends {
        out.push_str(&backend.name);
        out.push('\n');
    }
    Reply::Text(out)
}

fn get_weight(call: &Call<'_>) -> Reply {
    let named = call.arguments.first().and_then(|argument| argument.split_once('/'));
    let Some((backend, server)) = named else {
        return Reply::Text("Require 'backend/server'.\n".into());
    };
    let backends = &call.shared.config.backends;
    let Some(backend) = backends.iter().position(|known| known.name == backend) else {
        return Reply::Text("No such backend.\n".into());
    };
    let servers = &backends[backend].servers;
    let Some(index) = servers.iter().position(|known| known.name == server) else {
        return Reply::Text("No such server.\n".into());
    };
    let view = call.shared.backends[backend].balancer.look(|pool| pool.server(ServerId(index)));
    Reply::Text(format!("{} (initial {})\n", view.weight, servers[index].weight))
}

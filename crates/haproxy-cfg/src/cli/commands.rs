//! The commands of the runtime API: what they are called, who may say them, what they answer.
//!
//! The daemon carries them out; the reference is written from these rows.

use proxy::Level;

/// One command.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The words it begins with.
    pub words: &'static str,
    /// What follows them.
    pub arguments: &'static str,
    /// Who may say it; others are told `Permission denied`.
    pub level: Level,
    /// The first HAProxy that is known to have it: `2.6`, or `3` for one after it.
    pub since: &'static str,
    /// A few words, as `help` has them.
    pub help: &'static str,
    /// What it answers, with units and errors.
    pub doc: &'static str,
    /// It is heard after `experimental-mode on` only.
    pub experimental: bool,
}

const fn row(
    words: &'static str,
    arguments: &'static str,
    level: Level,
    since: &'static str,
    help: &'static str,
    doc: &'static str,
) -> Row {
    Row { words, arguments, level, since, help, doc, experimental: false }
}

impl Row {
    const fn experimental(mut self) -> Self {
        self.experimental = true;
        self
    }
}

/// The row of a command, by the words it begins with.
pub fn row_of(words: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.words == words)
}

/// All of them, by their words.
pub const ROWS: &[Row] = &[
    row("acme status", "", Level::Admin, "3", "certificates an authority renews; there are none", "The head of a table."),
    row("add acl", "[@<ver>] <acl> <pattern>", Level::Operator, "2.6", "adds a pattern", "Silent when done. With `@<ver>` into a version that is being prepared; patterns may follow as lines after `<<`."),
    row("add map", "[@<ver>] <map> <key> <value>", Level::Operator, "2.6", "adds a key, or lines of them", "Silent when done. Keys and values may follow as lines after `<<`."),
    row("add server", "<bk>/<srv> <address> [<param>]*", Level::Admin, "2.6", "a new server", "`New server registered.` It begins in maintenance with its checks off: `enable server`, `enable health`, `enable agent`. `default-server` does not count; a name is not looked up, `set server … addr` gives it an address. Refused: `ssl`, `resolvers`, certificates of checks, backends whose algorithm is static. The options of `server` lines otherwise, with their units and errors. Each change, deletions too, leaves the backend as it was behind in memory: 5 kB and 1.1 kB for each of its servers, measured; once that is 32 MB the next reload starts a new worker, which begins with none. A reload of the file removes what the file does not have, and says so."),
    row("clear acl", "[@<ver>] <acl>", Level::Operator, "2.6", "removes all patterns", "Silent when done."),
    row("clear counters", "[all]", Level::Operator, "2.6", "forget the highest values", "Silent when done. Highest values and rates begin anew."),
    row("clear counters all", "", Level::Admin, "2.6", "set all counters to zero", "Silent when done. All counters are 0, highest values too."),
    row("clear map", "[@<ver>] <map>", Level::Operator, "2.6", "removes all keys", "Silent when done."),
    row("clear table", "<table> [<filter>]*", Level::Operator, "2.6", "removes entries", "Silent when done. Conditions as for `show table`; entries in use stay."),
    row("commit acl", "@<ver> <acl>", Level::Operator, "2.6", "uses a version", "Silent when done. `Version number out of range.` and the like."),
    row("commit map", "@<ver> <map>", Level::Operator, "2.6", "uses a version", "Silent when done, as `commit acl`."),
    row("debug counters", "", Level::Operator, "3", "rare events; none are counted", "An empty list."),
    row("debug dev hash", "[<text>]", Level::User, "3", "the text again", "The text as it is: names are never hidden."),
    row("del acl", "<acl> {<pattern>|#<ref>}", Level::Operator, "2.6", "removes a pattern", "Silent when done. `entry not found.`"),
    row("del map", "<map> {<key>|#<ref>}", Level::Operator, "2.6", "removes a key", "Silent when done. `entry not found.` A key means the version in force."),
    row("del server", "<bk>/<srv>", Level::Admin, "2.6", "remove a server in maintenance", "`Server deleted.` `Only servers in maintenance mode can be deleted.`, `Server still has connections attached to it, cannot remove it.`, `This server cannot be removed at runtime due to other configuration elements pointing to it.` (that also if such an element points to a server behind it)."),
    row("disable agent", "<bk>/<srv>", Level::Admin, "2.6", "ask its agent no more", "Silent when done."),
    row("disable dynamic-cookie backend", "<backend>", Level::Admin, "2.6", "no cookies are made up", "Silent when done. `No such backend.`"),
    row("disable frontend", "<frontend>", Level::Admin, "2.6", "refuse connections for a while", "Silent when done. New connections are refused; those to a UNIX socket wait."),
    row("disable health", "<bk>/<srv>", Level::Admin, "2.6", "check it no more", "Silent when done."),
    row("disable server", "<bk>/<srv>", Level::Admin, "2.6", "put it into maintenance", "Silent when done. As `set server … state maint`."),
    row("echo", "<text>", Level::User, "3", "say it again", "The words again."),
    row("enable agent", "<bk>/<srv>", Level::Admin, "2.6", "ask its agent again", "Silent when done. `Agent was not configured on this server, cannot enable.`"),
    row("enable dynamic-cookie backend", "<backend>", Level::Admin, "2.6", "refused: no cookies are made up", "`not supported yet: …`. `No such backend.`"),
    row("enable frontend", "<frontend>", Level::Admin, "2.6", "accept connections again", "Silent when done."),
    row("enable health", "<bk>/<srv>", Level::Admin, "2.6", "check it again", "Silent when done. `Health check was not configured on this server, cannot enable.`"),
    row("enable server", "<bk>/<srv>", Level::Admin, "2.6", "end its maintenance", "Silent when done. As `set server … state ready`."),
    row("experimental-mode", "[on|off]", Level::Admin, "2.6", "allow what may still change", "Silent when done; without a word whether it is on."),
    row("expert-mode", "[on|off]", Level::Admin, "2.6", "allow what may do harm", "Silent when done; without a word whether it is on."),
    row("get acl", "<acl> <value>", Level::User, "2.6", "what a value matches", "A line for each way of matching that the list is used with."),
    row("get map", "<map> <value>", Level::User, "2.6", "what a value matches", "The same, with the value."),
    row("get var", "<name>", Level::Operator, "2.6", "the value of a variable of the process", "`<name>: type=<type> value=<value>`. `Variable not found.`"),
    row("get weight", "<bk>/<srv>", Level::User, "2.6", "its weight, now and at the start", "`<weight> (initial <weight>)`: 0 to 256."),
    row("help", "[<command>]", Level::User, "2.6", "what can be said here", "A line for each command that begins like this."),
    row("operator", "", Level::User, "2.6", "may do what an operator may from now on", "Silent when done. The level never rises again."),
    row("prepare acl", "<acl>", Level::Operator, "2.6", "a new version, to be filled", "`New version created: <ver>`."),
    row("prepare map", "<map>", Level::Operator, "2.6", "a new version, to be filled", "`New version created: <ver>`."),
    row("prompt", "[n|i|p]", Level::User, "2.6", "ask for one command after another", "Silent when done. `n`: the connection ends after a line; `i`: it goes on; `p`: `> ` stands before each line."),
    row("quit", "", Level::User, "2.6", "close the connection", "The end of the connection."),
    row("set anon off", "", Level::User, "3", "names are shown as they are", "Silent when done."),
    row("set anon on", "[<key>]", Level::Operator, "3", "refused: names are always shown", "`not supported yet: set anon on`."),
    row("set map", "<map> {<key>|#<ref>} <value>", Level::Operator, "2.6", "gives a key another value", "Silent when done. `entry not found.`"),
    row("set maxconn frontend", "<frontend> <n>", Level::Admin, "2.6", "its most connections", "Silent when done. Connections at a time."),
    row("set maxconn global", "<n>", Level::Admin, "2.6", "the most connections", "Silent when done. 0 is the highest; above it `Value out of range.`"),
    row("set maxconn server", "<bk>/<srv> <n>", Level::Admin, "2.6", "its most connections", "Silent when done. Connections at a time, 0 for no limit."),
    row("set profiling", "<what> {auto|on|off}", Level::Admin, "2.6", "nothing is profiled here", "`Profiling is not supported by this program.`"),
    row("set rate-limit", "<setting> <value>", Level::Admin, "2.6", "connections or sessions a second", "Silent when done. `connections global`, `sessions global`, `ssl-sessions global`: a second, 0 for no limit; who comes too early waits in the kernel. `ssl-sessions` is kept and shown, and limits nothing. `http-compression global` is taken, nothing is compressed. `Value out of range.`"),
    row("set server", "<bk>/<srv> <what>", Level::Admin, "2.6", "its state, weight, address …", "`state ready|drain|maint`, `health up|stopping|down`, `agent up|down`, `weight <n>[%]`, `addr <ip> [port <n>]`, `check-addr <ip> [port <n>]`, `check-port <n>`, `agent-addr <ip> [port <n>]`, `agent-port <n>`, `agent-send <text>`, `fqdn <name>`. Nothing, or what changed. Kept over a reload in place that does not change the server."),
    row("set severity-output", "[none|number|string]", Level::User, "2.6", "labels of messages", "Silent when done. Messages begin with `[6]: ` or `[info]: `."),
    row("set table", "<table> key <k> [data.* <v>]*", Level::Operator, "2.6", "what is stored with a key", "Silent when done."),
    row("set timeout", "cli <delay>", Level::User, "2.6", "how long this client may be silent", "Silent when done. Seconds, or with a unit."),
    row("set var", "<name> [fmt|expr] <value>", Level::Admin, "2.6", "gives it another value", "Silent when done. `int(…)`, `str(…)`, `bool(…)`, `ipv4(…)`, `ipv6(…)` of a variable of the process.").experimental(),
    row("set weight", "<bk>/<srv> <n>[%]", Level::Admin, "2.6", "its share", "Silent when done. 0 to 256, or per cent of the configured one. `Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.`"),
    row("show acl", "[[@<ver>] <acl>]", Level::User, "2.6", "the ACLs, or patterns", "`# id (file) description` and a line for each; with a list its entries, each with a reference."),
    row("show activity", "", Level::Operator, "2.6", "what each thread does", "Lines `name: total [ thread … ]`."),
    row("show anon", "", Level::User, "3", "whether names are hidden", "`Anonymized mode disabled`."),
    row("show backend", "", Level::User, "2.6", "the names of all backends", "`# name` and a name a line."),
    row("show cache", "", Level::Operator, "2.6", "caches; there are none", "An empty list."),
    row("show cli level", "", Level::User, "2.6", "what this client may do", "`user`, `operator` or `admin`."),
    row("show cli sockets", "", Level::User, "2.6", "where clients like this one connect", "`# socket lvl processes` and a line for each."),
    row("show dev", "", Level::User, "3", "the program and its process", "Version, system, process id, options, user, limits, for people; the words may change."),
    row("show env", "[<name>]", Level::Operator, "2.6", "the environment", "`NAME=value` a line. `Variable not found`."),
    row("show errors", "[<proxy>]", Level::Operator, "2.6", "messages that were not understood", "When, and how many: always 0."),
    row("show events", "[<sink>]", Level::User, "2.6", "where events go", "The sinks; with one of them the lines it holds."),
    row("show fd", "[<number>]", Level::Operator, "2.6", "open files", "The open files, from the kernel. `Invalid FD type`."),
    row("show info", "[typed|json|desc|float]*", Level::User, "2.6", "counters of the process", "The fields of HAProxy 3.2 in its order. Times in seconds or as named, rates a second, memory in MB or bytes; what is not counted here is 0."),
    row("show libs", "", Level::Operator, "2.6", "what was loaded besides the program", "The libraries, from the kernel."),
    row("show map", "[[@<ver>] <map>]", Level::User, "2.6", "the maps, or keys and values", "As `show acl`, with values."),
    row("show peers", "[dict|-] [section]", Level::User, "2.6", "who shares stick tables", "The sections and what each peer last did."),
    row("show pools", "", Level::User, "2.6", "nothing is pooled here", "A total of 0: there are no pools."),
    row("show profiling", "", Level::Operator, "2.6", "nothing is profiled here", "That it is off."),
    row("show quic", "", Level::Operator, "3", "connections of QUIC; there are none", "The head of a table."),
    row("show resolvers", "[id]", Level::User, "2.6", "counters of the name servers of each section", "Counters of each name server since the start. `Can't find that resolvers section`."),
    row("show schema json", "", Level::User, "2.6", "the form of what is shown as JSON", "JSON Schema of the JSON forms."),
    row("show servers conn", "[<backend>]", Level::User, "2.6", "connections of servers", "The columns of HAProxy 3.2: connections now, the most there were; nothing is kept idle. `Can't find backend.`"),
    row("show servers state", "[<backend>]", Level::User, "2.6", "the state of servers", "The columns of HAProxy 3.2, for `server-state-file`. `Can't find backend.`"),
    row("show sess", "[<id>|all|older <age>]", Level::Operator, "2.6", "the sessions there are", "A line a session: an id for `shutdown session`, client, frontend, backend, server, age. `Session not found.`"),
    row("show startup-logs", "", Level::Operator, "2.6", "what was said at the start", "What was printed at the start."),
    row("show stat", "[typed|json|desc|up|no-maint]* [<iid> <type> <sid>]", Level::User, "2.6", "counters of proxies and servers", "The columns of HAProxy 3.2 without QUIC, in its order. Bytes; milliseconds for times of sessions, seconds for the rest; rates a second. `No such proxy.`"),
    row("show table", "[<table> [<filter>]*]", Level::User, "2.6", "stick tables, or what one holds", "Tables, or entries; milliseconds until they expire. `No such table`."),
    row("show tasks", "", Level::User, "2.6", "sessions of each thread", "How many sessions each thread has."),
    row("show threads", "", Level::User, "2.6", "the threads", "The threads, from the kernel."),
    row("show trace", "", Level::User, "2.6", "sources of traces; there are none", "The head of a list."),
    row("show version", "", Level::User, "2.6", "the version of this process", "The version of HAProxy whose behaviour is claimed, and our name."),
    row("shutdown frontend", "<frontend>", Level::Admin, "2.6", "accept connections no more", "Silent when done. For good."),
    row("shutdown session", "<id>", Level::Admin, "2.6", "end one session", "Silent when done. `No such session (use 'show sess').`"),
    row("shutdown sessions server", "<bk>/<srv>", Level::Admin, "2.6", "end its sessions", "Silent when done. They are logged with `K`."),
    row("trace", "[<source>|0] …", Level::Operator, "2.6", "nothing is traced here", "The head of a list; `All traces now stopped` to `0`; `No such trace source …`."),
    row("user", "", Level::User, "2.6", "may only read from now on", "Silent when done. The level never rises again."),
    row("wait", "{-h|<delay>} [srv-removable <bk>/<srv>]", Level::User, "3", "say nothing for a while, or until a server can be deleted", "`Done.`, `Wait delay expired.`, or `Failed.` where waiting helps nobody. Milliseconds, or with a unit; `Invalid duration.`"),
];

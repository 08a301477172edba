//! What the process knows of a session besides its addresses: timers, timeouts, queues, the listener
//! it came in by, the rule that decided.

use super::{Call, Fetch};
use crate::acl::Truth;
use crate::arg::{Arg, Args, Kind};
use crate::format::Variable;
use crate::scope::{Found, Name, Number};
use crate::source::Source;
use crate::value::{Type, Value};

const INTERNAL: Source = Source::INTERNAL;
const LISTENER: Source = Source::LISTENER;
const CLIENT: Source = Source::CLIENT;
const BACKEND: Source = Source::BACKEND;
const SERVER: Source = Source::SERVER_CONNECTION;
const REQUEST: Source = Source::HTTP_REQUEST;
const NONE: Args = Args::NONE;
const UNIT: Args = Args::some(0, &[Kind::Str]);
const ACLS: Args = Args::some(1, &[Kind::Acl; 12]);

/// A number the environment knows.
const fn fact(name: &'static str, source: Source, find: super::Find, doc: &'static str) -> Fetch {
    Fetch::new(name, NONE, Type::Int, source, find).doc(doc)
}

pub(super) const TABLE: &[Fetch] = &[
    fact(
        "so_id",
        LISTENER,
        |c| known(c, Number::ListenerId),
        "The id of the listening socket (`bind … id`, else the next number).",
    ),
    Fetch::new("so_name", NONE, Type::Str, LISTENER, |c| name(c, Name::Listener))
        .doc("The name of the listening socket (`bind … name`)."),
    fact(
        "dst_conn",
        LISTENER,
        |c| known(c, Number::ListenerConnections),
        "Connections that came in by the same listening socket.",
    ),
    Fetch::new("stopping", NONE, Type::Bool, INTERNAL, |c| {
        Found::truth(c.scope.environment.number(Number::Stopping))
    })
    .doc("Whether the process is about to stop."),
    fact(
        "thread",
        INTERNAL,
        |c| known(c, Number::Thread),
        "The number of the thread that serves the session, from 0.",
    ),
    fact("nbproc", INTERNAL, |_| Found::int(Some(1)), "1: there is one process."),
    fact(
        "bc.timer.connect",
        SERVER,
        |c| written(c, Variable::ConnectTime),
        "Milliseconds it took to connect to the server, -1 if it is not: `%Tc`.",
    ),
    fact(
        "req.timer.queue",
        SERVER,
        |c| written(c, Variable::WaitTime),
        "Milliseconds in queues: `%Tw`.",
    ),
    fact(
        "res.timer.data",
        SERVER,
        |c| match c.scope.http {
            Some(_) => written(c, Variable::DataTime),
            None => Found::int(Some(-1)),
        },
        "Milliseconds the body of an answer took: `%Td`; -1 without HTTP.",
    ),
    fact(
        "req.timer.idle",
        REQUEST,
        |c| written(c, Variable::IdleTime),
        "Milliseconds without a request before this one: `%Ti`.",
    ),
    fact(
        "req.timer.hdr",
        REQUEST,
        |c| written(c, Variable::RequestTime),
        "Milliseconds until the request's head was there: `%TR`.",
    ),
    fact(
        "req.timer.tq",
        REQUEST,
        |c| written(c, Variable::RequestAndIdleTime),
        "Milliseconds until the request was there, handshakes and idling included: `%Tq`.",
    ),
    fact(
        "res.timer.hdr",
        Source::HTTP_RESPONSE,
        |c| written(c, Variable::AnswerTime),
        "Milliseconds until the server's answer: `%Tr`.",
    ),
    fact(
        "fc.timer.handshake",
        CLIENT,
        |c| written(c, Variable::HandshakeTime),
        "Milliseconds of handshakes with the client: `%Th`.",
    ),
    fact(
        "fc.timer.total",
        CLIENT,
        |c| written(c, Variable::TotalTime),
        "Milliseconds since the client's connection was accepted: `%Tt`.",
    ),
    fact(
        "txn.timer.total",
        INTERNAL,
        |c| match c.scope.http {
            Some(_) => written(c, Variable::ActiveTime),
            None => written(c, Variable::TotalTime),
        },
        "Milliseconds of the exchange (`%Ta`); without HTTP, of the connection.",
    ),
    fact(
        "txn.timer.user",
        INTERNAL,
        |c| written(c, Variable::UserTime),
        "Milliseconds as the user sees them: `%Tu`.",
    ),
    Fetch::new("request_date", UNIT, Type::Int, CLIENT, |c| {
        let date = c.scope.environment.number(Number::RequestDate);
        Found::int(date.map(|ms| match c.word(0) {
            "ms" => ms,
            "us" => ms * 1_000,
            _ => ms / 1_000,
        }))
    })
    .check(super::internal::unit_of_date)
    .doc(
        "When the request came, in seconds since 1970, or `ms` or `us`; without HTTP, when the \
          session began.",
    ),
    fact(
        "txn.id32",
        INTERNAL,
        |c| known(c, Number::Serial),
        "The number of the session in this process, in 32 bits.",
    ),
    Fetch::new("txn.sess_term_state", NONE, Type::Str, INTERNAL, |c| {
        text(c, Variable::TerminationState)
    })
    .doc("How it ended, as `%ts`: `--` before it did."),
    fact(
        "bc_be_queue",
        SERVER,
        |c| written(c, Variable::BackendQueue),
        "How many waited in the backend before it: `%bq`.",
    ),
    fact(
        "bc_srv_queue",
        SERVER,
        |c| written(c, Variable::ServerQueue),
        "How many waited for the server before it: `%sq`.",
    ),
    fact(
        "bc_err",
        SERVER,
        |c| connected(c, 0),
        "0 once the server is connected: what failed before that has no connection to say it of.",
    ),
    Fetch::new("bc_err_name", NONE, Type::Str, SERVER, |_| Found::Nothing)
        .doc("The name of `bc_err`: nothing, for 0 has none."),
    Fetch::new("bc_err_str", NONE, Type::Str, SERVER, |c| match connected(c, 0) {
        Found::Value(_) => Found::Value(Value::text("Success")),
        other => other,
    })
    .doc("`bc_err` in words."),
    Fetch::new("bc_reused", NONE, Type::Bool, SERVER, |c| {
        let reused = c.scope.environment.number(Number::ServerReused);
        Found::truth(Some(reused.unwrap_or(0)))
    })
    .doc("Whether the connection to the server served a request before this one."),
    fact("bc_nb_streams", SERVER, |_| Found::int(Some(1)), "1: a connection serves one session."),
    fact(
        "bc_settings_streams_limit",
        SERVER,
        |_| Found::int(Some(1)),
        "1: a connection serves one session.",
    ),
    fact("fc_nb_streams", CLIENT, |_| Found::int(Some(1)), "1: a connection has one session."),
    fact(
        "fc_settings_streams_limit",
        Source::CLIENT_SESSION,
        |_| Found::int(Some(1)),
        "1: a connection has one session.",
    ),
    Fetch::new("bc_rtt", UNIT, Type::Int, CLIENT, |c| time(c, Number::ServerRtt))
        .check(super::client::unit)
        .doc("The round trip to the server the kernel measured, in milliseconds (or `us`)."),
    Fetch::new("bc_rttvar", UNIT, Type::Int, CLIENT, |c| time(c, Number::ServerRttVariance))
        .check(super::client::unit)
        .doc("How much the round trip to the server varies."),
    fact(
        "fc_err",
        CLIENT,
        |c| known(c, Number::ClientError),
        "Why a connection becomes no session, for `error-log-format`; 0 of all others.",
    ),
    Fetch::new("fc_err_name", NONE, Type::Str, CLIENT, |c| name(c, Name::ClientError))
        .doc("The name of `fc_err`: 0 has none."),
    Fetch::new("fc_err_str", NONE, Type::Str, CLIENT, |c| match name(c, Name::ClientErrorText) {
        Found::Nothing => Found::Value(Value::text("Success")),
        found => found,
    })
    .doc("`fc_err` in words."),
    fact(
        "fs.id",
        Source::CLIENT_SESSION,
        |_| Found::int(Some(0)),
        "0: a connection has one stream.",
    ),
    fact("bs.id", SERVER, |_| Found::int(Some(0)), "0: a connection has one stream."),
    fact(
        "fs.rst_code",
        Source::CLIENT_SESSION,
        |_| Found::Nothing,
        "Nothing: streams without a reset of their own have no code.",
    ),
    fact(
        "bs.rst_code",
        SERVER,
        |_| Found::Nothing,
        "Nothing: streams without a reset of their own have no code.",
    ),
    fact("be_max_retries", BACKEND, |c| known(c, Number::MaxRetries), "`retries` of the backend."),
    fact(
        "be_queue_timeout",
        BACKEND,
        |c| known(c, Number::QueueTimeout),
        "`timeout queue` of the backend, in milliseconds.",
    ),
    fact(
        "be_tarpit_timeout",
        BACKEND,
        |c| known(c, Number::BackendTarpitTimeout),
        "`timeout tarpit` of the backend, in milliseconds.",
    ),
    fact(
        "fe_tarpit_timeout",
        Source::FRONTEND,
        |c| known(c, Number::TarpitTimeout),
        "`timeout tarpit` of the frontend, in milliseconds.",
    ),
    fact(
        "cur_client_timeout",
        Source::FRONTEND,
        |c| current(c, |set| set.client, Number::ClientTimeout),
        "For how long the client may be silent, in milliseconds; what `set-timeout` set counts.",
    ),
    fact(
        "cur_connect_timeout",
        BACKEND,
        |c| current(c, |set| set.connect, Number::ConnectTimeout),
        "For how long a connect may take, in milliseconds; what `set-timeout` set counts.",
    ),
    fact(
        "cur_queue_timeout",
        BACKEND,
        |c| current(c, |set| set.queue, Number::QueueTimeout),
        "For how long it may wait in a queue, in milliseconds; what `set-timeout` set counts.",
    ),
    fact(
        "cur_server_timeout",
        BACKEND,
        |c| current(c, |set| set.server, Number::ServerTimeout),
        "For how long the server may be silent, in milliseconds; what `set-timeout` set counts.",
    ),
    fact(
        "cur_tarpit_timeout",
        BACKEND,
        |c| current(c, |set| set.tarpit, Number::TarpitTimeout),
        "For how long a tarpit holds it, in milliseconds; what `set-timeout` set counts.",
    ),
    fact(
        "cur_tunnel_timeout",
        BACKEND,
        |c| current(c, |set| set.tunnel, Number::TunnelTimeout),
        "For how long both may be silent, in milliseconds; what `set-timeout` set counts.",
    ),
    fact(
        "cur_max_retries",
        BACKEND,
        |c| match c.record.retries {
            Some(retries) => Found::int(Some(retries.into())),
            None => known(c, Number::MaxRetries),
        },
        "How many connects are repeated; what `set-retries` set counts.",
    ),
    fact(
        "prio_class",
        INTERNAL,
        |c| Found::int(Some(c.record.priority.0.into())),
        "The class `set-priority-class` set, 0 otherwise.",
    ),
    fact(
        "prio_offset",
        INTERNAL,
        |c| Found::int(Some(c.record.priority.1.into())),
        "The milliseconds `set-priority-offset` set, 0 otherwise.",
    ),
    Fetch::new("last_rule_file", NONE, Type::Str, INTERNAL, |c| {
        Found::of(c.record.decided.as_ref().map(|at| Value::text(at.file.to_string())))
    })
    .doc(
        "The file of the last rule of `tcp-request content`, `tcp-response content`, \
          `http-request` or `http-response` that ended the rules of its place.",
    ),
    fact(
        "last_rule_line",
        INTERNAL,
        |c| Found::int(c.record.decided.as_ref().map(|at| at.line.into())),
        "The line of that rule.",
    ),
    Fetch::new("last_entity", NONE, Type::Str, INTERNAL, |c| {
        let at = c.record.decided.as_ref();
        Found::of(at.map(|at| Value::text(format!("{}:{}", at.file, at.line))))
    })
    .doc("That rule, as `file:line`."),
    Fetch::new("acl", ACLS, Type::Bool, Source::CONST, |c| {
        let mut truth = Truth::Yes;
        for arg in c.args {
            let Arg::Acl(acl, negated) = arg else { return Found::Nothing };
            let one = acl.eval(c.scope, c.record);
            truth = truth.min(if *negated { one.not() } else { one });
        }
        match truth {
            Truth::Unknown => Found::NotYet,
            truth => Found::Value(Value::Bool(truth == Truth::Yes)),
        }
    })
    .doc("Whether all of these ACLs hold, or with `!` do not."),
];

fn known<'a>(c: &Call<'a, '_>, what: Number) -> Found<'a> {
    Found::int(c.scope.environment.number(what))
}

fn name<'a>(c: &Call<'a, '_>, what: Name) -> Found<'a> {
    Found::of(c.scope.environment.name(what).map(|name| Value::Str(super::cow(name))))
}

/// What a variable of log lines says.
fn text<'a>(c: &Call<'a, '_>, what: Variable) -> Found<'a> {
    let mut out = Vec::new();
    let found = c.scope.environment.log_variable(what, &mut out);
    Found::of(found.then(|| Value::Str(out.into())))
}

/// The number a variable of log lines says.
fn written<'a>(c: &Call<'a, '_>, what: Variable) -> Found<'a> {
    match text(c, what) {
        // `option logasap` marks numbers that may grow.
        Found::Value(value) => Found::int(value.number()),
        other => other,
    }
}

/// `number` once there is a connection to the server.
fn connected<'a>(c: &Call<'a, '_>, number: i64) -> Found<'a> {
    let connected = c.scope.environment.number(Number::Connected).unwrap_or(0) != 0;
    Found::int(connected.then_some(number))
}

/// What a rule set, else what is configured.
fn current<'a>(
    c: &Call<'a, '_>,
    set: fn(&crate::record::Timeouts) -> Option<u32>,
    configured: Number,
) -> Found<'a> {
    match c.record.timeouts.as_deref().and_then(set) {
        Some(millis) => Found::int(Some(millis.into())),
        None => known(c, configured),
    }
}

/// Milliseconds unless `us` is asked for; 0 where there is no connection.
fn time<'a>(c: &Call<'a, '_>, what: Number) -> Found<'a> {
    let micros = c.scope.environment.number(what);
    Found::int(micros.map(|n| if c.word(0) == "us" { n } else { n / 1_000 }))
}

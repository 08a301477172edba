//! The state of the process, constants, variables.

#![expect(clippy::ptr_arg, reason = "the type of a row's check")]

use super::{Call, Fetch, cow};
use crate::arg::{Arg, Args, Kind};
use crate::pattern::{Flags, Match, Set};
use crate::scope::{BackendNumber, Found, FrontendNumber, Name, Number, ServerNumber, since_1970};
use crate::source::Source;
use crate::value::{Type, Value};

const INTERNAL: Source = Source::INTERNAL;
const BACKEND: Args = Args::all(&[Kind::Backend]);
const FRONTEND: Args = Args::all(&[Kind::Frontend]);
const SERVER: Args = Args::all(&[Kind::Server]);
const TEXT: Args = Args::all(&[Kind::Str]);

/// The largest number `rand` makes where no range is given, and one more.
const RANDOM: u64 = 1 << 32;

pub(super) const TABLE: &[Fetch] = &[
    Fetch::new("always_true", Args::NONE, Type::Bool, Source::CONST, |_| {
        Found::Value(Value::Bool(true))
    })
    .doc("True."),
    Fetch::new("always_false", Args::NONE, Type::Bool, Source::CONST, |_| {
        Found::Value(Value::Bool(false))
    })
    .doc("False."),
    Fetch::new("bool", TEXT, Type::Bool, Source::CONST, |c| {
        Found::Value(Value::Bool(matches!(c.word(0), "true" | "1")))
    })
    .check(|args| match args.first().and_then(Arg::text) {
        Some(b"true" | b"false" | b"0" | b"1") => Ok(()),
        _ => Err("Expects 'true', 'false', '0' or '1'".to_owned()),
    })
    .doc("The truth it is given."),
    Fetch::new("int", Args::all(&[Kind::Int]), Type::Int, Source::CONST, |c| Found::int(c.int(0)))
        .doc("The number it is given."),
    Fetch::new("str", TEXT, Type::Str, Source::CONST, |c| {
        Found::of(c.text(0).map(|text| Value::Str(text.into())))
    })
    .doc("The text it is given."),
    Fetch::new("bin", TEXT, Type::Bin, Source::CONST, |c| {
        Found::of(c.text(0).map(|bytes| Value::Bin(bytes.into())))
    })
    .check(|args| {
        let Some(Arg::Str(text)) = args.first_mut() else { return Ok(()) };
        let digits = String::from_utf8_lossy(text).into_owned();
        // Read by the same rules as a pattern.
        Set::new(Match::Bin, Flags::default()).add(&digits)?;
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap_or(0);
        *text = (0..digits.len()).step_by(2).map(byte).collect();
        Ok(())
    })
    .doc("The bytes it is given in hexadecimal."),
    Fetch::new("ipv4", Args::all(&[Kind::V4]), Type::V4, Source::CONST, |c| {
        Found::of(match c.args {
            [Arg::V4(ip)] => Some(Value::Ip((*ip).into())),
            _ => None,
        })
    })
    .doc("The address it is given."),
    Fetch::new("ipv6", Args::all(&[Kind::V6]), Type::V6, Source::CONST, |c| {
        Found::of(match c.args {
            [Arg::V6(ip)] => Some(Value::Ip((*ip).into())),
            _ => None,
        })
    })
    .doc("The address it is given."),
    Fetch::new("var", Args::some(1, &[Kind::Variable, Kind::Str]), Type::Any, Source::CONST, |c| {
        let Some(Arg::Variable(variable)) = c.args.first() else { return Found::Nothing };
        let found = c.record.get(variable, c.scope.environment.process());
        Found::of(found.or_else(|| Some(Value::Str(c.text(1)?.into()))))
    })
    .doc("A variable, or the text behind the comma if it is not set."),
    Fetch::new("capture.req.hdr", Args::all(&[Kind::Int]), Type::Str, INTERNAL, |c| {
        let slot = c.int(0).and_then(|slot| c.record.captures.get(usize::try_from(slot).ok()?));
        Found::of(slot.and_then(|text| Some(Value::Str(text.clone()?.into_vec().into()))))
    })
    .doc("What a `capture` rule kept in a slot, counted from 0."),
    Fetch::new("env", TEXT, Type::Str, Source::CONST, |c| {
        Found::of(c.text(0).map(|text| Value::Str(text.into())))
    })
    .check(|args| {
        // The environment does not change once the process runs.
        if let Some(Arg::Str(name)) = args.first_mut() {
            let name = String::from_utf8_lossy(name).into_owned();
            match std::env::var(&name) {
                Ok(value) if !name.is_empty() => args[0] = Arg::Str(value.into_bytes().into()),
                _ => args.clear(),
            }
        }
        Ok(())
    })
    .doc("A variable of the environment the process was started with."),
    Fetch::new("rand", Args::some(0, &[Kind::Int]), Type::Int, INTERNAL, |c| {
        let below = c.int(0).and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0);
        let number = c.scope.environment.random(below.unwrap_or(RANDOM));
        Found::int(i64::try_from(number).ok())
    })
    .doc("A random number of 32 bits, or below the one it is given."),
    Fetch::new("uuid", Args::some(0, &[Kind::Int]), Type::Str, INTERNAL, |c| {
        let word = || c.scope.environment.random(RANDOM);
        let (a, b, d, e) = (word(), word(), word(), word());
        let text = format!(
            "{a:08x}-{:04x}-{:04x}-{:04x}-{:04x}{e:08x}",
            b >> 16,
            b & 0xfff | 0x4000,
            d >> 16 & 0x3fff | 0x8000,
            d & 0xffff
        );
        Found::Value(Value::text(text))
    })
    .check(|args| match args.first().and_then(Arg::int) {
        None | Some(4) => Ok(()),
        Some(other) => Err(format!("Unsupported UUID version: '{other}'")),
    })
    .doc("A random UUID of version 4."),
    Fetch::new("date", Args::some(0, &[Kind::Int, Kind::Str]), Type::Int, INTERNAL, |c| {
        let now = since_1970(c.scope.environment.now());
        let offset = c.int(0).unwrap_or(0);
        Found::int(match c.word(1) {
            "ms" => i64::try_from(now.as_millis()).ok().map(|ms| ms + offset),
            "us" => i64::try_from(now.as_micros()).ok().map(|us| us + offset),
            _ => i64::try_from(now.as_secs()).ok().map(|s| s + offset),
        })
    })
    .check(date_unit)
    .doc("Seconds since 1970, or `ms` or `us`, and the offset."),
    Fetch::new("date_us", Args::NONE, Type::Int, INTERNAL, |c| {
        let now = since_1970(c.scope.environment.now());
        Found::int(Some(i64::from(now.subsec_micros())))
    })
    .doc("Microseconds of the running second."),
    Fetch::new("accept_date", Args::some(0, &[Kind::Str]), Type::Int, Source::CLIENT, |c| {
        let at = c.scope.environment.number(Number::AcceptDate);
        Found::int(at.map(|ms| match c.word(0) {
            "ms" => ms,
            "us" => ms * 1_000,
            _ => ms / 1_000,
        }))
    })
    .check(|args| unit(args.first()))
    .doc("When the connection was accepted, in seconds since 1970, or `ms` or `us`."),
    Fetch::new("hostname", Args::NONE, Type::Str, INTERNAL, |c| {
        Found::of(c.scope.environment.name(Name::Host).map(|name| Value::Str(cow(name))))
    })
    .doc("The name of the machine."),
    Fetch::new("pid", Args::NONE, Type::Int, INTERNAL, |c| fact(c, Number::Pid))
        .doc("The id of the process."),
    Fetch::new("proc", Args::NONE, Type::Int, INTERNAL, |_| Found::int(Some(1)))
        .doc("1: there is one process."),
    Fetch::new("uptime", Args::NONE, Type::Int, INTERNAL, |c| fact(c, Number::Uptime))
        .doc("Seconds since the process started."),
    Fetch::new("act_conn", Args::NONE, Type::Int, INTERNAL, |c| fact(c, Number::Connections))
        .doc("Connections of the process."),
    Fetch::new("wait_end", Args::NONE, Type::Bool, INTERNAL, |c| {
        if c.scope.last { Found::Value(Value::Bool(true)) } else { Found::NotYet }
    })
    .doc("True once the inspection delay is over."),
    Fetch::new("fe_conn", FRONTEND, Type::Int, INTERNAL, |c| {
        frontend(c, FrontendNumber::Connections)
    })
    .doc("Connections of a frontend, this one by default."),
    Fetch::new("fe_req_rate", FRONTEND, Type::Int, INTERNAL, |c| {
        frontend(c, FrontendNumber::RequestRate)
    })
    .doc("HTTP requests per second of a frontend."),
    Fetch::new("fe_sess_rate", FRONTEND, Type::Int, INTERNAL, |c| {
        frontend(c, FrontendNumber::SessionRate)
    })
    .doc("Sessions per second of a frontend."),
    Fetch::new("be_conn", BACKEND, Type::Int, INTERNAL, |c| backend(c, BackendNumber::Connections))
        .doc("Connections of a backend."),
    Fetch::new("be_conn_free", BACKEND, Type::Int, INTERNAL, |c| {
        backend(c, BackendNumber::FreeConnections)
    })
    .doc("Connections the usable servers of a backend have left, -1 if one has no limit."),
    Fetch::new("be_sess_rate", BACKEND, Type::Int, INTERNAL, |c| {
        backend(c, BackendNumber::SessionRate)
    })
    .doc("Sessions per second of a backend."),
    Fetch::new("nbsrv", BACKEND, Type::Int, INTERNAL, |c| backend(c, BackendNumber::UsableServers))
        .doc("Usable servers of a backend."),
    Fetch::new("queue", BACKEND, Type::Int, INTERNAL, |c| backend(c, BackendNumber::Queue))
        .doc("Sessions that wait in a backend."),
    Fetch::new("avg_queue", BACKEND, Type::Int, INTERNAL, |c| {
        backend(c, BackendNumber::AverageQueue)
    })
    .doc("Sessions that wait in a backend per usable server, rounded up."),
    Fetch::new("connslots", BACKEND, Type::Int, INTERNAL, |c| backend(c, BackendNumber::Slots))
        .doc("Connections and places in queues a backend has left, -1 if there is no limit."),
    Fetch::new("srv_conn", SERVER, Type::Int, INTERNAL, |c| server(c, ServerNumber::Connections))
        .doc("Connections of a server."),
    Fetch::new("srv_conn_free", SERVER, Type::Int, INTERNAL, |c| {
        server(c, ServerNumber::FreeConnections)
    })
    .doc("Connections a server has left, -1 if it has no limit."),
    Fetch::new("srv_is_up", SERVER, Type::Bool, INTERNAL, |c| {
        match server(c, ServerNumber::IsUp) {
            Found::Value(value) => Found::of(value.cast(Type::Bool)),
            other => other,
        }
    })
    .doc("Whether a server is up."),
    Fetch::new("srv_queue", SERVER, Type::Int, INTERNAL, |c| server(c, ServerNumber::Queue))
        .doc("Sessions that wait for a server."),
    Fetch::new("srv_sess_rate", SERVER, Type::Int, INTERNAL, |c| {
        server(c, ServerNumber::SessionRate)
    })
    .doc("Sessions per second of a server."),
    Fetch::new("srv_weight", SERVER, Type::Int, INTERNAL, |c| server(c, ServerNumber::Weight))
        .doc("The weight of a server."),
    Fetch::new("srv_uweight", SERVER, Type::Int, INTERNAL, |c| server(c, ServerNumber::Weight))
        .doc("The weight of a server as operators set it."),
    Fetch::new("srv_iweight", SERVER, Type::Int, INTERNAL, |c| {
        server(c, ServerNumber::InitialWeight)
    })
    .doc("The weight of a server as configured."),
];

fn fact<'a>(c: &Call<'a, '_>, what: Number) -> Found<'a> {
    Found::int(c.scope.environment.number(what))
}

fn frontend<'a>(c: &Call<'a, '_>, what: FrontendNumber) -> Found<'a> {
    Found::int(match c.args.first() {
        Some(Arg::Frontend(at)) => c.scope.environment.frontend(*at, what),
        _ => None,
    })
}

fn backend<'a>(c: &Call<'a, '_>, what: BackendNumber) -> Found<'a> {
    Found::int(match c.args.first() {
        Some(Arg::Backend(at)) => c.scope.environment.backend(*at, what),
        _ => None,
    })
}

fn server<'a>(c: &Call<'a, '_>, what: ServerNumber) -> Found<'a> {
    Found::int(match c.args.first() {
        Some(Arg::Server(backend, at)) => c.scope.environment.server(*backend, *at, what),
        _ => None,
    })
}

fn date_unit(args: &mut Vec<Arg>) -> Result<(), String> {
    unit(args.get(1))
}

/// The first argument is a unit of dates.
pub(super) fn unit_of_date(args: &mut Vec<Arg>) -> Result<(), String> {
    unit(args.first())
}

fn unit(arg: Option<&Arg>) -> Result<(), String> {
    match arg.and_then(Arg::text) {
        None | Some(b"s" | b"ms" | b"us") => Ok(()),
        Some(other) => {
            Err(format!("expects 's', 'ms' or 'us', got '{}'", String::from_utf8_lossy(other)))
        }
    }
}

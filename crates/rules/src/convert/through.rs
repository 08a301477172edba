//! Converters that go through something else: variables, maps, the state of servers.

use super::text::registered;
use super::{Converter, Step, bytes};
use crate::acl::Truth;
use crate::arg::{Arg, Args, Kind};
use crate::pattern::Match;
use crate::record::Variable;
use crate::scope::{BackendNumber, Number, Scope, ServerNumber};
use crate::value::Type::{self, Any, Bool, Int, Str};
use crate::value::Value;

const MAP: Args = Args::some(1, &[Kind::Map, Kind::Str]);
const MAP_KEY: Args = Args::all(&[Kind::Map]);

pub(super) const TABLE: &[Converter] = &[
    Converter::new("set-var", Args::some(1, &[Kind::Str, Kind::Str]), Any, Any, |v, step| {
        let Some(Arg::Variable(variable)) = step.args.first() else { return None };
        let process = step.scope.environment.process();
        step.record.set(variable, Some(v.clone().into_owned()), process);
        Some(v)
    })
    .check(|args| {
        if args.len() > 1 {
            return Err("conditions are not supported here".to_owned());
        }
        let name = args.first().and_then(Arg::text).map(String::from_utf8_lossy);
        args[0] = Arg::Variable(Variable::parse(&name.unwrap_or_default())?);
        Ok(())
    })
    .doc("Keeps the value in a variable, too."),
    Converter::new("unset-var", Args::all(&[Kind::Str]), Any, Any, |v, step| {
        let Some(Arg::Variable(variable)) = step.args.first() else { return None };
        let process = step.scope.environment.process();
        step.record.set(variable, None, process);
        Some(v)
    })
    .check(|args| {
        let name = args.first().and_then(Arg::text).map(String::from_utf8_lossy);
        args[0] = Arg::Variable(Variable::parse(&name.unwrap_or_default())?);
        Ok(())
    })
    .doc("Removes a variable."),
    Converter::new("secure_memcmp", Args::all(&[Kind::Str]), Type::Bin, Bool, |v, step| {
        let Some(Arg::Variable(variable)) = step.args.first() else { return None };
        let other = step.get(variable)?.into_bytes()?;
        let own = bytes(v);
        // The time it takes says nothing about where they differ.
        let differ = own.iter().zip(&*other).fold(0, |sum, (a, b)| sum | (a ^ b));
        Some(Value::Bool(own.len() == other.len() && differ == 0))
    })
    .check(|args| {
        let name = args.first().and_then(Arg::text).unwrap_or_default();
        args[0] = Arg::Variable(registered(name)?);
        Ok(())
    })
    .doc("Whether the bytes are those of a variable, in constant time."),
    Converter::new("nbsrv", Args::NONE, Str, Int, |v, step| {
        let at = backend(&v, step.scope)?;
        Some(Value::Int(step.scope.environment.backend(at, BackendNumber::UsableServers)?))
    })
    .doc("Usable servers of the backend of this name."),
    Converter::new("srv_queue", Args::NONE, Str, Int, |v, step| {
        let (backend, server) = server(&v, step.scope)?;
        Some(Value::Int(step.scope.environment.server(backend, server, ServerNumber::Queue)?))
    })
    .doc("Sessions that wait for the server of this name."),
    Converter::new("srv_is_up", Args::NONE, Str, Bool, |v, step| {
        let (backend, server) = server(&v, step.scope)?;
        let up = step.scope.environment.server(backend, server, ServerNumber::IsUp)?;
        Some(Value::Bool(up != 0))
    })
    .doc("Whether the server of this name is up."),
    map("map", Str, Str),
    map("map_str", Str, Str),
    map("map_beg", Str, Str),
    map("map_sub", Str, Str),
    map("map_dir", Str, Str),
    map("map_dom", Str, Str),
    map("map_end", Str, Str),
    map("map_reg", Str, Str),
    map("map_regm", Str, Str),
    map("map_int", Int, Str),
    map("map_ip", Type::Addr, Str),
    map("map_str_str", Str, Str),
    map("map_beg_str", Str, Str),
    map("map_sub_str", Str, Str),
    map("map_dir_str", Str, Str),
    map("map_dom_str", Str, Str),
    map("map_end_str", Str, Str),
    map("map_reg_str", Str, Str),
    map("map_int_str", Int, Str),
    map("map_ip_str", Type::Addr, Str),
    map("map_str_int", Str, Int),
    map("map_beg_int", Str, Int),
    map("map_sub_int", Str, Int),
    map("map_dir_int", Str, Int),
    map("map_dom_int", Str, Int),
    map("map_end_int", Str, Int),
    map("map_reg_int", Str, Int),
    map("map_int_int", Int, Int),
    map("map_ip_int", Type::Addr, Int),
    map("map_str_ip", Str, Type::Addr),
    map("map_beg_ip", Str, Type::Addr),
    map("map_sub_ip", Str, Type::Addr),
    map("map_dir_ip", Str, Type::Addr),
    map("map_dom_ip", Str, Type::Addr),
    map("map_end_ip", Str, Type::Addr),
    map("map_reg_ip", Str, Type::Addr),
    map("map_int_ip", Int, Type::Addr),
    map("map_ip_ip", Type::Addr, Type::Addr),
    map_key("map_str_key", Str),
    map_key("map_beg_key", Str),
    map_key("map_sub_key", Str),
    map_key("map_dir_key", Str),
    map_key("map_dom_key", Str),
    map_key("map_end_key", Str),
    map_key("map_reg_key", Str),
    map_key("map_int_key", Int),
    map_key("map_ip_key", Type::Addr),
    Converter::new("fe_exists", Args::NONE, Str, Bool, |v, step| {
        Some(Value::Bool(step.scope.environment.frontend_named(name(&v)?).is_some()))
    })
    .doc("Whether there is a frontend of this name."),
    Converter::new("when", Args::some(0, &[Kind::Str, Kind::Acl]), Any, Any, |v, step| {
        let (negated, wanted) = negation(step.text(0));
        let fact = |number| step.scope.environment.number(number).unwrap_or(0) != 0;
        let holds = match wanted {
            b"stopping" => fact(Number::Stopping),
            b"normal" => !fact(Number::WentWrong),
            b"error" => fact(Number::WentWrong),
            b"forwarded" => fact(Number::Forwarded),
            b"toapplet" => fact(Number::AnsweredHere),
            b"processed" => fact(Number::Forwarded) || fact(Number::AnsweredHere),
            _ => match step.args.get(1) {
                Some(Arg::Acl(acl, negated)) => {
                    let scope = Scope { last: true, ..*step.scope };
                    (acl.eval(&scope, step.record) == Truth::Yes) != *negated
                }
                _ => false,
            },
        };
        (holds != negated).then_some(v)
    })
    .check(|args| {
        const KNOWN: &[&[u8]] =
            &[b"stopping", b"normal", b"error", b"forwarded", b"toapplet", b"processed", b"acl"];
        let text = args.first().and_then(Arg::text).unwrap_or_default();
        if negation(text).1 == b"acl" && args.len() < 2 {
            let text = "'acl' selector requires an extra argument with the ACL name";
            return Err(text.to_owned());
        }
        if KNOWN.contains(&negation(text).1) {
            return Ok(());
        }
        Err(format!(
            "expects a supported keyword among \
             {{stopping,normal,error,forwarded,toapplet,processed,acl}} but got '{}'",
            String::from_utf8_lossy(text)
        ))
    })
    .doc(
        "The value if something holds (`!`: if it does not) of the session, otherwise nothing: \
          costs a log line only has to say at times.",
    ),
];

/// What stands behind a `!`, and whether there is one.
fn negation(text: &[u8]) -> (bool, &[u8]) {
    match text.strip_prefix(b"!") {
        Some(rest) => (true, rest),
        None => (false, text),
    }
}

const fn map_key(name: &'static str, input: Type) -> Converter {
    Converter::new(name, MAP_KEY, input, Str, |v, step| {
        let Some(Arg::Map(map)) = step.args.first() else { return None };
        map.with(|map| Some(Value::text(map.key(v)?.to_owned())))
    })
    .doc("The key of a file that matches, as it is written there.")
}

const fn map(name: &'static str, input: Type, out: Type) -> Converter {
    Converter::new(name, MAP, input, out, look_up)
        .doc("The value of the key in a file, or the default.")
}

/// How the keys of a map converter match, what its values are, and whether they are templates.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MapKind {
    /// How keys match.
    pub matched: Match,
    /// What values are.
    pub out: Type,
}

/// What the name of a map converter says of the map; `None` for other converters.
pub fn map_named(name: &str) -> Option<MapKind> {
    let rest = name.strip_prefix("map")?;
    let mut parts = rest.split('_').skip(1);
    let matched = match parts.next().unwrap_or("str") {
        "regm" => Match::Regex,
        word => Match::NAMES.iter().find(|(known, _)| *known == word)?.1,
    };
    let out = match parts.next() {
        Some("int") => Int,
        Some("ip") => Type::Addr,
        _ => Str,
    };
    Some(MapKind { matched, out })
}

fn look_up<'a>(value: Value<'a>, step: &mut Step<'a, '_>) -> Option<Value<'a>> {
    let Some(Arg::Map(map)) = step.args.first() else { return None };
    map.with(|map| {
        let found = if map.expands { map.expand(&bytes(value)) } else { map.look_up(value) };
        found.or_else(|| {
            let default = step.args.get(1)?.text()?;
            map.default_value(default)
        })
    })
}

fn name<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    match value {
        Value::Str(text) => std::str::from_utf8(text).ok(),
        _ => None,
    }
}

fn backend(value: &Value<'_>, scope: &Scope<'_>) -> Option<usize> {
    scope.environment.backend_named(name(value)?)
}

fn server(value: &Value<'_>, scope: &Scope<'_>) -> Option<(usize, usize)> {
    let (backend, server) = name(value)?.split_once('/')?;
    let backend = scope.environment.backend_named(backend)?;
    Some((backend, scope.environment.server_named(backend, server)?))
}

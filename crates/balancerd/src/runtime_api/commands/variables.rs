//! Variables of the process.

use ::rules::Value;
use ::rules::record::{Scope, Variable};

use super::{Call, Command, Outcome, Reply};

pub(super) const COMMANDS: &[Command] =
    &[Command::new("get var", get), Command::new("set var", set)];

fn get(call: &mut Call<'_>) -> Outcome {
    if call.word(0).is_empty() {
        return Err(Reply::error_line("Missing process-wide variable identifier."));
    }
    let known = Variable::parse(call.word(0)).ok().filter(|name| name.scope == Scope::Process);
    let value = known.and_then(|variable| call.shared.variables.get(&variable));
    let Some(value) = value else { return Err(Reply::error_line("Variable not found.")) };
    let (kind, text) = (kind(&value), shown(&value));
    Ok(Reply::info_line(format_args!("{}: type={kind} value=<{text}>", call.word(0))))
}

/// An expression or a format that sees no connection, as `set-var` of `global` has it.
fn set(call: &mut Call<'_>) -> Outcome {
    let name = call.word(0);
    let (as_format, first) = match call.word(1) {
        "expr" => (false, 2),
        "fmt" => (true, 2),
        _ => (false, 1),
    };
    let words: Vec<&str> =
        (first..).map(|at| call.word(at)).take_while(|w| !w.is_empty()).collect();
    if name.is_empty() || words.is_empty() {
        let text = "Expect '<name> <expr>' or '<name> <fmt>' as arguments.";
        return Err(Reply::error_line(text));
    }
    let variable = Variable::parse(name).ok().filter(|name| name.scope == Scope::Process);
    let Some(variable) = variable else {
        return Err(Reply::error_line("Only a variable of the process ('proc.') can be set."));
    };
    match haproxy_cfg::value(name, &words, as_format) {
        Ok(value) => {
            call.shared.variables.set(&variable, value);
            Ok(Reply::DONE)
        }
        Err(why) => Err(Reply::error_line(why)),
    }
}

fn kind(value: &Value<'_>) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Int(_) => "sint",
        Value::Ip(ip) if ip.is_ipv4() => "ipv4",
        Value::Ip(_) => "ipv6",
        Value::Str(_) => "str",
        Value::Bin(_) => "bin",
    }
}

fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Bool(is) => u8::from(*is).to_string(),
        Value::Int(number) => number.to_string(),
        Value::Ip(ip) => ip.to_string(),
        Value::Str(text) => String::from_utf8_lossy(text).into_owned(),
        Value::Bin(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

//! Arithmetic, truth and addresses.

use std::net::IpAddr;

use super::{Convert, Converter, Step};
use crate::arg::{Arg, Args, Kind};
use crate::record::Variable;
use crate::value::Type::{self, Addr, Bool, Int};
use crate::value::Value;

const NONE: Args = Args::NONE;
/// A number or the name of a variable: text until it is looked at.
const OPERAND: Args = Args::all(&[Kind::Str]);

pub(super) const TABLE: &[Converter] = &[
    operation("add", |v, s| apply(v, s, i64::saturating_add)).doc("Adds a number or a variable."),
    operation("sub", |v, s| apply(v, s, i64::saturating_sub))
        .doc("Subtracts a number or a variable."),
    operation("mul", |v, s| apply(v, s, i64::saturating_mul)).doc("Multiplies."),
    operation("div", |v, s| {
        apply(v, s, |a, b| if b == 0 { extreme(a) } else { a.wrapping_div(b) })
    })
    .doc("Divides; by 0, the end of the range."),
    operation("mod", |v, s| apply(v, s, |a, b| if b == 0 { 0 } else { a.wrapping_rem(b) }))
        .doc("The remainder of a division; 0 if it is by 0."),
    operation("and", |v, s| apply(v, s, |a, b| a & b)).doc("Bits that are set in both."),
    operation("or", |v, s| apply(v, s, |a, b| a | b)).doc("Bits that are set in one of both."),
    operation("xor", |v, s| apply(v, s, |a, b| a ^ b))
        .doc("Bits that are set in one and not the other."),
    Converter::new("neg", NONE, Int, Int, |v, _| Some(Value::Int(v.number()?.wrapping_neg())))
        .doc("The number with the other sign."),
    Converter::new("cpl", NONE, Int, Int, |v, _| Some(Value::Int(!v.number()?)))
        .doc("All bits the other way."),
    Converter::new("even", NONE, Int, Bool, |v, _| Some(Value::Bool(v.number()? & 1 == 0)))
        .doc("Whether the number is even."),
    Converter::new("odd", NONE, Int, Bool, |v, _| Some(Value::Bool(v.number()? & 1 == 1)))
        .doc("Whether the number is odd."),
    Converter::new("bool", NONE, Int, Bool, |v, _| Some(Value::Bool(v.number()? != 0)))
        .doc("Whether the number is not 0."),
    Converter::new("not", NONE, Int, Bool, |v, _| Some(Value::Bool(v.number()? == 0)))
        .doc("Whether the number is 0."),
    Converter::new("htonl", NONE, Int, Type::Bin, |v, _| {
        Some(Value::Bin((v.number()? as u32).to_be_bytes().to_vec().into()))
    })
    .doc("Four bytes in network order."),
    Converter::new("ipmask", Args::some(1, &[Kind::Mask4, Kind::Mask6]), Addr, Addr, ipmask)
        .doc("The address with the bits outside a mask cleared."),
    Converter::new("iif", Args::all(&[Kind::Str, Kind::Str]), Bool, Type::Str, |v, step| {
        let at = usize::from(!v.truth()?);
        Some(Value::Str(step.text(at).into()))
    })
    .doc("The first text if it is true, else the second."),
];

const fn operation(name: &'static str, convert: Convert) -> Converter {
    Converter::new(name, OPERAND, Int, Int, convert).check(operand)
}

fn apply<'a>(value: Value<'a>, step: &Step<'a, '_>, how: fn(i64, i64) -> i64) -> Option<Value<'a>> {
    Some(Value::Int(how(value.number()?, step.operand(0)?)))
}

const fn extreme(number: i64) -> i64 {
    if number > 0 { i64::MAX } else { i64::MIN }
}

fn operand(args: &mut Vec<Arg>) -> Result<(), String> {
    let text = args.first().and_then(Arg::text).map(String::from_utf8_lossy).unwrap_or_default();
    let found = match (Variable::parse(&text), text.parse()) {
        (Ok(variable), _) => Arg::Variable(variable),
        (_, Ok(number)) => Arg::Int(number),
        _ => return Err("expects an integer or a variable name".to_owned()),
    };
    *args = vec![found];
    Ok(())
}

fn ipmask<'a>(value: Value<'a>, step: &mut Step<'a, '_>) -> Option<Value<'a>> {
    let ip = match (value.address()?, step.args) {
        (IpAddr::V4(ip), [Arg::Mask4(mask), ..]) => IpAddr::V4((u32::from(ip) & mask).into()),
        (IpAddr::V6(ip), [_, Arg::Mask6(mask)]) => IpAddr::V6((u128::from(ip) & mask).into()),
        // Without a mask for IPv6 only an IPv4 address can be masked.
        _ => return None,
    };
    Some(Value::Ip(ip))
}

//! The expressions rules are made of (linux/netfilter/nf_tables.h).

use super::NFTA_DATA_VALUE;
use crate::request::Request;

const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;
const NFTA_VERDICT_CHAIN: u16 = 2;
const NFT_GOTO: u32 = u32::MAX - 3;

/// Bases of [`load_payload`].
pub(super) const NETWORK: u32 = 1;
pub(super) const TRANSPORT: u32 = 2;
/// Keys of [`load_meta`].
pub(super) const IIF: u32 = 4;
pub(super) const OIF: u32 = 5;
pub(super) const L4PROTO: u32 = 16;
pub(super) const OIFKIND: u32 = 27;

/// Adds an expression to a rule.
pub(super) type Expression = Box<dyn FnOnce(Request) -> Request>;
pub(super) type Rule = Vec<Expression>;

fn expression(name: &'static str, data: impl FnOnce(Request) -> Request + 'static) -> Expression {
    Box::new(move |all| all.with_name(NFTA_EXPR_NAME, name).nested(NFTA_EXPR_DATA, data))
}

fn number(request: Request, kind: u16, value: u32) -> Request {
    request.with(kind, &value.to_be_bytes())
}

pub(super) fn both(first: Expression, second: Expression) -> Rule {
    vec![first, second]
}

/// `len` bytes of a header, from `offset`, into a register.
pub(super) fn load_payload(register: u32, base: u32, offset: u32, len: u32) -> Expression {
    expression("payload", move |all| {
        [register, base, offset, len]
            .into_iter()
            .zip(1..)
            .fold(all, |all, (value, kind)| number(all, kind, value))
    })
}

/// Something about the packet that is not in it.
pub(super) fn load_meta(register: u32, key: u32) -> Expression {
    expression("meta", move |all| number(number(all, 1, register), 2, key))
}

/// Goes on if the register holds `value`.
pub(super) fn cmp(register: u32, value: &[u8]) -> Expression {
    let value = value.to_vec();
    expression("cmp", move |all| {
        number(number(all, 1, register), 2, 0).nested(3, |data| data.with(NFTA_DATA_VALUE, &value))
    })
}

/// Keeps these bits of a register.
pub(super) fn mask(register: u32, bits: &[u8]) -> Expression {
    let bits = bits.to_vec();
    expression("bitwise", move |all| {
        let length = u32::try_from(bits.len()).unwrap_or(0);
        number(number(number(all, 1, register), 2, register), 3, length)
            .nested(4, |data| data.with(NFTA_DATA_VALUE, &bits))
            .nested(5, |data| data.with(NFTA_DATA_VALUE, &vec![0; bits.len()]))
    })
}

/// Goes on if the register is in the set, and puts what a map has for it `to` another.
pub(super) fn lookup(set: &'static str, register: u32, to: Option<u32>) -> Expression {
    expression("lookup", move |all| {
        let all = number(all.with_name(1, set), 2, register);
        match to {
            Some(to) => number(all, 3, to),
            None => all,
        }
    })
}

/// Sends a copy to the address in one register by the interface in another.
pub(super) fn dup(address: u32, interface: u32) -> Expression {
    expression("dup", move |all| number(number(all, 1, address), 2, interface))
}

pub(super) fn counter() -> Expression {
    expression("counter", |all| all.with(1, &[0; 8]).with(2, &[0; 8]))
}

/// Ends the packet's way through the chain.
pub(super) fn verdict(code: u32) -> Expression {
    expression("immediate", move |all| {
        number(all, 1, 0).nested(2, |data| {
            data.nested(NFTA_DATA_VERDICT, |verdict| number(verdict, NFTA_VERDICT_CODE, code))
        })
    })
}

/// Goes on in another chain, without return.
pub(super) fn jump(chain: &'static str) -> Expression {
    expression("immediate", move |all| {
        number(all, 1, 0).nested(2, |data| {
            data.nested(NFTA_DATA_VERDICT, |verdict| {
                number(verdict, NFTA_VERDICT_CODE, NFT_GOTO).with_name(NFTA_VERDICT_CHAIN, chain)
            })
        })
    })
}

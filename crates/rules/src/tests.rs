//! Values, patterns and conditions, each beside what HAProxy 2.6 was seen to make of them.

mod bytes;
mod condition;
mod lists;
mod patterns;
mod values;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use crate::format::Variable;
use crate::record::{Process, Record};
use crate::scope::{BackendNumber, End, Environment, FrontendNumber, Name, Number, ServerNumber};
use crate::{Arg, Expr, Found, Scope, Waiting, convert, fetch};

/// A client at 192.0.2.7:4000 that came to 198.51.100.1:443.
#[derive(Default)]
struct Known(Process);

impl Environment for Known {
    fn address(&self, which: End) -> Option<SocketAddr> {
        match which {
            End::ClientSource | End::SeenSource => "192.0.2.7:4000".parse().ok(),
            End::ClientDestination | End::SeenDestination => "198.51.100.1:443".parse().ok(),
            End::ServerSource | End::ServerDestination => None,
        }
    }

    fn is_local(&self, ip: IpAddr) -> Option<bool> {
        Some(ip.is_loopback())
    }

    fn number(&self, what: Number) -> Option<i64> {
        matches!(what, Number::FrontendId | Number::CaptureSlots).then_some(2)
    }

    fn name(&self, what: Name) -> Option<Cow<'_, str>> {
        (what == Name::Frontend).then_some(Cow::Borrowed("fe"))
    }

    fn frontend(&self, _: usize, _: FrontendNumber) -> Option<i64> {
        None
    }

    fn backend(&self, backend: usize, what: BackendNumber) -> Option<i64> {
        (backend == 1 && what == BackendNumber::UsableServers).then_some(3)
    }

    fn server(&self, _: usize, _: usize, _: ServerNumber) -> Option<i64> {
        None
    }

    fn backend_named(&self, name: &str) -> Option<usize> {
        (name == "be").then_some(1)
    }

    fn server_named(&self, _: usize, _: &str) -> Option<usize> {
        None
    }

    fn zone(&self, _: i64) -> crate::scope::Zone {
        crate::scope::Zone { offset: 3600, name: "CET".into() }
    }

    fn random(&self, below: u64) -> u64 {
        below / 2
    }

    fn process(&self) -> &Process {
        &self.0
    }

    fn log_variable(&self, variable: Variable, out: &mut Vec<u8>) -> bool {
        if variable == Variable::ClientAddress {
            out.extend_from_slice(b"192.0.2.7");
        }
        variable == Variable::ClientAddress
    }
}

/// Text as an argument.
fn text(text: &str) -> Arg {
    Arg::Str(text.as_bytes().into())
}

/// A fetch whose arguments were checked.
fn expr(name: &str, mut args: Vec<Arg>) -> Expr {
    let fetch = fetch::named(name).expect("a fetch");
    (fetch.check)(&mut args).expect("good arguments");
    Expr::new(fetch, args)
}

/// A text and what a converter makes of it, as text.
fn converted(from: &str, name: &str, mut args: Vec<Arg>) -> Option<String> {
    let converter = convert::named(name).expect("a converter");
    (converter.check)(&mut args).expect("good arguments");
    let mut expr = expr("str", vec![text(from)]);
    expr.then(converter, args).expect("it takes text");
    let environment = Known::default();
    let found = expr.eval(&Scope::new(&environment), &mut Record::default());
    found.value().map(|value| String::from_utf8_lossy(&value.into_text()).into_owned())
}

/// What a fetch finds in bytes of a client.
fn found(expr: &Expr, bytes: &[u8], complete: bool) -> Found<'static> {
    let environment = Known::default();
    let request = Some(Waiting { bytes, complete });
    let scope = Scope { request, last: complete, ..Scope::new(&environment) };
    match expr.eval(&scope, &mut Record::default()) {
        Found::Value(value) => Found::Value(value.into_owned()),
        Found::Tentative(value) => Found::Tentative(value.into_owned()),
        Found::Nothing => Found::Nothing,
        Found::NotYet => Found::NotYet,
    }
}

#[test]
fn every_row_has_a_name_of_its_own_and_a_sentence() {
    let fetches = fetch::all().map(|row| (row.name, row.doc));
    let converters = convert::all().map(|row| (row.name, row.doc));
    for rows in [fetches.collect::<Vec<_>>(), converters.collect()] {
        for (at, (name, doc)) in rows.iter().enumerate() {
            assert!(!rows[..at].iter().any(|(other, _)| other == name), "{name} twice");
            assert!(doc.ends_with('.'), "{name}: {doc:?}");
        }
    }
    for name in fetch::PLANNED {
        assert!(fetch::keyword(name).is_none(), "{name} is built");
    }
    for name in convert::PLANNED {
        assert!(convert::named(name).is_none(), "{name} is built");
    }
}

//! The first message of TLS: what a client asks for before anything is encrypted.

use wire::client_hello::{ClientHello, Error, message_type};

use super::content::missing;
use super::{Call, Fetch};
use crate::arg::Args;
use crate::scope::{Found, Waiting};
use crate::source::Source;
use crate::value::{Type, Value};

const REQUEST: Source = Source::REQUEST;

pub(super) const TABLE: &[Fetch] = &[
    Fetch::new("req.ssl_sni", Args::NONE, Type::Str, REQUEST, |c| sni(c))
        .doc("The host a TLS client asks for."),
    Fetch::new("req_ssl_sni", Args::NONE, Type::Str, REQUEST, |c| sni(c)).doc("As `req.ssl_sni`."),
    Fetch::new("req.ssl_hello_type", Args::NONE, Type::Int, REQUEST, |c| {
        hello_type(c.scope.request)
    })
    .doc("1 if the client begins with a TLS ClientHello, 0 if it does not."),
    Fetch::new("req_ssl_hello_type", Args::NONE, Type::Int, REQUEST, |c| {
        hello_type(c.scope.request)
    })
    .doc("As `req.ssl_hello_type`."),
    Fetch::new("res.ssl_hello_type", Args::NONE, Type::Int, Source::RESPONSE, |c| {
        hello_type(c.scope.response)
    })
    .doc("2 if the server begins with a TLS ServerHello, 0 if it does not."),
    Fetch::new("rep_ssl_hello_type", Args::NONE, Type::Int, Source::RESPONSE, |c| {
        hello_type(c.scope.response)
    })
    .doc("As `res.ssl_hello_type`."),
    Fetch::new("req.ssl_ver", Args::NONE, Type::Int, REQUEST, |c| version(c))
        .doc("The newest version of TLS the hello speaks of: major × 65536 + minor."),
    Fetch::new("req_ssl_ver", Args::NONE, Type::Int, REQUEST, |c| version(c))
        .doc("As `req.ssl_ver`."),
    Fetch::new("req.ssl_alpn", Args::NONE, Type::Str, REQUEST, |c| {
        with_hello(c, |hello| {
            let names: Vec<&[u8]> = hello.alpn().collect();
            (!names.is_empty()).then(|| Value::Str(names.join(&b","[..]).into()))
        })
    })
    .doc("The protocols the client offers, separated by commas."),
    Fetch::new("req.ssl_st_ext", Args::NONE, Type::Int, REQUEST, |c| {
        with_hello(c, |hello| {
            Some(Value::Int(match hello.session_ticket() {
                None => 0,
                Some([]) => 1,
                Some(_) => 2,
            }))
        })
    })
    .doc("0 without a session ticket extension, 1 with an empty one, 2 with a ticket."),
    Fetch::new("req.ssl_ec_ext", Args::NONE, Type::Bool, REQUEST, |c| {
        with_hello(c, |hello| hello.extension(10).map(|_| Value::Bool(true)))
    })
    .doc("True if the client names elliptic curves."),
    Fetch::new("req.ssl_cipherlist", Args::NONE, Type::Bin, REQUEST, |c| {
        with_hello(c, |hello| Some(Value::Bin(hello.ciphers().into())))
    })
    .doc("The ciphers the client offers, two bytes each."),
    Fetch::new("req.ssl_sigalgs", Args::NONE, Type::Bin, REQUEST, |c| {
        with_hello(c, |hello| Some(Value::Bin(hello.extension(13)?.get(2..)?.into())))
    })
    .doc("The signature algorithms the client offers, two bytes each."),
    Fetch::new("req.ssl_supported_groups", Args::NONE, Type::Bin, REQUEST, |c| {
        with_hello(c, |hello| Some(Value::Bin(hello.extension(10)?.get(2..)?.into())))
    })
    .doc("The groups the client offers, two bytes each."),
];

fn hello_type<'a>(waiting: Option<Waiting<'a>>) -> Found<'a> {
    let Some(waiting) = waiting else { return Found::Nothing };
    match message_type(waiting.bytes) {
        // A hello counts once it is whole, so that what is asked for next is there.
        Ok(1) if ClientHello::parse(waiting.bytes) == Err(Error::Incomplete) => missing(waiting),
        Ok(kind) => Found::Value(Value::Int(i64::from(kind))),
        Err(Error::Incomplete) => missing(waiting),
        Err(Error::Other) => Found::Value(Value::Int(0)),
    }
}

/// Looks at a whole hello. What is found is copied where the hello is spread over records.
fn with_hello<'a>(
    c: &Call<'a, '_>,
    look: impl for<'h> Fn(&'h ClientHello<'h>) -> Option<Value<'h>>,
) -> Found<'a> {
    let Some(waiting) = c.scope.request else { return Found::Nothing };
    match ClientHello::parse(waiting.bytes) {
        Ok(hello) => Found::of(look(&hello).map(Value::into_owned)),
        Err(Error::Incomplete) => missing(waiting),
        Err(Error::Other) => Found::Nothing,
    }
}

fn sni<'a>(c: &Call<'a, '_>) -> Found<'a> {
    with_hello(c, |hello| hello.server_name().map(|name| Value::Str(name.into())))
}

fn version<'a>(c: &Call<'a, '_>) -> Found<'a> {
    let Some(waiting) = c.scope.request else { return Found::Nothing };
    match wire::client_hello::version(waiting.bytes) {
        Ok((major, minor)) => Found::Value(Value::Int(i64::from(major) << 16 | i64::from(minor))),
        Err(Error::Incomplete) => missing(waiting),
        Err(Error::Other) => Found::Nothing,
    }
}

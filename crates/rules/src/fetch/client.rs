//! The two connections: addresses, names, what the kernel knows of them.

#![expect(clippy::ptr_arg, reason = "the type of a row's check")]

use super::{Call, Fetch, cow};
use crate::arg::{Arg, Args, Kind};
use crate::scope::{End, Found, Name, Number};
use crate::source::Source;
use crate::value::{Type, Value};

const UNIT: Args = Args::some(0, &[Kind::Str]);
const CLIENT: Source = Source::CLIENT;
const SERVER: Source = Source::SERVER_CONNECTION;

pub(super) const TABLE: &[Fetch] = &[
    Fetch::new("src", Args::NONE, Type::Addr, CLIENT, |c| {
        let ip = c.record.source.or_else(|| Some(address(c, End::SeenSource)?.0));
        Found::of(ip.map(Value::Ip))
    })
    .doc("The client's address; what a PROXY header or `set-src` said, if there was one."),
    Fetch::new("src_port", Args::NONE, Type::Int, CLIENT, |c| {
        let port = c.record.source_port.or_else(|| Some(address(c, End::SeenSource)?.1));
        Found::int(port.map(i64::from))
    })
    .doc("The client's port."),
    Fetch::new("dst", Args::NONE, Type::Addr, CLIENT, |c| {
        let ip = c.record.destination.or_else(|| Some(address(c, End::SeenDestination)?.0));
        Found::of(ip.map(Value::Ip))
    })
    .doc("The address the client connected to."),
    Fetch::new("dst_port", Args::NONE, Type::Int, CLIENT, |c| {
        let port = c.record.destination_port;
        let port = port.or_else(|| Some(address(c, End::SeenDestination)?.1));
        Found::int(port.map(i64::from))
    })
    .doc("The port the client connected to."),
    Fetch::new("src_is_local", Args::NONE, Type::Bool, CLIENT, |c| is_local(c, End::ClientSource))
        .doc("Whether the client is this machine."),
    Fetch::new("dst_is_local", Args::NONE, Type::Bool, CLIENT, |c| {
        is_local(c, End::SeenDestination)
    })
    .doc("Whether the client connected to an address of this machine."),
    Fetch::new("fc_src", Args::NONE, Type::Addr, CLIENT, |c| ip(c, End::ClientSource))
        .doc("The client's address as its connection has it, whatever rules changed."),
    Fetch::new("fc_src_port", Args::NONE, Type::Int, CLIENT, |c| port(c, End::ClientSource))
        .doc("The client's port as its connection has it."),
    Fetch::new("fc_dst", Args::NONE, Type::Addr, CLIENT, |c| ip(c, End::ClientDestination))
        .doc("The address the client connected to, whatever rules changed."),
    Fetch::new("fc_dst_port", Args::NONE, Type::Int, CLIENT, |c| port(c, End::ClientDestination))
        .doc("The port the client connected to, whatever rules changed."),
    Fetch::new("fc_src_is_local", Args::NONE, Type::Bool, CLIENT, |c| {
        is_local(c, End::ClientSource)
    })
    .doc("Whether the client's connection comes from this machine."),
    Fetch::new("fc_dst_is_local", Args::NONE, Type::Bool, CLIENT, |c| {
        is_local(c, End::ClientDestination)
    })
    .doc("Whether the client's connection goes to an address of this machine."),
    Fetch::new("fc_http_major", Args::NONE, Type::Int, CLIENT, |c| fact(c, Number::HttpMajor))
        .doc("1 where HTTP is spoken, nothing in `mode tcp`."),
    Fetch::new("fc_rcvd_proxy", Args::NONE, Type::Bool, CLIENT, |c| {
        Found::truth(c.scope.environment.number(Number::ClientProxied))
    })
    .doc("Whether the client's connection began with a PROXY header."),
    Fetch::new("fc_pp_authority", Args::NONE, Type::Str, CLIENT, |c| tlv(c, AUTHORITY))
        .doc("The name the client asked for, as its PROXY header has it."),
    Fetch::new("fc_pp_unique_id", Args::NONE, Type::Str, CLIENT, |c| tlv(c, UNIQUE_ID))
        .doc("What identifies the client's connection, as its PROXY header has it."),
    Fetch::new("fc_pp_tlv", Args::all(&[Kind::Str]), Type::Str, CLIENT, |c| {
        c.args
            .first()
            .and_then(Arg::text)
            .and_then(tlv_kind)
            .map_or(Found::Nothing, |kind| tlv(c, kind))
    })
    .check(tlv_known)
    .doc("A TLV of the client's PROXY header, by its number or its name."),
    Fetch::new("unique-id", Args::NONE, Type::Str, CLIENT, |c| {
        Found::of(c.scope.environment.unique_id().map(|id| Value::Str(id.into())))
    })
    .doc("What identifies the connection, by `unique-id-format`."),
    Fetch::new("ssl_fc", Args::NONE, Type::Bool, Source::CLIENT_SESSION, |c| {
        Found::truth(c.scope.environment.number(Number::ClientTls))
    })
    .doc("Whether the client's connection is TLS that ends here."),
    Fetch::new("fc_rtt", UNIT, Type::Int, CLIENT, |c| time(c, Number::ClientRtt))
        .check(unit)
        .doc("The round trip to the client the kernel measured, in milliseconds (or `us`)."),
    Fetch::new("fc_rttvar", UNIT, Type::Int, CLIENT, |c| time(c, Number::ClientRttVariance))
        .check(unit)
        .doc("How much the round trip varies."),
    Fetch::new("fc_unacked", Args::NONE, Type::Int, CLIENT, |c| fact(c, Number::ClientUnacked))
        .doc("Segments to the client that are not acknowledged."),
    Fetch::new("fc_sacked", Args::NONE, Type::Int, CLIENT, |c| fact(c, Number::ClientSacked))
        .doc("Segments to the client that were acknowledged selectively."),
    Fetch::new("fc_lost", Args::NONE, Type::Int, CLIENT, |c| fact(c, Number::ClientLost))
        .doc("Segments to the client that were lost."),
    Fetch::new("fc_retrans", Args::NONE, Type::Int, CLIENT, |c| {
        fact(c, Number::ClientRetransmitted)
    })
    .doc("Segments to the client that were sent again."),
    Fetch::new("fc_fackets", Args::NONE, Type::Int, CLIENT, |c| fact(c, Number::ClientFackets))
        .doc("Segments to the client that were acknowledged out of order."),
    Fetch::new("fc_reordering", Args::NONE, Type::Int, CLIENT, |c| {
        fact(c, Number::ClientReordering)
    })
    .doc("By how many places segments to the client come out of order."),
    Fetch::new("fe_id", Args::NONE, Type::Int, Source::FRONTEND, |c| fact(c, Number::FrontendId))
        .doc("The id of the frontend."),
    Fetch::new("fe_name", Args::NONE, Type::Str, Source::FRONTEND, |c| name(c, Name::Frontend))
        .doc("The name of the frontend."),
    Fetch::new("fe_defbe", Args::NONE, Type::Str, Source::FRONTEND, |c| {
        name(c, Name::DefaultBackend)
    })
    .doc("The name of the frontend's default backend."),
    Fetch::new("fe_client_timeout", Args::NONE, Type::Int, Source::FRONTEND, |c| {
        fact(c, Number::ClientTimeout)
    })
    .doc("`timeout client` of the frontend, in milliseconds."),
    Fetch::new("be_id", Args::NONE, Type::Int, Source::BACKEND, |c| fact(c, Number::BackendId))
        .doc("The id of the backend."),
    Fetch::new("be_name", Args::NONE, Type::Str, Source::BACKEND, |c| name(c, Name::Backend))
        .doc("The name of the backend."),
    Fetch::new("be_server_timeout", Args::NONE, Type::Int, Source::BACKEND, |c| {
        fact(c, Number::ServerTimeout)
    })
    .doc("`timeout server` of the backend, in milliseconds."),
    Fetch::new("be_tunnel_timeout", Args::NONE, Type::Int, Source::BACKEND, |c| {
        fact(c, Number::TunnelTimeout)
    })
    .doc("`timeout tunnel` of the backend, in milliseconds."),
    Fetch::new("be_connect_timeout", Args::NONE, Type::Int, Source::BACKEND, |c| {
        fact(c, Number::ConnectTimeout)
    })
    .doc("`timeout connect` of the backend, in milliseconds."),
    Fetch::new("srv_id", Args::NONE, Type::Int, Source::SERVER, |c| fact(c, Number::ServerId))
        .doc("The id of the server."),
    Fetch::new("srv_name", Args::NONE, Type::Str, Source::SERVER, |c| name(c, Name::Server))
        .doc("The name of the server."),
    Fetch::new("bc_src", Args::NONE, Type::Addr, SERVER, |c| ip(c, End::ServerSource))
        .doc("Our address on the connection to the server."),
    Fetch::new("bc_src_port", Args::NONE, Type::Int, SERVER, |c| port(c, End::ServerSource))
        .doc("Our port on the connection to the server."),
    Fetch::new("bc_dst", Args::NONE, Type::Addr, SERVER, |c| ip(c, End::ServerDestination))
        .doc("The server's address."),
    Fetch::new("bc_dst_port", Args::NONE, Type::Int, SERVER, |c| port(c, End::ServerDestination))
        .doc("The server's port."),
    Fetch::new("bc_http_major", Args::NONE, Type::Int, SERVER, |c| fact(c, Number::HttpMajor))
        .doc("1, as `fc_http_major`."),
    Fetch::new("txn.conn_retries", Args::NONE, Type::Int, Source::SERVER, |c| {
        fact(c, Number::Retries)
    })
    .doc("Connects to servers that were repeated."),
    Fetch::new("txn.redispatched", Args::NONE, Type::Bool, Source::SERVER, |c| {
        Found::truth(c.scope.environment.number(Number::Redispatched))
    })
    .doc("Whether another server was tried."),
    Fetch::new("bytes_in", Args::NONE, Type::Int, Source::END, |c| fact(c, Number::BytesIn))
        .doc("Bytes from the client, in a log line."),
    Fetch::new("bytes_out", Args::NONE, Type::Int, Source::END, |c| fact(c, Number::BytesOut))
        .doc("Bytes from the server, in a log line."),
];

fn address(c: &Call<'_, '_>, end: End) -> Option<(std::net::IpAddr, u16)> {
    let address = c.scope.environment.address(end)?;
    Some((address.ip().to_canonical(), address.port()))
}

fn ip<'a>(c: &Call<'a, '_>, end: End) -> Found<'a> {
    Found::of(address(c, end).map(|(ip, _)| Value::Ip(ip)))
}

fn port<'a>(c: &Call<'a, '_>, end: End) -> Found<'a> {
    Found::int(address(c, end).map(|(_, port)| i64::from(port)))
}

fn fact<'a>(c: &Call<'a, '_>, what: Number) -> Found<'a> {
    Found::int(c.scope.environment.number(what))
}

fn name<'a>(c: &Call<'a, '_>, what: Name) -> Found<'a> {
    Found::of(c.scope.environment.name(what).map(|name| Value::Str(cow(name))))
}

fn is_local<'a>(c: &Call<'a, '_>, end: End) -> Found<'a> {
    let set = match end {
        End::SeenSource => c.record.source,
        End::SeenDestination => c.record.destination,
        _ => None,
    };
    let ip = set.or_else(|| Some(address(c, end)?.0));
    let local = ip.and_then(|ip| c.scope.environment.is_local(ip));
    Found::of(local.map(Value::Bool))
}

/// Milliseconds unless `us` is asked for.
fn time<'a>(c: &Call<'a, '_>, what: Number) -> Found<'a> {
    let micros = c.scope.environment.number(what);
    Found::int(micros.map(|n| if c.word(0) == "us" { n } else { n / 1_000 }))
}

const AUTHORITY: u8 = 2;
const UNIQUE_ID: u8 = 5;

fn tlv<'a>(c: &Call<'a, '_>, kind: u8) -> Found<'a> {
    Found::of(c.scope.environment.proxy_tlv(kind).map(|value| Value::Str(value.into())))
}

/// The number of a TLV: decimal, or hexadecimal after `0x`, or the name of one of the
/// specification's.
fn tlv_kind(text: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(text).ok()?;
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u8::from_str_radix(hex, 16).ok();
    }
    Some(match text.to_ascii_uppercase().as_str() {
        "ALPN" => 1,
        "AUTHORITY" => AUTHORITY,
        "CRC32C" => 3,
        "NOOP" => 4,
        "UNIQUE_ID" => UNIQUE_ID,
        "SSL" => 0x20,
        "NETNS" => 0x30,
        number => return number.parse().ok(),
    })
}

fn tlv_known(args: &mut Vec<Arg>) -> Result<(), String> {
    match args.first().and_then(Arg::text).and_then(tlv_kind) {
        Some(_) => Ok(()),
        None => Err("expects the number or the name of a TLV".to_owned()),
    }
}

pub(super) fn unit(args: &mut Vec<Arg>) -> Result<(), String> {
    match args.first().and_then(Arg::text) {
        None | Some(b"us" | b"ms") => Ok(()),
        Some(other) => {
            Err(format!("expects 'us' or 'ms', got '{}'", String::from_utf8_lossy(other)))
        }
    }
}

//! What the two sides of a connection over TLS agreed on.

use super::{Call, Fetch};
use crate::arg::Args;
use crate::scope::{Found, Tls};
use crate::source::Source;
use crate::value::Type;

const CLIENT: Source = Source::CLIENT_SESSION;
const SERVER: Source = Source::SERVER_CONNECTION;

fn said<'a>(c: &Call<'a, '_>, what: Tls) -> Found<'a> {
    Found::of(c.scope.environment.tls(what))
}

pub(super) const TABLE: &[Fetch] = &[
    Fetch::new("ssl_fc_sni", Args::NONE, Type::Str, CLIENT, |c| said(c, Tls::Name))
        .doc("The name the client asked for."),
    Fetch::new("ssl_fc_has_sni", Args::NONE, Type::Bool, CLIENT, |c| said(c, Tls::HasName))
        .doc("Whether the client asked for a name."),
    Fetch::new("ssl_fc_protocol", Args::NONE, Type::Str, CLIENT, |c| said(c, Tls::Version))
        .doc("The version of TLS with the client: `TLSv1.2`, `TLSv1.3`."),
    Fetch::new("ssl_fc_cipher", Args::NONE, Type::Str, CLIENT, |c| said(c, Tls::Cipher))
        .doc("The cipher suite with the client, as OpenSSL calls it."),
    Fetch::new("ssl_fc_alg_keysize", Args::NONE, Type::Int, CLIENT, |c| said(c, Tls::KeySize))
        .doc("The length of its symmetric key, in bits."),
    Fetch::new("ssl_fc_alpn", Args::NONE, Type::Str, CLIENT, |c| said(c, Tls::Alpn))
        .doc("The protocol agreed on with the client (RFC 7301)."),
    Fetch::new("ssl_fc_is_resumed", Args::NONE, Type::Bool, CLIENT, |c| said(c, Tls::IsResumed))
        .doc("Whether the client went on with an earlier session."),
    Fetch::new("ssl_fc_has_crt", Args::NONE, Type::Bool, CLIENT, |c| said(c, Tls::HasCertificate))
        .doc("Whether the client showed a certificate."),
    Fetch::new("ssl_c_used", Args::NONE, Type::Bool, CLIENT, |c| said(c, Tls::HasCertificate))
        .doc("Whether the client showed a certificate, now or in the session it goes on with."),
    Fetch::new("ssl_c_verify", Args::NONE, Type::Int, CLIENT, |c| said(c, Tls::Verified))
        .doc("What is wrong with the client's certificate, by OpenSSL's number; 0 is nothing."),
    Fetch::new("ssl_bc", Args::NONE, Type::Bool, SERVER, |c| said(c, Tls::Server))
        .doc("Whether TLS is spoken with the server."),
    Fetch::new("ssl_bc_protocol", Args::NONE, Type::Str, SERVER, |c| said(c, Tls::ServerVersion))
        .doc("The version of TLS with the server."),
    Fetch::new("ssl_bc_cipher", Args::NONE, Type::Str, SERVER, |c| said(c, Tls::ServerCipher))
        .doc("The cipher suite with the server."),
    Fetch::new("ssl_bc_alpn", Args::NONE, Type::Str, SERVER, |c| said(c, Tls::ServerAlpn))
        .doc("The protocol agreed on with the server."),
    Fetch::new("ssl_bc_is_resumed", Args::NONE, Type::Bool, SERVER, |c| {
        said(c, Tls::ServerIsResumed)
    })
    .doc("Whether the server went on with an earlier session."),
];

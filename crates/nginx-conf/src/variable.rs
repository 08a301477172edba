//! `$name` and `${name}` in values.

use conf::{Binder, Problem, Word};

/// Whether the text holds a variable.
pub(crate) fn any(text: &str) -> bool {
    text.contains('$')
}

/// The names of the variables in a text, in lower case; an error is nginx's.
pub(crate) fn names(text: &str) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('$') {
        let braced = after.strip_prefix('{');
        let start = braced.unwrap_or(after);
        let end =
            start.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(start.len());
        let name = &start[..end];
        rest = &start[end..];
        if braced.is_some() {
            rest = rest
                .strip_prefix('}')
                .ok_or_else(|| format!("the closing bracket in \"{name}\" variable is missing"))?;
        }
        if name.is_empty() {
            return Err("invalid variable name".into());
        }
        names.push(name.to_ascii_lowercase());
    }
    Ok(names)
}

/// Checks the spelling of the variables in a word, and complains.
pub(crate) fn check(word: &Word, b: &mut Binder) -> bool {
    match names(&word.text) {
        Ok(_) => true,
        Err(message) => {
            b.error(word.span, Problem::Other(message));
            false
        }
    }
}

/// Whether nginx's stream modules have a variable of this name, in lower case.
pub(crate) fn is_known(name: &str) -> bool {
    name.starts_with("proxy_protocol_tlv_")
        || name.bytes().all(|b| b.is_ascii_digit())
        || NAMES.contains(&name)
}

/// nginx 1.22 with every module of Debian 12's package, and what later versions added.
const NAMES: &[&str] = &[
    "binary_remote_addr",
    "bytes_received",
    "bytes_sent",
    "connection",
    "geoip_area_code",
    "geoip_city",
    "geoip_city_continent_code",
    "geoip_city_country_code",
    "geoip_city_country_code3",
    "geoip_city_country_name",
    "geoip_country_code",
    "geoip_country_code3",
    "geoip_country_name",
    "geoip_dma_code",
    "geoip_latitude",
    "geoip_longitude",
    "geoip_org",
    "geoip_postal_code",
    "geoip_region",
    "geoip_region_name",
    "hostname",
    "limit_conn_status",
    "msec",
    "nginx_version",
    "pid",
    "protocol",
    "proxy_protocol_addr",
    "proxy_protocol_port",
    "proxy_protocol_server_addr",
    "proxy_protocol_server_port",
    "realip_remote_addr",
    "realip_remote_port",
    "remote_addr",
    "remote_port",
    "server_addr",
    "server_name",
    "server_port",
    "session_time",
    "ssl_alpn_protocol",
    "ssl_cipher",
    "ssl_ciphers",
    "ssl_client_cert",
    "ssl_client_escaped_cert",
    "ssl_client_fingerprint",
    "ssl_client_i_dn",
    "ssl_client_raw_cert",
    "ssl_client_s_dn",
    "ssl_client_serial",
    "ssl_client_sigalg",
    "ssl_client_v_end",
    "ssl_client_v_remain",
    "ssl_client_v_start",
    "ssl_client_verify",
    "ssl_curve",
    "ssl_curves",
    "ssl_ech_outer_server_name",
    "ssl_ech_status",
    "ssl_preread_alpn_protocols",
    "ssl_preread_protocol",
    "ssl_preread_server_name",
    "ssl_protocol",
    "ssl_server_name",
    "ssl_session_id",
    "ssl_session_reused",
    "ssl_sigalg",
    "ssl_sigalgs",
    "status",
    "time_iso8601",
    "time_local",
    "upstream_addr",
    "upstream_bytes_received",
    "upstream_bytes_sent",
    "upstream_connect_time",
    "upstream_first_byte_time",
    "upstream_session_time",
];

//! Commands HAProxy answers and we do not: refused by name.

use proxy::Level;

use super::{Reply, begins};

/// By the level they need.
const PLANNED: &[(Level, &[&str])] = &[
    (
        Level::Admin,
        &[
            "abort ssl ca-file",
            "abort ssl cert",
            "abort ssl crl-file",
            "add ssl ca-file",
            "add ssl crt-list",
            "commit ssl ca-file",
            "commit ssl cert",
            "commit ssl crl-file",
            "del ssl ca-file",
            "del ssl cert",
            "del ssl crl-file",
            "del ssl crt-list",
            "new ssl ca-file",
            "new ssl cert",
            "new ssl crl-file",
            "new ssl crlfile",
            "set dynamic-cookie-key backend",
            "set ssl ca-file",
            "set ssl cert",
            "set ssl crl-file",
            "set ssl ocsp-response",
            "set ssl tls-key",
            "update ssl ocsp-response",
            "acme renew",
            "acme challenge_ready",
            "dump ssl cert",
            "dump stats-file",
            "set anon global-key",
        ],
    ),
    (
        Level::User,
        &[
            "show ssl ca-file",
            "show ssl cert",
            "show ssl crl-file",
            "show ssl crt-list",
            "show ssl ocsp-response",
            "show ssl ocsp-updates",
            "show ssl providers",
            "show ssl sni",
            "show tls-keys",
        ],
    ),
];

/// The refusal, if these words begin like such a command.
pub(super) fn refuse(level: Level, words: &[&str]) -> Option<Reply> {
    let (needed, command) = PLANNED.iter().find_map(|(level, commands)| {
        Some((*level, commands.iter().find(|command| begins(words, command))?))
    })?;
    Some(Reply::error_line(if level < needed {
        "Permission denied".to_owned()
    } else {
        format!("not supported yet: {command}")
    }))
}

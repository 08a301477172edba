//! A server that is added while the process runs: the words of `add server`.
//!
//! ```
//! use haproxy_cfg::dynamic;
//!
//! let mut backend = proxy::Backend::new(3, "be");
//! backend.check_of_added = Some(Box::default());
//! let words = ["a", "127.0.0.1:80", "weight", "7"];
//! let added = dynamic::server(&backend, false, &words).expect("nothing is wrong with it");
//! assert_eq!((added.server.id, added.server.weight, added.server.added), (1, 7, true));
//! ```

use std::rc::Rc;

use check::Verify;
use conf::{Binder, Diagnostic, Manners, Place, Problem, Severity, Span, Word, Wording as _};
use proxy::{Backend, Mode, Server, ServerAddress};

use crate::HaProxy;
use crate::context::Context;
use crate::draft::{Draft, Kind, VerifyWord};
use crate::lower;
use crate::table::{PROXY, SERVERS, arguments, server};

/// What HAProxy 3.2 does not take for a server that is added.
const REFUSED: &[&str] = &[
    "enabled",
    "init-addr",
    "log-bufsize",
    "log-proto",
    "max-reuse",
    "namespace",
    "no-agent-check",
    "no-check",
    "no-check-reuse-pool",
    "no-check-send-proxy",
    "no-check-ssl",
    "no-send-proxy-v2-ssl",
    "no-send-proxy-v2-ssl-cn",
    "no-ssl",
    "non-stick",
    "redir",
    "resolve-net",
    "resolve-opts",
    "resolve-prefer",
    "resolvers",
    "socks4",
    "ssl-reuse",
    "stick",
    "tcp-ut",
];

/// A server that may be added.
#[derive(Clone, Debug)]
pub struct Added {
    /// It begins in maintenance, and its checks are off. Its [`track`](Server::track) is not set.
    pub server: Server,
    /// `track`, as it is written.
    pub track: Option<String>,
    /// What there is to say although it may be added.
    pub warnings: Vec<String>,
}

/// Reads `<name> <address>[:<port>] [param…]` as a server for `backend`; `default-server` lines do
/// not count, as with HAProxy. It has the first number nobody has, or the one it asks for.
///
/// A name in place of an address is not looked up: the server is without an address until somebody
/// gives it one. `verify_none` is `ssl-server-verify none` of the global section.
///
/// # Errors
///
/// What is wrong with the words, as HAProxy 3.2 says it.
pub fn server(backend: &Backend, verify_none: bool, words: &[&str]) -> Result<Added, String> {
    let words: Vec<Word> =
        words.iter().map(|text| Word { text: (*text).to_owned(), span: Span::default() }).collect();
    if let Some(word) = refused(words.get(2..).unwrap_or_default()) {
        return Err(format!("'{word}' option is not accepted for dynamic server"));
    }
    let context = Rc::new(Context::default());
    let mut draft = Draft {
        context: Rc::clone(&context),
        kind: Kind::Backend,
        name: backend.name.clone(),
        mode: backend.mode,
        back: Backend { servers: Vec::new(), ..backend.clone() },
        ..Draft::default()
    };
    let mut binder = Binder::new(Manners { negation: true, ..Manners::default() });
    server::server(&mut draft, &words, &mut binder);
    let mut warnings = Vec::new();
    for diagnostic in &binder.problems {
        let text = said(diagnostic);
        match diagnostic.severity {
            Severity::Error => return Err(text),
            Severity::Warning | Severity::Notice => warnings.push(text),
        }
    }
    let line =
        draft.servers.pop().ok_or("'server' expects <name> and <addr>[:<port>] as arguments.")?;
    if line.cookie && backend.mode == Mode::Tcp {
        warnings.push("Ignoring cookie as HTTP mode is disabled.".to_owned());
    }
    if line.tls.on.is_some() {
        return Err("not supported yet: ssl of a dynamic server".to_owned());
    }
    if !line.tlvs.is_empty() {
        return Err("not supported yet: set-proxy-v2-tlv-fmt of a dynamic server".to_owned());
    }
    if line.tls.on.is_some() {
        return Err("not supported yet: ssl of a dynamic server".to_owned());
    }
    let common = backend.check_of_added.as_deref().cloned().unwrap_or_default();
    let mut added = lower::server::one(&draft, &line);
    if let Some(agent) = &mut added.agent {
        (agent.timeout_connect, agent.timeout_check) =
            (common.timeout_connect, common.timeout_check);
    }
    added.check = line.checked.then(|| lower::server::check_of(&line, &common));
    if added.check.as_ref().is_some_and(|check| check.tls) {
        let default = if verify_none { VerifyWord::None } else { VerifyWord::Required };
        if line.verify.unwrap_or(default) == VerifyWord::Required {
            let text = "not supported yet: certificates of a dynamic server are not read, write 'verify none'";
            return Err(text.to_owned());
        }
    }
    if let Some(check) = &mut added.check {
        check.verify = Verify::None;
    }
    if let ServerAddress::Host { resolved, .. } = &mut added.address {
        *resolved = Some(std::net::Ipv4Addr::UNSPECIFIED.into());
    }
    added.added = true;
    added.origin = proxy::Origin::default();
    added.id = match line.forced_id {
        Some(id) => {
            if let Some(other) = backend.servers.iter().find(|other| other.id == id) {
                return Err(format!(
                    "'id' : custom id {id} already used at {} ('server {}').",
                    other.origin, other.name
                ));
            }
            id
        }
        None => free_id(backend),
    };
    Ok(Added { server: added, track: line.track.clone(), warnings })
}

/// The smallest number no server has.
fn free_id(backend: &Backend) -> u32 {
    let taken = |id: &u32| backend.servers.iter().any(|server| server.id == *id);
    (1..=u32::MAX).find(|id| !taken(id)).unwrap_or(u32::MAX)
}

/// The first keyword that is not for a server that is added.
fn refused(mut words: &[Word]) -> Option<&str> {
    while let Some(first) = words.first() {
        if REFUSED.contains(&first.text.as_str()) {
            return Some(&first.text);
        }
        let row = SERVERS.find(Place::new(PROXY, "server").within, words)?;
        words = words.get(1 + arguments(row)..).unwrap_or_default();
    }
    None
}

/// A complaint without a place.
fn said(diagnostic: &Diagnostic) -> String {
    match &diagnostic.problem {
        Problem::UnknownKeyword { word, nearest: Some(nearest), .. } => {
            format!("unknown keyword '{word}'; did you mean '{nearest}' maybe ?")
        }
        _ => HaProxy.say(diagnostic),
    }
}

#[cfg(test)]
mod tests;

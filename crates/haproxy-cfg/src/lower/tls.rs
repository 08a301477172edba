//! TLS of `server` and `bind` lines: files are read, and what is missing is said.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use conf::{Place, Problem, Severity, Span, Word};
use proxy::{
    ClientTls, KeyPair, Mode, Pem, ServerTls, TlsCertificate, TlsManner, TlsName, TlsTrust,
    TlsVerify,
};

use super::rules::Lowering;
use crate::draft::{BindTls, Draft, ServerDraft};
use crate::expr::{Manner, Wrong};
use crate::load::{Loader, strip_os};
use crate::say::{Complain, NOWHERE, SUMMARY};
use crate::table::tls::{Shown, TlsDraft};
use crate::table::{BINDS, bind};

/// HAProxy's `tune.ssl.cachesize`.
const REMEMBERED: usize = 20_000;

/// Where distributions keep the certificates of their trust store, `@system-ca`.
const SYSTEM: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

impl Lowering<'_> {
    /// The names servers are asked by.
    pub(super) fn sni(&mut self, server: &ServerDraft) -> Option<rules::Expr> {
        let word = server.tls.sni.clone().filter(|_| server.tls.on.is_some())?;
        self.loader.returns_to(word.span);
        let wrong = match crate::expr::read(&self.draft.context, &[&word.text], Manner::Rule) {
            Ok(mut read) => {
                self.sample(&mut read.expr, word.span, "sni expression");
                return Some(read.expr);
            }
            Err(wrong) => wrong,
        };
        match wrong {
            Wrong::Planned(keyword) => {
                self.loader.binder.error(word.span, Problem::Planned { keyword });
            }
            Wrong::Said(why) => {
                let text = format!(
                    "error detected while parsing sni or pool-conn-name expressions : {why}."
                );
                self.loader.binder.refuse(word.span, text).context =
                    format!("server {}/{}", self.draft.name, server.name);
            }
        }
        None
    }
}

/// Reads a file; nothing of one that may not be looked at now.
fn read(loader: &Loader, path: &Path) -> Result<Arc<[u8]>, std::io::Error> {
    if !loader.context.reach_out.get() {
        return Ok(Arc::default());
    }
    let read = || std::fs::read(path);
    conf::outside::ask("read", &path.to_string_lossy(), read).map(Into::into)
}

/// What stands somewhere.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Nothing,
    File,
    Directory,
}

fn path_kind(path: &Path) -> Kind {
    let look = || Ok(vec![u8::from(std::fs::metadata(path)?.is_dir())]);
    match conf::outside::ask("kind", &path.to_string_lossy(), look).as_deref() {
        Ok([0]) => Kind::File,
        Ok(_) => Kind::Directory,
        Err(_) => Kind::Nothing,
    }
}

fn based(loader: &Loader, base: &Option<PathBuf>, file: &Path) -> PathBuf {
    if file.is_absolute() || file.to_string_lossy().starts_with('@') {
        return file.to_owned();
    }
    base.as_ref().map_or_else(|| loader.context.locate(file), |base| base.join(file))
}

/// The certificates of a `ca-file` or a `crl-file`: a file, a directory, or the system's.
fn authorities(loader: &Loader, file: &Path) -> Result<Pem, String> {
    let path = based(loader, &loader.global.ca_base, file);
    let reach = loader.context.reach_out.get();
    let whole = match path.to_str() {
        Some("@system-ca") => {
            let known = SYSTEM
                .iter()
                .map(PathBuf::from)
                .find(|path| !reach || path_kind(path) == Kind::File);
            read(loader, &known.ok_or("this system has none")?)
        }
        _ if reach && path_kind(&path) == Kind::Directory => {
            let mut all = Vec::new();
            for name in files(&path, &["pem", "crt", "cer", "crl"]).map_err(|e| strip_os(&e))? {
                all.extend_from_slice(&read(loader, &name).map_err(|error| strip_os(&error))?);
                all.push(b'\n');
            }
            Ok(all.into())
        }
        _ => read(loader, &path),
    };
    let text = whole.map_err(|error| strip_os(&error))?;
    let mark = b"-----BEGIN ";
    let kinds = [&b"CERTIFICATE-----"[..], b"X509 CRL-----", b"TRUSTED CERTIFICATE-----"];
    let begins = |at: usize| kinds.iter().any(|kind| text[at + mark.len()..].starts_with(kind));
    let found = text.windows(mark.len()).enumerate();
    let found = found.filter(|(_, part)| part == mark).any(|(at, _)| begins(at));
    if reach && !found {
        return Err("no certificate or crl found".to_owned());
    }
    Ok(Pem { path, text })
}

/// The files of a directory with one of these endings, or with any but those that go with others.
fn files(directory: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, std::io::Error> {
    let list = || {
        let names = std::fs::read_dir(directory)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort_unstable();
        Ok(names.join("/").into_bytes())
    };
    let names = conf::outside::ask("list", &directory.to_string_lossy(), list)?;
    let names = String::from_utf8_lossy(&names).into_owned();
    let wanted = |name: &&str| {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        match endings {
            [] => !matches!(ending, "issuer" | "ocsp" | "sctl" | "key"),
            endings => endings.contains(&ending),
        }
    };
    let paths = names.split('/').filter(|name| !name.is_empty()).filter(wanted);
    Ok(paths
        .map(|name| directory.join(name))
        .filter(|path| path_kind(path) == Kind::File)
        .collect())
}

fn has_key(text: &[u8]) -> bool {
    let mark = b"PRIVATE KEY-----";
    text.windows(mark.len()).any(|part| part == mark)
}

/// A certificate and its key, as HAProxy looks for them.
fn pair(loader: &Loader, path: &Path, key: Option<&Path>) -> Result<KeyPair, String> {
    let text = read(loader, path).map_err(|error| {
        let why = strip_os(&error);
        format!("unable to stat SSL certificate from file '{}' : {why}.", path.display())
    })?;
    if !loader.context.reach_out.get() {
        return Ok(KeyPair { chain: Pem { path: path.to_owned(), text }, key: None });
    }
    let mark = b"-----BEGIN CERTIFICATE-----";
    if !text.windows(mark.len()).any(|part| part == mark) {
        return Err(format!(
            "unable to load certificate from file '{}': no start line.",
            path.display()
        ));
    }
    let chain = Pem { path: path.to_owned(), text };
    if key.is_none() && has_key(&chain.text) {
        return Ok(KeyPair { chain, key: None });
    }
    let beside = PathBuf::from(format!("{}.key", path.display()));
    let beside = key.map_or(beside, Path::to_owned);
    match read(loader, &beside) {
        Ok(text) if has_key(&text) => Ok(KeyPair { chain, key: Some(Pem { path: beside, text }) }),
        _ => Err(format!("No Private Key found in '{}'.", beside.display())),
    }
}

/// All certificates a `crt` means: one of a store, a file, a directory, or a bundle.
fn pairs(loader: &Loader, file: &Path) -> Result<Vec<KeyPair>, String> {
    let name = file.to_string_lossy();
    let stored = loader.stored.iter().find(|one| one.name == name);
    if let Some(stored) = stored {
        return pair(loader, &stored.chain, stored.key.as_deref()).map(|pair| vec![pair]);
    }
    if name.starts_with('@') {
        return Err(format!("unable to find certificate '{name}' in any 'crt-store'."));
    }
    let path = based(loader, &loader.global.crt_base, file);
    if !loader.context.reach_out.get() {
        return pair(loader, &path, None).map(|pair| vec![pair]);
    }
    if path_kind(&path) == Kind::Directory {
        let names = files(&path, &[]).map_err(|error| {
            format!("unable to scan directory '{}' : {}.", path.display(), strip_os(&error))
        })?;
        return names.iter().map(|name| pair(loader, name, None)).collect();
    }
    if path_kind(&path) == Kind::Nothing {
        let kinds = ["rsa", "ecdsa", "dsa"].map(|kind| format!("{}.{kind}", path.display()));
        let bundle: Vec<PathBuf> = kinds
            .into_iter()
            .map(PathBuf::from)
            .filter(|path| path_kind(path) == Kind::File)
            .collect();
        if !bundle.is_empty() {
            return bundle.iter().map(|name| pair(loader, name, None)).collect();
        }
    }
    pair(loader, &path, None).map(|pair| vec![pair])
}

/// TLS towards a server; `None` without `ssl`, and where something is wrong.
pub(super) fn server(
    loader: &mut Loader,
    draft: &Draft,
    line: &ServerDraft,
    verifies: bool,
    sni: Option<rules::Expr>,
) -> Option<Box<ClientTls>> {
    line.tls.on?;
    let context = format!("server {}/{}", draft.name, line.name);
    let refuse = |loader: &mut Loader, text: String| {
        loader.binder.refuse(line.at, text).context.clone_from(&context);
    };
    let tls = line.tls.or(&loader.global.server_tls);
    let Some(spoken) = tls.spoken() else {
        let text = format!(
            "proxy '{}': all SSL/TLS versions are disabled for server '{}'.",
            draft.name, line.name
        );
        refuse(loader, text);
        return None;
    };
    let mut trust = None;
    if let Some(file) = line.ca_file.as_ref().filter(|_| verifies) {
        // One that is not there was said to be missing with the checks.
        let roots = match authorities(loader, file) {
            Ok(roots) => roots,
            Err(why) => {
                said_unreadable(loader, line.at, &context, "ca-file", file, &why);
                return None;
            }
        };
        let mut revoked = None;
        if let Some(file) = &tls.crl_file {
            match authorities(loader, file) {
                Ok(pem) => revoked = Some(pem),
                Err(why) => {
                    said_unreadable(loader, line.at, &context, "crl-file", file, &why);
                    return None;
                }
            }
        }
        trust = Some(TlsTrust { roots, revoked, depth: None });
    }
    let mut certificate = None;
    if let Some(file) = &tls.certificate {
        match pairs(loader, file) {
            Ok(mut found) => certificate = (!found.is_empty()).then(|| found.swap_remove(0)),
            Err(why) => {
                refuse(loader, why);
                return None;
            }
        }
    }
    let sends_name = sni.is_some();
    Some(Box::new(ClientTls {
        spoken,
        trust,
        name: sni.map(TlsName::Expr),
        sends_name,
        checks_name: false,
        host: line.verify_host.clone(),
        alpn: tls.alpn.clone().unwrap_or_default(),
        certificate,
        reuse: !tls.no_reuse,
    }))
}

/// What HAProxy says of a `ca-file` or a `crl-file` of a server that it cannot use; once.
fn said_unreadable(
    loader: &mut Loader,
    at: Span,
    context: &str,
    keyword: &str,
    file: &Path,
    why: &str,
) {
    let file = based(loader, &loader.global.ca_base, file);
    let text = format!("Couldn't open the ca-file '{}' ({why}).", file.display());
    let problem = Problem::Other(text.clone());
    if loader.binder.problems.iter().any(|known| known.problem == problem) {
        return;
    }
    context.clone_into(&mut loader.binder.refuse(at, text).context);
    let text = format!("'{keyword}' : unable to load {}.", file.display());
    loader.binder.complain(Severity::Error, SUMMARY, at, text);
    loader.file_is_wrong(at);
}

/// TLS of a `bind` line; `None` where something is wrong.
pub(super) fn front(loader: &mut Loader, draft: &Draft, line: &BindTls) -> Option<Box<ServerTls>> {
    let tls = line.tls.or(&loader.global.bind_tls);
    let origin = loader.origin_of(line.at);
    let place = format!("for bind '{}' at [{origin}]", line.address);
    let nowhere = |loader: &mut Loader, text: String| {
        let text = format!("Proxy '{}': {text}", draft.name);
        loader.binder.complain(Severity::Error, NOWHERE, line.at, text);
    };
    let manner = manner(loader, draft, &tls, line.at, &line.context, &place)?;
    let mut certificates = Vec::new();
    let mut ordered: Vec<&Shown> = tls.shown.iter().filter(|one| one.first).collect();
    ordered.extend(tls.shown.iter().filter(|one| !one.first));
    for shown in ordered {
        let found = if shown.list {
            list(loader, draft, line, &tls, shown)
        } else {
            let found = pairs(loader, &shown.path);
            found.map(|found| {
                found
                    .into_iter()
                    .map(|pair| TlsCertificate { pair, ..TlsCertificate::default() })
                    .collect::<Vec<_>>()
            })
        };
        match found {
            Ok(found) => certificates.extend(found),
            Err(why) => {
                loader.binder.refuse(shown.at, why).context.clone_from(&line.context);
                loader.file_is_wrong(shown.at);
                return None;
            }
        }
    }
    // Lists that may not be looked at have some.
    if certificates.is_empty() && (tls.shown.is_empty() || loader.context.reach_out.get()) {
        let text = format!("no SSL certificate specified {place} (use 'crt').");
        nowhere(loader, text);
        return None;
    }
    let strict = tls.strict == Some(true);
    Some(Box::new(ServerTls { manner, certificates, strict }))
}

fn manner(
    loader: &mut Loader,
    draft: &Draft,
    tls: &TlsDraft,
    at: Span,
    context: &str,
    place: &str,
) -> Option<TlsManner> {
    let Some(spoken) = tls.spoken() else {
        let text = format!("Proxy '{}': all SSL/TLS versions are disabled {place}.", draft.name);
        loader.binder.complain(Severity::Error, NOWHERE, at, text);
        return None;
    };
    let verify = tls.verify.unwrap_or_default();
    let mut trust = None;
    if let Some(file) = &tls.ca_file {
        let mut load = |keyword: &str, file: &Path| match authorities(loader, file) {
            Ok(pem) => Some(pem),
            Err(why) => {
                let file = based(loader, &loader.global.ca_base, file);
                let text = format!("Couldn't open the ca-file '{}' ({why}).", file.display());
                loader.binder.complain(Severity::Error, NOWHERE, at, text);
                let text = format!("'{keyword}' : unable to load {}", file.display());
                context.clone_into(&mut loader.binder.refuse(at, text).context);
                loader.file_is_wrong(at);
                None
            }
        };
        let roots = load("ca-file", file)?;
        let revoked = match &tls.crl_file {
            Some(file) => Some(load("crl-file", file)?),
            None => None,
        };
        trust = Some(TlsTrust { roots, revoked, depth: None });
    } else if verify != TlsVerify::None {
        let text =
            format!("Proxy '{}': verify is enabled but no CA file specified {place}.", draft.name);
        loader.binder.complain(Severity::Error, NOWHERE, at, text);
        return None;
    }
    let mut alpn = tls.alpn.clone().unwrap_or_default();
    if draft.mode == Mode::Http && alpn.iter().any(|name| name == "h2") {
        alpn.retain(|name| name != "h2");
        let text = format!(
            "Proxy '{}': 'alpn' : HTTP/2 is not spoken: 'h2' is left out {place}.",
            draft.name
        );
        loader.binder.complain(Severity::Warning, NOWHERE, at, text);
    }
    Some(TlsManner {
        spoken,
        alpn,
        verify,
        trust,
        overlooked: match &tls.overlooked {
            Some(all) if all.is_empty() => None,
            Some(some) => Some(some.clone()),
            None => Some(vec![]),
        },
        tickets: tls.no_tickets != Some(true),
        remembered: loader.global.tls_sessions.unwrap_or(REMEMBERED),
    })
}

/// The certificates of a `crt-list`.
fn list(
    loader: &mut Loader,
    draft: &Draft,
    line: &BindTls,
    common: &TlsDraft,
    shown: &Shown,
) -> Result<Vec<TlsCertificate>, String> {
    let text = read(loader, &shown.path).map_err(|error| {
        let why = strip_os(&error);
        format!("'crt-list' : cannot open file '{}' : {why}", shown.path.display())
    })?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut all = Vec::new();
    for (number, row) in text.lines().enumerate() {
        let row = row.trim();
        if row.is_empty() || row.starts_with('#') {
            continue;
        }
        let (file, rest) = row.split_once([' ', '\t']).unwrap_or((row, ""));
        let rest = rest.trim();
        // HAProxy takes `crt [params]` and `crt[params]`.
        let (file, rest) = match file.split_once('[') {
            Some((file, more)) if !file.is_empty() => (file, format!("[{more} {rest}")),
            _ => (file, rest.to_owned()),
        };
        let (params, names) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or_else(|| {
                format!(
                    "'crt-list' : error processing line {} in file '{}' : missing ']'",
                    number + 1,
                    shown.path.display()
                )
            })?,
            None => ("", rest.as_str()),
        };
        let names: Vec<String> = names.split_whitespace().map(str::to_owned).collect();
        let mut own = None;
        let words: Vec<Word> = params
            .split_whitespace()
            .map(|word| Word { text: word.to_owned(), span: shown.at })
            .collect();
        if !words.is_empty() {
            let tls = line_tls(loader, common, &words, &line.context);
            let origin = loader.origin_of(line.at);
            let place = format!("for bind '{}' at [{origin}]", line.address);
            own = manner(loader, draft, &tls, shown.at, &line.context, &place);
        }
        let found = pairs(loader, Path::new(file)).map_err(|why| format!("'crt-list' : {why}"))?;
        all.extend(found.into_iter().map(|pair| TlsCertificate {
            pair,
            names: names.clone(),
            manner: own.clone(),
        }));
    }
    Ok(all)
}

/// What a line of a `crt-list` says, and of the rest what its `bind` line says.
fn line_tls(loader: &mut Loader, common: &TlsDraft, words: &[Word], context: &str) -> TlsDraft {
    let place = Place::new(crate::table::PROXY, "bind").context(context);
    let mut own = bind::line(&loader.context);
    own.tls = common.clone();
    crate::table::parameters(&mut loader.binder, &BINDS, place, words, &mut own);
    own.tls
}

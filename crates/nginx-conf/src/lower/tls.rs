//! `proxy_ssl`: files are read with the configuration, and what is missing is said as nginx says it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use conf::{Problem, Span, Word};
use proxy::{ClientTls, KeyPair, Pem, TlsName, TlsSpoken, TlsTrust};

use super::Lower;
use crate::draft::ProxyTls;
use crate::variable;
use crate::wording::NOWHERE;

/// What OpenSSL says of a file that is not there, of any name.
const NO_FILE: &str = "error:80000002:system library::No such file or directory:calling fopen(";

/// Names OpenSSL knows besides those that are taken.
const OTHER_COMMANDS: &[&str] = &[
    "certificate",
    "chaincafile",
    "chaincapath",
    "clientcafile",
    "clientcapath",
    "clientsignaturealgorithms",
    "dhparameters",
    "ecdhparameters",
    "options",
    "privatekey",
    "protocol",
    "recordpadding",
    "requestcafile",
    "serverinfofile",
    "signaturealgorithms",
    "verifycafile",
    "verifycapath",
    "verifymode",
];

impl Lower<'_> {
    /// TLS towards the servers of a `proxy_pass`; `None` without it, or after a complaint.
    pub(super) fn tls(&mut self, pass: &str, said: &ProxyTls) -> Option<Box<ClientTls>> {
        if let Some(file) = &said.passwords {
            let path = self.directory.join(&file.text);
            if let Err(error) = self.text_of(&path) {
                let (path, why) = (path.display(), crate::errno(&error));
                self.error(file.span, format!("open() \"{path}\" failed ({why})"));
                return None;
            }
        }
        if said.on != Some(true) {
            return None;
        }
        let mut spoken = self.versions(said)?;
        let certificate = match &said.certificate {
            Some(word) if !word.text.is_empty() => Some(self.key_pair(word, said.key.as_ref())?),
            _ => None,
        };
        spoken.ciphers.clone_from(&said.ciphers);
        let verify = said.verify == Some(true);
        let trust = if verify { Some(self.trust(said)?) } else { None };
        self.commands(&mut spoken, said)?;
        let name = match &said.name {
            Some(name) => TlsName::Template(self.template(name)),
            None if variable::any(pass) => TlsName::Template(self.template(pass)),
            None => TlsName::Fixed(host(pass)),
        };
        Some(Box::new(ClientTls {
            spoken,
            trust,
            name: Some(name),
            sends_name: said.sends_name == Some(true),
            checks_name: verify,
            host: None,
            alpn: said.alpn.clone(),
            certificate,
            reuse: said.reuse != Some(false),
        }))
    }

    fn versions(&mut self, said: &ProxyTls) -> Option<TlsSpoken> {
        let mut spoken = TlsSpoken::default();
        let Some(protocols) = &said.protocols else { return Some(spoken) };
        (spoken.least, spoken.most) = match protocols.new {
            [true, true] => (2, 3),
            [true, false] => (2, 2),
            [false, true] => (3, 3),
            [false, false] => {
                let keyword = format!("proxy_ssl_protocols {}", protocols.old.join(" "));
                self.binder.error(protocols.at, Problem::Planned { keyword });
                return None;
            }
        };
        if !protocols.old.is_empty() {
            let old = protocols.old.join(" ");
            let text = format!("\"{old}\" is not spoken any more (RFC 8996)");
            self.binder.warning(protocols.at, Problem::Other(text));
        }
        Some(spoken)
    }

    fn key_pair(&mut self, certificate: &Word, key: Option<&Word>) -> Option<KeyPair> {
        let Some(key) = key else {
            let text = &certificate.text;
            let said =
                format!("no \"proxy_ssl_certificate_key\" is defined for certificate \"{text}\"");
            self.error(NOWHERE, said);
            return None;
        };
        for (name, word) in [("certificate", certificate), ("certificate_key", key)] {
            let text = word.text.as_str();
            let elsewhere = ["engine:", "store:"].into_iter().find(|kind| text.starts_with(kind));
            let what = match elsewhere {
                Some(kind) if name == "certificate_key" => kind,
                _ if variable::any(text) => "with variables",
                _ => continue,
            };
            let keyword = format!("proxy_ssl_{name} {what}");
            self.binder.error(word.span, Problem::Planned { keyword });
            return None;
        }
        let no_chain = "PEM_read_bio_X509_AUX() failed (SSL: error:0480006C:PEM routines::no start \
                        line:Expecting: TRUSTED CERTIFICATE)";
        let chain = self.part("certificate", &certificate.text, "CERTIFICATE-----", no_chain)?;
        let no_key = "PEM_read_bio_PrivateKey() failed (SSL: error:1E08010C:DECODER \
                      routines::unsupported:No supported data to decode. Input type: PEM)";
        let key = self.part("certificate key", &key.text, "PRIVATE KEY-----", no_key)?;
        Some(KeyPair { chain, key: Some(key) })
    }

    /// A certificate or a key: a file, or the text itself after `data:`.
    fn part(&mut self, what: &str, word: &str, mark: &str, without: &str) -> Option<Pem> {
        let (path, text) = match word.strip_prefix("data:") {
            Some(text) => (PathBuf::from("data:"), Ok(Arc::from(text.as_bytes()))),
            None => {
                let path = self.directory.join(word);
                let text = self.text_of(&path);
                (path, text)
            }
        };
        let shown = path.display();
        let why = match text {
            Ok(text) if !self.options.includes || holds(&text, mark) => {
                return Some(Pem { path, text });
            }
            Ok(_) => without.to_owned(),
            Err(error) => format!("BIO_new_file() failed (SSL: {})", unread(&path, &error)),
        };
        self.error(NOWHERE, format!("cannot load {what} \"{shown}\": {why}"));
        None
    }

    fn trust(&mut self, said: &ProxyTls) -> Option<TlsTrust> {
        let Some(trusted) = said.trusted.as_deref().filter(|name| !name.is_empty()) else {
            self.error(NOWHERE, "no proxy_ssl_trusted_certificate for proxy_ssl_verify".into());
            return None;
        };
        let roots = self.authorities("SSL_CTX_load_verify_locations", trusted)?;
        let revoked = match said.crl.as_deref().filter(|name| !name.is_empty()) {
            Some(crl) => Some(self.authorities("X509_LOOKUP_load_file", crl)?),
            None => None,
        };
        Some(TlsTrust { roots, revoked, depth: Some(said.depth.unwrap_or(1)) })
    }

    fn authorities(&mut self, call: &str, name: &str) -> Option<Pem> {
        let path = self.directory.join(name);
        let why = match self.text_of(&path) {
            Ok(text)
                if !self.options.includes
                    || holds(&text, "CERTIFICATE-----")
                    || holds(&text, "X509 CRL-----") =>
            {
                return Some(Pem { path, text });
            }
            Ok(_) => "error:05800088:x509 certificate routines::no certificate or crl found".into(),
            Err(error) => {
                let why = unread(&path, &error);
                format!("{why} error:05880002:x509 certificate routines::system lib")
            }
        };
        self.error(NOWHERE, format!("{call}(\"{}\") failed (SSL: {why})", path.display()));
        None
    }

    /// Settings in OpenSSL's own words; names of them in any case.
    fn commands(&mut self, spoken: &mut TlsSpoken, said: &ProxyTls) -> Option<()> {
        let version = |value: &str| match value {
            "None" | "SSLv3" | "TLSv1" | "TLSv1.1" => Some(0),
            "TLSv1.2" => Some(2),
            "TLSv1.3" => Some(3),
            _ => None,
        };
        for (name, value, at) in &said.commands {
            let sound = match name.to_ascii_lowercase().as_str() {
                "ciphersuites" => {
                    spoken.suites = Some(value.clone());
                    true
                }
                "cipherstring" => {
                    spoken.ciphers = Some(value.clone());
                    true
                }
                "groups" | "curves" => {
                    spoken.curves = Some(value.clone());
                    true
                }
                "minprotocol" => version(value).is_some_and(|least| {
                    spoken.least = least.max(2);
                    true
                }),
                "maxprotocol" => match version(value) {
                    Some(0) if value == "None" => {
                        spoken.most = 3;
                        true
                    }
                    Some(0) => return self.refuse(name, value, *at),
                    Some(most) => {
                        spoken.most = most;
                        true
                    }
                    None => false,
                },
                other if OTHER_COMMANDS.contains(&other) => return self.refuse(name, value, *at),
                _ => {
                    self.error(
                        NOWHERE,
                        format!(
                            "SSL_CONF_cmd(\"{name}\", \"{value}\") failed (SSL: \
                             error:0A000182:SSL routines::unknown cmd name:cmd={name})"
                        ),
                    );
                    return None;
                }
            };
            if !sound {
                self.error(
                    NOWHERE,
                    format!(
                        "SSL_CONF_cmd(\"{name}\", \"{value}\") failed (SSL: error:0A000180:SSL \
                         routines::bad value:cmd={name}, value={value})"
                    ),
                );
                return None;
            }
        }
        Some(())
    }

    fn refuse(&mut self, name: &str, value: &str, at: Span) -> Option<()> {
        let keyword = format!("proxy_ssl_conf_command {name} {value}");
        self.binder.error(at, Problem::Planned { keyword });
        None
    }

    /// Reads a file; nothing of one that may not be looked at now.
    fn text_of(&self, path: &Path) -> io::Result<Arc<[u8]>> {
        if !self.options.includes {
            return Ok(Arc::default());
        }
        let read = || std::fs::read(path);
        conf::outside::ask("read", &path.to_string_lossy(), read).map(Into::into)
    }
}

/// Whether a text has a part of that kind: the end of what its first line says.
fn holds(text: &[u8], mark: &str) -> bool {
    text.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii_end)
        .any(|line| line.starts_with(b"-----BEGIN ") && line.ends_with(mark.as_bytes()))
}

/// What OpenSSL says of a file that cannot be opened.
fn unread(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!("{NO_FILE}{path}, r) error:10000080:BIO routines::no such file")
        }
        _ => {
            let number = error.raw_os_error().unwrap_or(0);
            let text = crate::errno(error);
            let text = text.split_once(": ").map_or(text.as_str(), |(_, text)| text);
            let code = 0x8000_0000_u32.wrapping_add(number.unsigned_abs());
            format!(
                "error:{code:08X}:system library::{text}:calling fopen({path}, r) \
                 error:10080002:BIO routines::system lib"
            )
        }
    }
}

/// The host of a `proxy_pass`.
fn host(pass: &str) -> String {
    if let Some(path) = pass.strip_prefix("unix:") {
        return path.to_owned();
    }
    let after = pass.find(']').unwrap_or(0);
    match pass[after..].find(':') {
        Some(colon) => pass[..after + colon].to_owned(),
        None => pass.to_owned(),
    }
}

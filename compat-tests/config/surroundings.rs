//! Certificates and pages that a file names: they have to be there to judge the file.

use std::collections::BTreeMap;

use anyhow::Result;
use lab::NodeFile;

/// What a page of an `errorfile` has to be.
const PAGE: &str = "HTTP/1.0 503 Service Unavailable\r\nConnection: close\r\n\r\nlater\n";

/// The certificates, lists of them and pages that a haproxy.cfg or an nginx.conf names. Every
/// certificate is self-signed, with its key in the same file.
pub(crate) fn files(text: &str) -> Result<Vec<NodeFile>> {
    let pem = lab::self_signed("localhost")?;
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut bases = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["errorfile", _, path, ..] = words[..] {
            found.insert(path.to_owned(), PAGE.to_owned());
        }
        if let [word @ ("crt-base" | "key-base"), base, ..] = words[..] {
            bases.insert(word, base);
        }
        for pair in words.windows(2) {
            let path = pair[1].trim_end_matches(';');
            let base = match pair[0] {
                "crt" | "ca-file" => "crt-base",
                "key" => "key-base",
                "crt-list" => {
                    found.insert(path.to_owned(), "/etc/ssl/of-the-list.pem\n".to_owned());
                    found.insert("/etc/ssl/of-the-list.pem".to_owned(), pem.clone());
                    continue;
                }
                word if word.starts_with("proxy_ssl_") || word.starts_with("ssl_") => "none",
                _ => continue,
            };
            let path = match bases.get(base) {
                Some(base) if !path.starts_with(['/', '@']) => format!("{base}/{path}"),
                _ => path.to_owned(),
            };
            let is_file = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
            if path.starts_with('/') && is_file {
                found.insert(path, pem.clone());
            }
        }
    }
    Ok(found.into_iter().map(|(path, text)| NodeFile::new(&path, text)).collect())
}

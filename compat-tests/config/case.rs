//! One file and what a check mode says to it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use lab::{Lab, NodeFile, NodePlan, Output, Subject};

/// A file to check.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// `guides`, or the folder of the corpus it is in.
    pub(crate) set: String,
    /// Its name without the folder.
    pub(crate) file: String,
    /// Which program reads it.
    pub(crate) product: Product,
    /// Whether it is complete: a fragment or a file with unfilled placeholders may be refused.
    pub(crate) must_run: bool,
    /// Whether the file speaks of what no node here has: Lua programs, lists of what was revoked.
    pub(crate) lacks: bool,
    /// What the originals say: a name with version, and the verdict.
    pub(crate) upstream: Vec<(String, String)>,
    text: Vec<u8>,
}

/// The three dialects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Product {
    /// keepalived.conf
    Keepalived,
    /// haproxy.cfg
    Haproxy,
    /// nginx.conf, or a piece of it
    Nginx(Wrap),
}

/// What stands around a piece of an nginx.conf.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wrap {
    /// Nothing: it is whole.
    Whole,
    /// It is of the main context, beside `events {}`.
    Main,
    /// It is of the `stream {}` context.
    Stream,
}

/// What a check mode said.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// The exit code.
    pub(crate) code: i32,
    /// Both outputs, without what differs from run to run.
    pub(crate) messages: String,
    product: Product,
}

impl Case {
    /// `guides/001-haproxy-appended.cfg`
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.set, self.file)
    }

    /// Checks the file in a node that has what the file names.
    ///
    /// # Errors
    ///
    /// When the node cannot be made or the program hangs.
    pub(crate) fn check(&self, subject: &Subject) -> Result<Verdict> {
        let lab = Lab::new("check")?;
        let text = String::from_utf8_lossy(&self.text);
        let mut plan = subject.install(NodePlan::new("node"));
        for file in accounts(&text) {
            plan = plan.file(file);
        }
        let argv: &[&str] = match self.product {
            Product::Keepalived => {
                for (place, name) in interfaces(&text).into_iter().enumerate() {
                    plan = plan.link(&name, format!("198.18.{place}.1/24").parse()?);
                }
                for script in scripts(&text) {
                    plan = plan.file(NodeFile::script(&script, "#!/bin/sh\nexit 0\n"));
                }
                plan = plan.file(NodeFile::new("/etc/keepalived/keepalived.conf", &self.text));
                &["keepalived", "-t", "-f", "/etc/keepalived/keepalived.conf"]
            }
            Product::Haproxy => {
                for file in crate::surroundings::files(&text)? {
                    plan = plan.file(file);
                }
                plan = plan
                    .file(hosts(&text))
                    .file(NodeFile::new("/etc/haproxy/haproxy.cfg", &self.text));
                &["haproxy", "-c", "-f", "/etc/haproxy/haproxy.cfg"]
            }
            Product::Nginx(wrap) => {
                let main = "include /etc/nginx/modules-enabled/*.conf;\nevents {}\n";
                let whole = match wrap {
                    Wrap::Whole => text.into_owned(),
                    Wrap::Main => format!("{main}{text}"),
                    Wrap::Stream => format!("{main}stream {{\n{text}\n}}\n"),
                };
                for file in crate::surroundings::files(&whole)? {
                    plan = plan.file(file);
                }
                for directory in log_directories(&whole) {
                    plan = plan.file(NodeFile::new(&format!("{directory}/.keep"), ""));
                }
                plan = plan.file(hosts(&whole)).file(NodeFile::new("/etc/nginx/nginx.conf", whole));
                &["nginx", "-t", "-c", "/etc/nginx/nginx.conf"]
            }
        };
        let node = lab.node(plan)?;
        let Output { code, stdout, stderr } = node.run(argv, Duration::from_secs(20))?;
        let messages = (stdout + &stderr).lines().map(steady).collect();
        Ok(Verdict { code, messages, product: self.product })
    }

    /// Whether Debian 12's original runs it, where that is known.
    pub(crate) fn on_this_debian(&self) -> Option<bool> {
        let versions = ["2.2.7", "2.6.12", "1.22.1"];
        let known =
            self.upstream.iter().find(|(name, _)| versions.iter().any(|v| name.ends_with(v)));
        known.map(|(_, verdict)| runs_by_word(verdict))
    }

    /// The exit code of Debian 12's keepalived, where it is known: its complaints have codes of
    /// their own.
    pub(crate) fn code_on_this_debian(&self) -> Option<i32> {
        let (_, verdict) = self.upstream.iter().find(|(name, _)| name.ends_with("2.2.7"))?;
        match verdict.as_str() {
            "accept" => Some(0),
            "complain" => Some(5),
            "complain-security" => Some(6),
            "refuse" => Some(2),
            _ => None,
        }
    }

    /// Whether any version of the original runs it.
    pub(crate) fn runs_somewhere(&self) -> Option<bool> {
        (!self.upstream.is_empty())
            .then(|| self.upstream.iter().any(|(_, verdict)| runs_by_word(verdict)))
    }

    /// The head of the golden file.
    pub(crate) fn upstream_text(&self) -> String {
        self.upstream.iter().map(|(name, verdict)| format!("# {name}: {verdict}\n")).collect()
    }
}

impl Verdict {
    /// Whether the daemon would run with the file: keepalived's codes 5 and 6 are complaints.
    pub(crate) fn runs(&self) -> bool {
        match self.product {
            Product::Keepalived => matches!(self.code, 0 | 5 | 6),
            _ => self.code == 0,
        }
    }

    /// Whether it names something that is known and not built yet.
    pub(crate) fn says_planned(&self) -> bool {
        self.messages.contains("not supported yet")
    }

    /// Whether it was refused for something that is known and not built yet.
    pub(crate) fn planned(&self) -> bool {
        !self.runs() && self.says_planned()
    }

    /// As it stands in the golden file.
    pub(crate) fn text(&self) -> String {
        format!("exit {}\n{}", self.code, self.messages)
    }
}

/// The files of the guides, with what Debian 12's originals say to each.
pub(crate) fn guides(folder: &Path) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (file, original, verdict) in GUIDES {
        let text = fs::read(folder.join(file)).with_context(|| format!("no {file}"))?;
        let product = match *original {
            "keepalived 2.2.7" => Product::Keepalived,
            "haproxy 2.6.12" => Product::Haproxy,
            _ => Product::Nginx(Wrap::Main),
        };
        let open = ["002-keepalived-lb1.conf", "002-keepalived-lb2.conf"];
        let text_has = |what: &str| String::from_utf8_lossy(&text).contains(what);
        let must_run = !text_has("${") && !text_has("<haproxy address>") && !open.contains(file);
        cases.push(Case {
            set: "guides".into(),
            file: (*file).into(),
            product,
            must_run,
            lacks: false,
            upstream: vec![((*original).into(), (*verdict).into())],
            text,
        });
    }
    Ok(cases)
}

/// The files of the corpus that are there.
pub(crate) fn corpus(folder: &Path) -> Result<Vec<Case>> {
    let verdicts = fs::read_to_string(folder.join("verdicts.tsv"))?;
    let mut cases: Vec<Case> = Vec::new();
    for line in verdicts.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, product, _, version, _, _, verdict, ..] = columns[..] else { continue };
        let Some((set, file)) = name.split_once('/') else { continue };
        let of = (format!("{} {version}", product.trim_end_matches("-stream")), verdict.to_owned());
        if let Some(case) = cases.iter_mut().find(|case| case.set == set && case.file == file) {
            case.upstream.push(of);
            continue;
        }
        let Ok(text) = fs::read(folder.join(name)) else { continue };
        let env = columns.last().copied().unwrap_or_default();
        let product = match product {
            "keepalived" => Product::Keepalived,
            "haproxy" => Product::Haproxy,
            _ if env.contains("wrapped-in-main") => Product::Nginx(Wrap::Main),
            _ if env.contains("wrapped-in-stream") => Product::Nginx(Wrap::Stream),
            _ => Product::Nginx(Wrap::Whole),
        };
        let revoked = String::from_utf8_lossy(&text).contains("crl-file");
        let lacks = env.contains("needs-lua") || revoked;
        let (set, file) = (set.to_owned(), file.to_owned());
        cases.push(Case { set, file, product, must_run: false, lacks, upstream: vec![of], text });
    }
    Ok(cases)
}

fn runs_by_word(verdict: &str) -> bool {
    matches!(verdict, "accept" | "accept-warn" | "complain" | "complain-security")
}

/// Interfaces that a keepalived.conf names, each once.
fn interfaces(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut list = false;
    for line in text.lines() {
        let line = line.split(['!', '#']).next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        if list {
            found.extend(words.first().filter(|word| **word != "}").map(|word| (*word).to_owned()));
            list = !words.contains(&"}");
        }
        list |= words.first() == Some(&"track_interface");
        for pair in words.windows(2) {
            if ["interface", "dev", "lvs_sync_daemon", "lvs_sync_daemon_interface"]
                .contains(&pair[0])
            {
                found.insert(pair[1].to_owned());
            }
        }
    }
    found.retain(|name| {
        let usual = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        name.len() <= 15 && name.chars().all(usual) && name != "lo"
    });
    found
}

/// Absolute paths that a keepalived.conf runs, outside the folders that programs are in.
fn scripts(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| {
        let word = line.split_whitespace().next().unwrap_or_default();
        word == "script"
            || word.starts_with("notify")
            || word == "misc_path"
            || word.starts_with("quorum_")
    });
    let words = lines.flat_map(|line| line.split_whitespace().nth(1));
    let paths = words.map(|word| word.trim_matches(['"', '\'']));
    let usual = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    paths
        .filter(|path| {
            path.starts_with('/') && path.chars().all(usual) && !Path::new(path).exists()
        })
        .map(str::to_owned)
        .collect()
}

/// `/etc/hosts` with the names that a file sends connections to.
fn hosts(text: &str) -> NodeFile {
    let addresses = text.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            // haproxy.cfg: "server NAME ADDRESS"; nginx.conf: "server ADDRESS;"
            ["server-template", _, _, address, ..] => Some(address),
            ["server" | "peer" | "nameserver", _, address, ..] if !line.contains(';') => {
                Some(address)
            }
            ["server" | "proxy_pass", address, ..] => Some(address.trim_end_matches(';')),
            _ => None,
        }
    });
    let names: BTreeSet<&str> = addresses
        .filter_map(|address| address.split(':').next())
        .filter(|host| !host.is_empty() && host.parse::<std::net::IpAddr>().is_err())
        .filter(|host| host.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)))
        .collect();
    let lines: String = names.iter().map(|name| format!("192.0.2.1 {name}\n")).collect();
    NodeFile::new("/etc/hosts", format!("127.0.0.1 localhost\n{lines}"))
}

/// `/etc/passwd` and `/etc/group` with the accounts that a file names.
fn accounts(text: &str) -> [NodeFile; 2] {
    let mut names = BTreeSet::from(["www-data", "haproxy", "nobody"]);
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["user" | "group" | "script_user", account, ..] = words[..] {
            names.insert(account.trim_end_matches(';'));
        }
    }
    names.remove("root");
    names.retain(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)));
    let (mut passwd, mut group) =
        ("root:x:0:0::/root:/bin/sh\n".to_owned(), "root:x:0:\n".to_owned());
    for (name, id) in names.iter().zip(900..) {
        passwd += &format!("{name}:x:{id}:{id}::/nonexistent:/usr/sbin/nologin\n");
        group += &format!("{name}:x:{id}:\n");
    }
    group += "nogroup:x:899:\nadm:x:4:\n";
    [NodeFile::new("/etc/passwd", passwd), NodeFile::new("/etc/group", group)]
}

/// Directories of the files that an nginx.conf logs to.
fn log_directories(text: &str) -> BTreeSet<&str> {
    let lines = text.lines().map(str::trim);
    let words = lines.filter_map(|line| {
        let (directive, rest) = line.split_once(char::is_whitespace)?;
        matches!(directive, "error_log" | "access_log" | "pid")
            .then(|| rest.trim_start().split([' ', ';']).next())?
    });
    words
        .filter(|path| path.starts_with('/'))
        .filter_map(|path| Some(path.rsplit_once('/')?.0))
        .collect()
}

/// The line without the date, the pid and the version, which differ from run to run.
fn steady(line: &str) -> String {
    let line = match line.split_once(": ") {
        // "Sat Nov 21 11:08:01 2026: …" of keepalived
        Some((date, rest)) if date.len() == 24 && date.ends_with(|c: char| c.is_ascii_digit()) => {
            rest
        }
        _ => line,
    };
    // "[NOTICE]   (6) : …" of HAProxy, "2026/11/21 11:08:01 [emerg] 6#6: …" of nginx
    let mut text = String::new();
    let mut rest = line;
    while let Some(open) = rest.find(['(', '[']) {
        let (before, inside) = rest.split_at(open + 1);
        text.push_str(before);
        let digits = inside.len() - inside.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        rest = if digits > 0 && inside[digits..].starts_with(") :") {
            &inside[digits..]
        } else {
            inside
        };
    }
    text.push_str(rest);
    if let Some(at) = text.find(" [")
        && text.as_bytes().get(..4).is_some_and(|year| year.iter().all(u8::is_ascii_digit))
    {
        text = text[at + 1..].to_owned();
        if let Some((level, after)) = text.split_once("] ")
            && let Some((pid, message)) = after.split_once(": ")
            && pid.contains('#')
        {
            text = format!("{level}] {message}");
        }
    }
    text + "\n"
}

/// Guide file, the original of Debian 12, and its verdict.
const GUIDES: &[(&str, &str, &str)] = &[
    ("000-keepalived-master.conf", "keepalived 2.2.7", "complain-security"),
    ("000-keepalived-backup.conf", "keepalived 2.2.7", "complain-security"),
    ("000-nginx-stream.conf", "nginx 1.22.1", "accept"),
    ("001-keepalived-node1.conf", "keepalived 2.2.7", "complain"),
    ("001-keepalived-node2.conf", "keepalived 2.2.7", "complain"),
    ("001-keepalived-node3.conf", "keepalived 2.2.7", "complain"),
    ("001-haproxy-fragment.cfg", "haproxy 2.6.12", "accept-warn"),
    ("001-haproxy-appended.cfg", "haproxy 2.6.12", "accept"),
    ("002-keepalived-lb1.conf", "keepalived 2.2.7", "complain-security"),
    ("002-keepalived-lb2.conf", "keepalived 2.2.7", "complain-security"),
    ("002-keepalived-lb1-filled.conf", "keepalived 2.2.7", "complain-security"),
    ("002-keepalived-lb2-filled.conf", "keepalived 2.2.7", "complain-security"),
    ("002-haproxy-fragment.cfg", "haproxy 2.6.12", "accept-warn"),
    ("002-haproxy-appended.cfg", "haproxy 2.6.12", "refuse"),
    ("003-kubeadm-keepalived-master-filled.conf", "keepalived 2.2.7", "complain-security"),
    ("003-kubeadm-keepalived-backup-filled.conf", "keepalived 2.2.7", "complain-security"),
    ("003-kubeadm-haproxy-filled.cfg", "haproxy 2.6.12", "accept-warn"),
    ("003-kubeadm-haproxy.cfg", "haproxy 2.6.12", "refuse"),
    ("004-haproxy.cfg", "haproxy 2.6.12", "refuse"),
    ("004-haproxy-filled.cfg", "haproxy 2.6.12", "accept-warn"),
    ("004-haproxy-filled-appended.cfg", "haproxy 2.6.12", "accept"),
    ("004-nginx-stream.conf", "nginx 1.22.1", "accept"),
];

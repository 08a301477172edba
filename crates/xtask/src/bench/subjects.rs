//! What is measured: balancerd under both names, and the originals beside it.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Used, many};
use crate::generate::root;
use crate::peers;

/// Whose file a program reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Flavour {
    /// haproxy.cfg.
    HaProxy,
    /// nginx.conf.
    Nginx,
}

/// A program to measure.
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) version: String,
    pub(super) flavour: Flavour,
    /// It is balancerd.
    pub(super) ours: bool,
    program: PathBuf,
    pub(super) rounds: Vec<Used>,
}

impl Subject {
    /// What counts, once something was measured.
    pub(super) fn used(&self) -> Option<Used> {
        (!self.rounds.is_empty()).then(|| Used::median(&self.rounds))
    }

    /// Starts it on its core, before `server`.
    pub(super) fn command(
        &self,
        directory: &Path,
        listen: SocketAddr,
        server: SocketAddr,
    ) -> Result<Command> {
        Ok(match self.flavour {
            Flavour::HaProxy => self.call(&["-db", "-f"], &haproxy_cfg(directory, listen, server)?),
            Flavour::Nginx => {
                let load = load_stream(&self.program);
                self.call(&["-c"], &nginx_conf(directory, listen, server, &load)?)
            }
        })
    }

    /// Starts it with very many servers.
    pub(super) fn many(&self, directory: &Path, listen: SocketAddr) -> Result<Command> {
        Ok(match self.flavour {
            Flavour::HaProxy => self.call(&["-W", "-f"], &many::haproxy_cfg(directory, listen)?),
            Flavour::Nginx => {
                let load = load_stream(&self.program);
                self.call(&["-c"], &many::nginx_conf(directory, listen, &load)?)
            }
        })
    }

    fn call(&self, options: &[&str], file: &Path) -> Command {
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(&self.program).args(options).arg(file);
        command
    }
}

/// balancerd as each original, and the originals that are to be had. Links to balancerd are made in
/// `directory`.
pub(super) fn all(directory: &Path) -> Result<Vec<Subject>> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    let mut subjects = Vec::new();
    let kinds = [
        (Flavour::HaProxy, "balancerd", "haproxy", "HAProxy", haproxy()),
        (Flavour::Nginx, "balancerd as nginx", "nginx", "nginx stream", nginx()),
    ];
    for (flavour, ours, link, name, program) in kinds {
        let link = directory.join(link);
        symlink(target.join("release/balancerd"), &link)?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let rounds = Vec::new;
        subjects.push(Subject {
            name: ours,
            version,
            flavour,
            ours: true,
            program: link,
            rounds: rounds(),
        });
        match version_of(&program, "-v") {
            Some(version) => {
                let rounds = rounds();
                subjects.push(Subject { name, version, flavour, ours: false, program, rounds });
            }
            None => eprintln!("SKIPPED: there is no {name} to run beside"),
        }
    }
    Ok(subjects)
}

fn haproxy() -> PathBuf {
    program("HAPROXY", "haproxy")
}

/// The nginx to run beside.
pub(super) fn nginx() -> PathBuf {
    program("NGINX", "nginx")
}

/// The program that a variable names, else the one `cargo xtask peers` has fetched, else the one
/// that is installed.
fn program(variable: &str, name: &str) -> PathBuf {
    if let Some(named) = std::env::var_os(variable) {
        return named.into();
    }
    let fetched = peers::directory().join("run").join(name);
    if fetched.exists() { fetched } else { name.into() }
}

/// nginx's line for its stream module, where that is one of its own: in what the program was
/// unpacked with, or where Debian installs it.
pub(super) fn load_stream(program: &Path) -> String {
    let unpacked =
        program.parent().and_then(Path::parent).map(|root| root.join(peers::STREAM_MODULE));
    let installed = Path::new("/").join(peers::STREAM_MODULE);
    let modules = unpacked.into_iter().chain([installed]);
    let found = modules.into_iter().find(|module| module.exists());
    found.map(|module| format!("load_module {};\n", module.display())).unwrap_or_default()
}

/// The first number with a dot that a program prints about itself.
pub(super) fn version_of(program: impl AsRef<Path>, flag: &str) -> Option<String> {
    let output = Command::new(program.as_ref()).arg(flag).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let words = text.split([' ', '/', '\n']);
    words
        .map(|word| word.split('-').next().unwrap_or(word).trim_start_matches('v'))
        .find(|word| word.contains('.') && word.starts_with(|first: char| first.is_ascii_digit()))
        .map(str::to_owned)
}

fn haproxy_cfg(directory: &Path, listen: SocketAddr, server: SocketAddr) -> Result<PathBuf> {
    let path = directory.join("haproxy.cfg");
    let text = format!(
        "global\n    nbthread 1\n    maxconn 9000\n\
         defaults\n    mode tcp\n    timeout connect 5s\n    timeout client 1m\n    timeout server 1m\n\
         listen bench\n    bind {listen}\n    maxconn 9000\n    server s {server}\n"
    );
    fs::write(&path, text)?;
    Ok(path)
}

fn nginx_conf(
    directory: &Path,
    listen: SocketAddr,
    server: SocketAddr,
    load: &str,
) -> Result<PathBuf> {
    let path = directory.join("nginx.conf");
    let pid = directory.join("nginx.pid");
    let text = format!(
        "{load}pid {};\nerror_log stderr;\ndaemon off;\nmaster_process off;\n\
         worker_rlimit_nofile 20000;\nevents {{ worker_connections 18000; }}\n\
         stream {{ server {{ listen {listen}; proxy_pass {server}; }} }}\n",
        pid.display()
    );
    fs::write(&path, text)?;
    Ok(path)
}

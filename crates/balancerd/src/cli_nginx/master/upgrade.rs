//! SIGUSR2: the program's file was exchanged, and the new one is to take over without a refused
//! connection. The protocol is nginx's, so either side may be nginx itself.
//!
//! ```text
//!   old master   USR2: n.pid becomes n.pid.oldbin, argv[0] is run with NGINX=5;6;7;
//!   new master   takes the sockets, writes n.pid, starts workers; both serve
//!   operator     QUIT to the old one: it drains and goes. Or QUIT to the new one:
//!   old master   its child is gone: n.pid.oldbin becomes n.pid again
//! ```

use std::process::{Command, ExitStatus, Stdio};

use proxy::Severity;

use super::{Master, NGINX_ENVIRONMENT};
use crate::bind::ENVIRONMENT;
use crate::workers::Event;

/// What became of SIGUSR2.
#[derive(Debug, Default)]
pub(super) struct Upgrade {
    /// The process of the new program.
    pid: Option<u32>,
}

impl Upgrade {
    pub(super) const fn is_running(&self) -> bool {
        self.pid.is_some()
    }
}

impl Master {
    /// SIGUSR2. While a new program runs, or this one is new itself, it is ignored as by nginx.
    pub(super) fn change_binary(&mut self) {
        let mut aside = self.pid_file.0.clone().into_os_string();
        aside.push(".oldbin");
        let is_new = std::path::Path::new(&aside).exists();
        if self.upgrade.is_running() || is_new {
            let text = "signal 12 (SIGUSR2) received, ignored: a new binary process is running";
            return self.log(Severity::Notice, text);
        }
        self.log(Severity::Notice, "signal 12 (SIGUSR2) received, changing binary code");
        self.log(Severity::Notice, "changing binary code");
        let old = self.pid_file.0.clone();
        if let Err(error) = std::fs::rename(&old, &aside) {
            let why = nginx_conf::errno(&error);
            let (from, to) = (old.display(), aside.to_string_lossy());
            let text = format!(
                "rename() {from} to {to} failed ({why}) before executing new binary process"
            );
            return self.log(Severity::Alert, &text);
        }
        self.pid_file.0 = aside.into();
        match self.start_binary() {
            Ok(pid) => {
                self.upgrade.pid = Some(pid);
                self.log(Severity::Notice, &format!("start new binary process {pid}"));
            }
            Err(error) => {
                let name = self.called.first().map(|name| name.to_string_lossy().into_owned());
                let name = name.unwrap_or_default();
                let why = nginx_conf::errno(&error);
                let text = format!(
                    "execve() failed while executing new binary process \"{name}\" ({why})"
                );
                self.log(Severity::Alert, &text);
                self.take_pid_file_back();
            }
        }
    }

    fn start_binary(&self) -> std::io::Result<u32> {
        let Some((program, words)) = self.called.split_first() else {
            return Err(std::io::ErrorKind::NotFound.into());
        };
        let listeners = &self.serving.listeners;
        let mut command = Command::new(program);
        command
            .args(words)
            .env(NGINX_ENVIRONMENT, listeners.environment())
            .env_remove(ENVIRONMENT)
            .stdin(Stdio::null());
        listeners.set_inheritable(true)?;
        let child = tokio::process::Command::from(command).spawn();
        let closed_again = listeners.set_inheritable(false);
        let mut child = child?;
        closed_again?;
        let pid = child.id().unwrap_or(0);
        let events = self.events.clone();
        tokio::spawn(async move {
            if let Ok(status) = child.wait().await {
                // Nobody listens any more when the master is at its end.
                let _ = events.send(Event::Exited(pid, status));
            }
        });
        Ok(pid)
    }

    /// Whether it was the new program that ended: this one goes on as if nothing had happened.
    pub(super) fn new_binary_exited(&mut self, pid: u32, status: ExitStatus) -> bool {
        if self.upgrade.pid != Some(pid) {
            return false;
        }
        self.upgrade.pid = None;
        let level = if status.success() { Severity::Notice } else { Severity::Alert };
        self.log(level, &format!("new binary process {pid} exited with {status}"));
        self.take_pid_file_back();
        // It may have been told to drain meanwhile (WINCH).
        if self.workers.iter().all(|worker| worker.leaving) {
            self.restart();
        }
        true
    }

    fn take_pid_file_back(&mut self) {
        let aside = self.pid_file.0.clone();
        let path = aside.with_extension("");
        match std::fs::rename(&aside, &path) {
            Ok(()) => self.pid_file.0 = path,
            Err(error) => {
                let why = nginx_conf::errno(&error);
                let (from, to) = (aside.display(), path.display());
                let text = format!(
                    "rename() {from} back to {to} failed ({why}) after an attempt to execute new \
                     binary process"
                );
                self.log(Severity::Alert, &text);
            }
        }
    }
}

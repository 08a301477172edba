//! Reading the configuration again, and handing it to the role.

use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use daemon::log::Severity;
use tokio::sync::oneshot;
use vrrp::config::Globals;

use super::{Supervisor, surroundings};
use crate::configuration::{self, Loaded};
use crate::report::{self, Packed};

/// How far a reload has come.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// A thread reads.
    reading: Option<oneshot::Receiver<Read>>,
    /// The role has it, and has not yet said what it thinks of it.
    offered: Option<(Packed, Globals)>,
    /// It is the role alone that got the signal.
    for_role: bool,
    /// Another reload was asked for meanwhile.
    again: bool,
}

/// A configuration, and the same for a role.
#[derive(Debug)]
pub(super) struct Read {
    loaded: Loaded,
    packed: std::io::Result<Packed>,
}

impl Reading {
    /// Waits for what is being read, or for ever. `None` if it could not be read, beyond words.
    /// Cancelling loses nothing.
    pub(super) async fn done(&mut self) -> Option<Read> {
        let Some(receiver) = &mut self.reading else { return std::future::pending().await };
        let read = receiver.await.ok();
        self.reading = None;
        read
    }

    fn is_busy(&self) -> bool {
        self.reading.is_some() || self.offered.is_some()
    }
}

impl Supervisor<'_> {
    pub(super) fn begin_reload(&mut self) {
        if self.reading.is_busy() {
            self.log.info("Reload already in progress, request queued");
            self.reading.again = true;
            return;
        }
        self.log.info("Reloading ...");
        self.notifier.reloading();
        self.reading.for_role = false;
        self.read();
    }

    /// The role got the signal itself, and says so.
    pub(super) fn read_for_role(&mut self) {
        if self.reading.is_busy() {
            self.reading.again = true;
            return;
        }
        self.reading.for_role = true;
        self.read();
    }

    fn read(&mut self) {
        let (sender, receiver) = oneshot::channel();
        let options = self.options.clone();
        let given = self.notices.clone();
        let thread = thread::Builder::new().name("configuration".into()).spawn(move || {
            let mut loaded = configuration::load(&options);
            loaded.leave_out(&given);
            let packed = report::pack(&loaded);
            // If it panics, the receiver notices that the sender is gone.
            let _ = sender.send(Read { loaded, packed });
        });
        match thread {
            Ok(_) => self.reading.reading = Some(receiver),
            Err(error) => {
                let line = format_args!("no thread to read the configuration: {error}");
                self.log.write(Severity::Error, line);
                self.refuse();
            }
        }
    }

    /// Hands what was read to the role, if it is of any use. Returns after how long a role is to be
    /// started, if there is none and that could not be now.
    pub(super) fn have_read(&mut self, read: Option<Read>) -> Option<Duration> {
        let read = read.context("the configuration could not be read");
        let (mut loaded, packed) = match read.and_then(|read| Ok((read.loaded, read.packed?))) {
            Ok(read) => read,
            Err(error) => {
                self.log.write(Severity::Error, format_args!("{error:#}"));
                self.refuse();
                return None;
            }
        };
        loaded.log_files_to(self.log, self.options.detail);
        if loaded.exit.is_some() {
            loaded.log_to(self.log);
            self.refuse();
            return None;
        }
        self.notices.append(&mut loaded.advice());
        let nothing_to_do = loaded.is_empty() || self.options.only_checkers;
        let globals = std::mem::take(&mut loaded.config.globals);
        for line in surroundings::unchangeable(&self.globals.process, &globals.process) {
            self.log.info(line);
        }
        match &self.role {
            Some(role) => {
                role.orders.hand_over(&packed);
                self.reading.offered = Some((packed, globals));
            }
            None => {
                self.take(packed, globals);
                if nothing_to_do {
                    self.say_reloaded();
                } else {
                    // There was nothing to run until now.
                    let delay = self.start_role_or_retry();
                    self.next_reload();
                    return delay;
                }
            }
        }
        None
    }

    /// The role, which was to judge what it was handed, is no more: the next one gets what worked.
    pub(super) fn abandon(&mut self) {
        if self.reading.offered.take().is_some() {
            self.refuse();
        }
    }

    /// Goes on as before.
    fn refuse(&mut self) {
        self.log.write(Severity::Error, configuration::KEPT);
        self.kept();
    }

    /// The role runs by what it was handed.
    pub(super) fn reloaded(&mut self) {
        if let Some((packed, globals)) = self.reading.offered.take() {
            self.take(packed, globals);
        }
        self.say_reloaded();
    }

    fn take(&mut self, packed: Packed, globals: Globals) {
        self.current = packed;
        self.globals = globals;
    }

    fn say_reloaded(&mut self) {
        if !self.reading.for_role {
            self.log.info("Reload complete");
        }
        self.notifier.ready(std::process::id());
        self.next_reload();
    }

    /// The role would not have it.
    pub(super) fn kept(&mut self) {
        self.reading.offered = None;
        self.notifier.ready(std::process::id());
        self.next_reload();
    }

    pub(super) fn next_reload(&mut self) {
        if std::mem::take(&mut self.reading.again) {
            self.begin_reload();
        }
    }
}

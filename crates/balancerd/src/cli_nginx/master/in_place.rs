//! A reload that changes the worker that serves.

use std::os::unix::net::UnixStream;

use conf::outside::{self, Answers};
use nginx_conf::{Loaded, Options};
use proxy::Severity;
use tokio::time::{Duration, Instant};

use super::{Master, Serving, spawn};
use crate::cli_nginx::handover::Handover;
use crate::workers::line::{self, Answer};

/// How long a worker may take to go over to another configuration.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked about, for the worker to be told: the files the master has read.
const HANDOVER: (&str, &str) = ("handover", "nginx.conf");

/// A configuration the worker was told to go over to.
pub(super) struct Asked {
    serving: Serving,
    pid: u32,
    until: Instant,
}

impl Asked {
    /// When it should have been answered.
    pub(super) const fn until(&self) -> Instant {
        self.until
    }
}

/// Reads the configuration and keeps what it takes to read it again elsewhere.
pub(super) fn load(file: &std::path::Path, options: &Options) -> (Loaded, Handover, Answers) {
    let read = || {
        let loaded = crate::cli_nginx::load(file, options);
        let handover = Handover::of(&loaded, file, options);
        // Only noted: that it is known here already is of no consequence.
        let _ = outside::ask(HANDOVER.0, HANDOVER.1, || Ok(handover.to_bytes()));
        (loaded, handover)
    };
    let ((loaded, handover), answers) = outside::recorded(read);
    (loaded, handover, answers)
}

/// A worker's side: reads what its master has read. `superuser`: whether the process began with
/// root's rights, which it may have given up since.
pub(in crate::cli_nginx) fn read(superuser: bool) -> Result<proxy::Config, String> {
    let missing = || Err(std::io::ErrorKind::NotFound.into());
    let bytes = outside::ask(HANDOVER.0, HANDOVER.1, missing).map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&bytes);
    let Some(Handover { file, mut options }) = Handover::parse(&text) else {
        return Err("the configuration handed over is broken".to_owned());
    };
    options.lookups.superuser = superuser;
    let loaded = nginx_conf::load(&file, &options);
    if loaded.is_ok() {
        Ok(loaded.config)
    } else {
        Err("the worker reads something else".to_owned())
    }
}

impl Master {
    /// Tells the worker that serves to go over to `serving`; what cannot be told comes back.
    pub(super) fn ask(&mut self, serving: Serving, answers: &Answers) -> Option<Serving> {
        if !line::in_place_is_wanted() {
            return Some(serving);
        }
        let serves = |worker: &&super::Worker| worker.ready && !worker.leaving;
        let Some(worker) = self.workers.iter().find(serves) else { return Some(serving) };
        let told = tell(&worker.line, &serving, &self.serving, answers);
        if told.is_err() {
            return Some(serving);
        }
        self.asked = Some(Asked { serving, pid: worker.pid, until: Instant::now() + PATIENCE });
        None
    }

    /// The worker has gone over to it, or says why not.
    pub(super) fn answered(&mut self, pid: u32, answer: Answer) {
        let Some(asked) = self.asked.take_if(|asked| asked.pid == pid) else { return };
        match answer {
            Ok(told) => {
                self.serve(asked.serving);
                self.log(Severity::Notice, &format!("changed in place: {told}"));
                self.notifier.ready(std::process::id());
                self.reload_if_asked();
            }
            Err(why) => self.instead(asked, &why),
        }
    }

    /// The worker has had its time.
    pub(super) fn overdue(&mut self) {
        if let Some(asked) = self.asked.take() {
            self.instead(asked, "the worker does not answer");
        }
    }

    /// The worker died of it: whether that was so.
    pub(super) fn died_of_it(&mut self, pid: u32) -> bool {
        let Some(asked) = self.asked.take_if(|asked| asked.pid == pid) else { return false };
        self.instead(asked, "the worker is gone");
        true
    }

    /// A new worker for what the one that serves cannot go over to.
    fn instead(&mut self, asked: Asked, why: &str) {
        self.log(Severity::Notice, &format!("not changed in place: {why}"));
        if self.start_for(asked.serving).is_none() {
            self.notifier.ready(std::process::id());
        }
    }

    /// Starts a worker that is to take the place of the one that serves.
    pub(super) fn start_for(&mut self, serving: Serving) -> Option<()> {
        match spawn(&serving, self.notes.as_ref(), &self.events) {
            Ok(worker) => {
                self.log(Severity::Notice, &format!("start worker process {}", worker.pid));
                self.pending = Some((serving, worker.pid));
                self.workers.push(worker);
                Some(())
            }
            Err(error) => {
                self.log(Severity::Alert, &error);
                None
            }
        }
    }
}

fn tell(
    line: &UnixStream,
    next: &Serving,
    now: &Serving,
    answers: &Answers,
) -> std::io::Result<()> {
    let fresh = line::fresh(&next.listeners, &now.listeners)?;
    line::send(line, answers, &fresh)
}

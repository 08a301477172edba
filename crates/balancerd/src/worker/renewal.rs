//! Going over to another configuration in the same process.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;

use proxy::in_place::{self, BindPlace};
use proxy::{Backend, Config, Running};
use rules::list::List;
use tokio::sync::mpsc;

use super::posts::Renewal;
use super::{Worker, shares};
use crate::bind::Bound;
use crate::control;
use crate::health::{self, Board};
use crate::privilege;
use crate::state::Shared;

/// When what former configurations left behind takes more than so many bytes, the next one is for
/// a new process: it begins with none.
const MOST_KEPT: usize = 32 << 20;

/// A configuration to go over to.
pub(crate) struct Order {
    pub(crate) config: Config,
    /// The sockets of its addresses that are new.
    pub(crate) sockets: Vec<Bound>,
    /// Is told what has changed, or why it is for a new process.
    pub(crate) answer: Box<dyn FnOnce(Result<String, String>) + Send>,
}

impl Worker {
    /// Carries out an order and answers it. Runs in a [`LocalSet`](tokio::task::LocalSet).
    pub(super) async fn follow(&mut self, order: Order, foreground: bool) {
        let Order { config, sockets, answer } = order;
        answer(self.go_over(config, sockets, foreground).await);
    }

    /// Goes over to another configuration. Sessions go on; whoever connects meanwhile waits for an
    /// accept as always. Returns once no thread serves the configuration before to anybody new.
    ///
    /// # Errors
    ///
    /// Why it cannot; nothing has changed then.
    pub(crate) async fn go_over(
        &mut self,
        config: Config,
        opened: Vec<Bound>,
        foreground: bool,
    ) -> Result<String, String> {
        let old = self.shared;
        if let Some(why) = in_place::obstacle(&old.config, &config) {
            return Err(why.to_owned());
        }
        if old.kept_bytes() > MOST_KEPT {
            return Err("this process has gone over often enough".to_owned());
        }
        if !self.has_threads_for(&config) {
            return Err("datagrams are new to this process".to_owned());
        }
        let known = networks(&old.config.backends);
        if !networks(&config.backends).is_subset(&known) {
            return Err("a network namespace has to be opened".to_owned());
        }
        if !Board::covers(&config) {
            return Err("certificates have to be read".to_owned());
        }
        let running = Running::new(config, Some(&old.config));
        let told = in_place::told(&old.config, &running);
        // Patterns that were changed by hand are what the files say again.
        let changed = old.config.patterns.iter().any(|list| list.is_changed());
        if running == old.config && opened.is_empty() && !changed {
            drop(running);
            linux::process::trim_heap();
            return Ok(told);
        }
        let mut moves = in_place::moves(&old.config.frontends, &running.frontends);
        // A path that was removed, and listened on anew.
        moves.retain(|_, to| !opened.iter().any(|one| (one.frontend, one.bind) == *to));
        let opened = self.deal(opened, &running).map_err(|error| error.to_string())?;
        let maxconn = self.make_room(&running)?;
        let next = old.after(running).map_err(|obstacle| {
            // Nothing has changed then.
            old.process.resize(maxconn);
            obstacle.to_string()
        })?;
        List::succeed(&old.config.patterns, &next.config.patterns);
        self.succeed(next, moves, opened, foreground).await;
        Ok(told)
    }

    /// Serves a configuration from here on; nothing stands in its way any more. `opened` are the
    /// new sockets of each thread.
    pub(super) async fn succeed(
        &mut self,
        next: Shared,
        moves: HashMap<BindPlace, BindPlace>,
        opened: Vec<Vec<Bound>>,
        foreground: bool,
    ) {
        let old = self.shared;
        let next: &'static Shared = Box::leak(Box::new(next));
        let board = Box::leak(Box::new(self.board.after(&old.config, &next.config)));
        let retired = std::mem::replace(&mut self.board, board);
        next.publish(self.board);
        crate::http::know(next, self.board);
        self.followers.end();
        self.followers = control::Followers::of(next, self.board);
        retired.retire();
        old.retire();
        self.shared = next;
        tokio::task::spawn_local(health::run(next, self.board, foreground));
        let (done, mut under_way) = mpsc::channel(1);
        let moves = Arc::new(moves);
        for ((_, told), opened) in self.told.iter().zip(opened) {
            let (moves, done) = (Arc::clone(&moves), done.clone());
            // A thread that is gone serves nobody.
            let _ = told.send(Renewal { shared: next, moves, opened, done });
        }
        drop(done);
        while under_way.recv().await.is_some() {}
        linux::process::trim_heap();
    }

    /// Lets as many connections in as a configuration says, if that is another number than before;
    /// how many it was.
    ///
    /// # Errors
    ///
    /// That many may not be open here.
    fn make_room(&self, next: &Running) -> Result<(u32, u32), String> {
        let (gate, process) = (&self.shared.process, &next.process);
        if process.maxconn == self.shared.config.process.maxconn {
            return Ok((gate.limit(), gate.highest()));
        }
        let limit = crate::state::maxconn(process, self.shared.threads.len());
        let files = process.nofile.unwrap_or(0).max(u64::from(limit) * 2 + 200);
        if limit > gate.highest() && privilege::raise_open_files(files) < files {
            return Err("so many connections need more open files than there may be".to_owned());
        }
        Ok(gate.resize((limit, limit)))
    }

    /// Deals new sockets out to the threads, in their order.
    fn deal(&self, opened: Vec<Bound>, config: &Running) -> io::Result<Vec<Vec<Bound>>> {
        let udp = |one: &Bound| config.frontends[one.frontend].binds[one.bind].udp;
        let (datagrams, streams): (Vec<_>, Vec<_>) = opened.into_iter().partition(udp);
        let count = |kind| self.told.iter().filter(|(datagrams, _)| *datagrams == kind).count();
        let dealt = |kind, sockets| match count(kind) {
            0 => Ok(Vec::new().into_iter()),
            threads => shares(sockets, threads, udp).map(Vec::into_iter),
        };
        let (mut datagrams, mut streams) = (dealt(true, datagrams)?, dealt(false, streams)?);
        let next = |(kind, _): &(bool, _)| {
            if *kind { datagrams.next() } else { streams.next() }.unwrap_or_default()
        };
        Ok(self.told.iter().map(next).collect())
    }

    /// Whether there are threads for the datagrams of a configuration.
    fn has_threads_for(&self, config: &Config) -> bool {
        let mut binds = config.frontends.iter().flat_map(|frontend| &frontend.binds);
        self.told.iter().any(|(datagrams, _)| *datagrams) || !binds.any(|bind| bind.udp)
    }
}

/// The network namespaces servers are in.
fn networks<B: AsRef<Backend>>(backends: &[B]) -> BTreeSet<String> {
    let servers = backends.iter().flat_map(|backend| &backend.as_ref().servers);
    servers.filter_map(|server| server.outbound.as_ref()?.namespace.clone()).collect()
}

#[cfg(test)]
mod tests;

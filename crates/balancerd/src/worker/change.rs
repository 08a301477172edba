//! A change of what is served that an operator asked for: as a reload in place, of one part.

use proxy::{Running, in_place};
use tokio::sync::{mpsc, oneshot};

use super::Worker;
use crate::health::Board;
use crate::state::Shared;

/// Where changes are sent to be carried out, one after the other.
pub(crate) type Changes = mpsc::UnboundedSender<Change>;

/// What makes the next configuration of what is served, and what to say then; or says why not.
type Make = Box<dyn FnOnce(&Shared, &Board) -> Result<(Running, String), String> + Send>;

/// A change, and who is told.
pub(crate) struct Change {
    make: Make,
    answer: oneshot::Sender<Result<String, String>>,
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Change")
    }
}

impl Change {
    /// A change, and where its outcome is told.
    pub(crate) fn new(
        make: impl FnOnce(&Shared, &Board) -> Result<(Running, String), String> + Send + 'static,
    ) -> (Self, oneshot::Receiver<Result<String, String>>) {
        let (answer, told) = oneshot::channel();
        (Self { make: Box::new(make), answer }, told)
    }
}

impl Worker {
    /// Carries a change out, and says so once it is served. Runs in a
    /// [`LocalSet`](tokio::task::LocalSet).
    pub(super) async fn change(&mut self, change: Change, foreground: bool) {
        let Change { make, answer } = change;
        let outcome = match make(self.shared, self.board) {
            Err(why) => Err(why),
            Ok((running, said)) => {
                let moves = in_place::moves(&self.shared.config.frontends, &running.frontends);
                match self.shared.after(running) {
                    Err(obstacle) => Err(format!("{obstacle}\n")),
                    Ok(next) => {
                        let opened = self.told.iter().map(|_| Vec::new()).collect();
                        self.succeed(next, moves, opened, foreground).await;
                        Ok(said)
                    }
                }
            }
        };
        // Who asked may be gone by now.
        let _ = answer.send(outcome);
    }
}

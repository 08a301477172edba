//! Rules that look at a client's first bytes: they wait for them, and for answers.

use std::io::Read as _;
use std::time::Duration;

use proxy::{Cause, Termination};
use relay::timer::{self, Millis};
use rules::{Question, Rule, Scope, Value, Verdict, Waiting, run};

use super::{AT_ONCE, MOST, Noted, REJECTED};
use crate::backend::Connecting;
use crate::prepare::Ahead;
use crate::resolver::named;

impl Connecting {
    /// Rules that may look at the client's first bytes, and wait for them.
    pub(super) async fn inspect(
        &mut self,
        rules: &'static [Rule],
        delay: Option<Duration>,
    ) -> Result<(), Termination> {
        if rules.is_empty() {
            return Ok(());
        }
        let until = delay.map(|delay| timer::now() + crate::facts::millis(delay));
        // A client that is silent for too long has ended, as far as rules are concerned.
        let patience = self.session.client_deadline().unwrap_or(Millis::MAX / 2);
        let wanted = rules.iter().any(Rule::reads_request);
        let mut ended = self.noted().ended || !self.glance(wanted);
        if until.is_none() && wanted && !ended {
            self.linger().await;
        }
        loop {
            let expired = until.is_none_or(|until| timer::now() >= until);
            let held = self.session.extra.as_ref().map_or(0, |extra| extra.first.len());
            let complete = ended || held >= MOST;
            let last = complete || expired;
            let verdict = self.session.judge(Some(&self.client), |view, first, record| {
                let request = Some(Waiting { bytes: first, complete: last });
                run(rules, &Scope { request, last, ..view.scope() }, record)
            });
            self.session.readdress(false);
            match verdict {
                Verdict::Accept => {
                    self.noted().ended |= ended;
                    return Ok(());
                }
                Verdict::Reject | Verdict::Close => {
                    self.session.traffic().http.denied_requests.add();
                    return Err(REJECTED);
                }
                Verdict::SilentDrop => {
                    self.session.silence(&self.client);
                    return Err(REJECTED);
                }
                Verdict::Wait => {}
            }
            if let Some(question) = self.noted().record.question.take() {
                self.look_up(*question, until.unwrap_or(Millis::MAX / 2).min(patience)).await;
                continue;
            }
            let until = until.unwrap_or(0).min(patience);
            let mut first = self.take_first();
            let room = MOST.saturating_sub(first.len());
            let ahead = self.ahead(&mut first, room, until).await;
            self.session.extra.get_or_insert_default().first = first;
            match ahead {
                Ahead::Bytes => self.noted().spoken = Some(timer::now()),
                Ahead::Ended => ended = true,
                Ahead::Late if timer::now() >= patience => {
                    (ended, self.noted().gone) = (true, Some(Cause::ClientTimeout));
                }
                Ahead::Late => {}
                Ahead::Broke => (ended, self.noted().gone) = (true, Some(Cause::Client)),
            }
        }
    }

    pub(super) fn noted(&mut self) -> &mut Noted {
        &mut self.session.extra.get_or_insert_default().rules
    }

    fn take_first(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.session.extra.get_or_insert_default().first)
    }

    /// Takes what has come already, if it is wanted. Whether more can come.
    pub(super) fn glance(&mut self, wanted: bool) -> bool {
        if !wanted {
            return true;
        }
        let mut first = self.take_first();
        let held = first.len();
        first.resize(MOST.max(held), 0);
        // Not by the runtime, which has not been told yet that there is something to read.
        let read = match self.client.is_layered() {
            true => self.client.try_read(&mut first[held..]),
            false => (&*socket2::SockRef::from(&self.client)).read(&mut first[held..]),
        };
        if matches!(read, Ok(1..)) {
            self.noted().spoken = Some(timer::now());
        }
        first.truncate(held + read.as_ref().copied().unwrap_or(0));
        first.shrink_to_fit();
        self.session.extra.get_or_insert_default().first = first;
        !matches!(read, Ok(0)) || held >= MOST
    }

    /// Gives a client that speaks at once the time to do so where rules look at its bytes and no
    /// `inspect-delay` says for how long: what it sent is there when HAProxy comes to its rules.
    pub(super) async fn linger(&mut self) {
        let mut first = self.take_first();
        if first.is_empty() {
            // Whatever comes of it: the rules run now.
            let _ = self.ahead(&mut first, MOST, timer::now() + AT_ONCE).await;
        }
        self.session.extra.get_or_insert_default().first = first;
    }

    /// Waits for an answer: until then, and not once the client is gone. What the client says
    /// meanwhile stays with the session.
    async fn look_up(&mut self, question: Question, until: Millis) {
        let mut first = self.take_first();
        let (mut ended, mut spoken, mut gone) = (false, None, None);
        let answer = {
            let mut asked = std::pin::pin!(named::address_of(self.session.shared, &question));
            loop {
                let room = MOST.saturating_sub(first.len());
                if ended || room == 0 {
                    let left = Duration::from_millis(until.saturating_sub(timer::now()));
                    break tokio::time::timeout(left, asked).await.ok().flatten();
                }
                let ahead = tokio::select! {
                    found = &mut asked => break found,
                    ahead = self.ahead(&mut first, room, until) => ahead,
                };
                match ahead {
                    Ahead::Bytes => spoken = Some(timer::now()),
                    Ahead::Ended => ended = true,
                    Ahead::Late => break None,
                    Ahead::Broke => {
                        gone = Some(Cause::Client);
                        break None;
                    }
                }
            }
        };
        let extra = self.session.extra.get_or_insert_default();
        extra.first = first;
        extra.rules.spoken = spoken.or(extra.rules.spoken);
        extra.rules.ended |= ended;
        extra.rules.gone = gone.or(extra.rules.gone);
        if let (Some(variable), Some(ip)) = (&question.variable, answer) {
            self.session.judge(None, |view, _, record| {
                record.set(variable, Some(Value::Ip(ip)), view.scope().environment.process());
            });
        }
    }
}

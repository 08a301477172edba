//! The laws of a server's standing, under any events.

use super::*;

/// Random events, the same ones every time.
struct Events(u64);

impl Events {
    fn draw(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % below
    }

    fn next(&mut self) -> Event {
        let outcome = [Outcome::Passed, Outcome::Failed, Outcome::Conditional, Outcome::Neutral]
            [self.draw(4) as usize];
        let operation =
            [Operation::Stopped, Operation::Running, Operation::Stopping][self.draw(3) as usize];
        let errors =
            [OnError::FastInter, OnError::FailCheck, OnError::SuddenDeath, OnError::MarkDown];
        match self.draw(12) {
            0..5 => Event::Checked(outcome),
            5 => Event::Agent(if outcome == Outcome::Conditional {
                Outcome::Failed
            } else {
                outcome
            }),
            6 => Event::Order([Order::Maint, Order::Drain, Order::Ready][self.draw(3) as usize]),
            7 => Event::Force(operation),
            8 => Event::Follow { operation, maint: self.draw(4) == 0, drain: self.draw(4) == 0 },
            9 => Event::Resolved(self.draw(3) > 0),
            10 => Event::Errors(errors[self.draw(4) as usize]),
            _ => Event::EnableCheck(self.draw(3) > 0),
        }
    }
}

#[test]
fn whatever_happens_the_laws_hold() {
    for seed in 0..300 {
        let mut events = Events(seed);
        let (rise, fall) = (1 + events.draw(4) as u32, 1 + events.draw(4) as u32);
        let agent = (events.draw(2) == 0).then(|| Health::new(1, 1));
        let mut server = Standing::new(Some(Health::new(rise, fall)), agent);
        for _ in 0..400 {
            let before = server;
            let event = events.next();
            let moves = server.handle(event);
            let told = alloc::format!("{event:?}: {before:?} -> {server:?} by {moves:?}");
            // Who errors of sessions are told of is never up because of them.
            if let Event::Errors(_) = event {
                assert!(!moves.contains(&Moved::Up), "{told}");
            }
            // In maintenance no check moves a server.
            if before.admin().is_maint()
                && matches!(event, Event::Checked(_) | Event::Agent(_) | Event::Errors(_))
            {
                assert_eq!(moves, [], "{told}");
            }
            // Every move is told, and only a move.
            if before.operation() != server.operation() {
                assert!(!moves.is_empty(), "{told}");
            }
            if moves.is_empty() && !before.admin().is_maint() {
                assert_eq!(before.admin().is_drain(), server.admin().is_drain(), "{told}");
                assert!(!server.admin().is_maint(), "{told}");
            }
            // A passed check does not make a server up that its agent or the one it tracks holds
            // down.
            if moves.contains(&Moved::Up) && matches!(event, Event::Checked(_)) {
                let held =
                    server.agent().is_some_and(|agent| agent.enabled && !agent.health.is_up());
                assert!(!held, "{told}");
            }
            // The counter stays where it belongs.
            let health = server.check().map(|watch| watch.health).unwrap();
            assert!(health.value() < rise + fall, "{told}");
            // It has words for every state.
            assert!(!server.status(&server, Some("be/x")).is_empty());
        }
    }
}

#[test]
fn rise_and_fall_are_exact() {
    for (rise, fall) in [(1, 1), (2, 3), (3, 2), (5, 1), (1, 5)] {
        let mut server = Standing::new(Some(Health::new(rise, fall)), None);
        assert_eq!(server.handle(Event::Checked(Outcome::Passed)), []);
        for step in 1..=fall {
            let moves = server.handle(Event::Checked(Outcome::Failed));
            assert_eq!(moves.contains(&Moved::Down), step == fall, "{step} of {fall}");
        }
        for step in 1..=rise {
            let moves = server.handle(Event::Checked(Outcome::Passed));
            assert_eq!(moves.contains(&Moved::Up), step == rise, "{step} of {rise}");
        }
    }
}

/// The course of HAProxy 2.6.12 with an agent: what it says, and the lines that follow.
#[test]
fn an_agent_moves_its_server_as_haproxys_does() {
    let mut server = Standing::new(Some(Health::new(2, 3)), Some(Health::new(1, 1)));
    server.handle(Event::Checked(Outcome::Passed));
    let up = server.status(&server, None);
    assert_eq!(up, "UP");
    assert_eq!(server.handle(Event::Order(Order::Drain)), [Moved::IntoDrain { forced: true }]);
    assert_eq!(server.status(&server, None), "DRAIN (agent)");
    let ready = Event::Order(Order::Ready);
    assert_eq!(server.handle(ready), [Moved::OutOfDrain { up: true, forced: true }]);
    let maint = Moved::IntoMaint { was_down: false, forced: true };
    assert_eq!(server.handle(Event::Order(Order::Maint)), [maint]);
    assert_eq!(server.status(&server, None), "MAINT");
    let back = Moved::OutOfMaint { up: true, drain: false, forced: true };
    assert_eq!(server.handle(ready), [back]);
    assert_eq!(server.status(&server, None), "UP 1/3");
    server.handle(Event::Checked(Outcome::Passed));
    assert_eq!(server.handle(Event::Agent(Outcome::Failed)), [Moved::Down]);
    assert_eq!(server.status(&server, None), "DOWN (agent)");
    assert_eq!(server.handle(Event::Checked(Outcome::Passed)), [], "the agent holds it down");
    assert_eq!(server.handle(Event::Agent(Outcome::Passed)), [Moved::Up]);
}

#[test]
fn a_404_stops_a_server_and_a_200_brings_it_back() {
    let mut server = Standing::new(Some(Health::new(2, 3)), None);
    server.handle(Event::Checked(Outcome::Passed));
    assert_eq!(server.handle(Event::Checked(Outcome::Conditional)), [Moved::Stopping]);
    assert_eq!(server.status(&server, None), "NOLB");
    assert_eq!(server.handle(Event::Checked(Outcome::Failed)), []);
    assert_eq!(server.status(&server, None), "NOLB 2/3");
    assert_eq!(server.handle(Event::Checked(Outcome::Passed)), [Moved::Up]);
}

#[test]
fn errors_of_sessions_count_in_a_row() {
    let mut errors = Errors::new(2, OnError::MarkDown);
    assert_eq!(errors.note(false), None);
    assert_eq!(errors.note(true), None);
    assert_eq!(errors.note(false), None);
    let (how, words) = errors.note(false).unwrap();
    assert_eq!(how, OnError::MarkDown);
    assert_eq!(words, "Detected 2 consecutive errors, last one was: L4 unsuccessful connection");
    let mut server = Standing::new(Some(Health::new(2, 3)), None);
    server.handle(Event::Checked(Outcome::Passed));
    assert_eq!(server.handle(Event::Errors(OnError::SuddenDeath)), []);
    assert_eq!(server.status(&server, None), "UP 1/3");
    assert_eq!(server.handle(Event::Errors(how)), [Moved::Down]);
}

#[test]
fn init_state_decides_how_many_checks_it_takes() {
    let begin = |state| Standing::new(Some(Health::new(2, 3).starting(state)), None);
    let mut server = begin(InitState::Down);
    assert_eq!(server.operation(), Operation::Stopped);
    assert_eq!(server.handle(Event::Checked(Outcome::Passed)), [Moved::Up]);
    let mut server = begin(InitState::FullyDown);
    assert_eq!(server.handle(Event::Checked(Outcome::Passed)), []);
    assert_eq!(server.handle(Event::Checked(Outcome::Passed)), [Moved::Up]);
    let mut server = begin(InitState::FullyUp);
    assert_eq!(server.handle(Event::Checked(Outcome::Failed)), []);
}

/// What HAProxy 2.6.12 made of each line.
#[test]
fn an_agents_line_is_read_as_by_haproxy() {
    let info = |line: &[u8]| {
        let verdict = agent::read(line).verdict(None);
        (verdict.status.name(), verdict.info)
    };
    let cases: [(&[u8], &str, &str); 8] = [
        (b"UP\n", "L7OK", "via agent : UP"),
        (b"Down#x\n", "CHECKED", "agent reports an error : Down#x"),
        (b"stopped # y z\n", "L7STS", "via agent : stopped (y z)"),
        (b"50\n", "CHECKED", "agent reports an error : 50"),
        (b"fail,up\n", "L7OK", "via agent : up"),
        (b"up 50%,drain\n", "L7OK", "via agent : up"),
        (b"\n", "CHECKED", ""),
        (b"ready up", "L7OK", "via agent : up"),
    ];
    for (line, status, words) in cases {
        assert_eq!(info(line), (status, words.into()), "{}", line.escape_ascii());
    }
    assert_eq!(agent::read(b"50%x").weight.as_deref(), Some("50%x"));
}

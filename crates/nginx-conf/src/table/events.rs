//! `events {}`.

use conf::Form::Words;
use conf::Status::Accepted;
use conf::{Binder, Keyword, Problem, Word};

use super::IN_EVENTS;
use crate::draft::Events;
use crate::value::{check_flag, check_millis, check_number, digits, flag};

type Row = Keyword<Events>;

/// The directives.
pub(crate) const EVENTS: &[Row] = &[
    Row::new("accept_mutex", Words("on|off", 1..=1, |_, w, b| check_flag(w, b)))
        .default("off")
        .within(IN_EVENTS)
        .status(Accepted("the kernel spreads connections"))
        .doc("Workers take turns at accepting."),
    Row::new("accept_mutex_delay", Words("<time>", 1..=1, |_, w, b| check_millis(w, b)))
        .default("500ms")
        .within(IN_EVENTS)
        .status(Accepted("the kernel spreads connections"))
        .doc("How long a worker waits for its turn."),
    Row::new("debug_connection", Words("<address>", 1..=1, |_, w: &[Word], b: &mut Binder| {
        let at = w.first().map_or_else(Default::default, |word| word.span);
        let message = "\"debug_connection\" is ignored, you need to rebuild nginx using \
                       --with-debug option to enable it";
        b.warning(at, Problem::Other(message.to_owned()));
    }))
    .within(IN_EVENTS)
    .status(Accepted("there are no debug messages, as in nginx built without them"))
    .doc("Debug messages for some clients only."),
    Row::new("epoll_events", Words("<number>", 1..=1, |_, w, b| check_number(w, b)))
        .default("512")
        .within(IN_EVENTS)
        .status(Accepted("the runtime chooses how many events one wait returns"))
        .doc("How many events one wait returns."),
    Row::new("multi_accept", Words("on|off", 1..=1, |e, w, b| flag(&mut e.multi_accept, w, b)))
        .default("off")
        .within(IN_EVENTS)
        .status(Accepted("pending connections are accepted one after another either way"))
        .doc("Whether all pending connections are accepted at once."),
    Row::new("use", Words("<method>", 1..=1, method))
        .default("epoll")
        .within(IN_EVENTS)
        .doc("The event method. There is one: epoll."),
    Row::new("worker_aio_requests", Words("<number>", 1..=1, |_, w, b| check_number(w, b)))
        .default("32")
        .within(IN_EVENTS)
        .status(Accepted("a stream reads no files"))
        .doc("Outstanding asynchronous file operations of a worker."),
    Row::new("worker_connections", Words("<number>", 1..=1, worker_connections))
        .within(IN_EVENTS)
        .doc(
            "Connections of one worker: each listening socket takes one, the master one, a session two. Who comes \
             when there is none left is closed, with nginx's line at level `alert`. Without it the limit of \
             open files decides.",
        ),
];

fn method(_: &mut Events, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    if word.text != "epoll" {
        b.error(word.span, Problem::Other(format!("invalid event type \"{}\"", word.text)));
    }
}

fn worker_connections(events: &mut Events, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else { return };
    match digits(&word.text) {
        Some(number) => events.connections = Some(number),
        None => {
            b.error(word.span, Problem::Other(format!("invalid number \"{}\"", word.text)));
        }
    }
}

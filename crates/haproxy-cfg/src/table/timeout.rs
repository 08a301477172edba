//! `timeout …`.

use std::time::Duration;

use conf::Form::Words;
use conf::{Binder, Keyword, Status, Unit, Word};

use super::{CLIENT, PROXY, SERVER, text};
use crate::draft::Draft;
use crate::number::bind_time;
use crate::say::Complain;

type P = Keyword<Draft>;

const ALL: usize = usize::MAX;
/// The timeouts of a proxy.
pub(crate) const TABLE: &[P] = &[
    P::new("timeout", Words("<event> <time>", 0..=ALL, |_, w, b| {
        let got = text(w, 0);
        let span = w.first().map_or_else(conf::Span::default, |w| w.span);
        b.refuse(span, format!("'timeout' supports 'client', 'server', 'connect', 'check', 'queue', 'handshake', 'http-keep-alive', 'http-request', 'tunnel', 'tarpit', 'client-fin' and 'server-fin' (got '{got}')"));
    }))
    .within(PROXY)
    .doc("See the rows of the single timeouts."),
    P::new("timeout check", Words("<time>", 0..=ALL, |p, w, b| {
        set(b, "timeout check", w, &mut p.check_timeout);
    }))
    .within(SERVER)
    .doc("Time for the answer to a check, once connected."),
    P::new("timeout client", Words("<time>", 0..=ALL, |p, w, b| {
        set(b, "timeout client", w, &mut p.front.client_timeout);
    }))
    .within(CLIENT)
    .doc("How long a client may say nothing."),
    P::new("timeout client-fin", Words("<time>", 0..=ALL, |p, w, b| {
        set(b, "timeout client-fin", w, &mut p.front.client_fin_timeout);
    }))
    .within(CLIENT)
    .doc("Instead of it once the client's direction is half closed."),
    P::new("timeout client-hs", Words("<time>", 0..=ALL, |_, w, b| check(b, "timeout client-hs", w)))
        .within(CLIENT)
        .status(Status::Accepted("clients have no handshake: TLS is not terminated yet")),
    P::new("timeout connect", Words("<time>", 0..=ALL, |p, w, b| {
        set(b, "timeout connect", w, &mut p.back.connect_timeout);
    }))
    .within(SERVER)
    .doc("How long connecting to a server may take."),
    P::new("timeout http-keep-alive", Words("<time>", 0..=ALL, |p, w, b| {
        set(b, "timeout http-keep-alive", w, &mut p.http.model.keep_alive_timeout);
    }))
    .within(PROXY)
    .doc("How long a client may wait with its next request; `timeout http-request` if absent."),
    P::new("timeout http-request", Words("<time>", 0..=ALL, |p, w, b| {
        set(b, "timeout http-request", w, &mut p.http.model.request_timeout);
    }))
    .within(PROXY)
    .doc("How long a request's head may take; `timeout client` if absent."),
    P::new("timeout queue", Words("<time>", 0..=ALL, |p, w, b| {
        set(b, "timeout queue", w, &mut p.back.queue_timeout);
    }))
    .within(SERVER)
    .doc("How long a connection may wait for a free server; `timeout connect` if absent."),
    P::new("timeout server", Words("<time>", 0..=ALL, |p, w, b| {
        set(b, "timeout server", w, &mut p.back.server_timeout);
    }))
    .within(SERVER)
    .doc("How long a server may say nothing."),
    P::new("timeout server-fin", Words("<time>", 0..=ALL, |p, w, b| {
        set(b, "timeout server-fin", w, &mut p.back.server_fin_timeout);
    }))
    .within(SERVER)
    .doc("Instead of it once the server's direction is half closed."),
    P::new("timeout tarpit", Words("<time>", 0..=ALL, |p, w, b| {
        set(b, "timeout tarpit", w, &mut p.http.model.tarpit_timeout);
    }))
    .within(PROXY)
    .doc("How long `tarpit` waits; `timeout connect` if absent."),
    P::new("timeout tunnel", Words("<time>", 0..=ALL, |p, w, b| {
        set(b, "timeout tunnel", w, &mut p.back.tunnel_timeout);
    }))
    .within(SERVER)
    .doc("Replaces client and server timeouts once data went both ways."),
];

fn check(b: &mut Binder, name: &str, words: &[Word]) {
    set(b, name, words, &mut None);
}

/// A time; zero is no limit.
fn set(b: &mut Binder, name: &str, words: &[Word], target: &mut Option<Duration>) {
    let Some(word) = words.first() else {
        let text = format!("'{name}' expects an integer value (in milliseconds)");
        b.refuse(conf::Span::default(), text);
        return;
    };
    if let Some(extra) = words.get(1) {
        let text = format!(
            "'{name}' : unexpected extra argument '{}' after value '{}'.",
            extra.text, word.text
        );
        b.refuse(extra.span, text);
        return;
    }
    if let Some(time) = bind_time(b, word, Unit::Millis, name, |c| {
        format!("unexpected character '{c}' in '{name}'")
    }) {
        *target = Some(time).filter(|time| !time.is_zero());
    }
}

//! `stats …` of a proxy: the statistics page.

use conf::Form::Words;
use conf::{Binder, Keyword, Severity, Span, Unit, Within, Word};
use rules::Place;

use super::http_rules::{rule, when};
use super::tcp_rules::Family;
use super::{PROXY, text};
use crate::draft::{Draft, StatsDraft};
use crate::number::bind_time;
use crate::say::{Complain, TIGHT};

type P = Keyword<Draft>;

const ALL: usize = usize::MAX;
const NAMED: Within = Within(PROXY.0 & !1);

type Set = fn(&mut StatsDraft, &[Word], &mut Binder);

/// A setting of the statistics page.
const fn stats(
    name: &'static str,
    usage: &'static str,
    set: fn(&mut Draft, &[Word], &mut Binder),
) -> P {
    P::new(name, Words(usage, 0..=ALL, set)).within(PROXY)
}

/// Any setting turns the page on, as `stats enable` does.
fn with(p: &mut Draft, words: &[Word], b: &mut Binder, set: Set) {
    set(p.http.stats.get_or_insert_default(), words, b);
}

fn missing(b: &mut Binder, words: &[Word], complaint: &str) -> bool {
    if text(words, 0).is_empty() {
        b.refuse(Span::default(), complaint);
        return true;
    }
    false
}

/// The statistics page.
pub(crate) const TABLE: &[P] = &[
    stats("stats admin", "if|unless <condition>", |p, w, b| {
        if !matches!(text(w, 0), "if" | "unless") {
            let text = "'stats admin' requires either 'if' or 'unless' followed by a condition.";
            b.refuse(Span::default(), text);
            return;
        }
        let places = &[Place::FrontendRequest, Place::BackendRequest];
        if let Some(Some(condition)) = when(p, "stats admin", places, w, b) {
            p.http.stats.get_or_insert_default().admin.push(condition);
        }
    })
    .within(NAMED)
    .doc("Whoever it holds for may change the state of servers."),
    stats("stats auth", "<user>:<password>", |p, w, b| {
        with(p, w, b, |stats, w, b| {
            if missing(b, w, "'auth' needs a user:password account.") {
                return;
            }
            let (user, password) = text(w, 0).split_once(':').unwrap_or((text(w, 0), ""));
            stats.model.users.push((user.to_owned(), password.to_owned()));
        });
    })
    .doc("A user who may look; without any, everybody may."),
    stats("stats enable", "", |p, w, b| with(p, w, b, |_, _, _| {}))
        .doc("The statistics page at its usual place."),
    stats("stats hide-version", "", |p, w, b| {
        with(p, w, b, |stats, _, _| stats.model.hide_version = true);
    })
    .doc("The page does not say which version it is."),
    stats("stats show-version", "", |p, w, b| {
        with(p, w, b, |stats, _, _| stats.model.hide_version = false);
    })
    .doc("The page says which version it is."),
    stats("stats http-request", "<action> [param…]", |p, w, b| {
        if let Some(rule) = rule(p, Family::Request, w, b) {
            p.http.stats.get_or_insert_default().rules.push(rule);
        }
    })
    .within(NAMED)
    .doc("Who may look: `allow`, `deny` or `auth`."),
    stats("stats realm", "<realm>", |p, w, b| {
        with(p, w, b, |stats, w, b| {
            if !missing(b, w, "'realm' needs an realm name.") {
                text(w, 0).clone_into(&mut stats.model.realm);
            }
        });
    })
    .doc("What browsers show when they ask for a password; `HAProxy Statistics` if absent."),
    stats("stats refresh", "<time>", |p, w, b| {
        with(p, w, b, |stats, w, b| {
            let Some(word) = w.first() else {
                b.refuse(Span::default(), "'refresh' needs a refresh interval (in seconds).");
                return;
            };
            let before = b.problems.len();
            let time = bind_time(b, word, Unit::Seconds, "stats refresh interval", |c| {
                format!("unexpected character '{c}' in argument to stats refresh interval.")
            });
            for problem in &mut b.problems[before..] {
                if problem.severity == Severity::Error {
                    TIGHT.clone_into(&mut problem.context);
                }
            }
            stats.model.refresh = time.filter(|time| !time.is_zero());
        });
    })
    .doc("After so long browsers load the page again."),
    stats("stats scope", "<proxy>", |p, w, b| {
        let own = p.name.clone();
        let name = match text(w, 0) {
            "." => own.as_str(),
            name => name,
        };
        if !missing(b, w, "'scope' needs a proxy name.") {
            p.http.stats.get_or_insert_default().model.scope.push(name.to_owned());
        }
    })
    .doc("Only these proxies are shown."),
    stats("stats show-desc", "[<text>]", |p, w, b| {
        with(p, w, b, |stats, w, _| {
            let words: Vec<_> = w.iter().map(|word| word.text.as_str()).collect();
            stats.model.description = Some(words.join(" "));
        });
    })
    .doc("A description at the top: the one of `global`, or this."),
    stats("stats show-legends", "", |p, w, b| {
        with(p, w, b, |stats, _, _| stats.model.legends = true);
    })
    .doc("Addresses, cookies and algorithms are shown."),
    stats("stats show-modules", "", |p, w, b| with(p, w, b, |_, _, _| {}))
        .status(conf::Status::Accepted("no module has counters of its own")),
    stats("stats show-node", "[<name>]", |p, w, b| {
        with(p, w, b, |stats, w, _| stats.model.node = Some(text(w, 0).to_owned()));
    })
    .doc("The machine's name at the top: the one of `global`, or this."),
    stats("stats uri", "<prefix>", |p, w, b| {
        with(p, w, b, |stats, w, b| {
            if !missing(b, w, "'uri' needs an URI prefix.") {
                text(w, 0).clone_into(&mut stats.model.uri);
            }
        });
    })
    .doc("What the page's address begins with; `/haproxy?stats` if absent."),
];

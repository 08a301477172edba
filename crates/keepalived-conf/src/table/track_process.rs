//! `vrrp_track_process NAME { … }`

use std::time::Duration;

use conf::{Binder, Form, Keyword, Place, Stmt, Word};
use vrrp::config::{ParamMatch, TrackProcessConfig};

use super::{closing, complain};
use crate::draft::TrackProcessDraft;
use crate::number::{decimal, signed, unsigned};

type Process = Keyword<TrackProcessDraft>;

const ONE: std::ops::RangeInclusive<usize> = 1..=usize::MAX;
const SOME: std::ops::RangeInclusive<usize> = 0..=usize::MAX;

/// A watched process.
pub(crate) const VRRP_TRACK_PROCESS: &[Process] = &[
    Process::new("process", Form::Words("<name> [<argument>…]", ONE, process))
        .doc("The process and its arguments."),
    Process::new("weight", Form::Whole("<-254..254> [reverse]", weight))
        .default("0")
        .doc("What it adds to the priority; at 0 its absence takes the instance out of the race."),
    Process::new("quorum", Form::Words("<1..65535>", ONE, quorum))
        .default("1")
        .doc("How many must run."),
    Process::new("quorum_max", Form::Words("<0..65535>", ONE, quorum_max))
        .doc("How many may run; any number unless set."),
    Process::new(
        "delay",
        Form::Words("<seconds>", ONE, |p, words, b| {
            if let Some(time) = delay(p, "", &words[0], b) {
                p.config.fork_delay = time;
                p.config.terminate_delay = time;
            }
        }),
    )
    .doc("How long changes are waited out, up to 3600."),
    Process::new(
        "fork_delay",
        Form::Words("<seconds>", ONE, |p, words, b| {
            p.config.fork_delay = delay(p, "fork_", &words[0], b).unwrap_or(p.config.fork_delay);
        }),
    )
    .doc("The same for starts."),
    Process::new(
        "terminate_delay",
        Form::Words("<seconds>", ONE, |p, words, b| {
            let time = delay(p, "terminate_", &words[0], b);
            p.config.terminate_delay = time.unwrap_or(p.config.terminate_delay);
        }),
    )
    .doc("The same for ends."),
    Process::new("full_command", Form::Flag(|p| p.config.full_command = true))
        .doc("Matches the whole command line, not the name of the process."),
    Process::new("param_match", Form::Words("initial|partial", SOME, param_match))
        .doc("How arguments match: all of them, unless set."),
];

/// Reads one block.
pub(crate) fn read(
    stmt: &Stmt,
    name: &Word,
    place: Place<'_>,
    b: &mut Binder,
) -> TrackProcessDraft {
    let mut draft = TrackProcessDraft {
        span: name.span,
        end: closing(stmt),
        config: TrackProcessConfig { name: name.owned(), ..TrackProcessConfig::default() },
        weight: None,
    };
    b.bind(VRRP_TRACK_PROCESS, place, stmt.body(), &mut draft);
    draft
}

fn process(draft: &mut TrackProcessDraft, words: &[Word], b: &mut Binder) {
    let name = &draft.config.name;
    if !draft.config.process.is_empty() {
        let text = &words[0].text;
        let said = format!("Process already set for track process {name} - ignoring {text}");
        complain(b, words[0].span, said);
        return;
    }
    // A command in quotes is split like one in none.
    let mut all = words.iter().flat_map(|w| w.text.split_whitespace().map(str::to_owned));
    draft.config.process = all.next().unwrap_or_default();
    draft.config.arguments = all.collect();
}

fn weight(draft: &mut TrackProcessDraft, stmt: &Stmt, b: &mut Binder) {
    let words = stmt.words.get(1..).unwrap_or_default();
    let name = &draft.config.name;
    let Some(word) = words.first() else {
        let said = format!("No weight specified for track process {name} - ignoring");
        complain(b, stmt.at(), said);
        return;
    };
    let text = &word.text;
    if draft.weight.is_some() {
        let said = format!("Weight already set for track process {name} - ignoring {text}");
        complain(b, word.span, said);
        return;
    }
    match signed(text, -254..=254) {
        Err(said) => {
            let said = format!(
                "{said}\nWeight ({text}) for vrrp_track_process {name} must be between [-254..254] inclusive. Ignoring..."
            );
            complain(b, word.span, said);
        }
        Ok(weight) => {
            match words.get(1) {
                None => {}
                Some(word) if word.text == "reverse" => draft.config.reverse = true,
                Some(word) => {
                    let said =
                        format!("vrrp_track_process {name} unknown weight option {}", word.text);
                    complain(b, word.span, said);
                    return;
                }
            }
            draft.weight = Some(weight);
        }
    }
}

fn quorum(draft: &mut TrackProcessDraft, words: &[Word], b: &mut Binder) {
    let (word, name) = (&words[0], &draft.config.name);
    match unsigned(&word.text, 1..=65_535) {
        Ok(quorum) if draft.config.quorum_max.is_some_and(|most| quorum > most) => {
            complain(b, word.span, "Quorum is greater than quorum_max - ignoring");
        }
        Ok(quorum) => draft.config.quorum = quorum,
        Err(said) => {
            let said = format!(
                "{said}\nQuorum ({}) for vrrp_track_process {name} must be between [1..65535] inclusive. Ignoring...",
                word.text
            );
            complain(b, word.span, said);
        }
    }
}

fn quorum_max(draft: &mut TrackProcessDraft, words: &[Word], b: &mut Binder) {
    let (word, name) = (&words[0], &draft.config.name);
    match unsigned(&word.text, 0..=65_535) {
        Ok(most) if most < draft.config.quorum => {
            complain(b, word.span, "quorum_max is less than quorum - ignoring");
        }
        Ok(most) => draft.config.quorum_max = Some(most),
        Err(said) => {
            let said = format!(
                "{said}\nquorum_max ({}) for vrrp_track_process {name} must be between [0..65535] inclusive. Ignoring...",
                word.text
            );
            complain(b, word.span, said);
        }
    }
}

fn delay(draft: &TrackProcessDraft, which: &str, word: &Word, b: &mut Binder) -> Option<Duration> {
    let (time, said) = decimal(&word.text, 1..=3_600_000_000);
    if let (None, Some(said)) = (time, said) {
        let (name, text) = (&draft.config.name, &word.text);
        let said = format!(
            "{said}\n{which}delay ({text}) for vrrp_track_process {name} must be between [0.000001..3600] inclusive. Ignoring..."
        );
        complain(b, word.span, said);
    }
    time
}

fn param_match(draft: &mut TrackProcessDraft, words: &[Word], b: &mut Binder) {
    match words.first().map(|w| (w, w.text.as_str())) {
        Some((_, "initial")) => draft.config.param_match = ParamMatch::Initial,
        Some((_, "partial")) => draft.config.param_match = ParamMatch::Partial,
        Some((word, text)) => {
            complain(b, word.span, format!("Invalid param_match type {text} - ignoring"));
        }
        None => draft.config.param_match = ParamMatch::Exact,
    }
}

//! The lines of `track_script` and `track_interface`.

use conf::{Binder, Stmt};
use vrrp::config::{TrackedInterface, TrackedScript};

use super::complain;
use crate::draft::InstanceDraft;
use crate::number::signed;

/// keepalived's sentences about what stands behind a tracked name.
struct TrackWords {
    no_value: fn(&str, &str) -> String,
    range: fn(&str, &str, &str) -> String,
    unknown: fn(&str, &str, &str) -> String,
    unknown_behind: fn(&str, &str, &str) -> String,
}

const SCRIPT_WORDS: TrackWords = TrackWords {
    no_value: |i, name| {
        format!("({i}) weight without value specified for track script {name} - ignoring")
    },
    range: |i, name, _| {
        format!(
            "({i}) track script {name}: weight must be between [-253..253] inclusive, ignoring..."
        )
    },
    unknown: |i, _, word| format!("({i}) unknown track script option {word} - ignoring"),
    unknown_behind: |i, name, word| {
        format!("({i}) unknown track_script {name} weight option {word} - ignoring")
    },
};

const INTERFACE_WORDS: TrackWords = TrackWords {
    no_value: |i, name| {
        format!("({i}) weight without value specified for track_interface {name} - ignoring")
    },
    range: |i, name, word| {
        format!("({i}) weight {word} for {name} must be between [-253..253] inclusive. Ignoring...")
    },
    unknown: |i, name, word| {
        format!("({i}) unknown track_interface {name} option {word} - ignoring")
    },
    unknown_behind: |i, name, word| {
        format!("({i}) unknown track_interface {name} weight option {word} - ignoring")
    },
};

/// Reads `NAME [weight N [reverse|noreverse]]`; nothing where keepalived drops the line.
fn tracked(
    instance: &str,
    line: &Stmt,
    words: &TrackWords,
    b: &mut Binder,
) -> Option<(Option<i16>, Option<bool>)> {
    let name = line.word(0);
    let Some(option) = line.words.get(1) else { return Some((None, None)) };
    if option.text != "weight" {
        complain(b, option.span, (words.unknown)(instance, name, &option.text));
        return None;
    }
    let Some(value) = line.words.get(2) else {
        complain(b, option.span, (words.no_value)(instance, name));
        return None;
    };
    let in_range = |n: i16| (-253..=253).contains(&n).then_some(n);
    let weight = match signed(&value.text, -254..=254).map(in_range) {
        Ok(Some(number)) => Some(number),
        wrong => {
            let first = wrong.err().map(|said| said + "\n").unwrap_or_default();
            let said = (words.range)(instance, name, &value.text);
            complain(b, value.span, first + &said);
            None
        }
    };
    let reverse = match line.words.get(3) {
        Some(word) if word.text == "reverse" => Some(true),
        Some(word) if word.text == "noreverse" => Some(false),
        Some(word) => {
            complain(b, word.span, (words.unknown_behind)(instance, name, &word.text));
            None
        }
        None => None,
    };
    Some((weight, reverse))
}

pub(super) fn track_script(instance: &mut InstanceDraft, stmt: &Stmt, b: &mut Binder) {
    for line in stmt.body() {
        let (name, script) = (&instance.name, line.word(0).to_owned());
        if instance.track_scripts.iter().any(|(t, _)| t.script == script) {
            complain(b, line.at(), format!("({name}) duplicate track_script {script} - ignoring"));
        } else if let Some((weight, reverse)) = tracked(name, line, &SCRIPT_WORDS, b) {
            instance.track_scripts.push((TrackedScript { script, weight, reverse }, line.at()));
        }
    }
}

pub(super) fn track_interface(instance: &mut InstanceDraft, stmt: &Stmt, b: &mut Binder) {
    for line in stmt.body() {
        let (name, interface) = (&instance.name, line.word(0).to_owned());
        if instance.track_interfaces.iter().any(|(t, _)| t.interface == interface) {
            let said = format!("({name}) duplicate track_interface {interface} - ignoring");
            complain(b, line.at(), said);
        } else if let Some((weight, reverse)) = tracked(name, line, &INTERFACE_WORDS, b) {
            let (weight, reverse) = (weight.unwrap_or(0), reverse.unwrap_or(false));
            let tracked = TrackedInterface { interface, weight, reverse };
            instance.track_interfaces.push((tracked, line.at()));
        }
    }
}

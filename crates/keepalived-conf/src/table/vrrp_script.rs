//! `vrrp_script NAME { … }`

use std::time::Duration;

use conf::{Binder, Form, Keyword, Place, Stmt, Word};
use vrrp::config::ScriptConfig;

use super::{closing, complain};
use crate::draft::ScriptDraft;
use crate::number::{decimal, signed, unsigned};

type Script = Keyword<ScriptDraft>;

pub(crate) const VRRP_SCRIPT: &[Script] = &[
    Script::new("script", Form::Words("<command>", 0..=usize::MAX, script))
        .doc("The command and its arguments, in quotes."),
    Script::new("interval", Form::Words("<seconds>", 1..=usize::MAX, interval))
        .default("1")
        .doc("From one start to the next."),
    Script::new("timeout", Form::Words("<seconds>", 1..=usize::MAX, timeout))
        .doc("How long it may run; as long as `interval` unless set."),
    Script::new("weight", Form::Words("<-253..253> [reverse]", 1..=usize::MAX, weight))
        .default("0")
        .doc("What it adds to the priority: if positive while it succeeds, if negative while it fails; at 0 its failure takes the instance out of the race."),
    Script::new("rise", Form::Words("<1..2147483647>", 1..=usize::MAX, rise))
        .default("1")
        .doc("Successes in a row that make it good."),
    Script::new("fall", Form::Words("<1..2147483647>", 1..=usize::MAX, fall))
        .default("1")
        .doc("Failures in a row that make it bad."),
    Script::new("user", Form::Words("<user> [<group>]", 1..=usize::MAX, user))
        .doc("Who runs it; `script_user` unless set."),
    Script::new("init_fail", Form::Flag(|s| s.config.init_fail = true))
        .doc("Counts as failed until it first succeeds."),
];

/// Reads one block.
pub(crate) fn read(stmt: &Stmt, name: &Word, place: Place<'_>, b: &mut Binder) -> ScriptDraft {
    let mut draft = ScriptDraft {
        span: name.span,
        end: closing(stmt),
        config: ScriptConfig { name: name.owned(), ..ScriptConfig::default() },
        ..ScriptDraft::default()
    };
    b.bind(VRRP_SCRIPT, place, stmt.body(), &mut draft);
    draft
}

fn script(draft: &mut ScriptDraft, words: &[Word], _: &mut Binder) {
    let Some(command) = words.first() else { return };
    draft.command = Some(command.clone());
    draft.surplus = words.get(1).map(|w| w.span);
}

fn interval(draft: &mut ScriptDraft, words: &[Word], b: &mut Binder) {
    let word = &words[0];
    match decimal(&word.text, 0..=4_294_000_000) {
        (Some(Duration::ZERO), _) => {
            draft.config.interval = Duration::from_secs(1);
            let name = &draft.config.name;
            let said =
                format!("({name}): vrrp script interval must be greater than 0, setting to 1");
            complain(b, word.span, said);
        }
        (Some(time), said) => {
            draft.config.interval = time;
            if let Some(said) = said {
                complain(b, word.span, said);
            }
        }
        (None, said) => {
            let said = said.unwrap_or_default().replace("[0.000000, 4294.000000]", "[0, 4294]");
            let (name, word_text) = (&draft.config.name, &word.text);
            let said = format!(
                "{said}\n({name}): vrrp script interval '{word_text}' must be between 1 and 4294 - ignoring"
            );
            complain(b, word.span, said);
        }
    }
}

fn timeout(draft: &mut ScriptDraft, words: &[Word], b: &mut Binder) {
    let word = &words[0];
    let name = &draft.config.name;
    match decimal(&word.text, 0..=4_294_967_295_000_000) {
        (Some(Duration::ZERO), _) => {
            draft.timeout = Some(Duration::from_secs(1));
            let said =
                format!("({name}): vrrp script timeout must be greater than 0, setting to 1");
            complain(b, word.span, said);
        }
        (Some(time), said) => {
            draft.timeout = Some(time);
            if let Some(said) = said {
                complain(b, word.span, said);
            }
        }
        (None, said) => {
            let (said, text) = (said.unwrap_or_default(), &word.text);
            complain(
                b,
                word.span,
                format!("{said}\n({name}): vrrp script timeout '{text}' invalid - ignoring"),
            );
        }
    }
}

fn weight(draft: &mut ScriptDraft, words: &[Word], b: &mut Binder) {
    let (word, name) = (&words[0], &draft.config.name);
    match signed(&word.text, -253..=253) {
        // keepalived 2.2.7 and 2.4.3 keep a weight they complain about; it is not kept here.
        Err(said) => {
            let text = &word.text;
            let said = format!("{said}\nvrrp_script {name} weight {text} must be in [-253, 253]");
            complain(b, word.span, said);
        }
        Ok(weight) => {
            draft.config.weight = weight;
            match words.get(1) {
                None => draft.config.reverse = false,
                Some(word) if word.text == "reverse" => draft.config.reverse = true,
                Some(word) => {
                    let said = format!("vrrp_script {name} unknown weight option {}", word.text);
                    complain(b, word.span, said);
                }
            }
        }
    }
}

fn rise(draft: &mut ScriptDraft, words: &[Word], b: &mut Binder) {
    draft.config.rise = times(draft, "rise", &words[0], b);
}

fn fall(draft: &mut ScriptDraft, words: &[Word], b: &mut Binder) {
    draft.config.fall = times(draft, "fall", &words[0], b);
}

fn times(draft: &ScriptDraft, keyword: &str, word: &Word, b: &mut Binder) -> u32 {
    unsigned(&word.text, 1..=2_147_483_647).unwrap_or_else(|said| {
        let (name, text) = (&draft.config.name, &word.text);
        let said = format!(
            "{said}\n({name}): vrrp script {keyword} value '{text}' invalid, defaulting to 1"
        );
        complain(b, word.span, said);
        1
    })
}

fn user(draft: &mut ScriptDraft, words: &[Word], _: &mut Binder) {
    draft.user = words.first().cloned();
    draft.group = words.get(1).cloned();
}

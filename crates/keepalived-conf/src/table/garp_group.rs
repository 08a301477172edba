//! `garp_group { … }`

use std::time::Duration;

use conf::{Binder, Form, Keyword, Place, Stmt, Word};

use super::{closing, complain};
use crate::draft::GarpGroupDraft;
use crate::number::decimal;

type Group = Keyword<GarpGroupDraft>;

const ONE: std::ops::RangeInclusive<usize> = 1..=usize::MAX;

/// Interfaces that share a pace.
pub(crate) const GARP_GROUP: &[Group] = &[
    Group::new(
        "garp_interval",
        Form::Words("<seconds>", ONE, |g, words, b| {
            g.config.garp_interval =
                interval("garp_interval", &words[0], b).or(g.config.garp_interval);
        }),
    )
    .doc("Between announcements by ARP."),
    Group::new(
        "gna_interval",
        Form::Words("<seconds>", ONE, |g, words, b| {
            g.config.gna_interval =
                interval("gna_interval", &words[0], b).or(g.config.gna_interval);
        }),
    )
    .doc("Between neighbour adverts."),
    Group::new("interface", Form::Words("<ifname>", ONE, |g, words, _| add(g, &words[0])))
        .doc("One interface."),
    Group::new("interfaces", Form::Lines("<ifname>", interfaces)).doc("Several interfaces."),
];

/// Reads one block.
pub(crate) fn read(stmt: &Stmt, place: Place<'_>, b: &mut Binder) -> GarpGroupDraft {
    let mut draft = GarpGroupDraft { end: closing(stmt), ..GarpGroupDraft::default() };
    b.bind(GARP_GROUP, place, stmt.body(), &mut draft);
    draft
}

fn interval(keyword: &str, word: &Word, b: &mut Binder) -> Option<Duration> {
    match decimal(&word.text, 0..=2_147_483_647) {
        (Some(time), said) => {
            if let Some(said) = said {
                complain(b, word.span, said);
            }
            Some(time)
        }
        (None, said) => {
            let mut said = said.unwrap_or_default();
            if !said.starts_with("invalid number") {
                said += &format!("\ngarp_group {keyword} '{}' invalid", word.text);
            }
            complain(b, word.span, said);
            None
        }
    }
}

fn add(group: &mut GarpGroupDraft, word: &Word) {
    group.config.interfaces.push(word.owned());
    group.at.push(word.span);
}

fn interfaces(group: &mut GarpGroupDraft, stmt: &Stmt, b: &mut Binder) {
    for word in stmt.body().iter().flat_map(|line| &line.words) {
        // keepalived looks at them when their block ends.
        group.config.interfaces.push(word.owned());
        group.at.push(closing(stmt));
    }
    if stmt.body().is_empty() {
        complain(b, closing(stmt), "Warning - empty garp_group interfaces block");
    }
}

//! `track_file NAME { … }`

use conf::{Binder, Form, Keyword, Place, Stmt, Word};
use vrrp::config::TrackFileConfig;

use super::{closing, complain};
use crate::draft::TrackFileDraft;
use crate::number::signed;

type File = Keyword<TrackFileDraft>;

const SOME: std::ops::RangeInclusive<usize> = 0..=usize::MAX;

/// A watched file.
pub(crate) const TRACK_FILE: &[File] = &[
    File::new("file", Form::Whole("<path>", file)).doc("The file, which holds a number."),
    File::new("weight", Form::Whole("<-254..254> [reverse]", weight))
        .default("1")
        .doc("What the number is multiplied by; at 0 any number but 0 takes the instance out of the race."),
    File::new("init_file", Form::Words("[<number>] [overwrite]", SOME, init_file))
        .doc("Makes the file at the start, with this number or 0; over one that is there only if told so."),
];

/// Reads one block.
pub(crate) fn read(stmt: &Stmt, name: &Word, place: Place<'_>, b: &mut Binder) -> TrackFileDraft {
    let mut draft = TrackFileDraft {
        span: name.span,
        end: closing(stmt),
        config: TrackFileConfig { name: name.owned(), ..TrackFileConfig::default() },
        weight: None,
    };
    b.bind(TRACK_FILE, place, stmt.body(), &mut draft);
    draft
}

fn file(draft: &mut TrackFileDraft, stmt: &Stmt, b: &mut Binder) {
    let name = &draft.config.name;
    match stmt.words.get(1) {
        None => complain(b, stmt.at(), "track file file name missing"),
        Some(path) if !draft.config.path.is_empty() => {
            let path = &path.text;
            let said = format!("File already set for track file {name} - ignoring {path}");
            complain(b, stmt.at(), said);
        }
        Some(path) => draft.config.path = path.owned(),
    }
}

fn weight(draft: &mut TrackFileDraft, stmt: &Stmt, b: &mut Binder) {
    let words = stmt.words.get(1..).unwrap_or_default();
    let name = &draft.config.name;
    let Some(word) = words.first() else {
        let said = format!("No weight specified for track file {name} - ignoring");
        complain(b, stmt.at(), said);
        return;
    };
    let text = &word.text;
    if draft.weight.is_some() {
        let said = format!("Weight already set for track file {name} - ignoring {text}");
        complain(b, word.span, said);
        return;
    }
    match signed(text, -254..=254) {
        Err(said) => {
            let said = format!(
                "{said}\nWeight ({text}) for track_file {name} must be between [-254..254] inclusive. Ignoring..."
            );
            complain(b, word.span, said);
        }
        Ok(weight) => {
            let reverse = match words.get(1) {
                None => false,
                Some(word) if word.text == "reverse" => true,
                Some(word) => {
                    let said = format!("track_file {name} unknown weight option {}", word.text);
                    complain(b, word.span, said);
                    return;
                }
            };
            draft.weight = Some(weight);
            draft.config.reverse = reverse;
        }
    }
}

fn init_file(draft: &mut TrackFileDraft, words: &[Word], b: &mut Binder) {
    let (mut number, mut overwrite) = (0, false);
    for word in words {
        let digits = word.text.strip_prefix('-').unwrap_or(&word.text);
        if word.text == "overwrite" {
            overwrite = true;
        } else if digits.starts_with(|c: char| c.is_ascii_digit()) {
            match word.text.parse() {
                Ok(value) => number = value,
                Err(_) => {
                    let (name, text) = (&draft.config.name, &word.text);
                    let said = format!("Track file {name} init value {text} is invalid");
                    complain(b, word.span, said);
                }
            }
        } else {
            let said = format!("Unknown track file init option {}", word.text);
            complain(b, word.span, said);
        }
    }
    draft.config.init = Some((number, overwrite));
}

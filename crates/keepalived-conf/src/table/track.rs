//! The lines of `track_script`, `track_interface`, `track_file`, `track_process` and `track_bfd`,
//! of instances and groups.

use conf::{Binder, Span, Stmt};
use vrrp::config::{TrackedFile, TrackedInterface, TrackedProcess, TrackedScript};

use super::complain;
use crate::draft::{GroupDraft, InstanceDraft};
use crate::number::signed;

/// A block that follows something: an instance or a group.
pub(super) trait Follower {
    /// Its name in complaints.
    fn name(&self) -> &str;
    fn scripts(&mut self) -> &mut Vec<(TrackedScript, Span)>;
    fn interfaces(&mut self) -> &mut Vec<(TrackedInterface, Span)>;
    fn files(&mut self) -> &mut Vec<(TrackedFile, Span)>;
    fn processes(&mut self) -> &mut Vec<(TrackedProcess, Span)>;
    fn bfd(&mut self) -> &mut Vec<(String, Span)>;
}

macro_rules! follower {
    ($type:ty) => {
        impl Follower for $type {
            fn name(&self) -> &str {
                &self.name
            }

            fn scripts(&mut self) -> &mut Vec<(TrackedScript, Span)> {
                &mut self.track_scripts
            }

            fn interfaces(&mut self) -> &mut Vec<(TrackedInterface, Span)> {
                &mut self.track_interfaces
            }

            fn files(&mut self) -> &mut Vec<(TrackedFile, Span)> {
                &mut self.track_files
            }

            fn processes(&mut self) -> &mut Vec<(TrackedProcess, Span)> {
                &mut self.track_processes
            }

            fn bfd(&mut self) -> &mut Vec<(String, Span)> {
                &mut self.track_bfd
            }
        }
    };
}

follower!(InstanceDraft);
follower!(GroupDraft);

/// keepalived's sentences about what stands behind a tracked name.
struct Words {
    /// The block's keyword.
    keyword: &'static str,
    /// What a line without a weight is about.
    subject: &'static str,
    /// Weights beyond it are not taken.
    most: i16,
    range: fn(&str, &str, &str) -> String,
    unknown: fn(&str, &str, &str) -> String,
    unknown_behind: fn(&str, &str, &str) -> String,
}

const SCRIPT: Words = Words {
    keyword: "track_script",
    subject: "track script",
    most: 253,
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

const INTERFACE: Words = Words {
    keyword: "track_interface",
    subject: "track_interface",
    most: 253,
    range: |i, name, word| {
        format!("({i}) weight {word} for {name} must be between [-253..253] inclusive. Ignoring...")
    },
    unknown: |i, name, word| {
        format!("({i}) unknown track_interface {name} option {word} - ignoring")
    },
    unknown_behind: |i, name, word| {
        format!("({i}) unknown track_interace {name} weight option {word} - ignoring")
    },
};

const FILE: Words = Words {
    keyword: "track_file",
    subject: "track file",
    most: 254,
    range: |i, name, _| {
        format!("({i}) weight for track file {name} must be in [-254..254] inclusive. Ignoring...")
    },
    unknown: |i, _, word| format!("({i}) unknown track file option {word} - ignoring"),
    unknown_behind: |i, name, word| {
        format!("({i}) unknown track file {name} weight option {word} - ignoring")
    },
};

const PROCESS: Words = Words {
    keyword: "track_process",
    subject: "track process",
    most: 254,
    range: |i, name, _| {
        format!(
            "({i}) weight for track process {name} must be in [-254..254] inclusive. Ignoring..."
        )
    },
    unknown: |i, _, word| format!("({i}) unknown track process option {word} - ignoring"),
    unknown_behind: |i, name, word| {
        format!("({i}) unknown track_process {name} weight option {word} - ignoring")
    },
};

const BFD: Words = Words {
    keyword: "track_bfd",
    subject: "track bfd",
    most: 253,
    range: |i, name, _| {
        format!("({i}) weight for track bfd {name} must be in [-253..253] inclusive. Ignoring...")
    },
    unknown: |i, name, word| format!("({i}) unknown track bfd {name} option {word} - ignoring"),
    unknown_behind: |i, name, word| {
        format!("({i}) unknown track bfd {name} weight option {word} - ignoring")
    },
};

/// What stands behind a name: `[weight N [reverse|noreverse]]`.
#[derive(Default)]
struct Behind {
    weight: Option<i16>,
    reverse: Option<bool>,
}

/// Reads what stands behind a name; nothing where keepalived drops the line.
fn behind(follower: &str, line: &Stmt, words: &Words, b: &mut Binder) -> Option<Behind> {
    let name = line.word(0);
    let Some(option) = line.words.get(1) else { return Some(Behind::default()) };
    if option.text != "weight" {
        complain(b, option.span, (words.unknown)(follower, name, &option.text));
        return None;
    }
    let Some(value) = line.words.get(2) else {
        let said = format!(
            "({follower}) weight without value specified for {} {name} - ignoring",
            words.subject
        );
        complain(b, option.span, said);
        return None;
    };
    let weight = match signed(&value.text, -254..=254) {
        Ok(weight) if weight.abs() > words.most => {
            let said =
                format!("({follower}) weight for {name} cannot be +/-254. Setting to +/-253");
            complain(b, value.span, said);
            Some(weight.clamp(-253, 253))
        }
        Ok(weight) => Some(weight),
        Err(why) => {
            let said = (words.range)(follower, name, &value.text);
            complain(
                b,
                value.span,
                why + "
" + &said,
            );
            None
        }
    };
    let reverse = match line.words.get(3) {
        Some(word) if word.text == "reverse" => Some(true),
        Some(word) if word.text == "noreverse" => Some(false),
        Some(word) => {
            complain(b, word.span, (words.unknown_behind)(follower, name, &word.text));
            None
        }
        None => None,
    };
    Some(Behind { weight, reverse })
}

/// Every name of a block that is not there yet, with what stands behind it.
fn each<T: Follower>(
    follower: &mut T,
    stmt: &Stmt,
    words: &Words,
    b: &mut Binder,
    there: fn(&mut T, &str) -> bool,
    add: fn(&mut T, String, Behind, Span),
) {
    for line in stmt.body() {
        let name = line.word(0).to_owned();
        if there(follower, &name) {
            let said =
                format!("({}) duplicate {} {name} - ignoring", follower.name(), words.keyword);
            complain(b, line.at(), said);
        } else if let Some(behind) = behind(follower.name(), line, words, b) {
            add(follower, name, behind, line.at());
        }
    }
}

pub(super) fn track_script<T: Follower>(follower: &mut T, stmt: &Stmt, b: &mut Binder) {
    each(
        follower,
        stmt,
        &SCRIPT,
        b,
        |f, name| f.scripts().iter().any(|(t, _)| t.script == name),
        |f, script, Behind { weight, reverse }, at| {
            f.scripts().push((TrackedScript { script, weight, reverse }, at));
        },
    );
}

pub(super) fn track_interface<T: Follower>(follower: &mut T, stmt: &Stmt, b: &mut Binder) {
    each(
        follower,
        stmt,
        &INTERFACE,
        b,
        |f, name| f.interfaces().iter().any(|(t, _)| t.interface == name),
        |f, interface, Behind { weight, reverse }, at| {
            let (weight, reverse) = (weight.unwrap_or(0), reverse.unwrap_or(false));
            f.interfaces().push((TrackedInterface { interface, weight, reverse }, at));
        },
    );
}

pub(super) fn track_file<T: Follower>(follower: &mut T, stmt: &Stmt, b: &mut Binder) {
    each(
        follower,
        stmt,
        &FILE,
        b,
        |f, name| f.files().iter().any(|(t, _)| t.file == name),
        |f, file, Behind { weight, reverse }, at| {
            f.files().push((TrackedFile { file, weight, reverse }, at));
        },
    );
}

pub(super) fn track_process<T: Follower>(follower: &mut T, stmt: &Stmt, b: &mut Binder) {
    each(
        follower,
        stmt,
        &PROCESS,
        b,
        |f, name| f.processes().iter().any(|(t, _)| t.process == name),
        |f, process, Behind { weight, reverse }, at| {
            f.processes().push((TrackedProcess { process, weight, reverse }, at));
        },
    );
}

/// There is no BFD yet: a session that is followed in earnest is refused by the table's row.
pub(super) fn track_bfd<T: Follower>(follower: &mut T, stmt: &Stmt, b: &mut Binder) {
    each(
        follower,
        stmt,
        &BFD,
        b,
        |f, name| f.bfd().iter().any(|(t, _)| t == name),
        |f, name, _, at| f.bfd().push((name, at)),
    );
}

//! Statements → model.

use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::keyword::{Form, Keyword, Status, Unit, Within};
use crate::literal;
use crate::nearest::nearest;
use crate::problem::{Diagnostic, Problem, Severity};
use crate::source::Span;
use crate::word::{Stmt, Word};

/// What a dialect does with words a keyword has no use for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Surplus {
    /// Nothing: keepalived's manner.
    #[default]
    Ignore,
    /// [`Problem::Surplus`].
    Complain,
}

/// The habits of a dialect.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manners {
    /// Whether `no <keyword>` turns a switch off.
    pub negation: bool,
    /// Words too many.
    pub surplus: Surplus,
    /// Whether a keyword without an effect is named in a notice ([`Problem::NoEffect`]).
    pub tell_accepted: bool,
}

/// Where statements stand: the section's bit, and its name in complaints.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The section's bit.
    pub within: Within,
    /// The section's name.
    pub section: &'a str,
    /// The line's own context, as upstream names it; empty where it has none.
    pub context: &'a str,
}

impl<'a> Place<'a> {
    /// A section without further context.
    pub fn new(within: Within, section: &'a str) -> Self {
        Self { within, section, context: "" }
    }

    /// The same place, on a line that upstream names.
    pub fn context(self, context: &'a str) -> Self {
        Self { context, ..self }
    }
}

/// Applies statements to a model and collects what is wrong with them.
#[derive(Debug, Default)]
pub struct Binder {
    /// Everything complained about so far, in the order it was found.
    pub problems: Vec<Diagnostic>,
    manners: Manners,
}

impl Binder {
    /// A binder with a dialect's habits.
    pub fn new(manners: Manners) -> Self {
        Self { problems: vec![], manners }
    }

    /// Complains: the statement or file is refused.
    pub fn error(&mut self, span: Span, problem: Problem) -> &mut Diagnostic {
        self.push(Severity::Error, span, problem)
    }

    /// Complains: it runs, perhaps not as meant.
    pub fn warning(&mut self, span: Span, problem: Problem) -> &mut Diagnostic {
        self.push(Severity::Warning, span, problem)
    }

    /// Says something worth knowing.
    pub fn notice(&mut self, span: Span, problem: Problem) -> &mut Diagnostic {
        self.push(Severity::Notice, span, problem)
    }

    fn push(&mut self, severity: Severity, span: Span, problem: Problem) -> &mut Diagnostic {
        self.problems.push(Diagnostic::new(severity, span, problem));
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    /// Applies every statement of one section to `model`.
    pub fn bind<T>(
        &mut self,
        table: &[Keyword<T>],
        place: Place<'_>,
        stmts: &[Stmt],
        model: &mut T,
    ) {
        for stmt in stmts {
            self.bind_one(table, place, stmt, model);
        }
    }

    /// Applies one statement to `model`. Returns whether the table has its keyword here.
    pub fn bind_one<T>(
        &mut self,
        table: &[Keyword<T>],
        place: Place<'_>,
        stmt: &Stmt,
        model: &mut T,
    ) -> bool {
        let first_new = self.problems.len();
        let known = self.dispatch(table, place, stmt, model);
        self.give_context(first_new, place);
        known
    }

    /// Applies one statement whose row its dialect has found already to `model`.
    ///
    /// Nothing happens if another row is the statement's.
    pub fn bind_row<T>(
        &mut self,
        keyword: &Keyword<T>,
        place: Place<'_>,
        stmt: &Stmt,
        model: &mut T,
    ) {
        let first_new = self.problems.len();
        let negated = self.negates(stmt);
        let words = &stmt.words[usize::from(negated)..];
        let named = keyword.matches(words);
        if named > 0 {
            self.carry_out((named, keyword), negated, place, stmt, model);
        }
        self.give_context(first_new, place);
    }

    fn give_context(&mut self, first_new: usize, place: Place<'_>) {
        for problem in &mut self.problems[first_new..] {
            if problem.context.is_empty() {
                place.context.clone_into(&mut problem.context);
            }
        }
    }

    /// Whether a statement begins with `no`, and that is one.
    fn negates(&self, stmt: &Stmt) -> bool {
        self.manners.negation && stmt.words.len() > 1 && stmt.words[0].text == "no"
    }

    fn dispatch<T>(
        &mut self,
        table: &[Keyword<T>],
        place: Place<'_>,
        stmt: &Stmt,
        model: &mut T,
    ) -> bool {
        let negated = self.negates(stmt);
        let words = &stmt.words[usize::from(negated)..];
        let Some(first) = words.first() else { return true };
        let Some(found) = find(table, place.within, words) else {
            let here = table.iter().filter(|k| k.within.includes(place.within)).map(|k| k.name);
            let nearest = nearest(&first.text, here).map(str::to_owned);
            let (word, section) = (first.text.clone(), place.section.to_owned());
            self.error(first.span, Problem::UnknownKeyword { word, section, nearest });
            return false;
        };
        self.carry_out(found, negated, place, stmt, model);
        true
    }

    /// Applies a statement that is named by so many words.
    fn carry_out<T>(
        &mut self,
        (named, keyword): (usize, &Keyword<T>),
        negated: bool,
        place: Place<'_>,
        stmt: &Stmt,
        model: &mut T,
    ) {
        let words = &stmt.words[usize::from(negated)..];
        let Some(first) = words.first() else { return };
        if !keyword.within.includes(place.within) {
            let (keyword, section) = (keyword.name.to_owned(), place.section.to_owned());
            self.error(first.span, Problem::Misplaced { keyword, section });
            return;
        }
        match keyword.status {
            Status::Done => {}
            Status::Accepted(why) => {
                if self.manners.tell_accepted {
                    self.notice(first.span, Problem::NoEffect { keyword: keyword.name, why });
                }
            }
            Status::Planned => {
                self.error(first.span, Problem::Planned { keyword: keyword.name.to_owned() });
            }
            Status::Deprecated { instead } => {
                self.warning(first.span, Problem::Deprecated { keyword: keyword.name, instead });
            }
        }
        self.apply(keyword, negated, &words[named..], stmt, model);
    }

    fn apply<T>(
        &mut self,
        keyword: &Keyword<T>,
        negated: bool,
        args: &[Word],
        stmt: &Stmt,
        model: &mut T,
    ) {
        let name = keyword.name;
        if let Form::Flag(_) | Form::Switch(_) | Form::Known(_) | Form::Whole(..) = keyword.form {
        } else if let Form::Lines(..) | Form::Block(..) = keyword.form {
            if stmt.block.is_none() {
                let usage = keyword.usage();
                self.error(stmt.at(), Problem::Usage { keyword: name, usage });
                return;
            }
        } else if let Form::Words(_, arity, _) = &keyword.form {
            if args.len() < *arity.start() {
                return self.missing(keyword, args, stmt);
            }
            if args.len() > *arity.end() {
                self.surplus(name, &args[*arity.end()]);
            }
        } else if args.is_empty() {
            return self.missing(keyword, args, stmt);
        }
        // A block where none belongs: its braces are the words too many.
        let takes_block = matches!(
            keyword.form,
            Form::Lines(..) | Form::Block(..) | Form::Whole(..) | Form::Known(_)
        );
        if stmt.block.is_some() && !takes_block {
            self.error(stmt.at(), Problem::Surplus { keyword: name, word: "{".to_owned() });
        }
        if let Some(word) = most_words(&keyword.form).and_then(|most| args.get(most)) {
            self.surplus(name, word);
        }
        let first = args.first();
        match (&keyword.form, first) {
            (Form::Flag(set), _) => set(model),
            (Form::Switch(set), None) => set(model, !negated),
            (Form::Switch(set), Some(word)) => match word.text.to_ascii_lowercase().as_str() {
                "on" | "true" | "yes" => set(model, !negated),
                "off" | "false" | "no" => set(model, negated),
                _ => {
                    let usage = keyword.usage();
                    self.error(word.span, Problem::Usage { keyword: name, usage });
                }
            },
            (Form::U8(range, set), Some(word)) => {
                if let Some(n) = self.number(name, word, range) {
                    set(model, n);
                }
            }
            (Form::U16(range, set), Some(word)) => {
                if let Some(n) = self.number(name, word, range) {
                    set(model, n);
                }
            }
            (Form::U32(range, set), Some(word)) => {
                if let Some(n) = self.number(name, word, range) {
                    set(model, n);
                }
            }
            (Form::Time(unit, set), Some(word)) => {
                let time = match unit {
                    Unit::Decimal => literal::decimal_seconds(&word.text),
                    Unit::Millis | Unit::Seconds => literal::time(&word.text, *unit),
                };
                match time {
                    Some(time) => set(model, time),
                    None => {
                        let word_text = word.text.clone();
                        self.error(word.span, Problem::NotATime { keyword: name, word: word_text });
                    }
                }
            }
            (Form::Size(set), Some(word)) => match literal::size(&word.text) {
                Some(size) => set(model, size),
                None => {
                    let word_text = word.text.clone();
                    self.error(word.span, Problem::NotANumber { keyword: name, word: word_text });
                }
            },
            (Form::Choice(of, set), Some(word)) => match of.iter().position(|c| *c == word.text) {
                Some(index) => set(model, index),
                None => {
                    let word_text = word.text.clone();
                    self.error(word.span, Problem::NotOneOf { keyword: name, of, word: word_text });
                }
            },
            (Form::Text(_, set), Some(word)) => set(model, word),
            (Form::Words(_, arity, set), _) => {
                set(model, &args[..args.len().min(*arity.end())], self);
            }
            (Form::Whole(_, set) | Form::Lines(_, set) | Form::Block(_, set), _) => {
                set(model, stmt, self);
            }
            (Form::Known(_), _) | (_, None) => {}
        }
    }

    fn missing<T>(&mut self, keyword: &Keyword<T>, args: &[Word], stmt: &Stmt) {
        let position = keyword.name.split(' ').count() + args.len();
        let (usage, keyword) = (keyword.usage(), keyword.name.to_owned());
        self.error(stmt.at(), Problem::MissingArgument { keyword, position, usage });
    }

    fn surplus(&mut self, keyword: &'static str, word: &Word) {
        if self.manners.surplus == Surplus::Complain {
            self.error(word.span, Problem::Surplus { keyword, word: word.text.clone() });
        }
    }

    /// A number in a range, or a complaint.
    pub fn number<N>(
        &mut self,
        keyword: &'static str,
        word: &Word,
        range: &RangeInclusive<N>,
    ) -> Option<N>
    where
        N: Copy + FromStr + PartialOrd + Into<u64>,
    {
        let number = word.text.parse().ok().filter(|n| range.contains(n));
        if number.is_none() {
            let text = word.text.clone();
            let digits = text.strip_prefix(['-', '+']).unwrap_or(&text);
            let problem = if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
                let range = (*range.start()).into()..=(*range.end()).into();
                Problem::OutOfRange { keyword, word: text, range }
            } else {
                Problem::NotANumber { keyword, word: text }
            };
            self.error(word.span, problem);
        }
        number
    }
}

/// How many argument words a form takes at the most; `None` where it decides for itself.
fn most_words<T>(form: &Form<T>) -> Option<usize> {
    match form {
        Form::Flag(_) => Some(0),
        Form::Switch(_)
        | Form::U8(..)
        | Form::U16(..)
        | Form::U32(..)
        | Form::Time(..)
        | Form::Size(_)
        | Form::Choice(..)
        | Form::Text(..) => Some(1),
        Form::Words(..) | Form::Whole(..) | Form::Lines(..) | Form::Block(..) | Form::Known(_) => {
            None
        }
    }
}

/// The row for a statement: the longest name wins ("option httplog" before "option"), and among
/// equally long ones the one that is allowed here.
fn find<'t, T>(
    table: &'t [Keyword<T>],
    within: Within,
    words: &[Word],
) -> Option<(usize, &'t Keyword<T>)> {
    table
        .iter()
        .map(|k| (k.matches(words), k))
        .filter(|(named, _)| *named > 0)
        .max_by_key(|(named, k)| (*named, k.within.includes(within)))
}

use std::time::Duration;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Default, PartialEq)]
struct Model {
    vrid: u8,
    on: bool,
    time: Duration,
    choice: usize,
    words: Vec<String>,
}

// The alias is what lets inference work through the builder calls.
type Row = Keyword<Model>;

const TABLE: &[Row] = &[
    Row::new("vrid", Form::U8(1..=255, |m, n| m.vrid = n)),
    Row::new("option feature", Form::Switch(|m, on| m.on = on)).within(Within(1)),
    Row::new("timeout", Form::Time(Unit::Millis, |m, t| m.time = t)),
    Row::new("state", Form::Choice(&["MASTER", "BACKUP"], |m, i| m.choice = i)),
    Row::new(
        "words",
        Form::Words("<a> <b>", 1..=2, |m, w, _| m.words = w.iter().map(Word::owned).collect()),
    ),
    Row::planned("later", "<x>"),
];

fn bind(text: &str, manners: Manners, within: Within) -> (Model, Vec<Diagnostic>) {
    let mut sources = Sources::default();
    let file = sources.add("t", text);
    let mut binder = Binder::new(manners);
    let mut model = Model::default();
    let stmts = split_lines(&sources, file);
    binder.bind(TABLE, Place::new(within, "test"), &stmts, &mut model);
    (model, binder.problems)
}

#[test]
fn every_mistake_of_a_text_is_reported_in_one_run() {
    let (model, problems) = bind(
        "vrid 0\nvrid x\nstate MAST\nlater\ntimeout 5q\nwrods a\nwords\n",
        Manners::default(),
        ANYWHERE,
    );
    assert_eq!(model, Model::default());
    let kinds: Vec<_> = problems.iter().map(|p| &p.problem).collect();
    assert!(matches!(kinds[0], Problem::OutOfRange { .. }));
    assert!(matches!(kinds[1], Problem::NotANumber { .. }));
    assert!(matches!(kinds[2], Problem::NotOneOf { .. }));
    assert!(matches!(kinds[3], Problem::Planned { .. }));
    assert!(matches!(kinds[4], Problem::NotATime { .. }));
    assert!(matches!(kinds[5], Problem::UnknownKeyword { nearest: Some(n), .. } if n == "words"));
    assert!(matches!(kinds[6], Problem::MissingArgument { position: 1, .. }));
    assert_eq!(kinds.len(), 7);
}

#[test]
fn a_negated_switch_is_off_only_where_the_dialect_negates() {
    let negating = Manners { negation: true, ..Manners::default() };
    assert!(bind("option feature", negating, Within(1)).0.on);
    assert!(!bind("option feature\nno option feature", negating, Within(1)).0.on);
    let (_, problems) = bind("no option feature", Manners::default(), Within(1));
    assert!(matches!(problems[0].problem, Problem::UnknownKeyword { .. }));
}

#[test]
fn a_keyword_of_another_section_is_misplaced_not_unknown() {
    let (model, problems) = bind("option feature", Manners::default(), Within(2));
    assert!(!model.on);
    assert!(matches!(problems[0].problem, Problem::Misplaced { .. }));
}

#[test]
fn surplus_words_are_ignored_or_complained_about_as_the_dialect_does() {
    assert_eq!(bind("vrid 5 garbage", Manners::default(), ANYWHERE).1, vec![]);
    let strict = Manners { surplus: Surplus::Complain, ..Manners::default() };
    let (model, problems) = bind("vrid 5 garbage\nwords a b c", strict, ANYWHERE);
    assert_eq!((model.vrid, model.words.len(), problems.len()), (5, 2, 2));
}

#[test]
fn times_and_sizes_have_units() {
    assert_eq!(time("250", Unit::Millis), Some(Duration::from_millis(250)));
    assert_eq!(time("3s", Unit::Millis), Some(Duration::from_secs(3)));
    assert_eq!(time("1d", Unit::Seconds), Some(Duration::from_secs(86_400)));
    assert_eq!(time("5ss", Unit::Millis), None);
    assert_eq!(time("1.5", Unit::Millis), None);
    assert_eq!(time("99999999999999999999", Unit::Millis), None);
    assert_eq!(decimal_seconds("0.5"), Some(Duration::from_millis(500)));
    assert_eq!(decimal_seconds("3"), Some(Duration::from_secs(3)));
    assert_eq!(decimal_seconds(".25"), Some(Duration::from_millis(250)));
    assert_eq!(decimal_seconds("."), None);
    assert_eq!(decimal_seconds("1s"), None);
    assert_eq!(decimal_seconds("-1"), None);
    assert_eq!((size("16k"), size("1M"), size("7")), (Some(16_384), Some(1 << 20), Some(7)));
    assert_eq!(size("18446744073709551615g"), None);
}

struct Plain;

impl Wording for Plain {
    fn say(&self, diagnostic: &Diagnostic) -> String {
        match &diagnostic.problem {
            Problem::UnknownKeyword { word, .. } => format!("unknown keyword '{word}'"),
            other => format!("{other:?}"),
        }
    }

    fn line(&self, sources: &Sources, diagnostic: &Diagnostic) -> String {
        format!("{}:{}", sources.name(diagnostic.span.file), sources.line(diagnostic.span))
    }
}

#[test]
fn a_mistake_is_shown_with_its_line_a_caret_and_what_to_do() {
    let mut sources = Sources::default();
    let file = sources.add("a.conf", "vrid 5\n  vird 7\n");
    let mut binder = Binder::default();
    let place = Place::new(ANYWHERE, "test");
    binder.bind(TABLE, place, &split_lines(&sources, file), &mut Model::default());
    let shown = pretty(&Plain, &sources, &binder.problems[0]);
    let expected = "error: unknown keyword 'vird'\n --> a.conf:2:3\n  |\n2 |   vird 7\n  |   ^^^^\n  |\n  = help: did you mean 'vrid'?";
    assert_eq!(shown, expected);
}

#[test]
fn a_line_of_ten_megabytes_is_shown_in_part() {
    let mut sources = Sources::default();
    let file = sources.add("a.conf", "x".repeat(10 << 20));
    let span = Span { file, start: 5_000_000, end: 5_000_010 };
    let diagnostic = Diagnostic::new(Severity::Error, span, Problem::Other("long".into()));
    assert!(pretty(&Plain, &sources, &diagnostic).len() < 1_000);
}

#[test]
fn the_matrix_counts_what_it_shows() {
    let rows = TABLE.rows();
    assert_eq!(count(&rows), Count { done: 5, accepted: 0, planned: 1 });
    assert!(matrix(&rows).contains("| `later <x>` | Planned |"));
    assert!(reference(&rows, 2).contains("Not supported yet."));
}

proptest! {
    #[test]
    fn any_text_binds_and_renders_without_a_panic(text in "\\PC{0,80}(\n\\PC{0,40}){0,3}") {
        let mut sources = Sources::default();
        let file = sources.add("t", text);
        let mut binder = Binder::default();
        let place = Place::new(ANYWHERE, "test");
        binder.bind(TABLE, place, &split_lines(&sources, file), &mut Model::default());
        for problem in &binder.problems {
            pretty(&Plain, &sources, problem);
        }
    }

    #[test]
    fn any_span_renders_without_a_panic(text in ".{0,60}", start in 0u32..100, len in 0u32..100) {
        let mut sources = Sources::default();
        let file = sources.add("t", text);
        let span = Span { file, start, end: start + len };
        pretty(&Plain, &sources, &Diagnostic::new(Severity::Notice, span, Problem::Other("x".into())));
        sources.snippet(span);
        sources.column(span);
    }
}

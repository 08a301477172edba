use std::sync::Arc;

use super::{Known, expr, text};
use crate::format::{Flags as Look, Part, Variable};
use crate::pattern::{Flags, Match, Set};
use crate::record::{Record, Variable as Name};
use crate::{
    Acl, Action, Arg, Condition, Format, Place, Rule, Scope, Source, Term, Test, Truth, Verdict,
    Waiting, run,
};

fn acl(fetch: &str, args: Vec<Arg>, method: Match, patterns: &[&str]) -> Arc<Acl> {
    let mut set = Set::new(method, Flags::default());
    for pattern in patterns {
        set.add(pattern).expect("a pattern");
    }
    let tests = vec![Test { expr: expr(fetch, args), patterns: set.into() }];
    Arc::new(Acl { name: "".into(), tests })
}

fn yes() -> Arc<Acl> {
    acl("always_true", vec![], Match::Bool, &[])
}

fn no() -> Arc<Acl> {
    acl("always_false", vec![], Match::Bool, &[])
}

/// Unknown until the end.
fn later() -> Arc<Acl> {
    acl("wait_end", vec![], Match::Bool, &[])
}

fn when(any: Vec<Vec<(bool, Arc<Acl>)>>) -> Condition {
    let term = |(negated, acl)| Term { negated, acl };
    let any = any.into_iter().map(|group| group.into_iter().map(term).collect()).collect();
    Condition { unless: false, any }
}

fn eval(condition: &Condition, last: bool) -> Truth {
    let environment = Known::default();
    let scope = Scope { last, ..Scope::new(&environment) };
    condition.eval(&scope, &mut Record::default())
}

#[test]
fn terms_are_and_groups_are_or_and_what_is_unknown_stays_so() {
    let one = |acl| when(vec![vec![(false, acl)]]);
    assert_eq!(eval(&one(yes()), false), Truth::Yes);
    assert_eq!(eval(&one(later()), false), Truth::Unknown);
    assert_eq!(eval(&one(later()), true), Truth::Yes);
    assert_eq!(eval(&when(vec![vec![(true, later())]]), false), Truth::Unknown);
    assert_eq!(eval(&when(vec![vec![(false, later()), (false, no())]]), false), Truth::No);
    assert_eq!(eval(&when(vec![vec![(false, later())], vec![(false, yes())]]), false), Truth::Yes);
    assert_eq!(eval(&when(vec![vec![(true, yes()), (false, yes())]]), false), Truth::No);
    // `if` without a term never holds, `unless` always does.
    assert_eq!(eval(&when(vec![]), true), Truth::No);
    assert_eq!(eval(&Condition { unless: true, any: vec![] }, true), Truth::Yes);
}

#[test]
fn a_rule_waits_for_bytes_and_decides_once_they_are_there_or_will_not_come() {
    let condition = when(vec![vec![(false, acl("req.len", vec![], Match::Int, &["3:"]))]]);
    let rules = [Rule::new(Action::Accept, Some(condition)), Rule::new(Action::Reject, None)];
    let verdict = |bytes: &[u8], last| {
        let environment = Known::default();
        let request = Some(Waiting { bytes, complete: last });
        let scope = Scope { request, last, ..Scope::new(&environment) };
        run(&rules, &scope, &mut Record::default())
    };
    assert_eq!(verdict(b"", false), Verdict::Wait);
    assert_eq!(verdict(b"ab", false), Verdict::Wait);
    assert_eq!(verdict(b"abc", false), Verdict::Accept);
    assert_eq!(verdict(b"ab", true), Verdict::Reject);
}

#[test]
fn rules_write_down_what_others_read() {
    let variable = Name::parse("sess.who").expect("a name");
    let format = Format {
        parts: vec![
            Part::Text("<".into()),
            Part::Expr(expr("src", vec![]), Look::default()),
            Part::Text(">".into()),
        ],
        merge_blanks: false,
    };
    let set = Action::SetVarFormat(variable.clone(), format);
    let matched = acl("var", vec![Arg::Variable(variable)], Match::Str, &["<192.0.2.7>"]);
    let rules = [
        Rule::new(set, None),
        Rule::new(Action::SetSource(expr("ipv4", vec![Arg::V4([9; 4].into())])), None),
        Rule::new(Action::SetLogLevel(3), None),
        Rule::new(Action::Reject, Some(when(vec![vec![(false, matched)]]))),
    ];
    let environment = Known::default();
    let mut record = Record::default();
    assert_eq!(run(&rules, &Scope::new(&environment), &mut record), Verdict::Reject);
    assert_eq!(record.source, Some([9; 4].into()));
    assert_eq!(record.log_level, Some(3));
    let src = expr("src", vec![]);
    let found = src.eval(&Scope::new(&environment), &mut record).value();
    assert_eq!(found, Some(crate::Value::Ip([9; 4].into())));
}

#[test]
fn a_format_merges_blanks_quotes_and_marks_what_is_missing() {
    let log = Look { mandatory: true, ..Look::default() };
    let missing = || expr("var", vec![Arg::Variable(Name::parse("txn.none").expect("a name"))]);
    let format = Format {
        parts: vec![
            Part::Blank,
            Part::Variable(Variable::ClientAddress, log),
            Part::Blank,
            Part::Blank,
            Part::Variable(Variable::ClientAddress, Look { quote: true, ..log }),
            Part::Blank,
            Part::Variable(Variable::ClientAddress, Look { hex: true, ..log }),
            Part::Blank,
            Part::Expr(missing(), log),
            Part::Text("|".into()),
            Part::Expr(missing(), Look::default()),
            Part::Expr(missing(), Look { quote: true, ..log }),
            Part::Expr(expr("str", vec![text("a]\"")]), Look { escape: true, ..log }),
        ],
        merge_blanks: true,
    };
    let environment = Known::default();
    let mut out = Vec::new();
    format.write(&Scope::new(&environment), &mut Record::default(), &mut out);
    let line = String::from_utf8(out).expect("text");
    assert_eq!(line, "192.0.2.7 \"192.0.2.7\" C0000207 -|\"\"a\\]\\\"");
}

#[test]
fn what_was_captured_is_in_the_line_and_in_a_fetch() {
    let capture = Action::Capture { expr: expr("src", vec![]), slot: 0, length: 5 };
    let rules = [Rule::new(capture, None)];
    let environment = Known::default();
    let scope = Scope::new(&environment);
    let mut record = Record::default();
    assert_eq!(run(&rules, &scope, &mut record), Verdict::Accept);
    let plain = Look::default();
    let parts = vec![
        Part::Variable(Variable::Captured, plain),
        Part::Blank,
        Part::Variable(Variable::Nothing, plain),
        Part::Blank,
        Part::Variable(Variable::CapturedList, plain),
        Part::Blank,
        Part::Expr(expr("capture.req.hdr", vec![Arg::Int(0)]), plain),
    ];
    let mut out = Vec::new();
    Format { parts, merge_blanks: true }.write(&scope, &mut record, &mut out);
    assert_eq!(String::from_utf8(out).expect("text"), "{192.0|} 192.0 - 192.0");
}

#[test]
fn what_a_place_offers_follows_the_way_of_a_connection() {
    assert!(
        !Place::Connection.offers(Source::REQUEST)
            && Place::FrontendContent.offers(Source::REQUEST)
    );
    assert!(!Place::UseBackend.offers(Source::BACKEND) && Place::UseServer.offers(Source::BACKEND));
    assert!(!Place::Log.offers(Source::REQUEST) && Place::Log.offers(Source::SERVER));
    assert!(Place::Response.offers(Source::RESPONSE) && !Place::Response.offers(Source::REQUEST));
    assert!(Place::Connection.offers(Source::CONST));
    assert_eq!((Source::REQUEST | Source::SERVER).names(), "request buffer, server");
}

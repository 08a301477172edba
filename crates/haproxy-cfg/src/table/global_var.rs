//! `set-var` and `set-var-fmt` of `global`: variables of the process have a value from the start.

use conf::Form::Words;
use conf::{Binder, Keyword, Problem, Span, Word};
use rules::record::{Record, Scope as Lives, Variable};
use rules::scope::Nowhere;
use rules::{Place, Scope, Value};

use super::text;
use crate::context::Context;
use crate::draft::Global;
use crate::expr::{Manner, Wrong, read, texts};
use crate::format::{Purpose, parse};
use crate::say::Complain;

type G = Keyword<Global>;

const PLACES: &[Place] = &[Place::Start];

/// Variables of the process.
pub(crate) const TABLE: &[G] = &[
    G::new("set-var", Words("proc.<name> <expr>", 0..=usize::MAX, |g, w, b| set(g, false, w, b)))
        .doc(
            "Sets a variable of the process to what an expression is when the file is read: it \
              sees no connection. The later line wins.",
        ),
    G::new("set-var-fmt", Words("proc.<name> <fmt>", 0..=usize::MAX, |g, w, b| set(g, true, w, b)))
        .doc("Sets a variable of the process to what a format is when the file is read."),
];

fn set(g: &mut Global, as_format: bool, words: &[Word], b: &mut Binder) {
    let at = words.first().map_or_else(Span::default, |word| word.span);
    let (keyword, what) = match as_format {
        false => ("set-var", "sample expression"),
        true => ("set-var-fmt", "format string"),
    };
    if text(words, 1).is_empty() {
        b.refuse(
            at,
            format!(
                "'{keyword}' requires a process-wide variable name ('proc.<name>') and a {what}."
            ),
        );
        return;
    }
    let name = text(words, 0);
    let variable = match Variable::parse(name) {
        Ok(variable) if variable.scope == Lives::Process => variable,
        Ok(_) => {
            b.refuse(at, format!("'{keyword}': cannot set variable '{name}', only scope 'proc' is permitted in the global section."));
            return;
        }
        Err(why) => {
            b.refuse(at, why);
            return;
        }
    };
    let known = Nowhere::default();
    for (variable, value) in &g.process.set_variables {
        known.variables().set(variable, Some(value.clone()));
    }
    let found = match as_format {
        true => written(&g.context, text(words, 1), &known),
        false => evaluated(&g.context, &texts(&words[1..]), &format!("set-var({name})"), &known),
    };
    match found {
        Ok(None) => {}
        Ok(Some(value)) => {
            g.process.set_variables.retain(|(known, _)| *known != variable);
            g.process.set_variables.push((variable, value));
        }
        Err(Wrong::Said(why)) => {
            b.refuse(at, why);
        }
        Err(Wrong::Planned(keyword)) => {
            b.error(at, Problem::Planned { keyword });
        }
    }
}

/// What a client of the runtime API gives a variable.
pub(crate) fn value(
    name: &str,
    words: &[&str],
    as_format: bool,
) -> Result<Option<Value<'static>>, String> {
    let (context, nowhere) = (Context::default(), Nowhere::default());
    let found = match as_format {
        true => written(&context, words.first().copied().unwrap_or(""), &nowhere),
        false => evaluated(&context, words, &format!("set-var({name})"), &nowhere),
    };
    found.map_err(|wrong| match wrong {
        Wrong::Said(why) => why,
        Wrong::Planned(keyword) => format!("{keyword} is not supported yet"),
    })
}

/// The value of an expression that sees no connection; `whose` is what complaints call it.
fn evaluated(
    context: &Context,
    words: &[&str],
    whose: &str,
    environment: &Nowhere,
) -> Result<Option<Value<'static>>, Wrong> {
    let expr = read(context, words, Manner::Rule)?.expr;
    if !Place::Start.offers(expr.source()) {
        return Err(format!(
            "fetch method '{whose}' extracts information from '{}', none of which is available here",
            expr.source().names()
        )
        .into());
    }
    let found = expr.eval(&Scope::new(environment), &mut Record::default());
    Ok(found.value().map(Value::into_owned))
}

fn written(
    context: &Context,
    text: &str,
    environment: &Nowhere,
) -> Result<Option<Value<'static>>, Wrong> {
    let format = parse(context, text, Purpose { places: PLACES, http: false, log: false })?;
    let mut out = Vec::new();
    format.write(&Scope::new(environment), &mut Record::default(), &mut out);
    Ok(Some(Value::Str(out.into())))
}

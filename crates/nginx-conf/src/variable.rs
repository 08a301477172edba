//! `$name` and `${name}` in values.

use conf::{Binder, Problem, Word};
use proxy::variable::{Template, Variable};

/// Whether the text holds a variable.
pub(crate) fn any(text: &str) -> bool {
    text.contains('$')
}

/// The names of the variables in a text, in lower case; an error is nginx's.
pub(crate) fn names(text: &str) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('$') {
        let (name, left) = Template::name(after)?;
        names.push(name.to_ascii_lowercase());
        rest = left;
    }
    Ok(names)
}

/// Checks the spelling of the variables in a word, and complains.
pub(crate) fn check(word: &Word, b: &mut Binder) -> bool {
    match names(&word.text) {
        Ok(_) => true,
        Err(message) => {
            b.error(word.span, Problem::Other(message));
            false
        }
    }
}

/// The name of a variable that is defined here, in lower case; complains where it cannot be.
pub(crate) fn defined(word: &Word, b: &mut Binder) -> Option<String> {
    let Some(name) = word.text.strip_prefix('$').filter(|name| !name.is_empty()) else {
        b.error(word.span, Problem::Other(format!("invalid variable name \"{}\"", word.text)));
        return None;
    };
    let name = name.to_ascii_lowercase();
    if is_known(&name) {
        b.error(word.span, Problem::Other(format!("the duplicate \"{name}\" variable")));
        return None;
    }
    Some(name)
}

/// Whether nginx's stream modules have a variable of this name, in lower case.
pub(crate) fn is_known(name: &str) -> bool {
    Variable::named(name).is_some()
}

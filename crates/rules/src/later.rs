//! Rules that a session waits for: those behind them run once it knows.

use crate::expr::Expr;
use crate::record::{Record, Variable};
use crate::scope::{Found, Scope};

/// `do-resolve(variable,resolvers,family) expr`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lookup {
    /// What becomes the address; `None` if its name is none, as HAProxy lets it be.
    pub variable: Option<Variable>,
    /// The name of the `resolvers` section that is asked.
    pub resolvers: Box<str>,
    /// `ipv4`: an IPv4 address if there is one; the other family is asked otherwise.
    pub prefer_v4: bool,
    /// The name.
    pub expr: Expr,
}

/// What a session has to find out before its rules go on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Question {
    /// What becomes the answer, if it is an address.
    pub variable: Option<Variable>,
    /// The `resolvers` section that is asked.
    pub resolvers: Box<str>,
    /// Whether IPv4 is preferred.
    pub prefer_v4: bool,
    /// The name.
    pub name: Box<str>,
}

impl Lookup {
    /// What has to be asked; `None` if there is no name, or no time to wait for an answer.
    pub(crate) fn question<'a>(
        &'a self,
        scope: &Scope<'a>,
        record: &mut Record,
    ) -> Option<Question> {
        if scope.last {
            return None;
        }
        let (Found::Value(value) | Found::Tentative(value)) = self.expr.eval(scope, record) else {
            return None;
        };
        let name = String::from_utf8(value.into_text().into_owned()).ok()?;
        (!name.is_empty()).then(|| Question {
            variable: self.variable.clone(),
            resolvers: self.resolvers.clone(),
            prefer_v4: self.prefer_v4,
            name: name.into(),
        })
    }
}

//! Configuration text, statements, keyword tables and complaints, for any dialect.
//!
//! ```text
//!  files ─► Sources ─► a dialect's lexer ─► Vec<Stmt> ─► Binder + tables ─► model
//!              │                 words with spans            │
//!              └──────── spans lead back here ◄──── Vec<Diagnostic>
//!                                                        │
//!                        upstream's line │ excerpt and caret
//! ```
//!
//! Every stage is total: it returns what it understood and a list of complaints. A keyword is
//! declared once, as a row of a table; parsing, ranges, "did you mean", the compatibility matrix
//! and the reference all come from that row.
//!
//! A complete dialect of two keywords:
//!
//! ```
//! use std::time::Duration;
//! use conf::{ANYWHERE, Binder, Form, Keyword, Manners, Place, Problem, Sources, Stmt, Unit, Word};
//!
//! #[derive(Default)]
//! struct Router { vrid: u8, advert: Duration }
//!
//! const ROUTER: &[Keyword<Router>] = &[
//!     Keyword::new("virtual_router_id", Form::U8(1..=255, |r, n| r.vrid = n)),
//!     Keyword::new("advert_int", Form::Time(Unit::Decimal, |r, t| r.advert = t)),
//! ];
//!
//! let mut sources = Sources::default();
//! let file = sources.add("demo.conf", "virtual_router_idd 51\nadvert_int 0.5\n");
//! let stmts: Vec<Stmt> = conf::split_lines(&sources, file);
//! let mut binder = Binder::new(Manners::default());
//! let mut router = Router::default();
//! binder.bind(ROUTER, Place::new(ANYWHERE, "router"), &stmts, &mut router);
//!
//! assert_eq!(router.advert, Duration::from_millis(500));
//! let Problem::UnknownKeyword { nearest, .. } = &binder.problems[0].problem else { panic!() };
//! assert_eq!(nearest.as_deref(), Some("virtual_router_id"));
//! ```

#![forbid(unsafe_code)]

mod bind;
mod keyword;
mod literal;
mod nearest;
pub mod outside;
mod problem;
mod reference;
mod render;
mod source;
mod word;

pub use bind::{Binder, Manners, Place, Surplus};
pub use keyword::{ANYWHERE, Form, Keyword, Row, Status, Table, Unit, Within};
pub use literal::{decimal_seconds, size, time};
pub use nearest::nearest;
pub use problem::{Diagnostic, Problem, Severity, Wording};
pub use reference::{Count, count, matrix, reference};
pub use render::pretty;
pub use source::{FileId, ReadError, Sources, Span};
pub use word::{Stmt, Word, split_lines};

#[cfg(test)]
mod tests;

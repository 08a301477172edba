//! Formats that go with connections: `unique-id-format`, `set-proxy-v2-tlv-fmt`.

use conf::{Problem, Severity, Word};
use proxy::Mode;
use rules::{Format, Place};

use super::rules::Lowering;
use crate::draft::ServerDraft;
use crate::expr::Wrong;
use crate::format::{Purpose, parse};
use crate::say::{CAPITAL, Complain};

impl Lowering<'_> {
    /// What identifies the connections of a frontend.
    pub(super) fn unique_id(&mut self) -> Option<Box<Format>> {
        let word = self.draft.unique_id_format.clone()?;
        self.format(&word, "unique-id").map(Box::new)
    }

    /// `error-log-format` and `log-format-sd`.
    pub(super) fn more_logs(&mut self) -> (Option<Box<Format>>, Option<Box<Format>>) {
        let structured = self.draft.structured_format.clone();
        let structured = structured.and_then(|word| self.format(&word, "log-format-sd"));
        let errors = self.draft.error_format.clone();
        let errors = errors.and_then(|word| self.format_for(&word, "error-log-format", true));
        (errors.map(Box::new), structured.map(Box::new))
    }

    /// The TLVs a server's line asks for.
    pub(super) fn tlvs(&mut self, server: &ServerDraft) -> Vec<(u8, Format)> {
        let written = server.tlvs.iter();
        written.filter_map(|(kind, word)| Some((*kind, self.format(word, "custom TLV")?))).collect()
    }

    fn format(&mut self, word: &Word, what: &str) -> Option<Format> {
        self.format_for(word, what, false)
    }

    /// A format; a whole line of a log has its manners.
    fn format_for(&mut self, word: &Word, what: &str, log: bool) -> Option<Format> {
        let http = self.draft.mode == Mode::Http;
        let purpose = Purpose { places: &[Place::Log], http, log };
        self.loader.returns_to(word.span);
        match parse(&self.draft.context, &word.text, purpose) {
            Ok(mut format) => {
                for expr in format.exprs_mut() {
                    self.sample(expr, word.span, "log-format string");
                }
                Some(format)
            }
            Err(Wrong::Planned(keyword)) => {
                self.loader.binder.error(word.span, Problem::Planned { keyword });
                None
            }
            Err(Wrong::Said(why)) => {
                let text = format!("failed to parse {what} : {why}.");
                self.loader.binder.complain(Severity::Error, CAPITAL, word.span, text);
                None
            }
        }
    }
}

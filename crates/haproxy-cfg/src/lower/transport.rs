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

    /// The TLVs a server's line asks for.
    pub(super) fn tlvs(&mut self, server: &ServerDraft) -> Vec<(u8, Format)> {
        let written = server.tlvs.iter();
        written.filter_map(|(kind, word)| Some((*kind, self.format(word, "custom TLV")?))).collect()
    }

    fn format(&mut self, word: &Word, what: &str) -> Option<Format> {
        let http = self.draft.mode == Mode::Http;
        let purpose = Purpose { places: &[Place::Log], http, log: false };
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

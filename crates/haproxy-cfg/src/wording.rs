//! HAProxy's words.

use conf::{Diagnostic, Problem, Sources, Wording};

use crate::say::{BARE, CAPITAL, LOUD, NOWHERE, SUMMARY, TIGHT};

/// HAProxy 2.6's wording of complaints.
#[derive(Clone, Copy, Debug, Default)]
pub struct HaProxy;

impl Wording for HaProxy {
    fn say(&self, diagnostic: &Diagnostic) -> String {
        match &diagnostic.problem {
            Problem::Other(text) => text.clone(),
            Problem::NoEffect { keyword, why } => format!("'{keyword}' has no effect: {why}"),
            Problem::Planned { keyword } => format!("not supported yet: {keyword}"),
            Problem::UnknownKeyword { word, section, nearest } => {
                let (said, end) = match section.as_str() {
                    "bind" | "server" | "default-server" | "stats socket" => {
                        (format!("unknown keyword '{word}'"), ".")
                    }
                    section => (format!("unknown keyword '{word}' in '{section}' section"), ""),
                };
                let hint = if section == "default-server" {
                    " Hint: no address was expected for this server."
                } else {
                    ""
                };
                match nearest {
                    Some(nearest) if section == "stats socket" => {
                        format!("{said}. Did you mean '{nearest}' maybe ?")
                    }
                    Some(nearest) => format!("{said}; did you mean '{nearest}' maybe ?{hint}"),
                    None => format!("{said}{end}{hint}"),
                }
            }
            Problem::MissingArgument { keyword, usage, .. } => {
                format!("'{keyword}' expects {usage} as argument.")
            }
            Problem::Misplaced { keyword, section } => {
                format!("'{keyword}' not allowed in '{section}' section.")
            }
            Problem::NotATime { keyword, word } => {
                format!("cannot parse '{keyword}' value '{word}', a time is expected.")
            }
            Problem::NotANumber { keyword, word } => {
                format!("cannot parse '{keyword}' value '{word}', an integer is expected.")
            }
            Problem::NotOneOf { keyword, of, word } => {
                format!("'{keyword}' supports '{}' (got '{word}')", of.join("', '"))
            }
            Problem::OutOfRange { keyword, word, range } => {
                let (from, to) = (range.start(), range.end());
                format!("'{keyword}' value must be between {from} and {to} (was {word})")
            }
            Problem::Surplus { keyword, word } => {
                format!("'{keyword}' cannot handle unexpected argument '{word}'.")
            }
            Problem::UnmatchedQuote { .. } => "unmatched quote".to_owned(),
            Problem::Usage { keyword, usage } => format!("'{keyword}' expects {usage}."),
            Problem::Deprecated { keyword, instead } => {
                format!("the '{keyword}' directive is deprecated. Use '{instead}'.")
            }
        }
    }

    fn line(&self, sources: &Sources, diagnostic: &Diagnostic) -> String {
        let said = self.say(diagnostic);
        let place =
            format!("{}:{}", sources.name(diagnostic.span.file), sources.line(diagnostic.span));
        let unknown = matches!(diagnostic.problem, Problem::UnknownKeyword { .. });
        let planned = matches!(diagnostic.problem, Problem::Planned { .. });
        let text = match diagnostic.context.as_str() {
            "" | LOUD => format!("parsing [{place}] : {said}"),
            TIGHT => format!("parsing [{place}]: {said}"),
            CAPITAL => format!("Parsing [{place}]: {said}"),
            BARE | "default-server" => format!("[{place}] : {said}"),
            NOWHERE | SUMMARY => said,
            "stats socket" if !unknown && !planned => {
                format!("parsing [{place}] : 'stats socket' : '{said}'")
            }
            context if context.starts_with("server ") => {
                format!("[{place}] : '{context}' : {said}")
            }
            context if context.starts_with("bind ") && unknown => {
                format!("parsing [{place}] : '{context}': {said}")
            }
            context => format!("parsing [{place}] : '{context}' : {said}"),
        };
        format!("config : {text}")
    }

    fn help(&self, diagnostic: &Diagnostic) -> Option<String> {
        diagnostic.help.clone().or_else(|| match &diagnostic.problem {
            Problem::Planned { .. } => {
                Some("remove it, or see the compatibility matrix for what works".into())
            }
            _ => None,
        })
    }
}

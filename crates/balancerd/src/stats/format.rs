//! The forms counters are shown in: plain, `typed`, `json`, with descriptions.

use std::fmt::{self, Write as _};

/// How counters are shown.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Format {
    /// In what form.
    pub(crate) form: Form,
    /// `desc`: with a description of each.
    pub(crate) described: bool,
    /// `float`: seconds with their fractions.
    pub(crate) float: bool,
}

/// `typed`, `json`, or neither.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Form {
    #[default]
    Plain,
    Typed,
    Json,
}

impl Format {
    /// What the words of a command ask for.
    pub(crate) fn of(words: &[&str]) -> Self {
        let form = words.iter().find_map(|word| match *word {
            "typed" => Some(Form::Typed),
            "json" => Some(Form::Json),
            _ => None,
        });
        Self {
            form: form.unwrap_or_default(),
            described: words.contains(&"desc"),
            float: words.contains(&"float"),
        }
    }
}

/// The type of a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Type {
    Str,
    U32,
    U64,
    S32,
}

impl Type {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Str => "str",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::S32 => "s32",
        }
    }
}

/// The three letters behind a name in the `typed` form: where a value comes from, what it is, and
/// whom it concerns. (Since 3.3 HAProxy has a fourth.)
#[derive(Clone, Copy, Debug)]
pub(super) struct Tags(pub(super) &'static str);

impl Tags {
    fn letter(self, at: usize) -> u8 {
        self.0.as_bytes().get(at).copied().unwrap_or(b'?')
    }

    fn origin(self) -> &'static str {
        match self.letter(0) {
            b'M' => "Metric",
            b'S' => "Status",
            b'K' => "Key",
            b'C' => "Config",
            b'P' => "Product",
            _ => "Unknown",
        }
    }

    fn nature(self) -> &'static str {
        match self.letter(1) {
            b'G' => "Gauge",
            b'L' => "Limit",
            b'm' => "Min",
            b'M' => "Max",
            b'R' => "Rate",
            b'C' => "Counter",
            b'D' => "Duration",
            b'A' => "Age",
            b'T' => "Time",
            b'N' => "Name",
            b'O' => "Output",
            b'a' => "Avg",
            _ => "Unknown",
        }
    }

    fn scope(self) -> &'static str {
        match self.letter(2) {
            b'C' => "Cluster",
            b'P' => "Process",
            b'S' => "Service",
            b'Y' => "System",
            _ => "Unknown",
        }
    }
}

/// One value as an element of JSON, without what tells whose it is.
pub(super) fn json(
    out: &mut String,
    position: usize,
    name: &str,
    tags: Tags,
    kind: Type,
    value: &str,
) {
    let (origin, nature, scope) = (tags.origin(), tags.nature(), tags.scope());
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "\"field\":{{\"pos\":{position},\"name\":\"{name}\"}},\"processNum\":1,\
         \"tags\":{{\"origin\":\"{origin}\",\"nature\":\"{nature}\",\"scope\":\"{scope}\"}},\
         \"value\":{{\"type\":\"{}\",\"value\":",
        kind.name()
    );
    let _ = match kind {
        Type::Str => write!(out, "\"{}\"}}", Escaped(value)),
        _ => write!(out, "{value}}}"),
    };
}

/// A text inside of quotes in JSON.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                letter if letter.is_control() => write!(f, "\\u{:04x}", u32::from(letter))?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// RFC 4180, as HAProxy does: quotes around what holds a comma, a quote or a line break.
pub(super) fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// The answer to `show schema json`: the form of the other JSON answers, as JSON Schema draft 4.
pub(crate) fn schema() -> String {
    let field = |title: &str, more: &str, required: &str| {
        format!(
            "{{\"title\":\"{title}\",\"type\":\"array\",\"items\":{{\"title\":\"InfoItem\",\
             \"type\":\"object\",\"properties\":{{{more}\"field\":{{\"$ref\":\
             \"#/definitions/field\"}},\"processNum\":{{\"$ref\":\"#/definitions/processNum\"}},\
             \"tags\":{{\"$ref\":\"#/definitions/tags\"}},{}:{{\"$ref\":\
             \"#/definitions/typedValue\"}}}},\"required\":[{required}\"field\",\"processNum\",\
             \"tags\",\"value\"]}}}}",
            if title == "Info" { "\"value\"" } else { "\"typedValue\"" },
        )
    };
    let stat = "\"objType\":{\"enum\":[\"Frontend\",\"Backend\",\"Listener\",\"Server\",\
                \"Unknown\"]},\"proxyId\":{\"type\":\"integer\",\"minimum\":0},\
                \"id\":{\"type\":\"integer\",\"minimum\":0},";
    let stat = field("Stat", stat, "\"objType\",\"proxyId\",\"id\",");
    let number = |name: &str, low: &str, high: &str| {
        format!(
            "\"{name}Value\":{{\"properties\":{{\"type\":{{\"type\":\"string\",\"enum\":\
             [\"{name}\"]}},\"value\":{{\"type\":\"integer\",\"minimum\":{low},\
             \"maximum\":{high}}}}},\"required\":[\"type\",\"value\"]}},"
        )
    };
    let numbers: String = [
        number("s32", "-2147483648", "2147483647"),
        number("s64", "-9007199254740991", "9007199254740991"),
        number("u32", "0", "4294967295"),
        number("u64", "0", "9007199254740991"),
    ]
    .concat();
    let one_of: Vec<String> = ["s32", "s64", "u32", "u64", "str"]
        .iter()
        .map(|name| format!("{{\"$ref\":\"#/definitions/typedValue/definitions/{name}Value\"}}"))
        .collect();
    format!(
        "{{\"$schema\":\"http://json-schema.org/draft-04/schema#\",\"oneOf\":[{},{stat},\
         {{\"title\":\"Error\",\"type\":\"object\",\"properties\":{{\"errorStr\":{{\"type\":\
         \"string\"}}}},\"required\":[\"errorStr\"]}}],\"definitions\":{{\"field\":{{\"type\":\
         \"object\",\"pos\":{{\"type\":\"integer\",\"minimum\":0}},\"name\":{{\"type\":\
         \"string\"}},\"required\":[\"pos\",\"name\"]}},\"processNum\":{{\"type\":\"integer\",\
         \"minimum\":1}},\"tags\":{{\"type\":\"object\",\"origin\":{{\"type\":\"string\",\
         \"enum\":[\"Metric\",\"Status\",\"Key\",\"Config\",\"Product\",\"Unknown\"]}},\
         \"nature\":{{\"type\":\"string\",\"enum\":[\"Gauge\",\"Limit\",\"Min\",\"Max\",\
         \"Rate\",\"Counter\",\"Duration\",\"Age\",\"Time\",\"Name\",\"Output\",\"Avg\", \
         \"Unknown\"]}},\"scope\":{{\"type\":\"string\",\"enum\":[\"Cluster\",\"Process\",\
         \"Service\",\"System\",\"Unknown\"]}},\"required\":[\"origin\",\"nature\",\"scope\"]}},\
         \"typedValue\":{{\"type\":\"object\",\"oneOf\":[{}],\"definitions\":{{{numbers}\
         \"strValue\":{{\"properties\":{{\"type\":{{\"type\":\"string\",\"enum\":[\"str\"]}},\
         \"value\":{{\"type\":\"string\"}}}},\"required\":[\"type\",\"value\"]}},\
         \"unknownValue\":{{\"properties\":{{\"type\":{{\"type\":\"integer\",\"minimum\":0}},\
         \"value\":{{\"type\":\"string\",\"enum\":[\"unknown\"]}}}},\"required\":[\"type\",\
         \"value\"]}}}}}}}}}}\n",
        field("Info", "", ""),
        one_of.join(","),
    )
}

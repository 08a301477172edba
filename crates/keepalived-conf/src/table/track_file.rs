//! `track_file NAME { … }`

use conf::Keyword;

type Planned = Keyword<()>;

/// A watched file.
pub(crate) const TRACK_FILE: &[Planned] = &[
    Planned::planned("file", "<path>").doc("The file, which holds a number."),
    Planned::planned("weight", "<-254..254> [reverse]").doc("What the number is multiplied by."),
    Planned::planned("init_file", "[<number>] [overwrite]").doc("Makes the file at the start."),
];

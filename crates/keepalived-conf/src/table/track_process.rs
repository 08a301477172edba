//! `vrrp_track_process NAME { … }`

use conf::Keyword;

type Planned = Keyword<()>;

/// A watched process.
pub(crate) const VRRP_TRACK_PROCESS: &[Planned] = &[
    Planned::planned("process", "<name> [<argument>…]").doc("The process and its arguments."),
    Planned::planned("weight", "<-254..254> [reverse]").doc("What it adds to the priority."),
    Planned::planned("quorum", "<1..65535>").doc("How many must run."),
    Planned::planned("quorum_max", "<0..65535>").doc("How many may run."),
    Planned::planned("delay", "<seconds>").doc("How long changes are waited out."),
    Planned::planned("fork_delay", "<seconds>").doc("The same for starts."),
    Planned::planned("terminate_delay", "<seconds>").doc("The same for ends."),
    Planned::planned("full_command", "").doc("Matches the whole command line."),
    Planned::planned("param_match", "initial|partial").doc("How arguments match."),
];

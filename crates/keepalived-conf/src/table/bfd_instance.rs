//! `bfd_instance NAME { … }` (RFC 5880)

use conf::Keyword;

type Planned = Keyword<()>;

/// Why they do nothing.
const NO_BFD: &str = "there is no BFD yet";

/// A BFD session.
pub(crate) const BFD_INSTANCE: &[Planned] = &[
    Planned::accepted("neighbor_ip", "<addr>", NO_BFD).doc("The other end."),
    Planned::accepted("neighbour_ip", "<addr>", NO_BFD).doc("The other end."),
    Planned::accepted("source_ip", "<addr>", NO_BFD).doc("Our end."),
    Planned::accepted("min_rx", "<1..4294967>", NO_BFD)
        .doc("The shortest time between packets heard, in milliseconds."),
    Planned::accepted("min_tx", "<1..4294967>", NO_BFD)
        .doc("The shortest time between packets sent, in milliseconds."),
    Planned::accepted("idle_tx", "<1000..4294967>", NO_BFD)
        .doc("The same while the session is down."),
    Planned::accepted("multiplier", "<1..255>", NO_BFD).doc("How many packets may be missed."),
    Planned::accepted("passive", "", NO_BFD).doc("Waits for the other end."),
    Planned::accepted("ttl", "<1..255>", NO_BFD).doc("The hop limit of packets."),
    Planned::accepted("hoplimit", "<1..255>", NO_BFD).doc("The hop limit of packets."),
    Planned::accepted("max_hops", "<-1..255>", NO_BFD).doc("How far the other end may be."),
    Planned::accepted("multihop", "", NO_BFD).doc("Uses the port for sessions over several hops."),
    Planned::accepted("weight", "<-253..253> [reverse]", NO_BFD)
        .doc("What it adds to the priority."),
    Planned::accepted("vrrp", "", NO_BFD).doc("For instances only."),
    Planned::accepted("checker", "", NO_BFD).doc("For checkers only."),
];

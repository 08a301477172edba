//! `bfd_instance NAME { … }` (RFC 5880)

use conf::Keyword;

type Planned = Keyword<()>;

/// A BFD session.
pub(crate) const BFD_INSTANCE: &[Planned] = &[
    Planned::planned("neighbor_ip", "<addr>").doc("The other end."),
    Planned::planned("neighbour_ip", "<addr>").doc("The other end."),
    Planned::planned("source_ip", "<addr>").doc("Our end."),
    Planned::planned("min_rx", "<1..4294967>")
        .doc("The shortest time between packets heard, in milliseconds."),
    Planned::planned("min_tx", "<1..4294967>")
        .doc("The shortest time between packets sent, in milliseconds."),
    Planned::planned("idle_tx", "<1000..4294967>").doc("The same while the session is down."),
    Planned::planned("multiplier", "<1..255>").doc("How many packets may be missed."),
    Planned::planned("passive", "").doc("Waits for the other end."),
    Planned::planned("ttl", "<1..255>").doc("The hop limit of packets."),
    Planned::planned("hoplimit", "<1..255>").doc("The hop limit of packets."),
    Planned::planned("max_hops", "<-1..255>").doc("How far the other end may be."),
    Planned::planned("multihop", "").doc("Uses the port for sessions over several hops."),
    Planned::planned("weight", "<-253..253> [reverse]").doc("What it adds to the priority."),
    Planned::planned("vrrp", "").doc("For instances only."),
    Planned::planned("checker", "").doc("For checkers only."),
];

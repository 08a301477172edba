//! `garp_group { … }`

use conf::Keyword;

type Planned = Keyword<()>;

/// Interfaces that share a pace.
pub(crate) const GARP_GROUP: &[Planned] = &[
    Planned::planned("garp_interval", "<seconds>").doc("Between announcements by ARP."),
    Planned::planned("gna_interval", "<seconds>").doc("Between neighbour adverts."),
    Planned::planned("interface", "<ifname>").doc("One interface."),
    Planned::planned("interfaces", "{ <ifname> … }").doc("Several interfaces."),
];

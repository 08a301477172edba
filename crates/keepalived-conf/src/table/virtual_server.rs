//! `virtual_server … { … }`

use conf::Keyword;

type Planned = Keyword<()>;

/// A service of IPVS.
pub(crate) const VIRTUAL_SERVER: &[Planned] = &[
    Planned::planned("delay_loop", "<seconds>").doc("Between two checks."),
    Planned::planned("lb_algo", "rr|wrr|lc|wlc|lblc|sh|mh|dh|fo|ovf|lblcr|sed|nq|twos")
        .doc("How a server is picked."),
    Planned::planned("lvs_sched", "rr|wrr|lc|wlc|lblc|sh|mh|dh|fo|ovf|lblcr|sed|nq|twos")
        .doc("The same as `lb_algo`."),
    Planned::planned("lb_kind", "NAT|DR|TUN").doc("How packets get to the server."),
    Planned::planned("lvs_method", "NAT|DR|TUN").doc("The same as `lb_kind`."),
    Planned::planned("protocol", "TCP|UDP|SCTP").doc("The protocol."),
    Planned::planned("persistence_timeout", "[<seconds>]")
        .doc("How long a client stays with a server."),
    Planned::planned("persistence_granularity", "<mask>")
        .doc("How much of a client's address counts."),
    Planned::planned("persistence_engine", "sip").doc("What tells clients apart."),
    Planned::planned("real_server", "<addr> [<port>] { … }").doc("A server."),
    Planned::planned("sorry_server", "<addr> [<port>]").doc("The server of last resort."),
    Planned::planned("sorry_server_inhibit", "").doc("It stays known at weight 0."),
    Planned::planned("sorry_server_lvs_method", "NAT|DR|TUN").doc("How packets get to it."),
    Planned::planned("virtualhost", "<name>").doc("The host HTTP checks ask for."),
    Planned::planned("quorum", "<number>").doc("How much weight must be alive."),
    Planned::planned("hysteresis", "<number>").doc("How much more or less before it counts."),
    Planned::planned("quorum_up", "<command>").doc("A command run when there is enough."),
    Planned::planned("quorum_down", "<command>").doc("A command run when there is not."),
    Planned::planned("alpha", "").doc("Servers are down until checked."),
    Planned::planned("omega", "").doc("Commands run at the end."),
    Planned::planned("ha_suspend", "").doc("No checks while the address is elsewhere."),
    Planned::planned("inhibit_on_failure", "").doc("Failed servers stay known at weight 0."),
    Planned::planned("ops", "").doc("Every packet by itself."),
    Planned::planned("hashed", "").doc("A flag of the scheduler."),
    Planned::planned("flag-1", "").doc("A flag of the scheduler."),
    Planned::planned("flag-2", "").doc("A flag of the scheduler."),
    Planned::planned("flag-3", "").doc("A flag of the scheduler."),
    Planned::planned("sh-port", "").doc("The port counts for `sh`."),
    Planned::planned("sh-fallback", "").doc("Another server for `sh` if one is down."),
    Planned::planned("mh-port", "").doc("The port counts for `mh`."),
    Planned::planned("mh-fallback", "").doc("Another server for `mh` if one is down."),
    Planned::planned("retry", "<number>").doc("How often a check is tried again."),
    Planned::planned("delay_before_retry", "<seconds>").doc("Between two tries."),
    Planned::planned("warmup", "<seconds>").doc("The longest wait before the first check."),
    Planned::planned("connect_timeout", "<seconds>").doc("How long a check may connect."),
    Planned::planned("smtp_alert", "[on|off]").doc("Mail when a server changes."),
    Planned::planned("snmp_name", "<name>").doc("The name in SNMP."),
    Planned::planned("ip_family", "inet|inet6").doc("The family of a service by mark."),
    Planned::planned("weight", "<number>").doc("The weight of servers that set none."),
    Planned::planned("fwmark", "<number>").doc("A service by mark, in a group."),
];

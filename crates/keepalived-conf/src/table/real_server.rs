//! `real_server ADDR PORT { … }`

use conf::Keyword;

type Planned = Keyword<()>;

/// A server of a virtual server.
pub(crate) const REAL_SERVER: &[Planned] = &[
    Planned::planned("weight", "<number>").doc("How much it gets."),
    Planned::planned("inhibit_on_failure", "").doc("It stays known at weight 0."),
    Planned::planned("notify_up", "<command>").doc("A command run when it is up."),
    Planned::planned("notify_down", "<command>").doc("A command run when it is down."),
    Planned::planned("uthreshold", "<number>").doc("The most connections."),
    Planned::planned("lthreshold", "<number>").doc("When it gets connections again."),
    Planned::planned("lvs_method", "NAT|DR|TUN").doc("How packets get to it."),
    Planned::planned("virtualhost", "<name>").doc("The host HTTP checks ask for."),
    Planned::planned("smtp_alert", "[on|off]").doc("Mail when it changes."),
    Planned::planned("snmp_name", "<name>").doc("The name in SNMP."),
    Planned::planned("alpha", "").doc("It is down until checked."),
    Planned::planned("retry", "<number>").doc("How often a check is tried again."),
    Planned::planned("delay_before_retry", "<seconds>").doc("Between two tries."),
    Planned::planned("warmup", "<seconds>").doc("The longest wait before the first check."),
    Planned::planned("connect_timeout", "<seconds>").doc("How long a check may connect."),
    Planned::planned("delay_loop", "<seconds>").doc("Between two checks."),
    Planned::planned("TCP_CHECK", "{ … }").doc("It accepts a connection."),
    Planned::planned("HTTP_GET", "{ … }").doc("A page has the right digest or status."),
    Planned::planned("SSL_GET", "{ … }").doc("The same over TLS."),
    Planned::planned("MISC_CHECK", "{ … }").doc("A command says so."),
    Planned::planned("SMTP_CHECK", "{ … }").doc("It speaks SMTP."),
    Planned::planned("DNS_CHECK", "{ … }").doc("It answers a query."),
    Planned::planned("UDP_CHECK", "{ … }").doc("A packet is not refused."),
    Planned::planned("PING_CHECK", "{ … }").doc("It answers a ping."),
    Planned::planned("FILE_CHECK", "{ … }").doc("A file says so."),
    Planned::planned("BFD_CHECK", "{ … }").doc("A BFD session says so."),
];

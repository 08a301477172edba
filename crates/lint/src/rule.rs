//! The mistakes that are looked for.

use conf::Severity;

/// A mistake that guides, issue trackers and runs of the originals show again and again.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name, shown behind each finding.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in a sentence.
    pub what: &'static str,
}

const fn error(name: &'static str, what: &'static str) -> Rule {
    Rule { name, severity: Severity::Error, what }
}

const fn warning(name: &'static str, what: &'static str) -> Rule {
    Rule { name, severity: Severity::Warning, what }
}

const fn notice(name: &'static str, what: &'static str) -> Rule {
    Rule { name, severity: Severity::Notice, what }
}

/// All of them, by what they look at.
pub const RULES: &[Rule] = &[
    // One keepalived.conf; more is said by the parser itself.
    warning("script-as-root", "a check is run by root, although it could be anybody's to change"),
    warning("slow-timeout", "a check may take longer than the time between two of them"),
    notice(
        "clear-text-password",
        "the password of authentication PASS can be read by all on the network",
    ),
    notice(
        "common-router-id",
        "the number 51 stands in many guides: another pair on the network may have it",
    ),
    warning("any-checksum", "v3_checksum_as_v2 is for routers that do not follow RFC 9568"),
    error("sub-second-version-2", "version 2 counts adverts in whole seconds"),
    warning("peer-is-self", "a unicast peer is the node itself"),
    warning(
        "no-source",
        "unicast peers without unicast_src_ip: the source is whatever the route gives",
    ),
    warning("preempt-without-effect", "a state or a delay that nopreempt makes meaningless"),
    // One haproxy.cfg or nginx.conf.
    warning("cut-watches", "a time-out that cuts connections which are idle for good reasons"),
    warning("few-connections", "a limit of connections that long-lived ones use up"),
    warning("nobody-checks", "a dead server keeps getting its share of the connections"),
    warning("check-in-the-clear", "a check speaks plain HTTP to a port that speaks TLS"),
    notice("any-answer-will-do", "a health check that takes any 2xx or 3xx answer for good"),
    notice("found-by-clients", "a dead server is found out by a client's connection"),
    warning("odd-port", "one server of a group has another port than all others"),
    error("not-included", "a file with a stream block that nothing includes"),
    // A node's files beside each other, and its machine.
    error(
        "address-not-here",
        "a proxy binds an address that is not on the machine, which forbids it",
    ),
    notice("needs-nonlocal-bind", "a proxy binds the floating address, which only one node has"),
    error("nobody-listens", "the floating address is brought here, and no proxy listens on it"),
    error("claimed-twice", "two proxies listen on the same address and port"),
    error(
        "loop",
        "a server is the floating address or the proxy itself: connections go in circles",
    ),
    warning("port-taken", "the proxy and a server on this machine want the same port"),
    error("own-address", "a virtual address is an address of the machine, which is not its owner"),
    warning(
        "interface-prefix",
        "a virtual address with the prefix of the network: routes may move with it",
    ),
    error("firewall-drops-vrrp", "a firewall drops protocol 112: every node will be master"),
    warning(
        "one-check-for-all",
        "all nodes check the same server: when it dies, all of them fail at once",
    ),
    // The nodes of a cluster beside each other.
    error("equal-priorities", "two nodes with the same priority"),
    error("weight-too-small", "a failed check that does not change who is master"),
    warning("weight-makes-equal", "a failed check that leaves two nodes with the same priority"),
    error(
        "advert-interval-differs",
        "nodes with different intervals drop each other's adverts, or are late",
    ),
    error("authentication-differs", "nodes that do not accept each other's adverts"),
    error("version-differs", "nodes that do not understand each other"),
    warning("addresses-differ", "nodes that hold different addresses under one number"),
    error("peers-differ", "a node that is not told by another one's adverts"),
    warning("number-shared", "two clusters with one virtual router id on one network"),
    warning("check-on-one-node", "a check that lowers the priority on one node only"),
    notice(
        "both-say-master",
        "state MASTER on more than one node has no effect beyond a moment at the start",
    ),
];

/// How bad what a rule finds is.
pub(crate) fn severity(name: &str) -> Severity {
    let rule = RULES.iter().find(|rule| rule.name == name);
    debug_assert!(rule.is_some(), "no rule {name}");
    rule.map_or(Severity::Notice, |rule| rule.severity)
}

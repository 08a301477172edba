//! What only the files of several nodes show together.

use std::collections::BTreeSet;
use std::net::IpAddr;

use vrrp::config::{Auth, InstanceConfig, OWNER, ScriptConfig, TrackedScript};

use crate::node::{Keepalived, Node};
use crate::{Location, Note};

/// A node's view of a virtual router.
#[derive(Clone, Copy)]
struct Seat<'a> {
    node: &'a Node,
    keepalived: &'a Keepalived,
    instance: &'a InstanceConfig,
}

impl Seat<'_> {
    fn at(&self, keyword: &str) -> Location {
        self.keepalived.at("vrrp_instance", &self.instance.name, keyword)
    }

    fn addresses(&self) -> BTreeSet<IpAddr> {
        self.instance.addresses.iter().map(|address| address.address).collect()
    }

    fn scripts(&self) -> &[ScriptConfig] {
        self.keepalived.config().map_or(&[], |config| &config.scripts)
    }

    fn script(&self, name: &str) -> Option<&ScriptConfig> {
        self.scripts().iter().find(|script| script.name == name)
    }

    /// What a tracked script adds to the priority; 0 takes the node out of the race.
    fn weight(&self, tracked: &TrackedScript) -> i32 {
        let own = tracked.weight.map(i32::from);
        own.or_else(|| Some(self.script(&tracked.script)?.weight.into())).unwrap_or(0)
    }

    /// The priority with the scripts in `failed` failing and all others passing.
    fn priority(&self, failed: &[&str]) -> i32 {
        let base = i32::from(self.instance.priority);
        if self.instance.priority == OWNER {
            return base;
        }
        let mut sum = base;
        for tracked in &self.instance.track_scripts {
            let weight = self.weight(tracked);
            let fails = failed.contains(&tracked.script.as_str());
            match (weight, fails) {
                (0, true) => return 0,
                (weight, true) if weight < 0 => sum += weight,
                (weight, false) if weight > 0 => sum += weight,
                _ => {}
            }
        }
        sum.clamp(1, 254)
    }
}

/// Compares the nodes pair by pair.
pub(crate) fn look(nodes: &[Node], note: &mut Note<'_>) {
    let seats: Vec<Vec<Seat<'_>>> = nodes
        .iter()
        .map(|node| {
            let all = node.keepalived.iter().flat_map(|keepalived| {
                let seat = move |instance| Seat { node, keepalived, instance };
                keepalived.instances().iter().map(seat)
            });
            all.collect()
        })
        .collect();
    for (index, later) in seats.iter().enumerate().skip(1) {
        for b in later {
            for a in seats[..index].iter().flatten() {
                let (x, y) = (a.instance, b.instance);
                if x.vrid == y.vrid && x.is_ipv4() == y.is_ipv4() {
                    pair(*a, *b, note);
                }
            }
        }
    }
}

/// Two nodes of one virtual router.
fn pair(a: Seat<'_>, b: Seat<'_>, note: &mut Note<'_>) {
    let (x, y) = (a.instance, b.instance);
    let (other, name) = (&a.node.name, &y.name);
    let (mine, theirs) = (b.addresses(), a.addresses());
    if !mine.is_empty() && !theirs.is_empty() && mine.is_disjoint(&theirs) {
        note.add(
            "number-shared",
            b.at("virtual_router_id"),
            format!("({name}) node {other} uses number {} for other addresses: on one network neither works", y.vrid),
            "give each group of addresses a number of its own",
        );
        return;
    }
    if mine != theirs {
        let differ: Vec<String> =
            mine.symmetric_difference(&theirs).map(IpAddr::to_string).collect();
        note.add(
            "addresses-differ",
            b.at("virtual_ipaddress"),
            format!("({name}) {} stand on one of this node and {other} only: they are away while the other one is master, and versions before 2.3.3 drop the other's adverts", differ.join(", ")),
            "write the same list on every node; to add one, stop the backups first",
        );
    }
    if x.priority == y.priority {
        note.add(
            "equal-priorities",
            b.at("priority"),
            format!("node {other} has priority {} too: which of them is master is decided by their addresses", y.priority),
            format!("give every node a priority of its own, for example {}", y.priority.saturating_sub(1).max(1)),
        );
    }
    if x.version != y.version {
        note.add(
            "version-differs",
            b.at("version"),
            format!("({name}) node {other} speaks another version of VRRP: both will be master"),
            "write the same 'vrrp_version' on every node",
        );
        return;
    }
    if x.advert_interval != y.advert_interval {
        note.add(
            "advert-interval-differs",
            b.at("advert_int"),
            format!(
                "({name}) {} s here, {} s on node {other}: with version 2 both drop the other's adverts and are master; with version 3 a backup follows the master's",
                y.advert_interval.as_secs_f64(),
                x.advert_interval.as_secs_f64()
            ),
            "write the same 'advert_int' on every node",
        );
    }
    if !same(x.auth.as_ref(), y.auth.as_ref()) {
        note.add(
            "authentication-differs",
            b.at("authentication"),
            format!("({name}) node {other} has another password or none: both drop the other's adverts and are master"),
            "write the same 'authentication' block on every node; of PASS only 8 characters count",
        );
    }
    let says_master =
        |seat: &Seat<'_>| seat.keepalived.written(&seat.instance.name, "state") == Some("MASTER");
    if says_master(&a) && says_master(&b) {
        note.add(
            "both-say-master",
            b.at("state"),
            format!("({name}) node {other} says MASTER too: the priority decides, after a moment"),
            "nothing; 'state BACKUP' everywhere starts more quietly",
        );
    }
    peers(a, b, note);
    peers(b, a, note);
    let (strong, weak) = if x.priority >= y.priority { (a, b) } else { (b, a) };
    weights(strong, weak, note);
}

/// Whether both would accept the other's; what is compared is what is sent.
fn same(a: Option<&Auth>, b: Option<&Auth>) -> bool {
    a == b
}

/// Whether `from` tells `to`.
fn peers(from: Seat<'_>, to: Seat<'_>, note: &mut Note<'_>) {
    let told = &from.instance.unicast_peers;
    let name = &from.instance.name;
    if told.is_empty() != to.instance.unicast_peers.is_empty() {
        if told.is_empty() {
            note.add(
                "peers-differ",
                from.at("interface"),
                format!(
                    "({name}) sends by multicast, node {} by unicast: both will be master",
                    to.node.name
                ),
                "write unicast_peer on every node, or on none",
            );
        }
        return;
    }
    let Some(source) = to.instance.source.filter(|_| !told.is_empty()) else { return };
    if told.iter().all(|peer| peer.address != source) {
        note.add(
            "peers-differ",
            from.at("unicast_peer"),
            format!(
                "({name}) does not tell node {} ({source}), which will be master too",
                to.node.name
            ),
            format!("add {source} to unicast_peer"),
        );
    }
}

/// Whether a check that fails where the priority is higher makes the other node master.
fn weights(strong: Seat<'_>, weak: Seat<'_>, note: &mut Note<'_>) {
    if strong.instance.priority == OWNER || strong.instance.priority == weak.instance.priority {
        return;
    }
    for tracked in &strong.instance.track_scripts {
        let script = tracked.script.as_str();
        let failed = strong.priority(&[script]);
        let other = weak.priority(&[]);
        let place = || {
            let own = tracked.weight.is_some();
            match own {
                true => strong.keepalived.in_list(
                    "vrrp_instance",
                    &strong.instance.name,
                    "track_script",
                    script,
                ),
                false => strong.keepalived.at("vrrp_script", script, "weight"),
            }
        };
        let weight = strong.weight(tracked);
        let (name, there) = (&strong.instance.name, &weak.node.name);
        let follows = weak.instance.track_scripts.iter().any(|one| one.script == script);
        if !follows && weight != 0 {
            note.add(
                "check-on-one-node",
                place(),
                format!(
                    "({name}) check {script} changes the priority here and not on node {there}"
                ),
                "track it on every node",
            );
        }
        let difference = i32::from(strong.instance.priority) - i32::from(weak.instance.priority);
        let instead =
            format!("write a weight of −{} or lower, or 0 to leave the race", difference + 1);
        if failed > other {
            note.add(
                "weight-too-small",
                place(),
                format!("({name}) when {script} fails, this node has {failed} and node {there} has {other}: nothing moves"),
                instead,
            );
        } else if failed == other {
            note.add(
                "weight-makes-equal",
                place(),
                format!("({name}) when {script} fails, this node and node {there} both have {failed}: their addresses decide"),
                instead,
            );
        }
    }
}

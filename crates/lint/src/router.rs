//! What one keepalived.conf says that its author hardly meant, beyond what the parser says itself.

use vrrp::config::{Auth, InstanceConfig, OWNER, ScriptConfig, Version};

use crate::Note;
use crate::node::Keepalived;

/// A number nobody chose: it stands in the manual's example and in most guides.
const EXAMPLE_ID: u8 = 51;

pub(crate) fn look(keepalived: &Keepalived, note: &mut Note<'_>) {
    let Some(config) = keepalived.config() else { return };
    for one in &config.scripts {
        script(keepalived, one, note);
    }
    for one in keepalived.instances() {
        instance(keepalived, one, note);
    }
}

fn script(keepalived: &Keepalived, script: &ScriptConfig, note: &mut Note<'_>) {
    let name = &script.name;
    let named = keepalived.says("vrrp_script", name, "user");
    if named.or_else(|| keepalived.says("global_defs", "", "script_user")).is_none() {
        note.add(
            "script-as-root",
            keepalived.at("vrrp_script", name, "script"),
            format!("check {name} is run by root (or by keepalived_script, where there is such a user)"),
            "write 'user nobody' in its block, or 'script_user nobody' and 'enable_script_security' in global_defs",
        );
    }
    if script.timeout > script.interval && !script.timeout.is_zero() {
        note.add(
            "slow-timeout",
            keepalived.at("vrrp_script", name, "timeout"),
            format!(
                "check {name} is started every {} s and may take {} s: while it hangs, runs are left out",
                script.interval.as_secs_f64(),
                script.timeout.as_secs_f64()
            ),
            "choose a timeout below the interval",
        );
    }
}

fn instance(keepalived: &Keepalived, instance: &InstanceConfig, note: &mut Note<'_>) {
    let name = &instance.name;
    let at = |keyword| keepalived.at("vrrp_instance", name, keyword);
    if matches!(instance.auth, Some(Auth::Pass(_))) {
        note.add(
            "clear-text-password",
            at("authentication"),
            format!("({name}) everybody on the network can read the password, and take the addresses with it"),
            "keep it against mistakes, not against attackers; those are kept out by the network",
        );
    }
    if instance.vrid.0 == EXAMPLE_ID {
        note.add(
            "common-router-id",
            at("virtual_router_id"),
            format!("({name}) {EXAMPLE_ID} is the number of most guides: with another pair of the same number on the network neither works"),
            "choose a number of your own, 1 to 255",
        );
    }
    if instance.v3_checksum_as_v2 {
        note.add(
            "any-checksum",
            at("v3_checksum_as_v2"),
            format!("({name}) adverts go out with a checksum that RFC 9568 has otherwise"),
            "remove it unless a Cisco or Juniper router takes part",
        );
    }
    let interval = keepalived.written(name, "advert_int").and_then(|text| text.parse::<f64>().ok());
    if instance.version == Version::V2 && interval.is_some_and(|seconds| seconds < 1.0) {
        note.add(
            "sub-second-version-2",
            at("advert_int"),
            format!(
                "({name}) version 2 sends the interval in whole seconds: {} s is used",
                instance.advert_interval.as_secs_f64()
            ),
            "write 'vrrp_version 3' in global_defs, on every node",
        );
    }
    if let Some(source) = instance.source
        && instance.unicast_peers.iter().any(|peer| peer.address == source)
    {
        note.add(
            "peer-is-self",
            keepalived.in_list("vrrp_instance", name, "unicast_peer", &source.to_string()),
            format!("({name}) sends its adverts to itself"),
            format!("remove {source} from unicast_peer on this node"),
        );
    }
    if !instance.unicast_peers.is_empty() && instance.source.is_none() {
        note.add(
            "no-source",
            at("unicast_peer"),
            format!("({name}) its adverts come from the first address of {}: the peers must know it by that one", instance.interface),
            "write 'unicast_src_ip ADDRESS'",
        );
    }
    if !instance.preempt && keepalived.written(name, "preempt_delay").is_some() {
        note.add(
            "preempt-without-effect",
            at("preempt_delay"),
            format!("({name}) nopreempt never takes the addresses back: there is nothing to delay"),
            "remove one of the two",
        );
    }
    if !instance.preempt
        && instance.priority != OWNER
        && keepalived.written(name, "state") == Some("MASTER")
    {
        note.add(
            "preempt-without-effect",
            at("state"),
            format!("({name}) nopreempt needs state BACKUP: this node takes the addresses back whenever it starts"),
            "write 'state BACKUP' on every node",
        );
    }
}

//! What an SNMP agent is told: net-snmp's snmpd, asked with its snmpwalk, told to its snmptrapd.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use lab::{Lab, Node, NodeFile, NodePlan, Subject, Subnet};
use nix::sys::signal::Signal;

use crate::Tests;
use crate::pair::{KEEPALIVED, MASTER_DOWN};

/// Debian's packages snmpd, snmp and snmptrapd.
const TOOLS: [&str; 3] = ["/usr/sbin/snmpd", "/usr/bin/snmpwalk", "/usr/sbin/snmptrapd"];
const SOON: Duration = Duration::from_secs(10);

const BASE: &str = ".1.3.6.1.4.1.9586.100.5";

pub(crate) fn register(tests: &mut Tests<'_>) {
    if TOOLS.iter().all(|tool| Path::new(tool).exists()) {
        tests.each("an_snmp_agent_is_told_states_and_transitions", told);
    } else {
        println!("SKIPPED: SNMP, not installed here (Debian: snmpd snmp snmptrapd)");
    }
}

const CONFIG: &str = "global_defs {
    router_id R1
    snmp_socket unix:/run/agentx
    enable_snmp_vrrp
    enable_snmp_rfc
    enable_traps
}
vrrp_sync_group G1 {
    group {
        VI_1
        VI_2
    }
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 150
    virtual_ipaddress {
        192.0.2.51/24
        192.0.2.61/24
    }
}
vrrp_instance VI_2 {
    interface eth0
    virtual_router_id 52
    priority 150
    version 3
    advert_int 0.5
    virtual_ipaddress {
        192.0.2.52/24
    }
}
";

const AGENT: &str = "rocommunity public 127.0.0.1
master agentx
agentXSocket /run/agentx
agentaddress udp:127.0.0.1:161
trapsess -v 2c -c public 127.0.0.1:162
";

/// What is below `oid`, by what follows it.
fn walk(node: &Node, oid: &str) -> Result<BTreeMap<String, String>> {
    let line = format!("snmpwalk -v2c -c public -m '' -On 127.0.0.1:161 {oid}");
    let walked = node.run(&["sh", "-c", &line], SOON)?;
    let values = walked.stdout.lines().filter_map(|line| {
        let (at, value) = line.split_once(" = ")?;
        Some((at.strip_prefix(oid)?.to_owned(), value.to_owned()))
    });
    Ok(values.collect())
}

fn until(what: &str, limit: Duration, mut is: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + limit;
    while !is()? {
        if Instant::now() > deadline {
            bail!("{what}: not within {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn told(subject: &Subject) -> Result<()> {
    let lab = Lab::new("snmp")?;
    let plan = NodePlan::new("first")
        .link("eth0", Subnet::new(Ipv4Addr::new(192, 0, 2, 1), 24))
        .file(NodeFile::new("/etc/keepalived/keepalived.conf", CONFIG))
        .file(NodeFile::new("/etc/snmpd.conf", AGENT));
    let node = lab.node(subject.install(plan))?;
    let traps = node.start(&[
        "/usr/sbin/snmptrapd",
        "-f",
        "-n",
        "-Lo",
        "-On",
        "-m",
        "",
        "-C",
        "--disableAuthorization=yes",
        "127.0.0.1:162",
    ])?;
    let agent =
        node.start(&["/usr/sbin/snmpd", "-f", "-Lo", "-C", "-c", "/etc/snmpd.conf", "-r"])?;
    until("snmpd listens", SOON, || Ok(node.run(&["test", "-S", "/run/agentx"], SOON)?.code == 0))?;
    let daemon = node.start(KEEPALIVED)?;

    // Both are masters once the slower of them is.
    let states = format!("{BASE}.2.3.1.4");
    until("both instances are masters", MASTER_DOWN + SOON, || {
        Ok(walk(&node, &states)?.values().filter(|state| *state == "INTEGER: 2").count() == 2)
    })?;

    let own = walk(&node, &format!("{BASE}.2"))?;
    let expected = [
        (".1.1.2.1", "STRING: \"G1\""),
        (".1.1.3.1", "INTEGER: 2"),
        (".2.1.2.1.2", "STRING: \"VI_2\""),
        (".3.1.3.2", "Gauge32: 52"),
        (".3.1.12.2", "Gauge32: 50"),
        (".3.1.18.1", "STRING: \"G1\""),
        (".3.1.30.2", "INTEGER: 3"),
        (".6.1.3.1.2", "Hex-STRING: C0 00 02 3D"),
        (".6.1.10.1.1", "INTEGER: 1"),
    ];
    for (at, value) in expected {
        ensure!(own.get(at).map(String::as_str) == Some(value), "{at}: {:?}", own.get(at));
    }
    // The interface's number is part of what follows.
    let rfc = walk(&node, ".1.3.6.1.2.1.207.1.1.1.1.6")?;
    ensure!(rfc.values().all(|state| state == "INTEGER: 3") && rfc.len() == 2, "{rfc:?}");
    let rfc = walk(&node, ".1.3.6.1.2.1.68.1.3.1.5")?;
    ensure!(rfc.values().all(|priority| priority == "INTEGER: 150"), "{rfc:?}");
    ensure!(!rfc.is_empty(), "VRRP-MIB tells of no router");

    let trap = |text: &str| traps.wait_line(text, SOON).map(drop);
    trap(&format!("{BASE}.2.10.0.1\t"))?;
    trap(&format!("{BASE}.2.10.0.2\t"))?;
    trap("= STRING: \"VI_1\"\t")?;

    // Its end is nobody's; the daemon goes on without, and stops as ever.
    agent.signal(Signal::SIGKILL)?;
    daemon.signal(Signal::SIGTERM)?;
    ensure!(daemon.wait(SOON) == Some(0), "SIGTERM does not end it with code 0");
    Ok(())
}

//! What people look at: the dumps of USR1, USR2 and RTMIN + 2 as keepalived's exporters read them,
//! `failoverd status`, metrics.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use lab::{Lab, Node, NodeFile, NodePlan, Proc, Subject, Subnet};
use nix::sys::signal::Signal;

use crate::Tests;
use crate::pair::{FILE, KEEPALIVED};

/// Long enough for anything that is going to happen at all.
const SOON: Duration = Duration::from_secs(20);

pub(crate) fn register(tests: &mut Tests<'_>) {
    tests.both("the_dumps_are_the_same_line_for_line", the_same);
    tests.each("an_exporter_finds_in_the_dumps_what_it_looks_for", exported);
    tests.ours("status_and_metrics_tell_what_lowers_a_priority", told);
    tests.each("the_statistics_start_from_zero_when_they_are_cleared", cleared);
}

struct Alone {
    _lab: Lab,
    node: Node,
    daemon: Proc,
}

const CONFIG: &str = "global_defs {
    router_id R1
    script_user root
    enable_script_security
}
vrrp_script chk {
    script \"/etc/keepalived/chk.sh 'a b'\"
    interval 1
    weight -20
    rise 2
    fall 2
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
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass s3cret
    }
    virtual_ipaddress {
        192.0.2.1/24 label eth0:1
        192.0.2.2 scope link
    }
    virtual_ipaddress_excluded {
        2001:db8::1/64
    }
}
vrrp_instance VI_2 {
    interface eth0
    virtual_router_id 52
    priority 100
    version 3
    advert_int 0.5
    nopreempt
    garp_master_delay 2
    virtual_ipaddress {
        192.0.2.3 brd 192.0.2.255
    }
    notify_master \"/etc/keepalived/chk.sh m 'a b'\"
    notify \"/etc/keepalived/chk.sh\"
}
vrrp_instance VI_3 {
    interface eth0
    virtual_router_id 53
    advert_int 1
    track_script {
        chk
    }
    virtual_ipaddress {
        192.0.2.4
    }
}
";

impl Alone {
    /// One node, whose three instances are masters.
    fn start(subject: &Subject, text: &str) -> Result<Self> {
        let lab = Lab::new("observe")?;
        // The same in each: the dumps show it, and labs share no wire.
        let own = Subnet::new([10, 67, 0, 1].into(), 24);
        let plan = NodePlan::new("node")
            .link("eth0", own)
            .file(NodeFile::script("/etc/keepalived/chk.sh", "#!/bin/sh\nexit 0\n"))
            .file(NodeFile::new(FILE, text));
        let node = lab.node(subject.install(plan))?;
        let daemon = node.start(KEEPALIVED)?;
        for name in ["VI_1", "VI_2", "VI_3"] {
            daemon.wait_line(&format!("({name}) Entering MASTER STATE"), SOON)?;
        }
        Ok(Self { _lab: lab, node, daemon })
    }

    /// Asks for a dump by the signal `--signum` names, and returns the file once `done` likes it.
    fn dump(&self, signum: &str, file: &str, done: impl Fn(&str) -> bool) -> Result<String> {
        let path = format!("/tmp/{file}");
        // It may not be there yet.
        let _ = self.node.remove(&path);
        let number = self.node.run(&["keepalived", &format!("--signum={signum}")], SOON)?;
        let (number, pid) = (number.stdout.trim().to_owned(), self.daemon.pid().to_string());
        let sent = self.node.run(&["kill", &format!("-{number}"), &pid], SOON)?;
        ensure!(sent.code == 0, "kill -{number} {pid}: {sent:?}");
        let end = Instant::now() + SOON;
        loop {
            let text = self.node.read(&path).unwrap_or_default();
            if !text.is_empty() && done(&text) {
                return Ok(text);
            }
            if Instant::now() > end {
                bail!("{path} holds:\n{text}\nthe log:\n{}", self.daemon.lines().join("\n"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn whole(_: &str) -> bool {
    true
}

/// A dump without what differs from run to run, and without what is different on purpose.
fn comparable(text: &str) -> Vec<String> {
    let varying =
        ["Last transition = ", "Read timeout = ", "fd_in ", "Password = ", "MAC = ", "index = "];
    // The library behind the packet filter, which ours does without; what it looks at before it sends a
    // neighbour advertisement; link-local addresses
    // come from hardware addresses.
    let missing = ["libnftnl version", "IPv6 address = ", "IPv6 forwarding. Last checked"];
    let line = |line: &str| {
        let rest = line.trim_start();
        match varying.iter().find(|start| rest.starts_with(**start)) {
            Some(start) => start.trim_end().to_owned(),
            None => line.to_owned(),
        }
    };
    let kept = text.lines().filter(|line| !missing.iter().any(|what| line.contains(what)));
    kept.map(line).collect()
}

/// JSON without times and passwords: of a key among `varying` only the key is left.
fn comparable_json(text: &str) -> Vec<String> {
    let varying = ["\"last_transition\":", "\"auth_data\":"];
    let parts = text.split_inclusive([',', '{', '[']);
    let part = |part: &str| match varying.iter().find(|key| part.starts_with(**key)) {
        Some(key) => (*key).to_owned(),
        None => part.to_owned(),
    };
    parts.map(part).collect()
}

fn the_same(ours: &Subject, upstream: &Subject) -> Result<()> {
    let mut all = Vec::new();
    for subject in [ours, upstream] {
        let alone = Alone::start(subject, CONFIG)?;
        alone.daemon.wait_line("VRRP_Script(chk) succeeded", SOON)?;
        let data = alone.dump("DATA", "keepalived.data", |text| text.contains("< Interfaces >"))?;
        let parent = alone.dump("DATA", "keepalived_parent.data", whole)?;
        let json = alone.dump("JSON", "keepalived.json", whole)?;
        all.push([comparable(&data), comparable(&parent), comparable_json(&counted(&json))]);
    }
    for (ours, upstream) in all[0].iter().zip(&all[1]) {
        for (at, line) in upstream.iter().enumerate() {
            let found = ours.get(at).map_or("nothing", String::as_str);
            ensure!(found == line, "line {at}: keepalived has {line:?}, ours {found:?}");
        }
        ensure!(ours.len() == upstream.len(), "more lines: {:?}", &ours[upstream.len()..]);
    }
    Ok(())
}

/// The JSON without how many adverts went out until now.
fn counted(json: &str) -> String {
    let mut out = String::new();
    for part in json.split_inclusive(',') {
        if part.starts_with("\"advert_sent\":") {
            out.push_str("\"advert_sent\":,")
        } else {
            out.push_str(part)
        }
    }
    out
}

/// The value behind `name` on its own line of a block, as the exporters' patterns take it.
fn value<'a>(block: &'a str, name: &str) -> Result<&'a str> {
    let mut lines = block.lines().map(str::trim_start);
    let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
    found.with_context(|| format!("no {name:?} in\n{block}"))
}

/// What the exporters for Prometheus in use read: state, interface, VRID, address count and priority
/// from the text, each instance's counters from the statistics, and the JSON where it is offered.
fn exported(subject: &Subject) -> Result<()> {
    let alone = Alone::start(subject, CONFIG)?;
    let data = alone.dump("DATA", "keepalived.data", |text| text.contains("< Interfaces >"))?;
    let topology = data.split("------< VRRP Topology >------").nth(1).context("no topology")?;
    let topology = topology.split("------<").next().context("no topology")?;
    let blocks: Vec<&str> = topology.split(" VRRP Instance = ").skip(1).collect();
    ensure!(blocks.len() == 3, "{} instances in\n{topology}", blocks.len());
    for (block, (name, vrid)) in blocks.iter().zip([("VI_1", "51"), ("VI_2", "52"), ("VI_3", "53")])
    {
        ensure!(block.lines().next() == Some(name), "{block}");
        for (key, expected) in [
            ("State", "MASTER"),
            ("Wantstate", "MASTER"),
            ("Interface", "eth0"),
            ("Virtual Router ID", vrid),
        ] {
            ensure!(value(block, key)? == expected, "{key} of {name}: {block}");
        }
        let delay: u32 = value(block, "Gratuitous ARP delay")?.parse()?;
        ensure!(delay == if name == "VI_2" { 2 } else { 5 }, "{block}");
        let since = value(block, "Last transition")?.split(' ').next().unwrap_or_default();
        ensure!(since.parse::<f64>()? > 1_600_000_000.0, "{block}");
    }
    let addresses = blocks[0].split("Virtual IP (2):\n").nth(1).context("no addresses")?;
    let first = addresses.lines().next().unwrap_or_default();
    ensure!(first.starts_with("     192.0.2.1/24 dev eth0 scope global"), "{first}");
    let script = data.split(" VRRP Script = chk\n").nth(1).context("no script")?;
    ensure!(matches!(value(script, "Status")?, "GOOD" | "INIT"), "{script}");
    ensure!(value(script, "State")? == "idle" || value(script, "State")? == "running", "{script}");

    let stats = alone.dump("STATS", "keepalived.stats", whole)?;
    let counters = stats_of(&stats)?;
    ensure!(counters.len() == 3, "{stats}");
    ensure!(counters["VI_1"]["Became master"] == 1 && counters["VI_1"]["Sent"] > 0, "{stats}");
    ensure!(counters["VI_1"].len() == 14, "{counters:?}");

    let json = alone.dump("JSON", "keepalived.json", whole)?;
    ensure!(json.starts_with("[{\"data\":{\"iname\":\"VI_1\",") && json.ends_with("]\n"), "{json}");
    for key in [
        "ifp_ifname",
        "state",
        "wantstate",
        "vrid",
        "base_priority",
        "effective_priority",
        "last_transition",
        "garp_delay",
        "vips",
        "evips",
        "advert_rcvd",
        "advert_sent",
        "become_master",
        "release_master",
        "packet_len_err",
        "advert_interval_err",
        "ip_ttl_err",
        "invalid_type_rcvd",
        "addr_list_err",
        "invalid_authtype",
        "authtype_mismatch",
        "auth_failure",
        "pri_zero_rcvd",
        "pri_zero_sent",
    ] {
        ensure!(json.contains(&format!("\"{key}\":")), "no {key} in {json}");
    }
    Ok(())
}

/// Counters of each instance by name; the first `Received` and `Sent` are of adverts, the second of
/// priority zero.
fn stats_of(text: &str) -> Result<BTreeMap<String, BTreeMap<String, u64>>> {
    let mut all = BTreeMap::new();
    for block in text.split("VRRP Instance: ").skip(1) {
        let mut lines = block.lines();
        let name = lines.next().context("no name")?.to_owned();
        let mut section = "";
        let mut counters = BTreeMap::new();
        for line in lines {
            let (key, value) = line.trim().split_once(':').context("no colon")?;
            match value.trim().parse::<u64>() {
                Ok(value) => {
                    let known = counters.contains_key(key);
                    let key = if known { format!("{section} {key}") } else { key.to_owned() };
                    counters.insert(key, value);
                }
                Err(_) => section = key,
            }
        }
        all.insert(name, counters);
    }
    Ok(all)
}

fn cleared(subject: &Subject) -> Result<()> {
    let alone = Alone::start(subject, CONFIG)?;
    let before = stats_of(&alone.dump("STATS", "keepalived.stats", whole)?)?;
    ensure!(before["VI_3"]["Became master"] == 1, "{before:?}");
    // It is written as it was, and counts from zero.
    let written = stats_of(&alone.dump("STATS_CLEAR", "keepalived.stats", whole)?)?;
    ensure!(written["VI_3"]["Became master"] == 1, "{written:?}");
    let after = stats_of(&alone.dump("STATS", "keepalived.stats", whole)?)?;
    ensure!(after["VI_3"]["Became master"] == 0, "{after:?}");
    ensure!(after["VI_3"]["Sent"] <= 3, "{after:?}");
    Ok(())
}

fn told(subject: &Subject) -> Result<()> {
    let text = CONFIG.replace("global_defs {", "global_defs {\n    metrics_listen 127.0.0.1:9650");
    let alone = Alone::start(subject, &text)?;
    let node = &alone.node;
    let failing = NodeFile::script("/etc/keepalived/chk.sh", "#!/bin/sh\nexit 3\n");
    node.write(failing)?;
    alone.daemon.wait_line("(VI_3) Changing effective priority from 100 to 80", SOON)?;
    let table = node.run(&["failoverd", "status"], SOON)?;
    let row = table.stdout.lines().find(|line| line.starts_with("VI_3")).context("no row")?;
    ensure!(row.contains("80 (100 chk -20)"), "{}", table.stdout);
    let metrics = node.run(&["bash", "-c", GET_METRICS], SOON)?;
    for line in [
        "failoverd_instance_priority{instance_name=\"VI_3\",interface=\"eth0\"} 80",
        "failoverd_instance_state{instance_name=\"VI_1\",interface=\"eth0\",state=\"master\"} 1",
        "failoverd_tracker_contribution{instance_name=\"VI_3\",interface=\"eth0\",kind=\"script\",\
         tracker=\"chk\"} -20",
        "failoverd_script_good{script=\"chk\"} 0",
        "failoverd_group_state{group=\"G1\",state=\"master\"} 1",
    ] {
        ensure!(metrics.stdout.lines().any(|found| found == line), "{line}\n{}", metrics.stdout);
    }
    alone.daemon.signal(Signal::SIGTERM)?;
    ensure!(alone.daemon.wait(SOON) == Some(0), "SIGTERM does not end it with code 0");
    Ok(())
}

/// As a scraper asks, without one.
const GET_METRICS: &str = "exec 3<>/dev/tcp/127.0.0.1/9650
printf 'GET /metrics HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' >&3
cat <&3";

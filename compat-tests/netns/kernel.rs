//! What a master puts into its kernel: addresses of both families, routes, rules, interfaces with
//! virtual MAC addresses, and the packet filter's tables.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lab::{Lab, Node, NodeFile, NodePlan, Proc, Subject, Subnet};
use nix::sys::signal::Signal;

use crate::Tests;
use crate::pair::KEEPALIVED;

pub(crate) fn register(tests: &mut Tests<'_>) {
    tests.both("a_master_s_kernel_looks_the_same_and_is_left_clean", same_kernel);
    tests.both("both_families_change_hands_between_ours_and_the_original", both_families);
    tests.ours("what_somebody_takes_away_is_back_within_a_second", put_back);
    tests.ours("an_interface_that_comes_later_is_taken_up", comes_later);
}

/// From the start of a lone router of priority 150 to its addresses.
const ELECTED: Duration = Duration::from_secs(6);

/// A node with `eth0` on the lab's network.
fn node(lab: &Lab, name: &str, host: u8, subject: &Subject, text: &str) -> Result<Node> {
    let own = Subnet::new(Ipv4Addr::new(10, 64, lab.number() as u8, host), 24);
    let file = NodeFile::new("/etc/keepalived/keepalived.conf", text);
    let plan = NodePlan::new(name).link("eth0", own).file(file);
    let plan = plan.program("/usr/sbin/nft", &["nft"]);
    lab.node(subject.install(plan))
}

fn says(node: &Node, command: &str) -> Result<String> {
    let words: Vec<&str> = command.split(' ').collect();
    let output = node.run(&words, Duration::from_secs(5))?;
    ensure!(output.code == 0, "{command}: {}", output.stderr);
    Ok(output.stdout)
}

/// Waits until what `command` says contains `text`.
fn until(node: &Node, command: &str, text: &str, limit: Duration) -> Result<Duration> {
    let begun = Instant::now();
    loop {
        let said = says(node, command)?;
        if said.contains(text) {
            return Ok(begun.elapsed());
        }
        ensure!(begun.elapsed() < limit, "no {text:?} after {limit:?} in\n{said}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Everything in one file. Its network is the same for every subject.
const EVERYTHING: &str = "\
vrrp_instance VMAC {
    interface eth0
    virtual_router_id 51
    priority 150
    version 3
    use_vmac
    virtual_ipaddress {
        192.0.2.100/24
    }
}
vrrp_instance SIX {
    interface eth0
    virtual_router_id 52
    priority 150
    use_vmac
    virtual_ipaddress {
        fe80::52/64
        2001:db8::100/64
    }
}
vrrp_instance CLOSED {
    interface eth0
    virtual_router_id 53
    priority 150
    version 3
    no_accept
    virtual_ipaddress {
        192.0.2.103/24
    }
    virtual_ipaddress_excluded {
        2001:db8::103/128
    }
    virtual_routes {
        198.51.100.0/24 via 192.0.2.9 dev eth0 metric 7
        blackhole 203.0.113.0/24 table 77
    }
    virtual_rules {
        from 192.0.2.103 table 77 priority 1000
    }
}
";

/// What the kernel holds, without what is different each time.
fn looks(node: &Node) -> Result<String> {
    let commands = [
        "ip -brief address show",
        "ip route show table all proto 18",
        "ip rule show",
        "nft list ruleset",
    ];
    let mut all = String::new();
    for command in commands {
        let said = says(node, command)?;
        for line in said.lines().map(str::trim_end) {
            // Link-local addresses are made of hardware addresses, which differ.
            let words = line
                .split_whitespace()
                .filter(|word| !word.starts_with("fe80::") || word.starts_with("fe80::52"));
            // Names of interfaces with the index of the one below.
            let words = words.map(|word| word.split("@if").next().unwrap_or(word));
            all.push_str(&words.collect::<Vec<_>>().join(" "));
            all.push('\n');
        }
    }
    Ok(all)
}

fn held_by(subject: &Subject) -> Result<[String; 3]> {
    let lab = Lab::new("kernel")?;
    let node = node(&lab, "one", 1, subject, EVERYTHING)?;
    let own = "ip address add 192.0.2.1/24 dev eth0";
    // The lab's own address is another in each lab.
    says(&node, "ip address flush dev eth0 scope global")?;
    says(&node, own)?;
    let before = looks(&node)?;
    let daemon = node.start(KEEPALIVED)?;
    until(&node, "ip address show", "192.0.2.100/24", ELECTED)?;
    until(&node, "ip address show", "2001:db8::100/64", ELECTED)?;
    until(&node, "ip rule show", "lookup 77", ELECTED)?;
    let during = looks(&node)?;
    daemon.signal(Signal::SIGTERM)?;
    daemon.wait(Duration::from_secs(5));
    Ok([before, during, looks(&node)?])
}

fn same_kernel(ours: &Subject, upstream: &Subject) -> Result<()> {
    let [before, during, after] = held_by(ours)?;
    let [_, expected, _] = held_by(upstream)?;
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text
            .lines()
            .map(|line| {
                // The order of an interface's addresses is that of their arrival.
                let mut words: Vec<&str> = line.split(' ').collect();
                words.sort_unstable();
                words.join(" ")
            })
            .collect();
        lines.sort();
        lines.join("\n")
    };
    ensure!(sorted(&during) == sorted(&expected), "ours:\n{during}\nkeepalived's:\n{expected}");
    ensure!(during.contains("vips") && during.contains("vrrp.51"), "too little:\n{during}");
    ensure!(before == after, "before:\n{before}\nafter:\n{after}");
    Ok(())
}

fn both(priority: u8) -> String {
    format!(
        "vrrp_instance FOUR {{\n interface eth0\n virtual_router_id 51\n version 3\n \
         priority {priority}\n virtual_ipaddress {{\n 192.0.2.100/24\n }}\n}}\n\
         vrrp_instance SIX {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n \
         virtual_ipaddress {{\n fe80::51/64\n 2001:db8::100/64\n }}\n}}\n"
    )
}

fn both_families(ours: &Subject, upstream: &Subject) -> Result<()> {
    for (first, second) in [(ours, upstream), (upstream, ours)] {
        let lab = Lab::new("families")?;
        let high = node(&lab, "high", 1, first, &both(150))?;
        let low = node(&lab, "low", 2, second, &both(100))?;
        let holds = |node: &Node, limit| -> Result<()> {
            for address in ["192.0.2.100/24", "fe80::51/64", "2001:db8::100/64"] {
                until(node, "ip address show dev eth0", address, limit)?;
            }
            Ok(())
        };
        let starts = |node: &Node| -> Result<Proc> { node.start(KEEPALIVED) };
        let daemon = starts(&high)?;
        holds(&high, ELECTED)?;
        let _other = starts(&low)?;
        std::thread::sleep(Duration::from_secs(4));
        let said = says(&low, "ip address show dev eth0")?;
        ensure!(!said.contains("100/24") && !said.contains("::100/64"), "two masters:\n{said}");
        // Resigned, and back by preemption.
        daemon.signal(Signal::SIGTERM)?;
        holds(&low, Duration::from_secs(2))?;
        daemon.wait(Duration::from_secs(5));
        let _daemon = starts(&high)?;
        holds(&high, ELECTED)?;
        let deadline = Instant::now() + Duration::from_secs(1);
        while says(&low, "ip address show dev eth0")?.contains("100/") {
            ensure!(Instant::now() < deadline, "the lower priority keeps an address");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

const STATIC: &str = "\
static_ipaddress {
    192.0.2.7/24 dev eth0
}
static_routes {
    198.51.100.0/24 via 192.0.2.9 dev eth0
}
static_rules {
    from 198.51.100.0/24 table 77 priority 900
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 200
    virtual_ipaddress {
        192.0.2.100/24
    }
    virtual_routes {
        203.0.113.0/24 via 192.0.2.9 dev eth0
        203.0.114.0/24 via 192.0.2.9 dev eth0 no_track
    }
}
";

fn put_back(subject: &Subject) -> Result<()> {
    const SECOND: Duration = Duration::from_secs(1);

    let lab = Lab::new("lost")?;
    let node = node(&lab, "one", 1, subject, STATIC)?;
    let _daemon = node.start(KEEPALIVED)?;
    until(&node, "ip address show dev eth0", "192.0.2.100/24", ELECTED)?;
    let routes = "ip route show";
    until(&node, routes, "203.0.114.0/24", SECOND)?;
    for (take, show, back) in [
        ("ip address delete 192.0.2.100/24 dev eth0", "ip address show", "192.0.2.100/24"),
        ("ip address delete 192.0.2.7/24 dev eth0", "ip address show", "192.0.2.7/24"),
        ("ip route delete 198.51.100.0/24", routes, "198.51.100.0/24"),
        ("ip route delete 203.0.113.0/24", routes, "203.0.113.0/24"),
        ("ip route delete 203.0.114.0/24", routes, "203.0.114.0/24"),
        ("ip rule delete priority 900", "ip rule show", "900:"),
    ] {
        until(&node, show, back, SECOND)?;
        says(&node, take)?;
        until(&node, show, back, SECOND)?;
    }
    Ok(())
}

fn comes_later(subject: &Subject) -> Result<()> {
    let text = "global_defs {\n dynamic_interfaces\n}\nvrrp_instance VI_1 {\n interface later\n \
                virtual_router_id 51\n priority 200\n virtual_ipaddress {\n 192.0.2.100/24\n }\n}\n";
    let lab = Lab::new("later")?;
    let node = node(&lab, "one", 1, subject, text)?;
    let daemon = node.start(KEEPALIVED)?;
    daemon.wait_line("FAULT", Duration::from_secs(5))?;
    // Twice: an interface that is deleted and made again is another one.
    for _ in 0..2 {
        says(&node, "ip link add later type veth peer name other")?;
        says(&node, "ip address add 192.0.2.1/24 dev later")?;
        says(&node, "ip link set other up")?;
        says(&node, "ip link set later up")?;
        until(&node, "ip address show dev later", "192.0.2.100/24", ELECTED)?;
        says(&node, "ip link delete later")?;
    }
    Ok(())
}

//! Two routers on two links, whose instances on both move together: ours with the original.
//!
//! ```text
//!   ──────── link 0 ──┬──────────────┬──
//!                   VI_1           VI_1
//!                   first          second     vrrp_sync_group G { VI_1 VI_2 }
//!                   VI_2           VI_2
//!   ──────── link 1 ──┴──────────────┴──
//! ```

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use lab::account::{self, Hold};
use lab::{Lab, Moment, Node, NodeFile, NodePlan, Proc, Subject, Subnet};
use nix::sys::signal::Signal;

use crate::Tests;
use crate::pair::{FILE, KEEPALIVED, MASTER_DOWN, SKEW, SLACK};

pub(crate) fn register(tests: &mut Tests<'_>) {
    tests.both("a_group_of_ours_moves_to_the_original_as_a_whole_and_back", moves);
    tests.both("a_group_of_the_original_moves_to_ours_as_a_whole_and_back", |ours, upstream| {
        moves(upstream, ours)
    });
    tests.each("a_group_between_two_of_a_kind", |subject| moves(subject, subject));
    tests.both("a_group_says_what_keepalived_says", |ours, upstream| {
        let said = [transitions(ours)?, transitions(upstream)?];
        ensure!(said[0] == said[1], "ours:\n{}\ntheirs:\n{}", said[0], said[1]);
        Ok(())
    });
}

/// Both routers, and the address on each link.
struct Two {
    lab: Lab,
    nodes: Vec<Node>,
    daemons: Vec<Proc>,
    addresses: [IpAddr; 2],
}

impl Two {
    fn start(subjects: &[&Subject]) -> Result<Self> {
        let lab = Lab::new("groups")?;
        let number = lab.number() as u8;
        let ip = |link: u8, host: u8| Ipv4Addr::new(10, 80 + link, number, host);
        let addresses = [ip(0, 100), ip(1, 100)].map(IpAddr::from);
        let mut two = Self { nodes: vec![], daemons: vec![], addresses, lab };
        for (place, subject) in (1..).zip(subjects) {
            let name = if place == 1 { "first" } else { "second" };
            let text = config(&addresses, 102 - place);
            let plan = NodePlan::new(name)
                .link("eth0", Subnet::new(ip(0, place), 24))
                .link_to(1, "eth1", Subnet::new(ip(1, place), 24))
                .file(NodeFile::new(FILE, text));
            let node = two.lab.node(subject.install(plan))?;
            for address in addresses {
                node.watch(address)?;
            }
            two.daemons.push(node.start(KEEPALIVED)?);
            two.nodes.push(node);
            if place == 1 {
                two.until_held_by("first", MASTER_DOWN + Duration::from_secs(3))?;
            } else {
                let daemon = two.daemons.last().expect("it was just started");
                daemon.wait_line("Entering BACKUP STATE", Duration::from_secs(3))?;
            }
        }
        Ok(two)
    }

    fn holds(&self, address: IpAddr) -> Vec<Hold> {
        self.lab.journal().read(|entries| account::holds(entries, address))
    }

    /// Waits until that node alone holds both addresses; since when it does, each.
    fn until_held_by(&self, node: &str, limit: Duration) -> Result<[Moment; 2]> {
        let deadline = Instant::now() + limit;
        loop {
            let since = self.addresses.map(|address| {
                let holds = self.holds(address);
                let open: Vec<&Hold> = holds.iter().filter(|hold| !hold.ended).collect();
                match open.as_slice() {
                    [only] if *only.node == *node => Some(only.first),
                    _ => None,
                }
            });
            if let [Some(first), Some(second)] = since {
                return Ok([first, second]);
            }
            if Instant::now() > deadline {
                let logs = self.daemons.iter().map(|daemon| daemon.lines().join("\n"));
                let logs: Vec<String> = logs.collect();
                bail!("{node} does not hold both after {limit:?}\n{}", logs.join("\n--\n"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn config(addresses: &[IpAddr; 2], priority: u8) -> String {
    let mut text =
        String::from("vrrp_sync_group G {\n    group {\n        VI_1\n        VI_2\n    }\n}\n");
    for (link, address) in addresses.iter().enumerate() {
        text.push_str(&format!(
            "vrrp_instance VI_{} {{\n    interface eth{link}\n    virtual_router_id {}\n    \
             priority {priority}\n    virtual_ipaddress {{\n        {address}/24\n    }}\n}}\n",
            link + 1,
            51 + link
        ));
    }
    text
}

/// One link of the first fails, and both addresses go; it is mended, and both come back; the first
/// is told to end, and both go.
fn moves(first: &Subject, second: &Subject) -> Result<()> {
    let two = Two::start(&[first, second])?;
    let from = Moment::now();
    two.nodes[0].cable("eth1", false)?;
    let taken = two.until_held_by("second", MASTER_DOWN + Duration::from_secs(3))?;
    for moment in taken {
        let took = moment.since(from);
        ensure!(took <= MASTER_DOWN + SLACK, "the second has them after {took:?}");
    }
    two.nodes[0].cable("eth1", true)?;
    // The second of the two times out up to an advert after the first.
    let back = MASTER_DOWN + Duration::from_secs(4);
    two.until_held_by("first", back)?;
    let from = Moment::now();
    two.daemons[0].signal(Signal::SIGTERM)?;
    let taken = two.until_held_by("second", SKEW + Duration::from_secs(3))?;
    for moment in taken {
        let took = moment.since(from);
        ensure!(took <= SKEW + SLACK, "the second has them after {took:?}");
    }
    // Three turns each: the first, the second, the first, the second.
    for address in two.addresses {
        let turns = two.holds(address);
        ensure!(turns.len() == 4, "four turns were expected of {address}: {turns:?}");
    }
    Ok(())
}

/// What a router alone says of its transitions until a link that failed is mended. Which of two
/// equals is the first to be master again, is chance.
fn transitions(subject: &Subject) -> Result<String> {
    let two = Two::start(&[subject])?;
    let daemon = &two.daemons[0];
    two.nodes[0].cable("eth1", false)?;
    daemon.wait_line("Syncing instances to FAULT state", Duration::from_secs(3))?;
    two.nodes[0].cable("eth1", true)?;
    daemon.wait_line("Syncing instances to BACKUP state", Duration::from_secs(3))?;
    let mut lines: Vec<String> = Vec::new();
    for line in daemon.lines() {
        let told = line.find("(VI_").or_else(|| line.find("VRRP_Group"));
        if let Some(at) = told.filter(|_| line.contains("STATE") || line.contains("Syncing")) {
            lines.push(line[at..].to_owned());
        }
        if line.contains("Syncing instances to BACKUP state") {
            break;
        }
    }
    Ok(lines.join("\n"))
}

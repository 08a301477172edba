//! Two nodes that share an address.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lab::account::{self, Both, Hold};
use lab::{Lab, Moment, Node, NodeFile, NodePlan, Proc, Subject, Subnet};

/// The first node's priority.
pub(crate) const HIGH: u8 = 101;
/// The second node's priority.
pub(crate) const LOW: u8 = 100;

/// How long the second node waits after the first resigned: the skew time of priority 100.
pub(crate) const SKEW: Duration = Duration::from_millis(609);
/// How long it waits after the first fell silent.
pub(crate) const MASTER_DOWN: Duration = Duration::from_millis(3609);
/// What a busy machine of two cores may add to either.
pub(crate) const SLACK: Duration = Duration::from_millis(400);

/// Two nodes with keepalived, the first of higher priority.
pub(crate) struct Pair {
    pub(crate) lab: Lab,
    pub(crate) nodes: [Node; 2],
    pub(crate) daemons: [Proc; 2],
    pub(crate) address: IpAddr,
    network: [u8; 3],
}

impl Pair {
    /// Starts both and waits until the first holds the address.
    pub(crate) fn start(first: &Subject, second: &Subject) -> Result<Self> {
        Self::start_with(first, second, "")
    }

    /// As [`start`](Self::start), with lines added to both instances.
    pub(crate) fn start_with(first: &Subject, second: &Subject, added: &str) -> Result<Self> {
        let lab = Lab::new("pair")?;
        let network = [10, 64, lab.number() as u8];
        let address = IpAddr::from([network[0], network[1], network[2], 100]);
        let make = |name: &str, host: u8, subject: &Subject, priority: u8| -> Result<Node> {
            let own = Subnet::new(Ipv4Addr::new(network[0], network[1], network[2], host), 24);
            let text = config(network, priority, added);
            let plan = NodePlan::new(name)
                .link("eth0", own)
                .file(NodeFile::new("/etc/keepalived/keepalived.conf", text));
            let node = lab.node(subject.install(plan))?;
            node.watch(address)?;
            Ok(node)
        };
        let nodes = [make("first", 1, first, HIGH)?, make("second", 2, second, LOW)?];
        // One after the other: two that start at once may both be master for a moment, for their
        // times differ by 4 ms.
        let alone = nodes[0].start(KEEPALIVED)?;
        let mut pair = Self { lab, nodes, daemons: [alone.clone(), alone], address, network };
        pair.until_held_by("first", MASTER_DOWN + Duration::from_secs(3))?;
        pair.daemons[1] = pair.nodes[1].start(KEEPALIVED)?;
        pair.daemons[1].wait_line("Entering BACKUP STATE", Duration::from_secs(3))?;
        Ok(pair)
    }

    /// Starts the daemon of a node again, when the one that was told to end has ended.
    pub(crate) fn restart(&mut self, place: usize) -> Result<()> {
        self.daemons[place].wait(Duration::from_secs(5)).context("the old daemon still runs")?;
        self.daemons[place] = self.nodes[place].start(KEEPALIVED)?;
        Ok(())
    }

    /// Writes a node's file anew: its priority, and lines added to the instance.
    pub(crate) fn rewrite(&self, place: usize, priority: u8, added: &str) -> Result<()> {
        let text = config(self.network, priority, added);
        self.nodes[place].write(NodeFile::new("/etc/keepalived/keepalived.conf", text))
    }

    /// Another address of the network.
    pub(crate) fn other_address(&self, host: u8) -> IpAddr {
        IpAddr::from([self.network[0], self.network[1], self.network[2], host])
    }

    /// Waits until that node alone holds the address; says since when.
    pub(crate) fn until_held_by(&self, node: &str, limit: Duration) -> Result<Moment> {
        let deadline = Instant::now() + limit;
        loop {
            let holds = self.holds();
            let open: Vec<&Hold> = holds.iter().filter(|hold| !hold.ended).collect();
            if let [only] = open.as_slice()
                && *only.node == *node
            {
                return Ok(only.first);
            }
            if Instant::now() > deadline {
                let logs = self.daemons.iter().map(|daemon| daemon.lines().join("\n"));
                let logs: Vec<String> = logs.collect();
                bail!(
                    "{node} does not hold it alone after {limit:?}: {open:?}\n{}",
                    logs.join("\n--\n")
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// When that node got the address, after `from`.
    pub(crate) fn taken_by(&self, node: &str, from: Moment, limit: Duration) -> Result<Duration> {
        let deadline = Instant::now() + limit;
        loop {
            let holds = self.holds();
            let found = holds.iter().find(|hold| *hold.node == *node && hold.first > from);
            if let Some(hold) = found {
                return Ok(hold.first.since(from));
            }
            if Instant::now() > deadline {
                bail!("{node} did not take the address within {limit:?}: {holds:?}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Every stretch in which a node held the address.
    pub(crate) fn holds(&self) -> Vec<Hold> {
        self.lab.journal().read(|entries| account::holds(entries, self.address))
    }

    /// Fails if both ever held the address at once.
    pub(crate) fn never_both(&self) -> Result<()> {
        let both: Vec<Both> = account::overlaps(&self.holds());
        if both.is_empty() { Ok(()) } else { bail!("two holders: {both:?}") }
    }

    /// Lets time pass, as a protocol's clock needs it to.
    pub(crate) fn pass(&self, time: Duration) {
        self.lab.journal().wait(usize::MAX, time, |_| None::<()>);
    }
}

/// Fails unless `took` is between both.
pub(crate) fn between(took: Duration, least: Duration, most: Duration) -> Result<()> {
    (least..=most)
        .contains(&took)
        .then_some(())
        .with_context(|| format!("took {took:?}, expected between {least:?} and {most:?}"))
}

/// Where it reads its configuration.
pub(crate) const FILE: &str = "/etc/keepalived/keepalived.conf";

/// keepalived in the foreground.
pub(crate) const KEEPALIVED: &[&str] = &["keepalived", "-n", "-l"];

fn config([a, b, c]: [u8; 3], priority: u8, added: &str) -> String {
    format!(
        "vrrp_instance VI_1 {{\n    state BACKUP\n    interface eth0\n    virtual_router_id 51\n    \
         priority {priority}\n    advert_int 1\n{added}\n    virtual_ipaddress {{\n        \
         {a}.{b}.{c}.100/24\n    }}\n}}\n"
    )
}

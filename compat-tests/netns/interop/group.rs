//! Two routers of different makers in one group.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lab::{Capture, Lab, Moment, Node, NodeFile, NodePlan, Proc, Sent, Subject, Subnet, account};
use nix::sys::signal::Signal;

/// How VRRP is spoken in one row of the matrix.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Row {
    pub(crate) version: u8,
    pub(crate) ipv6: bool,
    pub(crate) unicast: bool,
    pub(crate) auth: Auth,
}

/// What version 2 carries behind its addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Auth {
    None,
    Pass,
    Ah,
}

impl Row {
    pub(crate) fn all() -> Vec<Self> {
        let spoken = [
            (2, false, Auth::None),
            (2, false, Auth::Pass),
            (2, false, Auth::Ah),
            (3, false, Auth::None),
            (3, true, Auth::None),
        ];
        let row =
            |unicast| spoken.map(|(version, ipv6, auth)| Self { version, ipv6, unicast, auth });
        [row(false), row(true)].concat()
    }

    /// vrrpd has neither authentication nor unicast.
    pub(crate) fn suits_frr(&self) -> bool {
        !self.unicast && self.auth == Auth::None
    }

    /// Version 2 knows whole seconds only.
    pub(crate) fn interval(self) -> Duration {
        Duration::from_millis(if self.version == 2 { 1_000 } else { 500 })
    }

    /// Of the second router.
    pub(crate) fn skew(self) -> Duration {
        self.interval() * (256 - u32::from(PRIORITIES[1])) / 256
    }

    /// Of either router, at most.
    pub(crate) fn master_down(self) -> Duration {
        self.interval() * 3 + self.skew()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = if self.ipv6 { "ipv6" } else { "ipv4" };
        let cast = if self.unicast { "unicast" } else { "multicast" };
        let auth = match self.auth {
            Auth::None => "",
            Auth::Pass => "_pass",
            Auth::Ah => "_ah",
        };
        write!(f, "v{}_{family}_{cast}{auth}", self.version)
    }
}

/// Whose program a router is.
#[derive(Clone, Debug)]
pub(crate) enum Peer {
    /// Ours or the original.
    Program(Subject),
    /// vrrpd of FRR, with its zebra.
    Frr,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Program(Subject::Ours { .. }) => "ours",
            Self::Program(Subject::Upstream) => "keepalived",
            Self::Frr => "frr",
        })
    }
}

/// Where Debian puts FRR's daemons.
const FRR: &str = "/usr/lib/frr";

/// Whether FRR's daemons are installed, and what is needed to make its interfaces.
pub(crate) fn frr_is_there() -> bool {
    ["zebra", "vrrpd"].iter().all(|name| Path::new(FRR).join(name).exists())
        && ["/usr/sbin/ip", "/sbin/ip"].iter().any(|ip| Path::new(ip).exists())
}

pub(crate) const VRID: u8 = 51;
pub(crate) const PRIORITIES: [u8; 2] = [150, 100];

/// The nodes, and everything they send.
pub(crate) struct Group {
    pub(crate) row: Row,
    pub(crate) capture: Capture,
    pub(crate) nodes: [Node; 2],
    peers: [Peer; 2],
    lab: Lab,
    daemons: [Vec<Proc>; 2],
    /// What both share, in the order of the adverts.
    pub(crate) addresses: Vec<IpAddr>,
    own: [IpAddr; 2],
}

impl Group {
    pub(crate) fn new(row: Row, peers: &[Peer; 2]) -> Result<Self> {
        let lab = Lab::new("interop")?;
        let number = lab.number() as u8;
        let four = |host| Ipv4Addr::new(10, 65, number, host);
        let six = |host| Ipv6Addr::new(0xfd65, 0, 0, number.into(), 0, 0, 0, host);
        let own = [1, 2].map(|host: u8| match row.ipv6 {
            true => IpAddr::V6(six(host.into())),
            false => IpAddr::V4(four(host)),
        });
        let addresses: Vec<IpAddr> = match row.ipv6 {
            // RFC 9568 §5.2.9: the first is link-local.
            true => vec!["fe80::51".parse()?, six(0x100).into()],
            false => vec![four(100).into()],
        };
        let make = |place: usize| -> Result<Node> {
            let host = place as u8 + 1;
            let mut plan = NodePlan::new(["first", "second"][place])
                .link("eth0", Subnet::new(four(host), 24))
                .link("eth0", Subnet { address: six(host.into()).into(), prefix: 64 });
            // Addresses are to be of use at once.
            for name in ["accept_dad", "dad_transmits"] {
                plan = plan.sysctl(&format!("net/ipv6/conf/default/{name}"), "0");
            }
            let plan = match &peers[place] {
                Peer::Program(subject) => {
                    let text = keepalived_conf(row, PRIORITIES[place], own, place, &addresses);
                    let file = NodeFile::new("/etc/keepalived/keepalived.conf", text);
                    subject.install(plan.file(file))
                }
                Peer::Frr => frr_files(plan, row, PRIORITIES[place], &addresses),
            };
            let node = lab.node(plan)?;
            for address in &addresses {
                node.watch(*address)?;
            }
            Ok(node)
        };
        let nodes = [make(0)?, make(1)?];
        let capture = lab.capture()?;
        let daemons = [Vec::new(), Vec::new()];
        Ok(Self { row, capture, nodes, peers: peers.clone(), lab, daemons, addresses, own })
    }

    pub(crate) fn name(&self, place: usize) -> &str {
        self.nodes[place].name()
    }

    /// Where its adverts come from: over IPv6, multicast has a link-local source.
    pub(crate) fn source(&self, place: usize) -> Option<IpAddr> {
        (!self.row.ipv6 || self.row.unicast).then_some(self.own[place])
    }

    pub(crate) fn is_frr(&self, place: usize) -> bool {
        matches!(self.peers[place], Peer::Frr)
    }

    pub(crate) fn start(&mut self, place: usize) -> Result<()> {
        let node = &self.nodes[place];
        if crate::installed(&self.peers[place]).is_some() {
            self.daemons[place] = vec![node.start(&["keepalived", "-n", "-l", "-D"])?];
            return Ok(());
        }
        let made = node.run(&["sh", "/etc/frr/interface.sh"], Duration::from_secs(10))?;
        if made.code != 0 {
            bail!("the interface of vrrpd: {made:?}");
        }
        let daemon = |name: &str| {
            let (program, file) = (format!("{FRR}/{name}"), format!("/etc/frr/{name}.conf"));
            let pid = format!("/run/frr/{name}.pid");
            let user = ["-u", "root", "-g", "root", "-P", "0"];
            let sockets = ["--vty_socket", "/run/frr", "-z", "/run/frr/zserv.api"];
            let argv = [&program, "-f", &file, "-i", &pid];
            node.start(&[&argv[..], &user[..], &sockets[..]].concat())
        };
        let zebra = daemon("zebra")?;
        let limit = Instant::now() + Duration::from_secs(10);
        while node.run(&["test", "-S", "/run/frr/zserv.api"], Duration::from_secs(5))?.code != 0 {
            if Instant::now() > limit {
                bail!("zebra does not listen:\n{}", zebra.lines().join("\n"));
            }
        }
        self.daemons[place] = vec![daemon("vrrpd")?, zebra];
        Ok(())
    }

    /// Tells the router to end, and waits until it has.
    pub(crate) fn stop(&mut self, place: usize) -> Result<()> {
        for daemon in self.daemons[place].drain(..) {
            daemon.signal(Signal::SIGTERM)?;
            daemon.wait(Duration::from_secs(5)).context("SIGTERM does not end it")?;
        }
        if self.is_frr(place) {
            self.nodes[place].run(&["ip", "link", "del", "vrrp0"], Duration::from_secs(5))?;
            self.nodes[place].run(&["ip", "link", "del", "vrrp1"], Duration::from_secs(5))?;
            self.nodes[place].run(&["rm", "-f", "/run/frr/zserv.api"], Duration::from_secs(5))?;
        }
        Ok(())
    }

    /// Waits for its first advert after `from` that claims the addresses.
    pub(crate) fn until_master(
        &self,
        place: usize,
        from: Moment,
        limit: Duration,
    ) -> Result<Moment> {
        let found = self.capture.wait(from, limit, |frame| match frame.sent() {
            Sent::Advert(advert) if *frame.node == *self.name(place) => {
                (advert.priority > 0).then_some(frame.at)
            }
            _ => None,
        });
        found.with_context(|| {
            format!("{} is not master after {limit:?}\n{}", self.name(place), self.logs())
        })
    }

    /// Waits until it has announced every address.
    pub(crate) fn until_announced(
        &self,
        place: usize,
        from: Moment,
        limit: Duration,
    ) -> Result<()> {
        let mut missing = self.addresses.clone();
        self.capture
            .wait(from, limit, |frame| {
                let address = match frame.sent() {
                    Sent::Gratuitous(address) => IpAddr::V4(address),
                    Sent::Neighbour(address) => IpAddr::V6(address),
                    _ => return None,
                };
                if *frame.node == *self.name(place) {
                    missing.retain(|one| *one != address);
                }
                missing.is_empty().then_some(())
            })
            .with_context(|| format!("{} did not announce its addresses", self.name(place)))
    }

    /// Fails unless that node has all addresses and the other has none.
    pub(crate) fn only_holder_is(&self, place: usize) -> Result<()> {
        // vrrpd keeps its address on an interface of its own, which it switches off.
        if self.peers.iter().any(|peer| matches!(peer, Peer::Frr)) {
            return Ok(());
        }
        for address in &self.addresses {
            let holds = self.lab.journal().read(|entries| account::holds(entries, *address));
            let open: Vec<_> = holds.iter().filter(|hold| !hold.ended).collect();
            if open.len() != 1 || *open[0].node != *self.name(place) {
                bail!("{address} is held by {open:?}\n{}", self.logs());
            }
        }
        Ok(())
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.lab.journal().wait(usize::MAX, time, |_| None::<()>);
    }

    /// What everybody wrote.
    pub(crate) fn logs(&self) -> String {
        let lines = self.lab.journal().read(|entries| {
            let lines = entries.iter().filter_map(|entry| match &entry.event {
                lab::Event::Line { text, .. } => {
                    Some(format!("{} {}: {text}", entry.at, entry.node))
                }
                _ => None,
            });
            lines.collect::<Vec<_>>()
        });
        lines.join("\n")
    }
}

fn keepalived_conf(
    row: Row,
    priority: u8,
    own: [IpAddr; 2],
    place: usize,
    addresses: &[IpAddr],
) -> String {
    let mut added = String::new();
    if row.unicast {
        added += &format!(
            "    unicast_src_ip {}\n    unicast_peer {{\n        {}\n    }}\n",
            own[place],
            own[1 - place]
        );
    }
    let kind = match row.auth {
        Auth::None => None,
        Auth::Pass => Some("PASS"),
        Auth::Ah => Some("AH"),
    };
    if let Some(kind) = kind {
        added += &format!(
            "    authentication {{\n        auth_type {kind}\n        auth_pass longer-than-8\n    }}\n"
        );
    }
    let prefix = if row.ipv6 { 64 } else { 24 };
    let held: String = addresses.iter().map(|one| format!("        {one}/{prefix}\n")).collect();
    format!(
        "vrrp_instance VI_1 {{\n    state BACKUP\n    interface eth0\n    virtual_router_id {VRID}\n    \
         priority {priority}\n    version {}\n    advert_int {}\n{added}    virtual_ipaddress {{\n{held}    \
         }}\n}}\n",
        row.version,
        row.interval().as_secs_f64()
    )
}

/// vrrpd finds its interfaces by their hardware address and needs the addresses on them.
fn frr_files(plan: NodePlan, row: Row, priority: u8, addresses: &[IpAddr]) -> NodePlan {
    let (family, kind) = if row.ipv6 { ("ipv6", 2) } else { ("ip", 1) };
    let mut script = format!(
        "set -e\nmkdir -p /run/frr\nip link add vrrp0 link eth0 type macvlan mode bridge\n\
         ip link set vrrp0 address 00:00:5e:00:0{kind}:{VRID:02x}\n"
    );
    let mut conf = format!(
        "log stdout\ninterface eth0\n vrrp {VRID} version {}\n vrrp {VRID} priority {priority}\n \
         vrrp {VRID} advertisement-interval {}\n",
        row.version,
        row.interval().as_millis()
    );
    for address in addresses {
        let prefix = if row.ipv6 { 64 } else { 32 };
        script += &format!("ip address add {address}/{prefix} dev vrrp0\n");
        conf += &format!(" vrrp {VRID} {family} {address}\n");
    }
    script += "ip link set vrrp0 up\n";
    plan.file(NodeFile::new("/etc/frr/interface.sh", script))
        .file(NodeFile::new("/etc/frr/zebra.conf", "log stdout\n"))
        .file(NodeFile::new("/etc/frr/vrrpd.conf", conf))
        // Its rights to the control socket hang on a group of Debian's.
        .file(NodeFile::new("/etc/group", "root:x:0:\nfrr:x:0:root\nfrrvty:x:0:root\n"))
}

//! The five guides: which nodes each has, with which files, and what is to be seen.
//!
//! The files are the guides' own, see `compat-tests/guides`. What a guide leaves to its reader (the
//! addresses of the balancers, the network's prefix) is chosen here.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::host::NodePlan;
use crate::order::NodeFile;
use crate::switch::Subnet;

/// A guide's nodes and what may be expected of them.
#[derive(Clone, Debug)]
pub struct Guide {
    /// `001`, or `004-nginx` where a guide shows two ways.
    pub name: &'static str,
    /// What it sets up, in a few words.
    pub title: &'static str,
    /// What clients connect to.
    pub target: SocketAddr,
    /// The floating address, if the guide has one; it is then the target's.
    pub floating: Option<Floating>,
    /// The nodes with balancers, the guide's first one first.
    pub balancers: Vec<Balancer>,
    /// The API servers: name and address.
    pub servers: Vec<(&'static str, SocketAddr)>,
    /// The network all are in, as bits of its prefix.
    pub prefix: u8,
    /// An address for the client.
    pub client: Ipv4Addr,
    /// How long the files allow a dead server to be offered requests: the check's interval times
    /// its `fall`, and one connection's time-out. Zero where another server is asked at once.
    pub notice: Duration,
    /// How long the files allow a balancer that died on the master to go unnoticed by the check
    /// script; `None` where nothing watches it, or so slowly that a demonstration cannot wait.
    pub watched: Option<Duration>,
    /// How long the files allow a returned server to stay without requests.
    pub welcome: Duration,
}

/// The part of a guide that VRRP plays.
#[derive(Clone, Copy, Debug)]
pub struct Floating {
    /// The interface the guide names.
    pub interface: &'static str,
    /// The priority of the node that takes over, as its adverts say it.
    pub backup_priority: u8,
    /// Whether the first node takes the address back when it returns. With equal priorities it
    /// does not.
    pub returns: bool,
}

impl Floating {
    /// How long a backup waits after the last advert of a master that fell silent: three adverts
    /// of one second and the skew time (RFC 9568 §6.1).
    pub fn master_down(&self) -> Duration {
        Duration::from_secs(3) + self.skew()
    }

    /// How long it waits after a master that resigned.
    pub fn skew(&self) -> Duration {
        Duration::from_millis((256 - u64::from(self.backup_priority)) * 1000 / 256)
    }
}

/// A node with balancers on it.
#[derive(Clone, Debug)]
pub struct Balancer {
    /// Its host name.
    pub name: &'static str,
    /// Its own address.
    pub address: Ipv4Addr,
    /// The interface that has it.
    pub interface: &'static str,
    /// The files of the guide.
    pub files: Vec<NodeFile>,
    /// What the guide has its reader set for the kernel.
    pub sysctls: Vec<(&'static str, &'static str)>,
    /// What runs there, in the order of its start: command line and added environment.
    pub daemons: Vec<Daemon>,
}

/// A daemon as its Debian unit starts it, kept in the foreground.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// The command line; its first word is the name its processes are found by.
    pub argv: &'static [&'static str],
    /// Variables added to the environment.
    pub env: &'static [(&'static str, &'static str)],
}

impl Balancer {
    /// The node, without the programs that are to run there.
    pub fn plan(&self, prefix: u8) -> NodePlan {
        let own = Subnet::new(self.address, prefix);
        let mut plan = NodePlan::new(self.name).link(self.interface, own);
        for (name, value) in &self.sysctls {
            plan = plan.sysctl(name, value);
        }
        self.files.iter().cloned().fold(plan, NodePlan::file)
    }
}

/// keepalived, logging to its standard error.
pub const KEEPALIVED: Daemon = Daemon { argv: &["keepalived", "-n", "-l"], env: &[] };

/// HAProxy in the foreground, with the file of Debian's unit.
pub const HAPROXY: Daemon =
    Daemon { argv: &["haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"], env: &[] };

/// nginx in the foreground.
pub const NGINX: Daemon = Daemon { argv: &["nginx", "-g", "daemon off;"], env: &[] };

/// The guide of that name; `004` is both of its ways.
pub fn named(name: &str) -> Vec<Guide> {
    let mut found = all();
    found.retain(|guide| guide.name == name || guide.name.split('-').next() == Some(name));
    found
}

/// Every guide, in order.
pub fn all() -> Vec<Guide> {
    vec![guide_000(), guide_001(), guide_002(), guide_003(), guide_004_haproxy(), guide_004_nginx()]
}

macro_rules! guide_file {
    ($name:literal) => {
        include_str!(concat!("../../../compat-tests/guides/", $name))
    };
}

/// Two balancers with keepalived and nginx, of equal priority.
fn guide_000() -> Guide {
    let balancer = |name, last, keepalived| Balancer {
        name,
        address: Ipv4Addr::new(11, 11, 11, last),
        interface: "eth0",
        files: vec![
            keepalived_conf(keepalived),
            NodeFile::new(
                "/etc/nginx/nginx.conf",
                debian_nginx("include /etc/nginx/conf.d/*.stream;\n"),
            ),
            NodeFile::new(
                "/etc/nginx/conf.d/loadbalance.stream",
                guide_file!("000-nginx-stream.conf"),
            ),
            NodeFile::script("/bin/check_nginx.sh", guide_file!("000-check_nginx.sh")),
        ],
        sysctls: Vec::new(),
        daemons: vec![NGINX, KEEPALIVED],
    };
    Guide {
        name: "000",
        title: "two nodes, keepalived and nginx stream, a check that stops keepalived",
        target: SocketAddr::from(([11, 11, 11, 253], 6443)),
        // 110 and the 50 that the passing check adds.
        floating: Some(Floating { interface: "eth0", backup_priority: 160, returns: false }),
        balancers: vec![
            balancer("lb1", 11, guide_file!("000-keepalived-master.conf")),
            balancer("lb2", 12, guide_file!("000-keepalived-backup.conf")),
        ],
        servers: servers(&["k8s-1", "k8s-2"], [11, 11, 11, 1], 6443),
        prefix: 24,
        client: Ipv4Addr::new(11, 11, 11, 100),
        watched: Some(Duration::from_secs(2)),
        notice: Duration::ZERO,
        // fail_timeout, a second and the next round.
        welcome: Duration::from_secs(10),
    }
}

/// Three nodes, each with keepalived and HAProxy; the address is static on all of them, too.
fn guide_001() -> Guide {
    let balancer = |name, last, keepalived| Balancer {
        name,
        address: Ipv4Addr::new(10, 1, 2, last),
        interface: "eth0",
        files: vec![
            keepalived_conf(keepalived),
            haproxy_cfg(guide_file!("001-haproxy-appended.cfg")),
        ],
        // HAProxy binds the floating address on nodes that do not have it.
        sysctls: vec![("net/ipv4/ip_nonlocal_bind", "1")],
        daemons: vec![HAPROXY, KEEPALIVED],
    };
    Guide {
        name: "001",
        title: "three nodes, keepalived and HAProxy on each",
        target: SocketAddr::from(([10, 1, 233, 1], 6443)),
        floating: Some(Floating { interface: "eth0", backup_priority: 99, returns: true }),
        balancers: vec![
            balancer("node1", 1, guide_file!("001-keepalived-node1.conf")),
            balancer("node2", 2, guide_file!("001-keepalived-node2.conf")),
            balancer("node3", 3, guide_file!("001-keepalived-node3.conf")),
        ],
        servers: servers(&["master-1", "master-2", "master-3"], [10, 1, 1, 1], 6443),
        prefix: 16,
        client: Ipv4Addr::new(10, 1, 3, 1),
        // inter 3s fall 3, and the 5 s of "timeout connect".
        watched: None,
        notice: Duration::from_secs(14),
        // rise 2, and the check's interval once more.
        welcome: Duration::from_secs(12),
    }
}

/// Two balancers that send their adverts to each other's address.
fn guide_002() -> Guide {
    let balancer = |name, last, keepalived| Balancer {
        name,
        address: Ipv4Addr::new(192, 168, 2, last),
        interface: "ens160",
        files: vec![
            keepalived_conf(keepalived),
            haproxy_cfg(guide_file!("002-haproxy-appended.cfg")),
        ],
        sysctls: Vec::new(),
        daemons: vec![HAPROXY, KEEPALIVED],
    };
    Guide {
        name: "002",
        title: "two nodes, unicast adverts, pgrep haproxy as check",
        target: SocketAddr::from(([192, 168, 2, 140], 6443)),
        floating: Some(Floating { interface: "ens160", backup_priority: 100, returns: true }),
        balancers: vec![
            balancer("haproxy-lb1", 141, guide_file!("002-keepalived-lb1-filled.conf")),
            balancer("haproxy-lb2", 142, guide_file!("002-keepalived-lb2-filled.conf")),
        ],
        servers: servers(&["k8s-master1", "k8s-master2", "k8s-master3"], [192, 168, 2, 151], 6443),
        prefix: 24,
        client: Ipv4Addr::new(192, 168, 2, 10),
        // inter 2s fall 3 (defaults), and the 5 s of "timeout connect".
        watched: Some(Duration::from_secs(4)),
        notice: Duration::from_secs(11),
        welcome: Duration::from_secs(8),
    }
}

/// kubeadm's page: two balancers, a script that asks the balancer's own port.
fn guide_003() -> Guide {
    let balancer = |name, last, keepalived| Balancer {
        name,
        address: Ipv4Addr::new(192, 168, 1, last),
        interface: "eth0",
        files: vec![
            keepalived_conf(keepalived),
            haproxy_cfg(guide_file!("003-kubeadm-haproxy-filled.cfg")),
            NodeFile::script(
                "/etc/keepalived/check_apiserver.sh",
                guide_file!("003-kubeadm-check_apiserver.sh"),
            ),
        ],
        sysctls: Vec::new(),
        daemons: vec![HAPROXY, Daemon { env: &[("APISERVER_DEST_PORT", "8443")], ..KEEPALIVED }],
    };
    Guide {
        name: "003",
        title: "kubeadm's page: two nodes, /healthz asked through HAProxy",
        target: SocketAddr::from(([192, 168, 1, 100], 8443)),
        floating: Some(Floating { interface: "eth0", backup_priority: 100, returns: true }),
        balancers: vec![
            balancer("lb1", 21, guide_file!("003-kubeadm-keepalived-master-filled.conf")),
            balancer("lb2", 22, guide_file!("003-kubeadm-keepalived-backup-filled.conf")),
        ],
        servers: servers(&["cp1", "cp2", "cp3"], [192, 168, 1, 11], 6443),
        prefix: 24,
        client: Ipv4Addr::new(192, 168, 1, 50),
        // inter 2s fall 3 (defaults), and the 5 s of "timeout connect".
        watched: None,
        notice: Duration::from_secs(11),
        welcome: Duration::from_secs(8),
    }
}

fn guide_004_haproxy() -> Guide {
    Guide {
        name: "004-haproxy",
        title: "one node, HAProxy",
        balancers: vec![Balancer {
            files: vec![haproxy_cfg(guide_file!("004-haproxy-filled-appended.cfg"))],
            daemons: vec![HAPROXY],
            ..balancer_004()
        }],
        // inter 10s fall 2, and the 5 s of "timeout connect".
        notice: Duration::from_secs(25),
        // Down: asked every 5 s, rise 2; then a slow start from the first percent.
        welcome: Duration::from_secs(25),
        ..guide_004()
    }
}

fn guide_004_nginx() -> Guide {
    let nginx = debian_nginx(guide_file!("004-nginx-stream.conf"));
    Guide {
        name: "004-nginx",
        title: "one node, nginx stream",
        balancers: vec![Balancer {
            files: vec![NodeFile::new("/etc/nginx/nginx.conf", nginx)],
            daemons: vec![NGINX],
            ..balancer_004()
        }],
        notice: Duration::ZERO,
        // fail_timeout 30s, and the next round.
        welcome: Duration::from_secs(35),
        ..guide_004()
    }
}

fn guide_004() -> Guide {
    Guide {
        name: "004",
        title: "",
        target: SocketAddr::from(([192, 168, 1, 1], 6443)),
        floating: None,
        balancers: Vec::new(),
        servers: servers(&["k8s-master1", "k8s-master2"], [192, 168, 2, 1], 6443),
        prefix: 16,
        client: Ipv4Addr::new(192, 168, 3, 1),
        watched: None,
        notice: Duration::ZERO,
        welcome: Duration::ZERO,
    }
}

fn balancer_004() -> Balancer {
    Balancer {
        name: "lb",
        address: Ipv4Addr::new(192, 168, 1, 1),
        interface: "eth0",
        files: Vec::new(),
        sysctls: Vec::new(),
        daemons: Vec::new(),
    }
}

fn keepalived_conf(text: &str) -> NodeFile {
    NodeFile::new("/etc/keepalived/keepalived.conf", text)
}

fn haproxy_cfg(text: &str) -> NodeFile {
    NodeFile::new("/etc/haproxy/haproxy.cfg", text)
}

/// The main context of Debian 12's `nginx.conf`, without its web sites, and what a guide adds.
fn debian_nginx(added: &str) -> String {
    format!(
        "user www-data;\nworker_processes auto;\npid /run/nginx.pid;\n\
         error_log /var/log/nginx/error.log;\ninclude /etc/nginx/modules-enabled/*.conf;\n\n\
         events {{\n\tworker_connections 768;\n\t# multi_accept on;\n}}\n\n{added}"
    )
}

/// Servers of those names at consecutive addresses.
fn servers(names: &[&'static str], first: [u8; 4], port: u16) -> Vec<(&'static str, SocketAddr)> {
    let [a, b, c, d] = first;
    let at = |place: usize| IpAddr::from([a, b, c, d + place as u8]);
    let named = names.iter().enumerate();
    named.map(|(place, &name)| (name, SocketAddr::new(at(place), port))).collect()
}

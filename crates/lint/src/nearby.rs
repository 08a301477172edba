//! A node's files beside each other, and beside its machine.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use proxy::{Bind, BindAddress};
use vrrp::config::{InstanceConfig, OWNER};

use crate::machine::Machine;
use crate::node::{Keepalived, Node, Proxy};
use crate::{Location, Note};

pub(crate) fn look(node: &Node, machine: &dyn Machine, note: &mut Note<'_>) {
    let floating: Vec<IpAddr> = node
        .keepalived
        .iter()
        .flat_map(Keepalived::instances)
        .flat_map(InstanceConfig::held)
        .map(|address| address.address)
        .collect();
    let own = machine.addresses();
    let own_ips: Option<Vec<IpAddr>> =
        own.as_ref().map(|all| all.iter().map(|(ip, _)| *ip).collect());
    if let Some(keepalived) = &node.keepalived {
        for instance in keepalived.instances() {
            addresses(keepalived, instance, own.as_deref(), note);
            firewall(keepalived, instance, machine, note);
        }
        one_check_for_all(node, keepalived, machine, note);
    }
    let mut claimed: HashMap<SocketAddr, Location> = HashMap::new();
    for proxy in &node.proxies {
        for (_, bind) in binds(proxy) {
            listening(proxy, bind, &floating, own_ips.as_deref(), machine, note);
            twice(proxy, bind, &mut claimed, note);
        }
        servers(proxy, &floating, own_ips.as_deref(), note);
        not_included(proxy, machine, note);
    }
    nobody_listens(node, note);
}

fn binds(proxy: &Proxy) -> impl Iterator<Item = (SocketAddr, &Bind)> {
    let frontends = proxy.config.iter().flat_map(|config| &config.frontends);
    let binds =
        frontends.filter(|frontend| !frontend.disabled).flat_map(|frontend| &frontend.binds);
    binds.filter_map(|bind| match bind.address {
        BindAddress::Inet(address) => Some((address, bind)),
        _ => None,
    })
}

fn place(origin: &proxy::Origin) -> Location {
    Location::new(origin.file.clone(), origin.line as usize)
}

fn addresses(
    keepalived: &Keepalived,
    instance: &InstanceConfig,
    own: Option<&[(IpAddr, u8)]>,
    note: &mut Note<'_>,
) {
    let name = &instance.name;
    for address in &instance.addresses {
        let ip = address.address;
        let at = || keepalived.in_list("vrrp_instance", name, "virtual_ipaddress", &ip.to_string());
        let Some(own) = own else { continue };
        let held = own.iter().any(|(known, prefix)| *known == ip && *prefix != address.prefix_len);
        if held && instance.priority != OWNER {
            note.add(
                "own-address",
                at(),
                format!("({name}) {ip} is an address of this machine itself: other masters will have it too"),
                "choose an address nobody has, or priority 255 on the node that owns it",
            );
        }
        let host = if ip.is_ipv4() { 32 } else { 128 };
        let network = |(known, prefix): &(IpAddr, u8)| {
            *prefix == address.prefix_len
                && *prefix < host
                && *known != ip
                && inside(*known, ip, *prefix)
        };
        if own.iter().any(network) {
            note.add(
                "interface-prefix",
                at(),
                format!("({name}) {ip}/{} has the prefix of the network: answers may leave from it, and go with it", address.prefix_len),
                format!("write {ip}/{host}"),
            );
        }
    }
}

fn inside(network: IpAddr, ip: IpAddr, prefix: u8) -> bool {
    ipnet::IpNet::new(network, prefix).is_ok_and(|network| network.contains(&ip))
}

/// An input chain that drops what it does not know, and does not know VRRP.
fn firewall(
    keepalived: &Keepalived,
    instance: &InstanceConfig,
    machine: &dyn Machine,
    note: &mut Note<'_>,
) {
    let Some(rules) = machine.firewall() else { return };
    if let Some(chain) = dropping_chain(&rules) {
        let name = &instance.name;
        let rule = match instance.is_ipv4() {
            true => "ip protocol vrrp accept",
            false => "meta l4proto vrrp accept",
        };
        note.add(
            "firewall-drops-vrrp",
            keepalived.at("vrrp_instance", name, "interface"),
            format!("({name}) chain '{chain}' drops adverts (protocol 112): every node will hear nobody and be master"),
            format!("add '{rule}' to it (iptables: -p vrrp -j ACCEPT)"),
        );
    }
}

/// The name of the chain, out of `nft list ruleset`.
pub(crate) fn dropping_chain(rules: &str) -> Option<String> {
    let (mut chain, mut drops, mut knows) = (String::new(), false, false);
    for line in rules.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("chain ") {
            chain = name.trim_end_matches('{').trim().to_owned();
            (drops, knows) = (false, false);
        } else if line.contains("hook input") && line.contains("policy drop") {
            drops = true;
        } else if (line.contains("vrrp")
            || line.contains("protocol 112")
            || line.contains("l4proto 112"))
            && line.contains("accept")
            || line == "accept"
        {
            knows = true;
        } else if line == "}" && drops {
            if !knows {
                return Some(chain);
            }
            drops = false;
        }
    }
    None
}

fn listening(
    proxy: &Proxy,
    bind: &Bind,
    floating: &[IpAddr],
    own: Option<&[IpAddr]>,
    machine: &dyn Machine,
    note: &mut Note<'_>,
) {
    let BindAddress::Inet(address) = bind.address else { return };
    let ip = address.ip();
    if ip.is_unspecified() || ip.is_loopback() || bind.transparent {
        return;
    }
    let family = if ip.is_ipv4() { "ipv4" } else { "ipv6" };
    let sysctl = format!("net.{family}.ip_nonlocal_bind");
    let instead = format!(
        "write '{sysctl} = 1' to /etc/sysctl.d/90-failover.conf and run 'sysctl --system', or bind *:{}",
        address.port()
    );
    let absent = own.is_some_and(|own| !own.contains(&ip));
    match machine.nonlocal_bind(ip.is_ipv6()) {
        Some(false) if absent => {
            let program = proxy.program;
            note.add(
                "address-not-here",
                place(&bind.origin),
                format!("{address}: {ip} is not on this machine, and {sysctl} is 0: {program} does not start, or loses it at the next restart"),
                instead,
            );
        }
        Some(_) => {}
        None if floating.contains(&ip) => note.add(
            "needs-nonlocal-bind",
            place(&bind.origin),
            format!(
                "{address} is there on the master only: the others start by {sysctl} = 1 alone"
            ),
            instead,
        ),
        None => {}
    }
}

fn twice(
    proxy: &Proxy,
    bind: &Bind,
    claimed: &mut HashMap<SocketAddr, Location>,
    note: &mut Note<'_>,
) {
    let BindAddress::Inet(address) = bind.address else { return };
    let here = place(&bind.origin);
    let wildcard = |ip: IpAddr| SocketAddr::new(ip, address.port());
    let any = [wildcard(IpAddr::from([0; 4])), wildcard(IpAddr::from([0; 16]))];
    let clash = claimed
        .iter()
        .find(|(known, at)| {
            let same = **known == address
                || known.port() == address.port()
                    && (any.contains(known) || any.contains(&address));
            same && at.file != here.file && !bind.udp
        })
        .map(|(_, at)| at.clone());
    if let Some(at) = clash {
        note.add(
            "claimed-twice",
            here.clone(),
            format!("{address} is listened on at {at} too: {} does not start, or shares its connections", proxy.program),
            "use one of the two programs for it",
        );
    }
    claimed.entry(address).or_insert(here);
}

fn servers(proxy: &Proxy, floating: &[IpAddr], own: Option<&[IpAddr]>, note: &mut Note<'_>) {
    for backend in proxy.config.iter().flat_map(|config| &config.backends) {
        for server in &backend.servers {
            let Some(to) = server.address.socket() else { continue };
            let here = own.is_some_and(|own| own.contains(&to.ip())) || to.ip().is_loopback();
            if floating.contains(&to.ip()) {
                note.add(
                    "loop",
                    place(&server.origin),
                    format!(
                        "{}/{}: {to} is the floating address: the connection comes back to a proxy",
                        backend.name, server.name
                    ),
                    "name the servers' own addresses",
                );
                continue;
            }
            for (address, bind) in binds(proxy).filter(|(address, _)| address.port() == to.port()) {
                if address.ip() == to.ip() {
                    note.add(
                        "loop",
                        place(&server.origin),
                        format!(
                            "{}/{}: {to} is where this proxy listens itself ({})",
                            backend.name,
                            server.name,
                            place(&bind.origin)
                        ),
                        "give the server or the proxy another port",
                    );
                } else if address.ip().is_unspecified() && here {
                    note.add(
                        "port-taken",
                        place(&bind.origin),
                        format!("{address} takes port {} on every address of this machine, where server {}/{} is to listen too", to.port(), backend.name, server.name),
                        "listen on another port, or on the floating address alone",
                    );
                }
            }
        }
    }
}

/// A file somebody meant to be read.
fn not_included(proxy: &Proxy, machine: &dyn Machine, note: &mut Note<'_>) {
    if proxy.program != "nginx" || !proxy.file().starts_with("/etc/nginx/") {
        return;
    }
    for (name, text) in machine.files_below("/etc/nginx") {
        let opens = |line: &str| {
            let line = line.split('#').next().unwrap_or("").trim();
            line.strip_prefix("stream").is_some_and(|rest| rest.trim_start().starts_with('{'))
        };
        if !proxy.has_read(&name)
            && let Some(line) = text.lines().position(opens)
        {
            note.add(
                "not-included",
                Location::new(name.clone(), line + 1),
                "nothing includes this file: its servers do not exist",
                format!("write 'include {name};' into {}, outside of http {{}}", proxy.file()),
            );
        }
    }
}

/// Every floating address should lead somewhere, where there is a proxy at all.
fn nobody_listens(node: &Node, note: &mut Note<'_>) {
    let Some(keepalived) = &node.keepalived else { return };
    let bound: Vec<IpAddr> =
        node.proxies.iter().flat_map(binds).map(|(address, _)| address.ip()).collect();
    if bound.is_empty() {
        return;
    }
    for instance in keepalived.instances() {
        for address in instance.held() {
            let ip = address.address;
            let any = |known: &IpAddr| {
                known.is_unspecified() && (known.is_ipv4() == ip.is_ipv4() || known.is_ipv6())
            };
            if !bound.iter().any(|known| *known == ip || any(known)) {
                note.add(
                    "nobody-listens",
                    keepalived.in_list(
                        "vrrp_instance",
                        &instance.name,
                        "virtual_ipaddress",
                        &ip.to_string(),
                    ),
                    format!(
                        "({}) {ip} is brought here, and no proxy of this node listens on it",
                        instance.name
                    ),
                    format!("bind {ip} or * in the proxy, or correct the address"),
                );
            }
        }
    }
}

/// A check of this node that asks a server all nodes ask.
fn one_check_for_all(
    node: &Node,
    keepalived: &Keepalived,
    machine: &dyn Machine,
    note: &mut Note<'_>,
) {
    let servers: Vec<SocketAddr> = node
        .proxies
        .iter()
        .filter_map(|proxy| proxy.config.as_ref())
        .flat_map(|config| &config.backends)
        .flat_map(|backend| &backend.servers)
        .filter_map(|server| server.address.socket())
        .filter(|address| !address.ip().is_loopback())
        .collect();
    for script in keepalived.config().iter().flat_map(|config| &config.scripts) {
        let program = script.command.first().and_then(|path| machine.script(path));
        let text = format!("{}\n{}", script.command.join(" "), program.unwrap_or_default());
        if let Some(server) = servers.iter().find(|server| text.contains(&server.to_string())) {
            note.add(
                "one-check-for-all",
                keepalived.at("vrrp_script", &script.name, "script"),
                format!("check {} asks server {server}, as every node does: when it dies all fail at once", script.name),
                "check what is this node's own: the proxy's port on this machine",
            );
        }
    }
}

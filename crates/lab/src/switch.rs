//! Links and addresses: the switch on the ground, and an interface inside a node.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use anyhow::{Context, Result};
use rtnetlink::packet_route::link::{InfoData, InfoVeth, LinkAttribute};
use rtnetlink::{Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth};
use serde::{Deserialize, Serialize};

/// An address and the length of its network's prefix: `10.0.0.1/24`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Subnet {
    /// The host's own address.
    pub address: IpAddr,
    /// Bits of the network, 0 to 32 or 128.
    pub prefix: u8,
}

impl Subnet {
    /// The address and the length of the prefix.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Self {
        Self { address: address.into(), prefix }
    }
}

impl FromStr for Subnet {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (address, prefix) =
            text.split_once('/').with_context(|| format!("'{text}' has no /"))?;
        Ok(Self { address: address.parse()?, prefix: prefix.parse()? })
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// A connection to the kernel; must be made inside a tokio runtime.
pub(crate) fn connect() -> Result<Handle> {
    let (connection, handle, _) = rtnetlink::new_connection().context("no netlink socket")?;
    tokio::spawn(connection);
    Ok(handle)
}

/// Makes a bridge that forwards at once and floods every multicast.
pub(crate) async fn add_switch(handle: &Handle, name: &str) -> Result<u32> {
    handle
        .link()
        .add(LinkBridge::new(name).forward_delay(0).up().build())
        .execute()
        .await
        .with_context(|| format!("bridge {name} (is the kernel's bridge module there?)"))?;
    // A bridge that snoops IGMP would forward to routers and members only what is not link-local;
    // adverts are link-local, but a lab should not depend on that.
    let snooping = format!("/sys/class/net/{name}/bridge/multicast_snooping");
    std::fs::write(snooping, "0").ok();
    index(name)
}

/// A cable: `port` on the switch, `interface` in the network namespace of process `pid`.
pub(crate) async fn add_cable(
    handle: &Handle,
    switch: u32,
    port: &str,
    pid: u32,
    interface: &str,
    hardware: [u8; 6],
) -> Result<()> {
    let mut peer = LinkMessageBuilder::<LinkUnspec>::new().name(interface.to_owned()).build();
    peer.attributes.push(LinkAttribute::NetNsPid(pid));
    peer.attributes.push(LinkAttribute::Address(hardware.to_vec()));
    let cable = LinkMessageBuilder::<LinkVeth>::new(port, interface)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .controller(switch)
        .up()
        .build();
    let added = handle.link().add(cable).execute().await;
    added.with_context(|| format!("cable {port} to {interface}"))
}

/// Plugs or pulls a cable at the switch's end: the node sees its carrier come or go.
pub(crate) async fn set_up(handle: &Handle, name: &str, up: bool) -> Result<()> {
    let index = index(name)?;
    let message = LinkUnspec::new_with_index(index);
    let message = if up { message.up() } else { message.down() }.build();
    handle.link().set(message).execute().await.with_context(|| format!("link {name}"))
}

/// Takes a port off the switch or puts it back: nothing passes, and both ends keep their carrier.
pub(crate) async fn attach(handle: &Handle, name: &str, to: Option<u32>) -> Result<()> {
    let message = LinkUnspec::new_with_index(index(name)?);
    let message = match to {
        Some(switch) => message.controller(switch),
        None => message.nocontroller(),
    };
    handle.link().set(message.build()).execute().await.with_context(|| format!("link {name}"))
}

/// Switches an interface on or off where the caller is.
pub(crate) async fn switch_link(interface: &str, up: bool) -> Result<()> {
    set_up(&connect()?, interface, up).await
}

/// Gives an interface its addresses and switches it and the loopback on.
pub(crate) async fn configure(interface: &str, addresses: &[Subnet]) -> Result<()> {
    let handle = connect()?;
    set_up(&handle, "lo", true).await?;
    let index = index(interface)?;
    for subnet in addresses {
        handle
            .address()
            .add(index, subnet.address, subnet.prefix)
            .execute()
            .await
            .with_context(|| format!("address {subnet} on {interface}"))?;
    }
    set_up(&handle, interface, true).await
}

/// Removes a link of the ground.
pub(crate) async fn remove(handle: &Handle, name: &str) -> Result<()> {
    let index = index(name)?;
    handle.link().del(index).execute().await.with_context(|| format!("link {name}"))
}

pub(crate) fn index(name: &str) -> Result<u32> {
    nix::net::if_::if_nametoindex(name).with_context(|| format!("no interface {name}"))
}

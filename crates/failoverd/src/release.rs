//! `failoverd release`: what a daemon that is no more has left, whichever way it went.
//!
//! An address that a live daemon added has a lifetime, so it goes by itself; this does not wait for
//! it. What has none was there before, or belongs to somebody else, and stays.

use std::net::IpAddr;

use anyhow::Context as _;
use daemon::pidfile::{PidFile, PidFileError};
use netlink::{Address, Kernel, NewAddress};
use vrrp::config::Config;

use crate::cli::Options;
use crate::configuration;

/// Removes them, and returns which.
///
/// # Errors
///
/// When a daemon runs, whose they are; when the kernel refuses.
pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<IpAddr>> {
    if let Err(error @ PidFileError::Locked(_)) = PidFile::create(&options.pid_file) {
        return Err(error).context("a daemon runs, and they are its own");
    }
    let config = configuration::load(options).config;
    if let Some(namespace) = &config.globals.process.net_namespace {
        linux::namespace::enter_network(namespace)
            .with_context(|| format!("no network namespace {namespace}"))?;
    }
    let mut kernel = Kernel::open().context("cannot ask the kernel")?;
    let leased = kernel.leased().context("cannot read addresses")?;
    let mut released = Vec::new();
    for address in left(&config, &leased) {
        let gone = NewAddress::plain(address);
        if kernel.remove(&gone).with_context(|| format!("cannot remove {}", address.address))? {
            released.push(address.address);
        }
    }
    Ok(released)
}

/// Those of `leased` that an instance would have added.
fn left(config: &Config, leased: &[Address]) -> Vec<Address> {
    let instances = config.instances.iter();
    let ours: Vec<_> = instances
        .flat_map(|instance| instance.addresses.iter().chain(&instance.excluded))
        .map(|address| (address.address, address.prefix_len))
        .collect();
    let is_ours = |one: &&Address| ours.contains(&(one.address, one.prefix_len));
    leased.iter().filter(is_ours).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_leased_addresses_of_an_instance_are_left_behind() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("keepalived.conf");
        let text = "global_defs { dynamic_interfaces }
            vrrp_instance V { interface evergate0
            virtual_router_id 5
            virtual_ipaddress { 192.0.2.1/24 }
            virtual_ipaddress_excluded { 192.0.2.2/32 } }";
        std::fs::write(&file, text).expect("writable");
        let mut options = Options::new(crate::cli::Persona::Failoverd);
        options.file = file;
        let config = configuration::load(&options).config;
        let one = |address: &str, prefix_len| Address {
            link: 7,
            address: address.parse().expect("an address"),
            prefix_len,
        };
        let leased = [one("192.0.2.1", 24), one("192.0.2.1", 32), one("192.0.2.2", 32)];
        let others = [one("192.0.2.3", 24), one("2001:db8::1", 64)];
        let all = [&leased[..], &others].concat();
        assert_eq!(left(&config, &all), [leased[0], leased[2]]);
    }
}

use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use vrrp::config::VirtualAddress;

use super::*;

fn vmac(name: Option<&str>) -> Option<VmacConfig> {
    Some(VmacConfig {
        kind: VmacKind::Macvlan(None),
        name: name.map(str::to_owned),
        xmit_base: false,
        group: None,
        netlink_notify: false,
    })
}

fn address(text: &str, interface: Option<&str>) -> VirtualAddress {
    let interface = interface.map(str::to_owned);
    VirtualAddress { interface, ..VirtualAddress::host(text.parse().expect("an address")) }
}

fn instance(vrid: u8, addresses: Vec<VirtualAddress>) -> InstanceConfig {
    InstanceConfig {
        name: format!("V{vrid}"),
        interface: "eth0".into(),
        vrid: Vrid(vrid),
        addresses,
        ..InstanceConfig::default()
    }
}

#[test]
fn every_virtual_router_has_an_interface_named_after_it() {
    let mut four = instance(51, vec![address("192.0.2.1", None)]);
    let mut six = instance(51, vec![address("fe80::51", None)]);
    let mut named = instance(
        52,
        vec![
            address("192.0.2.2", None),
            address("192.0.2.3", Some("eth1")),
            address("192.0.2.4", Some("eth1")),
        ],
    );
    (four.vmac, six.vmac, named.vmac) = (vmac(None), vmac(None), vmac(Some("mine")));
    named.addresses[1].vmac = true;
    let mut config = Config { instances: vec![four, six, named], ..Config::default() };
    let wishes = assign(&mut config);
    let names: Vec<_> = wishes.iter().map(|w| (w.name.as_str(), w.parent.as_str())).collect();
    assert_eq!(
        names,
        [("vrrp.51", "eth0"), ("vrrp6.51", "eth0"), ("mine", "eth0"), ("vrrp.52", "eth1")]
    );
    assert_eq!(wishes[0].kind, NewLinkKind::Macvlan([0, 0, 0x5e, 0, 1, 51]));
    assert_eq!(wishes[1].kind, NewLinkKind::Macvlan([0, 0, 0x5e, 0, 2, 51]));
    let on = |instance: &InstanceConfig, at: usize| {
        instance.interface_of(&instance.addresses[at]).to_owned()
    };
    assert_eq!(on(&config.instances[0], 0), "vrrp.51");
    let named = &config.instances[2];
    assert_eq!([on(named, 0), on(named, 1), on(named, 2)], ["mine", "vrrp.52", "eth1"]);
}

#[test]
fn what_an_earlier_process_left_is_used_again_and_what_is_different_is_not() {
    let thread = std::thread::spawn(|| {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            return eprintln!("SKIPPED: no network namespace: {error}");
        }
        let ip = |arguments: &str| {
            Command::new("ip").args(arguments.split(' ')).status().expect("iproute2")
        };
        assert!(ip("link add eth0 type veth peer name eth1").success());
        assert!(ip("address add fe80::7/64 dev eth0 nodad").success());
        let mut kernel = Kernel::open().expect("a socket");
        let mut config = Config { instances: vec![instance(51, Vec::new())], ..Config::default() };
        config.instances[0].vmac = vmac(None);
        config.instances[0].addresses = vec![address("fe80::51", None)];
        let wish = assign(&mut config).remove(0);
        assert!(make(&mut kernel, &wish).expect("made").created);
        let index = |kernel: &mut Kernel| {
            kernel.snapshot().expect("a dump").link(&wish.name).expect("there").index
        };
        let first = index(&mut kernel);
        assert!(!make(&mut kernel, &wish).expect("there").created);
        assert_eq!(index(&mut kernel), first);
        let there = kernel.snapshot().expect("a dump").addresses;
        assert!(there.iter().any(|a| a.link == first && a.address.to_string() == "fe80::7"));
        let other = Wish { kind: NewLinkKind::Macvlan([2, 0, 0, 0, 0, 1]), ..wish.clone() };
        assert!(make(&mut kernel, &other).expect("made anew").created);
        let taken = Wish { name: "eth1".into(), ..wish.clone() };
        let error = make(&mut kernel, &taken).expect_err("something else");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        let nowhere = Wish { parent: "no-such-if".into(), ..wish.clone() };
        assert!(make(&mut kernel, &nowhere).is_err());
        assert!(remove(&mut kernel, &wish.name).expect("removed"));
        assert!(!remove(&mut kernel, &wish.name).expect("it was gone"));
    });
    thread.join().expect("the assertions hold");
}

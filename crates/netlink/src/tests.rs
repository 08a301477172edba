use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use proptest::prelude::*;

use crate::kernel::messages;
use crate::{
    Address, Kernel, Link, Monitor, NetEvent, NewAddress, NewLink, NewLinkKind, RouteKey, Snapshot,
    is_absence,
};

/// Runs `body` in a network namespace of its own, in which only a loopback exists. Without the
/// privilege to make one there is nothing to test.
fn in_a_namespace(body: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| match unshare(CloneFlags::CLONE_NEWNET) {
        Ok(()) => body(),
        Err(error) => eprintln!("SKIPPED: no network namespace: {error}"),
    });
    thread.join().expect("the body's assertions hold");
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        tokio::time::timeout(Duration::from_secs(10), future).await.expect("it does not hang")
    })
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("iproute2");
    assert!(status.success(), "ip {arguments}");
}

fn on_loopback(last: u8) -> Address {
    Address { link: 1, address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), prefix_len: 32 }
}

fn plain(address: Address) -> NewAddress {
    NewAddress::plain(address)
}

#[test]
fn an_address_added_is_there_and_removed_is_gone() {
    in_a_namespace(|| {
        let mut kernel = Kernel::open().expect("a socket");
        let address = on_loopback(1);
        kernel.add(&plain(address)).expect("added");
        kernel.add(&plain(address)).expect("adding again only renews");
        assert!(kernel.snapshot().expect("a dump").addresses.contains(&address));
        assert!(kernel.remove(&plain(address)).expect("removed"));
        assert!(!kernel.remove(&plain(address)).expect("removing again changes nothing"));
        assert!(!kernel.snapshot().expect("a dump").addresses.contains(&address));
    });
}

#[test]
fn what_has_a_lifetime_is_told_from_what_stays() {
    in_a_namespace(|| {
        let mut kernel = Kernel::open().expect("a socket");
        let (leased, kept) = (on_loopback(1), on_loopback(2));
        kernel.add(&NewAddress { lifetime: Some(60), ..plain(leased) }).expect("added");
        kernel.add(&plain(kept)).expect("added");
        assert_eq!(kernel.leased().expect("a dump"), [leased]);
    });
}

#[test]
fn an_address_has_its_label_scope_broadcast_and_lifetime() {
    in_a_namespace(|| {
        let mut kernel = Kernel::open().expect("a socket");
        let mut new = plain(on_loopback(2));
        new.address.prefix_len = 24;
        new.label = Some("lo:1".to_owned());
        new.scope = 253;
        new.broadcast = Some(Ipv4Addr::new(192, 0, 2, 255));
        new.lifetime = Some(100);
        kernel.add(&new).expect("added");
        let shown = Command::new("ip").args(["address", "show", "lo"]).output().expect("iproute2");
        let shown = String::from_utf8_lossy(&shown.stdout);
        let expected = "inet 192.0.2.2/24 brd 192.0.2.255 scope link dynamic";
        assert!(shown.contains(expected) && shown.contains("lo:1"), "{shown}");
        assert!(shown.contains("valid_lft 100sec") || shown.contains("valid_lft 99sec"), "{shown}");
    });
}

#[test]
fn a_lease_that_is_not_renewed_ends_and_is_reported() {
    in_a_namespace(|| {
        block_on(async {
            let mut kernel = Kernel::open().expect("a socket");
            let mut monitor = Monitor::open().expect("a socket");
            let mut new = plain(on_loopback(3));
            new.lifetime = Some(1);
            kernel.add(&new).expect("added");
            assert_eq!(monitor.next().await.expect("told"), NetEvent::Address(new.address));
            assert_eq!(monitor.next().await.expect("told"), NetEvent::AddressGone(new.address));
        });
    });
}

#[test]
fn the_kernel_refuses_a_link_that_does_not_exist() {
    in_a_namespace(|| {
        let mut kernel = Kernel::open().expect("a socket");
        let nowhere = Address { link: 4711, ..on_loopback(1) };
        let error = kernel.add(&plain(nowhere)).expect_err("no such link");
        assert_eq!(error.raw_os_error(), Some(19), "ENODEV: {error}");
        assert!(!kernel.remove(&plain(nowhere)).expect("what is not there is removed"));
    });
}

#[test]
fn a_link_that_is_renamed_is_gone_by_its_old_name() {
    in_a_namespace(|| {
        block_on(async {
            let mut monitor = Monitor::open().expect("a socket");
            ip("link add before type veth peer name peer");
            while monitor.known().link("before").is_none() {
                monitor.next().await.expect("told");
            }
            let index = monitor.known().link("before").expect("just seen").index;
            ip("link set before name after");
            let (mut events, is_it) = (Vec::new(), |link: &Link| link.index == index);
            while !matches!(events.last(), Some((true, name)) if name == "after") {
                match monitor.next().await.expect("told") {
                    NetEvent::Link(link) if is_it(&link) => events.push((true, link.name)),
                    NetEvent::LinkGone(link) if is_it(&link) => events.push((false, link.name)),
                    _ => {}
                }
            }
            let at = events.len() - 2;
            assert_eq!(events[at], (false, "before".to_owned()), "{events:?}");
            // The same from a snapshot.
            let mut now = monitor.known().clone();
            now.links.get_mut(&index).expect("there").name = "again".to_owned();
            monitor.compare(now);
            let event = monitor.next().await.expect("told");
            assert!(
                matches!(&event, NetEvent::LinkGone(link) if link.name == "after"),
                "{event:?}"
            );
            let event = monitor.next().await.expect("told");
            assert!(matches!(&event, NetEvent::Link(link) if link.name == "again"), "{event:?}");
        });
    });
}

#[test]
fn a_link_is_up_only_with_its_carrier() {
    in_a_namespace(|| {
        block_on(async {
            let mut monitor = Monitor::open().expect("a socket");
            monitor.compare(Kernel::open().expect("a socket").snapshot().expect("a dump"));
            ip("link add left type veth peer name right");
            ip("link set left up");
            // Up, but the cable's other end is not.
            let mut left = None;
            while monitor.known().link("right").is_none() || left.is_none() {
                if let NetEvent::Link(link) = monitor.next().await.expect("told")
                    && link.name == "left"
                {
                    left = Some(link);
                }
            }
            assert!(!left.expect("seen").up);
            ip("link set right up");
            while !monitor.known().link("left").is_some_and(|link| link.up) {
                monitor.next().await.expect("told");
            }
            ip("link delete left");
            while monitor.known().link("left").is_some() {
                monitor.next().await.expect("told");
            }
        });
    });
}

#[test]
fn renewals_are_not_told_and_everything_else_is() {
    in_a_namespace(|| {
        block_on(async {
            let mut kernel = Kernel::open().expect("a socket");
            let mut renewals = Kernel::open().expect("a socket");
            let mut monitor = Monitor::open().expect("a socket");
            monitor.ignore_renewals(&renewals).expect("filtered");
            let mut new = plain(on_loopback(6));
            new.lifetime = Some(100);
            kernel.add(&new).expect("added");
            assert_eq!(monitor.next().await.expect("told"), NetEvent::Address(new.address));
            renewals.add(&new).expect("renewed");
            renewals.add(&plain(on_loopback(7))).expect("added unseen");
            kernel.add(&plain(on_loopback(8))).expect("added");
            let event = monitor.next().await.expect("told");
            assert_eq!(event, NetEvent::Address(on_loopback(8)));
            renewals.remove(&plain(on_loopback(7))).expect("removed");
            let event = monitor.next().await.expect("told");
            assert_eq!(event, NetEvent::AddressGone(on_loopback(7)));
        });
    });
}

#[test]
fn a_route_that_somebody_takes_away_is_reported() {
    in_a_namespace(|| {
        block_on(async {
            let mut monitor = Monitor::open().expect("a socket");
            monitor.follow_routes().expect("a socket");
            ip("link set lo up");
            ip("route add 198.51.100.0/24 dev lo metric 7");
            ip("route delete 198.51.100.0/24 dev lo metric 7");
            let key = RouteKey::Route {
                ipv6: false,
                table: 254,
                to: Some((IpAddr::V4(Ipv4Addr::new(198, 51, 100, 0)), 24)),
                tos: 0,
                metric: 7,
            };
            while monitor.next().await.expect("told") != NetEvent::RouteGone(key.clone()) {}
        });
    });
}

#[test]
fn what_the_kernel_refuses_of_many_requests_is_told_by_its_place() {
    in_a_namespace(|| {
        let mut kernel = Kernel::open().expect("a socket");
        let nowhere = Address { link: 4711, ..on_loopback(1) };
        let mut requests: Vec<_> = (0..1000_u16)
            .map(|n| {
                let [high, low] = n.to_be_bytes();
                let address = IpAddr::V4(Ipv4Addr::new(192, 0, high, low));
                plain(Address { address, ..on_loopback(1) }).add()
            })
            .collect();
        requests[700] = plain(nowhere).add();
        let absent = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
        requests[999] = plain(Address { address: absent, ..on_loopback(1) }).remove();
        let refused = kernel.apply(&requests).expect("sent");
        let places: Vec<_> = refused.iter().map(|(place, _)| *place).collect();
        assert_eq!(places, [700, 999]);
        assert!(is_absence(&refused[1].1));
        assert_eq!(kernel.snapshot().expect("a dump").addresses.len(), 998);
    });
}

#[test]
fn an_ipv6_address_has_its_flags_and_lifetimes() {
    in_a_namespace(|| {
        let mut kernel = Kernel::open().expect("a socket");
        let address: IpAddr = "2001:db8::1".parse().expect("an address");
        ip("link set lo up");
        let mut new = plain(Address { link: 1, address, prefix_len: 64 });
        new.flags = 0x200;
        new.preferred = Some(0);
        new.lifetime = Some(100);
        kernel.add(&new).expect("added");
        let shown = Command::new("ip").args(["-6", "address", "show", "lo"]).output();
        let shown = String::from_utf8(shown.expect("iproute2").stdout).expect("text");
        for word in ["nodad", "noprefixroute", "deprecated", "preferred_lft 0sec"] {
            assert!(shown.contains(word), "no {word} in {shown}");
        }
        assert!(shown.contains("valid_lft 100sec") || shown.contains("valid_lft 99sec"), "{shown}");
        assert!(kernel.remove(&new).expect("removed"));
        let mut peer = plain(on_loopback(1));
        peer.peer = Some(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)));
        kernel.add(&peer).expect("added");
        let shown = Command::new("ip").args(["address", "show", "lo"]).output();
        let shown = String::from_utf8(shown.expect("iproute2").stdout).expect("text");
        assert!(shown.contains("192.0.2.1 peer 198.51.100.1/32"), "{shown}");
        assert!(kernel.remove(&peer).expect("removed"));
    });
}

#[test]
fn a_macvlan_is_made_on_top_of_another_link_and_removed() {
    in_a_namespace(|| {
        let mut kernel = Kernel::open().expect("a socket");
        ip("link add below type veth peer name peer");
        let parent = kernel.snapshot().expect("a dump").link("below").expect("there").index;
        let mac = [0, 0, 0x5e, 0, 1, 51];
        let new = NewLink {
            name: "vrrp.51".into(),
            parent,
            kind: NewLinkKind::Macvlan(mac),
            group: Some(7),
        };
        assert!(kernel.apply(&[new.add()]).expect("sent").is_empty());
        let link = kernel.snapshot().expect("a dump").link("vrrp.51").expect("there").clone();
        assert_eq!((link.hardware, link.parent, link.up), (Some(mac), Some(parent), false));
        assert_eq!(link.kind.as_deref(), Some("macvlan"));
        ip("link set below up");
        ip("link set peer up");
        assert!(kernel.apply(&[NewLink::up(link.index)]).expect("sent").is_empty());
        let shown = Command::new("ip").args(["-d", "link", "show", "vrrp.51"]).output();
        let shown = String::from_utf8(shown.expect("iproute2").stdout).expect("text");
        assert!(shown.contains(",UP") && shown.contains("mode private"), "{shown}");
        assert!(shown.contains("group 7"), "{shown}");
        let again = kernel.apply(&[new.add()]).expect("sent");
        assert_eq!(again[0].1.kind(), std::io::ErrorKind::AlreadyExists);
        assert!(kernel.apply(&[NewLink::remove(link.index)]).expect("sent").is_empty());
        assert!(kernel.snapshot().expect("a dump").link("vrrp.51").is_none());
    });
}

#[test]
fn lost_notices_are_noticed_and_made_up_for() {
    in_a_namespace(|| {
        block_on(async {
            let mut kernel = Kernel::open().expect("a socket");
            let mut monitor = Monitor::open().expect("a socket");
            monitor.compare(kernel.snapshot().expect("a dump"));
            while !matches!(monitor.known().links.len(), 1) {
                monitor.next().await.expect("told");
            }
            // Nobody reads: more notices than the queue holds.
            for _ in 0..3_000 {
                kernel.add(&plain(on_loopback(4))).expect("added");
                kernel.remove(&plain(on_loopback(4))).expect("removed");
            }
            kernel.add(&plain(on_loopback(5))).expect("added");
            while monitor.next().await.expect("told") != NetEvent::Overrun {}
            let now = kernel.snapshot().expect("a dump");
            monitor.compare(now.clone());
            assert_eq!(*monitor.known(), now);
            assert!(now.addresses.contains(&on_loopback(5)));
        });
    });
}

#[test]
fn a_snapshot_differs_from_another_by_what_went_changed_and_came() {
    let link = |index, up| Link { index, name: format!("eth{index}"), up, ..Link::default() };
    let snapshot = |links: &[Link], addresses: &[Address]| Snapshot {
        links: links.iter().map(|link| (link.index, link.clone())).collect(),
        addresses: addresses.to_vec(),
    };
    let before = snapshot(&[link(1, true), link(2, true), link(3, true)], &[on_loopback(1)]);
    let after = snapshot(&[link(1, true), link(2, false), link(4, true)], &[on_loopback(2)]);
    let expected = [
        NetEvent::AddressGone(on_loopback(1)),
        NetEvent::LinkGone(link(3, true)),
        NetEvent::Link(link(2, false)),
        NetEvent::Link(link(4, true)),
        NetEvent::Address(on_loopback(2)),
    ];
    let block = async {
        let mut monitor = Monitor::open().expect("a socket");
        monitor.compare(before);
        while monitor.next().await.expect("told") != NetEvent::Address(on_loopback(1)) {}
        monitor.compare(after);
        for event in expected {
            assert_eq!(monitor.next().await.expect("told"), event);
        }
    };
    block_on(block);
}

#[test]
fn a_bridge_reporting_its_port_is_no_news_of_the_link() {
    let mut message = vec![0; 32];
    message[0] = 32;
    message[4] = 17; // RTM_DELLINK
    message[16] = 7; // AF_BRIDGE: the port left the bridge
    let mut seen = 0;
    messages(&message, |_, payload| {
        seen += 1;
        let shown = format!("{payload:?}");
        assert!(shown.contains("Other"), "{shown}");
    });
    assert_eq!(seen, 1);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        messages(&bytes, |_, _| {});
    }

    #[test]
    fn any_payload_of_a_known_type_is_read_without_a_panic(
        kind in prop::sample::select(vec![2_u8, 3, 16, 17, 20, 21]),
        payload in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut message = vec![0; 16];
        message.extend(&payload);
        message[0] = u8::try_from(message.len()).expect("at most 136");
        message[4] = kind;
        messages(&message, |_, _| {});
    }
}

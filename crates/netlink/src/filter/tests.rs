use std::process::Command;

use nix::sched::{CloneFlags, unshare};

use super::*;

/// What nft(8) lists in a network namespace with the links `left` and `right`; none where there is
/// no privilege, no packet filter, or no nft.
fn listed(steps: Vec<Ruleset>) -> Option<Vec<String>> {
    let thread = std::thread::spawn(move || {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            eprintln!("SKIPPED: no network namespace: {error}");
            return None;
        }
        let list = || Command::new("nft").args(["list", "ruleset"]).output();
        if !list().is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: no nft");
            return None;
        }
        let arguments = ["link", "add", "left", "type", "veth", "peer", "name", "right"];
        let status = Command::new("ip").args(arguments).status().expect("iproute2");
        assert!(status.success());
        let mut filter = Filter::open().expect("a socket");
        let list = |ruleset: &Ruleset| {
            filter.set(ruleset).expect("taken");
            String::from_utf8(list().expect("nft").stdout).expect("text")
        };
        let shown = steps.iter().map(list).collect();
        filter.clear().expect("taken");
        Some(shown)
    });
    thread.join().expect("the assertions hold")
}

fn index_of(text: &str, part: &str) -> usize {
    text.find(part).unwrap_or_else(|| panic!("no {part:?} in\n{text}"))
}

/// `right` is made first, and gets the number 2.
fn ruleset() -> Ruleset {
    Ruleset { table: "keepalived".into(), priority: -1, ..Ruleset::default() }
}

#[test]
fn the_tables_are_keepalived_s() {
    let mut all = ruleset();
    all.vmacs = [(3, 2, false), (3, 2, true)].into();
    let addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "fe80::1"];
    all.blocked = addresses.map(|a| (a.parse().expect("an address"), 2)).into();
    let Some(shown) = listed(vec![all]) else { return };
    let expected = "table ip keepalived {
	map vmac_map {
		type iface_index : iface_index
		elements = { \"left\" : \"right\" }
	}

	set vips {
		type ipv4_addr
		elements = { 192.0.2.1, 192.0.2.2 }
	}

	chain out {
		type filter hook output priority filter - 1; policy accept;
		ip protocol igmp meta oifkind \"macvlan\" dup to ip daddr device oif map @vmac_map drop
		ip saddr @vips drop
	}

	chain in {
		type filter hook input priority filter - 1; policy accept;
		ip daddr @vips drop
	}
}
table ip6 keepalived {
	map vmac_map {
		type iface_index : iface_index
		elements = { \"left\" : \"right\" }
	}

	set vmac_set {
		type iface_index
		elements = { \"left\" }
	}

	set vips {
		type ipv6_addr
		elements = { 2001:db8::1 }
	}

	set neighbor-discovery {
		type icmpv6_type
		flags constant
		elements = { nd-neighbor-solicit,
			     nd-neighbor-advert }
	}

	set vips_link_local {
		type ipv6_addr . iface_index
		elements = { fe80::1 . \"right\" }
	}

	chain out {
		type filter hook output priority filter - 1; policy accept;
		icmpv6 type mld2-listener-report meta oifkind \"macvlan\" dup to ip6 daddr device oif map \
	                    @vmac_map drop
		icmpv6 type nd-router-solicit meta oifkind \"macvlan\" oif @vmac_set drop
		icmpv6 type @neighbor-discovery accept
		ip6 saddr fe80::/10 goto out_link_local
		ip6 saddr @vips drop
	}

	chain in {
		type filter hook input priority filter - 1; policy accept;
		icmpv6 type @neighbor-discovery accept
		ip6 daddr fe80::/10 goto in_link_local
		ip6 daddr @vips drop
	}

	chain in_link_local {
		ip6 daddr . iif @vips_link_local drop
	}

	chain out_link_local {
		ip6 saddr . oif @vips_link_local drop
	}
}
";
    assert_eq!(shown[0], expected);
}

#[test]
fn elements_come_and_go_without_a_new_table() {
    let with = |addresses: &[&str]| {
        let blocked = addresses.iter().map(|a| (a.parse().expect("an address"), 2)).collect();
        Ruleset { blocked, counters: true, ..ruleset() }
    };
    let many: Vec<String> = (1..=1200).map(|n| format!("10.0.{}.{}", n / 250, n % 250)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let steps = vec![
        with(&["192.0.2.1"]),
        with(&["192.0.2.1", "192.0.2.2"]),
        with(&["192.0.2.2"]),
        with(&many),
        with(&["2001:db8::1"]),
        ruleset(),
    ];
    let Some(shown) = listed(steps) else { return };
    index_of(&shown[0], "ip saddr @vips counter packets 0 bytes 0 drop");
    index_of(&shown[1], "elements = { 192.0.2.1, 192.0.2.2 }");
    index_of(&shown[2], "elements = { 192.0.2.2 }");
    index_of(&shown[3], "10.0.4.200");
    assert_eq!(shown[3].matches("10.0.").count(), 1200);
    assert!(!shown[4].contains("table ip keepalived"), "{}", shown[4]);
    index_of(&shown[4], "2001:db8::1");
    assert_eq!(shown[5], "");
}

//! The same text to the installed keepalived and to us: the same lines, the same exit code.
//!
//! Skipped, and said so, where keepalived is not installed or namespaces may not be made.

mod cases;
mod original;

use std::collections::BTreeSet;

use keepalived_conf::tables;

use original::{both, can_ask, shown};

const ADDRESS: &str = " virtual_ipaddress {\n 192.0.2.1\n }\n";

/// The lines of one instance on `eth0`.
fn instance(lines: &str) -> String {
    format!("vrrp_instance V {{\n interface eth0\n virtual_router_id 5\n{ADDRESS}{lines}\n}}\n")
}

fn cases() -> Vec<String> {
    let scripts = "vrrp_script a {\n script \"/bin/true\"\n weight 5\n}\nvrrp_script b {\n script \"/bin/nonesuch x\"\n}\nvrrp_script c {\n}\n";
    let mut cases: Vec<String> = [
        "",
        "priority 0\npriority 256\npriority abc\npriority -1\npriority 100garbage\npriority 0x20",
        "priority 100 garbage",
        "virtual_router_id 0\nvirtual_router_id 256\nvirtual_router_id x",
        "advert_int 0\nadvert_int 256\nadvert_int abc\nadvert_int -1\nadvert_int 1.2345678",
        "advert_int 0.4",
        "advert_int 50\nversion 3",
        "advert_int 0.015\nversion 3",
        "version 4",
        "version 3\nversion 2",
        "state master",
        "state MASTER\nstate BACKUP",
        "state MASTER\nnopreempt\npreempt_delay 5",
        "state MASTER\npriority 100\nnopreempt",
        "priority 255\nnopreempt",
        "priority 100\nnopreempt\npreempt_delay 10",
        "preempt_delay 1001",
        "interface lo",
        "authentication {\nauth_type PASS\nauth_pass 123456789\n}",
        "authentication {\nauth_type PASS\n}",
        "authentication {\nauth_type FOO\nauth_x 3\n}",
        "version 3\nauthentication {\nauth_type PASS\nauth_pass a\n}",
        "strict_mode\nauthentication {\nauth_type PASS\nauth_pass a\n}",
        "unicast_src_ip 1.2.3.300\nmcast_src_ip x\nmcast_src_ip 10.0.0.1/24",
        "unicast_peer {\n10.0.0.x\nfe80::1\n10.0.0.2\n10.0.0.2 foo\n10.0.0.3 foo 3\n}",
        "unicast_ttl 300\nunicast_ttl 5",
        "mcast_dst_ip x\nmcast_dst_ip 1.2.3.4",
        "mcast_dst_ip 224.0.0.19\nunicast_peer {\n10.0.0.1\n}",
        "virtual_ipaddress {\n1.2.3.4/33\n1.2.3.5 foo\n1.2.3.4.5\n1.2.3.6 dev\n1.2.3.7 scope bar\n1.2.3.8 brd x\n1.2.3.9 brd +\n1.2.3.10/x\n1.2.3.11 label 12345678901234567890\nfd00::1\n}",
        "virtual_ipaddress {\n1.2.3.6/24 dev eth9\n}\ntrack_interface {\neth8\n}",
        "track_interface {\neth0\neth1\neth1\n}",
        "track_interface {\neth1 weight 300\n}",
        "track_interface {\neth1 weight\n}",
        "track_interface {\neth1 foo\n}",
        "garp_master_delay x\ngarp_master_repeat 0\ngarp_master_refresh -1\ngarp_lower_prio_repeat x\ngarp_master_delay 5.5\ngarp_master_refresh_repeat 0\ngarp_lower_prio_delay x\ngarp_master_repeat x",
        "down_timer_adverts 0\nlower_prio_no_advert x\nskip_check_adv_addr x\nstrict_mode x\nhigher_prio_send_advert x",
        "priority",
        "auth_pass \"abc",
        "lvs_sync_daemon_interface eth0",
        "track_script {\nnope\n}",
    ]
    .iter()
    .map(|lines| instance(lines))
    .collect();
    let globals = [
        "router_id",
        "foo 1",
        "vrrp_garp_interval 0\nvrrp_gna_interval 0\nvrrp_garp_interval 5000",
        "vrrp_garp_master_delay x\nvrrp_garp_master_repeat 0\nvrrp_garp_master_refresh -1\nvrrp_garp_lower_prio_repeat x\nvrrp_garp_master_refresh_repeat 0\nvrrp_garp_lower_prio_delay 1.5",
        "vrrp_version 5",
        "vrrp_mcast_group4 x\nvrrp_mcast_group4 1.2.3.4",
        "vrrp_down_timer_adverts 0\nvrrp_startup_delay x",
        "vrrp_min_garp x\nvrrp_lower_prio_no_advert x\nvrrp_higher_prio_send_advert x",
        "smtp_connect_timeout x\nsmtp_server 300.1.1.1",
        "dynamic_interfaces x",
        "script_user",
        "script_user nobodyhere",
        "vrrp_iptables",
    ];
    cases.extend(globals.iter().map(|lines| format!("global_defs {{\n{lines}\n}}\n")));
    let tracked =
        |lines: &str| scripts.to_owned() + &instance(&format!("track_script {{\n{lines}\n}}"));
    cases.extend(
        ["a", "b\nc\na\na", "a weight 300", "a weight", "a foo", "a weight x"].map(tracked),
    );
    let script = |lines: &&str| format!("vrrp_script s {{\n script \"/bin/true\"\n{lines}\n}}\n");
    let lines = [
        "weight x\nweight 2 foo",
        "interval 0\ninterval 5000\ntimeout abc\ntimeout 0\ntimeout -1",
        "rise 0\nfall -1\nrise x",
        "user nobodyhere",
        "weight",
    ];
    cases.extend(lines.iter().map(script));
    cases.extend(
        [
            "foo\n",
            "}\n",
            "vrrp_instance {\n}\n",
            "vrrp_script {\n}\n",
            "vrrp_instance V {\n virtual_router_id 5\n}\n",
            "vrrp_instance V {\n interface eth0\n}\n",
            "vrrp_instance V {\n interface eth9\n virtual_router_id 5\n}\n",
            "vrrp_instance V {\n interface eth0\n virtual_router_id 5\n}\n",
            "vrrp_instance V {\n interface eth0\n virtual_router_id 5\n version 3\n}\n",
            "include nothing.conf\n",
            "include /\n",
            "include nothing*.conf\nfoo\n",
            "static_ipaddress {\n 192.0.2.1 dev eth9\n x\n 192.0.2.2\n}\n",
            "$A=foo\n$A\n@nobody bar\n@^nobody baz\n",
        ]
        .map(str::to_owned),
    );
    cases.push(instance("") + &instance("") + &instance("").replace(" V ", " W "));
    cases.push(instance("").trim_end().trim_end_matches('}').to_owned());
    cases.push(
        "global_defs {\n script_user root\n enable_script_security\n}\n".to_owned()
            + scripts
            + &instance("track_script {\na\n}"),
    );
    cases.push(
        "global_defs {\n enable_script_security\n}\n".to_owned()
            + scripts
            + &instance("track_script {\na\n}"),
    );
    cases
}

#[test]
fn mistakes_are_said_in_the_originals_words_with_its_exit_code() {
    if !can_ask() {
        return;
    }
    let mut wrong = String::new();
    let cases = cases();
    for text in &cases {
        let ((code, lines), ours) = both(text);
        let theirs: BTreeSet<&String> = lines.iter().collect();
        let said = shown(&ours);
        let said: BTreeSet<&String> = said.iter().collect();
        if i32::from(ours.exit_code_test()) != code || said != theirs {
            let code_ours = ours.exit_code_test();
            wrong +=
                &format!("---\n{text}original {code}: {theirs:#?}\nours {code_ours}: {said:#?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases.len() > 70);
}

/// An unknown block is one complaint here and several there; the exit code is the same.
#[test]
fn unknown_blocks_end_with_the_same_code_and_the_same_first_line() {
    if !can_ask() {
        return;
    }
    let blocks = ["foo {\n priority 3\n}", "priority 50 {\n}"].map(instance);
    for text in blocks.into_iter().chain(["foo {\n bar 1\n}\n".to_owned()]) {
        let ((code, lines), ours) = both(&text);
        assert_eq!(code, i32::from(ours.exit_code_test()));
        assert_eq!(shown(&ours), lines[..1]);
    }
}

/// Keywords of later versions, of ours, or of parts Debian's build leaves out.
const NOT_IN_2_2_7: [&str; 26] = [
    "address_lease",
    "auth_hmac",
    "dbus_no_interface_name",
    "iproute_etc_dir",
    "iproute_usr_dir",
    "json_dump_file",
    "json_version",
    "metrics_listen",
    "multihop",
    "no_virtual_ipaddress",
    "owner_ignore_adverts",
    "set_supplementary_groups",
    "snmp_rs_stats_update_interval",
    "snmp_vs_stats_update_interval",
    "state_dump_file",
    "stats_dump_file",
    "status_socket",
    "thread_timer_expired",
    "timer_expired_backup",
    "tls_compliant",
    "use_symlink_paths",
    "v3_checksum_as_v2",
    "vrrp_address_lease",
    "vrrp_delay_after_boot",
    "vrrp_ipsets",
    "vrrp_owner_ignore_adverts",
];

/// A name upstream does not know must be one of a later version, or an extension of ours.
#[test]
fn no_row_is_unknown_to_the_original() {
    if !can_ask() {
        return;
    }
    let opening = |section: &str| match section {
        "global_defs" => Some("global_defs {"),
        "vrrp_instance" => Some("vrrp_instance V {"),
        "vrrp_script" => Some("vrrp_script V {"),
        "vrrp_sync_group" => Some("vrrp_sync_group V {"),
        "bfd_instance" => Some("bfd_instance V {"),
        "garp_group" => Some("garp_group {"),
        _ => None,
    };
    let mut unknown = Vec::new();
    for (section, rows) in tables() {
        let Some(opening) = opening(section) else { continue };
        for row in rows {
            if NOT_IN_2_2_7.contains(&row.name) || row.usage.contains('{') {
                continue;
            }
            let ((_, lines), _) = both(&format!("{opening}\n {} 1 1 1\n}}\n", row.name));
            if lines.iter().any(|l| l.ends_with(&format!("Unknown keyword '{}'", row.name))) {
                unknown.push(format!("{section} {}", row.name));
            }
        }
    }
    assert_eq!(unknown, Vec::<String>::new());
}

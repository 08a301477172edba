//! `global_defs { … }`

use std::net::IpAddr;
use std::time::Duration;

use conf::{Binder, Form, Keyword, Stmt, Word};
use vrrp::config::{LeasePolicy, Version};

use super::{
    NO_AGENT, NO_BUFFERS, NO_FILTER, NO_IPVS, NO_MAIL, NO_NOTIFY, NO_TUNING, complain, switch,
};
use crate::draft::GlobalDraft;
use crate::number::{decimal, unsigned};

type Global = Keyword<GlobalDraft>;

/// As many words as there are: keepalived ignores those it has no use for.
const ONE: std::ops::RangeInclusive<usize> = 1..=usize::MAX;
const SOME: std::ops::RangeInclusive<usize> = 0..=usize::MAX;

pub(crate) const GLOBAL_DEFS: &[Global] = &[
    Global::new("router_id", Form::Whole("<name>", router_id))
        .doc("Name of this machine; the short host name unless set."),
    Global::new("script_user", Form::Whole("<user> [<group>]", script_user))
        .doc("Who runs scripts that name nobody; `keepalived_script` if there is such a user."),
    Global::new("enable_script_security", Form::Flag(|g| g.globals.script_security = true))
        .doc("Refuses scripts run by root that somebody else could replace."),
    Global::new("vrrp_version", Form::Words("2|3", ONE, vrrp_version))
        .default("2")
        .doc("The protocol's version where an instance sets none."),
    Global::new("vrrp_mcast_group4", Form::Words("<addr>", ONE, vrrp_mcast_group4))
        .default("224.0.0.18")
        .spec("RFC 9568 §5.1.1.2")
        .doc("Where IPv4 adverts go."),
    Global::new("vrrp_garp_master_delay", Form::Words("<seconds>", ONE, garp_master_delay))
        .default("5")
        .doc("From becoming master to the second block of announcements; 0 for none."),
    Global::new("vrrp_garp_master_repeat", Form::Words("<number>", ONE, garp_master_repeat))
        .default("5")
        .doc("Announcements per address and block."),
    Global::new("vrrp_garp_master_refresh", Form::Words("<seconds>", ONE, garp_master_refresh))
        .default("0")
        .doc("Between periodic announcements of a master; 0 for none."),
    Global::new("vrrp_garp_master_refresh_repeat", Form::Words("<number>", ONE, garp_refresh_repeat))
        .default("1")
        .doc("Announcements per address each time."),
    Global::new("vrrp_garp_lower_prio_delay", Form::Words("<seconds>", ONE, lower_prio_delay))
        .doc("From an advert of lower priority to the second block; as `vrrp_garp_master_delay` unless set."),
    Global::new("vrrp_garp_lower_prio_repeat", Form::Words("<number>", ONE, lower_prio_repeat))
        .doc("Announcements in each of those blocks; as `vrrp_garp_master_repeat` unless set."),
    Global::new("vrrp_garp_interval", Form::Words("<seconds>", ONE, garp_interval))
        .doc("The shortest time between two announcements on an interface, from 0.000001."),
    Global::new("vrrp_gna_interval", Form::Words("<seconds>", ONE, gna_interval))
        .doc("The same for IPv6; VRRP over IPv6 is refused."),
    Global::new("vrrp_min_garp", Form::Words("[on|off]", SOME, vrrp_min_garp))
        .doc("One announcement, and no second block."),
    Global::accepted("vrrp_garp_extra_if", "[all] <seconds>", "addresses on other interfaces are announced with the rest")
        .doc("Periodic announcements on the interfaces of addresses elsewhere."),
    Global::accepted("vrrp_vmac_garp_intvl", "[all] <seconds>", "addresses on other interfaces are announced with the rest")
        .doc("The old name of `vrrp_garp_extra_if`."),
    Global::new("vrrp_skip_check_adv_addr", Form::Words("[on|off]", SOME, skip_check_adv_addr))
        .doc("Does not compare the addresses of an advert of the master we know."),
    Global::new("vrrp_strict", Form::Flag(|g| g.common.strict = Some(true)))
        .doc("Follows the RFC to the letter: an address is required; no authentication, no unicast peers. No packet filter is set up."),
    Global::new("vrrp_down_timer_adverts", Form::Words("<1..100>", ONE, down_timer_adverts))
        .default("3")
        .doc("How many adverts a master may miss."),
    Global::new("vrrp_lower_prio_no_advert", Form::Words("[on|off]", SOME, lower_prio_no_advert))
        .doc("A master does not answer an advert of lower priority."),
    Global::new("vrrp_higher_prio_send_advert", Form::Words("[on|off]", SOME, higher_prio_send_advert))
        .doc("A master sends one more advert before it yields."),
    Global::new("vrrp_check_unicast_src", Form::Flag(|g| g.common.check_unicast_source = Some(true)))
        .doc("Drops unicast adverts of others than the peers."),
    Global::new("v3_checksum_as_v2", Form::Words("[on|off]", SOME, v3_checksum_as_v2))
        .doc("The checksum of version 3 leaves out the pseudo header. keepalived 2.4."),
    Global::new("vrrp_address_lease", Form::Words("[on|off]", SOME, vrrp_address_lease))
        .default("on")
        .spec("extension")
        .doc("Addresses expire by themselves when a dead or frozen daemon no longer renews them."),
    Global::new("vrrp_startup_delay", Form::Words("<seconds>", ONE, vrrp_startup_delay))
        .doc("How long after the start VRRP begins."),
    Global::planned("vrrp_delay_after_boot", "<seconds>").doc("How long after boot VRRP begins."),
    Global::new("default_interface", Form::Text("<ifname>", |g, w| g.globals.default_interface = Some(w.owned())))
        .default("eth0")
        .doc("The interface of static addresses that name none."),
    Global::new("dynamic_interfaces", Form::Words("[allow_if_changes]", SOME, dynamic_interfaces))
        .doc("Interfaces may be missing at the start, and come and go."),
    Global::new("log_unknown_vrids", Form::Flag(|g| g.globals.log_unknown_vrids = true))
        .doc("Logs adverts of virtual routers nobody configured."),
    Global::planned("vrrp_owner_ignore_adverts", "[on|off]")
        .doc("The owner of the addresses ignores adverts."),
    Global::accepted("vrrp_mcast_group6", "<addr>", "VRRP over IPv6 is refused")
        .default("ff02::12")
        .doc("Where IPv6 adverts go."),
    // Mail.
    Global::accepted("notification_email", "{ <addr> … }", NO_MAIL).doc("Who gets mail."),
    Global::accepted("notification_email_from", "<addr>", NO_MAIL).doc("The sender of mail."),
    Global::new("smtp_server", Form::Words("<host> [<port>]", ONE, smtp_server))
        .status(conf::Status::Accepted(NO_MAIL))
        .doc("The relay for mail."),
    Global::new("smtp_connect_timeout", Form::Words("<seconds>", ONE, smtp_connect_timeout))
        .status(conf::Status::Accepted(NO_MAIL))
        .default("30")
        .doc("How long the relay may take."),
    Global::accepted("smtp_helo_name", "<name>", NO_MAIL).doc("What the relay is greeted with."),
    Global::accepted("smtp_alert", "[on|off]", NO_MAIL).doc("Mail by default."),
    Global::accepted("smtp_alert_vrrp", "[on|off]", NO_MAIL).doc("Mail of instances by default."),
    Global::accepted("smtp_alert_checker", "[on|off]", NO_MAIL).doc("Mail of checkers by default."),
    Global::accepted("no_email_faults", "", NO_MAIL).doc("No mail for faults."),
    Global::accepted("no_checker_emails", "", NO_MAIL).doc("Less mail of checkers."),
    Global::accepted("checker_log_all_failures", "[on|off]", NO_IPVS).doc("Logs each failed check."),
    // Notification.
    Global::accepted("vrrp_notify_priority_changes", "[on|off]", NO_NOTIFY)
        .doc("Tells the FIFO about priorities."),
    Global::accepted("notify_fifo", "<path> [<user> [<group>]]", NO_NOTIFY).doc("A FIFO of events."),
    Global::accepted("notify_fifo_script", "<command> [<user> [<group>]]", NO_NOTIFY)
        .doc("A command that reads the FIFO."),
    Global::accepted("vrrp_notify_fifo", "<path> [<user> [<group>]]", NO_NOTIFY)
        .doc("A FIFO of VRRP's events."),
    Global::accepted("vrrp_notify_fifo_script", "<command> [<user> [<group>]]", NO_NOTIFY)
        .doc("A command that reads it."),
    Global::accepted("lvs_notify_fifo", "<path> [<user> [<group>]]", NO_IPVS)
        .doc("A FIFO of checkers' events."),
    Global::accepted("lvs_notify_fifo_script", "<command> [<user> [<group>]]", NO_IPVS)
        .doc("A command that reads it."),
    Global::accepted("fifo_write_vrrp_states_on_reload", "", NO_NOTIFY)
        .doc("Tells the FIFO the states after a reload."),
    Global::accepted("startup_script", "<command> [<user> [<group>]]", "it is not run; run it from the service's unit")
        .doc("A command run before everything else."),
    Global::accepted("startup_script_timeout", "<seconds>", "the script is not run")
        .doc("How long it may run."),
    Global::accepted("shutdown_script", "<command> [<user> [<group>]]", "it is not run; run it from the service's unit")
        .doc("A command run after everything else."),
    Global::accepted("shutdown_script_timeout", "<seconds>", "the script is not run")
        .doc("How long it may run."),
    // The process.
    Global::accepted("max_auto_priority", "[<-1..99>]", NO_TUNING).doc("Real-time priority when late."),
    Global::accepted("min_auto_priority_delay", "<microseconds>", NO_TUNING)
        .doc("How late is late."),
    Global::accepted("vrrp_priority", "<-20..19>", NO_TUNING).doc("Niceness."),
    Global::accepted("checker_priority", "<-20..19>", NO_TUNING).doc("Niceness of checkers."),
    Global::accepted("bfd_priority", "<-20..19>", NO_TUNING).doc("Niceness of BFD."),
    Global::accepted("vrrp_rt_priority", "<1..99>", NO_TUNING).doc("Real-time priority."),
    Global::accepted("checker_rt_priority", "<1..99>", NO_TUNING).doc("That of checkers."),
    Global::accepted("bfd_rt_priority", "<1..99>", NO_TUNING).doc("That of BFD."),
    Global::accepted("vrrp_no_swap", "", NO_TUNING).doc("Locks memory."),
    Global::accepted("checker_no_swap", "", NO_TUNING).doc("Locks the checkers' memory."),
    Global::accepted("bfd_no_swap", "", NO_TUNING).doc("Locks BFD's memory."),
    Global::accepted("vrrp_cpu_affinity", "<cpu>…", NO_TUNING).doc("Which processors to use."),
    Global::accepted("checker_cpu_affinity", "<cpu>…", NO_TUNING).doc("Those of checkers."),
    Global::accepted("bfd_cpu_affinity", "<cpu>…", NO_TUNING).doc("Those of BFD."),
    Global::accepted("vrrp_rlimit_rttime", "<microseconds>", NO_TUNING).doc("Longest real-time run."),
    Global::accepted("vrrp_rlimit_rtime", "<microseconds>", NO_TUNING)
        .doc("The old name of `vrrp_rlimit_rttime`."),
    Global::accepted("checker_rlimit_rttime", "<microseconds>", NO_TUNING).doc("That of checkers."),
    Global::accepted("checker_rlimit_rtime", "<microseconds>", NO_TUNING)
        .doc("The old name of `checker_rlimit_rttime`."),
    Global::accepted("bfd_rlimit_rttime", "<microseconds>", NO_TUNING).doc("That of BFD."),
    Global::accepted("bfd_rlimit_rtime", "<microseconds>", NO_TUNING)
        .doc("The old name of `bfd_rlimit_rttime`."),
    Global::accepted("process_names", "", NO_TUNING).doc("Names processes by their work."),
    Global::accepted("process_name", "<name>", NO_TUNING).doc("The parent's name."),
    Global::accepted("vrrp_process_name", "<name>", NO_TUNING).doc("VRRP's name."),
    Global::accepted("checker_process_name", "<name>", NO_TUNING).doc("The checkers' name."),
    Global::accepted("lvs_process_name", "<name>", NO_TUNING)
        .doc("The old name of `checker_process_name`."),
    Global::accepted("bfd_process_name", "<name>", NO_TUNING).doc("BFD's name."),
    Global::accepted("use_symlink_paths", "[on|off]", "scripts are always run by the path written")
        .doc("Runs scripts by the path written."),
    Global::accepted("set_supplementary_groups", "", "scripts run with their user's own group")
        .doc("Scripts get all groups of their user."),
    Global::accepted("umask", "<mask>", NO_TUNING).doc("The mode of files that are made."),
    Global::accepted("random_seed", "<number>", "nothing is random").doc("For `${_RANDOM}`."),
    Global::accepted("reload_check_config", "[<file>]", "a broken file never replaces the running configuration")
        .doc("Checks a file before it is loaded."),
    Global::accepted("reload_time_file", "<path>", "reloads are asked for by SIGHUP")
        .doc("A file with the time of a reload."),
    Global::accepted("reload_repeat", "", "reloads are asked for by SIGHUP")
        .doc("Repeats timed reloads."),
    Global::accepted("reload_file", "[<path>]", "reloads are asked for by SIGHUP")
        .doc("A file that asks for a reload."),
    Global::planned("include_check", "[+|-]readable|match|wildcard_match|brace_match …")
        .doc("Which includes are errors."),
    Global::accepted("config_save_dir", "<directory>", "nothing is saved")
        .doc("Where configurations are kept."),
    Global::accepted("tmp_config_directory", "<directory>", "the files are read once")
        .doc("Where a copy of the configuration is made."),
    Global::accepted("data_use_instance", "[on|off]", "dumps keep their usual names")
        .doc("Names dumps by the instance."),
    Global::accepted("json_version", "1|2", "there is no JSON dump yet").doc("The format of the dump."),
    Global::accepted("iproute_usr_dir", "<directory>", "names of tables are not looked up")
        .doc("Where names of tables are."),
    Global::accepted("iproute_etc_dir", "<directory>", "names of tables are not looked up")
        .doc("Where names of tables are."),
    Global::accepted("state_dump_file", "<path>", "dumps keep their usual names")
        .doc("Where the state is dumped."),
    Global::accepted("stats_dump_file", "<path>", "dumps keep their usual names")
        .doc("Where statistics are dumped."),
    Global::accepted("json_dump_file", "<path>", "there is no JSON dump yet")
        .doc("Where JSON is dumped."),
    // The packet filter.
    Global::new("vrrp_iptables", Form::Whole("[<in> [<out>]]", vrrp_iptables))
        .status(conf::Status::Accepted(NO_FILTER))
        .doc("Chains for `no_accept`."),
    Global::accepted("vrrp_ipsets", "[<name>…]", NO_FILTER).doc("Sets for `no_accept`."),
    Global::accepted("nftables", "[<table>]", NO_FILTER).doc("The table for `no_accept`."),
    Global::accepted("nftables_priority", "<number>", NO_FILTER).doc("The priority of its chains."),
    Global::accepted("nftables_counters", "", NO_FILTER).doc("Counters in its rules."),
    Global::accepted("nftables_ifindex", "", NO_FILTER).doc("Rules by interface number."),
    Global::accepted("nftables_ipvs", "[<table>]", NO_IPVS).doc("The table for virtual servers."),
    Global::accepted("nftables_ipvs_priority", "<number>", NO_IPVS).doc("The priority of its chains."),
    Global::accepted("nftables_ipvs_start_fwmark", "<number>", NO_IPVS).doc("The first mark."),
    Global::accepted("disable_local_igmp", "", "sysctls are left alone")
        .doc("No IGMP for link-local groups."),
    // IPVS.
    Global::accepted("lvs_sync_daemon", "<ifname> [inst <name>] …", NO_IPVS)
        .doc("Synchronises connections."),
    Global::accepted("lvs_timeouts", "[tcp <seconds>] [tcpfin <seconds>] [udp <seconds>]", NO_IPVS)
        .doc("Timeouts of connections."),
    Global::accepted("lvs_flush", "", NO_IPVS).doc("Clears IPVS at the start."),
    Global::accepted("lvs_flush_on_stop", "[VS]", NO_IPVS).doc("Clears IPVS at the end."),
    Global::accepted("lvs_flush_onstop", "[VS]", NO_IPVS).doc("The old name of `lvs_flush_on_stop`."),
    Global::accepted("rs_init_notifies", "", NO_IPVS).doc("Runs `notify_up` at the start."),
    // Agents.
    Global::accepted("snmp_socket", "<address>", NO_AGENT).doc("Where the SNMP master agent is."),
    Global::accepted("enable_traps", "", NO_AGENT).doc("Sends traps."),
    Global::accepted("enable_snmp_vrrp", "", NO_AGENT).doc("keepalived's own VRRP MIB."),
    Global::accepted("enable_snmp_keepalived", "", NO_AGENT)
        .doc("The old name of `enable_snmp_vrrp`."),
    Global::accepted("enable_snmp_checker", "", NO_AGENT).doc("The checkers' MIB."),
    Global::accepted("enable_snmp_rfc", "", NO_AGENT).doc("Both MIBs of the RFCs."),
    Global::accepted("enable_snmp_rfcv2", "", NO_AGENT).spec("RFC 2787").doc("The MIB of version 2."),
    Global::accepted("enable_snmp_rfcv3", "", NO_AGENT).spec("RFC 6527").doc("The MIB of version 3."),
    Global::accepted("snmp_vs_stats_update_interval", "<seconds>", NO_AGENT)
        .doc("The age of statistics."),
    Global::accepted("snmp_rs_stats_update_interval", "<seconds>", NO_AGENT)
        .doc("The age of statistics."),
    Global::accepted("enable_dbus", "", NO_AGENT).doc("The D-Bus service."),
    Global::accepted("dbus_service_name", "<name>", NO_AGENT).doc("Its name."),
    Global::accepted("dbus_no_interface_name", "<name>", NO_AGENT)
        .doc("What stands for no interface."),
    // Buffers.
    Global::accepted("vrrp_netlink_cmd_rcv_bufs", "<bytes>", NO_BUFFERS).doc("A receive buffer."),
    Global::accepted("vrrp_netlink_cmd_rcv_bufs_force", "[on|off]", NO_BUFFERS)
        .doc("Beyond the limit."),
    Global::accepted("vrrp_netlink_monitor_rcv_bufs", "<bytes>", NO_BUFFERS).doc("A receive buffer."),
    Global::accepted("vrrp_netlink_monitor_rcv_bufs_force", "[on|off]", NO_BUFFERS)
        .doc("Beyond the limit."),
    Global::accepted("lvs_netlink_cmd_rcv_bufs", "<bytes>", NO_BUFFERS).doc("A receive buffer."),
    Global::accepted("lvs_netlink_cmd_rcv_bufs_force", "[on|off]", NO_BUFFERS)
        .doc("Beyond the limit."),
    Global::accepted("lvs_netlink_monitor_rcv_bufs", "<bytes>", NO_BUFFERS).doc("A receive buffer."),
    Global::accepted("lvs_netlink_monitor_rcv_bufs_force", "[on|off]", NO_BUFFERS)
        .doc("Beyond the limit."),
    Global::accepted("process_monitor_rcv_bufs", "<bytes>", NO_BUFFERS).doc("A receive buffer."),
    Global::accepted("process_monitor_rcv_bufs_force", "[on|off]", NO_BUFFERS)
        .doc("Beyond the limit."),
    Global::accepted("vrrp_rx_bufs_policy", "MTU|ADVERT|<bytes>", NO_BUFFERS)
        .doc("Receive buffers of adverts."),
    Global::accepted("vrrp_rx_bufs_multiplier", "<number>", NO_BUFFERS)
        .doc("How many adverts they hold."),
    // Virtual MAC interfaces.
    Global::accepted("vmac_prefix", "<text>", "virtual MAC interfaces are refused")
        .doc("Names of virtual MAC interfaces."),
    Global::accepted("vmac_addr_prefix", "<text>", "virtual MAC interfaces are refused")
        .doc("Names of those for addresses elsewhere."),
];

fn router_id(global: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    match stmt.words.get(1) {
        Some(word) => global.globals.router_id = Some(word.owned()),
        None => complain(b, stmt.at(), "routerid name missing - ignoring"),
    }
}

/// Debian's build has nftables only, and says so.
fn vrrp_iptables(_: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    complain(
        b,
        stmt.at(),
        "iptables not supported, using nftables instead. Please replace 'vrrp_iptables and 'vrrp_ipsets' with 'nftables' config option",
    );
}

fn script_user(global: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    if stmt.words.len() < 2 {
        complain(b, stmt.at(), "No script username specified");
    }
    global.script_user = stmt.words.get(1).cloned();
    global.script_group = stmt.words.get(2).cloned();
}

fn vrrp_version(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    match unsigned(&words[0].text, 2..=3) {
        Ok(number) => {
            global.common.version = Some(if number == 2 { Version::V2 } else { Version::V3 });
        }
        Err(said) => {
            let said = format!("{said}\nVRRP Error: Version must be either 2 or 3");
            complain(b, words[0].span, said);
        }
    }
}

fn vrrp_mcast_group4(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    let word = &words[0];
    match word.text.parse() {
        Ok(IpAddr::V4(group)) if group.is_multicast() => {
            global.multicast_group = Some(IpAddr::V4(group));
        }
        Ok(IpAddr::V4(_)) => {
            let said = format!("vrrp_mcast_group4 [{}] is not multicast. Skipping", word.text);
            complain(b, word.span, said);
        }
        _ => {
            let said = format!("Can't parse vrrp_mcast_group4 [{}]. Skipping", word.text);
            complain(b, word.span, said);
        }
    }
}

/// A whole number of seconds, or `<said>\n<keyword> '<word>' invalid - ignoring`.
fn seconds(keyword: &str, word: &Word, b: &mut Binder) -> Option<Duration> {
    whole(keyword, word, b).map(|n| Duration::from_secs(n.into()))
}

fn whole(keyword: &str, word: &Word, b: &mut Binder) -> Option<u32> {
    unsigned(&word.text, 0..=u32::MAX)
        .map_err(|said| {
            let said = format!("{said}\n{keyword} '{}' invalid - ignoring", word.text);
            complain(b, word.span, said);
        })
        .ok()
}

fn at_least_one(keyword: &str, word: &Word, b: &mut Binder) -> Option<u32> {
    let number = whole(keyword, word, b)?;
    if number == 0 {
        complain(b, word.span, format!("{keyword} must be greater than 0, setting to 1"));
    }
    Some(number.max(1))
}

fn garp_master_delay(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    if let Some(time) = seconds("vrrp_garp_master_delay", &words[0], b) {
        global.common.garp_master_delay = Some(time);
    }
}

fn garp_master_repeat(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    if let Some(number) = at_least_one("vrrp_garp_master_repeat", &words[0], b) {
        global.common.garp_master_repeat = Some(number);
    }
}

fn garp_master_refresh(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    match unsigned(&words[0].text, 0..=u32::MAX) {
        Ok(number) => global.common.garp_refresh = Some(Duration::from_secs(number.into())),
        Err(said) => {
            let text = &words[0].text;
            let said = format!("{said}\nInvalid vrrp_garp_master_refresh '{text}' - ignoring");
            complain(b, words[0].span, said);
        }
    }
}

fn garp_refresh_repeat(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    if let Some(number) = at_least_one("vrrp_garp_master_refresh_repeat", &words[0], b) {
        global.common.garp_refresh_repeat = Some(number);
    }
}

fn lower_prio_delay(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    if let Some(time) = seconds("vrrp_garp_lower_prio_delay", &words[0], b) {
        global.common.garp_lower_prio_delay = Some(time);
    }
}

fn lower_prio_repeat(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    match unsigned(&words[0].text, 0..=u32::MAX) {
        Ok(number) => global.common.garp_lower_prio_repeat = Some(number),
        Err(said) => {
            let said = format!("{said}\nInvalid vrrp_garp_lower_prio_repeat '{}'", words[0].text);
            complain(b, words[0].span, said);
        }
    }
}

fn interval(keyword: &str, word: &Word, b: &mut Binder) -> Option<Duration> {
    match decimal(&word.text, 1..=4_294_967_295) {
        (Some(time), said) => {
            if let Some(said) = said {
                complain(b, word.span, said);
            }
            Some(time)
        }
        (None, said) => {
            let said = said.unwrap_or_default();
            complain(b, word.span, format!("{said}\n{keyword} '{}' is invalid", word.text));
            None
        }
    }
}

fn garp_interval(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    if let Some(time) = interval("vrrp_garp_interval", &words[0], b) {
        global.garp_interval = Some(time);
    }
}

fn gna_interval(_: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    interval("vrrp_gna_interval", &words[0], b);
}

/// `[on|off]`, or `Invalid value for <keyword> specified`.
fn on_off(keyword: &str, words: &[Word], b: &mut Binder) -> Option<bool> {
    let on = switch(words);
    if let (None, Some(word)) = (on, words.first()) {
        complain(b, word.span, format!("Invalid value for {keyword} specified"));
    }
    on
}

fn vrrp_min_garp(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    if let Some(on) = on_off("vrrp_min_garp", words, b) {
        global.min_garp = on;
    }
}

/// keepalived 2.2.7 takes any word for on; a switch that says off is off here.
fn skip_check_adv_addr(global: &mut GlobalDraft, words: &[Word], _: &mut Binder) {
    global.common.skip_check_adv_addr = Some(switch(words).unwrap_or(true));
}

fn down_timer_adverts(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    match unsigned(&words[0].text, 1..=100) {
        Ok(number) => global.common.down_timer_adverts = u8::try_from(number).ok(),
        Err(said) => {
            let text = &words[0].text;
            let said = format!("{said}\nInvalid vrrp_down_timer_adverts [1:100] '{text}'");
            complain(b, words[0].span, said);
        }
    }
}

fn lower_prio_no_advert(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    if let Some(on) = on_off("vrrp_lower_prio_no_advert", words, b) {
        global.common.lower_prio_no_advert = Some(on);
    }
}

fn higher_prio_send_advert(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    if let Some(on) = on_off("vrrp_higher_prio_send_advert", words, b) {
        global.common.higher_prio_send_advert = Some(on);
    }
}

fn v3_checksum_as_v2(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    if let Some(on) = on_off("v3_checksum_as_v2", words, b) {
        global.common.v3_checksum_as_v2 = Some(on);
    }
}

fn vrrp_address_lease(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    if let Some(on) = on_off("vrrp_address_lease", words, b) {
        global.common.lease = Some(if on { LeasePolicy::Auto } else { LeasePolicy::Off });
    }
}

fn vrrp_startup_delay(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    match decimal(&words[0].text, 1_000..=4_294_967_295) {
        (Some(time), _) => global.globals.startup_delay = time,
        (None, said) => {
            let (said, text) = (said.unwrap_or_default(), &words[0].text);
            complain(b, words[0].span, format!("{said}\nvrrp_startup_delay '{text}' is invalid"));
        }
    }
}

fn dynamic_interfaces(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    global.globals.dynamic_interfaces = true;
    if let Some(word) = words.first().filter(|w| w.text != "allow_if_changes") {
        complain(b, word.span, format!("Unknown dynamic_interfaces option '{}'", word.text));
    }
}

/// Names are not resolved: a relay that does not answer would delay the start.
fn smtp_server(_: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    let (host, port) = (&words[0].text, words.get(1).map_or("25", |w| &w.text));
    let numeric = host.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    if numeric && host.parse::<IpAddr>().is_err() {
        complain(b, words[0].span, format!("Invalid smtp server {host} {port}"));
    }
}

fn smtp_connect_timeout(_: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    if let (None, said) = decimal(&words[0].text, 0..=4_294_000_000) {
        let (said, text) = (said.unwrap_or_default(), &words[0].text);
        let said = format!("{said}\nsmtp_connect_timeout '{text}' must be in [0, 4294] - ignoring");
        complain(b, words[0].span, said);
    }
}

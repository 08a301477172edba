//! `global_defs { … }`

mod agents;
mod announce;
mod buffers;
mod process;
mod told;

use std::net::IpAddr;
use std::time::Duration;

use conf::{Binder, Form, Keyword, Stmt, Word};
use vrrp::config::{LeasePolicy, Version};

use super::{NO_AGENT, NO_BUFFERS, NO_IPTABLES, NO_IPVS, NO_ROLE, complain, switch};
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
    Global::new("vrrp_garp_master_delay", Form::Words("<seconds>", ONE, announce::garp_master_delay))
        .default("5")
        .doc("From becoming master to the second block of announcements; 0 for none."),
    Global::new("vrrp_garp_master_repeat", Form::Words("<number>", ONE, announce::garp_master_repeat))
        .default("5")
        .doc("Announcements per address and block."),
    Global::new("vrrp_garp_master_refresh", Form::Words("<seconds>", ONE, announce::garp_master_refresh))
        .default("0")
        .doc("Between periodic announcements of a master; 0 for none."),
    Global::new("vrrp_garp_master_refresh_repeat", Form::Words("<number>", ONE, announce::garp_refresh_repeat))
        .default("1")
        .doc("Announcements per address each time."),
    Global::new("vrrp_garp_lower_prio_delay", Form::Words("<seconds>", ONE, announce::lower_prio_delay))
        .doc("From an advert of lower priority to the second block; as `vrrp_garp_master_delay` unless set."),
    Global::new("vrrp_garp_lower_prio_repeat", Form::Words("<number>", ONE, announce::lower_prio_repeat))
        .doc("Announcements in each of those blocks; as `vrrp_garp_master_repeat` unless set."),
    Global::new("vrrp_garp_interval", Form::Words("<seconds>", ONE, announce::garp_interval))
        .doc("The shortest time between two announcements on an interface, from 0.000001."),
    Global::new("vrrp_gna_interval", Form::Words("<seconds>", ONE, announce::gna_interval))
        .doc("The same for unsolicited neighbour advertisements, IPv6's announcements."),
    Global::new("vrrp_min_garp", Form::Words("[on|off]", SOME, announce::vrrp_min_garp))
        .doc("One announcement, and no second block."),
    Global::new("vrrp_garp_extra_if", Form::Whole("[all] <seconds>", announce::garp_extra_if))
        .doc("Between periodic announcements on the interfaces of addresses elsewhere."),
    Global::new("vrrp_vmac_garp_intvl", Form::Whole("[all] <seconds>", announce::garp_extra_if))
        .doc("The old name of `vrrp_garp_extra_if`."),
    Global::new("vrrp_skip_check_adv_addr", Form::Words("[on|off]", SOME, skip_check_adv_addr))
        .doc("Does not compare the addresses of an advert of the master we know."),
    Global::new("vrrp_strict", Form::Flag(|g| g.common.strict = Some(true)))
        .doc("Follows the RFC to the letter: an address is required; no authentication, no unicast peers, and packets for the addresses are dropped by who is not their owner."),
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
    Global::new("vrrp_delay_after_boot", Form::Words("<seconds>", ONE, vrrp_delay_after_boot))
        .doc("How long after boot VRRP begins, at the earliest. keepalived 2.4."),
    Global::new("default_interface", Form::Whole("<ifname>", default_interface))
        .default("eth0")
        .doc("The interface of static addresses that name none."),
    Global::new("dynamic_interfaces", Form::Words("[allow_if_changes]", SOME, dynamic_interfaces))
        .doc("Interfaces may be missing at the start, and come and go; they may come back as another kind, with or without `allow_if_changes`."),
    Global::new("log_unknown_vrids", Form::Flag(|g| g.globals.log_unknown_vrids = true))
        .doc("Logs adverts of virtual routers nobody configured."),
    Global::new("vrrp_owner_ignore_adverts", Form::Words("[on|off]", SOME, vrrp_owner_ignore_adverts))
        .doc("The owner of the addresses ignores adverts. keepalived 2.4."),
    Global::new("vrrp_mcast_group6", Form::Words("<addr>", ONE, vrrp_mcast_group6))
        .default("ff02::12")
        .spec("RFC 9568 §5.1.2.2")
        .doc("Where IPv6 adverts go."),
    // Mail.
    Global::new("notification_email", Form::Lines("<addr>", told::recipients)).doc("Who gets mail."),
    Global::new("notification_email_from", Form::Whole("<addr>", told::sender))
        .doc("The sender of mail; keepalived@ this host unless set."),
    Global::new("smtp_server", Form::Words("<host> [<port>]", ONE, told::server))
        .doc("The relay for mail; its port is 25 unless set."),
    Global::new("smtp_connect_timeout", Form::Words("<seconds>", ONE, told::timeout))
        .default("30")
        .doc("How long the relay may take."),
    Global::new("smtp_helo_name", Form::Whole("<name>", told::helo_name))
        .doc("What the relay is greeted with; this host's name unless set."),
    Global::new("smtp_alert", Form::Whole("[on|off]", told::global_switch))
        .doc("Mail by default."),
    Global::new("smtp_alert_vrrp", Form::Whole("[on|off]", told::global_switch))
        .doc("Mail of instances and groups by default."),
    Global::new("smtp_alert_checker", Form::Whole("[on|off]", told::global_switch))
        .status(conf::Status::Accepted(super::NO_IPVS))
        .doc("Mail of checkers by default."),
    Global::new("no_email_faults", Form::Flag(|g| g.globals.mail.no_faults = true))
        .doc("No mail on leaving the race."),
    Global::new("no_checker_emails", Form::Whole("[on|off]", told::global_switch))
        .status(conf::Status::Accepted(super::NO_IPVS))
        .doc("Less mail of checkers."),
    Global::accepted("checker_log_all_failures", "[on|off]", NO_IPVS).doc("Logs each failed check."),
    // Notification.
    Global::new("vrrp_notify_priority_changes", Form::Whole("[on|off]", told::global_switch))
        .doc("Tells the FIFO about priorities by default."),
    Global::new("notify_fifo", Form::Whole("<path> [<user> [<group>]]", told::fifo_path))
        .doc("A FIFO of events, made where it is not there."),
    Global::new("notify_fifo_script", Form::Whole("<command> [<user> [<group>]]", told::fifo_script))
        .doc("A command that reads it, with its path as the last argument."),
    Global::new("vrrp_notify_fifo", Form::Whole("<path> [<user> [<group>]]", told::fifo_path))
        .doc("A FIFO of VRRP's events."),
    Global::new("vrrp_notify_fifo_script", Form::Whole("<command> [<user> [<group>]]", told::fifo_script))
        .doc("A command that reads it, with its path as the last argument."),
    Global::new("lvs_notify_fifo", Form::Whole("<path> [<user> [<group>]]", told::fifo_path))
        .status(conf::Status::Accepted(NO_IPVS))
        .doc("A FIFO of checkers' events."),
    Global::new("lvs_notify_fifo_script", Form::Whole("<command> [<user> [<group>]]", told::fifo_script))
        .status(conf::Status::Accepted(NO_IPVS))
        .doc("A command that reads it."),
    Global::new("fifo_write_vrrp_states_on_reload", Form::Flag(|g| g.globals.fifo_states_on_reload = true))
        .doc("Tells the FIFO the states after a reload."),
    Global::new("startup_script", Form::Whole("<command> [<user> [<group>]]", process::life_script))
        .doc("A command run before everything else."),
    Global::new("startup_script_timeout", Form::Whole("<1..1000>", process::life_timeout))
        .default("10")
        .doc("How long it may run, in seconds."),
    Global::new("shutdown_script", Form::Whole("<command> [<user> [<group>]]", process::life_script))
        .doc("A command run after everything else."),
    Global::new("shutdown_script_timeout", Form::Whole("<1..1000>", process::life_timeout))
        .default("10")
        .doc("How long it may run, in seconds."),
    // The process.
    Global::new("max_auto_priority", Form::Whole("[<-1..99>]", process::max_auto_priority))
        .doc("The highest real-time priority it may give itself when it finds its timers late; 99 without a number."),
    Global::new("min_auto_priority_delay", Form::Whole("<1..10000000>", process::min_auto_priority_delay))
        .default("1000000")
        .doc("How late is late, in microseconds."),
    Global::new("vrrp_priority", Form::Whole("<-20..19>", process::niceness))
        .doc("Niceness of the VRRP process."),
    Global::new("checker_priority", Form::Whole("<-20..19>", process::niceness))
        .status(conf::Status::Accepted(NO_ROLE))
        .doc("Niceness of checkers."),
    Global::new("bfd_priority", Form::Whole("<-20..19>", process::niceness))
        .status(conf::Status::Accepted(NO_ROLE))
        .doc("Niceness of BFD."),
    Global::new("vrrp_rt_priority", Form::Whole("<1..99>", process::realtime))
        .doc("Real-time priority (`SCHED_RR`) of the VRRP process."),
    Global::new("checker_rt_priority", Form::Whole("<1..99>", process::realtime))
        .status(conf::Status::Accepted(NO_ROLE))
        .doc("Real-time priority (`SCHED_RR`) of checkers."),
    Global::new("bfd_rt_priority", Form::Whole("<1..99>", process::realtime))
        .status(conf::Status::Accepted(NO_ROLE))
        .doc("Real-time priority (`SCHED_RR`) of BFD."),
    Global::new("vrrp_no_swap", Form::Flag(|g| g.globals.process.no_swap = true))
        .doc("Locks the memory of the VRRP process."),
    Global::accepted("checker_no_swap", "", NO_ROLE).doc("Locks the memory of checkers."),
    Global::accepted("bfd_no_swap", "", NO_ROLE).doc("Locks the memory of BFD."),
    Global::new("vrrp_cpu_affinity", Form::Whole("<cpu>…", process::affinity))
        .doc("Which processors are for the VRRP process."),
    Global::new("checker_cpu_affinity", Form::Whole("<cpu>…", process::affinity))
        .status(conf::Status::Accepted(NO_ROLE))
        .doc("Which processors are for checkers."),
    Global::new("bfd_cpu_affinity", Form::Whole("<cpu>…", process::affinity))
        .status(conf::Status::Accepted(NO_ROLE))
        .doc("Which processors are for BFD."),
    Global::new("vrrp_rlimit_rttime", Form::Whole("<microseconds>", process::realtime_limit))
        .doc("Longest run without a system call of the VRRP process."),
    Global::new("vrrp_rlimit_rtime", Form::Whole("<microseconds>", process::realtime_limit))
        .doc("The old name of `vrrp_rlimit_rttime`, of the VRRP process."),
    Global::new("checker_rlimit_rttime", Form::Whole("<microseconds>", process::realtime_limit))
        .status(conf::Status::Accepted(NO_ROLE))
        .doc("Longest run without a system call of checkers."),
    Global::new("checker_rlimit_rtime", Form::Whole("<microseconds>", process::realtime_limit))
        .status(conf::Status::Accepted(NO_ROLE))
        .doc("The old name of `checker_rlimit_rttime`, of checkers."),
    Global::new("bfd_rlimit_rttime", Form::Whole("<microseconds>", process::realtime_limit))
        .status(conf::Status::Accepted(NO_ROLE))
        .doc("Longest run without a system call of BFD."),
    Global::new("bfd_rlimit_rtime", Form::Whole("<microseconds>", process::realtime_limit))
        .status(conf::Status::Accepted(NO_ROLE))
        .doc("The old name of `bfd_rlimit_rttime`, of BFD."),
    Global::new("process_names", Form::Flag(process::process_names)).doc("Names processes by their work."),
    Global::new("process_name", Form::Text("<name>", |g, w| g.globals.process.process_name = Some(w.owned())))
        .doc("The parent's name."),
    Global::new("vrrp_process_name", Form::Text("<name>", |g, w| g.globals.process.vrrp_process_name = Some(w.owned())))
        .doc("The VRRP process's name."),
    Global::new("checker_process_name", Form::Text("<name>", |_, _| {}))
        .status(conf::Status::Accepted(NO_ROLE)).doc("The checkers' name."),
    Global::new("lvs_process_name", Form::Text("<name>", |_, _| {}))
        .status(conf::Status::Accepted(NO_ROLE)).doc("The old name of `checker_process_name`."),
    Global::new("bfd_process_name", Form::Text("<name>", |_, _| {}))
        .status(conf::Status::Accepted(NO_ROLE)).doc("BFD's name."),
    Global::accepted("use_symlink_paths", "[on|off]", "scripts are always run by the path written")
        .doc("Runs scripts by the path written."),
    Global::accepted("set_supplementary_groups", "", "scripts run with their user's own group")
        .doc("Scripts get all groups of their user."),
    Global::new("umask", Form::Whole("<mask>|<bit>[|<bit>…]", process::umask))
        .doc("Rights that files it makes lack: octal, or IRUSR and its like; 0177 unless set."),
    Global::new("random_seed", Form::Words("<number>", ONE, random_seed))
        .doc("What `${_RANDOM}` starts from; the time unless set."),
    Global::new("reload_check_config", Form::Known("[<file>]"))
        .doc("Checks a file before it is loaded: it is, always; a broken file never replaces the running configuration."),
    Global::new("reload_time_file", Form::Whole("<path>", lacks))
        .status(conf::Status::Accepted("reloads are asked for by SIGHUP"))
        .doc("A file with the time of a reload."),
    Global::accepted("reload_repeat", "", "reloads are asked for by SIGHUP")
        .doc("Repeats timed reloads."),
    Global::accepted("reload_file", "[<path>]", "reloads are asked for by SIGHUP")
        .doc("A file that asks for a reload."),
    Global::new("include_check", Form::Known("[[+|-]readable|match|wildcard_match|brace_match]…"))
        .doc("Which includes are mistakes: files that cannot be read, names and patterns of no file, alternatives in braces of no file; all of these without a word."),
    Global::new("config_save_dir", Form::Text("<directory>", |_, _| {}))
        .status(conf::Status::Accepted("nothing is saved"))
        .doc("Where configurations are kept."),
    Global::new("tmp_config_directory", Form::Whole("<directory>", lacks))
        .status(conf::Status::Accepted("the files are read once"))
        .doc("Where a copy of the configuration is made."),
    Global::new("data_use_instance", Form::Whole("[on|off]", told::global_switch))
        .status(conf::Status::Accepted("dumps keep their usual names"))
        .doc("Names dumps by the instance."),
    Global::new("json_version", Form::Words("1|2", ONE, json_version))
        .doc("The format of the JSON dump: an array of instances, or an object with processes too. keepalived 2.4."),
    Global::new("status_socket", Form::Words("<path>", ONE, told::status_socket))
        .spec("extension")
        .doc("Where `failoverd status` asks for the state."),
    Global::new("metrics_listen", Form::Words("<addr>:<port>", ONE, told::metrics_listen))
        .spec("extension")
        .doc("Where metrics are served to Prometheus."),
    Global::new("iproute_usr_dir", Form::Text("<directory>", |g, w| g.iproute_dirs.0 = Some(w.owned())))
        .doc("Where names of tables are looked up, beside the usual places. keepalived 2.4."),
    Global::new("iproute_etc_dir", Form::Text("<directory>", |g, w| g.iproute_dirs.1 = Some(w.owned())))
        .doc("Where names of tables are looked up first. keepalived 2.4."),
    Global::accepted("state_dump_file", "<path>", "dumps keep their usual names")
        .doc("Where the state is dumped."),
    Global::accepted("stats_dump_file", "<path>", "dumps keep their usual names")
        .doc("Where statistics are dumped."),
    Global::accepted("json_dump_file", "<path>", "dumps keep their usual names")
        .doc("Where JSON is dumped."),
    // The packet filter.
    Global::new("vrrp_iptables", Form::Whole("[<in> [<out>]]", vrrp_iptables))
        .status(conf::Status::Accepted(NO_IPTABLES))
        .doc("Chains for `no_accept`."),
    Global::accepted("vrrp_ipsets", "[<name>…]", NO_IPTABLES).doc("Sets for `no_accept`."),
    Global::new("nftables", Form::Whole("[<table>]", nftables))
        .doc("The packet filter's table for `no_accept` and virtual MACs; it is made where it is needed, set or not."),
    Global::new("nftables_priority", Form::Words("<number>", ONE, nftables_priority))
        .doc("The priority of its chains; -1 unless set."),
    Global::new("nftables_counters", Form::Flag(|g| g.globals.nftables.counters = true)).doc("Counters in its rules."),
    Global::new("nftables_ifindex", Form::Flag(|g| g.globals.nftables.by_index = true)).doc("Rules by interface number."),
    Global::accepted("nftables_ipvs", "[<table>]", NO_IPVS).doc("The table for virtual servers."),
    Global::new("nftables_ipvs_priority", Form::Text("<number>", |_, _| {}))
        .status(conf::Status::Accepted(NO_IPVS)).doc("The priority of its chains."),
    Global::new("nftables_ipvs_start_fwmark", Form::Text("<number>", |_, _| {}))
        .status(conf::Status::Accepted(NO_IPVS)).doc("The first mark."),
    Global::accepted("disable_local_igmp", "", "sysctls are left alone")
        .doc("No IGMP for link-local groups."),
    // IPVS.
    Global::new("lvs_sync_daemon", Form::Whole("<ifname> [inst <name>] …", lacks))
        .status(conf::Status::Accepted(NO_IPVS))
        .doc("Synchronises connections."),
    Global::new("lvs_timeouts", Form::Whole("[tcp <seconds>] [tcpfin <seconds>] [udp <seconds>]", lacks))
        .status(conf::Status::Accepted(NO_IPVS))
        .doc("Timeouts of connections."),
    Global::accepted("lvs_flush", "", NO_IPVS).doc("Clears IPVS at the start."),
    Global::accepted("lvs_flush_on_stop", "[VS]", NO_IPVS).doc("Clears IPVS at the end."),
    Global::accepted("lvs_flush_onstop", "[VS]", NO_IPVS).doc("The old name of `lvs_flush_on_stop`."),
    Global::new("rs_init_notifies", Form::Whole("[on|off]", told::global_switch))
        .status(conf::Status::Accepted(super::NO_IPVS))
        .doc("Runs `notify_up` at the start."),
    // Agents.
    Global::new("snmp_socket", Form::Whole("<address>", agents::socket))
        .doc("Where the SNMP master agent is; unix:/var/agentx/master unless set.")
        .spec("RFC 2741"),
    Global::new("enable_traps", Form::Flag(|g| g.globals.snmp.traps = true)).doc("Sends traps at transitions."),
    Global::new("enable_snmp_vrrp", Form::Flag(|g| g.globals.snmp.keepalived = true))
        .doc("keepalived's own MIB, its part about VRRP."),
    Global::new("enable_snmp_keepalived", Form::Flag(|g| g.globals.snmp.keepalived = true))
        .doc("The old name of `enable_snmp_vrrp`."),
    Global::accepted("enable_snmp_checker", "", NO_IPVS).doc("The checkers' MIB."),
    Global::new("enable_snmp_rfc", Form::Flag(|g| {
        g.globals.snmp.rfc_v2 = true;
        g.globals.snmp.rfc_v3 = true;
    }))
    .doc("Both MIBs of the RFCs."),
    Global::new("enable_snmp_rfcv2", Form::Flag(|g| g.globals.snmp.rfc_v2 = true))
        .spec("RFC 2787")
        .doc("The MIB of version 2."),
    Global::new("enable_snmp_rfcv3", Form::Flag(|g| g.globals.snmp.rfc_v3 = true))
        .spec("RFC 6527")
        .doc("The MIB of version 3."),
    Global::accepted("snmp_vs_stats_update_interval", "<seconds>", NO_IPVS)
        .doc("The age of statistics."),
    Global::accepted("snmp_rs_stats_update_interval", "<seconds>", NO_IPVS)
        .doc("The age of statistics."),
    Global::accepted("enable_dbus", "", NO_AGENT).doc("The D-Bus service."),
    Global::new("dbus_service_name", Form::Whole("<name>", lacks))
        .status(conf::Status::Accepted(NO_AGENT)).doc("Its name."),
    Global::accepted("dbus_no_interface_name", "<name>", NO_AGENT)
        .doc("What stands for no interface."),
    // Buffers.
    Global::new("vrrp_netlink_cmd_rcv_bufs", Form::Whole("<bytes>", buffers::size)).status(conf::Status::Accepted(NO_BUFFERS)).doc("A receive buffer."),
    Global::new("vrrp_netlink_cmd_rcv_bufs_force", Form::Whole("[on|off]", told::global_switch)).status(conf::Status::Accepted(NO_BUFFERS))
        .doc("Beyond the limit."),
    Global::new("vrrp_netlink_monitor_rcv_bufs", Form::Whole("<bytes>", buffers::size)).status(conf::Status::Accepted(NO_BUFFERS)).doc("A receive buffer."),
    Global::new("vrrp_netlink_monitor_rcv_bufs_force", Form::Whole("[on|off]", told::global_switch)).status(conf::Status::Accepted(NO_BUFFERS))
        .doc("Beyond the limit."),
    Global::new("lvs_netlink_cmd_rcv_bufs", Form::Whole("<bytes>", buffers::size)).status(conf::Status::Accepted(NO_BUFFERS)).doc("A receive buffer."),
    Global::new("lvs_netlink_cmd_rcv_bufs_force", Form::Whole("[on|off]", told::global_switch)).status(conf::Status::Accepted(NO_BUFFERS))
        .doc("Beyond the limit."),
    Global::new("lvs_netlink_monitor_rcv_bufs", Form::Whole("<bytes>", buffers::size)).status(conf::Status::Accepted(NO_BUFFERS)).doc("A receive buffer."),
    Global::new("lvs_netlink_monitor_rcv_bufs_force", Form::Whole("[on|off]", told::global_switch)).status(conf::Status::Accepted(NO_BUFFERS))
        .doc("Beyond the limit."),
    Global::new("process_monitor_rcv_bufs", Form::Whole("<bytes>", buffers::size)).status(conf::Status::Accepted(NO_BUFFERS)).doc("A receive buffer."),
    Global::new("process_monitor_rcv_bufs_force", Form::Whole("[on|off]", told::global_switch)).status(conf::Status::Accepted(NO_BUFFERS))
        .doc("Beyond the limit."),
    Global::new("vrrp_rx_bufs_policy", Form::Whole("MTU|ADVERT|<bytes>", buffers::policy)).status(conf::Status::Accepted(NO_BUFFERS))
        .doc("Receive buffers of adverts."),
    Global::new("vrrp_rx_bufs_multiplier", Form::Whole("<number>", buffers::multiplier)).status(conf::Status::Accepted(NO_BUFFERS))
        .doc("How many adverts they hold."),
    // Virtual MAC interfaces.
    Global::new("vmac_prefix", Form::Words("<text>", ONE, vmac_prefix))
        .doc("The beginning of the names of virtual MAC interfaces; `vrrp` unless set."),
    Global::new("vmac_addr_prefix", Form::Text("<text>", |_, _| {}))
        .status(conf::Status::Accepted("those interfaces are named by `vmac_prefix`"))
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
    let (word, text) = (&words[0], &words[0].text);
    let said = match text.parse() {
        Ok(IpAddr::V4(group)) if group.is_multicast() => {
            global.multicast_group = Some(IpAddr::V4(group));
            return;
        }
        Ok(IpAddr::V4(_)) => format!("vrrp_mcast_group4 [{text}] is not multicast. Skipping"),
        Ok(_) => format!("vrrp_mcast_group4 [{text}] is not IPv4. Skipping"),
        Err(_) => format!("Can't parse vrrp_mcast_group4 [{text}]. Skipping"),
    };
    complain(b, word.span, said);
}

fn vrrp_mcast_group6(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    let (word, text) = (&words[0], &words[0].text);
    let said = match text.parse() {
        Ok(IpAddr::V6(group)) if group.is_multicast() => {
            global.multicast_group6 = Some(IpAddr::V6(group));
            if group.segments()[0] & 0xf == 2 {
                return;
            }
            format!("vrrp_mcast_group6 [{text}] should be link-local multicast.")
        }
        Ok(IpAddr::V6(_)) => format!("vrrp_mcast_group6 [{text}] is not multicast. Skipping"),
        Ok(_) => format!("vrrp_mcast_group6 [{text}] is not IPv6. Skipping"),
        Err(_) => format!("Can't parse vrrp_mcast_group6 [{text}]. Skipping"),
    };
    complain(b, word.span, said);
}

/// `[on|off]`, or `Invalid value for <keyword> specified`.
fn on_off(keyword: &str, words: &[Word], b: &mut Binder) -> Option<bool> {
    let on = switch(words);
    if let (None, Some(word)) = (on, words.first()) {
        complain(b, word.span, format!("Invalid value for {keyword} specified"));
    }
    on
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
    if let Some(time) = delay("vrrp_startup_delay", &words[0], b) {
        global.globals.startup_delay = time;
    }
}

fn vrrp_delay_after_boot(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    if let Some(time) = delay("vrrp_delay_after_boot", &words[0], b) {
        global.globals.delay_after_boot = time;
    }
}

/// From a millisecond on, or `<said>\n<keyword> '<word>' is invalid`.
fn delay(keyword: &str, word: &Word, b: &mut Binder) -> Option<Duration> {
    let (time, said) = decimal(&word.text, 1_000..=4_294_967_295);
    if time.is_none() {
        let said = said.unwrap_or_default();
        complain(b, word.span, format!("{said}\n{keyword} '{}' is invalid", word.text));
    }
    time
}

fn dynamic_interfaces(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    global.globals.dynamic_interfaces = true;
    match words.first() {
        Some(word) if word.text == "allow_if_changes" => {
            global.globals.allow_interface_changes = true;
        }
        Some(word) => {
            complain(b, word.span, format!("Unknown dynamic_interfaces option '{}'", word.text));
        }
        None => {}
    }
}

fn vrrp_owner_ignore_adverts(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    if let Some(on) = on_off("vrrp_owner_ignore_adverts", words, b) {
        global.common.owner_ignore_adverts = Some(on);
    }
}

fn json_version(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    match unsigned(&words[0].text, 1..=2) {
        Ok(number) => global.globals.json_version = u8::try_from(number).ok(),
        Err(said) => complain(b, words[0].span, said),
    }
}

/// The preprocessor looks at the number; here it is checked.
fn random_seed(_: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    if let Err(said) = unsigned(&words[0].text, 0..=u32::MAX) {
        let said = format!("{said}\nrandom_seed {} invalid", words[0].text);
        complain(b, words[0].span, said);
    }
}

/// The longest name of a table the kernel takes.
const MAX_TABLE: usize = 255;

fn nftables(global: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    let name = stmt.words.get(1).map_or("keepalived", |w| &w.text);
    if global.globals.nftables.table.is_some() {
        return complain(b, stmt.at(), "nftables already specified - ignoring");
    }
    if name.len() > MAX_TABLE {
        return complain(b, stmt.at(), "nftables table name too long - ignoring");
    }
    global.globals.nftables.table = Some(name.to_owned());
}

fn nftables_priority(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    let text = &words[0].text;
    match text.parse() {
        Ok(number) => global.globals.nftables.priority = Some(number),
        Err(_) => {
            let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
            let number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            let why = if number {
                format!("number '{text}' outside integer range")
            } else {
                format!("invalid number '{text}'")
            };
            complain(b, words[0].span, format!("{why}\ninvalid nftables chain priority '{text}'"));
        }
    }
}

fn vmac_prefix(global: &mut GlobalDraft, words: &[Word], b: &mut Binder) {
    if global.globals.vmac_prefix.is_some() {
        let said = format!("vmac prefix has already been specified - ignoring {}", words[0].text);
        return complain(b, words[0].span, said);
    }
    global.globals.vmac_prefix = Some(words[0].owned());
}

fn default_interface(global: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    match stmt.words.get(1) {
        Some(word) => global.globals.default_interface = Some(word.owned()),
        None => complain(b, stmt.at(), "default_interface requires interface name"),
    }
}

/// What keepalived says of keywords without an effect here that stand alone.
fn lacks(_: &mut GlobalDraft, stmt: &Stmt, b: &mut Binder) {
    if stmt.words.len() > 1 {
        return;
    }
    let said = match stmt.word(0) {
        "reload_time_file" => "reload_time_file invalid",
        "tmp_config_directory" => "tmp_config_directory missing directory name",
        "lvs_sync_daemon" => "lvs_sync_daemon requires interface",
        "lvs_timeouts" => "lvs_timeouts requires at least one option",
        _ => "dbus_service_name missing - ignoring",
    };
    complain(b, stmt.at(), said);
}

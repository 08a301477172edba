//! `------< Global definitions >------`

use vrrp::config::{Command, FifoConfig, Globals, LifeScript};

use super::text::{general, line, on_off, owner, words};

/// Which process writes: keepalived's two differ in a few lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Who {
    Parent,
    Vrrp,
}

/// The nftables of a role that needs them: its instances ask for it.
pub(super) fn write(out: &mut String, globals: &Globals, who: Who, filters: bool) {
    line!(out, "------< Global definitions >------");
    let process = &globals.process;
    match &process.net_namespace {
        Some(name) => line!(out, " Network namespace = {name}"),
        None => line!(out, " Network namespace = (default)"),
    }
    line!(out, " Network namespace ipvs = (main namespace)");
    if let Some(name) = &process.instance_name {
        line!(out, " Instance name = {name}");
    }
    // `process_names` leaves the parent's as it is.
    if let Some(name) = process.process_name.as_ref().filter(|name| *name != "keepalived") {
        line!(out, " Parent process name = {name}");
    }
    if let Some(name) = &process.vrrp_process_name {
        line!(out, " VRRP process name = {name}");
        if name == "keepalived_vrrp" {
            // What `process_names` names besides.
            line!(out, " LVS process name = keepalived_lvs");
            line!(out, " BFD process name = keepalived_bfd");
        }
    }
    let host = host_name();
    line!(out, " Router ID = {}", globals.router_id.as_deref().unwrap_or(&host));
    mail(out, globals, &host);
    line!(out, " Default smtp_alert = {}", on_off(globals.inherited.smtp_alert));
    line!(out, " Default smtp_alert_vrrp = {}", on_off(globals.inherited.smtp_alert_vrrp));
    line!(out, " Default smtp_alert_checker = unset");
    line!(out, " Checkers log all failures = false");
    line!(out, " No test config before reload");
    if who == Who::Parent {
        life(out, "Startup", globals.startup_script.as_ref(), globals);
        life(out, "Shutdown", globals.shutdown_script.as_ref(), globals);
    }
    line!(out, " Dynamic interfaces = {}", globals.dynamic_interfaces);
    if globals.dynamic_interfaces {
        line!(out, " Allow interface changes = {}", globals.allow_interface_changes);
    }
    if globals.mail.no_faults {
        line!(out, " Send emails for fault transitions = off");
    }
    if who == Who::Vrrp {
        let interface = globals.default_interface.as_deref().unwrap_or("eth0");
        line!(out, " Default interface = {interface}");
    }
    line!(out, " Disable local IGMP = no");
    line!(out, " LVS flush = false");
    line!(out, " LVS flush on stop = disabled");
    fifo(out, "Global", globals.fifo.as_ref(), globals, who);
    fifo(out, "VRRP", globals.vrrp_fifo.as_ref(), globals, who);
    line!(out, " FIFO write vrrp states on reload = {}", globals.fifo_states_on_reload);
    inherited(out, globals, who, filters);
    processes(out, globals);
    rest(out, globals);
}

fn host_name() -> String {
    let uname = nix::sys::utsname::uname();
    let name = uname.map(|uname| uname.nodename().to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    name.split('.').next().unwrap_or_default().to_owned()
}

fn mail(out: &mut String, globals: &Globals, host: &str) {
    let mail = &globals.mail;
    if let Some(server) = &mail.server {
        line!(out, " Smtp server = {server}");
        line!(out, " Smtp server port = {}", mail.port);
        line!(out, " Smtp HELO name = {}", mail.helo_name.as_deref().unwrap_or(host));
        line!(out, " Smtp server connection timeout = {}", mail.timeout.as_secs());
    }
    if let Some(from) = &mail.from {
        line!(out, " Email notification from = {from}");
    }
    if !mail.recipients.is_empty() {
        line!(out, " Email notification to:");
        for recipient in &mail.recipients {
            line!(out, "   {recipient}");
        }
    }
}

fn life(out: &mut String, which: &str, script: Option<&LifeScript>, globals: &Globals) {
    let Some(LifeScript { command, timeout }) = script else { return };
    let (uid, gid) = owner(command, globals);
    // keepalived's comma is missing in one of them.
    let comma = if which == "Startup" { "," } else { "" };
    let words = words(&command.words);
    let seconds = timeout.as_secs();
    line!(out, " {which} script = {words}, uid:gid {uid}:{gid}{comma} timeout {seconds}");
}

fn fifo(out: &mut String, which: &str, fifo: Option<&FifoConfig>, globals: &Globals, who: Who) {
    let Some(fifo) = fifo else { return };
    let owned = Command { user: fifo.user.clone(), group: fifo.group.clone(), words: vec![] };
    let (uid, gid) = owner(&owned, globals);
    line!(out, " {which} notify fifo = {}, uid:gid {uid}:{gid}", fifo.path);
    if let Some(reader) = &fifo.reader {
        let (uid, gid) = owner(reader, globals);
        let mut all = reader.words.clone();
        all.extend((who == Who::Vrrp).then(|| fifo.path.clone()));
        line!(out, " {which} notify fifo script = {}, uid:gid {uid}:{gid}", words(&all));
    }
}

fn inherited(out: &mut String, globals: &Globals, who: Who, filters: bool) {
    let common = &globals.inherited;
    let garp = &common.garp;
    line!(out, " VRRP notify priority changes = {}", common.priority_changes);
    line!(out, " VRRP IPv4 mcast group = {}", common.multicast_v4);
    line!(out, " VRRP IPv6 mcast group = {}", common.multicast_v6);
    line!(out, " Gratuitous ARP delay = {}", garp.master_delay.as_secs());
    line!(out, " Gratuitous ARP repeat = {}", garp.master_repeat);
    line!(out, " Gratuitous ARP refresh timer = {}", garp.refresh.as_secs());
    line!(out, " Gratuitous ARP refresh repeat = {}", garp.refresh_repeat);
    let default = vrrp::config::GarpConfig::default();
    let (delay, repeat) = (garp.lower_prio_delay.as_secs(), garp.lower_prio_repeat);
    // The parent never replaces its mark for "not configured".
    let unset = who == Who::Parent
        && delay == default.lower_prio_delay.as_secs()
        && repeat == default.lower_prio_repeat;
    let (delay, repeat) = if unset { (u32::MAX.into(), u32::MAX) } else { (delay, repeat) };
    line!(out, " Gratuitous ARP lower priority delay = {delay}");
    line!(out, " Gratuitous ARP lower priority repeat = {repeat}");
    line!(out, " Num adverts before down = {}", common.down_timer_adverts);
    let extra = garp.extra_interfaces.as_secs();
    line!(out, " Gratuitous ARP for each secondary VMAC = {extra}s");
    let answers = !common.lower_prio_no_advert;
    line!(out, " Send advert after receive lower priority advert = {answers}");
    let sends = common.higher_prio_send_advert;
    line!(out, " Send advert after receive higher priority advert = {sends}");
    line!(out, " Gratuitous ARP interval = {:.6}", garp.interval.as_secs_f64());
    line!(out, " Gratuitous NA interval = {:.6}", garp.gna_interval.as_secs_f64());
    line!(out, " VRRP default protocol version = {}", common.version.number());
    let tables = &globals.nftables;
    if tables.table.is_some() || (filters && who == Who::Vrrp) {
        line!(out, " nftables table name = {}", tables.table.as_deref().unwrap_or("keepalived"));
        line!(out, " nftables base chain priority = {}", tables.priority.unwrap_or(-1));
        let force = if tables.by_index { "" } else { "don't " };
        line!(out, " nftables {force}force use ifindex for link local IPv6");
    }
    line!(out, " nftables with{} counters", if tables.counters { "" } else { "out" });
    line!(out, " VRRP check unicast_src = {}", common.check_unicast_source);
    line!(out, " VRRP skip check advert addresses = {}", common.skip_check_adv_addr);
    line!(out, " VRRP strict mode = {}", common.strict);
}

fn processes(out: &mut String, globals: &Globals) {
    let process = &globals.process;
    match process.max_auto_priority {
        Some(priority) => line!(out, " Max auto priority = {priority}"),
        None => line!(out, " Max auto priority = 0"),
    }
    let delay = process.min_auto_priority_delay.as_micros();
    line!(out, " Min auto priority delay = {delay} usecs");
    let limit = process.realtime_limit.map_or(10_000, |limit| limit.as_micros());
    line!(out, " VRRP process priority = {}", process.niceness.unwrap_or(0));
    line!(out, " VRRP don't swap = {}", process.no_swap);
    line!(out, " VRRP realtime priority = {}", process.realtime.unwrap_or(0));
    if !process.cpu_affinity.is_empty() {
        let all: Vec<_> = process.cpu_affinity.iter().map(u32::to_string).collect();
        line!(out, " VRRP CPU Affinity = {}", all.join(" "));
    }
    line!(out, " VRRP realtime limit = {limit}");
    // The roles we do not have are as keepalived's are by default.
    for role in ["Checker", "BFD"] {
        line!(out, " {role} process priority = 0");
        line!(out, " {role} don't swap = false");
        line!(out, " {role} realtime priority = 0");
        line!(out, " {role} realtime limit = 10000");
    }
}

fn rest(out: &mut String, globals: &Globals) {
    let snmp = &globals.snmp;
    let told = [
        ("vrrp", snmp.keepalived),
        ("checker", false),
        ("RFCv2", snmp.rfc_v2),
        ("RFCv3", snmp.rfc_v3),
        ("traps", snmp.traps),
    ];
    for (what, is_on) in told {
        line!(out, " SNMP {what} {}", if is_on { "enabled" } else { "disabled" });
    }
    let socket = snmp.socket.as_deref().unwrap_or("default (unix:/var/agentx/master)");
    line!(out, " SNMP socket = {socket}");
    line!(out, " DBus disabled");
    line!(out, " DBus service name = ");
    let security = if globals.script_security { "enabled" } else { "disabled" };
    line!(out, " Script security {security}");
    let (uid, gid) = super::text::identity(None, None, globals);
    line!(out, " Default script uid:gid {uid}:{gid}");
    for buffers in [
        "vrrp_netlink_cmd",
        "vrrp_netlink_monitor",
        "process_monitor",
        "lvs_netlink_cmd",
        "lvs_netlink_monitor",
    ] {
        line!(out, " {buffers}_rcv_bufs = 0");
        line!(out, " {buffers}_rcv_bufs_force = 0");
    }
    line!(out, " rs_init_notifies = 0");
    line!(out, " no_checker_emails = 0");
    line!(out, " rx_bufs_multiples = 3");
    line!(out, " umask = 0{:o}", globals.process.umask.unwrap_or(0o177));
    if !globals.startup_delay.is_zero() {
        line!(out, " vrrp_startup_delay = {}", general(globals.startup_delay.as_secs_f64()));
    }
    if globals.log_unknown_vrids {
        line!(out, " log_unknown_vrids");
    }
    if let Some(prefix) = &globals.vmac_prefix {
        line!(out, " VMAC prefix = {prefix}");
    }
}

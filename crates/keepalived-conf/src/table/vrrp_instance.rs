//! `vrrp_instance NAME { … }`

use std::time::Duration;

use conf::{Binder, Form, Keyword, Place, Status, Stmt, Word};
use vrrp::config::{Initial, LeasePolicy, Version};

use super::track::{track_bfd, track_file, track_interface, track_process, track_script};
use super::{NO_BUFFERS, NO_IPVS, address, closing, complain, hmac, notify, switch, unicast, vmac};
use crate::draft::{AuthType, InstanceDraft};
use crate::number::{decimal, unsigned};

type Vrrp = Keyword<InstanceDraft>;

const ONE: std::ops::RangeInclusive<usize> = 1..=usize::MAX;
const SOME: std::ops::RangeInclusive<usize> = 0..=usize::MAX;

pub(crate) const VRRP_INSTANCE: &[Vrrp] = &[
    Vrrp::new("state", Form::Words("MASTER|BACKUP", ONE, state))
        .doc("The state it wishes to start in; the priority decides. Unless set, MASTER at priority 255."),
    Vrrp::new("interface", Form::Words("<ifname>", ONE, interface))
        .doc("Where adverts are sent and heard. Required."),
    Vrrp::new("virtual_router_id", Form::Words("<1..255>", ONE, virtual_router_id))
        .spec("RFC 9568 §5.2.3")
        .doc("The number of the virtual router on its link. Required."),
    Vrrp::new("priority", Form::Words("<1..255>", ONE, priority))
        .default("100")
        .spec("RFC 9568 §5.2.4")
        .doc("The highest wins; 255 is the owner of the addresses. 255 unless set, if `state MASTER` is."),
    Vrrp::new("advert_int", Form::Words("<seconds>", ONE, advert_int))
        .default("1")
        .spec("RFC 9568 §5.2.7")
        .doc("Between two adverts of a master, 0.01 to 255; whole seconds for version 2, up to 40.95 for version 3."),
    Vrrp::new("authentication", Form::Block(&AUTHENTICATION, authentication))
        .spec("RFC 2338 §5.3.6")
        .doc("Authentication, of version 2 only."),
    Vrrp::new("virtual_ipaddress", Form::Lines("<addr>[/<len>] [<option>…]", virtual_ipaddress))
        .doc("The addresses the master holds and its adverts list."),
    Vrrp::new("virtual_ipaddress_excluded", Form::Lines("<addr>[/<len>] [<option>…]", excluded))
        .doc("Addresses the master holds too, listed in no advert."),
    Vrrp::new("no_virtual_ipaddress", Form::Flag(|v| v.no_addresses = true))
        .doc("It is meant to hold no address. keepalived 2.4."),
    Vrrp::new("unicast_src_ip", Form::Words("<addr>", ONE, unicast::unicast_src_ip))
        .doc("The source of adverts to unicast peers."),
    Vrrp::new("mcast_src_ip", Form::Words("<addr>", ONE, unicast::source))
        .doc("The source of adverts; the interface's first address unless set."),
    Vrrp::new("unicast_peer", Form::Lines("<addr> [min_ttl <0..255>] [max_ttl <0..255>]", unicast::unicast_peer))
        .doc("Who hears the adverts, instead of the multicast group."),
    Vrrp::new("unicast_ttl", Form::Words("<0..255>", ONE, unicast::unicast_ttl))
        .default("255")
        .doc("Hop limit of unicast adverts."),
    Vrrp::new("check_unicast_src", Form::Words("[on|off]", SOME, check_unicast_src))
        .doc("Drops unicast adverts of others than the peers."),
    Vrrp::new("mcast_dst_ip", Form::Words("<addr>", ONE, unicast::mcast_dst_ip)).doc("Another multicast group."),
    Vrrp::new("track_src_ip", Form::Flag(|v| v.track_source = true))
        .doc("Leaves the race while the source address is missing."),
    Vrrp::new("version", Form::Words("2|3", ONE, version))
        .default("2")
        .doc("The protocol's version; `vrrp_version` unless set."),
    Vrrp::new("nopreempt", Form::Flag(|v| v.nopreempt = true))
        .doc("Stays backup while a lower priority is master."),
    Vrrp::new("preempt", Form::Flag(|v| v.nopreempt = false))
        .doc("Takes over from a lower priority; it does unless told not to."),
    Vrrp::new("preempt_delay", Form::Words("<0..1000>", ONE, preempt_delay))
        .default("0")
        .doc("How long a lower priority may stay master, in seconds."),
    Vrrp::new("track_script", Form::Lines("<name> [weight <-253..253> [reverse|noreverse]]", track_script))
        .doc("Scripts it follows."),
    Vrrp::new("track_interface", Form::Lines("<ifname> [weight <-253..253> [reverse|noreverse]]", track_interface))
        .doc("Interfaces it follows."),
    Vrrp::new("dont_track_primary", Form::Flag(|v| v.dont_track_primary = true))
        .doc("Stays in the race while its own interface is down."),
    Vrrp::new("garp_master_delay", Form::Words("<seconds>", ONE, garp_master_delay))
        .default("5")
        .doc("From becoming master to the second block of announcements; 0 for none."),
    Vrrp::new("garp_master_repeat", Form::Words("<number>", ONE, garp_master_repeat))
        .default("5")
        .doc("Announcements per address and block."),
    Vrrp::new("garp_master_refresh", Form::Words("<seconds>", ONE, garp_master_refresh))
        .default("0")
        .doc("Between periodic announcements; 0 for none."),
    Vrrp::new("garp_master_refresh_repeat", Form::Words("<number>", ONE, garp_refresh_repeat))
        .default("1")
        .doc("Announcements per address each time."),
    Vrrp::new("garp_lower_prio_delay", Form::Words("<seconds>", ONE, lower_prio_delay))
        .doc("From an advert of lower priority to the second block; as `vrrp_garp_lower_prio_delay` unless set."),
    Vrrp::new("garp_lower_prio_repeat", Form::Words("<number>", ONE, lower_prio_repeat))
        .doc("Announcements in each of those blocks; as `vrrp_garp_lower_prio_repeat` unless set."),
    Vrrp::new("lower_prio_no_advert", Form::Words("[on|off]", SOME, lower_prio_no_advert))
        .doc("A master does not answer an advert of lower priority."),
    Vrrp::new("higher_prio_send_advert", Form::Words("[on|off]", SOME, higher_prio_send_advert))
        .doc("A master sends one more advert before it yields."),
    Vrrp::new("down_timer_adverts", Form::Words("<1..100>", ONE, down_timer_adverts))
        .default("3")
        .doc("How many adverts a master may miss."),
    Vrrp::new("skip_check_adv_addr", Form::Words("[on|off]", SOME, skip_check_adv_addr))
        .doc("Does not compare the addresses of an advert of the master we know."),
    Vrrp::new("strict_mode", Form::Words("[on|off]", SOME, strict_mode))
        .doc("As `vrrp_strict`, for this instance."),
    Vrrp::new("v3_checksum_as_v2", Form::Words("[on|off]", SOME, v3_checksum_as_v2))
        .doc("The checksum of version 3 leaves out the pseudo header. keepalived 2.4."),
    Vrrp::new("address_lease", Form::Words("[on|off]", SOME, address_lease))
        .default("on")
        .spec("extension")
        .doc("The addresses expire by themselves when a dead or frozen daemon no longer renews them."),
    Vrrp::new("accept", Form::Flag(|v| v.accept = Some(true)))
        .spec("RFC 9568 §6.1")
        .doc("Packets for the addresses are accepted by who is not their owner."),
    Vrrp::new("no_accept", Form::Flag(|v| v.accept = Some(false)))
        .spec("RFC 9568 §6.1")
        .doc("Packets for the addresses are dropped by who is not their owner, by the packet filter."),
    Vrrp::new("notify", Form::Whole("<command> [<user> [<group>]]", notify::script))
        .doc("A command run at every change of state, with INSTANCE, the name, the state and the priority."),
    Vrrp::new("notify_master", Form::Whole("<command> [<user> [<group>]]", notify::script))
        .doc("A command run on becoming master."),
    Vrrp::new("notify_backup", Form::Whole("<command> [<user> [<group>]]", notify::script))
        .doc("A command run on becoming backup."),
    Vrrp::new("notify_fault", Form::Whole("<command> [<user> [<group>]]", notify::script))
        .doc("A command run on leaving the race."),
    Vrrp::new("notify_stop", Form::Whole("<command> [<user> [<group>]]", notify::script))
        .doc("A command run at the end."),
    Vrrp::new("notify_deleted", Form::Whole("[<command> [<user> [<group>]]]", notify::deleted))
        .doc("A command run when a reload removes it; told as DELETED then, not as FAULT."),
    Vrrp::new("notify_master_rx_lower_pri", Form::Whole("<command> [<user> [<group>]]", notify::script))
        .doc("A command run when a master hears a lower priority."),
    Vrrp::new("notify_priority_changes", Form::Words("[on|off]", SOME, notify::priority_changes))
        .doc("Tells the FIFO about priorities; `vrrp_notify_priority_changes` unless set."),
    Vrrp::new("smtp_alert", Form::Words("[on|off]", SOME, notify::smtp_alert))
        .doc("Mail at every change of state; `smtp_alert_vrrp` or the global `smtp_alert` unless set."),
    Vrrp::new("garp_extra_if", Form::Whole("[all] <seconds>", garp_extra_if))
        .doc("Between periodic announcements on the interfaces of addresses elsewhere."),
    Vrrp::new("vmac_garp_intvl", Form::Whole("[all] <seconds>", garp_extra_if))
        .doc("The old name of `garp_extra_if`."),
    Vrrp::new("native_ipv6", Form::Whole("", native_ipv6))
        .doc("Speaks IPv6 if no address tells the family."),
    Vrrp::new("debug", Form::Words("<0..4>", ONE, debug))
        .status(Status::Accepted("it has none in keepalived either"))
        .doc("Parsed, and nothing else."),
    Vrrp::new("kernel_rx_buf_size", Form::Whole("<bytes>", kernel_rx_buf_size))
        .status(Status::Accepted(NO_BUFFERS))
        .doc("The receive buffer."),
    Vrrp::new("lvs_sync_daemon_interface", Form::Whole("<ifname>", lvs_sync_daemon_interface))
        .status(Status::Accepted(NO_IPVS))
        .doc("The old place of `lvs_sync_daemon`."),
    Vrrp::new("track_file", Form::Lines("<name> [weight <-254..254> [reverse|noreverse]]", track_file))
        .doc("Files it follows."),
    Vrrp::new("track_process", Form::Lines("<name> [weight <-254..254> [reverse|noreverse]]", track_process))
        .doc("Processes it follows."),
    Vrrp::new("track_bfd", Form::Lines("<name> [weight <-253..253> [reverse|noreverse]]", track_bfd))
        .status(Status::Planned)
        .doc("BFD sessions it follows."),
    Vrrp::new("virtual_routes", Form::Lines("<route>", |v, stmt, _| v.routes.extend(stmt.body().iter().cloned())))
        .doc("Routes the master has, in the words of ip-route(8)."),
    Vrrp::new("virtual_rules", Form::Lines("<rule>", |v, stmt, _| v.rules.extend(stmt.body().iter().cloned())))
        .doc("Routing rules the master has, in the words of ip-rule(8)."),
    Vrrp::new("use_vmac", Form::Whole("[[name] <ifname>] [<mac>] [netlink_notify_msg] [group <number>]", vmac::use_vmac))
        .spec("RFC 9568 §7.3")
        .doc("Holds the addresses on an interface with the virtual MAC address."),
    Vrrp::new("vmac_xmit_base", Form::Flag(|v| v.xmit_base = true))
        .doc("Sends adverts from the interface below."),
    Vrrp::new("use_vmac_addr", Form::Flag(|v| v.vmac_addresses = true))
        .doc("Virtual MAC interfaces for addresses elsewhere too."),
    Vrrp::new("use_ipvlan", Form::Whole("[[name] <ifname>] [<addr>[/<len>]] [bridge|private|vepa] [group <number>]", vmac::use_ipvlan))
        .doc("Holds the addresses on an ipvlan."),
    Vrrp::new("owner_ignore_adverts", Form::Words("[on|off]", SOME, owner_ignore_adverts))
        .doc("The owner ignores adverts. keepalived 2.4."),
    Vrrp::new("timer_expired_backup", Form::Words("[<1..254>]", SOME, timer_expired_backup))
        .doc("Becomes backup if it ran too late, at this priority or 254 meanwhile; with `nopreempt`. keepalived 2.4."),
    Vrrp::new("thread_timer_expired", Form::Words("[<1..254>]", SOME, timer_expired_backup))
        .doc("The old name of `timer_expired_backup`."),
    Vrrp::new("unicast_fault_no_peer", Form::Flag(|v| v.fault_no_peer = true))
        .doc("Leaves the race if there is no peer, instead of speaking multicast."),
    Vrrp::new("old_unicast_checksum", Form::Words("[never]", SOME, unicast::old_unicast_checksum))
        .doc("The checksum of version 3 to unicast peers as keepalived before 1.3.6 had it; found out unless set."),
    Vrrp::new("promote_secondaries", Form::Flag(|v| v.promote_secondaries = true))
        .doc("Sets the interface's sysctl of that name."),
    Vrrp::new("vrf", Form::Words("<ifname>", ONE, |v, words, _| v.vrf = words.first().cloned()))
        .status(Status::Planned)
        .doc("Unicast without an interface."),
    Vrrp::new("linkbeat_use_polling", Form::Whole("", linkbeat_use_polling))
        .status(Status::Accepted(super::NO_POLLING))
        .doc("Polls the interface's link."),
    Vrrp::new("auth_hmac", Form::Block(&hmac::AUTH_HMAC, hmac::auth_hmac))
        .doc("Adverts signed by a key. keepalived 2.4."),
];

/// `authentication { … }`
pub(crate) const AUTHENTICATION: &[Vrrp] = &[
    Vrrp::new("auth_type", Form::Words("PASS|AH", ONE, auth_type))
        .doc("PASS, a password in every advert; AH, an IP authentication header (RFC 2402)."),
    Vrrp::new("auth_pass", Form::Words("<password>", ONE, auth_pass))
        .doc("The password; eight characters are used. It is sent in clear text."),
];

/// Reads one block.
pub(crate) fn read(stmt: &Stmt, name: &Word, place: Place<'_>, b: &mut Binder) -> InstanceDraft {
    let mut draft = InstanceDraft {
        name: name.owned(),
        span: name.span,
        end: closing(stmt),
        ..InstanceDraft::default()
    };
    b.bind(VRRP_INSTANCE, place, stmt.body(), &mut draft);
    draft
}

fn state(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    let (name, word) = (&instance.name, &words[0]);
    let wanted = Initial::NAMES.iter().position(|n| *n == word.text).map(|i| Initial::ALL[i]);
    let Some(wanted) = wanted else {
        let said = format!("({name}) unknown state '{}', defaulting to BACKUP", word.text);
        complain(b, word.span, said);
        instance.initial = Some(Initial::Backup);
        return;
    };
    match instance.initial {
        Some(Initial::Master) if wanted == Initial::Backup => {
            let said = format!("({name}) state previously set as MASTER - ignoring BACKUP");
            complain(b, word.span, said);
        }
        _ => instance.initial = Some(wanted),
    }
}

fn interface(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    if words[0].text == "lo" {
        let said =
            format!("({}) cannot use a loopback interface (lo) for vrrp - ignoring", instance.name);
        complain(b, words[0].span, said);
        instance.interface = None;
        return;
    }
    instance.interface = words.first().cloned();
}

fn virtual_router_id(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    let word = &words[0];
    match unsigned(&word.text, 1..=255) {
        Ok(number) => instance.vrid = u8::try_from(number).ok(),
        Err(said) => {
            let (name, text) = (&instance.name, &word.text);
            let said =
                format!("{said}\n({name}): VRID '{text}' not valid - must be between 1 & 255");
            complain(b, word.span, said);
        }
    }
}

fn priority(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    let word = &words[0];
    let number = unsigned(&word.text, 1..=255).unwrap_or_else(|said| {
        let name = &instance.name;
        let said = format!(
            "{said}\n({name}) Priority not valid! must be between 1 & 255. Using default 100"
        );
        complain(b, word.span, said);
        100
    });
    instance.priority = u8::try_from(number).ok();
}

fn advert_int(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    let word = &words[0];
    match decimal(&word.text, 10_000..=255_000_000) {
        (Some(time), said) => {
            if let Some(said) = said {
                complain(b, word.span, said);
            }
            instance.advert_interval = Some(time);
        }
        (None, said) => {
            let (name, text) = (&instance.name, &word.text);
            let said = format!(
                "{}\n({name}) Advert interval ({text}) not valid! Must be > 0 - ignoring",
                said.unwrap_or_default()
            );
            complain(b, word.span, said);
        }
    }
}

fn authentication(instance: &mut InstanceDraft, stmt: &Stmt, b: &mut Binder) {
    let place = Place::new(conf::ANYWHERE, "authentication").context(crate::wording::CHILD);
    b.bind(AUTHENTICATION, place, stmt.body(), instance);
}

fn auth_type(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    let word = &words[0];
    instance.auth_span = word.span;
    match word.text.as_str() {
        "PASS" => instance.auth_type = AuthType::Pass,
        "AH" => instance.auth_type = AuthType::Ah,
        other => {
            let said = format!("({}) unknown authentication type '{other}'", instance.name);
            complain(b, word.span, said);
        }
    }
}

fn auth_pass(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    let word = &words[0];
    if word.text.len() > 8 {
        complain(b, word.span, "Truncating auth_pass to 8 characters");
    }
    instance.auth_pass = Some(word.owned());
}

fn virtual_ipaddress(instance: &mut InstanceDraft, stmt: &Stmt, b: &mut Binder) {
    for line in stmt.body() {
        let Some(address) = address::read(line, None, b) else { continue };
        if instance.ipv6().is_some_and(|ipv6| ipv6 != address.config.address.is_ipv6()) {
            let (name, shown) = (&instance.name, line.word(0));
            let said =
                format!("({name}): address family must match VRRP instance [{shown}] - ignoring");
            complain(b, line.at(), said);
            continue;
        }
        instance.addresses.push(address);
    }
}

fn excluded(instance: &mut InstanceDraft, stmt: &Stmt, b: &mut Binder) {
    instance.excluded.extend(stmt.body().iter().filter_map(|line| address::read(line, None, b)));
}

fn version(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    let (name, word) = (&instance.name, &words[0]);
    match unsigned(&word.text, 2..=3) {
        Ok(number) => {
            let wanted = if number == 2 { Version::V2 } else { Version::V3 };
            match instance.common.version {
                Some(set) if set != wanted => {
                    let said = format!(
                        "({name}) vrrp_version {number} conflicts with configured or deduced version {}; ignoring.",
                        set.number()
                    );
                    complain(b, word.span, said);
                }
                _ => instance.common.version = Some(wanted),
            }
        }
        Err(said) => {
            complain(b, word.span, format!("{said}\n({name}): Version must be either 2 or 3"));
        }
    }
}

fn preempt_delay(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    match decimal(&words[0].text, 0..=1_000_000_000) {
        (Some(time), _) => instance.preempt_delay = time,
        (None, said) => {
            let (name, said) = (&instance.name, said.unwrap_or_default());
            let said = format!("{said}\n({name}) Preempt_delay not valid! must be between 0-1000");
            complain(b, words[0].span, said);
            instance.preempt_delay = Duration::ZERO;
        }
    }
}

/// A number, or `(<instance>): <keyword> '<word>' invalid - ignoring`.
fn whole(instance: &str, keyword: &str, word: &Word, b: &mut Binder) -> Option<u32> {
    unsigned(&word.text, 0..=u32::MAX)
        .map_err(|said| {
            let text = &word.text;
            let said = format!("{said}\n({instance}): {keyword} '{text}' invalid - ignoring");
            complain(b, word.span, said);
        })
        .ok()
}

fn at_least_one(instance: &str, keyword: &str, word: &Word, b: &mut Binder) -> Option<u32> {
    let number = whole(instance, keyword, word, b)?;
    if number == 0 {
        let said = format!("({instance}): {keyword} must be greater than 0, setting to 1");
        complain(b, word.span, said);
    }
    Some(number.max(1))
}

fn garp_master_delay(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    if let Some(n) = whole(&instance.name, "garp_master_delay", &words[0], b) {
        instance.common.garp_master_delay = Some(Duration::from_secs(n.into()));
    }
}

fn garp_master_repeat(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    if let Some(n) = at_least_one(&instance.name, "garp_master_repeat", &words[0], b) {
        instance.common.garp_master_repeat = Some(n);
    }
}

fn garp_master_refresh(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    match unsigned(&words[0].text, 0..=u32::MAX) {
        Ok(n) => instance.common.garp_refresh = Some(Duration::from_secs(n.into())),
        Err(said) => {
            let (name, text) = (&instance.name, &words[0].text);
            let said = format!("{said}\n({name}): Invalid garp_master_refresh '{text}' - ignoring");
            complain(b, words[0].span, said);
        }
    }
}

fn garp_refresh_repeat(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    if let Some(n) = at_least_one(&instance.name, "garp_master_refresh_repeat", &words[0], b) {
        instance.common.garp_refresh_repeat = Some(n);
    }
}

fn lower_prio_delay(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    if let Some(n) = whole(&instance.name, "garp_lower_prio_delay", &words[0], b) {
        instance.common.garp_lower_prio_delay = Some(Duration::from_secs(n.into()));
    }
}

fn lower_prio_repeat(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    match unsigned(&words[0].text, 0..=u32::MAX) {
        Ok(n) => instance.common.garp_lower_prio_repeat = Some(n),
        Err(said) => {
            let (name, text) = (&instance.name, &words[0].text);
            complain(
                b,
                words[0].span,
                format!("{said}\n({name}): Invalid garp_lower_prio_repeat '{text}'"),
            );
        }
    }
}

fn down_timer_adverts(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    match unsigned(&words[0].text, 1..=100) {
        Ok(n) => instance.common.down_timer_adverts = u8::try_from(n).ok(),
        Err(said) => {
            let (name, text) = (&instance.name, &words[0].text);
            let said = format!("{said}\n({name}): Invalid down_timer_adverts [1:100] '{text}'");
            complain(b, words[0].span, said);
        }
    }
}

/// `[on|off]`, or `(<instance>) invalid <keyword> <word> specified`.
fn on_off(instance: &str, keyword: &str, words: &[Word], b: &mut Binder) -> Option<bool> {
    let on = switch(words);
    if let (None, Some(word)) = (on, words.first()) {
        complain(b, word.span, format!("({instance}) invalid {keyword} {} specified", word.text));
    }
    on
}

fn check_unicast_src(instance: &mut InstanceDraft, words: &[Word], _: &mut Binder) {
    instance.unicast = true;
    instance.common.check_unicast_source = Some(switch(words).unwrap_or(true));
}

fn lower_prio_no_advert(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    if let Some(on) = on_off(&instance.name, "lower_prio_no_advert", words, b) {
        instance.common.lower_prio_no_advert = Some(on);
    }
}

fn higher_prio_send_advert(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    if let Some(on) = on_off(&instance.name, "higher_prio_send_advert", words, b) {
        instance.common.higher_prio_send_advert = Some(on);
    }
}

/// keepalived 2.2.7 and 2.4.3 turn it on at `off` too; here `off` is off.
fn skip_check_adv_addr(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    if let Some(on) = on_off(&instance.name, "skip_check_adv_addr", words, b) {
        instance.common.skip_check_adv_addr = Some(on);
    }
}

fn strict_mode(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    if let Some(on) = on_off(&instance.name, "strict_mode", words, b) {
        instance.common.strict = Some(on);
    }
}

fn v3_checksum_as_v2(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    if let Some(on) = on_off(&instance.name, "v3_checksum_as_v2", words, b) {
        instance.common.v3_checksum_as_v2 = Some(on);
    }
}

fn address_lease(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    if let Some(on) = on_off(&instance.name, "address_lease", words, b) {
        instance.common.lease = Some(if on { LeasePolicy::Auto } else { LeasePolicy::Off });
    }
}

fn lvs_sync_daemon_interface(instance: &mut InstanceDraft, stmt: &Stmt, b: &mut Binder) {
    let said = format!(
        "({}) Specifying lvs_sync_daemon_interface against a vrrp is deprecated.\n       Please use global lvs_sync_daemon",
        instance.name
    );
    complain(b, stmt.at(), said);
    if stmt.words.len() < 2 {
        notify::missing(stmt, "<ifname>", b);
    }
}

fn owner_ignore_adverts(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    if let Some(on) = on_off(&instance.name, "owner_ignore_adverts", words, b) {
        instance.common.owner_ignore_adverts = Some(on);
    }
}

fn timer_expired_backup(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    let number = words.first().map_or(Ok(254), |word| unsigned(&word.text, 1..=254));
    match number {
        Ok(number) => instance.timer_expired_backup = u8::try_from(number).ok(),
        Err(said) => complain(b, words[0].span, said),
    }
}

fn linkbeat_use_polling(instance: &mut InstanceDraft, stmt: &Stmt, b: &mut Binder) {
    let said = format!(
        "({}) 'linkbeat_use_polling' in vrrp instance deprecated - use linkbeat_interfaces block",
        instance.name
    );
    complain(b, stmt.at(), said);
}

fn native_ipv6(instance: &mut InstanceDraft, stmt: &Stmt, b: &mut Binder) {
    if instance.family().is_some_and(|f| f.is_ipv4()) {
        let said = format!("({}) Cannot specify native_ipv6 with IPv4 addresses", instance.name);
        return complain(b, stmt.at(), said);
    }
    instance.native_ipv6 = true;
}

fn debug(instance: &mut InstanceDraft, words: &[Word], b: &mut Binder) {
    if let Err(said) = unsigned(&words[0].text, 0..=4) {
        let (name, text) = (&instance.name, &words[0].text);
        let said = format!("{said}\n({name}) Debug value '{text}' not valid; must be between 0-4");
        complain(b, words[0].span, said);
    }
}

fn kernel_rx_buf_size(instance: &mut InstanceDraft, stmt: &Stmt, b: &mut Binder) {
    let why = stmt.words.get(1).map(|word| unsigned(&word.text, 0..=u32::MAX));
    let why = match why {
        Some(Ok(_)) => return,
        Some(Err(why)) => why + "\n",
        None => String::new(),
    };
    let said = format!("{why}({}) invalid kernel_rx_buf_size specified", instance.name);
    complain(b, stmt.at(), said);
}

/// `[all] <seconds>`, under its old name too.
fn garp_extra_if(instance: &mut InstanceDraft, stmt: &Stmt, b: &mut Binder) {
    if stmt.word(0) == "vmac_garp_intvl" {
        complain(
            b,
            stmt.at(),
            "Keyword \"vmac_garp_intvl\" is deprecated - please use \"garp_extra_if\"",
        );
    }
    let at = if stmt.word(1) == "all" { 2 } else { 1 };
    let name = &instance.name;
    let Some(word) = stmt.words.get(at) else {
        let said = format!("({name}): {} specified without time - ignoring", stmt.word(0));
        return complain(b, stmt.at(), said);
    };
    match unsigned(&word.text, 0..=u32::MAX) {
        Ok(seconds) => {
            instance.common.garp_extra_if = Some(Duration::from_secs(seconds.into()));
        }
        Err(said) => {
            let said =
                format!("{said}\n({name}): garp_extra_if '{}' invalid - ignoring", word.text);
            complain(b, word.span, said);
        }
    }
}

//! `keepalived.json`, to the byte as keepalived writes it: on one line, with `/` escaped.

use std::fmt::Write as _;

use vrrp::config::{Auth, Command, ParamMatch, TrackProcessConfig};
use vrrp::{State, TrackerKind};

use super::route::{route, rule};
use super::stats::Stats;
use super::text::{general, words};
use super::topology::{own_interface, shown};
use crate::view::{Router, View};

/// An object being written.
struct Object<'a> {
    out: &'a mut String,
    first: bool,
}

impl Object<'_> {
    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.push(',');
        }
        string(self.out, key);
        self.out.push(':');
    }

    fn number(&mut self, key: &str, value: impl std::fmt::Display) {
        self.key(key);
        // Writing to a String cannot fail.
        let _ = write!(self.out, "{value}");
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        string(self.out, value);
    }

    /// As 0 or 1.
    fn flag(&mut self, key: &str, value: bool) {
        self.number(key, u8::from(value));
    }

    /// Left out if there are none.
    fn list(&mut self, key: &str, values: &[String]) {
        if values.is_empty() {
            return;
        }
        self.key(key);
        list(self.out, values, |out, value| string(out, value));
    }

    fn object(&mut self, key: &str, write: impl FnOnce(&mut Object<'_>)) {
        self.key(key);
        object(self.out, write);
    }
}

fn object(out: &mut String, write: impl FnOnce(&mut Object<'_>)) {
    out.push('{');
    write(&mut Object { out, first: true });
    out.push('}');
}

fn list<T>(out: &mut String, values: &[T], mut write: impl FnMut(&mut String, &T)) {
    out.push('[');
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(out, value);
    }
    out.push(']');
}

fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' | '/' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// The whole file, in version 1 or 2.
pub(super) fn write(view: &View) -> String {
    let mut out = String::new();
    if view.config.globals.json_version == Some(2) {
        object(&mut out, |all| {
            all.key("vrrp");
            list(all.out, &view.routers, |out, router| instance(out, router, view));
            all.key("track_process");
            let processes: Vec<_> = view.config.track_processes.iter().collect();
            list(all.out, &processes, |out, process| {
                object(out, |o| track_process(o, process, view));
            });
        });
    } else {
        list(&mut out, &view.routers, |out, router| instance(out, router, view));
    }
    out.push('\n');
    out
}

/// Of version 2, by the names keepalived 2.3 has for them; what is not known here is left out.
fn track_process(o: &mut Object<'_>, of: &TrackProcessConfig, view: &View) {
    o.text("name", &of.name);
    o.text("process", &of.process);
    if !of.arguments.is_empty() {
        o.text("parameters", &words(&of.arguments));
    }
    let matched = match of.param_match {
        ParamMatch::Exact => "exact",
        ParamMatch::Partial => "partial",
        ParamMatch::Initial => "initial",
    };
    o.text("param_match", matched);
    o.number("min_processes", of.quorum);
    if let Some(most) = of.quorum_max {
        o.number("max_processes", most);
    }
    let mut all = view.routers.iter().flat_map(|router| &router.trackers);
    let found = all.find(|t| t.kind == TrackerKind::Process && t.name == of.name);
    o.number("have_quorum", found.and_then(|tracker| tracker.good).unwrap_or(false));
    o.number("weight", of.weight);
    o.number("terminate_delay", general(of.terminate_delay.as_secs_f64()));
    o.number("fork_delay", general(of.fork_delay.as_secs_f64()));
    o.number("full_command", of.full_command);
}

fn instance(out: &mut String, router: &Router, view: &View) {
    object(out, |all| {
        all.object("data", |o| data(o, router, view));
        all.object("stats", |o| stats(o, &Stats::of(router)));
    });
}

/// keepalived's numbers of its states.
const fn number(state: State) -> u8 {
    match state {
        State::Init => 0,
        State::Backup => 1,
        State::Master => 2,
        State::Fault => 3,
    }
}

fn data(o: &mut Object<'_>, of: &Router, view: &View) {
    let config = &of.config;
    let own = config.vmac.as_ref().map(|vmac| own_interface(of, vmac, "vrrp"));
    o.text("iname", &config.name);
    o.flag("dont_track_primary", config.dont_track_primary);
    o.flag("skip_check_adv_addr", config.skip_check_adv_addr);
    o.flag("strict_mode", config.strict);
    o.text("vmac_ifname", own.as_deref().unwrap_or_default());
    o.text("ifp_ifname", own.as_deref().unwrap_or(&config.interface));
    let heard = of.watch.heard.filter(|_| of.state == State::Backup && of.master.is_some());
    o.number("master_priority", heard.map_or(0, |(_, priority)| priority));
    let at = of.watch.transition;
    o.number("last_transition", format_args!("{}.{:06}", at.as_secs(), at.subsec_micros()));
    let garp = &config.garp;
    o.number("garp_delay", garp.master_delay.as_secs());
    o.number("garp_refresh", garp.refresh.as_secs());
    o.number("garp_rep", garp.master_repeat);
    o.number("garp_refresh_rep", garp.refresh_repeat);
    o.number("garp_lower_prio_delay", garp.lower_prio_delay.as_secs());
    o.number("garp_lower_prio_rep", garp.lower_prio_repeat);
    o.flag("lower_prio_no_advert", config.lower_prio_no_advert);
    o.flag("higher_prio_send_advert", config.higher_prio_send_advert);
    o.number("vrid", config.vrid);
    o.number("base_priority", config.priority);
    o.number("effective_priority", of.priority);
    o.number("vipset", of.state == State::Master);
    o.number("promote_secondaries", config.promote_secondaries);
    o.number("adver_int", general(config.advert_interval.as_secs_f64()));
    o.number("master_adver_int", general(of.master_interval.as_secs_f64()));
    o.flag("accept", config.accept);
    o.number("nopreempt", !config.preempt);
    o.number("preempt_delay", general(config.preempt_delay.as_secs_f64()));
    o.number("state", number(of.state));
    o.number("wantstate", number(of.state));
    o.number("version", config.version.number());
    let notify = &config.notify;
    o.number("smtp_alert", notify.smtp_alert);
    o.number("notify_deleted", notify.deleted_is_told);
    let mut script = |key: &str, command: &Option<Command>| {
        if let Some(command) = command {
            o.text(key, &words(&command.words));
        }
    };
    script("script_backup", &notify.backup);
    script("script_master", &notify.master);
    script("script_fault", &notify.fault);
    script("script_stop", &notify.stop);
    script("script_deleted", &notify.deleted);
    script("script", &notify.any);
    script("script_master_rx_lower_pri", &notify.master_rx_lower_pri);
    o.list("vips", &shown(of, false));
    o.list("evips", &shown(of, true));
    o.list("vroutes", &config.routes.iter().map(route).collect::<Vec<_>>());
    o.list("vrules", &config.rules.iter().map(rule).collect::<Vec<_>>());
    let interfaces = config.track_interfaces.iter().map(|tracked| tracked.interface.clone());
    o.list("track_ifp", &interfaces.collect::<Vec<_>>());
    let scripts = config.track_scripts.iter();
    let declared = |name: &str| view.config.scripts.iter().find(|script| script.name == name);
    let commands = scripts.filter_map(|t| Some(words(&declared(&t.script)?.command)));
    o.list("track_script", &commands.collect::<Vec<_>>());
    match config.auth {
        None => o.number("auth_type", 0),
        Some(auth) => {
            o.number("auth_type", if matches!(auth, Auth::Pass(_)) { 1 } else { 2 });
            // As keepalived 2.4.
            o.text("auth_data", "********");
        }
    }
}

fn stats(o: &mut Object<'_>, stats: &Stats) {
    for (key, value) in [
        ("advert_rcvd", stats.received),
        ("advert_sent", stats.sent),
        ("become_master", stats.became_master),
        ("release_master", stats.released_master),
        ("packet_len_err", stats.length),
        ("advert_interval_err", stats.interval),
        ("ip_ttl_err", stats.ttl),
        ("invalid_type_rcvd", stats.kind),
        ("addr_list_err", stats.addresses),
        ("invalid_authtype", stats.auth_invalid),
        ("authtype_mismatch", stats.auth_mismatch),
        ("auth_failure", stats.auth_failure),
        ("pri_zero_rcvd", stats.zero_received),
        ("pri_zero_sent", stats.zero_sent),
    ] {
        o.number(key, value);
    }
}

//! The status in Prometheus' text format, version 0.0.4.

use std::fmt::{Display, Write as _};

use vrrp::{Reject, State};

use crate::role::watch::place;
use crate::view::{Router, View};

const STATES: [State; 4] = [State::Init, State::Backup, State::Master, State::Fault];

/// A text being written, family by family.
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        if !labels.is_empty() {
            self.0.push('{');
            for (at, (label, text)) in labels.iter().enumerate() {
                let comma = if at > 0 { "," } else { "" };
                let _ = write!(self.0, "{comma}{label}=\"{}\"", escaped(text));
            }
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    /// A family with one sample per instance.
    fn instances<V: Display>(
        &mut self,
        view: &View,
        (name, kind, help): (&str, &str, &str),
        value: impl Fn(&Router) -> Option<V>,
    ) {
        self.family(name, kind, help);
        for router in &view.routers {
            if let Some(value) = value(router) {
                self.sample(name, &labels(router), value);
            }
        }
    }
}

fn labels(router: &Router) -> [(&'static str, &str); 2] {
    [("instance_name", &router.config.name), ("interface", &router.config.interface)]
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// All of it.
pub(super) fn write(view: &View) -> String {
    let mut text = Text(String::new());
    instances(&mut text, view);
    adverts(&mut text, view);
    trackers(&mut text, view);
    scripts(&mut text, view);
    daemon(&mut text, view);
    text.0
}

fn instances(text: &mut Text, view: &View) {
    let name = "failoverd_instance_state";
    text.family(name, "gauge", "1 for the state the instance is in, 0 for the others.");
    for router in &view.routers {
        for state in STATES {
            let [a, b] = labels(router);
            let one = u8::from(router.state == state);
            text.sample(name, &[a, b, ("state", &state.name().to_lowercase())], one);
        }
    }
    let family = ("failoverd_instance_state_seconds", "gauge", "Time in the present state.");
    text.instances(view, family, |router| Some(router.for_how_long(view.boot).as_secs_f64()));
    let family = (
        "failoverd_instance_last_transition_timestamp_seconds",
        "gauge",
        "When the present state was entered, since 1970.",
    );
    text.instances(view, family, |router| Some(router.watch.transition.as_secs_f64()));
    let name = "failoverd_instance_transitions_total";
    text.family(name, "counter", "How often each state was entered since the role was started.");
    for router in &view.routers {
        for state in STATES {
            let [a, b] = labels(router);
            let count = router.watch.entered[place(state)];
            text.sample(name, &[a, b, ("state", &state.name().to_lowercase())], count);
        }
    }
    let family = ("failoverd_instance_priority", "gauge", "The priority after tracking.");
    text.instances(view, family, |router| Some(router.priority));
    let family = ("failoverd_instance_base_priority", "gauge", "The configured priority.");
    text.instances(view, family, |router| Some(router.config.priority));
    let family = (
        "failoverd_instance_lease_renewals_total",
        "counter",
        "How often the lifetime of the addresses was renewed between adverts and with them.",
    );
    text.instances(view, family, |router| router.lease.map(|_| router.watch.renewals));
    let family = (
        "failoverd_instance_resumed_total",
        "counter",
        "1 if the role was started in the place of one that died, and the instance stayed master.",
    );
    text.instances(view, family, |router| Some(router.watch.resumed));
    let name = "failoverd_group_state";
    text.family(name, "gauge", "1 for the state the sync group is in, 0 for the others.");
    for group in &view.groups {
        for state in STATES {
            let one = u8::from(group.state == state);
            let labels = [("group", group.name.as_str()), ("state", &state.name().to_lowercase())];
            text.sample(name, &labels, one);
        }
    }
}

fn adverts(text: &mut Text, view: &View) {
    let family = ("failoverd_adverts_sent_total", "counter", "Adverts sent.");
    text.instances(view, family, |router| Some(router.counters.adverts_sent));
    let family = ("failoverd_adverts_received_total", "counter", "Adverts accepted.");
    text.instances(view, family, |router| Some(router.counters.adverts_received));
    let family = ("failoverd_priority_zero_sent_total", "counter", "Resignations sent.");
    text.instances(view, family, |router| Some(router.counters.zero_sent));
    let family = ("failoverd_priority_zero_received_total", "counter", "Resignations received.");
    text.instances(view, family, |router| Some(router.counters.zero_received));
    let family = (
        "failoverd_splits_total",
        "counter",
        "A master out of reach was heard again: both may have held the addresses.",
    );
    text.instances(view, family, |router| Some(router.counters.splits));
    let family = (
        "failoverd_adverts_address_mismatch_total",
        "counter",
        "Adverts accepted that list other addresses than ours.",
    );
    text.instances(view, family, |router| Some(router.counters.address_mismatches));
    let name = "failoverd_adverts_dropped_total";
    text.family(name, "counter", "Packets of an instance that were dropped, by cause.");
    for router in &view.routers {
        for (cause, count) in Reject::NAMES.into_iter().zip(router.counters.rejected) {
            let [a, b] = labels(router);
            text.sample(name, &[a, b, ("cause", cause)], count);
        }
    }
    let name = "failoverd_packets_dropped_total";
    text.family(name, "counter", "Packets of no instance that were dropped, by cause.");
    text.sample(name, &[("cause", "malformed")], view.totals.malformed);
    text.sample(name, &[("cause", "unknown_vrid")], view.totals.unknown);
}

fn trackers(text: &mut Text, view: &View) {
    let families = [
        (
            "failoverd_tracker_good",
            "Whether what is tracked is good: 1, 0, or -1 if not known yet.",
        ),
        ("failoverd_tracker_contribution", "What it adds to the priority, or takes off."),
        ("failoverd_tracker_fault", "1 if it keeps the instance out of the race."),
    ];
    for (name, help) in families {
        text.family(name, "gauge", help);
        for router in &view.routers {
            for tracker in &router.trackers {
                let [a, b] = labels(router);
                let value = match name {
                    "failoverd_tracker_good" => tracker.good.map_or(-1, i32::from),
                    "failoverd_tracker_contribution" => tracker.contribution,
                    _ => i32::from(tracker.fault),
                };
                let all = [a, b, ("kind", tracker.kind.name()), ("tracker", &tracker.name)];
                text.sample(name, &all, value);
            }
        }
    }
}

fn scripts(text: &mut Text, view: &View) {
    let name = "failoverd_script_good";
    text.family(name, "gauge", "What the script counts as: 1, 0, or -1 before its first result.");
    for script in &view.scripts {
        text.sample(name, &[("script", &script.name)], script.good.map_or(-1, i32::from));
    }
    let name = "failoverd_script_runs_total";
    text.family(name, "counter", "Runs that ended, by result.");
    for script in &view.scripts {
        let counts = [("success", script.counts.succeeded), ("failure", script.counts.failed)];
        for (result, count) in counts {
            text.sample(name, &[("script", &script.name), ("result", result)], count);
        }
    }
    let name = "failoverd_script_last_duration_seconds";
    text.family(name, "gauge", "How long the last run took.");
    for script in &view.scripts {
        text.sample(name, &[("script", &script.name)], script.counts.last.as_secs_f64());
    }
    let name = "failoverd_script_duration_seconds_total";
    text.family(name, "counter", "How long all runs took together.");
    for script in &view.scripts {
        text.sample(name, &[("script", &script.name)], script.counts.total.as_secs_f64());
    }
}

fn daemon(text: &mut Text, view: &View) {
    let name = "failoverd_build_info";
    text.family(name, "gauge", "Always 1.");
    text.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
    let name = "failoverd_netlink_resyncs_total";
    text.family(
        name,
        "counter",
        "How often notices of the kernel were lost and all was read again.",
    );
    text.sample(name, &[], view.totals.resyncs);
    let name = "failoverd_reloads_total";
    text.family(name, "counter", "Reloads since the role was started, by result.");
    let [taken, refused] = view.totals.reloads;
    text.sample(name, &[("result", "taken")], taken);
    text.sample(name, &[("result", "refused")], refused);
    let name = "failoverd_last_reload_successful";
    text.family(name, "gauge", "Whether the last reload was taken over; 1 before the first.");
    text.sample(name, &[], u8::from(view.totals.last_reload.is_none_or(|(_, taken)| taken)));
    let name = "failoverd_last_reload_timestamp_seconds";
    text.family(name, "gauge", "When that was, since 1970; 0 before the first.");
    text.sample(name, &[], view.totals.last_reload.map_or(0.0, |(at, _)| at.as_secs_f64()));
}

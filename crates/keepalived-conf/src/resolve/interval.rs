//! Times that depend on each other.

use std::time::Duration;

use vrrp::config::{GarpConfig, InstanceConfig, Version};

use super::Resolver;
use crate::draft::InstanceDraft;

impl Resolver<'_> {
    pub(super) fn interval(&mut self, draft: &InstanceDraft, config: &mut InstanceConfig) {
        let time = config.advert_interval;
        let micros = time.as_micros() as u64;
        let shown = format!("{}.{:06}s", micros / 1_000_000, micros % 1_000_000);
        match config.version {
            Version::V2 if !micros.is_multiple_of(1_000_000) => {
                let said =
                    format!("VRRPv2 advertisement interval {shown} must be an integer. rounding");
                self.about(draft, said);
                let seconds = ((micros + 500_000) / 1_000_000).max(1);
                config.advert_interval = Duration::from_secs(seconds);
            }
            Version::V3 if micros > 40_950_000 => {
                let said = format!(
                    "VRRPv3 advertisement interval {:.2}s is out of range. Must be less than 40.96s. Setting to 40.95s",
                    time.as_secs_f64()
                );
                self.about(draft, said);
                config.advert_interval = Duration::from_millis(40_950);
            }
            Version::V3 if !micros.is_multiple_of(10_000) => {
                let said = format!(
                    "VRRPv3 advertisement interval {shown} must be in units of 10ms - rounding"
                );
                self.about(draft, said);
                let centis = ((micros + 5_000) / 10_000).max(1);
                config.advert_interval = Duration::from_millis(centis * 10);
            }
            Version::V2 | Version::V3 => {}
        }
    }

    pub(super) fn garp(&mut self, draft: &InstanceDraft, strict: bool) -> GarpConfig {
        let (own, globals) = (&draft.common, &self.draft.globals);
        let global = &globals.common;
        let default = GarpConfig::default();
        let few = globals.min_garp;
        let delay = if few { Duration::ZERO } else { default.master_delay };
        let repeat = if few { 1 } else { default.master_repeat };
        let master_delay = own.garp_master_delay.or(global.garp_master_delay).unwrap_or(delay);
        let master_repeat = own.garp_master_repeat.or(global.garp_master_repeat).unwrap_or(repeat);
        let lower_delay = own.garp_lower_prio_delay.or(global.garp_lower_prio_delay);
        let lower_repeat = own.garp_lower_prio_repeat.or(global.garp_lower_prio_repeat);
        let (mut lower_delay, mut lower_repeat) = (lower_delay, lower_repeat);
        if strict {
            if lower_repeat.take().is_some_and(|repeat| repeat > 0) {
                self.about(draft, "Strict mode requires no repeat garps. resetting");
            }
            if lower_delay.take().is_some_and(|delay| !delay.is_zero()) {
                self.about(draft, "Strict mode requires no repeat garp delay. resetting");
            }
        }
        // As keepalived: what holds for all, not what the instance says of its own.
        let common_delay = global.garp_master_delay.unwrap_or(delay);
        let common_repeat = global.garp_master_repeat.unwrap_or(repeat);
        GarpConfig {
            master_delay,
            master_repeat,
            refresh: own.garp_refresh.or(global.garp_refresh).unwrap_or(default.refresh),
            refresh_repeat: own
                .garp_refresh_repeat
                .or(global.garp_refresh_repeat)
                .unwrap_or(default.refresh_repeat),
            lower_prio_delay: lower_delay.unwrap_or(if strict {
                Duration::ZERO
            } else {
                common_delay
            }),
            lower_prio_repeat: lower_repeat.unwrap_or(if strict { 0 } else { common_repeat }),
            interval: globals.garp_interval.unwrap_or_default(),
            gna_interval: globals.gna_interval.unwrap_or_default(),
            extra_interfaces: own.garp_extra_if.or(global.garp_extra_if).unwrap_or_default(),
        }
    }
}

//! How long a failure goes unnoticed at worst, as arithmetic to follow.

use std::time::Duration;

use vrrp::config::{InstanceConfig, ScriptConfig, TrackedScript};

use crate::node::{Node, Proxy};

/// RFC 9568 §6.1: how long a backup of `priority` waits in silence before it takes over.
fn silence(instance: &InstanceConfig, priority: u8) -> Duration {
    let interval = instance.advert_interval;
    interval * u32::from(instance.down_timer_adverts) + skew(interval, priority)
}

fn skew(interval: Duration, priority: u8) -> Duration {
    interval * (256 - u32::from(priority)) / 256
}

/// The longest a check may fail before it counts: it began to fail just after a run.
pub(crate) fn failing(script: &ScriptConfig) -> Duration {
    let timeout = if script.timeout.is_zero() { script.interval } else { script.timeout };
    script.interval * script.fall + timeout
}

fn seconds(time: Duration) -> String {
    let text = format!("{:.3}", time.as_secs_f64());
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A line for each way in which a failure is noticed.
pub(crate) fn reckon(nodes: &[Node]) -> Vec<String> {
    let mut lines = Vec::new();
    for node in nodes {
        if let Some(keepalived) = &node.keepalived {
            let scripts = keepalived.config().map_or(&[][..], |config| &config.scripts);
            for instance in keepalived.instances() {
                router(&node.name, instance, scripts, &mut lines);
            }
        }
        for proxy in &node.proxies {
            servers(&node.name, proxy, &mut lines);
        }
    }
    lines
}

fn router(
    node: &str,
    instance: &InstanceConfig,
    scripts: &[ScriptConfig],
    lines: &mut Vec<String>,
) {
    let (name, priority) = (&instance.name, instance.priority);
    let (interval, adverts) = (instance.advert_interval, instance.down_timer_adverts);
    lines.push(format!(
        "{node}: ({name}) takes over from a master that dies silently after at most {adverts} × {} + (256 − {priority})/256 × {} = {}",
        seconds(interval),
        seconds(interval),
        seconds(silence(instance, priority)),
    ));
    for TrackedScript { script, .. } in &instance.track_scripts {
        let Some(script) = scripts.iter().find(|one| one.name == *script) else { continue };
        let timeout = if script.timeout.is_zero() { script.interval } else { script.timeout };
        lines.push(format!(
            "{node}: ({name}) reacts to check {} after at most {} × {} + {} = {}, and the others to that within {} more",
            script.name,
            script.fall,
            seconds(script.interval),
            seconds(timeout),
            seconds(failing(script)),
            seconds(interval + skew(interval, priority)),
        ));
    }
}

/// One line for all servers of a backend that are checked alike.
fn servers(node: &str, proxy: &Proxy, lines: &mut Vec<String>) {
    for backend in proxy.config.iter().flat_map(|config| &config.backends) {
        let name = &backend.name;
        if let Some(check) = backend.servers.iter().find_map(|server| server.check.as_ref()) {
            let pause = check.fastinter.unwrap_or(check.inter);
            let limit = check
                .timeout_check
                .or(check.timeout_connect)
                .unwrap_or(check.inter)
                .min(check.inter);
            let worst = check.inter + pause * (check.fall - 1) + limit * check.fall;
            lines.push(format!(
                "{node}: servers of {name} are down after at most {} + {} × {} + {} × {} = {} without an answer",
                seconds(check.inter),
                check.fall - 1,
                seconds(pause),
                check.fall,
                seconds(limit),
                seconds(worst),
            ));
        } else if let Some(passive) = backend.servers.iter().find_map(|server| server.passive) {
            let wait = backend.connect_timeout.unwrap_or(Duration::from_secs(60));
            lines.push(format!(
                "{node}: a dead server of {name} costs {} connection(s) up to {} each every {}",
                passive.max_fails,
                seconds(wait),
                seconds(passive.fail_timeout),
            ));
        }
    }
}

//! `cargo xtask bench scripts`: what check scripts cost the daemon that runs them.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use lab::{Lab, NodeFile, NodePlan, Subject, Subnet};

use super::vrrp::{DAEMON, FILE, NAME, pass, per_minute, subjects, title};

/// What scripts cost in CPU seconds per minute.
struct Cost {
    /// In the daemon's own processes.
    daemon: f64,
    /// In the scripts, from their fork on.
    scripts: f64,
    /// PSS in kB.
    memory: u64,
}

/// Runs the benchmark; fails when ours need more than the original.
pub(super) fn run(quick: bool, write: bool) -> Result<ExitCode> {
    let window = Duration::from_secs(if quick { 10 } else { 30 });
    let counts: &[usize] = if quick { &[50] } else { &[0, 1, 10, 50] };
    let subjects = subjects()?;
    let mut text = format!(
        "# What check scripts cost\n\nOne virtual router, master, that tracks `/usr/bin/true` so many \
         times, each at `interval 1`; CPU seconds per minute over {} s.\n\n\
         | scripts | | in the daemon | in the scripts | memory (PSS) |\n|---:|---|---:|---:|---:|\n",
        window.as_secs()
    );
    let mut met = true;
    for &count in counts {
        let mut costs = Vec::new();
        for subject in &subjects {
            let cost = measure(subject, count, window)
                .with_context(|| format!("{count} scripts of {}", subject.name()))?;
            let row = format!(
                "| {count} | {} | {:.3} s | {:.2} s | {} kB |",
                title(subject),
                cost.daemon,
                cost.scripts,
                cost.memory
            );
            eprintln!("{row}");
            let _ = writeln!(text, "{row}");
            costs.push(cost);
        }
        if let [ours, theirs] = costs.as_slice()
            && ours.daemon > theirs.daemon.max(0.01)
        {
            eprintln!("  MISSED: {:.3} s in the daemon", ours.daemon);
            met = false;
        }
    }
    let _ = write!(text, "\n{}\n", super::page::machine());
    println!("{text}");
    if write {
        super::section::write("docs/BENCHMARKS.md", "scripts", &text)?;
    }
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(subject: &Subject, count: usize, window: Duration) -> Result<Cost> {
    let lab = Lab::new("scripts")?;
    let number = lab.number() as u8;
    let mut text =
        String::from("global_defs {\n    script_user root\n    enable_script_security\n}\n");
    let mut tracked = String::new();
    for script in 0..count {
        let _ = write!(
            text,
            "vrrp_script s{script} {{\n    script /usr/bin/true\n    interval 1\n    weight 0\n}}\n"
        );
        let _ = writeln!(tracked, "        s{script}");
    }
    if count > 0 {
        tracked = format!("    track_script {{\n{tracked}    }}\n");
    }
    let _ = write!(
        text,
        "vrrp_instance V {{\n    interface eth0\n    virtual_router_id 51\n    priority 100\n{tracked}    \
         virtual_ipaddress {{\n        10.{number}.0.100/24\n    }}\n}}\n"
    );
    let own = Subnet::new([10, number, 0, 1].into(), 24);
    let plan = NodePlan::new("node").link("eth0", own).file(NodeFile::new(FILE, text));
    let node = lab.node(subject.install(plan))?;
    let daemon = node.start(DAEMON)?;
    daemon.wait_line("Entering MASTER STATE", Duration::from_secs(20))?;
    pass(&daemon, Duration::from_secs(7))?;
    let before = node.usage(NAME)?;
    pass(&daemon, window)?;
    let after = node.usage(NAME)?;
    let scripts = after.children.saturating_sub(before.children) as f64 / 1e9;
    Ok(Cost {
        daemon: per_minute(before, after, window),
        scripts: scripts * 60.0 / window.as_secs_f64(),
        memory: after.pss,
    })
}

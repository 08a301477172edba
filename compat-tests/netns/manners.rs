//! What scripts and operators find: processes by their names, the stats socket.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lab::{NodeFile, Subject};
use nix::sys::signal::Signal;

use crate::Tests;
use crate::pair::Pair;
use crate::proxy::{Bench, Program, SOON, Server, haproxy_cfg, nginx_conf, say_mark};

pub(crate) fn register(tests: &mut Tests<'_>) {
    tests.each("haproxy_is_found_by_its_name_until_it_ends", |s| found(s, Program::Haproxy));
    tests.each("nginx_is_found_by_its_name_until_it_ends", |s| found(s, Program::Nginx));
    tests.each("keepalived_is_found_by_its_name_until_it_ends", keepalived_found);
    tests.each("haproxy_as_daemon_leaves_a_pid_file_and_ends_by_it", |s| {
        daemon(s, Program::Haproxy)
    });
    tests.each("nginx_as_daemon_leaves_a_pid_file_and_ends_by_it", |s| daemon(s, Program::Nginx));
    tests.each("show_info_show_stat_and_show_servers_state_answer_in_haproxys_format", stats);
}

/// What the guides' check scripts run; all must agree.
fn visible(node: &lab::Node, name: &str) -> Result<[i32; 3]> {
    Ok([
        node.run(&["pgrep", name], SOON)?.code,
        node.run(&["pidof", name], SOON)?.code,
        node.run(&["killall", "-0", name], SOON)?.code,
    ])
}

/// Waits until nothing of that name is found, for as long as a test waits for anything: a worker may
/// end a moment after its master.
fn vanishes(node: &lab::Node, name: &str) -> Result<()> {
    let deadline = Instant::now() + SOON;
    while visible(node, name)? != [1; 3] {
        ensure!(Instant::now() < deadline, "{name} is found {SOON:?} after it ended");
    }
    Ok(())
}

fn configured(bench: &Bench, program: Program) -> Result<(String, Server)> {
    let server = Server::start(bench.ours, say_mark, 1)?;
    let address = server.address;
    let text = match program {
        Program::Haproxy => haproxy_cfg("", &format!("    server s1 {address}")),
        Program::Nginx => nginx_conf(&format!("        server {address};"), ""),
    };
    Ok((text, server))
}

fn found(subject: &Subject, program: Program) -> Result<()> {
    let bench = Bench::new(subject)?;
    let name = if program == Program::Haproxy { "haproxy" } else { "nginx" };
    ensure!(visible(&bench.node, name)? == [1; 3], "{name} is found before it runs");
    let (text, _server) = configured(&bench, program)?;
    let daemon = bench.start(program, &text)?;
    ensure!(
        visible(&bench.node, name)? == [0; 3],
        "{name} is not found: {:?}",
        visible(&bench.node, name)?
    );
    daemon.signal(Signal::SIGTERM)?;
    ensure!(daemon.wait(SOON).is_some(), "SIGTERM does not end it");
    vanishes(&bench.node, name)
}

fn keepalived_found(subject: &Subject) -> Result<()> {
    let pair = Pair::start(subject, subject)?;
    ensure!(visible(&pair.nodes[0], "keepalived")? == [0; 3], "keepalived is not found");
    pair.daemons[0].signal(Signal::SIGTERM)?;
    ensure!(pair.daemons[0].wait(SOON) == Some(0), "SIGTERM does not end it with code 0");
    vanishes(&pair.nodes[0], "keepalived")?;
    // As a daemon: the command returns, and the pid file names the one that goes on.
    let started = pair.nodes[0].run(&["keepalived", "-p", "/run/keepalived.pid"], SOON)?;
    ensure!(started.code == 0, "as a daemon: {started:?}");
    pair.until_held_by("first", Duration::from_secs(8))?;
    let ended = pair.nodes[0].run(&["sh", "-c", "kill $(cat /run/keepalived.pid)"], SOON)?;
    ensure!(ended.code == 0, "its pid file: {ended:?}");
    pair.until_held_by("second", Duration::from_secs(4))?;
    Ok(())
}

fn daemon(subject: &Subject, program: Program) -> Result<()> {
    let bench = Bench::new(subject)?;
    let (text, _server) = configured(&bench, program)?;
    let (name, path, pid_file, argv): (_, _, _, &[&str]) = match program {
        Program::Haproxy => (
            "haproxy",
            "/etc/haproxy/haproxy.cfg",
            "/run/haproxy.pid",
            &["haproxy", "-D", "-p", "/run/haproxy.pid", "-f", "/etc/haproxy/haproxy.cfg"],
        ),
        Program::Nginx => ("nginx", "/etc/nginx/nginx.conf", "/run/nginx.pid", &["nginx"]),
    };
    bench.node.write(NodeFile::new(path, text))?;
    let started = bench.node.run(argv, SOON)?;
    ensure!(started.code == 0, "as a daemon: {started:?}");
    crate::proxy::mark_of(&mut bench.connect()?)?;
    let script = format!("kill -TERM $(cat {pid_file})");
    let ended = bench.node.run(&["sh", "-c", &script], SOON)?;
    ensure!(ended.code == 0, "its pid file: {ended:?}");
    vanishes(&bench.node, name)
}

fn stats(subject: &Subject) -> Result<()> {
    let bench = Bench::new(subject)?;
    let (text, _server) = configured(&bench, Program::Haproxy)?;
    let _daemon = bench.start(Program::Haproxy, &text)?;
    crate::proxy::mark_of(&mut bench.connect()?)?;

    let info = bench.ask("show info")?;
    for line in ["Name: HAProxy", "Maxconn: 1000", "Process_num: 1"] {
        ensure!(info.lines().any(|one| one == line), "show info has no {line:?}:\n{info}");
    }
    let table = bench.ask("show stat")?;
    ensure!(
        table.starts_with("# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,"),
        "{table}"
    );
    for (proxy, name) in [("fe", "FRONTEND"), ("be", "s1"), ("be", "BACKEND")] {
        let total = bench.until_stat(proxy, name, "stot", |total| total == "1")?;
        ensure!(total == "1", "one connection was made: {total}");
    }
    ensure!(bench.stat("fe", "FRONTEND", "status")? == "OPEN", "fe is open");
    ensure!(bench.stat("be", "s1", "status")? == "no check", "s1 has no check");

    let state = bench.ask("show servers state")?;
    let mut lines = state.lines();
    ensure!(lines.next() == Some("1"), "the format's version: {state}");
    ensure!(
        lines.next().is_some_and(
            |head| head.starts_with("# be_id be_name srv_id srv_name srv_addr srv_op_state")
        ),
        "{state}"
    );
    ensure!(
        lines.next().is_some_and(|row| row.contains(" be ") && row.contains(" s1 ")),
        "{state}"
    );
    ensure!(bench.ask("show nonsense")?.starts_with("Unknown command"), "an unknown command");
    Ok(())
}

//! Which server a connection goes to, and what a health check may touch.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::Subject;

use crate::Tests;
use crate::proxy::{Bench, Program, Server, haproxy_cfg, mark_of, nginx_conf, say_mark};

pub(crate) fn register(tests: &mut Tests<'_>) {
    tests.each("haproxy_roundrobin_goes_round", |s| goes_round(s, Program::Haproxy));
    tests.each("nginx_goes_round_by_default", |s| goes_round(s, Program::Nginx));
    tests.each("haproxy_roundrobin_follows_weights", |s| follows_weights(s, Program::Haproxy));
    tests.each("nginx_follows_weights", |s| follows_weights(s, Program::Nginx));
    tests.each("haproxy_leastconn_fills_the_emptiest", |s| fills_emptiest(s, Program::Haproxy));
    tests.each("nginx_least_conn_fills_the_emptiest", |s| fills_emptiest(s, Program::Nginx));
    tests.each("a_backup_server_serves_only_when_the_others_are_down", backup);
    tests.each("nginx_asks_the_next_server_when_one_refuses", next_upstream);
    tests.each("a_plain_tcp_check_never_reaches_accept", unseen_check);
    tests.each("a_dead_server_is_taken_out_and_back_in", out_and_in);
}

/// A bench with servers that say their number, and the daemon in front of them.
fn three(
    subject: &Subject,
    program: Program,
    algorithm: &str,
    params: [&str; 3],
) -> Result<(Bench, Vec<Server>)> {
    let bench = Bench::new(subject)?;
    let servers: Vec<Server> =
        (1..=3).map(|mark| Server::start(bench.ours, say_mark, mark)).collect::<Result<_>>()?;
    let mut lines = String::from(algorithm);
    for (place, server) in servers.iter().enumerate() {
        let (address, params) = (server.address, params[place]);
        lines += &match program {
            Program::Haproxy => format!("\n    server s{} {address} {params}", place + 1),
            Program::Nginx => format!("\n        server {address} {params};"),
        };
    }
    let text = match program {
        Program::Haproxy => haproxy_cfg("", &lines),
        Program::Nginx => nginx_conf(&lines, ""),
    };
    bench.start(program, &text)?;
    Ok((bench, servers))
}

fn goes_round(subject: &Subject, program: Program) -> Result<()> {
    let algorithm = if program == Program::Haproxy { "    balance roundrobin" } else { "" };
    let (bench, _servers) = three(subject, program, algorithm, [""; 3])?;
    let mut order = Vec::new();
    for _ in 0..9 {
        order.push(mark_of(&mut bench.connect()?)?);
    }
    let first = &order[..3];
    let mut sorted = first.to_vec();
    sorted.sort_unstable();
    ensure!(sorted == [1, 2, 3], "not every server in the first round: {order:?}");
    ensure!(order.chunks(3).all(|round| round == first), "the rounds differ: {order:?}");
    Ok(())
}

fn follows_weights(subject: &Subject, program: Program) -> Result<()> {
    let algorithm = if program == Program::Haproxy { "    balance roundrobin" } else { "" };
    let params = match program {
        Program::Haproxy => ["weight 3", "weight 2", "weight 1"],
        Program::Nginx => ["weight=3", "weight=2", "weight=1"],
    };
    let (bench, _servers) = three(subject, program, algorithm, params)?;
    let mut counts = [0; 3];
    for _ in 0..12 {
        counts[mark_of(&mut bench.connect()?)? - 1] += 1;
    }
    ensure!(counts == [6, 4, 2], "12 connections went {counts:?}");
    Ok(())
}

fn fills_emptiest(subject: &Subject, program: Program) -> Result<()> {
    let algorithm =
        if program == Program::Haproxy { "    balance leastconn" } else { "        least_conn;" };
    let (bench, _servers) = three(subject, program, algorithm, [""; 3])?;
    let mut open = Vec::new();
    for _ in 0..6 {
        let mut stream = bench.connect()?;
        open.push((mark_of(&mut stream)?, stream));
    }
    let count = |mark: usize| open.iter().filter(|(one, _)| *one == mark).count();
    ensure!(
        (1..=3).all(|mark| count(mark) == 2),
        "6 connections went {:?}",
        (1..=3).map(count).collect::<Vec<_>>()
    );
    // Server 2 loses both of its connections. The balancer hears of that on its own time: a connection
    // or two may come too early and go to the others, but then those are full.
    open.retain(|(mark, _)| *mark != 2);
    let mut marks = Vec::new();
    for _ in 0..5 {
        let mut stream = bench.connect()?;
        let mark = mark_of(&mut stream)?;
        marks.push(mark);
        open.push((mark, stream));
    }
    let even = (1..=3).all(|mark| open.iter().filter(|(one, _)| *one == mark).count() == 3);
    ensure!(even, "after server 2 was left alone, connections went to {marks:?}");
    Ok(())
}

fn backup(subject: &Subject) -> Result<()> {
    let params = ["check inter 200ms fall 2 rise 1", "check inter 200ms fall 2 rise 1", "backup"];
    let (bench, mut servers) = three(subject, Program::Haproxy, "    balance roundrobin", params)?;
    for _ in 0..6 {
        let mark = mark_of(&mut bench.connect()?)?;
        ensure!(mark != 3, "the backup server was asked while the others are up");
    }
    servers.truncate(0);
    // Both are noticed by their checks; the third listener is gone, too, so its name is what counts.
    for name in ["s1", "s2"] {
        bench.until_stat("be", name, "status", |status| status == "DOWN")?;
    }
    let active = bench.stat("be", "BACKEND", "bck")?;
    ensure!(active == "1", "one backup server should be in use, not {active}");
    Ok(())
}

fn next_upstream(subject: &Subject) -> Result<()> {
    let (bench, mut servers) =
        three(subject, Program::Nginx, "", ["max_fails=3 fail_timeout=5"; 3])?;
    drop(servers.remove(0));
    for _ in 0..6 {
        let mark = mark_of(&mut bench.connect()?)?;
        ensure!(mark != 1, "server 1 does not listen");
    }
    Ok(())
}

fn unseen_check(subject: &Subject) -> Result<()> {
    let bench = Bench::new(subject)?;
    let server = Server::start(bench.ours, say_mark, 1)?;
    let address = server.address;
    let line = format!("    server s1 {address} check inter 100ms fall 2 rise 1");
    let _daemon = bench.start(Program::Haproxy, &haproxy_cfg("", &line))?;
    bench.until_stat("be", "s1", "check_status", |status| status == "L4OK")?;
    // Some checks more, by the clock of their interval.
    bench.lab.journal().wait(usize::MAX, Duration::from_secs(1), |_| None::<()>);
    ensure!(server.accepted() == 0, "checks reached accept() {} times", server.accepted());
    // They were really made: without a listener they fail.
    drop(server);
    bench.until_stat("be", "s1", "status", |status| status == "DOWN")?;
    Ok(())
}

fn out_and_in(subject: &Subject) -> Result<()> {
    let params = ["check inter 200ms fall 2 rise 2"; 3];
    let (bench, mut servers) = three(subject, Program::Haproxy, "    balance roundrobin", params)?;
    let address = servers[1].address;
    drop(servers.remove(1));
    bench.until_stat("be", "s2", "status", |status| status == "DOWN")?;
    for _ in 0..4 {
        ensure!(mark_of(&mut bench.connect()?)? != 2, "server 2 is down");
    }
    let _back = std::net::TcpListener::bind(address)?;
    bench.until_stat("be", "s2", "status", |status| status.starts_with("UP"))?;
    bench.logged(&["be/s2", "is DOWN"])?;
    bench.logged(&["be/s2", "is UP"])?;
    Ok(())
}

//! How a connection lives and ends: half-close, time-outs, and the letters in the log.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::Subject;
use nix::sys::socket::{setsockopt, sockopt};

use crate::Tests;
use crate::pair::between;
use crate::proxy::{
    Bench, Program, SOON, Server, answer_at_end, haproxy_cfg, mark_of, nginx_conf, say_mark,
    stay_silent, until_closed,
};

pub(crate) fn register(tests: &mut Tests<'_>) {
    tests.each("haproxy_passes_a_half_close_on", half_close);
    tests.each("nginx_ends_both_sides_when_the_client_ends_its_own", first_end);
    tests.each("haproxy_carries_a_megabyte_each_way_unchanged", |s| bulk(s, Program::Haproxy));
    tests.each("nginx_carries_a_megabyte_each_way_unchanged", |s| bulk(s, Program::Nginx));
    tests.each("an_idle_client_is_closed_after_timeout_client_and_logged_cD", client_timeout);
    tests.each("a_silent_server_is_closed_after_timeout_server_and_logged_sD", server_timeout);
    tests.each("a_server_that_does_not_answer_is_given_up_and_logged_sC", connect_timeout);
    tests.each("a_server_that_refuses_is_logged_SC", refused);
    tests.each("a_finished_connection_is_logged_with_two_dashes", finished);
    tests.each("a_client_that_resets_is_logged_CD", client_reset);
    tests.each("nginx_closes_after_proxy_timeout", proxy_timeout);
}

fn one_server(
    subject: &Subject,
    program: Program,
    serve: fn(std::net::TcpStream, usize),
    added: &str,
) -> Result<(Bench, Server)> {
    let bench = Bench::new(subject)?;
    let server = Server::start(bench.ours, serve, 1)?;
    let address = server.address;
    let text = match program {
        Program::Haproxy => haproxy_cfg(added, &format!("    server s1 {address}")),
        Program::Nginx => nginx_conf(&format!("        server {address};"), added),
    };
    bench.start(program, &text)?;
    Ok((bench, server))
}

fn half_close(subject: &Subject) -> Result<()> {
    let (bench, _server) = one_server(subject, Program::Haproxy, answer_at_end, "")?;
    let mut client = bench.connect()?;
    client.write_all(b"hello")?;
    client.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    ensure!(answer == "got hello", "the answer was {answer:?}");
    Ok(())
}

/// nginx's `proxy_half_close` is off unless a file says otherwise.
fn first_end(subject: &Subject) -> Result<()> {
    let (bench, _server) = one_server(subject, Program::Nginx, answer_at_end, "")?;
    let mut client = bench.connect()?;
    client.write_all(b"hello")?;
    client.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    ensure!(answer.is_empty(), "the answer was {answer:?}");
    Ok(())
}

fn bulk(subject: &Subject, program: Program) -> Result<()> {
    let (bench, _server) = one_server(subject, program, return_megabyte, "")?;
    let sent: Vec<u8> =
        (0..MEGABYTE as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut client = bench.connect()?;
    client.write_all(&sent)?;
    let mut answer = Vec::new();
    client.read_to_end(&mut answer)?;
    ensure!(answer == sent, "{} bytes came back, or others", answer.len());
    Ok(())
}

const MEGABYTE: usize = 1 << 20;

/// Reads a megabyte, then sends it back and closes.
fn return_megabyte(mut stream: std::net::TcpStream, _: usize) {
    let mut bytes = vec![0; MEGABYTE];
    if stream.read_exact(&mut bytes).is_ok() {
        stream.write_all(&bytes).ok();
    }
}

/// Time-outs here are 600 ms; each may be half a second late on a busy machine.
const TIMEOUT: Duration = Duration::from_millis(600);
const LATE: Duration = Duration::from_millis(500);
/// HAProxy's clock has millisecond ticks, and waits in whole ones.
const EARLY: Duration = Duration::from_millis(20);

fn client_timeout(subject: &Subject) -> Result<()> {
    let added = "    timeout client 600ms";
    let (bench, _server) = one_server(subject, Program::Haproxy, stay_silent, added)?;
    let took = until_closed(&mut bench.connect()?)?;
    between(took, TIMEOUT - EARLY, TIMEOUT + LATE)?;
    bench.logged(&["fe be/s1", " cD "]).map(drop)
}

fn server_timeout(subject: &Subject) -> Result<()> {
    let added = "    timeout server 600ms";
    let (bench, _server) = one_server(subject, Program::Haproxy, stay_silent, added)?;
    let mut client = bench.connect()?;
    client.write_all(b"anyone?")?;
    between(until_closed(&mut client)?, TIMEOUT - EARLY, TIMEOUT + LATE)?;
    // HAProxy logs when both sides are closed.
    drop(client);
    bench.logged(&["fe be/s1", " sD "]).map(drop)
}

fn connect_timeout(subject: &Subject) -> Result<()> {
    let bench = Bench::new(subject)?;
    // An address of the network that no host has.
    let nobody = bench.ours.to_string().replace(".200", ".199");
    let added = "    timeout connect 600ms\n    retries 0";
    let text = haproxy_cfg(added, &format!("    server s1 {nobody}:9"));
    bench.start(Program::Haproxy, &text)?;
    between(until_closed(&mut bench.connect()?)?, TIMEOUT - EARLY, TIMEOUT + LATE)?;
    bench.logged(&["fe be/s1", " sC "]).map(drop)
}

fn refused(subject: &Subject) -> Result<()> {
    let bench = Bench::new(subject)?;
    // A port that was free a moment ago, on an address of this lab alone.
    let free = TcpListener::bind((bench.ours, 0))?.local_addr()?;
    bench
        .start(Program::Haproxy, &haproxy_cfg("    retries 0", &format!("    server s1 {free}")))?;
    let took = until_closed(&mut bench.connect()?)?;
    between(took, Duration::ZERO, SOON)?;
    bench.logged(&["fe be/s1", " SC "]).map(drop)
}

fn finished(subject: &Subject) -> Result<()> {
    let (bench, _server) = one_server(subject, Program::Haproxy, answer_at_end, "")?;
    let mut client = bench.connect()?;
    client.write_all(b"hello")?;
    client.shutdown(Shutdown::Write)?;
    client.read_to_end(&mut Vec::new())?;
    let line = bench.logged(&["fe be/s1", " -- "])?;
    // "… fe be/s1 0/0/12 9 -- 1/1/0/0/0 0/0": times, the nine bytes of "got hello", counters.
    let words: Vec<&str> = line.split_whitespace().collect();
    let place = words.iter().position(|word| *word == "--").context("no letters")?;
    ensure!(words[place - 1] == "9", "nine bytes went to the client: {line}");
    ensure!(words[place - 2].split('/').count() == 3, "three times: {line}");
    ensure!(words[place + 1].split('/').count() == 5, "five counts: {line}");
    Ok(())
}

fn client_reset(subject: &Subject) -> Result<()> {
    let (bench, _server) = one_server(subject, Program::Haproxy, say_mark, "")?;
    let mut client = bench.connect()?;
    mark_of(&mut client)?;
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&client, sockopt::Linger, &linger)?;
    drop(client);
    bench.logged(&["fe be/s1", " CD "]).map(drop)
}

fn proxy_timeout(subject: &Subject) -> Result<()> {
    let added = "        proxy_timeout 600ms;";
    let (bench, _server) = one_server(subject, Program::Nginx, stay_silent, added)?;
    between(until_closed(&mut bench.connect()?)?, TIMEOUT - EARLY, TIMEOUT + LATE)
}

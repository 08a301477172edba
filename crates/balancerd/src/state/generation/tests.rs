//! What is made from the configuration before is what would have been made without it.

use std::task::Poll;

use balance::{Candidates, Choice, Wake};
use proxy::{Algorithm, BackendIndex, Bind, BindAddress, Config, Flavour, Server};

use super::*;

/// A configuration of few names, so that two of them have some in common.
fn config(random: &mut fastrand::Rng) -> Config {
    let mut config = Config::new(Flavour::HaProxy);
    config.process.maxconn = Some(100);
    config.process.threads = proxy::Threads::Count(1);
    for name in ["b1", "b2", "b3"] {
        if random.u8(..4) == 0 {
            continue;
        }
        let mut backend = Backend::new(random.u32(2..9), name);
        backend.algorithm = match random.u8(..4) {
            0 => Algorithm::LeastConn,
            1 => Algorithm::StaticRoundRobin,
            2 => Algorithm::First,
            _ => Algorithm::RoundRobin,
        };
        backend.retries = random.u32(..2);
        backend.fullconn = random.bool().then_some(7);
        for at in 1..5_u16 {
            if random.u8(..3) > 0 {
                let port = at + 10 * u16::from(random.u8(..4) == 0);
                let address = ServerAddress::Socket(([192, 0, 2, 1], port).into());
                let mut server = Server::new(u32::from(at), format!("s{at}"), address);
                server.weight = random.u32(0..4);
                server.backup = random.u8(..4) == 0;
                server.disabled = random.u8(..6) == 0;
                server.maxconn = random.bool().then_some(3);
                backend.servers.push(server);
            }
        }
        if random.bool() {
            backend.servers.reverse();
        }
        config.backends.push(backend);
    }
    if random.bool() {
        config.backends.reverse();
    }
    for (at, name) in ["f1", "f2"].into_iter().enumerate() {
        if random.u8(..4) == 0 {
            continue;
        }
        let mut frontend = Frontend::new(at as u32 + 2, name);
        frontend.maxconn = random.bool().then_some(random.u32(1..50));
        frontend.binds.push(Bind::new(BindAddress::any_v4(80 + at as u16)));
        let count = config.backends.len();
        frontend.default_backend = (count > 0).then(|| BackendIndex(random.usize(..count)));
        config.frontends.push(frontend);
    }
    config
}

/// Everything of it that people or sessions can see.
fn seen(shared: &Shared) -> Vec<String> {
    let mut seen = vec![format!("{:?}", shared.config)];
    for state in &shared.frontends {
        let (limit, now) = (state.gate.limit(), state.gate.current());
        seen.push(format!("{limit} {now} {:?} {:?}", state.limits, state.log));
    }
    for (config, state) in shared.config.backends.iter().zip(&shared.backends) {
        seen.push(format!("{} {:?}", state.fullconn, state.balancer.look(Pool::view)));
        for at in 0..config.servers.len() {
            let view = state.balancer.look(|pool| pool.server(ServerId(at)));
            seen.push(format!("{:?} {view:?}", state.servers[at].target()));
        }
        let now = shared.clock.now();
        let picked: Vec<Choice> = (0..6)
            .map(|_| match state.balancer.pick(now, &mut Candidates::new(None)) {
                // Tickets are numbers of their own.
                Choice::Wait(_) => Choice::Nothing,
                choice => choice,
            })
            .collect();
        seen.push(format!("{picked:?}"));
    }
    seen
}

#[test]
fn a_configuration_that_follows_another_is_served_as_by_a_fresh_process() {
    for seed in 0..500 {
        let mut random = fastrand::Rng::with_seed(seed);
        let first = Shared::new(config(&mut random)).unwrap();
        let next = config(&mut random);
        let fresh = Shared::new(next.clone()).unwrap();
        let after = first.after(Running::new(next, Some(&first.config))).unwrap();
        assert_eq!(seen(&after), seen(&fresh), "seed {seed}");
    }
}

#[test]
fn no_two_servers_backends_or_frontends_ever_have_one_id() {
    for seed in 0..100 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut last = Shared::new(config(&mut random)).unwrap();
        for _ in 0..5 {
            last = last.after(Running::new(config(&mut random), Some(&last.config))).unwrap();
            let servers = last.backends.iter().flat_map(|backend| backend.servers.iter());
            let mut ids: Vec<u32> = servers.map(|server| server.id).collect();
            ids.extend(last.backends.iter().map(|backend| backend.id));
            ids.extend(last.frontends.iter().map(|frontend| frontend.id));
            let count = ids.len();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), count, "seed {seed}");
        }
    }
}

#[test]
fn what_does_not_change_is_not_made_again() {
    for seed in 0..100 {
        let mut random = fastrand::Rng::with_seed(seed);
        let config = config(&mut random);
        let first = Shared::new(config.clone()).unwrap();
        let after = first.after(Running::new(config, Some(&first.config))).unwrap();
        let backends = first.backends.iter().zip(&after.backends);
        let frontends = first.frontends.iter().zip(&after.frontends);
        assert!(backends.into_iter().all(|(old, new)| Arc::ptr_eq(old, new)), "seed {seed}");
        assert!(frontends.into_iter().all(|(old, new)| Arc::ptr_eq(old, new)), "seed {seed}");
    }
}

#[test]
fn connections_are_counted_once_through_any_number_of_configurations() {
    let mut random = fastrand::Rng::with_seed(7);
    let backend = |servers: &[u16]| {
        let mut config = Config::new(Flavour::HaProxy);
        config.process.threads = proxy::Threads::Count(1);
        let mut backend = Backend::new(2, "b");
        backend.algorithm = Algorithm::LeastConn;
        for &at in servers {
            let address = ServerAddress::Socket(([192, 0, 2, 1], at).into());
            let mut server = Server::new(u32::from(at), format!("s{at}"), address);
            server.maxconn = Some(4);
            backend.servers.push(server);
        }
        config.backends.push(backend);
        config
    };
    let mut generations: Vec<&'static Shared> =
        vec![Box::leak(Box::new(Shared::new(backend(&[1, 2, 3])).unwrap()))];
    // Whose generation a slot was taken in, and which server it is of.
    let mut held: Vec<(usize, ServerId)> = Vec::new();
    let mut queued: Vec<(usize, balance::Ticket)> = Vec::new();
    let cx = &std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..2_000 {
        let last = generations.len() - 1;
        match random.u8(..8) {
            0 => {
                let mut servers: Vec<u16> = (1..6).filter(|_| random.u8(..4) > 0).collect();
                random.shuffle(&mut servers);
                let next = Running::new(backend(&servers), Some(&generations[last].config));
                generations.push(Box::leak(Box::new(generations[last].after(next).unwrap())));
            }
            // Also by those who began with an older one.
            1..=3 => {
                let of = random.usize(last.saturating_sub(3)..=last);
                let balancer = &generations[of].backends[0].balancer;
                let now = generations[of].clock.now();
                match balancer.pick(now, &mut Candidates::new(None)) {
                    Choice::Server(server) => held.push((of, server)),
                    Choice::Wait(ticket) => queued.push((of, ticket)),
                    Choice::Full(_) | Choice::Nothing => {}
                }
            }
            4 if !queued.is_empty() => {
                let (of, ticket) = queued.swap_remove(random.usize(..queued.len()));
                let now = generations[of].clock.now();
                generations[of].backends[0].balancer.abandon(now, ticket);
            }
            _ if !held.is_empty() => {
                let (of, server) = held.swap_remove(random.usize(..held.len()));
                let now = generations[of].clock.now();
                generations[of].backends[0].balancer.release(now, server);
            }
            _ => {}
        }
        // Sometimes; who was woken and has not looked yet holds a slot as well.
        let looks = random.bool();
        queued.retain(|(of, ticket)| {
            let balancer = &generations[*of].backends[0].balancer;
            let now = generations[*of].clock.now();
            match looks.then(|| balancer.poll_wake(now, *ticket, cx)) {
                None | Some(Poll::Pending) => true,
                Some(Poll::Ready(Wake::Served { server, .. })) => {
                    held.push((*of, server));
                    false
                }
                Some(Poll::Ready(Wake::PickAgain { .. })) => false,
            }
        });
        if !looks {
            continue;
        }
        assert_eq!(served(&generations), held.len(), "after {} configurations", generations.len());
    }
    assert!(queued.len() < 500 && generations.len() > 100);
    for (of, ticket) in queued {
        generations[of].backends[0].balancer.abandon(generations[of].clock.now(), ticket);
    }
    for (of, server) in held {
        let now = generations[of].clock.now();
        generations[of].backends[0].balancer.release(now, server);
    }
    assert_eq!(served(&generations), 0);
}

/// Connections in all pools; two configurations may have one in common.
fn served(generations: &[&'static Shared]) -> usize {
    let mut pools: Vec<&Arc<Balancer>> =
        generations.iter().map(|shared| &shared.backends[0].balancer).collect();
    pools.dedup_by(|a, b| Arc::ptr_eq(a, b));
    pools.iter().map(|one| one.look(|pool| pool.view().served) as usize).sum()
}

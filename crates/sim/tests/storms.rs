//! Ten thousand storms, in which everything goes wrong at once, and what holds in all of them.
//!
//! A seed that fails prints itself; `SIM_SEED=<it> cargo test -p sim --test storms` runs it alone
//! and prints what happened. `SIM_SEEDS=1000000` runs more of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use sim::{Lan, router};
use vrrp::State;
use vrrp::config::{InstanceConfig, ScriptConfig, TrackedScript, Version, VirtualAddress, Vrid};
use vrrp::lease::KERNEL_LATE;

const SEEDS: u64 = 10_000;

/// The longest a packet takes.
const DELAY: Duration = Duration::from_millis(20);
/// A timer is late by up to a millisecond, a new master waits for 20 before it takes the addresses,
/// and clocks drift.
const SLACK: Duration = Duration::from_millis(35);

/// The routers of one storm.
struct Storm {
    rng: Rng,
    lan: Lan,
    /// Of each host; the members of a sync group have the same priority.
    configs: Vec<Vec<InstanceConfig>>,
    interval: Duration,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut lan = Lan::new(seed);
        let (version, interval) = match rng.u8(0..4) {
            0 => (Version::V2, Duration::from_secs(1)),
            1 => (Version::V2, Duration::from_secs(2)),
            2 => (Version::V3, Duration::from_millis(500)),
            _ => (Version::V3, Duration::from_secs(1)),
        };
        lan.declare(vec![script("weight", 30), script("fault", 0)]);
        lan.set_delay(Duration::from_micros(50), DELAY.min(Duration::from_millis(rng.u64(1..=20))));
        let members = if rng.u8(0..4) == 0 { 2 } else { 1 };
        let (preempt, delay) = (rng.u8(0..8) > 0, rng.u8(0..8) == 0);
        let tracked = rng.bool();
        let host = |rng: &mut Rng| {
            let mut config = InstanceConfig {
                version,
                advert_interval: interval,
                preempt,
                ..router(rng.u8(1..=254))
            };
            if delay && preempt {
                config.preempt_delay = Duration::from_secs(rng.u64(1..4));
            }
            if tracked {
                config.track_scripts = vec![track("weight"), track("fault")];
            }
            (0..members).map(|at| member(&config, at)).collect::<Vec<_>>()
        };
        let mut configs = vec![];
        for _ in 0..rng.usize(2..=5) {
            let host = host(&mut rng);
            let i = lan.add_group(host.clone());
            lan.set_drift(i, rng.i32(-200..=200));
            lan.set_script(i, "weight", true);
            lan.set_script(i, "fault", true);
            configs.push(host);
        }
        let mut storm = Self { rng, lan, configs, interval };
        for i in 0..storm.configs.len() {
            storm.lan.start(i);
            storm.pass(1_000);
        }
        storm
    }

    fn pass(&mut self, most: u64) {
        self.lan.run(Duration::from_millis(self.rng.u64(0..most)));
    }

    /// Something goes wrong, or gets better.
    fn strike(&mut self) {
        let i = self.rng.usize(0..self.configs.len());
        let at = self.rng.usize(0..self.configs[i].len());
        match self.rng.u8(0..15) {
            0 => self.lan.kill(i),
            1 => self.lan.terminate(i),
            2 => self.lan.start(i),
            3 => self.lan.freeze(i),
            4 | 5 => self.lan.resume(i),
            6 => self.lan.set_cable_at(i, at, false),
            7 => self.lan.set_cable_at(i, at, true),
            8 => self.lan.set_side(i, self.rng.u8(0..2)),
            9 => self.lan.set_loss(*[0, 0, 5, 30, 100].get(self.rng.usize(0..5)).unwrap_or(&0)),
            10 => self.lan.set_copies(self.rng.u8(0..50)),
            11 | 12 => {
                let name = if self.rng.bool() { "weight" } else { "fault" };
                self.lan.set_script(i, name, self.rng.bool());
            }
            13 => {
                if self.rng.bool() {
                    self.lan.kill(i);
                    self.pass(400);
                }
                self.lan.respawn(i);
            }
            _ if self.configs[i].len() == 1 && self.lan.node(i).is_awake() => {
                self.configs[i][0].priority = self.rng.u8(1..=254);
                let another = VirtualAddress::host([192, 0, 2, 101].into());
                self.configs[i][0].excluded = if self.rng.bool() { vec![another] } else { vec![] };
                self.lan.reload(i, self.configs[i][0].clone());
            }
            _ => {}
        }
    }

    /// All is well again.
    fn heal(&mut self) {
        self.lan.set_loss(0);
        for i in 0..self.configs.len() {
            self.lan.set_side(i, 0);
            for at in 0..self.configs[i].len() {
                self.lan.set_cable_at(i, at, true);
            }
            self.lan.set_script(i, "fault", true);
            self.lan.resume(i);
            if self.lan.node(i).state().is_none() {
                self.lan.start(i);
            }
        }
    }

    /// The longest any of them waits for a master.
    fn patience(&self) -> Duration {
        let instances = (0..self.configs.len()).flat_map(|i| self.lan.node(i).instances());
        instances.map(vrrp::Instance::master_down_interval).max().unwrap_or_default()
    }

    /// What must never be, however it came to it.
    fn judge(&self) -> Result<(), String> {
        for i in 0..self.configs.len() {
            let states = self.lan.node(i).instances().iter().map(vrrp::Instance::state);
            let masters = states.filter(|state| *state == State::Master).count();
            if masters != 0 && masters != self.lan.node(i).instances().len() {
                return Err(format!("n{i} is master on one link only"));
            }
        }
        let overlaps = self.lan.overlaps();
        let talking = self.interval + DELAY + SLACK;
        if overlaps.talking > talking {
            return Err(format!(
                "two hold the address for {:?} and hear each other",
                overlaps.talking
            ));
        }
        let lease = vrrp::lease(self.interval, 3).expect("there is one at these intervals");
        if overlaps.leased > lease.lifetime + KERNEL_LATE {
            return Err(format!("a dead or frozen one keeps it for {:?}", overlaps.leased));
        }
        Ok(())
    }
}

fn script(name: &str, weight: i16) -> ScriptConfig {
    ScriptConfig { name: name.into(), weight, ..ScriptConfig::default() }
}

fn track(script: &str) -> TrackedScript {
    TrackedScript { script: script.into(), ..TrackedScript::default() }
}

/// The virtual router at this place, with an address of its own on an interface of its own.
fn member(config: &InstanceConfig, at: u8) -> InstanceConfig {
    InstanceConfig {
        name: format!("VI_{}", at + 1),
        interface: format!("eth{at}"),
        vrid: Vrid(51 + at),
        addresses: vec![VirtualAddress::host([192, 0, 2, 100 + 50 * at].into())],
        ..config.clone()
    }
}

/// What a configured priority comes to: thirty more while the script that has a weight succeeds.
fn expected(config: &InstanceConfig, good: bool) -> u8 {
    let bonus = if good && !config.track_scripts.is_empty() { 30 } else { 0 };
    u8::try_from((u32::from(config.priority) + bonus).clamp(1, 254)).unwrap_or(254)
}

fn run(seed: u64, story: bool) -> Result<(), String> {
    let mut storm = Storm::new(seed);
    let result = weather(&mut storm);
    if story {
        println!("{}", storm.lan.story());
    }
    result.map_err(|what| format!("seed {seed}: {what}"))
}

fn weather(storm: &mut Storm) -> Result<(), String> {
    for _ in 0..storm.rng.u8(5..25) {
        storm.strike();
        storm.pass(3_000);
        storm.judge()?;
    }
    storm.heal();
    // One holder at least, as soon as the most patient one cannot have missed that there is none.
    let patience = storm.patience() + SLACK * 2;
    let end = storm.lan.now() + patience;
    if storm.lan.run_while(end, |lan| lan.holders().is_empty()) {
        return Err(format!("nobody holds the address {patience:?} after the storm"));
    }
    // And one only, on every link, once the best could make itself heard.
    storm.lan.run(storm.interval * 12 + Duration::from_secs(4));
    storm.judge()?;
    let (masters, holders) = (storm.lan.masters(), storm.lan.holders());
    if masters.len() != 1 || holders != masters {
        return Err(format!("{masters:?} are master, {holders:?} hold the address"));
    }
    let master = masters[0];
    let hosts = 0..storm.configs.len();
    for i in hosts.clone() {
        let node = storm.lan.node(i);
        for (instance, config) in node.instances().iter().zip(&storm.configs[i]) {
            let state = if i == master { State::Master } else { State::Backup };
            if instance.state() != state {
                return Err(format!("n{i} is {:?}, not {state:?}", instance.state()));
            }
            let good = instance.trackers().find(|view| view.name == "weight");
            let good = good.and_then(|view| view.good).unwrap_or(false);
            if instance.priority() != expected(config, good) {
                return Err(format!("n{i} has priority {}", instance.priority()));
            }
        }
    }
    let priority = |i: usize| storm.lan.node(i).instances()[0].priority();
    let best = hosts.clone().map(priority).max().unwrap_or(0);
    if storm.configs[0][0].preempt && priority(master) != best {
        return Err(format!("n{master} is master with {}, not {best}", priority(master)));
    }
    // Nobody speaks but the master, and it no more often than it has to.
    let sent: Vec<u64> = hosts.clone().map(|i| storm.lan.node(i).adverts()).collect();
    storm.lan.run(storm.interval * 5);
    for i in hosts {
        let sent = storm.lan.node(i).adverts() - sent[i];
        let members = storm.configs[i].len() as u64;
        let allowed = if i == master { 4 * members..=6 * members } else { 0..=0 };
        if !allowed.contains(&sent) {
            return Err(format!("n{i} sent {sent} adverts in five intervals"));
        }
    }
    Ok(())
}

#[test]
fn in_every_storm_the_bounds_hold_and_afterwards_there_is_one_master() {
    if let Ok(seed) = std::env::var("SIM_SEED") {
        let seed = seed.parse().expect("a number");
        return run(seed, true).unwrap();
    }
    let seeds = std::env::var("SIM_SEEDS").map_or(SEEDS, |seeds| seeds.parse().expect("a number"));
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let failed: Vec<String> = thread::scope(|scope| {
        let work = || {
            let mut failed = vec![];
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds {
                    return failed;
                }
                failed.extend(run(seed, false).err());
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
    });
    let first = failed.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
    assert!(failed.is_empty(), "{} of {seeds} failed\n{first}", failed.len());
}

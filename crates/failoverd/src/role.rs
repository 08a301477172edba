//! The VRRP process: virtual routers between sockets, netlink and scripts.
//!
//! ```text
//!   raw sockets ──► receive ─┐                         ┌─► raw sockets: adverts, at once
//!   netlink ──────► facts ───┼─► vrrp::Instance ──► perform
//!   scripts ──────► verdicts ┤                         └─► worker: addresses, then their ARP
//!   clock, HUP, TERM ────────┘
//! ```
//!
//! One thread decides and sends adverts. Whatever could keep it waiting is done by others: netlink
//! requests by the worker, programs are started by the runner's thread, and a configuration is read
//! by a thread that exists for the purpose.

mod agenda;
mod agent;
mod facts;
mod groups;
mod look;
mod pace;
mod perform;
mod reload;
mod routes;
mod statics;
mod told;
mod vmacs;
pub(crate) mod watch;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use daemon::clock::Clock;
use daemon::log::{Log, Severity};
use daemon::pidfile::PidFile;
use linux::packet::FrameSocket;
use linux::raw::{Cast, IPPROTO_AH, IPPROTO_VRRP, Received};
use machine::{Instant, Machine as _};
use netlink::{Address, Kernel, Monitor};
use tokio::sync::oneshot;
use vrrp::config::{Auth, Config, Globals, InstanceConfig, VirtualAddress};
use vrrp::{Action, Datagram, Event, Instance};

use crate::asked::{Asked, Signals};
use crate::cli::Options;
use crate::configuration::{self, Loaded};
use crate::dump::Dumps;
use crate::dump::text::general;
use crate::exit;
use crate::ledger::{Ledger, Subject};
use crate::links::{Key, Links, Route};
use crate::notify::{Notifier, Told};
use crate::place::Place;
use crate::report::{self, Order, Report, Reporter};
use crate::snmp::Agent;
use crate::status::Status;
use crate::trackers::{News, Trackers};
use crate::view::Totals;
use crate::vmac;
use crate::worker::{Done, Sockets, Work, Worker};

use self::agenda::Agenda;
use self::facts::Facts;
use self::groups::Groups;
use self::pace::Pace;
use self::routes::Routes;
use self::vmacs::Vmacs;
use self::watch::Watch;

/// Packets taken off a socket before anything else has its turn.
const BURST: usize = 64;
/// Between two attempts to read all links and addresses.
const READ_AGAIN: Duration = Duration::from_millis(100);
/// The longest packet of interest: an IPv4 header with options, and 255 addresses of IPv6.
const LONGEST_PACKET: usize = 4608;

/// Runs until told to stop. The supervisor has checked the configuration already.
pub(crate) fn run(options: Options) -> u8 {
    let log = configuration::log(&options, Some("vrrp"));
    let (supervisor, configuration) = match Reporter::from_stdin() {
        Ok(from) => from,
        Err(error) => {
            let line = format_args!("this process is started by its supervisor only: {error}");
            log.write(Severity::Error, line);
            return exit::FATAL;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Of threads that look names up.
        .thread_stack_size(512 << 10)
        .build();
    let result = runtime.context("no event loop").and_then(|runtime| {
        let mut pid_file = PidFile::create(&options.vrrp_pid_file)?;
        pid_file.write(std::process::id())?;
        let code = runtime.block_on(async {
            let reporter = Reporter::new(supervisor)?;
            let loaded = report::unpack(&configuration).context("no configuration")?;
            drop(configuration);
            if let Some(name) = &loaded.config.globals.process.net_namespace
                && let Err(error) = linux::namespace::enter_network(name)
            {
                log.info(format_args!("Failed to open /run/netns/{name}: {error}"));
                log.info(format_args!("Unable to set network namespace {name} - exiting"));
                return Ok(exit::FATAL);
            }
            match Role::start(options, log.clone(), reporter, loaded)? {
                Ok(role) => role.serve().await,
                Err(code) => Ok(code),
            }
        });
        // Dropped, it would wait for a name server that does not answer.
        runtime.shutdown_background();
        code
    });
    result.unwrap_or_else(|error| {
        log.write(Severity::Error, format_args!("{error:#}"));
        exit::FATAL
    })
}

/// One packet off a socket, if there is one.
type Take = fn(&Links, Key, &mut [u8]) -> Option<Received>;

/// An advert of priority 0 on its way: it leaves when the addresses are gone, for whoever hears it
/// puts them up.
#[derive(Debug)]
struct Parting {
    key: Key,
    packet: Vec<u8>,
    route: Route,
    /// Being removed when it was written.
    addresses: Vec<Address>,
}

/// One virtual router and its place among the sockets.
#[derive(Debug)]
struct Member {
    instance: Instance,
    /// Its socket, while its interface is there and it could be opened.
    key: Option<Key>,
    /// As last told to the instance.
    source: Option<IpAddr>,
    /// Sending failed the last time, which has been logged.
    send_failing: bool,
    /// Its socket could not be opened, which has been logged.
    deaf: bool,
    watch: Watch,
    /// What the packet filter drops for it.
    blocked: Vec<VirtualAddress>,
}

impl Member {
    fn config(&self) -> &InstanceConfig {
        self.instance.config()
    }

    /// The socket it needs on the link with this index.
    fn key_on(&self, link: u32) -> Key {
        let config = self.config();
        let cast = match config.multicast_group {
            group if config.unicast_peers.is_empty() => Cast::Multicast(group),
            _ if config.is_ipv4() => Cast::Unicast4,
            _ => Cast::Unicast6,
        };
        let protocol = match config.auth {
            Some(Auth::Ah(_)) => IPPROTO_AH,
            Some(Auth::Pass(_)) | None => IPPROTO_VRRP,
        };
        Key { link, cast, protocol }
    }

    /// How its adverts go to `to`, once it has a source address.
    fn route(&self, to: IpAddr) -> Option<Route> {
        let source = self.instance.source()?;
        let hop_limit = self.config().unicast_ttl.filter(|_| !to.is_multicast());
        Some(Route { source, to, hop_limit })
    }
}

/// How long the instances wait at the start of a machine that is up for this long.
fn delay(globals: &Globals, up: Duration) -> Duration {
    globals.startup_delay.max(globals.delay_after_boot.saturating_sub(up))
}

#[derive(Debug)]
struct Role {
    options: Options,
    log: Rc<Log>,
    clock: Clock,
    reporter: Reporter,
    ledger: Ledger,
    dumps: Dumps,
    status: Status,
    totals: Totals,
    config: Config,
    members: Vec<Member>,
    trackers: Trackers,
    notifier: Notifier,
    place: Place,
    monitor: Monitor,
    worker: Worker,
    links: Links,
    facts: Facts,
    agenda: Agenda,
    groups: Groups,
    agent: Agent,
    routes: Routes,
    vmacs: Vmacs,
    pace: Pace,
    /// Addresses being removed by us, whose end is no loss.
    removing: BTreeSet<Address>,
    partings: Vec<Parting>,
    /// What was wrong with the configuration, its places left out.
    mistakes: BTreeSet<String>,
    /// A configuration being read.
    reading: Option<oneshot::Receiver<io::Result<Loaded>>>,
    /// When the instances start, if that is yet to come (`vrrp_startup_delay`).
    start_at: Option<Instant>,
    /// While instances start: what is yet to be told of them, behind their groups.
    untold: Option<Vec<(usize, Told)>>,
    /// When to try again to open a socket, if one could not be.
    open_again_at: Option<Instant>,
    /// When to read all links and addresses again, if that failed.
    read_again_at: Option<Instant>,
    /// We were told to stop.
    stopping: bool,
    actions: Vec<Action>,
    packet: Vec<u8>,
}

impl Role {
    /// Reads the configuration, opens everything, and starts the instances.
    fn start(
        options: Options,
        log: Rc<Log>,
        reporter: Reporter,
        mut loaded: Loaded,
    ) -> anyhow::Result<Result<Self, u8>> {
        if options.detail {
            log.info("Registering Kernel netlink reflector");
        }
        if options.detail {
            log.info("Registering Kernel netlink command channel");
        }
        let mut kernel = Kernel::open().context("cannot ask the kernel")?;
        let renewals = Kernel::open().context("cannot ask the kernel")?;
        let ledger = Ledger::from_stdout();
        if ledger.is_inherited() {
            // The role before this one said what is to be said once.
            loaded.leave_out_advice();
        }
        loaded.log_to(&log);
        if let Some(code) = loaded.exit {
            return Ok(Err(code));
        }
        let mistakes = loaded.mistakes();
        let mut config = loaded.config;
        let wishes = vmac::assign(&mut config);
        let vmacs = Vmacs::make(wishes, &mut kernel, &log);
        // From here on; the interfaces just made are no news.
        let mut monitor = Monitor::open().context("cannot listen to the kernel")?;
        monitor.ignore_renewals(&renewals).context("cannot listen to the kernel")?;
        let snapshot = kernel.snapshot().context("cannot read links and addresses")?;
        monitor.compare(snapshot);
        let frames = FrameSocket::open().context("cannot open a packet socket")?;
        let place = Place::take(&config.globals.process, options.umask, log.clone());
        let notifier = Notifier::new(log.clone(), options.detail);
        let mut role = Self {
            log,
            clock: Clock::start(),
            reporter,
            ledger,
            dumps: Dumps::default(),
            status: Status::default(),
            totals: Totals::default(),
            members: Vec::new(),
            trackers: Trackers::new(),
            notifier,
            place,
            monitor,
            worker: Worker::start(Sockets { kernel, renewals, frames }).context("no thread")?,
            links: Links::default(),
            facts: Facts::default(),
            agenda: Agenda::default(),
            groups: Groups::default(),
            agent: Agent::idle(),
            routes: Routes::default(),
            vmacs,
            pace: Pace::default(),
            removing: BTreeSet::new(),
            partings: Vec::new(),
            mistakes,
            reading: None,
            start_at: None,
            untold: None,
            open_again_at: None,
            read_again_at: None,
            stopping: false,
            actions: Vec::new(),
            packet: Vec::new(),
            config,
            options,
        };
        role.begin();
        linux::process::trim_heap();
        Ok(Ok(role))
    }

    /// Starts everything the configuration names.
    fn begin(&mut self) {
        self.notifier.configure(&self.config);
        self.follow(true);
        self.agent.reconfigure(&self.config.globals.snmp);
        for config in self.config.scripts.clone() {
            self.add_script(config);
        }
        for address in self.wanted_statics() {
            self.add_static(&address);
        }
        // After a role that died, an instance may hold them.
        if !self.ledger.is_inherited() {
            for address in self.unwanted_statics() {
                self.remove_static(&address);
            }
        }
        for config in self.config.instances.clone() {
            self.members.push(self.member(config));
        }
        self.regroup();
        let opened = self.find_sockets();
        self.inherit_settings();
        self.promote_secondaries();
        self.begin_filter();
        self.add_static_routes(None);
        for index in 0..self.members.len() {
            self.tell_facts(index);
        }
        self.detail("Registering gratuitous ARP shared channel");
        let up = self.clock.since_boot(self.clock.now());
        match delay(&self.config.globals, up) {
            _ if self.ledger.is_inherited() => self.start_members(),
            Duration::ZERO => self.start_members(),
            delay => {
                self.log.info(format_args!(
                    "Delaying startup for {} seconds",
                    general(delay.as_secs_f64())
                ));
                self.start_at = Some(self.clock.now() + delay);
            }
        }
        self.say_opened(&opened);
        self.serve_status();
        self.log_everything();
        self.reporter.tell(Report::Started);
    }

    /// Logs a line that is only for `--log-detail`.
    fn detail(&self, line: impl fmt::Display) {
        if self.options.detail {
            self.log.info(line);
        }
    }

    fn start_members(&mut self) {
        self.start_at = None;
        self.untold = Some(Vec::new());
        for index in 0..self.members.len() {
            self.start_member(index);
        }
        self.tell_untold();
        self.untold = None;
    }

    fn member(&self, config: InstanceConfig) -> Member {
        let grouped = self.config.sync_groups.iter().any(|group| group.has(&config.name));
        let mut instance = Instance::new(config, &self.config);
        instance.set_grouped(grouped);
        let watch = Watch::new(self.clock.since_boot(self.clock.now()));
        Member {
            instance,
            key: None,
            source: None,
            send_failing: false,
            deaf: false,
            watch,
            blocked: Vec::new(),
        }
    }

    /// The event loop.
    async fn serve(mut self) -> anyhow::Result<u8> {
        let mut signals = Signals::catch().context("cannot catch signals")?;
        loop {
            let deadline = self.deadline();
            if let Some(due) = deadline.filter(|due| *due <= self.clock.now()) {
                self.place.late(self.clock.now() - due);
                self.tick();
                continue;
            }
            tokio::select! {
                () = self.clock.until(deadline) => {}
                keys = self.links.readable() => {
                    for key in keys {
                        self.receive(key, Links::receive);
                    }
                }
                event = self.monitor.next() => self.network_changed(event?),
                done = self.worker.done() => self.done(done),
                end = self.trackers.ended() => {
                    let (now, mut news) = (self.clock.now(), Vec::new());
                    self.trackers.end(now, end, &mut news);
                    self.spread(news);
                }
                event = self.agent.next(self.clock.now()) => self.agent_did(event),
                end = self.notifier.ended() => self.notifier.end(self.clock.now(), end),
                loaded = reload::read(&mut self.reading) => {
                    self.reload(loaded);
                    linux::process::trim_heap();
                }
                // Who wants to know may have gone meanwhile.
                look = self.status.looked() => drop(look.send(Arc::new(self.look()))),
                order = self.reporter.order() => match order {
                    Order::Configuration(json) => self.begin_reload(json),
                    Order::Asked(asked) => self.dump(asked),
                },
                asked = signals.next() => match asked {
                    Asked::Stop => return self.stop().await,
                    // The supervisor reads it.
                    Asked::Reload => self.reporter.tell(Report::Wanted),
                    asked => self.dump(asked),
                },
            }
            anyhow::ensure!(!self.worker.is_dead(), "the thread for the kernel's requests died");
        }
    }

    fn deadline(&mut self) -> Option<Instant> {
        let ours = self
            .start_at
            .into_iter()
            .chain(self.open_again_at)
            .chain(self.read_again_at)
            .chain(self.links_due());
        let ours = ours.chain(self.pace.deadline());
        let told =
            self.notifier.deadline().into_iter().chain(self.agent.deadline(self.clock.now()));
        ours.chain(self.agenda.next()).chain(self.trackers.deadline()).chain(told).min()
    }

    fn tick(&mut self) {
        if self.start_at.is_some_and(|start| start <= self.clock.now()) {
            self.start_members();
        }
        if self.read_again_at.is_some_and(|at| at <= self.clock.now()) {
            self.read_again_at = None;
            self.worker.queue(Work::Snapshot);
        }
        if self.open_again_at.is_some_and(|at| at <= self.clock.now()) {
            self.open_again();
        }
        self.tell_links();
        self.announce_waiting();
        let due = self.agenda.due(self.clock.now());
        // An advert that has arrived is heard before its silence is judged.
        let keys: BTreeSet<Key> = due.iter().filter_map(|&index| self.members[index].key).collect();
        for key in keys {
            self.receive(key, Links::receive_now);
        }
        for index in due {
            let due = self.members[index].instance.deadline();
            if due.is_some_and(|due| due <= self.clock.now()) {
                self.feed(index, Event::Tick);
            }
            self.schedule(index);
        }
        let mut news = Vec::new();
        self.trackers.tick(self.clock.now(), &mut news);
        self.notifier.tick(self.clock.now());
        self.spread(news);
    }

    /// Tells an instance what happened, and does what it asks for.
    fn feed(&mut self, index: usize, event: Event<'_>) {
        self.hand(index, event);
        self.look_after(index);
    }

    /// The same, of which its group is not told.
    fn hand(&mut self, index: usize, event: Event<'_>) {
        let mut actions = std::mem::take(&mut self.actions);
        self.members[index].instance.handle(self.clock.now(), event, &mut actions);
        self.perform(index, &mut actions);
        self.actions = actions;
    }

    fn spread(&mut self, news: Vec<News>) {
        for item in news {
            match item {
                News::Log(line) => self.say(&line),
                News::Line(line) => self.log.info(line),
                News::Detail(line) => self.detail(line),
                News::File { .. } | News::Process { .. } => {
                    for index in 0..self.members.len() {
                        self.tell_tracked(index, &item);
                    }
                }
                News::Verdict { name, good } => {
                    self.note_verdict(Subject::Script(name.clone()), good);
                    for index in 0..self.members.len() {
                        self.feed(index, Event::Script { name: &name, good });
                    }
                }
            }
        }
    }

    /// Takes what is waiting on a socket.
    fn receive(&mut self, key: Key, take: Take) {
        let mut buffer = [0; LONGEST_PACKET];
        for _ in 0..BURST {
            let Some(received) = take(&self.links, key, &mut buffer) else { return };
            let packet = &buffer[..received.length];
            let datagram = match received.header {
                Some(header) => {
                    let (source, destination) = (header.source.into(), header.destination.into());
                    Datagram::new(source, destination, header.hop_limit, packet)
                }
                None => match Datagram::from_ipv4(packet) {
                    Ok(datagram) => datagram,
                    Err(_) => {
                        self.facts.malformed(key, &self.log);
                        continue;
                    }
                },
            };
            match self.facts.member(key, datagram.vrid()) {
                Some(index) => {
                    let received = self.members[index].instance.counters().adverts_received;
                    self.feed(index, Event::Received(datagram));
                    self.note_heard(index, &datagram, received);
                }
                None => {
                    let log = self.config.globals.log_unknown_vrids.then_some(&*self.log);
                    let link = self.monitor.known().links.get(&key.link);
                    let link = link.map_or("?", |link| link.name.as_str());
                    self.facts.unknown(key, datagram.vrid(), link, log);
                }
            }
        }
    }

    /// Takes in what the worker has to say.
    fn done(&mut self, done: Done) {
        match done {
            Done::NotAdded { address, error } => self.log.write(
                Severity::Error,
                format_args!(
                    "Netlink: cannot add {}/{} to {}: {error}",
                    address.address,
                    address.prefix_len,
                    self.link_name(address.link)
                ),
            ),
            Done::NotThere { address } => drop(self.forget_removal(address)),
            Done::NotRemoved { address, error } => {
                self.forget_removal(address);
                let link = self.link_name(address.link);
                let ip = address.address;
                let line = format_args!("Netlink: cannot remove {ip} from {link}: {error}");
                self.log.write(Severity::Error, line);
            }
            Done::Made(wish, made) => self.vmac_made(&wish, made),
            Done::Unmade(wish, removed) => vmacs::unmade(&self.log, &wish, removed),
            Done::NotFiltered(error) => {
                let line = format_args!("nftables: cannot set the rules: {error}");
                self.log.write(Severity::Error, line);
            }
            Done::RouteRefused { key, wish, error } => self.route_refused(key, wish, &error),
            Done::NotAnnounced { link, error } => {
                let line = format_args!("cannot send ARP on {}: {error}", self.link_name(link));
                self.log.write(Severity::Warning, line);
            }
            Done::Snapshot(Ok(snapshot)) => {
                self.removing.clear();
                self.part();
                self.monitor.compare(snapshot);
            }
            Done::Snapshot(Err(error)) => {
                let line = format_args!("Netlink: cannot read links and addresses: {error}");
                self.log.write(Severity::Error, line);
                // Links that go on changing would have it fail again at once.
                self.read_again_at = Some(self.clock.now() + READ_AGAIN);
            }
        }
    }

    /// Takes note that an address we are removing is gone. Returns whether it is one.
    fn forget_removal(&mut self, address: Address) -> bool {
        let was_ours = self.removing.remove(&address);
        if was_ours {
            self.part();
        }
        was_ours
    }

    /// Sends the adverts of priority 0 whose addresses are gone.
    fn part(&mut self) {
        let Self { partings, removing, links, .. } = self;
        let waited = !partings.is_empty();
        partings.retain(|Parting { key, packet, route, addresses }| {
            if addresses.iter().any(|address| removing.contains(address)) {
                return true;
            }
            // It often cannot leave, as when the interface is down; others then wait for longer.
            let _ = links.send(*key, packet, *route);
            false
        });
        if waited && self.partings.is_empty() {
            self.close_sockets();
        }
        self.leave_vmacs();
    }

    fn link_name(&self, index: u32) -> &str {
        self.monitor.known().links.get(&index).map_or("a link that is gone", |link| &link.name)
    }

    /// Resigns: the addresses go, then priority 0 is sent.
    async fn stop(mut self) -> anyhow::Result<u8> {
        self.stopping = true;
        for index in 0..self.members.len() {
            self.feed(index, Event::Shutdown);
        }
        self.tell_groups_stop();
        while !self.partings.is_empty() {
            tokio::select! {
                event = self.monitor.next() => self.network_changed(event?),
                done = self.worker.done() => self.done(done),
            }
        }
        self.remove_static_routes(&Config::default());
        for address in self.wanted_statics() {
            self.remove_static(&address);
        }
        self.notifier.finish(self.clock).await;
        self.end_vmacs();
        for done in self.worker.finish() {
            if let Done::Unmade(wish, removed) = done {
                vmacs::unmade(&self.log, &wish, removed);
            }
        }
        self.log.info(configuration::stopped(self.options.detail));
        Ok(exit::OK)
    }

    /// Takes a configuration off the supervisor's hands, in another thread: it may be long.
    fn begin_reload(&mut self, json: Vec<u8>) {
        self.log.info("Reloading");
        let (sender, receiver) = oneshot::channel();
        let thread = thread::Builder::new().name("configuration".into()).spawn(move || {
            // It has no election to win.
            let _ = linux::process::set_niceness(0);
            // If it panics, the receiver notices that the sender is gone.
            let _ = sender.send(report::unpack(&json));
        });
        match thread {
            Ok(_) => self.reading = Some(receiver),
            Err(error) => self.keep(format_args!("no thread to read the configuration: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_just_booted_waits_for_the_longer_of_both_delays() {
        let seconds = Duration::from_secs;
        let after = |startup, boot, up| {
            let globals = Globals {
                startup_delay: seconds(startup),
                delay_after_boot: seconds(boot),
                ..Globals::default()
            };
            delay(&globals, seconds(up)).as_secs()
        };
        assert_eq!(after(0, 60, 20), 40);
        assert_eq!(after(0, 60, 61), 0);
        assert_eq!(after(50, 60, 20), 50);
        assert_eq!(after(5, 60, 20), 40);
        assert_eq!(after(5, 0, 20), 5);
    }
}

//! The lab as a test or the demo holds it: nodes, the processes in them, their cables.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::Signal;
use rtnetlink::Handle;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::agent;
use crate::capture::Capture;
use crate::journal::{Entry, Journal};
use crate::order::{Event, NodeFile, Order, Program, Setup, Stamped, Stream, Target, Usage};
use crate::ping::Ping;
use crate::probe;
use crate::switch::{self, Subnet};

/// A switch, the nodes on it and what happens there. Dropping it ends every process in it.
pub struct Lab {
    shared: Arc<Shared>,
    /// The index of each switch, by its segment; the first is there from the beginning.
    switches: Mutex<Vec<u32>>,
    /// Tells this lab's links from those of others on the same ground.
    number: u32,
    ports: AtomicU32,
    /// The index of every port of the switch, and the node it leads to.
    cables: Mutex<Vec<(u32, Arc<str>)>>,
    /// Where the roots of nodes are mounted; each mount is seen by its node alone.
    root: TempDir,
}

struct Shared {
    name: String,
    journal: Arc<Journal>,
    runtime: Runtime,
    handle: Handle,
}

/// What a node is to be.
#[derive(Clone, Debug)]
pub struct NodePlan {
    name: String,
    links: Vec<Link>,
    programs: Vec<Program>,
    files: Vec<NodeFile>,
    sysctls: Vec<(String, String)>,
}

/// An interface of a node.
#[derive(Clone, Debug)]
struct Link {
    interface: String,
    /// Which of the lab's switches it leads to.
    segment: u8,
    subnets: Vec<Subnet>,
}

impl NodePlan {
    /// A node with a host name and nothing else.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            links: Vec::new(),
            programs: Vec::new(),
            files: Vec::new(),
            sysctls: Vec::new(),
        }
    }

    /// Adds an interface with one address; called again for the same interface, another address.
    #[must_use]
    pub fn link(self, interface: &str, subnet: Subnet) -> Self {
        self.link_to(0, interface, subnet)
    }

    /// As [`link`](Self::link), to another switch of the lab: they are not connected.
    #[must_use]
    pub fn link_to(mut self, segment: u8, interface: &str, subnet: Subnet) -> Self {
        match self.links.iter_mut().find(|link| link.interface == interface) {
            Some(link) => link.subnets.push(subnet),
            None => {
                let interface = interface.into();
                self.links.push(Link { interface, segment, subnets: vec![subnet] });
            }
        }
        self
    }

    /// Shows a program of the host in `/usr/sbin`, under each of `names`.
    #[must_use]
    pub fn program(mut self, host: &str, names: &[&str]) -> Self {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        self.programs.push(Program { host: host.into(), names });
        self
    }

    /// Puts a file into the node before anything runs there.
    #[must_use]
    pub fn file(mut self, file: NodeFile) -> Self {
        self.files.push(file);
        self
    }

    /// Sets a kernel parameter, its name as below `/proc/sys`.
    #[must_use]
    pub fn sysctl(mut self, name: &str, value: &str) -> Self {
        self.sysctls.push((name.into(), value.into()));
        self
    }
}

impl Lab {
    /// Makes a switch. The process must stand on the [ground](crate::ground).
    ///
    /// # Errors
    ///
    /// When the kernel refuses the link, or has no bridge.
    pub fn new(name: &str) -> Result<Self> {
        static LABS: AtomicU32 = AtomicU32::new(0);
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("no runtime")?;
        let (handle, switch) = runtime.block_on(async {
            let handle = switch::connect()?;
            let index = switch::add_switch(&handle, &format!("sw{number}")).await?;
            anyhow::Ok((handle, index))
        })?;
        let shared =
            Shared { name: name.into(), journal: Arc::new(Journal::default()), runtime, handle };
        Ok(Self {
            shared: Arc::new(shared),
            switches: Mutex::new(vec![switch]),
            number,
            ports: AtomicU32::new(0),
            cables: Mutex::default(),
            root: tempfile::Builder::new().prefix("lab-").tempdir()?,
        })
    }

    /// What it was called when it was made.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Everything that happened in it.
    pub fn journal(&self) -> &Arc<Journal> {
        &self.shared.journal
    }

    /// Gives this process an address on the switch, so that a test can be client or server itself.
    ///
    /// All labs of a process share one ground: their networks must differ.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the address.
    pub fn join(&self, subnet: Subnet) -> Result<()> {
        let bridge = format!("sw{}", self.number);
        self.shared.runtime.block_on(switch::configure(&bridge, &[subnet]))
    }

    /// Listens to everything its nodes send from now on; nodes that come later are not heard.
    ///
    /// # Errors
    ///
    /// When the kernel permits no packet socket.
    pub fn capture(&self) -> Result<Capture> {
        let ports = self.cables.lock().unwrap_or_else(|e| e.into_inner());
        Capture::of(ports.iter().cloned())
    }

    /// Asks `target` for an echo every `every`, from the switch; [`join`](Self::join) it first.
    ///
    /// # Errors
    ///
    /// When the kernel permits no raw socket.
    pub fn ping(&self, target: IpAddr, every: Duration) -> Result<Ping> {
        Ping::start(target, every)
    }

    /// A number no other lab of this process has: the place to take a network from.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Makes a node, plugs it in and configures its interfaces.
    ///
    /// # Errors
    ///
    /// When the kernel or the agent refuses a part of it; the message says which.
    pub fn node(&self, plan: NodePlan) -> Result<Node> {
        let name: Arc<str> = plan.name.as_str().into();
        let journal = &self.shared.journal;
        let mut agent = Command::new("/proc/self/exe")
            .arg(agent::ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("no agent")?;
        let orders = agent.stdin.take().context("the agent has no input")?;
        let events = agent.stdout.take().context("the agent has no output")?;
        let pid = agent.id();
        let inner = Inner {
            name: Arc::clone(&name),
            shared: Arc::clone(&self.shared),
            agent: Mutex::new(agent),
            line: Mutex::new(OrderLine { orders: Some(orders), next: 0 }),
            processes: AtomicU64::new(0),
            ports: Mutex::new(HashMap::new()),
        };
        let node = Node(Arc::new(inner));
        let from = journal.len();
        {
            let journal = Arc::clone(journal);
            let name = Arc::clone(&name);
            thread::spawn(move || {
                for line in BufReader::new(events).lines().map_while(Result::ok) {
                    if let Ok(Stamped { at, event }) = serde_json::from_str(&line) {
                        let event = probe::understood(event);
                        journal.push(Entry { at, node: Arc::clone(&name), event });
                    }
                }
            });
        }
        let setup = Setup {
            name: plan.name,
            root: self.root.path().to_string_lossy().into_owned(),
            programs: plan.programs,
            files: plan.files,
            sysctls: plan.sysctls,
        };
        node.0.write_line(&serde_json::to_string(&setup)?)?;
        journal
            .wait(from, SETUP_LIMIT, |entry| {
                (entry.node == name && matches!(entry.event, Event::Ready)).then_some(())
            })
            .with_context(|| format!("node {name} did not come up"))?;
        for Link { interface, segment, subnets: addresses } in plan.links {
            let switch = self.switch(segment)?;
            let count = self.ports.fetch_add(1, Ordering::Relaxed);
            let port = format!("p{}-{count}", self.number);
            let hardware = [2, 0, 0, 0, self.number as u8, count as u8];
            self.shared.runtime.block_on(switch::add_cable(
                &self.shared.handle,
                switch,
                &port,
                pid,
                &interface,
                hardware,
            ))?;
            node.0.order(&Order::Configure { interface: interface.clone(), addresses })?;
            let mut cables = self.cables.lock().unwrap_or_else(|e| e.into_inner());
            cables.push((switch::index(&port)?, Arc::clone(&name)));
            drop(cables);
            let mut ports = node.0.ports.lock().unwrap_or_else(|e| e.into_inner());
            ports.insert(interface, Port { name: port, hardware, switch });
        }
        Ok(node)
    }
}

impl Lab {
    fn switch(&self, segment: u8) -> Result<u32> {
        let mut switches = self.switches.lock().unwrap_or_else(|e| e.into_inner());
        while switches.len() <= usize::from(segment) {
            let name = self.bridge(switches.len());
            let added = switch::add_switch(&self.shared.handle, &name);
            switches.push(self.shared.runtime.block_on(added)?);
        }
        Ok(switches[usize::from(segment)])
    }

    fn bridge(&self, segment: usize) -> String {
        let number = self.number;
        if segment == 0 { format!("sw{number}") } else { format!("sw{number}-{segment}") }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let switches = self.switches.lock().map_or(1, |switches| switches.len());
        for segment in 0..switches {
            let bridge = self.bridge(segment);
            self.shared.runtime.block_on(switch::remove(&self.shared.handle, &bridge)).ok();
        }
    }
}

/// A host on the switch. Clones are the same node; with the last one it is gone.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    shared: Arc<Shared>,
    agent: Mutex<Child>,
    line: Mutex<OrderLine>,
    processes: AtomicU64,
    ports: Mutex<HashMap<String, Port>>,
}

struct OrderLine {
    /// `None` when the node is being taken down.
    orders: Option<ChildStdin>,
    next: u64,
}

struct Port {
    name: String,
    hardware: [u8; 6],
    /// The switch it belongs to.
    switch: u32,
}

/// What a program that ran to its end left.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its exit code, or 128 and the signal that ended it.
    pub code: i32,
    /// Its standard output, lines joined by newlines.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Node {
    /// The host name.
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// The hardware address of an interface, written as `/proc/net/arp` does.
    pub fn hardware(&self, interface: &str) -> Option<String> {
        let ports = self.0.ports.lock().unwrap_or_else(|e| e.into_inner());
        let bytes = ports.get(interface)?.hardware;
        Some(bytes.map(|byte| format!("{byte:02x}")).join(":"))
    }

    /// Starts a program; it goes on until it ends, is signalled or the node goes.
    ///
    /// # Errors
    ///
    /// When the program cannot be started.
    pub fn start(&self, argv: &[&str]) -> Result<Proc> {
        self.start_with(argv, &[])
    }

    /// As [`start`](Self::start), with variables added to its environment.
    ///
    /// # Errors
    ///
    /// When the program cannot be started.
    pub fn start_with(&self, argv: &[&str], env: &[(&str, &str)]) -> Result<Proc> {
        let id = self.0.processes.fetch_add(1, Ordering::Relaxed);
        let from = self.0.shared.journal.len();
        let argv = argv.iter().map(|&word| word.to_owned()).collect();
        let env = env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let pid = self.0.order(&Order::Start { id, argv, env })?;
        let pid = pid.as_i64().context("a pid is a number")? as i32;
        Ok(Proc { node: self.clone(), id, pid, from })
    }

    /// Runs a program to its end.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or has not ended after `limit` (it is then killed).
    pub fn run(&self, argv: &[&str], limit: Duration) -> Result<Output> {
        let process = self.start(argv)?;
        let Some(code) = process.wait(limit) else {
            process.signal(Signal::SIGKILL).ok();
            bail!("{} did not end in {limit:?}", argv.join(" "));
        };
        process.output(code)
    }

    /// Sends a signal to every process of the node that is called `name`; says to how many.
    ///
    /// # Errors
    ///
    /// When a signal cannot be sent.
    pub fn signal(&self, name: &str, signal: Signal) -> Result<u64> {
        let target = Target::Name(name.into());
        let count = self.0.order(&Order::Signal { target, signal: signal as i32 })?;
        Ok(count.as_u64().unwrap_or(0))
    }

    /// Plugs (`true`) or pulls (`false`) the cable of an interface.
    ///
    /// # Errors
    ///
    /// When there is no such interface.
    pub fn cable(&self, interface: &str, plugged: bool) -> Result<()> {
        let (port, _) = self.port(interface)?;
        let shared = &self.0.shared;
        shared.runtime.block_on(switch::set_up(&shared.handle, &port, plugged))
    }

    /// Lets the switch's port of an interface pass everything (`true`) or nothing; the carrier stays.
    ///
    /// # Errors
    ///
    /// When there is no such interface.
    pub fn forward(&self, interface: &str, passes: bool) -> Result<()> {
        let (port, switch) = self.port(interface)?;
        let shared = &self.0.shared;
        let to = passes.then_some(switch);
        shared.runtime.block_on(switch::attach(&shared.handle, &port, to))
    }

    fn port(&self, interface: &str) -> Result<(String, u32)> {
        let ports = self.0.ports.lock().unwrap_or_else(|e| e.into_inner());
        let port = ports.get(interface).with_context(|| format!("no {interface}"))?;
        Ok((port.name.clone(), port.switch))
    }

    /// Switches an interface on or off from within, as `ip link set` does.
    ///
    /// # Errors
    ///
    /// When there is no such interface.
    pub fn link(&self, interface: &str, up: bool) -> Result<()> {
        self.0.order(&Order::Link { interface: interface.into(), up }).map(drop)
    }

    /// What the processes called `name` have used.
    ///
    /// # Errors
    ///
    /// When the agent is gone.
    pub fn usage(&self, name: &str) -> Result<Usage> {
        let value = self.0.order(&Order::Usage { name: name.into() })?;
        Ok(serde_json::from_value(value)?)
    }

    /// Writes a file.
    ///
    /// # Errors
    ///
    /// As the node's file system says.
    pub fn write(&self, file: NodeFile) -> Result<()> {
        self.0.order(&Order::Write(file)).map(drop)
    }

    /// Reads a file as text; bytes that are none become replacement characters.
    ///
    /// # Errors
    ///
    /// As the node's file system says.
    pub fn read(&self, path: &str) -> Result<String> {
        let text = self.0.order(&Order::Read { path: path.into() })?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// As the node's file system says.
    pub fn remove(&self, path: &str) -> Result<()> {
        self.0.order(&Order::Remove { path: path.into() }).map(drop)
    }

    /// Adds an address to an interface, as a crashed daemon might have left it.
    ///
    /// # Errors
    ///
    /// When the kernel refuses it.
    pub fn add_address(&self, interface: &str, subnet: Subnet) -> Result<()> {
        let order = Order::Configure { interface: interface.into(), addresses: vec![subnet] };
        self.0.order(&order).map(drop)
    }

    /// Begins to look every 10 ms whether the node has `address`; see [`Event::Held`].
    ///
    /// # Errors
    ///
    /// When the agent is gone.
    pub fn watch(&self, address: IpAddr) -> Result<()> {
        self.0.order(&Order::Watch { address }).map(drop)
    }
}

impl Inner {
    fn write_line(&self, text: &str) -> Result<u64> {
        let mut line = self.line.lock().unwrap_or_else(|e| e.into_inner());
        let number = line.next;
        let orders = line.orders.as_mut().context("the node is gone")?;
        orders
            .write_all(format!("{text}\n").as_bytes())
            .with_context(|| format!("node {} is gone", self.name))?;
        line.next += 1;
        Ok(number)
    }

    /// Sends an order and waits for what it returns.
    fn order(&self, order: &Order) -> Result<Value> {
        let journal = &self.shared.journal;
        let from = journal.len();
        // The set-up was line zero; the agent counts orders without it.
        let mine = self.write_line(&serde_json::to_string(order)?)? - 1;
        journal
            .wait(from, ORDER_LIMIT, |entry| match &entry.event {
                _ if entry.node != self.name => None,
                Event::Done { order, value } if *order == mine => Some(Ok(value.clone())),
                Event::Refused { order, why } if *order == mine => {
                    Some(Err(anyhow!("node {}: {why}", self.name)))
                }
                _ => None,
            })
            .with_context(|| format!("node {} does not answer", self.name))?
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let line = self.line.get_mut().unwrap_or_else(|e| e.into_inner());
        line.orders = None;
        let agent = self.agent.get_mut().unwrap_or_else(|e| e.into_inner());
        // An agent that sees the end of its orders exits, and its namespaces with it.
        agent.wait().ok();
    }
}

/// A process of a node that was started here.
#[derive(Clone)]
pub struct Proc {
    node: Node,
    id: u64,
    pid: i32,
    /// Where in the journal its life begins.
    from: usize,
}

impl Proc {
    /// Its number within the node, which its events carry.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its process id, as seen in the node.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends it a signal.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let target = Target::Pid(self.pid);
        self.node.0.order(&Order::Signal { target, signal: signal as i32 }).map(drop)
    }

    /// Its children that are called `name`, the oldest first.
    ///
    /// # Errors
    ///
    /// When the agent is gone.
    pub fn children(&self, name: &str) -> Result<Vec<i32>> {
        let order = Order::Children { of: self.pid, name: name.into() };
        Ok(serde_json::from_value(self.node.0.order(&order)?)?)
    }

    /// Sends a signal to one of the node's processes.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn signal_child(&self, pid: i32, signal: Signal) -> Result<()> {
        let target = Target::Pid(pid);
        self.node.0.order(&Order::Signal { target, signal: signal as i32 }).map(drop)
    }

    /// Waits for its end: the exit code, or `None` after `limit`.
    pub fn wait(&self, limit: Duration) -> Option<i32> {
        self.journal().wait(self.from, limit, |entry| match entry.event {
            Event::Exited { id, code } if self.is(entry, id) => Some(code),
            _ => None,
        })
    }

    /// Waits until it writes a line that contains `text`, and returns the line's entry.
    ///
    /// # Errors
    ///
    /// When it has written no such line after `limit`; the message holds what it wrote instead.
    pub fn wait_line(&self, text: &str, limit: Duration) -> Result<Entry> {
        self.journal()
            .wait(self.from, limit, |entry| match &entry.event {
                Event::Line { id, text: line, .. }
                    if self.is(entry, *id) && line.contains(text) =>
                {
                    Some(entry.clone())
                }
                _ => None,
            })
            .with_context(|| {
                let node = &self.node.0.name;
                format!("no \"{text}\" on {node} in {limit:?}, but:\n{}", self.lines().join("\n"))
            })
    }

    /// Every line it wrote up to now, to either output.
    pub fn lines(&self) -> Vec<String> {
        let entries = self.journal().since(self.from);
        let mine = entries.into_iter().filter_map(|entry| match &entry.event {
            Event::Line { id, text, .. } if self.is(&entry, *id) => Some(text.clone()),
            _ => None,
        });
        mine.collect()
    }

    fn output(&self, code: i32) -> Result<Output> {
        // What it wrote last may come after the news of its end. A daemon's child keeps the
        // outputs open, so this wait is bounded.
        let mut open = 2;
        self.journal().wait(self.from, CLOSE_LIMIT, |entry| {
            if let Event::Closed { id, .. } = entry.event {
                open -= i32::from(self.is(entry, id));
            }
            (open == 0).then_some(())
        });
        let mut output = Output { code, stdout: String::new(), stderr: String::new() };
        for entry in self.journal().since(self.from) {
            if let Event::Line { id, stream, text } = &entry.event
                && self.is(&entry, *id)
            {
                let into = match stream {
                    Stream::Out => &mut output.stdout,
                    Stream::Err => &mut output.stderr,
                };
                into.push_str(text);
                into.push('\n');
            }
        }
        Ok(output)
    }

    fn is(&self, entry: &Entry, id: u64) -> bool {
        id == self.id && entry.node == self.node.0.name
    }

    fn journal(&self) -> &Journal {
        &self.node.0.shared.journal
    }
}

/// Generous: setting a node up takes some 30 ms on an idle machine.
const SETUP_LIMIT: Duration = Duration::from_secs(30);
const ORDER_LIMIT: Duration = Duration::from_secs(20);
const CLOSE_LIMIT: Duration = Duration::from_millis(500);

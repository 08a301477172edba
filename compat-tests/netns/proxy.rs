//! A balancer in a node, with this process as its client and its servers.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lab::{Event, Lab, Node, NodeFile, NodePlan, Proc, Subject, Subnet};

/// How long anything that happens at once may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// A node for a balancer, and this process's place beside it.
pub(crate) struct Bench {
    pub(crate) lab: Lab,
    pub(crate) node: Node,
    /// Where servers of this process listen.
    pub(crate) ours: IpAddr,
    /// Where clients connect: the node's address and the port every configuration here binds.
    pub(crate) front: SocketAddr,
}

/// Which daemon is on the bench.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Program {
    Haproxy,
    Nginx,
}

impl Bench {
    pub(crate) fn new(subject: &Subject) -> Result<Self> {
        let lab = Lab::new("bench")?;
        let number = lab.number() as u8;
        let (near, far) = (Ipv4Addr::new(10, 65, number, 200), Ipv4Addr::new(10, 65, number, 1));
        lab.join(Subnet::new(near, 24))?;
        let node =
            lab.node(subject.install(NodePlan::new("lb").link("eth0", Subnet::new(far, 24))))?;
        let front = SocketAddr::from((far, 6443));
        Ok(Self { lab, node, ours: near.into(), front })
    }

    /// Writes the configuration, starts the daemon and waits until it accepts connections.
    pub(crate) fn start(&self, program: Program, text: &str) -> Result<Proc> {
        let daemon = self.start_unheard(program, text)?;
        let deadline = Instant::now() + SOON;
        while self.node.run(&["sh", "-c", "grep -qi ':192B 0*:0000 0A' /proc/net/tcp"], SOON)?.code
            != 0
        {
            if let Some(code) = daemon.wait(Duration::ZERO) {
                bail!("it ended with code {code}:\n{}", daemon.lines().join("\n"));
            }
            if Instant::now() > deadline {
                bail!("it does not listen:\n{}", daemon.lines().join("\n"));
            }
        }
        Ok(daemon)
    }

    /// Writes the configuration and starts the daemon.
    pub(crate) fn start_unheard(&self, program: Program, text: &str) -> Result<Proc> {
        let (path, argv): (_, &[&str]) = match program {
            Program::Haproxy => {
                let path = "/etc/haproxy/haproxy.cfg";
                (path, &["haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"])
            }
            Program::Nginx => ("/etc/nginx/nginx.conf", &["nginx", "-g", "daemon off;"]),
        };
        self.node.write(NodeFile::new(path, text))?;
        self.node.start(argv)
    }

    /// A connection to the balancer.
    pub(crate) fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.front, SOON).context("connect")?;
        stream.set_read_timeout(Some(SOON * 2))?;
        Ok(stream)
    }

    /// Waits for a line of the log that contains every one of `words`.
    pub(crate) fn logged(&self, words: &[&str]) -> Result<String> {
        let found = self.lab.journal().wait(0, SOON, |entry| match &entry.event {
            Event::Syslog { text } if words.iter().all(|word| text.contains(word)) => {
                Some(text.clone())
            }
            _ => None,
        });
        found.with_context(|| {
            let entries = self.lab.journal().since(0);
            let logs = entries.iter().filter_map(|entry| match &entry.event {
                Event::Syslog { text } => Some(text.as_str()),
                _ => None,
            });
            format!(
                "nothing with {words:?} in the log, but:\n{}",
                logs.collect::<Vec<_>>().join("\n")
            )
        })
    }

    /// What the stats socket answers.
    pub(crate) fn ask(&self, line: &str) -> Result<String> {
        Ok(self.node.run(&["ask", SOCKET, line], SOON)?.stdout)
    }

    /// The fields of a row of `show stat`, by the names of its head.
    pub(crate) fn stat(&self, proxy: &str, name: &str, field: &str) -> Result<String> {
        let table = self.ask("show stat")?;
        let head = table.lines().next().context("no head")?.trim_start_matches("# ");
        let place =
            head.split(',').position(|one| one == field).with_context(|| format!("no {field}"))?;
        let row = table.lines().find(|row| row.starts_with(&format!("{proxy},{name},")));
        let row = row.with_context(|| format!("no row {proxy},{name} in\n{table}"))?;
        Ok(row.split(',').nth(place).unwrap_or_default().to_owned())
    }

    /// Waits until a field of `show stat` satisfies `is`.
    pub(crate) fn until_stat(
        &self,
        proxy: &str,
        name: &str,
        field: &str,
        is: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let deadline = Instant::now() + SOON * 2;
        loop {
            let found = self.stat(proxy, name, field)?;
            if is(&found) {
                return Ok(found);
            }
            if Instant::now() > deadline {
                bail!("{field} of {proxy},{name} stays {found:?}");
            }
        }
    }
}

/// Where the configurations here put HAProxy's stats socket.
pub(crate) const SOCKET: &str = "/run/haproxy/admin.sock";

/// A haproxy.cfg with Debian's logging, a stats socket, `defaults` and a backend `be`.
pub(crate) fn haproxy_cfg(defaults: &str, backend: &str) -> String {
    format!(
        "global\n    log /dev/log local0\n    stats socket {SOCKET} mode 660 level admin\n    \
         maxconn 1000\n\ndefaults\n    mode tcp\n    log global\n    option tcplog\n    \
         timeout connect 2s\n    timeout client 10s\n    timeout server 10s\n{defaults}\n\n\
         frontend fe\n    bind *:6443\n    default_backend be\n\nbackend be\n{backend}\n"
    )
}

/// An nginx.conf with an upstream `be` and lines for its server.
pub(crate) fn nginx_conf(upstream: &str, server: &str) -> String {
    format!(
        "user www-data;\nworker_processes 1;\npid /run/nginx.pid;\n\
         include /etc/nginx/modules-enabled/*.conf;\nevents {{ worker_connections 768; }}\n\
         stream {{\n    upstream be {{\n{upstream}\n    }}\n    server {{\n        listen 6443;\n        \
         proxy_pass be;\n{server}\n    }}\n}}\n"
    )
}

/// A server of this process; it ends when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers each connection on a thread of its own.
    pub(crate) fn start(ours: IpAddr, serve: fn(TcpStream, usize), mark: usize) -> Result<Self> {
        let listener = TcpListener::bind((ours, 0)).context("listen")?;
        let address = listener.local_addr()?;
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if count.load(Ordering::SeqCst) == CLOSED {
                    return;
                }
                count.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || serve(stream, mark));
            }
        });
        Ok(Self { address, accepted, thread: Some(thread) })
    }

    /// How many connections `accept()` returned.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepted.store(CLOSED, Ordering::SeqCst);
        // One more connection wakes the thread, which then lets the listener go.
        TcpStream::connect_timeout(&self.address, SOON).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

const CLOSED: usize = usize::MAX;

/// Says its mark whenever it is spoken to, and keeps the connection until the client ends it.
pub(crate) fn say_mark(mut stream: TcpStream, mark: usize) {
    let mut byte = [0];
    while stream.read_exact(&mut byte).is_ok() {
        stream.write_all(&[b'0' + mark as u8]).ok();
    }
}

/// Reads to the end, then answers what it read, and closes.
pub(crate) fn answer_at_end(mut stream: TcpStream, _: usize) {
    let mut text = Vec::new();
    if stream.read_to_end(&mut text).is_ok() {
        stream.write_all(b"got ").ok();
        stream.write_all(&text).ok();
        stream.shutdown(Shutdown::Write).ok();
    }
}

/// Takes what comes and never says a word.
pub(crate) fn stay_silent(mut stream: TcpStream, _: usize) {
    let mut bytes = [0; 1024];
    while stream.read(&mut bytes).is_ok_and(|read| read > 0) {}
}

/// Speaks and returns which server answered.
pub(crate) fn mark_of(stream: &mut TcpStream) -> Result<usize> {
    stream.write_all(b"?")?;
    let mut byte = [0];
    stream.read_exact(&mut byte).context("no server answered")?;
    Ok(usize::from(byte[0] - b'0'))
}

/// How long until the peer ends the connection, by an end or a reset.
pub(crate) fn until_closed(stream: &mut TcpStream) -> Result<Duration> {
    let from = Instant::now();
    let mut bytes = [0; 64];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return Ok(from.elapsed()),
            Ok(_) => {}
            Err(why) if why.kind() == std::io::ErrorKind::ConnectionReset => {
                return Ok(from.elapsed());
            }
            Err(why) => bail!("the connection stays open: {why}"),
        }
    }
}

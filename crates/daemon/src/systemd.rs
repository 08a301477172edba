//! Telling the service manager (`sd_notify(3)`).

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The line to the service manager, if there is one.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
}

impl Notifier {
    /// The manager `NOTIFY_SOCKET` names; nobody if it is unset or cannot be reached.
    #[must_use]
    pub fn from_env() -> Self {
        let address = std::env::var_os("NOTIFY_SOCKET");
        Self { socket: address.and_then(|address| Self::connect(&address).ok()) }
    }

    fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
        let address = match address.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(address)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }

    /// Sends `state`, lines of `NAME=value`. A manager that does not listen is no error.
    pub fn notify(&self, state: &str) {
        if let Some(socket) = &self.socket {
            let _ = socket.send(state.as_bytes());
        }
    }

    /// Starting has ended; the process `pid` is the one to watch.
    pub fn ready(&self, pid: u32) {
        self.notify(&format!("READY=1\nMAINPID={pid}"));
    }

    /// Reloading begins; [`ready`](Self::ready) ends it.
    pub fn reloading(&self) {
        let now = monotonic_micros();
        self.notify(&format!("RELOADING=1\nMONOTONIC_USEC={now}"));
    }

    /// Still alive; see [`watchdog`].
    pub fn alive(&self) {
        self.notify("WATCHDOG=1");
    }

    /// Stopping begins.
    pub fn stopping(&self) {
        self.notify("STOPPING=1");
    }
}

/// How often the manager wants to hear [`alive`](Notifier::alive) from this process: half of what
/// it waits (`sd_watchdog_enabled(3)`), so that one may be late. `None` if it does not watch us.
#[must_use]
pub fn watchdog() -> Option<Duration> {
    let variable = |name| std::env::var(name).ok();
    let pid = std::process::id();
    interval(variable("WATCHDOG_USEC").as_deref(), variable("WATCHDOG_PID").as_deref(), pid)
}

/// Tells the manager for ever that this thread's event loop turns, if it wants to hear it.
///
/// Meant to be spawned beside what the loop does.
pub async fn feed_watchdog() {
    let Some(interval) = watchdog() else { return };
    let notifier = Notifier::from_env();
    loop {
        notifier.alive();
        tokio::time::sleep(interval).await;
    }
}

fn interval(micros: Option<&str>, meant: Option<&str>, pid: u32) -> Option<Duration> {
    if meant.is_some_and(|meant| meant.parse() != Ok(pid)) {
        return None;
    }
    let micros: u64 = micros?.parse().ok()?;
    (micros > 1).then(|| Duration::from_micros(micros / 2))
}

/// `CLOCK_MONOTONIC` in microseconds, which `Type=notify-reload` asks for: the time since boot, but
/// for the time suspended.
fn monotonic_micros() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    now.map_or(0, |now| {
        let seconds = u64::try_from(now.tv_sec()).unwrap_or(0);
        seconds * 1_000_000 + u64::try_from(now.tv_nsec()).unwrap_or(0) / 1_000
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).expect("it was sent");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn a_manager_is_told_over_a_path() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("bound");
        let socket = Notifier::connect(path.as_os_str()).expect("it listens");
        let notifier = Notifier { socket: Some(socket) };
        notifier.ready(77);
        assert_eq!(said(&manager), "READY=1\nMAINPID=77");
        notifier.reloading();
        let reloading = said(&manager);
        let micros = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("both lines");
        assert!(micros.parse::<u64>().is_ok_and(|micros| micros > 0));
        notifier.alive();
        assert_eq!(said(&manager), "WATCHDOG=1");
        notifier.stopping();
        assert_eq!(said(&manager), "STOPPING=1");
        drop(manager);
        notifier.stopping();
    }

    #[test]
    fn a_manager_is_told_over_an_abstract_name() {
        let name = format!("evergate-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("short enough");
        let manager = UnixDatagram::bind_addr(&address).expect("bound");
        let socket = Notifier::connect(OsStr::new(&format!("@{name}"))).expect("it listens");
        Notifier { socket: Some(socket) }.stopping();
        assert_eq!(said(&manager), "STOPPING=1");
    }

    #[test]
    fn a_watchdog_is_told_twice_in_its_time_by_the_process_it_watches() {
        let second = Some(Duration::from_millis(500));
        assert_eq!(interval(Some("1000000"), None, 7), second);
        assert_eq!(interval(Some("1000000"), Some("7"), 7), second);
        for (micros, meant) in
            [(None, None), (Some("1000000"), Some("8")), (Some("0"), None), (Some("x"), None)]
        {
            assert_eq!(interval(micros, meant, 7), None, "{micros:?} {meant:?}");
        }
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        Notifier::default().ready(1);
    }
}

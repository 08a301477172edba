//! What befalls a running daemon, in a network namespace of its own.
//!
//! Needs the privilege to make one, and iproute2; what is skipped without them is said.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use linux::raw::{Cast, IPPROTO_VRRP, VrrpSocket};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Long enough for anything that is going to happen at all.
const PATIENCE: Duration = Duration::from_secs(20);
const ADDRESS: &str = "192.0.2.100";

fn in_a_namespace(body: impl FnOnce() + Send + 'static) {
    if let Err(error) = Command::new("ip").arg("-V").output() {
        eprintln!("SKIPPED: iproute2 is not installed: {error}");
        return;
    }
    let thread = std::thread::spawn(|| match unshare(CloneFlags::CLONE_NEWNET) {
        Ok(()) => {
            make_link();
            body();
        }
        Err(error) => eprintln!("SKIPPED: no network namespace: {error}"),
    });
    thread.join().expect("the body's assertions hold");
}

fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("iproute2");
    assert!(output.status.success(), "ip {arguments}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn make_link() {
    ip("link add evergate0 type veth peer name peer");
    ip("link set peer up");
    ip("link set evergate0 up");
    ip("address add 192.0.2.1/24 dev evergate0");
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An instance that becomes master within half a second, and `more`.
fn configuration(track: &str, more: &str) -> String {
    format!(
        "global_defs {{ script_user root\n enable_script_security\n }}\n{more}
         vrrp_instance VI_1 {{\n interface evergate0\n virtual_router_id 51\n version 3
         advert_int 0.1\n virtual_ipaddress {{\n {ADDRESS}/24\n }}\n{track}\n}}\n"
    )
}

struct Daemon {
    child: Child,
    directory: tempfile::TempDir,
}

impl Daemon {
    fn start(text: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = |name| directory.path().join(name);
        std::fs::write(path("conf"), text).expect("writable");
        let mut command = Command::new(env!("CARGO_BIN_EXE_failoverd"));
        let arguments: [&OsStr; 5] = ["-n", "-l", "-D", "-G", "-f"].map(OsStr::new);
        command.args(arguments).arg(path("conf"));
        command.arg("-p").arg(path("pid")).arg("-r").arg(path("role"));
        command.env_remove("NOTIFY_SOCKET").stdin(Stdio::null());
        command.stderr(std::fs::File::create(path("log")).expect("writable"));
        Self { child: command.spawn().expect("it was built"), directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path("log")).unwrap_or_default()).into_owned()
    }

    fn wait_for_log(&self, text: &str, times: usize) {
        wait_for(text, || self.log().matches(text).count() >= times);
    }

    fn role(&self) -> i32 {
        let text = std::fs::read_to_string(self.path("role")).expect("it runs");
        text.trim().parse().expect("a number")
    }

    fn reload(&self, text: &str) {
        let done = self.log().matches("Reload complete").count() + 1;
        std::fs::write(self.path("conf"), text).expect("writable");
        let pid = Pid::from_raw(self.child.id().try_into().expect("a pid"));
        kill(pid, Signal::SIGHUP).expect("it runs");
        self.wait_for_log("Reload complete", done);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a pid"));
        let _ = kill(pid, Signal::SIGTERM);
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// How many processes are children of `parent`, running or not.
fn children(parent: i32) -> usize {
    let is_child = |path: PathBuf| {
        let stat = std::fs::read_to_string(path.join("stat")).ok()?;
        let (_, rest) = stat.rsplit_once(") ")?;
        (rest.split(' ').nth(1)? == parent.to_string()).then_some(())
    };
    let processes = std::fs::read_dir(Path::new("/proc")).expect("it is mounted");
    processes.filter_map(|entry| is_child(entry.ok()?.path())).count()
}

fn holds_address() -> bool {
    ip("-4 address show").contains(ADDRESS)
}

#[test]
fn a_script_that_a_reload_removes_leaves_no_process_behind() {
    in_a_namespace(|| {
        let with = |name: &str| {
            let script =
                format!("vrrp_script {name} {{\n script \"/bin/sleep 60\"\n timeout 90\n }}\n");
            configuration(&format!("track_script {{\n {name}\n }}"), &script)
        };
        let daemon = Daemon::start(&with("first"));
        wait_for("the role", || daemon.log().contains("Startup complete"));
        let role = daemon.role();
        wait_for("the script", || children(role) == 1);
        for name in ["second", "third", "fourth"] {
            daemon.reload(&with(name));
        }
        wait_for("one script, and no dead ones", || children(role) == 1);
        daemon.reload(&configuration("", ""));
        wait_for("no script at all", || children(role) == 0);
    });
}

#[test]
fn who_has_no_socket_to_hear_others_with_is_not_master_until_there_is_one() {
    in_a_namespace(|| {
        let daemon = Daemon::start(&configuration("", ""));
        daemon.wait_for_log("Entering MASTER STATE", 1);
        wait_for("the address", holds_address);
        ip("link del evergate0");
        daemon.wait_for_log("Entering FAULT STATE", 1);
        let limit = |soft: u32| {
            let (pid, limit) =
                (format!("--pid={}", daemon.role()), format!("--nofile={soft}:4096"));
            let status = Command::new("prlimit").args([pid, limit]).status().expect("util-linux");
            assert!(status.success());
        };
        // No descriptor is left, and the interface that returns needs one.
        limit(3);
        make_link();
        daemon.wait_for_log("cannot open a raw socket", 1);
        daemon.wait_for_log("Netlink reports evergate0 up", 1);
        // Ten times as long as a backup waits.
        std::thread::sleep(Duration::from_secs(4));
        assert!(!holds_address());
        assert_eq!(daemon.log().matches("cannot open a raw socket").count(), 1, "said once");
        limit(1024);
        daemon.wait_for_log("Entering MASTER STATE", 2);
        wait_for("the address", holds_address);
    });
}

#[test]
fn an_interface_that_is_renamed_is_gone_and_back_when_it_is_named_again() {
    in_a_namespace(|| {
        let daemon = Daemon::start(&configuration("", ""));
        daemon.wait_for_log("Entering MASTER STATE", 1);
        ip("link set evergate0 name other0");
        daemon.wait_for_log("Netlink reports evergate0 down", 1);
        daemon.wait_for_log("Entering FAULT STATE", 1);
        wait_for("nobody has the address", || !holds_address());
        ip("link set other0 name evergate0");
        daemon.wait_for_log("Entering MASTER STATE", 2);
        wait_for("the address", holds_address);
    });
}

#[test]
fn an_address_taken_away_by_hand_is_won_again() {
    in_a_namespace(|| {
        let daemon = Daemon::start(&configuration("", ""));
        wait_for("the address", holds_address);
        ip("address del 192.0.2.100/24 dev evergate0");
        daemon.wait_for_log("removed from evergate0", 1);
        daemon.wait_for_log("Entering MASTER STATE", 2);
        wait_for("the address", holds_address);
        assert!(!daemon.log().contains("cannot"), "{}", daemon.log());
    });
}

#[test]
fn a_second_daemon_leaves_the_first_alone_whichever_pid_file_they_share() {
    in_a_namespace(|| {
        let daemon = Daemon::start(&configuration("", ""));
        wait_for("the role", || daemon.log().contains("Startup complete"));
        let other = daemon.path("other");
        for (parent, role) in [(daemon.path("pid"), &other), (other.clone(), &daemon.path("role"))]
        {
            let mut command = Command::new(env!("CARGO_BIN_EXE_failoverd"));
            command.args(["-n", "-l", "-G", "-f"]).arg(daemon.path("conf"));
            let output = command.arg("-p").arg(parent).arg("-r").arg(role).output();
            let output = output.expect("it was built");
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{said}");
            assert!(said.contains("daemon is already running"), "{said}");
            assert!(!said.contains("Starting VRRP child process"), "{said}");
            assert!(!other.exists());
        }
        assert!(daemon.path("pid").exists() && daemon.path("role").exists());
        assert!(!daemon.log().contains("Stopping"), "{}", daemon.log());
    });
}

#[test]
fn a_role_that_is_killed_is_followed_by_one_that_stays_master_whatever_the_file_says_now() {
    in_a_namespace(|| {
        // At this interval the addresses have no lease, and a backup would wait 0.3 s.
        let daemon = Daemon::start(&configuration("", ""));
        daemon.wait_for_log("Entering MASTER STATE", 1);
        wait_for("the address", holds_address);
        std::fs::write(daemon.path("conf"), "no configuration {").expect("writable");
        let killed = daemon.role();
        kill(Pid::from_raw(killed), Signal::SIGKILL).expect("it runs");
        daemon.wait_for_log("still MASTER after this process was restarted", 1);
        assert!(holds_address());
        wait_for("its pid file", || std::fs::read_to_string(daemon.path("role")).is_ok());
        assert_ne!(daemon.role(), killed);
        assert_eq!(daemon.log().matches("Entering").count(), 2, "no state was entered again");
        // The broken file is refused, and the configuration that runs can be read again.
        let pid = Pid::from_raw(daemon.child.id().try_into().expect("a pid"));
        kill(pid, Signal::SIGHUP).expect("it runs");
        daemon.wait_for_log("the running configuration is kept", 1);
        assert!(holds_address());
    });
}

#[test]
fn a_signal_to_the_role_alone_has_the_file_read_again() {
    in_a_namespace(|| {
        let daemon = Daemon::start(&configuration("", ""));
        daemon.wait_for_log("Entering MASTER STATE", 1);
        let more = "vrrp_instance VI_2 {\n interface evergate0\n virtual_router_id 52\n version 3
             advert_int 0.1\n virtual_ipaddress {\n 192.0.2.101/24\n }\n}\n";
        std::fs::write(daemon.path("conf"), configuration("", more)).expect("writable");
        kill(Pid::from_raw(daemon.role()), Signal::SIGHUP).expect("it runs");
        daemon.wait_for_log("(VI_2) Entering MASTER STATE", 1);
        assert_eq!(daemon.log().matches("(VI_1) Entering MASTER STATE").count(), 1);
    });
}

#[test]
fn a_role_that_was_frozen_for_long_before_it_died_listens_first() {
    in_a_namespace(|| {
        let daemon = Daemon::start(&configuration("", ""));
        daemon.wait_for_log("Entering MASTER STATE", 1);
        let role = Pid::from_raw(daemon.role());
        kill(role, Signal::SIGSTOP).expect("it runs");
        // Three times as long as a backup waits.
        std::thread::sleep(Duration::from_secs(1));
        kill(role, Signal::SIGKILL).expect("it is there");
        daemon.wait_for_log("(VI_1) Entering MASTER STATE", 2);
        assert!(!daemon.log().contains("still MASTER"), "{}", daemon.log());
    });
}

fn sysctl(path: &str) -> String {
    let path = format!("/proc/sys/net/ipv4/conf/{path}");
    std::fs::read_to_string(path).expect("a setting").trim_end().to_owned()
}

#[test]
fn what_a_role_that_died_changed_is_set_back_by_the_one_after_it() {
    in_a_namespace(|| {
        if std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "1").is_err() {
            return eprintln!("SKIPPED: /proc/sys is not to be written");
        }
        let settings = || {
            ["all/rp_filter", "evergate0/rp_filter", "evergate0/arp_ignore", "evergate0/arp_filter"]
                .map(sysctl)
        };
        let before = settings();
        {
            let daemon = Daemon::start(&configuration("use_vmac\n", ""));
            wait_for("the address", || ip("address show").contains(ADDRESS));
            // As keepalived: of rp_filter, the greater of `all` and the interface's own counts.
            assert_eq!(settings(), ["0", "1", "1", "1"]);
            assert_eq!(sysctl("vrrp.51/rp_filter"), "0");
            let role = daemon.role();
            kill(Pid::from_raw(role), Signal::SIGKILL).expect("it runs");
            daemon.wait_for_log("still MASTER", 1);
        }
        assert_eq!(settings(), before);
        assert!(!ip("link show").contains("vrrp.51"));
    });
}

#[test]
fn a_virtual_mac_s_interface_that_goes_down_or_is_renamed_costs_the_mastership_only() {
    in_a_namespace(|| {
        let _daemon = Daemon::start(&configuration("use_vmac\n", ""));
        let holds = || ip("-br address show").contains(ADDRESS);
        wait_for("the address", holds);
        ip("link set vrrp.51 down");
        wait_for("no address on an interface that is down", || !holds());
        ip("link set vrrp.51 up");
        wait_for("the address", holds);
        ip("link set vrrp.51 down");
        ip("link set vrrp.51 name elsewhere");
        let is_new = || {
            let links = ip("-br address show up");
            links.lines().any(|l| l.starts_with("vrrp.51@") && l.contains(ADDRESS))
        };
        wait_for("the address on a new interface", is_new);
        assert!(!ip("link show").contains("elsewhere"));
    });
}

/// Name servers that hear questions and never answer, in place of the system's own.
fn silent_name_servers() -> Vec<UdpSocket> {
    ip("link set lo up");
    let resolv = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let named =
        resolv.lines().filter_map(|line| line.strip_prefix("nameserver")?.trim().parse().ok());
    let mut servers: Vec<IpAddr> = named.collect();
    if servers.is_empty() {
        servers.push(Ipv4Addr::LOCALHOST.into());
    }
    let listen = |server: &IpAddr| {
        if !server.is_loopback() {
            let length = if server.is_ipv4() { 32 } else { 128 };
            ip(&format!("address add {server}/{length} dev lo"));
        }
        UdpSocket::bind((*server, 53)).expect("nobody else is here")
    };
    servers.iter().map(listen).collect()
}

#[test]
fn a_name_server_that_never_answers_keeps_no_end_waiting() {
    in_a_namespace(|| {
        let servers = silent_name_servers();
        let mail = "global_defs {\n notification_email {\n a@b.c\n }\n\
                    smtp_server mail.example.test\n smtp_alert\n }\n";
        let mut daemon = Daemon::start(&configuration("", mail));
        let asked = || {
            servers.iter().any(|server| {
                server.set_nonblocking(true).expect("a socket");
                server.recv(&mut [0; 512]).is_ok()
            })
        };
        wait_for("the relay's name is asked for", asked);
        let pid = Pid::from_raw(daemon.child.id().try_into().expect("a pid"));
        kill(pid, Signal::SIGTERM).expect("it runs");
        assert!(daemon.child.wait().expect("a child").success());
        let log = daemon.log();
        assert!(!log.contains("does not stop, killing it"), "{log}");
    });
}

#[test]
fn an_instance_that_is_taken_out_of_the_file_resigns_even_if_it_was_alone_on_its_interface() {
    in_a_namespace(|| {
        ip("link add evergate1 type veth peer name beyond");
        ip("link set beyond up");
        ip("link set evergate1 up");
        ip("address add 198.51.100.1/24 dev evergate1");
        let one = configuration("", "");
        let other = one.replace("VI_1", "VI_2").replace("evergate0", "evergate1");
        let other = other.replace(ADDRESS, "198.51.100.100");
        // What comes there is from an address of the same namespace.
        for (name, value) in [("accept_local", "1"), ("rp_filter", "0")] {
            let path = format!("/proc/sys/net/ipv4/conf/beyond/{name}");
            if std::fs::write(path, value).is_err() {
                return eprintln!("SKIPPED: /proc/sys is not to be written");
            }
        }
        let link = ip("-o link show beyond");
        let link = link.split(':').next().and_then(|index| index.parse().ok()).expect("an index");
        let group = Cast::Multicast(IpAddr::from([224, 0, 0, 18]));
        let heard = VrrpSocket::open("beyond", link, group, IPPROTO_VRRP).expect("a raw socket");
        let daemon = Daemon::start(&format!("{one}{other}"));
        wait_for("the address", || ip("address show").contains("198.51.100.100"));
        daemon.reload(&one);
        let mut packet = [0; 128];
        wait_for("an advert of priority 0", || {
            while let Ok(received) = heard.receive(&mut packet) {
                // Behind the 20 bytes of the IP header: version and type, number, priority.
                if received.length > 22 && packet[22] == 0 {
                    return true;
                }
            }
            false
        });
    });
}

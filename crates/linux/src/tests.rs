//! Every wrapper makes its call. Those that need a capability are checked either way: they work
//! with it, and fail with `EPERM` without.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use nix::sys::signal::Signal;

use crate::clock::LocalTime;
use crate::packet::FrameSocket;
use crate::pidfd::ChildFd;
use crate::process::{
    Capability, dies_with_parent, has_capability, keep_capabilities, regain_capabilities, set_name,
    trim_heap,
};
use crate::raw::{Cast, IPPROTO_VRRP, VrrpSocket};
use crate::route::RouteSocket;
use crate::user::Identity;
use crate::{file, poll};

const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));

fn may_open_raw_sockets() -> bool {
    has_capability(Capability::NetRaw).expect("capget never fails")
}

#[test]
fn a_raw_socket_opens_with_the_capability_and_only_with_it() {
    match VrrpSocket::open("lo", 1, Cast::Multicast(GROUP), IPPROTO_VRRP) {
        Ok(socket) => {
            assert!(may_open_raw_sockets());
            let error = socket.receive(&mut [0; 64]).expect_err("nothing was sent");
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            assert!(!may_open_raw_sockets());
        }
    }
}

#[test]
fn a_raw_socket_refuses_an_interface_that_does_not_exist() {
    let error = VrrpSocket::open("no-such-if", 1, Cast::Unicast4, IPPROTO_VRRP)
        .expect_err("no such interface");
    let expected = if may_open_raw_sockets() { libc::ENODEV } else { libc::EPERM };
    assert_eq!(error.raw_os_error(), Some(expected));
}

#[test]
fn a_packet_to_ourselves_arrives_with_its_ip_header() {
    if !may_open_raw_sockets() {
        return;
    }
    let socket = VrrpSocket::open("lo", 1, Cast::Unicast4, IPPROTO_VRRP).expect("allowed");
    // A header of 20 bytes, protocol 112, to 127.0.0.1, and four bytes that are no advert.
    let mut packet = [0; 24];
    packet[0] = 0x45;
    packet[8] = 255;
    packet[9] = 112;
    packet[12..16].copy_from_slice(&[127, 0, 0, 1]);
    packet[16..20].copy_from_slice(&[127, 0, 0, 1]);
    packet[20..].copy_from_slice(b"\xff\0xx");
    if let Err(error) = socket.send(&packet, Ipv4Addr::LOCALHOST) {
        // A fresh network namespace has its loopback down.
        assert!(matches!(error.raw_os_error(), Some(libc::ENETUNREACH | libc::ENETDOWN)));
        return;
    }
    let mut buffer = [0; 64];
    // Loopback delivers within send().
    let received = socket.receive(&mut buffer).expect("it is there");
    assert_eq!((received.length, received.header), (packet.len(), None));
    assert_eq!(buffer[8], 255);
    assert_eq!(buffer[20..24], packet[20..]);
}

#[test]
fn a_packet_over_ipv6_arrives_with_what_its_header_said() {
    if !may_open_raw_sockets() {
        return;
    }
    // Where IPv6 is switched off there is nothing to try.
    let Ok(socket) = VrrpSocket::open("lo", 1, Cast::Unicast6, IPPROTO_VRRP) else { return };
    let us = Ipv6Addr::LOCALHOST;
    if socket.send_v6(b"\xff\0xx", us, us, Some(77)).is_err() {
        return;
    }
    let mut buffer = [0; 64];
    let received = socket.receive(&mut buffer).expect("it is there");
    assert_eq!(&buffer[..received.length], b"\xff\0xx");
    let header = received.header.expect("of IPv6");
    assert_eq!((header.source, header.destination, header.hop_limit), (us, us, 77));
    let error = socket.receive(&mut buffer).expect_err("only one was sent");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    // A source that is nobody's, a hop limit that is the kernel's, and a group.
    let group = IpAddr::V6("ff02::12".parse().expect("an address"));
    let socket = VrrpSocket::open("lo", 1, Cast::Multicast(group), IPPROTO_VRRP).expect("allowed");
    let foreign = "fe80::51".parse().expect("an address");
    let to = "ff02::12".parse().expect("an address");
    if let Err(error) = socket.send_v6(b"x", foreign, to, None) {
        assert!(matches!(error.raw_os_error(), Some(libc::ENETUNREACH | libc::EADDRNOTAVAIL)));
    }
}

#[test]
fn a_frame_socket_refuses_what_is_no_frame_and_an_interface_that_is_none() {
    let Ok(socket) = FrameSocket::open() else {
        assert!(!may_open_raw_sockets());
        return;
    };
    let error = socket.send(1, &[0; 13]).expect_err("13 bytes are no Ethernet header");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error = socket.send(i32::MAX as u32, &[0; 42]).expect_err("no such interface");
    assert_eq!(error.raw_os_error(), Some(libc::ENXIO));
}

#[test]
fn the_process_name_is_what_ps_shows_and_is_cut_to_15_bytes() {
    std::thread::spawn(|| {
        set_name(OsStr::new("a-name-longer-than-that"));
        let comm = std::fs::read_to_string("/proc/thread-self/comm").expect("proc is mounted");
        assert_eq!(comm, "a-name-longer-t\n");
    })
    .join()
    .expect("the thread's assertions hold");
}

#[test]
fn a_child_is_told_when_the_thread_that_started_it_ends() {
    let mut child = std::thread::spawn(|| {
        let mut command = Command::new("sleep");
        command.arg("60").stdin(Stdio::null());
        dies_with_parent(&mut command, Signal::SIGTERM);
        command.spawn().expect("sleep is installed")
    })
    .join()
    .expect("the thread does not panic");
    let status = child.wait().expect("it is our child");
    assert_eq!(status.signal(), Some(Signal::SIGTERM as i32));
}

#[test]
fn trimming_the_heap_leaves_it_usable() {
    drop(vec![1_u8; 1 << 20]);
    trim_heap();
    assert_eq!(Box::new([7_u8; 64])[63], 7);
}

#[test]
fn code_that_only_starting_needed_is_given_back_and_the_program_still_runs() {
    /// How much of the program's file this process has as it is in the file, in kB.
    fn resident() -> u64 {
        let program = std::env::current_exe().expect("a program");
        let program = program.to_str().expect("a path of text").to_owned();
        let maps = std::fs::read_to_string("/proc/self/smaps").expect("procfs");
        let (mut ours, mut total) = (false, 0);
        for line in maps.lines() {
            if line.contains(" r-xp ") || line.contains("-p ") {
                ours = line.contains(" r-xp ") && line.ends_with(&program);
            } else if let Some(rest) = line.strip_prefix("Rss:").filter(|_| ours) {
                let number = rest.trim().trim_end_matches(" kB");
                total += number.parse::<u64>().expect("a number");
            }
        }
        total
    }
    let before = resident();
    crate::pages::settle();
    let after = resident();
    assert!(after < before, "{after} kB are left of {before}");
    assert_eq!(format!("{:?}", "x".repeat(3).parse::<u8>().is_err()), "true");
}

#[test]
fn a_lock_is_refused_to_a_second_open_of_the_same_file() {
    let path = tempfile::NamedTempFile::new().expect("a temporary directory").into_temp_path();
    let open = || File::options().write(true).open(&path).expect("it was just made");
    let (first, second) = (open(), open());
    assert!(file::try_lock(&first).expect("a lock"));
    assert!(!file::try_lock(&second).expect("an answer"));
    drop(first);
    assert!(file::try_lock(&second).expect("a lock"));
}

#[test]
fn a_memory_file_is_read_from_its_start() {
    let fd = file::memory_file("test", b"vrrp_instance").expect("memory");
    let mut text = String::new();
    File::from(fd).read_to_string(&mut text).expect("readable");
    assert_eq!(text, "vrrp_instance");
}

#[test]
fn a_full_pipe_is_not_writable() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    assert!(poll::is_writable(writer.as_fd()));
    let block = [0; 4096];
    let mut written = 0;
    while poll::is_writable(writer.as_fd()) {
        std::io::Write::write_all(&mut &writer, &block).expect("it said so");
        written += block.len();
        assert!(written <= 1 << 24, "no pipe is that large");
    }
    drop(reader);
}

#[test]
fn a_moment_is_written_as_syslog_and_the_c_locale_write_it() {
    let mut time = LocalTime::from(UNIX_EPOCH + Duration::from_micros(1_795_230_191_000_042));
    // Whatever the zone of this machine, the fields below are all the formats look at.
    (time.year, time.month, time.day, time.weekday) = (2026, 11, 5, 4);
    (time.hour, time.minute, time.second) = (3, 3, 11);
    assert_eq!(time.rfc3164().to_string(), "Nov  5 03:03:11");
    assert_eq!(time.c_locale().to_string(), "Thu Nov  5 03:03:11 2026");
    assert_eq!(time.micros, 42);
}

#[test]
fn local_time_agrees_with_the_clock_and_its_offset() {
    let second = 1_795_230_191;
    let time = LocalTime::from(UNIX_EPOCH + Duration::from_secs(second));
    let of_day = (second as i64 + i64::from(time.offset)).rem_euclid(86_400);
    let fields = i64::from(time.hour) * 3600 + i64::from(time.minute) * 60 + i64::from(time.second);
    assert_eq!(fields, of_day);
    assert_eq!(time.year, 2026);
}

#[test]
fn a_user_is_found_by_name_and_an_unknown_one_is_none() {
    assert_eq!(Identity::of("root", None).expect("readable"), Some(Identity { uid: 0, gid: 0 }));
    assert_eq!(Identity::of("root", Some("no such group")).expect("readable"), None);
    assert_eq!(Identity::of("no such user", None).expect("readable"), None);
    assert_eq!(Identity::current().uid, nix::unistd::geteuid().as_raw());
}

#[test]
fn a_route_socket_answers_a_dump_of_the_links() {
    let socket = RouteSocket::open(0, 1 << 16).expect("no privilege is needed");
    assert!(socket.receive(&mut Vec::new()).is_err_and(|e| e.kind() == ErrorKind::WouldBlock));
    // nlmsghdr of RTM_GETLINK (18) with NLM_F_REQUEST | NLM_F_DUMP, and a zero ifinfomsg.
    let mut request = vec![0; 32];
    request[0] = 32;
    request[4] = 18;
    request[6..8].copy_from_slice(&0x301_u16.to_ne_bytes());
    socket.send(&request).expect("taken");
    let mut buffer = Vec::new();
    let length = socket.receive(&mut buffer).expect("the answer is there at once");
    assert!(length >= 32);
    // RTM_NEWLINK: there is always a loopback.
    assert_eq!(buffer[4], 16);
}

#[test]
fn a_watched_socket_becomes_readable_when_the_kernel_answers() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let socket = RouteSocket::open(0, 0).expect("no privilege is needed");
        let socket = crate::ready::watch(socket).expect("room for it");
        // An empty request of an unknown type is answered with an error.
        let mut request = [0; 16];
        request[0] = 16;
        request[4..6].copy_from_slice(&0xfff_u16.to_ne_bytes());
        request[6] = 1;
        socket.get_ref().send(&request).expect("taken");
        let mut ready = socket.readable().await.expect("watched");
        let mut buffer = Vec::new();
        let received = ready.try_io(|socket| socket.get_ref().receive(&mut buffer));
        assert!(received.is_ok_and(|length| length.is_ok_and(|length| length >= 20)));
    });
}

#[test]
fn a_child_is_waited_for_by_its_descriptor_and_signalled_with_its_group() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60; true"]).stdin(Stdio::null()).process_group(0);
        let child = ChildFd::new(command.spawn().expect("a shell")).expect("a descriptor");
        let mut child = crate::ready::watch(child).expect("room for it");
        assert!(child.get_mut().try_wait().expect("ours").is_none());
        child.get_ref().signal_group(Signal::SIGKILL);
        drop(child.readable().await.expect("watched"));
        let status = child.get_mut().try_wait().expect("ours").expect("it has ended");
        assert_eq!(status.signal(), Some(9));
        child.get_ref().signal(Signal::SIGTERM);
    });
}

#[test]
fn a_child_is_as_preferred_as_usual_whatever_its_parent_is() {
    std::thread::spawn(|| {
        // Downwards needs a privilege, upwards does not: 5 stands for any other value.
        crate::process::set_niceness(5).expect("upwards is allowed");
        let mut command = Command::new("nice");
        crate::process::with_usual_niceness(&mut command);
        let output = command.output().expect("coreutils");
        let nice = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let may_lower = nix::unistd::geteuid().is_root();
        assert!(nice == "0" || (!may_lower && nice == "5"), "{nice}");
    })
    .join()
    .expect("the thread's assertions hold");
}

#[test]
fn a_network_namespace_is_entered_by_its_name_by_one_thread() {
    let name = format!("evergate-{}", std::process::id());
    let ip = |action: &str| Command::new("ip").args(["netns", action, &name]).output();
    if !ip("add").is_ok_and(|output| output.status.success()) {
        return eprintln!("SKIPPED: no network namespace can be made");
    }
    let here = || std::fs::read_link("/proc/thread-self/ns/net").expect("/proc is mounted");
    let before = here();
    let entered = name.clone();
    let there = std::thread::spawn(move || {
        crate::namespace::enter_network(&entered).expect("it is there");
        std::fs::read_link("/proc/thread-self/ns/net").expect("/proc is mounted")
    });
    let there = there.join().expect("no panic");
    // One thing at a time is done there, and the thread is back.
    let network = crate::namespace::Network::open(&name).expect("it is there");
    assert_eq!(network.within(here).expect("it may be entered"), there);
    assert_eq!(here(), before);
    ip("delete").expect("iproute2");
    assert_ne!(there, before);
    assert_eq!(here(), before);
    let gone = crate::namespace::enter_network(&name).expect_err("it is gone");
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    assert_eq!(
        crate::namespace::enter_network("../../proc/1/ns/net").expect_err("no name").kind(),
        ErrorKind::InvalidInput
    );
}

#[test]
fn the_tcp_listeners_of_a_process_are_copied_and_nothing_else() {
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let _udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let me = i32::try_from(std::process::id()).expect("small");
    let copies = crate::pidfd::listeners_of(me).expect("a process may trace itself");
    let address = tcp.local_addr().expect("bound");
    let mut copies = copies.into_iter().map(std::net::TcpListener::from);
    // Other tests of this process may listen too.
    let copy = copies.find(|copy| copy.local_addr().is_ok_and(|its| its == address));
    let copy = copy.expect("it listens");
    drop(tcp);
    let client = std::net::TcpStream::connect(address).expect("the copy listens on");
    let (_, peer) = copy.accept().expect("a connection");
    assert_eq!(client.local_addr().expect("connected"), peer);
    let error = crate::pidfd::listeners_of(i32::MAX).expect_err("no such process");
    assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
}

#[test]
fn a_capability_is_kept_across_a_change_of_the_user_and_the_others_are_not() {
    if !has_capability(Capability::NetAdmin).expect("capget never fails") || !may_open_raw_sockets()
    {
        assert!(regain_capabilities(&[Capability::NetAdmin]).is_err());
        return;
    }
    // Capabilities and, where the system call is made for a thread alone, users are a thread's.
    let kept = std::thread::spawn(|| {
        keep_capabilities().expect("nobody has forbidden it");
        let both = [Capability::NetRaw, Capability::NetBindService];
        regain_capabilities(&both).expect("they are permitted");
        let has = |one| has_capability(one).expect("capget never fails");
        (
            has(Capability::NetRaw) && has(Capability::NetBindService),
            has(Capability::NetAdmin),
            regain_capabilities(&[Capability::NetAdmin]),
        )
    });
    let (raw, admin, again) = kept.join().expect("it ends");
    assert!(raw && !admin);
    assert_eq!(again.map_err(|error| error.kind()), Err(ErrorKind::PermissionDenied));
}

#[test]
fn a_namespace_that_is_not_there_is_not_opened_and_no_path_is_a_name() {
    use crate::namespace::Network;
    let error = Network::open("evergate-there-is-none").expect_err("nobody made it");
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    for name in ["", "../self/ns/net", "a/b"] {
        let error = Network::open(name).expect_err("no name");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{name}");
    }
}

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

use proxy::StatsSocket;

use super::*;

fn config(addresses: impl IntoIterator<Item = BindAddress>) -> Config {
    let mut config = Config::new(Flavour::HaProxy);
    config.process.threads = Threads::Count(2);
    let mut frontend = Frontend::new(2, "fe");
    frontend.binds = addresses
        .into_iter()
        .zip(7..)
        .map(|(address, line)| {
            let origin = Origin { file: "haproxy.cfg".into(), line };
            Bind { origin, ..Bind::new(address) }
        })
        .collect();
    config.frontends.push(frontend);
    config
}

fn local(fd: BorrowedFd<'_>) -> SocketAddr {
    let address = socket2::SockRef::from(&fd).local_addr().expect("bound");
    address.as_socket().expect("an internet address")
}

/// A listening socket that shares its port with nobody.
fn taken() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

#[test]
fn every_thread_has_a_socket_and_connections_need_no_options() {
    // Port 0 gives each socket a port of its own: take one that is free instead.
    let (listener, address) = taken();
    drop(listener);
    let (listeners, warnings) =
        Listeners::bind(&config([BindAddress::Inet(address)]), Vec::new()).expect("it was free");
    assert!(warnings.is_empty());
    assert_eq!(listeners.fds().map(local).collect::<Vec<_>>(), [address, address]);
    for fd in listeners.fds() {
        assert!(socket2::SockRef::from(&fd).tcp_nodelay().expect("a socket"));
    }
}

#[test]
fn one_address_that_is_taken_keeps_all_from_listening() {
    let (_holder, address) = taken();
    let (free, other) = taken();
    drop(free);
    let errors = Listeners::bind(
        &config([BindAddress::Inet(other), BindAddress::Inet(address)]),
        Vec::new(),
    )
    .expect_err("one is taken");
    let [error] = &errors[..] else { panic!("{errors:?}") };
    assert_eq!(
        error.haproxy().to_string(),
        format!(
            "Binding [haproxy.cfg:8] for frontend fe: cannot bind socket (Address already in use) \
             for [{address}]"
        )
    );
    assert_eq!(
        error.nginx().to_string(),
        format!("bind() to {address} failed (98: Address already in use)")
    );
    TcpStream::connect(other).expect_err("nothing listens");
}

#[test]
fn an_interface_that_does_not_exist_is_only_a_warning() {
    let (free, address) = taken();
    drop(free);
    let mut config = config([BindAddress::Inet(address)]);
    config.frontends[0].kind = FrontendKind::Listen;
    config.frontends[0].binds[0].interface = Some("nosuch0".into());
    let (_listeners, warnings) = Listeners::bind(&config, Vec::new()).expect("it goes on");
    let text = warnings.first().expect("a warning").haproxy().to_string();
    assert!(
        text.starts_with("Binding [haproxy.cfg:7] for proxy fe: cannot bind receiver to device"),
        "{text}"
    );
}

#[test]
fn inherited_sockets_are_taken_over_and_strangers_closed() {
    let (keep, address) = taken();
    let (stranger, other) = taken();
    let inherited = vec![OwnedFd::from(keep), OwnedFd::from(stranger)];
    let mut config = config([BindAddress::Inet(address)]);
    // Without SO_REUSEPORT nobody else could bind it: it has to be the inherited one.
    config.frontends[0].binds[0].reuseport = false;
    let (listeners, _) = Listeners::bind(&config, inherited).expect("it is there already");
    assert_eq!(listeners.fds().map(local).collect::<Vec<_>>(), [address]);
    TcpStream::connect(address).expect("it listens");
    TcpStream::connect(other).expect_err("it was closed");
    let numbers: Vec<_> = listeners.fds().map(|fd| format!("{};", fd.as_raw_fd())).collect();
    assert_eq!(listeners.environment(), numbers.concat());
}

#[test]
fn a_unix_socket_appears_with_its_mode_and_replaces_the_old_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("admin.sock");
    let mut config = config([]);
    let line = StatsSocket { mode: Some(0o640), ..stats(BindAddress::Unix(path.clone())) };
    config.process.stats_sockets.push(line);
    let (first, _) = Listeners::bind(&config, Vec::new()).expect("a path");
    let (second, _) = Listeners::bind(&config, Vec::new()).expect("again");
    drop(first);
    let mode = fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    UnixStream::connect(&path).expect("the second listens");
    drop(second);

    config.process.stats_sockets[0].address =
        BindAddress::Unix(directory.path().join("none/admin.sock"));
    config.process.stats_sockets[0].origin = Origin { file: "a.cfg".into(), line: 2 };
    let errors = Listeners::bind(&config, Vec::new()).expect_err("no such directory");
    assert_eq!(
        errors[0].haproxy().to_string(),
        format!(
            "Binding [a.cfg:2] for frontend GLOBAL: cannot bind UNIX socket (No such file or \
             directory) [{}]",
            directory.path().join("none/admin.sock").display()
        )
    );
}

fn stats(address: BindAddress) -> StatsSocket {
    StatsSocket {
        address,
        mode: None,
        user: None,
        group: None,
        level: proxy::Level::Admin,
        expose_listeners: false,
        origin: Origin::default(),
    }
}

/// A configuration with `stats socket` lines beside one `bind`.
fn with_stats(bind: BindAddress, others: impl IntoIterator<Item = BindAddress>) -> Config {
    let mut config = config([bind]);
    config.process.stats_sockets = others.into_iter().map(stats).collect();
    config
}

#[test]
fn every_kind_of_socket_is_taken_over_by_its_address() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("front.sock");
    let (free, address) = taken();
    drop(free);
    let name = format!("evergate-{}", path.display());
    let config = with_stats(
        BindAddress::Unix(path.clone()),
        [BindAddress::Inet(address), BindAddress::Abstract(name)],
    );
    let (first, _) = Listeners::bind(&config, Vec::new()).expect("all are free");
    let waiting = UnixStream::connect(&path).expect("it listens");
    let copies = first.try_clone().expect("descriptors");
    assert_eq!(copies.len(), 3);
    let (second, problems) = Listeners::bind(&config, copies).expect("they are its own");
    assert!(problems.is_empty());
    drop(first);
    // Who waited for the first is served by the second.
    let socket = second.sockets[0].fd.as_fd().try_clone_to_owned().expect("a descriptor");
    std::os::unix::net::UnixListener::from(socket).accept().expect("a client waits");
    drop(waiting);
    TcpStream::connect(address).expect("it listens");
}

#[test]
fn a_path_changes_hands_only_if_all_addresses_are_free() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("stats.sock");
    let (free, address) = taken();
    drop(free);
    let config = with_stats(BindAddress::Inet(address), [BindAddress::Unix(path.clone())]);
    let (first, _) = Listeners::bind(&config, Vec::new()).expect("all are free");
    let (_holder, other) = taken();
    let config = with_stats(BindAddress::Inet(other), [BindAddress::Unix(path.clone())]);
    Listeners::bind(&config, Vec::new()).expect_err("one is taken");
    UnixStream::connect(&path).expect("the first still listens");
    let names: Vec<_> = std::fs::read_dir(directory.path()).expect("readable").collect();
    assert_eq!(names.len(), 1, "{names:?}");
    drop(first);
}

#[test]
fn a_path_that_cannot_be_taken_is_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (free, address) = taken();
    drop(free);
    let here = directory.path().to_owned();
    let config = with_stats(BindAddress::Inet(address), [BindAddress::Unix(here.clone())]);
    let errors = Listeners::bind(&config, Vec::new()).expect_err("a directory stands there");
    let line = format!(
        "for frontend GLOBAL: cannot bind UNIX socket (Is a directory) [{}]",
        here.display()
    );
    let [error] = &errors[..] else { panic!("{errors:?}") };
    assert!(error.haproxy().to_string().ends_with(&line), "{}", error.haproxy());
}

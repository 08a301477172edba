use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::config::{BackendIndex, Bind, Origin, Running, Server, ServerAddress};

fn backend() -> impl Strategy<Value = Backend> {
    ("[a-d]", 0..3_u32, vec(1..4_u16, 0..3)).prop_map(|(name, retries, ports)| {
        let mut backend = Backend::new(2, name);
        backend.retries = retries;
        backend.servers = ports
            .into_iter()
            .map(|port| {
                let address = ServerAddress::Socket(([192, 0, 2, 1], port).into());
                Server::new(u32::from(port), format!("s{port}"), address)
            })
            .collect();
        backend
    })
}

fn frontend() -> impl Strategy<Value = Frontend> {
    ("[a-d]", vec(1..4_u16, 0..3), proptest::option::of(0..3_usize), any::<bool>()).prop_map(
        |(name, ports, backend, disabled)| {
            let mut frontend = Frontend::new(2, name);
            frontend.binds =
                ports.into_iter().map(|port| Bind::new(BindAddress::any_v4(port))).collect();
            frontend.default_backend = backend.map(BackendIndex);
            frontend.disabled = disabled;
            frontend
        },
    )
}

fn config() -> impl Strategy<Value = Config> {
    let flavour = prop_oneof![9 => Just(Flavour::HaProxy), 1 => Just(Flavour::Nginx)];
    (flavour, proptest::option::of(1..3_u32), vec(frontend(), 0..5), vec(backend(), 0..5)).prop_map(
        |(flavour, maxconn, frontends, backends)| {
            let mut config = Config::new(flavour);
            config.process.maxconn = maxconn;
            config.frontends = frontends;
            config.backends = backends;
            config
        },
    )
}

proptest! {
    #[test]
    fn a_plan_turns_the_old_configuration_into_the_new(old in config(), new in config()) {
        prop_assert_eq!(Plan::between(&old, &new).apply(&old), new);
    }

    #[test]
    fn nothing_is_to_be_done_for_what_is_equal(config in config()) {
        prop_assert_eq!(Plan::between(&config, &config), Plan::default());
    }

    #[test]
    fn an_address_is_opened_closed_or_kept(old in config(), new in config()) {
        let (opened, closed) = Plan::addresses(&old, &new);
        prop_assert!(opened.iter().all(|one| listening(&new).contains(one)));
        prop_assert!(closed.iter().all(|one| listening(&old).contains(one)));
        prop_assert!(opened.iter().all(|one| !closed.contains(one)));
    }
}

#[test]
fn a_line_that_moved_is_no_change() {
    let mut old = Config::new(Flavour::HaProxy);
    old.frontends.push(Frontend::new(2, "fe"));
    old.frontends[0].binds.push(Bind::new(BindAddress::any_v6(443)));
    let mut new = old.clone();
    new.frontends[0].binds[0].origin = Origin { file: "haproxy.cfg".into(), line: 7 };
    assert!(Plan::between(&old, &new).is_empty());
}

#[test]
fn only_the_server_that_changed_is_in_the_plan() {
    let mut old = Config::new(Flavour::HaProxy);
    for (id, name) in [(2, "a"), (3, "b"), (4, "c")] {
        old.backends.push(Backend::new(id, name));
    }
    let mut new = old.clone();
    new.backends.remove(0);
    new.backends[1].retries = 1;
    let plan = Plan::between(&old, &new);
    let [Step::RemoveBackend { at: 0 }, Step::ChangeBackend { at: 1, backend }] = &plan.steps[..]
    else {
        panic!("{plan:?}");
    };
    assert_eq!((backend.name.as_str(), backend.retries), ("c", 1));
}

proptest! {
    #[test]
    fn a_process_goes_over_to_what_it_serves_and_says_that_nothing_changed(config in config()) {
        let running = Running::from(config.clone());
        prop_assert_eq!(in_place::obstacle(&running, &config), None);
        let next = Running::new(config, Some(&running));
        prop_assert_eq!(in_place::told(&running, &next), "nothing changed");
        let shared = running.backends.iter().zip(&next.backends);
        prop_assert!(shared.into_iter().all(|(old, new)| std::sync::Arc::ptr_eq(old, new)));
    }

    #[test]
    fn something_is_said_of_every_change(old in config(), new in config()) {
        let (old, new) = (Running::from(old), Running::from(new));
        prop_assume!(old.flavour == new.flavour);
        let names = |config: &Running| config.backends.iter().map(|b| b.name.clone()).collect::<Vec<_>>();
        let same = in_place::told(&old, &new) == "nothing changed";
        // Nothing is said of an order, which is none of a user's names.
        prop_assert!(!same || old == new || names(&old) != names(&new) || old.frontends != new.frontends);
    }

    #[test]
    fn what_runs_is_the_configuration_whatever_was_before(old in config(), new in config()) {
        let next = Running::new(new.clone(), Some(&Running::from(old)));
        prop_assert_eq!(next.to_config(), new);
    }

    #[test]
    fn a_socket_goes_to_one_line_of_its_address(old in config(), new in config()) {
        let moves = in_place::moves(&old.frontends, &new.frontends);
        let mut taken: Vec<_> = moves.values().collect();
        taken.sort_unstable();
        taken.dedup();
        prop_assert_eq!(taken.len(), moves.len());
        for ((frontend, bind), (to, at)) in &moves {
            let (from, to) = (&old.frontends[*frontend], &new.frontends[*to]);
            prop_assert_eq!(&from.binds[*bind].address, &to.binds[*at].address);
            prop_assert!(!from.disabled && !to.disabled);
        }
        // What is left over on one side is on the other side nowhere.
        let (opened, closed) = Plan::addresses(&old, &new);
        prop_assert!(closed.iter().all(|one| !opened.contains(one)));
        let sockets: usize = old.frontends.iter().filter(|f| !f.disabled).map(|f| f.binds.len()).sum();
        prop_assert!(moves.len() + closed.len() <= sockets);
    }
}

#[test]
fn what_changed_is_said_by_name() {
    let mut old = Config::new(Flavour::HaProxy);
    old.frontends.push(Frontend::new(2, "fe"));
    old.backends.push(Backend::new(3, "be"));
    let address = |port| ServerAddress::Socket(([192, 0, 2, 1], port).into());
    old.backends[0].servers.push(Server::new(1, "s1", address(1)));
    old.backends[0].servers.push(Server::new(2, "s2", address(2)));
    let mut new = old.clone();
    new.backends[0].servers.remove(0);
    new.backends[0].servers.push(Server::new(3, "s3", address(3)));
    new.backends[0].retries = 1;
    new.frontends.push(Frontend::new(4, "other"));
    let (old, new) = (Running::from(old), Running::from(new));
    assert_eq!(
        in_place::told(&old, &new),
        "frontend other added; backend be: changed, server s3 added, server s1 removed"
    );
}

#[test]
fn a_process_cannot_do_again_what_it_did_with_more_rights() {
    let mut old = Config::new(Flavour::HaProxy);
    old.frontends.push(Frontend::new(2, "fe"));
    old.frontends[0].binds.push(Bind::new(BindAddress::any_v4(80)));
    let running = Running::from(old.clone());
    let changed = |change: &dyn Fn(&mut Config)| {
        let mut new = old.clone();
        change(&mut new);
        in_place::obstacle(&running, &new)
    };
    assert!(changed(&|new| new.process.user = Some("nobody".into())).is_some());
    assert!(changed(&|new| new.process.chroot = Some("/var/empty".into())).is_some());
    assert!(changed(&|new| new.process.threads = crate::Threads::Count(3)).is_some());
    assert!(changed(&|new| new.flavour = Flavour::Nginx).is_some());
    assert!(changed(&|new| new.frontends[0].binds[0].transparent = true).is_some());
    let inherited = Bind::new(BindAddress::Fd(3));
    assert!(changed(&|new| new.frontends[0].binds.push(inherited.clone())).is_some());
    assert!(changed(&|new| new.frontends[0].binds[0].proxy_protocol = true).is_none());
    assert!(
        changed(&|new| new.process.hard_stop_after = Some(std::time::Duration::ZERO)).is_none()
    );
    assert!(changed(&|new| new.frontends.clear()).is_none());
}

#[test]
fn connections_tables_and_resolvers_change_in_place_and_are_told_by_name() {
    let table = |name: &str, size, peers| crate::StickTable {
        name: name.to_owned(),
        shared_name: name.to_owned(),
        config: stick::Config::new(stick::KeyType::Ip, size),
        peers,
    };
    let mut old = Config::new(Flavour::HaProxy);
    old.process.maxconn = Some(100);
    old.process.tables = vec![table("a", 10, None), table("b", 10, Some(0)), table("c", 10, None)];
    let running = Running::from(old.clone());
    let mut new = old.clone();
    new.process.maxconn = Some(200);
    new.process.tables[0].config.size = 20;
    new.process.tables[1].config.size = 20;
    new.process.tables[2].config.key = stick::KeyType::Integer;
    new.process.tables.push(table("d", 10, None));
    assert_eq!(in_place::obstacle(&running, &new), None);
    assert_eq!(
        in_place::told(&running, &Running::from(new.clone())),
        "maxconn 200; table a changed; table b changed; table c changed, and begun anew; table d added"
    );
    // Those who were told what a table is would have to be told again.
    new.process.tables[1].config.expire = Some(1);
    assert_eq!(in_place::obstacle(&running, &new), Some("peers have to be told of other tables"));
    new.process.tables.remove(1);
    assert!(in_place::obstacle(&running, &new).is_some());
}

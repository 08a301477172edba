use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::config::{BackendIndex, Bind, Origin, Server, ServerAddress};

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

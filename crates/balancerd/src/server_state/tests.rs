use super::*;
use crate::stats;

const CONFIG: &str = "
global
    server-state-file DIR/state
defaults
    mode tcp
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend fe
    bind unix@DIR/never.sock
    default_backend be
backend be
    load-server-state-from-file global
    server a 127.0.0.1:1
    server b 127.0.0.1:2 weight 50
    server c 127.0.0.1:3
    server d 127.0.0.1:4 disabled
    server e 127.0.0.1:5
backend own
    load-server-state-from-file local
    server-state-file-name DIR/own
    server x 127.0.0.1:6
";

fn process(directory: &Path) -> (&'static Shared, &'static Board) {
    let text = CONFIG.replace("DIR", &directory.display().to_string());
    let options = haproxy_cfg::Options::sealed();
    let loaded = haproxy_cfg::load_texts(&[("t.cfg", &text)], &options);
    let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    let shared: &'static Shared = Box::leak(Box::new(Shared::new(config).unwrap()));
    let board: &'static Board = Box::leak(Box::new(Board::new(&shared.config).unwrap()));
    (shared, board)
}

/// Without the time of the last change.
fn shown((shared, board): (&'static Shared, &'static Board)) -> Vec<Vec<String>> {
    let state = stats::show_servers_state(shared, board, None).unwrap();
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let mut lines: Vec<Vec<String>> = state.lines().map(words).collect();
    lines.iter_mut().skip(2).for_each(|line| drop(line.remove(9)));
    lines
}

#[test]
fn what_is_shown_is_what_the_next_process_goes_on_from() {
    let directory = tempfile::tempdir().unwrap();
    let (shared, board) = process(directory.path());
    let ward = |server| Ward::new(shared, board, 0, server);
    ward(0).happen(Event::Order(Order::Maint));
    ward(1).happen(Event::Order(Order::Drain));
    ward(2).force(Operation::Stopped);
    ward(3).happen(Event::Order(Order::Ready));
    shared.backends[0].balancer.change(|pool, wakes| {
        pool.set_weight(shared.clock.now(), ServerId(1), 7, wakes);
    });
    shared.backends[0].servers[4].move_to(Target::Inet("127.0.0.1:99".parse().unwrap()));
    Ward::new(shared, board, 1, 0).happen(Event::Order(Order::Drain));
    let state = stats::show_servers_state(shared, board, None).unwrap();
    std::fs::write(directory.path().join("state"), &state).unwrap();
    std::fs::write(directory.path().join("own"), &state).unwrap();
    let next = process(directory.path());
    assert_eq!(load(next.0, next.1), [""; 0]);
    assert_eq!(shown(next), shown((shared, board)));
}

#[test]
fn a_file_that_makes_no_sense_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let fresh = shown(process(directory.path()));
    let cut = "1\n3 be 1 a 127.0.0.1 0 1 1 1 0 1 0";
    let wrong = "1\n3 be 1 a 127.0.0.1 9 1 1 1 0 1 0 0 0 0 0 0 - 1 - 0 0 - - 0\n";
    let heavy = "1\n3 be 1 a 127.0.0.1 2 0 999 1 0 1 0 0 0 0 0 0 - 1 - 0 0 - - 0\n";
    let other = "1\n3 be 1 zz 127.0.0.1 0 1 1 1 0 1 0 0 0 0 0 0 - 1 - 0 0 - - 0\n";
    for text in ["", "2\n", "\u{0}\u{1}", cut, wrong, heavy, other, "1\n\n#\n - -\n"] {
        std::fs::write(directory.path().join("state"), text).unwrap();
        std::fs::write(directory.path().join("own"), text).unwrap();
        let (shared, board) = process(directory.path());
        let problems = load(shared, board);
        assert_eq!(problems.is_empty(), text.starts_with('1'), "{text:?}: {problems:?}");
        assert_eq!(shown((shared, board)), fresh, "{text:?}");
    }
    std::fs::remove_file(directory.path().join("state")).unwrap();
    let (shared, board) = process(directory.path());
    assert!(load(shared, board)[0].contains("Can't open global server state file"));
}

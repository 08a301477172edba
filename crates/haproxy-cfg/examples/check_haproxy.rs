//! `cargo run -p haproxy-cfg --example check_haproxy -- [--explain] FILE…`: what `haproxy -c` would say.

use std::path::PathBuf;

use haproxy_cfg::{Manner, Options, load};

fn main() -> std::process::ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let explain = arguments.first().is_some_and(|first| first == "--explain");
    if explain {
        arguments.remove(0);
    }
    let files: Vec<PathBuf> = arguments.into_iter().map(PathBuf::from).collect();
    let options = Options { tell_accepted: explain, ..Options::system() };
    let report = load(&files, &options).report(&Manner {
        pid: std::process::id(),
        executable: "/usr/sbin/haproxy",
        quiet: false,
        check: true,
        zero_warning: false,
        explain,
    });
    eprint!("{}", report.stderr);
    print!("{}", report.stdout);
    report.code.into()
}

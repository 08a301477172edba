//! What is refused: with which exit code, with which words, and that nothing stays behind.
//!
//! The codes and words are those of Debian 12's originals, which the same cases are run against.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::{NodeFile, Subject};

use crate::Tests;
use crate::proxy::Bench;

pub(crate) fn register(tests: &mut Tests<'_>) {
    for (program, cases) in [(&KEEPALIVED, keepalived()), (&HAPROXY, haproxy()), (&NGINX, nginx())]
    {
        for case in cases {
            tests.refuses(program, case);
        }
    }
}

/// A program and how it is started in the foreground and checked.
pub(crate) struct Program {
    name: &'static str,
    check: &'static [&'static str],
    run: &'static [&'static str],
}

const KEEPALIVED: Program = Program {
    name: "keepalived",
    check: &["keepalived", "-t", "-f", FILE],
    run: &["keepalived", "-n", "-l", "-f", FILE],
};
const HAPROXY: Program = Program {
    name: "haproxy",
    check: &["haproxy", "-c", "-f", FILE],
    run: &["haproxy", "-db", "-f", FILE],
};
const NGINX: Program = Program {
    name: "nginx",
    check: &["nginx", "-t", "-c", FILE],
    run: &["nginx", "-g", "daemon off;", "-c", FILE],
};

const FILE: &str = "/etc/case.conf";

/// One bad input.
#[derive(Clone)]
pub(crate) struct Case {
    name: &'static str,
    files: Vec<NodeFile>,
    /// A command that prepares the node, if the file alone is not the trouble.
    before: &'static str,
    /// What the daemon is started by.
    under: &'static [&'static str],
    /// The check mode's exit code.
    check: i32,
    /// The daemon's exit code; `None` when it goes on, as keepalived does with most mistakes.
    run: Option<i32>,
    /// Words that the daemon must say.
    says: &'static str,
    /// Words that ours says instead, where the original's are no help.
    ours_says: Option<&'static str>,
    /// Whether the original can be run against the case; where it crashes, only ours is.
    upstream: bool,
}

impl Case {
    fn new(name: &'static str, text: impl AsRef<[u8]>) -> Self {
        Self {
            name,
            files: vec![NodeFile::new(FILE, text)],
            before: "",
            under: &[],
            check: 1,
            run: Some(1),
            says: "",
            ours_says: None,
            upstream: true,
        }
    }

    /// A case without the file.
    fn without_file(name: &'static str) -> Self {
        Self { files: Vec::new(), ..Self::new(name, "") }
    }

    fn codes(self, check: i32, run: Option<i32>) -> Self {
        Self { check, run, ..self }
    }

    fn says(self, says: &'static str) -> Self {
        Self { says, ..self }
    }

    fn ours_says(self, says: &'static str) -> Self {
        Self { ours_says: Some(says), ..self }
    }
}

impl Tests<'_> {
    fn refuses(&mut self, program: &'static Program, case: Case) {
        for subject in self.subjects.all().cloned().collect::<Vec<_>>() {
            if case.upstream || !matches!(subject, Subject::Upstream) {
                let (name, case) = (case.name, case.clone());
                self.add(format!("{}::{}_and_{name}", subject.name(), program.name), move || {
                    refuse(&subject, program, &case)
                });
            }
        }
    }
}

fn refuse(subject: &Subject, program: &Program, case: &Case) -> Result<()> {
    let bench = Bench::new(subject)?;
    for file in &case.files {
        bench.node.write(file.clone())?;
    }
    if !case.before.is_empty() {
        bench.node.run(&["sh", "-c", case.before], LIMIT)?;
    }
    let checked = bench.node.run(program.check, LIMIT)?;
    let said = || format!("{}{}", checked.stdout, checked.stderr);
    ensure!(checked.code == case.check, "the check ended with {}:\n{}", checked.code, said());

    let argv: Vec<&str> = case.under.iter().chain(program.run).copied().collect();
    let running = bench.node.start(&argv)?;
    let code = running.wait(if case.run.is_some() { LIMIT } else { GOES_ON });
    let lines = || running.lines().join("\n");
    ensure!(code == case.run, "the daemon ended with {code:?}:\n{}", lines());
    let says = match (subject, case.ours_says) {
        (Subject::Ours { .. }, Some(says)) => says,
        _ => case.says,
    };
    if !says.is_empty() {
        running.wait_line(says, LIMIT)?;
    }
    if case.run.is_some() {
        let left = bench.node.run(&["pgrep", program.name], LIMIT)?;
        ensure!(left.code == 1, "something of it still runs");
    }
    Ok(())
}

/// How long a daemon may think; nginx tries a taken port for two and a half seconds.
const LIMIT: Duration = Duration::from_secs(10);
/// A daemon that has not ended by then goes on.
const GOES_ON: Duration = Duration::from_secs(2);

const INSTANCE: &str = "vrrp_instance VI_1 {\n    interface eth0\n    virtual_router_id 51\n    priority 100\n    \
     virtual_ipaddress {\n        10.9.9.9/24\n    }\n}\n";
const LISTEN: &str = "defaults\n    mode tcp\n    timeout connect 1s\n    timeout client 1s\n    timeout server 1s\n\
     listen l\n    bind *:6443\n    server s1 10.9.9.1:1\n";
const STREAM: &str = "include /etc/nginx/modules-enabled/*.conf;\nevents {}\n\
     stream { server { listen 6443; proxy_pass 10.9.9.1:1; } }\n";
/// A directory in the place of the file.
const DIRECTORY: &str = "mkdir /etc/case.conf";
/// Another program on the port that the file binds.
const TAKEN: &str =
    "apiserver x 0.0.0.0:6443 >/tmp/out & until grep -q listening /tmp/out; do :; done";

fn keepalived() -> Vec<Case> {
    vec![
        Case { before: DIRECTORY, ..Case::without_file("a_directory") }
            .codes(0, Some(6))
            .says("is a directory"),
        Case::without_file("a_missing_file").codes(0, Some(6)).says("missing '/etc/case.conf'"),
        Case::new("noise", noise())
            .codes(5, None)
            .says("Unknown keyword")
            .ours_says("(Line 1) line has a NUL byte - ignoring"),
        Case::new("a_line_of_ten_megabytes", vec![b'x'; 10 << 20])
            .codes(5, None)
            .says("Unknown keyword")
            .ours_says("(Line 1) line too long - ignoring"),
        Case::new("a_thousand_braces", "vrrp_instance VI_1 {\n".to_owned() + &"{\n".repeat(1000))
            .codes(5, Some(2))
            .says("Line 2) Unexpected '{' - ignoring"),
        Case::new("an_include_of_itself", format!("include {FILE}\n{INSTANCE}"))
            .codes(5, None)
            .says("Line 1) Configuration file"),
        Case::new("an_unknown_section", format!("nonsense {{\n    of 1\n}}\n{INSTANCE}"))
            .codes(5, None)
            .says("Unknown keyword 'nonsense'"),
        Case::new(
            "two_instances_of_one_router",
            format!("{INSTANCE}{}", INSTANCE.replace("VI_1", "VI_2")),
        )
        .codes(5, Some(2))
        .says("VI_1 and VI_2 both use VRID 51 with IPv4 on interface eth0"),
        Case::new("an_interface_that_is_not_there", INSTANCE.replace("eth0", "eth7"))
            .codes(5, Some(2))
            .says(
                "(/etc/case.conf: Line 2) WARNING - interface eth7 for vrrp_instance VI_1 doesn't",
            ),
        Case::new("a_router_id_out_of_range", INSTANCE.replace("51", "256"))
            .codes(5, Some(2))
            .says(
                "(/etc/case.conf: Line 3) (VI_1): VRID '256' not valid - must be between 1 & 255",
            ),
        Case::new("an_empty_file", "").codes(0, None),
        Case {
            under: &["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"],
            ..Case::new("no_permission_for_raw_sockets", INSTANCE)
        }
        .codes(0, Some(4))
        .says("missing"),
    ]
}

fn haproxy() -> Vec<Case> {
    vec![
        Case { before: DIRECTORY, ..Case::without_file("an_empty_directory") },
        Case::without_file("a_missing_file")
            .says("Cannot open configuration file/directory /etc/case.conf : No such file"),
        Case::new("noise", noise()).says("parsing [/etc/case.conf:1]"),
        Case::new("a_line_of_ten_megabytes", vec![b'x'; 10 << 20]),
        Case::new("a_thousand_braces", "{\n".repeat(1000))
            .says("parsing [/etc/case.conf:1]: unknown keyword '{' out of section."),
        Case::new("an_unknown_section", format!("nonsense\n    of 1\n{LISTEN}"))
            .says("parsing [/etc/case.conf:1]: unknown keyword 'nonsense' out of section."),
        Case::new("an_unknown_keyword", LISTEN.replace("server s1", "sever s1")).says(
            "parsing [/etc/case.conf:8] : unknown keyword 'sever' in 'listen' section; did you mean",
        ),
        Case::new(
            "a_backend_that_is_not_there",
            LISTEN.replace("server s1 10.9.9.1:1", "default_backend b"),
        )
        .says("unable to find required default_backend: 'b'"),
        Case { before: TAKEN, ..Case::new("a_port_that_is_taken", LISTEN) }
            .codes(0, Some(1))
            .says("cannot bind socket (Address already in use) for [0.0.0.0:6443]"),
        Case::new("an_empty_file", "").codes(2, Some(1)),
    ]
}

fn nginx() -> Vec<Case> {
    vec![
        Case { before: DIRECTORY, ..Case::without_file("a_directory") },
        Case::without_file("a_missing_file")
            .says("open() \"/etc/case.conf\" failed (2: No such file or directory)"),
        Case::new("noise", noise()).says("in /etc/case.conf:1"),
        Case::new("a_line_of_ten_megabytes", vec![b'x'; 10 << 20])
            .says("too long parameter \"xxxxxxxxxx...\" started in /etc/case.conf:1"),
        Case::new("a_thousand_braces", "events ".to_owned() + &"{\n".repeat(1000))
            .says("unexpected \"{\" in /etc/case.conf:2"),
        // nginx 1.22 reads on until its stack is full.
        Case {
            upstream: false,
            ..Case::new("an_include_of_itself", format!("include {FILE};\n{STREAM}"))
        }
        .says("/etc/case.conf:1"),
        Case::new("an_unknown_section", format!("nonsense {{ of 1; }}\n{STREAM}"))
            .says("unknown directive \"nonsense\" in /etc/case.conf:1"),
        Case::new("a_host_that_is_not_there", STREAM.replace("10.9.9.1:1", "nobody.invalid:1"))
            .says("host not found in upstream \"nobody.invalid\" in /etc/case.conf:3"),
        Case { before: TAKEN, ..Case::new("a_port_that_is_taken", STREAM) }
            .codes(0, Some(1))
            .says("bind() to 0.0.0.0:6443 failed (98: Address already in use)"),
        Case::new("an_empty_file", "").says("no \"events\" section in configuration"),
    ]
}

/// Bytes of every value, the same on every run.
fn noise() -> Vec<u8> {
    let mut seed = 1_u32;
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    (0..65_536).map(|_| next()).collect()
}

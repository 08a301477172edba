//! Where we say or do something else than keepalived 2.2.7 on purpose.

/// What is different, and why.
pub(crate) const DIFFERENCES: &[(&str, &str)] = &[
    (
        "keywords of later versions are known",
        "a file that runs on any version of 2.2 to 2.4 runs here; 2.2.7 calls the newer keywords unknown",
    ),
    (
        "`name` and `group` are words of later versions",
        "of `use_vmac` and `use_ipvlan`; 2.2.7 takes them for names of interfaces",
    ),
    (
        "an unknown block is one complaint and skipped whole",
        "2.2.7 reads its lines as if they stood outside of it, so that `priority` in a misspelt block sets the instance's; the exit code is the same",
    ),
    (
        "the block that is one too many is skipped whole",
        "as an unknown block is; 2.2.7 reads the lines of a second `group` as keywords",
    ),
    (
        "a block without its brace is no block",
        "2.2.7 takes the next lines for its content, up to some later brace",
    ),
    (
        "a placeholder that is not filled in is named, and nothing runs with it",
        "`${INTERFACE}` of a template; 2.2.7 takes it apart at its braces and complains four times",
    ),
    (
        "`${_HASH}` and `\\#` are the character, in keepalived 2.2.7 only some of the time",
        "its manual promises the character; its VRRP process reads a copy in which it begins a comment",
    ),
    (
        "a line that is too long is left out whole",
        "2.2.7 cuts lines at 1023 bytes and takes the rest for a line of its own",
    ),
    ("a line with a NUL byte is left out whole", "2.2.7 takes what stands before the byte"),
    (
        "`readable`, as the manual has it, is a word too",
        "of `include_check`; the program knows `read` only, and both are taken",
    ),
    (
        "`inet` and `inet6` belong to the word behind them, which keepalived 2.2.7 skips",
        "of routes and rules: `inet6 default via …` is a route to everywhere, as ip-route(8) has it",
    ),
    (
        "an address may have a peer with a prefix, as ip-address(8) writes it",
        "2.2.7 takes an address alone",
    ),
    (
        "names are resolved when mail is sent: the start waits for no relay",
        "2.2.7 resolves `smtp_server` while it reads the file, and forgets one it cannot resolve",
    ),
    (
        "a session that is followed is refused: there is no BFD yet",
        "an instance that silently stopped following a session would keep an address it should give up",
    ),
];

/// What no file of cases can show.
pub(crate) const BESIDES: &[(&str, &str)] = &[
    ("a weight of `vrrp_script` out of range is not kept", "2.2.7 and 2.4.3 complain, and use it"),
    (
        "`skip_check_adv_addr off` and `vrrp_skip_check_adv_addr off` are off",
        "2.2.7 and 2.4.3 turn it on at any word",
    ),
    (
        "virtual servers are refused one by one, VRRP runs, and `-t` ends as keepalived's does",
        "keepalived itself ends where the kernel has no IPVS; see docs/adr/0019",
    ),
    (
        "an interface may come back as another kind, with or without `allow_if_changes`",
        "2.2.7 leaves an instance in FAULT until it is restarted, unless `allow_if_changes` is there",
    ),
    ("each mistake is said once", "keepalived says it once for every process that reads the file"),
    (
        "a definition that names itself ends after 16 rounds, `~SEQ` after 10,000 lines",
        "2.2.7 goes on until its buffer is full, or for ever",
    ),
    ("quotes around the name of an included file are not part of it", "to 2.2.7 they are"),
];

use std::time::{Duration, Instant};

use conf::Status;
use proptest::prelude::*;
use vrrp::config::{Auth, Broadcast, InstanceConfig, LeasePolicy, Version, VirtualAddress};

use super::*;

/// What an instance needs.
const NEEDED: &str = "interface eth0\n virtual_router_id 51\n";

fn read(text: &str) -> Loaded {
    load_text("t.conf", text, &Options::new(&Elsewhere))
}

/// One instance with these lines and an address.
fn instance(lines: &str) -> Loaded {
    read(&format!(
        "vrrp_instance V {{\n {NEEDED} virtual_ipaddress {{\n 192.0.2.1\n }}\n {lines}\n}}\n"
    ))
}

fn config(lines: &str) -> InstanceConfig {
    let loaded = instance(lines);
    let first = loaded.config.and_then(|c| c.instances.into_iter().next());
    first.unwrap_or_else(|| panic!("{lines}: {:?}", loaded.diagnostics))
}

fn words(text: &str) -> Vec<String> {
    let line = lex::line(0, text, 0, text.len());
    let shown = |t: lex::Token| match t {
        lex::Token::Word(word) => word.text,
        lex::Token::Open(_) => "{".into(),
        lex::Token::Close(_) => "}".into(),
    };
    line.tokens.into_iter().map(shown).collect()
}

#[test]
fn decimals_are_read_to_the_microsecond() {
    let read = |word| number::decimal(word, 10_000..=255_000_000).0;
    assert_eq!(read("0.4"), Some(Duration::from_millis(400)));
    assert_eq!(read("1"), Some(Duration::from_secs(1)));
    assert_eq!(read("+1.5"), Some(Duration::from_millis(1500)));
    assert_eq!(read(".25"), Some(Duration::from_millis(250)));
    assert_eq!(read("1.0000005"), Some(Duration::from_micros(1_000_001)));
    assert_eq!(read("0.009"), None);
    assert_eq!(read("."), None);
    assert_eq!(read("1s"), None);
    assert_eq!(read("99999999999999999999"), None);
}

#[test]
fn words_end_at_blanks_braces_and_quotes() {
    assert_eq!(words("a  b\tc"), ["a", "b", "c"]);
    assert_eq!(words("vrrp_instance V{"), ["vrrp_instance", "V", "{"]);
    assert_eq!(words("x{1.2.3.4}}"), ["x", "{", "1.2.3.4", "}", "}"]);
    assert_eq!(words(r#"a"b c"d"#), ["a", "b c", "d"]);
    assert_eq!(words("a{${X}}"), ["a", "{", "${X}", "}"]);
}

#[test]
fn comments_start_at_either_mark_outside_quotes() {
    assert_eq!(words("a # b"), ["a"]);
    assert_eq!(words("a!b"), ["a"]);
    assert_eq!(words(r#"a "b # c" ! d"#), ["a", "b # c"]);
    assert_eq!(words(r"a\#b \!c"), ["a#b", "!c"]);
}

#[test]
fn commands_have_the_quotes_of_a_shell_twice() {
    assert_eq!(words(r#"script "/bin/sh -c 'a b'" x"#), ["script", "/bin/sh -c 'a b'", "x"]);
    assert_eq!(words(r#"script '/bin/sh -c "a"'"#), ["script", "/bin/sh -c \"a\""]);
    assert_eq!(words(r#"{ script "x y" }"#), ["{", "script", "x y", "}"]);
    let split = |text| lex::shell_words(text).unwrap();
    assert_eq!(split("/bin/sh -c 'a b'"), ["/bin/sh", "-c", "a b"]);
    assert_eq!(split(r#"a"b c"d"#), ["ab cd"]);
    assert_eq!(split(r#"a\ b "\x41\101\t\q" '\n'"#), ["a b", "AA\tq", "\\n"]);
    assert_eq!(lex::shell_words("a 'b"), Err('\''));
}

#[test]
fn a_script_is_its_program_and_arguments() {
    let text = "vrrp_script a {\n script \"pgrep haproxy\"\n interval 2\n fall 3\n}\nvrrp_script b {\n script \"</dev/tcp/127.0.0.1/80\"\n timeout 5\n}";
    let config = read(text).config.unwrap();
    assert_eq!(config.scripts[0].command, ["pgrep", "haproxy"]);
    assert_eq!(config.scripts[0].timeout, Duration::from_secs(2));
    assert_eq!(config.scripts[0].fall, 3);
    assert_eq!(config.scripts[1].command, ["/bin/sh", "-c", "</dev/tcp/127.0.0.1/80"]);
    assert_eq!(config.scripts[1].timeout, Duration::from_secs(5));
}

#[test]
fn blocks_may_stand_on_one_line_and_their_brace_on_the_next() {
    let text = "vrrp_instance V\n{\n interface eth0\n virtual_router_id 5\n virtual_ipaddress\n {\n 1.2.3.4/24 brd + }\n}";
    let loaded = read(text);
    let address = &loaded.config.as_ref().unwrap().instances[0].addresses[0];
    assert_eq!((address.prefix_len, address.broadcast), (24, Some(Broadcast::HostBitsSet)));
    assert_eq!(loaded.exit_code_test(), 0);
    let loaded = instance("authentication { auth_pass abc }}");
    assert_eq!(loaded.upstream_lines()[0], "(Line 8) Extra '}' found");
}

#[test]
fn a_model_has_what_the_file_says() {
    let text = "state BACKUP\n priority 77\n advert_int 2\n nopreempt\n authentication {\n auth_type PASS\n auth_pass password123\n }\n unicast_src_ip 10.0.0.1/24\n unicast_peer {\n 10.0.0.2\n 10.0.0.3\n }\n unicast_ttl 5\n garp_master_repeat 3\n address_lease off\n track_interface {\n eth1 weight -5 reverse\n }";
    let loaded = instance(text);
    assert_eq!(loaded.upstream_lines(), ["(t.conf: Line 13) Truncating auth_pass to 8 characters"]);
    let config = config(text);
    assert_eq!((config.priority, config.preempt), (77, false));
    assert_eq!(config.advert_interval, Duration::from_secs(2));
    assert_eq!(config.auth, Some(Auth::Pass(*b"password")));
    assert_eq!(config.unicast_peers.len(), 2);
    assert_eq!((config.unicast_ttl, config.garp.master_repeat), (Some(5), 3));
    // As keepalived, that follows `global_defs` alone.
    assert_eq!(config.garp.lower_prio_repeat, 5);
    assert_eq!(config.lease, LeasePolicy::Off);
    assert_eq!((config.track_interfaces[0].weight, config.track_interfaces[0].reverse), (-5, true));
}

#[test]
fn addresses_have_their_options() {
    let text = "vrrp_instance V {\n interface ens160\n virtual_router_id 33\n virtual_ipaddress {\n 192.168.2.140/24 dev ens160 label ens160:1 scope link no_track\n }\n}\nstatic_ipaddress {\n 10.1.233.1 dev eth0 scope global\n 10.1.233.2\n}";
    let config = read(text).config.unwrap();
    let expected = VirtualAddress {
        prefix_len: 24,
        interface: Some("ens160".into()),
        label: Some("ens160:1".into()),
        scope: Some(253),
        no_track: true,
        ..VirtualAddress::host("192.168.2.140".parse().unwrap())
    };
    assert_eq!(config.instances[0].addresses, [expected]);
    assert_eq!(config.static_addresses.len(), 2);
    assert_eq!(config.static_addresses[1].interface.as_deref(), Some("eth0"));
}

#[test]
fn instances_inherit_what_they_do_not_say() {
    let text = format!(
        "global_defs {{\n vrrp_version 3\n vrrp_garp_master_repeat 7\n vrrp_down_timer_adverts 4\n vrrp_address_lease off\n}}\nvrrp_instance V {{\n {NEEDED} virtual_ipaddress {{ 1.2.3.4 }}\n down_timer_adverts 2\n}}"
    );
    let config = read(&text).config.unwrap().instances.remove(0);
    assert_eq!((config.version, config.garp.master_repeat), (Version::V3, 7));
    assert_eq!((config.down_timer_adverts, config.lease), (2, LeasePolicy::Off));
}

#[test]
fn definitions_conditions_and_the_environment_are_put_in() {
    struct Env;
    impl System for Env {
        fn has_interface(&self, _: &str) -> bool {
            true
        }
        fn variable(&self, name: &str) -> Option<String> {
            (name == "VIP").then(|| "192.0.2.9".into())
        }
        fn user(&self, _: &str) -> Option<(u32, u32)> {
            None
        }
        fn group(&self, _: &str) -> Option<u32> {
            None
        }
        fn own_user(&self) -> u32 {
            0
        }
        fn program(&self, _: &str) -> Program {
            Program::Missing
        }
        fn read_script(&self, _: &str) -> Option<String> {
            None
        }
        fn host_name(&self) -> String {
            "node1".into()
        }
    }
    let text = "$IF=eth7\n$PRIO=10\n$BLOCK=\\\n virtual_router_id 9 \\\n advert_int 2\nvrrp_instance V {\n interface ${IF}\n $BLOCK\n @node1 priority $PRIO\n @^node1 priority 20\n virtual_ipaddress {\n ${_ENV VIP}/24\n }\n}\n";
    let loaded = load_text("t.conf", text, &Options::new(&Env));
    let config = &loaded.config.as_ref().unwrap().instances[0];
    assert_eq!((config.interface.as_str(), config.priority, config.vrid.0), ("eth7", 10, 9));
    assert_eq!(config.advert_interval, Duration::from_secs(2));
    assert_eq!(config.addresses[0].to_string(), "192.0.2.9/24");
    let other = Options { config_id: Some("b".into()), ..Options::new(&Env) };
    assert_eq!(load_text("t.conf", text, &other).config.unwrap().instances[0].priority, 20);
}

#[test]
fn lines_of_a_definition_count_as_the_line_that_uses_it() {
    let loaded = read("$B=\\\n foo\\\n bar\n\n$B\n");
    let expected = ["(Line 5) Unknown keyword 'foo'", "(Line 5) Unknown keyword 'bar'"];
    assert_eq!(loaded.upstream_lines(), expected);
}

#[test]
fn repetition_ends_however_much_is_asked_for() {
    let loaded = read("~SEQ(x, 1, 3) foo$x\n");
    assert_eq!(loaded.upstream_lines().len(), 3);
    let far = "~SEQ(x, 1, 4000000000) foo\n";
    let said = "(Line 1) definitions or includes expand to too much - ignoring";
    assert_eq!(read(far).upstream_lines(), [said]);
    let deep = "~SEQ(a, 1, 9999) ".repeat(20) + "foo\n";
    assert!(read(&deep).upstream_lines().contains(&said.to_owned()));
}

#[test]
fn a_seed_makes_chance_the_same_each_time() {
    let text = "global_defs {\n random_seed 7\n}\n$R=${_RANDOM 1 250}\nvrrp_instance V {\n interface eth0\n virtual_router_id ${_RANDOM 1 250}\n virtual_ipaddress {\n 192.0.2.1\n }\n}\n";
    let vrid = || read(text).config.unwrap().instances[0].vrid;
    assert_eq!(vrid(), vrid());
    let bounded = read("foo${_RANDOM 5 5}\n");
    assert_eq!(bounded.upstream_lines(), ["(Line 1) Unknown keyword 'foo5'"]);
}

#[test]
fn an_include_in_earnest_that_finds_nothing_ends_with_6() {
    let loaded = read("includem /nonexistent/x.conf\n");
    assert_eq!((loaded.exit_code_test(), loaded.exit_code_run()), (6, Some(6)));
    let loaded = read("include /nonexistent/x.conf\n");
    assert_eq!((loaded.exit_code_test(), loaded.exit_code_run()), (0, None));
}

#[test]
fn an_unknown_block_is_one_complaint_and_skipped_whole() {
    let loaded = instance("priority 50\n foo {\n priority 60\n bar {\n baz\n }\n }");
    assert_eq!(loaded.upstream_lines(), ["(t.conf: Line 8) Unknown keyword 'foo'"]);
    assert_eq!(loaded.config.unwrap().instances[0].priority, 50);
}

#[test]
fn a_block_behind_a_plain_keyword_is_named() {
    let loaded = instance("priority 50 {\n foo\n }");
    assert_eq!(loaded.upstream_lines(), ["(t.conf: Line 7) Unexpected '{' - ignoring"]);
}

#[test]
fn what_is_not_built_yet_is_refused_by_name_and_line() {
    let loaded = instance("track_bfd {\n b\n }");
    assert_eq!(loaded.upstream_lines()[0], "(t.conf: Line 7) not supported yet: track_bfd");
    assert_eq!((loaded.exit_code_test(), loaded.exit_code_run()), (5, Some(2)));
}

#[test]
fn virtual_servers_are_refused_aloud_while_vrrp_runs() {
    let servers = "virtual_server 10.0.0.1 80 {\n delay_loop 5\n lb_algo rr\n lb_kind DR\n protocol TCP\n real_server 1.1.1.1 80 {\n }\n}\n";
    let text = format!(
        "{servers}vrrp_instance V {{\n {NEEDED} virtual_ipaddress {{\n 192.0.2.1\n }}\n}}\n"
    );
    let loaded = read(&text);
    assert_eq!(loaded.upstream_lines(), ["(t.conf: Line 1) not supported yet: virtual_server"]);
    assert_eq!((loaded.exit_code_test(), loaded.exit_code_run()), (0, None));
    assert_eq!(loaded.config.unwrap().instances.len(), 1);
}

#[test]
fn what_has_no_effect_is_accepted_with_a_notice() {
    let loaded = instance("debug 2\n linkbeat_use_polling\n");
    assert!(loaded.config.is_some());
    let notices: Vec<String> = loaded.notices().collect();
    assert!(notices.iter().any(|n| n.contains("debug has no effect")), "{notices:?}");
    assert!(notices.iter().any(|n| n.contains("linkbeat_use_polling has no effect")));
}

#[test]
fn placeholders_are_named_with_what_to_put_there() {
    let loaded = read(
        "vrrp_instance V {\n interface ${INTERFACE}\n virtual_ipaddress {\n ${APISERVER_VIP}\n }\n}\n",
    );
    let lines = loaded.upstream_lines();
    assert_eq!(lines[0], "(Line 2) ${INTERFACE} is a placeholder that is not filled in");
    assert_eq!(lines[1], "(Line 4) ${APISERVER_VIP} is a placeholder that is not filled in");
    assert_eq!(lines.len(), 2);
    assert!(loaded.fatal());
    assert!(loaded.explain().contains("the virtual address that moves between the nodes"));
}

#[test]
fn an_angle_bracket_password_is_a_password_and_worth_a_word() {
    let text = "authentication {\n auth_type PASS\n auth_pass <PASSWORD>\n }";
    assert_eq!(config(text).auth, Some(Auth::Pass(*b"<PASSWOR")));
    let notices: Vec<String> = instance(text).notices().collect();
    assert!(notices.iter().any(|n| n.contains("'<PASSWORD>' looks like a placeholder")));
}

#[test]
fn a_weight_out_of_range_is_not_kept() {
    let text = "vrrp_script a {\n script \"/bin/true\"\n weight 5\n weight 500\n}";
    assert_eq!(read(text).config.unwrap().scripts[0].weight, 5);
}

#[test]
fn off_turns_skip_check_adv_addr_off() {
    assert!(config("skip_check_adv_addr").skip_check_adv_addr);
    assert!(!config("skip_check_adv_addr off").skip_check_adv_addr);
}

#[test]
fn a_missing_argument_ends_the_test_with_2() {
    let loaded = instance("priority");
    assert_eq!(loaded.exit_code_test(), 2);
    assert!(loaded.upstream_lines()[0].ends_with("keyword `priority` at word position 2"));
    assert!(loaded.fatal());
}

#[test]
fn an_ipv6_address_makes_it_version_3_and_its_group() {
    let text = format!(
        "vrrp_instance V {{\n {NEEDED} virtual_ipaddress {{\n fe80::1\n 2001:db8::1/64\n }}\n}}"
    );
    let config = read(&text).config.unwrap().instances.remove(0);
    assert_eq!(config.version, Version::V3);
    assert_eq!(config.multicast_group, "ff02::12".parse::<std::net::IpAddr>().unwrap());
    assert_eq!(config.addresses[0].preferred, Some(0));
    assert_eq!(config.addresses[1].preferred, None);
}

#[test]
fn a_keyword_of_another_block_is_told_where_it_belongs() {
    let loaded = instance("auth_pass abc");
    assert!(loaded.explain().contains("'auth_pass' is a keyword of authentication"));
}

#[test]
fn guides_pitfalls_are_named() {
    let text = "vrrp_script s {\n script \"systemctl stop keepalived\"\n interval 3\n fall 10\n weight 50\n}\nstatic_ipaddress {\n 192.0.2.1 dev eth0\n}\nvrrp_instance V {\n state MASTER\n priority 110\n interface eth0\n virtual_router_id 5\n virtual_ipaddress {\n 192.0.2.1\n }\n}";
    let loaded = read(text);
    let said = loaded.notices().collect::<Vec<_>>().join("\n");
    for part in [
        "the check stops this daemon",
        "noticed after up to 33 s",
        "weight 50 raises the priority",
        "is in static_ipaddress and an address of V",
        "the state has no effect beyond the start",
        "follows no script",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert_eq!(loaded.exit_code_test(), 6);
}

/// Every default, written out, leaves the configuration as it is.
#[test]
fn defaults_are_the_defaults() {
    let plain = config("");
    let mut checked = 0;
    for (section, rows) in tables() {
        for row in rows.iter().filter(|r| r.status == Status::Done) {
            let Some(default) = row.default else { continue };
            let line = format!("{} {default}", row.name);
            checked += 1;
            match section {
                "vrrp_instance" => assert_eq!(config(&line), plain, "{line}"),
                "global_defs" => {
                    let with = |line: &str| {
                        let text = format!(
                            "global_defs {{\n {line}\n}}\nstatic_ipaddress {{\n 1.1.1.1\n}}\nvrrp_instance V {{\n {NEEDED} virtual_ipaddress {{\n 192.0.2.1\n }}\n}}"
                        );
                        let mut config = read(&text).config.unwrap_or_else(|| panic!("{text}"));
                        config.globals.default_interface.get_or_insert_with(|| "eth0".into());
                        config
                    };
                    assert_eq!(with(&line), with(""), "{line}");
                }
                "vrrp_script" => {
                    let with = |line: &str| {
                        read(&format!("vrrp_script s {{\n script \"/bin/true\"\n {line}\n}}"))
                            .config
                    };
                    assert_eq!(with(&line), with(""), "{line}");
                }
                "address options" => {
                    let with = |line: &str| {
                        read(&format!("static_ipaddress {{\n 1.1.1.1 {line}\n}}")).config
                    };
                    assert_eq!(with(&line), with(""), "{line}");
                }
                "root" => assert_eq!(read(&line).config, read("").config, "{line}"),
                "track_file" | "vrrp_track_process" => {
                    let with = |line: &str| {
                        read(&format!("{section} s {{\n file /f\n process p\n {line}\n}}")).config
                    };
                    assert_eq!(with(&line), with(""), "{line}");
                }
                // Those of `auth_hmac` need keys.
                "auth_hmac" => {}
                other => panic!("no test for the defaults of {other}"),
            }
        }
    }
    assert!(checked > 20, "{checked}");
}

#[test]
fn every_keyword_of_keepalived_is_a_row() {
    let tables = tables();
    let known = |name: &str| tables.iter().any(|(_, rows)| rows.iter().any(|r| r.name == name));
    let names = include_str!("../tests/keywords.txt");
    let missing: Vec<&str> = names.lines().filter(|name| !known(name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
    assert!(names.lines().count() > 400);
}

#[test]
fn every_row_says_what_it_does_once() {
    for (section, rows) in tables() {
        for (index, row) in rows.iter().enumerate() {
            assert!(row.doc.ends_with('.'), "{section} {}: {:?}", row.name, row.doc);
            let again = rows[index + 1..].iter().any(|r| r.name == row.name);
            assert!(!again, "{section} has {} twice", row.name);
        }
    }
}

#[test]
fn bombs_are_defused() {
    let started = Instant::now();
    // Lines double until they are too long; definitions of themselves nest until it is too much.
    let bomb: String = (0..40).map(|n| format!("$A{}=${{A{n}}} ${{A{n}}}\n", n + 1)).collect();
    let said = read(&format!("$A0=x y z\n{bomb}${{A40}}\n")).upstream_lines();
    assert_eq!(said, ["(Line 42) line too long - ignoring"]);
    let said = read("$A=$A\n$A\n").upstream_lines();
    assert!(said.iter().any(|l| l.contains("expand to too much")), "{said:?}");
    let said = read("$A=\\\n $A \\\n $A \\\n $A\n$A\n").upstream_lines();
    assert!(said.iter().any(|l| l.contains("expand to too much")), "{said:?}");
    let said = read(&"a".repeat(10 << 20)).upstream_lines();
    assert_eq!(said, ["(Line 1) line too long - ignoring"]);
    let said = read(&format!("{}{}", "a {\n".repeat(1000), "}\n".repeat(1000))).upstream_lines();
    assert!(said.iter().any(|l| l.contains("nested too deep")), "{said:?}");
    read(&"{".repeat(1000));
    read(&"}\n".repeat(1000));
    read(&"$X=".repeat(1 << 18));
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn includes_nest_are_relative_to_their_file_and_do_not_loop() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    };
    let main =
        write("main.conf", "include sub/{a,b}*.conf\ninclude none.conf\ninclude none*.conf\nfoo\n");
    write("sub/a.conf", "include deep/c.conf\nfoo_a\n");
    write("sub/b1.conf", "foo_b\n");
    write("sub/deep/c.conf", "foo_c\ninclude ../a.conf\n");
    let loaded = load(&main, &Options::new(&Elsewhere));
    let expected = [
        "(Line 2) Config files missing 'none.conf'.",
        "(Line 4) Unknown keyword 'foo'",
        "(sub/a.conf: Line 2) Unknown keyword 'foo_a'",
        "(deep/c.conf: Line 1) Unknown keyword 'foo_c'",
        "(deep/c.conf: Line 2) Configuration file '../a.conf' includes itself - skipping",
        "(sub/b1.conf: Line 1) Unknown keyword 'foo_b'",
    ];
    assert_eq!(loaded.upstream_lines(), expected);
}

#[test]
fn a_file_that_cannot_be_read_is_said_as_the_original_does() {
    let read = |path: &std::path::Path| {
        let loaded = load(path, &Options::new(&Elsewhere));
        assert_eq!((loaded.exit_code_test(), loaded.exit_code_run()), (0, Some(6)));
        loaded.upstream_lines()
    };
    assert_eq!(read(Path::new("/nonexistent")), ["Config files missing '/nonexistent'."]);
    assert_eq!(read(Path::new("/usr")), ["Configuration file '/usr/' is a directory - skipping"]);
    let said = read(Path::new("/bin/sh"));
    assert_eq!(
        said,
        ["Configuration file '/bin/sh' is not a regular non-executable file - skipping"]
    );
}

#[test]
fn a_static_address_that_is_virtual_too_is_the_masters_alone() {
    let text = format!(
        "static_ipaddress {{\n 192.0.2.1 dev eth0\n 192.0.2.7 dev eth0\n}}\nvrrp_instance V {{\n {NEEDED} virtual_ipaddress {{\n 192.0.2.1\n }}\n}}"
    );
    let config = read(&text).config.unwrap();
    assert_eq!(config.static_addresses.len(), 1);
    assert_eq!(config.static_addresses[0].address.to_string(), "192.0.2.7");
}

#[test]
fn ten_megabytes_of_mistakes_are_answered_soon() {
    let started = Instant::now();
    let loaded = read(&"foo\n".repeat(10 << 18));
    assert!(loaded.diagnostics.len() < 110_000);
    assert!(!loaded.upstream_lines().is_empty());
    read(&"a {}\n{}\n".repeat(1 << 20));
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[test]
fn binary_noise_is_complained_about() {
    let loaded = read("global_defs {\n rou\0ter_id x\n}\n");
    assert_eq!(loaded.upstream_lines(), ["(Line 2) line has a NUL byte - ignoring"]);
    fuzz(&(0..=255).cycle().take(100_000).collect::<Vec<u8>>());
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer(data in proptest::collection::vec(any::<u8>(), 0..400)) {
        fuzz(&data);
    }

    #[test]
    fn any_mix_of_words_gives_an_answer(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "vrrp_instance", "V", "{", "}", "\n", " ", "\"", "'", "\\", "$A", "=", "${A}", "@x",
                "priority", "5", "-1", "script", "virtual_ipaddress", "1.2.3.4/24", "dev", "track_script",
                "weight", "unicast_peer", "global_defs", "vrrp_script", "authentication", "auth_pass",
                "vrrp_sync_group", "group", "static_ipaddress", "~SEQ(", "#", "!", "é", "interface",
                "advert_int", "0.5", "virtual_router_id", "label", "brd", "min_ttl", "user",
            ]),
            0..60,
        )
    ) {
        fuzz(parts.concat().as_bytes());
        fuzz(parts.join(" ").as_bytes());
    }
}

/// In keepalived's words, measured with 2.2.7; `-t` says nothing of the first.
#[test]
fn a_script_that_cannot_run_is_told_from_one_that_is_not_there() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path().display();
    let plain = directory.path().join("plain.sh");
    std::fs::write(&plain, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o644)).unwrap();
    let text = format!(
        "vrrp_script a {{\n script {here}/plain.sh\n user root\n}}\n\
         vrrp_script b {{\n script {here}\n user root\n}}\n\
         vrrp_script c {{\n script {here}/none.sh\n user root\n}}\n\
         vrrp_instance V {{\n interface lo\n virtual_router_id 9\n virtual_ipaddress {{\n 192.0.2.9\n }}\n}}\n"
    );
    let loaded = load_text("t.conf", &text, &Options::new(&Host));
    let lines = loaded.upstream_lines().join("\n");
    assert!(!lines.contains("script a"), "{lines}");
    assert!(lines.contains("Disabling track script b due to insecure"), "{lines}");
    assert!(lines.contains("Disabling track script c since not found/accessible"), "{lines}");
    let notices = loaded.notices().collect::<Vec<_>>().join("\n");
    for said in [
        format!(
            "WARNING - script '{here}/plain.sh' is not executable for uid:gid 0:0 - disabling."
        ),
        format!("Wrong file type found in script path '{here}'."),
        format!("Script {here}/none.sh cannot be accessed - No such file or directory"),
    ] {
        assert!(notices.contains(&said), "{said} is not in {notices}");
    }
    assert!(loaded.config.is_none_or(|config| config.scripts.is_empty()));
}

#[test]
fn with_e_a_file_that_is_included_and_missing_ends_with_6() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("a.conf");
    std::fs::write(&file, "include /nonexistent/*.conf\n").expect("writable");
    let mut options = Options::new(&Elsewhere);
    assert_eq!(load(&file, &options).exit_code_test(), 0);
    options.all_included = true;
    let loaded = load(&file, &options);
    assert_eq!((loaded.exit_code_test(), loaded.exit_code_run()), (6, Some(6)));
}

/// A lot of whatever nests: the time grows with the length, not with its square. A megabyte of each
/// takes eight times as long.
#[test]
fn a_lot_of_any_nesting_is_read_in_time() {
    let repeated = |unit: &str| unit.repeat((1 << 17) / unit.len());
    let units = [
        "{\n",
        "}\n",
        "a {\n",
        "vrrp_instance V { ",
        "$A=${A}${A}\n$A\n",
        "~SEQ(x,1,9) ~SEQ(y,1,9) foo$x\n",
        "~LST({a,b},{1,2},{3,4}) foo$a\n",
        "\"a\\\" '\n",
        "@^x @^x foo\n",
        "notify_master \"a b 'c' \n",
        "vrrp_script s {\nscript \"/bin/true\"\n}\n",
        "virtual_server 1.2.3.4 80 {\nreal_server 1.2.3.4 80 {\n}\n}\n",
    ];
    for unit in units {
        let text = repeated(unit);
        let start = std::time::Instant::now();
        super::fuzz(text.as_bytes());
        let took = start.elapsed();
        assert!(took < std::time::Duration::from_secs(20), "{unit:?} took {took:?}");
    }
}

/// As keepalived 2.2.7 logs it; its `-t` says nothing of it.
#[test]
fn a_script_nobody_follows_is_not_run_and_a_notice_says_so() {
    let text = "vrrp_script alone {\n script /bin/true\n}\n\
         vrrp_script weighs {\n script /bin/true\n weight 5\n}\n\
         vrrp_script ours {\n script /bin/true\n}\n\
         vrrp_script theirs {\n script /bin/true\n}\n\
         vrrp_instance V {\n interface eth0\n virtual_router_id 9\n virtual_ipaddress {\n 192.0.2.9\n }\n \
         track_script {\n ours\n weighs\n }\n}\n\
         vrrp_instance W {\n interface eth0\n virtual_router_id 8\n virtual_ipaddress {\n 192.0.2.8\n }\n}\n\
         vrrp_sync_group G {\n group {\n V\n W\n }\n track_script {\n theirs\n }\n}\n";
    let loaded = load_text("t.conf", text, &Options::new(&Elsewhere));
    let notices = loaded.notices().collect::<Vec<_>>().join("\n");
    assert!(notices.contains("Warning - script alone is not used"), "{notices}");
    let weighs = "Warning - script weighs is not used";
    assert!(notices.contains(weighs), "its weight counts for nothing in a group: {notices}");
    assert_eq!(notices.matches("is not used").count(), 2, "{notices}");
    assert!(!loaded.upstream_lines().join("\n").contains("not used"));
    let scripts = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)).scripts;
    let names: Vec<_> = scripts.iter().map(|script| script.name.as_str()).collect();
    assert_eq!(names, ["ours", "theirs"]);
}

//! `virtual_server` blocks: nothing is balanced yet, and what is wrong with them is said.

use std::net::IpAddr;

use conf::{Problem, Stmt, Table};

use super::Resolver;
use crate::lex::shell_words;
use crate::number::unsigned;
use crate::system::Program;
use crate::table::{REAL_SERVER, URL, VIRTUAL_SERVER};
use crate::wording::{AFTER, CHILD};

/// What every checker knows.
const COMMON: [&str; 13] = [
    "connect_ip",
    "connect_port",
    "bindto",
    "bind_port",
    "bind_if",
    "connect_timeout",
    "fwmark",
    "retry",
    "delay_before_retry",
    "warmup",
    "delay_loop",
    "alpha",
    "log_all_failures",
];

/// What some know besides.
const OWN: &[(&str, &[&str])] = &[
    ("TCP_CHECK", &[]),
    ("PING_CHECK", &[]),
    ("HTTP_GET", HTTP),
    ("SSL_GET", HTTP),
    ("MISC_CHECK", &["misc_path", "misc_timeout", "misc_dynamic", "user"]),
    ("SMTP_CHECK", &["helo_name", "host"]),
    ("DNS_CHECK", &["type", "name"]),
    ("UDP_CHECK", &["payload", "require_reply", "min_reply_length", "max_reply_length"]),
    ("FILE_CHECK", &["track_file", "weight"]),
    ("BFD_CHECK", &["name"]),
];

const HTTP: &[&str] = &[
    "url",
    "nb_get_retry",
    "http_protocol",
    "virtualhost",
    "enable_sni",
    "sni_name",
    "fast_recovery",
    "tls_compliant",
];

const SCHEDULERS: [&str; 14] =
    ["rr", "wrr", "lc", "wlc", "lblc", "sh", "mh", "dh", "fo", "ovf", "lblcr", "sed", "nq", "twos"];

/// One virtual server, as far as it is looked at.
#[derive(Default)]
struct Server {
    /// As keepalived shows it, without its protocol and port.
    shown: String,
    port: u16,
    by_mark: bool,
    in_group: bool,
    address: Option<IpAddr>,
    protocol: Option<&'static str>,
    scheduler: bool,
    method: bool,
    /// Address and port of each real server.
    real: Vec<(IpAddr, u16)>,
}

impl Server {
    fn name(&self) -> String {
        let (shown, port) = (&self.shown, self.port);
        if self.by_mark {
            shown.clone()
        } else if self.in_group {
            format!("[{shown}]:{port}")
        } else {
            format!("[{shown}]:{}:{port}", self.protocol.unwrap_or("none"))
        }
    }
}

impl Resolver<'_> {
    pub(super) fn lvs(&mut self) {
        let draft = self.draft;
        let mut runs = false;
        for stmt in &draft.lvs {
            if stmt.word(0) == "virtual_server" {
                self.virtual_server(stmt, &mut runs);
            } else if stmt.body().is_empty() {
                let said =
                    format!("virtual server group {} has no entries - removing", stmt.word(1));
                self.say(CHILD, closing(stmt), said);
            }
        }
        if runs && !draft.globals.globals.script_security {
            let said = "SECURITY VIOLATION - check scripts are being executed but script_security not enabled.";
            self.say(AFTER, conf::Span { file: conf::FileId::MAX, ..conf::Span::default() }, said);
            self.insecure = true;
        }
    }

    fn virtual_server(&mut self, stmt: &Stmt, runs: &mut bool) {
        let mut server = Server::default();
        match stmt.word(1) {
            "fwmark" => {
                server.shown = format!("FWM {}", stmt.word(2));
                server.by_mark = true;
            }
            "group" => {
                server.shown = stmt.word(2).to_owned();
                server.in_group = true;
            }
            address => {
                let port = if stmt.words.len() > 2 { stmt.word(2) } else { "0" };
                match (address.parse(), port.parse()) {
                    (Ok(ip), Ok(port)) => {
                        server.shown = IpAddr::to_string(&ip);
                        server.address = Some(ip);
                        server.port = port;
                    }
                    _ => {
                        let said = format!(
                            "Invalid virtual server IP address/port {address}/{port} - skipping"
                        );
                        return self.say(CHILD, stmt.at(), said);
                    }
                }
            }
        }
        for line in stmt.body() {
            self.virtual_line(line, &mut server, runs);
        }
        self.whole(server);
    }

    fn virtual_line(&mut self, line: &Stmt, server: &mut Server, runs: &mut bool) {
        match line.word(0) {
            "protocol" => {
                server.protocol = match line.word(1).to_ascii_uppercase().as_str() {
                    "TCP" => Some("tcp"),
                    "UDP" => Some("udp"),
                    "SCTP" => Some("sctp"),
                    _ => {
                        let said = format!("Unknown protocol {} - ignoring", line.word(1));
                        return self.say(CHILD, line.at(), said);
                    }
                };
            }
            "lb_algo" | "lvs_sched" => {
                let known = SCHEDULERS.contains(&line.word(1));
                server.scheduler |= known;
                if !known {
                    let said = format!("Invalid lvs_scheduler '{}' - ignoring", line.word(1));
                    self.say(CHILD, line.at(), said);
                }
            }
            "lb_kind" | "lvs_method" => {
                let known = ["NAT", "DR", "TUN"].contains(&line.word(1));
                server.method |= known;
                if !known {
                    let said = format!(
                        "PARSER : unknown [{}] routing method for virtual server.",
                        line.word(1)
                    );
                    self.say(CHILD, line.at(), said);
                }
            }
            "delay_loop" => {
                if let (None, said) =
                    crate::number::decimal(line.word(1), 1..=4_294_967_295_000_000)
                {
                    let said = format!(
                        "{}\nvirtual server delay loop '{}' invalid - ignoring",
                        said.unwrap_or_default(),
                        line.word(1)
                    );
                    self.say(CHILD, line.at(), said);
                }
            }
            "quorum_up" | "quorum_down" => *runs |= self.would_run(line.word(1)),
            "real_server" => self.real_server(line, server, runs),
            _ => {
                self.known(line, &names(VIRTUAL_SERVER));
            }
        }
    }

    fn real_server(&mut self, stmt: &Stmt, server: &mut Server, runs: &mut bool) {
        let (address, port) = (stmt.word(1), stmt.word(2));
        let port = if port.is_empty() { "0" } else { port };
        let (Ok(ip), Ok(number)) = (address.parse::<IpAddr>(), port.parse::<u16>()) else {
            let said = format!("Invalid real server ip address/port {address}/{port} - skipping");
            return self.say(CHILD, stmt.at(), said);
        };
        if server.address.is_some_and(|own| own.is_ipv4() != ip.is_ipv4()) {
            let said = format!(
                "Address family of virtual server and real server {ip} don't match - skipping real server."
            );
            return self.say(CHILD, closing(stmt), said);
        }
        server.real.push((ip, number));
        for line in stmt.body() {
            let keyword = line.word(0);
            match keyword {
                "weight" => {
                    if let Err(said) = unsigned(line.word(1), 0..=2_147_483_647) {
                        let said = format!(
                            "{said}\nReal server weight {} is outside range 0-2147483647",
                            line.word(1)
                        );
                        self.say(CHILD, line.at(), said);
                    }
                }
                "notify_up" | "notify_down" => *runs |= self.would_run(line.word(1)),
                _ if OWN.iter().any(|(checker, _)| *checker == keyword) => {
                    self.checker(line, runs);
                }
                _ => {
                    self.known(line, &names(REAL_SERVER));
                }
            }
        }
    }

    fn checker(&mut self, stmt: &Stmt, runs: &mut bool) {
        let own = OWN.iter().find(|(checker, _)| *checker == stmt.word(0));
        let own = own.map_or(&[][..], |(_, own)| own);
        let all: Vec<&str> = COMMON.iter().chain(own).copied().collect();
        for line in stmt.body() {
            if !self.known(line, &all) {
                continue;
            }
            match line.word(0) {
                "nb_get_retry" => {
                    self.say(CHILD, line.at(), "nb_get_retry is deprecated - please use 'retry'");
                }
                "misc_path" => *runs |= self.would_run(line.word(1)),
                "url" => {
                    for inner in line.body() {
                        self.known(inner, &names(URL));
                    }
                }
                _ => {}
            }
        }
        let http = ["HTTP_GET", "SSL_GET"].contains(&stmt.word(0));
        if http && !stmt.body().iter().any(|line| line.word(0) == "url") {
            let said = "HTTP/SSL_GET checker has no urls specified - ignoring";
            self.say(CHILD, stmt.at(), said);
        }
    }

    /// What can only be said of a whole virtual server.
    fn whole(&mut self, mut server: Server) {
        let mut said = Vec::new();
        if server.real.is_empty() {
            said.push(format!("Virtual server {} has no real servers - ignoring", server.name()));
        } else {
            if server.protocol.is_none() && !server.by_mark {
                if !server.in_group {
                    let name = server.name();
                    said.push(format!(
                        "Virtual server {name}: no protocol set - defaulting to UDP"
                    ));
                }
                server.protocol = Some("udp");
            } else if server.protocol.take_if(|_| server.by_mark).is_some() {
                said.push(format!(
                    "Warning: Virtual server {}: protocol specified for fwmark - protocol will be ignored",
                    server.name()
                ));
            }
            let name = server.name();
            if !server.scheduler {
                said.push(format!(
                    "Virtual server {name}: no scheduler set, setting default 'wlc'"
                ));
            }
            if !server.method {
                said.push(format!(
                    "Virtual server {name}: no forwarding method set, setting default NAT"
                ));
            }
            for (index, (ip, port)) in server.real.iter().enumerate() {
                if server.real[..index].contains(&(*ip, *port)) {
                    let protocol = server.protocol.unwrap_or("none");
                    said.push(format!(
                        "VS {name}: real server [{ip}]:{protocol}:{port} is duplicated - removing second rs"
                    ));
                }
            }
        }
        for line in said {
            self.after(line);
        }
    }

    /// Complains about a keyword that is none of these; whether it is one.
    fn known(&mut self, line: &Stmt, names: &[&str]) -> bool {
        let known = line.words.is_empty() || names.contains(&line.word(0));
        if !known {
            let problem = Problem::UnknownKeyword {
                word: line.word(0).to_owned(),
                section: "virtual_server".to_owned(),
                nearest: None,
            };
            self.b.error(line.at(), problem).context.push_str(CHILD);
        }
        known
    }

    /// Whether a command's program is there.
    fn would_run(&self, command: &str) -> bool {
        let words = shell_words(command).unwrap_or_default();
        let found = words.first().map(|program| self.system.program(program));
        matches!(found, Some(Program::Found { .. }))
    }
}

/// Where its closing brace stands.
fn closing(stmt: &Stmt) -> conf::Span {
    conf::Span { start: stmt.span.end.saturating_sub(1), ..stmt.span }
}

fn names(table: &'static [conf::Keyword<()>]) -> Vec<&'static str> {
    table.rows().iter().map(|row| row.name).collect()
}

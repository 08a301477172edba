//! The blocks of checkers, and `SSL { … }`.

use conf::Keyword;

type Planned = Keyword<()>;

/// What checkers know, all together.
pub(crate) const CHECKERS: &[Planned] = &[
    Planned::planned("connect_ip", "<addr>").doc("Where to connect to."),
    Planned::planned("connect_port", "<port>").doc("Which port."),
    Planned::planned("bindto", "<addr>").doc("Where to connect from."),
    Planned::planned("bind_port", "<port>").doc("From which port."),
    Planned::planned("bind_if", "<ifname>").doc("From which interface."),
    Planned::planned("connect_timeout", "<seconds>").doc("How long it may take."),
    Planned::planned("fwmark", "<number>").doc("The mark of its packets."),
    Planned::planned("retry", "<number>").doc("How often it is tried again."),
    Planned::planned("delay_before_retry", "<seconds>").doc("Between two tries."),
    Planned::planned("warmup", "<seconds>").doc("The longest wait before the first."),
    Planned::planned("delay_loop", "<seconds>").doc("Between two checks."),
    Planned::planned("alpha", "").doc("Down until checked."),
    Planned::planned("log_all_failures", "[on|off]").doc("Logs each failure."),
    Planned::planned("url", "{ … }").doc("HTTP: a page."),
    Planned::planned("nb_get_retry", "<number>").doc("HTTP: the old name of `retry`."),
    Planned::planned("http_protocol", "1.0|1.0C|1.1").doc("HTTP: the version."),
    Planned::planned("virtualhost", "<name>").doc("HTTP: the host asked for."),
    Planned::planned("enable_sni", "").doc("TLS: sends the host's name."),
    Planned::planned("sni_name", "<name>").doc("TLS: sends this name."),
    Planned::planned("fast_recovery", "").doc("HTTP: one success is enough."),
    Planned::planned("tls_compliant", "").doc("TLS: demands a proper end."),
    Planned::planned("misc_path", "<command>").doc("MISC: the command."),
    Planned::planned("misc_timeout", "<seconds>").doc("MISC: how long it may run."),
    Planned::planned("misc_dynamic", "").doc("MISC: its exit code is a weight."),
    Planned::planned("user", "<user> [<group>]").doc("MISC: who runs it."),
    Planned::planned("helo_name", "<name>").doc("SMTP: what the server is greeted with."),
    Planned::planned("host", "{ … }").doc("SMTP: where to connect to, in old files."),
    Planned::planned("type", "A|NS|CNAME|SOA|MX|TXT|AAAA|RRSIG|DNSKEY")
        .doc("DNS: what is asked for."),
    Planned::planned("name", "<name>").doc("DNS: the name asked for; BFD: the session."),
    Planned::planned("payload", "<hex>").doc("UDP: what is sent."),
    Planned::planned("require_reply", "[<hex>]").doc("UDP: what must come back."),
    Planned::planned("min_reply_length", "<bytes>").doc("UDP: at least so much."),
    Planned::planned("max_reply_length", "<bytes>").doc("UDP: at most so much."),
    Planned::planned("track_file", "<name>").doc("FILE: the file."),
    Planned::planned("weight", "<-254..254> [reverse]")
        .doc("FILE: what its number is multiplied by."),
];

/// `url { … }`
pub(crate) const URL: &[Planned] = &[
    Planned::planned("path", "<path>").doc("The page."),
    Planned::planned("digest", "<md5>").doc("The digest its body must have."),
    Planned::planned("status_code", "<code>[-<code>]…").doc("The status it must have."),
    Planned::planned("virtualhost", "<name>").doc("The host asked for."),
    Planned::planned("regex", "<expression>").doc("What the body must match."),
    Planned::planned("regex_no_match", "").doc("What it must not."),
    Planned::planned("regex_options", "<option>…").doc("How it matches."),
    Planned::planned("regex_stack", "<start> <max>").doc("How much memory matching may use."),
    Planned::planned("regex_min_offset", "<bytes>").doc("The first byte of a match."),
    Planned::planned("regex_max_offset", "<bytes>").doc("The last one."),
    Planned::planned("tls_compliant", "").doc("Demands a proper end of TLS."),
];

/// `SSL { … }`
pub(crate) const SSL: &[Planned] = &[
    Planned::planned("password", "<password>").doc("Of the key."),
    Planned::planned("ca", "<path>").doc("Who is trusted."),
    Planned::planned("certificate", "<path>").doc("Who we are."),
    Planned::planned("key", "<path>").doc("Its key."),
];

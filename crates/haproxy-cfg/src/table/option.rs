//! `option …`.

use conf::Form::{Switch, Words};
use conf::{Binder, Keyword, Severity, Span, Status, Word};
use proxy::LogFormat;

use super::http::{UNSERVED, forwarded};
use super::{CLIENT, PROXY, SERVER, text};
use crate::draft::{CheckOption, Draft};
use crate::number::{integer, surplus};
use crate::say::{Complain, TIGHT};

type P = Keyword<Draft>;

const ALL: usize = usize::MAX;
/// Why a tuning option has no effect.
const TUNING: Status = Status::Accepted("a tuning hint for HAProxy's own engine");
/// Why splice options have no effect.
const SPLICE: Status = Status::Accepted("bulk data is spliced anyway");

/// An HTTP option that has no effect, with `no`.
const fn http(name: &'static str, why: &'static str) -> P {
    P::new(name, Switch(|_, _| {})).within(PROXY).status(Status::Accepted(why))
}

/// An HTTP option that is not built: a proxy of `mode http` is refused for it.
const fn unserved(name: &'static str) -> P {
    P::new(name, Switch(|_, _| {})).within(PROXY).status(UNSERVED)
}

/// The options of a proxy.
pub(crate) const TABLE: &[P] = &[
    P::new("option", Words("<name>", 0..=ALL, unknown))
        .within(PROXY)
        .doc("See the single options."),
    P::new("option abortonclose", Switch(|p, on| p.back.abortonclose = on))
        .within(PROXY)
        .doc("A client that half-closes while it waits gives up."),
    P::new("option allbackups", Switch(|p, on| p.back.allbackups = on))
        .within(SERVER)
        .doc("All backups at once and not only the first."),
    P::new("option clitcpka", Switch(|p, on| p.tcpka.client = on))
        .within(CLIENT)
        .doc("SO_KEEPALIVE towards clients."),
    P::new("option srvtcpka", Switch(|p, on| p.tcpka.server = on))
        .within(SERVER)
        .doc("SO_KEEPALIVE towards servers."),
    P::new(
        "option tcpka",
        Words("", 0..=ALL, |p, w, b| {
            if !surplus(b, "option tcpka", w, 0) {
                (p.tcpka.client, p.tcpka.server) = (true, true);
            }
        }),
    )
    .within(PROXY)
    .doc("SO_KEEPALIVE towards clients and servers."),
    P::new("option contstats", Switch(|_, _| {}))
        .within(CLIENT)
        .status(Status::Accepted("counters are always kept while a session runs")),
    P::new("option dontlog-normal", Switch(|p, on| p.front.log.dontlog_normal = on))
        .within(CLIENT)
        .doc("Only sessions that went wrong are logged."),
    P::new("option dontlognull", Switch(|p, on| p.front.log.dontlognull = on))
        .within(CLIENT)
        .doc("Sessions without a byte are not logged."),
    P::new("option log-health-checks", Switch(|p, on| p.log_health_checks = on))
        .within(SERVER)
        .doc("A line for each check that changed something."),
    P::new("option log-separate-errors", Switch(|p, on| p.front.log.separate_errors = on))
        .within(CLIENT)
        .doc("What went wrong is logged at level `err`."),
    P::new("option logasap", Switch(|p, on| p.front.log.logasap = on))
        .within(CLIENT)
        .doc("A line as soon as the server is connected."),
    P::new("option nolinger", Switch(|p, on| (p.front.nolinger, p.back.nolinger) = (on, on)))
        .within(PROXY)
        .doc("Close with a reset."),
    P::new(
        "option redispatch",
        Words("[<interval>]", 0..=ALL, |p, w, b| {
            let n = w.first().map_or(-1, |word| integer(b, "option redispatch", word));
            p.back.redispatch = i32::try_from(n).ok().filter(|n| *n != 0);
        }),
    )
    .within(SERVER)
    .doc("A retry may go to another server."),
    P::new(
        "option tcplog",
        Words("[clf]", 0..=ALL, |p, w, b| {
            let clf = text(w, 0) == "clf";
            if !surplus(b, "option tcplog", w, usize::from(clf)) {
                p.log_format = LogFormat::Tcp;
                p.http.httplog = None;
                if clf {
                    p.log_format = LogFormat::Custom(rules::Format::default());
                    TCP_CLF.clone_into(&mut p.log_text);
                    p.log_at = Some(w[0].span);
                }
            }
        }),
    )
    .within(PROXY)
    .doc("Sessions are logged with times, counters and a termination code; with `clf` in the common log \
          format, as HAProxy does since 3.1."),
    P::new(
        "option httplog",
        Words("[clf]", 0..=ALL, |p, w, b| {
            if text(w, 0) != "clf" && surplus(b, "option httplog", w, 0) {
                return;
            }
            p.log_format = LogFormat::Tcp;
            p.http.clf = text(w, 0) == "clf";
            p.http.httplog = Some(w.first().map_or_else(Span::default, |w| w.span));
        }),
    )
    .within(PROXY)
    .doc("Requests are logged with times, counters and a termination code. Of a TCP proxy: as `option tcplog`."),
    P::new(
        "option httpslog",
        Words("", 0..=ALL, |p, _, _| {
            p.log_format = LogFormat::Tcp;
            p.http.httplog = Some(Span::default());
        }),
    )
    .within(PROXY)
    .doc("Of a TCP proxy: as `option tcplog`."),
    P::new(
        "option tcp-check",
        Words("", 0..=ALL, |p, w, b| {
            if !surplus(b, "option tcp-check", w, 0) {
                p.check = CheckOption::Tcp;
            }
        }),
    )
    .within(SERVER)
    .doc("Checks follow the `tcp-check` steps; without any they connect."),
    P::new("option httpchk", Words("[[<method>] <uri> [<version> [<host>]]]", 0..=ALL, httpchk))
        .within(SERVER)
        .doc("Checks are HTTP requests, of a host where one is said (HAProxy since 2.9)."),
    P::new("option persist", conf::Form::Switch(|p, on| p.stick.persist = on))
        .within(SERVER)
        .doc("A server that is remembered is used although it is down."),
    P::new("option independent-streams", Switch(|_, _| {})).within(PROXY).status(TUNING),
    http("option idle-close-on-response", "idle clients are answered before a process ends anyway")
        .within(CLIENT),
    P::new("option socket-stats", Switch(|p, on| p.front.socket_stats = on))
        .within(CLIENT)
        .doc("Every address has a row of its own in the statistics."),
    P::new("option splice-auto", Switch(|_, _| {})).within(PROXY).status(SPLICE),
    P::new("option splice-request", Switch(|_, _| {})).within(PROXY).status(SPLICE),
    P::new("option splice-response", Switch(|_, _| {})).within(PROXY).status(SPLICE),
    P::new("option tcp-smart-accept", Switch(|_, _| {})).within(CLIENT).status(TUNING),
    P::new("option tcp-smart-connect", Switch(|_, _| {})).within(SERVER).status(TUNING),
    P::new(
        "option forwardfor",
        Words("[except <net>] [header <name>] [if-none]", 0..=ALL, |p, w, b| {
            p.http.model.forwarded_for = forwarded(w, b, "forwardfor", "x-forwarded-for");
        }),
    )
    .within(PROXY)
    .doc("Servers are told a client's address in a header."),
    P::new(
        "option originalto",
        Words("[except <net>] [header <name>]", 0..=ALL, |p, w, b| {
            p.http.model.original_to = forwarded(w, b, "originalto", "x-original-to");
        }),
    )
    .within(PROXY)
    .doc("Servers are told in a header where a client connected to."),
    P::new("option forwarded", Words("[param…]", 0..=ALL, |_, _, _| {}))
        .within(PROXY)
        .status(UNSERVED),
    unserved("option accept-invalid-http-request"),
    unserved("option accept-invalid-http-response"),
    unserved("option accept-unsafe-violations-in-http-request"),
    unserved("option accept-unsafe-violations-in-http-response"),
    unserved("option checkcache"),
    http("option disable-h2-upgrade", "there is no HTTP/2"),
    unserved("option h1-case-adjust-bogus-client"),
    unserved("option h1-case-adjust-bogus-server"),
    http("option http-buffer-request", "no rule looks at bodies"),
    unserved("option http-drop-request-trailers"),
    unserved("option http-drop-response-trailers"),
    P::new("option http-ignore-probes", Switch(|p, on| p.http.model.ignore_probes = on))
        .within(CLIENT)
        .doc("Connections without a request are neither answered nor logged."),
    P::new(
        "option http-keep-alive",
        Switch(|p, on| {
            if on {
                (p.http.model.close, p.http.model.server_close) = (false, false);
            }
        }),
    )
    .within(PROXY)
    .doc("Connections are kept for further requests, as they are by default."),
    http("option http-no-delay", "nothing is held back"),
    http("option http-pretend-keepalive", "servers are always asked to keep their connection"),
    unserved("option http-restrict-req-hdr-names").within(PROXY),
    P::new("option http-server-close", Switch(|p, on| p.http.model.server_close = on))
        .within(PROXY)
        .doc("A connection to a server is for one request."),
    http("option http-use-htx", "there is no other way"),
    unserved("option http-use-proxy-header"),
    P::new("option httpclose", Switch(|p, on| p.http.model.close = on))
        .within(PROXY)
        .doc("Connections are for one request."),
    http("option prefer-last-server", "a client keeps its server for as long as both want to"),
    http("option use-small-buffers", "buffers are as small as they can be"),
];

/// `option` with a name no row has.
fn unknown(_: &mut Draft, words: &[Word], b: &mut Binder) {
    let Some(word) = words.first() else {
        b.complain(Severity::Error, TIGHT, Span::default(), "'option' expects an option name.");
        return;
    };
    let removed = match word.text.as_str() {
        "forceclose" => Some(
            "option 'forceclose' is not supported any more since HAProxy 2.0, please just remove it, or use 'option httpclose' if absolutely needed.",
        ),
        "http-tunnel" => Some(
            "option 'http-tunnel' is not supported any more since HAProxy 2.1, please just remove it, it shouldn't be needed.",
        ),
        _ => None,
    };
    if let Some(removed) = removed {
        b.complain(Severity::Error, TIGHT, word.span, removed);
        return;
    }
    let names = TABLE.iter().filter_map(|row| row.name.strip_prefix("option "));
    let text = match conf::nearest(&word.text, names) {
        Some(nearest) => {
            format!("unknown option '{}'; did you mean '{nearest}' maybe ?", word.text)
        }
        None => format!("unknown option '{}'.", word.text),
    };
    b.refuse(word.span, text);
}

/// `option tcplog clf`.
const TCP_CLF: &str = "%{+Q}o %{-Q}ci - - [%T] \"TCP \" 000 %B \"\" \"\" %cp %ms %ft %b %s %Th %Tw %Tc %Tt %U %ts-- %ac %fc %bc %sc %rc %sq %bq \"\" \"\" ";

/// `option httpchk [[METHOD] URI [VERSION [HOST]]]`.
fn httpchk(p: &mut Draft, words: &[Word], b: &mut Binder) {
    let mut request = check::Request::default();
    match words {
        [] => {}
        [uri] => request.uri = uri.text.as_str().into(),
        [method, uri, rest @ ..] => {
            method.text.clone_into(&mut request.method);
            request.uri = uri.text.as_str().into();
            if let Some(version) = rest.first() {
                hidden_headers(&mut request, version, b);
            }
            if let Some(host) = rest.get(1) {
                request.headers.push(("Host".to_owned(), host.text.as_str().into()));
            }
            if let Some(extra) = rest.get(2) {
                crate::number::unexpected(b, "option httpchk", &extra.text, extra.span);
                return;
            }
        }
    }
    p.check = CheckOption::Http(request);
}

/// Headers and a body that old configurations append to the version.
fn hidden_headers(request: &mut check::Request, word: &Word, b: &mut Binder) {
    let Some((version, headers)) = word.text.split_once("\r\n") else {
        word.text.clone_into(&mut request.version);
        return;
    };
    let text = "'option httpchk' : hiding headers or body at the end of the version string is deprecated. Please, consider to use 'http-check send' directive instead.";
    b.complain(Severity::Warning, TIGHT, word.span, text);
    version.clone_into(&mut request.version);
    let (headers, body) = headers.split_once("\r\n\r\n").unwrap_or((headers, ""));
    for header in headers.split("\r\n").filter(|header| !header.is_empty()) {
        let (name, value) = header.split_once(':').unwrap_or((header, ""));
        request.headers.push((name.trim().to_owned(), value.trim().into()));
    }
    request.body = check::Text::Plain(crate::lexer::bytes_of(body));
}

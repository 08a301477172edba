//! Keywords of HTTP: without an effect in a tcp proxy, and reported there as HAProxy does.

use conf::Form::{Known, Words};
use conf::{Keyword, Status, Within};

use super::{CLIENT, CLIENT_ONLY, NAMED, PROXY, SERVER};
use crate::draft::Draft;

type P = Keyword<Draft>;

const ALL: usize = usize::MAX;
const ACCEPTED: Status = Status::Accepted("HTTP only, and HTTP is not served yet");
const WARNED: Status = Status::Accepted("HTTP only: a tcp proxy warns about it");

/// A keyword without an effect.
const fn http(name: &'static str, usage: &'static str, within: Within) -> P {
    P::new(name, Known(usage)).within(within).status(ACCEPTED)
}

/// Keywords of HTTP.
pub(crate) const TABLE: &[P] = &[
    P::new("cookie", Words("<name> [param…]", 0..=ALL, |p, _, _| p.http.cookie = true))
        .within(SERVER)
        .status(WARNED),
    P::new(
        "http-request",
        Words("<action> [param…]", 0..=ALL, |p, _, _| {
            p.http.request_rules = true;
        }),
    )
    .within(PROXY)
    .status(WARNED),
    P::new(
        "http-response",
        Words("<action> [param…]", 0..=ALL, |p, _, _| {
            p.http.response_rules = true;
        }),
    )
    .within(PROXY)
    .status(WARNED),
    P::new(
        "http-after-response",
        Words("<action> [param…]", 0..=ALL, |p, _, _| {
            p.http.after_response_rules = true;
        }),
    )
    .within(PROXY)
    .status(WARNED),
    P::new(
        "redirect",
        Words("<kind> <to> [param…]", 0..=ALL, |p, _, _| {
            p.http.redirect_rules = true;
        }),
    )
    .within(NAMED)
    .status(WARNED),
    P::new("monitor-uri", Words("<uri>", 0..=ALL, |p, _, _| p.http.monitor_uri = true))
        .within(CLIENT)
        .status(WARNED),
    P::new("unique-id-header", Words("<name>", 0..=ALL, |p, _, _| p.http.unique_id = true))
        .within(CLIENT)
        .status(WARNED),
    P::planned("monitor fail", "if|unless <condition>").within(CLIENT_ONLY),
    http("capture cookie", "<name> len <n>", CLIENT_ONLY),
    http("capture request header", "<name> len <n>", CLIENT_ONLY),
    http("capture response header", "<name> len <n>", CLIENT_ONLY),
    http("compression algo", "<algorithm>…", PROXY),
    http("compression algo-req", "<algorithm>", PROXY),
    http("compression algo-res", "<algorithm>…", PROXY),
    http("compression direction", "<direction>", PROXY),
    http("compression minsize-req", "<size>", PROXY),
    http("compression minsize-res", "<size>", PROXY),
    http("compression offload", "", PROXY),
    http("compression type", "<type>…", PROXY),
    http("compression type-req", "<type>…", PROXY),
    http("compression type-res", "<type>…", PROXY),
    http("errorfile", "<code> <file>", PROXY),
    http("errorfiles", "<section> [<code>…]", PROXY),
    http("errorloc", "<code> <url>", PROXY),
    http("errorloc302", "<code> <url>", PROXY),
    http("errorloc303", "<code> <url>", PROXY),
    http("http-error status", "<code> [param…]", PROXY),
    http("http-reuse", "<mode>", SERVER),
    http("http-send-name-header", "[<name>]", SERVER),
    http("max-keep-alive-queue", "<n>", SERVER),
    http("use-fcgi-app", "<name>", SERVER),
];

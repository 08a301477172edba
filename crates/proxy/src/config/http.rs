//! What proxies that speak HTTP do besides passing messages on.

use std::sync::Arc;
use std::time::Duration;

use ::rules::Condition;
use ::rules::http::HttpRule;

use crate::variable::Network;

/// A proxy's side of HTTP: a frontend has one, a backend another; a `listen` has the same twice.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Http {
    /// `http-request`.
    pub request: Vec<HttpRule>,
    /// `http-response`.
    pub response: Vec<HttpRule>,
    /// `http-after-response`.
    pub after_response: Vec<HttpRule>,
    /// `monitor-uri`: answered here, 200 or, if one of [`monitor_fail`](Self::monitor_fail) holds,
    /// 503.
    pub monitor_uri: Option<String>,
    /// `monitor fail`.
    pub monitor_fail: Vec<Condition>,
    /// `option forwardfor`.
    pub forwarded_for: Option<Forwarded>,
    /// `option originalto`.
    pub original_to: Option<Forwarded>,
    /// `errorfile`: whole messages, by status.
    pub errors: Vec<(u16, Arc<[u8]>)>,
    /// The statistics page.
    pub stats: Option<Arc<Stats>>,
    /// `capture request header`: the name, how much of it, and the slot.
    pub request_captures: Vec<(String, usize, usize)>,
    /// `capture response header`.
    pub response_captures: Vec<(String, usize, usize)>,
    /// How many slots there are for what is kept of requests.
    pub captures: usize,
    /// `timeout http-request`: how long a request's head may take.
    pub request_timeout: Option<Duration>,
    /// `timeout http-keep-alive`: how long a client may wait with its next request.
    pub keep_alive_timeout: Option<Duration>,
    /// `timeout tarpit`: how long an unwanted client waits for its error.
    pub tarpit_timeout: Option<Duration>,
    /// `option httpclose`: one request for each connection of a client.
    pub close: bool,
    /// `option http-server-close`: one request for each connection to a server.
    pub server_close: bool,
    /// `option http-ignore-probes`: connections without a request are not logged.
    pub ignore_probes: bool,
}

/// `option forwardfor` and `option originalto`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Forwarded {
    /// The header's name.
    pub header: String,
    /// `except`: addresses that are not named.
    pub except: Option<Network>,
    /// `if-none`: only where there is no such header.
    pub if_none: bool,
}

/// `stats …` of a proxy: the statistics page.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stats {
    /// `stats uri`: what its address begins with.
    pub uri: String,
    /// `stats realm`.
    pub realm: String,
    /// `stats auth`: users and their passwords; none: everybody may look.
    pub users: Vec<(String, String)>,
    /// `stats refresh`: seconds after which browsers load it again.
    pub refresh: Option<Duration>,
    /// `stats hide-version`.
    pub hide_version: bool,
    /// `stats show-node`: the name to show; empty is the machine's.
    pub node: Option<String>,
    /// `stats show-desc`.
    pub description: Option<String>,
    /// `stats show-legends`.
    pub legends: bool,
    /// `stats scope`: only these proxies; empty is all. `.` is the proxy it stands in.
    pub scope: Vec<String>,
    /// `stats admin`: whoever one of these holds for may change the state of servers.
    pub admin: Vec<Condition>,
    /// `stats http-request`: who may look, in this order.
    pub rules: Vec<HttpRule>,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            uri: "/haproxy?stats".to_owned(),
            realm: "HAProxy Statistics".to_owned(),
            users: Vec::new(),
            refresh: None,
            hide_version: false,
            node: None,
            description: None,
            legends: false,
            scope: Vec::new(),
            admin: Vec::new(),
            rules: Vec::new(),
        }
    }
}

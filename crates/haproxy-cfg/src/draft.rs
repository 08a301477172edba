//! Sections as they are being read: the model's types, and what only the text knows.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use check::{Action, Step};
use conf::Span;
use proxy::{Backend, Bind, Frontend, LogFormat, LogTarget, Mode, Origin, Process, ServerAddress};

use crate::acl::{Acls, ConditionDraft};
use crate::context::Shared;

/// What a section is; also its bit in a keyword's `within`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Kind {
    /// `defaults`.
    #[default]
    Defaults,
    /// `frontend`.
    Frontend,
    /// `listen`.
    Listen,
    /// `backend`.
    Backend,
}

impl Kind {
    /// As the file has it.
    pub(crate) fn keyword(self) -> &'static str {
        match self {
            Self::Defaults => "defaults",
            Self::Frontend => "frontend",
            Self::Listen => "listen",
            Self::Backend => "backend",
        }
    }

    /// As HAProxy's messages have it.
    pub(crate) fn noun(self) -> &'static str {
        if self == Self::Listen { "proxy" } else { self.keyword() }
    }

    /// Whether it accepts connections.
    pub(crate) fn is_client_side(self) -> bool {
        matches!(self, Self::Frontend | Self::Listen)
    }

    /// Whether it has servers.
    pub(crate) fn is_server_side(self) -> bool {
        matches!(self, Self::Backend | Self::Listen)
    }
}

/// A `log` line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum LogLine {
    /// `log global`.
    Global,
    /// A target.
    Target(LogTarget),
}

/// Which kind of check the last `option …chk` asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum CheckOption {
    /// None: a plain connect.
    #[default]
    None,
    /// `option tcp-check`.
    Tcp,
    /// `option httpchk` with its request.
    Http(check::Request),
    /// A protocol that needs no steps.
    Known(check::Known),
    /// `option external-check`.
    External,
}

/// What HTTP would do; reported for tcp proxies, as HAProxy does.
#[derive(Clone, Debug, Default)]
pub(crate) struct HttpOnly {
    /// What is the model's already.
    pub(crate) model: proxy::Http,
    pub(crate) cookie: bool,
    pub(crate) stats: Option<StatsDraft>,
    pub(crate) monitor_fail: Vec<ConditionDraft>,
    pub(crate) request_rules: Vec<HttpRuleDraft>,
    pub(crate) response_rules: Vec<HttpRuleDraft>,
    pub(crate) after_response_rules: Vec<HttpRuleDraft>,
    pub(crate) redirect_rules: Vec<HttpRuleDraft>,
    /// Keywords that a proxy of `mode http` is refused for.
    pub(crate) unserved: Vec<(Span, &'static str)>,
    /// `option httplog clf`.
    pub(crate) clf: bool,
    pub(crate) unique_id: bool,
    pub(crate) layer7_balance: bool,
    /// `option httplog`: where it stands.
    pub(crate) httplog: Option<Span>,
}

/// A rule of HTTP.
#[derive(Clone, Debug)]
pub(crate) struct HttpRuleDraft {
    pub(crate) at: Span,
    /// What messages call its place: `http-request`.
    pub(crate) family: &'static str,
    /// `None` where it is known and not built.
    pub(crate) action: Option<rules::http::HttpAction>,
    /// What is known and not built: a proxy that speaks HTTP is refused for it.
    pub(crate) planned: Vec<String>,
    pub(crate) condition: Option<ConditionDraft>,
}

/// `stats …` of a proxy.
#[derive(Clone, Debug, Default)]
pub(crate) struct StatsDraft {
    pub(crate) model: proxy::Stats,
    pub(crate) admin: Vec<ConditionDraft>,
    pub(crate) rules: Vec<HttpRuleDraft>,
}

/// Rules, in the order they stand.
#[derive(Clone, Debug, Default)]
pub(crate) struct RuleDrafts {
    pub(crate) connection: Vec<RuleDraft>,
    pub(crate) session: Vec<RuleDraft>,
    pub(crate) content: Vec<RuleDraft>,
    pub(crate) response: Vec<RuleDraft>,
    pub(crate) inspect_delay: Option<Duration>,
    pub(crate) response_delay: Option<Duration>,
    pub(crate) switching: Vec<TargetDraft>,
    pub(crate) servers: Vec<TargetDraft>,
    /// Slots of `capture`.
    pub(crate) captures: usize,
}

/// A `tcp-request` or `tcp-response` rule.
#[derive(Clone, Debug)]
pub(crate) struct RuleDraft {
    pub(crate) at: Span,
    /// What messages call its place: `tcp-request content`.
    pub(crate) family: &'static str,
    pub(crate) action: rules::Action,
    pub(crate) condition: Option<ConditionDraft>,
}

/// A `use_backend` or `use-server` rule.
#[derive(Clone, Debug)]
pub(crate) struct TargetDraft {
    pub(crate) at: Span,
    /// The name, or a format that makes it.
    pub(crate) target: String,
    pub(crate) condition: Option<ConditionDraft>,
}

/// A `defaults`, `frontend`, `listen` or `backend` section.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) context: Shared,
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// Where its first line stands.
    pub(crate) at: Span,
    pub(crate) origin: Origin,
    /// `id`.
    pub(crate) forced_id: Option<u32>,
    pub(crate) mode: Mode,
    /// Where `mode` was set, here or in the defaults.
    pub(crate) mode_at: Option<Span>,
    /// The client side.
    pub(crate) front: Frontend,
    /// The server side, without its servers.
    pub(crate) back: Backend,
    pub(crate) binds: Vec<Bind>,
    /// TLS of each of them.
    pub(crate) bind_tls: Vec<Option<std::rc::Rc<BindTls>>>,
    /// A backend has a `bind` line: it does nothing, and HAProxy counts it as a listener.
    pub(crate) bind_ignored: bool,
    pub(crate) default_server: ServerDraft,
    pub(crate) servers: Vec<ServerDraft>,
    pub(crate) default_backend: Option<String>,
    /// What is refused of its lines once its mode is known.
    pub(crate) misfits: Vec<(Span, String)>,
    /// `balance` was said, here or in the defaults.
    pub(crate) balanced: bool,
    /// `dispatch`.
    pub(crate) dispatch: Option<proxy::Elsewhere>,
    /// `option transparent`.
    pub(crate) transparent: bool,
    pub(crate) acls: Acls,
    pub(crate) rules: RuleDrafts,
    pub(crate) logs: Vec<LogLine>,
    /// `error-log-format`, as it is written.
    pub(crate) error_format: Option<conf::Word>,
    /// `log-format-sd`, as it is written.
    pub(crate) structured_format: Option<conf::Word>,
    /// `unique-id-format`, as it is written.
    pub(crate) unique_id_format: Option<conf::Word>,
    pub(crate) log_format: LogFormat,
    /// `log-format`, as written.
    pub(crate) log_text: String,
    pub(crate) log_at: Option<Span>,
    pub(crate) check: CheckOption,
    pub(crate) tcp_steps: Vec<Step>,
    pub(crate) http_steps: Vec<Step>,
    pub(crate) check_timeout: Option<Duration>,
    pub(crate) log_health_checks: bool,
    /// What its checks are made of besides steps.
    pub(crate) checks: crate::table::check_words::ChecksDraft,
    pub(crate) tcpka: Tcpka,
    pub(crate) http: HttpOnly,
    /// Its stick table and what goes by it.
    pub(crate) stick: crate::table::stick::StickDraft,
}

/// `option tcpka`, `clitcpka`, `srvtcpka` and their timers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tcpka {
    pub(crate) client: bool,
    pub(crate) server: bool,
    pub(crate) client_timers: proxy::KeepAlive,
    pub(crate) server_timers: proxy::KeepAlive,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            context: Shared::default(),
            kind: Kind::Defaults,
            name: String::new(),
            at: Span::default(),
            origin: Origin::default(),
            forced_id: None,
            mode: Mode::Tcp,
            mode_at: None,
            front: Frontend::new(0, ""),
            back: Backend::new(0, ""),
            binds: vec![],
            bind_tls: vec![],
            bind_ignored: false,
            default_server: ServerDraft::default(),
            servers: vec![],
            default_backend: None,
            misfits: vec![],
            balanced: false,
            dispatch: None,
            transparent: false,
            acls: Acls::default(),
            rules: RuleDrafts::default(),
            logs: vec![],
            error_format: None,
            structured_format: None,
            unique_id_format: None,
            log_format: LogFormat::Connect,
            log_text: String::new(),
            log_at: None,
            check: CheckOption::None,
            tcp_steps: vec![],
            http_steps: vec![],
            check_timeout: None,
            log_health_checks: false,
            checks: crate::table::check_words::ChecksDraft::default(),
            tcpka: Tcpka::default(),
            http: HttpOnly::default(),
            stick: crate::table::stick::StickDraft::default(),
        }
    }
}

impl Draft {
    /// `tcp-check` steps to add one to: a section's first takes the place of what the defaults say.
    pub(crate) fn tcp_steps(&mut self) -> &mut Vec<Step> {
        if !std::mem::replace(&mut self.checks.own_tcp, true) {
            self.tcp_steps.clear();
        }
        &mut self.tcp_steps
    }

    /// The same for `http-check`.
    pub(crate) fn http_steps(&mut self) -> &mut Vec<Step> {
        if !std::mem::replace(&mut self.checks.own_http, true) {
            self.http_steps.clear();
        }
        &mut self.http_steps
    }

    /// The steps a check that is being written belongs to.
    pub(crate) fn connects(steps: &[Step]) -> bool {
        steps.iter().any(|step| matches!(step.action, Action::Connect(_)))
    }

    /// A section of `kind` that begins with what these defaults say.
    pub(crate) fn inherit(&self, kind: Kind, name: &str) -> Self {
        let mut draft = self.clone();
        draft.kind = kind;
        draft.name = name.to_owned();
        (draft.checks.own_tcp, draft.checks.own_http) = (false, false);
        draft.front.description = None;
        draft.back.description = None;
        // What defaults inherit from others are not rules.
        if kind == Kind::Defaults {
            draft.acls = Acls::default();
            draft.rules = RuleDrafts::default();
            let http = &mut draft.http;
            for rules in [
                &mut http.request_rules,
                &mut http.response_rules,
                &mut http.after_response_rules,
                &mut http.redirect_rules,
            ] {
                rules.clear();
            }
        }
        draft
    }
}

/// TLS of a `bind` line.
#[derive(Clone, Debug)]
pub(crate) struct BindTls {
    /// Its address, and how it is written.
    pub(crate) at: Span,
    pub(crate) address: String,
    /// What complaints call the line.
    pub(crate) context: String,
    pub(crate) tls: crate::table::tls::TlsDraft,
}

/// `verify` of a server line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum VerifyWord {
    /// `verify none`.
    None,
    /// `verify required`.
    Required,
}

/// `observe`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Observe {
    /// `none`.
    Nothing,
    /// `layer4`.
    Layer4,
    /// `layer7`.
    Layer7,
}

/// One word of `init-addr`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum InitAddr {
    /// From the state file: there is none, so the next one counts.
    Last,
    /// By the resolver.
    Libc,
    /// Without an address.
    None,
    /// This one.
    Ip(IpAddr),
}

/// A `server` or `default-server` line.
#[derive(Clone, Debug)]
pub(crate) struct ServerDraft {
    pub(crate) context: Shared,
    pub(crate) name: String,
    pub(crate) at: Span,
    pub(crate) line: usize,
    pub(crate) server: proxy::Server,
    /// `check`.
    pub(crate) checked: bool,
    pub(crate) check: check::Config,
    pub(crate) check_ssl: bool,
    pub(crate) check_send_proxy: bool,
    pub(crate) header: crate::table::server_transport::Header,
    /// `set-proxy-v2-tlv-fmt`, as it is written.
    pub(crate) tlvs: Vec<(u8, conf::Word)>,
    pub(crate) check_proto: Option<&'static str>,
    /// `proto`, unless it is `none`.
    pub(crate) multiplexer: Option<&'static str>,
    /// `agent-check`.
    pub(crate) agent_checked: bool,
    pub(crate) agent: check::Agent,
    pub(crate) track: Option<String>,
    pub(crate) observe: Observe,
    pub(crate) error_limit: u32,
    pub(crate) on_error: check::OnError,
    pub(crate) tls: crate::table::tls::TlsDraft,
    pub(crate) verify: Option<VerifyWord>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) verify_host: Option<String>,
    pub(crate) cookie: bool,
    pub(crate) forced_id: Option<u32>,
    pub(crate) init_addr: Vec<InitAddr>,
    pub(crate) prefer_v4: bool,
    /// `resolvers`.
    pub(crate) resolvers: Option<String>,
    /// `resolve-net`.
    pub(crate) networks: Vec<(IpAddr, u8)>,
    /// `resolve-opts allow-dup-ip`.
    pub(crate) allow_duplicates: bool,
    /// `resolve-opts ignore-weight`.
    pub(crate) ignore_weight: bool,
}

impl Default for ServerDraft {
    fn default() -> Self {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Self {
            context: Shared::default(),
            name: String::new(),
            at: Span::default(),
            line: 0,
            server: proxy::Server::new(0, "", ServerAddress::Socket(nowhere)),
            checked: false,
            check: check::Config::default(),
            check_ssl: false,
            check_send_proxy: false,
            header: crate::table::server_transport::Header::default(),
            tlvs: vec![],
            check_proto: None,
            multiplexer: None,
            agent_checked: false,
            agent: crate::table::check_option::agent(),
            track: None,
            observe: Observe::Nothing,
            error_limit: 10,
            on_error: check::OnError::default(),
            tls: crate::table::tls::TlsDraft::default(),
            verify: None,
            ca_file: None,
            verify_host: None,
            cookie: false,
            forced_id: None,
            init_addr: vec![InitAddr::Last, InitAddr::Libc],
            prefer_v4: false,
            resolvers: None,
            networks: vec![],
            allow_duplicates: false,
            ignore_weight: false,
        }
    }
}

/// The `global` sections; several add up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Global {
    pub(crate) context: Shared,
    pub(crate) process: Process,
    pub(crate) ca_base: Option<PathBuf>,
    /// `noreuseport`.
    pub(crate) no_reuse_port: bool,
    pub(crate) crt_base: Option<PathBuf>,
    pub(crate) key_base: Option<PathBuf>,
    /// `ssl-default-bind-…`, and the same for servers.
    pub(crate) bind_tls: crate::table::tls::TlsDraft,
    pub(crate) server_tls: crate::table::tls::TlsDraft,
    /// `tune.ssl.cachesize`.
    pub(crate) tls_sessions: Option<usize>,
    /// `no strict-limits`.
    pub(crate) lax_limits: bool,
    /// `external-check`.
    pub(crate) external_check: bool,
    /// `insecure-fork-wanted`.
    pub(crate) insecure_fork: bool,
    /// `zero-warning`.
    pub(crate) zero_warning: bool,
    /// Keywords that may stand once, as they come.
    pub(crate) seen: Vec<&'static str>,
}

impl Global {
    /// Whether a keyword was seen before; from now on it was.
    pub(crate) fn again(&mut self, keyword: &'static str) -> bool {
        let again = self.seen.contains(&keyword);
        if !again {
            self.seen.push(keyword);
        }
        again
    }
}

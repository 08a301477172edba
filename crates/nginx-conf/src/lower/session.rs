//! What a `server` does with its sessions besides passing them on.

use std::time::Duration;

use proxy::{
    AccessLog, AccessTarget, BackendIndex, Bind, Content, ErrorLogTarget, LimitConn, LogCache,
    NginxServer, Preread,
};

use super::{Group, Lower};
use crate::draft::{self, Scope};
use crate::variable;

impl Lower<'_> {
    /// Where a server's sessions go.
    pub(super) fn content(
        &mut self,
        server: &draft::Server,
        scope: &Scope,
    ) -> (Option<BackendIndex>, Content) {
        if let Some(text) = &server.answer {
            return (None, Content::Return(self.template(text)));
        }
        if let Some(to) = &server.hand_over {
            return (None, Content::Pass(self.template(to)));
        }
        let Some(pass) = &server.pass else { return (None, Content::Proxy) };
        if !variable::any(&pass.text) {
            return (self.backend(pass, scope), Content::Proxy);
        }
        let mut upstreams = Vec::new();
        for upstream in &self.stream.upstreams {
            if let Some(group) = self.group(upstream) {
                let index = self.backend_to(group, scope);
                upstreams.push((upstream.name.to_ascii_lowercase(), index));
            }
        }
        let other = Group {
            name: pass.text.clone(),
            servers: vec![],
            algorithm: None,
            key: None,
            queue: None,
            discoveries: vec![],
        };
        let other = self.backend_to(other, scope);
        (None, Content::Dynamic { to: self.template(&pass.text), upstreams, other })
    }

    /// What nginx's phases do; `None` if they do nothing.
    pub(super) fn session(
        &self,
        server: &draft::Server,
        scope: &Scope,
        content: Content,
        binds: &[Bind],
    ) -> Option<Box<NginxServer>> {
        let zone = |name: &str| self.stream.zones.iter().position(|(zone, ..)| zone == name);
        let limit =
            |(name, most): &(String, u32)| Some(LimitConn { zone: zone(name)?, most: *most });
        let set =
            |(name, value): &(String, String)| Some((self.position(name)?, self.template(value)));
        let logs = scope.access_logs.iter().flatten();
        let cache = scope.log_cache.flatten();
        let nginx = NginxServer {
            header_timeout: scope.header_timeout.unwrap_or(Duration::from_secs(30)),
            trusted: scope.trusted.clone(),
            sets: server.sets.iter().filter_map(set).collect(),
            limits: scope.limits.iter().filter_map(limit).collect(),
            limit_dry_run: scope.limit_dry_run.unwrap_or(false),
            limit_level: scope.limit_level,
            access: scope.access.clone(),
            preread: (scope.preread == Some(true)).then(|| Preread {
                timeout: scope.preread_timeout.unwrap_or(Duration::from_secs(30)),
                size: scope
                    .preread_size
                    .and_then(|bytes| usize::try_from(bytes).ok())
                    .unwrap_or(16 * 1024),
            }),
            content,
            access_logs: logs.filter_map(|log| self.access_log(log, cache)).collect(),
            name: server.names.first().map(conf::Word::owned).unwrap_or_default(),
            by_name: None,
            zone: server.zone.clone(),
        };
        let used = !nginx.sets.is_empty()
            || !nginx.limits.is_empty()
            || !nginx.access.is_empty()
            || !nginx.access_logs.is_empty()
            || nginx.preread.is_some()
            || nginx.zone.is_some()
            || nginx.content != Content::Proxy
            || binds.iter().any(|bind| bind.proxy_protocol)
            || server.pass.is_none();
        used.then(|| Box::new(nginx))
    }

    fn access_log(&self, log: &draft::AccessLog, cache: Option<LogCache>) -> Option<AccessLog> {
        let format = self.stream.formats.iter().find(|format| format.name == log.format)?;
        let target = match &log.target {
            draft::AccessTarget::File(path) if variable::any(path) => AccessTarget::Files {
                prefix: self.options.prefix.clone(),
                name: self.template(path),
                cache,
            },
            draft::AccessTarget::File(path) => AccessTarget::File(self.options.prefix.join(path)),
            draft::AccessTarget::Syslog(
                ErrorLogTarget::Syslog { server, facility, tag, hostname },
                severity,
            ) => AccessTarget::Syslog {
                server: server.clone(),
                facility: *facility,
                severity: *severity,
                tag: tag.clone(),
                hostname: *hostname,
            },
            draft::AccessTarget::Syslog(..) => return None,
        };
        Some(AccessLog {
            target,
            format: self.template(&format.text),
            escape: format.escape,
            condition: log.condition.as_ref().map(|text| self.template(text)),
            buffer: log.buffer,
            flush: log.flush,
            gzip: log.gzip,
        })
    }
}

//! Rules: names become positions, and named ACLs the tests they stand for.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use conf::{Problem, Severity, Span};
use proxy::{
    BackendIndex, BackendRules, FrontendRules, LogFormat, ServerRule, ServerTarget, Switch,
    SwitchTarget,
};
use rules::{
    Acl, Action, Arg, Condition, Expr, Format, Kind as ArgKind, Place, Reference, Rule, Term,
};

use super::log;
use crate::acl::{AclDraft, AclRef, ConditionDraft};
use crate::draft::{Draft, RuleDraft, TargetDraft};
use crate::expr::Wrong;
use crate::format::{self, Purpose};
use crate::load::Loader;
use crate::say::{CAPITAL, Complain, NOWHERE, TIGHT};

/// The rules of a section.
#[derive(Debug, Default)]
pub(super) struct Lowered {
    pub(super) frontend: Option<Box<FrontendRules>>,
    pub(super) backend: Option<Box<BackendRules>>,
    pub(super) log: LogFormat,
    /// `error-log-format` and `log-format-sd`.
    pub(super) more_logs: (Option<Box<Format>>, Option<Box<Format>>),
    pub(super) http: Option<Box<proxy::Http>>,
    pub(super) unique_id: Option<Box<rules::Format>>,
    /// Of each server.
    pub(super) tlvs: Vec<Vec<(u8, rules::Format)>>,
    pub(super) snis: Vec<Option<rules::Expr>>,
}

/// What proxies are called.
pub(super) struct Names {
    /// Frontends, in the order of their positions.
    pub(super) frontends: Vec<String>,
    /// Backends with their servers.
    pub(super) backends: Vec<(String, Vec<String>)>,
    /// Where each backend stands: the first of its name.
    places: HashMap<String, usize>,
    /// Stick tables and what their keys are.
    pub(super) tables: Vec<(String, stick::KeyType)>,
    /// Servers that rules name: their backends and their places there.
    pub(super) named: std::cell::RefCell<Vec<(usize, usize)>>,
}

impl Names {
    pub(super) fn new(proxies: &[Rc<Draft>], tables: &[proxy::StickTable]) -> Self {
        let servers = |p: &Rc<Draft>| p.servers.iter().map(|server| server.name.clone()).collect();
        let fronts = proxies.iter().filter(|p| p.kind.is_client_side());
        let backs = proxies.iter().filter(|p| p.kind.is_server_side());
        let backends: Vec<_> = backs.map(|p| (p.name.clone(), servers(p))).collect();
        let places = backends.iter().enumerate().rev();
        Self {
            frontends: fronts.map(|p| p.name.clone()).collect(),
            places: places.map(|(at, (name, _))| (name.clone(), at)).collect(),
            backends,
            tables: tables.iter().map(|table| (table.name.clone(), table.config.key)).collect(),
            named: std::cell::RefCell::default(),
        }
    }

    fn backend(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }
}

/// Lowers the rules of one section, and complains about what they name and nobody knows.
pub(super) fn lower(loader: &mut Loader, draft: &Draft, names: &Names) -> Lowered {
    let mut lowering = Lowering { loader, draft, names, acls: vec![] };
    for acl in draft.acls.iter() {
        let acl = lowering.acl(acl);
        lowering.acls.push(acl);
    }
    let rules = &draft.rules;
    let content = lowering.rules(&rules.content);
    let mut lowered = Lowered::default();
    if draft.kind.is_client_side() {
        let frontend = FrontendRules {
            connection: lowering.rules(&rules.connection),
            session: lowering.rules(&rules.session),
            content: content.clone(),
            inspect_delay: rules.inspect_delay,
            switching: rules.switching.iter().filter_map(|rule| lowering.switch(rule)).collect(),
        };
        let idle = FrontendRules { inspect_delay: rules.inspect_delay, ..FrontendRules::default() };
        lowered.frontend = (frontend != idle).then(|| Box::new(frontend));
    }
    if draft.kind.is_server_side() {
        let backend = BackendRules {
            content,
            inspect_delay: rules.inspect_delay,
            servers: rules.servers.iter().filter_map(|rule| lowering.server(rule)).collect(),
            response: lowering.rules(&rules.response),
            response_delay: rules.response_delay,
            stick: lowering.stickiness(),
        };
        let idle = BackendRules {
            inspect_delay: rules.inspect_delay,
            response_delay: rules.response_delay,
            ..BackendRules::default()
        };
        lowered.backend = (backend != idle).then(|| Box::new(backend));
    }
    lowered.unique_id = lowering.unique_id();
    lowered.tlvs = draft.servers.iter().map(|server| lowering.tlvs(server)).collect();
    lowered.snis = draft.servers.iter().map(|server| lowering.sni(server)).collect();
    crate::table::tcp_rules::without_delay(&mut lowering.loader.binder, draft);
    lowered
}

/// Lowers the formats of other lines of a section.
pub(super) fn more_logs(
    loader: &mut Loader,
    draft: &Draft,
    names: &Names,
) -> (Option<Box<Format>>, Option<Box<Format>>) {
    match draft.kind.is_client_side() {
        true => Lowering::new(loader, draft, names).more_logs(),
        false => (None, None),
    }
}

/// Lowers the log format of a section.
pub(super) fn log(loader: &mut Loader, draft: &Draft, names: &Names) -> LogFormat {
    match draft.kind.is_client_side() {
        true => Lowering::new(loader, draft, names).log(),
        false => LogFormat::Connect,
    }
}

pub(super) struct Lowering<'l> {
    pub(super) loader: &'l mut Loader,
    pub(super) draft: &'l Draft,
    pub(super) names: &'l Names,
    acls: Vec<Arc<Acl>>,
}

impl<'l> Lowering<'l> {
    /// Of a section whose named ACLs are known.
    pub(super) fn new(loader: &'l mut Loader, draft: &'l Draft, names: &'l Names) -> Self {
        let mut lowering = Lowering { loader, draft, names, acls: vec![] };
        let complaints = lowering.loader.binder.problems.len();
        for acl in draft.acls.iter() {
            let acl = lowering.acl(acl);
            lowering.acls.push(acl);
        }
        // What is wrong with them was said when the rules of TCP were lowered.
        lowering.loader.binder.problems.truncate(complaints);
        lowering
    }
}

impl Lowering<'_> {
    fn acl(&mut self, acl: &AclDraft) -> Arc<Acl> {
        let mut tests = vec![];
        for draft in &acl.tests {
            let Some(mut test) = draft.test.clone() else { continue };
            self.resolve(&mut test.expr, draft.at, |reference| match reference.converter {
                Some(converter) => {
                    format!("conversion keyword '{converter}' for ACL keyword '{}'", draft.keyword)
                }
                None => format!("ACL keyword '{}'", draft.keyword),
            });
            tests.push(test);
        }
        Arc::new(Acl { name: acl.name.as_str().into(), tests })
    }

    pub(super) fn condition(&mut self, draft: &ConditionDraft) -> Condition {
        let mut any = vec![];
        for group in &draft.any {
            let mut terms = vec![];
            for (negated, acl) in group {
                let acl = match acl {
                    AclRef::Named(at) => Arc::clone(&self.acls[*at]),
                    AclRef::Own(acl) => self.acl(acl),
                };
                terms.push(Term { negated: *negated, acl });
            }
            any.push(terms);
        }
        Condition { unless: draft.unless, any }
    }

    fn rules(&mut self, drafts: &[RuleDraft]) -> Vec<Rule> {
        let mut rules = vec![];
        for draft in drafts {
            let mut action = draft.action.clone();
            self.track(&mut action, draft.at);
            self.lookup(&action, draft.at);
            let place = format!("{} expression", draft.family);
            for expr in action.exprs_mut() {
                self.sample(expr, draft.at, &place);
            }
            let condition = draft.condition.as_ref().map(|draft| self.condition(draft));
            rules.push(Rule { action, condition, at: self.loader.written(draft.at) });
        }
        rules
    }

    /// Complains of a `do-resolve` that asks a section nobody wrote.
    fn lookup(&mut self, action: &Action, at: Span) {
        let Action::Resolve(lookup) = action else { return };
        let (wanted, own) = (&lookup.resolvers, &self.draft.name);
        if self.loader.resolvers_named(wanted).is_none() {
            let text = format!(
                "Proxy '{own}': Can't find resolvers section '{wanted}' for do-resolve action."
            );
            self.loader.binder.complain(Severity::Error, NOWHERE, at, text).help =
                Some(format!("add a section 'resolvers {wanted}' with a nameserver"));
        }
    }

    /// Resolves an expression that stands outside of ACLs.
    pub(super) fn sample(&mut self, expr: &mut Expr, at: Span, place: &str) {
        self.resolve(expr, at, |reference| {
            let Reference { fetch, converter, .. } = reference;
            match converter {
                Some(converter) => format!(
                    "conversion keyword '{converter}' for sample fetch keyword '{fetch}' in {place}"
                ),
                None => format!("sample fetch keyword '{fetch}' in {place}"),
            }
        });
    }

    fn resolve(&mut self, expr: &mut Expr, at: Span, whose: impl Fn(&Reference<'_>) -> String) {
        let (names, own) = (self.names, &self.draft.name);
        let (mut said, mut locked) = (vec![], false);
        expr.references(&mut |reference| {
            let Arg::Name(_, name) = &*reference.arg else { return };
            let shown = if name.is_empty() { own.as_str() } else { name };
            let position = reference.position;
            let what = format!("arg {position} of {} in proxy '{own}'", whose(&reference));
            let missing = |kind: &str| {
                if name.is_empty() {
                    return format!(
                        "proxy '{own}', referenced in {what}, has not {kind} capability."
                    );
                }
                format!("unable to find {kind} '{shown}' referenced in {what}.")
            };
            let found = match reference.kind {
                ArgKind::Frontend => names
                    .frontends
                    .iter()
                    .position(|known| known == shown)
                    .map(Arg::Frontend)
                    .ok_or_else(|| missing("frontend")),
                ArgKind::Backend => {
                    names.backend(shown).map(Arg::Backend).ok_or_else(|| missing("backend"))
                }
                ArgKind::Server => server(names, own, name, &what),
                ArgKind::Acl => {
                    // `when` has its own way to say so.
                    let negatable = reference.converter.is_none();
                    let (negated, name) = match name.strip_prefix('!').filter(|_| negatable) {
                        Some(name) => (true, name),
                        None => (false, &**name),
                    };
                    let found = self.acls.iter().find(|acl| &*acl.name == name);
                    found
                        .map(|acl| Arg::Acl(Arc::clone(acl), negated))
                        .ok_or_else(|| format!("ACL '{name}' not found, referenced in {what}."))
                }
                ArgKind::Users => match self.loader.userlist(name) {
                    Some(users) => {
                        locked |= users.locked;
                        Ok(Arg::Users(Arc::new(users)))
                    }
                    None => Err(format!("unable to find userlist '{shown}' referenced in {what}.")),
                },
                _ => names
                    .tables
                    .iter()
                    .position(|(known, _)| known == shown)
                    .map(Arg::Table)
                    .ok_or_else(|| format!("unable to find table '{shown}' referenced in {what}.")),
            };
            match found {
                Ok(arg) => *reference.arg = arg,
                Err(text) => said.push(text),
            }
        });
        if locked {
            let keyword = "userlist with encrypted passwords".to_owned();
            self.loader.binder.error(at, Problem::Planned { keyword });
        }
        for text in said {
            self.loader.binder.complain(Severity::Error, TIGHT, at, text);
        }
    }

    /// A name, or a format that makes one.
    fn target(
        &mut self,
        rule: &TargetDraft,
        keyword: &str,
        place: &'static [Place],
    ) -> Option<Format> {
        let purpose = Purpose { places: place, http: false, log: false };
        self.loader.returns_to(rule.at);
        let parsed = format::parse(&self.draft.context, &rule.target, purpose);
        let binder = &mut self.loader.binder;
        match parsed {
            Ok(mut format) => {
                for expr in format.exprs_mut() {
                    self.sample(expr, rule.at, &format!("{keyword} expression"));
                }
                Some(format)
            }
            Err(Wrong::Planned(keyword)) => {
                binder.error(rule.at, Problem::Planned { keyword });
                None
            }
            Err(Wrong::Said(why)) => {
                let text = format!("failed to parse {keyword} rule '{}' : {why}.", rule.target);
                binder.complain(Severity::Error, CAPITAL, rule.at, text);
                None
            }
        }
    }

    fn switch(&mut self, rule: &TargetDraft) -> Option<Switch> {
        let format = self.target(rule, "use_backend", &[Place::UseBackend])?;
        let own = &self.draft.name;
        let target = match format.constant() {
            None => SwitchTarget::Named(format),
            Some(name) => match self.names.backend(name) {
                Some(_) if name == own && self.draft.kind.is_server_side() => {
                    let text = format!("Proxy '{own}': loop detected for use_backend: '{name}'.");
                    self.loader.binder.complain(Severity::Error, NOWHERE, rule.at, text);
                    return None;
                }
                Some(at) => SwitchTarget::Backend(BackendIndex(at)),
                None => {
                    let text =
                        format!("Proxy '{own}': unable to find required use_backend: '{name}'.");
                    let known = self.names.backends.iter().map(|(name, _)| name.as_str());
                    let near = conf::nearest(name, known);
                    self.loader.binder.complain(Severity::Error, NOWHERE, rule.at, text).help =
                        near.map(|near| format!("did you mean '{near}'?"));
                    return None;
                }
            },
        };
        let condition = rule.condition.as_ref().map(|draft| self.condition(draft));
        Some(Switch { target, condition })
    }

    fn server(&mut self, rule: &TargetDraft) -> Option<ServerRule> {
        let format = self.target(rule, "use-server", &[Place::UseServer])?;
        let target = match format.constant() {
            None => ServerTarget::Named(format),
            Some(name) => {
                let servers = &self.draft.servers;
                let Some(at) = servers.iter().position(|server| server.name == name) else {
                    let (noun, own) = (self.draft.kind.noun(), &self.draft.name);
                    let text = format!(
                        "{noun} '{own}' : unable to find server '{name}' referenced in a 'use-server' rule."
                    );
                    self.loader.binder.complain(Severity::Error, NOWHERE, rule.at, text);
                    return None;
                };
                if let Some(own) = self.names.backend(&self.draft.name) {
                    self.names.named.borrow_mut().push((own, at));
                }
                ServerTarget::Server(at)
            }
        };
        let condition = rule.condition.as_ref().map(|draft| self.condition(draft));
        Some(ServerRule { target, condition: condition.unwrap_or_default() })
    }

    fn log(&mut self) -> LogFormat {
        let (mut format, some) = log::format(self.loader, self.draft);
        if let LogFormat::Custom(format) = &mut format {
            let at = self.draft.log_at.unwrap_or(self.draft.at);
            for expr in format.exprs_mut() {
                self.sample(expr, at, "log-format string");
            }
        }
        if some {
            log::target(self.loader, self.draft);
        }
        format
    }
}

fn server(names: &Names, own: &str, name: &str, what: &str) -> Result<Arg, String> {
    if name.is_empty() {
        return Err(format!("missing server name in {what}."));
    }
    let (backend, server) = name.split_once('/').unwrap_or((own, name));
    let unknown =
        || format!("unable to find server '{server}' in proxy '{backend}', referenced in {what}.");
    let Some(at) = names.backend(backend) else {
        if backend == own {
            return Err(unknown());
        }
        return Err(format!("unable to find proxy '{backend}' referenced in {what}."));
    };
    let servers = &names.backends[at].1;
    let place = servers.iter().position(|known| known == server).ok_or_else(unknown)?;
    names.named.borrow_mut().push((at, place));
    Ok(Arg::Server(at, place))
}

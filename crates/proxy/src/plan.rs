//! What a reload changes.

pub mod in_place;

use std::mem;

use crate::config::{Backend, BindAddress, Config, Flavour, Frontend, Process};

/// The steps from one configuration to another, in an order in which they can be carried out:
/// backends come before the frontends that need them, and go after those that used them.
///
/// Frontends and backends are known by their names, because those are what an operator keeps when
/// a line moves. Two laws hold: `between(x, x)` is empty, and [`apply`](Self::apply)ing
/// `between(old, new)` to `old` gives `new`.
///
/// ```
/// use proxy::{Config, Flavour, Frontend, Plan, Step};
///
/// let old = Config::new(Flavour::HaProxy);
/// let mut new = old.clone();
/// new.frontends.push(Frontend::new(2, "fe"));
/// let plan = Plan::between(&old, &new);
/// assert!(matches!(&plan.steps[..], [Step::AddFrontend { at: 0, frontend }] if frontend.name == "fe"));
/// assert_eq!(plan.apply(&old), new);
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plan {
    /// What is to be done, in order.
    pub steps: Vec<Step>,
}

/// One step of a [`Plan`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// The process has other manners: everything is new.
    Become(Flavour),
    /// Something of the process itself changed.
    Process(Box<Process>),
    /// A frontend is gone.
    RemoveFrontend {
        /// Its position at this step.
        at: usize,
    },
    /// A backend is gone.
    RemoveBackend {
        /// Its position at this step.
        at: usize,
    },
    /// A backend is new.
    AddBackend {
        /// Where it comes to stand.
        at: usize,
        /// It.
        backend: Box<Backend>,
    },
    /// A backend stays, changed.
    ChangeBackend {
        /// Its position.
        at: usize,
        /// What it becomes.
        backend: Box<Backend>,
    },
    /// A frontend is new.
    AddFrontend {
        /// Where it comes to stand.
        at: usize,
        /// It.
        frontend: Box<Frontend>,
    },
    /// A frontend stays, changed.
    ChangeFrontend {
        /// Its position.
        at: usize,
        /// What it becomes.
        frontend: Box<Frontend>,
    },
}

impl Plan {
    /// What turns `old` into `new`.
    pub fn between(old: &Config, new: &Config) -> Self {
        let mut steps = Vec::new();
        let nothing = Config::new(new.flavour);
        let old = if old.flavour == new.flavour {
            old
        } else {
            steps.push(Step::Become(new.flavour));
            &nothing
        };
        if old.process != new.process {
            steps.push(Step::Process(Box::new(new.process.clone())));
        }
        let frontends = line_up(&old.frontends, &new.frontends);
        let backends = line_up(&old.backends, &new.backends);
        steps.extend(frontends.gone.iter().map(|&at| Step::RemoveFrontend { at }));
        steps.extend(backends.gone.iter().map(|&at| Step::RemoveBackend { at }));
        for (at, backend) in new.backends.iter().enumerate() {
            let boxed = || Box::new(backend.clone());
            match backends.kept.get(at).copied().flatten() {
                None => steps.push(Step::AddBackend { at, backend: boxed() }),
                Some(was) if old.backends[was] != *backend => {
                    steps.push(Step::ChangeBackend { at, backend: boxed() });
                }
                Some(_) => {}
            }
        }
        for (at, frontend) in new.frontends.iter().enumerate() {
            let boxed = || Box::new(frontend.clone());
            match frontends.kept.get(at).copied().flatten() {
                None => steps.push(Step::AddFrontend { at, frontend: boxed() }),
                Some(was) if old.frontends[was] != *frontend => {
                    steps.push(Step::ChangeFrontend { at, frontend: boxed() });
                }
                Some(_) => {}
            }
        }
        Self { steps }
    }

    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// What `old` becomes by these steps. A step that does not fit, because `old` is not what the
    /// plan was made for, is left out.
    pub fn apply(&self, old: &Config) -> Config {
        let mut config = old.clone();
        for step in &self.steps {
            match step.clone() {
                Step::Become(flavour) => config = Config::new(flavour),
                Step::Process(process) => config.process = *process,
                Step::RemoveFrontend { at } => remove(&mut config.frontends, at),
                Step::RemoveBackend { at } => remove(&mut config.backends, at),
                Step::AddBackend { at, backend } => insert(&mut config.backends, at, *backend),
                Step::AddFrontend { at, frontend } => insert(&mut config.frontends, at, *frontend),
                Step::ChangeBackend { at, backend } => replace(&mut config.backends, at, *backend),
                Step::ChangeFrontend { at, frontend } => {
                    replace(&mut config.frontends, at, *frontend);
                }
            }
        }
        config
    }

    /// The addresses that are listened on by `new` and were not by `old`, and the other way round.
    /// Those in neither list keep their sockets over a reload.
    pub fn addresses<'a>(
        old: &'a Config,
        new: &'a Config,
    ) -> (Vec<&'a BindAddress>, Vec<&'a BindAddress>) {
        let (before, after) = (listening(old), listening(new));
        let opened = after.iter().filter(|one| !before.contains(one)).copied().collect();
        let closed = before.iter().filter(|one| !after.contains(one)).copied().collect();
        (opened, closed)
    }
}

fn listening(config: &Config) -> Vec<&BindAddress> {
    let open = config.frontends.iter().filter(|frontend| !frontend.disabled);
    open.flat_map(|frontend| &frontend.binds).map(|bind| &bind.address).collect()
}

/// What is known by its name.
trait Named {
    fn name(&self) -> &str;
}

impl Named for Frontend {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for Backend {
    fn name(&self) -> &str {
        &self.name
    }
}

/// How the old ones and the new ones correspond.
struct LineUp {
    /// Positions to remove, each as it is when those before are gone.
    gone: Vec<usize>,
    /// For each new one the old one that becomes it.
    kept: Vec<Option<usize>>,
}

/// Pairs equal names in the order in which both have them; what changes places is removed and
/// added.
fn line_up<T: Named>(old: &[T], new: &[T]) -> LineUp {
    let mut kept = vec![None; new.len()];
    let mut next = 0;
    for (at, one) in new.iter().enumerate() {
        let found = old.iter().enumerate().skip(next).find(|(_, was)| was.name() == one.name());
        if let Some((was, _)) = found {
            kept[at] = Some(was);
            next = was + 1;
        }
    }
    let stays = |at: usize| kept.contains(&Some(at));
    let gone: Vec<usize> = (0..old.len()).filter(|&at| !stays(at)).collect();
    let gone = gone.iter().enumerate().map(|(before, &at)| at - before).collect();
    LineUp { gone, kept }
}

fn remove<T>(list: &mut Vec<T>, at: usize) {
    if at < list.len() {
        list.remove(at);
    }
}

fn insert<T>(list: &mut Vec<T>, at: usize, one: T) {
    if at <= list.len() {
        list.insert(at, one);
    }
}

fn replace<T>(list: &mut [T], at: usize, one: T) {
    if let Some(place) = list.get_mut(at) {
        drop(mem::replace(place, one));
    }
}

#[cfg(test)]
mod tests;

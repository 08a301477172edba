//! A configuration that is being served.

use std::sync::Arc;

use ::rules::list::List;

use super::{Backend, Config, Flavour, Frontend, Process};

/// A [`Config`] whose parts are shared: one that follows another keeps what is equal in both, so
/// that a configuration costs what it changes and not what it says.
///
/// ```
/// use std::sync::Arc;
/// use proxy::{Config, Flavour, Frontend, Running};
///
/// let mut config = Config::new(Flavour::HaProxy);
/// config.frontends.push(Frontend::new(2, "fe"));
/// let first = Running::new(config.clone(), None);
/// config.frontends.push(Frontend::new(3, "other"));
/// let second = Running::new(config, Some(&first));
/// assert!(Arc::ptr_eq(&first.frontends[0], &second.frontends[0]));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Running {
    /// As [`Config::flavour`].
    pub flavour: Flavour,
    /// As [`Config::process`].
    pub process: Arc<Process>,
    /// As [`Config::patterns`].
    pub patterns: Vec<Arc<List>>,
    /// As [`Config::frontends`].
    pub frontends: Vec<Arc<Frontend>>,
    /// As [`Config::backends`].
    pub backends: Vec<Arc<Backend>>,
}

impl Running {
    /// `config`, with those parts of `before` that say the same.
    #[must_use]
    pub fn new(config: Config, before: Option<&Self>) -> Self {
        let Config { flavour, process, patterns, frontends, backends } = config;
        let known = before.map(|before| &before.process).filter(|known| ***known == process);
        Self {
            flavour,
            patterns,
            process: known.map_or_else(|| Arc::new(process), Arc::clone),
            frontends: kept(frontends, before.map_or(&[], |before| &before.frontends)),
            backends: kept(backends, before.map_or(&[], |before| &before.backends)),
        }
    }

    /// The backend a frontend sends to, if it names one.
    #[must_use]
    pub fn backend_of(&self, frontend: &Frontend) -> Option<&Backend> {
        self.backends.get(frontend.default_backend?.0).map(Arc::as_ref)
    }

    /// The same as one piece.
    #[must_use]
    pub fn to_config(&self) -> Config {
        Config {
            flavour: self.flavour,
            patterns: self.patterns.clone(),
            process: (*self.process).clone(),
            frontends: self.frontends.iter().map(|one| (**one).clone()).collect(),
            backends: self.backends.iter().map(|one| (**one).clone()).collect(),
        }
    }
}

impl From<Config> for Running {
    fn from(config: Config) -> Self {
        Self::new(config, None)
    }
}

/// Looks for equals in the order of both lists: most files change in one place.
fn kept<T: PartialEq>(new: Vec<T>, old: &[Arc<T>]) -> Vec<Arc<T>> {
    let mut next = 0;
    let mut keep = |one: T| {
        let found = old[next..].iter().take(NEAR).position(|known| **known == one);
        match found {
            Some(ahead) => {
                next += ahead + 1;
                Arc::clone(&old[next - 1])
            }
            None => Arc::new(one),
        }
    };
    new.into_iter().map(&mut keep).collect()
}

/// How far ahead an equal one is looked for: what was taken out of a file in one go.
const NEAR: usize = 64;

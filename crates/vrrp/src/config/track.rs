//! What instances and groups follow.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// What an instance or a sync group follows, besides interfaces and scripts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TrackedFile {
    /// The name of a [`TrackFileConfig`].
    pub file: String,
    /// -254 to 254, instead of the file's own.
    pub weight: Option<i16>,
    /// Instead of the file's own.
    pub reverse: Option<bool>,
}

/// A process whose presence an instance follows.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TrackedProcess {
    /// The name of a [`TrackProcessConfig`].
    pub process: String,
    /// -254 to 254, instead of the process's own.
    pub weight: Option<i16>,
    /// Instead of the process's own.
    pub reverse: Option<bool>,
}

/// A file that holds a number (`track_file`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TrackFileConfig {
    /// The name instances refer to.
    pub name: String,
    /// Where it is.
    pub path: String,
    /// -254 to 254, what its number is multiplied by; at zero, any number but zero takes the
    /// instance out of the race.
    pub weight: i16,
    /// The number counts the other way.
    pub reverse: bool,
    /// Written when the daemon starts: the number, and whether over a file that is there.
    pub init: Option<(i64, bool)>,
}

/// A process that has to run (`vrrp_track_process`).
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TrackProcessConfig {
    /// The name instances refer to.
    pub name: String,
    /// The program, as its name or its first argument shows it.
    pub process: String,
    /// Its arguments, compared as [`param_match`](Self::param_match) says.
    pub arguments: Vec<String>,
    /// The whole command line is compared, not the name of the process.
    pub full_command: bool,
    /// How [`arguments`](Self::arguments) are compared.
    pub param_match: ParamMatch,
    /// -254 to 254. At zero, too few or too many processes take the instance out of the race.
    pub weight: i16,
    /// The weight acts in the other direction.
    pub reverse: bool,
    /// How many have to run, 1 to 65535.
    pub quorum: u32,
    /// How many may run; any number if none.
    pub quorum_max: Option<u32>,
    /// How long the quorum has to be there before it counts.
    pub fork_delay: Duration,
    /// How long it has to be gone before that counts.
    pub terminate_delay: Duration,
}

impl Default for TrackProcessConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            process: String::new(),
            arguments: Vec::new(),
            full_command: false,
            param_match: ParamMatch::default(),
            weight: 0,
            reverse: false,
            quorum: 1,
            quorum_max: None,
            fork_delay: Duration::ZERO,
            terminate_delay: Duration::ZERO,
        }
    }
}

/// How the arguments of a tracked process are compared.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum ParamMatch {
    /// All of them, and no others.
    #[default]
    Exact,
    /// It begins with them; the last may be the beginning of an argument (`partial`).
    Partial,
    /// It begins with them (`initial`).
    Initial,
}

/// How long an interface must be down, or up, before that counts (`interface_up_down_delays`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct InterfaceDelays {
    /// Its name.
    pub interface: String,
    /// Before it counts as down, 0 to 255 s.
    pub down: Duration,
    /// Before it counts as up, 0 to 255 s.
    pub up: Duration,
}

/// Interfaces that share the pace of their announcements (`garp_group`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GarpGroup {
    /// Their names.
    pub interfaces: Vec<String>,
    /// The shortest time between two gratuitous ARPs.
    pub garp_interval: Option<Duration>,
    /// The shortest time between two unsolicited neighbour advertisements.
    pub gna_interval: Option<Duration>,
}

/// Instances that depend on static addresses, routes and rules (`track_group`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TrackGroup {
    /// The name static objects refer to.
    pub name: String,
    /// Names of its instances.
    pub instances: Vec<String>,
}

/// A script whose result an instance follows.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TrackedScript {
    /// The name of a [`ScriptConfig`].
    pub script: String,
    /// -253 to 253, instead of the script's own.
    pub weight: Option<i16>,
    /// Instead of the script's own [`reverse`](ScriptConfig::reverse).
    pub reverse: Option<bool>,
}

/// An interface an instance follows.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TrackedInterface {
    /// Its name.
    pub interface: String,
    /// -253 to 253. Positive, it is added to the priority while the interface is up; negative, it is
    /// taken off while it is down; at zero, the instance leaves the race while it is down.
    pub weight: i16,
    /// The weight acts in the other direction; at zero, the instance leaves the race while it is up.
    pub reverse: bool,
}

/// A command run every so often (`vrrp_script`).
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ScriptConfig {
    /// The name instances refer to.
    pub name: String,
    /// The program and its arguments, quotes resolved. Never empty.
    pub command: Vec<String>,
    /// From one start to the next.
    pub interval: Duration,
    /// How long it may run; as long as `interval` if none is configured.
    pub timeout: Duration,
    /// -253 to 253. Positive, it is added to the priority while the script succeeds; negative, it is
    /// taken off while it fails; at zero, its failure takes the instance out of the race.
    pub weight: i16,
    /// The weight acts in the other direction; at zero, success takes the instance out of the race.
    pub reverse: bool,
    /// Successes in a row that make it good; at least 1.
    pub rise: u32,
    /// Failures in a row that make it bad; at least 1.
    pub fall: u32,
    /// Who runs it; [`Globals::script_user`](super::Globals::script_user) if none.
    pub user: Option<String>,
    /// Its group; the user's own if none.
    pub group: Option<String>,
    /// Counts as failed until it first succeeds.
    pub init_fail: bool,
}

impl Default for ScriptConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            command: Vec::new(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            weight: 0,
            reverse: false,
            rise: 1,
            fall: 1,
            user: None,
            group: None,
            init_fail: false,
        }
    }
}

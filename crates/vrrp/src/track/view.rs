//! What is tracked, for those who look at it.

use super::Tracked;

/// What kind of thing is tracked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TrackerKind {
    /// An interface: good is up and running.
    Interface,
    /// A script: good is what [`Script`](crate::Script) judges so.
    Script,
    /// A file that holds a number.
    File,
    /// A process: good is a quorum.
    Process,
}

impl TrackerKind {
    /// In one word, for metrics and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Interface => "interface",
            Self::Script => "script",
            Self::File => "file",
            Self::Process => "process",
        }
    }
}

/// One thing an instance follows, and what it does to it at the moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TrackerView<'a> {
    /// What it is.
    pub kind: TrackerKind,
    /// Its name.
    pub name: &'a str,
    /// Its weight for this instance, -254 to 254.
    pub weight: i32,
    /// Its weight acts in the other direction.
    pub reverse: bool,
    /// Whether it is good; of a file, whether it makes no fault. None while that is not known.
    pub good: Option<bool>,
    /// The number in a file.
    pub value: Option<i64>,
    /// What it adds to the priority, before that is kept between 1 and 254. The owner's priority
    /// never moves, whatever stands here.
    pub contribution: i32,
    /// It keeps the instance out of the race.
    pub fault: bool,
}

impl Tracked {
    /// Everything that is tracked: interfaces, scripts, processes, files.
    pub(crate) fn views(&self) -> impl Iterator<Item = TrackerView<'_>> {
        let trackers = self.trackers.iter().map(|tracker| TrackerView {
            kind: tracker.kind,
            name: &tracker.name,
            weight: tracker.weight,
            reverse: tracker.reverse,
            good: tracker.good,
            value: None,
            contribution: tracker.contribution(),
            fault: tracker.faulty(),
        });
        let files = self.files.iter().map(|file| TrackerView {
            kind: TrackerKind::File,
            name: &file.name,
            weight: file.weight,
            reverse: file.reverse,
            good: file.value.map(|_| !file.faulty()),
            value: file.value,
            contribution: file.contribution(),
            fault: file.faulty(),
        });
        trackers.chain(files)
    }
}

//! The tracked files: a thread that is told of their changes, and reads them.
//!
//! A file may be replaced, removed, made anew, or be on a file system that takes its time: the
//! directory is watched as well as the file, and nobody but the thread waits.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use tokio::sync::mpsc::UnboundedSender;
use vrrp::config::TrackFileConfig;

/// How often a directory that is not there, or a file nobody tells of, is looked for.
const AGAIN: u16 = 1000;
/// How much of a file is looked at: more than any number needs.
const LENGTH: u64 = 64;

/// Something about a tracked file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum FileNews {
    /// The number in it, 0 if there is none or no file.
    Value { name: String, value: i64 },
    /// Worth a line in the log.
    Line(String),
}

/// The thread. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Files {
    _alive: UnixStream,
    first: mpsc::Receiver<()>,
}

impl Files {
    /// Reads `files` from now on, and tells of each value that differs from the last.
    ///
    /// # Errors
    ///
    /// When there are no more threads or descriptors.
    pub(crate) fn follow(
        files: Vec<TrackFileConfig>,
        news: UnboundedSender<FileNews>,
    ) -> io::Result<Self> {
        Self::start(files, news, Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK))
    }

    fn start(
        files: Vec<TrackFileConfig>,
        news: UnboundedSender<FileNews>,
        inotify: nix::Result<Inotify>,
    ) -> io::Result<Self> {
        let (alive, end) = UnixStream::pair()?;
        if let Err(error) = inotify {
            // Nobody listens any more when the daemon stops.
            let _ = news.send(FileNews::Line(format!(
                "tracked files are read every {AGAIN} ms, for the kernel does not tell of their \
                 changes: {error}"
            )));
        }
        let inotify = inotify.ok();
        let (told, first) = mpsc::channel();
        thread::Builder::new().name("files".into()).stack_size(128 << 10).spawn(move || {
            let followed = files.into_iter().map(Followed::new).collect();
            let mut thread = Thread { inotify, news, followed, watches: BTreeMap::new() };
            thread.look_at_all();
            // Nobody waits for it after a reload.
            let _ = told.send(());
            thread.run(&end);
        })?;
        Ok(Self { _alive: alive, first })
    }

    /// Waits until each file has been read once, but no longer than `patience`.
    pub(crate) fn wait(&self, patience: Duration) {
        let _ = self.first.recv_timeout(patience);
    }
}

/// Writes the first number of a file that asks for one.
///
/// # Errors
///
/// When it cannot be written.
pub(crate) fn initialise(config: &TrackFileConfig) -> io::Result<()> {
    let Some((value, overwrite)) = config.init else { return Ok(()) };
    let mut how = File::options();
    how.write(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let file = if overwrite {
        how.create(true).truncate(true).open(&config.path)
    } else {
        how.create_new(true).open(&config.path)
    };
    match file {
        Ok(mut file) => file.write_all(format!("{value}\n").as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

struct Followed {
    name: String,
    path: PathBuf,
    /// As last told.
    value: Option<i64>,
    /// The file, and its directory, while they are watched.
    watches: [Option<WatchDescriptor>; 2],
    /// What was wrong with it, which has been said.
    complaint: Option<String>,
}

impl Followed {
    fn new(config: TrackFileConfig) -> Self {
        let TrackFileConfig { name, path, .. } = config;
        Self { name, path: path.into(), value: None, watches: [None; 2], complaint: None }
    }
}

struct Thread {
    /// None where files are read again and again instead: a user may have so many only
    /// (`fs.inotify.max_user_instances`).
    inotify: Option<Inotify>,
    news: UnboundedSender<FileNews>,
    followed: Vec<Followed>,
    /// Which watch is of which files: a directory may hold several.
    watches: BTreeMap<WatchDescriptor, Vec<usize>>,
}

impl Thread {
    fn run(&mut self, end: &UnixStream) {
        loop {
            // Without its directory, a file's coming is not told.
            let blind = self.followed.iter().any(|file| file.watches[1].is_none());
            let timeout = if blind { PollTimeout::from(AGAIN) } else { PollTimeout::NONE };
            let mut fds = vec![PollFd::new(end.as_fd(), PollFlags::empty())];
            fds.extend(self.inotify.iter().map(|i| PollFd::new(i.as_fd(), PollFlags::POLLIN)));
            match poll(&mut fds, timeout) {
                Ok(0) => {
                    self.look_at_all();
                    continue;
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
            if fds[0].revents().is_some_and(|events| !events.is_empty()) {
                return;
            }
            let Some(inotify) = &self.inotify else { continue };
            match inotify.read_events() {
                Ok(events) => self.take(&events),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }

    fn take(&mut self, events: &[InotifyEvent]) {
        let mut touched = vec![false; self.followed.len()];
        for event in events {
            if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                return self.look_at_all();
            }
            let of = self.watches.get(&event.wd).cloned().unwrap_or_default();
            // The kernel has taken the watch away, with what was watched.
            let gone = event.mask.contains(AddWatchFlags::IN_IGNORED);
            if gone {
                self.watches.remove(&event.wd);
            }
            for index in of {
                let file = &mut self.followed[index];
                if gone {
                    for watch in file.watches.iter_mut().filter(|w| **w == Some(event.wd)) {
                        *watch = None;
                    }
                }
                let named = event.name.as_deref();
                touched[index] |= named.is_none() || named == file.path.file_name();
            }
        }
        for index in (0..touched.len()).filter(|&index| touched[index]) {
            self.look_at(index);
        }
    }

    fn look_at_all(&mut self) {
        for index in 0..self.followed.len() {
            self.look_at(index);
        }
    }

    /// Watches a file, then reads it: nothing is missed between.
    fn look_at(&mut self, index: usize) {
        use AddWatchFlags as On;
        let of_file = On::IN_CLOSE_WRITE | On::IN_DELETE_SELF | On::IN_MOVE_SELF | On::IN_ATTRIB;
        let of_directory = On::IN_CLOSE_WRITE
            | On::IN_CREATE
            | On::IN_DELETE
            | On::IN_MOVE
            | On::IN_DELETE_SELF
            | On::IN_MOVE_SELF
            | On::IN_ONLYDIR;
        let path = self.followed[index].path.clone();
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        // Of a file that was replaced, this is another watch.
        let watches = [(path.as_path(), of_file), (directory, of_directory)]
            .map(|(path, events)| self.inotify.as_ref()?.add_watch(path, events).ok());
        for watch in watches.into_iter().flatten() {
            let of = self.watches.entry(watch).or_default();
            if !of.contains(&index) {
                of.push(index);
            }
        }
        let before = std::mem::replace(&mut self.followed[index].watches, watches);
        for old in before.into_iter().flatten().filter(|old| !watches.contains(&Some(*old))) {
            self.let_go(old, index);
        }
        let file = &mut self.followed[index];
        let read = read(&path);
        let complaint = read.as_ref().err().cloned();
        if complaint != file.complaint {
            if let Some(line) = &complaint {
                let _ = self.news.send(FileNews::Line(line.clone()));
            }
            file.complaint = complaint;
        }
        // What makes no sense changes nothing, but there has to be a first.
        let value = read.unwrap_or(file.value.unwrap_or(0));
        if file.value.replace(value) != Some(value) {
            // Nobody listens any more when the daemon stops.
            let _ = self.news.send(FileNews::Value { name: file.name.clone(), value });
        }
    }

    /// Ends a watch, if it was the last file's.
    fn let_go(&mut self, watch: WatchDescriptor, index: usize) {
        let Some(of) = self.watches.get_mut(&watch) else { return };
        of.retain(|&other| other != index);
        if of.is_empty() {
            self.watches.remove(&watch);
            // It may be gone with what it watched.
            let _ = self.inotify.as_ref().map(|inotify| inotify.rm_watch(watch));
        }
    }
}

/// The number a file begins with, 0 if it is not there or begins with none.
fn read(path: &Path) -> Result<i64, String> {
    // A pipe has no end to wait for.
    let opened = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
    let file = match opened {
        Ok(file) if file.metadata().is_ok_and(|metadata| metadata.is_file()) => file,
        Ok(_) => return Err(format!("track file {} is no file - ignoring", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(format!("cannot read track file {}: {error}", path.display())),
    };
    let mut text = Vec::new();
    if let Err(error) = file.take(LENGTH).read_to_end(&mut text) {
        return Err(format!("cannot read track file {}: {error}", path.display()));
    }
    number(&text).map_err(|n| format!("Invalid number {n} read from {} - ignoring", path.display()))
}

/// As strtol(3): blanks, a sign, digits; whatever follows is nobody's business. A number too large
/// for keepalived comes back as an error, held within 64 bits.
fn number(text: &[u8]) -> Result<i64, i64> {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let value = digits.fold(0i64, |sum, digit| {
        let digit = i64::from(digit - b'0');
        sum.saturating_mul(10).saturating_add(if negative { -digit } else { digit })
    });
    if i32::try_from(value).is_ok() { Ok(value) } else { Err(value) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;

    fn follow(path: &Path) -> (Files, UnboundedReceiver<FileNews>) {
        let (sender, news) = unbounded_channel();
        let path = path.to_str().expect("text").to_owned();
        let config = TrackFileConfig { name: "f".into(), path, ..TrackFileConfig::default() };
        (Files::follow(vec![config], sender).expect("a thread"), news)
    }

    async fn next(news: &mut UnboundedReceiver<FileNews>) -> FileNews {
        let next = tokio::time::timeout(Duration::from_secs(20), news.recv()).await;
        next.expect("something happens").expect("the thread lives")
    }

    fn value(value: i64) -> FileNews {
        FileNews::Value { name: "f".into(), value }
    }

    #[tokio::test]
    async fn files_are_followed_where_the_kernel_tells_nothing() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("file");
        fs::write(&path, "1").expect("writable");
        let (sender, mut news) = unbounded_channel();
        let named = path.to_str().expect("text").to_owned();
        let config =
            TrackFileConfig { name: "f".into(), path: named, ..TrackFileConfig::default() };
        let _files = Files::start(vec![config], sender, Err(Errno::EMFILE)).expect("a thread");
        let FileNews::Line(line) = next(&mut news).await else { panic!("said first") };
        assert!(line.starts_with("tracked files are read every 1000 ms"), "{line}");
        assert_eq!(next(&mut news).await, value(1));
        fs::write(&path, "2").expect("writable");
        assert_eq!(next(&mut news).await, value(2));
    }

    #[test]
    fn a_number_is_read_as_strtol_reads_it() {
        let cases: [(&[u8], Result<i64, i64>); 11] = [
            (b"5\n", Ok(5)),
            (b"-300", Ok(-300)),
            (b"  12 abc", Ok(12)),
            (b"+7x", Ok(7)),
            (b"garbage", Ok(0)),
            (b"", Ok(0)),
            (b"-", Ok(0)),
            (b"\xff\x00", Ok(0)),
            (b"2147483647", Ok(2_147_483_647)),
            (b"2147483648", Err(2_147_483_648)),
            (b"99999999999999999999", Err(i64::MAX)),
        ];
        for (text, expected) in cases {
            assert_eq!(number(text), expected, "{}", text.escape_ascii());
        }
    }

    #[tokio::test]
    async fn a_file_is_followed_through_all_that_can_befall_it() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("file");
        let (files, mut news) = follow(&path);
        files.wait(Duration::from_secs(20));
        assert_eq!(news.try_recv(), Ok(value(0)), "known before anything starts");
        fs::write(&path, "5\n").expect("made");
        assert_eq!(next(&mut news).await, value(5));
        fs::write(directory.path().join("new"), "6\n").expect("made");
        fs::rename(directory.path().join("new"), &path).expect("replaced");
        assert_eq!(next(&mut news).await, value(6));
        fs::write(&path, "7\n").expect("the new one is followed");
        assert_eq!(next(&mut news).await, value(7));
        fs::rename(&path, directory.path().join("away")).expect("moved");
        assert_eq!(next(&mut news).await, value(0));
        fs::rename(directory.path().join("away"), &path).expect("moved back");
        assert_eq!(next(&mut news).await, value(7));
        fs::remove_file(&path).expect("removed");
        assert_eq!(next(&mut news).await, value(0));
        fs::create_dir(&path).expect("something else");
        let line = format!("track file {} is no file - ignoring", path.display());
        assert_eq!(next(&mut news).await, FileNews::Line(line));
    }

    #[tokio::test]
    async fn a_number_too_large_is_said_and_changes_nothing() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("file");
        fs::write(&path, "3").expect("made");
        let (_files, mut news) = follow(&path);
        assert_eq!(next(&mut news).await, value(3));
        fs::write(&path, "9".repeat(10 << 20)).expect("written");
        let line = format!("Invalid number {} read from {} - ignoring", i64::MAX, path.display());
        assert_eq!(next(&mut news).await, FileNews::Line(line));
        fs::write(&path, "4").expect("written");
        assert_eq!(next(&mut news).await, value(4));
    }

    #[tokio::test]
    async fn a_file_behind_a_link_and_in_a_directory_that_comes_later_is_followed() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (target, later) = (directory.path().join("target"), directory.path().join("later"));
        fs::write(&target, "1").expect("made");
        let (_files, mut news) = follow(&later.join("link"));
        assert_eq!(next(&mut news).await, value(0));
        fs::create_dir(&later).expect("made");
        std::os::unix::fs::symlink(&target, later.join("link")).expect("made");
        assert_eq!(next(&mut news).await, value(1));
        fs::write(&target, "2").expect("written");
        assert_eq!(next(&mut news).await, value(2));
        fs::remove_dir_all(&later).expect("removed");
        assert_eq!(next(&mut news).await, value(0));
    }

    #[test]
    fn a_first_number_is_written_where_there_is_none_or_over_what_is_there() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("file").to_str().expect("text").to_owned();
        let config =
            |init| TrackFileConfig { path: path.clone(), init, ..TrackFileConfig::default() };
        let text = || fs::read_to_string(&path).ok();
        initialise(&config(None)).expect("nothing to do");
        assert_eq!(text(), None);
        initialise(&config(Some((5, false)))).expect("made");
        assert_eq!(text().as_deref(), Some("5\n"));
        initialise(&config(Some((6, false)))).expect("left");
        assert_eq!(text().as_deref(), Some("5\n"));
        initialise(&config(Some((-7, true)))).expect("overwritten");
        assert_eq!(text().as_deref(), Some("-7\n"));
    }
}

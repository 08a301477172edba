//! What a role leaves to the one that follows it: who is master, since when, when its last advert
//! went out, and which settings of interfaces are to be set back at the end.
//!
//! The ledger is a file in memory that the supervisor keeps open. A role that dies, however it dies,
//! has written what it did up to its last advert; the next one reads it and goes on where that is
//! safe. The supervisor itself never looks into it.
//!
//! ```text
//!   slot 0           slot 1           …            512 bytes each
//!   ┌──────┬───────┬───────┬──────────────────┐
//!   │ kind │ words │ name  │ words, 8 bytes each │  little endian
//!   └──────┴───────┴───────┴──────────────────┘
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use vrrp::{Counters, Reject, State};

/// Bytes of a slot: a page holds several whole ones, so that the kernel writes each at once.
const SLOT: usize = 512;
/// Kind, number of words, length of the name.
const HEAD: usize = 3;
/// No slots beyond this: as many entries as anybody has, and then some.
const MOST: usize = 65536;
/// Words before the counters of an instance.
const FIXED: usize = 4;
/// Counters before the causes of drops.
const COUNTED: usize = 9;

/// Whom an entry is about.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Subject {
    /// A virtual router: interface, number, whether it speaks IPv4.
    Instance(String, u8, bool),
    /// A tracked script.
    Script(String),
    /// A tracked process.
    Process(String),
    /// A setting of an interface that was changed, by its path.
    Setting(String),
}

impl Subject {
    fn kind(&self) -> u8 {
        match self {
            Self::Instance(..) => b'I',
            Self::Script(_) => b'S',
            Self::Process(_) => b'P',
            Self::Setting(_) => b'K',
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Instance(interface, vrid, ipv4) => {
                format!("{interface}/{vrid}/{}", if *ipv4 { 4 } else { 6 })
            }
            Self::Script(name) | Self::Process(name) | Self::Setting(name) => name.clone(),
        }
    }

    fn read(kind: u8, name: &str) -> Option<Self> {
        match kind {
            b'S' => Some(Self::Script(name.to_owned())),
            b'P' => Some(Self::Process(name.to_owned())),
            b'K' => Some(Self::Setting(name.to_owned())),
            b'I' => {
                let (rest, family) = name.rsplit_once('/')?;
                let (interface, vrid) = rest.rsplit_once('/')?;
                Some(Self::Instance(interface.to_owned(), vrid.parse().ok()?, family == "4"))
            }
            _ => None,
        }
    }
}

/// What is written about an instance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Account {
    pub(crate) state: State,
    /// When the last advert was sent, since boot.
    pub(crate) last_advert: Duration,
    /// Since when it is in its state, since boot.
    pub(crate) since: Duration,
    /// The same by the calendar, since 1970.
    pub(crate) transition: Duration,
    pub(crate) counters: Counters,
}

/// All that was written.
#[derive(Debug)]
pub(crate) struct Ledger {
    file: Option<File>,
    slots: BTreeMap<Subject, u32>,
    free: Vec<u32>,
    next: u32,
    /// As the role before us left it.
    before: BTreeMap<Subject, Vec<u64>>,
}

impl Ledger {
    /// A new one, for the supervisor to keep.
    pub(crate) fn create() -> io::Result<OwnedFd> {
        linux::file::memory_file("ledger", &[])
    }

    /// One that [`create`](Self::create) made.
    pub(crate) fn within(file: &OwnedFd) -> Self {
        Self::of(file.try_clone().map(File::from).ok())
    }

    /// The one on standard output; if there is none, nothing is kept.
    pub(crate) fn from_stdout() -> Self {
        let fd = io::stdout().as_fd().try_clone_to_owned();
        let file = fd.map(File::from).ok();
        // A terminal or a pipe is no ledger.
        Self::of(file.filter(|file| file.metadata().is_ok_and(|meta| meta.is_file())))
    }

    fn of(file: Option<File>) -> Self {
        let mut ledger = Self {
            file,
            slots: BTreeMap::new(),
            free: Vec::new(),
            next: 0,
            before: BTreeMap::new(),
        };
        let mut slot = [0; SLOT];
        while (ledger.next as usize) < MOST
            && let Some(file) = &ledger.file
            && file.read_exact_at(&mut slot, offset(ledger.next)).is_ok()
        {
            match entry(&slot) {
                Some((subject, words)) => {
                    ledger.slots.insert(subject.clone(), ledger.next);
                    ledger.before.insert(subject, words);
                }
                None => ledger.free.push(ledger.next),
            }
            ledger.next += 1;
        }
        ledger
    }

    /// Whether another role wrote here before us.
    pub(crate) fn is_inherited(&self) -> bool {
        !self.before.is_empty()
    }

    /// What the role before us left about an instance.
    pub(crate) fn instance(&self, subject: &Subject) -> Option<Account> {
        account(self.before.get(subject)?)
    }

    /// What a script or a process counted as.
    pub(crate) fn verdict(&self, subject: &Subject) -> Option<bool> {
        self.before.get(subject)?.first().map(|&good| good != 0)
    }

    /// Writes down how an instance stands.
    pub(crate) fn write_instance(&mut self, subject: &Subject, account: &Account) {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let Counters {
            adverts_received,
            adverts_sent,
            became_master,
            released_master,
            zero_received,
            zero_sent,
            splits,
            address_mismatches,
            rejected,
            ah_sequence,
        } = account.counters;
        let mut words = [0; FIXED + COUNTED + Reject::CAUSES];
        words[..FIXED + COUNTED].copy_from_slice(&[
            number(account.state),
            nanos(account.last_advert),
            nanos(account.since),
            nanos(account.transition),
            adverts_received,
            adverts_sent,
            became_master,
            released_master,
            zero_received,
            zero_sent,
            splits,
            address_mismatches,
            ah_sequence.into(),
        ]);
        words[FIXED + COUNTED..].copy_from_slice(&rejected);
        self.write(subject, &words);
    }

    /// Writes down what a script or a process counts as.
    pub(crate) fn write_verdict(&mut self, subject: &Subject, good: bool) {
        self.write(subject, &[good.into()]);
    }

    /// The settings that were changed, and what they were before.
    pub(crate) fn settings(&self) -> impl Iterator<Item = (&str, u64)> {
        self.before.iter().filter_map(|(subject, words)| match subject {
            Subject::Setting(path) => Some((path.as_str(), *words.first()?)),
            _ => None,
        })
    }

    /// Writes down what a setting was before it was changed.
    pub(crate) fn write_setting(&mut self, path: &str, before: u64) {
        self.write(&Subject::Setting(path.to_owned()), &[before]);
    }

    /// Forgets what is no longer there.
    pub(crate) fn forget(&mut self, subject: &Subject) {
        self.before.remove(subject);
        if let Some(at) = self.slots.remove(subject) {
            self.free.push(at);
            self.put(at, &[0; SLOT]);
        }
    }

    fn write(&mut self, subject: &Subject, words: &[u64]) {
        let mut slot = [0; SLOT];
        let name = subject.name();
        let (Ok(count), Ok(length)) = (u8::try_from(words.len()), u8::try_from(name.len())) else {
            return;
        };
        let end = HEAD + name.len() + 8 * words.len();
        if end > SLOT {
            // A script with a very long name is asked again, as after any other start.
            return;
        }
        slot[..HEAD].copy_from_slice(&[subject.kind(), count, length]);
        slot[HEAD..HEAD + name.len()].copy_from_slice(name.as_bytes());
        let body = slot[HEAD + name.len()..end].chunks_exact_mut(8);
        for (bytes, word) in body.zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let at = match self.slots.get(subject) {
            Some(&at) => at,
            None => {
                let at = self.free.pop().unwrap_or(self.next);
                if at as usize >= MOST {
                    return;
                }
                self.next = self.next.max(at + 1);
                self.slots.insert(subject.clone(), at);
                at
            }
        };
        self.put(at, &slot);
    }

    fn put(&self, at: u32, slot: &[u8; SLOT]) {
        if let Some(file) = &self.file {
            // Without memory for it the next role starts like any other.
            let _ = file.write_all_at(slot, offset(at));
        }
    }
}

fn offset(slot: u32) -> u64 {
    u64::from(slot) * SLOT as u64
}

fn entry(slot: &[u8; SLOT]) -> Option<(Subject, Vec<u64>)> {
    let [kind, count, length] = *slot.first_chunk::<HEAD>()?;
    let name = slot.get(HEAD..HEAD + usize::from(length))?;
    let subject = Subject::read(kind, std::str::from_utf8(name).ok()?)?;
    let body = slot.get(HEAD + usize::from(length)..)?.get(..8 * usize::from(count))?;
    let words = body.chunks_exact(8).filter_map(|bytes| bytes.try_into().ok());
    Some((subject, words.map(u64::from_le_bytes).collect()))
}

fn account(words: &[u64]) -> Option<Account> {
    let (fixed, rest) = words.split_at_checked(FIXED)?;
    let (counted, rejected) = rest.split_at_checked(COUNTED)?;
    let &[state, last_advert, since, transition] = fixed else { return None };
    let &[received, sent, became, released, zero_received, zero_sent, splits, mismatches, ah] =
        counted
    else {
        return None;
    };
    Some(Account {
        state: state_of(state)?,
        last_advert: Duration::from_nanos(last_advert),
        since: Duration::from_nanos(since),
        transition: Duration::from_nanos(transition),
        counters: Counters {
            adverts_received: received,
            adverts_sent: sent,
            became_master: became,
            released_master: released,
            zero_received,
            zero_sent,
            splits,
            address_mismatches: mismatches,
            rejected: rejected.try_into().ok()?,
            ah_sequence: u32::try_from(ah).ok()?,
        },
    })
}

fn number(state: State) -> u64 {
    match state {
        State::Init => 0,
        State::Backup => 1,
        State::Master => 2,
        State::Fault => 3,
    }
}

fn state_of(number: u64) -> Option<State> {
    [State::Init, State::Backup, State::Master, State::Fault]
        .into_iter()
        .find(|&state| self::number(state) == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(file: &File) -> Ledger {
        Ledger::of(Some(file.try_clone().expect("a descriptor")))
    }

    #[test]
    fn what_one_role_wrote_the_next_one_reads() {
        let file = File::from(Ledger::create().expect("memory"));
        let mut first = ledger(&file);
        assert!(!first.is_inherited());
        let router = Subject::Instance("eth0/1".into(), 51, true);
        let account = Account {
            state: State::Master,
            last_advert: Duration::from_millis(1500),
            since: Duration::from_secs(1),
            transition: Duration::from_secs(1_700_000_000),
            counters: Counters {
                adverts_sent: 7,
                rejected: [9; Reject::CAUSES],
                ..Counters::default()
            },
        };
        let script = Subject::Script("chk".into());
        first.write_instance(&router, &account);
        first.write_verdict(&script, true);
        first.write_verdict(&script, false);
        let gone = Subject::Process("gone".into());
        first.write_verdict(&gone, true);
        first.forget(&gone);
        first.write_setting("/proc/sys/x", 2);
        let second = ledger(&file);
        assert!(second.is_inherited());
        assert_eq!(second.instance(&router), Some(account));
        assert_eq!(second.verdict(&script), Some(false));
        assert_eq!(second.verdict(&gone), None);
        assert_eq!(second.settings().collect::<Vec<_>>(), [("/proc/sys/x", 2)]);
        assert_eq!(second.instance(&Subject::Instance("eth0/1".into(), 51, false)), None);
    }

    #[test]
    fn a_slot_that_is_free_is_used_again() {
        let file = File::from(Ledger::create().expect("memory"));
        let mut ledger = ledger(&file);
        for number in 0..100 {
            let subject = Subject::Script(format!("script {number}"));
            ledger.write_verdict(&subject, true);
            ledger.forget(&subject);
        }
        assert_eq!(file.metadata().expect("it is there").len(), SLOT as u64);
    }

    #[test]
    fn any_bytes_are_a_ledger() {
        for seed in 0..64_u64 {
            let mut random = fastrand_like(seed);
            let bytes: Vec<u8> = (0..SLOT * 4).map(|_| random()).collect();
            let file = File::from(linux::file::memory_file("ledger", &bytes).expect("memory"));
            let mut ledger = ledger(&file);
            for subject in ledger.before.keys() {
                let _ = ledger.instance(subject);
                let _ = ledger.verdict(subject);
            }
            ledger.write_verdict(&Subject::Script("x".repeat(1000)), true);
            ledger.write_verdict(&Subject::Script("x".into()), true);
        }
    }

    /// Enough to be different each time, and the same for each seed.
    fn fastrand_like(seed: u64) -> impl FnMut() -> u8 {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // Small numbers are the interesting ones.
            [b'I', b'K', b'/', 3, (state >> 56) as u8][(state >> 8) as usize % 5]
        }
    }
}

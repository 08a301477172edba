//! What a configuration asks of the world besides its text: other files, names of hosts, accounts.
//!
//! Everything is asked through [`ask`], so that what was answered can be kept and told to another
//! process: one that may not open the files any more, or that must see what the first one saw and
//! not what stands there a moment later.
//!
//! ```
//! use conf::outside::{self, Answers};
//!
//! let look = || outside::ask("host", "db", || Ok(b"192.0.2.7".to_vec()));
//! let (first, answers) = outside::recorded(look);
//! let told = Answers::parse(&answers.to_bytes()).expect("it was written a line above");
//! let second = outside::told(told, || outside::ask("host", "db", || panic!("not asked again")));
//! assert_eq!(first.unwrap(), second.unwrap());
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;

/// Questions and what was answered: bytes, or the number of an error of the system.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answers(BTreeMap<(String, String), Result<Vec<u8>, i32>>);

enum Manner {
    Recorded(Answers),
    Told(Answers),
}

thread_local! {
    static MANNER: RefCell<Option<Manner>> = const { RefCell::new(None) };
}

/// Asks `what` about `name`, by `how` unless the answer was [told].
///
/// # Errors
///
/// Those of `how`. Where answers are told, what nobody was asked before is not there (ENOENT).
pub fn ask(
    what: &str,
    name: &str,
    how: impl FnOnce() -> io::Result<Vec<u8>>,
) -> io::Result<Vec<u8>> {
    const ENOENT: i32 = 2;
    const EIO: i32 = 5;
    let key = || (what.to_owned(), name.to_owned());
    let known = MANNER.with_borrow(|manner| match manner {
        Some(Manner::Told(answers)) => Some(answers.0.get(&key()).cloned().unwrap_or(Err(ENOENT))),
        _ => None,
    });
    if let Some(known) = known {
        return known.map_err(io::Error::from_raw_os_error);
    }
    let answer = how();
    MANNER.with_borrow_mut(|manner| {
        if let Some(Manner::Recorded(answers)) = manner {
            let kept = match &answer {
                Ok(bytes) => Ok(bytes.clone()),
                Err(error) => Err(error.raw_os_error().unwrap_or(EIO)),
            };
            answers.0.insert(key(), kept);
        }
    });
    answer
}

/// Runs `load`, and keeps every answer it got on this thread.
pub fn recorded<T>(load: impl FnOnce() -> T) -> (T, Answers) {
    let (loaded, manner) = during(Manner::Recorded(Answers::default()), load);
    match manner {
        Some(Manner::Recorded(answers)) => (loaded, answers),
        _ => (loaded, Answers::default()),
    }
}

/// Runs `load` with these answers and no others.
pub fn told<T>(answers: Answers, load: impl FnOnce() -> T) -> T {
    during(Manner::Told(answers), load).0
}

fn during<T>(manner: Manner, load: impl FnOnce() -> T) -> (T, Option<Manner>) {
    /// Puts back what was there, even if `load` panics.
    struct Before(Option<Manner>);
    impl Drop for Before {
        fn drop(&mut self) {
            MANNER.set(self.0.take());
        }
    }
    let before = Before(MANNER.replace(Some(manner)));
    let loaded = load();
    let manner = MANNER.take();
    drop(before);
    (loaded, manner)
}

impl Answers {
    /// For another process. Each answer is a line of lengths, then its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for ((what, name), answer) in &self.0 {
            let (errno, bytes) = match answer {
                Ok(bytes) => (0, bytes.as_slice()),
                Err(errno) => (*errno, &[][..]),
            };
            let head = format!("{} {} {errno} {}\n", what.len(), name.len(), bytes.len());
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(what.as_bytes());
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(bytes);
        }
        out
    }

    /// Reads them back; `None` if they are cut or not what [`to_bytes`](Self::to_bytes) writes.
    #[must_use]
    pub fn parse(mut bytes: &[u8]) -> Option<Self> {
        let mut answers = BTreeMap::new();
        while !bytes.is_empty() {
            let end = bytes.iter().position(|&byte| byte == b'\n')?;
            let head = std::str::from_utf8(&bytes[..end]).ok()?;
            let mut numbers = head.split(' ').map(str::parse::<usize>);
            let mut number = || numbers.next()?.ok();
            let (what, name, errno, length) = (number()?, number()?, number()?, number()?);
            bytes = &bytes[end + 1..];
            let mut take = |length: usize| {
                let (taken, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Some(taken)
            };
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
            let key = (text(take(what)?)?, text(take(name)?)?);
            let content = take(length)?.to_vec();
            let errno = i32::try_from(errno).ok()?;
            answers.insert(key, if errno == 0 { Ok(content) } else { Err(errno) });
        }
        Some(Self(answers))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_asked_is_answered_alike_and_nothing_else_is() {
        let load = || {
            let found = ask("file", "a", || Ok(b"1\n2".to_vec())).unwrap();
            let missing = ask("file", "b", || Err(io::Error::from_raw_os_error(13)));
            (found, missing.unwrap_err().raw_os_error())
        };
        let (first, answers) = recorded(load);
        let asked_again = || -> io::Result<Vec<u8>> { panic!("asked again") };
        let second = told(answers, || {
            let found = ask("file", "a", asked_again).unwrap();
            let missing = ask("file", "b", asked_again).unwrap_err().raw_os_error();
            assert_eq!(ask("file", "c", asked_again).unwrap_err().raw_os_error(), Some(2));
            (found, missing)
        });
        assert_eq!(first, second);
        assert_eq!(ask("file", "c", || Ok(vec![7])).unwrap(), [7], "asked of the world again");
    }

    proptest! {
        #[test]
        fn answers_go_through_bytes(
            given in proptest::collection::btree_map(
                ("[a-z]{0,4}", ".{0,8}"),
                prop_oneof![any::<Vec<u8>>().prop_map(Ok), (1..200_i32).prop_map(Err)],
                0..6,
            ),
        ) {
            let answers = Answers(given);
            prop_assert_eq!(Answers::parse(&answers.to_bytes()), Some(answers));
        }

        #[test]
        fn any_bytes_are_answers_or_none(bytes in any::<Vec<u8>>()) {
            let _ = Answers::parse(&bytes);
        }
    }
}

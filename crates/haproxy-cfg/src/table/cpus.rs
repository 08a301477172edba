//! `cpu-map [auto:]<groups>[/<threads>] <cpus>…`: which processors the threads run on.
//!
//! All our cores are the first group's threads; other groups are checked and bind nobody.

use conf::{Binder, Span, Word};

use crate::draft::Global;
use crate::say::Complain;

/// As many threads or groups as a set may name, and one more than the highest processor.
const MOST: u32 = 64;

const USAGE: &str = "cpu-map expects a thread group number  ('all', 'odd', 'even', a number from 1 to 64 or a range),  followed by a list of CPU ranges with numbers from 0 to 63.";

/// Reads one line.
pub(crate) fn map(g: &mut Global, words: &[Word], b: &mut Binder) {
    let [who, cpus @ ..] = words else {
        b.refuse(Span::default(), USAGE);
        return;
    };
    if cpus.is_empty() {
        b.refuse(who.span, USAGE);
        return;
    }
    match read(&who.text, cpus) {
        Ok(bound) => {
            for (thread, cpus) in bound {
                g.process.tuning.cpus.retain(|(known, _)| *known != thread);
                g.process.tuning.cpus.push((thread, cpus));
            }
        }
        Err((at, why)) => {
            let span = words.get(at).map_or(who.span, |word| word.span);
            b.refuse(span, format!("cpu-map : {why}")).help =
                Some("write for example: cpu-map auto:1/1-4 0-3".into());
        }
    }
}

/// The processors of a thread, threads counted from 1.
type Bound = (u16, Vec<u32>);

/// The processors of each thread that the line binds; or which word is wrong, and why.
fn read(who: &str, cpus: &[Word]) -> Result<Vec<Bound>, (usize, String)> {
    let (automatic, who) = match who.strip_prefix("auto:") {
        Some(rest) => (true, rest),
        None => (false, who),
    };
    let (groups, threads) = match who.split_once('/') {
        Some((groups, threads)) => (groups, Some(threads)),
        None => (who, None),
    };
    let groups = set(groups).map_err(|why| (0, why))?;
    let threads = match threads {
        Some(threads) => set(threads).map_err(|why| (0, why))?,
        None => u64::MAX,
    };
    let mut all = 0;
    for (at, word) in cpus.iter().enumerate() {
        for range in word.text.split(',') {
            all |= processors(range).map_err(|why| (at + 1, why))?;
        }
    }
    let spread = match threads {
        u64::MAX => groups,
        threads => threads,
    };
    if automatic && spread.count_ones() != all.count_ones() {
        let why =
            "TGROUP/THREAD range and CPU sets must have the same size to be automatically bound";
        return Err((0, why.to_owned()));
    }
    if groups & 1 == 0 {
        return Ok(Vec::new());
    }
    let mut single = bits(all);
    let mut bound = Vec::new();
    for thread in bits(threads) {
        let cpus = match single.next() {
            Some(cpu) if automatic && threads != u64::MAX => vec![cpu],
            _ => bits(all).collect(),
        };
        bound.push((thread as u16 + 1, cpus));
    }
    Ok(bound)
}

/// The positions of the bits that are set.
fn bits(set: u64) -> impl Iterator<Item = u32> {
    (0..MOST).filter(move |bit| set & (1 << bit) != 0)
}

/// The bits from one position to another, in whichever order they are given.
fn range(one: u32, other: u32) -> u64 {
    (one.min(other)..=one.max(other).min(MOST - 1)).fold(0, |set, bit| set | 1 << bit)
}

/// `all`, `odd`, `even`, a number from 1 to 64, or a range of such; bit 0 is number 1.
fn set(text: &str) -> Result<u64, String> {
    match text {
        "all" => return Ok(u64::MAX),
        "odd" => return Ok(0x5555_5555_5555_5555),
        "even" => return Ok(0xaaaa_aaaa_aaaa_aaaa),
        _ => {}
    }
    let invalid = || format!("'{text}' is not a valid number/range.");
    if !text.is_empty() && !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return Err(invalid());
    }
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.parse::<u32>().ok().filter(|n| (1..=MOST).contains(n));
    match (number(low), number(high), high) {
        (Some(low), Some(high), _) => Ok(range(low - 1, high - 1)),
        (Some(low), None, "") => Ok(range(low - 1, MOST - 1)),
        _ => {
            Err(format!("'{text}' is not a valid number/range. It supports numbers from 1 to 64."))
        }
    }
}

/// A processor, or a range of them; numbers beyond the last are cut off.
fn processors(text: &str) -> Result<u64, String> {
    let invalid = || format!("'{text}' is not a CPU range.");
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let low: u32 = low.parse().map_err(|_| invalid())?;
    let high = match high {
        "" => MOST - 1,
        high => high.parse().map_err(|_| invalid())?,
    };
    Ok(range(low.min(MOST - 1), high.min(MOST - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Word> {
        text.split(' ').map(|text| Word { text: text.to_owned(), ..Word::default() }).collect()
    }

    #[test]
    fn threads_get_the_processors_that_the_line_names() {
        let bound = |line: &str| {
            let words = words(line);
            read(&words[0].text, &words[1..]).map(|bound| bound[..bound.len().min(3)].to_vec())
        };
        assert_eq!(bound("1/1 0-1"), Ok(vec![(1, vec![0, 1])]));
        assert_eq!(bound("auto:1/1-2 0-1"), Ok(vec![(1, vec![0]), (2, vec![1])]));
        assert_eq!(bound("1/1-2 3,1"), Ok(vec![(1, vec![1, 3]), (2, vec![1, 3])]));
        assert_eq!(bound("2/1 0"), Ok(vec![]));
        assert_eq!(bound("odd/odd 7").map(|bound| bound[1].clone()), Ok((3, vec![7])));
        assert_eq!(bound("all 5-3").map(|bound| bound[0].clone()), Ok((1, vec![3, 4, 5])));
    }

    #[test]
    fn what_is_wrong_is_said_as_haproxy_says_it() {
        let wrong = |line: &str| {
            let words = words(line);
            read(&words[0].text, &words[1..]).expect_err(line)
        };
        let supports = "is not a valid number/range. It supports numbers from 1 to 64.";
        assert_eq!(wrong("0 0"), (0, format!("'0' {supports}")));
        assert_eq!(wrong("1/1-65 0"), (0, format!("'1-65' {supports}")));
        assert_eq!(wrong("/1 0"), (0, format!("'' {supports}")));
        assert_eq!(wrong("1/x 0"), (0, "'x' is not a valid number/range.".to_owned()));
        assert_eq!(wrong("1/1,2 0"), (0, "'1,2' is not a valid number/range.".to_owned()));
        assert_eq!(wrong("1 all"), (1, "'all' is not a CPU range.".to_owned()));
        assert_eq!(wrong("1 -1"), (1, "'-1' is not a CPU range.".to_owned()));
        let size =
            "TGROUP/THREAD range and CPU sets must have the same size to be automatically bound";
        for line in ["auto:all 0-1", "auto:1 0-1", "auto:1/1-4 0-1", "auto:1/1-2 0-2"] {
            assert_eq!(wrong(line), (0, size.to_owned()), "{line}");
        }
    }
}

//! `auth_hmac { … }` of keepalived 2.4.

use std::time::Duration;

use conf::{Binder, Form, Keyword, Place, Stmt, Word};
use vrrp::config::{HmacConfig, HmacMode, HmacReplay};

use super::complain;
use crate::draft::{HmacDraft, InstanceDraft};
use crate::number::unsigned;

type Hmac = Keyword<HmacDraft>;

const ONE: std::ops::RangeInclusive<usize> = 1..=usize::MAX;

/// The longest key file that is read, in bytes.
const MAX_FILE: usize = 4096;

/// A key and how it is used.
pub(crate) const AUTH_HMAC: &[Hmac] = &[
    Hmac::new("key", Form::Words("<1..255> <value>|hex:<digits>|file:<path>", 2..=usize::MAX, key))
        .doc("A key of 32 to 64 bytes and its number."),
    Hmac::new("active_key", Form::Words("<1..255>", ONE, active_key))
        .doc("The number of the key that signs; the first unless set."),
    Hmac::new("anti_replay", Form::Words("time|monotonic", ONE, anti_replay))
        .default("time")
        .doc("What tells an old advert: the time of day, or a number that only grows."),
    Hmac::new("time_window", Form::Words("<1..300>", ONE, time_window))
        .doc("How far clocks may be apart, in seconds; three advert intervals and at least 5 unless set."),
    Hmac::new("mode", Form::Words("enforce|permissive|receive-only", ONE, mode))
        .default("enforce")
        .doc("What is required of others: a valid signature; a valid one or none; nothing, and ours are not signed either."),
];

/// Reads the block into an instance.
pub(super) fn auth_hmac(instance: &mut InstanceDraft, stmt: &Stmt, b: &mut Binder) {
    let config = HmacConfig {
        keys: Vec::new(),
        active: 0,
        replay: HmacReplay::Time,
        window: Duration::from_secs(5),
        mode: HmacMode::Enforce,
    };
    let mut draft = HmacDraft { span: stmt.at(), config, active: None, window: None };
    let place = Place::new(conf::ANYWHERE, "auth_hmac").context(crate::wording::CHILD);
    b.bind(AUTH_HMAC, place, stmt.body(), &mut draft);
    instance.hmac = Some(draft);
}

fn id(word: &Word, b: &mut Binder) -> Option<u8> {
    match unsigned(&word.text, 1..=255) {
        Ok(number) => u8::try_from(number).ok(),
        Err(said) => {
            complain(b, word.span, said);
            None
        }
    }
}

fn key(draft: &mut HmacDraft, words: &[Word], b: &mut Binder) {
    let Some(id) = id(&words[0], b) else { return };
    let text = words[1].text.as_str();
    let bytes = if let Some(digits) = text.strip_prefix("hex:") {
        unhex(digits).ok_or_else(|| format!("auth_hmac key {id}: not hexadecimal"))
    } else if let Some(path) = text.strip_prefix("file:") {
        read(path).map_err(|why| format!("auth_hmac key {id}: {path}: {why}"))
    } else {
        Ok(text.as_bytes().to_vec())
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(said) => return complain(b, words[1].span, said),
    };
    if !(32..=64).contains(&bytes.len()) {
        let said = format!("auth_hmac key {id} has {} bytes, and must have 32 to 64", bytes.len());
        return complain(b, words[1].span, said);
    }
    if draft.config.keys.iter().any(|(other, _)| *other == id) {
        return complain(b, words[0].span, format!("auth_hmac key {id} already specified"));
    }
    draft.config.keys.push((id, bytes));
}

/// The first line of a file.
fn read(path: &str) -> Result<Vec<u8>, std::io::Error> {
    use std::io::Read as _;
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_FILE as u64).read_to_end(&mut bytes)?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok())
        .collect()
}

fn active_key(draft: &mut HmacDraft, words: &[Word], b: &mut Binder) {
    draft.active = id(&words[0], b).or(draft.active);
}

fn anti_replay(draft: &mut HmacDraft, words: &[Word], b: &mut Binder) {
    draft.config.replay = match words[0].text.as_str() {
        "time" => HmacReplay::Time,
        "monotonic" => HmacReplay::Monotonic,
        other => {
            return complain(b, words[0].span, format!("Unknown auth_hmac anti_replay '{other}'"));
        }
    };
}

fn time_window(draft: &mut HmacDraft, words: &[Word], b: &mut Binder) {
    match unsigned(&words[0].text, 1..=300) {
        Ok(seconds) => draft.window = Some(Duration::from_secs(seconds.into())),
        Err(said) => complain(b, words[0].span, said),
    }
}

fn mode(draft: &mut HmacDraft, words: &[Word], b: &mut Binder) {
    draft.config.mode = match words[0].text.as_str() {
        "enforce" => HmacMode::Enforce,
        "permissive" => HmacMode::Permissive,
        "receive-only" => HmacMode::ReceiveOnly,
        other => return complain(b, words[0].span, format!("Unknown auth_hmac mode '{other}'")),
    };
}

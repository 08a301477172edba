//! `show table`, `set table`, `clear table`: stick tables by hand.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::IpAddr;

use rules::tables::SharedTable;
use rules::{Type, Value};
use stick::{Data, EntryId, KeyType, Kind, Millis, Slot, Table};

use crate::state::Shared;

/// HAProxy takes no more conditions than these.
const MOST_FILTERS: usize = 4;

const SHOWS: &str = "Optional argument only supports \"data.<store_data_type>\" <operator> <value> or \
                     key <key> or ptr <ptr>";
const SETS: &str = "Required arguments: <table> key <key> [data.<store_data_type> <value>]* or <table> \
                    ptr <ptr> [data.<store_data_type> <value>]*\n";
const CLEARS: &str = "Required arguments: <table> \"data.<store_data_type>\" <operator> <value> or \
                      <table> key <key> or <table> ptr <ptr>\n";

#[derive(Clone, Copy, Eq, PartialEq)]
enum Wanted {
    Show,
    Set,
    Clear,
}

/// `show table [<table> [data.<type> <operator> <value>]* | key <key> | ptr <0x…>]`.
pub(super) fn show(shared: &Shared, arguments: &[&str]) -> String {
    if arguments.is_empty() {
        let mut out = String::new();
        // The last one first, as HAProxy keeps them.
        for table in shared.tables.iter().rev() {
            table.with(|entries, now| head(table, entries, now, &mut out));
        }
        return out;
    }
    run(shared, Wanted::Show, arguments)
}

/// `set table <table> {key <key> | ptr <0x…>} [data.<type> <value>]*`.
pub(super) fn set(shared: &Shared, arguments: &[&str]) -> String {
    if arguments.is_empty() {
        return SETS.into();
    }
    run(shared, Wanted::Set, arguments)
}

/// `clear table <table> [data.<type> <operator> <value>]* | key <key> | ptr <0x…>`.
pub(super) fn clear(shared: &Shared, arguments: &[&str]) -> String {
    if arguments.is_empty() {
        return CLEARS.into();
    }
    run(shared, Wanted::Clear, arguments)
}

fn run(shared: &Shared, wanted: Wanted, arguments: &[&str]) -> String {
    let Some(table) = shared.tables.iter().find(|table| table.name() == arguments[0]) else {
        return "No such table\n".into();
    };
    let said = match arguments.get(1) {
        Some(&"key") => by_key(table, wanted, &arguments[2..]),
        Some(&"ptr") => by_pointer(table, wanted, &arguments[2..]),
        Some(word) if word.starts_with("data.") => by_data(table, wanted, &arguments[1..]),
        Some(word) if !word.is_empty() => match wanted {
            Wanted::Show => Err(SHOWS.into()),
            Wanted::Set => return set(shared, &[]),
            Wanted::Clear => return clear(shared, &[]),
        },
        _ => by_data(table, wanted, &[]),
    };
    said.unwrap_or_else(|why| format!("{why}\n"))
}

fn head(table: &SharedTable, entries: &mut Table, now: Millis, out: &mut String) {
    entries.expire(now, usize::MAX);
    let config = entries.config();
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "# table: {}, type: {}, size:{}, used:{}",
        table.name(),
        config.key.name(),
        config.size,
        entries.len()
    );
}

/// The bytes of a key as it is written.
fn key(table: &SharedTable, text: &str) -> Result<Vec<u8>, String> {
    let config = table.config();
    let invalid = || "Invalid key".to_owned();
    let bytes = match config.key {
        KeyType::Ip => inet(text, Type::V4).ok_or_else(invalid)?,
        KeyType::Ipv6 => inet(text, Type::V6).ok_or_else(invalid)?,
        KeyType::Integer => leading(text).to_le_bytes().to_vec(),
        KeyType::String(_) => text.as_bytes().to_vec(),
        KeyType::Binary(_) => return Err(String::new()),
    };
    config.key(&bytes).ok_or_else(invalid)
}

/// The bytes of an address of one family, which may be written as its equal of the other.
fn inet(text: &str, family: Type) -> Option<Vec<u8>> {
    let address = Value::Ip(text.parse().ok()?).cast(family)?;
    address.into_bytes().map(Cow::into_owned)
}

/// What C's `strtoul` makes of a text, in 32 bits: what is no number is 0.
fn leading(text: &str) -> u32 {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let number = match digits[..end].is_empty() {
        true => 0,
        false => digits[..end].parse().unwrap_or(u64::MAX),
    };
    (if negative { number.wrapping_neg() } else { number }) as u32
}

fn by_key(table: &SharedTable, wanted: Wanted, words: &[&str]) -> Result<String, String> {
    let Some(text) = words.first().filter(|text| !text.is_empty()) else {
        return Err("Key value expected".into());
    };
    let key = key(table, text).map_err(|why| match (why.is_empty(), wanted) {
        (false, _) => why,
        (true, Wanted::Show) => {
            "Showing keys from tables of type other than ip, ipv6, string and integer is not supported".into()
        }
        (true, Wanted::Clear) => {
            "Removing keys from tables of type other than ip, ipv6, string and integer is not supported".into()
        }
        (true, Wanted::Set) => {
            "Inserting keys into tables of type other than ip, ipv6, string and integer is not supported".into()
        }
    })?;
    one(table, wanted, &key, &words[1..])
}

/// What `show table` writes before the colon.
fn by_pointer(table: &SharedTable, wanted: Wanted, words: &[&str]) -> Result<String, String> {
    let text = words.first().copied().unwrap_or_default();
    let pointer = text.strip_prefix("0x").and_then(|hex| usize::from_str_radix(hex, 16).ok());
    let Some(pointer) = pointer else {
        return Err("Pointer expected (0xffff notation)".into());
    };
    let key = table.with(|entries, now| {
        let mut all = entries.iter(now);
        let found = all.find(|entry| address(table, *entry) == pointer);
        found.map(|entry| entries.key(entry).to_vec())
    });
    let key = key.ok_or("No entry can be found matching ptr.")?;
    one(table, wanted, &key, &words[1..])
}

/// What is wanted of one entry, which `set` makes if need be.
fn one(table: &SharedTable, wanted: Wanted, key: &[u8], data: &[&str]) -> Result<String, String> {
    match wanted {
        Wanted::Show => Ok(table.with(|entries, now| {
            let mut out = String::new();
            if let Some(entry) = entries.lookup(now, key) {
                head(table, entries, now, &mut out);
                line(table, entries, now, entry, &mut out);
            }
            out
        })),
        Wanted::Clear => table.with(|entries, now| match entries.lookup(now, key) {
            Some(entry) if !entries.remove(entry) => {
                Err("Entry currently in use, cannot remove".into())
            }
            _ => Ok(String::new()),
        }),
        Wanted::Set => {
            let done = table.with(|entries, now| change(entries, now, key, data));
            table.changed();
            done.map(|()| String::new())
        }
    }
}

fn change(entries: &mut Table, now: Millis, key: &[u8], words: &[&str]) -> Result<(), String> {
    let Some(entry) = entries.create(now, key) else {
        return Err("Unable to allocate a new entry".into());
    };
    let set = |entries: &mut Table| {
        for pair in words.chunks(2) {
            let Some(name) = pair[0].strip_prefix("data.") else {
                return Err("\"data.<type>\" followed by a value expected".into());
            };
            let Some((data, index)) = element(name) else {
                return Err("Unknown data type".into());
            };
            let Some(stored) = entries.config().data.iter().find(|one| one.data == data) else {
                return Err("Data type not stored in this table".into());
            };
            if index >= stored.count {
                return Err("index out of range in this data array".into());
            }
            let number = pair.get(1).and_then(|value| value.parse::<i64>().ok());
            let number = number.filter(|_| data.kind() != Kind::Name);
            let Some(number) = number else {
                return Err("Require a valid integer value to store".into());
            };
            let number = match data.kind() {
                // As many bits as are kept.
                Kind::Number | Kind::Rate => (number as u32).into(),
                _ => number as u64,
            };
            entries.set(now, entry, data, index, number);
        }
        Ok(())
    };
    let done = set(entries);
    entries.touch(now, entry);
    done
}

/// `conn_cnt`, or one of several: `gpc[1]`.
fn element(name: &str) -> Option<(Data, usize)> {
    if let Some(data) = Data::named(name) {
        return Some((data, 0));
    }
    let (name, index) = name.strip_suffix(']')?.split_once('[')?;
    let data =
        Data::named(name).filter(|data| matches!(data, Data::Gpt | Data::Gpc | Data::GpcRate));
    Some((data?, index.parse().ok()?))
}

/// `data.conn_cnt gt 3`.
struct Filter {
    data: Data,
    index: usize,
    holds: fn(u64, u64) -> bool,
    value: u64,
}

type Operator = (&'static str, fn(u64, u64) -> bool);

const OPERATORS: [Operator; 6] = [
    ("eq", |a, b| a == b),
    ("ne", |a, b| a != b),
    ("le", |a, b| a <= b),
    ("ge", |a, b| a >= b),
    ("lt", |a, b| a < b),
    ("gt", |a, b| a > b),
];

fn filters(table: &SharedTable, words: &[&str]) -> Result<Vec<Filter>, String> {
    let mut filters = Vec::new();
    for (at, triple) in words.chunks(3).take(MOST_FILTERS).enumerate() {
        let wrong = |what: &str| format!("Filter entry #{}: {what}", at + 1);
        let data = triple[0].strip_prefix("data.").and_then(element);
        let Some((data, index)) = data else { return Err(wrong("Unknown data type")) };
        let Some(stored) = table.config().data.iter().find(|one| one.data == data) else {
            return Err(wrong("Data type not stored in this table"));
        };
        let operator =
            triple.get(1).and_then(|word| OPERATORS.iter().find(|(name, _)| name == word));
        let Some((_, holds)) = operator else {
            let text = "Require and operator among \"eq\", \"ne\", \"le\", \"ge\", \"lt\", \"gt\"";
            return Err(wrong(text));
        };
        let Some(value) = triple.get(2).and_then(|word| word.parse::<i64>().ok()) else {
            return Err(wrong("Require a valid integer value to compare against"));
        };
        // Nothing is so of what is beyond an array's end.
        let holds = if index < stored.count { *holds } else { |_, _| false };
        filters.push(Filter { data, index, holds, value: value as u64 });
    }
    if words.len() > 3 * MOST_FILTERS {
        let (last, next) = (words[3 * MOST_FILTERS - 1], 3 + 3 * MOST_FILTERS + 1);
        let text = format!("Detected extra data in filter, {next}th word of input, after '{last}'");
        return Err(text);
    }
    Ok(filters)
}

fn by_data(table: &SharedTable, wanted: Wanted, words: &[&str]) -> Result<String, String> {
    if wanted == Wanted::Set {
        return match words.is_empty() {
            true => Ok(String::new()),
            false => Err(
                "content-based lookup is only supported with the \"show\" and \"clear\" actions"
                    .into(),
            ),
        };
    }
    let filters = filters(table, words)?;
    Ok(table.with(|entries, now| {
        let mut out = String::new();
        head(table, entries, now, &mut out);
        let matching: Vec<EntryId> = entries
            .iter(now)
            .filter(|entry| {
                filters.iter().all(|filter| {
                    let number = entries.number(now, *entry, filter.data, filter.index);
                    let number = number.unwrap_or(0);
                    (filter.holds)(number, filter.value)
                })
            })
            .collect();
        if wanted == Wanted::Clear {
            for entry in matching {
                entries.remove(entry);
            }
            return String::new();
        }
        for entry in matching {
            line(table, entries, now, entry, &mut out);
        }
        out
    }))
}

/// `0x…: key=… use=0 exp=29999 conn_cnt=1 conn_rate(10000)=1`.
fn line(table: &SharedTable, entries: &Table, now: Millis, entry: EntryId, out: &mut String) {
    let key = entries.key(entry);
    let _ = write!(out, "{:#x}: key=", address(table, entry));
    match table.config().key {
        KeyType::Ip => {
            let octets = <[u8; 4]>::try_from(key).unwrap_or_default();
            let _ = write!(out, "{}", IpAddr::from(octets));
        }
        KeyType::Ipv6 => {
            let octets = <[u8; 16]>::try_from(key).unwrap_or_default();
            let _ = write!(out, "{}", IpAddr::from(octets));
        }
        KeyType::Integer => {
            let _ = write!(out, "{}", u32::from_le_bytes(key.try_into().unwrap_or_default()));
        }
        KeyType::String(_) => text(key, out),
        KeyType::Binary(_) => {
            for byte in key {
                let _ = write!(out, "{byte:02X}");
            }
        }
    }
    // Shards are of one process: there is one.
    let (uses, left) = (entries.uses(entry), entries.left(now, entry));
    let _ = write!(out, " use={uses} exp={left} shard=0");
    for stored in &table.config().data {
        let name = stored.data.name();
        for index in 0..stored.count {
            // `gpc_rate` of two is gpc0_rate and gpc1_rate.
            let name = match stored.data {
                Data::Gpt => format!("gpt{index}"),
                Data::Gpc => format!("gpc{index}"),
                Data::GpcRate => format!("gpc{index}_rate"),
                _ => name.to_owned(),
            };
            let period = match stored.data.kind() {
                Kind::Rate => format!("({})", stored.period),
                _ => String::new(),
            };
            let _ = match entries.slot(entry, stored.data, index) {
                Some(Slot::Name(Some(known))) => write!(out, " {name}={known}"),
                Some(Slot::Name(None)) | None => write!(out, " {name}=-"),
                Some(_) => {
                    let number = entries.number(now, entry, stored.data, index).unwrap_or(0);
                    write!(out, " {name}{period}={number}")
                }
            };
        }
    }
    out.push('\n');
}

/// What tells entries apart: HAProxy has an address there.
fn address(table: &SharedTable, entry: EntryId) -> usize {
    std::ptr::from_ref(table).addr() + 256 * (entry.number() as usize + 1)
}

/// Text with what a terminal should not see, and backslashes, escaped.
fn text(bytes: &[u8], out: &mut String) {
    for &byte in bytes {
        match byte {
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x1b => out.push_str("\\e"),
            b'\\' | b' ' | b'=' => {
                out.push('\\');
                out.push(byte.into());
            }
            0x21..=0x7e => out.push(byte.into()),
            _ => {
                let _ = write!(out, "\\x{byte:02X}");
            }
        }
    }
}

//! Stick tables: tracked counters, the entry of the client's address, and the tables themselves.

use std::sync::Arc;

use stick::{Data, EntryId, Millis, Table};

use super::{Call, Fetch};
use crate::arg::{Arg, Args, Kind};
use crate::scope::{End, Found};
use crate::source::Source;
use crate::tables::SharedTable;
use crate::value::{Type, Value};

const TRACK: Source = Source::TRACK;
const CLIENT: Source = Source::CLIENT;
const FIXED: Args = Args::some(0, &[Kind::Table]);
const CHOSEN: Args = Args::some(1, &[Kind::Int, Kind::Table]);
const OWN: Args = Args::all(&[Kind::Table]);
const INDEXED: Args = Args::some(2, &[Kind::Int, Kind::Int, Kind::Table]);
const OWN_INDEXED: Args = Args::all(&[Kind::Int, Kind::Table]);

/// Whose entry.
#[derive(Clone, Copy)]
enum Whose {
    /// Of the counter with this number.
    Counter(usize),
    /// Of the counter an argument names.
    Chosen,
    /// Of the client's address.
    Source,
}

/// What is done with it.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Op {
    Get,
    /// In units of 1,024.
    Kilo,
    Increment,
    Clear,
    /// Counts one, whatever the address has.
    Count,
}

use Op::{Clear, Count, Get, Increment, Kilo};
use Whose::{Chosen, Counter, Source as Client};

/// Six fetches of one thing: of three counters by their names, of any, and of the client's address.
macro_rules! six {
    ($name:literal, $data:ident, $op:ident, $doc:literal) => {
        [
            Fetch::new(concat!("sc_", $name), CHOSEN, Type::Int, TRACK, |c| {
                entry(c, Chosen, Data::$data, false, $op)
            })
            .doc(concat!("Of a tracked counter: ", $doc)),
            Fetch::new(concat!("sc0_", $name), FIXED, Type::Int, TRACK, |c| {
                entry(c, Counter(0), Data::$data, false, $op)
            })
            .doc(concat!("Of the tracked counter 0: ", $doc)),
            Fetch::new(concat!("sc1_", $name), FIXED, Type::Int, TRACK, |c| {
                entry(c, Counter(1), Data::$data, false, $op)
            })
            .doc(concat!("Of the tracked counter 1: ", $doc)),
            Fetch::new(concat!("sc2_", $name), FIXED, Type::Int, TRACK, |c| {
                entry(c, Counter(2), Data::$data, false, $op)
            })
            .doc(concat!("Of the tracked counter 2: ", $doc)),
            Fetch::new(concat!("src_", $name), OWN, Type::Int, CLIENT, |c| {
                entry(c, Client, Data::$data, false, $op)
            })
            .doc(concat!("Of the client's address: ", $doc)),
        ]
    };
}

/// Two fetches of one place of an array.
macro_rules! indexed {
    ($name:literal, $data:ident, $op:ident, $doc:literal) => {
        [
            Fetch::new(concat!("sc_", $name), INDEXED, Type::Int, TRACK, |c| {
                entry(c, Chosen, Data::$data, true, $op)
            })
            .doc(concat!("Of a tracked counter: ", $doc)),
            Fetch::new(concat!("src_", $name), OWN_INDEXED, Type::Int, CLIENT, |c| {
                entry(c, Client, Data::$data, true, $op)
            })
            .doc(concat!("Of the client's address: ", $doc)),
        ]
    };
}

/// What is known of a counter itself.
macro_rules! counter {
    ($name:literal, $type:expr, $find:ident, $doc:literal) => {
        [
            Fetch::new(concat!("sc_", $name), CHOSEN, $type, TRACK, |c| $find(c, Chosen)).doc($doc),
            Fetch::new(concat!("sc0_", $name), FIXED, $type, TRACK, |c| $find(c, Counter(0)))
                .doc($doc),
            Fetch::new(concat!("sc1_", $name), FIXED, $type, TRACK, |c| $find(c, Counter(1)))
                .doc($doc),
            Fetch::new(concat!("sc2_", $name), FIXED, $type, TRACK, |c| $find(c, Counter(2)))
                .doc($doc),
        ]
    };
}

pub(super) const TABLE: &[&[Fetch]] = &[
    &six!("bytes_in_rate", BytesInRate, Get, "bytes from clients per period."),
    &six!("bytes_out_rate", BytesOutRate, Get, "bytes to clients per period."),
    &six!("kbytes_in", BytesInCnt, Kilo, "kilobytes from clients."),
    &six!("kbytes_out", BytesOutCnt, Kilo, "kilobytes to clients."),
    &six!("conn_cnt", ConnCnt, Get, "connections so far."),
    &six!("conn_cur", ConnCur, Get, "connections now."),
    &six!("conn_rate", ConnRate, Get, "connections per period."),
    &six!("sess_cnt", SessCnt, Get, "connections that became sessions."),
    &six!("sess_rate", SessRate, Get, "sessions per period."),
    &six!("http_req_cnt", HttpReqCnt, Get, "HTTP requests so far."),
    &six!("http_req_rate", HttpReqRate, Get, "HTTP requests per period."),
    &six!("http_err_cnt", HttpErrCnt, Get, "HTTP requests that were the client's mistake."),
    &six!("http_err_rate", HttpErrRate, Get, "HTTP mistakes of the client per period."),
    &six!("http_fail_cnt", HttpFailCnt, Get, "HTTP answers that were the server's failure."),
    &six!("http_fail_rate", HttpFailRate, Get, "HTTP failures of servers per period."),
    &six!("glitch_cnt", GlitchCnt, Get, "odd things a client did."),
    &six!("glitch_rate", GlitchRate, Get, "odd things a client did per period."),
    &six!("get_gpt0", Gpt0, Get, "the tag."),
    &six!("get_gpc0", Gpc0, Get, "the first general counter."),
    &six!("get_gpc1", Gpc1, Get, "the second general counter."),
    &six!("gpc0_rate", Gpc0Rate, Get, "how often the first general counter grew per period."),
    &six!("gpc1_rate", Gpc1Rate, Get, "how often the second general counter grew per period."),
    &six!("inc_gpc0", Gpc0, Increment, "adds one to the first general counter."),
    &six!("inc_gpc1", Gpc1, Increment, "adds one to the second general counter."),
    &six!("clr_gpc0", Gpc0, Clear, "sets the first general counter to 0; what it was."),
    &six!("clr_gpc1", Gpc1, Clear, "sets the second general counter to 0; what it was."),
    &indexed!("get_gpt", Gpt, Get, "a tag by its index."),
    &indexed!("get_gpc", Gpc, Get, "a general counter by its index."),
    &indexed!("gpc_rate", GpcRate, Get, "how often a general counter grew per period."),
    &indexed!("inc_gpc", Gpc, Increment, "adds one to a general counter."),
    &indexed!("clr_gpc", Gpc, Clear, "sets a general counter to 0; what it was."),
    &counter!("tracked", Type::Bool, tracked, "Whether a counter tracks something."),
    &counter!("trackers", Type::Int, trackers, "How many connections track what a counter does."),
    &counter!("key", Type::Any, key, "The key a counter tracks."),
    &[
        Fetch::new("src_updt_conn_cnt", OWN, Type::Int, CLIENT, |c| {
            entry(c, Client, Data::ConnCnt, false, Count)
        })
        .doc("Counts a connection of the client's address; how many that makes."),
        Fetch::new("table_avl", OWN, Type::Int, Source::INTERNAL, |c| {
            let table = table(c, c.args.first());
            Found::int(table.map(|t| {
                let used = t.with(used);
                int(t.config().size.saturating_sub(used) as u64)
            }))
        })
        .doc("Entries a table has room for."),
        Fetch::new("table_cnt", OWN, Type::Int, Source::INTERNAL, |c| {
            let table = table(c, c.args.first());
            Found::int(table.map(|t| int(t.with(used) as u64)))
        })
        .doc("Entries a table has."),
    ],
];

fn used(table: &mut Table, now: Millis) -> usize {
    table.expire(now, usize::MAX);
    table.len()
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn table<'a>(c: &Call<'a, '_>, arg: Option<&Arg>) -> Option<&'a Arc<SharedTable>> {
    match arg {
        Some(Arg::Table(at)) => c.scope.environment.table(*at),
        _ => None,
    }
}

/// The number of a counter, and what stands behind it.
fn number(whose: Whose, args: &[Arg]) -> Option<(usize, &[Arg])> {
    match whose {
        Counter(number) => Some((number, args)),
        Chosen => {
            let number = usize::try_from(args.first()?.int()?).ok()?;
            Some((number, &args[1..]))
        }
        Client => None,
    }
}

/// The table and the entry an operation is about.
enum Place<'t> {
    /// Nobody tracks anything there.
    Nowhere,
    /// There is a table, and nothing in it.
    Absent,
    At(&'t Arc<SharedTable>, EntryId),
}

fn place<'c>(c: &'c Call<'_, '_>, whose: Whose, args: &'c [Arg], op: Op) -> Place<'c> {
    if let Client = whose {
        let Some(table) = table(c, args.first()) else { return Place::Nowhere };
        let ip = c
            .record
            .source
            .or_else(|| Some(c.scope.environment.address(End::SeenSource)?.ip().to_canonical()));
        let Some(key) = ip.and_then(|ip| table.key(Value::Ip(ip))) else { return Place::Nowhere };
        let found = table.with(|entries, now| match op {
            Increment | Count => entries.create(now, &key),
            _ => entries.lookup(now, &key),
        });
        return found.map_or(Place::Absent, |entry| Place::At(table, entry));
    }
    let Some((at, rest)) = number(whose, args) else { return Place::Nowhere };
    let Some(tracked) = c.record.counters.get(at) else { return Place::Nowhere };
    let Some(other) = table(c, rest.first()) else {
        return Place::At(tracked.table(), tracked.entry());
    };
    let key = tracked.key();
    let found = other.with(|entries, now| match op {
        Increment | Count => entries.create(now, &key),
        _ => entries.lookup(now, &key),
    });
    found.map_or(Place::Absent, |entry| Place::At(other, entry))
}

fn entry<'a>(c: &Call<'a, '_>, whose: Whose, data: Data, indexed: bool, op: Op) -> Found<'a> {
    let (index, args) = match (indexed, c.args.first()) {
        (true, Some(Arg::Int(index))) => {
            (usize::try_from(*index).unwrap_or(usize::MAX), &c.args[1..])
        }
        (true, _) => return Found::Nothing,
        (false, _) => (0, c.args),
    };
    let (table, entry) = match place(c, whose, args, op) {
        Place::Nowhere => return Found::Nothing,
        Place::Absent => return Found::Value(Value::Int(0)),
        Place::At(table, entry) => (table, entry),
    };
    Found::int(act(table, entry, data, index, op).map(int))
}

/// Does something to an entry; `None` where its table does not store that.
pub(crate) fn apply(
    table: &SharedTable,
    entry: EntryId,
    data: Data,
    index: usize,
    increment: Option<bool>,
) -> Option<u64> {
    let op = match increment {
        None => Get,
        Some(true) => Increment,
        Some(false) => Clear,
    };
    act(table, entry, data, index, op)
}

fn act(table: &SharedTable, entry: EntryId, data: Data, index: usize, op: Op) -> Option<u64> {
    match op {
        Get => table.with(|entries, now| entries.number(now, entry, data, index)),
        Kilo => table.with(|entries, now| Some(entries.number(now, entry, data, index)? >> 10)),
        Count => table.change(entry, |entries, now| entries.add(now, entry, data, index, 1)),
        Increment => Some(increment(table, entry, data, index, 1)),
        Clear => table.change(entry, |entries, now| {
            let before = entries.number(now, entry, data, index)?;
            entries.set(now, entry, data, index, 0);
            Some(before)
        }),
    }
}

/// Adds to a general counter and to its rate; what the counter, or else the rate, is then.
pub(crate) fn increment(
    table: &SharedTable,
    entry: EntryId,
    data: Data,
    index: usize,
    by: u64,
) -> u64 {
    let rate = match data {
        Data::Gpc0 => Data::Gpc0Rate,
        Data::Gpc1 => Data::Gpc1Rate,
        _ => Data::GpcRate,
    };
    table.change(entry, |entries, now| {
        let rate = entries.add(now, entry, rate, index, by);
        entries.add(now, entry, data, index, by).or(rate).unwrap_or(0)
    })
}

fn tracked<'a>(c: &Call<'a, '_>, whose: Whose) -> Found<'a> {
    let found = match place(c, whose, c.args, Get) {
        Place::Nowhere | Place::Absent => false,
        Place::At(..) => true,
    };
    Found::Value(Value::Bool(found))
}

fn trackers<'a>(c: &Call<'a, '_>, whose: Whose) -> Found<'a> {
    match place(c, whose, c.args, Get) {
        Place::Nowhere => Found::Nothing,
        Place::Absent => Found::Value(Value::Int(0)),
        Place::At(table, entry) => {
            Found::Value(Value::Int(table.with(|entries, _| entries.uses(entry)).into()))
        }
    }
}

fn key<'a>(c: &Call<'a, '_>, whose: Whose) -> Found<'a> {
    match place(c, whose, c.args, Get) {
        Place::Nowhere | Place::Absent => Found::Nothing,
        Place::At(table, entry) => {
            let key = table.with(|entries, _| entries.key(entry).to_vec());
            Found::Value(table.value(&key))
        }
    }
}

//! What a stick table stores with the key that a value is.

use std::sync::Arc;

use stick::{Data, EntryId};

use super::{Converter, Step};
use crate::arg::{Arg, Args, Kind};
use crate::fetch::tables::apply;
use crate::tables::SharedTable;
use crate::value::Type::{Any, Bool, Int};
use crate::value::Value;

const TABLED: Args = Args::all(&[Kind::Table]);
const OR_ELSE: Args = Args::some(1, &[Kind::Table, Kind::Int]);
const INDEXED: Args = Args::all(&[Kind::Int, Kind::Table]);

macro_rules! stored {
    ($name:literal, $data:ident, $doc:literal) => {
        Converter::new(concat!("table_", $name), TABLED, Any, Int, |v, step| {
            number(v, step, Data::$data, None)
        })
        .doc(concat!("Of the key in a table: ", $doc))
    };
}

macro_rules! indexed {
    ($name:literal, $data:ident, $op:expr, $doc:literal) => {
        Converter::new(concat!("table_", $name), INDEXED, Any, Int, |v, step| {
            number(v, step, Data::$data, $op)
        })
        .doc(concat!("Of the key in a table: ", $doc))
    };
}

pub(super) const TABLE: &[Converter] = &[
    Converter::new("in_table", TABLED, Any, Bool, |v, step| {
        Some(Value::Bool(find(v, step)?.1.is_some()))
    })
    .doc("Whether a table has the key."),
    stored!("bytes_in_rate", BytesInRate, "bytes from clients per period."),
    stored!("bytes_out_rate", BytesOutRate, "bytes to clients per period."),
    stored!("conn_cnt", ConnCnt, "connections so far."),
    stored!("conn_cur", ConnCur, "connections now."),
    stored!("conn_rate", ConnRate, "connections per period."),
    stored!("sess_cnt", SessCnt, "connections that became sessions."),
    stored!("sess_rate", SessRate, "sessions per period."),
    stored!("http_req_cnt", HttpReqCnt, "HTTP requests so far."),
    stored!("http_req_rate", HttpReqRate, "HTTP requests per period."),
    stored!("http_err_cnt", HttpErrCnt, "HTTP requests that were the client's mistake."),
    stored!("http_err_rate", HttpErrRate, "HTTP mistakes of the client per period."),
    stored!("http_fail_cnt", HttpFailCnt, "HTTP answers that were the server's failure."),
    stored!("http_fail_rate", HttpFailRate, "HTTP failures of servers per period."),
    stored!("glitch_cnt", GlitchCnt, "odd things a client did."),
    stored!("glitch_rate", GlitchRate, "odd things a client did per period."),
    stored!("gpt0", Gpt0, "the tag."),
    stored!("gpc0", Gpc0, "the first general counter."),
    stored!("gpc1", Gpc1, "the second general counter."),
    stored!("gpc0_rate", Gpc0Rate, "how often the first general counter grew per period."),
    stored!("gpc1_rate", Gpc1Rate, "how often the second general counter grew per period."),
    stored!("server_id", ServerId, "the id of the server it sticks to."),
    indexed!("gpt", Gpt, None, "a tag by its index."),
    indexed!("gpc", Gpc, None, "a general counter by its index."),
    indexed!("gpc_rate", GpcRate, None, "how often a general counter grew per period."),
    indexed!("inc_gpc", Gpc, Some(true), "adds one to a general counter."),
    indexed!("clr_gpc", Gpc, Some(false), "sets a general counter to 0; what it was."),
    Converter::new("table_inc_gpc0", TABLED, Any, Int, |v, step| {
        number(v, step, Data::Gpc0, Some(true))
    })
    .doc("Of the key in a table: adds one to the first general counter."),
    Converter::new("table_inc_gpc1", TABLED, Any, Int, |v, step| {
        number(v, step, Data::Gpc1, Some(true))
    })
    .doc("Of the key in a table: adds one to the second general counter."),
    Converter::new("table_clr_gpc0", TABLED, Any, Int, |v, step| {
        number(v, step, Data::Gpc0, Some(false))
    })
    .doc("Of the key in a table: sets the first general counter to 0; what it was."),
    Converter::new("table_clr_gpc1", TABLED, Any, Int, |v, step| {
        number(v, step, Data::Gpc1, Some(false))
    })
    .doc("Of the key in a table: sets the second general counter to 0; what it was."),
    Converter::new("table_kbytes_in", TABLED, Any, Int, |v, step| {
        kilobytes(v, step, Data::BytesInCnt)
    })
    .doc("Of the key in a table: kilobytes from clients."),
    Converter::new("table_kbytes_out", TABLED, Any, Int, |v, step| {
        kilobytes(v, step, Data::BytesOutCnt)
    })
    .doc("Of the key in a table: kilobytes to clients."),
    Converter::new("table_trackers", TABLED, Any, Int, |v, step| {
        let (table, entry) = find(v, step)?;
        let uses = entry.map_or(0, |entry| table.with(|entries, _| entries.uses(entry)));
        Some(Value::Int(uses.into()))
    })
    .doc("How many connections track the key in a table."),
    Converter::new("table_expire", OR_ELSE, Any, Int, |v, step| time(v, step, stick::Table::left))
        .doc("Milliseconds the key stays in a table if nothing touches it, or a default."),
    Converter::new("table_idle", OR_ELSE, Any, Int, |v, step| time(v, step, stick::Table::idle))
        .doc("Milliseconds since the key in a table was touched, or a default."),
];

type Place<'a> = (&'a Arc<SharedTable>, Option<EntryId>);

/// The table, and the entry of the key in it.
fn find<'a>(value: Value<'a>, step: &Step<'a, '_>) -> Option<Place<'a>> {
    let named = |arg: &Arg| match arg {
        Arg::Table(at) => Some(*at),
        _ => None,
    };
    let table = step.scope.environment.table(step.args.iter().find_map(named)?)?;
    let key = table.key(value)?;
    Some((table, table.with(|entries, now| entries.lookup(now, &key))))
}

/// A number that is stored, or 0 where there is no entry. `op` adds one, or sets it to 0.
fn number<'a>(
    value: Value<'a>,
    step: &Step<'a, '_>,
    data: Data,
    op: Option<bool>,
) -> Option<Value<'a>> {
    let index = match step.args.first() {
        Some(Arg::Int(index)) => usize::try_from(*index).ok()?,
        _ => 0,
    };
    let number = match find(value, step)? {
        (_, None) => 0,
        (table, Some(entry)) => apply(table, entry, data, index, op)?,
    };
    Some(Value::Int(i64::try_from(number).unwrap_or(i64::MAX)))
}

fn kilobytes<'a>(value: Value<'a>, step: &Step<'a, '_>, data: Data) -> Option<Value<'a>> {
    match number(value, step, data, None)? {
        Value::Int(bytes) => Some(Value::Int(bytes >> 10)),
        other => Some(other),
    }
}

fn time<'a>(
    value: Value<'a>,
    step: &Step<'a, '_>,
    of: fn(&stick::Table, stick::Millis, EntryId) -> u64,
) -> Option<Value<'a>> {
    let (table, entry) = find(value, step)?;
    let Some(entry) = entry else { return step.int(1).map(Value::Int) };
    let time = table.with(|entries, now| of(entries, now, entry));
    Some(Value::Int(i64::try_from(time).unwrap_or(i64::MAX)))
}

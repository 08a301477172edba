//! What the statistics page and Prometheus show: the answers of the runtime API, read again.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::health::Board;
use crate::runtime_api;
use crate::state::{Shared, lock};
use crate::stats::{Filter, show_info, show_stat};

/// The boards of processes' health, by the address of what they belong to.
static BOARDS: Mutex<Vec<(usize, &'static Board)>> = Mutex::new(Vec::new());

fn key(shared: &Shared) -> usize {
    std::ptr::from_ref(shared).addr()
}

/// From now on pages about `shared` show this board.
pub(crate) fn know(shared: &'static Shared, board: &'static Board) {
    let mut boards = lock(&BOARDS);
    boards.retain(|(known, _)| *known != key(shared));
    boards.push((key(shared), board));
}

fn board(shared: &Shared) -> Option<&'static Board> {
    let boards = lock(&BOARDS);
    let own = boards.iter().find(|(known, _)| *known == key(shared));
    own.or(boards.last()).map(|(_, board)| *board)
}

/// The table of `show stat`.
#[derive(Debug, Default)]
pub(super) struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// A line of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'t> {
    table: &'t Table,
    fields: &'t [String],
}

impl<'t> Row<'t> {
    /// The text of a column; nothing if there is none.
    pub(super) fn get(&self, column: &str) -> &'t str {
        let at = self.table.columns.iter().position(|known| known == column);
        at.and_then(|at| self.fields.get(at)).map_or("", String::as_str)
    }

    /// 0 a frontend, 1 a backend, 2 a server.
    pub(super) fn kind(&self) -> &'t str {
        self.get("type")
    }
}

impl Table {
    /// What there is to show.
    pub(super) fn of(shared: &Shared, filter: Filter) -> Self {
        Self::parse(&csv(shared, filter))
    }

    pub(super) fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        let head = lines.next().unwrap_or("").trim_start_matches("# ");
        let columns = cells(head);
        Self { columns, rows: lines.filter(|line| !line.is_empty()).map(cells).collect() }
    }

    /// Its lines.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|fields| Row { table: self, fields })
    }
}

/// The cells of a line: some stand between quotes.
fn cells(line: &str) -> Vec<String> {
    let (mut out, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                cell.push('"');
                chars.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => out.push(std::mem::take(&mut cell)),
            _ => cell.push(c),
        }
    }
    if !cell.is_empty() {
        out.push(cell);
    }
    out
}

/// `show stat`.
pub(super) fn csv(shared: &Shared, filter: Filter) -> String {
    board(shared).map(|board| show_stat(shared, board, filter)).unwrap_or_default()
}

/// `show info`, by name.
pub(super) fn info(shared: &Shared) -> HashMap<String, String> {
    let text = show_info(shared);
    let pairs = text.lines().filter_map(|line| line.split_once(": "));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What the runtime API answers an administrator.
pub(super) fn command(shared: &'static Shared, line: &str) -> Option<String> {
    Some(runtime_api::execute(shared, board(shared)?, line))
}

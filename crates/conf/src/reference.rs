//! What is generated from tables: the compatibility matrix and the reference.

use std::fmt::Write;

use crate::keyword::{Row, Status};

/// How many keywords of a table stand where.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Count {
    /// Work as upstream's do.
    pub done: usize,
    /// Are parsed without an effect.
    pub accepted: usize,
    /// Are refused with "not supported yet".
    pub planned: usize,
}

/// Counts rows, with those of their blocks.
pub fn count(rows: &[Row]) -> Count {
    let mut sum = Count::default();
    for row in rows {
        match row.status {
            Status::Done | Status::Deprecated { .. } => sum.done += 1,
            Status::Accepted(_) => sum.accepted += 1,
            Status::Planned => sum.planned += 1,
        }
        let nested = count(&row.nested);
        sum.done += nested.done;
        sum.accepted += nested.accepted;
        sum.planned += nested.planned;
    }
    sum
}

/// The compatibility matrix of a table, as rows of a Markdown table.
pub fn matrix(rows: &[Row]) -> String {
    let mut out = String::from("| keyword | status | default | source |\n|---|---|---|---|\n");
    matrix_rows(rows, 0, &mut out);
    out
}

fn matrix_rows(rows: &[Row], depth: usize, out: &mut String) {
    for row in rows {
        let indent = "&emsp;".repeat(depth);
        let status = match row.status {
            Status::Done => "Done".to_owned(),
            Status::Accepted(why) => format!("Accepted: {why}"),
            Status::Planned => "Planned".to_owned(),
            Status::Deprecated { instead } => format!("Done (deprecated, use `{instead}`)"),
        };
        let default = row.default.map(|d| format!("`{}`", cell(d))).unwrap_or_default();
        let name = cell(&format!("{} {}", row.name, row.usage));
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "| {indent}`{}` | {} | {default} | {} |",
            name.trim_end(),
            cell(&status),
            cell(row.spec)
        );
        matrix_rows(&row.nested, depth + 1, out);
    }
}

/// The reference of a table: a paragraph a keyword.
pub fn reference(rows: &[Row], heading: usize) -> String {
    let mut out = String::new();
    for row in rows {
        let _ = writeln!(
            out,
            "{} `{}`\n",
            "#".repeat(heading),
            format!("{} {}", row.name, row.usage).trim_end()
        );
        if !row.doc.is_empty() {
            let _ = writeln!(out, "{}", row.doc);
        }
        if let Some(default) = row.default {
            let _ = writeln!(out, "Default: `{default}`.");
        }
        match row.status {
            Status::Done => {}
            Status::Accepted(why) => {
                let _ = writeln!(out, "Accepted without an effect: {why}.");
            }
            Status::Planned => {
                let _ = writeln!(out, "Not supported yet.");
            }
            Status::Deprecated { instead } => {
                let _ = writeln!(out, "Deprecated: use `{instead}`.");
            }
        }
        if !row.spec.is_empty() {
            let _ = writeln!(out, "Source: {}.", row.spec);
        }
        out.push('\n');
        out.push_str(&reference(&row.nested, (heading + 1).min(6)));
    }
    out
}

/// Text for a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

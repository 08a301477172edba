//! The status for people, made from its JSON: the daemon asked may be of another version.

use std::fmt::Write as _;

use serde_json::Value;

/// A table of the instances, and what is worth a line besides.
pub(crate) fn write(status: &Value) -> String {
    let none = Vec::new();
    let list = |value: &Value| value.as_array().unwrap_or(&none).clone();
    let mut rows = vec![
        ["INSTANCE", "STATE", "FOR", "PRIORITY", "MASTER", "INTERFACE", "VRID", "ADDRESSES"]
            .map(str::to_owned),
    ];
    for instance in list(&status["instances"]) {
        let text = |key: &str| instance[key].as_str().unwrap_or("-").to_owned();
        let addresses = list(&instance["addresses"]);
        let addresses: Vec<_> = addresses.iter().filter_map(Value::as_str).collect();
        rows.push([
            text("name"),
            text("state"),
            how_long(instance["seconds"].as_f64().unwrap_or(0.0)),
            priority(&instance),
            text("master"),
            text("interface"),
            instance["vrid"].to_string(),
            addresses.join(" "),
        ]);
    }
    let mut out = columns(&rows);
    for group in list(&status["groups"]) {
        let name = group["name"].as_str().unwrap_or("-");
        // Writing to a String cannot fail.
        let _ = writeln!(out, "group {name}: {}", group["state"].as_str().unwrap_or("-"));
    }
    for script in list(&status["scripts"]) {
        let good = match script["good"].as_bool() {
            None => "no result yet",
            Some(true) => "good",
            Some(false) => "failed",
        };
        let last = script["last_seconds"].as_f64().unwrap_or(0.0);
        let name = script["name"].as_str().unwrap_or("-");
        let _ = writeln!(out, "script {name}: {good}, last run took {last:.3} s");
    }
    if status["reloads"]["last"]["taken"].as_bool() == Some(false) {
        let _ = writeln!(out, "the last reload was refused: an older configuration is in use");
    }
    out
}

/// `80 (100 chk -20)`, with what keeps it out of the race.
fn priority(instance: &Value) -> String {
    let (now, base) = (&instance["priority"], &instance["base_priority"]);
    let mut why = Vec::new();
    for tracker in instance["trackers"].as_array().into_iter().flatten() {
        let name = tracker["name"].as_str().unwrap_or("-");
        let contribution = tracker["contribution"].as_i64().unwrap_or(0);
        if tracker["fault"].as_bool() == Some(true) {
            why.push(format!("{name} fault"));
        } else if contribution != 0 {
            why.push(format!("{name} {contribution:+}"));
        }
    }
    if why.is_empty() { now.to_string() } else { format!("{now} ({base} {})", why.join(" ")) }
}

/// `3d04h`, `2h05m`, `1m07s`, `12s`
fn how_long(seconds: f64) -> String {
    // A daemon runs for less than the years this could not hold.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let seconds = seconds as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{:02}s", seconds % 60),
        3600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_long_as_they_need_to_be() {
        let cases = [(12.9, "12s"), (67.0, "1m07s"), (7500.0, "2h05m"), (273_600.0, "3d04h")];
        for (seconds, text) in cases {
            assert_eq!(how_long(seconds), text);
        }
    }

    #[test]
    fn what_lowers_a_priority_is_named_and_missing_keys_are_no_end() {
        let status = serde_json::json!({
            "instances": [{
                "name": "VI_1", "state": "BACKUP", "seconds": 3.0, "priority": 80,
                "base_priority": 100, "master": "192.0.2.2", "interface": "eth0", "vrid": 51,
                "addresses": ["192.0.2.100/24"],
                "trackers": [
                    {"kind": "script", "name": "chk", "contribution": -20, "fault": false},
                    {"kind": "interface", "name": "eth0", "contribution": 0, "fault": true},
                ],
            }, {}],
            "reloads": {"last": {"taken": false}},
        });
        let text = write(&status);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("INSTANCE  STATE   FOR  PRIORITY"), "{text}");
        assert!(lines[1].contains("80 (100 chk -20 eth0 fault)"), "{text}");
        assert!(lines[1].ends_with("192.0.2.100/24"), "{text}");
        assert!(lines[3].contains("refused"), "{text}");
    }
}

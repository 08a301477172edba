//! The names and types beside HAProxy's.

use super::metrics::{BACKEND, FRONTEND, PROCESS, SERVER};

/// What has no meaning here, or is written elsewhere.
const OTHERS: &[(&str, &str)] = &[
    ("haproxy_process_start_time_seconds", "written by itself"),
    ("haproxy_sticktable_size", "written by itself"),
    ("haproxy_sticktable_used", "written by itself"),
    ("haproxy_sticktable_local_updates", "no table counts them"),
    ("haproxy_process_current_zlib_memory", "nothing is compressed"),
    ("haproxy_process_max_zlib_memory", "nothing is compressed"),
    ("haproxy_process_patterns_added_total", "patterns are not pooled"),
    ("haproxy_process_patterns_freed_total", "patterns are not pooled"),
    ("haproxy_frontend_http_cache_hint_hits_total", "there is no cache"),
    ("haproxy_backend_http_cache_hint_hits_total", "there is no cache"),
];

#[test]
fn every_metric_of_haproxy_is_written_or_its_absence_is_said() {
    let tables = [
        ("haproxy_process_", PROCESS),
        ("haproxy_frontend_", FRONTEND),
        ("haproxy_backend_", BACKEND),
        ("haproxy_server_", SERVER),
    ];
    let written: Vec<String> = tables
        .iter()
        .flat_map(|(prefix, metrics)| metrics.iter().map(move |m| (prefix, m)))
        .map(|(prefix, metric)| format!("{prefix}{} {}", metric.name, metric.kind))
        .collect();
    let known: Vec<&str> = include_str!("names.txt").lines().filter(|l| !l.is_empty()).collect();
    assert_eq!(known.len(), 231);
    for line in &known {
        let name = line.split(' ').next().unwrap_or_default();
        let other = OTHERS.iter().any(|(known, _)| *known == name);
        // Counters of name servers are asked for by `show resolvers` only.
        let resolver = name.starts_with("haproxy_resolver_");
        let here = written.iter().any(|written| written == line);
        assert!(here != (other || resolver), "{line}");
    }
    for line in &written {
        assert!(known.contains(&line.as_str()), "{line} is nobody's");
    }
}

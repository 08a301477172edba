#![no_main]

#[path = "../targets.rs"]
#[allow(dead_code, reason = "one program runs one target")]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::run("runtime_api", bytes));

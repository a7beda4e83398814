//! Any bytes as a snapshot: refused or read.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pydebug::fuzzing::snapshot(bytes));

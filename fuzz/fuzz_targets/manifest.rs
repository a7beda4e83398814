//! Any bytes as a manifest: refused or read.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pydebug::fuzzing::manifest(bytes));

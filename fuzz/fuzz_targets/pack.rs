//! Any bytes as a pack: refused or read.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pydebug::fuzzing::pack(bytes));

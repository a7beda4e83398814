//! Any text as a `pyproject.toml`: an error or a configuration.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pydebug::fuzzing::pyproject(&String::from_utf8_lossy(bytes)));

//! Any bytes as a source: decoded, parsed as a whole, facts that hold together.
#![no_main]

use pydebug::parse::{Outcome, Scratch};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    pydebug_fuzz::on_worker_stack(|| {
        for stub in [false, true] {
            if let Outcome::Facts(block) = Scratch::default().parse(bytes, stub) {
                pydebug::fuzzing::facts(&block).expect("facts of this program hold together");
            }
        }
    });
});

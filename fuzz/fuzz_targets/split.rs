//! Any source in chunks of any size: the facts are those of the whole source.
//!
//! The first byte says how large chunks are, the second how the others become a source.
#![no_main]

use pydebug::parse::{Outcome, Scratch};
use pydebug::split::{ChunkSize, Measure};
use pydebug_fuzz::python;

fn block(outcome: Outcome) -> Option<Vec<u8>> {
    match outcome {
        Outcome::Facts(block) => Some(block.into_vec()),
        Outcome::TooDeep | Outcome::TooLarge | Outcome::Unfit(_) => None,
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let [size, way, rest @ ..] = bytes else { return };
    let text = match way % 4 {
        0 => rest.to_vec(),
        1 => python::tokens(rest),
        _ => python::statements(rest),
    };
    if std::env::var_os("PYDEBUG_FUZZ_SHOW").is_some() {
        eprintln!("limit {size}:\n{}", String::from_utf8_lossy(&text));
    }
    // 16 to 300.
    let limit = 16 + usize::from(*size) * 285 / 256;
    pydebug_fuzz::on_worker_stack(|| {
        let mut scratch = Scratch::default();
        let whole = block(scratch.parse(&text, false));
        for (measure, limit) in [
            (Measure::Ast, limit),
            (Measure::Bytes, limit),
            (Measure::Lines, limit),
            (Measure::Lines, limit / 16),
        ] {
            let chunk = ChunkSize { measure, limit };
            let parts = block(scratch.parse_in(&text, false, chunk).0);
            assert!(whole == parts, "{chunk:?} gives other facts of {:?}", String::from_utf8_lossy(&text));
        }
    });
});

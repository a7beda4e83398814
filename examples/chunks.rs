//! Parses every file of a tree as a whole and in chunks, and compares the facts: `chunks PATH [--broken N] [--list] [--small] [--out-of-core]`.
//!
//! With `--broken N` each file is also taken N times with one bracket, quote, colon or indentation deleted. Exits with 1
//! where facts differ. With `--out-of-core` each is compared once more as worked on out of core, with epochs so short that all
//! of that happens. With `--list` it prints each piece larger than two chunks: where it is and what. With `--small`
//! chunks are so small that everything is cut that can be.

#![expect(clippy::print_stdout, reason = "an example prints")]

use pydebug::extract::STACK;
use pydebug::model::facts::{self, Facts, FactsSchema};
use pydebug::parse::{Outcome, Scratch};
use pydebug::split::{ChunkSize, Measure};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

fn files(path: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(path) else {
        out.push(path.to_owned());
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "py" || extension == "pyi") {
            out.push(path);
        }
    }
}

/// The text with one of what holds it together deleted.
fn broken(bytes: &[u8], seed: u64) -> Option<Vec<u8>> {
    let wanted = |at: usize| match bytes[at] {
        b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'"' | b'\'' | b':' => true,
        b' ' | b'\t' => at > 0 && bytes[at - 1] == b'\n',
        _ => false,
    };
    let places: Vec<usize> = (0..bytes.len()).filter(|&at| wanted(at)).collect();
    let at = *places.get((seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16) as usize % places.len().max(1))?;
    let mut copy = bytes.to_vec();
    copy.remove(at);
    Some(copy)
}

fn block(outcome: Outcome) -> Option<Vec<u8>> {
    match outcome {
        Outcome::Facts(block) => Some(block.into_vec()),
        Outcome::TooDeep | Outcome::TooLarge | Outcome::Unfit(_) => None,
    }
}

/// Column and row at which two blocks differ first.
fn first_difference(whole: Option<&[u8]>, chunked: Option<&[u8]>) -> String {
    let (Some(one), Some(other)) = (whole.and_then(Facts::open), chunked.and_then(Facts::open)) else {
        return format!("facts whole: {}, chunked: {}", whole.is_some(), chunked.is_some());
    };
    let mut column = 0;
    let mut found = String::new();
    for (table, (name, columns)) in FactsSchema::NAMES.iter().enumerate() {
        if one.rows(table) != other.rows(table) {
            found += &format!("{name}: {} rows, {} chunked; ", one.rows(table), other.rows(table));
        }
        for title in *columns {
            let rows = one.rows(table).min(other.rows(table));
            if let Some(row) = (0..rows).find(|&row| one.get(column, row) != other.get(column, row)) {
                found += &format!(
                    "{title} row {row}: {}, {} chunked; ",
                    one.get(column, row),
                    other.get(column, row)
                );
            }
            column += 1;
        }
    }
    if other.rows(facts::table::Errors) > 0 {
        found += &format!(
            "first error `{}` at {}",
            other.str(facts::col::ERR_MESSAGE, 0),
            other.get(facts::col::ERR_START, 0)
        );
    }
    found
}

fn main() {
    let mut paths = Vec::new();
    let (mut repeats, mut list, mut small, mut out_of_core) = (0u64, false, false, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--broken" => repeats = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(1),
            "--list" => list = true,
            "--small" => small = true,
            "--out-of-core" => out_of_core = true,
            path => files(Path::new(path), &mut paths),
        }
    }
    paths.sort();
    let sizes: Vec<ChunkSize> = [Measure::Ast, Measure::Bytes, Measure::Lines]
        .into_iter()
        .flat_map(|measure| {
            let bytes = if small { [64, 200, 600] } else { [1 << 10, 4 << 10, 64 << 10] };
            bytes.map(|bytes| {
                // About as many bytes of lines of ordinary code.
                let limit = if measure == Measure::Lines { bytes / 32 } else { bytes };
                ChunkSize { measure, limit }
            })
        })
        .collect();
    let (compared, differ, large) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let scratch = std::env::temp_dir();
    let pool = rayon::ThreadPoolBuilder::new().stack_size(STACK).build().expect("threads");
    pool.install(|| {
        paths.par_iter().for_each_init(
            || (Scratch::default(), Scratch::default()),
            |(one, other), path| {
                let Ok(bytes) = std::fs::read(path) else { return };
                let stub = path.extension().is_some_and(|extension| extension == "pyi");
                let name: u64 = path
                    .to_string_lossy()
                    .bytes()
                    .fold(0, |sum, byte| sum.wrapping_mul(31) + u64::from(byte) + 1);
                let texts = std::iter::once((0, bytes.clone())).chain(
                    (1..=repeats).filter_map(|seed| Some((seed, broken(&bytes, seed.wrapping_mul(name))?))),
                );
                for (seed, text) in texts {
                    if out_of_core {
                        let short = |folder| Scratch::with_epoch(300, folder);
                        let held = block(short(None).parse(&text, stub));
                        let size = ChunkSize { measure: Measure::Ast, limit: 4 << 10 };
                        let spilled = block(short(Some(scratch.as_path())).parse_in(&text, stub, size).0);
                        compared.fetch_add(1, Ordering::Relaxed);
                        if spilled != held {
                            differ.fetch_add(1, Ordering::Relaxed);
                            let place = first_difference(held.as_deref(), spilled.as_deref());
                            println!("differs out of core: {} seed {seed}: {place}", path.display());
                        }
                    }
                    let whole = block(one.parse(&text, stub));
                    for &size in &sizes {
                        let (outcome, _) = other.parse_in(&text, stub, size);
                        compared.fetch_add(1, Ordering::Relaxed);
                        let chunked = block(outcome);
                        if chunked != whole {
                            differ.fetch_add(1, Ordering::Relaxed);
                            let place = first_difference(whole.as_deref(), chunked.as_deref());
                            println!("differs: {} seed {seed} {size:?}: {place}", path.display());
                            if let Ok(folder) = std::env::var("KEEP") {
                                let name = format!(
                                    "{}-{seed}.py",
                                    path.file_stem().unwrap_or_default().to_string_lossy()
                                );
                                let _ = std::fs::write(Path::new(&folder).join(name), &text);
                            }
                        }
                        if chunked.is_some() && !other.large_pieces().is_empty() {
                            large.fetch_add(1, Ordering::Relaxed);
                        }
                        for piece in other.large_pieces().iter().filter(|_| list && chunked.is_some()) {
                            println!(
                                "large: {} seed {seed} {size:?}: {} bytes at {}, {}",
                                path.display(),
                                piece.bytes,
                                piece.start,
                                piece.what
                            );
                        }
                    }
                }
            },
        );
    });
    let (differ, count) = (differ.into_inner(), compared.into_inner());
    println!(
        "{} files, {} comparisons, {} differ, {} with a piece larger than two chunks",
        paths.len(),
        count,
        differ,
        large.into_inner()
    );
    println!("checks: {} passed, {differ} failed", paths.len().saturating_sub(differ));
    if differ > 0 {
        std::process::exit(1);
    }
}

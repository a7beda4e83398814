//! The plainest way to parse a tree of Python files on all cores: walk, read, check UTF-8, parse, drop.
//!
//! It stands apart from the library on purpose. `scripts/bench` compares `pydebug bench-floor` with it, so that
//! the floor which every other ratio is taken against is itself held to something.
//!
//! ```text
//! cargo run --release --example parse_loop -- PATH [-j THREADS]
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its user")]

use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use ruff_python_ast::PySourceType;
use ruff_python_parser::parse_unchecked_source;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Deep expressions recurse in the parser and again when the tree is dropped.
const STACK_BYTES: usize = 16 << 20;
/// What the usual walk of a Python tree leaves out.
const SKIPPED_FOLDERS: [&str; 5] = [".venv", "node_modules", "__pycache__", ".git", "site-packages"];

struct Source {
    bytes: u64,
    path: PathBuf,
    kind: PySourceType,
}

/// Totals over files; each file adds one.
#[derive(Default)]
struct Totals {
    files: usize,
    bytes: usize,
    not_utf8: usize,
    statements: usize,
    with_errors: usize,
}

impl Totals {
    fn add(self, other: Self) -> Self {
        Self {
            files: self.files + other.files,
            bytes: self.bytes + other.bytes,
            not_utf8: self.not_utf8 + other.not_utf8,
            statements: self.statements + other.statements,
            with_errors: self.with_errors + other.with_errors,
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (root, threads) = arguments()?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).stack_size(STACK_BYTES).build()?;
    let mut sources = Vec::new();
    walk(&root, &mut sources)?;
    // The largest first, so that no thread is left with a big file while the others have nothing to do.
    sources.sort_unstable_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.path.cmp(&b.path)));
    let next = AtomicUsize::new(0);
    let shares = pool.broadcast(|_| {
        let mut totals = Totals::default();
        while let Some(source) = sources.get(next.fetch_add(1, Relaxed)) {
            totals = totals.add(parse(source)?);
        }
        Ok::<_, std::io::Error>(totals)
    });
    let mut totals = Totals::default();
    for share in shares {
        totals = totals.add(share?);
    }
    println!(
        "{} files, {} bytes, {} not utf-8, {} statements, {} with syntax errors",
        totals.files, totals.bytes, totals.not_utf8, totals.statements, totals.with_errors
    );
    Ok(())
}

/// `PATH [-j THREADS]`; 0 threads mean one for each processor.
fn arguments() -> Result<(PathBuf, usize), Box<dyn Error>> {
    const USAGE: &str = "usage: parse_loop PATH [-j THREADS]";
    let (mut root, mut threads) = (None, 0);
    let mut rest = std::env::args_os().skip(1);
    while let Some(argument) = rest.next() {
        if argument == "-j" {
            threads = rest.next().and_then(|n| n.to_str()?.parse().ok()).ok_or(USAGE)?;
        } else if let Some(n) = argument.to_str().and_then(|a| a.strip_prefix("-j")) {
            threads = n.parse().map_err(|_| USAGE)?;
        } else if root.replace(PathBuf::from(argument)).is_some() {
            return Err(USAGE.into());
        }
    }
    Ok((root.ok_or(USAGE)?, threads))
}

fn walk(folder: &Path, sources: &mut Vec<Source>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if !SKIPPED_FOLDERS.iter().any(|name| entry.file_name() == *name) {
                walk(&entry.path(), sources)?;
            }
        } else if kind.is_file()
            && let Some(kind) = python_kind(&entry.path())
        {
            sources.push(Source { bytes: entry.metadata()?.len(), path: entry.path(), kind });
        }
    }
    Ok(())
}

fn python_kind(path: &Path) -> Option<PySourceType> {
    match path.extension().and_then(OsStr::to_str)? {
        "py" | "pyw" => Some(PySourceType::Python),
        "pyi" => Some(PySourceType::Stub),
        _ => None,
    }
}

fn parse(source: &Source) -> std::io::Result<Totals> {
    let bytes = fs::read(&source.path)?;
    let mut totals = Totals { files: 1, bytes: bytes.len(), ..Totals::default() };
    let Ok(text) = std::str::from_utf8(&bytes) else {
        totals.not_utf8 = 1;
        return Ok(totals);
    };
    let parsed = parse_unchecked_source(text, source.kind);
    totals.statements = parsed.syntax().body.len();
    totals.with_errors = usize::from(!parsed.errors().is_empty());
    Ok(totals)
}

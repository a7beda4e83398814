//! What each step costs on a small generated project: `cargo bench`.
//!
//! `scripts/bench` measures whole runs on real trees; this tells which step moved.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pydebug::cache::{Compressor, ContentHash, DEFAULT_LEVEL};
use pydebug::link::{self, FileInput, Layout};
use pydebug::model::facts::Facts;
use pydebug::model::source::FileKind;
use pydebug::parse::{Outcome, Scratch};
use pydebug::query::{self, GraphQuery};
use pydebug::{Analyzer, CodeGraph, Config};

const MODULES: usize = 40;

/// Source of one module, which imports and calls the next one.
fn source(number: usize) -> String {
    let next = (number + 1) % MODULES;
    let mut text = format!(
        "\"\"\"Module {number}.\"\"\"\nfrom m{next} import Thing as Other, helper\n\n\nclass Thing(Other):\n"
    );
    for method in 0..25 {
        let _ = write!(
            text,
            "
    def method_{method}(self, value: int, *rest, flag=True) -> list[str]:
        # Method {method}.
        if flag and value > {method}:
            return helper(value + self.size) or Other().method_{method}(rest)
        return [helper(item) for item in rest if item]
"
        );
    }
    text.push_str("\n\ndef helper(x):\n    return str(Thing(x))\n");
    text
}

fn facts(sources: &[String]) -> Vec<Vec<u8>> {
    let mut scratch = Scratch::default();
    sources
        .iter()
        .map(|source| match scratch.parse(source.as_bytes(), false) {
            Outcome::Facts(block) => block.into_vec(),
            Outcome::TooDeep | Outcome::TooLarge | Outcome::Unfit(_) => Vec::new(),
        })
        .collect()
}

fn hash_of(bytes: &[u8]) -> [u8; 32] {
    ContentHash::of(bytes).0
}

/// The graph of those sources, as a run gives it.
fn graph(sources: &[String]) -> Result<CodeGraph, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    for (number, source) in sources.iter().enumerate() {
        std::fs::write(folder.path().join(format!("m{number}.py")), source)?;
    }
    let run = Analyzer::new(Config::builder(folder.path()).build()?).run()?;
    let snapshot = std::fs::read_dir(folder.path().join(".cache/parser/v1/snapshots"))?
        .next()
        .ok_or("no snapshot")??;
    drop(run);
    Ok(CodeGraph::from_bytes(std::fs::read(snapshot.path())?)?)
}

fn pipeline(criterion: &mut Criterion) {
    let sources: Vec<String> = (0..MODULES).map(source).collect();
    let bytes: usize = sources.iter().map(String::len).sum();
    let blocks = facts(&sources);
    let raw: usize = blocks.iter().map(Vec::len).sum();

    let mut group = criterion.benchmark_group("source");
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("hash", |bencher| {
        bencher.iter(|| {
            for source in &sources {
                black_box(hash_of(source.as_bytes()));
            }
        });
    });
    group.bench_function("parse", |bencher| {
        let parse = |source: &String| {
            ruff_python_parser::parse_unchecked_source(source, ruff_python_ast::PySourceType::Python)
        };
        bencher.iter(|| sources.iter().for_each(|source| drop(black_box(parse(source)))));
    });
    group.bench_function("parse and extract", |bencher| bencher.iter(|| facts(black_box(&sources))));
    group.finish();

    let mut group = criterion.benchmark_group("facts");
    group.throughput(Throughput::Bytes(raw as u64));
    group.bench_function("encode", |bencher| {
        let Ok(mut compressor) = Compressor::new(DEFAULT_LEVEL) else { return };
        bencher.iter(|| blocks.iter().map(|block| compressor.compress(block).stored_len()).sum::<u64>());
    });
    let packed: Vec<Vec<u8>> =
        blocks.iter().filter_map(|block| zstd::bulk::compress(block, DEFAULT_LEVEL).ok()).collect();
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            for (packed, block) in packed.iter().zip(&blocks) {
                let unpacked = zstd::bulk::decompress(packed, block.len()).unwrap_or_default();
                black_box(Facts::open(&unpacked).is_some());
            }
        });
    });
    group.finish();

    let mut paths: Vec<(String, &Vec<u8>)> =
        blocks.iter().enumerate().map(|(number, block)| (format!("m{number}.py"), block)).collect();
    paths.sort();
    let inputs: Vec<FileInput<'_>> = paths
        .iter()
        .map(|(path, block)| FileInput {
            path,
            kind: FileKind::Py,
            facts: Facts::open(block),
            facts_hash: hash_of(block),
        })
        .collect();
    let layout =
        Layout { project: "bench".to_owned(), source_roots: vec![".".to_owned()], ..Layout::default() };
    let mut group = criterion.benchmark_group("graph");
    group.throughput(Throughput::Elements(MODULES as u64));
    group.bench_function("link", |bencher| bencher.iter(|| link::link(black_box(&inputs), &layout)));
    let Ok(graph) = graph(&sources) else { return };
    group.bench_function("query calls", |bencher| {
        let (query, scratch) = (GraphQuery::Calls { candidates: true }, pydebug::sys::Scratch::none());
        bencher.iter(|| query::graph(black_box(&graph), query, true, &scratch));
    });
    group.bench_function("query records", |bencher| {
        bencher.iter(|| query::records(black_box(&graph)).count())
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1));
    targets = pipeline
}
criterion_main!(benches);

//! What a run is measured against: the walk alone, and the floor of walk, read, UTF-8, parse and drop.

use super::pipeline::{Analyzer, absolute, manifest_id, open_cache, walk_options};
use crate::config::Config;
use crate::model::source::FileKind;
use crate::walk;
use anyhow::Context as _;
use rayon::prelude::*;
use ruff_python_ast::PySourceType;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What the floor run did.
#[derive(Clone, Copy, Debug)]
pub struct FloorReport {
    /// Files read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Tokens seen.
    pub tokens: u64,
    /// Wall-clock time.
    pub duration: Duration,
}

/// What the walk did.
#[derive(Clone, Copy, Debug)]
pub struct WalkReport {
    /// Files found.
    pub files: u64,
    /// Wall-clock time.
    pub duration: Duration,
}

impl Analyzer {
    /// Walks, reads, checks UTF-8, parses and drops, with the threads and the allocator of a run; nothing else.
    ///
    /// # Errors
    /// As [`Analyzer::run`].
    pub fn floor(config: &Config, paths: &[PathBuf]) -> anyhow::Result<FloorReport> {
        let started = Instant::now();
        let mut walked = walk::walk(config.root(), paths, &walk_options(config))?;
        walked.files.sort_unstable_by_key(|file| std::cmp::Reverse(file.stat.size));
        let pool =
            super::threads::pool(config.max_workers().count().get()).context("cannot start threads")?;
        let (bytes, tokens) = pool.install(|| {
            walked
                .files
                .par_iter()
                .with_max_len(1)
                .map(|file| {
                    let Ok(bytes) = std::fs::read(file.os_path(&walked.root)) else { return (0, 0) };
                    let Ok(text) = std::str::from_utf8(&bytes) else { return (0, 0) };
                    let kind =
                        if file.kind == FileKind::Pyi { PySourceType::Stub } else { PySourceType::Python };
                    let parsed = ruff_python_parser::parse_unchecked_source(text, kind);
                    (bytes.len() as u64, parsed.tokens().len() as u64)
                })
                .reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
        });
        Ok(FloorReport { files: walked.files.len() as u64, bytes, tokens, duration: started.elapsed() })
    }

    /// Walks and stats as a run does, with what the cache keeps of the last walk; nothing else.
    ///
    /// # Errors
    /// As [`Analyzer::run`].
    pub fn walk_only(config: &Config, paths: &[PathBuf]) -> anyhow::Result<WalkReport> {
        let started = Instant::now();
        let cache = open_cache(config);
        let id = manifest_id(config, &absolute(paths)?);
        let known = cache.is_enabled().then(|| cache.load_listings(&id));
        let walked = walk::walk_known(config.root(), paths, &walk_options(config), known.as_ref())?;
        Ok(WalkReport { files: walked.files.len() as u64, duration: started.elapsed() })
    }
}

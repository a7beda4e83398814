//! The library in one page: a configuration, an observer, a run, its metrics, its graph.
//!
//! ```text
//! cargo run --release --example library -- PATH
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its user")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pydebug::engine::progress::Progress;
use pydebug::{Analyzer, Config, Preset, ProcessingMetrics, ProgressObserver};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Prints a line now and then.
struct Lines;

impl ProgressObserver for Lines {
    fn update(&self, progress: &Progress<'_>) {
        let file = progress.current_file.unwrap_or("-");
        eprintln!(
            "{:>6}  {}/{} files  {file}",
            progress.phase.name(),
            progress.completed_files,
            progress.total_files
        );
    }

    fn interval(&self) -> Option<Duration> {
        Some(Duration::from_millis(250))
    }
}

fn tell(metrics: &ProcessingMetrics) {
    println!("{} of {} files in {:.2} s", metrics.processed_files, metrics.total_files, metrics.duration);
    println!(
        "{:.0} files/s, {:.0}% from the cache",
        metrics.files_per_second, metrics.cache_stats.hit_rate_percent
    );
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = PathBuf::from(std::env::args_os().nth(1).unwrap_or_else(|| "fixtures".into()));
    // Nothing is read but what is given here: no environment, no pyproject.toml. `discover()` and `environment()` add them.
    let config =
        Config::builder(&path).preset(Preset::Performance).project("example").cache_enabled(false).build()?;
    let run = Analyzer::new(config).observer(Arc::new(Lines)).run()?;
    tell(run.metrics());
    let summary = &run.graph().meta().summary;
    for (status, count) in &summary.call_sites {
        println!("call sites {status}: {count}");
    }
    if let Some(worst) = summary.worst.first() {
        println!("most complex: {} ({}) at {}:{}", worst.name, worst.complexity, worst.path, worst.line);
    }
    Ok(())
}

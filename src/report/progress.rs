//! Observers that show progress: a bar for eyes, JSON lines for programs.

use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::escape::{escape, safe_json};
use crate::engine::progress::{Progress, ProgressObserver, StorePhase, StoreProgress};
use crate::sync::locked;

/// A bar on a terminal's stderr. Runs shorter than a blink never draw it.
pub struct BarObserver {
    bar: ProgressBar,
    started: Instant,
    /// How far each store is, as it is shown.
    stores: Mutex<Vec<(String, String)>>,
}

impl BarObserver {
    /// How long a run must last to be worth a bar.
    const PATIENCE: Duration = Duration::from_millis(200);

    /// A bar on stderr; hidden where that is no terminal.
    #[must_use]
    pub fn stderr() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        Self { bar, started: Instant::now(), stores: Mutex::default() }
    }

    fn style(known: bool) -> ProgressStyle {
        let template = if known {
            "{prefix:<11} [{bar:24}] {human_pos}/{human_len} files  {wide_msg}"
        } else {
            "{prefix:<11} {human_pos} files  {wide_msg}"
        };
        ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ")
    }
}

impl ProgressObserver for BarObserver {
    fn update(&self, progress: &Progress<'_>) {
        if self.started.elapsed() < Self::PATIENCE {
            return;
        }
        if self.bar.prefix() != progress.phase.name()
            || self.bar.length().is_some() != (progress.total_files > 0)
        {
            self.bar.set_style(Self::style(progress.total_files > 0));
            self.bar.set_prefix(progress.phase.name());
        }
        if progress.total_files > 0 {
            self.bar.set_length(progress.total_files);
        } else {
            self.bar.unset_length();
        }
        self.bar.set_message(progress.current_file.map(|path| escape(path).into_owned()).unwrap_or_default());
        self.bar.set_position(progress.completed_files);
    }

    fn store(&self, progress: &StoreProgress<'_>) {
        let mut stores = locked(&self.stores);
        tell(&mut stores, progress);
        if self.started.elapsed() < Self::PATIENCE {
            return;
        }
        if self.bar.is_finished() {
            self.bar.reset();
        }
        if self.bar.prefix() != STORES {
            self.bar.set_style(
                ProgressStyle::with_template("{prefix:<11} {wide_msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            self.bar.set_prefix(STORES);
        }
        let shown: Vec<String> = stores.iter().map(|(store, how)| format!("{store} {how}")).collect();
        self.bar.set_message(shown.join(", "));
        self.bar.tick();
    }

    fn interval(&self) -> Option<Duration> {
        (!self.bar.is_hidden()).then_some(Duration::from_millis(100))
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// What stands before the stores.
const STORES: &str = "stores";

/// Notes how far a store is, in words. What it holds already needs none.
fn tell(stores: &mut Vec<(String, String)>, progress: &StoreProgress<'_>) {
    let rows = |count| super::text::thousands(count);
    let how = match (progress.store_phase, progress.total_rows) {
        (StorePhase::Load | StorePhase::Delta, 0) => format!("{} rows", rows(progress.rows_done)),
        (StorePhase::Load | StorePhase::Delta, total) => {
            format!("{}/{} rows", rows(progress.rows_done), rows(total))
        }
        (phase, _) => phase.name().to_owned(),
    };
    match stores.iter_mut().find(|(store, _)| *store == progress.store) {
        Some(known) => known.1 = how,
        None => stores.push((progress.store.to_owned(), how)),
    }
}

/// One JSON object a line, with the reference's keys `current_file`, `completed_files` and `total_files`, and ours.
/// Some twenty lines a second, and one at each start and end of a phase.
pub struct JsonObserver<W> {
    out: Mutex<W>,
    interval: Duration,
}

impl<W: Write + Send> JsonObserver<W> {
    /// An observer that writes to `out`, a whole line at a time. Failures to write are ignored: nobody may be
    /// listening, and the run goes on.
    pub fn new(out: W) -> Self {
        Self { out: Mutex::new(out), interval: Duration::from_millis(50) }
    }
}

impl<W: Write + Send> JsonObserver<W> {
    fn line(&self, event: &impl serde::Serialize) {
        let Ok(line) = serde_json::to_vec(event) else { return };
        let mut line = safe_json(&line).into_owned();
        line.push(b'\n');
        let mut out = locked(&self.out);
        let _ = out.write_all(&line).and_then(|()| out.flush());
    }
}

impl<W: Write + Send> ProgressObserver for JsonObserver<W> {
    fn update(&self, progress: &Progress<'_>) {
        self.line(progress);
    }

    fn store(&self, progress: &StoreProgress<'_>) {
        self.line(progress);
    }

    fn interval(&self) -> Option<Duration> {
        Some(self.interval)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::engine::progress::{Phase, ProgressTracker, StoreTracker};

    #[test]
    fn json_lines() {
        let observer = Arc::new(JsonObserver { out: Mutex::new(Vec::new()), interval: Duration::ZERO });
        let tracker = ProgressTracker::new(observer.clone());
        tracker.start(Phase::Parse, 2, 30);
        tracker.file_done(Path::new("a.py"), 10);
        tracker.end();
        let out = observer.out.lock().expect("a lock").clone();
        insta::assert_snapshot!(String::from_utf8(out).expect("UTF-8"), @r#"
        {"current_file":null,"completed_files":0,"total_files":2,"bytes_done":0,"total_bytes":30,"phase":"parse"}
        {"current_file":"a.py","completed_files":1,"total_files":2,"bytes_done":10,"total_bytes":30,"phase":"parse"}
        {"current_file":null,"completed_files":1,"total_files":2,"bytes_done":10,"total_bytes":30,"phase":"parse"}
        "#);
    }

    #[test]
    fn stores_in_json_lines_and_in_words() {
        let observer = Arc::new(JsonObserver { out: Mutex::new(Vec::new()), interval: Duration::ZERO });
        let tracker = StoreTracker::new(observer.clone());
        let mut load = tracker.start("sqlite", StorePhase::Load, 0);
        tracker.start("neo4j", StorePhase::Delta, 8);
        load.took(1234);
        let out = observer.out.lock().expect("a lock").clone();
        insta::assert_snapshot!(String::from_utf8(out).expect("UTF-8"), @r#"
        {"store":"sqlite","store_phase":"load","rows_done":0,"total_rows":0}
        {"store":"neo4j","store_phase":"delta","rows_done":0,"total_rows":8}
        {"store":"sqlite","store_phase":"load","rows_done":1234,"total_rows":0}
        "#);
        let mut stores = Vec::new();
        for (store, store_phase, rows_done, total_rows) in [
            ("sqlite", StorePhase::Load, 0, 0),
            ("neo4j", StorePhase::Delta, 1, 8),
            ("sqlite", StorePhase::Load, 1234, 0),
            ("postgres", StorePhase::Failed, 0, 0),
        ] {
            tell(&mut stores, &StoreProgress { store, store_phase, rows_done, total_rows });
        }
        let shown: Vec<String> = stores.iter().map(|(store, how)| format!("{store} {how}")).collect();
        assert_eq!(shown, ["sqlite 1,234 rows", "neo4j 1/8 rows", "postgres failed"]);
    }
}

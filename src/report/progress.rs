//! Observers that show progress: a bar for eyes, JSON lines for programs.

use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::escape::{escape, safe_json};
use crate::engine::progress::{Progress, ProgressObserver};
use crate::sync::locked;

/// A bar on a terminal's stderr. Runs shorter than a blink never draw it.
pub struct BarObserver {
    bar: ProgressBar,
    started: Instant,
}

impl BarObserver {
    /// How long a run must last to be worth a bar.
    const PATIENCE: Duration = Duration::from_millis(200);

    /// A bar on stderr; hidden where that is no terminal.
    #[must_use]
    pub fn stderr() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        Self { bar, started: Instant::now() }
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

    fn interval(&self) -> Option<Duration> {
        (!self.bar.is_hidden()).then_some(Duration::from_millis(100))
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
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

impl<W: Write + Send> ProgressObserver for JsonObserver<W> {
    fn update(&self, progress: &Progress<'_>) {
        let Ok(line) = serde_json::to_vec(progress) else { return };
        let mut line = safe_json(&line).into_owned();
        line.push(b'\n');
        let mut out = locked(&self.out);
        let _ = out.write_all(&line).and_then(|()| out.flush());
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
    use crate::engine::progress::{Phase, ProgressTracker};

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
}

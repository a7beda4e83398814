//! Where output goes: stdout, stderr, files. A reader that left early is no error.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;

use crate::report::escape::escape;

/// The streams of a run and whether to colour them.
pub struct Streams<'a> {
    /// For data.
    pub stdout: &'a mut dyn Write,
    /// For everything else.
    pub stderr: &'a mut dyn Write,
    /// Whether stdout shows colours.
    pub stdout_color: bool,
    /// Whether stderr shows colours.
    pub stderr_color: bool,
}

impl Streams<'_> {
    /// Writes to the file, or to stdout where there is none or it is `-`.
    pub(super) fn emit(
        &mut self,
        file: Option<&Path>,
        write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match file.filter(|path| *path != Path::new("-")) {
            Some(path) => to_file(path, write),
            None => {
                let written = write(self.stdout)
                    .and_then(|()| self.stdout.flush().context("cannot write to standard output"));
                written.or_else(|error| if is_broken_pipe(&error) { Ok(()) } else { Err(error) })
            }
        }
    }

    /// Tells about a trouble that did not stop the run.
    pub(super) fn warn(&mut self, message: &str) {
        let style = self.style(AnsiColor::Yellow);
        let _ = writeln!(self.stderr, "{style}warning{style:#}: {}", escape(message));
    }

    /// Tells something about what was written to stdout.
    pub(super) fn note(&mut self, message: &str) {
        let style = self.style(AnsiColor::Cyan);
        let _ = writeln!(self.stderr, "{style}note{style:#}: {}", escape(message));
    }

    /// Tells why the run failed, with the causes.
    pub(super) fn error(&mut self, error: &anyhow::Error) {
        let style = self.style(AnsiColor::Red);
        let _ = writeln!(self.stderr, "{style}error{style:#}: {}", escape(&error.to_string()));
        for cause in error.chain().skip(1) {
            let _ = writeln!(self.stderr, "  caused by: {}", escape(&cause.to_string()));
        }
    }

    fn style(&self, color: AnsiColor) -> Style {
        if self.stderr_color { color.on_default().bold() } else { Style::new() }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// Writes a file whole or not at all. Devices and pipes are written to as they are.
fn to_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let problem = || {
        format!("cannot write `{}`; name a file in a folder that exists and can be written", path.display())
    };
    if path.exists() && !path.is_file() {
        let mut out = BufWriter::new(std::fs::File::create(path).with_context(problem)?);
        write(&mut out)?;
        return out.flush().with_context(problem);
    }
    // A link stays a link: its target is what gets replaced.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".pydebug-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.tempfile_in(folder).with_context(problem)?;
    let mut out = BufWriter::with_capacity(64 << 10, file);
    write(&mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error).with_context(problem)?;
    file.persist(&path).with_context(problem)?;
    Ok(())
}

//! Commands against a host that answers from memory.

use super::*;
use crate::cli::host::Analysis;
use crate::report::data::FileReport;
use crate::report::graphfmt::{EdgeRow, Graph, GraphData, NodeRow};
use crate::report::jsonl::{Record, RecordKind};

/// Finds one file, of this status.
struct Fake {
    status: FileStatus,
    interrupted: bool,
}

struct FakeAnalysis(FileStatus);

impl Analysis for FakeAnalysis {
    fn report(&self) -> anyhow::Result<ReportData> {
        let file = FileReport {
            path: "a.py".to_owned(),
            status: self.0,
            reason: None,
            cached: false,
            parse_errors: Vec::new(),
            lost: Vec::new(),
        };
        Ok(ReportData {
            project: "p".to_owned(),
            warnings: vec!["odd\x1bname".to_owned()],
            files: vec![file],
            ..ReportData::default()
        })
    }

    fn records(&self) -> anyhow::Result<Box<dyn Iterator<Item = Record<'_>> + '_>> {
        Ok(Box::new(std::iter::once(Record::new(RecordKind::File, "a.py", 1, "a"))))
    }

    fn ask(&self, _: &crate::query::Question) -> anyhow::Result<crate::report::answer::Answer> {
        Ok(crate::report::answer::Answer::default())
    }

    fn push(&self, _: &mut [Box<dyn Store>], _: &Recovery, _: &Interrupt) -> Vec<engine::stores::Report> {
        Vec::new()
    }

    fn graph(&self, request: GraphRequest) -> anyhow::Result<Box<dyn Graph + '_>> {
        let node = |id: &str, external| NodeRow {
            id: id.to_owned(),
            label: id.to_owned(),
            kind: "function",
            external,
            source: !external,
            path: None,
            line: None,
        };
        let edge = EdgeRow { source: 0, target: 1, kind: "calls", status: "builtin" };
        let (mut nodes, mut edges) = (vec![node("a", false)], Vec::new());
        if request.external {
            nodes.push(node("<builtin>.print", true));
            edges.push(edge);
        }
        Ok(Box::new(GraphData { nodes, edges }))
    }
}

impl Host for Fake {
    fn stores(&self, _: &Request<'_>, _: StoreRequest, _: &mut [Box<dyn Store>]) -> anyhow::Result<Answer> {
        Ok(Answer::default())
    }

    fn export(&self, _: &Request<'_>, _: &Path) -> anyhow::Result<Answer> {
        Ok(Answer::default())
    }

    fn analyze(&self, request: &Request<'_>) -> anyhow::Result<Box<dyn Analysis>> {
        if self.interrupted {
            request.interrupt.request();
        }
        request.interrupt.check()?;
        Ok(Box::new(FakeAnalysis(self.status)))
    }

    fn cache(&self, config: &Config, request: CacheRequest<'_>) -> anyhow::Result<Answer> {
        match request {
            CacheRequest::Export(out) => out.write_all(b"exported")?,
            CacheRequest::Verify => {
                return Ok(Answer {
                    fields: vec![("damaged_records", 1234.into())],
                    found: true,
                    ..Answer::default()
                });
            }
            CacheRequest::Show(path) => anyhow::bail!("no entry for `{}`", path.display()),
            _ => {}
        }
        Ok(Answer { fields: vec![("max_bytes", config.cache_max_bytes().into())], ..Answer::default() })
    }

    fn bench_floor(&self, _: &Request<'_>) -> anyhow::Result<Answer> {
        Ok(Answer { fields: vec![("wall_seconds", 0.5.into())], ..Answer::default() })
    }

    fn bench_walk(&self, _: &Request<'_>) -> anyhow::Result<Answer> {
        Ok(Answer { fields: vec![("z", 1.into()), ("a", 2.into())], ..Answer::default() })
    }
}

const WHOLE: Fake = Fake { status: FileStatus::Complete, interrupted: false };

struct Ended {
    outcome: Outcome,
    stdout: String,
    stderr: String,
}

fn ended(host: &Fake, arguments: &[&str]) -> Ended {
    let cli = Cli::try_parse_from(["pydebug"].iter().chain(arguments)).expect("a valid command line");
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut streams =
        Streams { stdout: &mut stdout, stderr: &mut stderr, stdout_color: false, stderr_color: false };
    let outcome = run(&cli, host, Vec::new(), &Interrupt::default(), &mut streams);
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ended { outcome, stdout: text(stdout), stderr: text(stderr) }
}

#[test]
fn command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn outcomes() {
    let partial = Fake { status: FileStatus::Partial, ..WHOLE };
    let interrupted = Fake { interrupted: true, ..WHOLE };
    for (host, arguments, outcome, message) in [
        (&WHOLE, &["analyze", "src"][..], Outcome::Done, "warning: odd\\u{1b}name\n"),
        (&WHOLE, &["analyze", "--strict", "src"], Outcome::Done, ""),
        (&partial, &["analyze", "src"], Outcome::Done, ""),
        (&partial, &["analyze", "--strict", "src"], Outcome::Failed, "`--strict` asks for none"),
        (&interrupted, &["analyze", "src"], Outcome::Interrupted, "error: interrupted"),
        (&WHOLE, &["analyze", "nowhere"], Outcome::Failed, "cannot analyze `nowhere`"),
        (
            &WHOLE,
            &["analyze", "-j", "many", "src"],
            Outcome::Failed,
            "flag `--jobs`: `max-workers` cannot be `many`",
        ),
        (&WHOLE, &["cache", "verify", "src"], Outcome::Found, ""),
        (&WHOLE, &["cache", "show", "src/x.py"], Outcome::Failed, "no entry for `src/x.py`"),
    ] {
        let ended = ended(host, arguments);
        assert_eq!(ended.outcome, outcome, "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(message), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn data_goes_to_stdout() {
    for (arguments, expected) in [
        (&["analyze", "-q", "src"][..], ""),
        (
            &["analyze", "--output-format", "jsonl", "src"],
            "{\"kind\":\"file\",\"path\":\"a.py\",\"line\":1,\"qualname\":\"a\"}\n",
        ),
        (&["graph", "calls", "src"], "{\n\"a\": [\"<builtin>.print\"]\n}\n"),
        (&["graph", "calls", "--no-external", "src"], "{\n\"a\": []\n}\n"),
        (&["cache", "verify", "src"], "damaged records  1,234\n"),
        (&["cache", "info", "--format", "json", "src"], "{\n  \"max_bytes\": 1073741824\n}\n"),
        (&["bench-walk", "src"], "{\n  \"z\": 1,\n  \"a\": 2\n}\n"),
    ] {
        assert_eq!(ended(&WHOLE, arguments).stdout, expected, "{arguments:?}");
    }
    let json = ended(&WHOLE, &["analyze", "-q", "--output-format", "json", "src"]).stdout;
    assert_eq!(serde_json::from_str::<Value>(&json).expect("JSON")["files"][0]["path"], "a.py");
}

#[test]
fn files_are_written_whole() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (report, document, metrics, export) = (at("r.txt"), at("r.json"), at("m.json"), at("c.zst"));
    let arguments = ["analyze", "-o", &report, "--json-output", &document, "--metrics-file", &metrics, "src"];
    let first = ended(&WHOLE, &arguments);
    assert_eq!((first.outcome, first.stdout.as_str()), (Outcome::Done, ""));
    let read = |path: &str| std::fs::read_to_string(path).expect("a file");
    assert!(read(&report).starts_with("p  \n"));
    assert!(read(&document).contains("\"schema_version\""));
    assert!(read(&metrics).starts_with("{\n  \"total_files\": 0,\n  \"processed_files\""));
    assert_eq!(ended(&WHOLE, &["cache", "export", &export, "src"]).outcome, Outcome::Done);
    assert_eq!(read(&export), "exported");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 4);
    let missing = ended(&WHOLE, &["analyze", "-o", &at("no/such/r.txt"), "src"]);
    assert_eq!(missing.outcome, Outcome::Failed);
    assert!(missing.stderr.contains("name a file in a folder that exists"), "{}", missing.stderr);
}

/// Takes a few bytes, then says that nobody reads any more.
struct Leaver(usize);

impl Write for Leaver {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn reader_that_leaves_is_no_error() {
    for arguments in [
        &["analyze", "src"][..],
        &["analyze", "--output-format", "json", "src"],
        &["analyze", "--output-format", "jsonl", "src"],
        &["graph", "calls", "src"],
        &["config", "src"],
        &["completions", "bash"],
    ] {
        let cli = Cli::try_parse_from(["pydebug"].iter().chain(arguments)).expect("a valid command line");
        let mut stderr = Vec::new();
        let mut streams = Streams {
            stdout: &mut Leaver(20),
            stderr: &mut stderr,
            stdout_color: false,
            stderr_color: false,
        };
        let outcome = run(&cli, &WHOLE, Vec::new(), &Interrupt::default(), &mut streams);
        assert_eq!(outcome, Outcome::Done, "{arguments:?}");
        assert!(!String::from_utf8_lossy(&stderr).contains("error"), "{arguments:?}");
    }
}

#[test]
fn config_shows_origins() {
    let text = ended(&WHOLE, &["config", "--isolated", "--no-cache", "--preset", "minimal", "src"]).stdout;
    let row = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).expect("a row");
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).take(3).collect::<Vec<_>>()
    };
    assert_eq!(row("cache-enabled"), ["cache-enabled", "false", "flag --no-cache"]);
    assert_eq!(row("chunk-size-kb"), ["chunk-size-kb", "128", "preset minimal"]);
    assert_eq!(row("include"), ["include", "none", "default"]);
    let json = ended(&WHOLE, &["config", "--isolated", "--format", "json", "src"]).stdout;
    let read: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(read["settings"]["gc-threshold"]["value"], 1000);
    assert_eq!(read["settings"]["gc-threshold"]["variable"], "PARSER_GC_THRESHOLD");
    assert_eq!(read["settings"]["max-workers"]["value"], "auto");
    assert_eq!(read["pyproject"], Value::Null);
}

#[test]
fn usage_errors() {
    for arguments in [
        &["analyse"][..],
        &["analyze", "--strategy", "fast"],
        &["graph", "friends"],
        &["analyze", "-q", "-v"],
        &[],
    ] {
        let error = Cli::try_parse_from(["pydebug"].iter().chain(arguments)).expect_err("an error");
        assert_eq!(error.exit_code(), 2, "{arguments:?}");
    }
    for name in ["thread", "thread_based", "PROCESS_BASED", "hybrid", "ADAPTIVE"] {
        let ended = ended(&WHOLE, &["config", "--strategy", name, "src"]);
        assert_eq!(ended.outcome, Outcome::Done, "{}", ended.stderr);
    }
}

//! From arguments to an exit code: makes the configuration, asks the host, hands the answer to the reports.

use std::ffi::OsString;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser as _};
use serde_json::{Map, Value};

use super::host::{Analysis, Answer, CacheRequest, Engine, GraphRequest, Host, Request, StoreRequest};
use super::output::Streams;
use super::stores;
use super::{
    AnalyzeArgs, BenchArgs, CacheArgs, CacheCommand, Cli, ColorMode, Command, ConfigArgs, ConfigFormat,
    GlobalArgs, GraphArgs, OutputFormat, ProgressMode, QueryArgs, SettingArgs, StoreArgs, StoreCommand,
    StoreCommandArgs, WorkerArgs,
};
use crate::config::{self, Config, Key};
use crate::engine::Budget;
use crate::engine::progress::{Interrupt, Interrupted, NullObserver, ProgressObserver};
use crate::engine::recovery::Recovery;
use crate::engine::{self, WorkerOptions};
use crate::report::answer::AnswerFormat;
use crate::report::data::{FileStatus, ReportData};
use crate::report::escape::escape;
use crate::report::graphfmt::{self, GraphFormat};
use crate::report::progress::{BarObserver, JsonObserver};
use crate::report::{json, jsonl, text};
use crate::store::Store;
use crate::store::address::{self, Variables};
use crate::store::neo4j::Neo4j;
use crate::store::postgres::{self, Postgres};
use crate::store::sqlite::Sqlite;

/// How a run ended, as the process says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done = 0,
    /// Done, and a check found something.
    Found = 1,
    /// Not done.
    Failed = 2,
    /// Interrupted.
    Interrupted = 130,
}

/// The whole program but for its allocator.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Command::Worker(args) = &cli.command {
        return worker(args);
    }
    let color = |terminal: anstream::ColorChoice| match cli.global.color {
        ColorMode::Auto => terminal != anstream::ColorChoice::Never,
        ColorMode::Always => true,
        ColorMode::Never => false,
    };
    let stdout_color = color(anstream::AutoStream::choice(&io::stdout()));
    let stderr_color = color(anstream::AutoStream::choice(&io::stderr()));
    let mut stdout = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    let mut stderr = io::stderr();
    let mut streams = Streams { stdout: &mut stdout, stderr: &mut stderr, stdout_color, stderr_color };
    let interrupt = Interrupt::default();
    let started = log(&cli.global, stderr_color).and_then(|()| watch(&cli.command, &interrupt));
    let outcome = match started {
        Ok(()) => run(&cli, &Engine, std::env::vars_os(), &interrupt, &mut streams),
        Err(error) => {
            streams.error(&error);
            Outcome::Failed
        }
    };
    // Dropping the writer would try again what a reader that left has refused.
    let _ = stdout.into_parts();
    ExitCode::from(outcome as u8)
}

/// What a child process runs. Its standard error goes nowhere; that it failed is in the exit code.
fn worker(args: &WorkerArgs) -> ExitCode {
    let WorkerArgs { parent, memory, gc_threshold, scratch, deep } = args.clone();
    let served = engine::serve(WorkerOptions { parent, memory, gc_threshold, scratch, deep });
    if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(Outcome::Failed as u8) }
}

/// Starts logging where somebody asked for it; building the filter takes longer than a small run.
fn log(global: &GlobalArgs, color: bool) -> anyhow::Result<()> {
    let filter = std::env::var("PYDEBUG_LOG").ok().filter(|filter| !filter.is_empty());
    if global.verbose == 0 && filter.is_none() {
        return Ok(());
    }
    let builder = tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(color).with_target(false);
    match filter {
        Some(filter) => {
            let filter = tracing_subscriber::EnvFilter::try_new(&filter)
                .context("`PYDEBUG_LOG` is no log filter; write something like `pydebug=debug`")?;
            builder.with_env_filter(filter).init();
        }
        None => {
            let level = match global.verbose {
                1 => tracing::Level::INFO,
                2 => tracing::Level::DEBUG,
                _ => tracing::Level::TRACE,
            };
            builder.with_max_level(level).init();
        }
    }
    Ok(())
}

/// Turns Ctrl-C into a request to stop; the second one stops at once.
fn watch(command: &Command, interrupt: &Interrupt) -> anyhow::Result<()> {
    if matches!(command, Command::Config(_) | Command::Completions(_) | Command::Worker(_)) {
        return Ok(());
    }
    let interrupt = interrupt.clone();
    let handler = move || {
        if interrupt.request() {
            std::process::exit(Outcome::Interrupted as i32);
        }
    };
    match ctrlc::set_handler(handler) {
        // Where threads are not to be had a signal ends the process at once; the cache survives that too.
        Err(ctrlc::Error::System(error)) => {
            crate::sys::die_of_interrupts();
            tracing::warn!(
                "interrupts end the run at once, for no thread can be started to watch for them: {error}"
            );
            Ok(())
        }
        other => other.context("cannot watch for interrupts"),
    }
}

/// Runs a command against a host. Everything that it needs from the outside is an argument.
pub fn run(
    cli: &Cli,
    host: &dyn Host,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    interrupt: &Interrupt,
    streams: &mut Streams<'_>,
) -> Outcome {
    let mut session = Session {
        global: &cli.global,
        host,
        environment: environment.into_iter().collect(),
        interrupt,
        streams,
    };
    let result = match &cli.command {
        Command::Analyze(args) => session.analyze(args),
        Command::Graph(args) => session.graph(args),
        Command::Query(args) => session.query(args),
        Command::Store(args) => session.store(args),
        Command::Cache(args) => session.cache(args),
        Command::Config(args) => session.config(args),
        Command::Completions(args) => {
            // The generator panics when it cannot write.
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "pydebug", &mut script);
            session.streams.emit(None, |out| Ok(out.write_all(&script)?)).map(|()| Outcome::Done)
        }
        Command::BenchFloor(args) => session.bench(args, |request| host.bench_floor(request)),
        Command::BenchWalk(args) => session.bench(args, |request| host.bench_walk(request)),
        Command::Worker(_) => Err(anyhow::anyhow!("`worker` is for child processes of a run; use `analyze`")),
    };
    result.unwrap_or_else(|error| {
        session.streams.error(&error);
        match error.is::<Interrupted>() {
            true => Outcome::Interrupted,
            false => Outcome::Failed,
        }
    })
}

struct Session<'a, 's> {
    global: &'a GlobalArgs,
    host: &'a dyn Host,
    environment: Vec<(OsString, OsString)>,
    interrupt: &'a Interrupt,
    streams: &'a mut Streams<'s>,
}

impl Session<'_, '_> {
    fn settle(&mut self, paths: &[PathBuf], settings: &SettingArgs) -> anyhow::Result<Config> {
        let root = config::common_root(paths)?;
        let mut builder = Config::builder(root).environment(self.environment.iter().cloned());
        if !settings.isolated {
            builder = builder.discover();
        }
        let texts = [
            (Key::MaxWorkers, &settings.jobs, "--jobs"),
            (Key::Preset, &settings.preset, "--preset"),
            (Key::Strategy, &settings.strategy, "--strategy"),
            (Key::Calls, &settings.calls, "--calls"),
            (Key::Chunking, &settings.chunking, "--chunking"),
            (Key::ChunkSize, &settings.chunk_size_kb, "--chunk-size-kb"),
            (Key::Project, &settings.project, "--project"),
        ];
        for (key, value, flag) in texts {
            if let Some(value) = value {
                builder = builder.flag(key, value.as_str(), flag);
            }
        }
        if let Some(folder) = &settings.cache_dir {
            let folder = folder.to_str().context("`--cache-dir` is not UTF-8; name another folder")?;
            builder = builder.flag(Key::CacheDir, folder, "--cache-dir");
        }
        if settings.no_cache {
            builder = builder.flag(Key::CacheEnabled, false, "--no-cache");
        }
        let lists =
            [(Key::Exclude, &settings.exclude, "--exclude"), (Key::Include, &settings.include, "--include")];
        for (key, patterns, flag) in lists {
            if !patterns.is_empty() {
                builder = builder.flag(key, patterns.clone(), flag);
            }
        }
        Ok(builder.build()?)
    }

    fn observer(&self, mode: ProgressMode) -> Arc<dyn ProgressObserver> {
        match mode {
            ProgressMode::Json => Arc::new(JsonObserver::new(io::stderr())),
            // Log lines and a bar would overwrite each other.
            ProgressMode::Auto
                if !self.global.quiet && self.global.verbose == 0 && io::stderr().is_terminal() =>
            {
                Arc::new(BarObserver::stderr())
            }
            ProgressMode::Auto | ProgressMode::None => Arc::new(NullObserver),
        }
    }

    fn request<'r>(
        &self,
        config: &'r Config,
        paths: &'r [PathBuf],
        mode: ProgressMode,
        settings: &SettingArgs,
    ) -> Request<'r> {
        let program = settings.worker_program.clone().or_else(|| std::env::current_exe().ok());
        Request {
            config,
            paths,
            observer: self.observer(mode),
            interrupt: self.interrupt.clone(),
            report_only: false,
            worker_program: program,
        }
    }

    /// The stores that flags and environment name.
    fn stores(&mut self, args: &StoreArgs, config: &Config) -> anyhow::Result<Vec<Box<dyn Store>>> {
        let mut stores: Vec<Box<dyn Store>> = Vec::new();
        if let Some(path) = &args.sqlite {
            stores.push(Box::new(Sqlite::new(path)));
        }
        let variables: Variables = self
            .environment
            .iter()
            .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value.to_str()?.to_owned())))
            .collect();
        let of = |flag: &Option<String>, variable: &str| {
            flag.clone().or_else(|| variables.get(variable).filter(|value| !value.is_empty()).cloned())
        };
        let mut in_argument = false;
        if let Some(url) = of(&args.postgres, "PYDEBUG_POSTGRES_URL") {
            let address =
                address::postgres(&url, &variables).context("the address of PostgreSQL can't be used")?;
            in_argument |= args.postgres.is_some() && address.password_in_url;
            stores.push(Box::new(Postgres::new(address)));
        }
        if let Some(url) = of(&args.neo4j, "PYDEBUG_NEO4J_URI") {
            let address = address::neo4j(&url, &variables).context("the address of Neo4j can't be used")?;
            in_argument |= args.neo4j.is_some() && address.password_in_url;
            stores.push(Box::new(Neo4j::new(address)));
        }
        if in_argument {
            self.streams.warn(
                "a password in an argument can be seen by every user of this machine; give it by PGPASSWORD, PYDEBUG_NEO4J_PASSWORD or a password file",
            );
        }
        if !stores.is_empty() {
            stores::check_project(config.project())?;
        }
        Ok(stores)
    }

    /// Brings stores to the graph of `analysis`.
    fn push(
        &mut self,
        analysis: &dyn Analysis,
        stores: &mut [Box<dyn Store>],
        recovery: &Recovery,
    ) -> anyhow::Result<Vec<engine::stores::Report>> {
        if stores.is_empty() {
            return Ok(Vec::new());
        }
        let reports = analysis.push(stores, recovery, self.interrupt);
        self.interrupt.check()?;
        for report in &reports {
            if let Some(error) = &report.error {
                self.streams.error(&anyhow::anyhow!("{} at `{}`: {error}", report.store, report.place));
            }
        }
        Ok(reports)
    }

    fn analyze(&mut self, args: &AnalyzeArgs) -> anyhow::Result<Outcome> {
        let config = self.settle(&args.paths, &args.settings)?;
        let mut stores = self.stores(&args.stores, &config)?;
        let report_only = args.output_format != OutputFormat::Jsonl && stores.is_empty();
        let request =
            Request { report_only, ..self.request(&config, &args.paths, args.progress, &args.settings) };
        let analysis = self.host.analyze(&request);
        // The bar is gone before anything is printed.
        request.observer.finish();
        let analysis = analysis?;
        let mut report = analysis.report()?;
        let recovery = Recovery::default();
        report.stores = self.push(&*analysis, &mut stores, &recovery)?;
        for event in recovery.report().0 {
            report.metrics.recovery.count(event.kind.name(), event.decision.name());
            report.recovery.push(event);
        }
        for warning in &report.warnings {
            self.streams.warn(warning);
        }
        if let Some(path) = &args.metrics_file {
            self.streams.emit(Some(path), |out| Ok(json::write(&report.metrics, out)?))?;
        }
        if let Some(path) = &args.json_output {
            self.streams.emit(Some(path), |out| Ok(json::write(&report, out)?))?;
        }
        let color = match &args.output {
            None => self.streams.stdout_color,
            Some(_) => self.global.color == ColorMode::Always,
        };
        let options = text::Options { color, all: self.global.verbose > 0 };
        let readable = matches!(args.output_format, OutputFormat::Full | OutputFormat::Concise);
        let silent = self.global.quiet && readable && args.output.is_none();
        if silent || !readable || args.output.is_some() {
            self.tell_troubles(&report);
        }
        if !silent {
            self.streams.emit(args.output.as_deref(), |out| {
                match args.output_format {
                    OutputFormat::Full => text::full(&report, options, out)?,
                    OutputFormat::Concise => text::concise(&report, options, out)?,
                    OutputFormat::Json => json::write(&report, out)?,
                    OutputFormat::Jsonl => jsonl::write(analysis.records()?, out)?,
                }
                Ok(())
            })?;
        }
        if report.stores.iter().any(|store| store.error.is_some()) {
            anyhow::bail!(NOT_SENT);
        }
        if args.strict && !report.is_clean() {
            anyhow::bail!("some files have syntax errors or are skipped, and `--strict` asks for none");
        }
        if args.strict && report.is_degraded() {
            anyhow::bail!("the run degraded, as its warnings say, and `--strict` asks for a whole one");
        }
        Ok(Outcome::Done)
    }

    /// One line about files that are not whole, where the report that lists them is elsewhere.
    fn tell_troubles(&mut self, report: &ReportData) {
        let skipped = report.files_of(FileStatus::Skipped).count();
        let broken = report.files.iter().filter(|file| !file.parse_errors.is_empty()).count();
        if skipped + broken > 0 {
            self.streams.warn(&format!(
                "files skipped: {skipped}, with syntax errors: {broken}; `--output-format concise` lists them"
            ));
        }
    }

    fn graph(&mut self, args: &GraphArgs) -> anyhow::Result<Outcome> {
        let config = self.settle(&args.paths, &args.settings)?;
        let request = self.request(&config, &args.paths, args.progress, &args.settings);
        let analysis = self.host.analyze(&request);
        request.observer.finish();
        let analysis = analysis?;
        let graph = analysis.graph(GraphRequest {
            kind: args.kind,
            candidates: args.candidates,
            external: !args.no_external,
        })?;
        if args.format == GraphFormat::Mermaid && graph.edge_count() > graphfmt::MERMAID_EDGES {
            self.streams.warn(&format!(
                "{} edges; Mermaid draws {} unless its `maxEdges` is raised: analyze fewer files or write dot",
                graph.edge_count(),
                graphfmt::MERMAID_EDGES
            ));
        }
        self.streams.emit(args.output.as_deref(), |out| Ok(graphfmt::write(&*graph, args.format, out)?))?;
        Ok(Outcome::Done)
    }

    fn query(&mut self, args: &QueryArgs) -> anyhow::Result<Outcome> {
        let (question, target) = args.question.parts();
        let paths = std::slice::from_ref(&target.tree);
        let config = self.settle(paths, &target.settings)?;
        let request =
            Request { report_only: true, ..self.request(&config, paths, target.progress, &target.settings) };
        let analysis = self.host.analyze(&request);
        request.observer.finish();
        let answer = analysis?.ask(&question)?;
        self.streams.emit(target.output.as_deref(), |out| match target.format {
            AnswerFormat::Text => Ok(answer.text(out)?),
            AnswerFormat::Json => Ok(answer.json(out)?),
            AnswerFormat::Dot => Ok(graphfmt::write(&answer.graph(), GraphFormat::Dot, out)?),
            AnswerFormat::Mermaid => Ok(graphfmt::write(&answer.graph(), GraphFormat::Mermaid, out)?),
        })?;
        if target.format != AnswerFormat::Json && !self.global.quiet {
            answer.notes.iter().for_each(|note| self.streams.note(note));
        }
        Ok(Outcome::Done)
    }

    fn store(&mut self, args: &StoreCommandArgs) -> anyhow::Result<Outcome> {
        let target = args.command.target();
        if let StoreCommand::Init { print_sql: true, .. } = &args.command {
            self.streams.emit(None, |out| Ok(out.write_all(postgres::schema_sql().as_bytes())?))?;
            return Ok(Outcome::Done);
        }
        let config = self.settle(&target.paths, &target.settings)?;
        if let StoreCommand::Export { neo4j_import, .. } = &args.command {
            stores::check_project(config.project())?;
            let request = self.request(&config, &target.paths, ProgressMode::None, &target.settings);
            let answer = self.host.export(&request, neo4j_import)?;
            if !self.global.quiet {
                self.answer(&answer, target.format)?;
            }
            return Ok(Outcome::Done);
        }
        let mut stores = self.stores(&target.stores, &config)?;
        anyhow::ensure!(
            !stores.is_empty(),
            "no store is named; give `--sqlite FILE`, `--postgres URL` or `--neo4j URL`, or set PYDEBUG_POSTGRES_URL or PYDEBUG_NEO4J_URI"
        );
        let request = self.request(&config, &target.paths, target.progress, &target.settings);
        let command = match &args.command {
            StoreCommand::Init { .. } => StoreRequest::Init,
            StoreCommand::Status { .. } => StoreRequest::Status,
            StoreCommand::Verify { .. } => StoreRequest::Verify,
            // Both were done with above where that can be.
            StoreCommand::Gc { .. } | StoreCommand::Export { .. } => StoreRequest::Gc,
            StoreCommand::Push { .. } => {
                let analysis = self.host.analyze(&request);
                request.observer.finish();
                let reports = self.push(&*analysis?, &mut stores, &Recovery::default())?;
                let fields = reports.iter().map(|report| Ok((report.store, serde_json::to_value(report)?)));
                let answer = Answer { fields: fields.collect::<anyhow::Result<_>>()?, ..Answer::default() };
                if !self.global.quiet {
                    self.answer(&answer, target.format)?;
                }
                anyhow::ensure!(reports.iter().all(|report| report.error.is_none()), NOT_SENT);
                return Ok(Outcome::Done);
            }
        };
        let answer = self.host.stores(&request, command, &mut stores)?;
        if !self.global.quiet || command == StoreRequest::Status {
            self.answer(&answer, target.format)?;
        }
        Ok(if answer.found { Outcome::Found } else { Outcome::Done })
    }

    fn cache(&mut self, args: &CacheArgs) -> anyhow::Result<Outcome> {
        let target = args.command.target();
        let config = self.settle(target.root.as_slice(), &target.settings)?;
        let host = self.host;
        let mut format = target.format;
        let answer = match &args.command {
            CacheCommand::Info { .. } => host.cache(&config, CacheRequest::Info)?,
            CacheCommand::Clean { .. } => host.cache(&config, CacheRequest::Clean)?,
            CacheCommand::Gc { .. } => host.cache(&config, CacheRequest::Gc)?,
            CacheCommand::Verify { .. } => host.cache(&config, CacheRequest::Verify)?,
            CacheCommand::Export { file, .. } => {
                let mut answer = Answer::default();
                let to_stdout = file == Path::new("-");
                if to_stdout && io::stdout().is_terminal() {
                    anyhow::bail!("an export is binary and would garble the terminal; name a file");
                }
                self.streams.emit(Some(file), |mut out| {
                    answer = host.cache(&config, CacheRequest::Export(&mut out))?;
                    Ok(())
                })?;
                if to_stdout {
                    return Ok(Outcome::Done);
                }
                answer
            }
            CacheCommand::Import { file, .. } if file == Path::new("-") => {
                host.cache(&config, CacheRequest::Import(&mut io::stdin().lock()))?
            }
            CacheCommand::Import { file, .. } => {
                let mut input = std::fs::File::open(file)
                    .with_context(|| format!("cannot read `{}`; name an exported file", file.display()))?;
                host.cache(&config, CacheRequest::Import(&mut input))?
            }
            CacheCommand::Show { file, .. } => {
                format = ConfigFormat::Json;
                host.cache(&config, CacheRequest::Show(file))?
            }
        };
        let shown = !self.global.quiet || matches!(args.command, CacheCommand::Show { .. });
        if shown {
            self.answer(&answer, format)?;
        }
        Ok(if answer.found { Outcome::Found } else { Outcome::Done })
    }

    fn answer(&mut self, answer: &Answer, format: ConfigFormat) -> anyhow::Result<()> {
        self.streams.emit(None, |out| {
            if format == ConfigFormat::Json {
                return Ok(json::write(&Ordered(&answer.fields), out)?);
            }
            let width = answer.fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
            for (name, value) in &answer.fields {
                let shown = match value {
                    Value::Array(items) if !items.is_empty() => {
                        let lines: Vec<_> =
                            items.iter().map(|item| escape(item.as_str().unwrap_or_default())).collect();
                        lines.join(&format!("\n{:width$}  ", ""))
                    }
                    Value::Object(fields) => {
                        let fields = || {
                            fields.iter().filter(|(_, value)| answer.table.is_empty() || !value.is_object())
                        };
                        let inner = fields().map(|(name, _)| name.len()).max().unwrap_or(0);
                        let lines: Vec<_> = fields()
                            .map(|(name, value)| {
                                format!("{:<inner$}  {}", name.replace('_', " "), scalar(value))
                            })
                            .collect();
                        lines.join(&format!("\n{:width$}  ", ""))
                    }
                    other => scalar(other),
                };
                writeln!(out, "{:<width$}  {shown}", name.replace('_', " "))?;
            }
            table(&answer.table, out)
        })
    }

    fn config(&mut self, args: &ConfigArgs) -> anyhow::Result<Outcome> {
        let config = self.settle(&args.paths, &args.settings)?;
        self.streams.emit(None, |out| match args.format {
            ConfigFormat::Json => Ok(json::write(&config_json(&config), out)?),
            ConfigFormat::Text => Ok(config_text(&config, out)?),
        })?;
        Ok(Outcome::Done)
    }

    fn bench(
        &mut self,
        args: &BenchArgs,
        measure: impl FnOnce(&Request<'_>) -> anyhow::Result<Answer>,
    ) -> anyhow::Result<Outcome> {
        let config = self.settle(&args.paths, &args.settings)?;
        let answer = measure(&self.request(&config, &args.paths, ProgressMode::None, &args.settings))?;
        self.answer(&answer, ConfigFormat::Json)?;
        Ok(Outcome::Done)
    }
}

/// What is said where a store could not be written.
const NOT_SENT: &str = "a store was not written; the analysis is kept, `pydebug store push` sends it later";

/// Rows of equal length in columns, below an empty line; numbers are at the right of theirs.
fn table(rows: &[Vec<String>], out: &mut dyn Write) -> anyhow::Result<()> {
    let Some(headings) = rows.first() else { return Ok(()) };
    let is_number = |cell: &str| cell.bytes().all(|byte| byte.is_ascii_digit() || byte == b',');
    let columns: Vec<(usize, bool)> = (0..headings.len())
        .map(|at| {
            let cells = || rows.iter().map(|row| escape(&row[at]));
            let width = cells().map(|cell| cell.chars().count()).max().unwrap_or(0);
            (width, cells().skip(1).all(|cell| is_number(&cell)))
        })
        .collect();
    writeln!(out)?;
    for row in rows {
        let mut line = String::new();
        for (cell, &(width, right)) in row.iter().map(|cell| escape(cell)).zip(&columns) {
            let space = " ".repeat(width - cell.chars().count());
            let (before, after) = if right { (space, String::new()) } else { (String::new(), space) };
            line += &format!("{before}{cell}{after}  ");
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A value within an answer, on one line or on several.
fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Number(number) if number.is_u64() => text::thousands(number.as_u64().unwrap_or(0)),
        Value::String(text) => escape(text).into_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => {
            items.iter().map(|item| format!("\n    {}", escape(item.as_str().unwrap_or_default()))).collect()
        }
        other => escape(&other.to_string()).into_owned(),
    }
}

/// Named values as a JSON object in their own order.
struct Ordered<'a>(&'a [(&'static str, Value)]);

impl serde::Serialize for Ordered<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

fn config_json(config: &Config) -> Value {
    let mut settings: Map<String, Value> = config
        .rows()
        .into_iter()
        .map(|row| (row.name.to_owned(), serde_json::to_value(&row).unwrap_or_default()))
        .collect();
    if let Some(row) = settings.get_mut(Key::MaxMemory.name()) {
        let Budget { bytes, source } = Budget::of(config);
        row["effective"] = serde_json::json!({ "mb": bytes >> 20, "source": source });
    }
    serde_json::json!({
        "root": config.root().to_string_lossy(),
        "pyproject": config.pyproject().map(Path::to_string_lossy),
        "settings": settings,
    })
}

fn config_text(config: &Config, mut out: impl Write) -> io::Result<()> {
    writeln!(out, "root       {}", escape(&config.root().to_string_lossy()))?;
    let file = config.pyproject().map_or("none".into(), Path::to_string_lossy);
    writeln!(out, "pyproject  {}\n", escape(&file))?;
    let mut rows = vec![["setting", "value", "from", "what it does"].map(str::to_owned)];
    for key in Key::all() {
        let mut shown = config.display(key);
        let mut origin = config.origin(key).to_string();
        if key == Key::MaxMemory && config.max_memory_bytes().is_none() {
            let Budget { bytes, source } = Budget::of(config);
            shown = format!("{shown} ({})", bytes >> 20);
            if source != origin {
                origin = format!("{origin}: {source}");
            }
        }
        rows.push([
            key.name().to_owned(),
            escape(&shown).into_owned(),
            escape(&origin).into_owned(),
            key.description().to_owned(),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (names, values, origins) = (width(0), width(1), width(2));
    for [name, value, origin, description] in &rows {
        writeln!(out, "{name:<names$}  {value:<values$}  {origin:<origins$}  {description}")?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;

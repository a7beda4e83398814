//! The seam between the command line and the engine. The command line knows these signatures and no more.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::GraphKind;
use crate::config::Config;
use crate::engine::progress::{Interrupt, ProgressObserver};
use crate::engine::recovery::Recovery;
use crate::engine::stores;
use crate::engine::{Analyzer, Run};
use crate::query::{self, GraphQuery, Question};
use crate::report::answer::Answer as AnswerData;
use crate::report::data::ReportData;
use crate::report::graphfmt::Graph;
use crate::report::jsonl::Record;
use crate::store::Store;

/// What a run is given.
#[derive(Clone)]
pub struct Request<'a> {
    /// The settings; [`Config::root`] is the analyzed root.
    pub config: &'a Config,
    /// The paths as typed; none means the root.
    pub paths: &'a [PathBuf],
    /// Whoever wants to know how far the run is.
    pub observer: Arc<dyn ProgressObserver>,
    /// Asks the run to stop; it then fails with [`Interrupted`](crate::engine::progress::Interrupted).
    pub interrupt: Interrupt,
    /// Whether [`Analysis::report`] is the only view that will be asked for.
    pub report_only: bool,
    /// The program whose `worker` command child processes run.
    pub worker_program: Option<PathBuf>,
}

/// Which graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraphRequest {
    /// Which edges.
    pub kind: GraphKind,
    /// Whether candidates by name alone are edges too.
    pub candidates: bool,
    /// Whether nodes outside the project are wanted.
    pub external: bool,
}

/// A finished run. Each view is built when asked for.
pub trait Analysis {
    /// The report.
    ///
    /// # Errors
    ///
    /// Where the graph cannot be read back.
    fn report(&self) -> anyhow::Result<ReportData>;

    /// The graph's rows, by path and line.
    ///
    /// # Errors
    ///
    /// Where the graph cannot be read back.
    fn records(&self) -> anyhow::Result<Box<dyn Iterator<Item = Record<'_>> + '_>>;

    /// Nodes and edges.
    ///
    /// # Errors
    ///
    /// Where the graph cannot be read back.
    fn graph(&self, request: GraphRequest) -> anyhow::Result<Box<dyn Graph + '_>>;

    /// The answer to a question.
    ///
    /// # Errors
    ///
    /// Where it is about no symbol of the graph, or about several.
    fn ask(&self, question: &Question) -> anyhow::Result<AnswerData>;

    /// Brings stores to the graph. What became of each is in its report.
    fn push(
        &self,
        stores: &mut [Box<dyn Store>],
        recovery: &Recovery,
        interrupt: &Interrupt,
    ) -> Vec<stores::Report>;
}

/// What to do with stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreRequest {
    /// Make the schema.
    Init,
    /// Say which graph each holds.
    Status,
    /// Compare what they hold with the last graph of the tree.
    Verify,
    /// Remove what no reader sees.
    Gc,
}

/// What to do with a cache.
pub enum CacheRequest<'a> {
    /// Say where it is, its size and what it holds.
    Info,
    /// Remove it.
    Clean,
    /// Remove what is unused, compact the rest.
    Gc,
    /// Check every record.
    Verify,
    /// Write all entries as JSON lines in zstd.
    Export(&'a mut dyn Write),
    /// Add the entries of such a stream.
    Import(&'a mut dyn Read),
    /// Find the entry of a source file.
    Show(&'a Path),
}

/// An answer as named values, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// Names in snake case and values.
    pub fields: Vec<(&'static str, Value)>,
    /// Whether a check found something: the process then exits with 1.
    pub found: bool,
    /// What people are shown, below a line of headings, in place of those values that hold values in turn.
    pub table: Vec<Vec<String>>,
}

/// What the command line asks of the engine.
pub trait Host {
    /// Reads a tree, through the cache, to a graph.
    ///
    /// # Errors
    ///
    /// [`Interrupted`](crate::engine::progress::Interrupted), or whatever kept the whole run from being done. A
    /// file's trouble is no error.
    fn analyze(&self, request: &Request<'_>) -> anyhow::Result<Box<dyn Analysis>>;

    /// Looks after a cache.
    ///
    /// # Errors
    ///
    /// Where that could not be done.
    fn cache(&self, config: &Config, request: CacheRequest<'_>) -> anyhow::Result<Answer>;

    /// Looks after stores.
    ///
    /// # Errors
    ///
    /// Where that could not be done.
    fn stores(
        &self,
        request: &Request<'_>,
        command: StoreRequest,
        stores: &mut [Box<dyn Store>],
    ) -> anyhow::Result<Answer>;

    /// Writes the last graph of a tree to the folder `to`, as files that Neo4j imports.
    ///
    /// # Errors
    ///
    /// Where that could not be done.
    fn export(&self, request: &Request<'_>, to: &Path) -> anyhow::Result<Answer>;

    /// Walks, reads, checks UTF-8, parses and drops; nothing else.
    ///
    /// # Errors
    ///
    /// Where that could not be done.
    fn bench_floor(&self, request: &Request<'_>) -> anyhow::Result<Answer>;

    /// Walks and stats; nothing else.
    ///
    /// # Errors
    ///
    /// Where that could not be done.
    fn bench_walk(&self, request: &Request<'_>) -> anyhow::Result<Answer>;
}

/// The engine of this program.
#[derive(Debug, Clone, Copy, Default)]
pub struct Engine;

impl Host for Engine {
    fn analyze(&self, request: &Request<'_>) -> anyhow::Result<Box<dyn Analysis>> {
        let mut analyzer = Analyzer::new(request.config.clone());
        if let Some(program) = &request.worker_program {
            analyzer = analyzer.worker_program(program);
        }
        let run = analyzer
            .paths(request.paths.iter().cloned())
            .observer(Arc::clone(&request.observer))
            .interrupt(request.interrupt.clone())
            .totals_only(request.report_only)
            .run()?;
        Ok(Box::new(run))
    }

    fn cache(&self, config: &Config, request: CacheRequest<'_>) -> anyhow::Result<Answer> {
        super::maintenance::answer(config, request)
    }

    fn stores(
        &self,
        request: &Request<'_>,
        command: StoreRequest,
        stores: &mut [Box<dyn Store>],
    ) -> anyhow::Result<Answer> {
        super::stores::answer(request, command, stores)
    }

    fn export(&self, request: &Request<'_>, to: &Path) -> anyhow::Result<Answer> {
        super::stores::export(request, to)
    }

    fn bench_floor(&self, request: &Request<'_>) -> anyhow::Result<Answer> {
        let report = Analyzer::floor(request.config, request.paths)?;
        let fields = vec![
            ("files", report.files.into()),
            ("bytes", report.bytes.into()),
            ("tokens", report.tokens.into()),
            ("seconds", report.duration.as_secs_f64().into()),
        ];
        Ok(Answer { fields, ..Answer::default() })
    }

    fn bench_walk(&self, request: &Request<'_>) -> anyhow::Result<Answer> {
        let report = Analyzer::walk_only(request.config, request.paths)?;
        let fields = vec![("files", report.files.into()), ("seconds", report.duration.as_secs_f64().into())];
        Ok(Answer { fields, ..Answer::default() })
    }
}

impl Analysis for Run {
    fn report(&self) -> anyhow::Result<ReportData> {
        Ok(query::report(self))
    }

    fn records(&self) -> anyhow::Result<Box<dyn Iterator<Item = Record<'_>> + '_>> {
        Ok(Box::new(query::records(self.graph())))
    }

    fn graph(&self, request: GraphRequest) -> anyhow::Result<Box<dyn Graph + '_>> {
        let kind = match request.kind {
            GraphKind::Calls => GraphQuery::Calls { candidates: request.candidates },
            GraphKind::Imports => GraphQuery::Imports,
            GraphKind::Inherits => GraphQuery::Inherits,
        };
        Ok(Box::new(query::graph(Run::graph(self), kind, request.external, self.scratch())))
    }

    fn ask(&self, question: &Question) -> anyhow::Result<AnswerData> {
        Ok(query::ask(Run::graph(self), question)?)
    }

    fn push(
        &self,
        stores: &mut [Box<dyn Store>],
        recovery: &Recovery,
        interrupt: &Interrupt,
    ) -> Vec<stores::Report> {
        Run::push(self, stores, recovery, interrupt)
    }
}

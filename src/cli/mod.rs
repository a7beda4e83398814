//! The command line, as typed. The structs here hold arguments and nothing else; what they lead to is in [`run`],
//! what they stand for in [`Config`](crate::config::Config).

mod analyze;
mod bench;
mod cache;
mod completions;
mod config;
mod graph;
pub mod host;
mod maintenance;
mod output;
mod query;
pub mod run;
mod shared;
mod store;
mod stores;
mod worker;

pub use analyze::{AnalyzeArgs, OutputFormat, ProgressMode};
pub use bench::BenchArgs;
pub use cache::{CacheArgs, CacheCommand, CacheTarget};
pub use completions::CompletionsArgs;
pub use config::{ConfigArgs, ConfigFormat};
pub use graph::{GraphArgs, GraphKind};
pub use query::{QueryArgs, QueryCommand, QueryTarget};
pub use run::main;
pub use shared::{ColorMode, GlobalArgs, SettingArgs};
pub use store::{StoreArgs, StoreCommand, StoreCommandArgs, StoreTarget};
pub use worker::WorkerArgs;

const EXIT_CODES: &str = "\
Exit codes:
  0    done; syntax errors and skipped files are warnings
  1    a check found something (`cache verify`: damaged records; `store verify`: other rows)
  2    the command line or configuration is wrong, or what was asked could not be done;
       (also a store that could not be written: the analysis itself is kept);
       with --strict, also a file with a syntax error or a skipped one, or a run that degraded
  130  interrupted; what was finished is kept

Environment:
  PARSER_*     settings, listed by `pydebug config`
  PYDEBUG_LOG  log filter, such as `pydebug=debug`
  NO_COLOR     no colours";

/// The fast, trustworthy code graph for Python.
#[derive(Debug, clap::Parser)]
#[command(name = "pydebug", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub global: GlobalArgs,
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Read a Python tree and summarize its code graph
    #[command(after_help = EXIT_CODES)]
    Analyze(Box<AnalyzeArgs>),
    /// Write the calls, imports or inheritance of a Python tree
    Graph(Box<GraphArgs>),
    /// Ask the graph about symbols: callers, imports, what a change may break
    Query(Box<QueryArgs>),
    /// Look after the databases that hold the graph
    Store(Box<StoreCommandArgs>),
    /// Look after the cache of a tree
    Cache(Box<CacheArgs>),
    /// Show every setting, its value and where it came from
    Config(Box<ConfigArgs>),
    /// Write a shell's completion script
    Completions(CompletionsArgs),
    /// Walk, read, parse and drop: the floor that a cold run is measured against
    #[command(hide = true)]
    BenchFloor(Box<BenchArgs>),
    /// Walk and stat only: the floor that a warm run is measured against
    #[command(hide = true)]
    BenchWalk(Box<BenchArgs>),
    /// Parse what comes over standard input: what child processes run
    #[command(hide = true)]
    Worker(WorkerArgs),
}

//! Arguments that several subcommands share.

use std::path::PathBuf;

use clap::ArgAction;
use clap::builder::{PossibleValue, PossibleValuesParser};

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColorMode {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Arguments of every subcommand.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Everywhere")]
pub struct GlobalArgs {
    /// Print nothing but errors, warnings and data asked for by name
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// List everything and log to stderr; -vv and -vvv log more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// When to colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorMode,
}

fn strategies() -> PossibleValuesParser {
    PossibleValuesParser::new([
        PossibleValue::new("thread").aliases(["thread_based", "THREAD_BASED"]),
        PossibleValue::new("process").aliases(["process_based", "PROCESS_BASED"]),
        PossibleValue::new("hybrid").alias("HYBRID"),
        PossibleValue::new("adaptive").alias("ADAPTIVE"),
    ])
}

fn chunkings() -> PossibleValuesParser {
    PossibleValuesParser::new([
        PossibleValue::new("ast").aliases(["ast_based", "AST_BASED"]),
        PossibleValue::new("line").aliases(["line_based", "LINE_BASED"]),
        PossibleValue::new("size").aliases(["size_based", "SIZE_BASED"]),
    ])
}

/// Settings that can be given as flags.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Settings")]
pub struct SettingArgs {
    /// Threads or child processes that parse: a number or auto
    #[arg(short = 'j', long = "jobs", value_name = "N")]
    pub jobs: Option<String>,
    /// Folder of the cache [default: .cache/parser below the analyzed root]
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Neither read nor write the cache
    #[arg(long)]
    pub no_cache: bool,
    /// Leave out files and folders that match, as in .gitignore (repeatable)
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// Analyze only files that match, as in .gitignore (repeatable)
    #[arg(long, value_name = "PATTERN")]
    pub include: Vec<String>,
    /// Starting values of the settings
    #[arg(long, value_name = "NAME", value_parser = ["standard", "performance", "minimal"])]
    pub preset: Option<String>,
    /// How files are spread over the machine: on threads or child processes, large files in children, or by the rule
    #[arg(long, value_name = "NAME", value_parser = strategies())]
    pub strategy: Option<String>,

    /// How callees are found: by the flow of values through the whole program, or by names, imports and classes alone
    #[arg(long, value_name = "NAME", value_parser = ["flow", "names"])]
    pub calls: Option<String>,
    /// What a chunk of a large file counts
    #[arg(long, value_name = "NAME", value_parser = chunkings())]
    pub chunking: Option<String>,
    /// File size above which parsing goes by chunks, and the size of a chunk, in KB
    #[arg(long, value_name = "KB")]
    pub chunk_size_kb: Option<String>,
    /// First part of every stable name [default: `[project] name` of pyproject.toml]
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
    /// Program whose `worker` command child processes run, instead of this one
    #[arg(long, value_name = "FILE", hide = true)]
    pub worker_program: Option<PathBuf>,
    /// Read no pyproject.toml
    #[arg(long)]
    pub isolated: bool,
}

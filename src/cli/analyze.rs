//! `pydebug analyze`.

use std::path::PathBuf;

use super::{SettingArgs, StoreArgs};

/// The report's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum OutputFormat {
    /// A summary to read
    #[default]
    Full,
    /// A line for each trouble and one for the whole
    Concise,
    /// One JSON document
    Json,
    /// The graph's rows, one JSON object a line
    Jsonl,
}

/// How to show progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ProgressMode {
    /// A bar if stderr is a terminal
    #[default]
    Auto,
    /// JSON lines on stderr
    Json,
    /// Nothing
    None,
}

/// Arguments of `analyze`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct AnalyzeArgs {
    /// Folders or files to analyze [default: the current folder]
    #[arg(value_name = "PATHS")]
    pub paths: Vec<PathBuf>,
    /// Form of the report
    #[arg(long, value_name = "FORMAT", default_value = "full")]
    pub output_format: OutputFormat,
    /// Write the report to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write the JSON report to this file too
    #[arg(long, value_name = "FILE")]
    pub json_output: Option<PathBuf>,
    /// Write the metrics as JSON to this file too
    #[arg(long, value_name = "FILE")]
    pub metrics_file: Option<PathBuf>,
    /// How to show progress
    #[arg(long, value_name = "MODE", default_value = "auto")]
    pub progress: ProgressMode,
    /// Exit with 2 if a file has a syntax error or is skipped, or children or threads could not be started
    #[arg(long)]
    pub strict: bool,
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub stores: StoreArgs,
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub settings: SettingArgs,
}

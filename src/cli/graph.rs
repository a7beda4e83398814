//! `pydebug graph`.

use std::path::PathBuf;

use super::{ProgressMode, SettingArgs};
use crate::report::graphfmt::GraphFormat;

/// Which edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum GraphKind {
    /// Who calls whom
    #[default]
    Calls,
    /// Which module imports which
    Imports,
    /// Which class inherits from which
    Inherits,
}

/// Arguments of `graph`.
#[derive(Debug, Clone, clap::Args)]
pub struct GraphArgs {
    /// Which edges
    #[arg(value_name = "KIND")]
    pub kind: GraphKind,
    /// Folders or files to analyze [default: the current folder]
    #[arg(value_name = "PATHS")]
    pub paths: Vec<PathBuf>,
    /// Form of the graph
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    pub format: GraphFormat,
    /// Add callees that are only candidates by name
    #[arg(long)]
    pub candidates: bool,
    /// Keep edges within the project only
    #[arg(long)]
    pub no_external: bool,
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How to show progress
    #[arg(long, value_name = "MODE", default_value = "auto")]
    pub progress: ProgressMode,
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub settings: SettingArgs,
}

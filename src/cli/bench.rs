//! `pydebug bench-floor` and `pydebug bench-walk`, which `scripts/bench` runs.

use std::path::PathBuf;

use super::SettingArgs;

/// Arguments of the hidden measuring commands.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct BenchArgs {
    /// Folders or files to measure on [default: the current folder]
    #[arg(value_name = "PATHS")]
    pub paths: Vec<PathBuf>,
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub settings: SettingArgs,
}

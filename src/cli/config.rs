//! `pydebug config`.

use std::path::PathBuf;

use super::SettingArgs;

/// Form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ConfigFormat {
    /// A table to read
    #[default]
    Text,
    /// One JSON document
    Json,
}

/// Arguments of `config`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ConfigArgs {
    /// Folders or files whose settings are meant [default: the current folder]
    #[arg(value_name = "PATHS")]
    pub paths: Vec<PathBuf>,
    /// Form of the answer
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: ConfigFormat,
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub settings: SettingArgs,
}

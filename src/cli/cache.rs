//! `pydebug cache`.

use std::path::PathBuf;

use super::{ConfigFormat, SettingArgs};

/// Arguments of `cache`.
#[derive(Debug, Clone, clap::Args)]
pub struct CacheArgs {
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(subcommand)]
    pub command: CacheCommand,
}

/// Arguments of every cache command but its own.
#[derive(Debug, Clone, clap::Args)]
pub struct CacheTarget {
    /// The tree whose cache is meant [default: the current folder]
    #[arg(value_name = "ROOT")]
    pub root: Option<PathBuf>,
    /// Form of the answer
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: ConfigFormat,
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// What to do with the cache.
#[derive(Debug, Clone, clap::Subcommand)]
#[expect(missing_docs, reason = "clap would print it")]
pub enum CacheCommand {
    /// Show where the cache is, its size and what it holds
    Info {
        #[command(flatten)]
        target: CacheTarget,
    },
    /// Remove the cache
    Clean {
        #[command(flatten)]
        target: CacheTarget,
    },
    /// Remove what no tree uses any more and compact the rest
    Gc {
        #[command(flatten)]
        target: CacheTarget,
    },
    /// Check every record; exits with 1 if one is damaged
    Verify {
        #[command(flatten)]
        target: CacheTarget,
    },
    /// Write the cache as JSON lines in zstd
    Export {
        /// The file to write; - is stdout
        file: PathBuf,
        #[command(flatten)]
        target: CacheTarget,
    },
    /// Add the entries of an exported file
    Import {
        /// The file to read; - is stdin
        file: PathBuf,
        #[command(flatten)]
        target: CacheTarget,
    },
    /// Show the entry of one source file as JSON
    Show {
        /// The source file
        file: PathBuf,
        #[command(flatten)]
        target: CacheTarget,
    },
}

impl CacheCommand {
    /// The arguments that all commands share.
    #[must_use]
    pub fn target(&self) -> &CacheTarget {
        match self {
            Self::Info { target }
            | Self::Clean { target }
            | Self::Gc { target }
            | Self::Verify { target }
            | Self::Export { target, .. }
            | Self::Import { target, .. }
            | Self::Show { target, .. } => target,
        }
    }
}

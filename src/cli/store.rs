//! `pydebug store`, and the flags that name stores.

use std::path::PathBuf;

use super::{ConfigFormat, ProgressMode, SettingArgs};

/// Stores that are asked for.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Stores")]
pub struct StoreArgs {
    /// Keep the graph in this SQLite file too
    #[arg(long, value_name = "FILE")]
    pub sqlite: Option<PathBuf>,
    /// Keep the graph in this PostgreSQL database too: postgres://USER@HOST/DATABASE [env: PYDEBUG_POSTGRES_URL]
    #[arg(long, value_name = "URL")]
    pub postgres: Option<String>,
    /// Keep the graph in this Neo4j server too: bolt://HOST:7687 [env: PYDEBUG_NEO4J_URI]
    #[arg(long, value_name = "URL")]
    pub neo4j: Option<String>,
}

/// Arguments of `store`.
#[derive(Debug, Clone, clap::Args)]
pub struct StoreCommandArgs {
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(subcommand)]
    pub command: StoreCommand,
}

/// Arguments of every store command.
#[derive(Debug, Clone, clap::Args)]
pub struct StoreTarget {
    /// The tree whose graph is meant [default: the current folder]
    #[arg(value_name = "PATHS")]
    pub paths: Vec<PathBuf>,
    /// Form of the answer
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: ConfigFormat,
    /// How to show progress
    #[arg(long, value_name = "MODE", default_value = "auto")]
    pub progress: ProgressMode,
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub stores: StoreArgs,
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// What to do with stores.
#[derive(Debug, Clone, clap::Subcommand)]
#[expect(missing_docs, reason = "clap would print it")]
pub enum StoreCommand {
    /// Make the schema, or bring it up to date
    Init {
        /// Print the SQL for PostgreSQL instead, for somebody else to run
        #[arg(long)]
        print_sql: bool,
        #[command(flatten)]
        target: StoreTarget,
    },
    /// Show which graph each store holds
    Status {
        #[command(flatten)]
        target: StoreTarget,
    },
    /// Compare every stored row with the last graph of the tree; exits with 1 if one differs
    Verify {
        #[command(flatten)]
        target: StoreTarget,
    },
    /// Analyze the tree where it changed, and bring the stores to its graph
    Push {
        #[command(flatten)]
        target: StoreTarget,
    },
    /// Write the last graph of the tree as files for `neo4j-admin database import full`, which replaces a whole database with them; `store init` follows
    Export {
        /// Folder to write the files to
        #[arg(long, value_name = "DIR")]
        neo4j_import: PathBuf,
        #[command(flatten)]
        target: StoreTarget,
    },
    /// Remove what no reader sees any more
    Gc {
        #[command(flatten)]
        target: StoreTarget,
    },
}

impl StoreCommand {
    /// The arguments that all commands share.
    #[must_use]
    pub fn target(&self) -> &StoreTarget {
        match self {
            Self::Init { target, .. }
            | Self::Status { target }
            | Self::Verify { target }
            | Self::Push { target }
            | Self::Export { target, .. }
            | Self::Gc { target } => target,
        }
    }
}

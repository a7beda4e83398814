//! `pydebug query`.

use std::path::PathBuf;

use super::{ProgressMode, SettingArgs};
use crate::query::Question;
use crate::report::answer::AnswerFormat;

/// Arguments of `query`.
#[derive(Debug, Clone, clap::Args)]
pub struct QueryArgs {
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(subcommand)]
    pub question: QueryCommand,
}

/// Arguments of every question.
#[derive(Debug, Clone, clap::Args)]
pub struct QueryTarget {
    /// The tree that is asked about
    #[arg(short = 'C', long, value_name = "DIR", default_value = ".")]
    pub tree: PathBuf,
    /// Form of the answer
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: AnswerFormat,
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

/// What is asked. A symbol is named by its dotted name or the end of one (`Model.save`), by a path, or by `path:line`.
#[derive(Debug, Clone, clap::Subcommand)]
#[expect(missing_docs, reason = "clap would print it")]
pub enum QueryCommand {
    /// Who calls a function, method or class
    Callers {
        /// Dotted name or the end of one, path, or path:line
        symbol: String,
        /// Callers of callers, up to so many steps away
        #[arg(long, value_name = "STEPS", default_value_t = 1)]
        depth: u32,
        #[command(flatten)]
        target: QueryTarget,
    },
    /// What a function, method, class or module calls
    Callees {
        /// Dotted name or the end of one, path, or path:line
        symbol: String,
        /// Callees of callees, up to so many steps away
        #[arg(long, value_name = "STEPS", default_value_t = 1)]
        depth: u32,
        #[command(flatten)]
        target: QueryTarget,
    },
    /// Which modules import a module, or something from it
    Importers {
        /// Dotted name or the end of one, or path
        symbol: String,
        /// Importers of importers, up to so many steps away
        #[arg(long, value_name = "STEPS", default_value_t = 1)]
        depth: u32,
        #[command(flatten)]
        target: QueryTarget,
    },
    /// What a module imports
    Imports {
        /// Dotted name or the end of one, or path
        symbol: String,
        /// Imports of what is imported, up to so many steps away
        #[arg(long, value_name = "STEPS", default_value_t = 1)]
        depth: u32,
        #[command(flatten)]
        target: QueryTarget,
    },
    /// Classes above and below a class
    Hierarchy {
        /// Dotted name or the end of one, or path:line
        class: String,
        #[command(flatten)]
        target: QueryTarget,
    },
    /// Methods that a method overrides, and those that override it
    Overrides {
        /// Dotted name or the end of one, or path:line
        method: String,
        #[command(flatten)]
        target: QueryTarget,
    },
    /// A shortest chain of calls from one symbol to another; of imports, where both are modules
    Path {
        /// Where it begins
        from: String,
        /// Where it ends
        to: String,
        #[command(flatten)]
        target: QueryTarget,
    },
    /// What depends on a symbol or file, directly or not: what may break if it changes
    Impact {
        /// Dotted name or the end of one, path, or path:line
        symbol: String,
        /// At most so many steps away [default: any]
        #[arg(long, value_name = "STEPS")]
        depth: Option<u32>,
        #[command(flatten)]
        target: QueryTarget,
    },
    /// Tests that reach a symbol or file
    Tests {
        /// Dotted name or the end of one, path, or path:line
        symbol: String,
        /// At most so many steps away [default: any]
        #[arg(long, value_name = "STEPS")]
        depth: Option<u32>,
        #[command(flatten)]
        target: QueryTarget,
    },
    /// Names that hold a text, whatever its case
    Search {
        /// Part of a name
        text: String,
        /// Show at most so many
        #[arg(long, value_name = "COUNT", default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        target: QueryTarget,
    },
    /// What is known of a symbol: place, parameters, measures, how many callers and callees
    Show {
        /// Dotted name or the end of one, path, or path:line
        symbol: String,
        #[command(flatten)]
        target: QueryTarget,
    },
}

impl QueryCommand {
    /// The question, and the arguments that all have.
    #[must_use]
    pub fn parts(&self) -> (Question, &QueryTarget) {
        match self {
            Self::Callers { symbol, depth, target } => (Question::Callers(symbol.clone(), *depth), target),
            Self::Callees { symbol, depth, target } => (Question::Callees(symbol.clone(), *depth), target),
            Self::Importers { symbol, depth, target } => {
                (Question::Importers(symbol.clone(), *depth), target)
            }
            Self::Imports { symbol, depth, target } => (Question::Imports(symbol.clone(), *depth), target),
            Self::Hierarchy { class, target } => (Question::Hierarchy(class.clone()), target),
            Self::Overrides { method, target } => (Question::Overrides(method.clone()), target),
            Self::Path { from, to, target } => (Question::Path(from.clone(), to.clone()), target),
            Self::Impact { symbol, depth, target } => {
                (Question::Impact(symbol.clone(), depth.unwrap_or(u32::MAX)), target)
            }
            Self::Tests { symbol, depth, target } => {
                (Question::Tests(symbol.clone(), depth.unwrap_or(u32::MAX)), target)
            }
            Self::Search { text, limit, target } => (Question::Search(text.clone(), *limit), target),
            Self::Show { symbol, target } => (Question::Show(symbol.clone()), target),
        }
    }
}

//! What can be wrong with a configuration, in words that name the place and the fix.

use std::fmt;
use std::path::PathBuf;

/// Where a refused setting was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A line (counted from one) of a `pyproject.toml`.
    Pyproject {
        /// The file.
        path: PathBuf,
        /// The line, where the parser could tell.
        line: Option<usize>,
    },
    /// An environment variable.
    Environment(String),
    /// A command-line flag.
    Flag(&'static str),
    /// A call of [`ConfigBuilder`](super::ConfigBuilder).
    Caller,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pyproject { path, line: Some(line) } => write!(f, "`{}` line {line}", path.display()),
            Self::Pyproject { path, line: None } => write!(f, "`{}`", path.display()),
            Self::Environment(name) => write!(f, "environment variable `{name}`"),
            Self::Flag(name) => write!(f, "flag `{name}`"),
            Self::Caller => f.write_str("configuration"),
        }
    }
}

/// A configuration that cannot be used. Every message says what to write instead.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The analyzed root is missing or unreadable.
    #[error("cannot analyze `{}`; name an existing folder or Python file", path.display())]
    Root {
        /// The path as given.
        path: PathBuf,
        /// Why it could not be resolved.
        source: std::io::Error,
    },
    /// The paths to analyze have only the file system's root in common.
    #[error("the paths share no folder but `{}`; analyze them one at a time", path.display())]
    NoCommonRoot {
        /// That root.
        path: PathBuf,
    },
    /// `pyproject.toml` could not be read.
    #[error("cannot read `{}`; make it readable or pass `--isolated` to ignore it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// `pyproject.toml` is not TOML.
    #[error("{place}: invalid TOML: {message}; correct it or pass `--isolated` to ignore the file")]
    Syntax {
        /// The file and line.
        place: Place,
        /// What the TOML parser says.
        message: String,
    },
    /// A key or variable that does not exist.
    #[error("{place}: unknown setting `{name}`; {}", match nearest {
        Some(nearest) => format!("the nearest known one is `{nearest}`"),
        None => "`pydebug config` lists the known ones".to_owned(),
    })]
    Unknown {
        /// Where it stands.
        place: Place,
        /// The name as written.
        name: String,
        /// The known name closest to it.
        nearest: Option<&'static str>,
    },
    /// A value that the setting cannot take.
    #[error("{place}: `{name}` cannot be {given}; {expected}")]
    Value {
        /// Where it stands.
        place: Place,
        /// The setting's name.
        name: &'static str,
        /// The refused value, quoted.
        given: String,
        /// What would be accepted.
        expected: String,
    },
    /// Two explicit values that cannot both hold.
    #[error(
        "`{name}` is {given} ({origin}), above `max-memory-mb` = {limit} ({limit_origin}); lower the first or raise the second"
    )]
    Conflict {
        /// The setting that is too large.
        name: &'static str,
        /// Its value.
        given: String,
        /// Where it came from.
        origin: String,
        /// The memory limit in MB.
        limit: u64,
        /// Where the limit came from.
        limit_origin: String,
    },
    /// A store's address inside the analyzed tree, which may belong to a stranger.
    #[error(
        "{place}: `{name}` gives a store's address; addresses inside the analyzed tree are refused, since they would receive the environment's password: remove the key and give the address by flag or environment"
    )]
    StoreAddress {
        /// Where it stands.
        place: Place,
        /// The key.
        name: String,
    },
}

//! pydebug: the fast, trustworthy code graph for Python.

pub mod extract;
pub mod link;
pub mod model;
pub mod parse;

pub mod cli {
    //! cli
    /// Runs.
    pub fn main() -> std::process::ExitCode {
        std::process::ExitCode::SUCCESS
    }
}

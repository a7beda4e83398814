//! pydebug: the fast, trustworthy code graph for Python.

pub mod config;
pub mod engine;
pub mod model;
pub mod report;
pub mod cli {
    //! cli
    /// Runs.
    pub fn main() -> std::process::ExitCode {
        std::process::ExitCode::SUCCESS
    }
}

//! pydebug: the fast, trustworthy code graph for Python.

pub mod cache;
pub mod model;
pub mod sys;
pub mod walk;

pub mod cli {
    //! cli
    /// Runs.
    pub fn main() -> std::process::ExitCode {
        std::process::ExitCode::SUCCESS
    }
}

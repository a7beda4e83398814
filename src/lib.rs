//! pydebug: the fast, trustworthy code graph for Python.
pub mod cli { 
    //! cli
    /// Runs.
    pub fn main() -> std::process::ExitCode { std::process::ExitCode::SUCCESS } }

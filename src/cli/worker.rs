//! `pydebug worker`, which runs start for themselves.

/// Arguments of the hidden command that a child process runs.
#[derive(Debug, Clone, clap::Args)]
pub struct WorkerArgs {
    /// The process that starts it
    #[arg(long, value_name = "ID")]
    pub parent: u32,
    /// Bytes that it may allocate; 0 for no limit
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub memory: u64,
    /// Files after which it drops scratch memory
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub gc_threshold: u64,
    /// Folder for its scratch files, which have no names
    #[arg(long, value_name = "FOLDER")]
    pub scratch: Option<std::path::PathBuf>,
    /// Take what is nested deeper than an ordinary stack holds
    #[arg(long)]
    pub deep: bool,
}

//! Any text as a `pyproject.toml`.

use super::*;
use crate::config::Config;

pub(crate) fn read(text: &str) {
    let read = match parse(Path::new("pyproject.toml"), text) {
        Ok(read) => read,
        Err(error) => {
            drop(error.to_string());
            return;
        }
    };
    let mut builder = Config::builder(std::env::temp_dir());
    if let Some(name) = &read.name {
        builder = builder.project(name);
    }
    for (key, raw, _) in read.settings {
        builder = builder.set(key, raw);
    }
    match builder.build() {
        Ok(config) => {
            let _ = (config.rows(), config.include().matcher(), config.exclude().matcher());
            let _ = (config.chunk_size(), config.max_workers().count());
        }
        Err(error) => drop(error.to_string()),
    }
}

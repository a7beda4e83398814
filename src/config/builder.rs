//! Puts the layers on top of each other, lowest first, and checks what they say together.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Place};
use super::key::Key;
use super::preset::{Preset, Strategy, Workers};
use super::raw::Raw;
use super::{Config, KB, Origin, Values, pyproject};

/// Collects values; [`ConfigBuilder::build`] checks them.
#[derive(Debug, Clone)]
pub struct ConfigBuilder {
    root: PathBuf,
    discover: bool,
    environment: Vec<(OsString, OsString)>,
    given: Vec<(Key, Raw, Option<&'static str>)>,
}

impl ConfigBuilder {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, discover: false, environment: Vec::new(), given: Vec::new() }
    }

    /// Reads the nearest `pyproject.toml`, at or above the root but within the repository.
    #[must_use]
    pub fn discover(mut self) -> Self {
        self.discover = true;
        self
    }

    /// Reads the `PARSER_*` variables from these, such as `std::env::vars_os()`. An empty value counts as not set.
    #[must_use]
    pub fn environment(mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        self.environment.extend(
            variables.into_iter().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PARSER_")),
        );
        self
    }

    /// Gives a value that a command-line flag holds. A relative cache folder is below the current one.
    #[must_use]
    pub fn flag(mut self, key: Key, value: impl Into<Raw>, flag: &'static str) -> Self {
        self.given.push((key, value.into(), Some(flag)));
        self
    }

    /// Gives any value.
    #[must_use]
    pub fn set(mut self, key: Key, value: impl Into<Raw>) -> Self {
        self.given.push((key, value.into(), None));
        self
    }

    /// Starts from this preset.
    #[must_use]
    pub fn preset(self, preset: Preset) -> Self {
        self.set(Key::Preset, preset.name())
    }

    /// Sets the first part of every stable name.
    #[must_use]
    pub fn project(self, name: &str) -> Self {
        self.set(Key::Project, name)
    }

    /// Sets the number of workers.
    #[must_use]
    pub fn max_workers(self, workers: Workers) -> Self {
        self.set(Key::MaxWorkers, workers.to_string())
    }

    /// Sets the strategy.
    #[must_use]
    pub fn strategy(self, strategy: Strategy) -> Self {
        self.set(Key::Strategy, strategy.name())
    }

    /// Sets the folder of the cache; a relative one lies below the current folder.
    #[must_use]
    pub fn cache_dir(self, folder: &str) -> Self {
        self.set(Key::CacheDir, folder)
    }

    /// Keeps facts from run to run, or not.
    #[must_use]
    pub fn cache_enabled(self, enabled: bool) -> Self {
        self.set(Key::CacheEnabled, enabled)
    }

    /// Checks everything and makes the configuration.
    ///
    /// # Errors
    ///
    /// A root that does not exist, a `pyproject.toml` that cannot be read, an unknown setting, or a value that its
    /// setting cannot take, from whatever layer, even one that a higher layer overrides.
    pub fn build(self) -> Result<Config, ConfigError> {
        let root = resolve_root(&self.root)?;
        let here = std::env::current_dir().unwrap_or_else(|_| root.clone());
        let pyproject = match self.discover.then(|| pyproject::find(&root)).flatten() {
            Some(path) => Some(pyproject::read(&path)?),
            None => None,
        };

        // Lowest first: a later layer overwrites.
        let mut layers: Vec<(Key, Raw, Place, Origin, &Path)> = Vec::new();
        if let Some(file) = &pyproject {
            let folder = file.path.parent().unwrap_or(&root);
            let name = file.name.clone().map(|name| (Key::Project, Raw::Text(name), Place::Caller));
            for (key, raw, place) in name.into_iter().chain(file.settings.iter().cloned()) {
                layers.push((key, raw, place, Origin::Pyproject(file.path.clone()), folder));
            }
        }
        let mut environment = self.environment;
        environment.sort();
        for (name, value) in &environment {
            let Some((key, raw)) = variable(name, value)? else { continue };
            let variable = key.variable().unwrap_or_default();
            let place = Place::Environment(variable.to_owned());
            layers.push((key, raw, place, Origin::Environment(variable), &root));
        }
        for (key, raw, flag) in self.given {
            let (place, origin) = match flag {
                Some(flag) => (Place::Flag(flag), Origin::Flag(flag)),
                None => (Place::Caller, Origin::Caller),
            };
            // Patterns are about the tree, folders about where the person stands.
            let base = if matches!(key, Key::Include | Key::Exclude) { &root } else { &here };
            layers.push((key, raw, place, origin, base));
        }

        let asked = layers.iter().rev().find(|(key, ..)| *key == Key::Preset);
        let preset = asked.and_then(|(_, raw, ..)| raw.preset().ok());
        let base = preset.map_or(Origin::Default, |preset| Origin::Preset(preset.name()));
        let mut config = Config {
            values: Values::of(preset.unwrap_or_default(), &root),
            origins: std::array::from_fn(|_| Origin::Default),
            pyproject: pyproject.as_ref().map(|file| file.path.clone()),
            root: root.clone(),
        };
        for key in [
            Key::CacheEnabled,
            Key::CacheMaxSize,
            Key::MaxWorkers,
            Key::Strategy,
            Key::FileTimeout,
            Key::WorkerMemory,
            Key::MaxMemory,
            Key::Chunking,
            Key::ChunkSize,
            Key::MemoryThreshold,
            Key::GcThreshold,
        ] {
            config.origins[key as usize] = base.clone();
        }
        for (key, raw, place, origin, base) in layers {
            config.values.set(key, &raw, base).map_err(|expected| ConfigError::Value {
                place,
                name: key.name(),
                given: raw.to_string(),
                expected,
            })?;
            config.origins[key as usize] = origin;
        }
        config.reconcile()?;
        Ok(config)
    }
}

impl Config {
    /// Settles what several values say together: an explicit one above the memory budget is an error, one from a
    /// preset is lowered to it.
    fn reconcile(&mut self) -> Result<(), ConfigError> {
        let Some(limit) = self.values.max_memory_mb else { return Ok(()) };
        let checks = [
            (Key::MemoryThreshold, self.values.memory_threshold_mb),
            (Key::ChunkSize, self.values.chunk_size_kb / KB),
        ];
        for (key, megabytes) in checks {
            if megabytes <= limit {
                continue;
            }
            if !matches!(self.origin(key), Origin::Default | Origin::Preset(_)) {
                return Err(ConfigError::Conflict {
                    name: key.name(),
                    given: self.display(key),
                    origin: self.origin(key).to_string(),
                    limit,
                    limit_origin: self.origin(Key::MaxMemory).to_string(),
                });
            }
            match key {
                Key::MemoryThreshold => self.values.memory_threshold_mb = limit,
                _ => self.values.chunk_size_kb = limit * KB,
            }
            self.origins[key as usize] = self.origins[Key::MaxMemory as usize].clone();
        }
        Ok(())
    }
}

/// One `PARSER_*` variable. Names far from ours may be another program's and are left alone.
fn variable(name: &OsString, value: &OsString) -> Result<Option<(Key, Raw)>, ConfigError> {
    if value.is_empty() {
        return Ok(None);
    }
    let name = name.to_string_lossy();
    let Some(key) = Key::from_variable(&name) else {
        let nearest = Key::all()
            .filter_map(Key::variable)
            .map(|known| (strsim::damerau_levenshtein(known, &name), known))
            .min()
            .filter(|(distance, _)| *distance <= 2);
        return match nearest {
            Some((_, nearest)) => Err(ConfigError::Unknown {
                place: Place::Environment(name.escape_debug().to_string()),
                name: name.escape_debug().to_string(),
                nearest: Some(nearest),
            }),
            None => Ok(None),
        };
    };
    match value.to_str() {
        Some(text) => Ok(Some((key, Raw::from(text)))),
        None => Err(ConfigError::Value {
            place: Place::Environment(name.into_owned()),
            name: key.name(),
            given: "bytes that are not UTF-8".to_owned(),
            expected: "write it in UTF-8".to_owned(),
        }),
    }
}

fn resolve_root(given: &Path) -> Result<PathBuf, ConfigError> {
    let failed = |source| ConfigError::Root { path: given.to_owned(), source };
    let root = given.canonicalize().map_err(failed)?;
    if root.is_dir() {
        return Ok(root);
    }
    Ok(root.parent().map_or_else(|| root.clone(), Path::to_owned))
}

/// The analyzed root of several paths: the deepest folder that holds them all. No path means the current folder.
///
/// # Errors
///
/// A path that does not exist, or paths that share nothing but the root of the file system.
pub fn common_root(paths: &[PathBuf]) -> Result<PathBuf, ConfigError> {
    let Some((first, rest)) = paths.split_first() else { return resolve_root(Path::new(".")) };
    let first = resolve_root(first)?;
    let mut common = first.as_path();
    let mut asked_for = true;
    let mut resolved = Vec::with_capacity(rest.len());
    for path in rest {
        resolved.push(resolve_root(path)?);
    }
    for path in &resolved {
        while !path.starts_with(common) {
            common = common.parent().unwrap_or(common);
            asked_for = false;
        }
        asked_for |= path == common;
    }
    if common.parent().is_none() && !asked_for {
        return Err(ConfigError::NoCommonRoot { path: common.to_owned() });
    }
    Ok(common.to_owned())
}

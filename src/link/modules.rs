//! Module table: the name of each file's module, and the file or package under each name.
//!
//! A module's name is its path relative to the source root that holds it. Source roots are the configured
//! ones, else `src` where it holds sources and is no package itself, and the analyzed root. A directory without `__init__`
//! that holds modules is a namespace package (PEP 420).

use super::FileInput;
use crate::model::source::FileKind;
use rustc_hash::FxHashMap;

/// How paths become module names.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// Project name, the first part of stable names.
    pub project: String,
    /// Source roots relative to the analyzed root, `/` between parts; empty = find them.
    pub source_roots: Vec<String>,
}

/// What stands under a dotted name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    File(u32),
    Namespace(u32),
}

/// Names and files.
#[derive(Debug)]
pub(crate) struct ModuleTable {
    /// Stable module name of each file (`m@path` where an earlier file has the plain one).
    pub(crate) names: Vec<String>,
    /// Length of the importable part of `names`.
    pub(crate) plain: Vec<u32>,
    /// Source root of each file.
    pub(crate) roots: Vec<u16>,
    pub(crate) root_names: Vec<String>,
    /// True for `__init__`.
    pub(crate) package: Vec<bool>,
    /// The other of a source and a stub beside it.
    pub(crate) beside: FxHashMap<u32, u32>,
    /// Dotted names of namespace packages.
    pub(crate) namespaces: Vec<String>,
    by_name: FxHashMap<Box<str>, Found>,
    /// First parts of the names of this project.
    by_directory: FxHashMap<Box<str>, Found>,
}

/// Module name of `path` below a source root; `None` where no source lies there.
pub fn module_name(path: &str) -> (String, bool) {
    let stem = path
        .strip_suffix(".py")
        .or_else(|| path.strip_suffix(".pyi"))
        .or_else(|| path.strip_suffix(".pyw"))
        .unwrap_or(path);
    match stem.strip_suffix("__init__") {
        Some("") => ("__init__".to_owned(), true),
        Some(rest) if rest.ends_with('/') => (rest.trim_end_matches('/').replace('/', "."), true),
        _ => (stem.replace('/', "."), false),
    }
}

impl ModuleTable {
    pub(crate) fn new(files: &[FileInput<'_>], layout: &Layout) -> Self {
        let mut root_names: Vec<String> = layout
            .source_roots
            .iter()
            .map(|root| root.trim_matches('/').to_owned())
            .filter(|root| root != "." && !root.is_empty())
            .collect();
        if layout.source_roots.is_empty() && src_layout(files) {
            root_names.push("src".to_owned());
        }
        root_names.push(String::new());
        let mut table = Self {
            names: Vec::with_capacity(files.len()),
            plain: Vec::with_capacity(files.len()),
            roots: Vec::with_capacity(files.len()),
            root_names,
            package: Vec::with_capacity(files.len()),
            beside: FxHashMap::default(),
            namespaces: Vec::new(),
            by_name: FxHashMap::default(),
            by_directory: FxHashMap::default(),
        };
        table.by_name.reserve(files.len() * 5 / 4);
        for (index, file) in files.iter().enumerate() {
            table.add(index as u32, file, files);
        }
        table.add_namespaces(files);
        table
    }

    fn add(&mut self, index: u32, file: &FileInput<'_>, files: &[FileInput<'_>]) {
        let inside = |root: &str| file.path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
        let root = self
            .root_names
            .iter()
            .enumerate()
            .filter(|(_, root)| root.is_empty() || inside(root))
            .max_by_key(|(_, root)| root.len());
        let (root, start) =
            root.map_or((0, 0), |(at, root)| (at, if root.is_empty() { 0 } else { root.len() + 1 }));
        let (name, package) = module_name(&file.path[start..]);
        self.plain.push(name.len() as u32);
        self.roots.push(root as u16);
        self.package.push(package);
        let mut stable = name.clone();
        match self.by_name.entry(name.into_boxed_str()) {
            std::collections::hash_map::Entry::Vacant(slot) => {
                slot.insert(Found::File(index));
            }
            std::collections::hash_map::Entry::Occupied(mut slot) => {
                let Found::File(first) = *slot.get() else { return };
                let other = &files[first as usize];
                let stem = |path: &str| path.rsplit_once('.').map_or(path.len(), |(stem, _)| stem.len());
                let same_place = other.path[..stem(other.path)] == file.path[..stem(file.path)];
                if same_place && other.kind != file.kind && !self.beside.contains_key(&first) {
                    // A stub beside its source: one module, found at the source.
                    self.beside.insert(first, index);
                    self.beside.insert(index, first);
                    if file.kind == FileKind::Py {
                        slot.insert(Found::File(index));
                    }
                } else {
                    // A package hides a module of its name, as in Python; else the first file has the name.
                    let wins = package && !self.package[first as usize] && file.kind == other.kind;
                    if wins {
                        slot.insert(Found::File(index));
                        let told = format!("{}@{}", self.names[first as usize], other.path);
                        self.names[first as usize] = told;
                    } else {
                        stable = format!("{stable}@{}", file.path);
                    }
                }
            }
        }
        self.names.push(stable);
    }

    fn add_namespaces(&mut self, files: &[FileInput<'_>]) {
        let mut last = String::new();
        for index in 0..files.len() {
            let name = &self.names[index][..self.plain[index] as usize];
            let Some((parent, _)) = name.rsplit_once('.') else { continue };
            if parent == last {
                continue;
            }
            parent.clone_into(&mut last);
            let mut ends: Vec<usize> = parent.match_indices('.').map(|(at, _)| at).collect();
            ends.push(parent.len());
            for end in ends {
                if !self.by_name.contains_key(&last[..end]) {
                    let number = self.namespaces.len() as u32;
                    self.namespaces.push(last[..end].to_owned());
                    self.by_name.insert(last[..end].into(), Found::Namespace(number));
                }
            }
        }
        // Scripts import their neighbours: directories of the root that are no packages.
        for (index, file) in files.iter().enumerate() {
            if self.names[index].len() == self.plain[index] as usize {
                let path = file.path.rsplit_once('.').map_or(file.path, |(stem, _)| stem);
                self.by_directory.insert(path.into(), Found::File(index as u32));
                if let Some(package) = path.strip_suffix("/__init__") {
                    self.by_directory.insert(package.into(), Found::File(index as u32));
                }
            }
        }
    }

    /// What stands under `name`.
    pub(crate) fn find(&self, name: &str) -> Option<Found> {
        self.by_name.get(name).copied()
    }

    /// The module `name` (dotted) beside the file at `path`, as a script would find it.
    pub(crate) fn find_beside(&self, path: &str, name: &str) -> Option<Found> {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let init = if directory.is_empty() { "__init__".to_owned() } else { format!("{directory}/__init__") };
        if directory.is_empty() || self.by_directory.contains_key(init.as_str()) {
            return None;
        }
        self.by_directory.get(format!("{directory}/{}", name.replace('.', "/")).as_str()).copied()
    }

    /// Importable name of `file`'s module.
    pub(crate) fn plain_name(&self, file: u32) -> &str {
        &self.names[file as usize][..self.plain[file as usize] as usize]
    }
}

/// True where `src` is a source root: it holds sources and is no package.
fn src_layout(files: &[FileInput<'_>]) -> bool {
    let first = files.partition_point(|file| file.path < "src/");
    let inside = files[first..].iter().take_while(|file| file.path.starts_with("src/"));
    let mut any = false;
    for file in inside {
        any = true;
        if matches!(file.path, "src/__init__.py" | "src/__init__.pyi") {
            return false;
        }
    }
    any
}

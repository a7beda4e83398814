//! Module table: the name of each file's module, and the file or package under each name.
//!
//! A module's name is its path relative to the source root that holds it. Source roots are the configured
//! ones, else `src` where it holds sources and is no package itself, and the analyzed root. A directory without `__init__`
//! that holds modules is a namespace package (PEP 420).

use super::Input;
use crate::model::source::FileKind;
use crate::sys::{Scratch, TextColumn, Texts};
use hashbrown::HashTable;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// How paths become module names.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Project name, the first part of stable names.
    pub project: String,
    /// Source roots relative to the analyzed root, `/` between parts; empty = find them.
    pub source_roots: Vec<String>,
    /// Dotted name of the package that the analyzed root itself is, as its files may import it; empty where it is none.
    pub package: String,
    /// How callees are found.
    pub calls: super::Calls,
    /// Constraints of the value flow above which files that depend on each other are linked by name.
    pub max_constraints: u64,
    /// Values that a variable may hold before it counts as holding anything; of functions twice as many, of instances and classes half.
    pub max_values: u32,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            project: String::new(),
            source_roots: Vec::new(),
            package: String::new(),
            calls: super::Calls::default(),
            max_constraints: super::MAX_CONSTRAINTS,
            max_values: super::MAX_VALUES,
        }
    }
}

/// What stands under a dotted name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    File(u32),
    Namespace(u32),
}

/// Set in the code of what is no file, or not by its own name.
const OTHER: u32 = 1 << 31;

impl Found {
    /// As one number; files are fewer than 2^28.
    pub(crate) fn code(self) -> u32 {
        match self {
            Self::File(file) => file,
            Self::Namespace(namespace) => namespace | OTHER,
        }
    }

    pub(crate) fn of(code: u32) -> Self {
        if code & OTHER == 0 { Self::File(code) } else { Self::Namespace(code & !OTHER) }
    }
}

/// Names and files. The tables that find them hold numbers alone; the texts are where they are kept anyway.
pub(crate) struct ModuleTable<'a> {
    files: &'a dyn Input,
    /// See [`Layout::package`].
    own: String,
    /// Stable module name of each file (`m@path` where an earlier file has the plain one).
    pub(crate) names: Texts,
    /// Length of the importable part of `names`.
    plain: Vec<u32>,
    /// Source root of each file.
    pub(crate) roots: Vec<u16>,
    pub(crate) root_names: Vec<String>,
    /// True for `__init__`.
    pub(crate) package: Vec<bool>,
    /// The other of a source and a stub beside it.
    pub(crate) beside: FxHashMap<u32, u32>,
    /// Dotted names of namespace packages.
    pub(crate) namespaces: Vec<Box<str>>,
    /// [`Found::code`] by importable name.
    by_name: HashTable<u32>,
    /// Files by their path without its suffix, and, with [`OTHER`], those of packages by that of their folder.
    by_directory: HashTable<u32>,
}

fn hash(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
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

/// The importable part of a module's stable name.
pub(crate) fn plain(module: &str) -> &str {
    module.split_once('@').map_or(module, |(plain, _)| plain)
}

/// A path without its suffix.
pub(crate) fn stem(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(stem, _)| stem)
}

/// The path by which a number in `by_directory` is found.
fn directory_key(files: &dyn Input, code: u32) -> &str {
    let path = stem(files.path(code & !OTHER));
    if code & OTHER == 0 { path } else { path.strip_suffix("/__init__").unwrap_or(path) }
}

/// The names of source roots, the analyzed root last.
fn root_names(files: &dyn Input, layout: &Layout) -> Vec<String> {
    let mut names: Vec<String> = layout
        .source_roots
        .iter()
        .map(|root| root.trim_matches('/').to_owned())
        .filter(|root| root != "." && !root.is_empty())
        .collect();
    if layout.source_roots.is_empty() && src_layout(files) {
        names.push("src".to_owned());
    }
    names.push(String::new());
    names
}

impl<'a> ModuleTable<'a> {
    pub(crate) fn new(files: &'a dyn Input, layout: &Layout, scratch: &Arc<Scratch>) -> Self {
        let count = files.len();
        let mut table = Self {
            files,
            own: layout.package.clone(),
            names: Texts::default(),
            plain: Vec::with_capacity(count as usize),
            roots: Vec::with_capacity(count as usize),
            root_names: root_names(files, layout),
            package: Vec::with_capacity(count as usize),
            beside: FxHashMap::default(),
            namespaces: Vec::new(),
            by_name: HashTable::with_capacity(count as usize * 9 / 8),
            by_directory: HashTable::with_capacity(count as usize * 9 / 8),
        };
        let mut names = TextColumn::new(scratch);
        for file in 0..count {
            table.push_plain(file, &mut names);
        }
        table.names = names.finish();
        let told: Vec<u32> = (0..count).filter_map(|file| table.place(file)).collect();
        table.tell_apart(told, scratch);
        table.add_namespaces();
        table.add_directories();
        table
    }

    /// Appends the importable name of a file.
    fn push_plain(&mut self, file: u32, names: &mut TextColumn) {
        let path = self.files.path(file);
        let inside = |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
        let root = self
            .root_names
            .iter()
            .enumerate()
            .filter(|(_, root)| root.is_empty() || inside(root))
            .max_by_key(|(_, root)| root.len());
        let (root, start) =
            root.map_or((0, 0), |(at, root)| (at, if root.is_empty() { 0 } else { root.len() + 1 }));
        let (name, package) = module_name(&path[start..]);
        self.plain.push(name.len() as u32);
        self.roots.push(root as u16);
        self.package.push(package);
        names.push(&[&name]);
    }

    /// Puts a file under its name; gives the one that must be told apart from the one that has the name.
    fn place(&mut self, file: u32) -> Option<u32> {
        let Self { files, names, namespaces, by_name, plain, .. } = self;
        let key = |code: u32| key(names, plain, namespaces, code);
        let name = key(file);
        let entry = by_name.entry(hash(name), |&code| key(code) == name, |&code| hash(key(code)));
        let mut slot = match entry {
            hashbrown::hash_table::Entry::Vacant(slot) => {
                slot.insert(file);
                return None;
            }
            hashbrown::hash_table::Entry::Occupied(slot) => slot,
        };
        let first = *slot.get();
        let same_place = stem(files.path(first)) == stem(files.path(file));
        let same_kind = files.kind(first) == files.kind(file);
        if same_place && !same_kind && !self.beside.contains_key(&first) {
            // A stub beside its source: one module, found at the source.
            self.beside.insert(first, file);
            self.beside.insert(file, first);
            if files.kind(file) == FileKind::Py {
                *slot.get_mut() = file;
            }
            return None;
        }
        // A package hides a module of its name, as in Python; else the first file has the name.
        if self.package[file as usize] && !self.package[first as usize] && same_kind {
            *slot.get_mut() = file;
            return Some(first);
        }
        Some(file)
    }

    /// Adds their paths to the names of these files.
    fn tell_apart(&mut self, mut told: Vec<u32>, scratch: &Arc<Scratch>) {
        if told.is_empty() {
            return;
        }
        told.sort_unstable();
        let mut names = TextColumn::new(scratch);
        for (file, name) in (0..).zip(self.names.iter()) {
            match told.binary_search(&file) {
                Ok(_) => names.push(&[name, "@", self.files.path(file)]),
                Err(_) => names.push(&[name]),
            }
        }
        self.names = names.finish();
    }

    fn add_namespaces(&mut self) {
        let Self { names, namespaces, by_name, plain, .. } = self;
        let mut last = String::new();
        for file in 0..plain.len() as u32 {
            let name = key(names, plain, namespaces, file);
            let Some((parent, _)) = name.rsplit_once('.') else { continue };
            if parent == last {
                continue;
            }
            parent.clone_into(&mut last);
            let ends = last.match_indices('.').map(|(at, _)| at).chain([last.len()]);
            for name in ends.map(|end| &last[..end]) {
                let known = |code: &u32| key(names, plain, namespaces, *code) == name;
                if by_name.find(hash(name), known).is_none() {
                    let code = Found::Namespace(namespaces.len() as u32).code();
                    namespaces.push(name.into());
                    let again = |code: &u32| hash(key(names, plain, namespaces, *code));
                    by_name.insert_unique(hash(name), code, again);
                }
            }
        }
    }

    /// Scripts import their neighbours: directories of the root that are no packages.
    fn add_directories(&mut self) {
        for file in 0..self.plain.len() as u32 {
            if self.is_told(file) {
                continue;
            }
            self.add_directory(file);
            if stem(self.files.path(file)).ends_with("/__init__") {
                self.add_directory(file | OTHER);
            }
        }
    }

    fn add_directory(&mut self, code: u32) {
        let files = self.files;
        let path = directory_key(files, code);
        let same = |other: &u32| directory_key(files, *other) == path;
        let again = |other: &u32| hash(directory_key(files, *other));
        match self.by_directory.entry(hash(path), same, again) {
            hashbrown::hash_table::Entry::Occupied(mut slot) => *slot.get_mut() = code,
            hashbrown::hash_table::Entry::Vacant(slot) => {
                slot.insert(code);
            }
        }
    }

    /// True where the name of the file's module is not the importable one.
    fn is_told(&self, file: u32) -> bool {
        self.names.get(file as usize).len() != self.plain[file as usize] as usize
    }

    /// What stands under `name`.
    pub(crate) fn find(&self, name: &str) -> Option<Found> {
        let same = |name: &str, code: u32| key(&self.names, &self.plain, &self.namespaces, code) == name;
        let find =
            |name: &str| self.by_name.find(hash(name), |&code| same(name, code)).map(|&code| Found::of(code));
        find(name).or_else(|| {
            if self.own.is_empty() {
                return None;
            }
            match name.strip_prefix(&*self.own)? {
                "" => find("__init__"),
                rest => find(rest.strip_prefix('.')?),
            }
        })
    }

    fn find_path(&self, path: &str) -> Option<u32> {
        let same = |code: &u32| directory_key(self.files, *code) == path;
        self.by_directory.find(hash(path), same).map(|&code| code & !OTHER)
    }

    /// The module `name` (dotted) beside `file`, as a script would find it.
    pub(crate) fn find_beside(&self, file: u32, name: &str) -> Option<Found> {
        let path = self.files.path(file);
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        if directory.is_empty() || self.find_path(&format!("{directory}/__init__")).is_some() {
            return None;
        }
        self.find_path(&format!("{directory}/{}", name.replace('.', "/"))).map(Found::File)
    }

    /// Stable name of `file`'s module.
    pub(crate) fn name(&self, file: u32) -> &str {
        self.names.get(file as usize)
    }

    /// Importable name of the package that `file` is; empty for that of a source root itself.
    pub(crate) fn package_name(&self, file: u32) -> &str {
        match self.plain_name(file) {
            "__init__" => "",
            name => name,
        }
    }

    /// The module `name` of the package that `file` is.
    pub(crate) fn submodule(&self, file: u32, name: &str) -> Option<Found> {
        match self.package_name(file) {
            "" => self.find(name),
            package => self.find(&format!("{package}.{name}")),
        }
    }

    /// Importable name of `file`'s module.
    pub(crate) fn plain_name(&self, file: u32) -> &str {
        key(&self.names, &self.plain, &self.namespaces, file)
    }
}

/// The name by which a number in `by_name` is found.
fn key<'t>(names: &'t Texts, plain: &[u32], namespaces: &'t [Box<str>], code: u32) -> &'t str {
    match Found::of(code) {
        Found::File(file) => {
            let name = names.get(file as usize);
            name.get(..plain[file as usize] as usize).unwrap_or(name)
        }
        Found::Namespace(namespace) => &namespaces[namespace as usize],
    }
}

/// True where `src` is a source root: it holds sources and is no package.
fn src_layout(files: &dyn Input) -> bool {
    let (mut first, mut high) = (0, files.len());
    while first < high {
        let middle = first.midpoint(high);
        if files.path(middle) < "src/" {
            first = middle + 1;
        } else {
            high = middle;
        }
    }
    let inside =
        (first..files.len()).map(|file| files.path(file)).take_while(|path| path.starts_with("src/"));
    let mut any = false;
    for path in inside {
        any = true;
        if matches!(path, "src/__init__.py" | "src/__init__.pyi") {
            return false;
        }
    }
    any
}

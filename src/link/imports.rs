//! The module of each import row: absolute, relative, submodule, script-style neighbour.

use super::FileInput;
use super::modules::{Found, ModuleTable};
use crate::model::facts::{ImportKind, col, table};

/// Where an import row leads, before names are looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// The module named; `None` outside the project or missing.
    pub(crate) module: Option<Found>,
    /// `import a.b`: what the first part binds. `from m import n`: the submodule `m.n`.
    pub(crate) other: Option<Found>,
    /// The module lies below a package of the project but does not exist.
    pub(crate) missing: bool,
}

/// Targets of one file's import rows.
pub(crate) type Targets = Box<[Target]>;

/// Finds the modules of all import rows of `file`.
pub(crate) fn targets(files: &[FileInput<'_>], modules: &ModuleTable, file: u32) -> Targets {
    let Some(facts) = &files[file as usize].facts else { return Box::default() };
    let mut name = String::new();
    (0..facts.rows(table::Imports))
        .map(|row| {
            let kind = ImportKind::from_u32(facts.get(col::IMP_KIND, row));
            let written = facts.str(col::IMP_MODULE, row);
            let level = facts.get(col::IMP_LEVEL, row);
            name.clear();
            let mut missing = false;
            let module = if level == 0 {
                name.push_str(written);
                find(files, modules, file, written, &mut missing)
            } else {
                match anchor(modules, file, level) {
                    None => {
                        missing = true;
                        None
                    }
                    Some(package) => {
                        name.push_str(package);
                        if !written.is_empty() {
                            if !name.is_empty() {
                                name.push('.');
                            }
                            name.push_str(written);
                        }
                        let found = if name.is_empty() { None } else { modules.find(&name) };
                        missing = found.is_none() && !name.is_empty();
                        found
                    }
                }
            };
            let other = match kind {
                ImportKind::Module => {
                    written.split('.').next().and_then(|first| find(files, modules, file, first, &mut false))
                }
                ImportKind::From if module.is_some() || level > 0 => {
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.push_str(facts.str(col::IMP_NAME, row));
                    modules.find(&name)
                }
                _ => None,
            };
            Target { module, other, missing: missing && other.is_none() }
        })
        .collect()
}

/// The package that `level` dots lead to from `file`.
fn anchor(modules: &ModuleTable, file: u32, level: u32) -> Option<&str> {
    let mut package = modules.plain_name(file);
    let up = if modules.package[file as usize] { level - 1 } else { level };
    for step in 0..up {
        match package.rsplit_once('.') {
            Some((parent, _)) => package = parent,
            // One level above a top-level module is the source root itself.
            None if step + 1 == up => package = "",
            None => return None,
        }
    }
    Some(package)
}

fn find(
    files: &[FileInput<'_>],
    modules: &ModuleTable,
    file: u32,
    name: &str,
    missing: &mut bool,
) -> Option<Found> {
    if let Some(found) = modules.find(name) {
        return Some(found);
    }
    if let Some(found) = modules.find_beside(files[file as usize].path, name) {
        return Some(found);
    }
    *missing =
        name.split_once('.').is_some_and(|(first, _)| matches!(modules.find(first), Some(Found::File(_))));
    None
}

//! The module of each import row: absolute, relative, submodule, script-style neighbour.

use super::Listed;
use super::modules::{Found, ModuleTable};
use crate::model::facts::{Facts, ImportKind, col, table};

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

/// A target as it is kept: code of the module +1, code of the other +1 and [`MISSING`].
pub(crate) type Row = [u32; 2];

/// Files and namespaces are fewer than 2^28, so that this bit of the second number is free.
const MISSING: u32 = 1 << 30;

impl Target {
    fn row(self) -> Row {
        let code = |found: Option<Found>| found.map_or(0, |found| found.code() + 1);
        [code(self.module), code(self.other) | if self.missing { MISSING } else { 0 }]
    }

    fn of(row: Row) -> Self {
        let found = |code: u32| code.checked_sub(1).map(Found::of);
        Self { module: found(row[0]), other: found(row[1] & !MISSING), missing: row[1] & MISSING != 0 }
    }
}

/// Targets of all import rows of all files.
#[derive(Debug, Default)]
pub(crate) struct Imports(Listed<Row>);

impl Imports {
    pub(crate) fn new(rows: Listed<Row>) -> Self {
        Self(rows)
    }

    /// Targets of all import rows of `file`.
    pub(crate) fn of(&self, file: u32) -> impl Iterator<Item = Target> + '_ {
        self.0.get(file).iter().map(|&row| Target::of(row))
    }

    /// The target of import row `row` of `file`.
    #[inline]
    pub(crate) fn get(&self, file: u32, row: u32) -> Target {
        Target::of(self.0.get(file)[row as usize])
    }
}

/// The module that a kept target names.
pub(crate) fn module_of(row: Row) -> Option<Found> {
    Target::of(row).module
}

/// Finds the modules of all import rows of `file`.
pub(crate) fn targets(modules: &ModuleTable<'_>, facts: Option<&Facts<'_>>, file: u32) -> Vec<Row> {
    let Some(facts) = facts else { return Vec::new() };
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
                find(modules, file, written, &mut missing)
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
                    written.split('.').next().and_then(|first| find(modules, file, first, &mut false))
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
            Target { module, other, missing: missing && other.is_none() }.row()
        })
        .collect()
}

/// The package that `level` dots lead to from `file`.
fn anchor<'t>(modules: &'t ModuleTable<'_>, file: u32, level: u32) -> Option<&'t str> {
    let is_package = modules.package[file as usize];
    let mut package = if is_package { modules.package_name(file) } else { modules.plain_name(file) };
    let up = if is_package { level - 1 } else { level };
    if package.is_empty() && up > 0 {
        return None;
    }
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

fn find(modules: &ModuleTable<'_>, file: u32, name: &str, missing: &mut bool) -> Option<Found> {
    if let Some(found) = modules.find(name) {
        return Some(found);
    }
    if let Some(found) = modules.find_beside(file, name) {
        return Some(found);
    }
    *missing =
        name.split_once('.').is_some_and(|(first, _)| matches!(modules.find(first), Some(Found::File(_))));
    None
}

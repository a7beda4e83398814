//! One pass over the facts of all files for everything that needs no other file's: modules of import rows, star imports,
//! classes, methods.

use super::calls::method_rows;
use super::classes::{self, Found as FoundClasses};
use super::imports;
use super::{Listed, Lists, Project, stars};
use crate::sys::{Column, Scratch};
use std::sync::Arc;

/// What was found beside the modules of imports, which the project has by now.
pub(crate) struct Survey {
    /// For each file its star imports: import row and module.
    pub(crate) stars: Listed<[u32; 2]>,
    pub(crate) classes: FoundClasses,
    /// Hash of the name, number of the symbol.
    pub(crate) methods: Column<u64>,
}

/// Looks at every file once.
pub(crate) fn survey(project: &mut Project<'_>, scratch: &Arc<Scratch>) -> Survey {
    let mut imports = Lists::new(scratch);
    let mut stars = Lists::new(scratch);
    let mut found = FoundClasses::new(scratch);
    let mut methods = Column::new(scratch);
    project.in_order(
        16,
        |project, file| {
            project.touched(file);
            let targets = imports::targets(&project.table, project.facts(file), file);
            let stars = stars::direct(project.facts(file), &targets, file);
            let classes = classes::of_file(project.facts(file), &project.scratch);
            let methods = method_rows(project, file);
            (targets, stars, classes, methods)
        },
        |_, file, (targets, direct, classes, own)| {
            imports.push(&targets);
            stars.push(&direct);
            found.push(file, &classes);
            own.runs().into_iter().for_each(|run| methods.extend_from_slice(run));
        },
    );
    project.imports = imports::Imports::new(imports.finish());
    Survey { stars: stars.finish(), classes: found, methods }
}

//! Parts of a project that can't influence each other: files that import each other, directly or through others.

use crate::link::Project;
use crate::link::modules::Found;
use crate::model::facts::{Facts, table};

/// The parts, and how much there is of each.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// Part of each file: the number of its first file.
    pub(super) of: Vec<u32>,
}

/// Share of the limit of a part that one file may have.
const HUGE: u64 = 32;

/// Files that are solved together.
#[derive(Debug)]
pub(crate) struct Group {
    /// The files, sorted.
    pub(crate) files: Vec<u32>,
    /// False where there is too much of them: they are linked by name.
    pub(crate) solved: bool,
}

impl Parts {
    /// The weakly connected components of the import graph.
    pub(crate) fn new(project: &Project<'_>) -> Self {
        let count = project.files.len();
        let mut of: Vec<u32> = (0..count).collect();
        for file in 0..count {
            for target in project.imports.of(file) {
                for found in [target.module, target.other].into_iter().flatten() {
                    if let Found::File(other) = found {
                        union(&mut of, file, other);
                    }
                }
            }
            if let Some(&other) = project.table.beside.get(&file) {
                union(&mut of, file, other);
            }
        }
        for file in 0..count {
            of[file as usize] = find(&mut of, file);
        }
        Self { of }
    }

    /// Groups of files that are solved together: whole parts, of `most` constraints each if they are not larger themselves. Those above
    /// `limit` constraints, and single files above a [`HUGE`]th of it, are not solved, for they would take more memory and time than they
    /// are worth: such a file was written by a program.
    pub(crate) fn groups(&self, project: &Project<'_>, most: u64, limit: u64) -> Vec<Group> {
        let most = most.min(crate::link::MOST_CONSTRAINTS);
        let mut files: Vec<u32> = (0..self.of.len() as u32).collect();
        files.sort_by_key(|&file| self.of[file as usize]);
        let mut groups: Vec<Group> = Vec::new();
        let mut size = u64::MAX;
        let mut apart = Vec::new();
        for part in files.chunk_by(|&one, &other| self.of[one as usize] == self.of[other as usize]) {
            let sizes: Vec<(u32, u64)> = part
                .iter()
                .map(|&file| {
                    let facts = Facts::open(project.files.facts(file));
                    (file, facts.map_or(0, |facts| u64::from(facts.rows(table::Flow))))
                })
                .collect();
            let (part, huge): (Vec<_>, Vec<_>) =
                sizes.into_iter().partition(|&(_, size)| size <= limit / HUGE);
            apart.extend(huge.into_iter().map(|(file, _)| file));
            let own: u64 = part.iter().map(|&(_, size)| size).sum();
            let part: Vec<u32> = part.into_iter().map(|(file, _)| file).collect();
            if part.is_empty() {
                continue;
            }
            let solved = own <= limit;
            match groups.last_mut() {
                Some(group) if group.solved == solved && size.saturating_add(own) <= most => {
                    group.files.extend_from_slice(&part);
                    size += own;
                }
                _ => {
                    groups.push(Group { files: part, solved });
                    size = own;
                }
            }
        }
        if !apart.is_empty() {
            groups.push(Group { files: apart, solved: false });
        }
        groups.iter_mut().for_each(|group| group.files.sort_unstable());
        groups
    }
}

fn find(of: &mut [u32], file: u32) -> u32 {
    let mut root = file;
    while of[root as usize] != root {
        root = of[root as usize];
    }
    let mut at = file;
    while of[at as usize] != root {
        at = std::mem::replace(&mut of[at as usize], root);
    }
    root
}

/// The smaller number stands for both.
fn union(of: &mut [u32], one: u32, other: u32) {
    let (one, other) = (find(of, one), find(of, other));
    of[one.max(other) as usize] = one.min(other);
}

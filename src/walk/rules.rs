//! Which paths gitignore files, `--exclude` and `--include` leave out, with git's precedence.
//!
//! The innermost `.gitignore` that has an opinion decides, then those of the parent directories up to the
//! repository's root, then `.git/info/exclude`. A repository inside the tree starts afresh. The user's global
//! excludes are not read: the result must not depend on whose machine it is.

use std::borrow::Cow;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::{SkipReason, WalkError, WalkOptions, WalkProblem};
use crate::model::source::escape;
use crate::sys::open_regular;

/// No real ignore file is larger; a longer one is not read.
const MAX_IGNORE_FILE: u64 = 4 << 20;

/// One gitignore file and those it takes precedence over.
#[derive(Debug)]
pub(super) struct Rules {
    parent: Option<Arc<Self>>,
    matcher: Gitignore,
}

/// Whether any gitignore file in the chain leaves `path` (absolute) out.
pub(super) fn ignored(chain: Option<&Arc<Rules>>, path: &Path, is_dir: bool) -> bool {
    let mut next = chain;
    while let Some(rules) = next {
        match rules.matcher.matched(path, is_dir) {
            Match::Ignore(_) => return true,
            Match::Whitelist(_) => return false,
            Match::None => next = rules.parent.as_ref(),
        }
    }
    false
}

/// `chain` with the ignore file at `file`, whose patterns are relative to `dir`, put in front.
pub(super) fn with_file(
    chain: Option<Arc<Rules>>,
    dir: &Path,
    file: &Path,
    problems: &mut Vec<WalkProblem>,
) -> Option<Arc<Rules>> {
    let mut problem = |reason: String| {
        problems
            .push(WalkProblem { path: escape(file.as_os_str()), reason: SkipReason::BadIgnoreFile(reason) });
    };
    let bytes = match read(file) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return chain,
        Err(error) => {
            problem(error.to_string());
            return chain;
        }
    };
    let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes));
    let mut builder = GitignoreBuilder::new(dir);
    for line in text.lines() {
        if let Err(error) = builder.add_line(None, line) {
            problem(error.to_string());
        }
    }
    match builder.build() {
        Ok(matcher) if matcher.is_empty() => chain,
        Ok(matcher) => Some(Arc::new(Rules { parent: chain, matcher })),
        Err(error) => {
            problem(error.to_string());
            chain
        }
    }
}

/// The bytes of a regular file, `None` if there is none. As git, follows no symbolic link, and opens no FIFO.
fn read(file: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let meta = match file.symlink_metadata() {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !meta.is_file() {
        return Ok(None);
    }
    if meta.len() > MAX_IGNORE_FILE {
        return Err(std::io::Error::other("larger than 4 MiB, not read"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0));
    open_regular(file)?.take(MAX_IGNORE_FILE).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// A fresh chain for a repository's root: its `info/exclude` alone.
pub(super) fn repository(dir: &Path, problems: &mut Vec<WalkProblem>) -> Option<Arc<Rules>> {
    let exclude = git_dir(dir)?.join("info/exclude");
    with_file(None, dir, &exclude, problems)
}

/// The directory that holds `info/exclude`; `.git` is a file in a worktree and in a submodule.
fn git_dir(dir: &Path) -> Option<PathBuf> {
    let dot_git = dir.join(".git");
    let meta = dot_git.metadata().ok()?;
    if meta.is_dir() {
        return Some(dot_git);
    }
    let text = String::from_utf8(read(&dot_git).ok()??).ok()?;
    let git_dir = dir.join(text.strip_prefix("gitdir:")?.trim());
    match read(&git_dir.join("commondir")).ok()? {
        Some(common) => Some(git_dir.join(String::from_utf8(common).ok()?.trim())),
        None => Some(git_dir),
    }
}

/// The rules that the directories above `start` give it: up to its repository's root or, outside any
/// repository, up to the analyzed root. None at all where they ignore `start` itself, for it was named.
pub(super) fn above(root: &Path, start: &Path, problems: &mut Vec<WalkProblem>) -> Option<Arc<Rules>> {
    if start.join(".git").exists() {
        return None;
    }
    let repo = start.ancestors().skip(1).find(|dir| dir.join(".git").exists());
    if repo.is_none() && start == root {
        return None;
    }
    let top = repo.unwrap_or(root);
    let mut chain = repo.and_then(|repo| repository(repo, problems));
    let mut between: Vec<&Path> = start.ancestors().take_while(|dir| dir.starts_with(top)).collect();
    between.reverse();
    for pair in between.windows(2) {
        chain = with_file(chain, pair[0], &pair[0].join(".gitignore"), problems);
        if ignored(chain.as_ref(), pair[1], true) {
            return None;
        }
    }
    chain
}

/// `--exclude` and `--include`.
#[derive(Debug)]
pub(super) struct Filter {
    exclude: Gitignore,
    include: Gitignore,
    exclude_at: PathBuf,
    include_at: PathBuf,
}

/// What a filter says of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Excluded,
    /// An `--exclude '!...'` wins over gitignore files.
    Kept,
    Undecided,
}

impl Filter {
    pub(super) fn new(options: &WalkOptions) -> Result<Self, WalkError> {
        Ok(Self {
            exclude: globs(&options.exclude)?,
            include: globs(&options.include)?,
            exclude_at: options.exclude_at.clone(),
            include_at: options.include_at.clone(),
        })
    }

    /// `relative`: to the root.
    pub(super) fn verdict(&self, relative: &Path, is_dir: bool) -> Verdict {
        match self.exclude.matched(placed(&self.exclude_at, relative), is_dir) {
            Match::Ignore(_) => Verdict::Excluded,
            Match::Whitelist(_) => Verdict::Kept,
            Match::None => Verdict::Undecided,
        }
    }

    /// Whether a file is among those asked for; all are where nothing was asked for.
    pub(super) fn includes(&self, relative: &Path) -> bool {
        self.include.is_empty()
            || self.include.matched_path_or_any_parents(placed(&self.include_at, relative), false).is_ignore()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.exclude.is_empty() && self.include.is_empty()
    }
}

/// `relative` as the folder of the globs sees it.
fn placed<'a>(at: &Path, relative: &'a Path) -> Cow<'a, Path> {
    if at.as_os_str().is_empty() { Cow::Borrowed(relative) } else { Cow::Owned(at.join(relative)) }
}

fn globs(patterns: &[String]) -> Result<Gitignore, WalkError> {
    let mut builder = GitignoreBuilder::new("");
    // In a flag a typo should be told; in a file git is lenient.
    builder.allow_unclosed_class(false);
    for pattern in patterns {
        builder
            .add_line(None, pattern)
            .map_err(|error| WalkError::Glob { glob: pattern.clone(), message: error.to_string() })?;
    }
    builder.build().map_err(|error| WalkError::Glob { glob: patterns.join(", "), message: error.to_string() })
}

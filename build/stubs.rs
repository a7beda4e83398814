//! The stubs: which modules there are, and their syntax trees.

use ruff_db::vendored::{VendoredFileSystem, VendoredPath};
use ruff_python_ast::ModModule;

/// A module's stub.
pub(crate) struct Stub {
    /// Dotted name.
    pub(crate) name: String,
    /// Whether it is a package.
    pub(crate) package: bool,
    /// What it says.
    pub(crate) tree: ModModule,
}

/// Oldest Python 3 that is of interest: modules that it did not have any more are left out.
const OLDEST: u32 = 9;

/// All stubs of the standard library, sorted by name.
pub(crate) fn read() -> Vec<Stub> {
    let files = ty_vendored::file_system();
    let versions = files.read_to_string("stdlib/VERSIONS").expect("typeshed says what there was when");
    let mut paths = Vec::new();
    list(files, VendoredPath::new("stdlib"), &mut paths);
    let mut stubs: Vec<Stub> = paths
        .iter()
        .filter_map(|path| {
            let plain = path.strip_prefix("stdlib/")?.strip_suffix(".pyi")?;
            let (plain, package) =
                plain.strip_suffix("/__init__").map_or((plain, false), |folder| (folder, true));
            let name = plain.replace('/', ".");
            if name.starts_with("ty_extensions") || is_gone(&versions, &name) {
                return None;
            }
            let text = files.read_to_string(VendoredPath::new(path)).expect("a listed file can be read");
            let tree = ruff_python_parser::parse_module(&text)
                .expect("a stub of typeshed can be parsed")
                .into_syntax();
            Some(Stub { name, package, tree })
        })
        .collect();
    stubs.sort_by(|one, other| one.name.cmp(&other.name));
    stubs
}

/// Adds the files in and below `folder`.
fn list(files: &VendoredFileSystem, folder: &VendoredPath, to: &mut Vec<String>) {
    for entry in files.read_directory(folder) {
        if entry.file_type().is_directory() {
            list(files, entry.path(), to);
        } else {
            to.push(entry.path().as_str().to_owned());
        }
    }
}

/// Whether `module` had been removed before [`OLDEST`]. What is not listed has the lifetime of the package around it.
fn is_gone(versions: &str, module: &str) -> bool {
    let mut name = Some(module);
    while let Some(now) = name {
        let range = versions.lines().find_map(|line| line.strip_prefix(now)?.strip_prefix(": 3."));
        if let Some(range) = range {
            let range = range.split('#').next().unwrap_or_default();
            let last = range.trim_end().split_once("-3.").and_then(|(_, last)| last.parse::<u32>().ok());
            return last.is_some_and(|last| last < OLDEST);
        }
        name = now.rsplit_once('.').map(|(package, _)| package);
    }
    false
}

//! A temporary project and the binary that looks at it.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A temporary folder with a project in `tree`; the cache is in `cache` beside it.
pub(crate) struct Project {
    folder: tempfile::TempDir,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code; `None` where a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Project {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("tree")).expect("a folder");
        Self { folder }
    }

    /// A small package that has something of everything.
    pub(crate) fn shop() -> Self {
        Self::new()
            .file("shop/__init__.py", "")
            .file(
                "shop/cart.py",
                "\
from shop import prices
import os

class Cart:
    def __init__(self):
        self.items = []

    def total(self):
        return sum(prices.price(item) for item in self.items)

def main(argv):
    cart = Cart()
    cart.total()
    print(os.getcwd())
    nowhere.thing()
",
            )
            .file(
                "shop/prices.py",
                "\
from shop.cart import Cart

class Special(Cart):
    pass

def price(item):
    return 1
",
            )
            .file("shop/broken.py", "def f(:\n    pass\n")
    }

    /// A tree of `files` modules that import and call each other; each has some hundred lines.
    pub(crate) fn generated(files: usize) -> Self {
        let project = Self::new();
        project.generate("pkg", files);
        project
    }

    /// Adds such a tree below `folder`.
    pub(crate) fn generate(&self, folder: &str, files: usize) {
        let package = folder.rsplit('/').next().unwrap_or(folder);
        self.write(format!("{folder}/__init__.py"), "");
        for number in 0..files {
            self.write(format!("{folder}/m{number}.py"), &module(package, number, files));
        }
    }

    pub(crate) fn file(self, path: impl AsRef<Path>, content: &str) -> Self {
        self.write(path, content);
        self
    }

    pub(crate) fn write(&self, path: impl AsRef<Path>, content: &str) {
        let path = self.tree().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(path, content).expect("a file");
    }

    /// The temporary folder itself.
    pub(crate) fn outside(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.folder.path().join("tree")
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// The binary with these arguments, in the tree, with an environment that configures nothing and the cache beside the tree.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = binary(&self.tree());
        command.args(arguments).env("PARSER_CACHE_DIR", self.cache());
        command
    }

    /// The same as a user to whom permissions apply; nothing where there is none, with a word about it. The project can then be
    /// read by everyone.
    pub(crate) fn unprivileged<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Option<Command> {
        use std::os::unix::fs::PermissionsExt as _;
        use std::os::unix::process::CommandExt as _;
        let probe = self.folder.path().join("probe");
        fs::write(&probe, "").expect("a file");
        fs::set_permissions(&probe, fs::Permissions::from_mode(0o000)).expect("a mode");
        if fs::read(&probe).is_err() {
            return Some(self.command(arguments));
        }
        fs::set_permissions(self.folder.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        let mut command = self.command(arguments);
        command.uid(65_534).gid(65_534);
        let mut probe = self.command(&["--version"]);
        match probe.uid(65_534).gid(65_534).output() {
            Ok(output) if output.status.success() => Some(command),
            failed => {
                skipped(&format!(
                    "permissions: this user may do everything, and nobody may not run it: {failed:?}"
                ));
                None
            }
        }
    }

    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Ran {
        ran(&mut self.command(arguments))
    }

    /// Standard output of a run that must end well.
    pub(crate) fn out<A: AsRef<OsStr>>(&self, arguments: &[A]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.stdout
    }

    /// The JSON report of `analyze` with more arguments.
    pub(crate) fn report(&self, more: &[&str]) -> Value {
        let arguments: Vec<&str> =
            ["analyze", "--output-format", "json"].iter().chain(more).copied().collect();
        serde_json::from_str(&self.out(&arguments)).expect("JSON")
    }

    /// The digest of a run that neither reads nor writes a cache.
    pub(crate) fn clean_digest(&self) -> String {
        digest(&self.report(&["--no-cache"]))
    }

    /// Every file in the cache whose name ends so.
    pub(crate) fn cached(&self, ending: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        files_below(&self.cache(), &mut found);
        found.retain(|path| path.to_string_lossy().ends_with(ending));
        found.sort();
        found
    }
}

/// Source of one generated module.
fn module(package: &str, number: usize, files: usize) -> String {
    use std::fmt::Write as _;
    let next = (number + 1) % files;
    let mut text = format!("from {package} import m{next}\nfrom {package}.m{next} import Thing as Other\n\n");
    text.push_str("class Thing:\n    def __init__(self, size=1):\n        self.size = size\n");
    for method in 0..30 {
        let _ = write!(
            text,
            "
    def method_{method}(self, value, *rest, flag=True):
        # {number} {method}
        if flag and value > {method}:
            return m{next}.function(value + self.size) or Other().method_{method}(rest)
        return [helper(item) for item in rest if item]
"
        );
    }
    text.push_str("\ndef helper(x):\n    return str(x)\n\ndef function(x):\n    return helper(Thing(x))\n");
    text
}

/// Says what was not checked, past what keeps the output of tests that pass.
pub(crate) fn skipped(reason: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "!!!! SKIPPED: {reason}");
}

/// The binary in `folder`, with an environment that configures nothing.
pub(crate) fn binary(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pydebug"));
    command.current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if ["PARSER_", "PYDEBUG_", "NO_COLOR", "CLICOLOR"]
            .iter()
            .any(|start| name.to_string_lossy().starts_with(start))
        {
            command.env_remove(name);
        }
    }
    command
}

pub(crate) fn ran(command: &mut Command) -> Ran {
    ended(command.output().expect("the binary starts"))
}

pub(crate) fn ended(output: Output) -> Ran {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    let ran = Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    ran
}

/// Starts the binary and returns after its first event of progress.
pub(crate) fn started(mut command: Command) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut event = String::new();
    stderr.read_line(&mut event).expect("an event");
    assert!(event.starts_with("{\"current_file\":"), "{event}");
    (child, stderr)
}

pub(crate) fn digest(report: &Value) -> String {
    let digest = report["graph_digest"].as_str().expect("a digest").to_owned();
    assert_eq!(digest.len(), 64, "{digest}");
    digest
}

pub(crate) fn hit_rate(report: &Value) -> f64 {
    report["metrics"]["cache_stats"]["hit_rate_percent"].as_f64().expect("a rate")
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_below(&entry.path(), found),
            _ => found.push(entry.path()),
        }
    }
}

/// Copies a tree; every file gets new times.
pub(crate) fn copy_tree(from: &Path, to: &Path) {
    let mut found = Vec::new();
    files_below(from, &mut found);
    for file in found {
        let target = to.join(file.strip_prefix(from).expect("below"));
        fs::create_dir_all(target.parent().expect("a folder")).expect("folders");
        fs::write(target, fs::read(&file).expect("a file")).expect("a file");
    }
}

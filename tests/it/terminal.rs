//! Text of the analyzed tree that would act on a terminal, or read as other text than it is, wherever it can stand.

#![cfg(unix)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;

use pydebug::model::source::unescape;
use pydebug::report::escape::is_unsafe;

use crate::project::{Project, Ran, ran};

/// Colour, title, erase, next line, reversed order, isolate, byte order mark, delete.
const RAW: [&str; 8] =
    ["\x1b[31m", "\x1b]0;t\x07", "\u{9b}2J", "\u{85}", "\u{202e}", "\u{2066}", "\u{feff}", "\x7f"];

/// Fails on anything raw in what a terminal is given.
fn assert_tame(what: &str, text: &str) {
    let raw = |character: char| character != '\n' && is_unsafe(character);
    let line = text.lines().find(|line| line.contains(raw)).unwrap_or_default();
    let place = line.find(raw).unwrap_or(0);
    let start = (0..=place.saturating_sub(100)).rev().find(|&at| line.is_char_boundary(at)).unwrap_or(0);
    assert!(line.is_empty(), "{what}: {:?}", line[start..].chars().take(200).collect::<String>());
}

fn check(project: &Project, arguments: &[&str]) -> Ran {
    check_run(&arguments.join(" "), project.run(arguments))
}

fn check_run(what: &str, done: Ran) -> Ran {
    assert!(matches!(done.code, Some(0..=2)), "{what}: {}", done.stderr);
    // CSV ends its lines so.
    assert_tame(&format!("{what}, standard output"), &done.stdout.replace("\r\n", "\n"));
    assert_tame(&format!("{what}, standard error"), &done.stderr);
    done
}

/// Sources, folders, links and ignore files with all of it in them.
fn hostile() -> Project {
    let project = Project::shop();
    for (number, raw) in RAW.iter().enumerate() {
        let quotes = "\"\"\"";
        let text = format!(
            "{quotes}Docstring {raw}{quotes}
import shop.cart
__all__ = ['x{raw}']
def f{number}(a: 'int{raw}' = '{raw}') -> '{raw}':
    {quotes}{raw}{quotes}
    return __import__('m{raw}'), '{raw}'.join(a), getattr(a, '{raw}')()
class C{number}('{raw}'):
    __slots__ = ('{raw}',)
"
        );
        project.write(format!("bad{raw}{number}.py"), &text);
        let broken = format!("from . import f{number}\nx = {raw}\ndef {raw}(:\n'{raw}\n");
        project.write(format!("dir{raw}/sub{number}.py"), &broken);
        project.write(format!("dir{raw}/.gitignore"), &format!("[{raw}\n{{{{{raw}\n"));
        let link = project.tree().join(format!("link{raw}{number}.py"));
        symlink(format!("/nowhere/{raw}"), link).expect("a link");
    }
    let name = project.tree().join(OsStr::from_bytes(b"latin\xe9\x9b\x1b.py"));
    fs::write(name, "# -*- coding: \x1b[31mlatin\u{9b} -*-\n").expect("a file");
    project
}

#[test]
fn reports_and_graphs() {
    let project = hostile();
    for format in ["full", "concise", "json", "jsonl"] {
        let done = check(&project, &["analyze", "--output-format", format]);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        check(&project, &["analyze", "-v", "--output-format", format]);
        check(&project, &["analyze", "--no-cache", "-vvv", "--output-format", format]);
    }
    check(&project, &["analyze", "--no-cache", "--progress", "json", "-q"]);
    for kind in ["calls", "imports", "inherits"] {
        for format in ["json", "dot", "mermaid", "graphml", "csv"] {
            check(&project, &["graph", kind, "--format", format]);
        }
    }
    // What JSON escapes, its readers get back.
    let report = project.report(&[]);
    let files = report["files"].as_array().expect("files");
    let paths: Vec<_> = files.iter().filter_map(|file| Some(unescape(file["path"].as_str()?))).collect();
    for (number, raw) in RAW.iter().enumerate() {
        assert!(paths.contains(&format!("bad{raw}{number}.py").into()), "{raw:?}: {paths:?}");
    }
    assert!(paths.iter().any(|path| path.as_bytes() == b"latin\xe9\x9b\x1b.py"), "{paths:?}");
}

#[test]
fn the_cache_and_its_troubles() {
    let project = hostile();
    project.report(&[]);
    for (number, raw) in RAW.iter().enumerate() {
        let shown = check(&project, &["cache", "show", &format!("bad{raw}{number}.py")]);
        assert_eq!(shown.code, Some(0), "{raw:?}: {}", shown.stderr);
        for arguments in [["cache", "show"], ["cache", "import"], ["analyze", "-q"]] {
            let missing = format!("missing{raw}.py");
            let done = check(&project, &[&arguments[..], &[&missing]].concat());
            assert_eq!(done.code, Some(2), "{arguments:?} {raw:?}");
        }
        check(&project, &["analyze", "-o", &format!("../none{raw}/file")]);
    }
    // A cache below a folder of such a name.
    let odd = format!("{}/tree", RAW.concat());
    project.write(format!("{odd}/a.py"), "x = 1\n");
    let cache = project.tree().join(&odd).join(".cache/parser");
    let check = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        check_run(
            &arguments.join(" "),
            ran(command.env_remove("PARSER_CACHE_DIR").current_dir(project.tree().join(&odd))),
        )
    };
    for what in [
        &["analyze"][..],
        &["analyze", "-q", "--cache-dir", &odd],
        &["config"],
        &["cache", "info"],
        &["cache", "verify"],
        &["cache", "gc"],
    ] {
        check(what);
    }
    for entry in fs::read_dir(cache.join("v1/manifests")).expect("a folder").flatten() {
        fs::write(entry.path(), "damaged").expect("written");
    }
    assert_eq!(check(&["cache", "verify"]).code, Some(1));
    let told = check(&["analyze", "-q"]);
    assert!(told.stderr.contains("its contents are rebuilt"), "{}", told.stderr);
    fs::remove_dir_all(&cache).expect("removed");
    fs::write(&cache, "").expect("a file");
    let told = check(&["analyze", "-q"]);
    assert!(told.stderr.contains("cannot be used"), "{}", told.stderr);
}

#[test]
fn the_configuration() {
    let project = Project::shop();
    for raw in RAW {
        // As TOML writes it within a string; where it stands raw, the file is wrong in another way.
        let escaped: String =
            raw.chars().map(|character| format!("\\U{:08x}", u32::from(character))).collect();
        for text in [raw, &escaped] {
            for toml in [
                format!("[project]\nname = \"p{text}\"\n"),
                format!("[tool.pydebug]\n\"key{text}\" = 1\n"),
                format!("[tool.pydebug]\nproject = \"{text}\"\n"),
                format!("[tool.pydebug]\nexclude = [\"{text}[\"]\n"),
                format!("[tool.pydebug]\nsource-roots = [\"{text}\"]\n"),
                format!("[tool.pydebug]\npreset = \"{text}\"\n"),
                format!("[tool.pydebug.{text}]\n"),
                format!("{text}\n"),
            ] {
                project.write("pyproject.toml", &toml);
                check(&project, &["config"]);
                check(&project, &["config", "--format", "json"]);
                check(&project, &["analyze", "--output-format", "concise"]);
            }
        }
    }
}

//! Settings from files, variables and flags, as the binary shows them.

use std::fs;

use serde_json::Value;

use crate::project::{Project, binary, digest, ran};

fn origin(text: &str, setting: &str) -> (String, String) {
    let config: Value = serde_json::from_str(text).expect("JSON");
    let row = &config["settings"][setting];
    let shown = row["value"].as_str().map_or_else(|| row["value"].to_string(), str::to_owned);
    (shown, row["origin"].as_str().expect("an origin").to_owned())
}

#[test]
fn layers() {
    let project = Project::shop().file(
        "../pyproject.toml",
        "[tool.pydebug]\nmax-workers = 3\nchunk-size-kb = 64\nexclude = ['/tree/shop/broken.py']\n",
    );
    let mut command = project.command(&["config", "--format", "json", "-j", "5"]);
    let shown = ran(command.env("PARSER_CHUNK_SIZE_KB", "256").env("PARSER_GC_THRESHOLD", "7"));
    let at = |name: &str| origin(&shown.stdout, name);
    assert_eq!(at("max-workers"), ("5".into(), "flag --jobs".into()));
    assert_eq!(at("chunk-size-kb"), ("256".into(), "environment PARSER_CHUNK_SIZE_KB".into()));
    assert_eq!(at("gc-threshold"), ("7".into(), "environment PARSER_GC_THRESHOLD".into()));
    assert_eq!(at("strategy"), ("adaptive".into(), "default".into()));
    assert_eq!(at("max-memory-mb"), ("auto".into(), "default".into()));
    let (_, from) = at("exclude");
    assert!(from.ends_with("pyproject.toml"), "{from}");
    assert_eq!(project.report(&[])["metrics"]["total_files"], 3, "the parent's pyproject.toml counts");
    assert_eq!(project.report(&["--isolated"])["metrics"]["total_files"], 4);
}

#[test]
fn mistakes_name_the_fix() {
    let project = Project::shop();
    for (text, message) in [
        (
            "[tool.pydebug]\nmax_workers = 3\n",
            "line 2: unknown setting `max_workers`; the nearest known one is `max-workers`",
        ),
        ("[tool.pydebug]\ngate = false\n", "line 2: unknown setting `gate`"),
        ("[tool.pydebug]\ncalls = false\n", "line 2: `calls` cannot be `false`; write flow or names"),
        (
            "[tool.pydebug]\nmax-workers = 'many'\n",
            "`max-workers` cannot be `many`; write a whole number from 1 to 1024, or auto",
        ),
        (
            "[tool.pydebug]\nstore-url = 'postgresql://evil/db'\n",
            "addresses inside the analyzed tree are refused",
        ),
        ("[tool\n", "invalid TOML"),
    ] {
        project.write("pyproject.toml", text);
        for arguments in [&["analyze"][..], &["config"]] {
            let ran = project.run(arguments);
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{text}");
            assert!(
                ran.stderr.starts_with("error: ") && ran.stderr.contains(message),
                "{text}: {}",
                ran.stderr
            );
        }
        assert_eq!(project.run(&["analyze", "--isolated"]).code, Some(0));
    }
    fs::remove_file(project.tree().join("pyproject.toml")).expect("removed");
    let mut command = project.command(&["analyze"]);
    let misspelt = ran(command.env("PARSER_MAX_WORKER", "3"));
    assert!(misspelt.stderr.contains("the nearest known one is `PARSER_MAX_WORKERS`"), "{}", misspelt.stderr);
}

#[test]
fn source_roots() {
    let project = Project::new()
        .file("python/app/__init__.py", "")
        .file("python/app/core.py", "def f():\n    return g()\n\ndef g():\n    pass\n")
        .file("python/main.py", "from app.core import f\nf()\n");
    let modules = |project: &Project| -> Vec<String> {
        let graph: Value =
            serde_json::from_str(&project.out(&["graph", "calls", "--no-external"])).expect("JSON");
        graph.as_object().expect("an object").keys().cloned().collect()
    };
    project.write("pyproject.toml", "[tool.pydebug]\nsource-roots = ['python']\n");
    assert_eq!(modules(&project), ["app", "app.core", "app.core.f", "app.core.g", "main"]);
    let with = digest(&project.report(&[]));
    project.write("pyproject.toml", "[tool.pydebug]\nsource-roots = ['.']\n");
    assert!(modules(&project).contains(&"python.app.core.f".to_owned()));
    assert_ne!(digest(&project.report(&[])), with);
}

#[test]
fn default_cache_is_below_the_root() {
    let project = Project::shop();
    let first = ran(binary(&project.tree()).args(["analyze", "-q"]).env_remove("HOME"));
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    let cache = project.tree().join(".cache/parser");
    assert!(cache.join("CACHEDIR.TAG").is_file() && cache.join(".gitignore").is_file());
    // The cache lies below the root and is no part of the graph.
    assert_eq!(project.report(&[])["metrics"]["total_files"], 4);
    let disabled = ran(binary(&project.tree()).args(["cache", "info", "--no-cache"]));
    assert_eq!(disabled.code, Some(2));
    assert!(disabled.stderr.contains("the cache is switched off"), "{}", disabled.stderr);
}

#[test]
fn presets() {
    let project = Project::shop();
    let text = project.out(&["config", "--preset", "minimal"]);
    let rows: Vec<String> = text
        .lines()
        .skip(4)
        .take(13)
        .map(|line| {
            line.split("  ")
                .filter(|cell| !cell.is_empty())
                .take(3)
                .map(str::trim)
                .collect::<Vec<_>>()
                .join(" | ")
        })
        .filter(|row| !row.starts_with("cache-dir"))
        .collect();
    insta::assert_snapshot!(rows.join("\n"), @r#"
    preset | minimal | flag --preset
    cache-enabled | true | preset minimal
    cache-max-size-mb | 256 | preset minimal
    max-workers | 1 | preset minimal
    strategy | thread | preset minimal
    file-timeout-seconds | 60 | preset minimal
    worker-memory-mb | auto | preset minimal
    max-memory-mb | 64 | preset minimal
    chunking | ast | preset minimal
    chunk-size-kb | 128 | preset minimal
    memory-threshold-mb | 64 | preset minimal
    gc-threshold | 100 | preset minimal
    "#);
}

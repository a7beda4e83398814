//! The memory budget: where it comes from, what is done to keep to it, and that nothing of that shows in the graph.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::project::{Project, digest, ran, skipped};

#[test]
fn the_budget_says_where_it_comes_from() {
    let project = Project::shop();
    let settings =
        |command: &mut Command| -> Value { serde_json::from_str(&ran(command).stdout).expect("JSON") };
    let mut command = project.command(&["config", "--format", "json"]);
    let row = &settings(command.env("PARSER_MAX_MEMORY_MB", "300"))["settings"]["max-memory-mb"];
    assert_eq!((&row["value"], &row["effective"]["mb"]), (&300.into(), &300.into()));
    assert_eq!(row["effective"]["source"], "environment PARSER_MAX_MEMORY_MB");
    let row = &settings(&mut project.command(&["config", "--format", "json"]))["settings"]["max-memory-mb"];
    assert_eq!(row["value"], "auto");
    let megabytes = row["effective"]["mb"].as_u64().expect("a number");
    assert!(megabytes <= 2048, "{row}");
    let text = project.out(&["config"]);
    assert!(text.contains(&format!("auto ({megabytes})")), "{text}");
}

#[test]
fn metrics_tell_of_memory() {
    let project = Project::shop();
    let file = project.outside().join("metrics.json");
    let mut command = project.command(&["analyze", "-v", "--metrics-file", file.to_str().expect("UTF-8")]);
    let shown = ran(command.env("PARSER_MAX_MEMORY_MB", "300"));
    assert!(
        shown.stdout.contains("peak of a budget of 300 MB (environment PARSER_MAX_MEMORY_MB)"),
        "{}",
        shown.stdout
    );
    let metrics: Value = serde_json::from_str(&fs::read_to_string(&file).expect("a file")).expect("JSON");
    let memory = &metrics["memory"];
    assert_eq!(memory["budget_mb"], 300.0);
    for name in ["peak_mb", "peak_private_mb", "estimated_task_max_mb", "estimated_task_mean_mb"] {
        assert!(memory[name].as_f64().is_some_and(|megabytes| megabytes > 0.0), "{name}: {memory}");
    }
    assert_eq!(memory["pressure"]["critical"], 0);
    // A run that finds nothing to do knows its budget too.
    let warm = &project.report(&[])["metrics"];
    assert_eq!((&warm["misses"], &warm["memory"]["estimated_tasks"]), (&0.into(), &0.into()));
    assert!(warm["memory"]["budget_mb"].as_f64().is_some_and(|megabytes| megabytes > 0.0));
}

#[test]
fn texts_that_are_mapped_give_the_same_graph() {
    let project = Project::generated(10);
    let methods = |count: usize| -> String {
        let method =
            |at: usize| format!("    def method_{at}(self, a_{at}):\n        return helper(a_{at}, {at})\n");
        (0..count).map(method).collect()
    };
    project.write("large.py", &format!("class Large:\n{}", methods(40_000)));
    let mut latin = b"# coding: latin-1\nclass Other:\n    '\xe4\xf6'\n".to_vec();
    latin.extend_from_slice(methods(30_000).as_bytes());
    fs::write(project.tree().join("latin.py"), &latin).expect("a file");
    fs::write(project.tree().join("lossy.py"), latin.split_at(18).1).expect("a file");
    project.write("broken.py", &format!("class Broken:\n{}def (:\n", methods(30_000)));
    let clean = project.clean_digest();
    for strategy in ["thread", "process", "hybrid"] {
        let cache = project.outside().join(strategy);
        let cache = cache.to_str().expect("UTF-8");
        let run = || -> Value {
            let mut command =
                project.command(&["analyze", "--output-format", "json", "--strategy", strategy]);
            command.args(["--cache-dir", cache]).env("PARSER_MAX_MEMORY_MB", "96");
            serde_json::from_str(&ran(&mut command).stdout).expect("JSON")
        };
        let cold = run();
        assert_eq!(digest(&cold), clean, "{strategy}");
        assert_eq!(cold["metrics"]["strategy"], strategy);
        // Through the packs, for the snapshot is gone.
        fs::remove_dir_all(project.outside().join(strategy).join("v1/snapshots")).expect("a folder");
        let warm = run();
        assert_eq!(digest(&warm), clean, "{strategy}");
        assert_eq!(warm["metrics"]["misses"], 0, "{strategy}");
    }
}

/// Large files of shapes whose trees take many times their text, and small ones.
fn heavy() -> Project {
    let project = Project::generated(60);
    for number in 0..4 {
        project.write(format!("tiny{number}.py"), &"a\n".repeat(200 << 10));
        project.write(
            format!("table{number}.py"),
            &format!("x = [\n{}]\n", "    (1, 2, 'three'),\n".repeat(40 << 10)),
        );
        let names: String = (0..20_000).map(|at| format!("name_{number}_{at} = other_{at}\n")).collect();
        project.write(format!("names{number}.py"), &names);
    }
    project
}

#[test]
fn a_small_budget_changes_nothing_but_the_way() {
    let project = heavy();
    let run = |budget: &str, threshold: &str| -> Value {
        let mut command = project.command(&["analyze", "--output-format", "json", "--no-cache"]);
        command.env("PARSER_MAX_MEMORY_MB", budget).env("PARSER_MEMORY_THRESHOLD_MB", threshold);
        serde_json::from_str(&ran(&mut command).stdout).expect("JSON")
    };
    let (wide, narrow) = (run("2048", "1024"), run("64", "16"));
    assert_eq!(wide["metrics"]["memory"]["pressure"]["low"], 0);
    assert_eq!(digest(&narrow), digest(&wide));
    let memory = &narrow["metrics"]["memory"];
    assert!(memory["estimated_tasks"].as_u64().is_some_and(|tasks| tasks >= 12), "{memory}");
    assert!(memory["decisions"]["chunked_early"].as_u64().is_some_and(|files| files >= 4), "{memory}");
    assert!(memory["pressure"]["low"].as_u64().is_some_and(|times| times > 0), "{memory}");
    let peak = |report: &Value| report["metrics"]["memory"]["peak_mb"].as_f64().expect("a number");
    assert!(peak(&narrow) < peak(&wide), "{} and {}", peak(&narrow), peak(&wide));
}

/// A control group with a memory limit, removed at the end.
struct Group(PathBuf);

impl Group {
    /// The reason where there can be none.
    fn new(megabytes: u64) -> Result<Self, String> {
        let own = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
        let path = |controllers: &str| {
            own.lines().filter_map(|line| line.split_once(':')?.1.split_once(':')).find_map(
                |(names, path)| {
                    names
                        .split(',')
                        .any(|name| name == controllers)
                        .then(|| path.trim_start_matches('/').to_owned())
                },
            )
        };
        let (folder, file) = match path("memory") {
            Some(path) => (Path::new("/sys/fs/cgroup/memory").join(path), "memory.limit_in_bytes"),
            None => (Path::new("/sys/fs/cgroup").join(path("").ok_or("no control groups")?), "memory.max"),
        };
        let group = Self(folder.join(format!("pydebug-test-{}", std::process::id())));
        fs::create_dir(&group.0).map_err(|error| format!("`{}`: {error}", group.0.display()))?;
        let limit = (megabytes << 20).to_string();
        fs::write(group.0.join(file), limit).map_err(|error| format!("no memory limit: {error}"))?;
        // Swap would hide what is too much.
        let _ = fs::write(group.0.join("memory.swap.max"), "0");
        Ok(group)
    }

    /// `command` within it.
    fn run(&self, command: &Command) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""]).arg(&self.0);
        shell.arg(command.get_program()).args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            shell.current_dir(folder);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_control_group_of_128_mb_is_enough() {
    let group = match Group::new(128) {
        Ok(group) => group,
        Err(reason) => {
            skipped(&format!("no control group can be made here: {reason}"));
            return;
        }
    };
    let project = heavy();
    let wide = project.clean_digest();
    for arguments in [&["--no-cache"][..], &[], &[]] {
        let all: Vec<&str> =
            ["analyze", "--output-format", "json"].iter().chain(arguments).copied().collect();
        let narrow = ran(&mut group.run(&project.command(&all)));
        assert_eq!(narrow.code, Some(0), "{}", narrow.stderr);
        let report: Value = serde_json::from_str(&narrow.stdout).expect("JSON");
        assert_eq!(digest(&report), wide);
        let memory = &report["metrics"]["memory"];
        assert_eq!(memory["budget_mb"], 96.0);
        let source = memory["budget_source"].as_str().expect("text");
        assert!(source.starts_with("three quarters of the 128 MB of control group `/"), "{source}");
        assert!(memory["peak_mb"].as_f64().is_some_and(|megabytes| megabytes < 128.0), "{memory}");
    }
}

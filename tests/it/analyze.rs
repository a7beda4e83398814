//! `pydebug analyze`: reports, files, exit codes.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::project::{Project, digest, ended, hit_rate, ran, started};

/// Text without what differs from run to run: times, sizes, folders.
fn steady(text: &str, project: &Project) -> String {
    let root = project.tree().canonicalize().expect("a path");
    text.replace(root.to_str().expect("UTF-8"), "<tree>")
        .lines()
        .filter(|line| !line.starts_with("  walk") && !line.starts_with("Time") && !line.starts_with("Graph"))
        .map(|line| match line.split_once("hits") {
            Some((before, _)) => format!("{before}hits"),
            None => line.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn full() {
    let project = Project::shop();
    insta::assert_snapshot!(steady(&project.out(&["analyze"]), &project), @r#"
    <tree>

    Files                          4
      changed                      4
      cached                       0
      partial                      1  syntax errors; what could be read is in the graph
      failed                       0

    Symbols                       12
      class                        2   16.7%
      function                     3   25.0%
      instance variable            1    8.3%
      method                       2   16.7%
      module                       4   33.3%

    Imports                        3
      external                     1   33.3%
      resolved                     2   66.7%

    Call sites                     7
      resolved                     3   42.9%  to the project's own code
      ambiguous                    0    0.0%
      external                     1   14.3%  into other packages
      builtin                      2   28.6%
      unresolved                   1   14.3%
        unbound name 1

    Edges                         25
      CALLS                        6   24.0%
      CONTAINS                     4   16.0%
      DEFINES                      8   32.0%
      IMPORTS                      3   12.0%
      INHERITS                     1    4.0%
      INSTANTIATES                 1    4.0%
      REFERENCES                   2    8.0%

    Import cycles                  1  groups of modules that import each other when loaded
      2 modules: shop.cart, shop.prices

    Syntax errors                  3
      shop/broken.py:1:7: Expected a parameter or the end of the parameter list
      shop/broken.py:2:1: unexpected EOF while parsing
      shop/broken.py:2:5: Unexpected indentation


    Cache                       0.0%  hits
    "#);
}

#[test]
fn concise() {
    let project = Project::shop();
    let text = project.out(&["analyze", "--output-format", "concise"]);
    let (text, _time) = text.rsplit_once(", ").expect("a time at the end");
    insta::assert_snapshot!(text, @r#"
    shop/broken.py:1:7: syntax error: Expected a parameter or the end of the parameter list
    shop/broken.py:2:1: syntax error: unexpected EOF while parsing
    shop/broken.py:2:5: syntax error: Unexpected indentation
    unnamed: 4 files (4 changed, 0 cached, 0 failed), 12 symbols, 7 call sites (42.9% resolved), 1 import cycle
    "#);
}

/// Keys in the order in which they stand in the text.
fn keys(json: &str, of: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(json).expect("JSON");
    let object = if of.is_empty() { &value } else { &value[of] };
    let from = if of.is_empty() { 0 } else { json.find(&format!("\"{of}\":")).expect("the object") };
    let mut keys: Vec<String> = object.as_object().expect("an object").keys().cloned().collect();
    keys.sort_by_key(|key| json[from..].find(&format!("\"{key}\":")));
    keys
}

#[test]
fn json_holds_what_was_promised() {
    let project = Project::shop();
    let text = project.out(&["analyze", "--output-format", "json"]);
    insta::assert_snapshot!(keys(&text, "").join(" "), @"schema_version version root project graph_digest metrics warnings recovery phases symbols imports call_sites call_site_reasons call_evidence implicit_call_sites implicit_calls edges complexity import_cycle_count import_cycles stores files");
    insta::assert_snapshot!(keys(&text, "metrics").join(" "), @"total_files processed_files failed_files success_rate duration files_per_second cache_stats hits misses source_bytes stored_bytes_per_source_byte peak_memory_mb max_parse_unit chunked_files workers strategy warnings recovery memory");
    insta::assert_snapshot!(keys(&text, "phases").join(" "), @"walk fingerprint cache parse link store");
    insta::assert_snapshot!(keys(&text, "call_sites").join(" "), @"resolved ambiguous external builtin unresolved");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(report["schema_version"], 1);
    let sorted = |object: &Value| -> String {
        object.as_object().expect("an object").keys().map(String::as_str).collect::<Vec<_>>().join(" ")
    };
    let memory = &report["metrics"]["memory"];
    insta::assert_snapshot!(sorted(memory), @"budget_mb budget_source decisions estimated_task_max_mb estimated_task_mean_mb estimated_tasks peak_mb peak_private_mb pressure spilled_mb");
    insta::assert_snapshot!(sorted(&memory["decisions"]), @"chunked_early facts_spilled held_back links_spilled looks packs_flushed pages_returned ran_alone scratch_dropped waited_for_room");
    assert_eq!(digest(&report).to_lowercase(), digest(&report));
    insta::assert_snapshot!(serde_json::to_string_pretty(&report["files"]).expect("JSON"), @r#"
    [
      {
        "cached": false,
        "parse_errors": [],
        "path": "shop/__init__.py",
        "status": "complete"
      },
      {
        "cached": false,
        "lost": [
          [
            0,
            8
          ]
        ],
        "parse_errors": [
          {
            "column": 7,
            "line": 1,
            "message": "Expected a parameter or the end of the parameter list"
          },
          {
            "column": 1,
            "line": 2,
            "message": "unexpected EOF while parsing"
          },
          {
            "column": 5,
            "line": 2,
            "message": "Unexpected indentation"
          }
        ],
        "path": "shop/broken.py",
        "status": "partial"
      },
      {
        "cached": false,
        "parse_errors": [],
        "path": "shop/cart.py",
        "status": "complete"
      },
      {
        "cached": false,
        "parse_errors": [],
        "path": "shop/prices.py",
        "status": "complete"
      }
    ]
    "#);
    insta::assert_snapshot!(report["call_sites"], @r#"{"ambiguous":0,"builtin":2,"external":1,"resolved":3,"unresolved":1}"#);
    let sites: u64 =
        report["call_sites"].as_object().expect("counts").values().filter_map(Value::as_u64).sum();
    let records = project.out(&["analyze", "--output-format", "jsonl"]);
    assert_eq!(
        sites,
        records.lines().filter(|line| line.starts_with("{\"kind\":\"call_site\"")).count() as u64
    );
}

#[test]
fn jsonl_is_a_record_a_line() {
    let project = Project::shop();
    let text = project.out(&["analyze", "--output-format", "jsonl"]);
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).expect("JSON");
        for key in ["kind", "path", "line", "qualname"] {
            assert!(!record[key].is_null(), "{key} in {line}");
        }
        if ["function", "method"].contains(&record["kind"].as_str().expect("a kind")) {
            assert!(record["complexity"].as_u64() >= Some(1), "{line}");
        }
    }
    let shown: Vec<&str> = text.lines().filter(|line| line.contains("\"shop/prices.py\"")).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    {"kind":"file","path":"shop/prices.py","line":1,"qualname":"shop.prices","status":"complete","lines":7,"source_lines":5,"comment_lines":0,"blank_lines":2,"nesting":0,"parameters":0,"maintainability":100.0}
    {"kind":"module","path":"shop/prices.py","line":1,"qualname":"shop.prices","end_line":7,"complexity":1,"cognitive":0,"lines":7,"source_lines":5,"comment_lines":0,"blank_lines":2,"nesting":0,"parameters":0,"maintainability":100.0}
    {"kind":"class","path":"shop/prices.py","line":3,"qualname":"shop.prices.Special","end_line":4,"complexity":1,"cognitive":0,"lines":2,"source_lines":2,"comment_lines":0,"blank_lines":0,"nesting":0,"parameters":0,"maintainability":100.0}
    {"kind":"function","path":"shop/prices.py","line":6,"qualname":"shop.prices.price","end_line":7,"complexity":1,"cognitive":0,"lines":2,"source_lines":2,"comment_lines":0,"blank_lines":0,"nesting":0,"parameters":1,"maintainability":100.0}
    {"kind":"import","path":"shop/prices.py","line":1,"qualname":"shop.prices","status":"resolved","target":"shop.cart.Cart","targets":["shop.cart","shop.cart.Cart"],"import_kind":["runtime"]}
    "#);
}

#[test]
fn reports_go_to_files() {
    let project = Project::shop();
    let arguments = [
        "analyze",
        "--output-format",
        "concise",
        "-o",
        "../r.txt",
        "--json-output",
        "../r.json",
        "--metrics-file",
        "../m.json",
    ];
    assert_eq!(project.out(&arguments), "");
    let read = |name: &str| fs::read_to_string(project.outside().join(name)).expect("a file");
    assert!(read("r.txt").contains("4 files (4 changed, 0 cached, 0 failed)"), "{}", read("r.txt"));
    let report: Value = serde_json::from_str(&read("r.json")).expect("JSON");
    let metrics: Value = serde_json::from_str(&read("m.json")).expect("JSON");
    assert_eq!(report["metrics"], metrics);
    assert_eq!(
        keys(&read("m.json"), "")[..7],
        [
            "total_files",
            "processed_files",
            "failed_files",
            "success_rate",
            "duration",
            "files_per_second",
            "cache_stats"
        ]
    );
    assert_eq!(
        keys(&read("m.json"), "cache_stats"),
        ["hit_rate_percent", "total_time_saved", "cache_size_mb"]
    );
    assert_eq!((metrics["total_files"].as_u64(), metrics["success_rate"].as_f64()), (Some(4), Some(100.0)));
    // What is left in the tree is what was there.
    assert_eq!(fs::read_dir(project.tree()).expect("a folder").count(), 1);
}

#[test]
fn exit_codes() {
    let project = Project::shop();
    for (arguments, code, message) in [
        (&["analyze"][..], 0, ""),
        (&["analyze", "shop/cart.py"], 0, ""),
        (&["analyze", "--strict"], 2, "`--strict` asks for none"),
        (&["analyze", "nowhere"], 2, "cannot analyze `nowhere`; name an existing folder or Python file"),
        (&["analyze", "--frobnicate"], 2, "unexpected argument '--frobnicate'"),
        (&["analyze", "--output-format", "xml"], 2, "invalid value 'xml'"),
        (&["analyze", "-j", "0"], 2, "write a whole number from 1 to 1024, or auto"),
        (&["analyze", "-o", "no/such/folder/r.txt"], 2, "name a file in a folder that exists"),
        (&["analyse"], 2, "unrecognized subcommand 'analyse'"),
        (&[], 2, "Usage: pydebug"),
        (&["cache", "verify"], 0, ""),
        (&["cache", "show", "shop/none.py"], 2, "cannot find `shop/none.py`"),
        (&["--version"], 0, ""),
        (&["analyze", "--help"], 0, ""),
    ] {
        let ran = project.run(arguments);
        assert_eq!(ran.code, Some(code), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(message), "{arguments:?}: {}", ran.stderr);
        assert_eq!(code != 0 && !message.is_empty(), !ran.stderr.is_empty() && code != 0, "{arguments:?}");
    }
}

#[test]
fn quiet_and_colours() {
    let project = Project::shop();
    assert_eq!(project.out(&["analyze", "-q"]), "");
    let data = project.out(&["analyze", "-q", "--output-format", "json"]);
    assert!(data.starts_with('{'));
    assert!(!project.out(&["analyze"]).contains('\x1b'), "no colours in a pipe");
    assert!(project.out(&["analyze", "--color", "always"]).contains('\x1b'));
    let mut command = project.command(&["analyze"]);
    let forced = ran(command.env("CLICOLOR_FORCE", "1"));
    assert!(forced.stdout.contains('\x1b'));
    let mut command = project.command(&["analyze"]);
    let plain = ran(command.env("NO_COLOR", "1"));
    assert!(!plain.stdout.contains('\x1b') && !plain.stderr.contains('\x1b'));
}

#[test]
fn progress_is_json_lines() {
    let project = Project::generated(40);
    let ran = project.run(&["analyze", "-q", "--progress", "json"]);
    let events: Vec<Value> =
        ran.stderr.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let last = events.iter().rfind(|event| event["phase"] == "parse").expect("an event of the parser");
    assert_eq!((last["completed_files"].as_u64(), last["total_files"].as_u64()), (Some(41), Some(41)));
    assert_eq!(last["bytes_done"], last["total_bytes"]);
    for key in ["current_file", "completed_files", "total_files", "bytes_done", "total_bytes", "phase"] {
        assert!(events.iter().all(|event| event.get(key).is_some()), "{key}");
    }
}

#[test]
fn reader_that_leaves_is_no_error() {
    let project = Project::generated(60);
    for format in ["jsonl", "json"] {
        let mut command = project.command(&["analyze", "--output-format", format]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a child");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let mut said = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
        assert_eq!((child.wait().expect("an end").code(), said.as_str()), (Some(0), ""), "{format}");
    }
}

#[test]
fn interrupt_keeps_the_cache() {
    let project = Project::generated(1500);
    let (mut child, mut stderr) = started(project.command(&["analyze", "-j1", "--progress", "json"]));
    let signal = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(signal.success());
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).expect("text");
    assert_eq!(child.wait().expect("an end").code(), Some(130), "{rest}");
    assert!(rest.contains("interrupted; what was finished is kept, run again to go on"), "{rest}");
    let verified = project.run(&["cache", "verify"]);
    assert!(verified.code == Some(0) || verified.stderr.contains("there is no cache"), "{verified:?}");
    let next = project.report(&[]);
    assert_eq!(digest(&next), project.clean_digest());
    assert_eq!(next["warnings"].as_array().map(Vec::len), Some(0));
}

#[test]
fn jobs_and_caches_change_nothing() {
    let project = Project::shop();
    project.generate("pkg", 20);
    let clean = project.clean_digest();
    for jobs in ["-j1", "-j2", "-j8"] {
        assert_eq!(digest(&project.report(&["--no-cache", jobs])), clean, "{jobs}");
    }
    assert_eq!(digest(&project.report(&["-j2"])), clean, "cold");
    let warm = project.report(&["-j8"]);
    assert_eq!((digest(&warm), hit_rate(&warm)), (clean, 100.0), "warm");
}

#[test]
fn project_name_is_part_of_the_graph() {
    let project = Project::shop();
    let unnamed = digest(&project.report(&[]));
    let named = digest(&project.report(&["--project", "shop"]));
    assert_ne!(unnamed, named);
    project.write("pyproject.toml", "[project]\nname = 'shop'\n");
    let report = project.report(&[]);
    assert_eq!((digest(&report), report["project"].as_str()), (named, Some("shop")));
    assert_eq!(digest(&project.report(&["--isolated"])), unnamed);
}

#[test]
fn several_paths() {
    let project = Project::shop();
    project.generate("pkg", 2);
    let paths = |more: &[&str]| -> Vec<String> {
        let report = project.report(more);
        report["files"]
            .as_array()
            .expect("files")
            .iter()
            .filter_map(|file| file["path"].as_str().map(str::to_owned))
            .collect()
    };
    assert_eq!(paths(&["shop/cart.py", "pkg/m0.py"]), ["pkg/m0.py", "shop/cart.py"]);
    assert_eq!(
        paths(&["--exclude", "pkg", "--exclude", "broken.py"]),
        ["shop/__init__.py", "shop/cart.py", "shop/prices.py"]
    );
    assert_eq!(paths(&["--include", "m1.py"]), ["pkg/m1.py"]);
    project.write(".gitignore", "pkg/\n");
    assert_eq!(paths(&[]).len(), 4);
}

#[test]
fn output_is_text() {
    let output = Project::shop().command(&["analyze", "-v"]).output().expect("the binary starts");
    assert!(ended(output).stderr.lines().all(|line| !line.is_empty()));
}

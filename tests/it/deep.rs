//! Endless chains and nesting of every kind: no run ends by them, each file has the status that the table says, and other files have the
//! results that they have without them.

#![cfg(unix)]

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::project::{Project, digest, skipped};

/// Links or levels of each shape.
const MANY: usize = 100_000;
/// The same where everything is tried.
const MORE: usize = 500_000;
/// Blocks within each other: each line is longer than the one before, so that more take gigabytes.
const BLOCKS: usize = 2_000;
/// The same where everything is tried.
const MORE_BLOCKS: usize = 10_000;

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Its facts lack nothing.
    Complete,
    /// It has a syntax error, and facts.
    Partial,
    /// It is skipped for its nesting.
    Nested,
    /// Nested too deep where everything is tried, complete otherwise.
    NestedIfMore,
    /// Nested too deep where everything is tried, partial otherwise.
    PartialOrNested,
}
use Fate::{Complete, Nested, NestedIfMore, Partial, PartialOrNested};

impl Fate {
    fn is(self, status: &str, reason: &str) -> bool {
        match self {
            Complete => status == "complete",
            Partial => status == "partial",
            NestedIfMore if !full() => status == "complete",
            PartialOrNested if !full() => status == "partial",
            Nested | NestedIfMore | PartialOrNested => status == "skipped" && reason.starts_with("nesting: "),
        }
    }
}

/// A text of so many links or levels.
#[derive(Clone, Copy)]
enum Text {
    /// What stands before, then again and again, in the middle, again and again, and at the end.
    Nest(&'static str, &'static str, &'static str, &'static str, &'static str),
    /// The same where what stands again and again has a number: in place of `#`.
    Numbered(&'static str, &'static str, &'static str),
    /// Headers within each other, by the indentation of a level.
    Blocks(&'static str, &'static str),
    /// Lines again and again, 300 times.
    Lines(&'static str),
}
use Text::{Blocks, Lines, Nest, Numbered};

impl Text {
    fn of(self, count: usize) -> String {
        match self {
            Nest(before, open, middle, close, after) => {
                format!("{before}{}{middle}{}{after}\n", open.repeat(count), close.repeat(count))
            }
            Numbered(before, part, after) => {
                let mut text = before.to_owned();
                let mut parts = part.split('#');
                let first = parts.next().unwrap_or_default();
                let rest: Vec<&str> = parts.collect();
                for number in 0..count {
                    text.push_str(first);
                    rest.iter()
                        .for_each(|part| write!(text, "{number}{part}").expect("a string takes everything"));
                }
                text + after + "\n"
            }
            Blocks(indent, head) => {
                let levels = count.min(if count > MANY { MORE_BLOCKS } else { BLOCKS });
                let mut text: String = (0..levels).map(|level| indent.repeat(level) + head + "\n").collect();
                text += &(indent.repeat(levels) + "pass\n");
                text
            }
            Lines(lines) => lines.repeat(300),
        }
    }
}

/// The most levels or links that CPython 3.11 to 3.13 compiles of what is nested or chained without a bound of its own.
const ANY: usize = MANY;

/// Name, text, what becomes of it, and how many of it CPython compiles: [`ANY`] where there is no bound, 0 where it is an error.
#[rustfmt::skip]
const SHAPES: &[(&str, Text, Fate, usize)] = &[
    // Brackets.
    ("parentheses", Nest("", "(", "1", ")", ""), Nested, 200),
    ("brackets", Nest("", "[", "1", "]", ""), Nested, 200),
    ("braces", Nest("", "{1:", "1", "}", ""), Nested, 200),
    ("sets", Nest("", "{", "1", ",}", ""), Nested, 200),
    ("tuples", Nest("", "(", "1", ",)", ""), Nested, 200),
    ("tuples after elements", Nest("", "(a,", "1", ")", ""), Nested, 199),
    ("walrus", Nest("", "(a:=", "1", ")", ""), Nested, 200),
    ("subscripts", Nest("", "a[", "0", "]", ""), Nested, 200),
    ("slices", Nest("", "a[1:", "2", "]", ""), Nested, 200),
    ("arguments of arguments", Nest("", "f(", "", ")", ""), Nested, 200),
    ("keywords of keywords", Nest("", "f(a=", "1", ")", ""), Nested, 200),
    ("starred arguments", Nest("", "f(*", "a", ")", ""), Nested, 200),
    ("starred lists", Nest("", "[*", "a", "]", ""), Nested, 200),
    ("unpacked dictionaries", Nest("", "{**", "a", "}", ""), Nested, 200),
    ("comprehensions", Nest("", "[", "a", " for x in y]", ""), Nested, 200),
    ("generators", Nest("", "(", "a", " for x in y)", ""), Nested, 200),
    ("iterables of comprehensions", Nest("", "[a for x in ", "y", "]", ""), Nested, 200),
    ("open parentheses", Nest("", "(", "", "", ""), Nested, 0),
    ("open brackets of all kinds", Nest("", "([{", "", "", ""), Nested, 0),
    ("open calls", Nest("", "f(", "", "", ""), Nested, 0),
    ("closing parentheses", Nest("", "", "", ")", ""), Partial, 0),
    // Operators.
    ("minus", Nest("", "-", "1", "", ""), Nested, 5_937),
    ("tilde", Nest("", "~", "1", "", ""), Nested, 5_937),
    ("not", Nest("", "not ", "1", "", ""), NestedIfMore, 5_937),
    ("powers", Nest("", "", "2", "**2", ""), NestedIfMore, 2_968),
    ("sums", Nest("", "", "1", "+1", ""), NestedIfMore, 9_843),
    ("matrix products", Nest("", "", "a", "@a", ""), NestedIfMore, 9_843),
    ("and", Nest("", "", "a", " and a", ""), Complete, ANY),
    ("or", Nest("", "", "a", " or a", ""), Complete, ANY),
    ("and, or", Nest("", "", "a", " and a or a", ""), Complete, ANY),
    ("and, or in parentheses", Nest("", "a and (a or ", "a", ")", ""), Nested, 186),
    ("comparisons", Nest("", "", "a", "<a", ""), Complete, ANY),
    ("comparisons in parentheses", Nest("", "a<(", "1", ")", ""), Nested, 191),
    ("conditions", Nest("", "", "a", " if a else a", ""), NestedIfMore, 5_937),
    ("conditions of conditions", Nest("", "a if ", "a", " else a", ""), Partial, 0),
    // Chains.
    ("attributes", Nest("", "", "a", ".b", ""), NestedIfMore, 9_843),
    ("attributes from outside", Nest("import a\n", "", "a", ".b", "()"), NestedIfMore, 9_800),
    ("calls", Nest("", "", "f", "()", ""), NestedIfMore, 9_843),
    ("subscripts of subscripts", Nest("", "", "f", "[0]", ""), NestedIfMore, 9_843),
    ("methods", Nest("", "", "a", ".b()", ""), NestedIfMore, 4_921),
    ("lines that go on", Nest("x = 1", "", "", " \\\n + 1", ""), NestedIfMore, 9_843),
    ("empty lines that go on", Nest("x = \\\n", "\\\n", "1", "", ""), Complete, ANY),
    ("strings side by side", Nest("x = ", "'a' ", "", "", ""), Complete, ANY),
    ("strings in lines", Nest("x = (", "'a'\n", "", "", ")"), Complete, ANY),
    ("f-strings side by side", Nest("x = (", "f'{a}' ", "", "", ")"), Complete, ANY),
    // Lambdas.
    ("lambdas", Nest("", "lambda:", "1", "", ""), NestedIfMore, 2_968),
    ("lambdas in defaults", Nest("", "lambda a=", "1", ":0", ""), Nested, 742),
    ("lambdas in parentheses in defaults", Nest("", "lambda a=(", "1", "):0", ""), Nested, 163),
    ("defaults without an end", Nest("", "lambda a=", "", "", ""), Nested, 0),
    ("lambdas without an end", Nest("", "lambda ", "", "", ""), Nested, 0),
    ("names in lambdas", Nest("x = ", "lambda:a if a else ", "1", "", ""), NestedIfMore, 1_400),
    ("parameters of lambdas", Numbered("x = ", "lambda a#:a# if b else ", "1"), NestedIfMore, 1_400),
    ("calls in lambdas", Nest("x = ", "lambda:f() if g() else ", "1", "", ""), NestedIfMore, 1_400),
    // Words.
    ("await", Nest("async def f():\n    ", "await (", "a", ")", ""), Nested, 200),
    ("await without parentheses", Nest("async def f():\n    ", "await ", "a", "", ""), PartialOrNested, 0),
    ("yield", Nest("def f():\n    ", "(yield ", "a", ")", ""), Nested, 200),
    ("assert", Nest("assert ", "not ", "a", "", ""), NestedIfMore, 5_937),
    ("conditions of a comprehension", Nest("[a for x in y", "", "", " if x", "]"), Complete, ANY),
    ("elif", Nest("if a: pass\n", "elif a: pass\n", "", "", ""), Complete, 5_937),
    ("except", Nest("try: pass\n", "except a: pass\n", "", "", ""), Complete, ANY),
    ("decorators", Nest("", "@a\n", "def f(): pass", "", ""), Complete, ANY),
    ("one-line blocks", Nest("", "if a: ", "pass", "", ""), Partial, 0),
    ("async", Nest("", "async ", "pass", "", ""), Partial, 0),
    // f-strings.
    ("f-strings in f-strings", Nest("", "f'{", "1", "}'", ""), Nested, 149),
    ("formats in formats", Nest("f'", "{a:", "", "}", "'"), Nested, 1),
    ("fields", Nest("f'", "{a}", "", "", "'"), Complete, ANY),
    ("f-strings without an end", Nest("", "f'{", "", "", ""), Nested, 0),
    // Blocks.
    ("indentation", Blocks(" ", "if x:"), Nested, 99),
    ("functions", Blocks("\t", "def f():"), Nested, 99),
    ("dedents that fit nothing", Lines("if x:\n        y\n    z\n"), Partial, 0),
    // Statements.
    ("sequence patterns", Nest("match a:\n case ", "[", "a", "]", ": pass"), Nested, 100),
    ("class patterns", Nest("match a:\n case ", "A(", "", ")", ": pass"), Nested, 100),
    ("mapping patterns", Nest("match a:\n case ", "{1:", "a", "}", ": pass"), Nested, 100),
    ("alternatives", Nest("match a:\n case 1", "|1", "", "", ": pass"), Complete, ANY),
    ("dotted patterns", Nest("match a:\n case a", ".b", "", "", ": pass"), NestedIfMore, 2_000),
    ("cases", Nest("match a:\n", " case 1: pass\n", "", "", ""), Complete, ANY),
    ("items of with", Nest("with ", "a,", "a", "", ": pass"), Complete, 19),
    ("with in parentheses", Nest("with ", "(", "a", ")", ": pass"), Nested, 199),
    ("targets of with", Nest("with a as ", "(", "a", ")", ": pass"), Nested, 199),
    ("assignments", Nest("", "a=", "1", "", ""), Complete, ANY),
    ("targets", Nest("", "(", "a", ",)", " = b"), Nested, 199),
    ("targets of for", Nest("for ", "(", "a", ",)", " in b: pass"), Nested, 199),
    ("deleted", Nest("del ", "(", "a", ")", ""), Nested, 199),
    ("imported module", Nest("import a", ".b", "", "", ""), Complete, 6_000),
    ("relative import", Nest("from ", ".", "", "", " import c"), Complete, ANY),
    ("imported names", Nest("from a import (", "b,", "", "", ")"), Complete, ANY),
    ("global", Nest("def f():\n    global ", "a,", "a", "", ""), Complete, ANY),
    ("bounds of type parameters", Nest("def f[T: ", "(", "a", ")", "](): pass"), Nested, 0),
    ("defaults of type parameters", Nest("type A[T = ", "list[", "a", "]", "] = T"), Nested, 0),
    ("annotations", Nest("x: ", "list[", "int", "]", ""), Nested, 100),
    ("unions", Nest("x: int", "", "", " | int", ""), NestedIfMore, 2_000),
    // Long lines.
    ("statements in a line", Nest("", "a;", "", "", ""), Complete, ANY),
    ("arguments", Nest("f(", "a,", "", "", ")"), Complete, ANY),
    ("parameters", Numbered("def f(", "a#,", "): pass"), Complete, ANY),
    ("bases", Nest("class C(", "B,", "", "", "): pass"), Complete, ANY),
    ("errors in a line", Nest("", "a b;", "", "", ""), Partial, 0),
];

fn full() -> bool {
    std::env::var_os("PYDEBUG_TEST_FULL").is_some_and(|value| !value.is_empty() && value != "0")
}

/// What became of a file, as the report says.
fn fate<'r>(report: &'r Value, path: &str) -> (&'r str, &'r str) {
    let files = report["files"].as_array().expect("files");
    let file = files.iter().find(|file| file["path"] == path).expect(path);
    (file["status"].as_str().unwrap_or_default(), file["reason"].as_str().unwrap_or_default())
}

fn path_of(name: &str) -> String {
    format!("hostile/{}.py", name.replace([' ', ',', '-'], "_"))
}

/// The records of all files below `shop`.
fn records(project: &Project) -> Vec<String> {
    let all = project.out(&["analyze", "--no-cache", "--output-format", "jsonl"]);
    all.lines().filter(|line| line.contains("\"path\":\"shop/")).map(str::to_owned).collect()
}

#[test]
fn every_shape_has_its_status_and_no_other_file_suffers() {
    let project = Project::shop();
    let before = records(&project);
    assert!(before.len() > 10);
    let count = if full() { MORE } else { MANY };
    for (name, text, ..) in SHAPES {
        project.write(path_of(name), &text.of(count));
    }
    let mut first: Option<String> = None;
    for strategy in ["thread", "process", "hybrid"] {
        let report = project.report(&["--no-cache", "--strategy", strategy]);
        let wrong: Vec<String> = SHAPES
            .iter()
            .filter_map(|(name, _, expected, _)| {
                let (status, reason) = fate(&report, &path_of(name));
                (!expected.is(status, reason)).then(|| format!("{name}: {status} {reason}"))
            })
            .collect();
        assert!(wrong.is_empty(), "by {strategy}: {wrong:#?}");
        assert_eq!(first.get_or_insert_with(|| digest(&report)), &digest(&report), "{strategy}");
    }
    assert!(records(&project) == before, "other files have other results");
}

#[test]
fn what_cpython_compiles_is_complete() {
    let project = Project::new();
    for (name, text, _, most) in SHAPES.iter().filter(|shape| shape.3 > 0) {
        project.write(path_of(name), &text.of(*most));
    }
    let report = project.report(&["--no-cache"]);
    for (name, _, _, most) in SHAPES.iter().filter(|shape| shape.3 > 0) {
        assert_eq!(fate(&report, &path_of(name)).0, "complete", "{most} of {name}");
    }
}

/// Whether the `python3` at hand compiles the text; `None` where there is none.
fn compiles(project: &Project, text: &str) -> Option<bool> {
    let path = project.outside().join("text.py");
    fs::write(&path, text).expect("a file");
    let program = "import sys; compile(open(sys.argv[1]).read(), 'text', 'exec')";
    let mut command = Command::new("python3");
    command.args(["-W", "ignore", "-c", program]).arg(path).stderr(Stdio::null());
    Some(command.status().ok()?.success())
}

#[test]
fn what_is_not_complete_does_not_compile() {
    if !full() {
        return;
    }
    let project = Project::new();
    for (name, text, expected, _) in SHAPES.iter().filter(|shape| shape.2 != Complete) {
        let Some(compiles) = compiles(&project, &text.of(MANY)) else {
            return skipped("what CPython compiles: there is no `python3` here");
        };
        assert!(!compiles || *expected == NestedIfMore, "{name} compiles");
    }
}

#[test]
fn names_of_lambdas_within_each_other_take_linear_memory() {
    let count = 3_000;
    let chain = Nest("x = ", "lambda:f() if g() else ", "1", "", "").of(count);
    let project = Project::new().file("chain.py", &chain);
    let graph = project.out(&["graph", "calls", "--no-cache"]);
    assert!(graph.contains("<lambda3000>") || graph.matches("<lambda").count() >= count, "all are there");
    let bytes = graph.len();
    assert!(bytes < count * 4_000, "{bytes} bytes for {count} lambdas");
}

#[test]
fn quotes_in_a_field_hide_no_nesting() {
    // Whoever looks for quotes alone takes what follows for a string; the words take the stack that targets need.
    let before = format!("x = f'{{\"''''\"}}'\n{}[x for ", "not ".repeat(20_000));
    let hidden = format!("{before}{}a{} in y]\n", "(".repeat(90_000), ",)".repeat(90_000));
    let project = Project::new().file("hidden.py", &hidden);
    let mut first: Option<String> = None;
    for strategy in ["thread", "process"] {
        let report = project.report(&["--no-cache", "--strategy", strategy]);
        assert_eq!(fate(&report, "hidden.py"), ("complete", ""), "{strategy}");
        assert_eq!(first.get_or_insert_with(|| digest(&report)), &digest(&report), "{strategy}");
    }
}

/// A hundred million bytes on one line.
#[test]
fn a_line_of_a_hundred_megabytes() {
    if !full() {
        return;
    }
    let bytes = 100_000_000;
    for (name, text, expected) in [
        ("list", Nest("x=[", "1,", "", "", "]").of(bytes / 2), "complete"),
        ("string", Nest("x='", "a", "", "", "'").of(bytes), "complete"),
        ("comment", Nest("# ", "a", "", "", "").of(bytes), "complete"),
        ("statements", Nest("", "a;", "", "", "").of(bytes / 2), ""),
        ("arguments", Nest("f(", "a,", "", "", ")").of(bytes / 2), ""),
    ] {
        let project = Project::shop();
        let before = records(&project);
        project.write("long.py", &text);
        let mut first: Option<String> = None;
        for strategy in ["thread", "process"] {
            let report = project.report(&["--no-cache", "--strategy", strategy]);
            let (status, reason) = fate(&report, "long.py");
            // What no smaller pieces can be made of takes what a child may have, or is told.
            let told = status == "complete" || reason.contains("memory");
            assert!(
                if expected.is_empty() { told } else { status == expected },
                "{name}: {status}, {reason}"
            );
            assert_eq!(
                first.get_or_insert_with(|| digest(&report)),
                &digest(&report),
                "{name} by {strategy}"
            );
        }
        assert!(records(&project) == before, "{name}");
    }
}

//! Each format on a small graph, and read back with hostile names in it.

use std::collections::BTreeMap;

use super::*;

const HOSTILE: [&str; 10] = [
    "quote\" ] --> x",
    "back\\slash\\",
    "<script>alert(1)</script>&amp;",
    "=HYPERLINK(\"http://evil\",\"x\")",
    "line\nbreak\r\n, comma; semicolon",
    "esc\x1b[2J\0\x07",
    "#quot; %%{init: {}}%% `code`",
    "]]><![CDATA[",
    "größe.变量",
    "@SUM(1)'",
];

fn node(id: &str, external: bool) -> NodeRow {
    NodeRow {
        id: id.to_owned(),
        label: id.to_owned(),
        kind: if external { "external" } else { "function" },
        external,
        source: !external,
        path: (!external).then(|| format!("{id}.py")),
        line: (!external).then_some(7),
    }
}

fn edge(source: u32, target: u32, status: &'static str) -> EdgeRow {
    EdgeRow { source, target, kind: "calls", status }
}

fn small() -> GraphData {
    GraphData {
        nodes: vec![node("m.g", false), node("m.f", false), node("<builtin>.print", true)],
        edges: vec![
            edge(1, 2, "builtin"),
            edge(1, 0, "resolved"),
            edge(1, 0, "resolved"),
            edge(1, 1, "ambiguous"),
        ],
    }
}

/// Every hostile name calls the next.
fn hostile() -> GraphData {
    let count = u32::try_from(HOSTILE.len()).expect("a few");
    GraphData {
        nodes: HOSTILE.iter().map(|name| node(name, false)).collect(),
        edges: (0..count).map(|at| edge(at, (at + 1) % count, "resolved")).collect(),
    }
}

fn text(graph: &GraphData, format: GraphFormat) -> String {
    let mut out = Vec::new();
    write(graph, format, &mut out).expect("a vector takes everything");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn json_adjacency() {
    insta::assert_snapshot!(text(&small(), GraphFormat::Json), @r#"
    {
    "m.f": ["<builtin>.print","m.f","m.g"],
    "m.g": []
    }
    "#);
    assert_eq!(text(&GraphData::default(), GraphFormat::Json), "{}\n");
    let read: BTreeMap<String, Vec<String>> =
        serde_json::from_str(&text(&hostile(), GraphFormat::Json)).expect("JSON");
    for (at, name) in HOSTILE.iter().enumerate() {
        assert_eq!(read[*name], [HOSTILE[(at + 1) % HOSTILE.len()]]);
    }
}

#[test]
fn small_dot() {
    insta::assert_snapshot!(text(&small(), GraphFormat::Dot), @r#"
    digraph pydebug {
      rankdir=LR;
      node [shape=box];
      "<builtin>.print" [style=dashed];
      "m.f" [tooltip="m.f.py:7"];
      "m.g" [tooltip="m.g.py:7"];
      "m.f" -> "<builtin>.print";
      "m.f" -> "m.f" [style=dashed];
      "m.f" -> "m.g";
    }
    "#);
}

#[test]
fn small_mermaid() {
    insta::assert_snapshot!(text(&small(), GraphFormat::Mermaid), @r##"
    flowchart LR
      n0(["#60;builtin#62;.print"])
      n1["m.f"]
      n2["m.g"]
      n1 --> n0
      n1 -.-> n1
      n1 --> n2
    "##);
}

#[test]
fn small_graphml() {
    let out = text(&small(), GraphFormat::Graphml);
    let body = out.split_once("edgedefault=\"directed\">\n").expect("a graph").1;
    insta::assert_snapshot!(body, @r#"
        <node id="n0"><data key="id">&lt;builtin&gt;.print</data><data key="label">&lt;builtin&gt;.print</data><data key="kind">external</data></node>
        <node id="n1"><data key="id">m.f</data><data key="label">m.f</data><data key="kind">function</data><data key="path">m.f.py</data><data key="line">7</data></node>
        <node id="n2"><data key="id">m.g</data><data key="label">m.g</data><data key="kind">function</data><data key="path">m.g.py</data><data key="line">7</data></node>
        <edge source="n1" target="n0"><data key="relation">calls</data><data key="status">builtin</data></edge>
        <edge source="n1" target="n1"><data key="relation">calls</data><data key="status">ambiguous</data></edge>
        <edge source="n1" target="n2"><data key="relation">calls</data><data key="status">resolved</data></edge>
      </graph>
    </graphml>
    "#);
}

#[test]
fn small_csv() {
    insta::assert_snapshot!(text(&small(), GraphFormat::Csv).replace("\r\n", "\n"), @r#"
    source,target,kind,status,source_path,source_line,target_path,target_line
    m.f,<builtin>.print,calls,builtin,m.f.py,7,,
    m.f,m.f,calls,ambiguous,m.f.py,7,m.f.py,7
    m.f,m.g,calls,resolved,m.f.py,7,m.g.py,7
    "#);
}

#[test]
fn order_of_the_input_does_not_show() {
    let graph = small();
    let reversed = GraphData {
        nodes: graph.nodes.iter().rev().cloned().collect(),
        edges: graph.edges.iter().rev().map(|e| edge(2 - e.source, 2 - e.target, e.status)).collect(),
    };
    for format in
        [GraphFormat::Json, GraphFormat::Dot, GraphFormat::Mermaid, GraphFormat::Graphml, GraphFormat::Csv]
    {
        assert_eq!(text(&graph, format), text(&reversed, format), "{format:?}");
    }
}

/// Reads quoted DOT strings; outside of them only `plain` characters may stand.
fn dot_edges(source: &str) -> Vec<(String, String)> {
    let mut edges = Vec::new();
    for line in source.lines().filter(|line| line.starts_with("  \"")) {
        let mut strings = Vec::new();
        let mut rest = line.chars();
        let mut outside = String::new();
        while let Some(character) = rest.next() {
            if character != '"' {
                outside.push(character);
                continue;
            }
            let mut string = String::new();
            loop {
                match rest.next().expect("a closed string") {
                    '"' => break,
                    '\\' => string.push(rest.next().expect("an escaped character")),
                    other => string.push(other),
                }
            }
            strings.push(string);
        }
        if outside.contains("->") {
            assert_eq!(outside.trim(), "-> ;", "{line}");
            edges.push((strings[0].clone(), strings[1].clone()));
        } else {
            assert_eq!(outside.trim(), "[tooltip=];", "{line}");
        }
    }
    edges
}

#[test]
fn hostile_dot_reads_back() {
    let mut expected: Vec<_> = (0..HOSTILE.len())
        .map(|at| (escape(HOSTILE[at]).into_owned(), escape(HOSTILE[(at + 1) % HOSTILE.len()]).into_owned()))
        .collect();
    expected.sort();
    let mut edges = dot_edges(&text(&hostile(), GraphFormat::Dot));
    edges.sort();
    assert_eq!(edges, expected);
}

#[test]
fn hostile_mermaid_has_nothing_to_read() {
    let out = text(&hostile(), GraphFormat::Mermaid);
    let labels: Vec<String> = out
        .lines()
        .filter_map(|line| line.trim().split_once("[\"")?.1.strip_suffix("\"]"))
        .map(|label| {
            assert!(!label.contains(['"', '<', '>', '`', '%', '[', ']', '{', '}']), "{label}");
            let mut out = String::new();
            let mut rest = label;
            while let Some((before, after)) = rest.split_once('#') {
                let (code, after) = after.split_once(';').expect("a closed code");
                out.push_str(before);
                out.extend(code.parse().ok().and_then(char::from_u32));
                rest = after;
            }
            out + rest
        })
        .collect();
    let mut expected: Vec<&str> = HOSTILE.to_vec();
    expected.sort_unstable();
    assert_eq!(labels, expected.iter().map(|name| escape(name)).collect::<Vec<_>>());
    assert_eq!(out.lines().count(), 1 + 2 * HOSTILE.len());
}

#[test]
fn hostile_graphml_reads_back() {
    let out = text(&hostile(), GraphFormat::Graphml);
    let mut labels = Vec::new();
    for part in out.split("<data key=\"label\">").skip(1) {
        let raw = part.split_once("</data>").expect("a closed element").0;
        assert!(!raw.contains(['<', '>', '"']), "{raw}");
        let read = raw
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&apos;", "'")
            .replace("&amp;", "&");
        labels.push(read);
    }
    let mut expected: Vec<&str> = HOSTILE.to_vec();
    expected.sort_unstable();
    assert_eq!(labels, expected.iter().map(|name| escape(name)).collect::<Vec<_>>());
    assert!(!out.contains(|character: char| character.is_control() && character != '\n'));
}

/// A reader after RFC 4180.
fn csv_rows(source: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for line in source.split_terminator("\r\n") {
        let mut row = vec![String::new()];
        let mut quoted = false;
        let mut rest = line.chars().peekable();
        while let Some(character) = rest.next() {
            let cell = row.last_mut().expect("a cell");
            match character {
                '"' if quoted && rest.peek() == Some(&'"') => cell.extend(rest.next()),
                '"' => quoted = !quoted,
                ',' if !quoted => row.push(String::new()),
                other => cell.push(other),
            }
        }
        assert!(!quoted, "{line}");
        rows.push(row);
    }
    rows
}

#[test]
fn hostile_csv_reads_back_and_holds_no_formula() {
    let rows = csv_rows(&text(&hostile(), GraphFormat::Csv));
    assert_eq!(rows.len(), 1 + HOSTILE.len());
    assert!(rows.iter().all(|row| row.len() == 8));
    let mut sources: Vec<String> =
        rows[1..].iter().map(|row| row[0].trim_start_matches('\'').to_owned()).collect();
    sources.sort();
    let mut expected: Vec<_> = HOSTILE.iter().map(|name| escape(name).into_owned()).collect();
    expected.sort();
    assert_eq!(sources, expected);
    assert!(rows.iter().flatten().all(|cell| !cell.starts_with(['=', '+', '-', '@'])));
}

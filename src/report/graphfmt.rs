//! Graphs as files: adjacency JSON, DOT, Mermaid, GraphML, CSV.
//!
//! Names come from the analyzed tree and may hold anything, so each format escapes for its own reader. The order of
//! the input never shows: nodes are written by id, edges by the ids of their ends. Must not know what the nodes mean.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use super::escape::{SafeJson, escape};

/// The formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum GraphFormat {
    /// `{"caller": ["callee", ...], ...}`, sorted.
    Json,
    /// Graphviz.
    Dot,
    /// Mermaid flowchart, for Markdown.
    Mermaid,
    /// GraphML, for graph editors and networkx.
    Graphml,
    /// One edge a line, for spreadsheets.
    Csv,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// Unique in the graph.
    pub id: String,
    /// The dotted name, what people read; two nodes may share one.
    pub label: String,
    /// What it is, such as `function` or `external`.
    pub kind: &'static str,
    /// Whether it lies outside the project: it is then no key in JSON.
    pub external: bool,
    /// Whether edges can leave it: only then is it a key in JSON without any.
    pub source: bool,
    /// The path relative to the root.
    pub path: Option<String>,
    /// The line, from one.
    pub line: Option<u32>,
}

/// An edge between two nodes, by their position in [`GraphData::nodes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeRow {
    /// The node it leaves.
    pub source: u32,
    /// The node it enters.
    pub target: u32,
    /// What it is, such as `calls`.
    pub kind: &'static str,
    /// How sure it is, such as `resolved` or `ambiguous`.
    pub status: &'static str,
}

/// A graph. Every edge's ends must be positions of nodes; [`write()`] panics on others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GraphData {
    /// The nodes, in any order.
    pub nodes: Vec<NodeRow>,
    /// The edges, in any order, repeated or not.
    pub edges: Vec<EdgeRow>,
}

/// Edges above this number are refused by Mermaid's own default settings.
pub const MERMAID_EDGES: usize = 500;

/// Writes the graph.
///
/// # Errors
///
/// Those of the writer.
pub fn write(graph: &GraphData, format: GraphFormat, mut out: impl Write) -> io::Result<()> {
    let sorted = Sorted::new(graph);
    match format {
        GraphFormat::Json => json(graph, &mut out),
        GraphFormat::Dot => dot(&sorted, &mut out),
        GraphFormat::Mermaid => mermaid(&sorted, &mut out),
        GraphFormat::Graphml => graphml(&sorted, &mut out),
        GraphFormat::Csv => csv(&sorted, &mut out),
    }
}

/// The graph in the order of ids; edges name ranks and are not repeated.
struct Sorted<'a> {
    nodes: Vec<&'a NodeRow>,
    edges: Vec<(u32, u32, &'static str, &'static str)>,
}

impl<'a> Sorted<'a> {
    fn new(graph: &'a GraphData) -> Self {
        let count = u32::try_from(graph.nodes.len()).unwrap_or(u32::MAX);
        let node = |at: u32| &graph.nodes[at as usize];
        let mut order: Vec<u32> = (0..count).collect();
        order.sort_by(|a, b| (&node(*a).id, a).cmp(&(&node(*b).id, b)));
        let mut rank = vec![0_u32; graph.nodes.len()];
        for (position, at) in (0_u32..).zip(&order) {
            rank[*at as usize] = position;
        }
        let mut edges: Vec<_> = graph
            .edges
            .iter()
            .map(|edge| (rank[edge.source as usize], rank[edge.target as usize], edge.kind, edge.status))
            .collect();
        edges.sort_unstable();
        edges.dedup();
        Self { nodes: order.into_iter().map(node).collect(), edges }
    }

    fn node(&self, rank: u32) -> &NodeRow {
        self.nodes[rank as usize]
    }
}

/// One key a line, so that two graphs can be compared with `diff`.
fn json(graph: &GraphData, out: &mut impl Write) -> io::Result<()> {
    let mut adjacency: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in graph.nodes.iter().filter(|node| node.source && !node.external) {
        adjacency.entry(&node.label).or_default();
    }
    for edge in &graph.edges {
        let source = &graph.nodes[edge.source as usize];
        adjacency.entry(&source.label).or_default().push(&graph.nodes[edge.target as usize].label);
    }
    let mut separator = "{\n";
    for (label, targets) in &mut adjacency {
        targets.sort_unstable();
        targets.dedup();
        out.write_all(separator.as_bytes())?;
        serde_json::to_writer(SafeJson(&mut *out), label)?;
        out.write_all(b": ")?;
        serde_json::to_writer(SafeJson(&mut *out), targets)?;
        separator = ",\n";
    }
    out.write_all(if adjacency.is_empty() { b"{}\n" } else { b"\n}\n" })
}

/// A quoted DOT string. Control characters are spelled out: readers differ in what they do with them.
fn dot_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in escape(text).chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
    out
}

fn dot(graph: &Sorted<'_>, out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"digraph pydebug {\n  rankdir=LR;\n  node [shape=box];\n")?;
    for node in &graph.nodes {
        write!(out, "  {}", dot_string(&node.id))?;
        let mut attributes = Vec::new();
        if node.label != node.id {
            attributes.push(format!("label={}", dot_string(&node.label)));
        }
        if node.external {
            attributes.push("style=dashed".to_owned());
        }
        if let Some(path) = &node.path {
            let line = node.line.map(|line| format!(":{line}")).unwrap_or_default();
            attributes.push(format!("tooltip={}", dot_string(&format!("{path}{line}"))));
        }
        match attributes.is_empty() {
            true => out.write_all(b";\n")?,
            false => writeln!(out, " [{}];", attributes.join(", "))?,
        }
    }
    for (source, target, _, status) in &graph.edges {
        let style = if *status == "ambiguous" { " [style=dashed]" } else { "" };
        let (source, target) = (graph.node(*source), graph.node(*target));
        writeln!(out, "  {} -> {}{style};", dot_string(&source.id), dot_string(&target.id))?;
    }
    out.write_all(b"}\n")
}

/// Text within `["..."]`: everything that Mermaid or the HTML around it would read becomes a character code.
fn mermaid_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in escape(text).chars() {
        match character {
            '"' | '#' | '&' | '<' | '>' | '`' | ';' | '%' | '\\' | '{' | '}' | '[' | ']' | '(' | ')'
            | '|' | '$' | '*' | '~' | '@' | ':' => {
                let _ = write!(out, "#{};", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out
}

fn mermaid(graph: &Sorted<'_>, out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"flowchart LR\n")?;
    for (rank, node) in graph.nodes.iter().enumerate() {
        let (open, close) = if node.external { ("([", "])") } else { ("[", "]") };
        writeln!(out, "  n{rank}{open}\"{}\"{close}", mermaid_text(&node.label))?;
    }
    for (source, target, _, status) in &graph.edges {
        let arrow = if *status == "ambiguous" { "-.->" } else { "-->" };
        writeln!(out, "  n{source} {arrow} n{target}")?;
    }
    Ok(())
}

/// XML text and attribute values. XML 1.0 has no way to write most control characters, so they are spelled out.
fn xml(text: &str) -> Cow<'_, str> {
    let text = escape(text);
    if !text.contains(['&', '<', '>', '"', '\'', '\u{fffe}', '\u{ffff}']) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => out.extend(character.escape_unicode()),
            _ => out.push(character),
        }
    }
    Cow::Owned(out)
}

fn graphml(graph: &Sorted<'_>, out: &mut impl Write) -> io::Result<()> {
    out.write_all(
        br#"<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key id="id" for="node" attr.name="id" attr.type="string"/>
  <key id="label" for="node" attr.name="label" attr.type="string"/>
  <key id="kind" for="node" attr.name="kind" attr.type="string"/>
  <key id="path" for="node" attr.name="path" attr.type="string"/>
  <key id="line" for="node" attr.name="line" attr.type="int"/>
  <key id="relation" for="edge" attr.name="kind" attr.type="string"/>
  <key id="status" for="edge" attr.name="status" attr.type="string"/>
  <graph id="pydebug" edgedefault="directed">
"#,
    )?;
    for (rank, node) in graph.nodes.iter().enumerate() {
        write!(
            out,
            "    <node id=\"n{rank}\"><data key=\"id\">{}</data><data key=\"label\">{}</data><data key=\"kind\">{}</data>",
            xml(&node.id),
            xml(&node.label),
            xml(node.kind)
        )?;
        if let Some(path) = &node.path {
            write!(out, "<data key=\"path\">{}</data>", xml(path))?;
        }
        if let Some(line) = node.line {
            write!(out, "<data key=\"line\">{line}</data>")?;
        }
        out.write_all(b"</node>\n")?;
    }
    for (source, target, kind, status) in &graph.edges {
        writeln!(
            out,
            "    <edge source=\"n{source}\" target=\"n{target}\"><data key=\"relation\">{}</data><data key=\"status\">{}</data></edge>",
            xml(kind),
            xml(status)
        )?;
    }
    out.write_all(b"  </graph>\n</graphml>\n")
}

/// A cell after RFC 4180. One that a spreadsheet would run as a formula gets an apostrophe in front.
fn cell(text: &str) -> Cow<'_, str> {
    let text = escape(text);
    let formula = text.starts_with(['=', '+', '-', '@', '|', '%', '＝', '＋', '－', '＠']);
    if !formula && !text.contains(['"', ',', ';', ' ']) {
        return text;
    }
    let mark = if formula { "'" } else { "" };
    Cow::Owned(format!("\"{mark}{}\"", text.replace('"', "\"\"")))
}

fn csv(graph: &Sorted<'_>, out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"source,target,kind,status,source_path,source_line,target_path,target_line\r\n")?;
    let line = |node: &NodeRow| node.line.map(|line| line.to_string()).unwrap_or_default();
    for (source, target, kind, status) in &graph.edges {
        let (source, target) = (graph.node(*source), graph.node(*target));
        write!(
            out,
            "{},{},{},{},{},{},{},{}\r\n",
            cell(&source.label),
            cell(&target.label),
            cell(kind),
            cell(status),
            cell(source.path.as_deref().unwrap_or_default()),
            line(source),
            cell(target.path.as_deref().unwrap_or_default()),
            line(target),
        )?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "graphfmt_tests.rs"]
mod tests;

//! Graphs as files: adjacency JSON, DOT, Mermaid, GraphML, CSV.
//!
//! Names come from the analyzed tree and may hold anything, so each format escapes for its own reader. The order of
//! the input never shows: nodes are written by id, edges by the ids of their ends. A graph may be larger than memory: what is
//! sorted here are numbers, in columns that leave the heap. Must not know what the nodes mean.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;

use super::escape::{SafeJson, escape};
use crate::sys::{Column, Scratch, Table, TextColumn};

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

/// A graph: nodes and edges in any order, made when they are asked for.
pub trait Graph {
    /// Number of nodes.
    fn node_count(&self) -> u32;

    /// Node number `at`.
    fn node(&self, at: u32) -> NodeRow;

    /// Number of edges, repeated ones counted again.
    fn edge_count(&self) -> usize;

    /// Edge number `at`; its ends are numbers of nodes.
    fn edge(&self, at: usize) -> EdgeRow;

    /// Where a writer keeps what it sorts.
    fn scratch(&self) -> Arc<Scratch>;
}

/// A graph at hand. Every edge's ends must be positions of nodes; [`write()`] panics on others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GraphData {
    /// The nodes, in any order.
    pub nodes: Vec<NodeRow>,
    /// The edges, in any order, repeated or not.
    pub edges: Vec<EdgeRow>,
}

impl Graph for GraphData {
    fn node_count(&self) -> u32 {
        u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)
    }

    fn node(&self, at: u32) -> NodeRow {
        self.nodes[at as usize].clone()
    }

    fn edge_count(&self) -> usize {
        self.edges.len()
    }

    fn edge(&self, at: usize) -> EdgeRow {
        self.edges[at]
    }

    fn scratch(&self) -> Arc<Scratch> {
        Scratch::none()
    }
}

/// Edges above this number are refused by Mermaid's own default settings.
pub const MERMAID_EDGES: usize = 500;

/// Writes the graph.
///
/// # Errors
///
/// Those of the writer.
pub fn write(graph: &dyn Graph, format: GraphFormat, mut out: impl Write) -> io::Result<()> {
    match format {
        GraphFormat::Json => json(graph, &mut out),
        GraphFormat::Dot => dot(&Sorted::new(graph), &mut out),
        GraphFormat::Mermaid => mermaid(&Sorted::new(graph), &mut out),
        GraphFormat::Graphml => graphml(&Sorted::new(graph), &mut out),
        GraphFormat::Csv => csv(&Sorted::new(graph), &mut out),
    }
}

/// Kind and status of edges.
type Relation = (&'static str, &'static str);

/// The graph in the order of ids; edges name ranks.
struct Sorted<'a> {
    graph: &'a dyn Graph,
    /// Node of each rank.
    order: Table<u32>,
    /// Ranks of both ends, number in `relations`.
    edges: Table<[u32; 3]>,
    relations: Vec<Relation>,
}

/// Positions of all nodes in `order`, by node.
fn ranks(order: &[u32], scratch: &Arc<Scratch>) -> Table<u64> {
    let mut pairs = Column::new(scratch);
    pairs.extend((0..).zip(order).map(|(rank, &node): (u64, _)| u64::from(node) << 32 | rank));
    pairs.sorted()
}

impl<'a> Sorted<'a> {
    fn new(graph: &'a dyn Graph) -> Self {
        let scratch = graph.scratch();
        let mut ids = TextColumn::new(&scratch);
        (0..graph.node_count()).for_each(|at| ids.push(&[&graph.node(at).id]));
        let order = ids.finish().order(&scratch);
        let ranks = ranks(&order, &scratch);
        let rank = |node: u32| ranks[node as usize] as u32;
        let all = || (0..graph.edge_count()).map(|at| graph.edge(at));
        let mut relations: Vec<Relation> = Vec::new();
        for relation in all().map(|edge| (edge.kind, edge.status)) {
            if !relations.contains(&relation) {
                relations.push(relation);
            }
        }
        relations.sort_unstable();
        let mut edges = Column::new(&scratch);
        for EdgeRow { source, target, kind, status } in all() {
            let relation = relations.iter().position(|known| *known == (kind, status)).unwrap_or_default();
            edges.push([rank(source), rank(target), relation as u32]);
        }
        Self { graph, order, edges: edges.sorted(), relations }
    }

    /// All nodes.
    fn nodes(&self) -> impl Iterator<Item = NodeRow> {
        self.order.iter().map(|&at| self.graph.node(at))
    }

    fn node(&self, rank: u32) -> NodeRow {
        self.graph.node(self.order[rank as usize])
    }

    /// All edges, none repeated: ranks of the ends, kind, status.
    fn edges(&self) -> impl Iterator<Item = (u32, u32, &'static str, &'static str)> {
        let new = |at: &usize| *at == 0 || self.edges[*at] != self.edges[*at - 1];
        (0..self.edges.len()).filter(new).map(|at| {
            let [source, target, relation] = self.edges[at];
            let (kind, status) = self.relations[relation as usize];
            (source, target, kind, status)
        })
    }

    /// All edges with the nodes at their ends; those of one source follow each other.
    fn each_edge(
        &self,
        mut write: impl FnMut(&NodeRow, &NodeRow, &'static str, &'static str) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut source: Option<(u32, NodeRow)> = None;
        for (from, to, kind, status) in self.edges() {
            let (_, from) = match source.take().filter(|(rank, _)| *rank == from) {
                Some(known) => source.insert(known),
                None => source.insert((from, self.node(from))),
            };
            write(from, &self.node(to), kind, status)?;
        }
        Ok(())
    }
}

/// One key a line, so that two graphs can be compared with `diff`.
fn json(graph: &dyn Graph, out: &mut impl Write) -> io::Result<()> {
    let scratch = graph.scratch();
    let mut labels = TextColumn::new(&scratch);
    let mut keys = Column::<u8>::new(&scratch);
    for node in (0..graph.node_count()).map(|at| graph.node(at)) {
        labels.push(&[&node.label]);
        keys.push(u8::from(node.source && !node.external));
    }
    let labels = labels.finish();
    let order = labels.order(&scratch);
    // Nodes with one label are one: they go by the first of them.
    let mut firsts = Column::new(&scratch);
    let mut first = 0u32;
    for (rank, &node) in (0u32..).zip(order.iter()) {
        if labels.get(order[first as usize] as usize) != labels.get(node as usize) {
            first = rank;
        }
        firsts.push(u64::from(node) << 32 | u64::from(first));
    }
    let firsts = firsts.sorted();
    let rank = |node: u32| firsts[node as usize] as u32;
    let mut edges = Column::new(&scratch);
    for edge in (0..graph.edge_count()).map(|at| graph.edge(at)) {
        edges.push([rank(edge.source), rank(edge.target)]);
    }
    let edges = edges.sorted();
    let label = |rank: u32| labels.get(order[rank as usize] as usize);
    let (mut next, mut separator) = (0, "{\n");
    let mut rank = 0;
    while (rank as usize) < order.len() {
        let same = order[rank as usize..].iter().take_while(|&&node| firsts[node as usize] as u32 == rank);
        let (mut key, mut count) = (false, 0);
        for &node in same {
            key |= keys.get(node as usize) != 0;
            count += 1;
        }
        let own = edges[next..].partition_point(|edge| edge[0] == rank);
        if key || own > 0 {
            let mut targets: Vec<u32> = edges[next..next + own].iter().map(|edge| edge[1]).collect();
            targets.dedup();
            let targets: Vec<&str> = targets.into_iter().map(label).collect();
            out.write_all(separator.as_bytes())?;
            serde_json::to_writer(SafeJson(&mut *out), label(rank))?;
            out.write_all(b": ")?;
            serde_json::to_writer(SafeJson(&mut *out), &targets)?;
            separator = ",\n";
        }
        next += own;
        rank += count;
    }
    out.write_all(if separator == "{\n" { b"{}\n" } else { b"\n}\n" })
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
    for node in graph.nodes() {
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
    graph.each_edge(|source, target, _, status| {
        let style = if status == "ambiguous" { " [style=dashed]" } else { "" };
        writeln!(out, "  {} -> {}{style};", dot_string(&source.id), dot_string(&target.id))
    })?;
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
    for (rank, node) in graph.nodes().enumerate() {
        let (open, close) = if node.external { ("([", "])") } else { ("[", "]") };
        writeln!(out, "  n{rank}{open}\"{}\"{close}", mermaid_text(&node.label))?;
    }
    for (source, target, _, status) in graph.edges() {
        let arrow = if status == "ambiguous" { "-.->" } else { "-->" };
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
    for (rank, node) in graph.nodes().enumerate() {
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
    for (source, target, kind, status) in graph.edges() {
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
    graph.each_edge(|source, target, kind, status| {
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
        )
    })
}

#[cfg(test)]
#[path = "graphfmt_tests.rs"]
mod tests;

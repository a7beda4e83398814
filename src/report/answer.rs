//! Answers to questions about single symbols: text, JSON, and as a graph.

use super::SCHEMA_VERSION;
use super::escape::{SafeJson, escape};
use super::graphfmt::{EdgeRow, GraphData, NodeRow};
use std::io::{self, Write};

/// A symbol, or what lies outside the project.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Node {
    /// Dotted name.
    pub name: String,
    /// What it is, such as `function` or `external`.
    pub kind: &'static str,
    /// Path relative to the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Line, from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Steps from what was asked for.
    pub depth: u32,
}

/// An edge between nodes, by place.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Link {
    /// Whose code it is.
    pub source: usize,
    /// What it leads to.
    pub target: usize,
    /// Which, such as `calls`.
    pub relation: &'static str,
    /// What is said besides, such as the kind of an import.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub detail: &'static str,
    /// How sure it is.
    pub status: &'static str,
    /// How it was derived.
    pub evidence: &'static str,
    /// Path relative to the root.
    pub path: String,
    /// Line, from one.
    pub line: u32,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Answer {
    /// Name of the question.
    pub question: &'static str,
    /// The nodes that were asked for, by place.
    pub subjects: Vec<usize>,
    /// Nodes by depth, then path and line.
    pub nodes: Vec<Node>,
    /// Edges by path and line of their sources, those nearest to the subject first.
    pub links: Vec<Link>,
    /// Named values, for `show`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(&'static str, String)>,
    /// Where the evidence is thin, and why.
    pub notes: Vec<String>,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum AnswerFormat {
    /// A line an edge, such as `app/views.py:12: app.views.index calls app.models.load (resolved, direct)`.
    Text,
    /// One object; see docs/schemas/query.json.
    Json,
    /// Graphviz.
    Dot,
    /// Mermaid flowchart, for Markdown.
    Mermaid,
}

impl Answer {
    /// Writes what people read: fields, edges, or, where there are neither, nodes.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let width = self.fields.iter().map(|field| field.0.len()).max().unwrap_or(0);
        for (name, value) in &self.fields {
            writeln!(out, "{name:width$}  {}", escape(value))?;
        }
        if !self.fields.is_empty() {
            return Ok(());
        }
        if self.question == "search" {
            for node in &self.nodes {
                let (path, line) = (node.path.as_deref().unwrap_or_default(), node.line.unwrap_or(1));
                writeln!(out, "{}:{line}: {} {}", escape(path), node.kind, escape(&node.name))?;
            }
        }
        for link in &self.links {
            let name = |place: usize| escape(&self.nodes[place].name);
            let detail = if link.detail.is_empty() { String::new() } else { format!(", {}", link.detail) };
            writeln!(
                out,
                "{}:{}: {} {} {} ({}, {}{detail})",
                escape(&link.path),
                link.line,
                name(link.source),
                link.relation,
                name(link.target),
                link.status,
                link.evidence,
            )?;
        }
        Ok(())
    }

    /// Writes one JSON object and a line end.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        #[derive(serde::Serialize)]
        struct Versioned<'a> {
            version: u32,
            #[serde(flatten)]
            answer: &'a Answer,
        }
        let versioned = Versioned { version: SCHEMA_VERSION, answer: self };
        serde_json::to_writer_pretty(SafeJson(&mut *out), &versioned)?;
        writeln!(out)
    }

    /// Nodes and edges, for the graph formats.
    #[must_use]
    pub fn graph(&self) -> GraphData {
        let row = |node: &Node| NodeRow {
            id: match (&node.path, node.line) {
                (Some(path), Some(line)) => format!("{}@{path}:{line}", node.name),
                _ => node.name.clone(),
            },
            label: node.name.clone(),
            kind: node.kind,
            external: node.path.is_none(),
            source: true,
            path: node.path.clone(),
            line: node.line,
        };
        let edge = |link: &Link| EdgeRow {
            source: link.source as u32,
            target: link.target as u32,
            kind: link.relation,
            status: link.status,
        };
        GraphData {
            nodes: self.nodes.iter().map(row).collect(),
            edges: self.links.iter().map(edge).collect(),
        }
    }
}

//! The graph's rows as JSON lines, for machines that stream.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;

use super::escape::safe_json;

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the field's own terms")]
pub enum RecordKind {
    File,
    Package,
    Module,
    Class,
    Function,
    Method,
    Lambda,
    Variable,
    Constant,
    Attribute,
    Property,
    TypeAlias,
    Import,
    CallSite,
    ParseError,
}

/// Size and shape of a file, class or function.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measures {
    /// Lines from first to last.
    pub lines: u32,
    /// Lines that hold code.
    pub source_lines: u32,
    /// Lines that hold a comment alone.
    pub comment_lines: u32,
    /// Blank lines.
    pub blank_lines: u32,
    /// Deepest nesting of control structures.
    pub nesting: u32,
    /// Parameters of a function.
    pub parameters: u32,
    /// Maintainability index, 0 to 100.
    pub maintainability: f64,
}

/// One line. The first four keys are always present.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record<'a> {
    /// What it is about.
    pub kind: RecordKind,
    /// The path relative to the root.
    pub path: Cow<'a, str>,
    /// The line, from one.
    pub line: u32,
    /// The dotted name; of an import or a call site, that of the scope it stands in; of a file, its module's.
    pub qualname: Cow<'a, str>,
    /// The last line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_line: Option<u32>,
    /// Cyclomatic complexity of a function or method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complexity: Option<u32>,
    /// Cognitive complexity of a function or method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cognitive: Option<u32>,
    /// Status of a file or call site, resolution of an import.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
    /// Why, where the status asks for it; the message of a parse error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'a, str>>,
    /// What an import names or a call site's callee says, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Cow<'a, str>>,
    /// Dotted names that it leads to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Cow<'a, str>>,
    /// How an import is meant: `runtime`, `type_checking`, `function_local`, `optional`, `lazy`, `string`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub import_kind: Vec<&'static str>,
    /// What a symbol is besides its kind: `async`, `static`, `property` ...
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<&'static str>,
    /// Lines, source lines, comment lines and blank lines of a file, class or function.
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    pub measures: Option<Measures>,
}

impl<'a> Record<'a> {
    /// A record with the four keys that every one has.
    pub fn new(
        kind: RecordKind,
        path: impl Into<Cow<'a, str>>,
        line: u32,
        qualname: impl Into<Cow<'a, str>>,
    ) -> Self {
        Self {
            kind,
            path: path.into(),
            line,
            qualname: qualname.into(),
            end_line: None,
            complexity: None,
            cognitive: None,
            status: None,
            reason: None,
            target: None,
            targets: Vec::new(),
            import_kind: Vec::new(),
            flags: Vec::new(),
            measures: None,
        }
    }
}

/// Writes each record on its line. The writer sees large blocks, buffered or not.
///
/// # Errors
///
/// Those of the writer.
pub fn write<'a>(records: impl IntoIterator<Item = Record<'a>>, mut out: impl Write) -> io::Result<()> {
    const BLOCK: usize = 64 << 10;
    let mut block = Vec::with_capacity(BLOCK + 4096);
    for record in records {
        serde_json::to_writer(&mut block, &record)?;
        block.push(b'\n');
        if block.len() >= BLOCK {
            out.write_all(&safe_json(&block))?;
            block.clear();
        }
    }
    out.write_all(&safe_json(&block))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_each() {
        let records = [
            Record::new(RecordKind::File, "a\n.py", 1, "a"),
            Record { complexity: Some(3), ..Record::new(RecordKind::Method, "a.py", 7, "a.C.m") },
            Record {
                status: Some("resolved"),
                targets: vec!["b.f".into()],
                ..Record::new(RecordKind::CallSite, "a.py", 8, "a.C.m")
            },
        ];
        let mut out = Vec::new();
        write(records, &mut out).expect("a vector takes everything");
        insta::assert_snapshot!(String::from_utf8(out).expect("UTF-8"), @r#"
        {"kind":"file","path":"a\n.py","line":1,"qualname":"a"}
        {"kind":"method","path":"a.py","line":7,"qualname":"a.C.m","complexity":3}
        {"kind":"call_site","path":"a.py","line":8,"qualname":"a.C.m","status":"resolved","targets":["b.f"]}
        "#);
    }

    #[test]
    fn blocks_lose_nothing() {
        let many =
            (0..5000).map(|line| Record::new(RecordKind::Function, "some/path.py", line, "some.path.f"));
        let mut out = Vec::new();
        write(many, &mut out).expect("a vector takes everything");
        let lines: Vec<serde_json::Value> =
            out.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        assert_eq!(lines.len(), 5000);
        assert!(lines.iter().enumerate().all(|(at, line)| line["line"] == at));
    }
}

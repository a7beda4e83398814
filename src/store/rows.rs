//! The rows that every store holds, table by table: their columns, their bytes, their keys, their digest.
//!
//! All stores share this form. A row is the bytes of its values in order of its table's columns; equal rows have equal
//! bytes, so a difference of two graphs is a comparison of bytes, and a digest is one of what a store gives back. How a graph becomes
//! rows is for [`super::projection`] to know, how rows reach a server for the stores.

use std::borrow::Cow;
use std::fmt;

/// Blake2b-128 of a stable name. All zeros: none.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub [u8; 16]);

impl Key {
    /// No key: a null.
    pub const NONE: Self = Self([0; 16]);

    /// True for a null.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// The key of a stable name of these parts.
    fn of(parts: &[&str]) -> Self {
        let mut name = String::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                name.push(':');
            }
            push_encoded(part, &mut name);
        }
        let hash = blake2b_simd::Params::new().hash_length(16).hash(name.as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(hash.as_bytes());
        Self(key)
    }

    /// Of a project: `project`.
    #[must_use]
    pub fn project(project: &str) -> Self {
        Self::of(&[project])
    }

    /// Of a file: `project:path`.
    #[must_use]
    pub fn file(project: &str, path: &str) -> Self {
        Self::of(&[project, path])
    }

    /// Of what lies outside the project: `project:external:name` or `project:builtin:name`.
    #[must_use]
    pub fn outside(project: &str, kind: &str, name: &str) -> Self {
        Self::of(&[project, kind, name])
    }

    /// Of a symbol: `project:root:module:qualname`; a module has no qualified name.
    #[must_use]
    pub fn symbol(project: &str, root: &str, module: &str, qualname: &str) -> Self {
        Self::of(&[project, root, module, qualname])
    }
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Appends a part of a stable name, percent-encoded where it holds `%`, `:` or a control character.
fn push_encoded(part: &str, out: &mut String) {
    use fmt::Write as _;
    if !part.bytes().any(|byte| matches!(byte, b'%' | b':' | 0..0x20 | 0x7f)) {
        out.push_str(part);
        return;
    }
    for character in part.chars() {
        if matches!(character, '%' | ':' | '\0'..'\x20' | '\x7f') {
            let _ = write!(out, "%{:02X}", character as u32);
        } else {
            out.push(character);
        }
    }
}

/// Text as stores can hold it, without NUL. NUL becomes `\x00`; backslashes that stand before a NUL or before the characters `x00` are doubled.
/// [`plain_text`] is the inverse.
#[must_use]
pub fn store_text(text: &str) -> Cow<'_, str> {
    if !text.contains('\0') && !text.contains("\\x00") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for (before, nul) in parts(text, &["\0", "x00"]) {
        let slashes = trailing_slashes(before);
        out.push_str(before);
        out.extend(std::iter::repeat_n('\\', if nul.is_empty() { 0 } else { slashes }));
        out.push_str(if nul == "\0" { "\\x00" } else { nul });
    }
    Cow::Owned(out)
}

/// The text that [`store_text`] was given.
#[must_use]
pub fn plain_text(text: &str) -> Cow<'_, str> {
    if !text.contains("\\x00") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for (before, nul) in parts(text, &["x00"]) {
        let slashes = trailing_slashes(before);
        out.push_str(&before[..before.len() - if nul.is_empty() { 0 } else { slashes.div_ceil(2) }]);
        out.push_str(if slashes % 2 == 1 && !nul.is_empty() { "\0" } else { nul });
    }
    Cow::Owned(out)
}

fn trailing_slashes(text: &str) -> usize {
    text.len() - text.trim_end_matches('\\').len()
}

/// A text cut at each of some `marks`: what stands before it, and the mark; at the end an empty one.
fn parts<'t>(text: &'t str, marks: &'t [&'t str]) -> impl Iterator<Item = (&'t str, &'t str)> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let here = rest?;
        let found = marks.iter().filter_map(|mark| Some((here.find(mark)?, *mark))).min();
        match found {
            Some((at, mark)) => {
                rest = Some(&here[at + mark.len()..]);
                Some((&here[..at], mark))
            }
            None => {
                rest = None;
                Some((here, ""))
            }
        }
    })
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A [`Key`]; 16 bytes.
    Key,
    /// A key or null.
    NullKey,
    /// Text without NUL, never null; length (u32) and bytes.
    Text,
    /// A whole number; 8 bytes.
    Int,
    /// A whole number or null.
    NullInt,
}

/// A number that is null.
pub const NULL: i64 = i64::MIN;

/// A value of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A key; null where it is [`Key::NONE`] in a column that may be null.
    Key(Key),
    /// Text.
    Text(&'a str),
    /// A number; null where it is [`NULL`] in a column that may be null.
    Int(i64),
}

/// A column: name and type.
pub type Column = (&'static str, Type);

/// A table of the relational schema.
#[derive(Debug)]
pub struct TableDef {
    /// Name in SQL.
    pub name: &'static str,
    /// So many leading columns tell its rows apart, within a generation.
    pub identity: usize,
    /// Column with the key of the row's owner, a file or the project.
    pub owner: usize,
    /// All columns.
    pub columns: &'static [Column],
}

impl TableDef {
    /// Names of all columns, quoted, as a list in SQL.
    #[must_use]
    pub fn column_list(&self) -> String {
        self.columns.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
    }
}

/// The tables, in the order in which they are written: what edges lead to comes before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TableId {
    /// Source files.
    Files = 0,
    /// Modules.
    Modules = 1,
    /// Modules, packages, classes, functions, variables and what lies outside the project.
    Symbols = 2,
    /// Edges between symbols.
    Edges = 3,
    /// Import statements, a row for each name.
    Imports = 4,
    /// Explicit call sites.
    CallSites = 5,
    /// Syntax errors.
    ParseErrors = 6,
    /// Digests of all rows that a file owns.
    Owners = 7,
}

use Type::{Int, Key as K, NullInt, NullKey, Text};

impl TableId {
    /// All, in order.
    pub const ALL: [Self; 8] = [
        Self::Files,
        Self::Modules,
        Self::Symbols,
        Self::Edges,
        Self::Imports,
        Self::CallSites,
        Self::ParseErrors,
        Self::Owners,
    ];

    /// Its definition.
    #[must_use]
    pub fn def(self) -> &'static TableDef {
        &TABLES[self as usize]
    }
}

/// Definitions of all tables, by [`TableId`].
pub static TABLES: [TableDef; 8] = [
    TableDef {
        name: "files",
        identity: 1,
        owner: 0,
        columns: &[
            ("key", K),
            ("path", Text),
            ("kind", Text),
            ("status", Text),
            ("reason", Text),
            ("encoding", Text),
            ("bytes", Int),
            ("lines", Int),
            ("source_lines", Int),
            ("comment_lines", Int),
            ("blank_lines", Int),
        ],
    },
    TableDef {
        name: "modules",
        identity: 1,
        owner: 1,
        columns: &[("key", K), ("file", K), ("name", Text), ("root", Text), ("kind", Text)],
    },
    TableDef {
        name: "symbols",
        identity: 1,
        owner: 1,
        columns: &[
            ("key", K),
            ("file", K),
            ("label", Text),
            ("kind", Text),
            ("name", Text),
            ("qualname", Text),
            ("module", Text),
            ("path", Text),
            ("line", NullInt),
            ("end_line", NullInt),
            ("flags", Text),
            ("parameters", Text),
            ("returns", Text),
            ("docstring", Text),
            ("complexity", NullInt),
            ("cognitive", NullInt),
            ("nesting", NullInt),
            ("source_lines", NullInt),
            ("maintainability", NullInt),
        ],
    },
    TableDef {
        name: "edges",
        identity: 3,
        owner: 3,
        columns: &[
            ("source", K),
            ("type", Text),
            ("target", K),
            ("file", K),
            ("detail", Text),
            ("sites", Int),
            ("line", NullInt),
        ],
    },
    TableDef {
        name: "imports",
        identity: 2,
        owner: 2,
        columns: &[
            ("source", K),
            ("ordinal", Int),
            ("file", K),
            ("written", Text),
            ("bound", Text),
            ("kind", Text),
            ("status", Text),
            ("module", NullKey),
            ("symbol", NullKey),
            ("line", Int),
        ],
    },
    TableDef {
        name: "call_sites",
        identity: 2,
        owner: 2,
        columns: &[
            ("caller", K),
            ("ordinal", Int),
            ("file", K),
            ("written", Text),
            ("status", Text),
            ("reason", Text),
            ("callees", Int),
            ("positional", Int),
            ("keywords", Int),
            ("line", Int),
        ],
    },
    TableDef {
        name: "parse_errors",
        identity: 2,
        owner: 0,
        columns: &[
            ("file", K),
            ("ordinal", Int),
            ("line", Int),
            ("column", Int),
            ("message", Text),
            ("lost_start", Int),
            ("lost_length", Int),
        ],
    },
    TableDef { name: "owners", identity: 1, owner: 0, columns: &[("file", K), ("digest", K)] },
];

/// Rows of one table, one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Rows {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True without rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all rows.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of row `at`.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn get(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[start..self.ends[at]]
    }

    /// All rows.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// Adds a row that exists as bytes.
    pub fn push(&mut self, row: &[u8]) {
        self.bytes.extend_from_slice(row);
        self.ends.push(self.bytes.len());
    }

    /// Adds all rows of `other`.
    pub fn append(&mut self, other: &Self) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.ends.extend(other.ends.iter().map(|end| start + end));
    }

    /// Begins a row; its values follow.
    pub fn row(&mut self) -> RowWriter<'_> {
        RowWriter(self)
    }

    /// Forgets all rows, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Writes the values of one row, in order of the columns.
#[derive(Debug)]
pub struct RowWriter<'r>(&'r mut Rows);

impl RowWriter<'_> {
    /// A key.
    pub fn key(self, key: Key) -> Self {
        self.0.bytes.extend_from_slice(&key.0);
        self
    }

    /// A text; NUL is escaped.
    pub fn text(self, text: &str) -> Self {
        let text = store_text(text);
        self.0.bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
        self.0.bytes.extend_from_slice(text.as_bytes());
        self
    }

    /// A number.
    pub fn int(self, number: impl Into<i64>) -> Self {
        self.0.bytes.extend_from_slice(&number.into().to_le_bytes());
        self
    }

    /// A number, or null.
    pub fn maybe(self, number: Option<u32>) -> Self {
        self.int(number.map_or(NULL, i64::from))
    }

    /// A value as a store gave it back: nothing is escaped.
    pub fn value(self, value: Value<'_>) -> Self {
        match value {
            Value::Key(key) => self.key(key),
            Value::Int(number) => self.int(number),
            Value::Text(text) => {
                self.0.bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
                self.0.bytes.extend_from_slice(text.as_bytes());
                self
            }
        }
    }

    /// The row is whole.
    pub fn end(self) {
        self.0.ends.push(self.0.bytes.len());
    }
}

/// The values of a row of `table`.
pub fn values<'r>(table: TableId, row: &'r [u8]) -> impl Iterator<Item = Value<'r>> {
    let mut rest = row;
    table.def().columns.iter().map(move |(_, column)| take(*column, &mut rest))
}

fn take<'r>(column: Type, rest: &mut &'r [u8]) -> Value<'r> {
    match column {
        Type::Key | Type::NullKey => {
            let (key, after) = rest.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
            *rest = after;
            Value::Key(Key(*key))
        }
        Type::Int | Type::NullInt => {
            let (number, after) = rest.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
            *rest = after;
            Value::Int(i64::from_le_bytes(*number))
        }
        Type::Text => {
            let (length, after) = rest.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
            let length = (u32::from_le_bytes(*length) as usize).min(after.len());
            let (text, after) = after.split_at(length);
            *rest = after;
            Value::Text(std::str::from_utf8(text).unwrap_or_default())
        }
    }
}

/// The bytes of a row by which it is told from others of its table.
#[must_use]
pub fn identity(table: TableId, row: &[u8]) -> &[u8] {
    let def = table.def();
    let mut rest = row;
    for (_, column) in &def.columns[..def.identity] {
        take(*column, &mut rest);
    }
    &row[..row.len() - rest.len()]
}

/// The key in column `at` of a row; none where that holds none.
#[must_use]
pub fn key_at(table: TableId, row: &[u8], at: usize) -> Key {
    match values(table, row).nth(at) {
        Some(Value::Key(key)) => key,
        _ => Key::NONE,
    }
}

/// The key of the file, or project, that a row belongs to.
#[must_use]
pub fn owner(table: TableId, row: &[u8]) -> Key {
    key_at(table, row, table.def().owner)
}

/// Sum mod 2^128 of a Blake2b-128 for each row, whatever their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(u128);

impl Digest {
    /// Adds a row.
    pub fn add(&mut self, table: TableId, row: &[u8]) {
        let mut state = blake2b_simd::Params::new().hash_length(16).to_state();
        state.update(&[table as u8]).update(row);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(state.finalize().as_bytes());
        self.0 = self.0.wrapping_add(u128::from_le_bytes(bytes));
    }

    /// Of the rows of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    /// Of these rows without those of `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.wrapping_sub(other.0))
    }

    /// The one that a store keeps as `key`.
    #[must_use]
    pub fn of_key(key: Key) -> Self {
        Self(u128::from_le_bytes(key.0))
    }

    /// As a key, which is how stores keep it.
    #[must_use]
    pub fn key(self) -> Key {
        Key(self.0.to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_of_names_do_not_run_together() {
        assert_ne!(Key::file("a", "b:c"), Key::outside("a", "b", "c"));
        assert_ne!(Key::symbol("p", "", "a", "b"), Key::symbol("p", "", "a:b", ""));
        assert_ne!(Key::symbol("p", "", "a", ""), Key::symbol("p", "a", "", ""));
        assert_ne!(Key::file("p", "%3A"), Key::file("p", ":"));
    }

    #[test]
    fn identity_and_owner() {
        for table in TableId::ALL {
            let def = table.def();
            assert!(matches!(def.columns[def.owner].1, Type::Key), "{}", def.name);
            assert!(def.identity <= def.columns.len(), "{}", def.name);
        }
        let mut rows = Rows::default();
        let [source, target, file] = [Key([1; 16]), Key([2; 16]), Key([3; 16])];
        rows.row().key(source).text("CALLS").key(target).key(file).text("direct").int(2).maybe(None).end();
        let row = rows.get(0);
        assert_eq!(owner(TableId::Edges, row), file);
        assert_eq!(identity(TableId::Edges, row).len(), 16 + 4 + 5 + 16);
        let found: Vec<_> = values(TableId::Edges, row).collect();
        assert_eq!(found[5..], [Value::Int(2), Value::Int(NULL)]);
    }

    proptest! {
        #[test]
        fn text_comes_back(text in r"[a\\x0\x00]{0,12}") {
            let stored = store_text(&text);
            prop_assert!(!stored.contains('\0'));
            prop_assert_eq!(plain_text(&stored), text.as_str());
        }

        #[test]
        fn digest_does_not_depend_on_order(texts in prop::collection::vec(".{0,5}", 0..8)) {
            let (mut one, mut other) = (Digest::default(), Digest::default());
            texts.iter().for_each(|text| one.add(TableId::Files, text.as_bytes()));
            texts.iter().rev().for_each(|text| other.add(TableId::Files, text.as_bytes()));
            prop_assert_eq!(one, other);
        }
    }
}

//! Facts as JSON: whole and reversible for the cache's portable form, and as people like to read them for `cache show`.

use super::facts::{
    Facts, FactsBuilder, FactsSchema, ImportKind, RefKind, SymbolKind, col, symbol_flag, table,
};
use super::{check, name};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::ser::{Error as _, Serialize, SerializeMap as _, Serializer};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

/// All rows of a block, by table and column; strings in full.
///
/// # Errors
/// What is wrong with the bytes.
pub fn to_json(raw: &[u8]) -> Result<Value, String> {
    check_form(raw)?;
    serde_json::to_value(All(raw)).map_err(|error| error.to_string())
}

/// Whether the bytes are a block that [`write_json`] can tell.
///
/// # Errors
/// What is wrong with them.
pub fn check_form(raw: &[u8]) -> Result<(), String> {
    Facts::open(raw).map(|_| ()).ok_or_else(|| "holds no facts of this version".to_owned())
}

/// Writes what [`to_json`] gives, row by row: nothing of the block is held as values.
///
/// # Errors
/// Those of `out`.
pub fn write_json(raw: &[u8], out: &mut dyn Write) -> io::Result<()> {
    Ok(serde_json::to_writer(out, &All(raw))?)
}

/// All of a block. Keys in the order in which [`Value`] has them.
struct All<'a>(&'a [u8]);

impl Serialize for All<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let facts = Facts::open(self.0).ok_or_else(|| S::Error::custom("no facts"))?;
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("strings", &Texts(&facts))?;
        map.serialize_entry("tables", &Tables(&facts))?;
        map.end()
    }
}

struct Texts<'a>(&'a Facts<'a>);

impl Serialize for Texts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((0..self.0.rows(table::Strings)).map(|id| self.0.text(id)))
    }
}

struct Tables<'a>(&'a Facts<'a>);

impl Serialize for Tables<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tables = BTreeMap::new();
        let mut first = 0;
        for (number, (name, columns)) in FactsSchema::NAMES.iter().enumerate() {
            if number != table::Strings {
                tables.insert(*name, Table { facts: self.0, number, first, columns });
            }
            first += columns.len();
        }
        serializer.collect_map(tables)
    }
}

/// A table whose first column has the number `first`.
struct Table<'a> {
    facts: &'a Facts<'a>,
    number: usize,
    first: usize,
    columns: &'a [&'a str],
}

impl Serialize for Table<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = self.facts.rows(self.number);
        let column = |at| Column { facts: self.facts, column: self.first + at, rows };
        let columns: BTreeMap<&str, Column<'_>> =
            self.columns.iter().enumerate().map(|(at, name)| (*name, column(at))).collect();
        serializer.collect_map(columns)
    }
}

struct Column<'a> {
    facts: &'a Facts<'a>,
    column: usize,
    rows: u32,
}

impl Serialize for Column<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((0..self.rows).map(|row| self.facts.get(self.column, row)))
    }
}

/// The block of [`to_json`]'s value, checked: whoever wrote the text, what comes out is safe to link.
///
/// # Errors
/// What is wrong with the text.
pub fn from_json(text: &str) -> Result<Vec<u8>, String> {
    let mut read: Portable<'_> =
        serde_json::from_str(text).map_err(|error| format!("holds no facts: {error}"))?;
    let mut builder = FactsBuilder::default();
    let Strings { ends, hashes, blob } = read.strings;
    *builder.column_mut(col::STR_HASH) = hashes;
    *builder.column_mut(col::STR_END) = ends;
    *builder.blob_mut() = blob;
    let mut column = 0;
    for (number, (table_name, columns)) in FactsSchema::NAMES.iter().enumerate() {
        if number == table::Strings {
            column += columns.len();
            continue;
        }
        let mut table =
            read.tables.remove(*table_name).ok_or_else(|| format!("has no table `{table_name}`"))?;
        let mut rows = None;
        for name in *columns {
            let values = table.remove(*name).ok_or_else(|| format!("has no column `{table_name}.{name}`"))?;
            if *rows.get_or_insert(values.len()) != values.len() {
                return Err(format!("has columns of different length in `{table_name}`"));
            }
            *builder.column_mut(column) = values;
            column += 1;
        }
        if let Some(name) = table.keys().next() {
            return Err(format!("has an unknown column `{table_name}.{name}`"));
        }
    }
    if let Some(name) = read.tables.keys().next() {
        return Err(format!("has an unknown table `{name}`"));
    }
    let block = builder.finish();
    let facts = Facts::open(&block).ok_or("has too many rows")?;
    check::facts(&facts)?;
    Ok(block)
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Portable<'a> {
    strings: Strings,
    #[serde(borrow)]
    tables: BTreeMap<Cow<'a, str>, BTreeMap<Cow<'a, str>, Vec<u32>>>,
}

/// Strings as a block holds them; as values of their own, short ones would take many times their size.
#[derive(Default)]
struct Strings {
    ends: Vec<u32>,
    hashes: Vec<u32>,
    blob: Vec<u8>,
}

impl<'de> Deserialize<'de> for Strings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut strings = Self::default();
        deserializer.deserialize_seq(&mut strings)?;
        Ok(strings)
    }
}

impl<'de> Visitor<'de> for &mut Strings {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(&mut *self)?.is_some() {}
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.blob.extend_from_slice(text.as_bytes());
        self.ends.push(u32::try_from(self.blob.len()).map_err(|_| E::custom("the strings are too long"))?);
        self.hashes.push(name::hash(text.as_bytes()));
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &mut Strings {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

/// What the file defines, for a person.
#[must_use]
pub fn module(facts: &Facts<'_>) -> Value {
    let symbols: Vec<Value> = (1..facts.rows(table::Symbols))
        .map(|symbol| {
            let flags: Vec<&str> = symbol_flag::names(facts.get(col::SYM_FLAGS, symbol)).collect();
            let kind = SymbolKind::from_u32(facts.get(col::SYM_KIND, symbol)).name();
            json!({ "kind": kind, "qualname": facts.qualname(symbol), "line": facts.get(col::SYM_LINE, symbol), "flags": flags })
        })
        .collect();
    let errors: Vec<Value> = (0..facts.rows(table::Errors))
        .map(|row| json!({ "line": facts.get(col::ERR_LINE, row), "column": facts.get(col::ERR_COLUMN, row), "message": facts.str(col::ERR_MESSAGE, row) }))
        .collect();
    json!({
        "docstring": facts.str(col::FILE_DOC, 0),
        "encoding": facts.str(col::FILE_ENCODING, 0),
        "bytes": facts.get(col::FILE_BYTES, 0),
        "symbols": symbols,
        "parse_errors": errors,
    })
}

/// What the file says of others, as written: imports, bases and calls.
#[must_use]
pub fn relationships(facts: &Facts<'_>) -> Value {
    let owner = |scope: u32| facts.qualname(facts.get(col::SCO_SYM, scope));
    let mut all = Vec::new();
    for row in 0..facts.rows(table::Imports) {
        let module = format!(
            "{}{}",
            ".".repeat(facts.get(col::IMP_LEVEL, row) as usize),
            facts.str(col::IMP_MODULE, row)
        );
        let kind = ImportKind::from_u32(facts.get(col::IMP_KIND, row)).name();
        all.push(json!({
            "type": "IMPORTS", "source": owner(facts.get(col::IMP_SCOPE, row)), "target": module, "name": facts.str(col::IMP_NAME, row),
            "form": kind, "line": facts.get(col::IMP_LINE, row),
        }));
    }
    for row in 0..facts.rows(table::Bases) {
        all.push(json!({
            "type": "INHERITS", "source": facts.qualname(facts.get(col::BASE_SYM, row)), "target": access_path(facts, facts.get(col::BASE_REF, row)),
            "keyword": facts.str(col::BASE_KEYWORD, row), "line": facts.get(col::BASE_LINE, row),
        }));
    }
    for row in 0..facts.rows(table::Calls) {
        all.push(json!({
            "type": "CALLS", "source": owner(facts.get(col::CALL_SCOPE, row)), "target": access_path(facts, facts.get(col::CALL_REF, row)),
            "line": facts.get(col::CALL_LINE, row),
        }));
    }
    Value::Array(all)
}

/// What an import row asks for, as written: `a.b`, `..a.name`, `a.*`.
#[must_use]
pub fn imported(facts: &Facts<'_>, row: u32) -> String {
    let mut written = ".".repeat(facts.get(col::IMP_LEVEL, row) as usize);
    written.push_str(facts.str(col::IMP_MODULE, row));
    let name = match ImportKind::from_u32(facts.get(col::IMP_KIND, row)) {
        ImportKind::Module | ImportKind::Literal => return written,
        ImportKind::Star => "*",
        ImportKind::From => facts.str(col::IMP_NAME, row),
    };
    if !written.ends_with('.') {
        written.push('.');
    }
    written.push_str(name);
    written
}

/// An access path as written, as far as facts keep it.
#[must_use]
pub fn access_path(facts: &Facts<'_>, row: u32) -> String {
    let mut out = String::new();
    push_path(facts, row, 0, &mut out);
    out
}

fn push_path(facts: &Facts<'_>, row: u32, depth: u32, out: &mut String) {
    if depth > 40 {
        out.push('…');
        return;
    }
    let base = facts.get(col::REF_BASE, row);
    match RefKind::from_u32(facts.get(col::REF_KIND, row)) {
        RefKind::Name => {
            let name = facts.str(col::REF_NAME, row);
            out.push_str(if name.starts_with("<lambda@") { "<lambda>" } else { name });
        }
        RefKind::Attribute => {
            push_path(facts, base, depth + 1, out);
            out.push('.');
            out.push_str(facts.str(col::REF_NAME, row));
        }
        RefKind::Call => {
            push_path(facts, base, depth + 1, out);
            out.push_str("()");
        }
        RefKind::Subscript => {
            push_path(facts, base, depth + 1, out);
            out.push_str("[]");
        }
        RefKind::Await => {
            out.push_str("await ");
            push_path(facts, base, depth + 1, out);
        }
        RefKind::Super => out.push_str("super()"),
        RefKind::Literal => {
            out.push('<');
            out.push_str(facts.str(col::REF_NAME, row));
            out.push('>');
        }
        RefKind::Other => out.push_str("<expression>"),
    }
}

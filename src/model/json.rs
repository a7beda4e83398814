//! Facts as JSON: whole and reversible for the cache's portable form, and as people like to read them for `cache show`.

use super::facts::{
    Facts, FactsBuilder, FactsSchema, ImportKind, RefKind, SymbolKind, col, symbol_flag, table,
};
use super::name;
use serde_json::{Map, Value, json};

/// All rows of a block, by table and column; strings in full.
///
/// # Errors
/// What is wrong with the bytes.
pub fn to_json(raw: &[u8]) -> Result<Value, String> {
    let facts = Facts::open(raw).ok_or("holds no facts of this version")?;
    let strings: Vec<&str> = (0..facts.rows(table::Strings)).map(|id| facts.text(id)).collect();
    let mut tables = Map::new();
    let mut column = 0;
    for (number, (table_name, columns)) in FactsSchema::NAMES.iter().enumerate() {
        let mut all = Map::new();
        for name in *columns {
            if number != table::Strings {
                let values: Vec<u32> = (0..facts.rows(number)).map(|row| facts.get(column, row)).collect();
                all.insert((*name).to_owned(), json!(values));
            }
            column += 1;
        }
        if number != table::Strings {
            tables.insert((*table_name).to_owned(), Value::Object(all));
        }
    }
    Ok(json!({ "strings": strings, "tables": tables }))
}

/// The block of [`to_json`]'s value.
///
/// # Errors
/// What is wrong with the value.
pub fn from_json(value: &Value) -> Result<Vec<u8>, String> {
    let mut builder = FactsBuilder::default();
    let strings = value["strings"].as_array().ok_or("`strings` is no list")?;
    for text in strings {
        let text = text.as_str().ok_or("`strings` holds something else")?;
        builder.push(col::STR_HASH, name::hash(text.as_bytes()));
        builder.blob_mut().extend_from_slice(text.as_bytes());
        let end = u32::try_from(builder.blob_mut().len()).map_err(|_| "the strings are too long")?;
        builder.push(col::STR_END, end);
    }
    let mut column = 0;
    for (number, (table_name, columns)) in FactsSchema::NAMES.iter().enumerate() {
        let mut rows = None;
        for name in *columns {
            if number != table::Strings {
                let values = value["tables"][*table_name][*name]
                    .as_array()
                    .ok_or_else(|| format!("`{table_name}.{name}` is no list"))?;
                if *rows.get_or_insert(values.len()) != values.len() {
                    return Err(format!("the columns of `{table_name}` differ in length"));
                }
                for value in values {
                    let value = value.as_u64().and_then(|value| u32::try_from(value).ok());
                    builder.push(
                        column,
                        value
                            .ok_or_else(|| format!("`{table_name}.{name}` holds what is no 32-bit number"))?,
                    );
                }
            }
            column += 1;
        }
    }
    Ok(builder.finish())
}

/// What the file defines, for a person.
#[must_use]
pub fn module(facts: &Facts<'_>) -> Value {
    let symbols: Vec<Value> = (1..facts.rows(table::Symbols))
        .map(|symbol| {
            let flags = facts.get(col::SYM_FLAGS, symbol);
            let flags: Vec<&str> = symbol_flag::NAMES.iter().enumerate().filter(|(bit, _)| flags >> bit & 1 != 0).map(|(_, name)| *name).collect();
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

//! The graph as the CSV files that `neo4j-admin database import full` takes, for graphs that are more than one wants to send.
//!
//! What is imported is what a full load writes: generation 1 of one project. Texts are quoted, so that empty ones stay texts; what is null is an empty field.

use super::{properties, property};
use crate::store::State;
use crate::store::projection::Projection;
use crate::store::rows::{Key, NULL, Rows, TableId, Type, Value, key_at, owner, values};
use rustc_hash::FxHashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// The files, in the order of the command's options.
const FILES: [(&str, Option<TableId>); 4] = [
    ("files.csv", Some(TableId::Files)),
    ("symbols.csv", Some(TableId::Symbols)),
    ("edges.csv", Some(TableId::Edges)),
    ("project.csv", None),
];

/// Writes the files to the folder `to`, which is made where it is not there. Gives the number of nodes and relationships.
///
/// # Errors
/// Those of the file system.
pub fn export(projection: &Projection<'_>, state: &State, to: &Path) -> io::Result<(u64, u64)> {
    std::fs::create_dir_all(to)?;
    let mut out = Vec::new();
    for (name, table) in FILES {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(to.join(name))?);
        if let Some(table) = table {
            writeln!(file, "{}", header(table))?;
        }
        out.push(file);
    }
    let (mut nodes, mut relationships) = (2, 0);
    // The digest of a file is a property of its node, and comes after all other rows: files wait for theirs.
    let (mut files, mut digests) = (Rows::default(), FxHashMap::default());
    let mut result = Ok(());
    projection.batches(&mut |batch| {
        let count = batch.rows.len() as u64;
        match batch.table {
            TableId::Files => files.append(&batch.rows),
            TableId::Symbols => {
                nodes += count;
                result = write_rows(&mut out[1], batch.table, &batch.rows, &digests);
            }
            TableId::Edges => {
                relationships += count;
                result = write_rows(&mut out[2], batch.table, &batch.rows, &digests);
            }
            TableId::Owners => {
                let of = |row| (owner(batch.table, row), key_at(batch.table, row, 1));
                digests.extend(batch.rows.iter().map(of));
            }
            TableId::Modules | TableId::Imports | TableId::CallSites | TableId::ParseErrors => {}
        }
        result.is_ok()
    });
    result?;
    nodes += files.len() as u64;
    write_rows(&mut out[0], TableId::Files, &files, &digests)?;
    let digest = digests.get(&projection.project_key()).copied().unwrap_or_default();
    let project = projection.project_key();
    let file = &mut out[3];
    writeln!(
        file,
        ":ID,gen:long,key:string,name:string,head:long,rev:long,state:string,updating:boolean,digest:string,generations:long[],value:long,:LABEL"
    )?;
    write!(file, "{project},0,{project},")?;
    quote(file, &crate::store::rows::store_text(projection.project()))?;
    writeln!(file, ",1,1,{},false,{digest},1,,PyDebug;Project", state.0)?;
    writeln!(file, "counter,,,generation,,,,,,,1,PyDebugCounter")?;
    out.iter_mut().try_for_each(Write::flush)?;
    Ok((nodes, relationships))
}

/// The options of `neo4j-admin database import full` for these files.
#[must_use]
pub fn command(folder: &Path) -> String {
    let file = |name: &str| folder.join(name).display().to_string();
    format!(
        "neo4j-admin database import full neo4j --overwrite-destination --multiline-fields=true --nodes={} --nodes={} --nodes={} --relationships={}",
        file("project.csv"),
        file("files.csv"),
        file("symbols.csv"),
        file("edges.csv")
    )
}

fn header(table: TableId) -> String {
    let columns = table.def().columns;
    let mut names: Vec<String> = properties(table)
        .map(|(at, _)| {
            let (name, kind) = columns[at];
            let kind = if matches!(kind, Type::Int | Type::NullInt) { "long" } else { "string" };
            format!("{}:{kind}", property(name))
        })
        .collect();
    names.insert(0, "gen:long".to_owned());
    match table {
        TableId::Edges => format!(":START_ID,:END_ID,:TYPE,{}", names.join(",")),
        TableId::Files => format!(":ID,{},name:string,digest:string,:LABEL", names.join(",")),
        _ => format!(":ID,{},:LABEL", names.join(",")),
    }
}

fn quote(out: &mut dyn Write, text: &str) -> io::Result<()> {
    out.write_all(b"\"")?;
    for (at, part) in text.split('"').enumerate() {
        if at > 0 {
            out.write_all(b"\"\"")?;
        }
        out.write_all(part.as_bytes())?;
    }
    out.write_all(b"\"")
}

fn write_value(out: &mut dyn Write, value: Value<'_>) -> io::Result<()> {
    match value {
        Value::Key(key) => write!(out, "{key}"),
        Value::Int(NULL) => Ok(()),
        Value::Int(number) => write!(out, "{number}"),
        Value::Text(text) => quote(out, text),
    }
}

fn write_rows(
    out: &mut dyn Write,
    table: TableId,
    rows: &Rows,
    digests: &FxHashMap<Key, Key>,
) -> io::Result<()> {
    for row in rows.iter() {
        let all: Vec<Value<'_>> = values(table, row).collect();
        match table {
            TableId::Edges => {
                write_value(out, all[0])?;
                out.write_all(b",")?;
                write_value(out, all[2])?;
                if let Value::Text(kind) = all[1] {
                    write!(out, ",{kind}")?;
                }
            }
            _ => write_value(out, all[0])?,
        }
        out.write_all(b",1")?;
        for (at, _) in properties(table) {
            out.write_all(b",")?;
            write_value(out, all[at])?;
        }
        match table {
            TableId::Files => {
                out.write_all(b",")?;
                write_value(out, all[1])?;
                match digests.get(&owner(table, row)) {
                    Some(digest) => write!(out, ",{digest},PyDebug;File")?,
                    None => write!(out, ",,PyDebug;File")?,
                }
            }
            TableId::Symbols => {
                if let Value::Text(label) = all[2] {
                    write!(out, ",PyDebug;{label}")?;
                }
            }
            _ => {}
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}

//! Whether facts that were made elsewhere hold together: every number that stands for a row stands for one that exists.
//!
//! Facts that this program made need no check: they are as they were made, or their checksum is wrong. What an import
//! brings may have been written by anyone, and reading rows that do not exist would end the run. Whether the facts are *true* is no
//! matter of this module.

use super::block::Schema as _;
use super::facts::{
    ArgKind, BINDING_CONDITIONAL, BINDING_LAST, BindingKind, Container, Facts, FactsSchema, FlowOp,
    ImportKind, PROTOCOL, ParamKind, RefKind, ScopeKind, SymbolKind, col, given, table,
};

/// What the numbers of a column are.
#[derive(Clone, Copy)]
enum Is {
    /// Counts, places, bits.
    Number,
    /// The number of one of so many kinds.
    Kind(usize),
    /// Rows of a table.
    Row(usize),
    /// Rows of a table, plus one; 0 for none.
    Option(usize),
    /// A row of the same table, plus one, that stands before; 0 for none.
    Before,
    /// Ascending, and at most the number of rows of a table.
    Start(usize),
    /// Something else, by another column.
    Other,
}

const STRING: Is = Is::Row(table::Strings);

/// Every column, in order.
const COLUMNS: [(usize, Is); col::COUNT] = [
    (col::FILE_FLAGS, Is::Number),
    (col::FILE_ENCODING, STRING),
    (col::FILE_BYTES, Is::Number),
    (col::FILE_DOC, STRING),
    (col::FILE_VARIABLES, Is::Other),
    (col::STR_HASH, Is::Number),
    (col::STR_END, Is::Other),
    (col::SYM_KIND, Is::Kind(SymbolKind::ALL.len())),
    (col::SYM_FLAGS, Is::Number),
    (col::SYM_NAME, STRING),
    (col::SYM_PARENT, Is::Before),
    (col::SYM_SCOPE, Is::Option(table::Scopes)),
    (col::SYM_START, Is::Number),
    (col::SYM_LEN, Is::Number),
    (col::SYM_LINE, Is::Number),
    (col::SYM_ORDINAL, Is::Number),
    (col::BODY_SYM, Is::Row(table::Symbols)),
    (col::BODY_END_LINE, Is::Number),
    (col::BODY_SLOC, Is::Number),
    (col::BODY_COMMENT, Is::Number),
    (col::BODY_BLANK, Is::Number),
    (col::BODY_CC, Is::Number),
    (col::BODY_COGNITIVE, Is::Number),
    (col::BODY_NESTING, Is::Number),
    (col::BODY_MI, Is::Number),
    (col::BODY_DOC, STRING),
    (col::BODY_RETURNS, STRING),
    (col::PAR_SYM, Is::Row(table::Symbols)),
    (col::PAR_NAME, STRING),
    (col::PAR_KIND, Is::Kind(ParamKind::ALL.len())),
    (col::PAR_ANNOTATION, STRING),
    (col::PAR_DEFAULT, STRING),
    (col::SCO_KIND, Is::Kind(ScopeKind::ALL.len())),
    (col::SCO_PARENT, Is::Before),
    (col::SCO_SYM, Is::Row(table::Symbols)),
    (col::SCO_BIND, Is::Start(table::Bindings)),
    (col::BIN_NAME, STRING),
    (col::BIN_KIND, Is::Number),
    (col::BIN_TARGET, Is::Other),
    (col::REF_SCOPE, Is::Row(table::Scopes)),
    (col::REF_KIND, Is::Kind(RefKind::ALL.len())),
    (col::REF_BASE, Is::Other),
    (col::REF_NAME, STRING),
    (col::REF_FLAGS, Is::Number),
    (col::REF_LINE, Is::Number),
    (col::CALL_SCOPE, Is::Row(table::Scopes)),
    (col::CALL_REF, Is::Row(table::Refs)),
    (col::CALL_START, Is::Number),
    (col::CALL_LINE, Is::Number),
    (col::CALL_POSITIONAL, Is::Number),
    (col::CALL_KEYWORDS, Is::Other),
    (col::CALL_FLAGS, Is::Number),
    (col::KW_NAME, STRING),
    (col::IMP_SCOPE, Is::Row(table::Scopes)),
    (col::IMP_KIND, Is::Kind(ImportKind::ALL.len())),
    (col::IMP_FLAGS, Is::Number),
    (col::IMP_MODULE, STRING),
    (col::IMP_NAME, STRING),
    (col::IMP_AS, STRING),
    (col::IMP_LEVEL, Is::Other),
    (col::IMP_START, Is::Number),
    (col::IMP_LINE, Is::Number),
    (col::BASE_SYM, Is::Row(table::Symbols)),
    (col::BASE_REF, Is::Row(table::Refs)),
    (col::BASE_KEYWORD, STRING),
    (col::BASE_LINE, Is::Number),
    (col::DEC_SYM, Is::Row(table::Symbols)),
    (col::DEC_REF, Is::Row(table::Refs)),
    (col::DEC_CALLED, Is::Number),
    (col::DEC_LINE, Is::Number),
    (col::EXC_SCOPE, Is::Row(table::Scopes)),
    (col::EXC_REF, Is::Row(table::Refs)),
    (col::EXC_CAUGHT, Is::Number),
    (col::EXC_LINE, Is::Number),
    (col::EXP_NAME, STRING),
    (col::EXP_REF, Is::Option(table::Refs)),
    (col::SLOT_SYM, Is::Row(table::Symbols)),
    (col::SLOT_NAME, STRING),
    (col::FLOW_OP, Is::Kind(FlowOp::ALL.len())),
    (col::FLOW_OUT, Is::Other),
    (col::FLOW_A, Is::Other),
    (col::FLOW_B, Is::Other),
    (col::FLOW_LINE, Is::Number),
    (col::ARG_KIND, Is::Other),
    (col::ARG_VALUE, Is::Other),
    (col::ARG_NAME, STRING),
    (col::FLOW_NAME, STRING),
    (col::ERR_START, Is::Number),
    (col::ERR_LEN, Is::Number),
    (col::ERR_LINE, Is::Number),
    (col::ERR_COLUMN, Is::Number),
    (col::ERR_MESSAGE, STRING),
    (col::ERR_LOST_START, Is::Number),
    (col::ERR_LOST_LEN, Is::Number),
];

/// More dots than any import has.
const MAX_LEVEL: u32 = 1 << 16;

/// The name of a column and its table.
fn name(column: usize) -> String {
    let all =
        FactsSchema::NAMES.iter().flat_map(|(table, columns)| columns.iter().map(move |name| (table, name)));
    all.skip(column).map(|(table, name)| format!("{table}.{name}")).next().unwrap_or_default()
}

/// Checks the facts of one file.
///
/// # Errors
/// The first column that does not hold together, and its row.
pub(crate) fn facts(facts: &Facts<'_>) -> Result<(), String> {
    let wrong = |column: usize, row: u32| {
        Err(format!("has {} in row {row} of `{}`, which cannot be", facts.get(column, row), name(column)))
    };
    if facts.rows(table::File) != 1 {
        return Err("has not one row in `File`".to_owned());
    }
    for (name, table) in [("Strings", table::Strings), ("Symbols", table::Symbols), ("Scopes", table::Scopes)]
    {
        if facts.rows(table) == 0 {
            return Err(format!("has no row in `{name}`"));
        }
    }
    strings(facts)?;
    // Equal rows have equal bytes.
    if let Some(column) = (0..col::COUNT).find(|&column| !facts.is_narrow(column, FactsSchema::TABLE_OF)) {
        return Err(format!("takes more room than it needs for `{}`", name(column)));
    }
    let mut column = 0;
    for (number, (_, columns)) in FactsSchema::NAMES.iter().enumerate() {
        for _ in *columns {
            let is = COLUMNS[column].1;
            let mut last = 0;
            for row in 0..facts.rows(number) {
                let value = facts.get(column, row);
                let right = match is {
                    Is::Number | Is::Other => true,
                    Is::Kind(count) => (value as usize) < count,
                    Is::Row(table) => value < facts.rows(table),
                    Is::Option(table) => value <= facts.rows(table),
                    Is::Before => value <= row,
                    Is::Start(table) => {
                        let ascending = value >= std::mem::replace(&mut last, value);
                        ascending && value <= facts.rows(table)
                    }
                };
                if !right {
                    return wrong(column, row);
                }
            }
            column += 1;
        }
    }
    for row in 0..facts.rows(table::Bindings) {
        let kind = facts.get(col::BIN_KIND, row) & !(BINDING_CONDITIONAL | BINDING_LAST);
        let rows = match BindingKind::from_u32(kind) {
            BindingKind::Variable | BindingKind::Definition => facts.rows(table::Symbols),
            BindingKind::Import | BindingKind::Star => facts.rows(table::Imports),
            BindingKind::Parameter => facts.rows(table::Params),
            BindingKind::Value => facts.rows(table::Refs) + 1,
            BindingKind::Global | BindingKind::Nonlocal | BindingKind::Annotation => u32::MAX,
        };
        if facts.get(col::BIN_TARGET, row) >= rows {
            return wrong(col::BIN_TARGET, row);
        }
    }
    for row in 0..facts.rows(table::Refs) {
        let base = facts.get(col::REF_BASE, row);
        let right = match RefKind::from_u32(facts.get(col::REF_KIND, row)) {
            RefKind::Name => base <= facts.rows(table::Bindings),
            // A path is written from its start on.
            RefKind::Attribute | RefKind::Call | RefKind::Subscript | RefKind::Await => base < row,
            RefKind::Super => base <= row,
            RefKind::Literal | RefKind::Other => true,
        };
        if !right {
            return wrong(col::REF_BASE, row);
        }
    }
    let mut keywords = 0_u64;
    for row in 0..facts.rows(table::Calls) {
        keywords += u64::from(facts.get(col::CALL_KEYWORDS, row));
    }
    if keywords != u64::from(facts.rows(table::Keywords)) {
        return Err("has another number of keywords than its calls".to_owned());
    }
    flow(facts)?;
    match (0..facts.rows(table::Imports)).find(|&row| facts.get(col::IMP_LEVEL, row) > MAX_LEVEL) {
        Some(row) => wrong(col::IMP_LEVEL, row),
        None => Ok(()),
    }
}

/// The value flow speaks of variables and rows that there are.
fn flow(facts: &Facts<'_>) -> Result<(), String> {
    let wrong = |row: u32| Err(format!("has a constraint in row {row} of `Flow`, which cannot be"));
    let variables = facts.get(col::FILE_VARIABLES, 0);
    let (rows, params) = (facts.rows(table::Flow), facts.rows(table::Params));
    // Each is made by a row or is a parameter; a row makes at most two.
    if u64::from(variables) > 1 + 2 * u64::from(rows) + u64::from(params) {
        return Err("has more variables than its constraints make".to_owned());
    }
    let (mut depth, mut last) = (0_u32, 0);
    for row in 0..rows {
        let [op, out, a, b] =
            [col::FLOW_OP, col::FLOW_OUT, col::FLOW_A, col::FLOW_B].map(|column| facts.get(column, row));
        let op = FlowOp::from_u32(op);
        let variable = |value: u32| value < variables.max(1);
        let names = |name: u32| name < facts.rows(table::FlowNames);
        let refs = |row: u32| row < facts.rows(table::Refs);
        let right = match op {
            FlowOp::Enter => {
                let count = parameters(facts, a, b);
                a < facts.rows(table::Symbols)
                    && u64::from(out) + 2 + u64::from(count) <= u64::from(variables)
            }
            FlowOp::EnterClass => a < facts.rows(table::Symbols),
            FlowOp::EnterScope => a < facts.rows(table::Scopes),
            FlowOp::Leave => depth > 0,
            FlowOp::Define => names(a) && variable(b),
            FlowOp::Assign => refs(a) && variable(b),
            FlowOp::Name => refs(a),
            FlowOp::Symbol => a < facts.rows(table::Symbols),
            FlowOp::Constant => a == 1 || names(b),
            FlowOp::Import => a < facts.rows(table::Imports),
            FlowOp::Load | FlowOp::Store => variable(a) && refs(b),
            FlowOp::LoadLike => variable(a) && names(b),
            FlowOp::New => (a as usize) < Container::ALL.len(),
            FlowOp::Element => variable(b),
            FlowOp::Put | FlowOp::Get | FlowOp::Super | FlowOp::Narrow => variable(a) && variable(b),
            FlowOp::Copy
            | FlowOp::Unpack
            | FlowOp::Iterate
            | FlowOp::Operand
            | FlowOp::Await
            | FlowOp::With
            | FlowOp::Instance => variable(a),
            FlowOp::Operation => variable(a) && (b as usize) < PROTOCOL.len(),
            FlowOp::Pass | FlowOp::Return => true,
            FlowOp::Call | FlowOp::Decorate => {
                let right = variable(a) && b >= last && arguments(facts, b, variables);
                last = b;
                right
            }
        };
        depth = match op {
            FlowOp::Enter | FlowOp::EnterClass | FlowOp::EnterScope => depth + 1,
            FlowOp::Leave => depth.saturating_sub(1),
            _ => depth,
        };
        if !right || !variable(out) {
            return wrong(row);
        }
    }
    Ok(())
}

/// Number of parameters of function `symbol`, the first of which is row `first`.
fn parameters(facts: &Facts<'_>, symbol: u32, first: u32) -> u32 {
    let rows = facts.rows(table::Params);
    (first..rows).take_while(|&row| facts.get(col::PAR_SYM, row) == symbol).count() as u32
}

/// True where the arguments that begin at row `first` are there.
fn arguments(facts: &Facts<'_>, first: u32, variables: u32) -> bool {
    let rows = facts.rows(table::FlowArgs);
    if first >= rows || facts.get(col::ARG_KIND, first) > facts.rows(table::Calls) {
        return false;
    }
    let shape = facts.get(col::ARG_VALUE, first);
    let end = u64::from(first) + 1 + u64::from(shape / 2) + u64::from(shape & 1);
    if end > u64::from(rows) {
        return false;
    }
    let method = first + 1;
    let values = method + (shape & 1);
    (shape & 1 == 0 || facts.get(col::ARG_KIND, method) < facts.rows(table::Refs))
        && (values..end as u32)
            .all(|row| (given::parts(facts.get(col::ARG_KIND, row)).0 as usize) < ArgKind::ALL.len())
        && (method..end as u32).all(|row| facts.get(col::ARG_VALUE, row) < variables)
}

/// Strings follow each other up to the end, the first is empty, and their hashes are theirs.
fn strings(facts: &Facts<'_>) -> Result<(), String> {
    let text = std::str::from_utf8(facts.blob()).map_err(|_| "has strings that are not UTF-8")?;
    let mut start = 0;
    for row in 0..facts.rows(table::Strings) {
        let end = facts.get(col::STR_END, row) as usize;
        if end < start || !text.is_char_boundary(end) || (row == 0 && end != 0) {
            return Err(format!("has a wrong end of string {row}"));
        }
        if facts.get(col::STR_HASH, row) != super::name::hash(&text.as_bytes()[start..end]) {
            return Err(format!("has a wrong hash of string {row}"));
        }
        start = end;
    }
    if start == text.len() { Ok(()) } else { Err("has text after its last string".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::FactKey;
    use crate::link::{self, FileInput, Layout};
    use crate::model::json;
    use crate::model::source::FileKind;
    use crate::parse::{Outcome, Scratch};
    use crate::query::{self, GraphQuery};
    use crate::report::graphfmt::GraphFormat;
    use crate::store::snapshot::{self, FileEntry, Meta};
    use crate::store::{CodeGraph, FileStatus};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const SOURCE: &str = "\
import os.path as p
from . import *
from ..up import a as b
__all__ = ['C'] + p.__all__
class C(Base, metaclass=M):
    __slots__ = ('x',)
    def m(self, *args: int, k=1) -> str:
        global g
        self.x = [i for i in args if (lambda: i)()]
        try:
            return super().m(*args, k=k).y[0].z()
        except (E, p.F) as error:
            raise G() from error
    @property
    def x(self): return await_()
@deco(1)
async def f(n):
    await n.go()
def broken(:
";

    fn block() -> Vec<u8> {
        match Scratch::default().parse(SOURCE.as_bytes(), false) {
            Outcome::Facts(block) => block.into_vec(),
            other => panic!("{other:?}"),
        }
    }

    fn sample() -> Value {
        json::to_json(&block()).unwrap()
    }

    #[test]
    fn what_passes_has_the_form_that_its_rows_have() {
        let block = block();
        let mut passed = 0;
        for (at, bit) in (0..block.len()).flat_map(|at| [(at, 1), (at, 0x80)]) {
            let mut changed = block.clone();
            changed[at] ^= bit;
            if Facts::open(&changed).is_some_and(|opened| facts(&opened).is_ok()) {
                passed += 1;
                let text = json::to_json(&changed).unwrap().to_string();
                assert!(json::from_json(&text).unwrap() == changed, "byte {at}, bit {bit}");
            }
        }
        assert!(passed > 100, "{passed}");
    }

    /// Does with the facts what a run and its reports do.
    fn use_all(block: &[u8]) {
        let facts = Facts::open(block).unwrap();
        let _ = json::module(&facts);
        let _ = json::relationships(&facts);
        let paths = ["pkg/__init__.py", "pkg/up.py"];
        let inputs: Vec<FileInput<'_>> = (1..)
            .zip(paths)
            .map(|(number, path)| FileInput {
                path,
                kind: FileKind::Py,
                facts: Facts::open(block),
                facts_hash: [number; 32],
            })
            .collect();
        let layout =
            Layout { project: "p".to_owned(), source_roots: vec![".".to_owned()], ..Layout::default() };
        let linked = link::link(&inputs, &layout);
        let files = paths.map(|path| FileEntry {
            path,
            kind: FileKind::Py,
            status: FileStatus::Partial,
            key: FactKey([0; 32]),
            facts: block,
            facts_hash: [0; 32],
            size: 1,
            parse_us: 1,
        });
        let snapshot = std::sync::Mutex::new(Vec::new());
        snapshot::write(&snapshot, &[0; 32], &files, &linked, &Meta::default(), &|_| ()).unwrap();
        let graph = CodeGraph::from_bytes(snapshot.into_inner().unwrap()).unwrap();
        query::records(&graph).for_each(drop);
        for kind in [GraphQuery::Calls { candidates: true }, GraphQuery::Imports, GraphQuery::Inherits] {
            let found = query::graph(&graph, kind, true, &crate::sys::Scratch::none());
            crate::report::graphfmt::write(&found, GraphFormat::Csv, std::io::sink()).unwrap();
        }
    }

    #[test]
    fn every_column_is_known() {
        assert!(COLUMNS.iter().enumerate().all(|(at, column)| column.0 == at));
        assert_eq!(name(col::ERR_MESSAGE), "Errors.ERR_MESSAGE");
        use_all(&json::from_json(&sample().to_string()).unwrap());
    }

    #[test]
    fn what_is_wrong_is_said() {
        type Edit = fn(&mut Value);
        let cases: [(&str, Edit); 9] = [
            ("missing field `strings`", |value| drop(value.as_object_mut().unwrap().remove("strings"))),
            ("unknown field `path`", |value| value["path"] = json!("../x")),
            ("unknown table `Extra`", |value| value["tables"]["Extra"] = json!({})),
            ("no column `Calls.CALL_REF`", |value| {
                drop(value["tables"]["Calls"].as_object_mut().unwrap().remove("CALL_REF"));
            }),
            ("different length in `Calls`", |value| value["tables"]["Calls"]["CALL_REF"] = json!([])),
            ("of `Calls.CALL_REF`, which cannot be", |value| {
                value["tables"]["Calls"]["CALL_REF"][0] = json!(9999)
            }),
            ("of `Symbols.SYM_PARENT`, which cannot be", |value| {
                value["tables"]["Symbols"]["SYM_PARENT"][1] = json!(2)
            }),
            ("invalid value", |value| value["tables"]["Calls"]["CALL_REF"][0] = json!(1_u64 << 40)),
            ("wrong end of string 0", |value| value["strings"][0] = json!("x")),
        ];
        for (expected, edit) in cases {
            let mut value = sample();
            edit(&mut value);
            let error = json::from_json(&value.to_string()).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

        #[test]
        fn what_passes_can_be_linked(edits in prop::collection::vec((0..col::COUNT, any::<prop::sample::Index>(), 0..4_u32, any::<u32>()), 1..4)) {
            let mut value = sample();
            for (column, row, kind, number) in edits {
                let name = name(column);
                let (table, column) = name.split_once('.').unwrap();
                let Some(rows) = value["tables"][table][column].as_array_mut().filter(|rows| !rows.is_empty()) else { continue };
                let row = row.index(rows.len());
                rows[row] = match kind {
                    0 => json!(number % 4),
                    1 => json!(number % 64),
                    2 => json!(rows[row].as_u64().unwrap() + 1),
                    _ => json!(number),
                };
            }
            if let Ok(block) = json::from_json(&value.to_string()) {
                use_all(&block);
            }
        }
    }
}

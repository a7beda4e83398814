//! Rows of a graph one after another, for JSON lines.

use crate::link::links::{CallStatus, Evidence, ImportStatus, Links, Reason, TargetKind, col as lcol};
use crate::model::facts::{Facts, ImportKind, ParamKind, SymbolKind, col, import_flag, symbol_flag, table};
use crate::model::json::{access_path, imported};
use crate::report::jsonl::{Measures, Record, RecordKind};
use crate::store::{CodeGraph, GraphFile};
use std::borrow::Cow;

/// Files after which pages of the snapshot that were read need not stay in memory.
const RELEASED: u32 = 256;

/// All records, file by file in order of paths; within a file by kind and line.
pub fn records(code: &CodeGraph) -> impl Iterator<Item = Record<'_>> {
    code.files().zip(1u32..).flat_map(move |(file, number)| {
        if number.is_multiple_of(RELEASED) {
            code.release();
        }
        of_file(code, file)
    })
}

fn of_file<'g>(code: &'g CodeGraph, file: GraphFile<'g>) -> Vec<Record<'g>> {
    let mut head = Record::new(RecordKind::File, file.path(), 1, file.module());
    head.status = Some(file.status().name());
    head.reason = file.reason().map(Cow::Borrowed);
    let (Some(facts), Some(links)) = (file.facts(), file.links()) else { return vec![head] };
    let mut all = vec![head];
    symbols(&file, &facts, &mut all);
    let names = Names { file: &file, facts: &facts };
    for row in 0..facts.rows(table::Imports) {
        all.push(import(&names, &links, code, row));
    }
    for site in 0..facts.rows(table::Calls) {
        all.push(call(&names, &links, code, site));
    }
    for (line, _, message) in file.errors() {
        let mut record = Record::new(RecordKind::ParseError, file.path(), line, file.module());
        record.reason = Some(message.into());
        all.push(record);
    }
    all
}

struct Names<'a, 'g> {
    file: &'a GraphFile<'g>,
    facts: &'a Facts<'g>,
}

impl Names<'_, '_> {
    /// Module and qualified name of a symbol, numbers of shadowed ones included.
    fn of(&self, symbol: u32) -> String {
        let module = self.file.module();
        if symbol == 0 {
            return module.to_owned();
        }
        let mut name = String::with_capacity(module.len() + 32);
        name.push_str(module);
        name.push('.');
        self.facts.push_qualname(symbol, true, &mut name);
        name
    }
}

fn symbols<'g>(file: &GraphFile<'g>, facts: &Facts<'g>, all: &mut Vec<Record<'g>>) {
    let names = Names { file, facts };
    let count = facts.rows(table::Symbols);
    let mut bodies = vec![None; count as usize];
    for row in 0..facts.rows(table::Bodies) {
        bodies[facts.get(col::BODY_SYM, row) as usize] = Some(row);
    }
    let mut parameters = vec![0; count as usize];
    for row in 0..facts.rows(table::Params) {
        if facts.get(col::PAR_KIND, row) != ParamKind::Type as u32 {
            parameters[facts.get(col::PAR_SYM, row) as usize] += 1;
        }
    }
    for symbol in 0..count {
        let kind = match SymbolKind::from_u32(facts.get(col::SYM_KIND, symbol)) {
            SymbolKind::Module => RecordKind::Module,
            SymbolKind::Class => RecordKind::Class,
            SymbolKind::Function => RecordKind::Function,
            SymbolKind::Method => RecordKind::Method,
            SymbolKind::Lambda => RecordKind::Lambda,
            SymbolKind::TypeAlias => RecordKind::TypeAlias,
            SymbolKind::Variable | SymbolKind::ClassVariable => RecordKind::Variable,
            SymbolKind::InstanceVariable => RecordKind::Attribute,
        };
        let line = facts.get(col::SYM_LINE, symbol);
        let mut record = Record::new(kind, file.path(), line, names.of(symbol));
        record.flags = symbol_flag::names(facts.get(col::SYM_FLAGS, symbol)).collect();
        if let Some(row) = bodies[symbol as usize] {
            let last = facts.get(col::BODY_END_LINE, row);
            record.end_line = Some(last);
            record.complexity = Some(facts.get(col::BODY_CC, row));
            record.cognitive = Some(facts.get(col::BODY_COGNITIVE, row));
            record.measures = Some(Measures {
                lines: (last + 1).saturating_sub(line),
                source_lines: facts.get(col::BODY_SLOC, row),
                comment_lines: facts.get(col::BODY_COMMENT, row),
                blank_lines: facts.get(col::BODY_BLANK, row),
                nesting: facts.get(col::BODY_NESTING, row),
                parameters: parameters[symbol as usize],
                maintainability: f64::from(facts.get(col::BODY_MI, row)) / 100.0,
            });
        }
        all.push(record);
    }
    if let (Some(file), Some(module)) = (all[0].measures.is_none().then_some(0), all.get(1)) {
        all[file].measures = module.measures;
    }
}

/// Names of what a target row leads to.
fn target_name(code: &CodeGraph, links: &Links<'_>, row: u32) -> Option<String> {
    let (kind, id) = links.target(row);
    Some(match kind {
        TargetKind::Symbol => {
            let (index, symbol) = code.locate(id);
            let file = code.file(index);
            let facts = file.facts()?;
            Names { file: &file, facts: &facts }.of(symbol)
        }
        TargetKind::Builtin => format!("<builtin>.{}", links.link_text(id)),
        TargetKind::External | TargetKind::Namespace => links.link_text(id).to_owned(),
    })
}

fn import<'g>(names: &Names<'_, 'g>, links: &Links<'g>, code: &'g CodeGraph, row: u32) -> Record<'g> {
    let facts = names.facts;
    let symbol = facts.get(col::SCO_SYM, facts.get(col::IMP_SCOPE, row));
    let mut record =
        Record::new(RecordKind::Import, names.file.path(), facts.get(col::IMP_LINE, row), names.of(symbol));
    let kind = ImportKind::from_u32(facts.get(col::IMP_KIND, row));
    record.target = Some(imported(facts, row).into());
    record.status = Some(ImportStatus::from_u32(links.get(lcol::LIMP_STATUS, row)).name());
    for column in [lcol::LIMP_MODULE, lcol::LIMP_SYMBOL] {
        if let Some(target) = links.get(column, row).checked_sub(1) {
            record.targets.extend(target_name(code, links, target).map(Cow::Owned));
        }
    }
    let flags = facts.get(col::IMP_FLAGS, row);
    for (bit, name) in [
        (import_flag::TYPE_CHECKING, "type_checking"),
        (import_flag::LOCAL, "function_local"),
        (import_flag::OPTIONAL, "optional"),
        (import_flag::LAZY, "lazy"),
    ] {
        if flags & bit != 0 {
            record.import_kind.push(name);
        }
    }
    if kind == ImportKind::Literal {
        record.import_kind.push("string");
    }
    if record.import_kind.is_empty() {
        record.import_kind.push("runtime");
    }
    record
}

fn call<'g>(names: &Names<'_, 'g>, links: &Links<'g>, code: &'g CodeGraph, site: u32) -> Record<'g> {
    let facts = names.facts;
    let symbol = super::graph::caller(facts, facts.get(col::CALL_SCOPE, site));
    let mut record = Record::new(
        RecordKind::CallSite,
        names.file.path(),
        facts.get(col::CALL_LINE, site),
        names.of(symbol),
    );
    record.target = Some(access_path(facts, facts.get(col::CALL_REF, site)).into());
    record.status = Some(CallStatus::from_u32(links.get(lcol::SITE_STATUS, site)).name());
    let reason = Reason::from_u32(links.get(lcol::SITE_REASON, site));
    if reason != Reason::None {
        record.reason = Some(reason.name().into());
    }
    let first = links.get(lcol::SITE_FIRST, site);
    for row in first..first + links.get(lcol::SITE_COUNT, site) {
        if links.get(lcol::LIST_EVIDENCE, row) != Evidence::Instantiates as u32
            || links.get(lcol::SITE_COUNT, site) == 1
        {
            record
                .targets
                .extend(target_name(code, links, links.get(lcol::LIST_TARGET, row)).map(Cow::Owned));
        }
    }
    record
}

//! Whether an edit of a file can change what anything in the project is linked to.

use crate::model::facts::{Facts, col, table};

/// Columns that hold numbers which links depend on, each with its table. Places in the text, measures, documentation and
/// annotations as text are in none.
const NUMBERS: &[(usize, usize)] = &[
    (table::File, col::FILE_FLAGS),
    (table::File, col::FILE_VARIABLES),
    (table::Symbols, col::SYM_KIND),
    (table::Symbols, col::SYM_FLAGS),
    (table::Symbols, col::SYM_PARENT),
    (table::Symbols, col::SYM_SCOPE),
    (table::Symbols, col::SYM_ORDINAL),
    (table::Params, col::PAR_SYM),
    (table::Params, col::PAR_KIND),
    (table::Scopes, col::SCO_KIND),
    (table::Scopes, col::SCO_PARENT),
    (table::Scopes, col::SCO_SYM),
    (table::Scopes, col::SCO_BIND),
    (table::Bindings, col::BIN_KIND),
    (table::Bindings, col::BIN_TARGET),
    (table::Refs, col::REF_SCOPE),
    (table::Refs, col::REF_KIND),
    (table::Refs, col::REF_BASE),
    (table::Refs, col::REF_FLAGS),
    (table::Calls, col::CALL_SCOPE),
    (table::Calls, col::CALL_REF),
    (table::Calls, col::CALL_POSITIONAL),
    (table::Calls, col::CALL_KEYWORDS),
    (table::Calls, col::CALL_FLAGS),
    (table::Imports, col::IMP_SCOPE),
    (table::Imports, col::IMP_KIND),
    (table::Imports, col::IMP_FLAGS),
    (table::Imports, col::IMP_LEVEL),
    (table::Bases, col::BASE_SYM),
    (table::Bases, col::BASE_REF),
    (table::Decorators, col::DEC_SYM),
    (table::Decorators, col::DEC_REF),
    (table::Decorators, col::DEC_CALLED),
    (table::Exceptions, col::EXC_SCOPE),
    (table::Exceptions, col::EXC_REF),
    (table::Exceptions, col::EXC_CAUGHT),
    (table::Exports, col::EXP_REF),
    (table::Slots, col::SLOT_SYM),
    (table::Flow, col::FLOW_OP),
    (table::Flow, col::FLOW_OUT),
    (table::Flow, col::FLOW_A),
    (table::Flow, col::FLOW_B),
    (table::FlowArgs, col::ARG_KIND),
    (table::FlowArgs, col::ARG_VALUE),
];

/// The same of strings, whose numbers documentation may change.
const STRINGS: &[(usize, usize)] = &[
    (table::Symbols, col::SYM_NAME),
    (table::Params, col::PAR_NAME),
    (table::Params, col::PAR_DEFAULT),
    (table::Bindings, col::BIN_NAME),
    (table::Refs, col::REF_NAME),
    (table::Keywords, col::KW_NAME),
    (table::Imports, col::IMP_MODULE),
    (table::Imports, col::IMP_NAME),
    (table::Imports, col::IMP_AS),
    (table::Bases, col::BASE_KEYWORD),
    (table::Exports, col::EXP_NAME),
    (table::Slots, col::SLOT_NAME),
    (table::FlowArgs, col::ARG_NAME),
    (table::FlowNames, col::FLOW_NAME),
];

/// True where whatever depends on one of them would be the same with the other: they differ in comments, formatting, documentation.
pub(crate) fn alike(one: &Facts<'_>, other: &Facts<'_>) -> bool {
    let numbers = |&(table, column): &(usize, usize)| {
        one.rows(table) == other.rows(table)
            && (0..one.rows(table)).all(|row| one.get(column, row) == other.get(column, row))
    };
    let strings = |&(table, column): &(usize, usize)| {
        one.rows(table) == other.rows(table)
            && (0..one.rows(table))
                .all(|row| one.bytes_of(one.get(column, row)) == other.bytes_of(other.get(column, row)))
    };
    NUMBERS.iter().all(numbers) && STRINGS.iter().all(strings)
}

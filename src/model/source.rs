//! placeholder
/// Kind
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind { /// py
 Py, /// pyi
 Pyi }

//! A whole file at once.

use super::{decode, nesting};
use crate::extract::{Extractor, Refused, TextInfo};
use crate::model::facts::file_flag;
use crate::split::ChunkSize;
use ruff_python_ast::PySourceType;

/// What became of a file.
#[derive(Debug)]
pub enum Outcome {
    /// Its facts, as a block.
    Facts(Vec<u8>),
    /// Nested too deep to be visited on a worker's stack.
    TooDeep,
}

/// Everything a worker reuses from file to file.
#[derive(Debug, Default)]
pub struct Scratch {
    extractor: Extractor,
}

impl Scratch {
    /// Facts of the file with these bytes, parsed as a whole.
    pub fn parse(&mut self, bytes: &[u8], stub: bool) -> Outcome {
        self.run(bytes, stub, None).0
    }

    /// The same facts, parsed in chunks; and the bytes of the largest piece that was given to the parser.
    pub fn parse_in(&mut self, bytes: &[u8], stub: bool, size: ChunkSize) -> (Outcome, usize) {
        self.run(bytes, stub, Some(size))
    }

    fn run(&mut self, bytes: &[u8], stub: bool, size: Option<ChunkSize>) -> (Outcome, usize) {
        let decoded = decode::decode(bytes);
        let mut flags = if decoded.bom { file_flag::BOM } else { 0 };
        if decoded.error.is_some() {
            flags |= file_flag::LOSSY;
        }
        let text = &*decoded.text;
        if nesting::is_hopeless(text.as_bytes()) {
            return (Outcome::TooDeep, 0);
        }
        let kind = if stub { PySourceType::Stub } else { PySourceType::Python };
        let info = TextInfo {
            encoding: decoded.encoding,
            flags,
            decode_error: decoded.error.as_ref().map(|(at, message)| (*at, message.as_str())),
        };
        match size {
            Some(size) => self.chunks(text, kind, info, size),
            None => self.whole(text, kind, info),
        }
    }

    fn whole(&mut self, text: &str, kind: PySourceType, info: TextInfo<'_>) -> (Outcome, usize) {
        let parsed = ruff_python_parser::parse_unchecked_source(text, kind);
        match self.extractor.extract(text, &parsed, info) {
            Ok(block) => (Outcome::Facts(block), text.len()),
            Err(Refused::TooDeep) => {
                // Dropping this AST would overflow the stack just as visiting it would.
                std::mem::forget(parsed);
                (Outcome::TooDeep, text.len())
            }
            Err(Refused::Broken) => {
                drop(parsed);
                self.chunks(text, kind, info, ChunkSize::BROKEN)
            }
        }
    }

    /// Facts of a text parsed in chunks; in those of [`ChunkSize::BROKEN`] where it has a syntax error.
    fn chunks(
        &mut self,
        text: &str,
        kind: PySourceType,
        info: TextInfo<'_>,
        size: ChunkSize,
    ) -> (Outcome, usize) {
        match self.extractor.extract_chunks(text, kind, info, size) {
            Ok((block, largest)) => (Outcome::Facts(block), largest),
            Err(Refused::Broken) if size != ChunkSize::BROKEN => {
                self.chunks(text, kind, info, ChunkSize::BROKEN)
            }
            Err(_) => (Outcome::TooDeep, 0),
        }
    }
}

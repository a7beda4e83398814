//! A whole file at once.

use super::{decode, nesting};
use crate::extract::{self, Extractor, Refused, TextInfo, Watch};
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
    /// A statement of it takes more memory than a worker beside others may use.
    TooLarge,
}

/// Everything a worker reuses from file to file.
#[derive(Debug, Default)]
pub struct Scratch {
    extractor: Extractor,
}

impl Scratch {
    /// Facts of the file with these bytes, parsed as a whole.
    pub fn parse(&mut self, bytes: &[u8], stub: bool) -> Outcome {
        self.parse_watched(bytes, stub, None, &|_| true).map_or(Outcome::TooDeep, |(outcome, _)| outcome)
    }

    /// The same facts, parsed in chunks; and the bytes of the largest piece that was given to the parser.
    pub fn parse_in(&mut self, bytes: &[u8], stub: bool, size: ChunkSize) -> (Outcome, usize) {
        self.parse_watched(bytes, stub, Some(size), &|_| true).unwrap_or((Outcome::TooDeep, 0))
    }

    /// The same facts, in chunks of `size` if there is one, and the bytes of the largest piece; `None` where `watch` stopped it. What has a
    /// syntax error is begun again in other pieces, so that what `watch` is told may go down.
    pub fn parse_watched(
        &mut self,
        bytes: &[u8],
        stub: bool,
        size: Option<ChunkSize>,
        watch: Watch<'_>,
    ) -> Option<(Outcome, usize)> {
        let decoded = decode::decode(bytes);
        let mut flags = if decoded.bom { file_flag::BOM } else { 0 };
        if decoded.error.is_some() {
            flags |= file_flag::LOSSY;
        }
        let text = &*decoded.text;
        if nesting::is_hopeless(text.as_bytes()) {
            return Some((Outcome::TooDeep, 0));
        }
        let kind = if stub { PySourceType::Stub } else { PySourceType::Python };
        let info = TextInfo {
            encoding: decoded.encoding,
            flags,
            decode_error: decoded.error.as_ref().map(|(at, message)| (*at, message.as_str())),
        };
        match size {
            Some(size) => self.chunks(text, kind, info, size, watch),
            None => self.whole(text, kind, info, watch),
        }
    }

    fn whole(
        &mut self,
        text: &str,
        kind: PySourceType,
        info: TextInfo<'_>,
        watch: Watch<'_>,
    ) -> Option<(Outcome, usize)> {
        let Some(parsed) = extract::parse(text, kind) else { return Some((Outcome::TooDeep, 0)) };
        match self.extractor.extract(text, &parsed, info) {
            Ok(block) => Some((Outcome::Facts(block), text.len())),
            Err(Refused::TooDeep | Refused::TooLarge | Refused::Stopped) => {
                // Dropping this AST would overflow the stack just as visiting it would.
                std::mem::forget(parsed);
                Some((Outcome::TooDeep, text.len()))
            }
            Err(Refused::Broken) => {
                drop(parsed);
                self.chunks(text, kind, info, ChunkSize::BROKEN, watch)
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
        watch: Watch<'_>,
    ) -> Option<(Outcome, usize)> {
        match self.extractor.extract_chunks(text, kind, info, size, watch) {
            Ok((block, largest)) => Some((Outcome::Facts(block), largest)),
            Err(Refused::Stopped) => None,
            Err(Refused::Broken) if size != ChunkSize::BROKEN => {
                self.chunks(text, kind, info, ChunkSize::BROKEN, watch)
            }
            Err(Refused::TooLarge) => Some((Outcome::TooLarge, 0)),
            Err(Refused::Broken | Refused::TooDeep) => Some((Outcome::TooDeep, 0)),
        }
    }
}

//! A whole file at once.

use super::{decode, nesting};
use crate::extract::{self, Extractor, LargePiece, Refused, TextInfo, Watch};
use crate::model::facts::file_flag;
use crate::split::ChunkSize;
use crate::sys::Bytes;
use ruff_python_ast::PySourceType;
use std::path::Path;

/// What became of a file.
#[derive(Debug)]
pub enum Outcome {
    /// Its facts, as a block.
    Facts(Bytes),
    /// Nested too deep to be visited on a worker's stack.
    TooDeep,
    /// A statement of it takes more memory than a worker beside others may use.
    TooLarge,
    /// It can't be parsed, for this reason: it is too large for what facts can hold, or a scratch file failed.
    Unfit(String),
}

/// Everything a worker reuses from file to file.
#[derive(Debug, Default)]
pub struct Scratch {
    extractor: Extractor,
    /// Where files go of what is worked on out of core.
    folder: Option<std::path::PathBuf>,
    large: Vec<LargePiece>,
}

impl Scratch {
    /// For comparisons: with an epoch that ends after so many names and references, which gives other facts than the usual one, and out
    /// of core where there is a folder, which gives the same.
    #[doc(hidden)]
    #[must_use]
    pub fn with_epoch(epoch: u32, folder: Option<&std::path::Path>) -> Self {
        let mut scratch = Self { folder: folder.map(Into::into), ..Self::default() };
        scratch.extractor.set_epoch(epoch);
        scratch
    }

    /// Facts of the file with these bytes, parsed as a whole.
    pub fn parse(&mut self, bytes: &[u8], stub: bool) -> Outcome {
        self.parse_watched(bytes, stub, None, None, &|_| true)
            .map_or(Outcome::TooDeep, |(outcome, _)| outcome)
    }

    /// The same facts, parsed in chunks; and the bytes of the largest piece that was given to the parser.
    pub fn parse_in(&mut self, bytes: &[u8], stub: bool, size: ChunkSize) -> (Outcome, usize) {
        self.parse_watched(bytes, stub, Some(size), None, &|_| true).unwrap_or((Outcome::TooDeep, 0))
    }

    /// Pieces of the last text, if it was parsed in chunks, that were larger than two of them.
    pub fn large_pieces(&self) -> &[LargePiece] {
        &self.large
    }

    /// The same facts, in chunks of `size` if there is one, and the bytes of the largest piece; `None` where `watch` stopped it. What has a
    /// syntax error is begun again in other pieces, so that what `watch` is told may go down. `spill`: where there is one, what is kept
    /// from chunk to chunk is too much for memory, and goes to scratch files in this folder.
    pub fn parse_watched(
        &mut self,
        bytes: &[u8],
        stub: bool,
        size: Option<ChunkSize>,
        spill: Option<&Path>,
        watch: Watch<'_>,
    ) -> Option<(Outcome, usize)> {
        self.large.clear();
        // The folder of a comparison is as good.
        let spill = spill.map(Path::to_owned).or_else(|| self.folder.clone());
        let mut place = Bytes::default();
        let decoded = match spill.as_deref().map(|folder| decode::decode_large(bytes, folder, &mut place)) {
            None => decode::decode(bytes),
            Some(Ok(decoded)) => decoded,
            Some(Err(error)) => return Some((Outcome::Unfit(format!("cannot be decoded: {error}")), 0)),
        };
        self.extractor.spill = spill;
        let mut flags = if decoded.bom { file_flag::BOM } else { 0 };
        if decoded.error.is_some() {
            flags |= file_flag::LOSSY;
        }
        let text = &*decoded.text;
        if text.len() >= u32::MAX as usize {
            let why = "too large: it has 4 GiB or more as UTF-8";
            return Some((Outcome::Unfit(why.to_owned()), 0));
        }
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
            Ok(block) => Some((Outcome::Facts(block.into()), text.len())),
            Err(Refused::TooDeep | Refused::TooLarge | Refused::Stopped | Refused::NoRoom) => {
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
            Ok((block, pieces)) => {
                self.large = pieces.large;
                Some((Outcome::Facts(block), pieces.largest))
            }
            Err(Refused::NoRoom) => {
                // In memory, then.
                self.extractor.spill = None;
                self.chunks(text, kind, info, size, watch)
            }
            Err(Refused::Stopped) => None,
            Err(Refused::Broken) if size != ChunkSize::BROKEN => {
                self.chunks(text, kind, info, ChunkSize::BROKEN, watch)
            }
            Err(Refused::TooLarge) => Some((Outcome::TooLarge, 0)),
            Err(Refused::Broken | Refused::TooDeep) => Some((Outcome::TooDeep, 0)),
        }
    }
}

//! Facts of the files, opened when they are first asked for.
//!
//! An open view takes half a kilobyte, which for all files of a large tree would be more than everything else the linker
//! knows of them. Neighbours mostly ask for each other, so views are kept while a run of neighbouring files is linked, then forgotten.

use super::Input;
use crate::model::facts::Facts;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Views that may be open before all are forgotten.
const MOST: u32 = 1 << 13;

/// Open views by file.
pub(crate) struct Views<'a> {
    files: &'a dyn Input,
    open: Vec<OnceLock<Option<Box<Facts<'a>>>>>,
    count: AtomicU32,
}

impl<'a> Views<'a> {
    pub(crate) fn new(files: &'a dyn Input) -> Self {
        let open = (0..files.len()).map(|_| OnceLock::new()).collect();
        Self { files, open, count: AtomicU32::new(0) }
    }

    /// The facts of `file`; `None` for a skipped one.
    #[inline]
    pub(crate) fn get(&self, file: u32) -> Option<&Facts<'a>> {
        self.open[file as usize].get_or_init(|| self.open_file(file)).as_deref()
    }

    #[cold]
    fn open_file(&self, file: u32) -> Option<Box<Facts<'a>>> {
        self.count.fetch_add(1, Ordering::Relaxed);
        Facts::open(self.files.facts(file)).map(Box::new)
    }

    /// To be called between runs of files: forgets the views where they are many.
    pub(crate) fn tidy(&mut self) {
        if *self.count.get_mut() > MOST {
            *self.count.get_mut() = 0;
            self.open.iter_mut().for_each(|view| *view = OnceLock::new());
        }
    }
}

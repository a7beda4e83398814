//! Lines of a text: where they begin, and how many hold code, a comment alone, or nothing.

use crate::sys::{Column, Scratch, Table};
use std::sync::Arc;

/// Where lines begin and what they hold. Reused from file to file.
#[derive(Debug, Default)]
pub struct Lines {
    starts: Starts,
    cursor: usize,
    /// Number of lines.
    count: usize,
    /// What each line holds, from line `first` (from 0) on.
    class: Vec<u8>,
    first: usize,
    /// Strings that reach beyond the lines that are held.
    pending: Vec<(u32, u32)>,
    /// Lines that are counted, and how many of them hold code and a comment alone.
    counted: (usize, u32, u32),
}

/// Where lines begin.
#[derive(Debug)]
enum Starts {
    Held(Vec<u32>),
    Kept(Table<u32>),
}

impl Default for Starts {
    fn default() -> Self {
        Self::Held(Vec::new())
    }
}

impl std::ops::Deref for Starts {
    type Target = [u32];
    #[inline]
    fn deref(&self) -> &[u32] {
        match self {
            Self::Held(starts) => starts,
            Self::Kept(table) => table,
        }
    }
}

const BLANK: u8 = 0;
const COMMENT: u8 = 1;
const CODE: u8 = 2;

/// Lines that are held at least, of a text whose lines are not all held.
const WINDOW: usize = 1 << 16;

impl Lines {
    /// Finds the lines of `text`: `\n`, `\r\n` and `\r` end one. What they hold is known once its strings are marked.
    pub fn index(&mut self, text: &str) {
        let mut starts = match std::mem::take(&mut self.starts) {
            Starts::Held(starts) => starts,
            Starts::Kept(_) => Vec::new(),
        };
        starts.clear();
        each_line(text.as_bytes(), |start| starts.push(start));
        self.start_over(Starts::Held(starts), text);
        self.class.resize(self.count, BLANK);
        classify(text, &self.starts, &mut self.class);
    }

    /// The same with what is needed of all lines where `scratch` says: [`Self::reach`] is to be called as the text is gone through.
    pub fn index_large(&mut self, text: &str, scratch: &Arc<Scratch>) {
        let mut starts = Column::new(scratch);
        each_line(text.as_bytes(), |start| starts.push(start));
        self.start_over(Starts::Kept(starts.finish()), text);
    }

    fn start_over(&mut self, starts: Starts, text: &str) {
        self.starts = starts;
        self.cursor = 0;
        // A text that ends with a line end has no further line after it.
        self.count = self.starts.len() - usize::from(self.starts.last() == Some(&(text.len() as u32)));
        self.class.clear();
        self.first = 0;
        self.pending.clear();
        self.counted = (0, 0, 0);
    }

    /// True where not all lines are held.
    pub const fn is_large(&self) -> bool {
        matches!(self.starts, Starts::Kept(_))
    }

    /// Holds the lines around `offset`, and no more those that are far behind it. Strings before it must be marked.
    pub fn reach(&mut self, text: &str, offset: u32) {
        if !self.is_large() {
            return;
        }
        let line = self.line(offset) as usize - 1;
        while self.first + self.class.len() < (line + WINDOW / 4).min(self.count) {
            let held = self.first + self.class.len();
            // What is behind is counted before it goes.
            let done = held.min(line);
            if done > self.first {
                self.count_to(done);
                self.class.drain(..done - self.first);
                self.first = done;
            }
            let next = (held + WINDOW).min(self.count);
            let new = self.class.len();
            self.class.resize(new + next - held, BLANK);
            classify(text, &self.starts[held..next], &mut self.class[new..]);
            for (start, end) in std::mem::take(&mut self.pending) {
                self.mark(start, end);
            }
        }
    }

    /// Counts what lines before `line` (from 0) hold, which were or are held.
    fn count_to(&mut self, line: usize) {
        let (from, code, comment) = self.counted;
        let (a, b) = (from.min(line), from.max(line));
        let clip = |at: usize| at.saturating_sub(self.first).min(self.class.len());
        let lines = &self.class[clip(a)..clip(b)];
        let count = |class| memchr::memchr_iter(class, lines).count() as u32;
        let (more, comments) = (count(CODE), count(COMMENT));
        self.counted = if line >= from {
            (line, code + more, comment + comments)
        } else {
            (line, code.saturating_sub(more), comment.saturating_sub(comments))
        };
    }

    /// Lines of code and comment lines before `line` (from 1) of a text whose lines are not all held.
    pub fn before(&mut self, line: u32) -> (u32, u32) {
        self.count_to((line as usize - 1).min(self.count));
        (self.counted.1, self.counted.2)
    }

    /// Number of lines.
    pub fn count(&self) -> u32 {
        self.count as u32
    }

    /// How many of lines `first..=last` (from 1) there are.
    pub fn within(&self, first: u32, last: u32) -> u32 {
        last.min(self.count()).saturating_sub(first - 1)
    }

    /// Line of `offset`, from 1. Quick where offsets come in about the order of the text.
    #[inline]
    pub fn line(&mut self, offset: u32) -> u32 {
        let starts = &self.starts[..];
        let mut at = self.cursor;
        if starts[at] > offset {
            at = match starts[..at].iter().rev().take(16).position(|&start| start <= offset) {
                Some(back) => at - 1 - back,
                None => starts.partition_point(|&start| start <= offset) - 1,
            };
        } else {
            let mut steps = 0;
            while at + 1 < starts.len() && starts[at + 1] <= offset {
                at += 1;
                steps += 1;
                if steps == 16 {
                    at = starts.partition_point(|&start| start <= offset) - 1;
                    break;
                }
            }
        }
        self.cursor = at;
        at as u32 + 1
    }

    /// First byte of `line` (from 1).
    pub fn start(&self, line: u32) -> u32 {
        self.starts[line as usize - 1]
    }

    /// Lines that a string reaches into hold code, whatever they begin with. Quick where strings come in the order of
    /// the text.
    #[inline]
    pub fn mark(&mut self, start: u32, end: u32) {
        let mut next = self.line(start) as usize;
        let held = self.first + self.class.len();
        while next < held && self.starts[next] < end {
            // Strings behind were marked before.
            if let Some(at) = next.checked_sub(self.first) {
                self.class[at] = CODE;
            }
            next += 1;
        }
        if next >= held && next < self.count && self.starts[next] < end {
            // From the end of the line before, so that it is found again.
            self.pending.push((self.starts[next] - 1, end));
        }
    }

    /// Lines of code, comment lines and blank lines among lines `first..=last` (from 1).
    pub fn between(&self, first: u32, last: u32) -> (u32, u32, u32) {
        let top = self.class.len();
        let (from, to) = ((first as usize - 1).min(top), (last as usize).min(top));
        let lines = self.class.get(from..to).unwrap_or_default();
        let count = |class| memchr::memchr_iter(class, lines).count() as u32;
        let (code, comment) = (count(CODE), count(COMMENT));
        (code, comment, lines.len() as u32 - code - comment)
    }
}

/// Calls `found` with the first byte of each line.
fn each_line(bytes: &[u8], mut found: impl FnMut(u32)) {
    found(0);
    if memchr::memchr(b'\r', bytes).is_some() {
        for at in memchr::memchr2_iter(b'\n', b'\r', bytes) {
            if bytes[at] == b'\n' || bytes.get(at + 1) != Some(&b'\n') {
                found(at as u32 + 1);
            }
        }
        return;
    }
    memchr::memchr_iter(b'\n', bytes).for_each(|at| found(at as u32 + 1));
}

/// Says what each of the lines of `text` that begin at `starts` holds, by its first character; what lies within strings comes by
/// [`Lines::mark`].
fn classify(text: &str, starts: &[u32], classes: &mut [u8]) {
    let bytes = text.as_bytes();
    for (class, &start) in classes.iter_mut().zip(starts) {
        let mut at = start as usize;
        while bytes.get(at..at + 4) == Some(b"    ") {
            at += 4;
        }
        while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\x0c')) {
            at += 1;
        }
        *class = match bytes.get(at) {
            None | Some(b'\n' | b'\r') => BLANK,
            Some(b'#') => COMMENT,
            // A continued line with nothing on it.
            Some(b'\\') if matches!(bytes.get(at + 1), Some(b'\n' | b'\r')) => BLANK,
            Some(_) => CODE,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_have_lines() {
        for (text, count) in [("", 0), ("a", 1), ("a\n", 1), ("a\r\nb\rc\n\nd", 5), ("\n\n", 2)] {
            let mut lines = Lines::default();
            lines.index(text);
            assert_eq!(lines.count(), count, "{text:?}");
            for offset in (0..text.len()).chain((0..text.len()).rev()) {
                let before = text.as_bytes()[..offset].iter().enumerate();
                let ends = before.filter(|&(at, &byte)| {
                    byte == b'\n' || byte == b'\r' && text.as_bytes().get(at + 1) != Some(&b'\n')
                });
                assert_eq!(lines.line(offset as u32), ends.count() as u32 + 1, "{text:?} {offset}");
            }
        }
    }
}

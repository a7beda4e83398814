//! Lines of a text: where they begin, and how many hold code, a comment alone, or nothing.

/// Where lines begin and what they hold. Reused from file to file.
#[derive(Debug, Default)]
pub struct Lines {
    starts: Vec<u32>,
    cursor: usize,
    /// What each line holds.
    class: Vec<u8>,
}

const BLANK: u8 = 0;
const COMMENT: u8 = 1;
const CODE: u8 = 2;

impl Lines {
    /// Finds the lines of `text`: `\n`, `\r\n` and `\r` end one. What they hold is known once its strings are marked.
    pub fn index(&mut self, text: &str) {
        let bytes = text.as_bytes();
        self.starts.clear();
        self.starts.push(0);
        self.cursor = 0;
        let crs = memchr::memchr(b'\r', bytes).is_some();
        if crs {
            for at in memchr::memchr2_iter(b'\n', b'\r', bytes) {
                if bytes[at] == b'\n' || bytes.get(at + 1) != Some(&b'\n') {
                    self.starts.push(at as u32 + 1);
                }
            }
        } else {
            self.starts.extend(memchr::memchr_iter(b'\n', bytes).map(|at| at as u32 + 1));
        }
        self.class.clear();
        // A text that ends with a line end has no further line after it.
        let count = self.starts.len() - usize::from(self.starts.last() == Some(&(bytes.len() as u32)));
        self.class.resize(count, BLANK);
        self.classify(text);
    }

    /// Number of lines.
    pub fn count(&self) -> u32 {
        self.class.len() as u32
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

    /// Says what each line of `text` holds, by its first character; what lies within strings comes by [`Self::mark`].
    fn classify(&mut self, text: &str) {
        let bytes = text.as_bytes();
        for (class, &start) in self.class.iter_mut().zip(&self.starts) {
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

    /// Lines that a string reaches into hold code, whatever they begin with. Quick where strings come in the order of
    /// the text.
    #[inline]
    pub fn mark(&mut self, start: u32, end: u32) {
        let mut next = self.line(start) as usize;
        while next < self.class.len() && self.starts[next] < end {
            self.class[next] = CODE;
            next += 1;
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

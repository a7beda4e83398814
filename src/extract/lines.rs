//! Lines of a text: where they begin, and how many hold code, a comment alone, or nothing.

use ruff_python_ast::token::{Token, TokenKind};
use ruff_text_size::Ranged as _;

/// Where lines begin and what they hold. Reused from file to file.
#[derive(Debug, Default)]
pub struct Lines {
    starts: Vec<u32>,
    /// For line k (from 0): how many lines before it hold code, and how many a comment alone.
    code: Vec<u32>,
    comment: Vec<u32>,
    /// How many lines before it are blank.
    blank: Vec<u32>,
    cursor: usize,
    /// Lines that start with these kinds of content, one byte a line, before they are summed.
    class: Vec<u8>,
}

const BLANK: u8 = 0;
const COMMENT: u8 = 1;
const CODE: u8 = 2;

impl Lines {
    /// Finds the lines of `text`: `\n`, `\r\n` and `\r` end one.
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

    /// Says what each line of `text` holds: by its first character, but for lines within a string.
    ///
    /// `tokens` are those of the text in order.
    pub fn classify(&mut self, text: &str, tokens: &[Token]) {
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
        let mut line = 0;
        for token in tokens {
            if !matches!(
                token.kind(),
                TokenKind::String | TokenKind::FStringMiddle | TokenKind::TStringMiddle | TokenKind::Unknown
            ) {
                continue;
            }
            let (start, end) = (token.start().to_u32(), token.end().to_u32());
            while self.starts.get(line + 1).is_some_and(|&next| next <= start) {
                line += 1;
            }
            let mut next = line + 1;
            while next < self.class.len() && self.starts[next] < end {
                self.class[next] = CODE;
                next += 1;
            }
        }
        self.sum();
    }

    fn sum(&mut self) {
        for sums in [&mut self.code, &mut self.comment, &mut self.blank] {
            sums.clear();
            sums.push(0);
        }
        let (mut code, mut comment, mut blank) = (0, 0, 0);
        for &class in &self.class {
            code += u32::from(class == CODE);
            comment += u32::from(class == COMMENT);
            blank += u32::from(class == BLANK);
            self.code.push(code);
            self.comment.push(comment);
            self.blank.push(blank);
        }
    }

    /// Lines of code, comment lines and blank lines among lines `first..=last` (from 1).
    pub fn between(&self, first: u32, last: u32) -> (u32, u32, u32) {
        let top = self.class.len();
        let (from, to) = ((first as usize - 1).min(top), (last as usize).min(top));
        if from >= to {
            return (0, 0, 0);
        }
        (
            self.code[to] - self.code[from],
            self.comment[to] - self.comment[from],
            self.blank[to] - self.blank[from],
        )
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

//! What was left out, in pieces: elements in brackets of their own, strings in quotes of their own.

use super::scan::{Opening, Scanner};
use super::{ChunkSize, Elements, Form, Source, elide};

/// Splits elements.
#[derive(Debug)]
pub struct ElementSplitter<'t> {
    text: &'t str,
    elements: Elements,
    size: ChunkSize,
    scanner: Scanner<'t>,
}

impl<'t> ElementSplitter<'t> {
    /// Pieces of `elements`.
    pub fn new(text: &'t str, elements: Elements, size: ChunkSize) -> Self {
        let scanner = Scanner::new(&text.as_bytes()[..elements.end], elements.start);
        Self { text, elements, size, scanner }
    }

    /// The next elements, in brackets: an expression of the same form.
    pub fn source(&mut self) -> Option<Source> {
        let bytes = &self.text.as_bytes()[..self.elements.end];
        let (start, mut end, mut filled) = (self.scanner.position(), 0, 0);
        while self.scanner.position() < self.elements.end {
            let from = self.scanner.position();
            let stop = self.scanner.element();
            if self.scanner.position() == from {
                // Brackets that do not match: the parser says so.
                end = self.elements.end;
                self.scanner = Scanner::new(bytes, end);
                break;
            }
            let size = self.size.of(&bytes[from..stop]);
            if end > 0 && filled + size > self.size.limit {
                self.scanner = Scanner::new(bytes, from);
                break;
            }
            filled += size;
            end = stop;
            if self.scanner.position() > stop && elide::is_blank(&bytes[from..stop]) {
                // A comma with nothing before it must reach the parser, which says so.
                end = self.scanner.position();
            }
        }
        if end == 0 || elide::is_blank(&bytes[start..end]) && self.scanner.position() >= self.elements.end {
            return None;
        }
        // A comment may end what is copied.
        let (open, close) = match self.elements.form {
            Form::List => ("[", "\n]"),
            Form::Braces => ("{", "\n}"),
            Form::Arguments => ("f(", "\n)"),
            Form::Slices => ("x[", "\n,]"),
        };
        let mut source = Source::default();
        source.text.push_str(open);
        elide::copy(self.text, start, end, self.size, elide::Part::Elements, &mut source);
        source.text.push_str(close);
        Some(source)
    }
}

/// Splits strings that stand one after the other.
#[derive(Debug)]
pub struct TextSplitter<'t> {
    text: &'t str,
    end: usize,
    size: ChunkSize,
    scanner: Scanner<'t>,
    /// The string that the last piece ended in.
    open: Option<Opening>,
}

impl<'t> TextSplitter<'t> {
    /// Pieces of the strings between these bytes.
    pub fn new(text: &'t str, start: usize, end: usize, size: ChunkSize) -> Self {
        Self { text, end, size, scanner: Scanner::new(&text.as_bytes()[..end], start), open: None }
    }

    /// The next strings, or a part of one, in brackets.
    pub fn source(&mut self) -> Option<Source> {
        if let Some(opening) = self.open.take() {
            return Some(self.part(opening));
        }
        let bytes = &self.text.as_bytes()[..self.end];
        let mut strings: Option<(usize, usize)> = None;
        while let Some(opening) = self.opening() {
            let stop = self.size.stop(bytes, opening.start);
            let whole = self.scanner.text(&opening, stop);
            let end = self.scanner.position();
            let start = strings.map_or(opening.start, |(start, _)| start);
            if strings.is_some() && (!whole || self.size.exceeded(&bytes[start..end])) {
                self.scanner = Scanner::new(bytes, opening.start);
                break;
            }
            if !whole {
                self.scanner = Scanner::new(bytes, opening.start);
                return Some(self.part(opening));
            }
            strings = Some((start, end));
        }
        let (start, end) = strings?;
        let mut source = Source::default();
        source.text.push('(');
        elide::plain(self.text, start, end, &mut source);
        source.text.push_str("\n)");
        Some(source)
    }

    /// The string that comes next.
    fn opening(&mut self) -> Option<Opening> {
        let bytes = &self.text.as_bytes()[..self.end];
        let start = self.end - elide::skip_blank(&bytes[self.scanner.position()..]).len();
        self.scanner = Scanner::new(bytes, start);
        self.scanner.opening()
    }

    /// The next part of the string that `opening` opened.
    fn part(&mut self, opening: Opening) -> Source {
        let bytes = &self.text.as_bytes()[..self.end];
        let from = self.scanner.position().max(opening.text);
        let stop = self.size.stop(bytes, from);
        let whole = self.scanner.text(&opening, stop);
        let to = self.scanner.position();
        let mut source = Source::default();
        source.text.push('(');
        source.text.push_str(&self.text[opening.start..opening.text]);
        elide::plain(self.text, from, to, &mut source);
        if !whole {
            source.text.push_str(opening.quotes());
            self.open = Some(opening);
        }
        source.text.push_str("\n)");
        source
    }
}

//! Measures of functions, classes and modules: lines, complexity, nesting, maintainability.
//!
//! Cyclomatic complexity counts as radon 6.0.1 does (`ComplexityVisitor`): decorators, parameters and the
//! inside of `assert` do not count, a nested function counts for itself alone, a class is one more than
//! the sum of its body and of its functions. Cognitive complexity follows G. A. Campbell, "Cognitive
//! Complexity" (SonarSource, 2018); a nested function starts at nesting 0. The maintainability index is
//! radon's formula over the lines, the complexity and the Halstead volume of the function.

use super::builder::Extractor;
use crate::model::facts::col;
use crate::model::name::{self, PairMap};
use ruff_python_ast::Expr;

/// Kind of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Module,
    Class,
    Function,
}

/// What is counted for the innermost body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) body: Body,
    pub(super) complexity: u32,
    pub(super) cognitive: u32,
    /// Blocks we stand in, and the most of them.
    depth: u32,
    deepest: u32,
    /// Structures around us that make one more of them harder to follow.
    weight: u32,
    pub(super) generator: bool,
    /// String of the function's name, for recursion; 0 otherwise.
    pub(super) own_name: u32,
    pub(super) method: bool,
    recursive: bool,
    /// String of the first parameter of a method, and the scope of its class.
    pub(super) self_name: u32,
    pub(super) class_scope: u32,
    number: u32,
    operators: u32,
    operands: u32,
    distinct_operators: u64,
    distinct_operands: u32,
    /// Of these operands some may be counted again in a later epoch.
    spilled: bool,
    /// Lines of code and comment lines before the body, of a text whose lines are not all held.
    before: (u32, u32),
}

impl Frame {
    pub(super) fn new(body: Body) -> Self {
        Self {
            body,
            complexity: 1,
            cognitive: 0,
            depth: 0,
            deepest: 0,
            weight: 0,
            generator: false,
            own_name: 0,
            method: false,
            recursive: false,
            self_name: 0,
            class_scope: 0,
            number: 0,
            operators: 0,
            operands: 0,
            distinct_operators: 0,
            distinct_operands: 0,
            spilled: false,
            before: (0, 0),
        }
    }

    pub(super) fn module() -> Self {
        Self::new(Body::Module)
    }

    /// Strings that are compared with.
    pub(super) const fn names(&self) -> [u32; 2] {
        [self.own_name, self.self_name]
    }

    /// Gives them other numbers.
    pub(super) const fn rename(&mut self, [own_name, self_name]: [u32; 2]) {
        (self.own_name, self.self_name) = (own_name, self_name);
    }
}

/// Operands seen, by frame.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) map: PairMap,
    frames: u32,
}

impl Seen {
    pub(super) fn clear(&mut self) {
        self.map.clear(64);
        self.frames = 0;
    }

    /// Gives frame and hash of each operand of the open ones among `frames` to `take`, and forgets all.
    pub(super) fn take_out(&mut self, frames: &mut [Frame], mut take: impl FnMut([u32; 2])) {
        for (key, _) in self.map.iter() {
            let (number, hash) = ((key >> 32) as u32, key as u32);
            if let Some(frame) = frames.iter_mut().find(|frame| frame.number == number) {
                // It is counted once more, among all of them, at the end of the body.
                frame.spilled = true;
                frame.distinct_operands -= 1;
                take([number, hash]);
            }
        }
        self.map.clear(64);
    }
}

impl Extractor {
    /// Begins a body whose first line is `line`.
    pub(super) fn push_frame(&mut self, mut frame: Frame, line: u32) {
        self.seen.frames += 1;
        if self.lines.is_large() {
            frame.before = self.lines.before(line);
        }
        frame.number = self.seen.frames;
        self.frames.push(frame);
    }

    /// Ends the innermost body and writes its row.
    pub(super) fn pop_frame(&mut self, sym: u32, first: u32, last: u32, doc: u32, returns: u32) -> Frame {
        let mut frame = self.frames.pop().unwrap_or_else(|| Frame::new(Body::Module));
        if frame.body == Body::Function
            && let Some(outer) = self.frames.last_mut()
            && outer.body == Body::Class
        {
            outer.complexity += frame.complexity;
        }
        if frame.spilled
            && let Some(large) = &mut self.large
        {
            frame.distinct_operands += large.distinct_operands(frame.number, &self.seen.map);
        }
        let (code, comment, blank) = if self.lines.is_large() {
            let (code, comment) = self.lines.before(last + 1);
            let (code, comment) =
                (code.saturating_sub(frame.before.0), comment.saturating_sub(frame.before.1));
            (code, comment, self.lines.within(first, last).saturating_sub(code + comment))
        } else {
            self.lines.between(first, last)
        };
        let index = maintainability(&frame, code, comment);
        for (column, value) in [
            (col::BODY_SYM, sym),
            (col::BODY_END_LINE, last),
            (col::BODY_SLOC, code),
            (col::BODY_COMMENT, comment),
            (col::BODY_BLANK, blank),
            (col::BODY_CC, frame.complexity),
            (col::BODY_COGNITIVE, frame.cognitive),
            (col::BODY_NESTING, frame.deepest),
            (col::BODY_MI, index),
            (col::BODY_DOC, doc),
            (col::BODY_RETURNS, returns),
        ] {
            self.out.push(column, value);
        }
        frame
    }

    /// Counts `decisions` of cyclomatic complexity.
    #[inline]
    pub(super) fn decide(&mut self, decisions: u32) {
        if self.uncounted == 0
            && let Some(frame) = self.frames.last_mut()
        {
            frame.complexity += decisions;
        }
    }

    /// Counts `points` of cognitive complexity, and the current nesting once more where `nested`.
    #[inline]
    pub(super) fn think(&mut self, points: u32, nested: bool) {
        if self.uncounted == 0
            && let Some(frame) = self.frames.last_mut()
        {
            frame.cognitive += points + if nested { frame.weight } else { 0 };
        }
    }

    /// Enters the block of a branch, a loop or a handler.
    #[inline]
    pub(super) fn deeper(&mut self) {
        self.weigh(1);
        self.indent();
    }

    /// Leaves what [`Self::deeper`] entered.
    #[inline]
    pub(super) fn shallower(&mut self) {
        self.weigh(-1);
        self.dedent();
    }

    /// Enters a block that is no harder to follow than what is around it: of `with` and `try`.
    #[inline]
    pub(super) fn indent(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.depth += 1;
            frame.deepest = frame.deepest.max(frame.depth);
        }
    }

    /// Leaves what [`Self::indent`] entered.
    #[inline]
    pub(super) fn dedent(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.depth -= 1;
        }
    }

    /// Enters (1) or leaves (-1) what is harder to follow and no block: a lambda, a conditional expression.
    #[inline]
    pub(super) fn weigh(&mut self, change: i32) {
        if let Some(frame) = self.frames.last_mut() {
            frame.weight = frame.weight.wrapping_add_signed(change);
        }
    }

    /// A call of `name`, or of it as an attribute of `base` (0 without): recursion counts once.
    #[inline]
    pub(super) fn called(&mut self, base: u32, name: u32) {
        if let Some(frame) = self.frames.last_mut()
            && frame.own_name == name
            && name != 0
            && !frame.recursive
            && (if frame.method { base == frame.self_name && base != 0 } else { base == 0 })
        {
            frame.recursive = true;
            frame.cognitive += 1;
        }
    }

    /// Counts `count` Halstead operators of kind `bit`.
    #[inline]
    pub(super) fn operator(&mut self, bit: u32, count: u32) {
        if let Some(frame) = self.frames.last_mut() {
            frame.operators += count;
            frame.distinct_operators |= 1 << (bit & 63);
        }
    }

    /// Counts a Halstead operand, whose source is `source`.
    pub(super) fn operand(&mut self, operand: &Expr, source: &[u8]) {
        let Some(frame) = self.frames.last_mut() else { return };
        frame.operands += 1;
        let bytes = match operand {
            Expr::Name(name) => name.id.as_bytes(),
            Expr::Attribute(attribute) => attribute.attr.id.as_bytes(),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::BytesLiteral(_) => source,
            Expr::BooleanLiteral(literal) if literal.value => b"True",
            Expr::BooleanLiteral(_) => b"False",
            Expr::NoneLiteral(_) => b"None",
            _ => {
                frame.distinct_operands += 1;
                return;
            }
        };
        let key = u64::from(frame.number) << 32 | u64::from(name::hash(bytes));
        if self.seen.map.insert(key, 0).1 {
            frame.distinct_operands += 1;
        }
    }
}

/// Radon's maintainability index, times 100.
fn maintainability(frame: &Frame, code: u32, comment: u32) -> u32 {
    let length = f64::from(frame.operators + frame.operands);
    let vocabulary = f64::from(frame.distinct_operators.count_ones() + frame.distinct_operands);
    let volume = if vocabulary > 0.0 { length * vocabulary.log2() } else { 0.0 };
    if volume <= 0.0 || code == 0 {
        return 10_000;
    }
    let comments = 100.0 * f64::from(comment) / f64::from(code + comment);
    let plain = 171.0 - 5.2 * volume.ln() - 0.23 * f64::from(frame.complexity) - 16.2 * f64::from(code).ln()
        + 50.0 * (2.46 * comments.to_radians()).sqrt().sin();
    (plain * 100.0 / 171.0).clamp(0.0, 100.0).mul_add(100.0, 0.5) as u32
}

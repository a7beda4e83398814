//! Bytes to texts that look like Python.

use libfuzzer_sys::arbitrary::{Error, Result, Unstructured};

const TOKENS: [&str; 119] = [
    "\n",
    "\n",
    "\n",
    "\n    ",
    "\n        ",
    "\n\t",
    "\n  ",
    "\r\n",
    "\r",
    "\n\n",
    "\\\n",
    " ",
    " ",
    "\t",
    "\x0c",
    "# c\n",
    "#",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ",",
    ", ",
    ":",
    ":",
    ": ",
    ";",
    ".",
    "=",
    " = ",
    ":=",
    "->",
    "*",
    "**",
    "+",
    "-",
    "@",
    "/",
    "==",
    "!",
    "~",
    "'",
    "\"",
    "'''",
    "\"\"\"",
    "''",
    "f'",
    "f\"",
    "f'''",
    "rb'",
    "r\"",
    "t'",
    "u'",
    "\\",
    "\\'",
    "{{",
    "}}",
    "\\N{",
    "!r",
    "a",
    "b",
    "f",
    "_x",
    "self",
    "__all__",
    "__slots__",
    "é",
    "match",
    "case ",
    "type ",
    "print",
    "super()",
    "0",
    "1",
    "1.5",
    "0x",
    "1e",
    "def ",
    "class ",
    "lambda ",
    "return ",
    "yield ",
    "yield from ",
    "await ",
    "async ",
    "for ",
    " in ",
    "while ",
    "if ",
    "elif ",
    "else",
    "try",
    "except ",
    "finally",
    "with ",
    " as ",
    "import ",
    "from ",
    "global ",
    "nonlocal ",
    "pass",
    "break",
    "del ",
    "raise ",
    "assert ",
    " not ",
    " and ",
    " or ",
    " is ",
    "None",
];

/// A token for each byte.
pub fn tokens(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|&byte| TOKENS[usize::from(byte) % TOKENS.len()].bytes()).collect()
}

/// Statements that are right but for what the parser finds wrong with names and places.
pub fn statements(bytes: &[u8]) -> Vec<u8> {
    let mut writer = Writer { bytes: Unstructured::new(bytes), out: String::new(), indent: String::new() };
    while !writer.bytes.is_empty() && writer.out.len() < 1 << 14 {
        if writer.statement(0).is_err() {
            break;
        }
    }
    writer.out.into_bytes()
}

struct Writer<'b> {
    bytes: Unstructured<'b>,
    out: String,
    indent: String,
}

const NAMES: [&str; 12] = [
    "a",
    "b",
    "f",
    "self",
    "match",
    "case",
    "type",
    "__all__",
    "__slots__",
    "é",
    "long_name_of_a_thing",
    "_",
];

impl Writer<'_> {
    fn pick(&mut self, count: u8) -> Result<u8> {
        // Zeros without end would choose for ever.
        if self.bytes.is_empty() {
            return Err(Error::NotEnoughData);
        }
        Ok(self.bytes.arbitrary::<u8>()? % count)
    }

    fn put(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn one_of(&mut self, texts: &[&str]) -> Result<()> {
        let at = self.pick(texts.len() as u8)?;
        self.put(texts[usize::from(at)]);
        Ok(())
    }

    fn name(&mut self) -> Result<()> {
        self.one_of(&NAMES)
    }

    /// The end of a line, with what may stand before the next one.
    fn end(&mut self) -> Result<()> {
        self.one_of(&[
            "\n",
            "\n",
            "\n",
            "\n",
            "\r\n",
            " # c\n",
            "\n\n",
            "\n# c\n",
            "\n        # c\n",
            ";\n",
            "\\\n\n",
        ])
    }

    fn block(&mut self, depth: u32) -> Result<()> {
        self.put(":");
        if self.pick(8)? == 0 {
            self.put(" ");
            self.simple(depth)?;
            return self.end();
        }
        self.one_of(&["\n", "\n", " # c\n", "\n\n", "\n# c\n"])?;
        let before = self.indent.len();
        let more = ["    ", "    ", " ", "\t", "        "][usize::from(self.pick(5)?)];
        self.indent.push_str(more);
        let result = (|| {
            for _ in 0..=self.pick(4)? {
                self.statement(depth + 1)?;
            }
            Ok(())
        })();
        self.indent.truncate(before);
        result
    }

    fn start(&mut self) {
        let indent = std::mem::take(&mut self.indent);
        self.put(&indent);
        self.indent = indent;
    }

    fn statement(&mut self, depth: u32) -> Result<()> {
        self.start();
        let kind = self.pick(20)?;
        if depth > 6 || kind < 8 {
            self.simple(depth)?;
            while self.pick(6)? == 0 {
                self.put("; ");
                self.simple(depth)?;
            }
            return self.end();
        }
        match kind {
            8 | 9 => {
                while self.pick(4)? == 0 {
                    self.put("@");
                    self.expression(0)?;
                    self.end()?;
                    self.start();
                }
                self.one_of(&["def ", "async def "])?;
                self.name()?;
                self.one_of(&["", "[T]", "[T: (int, str), *Ts]"])?;
                self.put("(");
                self.one_of(&[
                    "",
                    "self",
                    "a, b=[1, 2, 3]",
                    "a, /, *, b: 'c' = (1,)",
                    "*args: int, **kw",
                    "\n  a, # c\n",
                ])?;
                self.put(")");
                if self.pick(3)? == 0 {
                    self.put(" -> ");
                    self.expression(1)?;
                }
                self.block(depth)
            }
            10 => {
                self.put("class ");
                self.name()?;
                if self.pick(2)? == 0 {
                    self.put("(");
                    self.list(1)?;
                    self.put(")");
                }
                self.block(depth)
            }
            11 | 12 => {
                self.put("if ");
                self.expression(1)?;
                self.block(depth)?;
                while self.pick(3)? == 0 {
                    self.start();
                    self.put("elif ");
                    self.expression(1)?;
                    self.block(depth)?;
                }
                self.tail("else", depth)
            }
            13 => {
                self.one_of(&["for ", "async for "])?;
                self.target(1)?;
                self.put(" in ");
                self.expression(1)?;
                self.block(depth)?;
                self.tail("else", depth)
            }
            14 => {
                self.put("while ");
                self.expression(1)?;
                self.block(depth)?;
                self.tail("else", depth)
            }
            15 => {
                self.put("try");
                self.block(depth)?;
                let star = self.pick(4)? == 0;
                for _ in 0..self.pick(3)? {
                    self.start();
                    self.put(if star { "except* " } else { "except " });
                    self.expression(1)?;
                    self.one_of(&["", " as e"])?;
                    self.block(depth)?;
                }
                self.tail("else", depth)?;
                self.start();
                self.put("finally");
                self.block(depth)
            }
            16 => {
                self.one_of(&["with ", "async with "])?;
                let brackets = self.pick(2)? == 0;
                self.put(if brackets { "(" } else { "" });
                self.expression(1)?;
                self.put(" as ");
                self.target(1)?;
                self.put(if brackets { ")" } else { "" });
                self.block(depth)
            }
            17 | 18 => {
                self.put("match ");
                self.expression(1)?;
                self.put(":\n");
                let before = self.indent.len();
                self.indent.push_str("  ");
                let result = (|| {
                    for _ in 0..=self.pick(3)? {
                        self.start();
                        self.put("case ");
                        self.one_of(&[
                            "_",
                            "1",
                            "[a, *b]",
                            "{'k': v, **rest}",
                            "C(x=1, y=D())",
                            "(1 | 2) as c",
                            "a.b",
                            "'x' 'y'",
                            "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]",
                        ])?;
                        if self.pick(3)? == 0 {
                            self.put(" if ");
                            self.expression(1)?;
                        }
                        self.block(depth + 1)?;
                    }
                    Ok(())
                })();
                self.indent.truncate(before);
                result
            }
            _ => {
                // What stands at a wrong place.
                self.one_of(&[
                    "  ",
                    "\t",
                    "else:\n",
                    "case 1:\n",
                    ")",
                    "]",
                    "'''",
                    "\\\n",
                    "f'{",
                    "(",
                    "@",
                    "\x0c",
                ])
            }
        }
    }

    fn tail(&mut self, word: &str, depth: u32) -> Result<()> {
        if self.pick(3)? != 0 {
            return Ok(());
        }
        self.start();
        self.put(word);
        self.block(depth)
    }

    fn simple(&mut self, depth: u32) -> Result<()> {
        match self.pick(14)? {
            0..=2 => self.expression(0),
            3..=5 => {
                self.target(0)?;
                self.one_of(&[" = ", " = ", " += ", ": int = ", " = b = "])?;
                self.expression(0)
            }
            6 => self.string(0),
            7 => self.one_of(&[
                "import a.b as c, d",
                "from . import (a,\n  b as c)",
                "from ..x import *",
                "import a",
            ]),
            8 => {
                self.one_of(&["return ", "yield ", "raise ", "assert ", "del ", "await "])?;
                self.expression(0)
            }
            9 => self.one_of(&["pass", "break", "continue", "global a, b", "nonlocal f", "..."]),
            10 => {
                self.put("type A[T] = ");
                self.expression(0)
            }
            11 => {
                self.one_of(&["__all__ = ", "__all__ += ", "__slots__ = "])?;
                self.expression(0)
            }
            12 if depth == 0 => {
                self.put("lambda_ = ");
                self.expression(0)
            }
            _ => {
                self.name()?;
                self.put("(");
                self.list(0)?;
                self.put(")");
                Ok(())
            }
        }
    }

    fn target(&mut self, depth: u32) -> Result<()> {
        match self.pick(6)? {
            0 if depth < 4 => {
                self.one_of(&["(", "["])?;
                let close = if self.out.ends_with('(') { ",)" } else { "]" };
                self.target(depth + 1)?;
                self.put(", ");
                self.target(depth + 1)?;
                self.put(close);
                Ok(())
            }
            1 => {
                self.name()?;
                self.put("[");
                self.expression(3)?;
                self.put("]");
                Ok(())
            }
            2 => {
                self.name()?;
                self.put(".");
                self.name()
            }
            _ => self.name(),
        }
    }

    /// Expressions with commas between them.
    fn list(&mut self, depth: u32) -> Result<()> {
        let count = self.pick(9)?;
        for index in 0..count {
            if index > 0 {
                self.one_of(&[",", ", ", ", ", ",\n", ", # c\n  ", "\n,"])?;
            }
            self.one_of(&["", "", "", "", "*"])?;
            self.expression(depth + 1)?;
        }
        self.one_of(&["", "", ",", "\n", " # c ) ]\n"])
    }

    fn string(&mut self, depth: u32) -> Result<()> {
        for part in 0..=self.pick(10)? / 7 {
            if part > 0 {
                self.put(" ");
            }
            match self.pick(10)? {
                0 => self.put("'''a\n  # no comment\n\n def f(): '''"),
                1 => self.put("\"b\\\"#\""),
                2 => self.put("b'\\x00'"),
                3 => self.put("r'\\\\ (['"),
                4 | 5 if depth < 4 => {
                    self.one_of(&["f\"", "f'''", "rf'", "t\""])?;
                    let quote = if self.out.ends_with("'''") {
                        "'''"
                    } else if self.out.ends_with('\'') {
                        "'"
                    } else {
                        "\""
                    };
                    self.one_of(&["", "{{", "a }} b", "\\N{DASH}", "x"])?;
                    self.put("{");
                    self.expression(depth + 3)?;
                    self.one_of(&["", "", "!r", "=", ":>{a}", ":%H:%M", ":{a}}}"])?;
                    self.put("}");
                    self.put(quote);
                }
                6 => self.put("'a long text that is larger than the smallest chunks'"),
                _ => self.put("'k'"),
            }
        }
        Ok(())
    }

    fn expression(&mut self, depth: u32) -> Result<()> {
        if depth > 5 {
            return self.name();
        }
        match self.pick(24)? {
            0..=4 => self.name(),
            5 => self.one_of(&["1", "0x1f", "1.5e3", "2j", "None", "..."]),
            6 | 7 => self.string(depth),
            8 | 9 => {
                self.name()?;
                self.put("(");
                self.list(depth)?;
                self.put(")");
                Ok(())
            }
            10 => {
                self.put("[");
                self.list(depth)?;
                self.put("]");
                Ok(())
            }
            11 => {
                self.put("(");
                self.list(depth)?;
                self.put(",)");
                Ok(())
            }
            12 => {
                self.put("{");
                self.list(depth)?;
                self.put("}");
                Ok(())
            }
            13 | 14 => {
                self.put("{");
                for _ in 0..self.pick(6)? {
                    if self.pick(6)? == 0 {
                        self.put("**");
                    } else {
                        self.expression(depth + 2)?;
                        self.put(": ");
                    }
                    self.expression(depth + 1)?;
                    self.one_of(&[",", ", ", ",\n    ", ", # c\n"])?;
                }
                self.put("}");
                Ok(())
            }
            15 => {
                self.one_of(&[
                    "(lambda: ",
                    "(lambda a, b=[1, 2, 3]: ",
                    "(lambda *a, **k: ",
                    "(yield ",
                    "(a := ",
                    "(await ",
                ])?;
                self.expression(depth + 1)?;
                self.put(")");
                Ok(())
            }
            16 => {
                self.one_of(&["lambda: ", "lambda a, b=1: ", "not ", "-", "await "])?;
                self.expression(depth + 1)
            }
            17 | 18 => {
                self.one_of(&["[", "(", "{"])?;
                let close = match self.out.as_bytes().last() {
                    Some(b'[') => "]",
                    Some(b'(') => ")",
                    _ => "}",
                };
                self.expression(depth + 1)?;
                self.put(" for ");
                self.target(depth)?;
                self.put(" in ");
                self.expression(depth + 2)?;
                if self.pick(3)? == 0 {
                    self.put(" if ");
                    self.expression(depth + 2)?;
                }
                self.put(close);
                Ok(())
            }
            19 => {
                self.expression(depth + 1)?;
                self.one_of(&[".a", ".b.c", "[1]", "[1:2]", "(1, k=2)", "()[0].a"])
            }
            20 => {
                self.expression(depth + 1)?;
                self.one_of(&[
                    " + ",
                    " and ",
                    " or ",
                    " == ",
                    " in ",
                    " not in ",
                    " @ ",
                    " if a else ",
                    " < ",
                ])?;
                self.expression(depth + 1)
            }
            21 => {
                self.put("(");
                self.expression(depth + 1)?;
                self.one_of(&[")", "\n)", " # c\n)"])
            }
            _ => self.name(),
        }
    }
}

use super::check;
use crate::model::facts::{Facts, SymbolKind, col, table};

/// Functions: cyclomatic complexity, cognitive complexity, nesting.
fn complexity(facts: &Facts<'_>) -> Vec<String> {
    (0..facts.rows(table::Bodies))
        .filter(|&row| {
            let kind = SymbolKind::from_u32(facts.get(col::SYM_KIND, facts.get(col::BODY_SYM, row)));
            matches!(kind, SymbolKind::Function | SymbolKind::Method)
        })
        .map(|row| {
            let number = |column| facts.get(column, row);
            let name = facts.qualname(number(col::BODY_SYM));
            format!(
                "{name} {} {} {}",
                number(col::BODY_CC),
                number(col::BODY_COGNITIVE),
                number(col::BODY_NESTING)
            )
        })
        .collect()
}

/// Module: code, comment and blank lines.
fn lines(facts: &Facts<'_>) -> Vec<String> {
    let row =
        (0..facts.rows(table::Bodies)).find(|&row| facts.get(col::BODY_SYM, row) == 0).expect("a module");
    [col::BODY_END_LINE, col::BODY_SLOC, col::BODY_COMMENT, col::BODY_BLANK]
        .map(|column| facts.get(column, row).to_string())
        .to_vec()
}

#[test]
fn complexities() {
    for (body, expected) in [
        ("pass", "1 0 0"),
        ("if a: pass", "2 1 1"),
        ("if a: pass\n elif b: pass\n else: pass", "3 3 1"),
        ("if a:\n  for b in c:\n   while d: pass", "4 6 3"),
        ("for b in c: pass\n else: pass", "3 2 1"),
        ("while a and b or c: pass", "4 3 1"),
        ("return a if b else c", "2 1 0"),
        ("return a if b else (c if d else e)", "3 3 0"),
        // Neither `try` nor `with` makes what is inside harder to follow.
        ("try:\n  if a: pass\n except E: pass\n finally: pass", "3 2 2"),
        ("with a:\n  if b: pass", "2 1 2"),
        ("try: pass\n except A: pass\n except B:\n  if c: pass\n else: pass", "5 4 2"),
        ("return [a for b in c if d if e]", "4 0 0"),
        ("assert a and b", "2 1 0"),
        ("return lambda: a if b else c", "2 2 0"),
        ("match a:\n  case 1: pass\n  case 2 if b: pass\n  case _: pass", "3 1 1"),
        // Recursion counts once.
        ("f(); f()", "1 1 0"),
        ("a.f()", "1 0 0"),
    ] {
        check(&format!("def f():\n {body}\n"), complexity, &[&format!("f {expected}")]);
    }
}

#[test]
fn complexity_is_that_of_the_function_alone() {
    check(
        "@d(a or b)\ndef f(x=a or b):\n def g():\n  if a: pass\n class C:\n  def m(self):\n   self.m()\n   m()\n  if b: pass\n",
        complexity,
        &["f.g 2 1 1", "f.C.m 1 1 0", "f 1 0 0"],
    );
}

#[test]
fn lines_by_what_they_hold() {
    for (source, expected) in [
        ("", ["0", "0", "0", "0"]),
        ("x = 1", ["1", "1", "0", "0"]),
        ("# a\n\nx = 1  # b\n\x0c\n", ["4", "1", "1", "2"]),
        ("'''a\n\n# b'''\n", ["3", "3", "0", "0"]),
        ("x = [\n  # a\n\n  1,\n]\n", ["5", "3", "1", "1"]),
        ("x = \\\n  1\r\n# a\r", ["3", "2", "1", "0"]),
    ] {
        check(source, lines, &expected);
    }
}

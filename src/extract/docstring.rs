//! The first line of a docstring, from its source: of its first [`HEAD`] bytes, however long it is.

use ruff_python_ast::Expr;
use std::borrow::Cow;

/// Bytes of the source that are looked at.
const HEAD: usize = 1024;
/// Bytes of the line that are kept.
const LINE: usize = 200;

/// First line, white space around it removed, of the string literal `source`.
pub(super) fn first_line(source: &str) -> Cow<'_, str> {
    let prefix = source.bytes().take_while(u8::is_ascii_alphabetic).count();
    let raw = source[..prefix].contains(['r', 'R']);
    let rest = &source[prefix..];
    let Some(quote) = rest.chars().next().filter(|quote| matches!(quote, '"' | '\'')) else {
        return Cow::Borrowed("");
    };
    let triple = rest.len() >= 6 && rest.bytes().take(3).all(|byte| byte == quote as u8);
    let quotes = if triple { 3 } else { 1 };
    let content = rest[quotes..].trim_start();
    let line = content.lines().next().unwrap_or("");
    // Escapes, other literals after this one, and what is unusually long are left to the parser.
    let end = line.find(&rest[..quotes]);
    let plain = raw || !rest[..rest.len() - content.len() + end.unwrap_or(line.len())].contains('\\');
    let last = end.is_none_or(|end| content.len() == end + quotes);
    if plain && last && content.len() + HEAD > rest.len() {
        return Cow::Borrowed(cut(&line[..end.unwrap_or(line.len())]));
    }
    decoded(source, prefix + quotes, &rest[..quotes])
}

fn cut(line: &str) -> &str {
    let line = line.trim_end();
    &line[..line.floor_char_boundary(LINE)]
}

/// The same by the parser.
fn decoded(source: &str, start: usize, quotes: &str) -> Cow<'static, str> {
    let value = |source: &str| {
        let parsed = ruff_python_parser::parse_expression(source).ok()?;
        match parsed.expr() {
            Expr::StringLiteral(literal) => {
                let line = literal.value.to_str().trim_start().lines().next().unwrap_or("").to_owned();
                Some(Cow::Owned(cut(&line).to_owned()))
            }
            _ => None,
        }
    };
    if source.len() <= HEAD {
        // Literals one after the other may stand on lines of their own.
        return value(&format!("({source}\n)")).unwrap_or_default();
    }
    // The first literal alone, shortened.
    let content = &source[start..source.floor_char_boundary(HEAD)];
    let (mut end, mut at, bytes) = (content.len(), 0, content.as_bytes());
    while at < bytes.len() {
        if bytes[at] == b'\\' {
            // What an escape needs may be cut off.
            if at + 64 > bytes.len() {
                end = at;
                break;
            }
            at += 2;
        } else if content[at..].starts_with(quotes) {
            end = at;
            break;
        } else {
            at += content[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    value(&format!("{}{}{quotes}", &source[..start], &content[..content.floor_char_boundary(end)]))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_value() {
        let long = format!("'''{}\nb'''", "x".repeat(5_000));
        let cut = "x".repeat(200);
        let blank = format!("'''{}x'''", " ".repeat(2_000));
        for (source, expected) in [
            ("'''a b\n c'''", "a b"),
            ("\"\"\"\n   a\r\n\"\"\"", "a"),
            ("'a'", "a"),
            ("''", ""),
            ("''''''", ""),
            ("'''\\\n  a'''", "a"),
            ("r'a\\n'", "a\\n"),
            ("'a\\x41\\tb'", "aA\tb"),
            ("'a' \"b\"", "ab"),
            ("'a'\n  'b'", "ab"),
            ("'''a'b\n'''", "a'b"),
            (&long, &cut),
            (&blank, ""),
        ] {
            assert_eq!(first_line(source), expected, "{source:?}");
        }
    }
}

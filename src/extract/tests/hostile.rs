//! Texts made to break: each ends in facts or is turned away, and gives the same block twice.

use super::super::{MAX_DEPTH, STACK};
use crate::model::facts::{Facts, col, table};
use crate::parse::{Outcome, Scratch};
use proptest::prelude::*;

/// What came of a text: number of errors, `None` where it is too deep.
fn errors(scratch: &mut Scratch, bytes: &[u8]) -> Option<u32> {
    match scratch.parse(bytes, false) {
        Outcome::TooDeep | Outcome::TooLarge | Outcome::Unfit(_) => None,
        Outcome::Facts(block) => {
            let facts = Facts::open(&block).expect("facts");
            assert_eq!(facts.rows(table::File), 1);
            Some(facts.rows(table::Errors))
        }
    }
}

/// Runs on a thread with the stack of a worker.
fn as_worker(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(STACK).spawn(work).expect("a thread").join().expect("no panic");
}

/// Shapes of nesting: what comes before, in the middle and after, each of the outer ones repeated.
const NESTED: [(&str, &str, &str); 24] = [
    ("(", "1", ")"),
    ("[", "", "]"),
    ("{1:", "1", "}"),
    ("-", "1", ""),
    ("not ", "1", ""),
    ("lambda:", "1", ""),
    ("lambda a=(", "1", "):0"),
    ("", "a", ".b"),
    ("", "a", "+1"),
    ("", "f", "()"),
    ("", "f", "[0]"),
    ("", "a", " if a else a"),
    ("", "2", "**2"),
    ("(a:=", "1", ")"),
    ("[", "a", " for x in y]"),
    ("f(", "", ")"),
    ("f(a=", "1", ")"),
    ("f(*", "a", ")"),
    ("a[", "1:2", "]"),
    ("a<(", "1", ")"),
    ("a and (a or ", "a", ")"),
    ("f'{", "1", "}'"),
    ("__all__=__all__+(", "1", ")"),
    ("super(", "", ").a"),
];

#[test]
fn nesting_up_to_the_bound_is_read() {
    as_worker(|| {
        let mut scratch = Scratch::default();
        for (before, middle, after) in NESTED {
            for count in [90, MAX_DEPTH as usize / 4 - 10, MAX_DEPTH as usize - 10, 100_000] {
                // Nested f-strings take the parser the square of their depth.
                let count = if before.starts_with("f'") { count.min(600) } else { count };
                let text = format!("{}{middle}{}\n", before.repeat(count), after.repeat(count));
                let found = errors(&mut scratch, text.as_bytes());
                assert!(count > 2_500 || found.is_some(), "{count} times {before}{middle}{after}");
                assert!(count < 100_000 || found.is_none(), "{count} times {before}{middle}{after}");
            }
        }
    });
}

#[test]
fn blocks_up_to_the_bound_are_read() {
    as_worker(|| {
        let mut scratch = Scratch::default();
        for head in ["if a:", "for a in b:", "with a:", "def f():", "class C:"] {
            let text: String = (0..240).map(|depth| format!("{}{head}\n", "\t".repeat(depth))).collect();
            assert_eq!(
                errors(&mut scratch, format!("{text}{}pass\n", "\t".repeat(240)).as_bytes()),
                Some(0),
                "{head}"
            );
        }
    });
}

#[test]
fn long_is_not_deep() {
    as_worker(|| {
        let mut scratch = Scratch::default();
        let many = |part: &str| part.repeat(50_000);
        for text in [
            many("a;"),
            many("f(a);"),
            format!("a{}\n", many("<a")),
            format!("a{}\n", many(" and a")),
            format!("{}1\n", many("a=")),
            format!("f'{}'\n", many("{a}")),
            format!("{}\n", many("'a' ")),
            format!("[a{}]\n", many(" for x in y")),
            format!("[a for x in y{}]\n", many(" if x")),
            format!("match a:\n case {}1: pass\n", many("1|")),
            format!("if a: pass\n{}", many("elif a: pass\n")),
            format!("from {} import a\n", many(".")),
            format!("x = [{}]\n", many("1,")),
            format!("'{}'\n", many("a")),
            many("# a\n"),
            many("x=1;x='';\n"),
            many("def f():pass\n"),
        ] {
            assert_eq!(errors(&mut scratch, text.as_bytes()), Some(0), "{}", &text[..20]);
        }
    });
}

#[test]
fn odd_bytes() {
    let mut scratch = Scratch::default();
    for (bytes, expected) in [
        (&b""[..], 0),
        (b"\n\n  \n\t\n", 0),
        (b"# only\n# comments", 0),
        (b"def f():\r    return g()\r\rf()\r", 0),
        (b"\x0cdef f():\n\x0c    return g()\n\x0c\nf()\n", 0),
        (b"\xef\xbb\xbfx = f()\n", 0),
        (b"# coding: latin-1\nx = '\xe9'\n", 0),
        (b"x = '\xff'\n", 1),
        (b"x = 1\0\n", 1),
        (b"x = '\\ud800'\n", 0),
    ] {
        assert_eq!(errors(&mut scratch, bytes).map(|count| count.min(1)), Some(expected), "{bytes:?}");
    }
}

#[test]
fn an_error_has_a_place_and_the_rest_still_counts() {
    let Outcome::Facts(block) =
        Scratch::default().parse("def f(): pass\nx = 'ä' = )\ndef g(): f()\n".as_bytes(), false)
    else {
        panic!("too deep")
    };
    let facts = Facts::open(&block).expect("facts");
    assert!(facts.rows(table::Errors) > 0);
    assert_eq!((facts.get(col::ERR_LINE, 0), facts.get(col::ERR_COLUMN, 0)), (2, 11));
    assert_eq!(facts.rows(table::Calls), 1);
    assert_eq!(facts.qualname(2), "g");
}

/// Bits of Python, in no sensible order.
fn soup() -> impl Strategy<Value = String> {
    let parts = vec![
        "x",
        "y",
        "self",
        "__all__",
        "super",
        "def f",
        "class C",
        "lambda",
        "async ",
        "await ",
        "if ",
        "elif ",
        "else",
        "for ",
        " in ",
        "while ",
        "try",
        "except ",
        "finally",
        "with ",
        " as ",
        "match ",
        "case ",
        "return ",
        "yield ",
        "import ",
        "from ",
        "global ",
        "nonlocal ",
        "del ",
        "raise ",
        "assert ",
        "type ",
        "pass",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        ";",
        ".",
        "=",
        ":=",
        "+=",
        "+",
        "*",
        "**",
        "-",
        "<",
        " not ",
        " and ",
        " or ",
        "@",
        "->",
        "...",
        "f'{",
        "}'",
        "'",
        "\"\"\"",
        "1",
        "2.5",
        "1j",
        "b'a'",
        "# c",
        "\\",
        "\n",
        "\n    ",
        "\n        ",
        "\t",
        "\r",
        "\r\n",
        "\x0c",
        "\0",
        "é",
        "\u{feff}",
        " ",
    ];
    prop::collection::vec(prop::sample::select(parts), 0..120).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 300 } else { 5_000 }))]

    #[test]
    fn token_soup_gives_the_same_facts_twice(text in soup(), other in soup()) {
        let mut scratch = Scratch::default();
        let mut facts = |text: &str| match scratch.parse(text.as_bytes(), false) {
            Outcome::Facts(block) => block.into_vec(),
            Outcome::TooDeep | Outcome::TooLarge | Outcome::Unfit(_) => Vec::new(),
        };
        let first = facts(&text);
        // What the scratch memory held before must not show.
        facts(&other);
        prop_assert_eq!(first, facts(&text));
        super::chunks::same(&text);
    }

    #[test]
    fn any_bytes_give_facts(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(errors(&mut Scratch::default(), &bytes).is_some());
    }
}

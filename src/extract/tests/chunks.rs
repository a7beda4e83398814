//! Texts in chunks give the facts of whole texts, byte for byte.

use super::super::STACK;
use crate::parse::{Outcome, Scratch};
use crate::split::{ChunkSize, Measure};

/// Sizes so small that everything is cut that can be.
fn sizes() -> impl Iterator<Item = ChunkSize> {
    [(Measure::Ast, 16), (Measure::Ast, 60), (Measure::Bytes, 24), (Measure::Bytes, 200), (Measure::Lines, 2)]
        .into_iter()
        .map(|(measure, limit)| ChunkSize { measure, limit })
}

/// Facts of `text`, which are the same in chunks of every size. The largest piece in chunks of 24 bytes.
#[track_caller]
pub(super) fn same(text: &str) -> Option<Vec<u8>> {
    let facts = |outcome| match outcome {
        Outcome::Facts(block) => Some(block),
        Outcome::TooDeep | Outcome::TooLarge => None,
    };
    let whole = facts(Scratch::default().parse(text.as_bytes(), false));
    let mut scratch = Scratch::default();
    for size in sizes() {
        let (outcome, _) = scratch.parse_in(text.as_bytes(), false, size);
        assert_eq!(facts(outcome), whole, "{size:?}: {text}");
    }
    whole
}

#[test]
fn statements_of_all_kinds_are_cut_alike() {
    for text in [
        "",
        "# only a comment that is longer than a chunk of twenty-four bytes\n",
        "\"\"\"A docstring that is longer than any of the small chunks here.\n\nMore.\n\"\"\"\nx = 1\n",
        "class A(B, metaclass=M):\n    '''Doc of A.'''\n    x: int = 1\n\n    @property\n    def f(self, a=1, *, b: str = 'x') -> int:\n        # why\n        self.y = a\n        return self.g(b)\n\n    async def g(self):\n        yield await self.f\n\n\nclass B: pass\n",
        "if a:\n    import x\nelif b and c:\n    from y import z\n\n    z()\nelse:\n    x = None\n\ny = x.z(1)\n",
        "try:\n    import json\nexcept (ImportError, ValueError) as e:\n    json = None\nexcept A:\n    pass\nelse:\n    json.loads('1')\nfinally:\n    done()\n",
        "for a, b in c():\n    while d:\n        break\n    else:\n        e(a)\nelse:\n    f(b)\n",
        "async def f():\n    async for a in b:\n        async with c as d, e() as g:\n            await d.h(g)\n",
        "match a.b:\n    case [1, 2, *rest] if rest:\n        one(rest)\n    case {'k': v, **others} | {'l': v}:\n        two(v)\n    case C(x=1) as c:\n        c.three()\n    case _:\n        pass\nmatch = 1\n",
        "x = [one(1), two(2), three(3), *four, 'five', [six(6), seven(7)]]\n",
        "x = {'a': one(1), 'b': [two, 2], **three, 'c': {'d': lambda a, b: four(a, b), 'e': 5}}\ny = {1, 2, f(3), 4, 5, 6}\n",
        "x = (lambda a, b, c=(1, 2): f(a, b, c))\ny = (yield 1, 2, 3, 4, 5, 6)\nz = (a for a, b in c if d(a, b))\n",
        "__all__ = ['one', 'two', 'three', 'four'] + ['five', *six, 'seven', 'eight', 'nine']\n__all__ += ('ten', 'eleven', 'twelve', 'thirteen')\n",
        "class A:\n    __slots__ = ('one', 'two', 'three', 'four', 'five')\n    a, (b, c), [d, *e] = f(1), g(2), h(3), i(4)\n",
        "f(a)[b, c, d, e, f, g](h, i, j)(k=[1, 2, 3, 4, 5, 6, 7, 8], l=(1, 2, 3, 4, 5, 6, 7, 8))\n",
        "x = 'one' 'two' \"three\" \\\n  'four' # c\ny = ('a'  # a\n     # b\n     'b' f'{c(1)}' '''\n# no comment\n''' 'd')\n",
        "x = f'''{a(1):>{b(2)}} {{}} {\n  c(3) # c }\n}\n''' + rf\"\\{d(4)!r}\"\n",
        "@a\n@b(1,\n   2)\n# c\n@c.d\ndef f(): return 1\n",
        "a = 1; b = f(a); c = g(b); d = h(c); e = i(d)\nif a: b(); c()\nelse: d()\n",
        "if a:\n\tif b:\n\t\tc()\n\n\t# d\n\n\te()\nf()\n",
        "def f(x):\n    global a\n    a = [x, x.y, x.y.z]\n    def g():\n        nonlocal x\n        x = lambda: a\n    return g\n\ndef f(y):\n    return [i for i in y if (j := i)]\n",
        "with (open(a) as b, open(c, 'd') as e):\n    b.read(e)\nfor (a, b) in [(1, 2), (3, 4), (5, 6)]:\n    del (a, b)\nfrom x import (one, two, three, four, five, six)\n",
        "x = [1,\n     2, # c\n     # d\n     3,\n]\r\ny = 2\r\n",
        "type A[T] = dict[str, T]\ndef f[T: (int, str)](x: T) -> T:\n    return x\n\n\n    # end\n",
    ] {
        assert!(same(text).is_some(), "{text}");
    }
}

#[test]
fn broken_texts_do_not_depend_on_chunks() {
    for text in [
        "def f(:\n    a()\n\nb()\n",
        "def f():\n    a(\n\ndef g():\n    b()\n",
        "if a:\nb()\n",
        "a()\n    b()\nc()\n",
        "if a:\n        b()\n    c()\nd()\n",
        "else:\n    a()\nb()\n",
        "try:\n    a()\nb()\n",
        "@a\nb()\nc()\n",
        "x = '''a\nb()\nc()\n",
        "x = ['a', 'b', 'c', 'd', 'e', 'f', 'g' 'h', 'i'\ny = 1\n",
        "x = [one, two three, four, five six, seven]\ny = {'a': 1, 'b' 2, 'c': 3}\n",
        "class A:\n\tdef f(self):\n\t\ta()\n        b()\n\tdef g(self):\n\t\tself.f()\n",
        "match a:\n    case 1:\n        b()\n    c()\nd()\n",
        "f'{a b}' + g()\nh()\n",
    ] {
        assert!(same(text).is_some(), "{text}");
    }
}

#[test]
fn blocks_within_each_other_fit_the_stack() {
    let work = || {
        for head in ["if a:", "for a in b:", "def f():", "class C:"] {
            let text: String = (0..240).map(|depth| format!("{}{head}\n", "\t".repeat(depth))).collect();
            let text = format!("{text}{}pass\n", "\t".repeat(240));
            assert!(same(&text).is_some(), "{head}");
        }
    };
    std::thread::Builder::new().stack_size(STACK).spawn(work).expect("a thread").join().expect("no panic");
}

#[test]
fn pieces_are_no_larger_than_a_chunk() {
    let size = ChunkSize { measure: Measure::Bytes, limit: 1000 };
    let many = |part: &str| part.repeat(3_000);
    for text in [
        format!("x = [{}]\n", many("'some text', ")),
        format!("x = {{{}}}\n", many("f(1): [2, 3],\n ")),
        format!("x = '''{}'''\n", many("text\n")),
        format!("x = ({})\n", many("'text'\n")),
        many("def f(): return 1\n"),
        format!("class A:\n{}", many("    def f(self): return 1\n")),
        format!("if a:\n{}", many("    b = 1\n")),
        format!("def f():\n    while True:\n{}", many("        g()\n")),
        format!("# c\n{}", many("# comment\n")),
        format!("x = [{}]\n", many("[1, 2, [3]],")),
    ] {
        let (_, largest) = Scratch::default().parse_in(text.as_bytes(), false, size);
        assert!(largest <= 2 * size.limit, "{largest} bytes: {}", &text[..40]);
    }
}

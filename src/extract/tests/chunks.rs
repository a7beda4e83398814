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
        Outcome::Facts(block) => Some(block.into_vec()),
        Outcome::TooDeep | Outcome::TooLarge | Outcome::Unfit(_) => None,
    };
    let whole = facts(Scratch::default().parse(text.as_bytes(), false));
    let mut scratch = Scratch::default();
    for size in sizes() {
        let (outcome, _) = scratch.parse_in(text.as_bytes(), false, size);
        assert_eq!(facts(outcome), whole, "{size:?}: {text}");
    }
    // Out of core as in memory, whenever epochs end.
    let folder = tempfile::tempdir().expect("a folder");
    for epoch in [1, 3, 20, 0] {
        let whole = facts(Scratch::with_epoch(epoch, None).parse(text.as_bytes(), false));
        for size in sizes().take(2) {
            let mut scratch = Scratch::with_epoch(epoch, Some(folder.path()));
            let (outcome, _) = scratch.parse_in(text.as_bytes(), false, size);
            assert_eq!(facts(outcome), whole, "out of core, epoch {epoch}, {size:?}: {text}");
        }
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
        "def f(a=g(1, 2, h(3), *i)):\n    return f(a)\n",
        "if a:\n\tif b:\n\t\tc()\n\n\t# d\n\n\te()\nf()\n",
        "def f(x):\n    global a\n    a = [x, x.y, x.y.z]\n    def g():\n        nonlocal x\n        x = lambda: a\n    return g\n\ndef f(y):\n    return [i for i in y if (j := i)]\n",
        "with (open(a) as b, open(c, 'd') as e):\n    b.read(e)\nfor (a, b) in [(1, 2), (3, 4), (5, 6)]:\n    del (a, b)\nfrom x import (one, two, three, four, five, six)\n",
        "x = [1,\n     2, # c\n     # d\n     3,\n]\r\ny = 2\r\n",
        "f(one, two, *three, four=4, five=[5], **six, seven=7)\nf(one=1, two=2, **three, four=lambda: g(4), **five)\n",
        "x[one, two:three, ::four, *five, six(7), ...]\nx[one, two, three, four, five] = y[one:two, three:four(5), (6)]\n",
        "x = one, two(3), (four), 'five', [six], lambda a, b: c\nx += one, two, three, four, five, six\nreturn one, two, three, four, five(6)\n",
        "x = f'one {two} three {four(5)} six {seven!r:>{eight}} nine\\x41 ten \\N{DASH} {{ }} '\n",
        "x = f'''one\n# two\n\n {three}\n\n four {five(6)}\n''' 'seven eight nine ten' rf\"eleven \\d{{2}} {twelve}\"\n",
        "x = b'one two three \\x00\\x01\\x02 \\\\' b'four five six' \\\n  rb'seven\\''\n",
        "x = ('one' # two\n  # three, four, five\n  f'six {seven}'\n\n  \"eight nine ten eleven\")\n",
        "__all__ = ['a_long_name_that_is_larger_than_a_chunk', 'one' 'two' 'three' 'four' 'five']\n__all__.append('another_long_name_that_is_cut')\n__all__.extend(['one', 'two', 'three', 'four', 'five'], 6)\n",
        "import_module('one.two.three.four.five.six.seven', package='eight')\nclass A(B, C, D, metaclass=E(one, two, three, four, five)): pass\nclass F:\n    def g(self):\n        super(one, two, three, four, five, six, seven).g(eight)\n",
        "if a: b(1); c(2); d(3); e(4); f(5); g(6); h(7)\nelse: a = 1, 2, 3, 4, 5, 6, 7; b = 1; c = 2;\n",
        "def f():\n    a = 1; b = [1, 2, 3, 4, 5, 6, 7, 8]; c = (yield); d = '''one\n    two\n    ''' # c\n    e = 1; f = 2; g = 3; h = 4; i = 5;\n",
        "x = [one, # two, three, four\n     # five, six, seven, eight\n\n     nine(10), # in\n     (1, 2, 3, 4, 5, 6, 7, 8), # in\n]\n",
        "return (one, two, three, four, five, six, seven, eight, nine, ten, eleven), b\nx[(one, two, three, four, five, six), b]\nfor (one, two, three, four, five), b in [one, two, three, four, five], b: pass\nx = {one, two, three, four, five, six}, b\n",
        "x = 1if(a, b, c, d, e, f, g)else(h)\ny = f \\\n (one, two, three, four, five)\nz = [f\n (one, two, three, four, five), ...[one, two, three, four]]\n",
        "try: pass\nexcept* (one, two, three, four, five, six, ImportError): pass\n",
        "match (one, two, three, four, five, six):\n    case (one, two, three, four, five, six): pass\nre.match(one, two, three, four, five)\nmatch(one, two, three, four, five, six)\n",
        "type A[T] = dict[str, T]\ndef f[T: (int, str)](x: T) -> T:\n    return x\n\n\n    # end\n",
    ] {
        assert!(same(text).is_some(), "{text}");
    }
}

#[test]
fn broken_texts_do_not_depend_on_chunks() {
    for text in [
        "def f(:\n    a()\n\nb()\n",
        "async def f@lambda(\"\"\"\n",
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
        "x = [one, two, three, four, , five, six, seven]\ny = [, one, two, three, four, five]\n",
        "x = {one, two, three, four, five: six, seven}\n",
        "[one, two, (three, 4), *five, six, seven] = x\n[one, two, (three, four), *five, [six]] = x\n",
        "for a, [one, two, three, f(four), five, six] in x: b()\n",
        "del one, [two, three, *four, five, six, seven]\ndel one, [two, three, four, five, six]\n",
        "[x for y, [one, two, three, 'four', five, six] in z]\n",
        "x = 'one two three four five six' b'seven'\ny = '\\x4 one two three four five six'\n",
        "x = b'\u{e9} one two three four five six'\ny = '\\N{NO SUCH NAME} one two three four'\n",
        "f(one, two, three=3, four=4, five)\nf(one, two, **three, four, *five, six)\n",
        "x = 'one two three four five six' f'seven' b'eight'\nx = f'one two {three} four five {six'\n",
        "a = 1; b = 2; if c: d; e = 3; f = 4\nif a: if b: c; d; e; f; g; h\na = 1;; b = 2; c = 3; d = 4\n",
        "x = one, two), three, four, five, six\nx = one, [two), three], four, five\nx = (one, two], three, four, five)\n",
        "x = one, two, three := 4, five, six\nx: one, two, three, four, five, six\nx: int = *one, two, three, four, five\n",
        "x = f'one two three {four} \\x4 five six seven eight'\ny = 'one two three \\N{NO SUCH} four'\n",
        "match a:\n    case [one, two, three, four + five, *six, *seven]: b()\n",
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
        format!("x = {{1: f'''{}'''}}\n", many("text {{\n")),
        format!("x = f'{}'\n", many("{a(1)!r:>{b}} \\x41")),
        format!("x = ({})\n", many("'text' # c\n f'{a}'\n")),
        format!("x = '{}'\n", many("\\x41\\N{DIGIT ONE}")),
        format!("f(1, {})\n", many("a, *b, ")),
        format!("f(1, {})\n", many("a=1, **b, ")),
        format!("return {}\n", many("a(1), ")),
        format!("x += {}\n", many("lambda a, b: c, ")),
        format!("x[{}]\n", many("a:b, *c, ")),
        format!("{}\n", many("a = f(1); ")),
        format!("x = {}{}{}\n", "[1, ".repeat(180), many("2, "), "]".repeat(180)),
        format!("if a: b\n{}else: c\n", many("elif f(1): b\n")),
        format!("match a:\n{}", many("  case [1, b] if c: d\n")),
        format!("if a: {}\n", many("a = f(1); ")),
        format!("x = {{'a': lambda a, b: f({})}}\n", many("'text', ")),
        format!("x = f(a,\n{}b)\n", many("# comment\n")),
    ] {
        let (_, largest) = Scratch::default().parse_in(text.as_bytes(), false, size);
        assert!(largest <= 2 * size.limit, "{largest} bytes: {}", &text[..40]);
    }
}

#[test]
fn pieces_that_others_parse_ahead_give_the_same() {
    let body: String =
        (0..3000).map(|n| format!("def f{n}(a, b={n}):\n    return g{n}(a, [b, '{n}'])\n\n\n")).collect();
    let class: String = body.lines().map(|line| format!("    {line}\n")).collect();
    let deep = format!("x = a{}\n", ".b".repeat(20_000));
    let texts = [
        body.clone(),
        format!("class A:\n{class}\n\n{body}"),
        format!("x = [{}]\nf({})\n", "f(1), 'two', ".repeat(9_000), "a, [b, 'c'], ".repeat(9_000)),
        format!("{body}x = (\n"),
        format!("{body}x = (\n{body}"),
        format!("{deep}{body}{deep}"),
    ];
    let size = ChunkSize { measure: Measure::Ast, limit: 16 << 10 };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).stack_size(STACK).build().expect("threads");
    pool.install(|| {
        for text in texts {
            let whole = Scratch::default().parse(text.as_bytes(), false);
            let (chunked, _) = Scratch::default().parse_in(text.as_bytes(), false, size);
            match (whole, chunked) {
                (Outcome::Facts(one), Outcome::Facts(other)) => assert!(one == other, "{}", &text[..40]),
                (Outcome::TooDeep, Outcome::TooDeep) => assert!(text.starts_with("x = a.b")),
                outcomes => panic!("{outcomes:?}"),
            }
        }
    });
}

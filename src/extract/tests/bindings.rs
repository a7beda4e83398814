use super::{bindings, check, uses};
use crate::model::facts::{BindingKind, Facts, RefKind, ScopeKind, col, table};

#[test]
fn values_are_kept_as_access_paths() {
    check(
        "a = b.c\nd = e()\nf = 1\ng = h[0]\ni = j + k\nl = await m\nn = o = p\nq, r = s\n",
        bindings,
        &[
            "module: a = b.c",
            "module: d = e()",
            "module: f = <int>",
            "module: g = h[]",
            "module: i = value",
            "module: l = await m",
            "module: n = p",
            "module: o = p",
            "module: q = value",
            "module: r = value",
        ],
    );
}

#[test]
fn all_bindings_of_a_name_in_order() {
    check(
        "x = 1\nx = 2\nx = ''\nx = 3\nif a:\n    x = 4\nfor x in y: pass\nx += 1\nfor x in z: pass\n",
        bindings,
        &["module: x = <int>, <str>, <int>, <int>?, value"],
    );
    check(
        "try:\n    import a\nexcept ImportError:\n    a = None\nfrom m import *\nx: int\n",
        bindings,
        &["module:  = star", "module: a = import?, <None>?", "module: x = annotation"],
    );
}

#[test]
fn a_walrus_binds_around_its_comprehension() {
    check(
        "def f(y):\n    return [[w := x for x in z] for z in y], w\n",
        bindings,
        &[
            "module: f = definition",
            "function f: w = x",
            "function f: y = parameter",
            "comprehension f: z = value",
            "comprehension f: x = value",
        ],
    );
    check(
        "def f():\n    global w\n    any((w := x) for x in y)\nlambda: [v := x for x in y]\n",
        bindings,
        &[
            "module: f = definition",
            "module: w = x?",
            "function f: w = global",
            "comprehension f: x = value",
            "lambda <lambda1>: v = x",
            "comprehension <lambda1>: x = value",
        ],
    );
}

#[test]
fn global_and_nonlocal_move_bindings() {
    check(
        "n = 0\ndef f():\n    global n\n    n = ''\n    m = 1\n    def g():\n        nonlocal m\n        m = 2.0\n        def h():\n            nonlocal m\n            m = 3j\n",
        bindings,
        &[
            "module: f = definition",
            "module: n = <int>, <str>?",
            "function f: g = definition",
            "function f: m = <int>, <float>?, <complex>?",
            "function f: n = global",
            "function f.g: h = definition",
            "function f.g: m = nonlocal",
            "function f.g.h: m = nonlocal",
        ],
    );
}

#[test]
fn class_bodies_are_seen_from_themselves_alone() {
    check(
        "a = 1\nclass C:\n    a = 2\n    b = a\n    c = [a for _ in a]\n    def m(self): return a\n    d = lambda: a\n",
        uses,
        &[
            "a in class C -> class C",
            "a in comprehension C -> module",
            "a in function C.m -> module",
            "a in lambda C.<lambda1> -> module",
        ],
    );
}

#[test]
fn names_find_the_scope_that_binds_them() {
    check(
        "def f(p):\n    q = p\n    def g():\n        return p, q, r, print\n    return g\nr = 1\n",
        uses,
        &[
            "g in function f -> function f",
            "p in function f -> function f",
            "p in function f.g -> function f",
            "print in function f.g -> nowhere",
            "q in function f.g -> function f",
            "r in function f.g -> module",
        ],
    );
    check(
        "x = 0\ndef f():\n    x = 1\n    def g():\n        global x\n        def h(): return x\n        return x\n",
        uses,
        &["x in function f.g -> module", "x in function f.g.h -> module"],
    );
}

#[test]
fn type_parameters_have_a_scope() {
    check(
        "class C[T: int](Base[T]):\n    def m[U = str](self, a: T, b: U) -> T: return T\ntype A[V] = list[V]\n",
        uses,
        &[
            "Base in type_params -> nowhere",
            "T in function C.m -> type_params",
            "T in type_params -> type_params",
            "T in type_params C -> type_params",
            "U in type_params C -> type_params C",
            "V in type_params -> type_params",
            "int in type_params -> nowhere",
            "list in type_params -> nowhere",
            "str in type_params C -> nowhere",
        ],
    );
}

#[test]
fn attributes_of_self_belong_to_the_instance() {
    check(
        "class A:\n    def f(this, b):\n        this.x = b\n        def g():\n            this.y = 1\n        b.z = 2\n    @classmethod\n    def c(cls): cls.k = 1\n",
        bindings,
        &[
            "module: A = definition",
            "class A: c = definition",
            "class A: f = definition",
            "function A.f: b = parameter",
            "function A.f: g = definition",
            "function A.f: this = parameter",
            "instance A: x = b",
            "instance A: y = <int>",
            "function A.c: cls = parameter",
        ],
    );
}

#[test]
fn everything_that_binds() {
    check(
        "with a as (b, c.d): pass\ntry: pass\nexcept E as e: pass\nmatch m:\n    case [f, *g] if h: pass\n    case {'k': i, **j}: pass\n    case K(l, n=o) as p: pass\ndel q\nimport r.s, t as u\nfrom . import v\n",
        bindings,
        &[
            "module: b = value",
            "module: e = value",
            "module: f = value",
            "module: g = value",
            "module: i = value",
            "module: j = value",
            "module: l = value",
            "module: o = value",
            "module: p = value",
            "module: r = import",
            "module: u = import",
            "module: v = import",
        ],
    );
}

#[test]
fn names_far_within_are_bound_as_near_ones_are() {
    use crate::parse::{Outcome, Scratch};
    let mut text = String::from(
        "z = a2 = 1\nclass C:\n    a3 = b4 = 1\n    def f(a5):\n        global b1\n        b1 = b2 = 1\n        return ",
    );
    let levels = 150;
    for level in 0..levels {
        let (a, b) = (level % 11, level % 10);
        let (c, d) = (level * 5 % 13, level * 7 % 12);
        text += &format!("lambda a{a}: [a{c} + b{d} + z for b{b} in a{d} if ");
    }
    text += &format!("a1{}\n", "]".repeat(levels));
    let Outcome::Facts(block) = Scratch::default().parse(text.as_bytes(), false) else { panic!("no facts") };
    let facts = Facts::open(&block).expect("facts");
    let mut looked_at = 0;
    for row in 0..facts.rows(table::Refs) {
        if facts.get(col::REF_KIND, row) != RefKind::Name as u32 {
            continue;
        }
        let name = facts.get(col::REF_NAME, row);
        let (bytes, hash) = (facts.bytes_of(name), facts.get(col::STR_HASH, name));
        let (mut at, mut inside, mut expected) = (Some(facts.get(col::REF_SCOPE, row)), false, 0);
        while let Some(scope) = at {
            let kind = facts.get(col::SCO_KIND, scope);
            let found = facts.lookup(scope, bytes, hash);
            if !(found.is_empty() || inside && kind == ScopeKind::Class as u32) {
                let here = facts.get(col::BIN_KIND, found.start) & 15;
                let global = here == BindingKind::Global as u32;
                expected = if global { facts.lookup(0, bytes, hash).start } else { found.start } + 1;
                break;
            }
            inside |= kind != ScopeKind::Class as u32;
            at = facts.opt(col::SCO_PARENT, scope);
        }
        assert_eq!(facts.get(col::REF_BASE, row), expected, "{} in row {row}", facts.text(name));
        looked_at += 1;
    }
    assert!(looked_at > 3 * levels);
}

use super::check;
use crate::model::facts::{Facts, call_flag, col, table};
use crate::model::json::access_path;

/// Call sites in the order of the text: where, what, how many positional arguments, names of the others.
fn calls(facts: &Facts<'_>) -> Vec<String> {
    let mut keyword = 0;
    let mut lines = Vec::new();
    for row in 0..facts.rows(table::Calls) {
        let count = facts.get(col::CALL_KEYWORDS, row);
        let names: String =
            (keyword..keyword + count).map(|at| format!(" {}=", facts.str(col::KW_NAME, at))).collect();
        keyword += count;
        let flags = facts.get(col::CALL_FLAGS, row);
        let star = if flags & call_flag::STAR == 0 { "" } else { " *" };
        let double = if flags & call_flag::DOUBLE_STAR == 0 { "" } else { " **" };
        lines.push((
            facts.get(col::CALL_START, row),
            format!(
                "{}: {} {}{names}{star}{double}",
                super::scope(facts, facts.get(col::CALL_SCOPE, row)),
                access_path(facts, facts.get(col::CALL_REF, row)),
                facts.get(col::CALL_POSITIONAL, row),
            ),
        ));
    }
    lines.sort();
    lines.into_iter().map(|line| line.1).collect()
}

#[test]
fn shapes_of_calls() {
    check(
        "f(1, 2)\na.b(x=1, *y, **z)\nf()()\n'x'.join(y)\n[1].sort()\nf()[0].g()\n(a or b)()\n(lambda: 1)()\n(await c)()\nsuper().m()\n",
        calls,
        &[
            "module: f 2",
            "module: a.b 1 x= = * **",
            "module: f 0",
            "module: f() 0",
            "module: <str>.join 1",
            "module: <list>.sort 0",
            "module: f 0",
            "module: f()[].g 0",
            "module: <expression> 0",
            "module: <lambda> 0",
            "module: await c 0",
            "module: super 0",
            "module: super().m 0",
        ],
    );
}

#[test]
fn calls_belong_to_the_scope_that_makes_them() {
    check(
        "@a()\ndef f(x=b(), y: c() = 1) -> d():\n    e()\n@g()\nclass C(h(), k=i()):\n    j()\n    x = lambda p=k(): l()\n[m() for n in o() if p() for q in r()]\nf'{s():{t()}}'\n",
        calls,
        &[
            "module: a 0",
            "module: b 0",
            "module: c 0",
            "module: d 0",
            "function f: e 0",
            "module: g 0",
            "module: h 0",
            "module: i 0",
            "class C: j 0",
            "class C: k 0",
            "lambda C.<lambda1>: l 0",
            "comprehension: m 0",
            "module: o 0",
            "comprehension: p 0",
            "comprehension: r 0",
            "module: s 0",
            "module: t 0",
        ],
    );
}

#[test]
fn nothing_is_counted_twice() {
    check(
        "super(f(), self).m()\n__all__ = g().__all__\n__all__ += [h()]\n__all__.extend(i())\n__slots__ = j()\n@k().l\ndef x(): pass\nn().o += p()\ndel q().r\n",
        calls,
        &[
            "module: <expression>.m 0",
            "module: super 2",
            "module: f 0",
            "module: g 0",
            "module: h 0",
            "module: __all__.extend 1",
            "module: i 0",
            "module: j 0",
            "module: k 0",
            "module: n 0",
            "module: p 0",
            "module: q 0",
        ],
    );
}

#[test]
fn calls_in_every_statement() {
    check(
        "if a(): pass\nelif b(): pass\nwhile c(): pass\nfor d().x in e(): pass\nwith f() as g()[0]: pass\ntry: pass\nexcept h(): pass\nraise i() from j()\nassert k(), l()\nmatch m():\n    case n.o if p(): pass\n    case Q(r=1): pass\nreturn s()\ntype T = t()\n",
        calls,
        &[
            "module: a 0",
            "module: b 0",
            "module: c 0",
            "module: d 0",
            "module: e 0",
            "module: f 0",
            "module: g 0",
            "module: h 0",
            "module: i 0",
            "module: j 0",
            "module: k 0",
            "module: l 0",
            "module: m 0",
            "module: p 0",
            "module: s 0",
            "module: t 0",
        ],
    );
}

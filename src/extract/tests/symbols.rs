use super::{check, symbols};

#[test]
fn definitions_of_every_make() {
    check(
        "class A(B):\n    async def m(self): pass\n    @staticmethod\n    def s(): pass\n    @classmethod\n    def c(cls): yield 1\n\
         def f():\n    def inner(): pass\n    class Local: pass\n    return lambda: lambda: 1\ntype X[T] = list[T]\n",
        symbols,
        &[
            "1 class A",
            "2 method A.m +async",
            "4 method A.s +static",
            "6 method A.c +generator +classmethod",
            "7 function f",
            "8 function f.inner",
            "9 class f.Local",
            "10 lambda f.<lambda1>",
            "10 lambda f.<lambda1>.<lambda1>",
            "11 type_alias X",
        ],
    );
}

#[test]
fn the_line_is_that_of_the_keyword() {
    check(
        "@d\n# why\n@d(\n  1)\nasync def f(): pass\n@d\n\nclass C: pass\n",
        symbols,
        &["5 function f +async", "8 class C"],
    );
}

#[test]
fn importers_see_the_last_of_a_name() {
    check(
        "def f(): pass\ndef f(): pass\nif a:\n    def f(): pass\nclass f: pass\nx = lambda: 1\ny = lambda: 2\n",
        symbols,
        &[
            "1 function f#1",
            "2 function f#2",
            "4 function f#3 +conditional",
            "5 class f",
            "6 variable x",
            "6 lambda <lambda1>",
            "7 variable y",
            "7 lambda <lambda2>",
        ],
    );
    check(
        "class A:\n    def f(self): pass\nclass A:\n    def f(self): pass\n    def f(self): pass\n",
        symbols,
        &["1 class A#1", "2 method A#1.f", "3 class A", "4 method A.f#1", "5 method A.f"],
    );
}

#[test]
fn accessors_have_names_of_their_own() {
    check(
        "class A:\n @property\n def x(self): pass\n @x.setter\n def x(self, v): pass\n @x.deleter\n def x(self): pass\n @cached_property\n def y(self): pass\n",
        symbols,
        &[
            "1 class A",
            "3 method A.x +property",
            "5 method A.x.setter +property +setter",
            "7 method A.x.deleter +property +deleter",
            "9 method A.y +property",
        ],
    );
}

#[test]
fn overloads_and_abstract_methods() {
    check(
        "@overload\ndef f(a: int): ...\n@typing.overload\ndef f(a: str): ...\ndef f(a): pass\nclass A:\n @abstractmethod\n def g(self): ...\n",
        symbols,
        &[
            "2 function f#1 +overload",
            "4 function f#2 +overload",
            "5 function f",
            "6 class A",
            "8 method A.g +abstract",
        ],
    );
}

#[test]
fn fields_and_members() {
    check(
        "@dataclass\nclass P:\n    x: int\n    y: int = 0\n    k = 1\n",
        symbols,
        &[
            "2 class P +dataclass",
            "3 class_variable P.x +field +annotated",
            "4 class_variable P.y +field +annotated",
            "5 class_variable P.k",
        ],
    );
    check(
        "class Color(enum.Enum):\n    RED = 1\n    def f(self): pass\n",
        symbols,
        &["1 class Color +enum", "2 class_variable Color.RED +constant +enum", "3 method Color.f"],
    );
    check(
        "class A:\n    n: int\n    def __init__(self, v):\n        self.v = v\n        self.w: int = 1\n        v.x = 1\n    @staticmethod\n    def s(a):\n        a.y = 1\n",
        symbols,
        &[
            "1 class A",
            "2 class_variable A.n +annotated",
            "3 method A.__init__",
            "4 instance_variable A.v",
            "5 instance_variable A.w",
            "8 method A.s +static",
        ],
    );
}

#[test]
fn variables_of_modules() {
    check(
        "LIMIT = 1\nx, (y, *z) = f()\nfor i in z: pass\nwith a as b: pass\nif (n := 1): pass\n[c := 1 for d in e]\ndef f():\n    global g\n    g = 1\n    local = 2\n",
        symbols,
        &[
            "1 variable LIMIT +constant",
            "2 variable x",
            "2 variable y",
            "2 variable z",
            "3 variable i",
            "4 variable b",
            "5 variable n",
            "6 variable c",
            "7 function f",
            "9 variable g",
        ],
    );
}

#[test]
fn a_yield_belongs_to_the_innermost_function() {
    check(
        "def f():\n    return lambda: (yield)\ndef g():\n    [(yield x) for x in y]\nasync def h():\n    async with a: yield 1\n",
        symbols,
        &[
            "1 function f",
            "2 lambda f.<lambda1> +generator",
            "3 function g +generator",
            "5 function h +async +generator",
        ],
    );
}

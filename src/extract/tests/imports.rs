use super::check;
use crate::model::facts::{Facts, ImportKind, col, file_flag, import_flag, table};

/// Imports: line, form, module, name, bound name, how.
fn imports(facts: &Facts<'_>) -> Vec<String> {
    let show = |row| {
        let kind = ImportKind::from_u32(facts.get(col::IMP_KIND, row)).name();
        let dots = ".".repeat(facts.get(col::IMP_LEVEL, row) as usize);
        let mut line =
            format!("{} {kind} {dots}{}", facts.get(col::IMP_LINE, row), facts.str(col::IMP_MODULE, row));
        for (mark, column) in [(':', col::IMP_NAME), ('=', col::IMP_AS)] {
            let text = facts.str(column, row);
            if !text.is_empty() {
                line += &format!(" {mark}{text}");
            }
        }
        let flags = facts.get(col::IMP_FLAGS, row);
        for (flag, name) in [
            (import_flag::TYPE_CHECKING, "type_checking"),
            (import_flag::LOCAL, "local"),
            (import_flag::OPTIONAL, "optional"),
            (import_flag::LAZY, "lazy"),
        ] {
            if flags & flag != 0 {
                line += &format!(" +{name}");
            }
        }
        line
    };
    (0..facts.rows(table::Imports)).map(show).collect()
}

/// `__all__`: names, added modules, and whether there is more.
fn exports(facts: &Facts<'_>) -> Vec<String> {
    let show = |row| match facts.opt(col::EXP_REF, row) {
        Some(module) => format!("all of {}", crate::model::json::access_path(facts, module)),
        None => facts.str(col::EXP_NAME, row).to_owned(),
    };
    let mut lines: Vec<String> = (0..facts.rows(table::Exports)).map(show).collect();
    let flags = facts.get(col::FILE_FLAGS, 0);
    if flags & file_flag::DYNAMIC_ALL != 0 {
        lines.push("...".to_owned());
    }
    if flags & file_flag::HAS_ALL == 0 {
        lines.push("none".to_owned());
    }
    lines
}

#[test]
fn forms() {
    check(
        "import a.b, c as d\nfrom .e import (f,\n  g as h)\nfrom .. import i\nfrom j import *\nlazy import k\nlazy from l import m\n",
        imports,
        &[
            "1 module a.b",
            "1 module c =d",
            "2 from .e :f =f",
            "2 from .e :g =h",
            "4 from .. :i =i",
            "5 star j",
            "6 module k +lazy",
            "7 from l :m =m +lazy",
        ],
    );
}

#[test]
fn circumstances() {
    check(
        "if TYPE_CHECKING:\n    import a\nelse:\n    import b\nif t.TYPE_CHECKING: import c\ntry:\n    import d\nexcept (ImportError, E):\n    import e\nelse:\n    import f\ntry:\n    import g\nexcept ValueError: pass\ndef h():\n    import i\n    class J:\n        import k\nlambda: __import__('l')\nimportlib.import_module('..m.n', p)\nimport_module(o)\n",
        imports,
        &[
            "2 module a +type_checking",
            "4 module b",
            "5 module c +type_checking",
            "7 module d +optional",
            "9 module e +optional",
            "11 module f",
            "13 module g",
            "16 module i +local",
            "18 module k +local",
            "19 string l",
            "20 string ..m.n",
        ],
    );
}

#[test]
fn all() {
    for (source, expected) in [
        ("x = 1", &["none"][..]),
        ("__all__ = ['a', \"b\"]", &["a", "b"]),
        ("__all__: list[str] = ('a',)", &["a"]),
        ("__all__ = ['a'] + ['b'] + m.__all__", &["a", "b", "all of m"]),
        (
            "__all__ = ['a']\n__all__ += ['b']\n__all__.append('c')\n__all__.extend(('d', *n.m.__all__))",
            &["a", "b", "c", "d", "all of n.m"],
        ),
        ("__all__ = list(('a',))", &["a"]),
        ("__all__ = [x for x in dir()]", &["..."]),
        ("__all__ = ['a', b]", &["a", "..."]),
        ("__all__ = ['a']\n__all__.remove('a')", &["a", "..."]),
        ("def f():\n    __all__ = ['a']\nclass A:\n    __all__ = ['b']", &["none"]),
    ] {
        check(source, exports, expected);
    }
}

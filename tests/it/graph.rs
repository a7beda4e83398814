//! `pydebug graph` in every form.

use crate::project::Project;

#[test]
fn calls() {
    let project = Project::shop();
    insta::assert_snapshot!(project.out(&["graph", "calls"]), @r#"
    {
    "shop": [],
    "shop.broken": [],
    "shop.broken.f": [],
    "shop.cart": [],
    "shop.cart.Cart.__init__": [],
    "shop.cart.Cart.total": ["<builtin>.sum","shop.prices.price"],
    "shop.cart.main": ["<builtin>.print","os.getcwd","shop.cart.Cart.__init__","shop.cart.Cart.total"],
    "shop.prices": [],
    "shop.prices.price": []
    }
    "#);
    insta::assert_snapshot!(project.out(&["graph", "calls", "--no-external", "--candidates"]), @r#"
    {
    "shop": [],
    "shop.broken": [],
    "shop.broken.f": [],
    "shop.cart": [],
    "shop.cart.Cart.__init__": [],
    "shop.cart.Cart.total": ["shop.prices.price"],
    "shop.cart.main": ["shop.cart.Cart.__init__","shop.cart.Cart.total"],
    "shop.prices": [],
    "shop.prices.price": []
    }
    "#);
}

#[test]
fn imports() {
    let project = Project::shop();
    insta::assert_snapshot!(project.out(&["graph", "imports"]), @r#"
    {
    "shop": [],
    "shop.broken": [],
    "shop.cart": ["os","shop.prices"],
    "shop.prices": ["shop.cart"]
    }
    "#);
    insta::assert_snapshot!(project.out(&["graph", "imports", "--no-external", "--format", "mermaid"]), @r#"
    flowchart LR
      n0["shop.broken"]
      n1["shop.cart"]
      n2["shop.prices"]
      n3["shop"]
      n1 --> n2
      n2 --> n1
    "#);
}

#[test]
fn inherits() {
    let project = Project::shop();
    for (format, expected) in [("json", "\"shop.prices.Special\": [\"shop.cart.Cart\"]"), ("csv", "inherits")]
    {
        let text = project.out(&["graph", "inherits", "--format", format]);
        assert!(text.contains(expected), "{text}");
    }
    insta::assert_snapshot!(project.out(&["graph", "inherits", "--format", "dot"]), @r#"
    digraph pydebug {
      rankdir=LR;
      node [shape=box];
      "shop.cart:Cart" [label="shop.cart.Cart", tooltip="shop/cart.py:4"];
      "shop.prices:Special" [label="shop.prices.Special", tooltip="shop/prices.py:3"];
      "shop.prices:Special" -> "shop.cart:Cart";
    }
    "#);
}

#[test]
fn every_format_of_every_kind() {
    let project = Project::shop();
    for kind in ["calls", "imports", "inherits"] {
        for (format, start, end) in [
            ("json", "{\n", "}\n"),
            ("dot", "digraph pydebug {", "}\n"),
            ("mermaid", "flowchart LR", "\n"),
            ("graphml", "<?xml", "</graphml>\n"),
            ("csv", "source,", "\n"),
        ] {
            let text = project.out(&["graph", kind, "--format", format]);
            assert!(text.starts_with(start) && text.ends_with(end), "{kind} {format}: {text}");
            let path = format!("../{kind}.{format}");
            assert_eq!(project.out(&["graph", kind, "--format", format, "-o", &path]), "");
            assert_eq!(std::fs::read_to_string(project.tree().join(path)).expect("a file"), text);
        }
    }
}

/// The files of a package import each other by its name, also where the package itself is what is analyzed.
#[test]
fn the_root_is_a_package() {
    let project = Project::new()
        .file("outer/__init__.py", "")
        .file("outer/pkg/__init__.py", "from . import tools\nfrom outer.pkg.core import run\nrun()\n")
        .file("outer/pkg/core.py", "from outer.pkg import tools\ndef run(): tools.work()\n")
        .file("outer/pkg/tools.py", "def work(): pass\n");
    let folder = project.tree().join("outer/pkg").to_string_lossy().into_owned();
    insta::assert_snapshot!(project.out(&["graph", "calls", "--no-external", "--no-cache", &folder]), @r#"
    {
    "__init__": ["core.run"],
    "core": [],
    "core.run": ["tools.work"],
    "tools": [],
    "tools.work": []
    }
    "#);
}

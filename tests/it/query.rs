//! `pydebug query`: every question, in text and JSON, and what it says to bad names.

use crate::project::Project;

fn answer(project: &Project, question: &[&str]) -> String {
    let mut arguments = vec!["query"];
    arguments.extend(question);
    project.out(&arguments)
}

fn people() -> Project {
    Project::new()
        .file("app/__init__.py", "")
        .file(
            "app/models.py",
            "\
class Base:
    def save(self):
        self.check()

    def check(self):
        pass

class User(Base):
    def __init__(self, name):
        self.name = name

    def check(self):
        return valid(self.name)

def valid(name):
    return bool(name)
",
        )
        .file(
            "app/views.py",
            "\
from app.models import User

def create(name):
    user = User(name)
    user.save()
    return user

def both(name):
    return create(name), name.save()
",
        )
        .file(
            "tests/test_views.py",
            "\
from app import views

def test_create():
    assert views.create('x')

def helper():
    views.both('y')
",
        )
}

#[test]
fn callers_and_callees() {
    let project = people();
    insta::assert_snapshot!(answer(&project, &["callers", "User"]), @r"
    app/views.py:4: app.views.create instantiates app.models.User (resolved, instantiates)
    app/views.py:4: app.views.create calls app.models.User.__init__ (resolved, direct)
    ");
    insta::assert_snapshot!(answer(&project, &["callers", "create", "--depth", "2"]), @r"
    app/views.py:9: app.views.both calls app.views.create (resolved, direct)
    tests/test_views.py:4: tests.test_views.test_create calls app.views.create (resolved, direct)
    tests/test_views.py:7: tests.test_views.helper calls app.views.both (resolved, direct)
    ");
    insta::assert_snapshot!(answer(&project, &["callees", "Base.save"]), @r"
    app/models.py:3: app.models.Base.save calls app.models.Base.check (resolved, direct)
    app/models.py:3: app.models.Base.save calls app.models.User.check (resolved, direct)
    ");
    insta::assert_snapshot!(answer(&project, &["callees", "app/views.py:5"]), @r"
    app/views.py:4: app.views.create instantiates app.models.User (resolved, instantiates)
    app/views.py:4: app.views.create calls app.models.User.__init__ (resolved, direct)
    app/views.py:5: app.views.create calls app.models.Base.save (resolved, direct)
    ");
}

#[test]
fn imports_and_importers() {
    let project = people();
    insta::assert_snapshot!(answer(&project, &["importers", "app.models"]), @r"
    app/views.py:1: app.views imports app.models (resolved, direct, runtime)
    ");
    insta::assert_snapshot!(answer(&project, &["imports", "tests/test_views.py", "--depth", "2"]), @r"
    tests/test_views.py:1: tests.test_views imports app.views (resolved, direct, runtime)
    app/views.py:1: app.views imports app.models (resolved, direct, runtime)
    app/views.py:1: app.views imports app.models.User (resolved, direct, runtime)
    ");
}

#[test]
fn classes_and_methods() {
    let project = people();
    insta::assert_snapshot!(answer(&project, &["hierarchy", "Base"]), @r"
    app/models.py:8: app.models.User inherits app.models.Base (resolved, direct)
    ");
    insta::assert_snapshot!(answer(&project, &["overrides", "User.check"]), @r"
    app/models.py:12: app.models.User.check overrides app.models.Base.check (resolved, direct)
    ");
}

#[test]
fn chains() {
    let project = people();
    insta::assert_snapshot!(answer(&project, &["path", "test_create", "valid"]), @r"
    tests/test_views.py:4: tests.test_views.test_create calls app.views.create (resolved, direct)
    app/views.py:5: app.views.create calls app.models.Base.save (resolved, direct)
    app/models.py:3: app.models.Base.save calls app.models.User.check (resolved, direct)
    app/models.py:13: app.models.User.check calls app.models.valid (resolved, direct)
    ");
    insta::assert_snapshot!(answer(&project, &["path", "tests.test_views", "app.models"]), @r"
    tests/test_views.py:1: tests.test_views imports app.views (resolved, direct, runtime)
    app/views.py:1: app.views imports app.models (resolved, direct, runtime)
    ");
    assert_eq!(answer(&project, &["path", "valid", "test_create"]), "");
}

#[test]
fn what_a_change_reaches() {
    let project = people();
    insta::assert_snapshot!(answer(&project, &["impact", "valid"]), @r"
    app/models.py:13: app.models.User.check calls app.models.valid (resolved, direct)
    app/models.py:3: app.models.Base.save calls app.models.User.check (resolved, direct)
    app/views.py:5: app.views.create calls app.models.Base.save (resolved, direct)
    app/views.py:9: app.views.both calls app.views.create (resolved, direct)
    tests/test_views.py:4: tests.test_views.test_create calls app.views.create (resolved, direct)
    tests/test_views.py:7: tests.test_views.helper calls app.views.both (resolved, direct)
    ");
    insta::assert_snapshot!(answer(&project, &["tests", "valid"]), @r"
    tests/test_views.py:4: tests.test_views.test_create calls app.views.create (resolved, direct)
    ");
    insta::assert_snapshot!(answer(&project, &["tests", "app/models.py", "--depth", "2"]), @r"
    tests/test_views.py:4: tests.test_views.test_create calls app.views.create (resolved, direct)
    ");
}

#[test]
fn names() {
    let project = people();
    insta::assert_snapshot!(answer(&project, &["search", "CHECK"]), @r"
    app/models.py:5: method app.models.Base.check
    app/models.py:12: method app.models.User.check
    ");
    insta::assert_snapshot!(answer(&project, &["show", "User.check"]), @r"
    name        app.models.User.check
    kind        method
    path        app/models.py:12
    parameters  (self)
    lines       2
    complexity  1
    cognitive   0
    callers     1
    callees     1
    ");
}

#[test]
fn names_that_are_none_or_several() {
    let project = people();
    let failed = |question: &[&str]| {
        let ran = project.run(&[&["query"], question].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{question:?}");
        ran.stderr
    };
    insta::assert_snapshot!(failed(&["callers", "vaild"]), @r"
    error: no symbol is named `vaild`; did you mean `app.models.valid`?
    ");
    insta::assert_snapshot!(failed(&["callers", "check"]), @r"
    error: `check` may be `app.models.Base.check`, `app.models.User.check`; name one of them
    ");
    insta::assert_snapshot!(failed(&["hierarchy", "valid"]), @r"
    error: `app.models.valid` is a function, and `hierarchy` is asked of a class; name one
    ");
    insta::assert_snapshot!(failed(&["overrides", "User"]), @r"
    error: `app.models.User` is a class, and `overrides` is asked of a method; name one
    ");
    insta::assert_snapshot!(failed(&["show", "nothing.like.it"]), @r"
    error: no symbol is named `nothing.like.it`; `pydebug query search` finds names that hold a text
    ");
}

#[test]
fn json_and_graphs() {
    let project = people();
    let value: serde_json::Value =
        serde_json::from_str(&answer(&project, &["callers", "Base.save", "--format", "json"])).expect("JSON");
    assert_eq!(value["version"], 1);
    assert_eq!(value["question"], "callers");
    assert_eq!(value["nodes"][0]["name"], "app.models.Base.save");
    let link = &value["links"][0];
    assert_eq!(
        value["nodes"][link["source"].as_u64().expect("a place") as usize]["name"],
        "app.views.create"
    );
    assert_eq!((link["path"].as_str(), link["line"].as_u64()), (Some("app/views.py"), Some(5)));
    assert!(value["notes"][0].as_str().is_some_and(|note| note.contains("1 more site")), "{value}");
    for format in ["dot", "mermaid"] {
        let text = answer(&project, &["callers", "Base.save", "--format", format]);
        assert!(text.contains("app.views.create"), "{text}");
    }
}

//! The things of the stubs, and what names of modules and classes are bound to.

use std::collections::{BTreeMap, BTreeSet};

use ruff_python_ast::{
    BoolOp, CmpOp, Decorator, Expr, ExprCall, Number, Stmt, StmtFunctionDef, StmtIf, UnaryOp,
};

use crate::layout::Kind;
use crate::stubs::Stub;

/// The Python that conditions are decided for.
const VERSION: [u64; 3] = [3, 14, 0];
/// The platform whose definitions go before those of others.
const PLATFORM: &str = "linux";

/// A module, class, function or variable; its number is its place.
pub(crate) struct Thing<'a> {
    pub(crate) kind: Kind,
    pub(crate) name: &'a str,
    /// The module or class around it, 0 for none.
    pub(crate) parent: u32,
    /// Scope that it is defined in; that of a module is its own.
    pub(crate) scope: usize,
    pub(crate) source: Source<'a>,
}

/// What a thing is made of.
pub(crate) enum Source<'a> {
    /// A module's or class's scope.
    Scope(usize),
    /// A function's overloads.
    Function(Vec<&'a StmtFunctionDef>),
    /// A variable's annotation and value.
    Variable(Option<&'a Expr>, Option<&'a Expr>),
}

/// What a name is bound to.
#[derive(Clone, Copy)]
pub(crate) enum Binding<'a> {
    /// What is defined here.
    Thing(u32),
    /// A module, by its scope.
    Module(usize),
    /// A name that is imported from a module.
    From(usize, &'a str),
    /// Another name, or a type.
    Value(&'a Expr),
    /// A type variable.
    Variable(&'a ExprCall),
}

/// Names of a module or class.
pub(crate) struct Scope<'a> {
    /// The module or class.
    pub(crate) thing: u32,
    /// The scope around that of a class.
    pub(crate) outer: Option<usize>,
    /// What names are bound to, and whether others may import them from here.
    pub(crate) names: BTreeMap<&'a str, (Binding<'a>, bool)>,
    /// Modules of which all names are imported.
    pub(crate) stars: Vec<usize>,
    /// `__all__`.
    pub(crate) all: Option<BTreeSet<&'a str>>,
    /// The bases of a class.
    pub(crate) bases: &'a [Expr],
}

/// All scopes, those of modules first and in the order of the stubs.
pub(crate) struct Scopes<'a> {
    pub(crate) stubs: &'a [Stub],
    pub(crate) scopes: Vec<Scope<'a>>,
    pub(crate) things: Vec<Thing<'a>>,
    /// Modules by their dotted names.
    pub(crate) modules: BTreeMap<&'a str, usize>,
}

impl<'a> Scopes<'a> {
    /// Finds all that `stubs` define.
    pub(crate) fn new(stubs: &'a [Stub]) -> Self {
        let none = Thing {
            kind: Kind::Variable,
            name: "",
            parent: 0,
            scope: 0,
            source: Source::Variable(None, None),
        };
        let modules = stubs.iter().enumerate().map(|(at, stub)| (stub.name.as_str(), at)).collect();
        let mut all = Self { stubs, scopes: Vec::new(), things: vec![none], modules };
        for (at, stub) in stubs.iter().enumerate() {
            let (package, name) = stub.name.rsplit_once('.').unwrap_or(("", &stub.name));
            let parent = all.modules.get(package).map_or(0, |&package| all.scopes[package].thing);
            let thing =
                all.add(Thing { kind: Kind::Module, name, parent, scope: at, source: Source::Scope(at) });
            all.scopes.push(Scope::new(thing, None, &[]));
        }
        for (at, stub) in stubs.iter().enumerate() {
            all.read(at, at, &stub.tree.body);
        }
        all
    }

    /// Numbers a thing.
    fn add(&mut self, thing: Thing<'a>) -> u32 {
        self.things.push(thing);
        (self.things.len() - 1) as u32
    }

    /// Binds a name, if nothing was bound to it before.
    fn bind(&mut self, scope: usize, name: &'a str, binding: Binding<'a>, exported: bool) {
        self.scopes[scope].names.entry(name).or_insert((binding, exported));
    }

    /// Reads the statements of a scope of `module`.
    fn read(&mut self, module: usize, scope: usize, body: &'a [Stmt]) {
        for statement in body {
            match statement {
                Stmt::FunctionDef(function) => self.function(scope, function),
                Stmt::ClassDef(class) => {
                    if self.scopes[scope].names.contains_key(class.name.as_str()) {
                        continue;
                    }
                    let (at, parent) = (self.scopes.len(), self.scopes[scope].thing);
                    let source = Source::Scope(at);
                    let thing =
                        self.add(Thing { kind: Kind::Class, name: &class.name, parent, scope, source });
                    let bases = class.arguments.as_ref().map_or(&[][..], |arguments| &arguments.args);
                    self.scopes.push(Scope::new(thing, Some(scope), bases));
                    self.bind(scope, &class.name, Binding::Thing(thing), true);
                    self.read(module, at, &class.body);
                }
                Stmt::AnnAssign(assign) => {
                    let Expr::Name(target) = &*assign.target else { continue };
                    match &assign.value {
                        Some(value) if last_name(&assign.annotation) == "TypeAlias" => {
                            self.bind(scope, &target.id, Binding::Value(value), true);
                        }
                        value => self.variable(scope, &target.id, Some(&assign.annotation), value.as_deref()),
                    }
                }
                Stmt::TypeAlias(alias) => {
                    if let Expr::Name(target) = &*alias.name {
                        self.bind(scope, &target.id, Binding::Value(&alias.value), true);
                    }
                }
                Stmt::Assign(assign) => {
                    for target in &assign.targets {
                        if let Expr::Name(target) = target {
                            self.assign(scope, &target.id, &assign.value);
                        }
                    }
                }
                Stmt::AugAssign(assign) if last_name(&assign.target) == "__all__" => {
                    self.extend_all(scope, &assign.value);
                }
                Stmt::Import(import) => {
                    for alias in &import.names {
                        let name = alias.name.as_str();
                        let (bound, target) = match &alias.asname {
                            Some(other) => (other.as_str(), name),
                            None => {
                                let top = name.split('.').next().unwrap_or(name);
                                (top, top)
                            }
                        };
                        if let Some(&target) = self.modules.get(target) {
                            self.bind(
                                scope,
                                bound,
                                Binding::Module(target),
                                alias.asname.is_some() && bound == name,
                            );
                        }
                    }
                }
                Stmt::ImportFrom(import) => {
                    let Some(from) = self.origin(module, import.level, import.module.as_deref()) else {
                        continue;
                    };
                    for alias in &import.names {
                        match (alias.name.as_str(), alias.asname.as_deref()) {
                            ("*", _) => self.scopes[scope].stars.push(from),
                            ("__all__", _) => {}
                            (name, None) => self.bind(scope, name, Binding::From(from, name), false),
                            (name, Some(other)) => {
                                self.bind(scope, other, Binding::From(from, name), other == name)
                            }
                        }
                    }
                }
                Stmt::If(branches) => {
                    for body in taken(branches) {
                        self.read(module, scope, body);
                    }
                }
                _ => {}
            }
        }
    }

    /// The module that an import from `name`, `level` packages up, names.
    fn origin(&self, module: usize, level: u32, name: Option<&str>) -> Option<usize> {
        let stub = &self.stubs[module];
        let mut package = stub.name.as_str();
        for up in 0..level {
            if up > 0 || !stub.package {
                package = package.rsplit_once('.')?.0;
            }
        }
        let full = match (level, name) {
            (0, name) => name?.to_owned(),
            (_, None) => package.to_owned(),
            (_, Some(name)) => format!("{package}.{name}"),
        };
        self.modules.get(full.as_str()).copied()
    }

    /// Defines a function, or one more overload of it.
    fn function(&mut self, scope: usize, function: &'a StmtFunctionDef) {
        let kind = match self.scopes[scope].outer {
            None => Some(Kind::Function),
            Some(_) => method_kind(&function.name, &function.decorator_list),
        };
        let Some(kind) = kind else { return };
        if let Some(&(bound, _)) = self.scopes[scope].names.get(function.name.as_str()) {
            let overload = function.decorator_list.iter().any(|by| last_name(&by.expression) == "overload");
            if let (true, Binding::Thing(thing)) = (overload, bound)
                && let Source::Function(overloads) = &mut self.things[thing as usize].source
            {
                overloads.push(function);
            }
            return;
        }
        let parent = self.scopes[scope].thing;
        let thing =
            Thing { kind, name: &function.name, parent, scope, source: Source::Function(vec![function]) };
        let thing = self.add(thing);
        self.bind(scope, &function.name, Binding::Thing(thing), true);
    }

    /// Defines a variable.
    fn variable(
        &mut self,
        scope: usize,
        name: &'a str,
        annotation: Option<&'a Expr>,
        value: Option<&'a Expr>,
    ) {
        if name == "__all__" || self.scopes[scope].names.contains_key(name) {
            return;
        }
        let parent = self.scopes[scope].thing;
        let source = Source::Variable(annotation, value);
        let thing = self.add(Thing { kind: Kind::Variable, name, parent, scope, source });
        self.bind(scope, name, Binding::Thing(thing), true);
    }

    /// Binds a name to a value without annotation: another name, a type, or just a value.
    fn assign(&mut self, scope: usize, name: &'a str, value: &'a Expr) {
        match value {
            _ if name == "__all__" => self.extend_all(scope, value),
            _ if name == "__slots__" => {}
            Expr::Name(_) | Expr::Attribute(_) | Expr::Subscript(_) | Expr::BinOp(_) => {
                self.bind(scope, name, Binding::Value(value), true);
            }
            Expr::Call(call) => match last_name(&call.func) {
                "TypeVar" | "ParamSpec" | "TypeVarTuple" => {
                    self.bind(scope, name, Binding::Variable(call), false)
                }
                "NewType" if call.arguments.args.len() == 2 => {
                    self.bind(scope, name, Binding::Value(&call.arguments.args[1]), true);
                }
                // `typing.List` and others of its kind.
                "_Alias" => {
                    let (module, class) = match name {
                        "ChainMap" | "Counter" | "OrderedDict" => ("collections", name),
                        "DefaultDict" => ("collections", "defaultdict"),
                        "Deque" => ("collections", "deque"),
                        "Dict" => ("builtins", "dict"),
                        "FrozenSet" => ("builtins", "frozenset"),
                        "List" => ("builtins", "list"),
                        "Set" => ("builtins", "set"),
                        _ => return,
                    };
                    self.bind(scope, name, Binding::From(self.modules[module], class), true);
                }
                _ => self.variable(scope, name, None, Some(value)),
            },
            _ => self.variable(scope, name, None, Some(value)),
        }
    }

    /// Adds names to `__all__`.
    fn extend_all(&mut self, scope: usize, value: &'a Expr) {
        let names = match value {
            Expr::List(list) => &list.elts[..],
            Expr::Tuple(tuple) => &tuple.elts[..],
            _ => &[],
        };
        let names = names.iter().filter_map(|name| Some(name.as_string_literal_expr()?.value.to_str()));
        self.scopes[scope].all.get_or_insert_default().extend(names);
    }
}

impl<'a> Scope<'a> {
    /// An empty one.
    fn new(thing: u32, outer: Option<usize>, bases: &'a [Expr]) -> Self {
        Self { thing, outer, names: BTreeMap::new(), stars: Vec::new(), all: None, bases }
    }
}

/// What a method is; nothing for the setter of a property.
fn method_kind(name: &str, decorators: &[Decorator]) -> Option<Kind> {
    let mut kind = match name {
        "__new__" | "__init_subclass__" | "__class_getitem__" => Kind::ClassMethod,
        _ => Kind::Method,
    };
    for decorator in decorators {
        match last_name(&decorator.expression) {
            "setter" | "deleter" | "getter" => return None,
            "property"
            | "cached_property"
            | "abstractproperty"
            | "DynamicClassAttribute"
            | "_magic_enum_attr" => {
                kind = Kind::Property;
            }
            "staticmethod" => kind = Kind::StaticMethod,
            "classmethod" => kind = Kind::ClassMethod,
            _ => {}
        }
    }
    Some(kind)
}

/// The last part of a dotted name, also of one that is called.
pub(crate) fn last_name(expression: &Expr) -> &str {
    match expression {
        Expr::Name(name) => &name.id,
        Expr::Attribute(attribute) => &attribute.attr,
        Expr::Call(call) => last_name(&call.func),
        _ => "",
    }
}

/// The branches that may be taken: one if the version decides it, else first the one of [`PLATFORM`].
fn taken(branches: &StmtIf) -> Vec<&[Stmt]> {
    let first = (Some(&*branches.test), &branches.body[..]);
    let others = branches.elif_else_clauses.iter().map(|clause| (clause.test.as_ref(), &clause.body[..]));
    let (mut here, mut elsewhere) = (Vec::new(), Vec::new());
    for (test, body) in std::iter::once(first).chain(others) {
        let always = test.map_or(Some(true), |test| holds(test, None));
        match always {
            Some(false) => continue,
            _ if here.is_empty() && test.is_none_or(|test| holds(test, Some(PLATFORM)) == Some(true)) => {
                here.push(body)
            }
            _ => elsewhere.push(body),
        }
        if always == Some(true) {
            break;
        }
    }
    here.extend(elsewhere);
    here
}

/// Whether a condition holds for [`VERSION`] on a platform, if that can be told.
fn holds(test: &Expr, platform: Option<&str>) -> Option<bool> {
    match test {
        Expr::Name(_) | Expr::Attribute(_) => (last_name(test) == "TYPE_CHECKING").then_some(true),
        Expr::BooleanLiteral(literal) => Some(literal.value),
        Expr::UnaryOp(not) if not.op == UnaryOp::Not => Some(!holds(&not.operand, platform)?),
        Expr::BoolOp(both) => {
            // What decides it if one is so, whatever the others are.
            let decides = both.op == BoolOp::Or;
            let parts: Vec<Option<bool>> = both.values.iter().map(|part| holds(part, platform)).collect();
            if parts.contains(&Some(decides)) {
                Some(decides)
            } else if parts.contains(&None) {
                None
            } else {
                Some(!decides)
            }
        }
        Expr::Compare(compare) => {
            let [right] = &compare.comparators[..] else { return None };
            match (last_name(&compare.left), right) {
                ("version_info", Expr::Tuple(version)) => {
                    let version: Vec<u64> = version.elts.iter().map(number).collect::<Option<_>>()?;
                    match compare.ops[0] {
                        CmpOp::Lt => Some(VERSION[..] < version[..]),
                        CmpOp::LtE => Some(VERSION[..] <= version[..]),
                        CmpOp::Gt => Some(VERSION[..] > version[..]),
                        CmpOp::GtE => Some(VERSION[..] >= version[..]),
                        _ => None,
                    }
                }
                ("platform", Expr::StringLiteral(name)) => match compare.ops[0] {
                    CmpOp::Eq => Some(platform? == name.value.to_str()),
                    CmpOp::NotEq => Some(platform? != name.value.to_str()),
                    _ => None,
                },
                _ => None,
            }
        }
        _ => None,
    }
}

/// The number that an expression is.
fn number(expression: &Expr) -> Option<u64> {
    match expression {
        Expr::NumberLiteral(literal) => match &literal.value {
            Number::Int(int) => int.as_u64(),
            Number::Float(_) | Number::Complex { .. } => None,
        },
        _ => None,
    }
}

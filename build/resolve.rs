//! What names, bases and annotations mean.

use std::collections::BTreeMap;

use ruff_python_ast::{Expr, ExprCall, ExprSubscript, Number, Operator, Parameter, StmtFunctionDef};

use crate::layout::{self, Kind};
use crate::scopes::{Binding, Scopes, Source, Thing, last_name};

/// How many names are followed from one to the next, which may go in circles.
const DEPTH: u32 = 24;
/// Most types that a variable or result has; where there are more, they can't be told.
const MOST_TYPES: usize = 6;
/// The type that can't be told.
const UNKNOWN: u32 = 0;

/// What a name means.
#[derive(Clone, Copy)]
pub(crate) enum Meaning<'a> {
    /// A thing.
    Thing(u32),
    /// A type, written in a scope.
    Type(usize, &'a Expr),
    /// A type variable, made in a scope.
    Variable(usize, &'a ExprCall),
}

/// An overload of a function.
pub(crate) struct Overload<'a> {
    /// Least and most positional arguments, without the receiver.
    pub(crate) arguments: (u32, u32),
    /// What it returns.
    pub(crate) returns: Vec<u32>,
    /// Position and name of parameters that are to be called.
    pub(crate) callables: Vec<(u32, &'a str)>,
}

/// The standard library.
pub(crate) struct Library<'a> {
    pub(crate) all: Scopes<'a>,
    /// Method resolution orders of classes, without themselves.
    pub(crate) orders: BTreeMap<u32, Vec<u32>>,
}

impl<'a> Library<'a> {
    /// Finds what is above each class.
    pub(crate) fn new(all: Scopes<'a>) -> Self {
        let mut library = Self { all, orders: BTreeMap::new() };
        for thing in 1..library.all.things.len() as u32 {
            if library.thing(thing).kind == Kind::Class {
                library.order(thing, DEPTH);
            }
        }
        library
    }

    /// A thing by its number.
    pub(crate) fn thing(&self, thing: u32) -> &Thing<'a> {
        &self.all.things[thing as usize]
    }

    /// Works out the method resolution order of a class.
    fn order(&mut self, class: u32, depth: u32) -> Vec<u32> {
        if let Some(order) = self.orders.get(&class) {
            return order.clone();
        }
        let bases = self.bases(class);
        let mut rows: Vec<Vec<u32>> = Vec::new();
        for &base in bases.iter().filter(|_| depth > 0) {
            let mut row = vec![base];
            row.extend(self.order(base, depth - 1));
            rows.push(row);
        }
        rows.push(bases);
        let order = merge(rows);
        self.orders.insert(class, order.clone());
        order
    }

    /// The bases of a class that are known; `object` where none is written.
    pub(crate) fn bases(&self, class: u32) -> Vec<u32> {
        self.bases_within(class, DEPTH)
    }

    fn bases_within(&self, class: u32, depth: u32) -> Vec<u32> {
        let Source::Scope(own) = self.thing(class).source else { return Vec::new() };
        let scope = self.thing(class).scope;
        let mut bases = Vec::new();
        for base in self.all.scopes[own].bases {
            let found = match self.written(scope, base, depth) {
                Some(Meaning::Thing(found)) if self.thing(found).kind == Kind::Class => Some(found),
                Some(Meaning::Thing(found)) if self.form(found) == Some("TypedDict") => self.builtin("dict"),
                _ => None,
            };
            bases.extend(found.filter(|found| *found != class && !bases.contains(found)));
        }
        if bases.is_empty() {
            bases.extend(self.builtin("object").filter(|&object| object != class));
        }
        bases
    }

    /// What a base is, whatever its type arguments are.
    fn written(&self, scope: usize, base: &'a Expr, depth: u32) -> Option<Meaning<'a>> {
        let depth = depth.checked_sub(1)?;
        match base {
            Expr::Subscript(subscript) => self.written(scope, &subscript.value, depth),
            _ => match self.meaning(scope, base, true, depth)? {
                Meaning::Type(scope, other) => self.written(scope, other, depth),
                meaning => Some(meaning),
            },
        }
    }

    /// A member of the module `builtins`.
    pub(crate) fn builtin(&self, name: &str) -> Option<u32> {
        let module = self.all.modules["builtins"];
        match self.all.scopes[module].names.get(name)?.0 {
            Binding::Thing(thing) => Some(thing),
            _ => None,
        }
    }

    /// The type of instances of a class of the module `builtins`.
    fn builtin_instance(&self, name: &str) -> u32 {
        self.builtin(name).map_or(UNKNOWN, instance)
    }

    /// The name of what `typing` defines for annotations only, such as `Optional`.
    fn form(&self, thing: u32) -> Option<&'a str> {
        let thing = self.thing(thing);
        let module = self.all.stubs.get(thing.scope)?.name.as_str();
        let is_form = thing.kind == Kind::Variable || thing.name == "Any";
        (is_form && matches!(module, "typing" | "typing_extensions")).then_some(thing.name)
    }

    /// What a dotted name means in a scope; as a type, methods and attributes of classes are not seen.
    fn meaning(&self, scope: usize, name: &'a Expr, as_type: bool, depth: u32) -> Option<Meaning<'a>> {
        let depth = depth.checked_sub(1)?;
        match name {
            Expr::Name(name) => self.name(scope, &name.id, as_type, depth),
            Expr::Attribute(attribute) => {
                let Meaning::Thing(of) = self.meaning(scope, &attribute.value, as_type, depth)? else {
                    return None;
                };
                let class = match (self.thing(of).kind, &self.thing(of).source) {
                    (Kind::Module, &Source::Scope(module)) => {
                        return self.member(module, &attribute.attr, depth);
                    }
                    (Kind::Class, _) => of,
                    (Kind::Variable, &Source::Variable(Some(annotation), _)) => {
                        let mut types = Vec::new();
                        self.types(self.thing(of).scope, annotation, None, depth, &mut types);
                        let &[instance] = &types[..] else { return None };
                        (instance & ((1 << layout::TAG_BITS) - 1) == layout::INSTANCE)
                            .then_some(instance >> layout::TAG_BITS)?
                    }
                    _ => return None,
                };
                self.find(class, &attribute.attr, depth)
            }
            _ => None,
        }
    }

    /// What a name means in a scope and those around it.
    fn name(&self, scope: usize, name: &'a str, as_type: bool, depth: u32) -> Option<Meaning<'a>> {
        let mut at = Some(scope);
        while let Some(now) = at {
            at = self.all.scopes[now].outer;
            match self.own(now, name, depth) {
                Some(Meaning::Thing(thing))
                    if as_type
                        && at.is_some()
                        && !matches!(self.thing(thing).kind, Kind::Class | Kind::Module) => {}
                Some(meaning) => return Some(meaning),
                None => {}
            }
        }
        self.own(self.all.modules["builtins"], name, depth)
    }

    /// What a name is bound to in just this scope.
    pub(crate) fn own(&self, scope: usize, name: &'a str, depth: u32) -> Option<Meaning<'a>> {
        let depth = depth.checked_sub(1)?;
        let names = &self.all.scopes[scope];
        match names.names.get(name).map(|bound| bound.0) {
            Some(Binding::Thing(thing)) => Some(Meaning::Thing(thing)),
            Some(Binding::Module(module)) => Some(Meaning::Thing(self.all.scopes[module].thing)),
            Some(Binding::From(module, other)) if module == scope && other == name => {
                self.submodule(module, name)
            }
            Some(Binding::From(module, other)) => self.member(module, other, depth),
            // What is bound to its own name is the one further out.
            Some(Binding::Value(Expr::Name(value))) if value.id == *name => {
                self.name(names.outer?, name, false, depth)
            }
            Some(Binding::Value(value @ (Expr::Name(_) | Expr::Attribute(_)))) => {
                self.meaning(scope, value, false, depth)
            }
            Some(Binding::Value(value)) => Some(Meaning::Type(scope, value)),
            Some(Binding::Variable(call)) => Some(Meaning::Variable(scope, call)),
            None => names
                .stars
                .iter()
                .filter(|&&module| self.exports(module, name, depth))
                .find_map(|&module| self.own(module, name, depth)),
        }
    }

    /// What a module's member is; modules in a package are members.
    fn member(&self, module: usize, name: &'a str, depth: u32) -> Option<Meaning<'a>> {
        self.own(module, name, depth).or_else(|| self.submodule(module, name))
    }

    /// A module in a package.
    fn submodule(&self, package: usize, name: &str) -> Option<Meaning<'a>> {
        let full = format!("{}.{name}", self.all.stubs[package].name);
        let module = *self.all.modules.get(full.as_str())?;
        Some(Meaning::Thing(self.all.scopes[module].thing))
    }

    /// Whether an import of all names from `module` imports `name`.
    fn exports(&self, module: usize, name: &str, depth: u32) -> bool {
        let scope = &self.all.scopes[module];
        if let Some(all) = &scope.all {
            return all.contains(name);
        }
        !name.starts_with('_')
            && match scope.names.get(name) {
                Some((_, exported)) => *exported,
                None => depth > 0 && scope.stars.iter().any(|&other| self.exports(other, name, depth - 1)),
            }
    }

    /// Names that others may import from a module, and those that all imports give.
    pub(crate) fn exported(&self, module: usize, depth: u32) -> Vec<&'a str> {
        let scope = &self.all.scopes[module];
        let mut names: Vec<&'a str> = scope
            .names
            .iter()
            .filter(|(name, (_, exported))| {
                *exported || scope.all.as_ref().is_some_and(|all| all.contains(*name))
            })
            .map(|(name, _)| *name)
            .collect();
        for &other in scope.stars.iter().filter(|_| depth > 0) {
            names.extend(
                self.exported(other, depth - 1).into_iter().filter(|name| self.exports(other, name, DEPTH)),
            );
        }
        names
    }

    /// What a class or the classes above it have by this name.
    fn find(&self, class: u32, name: &'a str, depth: u32) -> Option<Meaning<'a>> {
        let depth = depth.checked_sub(1)?;
        let Source::Scope(scope) = self.thing(class).source else { return None };
        self.own(scope, name, depth).or_else(|| {
            self.bases_within(class, depth).into_iter().find_map(|base| self.find(base, name, depth))
        })
    }

    /// The thing that a name of this scope is bound to.
    pub(crate) fn bound(&self, scope: usize, name: &'a str) -> Option<u32> {
        match self.own(scope, name, DEPTH)? {
            Meaning::Thing(thing) => Some(thing),
            Meaning::Type(..) | Meaning::Variable(..) => None,
        }
    }

    /// Types of a variable.
    pub(crate) fn variable(&self, thing: &Thing<'a>) -> Vec<u32> {
        let Source::Variable(annotation, value) = thing.source else { return Vec::new() };
        let mut types = Vec::new();
        match (annotation, value) {
            (Some(annotation), value) if value.is_none() || last_name(annotation) != "Final" => {
                self.types(thing.scope, annotation, None, DEPTH, &mut types);
            }
            (_, Some(value)) => types.push(self.value(thing, value)),
            _ => {}
        }
        tidy(types)
    }

    /// Type of what a variable is bound to.
    fn value(&self, variable: &Thing<'a>, value: &'a Expr) -> u32 {
        let scope = &self.all.scopes[variable.scope];
        let above = self.orders.get(&scope.thing);
        let in_enum = above.is_some_and(|above| above.iter().any(|&class| self.thing(class).name == "Enum"));
        if in_enum && !variable.name.starts_with('_') {
            return instance(scope.thing);
        }
        match value {
            Expr::NoneLiteral(_) => layout::NONE,
            Expr::Call(call) => match self.meaning(variable.scope, &call.func, false, DEPTH) {
                Some(Meaning::Thing(class)) if self.thing(class).kind == Kind::Class => instance(class),
                _ => UNKNOWN,
            },
            _ => self.literal(value),
        }
    }

    /// Type of a literal.
    fn literal(&self, value: &Expr) -> u32 {
        let class = match value {
            Expr::NoneLiteral(_) => return layout::NONE,
            Expr::StringLiteral(_) | Expr::FString(_) => "str",
            Expr::BytesLiteral(_) => "bytes",
            Expr::BooleanLiteral(_) => "bool",
            Expr::NumberLiteral(number) => match number.value {
                Number::Int(_) => "int",
                Number::Float(_) => "float",
                Number::Complex { .. } => "complex",
            },
            Expr::UnaryOp(sign) => return self.literal(&sign.operand),
            Expr::Tuple(_) => "tuple",
            Expr::List(_) => "list",
            Expr::Dict(_) => "dict",
            Expr::Set(_) => "set",
            _ => return UNKNOWN,
        };
        self.builtin_instance(class)
    }

    /// What a function or property returns, and how it is called.
    pub(crate) fn overloads(&self, thing: &Thing<'a>) -> Vec<Overload<'a>> {
        let Source::Function(overloads) = &thing.source else { return Vec::new() };
        overloads.iter().map(|&overload| self.overload(thing, overload)).collect()
    }

    fn overload(&self, thing: &Thing<'a>, function: &'a StmtFunctionDef) -> Overload<'a> {
        let parameters = &*function.parameters;
        let mut positional: Vec<_> = parameters.posonlyargs.iter().chain(&parameters.args).collect();
        let bound =
            matches!(thing.kind, Kind::Method | Kind::ClassMethod | Kind::Property) && !positional.is_empty();
        let receiver = bound.then(|| positional.remove(0));
        let own = receiver.and_then(|receiver| self.own_variable(thing.scope, &receiver.parameter));

        let mut returns = Vec::new();
        match &function.returns {
            Some(returned) => self.types(thing.scope, returned, own, DEPTH, &mut returns),
            None => returns.push(UNKNOWN),
        }
        let called = |parameter: &'a Parameter| {
            parameter
                .annotation
                .as_deref()
                .is_some_and(|written| self.is_callable(thing.scope, written, DEPTH))
        };
        let mut callables = Vec::new();
        for (at, parameter) in positional.iter().enumerate() {
            if called(&parameter.parameter) {
                callables.push((at as u32, parameter.parameter.name.as_str()));
            }
        }
        if let Some(rest) = parameters.vararg.as_deref().filter(|&rest| called(rest)) {
            callables.push((positional.len() as u32, &rest.name));
        }
        for parameter in parameters.kwonlyargs.iter().filter(|&parameter| called(&parameter.parameter)) {
            callables.push((layout::MANY, &parameter.parameter.name));
        }
        let least = positional.iter().filter(|parameter| parameter.default.is_none()).count() as u32;
        let most = if parameters.vararg.is_some() { layout::MANY } else { positional.len() as u32 };
        Overload { arguments: (least, most), returns: tidy(returns), callables }
    }

    /// The type variable that stands for the receiver's class.
    fn own_variable(&self, scope: usize, receiver: &'a Parameter) -> Option<&'a ExprCall> {
        let annotation = match receiver.annotation.as_deref()? {
            Expr::Subscript(class) if matches!(last_name(&class.value), "type" | "Type") => &class.slice,
            annotation => annotation,
        };
        match self.meaning(scope, annotation, true, DEPTH)? {
            Meaning::Variable(_, variable) => Some(variable),
            Meaning::Thing(_) | Meaning::Type(..) => None,
        }
    }

    /// Adds the types that an annotation stands for, where `own` is the type variable of the receiver.
    fn types(
        &self,
        scope: usize,
        annotation: &'a Expr,
        own: Option<&ExprCall>,
        depth: u32,
        to: &mut Vec<u32>,
    ) {
        let Some(depth) = depth.checked_sub(1) else { return to.push(UNKNOWN) };
        match annotation {
            Expr::NoneLiteral(_) => to.push(layout::NONE),
            Expr::Name(_) | Expr::Attribute(_) => match self.meaning(scope, annotation, true, depth) {
                Some(Meaning::Thing(thing)) => to.extend(self.bare(thing)),
                Some(Meaning::Type(scope, other)) => self.types(scope, other, None, depth, to),
                Some(Meaning::Variable(_, variable))
                    if own.is_some_and(|own| std::ptr::eq(own, variable)) =>
                {
                    to.push(layout::OWN);
                }
                Some(Meaning::Variable(..)) | None => to.push(UNKNOWN),
            },
            Expr::BinOp(union) if union.op == Operator::BitOr => {
                self.types(scope, &union.left, own, depth, to);
                self.types(scope, &union.right, own, depth, to);
            }
            Expr::Subscript(subscript) => self.generic(scope, subscript, own, depth, to),
            _ => to.push(UNKNOWN),
        }
    }

    /// The type that a thing stands for where it is written in an annotation without arguments.
    fn bare(&self, thing: u32) -> Option<u32> {
        let of = |name| Some(self.builtin_instance(name));
        match (self.form(thing), self.thing(thing).kind) {
            (Some("Self"), _) => Some(layout::OWN),
            (Some("LiteralString"), _) => of("str"),
            (Some("Tuple"), _) => of("tuple"),
            (Some("Type"), _) => of("type"),
            (Some("NoReturn" | "Never"), _) => None,
            (None, Kind::Class) if self.thing(thing).name == "NoneType" => Some(layout::NONE),
            (None, Kind::Class) => Some(instance(thing)),
            _ => Some(UNKNOWN),
        }
    }

    /// Adds the types of an annotation with arguments.
    fn generic(
        &self,
        scope: usize,
        subscript: &'a ExprSubscript,
        own: Option<&ExprCall>,
        depth: u32,
        to: &mut Vec<u32>,
    ) {
        let thing = match self.meaning(scope, &subscript.value, true, depth) {
            Some(Meaning::Thing(thing)) => thing,
            Some(Meaning::Type(scope, other)) => return self.types(scope, other, None, depth, to),
            Some(Meaning::Variable(..)) | None => return to.push(UNKNOWN),
        };
        let arguments = match &*subscript.slice {
            Expr::Tuple(tuple) => &tuple.elts[..],
            one => std::slice::from_ref(one),
        };
        let form = self.form(thing);
        match form {
            Some("Optional" | "Union") => {
                for argument in arguments {
                    self.types(scope, argument, own, depth, to);
                }
                if form == Some("Optional") {
                    to.push(layout::NONE);
                }
            }
            Some("Annotated" | "ClassVar" | "Final" | "NotRequired" | "ReadOnly" | "Required") => {
                self.types(scope, &arguments[0], own, depth, to);
            }
            Some("Literal") => {
                for argument in arguments {
                    to.push(match argument {
                        // A member of an enumeration.
                        Expr::Attribute(member) => match self.meaning(scope, &member.value, true, depth) {
                            Some(Meaning::Thing(class)) if self.thing(class).kind == Kind::Class => {
                                instance(class)
                            }
                            _ => UNKNOWN,
                        },
                        literal => self.literal(literal),
                    });
                }
            }
            Some("TypeGuard" | "TypeIs") => to.push(self.builtin_instance("bool")),
            Some("Tuple") => to.extend(self.bare(thing)),
            _ if form == Some("Type") || Some(thing) == self.builtin("type") => {
                let mut inner = Vec::new();
                self.types(scope, &arguments[0], own, depth, &mut inner);
                to.extend(inner.into_iter().map(|inner| match inner & ((1 << layout::TAG_BITS) - 1) {
                    layout::OWN => layout::OWN_CLASS,
                    layout::INSTANCE => inner - layout::INSTANCE + layout::CLASS,
                    _ => UNKNOWN,
                }));
            }
            _ => to.extend(self.bare(thing)),
        }
    }

    /// Whether what an annotation stands for may be a function that is to be called.
    fn is_callable(&self, scope: usize, annotation: &'a Expr, depth: u32) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        match annotation {
            Expr::Name(_) | Expr::Attribute(_) => match self.meaning(scope, annotation, true, depth) {
                Some(Meaning::Thing(thing)) => {
                    self.form(thing) == Some("Callable") || self.is_call_protocol(thing)
                }
                Some(Meaning::Type(scope, other)) => self.is_callable(scope, other, depth),
                Some(Meaning::Variable(scope, call)) => {
                    let bound = call.arguments.find_keyword("bound");
                    bound.is_some_and(|bound| self.is_callable(scope, &bound.value, depth))
                }
                None => false,
            },
            Expr::BinOp(union) => {
                self.is_callable(scope, &union.left, depth) || self.is_callable(scope, &union.right, depth)
            }
            Expr::Subscript(subscript) => {
                let form = match self.meaning(scope, &subscript.value, true, depth) {
                    Some(Meaning::Thing(thing)) => self.form(thing),
                    _ => None,
                };
                match (form, &*subscript.slice) {
                    (Some("Union"), Expr::Tuple(parts)) => {
                        parts.elts.iter().any(|part| self.is_callable(scope, part, depth))
                    }
                    (Some("Annotated"), Expr::Tuple(parts)) => self.is_callable(scope, &parts.elts[0], depth),
                    (Some("Optional" | "Union"), one) => self.is_callable(scope, one, depth),
                    _ => self.is_callable(scope, &subscript.value, depth),
                }
            }
            _ => false,
        }
    }

    /// Whether a class is a protocol of something to call.
    fn is_call_protocol(&self, class: u32) -> bool {
        let Source::Scope(scope) = self.thing(class).source else { return false };
        let is_protocol = self.all.scopes[scope].bases.iter().any(|base| match base {
            Expr::Subscript(base) => last_name(&base.value) == "Protocol",
            base => last_name(base) == "Protocol",
        });
        is_protocol && self.find(class, "__call__", DEPTH).is_some()
    }
}

/// Merges method resolution orders to one (C3); where that fails, what comes first goes first.
fn merge(mut rows: Vec<Vec<u32>>) -> Vec<u32> {
    let mut order = Vec::new();
    loop {
        rows.retain(|row| !row.is_empty());
        let Some(first) = rows.first() else { return order };
        let next = rows
            .iter()
            .map(|row| row[0])
            .find(|head| rows.iter().all(|row| !row[1..].contains(head)))
            .unwrap_or(first[0]);
        order.push(next);
        rows.iter_mut().for_each(|row| row.retain(|&class| class != next));
    }
}

/// The type of an instance of a class.
fn instance(class: u32) -> u32 {
    class << layout::TAG_BITS | layout::INSTANCE
}

/// Each type once, in their order; just the unknown one if there are too many.
fn tidy(types: Vec<u32>) -> Vec<u32> {
    let mut once = Vec::new();
    for kind in types {
        if !once.contains(&kind) {
            once.push(kind);
        }
    }
    if once.len() > MOST_TYPES { vec![UNKNOWN] } else { once }
}

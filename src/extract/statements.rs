//! Statements: definitions, bindings, imports, control structures.

use super::builder::{Pass, Value};
use super::expressions::is_path;
use super::measures::{Body, Frame};
use crate::model::facts::{
    BindingKind, ImportKind, ParamKind, ScopeKind, SymbolKind, col, file_flag, import_flag, ref_flag,
    symbol_flag,
};
use ruff_python_ast::{self as ast, Expr, Pattern, Stmt};
use ruff_text_size::{Ranged, TextRange};

/// Of each decorator: its ref, whether it is called, its line.
type DecoratorRows = smallvec::SmallVec<[(u32, bool, u32); 4]>;

impl Pass<'_> {
    /// Visits statements in order.
    pub(super) fn statements(&mut self, body: &[Stmt]) {
        for statement in body {
            self.stmt(statement);
        }
    }

    /// Visits the body of a branch, a loop or a `try`.
    fn branch(&mut self, body: &[Stmt]) {
        self.x.conditional += 1;
        self.block(body);
        self.x.conditional -= 1;
    }

    fn stmt(&mut self, statement: &Stmt) {
        self.pause();
        match statement {
            Stmt::FunctionDef(function) => self.function(function),
            Stmt::ClassDef(class) => self.class(class),
            Stmt::Expr(node) => {
                self.read(&node.value);
            }
            Stmt::Return(node) => self.read_opt(node.value.as_deref()),
            Stmt::Assign(node) => self.assign(node),
            Stmt::AugAssign(node) => {
                self.x.operator(node.op as u32, 1);
                self.operand(&node.target);
                self.operand(&node.value);
                if node.target.is_name_expr() {
                    self.read(&node.target);
                }
                self.bind_target(&node.target, 0);
                self.read(&node.value);
                if self.is_module_all(&node.target) {
                    self.exports(&node.value);
                }
            }
            Stmt::AnnAssign(node) => self.ann_assign(node),
            Stmt::TypeAlias(node) => self.type_alias(node),
            Stmt::Delete(node) => {
                for target in &node.targets {
                    self.check_target(target, true);
                    if let Value::Ref(row) = self.expr(target) {
                        self.x.flag(row, ref_flag::DELETED);
                    }
                }
            }
            Stmt::If(node) => self.if_(node),
            Stmt::For(node) => {
                self.x.decide(1 + u32::from(!node.orelse.is_empty()));
                self.x.think(1, true);
                self.bind_target(&node.target, 0);
                self.read(&node.iter);
                self.loop_body(&node.body, &node.orelse);
            }
            Stmt::While(node) => {
                self.x.decide(1 + u32::from(!node.orelse.is_empty()));
                self.x.think(1, true);
                self.read(&node.test);
                self.loop_body(&node.body, &node.orelse);
            }
            Stmt::With(node) => {
                for item in &node.items {
                    self.read(&item.context_expr);
                    if let Some(target) = &item.optional_vars {
                        self.bind_target(target, 0);
                    }
                }
                self.x.indent();
                self.block(&node.body);
                self.x.dedent();
            }
            Stmt::Try(node) => self.try_(node),
            Stmt::Match(node) => self.match_(node),
            Stmt::Raise(node) => {
                if let Some(exception) = &node.exc {
                    let value = self.read(exception);
                    self.exception(value, self.at(exception.start()), 0);
                }
                self.read_opt(node.cause.as_deref());
            }
            Stmt::Assert(node) => {
                self.x.decide(1);
                // What it asserts does not count further.
                let complexity = self.x.frames.last().map(|frame| frame.complexity);
                self.read(&node.test);
                self.read_opt(node.msg.as_deref());
                if let (Some(frame), Some(complexity)) = (self.x.frames.last_mut(), complexity) {
                    frame.complexity = complexity;
                }
            }
            Stmt::Import(node) => {
                for alias in &node.names {
                    self.import(alias, node.range, node.is_lazy);
                }
            }
            Stmt::ImportFrom(node) => self.import_from(node),
            Stmt::Global(node) => self.declare(&node.names, BindingKind::Global),
            Stmt::Nonlocal(node) => self.declare(&node.names, BindingKind::Nonlocal),
            Stmt::Pass(_) | Stmt::Break(_) | Stmt::Continue(_) | Stmt::IpyEscapeCommand(_) => {}
        }
    }

    fn declare(&mut self, names: &[ast::Identifier], kind: BindingKind) {
        for name in names {
            let id = self.x.names.add(&name.id);
            let line = self.line(name.range.start());
            self.bind(self.x.scope, id, kind, 0, name.range, line);
        }
    }

    fn is_module_all(&self, target: &Expr) -> bool {
        self.x.scope == 0 && matches!(target, Expr::Name(name) if name.id.as_str() == "__all__")
    }

    fn assign(&mut self, node: &ast::StmtAssign) {
        let value = self.read(&node.value);
        let bound = self.x.value_ref(value, self.at(node.value.start()));
        for target in &node.targets {
            self.bind_target(target, bound);
            if self.is_module_all(target) {
                self.exports(&node.value);
            }
            self.slots(target, &node.value);
        }
    }

    fn ann_assign(&mut self, node: &ast::StmtAnnAssign) {
        // In the order of the text: target, annotation, value.
        self.annotation(&node.annotation);
        let mut bound = 0;
        if let Some(value) = &node.value {
            let read = self.read(value);
            bound = self.x.value_ref(read, self.at(value.start()));
        }
        if let Expr::Name(name) = &*node.target {
            let id = self.x.names.add(&name.id);
            let line = self.line(name.range.start());
            self.bind(self.x.scope, id, BindingKind::Annotation, 0, name.range, line);
        }
        if node.value.is_some() || !node.target.is_name_expr() {
            self.bind_target(&node.target, bound);
        }
        if let Some(value) = &node.value {
            if self.is_module_all(&node.target) {
                self.exports(value);
            }
            self.slots(&node.target, value);
        }
    }

    fn type_alias(&mut self, node: &ast::StmtTypeAlias) {
        let Expr::Name(name) = &*node.name else { return };
        let id = self.x.names.add(&name.id);
        let (start, end) = (self.at(node.range.start()), self.end(node.range.end()));
        let line = self.x.lines.line(start);
        let sym = self.x.add_symbol(
            SymbolKind::TypeAlias,
            self.conditional_flag(),
            id,
            self.x.symbol + 1,
            start,
            end,
            line,
        );
        self.bind(self.x.scope, id, BindingKind::Definition, sym, node.range, line);
        let scope = self.x.scope;
        self.type_params(sym, node.type_params.as_deref());
        self.annotation(&node.value);
        self.x.scope = scope;
    }

    fn conditional_flag(&self) -> u32 {
        if self.x.conditional > 0 { symbol_flag::CONDITIONAL } else { 0 }
    }

    /// Opens the scope of type parameters, where there are any; the caller restores the scope.
    fn type_params(&mut self, sym: u32, params: Option<&ast::TypeParams>) {
        let Some(params) = params else { return };
        self.x.open_scope(ScopeKind::TypeParams, self.x.symbol);
        for param in &params.type_params {
            let (name, bound, default) = match param {
                ast::TypeParam::TypeVar(param) => {
                    (&param.name, param.bound.as_deref(), param.default.as_deref())
                }
                ast::TypeParam::TypeVarTuple(param) => (&param.name, None, param.default.as_deref()),
                ast::TypeParam::ParamSpec(param) => (&param.name, None, param.default.as_deref()),
            };
            self.bind_parameter(sym, name, ParamKind::Type, bound, default);
            self.read_opt(bound);
            self.read_opt(default);
        }
    }

    fn bind_parameter(
        &mut self,
        sym: u32,
        name: &ast::Identifier,
        kind: ParamKind,
        annotation: Option<&Expr>,
        default: Option<&Expr>,
    ) {
        let id = self.x.names.add(&name.id);
        let annotation = annotation.map_or(0, |node| self.source(node, 1000));
        let default = default.map_or(0, |node| self.source(node, 80));
        let row = self.x.out.len(col::PAR_SYM) as u32;
        for (column, value) in [
            (col::PAR_SYM, sym),
            (col::PAR_NAME, id),
            (col::PAR_KIND, kind as u32),
            (col::PAR_ANNOTATION, annotation),
            (col::PAR_DEFAULT, default),
        ] {
            self.x.out.push(column, value);
        }
        self.bind(self.x.scope, id, BindingKind::Parameter, row, name.range, 0);
    }

    /// Binds the parameters of the function whose scope is current.
    pub(super) fn bind_parameters(&mut self, sym: u32, parameters: &ast::Parameters) {
        for (params, kind) in
            [(&parameters.posonlyargs, ParamKind::PositionalOnly), (&parameters.args, ParamKind::Positional)]
        {
            for param in params {
                self.bind_parameter(
                    sym,
                    &param.parameter.name,
                    kind,
                    param.parameter.annotation.as_deref(),
                    param.default.as_deref(),
                );
            }
        }
        if let Some(param) = &parameters.vararg {
            self.bind_parameter(sym, &param.name, ParamKind::Star, param.annotation.as_deref(), None);
        }
        for param in &parameters.kwonlyargs {
            let inner = &param.parameter;
            self.bind_parameter(
                sym,
                &inner.name,
                ParamKind::KeywordOnly,
                inner.annotation.as_deref(),
                param.default.as_deref(),
            );
        }
        if let Some(param) = &parameters.kwarg {
            self.bind_parameter(sym, &param.name, ParamKind::DoubleStar, param.annotation.as_deref(), None);
        }
    }

    /// Visits defaults and annotations, which belong to the scope around the function.
    pub(super) fn defaults(&mut self, parameters: &ast::Parameters) {
        for param in parameters.iter() {
            if let Some(annotation) = param.annotation() {
                self.annotation(annotation);
            }
            self.read_opt(param.default());
        }
    }

    /// Visits decorators; gives their symbol flags. Rows come once the symbol is known.
    fn decorators(&mut self, decorators: &[ast::Decorator]) -> (u32, DecoratorRows) {
        let mut flags = 0;
        let mut rows = DecoratorRows::new();
        for decorator in decorators {
            let start = self.at(decorator.expression.start());
            let value = self.expr(&decorator.expression);
            let (row, called) = match value {
                Value::Call(row) => (row, true),
                value => (self.x.ref_of(value, start), false),
            };
            self.x.flag(row, ref_flag::DECORATOR);
            let target = match &decorator.expression {
                Expr::Call(call) => &call.func,
                other => other,
            };
            flags |= match target {
                Expr::Name(name) => decorator_flag(&name.id),
                Expr::Attribute(attribute) => decorator_flag(&attribute.attr.id),
                _ => 0,
            };
            rows.push((row, called, self.x.lines.line(start)));
        }
        (flags, rows)
    }

    fn decorator_rows(&mut self, sym: u32, rows: &[(u32, bool, u32)]) {
        for &(row, called, line) in rows {
            self.x.out.push(col::DEC_SYM, sym);
            self.x.out.push(col::DEC_REF, row);
            self.x.out.push(col::DEC_CALLED, u32::from(called));
            self.x.out.push(col::DEC_LINE, line);
        }
    }

    #[inline(never)]
    fn function(&mut self, node: &ast::StmtFunctionDef) {
        self.x.uncounted += 1;
        let (mut flags, decorators) = self.decorators(&node.decorator_list);
        let name = self.x.names.add(&node.name.id);
        let (start, end) = (self.at(node.range.start()), self.end(node.range.end()));
        let keyword = node.decorator_list.last().map_or(start, |last| self.end(last.end()));
        let line = self.keyword_line(keyword, node.name.range);
        let in_class = self.class_here();
        let kind = if in_class.is_some() { SymbolKind::Method } else { SymbolKind::Function };
        flags |= self.conditional_flag();
        if node.is_async {
            flags |= symbol_flag::ASYNC;
        }
        if in_class.is_some() && matches!(node.name.id.as_str(), "__new__") {
            flags |= symbol_flag::STATIC;
        }
        if in_class.is_some() && matches!(node.name.id.as_str(), "__init_subclass__" | "__class_getitem__") {
            flags |= symbol_flag::CLASSMETHOD;
        }
        if self.x.scope == 0 && node.name.id.as_str() == "__getattr__" {
            self.x.file_flags |= file_flag::GETATTR;
        }
        let sym = self.x.add_symbol(kind, flags, name, self.x.symbol + 1, start, end, line);
        self.decorator_rows(sym, &decorators);
        self.bind(self.x.scope, name, BindingKind::Definition, sym, node.range, line);
        let (scope, symbol) = (self.x.scope, self.x.symbol);
        self.type_params(sym, node.type_params.as_deref());
        self.defaults(&node.parameters);
        let mut returns = 0;
        if let Some(annotation) = &node.returns {
            self.annotation(annotation);
            returns = self.source(&**annotation, 1000);
        }
        let uncounted = std::mem::replace(&mut self.x.uncounted, 0);
        let conditional = std::mem::replace(&mut self.x.conditional, 0);
        let inner = self.x.open_scope(ScopeKind::Function, sym);
        self.x.out.set(col::SYM_SCOPE, sym, inner + 1);
        self.x.symbol = sym;
        self.bind_parameters(sym, &node.parameters);
        let mut frame = Frame::new(Body::Function);
        // An epoch may have ended within the defaults, and with it the number of the name.
        frame.own_name = self.x.names.add(&node.name.id);
        frame.method = in_class.is_some();
        if let Some(class_scope) = in_class {
            let first = node.parameters.posonlyargs.first().or(node.parameters.args.first());
            if let Some(first) = first
                && flags & (symbol_flag::STATIC | symbol_flag::CLASSMETHOD) == 0
            {
                frame.self_name = self.x.names.add(&first.parameter.name.id);
                frame.class_scope = class_scope;
            }
        } else if let Some(outer) = self.x.frames.last()
            && outer.self_name != 0
            && !node
                .parameters
                .iter()
                .any(|param| self.x.names.get(outer.self_name) == param.name().id.as_bytes())
        {
            frame.self_name = outer.self_name;
            frame.class_scope = outer.class_scope;
        }
        self.x.push_frame(frame, line);
        let doc = self.block(&node.body);
        let doc = self.docstring(doc);
        let end = self.end(node.range.end());
        self.x.out.set(col::SYM_LEN, sym, end - start);
        self.reach(end);
        let last = self.last_line(end, line);
        let frame = self.x.pop_frame(sym, line, last, doc, returns);
        if frame.generator {
            self.x.out.or(col::SYM_FLAGS, sym, symbol_flag::GENERATOR);
        }
        (self.x.scope, self.x.symbol, self.x.conditional) = (scope, symbol, conditional);
        self.x.uncounted = uncounted - 1;
    }

    /// The scope of the class whose body we stand in, type parameters aside.
    fn class_here(&self) -> Option<u32> {
        let scope = self.x.scopes.get(self.x.scope);
        (scope.kind == ScopeKind::Class).then_some(self.x.scope)
    }

    /// Line of the `def` or `class` keyword: of the first token after the decorators.
    fn keyword_line(&mut self, from: u32, name: TextRange) -> u32 {
        let between =
            self.text.as_bytes().get(from as usize..self.at(name.start()) as usize).unwrap_or_default();
        let mut at = 0;
        while at < between.len() {
            match between[at] {
                b'#' => at += memchr::memchr2(b'\n', b'\r', &between[at..]).unwrap_or(between.len() - at),
                byte if byte.is_ascii_whitespace() || byte == b'\\' || byte == b'\x0c' => at += 1,
                _ => break,
            }
        }
        self.x.lines.line(from + at as u32)
    }

    /// Last line of a node that ends at `end` (exclusive).
    fn last_line(&mut self, end: u32, first: u32) -> u32 {
        self.x.lines.line(end.saturating_sub(1)).max(first)
    }

    #[inline(never)]
    fn class(&mut self, node: &ast::StmtClassDef) {
        self.x.uncounted += 1;
        let (mut flags, decorators) = self.decorators(&node.decorator_list);
        let name = self.x.names.add(&node.name.id);
        let (start, end) = (self.at(node.range.start()), self.end(node.range.end()));
        let keyword = node.decorator_list.last().map_or(start, |last| self.end(last.end()));
        let line = self.keyword_line(keyword, node.name.range);
        flags |= self.conditional_flag();
        let sym = self.x.add_symbol(SymbolKind::Class, flags, name, self.x.symbol + 1, start, end, line);
        self.decorator_rows(sym, &decorators);
        self.bind(self.x.scope, name, BindingKind::Definition, sym, node.range, line);
        let (scope, symbol) = (self.x.scope, self.x.symbol);
        self.type_params(sym, node.type_params.as_deref());
        if let Some(arguments) = &node.arguments {
            for base in &arguments.args {
                let value = self.expr(base);
                self.base(sym, value, 0, self.at(base.start()));
                if matches!(base, Expr::Name(name) if is_enum(&name.id))
                    || matches!(base, Expr::Attribute(name) if is_enum(&name.attr.id))
                {
                    self.x.out.or(col::SYM_FLAGS, sym, symbol_flag::ENUM);
                }
            }
            for keyword in &arguments.keywords {
                let value = self.expr(&keyword.value);
                self.mark_read(value);
                let name = keyword.arg.as_ref().map_or("**", |name| name.id.as_str());
                let name = self.x.names.add(name);
                self.base(sym, value, name, self.at(keyword.start()));
            }
        }
        let uncounted = std::mem::replace(&mut self.x.uncounted, 0);
        let conditional = std::mem::replace(&mut self.x.conditional, 0);
        let inner = self.x.open_scope(ScopeKind::Class, sym);
        self.x.out.set(col::SYM_SCOPE, sym, inner + 1);
        self.x.symbol = sym;
        self.x.push_frame(Frame::new(Body::Class), line);
        let doc = self.block(&node.body);
        let doc = self.docstring(doc);
        let end = self.end(node.range.end());
        self.x.out.set(col::SYM_LEN, sym, end - start);
        self.reach(end);
        let last = self.last_line(end, line);
        self.x.pop_frame(sym, line, last, doc, 0);
        (self.x.scope, self.x.symbol, self.x.conditional) = (scope, symbol, conditional);
        self.x.uncounted = uncounted - 1;
    }

    fn base(&mut self, sym: u32, value: Value, keyword: u32, start: u32) {
        // `Generic[T]` derives from `Generic`.
        let value = match value {
            Value::Subscript(base) => Value::Ref(base),
            value => value,
        };
        let row = self.x.ref_of(value, start);
        self.x.flag(row, ref_flag::BASE);
        let line = self.x.lines.line(start);
        for (column, value) in
            [(col::BASE_SYM, sym), (col::BASE_REF, row), (col::BASE_KEYWORD, keyword), (col::BASE_LINE, line)]
        {
            self.x.out.push(column, value);
        }
    }

    fn loop_body(&mut self, body: &[Stmt], orelse: &[Stmt]) {
        self.x.deeper();
        self.branch(body);
        self.x.shallower();
        if !orelse.is_empty() {
            self.x.think(1, false);
            self.x.deeper();
            self.branch(orelse);
            self.x.shallower();
        }
    }

    #[inline(never)]
    fn if_(&mut self, node: &ast::StmtIf) {
        let further = self.further();
        self.x.decide(1);
        self.x.think(1, true);
        self.read(&node.test);
        self.x.deeper();
        let checking = is_type_checking(&node.test);
        self.x.type_checking += u32::from(checking);
        self.branch(&node.body);
        self.x.type_checking -= u32::from(checking);
        self.if_clauses(node);
        self.clauses(further, &mut |pass, body| {
            if let [Stmt::If(node)] = body {
                pass.if_clauses(node);
            }
        });
        self.x.shallower();
    }

    fn if_clauses(&mut self, node: &ast::StmtIf) {
        for clause in &node.elif_else_clauses {
            self.x.shallower();
            self.x.think(1, false);
            if let Some(test) = &clause.test {
                self.x.decide(1);
                self.read(test);
            }
            self.x.deeper();
            self.branch(&clause.body);
        }
    }

    #[inline(never)]
    fn try_(&mut self, node: &ast::StmtTry) {
        if !node.is_star {
            self.x.decide(node.handlers.len() as u32 + u32::from(!node.orelse.is_empty()));
        }
        let optional = node.handlers.iter().any(|handler| {
            let ast::ExceptHandler::ExceptHandler(handler) = handler;
            handler.type_.as_deref().is_none_or(catches_import_error)
        });
        self.x.optional += u32::from(optional);
        self.x.indent();
        self.branch(&node.body);
        self.x.dedent();
        for handler in &node.handlers {
            let ast::ExceptHandler::ExceptHandler(handler) = handler;
            self.x.think(1, true);
            if let Some(kind) = handler.type_.as_deref() {
                let types = match kind {
                    Expr::Tuple(tuple) => &tuple.elts[..],
                    single => std::slice::from_ref(single),
                };
                for caught in types {
                    let value = self.read(caught);
                    self.exception(value, self.at(caught.start()), 1);
                }
            }
            if let Some(name) = &handler.name {
                let id = self.x.names.add(&name.id);
                let line = self.line(name.range.start());
                self.bind(self.x.scope, id, BindingKind::Value, 0, name.range, line);
            }
            self.x.deeper();
            self.branch(&handler.body);
            self.x.shallower();
        }
        self.x.optional -= u32::from(optional);
        self.x.indent();
        self.branch(&node.orelse);
        self.block(&node.finalbody);
        self.x.dedent();
    }

    fn exception(&mut self, value: Value, start: u32, caught: u32) {
        let row = match value {
            Value::Call(callee) => callee,
            value => self.x.ref_of(value, start),
        };
        let line = self.x.lines.line(start);
        for (column, value) in [
            (col::EXC_SCOPE, self.x.scope),
            (col::EXC_REF, row),
            (col::EXC_CAUGHT, caught),
            (col::EXC_LINE, line),
        ] {
            self.x.out.push(column, value);
        }
    }

    #[inline(never)]
    fn match_(&mut self, node: &ast::StmtMatch) {
        let further = self.further();
        self.read(&node.subject);
        self.x.think(1, true);
        self.x.deeper();
        let mut default = false;
        self.cases(node, &mut default);
        self.clauses(further, &mut |pass, body| {
            if let [Stmt::Match(node)] = body {
                pass.cases(node, &mut default);
            }
        });
        self.x.shallower();
    }

    /// Visits cases. As radon has it, any that captures without a pattern counts as the default, once.
    fn cases(&mut self, node: &ast::StmtMatch, default: &mut bool) {
        let captures = |case: &ast::MatchCase| matches!(&case.pattern, Pattern::MatchAs(pattern) if pattern.pattern.is_none());
        let found = !*default && node.cases.iter().any(captures);
        *default |= found;
        self.x.decide((node.cases.len() as u32).saturating_sub(u32::from(found)));
        for case in &node.cases {
            self.pattern(&case.pattern);
            self.read_opt(case.guard.as_deref());
            self.branch(&case.body);
        }
    }

    fn pattern(&mut self, pattern: &Pattern) {
        match pattern {
            Pattern::MatchValue(node) => {
                self.read(&node.value);
            }
            Pattern::MatchSingleton(_) => {}
            Pattern::MatchSequence(node) => node.patterns.iter().for_each(|pattern| self.pattern(pattern)),
            Pattern::MatchOr(node) => node.patterns.iter().for_each(|pattern| self.pattern(pattern)),
            Pattern::MatchMapping(node) => {
                for (key, pattern) in node.keys.iter().zip(&node.patterns) {
                    self.read(key);
                    self.pattern(pattern);
                }
                self.capture(node.rest.as_ref());
            }
            Pattern::MatchClass(node) => {
                self.read(&node.cls);
                node.arguments.patterns.iter().for_each(|pattern| self.pattern(pattern));
                node.arguments.keywords.iter().for_each(|keyword| self.pattern(&keyword.pattern));
            }
            Pattern::MatchStar(node) => self.capture(node.name.as_ref()),
            Pattern::MatchAs(node) => {
                if let Some(pattern) = &node.pattern {
                    self.pattern(pattern);
                }
                self.capture(node.name.as_ref());
            }
        }
    }

    fn capture(&mut self, name: Option<&ast::Identifier>) {
        if let Some(name) = name {
            let id = self.x.names.add(&name.id);
            let line = self.line(name.range.start());
            self.bind(self.x.scope, id, BindingKind::Value, 0, name.range, line);
        }
    }

    fn import(&mut self, alias: &ast::Alias, range: TextRange, lazy: bool) {
        let module = alias.name.id.as_str();
        let bound = match &alias.asname {
            Some(name) => name.id.as_str(),
            None => module.split('.').next().unwrap_or(module),
        };
        let id = self.x.names.add(bound);
        let start = self.at(range.start());
        let row = self.import_row(
            ImportKind::Module,
            module,
            "",
            if alias.asname.is_some() { id } else { 0 },
            0,
            start,
            lazy,
        );
        let line = self.x.lines.line(start);
        self.bind(self.x.scope, id, BindingKind::Import, row, range, line);
    }

    fn import_from(&mut self, node: &ast::StmtImportFrom) {
        let module = node.module.as_ref().map_or("", |module| module.id.as_str());
        let start = self.at(node.range.start());
        let line = self.x.lines.line(start);
        for alias in &node.names {
            let name = alias.name.id.as_str();
            if name == "*" {
                let row = self.import_row(ImportKind::Star, module, "", 0, node.level, start, node.is_lazy);
                self.bind(self.x.scope, 0, BindingKind::Star, row, node.range, line);
            } else {
                let id = self.x.names.add(alias.asname.as_ref().map_or(name, |name| name.id.as_str()));
                let row =
                    self.import_row(ImportKind::From, module, name, id, node.level, start, node.is_lazy);
                self.bind(self.x.scope, id, BindingKind::Import, row, node.range, line);
            }
        }
    }

    /// Adds an import row. `bound` is the string of the bound name, 0 for the first part of the module.
    #[expect(clippy::too_many_arguments, reason = "the columns of the row")]
    pub(super) fn import_row(
        &mut self,
        kind: ImportKind,
        module: &str,
        name: &str,
        bound: u32,
        level: u32,
        start: u32,
        lazy: bool,
    ) -> u32 {
        let mut flags = 0;
        if self.x.type_checking > 0 {
            flags |= import_flag::TYPE_CHECKING;
        }
        if self.x.frames.iter().any(|frame| frame.body == Body::Function) {
            flags |= import_flag::LOCAL;
        }
        if self.x.optional > 0 {
            flags |= import_flag::OPTIONAL;
        }
        if lazy {
            flags |= import_flag::LAZY;
        }
        let (module, name) = (self.x.names.add(module), self.x.names.add(name));
        let line = self.x.lines.line(start);
        let row = self.x.out.len(col::IMP_SCOPE) as u32;
        for (column, value) in [
            (col::IMP_SCOPE, self.x.scope),
            (col::IMP_KIND, kind as u32),
            (col::IMP_FLAGS, flags),
            (col::IMP_MODULE, module),
            (col::IMP_NAME, name),
            (col::IMP_AS, bound),
            (col::IMP_LEVEL, level),
            (col::IMP_START, start),
            (col::IMP_LINE, line),
        ] {
            self.x.out.push(column, value);
        }
        row
    }

    /// Adds what `value`, assigned or added to `__all__`, lists.
    pub(super) fn exports(&mut self, value: &Expr) {
        self.x.file_flags |= file_flag::HAS_ALL;
        match value {
            Expr::List(_) | Expr::Tuple(_) => self.elements(value, &mut |pass, element| match element {
                Expr::StringLiteral(text) => {
                    let text = pass.text_of(text);
                    pass.export(&text);
                }
                Expr::Starred(starred) => pass.exports(&starred.value),
                _ => pass.dynamic_all(),
            }),
            Expr::BinOp(node) if node.op == ast::Operator::Add => {
                self.exports(&node.left);
                self.exports(&node.right);
            }
            Expr::Attribute(attribute) if attribute.attr.id.as_str() == "__all__" && is_path(value) => {
                let module = self.expr(&attribute.value);
                let row = self.x.ref_of(module, self.at(attribute.range.start()));
                self.x.out.push(col::EXP_NAME, 0);
                self.x.out.push(col::EXP_REF, row + 1);
            }
            Expr::Call(call)
                if call.arguments.len() == 1
                    && matches!(&*call.func, Expr::Name(name) if matches!(name.id.as_str(), "list" | "tuple" | "sorted")) =>
            {
                match call.arguments.args.first() {
                    Some(inner) => self.exports(inner),
                    None => self.dynamic_all(),
                }
            }
            Expr::Name(name) if name.id.as_str() == "__all__" => {}
            _ => self.dynamic_all(),
        }
    }

    pub(super) fn export(&mut self, name: &str) {
        let id = self.x.names.add(name);
        self.x.file_flags |= file_flag::HAS_ALL;
        self.x.out.push(col::EXP_NAME, id);
        self.x.out.push(col::EXP_REF, 0);
    }

    fn slots(&mut self, target: &Expr, value: &Expr) {
        if !matches!(target, Expr::Name(name) if name.id.as_str() == "__slots__")
            || self.class_here().is_none()
        {
            return;
        }
        let mut slot = |pass: &mut Self, element: &Expr| {
            if let Expr::StringLiteral(text) = element {
                let text = pass.text_of(text);
                let name = pass.x.names.add(&text);
                pass.x.out.push(col::SLOT_SYM, pass.x.symbol);
                pass.x.out.push(col::SLOT_NAME, name);
            }
        };
        match value {
            Expr::List(_) | Expr::Tuple(_) | Expr::Set(_) => self.elements(value, &mut slot),
            single => slot(self, single),
        }
    }
}

fn decorator_flag(name: &str) -> u32 {
    match name {
        "staticmethod" => symbol_flag::STATIC,
        "classmethod" => symbol_flag::CLASSMETHOD,
        "property" | "cached_property" => symbol_flag::PROPERTY,
        "abstractproperty" => symbol_flag::PROPERTY | symbol_flag::ABSTRACT,
        "getter" => symbol_flag::PROPERTY,
        "setter" => symbol_flag::PROPERTY | symbol_flag::SETTER,
        "deleter" => symbol_flag::PROPERTY | symbol_flag::DELETER,
        "overload" => symbol_flag::OVERLOAD,
        "abstractmethod" => symbol_flag::ABSTRACT,
        "dataclass" | "define" | "frozen" | "attrs" | "attributes" => symbol_flag::DATACLASS,
        _ => 0,
    }
}

fn is_enum(name: &str) -> bool {
    matches!(name, "Enum" | "IntEnum" | "StrEnum" | "Flag" | "IntFlag" | "ReprEnum")
}

fn is_type_checking(test: &Expr) -> bool {
    match test {
        Expr::Name(name) => name.id.as_str() == "TYPE_CHECKING",
        Expr::Attribute(attribute) => attribute.attr.id.as_str() == "TYPE_CHECKING",
        _ => false,
    }
}

fn catches_import_error(kind: &Expr) -> bool {
    match kind {
        Expr::Name(name) => {
            matches!(name.id.as_str(), "ImportError" | "ModuleNotFoundError" | "Exception" | "BaseException")
        }
        Expr::Tuple(tuple) => tuple.elts.iter().any(catches_import_error),
        _ => false,
    }
}

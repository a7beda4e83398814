//! Statements: definitions, bindings, imports, control structures.

use super::builder::{Pass, Value};
use super::expressions::is_path;
use super::flow::{Around, Branches, Fork};
use super::measures::{Body, Frame};
use crate::model::facts::{
    BindingKind, Container, FlowOp, ImportKind, PROTOCOL, ParamKind, RefKind, ScopeKind, SymbolKind, col,
    file_flag, import_flag, ref_flag, symbol_flag,
};
use ruff_python_ast::{self as ast, Expr, Pattern, Stmt};
use ruff_text_size::{Ranged, TextRange};

/// Of each decorator: its ref, whether it is called, its line.
type DecoratorRows = smallvec::SmallVec<[(u32, bool, u32); 4]>;

/// Of each decorator that may make something else of what it decorates: its variable and its line.
type FlowRows = smallvec::SmallVec<[(u32, u32); 4]>;

impl Pass<'_> {
    /// Visits statements in order.
    pub(super) fn statements(&mut self, body: &[Stmt]) {
        for statement in body {
            self.stmt(statement);
        }
    }

    /// Visits the body of a branch, a loop or a `try`.
    fn branch(&mut self, body: &[Stmt]) {
        let given = self.x.flow.given;
        self.branch_of_if(body);
        self.x.flow.given = given;
    }

    /// The same, where what is known of parameters at its end is asked for.
    fn branch_of_if(&mut self, body: &[Stmt]) {
        self.x.conditional += 1;
        self.block(body);
        self.x.conditional -= 1;
    }

    fn stmt(&mut self, statement: &Stmt) {
        self.pause();
        self.x.flow.line = self.line(statement.start());
        self.x.flow.refined.clear();
        match statement {
            Stmt::FunctionDef(function) => self.function(function),
            Stmt::ClassDef(class) => self.class(class),
            Stmt::Expr(node) => {
                // Documentation is no value: an edit of it changes nothing.
                let documents = u32::from(node.value.is_string_literal_expr());
                self.x.flow.plain += documents;
                self.read(&node.value);
                self.x.flow.plain -= documents;
            }
            Stmt::Return(node) => {
                if let Some(value) = &node.value {
                    self.return_(value);
                }
                self.x.flow.dead = true;
            }
            Stmt::Assign(node) => self.assign(node),
            Stmt::AugAssign(node) => {
                self.x.operator(node.op as u32, 1);
                self.operand(&node.target);
                self.operand(&node.value);
                let mut before = 0;
                if node.target.is_name_expr() {
                    self.read(&node.target);
                    before = self.x.flow.value;
                }
                let result = self.x.flow_fresh();
                self.bind_target(&node.target, 0, result);
                self.read(&node.value);
                let value = self.x.flow.value;
                self.aug_assigned(node.op, before, value, result);
                if self.is_module_all(&node.target) {
                    self.exports(&node.value);
                }
            }
            Stmt::AnnAssign(node) => self.ann_assign(node),
            Stmt::TypeAlias(node) => self.type_alias(node),
            Stmt::Delete(node) => {
                for target in &node.targets {
                    self.check_target(target, true);
                    if let Expr::Subscript(subscript) = target {
                        self.deleted_item(subscript);
                    } else if let Value::Ref(row) = self.expr(target) {
                        self.x.flag(row, ref_flag::DELETED);
                    }
                }
            }
            Stmt::If(node) => self.if_(node),
            Stmt::For(node) => {
                self.x.decide(1 + u32::from(!node.orelse.is_empty()));
                self.x.think(1, true);
                let mark = self.x.loop_begin(true);
                let element = self.x.flow_fresh();
                self.bind_target(&node.target, 0, element);
                self.read(&node.iter);
                let iterable = self.x.flow.value;
                self.x.flow_made(element, FlowOp::Iterate, iterable, u32::from(node.is_async));
                self.loop_body(&node.body, &node.orelse);
                self.x.loop_end(mark);
            }
            Stmt::While(node) => {
                self.x.decide(1 + u32::from(!node.orelse.is_empty()));
                self.x.think(1, true);
                let mark = self.x.loop_begin(true);
                self.read_test(&node.test);
                self.loop_body(&node.body, &node.orelse);
                self.x.loop_end(mark);
            }
            Stmt::With(node) => {
                for item in &node.items {
                    self.read(&item.context_expr);
                    let manager = self.x.flow.value;
                    let entered = self.x.flow_one(FlowOp::With, manager, u32::from(node.is_async));
                    if let Some(target) = &item.optional_vars {
                        self.bind_target(target, 0, entered);
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
                    let raised = self.x.flow.value;
                    if !exception.is_call_expr() && raised != 0 {
                        let first = self.x.flow_arguments();
                        self.x.flow_call(raised, (0, 0), 0, first);
                    }
                    self.exception(value, self.at(exception.start()), 0);
                }
                self.read_opt(node.cause.as_deref());
                self.x.flow.dead = true;
            }
            Stmt::Assert(node) => {
                self.x.decide(1);
                // What it asserts does not count further.
                let complexity = self.x.frames.last().map(|frame| frame.complexity);
                self.read(&node.test);
                self.read_opt(node.msg.as_deref());
                self.narrow(&node.test, true);
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
            Stmt::Break(_) | Stmt::Continue(_) => self.x.flow.dead = true,
            Stmt::Pass(_) | Stmt::IpyEscapeCommand(_) => {}
        }
    }

    /// `target op= value`: what the name is from here on.
    #[inline(never)]
    fn aug_assigned(&mut self, op: ast::Operator, before: u32, value: u32, result: u32) {
        let in_place = PROTOCOL.iter().position(|entry| entry.0 == "__iadd__").unwrap_or(0) as u32;
        let own = self.x.flow_operation_row(in_place + op as u32, &[before, value]);
        let plain = self.x.flow_operation_row(op as u32, &[before, value]);
        self.x.flow_made(result, FlowOp::Copy, before, 0);
        for value in [own, plain] {
            self.x.flow_into(result, FlowOp::Copy, value, 0);
        }
    }

    /// `del object[key]`.
    #[inline(never)]
    fn deleted_item(&mut self, subscript: &ast::ExprSubscript) {
        let (_, object, key) = self.subscript(subscript);
        self.x.flow_operation("__delitem__", &[object, key]);
    }

    fn declare(&mut self, names: &[ast::Identifier], kind: BindingKind) {
        for name in names {
            let id = self.x.names.add(&name.id);
            let line = self.line(name.range.start());
            self.bind(self.x.scope, id, kind, 0, name.range, line);
            if self.x.scope != 0 {
                self.x.flow_declare(id);
            }
        }
    }

    fn is_module_all(&self, target: &Expr) -> bool {
        self.x.scope == 0 && matches!(target, Expr::Name(name) if name.id.as_str() == "__all__")
    }

    fn assign(&mut self, node: &ast::StmtAssign) {
        let value = self.read(&node.value);
        let mut flow = self.x.flow.value;
        if let [Expr::Name(_)] = node.targets[..]
            && let Some(like) = self.like(&node.value)
        {
            flow = self.x.flow_pattern(flow, like);
        }
        let bound = self.x.value_ref(value, self.at(node.value.start()));
        for target in &node.targets {
            self.bind_target(target, bound, flow);
            if target.is_name_expr() && node.value.is_dict_expr() && node.targets.len() == 1 {
                self.x.literal_assigned(flow);
            }
            if self.is_module_all(target) {
                self.exports(&node.value);
            }
            self.slots(target, &node.value);
        }
    }

    fn ann_assign(&mut self, node: &ast::StmtAnnAssign) {
        // In the order of the text: target, annotation, value.
        self.annotation(&node.annotation);
        let annotated = self.annotated(&node.annotation, self.x.flow.value);
        let mut bound = 0;
        let mut flow = annotated;
        if let Some(value) = &node.value {
            let read = self.read(value);
            flow = self.x.flow_join(vec![self.x.flow.value, annotated]);
            bound = self.x.value_ref(read, self.at(value.start()));
        }
        if let Expr::Name(name) = &*node.target {
            let id = self.x.names.add(&name.id);
            let line = self.line(name.range.start());
            self.bind(self.x.scope, id, BindingKind::Annotation, 0, name.range, line);
        }
        if node.value.is_some() || !node.target.is_name_expr() {
            self.bind_target(&node.target, bound, flow);
        } else if let Expr::Name(name) = &*node.target
            && flow != 0
        {
            let id = self.x.names.add(&name.id);
            let start = self.at(name.range.start());
            self.x.flow_define(id, flow, start);
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
            let mut annotated = 0;
            if let Some(annotation) = param.annotation() {
                self.annotation(annotation);
                annotated = self.annotated(annotation, self.x.flow.value);
            }
            let mut default = 0;
            if let Some(value) = param.default() {
                self.read(value);
                default = self.x.flow.value;
            }
            self.x.flow.pending.push([default, annotated]);
        }
    }

    /// Begins the body of function `sym`, whose scope is open: binds its parameters. Since `pending` their values came.
    pub(super) fn flow_function(
        &mut self,
        sym: u32,
        scope: u32,
        parameters: Option<&ast::Parameters>,
        pending: usize,
    ) -> Around {
        let first = self.x.out.len(col::PAR_SYM) as u32;
        if let Some(parameters) = parameters {
            self.bind_parameters(sym, parameters);
        }
        let count = self.x.out.len(col::PAR_SYM) as u32 - first;
        let around = self.x.body_begin(FlowOp::Enter, sym, scope, first, count);
        let Some(parameters) = parameters else { return around };
        for (param, at) in parameters.iter().zip(0u32..) {
            let kind = match param {
                ast::AnyParameterRef::NonVariadic(_) => continue,
                ast::AnyParameterRef::Variadic(_) => self.x.out.get(col::PAR_KIND, first + at),
            };
            let star = kind == ParamKind::Star as u32;
            let kind = if star { Container::Tuple } else { Container::Dict };
            let out = self.x.parameter(at);
            self.x.flow_into(out, FlowOp::New, kind as u32, 0);
        }
        for (param, at) in parameters.iter().zip(0u32..) {
            let mut values = self.x.flow.pending.get(pending + at as usize).copied().unwrap_or_default();
            let out = self.x.parameter(at);
            if param.is_variadic() {
                // What is said of each of them.
                self.x.flow_put(out, 0, values[1]);
                values = [0; 2];
            }
            if at < 64 && param.default().is_none() && !param.is_variadic() {
                self.x.flow.required |= 1 << at;
            }
            let name = self.x.names.add(&param.name().id);
            self.x.flow_parameter(at, name, values);
        }
        self.x.flow.pending.truncate(pending);
        around
    }

    /// Visits decorators; gives their symbol flags. Rows come once the symbol is known.
    fn decorators(&mut self, decorators: &[ast::Decorator]) -> (u32, DecoratorRows, FlowRows) {
        let mut flags = 0;
        let mut rows = DecoratorRows::new();
        let mut flow = FlowRows::new();
        for decorator in decorators {
            let start = self.at(decorator.expression.start());
            let value = self.expr(&decorator.expression);
            let decorating = self.x.flow.value;
            let (row, called) = match value {
                Value::Call(row) => (row, true),
                value => (self.x.ref_of(value, start), false),
            };
            self.x.flag(row, ref_flag::DECORATOR);
            let target = match &decorator.expression {
                Expr::Call(call) => &call.func,
                other => other,
            };
            let name = match target {
                Expr::Name(name) => name.id.as_str(),
                Expr::Attribute(attribute) => attribute.attr.id.as_str(),
                _ => "",
            };
            flags |= decorator_flag(name);
            let line = self.x.lines.line(start);
            // What these make of a function is told by its flags.
            if !keeps_function(name) && decorating != 0 {
                flow.push((decorating, line));
            }
            rows.push((row, called, line));
        }
        (flags, rows, flow)
    }

    /// What the name of a decorated function or class stands for.
    fn decorated(&mut self, sym: u32, rows: &FlowRows) -> u32 {
        let mut value = self.x.flow_symbol(sym);
        for &(decorator, line) in rows.iter().rev() {
            self.x.flow.line = line;
            value = self.x.flow_decorate(decorator, value);
        }
        value
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
        let (mut flags, decorators, decorating) = self.decorators(&node.decorator_list);
        let name = self.x.names.add(&node.name.id);
        let (start, end) = (self.at(node.range.start()), self.end(node.range.end()));
        let keyword = node.decorator_list.last().map_or(start, |last| self.end(last.end()));
        let line = self.keyword_line(keyword, node.name.range);
        let in_class = self.class_here();
        let kind = if in_class.is_some() { SymbolKind::Method } else { SymbolKind::Function };
        flags |= self.conditional_flag();
        if self.x.type_checking > 0 {
            flags |= symbol_flag::DECLARED;
        }
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
        let value = self.decorated(sym, &decorating);
        self.x.flow_define(name, value, start);
        let (scope, symbol) = (self.x.scope, self.x.symbol);
        self.type_params(sym, node.type_params.as_deref());
        let pending = self.x.flow.pending.len();
        self.defaults(&node.parameters);
        let mut returns = 0;
        let mut returned = 0;
        if let Some(annotation) = &node.returns {
            self.annotation(annotation);
            returned = self.annotated(annotation, self.x.flow.value);
            returns = self.source(&**annotation, 1000);
        }
        let uncounted = std::mem::replace(&mut self.x.uncounted, 0);
        let conditional = std::mem::replace(&mut self.x.conditional, 0);
        let inner = self.x.open_scope(ScopeKind::Function, sym);
        self.x.out.set(col::SYM_SCOPE, sym, inner + 1);
        self.x.symbol = sym;
        let around = self.flow_function(sym, inner, Some(&node.parameters), pending);
        self.x.flow_return(returned);
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
        self.x.body_end(around);
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
        let (mut flags, decorators, decorating) = self.decorators(&node.decorator_list);
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
        let around = self.x.body_begin(FlowOp::EnterClass, sym, inner, 0, 0);
        let doc = self.block(&node.body);
        self.x.body_end(around);
        let doc = self.docstring(doc);
        let end = self.end(node.range.end());
        self.x.out.set(col::SYM_LEN, sym, end - start);
        self.reach(end);
        let last = self.last_line(end, line);
        self.x.pop_frame(sym, line, last, doc, 0);
        (self.x.scope, self.x.symbol, self.x.conditional) = (scope, symbol, conditional);
        let value = self.decorated(sym, &decorating);
        let name = self.x.names.add(&node.name.id);
        self.x.flow_define(name, value, start);
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
        self.read_test(&node.test);
        self.x.deeper();
        let checking = is_type_checking(&node.test);
        self.x.type_checking += u32::from(checking);
        let given = self.x.flow.given;
        let mut branches = self.x.branches();
        self.x.branch_begin(&mut branches, Some(&node.test));
        self.narrow(&node.test, true);
        self.branch_of_if(&node.body);
        let left = self.x.flow.dead && further.is_empty();
        self.x.branch_end(&mut branches);
        self.x.type_checking -= u32::from(checking);
        let left = left && node.elif_else_clauses.is_empty();
        self.if_clauses(node, &mut branches);
        self.clauses(further, &mut |pass, body| {
            if let [Stmt::If(node)] = body {
                pass.if_clauses(node, &mut branches);
            }
        });
        self.x.branches_end(branches, given);
        if left {
            self.narrow(&node.test, false);
        }
        self.x.shallower();
    }

    fn if_clauses(&mut self, node: &ast::StmtIf, branches: &mut Branches) {
        for clause in &node.elif_else_clauses {
            self.x.shallower();
            self.x.think(1, false);
            if let Some(test) = &clause.test {
                self.x.decide(1);
                self.read_test(test);
            }
            self.x.branch_begin(branches, clause.test.as_ref());
            if let Some(test) = &clause.test {
                self.narrow(test, true);
            } else if let [_] = node.elif_else_clauses[..] {
                self.narrow(&node.test, false);
            }
            self.x.deeper();
            self.branch_of_if(&clause.body);
            self.x.branch_end(branches);
            branches.all |= clause.test.is_none();
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
        let start = self.x.loop_begin(false);
        self.branch(&node.body);
        self.x.dedent();
        let mut fork = self.x.fork_at(start);
        let (ended, mark) = self.x.handlers_begin(start);
        for handler in &node.handlers {
            let ast::ExceptHandler::ExceptHandler(handler) = handler;
            self.x.think(1, true);
            let mut classes = Vec::new();
            if let Some(kind) = handler.type_.as_deref() {
                let types = match kind {
                    Expr::Tuple(tuple) => &tuple.elts[..],
                    single => std::slice::from_ref(single),
                };
                for caught in types {
                    let value = self.read(caught);
                    if handler.name.is_some() && self.x.flow.value != 0 {
                        let instance = self.x.flow_one(FlowOp::Instance, self.x.flow.value, 0);
                        classes.push(instance);
                    }
                    self.exception(value, self.at(caught.start()), 1);
                }
            }
            if let Some(name) = &handler.name {
                let id = self.x.names.add(&name.id);
                let line = self.line(name.range.start());
                self.bind(self.x.scope, id, BindingKind::Value, 0, name.range, line);
                let start = self.at(name.range.start());
                let caught = self.x.flow_join(std::mem::take(&mut classes));
                self.x.flow_define(id, caught, start);
            }
            self.x.deeper();
            self.branch(&handler.body);
            self.x.handler_end(start, mark, &mut fork);
            self.x.shallower();
        }
        self.x.optional -= u32::from(optional);
        self.x.indent();
        self.x.orelse_begin(start, ended);
        self.branch(&node.orelse);
        self.x.fork_next(&mut fork);
        self.x.try_end();
        self.x.fork_join(fork, true);
        let dead = std::mem::take(&mut self.x.flow.dead);
        self.block(&node.finalbody);
        self.x.flow.dead |= dead;
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
        let subject = self.x.flow.value;
        self.x.think(1, true);
        self.x.deeper();
        let mut default = false;
        let mut fork = self.x.fork();
        let mut all = false;
        self.cases(node, &mut default, subject, &mut fork, &mut all);
        self.clauses(further, &mut |pass, body| {
            if let [Stmt::Match(node)] = body {
                pass.cases(node, &mut default, subject, &mut fork, &mut all);
            }
        });
        self.x.fork_join(fork, all);
        self.x.shallower();
    }

    /// Visits cases. As radon has it, any that captures without a pattern counts as the default, once.
    fn cases(
        &mut self,
        node: &ast::StmtMatch,
        default: &mut bool,
        subject: u32,
        fork: &mut Fork,
        all: &mut bool,
    ) {
        let captures = |case: &ast::MatchCase| matches!(&case.pattern, Pattern::MatchAs(pattern) if pattern.pattern.is_none());
        let found = !*default && node.cases.iter().any(captures);
        *default |= found;
        self.x.decide((node.cases.len() as u32).saturating_sub(u32::from(found)));
        for case in &node.cases {
            self.pattern(&case.pattern, subject);
            self.read_opt(case.guard.as_deref());
            self.branch(&case.body);
            self.x.fork_next(fork);
            *all |= captures(case) && case.guard.is_none();
        }
    }

    /// `value` is the variable of what is matched.
    fn pattern(&mut self, pattern: &Pattern, value: u32) {
        match pattern {
            Pattern::MatchValue(node) => {
                self.read(&node.value);
            }
            Pattern::MatchSingleton(_) => {}
            Pattern::MatchSequence(node) => {
                for (pattern, at) in node.patterns.iter().zip(0u32..) {
                    let part = self.x.flow_one(FlowOp::Unpack, value, at.min(1 << 16));
                    self.pattern(pattern, part);
                }
            }
            Pattern::MatchOr(node) => node.patterns.iter().for_each(|pattern| self.pattern(pattern, value)),
            Pattern::MatchMapping(node) => {
                for (key, pattern) in node.keys.iter().zip(&node.patterns) {
                    self.read(key);
                    let key = self.x.flow.value;
                    let part = self.x.flow_get(value, key);
                    self.pattern(pattern, part);
                }
                self.capture(node.rest.as_ref(), value);
            }
            Pattern::MatchClass(node) => {
                self.read(&node.cls);
                let class = self.x.flow.value;
                let instance = self.x.flow_one(FlowOp::Instance, class, 0);
                node.arguments.patterns.iter().for_each(|pattern| self.pattern(pattern, 0));
                for keyword in &node.arguments.keywords {
                    let start = self.at(keyword.range.start());
                    let base = self.x.ref_of(Value::None, start);
                    let name = self.x.names.add(&keyword.attr.id);
                    let row = self.x.cons(RefKind::Attribute, base, name, start);
                    let part = self.x.flow_load(instance, row);
                    self.pattern(&keyword.pattern, part);
                }
                self.x.flow.value = instance;
            }
            Pattern::MatchStar(node) => self.capture(node.name.as_ref(), 0),
            Pattern::MatchAs(node) => {
                let mut value = value;
                if let Some(pattern) = &node.pattern {
                    self.x.flow.value = 0;
                    self.pattern(pattern, value);
                    if pattern.is_match_class() {
                        value = self.x.flow_join(vec![value, self.x.flow.value]);
                    }
                }
                self.capture(node.name.as_ref(), value);
            }
        }
    }

    fn capture(&mut self, name: Option<&ast::Identifier>, value: u32) {
        if let Some(name) = name {
            let id = self.x.names.add(&name.id);
            let line = self.line(name.range.start());
            self.bind(self.x.scope, id, BindingKind::Value, 0, name.range, line);
            let start = self.at(name.range.start());
            self.x.flow_define(id, value, start);
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
        let value = self.x.flow_import(row);
        self.x.flow_define(id, value, start);
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
                let value = self.x.flow_import(row);
                self.x.flow_define(id, value, start);
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

/// Decorators whose result is the function again, or is told by [`decorator_flag`].
fn keeps_function(name: &str) -> bool {
    matches!(
        name,
        "staticmethod"
            | "classmethod"
            | "property"
            | "abstractproperty"
            | "abstractmethod"
            | "getter"
            | "setter"
            | "deleter"
            | "overload"
            | "wraps"
    )
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

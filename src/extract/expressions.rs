//! Expressions: access paths, call sites, lambdas, comprehensions.

use super::builder::{Pass, Scope, Value};
use super::flow::Given;
use crate::model::facts::{
    ArgKind, BindingKind, Container, FlowOp, ImportKind, RefKind, ScopeKind, SymbolKind, call_flag, col,
    ref_flag, symbol_flag,
};
use ruff_python_ast::{self as ast, Expr, InterpolatedStringElement};
use ruff_text_size::Ranged;

impl Pass<'_> {
    /// Visits an expression whose value is read.
    #[inline]
    pub(super) fn read(&mut self, expr: &Expr) -> Value {
        let value = self.expr(expr);
        self.mark_read(value);
        value
    }

    /// Visits an expression whose value is read, where there is one.
    pub(super) fn read_opt(&mut self, expr: Option<&Expr>) {
        if let Some(expr) = expr {
            self.read(expr);
        }
    }

    /// Visits an annotation.
    pub(super) fn annotation(&mut self, expr: &Expr) {
        if let Value::Ref(row) = self.read(expr) {
            self.x.flag(row, ref_flag::ANNOTATION);
        }
    }

    /// Visits an expression; the caller says how its value is used.
    pub(super) fn expr(&mut self, expr: &Expr) -> Value {
        self.x.flow.value = 0;
        match expr {
            Expr::Name(name) => {
                let row = self.name_ref(&name.id, self.at(name.range.start()));
                let id = self.x.out.get(col::REF_NAME, row);
                self.x.flow.value = self.x.flow_read(row, id);
                Value::Ref(row)
            }
            Expr::Attribute(attribute) => self.attribute(attribute),
            Expr::Call(call) => self.call(call),
            Expr::StringLiteral(text) => {
                self.strings(expr, &mut |_, _| {});
                self.x.flow.value = self.string_value(text);
                Value::Literal("str")
            }
            Expr::NumberLiteral(number) => Value::Literal(match &number.value {
                ast::Number::Int(number) => {
                    if let Some(number) = number.as_u64().and_then(|number| u32::try_from(number).ok()) {
                        self.x.flow.value = self.x.flow_number(number);
                    }
                    "int"
                }
                ast::Number::Float(_) => "float",
                ast::Number::Complex { .. } => "complex",
            }),
            Expr::BytesLiteral(_) => {
                self.strings(expr, &mut |_, _| {});
                Value::Literal("bytes")
            }
            Expr::BooleanLiteral(_) => Value::Literal("bool"),
            Expr::NoneLiteral(_) => Value::Literal("None"),
            Expr::EllipsisLiteral(_) | Expr::IpyEscapeCommand(_) => Value::None,
            Expr::Subscript(subscript) => {
                let (value, base, key) = self.subscript(subscript);
                self.x.flow.value = match &*subscript.slice {
                    Expr::Slice(slice) => self.sliced(slice, base),
                    _ => self.x.flow_get(base, key),
                };
                value
            }
            Expr::Tuple(_) => {
                self.read_elements(expr, Container::Tuple);
                Value::Literal("tuple")
            }
            Expr::List(_) => {
                self.read_elements(expr, Container::List);
                Value::Literal("list")
            }
            Expr::Set(_) => {
                self.read_elements(expr, Container::Set);
                Value::Literal("set")
            }
            Expr::Dict(_) => {
                self.read_items(expr);
                Value::Literal("dict")
            }
            Expr::Await(node) => {
                let value = self.expr(&node.value);
                self.x.flow.value = self.x.flow_one(FlowOp::Await, self.x.flow.value, 0);
                self.mark_read(value);
                match self.x.value_ref(value, self.at(node.range.start())) {
                    0 => Value::None,
                    base => Value::Await(base - 1),
                }
            }
            Expr::Named(named) => {
                let value = self.read(&named.value);
                let flow = self.x.flow.value;
                let bound = self.x.value_ref(value, self.at(named.value.start()));
                // In a comprehension it binds in the scope around it (PEP 572).
                let scope = self.x.scope;
                while let Scope { kind: ScopeKind::Comprehension, parent, .. } =
                    self.x.scopes.get(self.x.scope)
                    && parent != 0
                {
                    self.x.scope = parent - 1;
                }
                self.bind_target(&named.target, bound, flow);
                self.x.scope = scope;
                self.x.flow.value = flow;
                value
            }
            Expr::Starred(starred) => {
                self.read(&starred.value);
                self.x.flow.value = 0;
                Value::None
            }
            Expr::BinOp(_) | Expr::BoolOp(_) | Expr::UnaryOp(_) | Expr::Compare(_) => self.operation(expr),
            Expr::If(node) => {
                self.conditional(node, &mut |pass, part, _| {
                    pass.read(part);
                    pass.x.flow.value
                });
                Value::None
            }
            Expr::Lambda(lambda) => self.lambda(lambda),
            Expr::ListComp(node) => {
                self.comprehension(&[&node.elt], &node.generators, Container::List);
                Value::Literal("list")
            }
            Expr::SetComp(node) => {
                self.comprehension(&[&node.elt], &node.generators, Container::Set);
                Value::Literal("set")
            }
            Expr::DictComp(node) => {
                match node.key.as_deref() {
                    Some(key) => self.comprehension(&[key, &node.value], &node.generators, Container::Dict),
                    None => self.comprehension(&[&node.value], &node.generators, Container::Dict),
                }
                Value::Literal("dict")
            }
            Expr::Generator(node) => {
                self.comprehension(&[&node.elt], &node.generators, Container::Generator);
                Value::None
            }
            Expr::Yield(node) => {
                self.generator();
                self.read_opt(node.value.as_deref());
                self.x.flow_yield(self.x.flow.value);
                self.x.flow.value = 0;
                Value::None
            }
            Expr::YieldFrom(node) => {
                self.generator();
                self.read(&node.value);
                let value = std::mem::take(&mut self.x.flow.value);
                self.x.flow_yield_from(value);
                Value::None
            }
            Expr::FString(_) => {
                self.interpolations(expr);
                self.x.flow.value = 0;
                Value::Literal("str")
            }
            Expr::TString(_) => {
                self.interpolations(expr);
                self.x.flow.value = 0;
                Value::None
            }
            Expr::Slice(slice) => {
                self.read_opt(slice.lower.as_deref());
                self.read_opt(slice.upper.as_deref());
                self.read_opt(slice.step.as_deref());
                self.x.flow.value = 0;
                Value::None
            }
        }
    }

    fn attribute(&mut self, attribute: &ast::ExprAttribute) -> Value {
        let (row, base) = self.attribute_of(attribute);
        let value = self.x.flow_load(base, row);
        if attribute.attr.id.as_str() == "__class__" {
            self.x.flow_class_of(base, value);
        }
        self.x.flow.value = value;
        Value::Ref(row)
    }

    /// The ref of an attribute, and the variable of the object that has it.
    #[inline(never)]
    fn attribute_of(&mut self, attribute: &ast::ExprAttribute) -> (u32, u32) {
        let base = self.expr(&attribute.value);
        let object = self.x.flow.value;
        let start = self.at(attribute.range.start());
        let base = self.x.ref_of(base, start);
        let name = self.x.names.add(&attribute.attr.id);
        (self.x.cons(RefKind::Attribute, base, name, start), object)
    }

    /// Visits a subscript: its value, and the variables of object and key.
    #[inline(never)]
    pub(super) fn subscript(&mut self, subscript: &ast::ExprSubscript) -> (Value, u32, u32) {
        let base = self.read(&subscript.value);
        let object = self.x.flow.value;
        let literals = self.x.flow.leave_literals();
        self.read(&subscript.slice);
        let key = self.x.flow.value;
        self.x.flow.enter_literals(literals);
        let base = self.x.ref_of(base, self.at(subscript.range.start()));
        (Value::Subscript(base), object, key)
    }

    /// The value of a slice of `base`: with constant ends a new list, else as good as `base` itself.
    fn sliced(&mut self, slice: &ast::ExprSlice, base: u32) -> u32 {
        let number = |end: &Expr| match end {
            Expr::NumberLiteral(ast::ExprNumberLiteral { value: ast::Number::Int(number), .. }) => {
                number.as_u64()
            }
            _ => None,
        };
        let first = slice.lower.as_deref().map_or(Some(0), number);
        let end = slice.upper.as_deref().and_then(number);
        match (first, end, &slice.step) {
            (Some(first), Some(end), None) if base != 0 && first < end && end - first <= 8 && end <= 64 => {
                let list = self.x.flow_new(Container::List);
                for (at, place) in (first as u32..end as u32).zip(0..) {
                    let key = self.x.flow_number(at);
                    let element = self.x.flow_get(base, key);
                    self.x.flow_element(list, Some(place), element);
                }
                list
            }
            _ => base,
        }
    }

    /// Visits what stands between the braces of f-strings or t-strings.
    #[inline(never)]
    fn interpolations(&mut self, expr: &Expr) {
        if self.strings(expr, &mut |pass, part| pass.interpolations(part)) {
            return;
        }
        match expr {
            Expr::FString(string) => {
                for part in string.value.iter() {
                    if let ast::FStringPart::FString(part) = part {
                        self.interpolated(&part.elements);
                    }
                }
            }
            Expr::TString(string) => {
                for part in string.value.iter() {
                    self.interpolated(&part.elements);
                }
            }
            _ => {}
        }
    }

    #[inline(never)]
    fn interpolated(&mut self, elements: &ast::InterpolatedStringElements) {
        for element in elements.iter() {
            self.pause();
            if let InterpolatedStringElement::Interpolation(element) = element {
                self.x.flow.plain += 1;
                self.read(&element.expression);
                self.x.flow.plain -= 1;
                let value = self.x.flow.value;
                let method = match element.conversion {
                    ast::ConversionFlag::Repr | ast::ConversionFlag::Ascii => "__repr__",
                    ast::ConversionFlag::Str => "__str__",
                    ast::ConversionFlag::None => "__format__",
                };
                self.x.flow_operation(method, &[value]);
                if let Some(spec) = &element.format_spec {
                    self.interpolated(&spec.elements);
                }
            }
        }
    }

    /// The operand of `text % operand`, or what lies in it where it is a tuple, is asked for what `%s` and `%r` give.
    fn formatted(&mut self, text: &Expr, operand: &Expr, value: u32) {
        let Expr::StringLiteral(text) = text else { return };
        if value == 0 || !self.is_short(text) {
            return;
        }
        let conversions = conversions(&self.text_of(text));
        let tuple = operand.is_tuple_expr();
        if !tuple && conversions.len() != 1 {
            return;
        }
        for (conversion, at) in conversions.into_iter().zip(0..) {
            let method = match conversion {
                b's' => "__str__",
                b'r' | b'a' => "__repr__",
                _ => continue,
            };
            let part = if tuple { self.x.flow_one(FlowOp::Unpack, value, at) } else { value };
            self.x.flow_operation(method, &[part]);
        }
    }

    #[inline(never)]
    fn operation(&mut self, expr: &Expr) -> Value {
        let mut result = 0;
        // Of `a or 'b'` the value may be the constant.
        let plain = u32::from(!expr.is_bool_op_expr());
        self.x.flow.plain += plain;
        let mut kind = Value::None;
        match expr {
            Expr::BinOp(node) => {
                self.x.operator(node.op as u32, 1);
                self.operand(&node.left);
                self.operand(&node.right);
                self.read(&node.left);
                let left = self.x.flow.value;
                self.read(&node.right);
                let right = self.x.flow.value;
                let text =
                    matches!(&*node.left, Expr::StringLiteral(_) | Expr::BytesLiteral(_) | Expr::FString(_));
                if node.op == ast::Operator::Mod && text {
                    // It takes any operand there is: `__rmod__` is never asked.
                    self.formatted(&node.left, &node.right, right);
                } else {
                    result = self.x.flow_operation_row(node.op as u32, &[left, right]);
                }
            }
            Expr::UnaryOp(node) => {
                self.x.operator(16 + node.op as u32, 1);
                self.operand(&node.operand);
                self.read(&node.operand);
                let method = match node.op {
                    ast::UnaryOp::Invert => "__invert__",
                    ast::UnaryOp::Not => "__bool__",
                    ast::UnaryOp::UAdd => "__pos__",
                    ast::UnaryOp::USub => "__neg__",
                };
                let value = self.x.flow.value;
                result = self.x.flow_operation(method, &[value]);
            }
            Expr::BoolOp(node) => {
                self.x.operator(24 + node.op as u32, 1);
                self.x.decide(node.values.len() as u32 - 1);
                self.x.think(1, false);
                let mut values = Vec::new();
                let refined = self.x.refined();
                for (value, rest) in node.values.iter().zip((0..node.values.len()).rev()) {
                    self.operand(value);
                    self.read_test(value);
                    values.push(self.x.flow.value);
                    if rest > 0 {
                        self.narrow(value, node.op == ast::BoolOp::And);
                    }
                }
                self.x.unrefine(refined);
                result = self.x.flow_join(values);
            }
            Expr::Compare(node) => {
                for op in &node.ops {
                    self.x.operator(32 + *op as u32, 1);
                }
                self.operand(&node.left);
                self.read(&node.left);
                let mut left = self.x.flow.value;
                for (comparator, op) in node.comparators.iter().zip(&node.ops) {
                    self.operand(comparator);
                    self.read(comparator);
                    let right = self.x.flow.value;
                    let method = match op {
                        ast::CmpOp::Eq => "__eq__",
                        ast::CmpOp::NotEq => "__ne__",
                        ast::CmpOp::Lt => "__lt__",
                        ast::CmpOp::LtE => "__le__",
                        ast::CmpOp::Gt => "__gt__",
                        ast::CmpOp::GtE => "__ge__",
                        ast::CmpOp::Is | ast::CmpOp::IsNot => "",
                        ast::CmpOp::In | ast::CmpOp::NotIn => "__contains__",
                    };
                    if method == "__contains__" {
                        self.x.flow_operation(method, &[right, left]);
                    } else {
                        self.x.flow_operation(method, &[left, right]);
                    }
                    left = right;
                }
                kind = Value::Literal("bool");
            }
            _ => {}
        }
        self.x.flow.plain -= plain;
        self.x.flow.value = result;
        kind
    }

    /// Visits `a if test else b`, its parts with what is known of parameters there; its value is that of either.
    fn conditional(&mut self, node: &ast::ExprIf, part: &mut dyn FnMut(&mut Self, &Expr, Given) -> u32) {
        self.x.decide(1);
        self.x.think(1, true);
        self.x.weigh(1);
        let given = self.x.given_if(&node.test, true);
        let refined = self.x.refined();
        self.narrow(&node.test, true);
        let body = part(self, &node.body, given);
        self.x.unrefine(refined);
        self.read_test(&node.test);
        let given = self.x.given_if(&node.test, false);
        self.narrow(&node.test, false);
        let orelse = part(self, &node.orelse, given);
        self.x.unrefine(refined);
        self.x.flow.value = self.x.flow_join(vec![body, orelse]);
        self.x.weigh(-1);
    }

    /// Visits what a `return` gives.
    pub(super) fn return_(&mut self, value: &Expr) {
        if let Expr::If(node) = value {
            self.conditional(node, &mut |pass, part, known| {
                let given = std::mem::replace(&mut pass.x.flow.given, known);
                pass.return_(part);
                pass.x.flow.given = given;
                0
            });
        } else {
            self.read(value);
            let value = self.x.flow.value;
            self.x.flow_return(value);
        }
    }

    /// Reads an expression whose truth is asked for.
    pub(super) fn read_test(&mut self, test: &Expr) {
        self.read(test);
        if matches!(test, Expr::Name(_) | Expr::Attribute(_) | Expr::Call(_) | Expr::Subscript(_)) {
            let value = self.x.flow.value;
            self.x.flow_operation("__bool__", &[value]);
        }
    }

    #[inline(never)]
    fn call(&mut self, call: &ast::ExprCall) -> Value {
        let start = self.at(call.range_start);
        let callee = self.expr(&call.func);
        let function = self.x.flow.value;
        let receiver = self.x.take_receiver();
        let receiver = if call.func.is_attribute_expr() { receiver } else { (0, 0) };
        let row = self.x.ref_of(callee, start);
        self.x.flag(row, ref_flag::CALLED);
        let arguments = &call.arguments;
        let (positional, keywords, flags) = self.shape(arguments);
        let line = self.x.lines.line(start);
        for (column, value) in [
            (col::CALL_SCOPE, self.x.scope),
            (col::CALL_REF, row),
            (col::CALL_START, start),
            (col::CALL_LINE, line),
            (col::CALL_POSITIONAL, positional),
            (col::CALL_KEYWORDS, keywords),
            (col::CALL_FLAGS, flags),
        ] {
            self.x.out.push(column, value);
        }
        let number = self.x.out.len(col::CALL_SCOPE) as u32;
        let mut result = Value::Call(row);
        match &*call.func {
            Expr::Name(name) => match name.id.as_str() {
                "super" => result = self.super_call(arguments, start),
                "__import__" => self.literal_import(arguments, start),
                _ => {
                    let id = self.x.out.get(col::REF_NAME, row);
                    self.x.called(0, id);
                }
            },
            Expr::Attribute(attribute) if attribute.attr.id.as_str() == "import_module" => {
                self.literal_import(arguments, start)
            }
            Expr::Attribute(attribute) => {
                if attribute.value.is_name_expr() {
                    let out = &self.x.out;
                    let base = out.get(col::REF_NAME, out.get(col::REF_BASE, row));
                    let name = out.get(col::REF_NAME, row);
                    self.x.called(base, name);
                }
                self.all_method(attribute, arguments);
            }
            _ => {}
        }
        let first = self.x.flow_arguments();
        let literals = self.x.flow.leave_literals();
        self.argument_parts(arguments, &mut |pass, part| pass.arguments(part));
        self.x.flow.enter_literals(literals);
        self.x.flow.line = line;
        self.x.flow.value = match result {
            Value::Super(_) | Value::None => {
                let class = self.x.flow_argument_at(first, 0);
                self.x.flow_call(function, receiver, number, first);
                self.x.flow_super(class)
            }
            _ => {
                let named = self.reflected(call, first, start, number);
                let object = self.x.flow_argument_at(first, 0);
                let value = self.x.flow_call(function, receiver, number, first);
                match &*call.func {
                    Expr::Name(name) if name.id.as_str() == "type" && positional == 1 => {
                        self.x.flow_class_of(object, value);
                        value
                    }
                    Expr::Attribute(attribute) if attribute.attr.id.as_str() == "__new__" => {
                        self.x.flow_made_by_new(object, value)
                    }
                    // So that a method which gives a copy of its receiver is known to give what it was called on.
                    Expr::Attribute(attribute)
                        if object != 0
                            && positional == 1
                            && matches!(attribute.attr.id.as_str(), "copy" | "deepcopy")
                            && matches!(&*attribute.value, Expr::Name(name) if name.id.as_str() == "copy") =>
                    {
                        object
                    }
                    _ => self.x.flow_join(vec![named, value]),
                }
            }
        };
        result
    }

    /// `getattr` and `setattr` with a constant name are an attribute as any other. The arguments are those since `first`.
    fn reflected(&mut self, call: &ast::ExprCall, first: usize, start: u32, number: u32) -> u32 {
        let Expr::Name(function) = &*call.func else { return 0 };
        let stores = match function.id.as_str() {
            "getattr" => false,
            "setattr" => true,
            "eval" => return self.evaluated(call, start, number),
            _ => return 0,
        };
        let (mut name, mut like) = (None, None);
        let mut at = 0;
        self.argument_parts(&call.arguments, &mut |pass, part| {
            for argument in &part.args {
                if at == 1 {
                    match argument {
                        Expr::StringLiteral(text) if pass.is_short(text) => {
                            let text = pass.text_of(text);
                            name = Some(pass.x.names.add(&text));
                        }
                        argument => like = pass.like(argument),
                    }
                }
                at += 1;
            }
        });
        if let Some(like) = like.filter(|_| !stores) {
            let (object, value) = (self.x.flow_argument_at(first, 0), self.x.flow_argument_at(first, 2));
            let found = self.x.flow_load_like(object, &like);
            return self.x.flow_join(vec![found, value]);
        }
        let Some(name) = name else {
            if stores {
                return 0;
            }
            let [object, name, value] = [0, 1, 2].map(|at| self.x.flow_argument_at(first, at));
            let found = match self.x.flow_pattern_of(name) {
                Some(like) => self.x.flow_load_like(object, &like),
                None => 0,
            };
            return self.x.flow_join(vec![found, value]);
        };
        let base = self.x.ref_of(Value::None, start);
        let row = self.x.cons(RefKind::Attribute, base, name, start);
        let (object, value) = (self.x.flow_argument_at(first, 0), self.x.flow_argument_at(first, 2));
        if stores {
            self.x.flow_store(object, row, value);
            return 0;
        }
        let found = self.x.flow_load(object, row);
        self.x.take_receiver();
        self.x.flow_join(vec![found, value])
    }

    /// What is known of a text that is put together: how it begins and how it ends, with a `*` between. Nothing where neither is known.
    pub(super) fn like(&mut self, expr: &Expr) -> Option<String> {
        let (mut before, mut after) = (String::new(), String::new());
        match expr {
            Expr::BinOp(node) if node.op == ast::Operator::Add => {
                if let Expr::StringLiteral(text) = &*node.left
                    && self.is_short(text)
                {
                    before = self.text_of(text).into_owned();
                } else if let Expr::BinOp(_) = &*node.left {
                    before =
                        self.like(&node.left).and_then(|left| Some(left.split_once('*')?.0.to_owned()))?;
                }
                if let Expr::StringLiteral(text) = &*node.right
                    && self.is_short(text)
                {
                    after = self.text_of(text).into_owned();
                }
            }
            Expr::BinOp(node) if node.op == ast::Operator::Mod => {
                if let Expr::StringLiteral(text) = &*node.left
                    && self.is_short(text)
                {
                    let text = self.text_of(text);
                    before = text.split_once('%')?.0.to_owned();
                    let end = text.rsplit_once('%')?.1;
                    after =
                        end.strip_prefix(|kind: char| kind.is_ascii_alphabetic()).unwrap_or("").to_owned();
                }
            }
            Expr::FString(string) => {
                let [ast::FStringPart::FString(part)] = string.value.as_slice() else { return None };
                if let Some(InterpolatedStringElement::Literal(text)) = part.elements.first() {
                    before = text.value.to_string();
                }
                if let Some(InterpolatedStringElement::Literal(text)) = part.elements.last() {
                    after = text.value.to_string();
                }
            }
            Expr::Call(call) => {
                if let Expr::Attribute(function) = &*call.func
                    && function.attr.id.as_str() == "format"
                    && let Expr::StringLiteral(text) = &*function.value
                    && self.is_short(text)
                {
                    let text = self.text_of(text);
                    before = text.split_once('{')?.0.to_owned();
                    after = text.rsplit_once('}')?.1.to_owned();
                }
            }
            _ => {}
        }
        let plain = |text: &str| text.len() <= 64 && !text.contains('*');
        (before.len() + after.len() >= 2 && plain(&before) && plain(&after))
            .then(|| format!("{before}*{after}"))
    }

    /// `eval("f()")` calls `f`: call `number` -1 has two callees.
    fn evaluated(&mut self, call: &ast::ExprCall, start: u32, number: u32) -> u32 {
        let mut text = None;
        self.first_argument(&call.arguments, &mut |pass, first| {
            if let Some(Expr::StringLiteral(first)) = first
                && pass.is_short(first)
            {
                text = Some(pass.text_of(first).into_owned());
            }
        });
        let Some(parsed) = text.and_then(|text| ruff_python_parser::parse_expression(&text).ok()) else {
            return 0;
        };
        match parsed.expr() {
            Expr::Call(inner) => {
                let callee = self.quoted(&inner.func, start);
                let first = self.x.flow_arguments();
                if callee == 0 { 0 } else { self.x.flow_call(callee, (0, 0), number, first) }
            }
            path => self.quoted(path, start),
        }
    }

    /// Positional arguments, keyword arguments and flags of a call; adds the names of the keywords.
    fn shape(&mut self, arguments: &ast::Arguments) -> (u32, u32, u32) {
        let (mut positional, mut keywords, mut flags) = (0, 0, 0);
        self.argument_parts(arguments, &mut |pass, part| {
            // The parser saw none of the parts before.
            let late = |argument: &&Expr| !argument.is_starred_expr() || flags & call_flag::DOUBLE_STAR != 0;
            if let Some(argument) = part.args.iter().find(late).filter(|_| keywords > 0) {
                pass.found_late_argument(argument);
            }
            for keyword in &part.keywords {
                let name = keyword.arg.as_ref().map_or(0, |name| pass.x.names.add(&name.id));
                flags |= if name == 0 { call_flag::DOUBLE_STAR } else { 0 };
                pass.x.out.push(col::KW_NAME, name);
            }
            if part.args.iter().any(Expr::is_starred_expr) {
                flags |= call_flag::STAR;
            }
            positional += part.args.len() as u32;
            keywords += part.keywords.len() as u32;
        });
        (positional, keywords, flags)
    }

    /// Calls `visit` with the first positional argument, or with none.
    fn first_argument(
        &mut self,
        arguments: &ast::Arguments,
        visit: &mut dyn FnMut(&mut Self, Option<&Expr>),
    ) {
        let mut found = false;
        self.argument_parts(arguments, &mut |pass, part| {
            if let Some(first) = part.args.first().filter(|_| !found) {
                found = true;
                visit(pass, Some(first));
            }
        });
        if !found {
            visit(self, None);
        }
    }

    /// Visits arguments in the order of the text.
    pub(super) fn arguments(&mut self, arguments: &ast::Arguments) {
        let mut keywords = arguments.keywords.iter().peekable();
        for argument in &arguments.args {
            while let Some(keyword) = keywords.next_if(|keyword| keyword.start() < argument.start()) {
                self.keyword(keyword);
            }
            self.pause();
            let (kind, argument) = match argument {
                Expr::Starred(starred) => (ArgKind::Star, &*starred.value),
                argument => (ArgKind::Positional, argument),
            };
            self.read(argument);
            let value = self.x.flow.value;
            self.x.flow_argument(kind, argument, 0, value);
        }
        for keyword in keywords {
            self.keyword(keyword);
        }
    }

    fn keyword(&mut self, keyword: &ast::Keyword) {
        self.pause();
        self.read(&keyword.value);
        let value = self.x.flow.value;
        match &keyword.arg {
            Some(name) => {
                let name = self.x.names.add(&name.id);
                self.x.flow_argument(ArgKind::Keyword, &keyword.value, name, value);
            }
            None => self.x.flow_argument(ArgKind::DoubleStar, &keyword.value, 0, value),
        }
    }

    fn super_call(&mut self, arguments: &ast::Arguments, start: u32) -> Value {
        let mut value = Value::None;
        self.first_argument(arguments, &mut |pass, class| {
            value = match class {
                None => Value::Super(0),
                // Visited again with the other arguments, so what it calls must not count here.
                Some(class) if is_path(class) => {
                    let value = pass.expr(class);
                    Value::Super(pass.x.value_ref(value, start))
                }
                Some(_) => Value::None,
            }
        });
        value
    }

    /// `import_module("a.b")` is an import row of its own.
    fn literal_import(&mut self, arguments: &ast::Arguments, start: u32) {
        self.first_argument(arguments, &mut |pass, module| {
            if let Some(Expr::StringLiteral(module)) = module {
                let text = pass.text_of(module);
                let level = text.bytes().take_while(|&byte| byte == b'.').count();
                pass.import_row(ImportKind::Literal, &text[level..], "", 0, level as u32, start, false);
            }
        });
    }

    /// `__all__.extend([...])`, `__all__.append("x")`.
    fn all_method(&mut self, attribute: &ast::ExprAttribute, arguments: &ast::Arguments) {
        let Expr::Name(name) = &*attribute.value else { return };
        if name.id.as_str() != "__all__" || self.x.scope != 0 {
            return;
        }
        self.first_argument(arguments, &mut |pass, first| match (attribute.attr.id.as_str(), first) {
            ("extend", Some(value)) => pass.exports(value),
            ("append", Some(Expr::StringLiteral(value))) => {
                let text = pass.text_of(value);
                pass.export(&text);
            }
            _ => pass.dynamic_all(),
        });
    }

    #[inline(never)]
    fn lambda(&mut self, lambda: &ast::ExprLambda) -> Value {
        let (start, end) = (self.at(lambda.range.start()), self.end(lambda.range.end()));
        let pending = self.x.flow.pending.len();
        if let Some(parameters) = &lambda.parameters {
            self.defaults(parameters);
        }
        let line = self.x.lines.line(start);
        let (scope, symbol, conditional) = (self.x.scope, self.x.symbol, self.x.conditional);
        let parent = self.x.parent_of_lambda();
        let sym = self.x.add_symbol(SymbolKind::Lambda, 0, 0, parent, start, end, line);
        let inner = self.x.open_scope(ScopeKind::Lambda, sym);
        self.x.out.set(col::SYM_SCOPE, sym, inner + 1);
        self.x.symbol = sym;
        self.x.conditional = 0;
        let around = self.flow_function(sym, inner, lambda.parameters.as_deref(), pending);
        self.x.weigh(1);
        self.x.lambdas += 1;
        self.read(&lambda.body);
        let value = self.x.flow.value;
        self.x.flow_return(value);
        self.x.body_end(around);
        self.x.lambdas -= 1;
        self.x.weigh(-1);
        (self.x.scope, self.x.symbol, self.x.conditional) = (scope, symbol, conditional);
        // The lambda as a value: a name that nothing else can have.
        let name = self.x.names.add(&format!("<lambda@{sym}>"));
        let row = self.x.cons(RefKind::Name, scope, name, start);
        self.bind(scope, name, BindingKind::Definition, sym, lambda.range, line);
        self.x.flow.value = self.x.flow_symbol(sym);
        Value::Ref(row)
    }

    #[inline(never)]
    fn comprehension(&mut self, elements: &[&Expr], generators: &[ast::Comprehension], kind: Container) {
        let scope = self.x.scope;
        let inner = self.x.open_scope(ScopeKind::Comprehension, self.x.symbol);
        self.x.held.push(inner);
        let container = self.x.flow_new(kind);
        let around = self.x.body_begin(FlowOp::EnterScope, inner, inner, 0, 0);
        let (mut key, mut value) = (0, 0);
        for element in elements {
            self.read(element);
            key = std::mem::replace(&mut value, self.x.flow.value);
        }
        self.x.flow_put(container, if kind == Container::Dict { key } else { 0 }, value);
        for (index, generator) in generators.iter().enumerate() {
            self.x.decide(1 + generator.ifs.len() as u32);
            let element = self.x.flow_fresh();
            self.bind_target(&generator.target, 0, element);
            // The first iterable is evaluated outside.
            if index == 0 {
                self.x.scope = scope;
                let here = self.x.step_out(&around);
                self.read(&generator.iter);
                self.x.step_in(here);
            } else {
                self.x.scope = inner;
                self.read(&generator.iter);
            }
            let iterable = self.x.flow.value;
            self.x.flow_made(element, FlowOp::Iterate, iterable, u32::from(generator.is_async));
            self.x.scope = inner;
            for condition in &generator.ifs {
                self.read_test(condition);
            }
        }
        self.x.body_end(around);
        self.x.held.pop();
        self.x.scope = scope;
        self.x.flow.value = container;
    }

    fn generator(&mut self) {
        let mut scope = self.x.scopes.get(self.x.scope);
        while scope.kind == ScopeKind::Comprehension && scope.parent != 0 {
            scope = self.x.scopes.get(scope.parent - 1);
        }
        if scope.kind == ScopeKind::Lambda {
            self.x.out.or(col::SYM_FLAGS, scope.sym, symbol_flag::GENERATOR);
        } else if let Some(frame) = self.x.frames.last_mut() {
            frame.generator = true;
        }
    }

    /// Binds what `target` names to the value of ref `value` (+1, 0 unknown), which variable `flow` holds.
    pub(super) fn bind_target(&mut self, target: &Expr, value: u32, flow: u32) {
        self.check_target(target, false);
        self.bind_checked(target, value, flow);
    }

    fn bind_checked(&mut self, target: &Expr, value: u32, flow: u32) {
        match target {
            Expr::Name(name) => {
                let id = self.x.names.add(&name.id);
                let line = self.line(name.range.start());
                self.bind(self.x.scope, id, BindingKind::Value, value, name.range, line);
                let start = self.at(name.range.start());
                self.x.flow_define(id, flow, start);
            }
            Expr::Attribute(attribute) => {
                let (row, base) = self.attribute_of(attribute);
                self.x.flow_store(base, row, flow);
                self.x.flag(row, ref_flag::WRITTEN);
                self.bind_instance(attribute, value);
            }
            Expr::Subscript(subscript) => {
                let (_, base, key) = self.subscript(subscript);
                let constant =
                    if subscript.value.is_name_expr() { self.constant(&subscript.slice) } else { None };
                if !constant.is_some_and(|constant| self.x.replaced(base, constant, flow)) {
                    self.x.flow_put(base, key, flow);
                }
                if subscript.slice.is_slice_expr() && flow != 0 {
                    let element = self.x.made(FlowOp::Iterate, flow, 0);
                    self.x.flow_put(base, 0, element);
                }
            }
            Expr::Tuple(_) | Expr::List(_) => {
                let mut at = 0;
                self.elements(target, &mut |pass, element| {
                    if element.is_starred_expr() {
                        at |= 1 << 16;
                    }
                    let part = pass.x.flow_one(FlowOp::Unpack, flow, at.min(1 << 16));
                    pass.bind_checked(element, 0, part);
                    at += 1;
                });
            }
            Expr::Starred(starred) => {
                let rest = if flow == 0 { 0 } else { self.x.flow_new(Container::List) };
                self.x.flow_element(rest, None, flow);
                self.bind_checked(&starred.value, 0, rest);
            }
            _ => {
                self.read(target);
            }
        }
    }

    /// `self.x = value` in a method binds an attribute of the class's instances.
    fn bind_instance(&mut self, attribute: &ast::ExprAttribute, value: u32) {
        let Expr::Name(base) = &*attribute.value else { return };
        let id = self.x.names.add(&base.id);
        let Some(frame) = self.x.frames.last() else { return };
        if frame.self_name != id || id == 0 {
            return;
        }
        let class_scope = frame.class_scope;
        let scope = self.x.instance_scope(class_scope);
        let name = self.x.names.add(&attribute.attr.id);
        let line = self.line(attribute.range.start());
        self.bind(scope, name, BindingKind::Value, value, attribute.range, line);
    }
}

/// A name or attributes of one: visiting it twice gives no row twice.
pub(super) fn is_path(mut expr: &Expr) -> bool {
    while let Expr::Attribute(attribute) = expr {
        expr = &attribute.value;
    }
    expr.is_name_expr()
}

/// Conversions of a text that `%` is applied to, as in "printf-style String Formatting" of the documentation of Python's built-in types; none
/// where they have names or widths of their own.
fn conversions(text: &str) -> Vec<u8> {
    let mut found = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            continue;
        }
        let flag =
            |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b' ' | b'#' | b'l' | b'h' | b'L');
        match bytes.find(|byte| !flag(byte)) {
            Some(b'%') => {}
            Some(b'(' | b'*') | None => return Vec::new(),
            Some(conversion) => found.push(conversion),
        }
    }
    found
}

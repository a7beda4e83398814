//! What one file says, whatever the rest of the project: the unit of caching and the only thing that
//! later stages see of a file.
//!
//! Facts are a pure function of (bytes, kind of file, [`EXTRACTOR_VERSION`]): no path, no clock, no other
//! file. Rows refer to each other by number within the file. A column whose name says "+1" holds 0 for
//! "none".

use super::block::{self, Schema as _};

/// Version of the extraction and of this schema. Any change of what the same bytes give raises it.
pub const EXTRACTOR_VERSION: u32 = 8;

block::schema! {
    /// Schema of a file's facts.
    FactsSchema {
        /// One row: the file itself.
        File {
            /// [`file_flag`] bits.
            FILE_FLAGS,
            /// String: the encoding the bytes were read by.
            FILE_ENCODING,
            /// Size of the decoded text, bytes.
            FILE_BYTES,
            /// String: module docstring's first line.
            FILE_DOC,
            /// Number of variables of the value flow, that with number 0 included.
            FILE_VARIABLES,
        }
        /// Distinct strings; string 0 is empty.
        Strings {
            /// [`super::name::hash`] of the string.
            STR_HASH,
            /// End of the string in the blob, bytes.
            STR_END,
        }
        /// Definitions: module (row 0), classes, functions, lambdas, type aliases, then variables.
        Symbols {
            /// [`super::SymbolKind`].
            SYM_KIND,
            /// [`super::symbol_flag`] bits.
            SYM_FLAGS,
            /// String; empty for module and lambdas.
            SYM_NAME,
            /// Enclosing symbol +1.
            SYM_PARENT,
            /// Scope that the symbol opens +1.
            SYM_SCOPE,
            /// First byte (of decorators too).
            SYM_START,
            /// Length, bytes.
            SYM_LEN,
            /// Line of the `def`, `class` or name, from 1.
            SYM_LINE,
            /// 0 for what importers see under the name, k for the k-th shadowed one; number of a lambda.
            SYM_ORDINAL,
        }
        /// Measures of module, classes and functions.
        Bodies {
            /// Symbol.
            BODY_SYM,
            /// Last line.
            BODY_END_LINE,
            /// Lines that hold code.
            BODY_SLOC,
            /// Lines that hold a comment alone.
            BODY_COMMENT,
            /// Blank lines.
            BODY_BLANK,
            /// Cyclomatic complexity, as radon counts it.
            BODY_CC,
            /// Cognitive complexity.
            BODY_COGNITIVE,
            /// Deepest nesting of control structures.
            BODY_NESTING,
            /// Maintainability index times 100 (0 to 10,000).
            BODY_MI,
            /// String: first line of the docstring.
            BODY_DOC,
            /// String: return annotation as written.
            BODY_RETURNS,
        }
        /// Parameters and type parameters.
        Params {
            /// Symbol of the function, class or alias.
            PAR_SYM,
            /// String.
            PAR_NAME,
            /// [`super::ParamKind`].
            PAR_KIND,
            /// String: annotation or bound as written.
            PAR_ANNOTATION,
            /// String: default as written, cut at 80 bytes.
            PAR_DEFAULT,
        }
        /// Scopes: module (row 0), classes, functions, lambdas, comprehensions, type parameters, instances.
        Scopes {
            /// [`super::ScopeKind`].
            SCO_KIND,
            /// Enclosing scope +1.
            SCO_PARENT,
            /// Symbol whose code stands here (that of the enclosing function for a comprehension).
            SCO_SYM,
            /// First row in Bindings; they end where the next scope's begin.
            SCO_BIND,
        }
        /// What names are bound to, by scope, then hash of the name, then name, then source order.
        Bindings {
            /// String.
            BIN_NAME,
            /// [`super::BindingKind`], plus [`super::BINDING_CONDITIONAL`] and [`super::BINDING_LAST`].
            BIN_KIND,
            /// By kind: symbol, import row, parameter row, value's ref +1.
            BIN_TARGET,
        }
        /// Distinct access paths per scope: `a`, `a.b`, `f().x`.
        Refs {
            /// Scope in which it is written.
            REF_SCOPE,
            /// [`super::RefKind`].
            REF_KIND,
            /// Ref it starts from; for a name: its first row in Bindings +1.
            REF_BASE,
            /// String.
            REF_NAME,
            /// [`super::ref_flag`] bits.
            REF_FLAGS,
            /// Line of the first use.
            REF_LINE,
        }
        /// Explicit call sites in source order of their scopes' visit.
        Calls {
            /// Scope in which it is written.
            CALL_SCOPE,
            /// Ref of the callee.
            CALL_REF,
            /// First byte.
            CALL_START,
            /// Line.
            CALL_LINE,
            /// Number of positional arguments, starred ones included.
            CALL_POSITIONAL,
            /// Number of keyword arguments; their names are next in Keywords.
            CALL_KEYWORDS,
            /// [`super::call_flag`] bits.
            CALL_FLAGS,
        }
        /// Names of keyword arguments, call after call; empty for `**`.
        Keywords {
            /// String.
            KW_NAME,
        }
        /// Imports, a row for each alias.
        Imports {
            /// Scope.
            IMP_SCOPE,
            /// [`super::ImportKind`].
            IMP_KIND,
            /// [`super::import_flag`] bits.
            IMP_FLAGS,
            /// String: module as written, without leading dots.
            IMP_MODULE,
            /// String: imported name (`from`).
            IMP_NAME,
            /// String: bound name.
            IMP_AS,
            /// Leading dots.
            IMP_LEVEL,
            /// First byte of the statement.
            IMP_START,
            /// Line of the statement.
            IMP_LINE,
        }
        /// Arguments of class statements.
        Bases {
            /// Symbol of the class.
            BASE_SYM,
            /// Ref of the value.
            BASE_REF,
            /// String: keyword (`metaclass`), empty for a base.
            BASE_KEYWORD,
            /// Line.
            BASE_LINE,
        }
        /// Decorators, outermost first.
        Decorators {
            /// Symbol decorated.
            DEC_SYM,
            /// Ref of the decorator; of its factory where it is called.
            DEC_REF,
            /// 1 where it is called.
            DEC_CALLED,
            /// Line.
            DEC_LINE,
        }
        /// Exceptions raised and caught.
        Exceptions {
            /// Scope.
            EXC_SCOPE,
            /// Ref of the exception (of its class where it is called).
            EXC_REF,
            /// 0 raised, 1 caught.
            EXC_CAUGHT,
            /// Line.
            EXC_LINE,
        }
        /// `__all__`.
        Exports {
            /// String: name, or empty where a module's `__all__` is added.
            EXP_NAME,
            /// Ref of the added `__all__` +1.
            EXP_REF,
        }
        /// `__slots__`.
        Slots {
            /// Symbol of the class.
            SLOT_SYM,
            /// String.
            SLOT_NAME,
        }
        /// What the code does with values, in order of evaluation, one constraint a row: see [`super::FlowOp`]. Variables are numbered
        /// from 1; 0 is a value that nothing is known of.
        Flow {
            /// [`super::FlowOp`].
            FLOW_OP,
            /// Variable that is defined.
            FLOW_OUT,
            /// First operand.
            FLOW_A,
            /// Second operand.
            FLOW_B,
            /// Line.
            FLOW_LINE,
        }
        /// Arguments of calls in Flow: a row for the call, one for the receiver of a method, then one for each argument.
        FlowArgs {
            /// For the call: the row in Calls +1, or 0. For the receiver: ref of the method. Else [`super::ArgKind`]
            /// and what it is, as a condition of [`super::given`].
            ARG_KIND,
            /// For the call: twice the number of arguments, plus 1 where a receiver comes next. Else a variable.
            ARG_VALUE,
            /// String: the keyword.
            ARG_NAME,
        }
        /// Names in Flow: of what is assigned, and constants.
        FlowNames {
            /// String.
            FLOW_NAME,
        }
        /// Syntax errors.
        Errors {
            /// First byte.
            ERR_START,
            /// Length, bytes.
            ERR_LEN,
            /// Line, from 1.
            ERR_LINE,
            /// Column in characters, from 1.
            ERR_COLUMN,
            /// String.
            ERR_MESSAGE,
            /// First byte of what the facts may lack: the statement that the error is in, or what lies between two.
            ERR_LOST_START,
            /// Its length, bytes; 0 where nothing is lost.
            ERR_LOST_LEN,
        }
    }
}

/// Rows of facts while they are made.
pub type FactsBuilder = block::Builder<FactsSchema>;

/// Declares an enum stored in a column as its number.
macro_rules! stored {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$vmeta])* $variant),* }
        impl $name {
            /// All, in order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// Name in outputs.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
            /// The one with this number; the last one where there is none.
            #[inline]
            pub fn from_u32(number: u32) -> Self {
                Self::ALL.get(number as usize).copied().unwrap_or(Self::ALL[Self::ALL.len() - 1])
            }
        }
    };
}
pub(crate) use stored;

stored! {
    /// Kind of a symbol.
    SymbolKind {
        /// A file.
        Module = "module",
        /// `class`.
        Class = "class",
        /// `def` outside a class body.
        Function = "function",
        /// `def` in a class body.
        Method = "method",
        /// `lambda`.
        Lambda = "lambda",
        /// `type X = ...`.
        TypeAlias = "type_alias",
        /// Bound in a module.
        Variable = "variable",
        /// Bound in a class body.
        ClassVariable = "class_variable",
        /// Bound through `self`.
        InstanceVariable = "instance_variable",
    }
}

/// Bits of `SYM_FLAGS`.
#[expect(missing_docs, reason = "the names say it")]
pub mod symbol_flag {
    pub const ASYNC: u32 = 1;
    pub const GENERATOR: u32 = 1 << 1;
    pub const STATIC: u32 = 1 << 2;
    pub const CLASSMETHOD: u32 = 1 << 3;
    pub const PROPERTY: u32 = 1 << 4;
    pub const SETTER: u32 = 1 << 5;
    pub const DELETER: u32 = 1 << 6;
    pub const OVERLOAD: u32 = 1 << 7;
    pub const ABSTRACT: u32 = 1 << 8;
    pub const CONDITIONAL: u32 = 1 << 9;
    pub const CONSTANT: u32 = 1 << 10;
    pub const ENUM: u32 = 1 << 11;
    pub const DATACLASS: u32 = 1 << 12;
    pub const FIELD: u32 = 1 << 13;
    pub const ANNOTATED: u32 = 1 << 14;
    /// Defined for type checkers alone.
    pub const DECLARED: u32 = 1 << 15;
    /// Names of the bits, lowest first.
    pub const NAMES: [&str; 16] = [
        "async",
        "generator",
        "static",
        "classmethod",
        "property",
        "setter",
        "deleter",
        "overload",
        "abstract",
        "conditional",
        "constant",
        "enum",
        "dataclass",
        "field",
        "annotated",
        "declared",
    ];

    /// Names of the bits that are set, lowest first.
    pub fn names(bits: u32) -> impl Iterator<Item = &'static str> {
        NAMES.iter().enumerate().filter(move |(bit, _)| bits >> bit & 1 != 0).map(|(_, name)| *name)
    }
}

/// Bits of `FILE_FLAGS`.
#[expect(missing_docs, reason = "the names say it")]
pub mod file_flag {
    pub const HAS_ALL: u32 = 1;
    pub const DYNAMIC_ALL: u32 = 1 << 1;
    pub const BOM: u32 = 1 << 2;
    /// Bytes that the encoding does not know were replaced.
    pub const LOSSY: u32 = 1 << 3;
    /// The module defines `__getattr__`.
    pub const GETATTR: u32 = 1 << 4;
}

stored! {
    /// Kind of a parameter.
    ParamKind {
        /// Before `/`.
        PositionalOnly = "positional_only",
        /// Ordinary.
        Positional = "positional",
        /// `*args`.
        Star = "star",
        /// After `*`.
        KeywordOnly = "keyword_only",
        /// `**kwargs`.
        DoubleStar = "double_star",
        /// `T` of `[T]`.
        Type = "type",
    }
}

stored! {
    /// Kind of a scope.
    ScopeKind {
        /// The file.
        Module = "module",
        /// A class body.
        Class = "class",
        /// A function body.
        Function = "function",
        /// A lambda.
        Lambda = "lambda",
        /// A comprehension or generator expression.
        Comprehension = "comprehension",
        /// Type parameters of a function, class or alias.
        TypeParams = "type_params",
        /// Attributes set on the instances of a class.
        Instance = "instance",
    }
}

stored! {
    /// What binds a name.
    BindingKind {
        /// The variable symbol that stands for the name (first of its run).
        Variable = "variable",
        /// `def`, `class`, `type`: a symbol.
        Definition = "definition",
        /// An import row.
        Import = "import",
        /// `from m import *`: an import row, under the empty name.
        Star = "star",
        /// A parameter row.
        Parameter = "parameter",
        /// A value: its ref +1, or 0 where it has none.
        Value = "value",
        /// `global`.
        Global = "global",
        /// `nonlocal`.
        Nonlocal = "nonlocal",
        /// An annotation without a value.
        Annotation = "annotation",
    }
}

/// Added to a binding's kind where it stands in a branch, a loop or a `try`.
pub const BINDING_CONDITIONAL: u32 = 16;

/// Added to the kind of the last binding of a name in its scope.
pub const BINDING_LAST: u32 = 32;

stored! {
    /// Form of an access path.
    RefKind {
        /// A name.
        Name = "name",
        /// `base.name`.
        Attribute = "attribute",
        /// What a call of `base` returns.
        Call = "call",
        /// `super()`, or `super(C, x)` with C as base +1.
        Super = "super",
        /// A literal; its type is the name.
        Literal = "literal",
        /// `base[...]`.
        Subscript = "subscript",
        /// What `await base` gives.
        Await = "await",
        /// Any other expression.
        Other = "other",
    }
}

stored! {
    /// A constraint of the value flow: of variables `out`, `a` and `b`, unless it says otherwise.
    FlowOp {
        /// The body of function `a` begins. `out` is what it returns, `out + 1` what it yields, then come its parameters; `b` is the first row of
        /// these in Params. Those of kinds `*` and `**` are containers, made by the next rows.
        Enter = "enter",
        /// The body of class `a` begins.
        EnterClass = "enter_class",
        /// A comprehension begins, whose scope is `a`.
        EnterScope = "enter_scope",
        /// The innermost body ends.
        Leave = "leave",
        /// `a` flows to `out`.
        Copy = "copy",
        /// `b` is assigned to the name in row `a` of FlowNames, in the current scope; `out` is what the name stands for from here on.
        Define = "define",
        /// `b` is assigned to what name ref `a` stands for.
        Assign = "assign",
        /// What name ref `a` stands for, wherever it is assigned.
        Name = "name",
        /// Function or class `a`.
        Symbol = "symbol",
        /// A constant: string `b` of FlowNames, or with `a` = 1 the number `b`.
        Constant = "constant",
        /// What import row `a` binds.
        Import = "import",
        /// Attribute of `a`; its name is that of ref `b`.
        Load = "load",
        /// `out` is assigned to an attribute of `a`; its name is that of ref `b`.
        Store = "store",
        /// A new container of kind [`Container`] `a`.
        New = "new",
        /// `b` is put into the container `out` under constant number `a` - 1, or with 0 under any; with [`ITEMS`], all items of `b` are, under
        /// their own keys.
        Element = "element",
        /// `out` is put into `a` under `b`.
        Put = "put",
        /// What `a` has under `b`.
        Get = "get",
        /// Element number `b` of `a`; of all after a starred one with `b` = 2^16.
        Unpack = "unpack",
        /// What iteration over `a` gives; `b` is 1 for `async for`.
        Iterate = "iterate",
        /// A call of `a`; arguments begin at row `b` of FlowArgs.
        Call = "call",
        /// The same, of a decorator.
        Decorate = "decorate",
        /// An operation on `a` that a method in row `b` of [`PROTOCOL`] may do; arguments follow as [`FlowOp::Operand`].
        Operation = "operation",
        /// `a` is an operand of the operation before.
        Operand = "operand",
        /// Parameter number `a` of the function is returned as it is; with `b` = 1 `out`, an instance of the class that it is, with 2 `out`,
        /// an instance of the class that it is one of, with 3 this class.
        Pass = "pass",
        /// Where the body returns something else in other cases: `out` is returned if its parameters were given as `a` and `b` say, which are
        /// conditions as [`given`] has them. Comes at the end of the body, for all that it returns; `returned` has them too.
        Return = "return",
        /// What `await a` gives.
        Await = "await",
        /// What `with a as` gives.
        With = "with",
        /// `super()`: of class `a` or, with 0, of the class around; `b` is the receiver.
        Super = "super",
        /// An instance of class `a` or one below, as an annotation or a test says; with `b` = 1 of exactly this one, as `__new__` gives.
        Instance = "instance",
        /// What of `a` may be an instance of a class in `b`, as a test says.
        Narrow = "narrow",
        /// Attributes of `a` whose names are like row `b` of FlowNames, where `*` stands for any text.
        LoadLike = "load_like",
    }
}

/// True for a type of the language whose instances can't be called.
#[must_use]
pub fn is_data(class: &str) -> bool {
    matches!(
        class,
        "str" | "bytes" | "int" | "float" | "bool" | "list" | "tuple" | "dict" | "set" | "frozenset"
    )
}

/// Operand `a` of [`FlowOp::Element`] where the items of a mapping are put into a dictionary.
pub const ITEMS: u32 = 1 << 16;

/// Conditions of [`FlowOp::Return`]: a parameter's number times 8, plus what may have been given for it. 0 is none. The same of arguments,
/// with an [`ArgKind`] for the number.
pub mod given {
    /// Nothing or `None`.
    pub const NOTHING: u32 = 1;
    /// Something that can be called.
    pub const CALLABLE: u32 = 2;
    /// Something else.
    pub const OTHER: u32 = 4;
    /// Anything.
    pub const ANY: u32 = NOTHING | CALLABLE | OTHER;

    /// The condition that something of `kinds` was given for parameter number `place`.
    #[must_use]
    pub const fn condition(place: u32, kinds: u32) -> u32 {
        place << 3 | kinds
    }

    /// Parameter and kinds of a condition.
    #[must_use]
    pub const fn parts(condition: u32) -> (u32, u32) {
        (condition >> 3, condition & ANY)
    }
}

stored! {
    /// Kind of a container of the value flow.
    Container {
        /// `[...]`.
        List = "list",
        /// `(...)`.
        Tuple = "tuple",
        /// `{...}` of elements.
        Set = "set",
        /// `{...}` with keys.
        Dict = "dict",
        /// A generator expression.
        Generator = "generator",
    }
}

stored! {
    /// Kind of an argument of the value flow.
    ArgKind {
        /// By position.
        Positional = "positional",
        /// `*x`.
        Star = "star",
        /// `name=x`.
        Keyword = "keyword",
        /// `**x`.
        DoubleStar = "double_star",
    }
}

/// Methods that operations call: those of the left operand or only one, and those of the right one where the left has none.
pub const PROTOCOL: &[(&str, &str)] = &[
    ("__add__", "__radd__"),
    ("__sub__", "__rsub__"),
    ("__mul__", "__rmul__"),
    ("__matmul__", "__rmatmul__"),
    ("__truediv__", "__rtruediv__"),
    ("__mod__", "__rmod__"),
    ("__pow__", "__rpow__"),
    ("__lshift__", "__rlshift__"),
    ("__rshift__", "__rrshift__"),
    ("__or__", "__ror__"),
    ("__xor__", "__rxor__"),
    ("__and__", "__rand__"),
    ("__floordiv__", "__rfloordiv__"),
    ("__eq__", "__eq__"),
    ("__ne__", "__ne__"),
    ("__lt__", "__gt__"),
    ("__le__", "__ge__"),
    ("__gt__", "__lt__"),
    ("__ge__", "__le__"),
    ("__invert__", ""),
    ("__neg__", ""),
    ("__pos__", ""),
    ("__bool__", ""),
    ("__contains__", ""),
    ("__delitem__", ""),
    ("__iadd__", ""),
    ("__isub__", ""),
    ("__imul__", ""),
    ("__imatmul__", ""),
    ("__itruediv__", ""),
    ("__imod__", ""),
    ("__ipow__", ""),
    ("__ilshift__", ""),
    ("__irshift__", ""),
    ("__ior__", ""),
    ("__ixor__", ""),
    ("__iand__", ""),
    ("__ifloordiv__", ""),
    ("__format__", ""),
    ("__str__", ""),
    ("__repr__", ""),
    ("__len__", ""),
    ("keys", ""),
];

/// Bits of `REF_FLAGS`.
#[expect(missing_docs, reason = "the names say it")]
pub mod ref_flag {
    /// Read, other than to go on from it or to call it.
    pub const READ: u32 = 1;
    pub const CALLED: u32 = 1 << 1;
    pub const WRITTEN: u32 = 1 << 2;
    pub const DELETED: u32 = 1 << 3;
    pub const ANNOTATION: u32 = 1 << 4;
    pub const DECORATOR: u32 = 1 << 5;
    pub const BASE: u32 = 1 << 6;
}

/// Bits of `CALL_FLAGS`.
#[expect(missing_docs, reason = "the names say it")]
pub mod call_flag {
    pub const STAR: u32 = 1;
    pub const DOUBLE_STAR: u32 = 1 << 1;
    pub const DECORATOR: u32 = 1 << 2;
    pub const AWAITED: u32 = 1 << 3;
}

stored! {
    /// Form of an import.
    ImportKind {
        /// `import a.b`.
        Module = "module",
        /// `from m import n`.
        From = "from",
        /// `from m import *`.
        Star = "star",
        /// `importlib.import_module("m")`, `__import__("m")`.
        Literal = "string",
    }
}

/// Bits of `IMP_FLAGS`.
#[expect(missing_docs, reason = "the names say it")]
pub mod import_flag {
    pub const TYPE_CHECKING: u32 = 1;
    /// Inside a function.
    pub const LOCAL: u32 = 1 << 1;
    /// In a `try` whose handlers catch an import error, or in such a handler.
    pub const OPTIONAL: u32 = 1 << 2;
    /// PEP 810.
    pub const LAZY: u32 = 1 << 3;
}

/// The facts of one file, in place.
pub type Facts<'a> = block::View<'a, { col::COUNT }, { table::COUNT }>;

impl<'a> Facts<'a> {
    /// Reads the header; `None` where the bytes are no facts of this version.
    pub fn open(bytes: &'a [u8]) -> Option<Self> {
        Self::new(bytes, FactsSchema::TABLE_OF)
    }

    /// Bytes of string `id`; none where there is no such string.
    #[inline]
    pub fn bytes_of(&self, id: u32) -> &'a [u8] {
        if id >= self.rows(table::Strings) {
            return &[];
        }
        let start = if id == 0 { 0 } else { self.get(col::STR_END, id - 1) } as usize;
        self.blob().get(start..self.get(col::STR_END, id) as usize).unwrap_or_default()
    }

    /// String `id`.
    #[inline]
    pub fn text(&self, id: u32) -> &'a str {
        // Blocks are checksummed, so this is the text that was written; a damaged one reads as empty.
        std::str::from_utf8(self.bytes_of(id)).unwrap_or_default()
    }

    /// The string in `column` of `row`.
    #[inline]
    pub fn str(&self, column: usize, row: u32) -> &'a str {
        self.text(self.get(column, row))
    }

    /// A "+1" column: `None` for 0.
    #[inline]
    pub fn opt(&self, column: usize, row: u32) -> Option<u32> {
        self.get(column, row).checked_sub(1)
    }

    /// Rows of `scope` in Bindings.
    #[inline]
    pub fn bindings_of(&self, scope: u32) -> std::ops::Range<u32> {
        let end = if scope + 1 < self.rows(table::Scopes) {
            self.get(col::SCO_BIND, scope + 1)
        } else {
            self.rows(table::Bindings)
        };
        self.get(col::SCO_BIND, scope)..end
    }

    /// The bindings of one name in one scope, from its first row.
    #[inline]
    pub fn run(&self, first: u32) -> std::ops::Range<u32> {
        let mut last = first;
        while self.get(col::BIN_KIND, last) & BINDING_LAST == 0 && last + 1 < self.rows(table::Bindings) {
            last += 1;
        }
        first..last + 1
    }

    /// Rows of `scope` in Bindings that bind `name`, in source order.
    pub fn lookup(&self, scope: u32, name: &[u8], hash: u32) -> std::ops::Range<u32> {
        if scope >= self.rows(table::Scopes) {
            return 0..0;
        }
        let std::ops::Range { mut start, end } = self.bindings_of(scope);
        let mut high = end;
        while start < high {
            let middle = start + (high - start) / 2;
            if self.get(col::STR_HASH, self.get(col::BIN_NAME, middle)) < hash {
                start = middle + 1;
            } else {
                high = middle;
            }
        }
        while start < end {
            let id = self.get(col::BIN_NAME, start);
            if self.get(col::STR_HASH, id) != hash {
                break;
            }
            let run = self.run(start);
            if self.bytes_of(id) == name {
                return run;
            }
            start = run.end;
        }
        start..start
    }
}

impl Facts<'_> {
    /// Qualified name of a symbol within its module, dotted: `Class.method`, `outer.<lambda1>`, `f#1` for a shadowed one.
    pub fn qualname(&self, symbol: u32) -> String {
        let mut name = String::new();
        self.push_qualname(symbol, true, &mut name);
        name
    }

    /// Appends the qualified name; shadowed definitions carry their number where `ordinals`.
    pub fn push_qualname(&self, symbol: u32, ordinals: bool, out: &mut String) {
        // Outwards first: facts that came from elsewhere may have any number of symbols within each other.
        let parent = |symbol: &u32| self.opt(col::SYM_PARENT, *symbol).filter(|&parent| parent != 0);
        let around: smallvec::SmallVec<[u32; 8]> = std::iter::successors(parent(&symbol), parent).collect();
        for &symbol in around.iter().rev() {
            self.push_own_name(symbol, ordinals, out);
            out.push('.');
        }
        self.push_own_name(symbol, ordinals, out);
    }

    /// Appends the last part of the qualified name.
    fn push_own_name(&self, symbol: u32, ordinals: bool, out: &mut String) {
        use std::fmt::Write as _;
        let ordinal = self.get(col::SYM_ORDINAL, symbol);
        let flags = self.get(col::SYM_FLAGS, symbol);
        if self.get(col::SYM_KIND, symbol) == SymbolKind::Lambda as u32 {
            let _ = write!(out, "<lambda{ordinal}>");
            return;
        }
        out.push_str(self.str(col::SYM_NAME, symbol));
        if flags & symbol_flag::SETTER != 0 {
            out.push_str(".setter");
        } else if flags & symbol_flag::DELETER != 0 {
            out.push_str(".deleter");
        }
        if ordinals && ordinal != 0 {
            let _ = write!(out, "#{ordinal}");
        }
    }
}

//! What linking found out about one file: for each import, call site, base and decorator its targets.
//!
//! Rows stand beside those of the file's facts, by number. A target is named once a file, in Targets;
//! everything else refers to that row, so that a relink after an edit elsewhere changes one column.

use crate::model::block::{self, Schema as _};
use crate::model::facts::stored;

block::schema! {
    /// Schema of a file's links.
    LinkSchema {
        /// What this file's rows point to.
        Targets {
            /// [`super::TargetKind`].
            TGT_KIND,
            /// Symbol number in the project, or string.
            TGT_ID,
        }
        /// Dotted names of targets outside the project.
        Strings {
            /// End in the blob, bytes.
            LSTR_END,
        }
        /// For each import row.
        Imports {
            /// [`super::ImportStatus`].
            LIMP_STATUS,
            /// Module +1.
            LIMP_MODULE,
            /// Imported symbol +1.
            LIMP_SYMBOL,
        }
        /// For each call row.
        Sites {
            /// [`super::CallStatus`].
            SITE_STATUS,
            /// [`super::Reason`].
            SITE_REASON,
            /// First row in List.
            SITE_FIRST,
            /// Number of rows in List.
            SITE_COUNT,
        }
        /// Targets of call sites; sites with the same callee share a run.
        List {
            /// Target.
            LIST_TARGET,
            /// [`super::Evidence`].
            LIST_EVIDENCE,
        }
        /// Uses of a symbol other than a call.
        References {
            /// Ref row.
            RFR_REF,
            /// Target.
            RFR_TARGET,
        }
        /// For each base row.
        Bases {
            /// Target +1.
            LBASE_TARGET,
        }
        /// For each decorator row.
        Decorators {
            /// Target +1.
            LDEC_TARGET,
        }
        /// Calls that are not written as such.
        Implicit {
            /// Symbol whose code calls.
            IMPL_SYM,
            /// Row in Flow.
            IMPL_ROW,
            /// [`super::ImplicitKind`].
            IMPL_KIND,
            /// Target.
            IMPL_TARGET,
        }
        /// Methods that override one of a base class.
        Overrides {
            /// Symbol of the method.
            OVR_SYM,
            /// Overridden method.
            OVR_TARGET,
        }
    }
}

/// Rows of links while they are made.
pub type LinkWriter = block::Writer<LinkSchema>;

/// The links of one file, in place.
pub type Links<'a> = block::View<'a, { col::COUNT }, { table::COUNT }>;

impl<'a> Links<'a> {
    /// Reads the header; `None` where the bytes are no links of this version.
    pub fn open_links(bytes: &'a [u8]) -> Option<Self> {
        Self::new(bytes, LinkSchema::TABLE_OF)
    }

    /// String `id`; empty where there is no such string.
    pub fn link_text(&self, id: u32) -> &'a str {
        if id >= self.rows(table::Strings) {
            return "";
        }
        let start = if id == 0 { 0 } else { self.get(col::LSTR_END, id - 1) } as usize;
        let bytes = self.blob().get(start..self.get(col::LSTR_END, id) as usize).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// Kind and number of target `row`.
    pub fn target(&self, row: u32) -> (TargetKind, u32) {
        (TargetKind::from_u32(self.get(col::TGT_KIND, row)), self.get(col::TGT_ID, row))
    }
}

stored! {
    /// What a target is.
    TargetKind {
        /// A symbol of the project.
        Symbol = "symbol",
        /// A dotted name outside the project.
        External = "external",
        /// A built-in: its name, `str.join` for methods.
        Builtin = "builtin",
        /// A namespace package of the project: its dotted name.
        Namespace = "namespace",
    }
}

stored! {
    /// Where an import leads.
    ImportStatus {
        /// To a module or symbol of the project.
        Resolved = "resolved",
        /// Outside the project.
        External = "external",
        /// To a module of the project that lacks the name.
        MissingName = "missing_name",
        /// Below a package of the project, where no such module is.
        MissingModule = "missing_module",
    }
}

stored! {
    /// What is known of a call site.
    CallStatus {
        /// At least one callee of the project is derived.
        Resolved = "resolved",
        /// The same, and other callees stay unknown.
        Incomplete = "resolved_incomplete",
        /// Candidates by name alone, or more callees than are of use.
        Ambiguous = "ambiguous",
        /// Outside the project.
        External = "external",
        /// A built-in function, class or method.
        Builtin = "builtin",
        /// Nothing, for a reason.
        Unresolved = "unresolved",
    }
}

stored! {
    /// Why a callee is unknown or only guessed.
    Reason {
        /// Nothing to explain.
        None = "",
        /// The receiver or callee is a parameter.
        Parameter = "parameter_unbound",
        /// A loop variable, `with` target, unpacked or computed value.
        Value = "computed_value",
        /// What a function of the project returns.
        CallResult = "call_result",
        /// What something outside the project returns.
        ExternalResult = "external_result",
        /// An element of a container.
        Subscript = "subscript",
        /// What `await` gives.
        Await = "await_result",
        /// The value of a property.
        Property = "property_value",
        /// An attribute of a function or of another value without a class.
        Attribute = "attribute_of_value",
        /// `__getattr__` of a class or module may answer.
        Dynamic = "dynamic_attribute",
        /// The class or module has no such name.
        NoSuchName = "no_such_name",
        /// No scope binds the name.
        Unbound = "unbound_name",
        /// A base class is unknown.
        UnknownBase = "unknown_base",
        /// The value can't be called as far as is known.
        NotCallable = "not_callable",
        /// An expression without a name.
        Expression = "expression",
        /// Candidates have the name alone in common.
        NameOnly = "name_only",
        /// More than 64 callees.
        Megamorphic = "megamorphic",
        /// Definitions refer to each other in a circle, or too deep.
        Depth = "too_deep",
    }
}

stored! {
    /// How an edge was derived.
    Evidence {
        /// By name, import and class.
        Direct = "direct",
        /// An override in a subclass of the receiver's class.
        Dispatch = "dispatch",
        /// The class that the call makes an instance of.
        Instantiates = "instantiates",
        /// By the flow of values.
        Flow = "flow",
    }
}

stored! {
    /// What calls without being written as a call.
    ImplicitKind {
        /// An attribute that is a property, or that `__getattr__` or `__setattr__` answers.
        Property = "property",
        /// An operator, a comparison, a conversion in an f-string.
        Operator = "operator",
        /// A subscript.
        Item = "item",
        /// `for`, a comprehension, unpacking.
        Iteration = "iteration",
        /// `with`.
        With = "with",
        /// `await`.
        Await = "await",
        /// A decorator.
        Decorator = "decorator",
        /// `raise` of a class.
        Raise = "raise",
        /// A class statement calls `__init_subclass__`, or its metaclass.
        Class = "class",
    }
}

/// Number of callees above which a site is ambiguous.
pub const MEGAMORPHIC: usize = 64;

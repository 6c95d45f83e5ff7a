//! Rust. In: syntax by its grammar. Out: a unit. Modules are files or blocks; methods are given to their types by `impl`,
//! also those of traits. Wrappers (`Box`, `Option`, `Result`, references) are what is in them; an expression with
//! statements in it becomes statements and a variable. Macros are read for the calls in them; generic parameters are
//! the first trait that binds them. What macros define is not seen.

mod calls;
mod control;
mod expressions;
mod items;
mod library;
mod macros;
mod modules;
mod patterns;
mod types;
mod uses;

use std::borrow::Cow;

use rustc_hash::FxHashSet;

use super::comments::{self, Quotes};
use super::{
    BuiltinTypes, EffectKind, Importer, Language, Model, Rules, effect_in, fields, kinds, lowering, reading,
};
use crate::graph::ir::{ExprId, ExprKind, Literal, Run, ScopeId, ScopeKind, StmtId};
use crate::graph::lower::{Lowering, Place, TEXT_MAX};
use crate::graph::names::Symbol;
use crate::graph::syntax::{At, Children, Condensed, Shortcuts, Syntax, Table};

/// The language.
#[derive(Debug)]
pub(super) struct Rust;

kinds! {
    /// Kinds of syntax nodes, and the tokens that tell some of them apart.
    enum K {
        Arguments = "arguments",
        ArrayExpression = "array_expression",
        ArrayType = "array_type",
        Assignment = "assignment_expression",
        AsyncBlock = "async_block",
        AttributeItem = "attribute_item",
        InnerAttribute = "inner_attribute_item",
        Await = "await_expression",
        BaseField = "base_field_initializer",
        Binary = "binary_expression",
        Block = "block",
        Bool = "boolean_literal",
        BoundedType = "bounded_type",
        AbstractType = "abstract_type",
        DynamicType = "dynamic_type",
        Break = "break_expression",
        Call = "call_expression",
        CapturedPattern = "captured_pattern",
        Char = "char_literal",
        Closure = "closure_expression",
        ClosureParameters = "closure_parameters",
        CompoundAssignment = "compound_assignment_expr",
        ConstItem = "const_item",
        Continue = "continue_expression",
        Crate = "crate",
        DeclarationList = "declaration_list",
        ElseClause = "else_clause",
        Empty = "empty_statement",
        Enum = "enum_item",
        EnumVariant = "enum_variant",
        ExpressionStatement = "expression_statement",
        FieldDeclaration = "field_declaration",
        FieldDeclarationList = "field_declaration_list",
        FieldExpression = "field_expression",
        FieldIdentifier = "field_identifier",
        FieldInitializer = "field_initializer",
        FieldPattern = "field_pattern",
        Float = "float_literal",
        For = "for_expression",
        FunctionItem = "function_item",
        FunctionModifiers = "function_modifiers",
        FunctionSignature = "function_signature_item",
        GenBlock = "gen_block",
        GenericFunction = "generic_function",
        GenericType = "generic_type",
        GenericTurbofish = "generic_type_with_turbofish",
        Identifier = "identifier",
        If = "if_expression",
        Impl = "impl_item",
        Index = "index_expression",
        Integer = "integer_literal",
        Label = "label",
        LetChain = "let_chain",
        LetCondition = "let_condition",
        Let = "let_declaration",
        Lifetime = "lifetime",
        Loop = "loop_expression",
        MacroDefinition = "macro_definition",
        Macro = "macro_invocation",
        MatchArm = "match_arm",
        MatchBlock = "match_block",
        Match = "match_expression",
        MatchPattern = "match_pattern",
        Mod = "mod_item",
        MutPattern = "mut_pattern",
        MutableSpecifier = "mutable_specifier",
        NegativeLiteral = "negative_literal",
        OrPattern = "or_pattern",
        OrderedFields = "ordered_field_declaration_list",
        Parameter = "parameter",
        Parameters = "parameters",
        Parenthesized = "parenthesized_expression",
        PointerType = "pointer_type",
        PrimitiveType = "primitive_type",
        QualifiedType = "qualified_type",
        Range = "range_expression",
        RawString = "raw_string_literal",
        RefPattern = "ref_pattern",
        Reference = "reference_expression",
        ReferencePattern = "reference_pattern",
        ReferenceType = "reference_type",
        Return = "return_expression",
        ScopedIdentifier = "scoped_identifier",
        ScopedType = "scoped_type_identifier",
        ScopedUseList = "scoped_use_list",
        SelfToken = "self",
        SelfParameter = "self_parameter",
        ShorthandField = "shorthand_field_identifier",
        ShorthandInitializer = "shorthand_field_initializer",
        SlicePattern = "slice_pattern",
        SourceFile = "source_file",
        StaticItem = "static_item",
        String = "string_literal",
        StructExpression = "struct_expression",
        Struct = "struct_item",
        StructPattern = "struct_pattern",
        Super = "super",
        TokenTree = "token_tree",
        Trait = "trait_item",
        TraitBounds = "trait_bounds",
        Try = "try_expression",
        TryBlock = "try_block",
        TupleExpression = "tuple_expression",
        TuplePattern = "tuple_pattern",
        TupleStructPattern = "tuple_struct_pattern",
        TupleType = "tuple_type",
        TypeArguments = "type_arguments",
        TypeCast = "type_cast_expression",
        TypeIdentifier = "type_identifier",
        TypeItem = "type_item",
        TypeParameter = "type_parameter",
        TypeParameters = "type_parameters",
        Unary = "unary_expression",
        Union = "union_item",
        UnitExpression = "unit_expression",
        Unsafe = "unsafe_block",
        ConstBlock = "const_block",
        UseAs = "use_as_clause",
        Use = "use_declaration",
        UseList = "use_list",
        UseWildcard = "use_wildcard",
        Visibility = "visibility_modifier",
        WhereClause = "where_clause",
        WherePredicate = "where_predicate",
        While = "while_expression",
        Yield = "yield_expression",
        AsyncToken = "async",
        Dot = ".",
        PathToken = "::",
        Comma = ",",
        OpenParen = "(",
        OpenBracket = "[",
        Semicolon = ";",
        Bang = "!",
        Plus = "+",
        Minus = "-",
        Star = "*",
        Slash = "/",
        Percent = "%",
        ShiftLeft = "<<",
        ShiftRight = ">>",
        Less = "<",
        LessEqual = "<=",
        Greater = ">",
        GreaterEqual = ">=",
        Equal = "==",
        NotEqual = "!=",
        AndAnd = "&&",
        OrOr = "||",
        PlusAssign = "+=",
        MinusAssign = "-=",
        StarAssign = "*=",
        SlashAssign = "/=",
        PercentAssign = "%=",
        ShiftLeftAssign = "<<=",
        ShiftRightAssign = ">>=",
        Inclusive = "..=",
    }
}

fields! {
    /// What parents call their children.
    enum F {
        Alias = "alias",
        Alternative = "alternative",
        Argument = "argument",
        Arguments = "arguments",
        Body = "body",
        Bounds = "bounds",
        Condition = "condition",
        Consequence = "consequence",
        Element = "element",
        Field = "field",
        Function = "function",
        Left = "left",
        List = "list",
        Macro = "macro",
        Name = "name",
        Operator = "operator",
        Parameters = "parameters",
        Path = "path",
        Pattern = "pattern",
        ReturnType = "return_type",
        Right = "right",
        Trait = "trait",
        Type = "type",
        TypeArguments = "type_arguments",
        TypeParameters = "type_parameters",
        Value = "value",
    }
}

const SHORTCUTS: Shortcuts = Shortcuts {
    always: &[
        "identifier",
        "field_identifier",
        "type_identifier",
        "shorthand_field_identifier",
        "primitive_type",
        "integer_literal",
        "float_literal",
        "char_literal",
        "boolean_literal",
        "string_literal",
        "raw_string_literal",
        "self",
        "super",
        "crate",
        "lifetime",
        "label",
        "mutable_specifier",
        "visibility_modifier",
        "attribute_item",
        "inner_attribute_item",
        "macro_definition",
        "unit_expression",
    ],
    lists: &[
        "source_file",
        "block",
        "declaration_list",
        "expression_statement",
        "arguments",
        "array_expression",
        "tuple_expression",
        "parenthesized_expression",
        "return_expression",
        "token_tree",
        "use_list",
        "match_block",
        "field_declaration_list",
        "field_initializer_list",
        "try_expression",
        "await_expression",
        "type_arguments",
    ],
    texts: &[],
    is_plain: |_| true,
};

static RULES: Rules = Rules {
    constructor: "",
    receiver_is_parameter: true,
    scope_is_exported: true,
    keys_are_attributes: true,
    default_export: None,
    call_method: None,
    iteration: Some(("into_iter", "next")),
    resource: None,
    packages: false,
    types_bind: true,
    literals: true,
    structural: false,
    maps_give_keys: false,
    transparent: &[
        "as_mut",
        "as_ref",
        "as_slice",
        "borrow",
        "borrow_mut",
        "by_ref",
        "clone",
        "cloned",
        "collect",
        "copied",
        "expect",
        "into",
        "into_inner",
        "into_iter",
        "iter",
        "iter_mut",
        "lock",
        "peekable",
        "read()",
        "rev",
        "to_owned",
        "to_vec",
        "unwrap",
        "unwrap_or_default",
        "write()",
    ],
    members_are_seen: false,
    counts_bind: true,
    functions_are_objects: false,
    parts_begin: &[],
    builtin_types: BuiltinTypes {
        text: "std.string.String",
        number: "std.i64",
        list: "std.vec.Vec",
        tuple: "std.tuple",
        set: "std.collections.HashSet",
        dict: "std.collections.HashMap",
        iterator: "std.iter.Iterator",
        promise: "std.future.Future",
        function: "std.ops.Fn",
    },
};

impl Language for Rust {
    fn table(&self) -> Table {
        Table::new(tree_sitter_rust::LANGUAGE.into(), K::NAMES, F::NAMES, &SHORTCUTS)
    }

    fn condense(&self, text: Cow<'_, str>) -> Condensed {
        Condensed::whole(comments::without(&text, Quotes::Rust))
    }

    fn module_name(&self, path: &str) -> String {
        modules::module_name(path)
    }

    fn lower(&self, syntax: &Syntax, out: &mut Lowering<'_>) {
        let mut reader = Reader {
            syntax,
            out,
            list: Vec::new(),
            items: FxHashSet::default(),
            own_type: None,
            generics: Vec::new(),
            mods: vec![ScopeId(0)],
        };
        reader.note_items(syntax.root());
        let place = reader.out.module_place();
        reader.items(syntax.root(), place);
        let body = std::mem::take(&mut reader.list);
        let body = reader.out.block(body);
        let last = syntax.last_line(syntax.root());
        let module = reader.out.function_mut(place.function);
        module.body = body;
        module.lines = (1, last);
    }

    fn rules(&self) -> &'static Rules {
        &RULES
    }

    fn candidates(&self, spec: &str, importer: &Importer<'_>) -> Vec<String> {
        modules::candidates(spec, importer)
    }

    fn library_path(&self, spec: &str) -> String {
        spec.replace("::", ".")
    }

    fn library_name<'a>(&self, path: &'a str) -> &'a str {
        path.split('.').next().unwrap_or(path)
    }

    fn free_name(&self, name: &str) -> Option<String> {
        library::prelude(name).map(str::to_owned)
    }

    fn is_builtin(&self, path: &str) -> bool {
        matches!(self.library_name(path), "std" | "core" | "alloc")
    }

    fn model(&self, path: &str) -> Model {
        library::model(path)
    }

    fn effect(&self, path: &str) -> Option<EffectKind> {
        effect_in(library::EFFECTS, path)
    }
}

/// One file's syntax and the unit that is made of it.
struct Reader<'r, 'n> {
    syntax: &'r Syntax,
    out: &'r mut Lowering<'n>,
    /// The block that is read.
    list: Vec<StmtId>,
    /// Names of the file's items and imports, wherever in it they stand.
    items: FxHashSet<Symbol>,
    /// What `Self` is.
    own_type: Option<ExprId>,
    /// Generic parameters that are seen, with what binds them.
    generics: Vec<(Symbol, Option<At>)>,
    /// The scopes of the modules around, that of the file first.
    mods: Vec<ScopeId>,
}

reading!(Reader, K, F);
lowering!(Reader, F);

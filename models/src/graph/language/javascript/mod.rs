//! JavaScript and TypeScript. In: syntax by their grammars, which share most of their names. Out: a unit. Both kinds of
//! modules are read: `import` and `export`, `require` and `module.exports`. Types that name a class are used; all others
//! say nothing. `eval`, `with` and computed names of modules are not followed.

mod classes;
mod expressions;
mod functions;
mod library;
mod modules;
mod statements;
mod targets;
mod types;

use super::{BuiltinTypes, EffectKind, Importer, Language, Model, Rules, effect_in, fields, kinds, reading};
use crate::graph::ir::{ExprId, ScopeId, ScopeKind};
use crate::graph::lower::{Lowering, Place};
use crate::graph::names::Symbol;
use crate::graph::syntax::{At, Children, Shortcuts, Syntax, Table};

/// The languages.
#[derive(Debug)]
pub(super) enum JavaScript {
    /// JavaScript, which may have JSX.
    Plain,
    /// TypeScript.
    Typed,
    /// TypeScript with JSX.
    TypedWithTags,
}

kinds! {
    /// Kinds of syntax nodes, and the tokens that tell some of them apart.
    enum K {
        AbstractClass = "abstract_class_declaration",
        AccessibilityModifier = "accessibility_modifier",
        Ambient = "ambient_declaration",
        Arguments = "arguments",
        Array = "array",
        ArrayPattern = "array_pattern",
        ArrowFunction = "arrow_function",
        As = "as_expression",
        Assignment = "assignment_expression",
        AssignmentPattern = "assignment_pattern",
        AugmentedAssignment = "augmented_assignment_expression",
        Await = "await_expression",
        Binary = "binary_expression",
        Break = "break_statement",
        Call = "call_expression",
        CatchClause = "catch_clause",
        Class = "class",
        ClassDeclaration = "class_declaration",
        ClassHeritage = "class_heritage",
        ClassStaticBlock = "class_static_block",
        ComputedName = "computed_property_name",
        Continue = "continue_statement",
        Decorator = "decorator",
        Do = "do_statement",
        ElseClause = "else_clause",
        Empty = "empty_statement",
        EnumAssignment = "enum_assignment",
        EnumDeclaration = "enum_declaration",
        ExportClause = "export_clause",
        ExportSpecifier = "export_specifier",
        Export = "export_statement",
        ExpressionStatement = "expression_statement",
        ExtendsClause = "extends_clause",
        ExtendsTypeClause = "extends_type_clause",
        False = "false",
        FieldDefinition = "field_definition",
        FinallyClause = "finally_clause",
        ForIn = "for_in_statement",
        For = "for_statement",
        FormalParameters = "formal_parameters",
        FunctionDeclaration = "function_declaration",
        FunctionExpression = "function_expression",
        GeneratorFunction = "generator_function",
        GeneratorDeclaration = "generator_function_declaration",
        GenericType = "generic_type",
        Identifier = "identifier",
        If = "if_statement",
        ImplementsClause = "implements_clause",
        ImportKeyword = "import",
        ImportClause = "import_clause",
        ImportRequireClause = "import_require_clause",
        ImportSpecifier = "import_specifier",
        Import = "import_statement",
        InterfaceDeclaration = "interface_declaration",
        IntersectionType = "intersection_type",
        JsxAttribute = "jsx_attribute",
        JsxElement = "jsx_element",
        JsxExpression = "jsx_expression",
        JsxOpening = "jsx_opening_element",
        JsxSelfClosing = "jsx_self_closing_element",
        Labeled = "labeled_statement",
        LexicalDeclaration = "lexical_declaration",
        Member = "member_expression",
        MethodDefinition = "method_definition",
        NamedImports = "named_imports",
        NamespaceExport = "namespace_export",
        NamespaceImport = "namespace_import",
        NestedTypeIdentifier = "nested_type_identifier",
        New = "new_expression",
        NonNull = "non_null_expression",
        Null = "null",
        Number = "number",
        Object = "object",
        ObjectAssignmentPattern = "object_assignment_pattern",
        ObjectPattern = "object_pattern",
        OptionalParameter = "optional_parameter",
        Pair = "pair",
        PairPattern = "pair_pattern",
        Parenthesized = "parenthesized_expression",
        ParenthesizedType = "parenthesized_type",
        PrivateName = "private_property_identifier",
        Program = "program",
        PropertyIdentifier = "property_identifier",
        PublicFieldDefinition = "public_field_definition",
        ReadonlyType = "readonly_type",
        Regex = "regex",
        RequiredParameter = "required_parameter",
        RestPattern = "rest_pattern",
        Return = "return_statement",
        Satisfies = "satisfies_expression",
        Sequence = "sequence_expression",
        ShorthandProperty = "shorthand_property_identifier",
        ShorthandPattern = "shorthand_property_identifier_pattern",
        Spread = "spread_element",
        StatementBlock = "statement_block",
        String = "string",
        StringFragment = "string_fragment",
        Subscript = "subscript_expression",
        Super = "super",
        SwitchBody = "switch_body",
        SwitchCase = "switch_case",
        SwitchDefault = "switch_default",
        Switch = "switch_statement",
        TemplateString = "template_string",
        TemplateSubstitution = "template_substitution",
        Ternary = "ternary_expression",
        This = "this",
        Throw = "throw_statement",
        True = "true",
        Try = "try_statement",
        TypeAlias = "type_alias_declaration",
        TypeAnnotation = "type_annotation",
        TypeArguments = "type_arguments",
        TypeAssertion = "type_assertion",
        TypeIdentifier = "type_identifier",
        TypeParameters = "type_parameters",
        Unary = "unary_expression",
        Undefined = "undefined",
        UnionType = "union_type",
        Update = "update_expression",
        Using = "using_declaration",
        VariableDeclaration = "variable_declaration",
        VariableDeclarator = "variable_declarator",
        While = "while_statement",
        With = "with_statement",
        InternalModule = "internal_module",
        Namespace = "module",
        Yield = "yield_expression",
        AsyncToken = "async",
        StaticToken = "static",
        GetToken = "get",
        SetToken = "set",
        ReadonlyToken = "readonly",
        DefaultToken = "default",
        OfToken = "of",
        InToken = "in",
        VarToken = "var",
        ConstToken = "const",
        LetToken = "let",
        AbstractToken = "abstract",
        Star = "*",
        Equals = "=",
        Plus = "+",
        Minus = "-",
        Slash = "/",
        Percent = "%",
        DoubleStar = "**",
        ShiftLeft = "<<",
        ShiftRight = ">>",
        ShiftRightUnsigned = ">>>",
        Less = "<",
        LessEqual = "<=",
        Greater = ">",
        GreaterEqual = ">=",
        Equal = "==",
        StrictEqual = "===",
        NotEqual = "!=",
        StrictNotEqual = "!==",
        AndAnd = "&&",
        OrOr = "||",
        Nullish = "??",
        Bang = "!",
        Increment = "++",
        PlusAssign = "+=",
        MinusAssign = "-=",
        StarAssign = "*=",
        SlashAssign = "/=",
        PercentAssign = "%=",
        AndAssign = "&&=",
        OrAssign = "||=",
        NullishAssign = "??=",
    }
}

fields! {
    /// What parents call their children.
    enum F {
        Alias = "alias",
        Alternative = "alternative",
        Argument = "argument",
        Arguments = "arguments",
        Attribute = "attribute",
        Body = "body",
        Condition = "condition",
        Consequence = "consequence",
        Constructor = "constructor",
        Declaration = "declaration",
        Finalizer = "finalizer",
        Function = "function",
        Handler = "handler",
        Increment = "increment",
        Index = "index",
        Initializer = "initializer",
        Key = "key",
        Kind = "kind",
        Left = "left",
        Module = "module",
        Name = "name",
        Object = "object",
        OpenTag = "open_tag",
        Operator = "operator",
        Parameter = "parameter",
        Parameters = "parameters",
        Pattern = "pattern",
        Property = "property",
        ReturnType = "return_type",
        Right = "right",
        Source = "source",
        Type = "type",
        Value = "value",
    }
}

const SHORTCUTS: Shortcuts = Shortcuts {
    always: &[
        "identifier",
        "property_identifier",
        "private_property_identifier",
        "shorthand_property_identifier",
        "shorthand_property_identifier_pattern",
        "statement_identifier",
        "type_identifier",
        "predefined_type",
        "number",
        "true",
        "false",
        "null",
        "undefined",
        "this",
        "super",
        "string",
        "regex",
        "jsx_text",
    ],
    lists: &[
        "program",
        "statement_block",
        "expression_statement",
        "arguments",
        "array",
        "object",
        "parenthesized_expression",
        "return_statement",
        "lexical_declaration",
        "sequence_expression",
        "await_expression",
        "named_imports",
        "import_clause",
        "export_clause",
    ],
    texts: &["template_string"],
    is_plain: |text| !text.contains("${"),
};

static RULES: Rules = Rules {
    constructor: "constructor",
    receiver_is_parameter: false,
    scope_is_exported: false,
    keys_are_attributes: true,
    default_export: Some("default"),
    call_method: None,
    iteration: None,
    resource: None,
    packages: false,
    types_bind: false,
    literals: false,
    structural: false,
    maps_give_keys: true,
    transparent: &[],
    members_are_seen: false,
    counts_bind: false,
    functions_are_objects: false,
    parts_begin: &['.', '/'],
    builtin_types: BuiltinTypes {
        text: "String",
        number: "Number",
        list: "Array",
        tuple: "Array",
        set: "Set",
        dict: "Map",
        iterator: "Iterator",
        promise: "Promise",
        function: "Function",
    },
};

impl Language for JavaScript {
    fn table(&self) -> Table {
        let grammar = match self {
            Self::Plain => tree_sitter_javascript::LANGUAGE,
            Self::Typed => tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
            Self::TypedWithTags => tree_sitter_typescript::LANGUAGE_TSX,
        };
        Table::new(grammar.into(), K::NAMES, F::NAMES, &SHORTCUTS)
    }

    fn module_name(&self, path: &str) -> String {
        modules::module_name(path)
    }

    fn lower(&self, syntax: &Syntax, out: &mut Lowering<'_>) {
        let mut reader = Reader { syntax, out };
        let place = reader.out.module_place();
        let body = reader.statements(syntax.root(), place);
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
        spec.strip_prefix("node:").unwrap_or(spec).to_owned()
    }

    fn library_name<'a>(&self, path: &'a str) -> &'a str {
        if self.is_builtin(path) { "javascript" } else { modules::package(path) }
    }

    fn free_name(&self, name: &str) -> Option<String> {
        (!matches!(name, "undefined" | "NaN" | "Infinity" | "arguments")).then(|| name.to_owned())
    }

    fn is_builtin(&self, path: &str) -> bool {
        library::is_builtin(path)
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
}

reading!(Reader, K, F);

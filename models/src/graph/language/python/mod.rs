//! Python 3. In: syntax by tree-sitter-python. Out: a unit. Modules are named by their paths, and found absolutely,
//! beside the importer, and below the importer's packages. Types that are written down are used as what they say.

mod condense;
mod definitions;
mod expressions;
mod imports;
mod library;
mod statements;
mod tables;

use std::borrow::Cow;

use super::{BuiltinTypes, EffectKind, Importer, Language, Model, Rules, effect_in, fields, kinds, reading};
use crate::graph::ir::{ExprId, ScopeId, ScopeKind};
use crate::graph::lower::{Lowering, Place};
use crate::graph::names::Symbol;
use crate::graph::syntax::{At, Children, Condensed, Shortcuts, Syntax, Table};

/// The language.
#[derive(Debug)]
pub(super) struct Python;

kinds! {
    /// Kinds of syntax nodes, and the tokens that tell operators apart.
    enum K {
        AliasedImport = "aliased_import",
        ArgumentList = "argument_list",
        AsPattern = "as_pattern",
        AsPatternTarget = "as_pattern_target",
        Assert = "assert_statement",
        Assignment = "assignment",
        Attribute = "attribute",
        AugmentedAssignment = "augmented_assignment",
        Await = "await",
        BinaryOperator = "binary_operator",
        Block = "block",
        BooleanOperator = "boolean_operator",
        Break = "break_statement",
        Call = "call",
        CaseClause = "case_clause",
        CasePattern = "case_pattern",
        ClassDefinition = "class_definition",
        ClassPattern = "class_pattern",
        ComparisonOperator = "comparison_operator",
        ConcatenatedString = "concatenated_string",
        ConditionalExpression = "conditional_expression",
        Continue = "continue_statement",
        DecoratedDefinition = "decorated_definition",
        Decorator = "decorator",
        DefaultParameter = "default_parameter",
        Delete = "delete_statement",
        Dictionary = "dictionary",
        DictionaryComprehension = "dictionary_comprehension",
        DictionarySplat = "dictionary_splat",
        DictionarySplatPattern = "dictionary_splat_pattern",
        DottedName = "dotted_name",
        ElifClause = "elif_clause",
        ElseClause = "else_clause",
        ExceptClause = "except_clause",
        ExpressionList = "expression_list",
        ExpressionStatement = "expression_statement",
        False = "false",
        FinallyClause = "finally_clause",
        Float = "float",
        ForInClause = "for_in_clause",
        For = "for_statement",
        FunctionDefinition = "function_definition",
        FutureImport = "future_import_statement",
        GeneratorExpression = "generator_expression",
        GenericType = "generic_type",
        Global = "global_statement",
        Identifier = "identifier",
        IfClause = "if_clause",
        If = "if_statement",
        ImportFrom = "import_from_statement",
        ImportPrefix = "import_prefix",
        Import = "import_statement",
        Integer = "integer",
        Interpolation = "interpolation",
        KeywordArgument = "keyword_argument",
        KeywordSeparator = "keyword_separator",
        Lambda = "lambda",
        LambdaParameters = "lambda_parameters",
        List = "list",
        ListComprehension = "list_comprehension",
        ListPattern = "list_pattern",
        ListSplat = "list_splat",
        ListSplatPattern = "list_splat_pattern",
        Match = "match_statement",
        Module = "module",
        NamedExpression = "named_expression",
        None = "none",
        Nonlocal = "nonlocal_statement",
        NotOperator = "not_operator",
        Pair = "pair",
        Parameters = "parameters",
        ParenthesizedExpression = "parenthesized_expression",
        ParenthesizedListSplat = "parenthesized_list_splat",
        Pass = "pass_statement",
        PatternList = "pattern_list",
        Raise = "raise_statement",
        RelativeImport = "relative_import",
        Return = "return_statement",
        Set = "set",
        SetComprehension = "set_comprehension",
        Slice = "slice",
        SplatPattern = "splat_pattern",
        String = "string",
        StringContent = "string_content",
        EscapeSequence = "escape_sequence",
        Subscript = "subscript",
        True = "true",
        Try = "try_statement",
        Tuple = "tuple",
        TuplePattern = "tuple_pattern",
        Type = "type",
        TypeAlias = "type_alias_statement",
        TypedDefaultParameter = "typed_default_parameter",
        TypedParameter = "typed_parameter",
        UnaryOperator = "unary_operator",
        UnionType = "union_type",
        While = "while_statement",
        WildcardImport = "wildcard_import",
        WithClause = "with_clause",
        WithItem = "with_item",
        With = "with_statement",
        Yield = "yield",
        Async = "async",
        From = "from",
        And = "and",
        Or = "or",
        Plus = "+",
        Minus = "-",
        Star = "*",
        Slash = "/",
        DoubleSlash = "//",
        Percent = "%",
        DoubleStar = "**",
        ShiftLeft = "<<",
        ShiftRight = ">>",
        Less = "<",
        LessEqual = "<=",
        Greater = ">",
        GreaterEqual = ">=",
        Equal = "==",
        NotEqual = "!=",
        In = "in",
        NotIn = "not in",
        PlusAssign = "+=",
        MinusAssign = "-=",
        StarAssign = "*=",
        SlashAssign = "/=",
        DoubleSlashAssign = "//=",
        PercentAssign = "%=",
        Colon = ":",
    }
}

fields! {
    /// What parents call their children.
    enum F {
        Alias = "alias",
        Argument = "argument",
        Arguments = "arguments",
        Attribute = "attribute",
        Body = "body",
        Cause = "cause",
        Condition = "condition",
        Consequence = "consequence",
        Definition = "definition",
        Expression = "expression",
        Function = "function",
        Guard = "guard",
        Key = "key",
        Left = "left",
        ModuleName = "module_name",
        Name = "name",
        Object = "object",
        Operator = "operator",
        Operators = "operators",
        Parameters = "parameters",
        ReturnType = "return_type",
        Right = "right",
        Subject = "subject",
        Subscript = "subscript",
        Superclasses = "superclasses",
        Type = "type",
        Value = "value",
    }
}

const SHORTCUTS: Shortcuts = Shortcuts {
    always: &["identifier", "integer", "float", "true", "false", "none", "ellipsis"],
    lists: &[
        "module",
        "block",
        "expression_statement",
        "argument_list",
        "expression_list",
        "parameters",
        "lambda_parameters",
        "tuple",
        "list",
        "set",
        "dictionary",
        "pattern_list",
        "tuple_pattern",
        "return_statement",
        "parenthesized_expression",
        "conditional_expression",
        "decorator",
        "await",
    ],
    texts: &["string"],
    is_plain: |text| !text.split(['"', '\'']).next().unwrap_or_default().contains(['f', 'F', 't', 'T']),
};

static RULES: Rules = Rules {
    constructor: "__init__",
    receiver_is_parameter: true,
    scope_is_exported: true,
    keys_are_attributes: false,
    default_export: None,
    call_method: Some("__call__"),
    iteration: Some(("__iter__", "__next__")),
    resource: Some(("__enter__", "__exit__")),
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
        text: "builtins.str",
        number: "builtins.int",
        list: "builtins.list",
        tuple: "builtins.tuple",
        set: "builtins.set",
        dict: "builtins.dict",
        iterator: "builtins.generator",
        promise: "builtins.coroutine",
        function: "builtins.function",
    },
};

impl Language for Python {
    fn table(&self) -> Table {
        Table::new(tree_sitter_python::LANGUAGE.into(), K::NAMES, F::NAMES, &SHORTCUTS)
    }

    fn condense(&self, text: Cow<'_, str>) -> Condensed {
        condense::condense(&text)
    }

    fn module_name(&self, path: &str) -> String {
        imports::module_name(path)
    }

    fn lower(&self, syntax: &Syntax, out: &mut Lowering<'_>) {
        let mut reader = Reader { syntax, out };
        let place = reader.out.module_place();
        let body = reader.block(syntax.root(), place);
        let last = syntax.last_line(syntax.root());
        let module = reader.out.function_mut(place.function);
        module.body = body;
        module.lines = (1, last);
    }

    fn rules(&self) -> &'static Rules {
        &RULES
    }

    fn candidates(&self, spec: &str, importer: &Importer<'_>) -> Vec<String> {
        imports::candidates(spec, importer)
    }

    fn library_path(&self, spec: &str) -> String {
        spec.trim_start_matches('.').to_owned()
    }

    fn library_name<'a>(&self, path: &'a str) -> &'a str {
        path.split('.').next().unwrap_or(path)
    }

    fn free_name(&self, name: &str) -> Option<String> {
        library::is_builtin(name).then(|| format!("builtins.{name}"))
    }

    fn is_builtin(&self, path: &str) -> bool {
        path.starts_with("builtins.")
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

impl Reader<'_, '_> {
    fn is_field(&self, at: At, field: F) -> bool {
        self.syntax.node(at).field == field.number()
    }

    /// A name that is assigned where it stands.
    fn target_name(&mut self, at: At, place: Place) -> ExprId {
        let name = self.symbol(at);
        self.declared_name(name, place.scope, self.line(at))
    }
}

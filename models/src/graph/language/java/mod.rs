//! Java. In: syntax by its grammar. Out: a unit. The files of a package share their classes; imports are the file's own.
//! Methods of one name are told apart by the number of their parameters, not by their types. Annotations, type
//! parameters and reflection are not followed.

mod classes;
mod expressions;
mod functions;
mod imports;
mod library;
mod names;
mod statements;
mod switches;
mod types;

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
pub(super) struct Java;

kinds! {
    /// Kinds of syntax nodes, and the tokens that tell some of them apart.
    enum K {
        AnnotatedType = "annotated_type",
        Annotation = "annotation",
        ArgumentList = "argument_list",
        ArrayAccess = "array_access",
        ArrayCreation = "array_creation_expression",
        ArrayInitializer = "array_initializer",
        ArrayType = "array_type",
        Assert = "assert_statement",
        Assignment = "assignment_expression",
        Asterisk = "asterisk",
        Binary = "binary_expression",
        BinaryInt = "binary_integer_literal",
        Block = "block",
        BooleanType = "boolean_type",
        Break = "break_statement",
        Cast = "cast_expression",
        CatchClause = "catch_clause",
        CatchParameter = "catch_formal_parameter",
        CatchType = "catch_type",
        Character = "character_literal",
        ClassBody = "class_body",
        Class = "class_declaration",
        ClassLiteral = "class_literal",
        CompactConstructor = "compact_constructor_declaration",
        ConstantDeclaration = "constant_declaration",
        ConstructorBody = "constructor_body",
        Constructor = "constructor_declaration",
        Continue = "continue_statement",
        Dimensions = "dimensions_expr",
        Do = "do_statement",
        Each = "enhanced_for_statement",
        EnumBody = "enum_body",
        EnumBodyDeclarations = "enum_body_declarations",
        EnumConstant = "enum_constant",
        Enum = "enum_declaration",
        ExplicitConstructor = "explicit_constructor_invocation",
        ExpressionStatement = "expression_statement",
        ExtendsInterfaces = "extends_interfaces",
        False = "false",
        FieldAccess = "field_access",
        Field = "field_declaration",
        FinallyClause = "finally_clause",
        Float = "decimal_floating_point_literal",
        FloatingType = "floating_point_type",
        For = "for_statement",
        FormalParameter = "formal_parameter",
        FormalParameters = "formal_parameters",
        GenericType = "generic_type",
        HexInt = "hex_integer_literal",
        Identifier = "identifier",
        If = "if_statement",
        Import = "import_declaration",
        InferredParameters = "inferred_parameters",
        InstanceOf = "instanceof_expression",
        Int = "decimal_integer_literal",
        IntegralType = "integral_type",
        InterfaceBody = "interface_body",
        Interface = "interface_declaration",
        Labeled = "labeled_statement",
        Lambda = "lambda_expression",
        Local = "local_variable_declaration",
        MarkerAnnotation = "marker_annotation",
        Method = "method_declaration",
        Invocation = "method_invocation",
        MethodReference = "method_reference",
        Modifiers = "modifiers",
        Null = "null_literal",
        New = "object_creation_expression",
        Package = "package_declaration",
        Parenthesized = "parenthesized_expression",
        Pattern = "pattern",
        Program = "program",
        Record = "record_declaration",
        RecordPattern = "record_pattern",
        RecordPatternBody = "record_pattern_body",
        RecordPatternComponent = "record_pattern_component",
        Resource = "resource",
        ResourceSpecification = "resource_specification",
        Return = "return_statement",
        ScopedIdentifier = "scoped_identifier",
        ScopedType = "scoped_type_identifier",
        SpreadParameter = "spread_parameter",
        StaticInitializer = "static_initializer",
        String = "string_literal",
        Super = "super",
        Superclass = "superclass",
        SuperInterfaces = "super_interfaces",
        SwitchBlock = "switch_block",
        SwitchGroup = "switch_block_statement_group",
        Switch = "switch_expression",
        SwitchLabel = "switch_label",
        SwitchRule = "switch_rule",
        Synchronized = "synchronized_statement",
        Ternary = "ternary_expression",
        This = "this",
        Throw = "throw_statement",
        True = "true",
        Try = "try_statement",
        TryWithResources = "try_with_resources_statement",
        TypeArguments = "type_arguments",
        TypeIdentifier = "type_identifier",
        TypeList = "type_list",
        TypeParameter = "type_parameter",
        TypeParameters = "type_parameters",
        TypePattern = "type_pattern",
        Unary = "unary_expression",
        Update = "update_expression",
        VariableDeclarator = "variable_declarator",
        VoidType = "void_type",
        While = "while_statement",
        Wildcard = "wildcard",
        Yield = "yield_statement",
        StaticToken = "static",
        NewToken = "new",
        DefaultToken = "default",
        Equals = "=",
        Plus = "+",
        Minus = "-",
        Star = "*",
        Slash = "/",
        Percent = "%",
        ShiftLeft = "<<",
        ShiftRight = ">>",
        ShiftRightUnsigned = ">>>",
        Less = "<",
        LessEqual = "<=",
        Greater = ">",
        GreaterEqual = ">=",
        Equal = "==",
        NotEqual = "!=",
        AndAnd = "&&",
        OrOr = "||",
        Bang = "!",
        Increment = "++",
        PlusAssign = "+=",
        MinusAssign = "-=",
        StarAssign = "*=",
        SlashAssign = "/=",
        PercentAssign = "%=",
        ShiftLeftAssign = "<<=",
        ShiftRightAssign = ">>=",
    }
}

fields! {
    /// What parents call their children.
    enum F {
        Alternative = "alternative",
        Arguments = "arguments",
        Array = "array",
        Body = "body",
        Condition = "condition",
        Consequence = "consequence",
        Constructor = "constructor",
        Element = "element",
        Field = "field",
        Index = "index",
        Init = "init",
        Interfaces = "interfaces",
        Left = "left",
        Name = "name",
        Object = "object",
        Operand = "operand",
        Operator = "operator",
        Parameters = "parameters",
        Pattern = "pattern",
        Resources = "resources",
        Right = "right",
        Superclass = "superclass",
        Type = "type",
        TypeParameters = "type_parameters",
        Update = "update",
        Value = "value",
    }
}

const SHORTCUTS: Shortcuts = Shortcuts {
    always: &[
        "identifier",
        "type_identifier",
        "integral_type",
        "floating_point_type",
        "boolean_type",
        "void_type",
        "decimal_integer_literal",
        "hex_integer_literal",
        "binary_integer_literal",
        "decimal_floating_point_literal",
        "character_literal",
        "string_literal",
        "true",
        "false",
        "null_literal",
        "this",
        "super",
        "annotation",
        "marker_annotation",
        "asterisk",
    ],
    lists: &[
        "program",
        "block",
        "class_body",
        "interface_body",
        "constructor_body",
        "expression_statement",
        "argument_list",
        "parenthesized_expression",
        "return_statement",
        "array_initializer",
        "switch_block",
        "modifiers",
        "type_arguments",
        "type_list",
        "generic_type",
        "formal_parameters",
    ],
    texts: &[],
    is_plain: |_| true,
};

static RULES: Rules = Rules {
    constructor: "<init>",
    receiver_is_parameter: false,
    scope_is_exported: true,
    keys_are_attributes: false,
    default_export: None,
    call_method: None,
    iteration: Some(("iterator", "next")),
    resource: None,
    packages: true,
    types_bind: true,
    literals: false,
    structural: false,
    maps_give_keys: false,
    transparent: &["orElse", "orElseThrow"],
    members_are_seen: true,
    counts_bind: true,
    functions_are_objects: true,
    parts_begin: &[],
    builtin_types: BuiltinTypes {
        text: "java.lang.String",
        number: "java.lang.Number",
        list: "java.util.List",
        tuple: "java.util.Map.Entry",
        set: "java.util.Set",
        dict: "java.util.Map",
        iterator: "java.util.stream.Stream",
        promise: "java.util.concurrent.CompletableFuture",
        function: "java.util.function.Function",
    },
};

impl Language for Java {
    fn table(&self) -> Table {
        Table::new(tree_sitter_java::LANGUAGE.into(), K::NAMES, F::NAMES, &SHORTCUTS)
    }

    fn condense(&self, text: Cow<'_, str>) -> Condensed {
        Condensed::whole(comments::without(&text, Quotes::Java))
    }

    fn module_name(&self, path: &str) -> String {
        imports::folder_name(path)
    }

    fn lower(&self, syntax: &Syntax, out: &mut Lowering<'_>) {
        let mut reader = Reader {
            syntax,
            out,
            list: Vec::new(),
            locals: Vec::new(),
            around: Vec::new(),
            own: FxHashSet::default(),
            utilities: FxHashSet::default(),
            all_utilities: false,
            statics: FxHashSet::default(),
        };
        reader.package();
        let module = reader.out.module_place();
        // Imports are the file's own and stand in a scope within that of the package.
        let scope = reader.out.scope(Some(module.scope), ScopeKind::Block, module.function);
        let place = Place { scope, outer: scope, ..module };
        reader.note_classes();
        for child in reader.children(syntax.root()) {
            reader.item(child, place);
        }
        let body = std::mem::take(&mut reader.list);
        let body = reader.out.block(body);
        let last = syntax.last_line(syntax.root());
        let module = reader.out.function_mut(module.function);
        module.body = body;
        module.lines = (1, last);
    }

    fn rules(&self) -> &'static Rules {
        &RULES
    }

    fn candidates(&self, spec: &str, _: &Importer<'_>) -> Vec<String> {
        imports::candidates(spec)
    }

    fn library_path(&self, spec: &str) -> String {
        spec.to_owned()
    }

    fn library_name<'a>(&self, path: &'a str) -> &'a str {
        if self.is_builtin(path) { "java" } else { imports::package(path) }
    }

    fn free_name(&self, name: &str) -> Option<String> {
        library::is_builtin(name).then(|| format!("java.lang.{name}"))
    }

    fn is_builtin(&self, path: &str) -> bool {
        path.starts_with("java.lang.") || path.starts_with("java.util.")
    }

    fn model(&self, path: &str) -> Model {
        library::model(path)
    }

    fn effect(&self, path: &str) -> Option<EffectKind> {
        effect_in(library::EFFECTS, path)
    }
}

/// A class around what is read.
struct Around {
    name: Symbol,
    fields: FxHashSet<Symbol>,
    methods: FxHashSet<Symbol>,
    /// Of a record: its components.
    parameters: Option<At>,
    /// It may have members that stand elsewhere.
    inherits: bool,
    /// The first of the local variables inside of it.
    locals: usize,
}

/// One file's syntax and the unit that is made of it.
struct Reader<'r, 'n> {
    syntax: &'r Syntax,
    out: &'r mut Lowering<'n>,
    /// The block that is read.
    list: Vec<StmtId>,
    /// Local variables that are seen.
    locals: Vec<Symbol>,
    around: Vec<Around>,
    /// Classes of the file.
    own: FxHashSet<Symbol>,
    /// Classes of `java.util` that are imported by name, or all.
    utilities: FxHashSet<Symbol>,
    all_utilities: bool,
    /// Members of classes that are imported by name.
    statics: FxHashSet<Symbol>,
}

reading!(Reader, K, F);
lowering!(Reader, F);

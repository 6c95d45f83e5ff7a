//! Go. In: syntax by its grammar. Out: a unit. The files of a folder are one package and share their names; imports are
//! the file's own. Methods are given to their types from outside, interfaces are met by having their methods. Type
//! parameters, labels and `goto` are not followed.

mod expressions;
mod imports;
mod items;
mod library;
mod literals;
mod statements;
mod types;

use std::borrow::Cow;

use super::comments::{self, Quotes};
use super::{
    BuiltinTypes, EffectKind, Importer, Language, Model, Rules, effect_in, fields, kinds, lowering, reading,
};
use crate::graph::ir::{ExprId, ExprKind, Literal, Run, ScopeId, ScopeKind, StmtId, StmtKind};
use crate::graph::lower::{Lowering, Place, TEXT_MAX};
use crate::graph::names::Symbol;
use crate::graph::syntax::{At, Children, Condensed, Shortcuts, Syntax, Table};

/// The language.
#[derive(Debug)]
pub(super) struct Go;

kinds! {
    /// Kinds of syntax nodes, and the tokens that tell some of them apart.
    enum K {
        ArgumentList = "argument_list",
        ArrayType = "array_type",
        Assignment = "assignment_statement",
        Binary = "binary_expression",
        BlankIdentifier = "blank_identifier",
        Block = "block",
        Break = "break_statement",
        Call = "call_expression",
        ChannelType = "channel_type",
        CommunicationCase = "communication_case",
        CompositeLiteral = "composite_literal",
        ConstDeclaration = "const_declaration",
        ConstSpec = "const_spec",
        Continue = "continue_statement",
        Dec = "dec_statement",
        DefaultCase = "default_case",
        Defer = "defer_statement",
        Dot = "dot",
        Empty = "empty_statement",
        ExpressionCase = "expression_case",
        ExpressionList = "expression_list",
        ExpressionStatement = "expression_statement",
        ExpressionSwitch = "expression_switch_statement",
        False = "false",
        FieldDeclaration = "field_declaration",
        FieldDeclarationList = "field_declaration_list",
        FieldIdentifier = "field_identifier",
        Float = "float_literal",
        ForClause = "for_clause",
        For = "for_statement",
        FuncLiteral = "func_literal",
        FunctionDeclaration = "function_declaration",
        FunctionType = "function_type",
        GenericType = "generic_type",
        GoStatement = "go_statement",
        Identifier = "identifier",
        If = "if_statement",
        Imaginary = "imaginary_literal",
        ImplicitLengthArray = "implicit_length_array_type",
        ImportDeclaration = "import_declaration",
        ImportSpec = "import_spec",
        ImportSpecList = "import_spec_list",
        Inc = "inc_statement",
        Index = "index_expression",
        InterfaceType = "interface_type",
        Int = "int_literal",
        InterpretedString = "interpreted_string_literal",
        Iota = "iota",
        KeyedElement = "keyed_element",
        LabelName = "label_name",
        Labeled = "labeled_statement",
        LiteralElement = "literal_element",
        LiteralValue = "literal_value",
        MapType = "map_type",
        MethodDeclaration = "method_declaration",
        MethodElem = "method_elem",
        Nil = "nil",
        PackageClause = "package_clause",
        PackageIdentifier = "package_identifier",
        ParameterDeclaration = "parameter_declaration",
        ParameterList = "parameter_list",
        Parenthesized = "parenthesized_expression",
        ParenthesizedType = "parenthesized_type",
        PointerType = "pointer_type",
        QualifiedType = "qualified_type",
        RangeClause = "range_clause",
        RawString = "raw_string_literal",
        ReceiveStatement = "receive_statement",
        Return = "return_statement",
        Rune = "rune_literal",
        Select = "select_statement",
        Selector = "selector_expression",
        Send = "send_statement",
        ShortVar = "short_var_declaration",
        Slice = "slice_expression",
        SliceType = "slice_type",
        SourceFile = "source_file",
        StatementList = "statement_list",
        StructType = "struct_type",
        True = "true",
        TypeAlias = "type_alias",
        TypeArguments = "type_arguments",
        TypeAssertion = "type_assertion_expression",
        TypeCase = "type_case",
        TypeConversion = "type_conversion_expression",
        TypeDeclaration = "type_declaration",
        TypeElem = "type_elem",
        TypeIdentifier = "type_identifier",
        TypeParameters = "type_parameter_list",
        TypeSpec = "type_spec",
        TypeSwitch = "type_switch_statement",
        Unary = "unary_expression",
        VarDeclaration = "var_declaration",
        VarSpec = "var_spec",
        VarSpecList = "var_spec_list",
        VariadicArgument = "variadic_argument",
        VariadicParameter = "variadic_parameter_declaration",
        Define = ":=",
        Equals = "=",
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
        Bang = "!",
        And = "&",
        Arrow = "<-",
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
        Alias = "alias",
        Alternative = "alternative",
        Arguments = "arguments",
        Body = "body",
        Channel = "channel",
        Communication = "communication",
        Condition = "condition",
        Consequence = "consequence",
        Element = "element",
        End = "end",
        Field = "field",
        Function = "function",
        Index = "index",
        Initializer = "initializer",
        Key = "key",
        Left = "left",
        Name = "name",
        Operand = "operand",
        Operator = "operator",
        Package = "package",
        Parameters = "parameters",
        Path = "path",
        Receiver = "receiver",
        Result = "result",
        Right = "right",
        Start = "start",
        Type = "type",
        Update = "update",
        Value = "value",
    }
}

const SHORTCUTS: Shortcuts = Shortcuts {
    always: &[
        "identifier",
        "field_identifier",
        "type_identifier",
        "package_identifier",
        "blank_identifier",
        "label_name",
        "int_literal",
        "float_literal",
        "imaginary_literal",
        "rune_literal",
        "interpreted_string_literal",
        "raw_string_literal",
        "true",
        "false",
        "nil",
        "iota",
        "dot",
    ],
    lists: &[
        "source_file",
        "block",
        "statement_list",
        "expression_list",
        "expression_statement",
        "argument_list",
        "literal_value",
        "literal_element",
        "parenthesized_expression",
        "return_statement",
        "parameter_list",
        "field_declaration_list",
        "type_declaration",
        "var_declaration",
        "const_declaration",
        "import_declaration",
        "import_spec_list",
        "defer_statement",
        "go_statement",
    ],
    texts: &[],
    is_plain: |_| true,
};

static RULES: Rules = Rules {
    constructor: "",
    receiver_is_parameter: true,
    scope_is_exported: true,
    keys_are_attributes: false,
    default_export: None,
    call_method: None,
    iteration: None,
    resource: None,
    packages: true,
    types_bind: true,
    literals: true,
    structural: true,
    maps_give_keys: false,
    transparent: &[],
    members_are_seen: false,
    counts_bind: false,
    functions_are_objects: false,
    parts_begin: &['.'],
    builtin_types: BuiltinTypes {
        text: "builtin.string",
        number: "builtin.int",
        list: "builtin.slice",
        tuple: "builtin.tuple",
        set: "builtin.map",
        dict: "builtin.map",
        iterator: "builtin.iterator",
        promise: "builtin.chan",
        function: "builtin.func",
    },
};

impl Language for Go {
    fn table(&self) -> Table {
        Table::new(tree_sitter_go::LANGUAGE.into(), K::NAMES, F::NAMES, &SHORTCUTS)
    }

    fn condense(&self, text: Cow<'_, str>) -> Condensed {
        Condensed::whole(comments::without(&text, Quotes::Go))
    }

    fn module_name(&self, path: &str) -> String {
        imports::module_name(path)
    }

    fn lower(&self, syntax: &Syntax, out: &mut Lowering<'_>) {
        let module = out.module_place();
        // Imports are the file's own and stand in a scope within that of the package.
        let scope = out.scope(Some(module.scope), ScopeKind::Block, module.function);
        let place = Place { scope, outer: scope, ..module };
        let mut reader = Reader { syntax, out, results: Vec::new() };
        let mut list = Vec::new();
        for child in reader.children(syntax.root()) {
            reader.item(child, place, &mut list);
        }
        let body = reader.out.block(list);
        let last = syntax.last_line(syntax.root());
        let module = reader.out.function_mut(module.function);
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
        spec.to_owned()
    }

    fn library_name<'a>(&self, path: &'a str) -> &'a str {
        if self.is_builtin(path) { "go" } else { imports::package(path) }
    }

    fn free_name(&self, name: &str) -> Option<String> {
        library::is_builtin(name).then(|| format!("builtin.{name}"))
    }

    fn is_builtin(&self, path: &str) -> bool {
        path.starts_with("builtin.")
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
    /// The named results of the functions around.
    results: Vec<Vec<ExprId>>,
}

reading!(Reader, K, F);
lowering!(Reader, F);

impl Reader<'_, '_> {
    fn push(&mut self, kind: StmtKind, at: At, list: &mut Vec<StmtId>) {
        let line = self.line(at);
        list.push(self.out.stmt(kind, line));
    }
}

//! The kinds of expressions and statements. In and out as in [`super`].

use super::{Block, ClassId, ExprId, FunctionId, LoopId, Run, ScopeId};
use crate::graph::names::Symbol;

/// What an expression is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExprKind {
    /// Something whose value is not followed, with the expressions in it.
    Unknown(Run<ExprId>),
    /// A value that is written there.
    Literal(Literal),
    /// A name, as seen from a scope. As a target it is assigned.
    Name(Symbol, ScopeId),
    /// `object.name`.
    Attr(ExprId, Symbol),
    /// `object[key]`.
    Index(ExprId, ExprId),
    /// `object[from:to]`; steps are not followed.
    Slice(ExprId, Option<ExprId>, Option<ExprId>),
    /// A call.
    Call(CallKind, ExprId, Run<Arg>),
    /// A function that is made here.
    Function(FunctionId),
    /// A class that is made here. Its body runs here.
    Class(ClassId),
    /// A list, tuple or set. As a target it takes a value apart.
    Collection(Collection, Run<ExprId>),
    /// A map or an object. As a target it takes a value apart.
    Map(MapKind, Run<Entry>),
    /// A collection filled by the [`StmtKind::Emit`] in the block.
    Comprehension(Collection, Block),
    /// `left op right`.
    Binary(Op, ExprId, ExprId),
    /// `op value`.
    Unary(Op, ExprId),
    /// `condition ? one : other`.
    Conditional(ExprId, ExprId, ExprId),
    /// An assignment with a value.
    Assign(ExprId, ExprId),
    /// Gives a value to whoever iterates.
    Yield(Option<ExprId>),
    /// Gives all values of another iterator.
    YieldFrom(ExprId),
    /// The value of a promise.
    Await(ExprId),
    /// All elements of a value, in a collection, as a target all that are left.
    Spread(ExprId),
    /// A module, as it is called where it is imported.
    Import(Symbol),
    /// The object that holds what this module exports.
    Exports,
    /// The receiver: `this`.
    Receiver,
    /// The receiver as an instance of the class above.
    Super,
    /// What a resource gives when it is entered; it is left at the end of the block.
    Enter(ExprId),
    /// A value that is said to be of a type.
    Cast(ExprId, ExprId),
    /// An instance of a type, from nowhere.
    InstanceOf(ExprId),
}

/// A value that is written in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literal {
    /// No value.
    None,
    /// True or false.
    Bool(bool),
    /// A whole number that fits.
    Int(i64),
    /// Another number.
    Number,
    /// A text that is known.
    Text(Symbol),
    /// A text that is put together; the expressions stand in an [`ExprKind::Unknown`] beside it.
    SomeText(Run<ExprId>),
}

/// How a call is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// `callee(…)`.
    Plain,
    /// `new callee(…)`.
    New,
    /// A decorator, called with what it decorates.
    Decorator,
    /// A class that is raised without being called.
    Raise,
}

/// What a collection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Collection {
    /// Can grow.
    List,
    /// Cannot.
    Tuple,
    /// Has no order.
    Set,
    /// Filled with keys and values.
    Dict,
    /// Made element by element, when asked.
    Iterator,
}

/// How the entries of a map are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapKind {
    /// By `map[key]`.
    Dict,
    /// By `map.key` and `map["key"]`.
    Object,
}

/// An argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arg {
    /// The parameter, where it is named.
    pub name: Option<Symbol>,
    /// What is given.
    pub value: ExprId,
    /// Whether it stands for several.
    pub spread: Spread,
}

/// For what an argument stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Itself.
    No,
    /// Its elements are arguments by position.
    Elements,
    /// Its entries are arguments by name.
    Entries,
}

/// An entry of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// None: the value's own entries are taken over.
    pub key: Option<ExprId>,
    /// The value, or what takes it.
    pub value: ExprId,
}

/// An operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the operator of its name")]
pub enum Op {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Modulo,
    Power,
    ShiftLeft,
    ShiftRight,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
    In,
    /// One value or the other.
    And,
    /// One value or the other.
    Or,
    Not,
    Negate,
    /// Any other.
    Other,
}

/// A statement and its line.
#[derive(Clone, Copy, Debug)]
pub struct Stmt {
    /// What it is.
    pub kind: StmtKind,
    /// From 1.
    pub line: u32,
}

/// What a statement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StmtKind {
    /// An expression, for what it does.
    Expr(ExprId),
    /// `target = value`, or `target op= value`; a declaration without a value has no value.
    Assign {
        /// A name, attribute, index, collection or map.
        target: ExprId,
        /// What is assigned.
        value: Option<ExprId>,
        /// The operator of a compound assignment.
        op: Option<Op>,
        /// The type that the target is said to have.
        ty: Option<ExprId>,
    },
    /// One of several ways; where no branch is without a condition, also none.
    Branch(Run<Branch>),
    /// A loop.
    Loop(LoopId),
    /// A block with handlers.
    Try {
        /// What may fail.
        body: Block,
        /// What is done then.
        handlers: Run<Handler>,
        /// Done if nothing failed.
        otherwise: Block,
        /// Done in the end.
        finally: Block,
    },
    /// Statements with a scope of their own.
    Block(Block),
    /// Ends the function.
    Return(Option<ExprId>),
    /// Fails.
    Raise(Option<ExprId>),
    /// Adds to the comprehension around it: a key for a map, and a value.
    Emit(Option<ExprId>, ExprId),
    /// What the module is to those that import it.
    ExportsAre(ExprId),
    /// Ends the loop.
    Break,
    /// Ends the round.
    Continue,
}

/// A way of a branching statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// When it is taken; the last may have none.
    pub condition: Option<ExprId>,
    /// What is done.
    pub body: Block,
}

/// A handler of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handler {
    /// What it catches.
    pub ty: Option<ExprId>,
    /// What takes the failure.
    pub target: Option<ExprId>,
    /// What is done.
    pub body: Block,
}

/// A loop.
#[derive(Clone, Copy, Debug)]
pub struct Loop {
    /// What drives it.
    pub kind: LoopKind,
    /// What is done in each round.
    pub body: Block,
    /// Done if the loop was not broken.
    pub otherwise: Block,
    /// From 1.
    pub line: u32,
}

/// What drives a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoopKind {
    /// A round per element.
    Each {
        /// What takes the element.
        target: ExprId,
        /// What is iterated.
        iterated: ExprId,
    },
    /// A round per key: `for (key in object)`.
    EachKey {
        /// What takes the key.
        target: ExprId,
        /// Whose keys.
        iterated: ExprId,
    },
    /// Until the condition fails; tested before the first round.
    While(ExprId),
    /// Until the condition fails; tested after the first round.
    DoWhile(ExprId),
    /// `for (start; condition; step)`.
    Counted {
        /// Done before.
        start: Block,
        /// Tested before each round.
        condition: Option<ExprId>,
        /// Done after each round.
        step: Block,
    },
    /// Until it is broken.
    Forever,
}

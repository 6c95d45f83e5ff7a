//! The program in no language's own terms. In: what a front end makes of a file's syntax. Out: scopes, functions,
//! classes, statements and expressions, on which the resolver and the analysis of cost both work; neither knows which
//! language it reads. Holds no text but names, and refuses nothing.
//!
//! Everything lies in the lists of its [`Unit`] and is named by number, so that nothing nests in memory. Structure is
//! kept: a loop is a [`Loop`] with what it walks over and its body, a call is an expression with its arguments.

mod kinds;

use std::marker::PhantomData;

use super::names::{Names, Symbol};
use super::source::LanguageId;
pub use kinds::{
    Arg, Branch, CallKind, Collection, Entry, ExprKind, Handler, Literal, Loop, LoopKind, MapKind, Op,
    Spread, Stmt, StmtKind,
};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub(crate) u32);

        impl $name {
            /// Its place in the list that it names.
            pub fn index(self) -> usize {
                self.0 as usize
            }

            pub(crate) fn of(index: usize) -> Self {
                Self(u32::try_from(index).unwrap_or(u32::MAX))
            }
        }
    )*};
}

ids! {
    /// A file of the program.
    UnitId,
    /// A function of a unit; the first is the body of the module itself.
    FunctionId,
    /// A class of a unit.
    ClassId,
    /// A scope of a unit; the first is the module's.
    ScopeId,
    /// An expression of a unit.
    ExprId,
    /// A statement of a unit.
    StmtId,
    /// A loop of a unit.
    LoopId,
}

/// Neighbours in one of a unit's lists.
#[derive(Debug, PartialEq, Eq)]
pub struct Run<T> {
    start: u32,
    len: u32,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Run<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Run<T> {}

impl<T> Run<T> {
    /// None.
    pub const EMPTY: Self = Self { start: 0, len: 0, of: PhantomData };

    pub(super) fn append(list: &mut Vec<T>, items: impl IntoIterator<Item = T>) -> Self {
        let start = list.len();
        list.extend(items);
        Self { start: start as u32, len: (list.len() - start) as u32, of: PhantomData }
    }

    fn get(self, list: &[T]) -> &[T] {
        list.get(self.start as usize..self.start as usize + self.len as usize).unwrap_or_default()
    }

    /// How many.
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// Statements in their order.
pub type Block = Run<StmtId>;

/// All files.
#[derive(Debug, Default)]
pub struct Program {
    /// In the order of their paths.
    pub units: Vec<Unit>,
    /// Every name in them.
    pub names: Names,
    /// What manifests call the folders that they stand in.
    pub roots: Vec<Root>,
}

/// What others call the modules in a folder, as its manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Whose modules.
    pub language: LanguageId,
    /// From the root of the upload, without a slash at the end.
    pub folder: String,
    /// The path or name before those of modules.
    pub name: String,
}

/// One file.
#[derive(Debug)]
pub struct Unit {
    /// From the root of the upload.
    pub path: String,
    /// What it is written in.
    pub language: LanguageId,
    /// How other modules call it, with dots.
    pub module: Symbol,
    /// The first is the module's body.
    pub functions: Vec<Function>,
    /// In the order of the text.
    pub classes: Vec<Class>,
    /// The first is the module's.
    pub scopes: Vec<Scope>,
    /// In the order in which they were read.
    pub exprs: Vec<Expr>,
    /// In the order in which they were read.
    pub stmts: Vec<Stmt>,
    /// In the order in which they were read.
    pub loops: Vec<Loop>,
    /// Names that a scope declares, in the order of declaration.
    pub declared: Vec<(ScopeId, Symbol)>,
    /// Names that a scope takes from the scope named third instead of declaring them.
    pub redirected: Vec<(ScopeId, Symbol, ScopeId)>,
    /// Names that are assigned at a scope without being declared there.
    pub written: Vec<(ScopeId, Symbol)>,
    /// Modules all of whose names the module scope takes in.
    pub imports_all: Vec<ExprId>,
    /// The module says what it exports without a name.
    pub has_default: bool,
    /// Members of classes that stand outside of them.
    pub members: Vec<Member>,
    /// Types, and what they are said outside of them to inherit from.
    pub implements: Vec<(ExprId, ExprId)>,
    /// Every module that is named, with the line.
    pub imports: Vec<(Symbol, u32)>,
    pub(super) expr_lists: Vec<ExprId>,
    pub(super) arg_lists: Vec<Arg>,
    pub(super) entry_lists: Vec<Entry>,
    pub(super) param_lists: Vec<Param>,
    pub(super) blocks: Vec<StmtId>,
    pub(super) branches: Vec<Branch>,
    pub(super) handlers: Vec<Handler>,
}

impl Unit {
    /// An expression.
    pub fn expr(&self, id: ExprId) -> Expr {
        self.exprs[id.index()]
    }

    /// A statement.
    pub fn stmt(&self, id: StmtId) -> Stmt {
        self.stmts[id.index()]
    }

    /// Expressions that stand together.
    pub fn exprs_of(&self, run: Run<ExprId>) -> &[ExprId] {
        run.get(&self.expr_lists)
    }

    /// The arguments of a call.
    pub fn args(&self, run: Run<Arg>) -> &[Arg] {
        run.get(&self.arg_lists)
    }

    /// The entries of a map.
    pub fn entries(&self, run: Run<Entry>) -> &[Entry] {
        run.get(&self.entry_lists)
    }

    /// The parameters of a function.
    pub fn params(&self, run: Run<Param>) -> &[Param] {
        run.get(&self.param_lists)
    }

    /// The statements of a block.
    pub fn block(&self, block: Block) -> &[StmtId] {
        block.get(&self.blocks)
    }

    /// The ways of a branching statement.
    pub fn branches(&self, run: Run<Branch>) -> &[Branch] {
        run.get(&self.branches)
    }

    /// The handlers of a try.
    pub fn handlers(&self, run: Run<Handler>) -> &[Handler] {
        run.get(&self.handlers)
    }
}

/// What names mean where.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// The scope around it.
    pub parent: Option<ScopeId>,
    /// What it belongs to.
    pub kind: ScopeKind,
    /// Whose statements it holds.
    pub function: FunctionId,
}

/// What a scope belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeKind {
    /// The whole file.
    Module,
    /// A class: its names are the class's members.
    Class(ClassId),
    /// A function.
    Function,
    /// A block, or a comprehension, within a function.
    Block,
}

/// A function, a method, a lambda, or the body of a module.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Its own name; lambdas are numbered in what holds them.
    pub name: Symbol,
    /// With module, classes and functions around it.
    pub qualified: Symbol,
    /// What it is.
    pub flags: Flags,
    /// The class whose method it is.
    pub class: Option<ClassId>,
    /// Its own scope.
    pub scope: ScopeId,
    /// In the order in which arguments are given to them.
    pub params: Run<Param>,
    /// Its statements.
    pub body: Block,
    /// The type it says it returns.
    pub returns: Option<ExprId>,
    /// Lines, both included.
    pub lines: (u32, u32),
}

/// What a function is besides a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// The receiver is the class's instance, not given by the caller.
    pub method: bool,
    /// A method without a receiver.
    pub fixed: bool,
    /// A method whose receiver is the class.
    pub of_class: bool,
    /// Called where it is read.
    pub getter: bool,
    /// Called where it is assigned.
    pub setter: bool,
    /// What it returns is a promise.
    pub asynchronous: bool,
    /// What it returns is an iterator over what it yields.
    pub generator: bool,
    /// Has no receiver of its own: `this` is that of the function around it.
    pub arrow: bool,
    /// A method without a body: others have one.
    pub declared_only: bool,
}

/// A member of a class that stands outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The class, as it is named there.
    pub ty: ExprId,
    /// What it is called.
    pub name: Symbol,
    /// What it is.
    pub value: ExprId,
}

/// A parameter.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// What arguments call it.
    pub name: Symbol,
    /// The name expression through which the body sees it.
    pub target: ExprId,
    /// Its value where none is given.
    pub default: Option<ExprId>,
    /// The type it says it has.
    pub ty: Option<ExprId>,
    /// Which arguments it takes.
    pub kind: ParamKind,
}

/// Which arguments a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    /// One, by position or name.
    One,
    /// One, by name only.
    Named,
    /// All positions that are left.
    Rest,
    /// All names that are left.
    NamedRest,
}

/// A class, an interface, a struct.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    /// Its own name.
    pub name: Symbol,
    /// With module, classes and functions around it.
    pub qualified: Symbol,
    /// The scope of its members.
    pub scope: ScopeId,
    /// What it inherits from, nearest first.
    pub bases: Run<ExprId>,
    /// Its statements.
    pub body: Block,
    /// Lines, both included.
    pub lines: (u32, u32),
}

/// An expression and its line.
#[derive(Clone, Copy, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// From 1.
    pub line: u32,
}

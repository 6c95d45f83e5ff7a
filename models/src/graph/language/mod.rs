//! What is particular to a language. In: a file's syntax. Out: a [`Unit`](super::ir::Unit) in no language's own terms,
//! and answers to what the resolver asks: how modules are named and found, what is built in, what libraries do.
//! A language is one implementation of [`Language`] in one module here, and one line in [`of`].

mod comments;
mod effects;
mod go;
mod java;
mod javascript;
mod model;
mod python;
mod rust;

use std::borrow::Cow;

use super::ir::Root;
use super::lower::Lowering;
use super::source::LanguageId;
use super::syntax::{Condensed, Syntax, Table};
pub use effects::EffectKind;
pub(super) use effects::effect_in;
pub(super) use model::Model;

/// A language.
pub(super) trait Language: Sync {
    /// Its grammar, and the kinds and fields that [`Language::lower`] knows.
    fn table(&self) -> Table;

    /// The text that is parsed: all that means something.
    fn condense(&self, text: Cow<'_, str>) -> Condensed {
        Condensed::whole(text.into_owned())
    }

    /// How modules call the file at a path.
    fn module_name(&self, path: &str) -> String;

    /// Makes a unit of a file's syntax.
    fn lower(&self, syntax: &Syntax, out: &mut Lowering<'_>);

    /// What holds for all programs.
    fn rules(&self) -> &'static Rules;

    /// Names of the modules that an import may mean, the likeliest first.
    fn candidates(&self, spec: &str, importer: &Importer<'_>) -> Vec<String>;

    /// The path of an import that is no file of the upload.
    fn library_path(&self, spec: &str) -> String;

    /// The library to which a path belongs.
    fn library_name<'a>(&self, path: &'a str) -> &'a str;

    /// The path of a name that nothing declares; `None` for a name that is not built in.
    fn free_name(&self, name: &str) -> Option<String>;

    /// Whether a path is the language's own.
    fn is_builtin(&self, path: &str) -> bool;

    /// What calling a library function does to values.
    fn model(&self, path: &str) -> Model;

    /// What calling a library function does outside the program.
    fn effect(&self, path: &str) -> Option<EffectKind>;
}

/// Who imports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Importer<'a> {
    /// What other modules call it.
    pub(super) module: &'a str,
    /// From the root of the upload.
    pub(super) path: &'a str,
    /// What manifests call folders.
    pub(super) roots: &'a [Root],
}

/// What holds for all programs of a language.
#[derive(Debug)]
pub(super) struct Rules {
    /// What a class's constructor is called.
    pub(super) constructor: &'static str,
    /// Methods get their receiver as the first parameter.
    pub(super) receiver_is_parameter: bool,
    /// The names of a module's scope are what it exports.
    pub(super) scope_is_exported: bool,
    /// `object["name"]` is `object.name`.
    pub(super) keys_are_attributes: bool,
    /// What the value is called that a module exports without a name.
    pub(super) default_export: Option<&'static str>,
    /// Calling an instance calls this method.
    pub(super) call_method: Option<&'static str>,
    /// Iterating calls these methods: the first gives what the second is called on.
    pub(super) iteration: Option<(&'static str, &'static str)>,
    /// Entering and leaving a resource call these methods.
    pub(super) resource: Option<(&'static str, &'static str)>,
    /// Files of one module share the names of their module scopes.
    pub(super) packages: bool,
    /// What a type says is checked before the program runs: a call by it is certain where one method only is possible.
    pub(super) types_bind: bool,
    /// Making an instance fills its fields by their names and calls nothing.
    pub(super) literals: bool,
    /// A class inherits from every interface whose methods it has.
    pub(super) structural: bool,
    /// Iterating a map gives its keys.
    pub(super) maps_give_keys: bool,
    /// Methods that give back what they are called on, where the program says nothing else; those with `()` without
    /// arguments only.
    pub(super) transparent: &'static [&'static str],
    /// Names of a class's scope are seen in everything that stands in the class.
    pub(super) members_are_seen: bool,
    /// A function takes as many arguments as it has parameters: of several of one name those that fit are called.
    pub(super) counts_bind: bool,
    /// Calling any member of a function calls it: it stands for an interface with one method.
    pub(super) functions_are_objects: bool,
    /// Where the path of an imported library may go on with its parts.
    pub(super) parts_begin: &'static [char],
    /// The paths under which the methods of built-in values are known.
    pub(super) builtin_types: BuiltinTypes,
}

/// Paths of built-in types.
#[derive(Debug)]
pub(super) struct BuiltinTypes {
    pub(super) text: &'static str,
    pub(super) number: &'static str,
    pub(super) list: &'static str,
    pub(super) tuple: &'static str,
    pub(super) set: &'static str,
    pub(super) dict: &'static str,
    pub(super) iterator: &'static str,
    pub(super) promise: &'static str,
    pub(super) function: &'static str,
}

/// The language of that name.
pub(super) fn of(language: LanguageId) -> &'static dyn Language {
    match language {
        LanguageId::Python => &python::Python,
        LanguageId::JavaScript => &javascript::JavaScript::Plain,
        LanguageId::TypeScript => &javascript::JavaScript::Typed,
        LanguageId::Tsx => &javascript::JavaScript::TypedWithTags,
        LanguageId::Go => &go::Go,
        LanguageId::Java => &java::Java,
        LanguageId::Rust => &rust::Rust,
    }
}

/// The kinds that a front end knows: an enum whose first variant is every other kind.
macro_rules! kinds {
    ($(#[$doc:meta])* enum $name:ident { $($variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum $name { Other, $($variant),* }

        impl $name {
            const NAMES: &[&str] = &[$($text),*];

            fn of(number: u16) -> Self {
                const ALL: &[$name] = &[$name::Other, $($name::$variant),*];
                ALL.get(usize::from(number)).copied().unwrap_or($name::Other)
            }
        }
    };
}

/// The fields that a front end knows, numbered from 1.
macro_rules! fields {
    ($(#[$doc:meta])* enum $name:ident { $($variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum $name { $($variant),* }

        impl $name {
            const NAMES: &[&str] = &[$($text),*];

            fn number(self) -> u16 {
                self as u16 + 1
            }
        }
    };
}

/// What every front end asks of a file's syntax, for a `Reader` with `syntax` and `out`.
macro_rules! reading {
    ($reader:ident, $kinds:ident, $fields:ident) => {
        impl<'r> $reader<'r, '_> {
            fn kind(&self, at: At) -> $kinds {
                $kinds::of(self.syntax.node(at).kind)
            }

            fn line(&self, at: At) -> u32 {
                self.syntax.line(at)
            }

            fn field(&self, at: At, field: $fields) -> Option<At> {
                self.syntax.field(at, field.number())
            }

            fn children(&self, at: At) -> Children<'r> {
                self.syntax.children(at)
            }

            fn first(&self, at: At) -> Option<At> {
                self.children(at).next()
            }

            fn of_kind(&self, at: At, kind: $kinds) -> impl Iterator<Item = At> + use<'r> {
                let syntax = self.syntax;
                syntax.children(at).filter(move |child| $kinds::of(syntax.node(*child).kind) == kind)
            }

            /// The children that the parent calls so.
            fn called(&self, at: At, field: $fields) -> impl Iterator<Item = At> + use<'r> {
                let syntax = self.syntax;
                syntax.children(at).filter(move |child| syntax.node(*child).field == field.number())
            }

            /// Whether a child, or a token between them, is of that kind.
            fn has(&self, at: At, kind: $kinds) -> bool {
                self.syntax.with_tokens(at).any(|child| self.kind(child) == kind)
            }

            fn symbol(&mut self, at: At) -> Symbol {
                let text = self.syntax.text(at);
                self.out.names.intern(text)
            }

            /// A name that is declared in a scope, for the whole of it.
            fn declared_name(&mut self, name: Symbol, scope: ScopeId, line: u32) -> ExprId {
                self.out.declare(scope, name);
                self.out.name(name, scope, line)
            }

            /// A scope of a block.
            fn inner(&mut self, place: Place) -> Place {
                let scope = self.out.scope(Some(place.scope), ScopeKind::Block, place.function);
                Place { scope, ..place }
            }
        }
    };
}

/// What the front ends that are built alike ask besides, for a `Reader` with an `expr`.
macro_rules! lowering {
    ($reader:ident, $fields:ident) => {
        impl<'r> $reader<'r, '_> {
            fn text(&self, at: At) -> &'r str {
                self.syntax.text(at)
            }

            fn part(&mut self, at: At, field: $fields, place: Place) -> ExprId {
                let line = self.line(at);
                match self.field(at, field) {
                    Some(part) => self.expr(part, place),
                    None => self.out.unknown(Vec::new(), line),
                }
            }

            /// The only expression inside.
            fn inside(&mut self, at: At, place: Place) -> ExprId {
                let line = self.line(at);
                match self.first(at) {
                    Some(inner) => self.expr(inner, place),
                    None => self.out.unknown(Vec::new(), line),
                }
            }

            fn parts(&mut self, at: At, place: Place) -> Run<ExprId> {
                let parts = self.children(at).map(|child| self.expr(child, place)).collect();
                self.out.exprs(parts)
            }

            /// A text as it is written, without its quotes.
            fn text_literal(&mut self, text: &str) -> ExprKind {
                if text.len() > TEXT_MAX || text.contains('\\') {
                    return ExprKind::Literal(Literal::SomeText(Run::EMPTY));
                }
                ExprKind::Literal(Literal::Text(self.out.names.intern(text)))
            }
        }
    };
}
use {fields, kinds, lowering, reading};

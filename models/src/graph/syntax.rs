//! Syntax as flat lists. In: a file's text and its language's grammar. Out: the nodes that mean something, in the order
//! of the text, each knowing where its descendants end. Broken text gives what could be read around the errors.
//! This is the only file that talks to tree-sitter. Its walk is a loop, not a recursion, and cuts what is nested deeper
//! than [`Bounds::syntax_depth`](super::bounds::Bounds::syntax_depth), so that whoever walks the result may recurse.

use std::ops::ControlFlow;

use rustc_hash::FxHashSet;
use tree_sitter::{ParseOptions, Tree, TreeCursor};

pub(super) use tree_sitter::Parser;

use super::bounds::Bounds;
use super::diagnostic::{Diagnostics, Trouble};

/// Syntax errors told per file; one broken line may hold thousands.
const ERRORS_TOLD: usize = 5;

/// What a front end wants to know of its grammar: kinds and fields as small numbers of its own.
#[derive(Debug)]
pub(super) struct Table {
    grammar: tree_sitter::Language,
    /// By the grammar's kind: the front end's, or 0 for one that it does not know.
    kinds: Vec<u16>,
    /// Tokens without a name that are kept.
    kept: Vec<bool>,
    fields: Vec<u16>,
}

impl Table {
    /// A table for a grammar. `kinds` and `fields` are numbered by their position, from 1. A kind that is no named node
    /// of the grammar is a token that is kept.
    pub(super) fn new(grammar: tree_sitter::Language, kinds: &[&str], fields: &[&str]) -> Self {
        let number = |list: &[&str], name: &str| {
            list.iter().position(|one| *one == name).map_or(0, |at| at as u16 + 1)
        };
        let count = grammar.node_kind_count();
        let all = || (0..count).filter_map(|id| Some((id, grammar.node_kind_for_id(id as u16)?)));
        let is_named = |id: usize| grammar.node_kind_is_named(id as u16);
        // A token that is called as a node is (`yield`) says nothing that the node does not.
        let named: FxHashSet<&str> = all().filter(|(id, _)| is_named(*id)).map(|(_, name)| name).collect();
        let (mut by_kind, mut kept) = (vec![0; count], vec![false; count]);
        for (id, name) in all().filter(|(id, name)| is_named(*id) || !named.contains(name)) {
            by_kind[id] = number(kinds, name);
            kept[id] = by_kind[id] != 0;
        }
        let by_field = (0..=grammar.field_count())
            .map(|id| grammar.field_name_for_id(id as u16).map_or(0, |name| number(fields, name)));
        let fields = by_field.collect();
        Self { grammar, kinds: by_kind, kept, fields }
    }
}

/// A node of the text's syntax.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// The front end's number for its kind; 0 is a kind it does not know.
    pub(super) kind: u16,
    /// The front end's number for what the parent calls it; 0 for nothing.
    pub(super) field: u16,
    pub(super) start: u32,
    pub(super) end: u32,
    /// From 1.
    pub(super) line: u32,
    /// The node behind its last descendant.
    after: u32,
    /// Not a token.
    named: bool,
}

/// Where a node stands in its [`Syntax`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At(u32);

/// The syntax of one file.
#[derive(Debug)]
pub(super) struct Syntax<'a> {
    text: &'a str,
    nodes: Vec<Node>,
}

impl<'a> Syntax<'a> {
    pub(super) fn root(&self) -> At {
        At(0)
    }

    pub(super) fn node(&self, at: At) -> &Node {
        &self.nodes[at.0 as usize]
    }

    pub(super) fn text(&self, at: At) -> &'a str {
        let node = self.node(at);
        self.text.get(node.start as usize..node.end as usize).unwrap_or_default()
    }

    /// The line on which the node's text ends.
    pub(super) fn last_line(&self, at: At) -> u32 {
        let breaks = self.text(at).bytes().filter(|byte| *byte == b'\n').count();
        self.node(at).line + u32::try_from(breaks).unwrap_or(0)
    }

    /// The children of a node that are no tokens.
    pub(super) fn children(&self, at: At) -> Children<'_> {
        Children { nodes: &self.nodes, next: at.0 + 1, end: self.node(at).after, tokens: false }
    }

    /// All children of a node, kept tokens among them.
    pub(super) fn with_tokens(&self, at: At) -> Children<'_> {
        Children { tokens: true, ..self.children(at) }
    }

    /// The first child that the parent calls so, also a token.
    pub(super) fn field(&self, at: At, field: u16) -> Option<At> {
        self.with_tokens(at).find(|child| self.node(*child).field == field)
    }
}

/// The children of a node, in the order of the text.
#[derive(Clone, Debug)]
pub(super) struct Children<'a> {
    nodes: &'a [Node],
    next: u32,
    end: u32,
    tokens: bool,
}

impl Iterator for Children<'_> {
    type Item = At;

    fn next(&mut self) -> Option<At> {
        while self.next < self.end {
            let (at, node) = (self.next, &self.nodes[self.next as usize]);
            self.next = node.after;
            if self.tokens || node.named {
                return Some(At(at));
            }
        }
        None
    }
}

/// Reads a file. Nothing comes back when it cannot be parsed in time.
pub(super) fn read<'a>(
    path: &str,
    text: &'a str,
    table: &Table,
    parser: &mut Parser,
    bounds: &Bounds,
    trouble: &mut Diagnostics,
) -> Option<Syntax<'a>> {
    if let Err(error) = parser.set_language(&table.grammar) {
        trouble.add(Trouble::ParseTooLong, path, 0, format!("the grammar does not fit the parser: {error}"));
        return None;
    }
    let Some(tree) = parse(text, parser, bounds) else {
        parser.reset();
        let detail = format!("more than {} reports of progress per 1,000 bytes", bounds.parse_reports);
        trouble.add(Trouble::ParseTooLong, path, 0, detail);
        return None;
    };
    let broken = tree.root_node().has_error();
    let mut walk = Walk {
        table,
        bounds,
        path,
        trouble,
        nodes: Vec::with_capacity(text.len() / 8),
        errors: 0,
        cut: false,
    };
    walk.run(&mut tree.walk(), broken);
    let nodes = walk.nodes;
    Some(Syntax { text, nodes })
}

fn parse(text: &str, parser: &mut Parser, bounds: &Bounds) -> Option<Tree> {
    let bytes = text.as_bytes();
    let mut left = (bytes.len() / 1000 + 20).saturating_mul(bounds.parse_reports);
    let mut report = |_: &tree_sitter::ParseState| {
        left = left.saturating_sub(1);
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let options = ParseOptions::new().progress_callback(&mut report);
    parser.parse_with_options(&mut |at, _| bytes.get(at..).unwrap_or_default(), None, Some(options))
}

struct Walk<'a> {
    table: &'a Table,
    bounds: &'a Bounds,
    path: &'a str,
    trouble: &'a mut Diagnostics,
    nodes: Vec<Node>,
    errors: usize,
    cut: bool,
}

impl Walk<'_> {
    fn run(&mut self, cursor: &mut TreeCursor<'_>, broken: bool) {
        // The kept ancestors of the cursor's node, and how deep the cursor is.
        let mut open: Vec<u32> = Vec::new();
        loop {
            let kept = self.enter(cursor, broken);
            if let Some(at) = kept {
                open.push(at);
            }
            let deep = open.len() >= usize::from(self.bounds.syntax_depth);
            if kept.is_some() && !deep && cursor.goto_first_child() {
                continue;
            }
            if kept.is_some() {
                if deep && cursor.node().named_child_count() > 0 {
                    self.tell_depth(cursor);
                }
                self.close(&mut open);
            }
            if self.nodes.len() >= self.bounds.syntax_nodes {
                self.tell_nodes(cursor);
                break;
            }
            while !cursor.goto_next_sibling() {
                if !cursor.goto_parent() {
                    return;
                }
                self.close(&mut open);
            }
        }
        while !open.is_empty() {
            self.close(&mut open);
        }
    }

    /// Keeps the node if it means something.
    fn enter(&mut self, cursor: &TreeCursor<'_>, broken: bool) -> Option<u32> {
        let node = cursor.node();
        let id = usize::from(node.kind_id());
        let named = node.is_named();
        let known = self.table.kept.get(id).copied().unwrap_or(false);
        if broken && (node.is_error() || node.is_missing()) {
            self.tell_error(node.start_position().row, node.is_missing());
        }
        if !known && (!named || node.is_extra()) {
            return None;
        }
        let field = cursor
            .field_id()
            .map_or(0, |id| self.table.fields.get(usize::from(id.get())).copied().unwrap_or(0));
        let at = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.nodes.push(Node {
            kind: self.table.kinds.get(id).copied().unwrap_or(0),
            field,
            start: node.start_byte() as u32,
            end: node.end_byte() as u32,
            line: node.start_position().row as u32 + 1,
            after: at + 1,
            named,
        });
        Some(at)
    }

    fn close(&mut self, open: &mut Vec<u32>) {
        if let Some(at) = open.pop() {
            self.nodes[at as usize].after = self.nodes.len() as u32;
        }
    }

    fn tell_error(&mut self, row: usize, missing: bool) {
        self.errors += 1;
        if self.errors <= ERRORS_TOLD {
            let what = if missing { "something is missing here" } else { "this is not understood" };
            self.trouble.add(Trouble::SyntaxError, self.path, row as u32 + 1, what.into());
        }
    }

    fn tell_depth(&mut self, cursor: &TreeCursor<'_>) {
        if !self.cut {
            self.cut = true;
            let detail = format!("more than {} levels", self.bounds.syntax_depth);
            let row = cursor.node().start_position().row;
            self.trouble.add(Trouble::NestedTooDeep, self.path, row as u32 + 1, detail);
        }
    }

    fn tell_nodes(&mut self, cursor: &TreeCursor<'_>) {
        let detail = format!("more than {} nodes", self.bounds.syntax_nodes);
        let row = cursor.node().start_position().row;
        self.trouble.add(Trouble::FileTooManyNodes, self.path, row as u32 + 1, detail);
    }
}

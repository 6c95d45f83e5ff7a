//! Syntax as flat lists. In: a file's text and its language's grammar. Out: the nodes that mean something, in the order
//! of the text, each knowing where its descendants end. Broken text gives what could be read around the errors.
//! This is the only file that talks to tree-sitter. Its walk is a loop, not a recursion, and cuts what is nested deeper
//! than [`Bounds::syntax_depth`](super::bounds::Bounds::syntax_depth), so that whoever walks the result may recurse.

use std::ops::ControlFlow;

use rustc_hash::FxHashSet;
use tree_sitter::{ParseOptions, Tree, TreeCursor};

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
    /// What is kept of the grammar's kind.
    keep: Vec<Keep>,
    fields: Vec<u16>,
    named: Vec<bool>,
    is_plain: fn(&str) -> bool,
}

/// What is kept of a kind of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// Nodes that are no tokens, with what is in them.
    Unknown,
    /// The node with what is in it.
    Whole,
    /// As `Whole`; what is in it is called nothing.
    List,
    /// The node alone: there is nothing in it that means anything.
    Alone,
    /// The node, and what is in it unless its text is plain.
    Text,
}

/// What need not be asked of nodes of some kinds. Most nodes are of these kinds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shortcuts {
    /// Names, numbers and the like.
    pub(super) always: &'static [&'static str],
    /// Nodes whose children are called nothing: asking for a child's field costs as much as all else about it.
    pub(super) lists: &'static [&'static str],
    /// Texts that may have expressions in them.
    pub(super) texts: &'static [&'static str],
    /// Whether such a text has none.
    pub(super) is_plain: fn(&str) -> bool,
}

impl Table {
    /// A table for a grammar. `kinds` and `fields` are numbered by their position, from 1. A kind that is no named node
    /// of the grammar is a token that is kept.
    pub(super) fn new(
        grammar: tree_sitter::Language,
        kinds: &[&str],
        fields: &[&str],
        shortcuts: &Shortcuts,
    ) -> Self {
        let number = |list: &[&str], name: &str| {
            list.iter().position(|one| *one == name).map_or(0, |at| at as u16 + 1)
        };
        let count = grammar.node_kind_count();
        let all = || (0..count).filter_map(|id| Some((id, grammar.node_kind_for_id(id as u16)?)));
        let is_named = |id: usize| grammar.node_kind_is_named(id as u16);
        // A token that is called as a node is (`yield`) says nothing that the node does not.
        let named: FxHashSet<&str> = all().filter(|(id, _)| is_named(*id)).map(|(_, name)| name).collect();
        let (mut by_kind, mut keep) = (vec![0; count], vec![Keep::Unknown; count]);
        for (id, name) in all().filter(|(id, name)| is_named(*id) || !named.contains(name)) {
            by_kind[id] = number(kinds, name);
            keep[id] = match name {
                _ if by_kind[id] == 0 => Keep::Unknown,
                _ if !is_named(id) || shortcuts.always.contains(&name) => Keep::Alone,
                _ if shortcuts.texts.contains(&name) => Keep::Text,
                _ if shortcuts.lists.contains(&name) => Keep::List,
                _ => Keep::Whole,
            };
        }
        let by_field = (0..=grammar.field_count())
            .map(|id| grammar.field_name_for_id(id as u16).map_or(0, |name| number(fields, name)));
        let fields = by_field.collect();
        let named = (0..count).map(is_named).collect();
        Self { grammar, kinds: by_kind, keep, fields, named, is_plain: shortcuts.is_plain }
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
    /// From 0, in the text that was parsed.
    row: u32,
    /// The node behind its last descendant.
    after: u32,
    /// Not a token.
    named: bool,
}

/// Where a node stands in its [`Syntax`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At(u32);

/// A text without what means nothing.
#[derive(Debug)]
pub(super) struct Condensed {
    pub(super) text: String,
    /// For each of its lines the line in the file, from 1.
    pub(super) lines: Vec<u32>,
}

/// The syntax of one file.
#[derive(Debug)]
pub(super) struct Syntax {
    source: Condensed,
    nodes: Vec<Node>,
}

impl Condensed {
    /// All of a text.
    pub(super) fn whole(text: String) -> Self {
        Self { text, lines: Vec::new() }
    }

    fn line(&self, row: u32) -> u32 {
        self.lines.get(row as usize).copied().unwrap_or(row + 1)
    }
}

impl Syntax {
    pub(super) fn root(&self) -> At {
        At(0)
    }

    pub(super) fn node(&self, at: At) -> &Node {
        &self.nodes[at.0 as usize]
    }

    pub(super) fn text(&self, at: At) -> &str {
        let node = self.node(at);
        self.source.text.get(node.start as usize..node.end as usize).unwrap_or_default()
    }

    /// The line on which the node's text ends.
    pub(super) fn last_line(&self, at: At) -> u32 {
        let breaks = self.text(at).bytes().filter(|byte| *byte == b'\n').count();
        self.source.line(self.node(at).row + u32::try_from(breaks).unwrap_or(0))
    }

    /// The line on which the node begins, from 1.
    pub(super) fn line(&self, at: At) -> u32 {
        self.source.line(self.node(at).row)
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

/// A parser, and room for the nodes of one file after the other.
#[derive(Default)]
pub(super) struct Reader {
    parser: tree_sitter::Parser,
    nodes: Vec<Node>,
}

impl Reader {
    /// The nodes of a text; none if it cannot be parsed in time.
    pub(super) fn parse_alone(&mut self, text: &str, table: &Table, bounds: &Bounds) -> usize {
        // A grammar that does not fit has no tree either.
        let _ = self.parser.set_language(&table.grammar);
        parse(text, &mut self.parser, bounds).map_or(0, |tree| tree.root_node().descendant_count())
    }

    /// Takes the room of a file back that has been read.
    pub(super) fn done_with(&mut self, syntax: Syntax) {
        self.nodes = syntax.nodes;
    }
}

/// Reads a file. Nothing comes back when it cannot be parsed in time.
pub(super) fn read(
    path: &str,
    source: Condensed,
    table: &Table,
    parser: &mut Reader,
    bounds: &Bounds,
    trouble: &mut Diagnostics,
) -> Option<Syntax> {
    let mut nodes = std::mem::take(&mut parser.nodes);
    nodes.clear();
    let parser = &mut parser.parser;
    if let Err(error) = parser.set_language(&table.grammar) {
        trouble.add(Trouble::ParseTooLong, path, 0, format!("the grammar does not fit the parser: {error}"));
        return None;
    }
    let Some(tree) = parse(&source.text, parser, bounds) else {
        parser.reset();
        let detail = format!("more than {} reports of progress per 1,000 bytes", bounds.parse_reports);
        trouble.add(Trouble::ParseTooLong, path, 0, detail);
        return None;
    };
    let broken = tree.root_node().has_error();
    let mut walk = Walk { table, bounds, path, source: &source, trouble, nodes, errors: 0, cut: false };
    walk.run(&mut tree.walk(), broken);
    let nodes = walk.nodes;
    Some(Syntax { source, nodes })
}

fn parse(text: &str, parser: &mut tree_sitter::Parser, bounds: &Bounds) -> Option<Tree> {
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
    source: &'a Condensed,
    trouble: &'a mut Diagnostics,
    nodes: Vec<Node>,
    errors: usize,
    cut: bool,
}

impl Walk<'_> {
    fn run(&mut self, cursor: &mut TreeCursor<'_>, broken: bool) {
        // The ancestors of the cursor's node, and whether they call their children something.
        let mut open: Vec<(u32, Keep)> = Vec::new();
        loop {
            let keep_above = open.last().map_or(Keep::Whole, |(_, keep)| *keep);
            if let Some((at, keep)) = self.enter(cursor, broken, keep_above)
                && keep != Keep::Alone
            {
                let deep = open.len() + 1 >= usize::from(self.bounds.syntax_depth);
                if !deep && cursor.goto_first_child() {
                    open.push((at, keep));
                    continue;
                }
                if deep && cursor.node().named_child_count() > 0 {
                    self.tell_depth(cursor);
                }
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

    /// Keeps the node if it means something, and tells what is kept of it.
    fn enter(&mut self, cursor: &TreeCursor<'_>, broken: bool, above: Keep) -> Option<(u32, Keep)> {
        let node = cursor.node();
        let id = usize::from(node.kind_id());
        // An error has a kind that no grammar lists.
        let keep = self.table.keep.get(id).copied().unwrap_or(Keep::Unknown);
        if broken && (node.is_error() || node.is_missing()) {
            self.tell_error(node.start_position().row, node.is_missing());
        }
        if keep == Keep::Unknown && (!node.is_named() || node.is_extra()) {
            return None;
        }
        let named = self.table.named.get(id).copied().unwrap_or(true);
        let field = if above == Keep::List { None } else { cursor.field_id() };
        let field = field.and_then(|id| self.table.fields.get(usize::from(id.get())).copied());
        let at = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let (start, end) = (node.start_byte(), node.end_byte());
        self.nodes.push(Node {
            kind: self.table.kinds.get(id).copied().unwrap_or(0),
            field: field.unwrap_or(0),
            start: start as u32,
            end: end as u32,
            row: node.start_position().row as u32,
            after: at + 1,
            named,
        });
        let plain = || (self.table.is_plain)(self.source.text.get(start..end).unwrap_or_default());
        match keep {
            Keep::Text if plain() => Some((at, Keep::Alone)),
            keep => Some((at, keep)),
        }
    }

    fn close(&mut self, open: &mut Vec<(u32, Keep)>) {
        if let Some((at, _)) = open.pop() {
            self.nodes[at as usize].after = self.nodes.len() as u32;
        }
    }

    fn tell_error(&mut self, row: usize, missing: bool) {
        self.errors += 1;
        if self.errors <= ERRORS_TOLD {
            let what = if missing { "something is missing here" } else { "this is not understood" };
            self.trouble.add(Trouble::SyntaxError, self.path, self.source.line(row as u32), what.into());
        }
    }

    fn tell_depth(&mut self, cursor: &TreeCursor<'_>) {
        if !self.cut {
            self.cut = true;
            let detail = format!("more than {} levels", self.bounds.syntax_depth);
            let row = cursor.node().start_position().row;
            self.trouble.add(Trouble::NestedTooDeep, self.path, self.source.line(row as u32), detail);
        }
    }

    fn tell_nodes(&mut self, cursor: &TreeCursor<'_>) {
        let detail = format!("more than {} nodes", self.bounds.syntax_nodes);
        let row = cursor.node().start_position().row;
        self.trouble.add(Trouble::FileTooManyNodes, self.path, self.source.line(row as u32), detail);
    }
}

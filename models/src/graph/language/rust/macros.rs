//! Macros. In: their tokens, which no grammar has parsed. Out: the calls, fields and names that stand in them: what
//! looks like an argument is read as an expression of names, members and calls, and nothing else of it is kept.

use super::calls::plain;
use super::{F, K, Reader};
use crate::graph::ir::{CallKind, ExprId, ExprKind, Literal, StmtKind};
use crate::graph::lower::Place;
use crate::graph::syntax::At;

impl<'r> Reader<'r, '_> {
    pub(super) fn macro_call(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        let name = self.field(at, F::Macro).map(|name| self.text(name)).unwrap_or_default();
        let name = name.rsplit("::").next().unwrap_or(name);
        let mut args = Vec::new();
        if let Some(tokens) = self.of_kind(at, K::TokenTree).next() {
            args = self.tokens(tokens, place);
        }
        match name {
            "vec" => self.list_literal(args, line),
            "format" => {
                let args = self.out.exprs(args);
                self.out.expr(ExprKind::Literal(Literal::SomeText(args)), line)
            }
            "panic" | "unreachable" | "todo" | "unimplemented" | "bail" => {
                let args = self.out.unknown(args, line);
                self.add(StmtKind::Raise(Some(args)), line);
                self.out.unknown(Vec::new(), line)
            }
            _ => self.out.unknown(args, line),
        }
    }

    /// What stands between the commas of a token tree.
    fn tokens(&mut self, tree: At, place: Place) -> Vec<ExprId> {
        let tokens: Vec<At> = self.syntax.with_tokens(tree).collect();
        let line = self.line(tree);
        let mut found = Vec::new();
        let syntax = self.syntax;
        let ends = |token: &At| matches!(K::of(syntax.node(*token).kind), K::Comma | K::Semicolon);
        for part in tokens.split(ends) {
            let mut values = Vec::new();
            let mut at = 0;
            while at < part.len() {
                match self.chain(part, &mut at, place) {
                    Some(value) => values.push(value),
                    None => at += 1,
                }
            }
            match values[..] {
                [] => {}
                [one] => found.push(one),
                _ => found.push(self.out.unknown(values, line)),
            }
        }
        found
    }

    /// A path with the members and calls behind it.
    fn chain(&mut self, tokens: &[At], at: &mut usize, place: Place) -> Option<ExprId> {
        let first = *tokens.get(*at)?;
        let line = self.line(first);
        let mut value = match self.kind(first) {
            K::Identifier | K::SelfToken | K::Crate | K::Super => {
                let parts = self.token_path(tokens, at);
                match tokens.get(*at).filter(|next| self.opens(**next, K::OpenParen)) {
                    Some(next) => {
                        *at += 1;
                        let args = self.tokens(*next, place);
                        self.call_path(&parts, args, place, line)
                    }
                    None => self.path_of(&parts, place, line),
                }
            }
            K::TokenTree => {
                *at += 1;
                let values = self.tokens(first, place);
                match values[..] {
                    [one] => one,
                    _ => self.out.unknown(values, line),
                }
            }
            K::String | K::Integer => {
                *at += 1;
                self.expr(first, place)
            }
            _ => return None,
        };
        while let Some(next) = tokens.get(*at).copied() {
            let name = tokens.get(*at + 1).copied().filter(|_| self.kind(next) == K::Dot);
            let Some(name) = name.filter(|name| self.kind(*name) == K::Identifier) else { break };
            *at += 2;
            let symbol = self.symbol(name);
            value = self.out.expr(ExprKind::Attr(value, symbol), line);
            if let Some(list) = tokens.get(*at).filter(|next| self.opens(**next, K::OpenParen)) {
                *at += 1;
                let args = self.tokens(*list, place).into_iter().map(plain).collect();
                value = self.out.call(CallKind::Plain, value, args, line);
            }
        }
        Some(value)
    }

    fn opens(&self, at: At, kind: K) -> bool {
        self.kind(at) == K::TokenTree
            && self.syntax.with_tokens(at).next().is_some_and(|first| self.kind(first) == kind)
    }

    fn token_path(&self, tokens: &[At], at: &mut usize) -> Vec<&'r str> {
        let mut parts = vec![self.text(tokens[*at])];
        *at += 1;
        while let [colons, name, ..] = tokens[*at..]
            && self.kind(colons) == K::PathToken
            && self.kind(name) == K::Identifier
        {
            parts.push(self.text(name));
            *at += 2;
        }
        parts
    }
}

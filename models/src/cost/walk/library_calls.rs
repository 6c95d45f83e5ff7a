//! Calls of libraries, and searches. In: a call that reaches no function of the program. Out: what it is charged, whether it
//! may be slow where it stands, and what it holds in memory.

use super::{Held, KEPT_MAX, Walker, What};
use crate::cost::facts;
use crate::cost::growth::Growth;
use crate::cost::index;
use crate::cost::library::{self, Over, Written};
use crate::graph::ir::{Arg, Collection, ExprId, ExprKind, Literal, Op, Run};

impl Walker<'_, '_> {
    /// `x in list`
    pub(super) fn searched(&mut self, list: ExprId, line: u32) {
        let length = self.scene.length(list).growth;
        if length.is_constant() || !self.is_list(list) {
            return;
        }
        let name = self.scene.var(list).map_or("a list", |var| self.scene.facts.name(self.scene.names, var));
        let name = name.to_owned();
        if self.total().is_linear_or_more() {
            self.slow(What::Search(name.clone()), line, Vec::new(), true);
        }
        self.work.counts.searches += 1.0;
        self.charge(length, line, || format!("searches {name} element by element"));
    }

    fn is_list(&self, expr: ExprId) -> bool {
        match self.scene.kind(expr) {
            ExprKind::Collection(Collection::List | Collection::Tuple, _)
            | ExprKind::Comprehension(Collection::List, _)
            | ExprKind::Slice(..) => true,
            _ => matches!(
                self.made_by(expr),
                Some("list" | "List" | "Sequence" | "Tuple" | "sorted" | "split")
            ),
        }
    }

    /// What made a value, by the last part of its name; `list` for one that is written there.
    fn made_by(&self, expr: ExprId) -> Option<&str> {
        let scene = self.scene;
        let by_value = |value: ExprId| match scene.kind(value) {
            ExprKind::Call(_, callee, _) => Some(scene.callee_name(callee)),
            ExprKind::Collection(Collection::List, _) | ExprKind::Comprehension(Collection::List, _) => {
                Some("list")
            }
            ExprKind::Binary(Op::Multiply, list, _)
                if matches!(scene.kind(list), ExprKind::Collection(..)) =>
            {
                Some("list")
            }
            ExprKind::Collection(Collection::Set, _) | ExprKind::Comprehension(Collection::Set, _) => {
                Some("set")
            }
            ExprKind::Map(..) | ExprKind::Comprehension(Collection::Dict, _) => Some("dict"),
            _ => None,
        };
        let Some(var) = scene.var(expr) else { return by_value(expr) };
        let mut values = scene.facts.given(var).iter().take(8).filter_map(|one| match one.source {
            facts::Source::Value(value) => by_value(value),
            _ => None,
        });
        let first = values.next();
        let same = first.is_some_and(|first| values.all(|other| other == first));
        if same {
            return first;
        }
        scene.facts.ty(var).map(|ty| scene.callee_name(ty)).filter(|name| !name.is_empty())
    }

    pub(super) fn library(&mut self, callee: ExprId, args: Run<Arg>, line: u32) {
        let scene = self.scene;
        let list = scene.unit.args(args);
        let name = scene.callee_name(callee);
        let receiver = match scene.kind(callee) {
            ExprKind::Attr(object, _) => Some(object),
            _ => None,
        };
        self.given_functions(receiver, list, line);
        let is_module = |object| match scene.kind(object) {
            ExprKind::Name(..) => scene.var(object).is_none_or(|var| self.is_import(var)),
            ExprKind::Import(_) => true,
            _ => false,
        };
        let value = receiver.filter(|object| !is_module(*object));
        let made_by = value.and_then(|object| self.made_by(object)).map(str::to_owned);
        let zero = |arg: &Arg| matches!(scene.kind(arg.value), ExprKind::Literal(Literal::Int(0)));
        let written = Written {
            language: scene.unit.language,
            name,
            args: list.len(),
            has_receiver: receiver.is_some(),
            receiver_made_by: made_by.as_deref(),
            first_is_zero: list.first().is_some_and(zero),
        };
        self.work.counts.add_call(name, made_by.as_deref());
        self.reads_whole(name, list, line);
        let Some(cost) = library::cost_of(&written) else { return };
        let short = |object| self.is_element(object) || self.is_read(object);
        if library::is_of_short_text(name) && value.is_some_and(short) {
            return;
        }
        let first = list.first().map(|arg| arg.value);
        let over = match cost.over {
            Over::Receiver => value,
            Over::First => first,
            Over::Either => value.or(first),
        };
        let Some(over) = over else { return };
        let mut length = scene.length(over).growth;
        if name == "copyOf"
            && let Some(last) = list.last()
        {
            length = scene.value(last.value).growth;
        }
        if !length.is_constant() {
            self.library_slow(&written, cost.does, over, line);
        }
        let growth = cost.rate.of(length);
        if growth.is_constant() {
            return;
        }
        self.charge(growth, line, || format!("{name} {}", cost.does));
    }

    fn library_slow(&mut self, written: &Written<'_>, does: &str, over: ExprId, line: u32) {
        if !self.total().is_linear_or_more() {
            return;
        }
        let scene = self.scene;
        let named = scene.var(over).map_or("a list", |var| scene.facts.name(scene.names, var)).to_owned();
        if does.contains("moves all elements") {
            self.slow(What::Front(named), line, Vec::new(), true);
        } else if does.contains("element by element") {
            let sure = written.receiver_made_by.is_some();
            self.slow(What::Search(named), line, Vec::new(), sure);
        } else if does == "sorts" {
            self.slow(What::Sort, line, Vec::new(), true);
        }
    }

    /// An element of a collection: a word of a text, a row of a table.
    fn is_element(&self, expr: ExprId) -> bool {
        let by_name = |var| {
            let given = self.scene.facts.given(var);
            !given.is_empty() && given.iter().all(|one| matches!(one.source, facts::Source::ElementOf(_)))
        };
        matches!(self.scene.kind(expr), ExprKind::Index(..)) || self.scene.var(expr).is_some_and(by_name)
    }

    /// What is read just there: its length was paid for when it was written.
    fn is_read(&self, expr: ExprId) -> bool {
        let mut at = expr;
        for _ in 0..4 {
            let ExprKind::Call(_, callee, _) = self.scene.kind(at) else { return false };
            if library::reads_input(self.scene.callee_name(callee)) {
                return true;
            }
            let ExprKind::Attr(object, _) = self.scene.kind(callee) else { return false };
            at = object;
        }
        false
    }

    fn is_import(&self, var: facts::Var) -> bool {
        let given = self.scene.facts.given(var);
        given.is_empty()
            || given.iter().any(|one| match one.source {
                facts::Source::Value(value) => {
                    matches!(self.scene.kind(value), ExprKind::Import(_))
                }
                _ => false,
            })
    }

    /// Functions that a library calls, once for each element of what it is given.
    fn given_functions(&mut self, receiver: Option<ExprId>, list: &[Arg], line: u32) {
        let scene = self.scene;
        for arg in list.iter().take(8) {
            let Some(function) = index::function_given(scene.unit, scene.facts, arg.value) else { continue };
            let number = self.index.number(scene.id, function);
            if self.index.group_of[number] == self.group {
                continue;
            }
            let others = list.iter().filter(|other| other.value != arg.value).map(|other| other.value);
            let lengths = receiver.into_iter().chain(others).map(|value| scene.length(value).growth);
            let times = lengths.max().unwrap_or(Growth::N);
            self.callee(number, line, times, false);
        }
    }

    /// Files and results that are held as a whole.
    fn reads_whole(&mut self, name: &str, args: &[Arg], line: u32) {
        let whole = match name {
            "read" | "fetchall" => args.is_empty(),
            "readlines" | "read_text" | "read_bytes" | "readFileSync" | "readFile" | "read_csv"
            | "read_sql" | "read_parquet" | "read_json" | "read_excel" | "loadtxt" | "ReadAll"
            | "ReadFile" | "read_to_string" | "read_to_end" | "readAllBytes" | "readAllLines" => true,
            _ => false,
        };
        if whole && self.work.held.len() < KEPT_MAX {
            self.work.held.push(Held { line, growth: Growth::N, read_by: Some(name.to_owned()) });
        }
    }
}

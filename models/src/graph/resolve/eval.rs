//! From expressions to the assignment graph. In: expressions. Out: the cell that has their values. What is not followed
//! gives the cell of nothing; the calls in it are made all the same.

use super::flow::Flow;
use super::uses::{Access, ArgCell, CallSite, KeyOf, Take, Use};
use super::values::{CellId, Cls, Key, NOTHING, ObjectKind, Value};
use super::{Imported, modules};
use crate::graph::ir::{
    Arg, CallKind, ClassId, Collection, Entry, ExprId, ExprKind, Literal, MapKind, Op, Run, ScopeKind,
};
use crate::graph::names::Symbol;

/// Elements of a literal that have a place of their own; those behind have none.
const PLACES_MAX: usize = 64;
/// Whole numbers that are worth telling apart: they may be places.
const NUMBERS: std::ops::RangeInclusive<i64> = -1_000..=1_000_000;

impl Flow<'_, '_> {
    /// The values of an expression.
    pub(super) fn eval(&mut self, id: ExprId) -> CellId {
        match self.unit.expr(id).kind {
            ExprKind::Unknown(parts) => {
                self.eval_all(parts);
                NOTHING
            }
            ExprKind::Literal(literal) => self.literal(literal),
            ExprKind::Name(name, _) => self.name(id, name),
            ExprKind::Attr(object, name) => self.attribute(id, object, name, false),
            ExprKind::Index(object, key) => self.index(id, object, key, false),
            ExprKind::Slice(object, from, to) => self.slice(id, object, from, to),
            ExprKind::Call(kind, callee, args) => self.call(id, kind, callee, args),
            ExprKind::Function(function) => {
                let function = self.solver.fun(self.id, function);
                self.solver.constant(Value::Function(function))
            }
            ExprKind::Class(class) => self.class(class),
            ExprKind::Collection(kind, items) => self.collection(id, kind, items),
            ExprKind::Map(kind, entries) => self.map(id, kind, entries),
            ExprKind::Comprehension(kind, block) => {
                let object = self.solver.values.object(ObjectKind::Collection(kind));
                self.filled.push(object);
                self.block(block);
                self.filled.pop();
                self.solver.constant_of(object)
            }
            ExprKind::Binary(op, left, right) => self.binary(op, left, right),
            ExprKind::Unary(_, value) => {
                self.eval(value);
                NOTHING
            }
            ExprKind::Conditional(condition, one, other) => {
                self.eval(condition);
                let (one, other) = (self.eval(one), self.eval(other));
                self.either(&[one, other])
            }
            ExprKind::Assign(target, value) => {
                let value = self.eval(value);
                self.assign(target, value);
                value
            }
            ExprKind::Yield(value) => {
                let value = value.map_or(NOTHING, |value| self.eval(value));
                let yielded = self.solver.functions[self.function.index()].yielded;
                self.solver.flow(value, yielded);
                self.forget();
                NOTHING
            }
            ExprKind::YieldFrom(value) => self.yield_from(id, value),
            ExprKind::Await(value) => self.through(value, Use::Await),
            ExprKind::Spread(value) => self.eval(value),
            ExprKind::Import(spec) => self.import(spec),
            ExprKind::Exports => self.solver.constant(Value::Module(self.id)),
            ExprKind::Receiver => self.receiver(),
            ExprKind::Super => self.above(),
            ExprKind::Enter(value) => self.enter(id, value),
            ExprKind::Cast(value, ty) => {
                let (value, ty, both) = (self.eval(value), self.eval(ty), self.solver.cell());
                self.solver.flow(value, both);
                self.solver.add_use(ty, Use::Instance(both, self.id));
                both
            }
            ExprKind::InstanceOf(ty) => {
                let (ty, to) = (self.eval(ty), self.solver.cell());
                self.solver.add_use(ty, Use::Instance(to, self.id));
                to
            }
        }
    }

    fn eval_all(&mut self, parts: Run<ExprId>) {
        for part in self.unit.exprs_of(parts) {
            self.eval(*part);
        }
    }

    /// A cell that a use makes of another.
    fn through(&mut self, value: ExprId, make: fn(CellId) -> Use) -> CellId {
        let (value, to) = (self.eval(value), self.solver.cell());
        self.solver.add_use(value, make(to));
        self.forget();
        to
    }

    fn literal(&mut self, literal: Literal) -> CellId {
        let value = match literal {
            Literal::None | Literal::Bool(_) => return NOTHING,
            Literal::Int(number) if NUMBERS.contains(&number) => Value::Int(number),
            Literal::Int(_) | Literal::Number => Value::SomeNumber,
            Literal::Text(text) => Value::Text(text),
            Literal::SomeText(parts) => {
                self.eval_all(parts);
                Value::SomeText
            }
        };
        self.solver.constant(value)
    }

    fn name(&mut self, id: ExprId, name: Symbol) -> CellId {
        if let Some(var) = self.solver.bindings[self.id.index()].var(id) {
            return self.read_var(var);
        }
        let language = self.solver.language(self.id);
        if language.rules().packages
            && let Some(cell) = self.solver.package_name(self.id, name)
        {
            return cell;
        }
        let text = self.solver.names.text(name);
        if let Some(path) = language.free_name(text) {
            let path = self.solver.names.intern(&path);
            return self.solver.constant(Value::Library(path));
        }
        if self.unit.imports_all.is_empty() {
            return NOTHING;
        }
        let cell = self.solver.cell();
        self.solver.load_stars(self.id, name, cell, 0);
        cell
    }

    pub(super) fn access(&mut self, id: ExprId, base: CellId, key: KeyOf, called: bool) -> CellId {
        let rules = self.solver.language(self.id).rules();
        // A function that takes its receiver along when it is called is not what is read otherwise.
        let fixed = match key {
            KeyOf::Fixed(key) if rules.receiver_is_parameter || !called => Some(key),
            _ => None,
        };
        if base == NOTHING {
            return NOTHING;
        }
        if let Some(known) = fixed.and_then(|key| self.known.get(&(base, key))) {
            return *known;
        }
        let cell = self.solver.cell();
        let at = self.site(id);
        self.solver.read(Access { base, key, cell, at, called });
        if let Some(key) = fixed {
            self.known.insert((base, key), cell);
        }
        cell
    }

    fn attribute(&mut self, id: ExprId, object: ExprId, name: Symbol, called: bool) -> CellId {
        let base = self.eval(object);
        self.access(id, base, KeyOf::Fixed(Key::attribute(name)), called)
    }

    fn index(&mut self, id: ExprId, object: ExprId, key: ExprId, called: bool) -> CellId {
        let base = self.eval(object);
        let key = self.key(key);
        self.access(id, base, key, called)
    }

    pub(super) fn key(&mut self, key: ExprId) -> KeyOf {
        let attributes = self.solver.language(self.id).rules().keys_are_attributes;
        match self.unit.expr(key).kind {
            ExprKind::Literal(Literal::Text(text)) if attributes => KeyOf::Fixed(Key::attribute(text)),
            ExprKind::Literal(Literal::Text(text)) => KeyOf::Fixed(Key::text(text)),
            ExprKind::Literal(Literal::Int(number)) => KeyOf::Fixed(Key::position(number)),
            _ => match self.eval(key) {
                NOTHING => KeyOf::Fixed(Key::ANY),
                cell => KeyOf::Computed(cell),
            },
        }
    }

    fn place(&self, end: Option<ExprId>) -> Option<Option<u32>> {
        let Some(end) = end else { return Some(None) };
        match self.unit.expr(end).kind {
            ExprKind::Literal(Literal::Int(number)) => u32::try_from(number).ok().map(Some),
            _ => None,
        }
    }

    fn slice(&mut self, id: ExprId, object: ExprId, from: Option<ExprId>, to: Option<ExprId>) -> CellId {
        let base = self.eval(object);
        from.into_iter().chain(to).for_each(|end| {
            self.eval(end);
        });
        let list = self.solver.values.object(ObjectKind::Collection(Collection::List));
        let at = self.site(id);
        match (self.place(from), self.place(to)) {
            (Some(from), Some(to)) => {
                let take = Take::Slice { from: from.unwrap_or(0), to, object: list };
                self.solver.take_apart(base, take, at);
            }
            _ => {
                let place = self.solver.field(list, Key::ANY);
                self.solver.elements(base, place, at);
            }
        }
        let list = self.solver.constant_of(list);
        // A slice of a text is a text.
        let both = self.solver.cell();
        self.solver.flow(list, both);
        self.solver.add_use(base, Use::Text(both));
        both
    }

    fn call(&mut self, id: ExprId, kind: CallKind, callee: ExprId, args: Run<Arg>) -> CellId {
        let callee = match self.unit.expr(callee).kind {
            ExprKind::Attr(object, name) if self.is_transparent(name, args) => {
                return self.transparent(id, object, callee, name, args);
            }
            ExprKind::Attr(object, name) => self.attribute(callee, object, name, true),
            ExprKind::Index(object, key) => self.index(callee, object, key, true),
            _ => self.eval(callee),
        };
        let mut cells = Vec::with_capacity(args.len());
        for arg in self.unit.args(args) {
            let cell = self.eval(arg.value);
            cells.push(ArgCell { name: arg.name, cell, spread: arg.spread });
        }
        self.forget();
        if callee == NOTHING {
            return NOTHING;
        }
        self.site_of(id, kind, callee, cells)
    }

    fn site_of(&mut self, id: ExprId, kind: CallKind, callee: CellId, cells: Vec<ArgCell>) -> CellId {
        let (start, len) = (self.solver.args.len() as u32, cells.len() as u32);
        self.solver.args.extend(cells);
        let (at, result) = (self.site(id), self.solver.cell());
        self.solver.add_call(CallSite { at, kind, callee, args: (start, len), result });
        result
    }

    fn is_transparent(&self, name: Symbol, args: Run<Arg>) -> bool {
        let names = self.solver.language(self.id).rules().transparent;
        let text = self.solver.names.text(name);
        let alone = |one: &str| args.is_empty() && one.strip_suffix("()") == Some(text);
        names.iter().any(|one| *one == text || alone(one))
    }

    /// A method that gives back its receiver; that of the program's own types is called as well.
    fn transparent(
        &mut self,
        id: ExprId,
        object: ExprId,
        callee: ExprId,
        name: Symbol,
        args: Run<Arg>,
    ) -> CellId {
        let base = self.eval(object);
        let args = self.unit.args(args).iter();
        let cells: Vec<_> = args
            .map(|arg| ArgCell { name: arg.name, cell: self.eval(arg.value), spread: arg.spread })
            .collect();
        if base == NOTHING {
            return NOTHING;
        }
        let own = self.solver.cell();
        self.solver.add_use(base, Use::Own(own));
        let method = self.access(callee, own, KeyOf::Fixed(Key::attribute(name)), true);
        self.forget();
        let result = self.site_of(id, CallKind::Plain, method, cells);
        self.either(&[base, result])
    }

    /// A class that is raised is made; what else is raised was made before.
    pub(super) fn raise(&mut self, value: ExprId) {
        let callee = self.eval(value);
        let (start, result) = (self.solver.args.len() as u32, self.solver.cell());
        let at = self.site(value);
        self.solver.add_call(CallSite { at, kind: CallKind::Raise, callee, args: (start, 0), result });
    }

    fn class(&mut self, id: ClassId) -> CellId {
        let class = &self.unit.classes[id.index()];
        let own = Cls(self.solver.found.first_class[self.id.index()] + id.0);
        for (place, base) in self.unit.exprs_of(class.bases).iter().enumerate() {
            let base = self.eval(*base);
            self.solver.add_use(base, Use::Base(own, place as u32));
        }
        self.block(class.body);
        self.solver.constant(Value::Class(own))
    }

    fn collection(&mut self, id: ExprId, kind: Collection, items: Run<ExprId>) -> CellId {
        let object = self.solver.values.object(ObjectKind::Collection(kind));
        let items = self.unit.exprs_of(items);
        let mut placed = kind != Collection::Set;
        for (at, item) in items.iter().enumerate() {
            let cell = self.eval(*item);
            if let ExprKind::Spread(_) = self.unit.expr(*item).kind {
                placed = false;
                let place = self.solver.field(object, Key::ANY);
                let at = self.site(id);
                self.solver.elements(cell, place, at);
            } else if cell != NOTHING {
                let key = if placed && at < PLACES_MAX { Key::position(at as i64) } else { Key::ANY };
                let place = self.solver.field(object, key);
                self.solver.flow(cell, place);
            }
        }
        if placed {
            self.solver.lengths.insert(object, items.len() as u32);
        }
        self.solver.constant_of(object)
    }

    fn map(&mut self, id: ExprId, kind: MapKind, entries: Run<Entry>) -> CellId {
        let object_kind = match kind {
            MapKind::Dict => ObjectKind::Collection(Collection::Dict),
            MapKind::Object => ObjectKind::Plain,
        };
        let object = self.solver.values.object(object_kind);
        let (base, at) = (self.solver.constant_of(object), self.site(id));
        for entry in self.unit.entries(entries) {
            let Some(key) = entry.key else {
                let other = self.eval(entry.value);
                self.solver.add_use(other, Use::Entries(object));
                continue;
            };
            let computed = self.eval(key);
            if kind == MapKind::Dict {
                let keys = self.solver.field(object, Key::KEYS);
                self.solver.flow(computed, keys);
            }
            let key = self.key(key);
            let cell = self.eval(entry.value);
            match key {
                _ if cell == NOTHING => {}
                KeyOf::Fixed(key) => {
                    let place = self.solver.field(object, key);
                    self.solver.flow(cell, place);
                }
                key => self.solver.write(Access { base, key, cell, at, called: false }),
            }
        }
        base
    }

    fn binary(&mut self, op: Op, left: ExprId, right: ExprId) -> CellId {
        let (left, right) = (self.eval(left), self.eval(right));
        match op {
            Op::And | Op::Or => self.either(&[left, right]),
            Op::Add | Op::Modulo | Op::Multiply => self.kind_of(&[left, right]),
            _ => NOTHING,
        }
    }

    /// What an operator may give back of these.
    pub(super) fn kind_of(&mut self, cells: &[CellId]) -> CellId {
        if cells.iter().all(|cell| *cell == NOTHING) {
            return NOTHING;
        }
        let to = self.solver.cell();
        cells.iter().for_each(|cell| self.solver.add_use(*cell, Use::Kind(to)));
        to
    }

    fn yield_from(&mut self, id: ExprId, value: ExprId) -> CellId {
        let value = self.eval(value);
        let yielded = self.solver.functions[self.function.index()].yielded;
        let at = self.site(id);
        self.solver.elements(value, yielded, at);
        self.forget();
        NOTHING
    }

    fn import(&mut self, spec: Symbol) -> CellId {
        let modules: &modules::Modules = self.solver.modules;
        match modules.resolve(self.solver.units, self.solver.names, self.id, spec) {
            Imported::Unit(unit) => {
                let module = self.solver.constant(Value::Module(unit));
                if self.solver.language(unit).rules().scope_is_exported {
                    return module;
                }
                // A module may also be what it says its exports are.
                let value = self.solver.values.id(Value::Module(unit));
                let exports = self.solver.field(value, Key::EXPORTS);
                self.either(&[module, exports])
            }
            Imported::Library(path) => {
                let path = self.solver.names.intern(&path);
                self.solver.constant(Value::Library(path))
            }
        }
    }

    /// `this`: that of the nearest function that has one of its own, or an instance of the class whose field is set.
    fn receiver(&mut self) -> CellId {
        let unit = self.unit;
        let own = self.function.0 - self.solver.found.first_function[self.id.index()];
        let mut next = Some(unit.functions[own as usize].scope);
        while let Some(scope) = next {
            let here = &unit.scopes[scope.index()];
            match here.kind {
                ScopeKind::Class(class) => {
                    let class = Cls(self.solver.found.first_class[self.id.index()] + class.0);
                    return self.solver.constant(Value::Instance(class));
                }
                ScopeKind::Function | ScopeKind::Module
                    if !unit.functions[here.function.index()].flags.arrow =>
                {
                    let owner = self.solver.fun(self.id, here.function);
                    return self.solver.functions[owner.index()].receiver;
                }
                _ => next = here.parent,
            }
        }
        NOTHING
    }

    fn above(&mut self) -> CellId {
        let Some((class, receiver)) = self.solver.method_around(self.function) else { return NOTHING };
        let cell = self.solver.cell();
        self.solver.add_use(receiver, Use::Parent(class, cell));
        cell
    }

    fn enter(&mut self, id: ExprId, value: ExprId) -> CellId {
        let (cell, to) = (self.eval(value), self.solver.cell());
        let at = self.site(id);
        let iteration = self.solver.iterations.len() as u32;
        self.solver.iterations.push(super::uses::Iteration { cell, to, at, calls_made: false });
        self.solver.add_use(cell, Use::Enter(iteration));
        self.forget();
        to
    }
}

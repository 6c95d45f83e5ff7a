//! Python programs and the graphs they must give.
mod graphs;

use graphs::{calls, certain, edges, graph};
use weft_models::graph::code::{EdgeKind, NodeKind};

#[test]
fn a_call_through_an_import_reaches_the_function_and_is_exact() {
    let graph = graph(&[
        ("shop/__init__.py", ""),
        ("shop/cart.py", "from .stock import take as fetch\n\ndef add(item):\n    return fetch(item)\n"),
        ("shop/stock.py", "def take(item):\n    return item\n"),
    ]);
    assert_eq!(calls(&graph), ["shop.cart.add -> shop.stock.take"]);
    assert!(certain(&graph, "shop.cart.add", "shop.stock.take"));
    let imports = edges(&graph, EdgeKind::Imports);
    assert_eq!(imports, ["shop.cart -> shop.stock"]);
}

#[test]
fn the_last_assignment_before_a_call_counts_and_branches_meet() {
    let text = "
def one(): pass
def two(): pass
def pick(flag):
    f = one
    f()
    if flag:
        f = two
    g = f
    f = one
    g()
";
    let graph = graph(&[("m.py", text)]);
    assert_eq!(calls(&graph), ["m.pick -> m.one", "m.pick -> m.one", "m.pick -> m.two"]);
    assert!(!certain(&graph, "m.pick", "m.two"), "either may be called");
}

#[test]
fn a_branch_that_returns_does_not_meet_what_follows() {
    let text = "
def one(): pass
def two(): pass
def pick(flag):
    f = one
    if flag:
        f = two
        return
    f()
";
    assert_eq!(calls(&graph(&[("m.py", text)])), ["m.pick -> m.one"]);
}

#[test]
fn a_loop_sees_what_its_last_round_assigned() {
    let text = "
def one(): pass
def two(): pass
f = one
for _ in [1, 2]:
    f()
    f = two
";
    assert_eq!(calls(&graph(&[("m.py", text)])), ["m -> m.one", "m -> m.two"]);
}

#[test]
fn a_handler_sees_what_was_assigned_before_the_failure() {
    let text = "
def one(): pass
def two(): pass
def three(): pass
f = one
try:
    f = two
    f = three
except ValueError:
    f()
";
    let graph = graph(&[("m.py", text)]);
    assert_eq!(calls(&graph), ["m -> m.one", "m -> m.three", "m -> m.two"]);
}

#[test]
fn methods_are_found_in_the_order_of_their_classes() {
    let text = "
class Base:
    def run(self):
        self.step()
    def step(self): pass
class Left(Base): pass
class Right(Base):
    def step(self): pass
class Both(Left, Right): pass
Both().run()
";
    let graph = graph(&[("m.py", text)]);
    let expected = ["m -> m.Base.run", "m.Base.run -> m.Base.step", "m.Base.run -> m.Right.step"];
    assert_eq!(calls(&graph), expected);
    let expected = ["m.Both -> m.Left", "m.Both -> m.Right", "m.Left -> m.Base", "m.Right -> m.Base"];
    assert_eq!(edges(&graph, EdgeKind::Inherits), expected);
}

#[test]
fn properties_class_methods_and_callable_instances_are_called() {
    let text = "
class Cart:
    @classmethod
    def new(cls):
        return cls()
    @property
    def total(self):
        return self.count()
    def count(self): pass
    def __call__(self): pass
cart = Cart.new()
cart.total
cart()
";
    let expected =
        ["m -> m.Cart.__call__", "m -> m.Cart.new", "m -> m.Cart.total", "m.Cart.total -> m.Cart.count"];
    assert_eq!(calls(&graph(&[("m.py", text)])), expected);
}

#[test]
fn functions_are_followed_through_containers_closures_and_decorators() {
    let text = "
def log(f):
    def inner(*args, **kwargs):
        return f(*args, **kwargs)
    return inner

@log
def save(handler):
    handler()

def done(): pass

table = {'save': save}
for name, action in table.items():
    action(done)
[action(done) for action in table.values()]
";
    let expected =
        ["m -> m.log", "m -> m.log.inner", "m -> m.log.inner", "m.log.inner -> m.save", "m.save -> m.done"];
    let graph = graph(&[("m.py", text)]);
    let own: Vec<_> = calls(&graph).into_iter().filter(|call| !call.contains("builtins")).collect();
    assert_eq!(own, expected);
}

#[test]
fn a_context_manager_and_an_asynchronous_function_give_what_they_are_for() {
    let text = "
class Session:
    def __enter__(self):
        return self
    def __exit__(self, *failure): pass
    def send(self): pass

async def connect():
    return Session()

async def main():
    with await connect() as session:
        session.send()
";
    let expected = [
        "m.connect -> m.Session",
        "m.main -> m.Session.__enter__",
        "m.main -> m.Session.__exit__",
        "m.main -> m.Session.send",
        "m.main -> m.connect",
    ];
    let graph = graph(&[("m.py", text)]);
    assert_eq!(calls(&graph), expected[1..]);
}

#[test]
fn a_type_that_is_written_down_is_used_and_its_calls_are_inferred() {
    let text = "
class Store:
    def save(self): pass
class Disk(Store):
    def save(self): pass
def keep(store: Store):
    store.save()
";
    let graph = graph(&[("m.py", text)]);
    assert_eq!(calls(&graph), ["m.keep -> m.Disk.save", "m.keep -> m.Store.save"]);
    assert!(!certain(&graph, "m.keep", "m.Store.save"));
}

#[test]
fn libraries_and_what_they_do_outside_are_nodes() {
    let text = "
import requests
import psycopg2 as db

def fetch(url):
    return requests.get(url).json()

def keep(value):
    connection = db.connect('dbname=shop')
    connection.cursor().execute('insert', value)
    open('log', 'a').write(value)
";
    let graph = graph(&[("m.py", text)]);
    assert!(graph.find(NodeKind::Library, "requests").is_some());
    assert!(graph.find(NodeKind::Library, "psycopg2").is_some());
    let performs = edges(&graph, EdgeKind::Performs);
    for expected in ["m.fetch -> http", "m.keep -> database", "m.keep -> file"] {
        assert!(performs.iter().any(|edge| edge == expected), "{expected} in {performs:?}");
    }
    assert!(certain(&graph, "m.fetch", "requests.get"), "named by an import");
    assert!(!certain(&graph, "m.fetch", "requests.get.json"), "what a library gives back is not known");
}

#[test]
fn a_function_given_to_a_library_is_called_by_it() {
    let text = "import threading\n\ndef work(): pass\n\nthreading.Thread(target=work).start()\n";
    let graph = graph(&[("m.py", text)]);
    assert!(calls(&graph).iter().any(|call| call == "threading.Thread -> m.work"));
    assert!(!certain(&graph, "threading.Thread", "m.work"));
}

#[test]
fn values_reach_from_parameters_and_returns_to_arguments_and_returns() {
    let text = "
def load(key):
    return key
def page(request, unused):
    key = request.id
    found = load(key)
    return render(found)
def render(value):
    return [value]
";
    let reaches = edges(&graph(&[("m.py", text)]), EdgeKind::Reaches);
    let expected = [
        "m.load.<return> -> m.render.value",
        "m.load.key -> m.load.<return>",
        "m.page.request -> m.load.key",
        "m.render.<return> -> m.page.<return>",
        "m.render.value -> m.render.<return>",
    ];
    assert_eq!(reaches, expected);
}

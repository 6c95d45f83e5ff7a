//! JavaScript and TypeScript programs and the graphs they must give.
mod graphs;

use graphs::{calls, certain, edges, graph, own};
use weft_models::graph::code::{EdgeKind, NodeKind};

#[test]
fn modules_of_both_kinds_are_joined() {
    let graph = graph(&[
        (
            "src/app.js",
            "import list, { take as fetch } from './stock';\nimport * as old from './old.js';\nexport { take } from './stock';\nfetch(); list(); old.save();\n",
        ),
        (
            "src/stock/index.js",
            "export function take() { helper(); }\nfunction helper() {}\nexport default () => take();\n",
        ),
        (
            "src/old.js",
            "const { take } = require('./app');\nfunction save() { take(); }\nmodule.exports = { save };\n",
        ),
    ]);
    let expected = [
        "src.app -> src.old.save",
        "src.app -> src.stock.default",
        "src.app -> src.stock.take",
        "src.old.save -> src.stock.take",
        "src.stock.default -> src.stock.take",
        "src.stock.take -> src.stock.helper",
    ];
    assert_eq!(own(&graph), expected);
    assert!(certain(&graph, "src.app", "src.stock.take"));
    let imports = edges(&graph, EdgeKind::Imports);
    assert_eq!(
        imports,
        ["src.app -> src.old", "src.app -> src.stock", "src.app -> src.stock", "src.old -> src.app"]
    );
}

#[test]
fn exports_by_property_and_by_default_of_the_older_kind_are_found() {
    let graph = graph(&[
        ("a.js", "exports.one = function () {};\nmodule.exports.two = () => exports.one();\n"),
        ("b.js", "module.exports = function run() {};\n"),
        ("c.js", "import run from './b';\nconst a = require('./a');\na.one(); a.two(); run();\n"),
    ]);
    assert_eq!(own(&graph), ["a.two -> a.one", "c -> a.one", "c -> a.two", "c -> b.run"]);
}

#[test]
fn classes_call_through_this_and_super_getters_setters_and_fields() {
    let text = "
class Base {
  constructor() { this.start(); }
  start() {}
  get size() { return this.count(); }
  set size(value) { this.keep(value); }
  keep(value) {}
  count() {}
  static make() { return new this(); }
}
class Cart extends Base {
  onAdd = () => this.count();
  start() { super.start(); }
}
const cart = new Cart();
cart.size;
cart.size = 1;
cart.onAdd();
Base.make().count();
";
    let expected = [
        "m -> m.Base.constructor",
        "m -> m.Base.count",
        "m -> m.Base.make",
        "m -> m.Base.size",
        "m -> m.Cart.onAdd",
        "m.Base.constructor -> m.Base.start",
        "m.Base.constructor -> m.Cart.start",
        "m.Base.make -> m.Base.constructor",
        "m.Base.size -> m.Base.count",
        "m.Base.size -> m.Base.keep",
        "m.Cart.onAdd -> m.Base.count",
        "m.Cart.start -> m.Base.start",
    ];
    assert_eq!(own(&graph(&[("m.js", text)])), expected);
}

#[test]
fn prototypes_and_borrowed_functions_are_followed() {
    let text = "
function Base() {}
Base.prototype.log = function () { this.write(); };
function Item(name) { Base.call(this); this.name = name; }
Item.prototype = Object.create(Base.prototype);
Item.prototype.write = function write() {};
const item = new Item('a');
item.log();
const bound = item.write.bind(item);
bound();
";
    let expected = ["m -> m.Item", "m -> m.log", "m -> m.write", "m.Item -> m.Base", "m.log -> m.write"];
    assert_eq!(own(&graph(&[("m.js", text)])), expected);
}

#[test]
fn functions_are_followed_as_values_through_objects_arrays_and_patterns() {
    let text = "
function one() {}
function two() {}
function three() {}
const table = { one, nested: { two }, ['three']: three };
const { one: first, nested: { two: second }, missing = three } = table;
first(); second(); missing();
const [a, ...rest] = [one, two, three];
a(); rest[1]();
const name = 'three';
table[name]();
function call(action, ...more) { action(); more[0](); }
call(...[one, two]);
";
    let expected =
        ["m -> m.call", "m -> m.one", "m -> m.three", "m -> m.two", "m.call -> m.one", "m.call -> m.two"];
    assert_eq!(own(&graph(&[("m.js", text)])), expected);
}

#[test]
fn callbacks_get_elements_and_promises_their_values() {
    let text = "
const actions = [() => one(), two];
function one() {}
function two() {}
function three() {}
actions.map(action => action()).forEach(use);
function use(value) {}
const load = async () => three;
load().then(value => value());
async function main() {
  const value = await load();
  value();
  const [first] = await Promise.all([load()]);
  first();
}
new Promise(resolve => resolve(two)).then(f => f());
setTimeout(main, 10);
";
    let graph = graph(&[("m.js", text)]);
    let own = own(&graph);
    for expected in [
        "m.<lambda2> -> m.two",
        "m.<lambda2> -> m.<lambda1>",
        "m.<lambda1> -> m.one",
        "m -> m.use",
        "m.<lambda3> -> m.three",
        "m.main -> m.load",
        "m.main -> m.three",
        "m.<lambda5> -> m.two",
    ] {
        assert!(own.iter().any(|call| call == expected), "{expected} in {own:#?}");
    }
    assert!(calls(&graph).contains(&"setTimeout -> m.main".to_owned()));
}

#[test]
fn names_are_seen_in_their_blocks_and_functions_before_their_text() {
    let text = "
early();
function early() { inner(); function inner() {} }
let f = () => {};
{ let f = early; f(); }
f();
for (let i = 0, g = early; i < 3; i++) g();
if (true) { var later = early; }
later();
const self = function named(n) { named(n - 1); };
self(1);
";
    let expected =
        ["m -> m.early", "m -> m.f", "m -> m.named", "m.early -> m.early.inner", "m.named -> m.named"];
    assert_eq!(own(&graph(&[("m.js", text)])), expected);
}

#[test]
fn types_lead_to_those_who_implement_them_and_are_inferred() {
    let graph = graph(&[
        ("store.ts", "export interface Store { save(value: string): void }\nexport class Disk implements Store { save(value: string) {} }\n"),
        ("app.ts", "
import { Store } from './store';
abstract class Job { abstract run(): void; start() { this.run(); } }
class Mail extends Job { constructor(private readonly store: Store, kind?: Kind) { super(); } run() { this.store.save('a' as string); } }
enum Kind { A = 'a' }
type Alias = Store;
function keep(store: Alias | null) { store!.save('b'); }
namespace Tools { export function helper(): void {} }
Tools.helper();
"),
    ]);
    let expected = [
        "app -> app.Tools.helper",
        "app.Job.start -> app.Mail.run",
        "app.Mail.run -> store.Disk.save",
        "app.keep -> store.Disk.save",
    ];
    let own = own(&graph);
    assert_eq!(own, expected);
    assert!(!certain(&graph, "app.Job.start", "app.Mail.run"));
    assert!(!certain(&graph, "app.keep", "store.Disk.save"));
}

#[test]
fn tags_call_their_components_in_both_languages() {
    let text = "
const Item = ({ onPick }) => <li onClick={onPick}>{label()}</li>;
function label() {}
export default function List(props) { return <ul><Item onPick={props.pick} /></ul>; }
";
    for path in ["m.jsx", "m.tsx"] {
        assert_eq!(own(&graph(&[(path, text)])), ["m.Item -> m.label", "m.List -> m.Item"], "{path}");
    }
}

#[test]
fn packages_and_what_they_do_outside_are_nodes() {
    let text = "
import axios from 'axios';
import { readFile } from 'node:fs/promises';
const { Client } = require('pg');
import { S3 } from '@aws-sdk/client-s3';
async function run(url) {
  const answer = await axios.get(url);
  await readFile('a');
  await new Client().query('select 1', answer.data);
  new S3().send(answer);
}
";
    let graph = graph(&[("m.mjs", text)]);
    for library in ["axios", "fs", "pg", "@aws-sdk/client-s3"] {
        assert!(graph.find(NodeKind::Library, library).is_some(), "{library}");
    }
    let performs = edges(&graph, EdgeKind::Performs);
    for expected in ["m.run -> http", "m.run -> file", "m.run -> database"] {
        assert!(performs.iter().any(|edge| edge == expected), "{expected} in {performs:?}");
    }
    assert!(certain(&graph, "m.run", "axios.get"));
}

#[test]
fn languages_do_not_import_each_other() {
    let graph = graph(&[("a.js", "import { f } from './b';\nf();\n"), ("b.py", "def f(): pass\n")]);
    assert!(own(&graph).is_empty(), "{:?}", calls(&graph));
}

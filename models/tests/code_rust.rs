//! Rust programs and the graphs they must give.
mod graphs;

use graphs::{calls, certain, edges, graph, own};
use weft_models::graph::code::{EdgeKind, NodeKind};

#[test]
fn modules_are_joined_by_mod_use_and_paths_across_crates() {
    let graph = graph(&[
        ("Cargo.toml", "[workspace]\nmembers = [\"core\"]\n[package]\nname = \"app\"\nversion = \"0.1.0\"\n"),
        ("core/Cargo.toml", "[package]\nname = \"shop-core\"\nversion = \"0.1.0\"\n"),
        ("core/src/lib.rs", "pub mod price;\npub use price::of;\npub fn all() { price::of(); }\n"),
        ("core/src/price.rs", "pub fn of() { super::all(); crate::all(); }\n"),
        (
            "src/main.rs",
            "mod store;\nuse shop_core::price;\nuse shop_core::{all, of as cost};\nuse crate::store::disk::{self, Disk};\nfn main() { price::of(); all(); cost(); disk::open(); Disk::new(); helper(); store::save(); inner::deep::f(); }\nfn helper() {}\nmod inner { pub mod deep { pub fn f() { super::g(); super::super::helper(); } } fn g() { self::deep::f(); } }\n",
        ),
        ("src/store/mod.rs", "pub mod disk;\npub fn save() { self::disk::open(); }\n"),
        (
            "src/store/disk.rs",
            "pub struct Disk;\nimpl Disk { pub fn new() -> Self { Self } }\npub fn open() { super::save(); }\n",
        ),
    ]);
    let expected = ["core.all -> core.price.of", "core.price.of -> core.all"];
    let own = own(&graph);
    for expected in [
        expected[0],
        expected[1],
        "main.main -> core.price.of",
        "main.main -> core.all",
        "main.main -> store.disk.open",
        "main.main -> store.disk.Disk.new",
        "main.main -> main.helper",
        "main.main -> store.save",
        "main.main -> main.inner.deep.f",
        "main.inner.deep.f -> main.inner.g",
        "main.inner.deep.f -> main.helper",
        "main.inner.g -> main.inner.deep.f",
        "store.save -> store.disk.open",
        "store.disk.open -> store.save",
    ] {
        assert!(own.iter().any(|call| call == expected), "{expected} in {own:#?}");
    }
    assert_eq!(own.len(), 14, "{own:#?}");
    assert!(certain(&graph, "main.main", "core.price.of"));
    let imports = edges(&graph, EdgeKind::Imports);
    assert!(imports.contains(&"main -> store.disk".to_owned()), "{imports:?}");
    assert!(imports.contains(&"main -> core.price".to_owned()), "{imports:?}");
}

#[test]
fn methods_are_called_by_type_through_wrappers_containers_and_patterns() {
    let graph = graph(&[("src/lib.rs", "
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
pub struct Item { price: u32 }
pub struct Cart { items: Vec<Item>, by_name: HashMap<String, Item>, log: Arc<Mutex<Log>>, last: Option<Box<Item>> }
pub struct Log;
impl Log { fn write(&mut self) {} }
impl Item { fn cost(&self) -> u32 { self.price } }
impl Cart {
    pub fn load(name: &str) -> Result<Self, Error> { Ok(Self { items: Vec::new(), by_name: HashMap::new(), log: make(), last: None }) }
    fn total(&self) -> u32 {
        let mut sum = 0;
        for item in &self.items { sum += item.cost(); }
        self.log.lock().unwrap().write();
        if let Some(last) = self.last.as_ref() { last.cost(); }
        sum + self.items.iter().map(|one| one.cost()).sum::<u32>()
    }
    fn first(&self) -> Option<&Item> { self.items.first() }
}
fn make() -> Arc<Mutex<Log>> { Arc::new(Mutex::new(Log)) }
fn run(cart: &Cart) -> Result<(), Error> {
    let loaded = Cart::load(\"a\")?;
    loaded.total();
    cart.by_name.get(\"x\").unwrap().cost();
    match cart.first() { Some(item) => item.cost(), None => 0 };
    let (a, _) = (Item { price: 1 }, 2);
    a.cost();
    let call = Item::cost;
    call(&a);
    let chosen = if a.cost() > 1 { make() } else { make() };
    chosen.lock().unwrap().write();
    println!(\"{}\", cart.total());
    Ok(())
}
pub struct Error;
")]);
    let own = own(&graph);
    for expected in [
        "crate.Cart.load -> crate.make",
        "crate.Cart.total -> crate.Item.cost",
        "crate.Cart.total -> crate.Log.write",
        "crate.Cart.total.<lambda1> -> crate.Item.cost",
        "crate.run -> crate.Cart.load",
        "crate.run -> crate.Cart.total",
        "crate.run -> crate.Cart.first",
        "crate.run -> crate.Item.cost",
        "crate.run -> crate.Log.write",
        "crate.run -> crate.make",
    ] {
        assert!(own.iter().any(|call| call == expected), "{expected} in {own:#?}");
    }
    assert!(certain(&graph, "crate.run", "crate.Cart.load"));
    assert!(certain(&graph, "crate.Cart.total", "crate.Log.write"));
    let contains = edges(&graph, EdgeKind::Contains);
    assert!(contains.contains(&"crate.Item -> crate.Item.cost".to_owned()), "{contains:?}");
}

#[test]
fn traits_lead_to_those_who_implement_them_and_are_inferred_where_they_are_several() {
    let graph = graph(&[
        (
            "src/lib.rs",
            "
pub mod disk;
pub trait Store { fn save(&self, text: &str); fn flush(&self) { self.save(\"all\"); } }
pub trait Single { fn only(&self); }
pub struct Memory;
impl Store for Memory { fn save(&self, text: &str) { self.own(); } }
impl Memory { fn own(&self) {} }
impl Single for Memory { fn only(&self) {} }
fn by_ref(store: &dyn Store) { store.save(\"a\"); }
fn by_generic<T: Store>(store: T) { store.flush(); }
fn by_where<T>(store: &T) where T: Single { store.only(); }
fn by_box(stores: Vec<Box<dyn Store>>) { for store in stores.iter() { store.save(\"b\"); } }
fn by_impl(store: impl Single + Clone) { store.only(); }
",
        ),
        (
            "src/disk.rs",
            "
use crate::Store;
pub struct Disk;
impl Store for Disk { fn save(&self, text: &str) {} fn flush(&self) {} }
",
        ),
    ]);
    let expected = [
        "crate.Memory.save -> crate.Memory.own",
        "crate.Store.flush -> crate.Memory.save",
        "crate.Store.flush -> disk.Disk.save",
        "crate.by_box -> crate.Memory.save",
        "crate.by_box -> disk.Disk.save",
        "crate.by_generic -> crate.Store.flush",
        "crate.by_generic -> disk.Disk.flush",
        "crate.by_impl -> crate.Memory.only",
        "crate.by_ref -> crate.Memory.save",
        "crate.by_ref -> disk.Disk.save",
        "crate.by_where -> crate.Memory.only",
    ];
    assert_eq!(own(&graph), expected);
    assert!(!certain(&graph, "crate.by_ref", "disk.Disk.save"));
    assert!(certain(&graph, "crate.by_where", "crate.Memory.only"));
    assert!(edges(&graph, EdgeKind::Inherits).contains(&"disk.Disk -> crate.Store".to_owned()));
}

#[test]
fn functions_are_followed_as_values_closures_enums_and_async() {
    let graph = graph(&[("src/main.rs", "
enum Shape { Round(Circle), Square { side: Side }, Empty }
struct Circle; struct Side;
impl Circle { fn area(&self) {} }
impl Side { fn length(&self) {} }
impl Shape { fn area(&self) { match self { Shape::Round(circle) => circle.area(), Shape::Square { side } => side.length(), Shape::Empty => nothing() } } }
fn nothing() {}
fn one() {}
fn two() {}
fn call(action: impl Fn()) { action(); }
struct Job { run: fn() }
async fn load() -> Circle { Circle }
async fn main() {
    call(one);
    call(|| two());
    let job = Job { run: one };
    (job.run)();
    Shape::Round(Circle).area();
    load().await.area();
    let list = vec![one as fn(), two];
    list[0]();
    loop { break; }
}
")]);
    let own = own(&graph);
    for expected in [
        "main.Shape.area -> main.Circle.area",
        "main.Shape.area -> main.Side.length",
        "main.Shape.area -> main.nothing",
        "main.call -> main.one",
        "main.call -> main.main.<lambda1>",
        "main.main.<lambda1> -> main.two",
        "main.main -> main.one",
        "main.main -> main.Shape.area",
        "main.main -> main.load",
        "main.main -> main.Circle.area",
    ] {
        assert!(own.iter().any(|call| call == expected), "{expected} in {own:#?}");
    }
}

#[test]
fn crates_and_what_they_do_outside_are_nodes() {
    let graph = graph(&[(
        "src/main.rs",
        "
use redis::Commands;
use sqlx::PgPool;
use std::{fs, process::Command};
struct App { pool: PgPool, client: reqwest::Client, cache: redis::Connection }
impl App {
    async fn db(&self) { sqlx::query(\"select 1\").fetch_all(&self.pool).await.unwrap(); }
    async fn http(&self) { self.client.get(\"http://x\").send().await.unwrap(); }
    async fn file(&self) { tokio::fs::read(\"a\").await.unwrap(); fs::write(\"a\", \"b\").unwrap(); }
    fn process(&self) { Command::new(\"ls\").spawn().unwrap(); }
    fn cache(&mut self) { self.cache.get(\"a\"); }
    fn nothing(&self) { let text = String::new(); println!(\"{}\", text.len()); }
}
",
    )]);
    for library in ["sqlx", "reqwest", "redis", "std", "tokio"] {
        assert!(graph.find(NodeKind::Library, library).is_some(), "{library}");
    }
    let performs = edges(&graph, EdgeKind::Performs);
    for (method, effect) in [
        ("db", "database"),
        ("http", "http"),
        ("file", "file"),
        ("process", "process"),
        ("cache", "database"),
    ] {
        let expected = format!("main.App.{method} -> {effect}");
        assert!(performs.contains(&expected), "{expected} in {performs:#?}");
    }
    assert!(!performs.iter().any(|edge| edge.starts_with("main.App.nothing")), "{performs:?}");
    assert!(certain(&graph, "main.App.file", "std.fs.write"));
    assert!(calls(&graph).contains(&"main.App.nothing -> std.string.String.len".to_owned()));
}

#[test]
fn values_reach_parameters_and_results() {
    let graph = graph(&[(
        "src/main.rs",
        "
fn read(name: &str) -> String { let text = std::fs::read_to_string(name).unwrap(); text }
fn size(text: &str) -> usize { text.len() }
fn main() { let text = read(\"a\"); size(&text); }
",
    )]);
    let reaches = edges(&graph, EdgeKind::Reaches);
    for expected in [
        "main.read.name -> std.fs.read_to_string",
        "std.fs.read_to_string -> main.read.<return>",
        "main.read.<return> -> main.size.text",
        "main.size.text -> main.size.<return>",
    ] {
        assert!(reaches.contains(&expected.to_owned()), "{expected} in {reaches:#?}");
    }
}

#[test]
fn loops_keep_what_they_walk_over() {
    use weft_models::graph::ir::{ExprKind, LoopKind};
    let text = "
fn f(xs: &[u32], n: usize) {
    for i in 0..n { for x in xs.iter() { use_it(x); } }
    for (i, x) in xs.iter().enumerate() { use_it(x); }
    for i in (1..=n).rev().step_by(2) { use_it(&i); }
    let mut stack = vec![1];
    while let Some(x) = stack.pop() { use_it(&x); }
    while n > 0 { break; }
    let found = loop { break 1; };
}
";
    let files = [weft_models::graph::SourceFile::new("src/lib.rs", text)];
    let analysis = weft_models::graph::analyse(&files, &weft_models::graph::Bounds::default());
    let unit = &analysis.program.units[0];
    let kinds: Vec<_> = unit
        .loops
        .iter()
        .map(|one| match one.kind {
            LoopKind::Each { iterated, .. } => match unit.expr(iterated).kind {
                ExprKind::Name(name, _) => format!("each {}", analysis.program.names.text(name)),
                other => format!("{other:?}"),
            },
            LoopKind::Counted { .. } => "counted".into(),
            LoopKind::While(_) => "while".into(),
            LoopKind::Forever => "forever".into(),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["each xs", "counted", "each xs", "counted", "while", "while", "forever"]);
}

#[test]
fn broken_source_gives_what_stands_around_it() {
    let graph = graph(&[("src/lib.rs", "fn a() { b(); }\nfn broken( {\n}\nfn b() {}\n")]);
    assert!(graph.find(NodeKind::Function, "crate.a").is_some());
    assert!(!graph.diagnostics.is_empty());
}

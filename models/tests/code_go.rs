//! Go programs and the graphs they must give.
mod graphs;

use graphs::{calls, certain, edges, graph, own};
use weft_models::graph::code::{EdgeKind, NodeKind};

#[test]
fn files_of_a_package_share_names_and_packages_are_imported_by_their_folders() {
    let graph = graph(&[
        ("go.mod", "module example.com/shop\n\ngo 1.22\n"),
        (
            "main.go",
            "package main\n\nimport (\n\t\"example.com/shop/internal/store\"\n\tp \"example.com/shop/price\"\n)\n\nfunc main() { run(); store.Save(); p.Of() }\n",
        ),
        ("run.go", "package main\n\nfunc run() { helper() }\nfunc helper() {}\n"),
        ("internal/store/store.go", "package store\n\nfunc Save() { write() }\n"),
        ("internal/store/write.go", "package store\n\nvar count int\n\nfunc write() { count++ }\n"),
        ("price/price.go", "package price\n\nfunc Of() {}\n"),
        ("price/store/store.go", "package store\n\nfunc Save() {}\n"),
    ]);
    let expected = [
        "internal.store.Save -> internal.store.write",
        "main.main -> internal.store.Save",
        "main.main -> main.run",
        "main.main -> price.Of",
        "main.run -> main.helper",
    ];
    assert_eq!(own(&graph), expected);
    assert!(certain(&graph, "main.main", "internal.store.Save"));
    let imports = edges(&graph, EdgeKind::Imports);
    assert_eq!(imports, ["main -> internal.store", "main -> internal.store", "main -> price"]);
}

#[test]
fn methods_are_called_by_the_types_of_receivers_parameters_results_and_fields() {
    let graph = graph(&[
        (
            "cart/cart.go",
            "
package cart
type Item struct{ price int }
type Cart struct {
	items []*Item
	byName map[string]*Item
	log Log
}
func New() *Cart { return &Cart{} }
func load(name string) (*Item, error) { return &Item{}, nil }
func (c *Cart) Total() int {
	sum := 0
	for _, item := range c.items { sum += item.Cost() }
	for name := range c.byName { c.byName[name].Cost() }
	c.log.Write()
	return sum
}
",
        ),
        (
            "cart/item.go",
            "
package cart
type Log struct{}
func (l Log) Write() {}
func (i *Item) Cost() int { return i.price }
func use(c Cart) {
	c.Total()
	item, err := load(\"a\")
	if err != nil { panic(err) }
	item.Cost()
	New().Total()
	var other Cart
	other.Total()
	made := make([]Cart, 3)
	made[0].Total()
	call := c.Total
	call()
	any(c).(Log).Write()
}
",
        ),
    ]);
    let expected = [
        "cart.Cart.Total -> cart.Item.Cost",
        "cart.Cart.Total -> cart.Log.Write",
        "cart.use -> cart.Cart.Total",
        "cart.use -> cart.Item.Cost",
        "cart.use -> cart.Log.Write",
        "cart.use -> cart.New",
        "cart.use -> cart.load",
    ];
    assert_eq!(own(&graph), expected);
    assert!(certain(&graph, "cart.Cart.Total", "cart.Item.Cost"));
    let contains = edges(&graph, EdgeKind::Contains);
    assert!(contains.contains(&"cart.Item -> cart.Item.Cost".to_owned()), "{contains:?}");
    assert!(!contains.contains(&"cart -> cart.Item.Cost".to_owned()));
}

#[test]
fn interfaces_lead_to_those_who_have_their_methods_and_are_inferred_where_they_are_several() {
    let graph = graph(&[
        (
            "store/store.go",
            "
package store
type Store interface { Save(value string) error; Closer }
type Closer interface { Close() error }
type Disk struct{}
func (d *Disk) Save(value string) error { return nil }
func (d *Disk) Close() error { return nil }
type Base struct{}
func (b Base) Close() error { return nil }
type Memory struct{ Base }
func (m Memory) Save(value string) error { m.Close(); return nil }
type Half struct{}
func (h Half) Save(value, more string) error { return nil }
func (h Half) Close() error { return nil }
type One interface { Only() }
type Single struct{}
func (s Single) Only() {}
",
        ),
        (
            "app.go",
            "
package main
import \"shop/store\"
type Server struct { store store.Store; one store.One }
func (s *Server) Handle() { s.store.Save(\"a\"); s.one.Only() }
",
        ),
        ("go.mod", "module shop\n"),
    ]);
    let expected = [
        "main.Server.Handle -> store.Disk.Save",
        "main.Server.Handle -> store.Memory.Save",
        "main.Server.Handle -> store.Single.Only",
        "store.Memory.Save -> store.Base.Close",
    ];
    assert_eq!(own(&graph), expected);
    assert!(!certain(&graph, "main.Server.Handle", "store.Disk.Save"));
    assert!(certain(&graph, "main.Server.Handle", "store.Single.Only"));
    let inherits = edges(&graph, EdgeKind::Inherits);
    assert!(inherits.contains(&"store.Memory -> store.Store".to_owned()), "{inherits:?}");
    assert!(!inherits.contains(&"store.Half -> store.Store".to_owned()));
}

#[test]
fn functions_are_followed_as_values_through_maps_lists_fields_channels_and_closures() {
    let graph = graph(&[(
        "m.go",
        "
package main
type Job struct { run func() }
var table = map[string]func(){\"one\": one, \"two\": two}
func one() {}
func two() {}
func three() {}
func each(actions []func(), then func()) { for _, action := range actions { action() }; then() }
func main() {
	table[\"one\"]()
	var list []func()
	list = append(list, three)
	each(list, func() { two() })
	job := Job{run: three}
	job.run()
	jobs := make(chan func(), 1)
	jobs <- one
	next := <-jobs
	next()
	f := one
	if len(list) > 1 { f = two }
	go f()
	defer three()
}
",
    )]);
    let expected = [
        "main.each -> main.main.<lambda1>",
        "main.each -> main.three",
        "main.main -> main.each",
        "main.main -> main.one",
        "main.main -> main.three",
        "main.main -> main.two",
        "main.main.<lambda1> -> main.two",
    ];
    assert_eq!(own(&graph), expected);
}

#[test]
fn packages_and_what_they_do_outside_are_nodes() {
    let graph = graph(&[(
        "m.go",
        "
package main
import (
	\"database/sql\"
	\"fmt\"
	\"net/http\"
	\"os\"
	\"os/exec\"
	\"github.com/redis/go-redis/v9\"
)
type App struct { db *sql.DB; cache *redis.Client }
func (a *App) load(w http.ResponseWriter, r *http.Request) {
	rows, err := a.db.Query(\"select 1\")
	if err != nil { return }
	defer rows.Close()
	a.cache.Get(r.Context(), \"key\")
	answer, _ := http.Get(\"http://other\")
	fmt.Println(answer)
	os.ReadFile(\"a\")
	exec.Command(\"ls\").Run()
}
func main() {
	a := &App{}
	http.HandleFunc(\"/\", a.load)
	server := &http.Server{Addr: \":80\"}
	_ = server
}
",
    )]);
    for library in ["database/sql", "net/http", "os", "os/exec", "github.com/redis/go-redis/v9"] {
        assert!(graph.find(NodeKind::Library, library).is_some(), "{library}");
    }
    let performs = edges(&graph, EdgeKind::Performs);
    for effect in ["database", "http", "file", "process"] {
        let expected = format!("main.App.load -> {effect}");
        assert!(performs.contains(&expected), "{expected} in {performs:?}");
    }
    assert!(!performs.iter().any(|edge| edge.starts_with("main.main ->")), "{performs:?}");
    assert!(calls(&graph).contains(&"net/http.HandleFunc -> main.App.load".to_owned()));
    assert!(certain(&graph, "main.App.load", "os.ReadFile"));
}

#[test]
fn values_reach_parameters_and_results() {
    let graph = graph(&[(
        "m.go",
        "
package main
import \"os\"
func read(name string) ([]byte, error) { data, err := os.ReadFile(name); return data, err }
func size(data []byte) int { return len(data) }
func main() { data, _ := read(\"a\"); size(data) }
",
    )]);
    let reaches = edges(&graph, EdgeKind::Reaches);
    for expected in [
        "main.read.name -> os.ReadFile",
        "os.ReadFile -> main.read.<return>",
        "main.read.<return> -> main.size.data",
        "main.size.data -> main.size.<return>",
    ] {
        assert!(reaches.contains(&expected.to_owned()), "{expected} in {reaches:#?}");
    }
}

#[test]
fn loops_keep_what_they_walk_over() {
    use weft_models::graph::ir::{ExprKind, LoopKind};
    let text = "
package main
func f(xs []int, m map[string]int, n int) {
	for i := 0; i < n; i++ { for _, x := range xs { use(x) } }
	for k := range m { use(k) }
	for n > 0 { n-- }
	for { break }
	for range xs { n++ }
}
";
    let files = [weft_models::graph::SourceFile::new("m.go", text)];
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
            LoopKind::EachKey { .. } => "each key".into(),
            LoopKind::While(_) => "while".into(),
            LoopKind::Counted { condition, step, .. } => {
                format!("counted {} {}", condition.is_some(), step.len())
            }
            LoopKind::DoWhile(_) => "do".into(),
            LoopKind::Forever => "forever".into(),
        })
        .collect();
    assert_eq!(kinds, ["each xs", "counted true 1", "each key", "while", "forever", "each xs"]);
}

#[test]
fn switches_by_type_and_selects_are_read() {
    let graph = graph(&[(
        "m.go",
        "
package main
type A struct{}
func (A) Go() {}
type B struct{}
func (B) Go() {}
func pick(x any, in chan A) (a A) {
	switch v := x.(type) {
	case A: v.Go()
	case *B: v.Go()
	default: done()
	}
	select {
	case got := <-in: got.Go()
	case in <- A{}: done()
	}
	return
}
func done() {}
func main() { pick(nil, nil).Go() }
",
    )]);
    let expected = [
        "main.main -> main.A.Go",
        "main.main -> main.pick",
        "main.pick -> main.A.Go",
        "main.pick -> main.B.Go",
        "main.pick -> main.done",
    ];
    assert_eq!(own(&graph), expected);
}

#[test]
fn broken_source_gives_what_stands_around_it() {
    let graph = graph(&[("m.go", "package main\nfunc a() { b() }\nfunc broken( {\n\nfunc b() {}\n")]);
    assert!(graph.find(NodeKind::Function, "main.a").is_some());
    assert!(!graph.diagnostics.is_empty());
}

//! Java programs and the graphs they must give.
mod graphs;

use graphs::{certain, edges, graph, own};
use weft_models::graph::code::{EdgeKind, NodeKind};

#[test]
fn packages_and_imports_are_joined() {
    let graph = graph(&[
        (
            "src/main/java/com/shop/App.java",
            "package com.shop;\nimport com.shop.store.Store;\nimport static com.shop.store.Tools.check;\nimport com.shop.price.*;\nclass App { public static void main(String[] args) { Store.save(); new Helper().run(); check(1); Price.of(); } }\n",
        ),
        (
            "src/main/java/com/shop/Helper.java",
            "package com.shop;\nclass Helper { void run() { step(); } private void step() {} }\n",
        ),
        (
            "src/main/java/com/shop/store/Store.java",
            "package com.shop.store;\npublic class Store { public static void save() { Tools.check(1); } }\n",
        ),
        (
            "src/main/java/com/shop/store/Tools.java",
            "package com.shop.store;\npublic class Tools { public static void check(int n) {} }\n",
        ),
        (
            "src/main/java/com/shop/price/Price.java",
            "package com.shop.price;\npublic class Price { public static void of() {} }\n",
        ),
    ]);
    let expected = [
        "com.shop.App.main -> com.shop.Helper.run",
        "com.shop.App.main -> com.shop.price.Price.of",
        "com.shop.App.main -> com.shop.store.Store.save",
        "com.shop.App.main -> com.shop.store.Tools.check",
        "com.shop.Helper.run -> com.shop.Helper.step",
        "com.shop.store.Store.save -> com.shop.store.Tools.check",
    ];
    assert_eq!(own(&graph), expected);
    assert!(certain(&graph, "com.shop.App.main", "com.shop.store.Store.save"));
    assert!(certain(&graph, "com.shop.Helper.run", "com.shop.Helper.step"));
    let imports = edges(&graph, EdgeKind::Imports);
    assert_eq!(
        imports,
        ["com.shop -> com.shop.price", "com.shop -> com.shop.store", "com.shop -> com.shop.store"]
    );
}

#[test]
fn methods_are_called_by_type_and_those_that_override_are_inferred() {
    let graph = graph(&[
        (
            "Job.java",
            "
public abstract class Job {
  private final Store store;
  Job(Store store) { this.store = store; }
  void start() { prepare(); run(); this.store.save(\"a\"); }
  void prepare() {}
  abstract void run();
}
",
        ),
        (
            "Mail.java",
            "
public class Mail extends Job {
  Mail() { super(new Disk()); }
  @Override void prepare() { super.prepare(); }
  @Override void run() { helper(); }
  private void helper() {}
}
",
        ),
        (
            "Store.java",
            "public interface Store { void save(String text); default void flush() { save(\"b\"); } }\n",
        ),
        ("Disk.java", "public class Disk implements Store { public void save(String text) {} }\n"),
        (
            "Main.java",
            "
import java.util.*;
class Main {
  private List<Job> jobs = new ArrayList<>();
  Map<String, Store> stores = new HashMap<>();
  void all(Job[] more) {
    for (Job job : jobs) job.start();
    jobs.get(0).prepare();
    more[1].prepare();
    stores.get(\"x\").flush();
    for (Store store : stores.values()) { store.flush(); }
    var mail = new Mail();
    mail.prepare();
    jobs.stream().filter(one -> true).forEach(one -> one.start());
  }
}
",
        ),
    ]);
    let expected = [
        "default.Job.start -> default.Disk.save",
        "default.Job.start -> default.Job.prepare",
        "default.Job.start -> default.Mail.prepare",
        "default.Job.start -> default.Mail.run",
        "default.Mail.<init> -> default.Job.<init>",
        "default.Mail.prepare -> default.Job.prepare",
        "default.Mail.run -> default.Mail.helper",
        "default.Main.all -> default.Job.prepare",
        "default.Main.all -> default.Job.start",
        "default.Main.all -> default.Mail.<init>",
        "default.Main.all -> default.Mail.prepare",
        "default.Main.all -> default.Main.all.<lambda1>",
        "default.Main.all -> default.Main.all.<lambda2>",
        "default.Main.all -> default.Store.flush",
        "default.Main.all.<lambda2> -> default.Job.start",
        "default.Store.flush -> default.Disk.save",
    ];
    assert_eq!(own(&graph), expected);
    assert!(!certain(&graph, "default.Job.start", "default.Mail.prepare"));
    assert!(certain(&graph, "default.Job.start", "default.Mail.run"));
    assert!(certain(&graph, "default.Main.all", "default.Job.start"));
    assert!(edges(&graph, EdgeKind::Inherits).contains(&"default.Disk -> default.Store".to_owned()));
}

#[test]
fn overloads_are_told_apart_by_their_number_of_parameters() {
    let graph = graph(&[(
        "A.java",
        "
class A {
  A() { this(1); }
  A(int n) {}
  void f() { f(1); }
  void f(int a) { f(a, 2); }
  void f(int a, int b) { all(1, 2, 3); }
  void all(int... more) {}
}
",
    )]);
    let lines: Vec<_> = graph.edges.iter().filter(|edge| edge.kind == EdgeKind::Calls).collect();
    let line = |id| graph.node(id).lines.0;
    let pairs: Vec<_> = lines.iter().map(|edge| (line(edge.from), line(edge.to))).collect();
    assert_eq!(pairs, [(3, 4), (5, 6), (6, 7), (7, 8)]);
}

#[test]
fn functions_are_followed_as_lambdas_references_and_anonymous_classes() {
    let graph = graph(&[(
        "m/A.java",
        "
package m;
import java.util.function.Supplier;
interface Action { void go(); }
class A {
  private Runnable kept;
  void each(Action action) { action.go(); }
  void keep(Runnable run) { this.kept = run; }
  void late() { kept.run(); }
  int make(Supplier<B> supplier) { supplier.get().size(); return 1; }
  void main() {
    each(() -> one());
    each(this::two);
    each(new Action() { public void go() { three(); } });
    keep(A::four);
    make(B::new);
    Runnable local = () -> one();
    local.run();
  }
  void one() {}
  void two() {}
  void three() {}
  static void four() {}
  static class B { int size() { return 0; } }
}
",
    )]);
    let own = own(&graph);
    for expected in [
        "m.A.each -> m.A.main.<lambda1>",
        "m.A.main.<lambda1> -> m.A.one",
        "m.A.each -> m.A.two",
        "m.A.each -> m.A.main.<lambda2>.go",
        "m.A.main.<lambda2>.go -> m.A.three",
        "m.A.late -> m.A.four",
        "m.A.main -> m.A.main.local",
        "m.A.make -> m.A.B.size",
    ] {
        assert!(own.iter().any(|call| call == expected), "{expected} in {own:#?}");
    }
}

#[test]
fn switches_records_enums_patterns_and_resources_are_read() {
    let graph = graph(&[("m/A.java", "
package m;
record Point(Item item, int y) { Point { check(); } static void check() {} }
class Item { void use() {} static Item make() { return new Item(); } }
class Door implements AutoCloseable { public void close() {} void open() {} }
enum Kind { SMALL { void act() { low(); } }, LARGE; void act() {} static void low() {} }
class A {
  void main(Object any, int n) {
    new Point(Item.make(), 1).item().use();
    Item item = switch (n) { case 1 -> Item.make(); default -> { yield new Item(); } };
    item.use();
    switch (n) { case 2: one(); break; default: two(); }
    if (any instanceof Door door && n > 1) door.open();
    try (Door door = new Door()) { door.open(); } catch (IllegalStateException | Failure e) { e.getMessage(); } finally { two(); }
    Kind.SMALL.act();
    synchronized (this) { one(); }
  }
  void one() {}
  void two() {}
  static class Failure extends RuntimeException {}
}
")]);
    let own = own(&graph);
    for expected in [
        "m.A.main -> m.Point.<init>",
        "m.Point.<init> -> m.Point.check",
        "m.A.main -> m.Point.item",
        "m.A.main -> m.Item.use",
        "m.A.main -> m.Item.make",
        "m.A.main -> m.A.one",
        "m.A.main -> m.A.two",
        "m.A.main -> m.Door.open",
        "m.A.main -> m.Door.close",
        "m.A.main -> m.Kind.SMALL.act",
        "m.Kind.SMALL.act -> m.Kind.low",
    ] {
        assert!(own.iter().any(|call| call == expected), "{expected} in {own:#?}");
    }
}

#[test]
fn libraries_and_what_they_do_outside_are_nodes() {
    let graph = graph(&[("m/A.java", "
package m;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.*;
import org.springframework.data.jpa.repository.JpaRepository;
import org.springframework.jdbc.core.JdbcTemplate;
import redis.clients.jedis.Jedis;
interface Users extends JpaRepository<User, Long> { User findByName(String name); }
class User {}
class A {
  private final HttpClient client = HttpClient.newHttpClient();
  private JdbcTemplate jdbc;
  private Users users;
  void http() throws Exception { client.send(HttpRequest.newBuilder(URI.create(\"u\")).build(), null); }
  void file() throws Exception { Files.readString(Path.of(\"a\")); }
  void process() throws Exception { new ProcessBuilder(\"ls\").start(); }
  void jdbc() { jdbc.query(\"select 1\", row -> row); }
  void jedis() { try (Jedis jedis = new Jedis()) { jedis.get(\"a\"); } }
  void sql() throws Exception { Connection c = DriverManager.getConnection(\"x\"); c.createStatement().executeQuery(\"s\"); }
  void users() { users.findAll(); }
  void nothing() { System.out.println(\"a\".length()); }
}
")]);
    for library in ["java.net.http", "java.nio.file", "redis.clients.jedis", "org.springframework.jdbc.core"]
    {
        assert!(graph.find(NodeKind::Library, library).is_some(), "{library}");
    }
    let performs = edges(&graph, EdgeKind::Performs);
    for (method, effect) in [
        ("http", "http"),
        ("file", "file"),
        ("process", "process"),
        ("jdbc", "database"),
        ("jedis", "database"),
        ("sql", "database"),
        ("users", "database"),
    ] {
        let expected = format!("m.A.{method} -> {effect}");
        assert!(performs.contains(&expected), "{expected} in {performs:#?}");
    }
    assert!(!performs.iter().any(|edge| edge.starts_with("m.A.nothing")), "{performs:?}");
    assert!(certain(&graph, "m.A.file", "java.nio.file.Files.readString"));
}

#[test]
fn values_reach_parameters_and_results() {
    let graph = graph(&[(
        "m/A.java",
        "
package m;
class A {
  static String read(String name) { return java(name); }
  static String java(String name) { return name; }
  void main() { String text = read(\"a\"); use(text); }
  void use(String text) {}
}
",
    )]);
    let reaches = edges(&graph, EdgeKind::Reaches);
    for expected in [
        "m.A.read.name -> m.A.java.name",
        "m.A.java.name -> m.A.java.<return>",
        "m.A.read.<return> -> m.A.use.text",
    ] {
        assert!(reaches.contains(&expected.to_owned()), "{expected} in {reaches:#?}");
    }
}

#[test]
fn loops_keep_what_they_walk_over() {
    use weft_models::graph::ir::LoopKind;
    let text = "
class A { int f(int[] xs, int n) {
  for (int i = 0; i < n; i++) { for (int x : xs) n += x; }
  while (n > 0) n--;
  do { n++; } while (n < 3);
  for (;;) break;
  return n; } }
";
    let files = [weft_models::graph::SourceFile::new("A.java", text)];
    let analysis = weft_models::graph::analyse(&files, &weft_models::graph::Bounds::default());
    let kinds: Vec<_> = analysis.program.units[0]
        .loops
        .iter()
        .map(|one| match one.kind {
            LoopKind::Each { .. } => "each",
            LoopKind::While(_) => "while",
            LoopKind::DoWhile(_) => "do",
            LoopKind::Counted { condition: Some(_), .. } => "counted",
            LoopKind::Counted { .. } => "counted without condition",
            _ => "other",
        })
        .collect();
    assert_eq!(kinds, ["each", "counted", "while", "do", "counted without condition"]);
}

#[test]
fn broken_source_gives_what_stands_around_it() {
    let graph =
        graph(&[("m/A.java", "package m;\nclass A { void a() { b(); } void broken( { } void b() {} }\n")]);
    assert!(graph.find(NodeKind::Function, "m.A.a").is_some());
    assert!(!graph.diagnostics.is_empty());
}

//! Manifests beside the source, and what they say of the libraries in the graph.
mod graphs;

use graphs::{calls, certain, edges, graph, own};
use weft_models::graph::code::{CodeGraph, EdgeKind, NodeKind};
use weft_models::graph::diagnostic::Trouble;

fn version(graph: &CodeGraph, library: &str) -> Option<String> {
    let node = graph.find(NodeKind::Library, library);
    let node = node.unwrap_or_else(|| panic!("no library {library} in {:#?}", graph.nodes));
    graph.node(node).version.clone()
}

#[test]
fn libraries_have_the_versions_that_are_settled_or_asked_for() {
    let graph = graph(&[
        ("requirements.txt", "PyYAML==6.0.1\nscikit-learn>=1\n"),
        ("a.py", "import yaml\nimport sklearn.tree\nimport json\n"),
        ("web/package.json", "{\"dependencies\": {\"axios\": \"^1.2\", \"@scope/x\": \"2\"}}"),
        ("web/package-lock.json", "{\"packages\": {\"node_modules/axios\": {\"version\": \"1.7.2\"}}}"),
        ("web/a.js", "import axios from 'axios';\nimport x from '@scope/x/part';\naxios.get('u');\n"),
        ("go.mod", "module shop\nrequire github.com/jackc/pgx/v5 v5.5.0\n"),
        (
            "m.go",
            "package main\nimport \"github.com/jackc/pgx/v5/pgxpool\"\nfunc f(p *pgxpool.Pool) { p.Close() }\n",
        ),
        ("svc/Cargo.toml", "[package]\nname = \"svc\"\n[dependencies]\ntokio-postgres = \"0.7\"\n"),
        ("svc/Cargo.lock", "[[package]]\nname = \"tokio-postgres\"\nversion = \"0.7.11\"\n"),
        (
            "svc/src/main.rs",
            "use tokio_postgres::Client;\nasync fn f(c: Client) { c.query(\"a\", &[]).await; }\n",
        ),
        (
            "pom.xml",
            "<project><dependencies><dependency><groupId>redis.clients</groupId><artifactId>jedis</artifactId><version>5.1.0</version></dependency></dependencies></project>",
        ),
        (
            "src/main/java/m/A.java",
            "package m;\nimport redis.clients.jedis.Jedis;\nclass A { void f() { new Jedis(); } }\n",
        ),
    ]);
    let expected = [
        ("yaml", Some("6.0.1")),
        ("sklearn", Some(">=1")),
        ("json", None),
        ("axios", Some("1.7.2")),
        ("@scope/x", Some("2")),
        ("github.com/jackc/pgx/v5/pgxpool", Some("v5.5.0")),
        ("tokio_postgres", Some("0.7.11")),
        ("redis.clients.jedis", Some("5.1.0")),
    ];
    for (library, settled) in expected {
        assert_eq!(version(&graph, library).as_deref(), settled, "{library}");
    }
    assert_eq!(graph.libraries.len(), 7, "{:#?}", graph.libraries);
    assert!(graph.diagnostics.is_empty(), "{:?}", graph.diagnostics);
}

#[test]
fn of_several_manifests_the_nearest_counts() {
    let graph = graph(&[
        ("requirements.txt", "redis==4.0\n"),
        ("svc/requirements.txt", "redis==5.0\n"),
        ("svc/a.py", "import redis\nredis.Redis()\n"),
    ]);
    assert_eq!(version(&graph, "redis").as_deref(), Some("5.0"));
}

#[test]
fn a_broken_manifest_is_told_and_the_source_is_read() {
    let graph = graph(&[("package.json", "{"), ("a.js", "function f() {}\nf();\n")]);
    assert_eq!(own(&graph), ["a -> a.f"]);
    assert!(certain(&graph, "a", "a.f") && calls(&graph).len() == 1);
    assert!(edges(&graph, EdgeKind::Imports).is_empty());
    assert_eq!(graph.diagnostics[0].trouble, Trouble::BadManifest);
}

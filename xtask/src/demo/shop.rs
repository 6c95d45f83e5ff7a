//! The shop: six segments, their images and where they are dialled. In: nothing. Out: what the agent is told of them.
//!
//! | segment | what it is | asks |
//! | --- | --- | --- |
//! | front | static program | |
//! | catalog | Python: flask, sqlite3, waitress | |
//! | cart | Python: sqlite3, http.server | |
//! | price, stock | static program | |
//! | checkout | Python: jinja2, decimal, http.client | cart, price and stock in a row |
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use weft_tests::agent::Segment;
use weft_tests::image::{ImageBuilder, static_binary};

pub(super) const FRONT: &str = "front";
pub(super) const CATALOG: &str = "catalog";
pub(super) const CART: &str = "cart";
pub(super) const PRICE: &str = "price";
pub(super) const STOCK: &str = "stock";
pub(super) const CHECKOUT: &str = "checkout";

/// All segments, in the order in which they are shown.
pub(super) const NAMES: [&str; 6] = [FRONT, CATALOG, CART, CHECKOUT, PRICE, STOCK];

/// One layer for all Python images: what they import, with all that needs.
const PYTHON: [&str; 3] = ["python3-minimal", "python3-flask", "python3-waitress"];

/// What callers dial; nothing answers there but weft.
pub(super) fn address(segment: &str) -> SocketAddr {
    let index = NAMES.iter().position(|name| *name == segment).unwrap_or(NAMES.len());
    SocketAddr::from(([10, 96, 7, 10 + index as u8], 80))
}

/// What the agent is told of the segments.
pub(super) fn segments() -> Vec<Segment> {
    let segment = |name: &str| {
        Segment::new(name, &format!("shop/{name}:1")).address(address(name)).limits(memory_mib(name), 1.0)
    };
    let told = |name: &str| match name {
        CHECKOUT => [CART, PRICE, STOCK].iter().fold(segment(name), |told, callee| {
            told.env(&callee.to_uppercase(), &address(callee).to_string())
        }),
        _ => segment(name),
    };
    NAMES.iter().map(|name| told(name)).collect()
}

fn memory_mib(name: &str) -> u64 {
    if is_python(name) { 96 } else { 24 }
}

fn is_python(name: &str) -> bool {
    matches!(name, CATALOG | CART | CHECKOUT)
}

/// Their images.
///
/// # Errors
/// When a source cannot be read, or the static program does not build.
pub(super) fn images(cache: &Path) -> Result<Vec<ImageBuilder>> {
    let counter = fs::read(static_binary("counter", &sources(), &["counter.rs"], cache)?)?;
    NAMES.iter().map(|name| image(name, &counter)).collect()
}

fn image(name: &str, counter: &[u8]) -> Result<ImageBuilder> {
    let image = ImageBuilder::new(format!("shop/{name}:1"));
    let items = source("items.csv")?;
    Ok(if is_python(name) {
        let program = source(&format!("{name}.py"))?;
        let image = image.layer_debs(&PYTHON).layer_file(items, "/items.csv", 0o644);
        image.layer_file(program, "/app.py", 0o644).entrypoint(&["/usr/bin/python3", "/app.py"])
    } else {
        let image = image.layer_file(counter, "/counter", 0o755).layer_file(items, "/items.csv", 0o644);
        image.entrypoint(&["/counter", name])
    })
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/shop")
}

fn source(name: &str) -> Result<Vec<u8>> {
    let path = sources().join(name);
    fs::read(&path).with_context(|| format!("read {}", path.display()))
}

//! `Cargo.toml` and `Cargo.lock`. In: their texts. Out: the crate's name, what it depends on, and the versions that are
//! settled. A renamed crate goes by its own name.

use toml::{Table, Value};

use super::{Asked, Broken, Lines, Said, toml_table};
use crate::graph::ir::Root;
use crate::graph::source::LanguageId;

const TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

pub(super) fn read(folder: &str, text: &str) -> Result<Said, Broken> {
    let (table, lines) = toml_table(text)?;
    let mut said = Said::default();
    let name = table.get("package").and_then(|package| package.get("name")).and_then(Value::as_str);
    said.root = name.map(|name| Root {
        language: LanguageId::Rust,
        folder: folder.to_owned(),
        name: name.to_owned(),
    });
    dependencies(&table, &lines, &mut said.asked);
    if let Some(workspace) = table.get("workspace").and_then(Value::as_table) {
        dependencies(workspace, &lines, &mut said.asked);
    }
    let targets = table.get("target").and_then(Value::as_table);
    for target in targets.into_iter().flatten().filter_map(|(_, target)| target.as_table()) {
        dependencies(target, &lines, &mut said.asked);
    }
    Ok(said)
}

fn dependencies(table: &Table, lines: &Lines<'_>, asked: &mut Vec<Asked>) {
    let tables = TABLES.iter().filter_map(|name| table.get(*name)?.as_table());
    for (key, value) in tables.flatten() {
        let of = |field: &str| value.get(field).and_then(Value::as_str);
        let requirement = value.as_str().or(of("version"));
        asked.push(Asked::new(of("package").unwrap_or(key), requirement, lines.line(key)));
    }
}

pub(super) fn read_lock(_: &str, text: &str) -> Result<Said, Broken> {
    let (table, _) = toml_table(text)?;
    let packages = table.get("package").and_then(Value::as_array);
    let version = |package: &Value| {
        let of = |field: &str| package.get(field).and_then(Value::as_str).map(str::to_owned);
        Some((of("name")?, of("version")?))
    };
    let locked = packages.into_iter().flatten().filter_map(version).collect();
    Ok(Said { locked, ..Said::default() })
}

//! `package.json` and `package-lock.json`. In: their texts. Out: what the package depends on, and the versions that are
//! settled at the top of `node_modules`.

use serde_json::Value;

use super::{Asked, Broken, Lines, Said};

const FIELDS: [&str; 4] = ["dependencies", "devDependencies", "peerDependencies", "optionalDependencies"];

fn parse(text: &str) -> Result<Value, Broken> {
    serde_json::from_str(text)
        .map_err(|error| Broken { line: error.line() as u32, detail: error.to_string() })
}

pub(super) fn read(_: &str, text: &str) -> Result<Said, Broken> {
    let (value, lines) = (parse(text)?, Lines::of(text));
    let mut said = Said::default();
    let tables = FIELDS.iter().filter_map(|field| value.get(*field)?.as_object());
    for (name, requirement) in tables.flatten() {
        said.asked.push(Asked::new(name, requirement.as_str(), lines.line(name)));
    }
    Ok(said)
}

pub(super) fn read_lock(_: &str, text: &str) -> Result<Said, Broken> {
    let value = parse(text)?;
    let version = |value: &Value| value.get("version").and_then(Value::as_str).map(str::to_owned);
    let packages = value.get("packages").and_then(Value::as_object);
    let packages = packages.into_iter().flatten().filter_map(|(path, package)| {
        let name = path.strip_prefix("node_modules/").filter(|name| !name.contains("/node_modules/"))?;
        Some((name.to_owned(), version(package)?))
    });
    // As lock files of the first version have it.
    let older = value.get("dependencies").and_then(Value::as_object);
    let older = older.into_iter().flatten();
    let older = older.filter_map(|(name, package)| Some((name.clone(), version(package)?)));
    Ok(Said { locked: packages.chain(older).collect(), ..Said::default() })
}

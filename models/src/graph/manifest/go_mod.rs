//! `go.mod`. In: its text. Out: the path of the module.

use crate::graph::ir::Root;
use crate::graph::source::LanguageId;

/// The line `module path`.
pub(super) fn root(folder: &str, text: &str) -> Option<Root> {
    let name = text.lines().find_map(|line| line.trim().strip_prefix("module "))?;
    let name = name.split("//").next().unwrap_or(name).trim().trim_matches('"');
    let whole = !name.is_empty() && !name.contains(char::is_whitespace);
    whole.then(|| Root { language: LanguageId::Go, folder: folder.to_owned(), name: name.to_owned() })
}

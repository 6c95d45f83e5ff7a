//! `go.mod`. In: its text. Out: the module's path, and what it requires. The versions are those that are built with.

use super::{Asked, Broken, Said};
use crate::graph::ir::Root;
use crate::graph::source::LanguageId;

pub(super) fn read(folder: &str, text: &str) -> Result<Said, Broken> {
    let mut said = Said::default();
    let mut block = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.split("//").next().unwrap_or(line).trim();
        let mut words = line.split_whitespace();
        let (directive, rest) = match (block, words.next()) {
            (_, None) => continue,
            (Some(_), Some(")")) => {
                block = None;
                continue;
            }
            (Some(directive), Some(first)) => (directive, Some(first)),
            (None, Some(directive)) => (directive, words.next()),
        };
        match (directive, rest) {
            (directive, Some("(")) if block.is_none() => block = Some(directive),
            ("module", Some(name)) => {
                let (folder, name) = (folder.to_owned(), name.trim_matches('"').to_owned());
                said.root = Some(Root { language: LanguageId::Go, folder, name });
            }
            ("require", Some(name)) => {
                let line = number as u32 + 1;
                let Some(version) = words.next() else {
                    return Err(Broken { line, detail: format!("`{name}` is required without a version") });
                };
                let mut asked = Asked::new(name.trim_matches('"'), Some(version), line);
                asked.locked = Some(version.to_owned());
                said.asked.push(asked);
            }
            _ => {}
        }
    }
    if said.root.is_none() {
        return Err(Broken { line: 0, detail: "no line says `module`".into() });
    }
    Ok(said)
}

//! Declarations of the configuration. In: the source, as rustfmt lays it out. Out: structs with their fields and
//! defaults, enums with their words, functions that give a default. What is not understood is left out; what depends on
//! it is then told as unknown.

use std::collections::BTreeMap;

/// Everything that is declared in a source.
pub(super) struct Declarations {
    structures: Vec<Structure>,
    enumerations: Vec<Enumeration>,
    /// The body of each function that has one line, by name.
    pub(super) functions: BTreeMap<String, String>,
}

/// A struct.
pub(super) struct Structure {
    pub(super) name: String,
    pub(super) meaning: String,
    pub(super) fields: Vec<Field>,
    /// Expressions by field, from its `impl Default`.
    pub(super) defaults: BTreeMap<String, String>,
    pub(super) derives_default: bool,
}

/// A field.
pub(super) struct Field {
    pub(super) name: String,
    /// Its name in the file.
    pub(super) key: String,
    /// Its type.
    pub(super) kind: String,
    pub(super) meaning: String,
    /// Of `#[serde(default = "…")]`: the function, empty for the type's own default; `None` without the attribute.
    pub(super) default: Option<String>,
    pub(super) line: usize,
}

/// An enum.
pub(super) struct Enumeration {
    pub(super) name: String,
    pub(super) meaning: String,
    /// Whether its words are the variants' names in lower case.
    pub(super) lowercase: bool,
    pub(super) variants: Vec<Variant>,
}

/// A variant.
pub(super) struct Variant {
    pub(super) name: String,
    pub(super) meaning: String,
    pub(super) is_default: bool,
}

/// What stands before a declaration.
#[derive(Default)]
struct Before {
    meaning: Vec<String>,
    attributes: String,
}

impl Before {
    /// Takes a line if it is a doc comment or an attribute.
    fn take(&mut self, line: &str) -> bool {
        if let Some(text) = line.strip_prefix("///") {
            self.meaning.push(text.trim().to_owned());
        } else if line.starts_with("#[") {
            self.attributes += line;
        } else {
            return false;
        }
        true
    }

    fn meaning(&self) -> String {
        self.meaning.join(" ")
    }

    /// The value of `name = "…"` among the attributes; empty if `name` stands alone.
    fn attribute(&self, name: &str) -> Option<String> {
        let serde = self.attributes.split("#[serde(").nth(1)?.split(")]").next()?;
        let entry = |entry: &str| {
            let (key, value) = entry.split_once('=').unwrap_or((entry, ""));
            (key.trim() == name).then(|| value.trim().trim_matches('"').to_owned())
        };
        serde.split(',').find_map(entry)
    }
}

impl Declarations {
    /// Reads a source.
    pub(super) fn read(source: &str) -> Self {
        let lines: Vec<&str> = source.lines().collect();
        let mut all = Self { structures: Vec::new(), enumerations: Vec::new(), functions: BTreeMap::new() };
        let mut before = Before::default();
        for (index, line) in lines.iter().enumerate() {
            if before.take(line) {
                continue;
            }
            let before = std::mem::take(&mut before);
            let body = || body(&lines[index + 1..]);
            if let Some(name) = declared(line, "pub struct ") {
                all.structures.push(structure(name, &before, body(), index + 1));
            } else if let Some(name) = declared(line, "pub enum ") {
                all.enumerations.push(enumeration(name, &before, body()));
            } else if let Some(name) = line.strip_prefix("fn ").and_then(|rest| rest.split_once("() -> ")) {
                if let [only] = body() {
                    all.functions.insert(name.0.to_owned(), only.trim().to_owned());
                }
            } else if let Some(name) = declared(line, "impl Default for ") {
                let defaults = defaults(&body().join(" "));
                let of = all.structures.iter_mut().find(|structure| structure.name == name);
                of.into_iter().for_each(|structure| structure.defaults.clone_from(&defaults));
            }
        }
        all
    }

    /// The struct of that name.
    pub(super) fn structure(&self, name: &str) -> Option<&Structure> {
        self.structures.iter().find(|structure| structure.name == name)
    }

    /// The enum of that name.
    pub(super) fn enumeration(&self, name: &str) -> Option<&Enumeration> {
        self.enumerations.iter().find(|enumeration| enumeration.name == name)
    }
}

fn declared<'a>(line: &'a str, what: &str) -> Option<&'a str> {
    line.strip_prefix(what)?.strip_suffix(" {")
}

/// The lines up to the brace that closes a declaration: the first one without indentation.
fn body<'a, 'b>(lines: &'a [&'b str]) -> &'a [&'b str] {
    let end = lines.iter().position(|line| *line == "}").unwrap_or(lines.len());
    &lines[..end]
}

fn structure(name: &str, before: &Before, body: &[&str], line: usize) -> Structure {
    let (mut fields, mut above) = (Vec::new(), Before::default());
    for (index, text) in body.iter().map(|text| text.trim()).enumerate() {
        if above.take(text) {
            continue;
        }
        let above = std::mem::take(&mut above);
        let declared = text.strip_prefix("pub ").and_then(|text| text.strip_suffix(','));
        let Some((name, kind)) = declared.and_then(|text| text.split_once(": ")) else { continue };
        // The path of a type says where it lives, its last part what it is.
        let kind = kind.replace("std::collections::", "").replace("std::time::", "");
        let key = above.attribute("rename").unwrap_or_else(|| name.to_owned());
        let (meaning, default) = (above.meaning(), above.attribute("default"));
        fields.push(Field { name: name.to_owned(), key, kind, meaning, default, line: line + 1 + index });
    }
    Structure {
        name: name.to_owned(),
        meaning: before.meaning(),
        fields,
        defaults: BTreeMap::new(),
        derives_default: before.attributes.contains("Default"),
    }
}

fn enumeration(name: &str, before: &Before, body: &[&str]) -> Enumeration {
    let (mut variants, mut above) = (Vec::new(), Before::default());
    for text in body.iter().map(|text| text.trim()) {
        if above.take(text) {
            continue;
        }
        let above = std::mem::take(&mut above);
        let name = text.trim_end_matches(',').split('(').next().unwrap_or_default().to_owned();
        let is_default = above.attributes.contains("#[default]");
        variants.push(Variant { name, meaning: above.meaning(), is_default });
    }
    let lowercase = before.attributes.contains("rename_all = \"lowercase\"");
    Enumeration { name: name.to_owned(), meaning: before.meaning(), lowercase, variants }
}

/// From `fn default() -> Self { Self { a: 1, b: f(2, 3) } }`: the expressions by field.
fn defaults(body: &str) -> BTreeMap<String, String> {
    let inner = body.split_once("Self {").map(|(_, rest)| rest).and_then(|rest| rest.split_once("Self {"));
    let inner = inner.or_else(|| body.split_once("Self {")).map_or("", |(_, rest)| rest);
    let mut expressions = BTreeMap::new();
    for part in split(inner) {
        if let Some((name, expression)) = part.split_once(": ") {
            expressions.insert(name.trim().to_owned(), expression.trim().to_owned());
        }
    }
    expressions
}

/// The parts between commas that stand in no parentheses, up to the closing brace.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&text[from..at]);
                return parts;
            }
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_split_at_the_commas_between_fields() {
        let defaults =
            defaults("    fn default() -> Self {         Self { a: f([1, 2], 3), b: \"x\".into() }     }");
        assert_eq!(defaults["a"], "f([1, 2], 3)");
        assert_eq!(defaults["b"], "\"x\".into()");
    }

    #[test]
    fn attributes_are_read_by_name() {
        let mut before = Before::default();
        before.take("#[serde(default = \"f\", with = \"g\")]");
        assert_eq!(before.attribute("default").as_deref(), Some("f"));
        assert_eq!(before.attribute("rename"), None);
        let mut bare = Before::default();
        bare.take("#[serde(deny_unknown_fields, default)]");
        assert_eq!(bare.attribute("default").as_deref(), Some(""));
    }
}

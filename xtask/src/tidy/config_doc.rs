//! `docs/config.md`, written from `agent/src/config.rs`. In: its structs with their doc comments, serde attributes and
//! defaults. Out: the document, or the first thing that cannot be read: a key without a meaning, a type or a default in
//! a form that is not known here.

mod declarations;
mod values;

use super::tree::Tree;
use super::{Generated, Violation, compare};
use declarations::{Declarations, Enumeration, Field, Structure};

const SOURCE: &str = "agent/src/config.rs";
const TARGET: &str = "docs/config.md";
const ROOT: &str = "Config";

const HEAD: &str = "# Configuration

One TOML file, or a folder whose `*.toml` are read in the order of their names: a section may stand in any one of them,
segments in all. Every section and every key with a default may be left out. Unknown keys are refused; `weft config
check PATH` reads a configuration and says what is wrong with it.

Written by `cargo xtask tidy --fix` from `agent/src/config.rs`; `cargo xtask tidy` fails when the two differ.
";

/// The document says what the source says.
pub(super) fn is_current(tree: &Tree) -> Vec<Violation> {
    compare(tree, generated(tree), SOURCE)
}

/// The document.
pub(super) fn generated(tree: &Tree) -> Generated {
    Generated { path: TARGET, text: written(tree.text(SOURCE).unwrap_or_default()) }
}

fn written(source: &str) -> Result<String, Violation> {
    let declarations = Declarations::read(source);
    let root = declarations.structure(ROOT).ok_or_else(|| {
        Violation::new(
            SOURCE,
            1,
            format!("there is no `pub struct {ROOT}`"),
            "Keep the whole configuration in it",
        )
    })?;
    let mut text = HEAD.to_owned();
    for section in &root.fields {
        let (inner, list) = match section.kind.strip_prefix("Vec<").and_then(|kind| kind.strip_suffix('>')) {
            Some(inner) => (inner, true),
            None => (section.kind.as_str(), false),
        };
        let structure = declarations.structure(inner).ok_or_else(|| unknown(section))?;
        let heading = if list { format!("[[{}]]", section.key) } else { format!("[{}]", section.key) };
        text += &format!("\n## `{heading}`\n\n{}\n\n", structure.meaning);
        text += "| key | value | default | meaning |\n| --- | --- | --- | --- |\n";
        let page = Page { declarations: &declarations };
        page.rows(structure, "", &mut text)?;
    }
    Ok(text)
}

struct Page<'a> {
    declarations: &'a Declarations,
}

impl Page<'_> {
    /// A row per key; a key that holds others is told by its own keys.
    fn rows(&self, structure: &Structure, above: &str, text: &mut String) -> Result<(), Violation> {
        for field in &structure.fields {
            if field.meaning.is_empty() {
                let cause = format!("`{}` has no meaning", field.key);
                return Err(Violation::new(SOURCE, field.line, cause, "Say it in a doc comment"));
            }
            let key = format!("{above}{}", field.key);
            if let Some(inner) = self.declarations.structure(&field.kind) {
                self.rows(inner, &format!("{key}."), text)?;
                continue;
            }
            let default = self.default(structure, field)?;
            let (kind, words) = self.kind(field)?;
            *text += &format!("| `{key}` | {kind} | {default} | {}{words} |\n", field.meaning);
        }
        Ok(())
    }

    fn default(&self, structure: &Structure, field: &Field) -> Result<String, Violation> {
        let unreadable = || {
            let cause = format!("the default of `{}` is written in a form that is not known here", field.key);
            Violation::new(
                SOURCE,
                field.line,
                cause,
                "Write it as its neighbours are, or teach config_doc/values.rs",
            )
        };
        let expression = match (&field.default, structure.defaults.get(&field.name)) {
            (Some(function), _) if !function.is_empty() => self.declarations.functions.get(function).cloned(),
            (Some(_), _) => Some(format!("{}::default()", field.kind)),
            (None, Some(expression)) => Some(expression.clone()),
            (None, None) if structure.derives_default => Some(format!("{}::default()", field.kind)),
            (None, None) => return Ok("required".to_owned()),
        };
        values::shown(&expression.ok_or_else(unreadable)?, self.declarations).ok_or_else(unreadable)
    }

    /// What is written there, and the words that it can be.
    fn kind(&self, field: &Field) -> Result<(String, String), Violation> {
        let plain = field.kind.strip_prefix("Option<").and_then(|kind| kind.strip_suffix('>'));
        let plain = plain.unwrap_or(&field.kind);
        if let Some(known) = values::kind(plain) {
            return Ok((known.to_owned(), String::new()));
        }
        let enumeration = self.declarations.enumeration(plain).ok_or_else(|| unknown(field))?;
        Ok(words(enumeration))
    }
}

fn words(enumeration: &Enumeration) -> (String, String) {
    // One that is read by hand says itself what it takes.
    if !enumeration.lowercase {
        return (enumeration.meaning.trim_end_matches('.').to_owned(), String::new());
    }
    let name = |name: &str| format!("`\"{}\"`", name.to_lowercase());
    let kind =
        enumeration.variants.iter().map(|variant| name(&variant.name)).collect::<Vec<_>>().join(" or ");
    let told = |variant: &declarations::Variant| format!(" {}: {}", name(&variant.name), variant.meaning);
    (kind, enumeration.variants.iter().map(told).collect())
}

fn unknown(field: &Field) -> Violation {
    let cause = format!("`{}` has a type that is not known here: {}", field.key, field.kind);
    Violation::new(SOURCE, field.line, cause, "Teach it to xtask/src/tidy/config_doc/values.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE_TEXT: &str = r#"
/// All.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The agent.
    pub agent: Agent,
    /// What it serves.
    #[serde(rename = "segment")]
    pub segments: Vec<Segment>,
}

/// Where it
/// keeps things.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Agent {
    /// Folder.
    pub state: PathBuf,
    /// Watched root.
    pub cgroup: Option<PathBuf>,
    /// How long.
    pub keep: Duration,
}

impl Default for Agent {
    fn default() -> Self {
        Self { state: "/var/lib/weft".into(), cgroup: None, keep: Duration::from_secs(60) }
    }
}

/// One piece.
#[derive(Deserialize)]
pub struct Segment {
    /// Its name.
    pub name: String,
    /// What becomes of a miss.
    #[serde(default)]
    pub miss: Miss,
    /// What it may use.
    #[serde(default)]
    pub limits: Limits,
    /// How long a caller waits.
    #[serde(default = "start_timeout", with = "humantime_serde")]
    pub start_timeout: Duration,
}

fn start_timeout() -> Duration {
    Duration::from_secs(10)
}

/// What becomes of a miss.
#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Miss {
    /// Held.
    #[default]
    Activate,
    /// Left alone.
    Pass,
}

/// Limits.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory.
    pub memory: Bytes,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: Bytes(256 << 20) }
    }
}
"#;

    #[test]
    fn every_key_has_its_value_default_and_meaning() {
        let text = written(SOURCE_TEXT).unwrap();
        for row in [
            "## `[agent]`\n\nWhere it keeps things.\n",
            "| `state` | path | `\"/var/lib/weft\"` | Folder. |",
            "| `cgroup` | path | none | Watched root. |",
            "| `keep` | duration, as `\"60s\"` | `\"60s\"` | How long. |",
            "## `[[segment]]`",
            "| `name` | text | required | Its name. |",
            "| `miss` | `\"activate\"` or `\"pass\"` | `\"activate\"` | What becomes of a miss. `\"activate\"`: Held. \
             `\"pass\"`: Left alone. |",
            "| `limits.memory` | size, as `\"256MiB\"` | `\"256MiB\"` | Memory. |",
            "| `start_timeout` | duration, as `\"60s\"` | `\"10s\"` | How long a caller waits. |",
        ] {
            assert!(text.contains(row), "{row} is not in\n{text}");
        }
    }

    #[test]
    fn a_key_without_a_meaning_or_with_an_unknown_type_or_default_is_told() {
        let told = |from: &str, to: &str| written(&SOURCE_TEXT.replace(from, to)).unwrap_err().to_string();
        assert!(told("    /// Folder.\n", "").contains("`state` has no meaning"));
        assert!(told("pub keep: Duration", "pub keep: Moon").contains("Moon"));
        assert!(told("Duration::from_secs(60)", "moon()").contains("the default of `keep`"));
    }
}

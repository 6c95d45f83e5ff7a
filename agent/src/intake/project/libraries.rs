//! The libraries that an upload declares. In: its tree. Out: the files by which its language's package manager installs
//! them. Refuses declarations that are no text of their kind; whether a library exists, the package manager says.

use super::{Language, ProjectError, text, wrong};
use crate::intake::tree::{Entry, Tree};

/// Files that declare; more is no declaration.
const FILES_MAX: usize = 32;
/// Libraries named one by one.
const NAMED_MAX: usize = 500;

/// What is to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Libraries {
    /// Nothing, or everything came along.
    None,
    /// By pip, from the first of these files.
    Pip(Vec<(String, Vec<u8>)>),
    /// By npm, from these files.
    Npm(Vec<(String, Vec<u8>)>),
}

pub(super) fn of(tree: &Tree, language: &Language, named: &[String]) -> Result<Libraries, ProjectError> {
    let plain = |name: &&String| {
        let odd = |c: char| c.is_control() || c == '\\';
        !name.is_empty() && name.len() <= 300 && !name.starts_with('-') && !name.contains(odd)
    };
    if let Some(odd) = named.iter().find(|name| !plain(name)) {
        return wrong(
            "libraries",
            format!("`{odd}` names no library"),
            "Write each as \"numpy\" or \"numpy==1.26\"",
        );
    }
    if named.len() > NAMED_MAX {
        return wrong("libraries", format!("{} of them", named.len()), "Name at most 500");
    }
    match language {
        Language::Python => python(tree, named),
        Language::Node => node(tree, named),
        Language::Executable { .. } if named.is_empty() => Ok(Libraries::None),
        Language::Executable { .. } => {
            wrong("libraries", "an executable has no package manager".into(), "Link them into it")
        }
    }
}

fn python(tree: &Tree, named: &[String]) -> Result<Libraries, ProjectError> {
    let mut lines: Vec<String> = named.to_vec();
    let mut files = Vec::new();
    if tree.has_file("requirements.txt") {
        lines.push("-r requirements.txt".to_owned());
        // It may refer to others beside it.
        for (path, _) in tree.iter().filter(|(path, entry)| {
            matches!(entry, Entry::File { .. }) && path.ends_with(".txt") && !path.contains('/')
        }) {
            files.extend(text(tree, path)?.map(|text| (path.to_owned(), text.into_bytes())));
            if files.len() > FILES_MAX {
                return wrong(
                    "libraries",
                    "more than 32 text files beside requirements.txt".into(),
                    "Put them in a folder",
                );
            }
        }
    } else {
        lines.extend(pyproject(tree)?);
    }
    // Comments and blanks alone declare nothing.
    let says = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes)
            .lines()
            .any(|line| !line.trim().is_empty() && !line.trim().starts_with('#'))
    };
    let empty = files.iter().filter(|(path, _)| path == "requirements.txt").all(|(_, bytes)| !says(bytes));
    if lines.iter().all(|line| line.starts_with("-r ")) && empty {
        return Ok(Libraries::None);
    }
    files.insert(0, ("weft-libraries".to_owned(), (lines.join("\n") + "\n").into_bytes()));
    Ok(Libraries::Pip(files))
}

/// `[project] dependencies` of a `pyproject.toml`.
fn pyproject(tree: &Tree) -> Result<Vec<String>, ProjectError> {
    const FILE: &str = "pyproject.toml";
    let Some(text) = text(tree, FILE)? else { return Ok(Vec::new()) };
    let table: toml::Table = toml::from_str(&text).map_err(|error| ProjectError::Syntax {
        file: FILE,
        message: error.to_string().trim_end().to_owned(),
    })?;
    let declared = table.get("project").and_then(|project| project.get("dependencies"));
    let declared = declared.and_then(toml::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut lines = Vec::new();
    for value in declared {
        let line = value.as_str().filter(|line| !line.starts_with('-') && !line.contains(char::is_control));
        lines.push(line.map(str::to_owned).ok_or_else(|| ProjectError::Value {
            file: FILE,
            key: "project.dependencies".to_owned(),
            cause: format!("`{value}` names no library"),
            remedy: "Write each as \"numpy>=1.26\"",
        })?);
    }
    Ok(lines)
}

fn node(tree: &Tree, named: &[String]) -> Result<Libraries, ProjectError> {
    if matches!(tree.get("node_modules"), Some(Entry::Directory)) && named.is_empty() {
        return Ok(Libraries::None);
    }
    let mut package = match text(tree, "package.json")? {
        Some(text) => serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text)
            .map_err(|error| ProjectError::Syntax { file: "package.json", message: error.to_string() })?,
        None => serde_json::Map::new(),
    };
    let declared = package.entry("dependencies").or_insert_with(|| serde_json::json!({}));
    let Some(declared) = declared.as_object_mut() else {
        return Err(ProjectError::Value {
            file: "package.json",
            key: "dependencies".to_owned(),
            cause: "it is no object".to_owned(),
            remedy: "Write it as { \"express\": \"^4\" }",
        });
    };
    for name in named {
        // "@scope/name@1.2" has its version behind the last sign that is not its first.
        let (name, version) = match name.rfind('@') {
            Some(at) if at > 0 => (&name[..at], &name[at + 1..]),
            _ => (name.as_str(), "*"),
        };
        declared.insert(name.to_owned(), version.into());
    }
    if declared.is_empty() {
        return Ok(Libraries::None);
    }
    let mut files =
        vec![("package.json".to_owned(), serde_json::Value::Object(package).to_string().into_bytes())];
    // A lock that does not know what the manifest adds would be refused.
    for lock in ["package-lock.json", "npm-shrinkwrap.json"].into_iter().filter(|_| named.is_empty()) {
        files.extend(text_of_lock(tree, lock)?);
    }
    Ok(Libraries::Npm(files))
}

/// Locks are long.
fn text_of_lock(tree: &Tree, file: &'static str) -> Result<Option<(String, Vec<u8>)>, ProjectError> {
    const BYTES_MAX: u64 = 16 << 20;
    if !tree.has_file(file) {
        return Ok(None);
    }
    let read = tree.read(file, BYTES_MAX);
    let read = read.map_err(|source| ProjectError::Unreadable { file: file.to_owned(), source })?;
    let too_long = || ProjectError::TooLong { file: file.to_owned(), max_bytes: BYTES_MAX };
    Ok(Some((file.to_owned(), read.ok_or_else(too_long)?)))
}

impl Libraries {
    /// The name of what is declared, for messages.
    pub fn manager(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Pip(_) => Some("pip"),
            Self::Npm(_) => Some("npm"),
        }
    }

    /// What the package manager reads.
    pub fn files(&self) -> &[(String, Vec<u8>)] {
        match self {
            Self::None => &[],
            Self::Pip(files) | Self::Npm(files) => files,
        }
    }
}

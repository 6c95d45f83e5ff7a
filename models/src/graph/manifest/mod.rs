//! Manifests. In: files of an upload. Out: the libraries that they ask for, with the versions that they say and that lock
//! files have settled, and what they call the folders that they stand in. Refuses manifests that are no text, too large
//! or broken, with a diagnostic each.

mod cargo;
mod go_mod;
mod gradle;
mod join;
mod lines;
mod maven;
mod node;
mod python;

use serde::{Deserialize, Serialize};

use super::diagnostic::{Diagnostics, Trouble};
use super::ir::Root;
use super::source::SourceFile;
pub(super) use join::Declared;
pub use join::Ecosystem;
use lines::Lines;

/// Manifests that are read.
const MANIFESTS_MAX: usize = 500;
/// Bytes of a manifest; lock files are long.
const BYTES_MAX: usize = 4 << 20;
/// Libraries of one manifest.
const LIBRARIES_MAX: usize = 5_000;

/// A library that a manifest asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Library {
    /// As the manifest calls it; of Java its group and artifact, with a colon.
    pub name: String,
    /// Who can import it.
    pub ecosystem: Ecosystem,
    /// The versions that would do, as written; none where the manifest does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requirement: Option<String>,
    /// The version that is settled, by a lock file or because no other would do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<String>,
    /// The manifest.
    pub file: String,
    /// The line in it, from 1.
    pub line: u32,
}

/// What manifests say.
#[derive(Debug, Default)]
pub(super) struct Manifests {
    pub(super) libraries: Vec<Library>,
    pub(super) roots: Vec<Root>,
}

/// What keeps a manifest from being read, and where.
#[derive(Debug)]
struct Broken {
    line: u32,
    detail: String,
}

/// A library as its manifest has it.
#[derive(Debug)]
struct Asked {
    name: String,
    requirement: Option<String>,
    locked: Option<String>,
    line: u32,
}

impl Asked {
    fn new(name: &str, requirement: Option<&str>, line: u32) -> Self {
        let requirement = requirement.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        Self { name: name.to_owned(), requirement, locked: None, line }
    }
}

/// A version that a lock file has settled.
#[derive(Debug)]
struct Locked {
    ecosystem: Ecosystem,
    folder: String,
    name: String,
    version: String,
}

/// What one file says.
#[derive(Debug, Default)]
struct Said {
    asked: Vec<Asked>,
    locked: Vec<(String, String)>,
    root: Option<Root>,
}

/// A kind of manifest: whose it is and how it is read, by its folder and text.
type Reading = (Ecosystem, fn(&str, &str) -> Result<Said, Broken>);

fn reading(name: &str) -> Option<Reading> {
    let ending = |ending: &str| name.ends_with(ending);
    Some(match name {
        "go.mod" => (Ecosystem::Go, go_mod::read),
        "Cargo.toml" => (Ecosystem::Rust, cargo::read),
        "Cargo.lock" => (Ecosystem::Rust, cargo::read_lock),
        "package.json" => (Ecosystem::JavaScript, node::read),
        "package-lock.json" => (Ecosystem::JavaScript, node::read_lock),
        "pyproject.toml" => (Ecosystem::Python, python::read_project),
        "pom.xml" => (Ecosystem::Java, maven::read),
        "build.gradle" | "build.gradle.kts" => (Ecosystem::Java, gradle::read),
        _ if name.starts_with("requirements") && ending(".txt") => {
            (Ecosystem::Python, python::read_requirements)
        }
        _ => return None,
    })
}

/// Whether a file is a manifest or lock file that is read.
pub fn is_manifest(path: &str) -> bool {
    reading(path.rsplit('/').next().unwrap_or(path)).is_some()
}

/// Reads all manifests, in the order of their paths.
pub(super) fn read(files: &[SourceFile], trouble: &mut Diagnostics) -> Manifests {
    let mut manifests: Vec<&SourceFile> = files.iter().filter(|file| is_manifest(&file.path)).collect();
    manifests.sort_by(|one, other| one.path.cmp(&other.path));
    if let Some(first) = manifests.get(MANIFESTS_MAX) {
        let detail = format!("{} manifests, of which the first {MANIFESTS_MAX} are read", manifests.len());
        trouble.add(Trouble::TooManyFiles, &first.path, 0, detail);
        manifests.truncate(MANIFESTS_MAX);
    }
    let (mut read, mut locked) = (Manifests::default(), Vec::new());
    for file in manifests {
        let path = file.path.trim_start_matches("./");
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some((ecosystem, how)) = reading(name) else { continue };
        let mut said = match text(file).and_then(|text| how(folder, text)) {
            Ok(said) => said,
            Err(Broken { line, detail }) => {
                trouble.add(Trouble::BadManifest, &file.path, line, detail);
                continue;
            }
        };
        read.roots.extend(said.root);
        said.asked.sort_by(|one, other| (one.line, &one.name).cmp(&(other.line, &other.name)));
        let asked = said.asked.into_iter().take(LIBRARIES_MAX);
        read.libraries.extend(asked.map(|Asked { name, requirement, locked, line }| Library {
            name,
            ecosystem,
            requirement,
            locked,
            file: file.path.clone(),
            line,
        }));
        let of_lock = said.locked.into_iter();
        locked.extend(of_lock.map(|(name, version)| Locked {
            ecosystem,
            folder: folder.into(),
            name,
            version,
        }));
    }
    join::lock(&mut read.libraries, locked);
    read
}

fn text(file: &SourceFile) -> Result<&str, Broken> {
    if file.bytes.len() > BYTES_MAX {
        return Err(Broken { line: 0, detail: format!("more than {BYTES_MAX} bytes") });
    }
    std::str::from_utf8(&file.bytes).map_err(|_| Broken { line: 0, detail: "it is no UTF-8 text".into() })
}

/// A TOML document and where its words stand.
fn toml_table(text: &str) -> Result<(toml::Table, Lines<'_>), Broken> {
    match toml::from_str(text) {
        Ok(table) => Ok((table, Lines::of(text))),
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count() as u32;
            Err(Broken { line, detail: error.message().to_owned() })
        }
    }
}

#[cfg(test)]
mod tests;

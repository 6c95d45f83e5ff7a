//! What belongs together. In: libraries of manifests, versions of lock files, names of libraries that are imported. Out:
//! libraries with settled versions, and the version of what is imported. Of several manifests that of the nearest folder
//! counts.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::{Library, Locked};
use crate::graph::source::LanguageId;

/// Who can import a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each is the language of its name")]
pub enum Ecosystem {
    Python,
    JavaScript,
    Go,
    Java,
    Rust,
}

impl Ecosystem {
    pub(in crate::graph) fn of(language: LanguageId) -> Self {
        match language {
            LanguageId::Python => Self::Python,
            LanguageId::JavaScript | LanguageId::TypeScript | LanguageId::Tsx => Self::JavaScript,
            LanguageId::Go => Self::Go,
            LanguageId::Java => Self::Java,
            LanguageId::Rust => Self::Rust,
        }
    }
}

/// Packages of Python that are imported by another name.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("beautifulsoup4", "bs4"),
    ("grpcio", "grpc"),
    ("mysqlclient", "mysqldb"),
    ("opencv_python", "cv2"),
    ("opencv_python_headless", "cv2"),
    ("paho_mqtt", "paho"),
    ("pillow", "pil"),
    ("psycopg2_binary", "psycopg2"),
    ("pyjwt", "jwt"),
    ("python_dateutil", "dateutil"),
    ("python_dotenv", "dotenv"),
    ("pyyaml", "yaml"),
    ("pyzmq", "zmq"),
    ("scikit_learn", "sklearn"),
];

/// Names that mean the same are written the same.
fn canonical(ecosystem: Ecosystem, name: &str) -> String {
    match ecosystem {
        Ecosystem::Python => {
            let name = name.to_lowercase().replace(['-', '.'], "_");
            let other = OTHER_NAMES.iter().find(|(package, _)| *package == name);
            other.map_or(name, |(_, import)| (*import).to_owned())
        }
        Ecosystem::Rust => name.replace('-', "_"),
        Ecosystem::JavaScript | Ecosystem::Go | Ecosystem::Java => name.to_owned(),
    }
}

/// Whether a folder is another or one around it.
fn holds(folder: &str, inner: &str) -> bool {
    inner
        .strip_prefix(folder)
        .is_some_and(|rest| folder.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

fn folder_of(path: &str) -> &str {
    path.trim_start_matches("./").rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Whether a settled version is one that was asked for, as far as the numbers in it tell.
fn fits(requirement: Option<&str>, version: &str) -> bool {
    let numbers = requirement.map(|text| text.trim_start_matches(|c: char| !c.is_ascii_digit()));
    numbers.is_none_or(|numbers| {
        let major = numbers.split(['.', ',', ' ']).next().unwrap_or(numbers);
        version.split('.').next() == Some(major)
    })
}

/// Settles versions by lock files of the same folder or of one around it.
pub(super) fn lock(libraries: &mut [Library], locked: Vec<Locked>) {
    let mut by_name: FxHashMap<(Ecosystem, String), Vec<Locked>> = FxHashMap::default();
    for one in locked {
        by_name.entry((one.ecosystem, canonical(one.ecosystem, &one.name))).or_default().push(one);
    }
    for library in libraries.iter_mut().filter(|library| library.locked.is_none()) {
        let key = (library.ecosystem, canonical(library.ecosystem, &library.name));
        let folder = folder_of(&library.file);
        let near = by_name.get(&key).into_iter().flatten().filter(|one| holds(&one.folder, folder));
        let requirement = library.requirement.as_deref();
        let best = near.max_by_key(|one| (fits(requirement, &one.version), one.folder.len()));
        library.locked = best.map(|one| one.version.clone());
    }
}

/// Libraries by the names of what is imported.
#[derive(Debug, Default)]
pub(in crate::graph) struct Declared<'l> {
    by_name: FxHashMap<(Ecosystem, String), Vec<&'l Library>>,
}

impl<'l> Declared<'l> {
    pub(in crate::graph) fn of(libraries: &'l [Library]) -> Self {
        let mut declared = Self::default();
        for library in libraries {
            let name = canonical(library.ecosystem, &library.name);
            // Of Java the group is how packages begin.
            let name = match library.ecosystem {
                Ecosystem::Java => name.split(':').next().unwrap_or(&name).to_owned(),
                _ => name,
            };
            declared.by_name.entry((library.ecosystem, name)).or_default().push(library);
        }
        declared
    }

    /// The version of a library that a file imports by that name: the settled one, or what is asked for.
    pub(in crate::graph) fn version(
        &self,
        language: LanguageId,
        name: &str,
        importer: &str,
    ) -> Option<String> {
        let ecosystem = Ecosystem::of(language);
        let name = canonical(ecosystem, name);
        let separators: &[char] = match ecosystem {
            Ecosystem::Go => &['/'],
            Ecosystem::Java => &['.'],
            _ => &[],
        };
        let ends = name.char_indices().rev().filter(|(_, c)| separators.contains(c)).map(|(at, _)| at);
        let found = std::iter::once(name.len())
            .chain(ends)
            .find_map(|end| self.by_name.get(&(ecosystem, name[..end].to_owned())))?;
        let folder = folder_of(importer);
        let artifact = |library: &Library| {
            let artifact = library.name.rsplit([':', '-']).next().unwrap_or_default();
            ecosystem == Ecosystem::Java && name.split('.').any(|part| part == artifact)
        };
        let near = |library: &&&Library| {
            let own = folder_of(&library.file);
            (artifact(library), holds(own, folder).then_some(own.len()), std::cmp::Reverse(library.line))
        };
        let library = found.iter().max_by_key(near)?;
        library.locked.clone().or_else(|| library.requirement.clone())
    }
}

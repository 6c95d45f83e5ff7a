//! What was uploaded. In: the tree of an upload and the name it came by. Out: a checked [`Project`]: language, handler,
//! libraries, limits. Refuses an upload without something to run, a handler that is not there, and a `weft.toml` with
//! keys that are not known. Reads files, runs nothing.

mod detect;
mod libraries;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use super::tree::Tree;
use crate::config::{Isolation, Limits};

pub use libraries::Libraries;

/// The file by which an upload says more than its form does.
pub const MANIFEST: &str = "weft.toml";
/// Bytes of one file that declares something.
const DECLARATION_BYTES_MAX: u64 = 1 << 20;
/// Characters of a name: what a segment's takes.
const NAME_LEN_MAX: usize = 40;
/// Programs that are not root may not listen below.
const PORT_MIN: u16 = 1024;
const PORT: u16 = 8080;
const ENV_MAX: usize = 64;

/// A piece of code that can be made a segment.
#[derive(Debug, Clone)]
pub struct Project {
    /// The segment's name.
    pub name: String,
    /// As the upload declares it; `0` without a word.
    pub version: String,
    /// What it is written in.
    pub language: Language,
    /// What is called, as `file:name`; the path of the file for an executable.
    pub handler: String,
    /// How a Python handler is called.
    pub interface: Interface,
    /// Where it listens in its container.
    pub port: u16,
    /// What callers dial, if the upload says it.
    pub address: Option<SocketAddr>,
    /// What runs it.
    pub isolation: Isolation,
    /// `false`: it draws secrets of its own when it starts.
    pub snapshots: bool,
    /// What one instance may use.
    pub limits: Limits,
    /// Whether the upload says so itself.
    pub limits_stated: bool,
    /// How long it may take to listen.
    pub start_timeout: Option<Duration>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// What its language's package manager is to install.
    pub libraries: Libraries,
}

/// What a project is written in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Language {
    /// Python 3.
    Python,
    /// JavaScript for Node.
    Node,
    /// A program of this machine, in whatever language.
    Executable {
        /// Whether it needs the C library of the system.
        linked: Linked,
    },
}

/// How a program is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Linked {
    /// It brings everything along.
    Statically,
    /// It needs a loader and the C library.
    Dynamically,
}

/// How a handler is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// A plain function of one or two arguments takes an event; anything else that can be called is a WSGI application.
    #[default]
    Auto,
    /// `handler(event)` or `handler(event, context)`.
    Event,
    /// `app(environ, start_response)`.
    Wsgi,
}

/// Why it cannot be told what to run.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// A declaring file cannot be read as what it is.
    #[error("{file}: {message}")]
    Syntax {
        /// The file.
        file: &'static str,
        /// The parser's words.
        message: String,
    },
    /// A value that cannot be meant.
    #[error("{file}: {key}: {cause}. {remedy}")]
    Value {
        /// The file.
        file: &'static str,
        /// The key.
        key: String,
        /// What is wrong with it.
        cause: String,
        /// What to write instead.
        remedy: &'static str,
    },
    /// A declaring file is larger than one is.
    #[error("{file}: the file is larger than {max_bytes} bytes; a declaration is not that long")]
    TooLong {
        /// The file.
        file: String,
        /// The limit.
        max_bytes: u64,
    },
    /// Nothing in it can be run.
    #[error(
        "nothing in the upload can be run. It takes a Python file `app.py`, a Node file `index.js`, an executable for \
         this machine, or a `{MANIFEST}` that names the handler"
    )]
    Unknown,
    /// Several things could be meant.
    #[error("{}: each of these could be what to run. Name one in `{MANIFEST}`, as handler = \"{}\"", found.join(", "), found.first().map_or("", String::as_str))]
    Ambiguous {
        /// The candidates.
        found: Vec<String>,
    },
    /// The handler is not there.
    #[error("handler `{handler}`: there is no file {}; write it as `file:function`, with the path from the top of the upload", looked_for.join(" or "))]
    NoHandler {
        /// As declared, or the default.
        handler: String,
        /// The files that it could be in.
        looked_for: Vec<String>,
    },
    /// A program for another system.
    #[error("`{file}`: {cause}. Build it for {} Linux", std::env::consts::ARCH)]
    Foreign {
        /// The program.
        file: String,
        /// What it is.
        cause: &'static str,
    },
    /// The stage cannot be read.
    #[error("{file}: cannot be read: {source}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The manifest as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Manifest {
    name: Option<String>,
    version: Option<String>,
    language: Option<Written>,
    handler: Option<String>,
    interface: Interface,
    port: Option<u16>,
    address: Option<SocketAddr>,
    isolation: Isolation,
    snapshots: Option<bool>,
    limits: Option<Limits>,
    #[serde(with = "humantime_serde")]
    start_timeout: Option<Duration>,
    env: BTreeMap<String, String>,
    libraries: Vec<String>,
}

/// A language as one writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Written {
    Python,
    Node,
    Executable,
}

impl Project {
    /// Finds out what an upload is. `hint` is the name of the file or folder that it came as.
    ///
    /// # Errors
    /// [`ProjectError`], the first thing that is wrong.
    pub fn of(tree: &Tree, hint: &str) -> Result<Self, ProjectError> {
        let manifest: Manifest = match text(tree, MANIFEST)? {
            Some(text) => toml::from_str(&text).map_err(|error| ProjectError::Syntax {
                file: MANIFEST,
                message: error.to_string().trim_end().to_owned(),
            })?,
            None => Manifest::default(),
        };
        check(&manifest)?;
        let (language, handler) = detect::detect(tree, manifest.language, manifest.handler.as_deref())?;
        let libraries = libraries::of(tree, &language, &manifest.libraries)?;
        let name = match manifest.name {
            Some(name) => name,
            None => name_from(hint)?,
        };
        Ok(Self {
            name,
            version: manifest.version.unwrap_or_else(|| "0".to_owned()),
            language,
            handler,
            interface: manifest.interface,
            port: manifest.port.unwrap_or(PORT),
            address: manifest.address,
            isolation: manifest.isolation,
            snapshots: manifest.snapshots.unwrap_or(true),
            limits: manifest.limits.unwrap_or_default(),
            limits_stated: manifest.limits.is_some(),
            start_timeout: manifest.start_timeout,
            env: manifest.env,
            libraries,
        })
    }
}

/// A declaring file of the upload, if it has it.
fn text(tree: &Tree, file: &str) -> Result<Option<String>, ProjectError> {
    if !tree.has_file(file) {
        return Ok(None);
    }
    let read = tree.read(file, DECLARATION_BYTES_MAX);
    let read = read.map_err(|source| ProjectError::Unreadable { file: file.to_owned(), source })?;
    let too_long = || ProjectError::TooLong { file: file.to_owned(), max_bytes: DECLARATION_BYTES_MAX };
    Ok(Some(String::from_utf8_lossy(&read.ok_or_else(too_long)?).into_owned()))
}

fn wrong<T>(key: &str, cause: String, remedy: &'static str) -> Result<T, ProjectError> {
    Err(ProjectError::Value { file: MANIFEST, key: key.to_owned(), cause, remedy })
}

fn check(manifest: &Manifest) -> Result<(), ProjectError> {
    if let Some(name) = &manifest.name
        && !is_name(name)
    {
        let remedy = "Use 1 to 40 lower-case letters, digits and dashes, no dash at the ends";
        return wrong("name", format!("`{name}` would be no hostname"), remedy);
    }
    let version = manifest.version.as_deref().unwrap_or("0");
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
    if version.is_empty() || version.len() > NAME_LEN_MAX || !version.chars().all(plain) {
        return wrong(
            "version",
            format!("`{version}` names no version"),
            "Use letters, digits and dots, as \"1.4\"",
        );
    }
    if manifest.port.is_some_and(|port| port < PORT_MIN) {
        return wrong("port", "an unprivileged program cannot listen there".into(), "Use 1024 to 65535");
    }
    if manifest.address.is_some_and(|address| address.port() == 0 || address.ip().is_unspecified()) {
        return wrong("address", "nobody can dial it".into(), "Write it as \"10.96.0.12:80\"");
    }
    let limits = manifest.limits.unwrap_or_default();
    if limits.memory.0 < 4 << 20 || limits.concurrency == 0 || !(limits.cpu > 0.0 && limits.cpu <= 1024.0) {
        return wrong(
            "limits",
            "nothing runs in that".into(),
            "Give at least 4MiB, a part of a core, a concurrency of 1",
        );
    }
    let start = manifest.start_timeout.unwrap_or(Duration::from_secs(1));
    if !(Duration::from_millis(10)..=Duration::from_secs(600)).contains(&start) {
        return wrong("start_timeout", format!("{start:?} is out of range"), "Use 10ms to 10m");
    }
    let name_ok = |name: &str| {
        !name.is_empty()
            && name.len() <= 128
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !name.starts_with(|c: char| c.is_ascii_digit())
    };
    for (name, value) in &manifest.env {
        let own = name == "PORT" || name.starts_with("WEFT_");
        if !name_ok(name) || own || value.contains('\0') || value.len() > 32 << 10 {
            let remedy = "Use letters, digits and underscores; PORT and WEFT_… are set by weft";
            return wrong(&format!("env.{name}"), "the variable cannot be set".into(), remedy);
        }
    }
    if manifest.env.len() > ENV_MAX {
        return wrong("env", format!("{} variables", manifest.env.len()), "Use at most 64");
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty()
        && name.len() <= NAME_LEN_MAX
        && name.chars().all(plain)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// A name from that of a file: `Shop Cart.tar.gz` becomes `shop-cart`.
fn name_from(hint: &str) -> Result<String, ProjectError> {
    let stem = [".tar.gz", ".tgz", ".tar", ".zip", ".py", ".js", ".mjs", ".cjs"]
        .iter()
        .find_map(|ending| hint.strip_suffix(ending))
        .unwrap_or(hint);
    let lower = stem.to_ascii_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut name = words.collect::<Vec<_>>().join("-");
    name.truncate(NAME_LEN_MAX);
    let name = name.trim_end_matches('-').to_owned();
    if is_name(&name) {
        return Ok(name);
    }
    wrong("name", format!("none can be made from `{hint}`"), "Give one, as name = \"cart\"")
}

#[cfg(test)]
mod tests;

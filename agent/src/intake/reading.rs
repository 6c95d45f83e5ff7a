//! Reads an upload's source. In: its files, and what it is. Out: what is known of them before anything of it runs, with
//! the digest of each file that was read. Refuses nothing: what is too large or in no known language is left out, and the
//! graph says so.

use std::io;

use sha2::{Digest, Sha256};
use weft_models::graph::manifest::is_manifest;
use weft_models::graph::{Bounds, LanguageId, SourceFile};
use weft_models::reading::{Handler, Reading};

use super::graphs::Graphs;
use super::project::{Language, Project};
use super::tree::Tree;

/// Folders of libraries that came along: they are weighed by name.
const LIBRARIES: [&str; 3] = ["node_modules", "site-packages", "vendor"];

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// From the root of the upload.
    pub path: String,
    /// SHA-256 of its content.
    pub digest: [u8; 32],
}

/// Reads all source of an upload as one program, if it was not read before. What it will need follows from the runs of its
/// former versions, if there were any.
///
/// # Errors
/// What the system said of its files.
pub(super) fn read(tree: &Tree, project: &Project, graphs: &Graphs) -> io::Result<(Vec<Source>, Reading)> {
    let bounds = Bounds::default();
    let (mut sources, mut files, mut bytes) = (Vec::new(), Vec::new(), 0);
    for (path, _) in tree.iter() {
        // One beyond the bounds, so that the graph can tell that something was left out.
        if files.len() > bounds.files || bytes > bounds.total_bytes {
            break;
        }
        let is_read = LanguageId::of_path(path).is_some() || is_manifest(path);
        let of_library = path.split('/').any(|part| LIBRARIES.contains(&part));
        if !is_read || of_library || !tree.has_file(path) {
            continue;
        }
        let content = tree.head(path, bounds.file_bytes as u64 + 1)?;
        bytes += content.len();
        sources.push(Source { path: path.to_owned(), digest: Sha256::digest(&content).into() });
        files.push(SourceFile::new(path, content));
    }
    let before = graphs.of_program(&sources, &project.handler);
    let mut reading = before.unwrap_or_else(|| Reading::of(&files, handler(project).as_ref(), &bounds));
    reading.forecast = reading.after(&graphs.runs_of(&project.name));
    Ok((sources, reading))
}

/// What is called first, as the two programs that serve handlers look for it.
fn handler(project: &Project) -> Option<Handler> {
    let (place, name) = project.handler.split_once(':')?;
    let (files, usual) = match project.language {
        Language::Python => {
            let path = place.replace('.', "/");
            (
                vec![format!("{path}.py"), format!("{path}/__init__.py")],
                ["app", "application", "handler", "main"],
            )
        }
        Language::Node => (vec![place.to_owned()], ["handler", "app", "default", "main"]),
        Language::Executable { .. } => return None,
    };
    let functions = if name.is_empty() { usual.map(str::to_owned).to_vec() } else { vec![name.to_owned()] };
    Some(Handler { files, functions })
}

/// What the uploader is told of it.
pub(super) fn told(project: &Project, reading: &Reading) -> String {
    let (costs, forecast) = (&reading.costs, &reading.forecast);
    let mut text = format!("{} functions", reading.functions());
    if let Some(entry) = costs.entry.node {
        text += &format!(", {} takes {}", reading.graph.node(entry).name, costs.entry.time.notation());
    }
    match costs.findings.len() {
        0 => {}
        1 => text += ", 1 finding",
        count => text += &format!(", {count} findings"),
    }
    let limits = project.limits;
    text + &format!(
        "; profile {} (confidence {:.2}: {}); limits {} MiB, {} cores",
        forecast.name,
        forecast.confidence,
        forecast.reason.first().map_or("nothing is known", String::as_str),
        limits.memory.0 >> 20,
        limits.cpu,
    )
}

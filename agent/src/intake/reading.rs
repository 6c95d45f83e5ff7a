//! Reads an upload's source. In: its files, and what it is. Out: what is known of them before anything of it runs, with
//! the digest of each file that was read. Refuses nothing: what is too large or in no known language is left out, and the
//! graph says so.

use std::io;

use sha2::{Digest, Sha256};
use weft_models::graph::{Bounds, LanguageId, SourceFile};
use weft_models::reading::{Handler, Reading};

use super::graphs::Graphs;
use super::project::{Language, Project};
use super::tree::Tree;

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// From the root of the upload.
    pub path: String,
    /// SHA-256 of its content.
    pub digest: [u8; 32],
}

/// Reads all source of an upload as one program, if it was not read before.
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
        if !tree.has_file(path) || LanguageId::of_path(path).is_none() {
            continue;
        }
        let content = tree.head(path, bounds.file_bytes as u64 + 1)?;
        bytes += content.len();
        sources.push(Source { path: path.to_owned(), digest: Sha256::digest(&content).into() });
        files.push(SourceFile::new(path, content));
    }
    let before = graphs.of_program(&sources, &project.handler);
    let reading = before.unwrap_or_else(|| Reading::of(&files, handler(project).as_ref(), &bounds));
    Ok((sources, reading))
}

fn handler(project: &Project) -> Option<Handler> {
    if matches!(project.language, Language::Executable { .. }) {
        return None;
    }
    let (file, function) = project.handler.split_once(':')?;
    Some(Handler { file: file.to_owned(), function: function.to_owned() })
}

/// What the uploader is told of it.
pub(super) fn told(reading: &Reading) -> String {
    let (costs, mib) = (&reading.costs, |bytes: u64| bytes.div_ceil(1 << 20));
    let mut text = format!("{} functions", reading.functions());
    if let Some(entry) = costs.entry.node {
        text += &format!(", {} takes {}", reading.graph.node(entry).name, costs.entry.time.notation());
    }
    text += &format!(", {} to {} MiB", mib(costs.memory.low), mib(costs.memory.high));
    match costs.findings.len() {
        0 => text,
        1 => text + ", 1 finding",
        count => text + &format!(", {count} findings"),
    }
}

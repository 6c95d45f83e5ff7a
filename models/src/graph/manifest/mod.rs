//! Manifests. In: files of an upload. Out: what they call the folders that they stand in.

mod go_mod;

use super::bounds::Bounds;
use super::ir::Root;
use super::source::SourceFile;

/// Manifests that are read, and bytes of one.
const MANIFESTS_MAX: usize = 500;
const BYTES_MAX: usize = 4 << 20;

/// What manifests call the folders that they stand in.
pub(super) fn roots(files: &[SourceFile], bounds: &Bounds) -> Vec<Root> {
    let fits = |file: &&SourceFile| file.bytes.len() <= bounds.file_bytes.min(BYTES_MAX);
    files.iter().filter(fits).filter_map(root).take(MANIFESTS_MAX).collect()
}

fn root(file: &SourceFile) -> Option<Root> {
    let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let text = std::str::from_utf8(&file.bytes).ok()?;
    match name {
        "go.mod" => go_mod::root(folder.trim_start_matches("./"), text),
        _ => None,
    }
}

//! Curves as a picture. In: the outcome on a trace. Out: an SVG in a file.
use std::path::Path;

use anyhow::{Context, Result};
use weft_models::contest::{Contest, picture};

/// Writes the picture.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn keep(outcome: &Contest, path: &Path) -> Result<()> {
    let folder = path.parent().context("a picture is in a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    std::fs::write(path, picture::svg(&outcome.name, &outcome.curve))
        .with_context(|| format!("write {}", path.display()))
}

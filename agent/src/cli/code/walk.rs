//! Source on the disk. In: files and folders. Out: the files in languages that weft reads, and those that declare
//! libraries, by their paths from the folder
//! that was named. Follows no link inside a folder, so that nothing outside is read; reads no more than the bounds allow
//! and one beyond them, so that the graph can tell that something was left out.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use weft_models::graph::manifest::is_manifest;
use weft_models::graph::{Bounds, LanguageId, SourceFile};

/// Folders that hold the source of others, or none.
const NOT_ENTERED: [&str; 3] = ["node_modules", "__pycache__", "site-packages"];
/// Entries that are looked at in all.
const ENTRIES_MAX: usize = 1_000_000;

/// Reads all sources below the paths.
///
/// # Errors
/// A path that is not there or cannot be read.
pub(super) fn read(paths: &[PathBuf], bounds: &Bounds) -> anyhow::Result<Vec<SourceFile>> {
    let mut walk = Walk { bounds, files: Vec::new(), bytes: 0, entries: 0 };
    for path in paths {
        let remedy = "Name a file or folder that exists and may be read";
        let kind = std::fs::metadata(path).with_context(|| format!("{}. {remedy}", path.display()))?;
        if kind.is_dir() {
            walk.folder(path)?;
        } else {
            let name = path.file_name().unwrap_or(path.as_os_str());
            walk.file(path, Path::new(name))?;
        }
    }
    Ok(walk.files)
}

struct Walk<'a> {
    bounds: &'a Bounds,
    files: Vec<SourceFile>,
    bytes: usize,
    entries: usize,
}

impl Walk<'_> {
    fn is_full(&self) -> bool {
        let Bounds { files, total_bytes, .. } = *self.bounds;
        self.files.len() > files || self.bytes > total_bytes || self.entries > ENTRIES_MAX
    }

    fn folder(&mut self, root: &Path) -> anyhow::Result<()> {
        let mut open = vec![root.to_owned()];
        while let Some(folder) = open.pop() {
            let mut entries = Vec::new();
            let listed = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
            for entry in listed.take(ENTRIES_MAX) {
                let entry = entry.with_context(|| folder.display().to_string())?;
                let kind = entry.file_type().with_context(|| entry.path().display().to_string())?;
                entries.push((entry.path(), kind));
            }
            self.entries += entries.len();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            for (path, kind) in entries {
                if kind.is_dir() && is_entered(&path) {
                    open.push(path);
                } else if kind.is_file() && !self.is_full() {
                    let inside = path.strip_prefix(root).unwrap_or(&path).to_owned();
                    self.file(&path, &inside)?;
                }
            }
            if self.is_full() {
                break;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, name: &Path) -> anyhow::Result<()> {
        let name = name.to_string_lossy();
        if LanguageId::of_path(&name).is_none() && !is_manifest(&name) {
            return Ok(());
        }
        let mut bytes = Vec::new();
        let most = self.bounds.file_bytes as u64 + 1;
        let file = File::open(path).with_context(|| path.display().to_string())?;
        file.take(most).read_to_end(&mut bytes).with_context(|| path.display().to_string())?;
        self.bytes += bytes.len();
        self.files.push(SourceFile::new(name, bytes));
        Ok(())
    }
}

fn is_entered(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    !name.starts_with('.') && !NOT_ENTERED.contains(&name.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(root: &Path, bounds: &Bounds) -> Vec<String> {
        let files = read(&[root.to_owned()], bounds).unwrap();
        files.into_iter().map(|file| file.path).collect()
    }

    #[test]
    fn sources_are_found_by_their_paths_and_links_lead_nowhere() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret.py"), "x = 1").unwrap();
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        for folder in ["a/b", "node_modules", ".git"] {
            std::fs::create_dir_all(path(folder)).unwrap();
        }
        for file in ["a/b/c.py", "a/d.js", "a/read.me", "node_modules/e.js", ".git/f.py", "g.py"] {
            std::fs::write(path(file), "1").unwrap();
        }
        std::os::unix::fs::symlink(outside.path(), path("folder")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret.py"), path("link.py")).unwrap();
        std::os::unix::fs::symlink(root.path(), path("a/circle")).unwrap();
        let mut found = names(root.path(), &Bounds::default());
        found.sort();
        assert_eq!(found, ["a/b/c.py", "a/d.js", "g.py"]);
        let one = read(&[path("a/d.js")], &Bounds::default()).unwrap();
        assert_eq!(one, [SourceFile::new("d.js", "1")]);
    }

    #[test]
    fn no_more_is_read_than_the_bounds_allow_and_one_beyond() {
        let root = tempfile::tempdir().unwrap();
        for number in 0..10 {
            std::fs::write(root.path().join(format!("{number}.py")), "0123456789").unwrap();
        }
        let bounds = Bounds { files: 3, ..Bounds::default() };
        assert_eq!(names(root.path(), &bounds).len(), 4);
        let bounds = Bounds { total_bytes: 25, ..Bounds::default() };
        assert_eq!(names(root.path(), &bounds).len(), 3);
        let bounds = Bounds { file_bytes: 4, ..Bounds::default() };
        let files = read(&[root.path().join("1.py")], &bounds).unwrap();
        assert_eq!(files, [SourceFile::new("1.py", "01234")]);
    }

    #[test]
    fn a_path_that_is_not_there_is_named() {
        let error = read(&[PathBuf::from("/nowhere/at/all.py")], &Bounds::default()).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all.py"), "{error}");
    }
}

//! The files of an upload. In: one entry after the other, in the sender's words. Out: a [`Tree`] of checked paths whose
//! content lies in numbered files of the stage. Refuses what leaves the tree, what comes twice, what is neither file,
//! folder nor link, and what is above the [`Bounds`].
//!
//! No path of the sender's is ever made on the node: a name is a key of a map, and a link is a note. So there is nothing
//! to escape to, and nothing that a link could lead to.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::archive::{ArchiveError, NameFault};
use super::bounds::Bounds;

/// Bytes that are copied at a time; limits are looked at in between.
const PIECE_BYTES: usize = 64 << 10;
/// Bytes of one part of a path: what file systems take.
const PART_LEN_MAX: usize = 255;

/// The files of an upload, by their path from its top, with `/` between the parts.
#[derive(Debug)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A folder.
    Directory,
    /// A file.
    File {
        /// Where its content lies.
        stored: PathBuf,
        /// Its size.
        bytes: u64,
        /// Whether it may be executed.
        executable: bool,
    },
    /// A symbolic link to another place in the tree.
    Link {
        /// As the sender wrote it: relative to the folder of the link.
        target: String,
    },
}

impl Tree {
    /// Everything, parents before children.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// What is at a path.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Whether there is a file at a path.
    pub fn has_file(&self, path: &str) -> bool {
        matches!(self.get(path), Some(Entry::File { .. }))
    }

    /// The content of a file, if there is one that is no longer than `bytes_max`.
    ///
    /// # Errors
    /// What the system said.
    pub fn read(&self, path: &str, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        match self.get(path) {
            Some(Entry::File { stored, bytes, .. }) if *bytes <= bytes_max => std::fs::read(stored).map(Some),
            _ => Ok(None),
        }
    }

    /// The first bytes of a file; none if there is no such file.
    ///
    /// # Errors
    /// What the system said.
    pub fn head(&self, path: &str, bytes: u64) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        if let Some(Entry::File { stored, .. }) = self.get(path) {
            File::open(stored)?.take(bytes).read_to_end(&mut head)?;
        }
        Ok(head)
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        let sizes = self.entries.values().map(|entry| match entry {
            Entry::File { bytes, .. } => *bytes,
            _ => 0,
        });
        sizes.sum()
    }

    /// The one file of an upload that has no other, and its name.
    pub fn only_file(&self) -> Option<&str> {
        let mut files = self.entries.iter();
        match (files.next(), files.next()) {
            (Some((path, Entry::File { .. })), None) => Some(path),
            _ => None,
        }
    }

    /// Takes off the folder that holds everything else, as archives of a folder have it.
    #[must_use]
    pub fn without_wrapper(self) -> Self {
        let Some((first, Entry::Directory)) = self.entries.first_key_value() else { return self };
        let prefix = format!("{first}/");
        if self.entries.len() < 2 || !self.entries.keys().skip(1).all(|path| path.starts_with(&prefix)) {
            return self;
        }
        let inner = self.entries.into_iter().skip(1);
        Self { entries: inner.map(|(path, entry)| (path[prefix.len()..].to_owned(), entry)).collect() }
    }
}

/// Takes in the entries of one upload.
pub(super) struct Stager<'a> {
    bounds: &'a Bounds,
    directory: &'a Path,
    entries: BTreeMap<String, Entry>,
    /// Bytes that may be unpacked by the size of the archive.
    by_ratio: u64,
    unpacked: u64,
    until: Instant,
}

impl<'a> Stager<'a> {
    /// Content goes into `directory`, which must be there and empty. `packed` is the size of what is unpacked; `None`
    /// for what is not packed.
    pub(super) fn new(bounds: &'a Bounds, directory: &'a Path, packed: Option<u64>) -> Self {
        let by_ratio =
            packed.map_or(u64::MAX, |packed| packed.saturating_mul(bounds.ratio).max(bounds.small_bytes));
        let until = Instant::now() + bounds.time;
        Self { bounds, directory, entries: BTreeMap::new(), by_ratio, unpacked: 0, until }
    }

    /// The tree of all that was taken.
    pub(super) fn finish(self) -> Result<Tree, ArchiveError> {
        if self.entries.values().any(|entry| matches!(entry, Entry::File { .. })) {
            return Ok(Tree { entries: self.entries });
        }
        Err(ArchiveError::Empty)
    }

    pub(super) fn directory(&mut self, name: &str) -> Result<(), ArchiveError> {
        let path = self.path(name)?;
        match (path.as_str(), self.entries.get(&path)) {
            ("", _) | (_, Some(Entry::Directory)) => Ok(()),
            (_, Some(_)) => Err(ArchiveError::Twice { entry: shown(name) }),
            (_, None) => self.insert(name, path, Entry::Directory),
        }
    }

    pub(super) fn file(
        &mut self,
        name: &str,
        executable: bool,
        content: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        let path = self.new_path(name)?;
        let stored = self.directory.join(self.entries.len().to_string());
        let bytes = self.store(name, &stored, content)?;
        self.insert(name, path, Entry::File { stored, bytes, executable })
    }

    pub(super) fn link(&mut self, name: &str, target: &str) -> Result<(), ArchiveError> {
        let path = self.new_path(name)?;
        // The depth of the folder that holds the link, and never above the top on the way. That another link may stand
        // on the way does not matter: nobody follows it but a program in its container, whose root is its own.
        let mut depth = path.matches('/').count();
        let mut inside =
            !target.is_empty() && !target.starts_with('/') && target.len() <= self.bounds.path_len;
        for part in target.split('/') {
            match part {
                "" | "." => {}
                ".." if depth == 0 => inside = false,
                ".." => depth -= 1,
                _ => depth += 1,
            }
        }
        if !inside || target.contains('\0') {
            return Err(ArchiveError::LinkOut { entry: shown(name), target: shown(target) });
        }
        self.insert(name, path, Entry::Link { target: target.to_owned() })
    }

    /// A checked path at which nothing is yet.
    fn new_path(&self, name: &str) -> Result<String, ArchiveError> {
        let path = self.path(name)?;
        if path.is_empty() {
            return Err(ArchiveError::Name { entry: shown(name), fault: NameFault::Empty });
        }
        if self.entries.contains_key(&path) {
            return Err(ArchiveError::Twice { entry: shown(name) });
        }
        Ok(path)
    }

    /// The path that a name stands for, without `.` and doubled slashes.
    fn path(&self, name: &str) -> Result<String, ArchiveError> {
        let wrong = |fault| ArchiveError::Name { entry: shown(name), fault };
        if name.len() > self.bounds.path_len {
            return Err(wrong(NameFault::Long { max: self.bounds.path_len }));
        }
        if name.starts_with('/') || name.contains('\\') || name.as_bytes().get(1) == Some(&b':') {
            return Err(wrong(NameFault::Absolute));
        }
        if name.chars().any(char::is_control) {
            return Err(wrong(NameFault::Control));
        }
        let parts: Vec<_> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if parts.contains(&"..") {
            return Err(wrong(NameFault::Escape));
        }
        if parts.iter().any(|part| part.len() > PART_LEN_MAX) {
            return Err(wrong(NameFault::Long { max: PART_LEN_MAX }));
        }
        if parts.len() > self.bounds.depth + 1 {
            return Err(wrong(NameFault::Deep { max: self.bounds.depth }));
        }
        Ok(parts.join("/"))
    }

    /// Adds an entry and the folders above it.
    fn insert(&mut self, name: &str, path: String, entry: Entry) -> Result<(), ArchiveError> {
        for (at, _) in path.match_indices('/') {
            match self.entries.get(&path[..at]) {
                Some(Entry::Directory) => {}
                // A file below a link or a file: two entries that cannot both be meant.
                Some(_) => return Err(ArchiveError::Twice { entry: shown(name) }),
                None => {
                    self.entries.insert(path[..at].to_owned(), Entry::Directory);
                }
            }
        }
        self.entries.insert(path, entry);
        if self.entries.len() > self.bounds.entries {
            return Err(ArchiveError::TooMany { max: self.bounds.entries });
        }
        Ok(())
    }

    fn store(&mut self, name: &str, stored: &Path, content: &mut dyn Read) -> Result<u64, ArchiveError> {
        let failed = |source| ArchiveError::Stage { path: stored.to_owned(), source };
        let mut file = File::create_new(stored).map_err(failed)?;
        let mut piece = vec![0; PIECE_BYTES];
        let mut bytes = 0;
        loop {
            let read = content.read(&mut piece);
            let length = read
                .map_err(|source| ArchiveError::Broken { entry: shown(name), message: source.to_string() })?;
            if length == 0 {
                return Ok(bytes);
            }
            bytes += length as u64;
            self.unpacked += length as u64;
            self.may_go_on(name)?;
            file.write_all(&piece[..length]).map_err(failed)?;
        }
    }

    /// Bytes that the stream of an archive may have: its files, and a header and padding for each entry.
    pub(super) fn stream_bytes_max(&self) -> u64 {
        let headers = 4096 * self.bounds.entries as u64;
        self.by_ratio.min(self.bounds.unpacked_bytes).saturating_add(headers)
    }

    /// Whether what was unpacked so far is within the limits.
    pub(super) fn may_go_on(&self, name: &str) -> Result<(), ArchiveError> {
        if self.unpacked > self.bounds.unpacked_bytes {
            return Err(ArchiveError::TooLarge { entry: shown(name), max_bytes: self.bounds.unpacked_bytes });
        }
        if self.unpacked > self.by_ratio {
            return Err(ArchiveError::Bomb { entry: shown(name), ratio: self.bounds.ratio });
        }
        if Instant::now() > self.until {
            return Err(ArchiveError::Late { entry: shown(name), after: self.bounds.time });
        }
        Ok(())
    }
}

/// A sender's text in a message: without control characters, and not too long to read.
pub(super) fn shown(text: &str) -> String {
    const LEN_MAX: usize = 120;
    let short: String = text.chars().take(LEN_MAX).map(|c| if c.is_control() { '?' } else { c }).collect();
    if short.len() < text.len() && text.chars().count() > LEN_MAX { format!("{short}…") } else { short }
}

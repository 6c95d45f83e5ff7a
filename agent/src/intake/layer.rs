//! Layers of an image. In: a tree, files or a folder of the node. Out: a tar of them with its digest, the same bytes for
//! the same content: sorted, without times and owners, and readable for whoever runs it. Refuses nothing but what the
//! disk refuses; what is neither file, folder nor link is left out.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::tree::{Entry, Tree};

/// A layer on disk.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// The tar.
    pub(super) path: PathBuf,
    /// `sha256:…` of it, by which containerd keeps it and, as it is not packed, also knows its content.
    pub(super) digest: String,
    /// Its size.
    pub(super) bytes: u64,
}

impl Layer {
    /// One that was written before.
    pub(super) fn open(path: &Path, digest: &str) -> Option<Self> {
        let bytes = std::fs::metadata(path).ok()?.len();
        Some(Self { path: path.to_owned(), digest: digest.to_owned(), bytes })
    }
}

/// Who may write into a folder of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writers {
    /// Nobody is to.
    Nobody,
    /// Everyone, as into `/tmp`: runc gives a file system that it mounts there the rights of the folder below it.
    All,
}

/// The rights of a folder into which everyone may write, and in which nobody removes what is another's.
const SHARED: u32 = 0o1777;

/// Writes one layer; entries are to be given parents first.
pub(super) struct LayerWriter {
    builder: tar::Builder<Hashing<BufWriter<File>>>,
    path: PathBuf,
}

impl LayerWriter {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = BufWriter::new(File::create(path)?);
        let builder = tar::Builder::new(Hashing { inner: file, hasher: Sha256::new(), bytes: 0 });
        Ok(Self { builder, path: path.to_owned() })
    }

    pub(super) fn finish(self) -> io::Result<Layer> {
        let mut whole = self.builder.into_inner()?;
        whole.flush()?;
        let digest = format!("sha256:{:x}", whole.hasher.finalize());
        Ok(Layer { path: self.path, digest, bytes: whole.bytes })
    }

    pub(super) fn directory(&mut self, path: &str) -> io::Result<()> {
        self.directory_for(path, Writers::Nobody)
    }

    pub(super) fn directory_for(&mut self, path: &str, writers: Writers) -> io::Result<()> {
        let mode = if writers == Writers::All { SHARED } else { 0o755 };
        let mut header = header(tar::EntryType::Directory, mode, 0);
        self.builder.append_data(&mut header, format!("{path}/"), io::empty())
    }

    pub(super) fn file(&mut self, path: &str, mode: u32, bytes: u64, content: impl Read) -> io::Result<()> {
        let mut header = header(tar::EntryType::Regular, mode, bytes);
        self.builder.append_data(&mut header, path, content.take(bytes))
    }

    pub(super) fn link(&mut self, path: &str, target: &Path) -> io::Result<()> {
        let mut header = header(tar::EntryType::Symlink, 0o777, 0);
        self.builder.append_link(&mut header, path, target)
    }

    /// All of an upload below a folder.
    pub(super) fn tree(&mut self, above: &str, tree: &Tree) -> io::Result<()> {
        self.directory(above)?;
        for (path, entry) in tree.iter() {
            let path = format!("{above}/{path}");
            match entry {
                Entry::Directory => self.directory(&path)?,
                Entry::File { stored, bytes, executable } => {
                    self.file(&path, mode_of(*executable), *bytes, File::open(stored)?)?;
                }
                Entry::Link { target } => self.link(&path, Path::new(target))?,
            }
        }
        Ok(())
    }

    /// All of a folder of the node below a folder; links are taken as they are. Nobody may write there meanwhile.
    pub(super) fn folder(&mut self, above: &str, folder: &Path) -> io::Result<()> {
        let mut entries = std::fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            // A name that is no UTF-8 is left out: no package manager makes one.
            let Some(name) = name.to_str() else { continue };
            let path = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
            let metadata = entry.path().symlink_metadata()?;
            if metadata.is_dir() {
                let shared = metadata.permissions().mode() & SHARED == SHARED;
                self.directory_for(&path, if shared { Writers::All } else { Writers::Nobody })?;
                self.folder(&path, &entry.path())?;
            } else if metadata.is_symlink() {
                self.link(&path, &std::fs::read_link(entry.path())?)?;
            } else if metadata.is_file() {
                let mode = mode_of(metadata.permissions().mode() & 0o111 != 0);
                self.file(&path, mode, metadata.len(), File::open(entry.path())?)?;
            }
        }
        Ok(())
    }
}

/// Everyone may read, nobody is to write, and no file gives its owner's rights.
fn mode_of(executable: bool) -> u32 {
    if executable { 0o755 } else { 0o644 }
}

fn header(kind: tar::EntryType, mode: u32, bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(bytes);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// Hashes what passes.
struct Hashing<W> {
    inner: W,
    hasher: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(buffer)?;
        self.hasher.update(&buffer[..length]);
        self.bytes += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_is_the_same_layer_whenever_and_by_whomever_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let mut layers = Vec::new();
        for (name, files) in [("a", ["x", "y"]), ("b", ["y", "x"])] {
            let folder = directory.path().join(name);
            std::fs::create_dir_all(folder.join("sub")).unwrap();
            for file in files {
                std::fs::write(folder.join("sub").join(file), file).unwrap();
            }
            std::os::unix::fs::symlink("sub/x", folder.join("link")).unwrap();
            let mut writer = LayerWriter::create(&directory.path().join(format!("{name}.tar"))).unwrap();
            writer.folder("", &folder).unwrap();
            layers.push(writer.finish().unwrap());
        }
        assert_eq!(layers[0].digest, layers[1].digest);
        let bytes = std::fs::read(&layers[0].path).unwrap();
        assert_eq!(layers[0].bytes, bytes.len() as u64);
        assert_eq!(layers[0].digest, format!("sha256:{:x}", Sha256::digest(&bytes)));
        let mut archive = tar::Archive::new(&bytes[..]);
        let entries = archive.entries().unwrap().map(|entry| entry.unwrap());
        let paths: Vec<_> = entries.map(|entry| entry.path().unwrap().display().to_string()).collect();
        assert_eq!(paths, ["link", "sub/", "sub/x", "sub/y"]);
    }

    #[test]
    fn a_layer_gives_no_rights_and_lets_everyone_read() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("f");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("su"), "x").unwrap();
        std::fs::set_permissions(folder.join("su"), std::fs::Permissions::from_mode(0o4700)).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, folder.join("pipe"), 0o644.into()).unwrap();
        let mut writer = LayerWriter::create(&directory.path().join("l.tar")).unwrap();
        writer.folder("", &folder).unwrap();
        let layer = writer.finish().unwrap();
        let mut archive = tar::Archive::new(File::open(layer.path).unwrap());
        let entries: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap()))
            .collect();
        assert_eq!(entries, [("su".to_owned(), 0o755)]);
    }
}

//! Reading an upload. In: a folder, a file, a zip or a tar.gz. Out: its [`Tree`]. Refuses everything that [`Stager`]
//! refuses, archives that are broken or encrypted, and files that are no archive and no program. What a file is, its
//! first bytes say, not its name.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::read::MultiGzDecoder;
// Not `ZipArchive`, which keeps every entry in memory, and of two of one name only the last.
use zip::unstable::read::ZipIterable;
use zip::{read::ZipReadOptions, result::ZipError};

use super::bounds::Bounds;
use super::tree::{Stager, Tree, shown};

const ZIP: &[u8] = b"PK";
const GZIP: &[u8] = &[0x1f, 0x8b];
/// What tar writes into each header.
const TAR: (usize, &[u8]) = (257, b"ustar");
/// Folders of developers' tools, which no program needs to run.
const LEFT_OUT: [&str; 5] = [".git", ".hg", ".svn", "__pycache__", ".venv"];

/// Why an upload cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The upload itself cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is larger than is taken.
    #[error("the upload is larger than {max_bytes} bytes; leave out what the program does not need to run")]
    PackedTooLarge {
        /// The limit.
        max_bytes: u64,
    },
    /// There is no file in it.
    #[error("the upload holds no file; send the folder that has the program in it")]
    Empty,
    /// The archive breaks off or contradicts itself.
    #[error("`{entry}`: the archive is broken: {message}; make it anew with `zip -r` or `tar -czf`")]
    Broken {
        /// Where.
        entry: String,
        /// The reader's words.
        message: String,
    },
    /// A name that cannot be taken.
    #[error("`{entry}`: {fault}")]
    Name {
        /// The name.
        entry: String,
        /// What is wrong with it.
        fault: NameFault,
    },
    /// A link that leads out of the upload.
    #[error("`{entry}` links to `{target}`, outside of the upload; put the file itself in its place")]
    LinkOut {
        /// The link.
        entry: String,
        /// Where it leads.
        target: String,
    },
    /// A device, pipe, socket or hard link.
    #[error("`{entry}` is a {kind}; an upload holds files, folders and symbolic links only")]
    Kind {
        /// Its name.
        entry: String,
        /// What it is.
        kind: &'static str,
    },
    /// Two entries for one path.
    #[error(
        "`{entry}` stands in the upload twice, or below something that is no folder; remove one of the two"
    )]
    Twice {
        /// The path.
        entry: String,
    },
    /// An encrypted entry.
    #[error(
        "`{entry}` is encrypted or packed in a way that is not read here; pack it without a password, by deflate"
    )]
    Method {
        /// Its name.
        entry: String,
    },
    /// Too many entries.
    #[error("the upload holds more than {max} files and folders; declare libraries instead of sending them")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// Too many bytes.
    #[error(
        "`{entry}`: with it the upload unpacks to more than {max_bytes} bytes; leave out what is not needed to run"
    )]
    TooLarge {
        /// The entry at which it became too much.
        entry: String,
        /// The limit.
        max_bytes: u64,
    },
    /// An archive that unpacks to far more than it is.
    #[error(
        "`{entry}`: the archive unpacks to more than {ratio} times its size, as only an archive bomb does; leave out generated files"
    )]
    Bomb {
        /// The entry at which it became too much.
        entry: String,
        /// The limit.
        ratio: u64,
    },
    /// It took too long.
    #[error("`{entry}`: reading the upload took longer than {after:?}; send less at a time")]
    Late {
        /// Where it was given up.
        entry: String,
        /// The limit.
        after: Duration,
    },
    /// The content cannot be kept.
    #[error("{}: the upload cannot be unpacked there: {source}; make room below [agent] state", path.display())]
    Stage {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What is wrong with a name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameFault {
    /// It goes above the top.
    #[error("the path leaves the upload; use no `..`")]
    Escape,
    /// It begins at the root of a system.
    #[error("the path is absolute or has a backslash; write it from the top of the upload, with slashes")]
    Absolute,
    /// It is longer than is taken.
    #[error("the name is longer than {max} bytes; shorten it")]
    Long {
        /// The limit.
        max: usize,
    },
    /// It has more folders than are taken.
    #[error("it lies deeper than {max} folders; flatten them")]
    Deep {
        /// The limit.
        max: usize,
    },
    /// It cannot be shown.
    #[error("the name has control characters; rename it")]
    Control,
    /// It is not UTF-8.
    #[error("the name is no UTF-8; rename it")]
    Encoding,
    /// There is none.
    #[error("the name is empty; rename it")]
    Empty,
}

/// Reads the upload at `source`. Content goes into `stage`, an empty folder that the caller removes in the end.
///
/// # Errors
/// [`ArchiveError`]; the stage may hold what was unpacked until then.
pub fn read(source: &Path, stage: &Path, bounds: &Bounds) -> Result<Tree, ArchiveError> {
    let unreadable = |error| ArchiveError::Unreadable { path: source.to_owned(), source: error };
    let metadata = std::fs::metadata(source).map_err(unreadable)?;
    if metadata.is_dir() {
        let mut stager = Stager::new(bounds, stage, None);
        folder(source, "", &mut stager)?;
        return stager.finish();
    }
    if !metadata.is_file() {
        return Err(ArchiveError::Kind { entry: shown(&source.to_string_lossy()), kind: "device or pipe" });
    }
    if metadata.len() > bounds.packed_bytes {
        return Err(ArchiveError::PackedTooLarge { max_bytes: bounds.packed_bytes });
    }
    let mut file = File::open(source).map_err(unreadable)?;
    let mut head = Vec::new();
    (&file).take(512).read_to_end(&mut head).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    let mut stager = Stager::new(bounds, stage, Some(metadata.len()));
    if head.starts_with(ZIP) {
        unzip(file, File::open(source).map_err(unreadable)?, &mut stager)?;
    } else if head.starts_with(GZIP) {
        untar(MultiGzDecoder::new(file), &mut stager)?;
    } else if head.get(TAR.0..).is_some_and(|rest| rest.starts_with(TAR.1)) {
        untar(file, &mut stager)?;
    } else {
        let name = source.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| encoding(source.as_os_str().as_encoded_bytes()))?;
        stager.file(name, true, &mut file)?;
    }
    Ok(stager.finish()?.without_wrapper())
}

fn encoding(name: &[u8]) -> ArchiveError {
    ArchiveError::Name { entry: shown(&String::from_utf8_lossy(name)), fault: NameFault::Encoding }
}

/// Whether a path leads through one of the folders that are left out.
fn is_left_out(name: &str) -> bool {
    name.split('/').any(|part| LEFT_OUT.contains(&part))
}

fn unzip(file: File, again: File, stager: &mut Stager<'_>) -> Result<(), ArchiveError> {
    let broken = |entry: &str, error: &ZipError| match error {
        ZipError::UnsupportedArchive(_) => ArchiveError::Method { entry: entry.to_owned() },
        error => ArchiveError::Broken { entry: entry.to_owned(), message: error.to_string() },
    };
    let archive = ZipIterable::try_new(BufReader::new(file), zip::read::Config::default());
    let mut archive = archive.map_err(|error| broken("zip", &error))?.enforce_header_consistency(true);
    // One reads the list, the other what is listed.
    let mut content = BufReader::new(again);
    let mut last = "zip".to_owned();
    for entry in archive.files().map_err(|error| broken("zip", &error))? {
        let entry = entry.map_err(|error| broken(&last, &error))?;
        let name = std::str::from_utf8(entry.name_raw()).map_err(|_| encoding(entry.name_raw()))?.to_owned();
        stager.may_go_on(&name)?;
        last = shown(&name);
        if is_left_out(&name) {
            continue;
        }
        let mode = entry.unix_mode().unwrap_or(0o644);
        let mut entry = entry
            .with_reader(&mut content, ZipReadOptions::default())
            .map_err(|error| broken(&last, &error))?;
        // The upper bits of the mode are the kind of file, where Unix packed it.
        match mode & 0o170_000 {
            _ if name.ends_with('/') => stager.directory(&name)?,
            0o040_000 => stager.directory(&name)?,
            0o120_000 => {
                let target = link_target(&mut entry, &last)?;
                stager.link(&name, &target)?;
            }
            0 | 0o100_000 => stager.file(&name, mode & 0o111 != 0, &mut entry)?,
            _ => return Err(ArchiveError::Kind { entry: last, kind: "device, pipe or socket" }),
        }
    }
    Ok(())
}

/// In a zip the content of a link is where it leads.
fn link_target(entry: &mut impl Read, name: &str) -> Result<String, ArchiveError> {
    const TARGET_LEN_MAX: u64 = 4096;
    let mut target = String::new();
    let read = entry.take(TARGET_LEN_MAX).read_to_string(&mut target);
    read.map_err(|error| ArchiveError::Broken { entry: name.to_owned(), message: error.to_string() })?;
    Ok(target)
}

fn untar(reader: impl Read, stager: &mut Stager<'_>) -> Result<(), ArchiveError> {
    let broken = |entry: &str, error: io::Error| ArchiveError::Broken {
        entry: entry.to_owned(),
        message: error.to_string(),
    };
    let mut archive = tar::Archive::new(Metered { reader, read: 0, bytes_max: stager.stream_bytes_max() });
    let mut last = "tar".to_owned();
    for entry in archive.entries().map_err(|error| broken("tar", error))? {
        let mut entry = entry.map_err(|error| broken(&last, error))?;
        let name = entry.path_bytes().into_owned();
        let name = String::from_utf8(name).map_err(|error| encoding(error.as_bytes()))?;
        stager.may_go_on(&name)?;
        last = shown(&name);
        if is_left_out(&name) {
            continue;
        }
        let executable = entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0);
        let kind = entry.header().entry_type();
        match kind {
            tar::EntryType::Directory => stager.directory(&name)?,
            tar::EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                let target = String::from_utf8(target).map_err(|error| encoding(error.as_bytes()))?;
                stager.link(&name, &target)?;
            }
            tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse => {
                stager.file(&name, executable, &mut entry)?;
            }
            tar::EntryType::XGlobalHeader => {}
            tar::EntryType::Link => return Err(ArchiveError::Kind { entry: last, kind: "hard link" }),
            _ => return Err(ArchiveError::Kind { entry: last, kind: "device, pipe or socket" }),
        }
    }
    Ok(())
}

/// Ends a stream that has gone on for too long: what a tar leaves out or only says in headers must be bounded as well.
struct Metered<R> {
    reader: R,
    read: u64,
    bytes_max: u64,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read > self.bytes_max {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it unpacks to far more than it is"));
        }
        let length = self.reader.read(buffer)?;
        self.read += length as u64;
        Ok(length)
    }
}

/// Takes a folder of the node. Its links are notes as everywhere; they are not followed.
fn folder(directory: &Path, above: &str, stager: &mut Stager<'_>) -> Result<(), ArchiveError> {
    let unreadable = |path: &Path, source| ArchiveError::Unreadable { path: path.to_owned(), source };
    let entries = std::fs::read_dir(directory).map_err(|error| unreadable(directory, error))?;
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(directory, error))?;
        let (path, file_name) = (entry.path(), entry.file_name());
        let name = file_name.to_str().ok_or_else(|| encoding(file_name.as_encoded_bytes()))?;
        let name = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
        stager.may_go_on(&name)?;
        if is_left_out(&name) {
            continue;
        }
        let metadata = path.symlink_metadata().map_err(|error| unreadable(&path, error))?;
        if metadata.is_dir() {
            stager.directory(&name)?;
            // The depth is bounded by the stager, so this ends.
            folder(&path, &name, stager)?;
        } else if metadata.is_symlink() {
            let target = std::fs::read_link(&path).map_err(|error| unreadable(&path, error))?;
            let target = target.to_str().ok_or_else(|| encoding(target.as_os_str().as_encoded_bytes()))?;
            stager.link(&name, target)?;
        } else if metadata.is_file() {
            use std::os::unix::fs::PermissionsExt;
            let executable = metadata.permissions().mode() & 0o111 != 0;
            let mut file = File::open(&path).map_err(|error| unreadable(&path, error))?;
            stager.file(&name, executable, &mut file)?;
        } else {
            return Err(ArchiveError::Kind { entry: shown(&name), kind: "device, pipe or socket" });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

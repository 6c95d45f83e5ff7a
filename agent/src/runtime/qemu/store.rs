//! Disks and snapshots on disk. In: a name and who writes it. Out: an open file that is whole: it appears under its name
//! only when it is. Refuses a snapshot whose bytes are not those that were written. Bounded: when all files together are
//! larger than they may be, those not used for the longest time go; a VM that has one open keeps it.
use std::collections::HashMap;
use std::fs::{self, File, FileTimes};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::VmError;

/// Names of files that are being written; what an agent left that died is cleared by the next.
const UNFINISHED: &str = ".part";
const CHUNK: usize = 1 << 20;

/// The folder.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    bytes_max: u64,
    /// Files whose bytes were found right, by inode and time of their last change.
    verified: Mutex<HashMap<PathBuf, (u64, i64, i64)>>,
}

impl Store {
    /// Makes the folder and clears what was left half-written.
    pub(super) fn open(folder: PathBuf, bytes_max: u64) -> Result<Self, VmError> {
        fs::create_dir_all(&folder).map_err(VmError::file(&folder))?;
        let this = Self { folder, bytes_max, verified: Mutex::default() };
        for path in this.files().into_iter().map(|(path, _)| path) {
            if path.extension().is_some_and(|ending| ending == &UNFINISHED[1..]) {
                // It would only take room.
                let _ = fs::remove_file(path);
            }
        }
        Ok(this)
    }

    /// Where a file of this name is, if it is; it counts as used now.
    pub(super) fn find(&self, name: &str) -> Option<PathBuf> {
        let path = self.folder.join(name);
        let file = File::open(&path).ok()?;
        used(&file);
        Some(path)
    }

    /// Where to write a file that is to have this name; `writer` tells two who write the same apart.
    pub(super) fn unfinished(&self, name: &str, writer: &str) -> PathBuf {
        self.folder.join(format!("{name}.{writer}{UNFINISHED}"))
    }

    /// Gives a written file its name, and makes room.
    pub(super) fn finish(&self, written: &Path, name: &str) -> Result<PathBuf, VmError> {
        let path = self.folder.join(name);
        fs::rename(written, &path).map_err(VmError::file(&path))?;
        self.make_room(&path);
        Ok(path)
    }

    /// The snapshot of this name, found to be what was written; a broken one is removed and refused.
    pub(super) fn snapshot(&self, name: &str) -> Option<Result<File, VmError>> {
        let path = self.folder.join(name);
        let file = File::open(&path).ok()?;
        used(&file);
        let verdict =
            self.verify(&path, &file).and_then(|()| File::open(&path).map_err(VmError::file(&path)));
        if verdict.is_err() {
            // It would be refused for ever.
            let _ = fs::remove_file(&path);
        }
        Some(verdict)
    }

    /// Removes a file that is of no use.
    pub(super) fn forget(&self, name: &str) {
        // It would be found useless again.
        let _ = fs::remove_file(self.folder.join(name));
    }

    /// Its checksum stands in its last four bytes, which QEMU does not read. Read whole once, then only after a change.
    fn verify(&self, path: &Path, file: &File) -> Result<(), VmError> {
        let metadata = file.metadata().map_err(VmError::file(path))?;
        let identity = (metadata.ino(), metadata.mtime(), metadata.mtime_nsec());
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.get(path) == Some(&identity) {
            return Ok(());
        }
        let broken = |fault| VmError::Snapshot { path: path.to_owned(), fault };
        let length = metadata.len().checked_sub(4).ok_or_else(|| broken("it is too short"))?;
        let mut reader = std::io::BufReader::with_capacity(CHUNK, file);
        let mut hasher = crc32fast::Hasher::new();
        let mut body = (&mut reader).take(length);
        let mut chunk = vec![0; CHUNK];
        loop {
            match body.read(&mut chunk).map_err(VmError::file(path))? {
                0 => break,
                read => hasher.update(&chunk[..read]),
            }
        }
        let mut noted = [0; 4];
        reader.read_exact(&mut noted).map_err(VmError::file(path))?;
        if u32::from_le_bytes(noted) != hasher.finalize() {
            return Err(broken("its checksum differs"));
        }
        if verified.len() > 1024 {
            verified.clear();
        }
        verified.insert(path.to_owned(), identity);
        Ok(())
    }

    /// Removes the least used until the rest fits; never what was just written.
    fn make_room(&self, kept: &Path) {
        let mut files = self.files();
        files.sort_by_key(|(_, metadata)| metadata.accessed().unwrap_or(SystemTime::UNIX_EPOCH));
        let mut bytes: u64 = files.iter().map(|(_, metadata)| metadata.len()).sum();
        for (path, metadata) in files.iter().filter(|(path, _)| path != kept) {
            if bytes <= self.bytes_max {
                return;
            }
            match fs::remove_file(path) {
                Ok(()) => bytes -= metadata.len(),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "a file of a VM cannot be removed")
                }
            }
        }
    }

    fn files(&self) -> Vec<(PathBuf, fs::Metadata)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let files = entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)));
        files.filter(|(_, metadata)| metadata.is_file()).collect()
    }
}

/// Notes that a file is used now. A file system that keeps no times forgets in another order.
fn used(file: &File) {
    let _ = file.set_times(FileTimes::new().set_accessed(SystemTime::now()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn write(store: &Store, name: &str, bytes: &[u8]) -> PathBuf {
        let part = store.unfinished(name, "v1");
        fs::write(&part, bytes).unwrap();
        store.finish(&part, name).unwrap()
    }

    fn snapshot(bytes: &[u8]) -> Vec<u8> {
        [bytes, &crc32fast::hash(bytes).to_le_bytes()].concat()
    }

    #[test]
    fn a_snapshot_with_one_wrong_byte_is_refused_and_gone_even_if_it_was_right_before() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().into(), 1 << 20).unwrap();
        let path = write(&store, "k", &snapshot(b"state"));
        assert!(store.snapshot("k").unwrap().is_ok());
        let mut bytes = fs::read(&path).unwrap();
        bytes[2] ^= 1;
        fs::write(&path, bytes).unwrap();
        File::open(&path).unwrap().set_modified(SystemTime::now() + Duration::from_secs(1)).unwrap();
        assert!(matches!(store.snapshot("k"), Some(Err(VmError::Snapshot { .. }))));
        assert!(store.snapshot("k").is_none());
    }

    #[test]
    fn the_file_not_used_for_the_longest_time_goes_first_and_the_newest_never() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().into(), 25).unwrap();
        for (age, name) in [(30, "a"), (20, "b")] {
            let path = write(&store, name, &[0; 10]);
            let then = FileTimes::new().set_accessed(SystemTime::now() - Duration::from_secs(age));
            File::open(path).unwrap().set_times(then).unwrap();
        }
        assert!(store.find("a").is_some());
        write(&store, "c", &[0; 10]);
        assert!(store.find("b").is_none() && store.find("a").is_some() && store.find("c").is_some());
        write(&store, "d", &[0; 40]);
        assert!(store.find("a").is_none() && store.find("d").is_some());
    }

    #[test]
    fn what_was_left_half_written_is_cleared_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().into(), 100).unwrap();
        let part = store.unfinished("a", "v1");
        fs::write(&part, "half").unwrap();
        assert!(store.find("a").is_none());
        Store::open(folder.path().into(), 100).unwrap();
        assert!(!part.exists());
    }
}

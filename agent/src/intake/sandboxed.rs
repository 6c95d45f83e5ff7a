//! Watching what runs in a sandbox. In: a running sandbox and what it may write. Out: its exit status. Refuses one that
//! takes too long, writes too much, or fills the node's disk; the caller removes it.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::runtime::containerd::Containerd;
use crate::runtime::{InstanceId, RuntimeError};

use super::IntakeError;

/// How often what it has written is counted.
const LOOK: Duration = Duration::from_millis(500);
/// Bytes of a log's end that are shown.
const WORDS_BYTES: u64 = 4 << 10;
const WORDS_LINES: usize = 12;
/// Files that are counted; whoever makes more writes too much.
const FILES_MAX: u64 = 200_000;

/// What a sandbox may do.
pub(super) struct Watch {
    /// Where it writes.
    pub(super) folders: Vec<PathBuf>,
    /// How much.
    pub(super) bytes_max: u64,
    /// What must stay free on the disk below the first folder.
    pub(super) free_bytes_min: u64,
    /// For how long.
    pub(super) limit: Duration,
}

impl Watch {
    /// Waits for the sandbox to end by itself.
    pub(super) async fn until_end(
        &self,
        containerd: &Containerd,
        id: &InstanceId,
    ) -> Result<u32, IntakeError> {
        let begun = Instant::now();
        loop {
            let ended = match containerd.wait_sandbox(id, LOOK).await {
                Err(RuntimeError::Deadline { .. }) => None,
                outcome => Some(outcome?),
            };
            // Also once it has ended: it may have written a lot since it was looked at.
            self.check().await?;
            if let Some(status) = ended {
                return Ok(status);
            }
            if begun.elapsed() > self.limit {
                return Err(IntakeError::BuildLate { after: self.limit });
            }
        }
    }

    async fn check(&self) -> Result<(), IntakeError> {
        let folders = self.folders.clone();
        let counted = tokio::task::spawn_blocking(move || {
            folders.iter().fold(0_u64, |sum, path| sum.saturating_add(walk_bytes(path)))
        });
        if counted.await.unwrap_or(u64::MAX) > self.bytes_max {
            return Err(IntakeError::BuildTooLarge { max_bytes: self.bytes_max });
        }
        if let Some(folder) = self.folders.first()
            && free_bytes(folder).is_some_and(|free| free < self.free_bytes_min)
        {
            return Err(IntakeError::DiskFull { path: folder.clone(), free_bytes_min: self.free_bytes_min });
        }
        Ok(())
    }
}

/// Bytes that can be written to the disk of a path.
pub(super) fn free_bytes(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Bytes of everything below a path. Links are not followed, and what vanishes meanwhile is not counted.
pub(super) fn walk_bytes(path: &Path) -> u64 {
    let mut bytes = 0;
    let mut files = 0;
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        let Ok(metadata) = path.symlink_metadata() else { continue };
        bytes += metadata.len();
        files += 1;
        if files > FILES_MAX {
            return u64::MAX;
        }
        if metadata.is_dir() {
            open.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
    bytes
}

/// The end of a log, for the uploader.
pub(super) fn last_words(log: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = fs::File::open(log) {
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        if file.seek(SeekFrom::Start(length.saturating_sub(WORDS_BYTES))).is_ok() {
            // What can be read of it is what there is to show.
            let _ = file.take(WORDS_BYTES).read_to_end(&mut bytes);
        }
    }
    let text: String = String::from_utf8_lossy(&bytes)
        .chars()
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
        .collect();
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    match lines.len() {
        0 => "it said nothing".to_owned(),
        count => lines[count.saturating_sub(WORDS_LINES)..].join("\n"),
    }
}

//! A folder for one upload. In: its path. Out: the folder; it is gone when this is dropped. Refuses a path that is taken.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::IntakeError;

/// An upload's folder, which goes with it.
#[derive(Debug)]
pub struct Stage(PathBuf);

impl Stage {
    pub(super) fn new(path: PathBuf) -> Result<Self, IntakeError> {
        let made = fs::create_dir(&path);
        // Who may not pass here cannot read what others have sent.
        let closed = made.and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o700)));
        closed.map_err(|source| IntakeError::stage(&path, source))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "an upload's folder is left");
        }
    }
}

//! What outlives the agent: the node's key, the model in charge, the history it ranks from. In and out: bytes by name.
//! redb keeps each write whole or not at all; a file that is not one of ours is refused, with the way out.

use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, TableDefinition};

const TABLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("weft");
/// Bytes of one value.
const VALUE_BYTES_MAX: usize = 64 << 20;

/// What is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// The node's key; principals of the history mean nothing without it.
    Key,
    /// The model in charge.
    Model,
    /// The model that it took over from.
    ModelBefore,
    /// The contexts that candidates come from.
    History,
    /// What hits and waste have taught.
    Policy,
}

impl Item {
    fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Model => "model",
            Self::ModelBefore => "model before",
            Self::History => "history",
            Self::Policy => "policy",
        }
    }
}

/// Why something cannot be kept or read back.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be made.
    #[error("{}: the state folder cannot be made: {source}. Let the agent write there, or set [agent] state", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database cannot be opened.
    #[error("{}: {source}. If no other agent uses it, move the file away; weft learns anew", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What redb said.
        source: redb::DatabaseError,
    },
    /// A read or write failed.
    #[error("the {item} cannot be {done}: {source}")]
    Access {
        /// What was accessed.
        item: &'static str,
        /// `read` or `written`.
        done: &'static str,
        /// What redb said.
        source: redb::Error,
    },
    /// The value is larger than what is ever written.
    #[error("the {item} has {bytes} bytes, more than is kept")]
    TooLarge {
        /// What was to be written.
        item: &'static str,
        /// Its size.
        bytes: usize,
    },
}

/// The node's state on disk.
#[derive(Debug)]
pub struct Store {
    database: Database,
}

impl Store {
    /// Opens `folder`'s database, and makes both where they are absent, readable by the agent's user alone.
    ///
    /// # Errors
    /// [`StoreError::Folder`] or [`StoreError::Open`].
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        let trouble = |source| StoreError::Folder { path: folder.into(), source };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(trouble)?;
        let path = folder.join("weft.redb");
        // Made here first, since the mode cannot be given to redb.
        std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(trouble)?;
        let database = Database::create(&path).map_err(|source| StoreError::Open { path, source })?;
        Ok(Self { database })
    }

    /// Reads an item; `None` if it was never written.
    ///
    /// # Errors
    /// [`StoreError::Access`].
    pub fn read(&self, item: Item) -> Result<Option<Vec<u8>>, StoreError> {
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let transaction = self.database.begin_read()?;
            match transaction.open_table(TABLE) {
                Ok(table) => Ok(table.get(item.name())?.map(|value| value.value().to_vec())),
                Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        read().map_err(|source| StoreError::Access { item: item.name(), done: "read", source })
    }

    /// Writes an item in one transaction.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] or [`StoreError::Access`].
    pub fn write(&self, item: Item, bytes: &[u8]) -> Result<(), StoreError> {
        self.write_all(&[(item, Some(bytes))])
    }

    /// Writes items, or removes them where there are no bytes, all or none of them.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] or [`StoreError::Access`].
    pub fn write_all(&self, items: &[(Item, Option<&[u8]>)]) -> Result<(), StoreError> {
        let too_large = items.iter().find_map(|(item, bytes)| {
            bytes.filter(|bytes| bytes.len() > VALUE_BYTES_MAX).map(|bytes| (item.name(), bytes.len()))
        });
        if let Some((item, bytes)) = too_large {
            return Err(StoreError::TooLarge { item, bytes });
        }
        let write = || -> Result<(), redb::Error> {
            let transaction = self.database.begin_write()?;
            {
                let mut table = transaction.open_table(TABLE)?;
                for (item, bytes) in items {
                    match bytes {
                        Some(bytes) => table.insert(item.name(), *bytes)?,
                        None => table.remove(item.name())?,
                    };
                }
            }
            Ok(transaction.commit()?)
        };
        let item = items.first().map_or("state", |(item, _)| item.name());
        write().map_err(|source| StoreError::Access { item, done: "written", source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_was_written_is_there_after_the_store_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let store = Store::open(&state).unwrap();
        assert_eq!(store.read(Item::Key).unwrap(), None);
        store.write(Item::Key, b"sixteen bytes ok").unwrap();
        drop(store);
        assert_eq!(Store::open(&state).unwrap().read(Item::Key).unwrap().unwrap(), b"sixteen bytes ok");
    }

    #[test]
    fn nobody_else_can_read_the_state() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        drop(Store::open(&state).unwrap());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state), mode(&state.join("weft.redb"))), (0o700, 0o600));
    }

    #[test]
    fn a_file_that_is_no_database_is_refused_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("weft.redb"), b"not a database at all, but long enough to look at")
            .unwrap();
        let text = Store::open(folder.path()).expect_err("refused").to_string();
        assert!(text.contains("weft.redb") && text.contains("move the file away"), "{text}");
    }
}

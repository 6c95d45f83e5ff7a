//! What is known of the code that is served. In: a segment, the digests of its files, what was read of them, and its runs.
//! Out: the same, by segment or by the files. One transaction keeps an upload whole or not at all: a version takes the place of its
//! predecessor, and what no segment is made of any more goes. Refuses what is larger than [`READING_BYTES_MAX`].
//!
//! Files that were read before are not read again: the digest of all of them names what was read.

use std::path::{Path, PathBuf};

use redb::{
    Database, MultimapTableDefinition, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};
use sha2::{Digest, Sha256};
use weft_models::profile::{CodeFacts, RUNS_MAX, Run};
use weft_models::reading::Reading;

use super::reading::Source;

/// By segment: what its files are, and what was read of them.
const UPLOADS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("uploads");
/// By the digest of all files and of what is called first: what was read.
const READINGS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("readings");
/// By the digest of one file: the segments that have it.
const FILES: MultimapTableDefinition<'_, &[u8], &str> = MultimapTableDefinition::new("files");
/// By segment: what of its source its needs follow from.
const FACTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("facts");
/// By segment: what its latest runs took, whichever version they were of.
const RUNS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("runs");
/// Bytes of one reading.
pub const READING_BYTES_MAX: usize = 64 << 20;

/// Why something cannot be kept or read back.
#[derive(Debug, thiserror::Error)]
pub enum GraphsError {
    /// The database cannot be opened.
    #[error("{}: {source}. If no other agent uses it, move the file away; code that is served can be uploaded again", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What redb said.
        source: Box<redb::DatabaseError>,
    },
    /// A read or write failed.
    #[error("what was read of `{segment}` cannot be {done}: {source}")]
    Access {
        /// Whose.
        segment: String,
        /// `kept` or `read back`.
        done: &'static str,
        /// What redb said.
        source: Box<redb::Error>,
    },
    /// What was read is too much.
    #[error(
        "what was read of `{segment}` has {bytes} bytes, more than is kept; leave code out that it does not need"
    )]
    TooLarge {
        /// Whose.
        segment: String,
        /// Its size.
        bytes: usize,
    },
}

/// What was read of all code that is served.
#[derive(Debug)]
pub struct Graphs(Database);

/// Names what was read of some files, and what is called first of them.
pub fn program(sources: &[Source], handler: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    // Another version reads other things in the same source.
    hash.update(env!("CARGO_PKG_VERSION"));
    for source in sources {
        // Lengths keep two parts from being taken for one.
        hash.update((source.path.len() as u64).to_le_bytes());
        hash.update(&source.path);
        hash.update(source.digest);
    }
    hash.update(handler);
    hash.finalize().into()
}

impl Graphs {
    /// Opens the database in a folder that is there, and makes it where it is absent.
    ///
    /// # Errors
    /// [`GraphsError::Open`].
    pub fn open(folder: &Path) -> Result<Self, GraphsError> {
        let path = folder.join("code.redb");
        let opened = Database::create(&path);
        opened.map(Self).map_err(|source| GraphsError::Open { path, source: source.into() })
    }

    /// Keeps what was read of a segment in the place of what was read of its former version.
    ///
    /// # Errors
    /// [`GraphsError`]; what was kept before is kept still.
    pub fn put(
        &self,
        segment: &str,
        sources: &[Source],
        handler: &str,
        reading: &Reading,
    ) -> Result<(), GraphsError> {
        // Texts, numbers and lists can always be written as JSON.
        let bytes = serde_json::to_vec(reading).unwrap_or_default();
        let facts = serde_json::to_vec(&reading.facts).unwrap_or_default();
        if bytes.len() > READING_BYTES_MAX {
            return Err(GraphsError::TooLarge { segment: segment.into(), bytes: bytes.len() });
        }
        let program = program(sources, handler);
        let write = || -> Result<(), redb::Error> {
            let transaction = self.0.begin_write()?;
            forget(&transaction, segment)?;
            let files: Vec<u8> = sources.iter().flat_map(|source| source.digest).collect();
            let upload: Vec<u8> = program.iter().copied().chain(files).collect();
            transaction.open_table(UPLOADS)?.insert(segment, &upload[..])?;
            transaction.open_table(READINGS)?.insert(&program[..], &bytes[..])?;
            transaction.open_table(FACTS)?.insert(segment, &facts[..])?;
            let mut by_file = transaction.open_multimap_table(FILES)?;
            for source in sources {
                by_file.insert(&source.digest[..], segment)?;
            }
            drop(by_file);
            Ok(transaction.commit()?)
        };
        write().map_err(|source| GraphsError::Access {
            segment: segment.into(),
            done: "kept",
            source: source.into(),
        })
    }

    /// What was read of a segment; `None` if nothing is kept of it.
    ///
    /// # Errors
    /// [`GraphsError::Access`].
    pub fn of_segment(&self, segment: &str) -> Result<Option<Vec<u8>>, GraphsError> {
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let transaction = self.0.begin_read()?;
            let uploads = match transaction.open_table(UPLOADS) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
                opened => opened?,
            };
            let Some(upload) = uploads.get(segment)? else { return Ok(None) };
            let program = upload.value().get(..32).unwrap_or_default().to_vec();
            let reading = transaction.open_table(READINGS)?.get(&program[..])?;
            Ok(reading.map(|reading| reading.value().to_vec()))
        };
        read().map_err(|source| GraphsError::Access {
            segment: segment.into(),
            done: "read back",
            source: source.into(),
        })
    }

    /// Keeps what the runs of segments took, in the place of what was kept of them.
    ///
    /// # Errors
    /// [`GraphsError::Access`]; what was kept before is kept still.
    pub fn put_runs(&self, runs: &[(String, Vec<Run>)]) -> Result<(), GraphsError> {
        let write = || -> Result<(), redb::Error> {
            let transaction = self.0.begin_write()?;
            let mut table = transaction.open_table(RUNS)?;
            for (segment, runs) in runs {
                let runs = &runs[runs.len().saturating_sub(RUNS_MAX)..];
                // Numbers can always be written as JSON.
                table.insert(segment.as_str(), &serde_json::to_vec(runs).unwrap_or_default()[..])?;
            }
            drop(table);
            Ok(transaction.commit()?)
        };
        let segment = || runs.first().map_or_else(String::new, |(segment, _)| segment.clone());
        write().map_err(|source| GraphsError::Access {
            segment: segment(),
            done: "kept",
            source: source.into(),
        })
    }

    /// What of a segment's source its needs follow from; `None` if nothing is kept of it, or in other words.
    pub fn facts_of(&self, segment: &str) -> Option<CodeFacts> {
        let transaction = self.0.begin_read().ok()?;
        let facts = transaction.open_table(FACTS).ok()?;
        serde_json::from_slice(facts.get(segment).ok()??.value()).ok()
    }

    /// What the latest runs of a segment took, the oldest first; none if they were written in other words.
    pub fn runs_of(&self, segment: &str) -> Vec<Run> {
        let read = || {
            let transaction = self.0.begin_read().ok()?;
            let table = transaction.open_table(RUNS).ok()?;
            let runs = table.get(segment).ok()??;
            serde_json::from_slice(runs.value()).ok()
        };
        read().unwrap_or_default()
    }

    /// What was read of the same files before; `None` if they were not, or in other words.
    pub fn of_program(&self, sources: &[Source], handler: &str) -> Option<Reading> {
        let transaction = self.0.begin_read().ok()?;
        let readings = transaction.open_table(READINGS).ok()?;
        let reading = readings.get(&program(sources, handler)[..]).ok()??;
        serde_json::from_slice(reading.value()).ok()
    }

    /// The segments that are made of a file, among others.
    ///
    /// # Errors
    /// [`GraphsError::Access`].
    pub fn with_file(&self, digest: &[u8; 32]) -> Result<Vec<String>, GraphsError> {
        let read = || -> Result<Vec<String>, redb::Error> {
            let transaction = self.0.begin_read()?;
            let files = match transaction.open_multimap_table(FILES) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                opened => opened?,
            };
            let mut segments = Vec::new();
            for segment in files.get(&digest[..])? {
                segments.push(segment?.value().to_owned());
            }
            Ok(segments)
        };
        read().map_err(|source| GraphsError::Access {
            segment: "a file".into(),
            done: "read back",
            source: source.into(),
        })
    }
}

/// Takes a segment's former version out, and what nobody else is made of.
fn forget(transaction: &WriteTransaction, segment: &str) -> Result<(), redb::Error> {
    let mut uploads = transaction.open_table(UPLOADS)?;
    let Some(upload) = uploads.remove(segment)?.map(|upload| upload.value().to_vec()) else { return Ok(()) };
    let (program, files) = upload.split_at(upload.len().min(32));
    let mut by_file = transaction.open_multimap_table(FILES)?;
    for digest in files.chunks(32) {
        by_file.remove(digest, segment)?;
    }
    let mut is_used = false;
    for other in uploads.iter()? {
        is_used |= other?.1.value().starts_with(program);
    }
    if !is_used {
        transaction.open_table(READINGS)?.remove(program)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use weft_models::graph::{Bounds, SourceFile};

    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.into(), digest: Sha256::digest(text).into() }
    }

    fn reading(text: &str) -> Reading {
        Reading::of(&[SourceFile::new("app.py", text)], None, &Bounds::default())
    }

    fn kept(graphs: &Graphs, segment: &str) -> Option<Reading> {
        graphs.of_segment(segment).unwrap().map(|bytes| serde_json::from_slice(&bytes).unwrap())
    }

    const ONE: &str = "def handler(event):\n    return 1\n";
    const TWO: &str = "def handler(event):\n    return sorted(event)\n";

    #[test]
    fn a_version_takes_the_place_of_the_one_before_and_what_two_segments_share_stays_with_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let graphs = Graphs::open(folder.path()).unwrap();
        assert_eq!(kept(&graphs, "cart"), None);
        let (one, two) = (source("app.py", ONE), source("app.py", TWO));
        graphs.put("cart", std::slice::from_ref(&one), "app.py:handler", &reading(ONE)).unwrap();
        graphs.put("pay", std::slice::from_ref(&one), "app.py:handler", &reading(ONE)).unwrap();
        assert_eq!(graphs.with_file(&one.digest).unwrap(), ["cart", "pay"]);
        graphs.put("cart", std::slice::from_ref(&two), "app.py:handler", &reading(TWO)).unwrap();
        assert_eq!(kept(&graphs, "cart"), Some(reading(TWO)));
        assert_eq!(graphs.facts_of("cart"), Some(reading(TWO).facts));
        assert_eq!(kept(&graphs, "pay"), Some(reading(ONE)));
        assert_eq!(graphs.with_file(&one.digest).unwrap(), ["pay"]);
        assert_eq!(graphs.of_program(std::slice::from_ref(&one), "app.py:handler"), Some(reading(ONE)));
        graphs.put("pay", std::slice::from_ref(&two), "app.py:handler", &reading(TWO)).unwrap();
        assert_eq!(graphs.of_program(&[one], "app.py:handler"), None, "nobody is made of it any more");
    }

    #[test]
    fn what_is_kept_outlives_the_agent_and_a_file_that_is_none_of_ours_is_refused_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let graphs = Graphs::open(folder.path()).unwrap();
        graphs.put("cart", &[source("app.py", ONE)], "app.py:handler", &reading(ONE)).unwrap();
        drop(graphs);
        let graphs = Graphs::open(folder.path()).unwrap();
        assert_eq!(kept(&graphs, "cart"), Some(reading(ONE)));
        drop(graphs);
        std::fs::write(folder.path().join("code.redb"), "no database").unwrap();
        let error = Graphs::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("code.redb") && error.contains("move the file away"), "{error}");
    }

    #[test]
    fn the_latest_runs_of_a_segment_are_kept_beside_what_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let graphs = Graphs::open(folder.path()).unwrap();
        assert_eq!(graphs.runs_of("cart"), []);
        let run = |cpu_us| Run { cpu_us, wall_us: 1, memory_peak_bytes: 1, ..Run::default() };
        let runs: Vec<_> = (0..RUNS_MAX as u64 + 3).map(run).collect();
        graphs.put_runs(&[("cart".into(), runs.clone()), ("pay".into(), vec![run(7)])]).unwrap();
        assert_eq!(graphs.runs_of("cart"), runs[3..]);
        assert_eq!(graphs.runs_of("pay"), [run(7)]);
    }

    #[test]
    fn the_same_bytes_under_another_name_or_another_handler_are_another_program() {
        let of = |path, handler| program(&[source(path, ONE)], handler);
        assert_eq!(of("a.py", "a.py:f"), of("a.py", "a.py:f"));
        assert_ne!(of("a.py", "a.py:f"), of("b.py", "a.py:f"));
        assert_ne!(of("a.py", "a.py:f"), of("a.py", "a.py:g"));
    }
}

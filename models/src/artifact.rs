//! Models and memories as bytes. In come values, out go bytes, and back.
//! Refused: bytes of another kind, version or feature set, damaged or cut bytes, and values that no training or
//! learning can have made. Bytes may come from anywhere: reading them never panics and never loops.
//!
//! ```text
//! "weft" │ kind u8 │ version u16 LE │ CRC-32 of the body, LE │ body (postcard)
//! ```

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::features::NAMES;
use crate::forecast::{Grove, Model};
use crate::history::History;
use crate::policy::Learned;
use crate::profile::{self, Sizing};
use crate::timing::{AGAIN_NAMES, MINUTE_NAMES, TimingModel};

const MAGIC: [u8; 4] = *b"weft";
const HEADER_LEN: usize = 11;
const KIND_MODEL: u8 = 1;
const KIND_HISTORY: u8 = 2;
const KIND_SIZING: u8 = 3;
const KIND_TIMING: u8 = 4;
const KIND_POLICY: u8 = 5;
/// Goes up whenever the body or the meaning of a feature changes.
const fn version(kind: u8) -> u16 {
    match kind {
        KIND_MODEL => 3,
        KIND_HISTORY => 2,
        _ => 1,
    }
}
/// Trees in a model; more would only be read from bytes made to be slow.
const TREES_MAX: usize = 1_024;

/// Why bytes are not a model or memory, or a value is not bytes.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// Not ours.
    #[error("the bytes do not begin like an artifact of this kind")]
    NotAnArtifact,
    /// Made by another version.
    #[error("the artifact has version {found}, this build reads {read}")]
    Version {
        /// Version in the artifact.
        found: u16,
        /// Version of this build.
        read: u16,
    },
    /// Cut or changed on the way.
    #[error("the checksum does not match the contents")]
    Checksum,
    /// The body is not what it should be.
    #[error("the contents cannot be decoded")]
    Body(#[source] postcard::Error),
    /// The value cannot be written.
    #[error("the value cannot be encoded")]
    Encode(#[source] postcard::Error),
    /// Trained on features with other meanings.
    #[error("the model was trained on other features")]
    Features,
    /// Decoded, but impossible.
    #[error("the contents are not consistent")]
    Unsound,
}

impl Model {
    /// The model as bytes.
    ///
    /// # Errors
    /// [`ArtifactError::Encode`] if the encoder fails.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ArtifactError> {
        seal(KIND_MODEL, &(features_mark(), self))
    }

    /// The model in `bytes`.
    ///
    /// # Errors
    /// See [`ArtifactError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Model, ArtifactError> {
        let (mark, model): (u32, Model) = open(KIND_MODEL, bytes)?;
        if mark != features_mark() {
            return Err(ArtifactError::Features);
        }
        let sound =
            (1..=TREES_MAX).contains(&model.trees.len()) && model.trees.iter().all(|tree| tree.is_sound());
        let sound = sound && model.base.is_finite();
        if !sound {
            return Err(ArtifactError::Unsound);
        }
        Ok(Model { grove: Grove::of(&model.trees), ..model })
    }
}

impl History {
    /// The memory as bytes. Open forecasts are left out.
    ///
    /// # Errors
    /// [`ArtifactError::Encode`] if the encoder fails.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ArtifactError> {
        seal(KIND_HISTORY, self)
    }

    /// The memory in `bytes`, with the limits it was made with.
    ///
    /// # Errors
    /// See [`ArtifactError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<History, ArtifactError> {
        let history: History = open(KIND_HISTORY, bytes)?;
        if history.is_sound() { Ok(history) } else { Err(ArtifactError::Unsound) }
    }
}

impl Sizing {
    /// The model as bytes.
    ///
    /// # Errors
    /// [`ArtifactError::Encode`] if the encoder fails.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ArtifactError> {
        seal(KIND_SIZING, &(profile::mark(), self))
    }

    /// The model in `bytes`.
    ///
    /// # Errors
    /// See [`ArtifactError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Sizing, ArtifactError> {
        let (mark, sizing): (u32, Sizing) = open(KIND_SIZING, bytes)?;
        if mark != profile::mark() {
            return Err(ArtifactError::Features);
        }
        if sizing.is_sound() { Ok(sizing) } else { Err(ArtifactError::Unsound) }
    }
}

impl TimingModel {
    /// The model as bytes.
    ///
    /// # Errors
    /// [`ArtifactError::Encode`] if the encoder fails.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ArtifactError> {
        seal(KIND_TIMING, &(timing_mark(), self))
    }

    /// The model in `bytes`.
    ///
    /// # Errors
    /// See [`ArtifactError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<TimingModel, ArtifactError> {
        let (mark, model): (u32, TimingModel) = open(KIND_TIMING, bytes)?;
        if mark != timing_mark() {
            return Err(ArtifactError::Features);
        }
        if model.is_sound() { Ok(model) } else { Err(ArtifactError::Unsound) }
    }
}

impl Learned {
    /// What was learned as bytes.
    ///
    /// # Errors
    /// [`ArtifactError::Encode`] if the encoder fails.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ArtifactError> {
        seal(KIND_POLICY, self)
    }

    /// What was learned, in `bytes`.
    ///
    /// # Errors
    /// See [`ArtifactError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Learned, ArtifactError> {
        let learned: Learned = open(KIND_POLICY, bytes)?;
        if learned.is_sound() { Ok(learned) } else { Err(ArtifactError::Unsound) }
    }
}

/// Changes when what the trees of times see is renamed, moved, added or dropped.
fn timing_mark() -> u32 {
    crc32fast::hash([&MINUTE_NAMES[..], &AGAIN_NAMES[..]].concat().join("\n").as_bytes())
}

/// Changes when a feature is renamed, moved, added or dropped.
fn features_mark() -> u32 {
    crc32fast::hash(NAMES.join("\n").as_bytes())
}

fn seal(kind: u8, value: &impl Serialize) -> Result<Vec<u8>, ArtifactError> {
    let body = postcard::to_allocvec(value).map_err(ArtifactError::Encode)?;
    let mut bytes = Vec::with_capacity(HEADER_LEN + body.len());
    bytes.extend(MAGIC);
    bytes.push(kind);
    bytes.extend(version(kind).to_le_bytes());
    bytes.extend(crc32fast::hash(&body).to_le_bytes());
    bytes.extend(body);
    Ok(bytes)
}

fn open<T: DeserializeOwned>(kind: u8, bytes: &[u8]) -> Result<T, ArtifactError> {
    let Some((&[m0, m1, m2, m3, found_kind, v0, v1, c0, c1, c2, c3], body)) =
        bytes.split_first_chunk::<HEADER_LEN>()
    else {
        return Err(ArtifactError::NotAnArtifact);
    };
    if [m0, m1, m2, m3] != MAGIC || found_kind != kind {
        return Err(ArtifactError::NotAnArtifact);
    }
    let found = u16::from_le_bytes([v0, v1]);
    if found != version(kind) {
        return Err(ArtifactError::Version { found, read: version(kind) });
    }
    if crc32fast::hash(body) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Err(ArtifactError::Checksum);
    }
    let (value, rest) = postcard::take_from_bytes(body).map_err(ArtifactError::Body)?;
    if rest.is_empty() { Ok(value) } else { Err(ArtifactError::Unsound) }
}

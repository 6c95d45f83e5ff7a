//! How much of an upload is taken. In: nothing. Out: the limits that every reader of an upload holds to.

use std::time::Duration;

/// What one upload may be at most. Whatever is above is refused as soon as it is seen, so that nothing larger is ever
/// written or kept.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of the archive or file as it is sent.
    pub packed_bytes: u64,
    /// Bytes of all files together.
    pub unpacked_bytes: u64,
    /// Files, folders and links together.
    pub entries: usize,
    /// Folders above a file.
    pub depth: usize,
    /// Bytes of one path.
    pub path_len: usize,
    /// How many times larger than the archive its content may be, beyond [`Self::small_bytes`].
    pub ratio: u64,
    /// Content up to this size is taken whatever its ratio: a short text of blanks packs a thousandfold.
    pub small_bytes: u64,
    /// Time that reading may take.
    pub time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            packed_bytes: 256 << 20,
            unpacked_bytes: 512 << 20,
            entries: 20_000,
            depth: 32,
            path_len: 512,
            ratio: 100,
            small_bytes: 16 << 20,
            time: Duration::from_secs(60),
        }
    }
}

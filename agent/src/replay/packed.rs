//! Files, packed or plain. In: a path, or `-` for standard input. Out: a reader of what it holds, unpacked as it is read. What
//! packs it is told by its first bytes, not by its name; several frames in a row are one file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::ReplayError;
use super::progress::Progress;

/// Bytes that are read and unpacked at a time.
const PIECE: usize = 128 << 10;
/// The path that means standard input.
pub(super) const STDIN: &str = "-";
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const GZIP: &[u8] = &[0x1f, 0x8b];

/// Opens a file, or standard input.
pub(super) fn open(path: &Path, progress: &Progress) -> Result<Box<dyn BufRead>, ReplayError> {
    let failed = |source| ReplayError::Open { path: path.to_owned(), source };
    if path == Path::new(STDIN) {
        // A pipe has no length.
        return unpacked(progress.reading(path, 0, io::stdin())).map_err(failed);
    }
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_or(0, |there| there.len());
    unpacked(progress.reading(path, length, file)).map_err(failed)
}

/// What a reader holds, unpacked.
pub(crate) fn unpacked(packed: impl Read + 'static) -> io::Result<Box<dyn BufRead>> {
    let mut reader = BufReader::with_capacity(PIECE, packed);
    let first = reader.fill_buf()?;
    Ok(if first.starts_with(ZSTD) {
        Box::new(BufReader::with_capacity(PIECE, Frames::new(reader)))
    } else if first.starts_with(GZIP) {
        Box::new(BufReader::with_capacity(PIECE, MultiGzDecoder::new(reader)))
    } else {
        Box::new(reader)
    })
}

/// Frames of zstd, one after another.
struct Frames<R> {
    source: R,
    decoder: FrameDecoder,
    within: bool,
}

impl<R: BufRead> Frames<R> {
    fn new(source: R) -> Self {
        Self { source, decoder: FrameDecoder::new(), within: false }
    }

    /// Begins the next frame; false at the end of the file.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    io::copy(&mut self.source.by_ref().take(u64::from(length)), &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.within && !self.begin()? {
                return Ok(0);
            }
            self.within = true;
            while self.decoder.can_collect() < into.len() && !self.decoder.is_finished() {
                let wanted = BlockDecodingStrategy::UptoBytes(into.len() - self.decoder.can_collect());
                self.decoder.decode_blocks(&mut self.source, wanted).map_err(io::Error::other)?;
            }
            let read = self.decoder.read(into)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            self.within = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf 'a\n' | zstd` and `printf 'b\n' | zstd`, with a frame between them that is to be skipped.
    const FRAMES: &[u8] = &[
        0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x11, 0x00, 0x00, b'a', b'\n', 0x50, 0x2a, 0x4d, 0x18, 2, 0, 0,
        0, 9, 9, 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x11, 0x00, 0x00, b'b', b'\n',
    ];

    #[test]
    fn frames_in_a_row_are_one_file_and_a_cut_one_is_told() {
        let mut text = String::new();
        Frames::new(FRAMES).read_to_string(&mut text).unwrap();
        assert_eq!(text, "a\nb\n");
        let cut = &FRAMES[..FRAMES.len() - 1];
        assert!(Frames::new(cut).read_to_string(&mut String::new()).is_err());
    }
}

//! Where data for training and benchmarks is. In: a folder that was named, or the environment's `WEFT_DATA`. Out: the
//! folder, if it is there.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use ruzstd::decoding::StreamingDecoder;

/// The folder that was named, or the one of that name in the folder that `WEFT_DATA` names; `None` if there is none.
pub(crate) fn folder(named: Option<&Path>, name: &str) -> Option<PathBuf> {
    let folder = match named {
        Some(folder) => folder.to_owned(),
        None => PathBuf::from(std::env::var_os("WEFT_DATA")?).join(name),
    };
    folder.is_dir().then_some(folder)
}

/// A file as it is, or unpacked if it is there with `.zst` after its name.
pub(crate) fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut packed = path.as_os_str().to_owned();
    packed.push(".zst");
    let packed = PathBuf::from(packed);
    if !packed.is_file() {
        return Ok(Box::new(BufReader::new(File::open(path)?)));
    }
    let decoder = StreamingDecoder::new(BufReader::new(File::open(packed)?)).map_err(io::Error::other)?;
    Ok(Box::new(BufReader::new(decoder)))
}

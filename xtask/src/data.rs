//! Where data for training and benchmarks is. In: a folder that was named, or the environment's `WEFT_DATA`. Out: the
//! folder, if it is there.

use std::path::{Path, PathBuf};

/// The folder that was named, or the one of that name in the folder that `WEFT_DATA` names; `None` if there is none.
pub(crate) fn folder(named: Option<&Path>, name: &str) -> Option<PathBuf> {
    let folder = match named {
        Some(folder) => folder.to_owned(),
        None => PathBuf::from(std::env::var_os("WEFT_DATA")?).join(name),
    };
    folder.is_dir().then_some(folder)
}
